# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""k8s_rbac_info against a real API server that authorizes by RBAC."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.onprem.platform.tests.integration.k8s.examples import examples, run_examples

ApiServer = Any
ModuleRunner = Callable[..., dict[str, Any]]
RBAC = "/apis/rbac.authorization.k8s.io/v1"


def _create(server: ApiServer, path: str, name: str, **content: Any) -> None:
    labels = content.pop("labels", {})
    server.call("POST", path, {"metadata": {"name": name, "labels": labels}, **content})


def _bind(server: ApiServer, namespace: str, name: str, kind: str, *subjects: dict[str, str]) -> None:
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name}
    path = f"{RBAC}/namespaces/{namespace}/rolebindings" if namespace else f"{RBAC}/clusterrolebindings"
    _create(server, path, name, roleRef=role, subjects=list(subjects))


@pytest.fixture
def shop(api_server: ApiServer, namespace: str) -> str:
    """A namespace with two accounts: web reads pods and one ConfigMap there, and nodes everywhere; idle may nothing."""
    core = f"/api/v1/namespaces/{namespace}"
    _create(api_server, f"{core}/serviceaccounts", "web", automountServiceAccountToken=False)
    _create(api_server, f"{core}/serviceaccounts", "idle")
    account = {"kind": "ServiceAccount", "name": "web", "namespace": namespace}
    rules = [
        {"apiGroups": [""], "resources": ["pods", "pods/log"], "verbs": ["get", "list"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["watch"]},
        {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["settings"], "verbs": ["get"]},
    ]
    _create(api_server, f"{RBAC}/namespaces/{namespace}/roles", "web", rules=rules)
    _bind(api_server, namespace, "web", "Role", account)
    # an aggregated role, which no controller has filled
    aggregate = {"clusterRoleSelectors": [{"matchLabels": {f"{namespace}/aggregate": "yes"}}]}
    _create(api_server, f"{RBAC}/clusterroles", f"{namespace}-all", aggregationRule=aggregate, rules=[])
    nodes = [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]}]
    part = {f"{namespace}/aggregate": "yes"}
    _create(api_server, f"{RBAC}/clusterroles", f"{namespace}-part", rules=nodes, labels=part)
    _bind(api_server, "", f"{namespace}-all", "ClusterRole", account)
    return namespace


def test_matrix_in_one_call(api_server: ApiServer, run: ModuleRunner, shop: str) -> None:
    reviews = [
        {
            "subjects": [{"service_account": f"{shop}/*"}],
            "namespaces": [shop, ""],
            "permissions": [
                {"verbs": ["get", "list"], "resources": ["secrets", "deployments.apps/scale"]},
                {"verbs": ["create"], "resources": ["pods/exec"], "names": ["web-0"]},
                {"verbs": ["get"], "non_resource_urls": ["/metrics"]},
            ],
            "expected": False,
        },
        {
            "subjects": [{"service_account": f"{shop}/web"}],
            "namespaces": [shop],
            "permissions": [
                {"verbs": ["get"], "resources": ["pods", "pods/log"]},
                {"verbs": ["get"], "resources": ["configmaps"], "names": ["settings"]},
            ],
            "expected": True,
        },
        {
            "subjects": [{"user": "root", "groups": ["system:masters"]}],
            "permissions": [{"verbs": ["delete"], "resources": ["nodes"]}],
            "expected": False,
        },
    ]
    answer = run("k8s_rbac_info", {"reviews": reviews})
    assert not answer.get("failed"), answer["msg"]
    # 2 accounts x (2 verbs x 2 resources x 2 namespaces + exec x 2 namespaces + 1 URL), then 3, then 1
    assert len(answer["reviews"]) == 2 * (8 + 2 + 1) + 3 + 1 and not answer["changed"]
    assert answer["wrong"] == [answer["reviews"][-1]]
    wrong = answer["wrong"][0]
    assert (wrong["subject"], wrong["verb"], wrong["allowed"]) == ("User root", "delete", True)
    granted = [
        item for item in answer["reviews"] if item["allowed"] and item["subject"] == f"ServiceAccount {shop}/web"
    ]
    assert len(granted) == 3 and all("RoleBinding" in item["reason"] for item in granted)
    # the reviews, and two lists for the names of the accounts
    assert answer["requests"] == len(answer["reviews"]) + 2
    stored = [item for item in answer["writes_seen"] if "subjectaccessreviews" not in item]
    assert stored == []


