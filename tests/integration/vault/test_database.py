# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Database connections, roles and rotation against a real Vault with real MariaDB and PostgreSQL."""

from __future__ import annotations

import pytest

from ansible_collections.onprem.platform.plugins.modules import (
    vault_database_connection,
    vault_database_role,
    vault_database_rotate_root,
    vault_database_static_role,
    vault_lease,
    vault_lease_info,
)

connection = vault_database_connection.main
role = vault_database_role.main
rotate = vault_database_rotate_root.main
static_role = vault_database_static_role.main
lease = vault_lease.main
lease_info = vault_lease_info.main


@pytest.fixture(params=["mariadb", "postgresql"])
def database(request, dev, call):
    """Return the server, parameters of its connection and of a role, at a mount of its own."""
    server = request.getfixturevalue(request.param)
    mount = f"database-{request.param}"
    if f"{mount}/" not in dev.request("GET", "sys/mounts")["data"]:
        dev.request("POST", f"sys/mounts/{mount}", {"type": "database"})
    common = {"engine_mount_point": mount, "name": "app"}
    settings = {
        "mariadb": {
            "plugin_name": "mysql-database-plugin",
            "connection_url": server.vault_url,
            "root_rotation_statements": ["ALTER USER '{{username}}'@'%' IDENTIFIED BY '{{password}}'"],
        },
        "postgresql": {
            "plugin_name": "postgresql-database-plugin",
            "connection_url": server.vault_url,
            "plugin_options": {"password_authentication": "scram-sha-256"},
        },
    }[request.param]
    statements = {
        "mariadb": {
            "creation_statements": [
                "CREATE USER '{{name}}'@'%' IDENTIFIED BY '{{password}}'",
                "GRANT SELECT, INSERT ON app.* TO '{{name}}'@'%'",
            ],
            "revocation_statements": ["DROP USER IF EXISTS '{{name}}'@'%'"],
        },
        "postgresql": {
            "creation_statements": [
                "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'"
            ],
        },
    }[request.param]
    wanted = {
        **common,
        **settings,
        "connection_username": "vault",
        "connection_password": server.first_password,
        "allowed_roles": ["app", "jobs"],
        "max_open_connections": 4,
        "max_connection_lifetime": "5m",
    }
    return server, wanted, {**common, "connection_name": "app", "default_ttl": "1h", **statements}


