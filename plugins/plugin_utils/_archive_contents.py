# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a chart or a tree of manifests has, read from its archive: its files, and the images that they name."""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from ._bundle_common import BundleError

_DIGEST = re.compile(r"@(sha256:[0-9a-f]{64})")
# What stands before it; the host may have a port.
_NAME = re.compile(r"([a-z0-9](?:[A-Za-z0-9._/-]|:[0-9]+/)*)(?::([A-Za-z0-9_][A-Za-z0-9._-]*))?$")
_LONGEST_NAME = 400


@dataclass(frozen=True)
class ArchivedFile:
    """One file and its checksums, lower-case hexadecimal."""

    path: str
    sha1: str
    sha256: str


@dataclass(frozen=True, order=True)
class NamedImage:
    """An image as something names it; ``tag`` or ``digest`` may be empty."""

    name: str
    tag: str
    digest: str


@dataclass(frozen=True)
class Archive:
    """The files of an archive, sorted by path, and the images that they name.

    :ivar chart: ``Chart.yaml``; empty for what is no chart.
    """

    files: tuple[ArchivedFile, ...]
    images: tuple[NamedImage, ...]
    chart: Mapping[str, Any] = field(default_factory=dict)


def archive_contents(content: bytes) -> Archive:
    """Read a compressed archive.

    Images are those that a file names with their digest, and those of a chart's values: mappings with ``repository``
    and ``tag`` or ``digest``, which templates join.

    :raises BundleError: it is no archive, or values of a chart are no YAML.
    """
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:*") as archive:
            texts = {
                member.name.removeprefix("./"): stream.read()
                for member in archive
                if member.isfile() and (stream := archive.extractfile(member)) is not None
            }
    except (tarfile.TarError, OSError, EOFError) as error:
        raise BundleError(f"This is no archive of a chart or of manifests: {error}") from error
    images: set[NamedImage] = set()
    chart: Mapping[str, Any] = {}
    for path, text in texts.items():
        images |= set(_pinned_images(text.decode(errors="replace")))
        if path.endswith("/values.yaml"):
            images |= set(_values_images(_yaml(path, text)))
        if re.fullmatch(r"[^/]+/Chart\.yaml", path):
            chart = _yaml(path, text) or {}
    files = (
        ArchivedFile(path, hashlib.sha1(text, usedforsecurity=False).hexdigest(), hashlib.sha256(text).hexdigest())
        for path, text in sorted(texts.items())
    )
    return Archive(tuple(files), tuple(sorted(images)), chart)


def _pinned_images(text: str) -> Iterator[NamedImage]:
    """Yield images with a digest, wherever they stand: in arguments of programs and configuration files as well."""
    for digest in _DIGEST.finditer(text):
        name = _NAME.search(text[max(0, digest.start() - _LONGEST_NAME) : digest.start()])
        if name:
            yield NamedImage(name[1], name[2] or "", digest[1])


def _yaml(path: str, text: bytes) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BundleError(f"{path} is no YAML: {error}") from error


def _values_images(value: Any) -> Iterator[NamedImage]:
    if isinstance(value, list):
        for item in value:
            yield from _values_images(item)
    elif isinstance(value, Mapping):
        repository, tag, digest = (str(value.get(key) or "") for key in ("repository", "tag", "digest"))
        if repository and (tag or digest) and not isinstance(value["repository"], Mapping):
            yield NamedImage(repository, tag, digest)
        for item in value.values():
            yield from _values_images(item)
