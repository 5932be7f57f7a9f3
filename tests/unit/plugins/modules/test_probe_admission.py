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


def test_twins_differ_from_the_strict_pod_by_their_control_only() -> None:
    assert len({control.name for control in CONTROLS}) == len(CONTROLS)
    for control in CONTROLS:
        bad, good = twin(control, True, "i"), twin(control, False, "i")
        assert bad["spec"] != good["spec"]
        assert bad["spec"]["containers"][0]["image"] == "i"
    assert strict_pod("a", "i") == strict_pod("a", "i")
