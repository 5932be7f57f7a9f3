# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disturbances while a snapshot of a real Vault with raft storage is saved and restored.

A file is complete or it is the one of before; a restore reaches the server once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.onprem.platform.plugins.module_utils._vault_snapshot import verify_snapshot
from ansible_collections.onprem.platform.plugins.modules import vault_raft_snapshot
from ansible_collections.onprem.platform.tests.integration.fault_proxy import Disturbance
from ansible_collections.onprem.platform.tests.integration.vault.fault_proxy import FaultProxy
from ansible_collections.onprem.platform.tests.integration.vault.services import RaftNode, closing, free_port, wait
from ansible_collections.onprem.platform.tests.unit.fakes.certificates import Authority

SEALED = b'{"errors": ["Vault is sealed"]}'
INTERNAL = b'{"errors": ["internal error"]}'
REALLY_SEALED = Disturbance("GET", "seal-status", 200, b'{"initialized": true, "sealed": true}')


def told(value: Any) -> str:
    """Name a disturbance."""
    if not isinstance(value, Disturbance):
        return str(value)
    words = [name for name in ("lose", "truncate", "cut", "slow", "redirect", "after") if getattr(value, name)]
    return "-".join([*([str(value.status)] if value.status else []), *words, str(value.times)])


class Server(RaftNode):
    """One server alone, unsealed, with an engine."""

    def __init__(self, authority: Authority) -> None:
        super().__init__(0, [free_port()], authority)
        shares = self.request("PUT", "sys/init", {"secret_shares": 1, "secret_threshold": 1}).json()
        self.token = shares["root_token"]
        self.request("PUT", "sys/unseal", {"key": shares["keys"][0]})
        wait(lambda: bool(self.request("GET", "sys/leader").json().get("is_self")), "the server leads")
        assert self.request("POST", "sys/mounts/kv", {"type": "kv-v1"}, self.token).ok
        self.cluster = self.request("GET", "sys/seal-status").json()["cluster_name"]

    @property
    def content(self) -> str:
        """What a secret says."""
        return str(self.request("GET", "kv/a", token=self.token).json()["data"]["is"])

    def become(self, content: str) -> None:
        """Let the secret say something."""
        assert self.request("POST", "kv/a", {"is": content}, self.token).ok


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    yield from closing(lambda: Server(Authority(tmp_path_factory.mktemp("authority"))))


@pytest.fixture
def proxy(server) -> Iterator[FaultProxy]:
    yield from closing(lambda: FaultProxy(server.url, verify=str(server.authority.path)))


@pytest.fixture
def run(server, proxy, run_module, tmp_path) -> Callable[..., dict[str, Any]]:
    """Return ``run(**params)``, by way of the proxy."""
    common = {"url": proxy.url, "token": server.token, "retries": 2, "timeout": 3, "path": str(tmp_path / "a.snap")}
    common["ca_cert"] = str(server.authority.path)
    return lambda **params: run_module(vault_raft_snapshot.main, {**common, **params})


def disturb(proxy: FaultProxy, server: Server, disturbance: Disturbance, method: str) -> None:
    """Let it happen to the snapshot's requests."""
    redirect = disturbance.redirect and server.url
    path = {"method": method, "path": "raft/snapshot", "redirect": redirect}
    proxy.disturbances.append(Disturbance(**{**vars(disturbance), **path}))
    if disturbance.status == 503 and disturbance.times > 1:
        proxy.disturbances.append(Disturbance(**vars(REALLY_SEALED)))


@pytest.mark.parametrize(
    ("disturbance", "failure"),
    [
        (Disturbance(status=429, body=b"{}"), ""),
        (Disturbance(status=472, body=b"{}"), ""),
        (Disturbance(status=473, body=b"{}"), ""),
        (Disturbance(status=503, body=SEALED), ""),
        (Disturbance(lose=True), ""),
        (Disturbance(lose=True, after=True), ""),
        (Disturbance(cut=True), ""),
        (Disturbance(slow=4), ""),
        (Disturbance(redirect="the server itself"), ""),
        (Disturbance(status=429, body=b"{}", times=9), "unavailable"),
        (Disturbance(status=500, body=INTERNAL), "server_error"),
        (Disturbance(status=501, body=b"{}"), "uninitialised"),
        (Disturbance(status=503, body=SEALED, times=2), "sealed"),
        (Disturbance(lose=True, times=9), "connection"),
        (Disturbance(cut=True, times=9), "connection"),
        (Disturbance(truncate=True), "broken_snapshot"),
    ],
    ids=told,
)
def test_saving(run, proxy, server, tmp_path: Path, disturbance, failure):
    assert run()["changed"]
    before = (tmp_path / "a.snap").read_bytes()
    server.become(told(disturbance))
    disturb(proxy, server, disturbance, "GET")
    result = run()
    assert result.get("failure", {}).get("kind", "") == failure, result
    assert os.listdir(tmp_path) == ["a.snap"], "nothing unfinished is left"
    assert ((tmp_path / "a.snap").read_bytes() == before) is bool(failure)
    verify_snapshot(tmp_path / "a.snap")
    proxy.disturbances.clear()
    assert run()["changed"] and not run(max_age="1h")["changed"]


@pytest.mark.long  # the server needs some seconds to become active again after each restore
@pytest.mark.parametrize(
    ("disturbance", "failure", "restored"),
    [
        (Disturbance(status=429, body=b"{}"), "", True),
        (Disturbance(redirect="the server itself"), "", True),
        (Disturbance(status=500, body=INTERNAL), "server_error", False),
        (Disturbance(status=503, body=SEALED, times=2), "sealed", False),
        (Disturbance(lose=True), "connection", False),
        (Disturbance(lose=True, after=True), "connection", True),
    ],
    ids=told,
)
def test_restoring(run, proxy, server, disturbance, failure, restored):
    """Whether the server did it is told by what it holds; it is never asked twice if it may have done it."""
    server.become("of the snapshot")
    assert run()["changed"]
    server.become("later")
    disturb(proxy, server, disturbance, "POST")
    wanted = {"state": "restored", "confirm_cluster": server.cluster}
    proxy.seen.clear()
    result = run(**wanted)
    assert result.get("failure", {}).get("kind", "") == failure, result
    if failure:  # a sealed server is not even asked
        sent = [method for method, path in proxy.seen if "raft/snapshot" in path]
        assert sent == ["POST"] * (failure != "sealed")
    wait(lambda: bool(server.request("GET", "sys/leader").json().get("is_self")), "the server leads")
    assert server.content == ("of the snapshot" if restored else "later")
    proxy.disturbances.clear()
    assert run(**wanted)["changed"] and server.content == "of the snapshot"
