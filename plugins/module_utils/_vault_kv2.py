# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Secrets of a versioned key-value engine: reading versions, and what a write has to contain."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from ._vault import VaultClient
from ._vault_errors import VaultConfigurationError, VaultError, error_from_answer

# Vault keeps numbers as IEEE 754 doubles, which are exact up to here.
_LARGEST_EXACT_INTEGER = 2**53


def read_version(client: VaultClient, mount: str, path: str) -> tuple[dict[str, Any] | None, int]:
    """Return data and number of the latest version.

    Data is None when that version is deleted or destroyed; the number is 0 when there never was one.
    """
    full = f"{mount}/data/{path}"
    answer = client.request("GET", full, accept=(404,))
    if answer.get("errors"):
        raise error_from_answer("GET", full, 404, [str(error) for error in answer["errors"]])
    content = answer.get("data") or {}
    return content.get("data"), int((content.get("metadata") or {}).get("version") or 0)


def require_version_2(client: VaultClient, mount: str) -> None:
    """Raise VaultConfigurationError when the mount is known to be no versioned key-value engine.

    A token without access to this information passes: the write itself then tells.
    """
    try:
        information = client.read(f"sys/internal/ui/mounts/{mount}") or {}
    except VaultError:
        return
    if information.get("type") != "kv" or (information.get("options") or {}).get("version") != "2":
        raise VaultConfigurationError(f"The engine at {mount}/ is not of type kv with version 2.")


def check_numbers(value: Any, where: str) -> None:
    """Raise VaultConfigurationError for an integer that Vault would not give back unchanged."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            check_numbers(item, f"{where}.{key}")
    elif isinstance(value, list):
        for number, item in enumerate(value):
            check_numbers(item, f"{where}[{number}]")
    elif isinstance(value, int) and abs(value) > _LARGEST_EXACT_INTEGER:
        raise VaultConfigurationError(
            f"{where} is an integer beyond 2^53, which Vault would round.", hint="Write it as a text, in quotes."
        )


def merge_patch(target: Any, patch: Any) -> Any:
    """Return target after a JSON merge patch (RFC 7396): mappings are merged, null removes a key."""
    if not isinstance(patch, Mapping):
        return patch
    result = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), value)
    return result


def wanted_data(method: str, data: Mapping[str, Any], current: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the data that the secret shall have.

    method: replace, merge (given keys win), add (stored keys win) or patch (RFC 7396).
    """
    if method == "replace":
        return dict(data)
    if method == "merge":
        return {**(current or {}), **data}
    if method == "add":
        return {**data, **(current or {})}
    return dict(merge_patch(current or {}, data))


def is_deleted(version: Mapping[str, Any]) -> bool:
    """Whether a version of the metadata answer is deleted now; its time may lie ahead (delete_version_after)."""
    time = str(version.get("deletion_time") or "")
    if not time:
        return False
    return time[:19] <= datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
