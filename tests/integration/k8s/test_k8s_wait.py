# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""k8s_wait against a real API server; the tests write the status that controllers would write."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.onprem.platform.tests.integration.k8s.examples import examples, run_examples

ApiServer = Any
ModuleRunner = Callable[..., dict[str, Any]]


def deployment(replicas: int = 2) -> dict[str, Any]:
    return {
        "metadata": {"name": "web", "labels": {"app": "web"}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "web", "image": "registry.test/web:1"}]},
            },
        },
    }


def rolled_out(replicas: int = 2, generation: int = 1) -> dict[str, Any]:
    return {
        "observedGeneration": generation,
        "replicas": replicas,
        "updatedReplicas": replicas,
        "readyReplicas": replicas,
        "availableReplicas": replicas,
    }


def target(kind: str, namespace: str, name: str = "web", api_version: str = "apps/v1", **more: Any) -> dict[str, Any]:
    return {"api_version": api_version, "kind": kind, "namespace": namespace, "name": name, **more}


class InBackground:
    """Runs the module while the test plays the controllers."""

    def __init__(self, run: ModuleRunner, params: dict[str, Any]) -> None:
        self.answer: dict[str, Any] = {}
        self.ended = 0.0
        self._thread = threading.Thread(target=self._run, args=(run, params))
        self._thread.start()

    def _run(self, run: ModuleRunner, params: dict[str, Any]) -> None:
        self.answer = run("k8s_wait", params)
        self.ended = time.monotonic()

    def join(self) -> dict[str, Any]:
        self._thread.join(60)
        return self.answer


def test_missing_and_bad_arguments(run: ModuleRunner, namespace: str) -> None:
    assert "objects" in run("k8s_wait", {})["msg"]
    for entry, word in (
        (target("Deployment", namespace, until="condition"), "condition"),
        (target("Deployment", namespace, expression="status.["), "JMESPath"),
        ({"api_version": "v1", "kind": "Service", "until": "endpoints"}, "endpoints"),
    ):
        answer = run("k8s_wait", {"objects": [entry]})
        assert answer["failed"]
        assert word in answer["msg"]


def test_rollout_needs_the_newest_generation(run: ModuleRunner, namespace: str, api_server: ApiServer) -> None:
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    api_server.call("POST", path, deployment())
    api_server.patch_status(f"{path}/web", rolled_out())
    wanted = {"objects": [target("Deployment", namespace)], "wait_timeout": 2}
    assert run("k8s_wait", wanted)["objects"][0]["ready"]

    # The spec changes, the status is stale: still "available", but of the old generation.
    api_server.call("PATCH", f"{path}/web", {"spec": {"replicas": 3}}, "application/merge-patch+json")
    stale = run("k8s_wait", wanted)
    assert stale["failed"]
    assert "newest change" in stale["msg"]

    background = InBackground(run, {**wanted, "wait_timeout": 30})
    time.sleep(1.5)
    api_server.patch_status(f"{path}/web", {**rolled_out(3, 2), "availableReplicas": 2})
    time.sleep(0.5)
    assert not background.answer
    api_server.patch_status(f"{path}/web", rolled_out(3, 2))
    done = time.monotonic()
    assert background.join()["objects"][0]["ready"]
    # The process' own end is part of this; on an idle machine it is 0.1 s, on a busy one far less than the timeout.
    assert background.ended - done < 5


def test_many_objects_in_one_call(run: ModuleRunner, namespace: str, api_server: ApiServer) -> None:
    """Twelve ConfigMaps by name share one list and one watch."""
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    entries = [target("ConfigMap", namespace, f"item-{number}", "v1", until="exists") for number in range(12)]
    background = InBackground(run, {"objects": entries, "wait_timeout": 30})
    for number in range(12):
        api_server.call("POST", path, {"metadata": {"name": f"item-{number}"}})
    answer = background.join()
    assert all(item["ready"] for item in answer["objects"])
    assert answer["requests"] <= 2


