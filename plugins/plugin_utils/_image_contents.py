# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What software an image contains, read from its layers: Debian packages and the modules of Go programs.

The image is asked, not its recipe: what upstream publishes is described in the same way as what is built here.
Sources: dpkg's status files (deb-control(5); one file per package in status.d where there is no package manager), and
Go's build information (https://pkg.go.dev/debug/buildinfo, the form of Go 1.18 and later).
"""

from __future__ import annotations

import fnmatch
import json
import re
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.parser import HeaderParser
from pathlib import Path
from typing import Any

from ..module_utils._oci import Layout, OciError
from ._bundle_common import BundleError

_STATUS_FILES = ("var/lib/dpkg/status", "var/lib/dpkg/status.d/*")
_RELEASE_FILES = ("etc/os-release", "usr/lib/os-release")
_MAGIC = b"\xff Go buildinf:"
_HEADER = 32
_INLINE = 2
_SENTINEL = 16


@dataclass(frozen=True)
class DebianPackage:
    """A Debian package as dpkg's status names it; ``source`` is that field, empty for a source of the same name."""

    name: str
    version: str
    architecture: str
    source: str = ""

    @property
    def source_name(self) -> str:
        """Name of the source package, by which security trackers know it."""
        return self.source.partition(" ")[0] or self.name

    @property
    def source_version(self) -> str:
        """Version of the source package, which may be another than the binary package's (``+b1``)."""
        given = self.source.partition("(")[2].rstrip(")")
        return given or re.sub(r"\+b\d+$", "", self.version)


@dataclass(frozen=True)
class GoModule:
    """A module in a Go program; ``checksum`` is ``h1:...`` of go.sum, empty for the wrapper that was compiled."""

    path: str
    version: str
    checksum: str


@dataclass(frozen=True)
class GoProgram:
    """A Go program: its path in the image, the compiler's version, and what was compiled into it."""

    path: str
    go_version: str
    modules: tuple[GoModule, ...]


@dataclass
class Contents:
    """The software in one image; ``release`` is Debian's code name, empty when the image does not say it."""

    debian: list[DebianPackage] = field(default_factory=list)
    go: list[GoProgram] = field(default_factory=list)
    release: str = ""


def contents(layout: Layout, name: str) -> Contents:
    """Return what the image ``<repository>:<tag>`` of a layout contains.

    :raises BundleError: the layout does not have it, or a layer cannot be read.
    """
    try:
        manifest = layout.manifest(name)
    except OciError as error:
        raise BundleError(str(error)) from error
    parts = json.loads(manifest.content)
    found = Contents()
    status: dict[str, DebianPackage] = {}
    programs: dict[str, GoProgram] = {}
    for layer in parts["layers"]:
        blob = layout.directory / "blobs" / layer["digest"].replace(":", "/")
        for path, content in _interesting(blob):
            # A file of an upper layer replaces that of a lower one.
            if any(fnmatch.fnmatch(path, pattern) for pattern in _STATUS_FILES):
                status.update({package.name: package for package in debian_packages(content.decode(errors="replace"))})
                continue
            if path in _RELEASE_FILES:
                named = re.search(rb'^VERSION_CODENAME="?([a-z]+)"?$', content, re.MULTILINE)
                found.release = named[1].decode() if named else found.release
                continue
            program = go_program(path, content)
            if program is not None:
                programs[path] = program
    found.debian = sorted(status.values(), key=lambda package: package.name)
    found.go = [programs[path] for path in sorted(programs)]
    return found


def _interesting(blob: Path) -> Iterator[tuple[str, bytes]]:
    """Yield path and content of a layer's status and release files, and of its executable ELF files."""
    # zstd passes on what is not compressed, and undoes gzip.
    with subprocess.Popen(["zstd", "-dcqf", str(blob)], stdout=subprocess.PIPE) as unpacked:
        try:
            with tarfile.open(fileobj=unpacked.stdout, mode="r|") as archive:
                for member in archive:
                    path = member.name.removeprefix("./").lstrip("/")
                    status = any(fnmatch.fnmatch(path, pattern) for pattern in (*_STATUS_FILES, *_RELEASE_FILES))
                    if not member.isfile() or not (status or member.mode & 0o111):
                        continue
                    stream = archive.extractfile(member)
                    head = stream.read(4) if stream else b""
                    if stream and (status or head == b"\x7fELF"):
                        yield path, head + stream.read()
            while unpacked.stdout and unpacked.stdout.read(1 << 20):
                pass
        except tarfile.TarError as error:
            raise BundleError(f"{blob} is no layer of an image: {error}") from error
    if unpacked.returncode:
        raise BundleError(f"{blob} cannot be unpacked: zstd ended with status {unpacked.returncode}.")


def debian_packages(text: str) -> Iterator[DebianPackage]:
    """Yield the packages of a status file that are installed."""
    for part in text.strip().split("\n\n"):
        fields: Any = HeaderParser().parsestr(part)
        if fields["Package"] and fields["Version"] and "deinstall" not in (fields["Status"] or ""):
            yield DebianPackage(
                fields["Package"], fields["Version"], fields["Architecture"] or "all", fields["Source"] or ""
            )


def go_program(path: str, content: bytes) -> GoProgram | None:
    """Return what Go's linker has written into a program; None when it is not a Go program."""
    position = content.find(_MAGIC)
    while position >= 0:
        # The same bytes also stand in programs that look for them, without what follows here.
        flags = content[position + len(_MAGIC) + 1 : position + len(_MAGIC) + 2]
        if position % _SENTINEL == 0 and flags and flags[0] & _INLINE:
            version, start = _text(content, position + _HEADER)
            information, _end = _text(content, start)
            if version.startswith(b"go1"):
                plain = information[_SENTINEL:-_SENTINEL] if len(information) > 2 * _SENTINEL else b""
                return GoProgram(path, version.decode(), tuple(_modules(plain.decode(errors="replace"))))
        position = content.find(_MAGIC, position + 1)
    return None


def _text(content: bytes, position: int) -> tuple[bytes, int]:
    """Return the text at a position (its length comes first, as a varint) and the position after it."""
    length = shift = 0
    while position < len(content):
        byte = content[position]
        position += 1
        length |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            break
    return content[position : position + length], position + length


def _modules(information: str) -> Iterator[GoModule]:
    """Yield the modules of ``go version -m``; a replaced one under the name of what replaces it."""
    lines = [line.split("\t") for line in information.splitlines()]
    for number, line in enumerate(lines):
        following = lines[number + 1] if number + 1 < len(lines) else [""]
        if line[0] in ("mod", "dep"):
            module = following if following[0] == "=>" else line
            _word, path, version, *checksum = module
            # What is replaced by a directory keeps its own name: the directory's says nothing.
            if path.startswith(("./", "../")):
                _word, path, version, *checksum = line
            yield GoModule(path, version, checksum[0] if checksum else "")
