# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One layer of an image as a tar archive whose bytes depend on its content alone.

Entries are sorted by path; every time stamp is the same given one, so neither the clock, the file system's order nor
the user who builds can show in a digest. Nothing here needs root: owners and modes exist in the archive only.
"""

from __future__ import annotations

import fnmatch
import gzip
import hashlib
import io
import lzma
import shutil
import subprocess
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from ._bundle_common import CHUNK, BundleError

MERGED_INTO_USR = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
"""Directories that are links into /usr on a merged system; packages may still carry files below the old names."""
MEDIA_TYPES = {
    "none": "application/vnd.oci.image.layer.v1.tar",
    "gzip": "application/vnd.oci.image.layer.v1.tar+gzip",
    "zstd": "application/vnd.oci.image.layer.v1.tar+zstd",
}


@dataclass
class Node:
    """A file (``source`` holds the content or its path), directory, or symbolic link (``target``)."""

    kind: str
    mode: int = 0o755
    uid: int = 0
    gid: int = 0
    source: Path | bytes | None = None
    target: str = ""


def inner_path(path: str) -> str:
    """Return a path of the image without the leading slash.

    :raises BundleError: the path could leave the image.
    """
    parts = PurePosixPath("/", path).parts[1:]
    if ".." in parts:
        raise BundleError(f"{path!r} is no path inside an image.")
    return "/".join(parts)


class Layer:
    """The files of one layer, by path. What is added later replaces what is there.

    :param below: paths that exist in lower layers; their directories are not written again.
    """

    def __init__(self, below: frozenset[str] = frozenset()) -> None:
        self.nodes: dict[str, Node] = {}
        self.below = below

    def add(self, path: str, node: Node) -> None:
        """Add one node; a path below /bin, /lib, ... goes below /usr, where these directories really are."""
        inner = inner_path(path)
        head, _separator, rest = inner.partition("/")
        if head in MERGED_INTO_USR:
            if rest:
                inner = f"usr/{inner}"
            elif node.kind != "symlink":
                return
        if not inner:
            return
        present = self.nodes.get(inner)
        if present is not None and node.kind == "directory" and present.kind == "symlink":
            return
        self.nodes[inner] = node

    def add_tree(self, source: Path, path: str, exclude: Iterable[str] = ()) -> None:
        """Add a directory with everything below it; modes become 0755 or 0644 by the owner's execute bit.

        :param exclude: patterns (fnmatch) of paths relative to ``source`` that stay out.
        """
        patterns = tuple(exclude)
        for item in sorted(source.rglob("*")):
            relative = item.relative_to(source).as_posix()
            if any(fnmatch.fnmatchcase(relative, pattern) for pattern in patterns):
                continue
            target = f"{path}/{relative}"
            if item.is_symlink():
                self.add(target, Node("symlink", 0o777, target=str(item.readlink())))
            elif item.is_dir():
                self.add(target, Node("directory"))
            else:
                self.add(target, Node("file", 0o755 if item.stat().st_mode & 0o100 else 0o644, source=item))

    def add_package(self, package: Path, spool: Path) -> dict[str, bytes]:
        """Add the files of a Debian package and return its control files (name -> content).

        :param spool: private directory that keeps the contents until the layer is written.
        """
        members = dict(ar_members(package))
        with _open_member(package, members, "data.tar") as archive:
            for entry in archive:
                if entry.isdir():
                    node = Node("directory", entry.mode, entry.uid, entry.gid)
                elif entry.issym():
                    node = Node("symlink", 0o777, entry.uid, entry.gid, target=entry.linkname)
                elif entry.islnk():
                    found = self._get(entry.linkname)
                    if found is None:
                        raise BundleError(f"{package.name}: {entry.name} links to {entry.linkname}, which is absent.")
                    node = found
                elif entry.isreg():
                    content = cast(IO[bytes], archive.extractfile(entry))
                    stored = spool / hashlib.sha256(f"{package.name}/{entry.name}".encode()).hexdigest()
                    with stored.open("wb") as output:
                        shutil.copyfileobj(content, output, CHUNK)
                    node = Node("file", entry.mode, entry.uid, entry.gid, source=stored)
                else:
                    raise BundleError(f"{package.name}: {entry.name} is no file, directory or link.")
                self.add(entry.name, node)
        with _open_member(package, members, "control.tar") as archive:
            return {
                PurePosixPath(entry.name).name: cast(IO[bytes], archive.extractfile(entry)).read()
                for entry in archive
                if entry.isreg()
            }

    def _get(self, path: str) -> Node | None:
        inner = inner_path(path)
        return self.nodes.get(inner) or self.nodes.get(f"usr/{inner}")

    def remove(self, patterns: Iterable[str], keep: Iterable[str] = ()) -> None:
        """Remove what matches a pattern (fnmatch on the whole path; ``*`` crosses slashes) and no ``keep`` pattern,
        then directories that this left empty."""
        unwanted, wanted = [inner_path(p) for p in patterns], [inner_path(p) for p in keep]

        def goes(path: str) -> bool:
            return any(fnmatch.fnmatchcase(path, p) for p in unwanted) and not any(
                fnmatch.fnmatchcase(path, p) for p in wanted
            )

        gone = {path for path, node in self.nodes.items() if node.kind != "directory" and goes(path)}
        emptied = {str(parent) for path in gone for parent in PurePosixPath(path).parents}
        for path in gone:
            del self.nodes[path]
        used = {
            str(parent)
            for path, node in self.nodes.items()
            if node.kind != "directory"
            for parent in PurePosixPath(path).parents
        }
        for path in [p for p, node in self.nodes.items() if node.kind == "directory" and p not in used]:
            if path in emptied or goes(path):
                del self.nodes[path]

    @property
    def size(self) -> int:
        """Bytes of all files of the layer, unpacked."""
        different = {id(node): node.source for node in self.nodes.values() if node.kind == "file"}
        return sum(len(s) if isinstance(s, bytes) else cast(Path, s).stat().st_size for s in different.values())

    def paths(self) -> frozenset[str]:
        """Every path of the layer, parents included."""
        return frozenset(self.nodes) | {str(p) for path in self.nodes for p in PurePosixPath(path).parents[:-1]}

    def write(self, output: Path, compression: str, epoch: int) -> tuple[str, str, int]:
        """Write the archive.

        :param epoch: time stamp of every entry, seconds since 1970.
        :returns: digest of the uncompressed archive, digest of the written file, size of the written file in bytes.
        """
        plain = output.with_suffix(".tar")
        with plain.open("wb") as stream:
            hashing = _HashingWriter(stream)
            with tarfile.open(
                fileobj=cast(Any, hashing), mode="w|", format=tarfile.GNU_FORMAT, bufsize=CHUNK
            ) as archive:
                self._write_entries(archive, epoch)
        diff_id = f"sha256:{hashing.hasher.hexdigest()}"
        if compression == "none":
            plain.replace(output)
            return diff_id, diff_id, output.stat().st_size
        if compression == "gzip":
            with (
                plain.open("rb") as source,
                output.open("wb") as raw,
                gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=6, mtime=0) as target,
            ):
                shutil.copyfileobj(source, target, CHUNK)
        elif compression == "zstd":
            _zstd(plain, output)
        else:
            raise BundleError(f"{compression!r} is no layer compression; known are {', '.join(MEDIA_TYPES)}.")
        plain.unlink()
        hasher = hashlib.sha256()
        with output.open("rb") as written:
            while chunk := written.read(CHUNK):
                hasher.update(chunk)
        return diff_id, f"sha256:{hasher.hexdigest()}", output.stat().st_size

    def _write_entries(self, archive: tarfile.TarFile, epoch: int) -> None:
        nodes = dict(self.nodes)
        for path in self.nodes:
            for parent in PurePosixPath(path).parents[:-1]:
                if str(parent) not in self.below:
                    nodes.setdefault(str(parent), Node("directory"))
        written: dict[int, str] = {}
        for path in sorted(nodes):
            node = nodes[path]
            entry = tarfile.TarInfo(path)
            entry.mode, entry.uid, entry.gid, entry.mtime = node.mode & 0o7777, node.uid, node.gid, epoch
            if node.kind == "directory":
                entry.type = tarfile.DIRTYPE
                archive.addfile(entry)
            elif node.kind == "symlink":
                entry.type, entry.linkname = tarfile.SYMTYPE, node.target
                archive.addfile(entry)
            elif id(node) in written:
                entry.type, entry.linkname = tarfile.LNKTYPE, written[id(node)]
                archive.addfile(entry)
            else:
                written[id(node)] = path
                with _content(node) as content:
                    entry.size = content.seek(0, io.SEEK_END)
                    content.seek(0)
                    archive.addfile(entry, content)


class _HashingWriter:
    """Passes what is written on to a stream and hashes it on the way."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream = stream
        self.hasher = hashlib.sha256()

    def write(self, content: bytes) -> int:
        self.hasher.update(content)
        return self.stream.write(content)


