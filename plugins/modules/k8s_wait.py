#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: k8s_wait
version_added: 0.1.0
short_description: Wait for many Kubernetes objects at once
author: onprem.platform contributors (@onprem-platform)
description:
  - Watches any number of objects over one connection and ends as soon as all of them are in the wanted state.
  - A state counts only if the controller has seen the object's newest generation, so a stale C(Ready) fools nobody.
  - Ends at once, with the last events and the end of the container's log, when waiting cannot help any more, for
    example on C(ImagePullBackOff), a crash loop, C(ProgressDeadlineExceeded), a failed Job or C(Stalled).
options:
  objects:
    description: What to wait for.
    type: list
    elements: dict
    required: true
    suboptions:
      api_version:
        description: The objects' apiVersion.
        type: str
        required: true
      kind:
        description: The objects' kind.
        type: str
        required: true
      name:
        description: Name of one object. Without it, all objects are meant that fit the other options.
        type: str
      namespace:
        description: Namespace; without it, the whole cluster.
        type: str
      label_selectors:
        description: Label selectors that the objects fit, if O(objects[].name) is not set.
        type: list
        elements: str
        default: []
      minimum:
        description:
          - How many objects must exist, if O(objects[].name) is not set; every object that exists must be ready.
          - With O(objects[].until=endpoints), how many addresses of the service must be ready.
        type: int
        default: 1
      until:
        description:
          - V(ready) follows C(kubectl rollout status) for Deployments, DaemonSets (with at least one pod wanted) and
            StatefulSets, completion for Jobs, and the conditions Ready, Reconciling and Stalled for other kinds.
          - V(exists) and V(deleted) look at existence only.
          - V(endpoints) counts the ready addresses of the service O(objects[].name).
          - V(condition) and V(expression) need the option of that name, which also implies them.
        type: str
        choices: [ready, exists, deleted, endpoints, condition, expression]
      condition:
        description: A condition that the object must have.
        type: dict
        suboptions:
          type:
            description: Type of the condition.
            type: str
            required: true
          status:
            description: Status of the condition.
            type: str
            choices: ["True", "False", "Unknown"]
            default: "True"
          reason:
            description: Reason of the condition, if that matters.
            type: str
      expression:
        description: A JMESPath expression over the object that must become true (not null, false or empty).
        type: str
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
      - Looks once instead of waiting. An object that is not ready is reported and does not fail the task, since the
        tasks before may only have been checked.
  diff_mode:
    support: none
  idempotent:
    support: full
seealso:
  - module: onprem.platform.k8s_apply
"""

EXAMPLES = r"""
- name: Six nodes, the cluster's DNS and its endpoints
  onprem.platform.k8s_wait:
    wait_timeout: 180
    objects:
      - api_version: v1
        kind: Node
        minimum: 6
      - api_version: apps/v1
        kind: Deployment
        namespace: kube-system
        name: coredns
      - api_version: v1
        kind: Service
        namespace: kube-system
        name: kube-dns
        until: endpoints
        minimum: 2

- name: A condition, an expression and a deletion
  onprem.platform.k8s_wait:
    objects:
      - api_version: v1
        kind: Pod
        namespace: shop
        name: web-0
        condition:
          type: Initialized
      - api_version: v1
        kind: PersistentVolumeClaim
        namespace: shop
        name: data
        expression: "status.phase == 'Bound'"
      - api_version: batch/v1
        kind: Job
        namespace: shop
        name: old-migration
        until: deleted
"""

RETURN = r"""
objects:
  description: The last verdict on each entry of O(objects), in their order.
  returned: always, unless the options are wrong
  type: list
  elements: dict
  contains:
    api_version:
      description: The apiVersion waited for.
      type: str
      sample: apps/v1
    kind:
      description: The kind waited for.
      type: str
      sample: Deployment
    namespace:
      description: The namespace waited in.
      type: str
      sample: kube-system
    name:
      description: The name waited for; empty if all objects of the selection are meant.
      type: str
      sample: coredns
    ready:
      description: Whether the wanted state is reached.
      type: bool
      sample: true
    message:
      description: What is missing, or what the object says of itself.
      type: str
      sample: 1 of 2 replicas are available
    seconds:
      description: Time from the start of the task until the state was reached.
      type: float
      sample: 4.213
requests:
  description: Requests sent to the API server.
  returned: always
  type: int
  sample: 6
writes:
  description: Always 0.
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
      sample: "Deployment shop/web cannot become ready"
"""

from typing import Any

from ..module_utils._kube_conditions import progressing
from ..module_utils._kube_errors import KubeConfigError
from ..module_utils._kube_module import PLAN_ARGUMENTS, WAIT_ARGUMENTS, KubeModule
from ..module_utils._kube_resources import Resources
from ..module_utils._kube_wait import Target, Waited, WaitError, check_expression


def make_target(index: int, entry: dict[str, Any]) -> Target:
    """Check one entry of the option and turn it into a target; raises KubeConfigError."""
    implied = "condition" if entry["condition"] else "expression" if entry["expression"] else "ready"
    until = entry["until"] or implied
    where = f"objects[{index}]"
    if until in ("condition", "expression") and not entry[until]:
        raise KubeConfigError(f"{where}: until={until} needs the option {until}")
    if until == "endpoints" and not (entry["name"] and entry["namespace"]):
        raise KubeConfigError(f"{where}: until=endpoints needs name and namespace of a service")
    if until == "expression":
        problem = check_expression(entry["expression"])
        if problem:
            raise KubeConfigError(f"{where}: {problem}")
    return Target(
        entry["api_version"],
        entry["kind"],
        entry["name"] or "",
        entry["namespace"] or "",
        tuple(entry["label_selectors"]),
        until,
        entry["condition"] or {},
        entry["expression"] or "",
        entry["minimum"],
    )


def work(module: KubeModule) -> dict[str, Any]:
    """Wait, or look once in check mode; raises KubeError."""
    targets = [make_target(index, entry) for index, entry in enumerate(module.params["objects"])]
    if module.cluster_is_planned():
        waited = [Waited(target, progressing("no cluster yet")) for target in targets]
    else:
        waiter = module.waiter(Resources(module.client))
        try:
            waited = waiter.look(targets) if module.check_mode else waiter.wait(targets, module.params["wait_timeout"])
        except WaitError as error:
            module.fail(error, objects=[entry.as_dict() for entry in error.waited])
    return {"changed": False, "objects": [entry.as_dict() for entry in waited], **module.request_counts()}


def main() -> None:
    """Entry point of the module."""
    condition = {
        "type": {"type": "str", "required": True},
        "status": {"type": "str", "choices": ["True", "False", "Unknown"], "default": "True"},
        "reason": {"type": "str"},
    }
    entry = {
        "api_version": {"type": "str", "required": True},
        "kind": {"type": "str", "required": True},
        "name": {"type": "str"},
        "namespace": {"type": "str"},
        "label_selectors": {"type": "list", "elements": "str", "default": []},
        "minimum": {"type": "int", "default": 1},
        "until": {"type": "str", "choices": ["ready", "exists", "deleted", "endpoints", "condition", "expression"]},
        "condition": {"type": "dict", "options": condition},
        "expression": {"type": "str"},
    }
    KubeModule(
        argument_spec={
            "objects": {"type": "list", "elements": "dict", "required": True, "options": entry},
            **PLAN_ARGUMENTS,
            **WAIT_ARGUMENTS,
        }
    ).run(work)


if __name__ == "__main__":
    main()
