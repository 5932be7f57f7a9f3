# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Roles and bindings resolved; the real API server is asked in tests/integration/k8s."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.onprem.platform.plugins.module_utils._access_review import questions
from ansible_collections.onprem.platform.plugins.module_utils._kube_errors import KubeConfigError, KubeError
from ansible_collections.onprem.platform.plugins.module_utils._kube_rbac import (
    Rbac,
    ServiceAccounts,
    Subject,
    permissions,
    powers,
    split_resource,
)

READ = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}
WEB = {"kind": "ServiceAccount", "name": "web", "namespace": "shop"}


def role(name: str, *rules: dict[str, Any], namespace: str = "", **more: Any) -> dict[str, Any]:
    labels = more.pop("labels", {})
    metadata = {"name": name, "labels": labels, **({"namespace": namespace} if namespace else {})}
    return {"kind": "Role" if namespace else "ClusterRole", "metadata": metadata, "rules": list(rules), **more}


def binding(name: str, kind: str, *subjects: dict[str, Any], namespace: str = "", **more: Any) -> dict[str, Any]:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {}), **more}
    reference = {"kind": kind, "name": name.partition("~")[0]}
    prefix = "" if namespace else "Cluster"
    return {"kind": f"{prefix}RoleBinding", "metadata": metadata, "roleRef": reference, "subjects": list(subjects)}


def test_rights_of_several_bindings_are_one() -> None:
    rules = [READ, {"apiGroups": ["apps", ""], "resources": ["deployments/scale"], "verbs": ["update", "get"]}]
    urls = {"nonResourceURLs": ["/metrics"], "verbs": ["get"]}
    named = {**READ, "resourceNames": ["web-0"], "verbs": ["delete"]}
    rbac = Rbac(
        [role("a", *rules, urls), role("b", named, {**READ, "verbs": ["list", "get"]}, namespace="shop")],
        [
            binding("a", "ClusterRole", WEB),
            binding("a~2", "ClusterRole", WEB, namespace="shop"),
            binding("b", "Role", {"kind": "ServiceAccount", "name": "web"}, namespace="shop"),
        ],
    )
    found = rbac.bindings_of(Subject.service_account("shop", "web"))
    scale = {"deployments.apps/scale": ["get", "update"], "deployments/scale": ["get", "update"]}
    assert permissions(found) == {
        "cluster": {"/metrics": ["get"], **scale, "pods": ["get"]},
        # a RoleBinding gives no URLs
        "namespaces": {"shop": {**scale, "pods": ["get", "list"], "pods (web-0)": ["delete"]}},
    }
    assert permissions(rbac.bindings_of(Subject.service_account("other", "web"))) == {"cluster": {}, "namespaces": {}}


def test_aggregated_roles_and_their_circles() -> None:
    def aggregate(**selector: Any) -> dict[str, Any]:
        return {"clusterRoleSelectors": [selector]}

    nodes = {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]}
    rbac = Rbac(
        [
            role("all", READ, aggregationRule=aggregate(matchLabels={"to": "all"}), labels={"to": "part"}),
            role("part", nodes, aggregationRule=aggregate(matchLabels={"to": "part"}), labels={"to": "all"}),
            role("other", {**nodes, "verbs": ["delete"]}),
            role(
                "expressed",
                aggregationRule=aggregate(
                    matchExpressions=[
                        {"key": "to", "operator": "In", "values": ["all"]},
                        {"key": "to", "operator": "NotIn", "values": ["part"]},
                        {"key": "to", "operator": "Exists"},
                        {"key": "from", "operator": "DoesNotExist"},
                    ]
                ),
            ),
        ],
        [],
    )
    found = {name: held.rules for (kind, namespace, name), held in rbac.roles.items()}
    assert found["all"] == (READ, nodes) and found["part"] == (nodes, READ)
    # what "part" has itself by aggregation comes with it
    assert found["expressed"] == (nodes, READ)


def test_names_of_one_account() -> None:
    names = [
        {"kind": "User", "name": "system:serviceaccount:shop:web"},
        {"kind": "Group", "name": "system:serviceaccounts:shop"},
        {"kind": "Group", "name": "system:authenticated"},
    ]
    rbac = Rbac([role("a", READ)], [binding(f"a~{number}", "ClusterRole", name) for number, name in enumerate(names)])
    everything = rbac.bindings_of(Subject.service_account("shop", "web"))
    assert [item.name for item in everything] == ["a~0", "a~1", "a~2"]
    account = {"metadata": {"name": "web", "namespace": "shop"}}
    (described,) = ServiceAccounts([account], []).describe(rbac)
    assert [text.split()[1] for text in described["bindings"]] == ["a~0", "a~1"]
    assert rbac.people() == ["Group system:authenticated", "Group system:serviceaccounts:shop"]


def test_missing_role_gives_nothing_and_is_told() -> None:
    rbac = Rbac([], [binding("gone", "Role", WEB, namespace="shop")])
    (found,) = rbac.bindings_of(Subject.service_account("shop", "web"))
    assert str(found) == "RoleBinding shop/gone -> Role shop/gone (missing)"
    assert permissions([found]) == {"cluster": {}, "namespaces": {}}


