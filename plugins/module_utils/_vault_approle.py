# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Roles of the AppRole auth method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ._compare import Field, boolean, compare, integer, seconds, unordered
from ._vault import VaultClient
from ._vault_errors import VaultConfigurationError
from ._vault_objects import Plan, plan_absent, plan_present
from ._vault_token_fields import TOKEN_FIELDS, TOKEN_OPTIONS

KIND = "approle role"
AUTH_PATH: dict[str, Any] = {"type": "str", "default": "approle", "aliases": ["engine_mount_point"]}
ROLE_ID = "custom_role_id"
ROLE_OPTIONS: dict[str, Any] = {
    "name": {"type": "str", "aliases": ["role_name"]},
    ROLE_ID: {"type": "str"},
    "bind_secret_id": {"type": "bool"},
    "local_secret_ids": {"type": "bool"},
    "secret_id_bound_cidrs": {"type": "list", "elements": "str", "no_log": False},
    "secret_id_num_uses": {"type": "int", "no_log": False},
    "secret_id_ttl": {"type": "str", "no_log": False},
    **TOKEN_OPTIONS,
}
_FIELDS = (
    Field("bind_secret_id", boolean, absent=True),
    Field("local_secret_ids", boolean),
    Field("secret_id_bound_cidrs", unordered),
    Field("secret_id_num_uses", integer),
    Field("secret_id_ttl", seconds),
    *TOKEN_FIELDS,
)


def role_path(auth_path: str, name: str) -> str:
    """Return the API path of a role; Vault keeps the names in lower case."""
    return f"auth/{auth_path.strip('/')}/role/{name.lower()}"


def read_role_id(client: VaultClient, path: str) -> str | None:
    """Return the RoleID of the role at an API path, or None."""
    answer = client.read(f"{path}/role-id")
    return str(answer["role_id"]) if answer else None


def plan_role(client: VaultClient, item: Mapping[str, Any]) -> Plan:
    """Return what is to be done about one role."""
    name = item["name"].lower()
    path = role_path(item["auth_path"], name)
    current = client.read(path)
    if item["state"] == "absent":
        return plan_absent(name, current, current, lambda: client.delete(path))
    if current and item["local_secret_ids"] not in (None, current.get("local_secret_ids")):
        raise VaultConfigurationError(
            f"role {name}: local_secret_ids cannot be changed after the role was made.",
            hint="Delete the role, and with it its SecretIDs, and make it anew.",
        )
    fields: tuple[Field, ...] = _FIELDS
    if item[ROLE_ID]:
        fields = (*_FIELDS, Field("role_id"))
        current = current and {**current, "role_id": read_role_id(client, path)}
    difference = compare(fields, {**item, "role_id": item[ROLE_ID]}, current)
    return plan_present(name, current, difference, lambda: client.write(path, difference.body))
