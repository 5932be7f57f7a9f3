# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""vault_kv2_secret against a server with a memory."""

from __future__ import annotations

import pytest

from ansible_collections.onprem.platform.plugins.modules import vault_kv2_secret, vault_mount
from ansible_collections.onprem.platform.tests.unit.fakes.vault_server import Fault

main = vault_kv2_secret.main
CANARY = "canary-7f3a"


@pytest.fixture(autouse=True)
def engine(call, vault):
    call(vault_mount.main, path="kv", type="kv-v2")
    vault.forget()


def latest(vault, path="shop"):
    versions = vault.state.kv[f"kv/{path}"]["versions"]
    return versions[str(len(versions))]["data"]


def test_life_of_a_secret(call, vault):
    data = {"KEY": CANARY, "PORT": 3306, "ON": True}
    planned = call(main, check=True, path="shop", data=data)
    assert planned["changed"] and not vault.writes
    created = call(main, path="shop", data=data)
    assert created["diff"] == planned["diff"] and created["objects"][0]["version"] == 1
    assert created["objects"][0]["key_changes"] == {"KEY": "added", "ON": "added", "PORT": "added"}
    vault.forget()
    again = call(main, path="shop", data=data)
    assert not again["changed"] and not vault.writes and again["objects"][0]["version"] == 1

    updated = call(main, path="shop", data={"KEY": "other", "PORT": 3306})
    assert updated["objects"][0]["key_changes"] == {"KEY": "changed", "ON": "removed"}
    assert CANARY not in str(updated) and "other" not in str(updated["diff"])
    assert latest(vault) == {"KEY": "other", "PORT": 3306}

    vault.state.kv["kv/shop"]["versions"]["2"]["data"] = {"KEY": "drift"}
    assert call(main, path="shop", data={"KEY": "other"})["changed"]

    assert call(main, path="shop", state="deleted")["objects"][0]["action"] == "deleted"
    vault.forget()
    assert not call(main, path="shop", state="deleted")["changed"] and not vault.writes
    assert call(main, path="shop", state="undeleted")["changed"]
    assert not call(main, path="shop", state="undeleted")["changed"]
    assert call(main, path="shop", state="destroyed", versions=[1, 99])["diff"][0]["after"] == {"destroyed": [1]}
    assert not call(main, path="shop", state="destroyed", versions=[1])["changed"]
    assert call(main, path="shop", state="absent")["changed"]
    vault.forget()
    assert not call(main, path="shop", state="absent")["changed"] and not vault.writes
    assert not call(main, path="shop", state="deleted")["changed"]
    assert call(main, path="shop", state="undeleted")["failure"]["kind"] == "missing_object"


def test_a_deleted_secret_is_written_anew(call, vault):
    call(main, path="shop", data={"a": "1"})
    call(main, path="shop", state="deleted")
    assert call(main, path="shop", data={"a": "1"})["objects"][0]["version"] == 2


def test_truth_is_not_one(call):
    call(main, path="shop", data={"a": True})
    assert call(main, path="shop", data={"a": 1})["changed"]
    assert not call(main, path="shop", data={"a": 1})["changed"]


@pytest.mark.parametrize(
    ("method", "data", "expected"),
    [
        ("replace", {"b": "2"}, {"b": "2"}),
        ("merge", {"b": "2"}, {"a": "1", "b": "2"}),
        ("merge", {"a": "9"}, {"a": "9"}),
        ("add", {"a": "9", "b": "2"}, {"a": "1", "b": "2"}),
        ("patch", {"a": None, "b": "2"}, {"b": "2"}),
    ],
)
def test_methods(call, vault, method, data, expected):
    call(main, path="shop", data={"a": "1"})
    assert call(main, path="shop", method=method, data=data)["changed"]
    assert latest(vault) == expected
    vault.forget()
    assert not call(main, path="shop", method=method, data=data)["changed"] and not vault.writes


def test_generated_values_stay(call, vault):
    call(main, path="shop", method="add", data={"APP_KEY": "first"})
    assert not call(main, path="shop", method="add", data={"APP_KEY": "second"})["changed"]
    assert latest(vault) == {"APP_KEY": "first"}


def test_cas(call):
    assert call(main, path="shop", data={"a": "1"}, cas=0)["changed"]
    assert not call(main, path="shop", data={"a": "1"}, cas=0)["changed"]
    refused = call(main, path="shop", data={"a": "2"}, cas=0)
    assert refused["failure"]["kind"] == "conflict" and "at version 1" in refused["msg"]


def test_the_change_of_another_client_is_not_lost(call, vault):
    """The first write meets a version that came in between; the merge is computed anew."""
    call(main, path="shop", data={"a": "1"})
    conflict = b'{"errors":["check-and-set parameter did not match the current version"]}'
    vault.faults.append(Fault(status=400, body=conflict, path="kv/data/shop", method="POST"))
    assert call(main, path="shop", method="merge", data={"b": "2"})["changed"]
    assert latest(vault) == {"a": "1", "b": "2"}


def test_a_lost_answer_makes_no_second_version(call, vault):
    call(main, path="shop", data={"a": "1"})
    vault.faults.append(Fault(path="kv/data/shop", method="POST", after=True))
    assert call(main, path="shop", data={"a": "2"})["changed"]
    assert len(vault.state.kv["kv/shop"]["versions"]) == 2


@pytest.mark.parametrize("value", [2**53 + 1, -(2**60), [{"x": 2**64}]])
def test_integers_that_vault_would_round_are_refused(call, vault, value):
    result = call(main, path="shop", data={"number": value})
    assert "2^53" in result["msg"] and "shop: data.number" in result["msg"] and not vault.writes
    assert call(main, path="shop", data={"number": 2**53})["changed"]
    assert not call(main, path="shop", data={"number": 2**53})["changed"]


def test_metadata(call, vault):
    options = {"custom_metadata": {"owner": "shop"}, "max_versions": 5, "delete_version_after": "72h"}
    assert call(main, path="shop", data={"a": "1"}, **options)["objects"][0]["options"] == ["data", *options]
    vault.forget()
    assert not call(main, path="shop", data={"a": "1"}, **options)["changed"] and not vault.writes
    changed = call(main, path="shop", cas_required=True, delete_version_after="259200")
    assert changed["objects"][0]["options"] == ["cas_required"] and len(vault.writes) == 1


def test_secrets_in_one_call(call, vault):
    secrets = [{"path": f"s{number}", "data": {"a": CANARY}} for number in range(5)]
    assert CANARY not in str(call(main, secrets=secrets)["diff"])
    vault.forget()
    assert not call(main, secrets=secrets)["changed"] and len(vault.requests) == 5


def test_wrong_input(call, vault):
    assert "data is missing" in call(main, path="shop")["msg"]
    assert "no path" in call(main, path="a/../b", data={"a": "1"})["msg"]
    assert call(main, path="a", data={"a": "1"}, engine_mount_point="no")["failure"]["kind"] == "missing_mount"
    call(vault_mount.main, path="old", type="kv-v1")
    assert "version 2" in call(main, path="a", data={"a": "1"}, engine_mount_point="old")["msg"]
