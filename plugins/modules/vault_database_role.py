#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Manage roles of Vault's database secrets engine."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vault_database_role
short_description: Manage roles of Vault's database secrets engine
version_added: 0.1.0
author:
  - onprem.platform contributors (@onprem-platform)
description:
  - Creates, updates and deletes roles that issue dynamic credentials. One call takes one role or many.
  - Only options that are set are compared; an update sends what differs.
  - Statements are compared exactly as given, because Vault stores them unsplit.
extends_documentation_fragment:
  - onprem.platform.attributes
  - onprem.platform.attributes.reconciling
  - onprem.platform.attributes.vault_group
  - onprem.platform.vault
  - onprem.platform.vault_roles
options:
  name:
    description: Name of the role.
    type: str
    aliases: [role_name]
  engine_mount_point:
    description: Path of the database secrets engine.
    type: str
    default: database
    aliases: [mount_path]
  connection_name:
    description: Name of the database connection. Required for a new role.
    type: str
    aliases: [db_name]
  creation_statements:
    description: Statements that make a user. Required for a new role.
    type: list
    elements: str
  revocation_statements:
    description:
      - Statements that remove a user. Without them the database plugin's own are used.
      - For MySQL and MariaDB write C(DROP USER IF EXISTS), so that a repeated revocation succeeds.
    type: list
    elements: str
  rollback_statements:
    description: Statements after a failed creation.
    type: list
    elements: str
  renew_statements:
    description: Statements that prolong a user.
    type: list
    elements: str
  default_ttl:
    description: Lifetime of a lease, as seconds or for example V(1h); V(0) inherits the engine's.
    type: str
  max_ttl:
    description: Longest lifetime of a lease; V(0) inherits the engine's.
    type: str
  credential_type:
    description: Kind of the credentials.
    type: str
    choices: [password, rsa_private_key, client_certificate]
  credential_config:
    description: Settings of this kind of credentials.
    type: dict
  roles:
    suboptions:
      name:
        description: As O(name).
        type: str
        required: true
        aliases: [role_name]
      connection_name:
        description: As O(connection_name).
        type: str
        aliases: [db_name]
      creation_statements:
        description: As O(creation_statements).
        type: list
        elements: str
      revocation_statements:
        description: As O(revocation_statements).
        type: list
        elements: str
      rollback_statements:
        description: As O(rollback_statements).
        type: list
        elements: str
      renew_statements:
        description: As O(renew_statements).
        type: list
        elements: str
      default_ttl:
        description: As O(default_ttl).
        type: str
      max_ttl:
        description: As O(max_ttl).
        type: str
      credential_type:
        description: As O(credential_type).
        type: str
        choices: [password, rsa_private_key, client_certificate]
      credential_config:
        description: As O(credential_config).
        type: dict
      state:
        description: As O(state), whose value is the default.
        type: str
        choices: [present, absent]
  state:
    description: Whether the roles exist. Users whose leases still run are not revoked by removing a role.
"""

EXAMPLES = r"""
- name: Users of the shop's schema, for an hour
  onprem.platform.vault_database_role:
    url: https://vault.example.org:8200
    token: "{{ vault_token }}"
    name: shop
    connection_name: shop-mariadb
    creation_statements:
      - !unsafe "CREATE USER '{{name}}'@'%' IDENTIFIED BY '{{password}}'"
      - !unsafe "GRANT SELECT, INSERT, UPDATE, DELETE ON shop.* TO '{{name}}'@'%'"
    revocation_statements:
      - !unsafe "DROP USER IF EXISTS '{{name}}'@'%'"
    default_ttl: 1h
    max_ttl: 24h
"""

RETURN = r"""
objects:
  description: What happened to each role, in the order given.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name of the role.
      type: str
      sample: shop
    action:
      description: V(created), V(updated), V(deleted), V(unchanged), V(failed) or V(not_attempted).
      type: str
      sample: created
    options:
      description: Options that differed.
      type: list
      elements: str
      sample: [default_ttl]
    error:
      description: Why the write failed.
      type: str
      returned: on failure
      sample: Permission denied on database/roles/shop.
"""

from typing import Any

from ..module_utils._vault import VaultModule, run
from ..module_utils._vault_database import ENGINE_MOUNT_POINT
from ..module_utils._vault_database_role import KIND, ROLE_OPTIONS, plan_role
from ..module_utils._vault_objects import carry_out, items_of, list_arguments, list_rules


def reconcile(module: VaultModule) -> dict[str, Any]:
    """Bring all wanted roles about."""
    items = items_of(module, "roles", ROLE_OPTIONS, "name", ["engine_mount_point"])
    client = module.client()
    return carry_out(module, KIND, [plan_role(client, item) for item in items])


def main() -> None:
    """Run the module."""
    arguments = {**list_arguments("roles", ROLE_OPTIONS, "name"), "engine_mount_point": ENGINE_MOUNT_POINT}
    run(arguments, reconcile, **list_rules("roles", ROLE_OPTIONS, "name"))


if __name__ == "__main__":
    main()
