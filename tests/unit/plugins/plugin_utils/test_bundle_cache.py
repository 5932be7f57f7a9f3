# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cache: whole objects only, two runs at once, space and left-overs of killed runs."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ansible_collections.onprem.platform.plugins.plugin_utils._bundle_cache import Cache, exclusive_lock, remove_tree
from ansible_collections.onprem.platform.plugins.plugin_utils._bundle_common import BundleError

KEY = "ab" + "0" * 62


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    """Return an empty cache."""
    return Cache(tmp_path / "cache")


def store(cache: Cache, path: Path, text: str = "content") -> None:
    path.write_text(text, encoding="utf-8")
    cache.put(KEY, path, {"name": "thing"})


def test_object_is_found_again_with_size_and_checksum(cache: Cache, tmp_path: Path) -> None:
    assert cache.get(KEY) is None
    store(cache, tmp_path / "x")
    found = cache.get(KEY)
    assert found is not None
    assert found.content.read_text(encoding="utf-8") == "content"
    assert (found.meta["size"], found.meta["sha256"][:8]) == (7, "ed7002b4")


def test_first_object_of_a_key_stays(cache: Cache, tmp_path: Path) -> None:
    store(cache, tmp_path / "x")
    store(cache, tmp_path / "y", "other")
    found = cache.get(KEY)
    assert found is not None and found.content.read_text(encoding="utf-8") == "content"
    assert len(list(found.content.parent.parent.iterdir())) == 1


def test_truncated_object_counts_as_absent(cache: Cache, tmp_path: Path) -> None:
    store(cache, tmp_path / "x")
    found = cache.get(KEY)
    assert found is not None
    found.content.write_text("cut", encoding="utf-8")
    assert cache.get(KEY) is None
    store(cache, tmp_path / "x")
    assert cache.get(KEY) is not None


def test_recipe_without_product_is_an_error(cache: Cache, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="thing: the recipe ended without"):
        cache.put(KEY, tmp_path / "absent", {"name": "thing"})


def test_too_little_space_is_said_before_the_start(cache: Cache) -> None:
    with pytest.raises(BundleError, match=r"needs 1000000 GB free below .*; there are [0-9.]+ GB"):
        cache.require_space(1e15)
    cache.require_space(1)


def test_left_overs_of_a_killed_run_are_removed(cache: Cache) -> None:
    stale = cache.work / "kube-old" / "modules"
    stale.mkdir(parents=True)
    (stale / "file").touch()
    stale.chmod(0o500)
    with cache.work_directory("etcd") as work:
        assert [path.name for path in cache.work.iterdir()] == [work.name]
    assert list(cache.work.iterdir()) == []


def test_remove_tree_takes_files_directories_and_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name in ("file", "absent"):
        remove_tree(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_second_run_waits_for_the_first_and_says_so(tmp_path: Path) -> None:
    lock, lines, order = tmp_path / "x.lock", list[str](), list[str]()

    def second() -> None:
        with exclusive_lock(lock, lines.append, "the bundle"):
            order.append("second")

    with exclusive_lock(lock):
        waiting = threading.Thread(target=second)
        waiting.start()
        waiting.join(0.3)
        order.append("first")
    waiting.join(10)
    assert order == ["first", "second"]
    assert lines == [f"waiting for the bundle, held by process {os.getpid()}"]


def test_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    lock = tmp_path / "x.lock"
    hold = "import fcntl,sys,time; f=open(sys.argv[1],'a'); fcntl.flock(f, fcntl.LOCK_EX); print(1, flush=True)"
    hold += "; time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", hold, str(lock)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        holder.kill()
        holder.wait()
    lines: list[str] = []
    with exclusive_lock(lock, lines.append):
        pass
    assert lines == []
