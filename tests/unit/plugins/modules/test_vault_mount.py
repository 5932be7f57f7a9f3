# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""vault_mount and vault_auth_method against a server with a memory."""

from __future__ import annotations

import pytest

from ansible_collections.onprem.platform.plugins.modules import vault_auth_method, vault_mount
from ansible_collections.onprem.platform.tests.unit.fakes.vault_server import Fault


def test_life_of_an_engine(call, vault):
    main = vault_mount.main
    wanted = {"path": "kv", "type": "kv-v2", "description": "Secrets", "max_lease_ttl": "1h"}
    planned = call(main, check=True, **wanted)
    assert planned["changed"] and not vault.writes
    assert call(main, **wanted)["diff"] == planned["diff"]
    assert vault.state.mounts["kv/"]["options"] == {"version": "2"} and vault.state.mounts["kv/"]["type"] == "kv"
    vault.forget()
    for same in ({}, {"type": "kv"}, {"max_lease_ttl": "3600"}, {"default_lease_ttl": "system"}):
        assert not call(main, **{**wanted, **same})["changed"], same
    assert not vault.writes

    updated = call(main, **{**wanted, "max_lease_ttl": "2h", "audit_non_hmac_request_keys": ["b", "a"]})
    assert updated["objects"][0]["options"] == ["max_lease_ttl", "audit_non_hmac_request_keys"]
    assert vault.writes == [("POST", "sys/mounts/kv/tune")]
    assert not call(main, **{**wanted, "max_lease_ttl": "2h", "audit_non_hmac_request_keys": ["a", "b"]})["changed"]
    assert call(main, **{**wanted, "max_lease_ttl": "0", "audit_non_hmac_request_keys": []})["changed"]
    assert vault.state.mounts["kv/"]["config"]["max_lease_ttl"] == 0
    assert "audit_non_hmac_request_keys" not in vault.state.mounts["kv/"]["config"]

    vault.state.mounts["kv/"]["description"] = "drift"
    assert call(main, path="kv", type="kv", description="Secrets")["objects"][0]["options"] == ["description"]

    assert call(main, check=True, path="kv", state="absent")["changed"] and vault.state.mounts
    assert call(main, path="kv", state="absent")["objects"][0]["action"] == "deleted"
    vault.forget()
    assert not call(main, path="kv", state="absent")["changed"] and not vault.writes


def test_a_path_below_an_engine_is_not_taken_for_the_engine(call, vault):
    """The tune endpoint would answer for the longest prefix."""
    call(vault_mount.main, path="database", type="database")
    assert not call(vault_mount.main, path="database/shop", state="absent")["changed"]
    result = call(vault_mount.main, path="database/shop", type="database")
    assert result["failed"] and "already in use" in result["msg"]


def test_what_cannot_be_changed_is_an_error(call, vault):
    call(vault_mount.main, path="kv", type="kv-v2")
    vault.forget()
    assert "not pki" in call(vault_mount.main, path="kv", type="pki")["msg"]
    assert "not pki" in call(vault_mount.main, path="kv", type="pki", state="absent")["msg"]
    assert "turned back" in call(vault_mount.main, path="kv", type="kv-v1")["msg"]
    assert "seal_wrap cannot be changed" in call(vault_mount.main, path="kv", type="kv", seal_wrap=True)["msg"]
    assert not vault.writes


def test_version_one_can_be_upgraded(call, vault):
    call(vault_mount.main, path="kv", type="kv-v1")
    assert call(vault_mount.main, path="kv", type="kv-v2")["objects"][0]["options"] == ["options"]
    assert not call(vault_mount.main, path="kv", type="kv-v2")["changed"]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "path or type"),
        ({"path": "kv"}, "type is missing"),
        ({"path": "a//b", "type": "kv"}, "no mount path"),
        ({"path": "../sys", "type": "kv"}, "no mount path"),
        ({"type": "kv", "max_lease_ttl": "soon"}, "max_lease_ttl: 'soon' is no duration"),
    ],
)
def test_wrong_input(call, vault, params, message):
    assert message in call(vault_mount.main, **params)["msg"]
    assert not vault.writes


def test_life_of_an_auth_method(call, vault):
    main = vault_auth_method.main
    wanted = {"type": "kubernetes", "description": "Pods", "token_type": "default-service"}
    assert call(main, **wanted)["objects"][0] == {
        "name": "kubernetes",
        "action": "created",
        "options": ["token_type", "description"],
    }
    vault.forget()
    assert not call(main, **wanted)["changed"] and not vault.writes
    assert call(main, **{**wanted, "token_type": "batch"})["changed"]
    assert vault.state.auth["kubernetes/"]["config"]["token_type"] == "batch"
    assert not call(main, path="kubernetes/lab", state="absent")["changed"]
    assert call(main, path="kubernetes", state="absent")["changed"]
    assert not call(main, path="kubernetes", state="absent")["changed"]


def test_sudo_is_named_when_permission_is_missing(call, vault):
    vault.denied.append("sys/auth")
    token = vault.issue("hvs.limited", "default")
    result = call(vault_auth_method.main, token=token, type="kubernetes")
    assert result["failure"]["capability"] == "read and sudo"


def test_a_mount_whose_answer_is_lost(call, vault):
    """The repeated request meets the mount of the first one; a mount in the way is a conflict as always."""
    vault.faults.append(Fault(method="POST", path="sys/mounts/kv", after=True))
    assert call(vault_mount.main, type="kv-v2", path="kv")["changed"] and len(vault.writes) == 2
    assert not call(vault_mount.main, type="kv-v2", path="kv")["changed"]
    assert call(vault_mount.main, type="kv-v2", path="kv/below")["failure"]["kind"] == "conflict"
