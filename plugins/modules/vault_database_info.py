#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell about connections and roles of Vault's database secrets engine."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vault_database_info
short_description: Tell about connections and roles of Vault's database secrets engine
version_added: 0.1.0
author:
  - onprem.platform contributors (@onprem-platform)
description:
  - Returns connections, roles and static roles of one engine. It reads each of them once.
  - No secret is returned. Details of a connection that are not known to be public are hidden, an address with a
    password in it too.
extends_documentation_fragment:
  - onprem.platform.attributes
  - onprem.platform.attributes.info
  - onprem.platform.attributes.vault_group
  - onprem.platform.vault
options:
  engine_mount_point:
    description: Path of the database secrets engine.
    type: str
    default: database
    aliases: [mount_path]
"""

EXAMPLES = r"""
- name: Which roles does the shop's database have
  onprem.platform.vault_database_info:
    url: https://vault.example.org:8200
    token: "{{ vault_token }}"
"""

RETURN = r"""
connections:
  description: The connections, sorted by name.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name.
      type: str
      sample: shop-mariadb
    plugin_name:
      description: Name of the plugin.
      type: str
      sample: mysql-database-plugin
    plugin_version:
      description: Version of a plugin that is not built in.
      type: str
      sample: ""
    allowed_roles:
      description: Roles that may use the connection.
      type: list
      elements: str
      sample: [shop]
    connection_url:
      description: Address; hidden when it holds a password.
      type: str
      sample: "{{username}}:{{password}}@tcp(mariadb.shop.svc:3306)/"
    root_rotation_statements:
      description: Statements that change the password of Vault's user.
      type: list
      elements: str
      sample: []
    password_policy:
      description: Password policy for dynamic users.
      type: str
      sample: ""
    root_rotated_at:
      description: When M(onprem.platform.vault_database_rotate_root) rotated the password last; empty if never.
      type: str
      sample: "2026-11-21T09:48:00Z"
    details:
      description: Further details, as the plugin keeps them.
      type: dict
      sample: {username: vault}
roles:
  description: The dynamic roles, sorted by name.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name.
      type: str
      sample: shop
    db_name:
      description: Name of the connection.
      type: str
      sample: shop-mariadb
    default_ttl:
      description: Lifetime of a lease in seconds; 0 inherits the engine's.
      type: int
      sample: 3600
    creation_statements:
      description: Statements that make a user.
      type: list
      elements: str
      sample: ["CREATE USER '{{name}}'@'%' IDENTIFIED BY '{{password}}'"]
static_roles:
  description: The static roles, sorted by name.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name.
      type: str
      sample: shop-reports
    db_name:
      description: Name of the connection.
      type: str
      sample: shop-mariadb
    username:
      description: User of the database.
      type: str
      sample: reports
    last_vault_rotation:
      description: When the password was rotated last (RFC 3339).
      type: str
      sample: "2026-11-21T02:00:03.123456789Z"
"""

from typing import Any

from ..module_utils._vault import VaultModule, run
from ..module_utils._vault_database import ENGINE_MOUNT_POINT, public_connection
from ..module_utils._vault_listing import list_names, read_objects


def reconcile(module: VaultModule) -> dict[str, Any]:
    """Read everything below the engine."""
    client, mount = module.client(), module.params["engine_mount_point"].strip("/")
    found = {
        kind: read_objects(client, f"{mount}/{kind}", list_names(client, f"{mount}/{kind}"))
        for kind in ("config", "roles", "static-roles")
    }
    return {
        "changed": False,
        "connections": [public_connection(item["name"], item) for item in found["config"]],
        "roles": found["roles"],
        "static_roles": found["static-roles"],
    }


def main() -> None:
    """Run the module."""
    run({"engine_mount_point": ENGINE_MOUNT_POINT}, reconcile)


if __name__ == "__main__":
    main()
