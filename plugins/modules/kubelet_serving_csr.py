#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Approve the serving certificates of kubelets, for known nodes and their own names only."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kubelet_serving_csr
short_description: Approve the serving certificates of kubelets, for known nodes and their own names only
version_added: 0.1.0
author:
  - onprem.platform contributors (@onprem-platform)
description:
  - Runs on a control plane with kubeadm's own credentials and treats all pending requests of the signer
    C(kubernetes.io/kubelet-serving) in one call.
  - A request is approved when it was made by the node itself, its subject is that node, and it asks for nothing but
    names and addresses that O(nodes) lists. Every other request stays pending and is reported with the reason.
extends_documentation_fragment:
  - onprem.platform.attributes
attributes:
  check_mode:
    support: full
    details: Says which requests would be approved; does not wait.
  diff_mode:
    support: none
    details: The result lists the requests.
  idempotent:
    support: full
    details: Without pending requests nothing happens.
options:
  nodes:
    description: The nodes whose requests may be approved.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the node.
        type: str
        required: true
      names:
        description: Names and addresses that its certificate may hold, beside its own name.
        type: list
        elements: str
        default: []
  wait_for:
    description: Nodes whose kubelet must have a serving certificate at the end, such as those that just joined.
    type: list
    elements: str
    default: []
  timeout:
    description: Seconds to wait for them.
    type: int
    default: 120
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
- name: Approve the serving certificates of the inventory's nodes
  onprem.platform.kubelet_serving_csr:
    advertise_address: 192.0.2.11
    nodes:
      - {name: cp1, names: [192.0.2.11]}
      - {name: w1, names: [192.0.2.21]}
    wait_for: [w1]
"""

RETURN = r"""
approved:
  description: Nodes whose request was approved, or would be.
  returned: always
  type: list
  elements: str
refused:
  description: Requests that stay pending, each with the reason.
  returned: always
  type: list
  elements: str
"""

import base64
import re
import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._certificate import CertificateError, openssl
from ..module_utils._kubeadm_api import KubeadmError, KubernetesApi

SIGNER = "kubernetes.io/kubelet-serving"
REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
PENDING = f"{REQUESTS}?fieldSelector=spec.signerName%3D{SIGNER.replace('/', '%2F')}"
USAGES = {"digital signature", "key encipherment", "server auth"}


def refusal(request: dict[str, Any], allowed: dict[str, set[str]]) -> str:
    """Why a request must not be approved; empty when it may. ``allowed`` holds names and addresses by node name."""
    spec = request["spec"]
    user = str(spec.get("username", ""))
    node = user[len("system:node:") :] if user.startswith("system:node:") else ""
    if node not in allowed:
        return f"{user or 'nobody'} is no node of the inventory"
    if "system:nodes" not in spec.get("groups", []):
        return f"{user} is not in the group system:nodes"
    if not {"server auth"} <= set(spec.get("usages", [])) <= USAGES:
        return f"its usages are {', '.join(spec.get('usages', []))}"
    try:
        pem = base64.b64decode(spec["request"]).decode("ascii")
        text = openssl(["req", "-noout", "-subject", "-text", "-verify", "-nameopt", "RFC2253"], pem)
    except (ValueError, CertificateError) as error:
        return f"it cannot be read: {error}"
    subject = re.search(r"^subject=\s*(.*)$", text, re.M)
    parts = set((subject.group(1) if subject else "").split(","))
    if parts != {f"CN={user}", "O=system:nodes"}:
        return f"its subject is {subject.group(1) if subject else 'empty'}"
    if re.search(r"\b(email|URI|othername|dirName):", text):
        return "it asks for names that are neither DNS names nor addresses"
    asked = {value for _kind, value in re.findall(r"(DNS|IP Address):([^\s,]+)", text)}
    if not asked:
        return "it names nothing"
    strange = sorted(asked - allowed[node])
    return f"it asks for {', '.join(strange)}" if strange else ""


def conditions(request: dict[str, Any]) -> set[str]:
    """Types of the request's conditions: Approved, Denied, Failed."""
    return {item["type"] for item in request.get("status", {}).get("conditions") or []}


def approve(api: KubernetesApi, request: dict[str, Any]) -> None:
    """Approve one request."""
    condition = {
        "type": "Approved",
        "status": "True",
        "reason": "InventoryNode",
        "message": "The node is in the inventory and asks for its own names only.",
    }
    body = {**request, "status": {**request.get("status", {}), "conditions": [condition]}}
    api.request("PUT", f"{REQUESTS}/{request['metadata']['name']}/approval", body)


def sweep(api: KubernetesApi, parameters: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Approve what may be approved until the awaited nodes have their certificate. Raises KubeadmError."""
    allowed = {entry["name"]: {entry["name"], *entry["names"]} for entry in parameters["nodes"]}
    approved: list[str] = []
    seen: set[str] = set()
    waiting = set(parameters["wait_for"])
    deadline = time.monotonic() + parameters["timeout"]
    while True:
        refused = {}
        for request in api.request("GET", PENDING).get("items") or []:
            node = str(request["spec"].get("username", ""))[len("system:node:") :]
            name = request["metadata"]["name"]
            if conditions(request):
                if request.get("status", {}).get("certificate"):
                    waiting.discard(node)
                continue
            reason = refusal(request, allowed)
            if reason:
                refused[name] = f"{name}: {reason}"
            elif name not in seen:
                if not check_mode:
                    approve(api, request)
                seen.add(name)
                approved.append(node)
        if check_mode or not waiting:
            return {"changed": bool(approved), "approved": sorted(set(approved)), "refused": sorted(refused.values())}
        if time.monotonic() >= deadline:
            detail = f" Refused: {'; '.join(refused.values())}." if refused else ""
            raise KubeadmError(f"no serving certificate for {', '.join(sorted(waiting))} in time.{detail}")
        time.sleep(0.5)


def main() -> None:
    """Run the module."""
    node = {"name": {"type": "str", "required": True}, "names": {"type": "list", "elements": "str", "default": []}}
    module = AnsibleModule(
        argument_spec={
            "nodes": {"type": "list", "elements": "dict", "required": True, "options": node},
            "wait_for": {"type": "list", "elements": "str", "default": []},
            "timeout": {"type": "int", "default": 120},
            "advertise_address": {"type": "str", "required": True},
            "bind_port": {"type": "int", "default": 6443},
        },
        supports_check_mode=True,
    )
    parameters = module.params
    try:
        api = KubernetesApi.local("/etc/kubernetes", parameters["advertise_address"], parameters["bind_port"])
        module.exit_json(**sweep(api, parameters, module.check_mode))
    except KubeadmError as error:
        module.fail_json(msg=f"Serving certificates of kubelets: {error}")


if __name__ == "__main__":
    main()
