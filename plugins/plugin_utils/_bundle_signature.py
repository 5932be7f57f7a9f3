# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signatures and attestations of a bundle, kept beside it.

Layout of the directory::

    oci/                 an OCI image layout with the tags sha256-<digest>.sig and .att of every image, to be copied
                         to registries as images are: so all replicas have the same ones
    charts/*.tgz.sig     signatures of the bundle's charts, which are files
    charts/*.tgz.spdx.intoto.json, charts/*.tgz.provenance.intoto.json
                         their bills of materials and provenance, signed (DSSE)
    index.json.sig       signature of the bundle's index.json, which has the checksum of everything else
    bundle.spdx.json     bill of materials of the whole bundle, and its signature
    bundle.spdx.json.sig
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from ..module_utils._oci import Layout, Manifest, OciError, canonical_json, sha256_digest
from ..module_utils._signature import (
    ATTESTATION_SUFFIX,
    PROVENANCE,
    SIGNATURE_SUFFIX,
    SPDX,
    PublicKey,
    SignatureError,
    Vouched,
    attestation_manifest,
    encoded,
    payload,
    read,
    signature_manifest,
    statement,
    tag_of,
)
from ._archive_contents import archive_contents
from ._bundle_common import BundleError, Report, file_digest, write_atomically
from ._bundle_debian import DebianPackages
from ._bundle_index import Entry, Index
from ._bundle_lock import Lock
from ._bundle_statements import (
    bundle_sbom,
    chart_materials,
    chart_sbom,
    image_materials,
    image_sbom,
    lacks_commit,
    made_by_this_tool,
    provenance,
)
from ._cosign import Cosign
from ._file_signature import FileSignatures
from ._image_contents import GoModule, contents
from ._oci_layout import OciLayout

SIGNATURE = "signature"
_ATTESTED = {SPDX: "bill of materials", PROVENANCE: "provenance"}


@dataclass
class Signed:
    """One image or file of the bundle; ``added`` is what was, or would be, made: signature, bill of materials, ..."""

    name: str
    digest: str
    added: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Origin:
    """Who signs: address of the builder, commit of this collection (may be empty), and SHA-256 of the lock file."""

    builder: str
    commit: str
    lock: str


class BundleSignatures:
    """The directory with the signatures of one bundle by one key."""

    def __init__(
        self, bundle: Path, lock: Lock, directory: Path, cosign: Cosign, registry: str, origin: Origin, report: Report
    ) -> None:
        """Open; nothing is written.

        :param registry: name of the registry that signed image names begin with.
        :raises BundleError: there is no bundle, or its index cannot be read.
        """
        self.index, self.lock, self.directory, self.cosign = Index(bundle), lock, directory, cosign
        self.registry, self.origin, self.report = registry, origin, report
        self.files = FileSignatures(directory, cosign)
        if not self.index.entries:
            raise BundleError(f"There is no bundle in {bundle}. Fill it with onprem.platform.bundle.")

    def compare(self, names: Sequence[str] = ()) -> list[Signed]:
        """Return what lacks which signature or attestation by the key; nothing lacks anything when all is well."""
        key = self._key(self.cosign.public_key())
        images = [Signed(_name(entry), entry["digest"], self._lacking(entry, key)) for entry in self._images(names)]
        return images if names else [*images, *self._compare_files(key)]

    def fill(self, create_key: bool, names: Sequence[str] = ()) -> list[Signed]:
        """Sign what is not signed.

        :param create_key: make the key pair when there is none.
        :param names: names of images; all when empty, and then what is of no image any more is removed.
        :raises BundleError: no key, or cosign refuses it.
        """
        pem = self.cosign.public_key() or self._make_key(create_key)
        key = self._key(pem)
        images = self._images(names)
        (self.directory / "oci").parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        layout = OciLayout(self.directory / "oci")

        def sign(entry: Entry) -> Signed:
            lacking = self._lacking(entry, key)
            if lacking:
                self._sign(entry, lacking, key, layout)
                self.report(f"signed {_name(entry)}: {', '.join(lacking)}")
            return Signed(_name(entry), entry["digest"], lacking)

        with ThreadPoolExecutor(os.cpu_count() or 1) as workers:
            signed = list(workers.map(sign, images))
        if not names:
            layout.keep_only({_reference(e, s) for e in images for s in (SIGNATURE_SUFFIX, ATTESTATION_SUFFIX)})
            signed += self._sign_files(key)
        return signed

    def _make_key(self, create_key: bool) -> str:
        if not self.cosign.managed and not Path(self.cosign.key).exists() and not create_key:
            raise BundleError(f"There is no key {self.cosign.key}. Put it there, or allow to create it (create_key).")
        return self.cosign.create() if create_key else self.cosign.fetch_public_key()

    @staticmethod
    def _key(pem: str | None) -> PublicKey | None:
        try:
            return PublicKey("key", pem) if pem else None
        except SignatureError as error:
            raise BundleError(str(error)) from error

    def _images(self, names: Sequence[str]) -> list[Entry]:
        images = [entry for entry in self.index.entries if entry["kind"] == "image"]
        unknown = sorted(set(names) - {name for entry in images for name in (entry["name"], _name(entry))})
        if unknown:
            raise BundleError(f"The bundle has no image {', '.join(unknown)}.")
        return [entry for entry in images if not names or {entry["name"], _name(entry)} & set(names)]

    # --- images ------------------------------------------------------------------------------------------------------
    def _vouched(self, entry: Entry, key: PublicKey) -> Vouched:
        """Return what the layout has of an image that is as this version makes it, by this key."""
        path = self.directory / "oci"
        if not (path / "index.json").exists():
            return Vouched([], [])
        layout = Layout(path)

        def manifest(tag: str) -> bytes | None:
            name = f"{entry['repository']}:{tag}"
            return layout.manifest(name).content if name in layout.images else None

        def blob(digest: str) -> bytes:
            content = (path / "blobs" / digest.replace(":", "/")).read_bytes()
            return content if sha256_digest(content) == digest else b""

        try:
            found = read(entry["digest"], [key], manifest, blob)
        except (OciError, OSError):
            # Damaged: it is made anew.
            return Vouched([], [])
        attested = [item for item in found.attestations if item.verified_by and self._is_as_made(item.predicate)]
        return Vouched([item for item in found.signatures if item.verified_by], attested)

    def _is_as_made(self, predicate: Any) -> bool:
        # Whoever follows an image back to its commit needs one.
        return made_by_this_tool(predicate) and not (self.origin.commit and lacks_commit(predicate))

    def _lacking(self, entry: Entry, key: PublicKey | None) -> list[str]:
        if key is None:
            return [SIGNATURE, *_ATTESTED.values()]
        found = self._vouched(entry, key)
        return _missing(bool(found.signatures), {item.predicate_type for item in found.attestations})

    def _sign(self, entry: Entry, lacking: list[str], key: PublicKey | None, layout: OciLayout) -> None:
        name = f"{self.registry}/{entry['repository']}"
        if SIGNATURE in lacking:
            content = payload(name, entry["digest"])
            store(layout, _reference(entry, SIGNATURE_SUFFIX), signature_manifest(content, self.cosign.sign(content)))
        if set(lacking) & set(_ATTESTED.values()):
            predicates = self._predicates(entry)
            signed = []
            for predicate_type, predicate in predicates.items():
                body = statement(name, entry["digest"], predicate_type, predicate)
                signed.append((body, self.cosign.sign(encoded(body))))
            store(layout, _reference(entry, ATTESTATION_SUFFIX), attestation_manifest(signed))

    def _predicates(self, entry: Entry) -> dict[str, dict[str, object]]:
        found = contents(Layout(self.index.path(entry)), _name(entry))
        materials = image_materials(entry, found, self._debian_sums, self._address(entry))
        return {
            SPDX: image_sbom(entry, found, _now()),
            PROVENANCE: provenance(entry, materials, self._settings()),
        }

    def _address(self, entry: Entry) -> str:
        return next((item.address for item in self.lock.artefacts if item.identity == entry["artefact"]), "")

    def _settings(self) -> dict[str, str]:
        return {
            "builder": self.origin.builder,
            "commit": self.origin.commit,
            "go": self.index.go_version,
            "platform": self.index.platform,
            "lock": self.origin.lock,
            "finished": _now(),
        }

    @cached_property
    def _debian_sums(self) -> Mapping[tuple[str, str], str]:
        debian = DebianPackages(self.lock.directory / "debian", self.directory)
        packages = (package for selection in debian.pinned() for package in debian.packages(selection))
        return {(package.name, package.version): package.sha256 for package in packages}

    # --- charts, which are files -------------------------------------------------------------------------------------
    def _charts(self) -> list[Entry]:
        return [entry for entry in self.index.entries if entry["kind"] == "chart"]

    def _compare_charts(self, key: PublicKey | None) -> list[Signed]:
        compared = []
        for entry in self._charts():
            name, path, digest = entry["path"], self.index.path(entry), f"sha256:{entry['sha256']}"
            if not path.is_file() or f"sha256:{file_digest(path)}" != digest:
                # Nobody vouches for what the bundle was not made with.
                raise BundleError(f"{path} is not what the bundle's index says. Make the bundle again.")
            attested = {
                predicate_type
                for predicate_type, predicate in self.files.attested(name, digest, key).items()
                if self._is_as_made(predicate)
            }
            compared.append(Signed(name, digest, _missing(self.files.signed(name, path, key), attested)))
        return compared

    def _sign_chart(self, entry: Entry, lacking: list[str]) -> None:
        name, content = entry["path"], self.index.path(entry).read_bytes()
        if SIGNATURE in lacking:
            self.files.sign(name, content)
        if _ATTESTED[SPDX] in lacking:
            self.files.attest(name, content, SPDX, chart_sbom(entry, archive_contents(content), _now()))
        if _ATTESTED[PROVENANCE] in lacking:
            materials = chart_materials(entry, self._module(entry), self._address(entry))
            self.files.attest(name, content, PROVENANCE, provenance(entry, materials, self._settings()))
        if lacking:
            self.report(f"signed {name}: {', '.join(lacking)}")

    def _module(self, entry: Entry) -> GoModule | None:
        """Return the module that a chart is a directory of; None for one that nothing here has."""
        artefact = next((item for item in self.lock.artefacts if item.identity == entry["artefact"]), None)
        found = self.lock.find(str(artefact.source.get("item"))) if artefact else None
        if found is None:
            return None
        component, _item = found
        return GoModule(component.module, component.version, self.lock.checksum(component))

    # --- the whole bundle --------------------------------------------------------------------------------------------
    def _compare_files(self, key: PublicKey | None) -> list[Signed]:
        digest = f"sha256:{file_digest(self.index.directory / 'index.json')}"
        signed = self.files.signed("index.json", self.index.directory / "index.json", key)
        sbom = self.directory / "bundle.spdx.json"
        good = self.files.signed(sbom.name, sbom, key) and digest[7:] in sbom.read_text(encoding="utf-8")
        return [
            *self._compare_charts(key),
            Signed("index.json", digest, [] if signed else [SIGNATURE]),
            Signed("bundle", digest, [] if good else [_ATTESTED[SPDX]]),
        ]

    def _sign_files(self, key: PublicKey | None) -> list[Signed]:
        state = self._compare_files(key)
        *charts, index, sbom = state
        for entry, chart in zip(self._charts(), charts, strict=True):
            self._sign_chart(entry, chart.added)
        self.files.keep_only("charts", [chart.name for chart in charts])
        if sbom.added:
            content = canonical_json(bundle_sbom(self.index.entries, _now(), index.digest[7:]))
            write_atomically(self.directory / "bundle.spdx.json", content.decode())
            self.files.sign("bundle.spdx.json", content)
        if index.added:
            self.files.sign("index.json", (self.index.directory / "index.json").read_bytes())
        return state


def _missing(signed: bool, attested: set[str]) -> list[str]:
    lacking = [text for predicate_type, text in _ATTESTED.items() if predicate_type not in attested]
    return lacking if signed else [SIGNATURE, *lacking]


def _name(entry: Entry) -> str:
    return f"{entry['repository']}:{entry['tag']}"


def _reference(entry: Entry, suffix: str) -> str:
    return f"{entry['repository']}:{tag_of(entry['digest'], suffix)}"


def _now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def store(layout: OciLayout, reference: str, manifest: Manifest) -> None:
    """Add the manifest of a signature or of attestations to a layout."""
    for source, _size in manifest.blobs.values():
        with source() as stream:
            layout.add_blob(stream.read())
    layout.add_manifest(reference, manifest.content, manifest.media_type)
