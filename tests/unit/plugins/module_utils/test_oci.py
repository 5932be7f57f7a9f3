# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reproducible artifacts and the layout reader; the registry client is tested against a real registry."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from pathlib import Path

import pytest
import yaml

from ansible_collections.onprem.platform.plugins.module_utils._oci import (
    HELM_CONTENT,
    Layout,
    Manifest,
    OciError,
    archive,
    checked_repository,
    checked_tag,
    directory_files,
    sha256_digest,
)
from ansible_collections.onprem.platform.plugins.module_utils._oci_artifact import flux_artifact, helm_chart, merged


def regular_files(content: bytes) -> dict[str, bytes]:
    """Return the regular files of a packed archive."""
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(content))) as tar:
        # extractfile gives None for what is no regular file, which is left out here.
        return {entry.name: tar.extractfile(entry).read() for entry in tar if entry.isfile()}  # type: ignore[union-attr]


def unpack(manifest: Manifest, media_type: str | None = None) -> dict[str, bytes]:
    """Return the regular files of the artifact's layer."""
    layer = json.loads(manifest.content)["layers"][0]
    assert media_type in (None, layer["mediaType"])
    opener, size = manifest.blobs[layer["digest"]]
    content = opener().read()
    assert len(content) == size == layer["size"]
    return regular_files(content)


def test_archive_depends_on_content_alone() -> None:
    files = {"b/c.yaml": (b"c", 0o644), "a.yaml": (b"a", 0o755)}
    assert archive(files) == archive(dict(reversed(files.items())))
    assert archive(files) != archive({**files, "a.yaml": (b"a", 0o644)})


def test_archive_has_the_same_digest_on_every_controller() -> None:
    """Whatever version of Python and zlib it has; more than one block."""
    content = bytes(range(256)) * 1000
    packed = archive({"a.yaml": (content, 0o644)})
    assert regular_files(packed) == {"a.yaml": content}
    assert sha256_digest(packed) == "sha256:2060c99124414bcb0df5dbd6931e8ac0cb1ff298e4365a06a19fa5bf229c945b"


@pytest.mark.parametrize("name", ["/etc/passwd", "../up", "a/../../up", ""])
def test_archive_refuses_paths_outside(name: str) -> None:
    with pytest.raises(OciError, match="no path inside"):
        archive({name: (b"", 0o644)})


def test_directory_with_symbolic_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/passwd")
    with pytest.raises(OciError, match="symbolic link"):
        directory_files(tmp_path)


def test_flux_artifact_joins_directory_and_files(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "one.yaml").write_text("old")
    manifest = flux_artifact(tmp_path, {"a/one.yaml": "new", "two.yaml": "2"}, {"org.opencontainers.image.source": "x"})
    assert unpack(manifest) == {"a/one.yaml": b"new", "two.yaml": b"2"}
    assert json.loads(manifest.content)["annotations"] == {"org.opencontainers.image.source": "x"}
    assert (
        manifest.digest
        == flux_artifact(
            tmp_path, {"two.yaml": "2", "a/one.yaml": "new"}, {"org.opencontainers.image.source": "x"}
        ).digest
    )


def test_empty_artifact_is_refused() -> None:
    with pytest.raises(OciError, match="no file to pack"):
        flux_artifact(None, {}, {})


def make_chart(directory: Path) -> Path:
    """Write a chart of two files."""
    (directory / "Chart.yaml").write_text("apiVersion: v2\nname: shop\nversion: 1.0.0\n")
    (directory / "values.yaml").write_text("image: {repository: shop, digest: ''}\nreplicas: 2\n")
    return directory


def test_helm_chart_takes_version_and_values(tmp_path: Path) -> None:
    manifest, version = helm_chart(make_chart(tmp_path), {}, "2.0.0", "7", {"image": {"digest": "sha256:ab"}})
    files = unpack(manifest, HELM_CONTENT)
    assert version == "2.0.0"
    assert yaml.safe_load(files["shop/Chart.yaml"])["appVersion"] == "7"
    assert yaml.safe_load(files["shop/values.yaml"]) == {
        "image": {"repository": "shop", "digest": "sha256:ab"},
        "replicas": 2,
    }
    config_digest = json.loads(manifest.content)["config"]["digest"]
    assert json.loads(manifest.blobs[config_digest][0]().read())["version"] == "2.0.0"


def test_directory_without_chart_is_refused(tmp_path: Path) -> None:
    (tmp_path / "values.yaml").write_text("a: 1")
    with pytest.raises(OciError, match=r"no Chart\.yaml"):
        helm_chart(tmp_path, {}, None, None, {})


def test_chart_without_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "Chart.yaml").write_text("name: shop\n")
    with pytest.raises(OciError, match="needs 'name' and 'version'"):
        helm_chart(tmp_path, {}, None, None, {})


def test_merged_replaces_lists_and_keeps_order() -> None:
    assert list(merged({"b": [1], "a": {"x": 1}}, {"b": [2], "c": 3}).items()) == [
        ("b", [2]),
        ("a", {"x": 1}),
        ("c", 3),
    ]


@pytest.mark.parametrize("name", ["UPPER", "a//b", "-a", "a b", "../a"])
def test_bad_repository_names(name: str) -> None:
    with pytest.raises(OciError, match="no repository name"):
        checked_repository(name)


@pytest.mark.parametrize("tag", ["", ".x", "a b", "x" * 129])
def test_bad_tags(tag: str) -> None:
    with pytest.raises(OciError, match="no tag"):
        checked_tag(tag)


def write_layout(directory: Path, name: str = "app:1") -> dict[str, Path]:
    """Write a layout with one image of one layer; return the paths of its blobs by role."""
    blobs = directory / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    paths = {}

    def blob(role: str, content: bytes) -> dict[str, object]:
        digest = sha256_digest(content)
        paths[role] = blobs / digest.partition(":")[2]
        paths[role].write_bytes(content)
        return {"digest": digest, "size": len(content), "mediaType": "application/vnd.oci.image.manifest.v1+json"}

    parts = {"config": blob("config", b"{}"), "layers": [blob("layer", b"layer")]}
    descriptor = blob("manifest", json.dumps(parts).encode())
    descriptor["annotations"] = {"org.opencontainers.image.ref.name": name}
    (directory / "index.json").write_text(json.dumps({"manifests": [descriptor]}))
    return paths


def test_layout_gives_manifest_and_blobs(tmp_path: Path) -> None:
    write_layout(tmp_path)
    manifest = Layout(tmp_path).manifest("app:1")
    assert sorted(opener().read() for opener, _size in manifest.blobs.values()) == [b"layer", b"{}"]


def test_layout_names_what_it_has(tmp_path: Path) -> None:
    write_layout(tmp_path)
    with pytest.raises(OciError, match=r"no image app:2; it has: app:1"):
        Layout(tmp_path).manifest("app:2")


@pytest.mark.parametrize(("role", "message"), [("manifest", "does not have its digest"), ("layer", "another size")])
def test_damaged_layout_is_noticed(tmp_path: Path, role: str, message: str) -> None:
    write_layout(tmp_path)[role].write_bytes(b"damaged")
    with pytest.raises(OciError, match=message):
        Layout(tmp_path).manifest("app:1")


def test_missing_layout_names_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(OciError, match=r"onprem\.platform\.bundle"):
        Layout(tmp_path)
