#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Manage roles of Vault's AppRole auth method."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vault_approle_role
short_description: Manage roles of Vault's AppRole auth method
version_added: 0.1.0
author:
  - onprem.platform contributors (@onprem-platform)
description:
  - Creates, updates and deletes roles. One call takes one role or many.
  - Only options that are set are compared; an update sends what differs.
  - No SecretID is made or read. They belong to what logs in, not to the configuration.
extends_documentation_fragment:
  - onprem.platform.attributes
  - onprem.platform.attributes.reconciling
  - onprem.platform.attributes.vault_group
  - onprem.platform.vault
  - onprem.platform.vault_token
  - onprem.platform.vault_roles
options:
  name:
    description: Name of the role. Vault keeps names in lower case.
    type: str
    aliases: [role_name]
  auth_path:
    description: Path of the AppRole auth method.
    type: str
    default: approle
    aliases: [engine_mount_point]
  custom_role_id:
    description:
      - RoleID of the role. Without it Vault makes one, which M(onprem.platform.vault_approle_role_info) returns.
      - Not O(role_id), which belongs to the login of this module itself.
    type: str
  bind_secret_id:
    description: Whether a login needs a SecretID. The default of a new role is V(true).
    type: bool
  local_secret_ids:
    description: Whether SecretIDs stay in the cluster that made them. Cannot be changed later.
    type: bool
  secret_id_bound_cidrs:
    description: Address blocks that may log in, such as V(10.0.0.0/8) and V(10.1.2.3/32).
    type: list
    elements: str
  secret_id_num_uses:
    description: How often a SecretID may be used; V(0) means without limit.
    type: int
  secret_id_ttl:
    description: Lifetime of a SecretID, as seconds or for example V(24h); V(0) means for ever.
    type: str
  roles:
    suboptions:
      name:
        description: As O(name).
        type: str
        required: true
        aliases: [role_name]
      custom_role_id:
        description: As O(custom_role_id).
        type: str
      bind_secret_id:
        description: As O(bind_secret_id).
        type: bool
      local_secret_ids:
        description: As O(local_secret_ids).
        type: bool
      secret_id_bound_cidrs:
        description: As O(secret_id_bound_cidrs).
        type: list
        elements: str
      secret_id_num_uses:
        description: As O(secret_id_num_uses).
        type: int
      secret_id_ttl:
        description: As O(secret_id_ttl).
        type: str
      token_policies:
        description: As O(token_policies).
        type: list
        elements: str
      token_ttl:
        description: As O(token_ttl).
        type: str
      token_max_ttl:
        description: As O(token_max_ttl).
        type: str
      token_explicit_max_ttl:
        description: As O(token_explicit_max_ttl).
        type: str
      token_period:
        description: As O(token_period).
        type: str
      token_num_uses:
        description: As O(token_num_uses).
        type: int
      token_type:
        description: As O(token_type).
        type: str
        choices: [default, service, batch, default-service, default-batch]
      token_bound_cidrs:
        description: As O(token_bound_cidrs).
        type: list
        elements: str
      token_no_default_policy:
        description: As O(token_no_default_policy).
        type: bool
      state:
        description: As O(state), whose value is the default.
        type: str
        choices: [present, absent]
  state:
    description: Whether the roles exist. Removing a role removes its SecretIDs.
"""

EXAMPLES = r"""
- name: The pipeline logs in from its own network
  onprem.platform.vault_approle_role:
    url: https://vault.example.org:8200
    token: "{{ vault_token }}"
    name: pipeline
    secret_id_bound_cidrs: [10.20.0.0/16]
    secret_id_ttl: 24h
    token_policies: [pipeline]
    token_ttl: 20m

- name: Several roles in one call
  onprem.platform.vault_approle_role:
    url: https://vault.example.org:8200
    token: "{{ vault_token }}"
    roles:
      - name: scanner
        custom_role_id: scanner
        token_policies: [scanner]
        token_type: batch
        token_ttl: 5m
      - name: retired
        state: absent
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
      sample: pipeline
    action:
      description: V(created), V(updated), V(deleted), V(unchanged), V(failed) or V(not_attempted).
      type: str
      sample: updated
    options:
      description: Options that differed.
      type: list
      elements: str
      sample: [token_ttl]
    error:
      description: Why the write failed.
      type: str
      returned: on failure
      sample: Permission denied on auth/approle/role/pipeline.
"""

from typing import Any

from ..module_utils._vault import VaultModule, run
from ..module_utils._vault_approle import AUTH_PATH, KIND, ROLE_OPTIONS, plan_role
from ..module_utils._vault_objects import carry_out, items_of, list_arguments, list_rules


def reconcile(module: VaultModule) -> dict[str, Any]:
    """Bring all wanted roles about."""
    items = items_of(module, "roles", ROLE_OPTIONS, "name", ["auth_path"])
    client = module.client()
    return carry_out(module, KIND, [plan_role(client, item) for item in items])


def main() -> None:
    """Run the module."""
    arguments = {**list_arguments("roles", ROLE_OPTIONS, "name"), "auth_path": AUTH_PATH}
    run(arguments, reconcile, **list_rules("roles", ROLE_OPTIONS, "name"))


if __name__ == "__main__":
    main()
