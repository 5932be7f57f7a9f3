# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""vault_init, vault_unseal and vault_seal_info against servers with a memory."""

from __future__ import annotations

import base64
import json
import stat

import pytest

from ansible_collections.onprem.platform.plugins.modules import vault_init, vault_seal_info, vault_unseal
from ansible_collections.onprem.platform.tests.unit.fakes.vault_server import ROOT, FakeVault, Fault

init, unseal, info = vault_init.main, vault_unseal.main, vault_seal_info.main


@pytest.fixture
def servers():
    three = [FakeVault(initialized=False) for _number in range(3)]
    yield three
    for server in three:
        server.close()


@pytest.fixture
def key_file(tmp_path):
    return tmp_path / "private" / "keys.json"


@pytest.fixture
def run(run_module, servers, key_file):
    def call(main, check=False, **params):
        given = {"peers": [server.url for server in servers], "retries": 0, **params}
        if main is not info:
            given.setdefault("key_file", str(key_file))
        return run_module(main, {key: value for key, value in given.items() if value is not None}, check=check)

    return call


def join(servers):
    """Let the other servers join the first one's cluster."""
    for server in servers[1:]:
        server.state.initialized = True
        server.state.shares, server.state.threshold = servers[0].state.shares, servers[0].state.threshold


def test_initialise_once(run, servers, key_file):
    planned = run(init, check=True)
    assert planned["changed"] and not servers[0].writes and not key_file.exists()
    result = run(init, secret_shares=3, secret_threshold=2)
    assert result["changed"] and result["diff"] == planned["diff"]
    keys = json.loads(key_file.read_text())
    assert keys["keys_base64"] == servers[0].state.shares and keys["root_token"] == ROOT
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert [path.name for path in key_file.parent.iterdir()] == ["keys.json"]
    assert ROOT not in str(result) and keys["keys_base64"][0] not in str(result)
    assert [server.writes for server in servers] == [[("PUT", "sys/init")], [], []]

    again = run(init, secret_shares=3, secret_threshold=2)
    assert not again["changed"] and all(len(server.writes) <= 1 for server in servers)


def test_a_follower_is_never_initialised(run, servers, key_file):
    """The first server is not initialised, another is: initialising the first would make a second cluster."""
    servers[2].state.initialized = True
    servers[2].state.sealed = False
    assert not run(init)["changed"]
    assert not servers[0].writes


def test_a_silent_server_may_hold_data(run, servers):
    servers[2].close()
    result = run(init)
    assert result["failed"] and "second cluster" in result["msg"] and not servers[0].writes


def test_keys_that_were_lost_are_told_with_the_remedy(run, servers):
    servers[0].state.initialized = True
    result = run(init)
    assert result["failed"] and "initialised and sealed" in result["msg"] and "storage of all servers" in result["msg"]
    assert not run(init, key_file_required=False)["changed"]
    servers[0].state.sealed = False
    assert not run(init)["changed"]


def test_keys_of_another_cluster_are_not_overwritten(run, servers, key_file):
    key_file.parent.mkdir()
    key_file.write_text('{"keys_base64": ["old"]}')
    assert "earlier cluster" in run(init)["msg"]
    assert "old" in key_file.read_text() and not servers[0].writes


def test_a_file_that_cannot_be_written_stops_before_the_request(run, servers, tmp_path):
    (tmp_path / "file").write_text("")
    result = run(init, key_file=str(tmp_path / "file" / "keys.json"))
    assert result["failed"] and not servers[0].writes
    assert "key_file is missing" in run(init, key_file=None)["msg"]


def test_a_lost_answer_is_not_repeated(run, servers):
    servers[0].faults.append(Fault(path="sys/init", after=True))
    assert run(init, retries=3)["failure"]["kind"] == "connection"
    assert len(servers[0].writes) == 1
    assert "initialised and sealed" in run(init)["msg"]


def test_a_kill_before_the_request_is_repaired_by_the_next_run(run, servers, key_file):
    servers[0].faults.append(Fault(path="sys/init"))
    assert run(init)["failed"] and not key_file.exists() and not list(key_file.parent.iterdir())
    assert run(init)["changed"] and key_file.exists()


