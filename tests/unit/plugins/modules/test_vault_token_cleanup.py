# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which tokens are revoked, and which stay."""

from __future__ import annotations

import time

import pytest

from ansible_collections.onprem.platform.plugins.modules import vault_root_token, vault_token_cleanup
from ansible_collections.onprem.platform.tests.unit.fakes.vault_server import ROOT, Fault

cleanup = vault_token_cleanup.main
DAY = 86400


@pytest.fixture(autouse=True)
def tokens(vault):
    """Four tokens beside the root token: name, policies, path, age in days."""
    for name, policies, path, days in (
        ("ada", ["default", "admin"], "auth/userpass/login/ada", 40),
        ("ben", ["default"], "auth/userpass/login/ben", 1),
        ("robot", ["default", "robot"], "auth/token/create", 40),
        ("other-root", ["root"], "auth/token/root", 400),
    ):
        vault.issue(f"hvs.{name}", *policies)
        issued = {"display_name": name, "path": path, "creation_time": int(time.time()) - days * DAY}
        vault.state.tokens[f"hvs.{name}"].update(issued, accessor=f"accessor-{name}")
    vault.state.tokens["hvs.ben"]["identity_policies"] = ["auditor"]


@pytest.mark.parametrize(
    ("conditions", "names"),
    [
        ({"policies": ["admin", "robot"]}, ["ada", "robot"]),
        ({"policies": ["auditor"]}, ["ben"]),
        ({"policies": []}, []),
        ({"policies": ["root"]}, []),
        ({"display_names": ["*"]}, ["ada", "ben", "robot"]),
        ({"display_names": ["b*", "rob?t"]}, ["ben", "robot"]),
        ({"paths": ["auth/userpass/login/*"]}, ["ada", "ben"]),
        ({"older_than": "30d"}, ["ada", "robot"]),
        ({"older_than": "30d", "paths": ["auth/userpass/*"]}, ["ada"]),
        ({"older_than": "30d", "keep_accessors": ["accessor-ada"]}, ["robot"]),
        ({"older_than": "50d"}, []),
    ],
)
def test_which_tokens_are_meant(call, vault, conditions, names):
    planned = call(cleanup, check=True, **conditions)
    assert [entry["display_name"] for entry in planned["objects"]] == names and not vault.writes
    result = call(cleanup, **conditions)
    assert result["changed"] is bool(names) and result["diff"] == planned["diff"]
    assert [entry["name"] for entry in result["objects"]] == [f"accessor-{name}" for name in names]
    assert {entry["action"] for entry in result["objects"]} <= {"deleted"}
    left = {f"hvs.{name}" for name in ("ada", "ben", "robot", "other-root")} - {f"hvs.{name}" for name in names}
    assert vault.state.tokens.keys() == {ROOT, *left}
    assert not [token for token in ("hvs.ada", "hvs.robot", ROOT) if token in str(result["objects"])]
    vault.forget()
    assert not call(cleanup, **conditions)["changed"] and not vault.writes


def test_wrong_values(call, vault):
    assert "one of" in call(cleanup)["msg"]
    assert "no duration" in call(cleanup, older_than="old")["msg"]
    assert "more than 0" in call(cleanup, older_than="0")["msg"]
    assert call(cleanup, token="hvs.dead", policies=["a"])["failure"]["kind"] == "token_rejected"
    assert not vault.writes


def test_a_token_that_goes_by_itself(call, vault):
    """It expires after the list was read, or its parent is revoked before it."""
    vault.faults.append(Fault(400, b'{"errors": ["1 error occurred: invalid accessor"]}', "lookup-accessor", times=1))
    vault.faults.append(Fault(404, b'{"errors": []}', "lookup-accessor", times=1))
    assert len(call(cleanup, check=True, older_than="1h")["objects"]) == 1
    vault.faults.append(Fault(200, b'{"warnings": ["No token found with this accessor"]}', "revoke-accessor"))
    assert call(cleanup, policies=["robot"])["objects"][0]["action"] == "deleted"
    vault.faults.append(Fault(400, b'{"errors": ["missing accessor"]}', "lookup-accessor"))
    assert call(cleanup, policies=["robot"])["failure"]["kind"] == "invalid_request"


def test_refusals_are_told(call, vault):
    """Who may list but not look up must not be told that there is nothing."""
    limited = vault.issue("hvs.limited", "default")
    vault.denied.append("auth/token/lookup-accessor")
    refused = call(cleanup, token=limited, policies=["robot"])
    assert refused["failure"] | {"message": "", "hint": ""} == {
        "kind": "permission_denied",
        "path": "auth/token/lookup-accessor",
        "capability": "create or update",
        "status": 403,
        "message": "",
        "hint": "",
    }
    stray = {"root_token": "hvs.gone", "other_root_tokens": "report"}
    assert call(vault_root_token.main, token=limited, **stray)["failure"]["kind"] == "permission_denied"
    vault.denied[:] = ["auth/token/revoke-accessor"]
    refused = call(cleanup, token=limited, policies=["admin", "robot"])
    assert refused["failure"]["kind"] == "partial_failure"
    assert [entry["action"] for entry in refused["objects"]] == ["failed", "failed"]
