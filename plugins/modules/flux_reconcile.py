#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: flux_reconcile
version_added: 0.1.0
short_description: Make Flux reconcile an object now, and wait for the real end
author: onprem.platform contributors (@onprem-platform)
description:
  - Requests a reconciliation of the object's source, waits until the source has fetched its revision, then does the
    same for the object, and proves that it has arrived at that revision, and that the pods run the images it brought.
  - C(Ready) counts only for the object's newest generation and only after the request has been handled. A release that
    was rolled back has failed.
options:
  kind:
    description: Kind of the object.
    type: str
    choices: [OCIRepository, GitRepository, HelmRepository, HelmChart, Bucket, Kustomization, HelmRelease]
    required: true
  name:
    description: Name of the object.
    type: str
    required: true
  namespace:
    description: Namespace of the object.
    type: str
    default: flux-system
  with_source:
    description: Whether the source of a Kustomization or HelmRelease is reconciled first.
    type: bool
    default: true
  expected_revision:
    description:
      - Revision that the source of a Kustomization must have fetched, the chart version or digest of a HelmRelease, or
        the revision of a source; whole, or only its tag, branch, commit or digest.
      - If the object is ready at this revision already, nothing is requested; O(verify_images) holds all the same.
    type: str
  reset:
    description: Forget the failures of a HelmRelease whose retries are used up.
    type: bool
    default: false
  force:
    description: Make one install or upgrade of a HelmRelease even if nothing has changed.
    type: bool
    default: false
extends_documentation_fragment:
  - onprem.platform.flux.images
  - onprem.platform.kubernetes
  - onprem.platform.kubernetes.plan
  - onprem.platform.wait
  - onprem.platform.attributes
  - onprem.platform.attributes.k8s
attributes:
  check_mode:
    support: full
    details:
      - Says whether a reconciliation would be requested.
  diff_mode:
    support: none
  idempotent:
    support: partial
    details:
      - With O(expected_revision), a second run requests nothing. Without it, each run makes a request.
seealso:
  - module: onprem.platform.flux_info
"""

EXAMPLES = r"""
- name: Bring a pushed artifact into the cluster
  onprem.platform.flux_reconcile:
    kind: Kustomization
    name: platform
    expected_revision: latest@sha256:4f3b1f6a0c8f8b8cf1f5b0c3a2f3f9e6d5c4b3a29181706f5e4d3c2b1a090807
    wait_timeout: 120

- name: Try a release again whose retries are used up
  onprem.platform.flux_reconcile:
    kind: HelmRelease
    name: shop
    namespace: shop
    reset: true
"""

RETURN = r"""
flux:
  description: What Flux says about the object after the reconciliation.
  returned: success, outside check mode
  type: dict
  contains:
    kind:
      description: The object's kind.
      type: str
      sample: HelmRelease
    namespace:
      description: The object's namespace.
      type: str
      sample: shop
    name:
      description: The object's name.
      type: str
      sample: web
    ready:
      description: Whether Flux has reconciled the newest generation with success.
      type: bool
      sample: true
    state:
      description: One of V(ready), V(progressing), V(failed).
      type: str
      sample: ready
    message:
      description: What Flux says about the state.
      type: str
      sample: Helm upgrade succeeded
    suspended:
      description: Whether the object is suspended.
      type: bool
      sample: false
    revision:
      description: The revision fetched, applied or released last.
      type: str
      sample: 1.0.0
    conditions:
      description: The object's conditions.
      type: list
      elements: dict
      sample: []
images:
  description:
    - The containers of the workloads in the object's inventory, and what runs in their pods.
    - Empty when the inventory holds no Deployment, DaemonSet or StatefulSet.
  returned: when O(verify_images) is set, outside check mode
  type: list
  elements: dict
  contains:
    kind:
      description: The workload's kind.
      type: str
      sample: Deployment
    namespace:
      description: The workload's namespace.
      type: str
      sample: shop
    name:
      description: The workload's name.
      type: str
      sample: web
    container:
      description: The container's name in the workload's template.
      type: str
      sample: app
    image:
      description: The image as the template names it.
      type: str
      sample: registry.example/shop@sha256:4f3b1f6a0c8f8b8cf1f5b0c3a2f3f9e6d5c4b3a29181706f5e4d3c2b1a090807
    running:
      description: The digests that pods run, without those that are being deleted.
      type: list
      elements: str
      sample: ["sha256:4f3b1f6a0c8f8b8cf1f5b0c3a2f3f9e6d5c4b3a29181706f5e4d3c2b1a090807"]
requested:
  description: Whether a reconciliation was requested, or would be in check mode.
  returned: success
  type: bool
  sample: true
requests:
  description: Requests sent to the API server.
  returned: always
  type: int
  sample: 4
writes:
  description: Requests among them that could change something.
  returned: always
  type: int
  sample: 0
failure:
  description: Code, reason and message of the error.
  returned: failure
  type: dict
  contains:
    code:
      description: HTTP status, 0 if no answer was involved.
      type: int
      sample: 0
    reason:
      description: The machine-readable word for the error.
      type: str
      sample: Wait
    message:
      description: The error's message.
      type: str
      sample: "Kustomization flux-system/platform has failed"
"""

import time
from typing import Any

from ..module_utils._flux import API_VERSIONS, FluxObject, Reconciler
from ..module_utils._flux_images import IMAGE_ARGUMENTS, prove_images
from ..module_utils._flux_status import evaluate_at, summary
from ..module_utils._kube_errors import NotFoundError
from ..module_utils._kube_module import PLAN_ARGUMENTS, WAIT_ARGUMENTS, KubeModule
from ..module_utils._kube_resources import Resources, UnknownKindError


def work(module: KubeModule) -> dict[str, Any]:
    """Reconcile unless that is needless; raises KubeError."""
    params = module.params
    expected = params["expected_revision"] or ""
    if module.cluster_is_planned():
        return {"changed": True, "requested": True, **module.request_counts()}
    deadline = time.monotonic() + params["wait_timeout"]
    resources = Resources(module.client)
    waiter = module.waiter(resources)
    reconciler = Reconciler(module.client, resources, waiter)
    item = FluxObject(params["kind"], params["namespace"], params["name"])
    try:
        document = reconciler.read(item)
    except (NotFoundError, UnknownKindError):
        # The object may be made by what this run has only checked; outside check mode reconcile() waits for it.
        document = {}
    arrived = bool(expected and document) and evaluate_at(document, expected).ready
    needed = not arrived or params["reset"] or params["force"]
    if needed and not module.check_mode:
        document = reconciler.reconcile(
            item, params["wait_timeout"], params["with_source"], expected, params["reset"], params["force"]
        )
    result: dict[str, Any] = {"changed": needed, "requested": needed}
    if document:
        result["flux"] = summary(document)
    if params["verify_images"] and not module.check_mode:
        result["images"] = prove_images(module.client, resources, waiter, document, deadline - time.monotonic())
    return {**result, **module.request_counts()}


def main() -> None:
    """Entry point of the module."""
    KubeModule(
        argument_spec={
            "kind": {"type": "str", "choices": list(API_VERSIONS), "required": True},
            "name": {"type": "str", "required": True},
            "namespace": {"type": "str", "default": "flux-system"},
            "with_source": {"type": "bool", "default": True},
            "expected_revision": {"type": "str"},
            "reset": {"type": "bool", "default": False},
            "force": {"type": "bool", "default": False},
            **IMAGE_ARGUMENTS,
            **PLAN_ARGUMENTS,
            **WAIT_ARGUMENTS,
        },
    ).run(work)


if __name__ == "__main__":
    main()
