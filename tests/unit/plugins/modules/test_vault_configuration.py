# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""vault_configuration against a server with a memory."""

from __future__ import annotations

import json

import pytest

from ansible_collections.onprem.platform.plugins.modules import vault_configuration
from ansible_collections.onprem.platform.tests.unit.fakes.vault_server import ROOT, Fault

main = vault_configuration.main
SECRETS = ("canary-jwt", "canary-key", "canary-password")
WANTED = {
    "audit_devices": [
        {"path": "stdout", "options": {"file_path": "stdout"}},
        {"path": "file", "options": {"file_path": "/vault/audit.log"}},
    ],
    "mounts": [{"path": "kv", "type": "kv-v2"}, {"type": "database", "max_lease_ttl": "24h"}],
    "auth_methods": [{"type": "kubernetes", "description": "Pods"}],
    "policies": [{"name": "Shop", "policy": "# shop"}, {"name": "jobs", "policy": "# jobs"}],
    "kubernetes_auth_configs": [{"kubernetes_host": "https://api:6443", "token_reviewer_jwt": "canary-jwt"}],
    "kubernetes_roles": [
        {
            "name": name,
            "bound_service_account_names": [name],
            "bound_service_account_namespaces": ["shop"],
            "token_policies": [name],
            "token_ttl": "24h",
        }
        for name in ("shop", "jobs")
    ],
    "kv2_secrets": [{"path": "shop", "method": "add", "data": {"APP_KEY": "canary-key"}}],
    "database_connections": [
        {
            "name": "shop",
            "plugin_name": "mysql-database-plugin",
            "connection_url": "{{username}}:{{password}}@tcp(127.0.0.1:3306)/",
            "connection_username": "vault",
            "connection_password": "canary-password",
            "allowed_roles": ["shop"],
        }
    ],
    "database_roles": [
        {
            "name": "shop",
            "connection_name": "shop",
            "creation_statements": ["CREATE USER '{{name}}'"],
            "default_ttl": "1h",
        }
    ],
    "database_root_rotations": [{"name": "shop"}],
}
NUMBER = sum(len(items) for items in WANTED.values())


def actions(result):
    return {(entry["section"], entry["name"]): entry["action"] for entry in result["objects"]}


def test_life_of_a_configuration(call, vault):
    planned = call(main, check=True, **WANTED)
    assert planned["changed"] and not vault.writes, planned
    assert len(planned["objects"]) == NUMBER and len(planned["diff"]) == NUMBER
    assert actions(planned).pop(("database_root_rotations", "shop")) == "updated"
    assert {entry["action"] for entry in planned["objects"][:-1]} == {"created"}

    created = call(main, **WANTED)
    assert actions(created) == actions(planned)
    assert created["diff"][:-1] == planned["diff"][:-1], "but for the time of the rotation"
    assert created["auth_method"] == "token"
    assert vault.state.database_passwords["shop"] != "canary-password"
    assert vault.state.kv["kv/shop"]["versions"]["1"]["data"] == {"APP_KEY": "canary-key"}
    vault.forget()
    again = call(main, **WANTED)
    assert not again["changed"] and not vault.writes and not again["diff"], again["diff"]
    assert not call(main, check=True, **WANTED)["changed"] and not vault.writes
    assert again["objects"][-1]["rotated_at"] == created["objects"][-1]["rotated_at"] != ""
    assert again["objects"][-1]["engine_mount_point"] == "database"
    assert not [secret for secret in SECRETS if secret in str((planned, created, again))]

    vault.state.objects["auth/kubernetes/role/jobs"]["token_ttl"] = 60
    vault.forget()
    drift = call(main, **WANTED)
    assert vault.writes == [("POST", "auth/kubernetes/role/jobs")]
    assert [entry["name"] for entry in drift["objects"] if entry["action"] == "updated"] == ["jobs"]
    assert drift["diff"][0]["after_header"] == "kubernetes role kubernetes/jobs"


def test_nothing_is_named(call, vault):
    assert call(main) | {"invocation": None} == {
        "changed": False,
        "objects": [],
        "diff": [],
        "auth_method": "token",
        "invocation": None,
    }
    assert not vault.requests


