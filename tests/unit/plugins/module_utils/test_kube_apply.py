# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Applying and deleting against a server with faults; the real server is in tests/integration/k8s."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.onprem.platform.plugins.module_utils import _kube_apply
from ansible_collections.onprem.platform.plugins.module_utils._kube_apply import Applier, ApplyOptions
from ansible_collections.onprem.platform.plugins.module_utils._kube_client import KubeClient
from ansible_collections.onprem.platform.plugins.module_utils._kube_config import Connection
from ansible_collections.onprem.platform.plugins.module_utils._kube_documents import load_documents
from ansible_collections.onprem.platform.plugins.module_utils._kube_resources import Resources
from ansible_collections.onprem.platform.tests.unit.plugins.fake_kube_api import FakeKubeApi, Fault, status

ROOT = "/api/v1/namespaces/a/configmaps"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
WIDGETS = "/apis/test.internal/v1/namespaces/a/widgets"


@pytest.fixture
def api() -> Iterator[FakeKubeApi]:
    server = FakeKubeApi()
    yield server
    server.close()


def config_map(name: str = "one", **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "a"}, "data": data}


def applier(api: FakeKubeApi, **options: Any) -> Applier:
    client = KubeClient(Connection(host=api.url, retry_timeout=59), None, lambda _seconds: None)
    return Applier(client, Resources(client), ApplyOptions(**options), lambda _seconds: None)


def apply(api: FakeKubeApi, *documents: dict[str, Any], **options: Any) -> list[tuple[str, str]]:
    outcomes = applier(api, **options).apply(load_documents(list(documents), None))
    return [(outcome.result, outcome.reason) for outcome in outcomes]


def delete(api: FakeKubeApi, *documents: dict[str, Any], wait: bool = True, **options: Any) -> list[tuple[str, str]]:
    outcomes = applier(api, **options).delete(load_documents(list(documents), None), wait)
    return [(outcome.result, outcome.reason) for outcome in outcomes]


def test_life(api: FakeKubeApi) -> None:
    assert apply(api, config_map(a="1"), check_mode=True) == [("created", "")]
    assert api.writes == []
    assert apply(api, config_map(a="1")) == [("created", "")]
    assert apply(api, config_map(a="1")) == [("unchanged", "")]
    assert len(api.writes) == 1
    assert apply(api, config_map(a="2"), check_mode=True) == [("configured", "")]
    assert len(api.writes) == 1
    assert apply(api, config_map(a="2")) == [("configured", "")]
    assert apply(api, config_map(b="2")) == [("configured", "")]
    assert api.objects[f"{ROOT}/one"]["data"] == {"b": "2"}
    assert delete(api, config_map(), check_mode=True) == [("deleted", "")]
    assert delete(api, config_map()) == [("deleted", "")]
    assert delete(api, config_map()) == [("unchanged", "absent")]


def test_taking_over_an_equal_object_changes_ownership_only(api: FakeKubeApi) -> None:
    api.put(f"{ROOT}/one", config_map(a="1"), manager="kubectl")
    assert apply(api, config_map(a="1"), check_mode=True) == [("configured", "field ownership only")]
    assert apply(api, config_map(a="1")) == [("configured", "field ownership only")]
    assert apply(api, config_map(a="1")) == [("unchanged", "")]


def test_conflicts(api: FakeKubeApi) -> None:
    api.put(f"{ROOT}/one", config_map(a="1"), manager="kubectl")
    result, reason = apply(api, config_map(a="2"))[0]
    assert result == "failed"
    assert "owned by kubectl" in reason
    assert apply(api, config_map(a="2"), force_conflicts=True) == [("configured", "")]


def test_a_lost_answer_is_no_second_change(api: FakeKubeApi) -> None:
    api.faults += [Fault("PATCH", f"{ROOT}/one", reset="after"), Fault("GET", f"{ROOT}/one", reset="before")]
    assert apply(api, config_map(a="1")) == [("created", "")]
    version = api.objects[f"{ROOT}/one"]["metadata"]["resourceVersion"]
    assert apply(api, config_map(a="1")) == [("unchanged", "")]
    assert api.objects[f"{ROOT}/one"]["metadata"]["resourceVersion"] == version


