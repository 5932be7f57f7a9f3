# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting by watch, against a server that breaks streams; and the diagnosis of workloads."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.onprem.platform.plugins.module_utils import _kube_wait
from ansible_collections.onprem.platform.plugins.module_utils._kube_client import KubeClient
from ansible_collections.onprem.platform.plugins.module_utils._kube_conditions import failed, ready
from ansible_collections.onprem.platform.plugins.module_utils._kube_config import Connection
from ansible_collections.onprem.platform.plugins.module_utils._kube_diagnose import Diagnoser
from ansible_collections.onprem.platform.plugins.module_utils._kube_errors import ForbiddenError, KubeApiError
from ansible_collections.onprem.platform.plugins.module_utils._kube_resources import Resources
from ansible_collections.onprem.platform.plugins.module_utils._kube_wait import (
    Target,
    Waiter,
    WaitError,
    check_expression,
)
from ansible_collections.onprem.platform.tests.unit.plugins.fake_kube_api import FakeKubeApi, Fault, status

CORE = "/api/v1/namespaces/a"
APPS = "/apis/apps/v1/namespaces/a"


@pytest.fixture
def api() -> Iterator[FakeKubeApi]:
    server = FakeKubeApi()
    yield server
    server.close()


def client(api: FakeKubeApi) -> KubeClient:
    return KubeClient(Connection(host=api.url, retry_timeout=3))


def waiter(api: FakeKubeApi, restarts: int = 3, lines: int = 5) -> Waiter:
    user = client(api)
    resources = Resources(user)
    return Waiter(user, resources, Diagnoser(user, resources, restarts, lines))


def config_map(name: str, **more: Any) -> Target:
    return Target("v1", "ConfigMap", name, "a", **{"until": "exists", **more})


