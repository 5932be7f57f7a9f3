# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Flux modules and the real controllers: what goes well, what goes wrong, and what the messages say then.

The tests run in the order of this file, in one namespace that is removed at the end; their artifacts stay in the lab's
registry. The last test kills a controller.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.onprem.platform.tests.faults.observability_lab import eventually
from ansible_collections.onprem.platform.tests.faults.platform_lab import BUNDLE, ROOT

REGISTRY = "registry.platform.internal:5000"
NAMESPACE = "flux-faults"
TREE, CHART = "faults/tree", "faults/chart"
MODULE_PROCESS = ROOT / "tests" / "integration" / "k8s" / "module_process.py"
LABELS = {"pod-security.kubernetes.io/enforce": "restricted"}
MISSING = "sha256:" + "ff" * 32

SETTINGS = """
apiVersion: v1
kind: ConfigMap
metadata: {name: "{{ .Release.Name }}"}
data:
  colour: {{ .Values.colour }}
  version: "{{ .Chart.Version }}"
{{- if eq .Values.colour "impossible" }}{{ fail "the colour is impossible" }}{{ end }}
"""
# The hook takes its time and ends as the ConfigMap "switch" says.
HOOK = """
apiVersion: batch/v1
kind: Job
metadata:
  name: "{{ .Release.Name }}-hook"
  annotations: {helm.sh/hook: pre-upgrade, helm.sh/hook-delete-policy: before-hook-creation}
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      automountServiceAccountToken: false
      securityContext: {runAsNonRoot: true, runAsUser: 65532, seccompProfile: {type: RuntimeDefault}}
      containers:
        - name: hook
          image: "{{ .Values.image }}"
          command: [sh, -c, 'sleep "$SECONDS_TO_RUN"; exit "$OUTCOME"']
          envFrom: [{configMapRef: {name: switch}}]
          securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
"""


class Lab:
    """A converged platform, and modules that run against it as Ansible runs them."""

    def __init__(self, directory: Path) -> None:
        self.kubeconfig = directory / "state" / "kubeconfig"
        self._state = directory / "state"
        nodes = json.loads((directory / "lab.json").read_text())["nodes"]
        self.registries = [f"{one['address']}:5001" for one in nodes if one["group"] == "control_plane"]

    def run(self, module: str, kubernetes: bool = True, **params: Any) -> dict[str, Any]:
        """Run a module and return its result."""
        connection = {"kubeconfig": str(self.kubeconfig)} if kubernetes else {}
        done = subprocess.run(
            [sys.executable, str(MODULE_PROCESS), module],
            input=json.dumps({**connection, **params, "_ansible_diff": True}),
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": str(ROOT / ".build" / "collections")},
        )
        assert done.stdout.strip(), done.stderr
        result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
        return result

    def good(self, module: str, **params: Any) -> dict[str, Any]:
        """Run a module that has to succeed."""
        result = self.run(module, **params)
        assert not result.get("failed"), result["msg"]
        return result

    def bad(self, module: str, **params: Any) -> str:
        """Run a module that has to fail, and return its message."""
        result = self.run(module, **params)
        assert result.get("failed"), result
        return str(result["msg"])

    def apply(self, *documents: dict[str, Any], **params: Any) -> dict[str, Any]:
        """Apply objects."""
        return self.good("k8s_apply", definition=list(documents), namespace=NAMESPACE, **params)

    def push(self, **params: Any) -> dict[str, Any]:
        """Push an artifact to every registry."""
        client = {
            "registries": self.registries,
            "ca_cert": str(self._state / "ca.crt"),
            "client_cert": str(self._state / "registry-push.crt"),
            "client_key": str(self._state / "registry-push.key"),
        }
        return self.good("oci_artifact", kubernetes=False, **client, **params)

    def kubectl(self, *arguments: str) -> str:
        """Run kubectl in the tests' namespace and return what it prints."""
        command = [str(BUNDLE / "files/kubectl"), f"--kubeconfig={self.kubeconfig}", f"--namespace={NAMESPACE}"]
        return subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=120, check=True).stdout

    def data(self, name: str) -> dict[str, str]:
        """Return the data of a ConfigMap; empty if there is none."""
        text = self.kubectl("get", "configmap", name, "--ignore-not-found", "-o", "json")
        return dict(json.loads(text).get("data") or {}) if text.strip() else {}


