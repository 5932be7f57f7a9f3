# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writer for an OCI image layout directory (OCI image specification 1.1, image-layout.md).

Reading and pushing a layout is the business of ``module_utils/_oci.py``.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..module_utils._oci import MEDIA_TYPE_MANIFEST, canonical_json, sha256_digest
from ._bundle_cache import exclusive_lock
from ._bundle_common import CHUNK, BundleError

REFERENCE_NAME = "org.opencontainers.image.ref.name"
MEDIA_TYPE_CONFIG = "application/vnd.oci.image.config.v1+json"


class OciLayout:
    """An image layout that images are added to. Two processes may write into the same directory."""

    def __init__(self, directory: Path) -> None:
        """Open a layout; make an empty one when there is none."""
        self.directory = directory
        self.blobs = directory / "blobs" / "sha256"
        self.blobs.mkdir(parents=True, exist_ok=True)
        marker = directory / "oci-layout"
        if not marker.exists():
            self._replace(marker, b'{"imageLayoutVersion":"1.0.0"}')
        if not (directory / "index.json").exists():
            with self._lock():
                if not (directory / "index.json").exists():
                    self._write_index([])

    def blob_path(self, digest: str) -> Path:
        """Return where the blob of a digest (``sha256:<hex>``) lies or would lie."""
        algorithm, _separator, value = digest.partition(":")
        if algorithm != "sha256" or len(value) != 64 or set(value) - set("0123456789abcdef"):
            raise BundleError(f"{digest!r} is no sha256 digest.")
        return self.blobs / value

    def add_blob(self, content: bytes) -> str:
        """Store a small blob and return its digest."""
        digest = sha256_digest(content)
        if not self.blob_path(digest).exists():
            self._replace(self.blob_path(digest), content)
        return digest

    def add_file(self, path: Path, digest: str) -> None:
        """Move a finished file into the layout as the blob of the digest, which the caller has computed."""
        if self.blob_path(digest).exists():
            path.unlink()
            return
        path.chmod(0o644)
        shutil.move(str(path), self.blob_path(digest))

    def add_image(
        self, reference: str, config: Mapping[str, Any], layers: list[dict[str, Any]], annotations: Mapping[str, str]
    ) -> str:
        """Store configuration and manifest of an image whose layer blobs are present, and name it.

        :param reference: ``<repository>:<tag>``.
        :param layers: descriptors (mediaType, digest, size in bytes), lowest layer first.
        :returns: the digest of the manifest.
        """
        content = canonical_json(config)
        manifest = canonical_json(
            {
                "schemaVersion": 2,
                "mediaType": MEDIA_TYPE_MANIFEST,
                "config": {"mediaType": MEDIA_TYPE_CONFIG, "digest": self.add_blob(content), "size": len(content)},
                "layers": layers,
                **({"annotations": dict(annotations)} if annotations else {}),
            }
        )
        return self.add_manifest(reference, manifest, MEDIA_TYPE_MANIFEST)

    def add_manifest(self, reference: str, manifest: bytes, media_type: str) -> str:
        """Store a manifest and name it; a reference that named another manifest before is moved.

        :raises BundleError: a blob that the manifest names is not in the layout.
        """
        parts = json.loads(manifest)
        for part in (parts["config"], *parts["layers"]):
            blob = self.blob_path(part["digest"])
            if not blob.is_file() or blob.stat().st_size != part["size"]:
                raise BundleError(f"{reference}: blob {part['digest']} is not in the layout {self.directory}.")
        digest = self.add_blob(manifest)
        entry = {
            "mediaType": media_type,
            "digest": digest,
            "size": len(manifest),
            "annotations": {REFERENCE_NAME: reference},
        }
        with self._lock():
            entries = [item for item in self._index() if item["annotations"][REFERENCE_NAME] != reference]
            self._write_index([*entries, entry])
        return digest

    def references(self) -> dict[str, str]:
        """Return ``<repository>:<tag>`` -> digest of every image in the layout."""
        return {item["annotations"][REFERENCE_NAME]: item["digest"] for item in self._index()}

    def copy_image(self, source: OciLayout, reference: str) -> str:
        """Take an image over from another layout; blobs become hard links where the file system allows it.

        :raises BundleError: the other layout has no such image, or a blob there does not have its digest.
        """
        digest = source.references().get(reference)
        if digest is None:
            raise BundleError(f"{source.directory} has no image {reference}.")
        entry = next(item for item in source._index() if item["digest"] == digest)
        manifest = source.blob_path(digest).read_bytes()
        parts = json.loads(manifest)
        for part in (parts["config"], *parts["layers"]):
            self._take(source.blob_path(part["digest"]), part["digest"])
        if sha256_digest(manifest) != digest:
            raise BundleError(f"{source.blob_path(digest)} does not have its digest; remove the cached image.")
        return self.add_manifest(reference, manifest, entry["mediaType"])

    def keep_only(self, references: set[str]) -> list[str]:
        """Drop every other reference and the blobs that no image needs; return the dropped references.

        Nobody may be adding an image meanwhile: its blobs come before the manifest that needs them.
        """
        with self._lock():
            entries = self._index()
            kept = [item for item in entries if item["annotations"][REFERENCE_NAME] in references]
            if len(kept) != len(entries):
                self._write_index(kept)
            needed = set()
            for item in kept:
                parts = json.loads(self.blob_path(item["digest"]).read_bytes())
                needed |= {item["digest"], parts["config"]["digest"], *(part["digest"] for part in parts["layers"])}
            for blob in self.blobs.iterdir():
                if f"sha256:{blob.name}" not in needed:
                    blob.unlink()
        return sorted(set(self._names(entries)) - set(self._names(kept)))

    @staticmethod
    def _names(entries: list[dict[str, Any]]) -> list[str]:
        return [item["annotations"][REFERENCE_NAME] for item in entries]

    def _take(self, blob: Path, digest: str) -> None:
        target = self.blob_path(digest)
        if target.exists():
            return
        hasher = hashlib.sha256()
        with blob.open("rb") as stream:
            while chunk := stream.read(CHUNK):
                hasher.update(chunk)
        if f"sha256:{hasher.hexdigest()}" != digest:
            raise BundleError(f"{blob} does not have its digest; remove it, and the image is made again.")
        try:
            os.link(blob, target)
        except FileExistsError:
            return
        except OSError:
            with tempfile.NamedTemporaryFile(dir=self.directory, delete=False) as copy, blob.open("rb") as stream:
                shutil.copyfileobj(stream, copy, CHUNK)
            Path(copy.name).chmod(0o644)
            Path(copy.name).replace(target)

    def _lock(self) -> Any:
        return exclusive_lock(self.directory.with_name(f".{self.directory.name}.lock"))

    def _index(self) -> list[dict[str, Any]]:
        try:
            return list(json.loads((self.directory / "index.json").read_text(encoding="utf-8"))["manifests"])
        except (OSError, ValueError, KeyError) as error:
            raise BundleError(f"{self.directory}/index.json cannot be read ({error}); remove the directory.") from error

    def _write_index(self, entries: list[dict[str, Any]]) -> None:
        ordered = sorted(entries, key=lambda item: str(item["annotations"][REFERENCE_NAME]))
        index = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": ordered,
        }
        self._replace(self.directory / "index.json", canonical_json(index))

    def _replace(self, path: Path, content: bytes) -> None:
        with tempfile.NamedTemporaryFile(dir=self.directory, prefix=".", delete=False) as stream:
            stream.write(content)
        Path(stream.name).chmod(0o644)
        Path(stream.name).replace(path)
