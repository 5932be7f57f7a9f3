# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lease modules against a server with a memory."""

from __future__ import annotations

import pytest

from ansible_collections.onprem.platform.plugins.modules import vault_lease, vault_lease_info
from ansible_collections.onprem.platform.tests.unit.fakes.vault_server import Fault

lease, info = vault_lease.main, vault_lease_info.main
SHOP = [f"database/creds/shop/{name}" for name in "ab"]
JOBS = "database/creds/jobs/c"
TIMES = {"issue_time": "2026-11-21T10:00:00Z", "expire_time": "2026-11-21T11:00:00Z", "ttl": 60}


@pytest.fixture(autouse=True)
def leases(vault):
    vault.state.leases.update({name: dict(TIMES) for name in [*SHOP, JOBS]})


def test_info(call, vault):
    assert call(info, prefix="/database/creds/")["lease_ids"] == [JOBS, *SHOP]
    assert call(info, prefix="database/creds/none")["lease_ids"] == []
    found = call(info, lease_ids=[SHOP[0], "none"])
    assert found["lease_ids"] == SHOP[:1] and found["objects"] == [{"id": SHOP[0], **TIMES}]
    assert "one of the following" in call(info)["msg"] and not vault.writes


def test_one_by_one(call, vault):
    planned = call(lease, check=True, lease_ids=SHOP)
    assert planned["changed"] and not vault.writes
    revoked = call(lease, lease_ids=[*SHOP, SHOP[0]])
    assert revoked["diff"] == planned["diff"] and [entry["action"] for entry in revoked["objects"]] == ["deleted"] * 2
    assert vault.bodies[-1] == {"lease_id": SHOP[1], "sync": True} and list(vault.state.leases) == [JOBS]
    vault.forget()
    assert not call(lease, lease_ids=SHOP)["changed"] and not vault.writes


def test_by_prefix(call, vault):
    planned = call(lease, check=True, prefix="database/creds/shop")
    assert planned["objects"][0]["leases"] == SHOP and not vault.writes
    revoked = call(lease, prefix="database/creds/shop/")
    assert revoked["diff"] == planned["diff"] and list(vault.state.leases) == [JOBS]
    assert vault.writes == [("PUT", "sys/leases/revoke-prefix/database/creds/shop")]
    vault.forget()
    assert not call(lease, prefix="database/creds/shop")["changed"] and not vault.writes
    assert call(lease, prefix="database", force=True)["changed"]
    assert vault.writes == [("PUT", "sys/leases/revoke-force/database")]


def test_wrong_use_and_failure(call, vault):
    assert "all leases" in call(lease, prefix="/")["msg"]
    assert "needs prefix" in call(lease, lease_ids=SHOP, force=True)["msg"]
    assert "mutually exclusive" in call(lease, lease_ids=SHOP, prefix="database")["msg"]
    assert not vault.requests
    vault.faults.append(Fault(status=400, body=b'{"errors": ["failed to revoke"]}', path="leases/revoke"))
    failed = call(lease, lease_ids=SHOP)
    assert [entry["action"] for entry in failed["objects"]] == ["failed", "deleted"]
    vault.faults.append(Fault(status=400, body=b'{"errors": ["something else"]}', path="leases/lookup"))
    assert call(lease, lease_ids=SHOP)["failure"]["kind"] == "invalid_request"
