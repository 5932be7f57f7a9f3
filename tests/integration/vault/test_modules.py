# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each module against a real Vault: missing argument, check, create, again, update, again, drift, delete, refusal."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

PACKAGE = "ansible_collections.onprem.platform.plugins.modules"
POLICY = 'path "kv/data/shop" {\n  capabilities = ["read"]\n}\n'
CERTIFICATE = """-----BEGIN CERTIFICATE-----
MIIBZTCCAQugAwIBAgIUQmFzZTY0IG9mIGEgY2VydGlmaWNhdGUwCgYIKoZIzj0E
-----END CERTIFICATE-----
"""

# name: (module, missing argument, parameters, update, drift as (method, path, body), what removes the object)
CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any], dict[str, Any], tuple[str, str, Any], Any]] = {
    "policy": (
        "vault_policy",
        {"name": "shop"},
        {"name": "shop", "policy": POLICY},
        {"policy": POLICY.replace("read", "list")},
        ("PUT", "sys/policies/acl/shop", {"policy": "# drift"}),
        {"name": "shop", "state": "absent"},
    ),
    "policies": (
        "vault_policy",
        {"policies": [{"name": "a"}]},
        {"policies": [{"name": f"p{number}", "policy": POLICY} for number in range(5)]},
        {"policies": [{"name": f"p{number}", "policy": f"# {number}\n{POLICY}"} for number in range(5)]},
        ("PUT", "sys/policies/acl/p3", {"policy": "# drift"}),
        {"policies": [{"name": f"p{number}"} for number in range(5)], "state": "absent"},
    ),
    "mount": (
        "vault_mount",
        {"path": "m-kv"},
        {
            "path": "m-kv",
            "type": "kv-v2",
            "description": "Secrets",
            "default_lease_ttl": "1h",
            "max_lease_ttl": "86400",
            "listing_visibility": "unauth",
            "audit_non_hmac_request_keys": ["b", "a"],
        },
        {"default_lease_ttl": "0", "listing_visibility": "hidden", "audit_non_hmac_request_keys": []},
        ("POST", "sys/mounts/m-kv/tune", {"description": "drift"}),
        {"path": "m-kv", "type": "kv", "state": "absent"},
    ),
    "auth_method": (
        "vault_auth_method",
        {"path": "m-approle"},
        {"path": "m-approle", "type": "approle", "description": "Machines", "max_lease_ttl": "1h"},
        {"description": "Robots", "token_type": "batch", "passthrough_request_headers": ["X-A"]},
        ("POST", "sys/auth/m-approle/tune", {"max_lease_ttl": "7m"}),
        {"path": "m-approle", "state": "absent"},
    ),
    "kubernetes_role": (
        "vault_kubernetes_role",
        {"name": "shop", "auth_path": "k8s"},
        {
            "auth_path": "k8s",
            "name": "Shop",
            "bound_service_account_names": ["shop", "jobs"],
            "bound_service_account_namespaces": ["shop"],
            "bound_service_account_namespace_selector": '{"matchLabels":{"team":"shop"}}',
            "token_policies": ["shop", "base"],
            "token_ttl": "24h",
            "audience": "vault",
        },
        {
            "token_policies": ["shop"],
            "token_type": "batch",
            "token_ttl": "3600",
            "token_bound_cidrs": ["10.0.0.0/8"],
            "alias_name_source": "serviceaccount_name",
            "token_no_default_policy": True,
            "audience": "",
        },
        ("POST", "auth/k8s/role/shop", {"token_ttl": "5m"}),
        {"auth_path": "k8s", "name": "shop", "state": "absent"},
    ),
    "approle_role": (
        "vault_approle_role",
        {"auth_path": "machines"},
        {
            "auth_path": "machines",
            "name": "Pipeline",
            "custom_role_id": "pipeline",
            "secret_id_bound_cidrs": ["10.1.2.3/32", "10.0.0.0/8"],
            "secret_id_ttl": "24h",
            "token_policies": ["b", "a"],
            "token_bound_cidrs": ["10.1.2.3/32", "10.0.0.0/8"],
            "token_ttl": "20m",
            "local_secret_ids": False,
        },
        {
            "custom_role_id": "other",
            "secret_id_num_uses": 3,
            "secret_id_bound_cidrs": [],
            "token_bound_cidrs": ["10.1.2.4/32"],
            "token_type": "batch",
            "token_ttl": "600",
        },
        ("POST", "auth/machines/role/pipeline", {"token_type": "service", "secret_id_ttl": "7h"}),
        {"auth_path": "machines", "name": "pipeline", "state": "absent"},
    ),
    "kv2_config": (
        "vault_kv2_config",
        {"engine_mount_point": "settings"},
        {"engine_mount_point": "settings", "max_versions": 20, "cas_required": True, "delete_version_after": "72h"},
        {"max_versions": 0, "cas_required": False, "delete_version_after": "0"},
        ("POST", "settings/config", {"max_versions": 3}),
        None,
    ),
    "kubernetes_auth_config": (
        "vault_kubernetes_auth_config",
        {"auth_path": "k8s"},
        {
            "auth_path": "k8s",
            "kubernetes_host": "https://127.0.0.1:6443",
            "kubernetes_ca_cert": CERTIFICATE,
            "token_reviewer_jwt": "canary-reviewer-jwt",
            "disable_local_ca_jwt": True,
        },
        {"kubernetes_host": "https://127.0.0.1:7443", "issuer": "https://kubernetes.default.svc"},
        (
            "POST",
            "auth/k8s/config",
            {"kubernetes_host": "https://drift", "token_reviewer_jwt": "x", "disable_local_ca_jwt": True},
        ),
        None,
    ),
    "audit": (
        "vault_audit",
        {"type": "no such type"},
        {"path": "m-audit", "type": "file", "description": "Log", "options": {"file_path": "discard"}},
        {"options": {"file_path": "discard", "hmac_accessor": False}, "replace": True},
        ("DELETE", "sys/audit/m-audit", None),
        {"path": "m-audit", "state": "absent"},
    ),
    "kv2_secret": (
        "vault_kv2_secret",
        {"path": "shop"},
        {"path": "shop", "data": {"KEY": "canary-kv", "PORT": 3306, "ON": True, "NEST": {"a": [1, None, 2.5]}}},
        {"data": {"KEY": "canary-kv-2"}, "custom_metadata": {"owner": "shop"}, "delete_version_after": "72h"},
        ("POST", "kv/data/shop", {"data": {"KEY": "drift"}}),
        {"path": "shop", "state": "absent"},
    ),
    "database_role": (
        "vault_database_role",
        {"name": "shop"},
        {
            "name": "shop",
            "connection_name": "shop",
            "creation_statements": ["CREATE USER '{{name}}'@'%'; GRANT SELECT ON app.* TO '{{name}}'@'%'"],
            "default_ttl": "1h",
            "max_ttl": "24h",
        },
        {"default_ttl": "600", "revocation_statements": ["DROP USER IF EXISTS '{{name}}'@'%'"]},
        ("POST", "database/roles/shop", {"max_ttl": "7h"}),
        {"name": "shop", "state": "absent"},
    ),
}
ALWAYS_THERE = ("kv2_config",)
WRONG_TYPES: dict[str, dict[str, Any]] = {
    "policy": {"policies": "text"},
    "policies": {"policies": ["text"]},
    "mount": {"options": "text"},
    "auth_method": {"default_lease_ttl": "soon"},
    "kubernetes_role": {"token_ttl": "soon"},
    "approle_role": {"secret_id_num_uses": "many"},
    "kv2_config": {"max_versions": "many"},
    "kubernetes_auth_config": {"disable_local_ca_jwt": "perhaps"},
    "audit": {"options": "text"},
    "kv2_secret": {"data": "text"},
    "database_role": {"credential_config": "text"},
}
SECRETS = ("canary-reviewer-jwt", "canary-kv", "canary-kv-2")


