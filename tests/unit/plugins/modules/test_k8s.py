# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The edges of the k8s and Flux modules: options, masks, plans without a cluster, results and failures."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.onprem.platform.plugins.module_utils._flux import API_VERSIONS
from ansible_collections.onprem.platform.plugins.modules import (
    flux_helm_release,
    flux_info,
    flux_kustomization,
    flux_reconcile,
    flux_source,
    flux_suspend,
    k8s_apply,
    k8s_wait,
)
from ansible_collections.onprem.platform.tests.unit.plugins.fake_kube_api import FakeKubeApi, Fault, status

Runner = Callable[..., dict[str, Any]]
CANARY = "canary-61f0"
SOURCE = {"kind": "OCIRepository", "name": "tree", "namespace": "f", "url": "oci://r.test/a", "interval": "1m"}
KUSTOMIZATION = {
    "name": "k",
    "namespace": "f",
    "source_ref": {"kind": "OCIRepository", "name": "tree"},
    "prune": True,
    "interval": "1m",
    "substitute": {"n": 1},
}
RELEASE = {
    "name": "r",
    "namespace": "f",
    "chart_ref": {"kind": "OCIRepository", "name": "tree"},
    "interval": "1m",
    "values": {"password": CANARY},
    "hidden_fields": ["spec.values.password"],
    "labels": {"team": "one"},
}
READY = {"conditions": [{"type": "Ready", "status": "True", "message": "done"}]}


@pytest.fixture
def api() -> Iterator[FakeKubeApi]:
    server = FakeKubeApi()
    plurals = {
        "OCIRepository": "ocirepositories",
        "GitRepository": "gitrepositories",
        "HelmRepository": "helmrepositories",
        "HelmChart": "helmcharts",
        "Bucket": "buckets",
        "Kustomization": "kustomizations",
        "HelmRelease": "helmreleases",
    }
    for kind, plural in plurals.items():
        entries = server.discovery.setdefault(f"/apis/{API_VERSIONS[kind]}", [])
        entries += [
            {"kind": kind, "name": plural, "namespaced": True},
            {"kind": kind, "name": f"{plural}/status", "namespaced": True},
        ]
    yield server
    server.close()


@pytest.fixture
def run(run_module: Runner, api: FakeKubeApi) -> Runner:
    def call(module: Any, params: dict[str, Any], check: bool = False) -> dict[str, Any]:
        defaults = {"host": api.url, "retry_timeout": 1}
        return run_module(module.main, {**defaults, **params}, check=check)

    return call


def secret(value: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "login", "namespace": "default"},
        "stringData": {"password": value},
    }


def config_map(name: str = "one", **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "a"}, "data": data}


def test_apply_result_keeps_ordinary_words_and_hides_secrets(run: Runner, api: FakeKubeApi) -> None:
    created = run(k8s_apply, {"definition": secret(CANARY)})
    assert created["objects"] == [
        {
            "api_version": "v1",
            "kind": "Secret",
            "namespace": "default",
            "name": "login",
            "result": "created",
            "reason": "",
        }
    ]
    assert created["invocation"]["module_args"]["definition"][0]["data"] == {"password": "********"}
    changed = run(k8s_apply, {"definition": yaml.safe_dump(secret(f"{CANARY}-2"))})
    assert (changed["changed"], changed["writes"]) == (True, 1)
    assert CANARY not in json.dumps([created, changed])
    assert run(k8s_apply, {"definition": secret(f"{CANARY}-2")})["summary"] == {"unchanged": 1}


def test_apply_reports_every_object_when_one_fails(run: Runner, api: FakeKubeApi) -> None:
    refusal = status(403, "Forbidden", 'User "u" cannot patch resource "configmaps" in the namespace "a"')
    api.faults.append(Fault("PATCH", "configmaps/bad", 403, refusal))
    answer = run(k8s_apply, {"definition": [config_map("bad"), config_map("good")]})
    assert answer["failed"]
    assert answer["summary"] == {"created": 1, "failed": 1}
    assert "1 of 2 objects failed: ConfigMap a/bad" in answer["msg"]
    assert answer["failure"]["code"] == 0


