#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Unseal the servers of a Vault cluster."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vault_unseal
short_description: Unseal the servers of a Vault cluster
version_added: 0.1.0
author:
  - onprem.platform contributors (@onprem-platform)
description:
  - Unseals each server by itself, because a seal belongs to a server and not to a service in front of several.
  - A raft server that has not joined its cluster yet is waited for.
  - When somebody began to unseal a server with other keys, that progress is reset first, by a request of its own.
    Vault ignores a key that comes with a reset.
  - Fails when a server is still sealed at the end.
extends_documentation_fragment:
  - onprem.platform.attributes
  - onprem.platform.attributes.reconciling
  - onprem.platform.attributes.vault_group
  - onprem.platform.vault
options:
  peers:
    description:
      - Addresses of the servers. The default is O(url) alone.
      - With O(kubernetes_port_forward), the first label of each host names the pod.
    type: list
    elements: str
  keys:
    description: Unseal keys, Base64 or hexadecimal; as many as the threshold.
    type: list
    elements: str
  key_file:
    description: Key file of M(onprem.platform.vault_init), in place of O(keys). It must hold keys in clear.
    type: path
  wait_timeout:
    description: Seconds to wait for a server to join its cluster, to become unsealed, and to have an active node.
    type: int
    default: 120
"""

EXAMPLES = r"""
- name: Unseal all servers with the keys in the key file
  onprem.platform.vault_unseal:
    peers:
      - https://vault-0.vault-internal:8200
      - https://vault-1.vault-internal:8200
      - https://vault-2.vault-internal:8200
    ca_cert: /etc/ssl/platform-ca.pem
    key_file: ~/vault/keys.json

- name: Unseal one server with keys that operators typed
  onprem.platform.vault_unseal:
    url: https://vault.example.org:8200
    keys: "{{ typed_keys }}"
"""

RETURN = r"""
unsealed:
  description: Addresses of the servers that were sealed before.
  returned: always
  type: list
  elements: str
  sample: [https://vault-0.vault-internal:8200]
peers:
  description: The servers after the call; in check mode before it.
  returned: always
  type: list
  elements: dict
  contains:
    url:
      description: Address.
      type: str
      sample: https://vault-0.vault-internal:8200
    initialized:
      description: Whether it is initialised.
      type: bool
      sample: true
    sealed:
      description: Whether it is sealed.
      type: bool
      sample: false
    version:
      description: Version of the server.
      type: str
      sample: 1.21.4
"""

from collections.abc import Mapping
from typing import Any

from ..module_utils._vault import VaultModule, run
from ..module_utils._vault_errors import (
    VaultConfigurationError,
    VaultError,
    VaultInvalidRequest,
    VaultSealed,
    VaultServerError,
    VaultUninitialised,
)
from ..module_utils._vault_key_file import KeyFile
from ..module_utils._vault_seal import PEERS_ARGUMENT, Peer, ask_peers, wait_argument, wait_for


def unseal_keys(params: Mapping[str, Any]) -> list[str]:
    """Return the keys that were given, or those of the key file.

    Raises VaultConfigurationError when there are none, or when they are encrypted.
    """
    if params["keys"]:
        return list(dict.fromkeys(key.strip() for key in params["keys"]))
    if not params["key_file"]:
        raise VaultConfigurationError("keys or key_file is needed.")
    file = KeyFile(params["key_file"])
    content = file.read()
    if content is None:
        raise VaultConfigurationError(f"The key file {file.path} is missing or empty.")
    if content.get("encrypted"):
        raise VaultConfigurationError(
            f"The keys in {file.path} are encrypted with PGP.", hint="Their holders decrypt them; give them as keys."
        )
    if content.get("recovery"):
        raise VaultConfigurationError(f"{file.path} holds recovery keys, which do not unseal.")
    return [str(key) for key in content.get("keys_base64") or []]


def unseal(peer: Peer, keys: list[str], wait_timeout: int) -> None:
    """Unseal one server, whose share counter is reset first if it has begun.

    Raises VaultError when the server is still sealed afterwards.
    """

    def joined() -> bool:
        peer.refresh()
        return peer.initialized

    if not peer.initialized and not wait_for(joined, wait_timeout):
        raise VaultUninitialised(
            f"{peer.url} is not initialised and did not join a cluster within {wait_timeout} s.",
            hint="Run vault_init first, and check retry_join and the server's log.",
        )
    kind = str(peer.status.get("type") or "shamir")
    if kind != "shamir":
        if wait_for(lambda: _is_unsealed(peer), wait_timeout):
            return
        raise VaultSealed(f"{peer.url} unseals itself ({kind}) but has not.", hint="Check its access to the seal.")
    threshold = int(peer.status.get("t") or 0)
    if len(keys) < threshold:
        raise VaultConfigurationError(f"{peer.url} needs {threshold} keys, {len(keys)} were given.")
    if peer.status.get("progress"):
        peer.client.request("PUT", "sys/unseal", body={"reset": True})
    try:
        for key in keys[:threshold]:
            peer.status = peer.client.request("PUT", "sys/unseal", body={"key": key}, repeatable=False)
            if not peer.sealed:
                return
    except (VaultInvalidRequest, VaultServerError) as error:
        raise VaultError(
            f"{peer.url} refuses the keys. {error.message}.", hint="They belong to another cluster, or one is wrong."
        ) from error
    if not wait_for(lambda: _is_unsealed(peer), wait_timeout):
        raise VaultSealed(f"{peer.url} is still sealed after {threshold} keys.", hint="Check the server's log.")


def _is_unsealed(peer: Peer) -> bool:
    peer.refresh()
    return not peer.sealed


def _has_active_node(peer: Peer) -> bool:
    try:
        leader = peer.client.request("GET", "sys/leader")
    except VaultError:
        return False
    return bool(leader.get("leader_address")) or not leader.get("ha_enabled")


def reconcile(module: VaultModule) -> dict[str, Any]:
    """Unseal every server that is sealed."""
    params = module.params
    peers = ask_peers(module)
    silent = [peer for peer in peers if peer.error]
    sealed = [peer for peer in peers if not peer.error and peer.sealed]
    diff = [
        {"before_header": peer.url, "before": {"sealed": True}, "after_header": peer.url, "after": {"sealed": False}}
        for peer in sealed
    ]
    if sealed and not module.check_mode:
        shamir = any(peer.status.get("type", "shamir") == "shamir" for peer in sealed)
        keys = unseal_keys(params) if shamir else []
        # servers that hold data first: the others can join only an unsealed one
        for peer in sorted(sealed, key=lambda peer: not peer.initialized):
            unseal(peer, keys, params["wait_timeout"])
        if not wait_for(lambda: any(_has_active_node(peer) for peer in sealed), params["wait_timeout"]):
            raise VaultError(
                "The servers are unsealed, but none became active.",
                hint="Check that a majority of the raft servers is running and can connect to each other.",
            )
    if silent:
        raise silent[0].error or VaultError("A server does not answer.")
    return {
        "changed": bool(sealed),
        "unsealed": [peer.url for peer in sealed],
        "peers": [peer.summary() for peer in peers],
        "diff": diff,
    }


def main() -> None:
    """Run the module."""
    run(
        {
            **PEERS_ARGUMENT,
            **wait_argument(120),
            "keys": {"type": "list", "elements": "str", "no_log": True},
            "key_file": {"type": "path", "no_log": False},
        },
        reconcile,
        mutually_exclusive=[("keys", "key_file")],
    )


if __name__ == "__main__":
    main()
