# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""vault_approle_role against a server with a memory."""

from __future__ import annotations

import pytest

from ansible_collections.onprem.platform.plugins.modules import vault_approle_role, vault_auth_method

role = vault_approle_role.main
WANTED = {
    "name": "Pipeline",
    "secret_id_bound_cidrs": ["10.0.0.0/8", "10.1.2.3/32"],
    "secret_id_ttl": "24h",
    "token_policies": ["b", "a"],
    "token_bound_cidrs": ["10.1.2.3/32", "10.0.0.0/8"],
    "token_ttl": "20m",
}


@pytest.fixture(autouse=True)
def method(call, vault):
    call(vault_auth_method.main, type="approle")
    vault.forget()


def test_life(call, vault):
    planned = call(role, check=True, **WANTED)
    assert planned["changed"] and not vault.writes
    created = call(role, **WANTED)
    assert created["diff"] == planned["diff"] and created["objects"][0]["action"] == "created"
    vault.forget()
    equal = {**WANTED, "token_policies": ["a", "b"], "secret_id_ttl": "86400", "token_ttl": "1200s"}
    equal |= {"secret_id_bound_cidrs": ["10.1.2.3/32", "10.0.0.0/8"], "token_bound_cidrs": ["10.0.0.0/8", "10.1.2.3"]}
    assert not call(role, **equal)["changed"] and not vault.writes and len(vault.requests) == 1

    updated = call(role, **{**WANTED, "secret_id_num_uses": 3})
    assert updated["objects"][0]["options"] == ["secret_id_num_uses"] and vault.bodies[-1] == {"secret_id_num_uses": 3}
    vault.state.objects["auth/approle/role/pipeline"]["bind_secret_id"] = False
    assert call(role, **WANTED, bind_secret_id=True)["objects"][0]["options"] == ["bind_secret_id"]
    assert call(role, name="pipeline", state="absent")["changed"]
    vault.forget()
    assert not call(role, name="pipeline", state="absent")["changed"] and not vault.writes


def test_role_id_of_ones_own(call, vault):
    assert call(role, **WANTED, custom_role_id="pipeline")["changed"]
    assert vault.state.role_ids["auth/approle/role/pipeline"] == "pipeline"
    vault.forget()
    assert not call(role, **WANTED, custom_role_id="pipeline")["changed"] and len(vault.requests) == 2
    changed = call(role, **WANTED, custom_role_id="other")
    assert changed["objects"][0]["options"] == ["role_id"] and vault.bodies[-1] == {"role_id": "other"}
    assert not call(role, **WANTED)["changed"], "what is not set is not compared"


def test_what_cannot_be_changed(call, vault):
    call(role, **WANTED, local_secret_ids=False)
    assert not call(role, **WANTED, local_secret_ids=False)["changed"]
    vault.forget()
    refused = call(role, **WANTED, local_secret_ids=True)
    assert "cannot be changed" in refused["msg"] and not vault.writes


def test_list(call, vault):
    roles = [{**WANTED, "name": f"r{number}"} for number in range(4)]
    assert call(role, roles=roles)["changed"]
    vault.forget()
    roles[2]["token_ttl"] = "1h"
    result = call(role, roles=[*roles, {"name": "gone", "state": "absent"}])
    assert vault.writes == [("POST", "auth/approle/role/r2")]
    assert [entry["action"] for entry in result["objects"]] == ["unchanged"] * 2 + ["updated"] + ["unchanged"] * 2


def test_wrong_use(call, vault):
    assert "one of the following" in call(role)["msg"]
    assert "no duration" in call(role, **{**WANTED, "token_ttl": "soon"})["msg"]
    assert call(role, name="a", auth_path="no")["failure"]["kind"] == "missing_mount"