def put(api: FakeKubeApi, name: str, kind: str = "ConfigMap", plural: str = "configmaps", **more: Any) -> None:
    api.put(
        f"{CORE}/{plural}/{name}",
        {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": "a"}, **more},
    )


def later(seconds: float, action: Any) -> None:
    timer = threading.Timer(seconds, action)
    timer.daemon = True
    timer.start()


def when_watched(api: FakeKubeApi, *actions: Any, times: int = 1) -> None:
    """Act when the server has been asked for so many watches."""

    def work() -> None:
        deadline = time.monotonic() + 20
        while sum("watch=true" in path for _verb, path in api.log) < times and time.monotonic() < deadline:
            time.sleep(0.01)
        for action in actions:
            action()

    threading.Thread(target=work, daemon=True).start()


def test_a_watch_brings_it(api: FakeKubeApi) -> None:
    when_watched(api, lambda: put(api, "one"))
    waited = waiter(api).wait([config_map("one")], 30)
    assert waited[0].as_dict()["ready"]
    assert waited[0].seconds > 0
    assert [path for _verb, path in api.log if "watch" not in path] == [
        f"{CORE}/configmaps?fieldSelector=metadata.name%3Done"
    ]


def test_named_objects_of_a_collection_share_a_watch(api: FakeKubeApi) -> None:
    put(api, "one")
    when_watched(api, *(lambda name=name: put(api, name) for name in ("two", "unrelated", "three")))
    assert len(waiter(api).wait([config_map(name) for name in ("one", "two", "three")], 30)) == 3
    assert len(api.log) == 2


@pytest.mark.parametrize("code", [410, 0])
def test_broken_and_expired_streams_are_listed_again(api: FakeKubeApi, code: int) -> None:
    api.faults.append(Fault("EVENT", "configmaps", code))
    when_watched(api, lambda: put(api, "one"), times=2)
    assert waiter(api).wait([config_map("one")], 30)[0].progress.ready
    assert sum("watch" not in path for _verb, path in api.log) == 2


def test_listing_that_fails(api: FakeKubeApi) -> None:
    api.faults.append(Fault("GET", "configmaps", 404, status(404, "NotFound", "gone")))
    put(api, "one")
    assert waiter(api).wait([config_map("one")], 10)[0].progress.ready
    api.faults.append(Fault("GET", "secrets", 403, status(403, "Forbidden", 'User "u" cannot list resource')))
    with pytest.raises(ForbiddenError):
        waiter(api).wait([Target("v1", "Secret", "one", "a")], 10)


def test_deletion(api: FakeKubeApi) -> None:
    put(api, "one")
    when_watched(api, lambda: api.remove(f"{CORE}/configmaps/one"))
    assert waiter(api).wait([config_map("one", until="deleted")], 30)[0].progress.message == "absent"
    put(api, "two")
    with pytest.raises(WaitError, match="nobody deletes it"):
        waiter(api).wait([config_map("two", until="deleted")], 0.3)
    put(api, "two", metadata={"name": "two", "namespace": "a", "deletionTimestamp": "T", "finalizers": ["x/y"]})
    with pytest.raises(WaitError, match="finalizers: x/y"):
        waiter(api).wait([config_map("two", until="deleted")], 0.3)
    put(api, "two", metadata={"name": "two", "namespace": "a", "deletionTimestamp": "T"})
    with pytest.raises(WaitError, match="being deleted"):
        waiter(api).wait([config_map("two", until="deleted")], 0.3)


def test_unknown_kind(api: FakeKubeApi) -> None:
    gone = Target("later/v1", "Gadget", "one", "a", until="deleted")
    assert waiter(api).wait([gone], 5)[0].progress.ready
    wanted = Target("later/v1", "Gadget", "one", "a", until="exists")
    with pytest.raises(WaitError, match="does not serve Gadget"):
        waiter(api).wait([wanted], 0.3)
    looked = waiter(api).look([gone, wanted])
    assert [entry.progress.ready for entry in looked] == [True, False]

    def install() -> None:
        api.put(
            "/apis/later/v1/namespaces/a/gadgets/one",
            {"apiVersion": "later/v1", "kind": "Gadget", "metadata": {"name": "one", "namespace": "a"}},
        )
        api.discovery["/apis/later/v1"] = [{"kind": "Gadget", "name": "gadgets", "namespaced": True}]

    later(0.3, install)
    assert waiter(api).wait([wanted], 10)[0].progress.ready


def test_even_the_shortest_wait_looks_once(api: FakeKubeApi) -> None:
    put(api, "one")
    assert waiter(api).wait([config_map("one")], 0)[0].progress.ready
    with pytest.raises(WaitError, match="it does not exist"):
        waiter(api).wait([config_map("two")], 0)


def test_collections_and_judges(api: FakeKubeApi) -> None:
    with pytest.raises(WaitError, match="ConfigMap objects in a with app=x: 0 of 1 exist"):
        waiter(api).wait([Target("v1", "ConfigMap", namespace="a", label_selectors=("app=x",))], 0.2)
    put(api, "one")
    put(api, "two")
    everything = Target("v1", "ConfigMap", minimum=2, until="expression", expression="data.a == '1'")
    with pytest.raises(WaitError, match=r"2 of 2 are not ready \(one: "):
        waiter(api).wait([everything], 0.2)
    put(api, "one", data={"a": "1"})
    put(api, "two", data={"a": "1"})
    assert waiter(api).look([everything])[0].progress.ready
    judged = config_map("one", judge=lambda _document: failed("judged"))
    with pytest.raises(WaitError, match="ConfigMap a/one has failed: judged") as caught:
        waiter(api).wait([judged], 5)
    assert caught.value.waited[0].as_dict()["message"] == "judged"
    assert waiter(api).wait([config_map("one", judge=lambda _document: ready())], 5)
    entry = {"type": "Ready", "status": "False", "reason": "No", "message": "why"}
    put(api, "one", status={"conditions": [entry]})
    with pytest.raises(WaitError, match="Ready=False No: why"):
        waiter(api).wait([config_map("one", until="condition", condition={"type": "Ready"})], 0.2)


def test_endpoints(api: FakeKubeApi) -> None:
    wanted = Target("v1", "Service", "web", "a", until="endpoints", minimum=2)
    assert waiter(api).look([wanted])[0].progress.message == "0 of 2 endpoints are ready"
    slices = {
        "metadata": {"name": "web-1", "namespace": "a", "labels": {"kubernetes.io/service-name": "web"}},
        "endpoints": [{"addresses": ["1", "2"]}, {"addresses": ["3"], "conditions": {"ready": False}}],
    }
    api.put("/apis/discovery.k8s.io/v1/namespaces/a/endpointslices/web-1", slices)
    assert waiter(api).wait([wanted], 5)[0].progress.ready


def test_expressions(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_expression("a.b") == ""
    assert check_expression("contains(a, 'b')") == ""
    assert "not valid" in check_expression("a.[")
    assert "Unknown function" in check_expression("no_such_function(a)")
    monkeypatch.setattr(_kube_wait, "jmespath", None)
    assert "missing" in check_expression("a")


def test_a_function_waits_for_its_field(api: FakeKubeApi) -> None:
    """As a Pod has no container statuses at first."""
    wanted = config_map("one", until="expression", expression="contains(data.a, '1')")
    put(api, "one")
    with pytest.raises(WaitError, match=r"contains\(data\.a, '1'\): In function contains\(\)"):
        waiter(api).wait([wanted], 0.2)
    put(api, "one", data={"a": "21"})
    assert waiter(api).wait([wanted], 5)[0].progress.ready


# --- diagnosis -------------------------------------------------------------------------------------------------------
def workload(kind: str, revision: str = "1") -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {
            "name": "web",
            "namespace": "a",
            "uid": "w",
            "annotations": {"deployment.kubernetes.io/revision": revision},
        },
        "spec": {"selector": {"matchLabels": {"app": "web"}}},
    }


def pod(api: FakeKubeApi, state: dict[str, Any], labels: dict[str, str] | None = None, **container: Any) -> None:
    put(
        api,
        "web-1",
        "Pod",
        "pods",
        metadata={"name": "web-1", "namespace": "a", "uid": "p", "labels": {"app": "web", **(labels or {})}},
        status={"containerStatuses": [{"name": "c", "state": state, **container}]},
    )


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return {"waiting": {"reason": reason, "message": message}}


def diagnoser(api: FakeKubeApi, lines: int = 5) -> Diagnoser:
    user = client(api)
    return Diagnoser(user, Resources(user), 3, lines)


def test_pull_failure_ends_the_waiting(api: FakeKubeApi) -> None:
    api.put(f"{APPS}/statefulsets/web", workload("StatefulSet"))
    pod(api, waiting("ImagePullBackOff", "no such image"))
    event = {
        "metadata": {"name": "e", "namespace": "a"},
        "involvedObject": {"uid": "p"},
        "reason": "Failed",
        "message": "to pull",
    }
    api.put(f"{CORE}/events/e", event)
    with pytest.raises(WaitError, match="cannot become ready") as caught:
        waiter(api).wait([Target("apps/v1", "StatefulSet", "web", "a")], 30)
    for word in ("ImagePullBackOff", "no such image", "Failed: to pull"):
        assert word in str(caught.value)


def test_only_pods_of_the_newest_revision_count(api: FakeKubeApi) -> None:
    pod(api, waiting("ImagePullBackOff"), {"pod-template-hash": "old"})
    new_set = {
        "metadata": {
            "name": "web-new",
            "labels": {"app": "web", "pod-template-hash": "new"},
            "annotations": {"deployment.kubernetes.io/revision": "2"},
        }
    }
    api.put(f"{APPS}/replicasets/web-new", new_set)
    assert diagnoser(api).terminal(workload("Deployment", "2")) is None
    assert diagnoser(api).terminal(workload("Deployment", "1")) is not None
    new_set["metadata"]["labels"] = {"app": "web"}
    api.put(f"{APPS}/replicasets/web-new", new_set)
    assert diagnoser(api).terminal(workload("Deployment", "2")) is not None
    assert diagnoser(api).terminal(workload("DaemonSet")) is None
    pod(api, waiting("ErrImageNeverPull"), {"pod-template-generation": "1", "controller-revision-hash": "b"})
    assert diagnoser(api).terminal(workload("DaemonSet")) is not None
    other = {**workload("StatefulSet"), "status": {"updateRevision": "c"}}
    assert diagnoser(api).terminal(other) is None


def test_crash_loops(api: FakeKubeApi) -> None:
    crashed = {"restartCount": 3, "lastState": {"terminated": {"exitCode": 2, "reason": "Error"}}}
    pod(api, waiting("CrashLoopBackOff"), **crashed)
    found = diagnoser(api).terminal(workload("StatefulSet"))
    assert str(found) == "pod web-1, container c: CrashLoopBackOff after 3 restarts: exit code 2 Error"
    api.texts[f"{CORE}/pods/web-1/log"] = "the end of it"
    assert "the end of it" in diagnoser(api).explain(workload("StatefulSet"), found)
    assert diagnoser(api, 0).explain(workload("StatefulSet"), found) == ""
    api.faults.append(Fault("GET", "/log", 400, status(400, "BadRequest", "no previous")))
    assert "the end of it" in diagnoser(api).explain(workload("StatefulSet"), found)
    api.faults.append(Fault("GET", "/log", 400, status(400, "BadRequest", "no"), times=2))
    assert diagnoser(api).explain(workload("StatefulSet"), found) == ""
    job = {**workload("Job"), "apiVersion": "batch/v1"}
    assert diagnoser(api).terminal(job) is None
    assert diagnoser(api).last_failure(job) is not None
    pod(api, waiting("CrashLoopBackOff"), restartCount=1)
    assert diagnoser(api).terminal(workload("StatefulSet")) is None


def test_failed_job_shows_its_log(api: FakeKubeApi) -> None:
    job = {
        **workload("Job"),
        "apiVersion": "batch/v1",
        "status": {"conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}]},
    }
    api.put("/apis/batch/v1/namespaces/a/jobs/web", job)
    pod(api, {"terminated": {"exitCode": 1, "reason": "Error"}})
    api.texts[f"{CORE}/pods/web-1/log"] = "migration failed"
    with pytest.raises(WaitError, match="migration failed"):
        waiter(api).wait([Target("batch/v1", "Job", "web", "a")], 30)
    pod(api, {"terminated": {"exitCode": 0}})
    assert diagnoser(api).last_failure(job) is None


def test_diagnosis_without_permission_or_selector(api: FakeKubeApi) -> None:
    api.faults.append(Fault("GET", "/pods", 403, status(403, "Forbidden", "no"), times=2))
    assert diagnoser(api).terminal(workload("StatefulSet")) is None
    assert diagnoser(api).last_failure(workload("StatefulSet")) is None
    assert diagnoser(api).terminal({**workload("StatefulSet"), "spec": {}}) is None
    bare = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "a", "uid": "p"}}
    stuck = {**bare, "status": {"initContainerStatuses": [{"name": "i", "state": waiting("InvalidImageName")}]}}
    assert "InvalidImageName" in str(diagnoser(api).terminal(stuck))
    api.faults.append(Fault("GET", "/events", 403, status(403, "Forbidden", "no")))
    assert diagnoser(api).explain(bare, None) == ""


