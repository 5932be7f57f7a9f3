# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt)
# SPDX-License-Identifier: BSD-2-Clause
#
# Private: may change in any release.
"""The host a module runs on: paths, commands, atomic writes and the record of what was done.

Only the Python standard library is used, because a node has nothing else.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import grp
import hashlib
import os
import posixpath
import pwd
import stat
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

CHUNK = 1 << 20
TEMPORARY_SUFFIX = ".onprem-platform"


class HostError(Exception):
    """Something on the host is not as needed; ``str()`` is one message with cause and remedy."""


@dataclass(frozen=True)
class CommandResult:
    """Exit code and output of a command."""

    code: int
    stdout: str
    stderr: str


@dataclass
class Record:
    """What was found and done, item by item, with the diff of each change."""

    results: list[dict[str, Any]] = field(default_factory=list)
    diffs: list[dict[str, str]] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        """True when at least one item changed (or would change, in check mode)."""
        return any(item["changed"] for item in self.results)

    def add(self, kind: str, name: str, action: str = "", before: str | None = None, after: str | None = None) -> None:
        """Note one item; an empty ``action`` means that it already was as wanted."""
        self.results.append({"kind": kind, "name": name, "changed": bool(action), "action": action or "none"})
        if action and (before is not None or after is not None):
            self.diffs.append(
                {
                    "before_header": f"{kind}: {name}",
                    "after_header": f"{kind}: {name}",
                    "before": before or "",
                    "after": after or "",
                }
            )

    def changed_names(self, *kinds: str) -> set[str]:
        """Names of the changed items of these kinds."""
        return {item["name"] for item in self.results if item["changed"] and item["kind"] in kinds}


class Host:
    """File system and commands of this host. ``root`` other than ``/`` is for tests."""

    def __init__(self, root: str = "/", check: bool = False) -> None:
        self.root = root
        self.check = check

    def path(self, absolute: str) -> str:
        """Place of an absolute path below ``root``."""
        return absolute if self.root == "/" else os.path.join(self.root, absolute.lstrip("/"))

    def read(self, absolute: str) -> str | None:
        """Text of a file, or None when there is none (or it may not be read)."""
        try:
            with open(self.path(absolute), encoding="utf-8", errors="replace") as stream:
                return stream.read()
        except OSError:
            return None

    def run(
        self, argv: Sequence[str], accept: Sequence[int] = (0,), environment: Mapping[str, str] | None = None
    ) -> CommandResult:
        """Run a command without a shell.

        Raises HostError when it is missing or ends with a code outside of ``accept``.
        """
        settings = {**os.environ, "LC_ALL": "C", "LANGUAGE": "C", **(environment or {})}
        path = settings.get("PATH", "")
        settings["PATH"] = ":".join(filter(None, [path, "/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin"]))
        try:
            # This class works without a module, in unit tests and below another root too.
            done = subprocess.run(  # pylint: disable=ansible-bad-function
                list(argv),
                capture_output=True,
                text=True,
                errors="replace",
                env=settings,
                stdin=subprocess.DEVNULL,
                check=False,
            )
        except FileNotFoundError:
            raise HostError(f"{argv[0]} is not installed on this host") from None
        if done.returncode not in accept:
            output = (done.stderr.strip() or done.stdout.strip())[-2000:]
            raise HostError(f"'{' '.join(argv)}' ended with code {done.returncode}: {output}")
        return CommandResult(done.returncode, done.stdout, done.stderr)


@contextlib.contextmanager
def exclusive(path: str, what: str, seconds: float = 300) -> Iterator[None]:
    """Hold a lock file (fcntl(2), as dpkg does) while the block runs; wait for another holder up to ``seconds``.

    A module whose controller was killed goes on until its end; the next run must not meet it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:

        def locked() -> bool:
            try:
                fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return False
            return True

        if not wait_until(locked, seconds):
            raise HostError(
                f"{what} is still locked by another process after {seconds:.0f} s ({path}): see fuser {path}"
            )
        yield
    finally:
        os.close(descriptor)


