# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Known vulnerabilities of what is in an image, in one form whatever the source, and what a site has accepted.

A source that knows nothing about a part of an image makes its count unknown, never zero.
"""

from __future__ import annotations

import datetime
import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ._bundle_common import BundleError
from ._image_contents import Contents

SEVERITIES = ("critical", "high", "medium", "low", "negligible", "unknown")
ECOSYSTEMS = ("debian", "go")
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Finding:
    """One weakness of one package in one image.

    :ivar identifier: such as CVE-2026-1234; ``security-update`` or ``update`` for a version that was superseded.
    :ivar fixed: the version that has the repair, empty while there is none.
    :ivar severity: one of :data:`SEVERITIES`.
    :ivar source: who says so: ``debian-tracker``, ``debian-archive``, ``trivy`` or ``grype``.
    :ivar accepted: the reason of the site, empty when nobody has given one.
    """

    image: str
    identifier: str
    package: str
    installed: str
    fixed: str
    severity: str
    source: str
    accepted: str = ""

    def as_dict(self) -> dict[str, str]:
        """Return the finding as a result's entry."""
        return {
            "image": self.image,
            "id": self.identifier,
            "package": self.package,
            "installed": self.installed,
            "fixed": self.fixed,
            "severity": self.severity,
            "source": self.source,
            "accepted": self.accepted,
        }


@dataclass(frozen=True)
class Acceptance:
    """A finding that a site lives with until a day. ``package`` and ``image`` are patterns (fnmatch)."""

    identifier: str
    package: str
    image: str
    reason: str
    expires: datetime.date

    def covers(self, finding: Finding) -> bool:
        """Tell whether the finding is the accepted one."""
        return (
            finding.identifier == self.identifier
            and fnmatch.fnmatchcase(finding.package, self.package)
            and fnmatch.fnmatchcase(finding.image, self.image)
        )


def acceptances(entries: Sequence[Mapping[str, Any]]) -> list[Acceptance]:
    """Return the checked entries of an allow-list.

    :raises BundleError: an entry without id, reason or day of expiry, or with anything else than the known keys.
    """
    found = []
    for entry in entries:
        unknown = sorted(set(entry) - {"id", "package", "image", "reason", "expires"})
        lacking = [key for key in ("id", "reason", "expires") if not str(entry.get(key) or "").strip()]
        if unknown or lacking:
            what = f"unknown key {', '.join(unknown)}" if unknown else f"without {', '.join(lacking)}"
            raise BundleError(f"An accepted vulnerability is {what}: {dict(entry)}. It needs id, reason and expires.")
        try:
            expires = datetime.date.fromisoformat(str(entry["expires"]))
        except ValueError as error:
            raise BundleError(f"Accepted vulnerability {entry['id']}: expires is a day such as 2027-01-31.") from error
        found.append(
            Acceptance(
                str(entry["id"]),
                str(entry.get("package") or "*"),
                str(entry.get("image") or "*"),
                str(entry["reason"]),
                expires,
            )
        )
    return found


def accept(
    findings: Iterable[Finding], accepted: Sequence[Acceptance], today: datetime.date
) -> tuple[list[Finding], list[Acceptance]]:
    """Return the findings with the reasons of what is accepted today, and the acceptances that cover nothing.

    An expired one covers nothing either, so that it is seen and removed.
    """
    used: set[Acceptance] = set()
    marked = []
    for finding in findings:
        for one in accepted:
            if one.expires >= today and one.covers(finding):
                used.add(one)
                finding = replace(finding, accepted=one.reason)
                break
        marked.append(finding)
    order = {severity: number for number, severity in enumerate(SEVERITIES)}
    marked.sort(key=lambda f: (f.image, order[f.severity], f.identifier, f.package, f.source))
    return marked, [one for one in accepted if one not in used]


def summary(
    image: str,
    digest: str,
    config_digest: str,
    contents: Contents,
    findings: Sequence[Finding],
    covered: Mapping[str, Sequence[str]],
    compared: bool,
) -> dict[str, Any]:
    """Return the result's entry of one image.

    :param covered: ecosystem -> names of the sources that know its vulnerabilities for this image.
    :param compared: whether the image's Debian packages were compared with the newest versions of the archive.
    """
    own = [finding for finding in findings if finding.image == image]
    present = {"debian": bool(contents.debian), "go": bool(contents.go)}
    vulnerabilities = [finding for finding in own if finding.source != "debian-archive"]
    known: dict[str, Any] = {}
    for ecosystem in ECOSYSTEMS:
        sources = list(covered.get(ecosystem, ()))
        # An image in which nothing was recognised may have anything.
        nothing = not present[ecosystem] and any(present.values())
        known[ecosystem] = {"sources": sources, "known": nothing or bool(sources)}
    complete = all(known[ecosystem]["known"] for ecosystem in ECOSYSTEMS)
    return {
        "name": image,
        "digest": digest,
        "config_digest": config_digest,
        "release": contents.release,
        "debian_packages": len(contents.debian),
        "go_modules": len({(m.path, m.version) for program in contents.go for m in program.modules}),
        "vulnerabilities": len(vulnerabilities) if complete else UNKNOWN,
        "known_vulnerabilities": len(vulnerabilities),
        "outstanding_updates": len(own) - len(vulnerabilities) if compared or not contents.debian else UNKNOWN,
        "unaccepted": {s: sum(f.severity == s and not f.accepted for f in own) for s in SEVERITIES},
        "knowledge": known,
    }
