# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""flux_* modules against a real API server with Flux's own CRDs; a thread writes the status as the controllers do."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.onprem.platform.tests.integration.k8s.examples import examples, run_examples

ApiServer = Any
ModuleRunner = Callable[..., dict[str, Any]]

PATHS = {
    "OCIRepository": "/apis/source.toolkit.fluxcd.io/v1/namespaces/{}/ocirepositories",
    "GitRepository": "/apis/source.toolkit.fluxcd.io/v1/namespaces/{}/gitrepositories",
    "Bucket": "/apis/source.toolkit.fluxcd.io/v1/namespaces/{}/buckets",
    "Kustomization": "/apis/kustomize.toolkit.fluxcd.io/v1/namespaces/{}/kustomizations",
    "HelmRelease": "/apis/helm.toolkit.fluxcd.io/v2/namespaces/{}/helmreleases",
}
pytestmark = pytest.mark.usefixtures("flux_definitions")
REQUESTED = "reconcile.fluxcd.io/requestedAt"
DIGEST = "sha256:" + "ab" * 32
OTHER_DIGEST = "sha256:" + "cd" * 32


def condition(kind: str, status: str, reason: str, generation: int, message: str = "") -> dict[str, Any]:
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": message,
        "observedGeneration": generation,
        "lastTransitionTime": "2026-01-01T00:00:10Z",
    }


