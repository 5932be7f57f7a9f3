# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.onprem.platform.plugins.module_utils._oci import Layout, canonical_json
from ansible_collections.onprem.platform.plugins.plugin_utils._bundle_common import BundleError
from ansible_collections.onprem.platform.plugins.plugin_utils._oci_layout import OciLayout

TAR = "application/vnd.oci.image.layer.v1.tar"


def add(layout: OciLayout, reference: str, content: bytes) -> str:
    digest = layout.add_blob(content)
    layer: dict[str, Any] = {"mediaType": TAR, "digest": digest, "size": len(content)}
    return layout.add_image(reference, {"os": "linux", "rootfs": {"diff_ids": [digest]}}, [layer], {})


def test_the_reader_of_the_collection_understands_it(tmp_path: Path) -> None:
    layout = OciLayout(tmp_path / "layout")
    digest = add(layout, "a/b:1", b"layer")
    manifest = Layout(tmp_path / "layout").manifest("a/b:1")
    assert manifest.digest == digest
    assert len(manifest.blobs) == 2
    assert json.loads((tmp_path / "layout/oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}


def test_a_reference_moves_and_others_stay(tmp_path: Path) -> None:
    layout = OciLayout(tmp_path / "layout")
    other = add(layout, "other:1", b"x")
    add(layout, "a:1", b"one")
    moved = add(layout, "a:1", b"two")
    assert OciLayout(tmp_path / "layout").references() == {"a:1": moved, "other:1": other}


def test_copies_between_layouts_and_notices_damage(tmp_path: Path) -> None:
    source, target = OciLayout(tmp_path / "source"), OciLayout(tmp_path / "target")
    digest = add(source, "a:1", b"layer")
    assert target.copy_image(source, "a:1") == digest
    assert target.copy_image(source, "a:1") == digest
    with pytest.raises(BundleError, match="has no image b:1"):
        target.copy_image(source, "b:1")
    add(source, "b:1", b"content")
    blob = source.blob_path(source.add_blob(b"content"))
    blob.write_bytes(b"changed")
    with pytest.raises(BundleError, match="does not have its digest"):
        target.copy_image(source, "b:1")
    assert set(target.references()) == {"a:1"}


def test_refuses_a_manifest_without_its_blobs(tmp_path: Path) -> None:
    layout = OciLayout(tmp_path / "layout")
    config = layout.add_blob(b"{}")
    missing = {"digest": "sha256:" + "0" * 64, "size": 3, "mediaType": TAR}
    manifest = canonical_json({"config": {"digest": config, "size": 2}, "layers": [missing]})
    with pytest.raises(BundleError, match="is not in the layout"):
        layout.add_manifest("a:1", manifest, "x")
    with pytest.raises(BundleError, match="no sha256 digest"):
        layout.blob_path("sha256:../../etc/passwd")


def test_keeps_only_what_is_wanted(tmp_path: Path) -> None:
    layout = OciLayout(tmp_path / "layout")
    shared = add(layout, "a:1", b"layer")
    add(layout, "b:1", b"other")
    add(layout, "c:1", b"layer")
    before = len(list(layout.blobs.iterdir()))
    assert layout.keep_only({"a:1"}) == ["b:1", "c:1"]
    assert layout.references() == {"a:1": shared}
    assert len(list(layout.blobs.iterdir())) == 3 < before
    assert Layout(tmp_path / "layout").manifest("a:1").digest == shared


def test_two_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    def write(number: int) -> None:
        layout = OciLayout(tmp_path / "layout")
        for part in range(10):
            add(layout, f"image{number}:{part}", b"%d %d" % (number, part))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(OciLayout(tmp_path / "layout").references()) == 40