@pytest.fixture(scope="module", autouse=True)
def mounts(dev):
    """Enable what the objects live in."""
    for path, body in (
        ("sys/mounts/kv", {"type": "kv-v2"}),
        ("sys/mounts/database", {"type": "database"}),
        ("sys/mounts/settings", {"type": "kv-v2"}),
        ("sys/auth/k8s", {"type": "kubernetes"}),
        ("sys/auth/machines", {"type": "approle"}),
    ):
        dev.request("POST", path, body)


@pytest.mark.parametrize("name", CASES)
def test_life(name, call, dev):
    module, missing, params, update, drift, removal = CASES[name]
    main = importlib.import_module(f"{PACKAGE}.{module}").main
    log = dev.audit
    results = []

    def run(**options: Any) -> dict[str, Any]:
        log.start()
        results.append(call(main, **options))
        assert not results[-1].get("failed"), results[-1]
        return results[-1]

    log.start()
    assert call(main, **missing)["failed"] and not log.writes()
    assert call(main, **{**params, **WRONG_TYPES[name]})["failed"] and not log.writes()

    planned = run(check=True, **params)
    assert planned["changed"] and not log.writes()
    created = run(**params)
    assert created["changed"] and log.writes()
    assert created["diff"] == planned["diff"]
    assert {entry["action"] for entry in created["objects"]} == {"updated" if name in ALWAYS_THERE else "created"}
    assert not run(**params)["changed"] and not log.writes()
    assert not run(check=True, **params)["changed"]

    changed = {**params, **update}
    planned = run(check=True, **changed)
    assert planned["changed"] and not log.writes()
    updated = run(**changed)
    assert updated["diff"] == planned["diff"] and {entry["action"] for entry in updated["objects"]} == {"updated"}
    assert not run(**changed)["changed"] and not log.writes()

    dev.request(*drift)
    assert run(**changed)["changed"]
    assert not run(**changed)["changed"] and not log.writes()

    dev.request("PUT", "sys/policies/acl/nothing", {"policy": 'path "nothing" { capabilities = ["read"] }'})
    limited = dev.request("POST", "auth/token/create", {"policies": ["nothing"]})["auth"]["client_token"]
    refused = call(main, token=limited, **{**params, "cas": None} if "cas" in params else params)
    assert refused["failed"] and refused["failure"]["kind"] == "permission_denied", refused
    assert refused["failure"]["path"] and "the token has: " in refused["msg"]
    dead = call(main, token="hvs.dead", **params)
    assert dead["failure"]["kind"] == "token_rejected", dead

    if removal:
        assert run(check=True, **removal)["changed"] and not log.writes()
        assert run(**removal)["changed"]
        assert not run(**removal)["changed"] and not log.writes()
    assert not [secret for secret in SECRETS if secret in str([result["diff"] for result in results])]
    assert not [secret for secret in SECRETS if secret in log.text()]