def test_apply_waits_and_deletes(run: Runner, api: FakeKubeApi) -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "a"}, "spec": {}}
    waiting = run(k8s_apply, {"definition": [pod, config_map()], "wait": True, "wait_timeout": 1})
    assert waiting["failed"]
    assert waiting["summary"] == {"created": 2}
    assert "Pod a/p: phase unknown" in waiting["msg"]
    ready = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    api.put("/api/v1/namespaces/a/pods/p", {**api.objects["/api/v1/namespaces/a/pods/p"], "status": ready})
    assert not run(k8s_apply, {"definition": [pod, config_map()], "wait": True, "wait_timeout": 5}).get("failed")
    gone = run(k8s_apply, {"definition": [pod], "state": "absent", "wait": True})
    assert gone["summary"] == {"deleted": 1}


def test_plans_without_a_cluster(run: Runner, tmp_path: Path) -> None:
    missing = {"kubeconfig": str(tmp_path / "none"), "host": None, "plan_without_cluster": True}
    nobody = {"host": "http://127.0.0.1:9", "plan_without_cluster": True}
    for connection in (missing, nobody):
        planned = run(k8s_apply, {"definition": config_map(), **connection}, check=True)
        assert planned["summary"] == {"created": 1}
        removed = run(k8s_apply, {"definition": config_map(), "state": "absent", **connection}, check=True)
        assert not removed["changed"]
        entry = {"api_version": "v1", "kind": "Pod", "name": "p", "namespace": "a"}
        waited = run(k8s_wait, {"objects": [entry], **connection}, check=True)
        assert waited["objects"][0]["message"] == "no cluster yet"
        assert run(flux_source, {**SOURCE, **connection}, check=True)["object"]["result"] == "created"
        assert not run(flux_source, {**SOURCE, **connection, "state": "absent"}, check=True)["changed"]
        reconcile = {"kind": "Kustomization", "name": "k", **connection}
        assert run(flux_reconcile, reconcile, check=True)["requested"]
    assert run(k8s_apply, {"definition": config_map(), **missing})["failed"]
    reached = run(k8s_apply, {"definition": config_map(), "plan_without_cluster": True}, check=True)
    assert reached["requests"] == 3


def test_inline_kubeconfig(run: Runner, api: FakeKubeApi) -> None:
    config = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}],
        "clusters": [{"name": "c", "cluster": {"server": api.url}}],
        "users": [{"name": "c", "user": {"token": CANARY}}],
    }
    api.tokens = {CANARY}
    answer = run(k8s_apply, {"definition": config_map(), "host": None, "kubeconfig": config})
    assert answer["summary"] == {"created": 1}
    assert CANARY not in json.dumps(answer)
    assert answer["objects"][0]["name"] == "one"


@pytest.mark.parametrize(
    ("entry", "word"),
    [
        ({"until": "condition"}, "needs the option condition"),
        ({"until": "endpoints"}, "needs name and namespace"),
        ({"expression": "a.["}, "not valid JMESPath"),
    ],
)
def test_wait_options(run: Runner, entry: dict[str, Any], word: str) -> None:
    assert word in run(k8s_wait, {"objects": [{"api_version": "v1", "kind": "Pod", **entry}]})["msg"]


def test_wait_results(run: Runner, api: FakeKubeApi) -> None:
    entry = {"api_version": "v1", "kind": "ConfigMap", "name": "one", "namespace": "a", "until": "exists"}
    looked = run(k8s_wait, {"objects": [entry]}, check=True)
    assert [item["ready"] for item in looked["objects"]] == [False]
    failed = run(k8s_wait, {"objects": [entry], "wait_timeout": 1})
    assert failed["failure"]["reason"] == "Wait"
    assert failed["objects"][0]["message"] == "it does not exist"
    api.put("/api/v1/namespaces/a/configmaps/one", config_map())
    found = run(k8s_wait, {"objects": [entry], "wait_timeout": 5})
    assert (found["changed"], found["objects"][0]["ready"], found["writes"]) == (False, True, 0)


