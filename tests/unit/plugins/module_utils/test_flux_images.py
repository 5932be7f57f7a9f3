# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The last step of a reconciliation: what runs in the pods."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.onprem.platform.plugins.module_utils import _flux_images
from ansible_collections.onprem.platform.plugins.module_utils._flux_images import prove_images, workloads_of
from ansible_collections.onprem.platform.plugins.module_utils._kube_client import KubeClient
from ansible_collections.onprem.platform.plugins.module_utils._kube_config import Connection
from ansible_collections.onprem.platform.plugins.module_utils._kube_diagnose import Diagnoser
from ansible_collections.onprem.platform.plugins.module_utils._kube_errors import ForbiddenError
from ansible_collections.onprem.platform.plugins.module_utils._kube_resources import Resources
from ansible_collections.onprem.platform.plugins.module_utils._kube_wait import Waiter, WaitError
from ansible_collections.onprem.platform.tests.unit.plugins.fake_kube_api import FakeKubeApi, Fault, status

NEW, OLD, INIT = ("sha256:" + letter * 64 for letter in "abc")
LABELS = {"app": "web"}
PODS = "/api/v1/namespaces/f/pods"
DEPLOYMENT = "/apis/apps/v1/namespaces/f/deployments/web"


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeKubeApi]:
    monkeypatch.setattr(_flux_images, "_PAUSE", 0.1)
    server = FakeKubeApi()
    yield server
    server.close()


def flux(*identifiers: str, **spec: Any) -> dict[str, Any]:
    entries = [{"id": identifier, "v": "v1"} for identifier in identifiers]
    return {
        "kind": "Kustomization",
        "metadata": {"name": "x"},
        "spec": spec,
        "status": {"inventory": {"entries": entries}},
    }


def prove(api: FakeKubeApi, document: dict[str, Any], timeout: float = 10) -> list[dict[str, Any]]:
    client = KubeClient(Connection(host=api.url, retry_timeout=1))
    resources = Resources(client)
    waiter = Waiter(client, resources, Diagnoser(client, resources, 3, 0))
    return prove_images(client, resources, waiter, document, timeout)


def workload(kind: str = "Deployment", image: str = f"r.test/web:1@{NEW}", **more: Any) -> dict[str, Any]:
    """Return a workload with one pod, rolled out, as far as its status says."""
    counts = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
    template = {
        "initContainers": [{"name": "init", "image": f"r.test/init@{INIT}"}],
        "containers": [{"name": "web", "image": image}],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": "web", "namespace": "f", "generation": 1, "uid": "uid-web"},
        "spec": {"selector": {"matchLabels": LABELS}, "template": {"spec": template}, **more},
        "status": {"observedGeneration": 1, **dict.fromkeys(counts, 1)},
    }


def pod(digest: str, owner: str = "web-5d", **more: Any) -> dict[str, Any]:
    """Return a pod of a ReplicaSet, with a container beside those of the template."""
    names = {"web": f"r.test/web@{digest}" if digest else "", "injected": f"r.test/other@{OLD}"}
    return {
        "kind": "Pod",
        "metadata": {
            "labels": {**LABELS, "pod-template-hash": "5d"},
            "ownerReferences": [{"kind": "ReplicaSet", "name": owner, "uid": "uid-set", "controller": True}],
            **more,
        },
        "spec": {
            "initContainers": [{"name": "init", "image": "r.test/init"}],
            "containers": [{"name": name, "image": "r.test/any"} for name in names],
        },
        "status": {
            "initContainerStatuses": [{"name": "init", "imageID": f"r.test/init@{INIT}"}],
            "containerStatuses": [{"name": name, "imageID": value} for name, value in names.items()],
        },
    }


def test_the_inventory_names_the_workloads() -> None:
    found = workloads_of(flux("f_web_apps_Deployment", "f_web__Service", "_a_rbac.authorization.k8s.io_ClusterRole"))
    assert [str(target) for target in found] == ["Deployment f/web"]
    assert found[0].api_version == "apps/v1"
    assert workloads_of(flux("f_web_apps_Deployment", kubeConfig={"secretRef": {"name": "other"}})) == []
    assert workloads_of({}) == []


def test_nothing_is_asked_where_nothing_runs(api: FakeKubeApi) -> None:
    assert prove(api, flux("f_settings__ConfigMap")) == []
    assert api.log == []


