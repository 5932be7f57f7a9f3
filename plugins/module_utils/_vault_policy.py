# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""ACL policies."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from ._compare import Field, compare, text
from ._vault import VaultClient
from ._vault_errors import VaultConfigurationError
from ._vault_objects import Plan, plan_absent, plan_present

KIND = "policy"
POLICY_OPTIONS: dict[str, Any] = {"name": {"type": "str"}, "policy": {"type": "str", "aliases": ["rules"]}}
_FIELDS = (Field("policy", text),)


def plan_policy(client: VaultClient, item: Mapping[str, Any]) -> Plan:
    """Return what is to be done about one policy."""
    name = item["name"].lower()
    path = f"sys/policies/acl/{name}"
    present = item["state"] == "present"
    if name == "root" or (name == "default" and not present):
        raise VaultConfigurationError(f"Vault's own policy {name} cannot be {'changed' if present else 'deleted'}.")
    if present and not text(item["policy"]):
        raise VaultConfigurationError(f"policy {name}: the text is missing.")
    current = client.read(path)
    if not present:
        return plan_absent(name, current, text((current or {}).get("policy")), lambda: client.delete(path))
    difference = compare(_FIELDS, item, current)
    encoded = base64.b64encode(item["policy"].encode()).decode()
    result = plan_present(name, current, difference, lambda: client.write(path, {"policy": encoded}))
    result.before, result.after = (side["policy"] if side else "" for side in (result.before, result.after))
    return result