@pytest.fixture(scope="module")
def lab(converged: Path) -> Iterator[Lab]:
    """A lab with the tests' namespace."""
    found = Lab(converged)
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": LABELS}}
    found.good("k8s_apply", definition=space)
    yield found
    found.good("k8s_apply", definition=space, state="absent", wait=True, wait_timeout=600)


@pytest.fixture(scope="module")
def image() -> str:
    """The reference of the image that has a shell."""
    return image_reference("toolbox")


def image_reference(name: str) -> str:
    """Return the reference of an image of the bundle."""
    entries = json.loads((BUNDLE / "index.json").read_text())["entries"]
    entry = next(one for one in entries if one["kind"] == "image" and one["name"] == name)
    return f"{REGISTRY}/{entry['repository']}@{entry['digest']}"


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def tree(lab: Lab, **colours: str) -> dict[str, Any]:
    """Push a tree of ConfigMaps under one and the same tag."""
    files = {f"objects/{name}.yaml": yaml.safe_dump(config_map(name, colour=value)) for name, value in colours.items()}
    return lab.push(repository=TREE, tag="main", files=files)


def source(name: str, **more: Any) -> dict[str, Any]:
    """Return the options of a source."""
    url = f"oci://{REGISTRY}/{TREE}"
    common = {"kind": "OCIRepository", "name": name, "namespace": NAMESPACE, "url": url, "ref": {"tag": "main"}}
    return {**common, "interval": "1h", "timeout": "20s", "wait": True, "wait_timeout": 180, **more}


def kustomization(name: str, **more: Any) -> dict[str, Any]:
    """Return the options of a Kustomization."""
    common = {"name": name, "namespace": NAMESPACE, "path": "./objects", "prune": True, "interval": "1h"}
    common |= {"source_ref": {"kind": "OCIRepository", "name": "tree"}, "target_namespace": NAMESPACE}
    return {**common, "retry_interval": "5s", "timeout": "2m", "wait": True, "wait_timeout": 240, **more}


def named(kind: str, name: str, **more: Any) -> dict[str, Any]:
    """Return the options that name an object."""
    return {"kind": kind, "name": name, "namespace": NAMESPACE, "wait_timeout": 240, **more}


# --- trees -----------------------------------------------------------------------------------------------------------
def test_a_tree_is_fetched_and_applied(lab: Lab) -> None:
    pushed = tree(lab, first="blue", second="blue")
    fetched = lab.good("flux_source", **source("tree"))
    assert fetched["flux"]["revision"] == pushed["revision"]
    applied = lab.good("flux_kustomization", **kustomization("tree"), expected_revision=pushed["revision"])
    assert applied["flux"]["ready"]
    assert lab.data("first") == lab.data("second") == {"colour": "blue"}
    for module, options in (("flux_source", source("tree")), ("flux_kustomization", kustomization("tree"))):
        again = lab.good(module, **options)
        assert (again["changed"], again["writes"]) == (False, 0)


