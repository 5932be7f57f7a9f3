# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""From a commit to the image that runs in a pod: the links between them, each checked (private).

Sources: https://slsa.dev/spec/v1.0/provenance, https://slsa.dev/spec/v0.2/provenance,
https://github.com/opencontainers/image-spec/blob/v1.1.0/annotations.md.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from ._oci import OciError, Registry
from ._pod_containers import Container
from ._signature import PROVENANCE, SPDX, Finding, PublicKey, Vouched, read

LINKS = ("commit", "tag", "build", "digest", "signature", "attestation", "running")
OK, GAP, ALLOWED, WAITING = "ok", "gap", "allowed", "waiting"
PROVENANCE_V02 = "https://slsa.dev/provenance/v0.2"
VERSION = "org.opencontainers.image.version"
REVISION = "org.opencontainers.image.revision"
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True)
class Reference:
    """An image's name, taken apart. ``tag`` and ``digest`` are empty when the name has none."""

    registry: str
    repository: str
    tag: str
    digest: str

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Take a name apart as container runtimes do: without a registry it is one of Docker Hub."""
        rest, _at, digest = text.partition("@")
        first, slash, last = rest.partition("/")
        if not slash or not (set(first) & {".", ":"} or first == "localhost"):
            first, last = "docker.io", rest if slash else f"library/{rest}"
        path, _slash, end = last.rpartition("/")
        name, _colon, tag = end.partition(":")
        return cls(first, f"{path}/{name}" if path else name, tag, digest)


@dataclass(frozen=True)
class Build:
    """What a provenance says. ``commit`` and ``tag`` (of Git) are empty when it does not say them."""

    builder: str
    build_type: str
    commit: str
    tag: str
    materials: int


def build_of(predicate: Any) -> Build:
    """Read a provenance of SLSA 1.0 or 0.2.

    :raises ValueError: it has not the form of either.
    """
    try:
        if "buildDefinition" in predicate:
            definition = predicate["buildDefinition"]
            materials = definition.get("resolvedDependencies") or []
            builder, build_type = predicate["runDetails"]["builder"]["id"], definition["buildType"]
            ref = str(((definition.get("externalParameters") or {}).get("workflow") or {}).get("ref") or "")
        else:
            source = (predicate.get("invocation") or {}).get("configSource") or {}
            materials = [*([source] if source else []), *(predicate.get("materials") or [])]
            builder, build_type, ref = predicate["builder"]["id"], predicate["buildType"], ""
        commit = ""
        for item in materials:
            digests = item.get("digest") or {}
            uri = str(item.get("uri") or "")
            value = str(digests.get("gitCommit") or (digests.get("sha1") if uri.startswith("git+") else "") or "")
            if _COMMIT.fullmatch(value):
                commit, ref = value, ref or uri.partition("@")[2]
                break
        tag = ref[len("refs/tags/") :] if ref.startswith("refs/tags/") else ""
        return Build(str(builder), str(build_type), commit, tag, len(materials))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"it is no provenance of SLSA: {error!r}") from error


@dataclass(frozen=True)
class Evidence:
    """What the registry has of one digest of a repository.

    :ivar digests: all digests that a runtime may report for it: its own, and those of an index's manifests.
    :ivar labels: of the image's configuration.
    """

    digests: frozenset[str]
    labels: Mapping[str, str]
    vouched: Vouched


def gather(registry: Registry, repository: str, digest: str, keys: list[PublicKey]) -> Evidence | None:
    """Read what a registry has of an image; None when it does not have it. Raises OciError."""
    found = registry.manifest(repository, digest)
    if found is None:
        return None
    manifest = _json(found[1], digest)
    children = [item for item in manifest.get("manifests") or [] if isinstance(item, dict)]
    digests = {digest, *(str(item.get("digest")) for item in children)}
    if children:
        linux = [item for item in children if (item.get("platform") or {}).get("architecture") == "amd64"]
        child = registry.manifest(repository, str((linux or children)[0]["digest"]))
        manifest = _json(child[1], digest) if child else {}
    labels: Mapping[str, str] = {}
    if "config" in manifest:
        config = _json(registry.blob(repository, manifest["config"]["digest"]), digest)
        labels = (config.get("config") or {}).get("Labels") or {}
        # Some runtimes name an image by its configuration.
        digests.add(manifest["config"]["digest"])

    def content(tag: str) -> bytes | None:
        answer = registry.manifest(repository, tag)
        return answer[1] if answer else None

    return Evidence(
        frozenset(digests), labels, read(digest, keys, content, lambda blob: registry.blob(repository, blob))
    )


def _json(content: bytes, digest: str) -> dict[str, Any]:
    try:
        value = json.loads(content)
    except ValueError as error:
        raise OciError(f"What the registry has of {digest} is no JSON: {error}") from error
    return value if isinstance(value, dict) else {}


@dataclass(frozen=True)
class Allowance:
    """Links that a site cannot have for some images, with the reason."""

    images: Sequence[str]
    links: Sequence[str]
    reason: str

    def covers(self, image: str, link: str) -> bool:
        """Tell whether a missing link of an image is allowed."""
        return link in self.links and any(fnmatchcase(image, pattern) for pattern in self.images)


@dataclass(frozen=True)
class Demands:
    """What a whole chain has.

    :ivar attested: types of attestation beside the provenance.
    :ivar builders: who may have built; anybody who is named, when empty.
    :ivar tags_of: returns the Git tags that point at a commit, None when the repository does not have the commit;
        unset when there is no repository to ask.
    """

    attested: Sequence[str] = (SPDX,)
    builders: Sequence[str] = ()
    allowances: Sequence[Allowance] = ()
    tags_of: Callable[[str], list[str] | None] | None = None


@dataclass
class Link:
    """One link: what was found, and whether it holds."""

    name: str
    state: str
    value: str
    reason: str = ""

    def as_dict(self) -> dict[str, str]:
        """Return the link for a module's result."""
        return {"link": self.name, "state": self.state, "value": self.value, "reason": self.reason}


