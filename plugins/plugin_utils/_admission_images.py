# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images that a policy has to admit or to refuse, made from one image of the bundle.

They differ from it, and from each other, by one label only, so each has a digest of its own and runs like the original.
They form a small bundle of their own (``bundle``) with signatures beside it (``signatures/oci``), both to be copied to
registries. Requirement R2.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..module_utils._oci import Layout, OciError, canonical_json, sha256_digest
from ..module_utils._signature import (
    ATTESTATION_SUFFIX,
    SIGNATURE_SUFFIX,
    SPDX,
    PublicKey,
    attestation_manifest,
    encoded,
    payload,
    read,
    signature_manifest,
    statement,
    stranger,
    tag_of,
)
from ._bundle_common import Report, write_atomically
from ._bundle_index import Entry, Index
from ._bundle_lock import Lock
from ._bundle_signature import BundleSignatures, Origin, store
from ._cosign import Cosign
from ._oci_layout import OciLayout

REPOSITORY = "admission-test"
LABEL = "io.onprem-platform.admission-test"
# Signed and attested like any image of the bundle.
COMPLETE, NEXT = "complete", "next"
UNSIGNED, OTHER_KEY, UNATTESTED, OTHER_CONTENT = "unsigned", "other-key", "unattested", "other-content"
VARIANTS = (COMPLETE, NEXT, UNSIGNED, OTHER_KEY, UNATTESTED, OTHER_CONTENT)
# A version of SPDX that nobody has used since 2011, which rules about attestations can tell from one of today.
_OLD_BILL_OF_MATERIALS = {"spdxVersion": "SPDX-1.0"}
# How many signatures and attestations by the key each has.
_WANTED = {
    COMPLETE: (1, 2),
    NEXT: (1, 2),
    UNSIGNED: (0, 0),
    OTHER_KEY: (0, 0),
    UNATTESTED: (1, 0),
    OTHER_CONTENT: (1, 1),
}
Sign = Callable[[bytes], bytes]


@dataclass(frozen=True)
class AdmissionImages:
    """The images in one directory.

    :ivar source: the bundle that has the image ``name``.
    :ivar registry: what the names of signed images begin with.
    """

    source: Index
    name: str
    directory: Path
    lock: Lock
    cosign: Cosign
    registry: str
    origin: Origin
    report: Report

    @property
    def bundle(self) -> Path:
        """The small bundle."""
        return self.directory / "bundle"

    @property
    def signatures(self) -> Path:
        """Signatures and attestations of it."""
        return self.directory / "signatures"

    def digests(self) -> dict[str, str]:
        """Return the digest that each variant has, made from the image as it is now; nothing is written."""
        return {variant: sha256_digest(self._variant(variant)[1]) for variant in VARIANTS}

    def complete(self) -> bool:
        """Tell whether every variant is there with exactly the signatures that it should have."""
        pem = self.cosign.public_key()
        if pem is None or not (self.bundle / "index.json").exists():
            return False
        try:
            digests, layout = self.digests(), Layout(self.signatures / "oci")
            made = {entry["tag"]: entry["digest"] for entry in Index(self.bundle).entries}
            key = PublicKey("key", pem)
            return made == digests and all(_vouched(layout, digests[v], key) == _WANTED[v] for v in VARIANTS)
        except (OciError, OSError):
            return False

    def make(self) -> None:
        """Make all variants and their signatures anew.

        :raises BundleError: the source lacks the image, or the key cannot be used.
        """
        entries = [self._add(variant) for variant in VARIANTS]
        index = {
            "schema": 1,
            "platform": self.source.platform,
            "producer": entries[0]["producer"],
            "go_version": self.source.go_version,
            "entries": entries,
        }
        write_atomically(self.bundle / "index.json", json.dumps(index, indent=2, sort_keys=True) + "\n")
        OciLayout(self.bundle / "images").keep_only({f"{REPOSITORY}:{variant}" for variant in VARIANTS})
        signatures = BundleSignatures(
            self.bundle, self.lock, self.signatures, self.cosign, self.registry, self.origin, self.report
        )
        signatures.fill(create_key=False, names=[f"{REPOSITORY}:{variant}" for variant in (COMPLETE, NEXT)])
        digests = {entry["tag"]: entry["digest"] for entry in entries}
        foreign = stranger()
        self._sign(digests[OTHER_KEY], foreign)
        self._attest(digests[OTHER_KEY], foreign, {"spdxVersion": "SPDX-2.3"})
        self._sign(digests[UNATTESTED], self.cosign.sign)
        self._sign(digests[OTHER_CONTENT], self.cosign.sign)
        self._attest(digests[OTHER_CONTENT], self.cosign.sign, _OLD_BILL_OF_MATERIALS)

    @property
    def _base(self) -> Entry:
        return self.source.find("image", self.name)

    def _variant(self, variant: str) -> tuple[bytes, bytes]:
        """Return configuration and manifest of a variant."""
        entry = self._base
        base = Layout(self.source.path(entry)).manifest(f"{entry['repository']}:{entry['tag']}")
        manifest = json.loads(base.content)
        with base.blobs[manifest["config"]["digest"]][0]() as stream:
            config = json.load(stream)
        settings = config.get("config") or {}
        config["config"] = {**settings, "Labels": {**(settings.get("Labels") or {}), LABEL: variant}}
        content = canonical_json(config)
        manifest["config"] = {**manifest["config"], "digest": sha256_digest(content), "size": len(content)}
        return content, canonical_json(manifest)

    def _add(self, variant: str) -> Entry:
        """Add a variant to the small bundle's images and return its entry."""
        entry, (config, manifest) = self._base, self._variant(variant)
        layout = OciLayout(self.bundle / "images")
        layout.copy_image(OciLayout(self.source.path(entry)), f"{entry['repository']}:{entry['tag']}")
        layout.add_blob(config)
        digest = layout.add_manifest(f"{REPOSITORY}:{variant}", manifest, json.loads(manifest)["mediaType"])
        return {**entry, "name": REPOSITORY, "repository": REPOSITORY, "tag": variant, "digest": digest}

    def _sign(self, digest: str, sign: Sign) -> None:
        content = payload(self._name, digest)
        layout = OciLayout(self.signatures / "oci")
        manifest = signature_manifest(content, sign(content))
        store(layout, f"{REPOSITORY}:{tag_of(digest, SIGNATURE_SUFFIX)}", manifest)

    def _attest(self, digest: str, sign: Sign, predicate: dict[str, Any]) -> None:
        body = statement(self._name, digest, SPDX, predicate)
        layout = OciLayout(self.signatures / "oci")
        manifest = attestation_manifest([(body, sign(encoded(body)))])
        store(layout, f"{REPOSITORY}:{tag_of(digest, ATTESTATION_SUFFIX)}", manifest)

    @property
    def _name(self) -> str:
        return f"{self.registry}/{REPOSITORY}"


def _vouched(layout: Layout, digest: str, key: PublicKey) -> tuple[int, int]:
    """Return how many signatures and attestations of a variant the key verifies."""

    def manifest(tag: str) -> bytes | None:
        name = f"{REPOSITORY}:{tag}"
        return layout.manifest(name).content if name in layout.images else None

    def blob(blob_digest: str) -> bytes:
        return (layout.directory / "blobs" / blob_digest.replace(":", "/")).read_bytes()

    found = read(digest, [key], manifest, blob)
    return (
        sum(1 for item in found.signatures if item.verified_by),
        sum(1 for item in found.attestations if item.verified_by),
    )
