# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bundle directory and its ``index.json``: reading, writing, placing files, checking everything offline.

Layout::

    index.json    what the bundle has (schema 1), sorted by kind and name
    .state.json   size and modification time of each file when its checksum was last computed
    files/ charts/ manifests/ packages/    one file per entry
    images/       one OCI image layout (OCI image specification 1.1) with all images
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ._bundle_cache import remove_tree
from ._bundle_common import BundleError, file_digest, write_atomically

SCHEMA = 1
DIRECTORIES = {"file": "files", "chart": "charts", "manifest": "manifests", "package": "packages", "image": "images"}
Entry = dict[str, Any]


class MissingEntryError(BundleError):
    """The bundle has nothing of that kind and name."""


class Index:
    """The entries of one bundle directory."""

    def __init__(self, directory: Path) -> None:
        """Read ``index.json``; a directory without one is an empty bundle.

        :raises BundleError: the index is unreadable or of another schema.
        """
        self.directory = directory
        self.entries: list[Entry] = []
        self.platform = ""
        self.go_version = ""
        self._state: dict[str, list[int]] = {}
        path = directory / "index.json"
        if not path.exists():
            return
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            schema = data["schema"]
            self.entries = list(data["entries"])
            self.platform, self.go_version = data["platform"], data.get("go_version", "")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BundleError(f"{path} cannot be read ({error}). Remove it and make the bundle again.") from error
        if schema != SCHEMA:
            raise BundleError(f"{path} has schema {schema}, this version of the collection reads {SCHEMA}.")
        state = directory / ".state.json"
        if state.exists():
            self._state = json.loads(state.read_text(encoding="utf-8"))

    def of(self, artefact: str) -> list[Entry]:
        """Return the entries that one artefact of the lock put into the bundle (several for package selections)."""
        return [entry for entry in self.entries if entry["artefact"] == artefact]

    def find(self, kind: str, name: str, version: str | None = None) -> Entry:
        """Return one entry by kind and name; images also by their version when a name has several.

        :raises MissingEntryError: none.
        :raises BundleError: several.
        """
        found = [e for e in self.entries if e["kind"] == kind and e["name"] == name]
        if version is not None:
            found = [entry for entry in found if entry["version"] == version]
        wanted = f"{kind} {name}" + (f" {version}" if version else "")
        if not found:
            raise MissingEntryError(
                f"The bundle {self.directory} has no {wanted}. Fill it with onprem.platform.bundle."
            )
        if len(found) > 1:
            versions = ", ".join(entry["version"] for entry in found)
            raise BundleError(f"The bundle {self.directory} has {wanted} in several versions ({versions}): name one.")
        return found[0]

    def path(self, entry: Entry) -> Path:
        """Return where an entry's file (for images: the layout) lies."""
        return self.directory / str(entry["path"])

    def place(self, entry: Entry, content: Path, mode: int) -> None:
        """Put a file into the bundle under the entry's path (hard link, or copy across file systems) and remember it.

        The content's own mode changes with it: a bundle's files and the cache's are the same files.
        """
        target = self.path(entry)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.new")
        temporary.unlink(missing_ok=True)
        content.chmod(mode)
        try:
            os.link(content, temporary)
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP):
                raise
            shutil.copy2(content, temporary)
        temporary.replace(target)
        self._remember(entry)

    def _remember(self, entry: Entry) -> None:
        status = self.path(entry).stat()
        self._state[str(entry["path"])] = [status.st_size, status.st_mtime_ns]

    def intact(self, entry: Entry) -> bool:
        """Tell cheaply whether an entry's file is as it was placed; a file that was touched is hashed again."""
        path = self.path(entry)
        try:
            status = path.stat()
        except OSError:
            return False
        if self._state.get(str(entry["path"])) == [status.st_size, status.st_mtime_ns]:
            return True
        if status.st_size != entry["size"] or file_digest(path) != entry["sha256"]:
            return False
        self._remember(entry)
        return True

    def replace(self, artefact: str, entries: Iterable[Entry]) -> None:
        """Set the entries of one artefact of the lock."""
        kept = [entry for entry in self.entries if entry["artefact"] != artefact]
        self.entries = sorted([*kept, *entries], key=lambda e: (e["kind"], e["name"], e["version"]))

    def write(self) -> bool:
        """Write the index when it changed; return whether it did. Files that no entry names any more are removed."""
        self._remove_strays()
        producers = {entry["producer"] for entry in self.entries}
        content = {
            "schema": SCHEMA,
            "platform": self.platform,
            "producer": producers.pop() if len(producers) == 1 else "mixed",
            "go_version": self.go_version,
            "entries": self.entries,
        }
        text = json.dumps(content, indent=1, sort_keys=True) + "\n"
        known = {str(entry["path"]) for entry in self.entries}
        state = json.dumps({k: v for k, v in sorted(self._state.items()) if k in known}, indent=1) + "\n"
        path = self.directory / "index.json"
        changed = not path.exists() or path.read_text(encoding="utf-8") != text
        if changed:
            write_atomically(path, text)
        state_path = self.directory / ".state.json"
        if not state_path.exists() or state_path.read_text(encoding="utf-8") != state:
            write_atomically(state_path, state)
        return changed

    def strays(self) -> list[Path]:
        """Return files below the entries' directories that no entry names (images are the layout's business)."""
        known = {self.path(entry) for entry in self.entries}
        return [
            path
            for kind, name in DIRECTORIES.items()
            if kind != "image" and (self.directory / name).is_dir()
            for path in sorted((self.directory / name).iterdir())
            if path not in known
        ]

    def _remove_strays(self) -> None:
        for path in self.strays():
            remove_tree(path)

    def problems(self) -> list[str]:
        """Check every file and every image blob against its checksum, offline; return what is wrong."""
        found = [f"{path}: no entry of the index names it" for path in self.strays()]
        for entry in self.entries:
            if entry["kind"] == "image":
                continue
            path = self.path(entry)
            if not path.is_file():
                found.append(f"{path}: missing")
            elif file_digest(path) != entry["sha256"]:
                found.append(f"{path}: its sha256 is not {entry['sha256']}")
        return found + self._image_problems()

    def _image_problems(self) -> list[str]:
        images = [entry for entry in self.entries if entry["kind"] == "image"]
        blobs = self.directory / "images" / "blobs" / "sha256"
        found, needed, named = [], set(), {}
        try:
            layout = json.loads((self.directory / "images" / "index.json").read_text(encoding="utf-8"))
            named = {m["annotations"]["org.opencontainers.image.ref.name"]: m["digest"] for m in layout["manifests"]}
        except (OSError, ValueError, KeyError) as error:
            if images:
                return [f"{self.directory / 'images' / 'index.json'}: {error}"]
        for entry in images:
            reference = f"{entry['repository']}:{entry['tag']}"
            if named.get(reference) != entry["digest"]:
                found.append(f"image {reference}: the layout has {named.get(reference)}, the index {entry['digest']}")
            try:
                manifest = json.loads((blobs / entry["digest"].removeprefix("sha256:")).read_bytes())
                needed |= {entry["digest"], manifest["config"]["digest"]}
                needed |= {layer["digest"] for layer in manifest["layers"]}
            except (OSError, ValueError, KeyError) as error:
                found.append(f"image {reference}: its manifest cannot be read ({error})")
        for digest in sorted(needed):
            blob = blobs / digest.removeprefix("sha256:")
            if not blob.is_file():
                found.append(f"{blob}: missing")
            elif file_digest(blob) != digest.removeprefix("sha256:"):
                found.append(f"{blob}: its content has another digest")
        return found
