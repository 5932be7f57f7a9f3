# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""vault_policy against a server with a memory."""

from __future__ import annotations

from ansible_collections.onprem.platform.plugins.modules import vault_policy
from ansible_collections.onprem.platform.tests.unit.fakes.vault_server import Fault

READ = 'path "kv/data/shop" {\n  capabilities = ["read"]\n}\n'
LIST = 'path "kv/data/shop" {\n  capabilities = ["list"]\n}\n'


def test_life_of_a_policy(call, vault):
    main = vault_policy.main
    planned = call(main, check=True, name="Shop", policy=READ)
    assert planned["changed"] and not vault.writes and "shop" not in vault.state.policies
    created = call(main, name="Shop", policy=READ)
    assert created["objects"] == [{"name": "shop", "action": "created", "options": ["policy"]}]
    assert created["diff"] == planned["diff"]
    assert vault.state.policies["shop"] == READ

    vault.forget()
    again = call(main, name="shop", policy=READ.replace("\n", "\r\n") + "\n\n")
    assert not again["changed"] and not vault.writes and again["diff"] == []

    updated = call(main, name="shop", policy=LIST)
    assert updated["objects"][0]["action"] == "updated"
    assert updated["diff"][0]["before"] == READ.strip() and updated["diff"][0]["after"] == LIST.strip()

    vault.state.policies["shop"] = "# drift"
    assert call(main, name="shop", policy=LIST)["changed"]
    assert vault.state.policies["shop"] == LIST

    assert call(main, name="shop", state="absent", check=True)["changed"] and "shop" in vault.state.policies
    assert call(main, name="shop", state="absent")["objects"][0]["action"] == "deleted"
    vault.forget()
    assert not call(main, name="shop", state="absent")["changed"] and not vault.writes


def test_a_text_that_looks_like_base64_is_stored_as_given(call, vault):
    text = "//policy"  # a comment in HCL, and valid Base64
    call(vault_policy.main, name="odd", policy=text)
    assert vault.state.policies["odd"] == text
    assert not call(vault_policy.main, name="odd", policy=text)["changed"]


def test_a_list_writes_only_what_differs(call, vault):
    wanted = [{"name": f"p{number}", "policy": READ} for number in range(20)]
    assert call(vault_policy.main, policies=wanted)["changed"]
    vault.forget()
    wanted[7]["policy"] = LIST
    wanted.append({"name": "gone", "state": "absent"})
    result = call(vault_policy.main, policies=wanted)
    assert vault.writes == [("POST", "sys/policies/acl/p7")]
    assert [entry["name"] for entry in result["objects"] if entry["action"] != "unchanged"] == ["p7"]
    vault.forget()
    assert not call(vault_policy.main, policies=wanted)["changed"]
    assert len(vault.requests) == 21 and not vault.writes


def test_a_failing_policy_does_not_stop_the_others(call, vault):
    wanted = [
        {"name": "a", "policy": READ},
        {"name": "b", "policy": "syntax error"},
        {"name": "c", "policy": READ},
    ]
    result = call(vault_policy.main, policies=wanted)
    assert result["failed"] and result["failure"]["kind"] == "partial_failure" and result["changed"]
    assert [entry["action"] for entry in result["objects"]] == ["created", "failed", "created"]
    assert "b" in result["msg"] and "failed to parse" in result["objects"][1]["error"]
    assert "c" in vault.state.policies


def test_a_sealed_server_in_the_middle_stops_the_rest(call, vault):
    sealed = Fault(status=503, body=b'{"errors":["Vault is sealed"]}', path="acl/b", method="POST")
    vault.faults.append(sealed)
    status = b'{"initialized":true,"sealed":true}'
    vault.faults.append(Fault(status=200, body=status, path="sys/seal-status"))
    result = call(vault_policy.main, policies=[{"name": name, "policy": READ} for name in "abc"])
    assert [entry["action"] for entry in result["objects"]] == ["created", "failed", "not_attempted"]
    assert call(vault_policy.main, policies=[{"name": name, "policy": READ} for name in "abc"])["changed"]
    assert {"a", "b", "c"} <= set(vault.state.policies)


def test_wrong_input(call, vault):
    assert "one of the following" in call(vault_policy.main)["msg"]
    assert "mutually exclusive" in call(vault_policy.main, name="a", policies=[])["msg"]
    assert "text is missing" in call(vault_policy.main, name="a")["msg"]
    assert "cannot be changed" in call(vault_policy.main, name="root", policy=READ)["msg"]
    assert "cannot be deleted" in call(vault_policy.main, name="default", state="absent")["msg"]
    twice = [{"name": "a", "policy": READ}, {"name": "a", "policy": LIST}]
    assert "twice" in call(vault_policy.main, policies=twice)["msg"]
    assert not vault.requests


def test_refused_permission_names_path_and_capability(call, vault):
    vault.denied.append("sys/policies")
    token = vault.issue("hvs.limited", "default")
    result = call(vault_policy.main, token=token, name="a", policy=READ)
    assert result["failure"]["kind"] == "permission_denied"
    assert result["failure"]["path"] == "sys/policies/acl/a" and result["failure"]["capability"] == "read"
    assert "deny" in result["msg"]
