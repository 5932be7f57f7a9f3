# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each source says about an image, and that nobody's silence counts as zero."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.onprem.platform.plugins.action import image_vulnerability_info as action
from ansible_collections.onprem.platform.plugins.module_utils._oci import Layout
from ansible_collections.onprem.platform.plugins.plugin_utils._bundle_common import BundleError
from ansible_collections.onprem.platform.plugins.plugin_utils._bundle_debian import Package
from ansible_collections.onprem.platform.plugins.plugin_utils._vulnerabilities_debian import older
from ansible_collections.onprem.platform.tests.unit.plugins.plugin_utils.test_image_contents import (
    INFORMATION,
    go_binary,
    image,
    layer,
    status,
)

TRACKER: dict[str, Any] = {
    "openssl": {
        "CVE-2026-0001": {
            "releases": {"trixie": {"status": "resolved", "fixed_version": "3.5.2-1", "urgency": "high**"}}
        },
        "CVE-2026-0002": {"releases": {"trixie": {"status": "open", "urgency": "unimportant"}}},
        "CVE-2026-0003": {"releases": {"trixie": {"status": "resolved", "fixed_version": "0", "urgency": "low"}}},
        "CVE-2026-0004": {"releases": {"trixie": {"status": "resolved", "fixed_version": "3.5.1-1", "urgency": "low"}}},
        "CVE-2026-0005": {"releases": {"sid": {"status": "open", "urgency": "high"}}},
        "CVE-2026-0006": {"releases": {"trixie": {"status": "undetermined", "urgency": "not yet assigned"}}},
    }
}


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    """An image with two Debian packages and no Go program."""
    openssl = status("libssl3t64", "3.5.1-1+b2") + "Source: openssl (3.5.1-1)\n"
    files = {
        "usr/lib/os-release": (b"VERSION_CODENAME=trixie\n", 0o644),
        "var/lib/dpkg/status.d/libssl3t64": (openssl.encode(), 0o644),
        "var/lib/dpkg/status.d/zlib1g": (status("zlib1g", "1:1.3~rc1-1").encode(), 0o644),
    }
    image(tmp_path / "images", layer(files))
    return tmp_path / "images"


def newest(name: str, version: str, archive: str) -> Package:
    return Package(name, version, "amd64", archive, "pool/x", 1, "0" * 64)


@pytest.fixture
def examine(layout: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Any]]:
    """Return the engine of the module with its defaults; the archive has a newer version of both packages."""
    available = {
        "libssl3t64": newest("libssl3t64", "3.5.2-1+deb13u1", "debian-security"),
        "zlib1g": newest("zlib1g", "1:1.3-1", "debian"),
    }
    monkeypatch.setattr(action.DebianPackages, "newest", lambda _self, _suite, _names: available)
    defaults = {
        "layout": str(layout), "images": [], "tracker": None, "archive": False, "mirrors": {}, "reports": [],
        "accepted": [],
    }  # fmt: skip
    return lambda **arguments: action.examine({**defaults, **arguments})


def write(path: Path, content: Any) -> str:
    path.write_text(json.dumps(content))
    return str(path)


@pytest.mark.parametrize(
    ("version", "other"),
    [("1.0~rc1", "1.0"), ("1.9-1", "1.10-1"), ("9", "1:1"), ("3.5.1-1", "3.5.1-1+deb13u1"), ("1.2-3+b1", "1.2-3.1")],
)
def test_versions_are_compared_as_dpkg_does(version: str, other: str) -> None:
    newest = other
    assert older(version, newest)
    assert not older(newest, version) and not older(version, version)


def test_what_is_no_version_is_told() -> None:
    with pytest.raises(BundleError, match="cannot be compared"):
        older("1.0", "one two")


def test_nothing_asked_is_unknown(examine: Callable[..., dict[str, Any]]) -> None:
    [found] = examine()["images"]
    assert (found["vulnerabilities"], found["outstanding_updates"]) == ("unknown", "unknown")
    assert (found["debian_packages"], found["release"]) == (2, "trixie")


def test_the_archive_tells_repairs_that_are_not_applied(examine: Callable[..., dict[str, Any]]) -> None:
    found = examine(archive=True)
    assert [(f["id"], f["package"], f["installed"], f["fixed"], f["severity"]) for f in found["findings"]] == [
        ("security-update", "libssl3t64", "3.5.1-1+b2", "3.5.2-1+deb13u1", "unknown"),
        ("update", "zlib1g", "1:1.3~rc1-1", "1:1.3-1", "unknown"),
    ]
    # The archive does not know what has no repair yet.
    assert found["images"][0]["vulnerabilities"] == "unknown"
    assert found["images"][0]["outstanding_updates"] == 2