READ_ONLY_B = """
path "kv/*" { capabilities = ["create", "read", "update"] }
path "kv/data/list-b" { capabilities = ["read"] }
"""
# name: (module, list, common options, good object, what Vault refuses in the middle one: options, or by a policy)
LISTS: dict[str, tuple[str, str, dict[str, Any], dict[str, Any], Any]] = {
    "policies": ("vault_policy", "policies", {}, {"policy": POLICY}, {"policy": "path {"}),
    "kubernetes_roles": (
        "vault_kubernetes_role",
        "roles",
        {"auth_path": "k8s"},
        {"bound_service_account_names": ["a"], "bound_service_account_namespaces": ["a"]},
        {"bound_service_account_names": ["*", "a"]},
    ),
    "approle_roles": (
        "vault_approle_role",
        "roles",
        {"auth_path": "machines"},
        {"token_ttl": "1h"},
        {"token_type": "batch", "token_num_uses": 3},
    ),
    "database_roles": (
        "vault_database_role",
        "roles",
        {},
        {"connection_name": "none", "creation_statements": ["SELECT 1"]},
        {"credential_type": "rsa_private_key", "credential_config": {"key_bits": "7"}},
    ),
    "kv2_secrets": ("vault_kv2_secret", "secrets", {}, {"data": {"a": "canary-kv"}}, READ_ONLY_B),
}


@pytest.mark.parametrize("name", LISTS)
def test_a_list_goes_on_after_a_refusal(name, call, dev):
    """What Vault refuses is told for that object, the others are done, and the next run does what is left."""
    module, plural, common, good, bad = LISTS[name]
    main = importlib.import_module(f"{PACKAGE}.{module}").main
    key = "path" if plural == "secrets" else "name"
    names = [f"list-{letter}" for letter in "abc"]
    token = dev.token
    if isinstance(bad, str):
        dev.request("PUT", "sys/policies/acl/bad", {"policy": bad})
        token = dev.request("POST", "auth/token/create", {"policies": ["bad"]})["auth"]["client_token"]
        bad = {}
    wanted = [{key: item, **good, **(bad if item == "list-b" else {})} for item in names]
    refused = call(main, token=token, **common, **{plural: wanted})
    assert refused["failed"] and refused["failure"]["kind"] == "partial_failure", refused
    assert [entry["action"] for entry in refused["objects"]] == ["created", "failed", "created"]
    assert refused["changed"] and refused["objects"][1]["error"] in refused["msg"] and "canary" not in str(refused)
    wanted[1] = {key: "list-b", **good}
    mended = call(main, **common, **{plural: wanted})
    assert [entry["action"] for entry in mended["objects"]] == ["unchanged", "created", "unchanged"], mended
    dev.audit.start()
    assert not call(main, **common, **{plural: wanted})["changed"] and not dev.audit.writes()


