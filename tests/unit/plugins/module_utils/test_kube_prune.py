# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pruning: what belongs to the set and what only looks like it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ansible_collections.onprem.platform.plugins.modules import k8s_apply
from ansible_collections.onprem.platform.tests.unit.plugins.fake_kube_api import FakeKubeApi, Fault, status

SET = {"part-of": "shop"}
KINDS = [{"api_version": "v1", "kind": "ConfigMap"}, {"api_version": "later/v1", "kind": "Widget"}]
PRUNE = {"labels": SET, "kinds": KINDS}


@pytest.fixture
def api() -> Iterator[FakeKubeApi]:
    server = FakeKubeApi()
    yield server
    server.close()


@pytest.fixture
def run(run_module: Callable[..., dict[str, Any]], api: FakeKubeApi) -> Callable[..., dict[str, Any]]:
    def call(documents: Any, check: bool = False, **params: Any) -> dict[str, Any]:
        params = {"host": api.url, "retry_timeout": 1, "definition": documents, "prune": PRUNE, **params}
        return run_module(k8s_apply.main, params, check=check)

    return call


def config_map(name: str, namespace: str = "a", **more: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace, "labels": dict(SET)}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"x": "1"}, **more}


def results(answer: dict[str, Any]) -> dict[str, str]:
    return {item["name"]: item["result"] for item in answer["objects"]}


def test_only_what_nobody_describes_any_more_goes(run: Any, api: FakeKubeApi) -> None:
    secret = {**config_map("password"), "kind": "Secret", "data": {"a": "YQ=="}}
    run([config_map("one"), config_map("two"), config_map("far", "b"), secret], prune=None)
    # The same labels, but made by somebody else; and one that is ours, but without the labels.
    api.put("/api/v1/namespaces/a/configmaps/copied", config_map("copied"), manager="endpoints-controller")
    run([{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "apart", "namespace": "a"}}], prune=None)
    planned = run([config_map("one")], check=True)
    assert results(planned) == {"one": "unchanged", "two": "deleted"}
    assert "/api/v1/namespaces/a/configmaps/two" in api.objects
    pruned = run([config_map("one")], wait=True)
    assert results(pruned) == {"one": "unchanged", "two": "deleted"}
    assert pruned["diff"] == planned["diff"]
    assert "no document" in pruned["objects"][1]["reason"]
    left = {path.rpartition("/")[2] for path in api.objects}
    assert left == {"one", "far", "copied", "apart", "password"}
    again = run([config_map("one")])
    assert (again["changed"], again["writes"]) == (False, 0)
    # Another field manager's set is another set.
    assert results(run([config_map("one")], prune={**PRUNE, "namespaces": ["b"]}, field_manager="shop")) == {
        "one": "configured",
    }
    assert results(run([config_map("one")], prune={**PRUNE, "namespaces": ["b"]})) == {
        "one": "unchanged",
        "far": "deleted",
    }


def test_nothing_is_pruned_after_a_failure(run: Any, api: FakeKubeApi) -> None:
    run([config_map("one"), config_map("two")])
    api.faults.append(Fault("PATCH", "configmaps/three", 403, status(403, "Forbidden", 'User "u" cannot patch')))
    answer = run([config_map("one"), config_map("three")])
    assert answer["failed"]
    assert results(answer) == {"one": "unchanged", "three": "failed"}
    api.faults.append(Fault("GET", "labelSelector", 403, status(403, "Forbidden", 'User "u" cannot list "configmaps"')))
    assert "cannot list" in run([config_map("one")])["msg"]
    assert "/api/v1/namespaces/a/configmaps/two" in api.objects


def test_cluster_scoped_kinds_and_kinds_that_come_later(run: Any, api: FakeKubeApi) -> None:
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "old", "labels": SET},
        "rules": [],
    }
    scope = {"labels": SET, "kinds": [{"api_version": role["apiVersion"], "kind": "ClusterRole"}]}
    run([role], prune=None)
    assert results(run([config_map("one")], prune=scope)) == {"one": "created", "old": "deleted"}
    widget = {"apiVersion": "later/v1", "kind": "Widget", "metadata": {"name": "w", "labels": SET}}
    assert results(run([widget, config_map("one")], check=True)) == {"one": "unchanged", "w": "created"}


def test_options_that_would_delete_too_much_or_too_little(run: Any, api: FakeKubeApi) -> None:
    assert "at least one label" in run([config_map("one")], prune={"labels": {}, "kinds": KINDS})["msg"]
    bare = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "bare", "namespace": "a"}}
    assert "ConfigMap a/bare lacks the labels" in run([bare])["msg"]
    assert "state=present" in run([config_map("one")], state="absent")["msg"]
    assert api.log == []
