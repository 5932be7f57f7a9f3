# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import gzip
import hashlib
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.onprem.platform.plugins.plugin_utils import _bundle_image as image
from ansible_collections.onprem.platform.plugins.plugin_utils._bundle_common import BundleError
from ansible_collections.onprem.platform.plugins.plugin_utils._bundle_debian import DebianPackages, Package
from ansible_collections.onprem.platform.plugins.plugin_utils._bundle_layer import Layer, Node
from ansible_collections.onprem.platform.plugins.plugin_utils._bundle_lock import load_lock
from ansible_collections.onprem.platform.plugins.plugin_utils._oci_layout import OciLayout
from ansible_collections.onprem.platform.tests.unit.plugins.plugin_utils.debian_package import make_package

FILES = Path(__file__).parents[4] / "roles" / "bundle" / "files"


class Packages(DebianPackages):
    """Packages that the test made, in place of pinned ones."""

    def __init__(self, directory: Path, selections: dict[str, list[str]]) -> None:
        self.made, self.chosen = directory, selections

    def packages(self, selection: str) -> list[Package]:
        found = []
        for name in self.chosen[selection]:
            content = (self.made / name).read_bytes()
            found.append(Package(name, "1", "amd64", "debian", name, len(content), hashlib.sha256(content).hexdigest()))
        return found

    def cached(self, package: Package) -> bool:
        return True

    def fetch(self, package: Package) -> Path:
        return self.made / package.name


RECIPE: dict[str, Any] = {
    "user": "65532:65532",
    "entrypoint": ["/usr/bin/hello"],
    "environment": {"MODE": "test"},
    "layers": [
        {
            "packages": ["small"],
            "remove": ["usr/share/big/*", "var/*"],
            "keep": ["usr/share/big/wanted"],
            "users": [{"name": "hello", "uid": 65532, "gid": 65532}],
            "directories": [{"path": "/tmp", "mode": "1777"}],
            "links": {"/usr/bin/hi": "hello"},
        },
        {
            "certificates": "/etc/ssl/certs/ca-certificates.crt",
            "files": [
                {"artefact": "program", "path": "/usr/local/bin/program"},
                {"artefact": "tree", "subpath": "inner", "path": "/srv/tree", "exclude": ["skip*"]},
                {"source": "x/app", "path": "/srv/app"},
                {"source": "x/overlay", "path": "/srv/app"},
                {"content": "hosts: files dns\n", "path": "/etc/nsswitch.conf"},
            ],
        },
    ],
}


def assembler(root: Path) -> tuple[image.ImageAssembler, dict[str, Path]]:
    """Make packages, programs and files below a directory, with time stamps and an order of their own."""
    made = root / "packages"
    made.mkdir(parents=True)
    (made / "hello").write_bytes(
        make_package(
            "hello",
            {
                "usr/bin/hello": b"#!/bin/sh\n",
                "lib/libhello.so": b"library",
                "usr/share/doc/hello/copyright": b"free",
                "usr/share/doc/hello/changelog": b"long",
                "usr/share/man/man1/hello.1": b"manual",
                "usr/share/big/data": b"big",
                "usr/share/big/wanted": b"small",
            },
            links={"usr/bin/link": "hello"},
            hard_links={"usr/bin/another": "usr/bin/hello"},
        )
    )
    (made / "ca-certificates").write_bytes(
        make_package(
            "ca-certificates",
            {
                "usr/share/ca-certificates/mozilla/b.crt": b"-----B-----\n",
                "usr/share/ca-certificates/mozilla/a.crt": b"-----A-----",
            },
            compression="gz",
        )
    )
    inputs = {"program": root / "program", "tree": root / "tree"}
    inputs["program"].write_bytes(b"\x7fELF")
    (root / "tree/inner/deep").mkdir(parents=True)
    (root / "tree/inner/deep/file").write_text("deep")
    (root / "tree/inner/skipped").write_text("no")
    (root / "tree/inner/run.sh").write_text("run")
    (root / "tree/inner/run.sh").chmod(0o755)
    for path, text in {"x/app/index": "one", "x/app/other": "two", "x/overlay/index": "new"}.items():
        (root / "files" / path).parent.mkdir(parents=True, exist_ok=True)
        (root / "files" / path).write_text(text)
    store = Packages(made, {"small": ["hello"], "certificates": ["ca-certificates"]})
    return image.ImageAssembler(root / "files", store), inputs


