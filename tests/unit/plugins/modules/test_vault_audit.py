# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""vault_audit against a server with a memory."""

from __future__ import annotations

from ansible_collections.onprem.platform.plugins.modules import vault_audit
from ansible_collections.onprem.platform.tests.unit.fakes.vault_server import Fault


def test_life_of_a_device(call, vault):
    main = vault_audit.main
    wanted = {"path": "stdout", "description": "Log", "options": {"file_path": "stdout", "log_raw": False}}
    assert call(main, check=True, **wanted)["changed"] and not vault.writes
    assert call(main, **wanted)["objects"][0]["action"] == "created"
    vault.state.audit["stdout/"]["options"]["log_raw"] = "false"
    vault.forget()
    assert not call(main, **wanted)["changed"] and not vault.writes

    changed = {**wanted, "options": {"file_path": "/vault/audit.log"}}
    refused = call(main, **changed)
    assert refused["failed"] and "replace=true" in refused["msg"] and not vault.writes
    replaced = call(main, replace=True, **changed)
    assert replaced["objects"][0] == {"name": "stdout", "action": "updated", "options": ["options"]}
    assert vault.writes == [("DELETE", "sys/audit/stdout"), ("POST", "sys/audit/stdout")]
    assert vault.state.audit["stdout/"]["options"] == {"file_path": "/vault/audit.log", "log_raw": "false"}
    assert not call(main, **changed)["changed"]

    assert call(main, path="stdout", state="absent")["changed"]
    assert not call(main, path="stdout", state="absent")["changed"]


def test_a_server_that_refuses_audit_by_api(call, vault):
    text = b'{"errors":["cannot enable audit device via API: set unsafe_allow_api_audit_creation"]}'
    vault.faults.append(Fault(status=400, body=text, path="sys/audit/file", method="POST"))
    assert "server's configuration" in call(vault_audit.main, options={"file_path": "stdout"})["msg"]
