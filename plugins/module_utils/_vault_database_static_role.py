# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Static roles of the database secrets engine: users that exist already, whose passwords Vault rotates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ._compare import Field, compare, seconds, statements, string_map
from ._vault import VaultClient
from ._vault_errors import VaultConfigurationError
from ._vault_objects import Plan, plan_absent, plan_present

KIND = "static database role"
STATIC_ROLE_OPTIONS: dict[str, Any] = {
    "name": {"type": "str", "aliases": ["role_name"]},
    "connection_name": {"type": "str", "aliases": ["db_name"]},
    "database_username": {"type": "str"},
    "rotation_period": {"type": "str"},
    "rotation_schedule": {"type": "str"},
    "rotation_window": {"type": "str"},
    "rotation_statements": {"type": "list", "elements": "str"},
    "credential_type": {"type": "str", "choices": ["password", "rsa_private_key", "client_certificate"]},
    "credential_config": {"type": "dict"},
}
_FIELDS = (
    Field("db_name"),
    Field("username"),
    Field("rotation_period", seconds),
    Field("rotation_schedule", absent=""),
    Field("rotation_window", seconds),
    Field("rotation_statements", statements),
    Field("credential_type", absent="password"),
    Field("credential_config", string_map),
)


def _check(name: str, item: Mapping[str, Any], current: Mapping[str, Any] | None) -> None:
    """Raise VaultConfigurationError for what Vault would refuse only after other objects were written."""
    if item["rotation_period"] and item["rotation_schedule"]:
        raise VaultConfigurationError(f"static role {name}: rotation_period and rotation_schedule exclude each other.")
    if current is None:
        missing = [key for key in ("connection_name", "database_username") if not item[key]]
        if not (item["rotation_period"] or item["rotation_schedule"]):
            missing.append("rotation_period or rotation_schedule")
        if missing:
            raise VaultConfigurationError(f"static role {name}: a new role needs {' and '.join(missing)}.")
        return
    username = item["database_username"]
    if username is not None and username != current.get("username"):
        raise VaultConfigurationError(
            f"static role {name} is of the user {current.get('username')}, which cannot be changed to {username}.",
            hint="Delete the role and make it anew; the password of the first user stays as it is.",
        )


def plan_static_role(client: VaultClient, item: Mapping[str, Any]) -> Plan:
    """Return what is to be done about one static role."""
    name = item["name"]
    path = f"{item['engine_mount_point'].strip('/')}/static-roles/{name}"
    current = client.read(path)
    if item["state"] == "absent":
        before = current and {key: value for key, value in current.items() if key != "last_vault_rotation"}
        return plan_absent(name, current, before, lambda: client.delete(path))
    _check(name, item, current)
    wanted = {**item, "db_name": item["connection_name"], "username": item["database_username"]}
    difference = compare(_FIELDS, wanted, current)
    body = dict(difference.body)
    if current is not None:
        body["username"] = current["username"]  # Vault takes an update without it for a change of the user
    return plan_present(name, current, difference, lambda: client.write(path, body))