def test_pgp_keys(run, servers, key_file):
    binary = base64.b64encode(b"\x99\x01\x0dpublic").decode()
    armored = (
        "-----BEGIN PGP PUBLIC KEY BLOCK-----\nComment: x\n\n"
        + binary
        + "\n=abcd\n-----END PGP PUBLIC KEY BLOCK-----\n"
    )
    wanted = {"secret_shares": 2, "secret_threshold": 2, "root_token_pgp_key": armored}
    assert "1 PGP keys for 2" in run(init, **wanted, pgp_keys=[binary])["msg"]
    assert "neither armored" in run(init, **wanted, pgp_keys=["*", binary])["msg"]
    assert "OpenPGP packet" in run(init, **wanted, pgp_keys=["aGFsbG8=", binary])["msg"]
    assert run(init, **wanted, pgp_keys=[armored, binary])["encrypted"]
    body = next(body for body in servers[0].bodies if body)
    assert body["pgp_keys"] == [binary, binary] and body["root_token_pgp_key"] == binary
    assert "encrypted with PGP" in run(unseal)["msg"]


def test_auto_unseal_needs_recovery_keys(run, servers):
    servers[0].state.seal_type = "transit"
    assert "recovery_shares" in run(init)["msg"]
    assert run(init, recovery_shares=3, recovery_threshold=2)["changed"]
    assert "secret_shares" not in next(body for body in servers[0].bodies if body)


@pytest.mark.parametrize("threshold", [0, 1, 6])
def test_thresholds_that_vault_refuses(run, servers, threshold):
    assert "no valid threshold" in run(init, secret_threshold=threshold)["msg"]


def test_returned_keys(run, servers):
    result = run(init, key_file=None, return_keys=True, secret_shares=1, secret_threshold=1)
    assert result["root_token"] == ROOT and result["keys_base64"] == servers[0].state.shares


def test_unseal_every_server(run, servers):
    run(init, secret_shares=3, secret_threshold=2)
    join(servers)
    planned = run(unseal, check=True)
    assert planned["changed"] and all(server.state.sealed for server in servers)
    result = run(unseal)
    assert result["changed"] and len(result["unsealed"]) == 3
    assert not any(server.state.sealed for server in servers)
    for server in servers:
        server.forget()
    again = run(unseal)
    assert not again["changed"] and not any(server.writes for server in servers)
    servers[1].state.sealed = True
    assert run(unseal)["unsealed"] == [servers[1].url]


def test_the_first_share_is_not_lost(run, servers):
    """Somebody gave a share of other keys; Vault ignores a key that comes with a reset."""
    run(init, secret_shares=3, secret_threshold=2)
    join(servers)
    servers[0].state.given = ["foreign"]
    assert run(unseal)["changed"]
    assert servers[0].bodies.count({"reset": True}) == 1
    keys = [body["key"] for body in servers[0].bodies if "key" in body]
    assert keys == servers[0].state.shares[:2]


def test_wrong_keys(run, servers):
    run(init, secret_shares=3, secret_threshold=2)
    join(servers)
    result = run(unseal, key_file=None, keys=["wrong-1", "wrong-2"])
    assert result["failed"] and "another cluster" in result["msg"] and "wrong-1" not in str(result)
    assert "needs 2 keys" in run(unseal, key_file=None, keys=["x"])["msg"]
    assert "keys or key_file" in run(unseal, key_file=None)["msg"]


def test_a_server_that_does_not_join(run, servers):
    run(init, secret_shares=1, secret_threshold=1)
    result = run(unseal, wait_timeout=0)
    assert result["failure"]["kind"] == "uninitialised" and "retry_join" in result["msg"]
    assert not servers[0].state.sealed


def test_a_silent_server_fails_after_the_others_are_unsealed(run, servers):
    run(init, secret_shares=1, secret_threshold=1)
    join(servers)
    servers[2].close()
    assert run(unseal)["failure"]["kind"] == "connection"
    assert not servers[0].state.sealed and not servers[1].state.sealed


def test_info(run, servers):
    before = run(info)
    assert not before["initialized"] and before["sealed"] and before["active"] == ""
    run(init, secret_shares=1, secret_threshold=1)
    join(servers)
    run(unseal)
    after = run(info)
    assert after["initialized"] and not after["sealed"] and after["active"] == servers[0].url
    servers[1].close()
    silent = run(info)["peers"][1]
    assert silent["reachable"] is False and "No answer" in silent["error"]


def test_the_same_server_twice(run, servers):
    assert "twice" in run(info, peers=[servers[0].url, f"{servers[0].url}/"])["msg"]