@dataclass
class Chain:
    """The links of one container, in the order of LINKS."""

    container: Container
    links: list[Link]

    @property
    def gaps(self) -> list[Link]:
        """Links that do not hold and are not allowed to be missing."""
        return [link for link in self.links if link.state == GAP]

    def as_dict(self) -> dict[str, Any]:
        """Return the chain for a module's result."""
        return {
            "pod": self.container.pod,
            "container": self.container.name,
            "kind": self.container.kind,
            "image": self.container.image,
            "whole": not self.gaps,
            "links": [link.as_dict() for link in self.links],
        }


def chain(
    container: Container,
    evidence: Evidence | OciError | None,
    tag_digest: Callable[[str], str | None],
    demands: Demands,
) -> Chain:
    """Check all links of a container.

    :param evidence: of the digest to look at (:func:`wanted_digest`); None when the registry does not have it, the
        error when the registry could not be read.
    :param tag_digest: returns the digest that a tag of the image's repository has now.
    """
    links = _Links(container, tag_digest, demands).all(evidence)
    for link in links:
        allowance = next((item for item in demands.allowances if item.covers(container.image, link.name)), None)
        if link.state == GAP and allowance:
            link.state, link.reason = ALLOWED, f"{link.reason}; allowed: {allowance.reason}"
    return Chain(container, links)


def wanted_digest(container: Container) -> str:
    """Return the digest whose signatures count: the one of the spec, else the running one; may be empty."""
    return Reference.parse(container.image).digest or container.running_digest


