# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Leases: looking them up and revoking them, one by one or all below a path."""

from __future__ import annotations

from typing import Any

from ._vault import VaultClient
from ._vault_errors import VaultConfigurationError, VaultInvalidRequest
from ._vault_listing import list_names
from ._vault_objects import Plan, plan_absent

KIND = "lease"


def look_up(client: VaultClient, lease_id: str) -> dict[str, Any] | None:
    """Return what Vault knows about a lease, or None when there is none of that name."""
    try:
        found: dict[str, Any] = client.request("PUT", "sys/leases/lookup", body={"lease_id": lease_id})["data"]
    except VaultInvalidRequest as error:
        if "invalid lease" in error.message:
            return None
        raise
    return found


def list_leases(client: VaultClient, prefix: str) -> list[str]:
    """Return the names of all leases below a path; as many requests as there are paths."""
    prefix = prefix.strip("/")
    leases: list[str] = []
    for key in list_names(client, f"sys/leases/lookup/{prefix}"):
        path = f"{prefix}/{key}".lstrip("/")
        leases += list_leases(client, path) if key.endswith("/") else [path]
    return leases


def plan_lease(client: VaultClient, lease_id: str) -> Plan:
    """Return what is to be done to revoke one lease."""
    current = look_up(client, lease_id)
    before = current and {key: current.get(key) for key in ("issue_time", "expire_time")}
    # without sync, Vault answers before it has tried, and a failure shows in its log only
    body = {"lease_id": lease_id, "sync": True}
    return plan_absent(lease_id, current, before, lambda: client.request("PUT", "sys/leases/revoke", body=body))


def plan_prefix(client: VaultClient, prefix: str, *, force: bool) -> Plan:
    """Return what is to be done to revoke all leases below a path.

    force: forget leases whose revocation fails.
    """
    prefix = prefix.strip("/")
    if not prefix:
        raise VaultConfigurationError("An empty prefix would revoke all leases.", hint="Name a mount at least.")
    leases = list_leases(client, prefix)
    path = f"sys/leases/{'revoke-force' if force else 'revoke-prefix'}/{prefix}"
    body = {} if force else {"sync": True}
    plan = plan_absent(prefix, leases or None, leases, lambda: client.request("PUT", path, body=body))
    plan.result = {"leases": leases}
    return plan
