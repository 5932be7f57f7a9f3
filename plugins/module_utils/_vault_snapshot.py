# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Snapshots of the raft storage: files that are verified before they get their name, and before they are sent."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import tarfile
import tempfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, Any, BinaryIO

from ._vault import VaultClient
from ._vault_errors import VaultConfigurationError, VaultError
from ._vault_key_file import sync_directory

SNAPSHOT_PATH = "sys/storage/raft/snapshot"
_META, _STATE, _SUMS, _SEALED = "meta.json", "state.bin", "SHA256SUMS", "SHA256SUMS.sealed"
_SMALL = 1024 * 1024  # all members but the state; Vault's own have some hundred bytes
_CHUNK = 1024 * 1024


class VaultBrokenSnapshot(VaultError):
    """A snapshot is not complete, or not what its own checksums say."""

    kind = "broken_snapshot"


@dataclass(frozen=True)
class Snapshot:
    """A snapshot that was verified.

    size: bytes of the file. sha256: of the file. state_size: bytes of the storage in it. index and term: of raft, at
    the time of the snapshot. saved_at: when the file was written (RFC 3339, UTC).
    """

    path: str
    size: int
    sha256: str
    state_size: int
    index: int
    term: int
    saved_at: str

    def result(self) -> dict[str, Any]:
        """Return what results tell about the snapshot."""
        return asdict(self)

    def age(self) -> float:
        """Return the seconds since the file was written."""
        return (datetime.now(timezone.utc) - datetime.fromisoformat(self.saved_at)).total_seconds()


class _Hashed:
    """A file that hashes what is read from it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.sha256 = hashlib.sha256()
        self.size = 0

    def read(self, size: int = -1) -> bytes:
        """Read, as a file does."""
        data = self._file.read(size)
        self.sha256.update(data)
        self.size += len(data)
        return data


def _read_member(stream: IO[bytes], name: str) -> tuple[bytes, str]:
    """Return a member's content (nothing of the state, which may be large) and checksum."""
    digest, content = hashlib.sha256(), b""
    while chunk := stream.read(_CHUNK):
        digest.update(chunk)
        if name != _STATE:
            content += chunk
            if len(content) > _SMALL:
                raise ValueError(f"{name} is too large")
    return content, digest.hexdigest()


def _read_archive(file: _Hashed) -> tuple[dict[str, bytes], dict[str, str], int]:
    """Return contents and checksums of the members, and the size of the state.

    The stream is read to its very end, so that a part that is cut off is noticed.
    Raises ValueError, tarfile.TarError, zlib.error, EOFError or OSError for what is no complete archive.
    """
    contents: dict[str, bytes] = {}
    sums: dict[str, str] = {}
    state_size = 0
    # The stub demands more of a file than reading, which is all that is used here.
    with gzip.GzipFile(fileobj=file, mode="rb") as unpacked:  # type: ignore[call-overload]
        with tarfile.open(fileobj=unpacked, mode="r|") as archive:
            for member in archive:
                stream = archive.extractfile(member) if member.isreg() else None
                if stream is None or member.name in sums or member.name not in (_META, _STATE, _SUMS, _SEALED):
                    raise ValueError(f"{member.name} is no part of a snapshot")
                contents[member.name], sums[member.name] = _read_member(stream, member.name)
                if member.name == _STATE:
                    state_size = member.size
        while unpacked.read(_CHUNK):
            pass
    return contents, sums, state_size


def _check_members(contents: Mapping[str, bytes], sums: Mapping[str, str], state_size: int) -> dict[str, Any]:
    """Return what the snapshot tells about itself.

    Raises ValueError when a member is missing, or differs from its checksum or size.
    """
    missing = [name for name in (_META, _STATE, _SUMS, _SEALED) if name not in sums]
    if missing:
        raise ValueError(f"{', '.join(missing)} is missing")
    if not contents[_SEALED]:
        raise ValueError(f"{_SEALED} is empty, so Vault failed while it wrote")
    expected = {name: digest for digest, name in (line.split() for line in contents[_SUMS].decode().splitlines())}
    for name in (_META, _STATE):
        if expected.get(name) != sums[name]:
            raise ValueError(f"{name} differs from its checksum")
    meta = json.loads(contents[_META])
    if not isinstance(meta, dict) or not state_size or meta.get("Size", state_size) != state_size:
        raise ValueError(f"{_STATE} has {state_size} bytes, which is not what {_META} says")
    return meta


def verify_snapshot(path: Path) -> Snapshot:
    """Return what is known about a snapshot file after all its checksums and sizes were found right.

    Raises VaultBrokenSnapshot, or VaultConfigurationError when the file cannot be read.
    """
    try:
        with open(path, "rb") as raw:
            file = _Hashed(raw)
            try:
                contents, sums, state_size = _read_archive(file)
                meta = _check_members(contents, sums, state_size)
            except (ValueError, tarfile.TarError, zlib.error, EOFError, gzip.BadGzipFile) as error:
                raise VaultBrokenSnapshot(f"{path} is no good snapshot: {error}.") from error
            saved = datetime.fromtimestamp(int(os.fstat(raw.fileno()).st_mtime), timezone.utc)
            size = os.fstat(raw.fileno()).st_size
    except OSError as error:
        raise VaultConfigurationError(f"The snapshot {path} cannot be read: {error}.") from error
    index, term = int(meta.get("Index") or 0), int(meta.get("Term") or 0)
    return Snapshot(str(path), size, file.sha256.hexdigest(), state_size, index, term, saved.isoformat())


def save_snapshot(client: VaultClient, path: Path) -> Snapshot:
    """Save a snapshot and return what is known about it.

    The file gets its name, with mode 0600, only when it is complete and verified; one that is there stays until then.
    Raises VaultError, VaultBrokenSnapshot among them, or VaultConfigurationError when the file cannot be written.
    """
    temporary: Path | None = None
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        temporary = Path(name)
        with os.fdopen(handle, "w+b") as file:
            client.download(SNAPSHOT_PATH, file)
            file.flush()
            os.fsync(file.fileno())
        snapshot = replace(verify_snapshot(temporary), path=str(path))
        os.replace(temporary, path)
        sync_directory(path.parent)
    except OSError as error:
        raise VaultConfigurationError(f"The snapshot {path} cannot be written: {error}.") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
    return snapshot


def restore_snapshot(client: VaultClient, path: Path, *, force: bool) -> None:
    """Let the cluster take its whole content from a snapshot file. force: also one of a cluster with other keys."""
    try:
        with open(path, "rb") as file:
            client.upload(f"{SNAPSHOT_PATH}-force" if force else SNAPSHOT_PATH, file)
    except OSError as error:
        raise VaultConfigurationError(f"The snapshot {path} cannot be read: {error}.") from error