JOB = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j", "namespace": "a", "uid": "u"}}


@pytest.mark.parametrize("more", [{"until": "condition", "condition": {"type": "Complete"}}, {"until": "expression"}])
def test_a_failed_job_never_completes(api: FakeKubeApi, more: dict[str, Any]) -> None:
    """Waiting for a condition or an expression ends at once as well."""
    gave_up = {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}
    api.put("/apis/batch/v1/namespaces/a/jobs/j", {**JOB, "status": {"conditions": [gave_up]}})
    target = Target("batch/v1", "Job", "j", "a", expression="status.succeeded", **more)
    with pytest.raises(WaitError, match="has failed: Failed=True BackoffLimitExceeded"):
        waiter(api).wait([target], 30)
    wanted = Target("batch/v1", "Job", "j", "a", until="condition", condition={"type": "Failed"})
    assert waiter(api).wait([wanted], 5)[0].progress.ready


def test_a_suspended_flux_object_may_be_waited_for_by_expression(api: FakeKubeApi) -> None:
    api.discovery["/apis/helm.toolkit.fluxcd.io/v2"] = [{"kind": "HelmRelease", "name": "hrs", "namespaced": True}]
    release = {"apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease", "spec": {"suspend": True}}
    api.put("/apis/helm.toolkit.fluxcd.io/v2/namespaces/a/hrs/x", {**release, "metadata": {"name": "x"}})
    target = Target("helm.toolkit.fluxcd.io/v2", "HelmRelease", "x", "a", until="expression", expression="status.done")
    with pytest.raises(WaitError, match=r"not ready after 0\.3 s"):
        waiter(api).wait([target], 0.3)


