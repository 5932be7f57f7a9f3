# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signatures and attestations of artifacts in registries, made once and brought to all replicas."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from ..module_utils._oci import (
    FLUX_CONTENT,
    HELM_CONTENT,
    MEDIA_TYPE_MANIFEST,
    Manifest,
    OciError,
    Registry,
    in_memory,
    on_every,
    push,
)
from ..module_utils._oci_module import PlannedRegistry
from ..module_utils._signature import (
    ATTESTATION_SUFFIX,
    PROVENANCE,
    SIGNATURE_SUFFIX,
    SPDX,
    Fetch,
    PublicKey,
    attestation_manifest,
    attestations,
    encoded,
    payload,
    signature_manifest,
    signatures,
    statement,
    tag_of,
)
from ._archive_contents import archive_contents
from ._bundle_statements import archive_sbom, artifact_provenance, lacks_commit, made_by_this_tool
from ._cosign import Cosign

_REVISION, _SOURCE = "org.opencontainers.image.revision", "org.opencontainers.image.source"
# The commit alone, or as Flux writes it: main@sha1:<commit>.
_COMMIT = re.compile(r"(?:.*@sha(?:1|256):)?([0-9a-f]{40}|[0-9a-f]{64})")


@dataclass(frozen=True)
class Origin:
    """Who attests, and what artifacts are made from that do not say it themselves.

    :ivar builder: address of who makes them.
    :ivar source: address of the Git repository.
    :ivar commit: of that repository; empty when it is not known.
    """

    builder: str
    source: str
    commit: str


@dataclass
class SignedArtifact:
    """What was, or would be, done about one artifact: made, and brought to which replicas."""

    repository: str
    digest: str
    signed: bool
    attested: bool
    pushed_to: list[str]


