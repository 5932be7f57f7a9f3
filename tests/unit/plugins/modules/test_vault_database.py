# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The database modules against a server with a memory."""

from __future__ import annotations

import pytest

from ansible_collections.onprem.platform.plugins.module_utils._vault_database import ROTATED_AT
from ansible_collections.onprem.platform.plugins.modules import (
    vault_database_connection,
    vault_database_role,
    vault_database_rotate_root,
    vault_database_static_role,
    vault_mount,
)
from ansible_collections.onprem.platform.tests.unit.fakes.vault_server import Fault

connection = vault_database_connection.main
rotate = vault_database_rotate_root.main
role = vault_database_role.main
static_role = vault_database_static_role.main

URL = "{{username}}:{{password}}@tcp(127.0.0.1:3306)/"
WANTED = {
    "name": "shop",
    "plugin_name": "mysql-database-plugin",
    "connection_url": URL,
    "connection_username": "vault",
    "connection_password": "first-password",
    "allowed_roles": ["shop", "jobs"],
    "max_connection_lifetime": "5m",
}


@pytest.fixture(autouse=True)
def engine(call, vault):
    call(vault_mount.main, type="database")
    vault.forget()


def test_life_of_a_connection(call, vault):
    planned = call(connection, check=True, **WANTED)
    assert planned["changed"] and not vault.writes
    created = call(connection, **WANTED)
    assert created["diff"] == planned["diff"] and "first-password" not in str(created)
    vault.forget()
    equal = {**WANTED, "allowed_roles": ["jobs", "shop"], "max_connection_lifetime": "300s"}
    assert not call(connection, **equal)["changed"] and not vault.writes

    statement = ["ALTER USER '{{username}}'@'%' IDENTIFIED BY '{{password}}'"]
    updated = call(connection, **WANTED, root_rotation_statements=statement)
    assert updated["objects"][0]["options"] == ["root_rotation_statements"]
    assert vault.bodies[-1] == {"root_rotation_statements": statement, "verify_connection": True}
    assert not call(connection, **WANTED, root_rotation_statements=statement)["changed"]

    vault.state.objects["database/config/shop"]["top"]["allowed_roles"] = ["*"]
    assert call(connection, **WANTED)["objects"][0]["options"] == ["allowed_roles"]
    assert call(connection, name="shop", state="absent")["changed"]
    vault.forget()
    assert not call(connection, name="shop", state="absent")["changed"] and not vault.writes


def test_after_rotation_the_first_password_is_neither_sent_nor_compared(call, vault):
    call(connection, **WANTED)
    assert call(rotate, name="shop")["changed"]
    rotated = vault.state.database_passwords["shop"]
    vault.forget()
    assert not call(connection, **WANTED)["changed"]
    assert not call(rotate, name="shop")["changed"]
    assert not vault.writes

    assert call(connection, **{**WANTED, "allowed_roles": ["shop"]})["changed"]
    assert all("password" not in body for body in vault.bodies)
    stored = vault.state.objects["database/config/shop"]["details"]
    assert stored["password"] == rotated == vault.state.database_passwords["shop"]

    dead = call(connection, **WANTED, update_password="always")
    assert dead["failed"] and "Access denied" in dead["msg"]
    assert vault.state.objects["database/config/shop"]["details"]["password"] == rotated


def test_a_new_password_makes_the_next_rotation_due(call, vault):
    call(connection, **WANTED)
    call(rotate, name="shop")
    vault.state.database_passwords["shop"] = "set by hand"
    hand = {**WANTED, "connection_password": "set by hand", "update_password": "always"}
    assert call(connection, **hand)["changed"]
    assert call(rotate, name="shop")["changed"]


def test_rotation(call, vault):
    assert call(rotate, name="shop")["failure"]["kind"] == "missing_object"
    call(connection, **WANTED)
    planned = call(rotate, check=True, name="shop")
    assert planned["changed"] and planned["rotated_at"] == ""
    result = call(rotate, name="shop")
    details = vault.state.objects["database/config/shop"]["details"]
    assert result["rotated_at"] == details[ROTATED_AT]
    assert not call(rotate, name="shop", max_age="30d")["changed"]
    details[ROTATED_AT] = "2020-01-01T00:00:00Z"
    assert not call(rotate, name="shop")["changed"]
    assert call(rotate, name="shop", max_age="30d")["changed"]
    assert call(rotate, name="shop", force=True)["changed"]


@pytest.mark.parametrize(("said", "kind"), [("no username found", "configuration"), ("boom", "invalid_request")])
def test_a_rotation_that_vault_refuses(call, vault, said, kind):
    call(connection, **WANTED)
    vault.faults.append(Fault(status=400, body=f'{{"errors": ["{said}"]}}'.encode(), path="rotate-root"))
    assert call(rotate, name="shop")["failure"]["kind"] == kind
    assert ROTATED_AT not in vault.state.objects["database/config/shop"]["details"]


