#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Manage secrets of Vault's versioned key-value engine."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vault_kv2_secret
short_description: Manage secrets of Vault's versioned key-value engine
version_added: 0.1.0
author:
  - onprem.platform contributors (@onprem-platform)
description:
  - Writes, merges, deletes, restores and destroys secrets. One call takes one secret or many.
  - A new version is made only when the data differs. Every write carries the version that was compared, so that
    the change of another client in between is never lost.
  - Values never appear in the result or the diff; the names of the keys do.
  - Vault keeps numbers as doubles. Integers beyond 2^53 are refused; write them as text.
extends_documentation_fragment:
  - onprem.platform.attributes
  - onprem.platform.attributes.vault_group
  - onprem.platform.vault
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: Keys are shown as added, changed or removed, never their values.
  idempotent:
    support: full
options:
  path:
    description: Path of the secret below the engine, without C(data/).
    type: str
  engine_mount_point:
    description: Path of the engine.
    type: str
    default: kv
    aliases: [mount_path]
  data:
    description: Keys and values.
    type: dict
  method:
    description:
      - What O(data) means for a secret that exists.
      - V(replace) makes it the whole content. V(merge) sets the given keys and keeps the others.
      - V(add) sets only keys that are missing, so that generated values stay as they were first.
      - V(patch) is a JSON merge patch (RFC 7396) sent as such; a null removes a key. It needs the C(patch) capability.
    type: str
    choices: [replace, merge, add, patch]
  cas:
    description: Fail unless this is the latest version; V(0) means that the secret must not exist.
    type: int
  custom_metadata:
    description: Texts about the secret. The whole mapping is compared and replaced.
    type: dict
  max_versions:
    description: How many versions are kept; V(0) inherits the engine's setting.
    type: int
  cas_required:
    description: Whether every write must name the version.
    type: bool
  delete_version_after:
    description: Age at which versions are deleted, as seconds or for example V(720h); V(0) means never.
    type: str
  versions:
    description: Versions that are deleted, undeleted or destroyed. The default is the latest.
    type: list
    elements: int
  secrets:
    description:
      - Several secrets in one call, in place of O(path) and the options of one secret.
      - All are read before the first is written. A secret that Vault refuses does not stop the others; the call then
        fails and tells what happened to each.
    type: list
    elements: dict
    suboptions:
      path:
        description: As O(path).
        type: str
        required: true
      data:
        description: As O(data).
        type: dict
      method:
        description: As O(method).
        type: str
        choices: [replace, merge, add, patch]
      cas:
        description: As O(cas).
        type: int
      custom_metadata:
        description: As O(custom_metadata).
        type: dict
      max_versions:
        description: As O(max_versions).
        type: int
      cas_required:
        description: As O(cas_required).
        type: bool
      delete_version_after:
        description: As O(delete_version_after).
        type: str
      versions:
        description: As O(versions).
        type: list
        elements: int
      state:
        description: As O(state), whose value is the default.
        type: str
        choices: [present, deleted, undeleted, destroyed, absent]
  state:
    description:
      - V(present) brings O(data) and the metadata options about. V(deleted) hides versions, V(undeleted) shows them
        again, V(destroyed) erases them. V(absent) erases all versions and the metadata.
    type: str
    choices: [present, deleted, undeleted, destroyed, absent]
    default: present
"""

EXAMPLES = r"""
- name: Settings of the shop
  onprem.platform.vault_kv2_secret:
    url: https://vault.example.org:8200
    token: "{{ vault_token }}"
    path: shop
    data:
      MAIL_FROM: shop@example.org
      SMS_TOKEN: "{{ sms_token }}"

- name: A key that is generated once and then kept
  onprem.platform.vault_kv2_secret:
    url: https://vault.example.org:8200
    token: "{{ vault_token }}"
    path: shop/generated
    method: add
    data:
      APP_KEY: "{{ lookup('ansible.builtin.password', '/dev/null', length=32) }}"

- name: Remove a secret with all its versions
  onprem.platform.vault_kv2_secret:
    url: https://vault.example.org:8200
    token: "{{ vault_token }}"
    path: retired
    state: absent
"""

RETURN = r"""
objects:
  description: What happened to each secret, in the order given.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Path of the secret.
      type: str
      sample: shop
    action:
      description: V(created), V(updated), V(deleted), V(undeleted), V(destroyed), V(unchanged), V(failed) or
        V(not_attempted).
      type: str
      sample: updated
    options:
      description: Options that differed.
      type: list
      elements: str
      sample: [data]
    version:
      description: Latest version after the call; in check mode the one before.
      type: int
      sample: 3
    key_changes:
      description: What happens to each key, V(added), V(changed) or V(removed).
      type: dict
      sample: {SMS_TOKEN: changed}
    error:
      description: Why the write failed.
      type: str
      returned: on failure
      sample: Permission denied on kv/data/shop.
"""

from typing import Any

from ..module_utils._vault import VaultModule, run
from ..module_utils._vault_kv2_plan import KIND, MOUNT, SECRET_OPTIONS, STATES, plan_secret
from ..module_utils._vault_objects import carry_out, items_of, list_arguments, list_rules


def reconcile(module: VaultModule) -> dict[str, Any]:
    """Bring all wanted secrets about."""
    items = items_of(module, "secrets", SECRET_OPTIONS, "path", ["engine_mount_point"])
    client = module.client()
    return carry_out(module, KIND, [plan_secret(client, item) for item in items])


def main() -> None:
    """Run the module."""
    arguments = {**list_arguments("secrets", SECRET_OPTIONS, "path", STATES), "engine_mount_point": MOUNT}
    run(arguments, reconcile, **list_rules("secrets", SECRET_OPTIONS, "path"))


if __name__ == "__main__":
    main()