def test_daemon_set_with_no_chosen_node_is_not_ready(run: ModuleRunner, namespace: str, api_server: ApiServer) -> None:
    document = deployment()
    del document["spec"]["replicas"]
    path = f"/apis/apps/v1/namespaces/{namespace}/daemonsets"
    api_server.call("POST", path, document)
    empty = {
        "observedGeneration": 1,
        "desiredNumberScheduled": 0,
        "currentNumberScheduled": 0,
        "numberReady": 0,
        "numberMisscheduled": 0,
    }
    api_server.patch_status(f"{path}/web", empty)
    wanted = {"objects": [target("DaemonSet", namespace)], "wait_timeout": 1}
    assert "desiredNumberScheduled" in run("k8s_wait", wanted)["msg"]
    counts = {"desiredNumberScheduled": 2, "updatedNumberScheduled": 2, "numberAvailable": 2, "numberReady": 2}
    api_server.patch_status(f"{path}/web", {**empty, **counts})
    assert run("k8s_wait", wanted)["objects"][0]["ready"]


def test_stateful_set_of_the_new_revision(run: ModuleRunner, namespace: str, api_server: ApiServer) -> None:
    document = deployment(3)
    document["spec"]["serviceName"] = "web"
    path = f"/apis/apps/v1/namespaces/{namespace}/statefulsets"
    api_server.call("POST", path, document)
    status = {
        "observedGeneration": 1,
        "replicas": 3,
        "readyReplicas": 3,
        "updatedReplicas": 2,
        "currentRevision": "a",
        "updateRevision": "b",
    }
    api_server.patch_status(f"{path}/web", status)
    wanted = {"objects": [target("StatefulSet", namespace)], "wait_timeout": 1}
    assert "new revision" in run("k8s_wait", wanted)["msg"]
    api_server.patch_status(f"{path}/web", {**status, "updatedReplicas": 3, "currentRevision": "b"})
    assert run("k8s_wait", wanted)["objects"][0]["ready"]


def pod(api_server: ApiServer, namespace: str, labels: dict[str, str], container: dict[str, Any]) -> None:
    path = f"/api/v1/namespaces/{namespace}/pods"
    body = {
        "metadata": {"name": "web-1", "labels": labels},
        "spec": {"containers": [{"name": "web", "image": "registry.test/web:1"}]},
    }
    made = api_server.call("POST", path, body)
    status = {
        "phase": "Pending",
        "containerStatuses": [
            {"name": "web", "ready": False, "image": "", "imageID": "", "restartCount": 0, **container}
        ],
    }
    api_server.patch_status(f"{path}/web-1", status)
    api_server.call(
        "POST",
        f"/api/v1/namespaces/{namespace}/events",
        {
            "metadata": {"name": "web-1.1", "namespace": namespace},
            "involvedObject": {"kind": "Pod", "namespace": namespace, "name": "web-1", "uid": made["metadata"]["uid"]},
            "reason": "Failed",
            "message": "the event that explains it",
            "lastTimestamp": "2026-01-01T00:00:00Z",
        },
    )


@pytest.mark.parametrize(
    ("container", "word"),
    [
        ({"state": {"waiting": {"reason": "ImagePullBackOff", "message": "not found: web:1"}}}, "not found: web:1"),
        (
            {
                "restartCount": 4,
                "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                "lastState": {"terminated": {"exitCode": 7, "reason": "Error"}},
            },
            "exit code 7",
        ),
    ],
)
def test_pods_that_cannot_start_end_the_waiting(
    run: ModuleRunner, namespace: str, api_server: ApiServer, container: dict[str, Any], word: str
) -> None:
    path = f"/apis/apps/v1/namespaces/{namespace}"
    body = deployment()
    body["metadata"]["annotations"] = {"deployment.kubernetes.io/revision": "2"}
    api_server.call("POST", f"{path}/deployments", body)
    api_server.patch_status(f"{path}/deployments/web", {"observedGeneration": 1, "replicas": 2})
    replica_set = deployment()
    replica_set["metadata"] = {
        "name": "web-new",
        "labels": {"app": "web", "pod-template-hash": "new"},
        "annotations": {"deployment.kubernetes.io/revision": "2"},
    }
    api_server.call("POST", f"{path}/replicasets", replica_set)
    # A pod of the old revision may crash as it likes.
    pod(api_server, namespace, {"app": "web", "pod-template-hash": "old"}, container)
    wanted = {"objects": [target("Deployment", namespace)], "wait_timeout": 2}
    assert "not ready after 2 s" in run("k8s_wait", wanted)["msg"]

    labels = {"metadata": {"labels": {"pod-template-hash": "new"}}}
    api_server.call("PATCH", f"/api/v1/namespaces/{namespace}/pods/web-1", labels, "application/merge-patch+json")
    start = time.monotonic()
    answer = run("k8s_wait", {**wanted, "wait_timeout": 60})
    assert answer["failed"]
    assert time.monotonic() - start < 30
    for expected in (container["state"]["waiting"]["reason"], word, "the event that explains it", "web-1"):
        assert expected in answer["msg"]