def test_what_runs_is_what_the_template_names(api: FakeKubeApi) -> None:
    api.put(DEPLOYMENT, workload())
    api.put(f"{PODS}/web-5d-1", pod(NEW))
    # None of these counts: a pod of somebody else, one that goes, one without an owner, one that has not started.
    api.put(f"{PODS}/other-5d-1", pod(OLD, owner="other-5d"))
    api.put(f"{PODS}/web-5d-2", pod(OLD, deletionTimestamp="2026-01-01T00:00:00Z"))
    api.put(f"{PODS}/web-5d-3", {**pod(OLD), "metadata": {"labels": LABELS}})
    api.put(f"{PODS}/web-5d-4", pod(""))
    common = {"kind": "Deployment", "namespace": "f", "name": "web"}
    assert prove(api, flux("f_web_apps_Deployment")) == [
        {**common, "container": "init", "image": f"r.test/init@{INIT}", "running": [INIT]},
        {**common, "container": "web", "image": f"r.test/web:1@{NEW}", "running": [NEW]},
    ]
    assert api.writes == []


def test_another_digest_ends_in_failure(api: FakeKubeApi) -> None:
    api.put(DEPLOYMENT, workload())
    api.put(f"{PODS}/web-5d-1", pod(OLD))
    words = f"Deployment f/web: pod web-5d-1, container web runs {OLD} instead of {NEW}"
    with pytest.raises(WaitError, match=words):
        prove(api, flux("f_web_apps_Deployment"), 1)
    threading.Timer(0.5, api.put, (f"{PODS}/web-5d-1", pod(NEW))).start()
    assert prove(api, flux("f_web_apps_Deployment"))[1]["running"] == [NEW]


def test_a_rollout_is_waited_for(api: FakeKubeApi) -> None:
    """The old pod runs the old image, and that is no failure as long as it is being replaced."""
    rolling = workload()
    rolling["status"]["updatedReplicas"] = 0
    api.put(DEPLOYMENT, rolling)
    api.put(f"{PODS}/web-5d-1", pod(OLD))
    with pytest.raises(WaitError, match="0 of 1 replicas are of the new revision"):
        prove(api, flux("f_web_apps_Deployment"), 1)

    def finish() -> None:
        api.put(f"{PODS}/web-5d-1", pod(NEW))
        api.put(DEPLOYMENT, workload())

    threading.Timer(0.5, finish).start()
    assert prove(api, flux("f_web_apps_Deployment"))[1]["running"] == [NEW]


def test_a_workload_that_is_gone(api: FakeKubeApi) -> None:
    with pytest.raises(WaitError, match="Deployment f/web: it does not exist"):
        prove(api, flux("f_web_apps_Deployment"), 1)


def test_an_image_without_a_digest_is_reported(api: FakeKubeApi) -> None:
    api.put(DEPLOYMENT, workload(image="r.test/web:1"))
    api.put(f"{PODS}/web-5d-1", pod(OLD))
    api.put(f"{PODS}/web-5d-2", pod(NEW))
    assert prove(api, flux("f_web_apps_Deployment"))[1]["running"] == [NEW, OLD]


@pytest.mark.parametrize(
    "strategy", [{"type": "OnDelete"}, {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}]
)
def test_old_pods_that_may_stay(api: FakeKubeApi, strategy: dict[str, Any]) -> None:
    owner = {"ownerReferences": [{"kind": "StatefulSet", "name": "web", "uid": "uid-web", "controller": True}]}
    path = "/apis/apps/v1/namespaces/f/statefulsets/web"
    api.put(f"{PODS}/web-0", pod(OLD, **owner))
    api.put(path, workload("StatefulSet", updateStrategy=strategy))
    assert prove(api, flux("f_web_apps_StatefulSet"))[1]["running"] == [OLD]
    api.put(path, workload("StatefulSet"))
    with pytest.raises(WaitError, match="pod web-0, container web"):
        prove(api, flux("f_web_apps_StatefulSet"), 1)


def test_a_daemon_set_without_nodes_runs_nothing(api: FakeKubeApi) -> None:
    path = "/apis/apps/v1/namespaces/f/daemonsets/web"
    api.put(path, {**workload("DaemonSet"), "status": {"observedGeneration": 1, "desiredNumberScheduled": 0}})
    assert prove(api, flux("f_web_apps_DaemonSet"))[1]["running"] == []
    # Nobody has looked at this one yet.
    api.put(path, {**workload("DaemonSet"), "status": {}})
    with pytest.raises(WaitError, match="desiredNumberScheduled"):
        prove(api, flux("f_web_apps_DaemonSet"), 1)


def test_a_missing_permission_is_named(api: FakeKubeApi) -> None:
    api.put(DEPLOYMENT, workload())
    refused = 'pods is forbidden: User "u" cannot list resource "pods" in API group "" in the namespace "f"'
    api.faults.append(Fault("GET", PODS, 403, status(403, "Forbidden", refused), times=99))
    with pytest.raises(ForbiddenError, match="cannot list resource"):
        prove(api, flux("f_web_apps_Deployment"))
