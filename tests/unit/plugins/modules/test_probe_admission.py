# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""probe_admission: which answers are verdicts, and which only say that the question failed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ansible_collections.onprem.platform.plugins.module_utils._pod_security import CONTROLS, strict_pod, twin
from ansible_collections.onprem.platform.plugins.modules import probe_admission
from ansible_collections.onprem.platform.tests.unit.plugins.fake_kube_api import FakeKubeApi, Fault, status

Runner = Callable[..., dict[str, Any]]
UNSIGNED = {"name": "unsigned", "image": "registry.test/app:1", "expected": "refused", "reason": "no signatures"}


@pytest.fixture
def api() -> Iterator[FakeKubeApi]:
    server = FakeKubeApi()
    server.put("/api/v1/namespaces/shop", {"kind": "Namespace"})
    yield server
    server.close()


@pytest.fixture
def ask(run_module: Runner, api: FakeKubeApi) -> Callable[..., dict[str, Any]]:
    def call(*cases: dict[str, Any], **params: Any) -> dict[str, Any]:
        connection = {"host": api.url, "retry_timeout": 1}
        options = {"namespace": "shop", "controls": [], "cases": list(cases), **params}
        return run_module(probe_admission.main, {**connection, **options})

    return call


@pytest.mark.parametrize(
    ("code", "reason", "message", "verdict"),
    [
        (400, "BadRequest", "admission webhook denied the request: no signatures found", "refused"),
        (403, "Forbidden", "pods is forbidden: no signatures found", "refused"),
        (403, "Forbidden", "pods is forbidden: quota exceeded", "other"),
        (500, "InternalError", "failed calling webhook: no endpoints available", "other"),
    ],
)
def test_refusals(
    ask: Callable[..., dict[str, Any]], api: FakeKubeApi, code: int, reason: str, message: str, verdict: str
) -> None:
    api.faults.append(Fault("POST", "/pods", code, status(code, reason, message)))
    answer = ask(UNSIGNED)
    assert [item["verdict"] for item in answer["results"]] == [verdict]
    assert bool(answer.get("failed")) == (verdict != "refused")


def test_a_silent_webhook_may_be_what_is_expected(ask: Callable[..., dict[str, Any]], api: FakeKubeApi) -> None:
    message = "failed calling webhook: no endpoints available"
    api.faults.append(Fault("POST", "/pods", 500, status(500, "InternalError", message)))
    assert not ask({**UNSIGNED, "reason": "failed calling webhook"}).get("failed")


def test_other_server_errors_are_no_verdict(ask: Callable[..., dict[str, Any]], api: FakeKubeApi) -> None:
    api.faults.append(Fault("POST", "/pods", 500, status(500, "InternalError", "etcd is gone")))
    answer = ask(UNSIGNED)
    assert answer["failed"] and "etcd is gone" in answer["msg"] and "results" not in answer


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ({**UNSIGNED, "reason": "("}, "no regular expression"),
        ({**UNSIGNED, "expected": "admitted"}, "what is admitted has no reason"),
        ({**UNSIGNED, "object": {}}, "mutually exclusive"),
        ({"name": "a", "expected": "refused"}, "one of the following is required"),
    ],
)
def test_wrong_cases(ask: Callable[..., dict[str, Any]], case: dict[str, Any], message: str) -> None:
    answer = ask(case)
    assert answer["failed"] and message in answer["msg"]


def test_both_twins_of_every_control_are_tried(ask: Callable[..., dict[str, Any]]) -> None:
    """Where nothing is refused, all negative twins are wrong."""
    answer = ask(controls=None, image="registry.test/app@sha256:1")
    assert len(answer["results"]) == 2 * len(CONTROLS)
    assert answer["wrong"] == [control.name for control in CONTROLS]
    assert answer["failed"] and "is admitted instead of refused" in answer["msg"]
    assert {item["reason"] for item in answer["results"] if item["twin"] == "positive"} == {
        "registry.test/app@sha256:1"
    }


def test_a_positive_twin_that_is_refused_is_wrong(ask: Callable[..., dict[str, Any]], api: FakeKubeApi) -> None:
    message = 'pods "x" is forbidden: violates PodSecurity "restricted:latest": hostPath volumes'
    for _pod in range(2):
        api.faults.append(Fault("POST", "/pods", 403, status(403, "Forbidden", message)))
    answer = ask(controls=[CONTROLS[0].name])
    assert answer["failed"] and f"{CONTROLS[0].name} (twin) is refused instead of admitted" in answer["msg"]


def test_unknown_controls_are_named_beside_the_known(ask: Callable[..., dict[str, Any]]) -> None:
    answer = ask(controls=["hostpath"])
    assert answer["failed"] and "there is no control hostpath" in answer["msg"] and CONTROLS[0].name in answer["msg"]


@pytest.mark.parametrize("exists", [False, True])
def test_an_object_is_tried_as_an_update_where_it_exists(
    ask: Callable[..., dict[str, Any]], api: FakeKubeApi, exists: bool
) -> None:
    path = "/apis/batch/v1/namespaces/shop/cronjobs/clean"
    pod = {"initContainers": [{"name": "a", "image": "a:1"}], "containers": [{"name": "b", "image": "b:1"}]}
    spec = {"schedule": "0 3 * * *", "jobTemplate": {"spec": {"template": {"spec": pod}}}}
    document = {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "clean"}, "spec": spec}
    if exists:
        api.put(
            path,
            {**document, "metadata": {"name": "clean", "namespace": "shop"}, "spec": {**spec, "schedule": "@daily"}},
        )
    answer = ask({"name": "clean", "object": document, "expected": "admitted"})
    assert not answer.get("failed") and answer["results"][0]["reason"] == "a:1, b:1"
    asked = [verb for verb, seen in api.log if "dryRun=All" in seen]
    assert asked == ["PATCH" if exists else "POST"] and not api.writes


def test_who_may_not_ask_gets_no_verdict(ask: Callable[..., dict[str, Any]], api: FakeKubeApi) -> None:
    message = 'pods is forbidden: User "u" cannot create resource "pods" in API group "" in the namespace "shop"'
    api.faults.append(Fault("POST", "/pods", 403, status(403, "Forbidden", message)))
    answer = ask(UNSIGNED)
    assert answer["failed"] and "results" not in answer


def test_twins_differ_from_the_strict_pod_by_their_control_only() -> None:
    assert len({control.name for control in CONTROLS}) == len(CONTROLS)
    for control in CONTROLS:
        bad, good = twin(control, True, "i"), twin(control, False, "i")
        assert bad["spec"] != good["spec"]
        assert bad["spec"]["containers"][0]["image"] == "i"
    assert strict_pod("a", "i") == strict_pod("a", "i")