def test_what_runs_is_what_was_pushed(lab: Lab, image: str) -> None:
    """Flux itself does not wait for the workload here: the proof of the images does."""
    container: dict[str, Any] = {"name": "sleep", "image": image, "command": ["sleep", "3600"]}
    container["securityContext"] = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    confined = {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}}
    pod = {"containers": [container], "securityContext": confined, "terminationGracePeriodSeconds": 0}
    labels = {"app": "sleep"}
    workload = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "sleep"},
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}},
    }
    pushed = lab.push(repository=TREE, tag="workload", files={"objects/sleep.yaml": yaml.safe_dump(workload)})
    lab.good("flux_source", **source("workload", ref={"tag": "workload"}))
    reference = {"kind": "OCIRepository", "name": "workload"}
    options = kustomization("workload", source_ref=reference, expected_revision=pushed["digest"])
    applied = lab.good("flux_kustomization", **options)
    place = {"kind": "Deployment", "namespace": NAMESPACE, "name": "sleep", "container": "sleep"}
    assert applied["images"] == [{**place, "image": image, "running": [image.rpartition("@")[2]]}]
    again = lab.good("flux_reconcile", **named("Kustomization", "workload", expected_revision=pushed["digest"]))
    assert (again["changed"], again["images"]) == (False, applied["images"])
    # Somebody changes the image of the pod itself: the workload is as Flux wants it, and something else runs.
    pod_name = lab.kubectl("get", "pods", "--selector=app=sleep", "-o", "name").strip()
    other = image_reference("mariadb")
    lab.kubectl("set", "image", pod_name, f"sleep={other}")
    state = "jsonpath={.status.containerStatuses[0].imageID} {.status.containerStatuses[0].ready}"
    there = f"{other.rpartition('@')[2]} true"
    assert eventually(lambda: there in lab.kubectl("get", pod_name, "-o", state), "the other image runs", 180)
    wanted = {**named("Kustomization", "workload"), "expected_revision": pushed["digest"], "wait_timeout": 20}
    message = lab.bad("flux_reconcile", **wanted)
    digests = [text.rpartition("@")[2] for text in (other, image)]
    assert f"container sleep runs {digests[0]} instead of {digests[1]}" in message, message
    lab.good("flux_kustomization", name="workload", namespace=NAMESPACE, state="absent", wait=True)


def test_a_moved_tag_comes_through_at_once(lab: Lab) -> None:
    """The interval is an hour: only the request of flux_reconcile can bring it."""
    before = tree(lab, first="blue", second="blue")
    moved = tree(lab, first="red")
    assert (moved["changed"], moved["moved_from"]) == (True, [before["digest"]])
    assert not tree(lab, first="red")["changed"]
    wanted = named("Kustomization", "tree", expected_revision=moved["digest"])
    reconciled = lab.good("flux_reconcile", **wanted)
    assert reconciled["flux"]["revision"] == moved["revision"]
    assert lab.data("first") == {"colour": "red"}
    assert lab.data("second") == {}, "pruned by Flux"
    needless = lab.good("flux_reconcile", **wanted)
    assert (needless["changed"], needless["writes"]) == (False, 0)


def test_drift_of_a_tree_is_corrected(lab: Lab) -> None:
    lab.kubectl("delete", "configmap", "first")
    lab.good("flux_reconcile", **named("Kustomization", "tree"))
    assert lab.data("first") == {"colour": "red"}


def test_objects_of_flux_are_not_for_k8s_apply(lab: Lab) -> None:
    message = lab.bad("k8s_apply", definition=[config_map("first", colour="green")], namespace=NAMESPACE)
    assert f"managed by the Flux Kustomization {NAMESPACE}/tree" in message


def test_suspended_objects(lab: Lab) -> None:
    assert lab.good("flux_suspend", **named("Kustomization", "tree"), wait=True)["flux"]["suspended"]
    assert not lab.good("flux_suspend", **named("Kustomization", "tree"))["changed"]
    assert "is suspended" in lab.bad("flux_reconcile", **named("Kustomization", "tree"))
    assert not lab.good("flux_kustomization", **kustomization("tree", wait=False))["changed"]
    lab.kubectl("delete", "configmap", "first")
    resumed = lab.good("flux_suspend", **named("Kustomization", "tree"), state="resumed", wait=True)
    assert (resumed["changed"], resumed["flux"]["ready"]) == (True, True)
    assert lab.data("first") == {"colour": "red"}