def test_a_password_that_is_set_anew_is_rotated_in_the_same_call(call, vault):
    call(main, **WANTED)
    vault.state.database_passwords["shop"] = "set by hand"
    connection = {
        **WANTED["database_connections"][0],
        "connection_password": "set by hand",
        "update_password": "always",
    }
    by_hand = {"database_connections": [connection], "database_root_rotations": [{"name": "shop"}]}
    planned = call(main, check=True, **by_hand)
    assert [entry["action"] for entry in planned["objects"]] == ["updated", "updated"]
    assert call(main, **by_hand)["changed"]
    assert vault.state.database_passwords["shop"].startswith("rotated-")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            {"policies": [{"name": "a", "policy": "# a"}, {"name": "A", "policy": "# b"}]},
            "policies[1]: a is named twice",
        ),
        ({"policies": [{"name": "a"}]}, "policies[0]: policy a: the text is missing"),
        ({"mounts": [{"description": "x"}]}, "mounts[0]: path or type is needed"),
        (
            {
                "mounts": [{"path": "kv", "type": "kv", "state": "absent"}],
                "kv2_secrets": [{"path": "a", "data": {"a": "1"}}],
            },
            "kv2_secrets[0]: kv/ is removed by the same call",
        ),
        (
            {
                "mounts": [{"path": "old", "type": "kv-v1"}],
                "kv2_secrets": [{"engine_mount_point": "old", "path": "a", "data": {}}],
            },
            "not of type kv with version 2",
        ),
        (
            {"kubernetes_roles": [{"name": "a", "bound_service_account_names": ["a"], "token_ttl": "soon"}]},
            "kubernetes_roles[0]: token_ttl: 'soon' is no duration",
        ),
        (
            {"database_root_rotations": [{"name": "none"}]},
            "database_root_rotations[0]: There is no database connection none",
        ),
        (
            {
                "database_connections": [{"name": "shop", "state": "absent"}],
                "database_root_rotations": [{"name": "shop"}],
            },
            "There is no database connection shop",
        ),
        (
            {
                "database_connections": [
                    {"name": "new", "plugin_name": "mysql-database-plugin", "connection_url": "tcp(127.0.0.1:3306)/"}
                ],
                "database_root_rotations": [{"name": "new"}],
            },
            "The connection new has no username to rotate",
        ),
        ({"kubernetes_roles": [{"name": "a", "auth_path": "no"}]}, "Nothing is mounted"),
    ],
)
def test_what_is_wrong_stops_the_call_before_the_first_write(call, vault, wrong, message):
    call(main, **WANTED)
    vault.forget()
    devices = [{"path": "new", "options": {"file_path": "discard"}}]
    result = call(main, audit_devices=devices, **wrong)
    assert message in result["msg"] and not vault.writes, result


def test_removal(call, vault):
    call(main, **WANTED)
    absent = {
        "mounts": [{"path": "kv", "type": "kv", "state": "absent"}, {"path": "database", "state": "absent"}],
        "auth_methods": [{"path": "kubernetes", "state": "absent"}],
        "policies": [{"name": "shop", "state": "absent"}],
        "kubernetes_roles": [{"name": "shop", "state": "absent"}],
        "kv2_secrets": [{"path": "shop", "state": "absent"}],
        "database_roles": [{"name": "shop", "state": "absent"}],
    }
    removed = call(main, **absent)
    assert actions(removed)[("mounts", "kv")] == "deleted"
    assert actions(removed)[("kv2_secrets", "shop")] == "unchanged", "it goes with its engine"
    vault.forget()
    for gone in ("mounts", "auth_methods", "policies"):
        assert not call(main, **{gone: absent[gone]})["changed"]
    assert not vault.writes


