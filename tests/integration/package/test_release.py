# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A release is signed, complete, and the same each time; the key is made for the test."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import release

from ansible_collections.onprem.platform.plugins.plugin_utils._cosign import Cosign
from ansible_collections.onprem.platform.tests.integration.k8s.signing import cosign, program

ROOT = Path(__file__).resolve().parents[3]
PASSWORD = "of a key that nobody keeps"


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A private key; its public part lies beside it."""
    directory = tmp_path_factory.mktemp("key")
    Cosign(Path(program("cosign")), str(directory / "made.key"), directory / "made.pub", PASSWORD).create()
    return directory / "made.key"


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the script with the bundle's cosign."""
    path = f"{Path(program('cosign')).parent}:{os.environ['PATH']}"
    return subprocess.run(
        [sys.executable, str(ROOT / "scripts/release.py"), *arguments],
        env={**os.environ, "PATH": path, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="module")
def made(key: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a release."""
    directory = tmp_path_factory.mktemp("release")
    done = run("--draft", str(directory), RELEASE_KEY=str(key), COSIGN_PASSWORD=PASSWORD)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {Path(line).name for line in done.stdout.splitlines()} == {path.name for path in directory.iterdir()}
    return directory


def test_who_downloads_it_can_verify_it(made: Path, key: Path) -> None:
    """With the commands that docs/releasing.md gives."""
    options = (f"--key={key.with_suffix('.pub')}", "--insecure-ignore-tlog=true", f"--signature={made}/SHA256SUMS.sig")
    assert "Verified OK" in cosign("verify-blob", *options, str(made / "SHA256SUMS"))
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=made, check=True, capture_output=True)
    assert (made / "release.pub").read_text(encoding="utf-8") == key.with_suffix(".pub").read_text(encoding="utf-8")
    changed = made.parent / "changed"
    changed.write_text((made / "SHA256SUMS").read_text(encoding="ascii").replace("a", "b"), encoding="ascii")
    cosign("verify-blob", *options, str(changed), fails=True)


def test_bill_of_materials_has_every_file_and_what_is_needed(made: Path) -> None:
    (archive,) = made.glob("*.tar.gz")
    document = json.loads((made / f"{archive.name}.spdx.json").read_text(encoding="utf-8"))
    with tarfile.open(archive) as packed:
        files = {
            # extractfile() returns None for what is no file; only files come here.
            f"./{member.name}": hashlib.sha256(packed.extractfile(member).read()).hexdigest()  # type: ignore[union-attr]
            for member in packed
            if member.isfile()
        }
    told = {item["fileName"]: item["checksums"][1]["checksumValue"] for item in document["files"]}
    assert told == files
    whole = document["packages"][0]
    assert whole["checksums"][0]["checksumValue"] == hashlib.sha256(archive.read_bytes()).hexdigest()
    assert whole["licenseDeclared"] == "GPL-3.0-or-later AND BSD-2-Clause"
    assert {"hvac", "kubernetes", "cryptography"} <= {package["name"] for package in document["packages"]}


def test_the_same_commit_gives_the_same_release(made: Path, key: Path, tmp_path: Path) -> None:
    done = run("--draft", str(tmp_path / "again"), RELEASE_KEY=str(key), COSIGN_PASSWORD=PASSWORD)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "again/SHA256SUMS").read_bytes() == (made / "SHA256SUMS").read_bytes()


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"RELEASE_KEY": ""}, "RELEASE_KEY names no key"),
        ({"COSIGN_PASSWORD": "wrong"}, "cosign cannot use the key"),
    ],
)
def test_what_is_missing_is_said(environment: dict[str, str], message: str, key: Path, tmp_path: Path) -> None:
    settings = {"RELEASE_KEY": str(key), "COSIGN_PASSWORD": PASSWORD, **environment}
    done = run("--draft", str(tmp_path / "none"), **settings)
    assert done.returncode != 0
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_tree_that_is_not_ready_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "changelogs/fragments").mkdir(parents=True)
    fragment, changes = tmp_path / "changelogs/fragments/new.yml", tmp_path / "changelogs/.changes.yaml"
    fragment.touch()
    changes.write_text("releases: {1.0.0: {}}", encoding="utf-8")
    answers = {"status": " M README.md\n", "tag": "v1.0.0\n"}
    monkeypatch.setattr(release, "ROOT", tmp_path)
    monkeypatch.setattr(release, "git", lambda *arguments: answers[arguments[0]])
    found = " ".join(release.unready("1.1.0"))
    assert all(words in found for words in ("not committed", "has no 1.1.0", "new.yml", "no tag v1.1.0"))
    fragment.unlink()
    answers["status"] = ""
    assert release.unready("1.0.0") == []