def test_failed_job_and_exceeded_deadline(run: ModuleRunner, namespace: str, api_server: ApiServer) -> None:
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    api_server.call("POST", path, deployment())
    stuck = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "too slow"}
    api_server.patch_status(f"{path}/web", {"observedGeneration": 1, "conditions": [stuck]})
    answer = run("k8s_wait", {"objects": [target("Deployment", namespace)], "wait_timeout": 60})
    assert "ProgressDeadlineExceeded" in answer["msg"]

    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "registry.test/a:1"}]}}
    jobs = f"/apis/batch/v1/namespaces/{namespace}/jobs"
    api_server.call("POST", jobs, {"metadata": {"name": "once"}, "spec": {"template": template}})
    failures = [
        {
            "type": kind,
            "status": "True",
            "reason": "BackoffLimitExceeded",
            "message": "gave up",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
        for kind in ("FailureTarget", "Failed")
    ]
    api_server.patch_status(f"{jobs}/once", {"startTime": "2026-01-01T00:00:00Z", "conditions": failures})
    answer = run("k8s_wait", {"objects": [target("Job", namespace, "once", "batch/v1")], "wait_timeout": 60})
    assert "BackoffLimitExceeded" in answer["msg"]


def test_condition_expression_deletion_endpoints(run: ModuleRunner, namespace: str, api_server: ApiServer) -> None:
    core = f"/api/v1/namespaces/{namespace}"
    pod(api_server, namespace, {"app": "web"}, {"state": {"waiting": {"reason": "ContainerCreating"}}})
    api_server.call("POST", f"{core}/configmaps", {"metadata": {"name": "old"}})
    entries = [
        target("Pod", namespace, "web-1", "v1", condition={"type": "PodScheduled", "reason": "Chosen"}),
        target("Pod", namespace, "web-1", "v1", expression="status.podIP == '10.0.0.1'"),
        target("ConfigMap", namespace, "old", "v1", until="deleted"),
        target("Service", namespace, "web", "v1", until="endpoints", minimum=2),
    ]
    looked = run("k8s_wait", {"objects": entries}, check=True)
    assert not looked.get("failed")
    assert [item["ready"] for item in looked["objects"]] == [False] * 4
    timed_out = run("k8s_wait", {"objects": entries, "wait_timeout": 1})
    for word in ("no such condition yet", "podIP", "nobody deletes it", "0 of 2 endpoints"):
        assert word in timed_out["msg"]

    background = InBackground(run, {"objects": entries, "wait_timeout": 30})
    api_server.patch_status(
        f"{core}/pods/web-1",
        {
            "podIP": "10.0.0.1",
            "podIPs": [{"ip": "10.0.0.1"}],
            "conditions": [{"type": "PodScheduled", "status": "True", "reason": "Chosen"}],
        },
    )
    api_server.call("DELETE", f"{core}/configmaps/old")
    api_server.call(
        "POST",
        f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices",
        {
            "metadata": {"name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
            "addressType": "IPv4",
            "endpoints": [
                {"addresses": ["10.0.0.1"], "conditions": {"ready": True}},
                {"addresses": ["10.0.0.2"], "conditions": {"ready": True}},
                {"addresses": ["10.0.0.3"], "conditions": {"ready": False}},
            ],
        },
    )
    answer = background.join()
    assert all(item["ready"] for item in answer["objects"]), answer


def test_collection_with_minimum(run: ModuleRunner, api_server: ApiServer) -> None:
    wanted = {"objects": [{"api_version": "v1", "kind": "Node", "minimum": 2}], "wait_timeout": 1}
    assert "0 of 2 exist" in run("k8s_wait", wanted)["msg"]
    for number in (1, 2):
        api_server.call("POST", "/api/v1/nodes", {"metadata": {"name": f"node-{number}"}})
    assert "node-1" in run("k8s_wait", wanted)["msg"]
    for number in (1, 2):
        api_server.patch_status(f"/api/v1/nodes/node-{number}", {"conditions": [{"type": "Ready", "status": "True"}]})
    assert run("k8s_wait", wanted)["objects"][0]["ready"]
    for number in (1, 2):
        api_server.call("DELETE", f"/api/v1/nodes/node-{number}")


def test_kind_that_is_not_served_yet(run: ModuleRunner, namespace: str) -> None:
    entry = target("Gadget", namespace, "one", "later.internal/v1")
    answer = run("k8s_wait", {"objects": [entry], "wait_timeout": 1})
    assert answer["failed"]
    assert "does not serve Gadget" in answer["msg"]
    assert run("k8s_wait", {"objects": [{**entry, "until": "deleted"}], "wait_timeout": 5})["objects"][0]["ready"]


def test_refused_permission(run: ModuleRunner, namespace: str, api_server: ApiServer) -> None:
    kubeconfig = str(api_server.user("watcher"))
    answer = run("k8s_wait", {"objects": [target("Deployment", namespace)]}, kubeconfig=kubeconfig)
    assert answer["failed"]
    for word in ("watcher", "list", "deployments", namespace):
        assert word in answer["msg"]


def test_server_restart_while_watching(run: ModuleRunner, namespace: str, api_server: ApiServer) -> None:
    entry = target("ConfigMap", namespace, "late", "v1", until="exists")
    background = InBackground(run, {"objects": [entry], "wait_timeout": 90, "retry_timeout": 60})
    time.sleep(1)
    api_server.stop_api()
    api_server.start_api()
    api_server.call("POST", f"/api/v1/namespaces/{namespace}/configmaps", {"metadata": {"name": "late"}})
    assert background.join()["objects"][0]["ready"]


def test_examples(namespace: str, api_server: ApiServer, tmp_path: Path) -> None:
    """The examples of the documentation, with everything that they wait for."""
    core, group = f"/api/v1/namespaces/{namespace}", "/apis/{}/namespaces/" + namespace
    running = {"conditions": [{"type": "Ready", "status": "True"}, {"type": "Initialized", "status": "True"}]}
    names = [f"node-{number}" for number in range(6)]
    try:
        for name in names:
            api_server.call("POST", "/api/v1/nodes", {"metadata": {"name": name}})
            api_server.patch_status(f"/api/v1/nodes/{name}", running)
        coredns = {**deployment(), "metadata": {"name": "coredns"}}
        api_server.call("POST", group.format("apps/v1") + "/deployments", coredns)
        api_server.patch_status(group.format("apps/v1") + "/deployments/coredns", rolled_out())
        endpoints = {
            "metadata": {"name": "kube-dns-1", "labels": {"kubernetes.io/service-name": "kube-dns"}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": ["192.0.2.1"]}, {"addresses": ["192.0.2.2"]}],
        }
        api_server.call("POST", group.format("discovery.k8s.io/v1") + "/endpointslices", endpoints)
        spec = {"containers": [{"name": "web", "image": "registry.test/web:1"}]}
        api_server.call("POST", f"{core}/pods", {"metadata": {"name": "web-0"}, "spec": spec})
        api_server.patch_status(f"{core}/pods/web-0", running)
        claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
        api_server.call("POST", f"{core}/persistentvolumeclaims", {"metadata": {"name": "data"}, "spec": claim})
        api_server.patch_status(f"{core}/persistentvolumeclaims/data", {"phase": "Bound"})
        tasks = examples("k8s_wait", {"namespace: shop": f"namespace: {namespace}", "kube-system": namespace})
        run_examples(tmp_path, tasks, api_server.kubeconfig)
    finally:
        for name in names:
            api_server.call("DELETE", f"/api/v1/nodes/{name}")
