# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Does a live object already hold a document? Answered without a request (private).

Server-side apply records in ``metadata.managedFields`` which fields each manager owns. If the fields recorded for us
are exactly those of the document, nobody else has changed them since (a change by another manager takes the ownership
away), so an apply can only have an effect where a value differs. ``UNCHANGED`` is therefore certain; everything else
is decided by the server. Format of fieldsV1: https://kubernetes.io/docs/reference/using-api/server-side-apply/.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

UNCHANGED = "unchanged"
"""The server would write nothing."""
VALUES = "values"
"""We own exactly these fields, but a value differs, maybe only in its spelling: ask the server by a dry run."""
OWNERSHIP = "ownership"
"""The fields we own are not those of the document: an apply writes for certain."""

_IDENTITY = ("apiVersion", "kind")
_IDENTITY_METADATA = ("name", "namespace")
# Parents whose children are quantities in Kubernetes' own groups; the server rewrites "1000m" to "1".
_QUANTITY_PARENTS = frozenset(
    [
        "limits",
        "requests",
        "hard",
        "capacity",
        "allocatable",
        "overhead",
        "podFixed",
        "default",
        "defaultRequest",
        "max",
        "min",
        "maxLimitRequestRatio",
    ]
)
_QUANTITY_FIELDS = frozenset(("sizeLimit", "averageValue", "divisor"))
# "1E" is exa, "1E3" is an exponent.
_QUANTITY = re.compile(r"([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)([numkMGTPE]|[KMGTPE]i)?")
_SUFFIXES = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "": Decimal(1),
    "k": Decimal(10**3),
    "M": Decimal(10**6),
    "G": Decimal(10**9),
    "T": Decimal(10**12),
    "P": Decimal(10**15),
    "E": Decimal(10**18),
    "Ki": Decimal(2**10),
    "Mi": Decimal(2**20),
    "Gi": Decimal(2**30),
    "Ti": Decimal(2**40),
    "Pi": Decimal(2**50),
    "Ei": Decimal(2**60),
}


def quantity(value: Any) -> Decimal | None:
    """Read a Kubernetes quantity (``100m``, ``1.5Gi``, ``1e3``); None if it is not one."""
    found = _QUANTITY.fullmatch(str(value))
    return Decimal(found[1]) * _SUFFIXES[found[2] or ""] if found else None


def _entry(live: dict[str, Any], manager: str) -> dict[str, Any]:
    """Return the managedFields entry of our applies; an empty mapping if there is none."""
    for entry in (live.get("metadata") or {}).get("managedFields") or []:
        if entry.get("manager") == manager and entry.get("operation") == "Apply" and not entry.get("subresource"):
            return dict(entry)
    return {}


def applied_by(live: dict[str, Any], manager: str) -> bool:
    """Tell whether this field manager has applied the object."""
    return bool(_entry(live, manager))


def compare(document: dict[str, Any], live: dict[str, Any], manager: str) -> str:
    """Return UNCHANGED, VALUES or OWNERSHIP for ``document`` (as it would be applied) against ``live``."""
    entry = _entry(live, manager)
    desired = {key: value for key, value in document.items() if key not in _IDENTITY}
    metadata = {key: value for key, value in desired["metadata"].items() if key not in _IDENTITY_METADATA}
    if any(value is not None for value in metadata.values()):
        desired["metadata"] = metadata
    else:
        del desired["metadata"]
    if not entry and not desired:
        # A bare name (a Namespace, say) owns nothing, so that its existence is all.
        return UNCHANGED
    if entry.get("apiVersion") != document["apiVersion"]:
        return OWNERSHIP
    group = document["apiVersion"].rpartition("/")[0]
    builtin = "." not in group or group.endswith(".k8s.io")
    return _node(desired, live, entry.get("fieldsV1") or {}, (), builtin)


def _worse(first: str, second: str) -> str:
    order = (UNCHANGED, VALUES, OWNERSHIP)
    return max(first, second, key=order.index)


