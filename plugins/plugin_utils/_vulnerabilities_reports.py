# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reports of scanners that a site runs itself: ``trivy image --format json`` and ``grype --output json``.

Sources: https://trivy.dev/docs/latest/configuration/reporting/ (schema version 2),
https://github.com/anchore/grype, schema/grype/db-search and grype/presenter/models/document.go.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ._bundle_common import BundleError
from ._vulnerabilities import SEVERITIES, Finding


@dataclass(frozen=True)
class Weakness:
    """What a report says about one package."""

    identifier: str
    package: str
    installed: str
    fixed: str
    severity: str


@dataclass(frozen=True)
class Report:
    """A scanner's report of one image.

    :ivar digests: digests that the report gives for the image: of its manifest, or of its configuration.
    :ivar ecosystems: what the scanner looked at.
    """

    path: Path
    scanner: str
    digests: frozenset[str]
    ecosystems: frozenset[str]
    weaknesses: tuple[Weakness, ...]

    def findings(self, image: str) -> Iterable[Finding]:
        """Yield the report's findings for the image that it is about."""
        for one in self.weaknesses:
            yield Finding(image, one.identifier, one.package, one.installed, one.fixed, one.severity, self.scanner)


def read_report(path: Path) -> Report:
    """Return a report of trivy or grype.

    :raises BundleError: it cannot be read, or is of neither.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(data, dict) and "SchemaVersion" in data and "ArtifactName" in data:
            return _trivy(path, data)
        if isinstance(data, dict) and "matches" in data and "source" in data:
            return _grype(path, data)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BundleError(f"{path} cannot be read as a report of trivy or grype: {error!r}") from error
    raise BundleError(f"{path} is no JSON report of trivy or grype.")


def _severity(text: Any) -> str:
    severity = str(text or "").lower()
    return severity if severity in SEVERITIES else "unknown"


def _digest(reference: str) -> str:
    """Return the digest of ``repository@sha256:...``, or of a bare digest."""
    return reference.rpartition("@")[2]


def _trivy(path: Path, data: Mapping[str, Any]) -> Report:
    metadata = data.get("Metadata") or {}
    digests = {_digest(text) for text in metadata.get("RepoDigests") or ()} | {str(metadata.get("ImageID", ""))}
    ecosystems = set()
    found = []
    for result in data.get("Results") or ():
        kind = str(result.get("Type", ""))
        ecosystems |= {"debian"} if kind == "debian" else {"go"} if kind == "gobinary" else set()
        for one in result.get("Vulnerabilities") or ():
            found.append(
                Weakness(
                    one["VulnerabilityID"],
                    one["PkgName"],
                    str(one.get("InstalledVersion", "")),
                    str(one.get("FixedVersion", "")),
                    _severity(one.get("Severity")),
                )
            )
    return Report(path, "trivy", frozenset(digests - {""}), frozenset(ecosystems), tuple(found))


def _grype(path: Path, data: Mapping[str, Any]) -> Report:
    target = data["source"]["target"]
    if not isinstance(target, dict):
        raise BundleError(f"{path} is grype's report of a directory or file, not of an image.")
    digests = {_digest(text) for text in target.get("repoDigests") or ()}
    digests |= {str(target.get("imageID", "")), str(target.get("manifestDigest", ""))}
    found = []
    for match in data["matches"]:
        one, artifact = match["vulnerability"], match["artifact"]
        fix = one.get("fix") or {}
        found.append(
            Weakness(
                one["id"],
                artifact["name"],
                str(artifact.get("version", "")),
                ", ".join(fix.get("versions") or ()) if fix.get("state") == "fixed" else "",
                _severity(one.get("severity")),
            )
        )
    # grype matches every package that it catalogues; it names none of which it knows nothing.
    return Report(path, "grype", frozenset(digests - {""}), frozenset({"debian", "go"}), tuple(found))