def test_base64_looking_policy_text(call, dev):
    main = importlib.import_module(f"{PACKAGE}.vault_policy").main
    text = "//policy"  # a comment in HCL, and valid Base64
    assert call(main, name="odd", policy=text)["changed"]
    assert dev.request("GET", "sys/policies/acl/odd")["data"]["policy"] == text
    assert not call(main, name="odd", policy=text)["changed"]


def test_a_path_below_a_mount_is_not_taken_for_the_mount(call, dev):
    main = importlib.import_module(f"{PACKAGE}.vault_mount").main
    effective = dev.request("GET", "sys/mounts/database/below/tune")
    assert effective["max_lease_ttl"], "the tune endpoint answers for the longest prefix"
    assert not call(main, path="database/below", state="absent")["changed"]
    assert call(main, path="database/below", type="database")["failed"]
    auth = importlib.import_module(f"{PACKAGE}.vault_auth_method").main
    assert not call(auth, path="k8s/below", state="absent")["changed"]


def test_wrong_type_of_a_mount(call, dev):
    main = importlib.import_module(f"{PACKAGE}.vault_mount").main
    assert "is of type kv" in call(main, path="kv", type="pki")["msg"]
    assert "is of type kv" in call(main, path="kv", type="pki", state="absent")["msg"]
    role = importlib.import_module(f"{PACKAGE}.vault_approle_role").main
    assert call(role, name="a", auth_path="machines", local_secret_ids=True)["changed"]
    assert "cannot be changed" in call(role, name="a", auth_path="machines", local_secret_ids=False)["msg"]


def test_full_replacement_keeps_the_reviewer_jwt(call, dev):
    """Checked by what Vault sends to the API server as its own identity is not visible; its flag is."""
    main = importlib.import_module(f"{PACKAGE}.vault_kubernetes_auth_config").main
    dev.request("POST", "sys/auth/jwt-kept", {"type": "kubernetes"})
    params = {"auth_path": "jwt-kept", "kubernetes_host": "https://a", "disable_local_ca_jwt": True}
    call(main, **params, kubernetes_ca_cert=CERTIFICATE, token_reviewer_jwt="canary-reviewer-jwt")
    refused = call(main, auth_path="jwt-kept", kubernetes_host="https://b")
    assert "would drop it" in refused["msg"]
    kept = dev.request("GET", "auth/jwt-kept/config")["data"]
    assert kept["token_reviewer_jwt_set"] and kept["kubernetes_host"] == "https://a"
    call(main, auth_path="jwt-kept", kubernetes_host="https://b", token_reviewer_jwt="canary-reviewer-jwt")
    kept = dev.request("GET", "auth/jwt-kept/config")["data"]
    assert kept["token_reviewer_jwt_set"] and kept["kubernetes_host"] == "https://b"
    assert kept["kubernetes_ca_cert"].strip() == CERTIFICATE.strip()
    assert call(main, auth_path="jwt-kept", token_reviewer_jwt="")["changed"]
    assert not dev.request("GET", "auth/jwt-kept/config")["data"]["token_reviewer_jwt_set"]
    assert not call(main, auth_path="jwt-kept", token_reviewer_jwt="")["changed"]


def test_an_engine_of_version_1_has_no_settings(call, dev):
    main = importlib.import_module(f"{PACKAGE}.vault_kv2_config").main
    dev.request("POST", "sys/mounts/old", {"type": "kv-v1"})
    assert "version 2" in call(main, engine_mount_point="old", max_versions=1)["msg"]
    dev.request("POST", "old/config", {"a": "secret of that name"})
    assert "version 2" in call(main, engine_mount_point="old", max_versions=1)["msg"]
    assert dev.request("GET", "old/config")["data"] == {"a": "secret of that name"}


