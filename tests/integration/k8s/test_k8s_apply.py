# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""k8s_apply against a real API server."""

from __future__ import annotations

import base64
import json
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.onprem.platform.tests.integration.k8s.examples import examples, run_examples

# The fixtures of conftest.py; pytest's importlib mode cannot import that file by name.
ApiServer = Any
ModuleRunner = Callable[..., dict[str, Any]]

CANARY = "canary-9f3b7a-never-shown"


def config_map(namespace: str, name: str = "settings", **data: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        "data": data or {"colour": "blue"},
    }


def results(answer: dict[str, Any]) -> dict[str, str]:
    return {item["name"]: item["result"] for item in answer["objects"]}


def deployment(namespace: str) -> dict[str, Any]:
    """A workload written in spellings that the server rewrites or fills in."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": namespace, "creationTimestamp": None, "labels": {"app": "web"}},
        "spec": {
            "replicas": 2,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": "25%"}},
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}, "creationTimestamp": None},
                "spec": {
                    "securityContext": {},
                    "containers": [
                        {
                            "name": "web",
                            "image": "registry.test/web:1",
                            "env": [{"name": "A", "value": "1"}, {"name": "EMPTY", "value": ""}],
                            "ports": [{"containerPort": 8080}, {"containerPort": 9090, "name": "metrics"}],
                            "resources": {
                                "requests": {"cpu": "1000m", "memory": "1024Mi"},
                                "limits": {"cpu": 2, "memory": "2Gi"},
                            },
                            "securityContext": {"capabilities": {"drop": ["ALL"]}, "privileged": False},
                            "volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}],
                        }
                    ],
                    "volumes": [
                        {"name": "scratch", "emptyDir": {}},
                        {"name": "memory", "emptyDir": {"sizeLimit": "1024Mi"}},
                    ],
                },
            },
        },
        "status": {},
    }


def everyday_objects(namespace: str) -> list[dict[str, Any]]:
    """One object of each usual kind."""
    labels = {"app": "web"}
    meta = {"namespace": namespace, "name": "web"}
    return [
        deployment(namespace),
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": meta,
            "spec": {
                "selector": labels,
                "ports": [{"port": 80, "targetPort": 8080, "name": "http"}, {"port": 443, "name": "tls"}],
            },
        },
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": meta,
            "spec": {
                "podSelector": {},
                "policyTypes": ["Ingress"],
                "ingress": [{"from": [{"podSelector": {"matchLabels": labels}}], "ports": [{"port": 8080}]}],
            },
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": meta,
            "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}],
        },
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": meta,
            "spec": {"maxUnavailable": 1, "selector": {"matchLabels": labels}},
        },
        {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": meta,
            "spec": {
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
                "minReplicas": 2,
                "maxReplicas": 8,
                "metrics": [
                    {
                        "type": "Resource",
                        "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}},
                    }
                ],
            },
        },
        {
            "apiVersion": "batch/v1",
            "kind": "CronJob",
            "metadata": meta,
            "spec": {
                "schedule": "* * * * *",
                "concurrencyPolicy": "Forbid",
                "jobTemplate": {
                    "spec": {
                        "template": {
                            "spec": {
                                "restartPolicy": "Never",
                                "containers": [{"name": "run", "image": "registry.test/web:1", "args": ["true"]}],
                            }
                        }
                    }
                },
            },
        },
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": meta,
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1024Mi"}}},
        },
        {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": meta,
            "spec": {"hard": {"requests.cpu": "2000m", "pods": 10}},
        },
        {
            "apiVersion": "v1",
            "kind": "LimitRange",
            "metadata": meta,
            "spec": {"limits": [{"type": "Container", "default": {"cpu": "0.5"}, "max": {"memory": "2048Mi"}}]},
        },
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta, "automountServiceAccountToken": False},
        {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": {".env": "A=1"}, "type": "Opaque"},
        config_map(namespace, "web"),
    ]


CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.test.internal"},
    "spec": {
        "group": "test.internal",
        "scope": "Namespaced",
        "names": {"kind": "Widget", "plural": "widgets", "singular": "widget", "listKind": "WidgetList"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "properties": {
                                    "size": {"type": "integer", "default": 3, "maximum": 10},
                                    "colour": {"type": "string"},
                                },
                            },
                            "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                        },
                    }
                },
            }
        ],
    },
}


def widget(namespace: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "test.internal/v1",
        "kind": "Widget",
        "metadata": {"name": "one", "namespace": namespace},
        "spec": spec,
    }


def test_missing_argument(run: ModuleRunner) -> None:
    answer = run("k8s_apply", {})
    assert answer["failed"]
    assert "definition" in answer["msg"]


def test_life_of_an_object(run: ModuleRunner, namespace: str, api_server: ApiServer) -> None:
    """Check, create, again, update, again, drift, delete, delete again."""
    path = f"/api/v1/namespaces/{namespace}/configmaps/settings"
    wanted = {"definition": [config_map(namespace)]}

    planned = run("k8s_apply", wanted, check=True)
    assert planned["changed"]
    assert results(planned) == {"settings": "created"}
    assert planned["writes_seen"] == []

    created = run("k8s_apply", wanted)
    assert created["changed"]
    assert results(created) == {"settings": "created"}
    assert created["diff"] == planned["diff"]
    assert created["diff"][0]["before"] == ""
    assert len(created["writes_seen"]) == created["writes"] == 1

    again = run("k8s_apply", wanted)
    assert not again["changed"]
    assert again["diff"] == []
    assert again["writes_seen"] == []
    assert again["requests_seen"] == again["requests"] == 1

    wanted = {"definition": [config_map(namespace, colour="red", size="10")]}
    planned = run("k8s_apply", wanted, check=True)
    assert planned["writes_seen"] == []
    updated = run("k8s_apply", wanted)
    assert results(updated) == {"settings": "configured"}
    assert updated["diff"] == planned["diff"]
    assert "colour: blue" in updated["diff"][0]["before"]
    assert "colour: red" in updated["diff"][0]["after"]
    assert not run("k8s_apply", wanted)["changed"]

    removed = run("k8s_apply", {"definition": [config_map(namespace, colour="red")]})
    assert results(removed) == {"settings": "configured"}
    assert api_server.call("GET", path)["data"] == {"colour": "red"}

    api_server.call("PATCH", path, {"data": {"colour": None}}, "application/merge-patch+json")
    healed = run("k8s_apply", {"definition": [config_map(namespace, colour="red")]})
    assert results(healed) == {"settings": "configured"}
    assert api_server.call("GET", path)["data"] == {"colour": "red"}

    wanted = {"definition": [config_map(namespace)], "state": "absent", "wait": True}
    planned = run("k8s_apply", wanted, check=True)
    assert results(planned) == {"settings": "deleted"}
    assert planned["writes_seen"] == []
    deleted = run("k8s_apply", wanted)
    assert results(deleted) == {"settings": "deleted"}
    assert deleted["diff"] == planned["diff"]
    gone = run("k8s_apply", wanted)
    assert not gone["changed"]
    assert gone["writes_seen"] == []


def test_second_run_of_everyday_objects_sends_reads_only(run: ModuleRunner, namespace: str) -> None:
    wanted = {"definition": everyday_objects(namespace)}
    assert run("k8s_apply", wanted)["summary"] == {"created": 13}
    again = run("k8s_apply", wanted)
    assert again["summary"] == {"unchanged": 13}
    assert again["writes_seen"] == []
    # One read each. The server fills defaults into lists that are one value to it (rules of the NetworkPolicy, limits
    # of the LimitRange), so it is asked about those two by a dry run.
    assert again["requests_seen"] == 15
    checked = run("k8s_apply", wanted, check=True)
    assert checked["summary"] == {"unchanged": 13}


def test_kubectl_sees_no_difference(
    run: ModuleRunner, namespace: str, api_server: ApiServer, kubectl: str, tmp_path: Path
) -> None:
    documents = everyday_objects(namespace)
    assert not run("k8s_apply", {"definition": documents}).get("failed")
    # A change of one object, and a change of another by somebody else that the second run takes back.
    documents[0]["spec"]["replicas"] = 3
    path = f"/api/v1/namespaces/{namespace}/configmaps/web"
    api_server.call("PATCH", path, {"data": {"colour": "green"}}, "application/merge-patch+json")
    second = run("k8s_apply", {"definition": documents, "force_conflicts": True})
    assert second["summary"] == {"configured": 2, "unchanged": 11}, second
    manifest = tmp_path / "objects.yaml"
    manifest.write_text(yaml.safe_dump_all(documents))
    done = subprocess.run(
        [
            kubectl,
            f"--kubeconfig={api_server.kubeconfig}",
            "diff",
            "--server-side",
            "--field-manager=onprem.platform",
            f"--filename={manifest}",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"image": "registry.test/web:2"}, "image"),
        ({"env": [{"name": "EMPTY", "value": ""}, {"name": "A", "value": "1"}]}, "order of a keyed list"),
        (
            {"resources": {"requests": {"cpu": "1001m", "memory": "1024Mi"}, "limits": {"cpu": 2, "memory": "2Gi"}}},
            "cpu",
        ),
        ({"ports": [{"containerPort": 8080}]}, "an item less"),
        ({"securityContext": {"capabilities": {"drop": ["ALL", "NET_RAW"]}, "privileged": False}}, "atomic list"),
    ],
)
def test_small_changes_are_found(run: ModuleRunner, namespace: str, change: dict[str, Any], path: str) -> None:
    document = deployment(namespace)
    run("k8s_apply", {"definition": [document]})
    document["spec"]["template"]["spec"]["containers"][0].update(change)
    planned = run("k8s_apply", {"definition": [document]}, check=True)
    assert results(planned) == {"web": "configured"}, path
    assert planned["writes_seen"] == []
    assert results(run("k8s_apply", {"definition": [document]})) == {"web": "configured"}, path
    assert results(run("k8s_apply", {"definition": [document]})) == {"web": "unchanged"}, path


def test_conflict_names_the_owner(run: ModuleRunner, namespace: str, api_server: ApiServer) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps/settings?fieldManager=somebody-else"
    run("k8s_apply", {"definition": [config_map(namespace)]})
    api_server.call("PATCH", path, {"data": {"colour": "green"}}, "application/merge-patch+json")
    for check in (True, False):
        answer = run("k8s_apply", {"definition": [config_map(namespace)]}, check=check)
        assert answer["failed"]
        assert "somebody-else" in answer["msg"]
        assert ".data.colour" in answer["msg"]
        assert "force_conflicts" in answer["msg"]
    forced = run("k8s_apply", {"definition": [config_map(namespace)], "force_conflicts": True})
    assert results(forced) == {"settings": "configured"}
    assert not run("k8s_apply", {"definition": [config_map(namespace)]})["changed"]


def test_crd_namespace_and_custom_resource_in_one_call(run: ModuleRunner, api_server: ApiServer) -> None:
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "one-call"}}
    documents = [widget("one-call", colour="blue"), space, CRD]
    planned = run("k8s_apply", {"definition": documents}, check=True)
    assert planned["summary"] == {"created": 3}
    assert planned["writes_seen"] == []
    created = run("k8s_apply", {"definition": documents, "wait": True})
    assert created["summary"] == {"created": 3}, created
    assert [item["kind"] for item in created["objects"]] == ["CustomResourceDefinition", "Namespace", "Widget"]
    again = run("k8s_apply", {"definition": documents})
    assert again["summary"] == {"unchanged": 3}, again
    assert again["writes_seen"] == []
    # Three reads, and one for the group version of the new kind.
    assert again["requests_seen"] == 4
    invalid = run("k8s_apply", {"definition": [widget("one-call", size=11)]})
    assert invalid["failed"]
    assert "spec.size" in invalid["msg"]
    assert run("k8s_apply", {"definition": [widget("one-call", colour="blue"), CRD], "state": "absent"})["changed"]


def test_pruning(run: ModuleRunner, namespace: str, api_server: ApiServer) -> None:
    """What is no longer described goes, in one call; what only carries the same labels stays."""
    labels = {"part-of": "shop"}

    def member(name: str) -> dict[str, Any]:
        document = config_map(namespace, name)
        document["metadata"]["labels"] = labels
        return document

    kinds = [{"api_version": "v1", "kind": "ConfigMap"}, {"api_version": "apps/v1", "kind": "Deployment"}]
    prune = {"labels": labels, "kinds": kinds}
    web = deployment(namespace)
    web["metadata"]["labels"] = labels
    wanted = {"definition": [member("one"), member("two"), web], "prune": prune}
    assert run("k8s_apply", wanted)["summary"] == {"created": 3}
    copied = {"metadata": {"name": "copied", "labels": labels}}
    api_server.call("POST", f"/api/v1/namespaces/{namespace}/configmaps?fieldManager=a-controller", copied)
    again = run("k8s_apply", wanted)
    assert (again["summary"], again["writes_seen"]) == ({"unchanged": 3}, [])
    fewer = {**wanted, "definition": [member("one")], "wait": True}
    planned = run("k8s_apply", fewer, check=True)
    assert results(planned) == {"one": "unchanged", "web": "deleted", "two": "deleted"}
    assert planned["writes_seen"] == []
    pruned = run("k8s_apply", fewer)
    assert results(pruned) == results(planned)
    assert pruned["diff"] == planned["diff"]
    left = api_server.call("GET", f"/api/v1/namespaces/{namespace}/configmaps")["items"]
    assert sorted(item["metadata"]["name"] for item in left) == ["copied", "one"]
    assert run("k8s_apply", fewer)["writes_seen"] == []


def test_secret_values_are_never_shown(run: ModuleRunner, namespace: str, api_server: ApiServer) -> None:
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "login", "namespace": namespace},
        "stringData": {"password": CANARY, "user": "app"},
    }
    encoded = base64.b64encode(CANARY.encode()).decode()
    shown = []
    for check in (True, False, False):
        shown.append(run("k8s_apply", {"definition": [secret]}, check=check))
    assert [answer["changed"] for answer in shown] == [True, True, False]
    secret["stringData"]["password"] = CANARY + "-2"
    changed = run("k8s_apply", {"definition": [secret]})
    shown.append(changed)
    shown.append(run("k8s_apply", {"definition": yaml.safe_dump(secret)}))
    assert "(changed)" in changed["diff"][0]["after"]
    assert changed["diff"][0]["after"].count("(changed)") == 1
    bad = {**secret, "data": {"bad key!": encoded}}
    shown.append(run("k8s_apply", {"definition": [bad]}))
    shown.append(run("k8s_apply", {"definition": [secret], "state": "absent"}))
    assert shown[-2]["failed"]
    text = json.dumps(shown)
    assert CANARY not in text
    assert encoded not in text
    assert encoded[:20] not in text


def test_inline_kubeconfig_is_masked(run: ModuleRunner, namespace: str, api_server: ApiServer) -> None:
    config = yaml.safe_load(api_server.kubeconfig.read_text())
    key = config["users"][0]["user"]["client-key-data"]
    answer = run("k8s_apply", {"definition": [config_map(namespace)]}, kubeconfig=config)
    assert results(answer) == {"settings": "created"}
    assert key not in json.dumps(answer)
    assert answer["objects"][0]["kind"] == "ConfigMap"


def test_flux_owned_objects_are_refused(run: ModuleRunner, namespace: str, api_server: ApiServer) -> None:
    labels = {"kustomize.toolkit.fluxcd.io/name": "platform", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}
    body = {"metadata": {"name": "settings", "labels": labels}, "data": {"colour": "green"}}
    api_server.call("POST", f"/api/v1/namespaces/{namespace}/configmaps?fieldManager=kustomize-controller", body)
    for params in ({}, {"state": "absent"}):
        answer = run("k8s_apply", {"definition": [config_map(namespace)], **params})
        assert answer["failed"]
        assert "flux-system/platform" in answer["msg"]
        assert answer["writes_seen"] == []
    allowed = {"definition": [config_map(namespace)], "allow_flux_owned": True, "force_conflicts": True}
    assert results(run("k8s_apply", allowed)) == {"settings": "configured"}


def test_refused_permission_names_everything(run: ModuleRunner, namespace: str, api_server: ApiServer) -> None:
    kubeconfig = str(api_server.user("nobody-special"))
    answer = run("k8s_apply", {"definition": [config_map(namespace)]}, kubeconfig=kubeconfig)
    assert answer["failed"]
    assert answer["objects"][0]["result"] == "failed"
    for word in ("nobody-special", "get", "configmaps", namespace):
        assert word in answer["msg"]


def test_one_failure_does_not_stop_the_others(run: ModuleRunner, namespace: str) -> None:
    documents = [config_map(namespace, "good"), config_map("no-such-namespace", "bad"), config_map(namespace, "fine")]
    answer = run("k8s_apply", {"definition": documents})
    assert answer["failed"]
    assert results(answer) == {"good": "created", "bad": "failed", "fine": "created"}
    assert "no-such-namespace" in answer["msg"]
    assert answer["changed"]


def test_immutable_job_is_recreated_on_request(run: ModuleRunner, namespace: str, api_server: ApiServer) -> None:
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "once", "namespace": namespace},
        "spec": {
            "template": {
                "spec": {"restartPolicy": "Never", "containers": [{"name": "run", "image": "registry.test/a:1"}]}
            }
        },
    }
    path = f"/apis/batch/v1/namespaces/{namespace}/jobs/once"
    run("k8s_apply", {"definition": [job]})
    assert results(run("k8s_apply", {"definition": [job]})) == {"once": "unchanged"}
    job["spec"]["template"]["spec"]["containers"][0]["image"] = "registry.test/a:2"
    refused = run("k8s_apply", {"definition": [job]})
    assert refused["failed"]
    assert "immutable" in refused["msg"]
    uid = api_server.call("GET", path)["metadata"]["uid"]
    planned = run("k8s_apply", {"definition": [job], "recreate_kinds": ["Job"]}, check=True)
    assert results(planned) == {"once": "configured"}
    assert planned["writes_seen"] == []
    done = run("k8s_apply", {"definition": [job], "recreate_kinds": ["Job"]})
    assert results(done) == {"once": "configured"}
    assert api_server.call("GET", path)["metadata"]["uid"] != uid


def test_files_and_directories(run: ModuleRunner, namespace: str, tmp_path: Path) -> None:
    manifests = tmp_path / "manifests"
    manifests.mkdir()
    (manifests / "b.yaml").write_text(
        yaml.safe_dump_all([config_map(namespace, "one", when="2026-01-01"), config_map(namespace, "two")])
    )
    (manifests / "a.json").write_text(json.dumps(config_map(namespace, "three")))
    (manifests / "notes.txt").write_text("no manifest")
    single = tmp_path / "single.yaml"
    single.write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: four}\ndata: {on-time: '2026-01-01'}\n")
    answer = run("k8s_apply", {"src": [str(manifests), str(single)], "namespace": namespace})
    assert answer["summary"] == {"created": 4}
    assert {item["namespace"] for item in answer["objects"]} == {namespace}


def test_check_mode_without_cluster(run: ModuleRunner, tmp_path: Path) -> None:
    missing = str(tmp_path / "not-there.kubeconfig")
    wanted = {"definition": [config_map("later")]}
    refused = run("k8s_apply", wanted, check=True, kubeconfig=missing)
    assert refused["failed"]
    assert "not-there.kubeconfig" in refused["msg"]
    planned = run("k8s_apply", {**wanted, "plan_without_cluster": True}, check=True, kubeconfig=missing)
    assert results(planned) == {"settings": "created"}
    assert run("k8s_apply", {**wanted, "plan_without_cluster": True}, kubeconfig=missing)["failed"]


def test_wrong_server_name_is_refused(run: ModuleRunner, namespace: str) -> None:
    answer = run(
        "k8s_apply", {"definition": [config_map(namespace)], "tls_server_name": "evil.test", "retry_timeout": 1}
    )
    assert answer["failed"]
    assert "TLS" in answer["msg"]


def test_finalizers_are_reported_when_deletion_hangs(run: ModuleRunner, namespace: str, api_server: ApiServer) -> None:
    body = {"metadata": {"name": "settings", "finalizers": ["test.internal/hold"]}}
    api_server.call("POST", f"/api/v1/namespaces/{namespace}/configmaps", body)
    wanted = {"definition": [config_map(namespace)], "state": "absent", "wait": True, "wait_timeout": 1}
    answer = run("k8s_apply", wanted)
    assert answer["failed"]
    assert "test.internal/hold" in answer["msg"]


def test_fifty_unchanged_objects(run: ModuleRunner, namespace: str) -> None:
    wanted = {"definition": [config_map(namespace, f"item-{number}", value=str(number)) for number in range(50)]}
    assert run("k8s_apply", wanted)["summary"] == {"created": 50}
    start = time.monotonic()
    again = run("k8s_apply", wanted)
    seconds = time.monotonic() - start
    assert again["summary"] == {"unchanged": 50}
    assert (again["requests_seen"], again["writes_seen"]) == (50, [])
    print(f"50 unchanged objects: {seconds:.2f} s with the start of the process, {again['requests']} requests")


def test_server_restart_in_the_middle(run: ModuleRunner, namespace: str, api_server: ApiServer) -> None:
    """200 objects while the API server is killed and started again: the call just takes longer."""
    wanted = {
        "definition": [config_map(namespace, f"item-{number}", value=str(number)) for number in range(200)],
        "retry_timeout": 90,
    }
    answers: list[dict[str, Any]] = []
    worker = threading.Thread(target=lambda: answers.append(run("k8s_apply", wanted)))
    worker.start()
    listing = f"/api/v1/namespaces/{namespace}/configmaps?limit=500"
    while len(api_server.call("GET", listing)["items"]) < 20:
        time.sleep(0.01)
    api_server.stop_api()
    api_server.start_api()
    worker.join(120)
    assert answers[0].get("failed") is None, answers[0].get("msg")
    # Undisturbed, each object costs a read and a write: it was in the middle.
    assert answers[0]["requests"] > 400
    assert answers[0]["summary"] == {"created": 200}
    assert len(api_server.call("GET", listing)["items"]) == 200
    again = run("k8s_apply", wanted)
    assert (again["summary"], again["writes_seen"]) == ({"unchanged": 200}, [])


def test_examples(namespace: str, api_server: ApiServer, tmp_path: Path) -> None:
    """The examples of the documentation, to the end of the namespace."""
    labelled = config_map(namespace, "example", colour="blue")
    labelled["metadata"]["labels"] = {"app.kubernetes.io/part-of": "shop"}
    for name in ("manifests/example.yml", "templates/objects.yml.j2"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(yaml.safe_dump(labelled))
    extra = {**labelled, "metadata": {**labelled["metadata"], "name": "surplus"}}
    tasks = examples(
        "k8s_apply", {"name: shop\n": f"name: {namespace}\n", "namespace: shop": f"namespace: {namespace}"}
    )
    apply = "onprem.platform.k8s_apply"
    before = {apply: {"definition": extra}}
    pruned = {
        "name": "The set has lost what no file describes",
        "ansible.builtin.assert": {"that": ["found.summary.deleted == 1"]},
    }
    assert "prune" in tasks[3][apply]
    tasks = [*tasks[:3], before, {**tasks[3], "register": "found"}, pruned, *tasks[4:]]
    path = f"/api/v1/namespaces/{namespace}"

    def finalize() -> None:
        """Play the namespace controller."""
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline:
            live = api_server.call("GET", path)
            if live["metadata"].get("deletionTimestamp"):
                api_server.call("PUT", f"{path}/finalize", {**live, "spec": {"finalizers": []}})
                return
            time.sleep(0.1)

    controller = threading.Thread(target=finalize, daemon=True)
    controller.start()
    run_examples(tmp_path, tasks, api_server.kubeconfig)
    controller.join(10)
    with pytest.raises(OSError, match="404"):
        api_server.call("GET", path)
