# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt)
# SPDX-License-Identifier: BSD-2-Clause
"""Registry client, image layout reader and reproducible artifacts. Private: may change in any release.

Sources: OCI distribution specification 1.1 (endpoints), OCI image specification 1.1 (layout, manifests), Flux's
artifact media types, Helm's OCI media types.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import ssl
import struct
import tarfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, TypeVar
from urllib.parse import urlsplit

from ._progress import Announce, silent

try:
    import urllib3

    URLLIB3_ERROR: Exception | None = None
except ImportError as error:
    URLLIB3_ERROR = error

MEDIA_TYPE_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
MEDIA_TYPE_INDEX = "application/vnd.oci.image.index.v1+json"
ACCEPTED_MANIFESTS = (
    f"{MEDIA_TYPE_MANIFEST}, {MEDIA_TYPE_INDEX}, application/vnd.docker.distribution.manifest.v2+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json"
)
FLUX_CONFIG = "application/vnd.cncf.flux.config.v1+json"
FLUX_CONTENT = "application/vnd.cncf.flux.content.v1.tar+gzip"
HELM_CONFIG = "application/vnd.cncf.helm.config.v1+json"
HELM_CONTENT = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"

# Grammar of the distribution specification, section "Pulling manifests".
REPOSITORY = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
_BLOCK = 0xFFFF
"""Bytes of a stored block of gzip at most."""
DIGEST = re.compile(r"sha256:[a-f0-9]{64}")

Result = TypeVar("Result")


class OciError(Exception):
    """A registry or a layout gave something else than what was asked for; the text names cause and remedy."""


def sha256_digest(content: bytes) -> str:
    """Return ``sha256:<hex>`` of the content."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def canonical_json(value: Any) -> bytes:
    """Return JSON with sorted keys and no spaces, so that equal values have equal digests."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def checked_repository(repository: str) -> str:
    """Return the repository name, or raise :class:`OciError` when a registry would refuse it."""
    if not REPOSITORY.fullmatch(repository):
        raise OciError(f"'{repository}' is no repository name: use lower-case letters, digits and . _ - / only.")
    return repository


def checked_tag(tag: str) -> str:
    """Return the tag, or raise :class:`OciError` when a registry would refuse it."""
    if not TAG.fullmatch(tag):
        raise OciError(f"'{tag}' is no tag: at most 128 letters, digits, . _ - and not beginning with . or -.")
    return tag


@dataclass(frozen=True)
class Manifest:
    """A manifest with the blobs that it needs.

    ``blobs`` maps a digest to a function that opens the blob for reading and its size in bytes.
    """

    content: bytes
    media_type: str
    blobs: Mapping[str, tuple[Callable[[], BinaryIO], int]] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """The digest under which a registry stores this manifest."""
        return sha256_digest(self.content)


class Layout:
    """An OCI image layout directory (``oci-layout``, ``index.json``, ``blobs/sha256``)."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        try:
            index = json.loads((directory / "index.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise OciError(
                f"{directory} is no OCI image layout ({error}). Fill the bundle with onprem.platform.bundle."
            ) from error
        self.images: dict[str, dict[str, Any]] = {}
        for descriptor in index.get("manifests", []):
            name = (descriptor.get("annotations") or {}).get("org.opencontainers.image.ref.name")
            if name:
                self.images[name] = descriptor

    def _blob_path(self, digest: str) -> Path:
        if not DIGEST.fullmatch(digest):
            raise OciError(f"'{digest}' in the layout {self.directory} is no sha256 digest.")
        return self.directory / "blobs" / "sha256" / digest.partition(":")[2]

    def manifest(self, name: str) -> Manifest:
        """Return the manifest of ``<repository>:<tag>`` with its blobs."""
        if name not in self.images:
            raise OciError(f"{self.directory} has no image {name}; it has: {', '.join(sorted(self.images)) or 'none'}.")
        descriptor = self.images[name]
        path = self._blob_path(descriptor["digest"])
        content = path.read_bytes()
        if sha256_digest(content) != descriptor["digest"]:
            raise OciError(f"{path} does not have its digest: the bundle is damaged; make it again.")
        parts = json.loads(content)
        blobs: dict[str, tuple[Callable[[], BinaryIO], int]] = {}
        for part in (parts["config"], *parts["layers"]):
            blob = self._blob_path(part["digest"])
            if not blob.is_file() or blob.stat().st_size != part["size"]:
                raise OciError(f"{blob} of image {name} is missing or has another size: make the bundle again.")
            blobs[part["digest"]] = (_opener(blob), part["size"])
        return Manifest(content, parts.get("mediaType") or descriptor["mediaType"], blobs)


def _opener(path: Path) -> Callable[[], BinaryIO]:
    return lambda: path.open("rb")


class Registry:
    """One registry over HTTPS.

    :param address: ``host:port``.
    :param ca_cert: PEM file that the server's certificate must chain to; the system's authorities when None.
    :param client_cert: PEM file with the client's certificate, for a registry that demands one.
    :param client_key: PEM file with the key of ``client_cert``.
    :param timeout: seconds for connecting and for each read.
    """

    def __init__(
        self,
        address: str,
        ca_cert: str | None = None,
        client_cert: str | None = None,
        client_key: str | None = None,
        timeout: float = 60,
    ) -> None:
        if URLLIB3_ERROR:
            raise OciError(f"The Python package urllib3 is missing on this host: {URLLIB3_ERROR}")
        self.address = address
        try:
            context = ssl.create_default_context(cafile=ca_cert)
            if client_cert:
                context.load_cert_chain(client_cert, client_key)
        except (OSError, ssl.SSLError) as error:
            raise OciError(f"Cannot load the certificates for registry {address}: {error}") from error
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        host, _separator, port = address.rpartition(":")
        self._pool = urllib3.HTTPSConnectionPool(
            host.strip("[]"),
            int(port),
            maxsize=4,
            timeout=urllib3.Timeout(connect=min(timeout, 10), read=timeout),
            retries=urllib3.Retry(
                total=4, read=2, backoff_factor=0.3, status_forcelist=(429, 500, 502, 503, 504), allowed_methods=None
            ),
            ssl_context=context,
        )

    def _request(
        self,
        method: str,
        path: str,
        expected: Iterable[int],
        body: bytes | BinaryIO | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        try:
            response = self._pool.request(
                method,
                path,
                body=body,
                headers=dict(headers or {}),
                redirect=False,
                retries=False if hasattr(body, "read") else None,
            )
        except urllib3.exceptions.HTTPError as error:
            reason = getattr(error, "reason", None) or error
            raise OciError(f"Registry {self.address} did not answer {method} {path}: {reason}") from error
        if response.status not in expected:
            raise OciError(
                f"Registry {self.address} answered {response.status} to {method} {path}: {_reason(response)}"
            )
        return response

    def manifest_digest(self, repository: str, reference: str) -> str | None:
        """Return the digest that a tag or digest has in the registry, or None when it is not there."""
        response = self._request(
            "HEAD", f"/v2/{repository}/manifests/{reference}", (200, 404), headers={"Accept": ACCEPTED_MANIFESTS}
        )
        return None if response.status == 404 else str(response.headers["Docker-Content-Digest"])

    def manifest(self, repository: str, reference: str) -> tuple[str, bytes] | None:
        """Return digest and content of the manifest of a tag or digest, or None when it is not there."""
        response = self._request(
            "GET", f"/v2/{repository}/manifests/{reference}", (200, 404), headers={"Accept": ACCEPTED_MANIFESTS}
        )
        if response.status == 404:
            return None
        content = bytes(response.data)
        digest = sha256_digest(content)
        if DIGEST.fullmatch(reference) and digest != reference:
            raise OciError(f"Registry {self.address} gave another manifest than {repository}@{reference}.")
        return digest, content

    def blob(self, repository: str, digest: str) -> bytes:
        """Return a small blob, checked against its digest."""
        if not DIGEST.fullmatch(digest):
            raise OciError(f"'{digest}' is no sha256 digest.")
        response = self._request("GET", f"/v2/{repository}/blobs/{digest}", (200,))
        content = bytes(response.data)
        if sha256_digest(content) != digest:
            raise OciError(f"Registry {self.address} gave another blob than {repository}@{digest}.")
        return content

    def tags(self, repository: str) -> list[str]:
        """Return the repository's tags, sorted; empty when the repository does not exist."""
        response = self._request("GET", f"/v2/{repository}/tags/list", (200, 404))
        if response.status == 404:
            return []
        return sorted(json.loads(response.data).get("tags") or [])

    def push_blob(self, repository: str, digest: str, source: Callable[[], BinaryIO], size: int) -> bool:
        """Upload a blob unless the registry has it; return whether it was uploaded."""
        if self._request("HEAD", f"/v2/{repository}/blobs/{digest}", (200, 404)).status == 200:
            return False
        started = self._request("POST", f"/v2/{repository}/blobs/uploads/", (202,), body=b"")
        location = urlsplit(started.headers["Location"])
        query = f"{location.query}&" if location.query else ""
        with source() as stream:
            self._request(
                "PUT",
                f"{location.path}?{query}digest={digest}",
                (201,),
                body=stream,
                headers={"Content-Type": "application/octet-stream", "Content-Length": str(size)},
            )
        return True

    def push_manifest(self, repository: str, reference: str, manifest: Manifest) -> None:
        """Store the manifest under a tag or its digest."""
        self._request(
            "PUT",
            f"/v2/{repository}/manifests/{reference}",
            (201,),
            body=manifest.content,
            headers={"Content-Type": manifest.media_type},
        )


def _reason(response: Any) -> str:
    """Return the message of a registry's error answer, shortened."""
    text = bytes(response.data).decode(errors="replace")
    try:
        errors = json.loads(text)["errors"]
        return "; ".join(f"{item.get('code')}: {item.get('message')}" for item in errors)
    except (ValueError, KeyError, TypeError):
        return text[:200] or "no text"


def on_every(registries: list[Registry], function: Callable[[Registry], Result]) -> list[Result]:
    """Call the function for all registries at once; results in the order of the registries."""
    with ThreadPoolExecutor(max_workers=max(len(registries), 1)) as pool:
        return list(pool.map(function, registries))


def push(
    registries: list[Registry],
    items: list[tuple[str, str, Manifest]],
    announce: Announce = silent,
) -> None:
    """Push ``(repository, tag, manifest)`` items: blobs to every registry, then manifests, tags last.

    In this order no registry ever shows a tag whose content another replica does not have yet. ``announce`` is told how
    far each registry is.
    """

    def content(registry: Registry) -> None:
        for number, (repository, tag, manifest) in enumerate(items):
            announce(
                partial(
                    "{}: {} of {} are there, now {}:{}".format, registry.address, number, len(items), repository, tag
                )
            )
            for digest, (source, size) in manifest.blobs.items():
                registry.push_blob(repository, digest, source, size)
            registry.push_manifest(repository, manifest.digest, manifest)

    def tags(registry: Registry) -> None:
        for repository, tag, manifest in items:
            registry.push_manifest(repository, tag, manifest)

    on_every(registries, content)
    on_every(registries, tags)


def archive(files: Mapping[str, tuple[bytes, int]]) -> bytes:
    """Return a tar in the format of gzip whose bytes depend on names, contents and modes alone.

    :param files: relative path -> (content, mode bits such as 0o644).
    """
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        directories: set[str] = set()
        for name in sorted(files):
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts or not path.parts:
                raise OciError(f"'{name}' is no path inside the artifact.")
            for parent in reversed(path.parents[:-1]):
                if str(parent) not in directories:
                    directories.add(str(parent))
                    entry = tarfile.TarInfo(str(parent))
                    entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                    tar.addfile(entry)
            content, mode = files[name]
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))
    return _stored(stream.getvalue())