@pytest.mark.parametrize(
    ("module", "params"), [(flux_source, SOURCE), (flux_kustomization, KUSTOMIZATION), (flux_helm_release, RELEASE)]
)
def test_flux_objects(run: Runner, api: FakeKubeApi, module: Any, params: dict[str, Any]) -> None:
    planned = run(module, params, check=True)
    assert planned["object"]["result"] == "created"
    assert api.writes == []
    created = run(module, params)
    assert created["diff"] == planned["diff"]
    again = run(module, params)
    assert (again["changed"], again["writes"], again["diff"]) == (False, 0, [])
    assert run(module, {**params, "interval": "2m"}, check=True)["changed"]
    assert run(module, {**params, "interval": "2m"})["object"]["result"] == "configured"
    waiting = run(module, {**params, "interval": "2m", "wait": True, "wait_timeout": 1})
    assert "not ready after 1 s" in waiting["msg"]
    path, live = next((path, item) for path, item in api.objects.items() if item["kind"] == created["object"]["kind"])
    api.put(path, {**live, "status": {**READY, "artifact": {"revision": "1"}}})
    assert run(module, {**params, "interval": "2m", "wait": True})["flux"]["message"] == "done"
    refused = run(module, {**params, "spec": {"interval": "3m"}})
    assert "spec repeats" in refused["msg"]
    api.faults.append(
        Fault("PATCH", path, 422, status(422, "Invalid", "x", causes=[{"field": "spec.a", "message": "no"}]))
    )
    assert "spec.a: no" in run(module, {**params, "spec": {"a": 1}})["msg"]
    absent = {"name": params["name"], "namespace": "f", "state": "absent", "wait": True}
    if module is flux_source:
        absent["kind"] = params["kind"]
    assert run(module, absent)["object"]["result"] == "deleted"
    assert not run(module, absent)["changed"]


def test_release_values_are_hidden_where_asked(run: Runner) -> None:
    answers = [
        run(flux_helm_release, RELEASE),
        run(flux_helm_release, {**RELEASE, "values": {"password": CANARY + "2"}}),
    ]
    assert CANARY not in json.dumps(answers)
    assert "(changed)" in answers[1]["diff"][0]["after"]


def test_source_options_fit_their_kind(run: Runner) -> None:
    assert "has no ref" in run(flux_source, {**SOURCE, "kind": "HelmRepository", "ref": {"tag": "x"}})["msg"]


def test_info_and_reconcile(run: Runner, api: FakeKubeApi) -> None:
    assert run(flux_info, {}) == {**run(flux_info, {}), "objects": [], "ready": True}
    run(flux_source, SOURCE)
    info = run(flux_info, {"namespace": "f", "name": "tree"})
    assert (info["ready"], info["objects"][0]["state"]) == (False, "progressing")
    wanted = {"kind": "OCIRepository", "name": "tree", "namespace": "f", "expected_revision": "latest"}
    assert run(flux_reconcile, wanted, check=True)["requested"]
    path = "/apis/source.toolkit.fluxcd.io/v1/namespaces/f/ocirepositories/tree"
    ready = {"conditions": [{"type": "Ready", "status": "True"}], "artifact": {"revision": "latest@sha256:ab"}}
    api.put(path, {**api.objects[path], "status": ready})
    arrived = run(flux_reconcile, wanted)
    assert (arrived["changed"], arrived["flux"]["revision"]) == (False, "latest@sha256:ab")
    late = run(flux_reconcile, {**wanted, "force": True, "wait_timeout": 1})
    assert "has not been handled" in late["msg"]
    assert run(flux_reconcile, {**wanted, "name": "none"}, check=True)["requested"]


