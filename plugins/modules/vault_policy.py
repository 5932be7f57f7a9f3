#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Manage ACL policies of Vault."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vault_policy
short_description: Manage ACL policies of Vault
version_added: 0.1.0
author:
  - onprem.platform contributors (@onprem-platform)
description:
  - Creates, updates and deletes ACL policies. One call takes one policy or many.
  - The text is compared without surrounding blank space and regardless of line ends.
  - The text is taken literally. Vault's API decodes a text that looks like Base64; this module sends every text so
    that exactly the given one is stored.
extends_documentation_fragment:
  - onprem.platform.attributes
  - onprem.platform.attributes.reconciling
  - onprem.platform.attributes.vault_group
  - onprem.platform.vault
options:
  name:
    description: Name of the policy. Vault keeps names in lower case.
    type: str
  policy:
    description: Text of the policy, HCL or JSON. Required for O(state=present).
    type: str
    aliases: [rules]
  policies:
    description:
      - Several policies in one call, in place of O(name) and O(policy).
      - All are read before the first is written. A policy that Vault refuses does not stop the others; the call then
        fails and tells what happened to each.
    type: list
    elements: dict
    suboptions:
      name:
        description: As O(name).
        type: str
        required: true
      policy:
        description: As O(policy).
        type: str
        aliases: [rules]
      state:
        description: As O(state), whose value is the default.
        type: str
        choices: [present, absent]
  state:
    description: Whether the policies exist.
    type: str
    choices: [present, absent]
    default: present
"""

EXAMPLES = r"""
- name: An application may read its own secrets and database credentials
  onprem.platform.vault_policy:
    url: https://vault.example.org:8200
    token: "{{ vault_token }}"
    name: shop
    policy: |
      path "kv/data/shop" {
        capabilities = ["read"]
      }
      path "database/creds/shop" {
        capabilities = ["read"]
      }

- name: Several policies in one call
  onprem.platform.vault_policy:
    url: https://vault.example.org:8200
    token: "{{ vault_token }}"
    policies:
      - name: reader
        policy: path "kv/data/*" { capabilities = ["read"] }
      - name: retired
        state: absent
"""

RETURN = r"""
objects:
  description: What happened to each policy, in the order given.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name of the policy.
      type: str
      sample: shop
    action:
      description: V(created), V(updated), V(deleted), V(unchanged), V(failed) or V(not_attempted).
      type: str
      sample: updated
    options:
      description: Options that differed.
      type: list
      elements: str
      sample: [policy]
    error:
      description: Why the write failed.
      type: str
      returned: on failure
      sample: Permission denied on sys/policies/acl/shop.
"""

from typing import Any

from ..module_utils._vault import VaultModule, run
from ..module_utils._vault_objects import carry_out, items_of, list_arguments, list_rules
from ..module_utils._vault_policy import KIND, POLICY_OPTIONS, plan_policy


def reconcile(module: VaultModule) -> dict[str, Any]:
    """Bring all wanted policies about."""
    items = items_of(module, "policies", POLICY_OPTIONS, "name")
    client = module.client()
    return carry_out(module, KIND, [plan_policy(client, item) for item in items])


def main() -> None:
    """Run the module."""
    run(list_arguments("policies", POLICY_OPTIONS, "name"), reconcile, **list_rules("policies", POLICY_OPTIONS, "name"))


if __name__ == "__main__":
    main()