def test_the_tracker_tells_vulnerabilities(examine: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    found = examine(tracker=write(tmp_path / "tracker.json", TRACKER))
    assert [(f["id"], f["fixed"], f["severity"]) for f in found["findings"]] == [
        ("CVE-2026-0001", "3.5.2-1", "high"),
        ("CVE-2026-0002", "", "negligible"),
        ("CVE-2026-0006", "", "unknown"),
    ]
    assert found["images"][0]["vulnerabilities"] == 3
    assert found["images"][0]["unaccepted"]["high"] == 1


def test_a_tracker_without_the_release_knows_nothing(examine: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    other = {"openssl": {"CVE-2026-0005": TRACKER["openssl"]["CVE-2026-0005"]}}
    found = examine(tracker=write(tmp_path / "tracker.json", other))
    assert found["findings"] == [] and found["images"][0]["vulnerabilities"] == "unknown"


@pytest.mark.parametrize("content", [{}, [], {"openssl": {}}, {"openssl": []}])
def test_something_else_is_no_tracker(examine: Callable[..., dict[str, Any]], tmp_path: Path, content: Any) -> None:
    with pytest.raises(BundleError, match="security tracker"):
        examine(tracker=write(tmp_path / "tracker.json", content))


def test_go_modules_are_unknown_to_debian(examine: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    image(tmp_path / "mixed", layer({"usr/bin/x": (go_binary(INFORMATION), 0o755)}))
    found = examine(layout=str(tmp_path / "mixed"), tracker=write(tmp_path / "tracker.json", TRACKER))
    assert found["images"][0]["vulnerabilities"] == "unknown" and found["images"][0]["go_modules"] == 4


def test_an_image_with_nothing_recognised_is_unknown(examine: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    image(tmp_path / "other", layer({"pause": (b"\x7fELF", 0o755)}))
    assert examine(layout=str(tmp_path / "other"))["images"][0]["vulnerabilities"] == "unknown"


def trivy(digest: str) -> dict[str, Any]:
    return {
        "SchemaVersion": 2,
        "ArtifactName": "app:1",
        "Metadata": {"ImageID": "sha256:" + "0" * 64, "RepoDigests": [f"registry.test/app@{digest}"]},
        "Results": [
            {
                "Target": "app",
                "Class": "os-pkgs",
                "Type": "debian",
                "Vulnerabilities": [
                    {
                        "VulnerabilityID": "CVE-2026-0001",
                        "PkgName": "libssl3t64",
                        "InstalledVersion": "3.5.1-1+b2",
                        "FixedVersion": "3.5.2-1",
                        "Severity": "CRITICAL",
                    }
                ],
            }
        ],
    }


def grype(digest: str) -> dict[str, Any]:
    return {
        "source": {"type": "image", "target": {"imageID": digest, "manifestDigest": "", "repoDigests": []}},
        "matches": [
            {
                "vulnerability": {
                    "id": "CVE-2026-0002",
                    "severity": "Negligible",
                    "fix": {"state": "not-fixed", "versions": []},
                },
                "artifact": {"name": "libssl3t64", "version": "3.5.1-1+b2", "type": "deb"},
            }
        ],
    }


def test_reports_count_for_the_image_with_their_digest(
    examine: Callable[..., dict[str, Any]], layout: Path, tmp_path: Path
) -> None:
    manifest = Layout(layout).manifest("app:1")
    configuration = json.loads(manifest.content)["config"]["digest"]
    paths = [
        write(tmp_path / "trivy.json", trivy(manifest.digest)),
        write(tmp_path / "grype.json", grype(configuration)),
        write(tmp_path / "other.json", trivy("sha256:" + "1" * 64)),
    ]
    found = examine(reports=paths)
    assert [(f["id"], f["severity"], f["source"], f["fixed"]) for f in found["findings"]] == [
        ("CVE-2026-0001", "critical", "trivy", "3.5.2-1"),
        ("CVE-2026-0002", "negligible", "grype", ""),
    ]
    assert found["images"][0]["vulnerabilities"] == 2
    assert found["unused_reports"] == paths[2:]


@pytest.mark.parametrize("content", [{}, [], {"matches": [], "source": {"target": "/srv"}}, {"SchemaVersion": 2}])
def test_other_files_are_no_reports(examine: Callable[..., dict[str, Any]], tmp_path: Path, content: Any) -> None:
    with pytest.raises(BundleError, match=r"trivy or grype|grype's report"):
        examine(reports=[write(tmp_path / "report.json", content)])


def test_accepted_until_their_day(examine: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    tracker = write(tmp_path / "tracker.json", TRACKER)
    today = datetime.datetime.now(datetime.timezone.utc).date()
    base = {"id": "CVE-2026-0001", "reason": "not reachable"}
    found = examine(tracker=tracker, accepted=[{**base, "package": "libssl*", "expires": today.isoformat()}])
    assert found["findings"][0]["accepted"] == "not reachable" and found["images"][0]["unaccepted"]["high"] == 0
    yesterday = (today - datetime.timedelta(days=1)).isoformat()
    found = examine(
        tracker=tracker, accepted=[{**base, "expires": yesterday}, {**base, "image": "b:*", "expires": today}]
    )
    assert found["findings"][0]["accepted"] == ""
    assert [one["expires"] for one in found["unused_acceptances"]] == [yesterday, today.isoformat()]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"id": "CVE-1", "reason": "x"}, "without expires"),
        ({"id": "CVE-1", "reason": " ", "expires": "2027-01-01"}, "without reason"),
        ({"id": "CVE-1", "reason": "x", "expires": "soon"}, "expires is a day"),
        ({"id": "CVE-1", "reason": "x", "expires": "2027-01-01", "version": "1"}, "unknown key version"),
    ],
)
def test_refuses_acceptances_without_reason_or_end(
    examine: Callable[..., dict[str, Any]], entry: dict[str, Any], message: str
) -> None:
    with pytest.raises(BundleError, match=message):
        examine(accepted=[entry])
