# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules for raft's servers and snapshots against a server with a memory."""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
import tarfile
import time

import pytest

from ansible_collections.onprem.platform.plugins.modules import vault_raft_info, vault_raft_peer, vault_raft_snapshot
from ansible_collections.onprem.platform.tests.unit.fakes.vault_server import Fault

peer = vault_raft_peer.main
snapshot = vault_raft_snapshot.main
STATE = hashlib.shake_256(b"state").digest(50_000)


def archive(**changed):
    """Return a snapshot as Vault writes it; ``changed`` replaces or, with None, leaves out a member."""
    meta = json.dumps({"Version": 1, "Index": 37, "Term": 3, "Size": len(STATE)}).encode()
    sums = "".join(
        f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in (("meta.json", meta), ("state.bin", STATE))
    )
    members = {"meta": meta, "state": STATE, "sums": sums.encode(), "sealed": b"sealed", **changed}
    names = {"meta": "meta.json", "state": "state.bin", "sums": "SHA256SUMS", "sealed": "SHA256SUMS.sealed"}
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for key, data in members.items():
            if data is not None:
                member = tarfile.TarInfo(names.get(key, key))
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    return packed.getvalue()


@pytest.fixture(autouse=True)
def cluster(vault):
    """Three servers; the first leads."""
    for number in range(3):
        vault.state.peers[f"vault-{number}"] = {
            "address": f"vault-{number}:8201",
            "leader": number == 0,
            "voter": True,
            "healthy": True,
        }
    vault.state.snapshot = archive()


def test_info(call, vault):
    result = call(vault_raft_info.main)
    assert result["leader"] == "vault-0" and result["healthy"] and result["failure_tolerance"] == 1
    assert [known["name"] for known in result["peers"]] == ["vault-0", "vault-1", "vault-2"]
    assert result["peers"][1]["status"] == "voter" and not vault.writes


def test_other_storage(call, vault):
    vault.state.peers.clear()
    assert call(vault_raft_info.main)["failure"]["kind"] == "unsupported"
    assert call(peer, name="vault-2")["failure"]["kind"] == "unsupported"


def test_removal_of_a_peer(call, vault):
    vault.state.peers["vault-2"]["healthy"] = False
    planned = call(peer, check=True, name="vault-2")
    assert planned["changed"] and not vault.writes
    removed = call(peer, name="vault-2")
    assert removed["diff"] == planned["diff"] and removed["diff"][0]["before"]["address"] == "vault-2:8201"
    assert vault.bodies[-1] == {"server_id": "vault-2"} and "vault-2" not in vault.state.peers
    vault.forget()
    assert not call(peer, name="vault-2")["changed"] and not vault.writes


def test_removals_that_would_do_harm(call, vault):
    assert "is the leader" in call(peer, name="vault-0")["msg"]
    vault.state.peers["vault-1"]["healthy"] = False
    refused = call(peer, name="vault-2")
    assert "only 1 of 2 voters are healthy" in refused["msg"] and not vault.writes
    assert call(peer, name="vault-2", force=True)["changed"]
    assert call(peer, name="vault-1")["changed"]
    assert "the only server" in call(peer, name="vault-0", force=True)["msg"]


def test_saving(call, vault, tmp_path):
    path = tmp_path / "snapshots" / "vault.snap"
    planned = call(snapshot, check=True, path=str(path))
    assert planned["changed"] and not path.exists() and "snapshot" not in planned
    saved = call(snapshot, path=str(path), max_age="1h")
    assert saved["changed"] and path.read_bytes() == vault.state.snapshot
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    told = saved["snapshot"]
    assert told["sha256"] == hashlib.sha256(vault.state.snapshot).hexdigest() and told["path"] == str(path)
    assert (told["size"], told["state_size"], told["index"], told["term"]) == (path.stat().st_size, 50_000, 37, 3)
    assert not vault.writes and os.listdir(path.parent) == ["vault.snap"]

    vault.forget()
    kept = call(snapshot, path=str(path), max_age="1h")
    assert not kept["changed"] and kept["snapshot"] == told and not vault.requests
    os.utime(path, (time.time() - 7200,) * 2)
    assert call(snapshot, check=True, path=str(path), max_age="1h")["changed"]
    again = call(snapshot, path=str(path), max_age="1h")
    assert again["changed"] and again["diff"][0]["before"]["index"] == 37
    assert call(snapshot, path=str(path))["changed"], "without max_age each run saves"
    path.write_bytes(b"broken")
    assert call(snapshot, path=str(path), max_age="1h")["changed"], "a broken file does not count"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"state": STATE[:-1] + bytes([STATE[-1] ^ 1])}, "state.bin differs"),
        ({"meta": b"{}"}, "meta.json differs"),
        ({"sealed": b""}, "is empty"),
        ({"sealed": None}, "SHA256SUMS.sealed is missing"),
        ({"sums": b"nonsense"}, "no good snapshot"),
        ({"../evil": b"x"}, "no part of a snapshot"),
        ({"sums": b"x" * 2_000_000}, "too large"),
    ],
)
def test_a_broken_snapshot_leaves_the_file_of_before(call, vault, tmp_path, changed, message):
    path = tmp_path / "vault.snap"
    call(snapshot, path=str(path))
    before = path.read_bytes()
    vault.state.snapshot = archive(**changed)
    result = call(snapshot, path=str(path))
    assert result["failure"]["kind"] == "broken_snapshot" and message in result["msg"], result
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["vault.snap"]