class Controller:
    """Plays a Flux controller: hands each new generation or request of an object to ``react``, which writes status."""

    def __init__(self, api_server: ApiServer, kind: str, namespace: str, name: str, react: Callable[..., None]) -> None:
        self._api, self._react = api_server, react
        self.path = f"{PATHS[kind].format(namespace)}/{name}"
        self.handled: list[tuple[int, str]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                live = self._api.call("GET", self.path)
            except OSError:
                time.sleep(0.05)
                continue
            metadata = live["metadata"]
            state = (metadata["generation"], (metadata.get("annotations") or {}).get(REQUESTED, ""))
            if state not in self.handled:
                self.handled.append(state)
                self._react(self, live, *state)
            time.sleep(0.05)

    def status(self, token: str, **status: Any) -> None:
        if token:
            status["lastHandledReconcileAt"] = token
        self._api.patch_status(self.path, status)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(5)


@pytest.fixture
def play(api_server: ApiServer) -> Iterator[Callable[..., Controller]]:
    """Return ``play(kind, namespace, name, react)``."""
    started: list[Controller] = []

    def start(*arguments: Any) -> Controller:
        started.append(Controller(api_server, *arguments))
        return started[-1]

    yield start
    for controller in started:
        controller.stop()


def artifact(revision: str) -> dict[str, Any]:
    return {
        "path": "a",
        "url": "http://source.test/a",
        "revision": revision,
        "digest": "sha256:" + "00" * 32,
        "lastUpdateTime": "2026-01-01T00:00:00Z",
    }


def fetches(revision: str) -> Callable[..., None]:
    """A source that is reconciled in two steps."""

    def react(controller: Controller, live: dict[str, Any], generation: int, token: str) -> None:
        controller.status(token, conditions=[condition("Reconciling", "True", "Progressing", generation)])
        time.sleep(0.2)
        ready = condition("Ready", "True", "Succeeded", generation, "stored artifact")
        controller.status("", conditions=[ready])
        time.sleep(0.2)
        controller.status(token, observedGeneration=generation, conditions=[ready], artifact=artifact(revision))

    return react


def applies(revision: str) -> Callable[..., None]:
    """A Kustomization that is applied in two steps."""

    def react(controller: Controller, live: dict[str, Any], generation: int, token: str) -> None:
        running = [
            condition("Reconciling", "True", "Progressing", generation),
            condition("Ready", "Unknown", "Progressing", generation),
        ]
        controller.status(token, conditions=running)
        time.sleep(0.2)
        ready = condition("Ready", "True", "ReconciliationSucceeded", generation, f"Applied revision: {revision}")
        controller.status(token, observedGeneration=generation, conditions=[ready], lastAppliedRevision=revision)

    return react


def history(version: int, status: str, chart: str = "1.0.0", digest: str = DIGEST) -> dict[str, Any]:
    return {
        "name": "shop",
        "namespace": "shop",
        "version": version,
        "status": status,
        "chartName": "laravel",
        "chartVersion": chart,
        "ociDigest": digest,
        "digest": digest,
        "configDigest": digest,
        "firstDeployed": "2026-01-01T00:00:00Z",
        "lastDeployed": "2026-01-01T00:00:00Z",
        "deleted": None,
    }


def test_source_life(run: ModuleRunner, namespace: str, play: Callable[..., Controller], api_server: ApiServer) -> None:
    wanted: dict[str, Any] = {
        "kind": "OCIRepository",
        "name": "platform",
        "namespace": namespace,
        "url": "oci://registry.test:5000/tree",
        "ref": {"tag": "latest"},
        "interval": "1m",
        "cert_secret_name": "registry-ca",
    }
    missing = run("flux_source", {"kind": "OCIRepository", "name": "a", "interval": "1m"})
    assert "url" in missing["msg"]
    wrong = run("flux_source", {**wanted, "kind": "GitRepository"})
    assert "cert_secret_name" in wrong["msg"]
    planned = run("flux_source", wanted, check=True)
    assert (planned["changed"], planned["writes_seen"]) == (True, [])
    created = run("flux_source", wanted)
    assert created["object"]["result"] == "created"
    assert created["diff"] == planned["diff"]
    again = run("flux_source", wanted)
    assert (again["changed"], again["writes_seen"]) == (False, [])

    nobody = run("flux_source", {**wanted, "wait": True, "wait_timeout": 1})
    assert "has not been handled" in nobody["msg"]
    play("OCIRepository", namespace, "platform", fetches(f"latest@{DIGEST}"))
    waited = run("flux_source", {**wanted, "wait": True, "wait_timeout": 20})
    assert waited["flux"]["revision"] == f"latest@{DIGEST}"
    # A changed spec: the old Ready=True must not count.
    wanted["ref"] = {"tag": "next"}
    changed = run("flux_source", {**wanted, "wait": True, "wait_timeout": 20, "expected_revision": DIGEST})
    assert changed["changed"]
    assert changed["flux"]["ready"]
    never = run("flux_source", {**wanted, "wait": True, "wait_timeout": 1, "expected_revision": OTHER_DIGEST})
    assert f"instead of {OTHER_DIGEST}" in never["msg"]

    path = PATHS["OCIRepository"].format(namespace) + "/platform?fieldManager=kubectl-edit"
    api_server.call("PATCH", path, {"spec": {"interval": "9m"}}, "application/merge-patch+json")
    drifted = run("flux_source", wanted)
    assert "kubectl-edit" in drifted["msg"]
    assert run("flux_source", {**wanted, "force_conflicts": True})["changed"]
    assert not run("flux_source", wanted)["changed"]

    gone = {"kind": "OCIRepository", "name": "platform", "namespace": namespace, "state": "absent", "wait": True}
    assert run("flux_source", gone, check=True)["changed"]
    assert run("flux_source", gone)["object"]["result"] == "deleted"
    assert not run("flux_source", gone)["changed"]
    refused = run("flux_source", wanted, kubeconfig=str(api_server.user("flux-nobody")))
    for word in ("flux-nobody", "get", "ocirepositories", namespace):
        assert word in refused["msg"]


def test_other_sources(run: ModuleRunner, namespace: str) -> None:
    git = {
        "kind": "GitRepository",
        "name": "tree",
        "namespace": namespace,
        "interval": "1m",
        "url": "https://git.test/tree.git",
        "ref": {"branch": "main"},
        "ignore": "*.md",
        "timeout": "30s",
        "spec": {"recurseSubmodules": True},
    }
    assert run("flux_source", git)["changed"]
    assert not run("flux_source", git)["changed"]
    helm = {
        "kind": "HelmRepository",
        "name": "charts",
        "namespace": namespace,
        "interval": "1h",
        "type": "oci",
        "url": "oci://registry.test:5000/charts",
    }
    assert run("flux_source", {**helm, "wait": True, "wait_timeout": 5})["flux"]["ready"]
    assert not run("flux_source", helm)["changed"]
    bucket = {"kind": "Bucket", "name": "reports", "namespace": namespace, "interval": "5m", "prefix": "a/"}
    address = {"endpoint": "objects.test:9000", "bucket_name": "manifests"}
    assert "needs endpoint and bucket_name" in run("flux_source", bucket)["msg"]
    assert run("flux_source", {**bucket, **address})["changed"]
    again = run("flux_source", {**bucket, **address})
    assert (again["changed"], again["writes_seen"]) == (False, [])
    repeated = run("flux_source", {**git, "spec": {"url": "https://elsewhere.test"}})
    assert "spec repeats" in repeated["msg"]
    invalid = run("flux_source", {**git, "interval": "soon"})
    assert "spec.interval" in invalid["msg"]


def kustomization(namespace: str, **more: Any) -> dict[str, Any]:
    return {
        "name": "platform",
        "namespace": namespace,
        "source_ref": {"kind": "OCIRepository", "name": "platform"},
        "path": "./cluster",
        "prune": True,
        "interval": "10m",
        "wait_for_resources": True,
        "depends_on": [{"name": "storage"}],
        "substitute": {"replicas": 3},
        "substitute_from": [{"kind": "ConfigMap", "name": "settings"}],
        "images": [{"name": "web", "newTag": "1"}],
        **more,
    }


def source(run: ModuleRunner, namespace: str, name: str = "platform") -> None:
    params = {"kind": "OCIRepository", "name": name, "namespace": namespace, "interval": "1m", "url": "oci://r.test/a"}
    assert run("flux_source", params)["changed"]


def test_kustomization(run: ModuleRunner, namespace: str, play: Callable[..., Controller]) -> None:
    wanted = kustomization(namespace)
    assert "source_ref" in run("flux_kustomization", {"name": "a", "interval": "1m", "prune": True})["msg"]
    assert run("flux_kustomization", wanted)["changed"]
    again = run("flux_kustomization", wanted)
    assert (again["changed"], again["writes_seen"]) == (False, [])
    play("Kustomization", namespace, "platform", applies(f"latest@{DIGEST}"))
    answer = run("flux_kustomization", {**wanted, "wait": True, "expected_revision": "latest", "wait_timeout": 20})
    assert answer["flux"]["revision"] == f"latest@{DIGEST}"
    suspended = run("flux_kustomization", {**wanted, "suspend": True, "wait": True, "wait_timeout": 20})
    assert suspended["failed"]
    assert "suspended" in suspended["msg"]


def test_kustomization_that_waits_for_a_dependency(
    run: ModuleRunner, namespace: str, play: Callable[..., Controller]
) -> None:
    """Ready=False with Reconciling=True is on its way, and the timeout says what it waits for."""

    def blocked(controller: Controller, live: dict[str, Any], generation: int, token: str) -> None:
        waiting = [
            condition("Reconciling", "True", "ProgressingWithRetry", generation),
            condition("Ready", "False", "DependencyNotReady", generation, "dependency 'storage' is not ready"),
        ]
        controller.status(token, conditions=waiting)

    play("Kustomization", namespace, "platform", blocked)
    answer = run("flux_kustomization", kustomization(namespace, wait=True, wait_timeout=2))
    assert answer["failed"]
    assert "not ready after 2 s" in answer["msg"]
    assert "dependency 'storage' is not ready" in answer["msg"]


def release(namespace: str, **more: Any) -> dict[str, Any]:
    return {
        "name": "shop",
        "namespace": namespace,
        "chart_ref": {"kind": "OCIRepository", "name": "laravel"},
        "interval": "10m",
        "timeout": "5m",
        "values": {"replicas": 2, "password": "canary-value-7c1"},
        "values_from": [{"kind": "Secret", "name": "shop-values"}],
        "install": {"crds": "CreateReplace"},
        "upgrade": {"remediation": {"retries": 1, "strategy": "rollback"}},
        "drift_detection": {
            "mode": "enabled",
            "ignore": [{"paths": ["/spec/replicas"], "target": {"kind": "Deployment"}}],
        },
        "hidden_fields": ["spec.values.password"],
        **more,
    }


def releases(chart: str, digest: str) -> Callable[..., None]:
    def react(controller: Controller, live: dict[str, Any], generation: int, token: str) -> None:
        running = [
            condition("Reconciling", "True", "Progressing", generation),
            condition("Ready", "Unknown", "Progressing", generation),
        ]
        controller.status(token, conditions=running)
        time.sleep(0.2)
        controller.status(
            token,
            observedGeneration=generation,
            conditions=[
                condition("Ready", "True", "UpgradeSucceeded", generation, "Helm upgrade succeeded"),
                condition("Released", "True", "UpgradeSucceeded", generation),
                condition("Drifted", "False", "NoDriftDetected", generation),
            ],
            history=[history(1, "deployed", chart, digest)],
            lastAttemptedRevision=f"{chart}+{digest[7:19]}",
        )

    return react


def test_helm_release(run: ModuleRunner, namespace: str, play: Callable[..., Controller]) -> None:
    wanted = release(namespace)
    created = run("flux_helm_release", wanted)
    assert created["changed"]
    again = run("flux_helm_release", wanted)
    assert (again["changed"], again["writes_seen"]) == (False, [])
    play("HelmRelease", namespace, "shop", releases("1.0.0", DIGEST))
    changed = {**wanted, "values": {"replicas": 3, "password": "canary-value-7c1-new"}}
    answer = run("flux_helm_release", {**changed, "wait": True, "expected_revision": "1.0.0", "wait_timeout": 20})
    assert answer["flux"]["ready"], answer
    assert "(changed)" in answer["diff"][0]["after"]
    assert "canary-value" not in json.dumps([created, again, answer])
    both = run("flux_helm_release", {**wanted, "chart": {"spec": {}}})
    assert "mutually exclusive" in both["msg"]


def test_rolled_back_release_is_a_failure(run: ModuleRunner, namespace: str, play: Callable[..., Controller]) -> None:
    """The pods are healthy again, the history's newest entry is deployed, and still the new revision has failed."""

    def rolls_back(controller: Controller, live: dict[str, Any], generation: int, token: str) -> None:
        running = [condition("Reconciling", "True", "Progressing", generation)]
        controller.status(token, conditions=running)
        time.sleep(0.2)
        failed_entry = history(2, "failed", "2.0.0")
        controller.status(
            token,
            observedGeneration=generation,
            conditions=[
                condition("Stalled", "True", "RetriesExceeded", generation, "Failed to upgrade after 1 attempt(s)"),
                condition("Ready", "False", "RollbackSucceeded", generation, "Helm rollback succeeded"),
                condition(
                    "Released", "False", "UpgradeFailed", generation, "job shop-expand failed: BackoffLimitExceeded"
                ),
                condition("Remediated", "True", "RollbackSucceeded", generation, "Helm rollback to v1 succeeded"),
            ],
            history=[history(3, "deployed"), failed_entry, history(1, "superseded")],
            lastAttemptedRevision="2.0.0+abababababab",
        )

    play("HelmRelease", namespace, "shop", rolls_back)
    answer = run("flux_helm_release", release(namespace, wait=True, wait_timeout=20))
    assert answer["failed"]
    for word in ("2.0.0", "BackoffLimitExceeded", "RollbackSucceeded", "recovered 2026-01-01T00:00:10Z"):
        assert word in answer["msg"], answer["msg"]


def test_reconcile_takes_the_source_first(
    run: ModuleRunner, namespace: str, play: Callable[..., Controller], api_server: ApiServer
) -> None:
    source(run, namespace)
    run("flux_kustomization", kustomization(namespace))
    order: list[str] = []

    def noting(kind: str, react: Callable[..., None]) -> Callable[..., None]:
        def noted(controller: Controller, live: dict[str, Any], generation: int, token: str) -> None:
            if token:
                order.append(kind)
            react(controller, live, generation, token)

        return noted

    play("OCIRepository", namespace, "platform", noting("source", fetches(f"latest@{DIGEST}")))
    play("Kustomization", namespace, "platform", noting("kustomization", applies(f"latest@{DIGEST}")))
    wanted = {"kind": "Kustomization", "name": "platform", "namespace": namespace, "wait_timeout": 20}
    planned = run("flux_reconcile", wanted, check=True)
    assert (planned["changed"], planned["writes_seen"]) == (True, [])
    answer = run("flux_reconcile", wanted)
    assert answer["flux"]["revision"] == f"latest@{DIGEST}", answer
    assert order == ["source", "kustomization"]
    needless = run("flux_reconcile", {**wanted, "expected_revision": DIGEST})
    assert (needless["changed"], needless["writes_seen"]) == (False, [])
    live = api_server.call("GET", PATHS["Kustomization"].format(namespace) + "/platform")
    managers = {entry["manager"] for entry in live["metadata"]["managedFields"]}
    assert "flux-client-side-apply" in managers
    # The next apply leaves the request alone.
    assert not run("flux_kustomization", kustomization(namespace))["changed"]


def test_reconcile_does_not_accept_the_old_revision(
    run: ModuleRunner, namespace: str, play: Callable[..., Controller]
) -> None:
    source(run, namespace)
    run("flux_kustomization", kustomization(namespace))
    play("OCIRepository", namespace, "platform", fetches(f"latest@{OTHER_DIGEST}"))
    play("Kustomization", namespace, "platform", applies(f"latest@{DIGEST}"))
    wanted = {"kind": "Kustomization", "name": "platform", "namespace": namespace, "wait_timeout": 4}
    answer = run("flux_reconcile", wanted)
    assert answer["failed"]
    assert f"at revision latest@{DIGEST} instead of latest@{OTHER_DIGEST}" in answer["msg"]


def test_reconcile_of_a_release_proves_the_digest(
    run: ModuleRunner, namespace: str, play: Callable[..., Controller]
) -> None:
    source(run, namespace, "laravel")
    run("flux_helm_release", release(namespace))
    play("OCIRepository", namespace, "laravel", fetches(f"1.0.0@{DIGEST}"))
    play("HelmRelease", namespace, "shop", releases("1.0.0", DIGEST))
    wanted = {"kind": "HelmRelease", "name": "shop", "namespace": namespace, "wait_timeout": 20, "reset": True}
    assert run("flux_reconcile", wanted)["flux"]["ready"]


def test_reconcile_proves_what_runs(
    run: ModuleRunner, namespace: str, play: Callable[..., Controller], api_server: ApiServer
) -> None:
    """The revision has been applied, and a pod runs another image: that is not the end."""
    image, labels = f"registry.test/web@{DIGEST}", {"app": "web"}
    container = {"name": "web", "image": image}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    apps, core = f"/apis/apps/v1/namespaces/{namespace}/deployments", f"/api/v1/namespaces/{namespace}/pods"
    spec = {"selector": {"matchLabels": labels}, "template": template}
    api_server.call("POST", apps, {"metadata": {"name": "web"}, "spec": spec})
    counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), 1)
    api_server.patch_status(f"{apps}/web", {"observedGeneration": 1, **counts})
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-5d", "uid": "a", "controller": True}
    metadata = {"name": "web-5d-1", "labels": {**labels, "pod-template-hash": "5d"}, "ownerReferences": [owner]}
    api_server.call("POST", core, {"metadata": metadata, "spec": {"containers": [container]}})

    def start(digest: str) -> None:
        state = {"name": "web", "image": image, "imageID": f"registry.test/web@{digest}", "ready": True}
        api_server.patch_status(f"{core}/web-5d-1", {"containerStatuses": [{**state, "restartCount": 0}]})

    def applies_workload(controller: Controller, live: dict[str, Any], generation: int, token: str) -> None:
        inventory = {"entries": [{"id": f"{namespace}_web_apps_Deployment", "v": "v1"}]}
        controller.status(token, inventory=inventory)
        applies(f"latest@{DIGEST}")(controller, live, generation, token)

    source(run, namespace)
    play("OCIRepository", namespace, "platform", fetches(f"latest@{DIGEST}"))
    play("Kustomization", namespace, "platform", applies_workload)
    start(OTHER_DIGEST)
    kept = run("flux_kustomization", kustomization(namespace, wait=True, wait_timeout=4))
    assert kept["failed"] and kept["object"]["result"] == "created"
    words = f"Deployment {namespace}/web: pod web-5d-1, container web runs {OTHER_DIGEST} instead of {DIGEST}"
    assert words in kept["msg"], kept["msg"]
    wanted = {"kind": "Kustomization", "name": "platform", "namespace": namespace, "expected_revision": DIGEST}
    needless = run("flux_reconcile", {**wanted, "wait_timeout": 4})
    assert words in needless["msg"], needless["msg"]
    assert "images" not in run("flux_reconcile", {**wanted, "verify_images": False})
    start(DIGEST)
    answer = run("flux_reconcile", {**wanted, "wait_timeout": 20})
    assert (answer["changed"], answer["writes_seen"]) == (False, [])
    place = {"kind": "Deployment", "namespace": namespace, "name": "web", "container": "web"}
    assert answer["images"] == [{**place, "image": image, "running": [DIGEST]}]


