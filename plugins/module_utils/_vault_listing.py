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


def named_result(names: list[str], objects: list[dict[str, Any]] | None) -> dict[str, Any]:
    """Return the keywords for ``exit_json``: all names, or the objects that were asked for with theirs."""
    if objects is None:
        return {"changed": False, "names": names}
    return {"changed": False, "names": [item["name"] for item in objects], "objects": objects}
