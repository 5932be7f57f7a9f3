#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell about roles of Vault's AppRole auth method."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vault_approle_role_info
short_description: Tell about roles of Vault's AppRole auth method
version_added: 0.1.0
author:
  - onprem.platform contributors (@onprem-platform)
description:
  - Returns the names of the roles, or the settings of some, as M(onprem.platform.vault_approle_role) compares them.
  - The RoleID of each role is returned too. SecretIDs cannot be read.
extends_documentation_fragment:
  - onprem.platform.attributes
  - onprem.platform.attributes.info
  - onprem.platform.attributes.vault_group
  - onprem.platform.vault
options:
  names:
    description: Roles whose settings are returned. Without it, only names are listed.
    type: list
    elements: str
  auth_path:
    description: Path of the AppRole auth method.
    type: str
    default: approle
    aliases: [engine_mount_point]
"""

EXAMPLES = r"""
- name: What pipeline may do
  onprem.platform.vault_approle_role_info:
    url: https://vault.example.org:8200
    token: "{{ vault_token }}"
    names: [pipeline]
"""

RETURN = r"""
names:
  description: Names of all roles, or of those asked for that exist.
  returned: always
  type: list
  elements: str
  sample: [pipeline]
objects:
  description: The roles that were asked for and exist.
  returned: with O(names)
  type: list
  elements: dict
  contains:
    name:
      description: Name of the role.
      type: str
      sample: pipeline
    role_id:
      description: RoleID with which one logs in. It is a name, not a secret.
      type: str
      sample: 59d6d1ca-47bb-4e7e-a40b-8be3bc5a0ba8
    secret_id_ttl:
      description: Lifetime of a SecretID in seconds; 0 means for ever.
      type: int
      sample: 86400
    token_policies:
      description: Policies of the tokens.
      type: list
      elements: str
      sample: [pipeline]
    token_ttl:
      description: Lifetime of the tokens in seconds; 0 means the default of Vault.
      type: int
      sample: 600
"""

from typing import Any

from ..module_utils._vault import VaultModule, run
from ..module_utils._vault_approle import AUTH_PATH, read_role_id
from ..module_utils._vault_listing import list_or_read


def reconcile(module: VaultModule) -> dict[str, Any]:
    """Read the roles."""
    client, path = module.client(), f"auth/{module.params['auth_path'].strip('/')}/role"
    result = list_or_read(client, path, module.params["names"])
    for role in result.get("objects", []):
        role["role_id"] = read_role_id(client, f"{path}/{role['name']}")
    return result


def main() -> None:
    """Run the module."""
    run({"names": {"type": "list", "elements": "str"}, "auth_path": AUTH_PATH}, reconcile)


if __name__ == "__main__":
    main()