def test_partial_failure(call, vault):
    """The rest of the section is done; what builds on it is not attempted; a repeated run does the rest."""
    wrong = {**WANTED, "policies": [{"name": "bad", "policy": "syntax error"}, WANTED["policies"][1]]}
    failed = call(main, **wrong)
    assert failed["failure"]["kind"] == "partial_failure" and failed["changed"]
    assert "1 of 14 objects (7 not attempted) failed. bad: " in failed["msg"], failed["msg"]
    told = actions(failed)
    assert told[("policies", "bad")] == "failed" and told[("policies", "jobs")] == "created"
    assert {told[(entry["section"], entry["name"])] for entry in failed["objects"][:5]} == {"created"}
    assert {entry["action"] for entry in failed["objects"][7:]} == {"not_attempted"}
    assert len(failed["diff"]) == 6 and "auth/kubernetes/config" not in vault.state.objects
    assert call(main, **WANTED)["changed"]
    assert not call(main, **WANTED)["changed"]


def test_a_seal_in_the_middle_stops_at_once(call, vault):
    sealed = json.dumps({"errors": ["Vault is sealed"]}).encode()
    vault.faults.append(Fault(status=503, body=sealed, path="policies/acl/shop", method="POST", times=9))
    vault.faults.append(Fault(status=200, body=b'{"initialized": true, "sealed": true}', path="seal-status", times=9))
    failed = call(main, **WANTED)
    assert actions(failed)[("policies", "jobs")] == "not_attempted", failed


@pytest.fixture
def kubernetes_login(vault, tmp_path):
    (tmp_path / "keys.json").write_text(json.dumps({"keys": ["a"], "root_token": ROOT}))
    return {
        "token": None,
        "auth_method": "kubernetes",
        "role": "admin",
        "jwt": "jwt-1",
        "auth_fallback": "token_file",
        "token_path": str(tmp_path),
        "token_file": "keys.json",
    }


def test_fallback_login(call, vault, kubernetes_login, tmp_path):
    first = call(main, **WANTED, **kubernetes_login)
    assert first["changed"] and first["auth_method"] == "token_file"
    refused = call(main, **WANTED, **kubernetes_login)
    assert refused["auth_method"] == "token_file", "the role is unknown still"

    vault.state.logins[("auth/kubernetes/login", "jwt-1")] = vault.issue("hvs.admin", "admin")
    (tmp_path / "keys.json").unlink()
    vault.forget()
    again = call(main, **WANTED, **kubernetes_login)
    assert again["auth_method"] == "kubernetes" and not again["changed"], again
    assert [path for _method, path in vault.requests].count("auth/kubernetes/login") == 1

    lost = call(main, **WANTED, **{**kubernetes_login, "jwt": "other"})
    assert lost["failure"]["kind"] == "login_failed"
    assert "refuses the kubernetes login" in lost["msg"] and "keys.json cannot be read" in lost["msg"]
    del kubernetes_login["auth_fallback"]
    alone = call(main, **WANTED, **{**kubernetes_login, "jwt": "other"})
    assert alone["failure"]["kind"] == "login_failed" and "keys.json" not in alone["msg"]


def test_no_fallback_when_the_server_is_away(call, vault, kubernetes_login):
    vault.state.sealed = True
    assert call(main, **WANTED, **kubernetes_login)["failure"]["kind"] == "sealed"


def test_settings_and_roles_in_mounts_of_the_same_call(call, vault):
    wanted = {
        "mounts": WANTED["mounts"],
        "auth_methods": [{"type": "approle"}],
        "approle_roles": [{"name": "pipeline", "token_ttl": "10m"}],
        "kv2_configs": [{"max_versions": 3}],
        "kv2_secrets": WANTED["kv2_secrets"],
        "database_connections": WANTED["database_connections"],
        "database_static_roles": [
            {"name": "reports", "connection_name": "shop", "database_username": "reports", "rotation_period": "1h"}
        ],
    }
    planned = call(main, check=True, **wanted)
    assert planned["changed"] and not vault.writes, planned
    done = call(main, **wanted)
    assert actions(done) == actions(planned) and done["diff"] == planned["diff"]
    assert actions(done)["kv2_configs", "kv"] == "updated"
    vault.forget()
    assert not call(main, **wanted)["changed"] and not vault.writes