def test_integers_that_vault_would_round(call, dev):
    main = importlib.import_module(f"{PACKAGE}.vault_kv2_secret").main
    dev.request("POST", "kv/data/number", {"data": {"n": 2**53 + 1}})
    assert dev.request("GET", "kv/data/number")["data"]["data"]["n"] != 2**53 + 1, "Vault rounds"
    assert "2^53" in call(main, path="number", data={"n": 2**53 + 1})["msg"]
    for number, value in enumerate((2**53, -(2**53), str(2**60))):
        assert call(main, path=f"number-{number}", data={"n": value})["changed"]
        assert not call(main, path=f"number-{number}", data={"n": value})["changed"]


@pytest.mark.parametrize("method", ["replace", "merge", "add", "patch"])
def test_kv2_methods(method, call, dev):
    main = importlib.import_module(f"{PACKAGE}.vault_kv2_secret").main
    path = f"method-{method}"
    dev.request("POST", f"kv/data/{path}", {"data": {"a": "1", "b": {"c": 1, "d": 2}}})
    data: dict[str, Any] = {"b": {"c": 3, "d": None}, "e": "5"}
    expected = {
        "replace": data,
        "merge": {"a": "1", **data},
        "add": {"a": "1", "b": {"c": 1, "d": 2}, "e": "5"},
        "patch": {"a": "1", "b": {"c": 3}, "e": "5"},
    }[method]
    assert call(main, path=path, method=method, data=data)["objects"][0]["version"] == 2
    assert dev.request("GET", f"kv/data/{path}")["data"]["data"] == expected
    assert not call(main, path=path, method=method, data=data)["changed"]


def test_kv2_versions(call, dev):
    main = importlib.import_module(f"{PACKAGE}.vault_kv2_secret").main
    for value in "123":
        call(main, path="versions", data={"a": value})
    assert call(main, path="versions", state="deleted")["changed"]
    assert not call(main, path="versions", state="deleted")["changed"]
    assert call(main, path="versions", state="undeleted")["changed"]
    assert not call(main, path="versions", state="undeleted")["changed"]
    assert call(main, path="versions", state="destroyed", versions=[1, 2])["changed"]
    assert not call(main, path="versions", state="destroyed", versions=[1, 2])["changed"]
    assert call(main, path="versions", state="deleted")["changed"]
    assert call(main, path="versions", data={"a": "3"}, cas=0)["failure"]["kind"] == "conflict"
    assert call(main, path="versions", data={"a": "3"})["objects"][0]["version"] == 4
    assert call(main, path="versions", data={"a": "4"}, cas=4)["changed"]


def test_a_fresh_engine_is_waited_for(call, dev):
    """A new versioned engine answers "Upgrading" for a moment."""
    mount = importlib.import_module(f"{PACKAGE}.vault_mount").main
    secret = importlib.import_module(f"{PACKAGE}.vault_kv2_secret").main
    for number in range(3):
        assert call(mount, path=f"fresh-{number}", type="kv-v2")["changed"]
        assert call(secret, path="a", data={"a": "1"}, engine_mount_point=f"fresh-{number}")["changed"]


def test_missing_mounts_and_objects(call):
    secret = importlib.import_module(f"{PACKAGE}.vault_kv2_secret").main
    role = importlib.import_module(f"{PACKAGE}.vault_kubernetes_role").main
    assert call(secret, path="a", data={"a": "1"}, engine_mount_point="no")["failure"]["kind"] == "missing_mount"
    result = call(role, name="a", bound_service_account_names=["a"], auth_path="no")
    assert result["failure"]["kind"] == "missing_mount"


