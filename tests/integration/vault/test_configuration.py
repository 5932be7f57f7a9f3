# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole configuration in one call, against a real Vault with a real database and logins by service account."""

from __future__ import annotations

import copy
import json
import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.onprem.platform.plugins.modules import vault_configuration
from ansible_collections.onprem.platform.tests.integration.vault.services import DevVault, closing

main = vault_configuration.main
ADMINISTRATOR = 'path "*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }'
CANARIES = ("canary-app-key", "canary-first-mariadb")


@pytest.fixture
def fresh() -> Iterator[DevVault]:
    """A server that nobody configured; its own mount of secrets is out of the way."""
    yield from closing(DevVault)


@pytest.fixture
def wanted(mariadb, kubernetes) -> dict[str, Any]:
    """Return the platform's configuration in small, with a database user of its own."""
    user = f"vault_{secrets.token_hex(4)}"
    mariadb.add_user(user)
    account = {"bound_service_account_namespaces": ["vault"]}
    return {
        "audit_devices": [{"path": "second", "options": {"file_path": "discard"}}],
        "mounts": [
            {"path": "kv", "type": "kv-v2", "description": "Secrets of the applications"},
            {"path": "database", "type": "database", "max_lease_ttl": "24h"},
        ],
        "auth_methods": [{"type": "kubernetes", "description": "Service accounts"}],
        "policies": [
            {"name": "administrator", "policy": ADMINISTRATOR},
            {"name": "shop", "policy": 'path "database/creds/shop" { capabilities = ["read"] }'},
        ],
        "kubernetes_auth_configs": [{"kubernetes_host": kubernetes.url, "disable_local_ca_jwt": True}],
        "kubernetes_roles": [
            {
                "name": "administrator",
                "bound_service_account_names": ["ansible"],
                "token_policies": ["administrator"],
                "token_ttl": "10m",
                **account,
            },
            {"name": "shop", "bound_service_account_names": ["shop"], "token_policies": ["shop"], **account},
        ],
        "kv2_secrets": [{"path": "shop", "method": "add", "data": {"APP_KEY": "canary-app-key"}}],
        "database_connections": [
            {
                "name": "mariadb",
                "plugin_name": "mysql-database-plugin",
                "connection_url": mariadb.vault_url,
                "connection_username": user,
                "connection_password": mariadb.first_password,
                "root_rotation_statements": ["ALTER USER '{{username}}'@'%' IDENTIFIED BY '{{password}}'"],
                "allowed_roles": ["shop"],
            }
        ],
        "database_roles": [
            {
                "name": "shop",
                "connection_name": "mariadb",
                "creation_statements": [
                    "CREATE USER '{{name}}'@'%' IDENTIFIED BY '{{password}}'",
                    "GRANT SELECT, INSERT ON app.* TO '{{name}}'@'%'",
                ],
                "revocation_statements": ["DROP USER IF EXISTS '{{name}}'@'%'"],
                "default_ttl": "1h",
            }
        ],
        "database_root_rotations": [{"name": "mariadb"}],
    }


@pytest.fixture
def connection(fresh, kubernetes, tmp_path) -> dict[str, Any]:
    """Return the role's way to log in: as service account through the port-forward, else with the key file."""
    kubernetes.issue("vault", "ansible")
    kubernetes.pods["vault-0"] = ("127.0.0.1", int(fresh.url.rsplit(":", 1)[1]))
    kubernetes.ready.add("vault-0")
    (tmp_path / "keys.json").write_text(json.dumps({"root_token": fresh.token}))
    api = {"kubeconfig": kubernetes.kubeconfig(tmp_path), "namespace": "vault"}
    return {
        "url": "http://vault.vault.svc:8200",
        "kubernetes_port_forward": {**api, "selector": "app.kubernetes.io/name=vault"},
        "auth_method": "kubernetes",
        "role": "administrator",
        "kubernetes_token_request": {**api, "service_account": "ansible"},
        "auth_fallback": "token_file",
        "token_path": str(tmp_path),
        "token_file": "keys.json",
    }


def logins(log) -> int:
    """Return how many logins by service account succeeded since the count began."""
    lines = [json.loads(line) for line in log.path.read_text()[log._offset :].splitlines()]
    answers = [line for line in lines if line["type"] == "response" and line["request"]["path"].endswith("/login")]
    return sum("auth" in line.get("response", {}) for line in answers)


