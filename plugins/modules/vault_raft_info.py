#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell about the servers of Vault's raft cluster."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vault_raft_info
short_description: Tell about the servers of Vault's raft cluster
version_added: 0.1.0
author:
  - onprem.platform contributors (@onprem-platform)
description:
  - Returns the servers that store Vault's data together, and what the leader thinks of their health.
  - Needs C(read) on C(sys/storage/raft/configuration) and C(sys/storage/raft/autopilot/state).
extends_documentation_fragment:
  - onprem.platform.attributes
  - onprem.platform.attributes.info
  - onprem.platform.attributes.vault_group
  - onprem.platform.vault
"""

EXAMPLES = r"""
- name: Servers and their health
  onprem.platform.vault_raft_info:
    url: https://vault.example.org:8200
    token: "{{ vault_token }}"
  register: vault_raft
"""

RETURN = r"""
leader:
  description: Name of the leader.
  returned: always
  type: str
  sample: vault-0
healthy:
  description: Whether all servers are healthy.
  returned: always
  type: bool
  sample: true
failure_tolerance:
  description: How many servers may be lost before Vault stops.
  returned: always
  type: int
  sample: 1
peers:
  description: The servers, sorted by name.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name, which raft calls node ID.
      type: str
      sample: vault-0
    address:
      description: Address for the other servers.
      type: str
      sample: vault-0.vault-internal:8201
    leader:
      description: Whether it is the leader.
      type: bool
      sample: true
    voter:
      description: Whether it takes part in elections.
      type: bool
      sample: true
    healthy:
      description: Whether the leader finds it healthy.
      type: bool
      sample: true
    status:
      description: What autopilot calls its state.
      type: str
      sample: leader
    version:
      description: Version of the server.
      type: str
      sample: 1.21.4
    last_contact:
      description: Time since the leader heard from it.
      type: str
      sample: 0s
"""

from typing import Any

from ..module_utils._vault import VaultModule, run
from ..module_utils._vault_raft import read_health, read_peers

HEALTH = {"healthy": False, "status": "", "version": "", "last_contact": ""}


def reconcile(module: VaultModule) -> dict[str, Any]:
    """Read the servers and their health."""
    client = module.client()
    peers, health = read_peers(client), read_health(client)
    servers = health.get("servers") or {}
    for peer in peers:
        known = servers.get(peer["name"]) or {}
        peer.update({key: known.get(key, absent) for key, absent in HEALTH.items()})
    return {
        "changed": False,
        "leader": next((peer["name"] for peer in peers if peer["leader"]), ""),
        "healthy": bool(health.get("healthy")),
        "failure_tolerance": int(health.get("failure_tolerance") or 0),
        "peers": peers,
    }


def main() -> None:
    """Run the module."""
    run({}, reconcile)


if __name__ == "__main__":
    main()