class ArtifactSignatures:
    """What one key vouches for in some replicas of a registry."""

    def __init__(
        self, registries: Sequence[Registry], name: str, key: PublicKey, cosign: Cosign, origin: Origin | None
    ) -> None:
        """Keep the settings; nothing is read.

        :param name: of the registry, that signed names begin with.
        :param origin: attest with it; None to sign only.
        """
        self.registries, self.name, self.key, self.cosign, self.origin = list(registries), name, key, cosign, origin

    def fill(self, repository: str, digest: str, write: bool) -> SignedArtifact:
        """Bring what one replica has to those that lack it, and make what none has.

        :param write: False tells what would be done.
        :raises OciError: the registry has not what is to be attested, or it cannot be read.
        :raises BundleError: cosign refuses the key, or the artifact cannot be read.
        """
        signature, unsigned = self._look(repository, digest, SIGNATURE_SUFFIX, self._is_signed)
        attested: Manifest | None = None
        unattested: list[Registry] = []
        if self.origin is not None:
            attested, unattested = self._look(repository, digest, ATTESTATION_SUFFIX, self._is_attested)
        sign, attest = bool(unsigned) and signature is None, bool(unattested) and attested is None
        if write and (unsigned or unattested):
            made_signature, made_attestations = self._make(repository, digest, sign, attest)
            for suffix, manifest, registries in (
                (SIGNATURE_SUFFIX, signature or made_signature, unsigned),
                (ATTESTATION_SUFFIX, attested or made_attestations, unattested),
            ):
                if manifest is not None:
                    push(registries, [(repository, tag_of(digest, suffix), manifest)])
        lacking = {registry.address for registry in (*unsigned, *unattested)}
        targets = [registry.address for registry in self.registries if registry.address in lacking]
        return SignedArtifact(repository, digest, sign, attest, targets)

    def _look(
        self, repository: str, digest: str, suffix: str, is_good: Callable[[Mapping[str, Any], Fetch, str], bool]
    ) -> tuple[Manifest | None, list[Registry]]:
        """Return the good manifest of a tag beside an artifact, and the replicas that do not have such a one."""
        found = on_every(self.registries, lambda registry: _existing(registry, repository, digest, suffix, is_good))
        lacking = [registry for registry, manifest in zip(self.registries, found, strict=True) if manifest is None]
        return next((manifest for manifest in found if manifest is not None), None), lacking

    def _is_signed(self, manifest: Mapping[str, Any], fetch: Fetch, digest: str) -> bool:
        return any(item.verified_by for item in signatures(manifest, fetch, digest, [self.key]))

    def _is_attested(self, manifest: Mapping[str, Any], fetch: Fetch, digest: str) -> bool:
        commit = self.origin is not None and self.origin.commit
        types = {
            item.predicate_type
            for item in attestations(manifest, fetch, digest, [self.key])
            if item.verified_by and made_by_this_tool(item.predicate) and not (commit and lacks_commit(item.predicate))
        }
        return types >= {SPDX, PROVENANCE}

    def _make(self, repository: str, digest: str, sign: bool, attest: bool) -> tuple[Manifest | None, Manifest | None]:
        name = f"{self.name}/{repository}"
        content = payload(name, digest)
        bodies = self._statements(name, repository, digest, self.origin) if attest and self.origin else []
        # Each signature is a start of cosign, so all at once.
        with ThreadPoolExecutor() as workers:
            signature = workers.submit(self.cosign.sign, content) if sign else None
            made = list(workers.map(lambda body: self.cosign.sign(encoded(body)), bodies))
        return (
            signature_manifest(content, signature.result()) if signature else None,
            attestation_manifest(list(zip(bodies, made, strict=True))) if bodies else None,
        )

    def _statements(self, name: str, repository: str, digest: str, origin: Origin) -> list[bytes]:
        content, annotations = self._content(repository, digest)
        archive = archive_contents(content)
        annotations = {**(archive.chart.get("annotations") or {}), **annotations}
        source, commit = origin.source, origin.commit
        told = _COMMIT.fullmatch(str(annotations.get(_REVISION, "")))
        if told:
            # What an artifact says of itself counts more than what is said of all.
            source, commit = str(annotations.get(_SOURCE, "")), told[1]
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        chart = {key: str(archive.chart[key]) for key in ("name", "version", "appVersion") if key in archive.chart}
        settings = {"builder": origin.builder, "commit": commit, "finished": now}
        predicates = {
            SPDX: archive_sbom(name, chart.get("version", digest), digest, archive, now),
            PROVENANCE: artifact_provenance({"repository": name, **chart}, archive, source, settings),
        }
        return [statement(name, digest, kind, predicate) for kind, predicate in predicates.items()]

    def _content(self, repository: str, digest: str) -> tuple[bytes, dict[str, str]]:
        """Return the archive of a chart or a tree, and the annotations of its manifest."""
        for registry in self.registries:
            found = registry.manifest(repository, digest)
            if found is None:
                continue
            value = json.loads(found[1])
            for layer in value.get("layers") or []:
                if layer.get("mediaType") in (FLUX_CONTENT, HELM_CONTENT):
                    return registry.blob(repository, layer["digest"]), value.get("annotations") or {}
            raise OciError(f"{repository}@{digest} is neither a chart nor a tree of Flux. Leave out 'attest'.")
        raise OciError(f"No replica has {repository}@{digest}. Push it first.")


def _existing(
    registry: Registry,
    repository: str,
    digest: str,
    suffix: str,
    is_good: Callable[[Mapping[str, Any], Fetch, str], bool],
) -> Manifest | None:
    """Return what a registry has under a tag beside an artifact; None when it is not good."""
    tag = tag_of(digest, suffix)
    found = None if isinstance(registry, PlannedRegistry) else registry.manifest(repository, tag)
    if found is None:
        return None
    try:
        value = json.loads(found[1])
    except ValueError as error:
        raise OciError(f"{repository}:{tag} is no manifest: {error}") from error
    blobs: dict[str, bytes] = {}

    def blob(name: str) -> bytes:
        if name not in blobs:
            blobs[name] = registry.blob(repository, name)
        return blobs[name]

    if not is_good(value, blob, digest):
        return None
    parts = {part["digest"]: blob(part["digest"]) for part in (value["config"], *value["layers"])}
    media_type = str(value.get("mediaType") or MEDIA_TYPE_MANIFEST)
    return Manifest(found[1], media_type, {name: (in_memory(text), len(text)) for name, text in parts.items()})