def test_agrees_with_kubectl(api_server: ApiServer, run: ModuleRunner, kubectl: str, shop: str) -> None:
    everything = run("k8s_rbac_info", {"subjects": [{"service_account": f"{shop}/web"}]})
    found = everything["subjects"][0]["permissions"]
    name = f"system:serviceaccount:{shop}:web"
    cases = [
        ("get", "pods"),
        ("watch", "pods"),
        ("delete", "pods"),
        ("get", "configmaps/settings"),
        ("get", "configmaps"),
    ]
    for verb, resource in cases:
        plain, _slash, object_name = resource.partition("/")
        key = f"{plain} ({object_name})" if object_name else plain
        done = subprocess.run(
            [
                kubectl,
                f"--kubeconfig={api_server.kubeconfig}",
                "auth",
                "can-i",
                verb,
                resource,
                "-n",
                shop,
                f"--as={name}",
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.stdout.strip() == "yes") == (verb in found["namespaces"][shop].get(key, [])), (verb, resource)


def test_everything_that_an_account_may(run: ModuleRunner, shop: str) -> None:
    answer = run("k8s_rbac_info", {"gather": ["service_accounts"]})
    accounts = {item["name"]: item for item in answer["service_accounts"] if item["namespace"] == shop}
    assert accounts["idle"]["permissions"] == {"cluster": {}, "namespaces": {}} and accounts["idle"]["automount"]
    web = accounts["web"]
    assert not web["automount"] and not web["built_in"] and web["token_mounted_by"] == []
    assert web["bindings"] == [
        f"ClusterRoleBinding {shop}-all -> ClusterRole {shop}-all",
        f"RoleBinding {shop}/web -> Role {shop}/web",
    ]
    assert web["permissions"] == {
        "cluster": {"nodes": ["get"]},
        "namespaces": {
            shop: {"configmaps (settings)": ["get"], "pods": ["get", "list", "watch"], "pods/log": ["get", "list"]}
        },
    }
    # all groups counted, there is also what everybody may
    answer = run("k8s_rbac_info", {"subjects": [{"service_account": f"{shop}/web"}]})
    assert answer["subjects"][0]["permissions"]["cluster"]["/healthz"] == ["get"]


def test_every_way_to_name_an_account_counts(api_server: ApiServer, run: ModuleRunner, shop: str) -> None:
    rules = [{"apiGroups": [""], "resources": ["events"], "verbs": ["list"]}]
    _create(api_server, f"{RBAC}/clusterroles", f"{shop}-events", rules=rules)
    api_group = "rbac.authorization.k8s.io"
    user = {"kind": "User", "name": f"system:serviceaccount:{shop}:idle", "apiGroup": api_group}
    _bind(api_server, "", f"{shop}-events", "ClusterRole", user)
    _create(api_server, f"{RBAC}/namespaces/{shop}/roles", "secrets", rules=[{**rules[0], "resources": ["secrets"]}])
    group = {"kind": "Group", "name": f"system:serviceaccounts:{shop}", "apiGroup": api_group}
    _bind(api_server, shop, "secrets", "Role", group)
    answer = run("k8s_rbac_info", {"gather": ["service_accounts", "users_and_groups"]})
    idle = next(item for item in answer["service_accounts"] if (item["namespace"], item["name"]) == (shop, "idle"))
    assert idle["permissions"] == {"cluster": {"events": ["list"]}, "namespaces": {shop: {"secrets": ["list"]}}}
    people = {item["subject"]: item for item in answer["users_and_groups"]}
    assert people[f"Group system:serviceaccounts:{shop}"]["permissions"]["namespaces"] == {shop: {"secrets": ["list"]}}
    assert (
        "ClusterRoleBinding system:discovery -> ClusterRole system:discovery"
        in (people["Group system:authenticated"]["bindings"])
    )


def test_powerful_roles(api_server: ApiServer, run: ModuleRunner, namespace: str) -> None:
    rules = [{"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles"], "verbs": ["bind", "get"]}]
    _create(api_server, f"{RBAC}/namespaces/{namespace}/roles", "delegate", rules=rules)
    stranger = {"kind": "User", "name": "mallory", "apiGroup": "rbac.authorization.k8s.io"}
    _bind(api_server, namespace, "delegate", "Role", stranger)
    roles = {item["role"]: item for item in run("k8s_rbac_info", {"gather": ["powerful_roles"]})["powerful_roles"]}
    assert roles[f"Role {namespace}/delegate"] == {
        "role": f"Role {namespace}/delegate",
        "powers": ["bind"],
        "subjects": ["User mallory"],
    }
    assert roles["ClusterRole cluster-admin"]["subjects"] == ["Group system:masters"]
    assert roles["ClusterRole system:controller:clusterrole-aggregation-controller"]["powers"] == ["escalate"]
    assert "impersonate" in roles["ClusterRole edit"]["powers"] and "ClusterRole view" not in roles