def test_only_what_the_api_server_keeps_is_built_in() -> None:
    account = {"metadata": {"name": "web", "namespace": "kube-system"}}
    subject = {**WEB, "namespace": "kube-system"}
    labels = {"kubernetes.io/bootstrapping": "rbac-defaults"}

    def built_in(*bindings: dict[str, Any], **changes: Any) -> bool:
        found = ServiceAccounts([{"metadata": {**account["metadata"], **changes}}], []).describe(
            Rbac([], list(bindings))
        )
        return bool(found[0]["built_in"])

    own = binding("system:web", "ClusterRole", subject, labels=labels)
    assert built_in(own)
    assert not built_in()
    assert not built_in(own, binding("more", "ClusterRole", subject))
    # the label alone can be anybody's
    assert not built_in(binding("mine", "ClusterRole", subject, labels=labels))
    assert not built_in(binding("system:web", "ClusterRole", WEB, labels=labels), namespace="shop")


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"verbs": ["get"], "resources": ["pods"], "apiGroups": [""]}, set()),
        ({"verbs": ["*"], "resources": ["pods"], "apiGroups": [""]}, {"wildcard verb"}),
        ({"verbs": ["get"], "resources": ["*/scale"], "apiGroups": ["*"]}, {"wildcard resource", "wildcard API group"}),
        ({"verbs": ["get"], "nonResourceURLs": ["*"]}, {"wildcard URL"}),
        ({"verbs": ["get"], "nonResourceURLs": ["/healthz/*"]}, set()),
        ({"verbs": ["bind", "escalate"], "resources": ["roles"]}, {"bind", "escalate"}),
        ({"verbs": ["impersonate:user-info"], "resources": ["users"]}, {"impersonate"}),
    ],
)
def test_powers(rule: dict[str, Any], expected: set[str]) -> None:
    assert set(powers(rule)) == expected


def test_powerful_roles_name_everybody_who_has_them() -> None:
    mallory = {"kind": "User", "name": "mallory"}
    rbac = Rbac(
        [role("admin", {**READ, "verbs": ["*"]}), role("view", READ)],
        [binding("admin", "ClusterRole", mallory), binding("admin~2", "ClusterRole", WEB, namespace="shop")],
    )
    (found,) = rbac.powerful_roles()
    assert found == {
        "role": "ClusterRole admin",
        "powers": ["wildcard verb"],
        "subjects": ["ServiceAccount shop/web", "User mallory"],
    }


def test_workloads_with_a_token() -> None:
    mount = {"mountPath": "/var/run/secrets/kubernetes.io/serviceaccount/"}

    def pod(
        name: str, owner: str = "", labels: dict[str, str] | None = None, mounts: tuple[Any, ...] = (mount,)
    ) -> Any:
        kind, _space, owner_name = owner.partition(" ")
        owners = [{"kind": kind, "name": owner_name, "controller": True}] if owner else []
        metadata = {"name": name, "namespace": "shop", "ownerReferences": owners, "labels": labels or {}}
        return {"metadata": metadata, "spec": {"initContainers": [{"volumeMounts": list(mounts)}], "containers": [{}]}}

    pods = [
        pod("web-5f-x", "ReplicaSet web-5f", {"pod-template-hash": "5f"}),
        pod("old-x", "ReplicaSet old"),
        pod("alone"),
        pod("quiet", mounts=({"mountPath": "/var/run/secrets/vault"},)),
    ]
    accounts = ServiceAccounts([{"metadata": {"name": "default", "namespace": "shop"}}], pods)
    (described,) = accounts.describe(Rbac([], []))
    assert described["token_mounted_by"] == ["Deployment web", "Pod alone", "ReplicaSet old"]
    assert accounts.names("shop") == ["default"]
    with pytest.raises(KubeError, match="no service account in the namespace empty"):
        accounts.names("empty")


def test_resources_as_kubectl_writes_them() -> None:
    assert split_resource("pods") == ("pods", "", "")
    assert split_resource("deployments.apps/scale") == ("deployments", "apps", "scale")
    assert split_resource("roles.rbac.authorization.k8s.io") == ("roles", "rbac.authorization.k8s.io", "")
    for wrong in ("", "/exec", "pods/", ".apps", "pods."):
        with pytest.raises(KubeConfigError):
            split_resource(wrong)


def test_questions_are_a_product() -> None:
    permission = {"verbs": ["get", "list"], "resources": ["pods", "secrets"], "names": None, "non_resource_urls": None}
    urls = {"verbs": ["get"], "resources": None, "names": None, "non_resource_urls": ["/metrics"]}
    review = {"permissions": [permission, urls], "namespaces": ["a", ""], "expected": None}
    asked = list(questions(review, [Subject("jane", ("team",)), Subject("", ("team",))]))
    assert len(asked) == 2 * (2 * 2 * 2 + 1) and len(set(asked)) == len(asked)
    assert asked[-1].body()["spec"] == {
        "user": "",
        "groups": ["team"],
        "nonResourceAttributes": {"path": "/metrics", "verb": "get"},
    }
    assert {str(question.subject) for question in asked} == {"User jane", "Group team"}