def test_a_dependency_that_is_not_ready(lab: Lab) -> None:
    broken = kustomization("broken", path="./nowhere", wait_timeout=30)
    assert "nowhere" in lab.bad("flux_kustomization", **broken)
    waiting = kustomization("waiting", depends_on=[{"name": "broken"}], wait_timeout=12)
    message = lab.bad("flux_kustomization", **waiting)
    assert "not ready after 12 s" in message and "DependencyNotReady" in message and "broken" in message
    found = {one["name"]: one["state"] for one in lab.good("flux_info", namespace=NAMESPACE)["objects"]}
    assert found["waiting"] == "progressing"
    assert lab.good("flux_kustomization", **kustomization("broken"))["flux"]["ready"]
    assert lab.good("flux_kustomization", **{**waiting, "wait_timeout": 240})["flux"]["ready"]
    for name in ("waiting", "broken"):
        gone = lab.good("flux_kustomization", name=name, namespace=NAMESPACE, state="absent", wait=True)
        assert gone["object"]["result"] == "deleted"


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("digest", {"ref": {"digest": MISSING}}, (MISSING[7:], "OCIArtifactPullFailed")),
        ("repository", {"url": f"oci://{REGISTRY}/faults/nothing"}, ("faults/nothing", "OCIArtifactPullFailed")),
        (
            "unreachable",
            # Nothing answers there: source-controller gives up after 90 s on idle machines, whatever timeout says.
            {"url": "oci://registry.platform.internal:5999/faults/tree", "wait_timeout": 240},
            ("5999",),
        ),
    ],
)
def test_sources_that_cannot_be_fetched(lab: Lab, name: str, options: dict[str, Any], words: tuple[str, ...]) -> None:
    """Flux goes on trying, so it is the wait that ends; its message has Flux' reason."""
    message = lab.bad("flux_source", **source(name, **{"timeout": "5s", "wait_timeout": 30, **options}))
    for word in words:
        assert word in message, message
    lab.good("flux_source", kind="OCIRepository", name=name, namespace=NAMESPACE, state="absent", wait=True)


def test_an_expected_revision_that_does_not_come(lab: Lab) -> None:
    message = lab.bad(
        "flux_reconcile", **{**named("OCIRepository", "tree"), "wait_timeout": 15}, expected_revision=MISSING
    )
    assert f"instead of {MISSING}" in message


# --- releases --------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def release(lab: Lab, image: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, Any]]:
    """Return ``release(version, ...)``: push the chart, point its source there, and return the release's options."""
    directory = tmp_path_factory.mktemp("chart")
    (directory / "templates").mkdir()
    (directory / "Chart.yaml").write_text("apiVersion: v2\nname: chart\nversion: 0.0.0\n")
    (directory / "values.yaml").write_text("colour: blue\n")
    (directory / "templates" / "settings.yaml").write_text(SETTINGS)
    (directory / "templates" / "hook.yaml").write_text(HOOK)
    selector = {"mediaType": "application/vnd.cncf.helm.chart.content.v1.tar+gzip", "operation": "copy"}

    def make(version: str, **more: Any) -> dict[str, Any]:
        values = {"image": image}
        lab.push(type="helm", repository=CHART, path=str(directory), chart_version=version, chart_values=values)
        lab.good(
            "flux_source",
            **source("chart", url=f"oci://{REGISTRY}/{CHART}", ref={"tag": version}, layer_selector=selector),
        )
        common = {"name": "shop", "namespace": NAMESPACE, "chart_ref": {"kind": "OCIRepository", "name": "chart"}}
        common |= {"interval": "1h", "timeout": "3m", "drift_detection": {"mode": "enabled"}}
        common |= {"upgrade": {"remediation": {"retries": 1, "remediateLastFailure": True, "strategy": "rollback"}}}
        return {**common, "wait": True, "wait_timeout": 600, "expected_revision": version, **more}

    return make


def switch(lab: Lab, outcome: int, seconds: int = 0) -> None:
    """Set how the hook ends, and how long it takes."""
    lab.apply(config_map("switch", OUTCOME=str(outcome), SECONDS_TO_RUN=str(seconds)))


