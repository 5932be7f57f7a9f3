# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is attested about the bundle: bills of materials (SPDX 2.3) and provenance (SLSA 1.0).

Sources: https://spdx.github.io/spdx-spec/v2.3/, https://slsa.dev/spec/v1.0/provenance,
https://github.com/package-url/purl-spec.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from ._bundle_index import Entry
from ._image_contents import Contents, DebianPackage, GoModule

PROJECT = "https://github.com/onprem-platform/onprem.platform"
BUILD_TYPE = f"{PROJECT}/blob/main/docs/signatures.md#provenance-1"
TOOL = "onprem.platform.bundle_signature-1"
"""Maker of the statements. Its number is raised when they change, so that existing ones are made anew."""
_NO_ASSERTION = "NOASSERTION"


class _Document:
    """An SPDX document that packages are added to."""

    def __init__(self, name: str, namespace: str, created: str) -> None:
        self.packages: list[dict[str, Any]] = []
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

    def relate(self, first: str, relation: str, second: str) -> None:
        """Add a relationship."""
        self.relationships.append({"spdxElementId": first, "relationshipType": relation, "relatedSpdxElement": second})

    def finished(self) -> dict[str, Any]:
        """Return the document."""
        return {**self._head, "packages": self.packages, "relationships": self.relationships}


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
        purl=f"pkg:oci/{entry['repository'].rpartition('/')[2]}@{quote(entry['digest'], safe='')}?tag={entry['tag']}",
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


def provenance(
    entry: Entry,
    contents: Contents,
    debian_sums: Mapping[tuple[str, str], str],
    address: str,
    settings: Mapping[str, str],
) -> dict[str, Any]:
    """Return the provenance of an image: how it was made, from what, and by whom.

    :param debian_sums: (name, version) of a Debian package -> SHA-256 of its file, as pinned.
    :param address: upstream image with digest when it was not built here.
    :param settings: ``builder`` (an address), ``commit`` (of this collection, may be empty), ``go``, ``platform``,
        ``lock`` (SHA-256 of the lock file) and ``finished`` (RFC 3339).
    """
    materials: list[dict[str, Any]] = [{"name": "roles/bundle/files/lock.yml", "digest": {"sha256": settings["lock"]}}]
    if settings["commit"]:
        materials.append({"uri": f"git+{PROJECT}", "digest": {"gitCommit": settings["commit"]}})
    if entry["producer"] == "upstream":
        reference, _separator, digest = address.partition("@")
        materials.append({"uri": f"oci://{reference}", "digest": {"sha256": digest.partition(":")[2]}})
    else:
        materials += [_debian_material(package, debian_sums) for package in contents.debian]
        modules = {module for program in contents.go for module in program.modules if module.checksum}
        materials += [
            {"uri": _go_purl(module), "digest": {"dirHash1": base64.b64decode(module.checksum[3:]).hex()}}
            for module in sorted(modules, key=lambda module: (module.path, module.version))
        ]
    return {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {"artefact": entry["artefact"], "producer": entry["producer"]},
            "internalParameters": {
                "recipe": entry["recipe"],
                "go": settings["go"],
                "platform": settings["platform"],
                "tool": TOOL,
            },
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


def _go_purl(module: GoModule) -> str:
    return f"pkg:golang/{quote(module.path.lower())}@{quote(module.version)}"


def _go_source(module: GoModule) -> str:
    return f"go.sum {module.checksum}" if module.checksum else ""
