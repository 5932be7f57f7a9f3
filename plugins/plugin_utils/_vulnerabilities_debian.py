# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Debian's own knowledge of vulnerabilities: the security tracker's data, and the versions in the archive.

Sources: https://security-tracker.debian.org/tracker/data/json and its documentation
(https://security-team.debian.org/security_tracker.html); deb-version(7) by python-debian.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from ._bundle_common import BundleError
from ._bundle_debian import Package
from ._image_contents import Contents
from ._vulnerabilities import Finding

try:
    from debian.debian_support import Version

    DEBIAN_ERROR: ImportError | None = None
except ImportError as error:
    DEBIAN_ERROR = error

_URGENCIES = {"high": "high", "medium": "medium", "low": "low", "unimportant": "negligible"}
"""Others (``not yet assigned``, ``end-of-life``) say nothing about the severity."""


@cache
def older(version: str, other: str) -> bool:
    """Tell whether a Debian version comes before another (deb-version(7)).

    :raises BundleError: python-debian is missing, or a text is no version.
    """
    if DEBIAN_ERROR:
        raise BundleError(f"The Python package python-debian is missing on this host: {DEBIAN_ERROR}")
    try:
        return bool(Version(version) < Version(other))
    except ValueError as error:
        raise BundleError(f"{version!r} and {other!r} cannot be compared: {error}") from error


class Tracker:
    """The security tracker's data: source package -> identifier -> state in each release."""

    def __init__(self, path: Path) -> None:
        """Read the file.

        :raises BundleError: it cannot be read, or is something else.
        """
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            known = [values for issues in data.values() for values in issues.values()]
            self.releases = {release for values in known for release in values.get("releases", {})}
        except (OSError, ValueError, AttributeError) as error:
            raise BundleError(
                f"{path} is not the data of Debian's security tracker ({error}). Fetch it from "
                "https://security-tracker.debian.org/tracker/data/json"
            ) from error
        if not self.releases:
            raise BundleError(f"{path} has no release: it is not the data of Debian's security tracker.")
        self._data: dict[str, dict[str, dict[str, Any]]] = data

    def knows(self, contents: Contents) -> bool:
        """Tell whether the tracker follows the release of an image."""
        return contents.release in self.releases

    def findings(self, image: str, contents: Contents) -> Iterable[Finding]:
        """Yield what the tracker says about an image's packages."""
        for package in contents.debian:
            for identifier, issue in self._data.get(package.source_name, {}).items():
                state = issue.get("releases", {}).get(contents.release)
                if state is None:
                    continue
                # Version 0 says that the release was never affected.
                fixed = str(state.get("fixed_version") or "")
                if state.get("status") == "resolved":
                    if fixed in ("", "0") or not older(package.source_version, fixed):
                        continue
                else:
                    fixed = ""
                severity = _URGENCIES.get(str(state.get("urgency", "")).rstrip("*"), "unknown")
                yield Finding(image, identifier, package.name, package.version, fixed, severity, "debian-tracker")


def superseded(image: str, contents: Contents, newest: Mapping[str, Package]) -> Iterable[Finding]:
    """Yield an image's packages of which the archive has a newer version.

    The archive does not say what a version repairs, so the severity is unknown; that the security archive has it says
    that it repairs a vulnerability.

    :param newest: name -> newest package of the image's release.
    """
    for package in contents.debian:
        found = newest.get(package.name)
        if found is not None and package.version != found.version and older(package.version, found.version):
            identifier = "security-update" if found.archive == "debian-security" else "update"
            yield Finding(image, identifier, package.name, package.version, found.version, "unknown", "debian-archive")
