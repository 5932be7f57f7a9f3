# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""rbac_snapshots and rbac_cases: what is a failure and what is not, and the snapshots of the repository themselves."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError

from ansible_collections.onprem.platform.plugins.filter.rbac_cases import FilterModule, rbac_cases
from ansible_collections.onprem.platform.plugins.filter.rbac_snapshots import FilterModule as SnapshotFilters
from ansible_collections.onprem.platform.plugins.plugin_utils._access_cases import snapshots

ROOT = Path(__file__).parents[4]
NOTHING = {"cluster": {}, "namespaces": {}}


def account(namespace: str, name: str, **changes: Any) -> dict[str, Any]:
    return {
        "namespace": namespace,
        "name": name,
        "automount": False,
        "token_mounted_by": [],
        "built_in": False,
        "bindings": [],
        "permissions": NOTHING,
        **changes,
    }


@pytest.fixture
def info() -> dict[str, Any]:
    """What the module returns about a cluster where all is well."""
    rights = {"cluster": {"nodes": ["get"]}, "namespaces": {"shop": {"pods": ["get", "list"]}}}
    web = account("shop", "web", bindings=["RoleBinding shop/web -> Role shop/web"], permissions=rights)
    return {
        "reviews": [],
        "service_accounts": [
            web,
            account("shop", "default"),
            account("kube-system", "default", automount=True),
            account("kube-system", "node-controller", built_in=True, permissions=rights),
        ],
        "users_and_groups": [{"subject": "Group admins", "bindings": [], "permissions": NOTHING}],
        "powerful_roles": [{"role": "ClusterRole admin", "powers": ["wildcard verb"], "subjects": ["Group admins"]}],
    }


ADMIN = {"role": "ClusterRole admin", "subjects": ["Group admins"], "reason": "they administer"}


def failures(info: dict[str, Any], stored: dict[str, str], **options: Any) -> dict[str, str]:
    options = {"powerful_roles": [ADMIN], "foreign_namespaces": ["kube-system"], **options}
    cases = rbac_cases(info, stored, **options)
    return {f"{case['suite']}: {case['name']}": case["failure"] for case in cases if case["failure"]}


def test_all_is_well(info: dict[str, Any]) -> None:
    stored = snapshots(info)
    assert set(stored) == {"shop_web.yml", "users_and_groups.yml"}
    assert "    pods: [get, list]\n" in stored["shop_web.yml"]
    assert failures(info, stored) == {}
    names = [case["name"] for case in rbac_cases(info, stored, [ADMIN])]
    assert names == ["shop/web", "users_and_groups", "shop/default", "kube-system/default", "ClusterRole admin"]


def test_comments_and_layout_make_no_difference(info: dict[str, Any]) -> None:
    stored = {name: f"# seen\n{yaml.safe_dump(yaml.safe_load(text))}" for name, text in snapshots(info).items()}
    assert failures(info, stored) == {}


def test_a_new_right_is_shown_as_a_difference(info: dict[str, Any]) -> None:
    stored = snapshots(info)
    changed = copy.deepcopy(info)
    changed["service_accounts"][0]["permissions"]["namespaces"]["shop"]["secrets"] = ["get"]
    failure = failures(changed, stored)["snapshots: shop/web"]
    assert re.search(r"^\+ +secrets: \[get\]$|^\+.*secrets: \[get\]", failure, re.MULTILINE), failure
    changed = copy.deepcopy(info)
    changed["users_and_groups"][0]["bindings"] = ["ClusterRoleBinding a -> ClusterRole admin"]
    assert "+" in failures(changed, stored)["snapshots: users_and_groups"]


def test_unknown_and_gone_accounts(info: dict[str, Any]) -> None:
    stored = snapshots(info)
    more = copy.deepcopy(info)
    more["service_accounts"].append(account("shop", "new"))
    assert "somebody has rights who is not known" in failures(more, stored)["snapshots: shop/new"]
    del info["service_accounts"][0]
    assert "not there" in failures(info, stored)["snapshots: shop/web"]
    with pytest.raises(AnsibleFilterError, match="is no YAML"):
        failures(more, {**stored, "shop_web.yml": "{"})


