#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: flux_suspend
version_added: 0.1.0
short_description: Suspend a Flux object, or let Flux go on with it
author: onprem.platform contributors (@onprem-platform)
description:
  - Sets or removes C(spec.suspend) of a Flux object and nothing else. What Flux has made stays as it is.
  - The field belongs to the field manager that Flux keeps free for such interventions, so neither the Kustomization
    above the object nor M(onprem.platform.flux_kustomization) takes it back by accident. Where C(suspend) is part of
    the object's description, that description wins at its next reconciliation.
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
  state:
    description: Whether Flux leaves the object alone or reconciles it.
    type: str
    choices: [suspended, resumed]
    default: suspended
  wait:
    description:
      - With O(state=resumed), wait until Flux has reconciled the object with success.
      - With O(state=suspended), wait until a reconciliation that has begun already is over.
    type: bool
    default: false
extends_documentation_fragment:
  - onprem.platform.kubernetes
  - onprem.platform.kubernetes.plan
  - onprem.platform.wait
  - onprem.platform.attributes
  - onprem.platform.attributes.k8s
attributes:
  check_mode:
    support: full
    details:
      - The server validates the change in a dry run. Nothing is waited for.
  diff_mode:
    support: full
  idempotent:
    support: full
seealso:
  - module: onprem.platform.flux_reconcile
  - module: onprem.platform.flux_info
"""

EXAMPLES = r"""
- name: Keep Flux from undoing a repair by hand
  onprem.platform.flux_suspend:
    kind: HelmRelease
    name: shop
    namespace: shop

- name: Let it go on, and see that it does
  onprem.platform.flux_suspend:
    kind: HelmRelease
    name: shop
    namespace: shop
    state: resumed
    wait: true
"""

RETURN = r"""
flux:
  description: What Flux says about the object afterwards.
  returned: success, if the object exists
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
      description: Whether Flux has reconciled the newest generation with success; a suspended object is not ready.
      type: bool
      sample: false
    state:
      description: One of V(ready), V(progressing), V(failed).
      type: str
      sample: failed
    message:
      description: What Flux says about the state.
      type: str
      sample: "it is suspended: nothing will be reconciled until spec.suspend is removed"
    suspended:
      description: Whether the object is suspended.
      type: bool
      sample: true
    revision:
      description: The revision fetched, applied or released last.
      type: str
      sample: 1.0.0
    conditions:
      description: The object's conditions.
      type: list
      elements: dict
      sample: []
requests:
  description: Requests sent to the API server.
  returned: always
  type: int
  sample: 2
writes:
  description: Requests among them that could change something.
  returned: always
  type: int
  sample: 1
failure:
  description: Code, reason and message of the error.
  returned: failure
  type: dict
  contains:
    code:
      description: HTTP status, 0 if no answer was involved.
      type: int
      sample: 404
    reason:
      description: The machine-readable word for the error.
      type: str
      sample: NotFound
    message:
      description: The error's message.
      type: str
      sample: helmreleases.helm.toolkit.fluxcd.io "shop" not found
"""

from typing import Any

from ..module_utils._flux import API_VERSIONS, FluxObject, Reconciler
from ..module_utils._flux_status import summary
from ..module_utils._kube_errors import NotFoundError
from ..module_utils._kube_module import PLAN_ARGUMENTS, WAIT_ARGUMENTS, KubeModule
from ..module_utils._kube_resources import Resources, UnknownKindError


def work(module: KubeModule) -> dict[str, Any]:
    """Read, write the one field if it differs, and maybe wait; raises KubeError."""
    params = module.params
    wanted = params["state"] == "suspended"
    if module.cluster_is_planned():
        return {"changed": wanted, **module.request_counts()}
    resources = Resources(module.client)
    reconciler = Reconciler(module.client, resources, module.waiter(resources))
    item = FluxObject(params["kind"], params["namespace"], params["name"])
    try:
        document = reconciler.read(item)
    except (NotFoundError, UnknownKindError):
        if not module.check_mode:
            raise
        # The object may be made by what this run has only checked.
        return {"changed": wanted, **module.request_counts()}
    before = bool((document.get("spec") or {}).get("suspend"))
    if before != wanted:
        document = reconciler.suspend(item, wanted, module.check_mode)
    if params["wait"] and not module.check_mode:
        if wanted:
            document = reconciler.settle(item, params["wait_timeout"])
        else:
            document = reconciler.wait(item, params["wait_timeout"])
    return {
        "changed": before != wanted,
        "flux": summary(document),
        "diff": {"before": {"suspend": before}, "after": {"suspend": wanted}},
        **module.request_counts(),
    }


def main() -> None:
    """Entry point of the module."""
    KubeModule(
        argument_spec={
            "kind": {"type": "str", "choices": list(API_VERSIONS), "required": True},
            "name": {"type": "str", "required": True},
            "namespace": {"type": "str", "default": "flux-system"},
            "state": {"type": "str", "choices": ["suspended", "resumed"], "default": "suspended"},
            "wait": {"type": "bool", "default": False},
            **PLAN_ARGUMENTS,
            **WAIT_ARGUMENTS,
        },
    ).run(work)


if __name__ == "__main__":
    main()