def _node(desired: Any, live: Any, fields: dict[str, Any], path: tuple[str, ...], builtin: bool) -> str:
    children = {key: value for key, value in fields.items() if key != "."}
    if not children:
        return UNCHANGED if _equal(desired, live, path, builtin) else VALUES
    if isinstance(desired, dict):
        return _mapping(desired, live, children, path, builtin)
    if isinstance(desired, list):
        return _list(desired, live, children, path, builtin)
    return OWNERSHIP


def _mapping(desired: dict[str, Any], live: Any, children: dict[str, Any], path: tuple[str, ...], builtin: bool) -> str:
    live = live if isinstance(live, dict) else {}
    wanted = {key: value for key, value in desired.items() if value is not None or f"f:{key}" in children}
    if {f"f:{key}" for key in wanted} != set(children):
        return OWNERSHIP
    result = UNCHANGED
    for key, value in wanted.items():
        result = _worse(result, _node(value, live.get(key), children[f"f:{key}"], (*path, key), builtin))
        if result == OWNERSHIP:
            break
    return result


def _list(desired: list[Any], live: Any, children: dict[str, Any], path: tuple[str, ...], builtin: bool) -> str:
    live = live if isinstance(live, list) else []
    if len(desired) != len(children):
        return OWNERSHIP
    result = UNCHANGED
    positions = []
    remaining = dict(children)
    for item in desired:
        marker = _marker(item, remaining)
        if marker is None:
            return OWNERSHIP
        fields = remaining.pop(marker)
        index = _find(marker, item, live)
        if index is None:
            result = _worse(result, VALUES)
            continue
        positions.append(index)
        # The keys of a list item are its address; the server owns them under "f:" names like any other field.
        result = _worse(result, _item(item, live[index], fields, marker, path, builtin))
    # The order of a keyed list is part of the intent (environment variables refer to earlier ones).
    return result if positions == sorted(positions) else _worse(result, VALUES)


def _item(item: Any, live: Any, fields: dict[str, Any], marker: str, path: tuple[str, ...], builtin: bool) -> str:
    if marker.startswith("v:"):
        return UNCHANGED
    if isinstance(item, dict):
        # A key that the document leaves to its default is listed in the marker, not among the owned fields.
        keys = json.loads(marker[2:])
        fields = {name: value for name, value in fields.items() if name[2:] in item or name[2:] not in keys}
    return _node(item, live, fields, (*path, marker), builtin)


def _marker(item: Any, children: dict[str, Any]) -> str | None:
    """Find the entry of fieldsV1 that stands for one item of the document's list; None if that is not clear."""
    found = []
    for marker in children:
        kind, _colon, text = marker.partition(":")
        if kind == "v":
            if json.loads(text) == item:
                found.append(marker)
        elif kind == "k" and isinstance(item, dict):
            keys = json.loads(text)
            if all(item[name] == value for name, value in keys.items() if name in item) and any(
                k in item for k in keys
            ):
                found.append(marker)
    return found[0] if len(found) == 1 else None


def _find(marker: str, item: Any, live: list[Any]) -> int | None:
    if marker.startswith("v:"):
        return live.index(item) if item in live else None
    keys = json.loads(marker[2:])
    for index, candidate in enumerate(live):
        if isinstance(candidate, dict) and all(candidate.get(name) == value for name, value in keys.items()):
            return index
    return None


def _equal(desired: Any, live: Any, path: tuple[str, ...], builtin: bool) -> bool:
    """Compare an atomic value. Zero values that the server leaves out count as present (omitempty)."""
    if live is None:
        return desired is None or desired == "" or desired is False or desired == 0 or desired == [] or desired == {}
    if isinstance(desired, bool) != isinstance(live, bool):
        return False
    if isinstance(desired, dict) and isinstance(live, dict):
        keys = set(desired) | set(live)
        return all(_equal(desired.get(key), live.get(key), (*path, key), builtin) for key in keys)
    if isinstance(desired, list) and isinstance(live, list):
        return len(desired) == len(live) and all(
            _equal(left, right, path, builtin) for left, right in zip(desired, live)
        )
    if desired == live:
        return True
    if builtin and ((path[-1:] and path[-1] in _QUANTITY_FIELDS) or (path[-2:-1] and path[-2] in _QUANTITY_PARENTS)):
        left = quantity(desired)
        return left is not None and left == quantity(live)
    return False