def test_always_sends_the_password(call, vault):
    call(connection, **WANTED)
    again = call(connection, **WANTED, update_password="always")
    assert again["objects"][0]["options"] == ["password"] and "first-password" not in str(again)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("root:secret@tcp(db:3306)/", "password of its own"),
        ("postgresql://vault:secret@db:5432/shop", "password of its own"),
        ("host=db user=vault password=secret", "password of its own"),
        ("{{ username }}:{{ password }}@tcp(db:3306)/", "without spaces"),
        ("postgresql://db:5432/shop", "no place for the credentials"),
    ],
)
def test_addresses_that_would_leak_or_fail(call, vault, url, message):
    result = call(connection, **{**WANTED, "connection_url": url})
    assert message in result["msg"] and not vault.writes


@pytest.mark.parametrize(
    "url",
    [
        URL,
        "postgresql://{{username}}:{{password}}@db:5432/shop?sslmode=verify-full",
        "host=db user={{username}} password={{password}}",
    ],
)
def test_addresses_that_are_right(call, url):
    assert call(connection, **{**WANTED, "connection_url": url})["changed"]


def test_plugin_options(call, vault):
    options = {"plugin_options": {"tls_ca": "PEM"}, "plugin_secrets": {"tls_certificate_key": "canary-key"}}
    assert "canary-key" not in str(call(connection, **WANTED, **options))
    vault.forget()
    assert not call(connection, **WANTED, **options)["changed"]
    misplaced = call(connection, **WANTED, plugin_options={"password": "x"})
    assert "plugin_secrets" in misplaced["msg"]


ROLE = {
    "name": "shop",
    "connection_name": "shop",
    "creation_statements": ["CREATE USER '{{name}}'@'%'; GRANT ALL ON shop.* TO '{{name}}'@'%'"],
    "default_ttl": "1h",
    "max_ttl": "24h",
}


def test_life_of_a_role(call, vault):
    assert "creation_statements" in call(role, name="shop", connection_name="shop")["msg"]
    planned = call(role, check=True, **ROLE)
    assert planned["changed"] and not vault.writes
    assert call(role, **ROLE)["diff"] == planned["diff"]
    vault.forget()
    assert not call(role, **{**ROLE, "default_ttl": "3600", "max_ttl": "86400s"})["changed"] and not vault.writes
    split = {**ROLE, "creation_statements": ROLE["creation_statements"][0].split("; ")}
    assert call(role, **split)["objects"][0]["options"] == ["creation_statements"]
    assert call(role, **{**split, "connection_name": "other"})["objects"][0]["options"] == ["db_name"]
    assert call(role, name="shop", state="absent")["changed"]
    assert not call(role, name="shop", state="absent")["changed"]


def test_roles_in_one_call(call, vault):
    roles = [{**ROLE, "name": f"r{number}"} for number in range(4)]
    assert call(role, roles=roles)["changed"]
    vault.forget()
    assert not call(role, roles=roles)["changed"] and len(vault.requests) == 4


STATIC = {
    "name": "reports",
    "connection_name": "shop",
    "database_username": "reports",
    "rotation_period": "24h",
    "rotation_statements": ["ALTER USER '{{name}}'@'%' IDENTIFIED BY '{{password}}'"],
}


def test_life_of_a_static_role(call, vault):
    planned = call(static_role, check=True, **STATIC)
    assert planned["changed"] and not vault.writes
    assert call(static_role, **STATIC)["diff"] == planned["diff"]
    vault.forget()
    assert not call(static_role, **{**STATIC, "rotation_period": "86400"})["changed"] and not vault.writes
    updated = call(static_role, **{**STATIC, "rotation_period": "12h"})
    assert updated["objects"][0]["options"] == ["rotation_period"]
    assert vault.bodies[-1] == {"rotation_period": "12h", "username": "reports"}

    scheduled = {**STATIC, "rotation_period": None, "rotation_schedule": "0 2 * * *", "rotation_window": "2h"}
    assert call(static_role, **scheduled)["objects"][0]["options"] == ["rotation_schedule", "rotation_window"]
    vault.forget()
    assert not call(static_role, **scheduled)["changed"] and not vault.writes
    assert call(static_role, **STATIC)["changed"]

    vault.state.objects["database/static-roles/reports"]["db_name"] = "other"
    assert call(static_role, **STATIC)["objects"][0]["options"] == ["db_name"]
    assert call(static_role, name="reports", state="absent")["changed"]
    vault.forget()
    assert not call(static_role, name="reports", state="absent")["changed"] and not vault.writes


def test_a_static_role_that_cannot_be(call, vault):
    missing = call(static_role, name="reports")
    assert "connection_name and database_username and rotation_period" in missing["msg"]
    assert "exclude each other" in call(static_role, **STATIC, rotation_schedule="0 2 * * *")["msg"]
    call(static_role, **STATIC)
    vault.forget()
    refused = call(static_role, **{**STATIC, "database_username": "other"})
    assert "cannot be changed to other" in refused["msg"] and not vault.writes
    assert not call(static_role, name="reports", rotation_period="24h")["changed"]


def test_static_roles_in_one_call(call, vault):
    roles = [{**STATIC, "name": f"r{number}"} for number in range(3)]
    assert call(static_role, roles=roles)["changed"]
    vault.forget()
    assert not call(static_role, roles=roles)["changed"] and len(vault.requests) == 3
