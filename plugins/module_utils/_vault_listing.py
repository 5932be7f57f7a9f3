# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Reading what lies below a path, for modules that only tell."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ._vault import VaultClient
from ._vault_errors import VaultMissingObject


def list_names(client: VaultClient, path: str) -> list[str]:
    """Return the names below a path; none is no error, a missing mount is."""
    try:
        return sorted(client.request("LIST", path)["data"]["keys"])
    except VaultMissingObject:
        return []


def read_objects(client: VaultClient, path: str, names: Iterable[str]) -> list[dict[str, Any]]:
    """Return the objects of these names below a path that exist, each with its name."""
    found = ((name, client.read(f"{path}/{name}")) for name in names)
    return [{"name": name, **data} for name, data in found if data is not None]


def list_or_read(client: VaultClient, path: str, wanted: Iterable[str] | None) -> dict[str, Any]:
    """Return the keywords for ``exit_json``: all names below a path, or the objects that are wanted with their names.

    For objects whose names Vault keeps in lower case.
    """
    if wanted is None:
        return {"changed": False, "names": list_names(client, path)}
    objects = read_objects(client, path, [name.lower() for name in wanted])
    return {"changed": False, "names": [item["name"] for item in objects], "objects": objects}