def test_a_release_is_installed_and_upgraded(lab: Lab, release: Callable[..., dict[str, Any]]) -> None:
    switch(lab, 0)
    options = release("1.0.0")
    installed = lab.good("flux_helm_release", **options)
    assert installed["flux"]["revision"].startswith("1.0.0")
    assert lab.data("shop")["colour"] == "blue" and lab.data("shop")["version"].startswith("1.0.0")
    again = lab.good("flux_helm_release", **options)
    assert (again["changed"], again["writes"]) == (False, 0)
    upgraded = lab.good("flux_helm_release", **{**options, "values": {"colour": "red"}})
    assert upgraded["changed"] and lab.data("shop")["colour"] == "red"


def test_drift_of_a_release_is_corrected(lab: Lab) -> None:
    lab.kubectl("patch", "configmap", "shop", "--type=merge", "--patch", '{"data": {"colour": "painted over"}}')
    lab.good("flux_reconcile", **named("HelmRelease", "shop"))
    # The controller detects at one reconciliation and has corrected at its end.
    assert eventually(lambda: lab.data("shop")["colour"] == "red", "the colour is corrected", 120)


def test_a_chart_that_cannot_be_rendered(lab: Lab, release: Callable[..., dict[str, Any]]) -> None:
    """Flux counts no attempt where no release was made, and tries again for ever: it is the wait that ends."""
    options = release("1.0.0", wait_timeout=60)
    message = lab.bad("flux_helm_release", **{**options, "values": {"colour": "impossible"}})
    assert "the colour is impossible" in message, message
    assert lab.data("shop")["colour"] == "red"
    hidden = {**options, "values": {"colour": "impossible"}, "hidden_fields": ["spec.values.colour"]}
    assert "the colour is ********" in lab.bad("flux_helm_release", **hidden)
    mended = {**options, "values": {"colour": "red"}, "wait_timeout": 600}
    assert lab.good("flux_helm_release", **mended)["flux"]["ready"]


def test_a_hook_that_fails_rolls_back_and_that_is_a_failure(lab: Lab, release: Callable[..., dict[str, Any]]) -> None:
    switch(lab, 1)
    options = release("2.0.0", values={"colour": "red"})
    message = lab.bad("flux_helm_release", **options)
    for word in ("2.0.0", "failed and was undone", "RollbackSucceeded", "recovered", "hook"):
        assert word in message, message
    assert lab.data("shop")["version"].startswith("1.0.0")


def test_retries_that_are_used_up_need_a_reset(lab: Lab) -> None:
    """The first failure left one retry, which is due at the next reconciliation."""
    wanted = named("HelmRelease", "shop", wait_timeout=600)
    assert "failed and was undone" in lab.bad("flux_reconcile", **wanted)
    switch(lab, 0)
    message = lab.bad("flux_reconcile", **wanted)
    assert "RetriesExceeded" in message, message
    reconciled = lab.good("flux_reconcile", **wanted, reset=True)
    assert reconciled["flux"]["revision"].startswith("2.0.0")
    assert lab.data("shop")["version"].startswith("2.0.0")


def test_a_controller_that_is_killed_at_work(lab: Lab, release: Callable[..., dict[str, Any]]) -> None:
    """Its successor finds a release that is pending, and the module waits until that is settled."""
    switch(lab, 0, 20)
    options = release("3.0.0", values={"colour": "red"})
    answers: list[dict[str, Any]] = []
    worker = threading.Thread(target=lambda: answers.append(lab.run("flux_helm_release", **options)))
    worker.start()
    try:
        eventually(lambda: "shop-hook" in lab.kubectl("get", "pods", "-o", "name"), "the hook runs", 300, 0.5)
        kill = ("delete", "pod", "--namespace=flux-system", "--selector=app=helm-controller")
        lab.kubectl(*kill, "--force", "--grace-period=0")
    finally:
        worker.join(options["wait_timeout"] + 60)
    assert not answers[0].get("failed"), answers[0]["msg"]
    assert answers[0]["flux"]["revision"].startswith("3.0.0")
    assert lab.data("shop")["version"].startswith("3.0.0")
