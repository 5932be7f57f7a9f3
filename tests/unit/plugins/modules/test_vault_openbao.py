# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers of OpenBao where they differ from Vault's. They are known from its source; no OpenBao was tried."""

from __future__ import annotations

import json

from ansible_collections.onprem.platform.plugins.modules import (
    vault_auth_method,
    vault_database_static_role,
    vault_kubernetes_auth_config,
    vault_kubernetes_role,
    vault_mount,
    vault_policy,
)
from ansible_collections.onprem.platform.tests.unit.fakes.vault_server import Fault

ANNOTATIONS = "use_annotations_as_alias_metadata"
config = vault_kubernetes_auth_config.main


def test_annotations_are_not_known(call, vault):
    """The server takes the option and forgets it: a message in place of a change for ever."""
    call(vault_auth_method.main, type="kubernetes")
    wanted = {"kubernetes_host": "https://api", "disable_local_ca_jwt": True}
    answer = json.dumps({"data": {"kubernetes_host": "https://api", "disable_local_ca_jwt": True}}).encode()
    path = "auth/kubernetes/config"
    vault.faults += [Fault(404, b"{}", path, "GET"), Fault(200, answer, path, "GET")]
    assert call(config, **wanted, **{ANNOTATIONS: True})["failure"]["kind"] == "unsupported"
    del vault.state.objects[path][ANNOTATIONS]
    vault.forget()
    assert call(config, **wanted, **{ANNOTATIONS: True})["failure"]["kind"] == "unsupported"
    assert not call(config, **wanted)["changed"] and not call(config, **wanted, **{ANNOTATIONS: False})["changed"]
    assert not vault.writes


def test_annotations_of_a_server_that_knows_them(call, vault):
    call(vault_auth_method.main, type="kubernetes")
    wanted = {"kubernetes_host": "https://api", "disable_local_ca_jwt": True, ANNOTATIONS: True}
    assert call(config, **wanted)["changed"] and not call(config, **wanted)["changed"]


def test_keys_that_vault_does_not_have(call, vault):
    """They are not compared."""
    call(vault_auth_method.main, type="kubernetes")
    role = {"name": "shop", "bound_service_account_names": ["shop"], "token_ttl": "1h"}
    call(vault_kubernetes_role.main, **role)
    vault.state.objects["auth/kubernetes/role/shop"]["token_strictly_bind_ip"] = False
    more = {"version": 3, "modified": "2026-11-21T00:00:00Z", "cas_required": False, "expiration": None}
    answer = json.dumps({"data": {"name": "shop", "policy": "# shop", **more}}).encode()
    vault.faults.append(Fault(200, answer, "sys/policies/acl/shop", "GET"))
    vault.forget()
    assert not call(vault_kubernetes_role.main, **role)["changed"]
    assert not call(vault_policy.main, name="shop", policy="# shop")["changed"]
    assert not vault.writes


def test_a_path_in_use_is_a_conflict(call, vault):
    """Answered with 409, also to a request that is repeated because its answer was lost."""
    body = b'{"errors": ["path is already in use at kv/"]}'
    vault.faults.append(Fault(path="sys/mounts/kv", method="POST", after=True))
    vault.faults.append(Fault(409, body, "sys/mounts/kv", "POST"))
    assert call(vault_mount.main, path="kv", type="kv-v2")["changed"]
    vault.faults.append(Fault(409, body, "sys/mounts/other", "POST"))
    assert call(vault_mount.main, path="other", type="kv-v2")["failure"]["kind"] == "conflict"


def test_no_rotation_schedule(call, vault):
    """The refusal is passed on."""
    call(vault_mount.main, type="database")
    vault.faults.append(Fault(400, b'{"errors": ["rotation_period is required"]}', "static-roles/reports", "POST"))
    wanted = {"name": "reports", "connection_name": "shop", "database_username": "reports"}
    refused = call(vault_database_static_role.main, **wanted, rotation_schedule="0 2 * * *")
    assert refused["failure"]["kind"] == "invalid_request" and "rotation_period is required" in refused["msg"]
