# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt)
# SPDX-License-Identifier: BSD-2-Clause
#
# Private: may change in any release.
"""Directories, files, links and absent paths of a host."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tarfile
from collections.abc import Mapping
from typing import Any

from ._host import Host, HostError, Record, file_sha256, group_id, move_file, user_id, valid_path, write_file

TEXT_LIMIT = 256 * 1024
# Removing one of these, or what contains them, is never meant.
PROTECTED = ("/etc", "/usr", "/var", "/home", "/root", "/opt", "/boot", "/dev", "/proc", "/sys", "/run", "/lib", "/bin")


class Staging:
    """Uploaded files, each under the name of its SHA-256, in a directory and in one archive beside them."""

    def __init__(self, directory: str, archive: str | None = None) -> None:
        self.directory = directory
        self.archive = archive

    def file(self, sha256: str) -> str:
        """Path of an uploaded file; small ones are taken out of the archive on first use."""
        path = os.path.join(self.directory, sha256)
        if not os.path.exists(path) and self.archive:
            with tarfile.open(self.archive) as archive:
                try:
                    source = archive.extractfile(sha256)
                except KeyError:
                    source = None
                if source is not None:
                    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
                    with os.fdopen(descriptor, "wb") as target:
                        shutil.copyfileobj(source, target)
        if not os.path.exists(path):
            raise HostError(f"the upload with sha256 {sha256} did not arrive")
        return path

    def remove(self) -> None:
        """Remove what is left of the uploads."""
        shutil.rmtree(self.directory, ignore_errors=True)


def _mode(text: str, name: str) -> int:
    try:
        value = int(text, 8)
    except ValueError:
        value = -1
    if not 0 <= value <= 0o7777:
        raise HostError(f"{name}: mode '{text}' is not an octal mode such as '0644'")
    return value


def _attributes(path: str, item: Mapping[str, Any]) -> tuple[int, int, int]:
    """Wanted (mode, user id, group id)."""
    return _mode(item["mode"], path), user_id(item["owner"]), group_id(item["group"])


def _describe(mode: int, owner: int, group: int) -> str:
    return f"mode {mode:04o} owner {owner} group {group}\n"


def apply_directories(host: Host, record: Record, items: list[dict[str, Any]]) -> None:
    """Create directories (with missing parents as 0755 root) and correct their mode and owner."""
    for item in sorted(items, key=lambda entry: str(entry["path"])):
        path = valid_path(item["path"])
        place = host.path(path)
        unknown_owner = host.check and _pending_account(item)
        wanted = (_mode(item["mode"], path), -1, -1) if unknown_owner else _attributes(path, item)
        try:
            state = os.stat(place)
        except FileNotFoundError:
            record.add("directory", path, "create", "", _describe(*wanted))
            if not host.check:
                make_directory(place, *wanted)
            continue
        if not stat.S_ISDIR(state.st_mode):
            raise HostError(f"{path} must be a directory, but something else is there: move it away")
        found = (stat.S_IMODE(state.st_mode), state.st_uid, state.st_gid)
        if found == wanted:
            record.add("directory", path)
            continue
        record.add("directory", path, "attributes", _describe(*found), _describe(*wanted))
        if not host.check:
            os.chown(place, wanted[1], wanted[2])
            os.chmod(place, wanted[0])


def _pending_account(item: Mapping[str, Any]) -> bool:
    """True when the owner does not exist yet; a check run cannot know its number then."""
    try:
        user_id(item["owner"])
        group_id(item["group"])
    except HostError:
        return True
    return False


def make_directory(place: str, mode: int, owner: int, group: int) -> None:
    """Make one directory, its missing parents as 0755 root:root; the mode is never wider than wanted meanwhile."""
    parent = os.path.dirname(place)
    if not os.path.isdir(parent):
        make_directory(parent, 0o755, 0, 0)
    os.mkdir(place, 0o700)
    os.chown(place, owner, group)
    os.chmod(place, mode)


class Files:
    """The files of one call: first compared, then written."""

    def __init__(self, host: Host, items: list[dict[str, Any]], kind: str = "file") -> None:
        self.host = host
        self.items = items
        self.kind = kind
        self._same: dict[str, bool] = {}
        for item in items:
            valid_path(item["path"])
            if item.get("content") is None and not item.get("sha256"):
                raise HostError(f"{item['path']}: give 'content' or 'src'")
            if item.get("content") is not None:
                data = item["content"].encode()
                item["sha256"], item["size"] = hashlib.sha256(data).hexdigest(), len(data)

    def same_content(self, item: Mapping[str, Any]) -> bool:
        """True when the file is there with the wanted content. Asked twice, the file is read once."""
        path = item["path"]
        if path not in self._same:
            place = self.host.path(path)
            try:
                state = os.lstat(place)
            except (FileNotFoundError, NotADirectoryError):
                self._same[path] = False
                return False
            if stat.S_ISDIR(state.st_mode):
                raise HostError(f"{path} must be a file, but a directory is there: move it away")
            if not item["replace"] and stat.S_ISREG(state.st_mode):
                self._same[path] = True
            else:
                self._same[path] = (
                    stat.S_ISREG(state.st_mode)
                    and state.st_size == item["size"]
                    and file_sha256(place) == item["sha256"]
                )
        return self._same[path]

    def needed(self) -> list[str]:
        """SHA-256 of the files that must be uploaded."""
        return [item["sha256"] for item in self.items if item.get("content") is None and not self.same_content(item)]

    def apply(self, record: Record, staging: Staging | None) -> None:
        """Write what differs; in check mode only record it."""
        for item in self.items:
            self._apply_one(record, item, staging)

    def _apply_one(self, record: Record, item: Mapping[str, Any], staging: Staging | None) -> None:
        path, host = item["path"], self.host
        place = host.path(path)
        unknown_owner = host.check and _pending_account(item)
        wanted = (_mode(item["mode"], path), -1, -1) if unknown_owner else _attributes(path, item)
        state = os.lstat(place) if os.path.lexists(place) else None
        if state and self.same_content(item):
            found = (stat.S_IMODE(state.st_mode), state.st_uid, state.st_gid)
            if found == wanted:
                record.add(self.kind, path)
                return
            record.add(self.kind, path, "attributes", _describe(*found), _describe(*wanted))
            if not host.check:
                os.chown(place, wanted[1], wanted[2], follow_symlinks=False)
                os.chmod(place, wanted[0])
            return
        before, after = self._texts(item, place, state)
        record.add(self.kind, path, "update" if state else "create", before, after)
        if host.check:
            return
        parent = os.path.dirname(place)
        if not os.path.isdir(parent):
            make_directory(parent, 0o755, 0, 0)
        if item.get("content") is not None:
            write_file(place, item["content"].encode(), *wanted)
        elif staging is None:
            raise HostError(f"{path}: its content was not uploaded")
        else:
            move_file(staging.file(item["sha256"]), place, item["sha256"], *wanted)

    @staticmethod
    def _texts(item: Mapping[str, Any], place: str, state: os.stat_result | None) -> tuple[str, str]:
        """The two sides of the diff: text, size and checksum of binary content, nothing of sensitive content."""
        if item["sensitive"]:
            return ("(sensitive content)\n" if state else ""), "(other sensitive content)\n"
        before = ""
        if state and stat.S_ISLNK(state.st_mode):
            before = f"symbolic link to {os.readlink(place)}\n"
        elif state:
            text = None
            if state.st_size <= TEXT_LIMIT:
                with open(place, "rb") as stream:
                    text = _as_text(stream.read())
            before = text if text is not None else f"{state.st_size} bytes, sha256 {file_sha256(place)}\n"
        if item.get("content") is not None:
            return before, item["content"]
        return before, f"{item['size']} bytes, sha256 {item['sha256']}\n"


def _as_text(data: bytes) -> str | None:
    if b"\0" in data:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def apply_links(host: Host, record: Record, items: list[dict[str, Any]]) -> None:
    """Make symbolic links; a link with another target is replaced at once, anything else is refused."""
    for item in items:
        path, target = valid_path(item["path"]), item["target"]
        place = host.path(path)
        found = os.readlink(place) if os.path.islink(place) else None
        if found == target:
            record.add("link", path)
            continue
        if found is None and os.path.lexists(place):
            raise HostError(f"{path} must be a symbolic link, but something else is there: move it away")
        record.add("link", path, "update" if found else "create", f"{found}\n" if found else "", f"{target}\n")
        if host.check:
            continue
        parent = os.path.dirname(place)
        if not os.path.isdir(parent):
            make_directory(parent, 0o755, 0, 0)
        temporary = f"{place}.onprem-platform"
        if os.path.lexists(temporary):
            os.unlink(temporary)
        os.symlink(target, temporary)
        os.rename(temporary, place)


def apply_absent(host: Host, record: Record, paths: list[str]) -> None:
    """Remove files, links and directory trees; top-level directories and mount points are refused."""
    for path in paths:
        valid_path(path)
        if path in PROTECTED or path.count("/") < 2:
            raise HostError(f"{path} is a directory of the operating system and is not removed")
        place = host.path(path)
        if not os.path.lexists(place):
            record.add("absent", path)
            continue
        directory = os.path.isdir(place) and not os.path.islink(place)
        if directory and os.path.ismount(place):
            raise HostError(f"{path} is a mount point: unmount it before it can be removed")
        record.add("absent", path, "remove", "directory\n" if directory else "file\n", "")
        if host.check:
            continue
        if directory:
            shutil.rmtree(place)
        else:
            os.unlink(place)
