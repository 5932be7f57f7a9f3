# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What has to be done about the secrets of a versioned key-value engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ._compare import Field, boolean, compare, integer, json_equal, key_changes, seconds, string_map
from ._vault import VaultClient
from ._vault_errors import VaultConfigurationError, VaultConflict, VaultMissingObject
from ._vault_kv2 import check_numbers, is_deleted, read_version, require_version_2, wanted_data
from ._vault_objects import CREATED, DELETED, UPDATED, Plan

KIND = "secret"
MOUNT: dict[str, Any] = {"type": "str", "default": "kv", "aliases": ["mount_path"]}
STATES = ("present", "deleted", "undeleted", "destroyed", "absent")
SECRET_OPTIONS: dict[str, Any] = {
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
_METADATA = (
    Field("custom_metadata", string_map),
    Field("max_versions", integer),
    Field("cas_required", boolean),
    Field("delete_version_after", seconds),
)


class _Secret:
    """One wanted secret and what is stored."""

    def __init__(self, client: VaultClient, item: Mapping[str, Any]) -> None:
        self.client = client
        self.mount = item["engine_mount_point"].strip("/")
        self.item = item
        self.path = item["path"].strip("/")
        self.method = item["method"] or "replace"
        if not self.path or any(part in ("", ".", "..") for part in self.path.split("/")):
            raise VaultConfigurationError(f"{item['path']!r} is no path of a secret.")
        check_numbers(item["data"] or {}, f"{self.path}: data")

    def plan_present(self) -> Plan:
        """Return what is to be done about data and metadata."""
        data = self.item["data"]
        wants_metadata = any(self.item[field.name] is not None for field in _METADATA)
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
                steps.append(lambda: self._write(current, version))
        if wants_metadata:
            stored = self.client.read(f"{self.mount}/metadata/{self.path}")
            difference = compare(_METADATA, self.item, stored)
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

    def _write(self, current: dict[str, Any] | None, version: int) -> dict[str, Any]:
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


def plan_secret(client: VaultClient, item: Mapping[str, Any]) -> Plan:
    """Return what is to be done about one secret."""
    secret = _Secret(client, item)
    return secret.plan_present() if item["state"] == "present" else secret.plan_versions(item["state"])
