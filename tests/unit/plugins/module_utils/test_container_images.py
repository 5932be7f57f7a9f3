# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images are fetched by a ctr that notes its calls."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.onprem.platform.plugins.module_utils import _container_images as images
from ansible_collections.onprem.platform.plugins.module_utils._kubeadm_api import KubeadmError
from ansible_collections.onprem.platform.plugins.modules import kubeadm_node

PAUSE, PROXY = "registry.internal:5000/pause:3.10.2", "registry.internal:5000/kube-proxy:v1.36.3"

CTR = """#!/bin/sh
echo "$@" >> {root}/calls
case "$*" in
  *list*) cat {root}/there 2>/dev/null; exit 0 ;;
  *broken*) echo "not found" >&2; exit 1 ;;
  *) for last; do :; done; echo "$last" >> {root}/there ;;
esac
"""


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the directory of a fake ctr."""
    program = tmp_path / "ctr"
    program.write_text(CTR.format(root=tmp_path), encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(kubeadm_node, "host_lock", lambda _timeout: contextlib.nullcontext())
    return tmp_path


def prepare(run_module: Callable[..., dict[str, Any]], check: bool = False) -> dict[str, Any]:
    """Run the module for two images."""
    arguments = {"state": "prepared", "node_name": "w1", "advertise_address": "192.0.2.21", "images": [PAUSE, PROXY]}
    return run_module(kubeadm_node.main, arguments, check=check)


def test_only_what_lacks_is_fetched(runtime: Path, run_module: Callable[..., dict[str, Any]]) -> None:
    (runtime / "there").write_text(f"{PAUSE}\nregistry.internal:5000/other@sha256:00\n")
    answer = prepare(run_module, check=True)
    assert answer["changed"] and answer["actions"] == [f"fetch {PROXY}"]
    answer = prepare(run_module)
    assert answer["changed"] and answer["actions"] == [f"fetched {PROXY}"]
    calls = (runtime / "calls").read_text().splitlines()
    pulls = [call for call in calls if "pull" in call]
    assert pulls == [f"--namespace k8s.io images pull --hosts-dir /etc/containerd/certs.d {PROXY}"]
    assert not prepare(run_module)["changed"]


def test_a_host_without_a_runtime_lacks_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert images.missing([PAUSE]) == [PAUSE]


def test_a_failure_names_image_and_remedy(runtime: Path) -> None:
    with pytest.raises(
        KubeadmError, match=r"registry\.internal/broken:1 cannot be fetched: not found.*registry answers"
    ):
        images.fetch([PAUSE, "registry.internal/broken:1"], 20)
