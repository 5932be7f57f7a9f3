#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Manage connections of Vault's database secrets engine."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vault_database_connection
short_description: Manage connections of Vault's database secrets engine
version_added: 0.1.0
author:
  - onprem.platform contributors (@onprem-platform)
description:
  - Creates, updates and deletes database connections.
  - The password is sent when the connection is made, and later only with O(update_password=always). After
    M(onprem.platform.vault_database_rotate_root) only Vault knows the password; a repeated run neither sends nor
    compares the first one.
  - The address must hold C({{username}}) and C({{password}}) in place of credentials, because Vault can rotate only
    what it fills in itself, and masks what it finds there.
  - Vault merges an update into what is stored. A plugin option that is no longer given stays as it is.
extends_documentation_fragment:
  - onprem.platform.attributes
  - onprem.platform.attributes.vault_group
  - onprem.platform.vault
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: The password and O(plugin_secrets) are shown as hidden.
  idempotent:
    support: partial
    details: Not with O(update_password=always), because a stored password cannot be compared.
options:
  name:
    description: Name of the connection.
    type: str
    required: true
    aliases: [connection_name]
  engine_mount_point:
    description: Path of the database secrets engine.
    type: str
    default: database
    aliases: [mount_path]
  plugin_name:
    description:
      - Name of the database plugin, such as V(mysql-database-plugin), which serves MariaDB too, or
        V(postgresql-database-plugin). Required for a new connection.
    type: str
  plugin_version:
    description: Version of the plugin, for one that is not built in.
    type: str
  allowed_roles:
    description: Roles that may use the connection; V(*) alone means all.
    type: list
    elements: str
  connection_url:
    description:
      - Address of the database with C({{username}}:{{password}}) in place of credentials.
      - Required for a new connection.
    type: str
  connection_username:
    description: User of Vault at the database. Use one of its own, because its password is rotated.
    type: str
  connection_password:
    description: First password of this user.
    type: str
  update_password:
    description: Whether O(connection_password) and O(plugin_secrets) are sent to a connection that exists.
    type: str
    choices: [on_create, always]
    default: on_create
  username_template:
    description: Template for the names of dynamic users.
    type: str
  password_policy:
    description: Password policy for dynamic users.
    type: str
  root_rotation_statements:
    description: Statements that change the password of O(connection_username).
    type: list
    elements: str
  verify_connection:
    description: Whether Vault connects before it stores the settings, so that a dead password is never stored.
    type: bool
    default: true
  max_open_connections:
    description: Largest number of open connections.
    type: int
  max_idle_connections:
    description: Largest number of idle connections.
    type: int
  max_connection_lifetime:
    description: Longest lifetime of a connection, as seconds or for example V(5m).
    type: str
  plugin_options:
    description: Further options of the plugin, such as C(tls_ca) or C(password_authentication). Compared as given.
    type: dict
  plugin_secrets:
    description: Further options that are secret, such as C(tls_certificate_key). Sent like O(connection_password).
    type: dict
  state:
    description: Whether the connection exists. Revoke the leases of its roles before it is removed.
    type: str
    choices: [present, absent]
    default: present
"""

EXAMPLES = r"""
- name: MariaDB of the shop
  onprem.platform.vault_database_connection:
    url: https://vault.example.org:8200
    token: "{{ vault_token }}"
    name: shop-mariadb
    plugin_name: mysql-database-plugin
    connection_url: !unsafe "{{username}}:{{password}}@tcp(mariadb.shop.svc:3306)/"
    connection_username: vault
    connection_password: "{{ first_password }}"
    allowed_roles: [shop, shop-reports]
    root_rotation_statements:
      - !unsafe "ALTER USER '{{username}}'@'%' IDENTIFIED BY '{{password}}'"

- name: PostgreSQL
  onprem.platform.vault_database_connection:
    url: https://vault.example.org:8200
    token: "{{ vault_token }}"
    name: library-postgresql
    plugin_name: postgresql-database-plugin
    connection_url: !unsafe "postgresql://{{username}}:{{password}}@postgresql.library.svc:5432/library?sslmode=verify-full"
    connection_username: vault
    connection_password: "{{ first_password }}"
    allowed_roles: [library]
    plugin_options:
      password_authentication: scram-sha-256
"""

RETURN = r"""
objects:
  description: What happened to the connection.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name of the connection.
      type: str
      sample: shop-mariadb
    action:
      description: V(created), V(updated), V(deleted) or V(unchanged).
      type: str
      sample: unchanged
    options:
      description: Options that differed.
      type: list
      elements: str
      sample: [allowed_roles]
"""

from typing import Any

from ..module_utils._vault import VaultModule, run
from ..module_utils._vault_database_connection import CONNECTION_ARGUMENTS, CONNECTION_KIND, plan_connection
from ..module_utils._vault_objects import carry_out


def reconcile(module: VaultModule) -> dict[str, Any]:
    """Bring the connection about."""
    return carry_out(module, CONNECTION_KIND, [plan_connection(module.client(), module.params)])


def main() -> None:
    """Run the module."""
    run(CONNECTION_ARGUMENTS, reconcile)


if __name__ == "__main__":
    main()
