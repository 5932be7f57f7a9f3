# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""probe_admission against a real API server with its Pod Security admission."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.onprem.platform.plugins.module_utils._pod_security import CONTROLS
from ansible_collections.onprem.platform.tests.integration.k8s.examples import examples, run_examples

ApiServer = Any
ModuleRunner = Callable[..., dict[str, Any]]
LABEL = "pod-security.kubernetes.io/enforce"


@pytest.fixture
def restricted(api_server: ApiServer, namespace: str) -> str:
    labels = {LABEL: "restricted", f"{LABEL}-version": "v1.36"}
    api_server.call(
        "PATCH", f"/api/v1/namespaces/{namespace}", {"metadata": {"labels": labels}}, "application/merge-patch+json"
    )
    return namespace


def test_restricted_namespace_refuses_every_control(api_server: ApiServer, run: ModuleRunner, restricted: str) -> None:
    answer = run("probe_admission", {"namespace": restricted})
    assert not answer.get("failed"), answer["msg"]
    assert not answer["changed"] and answer["wrong"] == [] and answer["writes_seen"] == []
    assert len(answer["results"]) == 2 * len(CONTROLS)
    refusals = [item["reason"] for item in answer["results"] if item["twin"] == "negative"]
    assert all('violates PodSecurity "restricted:v1.36"' in reason for reason in refusals)
    assert api_server.call("GET", f"/api/v1/namespaces/{restricted}/pods")["items"] == []


def test_namespace_without_the_label_is_found(run: ModuleRunner, namespace: str) -> None:
    answer = run("probe_admission", {"namespace": namespace})
    assert answer["failed"] and f"{len(CONTROLS)} of {2 * len(CONTROLS)} verdicts are wrong" in answer["msg"]
    assert answer["wrong"] == [control.name for control in CONTROLS]


def test_weaker_level_is_found(api_server: ApiServer, run: ModuleRunner, restricted: str) -> None:
    change = {"metadata": {"labels": {LABEL: "baseline"}}}
    api_server.call("PATCH", f"/api/v1/namespaces/{restricted}", change, "application/merge-patch+json")
    answer = run("probe_admission", {"namespace": restricted})
    assert answer["failed"]
    assert {"runAsNonRoot", "allowPrivilegeEscalation", "seccompProfile.unset"} <= set(answer["wrong"])
    assert not {"hostNetwork", "hostPort"} & set(answer["wrong"])


def test_cases(api_server: ApiServer, run: ModuleRunner, restricted: str) -> None:
    container = {"name": "c", "image": "registry.test/app:1"}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "running"},
        "spec": {
            "selector": {"matchLabels": {"a": "b"}},
            "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [container]}},
        },
    }
    api_server.call("POST", f"/apis/apps/v1/namespaces/{restricted}/deployments", deployment)
    changed = {**deployment, "spec": {**deployment["spec"], "selector": {"matchLabels": {"a": "other"}}}}  # type: ignore[dict-item]
    cases = [
        {"name": "strict pod", "image": "registry.test/app:1", "expected": "admitted"},
        {"name": "update", "object": deployment, "expected": "admitted"},
        {"name": "immutable", "object": changed, "expected": "refused", "reason": "immutable|does not match"},
        {"name": "other reason", "object": changed, "expected": "refused", "reason": "no signature"},
    ]
    answer = run("probe_admission", {"namespace": restricted, "controls": [], "cases": cases})
    verdicts = {item["name"]: (item["verdict"], item["correct"]) for item in answer["results"]}
    assert verdicts == {
        "strict pod": ("admitted", True),
        "update": ("admitted", True),
        "immutable": ("refused", True),
        "other reason": ("other", False),
    }
    assert answer["results"][1]["reason"] == "registry.test/app:1"
    assert answer["failed"] and "other reason is other instead of refused" in answer["msg"]
    assert answer["writes_seen"] == []


def test_who_may_not_ask_gets_no_verdict(api_server: ApiServer, run: ModuleRunner, restricted: str) -> None:
    user = api_server.user("stranger")
    answer = run("probe_admission", {"namespace": restricted}, kubeconfig=str(user))
    assert answer["failed"] and answer["failure"]["code"] == 403 and "results" not in answer
    answer = run("probe_admission", {"namespace": "nowhere"})
    assert answer["failed"] and answer["failure"]["code"] == 404
    answer = run("probe_admission", {"namespace": restricted, "controls": ["hostpath"]})
    assert answer["failed"] and "there is no control hostpath" in answer["msg"]


def test_example(api_server: ApiServer, restricted: str, tmp_path: Path) -> None:
    # The other one, about signatures, runs where policy-controller does.
    first = examples("probe_admission", {"namespace: default": f"namespace: {restricted}"})[:1]
    run_examples(tmp_path, first, api_server.kubeconfig)
