# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The objects are read from the API, and what may not be read is an error, never a pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ansible_collections.onprem.platform.plugins.modules import cis_policies_info
from ansible_collections.onprem.platform.tests.unit.plugins.fake_kube_api import FakeKubeApi, Fault, status

ModuleRunner = Callable[..., dict[str, Any]]


@pytest.fixture
def api() -> Iterator[FakeKubeApi]:
    """An API whose namespace shop has one pod."""
    server = FakeKubeApi()
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web", "namespace": "shop", "uid": "00000000-0000-0000-0000-000000000001"},
        "spec": {"hostNetwork": True, "containers": [{"name": "web"}]},
        "status": {"phase": "Running"},
    }
    for path in cis_policies_info.PATHS.values():
        items = [pod] if path == "/api/v1/pods" else []
        server.faults.append(Fault("GET", path, code=200, body={"kind": "List", "items": items}, times=100))
    yield server
    server.close()


def run(run_module: ModuleRunner, api: FakeKubeApi, **more: Any) -> dict[str, Any]:
    return run_module(cis_policies_info.main, {"host": api.url, "retry_timeout": 1, **more})


def test_every_object_is_judged_and_named(run_module: ModuleRunner, api: FakeKubeApi) -> None:
    answer = run(run_module, api)
    assert answer["changed"] is False
    found = {item["id"]: item for item in answer["results"]}
    assert found["5.2.5"]["objects"] == ["shop/web"]
    assert found["5.6.2"]["status"] == "FAIL"
    assert answer["workloads"] == {"00000000-0000-0000-0000-000000000001": "shop/web"}
    relaxed = {item["id"]: item for item in run(run_module, api, kubelets_default_seccomp=True)["results"]}
    assert relaxed["5.6.2"]["status"] == "PASS"


def test_a_refused_permission_is_an_error(run_module: ModuleRunner, api: FakeKubeApi) -> None:
    api.faults.insert(0, Fault("GET", "/api/v1/pods", code=403, body=status(403, "Forbidden", "pods is forbidden")))
    answer = run(run_module, api)
    assert answer["failed"]
    assert "forbidden" in answer["msg"]
