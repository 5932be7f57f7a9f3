# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is attested about the bundle and what is pushed beside it: bills of materials (SPDX 2.3), provenance (SLSA 1.0).

Sources: https://spdx.github.io/spdx-spec/v2.3/, https://slsa.dev/spec/v1.0/provenance,
https://github.com/package-url/purl-spec.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from ._archive_contents import Archive, NamedImage
from ._bundle_index import Entry
from ._image_contents import Contents, DebianPackage, GoModule

PROJECT = "https://github.com/onprem-platform/onprem.platform"
BUILD_TYPE = f"{PROJECT}/blob/main/docs/signatures.md#provenance-1"
ARTIFACT_BUILD_TYPE = f"{PROJECT}/blob/main/docs/signatures.md#provenance-of-artifacts-1"
TOOL = "onprem.platform.bundle_signature-1"
"""Maker of the statements. Its number is raised when they change, so that existing ones are made anew."""
_NO_ASSERTION = "NOASSERTION"


class _Document:
    """An SPDX document that packages are added to."""

    def __init__(self, name: str, namespace: str, created: str) -> None:
        self.packages: list[dict[str, Any]] = []
        self.files: list[dict[str, Any]] = []
        self.relationships: list[dict[str, str]] = []
        self._identifiers: set[str] = set()
        self._head = {
            "spdxVersion": "SPDX-2.3",
            "dataLicense": "CC0-1.0",
            "SPDXID": "SPDXRef-DOCUMENT",
            "name": name,
            "documentNamespace": namespace,
            "creationInfo": {"created": created, "creators": [f"Tool: {TOOL}", "Organization: onprem.platform"]},
        }

    def add(
        self,
        kind: str,
        name: str,
        version: str,
        *,
        licence: str = _NO_ASSERTION,
        purl: str = "",
        sha256: str = "",
        source: str = "",
        purpose: str = "",
    ) -> str:
        """Add a package once and return its identifier."""
        identifier = "SPDXRef-" + re.sub(r"[^A-Za-z0-9.-]+", "-", f"{kind}-{name}-{version}").strip("-")
        if identifier in self._identifiers:
            return identifier
        self._identifiers.add(identifier)
        package: dict[str, Any] = {
            "SPDXID": identifier,
            "name": name,
            "versionInfo": version,
            "downloadLocation": _NO_ASSERTION,
            "filesAnalyzed": False,
            "licenseConcluded": _NO_ASSERTION,
            "licenseDeclared": licence,
            "copyrightText": _NO_ASSERTION,
        }
        if purl:
            reference = {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": purl}
            package["externalRefs"] = [reference]
        if sha256:
            package["checksums"] = [{"algorithm": "SHA256", "checksumValue": sha256}]
        if source:
            package["sourceInfo"] = source
        if purpose:
            package["primaryPackagePurpose"] = purpose
        self.packages.append(package)
        return identifier

    def add_files(self, package: str, archive: Archive) -> None:
        """Add all files of a package, which has been added last."""
        for number, file in enumerate(archive.files):
            identifier = f"SPDXRef-File-{number}"
            checksums = [{"algorithm": "SHA1", "checksumValue": file.sha1}]
            checksums.append({"algorithm": "SHA256", "checksumValue": file.sha256})
            self.files.append({"SPDXID": identifier, "fileName": f"./{file.path}", "checksums": checksums})
            self.relate(package, "CONTAINS", identifier)
        # SPDX 2.3, 7.9: over the sorted SHA-1 of the files.
        code = hashlib.sha1("".join(sorted(file.sha1 for file in archive.files)).encode(), usedforsecurity=False)
        verification = {"packageVerificationCodeValue": code.hexdigest()}
        self.packages[-1] |= {"filesAnalyzed": True, "packageVerificationCode": verification}

    def relate(self, first: str, relation: str, second: str) -> None:
        """Add a relationship."""
        self.relationships.append({"spdxElementId": first, "relationshipType": relation, "relatedSpdxElement": second})

    def finished(self) -> dict[str, Any]:
        """Return the document."""
        files = {"files": self.files} if self.files else {}
        return {**self._head, "packages": self.packages, **files, "relationships": self.relationships}


def image_sbom(entry: Entry, contents: Contents, created: str) -> dict[str, Any]:
    """Return the bill of materials of an image.

    :param entry: the image's entry of the bundle's index.
    :param created: time of making, RFC 3339 without fractions.
    """
    digest = entry["digest"].partition(":")[2]
    name = f"{entry['repository']}:{entry['tag']}"
    document = _Document(name, f"{PROJECT}/spdx/{entry['repository']}/{digest}", created)
    image = document.add(
        "Image",
        entry["name"],
        entry["version"],
        licence=_licence(entry),
        purl=_oci_purl(NamedImage(entry["repository"].rpartition("/")[2], entry["tag"], entry["digest"])),
        sha256=digest,
        source="; ".join(entry["differs_from_upstream"]),
        purpose="CONTAINER",
    )
    document.relate("SPDXRef-DOCUMENT", "DESCRIBES", image)
    for package in contents.debian:
        document.relate(
            image,
            "CONTAINS",
            document.add("Debian", package.name, package.version, purl=_debian_purl(package), purpose="LIBRARY"),
        )
    for program in contents.go:
        owner = image
        for number, module in enumerate(program.modules):
            identifier = document.add(
                "Go", module.path, module.version, purl=_go_purl(module), source=_go_source(module), purpose="LIBRARY"
            )
            # The first is the program's own module, the others are compiled into it.
            document.relate(owner, "CONTAINS" if number == 0 else "STATIC_LINK", identifier)
            owner = identifier if number == 0 else owner
        library = document.add(
            "Go", "stdlib", program.go_version.split()[0], purl=f"pkg:golang/stdlib@{program.go_version.split()[0][2:]}"
        )
        document.relate(owner, "STATIC_LINK", library)
    return document.finished()


def archive_sbom(
    name: str, version: str, digest: str, archive: Archive, created: str, licence: str = "", purl: str = ""
) -> dict[str, Any]:
    """Return the bill of materials of a chart or a tree of manifests: its files, and the images that they name.

    :param digest: of what is attested, ``sha256:<hex>``.
    :param purl: package URL; that of an OCI artifact when empty.
    """
    document = _Document(f"{name}:{version}", f"{PROJECT}/spdx/{name}/{digest.partition(':')[2]}", created)
    whole = document.add(
        "Archive",
        name,
        version,
        licence=licence or _NO_ASSERTION,
        purl=purl or _oci_purl(NamedImage(name, "", digest)),
        sha256=digest.partition(":")[2],
        purpose="ARCHIVE",
    )
    document.relate("SPDXRef-DOCUMENT", "DESCRIBES", whole)
    document.add_files(whole, archive)
    for image in archive.images:
        identifier = document.add(
            "Image",
            image.name,
            image.digest or image.tag,
            purl=_oci_purl(image),
            sha256=image.digest.partition(":")[2],
            purpose="CONTAINER",
        )
        document.relate(whole, "DEPENDS_ON", identifier)
    return document.finished()


def chart_sbom(entry: Entry, archive: Archive, created: str) -> dict[str, Any]:
    """Return the bill of materials of a chart of the bundle."""
    purl = f"pkg:helm/{entry['name']}@{quote(entry['version'])}"
    digest = f"sha256:{entry['sha256']}"
    return archive_sbom(entry["name"], entry["version"], digest, archive, created, _licence(entry), purl)


def bundle_sbom(entries: list[Entry], created: str, namespace: str) -> dict[str, Any]:
    """Return the bill of materials of a whole bundle.

    :param namespace: what makes this document's name unique: the SHA-256 of the bundle's index.
    """
    document = _Document("onprem.platform bundle", f"{PROJECT}/spdx/bundle/{namespace}", created)
    purposes = {"image": "CONTAINER", "file": "APPLICATION", "package": "INSTALL"}
    for entry in entries:
        identifier = document.add(
            entry["kind"].capitalize(),
            entry["name"],
            entry["version"],
            licence=_licence(entry),
            sha256=entry.get("sha256") or entry["digest"].partition(":")[2],
            source="; ".join(entry["differs_from_upstream"]),
            purpose=purposes.get(entry["kind"], "FILE"),
        )
        document.relate("SPDXRef-DOCUMENT", "DESCRIBES", identifier)
    return document.finished()


def provenance(entry: Entry, materials: list[dict[str, Any]], settings: Mapping[str, str]) -> dict[str, Any]:
    """Return the provenance of something in the bundle: how it was made, from what, and by whom.

    :param materials: what it was made from beside lock and commit (:func:`image_materials`, :func:`chart_materials`).
    :param settings: ``builder`` (an address), ``commit`` (of this collection, may be empty), ``go``, ``platform``,
        ``lock`` (SHA-256 of the lock file) and ``finished`` (RFC 3339).
    """
    lock = {"name": "roles/bundle/files/lock.yml", "digest": {"sha256": settings["lock"]}}
    internal = {"recipe": entry["recipe"], "go": settings["go"], "platform": settings["platform"]}
    return _provenance(
        BUILD_TYPE,
        {"artefact": entry["artefact"], "producer": entry["producer"]},
        internal,
        [lock, *_commit_material(PROJECT, settings["commit"]), *materials],
        settings,
    )


def artifact_provenance(
    parameters: Mapping[str, str], archive: Archive, source: str, settings: Mapping[str, str]
) -> dict[str, Any]:
    """Return the provenance of a chart or tree in a registry.

    :param parameters: what names it: ``repository``, and ``name``, ``version``, ``appVersion`` of a chart.
    :param source: address of the Git repository that ``commit`` is of, may be empty.
    :param settings: ``builder``, ``commit`` (may be empty) and ``finished``, as for :func:`provenance`.
    """
    images = [
        {"uri": _oci_purl(image), "digest": {"sha256": image.digest.partition(":")[2]}}
        for image in archive.images
        if image.digest
    ]
    materials = [*_commit_material(source, settings["commit"]), *images]
    return _provenance(ARTIFACT_BUILD_TYPE, parameters, {}, materials, settings)


def image_materials(
    entry: Entry, contents: Contents, debian_sums: Mapping[tuple[str, str], str], address: str
) -> list[dict[str, Any]]:
    """Return what an image was made from.

    :param debian_sums: (name, version) of a Debian package -> SHA-256 of its file, as pinned.
    :param address: upstream image when it was not built here.
    """
    if entry["producer"] == "upstream":
        return [{"uri": f"oci://{address}", "digest": {"sha256": entry["digest"].partition(":")[2]}}]
    modules = {module for program in contents.go for module in program.modules if module.checksum}
    ordered = sorted(modules, key=lambda module: (module.path, module.version))
    return [
        *(_debian_material(package, debian_sums) for package in contents.debian),
        *(_go_material(module) for module in ordered),
    ]


def chart_materials(entry: Entry, module: GoModule | None, address: str) -> list[dict[str, Any]]:
    """Return what a chart was made from: the module that it was taken out of, or upstream's file."""
    if entry["producer"] == "upstream" or module is None:
        return [{"uri": address, "digest": {"sha256": entry["sha256"]}}]
    return [_go_material(module)]


def _provenance(
    build_type: str,
    external: Mapping[str, str],
    internal: Mapping[str, str],
    materials: list[dict[str, Any]],
    settings: Mapping[str, str],
) -> dict[str, Any]:
    return {
        "buildDefinition": {
            "buildType": build_type,
            "externalParameters": dict(external),
            "internalParameters": {**internal, "tool": TOOL},
            "resolvedDependencies": materials,
        },
        "runDetails": {"builder": {"id": settings["builder"]}, "metadata": {"finishedOn": settings["finished"]}},
    }


def made_by_this_tool(predicate: Any) -> bool:
    """Tell whether a bill of materials or a provenance has the form that this version makes."""
    try:
        if "creationInfo" in predicate:
            return f"Tool: {TOOL}" in predicate["creationInfo"]["creators"]
        return bool(predicate["buildDefinition"]["internalParameters"]["tool"] == TOOL)
    except (KeyError, TypeError):
        return False


def lacks_commit(predicate: Any) -> bool:
    """Tell whether this is a provenance of this tool that names no commit."""
    materials = (predicate.get("buildDefinition") or {}).get("resolvedDependencies")
    return materials is not None and not any("gitCommit" in (item.get("digest") or {}) for item in materials)


def _licence(entry: Entry) -> str:
    # A reference to a licence text would have to be in the document; it is not in the index.
    return _NO_ASSERTION if entry["licence"].startswith("LicenseRef-") else str(entry["licence"])


def _debian_purl(package: DebianPackage) -> str:
    return f"pkg:deb/debian/{quote(package.name)}@{quote(package.version, safe='.-~')}?arch={package.architecture}"


def _debian_material(package: DebianPackage, sums: Mapping[tuple[str, str], str]) -> dict[str, Any]:
    found = sums.get((package.name, package.version))
    return {"uri": _debian_purl(package), **({"digest": {"sha256": found}} if found else {})}


def _commit_material(source: str, commit: str) -> list[dict[str, Any]]:
    uri = {"uri": f"git+{source}"} if source else {}
    return [{**uri, "digest": {"gitCommit": commit}}] if commit else []


def _oci_purl(image: NamedImage) -> str:
    location, _slash, last = image.name.rpartition("/")
    version = f"@{quote(image.digest, safe='')}" if image.digest else ""
    qualifiers = [f"repository_url={quote(image.name, safe='/')}"] if location else []
    qualifiers += [f"tag={image.tag}"] if image.tag else []
    return f"pkg:oci/{last}{version}{'?' if qualifiers else ''}{'&'.join(qualifiers)}"


def _go_material(module: GoModule) -> dict[str, Any]:
    digest = {"digest": {"dirHash1": base64.b64decode(module.checksum[3:]).hex()}} if module.checksum else {}
    return {"uri": _go_purl(module), **digest}


def _go_purl(module: GoModule) -> str:
    return f"pkg:golang/{quote(module.path.lower())}@{quote(module.version)}"


def _go_source(module: GoModule) -> str:
    return f"go.sum {module.checksum}" if module.checksum else ""