def test_a_state_of_another_size(call, vault, tmp_path):
    meta = json.dumps({"Size": 7}).encode()
    sums = f"{hashlib.sha256(meta).hexdigest()}  meta.json\n{hashlib.sha256(STATE).hexdigest()}  state.bin\n"
    vault.state.snapshot = archive(meta=meta, sums=sums.encode())
    assert "has 50000 bytes" in call(snapshot, path=str(tmp_path / "a"))["msg"]


@pytest.mark.parametrize("part", [0, 100, 30_000, -1])
def test_a_cut_transfer(call, vault, tmp_path, part):
    """The server says fewer bytes than the archive has, or breaks off before all it promised."""
    path = tmp_path / "vault.snap"
    whole = archive()
    vault.state.snapshot = whole[:part]
    assert call(snapshot, path=str(path))["failure"]["kind"] == "broken_snapshot"
    vault.state.snapshot = whole
    headers = {"Content-Length": str(len(whole))}
    vault.faults.append(Fault(status=200, body=whole[:part], path="snapshot", headers=headers))
    vault.forget()
    assert call(snapshot, path=str(path))["changed"], "it is asked again"
    assert len(vault.requests) == 2 and path.read_bytes() == whole


def test_refusals_to_save(call, vault, tmp_path):
    vault.denied.append("sys/storage")
    limited = vault.issue("hvs.limited", "default")
    denied = call(snapshot, path=str(tmp_path / "a"), token=limited)
    assert denied["failure"]["kind"] == "permission_denied" and not os.listdir(tmp_path)
    (tmp_path / "file").write_text("")
    assert "cannot be written" in call(snapshot, path=str(tmp_path / "file" / "a"))["msg"]
    assert "no duration" in call(snapshot, path=str(tmp_path / "a"), max_age="old")["msg"]


def test_restoring(call, vault, tmp_path):
    path = tmp_path / "vault.snap"
    restored = {"path": str(path), "state": "restored"}
    assert "confirm_cluster" in call(snapshot, **restored)["msg"]
    assert "cannot be read" in call(snapshot, **restored, confirm_cluster="fake")["msg"]
    call(snapshot, path=str(path))
    vault.forget()
    other = call(snapshot, **restored, confirm_cluster="other")
    assert "this is the cluster fake or 3b1f" in other["msg"] and not vault.writes
    planned = call(snapshot, check=True, **restored, confirm_cluster="fake")
    assert planned["changed"] and not vault.writes
    done = call(snapshot, **restored, confirm_cluster="3b1f")
    assert done["diff"] == planned["diff"] and not done["sealed"]
    assert vault.state.restored == [("snapshot", path.read_bytes())]
    path.write_bytes(path.read_bytes()[:-1])
    vault.forget()
    assert call(snapshot, **restored, confirm_cluster="fake")["failure"]["kind"] == "broken_snapshot"
    assert not vault.writes


def test_restoring_with_other_keys(call, vault, tmp_path):
    path = tmp_path / "vault.snap"
    call(snapshot, path=str(path))
    restored = {"path": str(path), "state": "restored", "confirm_cluster": "fake"}
    done = call(snapshot, **restored, force=True)
    assert done["sealed"] and vault.state.restored[0][0] == "snapshot-force"
    assert call(snapshot, **restored)["failure"]["kind"] == "sealed"


def test_a_restore_is_sent_once(call, vault, tmp_path):
    path = tmp_path / "vault.snap"
    call(snapshot, path=str(path))
    vault.forget()
    vault.faults.append(Fault(path="raft/snapshot", method="POST", after=True))
    lost = call(snapshot, path=str(path), state="restored", confirm_cluster="fake")
    assert lost["failure"]["kind"] == "connection" and len(vault.writes) == len(vault.state.restored) == 1


def test_nobody_becomes_active_after_a_restore(call, vault, tmp_path):
    path = tmp_path / "vault.snap"
    call(snapshot, path=str(path))
    vault.faults.append(Fault(status=200, body=b'{"ha_enabled": true, "leader_address": ""}', path="leader", times=9))
    restored = {"path": str(path), "state": "restored", "confirm_cluster": "fake", "wait_timeout": 0}
    assert call(snapshot, **restored)["failure"]["kind"] == "unavailable"