class _Links:
    def __init__(self, container: Container, tag_digest: Callable[[str], str | None], demands: Demands) -> None:
        self.container, self.tag_digest, self.demands = container, tag_digest, demands
        self.reference = Reference.parse(container.image)
        self.digest = wanted_digest(container)

    def all(self, evidence: Evidence | OciError | None) -> list[Link]:
        if not isinstance(evidence, Evidence):
            missing = f"the registry has no image {self.digest}" if self.digest else "it has no digest"
            reason = str(evidence) if isinstance(evidence, OciError) else missing
            links = [Link(name, GAP, "", reason) for name in LINKS[:-1]]
            return [*links, self._running(frozenset({self.digest} if self.digest else ()))]
        build, why = self._build_of(evidence.vouched.attestations)
        return [
            self._commit(build, why, evidence.labels),
            self._tag(build, evidence.labels),
            self._build(build, why),
            self._digest(),
            self._signature(evidence.vouched.signatures),
            self._attestation(evidence.vouched.attestations),
            self._running(evidence.digests),
        ]

    def _build_of(self, attestations: Iterable[Finding]) -> tuple[Build | None, str]:
        found = [item for item in attestations if item.predicate_type in (PROVENANCE, PROVENANCE_V02)]
        reasons = [item.reason for item in found if item.reason]
        for item in found:
            if item.verified_by:
                try:
                    return build_of(item.predicate), ""
                except ValueError as error:
                    reasons.append(str(error))
        return None, f"no verified provenance: {'; '.join(reasons)}" if reasons else "it has no provenance"

    def _commit(self, build: Build | None, why: str, labels: Mapping[str, str]) -> Link:
        if build is None or not build.commit:
            return Link("commit", GAP, "", why or "the provenance names no commit")
        for owner, told in (("image", labels.get(REVISION)), ("pod", self.container.annotations.get(REVISION))):
            if told and told != build.commit:
                return Link("commit", GAP, build.commit, f"the {owner} says {told}, the provenance {build.commit}")
        if self.demands.tags_of and self.demands.tags_of(build.commit) is None:
            return Link("commit", GAP, build.commit, "the repository does not have this commit")
        return Link("commit", OK, build.commit)

    def _tag(self, build: Build | None, labels: Mapping[str, str]) -> Link:
        name = self.reference.tag or self.container.annotations.get(VERSION) or labels.get(VERSION) or ""
        if not name:
            return Link("tag", GAP, "", "neither the image's name nor an annotation or label names a tag")
        try:
            found = self.tag_digest(name)
        except OciError as error:
            return Link("tag", GAP, name, str(error))
        if found != self.digest:
            return Link("tag", GAP, name, f"the tag is at {found} now" if found else "the registry has no such tag")
        if self.demands.tags_of and build is not None and build.commit:
            tags = self.demands.tags_of(build.commit) or []
            if not tags or (build.tag and build.tag not in tags):
                wanted = f"tag {build.tag}" if build.tag else "tag"
                return Link("tag", GAP, name, f"no {wanted} of the repository points to {build.commit}")
            name = f"{build.tag or tags[0]} {name}" if (build.tag or tags[0]) != name else name
        return Link("tag", OK, name)

    def _build(self, build: Build | None, why: str) -> Link:
        if build is None:
            return Link("build", GAP, "", why)
        if not build.builder:
            return Link("build", GAP, "", "the provenance names no builder")
        if self.demands.builders and build.builder not in self.demands.builders:
            return Link("build", GAP, build.builder, f"{build.builder} is not one of the builders that count")
        return Link("build", OK, f"{build.builder} ({build.materials} materials)")

    def _digest(self) -> Link:
        if not self.reference.digest:
            return Link("digest", GAP, self.digest, "the pod's image is named by a tag alone, which may move")
        return Link("digest", OK, self.digest)

    @staticmethod
    def _signature(signatures: Sequence[Finding]) -> Link:
        names = sorted({name for item in signatures for name in item.verified_by})
        if names:
            return Link("signature", OK, ", ".join(names))
        return Link("signature", GAP, "", "; ".join(item.reason for item in signatures) or "it is not signed")

    def _attestation(self, attestations: Sequence[Finding]) -> Link:
        verified = {item.predicate_type for item in attestations if item.verified_by}
        value = ", ".join(sorted(verified))
        for kind in self.demands.attested:
            if kind not in verified:
                reasons = [item.reason for item in attestations if item.predicate_type == kind and item.reason]
                return Link("attestation", GAP, value, f"no verified {kind}: {'; '.join(reasons) or 'there is none'}")
        return Link("attestation", OK, value)

    def _running(self, digests: frozenset[str]) -> Link:
        running = self.container.running_digest
        if not running:
            return Link("running", WAITING, "", "the container has not started")
        if running not in digests:
            wanted = self.digest or "unknown"
            return Link("running", GAP, running, f"the pod asks for {wanted}")
        return Link("running", OK, running)


def table(chains: Sequence[Chain]) -> list[str]:
    """Return the chains as lines of text: a table, and below it a line for each thing that is wrong."""
    marks = {OK: "", GAP: "! ", ALLOWED: "~ ", WAITING: "? "}
    rows = [("POD", "CONTAINER", *(name.upper() for name in LINKS))]
    for item in chains:
        cells = (marks[link.state] + (_short(link.value) or "-") for link in item.links)
        rows.append((item.container.pod, item.container.name, *cells))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
    troubles: dict[str, list[str]] = {}
    for item in chains:
        for link in item.links:
            if link.state != OK:
                text = f"{marks[link.state]}{_short(item.container.image)} {link.name}: {link.reason}"
                troubles.setdefault(text, []).append(f"{item.container.pod}/{item.container.name}")
    return [*lines, *(f"{text} ({', '.join(names)})" for text, names in troubles.items())]


def _short(value: str) -> str:
    value = re.sub(r"sha256:([0-9a-f]{12})[0-9a-f]{52}", r"\1", value)
    value = re.sub(r"\b([0-9a-f]{12})[0-9a-f]{28}(?:[0-9a-f]{24})?\b", r"\1", value)
    return re.sub(r"https?://\S*?([^/\s,]+)(?=[\s,]|$)", r"\1", value)
