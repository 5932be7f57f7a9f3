# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check runs of the registry modules before there is a registry."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from ansible_collections.onprem.platform.plugins.modules import oci_artifact

ARTIFACT = {"repository": "platform/tree", "tag": "onprem", "files": {"a.yaml": "kind: A\n"}}


@pytest.fixture
def closed_port() -> int:
    """A port of this host on which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_everything_is_planned_without_certificates(run_module, tmp_path: Path, closed_port: int) -> None:
    registries = [f"127.0.0.1:{closed_port}", "192.0.2.1:5001"]
    params = {**ARTIFACT, "registries": registries, "ca_cert": str(tmp_path / "ca.crt"), "plan_without_registry": True}
    result = run_module(oci_artifact.main, params, check=True)
    assert result["changed"] and result["pushed_to"] == registries
    assert result["digest"].startswith("sha256:")


def test_everything_is_planned_when_nobody_listens(run_module, closed_port: int) -> None:
    params = {**ARTIFACT, "registries": [f"127.0.0.1:{closed_port}"], "plan_without_registry": True}
    assert run_module(oci_artifact.main, params, check=True)["pushed_to"] == params["registries"]


@pytest.mark.parametrize(("check", "plan"), [(True, False), (False, True)])
def test_a_missing_registry_is_an_error_otherwise(run_module, tmp_path: Path, check: bool, plan: bool) -> None:
    params = {**ARTIFACT, "registries": ["127.0.0.1:1"], "ca_cert": str(tmp_path / "ca.crt")}
    result = run_module(oci_artifact.main, {**params, "plan_without_registry": plan}, check=check)
    assert result["failed"] and "Cannot load the certificates" in result["msg"]