def test_reconcile_failures(run: ModuleRunner, namespace: str, play: Callable[..., Controller]) -> None:
    wanted = {"kind": "Kustomization", "name": "platform", "namespace": namespace, "wait_timeout": 2}
    absent = run("flux_reconcile", wanted)
    assert "not found" in absent["msg"]
    source(run, namespace)
    run("flux_kustomization", kustomization(namespace, suspend=True))
    start = time.monotonic()
    suspended = run("flux_reconcile", {**wanted, "wait_timeout": 60})
    assert "suspended" in suspended["msg"]
    assert time.monotonic() - start < 30
    assert suspended["writes_seen"] == []

    def unreachable(controller: Controller, live: dict[str, Any], generation: int, token: str) -> None:
        broken = [
            condition("Reconciling", "True", "ProgressingWithRetry", generation),
            condition("Ready", "False", "OCIArtifactPullFailed", generation, "dial tcp: connection refused"),
        ]
        controller.status(token, conditions=broken)

    run("flux_kustomization", kustomization(namespace, suspend=False))
    play("OCIRepository", namespace, "platform", unreachable)
    answer = run("flux_reconcile", wanted)
    assert "connection refused" in answer["msg"]


def test_suspend(run: ModuleRunner, namespace: str, play: Callable[..., Controller], api_server: ApiServer) -> None:
    source(run, namespace)
    wanted = {"kind": "OCIRepository", "name": "platform", "namespace": namespace, "wait_timeout": 20}
    planned = run("flux_suspend", wanted, check=True)
    assert (planned["changed"], planned["writes_seen"]) == (True, [])
    suspended = run("flux_suspend", {**wanted, "wait": True})
    assert (suspended["flux"]["suspended"], len(suspended["writes_seen"])) == (True, 1)
    assert suspended["diff"] == planned["diff"]
    again = run("flux_suspend", wanted)
    assert (again["changed"], again["writes_seen"]) == (False, [])
    # Who describes the object without "suspend" leaves it alone.
    params = {"kind": "OCIRepository", "name": "platform", "namespace": namespace, "interval": "1m"}
    assert not run("flux_source", {**params, "url": "oci://r.test/a"})["changed"]
    play("OCIRepository", namespace, "platform", fetches(f"latest@{DIGEST}"))
    resumed = run("flux_suspend", {**wanted, "state": "resumed", "wait": True})
    assert (resumed["changed"], resumed["flux"]["ready"]) == (True, True), resumed
    assert "suspend" not in api_server.call("GET", PATHS["OCIRepository"].format(namespace) + "/platform")["spec"]
    # And whoever sets it in the description meets no other owner.
    described = run("flux_source", {**params, "url": "oci://r.test/a", "suspend": False})
    assert not described.get("failed"), described
    refused = run("flux_suspend", wanted, kubeconfig=str(api_server.user("nobody-suspends")))
    for word in ("nobody-suspends", "get", "ocirepositories", namespace):
        assert word in refused["msg"]
    assert "not found" in run("flux_suspend", {**wanted, "name": "none"})["msg"]