def test_webhook_that_is_down_for_a_moment(api: FakeKubeApi) -> None:
    api.faults.append(Fault("PATCH", ROOT, 500, status(500, "InternalError", "failed calling webhook"), times=3))
    assert apply(api, config_map(a="1")) == [("created", "")]


def test_value_in_another_spelling_is_settled_by_a_dry_run(api: FakeKubeApi) -> None:
    claim = {
        "apiVersion": "test.internal/v1",
        "kind": "Widget",
        "metadata": {"name": "one", "namespace": "a"},
        "spec": {"size": "1"},
    }
    api.discovery["/apis/test.internal/v1"] = [{"kind": "Widget", "name": "widgets", "namespaced": True}]
    assert apply(api, claim) == [("created", "")]
    live = api.objects[f"{WIDGETS}/one"]
    live["spec"]["size"] = "one"
    # The server would answer with its own spelling again.
    api.faults.append(Fault("PATCH", "dryRun=All", 200, live))
    assert apply(api, claim) == [("unchanged", "")]
    assert len(api.writes) == 1


def test_flux_owned(api: FakeKubeApi) -> None:
    document = config_map(a="1")
    document["metadata"]["labels"] = {"helm.toolkit.fluxcd.io/name": "shop"}
    api.put(f"{ROOT}/one", document)
    for outcome in (*apply(api, config_map(a="2")), *delete(api, config_map())):
        assert outcome[0] == "failed"
        assert "HelmRelease shop" in outcome[1]
    assert apply(api, config_map(a="2"), allow_flux_owned=True)[0][0] == "configured"


def test_definition_then_resource(api: FakeKubeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.test.internal"},
        "spec": {"group": "test.internal", "names": {"kind": "Widget"}, "versions": [{"name": "v1"}]},
    }
    widget = {"apiVersion": "test.internal/v1", "kind": "Widget", "metadata": {"name": "one", "namespace": "a"}}
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}}
    planned = apply(api, widget, space, crd, check_mode=True)
    assert [result for result, _reason in planned] == ["created"] * 3
    assert "does not serve" in planned[2][1]
    assert "does not serve" in apply(api, widget)[0][1]

    entries = [{"kind": "Widget", "name": "widgets", "namespaced": True}]
    established = {"conditions": [{"type": "Established", "status": "True"}]}
    naps: list[float] = []

    def sleep(seconds: float) -> None:
        """The server gets on with its work while the module sleeps."""
        naps.append(seconds)
        if len(naps) == 2:
            api.put(
                f"{CRDS}/widgets.test.internal", {**api.objects[f"{CRDS}/widgets.test.internal"], "status": established}
            )
        if len(naps) == 4:
            api.discovery["/apis/test.internal/v1"] = entries
            api.faults.append(Fault("PATCH", WIDGETS, 404, "404 page not found", times=2))

    worker = applier(api)
    worker._sleep = sleep
    outcomes = worker.apply(load_documents([widget, space, crd], None))
    assert [outcome.result for outcome in outcomes] == ["created"] * 3
    assert len(naps) == 6

    monkeypatch.setattr(_kube_apply, "_CRD_SECONDS", 0.0)
    api.faults.append(Fault("PATCH", f"{WIDGETS}/two", 404, "404 page not found", times=99))
    late = {**widget, "metadata": {"name": "two", "namespace": "a"}}
    assert apply(api, late)[0][0] == "failed"


def test_check_mode_in_a_namespace_that_does_not_exist(api: FakeKubeApi) -> None:
    missing = status(404, "NotFound", 'namespaces "a" not found', name="a", kind="namespaces")
    api.faults.append(Fault("PATCH", ROOT, 404, missing))
    assert apply(api, config_map(), check_mode=True) == [("created", 'namespaces "a" not found')]
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}}
    planned = apply(api, config_map(), space, check_mode=True)
    assert planned[1] == ("created", "its namespace would be created too")
    api.faults.append(Fault("PATCH", ROOT, 404, missing))
    assert apply(api, config_map())[0][0] == "failed"