def test_default_accounts(info: dict[str, Any]) -> None:
    stored = snapshots(info)
    info["service_accounts"][1].update(automount=True, bindings=["RoleBinding x -> Role y"])
    assert failures(info, stored)["default accounts: shop/default"] == (
        "it has rights by RoleBinding x -> Role y; it lacks automountServiceAccountToken: false"
    )
    assert "default accounts: kube-system/default" in failures(info, stored, foreign_namespaces=[])


def test_powerful_roles(info: dict[str, Any]) -> None:
    stored, name = snapshots(info), "powerful roles: ClusterRole admin"
    assert "without a named reason; held by Group admins" in failures(info, stored, powerful_roles=[])[name]
    info["powerful_roles"][0]["subjects"].append("User mallory")
    assert failures(info, stored)[name] == "wildcard verb held by User mallory, who is not named"
    with pytest.raises(AnsibleFilterError, match="a reason that says something"):
        failures(info, stored, powerful_roles=[{**ADMIN, "reason": " "}])


def test_tokens(info: dict[str, Any]) -> None:
    stored = snapshots(info)
    info["service_accounts"][0]["token_mounted_by"] = ["Deployment web", "Job one"]
    known = {"service_account": "shop/web", "workloads": ["Deployment web"], "reason": "it asks"}
    assert list(failures(info, stored, tokens=[known])) == ["tokens: shop/web: Job one"]
    with pytest.raises(AnsibleFilterError, match="service_account, workloads"):
        failures(info, stored, tokens=[{"service_account": "shop/web"}])


def test_reviews_are_grouped(info: dict[str, Any]) -> None:
    answer = {
        "subject": "ServiceAccount shop/web",
        "verb": "get",
        "resource": "secrets",
        "namespace": "shop",
        "non_resource_url": "",
        "allowed": True,
        "correct": False,
        "reason": "RBAC: by x",
    }
    right = {**answer, "verb": "list", "allowed": False, "correct": True}
    denied = {**answer, "resource": "", "non_resource_url": "/metrics", "namespace": "", "allowed": False, "reason": ""}
    info["reviews"] = [answer, right, denied]
    assert failures(info, snapshots(info)) == {
        "can-i: ServiceAccount shop/web: secrets": "may get in shop (RBAC: by x)",
        "can-i: ServiceAccount shop/web: /metrics": "may not get everywhere",
    }


def test_filters_are_found_by_name() -> None:
    assert FilterModule().filters() == {"rbac_cases": rbac_cases}
    assert SnapshotFilters().filters() == {"rbac_snapshots": snapshots}


def test_the_snapshots_of_the_repository_hold_no_power_without_a_reason() -> None:
    known = yaml.safe_load((ROOT / "roles/verify/files/access.yml").read_text())
    powerful = {name for item in known["powerful_roles"] for name in item["subjects"]}
    files = sorted((ROOT / "roles/verify/files/rbac").glob("*.yml"))
    assert len(files) > 20
    for path in files:
        if path.name == "users_and_groups.yml":
            continue
        namespace, _underscore, name = path.stem.partition("_")
        content = yaml.safe_load(path.read_text())
        scopes = [content["cluster"], *content["namespaces"].values()]
        risky = [
            (what, verbs)
            for scope in scopes
            for what, verbs in scope.items()
            if what.startswith("*") or {"*", "bind", "escalate"} & set(verbs) or "impersonate" in " ".join(verbs)
        ]
        assert not risky or f"ServiceAccount {namespace}/{name}" in powerful, (path.name, risky)


def test_no_manifest_of_ours_has_a_wildcard() -> None:
    """The rules that the roles render themselves; those of others are looked at in the running cluster."""
    rule = re.compile(
        r"\b(?:verbs|resources|apiGroups|nonResourceURLs):\s*\[[^\]]*(?:[\"']\*|\bbind\b|\bescalate\b|\bimpersonate\b)"
        r"|^\s*-\s*[\"']?\*[\"']?\s*$"
    )
    wrong, seen = [], 0
    for path in sorted((ROOT / "roles").glob("*/**/*")):
        if path.suffix not in (".j2", ".yml", ".yaml", ".tpl") or "sources" in path.parts or "verify" in path.parts:
            continue
        text = path.read_text(encoding="utf-8")
        if "rbac.authorization.k8s.io" in text or "kind: ClusterRole" in text:
            seen += 1
            wrong += [f"{path.name}: {line.strip()}" for line in text.splitlines() if rule.search(line)]
    assert wrong == [] and seen >= 5
