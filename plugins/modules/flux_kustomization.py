#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: flux_kustomization
version_added: 0.1.0
short_description: Keep a Kustomization of Flux
author: onprem.platform contributors (@onprem-platform)
description:
  - Keeps a Kustomization, by which Flux applies, prunes and corrects the manifests of a source.
options:
  source_ref:
    description: The source of the manifests. Required with O(state=present).
    type: dict
    suboptions:
      kind:
        description: Kind of the source.
        type: str
        required: true
      name:
        description: Name of the source.
        type: str
        required: true
      namespace:
        description: Namespace of the source, if it is another one.
        type: str
  path:
    description: Directory in the source.
    type: str
  prune:
    description: Whether Flux deletes objects that are no longer in the source. Required with O(state=present).
    type: bool
  retry_interval:
    description: How soon Flux tries again after a failure.
    type: str
  wait_for_resources:
    description: Whether the Kustomization becomes ready only when all its objects are (C(spec.wait)).
    type: bool
  depends_on:
    description: Kustomizations (C(name), C(namespace), C(readyExpr)) that must be ready before.
    type: list
    elements: dict
  target_namespace:
    description: Namespace for all objects.
    type: str
  service_account_name:
    description: Service account that Flux acts as.
    type: str
  health_checks:
    description: Objects (C(apiVersion), C(kind), C(name), C(namespace)) that must be healthy.
    type: list
    elements: dict
  health_check_exprs:
    description: CEL expressions that judge the health of custom resources.
    type: list
    elements: dict
  images:
    description: Images to replace (C(name), C(newName), C(newTag), C(digest)).
    type: list
    elements: dict
  patches:
    description: Patches (C(patch), C(target)) to the objects.
    type: list
    elements: dict
  substitute:
    description: Variables that are substituted in the manifests.
    type: dict
  substitute_from:
    description: ConfigMaps and Secrets (C(kind), C(name), C(optional)) with such variables.
    type: list
    elements: dict
extends_documentation_fragment:
  - onprem.platform.flux
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
      - The server validates and merges the object in a dry run. Nothing is waited for.
  diff_mode:
    support: full
  idempotent:
    support: full
seealso:
  - module: onprem.platform.flux_source
  - module: onprem.platform.flux_reconcile
"""

EXAMPLES = r"""
- name: The storage part of the platform tree
  onprem.platform.flux_kustomization:
    name: storage
    source_ref:
      kind: OCIRepository
      name: platform
    path: ./storage
    prune: true
    interval: 10m
    retry_interval: 30s
    timeout: 3m
    wait_for_resources: true

- name: What needs it
  onprem.platform.flux_kustomization:
    name: data
    source_ref:
      kind: OCIRepository
      name: platform
    path: ./data
    prune: true
    interval: 10m
    depends_on:
      - name: storage
    wait: true
    wait_timeout: 300
"""

RETURN = r"""
object:
  description: What happened to the object.
  returned: unless the options are wrong
  type: dict
  contains:
    api_version:
      description: The object's apiVersion.
      type: str
      sample: kustomize.toolkit.fluxcd.io/v1
    kind:
      description: The object's kind.
      type: str
      sample: Kustomization
    namespace:
      description: The object's namespace.
      type: str
      sample: flux-system
    name:
      description: The object's name.
      type: str
      sample: platform
    result:
      description: One of V(created), V(configured), V(unchanged), V(deleted), V(failed).
      type: str
      sample: created
    reason:
      description: What is special about the result.
      type: str
      sample: ""
flux:
  description: What Flux says about the object.
  returned: when it was waited for
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
  returned: when it was waited for and O(verify_images) is set
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

from typing import Any

from ..module_utils._flux_images import IMAGE_ARGUMENTS
from ..module_utils._flux_module import OBJECT_ARGUMENTS, build, keep, reference
from ..module_utils._kube_module import KubeModule


def work(module: KubeModule) -> dict[str, Any]:
    """Build and keep the Kustomization; raises KubeError."""
    params = module.params
    substitution = {
        key: value
        for key, value in (("substitute", params["substitute"]), ("substituteFrom", params["substitute_from"]))
        if value is not None
    }
    if params["substitute"]:
        substitution["substitute"] = {name: str(value) for name, value in params["substitute"].items()}
    fields = {
        "sourceRef": reference(params["source_ref"]),
        "path": params["path"],
        "prune": params["prune"],
        "retryInterval": params["retry_interval"],
        "wait": params["wait_for_resources"],
        "dependsOn": params["depends_on"],
        "targetNamespace": params["target_namespace"],
        "serviceAccountName": params["service_account_name"],
        "healthChecks": params["health_checks"],
        "healthCheckExprs": params["health_check_exprs"],
        "images": params["images"],
        "patches": params["patches"],
        "postBuild": substitution or None,
    }
    return keep(module, build(params, "Kustomization", fields))


def main() -> None:
    """Entry point of the module."""
    source = {
        "kind": {"type": "str", "required": True},
        "name": {"type": "str", "required": True},
        "namespace": {"type": "str"},
    }
    dicts = {"type": "list", "elements": "dict"}
    KubeModule(
        argument_spec={
            "source_ref": {"type": "dict", "options": source},
            "path": {"type": "str"},
            "prune": {"type": "bool"},
            "retry_interval": {"type": "str"},
            "wait_for_resources": {"type": "bool"},
            "depends_on": dicts,
            "target_namespace": {"type": "str"},
            "service_account_name": {"type": "str"},
            "health_checks": dicts,
            "health_check_exprs": dicts,
            "images": dicts,
            "patches": dicts,
            "substitute": {"type": "dict", "no_log": True},
            "substitute_from": dicts,
            **OBJECT_ARGUMENTS,
            **IMAGE_ARGUMENTS,
        },
        required_if=[("state", "present", ("source_ref", "prune", "interval"))],
    ).run(work)


if __name__ == "__main__":
    main()
