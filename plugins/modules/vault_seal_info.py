#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell whether the servers of a Vault cluster are initialised, sealed and active."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vault_seal_info
short_description: Tell whether the servers of a Vault cluster are initialised, sealed and active
version_added: 0.1.0
author:
  - onprem.platform contributors (@onprem-platform)
description:
  - Asks each server for its seal and its part in the cluster. No token is needed.
  - A server that does not answer is part of the result and no failure.
extends_documentation_fragment:
  - onprem.platform.attributes
  - onprem.platform.attributes.info
  - onprem.platform.attributes.vault_group
  - onprem.platform.vault
options:
  peers:
    description:
      - Addresses of the servers. The default is O(url) alone.
      - With O(kubernetes_port_forward), the first label of each host names the pod.
    type: list
    elements: str
"""

EXAMPLES = r"""
- name: State of all servers
  onprem.platform.vault_seal_info:
    peers:
      - https://vault-0.vault-internal:8200
      - https://vault-1.vault-internal:8200
      - https://vault-2.vault-internal:8200
    ca_cert: /etc/ssl/platform-ca.pem
  register: vault_state
"""

RETURN = r"""
initialized:
  description: Whether any server is initialised.
  returned: always
  type: bool
  sample: true
sealed:
  description: Whether any server is sealed or silent.
  returned: always
  type: bool
  sample: false
active:
  description: Address of the active server among those asked; empty when there is none.
  returned: always
  type: str
  sample: https://vault-0.vault-internal:8200
peers:
  description: Each server.
  returned: always
  type: list
  elements: dict
  contains:
    url:
      description: Address.
      type: str
      sample: https://vault-0.vault-internal:8200
    reachable:
      description: Whether it answered.
      type: bool
      sample: true
    error:
      description: Why it did not.
      type: str
      returned: when it did not answer
      sample: No answer from https://vault-0.vault-internal:8200.
    initialized:
      description: Whether it is initialised.
      type: bool
      sample: true
    sealed:
      description: Whether it is sealed.
      type: bool
      sample: false
    active:
      description: Whether it is the active server.
      type: bool
      sample: true
    type:
      description: Kind of the seal.
      type: str
      sample: shamir
    shares:
      description: Number of keys.
      type: int
      sample: 5
    threshold:
      description: Number of keys that unseal.
      type: int
      sample: 3
    progress:
      description: Number of keys given so far.
      type: int
      sample: 0
    version:
      description: Version of the server.
      type: str
      sample: 1.21.4
    storage_type:
      description: Kind of the storage.
      type: str
      sample: raft
"""

from typing import Any

from ..module_utils._vault import VaultModule, run
from ..module_utils._vault_errors import VaultError
from ..module_utils._vault_seal import PEERS_ARGUMENT, Peer, ask_peers


def is_active(peer: Peer) -> bool:
    """Whether the server is the active one; a server without high availability is."""
    if peer.error or peer.sealed:
        return False
    try:
        leader = peer.client.request("GET", "sys/leader")
    except VaultError:
        return False
    return bool(leader.get("is_self")) or not leader.get("ha_enabled")


def reconcile(module: VaultModule) -> dict[str, Any]:
    """Ask all servers."""
    peers = ask_peers(module)
    summaries = [{**peer.summary(), "active": is_active(peer)} for peer in peers]
    return {
        "changed": False,
        "initialized": any(peer.initialized for peer in peers),
        "sealed": any(peer.sealed for peer in peers),
        "active": next((summary["url"] for summary in summaries if summary["active"]), ""),
        "peers": summaries,
    }


def main() -> None:
    """Run the module."""
    run(PEERS_ARGUMENT, reconcile)


if __name__ == "__main__":
    main()
