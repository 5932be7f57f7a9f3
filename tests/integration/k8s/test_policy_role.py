# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role policy renders with its settings, judged by kubectl and a real API server."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.onprem.platform.tests.integration.k8s.conftest import ApiServer, find_binary
from ansible_collections.onprem.platform.tests.integration.k8s.policy_tree import build, render

ONLINE = {
    "policy_tuf_enabled": True,
    "policy_tuf_mirror": "https://tuf.example.org",
    "policy_pull_secrets": True,
    "policy_namespaces": "opt-out",
    "policy_exempt_namespaces": ["legacy"],
    "policy_failure_policy": "Ignore",
    "policy_no_match": "warn",
    "policy_replicas": 3,
    "policy_allowed_addresses": ["203.0.113.0/24"],
}
Find = Callable[[str, str], dict[str, Any]]


@pytest.fixture(scope="module", params=[{}, pytest.param(ONLINE, marks=pytest.mark.long)], ids=["offline", "online"])
def tree(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bool]:
    return render(tmp_path_factory.mktemp("policy"), **request.param), bool(request.param)


@pytest.fixture
def documents(tree: tuple[Path, bool]) -> list[dict[str, Any]]:
    return build(tree[0] / "policy")


@pytest.fixture
def find(documents: list[dict[str, Any]]) -> Find:
    def found(kind: str, name: str) -> dict[str, Any]:
        return next(item for item in documents if (item["kind"], item["metadata"]["name"]) == (kind, name))

    return found


def test_an_api_server_takes_every_object(
    api_server: ApiServer, documents: list[dict[str, Any]], tmp_path: Path
) -> None:
    labels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "cosign-system", "labels": labels}}
    kubectl = [str(find_binary("kubectl", tmp_path)), f"--kubeconfig={api_server.kubeconfig}", "apply", "--server-side"]
    own = [*kubectl, "--field-manager=test", "-f", "-"]
    subprocess.run(own, input=yaml.safe_dump(space), text=True, capture_output=True, check=True)
    check = [*kubectl, "--dry-run=server", "--validate=strict", "--field-manager=check", "--force-conflicts", "-f", "-"]
    done = subprocess.run(check, input=yaml.safe_dump_all(documents), text=True, capture_output=True, check=False)
    assert done.returncode == 0 and "Warning" not in done.stderr, done.stderr
    assert done.stdout.count("serverside-applied") == len(documents)


def test_settings_reach_their_places(tree: tuple[Path, bool], documents: list[dict[str, Any]], find: Find) -> None:
    online = tree[1]
    assert "Namespace" not in {item["kind"] for item in documents}
    container = find("Deployment", "webhook")["spec"]["template"]["spec"]["containers"][0]
    assert container["args"] == (["--tuf-mirror=https://tuf.example.org"] if online else ["--disable-tuf"])
    assert container["image"].startswith("registry.platform.internal:5000/policy-controller@sha256:")
    assert find("Deployment", "webhook")["spec"]["replicas"] == (3 if online else 2)
    assert find("ConfigMap", "config-policy-controller")["data"]["no-match-policy"] == ("warn" if online else "deny")
    assert find("ConfigMap", "platform-ca")["data"]["ca.crt"].startswith("-----BEGIN CERTIFICATE-----\nof a test\n")
    rules = find("ClusterRole", "policy-controller-rbac")["rules"]
    readable = [rule["resources"] for rule in rules if "serviceaccounts" in rule["resources"]]
    assert readable == [["serviceaccounts", "secrets"] if online else ["serviceaccounts"]]


@pytest.mark.parametrize("kind", ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"])
def test_what_heals_the_cluster_never_waits_for_the_webhook(tree: tuple[Path, bool], find: Find, kind: str) -> None:
    online = tree[1]
    webhook = find(kind, "policy.sigstore.dev")["webhooks"][0]
    assert webhook["failurePolicy"] == ("Ignore" if online else "Fail")
    own, chosen, names = webhook["namespaceSelector"]["matchExpressions"]
    assert chosen["key"] == ("policy.sigstore.dev/exclude" if online else "policy.sigstore.dev/include")
    assert names["operator"] == "NotIn"
    assert {"kube-system", "cosign-system", "flux-system", "local-path-storage"} <= set(names["values"])
    assert ("legacy" in names["values"]) == online
    condition = "request.operation != 'UPDATE' || object.spec != oldObject.spec"
    assert [item["expression"] for item in webhook["matchConditions"]] == [condition]
    assert own == {"key": "webhooks.knative.dev/exclude", "operator": "DoesNotExist"}


def test_no_rule_is_wider_than_it_must_be(documents: list[dict[str, Any]]) -> None:
    rules = [rule for item in documents if item["kind"] in ("Role", "ClusterRole") for rule in item["rules"]]
    verbs = {verb for rule in rules for verb in rule["verbs"]}
    assert rules and not verbs & {"*", "bind", "escalate", "impersonate"}
    assert not any("*" in rule.get("resources", []) or "*" in rule.get("apiGroups", []) for rule in rules)


def test_network(tree: tuple[Path, bool], find: Find, documents: list[dict[str, Any]]) -> None:
    names = {item["metadata"]["name"] for item in documents if item["kind"] == "NetworkPolicy"}
    assert names == {"default-deny", "allow-policy-webhook"}
    spec = find("NetworkPolicy", "allow-policy-webhook")["spec"]
    planes = [{"ipBlock": {"cidr": "192.0.2.11/32"}}, {"ipBlock": {"cidr": "192.0.2.12/32"}}]
    own = {"ipBlock": {"cidr": "10.244.0.0/16"}}
    assert {"from": [*planes, own], "ports": [{"port": 8443, "protocol": "TCP"}]} in spec["ingress"]
    assert spec["egress"][0]["to"] == planes
    assert [port["port"] for port in spec["egress"][0]["ports"]] == [5000, 6443]
    outside = [rule for rule in spec["egress"] if {"ipBlock": {"cidr": "203.0.113.0/24"}} in rule["to"]]
    assert len(outside) == int(tree[1])
