# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a search for secrets takes in. The rules themselves are tried with the real gitleaks (tests/integration)."""

from __future__ import annotations

import base64
import io
import json
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.onprem.platform.plugins.action import secret_scan_info as action
from ansible_collections.onprem.platform.plugins.plugin_utils._bundle_common import BundleError
from ansible_collections.onprem.platform.plugins.plugin_utils._secret_canaries import make_canaries
from ansible_collections.onprem.platform.plugins.plugin_utils._secret_scan import Collection, Gitleaks, leaked
from ansible_collections.onprem.platform.tests.unit.plugins.plugin_utils.test_image_contents import image, layer

SECRET = 's3cr/et+"canary"-0001'


def archive(path: str, content: bytes) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as target:
        member = tarfile.TarInfo(path)
        member.size = len(content)
        target.addfile(member, io.BytesIO(content))
    return stream.getvalue()


@pytest.fixture
def collection(tmp_path: Path) -> Collection:
    (tmp_path / "searched").mkdir()
    return Collection(tmp_path / "searched", {"canary": SECRET})


def places(collection: Collection) -> list[str]:
    return sorted(one.place for one in collection.found)


def test_given_secrets_are_found_in_text_binaries_and_archives(collection: Collection, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "deep").mkdir(parents=True)
    (source / "deep/plain").write_text(f"password={SECRET}")
    (source / "program").write_bytes(b"\x7fELF\0\0" + SECRET.encode() + b"\0")
    (source / "encoded.yaml").write_text(base64.b64encode(f"x{SECRET}y".encode()).decode())
    (source / "chart.tgz").write_bytes(archive("./values.json", json.dumps({"a": SECRET}).encode()))
    (source / "harmless").write_text("nothing")
    collection.add_path(source)
    assert places(collection) == [
        f"{source}: chart.tgz!/values.json",
        f"{source}: deep/plain",
        f"{source}: encoded.yaml",
        f"{source}: program",
    ]
    assert collection.files == 5
    # Text is laid out for the rules, binary files are not.
    laid = sorted(path.name for path in collection.directory.rglob("*") if path.is_file())
    assert laid == ["encoded.yaml", "harmless", "plain", "values.json"]
    assert {collection.place(path) for path in collection.directory.rglob("plain")} == {f"{source}: deep/plain"}


def test_layers_and_configuration_of_images_are_searched(collection: Collection, tmp_path: Path) -> None:
    layout = image(tmp_path / "layout", layer({"etc/app.conf": (SECRET.encode(), 0o600), "bin/x": (b"x", 0o755)}))
    collection.add_images(layout, ["app:1"])
    assert places(collection) == ["image app:1: etc/app.conf"]
    assert collection.files == 3


def test_of_a_repository_what_git_would_publish_is_searched(collection: Collection, tmp_path: Path) -> None:
    root = tmp_path / "repository"
    root.mkdir()
    subprocess.run(["git", "init", "--quiet", str(root)], check=True)
    for name, text in {".gitignore": "private\n", "private": SECRET, "public": SECRET, "other": "x"}.items():
        (root / name).write_text(text)
    subprocess.run(["git", "-C", str(root), "add", "other"], check=True)
    collection.add_repository(root)
    assert places(collection) == [f"{root}: public"]
    assert collection.files == 3


def test_paths_cannot_leave_the_directory(collection: Collection) -> None:
    with pytest.raises(BundleError, match="no path inside"):
        collection.add(collection.part("x"), "a.tgz", archive("../../outside", b"x"))


def test_what_cannot_be_searched_is_an_error(collection: Collection, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="does not exist"):
        collection.add_path(tmp_path / "absent")
    with pytest.raises(BundleError, match="cannot be opened"):
        collection.add(collection.part("x"), "a.tgz", b"no archive")
    with pytest.raises(BundleError, match="shorter than 12"):
        Collection(tmp_path, {"pin": "1234"})
    with pytest.raises(BundleError, match="Fill the bundle"):
        Gitleaks(tmp_path / "absent", action.CONFIGURATION)


def test_searching_nothing_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "gitleaks").touch()
    arguments: dict[str, Any] = {key: option.get("default") for key, option in action.ARGUMENTS.items()}
    with pytest.raises(BundleError, match="nothing to search"):
        action.scan({**arguments, "gitleaks": str(tmp_path / "gitleaks")})


def test_canaries_are_new_each_time() -> None:
    first, second = make_canaries(), make_canaries()
    assert set(first) == set(second) and not {c.text for c in first.values()} & {c.text for c in second.values()}
    assert leaked(first["private key"].text, {"key": first["private key"].text}) == ["key"]
