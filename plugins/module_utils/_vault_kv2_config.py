# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Settings of a whole versioned key-value engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ._compare import Field, boolean, compare, integer, seconds
from ._vault import VaultClient
from ._vault_errors import VaultConfigurationError
from ._vault_kv2 import require_version_2
from ._vault_kv2_plan import MOUNT
from ._vault_objects import Plan, plan_present

KIND = "key-value settings"
CONFIG_ARGUMENTS: dict[str, Any] = {
    "engine_mount_point": MOUNT,
    "max_versions": {"type": "int"},
    "cas_required": {"type": "bool"},
    "delete_version_after": {"type": "str"},
}
_FIELDS = (
    Field("max_versions", integer),
    Field("cas_required", boolean),
    Field("delete_version_after", seconds),
)


def plan_config(client: VaultClient, params: Mapping[str, Any]) -> Plan:
    """Return what is to be done about the settings of one engine; they exist as long as the engine does."""
    mount = params["engine_mount_point"].strip("/")
    path = f"{mount}/config"
    stored = client.read(path)
    # an engine of version 1 has a secret of that name instead, or nothing
    require_version_2(client, mount)
    if stored is not None and "max_versions" not in stored:
        raise VaultConfigurationError(f"The engine at {mount}/ is not of type kv with version 2.")
    difference = compare(_FIELDS, params, stored or {})
    body = dict(difference.body)
    if "delete_version_after" in body:
        body["delete_version_after"] = f"{seconds(body['delete_version_after'])}s"
    return plan_present(mount, stored or {}, difference, lambda: client.write(path, body))
