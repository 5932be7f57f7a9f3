# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Compare what a user wants with what a server holds, field by field.

Servers answer in other forms than they accept: durations come back as seconds, lists in another order, absent keys
mean a default, some names are changed and some values never come back. A ``Field`` says all this about one option;
``compare`` looks only at options the user set and returns what differs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Callable

Normaliser = Callable[[Any], Any]

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h|d)")
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600, "d": 86400}
_PEM_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----(.*?)-----END \1-----", re.DOTALL)

HIDDEN = "(hidden)"
HIDDEN_NEW = "(hidden, differs)"


def exact(value: Any) -> Any:
    """Return the value itself."""
    return value


def seconds(value: Any) -> int:
    """Return a duration in whole seconds.

    Accepts what Vault accepts (whole seconds as number or text, or Go's notation such as ``1h30m``, ``1.5h`` and
    ``2d``) and what it answers (``72h0m0s``). An empty value and ``system`` mean "inherit" and are 0.

    Raises ValueError for anything else.
    """
    if value is None or value in ("", "system"):
        return 0
    if isinstance(value, bool):
        raise ValueError(f"{value!r} is no duration")
    if isinstance(value, (int, float)):
        return int(value)
    text = str(value).strip()
    sign = -1 if text.startswith("-") else 1
    text = text.lstrip("+-")
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return sign * int(float(text))
    if not text or _DURATION.sub("", text):
        raise ValueError(f"{value!r} is no duration; write seconds or for example 90s, 30m, 1h30m")
    return sign * int(sum(float(number) * _UNITS[unit] for number, unit in _DURATION.findall(text)))


def strings(value: Any) -> list[str]:
    """Return a list of texts; a text is split at commas, as Vault does with its comma lists. Order is kept."""
    if value is None or value == "":
        return []
    items: Iterable[Any] = value.split(",") if isinstance(value, str) else value
    return [str(item).strip() for item in items]


def unordered(value: Any) -> list[str]:
    """Return a list of texts without repetition in a fixed order, for lists whose order has no meaning."""
    return sorted(set(strings(value)))


def cidrs(value: Any) -> list[str]:
    """Return address blocks as a set; a block of one address is the address itself, as Vault answers."""
    return sorted({item.removesuffix("/128" if ":" in item else "/32") for item in strings(value)})


def statements(value: Any) -> list[str]:
    """Return a list of statements exactly as given; a single text is one statement and is not split."""
    if value is None or value == "":
        return []
    return [value] if isinstance(value, str) else [str(item) for item in value]


def text(value: Any) -> str:
    """Return a text without surrounding blank space and with line ends of one kind."""
    return "" if value is None else str(value).replace("\r\n", "\n").replace("\r", "\n").strip()


def pem(value: Any) -> str:
    """Return PEM text with one line end, no blank space around lines, and nothing outside its blocks."""
    source = text(value)
    blocks = _PEM_BLOCK.findall(source)
    if not blocks:
        return source
    return "\n".join(
        "\n".join([f"-----BEGIN {label}-----", *body.split(), f"-----END {label}-----"]) for label, body in blocks
    )


def pem_set(value: Any) -> list[str]:
    """Return a list of PEM texts whose order has no meaning."""
    return sorted({pem(item) for item in (value or [])})


def structured(value: Any) -> Any:
    """Return the data of a JSON or YAML text (Kubernetes selectors are stored as the text that was sent)."""
    if not isinstance(value, str):
        return value or {}
    try:
        return json.loads(value or "{}")
    except ValueError:
        pass
    import yaml  # only selectors written as YAML need it, and PyYAML comes with ansible-core

    try:
        return yaml.safe_load(value) or {}
    except yaml.YAMLError as error:
        raise ValueError(f"is neither JSON nor YAML: {error}") from error


def integer(value: Any) -> int:
    """Return a whole number; numbers written as text count as numbers."""
    return int(value or 0)


def boolean(value: Any) -> bool:
    """Return a truth value; the words that Go's and Ansible's parsers know count as such."""
    if isinstance(value, str):
        return value.strip().lower() in ("true", "1", "yes", "on", "t", "y")
    return bool(value)


def string_map(value: Any) -> dict[str, str]:
    """Return a mapping with texts as values, as Vault stores mount and audit options; truth values in lower case."""
    return {str(key): str(item).lower() if isinstance(item, bool) else str(item) for key, item in (value or {}).items()}


def json_equal(left: Any, right: Any) -> bool:
    """Whether two JSON values are equal; unlike Python's ``==``, true is not 1 and false is not 0."""
    if isinstance(left, bool) or isinstance(right, bool):
        return isinstance(left, bool) and isinstance(right, bool) and left == right
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return left.keys() == right.keys() and all(json_equal(left[key], right[key]) for key in left)
    if isinstance(left, (list, tuple)) and isinstance(right, (list, tuple)):
        return len(left) == len(right) and all(json_equal(a, b) for a, b in zip(left, right))
    return bool(left == right)


@dataclass(frozen=True)
class Field:
    """One option and how the server treats it.

    name: the option's name, which is also the key that is sent.
    normalise: brings a wanted and a stored value into one form.
    read_as: the key in the server's answer, where it has another name.
    absent: what a key that is missing from the answer means.
    write_only: the server never returns it, so it is never compared.
    secret: shown in differences only as hidden.
    """

    name: str
    normalise: Normaliser = exact
    read_as: str | None = None
    absent: Any = None
    write_only: bool = False
    secret: bool = False

    def stored(self, current: Mapping[str, Any]) -> Any:
        """Return the server's value in normal form."""
        value = current.get(self.read_as or self.name)
        return self.normalise(self.absent if value is None else value)


@dataclass
class Difference:
    """What ``compare`` found: the keys to send, and both sides for people."""

    body: dict[str, Any] = field(default_factory=dict)
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)
    changed: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.changed)


def compare(fields: Sequence[Field], desired: Mapping[str, Any], current: Mapping[str, Any] | None) -> Difference:
    """Compare the options that are set (not None) in desired with the server's answer.

    Without a current object everything that is set differs. Write-only fields are part of the result only then:
    resending them to an existing object is a decision of the caller.

    Raises ValueError with the option's name when a value cannot be brought into its normal form.
    """
    difference = Difference()
    for option in fields:
        value = desired.get(option.name)
        if value is None:
            continue
        try:
            wanted = option.normalise(value)
        except (ValueError, TypeError) as error:
            raise ValueError(f"{option.name}: {error}") from error
        if current is None:
            difference.body[option.name] = value
            difference.after[option.name] = HIDDEN if option.secret or option.write_only else wanted
            difference.changed.append(option.name)
            continue
        if option.write_only:
            continue
        stored = option.stored(current)
        same = json_equal(wanted, stored)
        difference.before[option.name] = HIDDEN if option.secret else stored
        difference.after[option.name] = (HIDDEN if same else HIDDEN_NEW) if option.secret else wanted
        if not same:
            difference.body[option.name] = value
            difference.changed.append(option.name)
    return difference


def key_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, str]:
    """Return for each key of two secret mappings what happens to it (added, removed, changed), never a value."""
    changes: dict[str, str] = {}
    for key in sorted({*before, *after}):
        if key not in before:
            changes[key] = "added"
        elif key not in after:
            changes[key] = "removed"
        elif not json_equal(before[key], after[key]):
            changes[key] = "changed"
    return changes