def _content(node: Node) -> IO[bytes]:
    return io.BytesIO(node.source) if isinstance(node.source, bytes) else cast(Path, node.source).open("rb")


def _zstd(source: Path, output: Path) -> None:
    """Compress by the zstd program, in one thread: with several, the frames depend on their number."""
    arguments = ["zstd", "--quiet", "--force", "--single-thread", "-6", "-o", str(output), str(source)]
    try:
        subprocess.run(arguments, check=True, stdin=subprocess.DEVNULL, capture_output=True)
    except FileNotFoundError as error:
        raise BundleError("Compressing image layers needs zstd. On Debian: apt-get install zstd") from error
    except subprocess.CalledProcessError as error:
        raise BundleError(f"zstd failed on {source}: {error.stderr.decode(errors='replace').strip()}") from error


def ar_members(package: Path) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of each member of a Debian package, which is an ``ar`` archive (deb(5))."""
    with package.open("rb") as stream:
        if stream.read(8) != b"!<arch>\n":
            raise BundleError(f"{package} is no Debian package.")
        while len(header := stream.read(60)) == 60:
            try:
                size = int(header[48:58])
            except ValueError as error:
                raise BundleError(f"{package} is damaged: a member without a size.") from error
            content = stream.read(size)
            if len(content) != size:
                raise BundleError(f"{package} is damaged: it ends within a member.")
            yield header[:16].decode("ascii").strip().rstrip("/"), content
            stream.read(size % 2)


def _open_member(package: Path, members: dict[str, bytes], stem: str) -> tarfile.TarFile:
    """Open ``data.tar`` or ``control.tar`` of a package, whatever its compression; Debian itself uses xz."""
    for suffix in ("", ".gz", ".xz", ".bz2"):
        if stem + suffix in members:
            try:
                return tarfile.open(fileobj=io.BytesIO(members[stem + suffix]), mode="r:*")
            except (tarfile.TarError, lzma.LZMAError, OSError) as error:
                raise BundleError(f"{package} is damaged: {error}") from error
    raise BundleError(f"{package} has no {stem} compressed by gzip, xz or bzip2; it has {', '.join(members)}.")
