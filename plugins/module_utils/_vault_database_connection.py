# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Connections of the database secrets engine: what has to be done about them, and rotating their passwords."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from ._compare import HIDDEN, HIDDEN_NEW, Difference, Field, boolean, compare, integer, seconds, statements, unordered
from ._vault import VaultClient
from ._vault_database import ENGINE_MOUNT_POINT, ROTATED_AT, check_connection_url, read_connection
from ._vault_errors import VaultConfigurationError, VaultError, VaultMissingObject
from ._vault_objects import UPDATED, Plan, plan_absent, plan_present

CONNECTION_KIND, ROTATION_KIND = "database connection", "root password of database connection"
CONNECTION_ARGUMENTS: dict[str, Any] = {
    "name": {"type": "str", "required": True, "aliases": ["connection_name"]},
    "engine_mount_point": ENGINE_MOUNT_POINT,
    "plugin_name": {"type": "str"},
    "plugin_version": {"type": "str"},
    "allowed_roles": {"type": "list", "elements": "str"},
    "connection_url": {"type": "str"},
    "connection_username": {"type": "str"},
    "connection_password": {"type": "str", "no_log": True},
    "update_password": {
        "type": "str",
        "choices": ["on_create", "always"],
        "default": "on_create",
        "no_log": False,
    },
    "username_template": {"type": "str"},
    "password_policy": {"type": "str", "no_log": False},
    "root_rotation_statements": {"type": "list", "elements": "str"},
    "verify_connection": {"type": "bool", "default": True},
    "max_open_connections": {"type": "int"},
    "max_idle_connections": {"type": "int"},
    "max_connection_lifetime": {"type": "str"},
    "plugin_options": {"type": "dict"},
    "plugin_secrets": {"type": "dict", "no_log": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
}
ROTATION_ARGUMENTS: dict[str, Any] = {
    "name": {"type": "str", "required": True, "aliases": ["connection_name"]},
    "engine_mount_point": ENGINE_MOUNT_POINT,
    "max_age": {"type": "str"},
    "force": {"type": "bool", "default": False},
}
_FIELDS = (
    Field("plugin_name"),
    Field("plugin_version", absent=""),
    Field("allowed_roles", unordered),
    Field("connection_url"),
    Field("username"),
    Field("username_template", absent=""),
    Field("password_policy", absent=""),
    Field("root_rotation_statements", statements, read_as="root_credentials_rotate_statements"),
    Field("max_open_connections", integer),
    Field("max_idle_connections", integer),
    Field("max_connection_lifetime", seconds),
)
_SECRET_OPTIONS = ("password", "private_key", "service_account_json", "tls_certificate_key")


def _add_secrets(params: Mapping[str, Any], current: Mapping[str, Any] | None, difference: Difference) -> None:
    """Add password and plugin secrets to what is sent, when the connection is new or update_password says so."""
    if current is not None and params["update_password"] != "always":
        return
    secrets = dict(params["plugin_secrets"] or {})
    if params["connection_password"] is not None:
        secrets["password"] = params["connection_password"]
    for key, value in secrets.items():
        difference.body[key] = value
        difference.changed.append(key)
        difference.after[key] = HIDDEN if current is None else HIDDEN_NEW
        if current is not None:
            difference.before[key] = HIDDEN
    if "password" in secrets and current and current.get(ROTATED_AT):
        difference.body[ROTATED_AT] = ""  # a known password again: the next rotation is due


def _check(params: Mapping[str, Any], current: Mapping[str, Any] | None) -> None:
    """Raise VaultConfigurationError for settings that would fail later or leak a secret."""
    missing = [key for key in ("plugin_name", "connection_url") if current is None and not params[key]]
    if missing:
        raise VaultConfigurationError(f"A new connection needs {' and '.join(missing)}.")
    misplaced = sorted(set(params["plugin_options"] or {}) & set(_SECRET_OPTIONS))
    if misplaced:
        raise VaultConfigurationError(f"{', '.join(misplaced)} belongs into plugin_secrets, not plugin_options.")
    if params["connection_url"]:
        check_connection_url(params["connection_url"], params["connection_username"])


def plan_connection(client: VaultClient, params: Mapping[str, Any]) -> Plan:
    """Return what is to be done about the connection."""
    name = params["name"]
    mount = params["engine_mount_point"].strip("/")
    path = f"{mount}/config/{name}"
    current = read_connection(client, mount, name)
    if params["state"] == "absent":
        before = current and {"plugin_name": current.get("plugin_name")}
        removal = plan_absent(name, current, before, lambda: client.delete(path))
        removal.expected = {path: None}
        return removal
    _check(params, current)
    options = params["plugin_options"] or {}
    fields = [*_FIELDS, *(Field(key) for key in options)]
    verify = params["verify_connection"]
    if current is not None and "verify_connection" in current:
        fields.append(Field("verify_connection", boolean))
    wanted = {**params, **options, "username": params["connection_username"], "verify_connection": verify}
    difference = compare(fields, wanted, current)
    _add_secrets(params, current, difference)
    body = {**difference.body, "verify_connection": verify}
    result = plan_present(name, current, difference, lambda: client.write(path, body))
    known = {key: body[key] for key in ("username", ROTATED_AT) if key in body}
    result.expected = {path: {**(current or {}), **known}}
    return result


_TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


def _is_due(mark: str, max_age: str | None, now: datetime) -> bool:
    """Whether the password has to be rotated, from the mark of the last rotation."""
    try:
        last = datetime.strptime(mark, _TIME_FORMAT).replace(tzinfo=timezone.utc)
    except ValueError:
        return True
    return max_age is not None and now - last >= timedelta(seconds=seconds(max_age))


def _rotate(client: VaultClient, mount: str, name: str, now: str) -> dict[str, str]:
    """Rotate, then leave the mark."""
    try:
        client.write(f"{mount}/rotate-root/{name}", repeatable=False)
    except VaultError as error:
        if "no username" in error.message:
            raise VaultConfigurationError(f"The connection {name} has no username to rotate.") from error
        raise
    client.write(f"{mount}/config/{name}", {ROTATED_AT: now, "verify_connection": True})
    return {"rotated_at": now}


def plan_rotation(client: VaultClient, params: Mapping[str, Any]) -> Plan:
    """Return whether the password of one connection is to be rotated."""
    name, mount = params["name"], params["engine_mount_point"].strip("/")
    current = read_connection(client, mount, name)
    if current is None:
        raise VaultMissingObject(f"There is no database connection {name} at {mount}/.", path=f"{mount}/config/{name}")
    if not current.get("username"):
        raise VaultConfigurationError(f"The connection {name} has no username to rotate.")
    mark = str(current.get(ROTATED_AT) or "")
    now = datetime.now(timezone.utc)
    if not params["force"] and not _is_due(mark, params["max_age"], now):
        return Plan(name, result={"rotated_at": mark})
    text = now.strftime(_TIME_FORMAT)
    return Plan(
        name,
        UPDATED,
        lambda: _rotate(client, mount, name, text),
        {"rotated_at": mark},
        {"rotated_at": text},
        ["rotated_at"],
        {"rotated_at": mark},
    )