def test_buckets(run: Runner, api: FakeKubeApi) -> None:
    bucket = {"kind": "Bucket", "name": "b", "namespace": "f", "interval": "1m", "endpoint": "s3.test:9000"}
    assert "needs endpoint and bucket_name" not in run(flux_source, {**bucket, "bucket_name": "m"}).get("msg", "")
    assert "a Bucket needs bucket_name" in run(flux_source, bucket)["msg"]
    assert "a Bucket has no url" in run(flux_source, {**bucket, "bucket_name": "m", "url": "x"})["msg"]
    assert "needs url" in run(flux_source, {"kind": "GitRepository", "name": "g", "interval": "1m"})["msg"]
    spec = next(item for item in api.objects.values() if item["kind"] == "Bucket")["spec"]
    assert spec == {"interval": "1m", "endpoint": "s3.test:9000", "bucketName": "m"}


def test_suspend_and_resume(run: Runner, api: FakeKubeApi) -> None:
    run(flux_source, SOURCE)
    path = "/apis/source.toolkit.fluxcd.io/v1/namespaces/f/ocirepositories/tree"
    wanted = {"kind": "OCIRepository", "name": "tree", "namespace": "f"}
    assert not run(flux_suspend, {**wanted, "state": "resumed"})["changed"]
    suspended = run(flux_suspend, {**wanted, "wait": True})
    assert (suspended["changed"], suspended["flux"]["suspended"]) == (True, True)
    assert suspended["diff"] == {"before": {"suspend": False}, "after": {"suspend": True}}
    again = run(flux_suspend, wanted)
    assert (again["changed"], again["writes"]) == (False, 0)
    # A later apply of the description does not resume it.
    assert not run(flux_source, SOURCE)["changed"]
    running = {"type": "Reconciling", "status": "True", "reason": "Progressing", "message": "at work"}
    api.put(path, {**api.objects[path], "status": {"conditions": [running]}})
    assert "at work" in run(flux_suspend, {**wanted, "wait": True, "wait_timeout": 1})["msg"]
    api.put(path, {**api.objects[path], "status": {"conditions": [{**running, "reason": "ProgressingWithRetry"}]}})
    assert not run(flux_suspend, {**wanted, "wait": True, "wait_timeout": 5})["changed"]
    api.put(path, {**api.objects[path], "status": {**READY, "artifact": {"revision": "1"}}})
    planned = run(flux_suspend, {**wanted, "state": "resumed", "wait": True}, check=True)
    assert (planned["changed"], planned["writes"]) == (True, 0)
    resumed = run(flux_suspend, {**wanted, "state": "resumed", "wait": True})
    assert (resumed["changed"], resumed["flux"]["ready"]) == (True, True)
    assert "suspend" not in api.objects[path]["spec"]
    assert run(flux_suspend, {**wanted, "name": "none"})["failure"]["code"] == 404
    assert run(flux_suspend, {**wanted, "name": "none"}, check=True)["changed"]
    assert not run(flux_suspend, {**wanted, "name": "none", "state": "resumed"}, check=True)["changed"]


def test_options_that_hold_secrets_stay_hidden_when_nothing_was_done(run: Runner, api: FakeKubeApi) -> None:
    """Ansible shows the options of a failed module as well."""
    nameless = {"apiVersion": "v1", "kind": "Secret", "stringData": {"password": CANARY}, "metadata": {}}
    broken = f"kind: Secret\nstringData: {{password: {CANARY}\n"
    twice = {**RELEASE, "spec": {"interval": "2m", "extra": CANARY}}
    substitute = {**KUSTOMIZATION, "substitute": {"password": CANARY}, "spec": {"prune": False}}
    answers = [run(k8s_apply, {"definition": nameless}), run(k8s_apply, {"definition": broken})]
    answers += [run(flux_helm_release, twice), run(flux_kustomization, substitute)]
    for answer in answers:
        assert answer["failed"]
        assert CANARY not in json.dumps(answer)
    assert "line 2" in answers[1]["msg"] or "line 3" in answers[1]["msg"]
    hidden = {**KUSTOMIZATION, "substitute": {"password": CANARY}, "hidden_fields": ["spec.postBuild.substitute"]}
    assert CANARY not in json.dumps(run(flux_kustomization, hidden))


