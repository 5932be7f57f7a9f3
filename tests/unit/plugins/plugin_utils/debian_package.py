# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes small Debian packages for tests (deb(5)), so that no test needs a mirror or dpkg."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping, Sequence


def _tar(entries: Sequence[tuple[tarfile.TarInfo, bytes]], compression: str) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=f"w:{compression}") as archive:  # type: ignore[call-overload]
        for entry, content in entries:
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


def make_package(
    name: str,
    files: Mapping[str, bytes],
    *,
    links: Mapping[str, str] | None = None,
    hard_links: Mapping[str, str] | None = None,
    version: str = "1.0-1",
    depends: str = "",
    compression: str = "xz",
) -> bytes:
    """Return the bytes of a package; every file has mode 0644 and an odd time stamp."""
    control = f"Package: {name}\nVersion: {version}\nArchitecture: amd64\nMaintainer: x <x@example.com>\n"
    control += f"Depends: {depends}\n" if depends else ""
    control += "Description: test\n"
    entries: list[tuple[tarfile.TarInfo, bytes]] = []
    for path, content in files.items():
        entry = tarfile.TarInfo(f"./{path}")
        entry.mode, entry.mtime = 0o644, 1234567
        entries.append((entry, content))
    for path, target in (links or {}).items():
        entry = tarfile.TarInfo(f"./{path}")
        entry.type, entry.linkname = tarfile.SYMTYPE, target
        entries.append((entry, b""))
    for path, target in (hard_links or {}).items():
        entry = tarfile.TarInfo(f"./{path}")
        entry.type, entry.linkname = tarfile.LNKTYPE, f"./{target}"
        entries.append((entry, b""))
    suffix = {"": "", "xz": ".xz", "gz": ".gz"}[compression]
    members = [
        ("debian-binary", b"2.0\n"),
        (f"control.tar{suffix}", _tar([(tarfile.TarInfo("./control"), control.encode())], compression)),
        (f"data.tar{suffix}", _tar(entries, compression)),
    ]
    output = b"!<arch>\n"
    for member, content in members:
        output += f"{member:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode()
        output += content + b"\n" * (len(content) % 2)
    return output
