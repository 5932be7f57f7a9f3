#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Manage static roles of Vault's database secrets engine."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vault_database_static_role
short_description: Manage static roles of Vault's database secrets engine
version_added: 0.1.0
author:
  - onprem.platform contributors (@onprem-platform)
description:
  - Creates, updates and deletes static roles, through which Vault keeps and rotates the password of a user that the
    database has already. One call takes one role or many.
  - B(Vault changes the user's password when the role is made.) Whoever still logs in with the old one is locked out.
  - Only options that are set are compared; an update sends what differs, and rotates nothing.
extends_documentation_fragment:
  - onprem.platform.attributes
  - onprem.platform.attributes.reconciling
  - onprem.platform.attributes.vault_group
  - onprem.platform.vault
  - onprem.platform.vault_roles
options:
  name:
    description: Name of the static role. A dynamic role of the same engine cannot have it too.
    type: str
    aliases: [role_name]
  engine_mount_point:
    description: Path of the database secrets engine.
    type: str
    default: database
    aliases: [mount_path]
  connection_name:
    description: Name of the database connection, whose C(allowed_roles) has this role. Required for a new role.
    type: str
    aliases: [db_name]
  database_username:
    description: User of the database. Required for a new role, and fixed afterwards.
    type: str
  rotation_period:
    description: Time between rotations, as seconds or for example V(24h). A new role needs this or
      O(rotation_schedule).
    type: str
  rotation_schedule:
    description:
      - When to rotate, as a cron expression in UTC. Excludes O(rotation_period).
      - Vault 1.15 and later; OpenBao knows O(rotation_period) only.
    type: str
  rotation_window:
    description: How long after a time of O(rotation_schedule) a rotation may still begin; at least V(1h).
    type: str
  rotation_statements:
    description: Statements that change the user's password. Without them the database plugin's own are used.
    type: list
    elements: str
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
      database_username:
        description: As O(database_username).
        type: str
      rotation_period:
        description: As O(rotation_period).
        type: str
      rotation_schedule:
        description: As O(rotation_schedule).
        type: str
      rotation_window:
        description: As O(rotation_window).
        type: str
      rotation_statements:
        description: As O(rotation_statements).
        type: list
        elements: str
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
    description: Whether the roles exist. A user whose role is removed keeps the last password, which nobody knows
      then.
"""

EXAMPLES = r"""
- name: The reporting user's password changes every night
  onprem.platform.vault_database_static_role:
    url: https://vault.example.org:8200
    token: "{{ vault_token }}"
    name: shop-reports
    connection_name: shop-mariadb
    database_username: reports
    rotation_schedule: "0 2 * * *"
    rotation_window: 2h
    rotation_statements:
      - !unsafe "ALTER USER '{{name}}'@'%' IDENTIFIED BY '{{password}}'"
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
      sample: shop-reports
    action:
      description: V(created), V(updated), V(deleted), V(unchanged), V(failed) or V(not_attempted).
      type: str
      sample: updated
    options:
      description: Options that differed.
      type: list
      elements: str
      sample: [rotation_schedule]
    error:
      description: Why the write failed.
      type: str
      returned: on failure
      sample: Permission denied on database/static-roles/shop-reports.
"""

from typing import Any

from ..module_utils._vault import VaultModule, run
from ..module_utils._vault_database import ENGINE_MOUNT_POINT
from ..module_utils._vault_database_static_role import KIND, STATIC_ROLE_OPTIONS, plan_static_role
from ..module_utils._vault_objects import carry_out, items_of, list_arguments, list_rules


def reconcile(module: VaultModule) -> dict[str, Any]:
    """Bring all wanted static roles about."""
    items = items_of(module, "roles", STATIC_ROLE_OPTIONS, "name", ["engine_mount_point"])
    client = module.client()
    return carry_out(module, KIND, [plan_static_role(client, item) for item in items])


def main() -> None:
    """Run the module."""
    arguments = {**list_arguments("roles", STATIC_ROLE_OPTIONS, "name"), "engine_mount_point": ENGINE_MOUNT_POINT}
    run(arguments, reconcile, **list_rules("roles", STATIC_ROLE_OPTIONS, "name"))


if __name__ == "__main__":
    main()
