# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requirement R1: two clean builds of an image, under different circumstances, have one digest."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.onprem.platform.plugins.action.bundle import default_cache_directory

ROOT = Path(__file__).resolve().parents[3]
BUNDLE = Path(os.environ.get("ONPREM_BUNDLE_DIRECTORY", default_cache_directory() / "bundle"))
APPLICATION = ("laravel-demo", "laravel-demo-nginx")
ASSEMBLED = ("kube-state-metrics", "alert-sink")
COMPILED = ("node-exporter", "local-path-provisioner")
CIRCUMSTANCES: list[dict[str, Any]] = [
    {"umask": "022", "host": "first", "date": 978307200, "LC_ALL": "C", "TZ": "UTC", "PYTHONHASHSEED": "1"},
    {
        "umask": "077",
        "host": "second.example",
        "date": 1900000000,
        "LC_ALL": "C.UTF-8",
        "TZ": "Pacific/Auckland",
        "PYTHONHASHSEED": "2",
        "SOURCE_DATE_EPOCH": "1234567890",
        "ZSTD_NBTHREADS": "4",
        "ZSTD_CLEVEL": "1",
        "GZIP": "-1",
    },
]


def clean_build(directory: Path, circumstances: dict[str, Any], *images: str) -> dict[str, Any]:
    """Build images from a copy of the lock and its files; return their digests and those of their layers."""
    variables = {key: value for key, value in circumstances.items() if key.isupper()}
    files = directory / "files"
    shutil.copytree(ROOT / "roles/bundle/files", files, symlinks=True, copy_function=shutil.copy)
    for path in files.rglob("*"):
        os.utime(path, (circumstances["date"], circumstances["date"]), follow_symlinks=False)
    cache = directory / "cache"
    cache.mkdir()
    (cache / "debian").symlink_to(default_cache_directory() / "debian")
    program = [sys.executable, str(Path(__file__).with_name("clean_build.py")), str(files / "lock.yml")]
    # unshare gives the build a host name of its own; it needs root.
    script = 'umask "$1"; hostname "$2"; shift 2; exec "$@"'
    isolated = ["unshare", "--uts", "sh", "-c", script, "sh", circumstances["umask"], circumstances["host"]]
    command = [*(isolated if os.geteuid() == 0 else []), *program, str(directory), *images]
    environment = {**os.environ, **variables, "PYTHONPATH": str(ROOT / ".build/collections")}
    environment.pop("XDG_CACHE_HOME", None)
    finished = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr[-3000:]
    return dict(json.loads(finished.stdout.splitlines()[-1]))


def twice(directory: Path, *images: str) -> dict[str, str]:
    """Build images twice, in directories of different length; return ``image:tag`` -> digest, which are equal."""
    places = [directory / f"build{'-longer' * 8 * number}" for number in range(len(CIRCUMSTANCES))]
    for place in places:
        place.mkdir()
    with ThreadPoolExecutor() as workers:
        first, second = workers.map(lambda *one: clean_build(*one, *images), places, CIRCUMSTANCES)
    assert first == second
    return {name: values["digest"] for name, values in first.items()}


def bundled(*images: str) -> dict[str, str]:
    """Return ``image:tag`` -> digest of the bundle, which came about at another time and place."""
    entries = json.loads((BUNDLE / "index.json").read_text())["entries"]
    return {
        f"{e['repository']}:{e['tag']}": e["digest"] for e in entries if e["kind"] == "image" and e["name"] in images
    }


def test_the_application_is_built_twice_with_one_digest(tmp_path: Path) -> None:
    digests = twice(tmp_path, *APPLICATION)
    assert len(digests) == len(set(digests.values())) == 4
    assert digests == bundled(*APPLICATION)


def test_compiled_programs_are_assembled_twice_with_one_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROGRAMS", str(default_cache_directory()))
    digests = twice(tmp_path, *ASSEMBLED)
    assert len(digests) == 2
    assert digests == bundled(*ASSEMBLED)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_compiled_images_are_built_twice_with_one_digest(tmp_path: Path) -> None:
    """Their programs are compiled each time, from empty caches of modules and packages."""
    digests = twice(tmp_path, *COMPILED)
    assert len(digests) == 2
    assert digests == bundled(*COMPILED)
