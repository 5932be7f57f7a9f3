#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell about roles of Vault's Kubernetes auth method."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vault_kubernetes_role_info
short_description: Tell about roles of Vault's Kubernetes auth method
version_added: 0.1.0
author:
  - onprem.platform contributors (@onprem-platform)
description:
  - Returns the names of the roles, or the settings of some, as M(onprem.platform.vault_kubernetes_role) compares
    them.
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
    description: Path of the Kubernetes auth method.
    type: str
    default: kubernetes
    aliases: [engine_mount_point]
"""

EXAMPLES = r"""
- name: What shop may do
  onprem.platform.vault_kubernetes_role_info:
    url: https://vault.example.org:8200
    token: "{{ vault_token }}"
    names: [shop]
"""

RETURN = r"""
names:
  description: Names of all roles, or of those asked for that exist.
  returned: always
  type: list
  elements: str
  sample: [shop]
objects:
  description: The roles that were asked for and exist.
  returned: with O(names)
  type: list
  elements: dict
  contains:
    name:
      description: Name of the role.
      type: str
      sample: shop
    bound_service_account_names:
      description: Service accounts that may log in.
      type: list
      elements: str
      sample: [shop]
    bound_service_account_namespaces:
      description: Namespaces of these service accounts.
      type: list
      elements: str
      sample: [shop]
    token_policies:
      description: Policies of the tokens.
      type: list
      elements: str
      sample: [shop]
    token_ttl:
      description: Lifetime of the tokens in seconds; 0 means the default of Vault.
      type: int
      sample: 600
"""

from typing import Any

from ..module_utils._vault import VaultModule, run
from ..module_utils._vault_kubernetes import AUTH_PATH
from ..module_utils._vault_listing import list_or_read


def reconcile(module: VaultModule) -> dict[str, Any]:
    """Read the roles."""
    path = f"auth/{module.params['auth_path'].strip('/')}/role"
    return list_or_read(module.client(), path, module.params["names"])


def main() -> None:
    """Run the module."""
    run({"names": {"type": "list", "elements": "str"}, "auth_path": AUTH_PATH}, reconcile)


if __name__ == "__main__":
    main()
