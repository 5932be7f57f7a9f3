# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Content-addressed cache of artefacts.

Layout below the cache directory::

    objects/<two digits>/<key>/content   file or directory that the recipe with this key produced
    objects/<two digits>/<key>/meta.json what is known of it: sha256, size, seconds, name
    locks/<name>.lock                    advisory locks (flock), released by the kernel when a run dies
    work/                                private directories of the run that holds the build lock
    ahead/                               the same of the run that holds the lock with this name

An object appears by one rename, so a killed run leaves either nothing or the whole object.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ._bundle_common import BundleError, Report, file_digest


@dataclass(frozen=True)
class CachedObject:
    """One object of the cache; ``meta`` has at least ``name``, for files also ``sha256`` and ``size`` (bytes)."""

    key: str
    content: Path
    meta: dict[str, Any]


@contextlib.contextmanager
def exclusive_lock(path: Path, report: Report | None = None, what: str = "", wait: bool = True) -> Iterator[None]:
    """Hold an advisory lock on a file; say who holds it when waiting is needed.

    :raises BlockingIOError: somebody holds it, and this was not to be waited for.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not wait:
                raise
            if report is not None:
                stream.seek(0)
                report(f"waiting for {what or path.name}, held by process {stream.read().strip() or 'unknown'}")
            fcntl.flock(stream, fcntl.LOCK_EX)
        stream.seek(0)
        stream.truncate()
        stream.write(str(os.getpid()))
        stream.flush()
        try:
            yield
        finally:
            stream.seek(0)
            stream.truncate()


def remove_tree(directory: Path) -> None:
    """Remove a directory, also one with read-only parts as the Go module cache makes them, or a file."""

    def writable(_function: Any, path: str, _error: Any) -> None:
        os.chmod(os.path.dirname(path), 0o700)
        if os.path.isdir(path) and not os.path.islink(path):
            os.chmod(path, 0o700)
            shutil.rmtree(path)
        else:
            os.unlink(path)

    if directory.is_file() or directory.is_symlink():
        directory.unlink()
    elif directory.exists():
        shutil.rmtree(directory, onerror=writable)


class Cache:
    """The artefact cache of one user."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.work = directory / "work"

    def _object(self, key: str) -> Path:
        return self.directory / "objects" / key[:2] / key

    def get(self, key: str) -> CachedObject | None:
        """Return the object of a key, or None. A file whose size is not the recorded one counts as absent."""
        place = self._object(key)
        try:
            meta = json.loads((place / "meta.json").read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None
        content = place / "content"
        if not content.exists() or ("size" in meta and content.is_file() and content.stat().st_size != meta["size"]):
            remove_tree(place)
            return None
        return CachedObject(key, content, meta)

    def put(self, key: str, content: Path, meta: dict[str, Any]) -> CachedObject:
        """Move a file or directory into the cache. When another run was first, its object stays.

        :raises BundleError: the content is missing.
        """
        if not content.exists():
            raise BundleError(f"{meta.get('name', key)}: the recipe ended without producing {content.name}.")
        if content.is_file():
            meta = {**meta, "sha256": file_digest(content), "size": content.stat().st_size}
        place = self._object(key)
        place.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{key[:12]}-", dir=place.parent))
        try:
            shutil.move(str(content), staging / "content")
            (staging / "meta.json").write_text(json.dumps(meta, indent=1, sort_keys=True), encoding="utf-8")
            staging.chmod(0o755)
            with contextlib.suppress(OSError):
                staging.rename(place)
        finally:
            remove_tree(staging)
        stored = self.get(key)
        if stored is None:
            raise BundleError(f"{meta.get('name', key)}: the cache at {self.directory} did not keep the object.")
        return stored

    def lock(
        self, name: str, report: Report | None = None, wait: bool = True
    ) -> contextlib.AbstractContextManager[None]:
        """Hold a named lock of the cache."""
        return exclusive_lock(self.directory / "locks" / f"{name}.lock", report, f"the {name} lock of the cache", wait)

    @contextlib.contextmanager
    def work_directory(self, name: str) -> Iterator[Path]:
        """Yield a private directory that is gone afterwards. Call it with the build lock held only:
        whatever lies in ``work`` then belongs to a run that was killed, and is removed first."""
        self.work.mkdir(parents=True, exist_ok=True)
        for stale in self.work.iterdir():
            remove_tree(stale)
        directory = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.work))
        try:
            yield directory
        finally:
            remove_tree(directory)

    @contextlib.contextmanager
    def scratch(self, name: str) -> Iterator[Path]:
        """Yield a private directory beside the objects, so that moving a product into the cache is a rename."""
        parent = self.directory / "scratch"
        parent.mkdir(parents=True, exist_ok=True)
        directory = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=parent))
        try:
            yield directory
        finally:
            remove_tree(directory)

    def free_space(self) -> int:
        """Return the bytes that are free where the cache is."""
        self.directory.mkdir(parents=True, exist_ok=True)
        return shutil.disk_usage(self.directory).free

    def require_space(self, wanted: float) -> None:
        """Check that the file system has room for a build.

        :param wanted: bytes.
        :raises BundleError: less is free.
        """
        free = self.free_space()
        if free < wanted:
            raise BundleError(
                f"Building from source needs {wanted / 1e9:.0f} GB free below {self.directory}; there are "
                f"{free / 1e9:.1f} GB. Free some space or choose another cache_directory."
            )