def test_messages_of_others_do_not_quote_what_is_hidden(run: Runner, api: FakeKubeApi) -> None:
    refusal = status(422, "Invalid", "x", causes=[{"field": "spec.values", "message": f"bad value {CANARY}"}])
    api.faults.append(Fault("PATCH", "helmreleases", 422, refusal))
    refused = run(flux_helm_release, RELEASE)
    assert "spec.values: bad value ********" in refused["msg"]
    run(flux_helm_release, RELEASE)
    path, live = next((path, item) for path, item in api.objects.items() if item["kind"] == "HelmRelease")
    quoting = {"type": "Ready", "status": "False", "reason": "InstallFailed", "message": f"template: {CANARY}"}
    api.put(path, {**live, "status": {"conditions": [quoting]}})
    failed = run(flux_helm_release, {**RELEASE, "wait": True, "wait_timeout": 5})
    assert "template: ********" in failed["msg"]
    listed = {**config_map(), "data": {"items": [{"token": CANARY}, {"token": 7}]}}
    api.faults.append(Fault("PATCH", "configmaps", 422, status(422, "Invalid", f"{CANARY} is bad")))
    answer = run(k8s_apply, {"definition": listed, "hidden_fields": ["data.items.token", "data.none"]})
    assert CANARY not in json.dumps([refused, failed, answer])


def test_discovery_is_asked_once(run: Runner, api: FakeKubeApi) -> None:
    """Kinds of several groups, applied and waited for."""
    release = {"apiVersion": API_VERSIONS["HelmRelease"], "kind": "HelmRelease", "metadata": {"name": "x"}}
    source = {"apiVersion": API_VERSIONS["Bucket"], "kind": "Bucket", "metadata": {"name": "x"}}

    def entry(kind: str, plural: str) -> dict[str, Any]:
        return {
            "resource": plural,
            "scope": "Namespaced",
            "responseKind": {"kind": kind},
            "subresources": [{"subresource": "status"}],
        }

    def group(name: str, version: str, item: dict[str, Any]) -> dict[str, Any]:
        return {"metadata": {"name": name}, "versions": [{"version": version, "resources": [item]}]}

    api.aggregated = {
        "kind": "APIGroupDiscoveryList",
        "items": [
            group("helm.toolkit.fluxcd.io", "v2", entry("HelmRelease", "helmreleases")),
            group("source.toolkit.fluxcd.io", "v1", entry("Bucket", "buckets")),
        ],
    }
    unknown = {"apiVersion": "nobody/v1", "kind": "Widget", "metadata": {"name": "x"}}
    answer = run(k8s_apply, {"definition": [release, source, unknown], "wait": True, "wait_timeout": 1})
    assert answer["summary"] == {"created": 2, "failed": 1}
    run(k8s_apply, {"definition": [release, source], "wait": True, "wait_timeout": 1})
    asked = [path for verb, path in api.log if verb == "GET" and "/namespaces/" not in path]
    assert asked == ["/apis", "/apis"]


MODULES_OF_THE_GROUP = sorted(
    path.stem
    for path in (Path(__file__).parents[4] / "plugins" / "modules").glob("*.py")
    if "onprem.platform.attributes.k8s\n" in path.read_text()
)


def test_action_group_is_complete() -> None:
    groups = yaml.safe_load((Path(__file__).parents[4] / "meta" / "runtime.yml").read_text())["action_groups"]
    assert sorted(groups["k8s"]) == MODULES_OF_THE_GROUP
    # Whatever has the connection options belongs to it, whether its documentation says so or not.
    connected = {
        path.stem
        for path in (Path(__file__).parents[4] / "plugins" / "modules").glob("*.py")
        if "KubeModule(" in path.read_text()
    }
    assert connected == set(groups["k8s"])
