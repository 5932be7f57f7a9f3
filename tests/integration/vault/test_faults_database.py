# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disturbances between the database modules and a real Vault with a real MariaDB.

Afterwards Vault's own credentials are right, nothing was rotated twice unasked, and the next run converges.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ansible_collections.onprem.platform.plugins.module_utils._vault_database import ROTATED_AT
from ansible_collections.onprem.platform.plugins.modules import (
    vault_database_connection,
    vault_database_role,
    vault_database_rotate_root,
    vault_database_static_role,
)
from ansible_collections.onprem.platform.tests.integration.fault_proxy import Disturbance
from ansible_collections.onprem.platform.tests.integration.vault.fault_proxy import FaultProxy
from ansible_collections.onprem.platform.tests.integration.vault.services import closing

SEALED = b'{"errors": ["Vault is sealed"]}'
INTERNAL = b'{"errors": ["internal error"]}'
REALLY_SEALED = Disturbance("GET", "seal-status", 200, b'{"initialized": true, "sealed": true}')
CREATION = "CREATE USER '{{name}}'@'%' IDENTIFIED BY '{{password}}'"
ALTER = "ALTER USER '{{name}}'@'%' IDENTIFIED BY '{{password}}'"


def told(value: Any) -> str:
    """Name a disturbance."""
    if not isinstance(value, Disturbance):
        return str(value)
    words = [name for name in ("lose", "truncate", "slow", "redirect", "after") if getattr(value, name)]
    return "-".join([value.method, *([str(value.status)] if value.status else []), *words, str(value.times)])


@pytest.fixture(scope="module", autouse=True)
def engine(dev, mariadb):
    """Make the engine, and a connection that the roles use."""
    dev.request("POST", "sys/mounts/database", {"type": "database"})
    root = {
        "plugin_name": "mysql-database-plugin",
        "connection_url": mariadb.vault_url,
        "username": "vault",
        "password": mariadb.first_password,
        "allowed_roles": "*",
        "verify_connection": True,
        "max_open_connections": 2,
    }
    dev.request("POST", "database/config/root", root)
    dev.request("POST", "database/roles/probe", {"db_name": "root", "creation_statements": CREATION})


@pytest.fixture
def proxy(dev) -> Iterator[FaultProxy]:
    yield from closing(lambda: FaultProxy(dev.url))


@pytest.fixture
def run(proxy, dev, run_module) -> Callable[..., dict[str, Any]]:
    """Return ``run(module, **params)``, by way of the proxy."""

    def run(module, **params):
        return run_module(module.main, {"url": proxy.url, "token": dev.token, "retries": 2, "timeout": 3, **params})

    return run


@pytest.fixture(params=["connection", "role", "static_role"])
def kind(request, mariadb) -> tuple[Any, dict[str, Any], str]:
    """Return the module, its parameters and the path that it writes to."""
    name = request.node.name.translate(str.maketrans("[].-", "____")).lower()[-60:]
    if request.param == "connection":
        wanted = {
            "plugin_name": "mysql-database-plugin",
            "connection_url": mariadb.vault_url,
            "connection_username": "observer",
            "connection_password": "canary-observer",
            "max_open_connections": 1,
        }
        return vault_database_connection, {"name": name, **wanted}, f"database/config/{name}"
    if request.param == "role":
        wanted = {"connection_name": "root", "creation_statements": [CREATION], "default_ttl": "1h"}
        return vault_database_role, {"name": name, **wanted}, f"database/roles/{name}"
    mariadb.sql(f"CREATE USER '{name}'@'%' IDENTIFIED BY 'canary-first'")
    wanted = {"connection_name": "root", "database_username": name, "rotation_period": "24h"}
    wanted["rotation_statements"] = [ALTER]
    return vault_database_static_role, {"name": name, **wanted}, f"database/static-roles/{name}"


@pytest.fixture(scope="module", autouse=True)
def observer(mariadb):
    """Make the user of the connections that are made here; it may do nothing."""
    mariadb.sql("CREATE USER 'observer'@'%' IDENTIFIED BY 'canary-observer'")


def converges(run, kind, proxy, dev, mariadb) -> None:
    """The next run ends with the object, the one after it sends no write, and what Vault stored works."""
    module, params, path = kind
    proxy.disturbances.clear()
    result = run(module, **params)
    assert not result.get("failed"), result
    proxy.seen.clear()
    assert not run(module, **params)["changed"]
    assert {method for method, _path in proxy.seen} == {"GET"}
    names = dev.request("GET", f"{path.rpartition('/')[0]}?list=true")["data"]["keys"]
    assert names.count(params["name"]) == 1
    if module is vault_database_static_role:
        password = dev.request("GET", f"database/static-creds/{params['name']}")["data"]["password"]
        assert mariadb.login(params["name"], password), "Vault and MariaDB agree about the password"
    elif module is vault_database_role:
        issued = dev.request("GET", f"database/creds/{params['name']}")["data"]
        assert mariadb.login(issued["username"], issued["password"])
    else:
        dev.request("POST", f"database/reset/{params['name']}", {})


