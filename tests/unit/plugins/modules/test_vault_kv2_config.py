# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""vault_kv2_config against a server with a memory."""

from __future__ import annotations

import pytest

from ansible_collections.onprem.platform.plugins.modules import vault_kv2_config, vault_mount
from ansible_collections.onprem.platform.tests.unit.fakes.vault_server import Fault

main = vault_kv2_config.main
WANTED = {"max_versions": 20, "cas_required": True, "delete_version_after": "72h"}


@pytest.fixture(autouse=True)
def engine(call, vault):
    call(vault_mount.main, path="kv", type="kv-v2")
    vault.forget()


def test_life(call, vault):
    planned = call(main, check=True, **WANTED)
    assert planned["changed"] and not vault.writes
    updated = call(main, **WANTED)
    assert updated["diff"] == planned["diff"]
    assert updated["objects"] == [
        {"name": "kv", "action": "updated", "options": ["max_versions", "cas_required", "delete_version_after"]}
    ]
    assert vault.state.objects["kv/config"] == {**WANTED, "delete_version_after": "259200s"}
    vault.forget()
    assert not call(main, **{**WANTED, "delete_version_after": "3d"})["changed"] and not vault.writes
    assert call(main, cas_required=False)["changed"] and vault.bodies[-1] == {"cas_required": False}
    vault.state.objects["kv/config"]["max_versions"] = 5
    assert call(main, max_versions=20)["objects"][0]["options"] == ["max_versions"]


def test_an_engine_of_version_1_is_not_written_to(call, vault):
    call(vault_mount.main, path="old", type="kv-v1")
    vault.forget()
    assert "version 2" in call(main, engine_mount_point="old", max_versions=1)["msg"]
    secret = Fault(status=200, body=b'{"data": {"key": "value"}}', path="old/config")
    kind = Fault(status=403, body=b'{"errors": ["permission denied"]}', path="sys/internal/ui/mounts")
    vault.faults += [secret, kind]
    assert "version 2" in call(main, engine_mount_point="old", max_versions=1)["msg"]
    assert not vault.writes


def test_wrong_use(call, vault):
    assert "one of the following" in call(main)["msg"]
    assert call(main, engine_mount_point="no", max_versions=1)["failure"]["kind"] == "missing_mount"
    assert "no duration" in call(main, delete_version_after="soon")["msg"]
    assert not vault.writes