def valid_path(path: str) -> str:
    """The path itself when it is absolute and normal; HostError otherwise (``..``, ``//``, a trailing slash)."""
    if not path.startswith("/") or path == "/" or "\0" in path or posixpath.normpath(path) != path:
        raise HostError(f"'{path}' is not a usable path: give an absolute path without '..', '//' or a trailing slash")
    return path


def user_id(name: str) -> int:
    """User id of a name or a number written as text."""
    if name.isdigit():
        return int(name)
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        raise HostError(f"user '{name}' does not exist on this host: create it by 'users' of the same call") from None


def group_id(name: str) -> int:
    """Group id of a name or a number written as text."""
    if name.isdigit():
        return int(name)
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise HostError(f"group '{name}' does not exist on this host: create it by 'users' of the same call") from None


def file_sha256(path: str) -> str:
    """SHA-256 of a file as hexadecimal text."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _sync_directory(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _publish(temporary: str, path: str) -> None:
    """Rename a finished file into place; a bind-mounted target (``/etc/hosts`` of a container) is written in place."""
    try:
        os.rename(temporary, path)
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        with open(temporary, "rb") as source, open(path, "r+b") as target:
            target.write(source.read())
            target.truncate()
            os.fsync(target.fileno())
        os.unlink(temporary)
    _sync_directory(os.path.dirname(path))


def write_file(path: str, content: bytes, mode: int, owner: int, group: int) -> None:
    """Write a file so that readers see the old or the new content, never a part, and never with a wider mode."""
    temporary = _open_name(path)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        os.fchown(stream.fileno(), owner, group)
        stream.write(content)
        stream.flush()
        os.fchmod(stream.fileno(), mode)
        os.fsync(stream.fileno())
    _publish(temporary, path)


def move_file(staged: str, path: str, sha256: str, mode: int, owner: int, group: int) -> None:
    """Put an uploaded file in place after its checksum was verified.

    The file itself is moved when that is safe (ours, and on the same file system); otherwise it is copied, and the
    checksum is taken of what was written.
    """
    state = os.lstat(staged)
    own = stat.S_ISREG(state.st_mode) and state.st_uid == os.geteuid() and state.st_nlink == 1
    temporary = _open_name(path)
    if own and state.st_dev == os.lstat(os.path.dirname(path)).st_dev:
        _verify(file_sha256(staged), sha256, path)
        os.chmod(staged, 0o600)
        os.rename(staged, temporary)
        descriptor = os.open(temporary, os.O_RDWR | os.O_NOFOLLOW)
    else:
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        digest = hashlib.sha256()
        with open(staged, "rb") as source:
            while chunk := source.read(CHUNK):
                digest.update(chunk)
                view = memoryview(chunk)
                while view:
                    view = view[os.write(descriptor, view) :]
        _verify(digest.hexdigest(), sha256, path)
    try:
        os.fchown(descriptor, owner, group)
        os.fchmod(descriptor, mode)
        # The time of arrival, not of upload: units compare it with their start.
        os.utime(descriptor)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    _publish(temporary, path)


def _verify(found: str, wanted: str, path: str) -> None:
    if found != wanted:
        raise HostError(
            f"{path}: the uploaded file has sha256 {found}, but {wanted} is wanted; the file on the controller is "
            "damaged or was replaced: renew the bundle"
        )


def _open_name(path: str) -> str:
    """Name of the temporary file beside ``path``; what a killed run left there is removed."""
    temporary = os.path.join(os.path.dirname(path), f".{os.path.basename(path)}{TEMPORARY_SUFFIX}")
    if os.path.lexists(temporary):
        os.unlink(temporary)
    return temporary


def wait_until(condition: Any, seconds: float, interval: float = 0.1) -> bool:
    """Ask ``condition()`` until it is true or the time is over."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= end:
            return False
        time.sleep(interval)
    return True