def test_life_with_rotation(database, call, dev):
    """Root rotated, then run again: the password is neither sent nor compared, credentials are still issued."""
    server, wanted, wanted_role = database
    mount = wanted["engine_mount_point"]
    log = dev.audit

    log.start()
    assert "needs plugin_name and connection_url" in call(connection, engine_mount_point=mount, name="app")["msg"]
    assert call(connection, **{**wanted, "max_open_connections": "many"})["failed"]
    assert call(rotate, engine_mount_point=mount, name="app")["failure"]["kind"] == "missing_object"
    assert not log.writes()
    wrong = call(connection, **{**wanted, "connection_password": "canary-wrong"})
    assert wrong["failed"] and "canary-wrong" not in str(wrong)
    planned = call(connection, check=True, **wanted)
    created = call(connection, **wanted)
    assert created["changed"] and created["diff"] == planned["diff"]
    assert call(role, **wanted_role)["changed"]
    log.start()
    assert not call(connection, **wanted)["changed"] and not call(role, **wanted_role)["changed"]
    assert not log.writes()

    assert server.login("vault", server.first_password)
    assert call(rotate, check=True, engine_mount_point=mount, name="app")["changed"]
    assert server.login("vault", server.first_password)
    assert call(rotate, engine_mount_point=mount, name="app")["changed"]
    assert not server.login("vault", server.first_password)

    log.start()
    assert not call(connection, **wanted)["changed"]
    assert not call(rotate, engine_mount_point=mount, name="app")["changed"]
    assert not log.writes()

    changed = call(connection, **{**wanted, "allowed_roles": ["app"], "max_open_connections": 3})
    assert changed["objects"][0]["options"] == ["allowed_roles", "max_open_connections"]
    issued = dev.request("GET", f"{mount}/creds/app")
    credentials = issued["data"]
    assert server.login(credentials["username"], credentials["password"])
    log.start()
    planned = call(lease, check=True, lease_ids=issued["lease_id"])
    assert planned["changed"] and not log.writes() and server.login(credentials["username"], credentials["password"])
    assert call(lease_info, lease_ids=issued["lease_id"])["objects"][0]["renewable"]
    assert call(lease, lease_ids=issued["lease_id"])["diff"] == planned["diff"]
    assert not server.login(credentials["username"], credentials["password"])
    log.start()
    assert not call(lease, lease_ids=issued["lease_id"])["changed"] and not log.writes()

    limited = dev.request("POST", "auth/token/create", {"policies": ["default"]})["auth"]["client_token"]
    log.start()
    for module, params in ((connection, wanted), (role, wanted_role), (rotate, {"name": "app", "force": True})):
        denied = call(module, token=limited, **{**params, "engine_mount_point": mount})
        assert denied["failure"]["kind"] == "permission_denied" and not log.writes(), denied
        assert denied["failure"]["path"].startswith(f"{mount}/") and server.first_password not in str(denied)

    dead = call(connection, **wanted, update_password="always")
    assert dead["failed"] and server.first_password not in str(dead)
    credentials = dev.request("GET", f"{mount}/creds/app")["data"]
    assert server.login(credentials["username"], credentials["password"])

    dev.request("POST", f"{mount}/config/app", {"allowed_roles": "*"})
    assert call(connection, **wanted)["objects"][0]["options"] == ["allowed_roles", "max_open_connections"]
    assert call(rotate, engine_mount_point=mount, name="app", force=True)["changed"]
    assert dev.request("GET", f"{mount}/creds/app")["data"]["username"]

    assert server.first_password not in log.text()
    names = call(lease_info, prefix=f"{mount}/creds")["lease_ids"]
    assert len(names) == 2, names
    refused = call(lease, prefix=mount, token=limited)
    assert refused["failure"]["kind"] == "permission_denied" and "sudo" in refused["failure"]["capability"]
    log.start()
    assert call(lease, check=True, prefix=mount)["objects"][0]["leases"] == names and not log.writes()
    assert call(lease, prefix=mount)["changed"] and not call(lease_info, prefix=mount)["lease_ids"]
    log.start()
    assert not call(lease, prefix=mount)["changed"] and not log.writes()
    assert not server.login(credentials["username"], credentials["password"])
    assert call(role, engine_mount_point=mount, name="app", state="absent")["changed"]
    assert call(connection, engine_mount_point=mount, name="app", state="absent")["changed"]
    assert not call(connection, engine_mount_point=mount, name="app", state="absent")["changed"]


def test_a_kill_between_rotation_and_mark(database, call, dev):
    """Without the mark the next run rotates once more, and all keeps working."""
    server, wanted, _role = database
    mount = wanted["engine_mount_point"]
    server.add_user("killed")
    fresh = {**wanted, "name": "killed", "connection_username": "killed"}
    assert call(connection, **fresh)["changed"]
    dev.request("POST", f"{mount}/rotate-root/killed", {})
    assert call(rotate, engine_mount_point=mount, name="killed")["changed"]
    assert not call(rotate, engine_mount_point=mount, name="killed")["changed"]


