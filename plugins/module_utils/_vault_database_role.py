# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Roles of the database secrets engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ._compare import Field, compare, seconds, statements, string_map
from ._vault import VaultClient
from ._vault_errors import VaultConfigurationError
from ._vault_objects import Plan, plan_absent, plan_present

KIND = "database role"
_STATEMENTS = ("creation_statements", "revocation_statements", "rollback_statements", "renew_statements")
ROLE_OPTIONS: dict[str, Any] = {
    "name": {"type": "str", "aliases": ["role_name"]},
    "connection_name": {"type": "str", "aliases": ["db_name"]},
    **{name: {"type": "list", "elements": "str"} for name in _STATEMENTS},
    "default_ttl": {"type": "str"},
    "max_ttl": {"type": "str"},
    "credential_type": {"type": "str", "choices": ["password", "rsa_private_key", "client_certificate"]},
    "credential_config": {"type": "dict"},
}
_FIELDS = (
    Field("db_name"),
    *(Field(name, statements) for name in _STATEMENTS),
    Field("default_ttl", seconds),
    Field("max_ttl", seconds),
    Field("credential_type", absent="password"),
    Field("credential_config", string_map),
)


def plan_role(client: VaultClient, item: Mapping[str, Any]) -> Plan:
    """Return what is to be done about one role."""
    name = item["name"]
    path = f"{item['engine_mount_point'].strip('/')}/roles/{name}"
    current = client.read(path)
    if item["state"] == "absent":
        return plan_absent(name, current, current, lambda: client.delete(path))
    if current is None and not (item["connection_name"] and item["creation_statements"]):
        raise VaultConfigurationError(f"role {name}: a new role needs connection_name and creation_statements.")
    difference = compare(_FIELDS, {**item, "db_name": item["connection_name"]}, current)
    return plan_present(name, current, difference, lambda: client.write(path, difference.body))
