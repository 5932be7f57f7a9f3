#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mint or revoke what a node needs to join a kubeadm cluster."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kubeadm_join_credentials
short_description: Mint or revoke what a node needs to join a kubeadm cluster
version_added: 0.1.0
author:
  - onprem.platform contributors (@onprem-platform)
description:
  - Runs on a control plane. V(present) first revokes what an earlier run left, then makes a bootstrap token and, for
    control planes, the Secret C(kubeadm-certs) with a fresh key. V(absent) revokes both.
  - Only tokens with the description C(onprem.platform join) are touched.
  - Mint when a node must join, in a block whose C(always) revokes. Set C(no_log) on the task that mints, since its
    result holds the credentials.
extends_documentation_fragment:
  - onprem.platform.attributes
attributes:
  check_mode:
    support: full
    details: Mints and revokes nothing and returns no credentials.
  diff_mode:
    support: none
    details: The objects are credentials.
  idempotent:
    support: partial
    details: V(absent) is; V(present) makes new credentials each time, which is its purpose.
options:
  state:
    description: Whether credentials exist.
    type: str
    choices: [present, absent]
    default: present
  control_planes:
    description: Also share the authorities' keys, encrypted, for joining control planes.
    type: bool
    default: false
  token_minutes:
    description: Lifetime of the token, should it not be revoked.
    type: int
    default: 30
  node_name:
    description: Name of this node.
    type: str
    required: true
  advertise_address:
    description: Address of this node's API server.
    type: str
    required: true
  bind_port:
    description: Port of this node's API server.
    type: int
    default: 6443
seealso:
  - module: onprem.platform.kubeadm_node
"""

EXAMPLES = r"""
- name: Mint join credentials
  onprem.platform.kubeadm_join_credentials:
    node_name: cp1
    advertise_address: 192.0.2.11
    control_planes: true
  register: credentials
  no_log: true

- name: Revoke join credentials
  onprem.platform.kubeadm_join_credentials:
    state: absent
    node_name: cp1
    advertise_address: 192.0.2.11
"""

RETURN = r"""
token:
  description: The bootstrap token. Secret.
  returned: when O(state=present), not in check mode
  type: str
certificate_key:
  description: Key of the Secret C(kubeadm-certs); empty without O(control_planes). Secret.
  returned: when O(state=present), not in check mode
  type: str
revoked:
  description: Names of the Secrets that were deleted.
  returned: always
  type: list
  elements: str
"""

import datetime
import secrets
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils import _kubeadm_node as node
from ..module_utils import _kubeadm_run as runner
from ..module_utils import _kubeadm_state as state
from ..module_utils._kubeadm_api import KubeadmError, KubernetesApi

ARGUMENTS = {
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "control_planes": {"type": "bool", "default": False},
    "token_minutes": {"type": "int", "default": 30, "no_log": False},
    "node_name": {"type": "str", "required": True},
    "advertise_address": {"type": "str", "required": True},
    "bind_port": {"type": "int", "default": 6443},
}
SECRETS = f"{state.KUBE_SYSTEM}/secrets"


def revoke(api: KubernetesApi, check_mode: bool) -> list[str]:
    """Delete every credential of this collection; returns the names of their Secrets."""
    names = state.bootstrap_tokens(api)
    if api.request("GET", f"{SECRETS}/kubeadm-certs", missing_ok=True):
        names.append("kubeadm-certs")
    for name in names if not check_mode else []:
        api.request("DELETE", f"{SECRETS}/{name}", missing_ok=True)
    return names


def mint(api: KubernetesApi, parameters: dict[str, Any]) -> dict[str, str]:
    """Make a token and, when asked for, share the authorities' keys. Raises KubeadmError."""
    token = node.new_token()
    identifier, secret = token.split(".")
    end = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=parameters["token_minutes"])
    data = {
        "description": state.TOKEN_DESCRIPTION,
        "token-id": identifier,
        "token-secret": secret,
        "expiration": end.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "usage-bootstrap-authentication": "true",
        "auth-extra-groups": "system:bootstrappers:kubeadm:default-node-token",
    }
    metadata = {"name": f"bootstrap-token-{identifier}", "namespace": "kube-system"}
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data}
    api.request("POST", SECRETS, {**body, "type": "bootstrap.kubernetes.io/token"})
    key = ""
    if parameters["control_planes"]:
        key = secrets.token_hex(32)
        version = runner.run(["kubeadm", "version", "-o", "short"], 30).output[-1]
        local = {"advertiseAddress": parameters["advertise_address"], "bindPort": parameters["bind_port"]}
        api_version = "kubeadm.k8s.io/v1beta4"
        registration = {"name": parameters["node_name"], "criSocket": "unix:///run/containerd/containerd.sock"}
        initial = {"apiVersion": api_version, "kind": "InitConfiguration", "certificateKey": key}
        documents: list[dict[str, Any]] = [
            {**initial, "localAPIEndpoint": local, "nodeRegistration": registration},
            {"apiVersion": api_version, "kind": "ClusterConfiguration", "kubernetesVersion": version},
        ]
        done = runner.kubeadm(["init", "phase", "upload-certs", "--upload-certs"], documents, 120)
        if done.code != 0:
            raise KubeadmError(f"the authorities' keys cannot be shared:\n{done.last_lines()}")
    return {"token": token, "certificate_key": key}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    parameters = module.params
    try:
        api = KubernetesApi.local("/etc/kubernetes", parameters["advertise_address"], parameters["bind_port"])
        revoked = revoke(api, module.check_mode)
        if parameters["state"] == "absent":
            module.exit_json(changed=bool(revoked), revoked=revoked)
        minted = {} if module.check_mode else mint(api, parameters)
        module.exit_json(changed=True, revoked=revoked, **minted)
    except KubeadmError as error:
        module.fail_json(msg=f"Join credentials on {parameters['node_name']}: {error}")


if __name__ == "__main__":
    main()