def _stored(content: bytes) -> bytes:
    """Return content in the format of gzip without making it smaller (RFC 1952; stored blocks, RFC 1951 section 3.2.4).

    What a compressor makes of the same content, and the header that Python puts before it, differ between versions;
    controllers would push the same release by different digests.
    """
    blocks = [content[start : start + _BLOCK] for start in range(0, len(content), _BLOCK)]
    lengths = [
        struct.pack("<BHH", number == len(blocks), len(one), len(one) ^ _BLOCK) for number, one in enumerate(blocks, 1)
    ]
    body = b"".join(length + block for length, block in zip(lengths, blocks, strict=True))
    return b"\x1f\x8b\x08" + bytes(6) + b"\xff" + body + struct.pack("<II", zlib.crc32(content), len(content) % 2**32)


def directory_files(directory: Path) -> dict[str, tuple[bytes, int]]:
    """Return the files below a directory as :func:`archive` takes them; symbolic links are refused."""
    if not directory.is_dir():
        raise OciError(f"{directory} is no directory.")
    files: dict[str, tuple[bytes, int]] = {}
    for path in sorted(directory.rglob("*")):
        if path.is_symlink():
            raise OciError(f"{path} is a symbolic link; artifacts carry plain files only.")
        if path.is_file():
            mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
            files[path.relative_to(directory).as_posix()] = (path.read_bytes(), mode)
    return files


def artifact(
    config: Any, config_type: str, layer: bytes, layer_type: str, annotations: Mapping[str, str] | None = None
) -> Manifest:
    """Return the manifest of an artifact with one layer."""
    config_content = canonical_json(config)
    blobs = {sha256_digest(content): content for content in (config_content, layer)}
    value: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": MEDIA_TYPE_MANIFEST,
        "config": {
            "mediaType": config_type,
            "digest": sha256_digest(config_content),
            "size": len(config_content),
        },
        "layers": [{"mediaType": layer_type, "digest": sha256_digest(layer), "size": len(layer)}],
    }
    if annotations:
        value["annotations"] = dict(annotations)
    return Manifest(
        canonical_json(value),
        MEDIA_TYPE_MANIFEST,
        {digest: (in_memory(content), len(content)) for digest, content in blobs.items()},
    )


def in_memory(content: bytes) -> Callable[[], BinaryIO]:
    """Return a function that opens the content for reading, as :class:`Manifest` wants it."""
    return lambda: io.BytesIO(content)