def build(root: Path, recipe: dict[str, Any], reference: str = "hello:1") -> tuple[image.ImageResult, OciLayout]:
    work, layout = root / "work", OciLayout(root / "layout")
    work.mkdir()
    maker, inputs = assembler(root / "inputs")
    labels = {"org.opencontainers.image.version": "1"}
    result = maker.build(recipe, inputs.__getitem__, layout, work, reference=reference, labels=labels)
    assert not list(work.iterdir())
    return result, layout


def manifest_of(layout: OciLayout, digest: str) -> dict[str, Any]:
    return dict(json.loads(layout.blob_path(digest).read_bytes()))


def members(layout: OciLayout, digest: str) -> list[dict[str, tuple[tarfile.TarInfo, bytes]]]:
    layers = []
    for part in manifest_of(layout, digest)["layers"]:
        with tarfile.open(layout.blob_path(part["digest"])) as archive:
            found = {}
            for entry in archive:
                stream = archive.extractfile(entry) if entry.isreg() else None
                found[entry.name] = (entry, stream.read() if stream else b"")
            layers.append(found)
    return layers


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_two_builds_of_one_recipe_have_the_same_digest(tmp_path: Path, compression: str) -> None:
    recipe = {**RECIPE, "compression": compression}
    first, layout = build(tmp_path / "one", recipe)
    before = os.umask(0o077)
    try:
        second, _layout = build(tmp_path / "two", recipe)
    finally:
        os.umask(before)
    assert first.digest == second.digest
    assert first.size == second.size
    assert layout.references() == {"hello:1": first.digest}


def test_layers_are_compressed_by_zstd_unless_the_recipe_says_otherwise(tmp_path: Path) -> None:
    result, layout = build(tmp_path, RECIPE)
    for part in manifest_of(layout, result.digest)["layers"]:
        assert part["mediaType"] == "application/vnd.oci.image.layer.v1.tar+zstd"
        assert layout.blob_path(part["digest"]).read_bytes()[:4] == bytes.fromhex("28b52ffd")


def test_every_input_shows_in_the_digest(tmp_path: Path) -> None:
    first, _layout = build(tmp_path / "one", RECIPE)
    changed = {**RECIPE, "environment": {"MODE": "other"}}
    second, _layout = build(tmp_path / "two", changed)
    assert first.digest != second.digest


def test_layers_hold_what_the_recipe_says(tmp_path: Path) -> None:
    result, layout = build(tmp_path, {**RECIPE, "compression": "none"})
    lower, upper = members(layout, result.digest)
    names = set(lower)
    assert {"usr/bin/hello", "usr/lib/libhello.so", "usr/share/doc/hello/copyright", "usr/share/big/wanted"} <= names
    assert not {"usr/share/doc/hello/changelog", "usr/share/man/man1/hello.1", "usr/share/big/data", "lib"} & names
    assert lower["usr/bin/link"][0].linkname == "hello"
    assert lower["usr/bin/hi"][0].issym()
    # The first of two names in the archive carries the content, the other one is a hard link to it.
    assert lower["usr/bin/another"][1] == b"#!/bin/sh\n"
    assert lower["usr/bin/hello"][0].islnk() and lower["usr/bin/hello"][0].linkname == "usr/bin/another"
    assert lower["tmp"][0].mode == 0o1777
    assert b"hello:x:65532:65532" in lower["etc/passwd"][1] and b"nobody:x:65534" in lower["etc/passwd"][1]
    assert b"Package: hello" in lower["var/lib/dpkg/status.d/hello"][1]
    assert upper["usr/local/bin/program"][0].mode == 0o755
    assert upper["etc/ssl/certs/ca-certificates.crt"][1] == b"-----A-----\n-----B-----\n"
    assert upper["srv/app/index"][1] == b"new" and upper["srv/app/other"][1] == b"two"
    assert upper["srv/tree/run.sh"][0].mode == 0o755 and upper["srv/tree/deep/file"][0].mode == 0o644
    assert "srv/tree/skipped" not in upper
    # A directory of a lower layer is not written again: it could have another mode there.
    assert "usr" not in upper and "usr/local" in upper
    for layer in (lower, upper):
        assert list(layer) == sorted(layer)
        for entry, _content in layer.values():
            assert (entry.mtime, entry.uid, entry.gid, entry.uname) == (image.EPOCH, 0, 0, "")