def test_logins(call, dev, run_module):
    login = importlib.import_module(f"{PACKAGE}.vault_login").main
    dev.request("POST", "sys/auth/approle", {"type": "approle"})
    dev.request("POST", "sys/auth/userpass", {"type": "userpass"})
    dev.request("POST", "auth/approle/role/ansible", {"token_ttl": "10m"})
    dev.request("POST", "auth/userpass/users/ada", {"password": "canary-password", "token_ttl": "10m"})
    role_id = dev.request("GET", "auth/approle/role/ansible/role-id")["data"]["role_id"]
    secret_id = dev.request("POST", "auth/approle/role/ansible/secret-id")["data"]["secret_id"]
    approle = {"auth_method": "approle", "role_id": role_id, "secret_id": secret_id}
    for params in (approle, {"auth_method": "userpass", "username": "ada", "password": "canary-password"}):
        result = run_module(login, {"url": dev.url, **params})
        assert result["changed"] is False and result["login"]["lease_duration"] == 600, result
    for params in (
        {**approle, "secret_id": "wrong"},
        {**approle, "role_id": "wrong"},
        {"auth_method": "userpass", "username": "ada", "password": "canary-wrong"},
        {"auth_method": "userpass", "username": "nobody", "password": "canary-wrong"},
    ):
        failed = run_module(login, {"url": dev.url, **params})
        assert failed["failure"]["kind"] == "login_failed" and "canary" not in str(failed), failed


def test_root_token(call, dev, run_module, tmp_path):
    root_token = importlib.import_module(f"{PACKAGE}.vault_root_token").main
    doomed = dev.request("POST", "auth/token/create", {"policies": ["root"]})["auth"]["client_token"]
    stray = dev.request("POST", "auth/token/create", {"policies": ["root"]})["auth"]
    params = {"root_token": doomed, "other_root_tokens": "report"}
    assert call(root_token, check=True, **params)["revoked"]
    result = call(root_token, **params)
    assert result["revoked"] and doomed not in str(result)
    assert stray["accessor"] in result["other_root_tokens"]
    dev.request("GET", "auth/token/lookup-self", token=doomed, ok=False)
    assert not call(root_token, root_token=doomed)["changed"]


def test_tokens_that_live_too_long(call, dev):
    """Found by name, origin, policy and age; what they made ends with them, and the rest stays."""
    cleanup = importlib.import_module(f"{PACKAGE}.vault_token_cleanup").main
    dev.request("POST", "sys/auth/people", {"type": "userpass"})
    dev.request("POST", "auth/people/users/ada", {"password": "canary-password"})

    def issue(**body: Any) -> dict[str, Any]:
        return dev.request("POST", "auth/token/create", body)["auth"]

    login = dev.request("POST", "auth/people/login/ada", {"password": "canary-password"})["auth"]
    parent = issue(display_name="parent", policies=["root"], ttl="1h")
    robots = [issue(display_name=f"robot-{number}", policies=["default"], ttl="1h") for number in range(3)]
    child = dev.request(
        "POST", "auth/token/create", {"display_name": "child", "policies": ["default"]}, token=parent["client_token"]
    )["auth"]
    issue(type="batch", policies=["default"], display_name="robot-batch", ttl="1h")
    assert "one of" in call(cleanup)["msg"]
    dev.audit.start()
    meant = {"display_names": ["token-robot-*"], "keep_accessors": [robots[2]["accessor"]]}
    planned = call(cleanup, check=True, **meant)
    assert {entry["name"] for entry in planned["objects"]} == {robot["accessor"] for robot in robots[:2]}
    assert not dev.audit.writes()
    result = call(cleanup, **meant)
    assert result["diff"] == planned["diff"] and {entry["action"] for entry in result["objects"]} == {"deleted"}
    assert len(dev.audit.writes()) == 2
    dev.audit.start()
    assert not call(cleanup, **meant)["changed"] and not dev.audit.writes()
    for robot, alive in zip(robots, (False, False, True)):
        dev.request("GET", "auth/token/lookup-self", token=robot["client_token"], ok=alive)
        assert robot["client_token"] not in str(result)
    assert not call(cleanup, older_than="1d")["changed"]
    assert call(cleanup, paths=["auth/people/login/*"])["objects"][0]["name"] == login["accessor"]
    assert not call(cleanup, policies=["root"], display_names=["token-parent"])["changed"], "root tokens are left alone"
    call(importlib.import_module(f"{PACKAGE}.vault_root_token").main, root_token=parent["client_token"])
    dev.request("GET", "auth/token/lookup-self", token=child["client_token"], ok=False)
    limited = issue(policies=["default"])["client_token"]
    refused = call(cleanup, token=limited, older_than="1d")
    assert refused["failure"]["kind"] == "permission_denied", refused
    assert refused["failure"]["path"] == "auth/token/accessors" and "sudo" in refused["failure"]["capability"]
