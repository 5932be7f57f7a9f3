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

from collections.abc import Callable
from typing import Any

from ..module_utils._compare import Field, boolean, compare, integer, json_equal, key_changes, seconds, string_map
from ..module_utils._vault import VaultClient, VaultModule, run
from ..module_utils._vault_errors import VaultConfigurationError, VaultConflict, VaultMissingObject
from ..module_utils._vault_kv2 import check_numbers, is_deleted, read_version, require_version_2, wanted_data
from ..module_utils._vault_objects import (
    CREATED,
    DELETED,
    UPDATED,
    Plan,
    carry_out,
    items_of,
    list_arguments,
    list_rules,
)

STATES = ("present", "deleted", "undeleted", "destroyed", "absent")
OPTIONS: dict[str, Any] = {
    "path": {"type": "str"},
    "data": {"type": "dict", "no_log": True},
    "method": {"type": "str", "choices": ["replace", "merge", "add", "patch"]},
    "cas": {"type": "int"},
    "custom_metadata": {"type": "dict"},
    "max_versions": {"type": "int"},
    "cas_required": {"type": "bool"},
    "delete_version_after": {"type": "str"},
    "versions": {"type": "list", "elements": "int"},
}
METADATA = (
    Field("custom_metadata", string_map),
    Field("max_versions", integer),
    Field("cas_required", boolean),
    Field("delete_version_after", seconds),
)


class Secret:
    """One wanted secret and what is stored."""

    def __init__(self, client: VaultClient, mount: str, item: dict[str, Any]) -> None:
        self.client = client
        self.mount = mount
        self.item = item
        self.path = item["path"].strip("/")
        self.method = item["method"] or "replace"
        if not self.path or any(part in ("", ".", "..") for part in self.path.split("/")):
            raise VaultConfigurationError(f"{item['path']!r} is no path of a secret.")
        check_numbers(item["data"] or {}, f"{self.path}: data")

    def plan_present(self) -> Plan:
        """Return what is to be done about data and metadata."""
        data = self.item["data"]
        wants_metadata = any(self.item[field.name] is not None for field in METADATA)
        if data is None and not wants_metadata:
            raise VaultConfigurationError(f"{self.path}: data is missing.")
        plan = Plan(self.path, before={}, after={}, options=[])
        options: list[str] = []
        steps: list[Callable[[], dict[str, Any]]] = []
        if data is not None:
            current, version = read_version(self.client, self.mount, self.path)
            wanted = wanted_data(self.method, data, current)
            plan.result = {"version": version, "key_changes": key_changes(current or {}, wanted)}
            if current is None or not json_equal(wanted, current):
                self._check_cas(version)
                if not version:
                    require_version_2(self.client, self.mount)
                options.append("data")
                plan.before = {"data": dict.fromkeys(sorted(current), "(hidden)")} if current is not None else {}
                shown = {
                    key: plan.result["key_changes"].get(key, "(hidden)") for key in sorted({*wanted, *(current or {})})
                }
                plan.after = {"data": shown}
                plan.action = UPDATED if version else CREATED
                steps.append(lambda: self.write(current, version))
        if wants_metadata:
            stored = self.client.read(f"{self.mount}/metadata/{self.path}")
            difference = compare(METADATA, self.item, stored)
            if difference:
                options += difference.changed
                plan.before = {**plan.before, **difference.before}
                plan.after = {**plan.after, **difference.after}
                plan.action = plan.action if "data" in options else (CREATED if stored is None else UPDATED)
                steps.append(lambda: self._write_metadata(difference.body))
        plan.options = options
        if steps:
            plan.apply = lambda: {key: value for step in steps for key, value in step().items()}
        return plan

    def _check_cas(self, version: int) -> None:
        if self.item["cas"] is not None and self.item["cas"] != version:
            raise VaultConflict(f"{self.path} is at version {version}, not at {self.item['cas']} as cas demands.")

    def write(self, current: dict[str, Any] | None, version: int) -> dict[str, Any]:
        """Write the data and return the new version; after a conflict, compare and write once more."""
        for last in (False, True):
            wanted = wanted_data(self.method, self.item["data"], current)
            if last and current is not None and json_equal(wanted, current):
                return {"version": version}
            body: dict[str, Any] = {"data": wanted, "options": {"cas": version}}
            full = f"{self.mount}/data/{self.path}"
            try:
                if self.method == "patch" and current is not None:
                    body["data"] = self.item["data"]
                    headers = {"Content-Type": "application/merge-patch+json"}
                    answer = self.client.request("PATCH", full, body=body, headers=headers)
                else:
                    answer = self.client.write(full, body)
                return {"version": answer["data"]["version"]}
            except VaultConflict:
                if last or self.item["cas"] is not None:
                    raise
                current, version = read_version(self.client, self.mount, self.path)
        raise AssertionError("unreachable: the second round returns or raises")

    def _write_metadata(self, body: dict[str, Any]) -> dict[str, Any]:
        if "custom_metadata" in body:
            body["custom_metadata"] = string_map(body["custom_metadata"])
        if "delete_version_after" in body:
            body["delete_version_after"] = f"{seconds(body['delete_version_after'])}s"
        self.client.write(f"{self.mount}/metadata/{self.path}", body)
        return {}

    def plan_versions(self, state: str) -> Plan:
        """Return what is to be done about versions, or about the whole secret."""
        metadata = self.client.read(f"{self.mount}/metadata/{self.path}")
        if metadata is None:
            if state == "undeleted":
                raise VaultMissingObject(f"There is no secret {self.path} to undelete.", path=self.path)
            return Plan(self.path)
        stored = metadata.get("versions") or {}
        result = {"version": int(metadata.get("current_version") or 0)}
        if state == "absent":
            path = f"{self.mount}/metadata/{self.path}"
            before = {"versions": sorted(stored, key=int)}
            return Plan(self.path, DELETED, lambda: self.client.delete(path), before, result=result)
        wanted = self.item["versions"] or [result["version"]]
        versions = [number for number in wanted if _has_to_become(state, stored.get(str(number)))]
        if not versions:
            return Plan(self.path, result=result)
        verb = {"deleted": "delete", "undeleted": "undelete", "destroyed": "destroy"}[state]

        def apply() -> None:
            self.client.write(f"{self.mount}/{verb}/{self.path}", {"versions": versions})

        return Plan(self.path, state, apply, "", {state: versions}, ["versions"], result)


def _has_to_become(state: str, version: dict[str, Any] | None) -> bool:
    """Whether a version, as the metadata tells, is not in the wanted state yet but can get there."""
    if version is None or version["destroyed"]:
        return False
    return state == "destroyed" or is_deleted(version) == (state == "undeleted")


def reconcile(module: VaultModule) -> dict[str, Any]:
    """Bring all wanted secrets about."""
    mount = module.params["engine_mount_point"].strip("/")
    items = items_of(module, "secrets", OPTIONS, "path")
    client = module.client()
    plans = []
    for item in items:
        secret = Secret(client, mount, item)
        plans.append(secret.plan_present() if item["state"] == "present" else secret.plan_versions(item["state"]))
    return carry_out(module, "secret", plans)


def main() -> None:
    """Run the module."""
    arguments = list_arguments("secrets", OPTIONS, "path", STATES)
    arguments["engine_mount_point"] = {"type": "str", "default": "kv", "aliases": ["mount_path"]}
    run(arguments, reconcile, **list_rules("secrets", OPTIONS, "path"))


if __name__ == "__main__":
    main()
