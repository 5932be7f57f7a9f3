# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Secret of random values is made once, and never again while its purpose is served."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ansible_collections.onprem.platform.plugins.modules.k8s_random_secret import main
from ansible_collections.onprem.platform.tests.unit.plugins.fake_kube_api import FakeKubeApi, Fault, status

SECRET = "/api/v1/namespaces/data/secrets/first"
CLAIM = "/api/v1/namespaces/data/persistentvolumeclaims/volume"
UNLESS = {"api_version": "v1", "kind": "PersistentVolumeClaim", "namespace": "data", "name": "volume"}
Call = Callable[..., dict[str, Any]]


@pytest.fixture
def api() -> Iterator[FakeKubeApi]:
    server = FakeKubeApi()
    yield server
    server.close()


@pytest.fixture
def call(api: FakeKubeApi, run_module: Callable[..., dict[str, Any]]) -> Call:
    def run(check: bool = False, **params: Any) -> dict[str, Any]:
        options = {"host": api.url, "name": "first", "namespace": "data", "retry_timeout": 1}
        return run_module(main, {**options, **params}, check=check)

    return run


def stored(api: FakeKubeApi) -> dict[str, str]:
    return {key: base64.b64decode(value).decode() for key, value in api.objects[SECRET]["data"].items()}


def test_life(api: FakeKubeApi, call: Call) -> None:
    planned = call(check=True)
    assert (planned["changed"], planned["exists"], planned["generated"]) == (True, False, ["password"])
    assert api.writes == []
    made = call(return_values=True)
    assert made["changed"] and made["exists"] and len(made["secret_values"]["password"]) == 40
    assert stored(api) == made["secret_values"]
    assert made["secret_values"]["password"] not in str(made["diff"])
    again = call(return_values=True, unless_exists=UNLESS)
    assert (again["changed"], again["secret_values"], again["writes"]) == (False, made["secret_values"], 0)
    more = call(keys=["password", "other"], length=20)
    assert more["generated"] == ["other"]
    assert stored(api)["password"] == made["secret_values"]["password"] and len(stored(api)["other"]) == 20


def test_values_are_returned_on_demand_only(api: FakeKubeApi, call: Call) -> None:
    assert "secret_values" not in call()
    assert stored(api)["password"] not in str(call())


def test_purpose_is_served(api: FakeKubeApi, call: Call) -> None:
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "volume", "namespace": "data"}}
    api.put(CLAIM, claim)
    result = call(unless_exists=UNLESS, return_values=True)
    assert (result["changed"], result["exists"], result["secret_values"]) == (False, False, {})
    assert api.writes == []
    api.remove(CLAIM)
    assert call(unless_exists=UNLESS)["changed"]


def test_two_calls_give_two_values(api: FakeKubeApi, call: Call) -> None:
    first = call(return_values=True)["secret_values"]
    api.remove(SECRET)
    assert call(return_values=True)["secret_values"] != first


def test_wrong_values(call: Call) -> None:
    assert "16 or more" in call(length=8)["msg"]
    assert "empty" in call(keys=[])["msg"]


def test_refused_permission(api: FakeKubeApi, call: Call) -> None:
    api.faults.append(Fault("POST", "/secrets", 403, status(403, "Forbidden", "secrets is forbidden")))
    result = call()
    assert result["failed"] and result["failure"]["code"] == 403 and not api.objects


def test_no_cluster_yet(run_module: Callable[..., dict[str, Any]], tmp_path: Any) -> None:
    params = {"kubeconfig": str(tmp_path / "none"), "name": "first", "namespace": "data", "plan_without_cluster": True}
    result = run_module(main, params, check=True)
    assert (result["changed"], result["exists"]) == (True, False)
