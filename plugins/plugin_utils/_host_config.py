# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private: may change in any release.
"""Controller side of ``host_config``: which text travels with the call and which files may have to be uploaded."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import tarfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ._bundle_common import BundleError
from ._bundle_index import Index

# Text up to this size travels with the call, so that its diff can be shown.
TEXT_LIMIT = 256 * 1024
# Smaller files share one archive (one transfer); larger ones are sent as they are, without a second copy.
ARCHIVE_LIMIT = 4 * 1024 * 1024


class ConfigurationError(Exception):
    """An argument of the task is wrong; ``str()`` names the item."""


@dataclass
class Call:
    """Arguments for the module, and the files that it may ask for, by their SHA-256."""

    arguments: dict[str, Any]
    sources: dict[str, str] = field(default_factory=dict)
    _texts: dict[str, str] = field(default_factory=dict)

    def add_text(self, key: str, text: str) -> None:
        """Let a text travel with the call."""
        self._texts[key] = text

    def pack(self) -> None:
        """Put all texts into one masked argument."""
        data = json.dumps(self._texts).encode()
        self.arguments["_payload"] = base64.b64encode(zlib.compress(data)).decode()


def prepare(arguments: Mapping[str, Any]) -> Call:
    """Split the arguments of a task.

    Raises ConfigurationError for a missing file or an item with neither or both of ``content`` and ``src``.
    """
    call = Call({key: value for key, value in arguments.items() if not key.startswith("_")})
    bundle = _Bundle(call.arguments.pop("bundle_directory", None))
    for kind, key in (("files", "path"), ("trust_anchors", "name")):
        items = [_mapping(item, kind) for item in _list(arguments, kind)]
        prepared = [_prepare_item(call, kind, str(item.get(key)), bundle.resolve(item)) for item in items]
        if prepared:
            call.arguments[kind] = prepared
    listed = [dict(_mapping(item, "packages")) for item in _list(arguments, "packages")]
    listed += bundle.packages(call.arguments.pop("bundle_packages", None) or [])
    packages = [_with_checksum(call, item) for item in listed]
    if packages:
        call.arguments["packages"] = packages
    call.pack()
    return call


class _Bundle:
    """Files of the bundle by name; the index is read when the first one is asked for."""

    def __init__(self, directory: Any) -> None:
        self._directory = directory
        self._index: Index | None = None

    def _read(self) -> Index:
        if self._index is None:
            if not self._directory:
                raise ConfigurationError("'bundle_directory' is needed for files and packages of the bundle")
            try:
                self._index = Index(Path(str(self._directory)).expanduser())
            except BundleError as error:
                raise ConfigurationError(str(error)) from None
        return self._index

    def resolve(self, item: Mapping[str, Any]) -> Mapping[str, Any]:
        """The item with ``bundle`` (a name) replaced by path, checksum and size of that file."""
        if item.get("bundle") is None:
            return item
        if item.get("src") is not None:
            raise ConfigurationError(f"{item.get('path')}: give either 'src' or 'bundle'")
        try:
            entry = self._read().find("file", str(item["bundle"]))
        except BundleError as error:
            raise ConfigurationError(str(error)) from None
        rest = {key: value for key, value in item.items() if key != "bundle"}
        return {**rest, "src": str(self._read().path(entry)), "sha256": entry["sha256"], "size": entry["size"]}

    def packages(self, selections: Iterable[str]) -> list[dict[str, Any]]:
        """The packages of each selection of the bundle."""
        found = []
        for selection in selections:
            entries = self._read().of(f"package/{selection}")
            if not entries:
                raise ConfigurationError(f"The bundle {self._directory} has no packages '{selection}': fill it again.")
            for entry in entries:
                keys = ("name", "version", "sha256", "size", "distribution")
                found.append({**{key: entry[key] for key in keys}, "src": str(self._read().path(entry))})
        return found


def _list(arguments: Mapping[str, Any], kind: str) -> list[Any]:
    value = arguments.get(kind) or []
    if not isinstance(value, list):
        raise ConfigurationError(f"'{kind}' must be a list")
    return value


def _mapping(item: Any, kind: str) -> Mapping[str, Any]:
    if not isinstance(item, Mapping):
        raise ConfigurationError(f"each item of '{kind}' must be a mapping")
    return item


def _prepare_item(call: Call, kind: str, name: str, original: Mapping[str, Any]) -> dict[str, Any]:
    item = dict(original)
    content, source = item.pop("content", None), item.get("src")
    if (content is None) == (source is None):
        raise ConfigurationError(f"{kind}: {name}: give one of 'content', 'src' and 'bundle'")
    if content is not None:
        if not isinstance(content, str):
            raise ConfigurationError(f"{kind}: {name}: 'content' must be text, not {type(content).__name__}")
        call.add_text(f"{kind}:{name}", content)
        return item
    text = _text_of(_existing(str(source)))
    if text is not None:
        call.add_text(f"{kind}:{name}", text)
        return item
    if kind != "files":
        raise ConfigurationError(f"{kind}: {name}: {source} is not a text file")
    return _with_checksum(call, item)


def _existing(source: str) -> str:
    path = os.path.expanduser(source)
    if not os.path.isfile(path):
        raise ConfigurationError(f"{path} does not exist on the controller: is the bundle complete?")
    return path


def _text_of(path: str) -> str | None:
    if os.path.getsize(path) > TEXT_LIMIT:
        return None
    with open(path, "rb") as stream:
        data = stream.read()
    try:
        return None if b"\0" in data else data.decode()
    except UnicodeDecodeError:
        return None


def _with_checksum(call: Call, item: dict[str, Any]) -> dict[str, Any]:
    path = _existing(str(item.get("src")))
    size = os.path.getsize(path)
    if item.get("size") not in (None, size):
        raise ConfigurationError(f"{path} has {size} bytes instead of {item['size']}: renew the bundle")
    item["size"] = size
    if not item.get("sha256"):
        with open(path, "rb") as stream:
            item["sha256"] = hashlib.file_digest(stream, "sha256").hexdigest()
    item["sha256"] = str(item["sha256"]).lower()
    if len(item["sha256"]) != 64 or not set(item["sha256"]) <= set("0123456789abcdef"):
        raise ConfigurationError(f"{path}: '{item['sha256']}' is not a sha256 checksum")
    call.sources[item["sha256"]] = path
    return item


def split_by_size(call: Call, needed: Iterable[str]) -> tuple[list[str], list[str]]:
    """Checksums of the files for the archive, and of those that are sent alone."""
    small: list[str] = []
    large: list[str] = []
    for sha256 in needed:
        (small if os.path.getsize(call.sources[sha256]) < ARCHIVE_LIMIT else large).append(sha256)
    return small, large


def write_archive(call: Call, checksums: Iterable[str], path: str) -> None:
    """Write the archive; members are named by their checksum and carry nothing else of the source."""
    with tarfile.open(path, "w") as archive:
        for sha256 in checksums:
            member = tarfile.TarInfo(sha256)
            member.size, member.mode = os.path.getsize(call.sources[sha256]), 0o600
            with open(call.sources[sha256], "rb") as stream:
                archive.addfile(member, stream)