@pytest.mark.parametrize(
    "disturbance",
    [
        Disturbance(status=429, body=b'{"errors": ["rate limit quota exceeded"]}'),
        Disturbance(status=472, body=b"{}"),
        Disturbance(status=473, body=b"{}"),
        Disturbance(status=503, body=SEALED),  # a lie: the server says that it is unsealed when asked
        Disturbance(lose=True),
        Disturbance(lose=True, method="GET"),
        Disturbance(lose=True, after=True),
        Disturbance(status=502, after=True),
        Disturbance(redirect="the server itself"),
        Disturbance(redirect="the server itself", method="GET"),
    ],
    ids=told,
)
def test_what_passes_by(run, kind, proxy, dev, mariadb, disturbance):
    """The module goes on by itself."""
    module, params, path = kind
    redirect = disturbance.redirect and dev.url
    proxy.disturbances.append(Disturbance(**{**vars(disturbance), "path": path, "redirect": redirect, "times": 1}))
    result = run(module, **params)
    assert result.get("changed") and result["objects"][0]["action"] == "created", result
    assert not proxy.disturbances[0].times, "it was disturbed"
    converges(run, kind, proxy, dev, mariadb)


def test_a_slow_answer_passes_by(run, kind, proxy, dev, mariadb):
    """The server did it, and answers too late; the repeated request does no harm."""
    module, params, path = kind
    proxy.disturbances.append(Disturbance("POST", path, slow=4))
    assert run(module, **params).get("changed")
    converges(run, kind, proxy, dev, mariadb)


@pytest.mark.parametrize(
    ("disturbances", "failure"),
    [
        ([Disturbance(status=429, times=9)], "unavailable"),
        ([Disturbance(status=472, body=b"{}", times=9)], "standby"),
        ([Disturbance(status=500, body=INTERNAL)], "server_error"),
        ([Disturbance(status=500, body=INTERNAL, after=True)], "server_error"),
        ([Disturbance(status=501, body=b"{}")], "uninitialised"),
        ([Disturbance(status=503, body=SEALED), REALLY_SEALED], "sealed"),
        ([Disturbance(lose=True, times=9)], "connection"),
        ([Disturbance(lose=True, after=True, times=9)], "connection"),
        ([Disturbance(method="GET", status=200, body=b'{"data": {"db_na')], "server_error"),
    ],
    ids=lambda value: told(value[0]) if isinstance(value, list) else str(value),
)
def test_what_stays(run, kind, proxy, dev, mariadb, disturbances, failure):
    """The message tells what it is without a secret, and the next run does what is left."""
    module, params, path = kind
    for disturbance in disturbances:
        proxy.disturbances.append(Disturbance(**{**vars(disturbance), "path": disturbance.path or path}))
    result = run(module, **params)
    assert result.get("failed") and result["failure"]["kind"] == failure, result
    assert "canary" not in str(result)
    converges(run, kind, proxy, dev, mariadb)


def test_a_cut_answer_about_what_exists(run, kind, proxy, dev, mariadb):
    """Half an object is not compared."""
    module, params, path = kind
    assert run(module, **params)["changed"]
    proxy.disturbances.append(Disturbance("GET", path, truncate=True))
    proxy.seen.clear()
    result = run(module, **params)
    assert result["failure"]["kind"] == "server_error" and {method for method, _path in proxy.seen} == {"GET"}
    converges(run, kind, proxy, dev, mariadb)


ROTATIONS: list[tuple[Disturbance, str, int]] = [
    (Disturbance(status=429, body=b"{}"), "", 1),
    (Disturbance(status=472, body=b"{}"), "", 1),
    (Disturbance(status=473, body=b"{}"), "", 1),
    (Disturbance(status=503, body=SEALED), "", 1),
    (Disturbance(redirect="the server itself"), "", 1),
    (Disturbance(status=429, body=b"{}", times=9), "unavailable", 0),
    (Disturbance(status=500, body=INTERNAL), "server_error", 0),
    (Disturbance(status=500, body=INTERNAL, after=True), "server_error", 1),
    (Disturbance(status=500, body=b'{"errors": ["node is not the leader"]}', after=True), "standby", 1),
    (Disturbance(status=501, body=b"{}"), "uninitialised", 0),
    (Disturbance(lose=True), "connection", 0),
    (Disturbance(lose=True, after=True), "connection", 1),
    (Disturbance(slow=4), "connection", 1),
    (Disturbance(lose=True, path="database/config/root", times=9), "connection", 1),
    (Disturbance(method="GET", path="database/config/root", truncate=True), "server_error", 0),
]


@pytest.mark.parametrize(("disturbance", "failure", "rotations"), ROTATIONS, ids=told)
def test_a_rotation_of_the_root_password(run, proxy, dev, mariadb, disturbance, failure, rotations):
    """It is sent once if Vault may have done it. Without its mark the next run rotates again, and all keeps working."""
    dev.request("POST", "database/config/root", {ROTATED_AT: "", "verify_connection": True})
    redirect = disturbance.redirect and dev.url
    path = disturbance.path or "rotate-root/root"
    proxy.disturbances.append(Disturbance(**{**vars(disturbance), "path": path, "redirect": redirect}))
    wanted = {"name": "root"}

    def executed() -> int:
        return [path for _operation, path in dev.audit.writes()].count("database/rotate-root/root")

    dev.audit.start()
    result = run(vault_database_rotate_root, **wanted)
    assert result.get("failure", {}).get("kind", "") == failure, result
    assert executed() == rotations
    proxy.disturbances.clear()
    again = run(vault_database_rotate_root, **wanted)
    assert not again.get("failed") and again["changed"] is bool(failure), again
    dev.audit.start()
    assert not run(vault_database_rotate_root, **wanted)["changed"] and not dev.audit.writes()
    issued = dev.request("GET", "database/creds/probe")["data"]
    assert mariadb.login(issued["username"], issued["password"])
