#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep labels and taints of Nodes, or delete Nodes, from a control plane."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kubernetes_node
short_description: Keep labels and taints of Nodes, or delete Nodes, from a control plane
version_added: 0.1.0
author:
  - onprem.platform contributors (@onprem-platform)
description:
  - Runs on a control plane with kubeadm's own credentials and treats all nodes in one call.
  - Labels and taints that this module set before and that are no longer wanted are removed; an annotation of the Node
    remembers them. All others are left alone.
  - Optionally waits until the nodes are Ready, and says why one is not.
extends_documentation_fragment:
  - onprem.platform.attributes
attributes:
  check_mode:
    support: full
    details: Says which nodes would change; does not wait.
  diff_mode:
    support: full
    details: Shows labels and taints of the nodes that change.
  idempotent:
    support: full
    details: Only differences are written.
options:
  nodes:
    description: The nodes.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the node.
        type: str
        required: true
      labels:
        description: Labels.
        type: dict
        default: {}
      taints:
        description: Taints with key, value and effect.
        type: list
        elements: dict
        default: []
  state:
    description: V(absent) deletes the Node objects.
    type: str
    choices: [present, absent]
    default: present
  ready_timeout:
    description: Seconds to wait until all the nodes are Ready; 0 does not wait.
    type: int
    default: 0
  advertise_address:
    description: Address of this host's API server.
    type: str
    required: true
  bind_port:
    description: Port of this host's API server.
    type: int
    default: 6443
"""

EXAMPLES = r"""
- name: Label the workers and wait for all nodes
  onprem.platform.kubernetes_node:
    advertise_address: 192.0.2.11
    ready_timeout: 300
    nodes:
      - name: cp1
      - name: w1
        labels: {topology.kubernetes.io/zone: rack-1}

- name: Forget a node
  onprem.platform.kubernetes_node:
    advertise_address: 192.0.2.11
    state: absent
    nodes:
      - name: w3
"""

RETURN = r"""
changed_nodes:
  description: Names of the nodes that were changed or deleted, or would be.
  returned: always
  type: list
  elements: str
"""

import json
import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._kubeadm_api import KubeadmError, KubernetesApi

ANNOTATION = "onprem.platform/node-settings"
NODES = "/api/v1/nodes"


def wanted_patch(live: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    """Merge patch that brings labels and taints to what is wanted; empty when they are.

    The annotation holds what was set before: only that may be removed.
    """
    metadata = live["metadata"]
    before = json.loads((metadata.get("annotations") or {}).get(ANNOTATION, "{}"))
    labels = {str(key): str(value) for key, value in wanted["labels"].items()}
    present = metadata.get("labels") or {}
    label_patch: dict[str, Any] = {key: value for key, value in labels.items() if present.get(key) != value}
    label_patch.update({key: None for key in before.get("labels", []) if key not in labels and key in present})
    taints = [{key: str(value) for key, value in taint.items() if value} for taint in wanted["taints"]]
    owned = {(taint["key"], taint["effect"]) for taint in taints} | {tuple(pair) for pair in before.get("taints", [])}
    live_taints = live["spec"].get("taints") or []
    others = [taint for taint in live_taints if (taint["key"], taint["effect"]) not in owned]
    new_taints = others + taints
    settings = {"labels": sorted(labels), "taints": sorted([taint["key"], taint["effect"]] for taint in taints)}
    patch: dict[str, Any] = {}
    if label_patch:
        patch.setdefault("metadata", {})["labels"] = label_patch
    if sorted(new_taints, key=repr) != sorted(live_taints, key=repr):
        patch["spec"] = {"taints": new_taints}
    if settings != (before or {"labels": [], "taints": []}):
        patch.setdefault("metadata", {})["annotations"] = {ANNOTATION: json.dumps(settings, sort_keys=True)}
    return patch


def apply(api: KubernetesApi, parameters: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Bring all nodes to the wanted state; returns the module's result. Raises KubeadmError."""
    changed: list[str] = []
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    for wanted in parameters["nodes"]:
        name = wanted["name"]
        live = api.request("GET", f"{NODES}/{name}", missing_ok=True)
        if parameters["state"] == "absent":
            if live:
                changed.append(name)
                before[name] = "present"
                if not check_mode:
                    api.request("DELETE", f"{NODES}/{name}", missing_ok=True)
            continue
        if not live and check_mode:
            continue
        if not live:
            raise KubeadmError(f"node {name} does not exist: it has not joined")
        patch = wanted_patch(live, wanted)
        if not patch:
            continue
        changed.append(name)
        before[name] = {"labels": live["metadata"].get("labels"), "taints": live["spec"].get("taints")}
        after[name] = patch
        if not check_mode:
            version = {"resourceVersion": live["metadata"]["resourceVersion"]}
            patch["metadata"] = {**patch.get("metadata", {}), **version}
            api.request("PATCH", f"{NODES}/{name}", patch, "application/merge-patch+json")
    diff = {"before": before, "after": after}
    return {"changed": bool(changed), "changed_nodes": changed, "diff": diff}


def wait_ready(api: KubernetesApi, names: list[str], timeout: float) -> None:
    """Wait until every named node is Ready. Raises KubeadmError with what each one says."""
    deadline = time.monotonic() + timeout
    while True:
        waiting = dict.fromkeys(names, "it has not registered")
        for node in api.request("GET", NODES)["items"]:
            ready: dict[str, Any] = next(
                (item for item in node["status"].get("conditions", []) if item["type"] == "Ready"), {}
            )
            if ready.get("status") == "True":
                waiting.pop(node["metadata"]["name"], None)
            elif node["metadata"]["name"] in waiting:
                waiting[node["metadata"]["name"]] = str(ready.get("message") or "no status yet")
        if not waiting:
            return
        if time.monotonic() >= deadline:
            reasons = "; ".join(f"{name}: {reason}" for name, reason in sorted(waiting.items()))
            raise KubeadmError(f"after {timeout:.0f} s these nodes are not Ready: {reasons}")
        time.sleep(1)


def main() -> None:
    """Run the module."""
    node = {
        "name": {"type": "str", "required": True},
        "labels": {"type": "dict", "default": {}},
        "taints": {"type": "list", "elements": "dict", "default": []},
    }
    module = AnsibleModule(
        argument_spec={
            "nodes": {"type": "list", "elements": "dict", "required": True, "options": node},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "ready_timeout": {"type": "int", "default": 0},
            "advertise_address": {"type": "str", "required": True},
            "bind_port": {"type": "int", "default": 6443},
        },
        supports_check_mode=True,
    )
    parameters = module.params
    try:
        api = KubernetesApi.local("/etc/kubernetes", parameters["advertise_address"], parameters["bind_port"])
        result = apply(api, parameters, module.check_mode)
        if parameters["ready_timeout"] and parameters["state"] == "present" and not module.check_mode:
            wait_ready(api, [node["name"] for node in parameters["nodes"]], parameters["ready_timeout"])
    except KubeadmError as error:
        module.fail_json(msg=f"Nodes: {error}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