def test_life_of_a_static_role(database, call, dev):
    """A user that the database has already; Vault takes its password over, and a second run rotates nothing."""
    server, wanted, _role = database
    mount, log = wanted["engine_mount_point"], dev.audit
    for name in ("keeper", "reports"):
        server.add_user(name)
    keeper = {**wanted, "name": "keeper", "connection_username": "keeper", "allowed_roles": ["*"]}
    assert call(connection, **keeper)["changed"]
    role = {
        "engine_mount_point": mount,
        "name": "reports",
        "connection_name": "keeper",
        "database_username": "reports",
        "rotation_period": "24h",
        "rotation_statements": wanted.get("root_rotation_statements")
        or ["ALTER USER \"{{name}}\" WITH PASSWORD '{{password}}'"],
    }
    missing = call(static_role, **{**role, "database_username": None})
    assert "needs database_username" in missing["msg"]
    log.start()
    planned = call(static_role, check=True, **role)
    assert planned["changed"] and not log.writes() and server.login("reports", server.first_password)
    created = call(static_role, **role)
    assert created["changed"] and created["diff"] == planned["diff"]
    assert not server.login("reports", server.first_password), "only Vault knows it"

    def password() -> str:
        return dev.request("GET", f"{mount}/static-creds/reports")["data"]["password"]

    first = password()
    assert server.login("reports", first)
    log.start()
    assert not call(static_role, **{**role, "rotation_period": "86400"})["changed"] and not log.writes()
    updated = call(static_role, **{**role, "rotation_period": "12h"})
    assert updated["objects"][0]["options"] == ["rotation_period"] and password() == first
    scheduled = {**role, "rotation_period": None, "rotation_schedule": "0 2 * * *", "rotation_window": "2h"}
    assert call(static_role, **scheduled)["objects"][0]["options"] == ["rotation_schedule", "rotation_window"]
    log.start()
    assert not call(static_role, **scheduled)["changed"] and not log.writes()
    dev.request("POST", f"{mount}/static-roles/reports", {"username": "reports", "rotation_schedule": "0 3 * * *"})
    assert call(static_role, **scheduled)["objects"][0]["options"] == ["rotation_schedule"]
    assert call(static_role, **role)["changed"] and not call(static_role, **role)["changed"]
    assert "cannot be changed" in call(static_role, **{**role, "database_username": "vault"})["msg"]
    assert server.login("reports", password())

    refused = call(static_role, **{**role, "name": "other", "database_username": "nobody at all"})
    assert refused["failed"] and refused["failure"]["kind"] in ("invalid_request", "server_error"), refused
    server.add_user("counted")
    kept = {key: value for key, value in role.items() if key not in ("engine_mount_point", "name")}
    wanted_users = [("reports", "reports"), ("other", "nobody at all"), ("counted", "counted")]
    several = [{**kept, "name": name, "database_username": user} for name, user in wanted_users]
    partly = call(static_role, engine_mount_point=mount, roles=several)
    assert partly["failure"]["kind"] == "partial_failure", partly
    assert [entry["action"] for entry in partly["objects"]] == ["unchanged", "failed", "created"]
    assert not server.login("counted", server.first_password)
    limited = dev.request("POST", "auth/token/create", {"policies": ["default"]})["auth"]["client_token"]
    log.start()
    for state in ("present", "absent"):
        denied = call(static_role, token=limited, **role, state=state)
        assert denied["failure"]["kind"] == "permission_denied" and not log.writes(), denied
        assert denied["failure"]["path"] == f"{mount}/static-roles/reports"
    reader = f'path "{mount}/static-roles/*" {{ capabilities = ["read"] }}'
    dev.request("PUT", "sys/policies/acl/reader", {"policy": reader})
    reads = dev.request("POST", "auth/token/create", {"policies": ["reader"]})["auth"]["client_token"]
    assert not call(static_role, token=reads, **role)["changed"], "who may only read finds that all is well"
    denied = call(static_role, token=reads, **{**role, "rotation_period": "7h"})
    assert denied["failure"]["capability"] == "create or update" and "the token has: read" in denied["msg"], denied
    taken = call(static_role, token="hvs.dead", **role)
    assert taken["failure"]["kind"] == "token_rejected"
    last = password()
    gone = {"engine_mount_point": mount, "name": "reports", "state": "absent"}
    assert call(static_role, check=True, **gone)["changed"] and call(static_role, **gone)["changed"]
    log.start()
    assert not call(static_role, **gone)["changed"] and not log.writes()
    assert server.login("reports", last), "the user keeps the last password"
    assert last not in log.text() and first not in str([planned, created, updated])