CANARY = "canary-3d7c-never-shown"


def test_no_secret_at_the_highest_verbosity(api_server: ApiServer, namespace: str, tmp_path: Path) -> None:
    """ansible-playbook -vvv --diff over everything that takes a secret, with success and with failures."""
    config = yaml.safe_load(api_server.kubeconfig.read_text())
    config["users"][0]["user"]["token"] = f"{CANARY}-token"
    key = config["users"][0]["user"]["client-key-data"]
    encoded = base64.b64encode(CANARY.encode()).decode()
    meta = {"name": "login", "namespace": namespace}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": {"password": CANARY}}
    changed = {**secret, "stringData": {"password": f"{CANARY}-2", "more": CANARY}}
    bad = {**secret, "data": {"bad key!": encoded}}
    nameless = {**secret, "metadata": {}}
    broken = f"kind: Secret\nstringData: {{password: {CANARY}\n"
    template = tmp_path / "secret.yml.j2"
    template.write_text(yaml.safe_dump(secret).replace(CANARY, "{{ password }}"))
    hidden = release(namespace, values={"password": CANARY}, spec={"persistentClient": True})
    substitute = {"substitute": {"password": CANARY}, "hidden_fields": ["spec.postBuild.substitute"]}
    rendered = "{{ lookup('ansible.builtin.template', '" + str(template) + "') }}"

    def task(module: str, fails: bool = False, **options: Any) -> dict[str, Any]:
        found = {f"onprem.platform.{module}": options}
        return {**found, "register": "found", "failed_when": "found is not failed"} if fails else found

    tasks = [
        task("k8s_apply", definition=secret),
        task("k8s_apply", definition=rendered),
        task("k8s_apply", definition=[changed]),
        task("k8s_apply", True, definition=bad),
        task("k8s_apply", True, definition=nameless),
        task("k8s_apply", True, definition=broken),
        task("k8s_apply", definition=secret, state="absent"),
        task("flux_helm_release", **hidden),
        task("flux_helm_release", **{**hidden, "values": {"password": f"{CANARY}-2"}}),
        task("flux_helm_release", True, **{**hidden, "interval": f"{CANARY}-not-hidden"[:6]}),
        task("flux_helm_release", True, **{**hidden, "spec": {"interval": "1m", "secret": CANARY}}),
        task("flux_kustomization", **kustomization(namespace, **substitute)),
        task("flux_kustomization", True, **kustomization(namespace, **substitute, spec={"prune": CANARY})),
        task("flux_info", namespace=namespace),
        task("k8s_apply", True, definition=secret, host="https://127.0.0.1:9", api_key=CANARY, retry_timeout=0),
    ]
    defaults = {"group/onprem.platform.k8s": {"kubeconfig": "{{ config }}"}}
    play = {"hosts": "localhost", "gather_facts": False, "module_defaults": defaults, "tasks": tasks}
    playbook = tmp_path / "play.yml"
    playbook.write_text(yaml.safe_dump([{**play, "vars_files": ["vars.yml"]}], sort_keys=False))
    (tmp_path / "vars.yml").write_text(yaml.safe_dump({"config": config, "password": CANARY}))
    root = Path(__file__).resolve().parents[3]
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "localhost,", "-c", "local"]
    done = subprocess.run(
        [*command, "-vvv", "--diff", "-e", f"ansible_python_interpreter={sys.executable}", str(playbook)],
        cwd=root,
        env={**os.environ, "ANSIBLE_CONFIG": str(root / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0, output[-3000:]
    assert f"ok={len(tasks)}" in output and "+++" in output and "(changed)" in output
    for value in (CANARY, encoded, encoded[:16], key):
        assert value not in output, next(line for line in output.splitlines() if value in line)[:2000]


def test_info(run: ModuleRunner, namespace: str, play: Callable[..., Controller], api_server: ApiServer) -> None:
    source(run, namespace)
    run("flux_kustomization", kustomization(namespace))
    before = run("flux_info", {"namespace": namespace})
    assert [item["kind"] for item in before["objects"]] == ["OCIRepository", "Kustomization"]
    assert not before["ready"]
    play("OCIRepository", namespace, "platform", fetches(f"latest@{DIGEST}"))
    play("Kustomization", namespace, "platform", applies(f"latest@{DIGEST}"))
    deadline = time.monotonic() + 10
    while not run("flux_info", {"namespace": namespace})["ready"]:
        assert time.monotonic() < deadline
    named = run("flux_info", {"namespace": namespace, "name": "platform", "kinds": ["Kustomization"]})
    assert named["objects"][0]["revision"] == f"latest@{DIGEST}"
    assert named["writes_seen"] == []


def test_examples(api_server: ApiServer, play: Callable[..., Controller], tmp_path: Path) -> None:
    """The examples of all Flux modules, one after the other, as they stand in the documentation."""
    for name in ("flux-system", "shop"):
        with contextlib.suppress(OSError):  # it exists
            api_server.call("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    tree = examples("flux_reconcile", {})[0]["onprem.platform.flux_reconcile"]["expected_revision"]
    reference = {"kind": "OCIRepository", "name": "platform"}
    platform = {
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": {"name": "platform"},
        "spec": {"interval": "1m", "prune": True, "sourceRef": reference},
    }
    api_server.call("POST", PATHS["Kustomization"].format("flux-system"), platform)
    play("OCIRepository", "flux-system", "platform", fetches(tree))
    play("OCIRepository", "flux-system", "laravel", fetches(f"1.0.0@{DIGEST}"))
    for name in ("platform", "data"):
        play("Kustomization", "flux-system", name, applies(tree))
    play("HelmRelease", "shop", "shop", releases("1.0.0", DIGEST))
    modules = ("source", "kustomization", "helm_release", "reconcile", "suspend", "info")
    try:
        run_examples(
            tmp_path, [task for name in modules for task in examples(f"flux_{name}", {})], api_server.kubeconfig
        )
        live = api_server.call("GET", PATHS["HelmRelease"].format("shop") + "/shop")
        assert live["status"]["lastHandledReconcileAt"] == live["metadata"]["annotations"][REQUESTED]
        assert live["metadata"]["annotations"]["reconcile.fluxcd.io/resetAt"]
        assert "suspend" not in live["spec"]
    finally:
        for path in PATHS.values():
            for name in ("flux-system", "shop"):
                api_server.call("DELETE", path.format(name))