def test_recreation(api: FakeKubeApi) -> None:
    immutable = status(
        422, "Invalid", "x", causes=[{"field": "data", "message": "field is immutable when `immutable` is set"}]
    )
    api.put(f"{ROOT}/one", config_map(a="1"))
    api.faults.append(Fault("PATCH", ROOT, 422, immutable))
    assert "immutable" in apply(api, config_map(a="2"))[0][1]
    api.faults.append(Fault("PATCH", ROOT, 422, immutable))
    assert apply(api, config_map(a="2"), recreate_kinds=["ConfigMap"], check_mode=True)[0][0] == "configured"
    assert api.writes == [("PATCH", api.writes[0][1])]
    api.faults.append(Fault("PATCH", ROOT, 422, immutable))
    assert apply(api, config_map(a="2"), recreate_kinds=["ConfigMap"])[0][1].startswith("recreated")
    assert api.objects[f"{ROOT}/one"]["data"] == {"a": "2"}
    api.put("/api/v1/namespaces/a", {"apiVersion": "v1", "kind": "Namespace"})
    api.faults.append(Fault("PATCH", "/namespaces/a", 422, immutable))
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a", "labels": {"x": "y"}}}
    assert "would be lost" in apply(api, space, recreate_kinds=["Namespace"])[0][1]


def test_messages_about_secrets_do_not_quote_them(api: FakeKubeApi) -> None:
    encoded = base64.b64encode(b"canary").decode()
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "a"}, "data": {"a": encoded}}
    quoting = status(422, "Invalid", f"invalid value canary ({encoded})")
    api.faults.append(Fault("PATCH", "/secrets/s", 422, quoting))
    result, reason = apply(api, secret)[0]
    assert result == "failed"
    assert "canary" not in reason
    assert encoded not in reason


def test_secret_of_another_owner(api: FakeKubeApi) -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "a"}, "data": {"a": "YQ=="}}
    apply(api, secret)
    outcome = applier(api).apply(load_documents({**secret, "data": {"a": "Yg=="}}, None))[0]
    assert (outcome.result, outcome.reason) == ("configured", "")
    assert "(changed)" in outcome.diff([])["after"]


def test_deletion(api: FakeKubeApi) -> None:
    api.put(f"{ROOT}/one", {**config_map(), "metadata": {"name": "one", "finalizers": ["x/hold"]}})
    assert delete(api, config_map(), wait=False) == [("deleted", "")]
    assert delete(api, config_map(), wait=False) == [("unchanged", "already being deleted")]
    live = api.objects[f"{ROOT}/one"]
    live["status"] = {"conditions": [{"type": "Held", "status": "True", "message": "because"}]}
    result, reason = delete(api, config_map(), wait_timeout=0)[0]
    assert result == "failed"
    assert "x/hold; Held: because" in reason
    del live["status"]
    assert "x/hold)" in delete(api, config_map(), wait_timeout=0)[0][1]
    widget = {"apiVersion": "nobody/v1", "kind": "Widget", "metadata": {"name": "one"}}
    assert delete(api, widget) == [("unchanged", "its kind is not served")]
    api.put(f"{ROOT}/two", config_map("two"))
    api.faults.append(Fault("DELETE", f"{ROOT}/two", 404, status(404, "NotFound", "gone", name="two")))
    assert delete(api, config_map("two"), wait=False) == [("deleted", "")]
    api.faults.append(Fault("DELETE", f"{ROOT}/two", 403, status(403, "Forbidden", 'User "u" cannot delete resource')))
    assert 'User "u" cannot delete' in delete(api, config_map("two"))[0][1]


def test_cluster_scoped_kinds_get_no_namespace(api: FakeKubeApi) -> None:
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "r"}, "rules": []}
    outcomes = applier(api).apply(load_documents(role, None, "team"))
    assert outcomes[0].as_dict()["namespace"] == ""
    assert (
        applier(api).apply(load_documents({**config_map(), "metadata": {"name": "x"}}, None))[0].identity.namespace
        == "default"
    )