def test_token_of_a_pod(api_server: ApiServer, run: ModuleRunner, shop: str) -> None:
    mount = {"name": "token", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}
    volume = {"name": "token", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}
    pod = {
        "metadata": {"name": "talker", "labels": {"pod-template-hash": "5f"}},
        "spec": {
            "serviceAccountName": "web",
            "containers": [{"name": "c", "image": "registry.test/app:1", "volumeMounts": [mount]}],
            "volumes": [volume],
        },
    }
    replica_set = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "talker-5f", "uid": "1", "controller": True}
    pod["metadata"]["ownerReferences"] = [replica_set]  # type: ignore[index]
    api_server.call("POST", f"/api/v1/namespaces/{shop}/pods", pod)
    answer = run("k8s_rbac_info", {"gather": ["service_accounts"]})
    web = next(item for item in answer["service_accounts"] if (item["namespace"], item["name"]) == (shop, "web"))
    assert web["token_mounted_by"] == ["Deployment talker"]


def test_mistakes_and_missing_permissions(api_server: ApiServer, run: ModuleRunner, namespace: str) -> None:
    question = {"subjects": [{"user": "a"}], "permissions": [{"verbs": ["get"], "resources": ["pods"]}]}
    stranger = str(api_server.user("nobody-in-particular"))
    answer = run("k8s_rbac_info", {"reviews": [question]}, kubeconfig=stranger)
    assert answer["failed"] and answer["failure"]["code"] == 403 and "subjectaccessreviews" in answer["msg"]
    answer = run("k8s_rbac_info", {"gather": ["powerful_roles"]}, kubeconfig=stranger)
    assert answer["failed"] and answer["failure"]["code"] == 403 and "cannot list resource" in answer["msg"]
    answer = run("k8s_rbac_info", {"subjects": [{"service_account": f"{namespace}/*"}]})
    assert answer["failed"] and f"no service account in the namespace {namespace}" in answer["msg"]
    answer = run("k8s_rbac_info", {"subjects": [{"service_account": "web"}]})
    assert answer["failed"] and "NAMESPACE/NAME" in answer["msg"]
    answer = run(
        "k8s_rbac_info", {"reviews": [{**question, "permissions": [{"verbs": ["get"], "resources": ["pods/"]}]}]}
    )
    assert answer["failed"] and "is no resource" in answer["msg"]
    answer = run("k8s_rbac_info", {"reviews": [{**question, "permissions": [{"verbs": ["get"]}]}]})
    assert answer["failed"] and "resources, non_resource_urls" in answer["msg"]
    answer = run("k8s_rbac_info", {"reviews": [{"subjects": [{}], "permissions": question["permissions"]}]})
    assert answer["failed"] and "user, groups, service_account" in answer["msg"]


def test_examples(api_server: ApiServer, shop: str, tmp_path: Path) -> None:
    """The examples of the documentation, with an account of the test in place of theirs."""
    tasks = examples(
        "k8s_rbac_info", {"default/default": f"{shop}/web", "namespaces: [default": f"namespaces: [{shop}"}
    )
    found = ["access.reviews | map(attribute='allowed') | unique == [false]", "access.reviews | length >= 10"]
    tasks.insert(1, {"ansible.builtin.assert": {"that": found}})
    run_examples(tmp_path, tasks, api_server.kubeconfig)
    # Somebody who may read Secrets makes the first example fail, and it says who.
    rule = [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["list"]}]
    _create(api_server, f"{RBAC}/namespaces/{shop}/roles", "reader", rules=rule)
    _bind(api_server, shop, "reader", "Role", {"kind": "ServiceAccount", "name": "web", "namespace": shop})
    with pytest.raises(AssertionError, match=f"ServiceAccount {shop}/web"):
        run_examples(tmp_path, tasks[:1], api_server.kubeconfig)
