# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disturbances between the modules and a real Vault: the right message, nothing twice, and the next run converges."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ansible_collections.onprem.platform.plugins.modules import vault_kv2_secret, vault_mount, vault_policy
from ansible_collections.onprem.platform.tests.integration.fault_proxy import Disturbance
from ansible_collections.onprem.platform.tests.integration.vault.fault_proxy import FaultProxy
from ansible_collections.onprem.platform.tests.integration.vault.services import closing

secret = vault_kv2_secret.main
SEALED = b'{"errors": ["Vault is sealed"]}'


@pytest.fixture(scope="module", autouse=True)
def engine(dev):
    dev.request("POST", "sys/mounts/kv", {"type": "kv-v2"})


@pytest.fixture
def proxy(dev) -> Iterator[FaultProxy]:
    yield from closing(lambda: FaultProxy(dev.url))


@pytest.fixture
def write(proxy, dev, run_module, request):
    """Return ``write(**params)``, which writes one secret by way of the proxy, and the number of its versions."""
    path = request.node.name.translate(str.maketrans("[].", "---"))

    def run(**params):
        common = {"url": proxy.url, "token": dev.token, "retries": 2, "timeout": 2}
        return run_module(secret, {**common, "path": path, "data": {"key": "canary-of-the-proxy"}, **params})

    def versions() -> int:
        answer = dev.request("GET", f"kv/metadata/{path}", ok=exists[0])
        return len(answer["data"]["versions"]) if exists[0] else 0

    exists = [True]
    return run, versions, exists


def converges(proxy, write) -> None:
    """The next run without disturbance ends with one version, and the one after it sends no write."""
    run, versions, exists = write
    exists[0] = True
    proxy.disturbances.clear()
    assert not run().get("failed") and versions() == 1
    proxy.seen.clear()
    assert not run()["changed"] and versions() == 1
    assert {method for method, _path in proxy.seen} == {"GET"}


@pytest.mark.parametrize(
    "disturbance",
    [
        Disturbance(status=429, body=b'{"errors": ["rate limit quota exceeded"]}'),
        Disturbance(status=472, body=b"{}"),
        Disturbance(status=473, body=b"{}"),
        Disturbance(status=500, body=b'{"errors": ["local node not active but active cluster node not found"]}'),
        Disturbance(status=502, body=b"<html>bad gateway</html>"),
        Disturbance(status=503, body=SEALED),  # a lie: the server says that it is unsealed when asked
        Disturbance(lose=True),
        Disturbance(lose=True, times=2),
        Disturbance(lose=True, method="GET"),
        Disturbance(lose=True, after=True),
        Disturbance(slow=3),
        Disturbance(status=502, after=True),
    ],
    ids=lambda disturbance: f"{disturbance.status or 'network'}-{disturbance.after}-{disturbance.times}",
)
def test_what_passes_by(proxy, write, disturbance):
    """The module goes on by itself, and what Vault had executed already is not executed again."""
    run, versions, _exists = write
    disturbance.path = "kv/data"
    proxy.disturbances.append(disturbance)
    result = run()
    assert result.get("changed") and result["objects"][0]["version"] == 1, result
    assert versions() == 1
    converges(proxy, write)


@pytest.mark.parametrize(
    ("disturbances", "kind", "written"),
    [
        ([Disturbance(status=429, times=9)], "unavailable", 0),
        ([Disturbance(status=473, times=9)], "standby", 0),
        ([Disturbance(status=500, body=b'{"errors": ["internal error"]}')], "server_error", 0),
        ([Disturbance(status=500, body=b'{"errors": ["internal error"]}', after=True)], "server_error", 1),
        ([Disturbance(status=501, body=b"{}")], "uninitialised", 0),
        (
            [
                Disturbance(status=503, body=SEALED),
                Disturbance("GET", "seal-status", 200, b'{"initialized": true, "sealed": true}'),
            ],
            "sealed",
            0,
        ),
        ([Disturbance(lose=True, times=9)], "connection", 0),
        ([Disturbance(lose=True, method="GET", times=9)], "connection", 0),
        ([Disturbance(truncate=True)], "server_error", 1),
        ([Disturbance(truncate=True, method="GET")], "server_error", 0),
    ],
    ids=lambda value: value[0].path or str(value[0].status or "network") if isinstance(value, list) else str(value),
)
def test_what_stays(proxy, write, disturbances, kind, written):
    """The message tells what it is, and the next run does what is left."""
    run, versions, exists = write
    for disturbance in disturbances:
        disturbance.path = disturbance.path or "kv/data"
    if kind == "server_error" and disturbances[0].method == "GET":
        # the answer about a secret that does not exist has no body to cut
        run()
        disturbances[0].method, written = "GET", 1
    proxy.disturbances += disturbances
    result = run()
    assert result["failed"] and result["failure"]["kind"] == kind, result
    exists[0] = bool(written)
    assert versions() == written
    converges(proxy, write)


def test_a_redirect_to_another_server(proxy, write, dev):
    run, versions, _exists = write
    proxy.disturbances += [
        Disturbance("GET", "kv/data", redirect=dev.url),
        Disturbance("POST", "kv/data", redirect=dev.url),
    ]
    assert run()["changed"] and versions() == 1
    converges(proxy, write)


def test_a_write_of_a_list_that_is_cut_off(proxy, dev, run_module):
    """What was written is told, the rest is not attempted, and the next run writes only that."""
    policies = [{"name": f"fault-{letter}", "policy": f"# {letter}"} for letter in "abc"]
    common = {"url": proxy.url, "token": dev.token, "retries": 1, "policies": policies}
    proxy.disturbances.append(Disturbance("POST", "acl/fault-b", lose=True, times=9))
    result = run_module(vault_policy.main, common)
    assert [entry["action"] for entry in result["objects"]] == ["created", "failed", "not_attempted"], result
    proxy.disturbances.clear()
    again = run_module(vault_policy.main, common)
    assert [entry["action"] for entry in again["objects"]] == ["unchanged", "created", "created"]


def test_a_mount_whose_answer_is_lost(proxy, dev, run_module):
    """The repeated request meets "path is already in use": it is the mount of the first one."""
    common = {"url": proxy.url, "token": dev.token, "retries": 1, "path": "lost", "type": "kv-v2"}
    proxy.disturbances.append(Disturbance("POST", "sys/mounts/lost", lose=True, after=True))
    assert run_module(vault_mount.main, common)["changed"]
    assert not run_module(vault_mount.main, common)["changed"]