def test_configuration_follows_the_image_specification(tmp_path: Path) -> None:
    result, layout = build(tmp_path, {**RECIPE, "compression": "gzip", "ports": ["80/tcp"]})
    manifest = manifest_of(layout, result.digest)
    config = json.loads(layout.blob_path(manifest["config"]["digest"]).read_bytes())
    assert (config["os"], config["architecture"]) == ("linux", "amd64")
    assert config["config"]["Entrypoint"] == ["/usr/bin/hello"]
    assert config["config"]["User"] == "65532:65532"
    assert "MODE=test" in config["config"]["Env"]
    assert config["config"]["Labels"] == {"org.opencontainers.image.version": "1"}
    assert config["config"]["ExposedPorts"] == {"80/tcp": {}}
    for part, diff_id in zip(manifest["layers"], config["rootfs"]["diff_ids"], strict=True):
        content = gzip.decompress(layout.blob_path(part["digest"]).read_bytes())
        assert part["mediaType"].endswith("tar+gzip")
        assert "sha256:" + hashlib.sha256(content).hexdigest() == diff_id


def test_a_layers_epoch_is_its_own(tmp_path: Path) -> None:
    layers = [RECIPE["layers"][0], {**RECIPE["layers"][1], "epoch": 1}]
    result, layout = build(tmp_path, {**RECIPE, "layers": layers, "compression": "gzip"})
    lower, upper = members(layout, result.digest)
    assert lower["usr/bin/another"][0].mtime == image.EPOCH
    assert upper["srv/app/index"][0].mtime == 1


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ({}, "needs layers"),
        ({"layers": [{}], "entry": []}, "unknown key entry"),
        ({"layers": [{"package": []}]}, "unknown key package"),
        ({"layers": [{"files": [{"path": "/x"}]}]}, "one of artefact, source and content"),
        ({"layers": [{"files": [{"path": "/x", "source": "a", "content": "b"}]}]}, "one of artefact"),
    ],
)
def test_refuses_wrong_recipes(recipe: dict[str, Any], message: str) -> None:
    with pytest.raises(BundleError, match=message):
        image.check_recipe(recipe)


@pytest.mark.parametrize("source", ["../outside", "absent"])
def test_refuses_sources_outside_or_absent(tmp_path: Path, source: str) -> None:
    (tmp_path / "inputs").mkdir()
    recipe = {"layers": [{"files": [{"source": source, "path": "/x"}]}]}
    with pytest.raises(BundleError, match="is not below"):
        build(tmp_path, recipe)


def test_refuses_paths_that_leave_the_image() -> None:
    with pytest.raises(BundleError, match="no path inside"):
        Layer().add("/usr/../../etc/passwd", Node("file", source=b""))


def test_refuses_damaged_packages(tmp_path: Path) -> None:
    good = make_package("hello", {"usr/bin/hello": b"x" * 5000})
    for number, content in enumerate([b"no package", good[:200], good.replace(b"data.tar.xz", b"data.tar.zz")]):
        path = tmp_path / f"{number}.deb"
        path.write_bytes(content)
        with pytest.raises(BundleError):
            Layer().add_package(path, tmp_path)


def test_the_fingerprint_names_every_local_input(tmp_path: Path) -> None:
    maker, _inputs = assembler(tmp_path)
    before = maker.fingerprint(RECIPE)
    assert json.loads(json.dumps(before)) == before
    assert set(before["packages"]) == {"small", "certificates"}
    (tmp_path / "files/x/overlay/index").write_text("newer")
    assert maker.fingerprint(RECIPE) != before


def test_inputs_are_the_artefacts_in_order() -> None:
    assert image.recipe_inputs(RECIPE) == ["program", "tree"]


def test_images_name_how_their_programs_differ_from_upstream() -> None:
    artefacts = {a.identity: a for a in load_lock(FILES / "lock.yml").artefacts}
    assert any("statedb" in text for text in artefacts["image/cilium:v1.20.2"].differs_from_upstream)
    assert any("pkg/artifact" in text for text in artefacts["image/source-controller:v1.9.6"].differs_from_upstream)
    assert artefacts["image/kube-proxy:v1.36.3"].differs_from_upstream == ()


def test_every_image_of_the_lock_has_a_valid_recipe() -> None:
    lock = yaml.safe_load((FILES / "lock.yml").read_text())
    store = DebianPackages(FILES / "debian", Path("/nonexistent"))
    maker = image.ImageAssembler(FILES / "images", store)
    assert len(lock["images"]) >= 20
    for entry in lock["images"]:
        if not entry.get("optional"):
            maker.fingerprint(entry["source"])
