#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Manage roles of Vault's Kubernetes auth method."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vault_kubernetes_role
short_description: Manage roles of Vault's Kubernetes auth method
version_added: 0.1.0
author:
  - onprem.platform contributors (@onprem-platform)
description:
  - Creates, updates and deletes roles. One call takes one role or many.
  - Only options that are set are compared; an update sends what differs.
  - Only the C(token_*) names are used. Options written under their old names (C(policies), C(ttl)) are replaced by
    Vault when the new name is written.
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
  auth_path:
    description: Path of the Kubernetes auth method.
    type: str
    default: kubernetes
    aliases: [engine_mount_point]
  bound_service_account_names:
    description: Service accounts that may log in; V(*) alone means all.
    type: list
    elements: str
  bound_service_account_namespaces:
    description: Namespaces of these service accounts; V(*) alone means all.
    type: list
    elements: str
  bound_service_account_namespace_selector:
    description: Label selector for namespaces as JSON or YAML text, besides O(bound_service_account_namespaces).
    type: str
  audience:
    description: Audience that the service account token must have.
    type: str
  alias_name_source:
    description: What names the entity alias.
    type: str
    choices: [serviceaccount_uid, serviceaccount_name]
  roles:
    suboptions:
      name:
        description: As O(name).
        type: str
        required: true
      bound_service_account_names:
        description: As O(bound_service_account_names).
        type: list
        elements: str
      bound_service_account_namespaces:
        description: As O(bound_service_account_namespaces).
        type: list
        elements: str
      bound_service_account_namespace_selector:
        description: As O(bound_service_account_namespace_selector).
        type: str
      audience:
        description: As O(audience).
        type: str
      alias_name_source:
        description: As O(alias_name_source).
        type: str
        choices: [serviceaccount_uid, serviceaccount_name]
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
"""

EXAMPLES = r"""
- name: Pods of the shop log in with their service account
  onprem.platform.vault_kubernetes_role:
    url: https://vault.example.org:8200
    token: "{{ vault_token }}"
    name: shop
    bound_service_account_names: [shop]
    bound_service_account_namespaces: [shop]
    token_policies: [shop]
    token_ttl: 24h

- name: Several roles in one call
  onprem.platform.vault_kubernetes_role:
    url: https://vault.example.org:8200
    token: "{{ vault_token }}"
    roles:
      - name: shop-jobs
        bound_service_account_names: [shop-jobs]
        bound_service_account_namespaces: [shop]
        token_policies: [shop]
        token_ttl: 10m
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
      sample: shop
    action:
      description: V(created), V(updated), V(deleted), V(unchanged), V(failed) or V(not_attempted).
      type: str
      sample: created
    options:
      description: Options that differed.
      type: list
      elements: str
      sample: [token_ttl]
    error:
      description: Why the write failed.
      type: str
      returned: on failure
      sample: Permission denied on auth/kubernetes/role/shop.
"""

from typing import Any

from ..module_utils._vault import VaultModule, run
from ..module_utils._vault_kubernetes import AUTH_PATH, ROLE_KIND, ROLE_OPTIONS, plan_role
from ..module_utils._vault_objects import carry_out, items_of, list_arguments, list_rules


def reconcile(module: VaultModule) -> dict[str, Any]:
    """Bring all wanted roles about."""
    items = items_of(module, "roles", ROLE_OPTIONS, "name", ["auth_path"])
    client = module.client()
    return carry_out(module, ROLE_KIND, [plan_role(client, item) for item in items])


def main() -> None:
    """Run the module."""
    arguments = {**list_arguments("roles", ROLE_OPTIONS, "name"), "auth_path": AUTH_PATH}
    run(arguments, reconcile, **list_rules("roles", ROLE_OPTIONS, "name"))


if __name__ == "__main__":
    main()
