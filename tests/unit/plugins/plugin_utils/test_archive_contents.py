# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files and images, read from the archives of charts and trees; and the statements that are made of them."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from ansible_collections.onprem.platform.plugins.module_utils._oci import archive
from ansible_collections.onprem.platform.plugins.plugin_utils._archive_contents import NamedImage, archive_contents
from ansible_collections.onprem.platform.plugins.plugin_utils._bundle_common import BundleError
from ansible_collections.onprem.platform.plugins.plugin_utils._bundle_statements import (
    archive_sbom,
    artifact_provenance,
    chart_materials,
    chart_sbom,
    made_by_this_tool,
)
from ansible_collections.onprem.platform.plugins.plugin_utils._image_contents import GoModule

A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64
VALUES = f"""
image: {{repository: quay.example/team/app, tag: v1, digest: "{A}"}}
list: [{{image: {{repository: sidecar, tag: 1.5}}}}]
chart: {{repository: "https://charts.example"}}
empty: {{repository: none, tag: "", digest: null}}
"""
MANIFEST = f"""
image: registry.example:5000/team/web:1.0@{B}
arguments: [--reloader=registry.example:5000/reloader@{A}, "@{B}"]
"""


def chart(**more: str) -> bytes:
    return archive(
        {
            "shop/Chart.yaml": (b"{name: shop, version: 1.0.0, appVersion: '7'}", 0o644),
            "shop/values.yaml": (VALUES.encode(), 0o644),
            "shop/templates/web.yaml": (b"image: {{ .Values.image }}", 0o644),
            **{name: (text.encode(), 0o644) for name, text in more.items()},
        }
    )


def test_chart() -> None:
    found = archive_contents(chart())
    assert found.chart == {"name": "shop", "version": "1.0.0", "appVersion": "7"}
    assert [file.path for file in found.files] == ["shop/Chart.yaml", "shop/templates/web.yaml", "shop/values.yaml"]
    assert found.files[2].sha256 == hashlib.sha256(VALUES.encode()).hexdigest()
    assert found.images == (NamedImage("quay.example/team/app", "v1", A), NamedImage("sidecar", "1.5", ""))


def test_tree() -> None:
    found = archive_contents(archive({"platform/a.yaml": (MANIFEST.encode(), 0o644), "b.txt": (b"\xff@", 0o644)}))
    assert found.chart == {}
    assert found.images == (
        NamedImage("registry.example:5000/reloader", "", A),
        NamedImage("registry.example:5000/team/web", "1.0", B),
    )


def test_what_cannot_be_read() -> None:
    with pytest.raises(BundleError, match="no archive"):
        archive_contents(b"text")
    with pytest.raises(BundleError, match="no archive"):
        archive_contents(chart()[:100])
    with pytest.raises(BundleError, match=r"shop/charts/sub/values\.yaml is no YAML"):
        archive_contents(chart(**{"shop/charts/sub/values.yaml": "a: ["}))


def test_bill_of_materials() -> None:
    document = archive_sbom("charts/shop", "1.0.0", B, archive_contents(chart()), "2026-01-01T00:00:00Z")
    whole, *images = document["packages"]
    assert whole["externalRefs"][0]["referenceLocator"] == (
        f"pkg:oci/shop@sha256%3A{'b' * 64}?repository_url=charts/shop"
    )
    assert whole["checksums"] == [{"algorithm": "SHA256", "checksumValue": "b" * 64}] and whole["filesAnalyzed"]
    assert document["files"][0]["fileName"] == "./shop/Chart.yaml"
    sums = sorted(item["checksums"][0]["checksumValue"] for item in document["files"])
    code = hashlib.sha1("".join(sums).encode(), usedforsecurity=False).hexdigest()
    assert whole["packageVerificationCode"] == {"packageVerificationCodeValue": code}
    assert [(item["name"], item["versionInfo"]) for item in images] == [
        ("quay.example/team/app", A),
        ("sidecar", "1.5"),
    ]
    assert images[0]["externalRefs"][0]["referenceLocator"].endswith("?repository_url=quay.example/team/app&tag=v1")
    assert (
        images[1]["externalRefs"][0]["referenceLocator"] == "pkg:oci/sidecar?tag=1.5" and "checksums" not in images[1]
    )
    related = [item["relationshipType"] for item in document["relationships"]]
    assert related == ["DESCRIBES", "CONTAINS", "CONTAINS", "CONTAINS", "DEPENDS_ON", "DEPENDS_ON"]
    assert made_by_this_tool(document)


ENTRY: dict[str, Any] = {"name": "shop", "version": "1.0.0", "sha256": "c" * 64, "licence": "MIT", "producer": "source"}


def test_chart_of_the_bundle() -> None:
    whole = chart_sbom(ENTRY, archive_contents(chart()), "2026-01-01T00:00:00Z")["packages"][0]
    assert whole["licenseDeclared"] == "MIT" and whole["externalRefs"][0]["referenceLocator"] == "pkg:helm/shop@1.0.0"
    module = GoModule("example.test/shop", "v1.0.0", "h1:YWE=")
    made = {"uri": "pkg:golang/example.test/shop@v1.0.0", "digest": {"dirHash1": b"aa".hex()}}
    assert chart_materials(ENTRY, module, "") == [made]
    assert chart_materials(ENTRY, GoModule("example.test/shop", "v1.0.0", ""), "") == [{"uri": made["uri"]}]
    address = "https://charts.example/shop.tgz"
    pulled = [{"uri": address, "digest": {"sha256": "c" * 64}}]
    assert chart_materials({**ENTRY, "producer": "upstream"}, module, address) == pulled


def test_provenance_of_an_artifact() -> None:
    settings = {"builder": "https://b.test", "commit": "d" * 40, "finished": "t"}
    contents = archive_contents(chart())
    made = artifact_provenance({"repository": "charts/shop"}, contents, "https://git.example/shop", settings)
    assert made_by_this_tool(made)
    assert made["buildDefinition"]["externalParameters"] == {"repository": "charts/shop"}
    assert made["buildDefinition"]["resolvedDependencies"] == [
        {"uri": "git+https://git.example/shop", "digest": {"gitCommit": "d" * 40}},
        {
            "uri": f"pkg:oci/app@sha256%3A{'a' * 64}?repository_url=quay.example/team/app&tag=v1",
            "digest": {"sha256": "a" * 64},
        },
    ]
    unknown = artifact_provenance({}, archive_contents(archive({"a": (b"", 0o644)})), "", {**settings, "commit": ""})
    assert unknown["buildDefinition"]["resolvedDependencies"] == []
