#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Manage secrets engines of Vault."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vault_mount
short_description: Manage secrets engines of Vault
version_added: 0.1.0
author:
  - onprem.platform contributors (@onprem-platform)
description:
  - Enables, tunes and disables secrets engines.
  - Whether a mount exists, and of which type, is taken from the list of mounts. The tune endpoint answers for the
    longest prefix and with effective instead of configured values.
  - What Vault cannot change (type, O(local), O(seal_wrap)) is an error and never a silent replacement.
extends_documentation_fragment:
  - onprem.platform.attributes
  - onprem.platform.attributes.reconciling
  - onprem.platform.attributes.vault_group
  - onprem.platform.vault
  - onprem.platform.vault_mount
options:
  external_entropy_access:
    description: Whether the engine may use an external entropy source. Cannot be changed later.
    type: bool
"""

EXAMPLES = r"""
- name: Versioned key-value store
  onprem.platform.vault_mount:
    url: https://vault.example.org:8200
    token: "{{ vault_token }}"
    path: kv
    type: kv-v2
    description: Secrets of the applications

- name: Database engine with leases of an hour
  onprem.platform.vault_mount:
    url: https://vault.example.org:8200
    token: "{{ vault_token }}"
    type: database
    default_lease_ttl: 1h
    max_lease_ttl: 24h
"""

RETURN = r"""
objects:
  description: What happened to the mount.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Path of the mount.
      type: str
      sample: kv
    action:
      description: V(created), V(updated), V(deleted) or V(unchanged).
      type: str
      sample: created
    options:
      description: Options that differed.
      type: list
      elements: str
      sample: [max_lease_ttl]
"""

from typing import Any

from ..module_utils._vault import VaultModule, run
from ..module_utils._vault_mounts import ENGINE_ARGUMENTS, ENGINE_KIND, plan_engine
from ..module_utils._vault_objects import carry_out


def reconcile(module: VaultModule) -> dict[str, Any]:
    """Bring the secrets engine about."""
    return carry_out(module, ENGINE_KIND, [plan_engine(module.client(), module.params)])


def main() -> None:
    """Run the module."""
    run(ENGINE_ARGUMENTS, reconcile)


if __name__ == "__main__":
    main()
