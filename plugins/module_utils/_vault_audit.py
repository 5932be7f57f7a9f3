# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Audit devices: they cannot be changed, only replaced."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ._compare import Field, boolean, compare, string_map, text
from ._vault import VaultClient
from ._vault_errors import VaultConfigurationError, VaultError, VaultInvalidRequest
from ._vault_objects import Plan, plan_absent, plan_present

KIND = "audit device"
AUDIT_ARGUMENTS: dict[str, Any] = {
    "path": {"type": "str"},
    "type": {"type": "str", "default": "file", "choices": ["file", "socket", "syslog"]},
    "description": {"type": "str"},
    "options": {"type": "dict"},
    "local": {"type": "bool"},
    "replace": {"type": "bool", "default": False},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
}
_FIELDS = (Field("type"), Field("description", text), Field("local", boolean))


def _enable(client: VaultClient, path: str, body: dict[str, Any], *, replace: bool) -> None:
    """Enable the device, after disabling the one that is there."""
    if replace:
        client.delete(path)
    try:
        client.write(path, body)
    except VaultInvalidRequest as error:
        if "audit" in error.message and "api" in error.message.lower() and "allow" in error.message.lower():
            raise VaultError(
                error.message, hint="Declare the audit device in the server's configuration.", path=path
            ) from error
        raise


def _given(params: Mapping[str, Any]) -> dict[str, Any]:
    return {field.name: params[field.name] for field in _FIELDS if params[field.name] is not None}


def plan_audit_device(client: VaultClient, params: Mapping[str, Any]) -> Plan:
    """Return what is to be done about the device."""
    name = (params["path"] or params["type"]).strip("/")
    path = f"sys/audit/{name}"
    current = (client.read("sys/audit") or {}).get(f"{name}/")
    if params["state"] == "absent":
        return plan_absent(name, current, current, lambda: client.delete(path))
    wanted = string_map(params["options"])
    difference = compare(_FIELDS, params, current)
    stored = string_map(current.get("options")) if current else None
    options = compare([Field(key) for key in wanted], wanted, stored)
    difference.before.update(options.before)
    difference.after.update(options.after)
    difference.changed += ["options"] * bool(options)
    if current and difference and not params["replace"]:
        raise VaultConfigurationError(
            f"The audit device {name} differs in {', '.join(difference.changed)}, and Vault cannot change a device.",
            hint="Set replace=true to disable and enable it, which leaves a gap in the log.",
        )
    body = {**{field.name: current.get(field.name) for field in _FIELDS if current}, **_given(params)}
    body["options"] = {**(stored or {}), **wanted}
    replace = current is not None
    return plan_present(name, current, difference, lambda: _enable(client, path, body, replace=replace))