def test_from_nothing_to_credentials(fresh, mariadb, kubernetes, wanted, connection, run_module, tmp_path):
    log = fresh.audit

    def run(check: bool = False, **changed: Any) -> dict[str, Any]:
        log.start()
        result = run_module(main, {**connection, **wanted, **changed}, check=check)
        assert not [canary for canary in CANARIES if canary in str(result)]
        return result

    # Nothing exists: a check run tells all, changes nothing, and the real run does just that.
    planned = run(check=True)
    assert planned["changed"] and planned["auth_method"] == "token_file" and log.writes() == [], planned
    assert {entry["action"] for entry in planned["objects"][:-1]} == {"created"}
    assert planned["objects"][-1]["section"] == "database_root_rotations"
    created = run()
    assert created["changed"] and created["diff"][:-1] == planned["diff"][:-1], created
    told = [[(entry["section"], entry["name"], entry["action"]) for entry in r["objects"]] for r in (planned, created)]
    assert told[0] == told[1]
    user = wanted["database_connections"][0]["connection_username"]
    assert not mariadb.login(user, mariadb.first_password), "only Vault knows it"
    assert fresh.request("GET", "kv/data/shop")["data"]["data"] == {"APP_KEY": "canary-app-key"}

    # From now on the root token is not needed: one login, and on a converged server no write at all.
    (tmp_path / "keys.json").unlink()
    for check in (False, True):
        again = run(check=check)
        assert again["auth_method"] == "kubernetes" and not again["changed"], again
        assert log.writes() == [] and logins(log) == 1
        assert {entry["action"] for entry in again["objects"]} == {"unchanged"}

    shop = kubernetes.issue("vault", "shop")
    token = fresh.request("POST", "auth/kubernetes/login", {"role": "shop", "jwt": shop})["auth"]["client_token"]
    lease = fresh.request("GET", "database/creds/shop", token=token)["data"]
    assert mariadb.login(lease["username"], lease["password"], "INSERT INTO app.t VALUES (1)")

    # Another client changes one object: one write repairs it.
    fresh.request("POST", "database/roles/shop", {"default_ttl": "7m"})
    drift = run()
    assert log.writes() == [("update", "database/roles/shop")], log.writes()
    assert [entry["name"] for entry in drift["objects"] if entry["action"] != "unchanged"] == ["shop"]

    # Removed as a whole, mounts first; again is no change.
    fresh.request("PUT", "sys/leases/revoke-prefix/database", {})
    absent = {
        "audit_devices": [{"path": "second", "state": "absent"}],
        "mounts": [{"path": "kv", "type": "kv", "state": "absent"}, {"path": "database", "state": "absent"}],
        "kv2_secrets": [{"path": "shop", "state": "absent"}],
    }
    rest = {name: [] for name in wanted} | absent
    removed = run(check=True, **rest)
    assert removed["changed"] and log.writes() == []
    assert [entry["action"] for entry in run(**rest)["objects"]] == ["deleted"] * 3 + ["unchanged"]
    rest["kv2_secrets"] = []
    assert not run(**rest)["changed"] and log.writes() == []
    assert not [canary for canary in CANARIES if canary in log.text()]


def test_a_database_that_refuses(fresh, mariadb, wanted, run_module):
    """What comes before it is done, what comes after is not attempted, and the next run does the rest."""
    access = {"url": fresh.url, "token": fresh.token}
    wrong = copy.deepcopy(wanted)
    wrong["database_connections"][0]["connection_password"] = "canary-wrong"
    failed = run_module(main, {**access, **wrong})
    assert failed["failure"]["kind"] == "partial_failure" and "canary-wrong" not in str(failed), failed
    assert [entry["action"] for entry in failed["objects"]] == ["created"] * 10 + ["failed"] + ["not_attempted"] * 2
    assert "mariadb" in failed["objects"][10]["name"] and failed["objects"][10]["error"]
    user = wanted["database_connections"][0]["connection_username"]
    assert mariadb.login(user, mariadb.first_password), "nothing was rotated"
    rest = run_module(main, {**access, **wanted})
    assert [entry["action"] for entry in rest["objects"]] == ["unchanged"] * 10 + ["created"] * 2 + ["updated"]
    assert not mariadb.login(user, mariadb.first_password)


def test_refusals(fresh, wanted, run_module):
    """A token that may not read is refused before the first write; one that may not write tells each failure."""
    reader = 'path "*" { capabilities = ["read", "list", "sudo"] }'
    for name, policy in (("nothing", 'path "nothing" { capabilities = ["read"] }'), ("reader", reader)):
        fresh.request("PUT", f"sys/policies/acl/{name}", {"policy": policy})
    tokens = {
        name: fresh.request("POST", "auth/token/create", {"policies": [name]})["auth"]["client_token"]
        for name in ("nothing", "reader")
    }
    fresh.audit.start()
    refused = run_module(main, {"url": fresh.url, "token": tokens["nothing"], **wanted})
    assert refused["failure"]["kind"] == "permission_denied" and refused["failure"]["path"] == "sys/audit"
    assert refused["msg"].startswith("audit_devices[0]: ") and not fresh.audit.writes()
    assert run_module(main, {"url": fresh.url, "token": "hvs.dead", **wanted})["failure"]["kind"] == "token_rejected"
    unwritten = run_module(main, {"url": fresh.url, "token": tokens["reader"], **wanted})
    assert [entry["action"] for entry in unwritten["objects"]] == ["failed"] + ["not_attempted"] * 12, unwritten
    assert "Permission denied on sys/audit/second" in unwritten["objects"][0]["error"] and not unwritten["changed"]
    wrong_type = run_module(
        main, {"url": fresh.url, "token": fresh.token, "mounts": [{"path": "secret", "type": "pki"}]}
    )
    assert "mounts[0]: The secrets engine at secret/ is of type kv" in wrong_type["msg"]
