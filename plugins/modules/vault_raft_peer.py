#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take a server out of Vault's raft cluster."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vault_raft_peer
short_description: Take a server out of Vault's raft cluster
version_added: 0.1.0
author:
  - onprem.platform contributors (@onprem-platform)
description:
  - Removes a server, usually one that is lost, from the cluster that stores Vault's data.
    M(onprem.platform.vault_raft_info) lists the servers.
  - The leader is not removed, and no server without which the healthy voters were no majority, unless O(force=true).
  - A server joins by its own configuration (C(retry_join)). One that was removed has to lose its storage before it
    can join again.
extends_documentation_fragment:
  - onprem.platform.attributes
  - onprem.platform.attributes.reconciling
  - onprem.platform.attributes.vault_group
  - onprem.platform.vault
options:
  name:
    description: Name of the server, which raft calls node ID.
    type: str
    required: true
    aliases: [node_id, server_id]
  force:
    description: Remove the server although the cluster loses its leader or a healthy majority. The only server of a
      cluster is never removed.
    type: bool
    default: false
  state:
    description: The server is not part of the cluster.
    type: str
    choices: [absent]
    default: absent
"""

EXAMPLES = r"""
- name: The third server is lost
  onprem.platform.vault_raft_peer:
    url: https://vault.example.org:8200
    token: "{{ vault_token }}"
    name: vault-2
"""

RETURN = r"""
objects:
  description: What happened to the server.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name of the server.
      type: str
      sample: vault-2
    action:
      description: V(deleted) or V(unchanged).
      type: str
      sample: updated
    options:
      description: Options that differed.
      type: list
      elements: str
      sample: []
"""

from typing import Any

from ..module_utils._vault import VaultModule, run
from ..module_utils._vault_objects import carry_out
from ..module_utils._vault_raft import PEER_ARGUMENTS, PEER_KIND, plan_removal


def reconcile(module: VaultModule) -> dict[str, Any]:
    """Remove the server if it is part of the cluster."""
    return carry_out(module, PEER_KIND, [plan_removal(module.client(), module.params)])


def main() -> None:
    """Run the module."""
    run(PEER_ARGUMENTS, reconcile)


if __name__ == "__main__":
    main()