def test_stalled_objects_come_with_their_events(api: FakeKubeApi) -> None:
    api.discovery["/apis/test/v1"] = [{"kind": "Widget", "name": "widgets", "namespaced": True}]
    stalled = {"conditions": [{"type": "Stalled", "status": "True", "reason": "Wrong"}]}
    metadata = {"name": "w", "namespace": "a", "uid": "widget-uid"}
    widget = {"apiVersion": "test/v1", "kind": "Widget", "metadata": metadata, "status": stalled}
    api.put("/apis/test/v1/namespaces/a/widgets/w", widget)
    event = {"involvedObject": {"uid": "widget-uid"}, "reason": "Bad", "message": "because of that"}
    put(api, "e", "Event", "events", **event)
    with pytest.raises(WaitError, match=r"Stalled=True Wrong\. last events: Bad: because of that"):
        waiter(api).wait([Target("test/v1", "Widget", "w", "a")], 30)


@pytest.mark.parametrize(
    ("pod", "word"),
    [
        ({"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]}, "Unschedulable"),
        (
            {"containerStatuses": [{"name": "c", "state": {"waiting": {"reason": "CreateContainerConfigError"}}}]},
            "container c: CreateContainerConfigError",
        ),
        ({"containerStatuses": [{"name": "c", "ready": False, "state": {"running": {}}}]}, "not ready: c"),
        ({"phase": "Pending"}, "phase Pending"),
        ({"phase": "Succeeded"}, "0 of 1 pods are ready"),
        ({"conditions": [{"type": "Ready", "status": "True"}]}, "0 of 1 pods are ready"),
    ],
)
def test_a_timeout_names_the_obstacle(api: FakeKubeApi, pod: dict[str, Any], word: str) -> None:
    selector = {"matchLabels": {"app": "w"}}
    metadata = {"name": "s", "namespace": "a", "uid": "u"}
    workload = {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": metadata, "spec": {"selector": selector}}
    api.put(f"{APPS}/statefulsets/s", workload)
    labelled = {"name": "s-0", "namespace": "a", "labels": {"app": "w"}, "uid": "pod-uid"}
    api.put(f"{CORE}/pods/s-0", {"apiVersion": "v1", "kind": "Pod", "metadata": labelled, "status": pod})
    put(api, "e", "Event", "events", involvedObject={"uid": "pod-uid"}, reason="Slow", message="the event")
    with pytest.raises(WaitError, match="not ready after") as caught:
        waiter(api).wait([Target("apps/v1", "StatefulSet", "s", "a")], 0.3)
    assert word in caught.value.message
    stuck = "0 of 1" not in word
    assert ("pod s-0" in caught.value.message, "the event" in caught.value.message) == (stuck, stuck)
    api.faults.append(Fault("GET", "labelSelector", 403, status(403, "Forbidden", "cannot list")))
    with pytest.raises(WaitError, match="not ready after"):
        waiter(api).wait([Target("apps/v1", "StatefulSet", "s", "a")], 0.3)


def test_progress_names_what_is_still_open(api: FakeKubeApi) -> None:
    put(api, "there")
    user = client(api)
    resources = Resources(user)
    lines: list[str] = []
    patient = Waiter(user, resources, Diagnoser(user, resources, 3, 5), lambda line: lines.append(line()))
    with pytest.raises(WaitError):
        patient.wait([config_map(name) for name in ("there", "one", "two", "three", "four")], 1.5)
    missing = "; ".join(f"ConfigMap a/{name}: it does not exist" for name in ("one", "two", "three"))
    assert lines == [f"1 s: 1 of 5 ready; {missing}; 1 more"]


@pytest.mark.parametrize("code", [429, 500, 503])
def test_a_server_that_refuses_the_watch_for_a_moment(api: FakeKubeApi, code: int) -> None:
    api.faults.append(Fault("GET", "watch=true", code, status(code, "Busy", "stopping")))
    when_watched(api, lambda: put(api, "one"), times=2)
    assert waiter(api).wait([config_map("one")], 30)[0].progress.ready


def test_a_token_that_expires_while_watching(api: FakeKubeApi) -> None:
    api.tokens = {"old"}
    fresh = Connection(host=api.url, token="new", retry_timeout=3)
    user = KubeClient(Connection(host=api.url, token="old", retry_timeout=3), lambda: fresh)
    resources = Resources(user)
    api.faults.append(Fault("EVENT", "configmaps", 410))

    def renew() -> None:
        api.tokens = {"new"}
        put(api, "one")

    expired = status(401, "Unauthorized", "Unauthorized")
    api.faults.append(Fault("GET", "watch=true", 401, expired))
    later(0.3, renew)
    assert Waiter(user, resources, Diagnoser(user, resources, 3, 0)).wait([config_map("one")], 10)[0].progress.ready
    api.faults.append(Fault("GET", "watch=true", 401, expired, times=9))
    with pytest.raises(KubeApiError, match="Unauthorized"):
        Waiter(user, resources, Diagnoser(user, resources, 3, 0)).wait([config_map("two")], 10)
