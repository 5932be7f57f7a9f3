# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rotation of the encryption key has to do next, by the files of all control planes. Private.

A file holds, in this order, the keys: [old] -> [old, new] -> [new, old] -> [new]. A server may write with the new key
only when every server can read it, and may forget the old one only when nothing is written by it. So between two files
of the control planes there is never more than one step, and where they stand says what is left to do.
"""

from __future__ import annotations

import base64
import copy
import datetime
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

PROVIDER = "secretbox"
_NAME = re.compile(r"key(\d+)(?:-(\d{8}))?")
_KEY_BYTES = 32  # of XSalsa20-Poly1305, the cipher of secretbox
STEPS = ("add", "promote", "rewrite", "remove")


class RotationError(Exception):
    """The files cannot be rotated; the text says why and what to do by hand."""


@dataclass(frozen=True)
class Key:
    """One key; ``number`` orders keys by their making, ``made`` is the day in its name (empty for the first one)."""

    name: str
    secret: str
    number: int
    made: str

    @classmethod
    def parse(cls, entry: Mapping[str, Any]) -> Key:
        """From an entry of the file. Raises RotationError."""
        found = _NAME.fullmatch(str(entry.get("name")))
        if not found or not entry.get("secret"):
            raise RotationError(f"key '{entry.get('name')}' has a foreign name; names are key<number>-<day>")
        return cls(str(entry["name"]), str(entry["secret"]), int(found.group(1)), found.group(2) or "")


def keys_of(text: str) -> list[Key]:
    """The keys of a file, in their order. Raises RotationError."""
    document = yaml.safe_load(text)
    lists = []
    for entry in (document or {}).get("resources") or []:
        first = (entry.get("providers") or [{}])[0]
        if list(first) != [PROVIDER]:
            raise RotationError(f"the first provider is {', '.join(first) or 'missing'}, not {PROVIDER}")
        lists.append([Key.parse(key) for key in first[PROVIDER]["keys"]])
    if not lists or any(item != lists[0] for item in lists):
        raise RotationError("resources have different keys, or there are none")
    return lists[0]


def resources_of(text: str) -> list[str]:
    """Resources that a file names. Raises RotationError for patterns, whose objects cannot be found by name."""
    names = [name for entry in yaml.safe_load(text)["resources"] for name in entry["resources"]]
    patterns = [name for name in names if "*" in name]
    if patterns:
        raise RotationError(f"resources are named by patterns ({', '.join(patterns)}); name each resource")
    return names


def with_keys(text: str, keys: list[Key]) -> str:
    """The file with other keys and nothing else changed."""
    document = copy.deepcopy(yaml.safe_load(text))
    for entry in document["resources"]:
        entry["providers"][0][PROVIDER]["keys"] = [{"name": key.name, "secret": key.secret} for key in keys]
    return yaml.safe_dump(document, default_flow_style=False, indent=2, sort_keys=False)


def new_key(after: Key, day: str) -> Key:
    """A new random key with the next number."""
    secret = base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode()
    return Key(f"key{after.number + 1}-{day}", secret, after.number + 1, day)


def plan(
    files: Mapping[str, str],
    modified: Mapping[str, float],
    request: bool,
    maximum_days: int,
    now: datetime.datetime,
) -> dict[str, Any]:
    """The steps to take, their contents, and why (RETURN of the filter encryption_rotation). Raises RotationError."""
    if not files:
        raise RotationError("no control plane has an encryption configuration")
    held = {host: keys_of(text) for host, text in files.items()}
    every = {key.name: key for keys in held.values() for key in keys}
    if any(every[key.name] != key for keys in held.values() for key in keys):
        raise RotationError("control planes have different keys of the same name; keep the file that the Secrets need")
    if len(every) > 2:
        raise RotationError(
            f"more than two keys are in use: {', '.join(sorted(every))}; remove those that are not needed"
        )
    template = next(iter(files.values()))
    if len({with_keys(text, []) for text in files.values()}) > 1:
        raise RotationError("control planes differ in more than their keys; run site.yml or correct the files")
    ordered = sorted(every.values(), key=lambda key: key.number)
    old, age = ordered[0], 0
    if len(ordered) == 1:
        made = (
            datetime.datetime.strptime(old.made, "%Y%m%d").replace(tzinfo=datetime.timezone.utc) if old.made else None
        )
        age = (now - (made or datetime.datetime.fromtimestamp(min(modified.values()), datetime.timezone.utc))).days
        due = maximum_days > 0 and age >= maximum_days
        reason = "asked for" if request else f"{age} days old" if due else ""
        steps = list(STEPS) if reason else []
        new = new_key(old, now.strftime("%Y%m%d")) if reason else old
    else:
        new = ordered[1]
        reason = "begun by an earlier run"
        steps = list(STEPS[_position(list(held.values()), old, new) :])
    stages = {"add": [old, new], "promote": [new, old], "remove": [new]}
    return {
        "steps": steps,
        "reason": reason,
        "age_days": age,
        "old_key": old.name,
        "new_key": new.name,
        "key": f"{PROVIDER}/{new.name}",
        "resources": resources_of(template),
        "contents": {step: with_keys(template, stages[step]) for step in steps if step in stages},
        "summary": _summary(held, steps, reason, old, new, age, maximum_days),
    }


def _position(held: list[list[Key]], old: Key, new: Key) -> int:
    """Index in STEPS of the first one that is not finished on all control planes. Raises RotationError."""
    states = {tuple(key.name for key in keys) for keys in held}
    before, added, promoted, done = ((old.name,), (old.name, new.name), (new.name, old.name), (new.name,))
    for first, allowed in ((0, {before, added}), (1, {added, promoted}), (2, {promoted, done})):
        if states <= allowed:
            # All at the end of the step: the next one begins.
            return first + 1 if states == {added} and first == 0 else 2 if states == {promoted} else first
    raise RotationError(
        f"control planes are more than one step apart ({', '.join(sorted('+'.join(state) for state in states))}); "
        "bring the file of the control plane with most keys to all of them, and run this again"
    )


def _summary(
    held: Mapping[str, list[Key]], steps: list[str], reason: str, old: Key, new: Key, age: int, maximum_days: int
) -> list[str]:
    lines = [f"{host}: {', '.join(key.name for key in keys)}" for host, keys in held.items()]
    if not steps:
        limit = f"is due after {maximum_days} days" if maximum_days else "is never due by its age"
        return [*lines, f"nothing to do: {old.name} is {age} days old and {limit}"]
    words = {
        "add": f"every API server learns {new.name}, and still writes with {old.name}",
        "promote": f"every API server writes with {new.name}, and still reads {old.name}",
        "rewrite": f"every encrypted object is written with {new.name}, proved in etcd",
        "remove": f"every API server forgets {old.name}",
    }
    return [*lines, f"rotation ({reason}):", *(f"{step}: {words[step]}" for step in steps)]
