# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules wrote is read back with Vault's command line and community.hashi_vault: it is what was asked for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.onprem.platform.plugins.modules import vault_configuration
from ansible_collections.onprem.platform.tests.integration.other_collection import other_collections
from ansible_collections.onprem.platform.tests.integration.vault.services import vault_binary

POLICY = 'path "kv/data/shop" {\n  capabilities = ["read"]\n}\n'
DATA = {"KEY": "ä € \" ' \\ \n end", "PORT": 3306, "ON": True, "NONE": None, "DEEP": {"list": [1, "2", {"a": 2.5}]}}
STATEMENTS = ["CREATE USER '{{name}}'@'%' IDENTIFIED BY '{{password}}'; -- ü", "GRANT SELECT ON a.* TO '{{name}}'@'%'"]
WANTED: dict[str, Any] = {
    "mounts": [{"path": "kv", "type": "kv-v2", "max_lease_ttl": "2h"}, {"type": "database"}],
    "auth_methods": [{"type": "kubernetes", "description": "Pods"}, {"type": "approle"}],
    "policies": [{"name": "shop", "policy": POLICY}],
    "kubernetes_roles": [
        {
            "name": "shop",
            "bound_service_account_names": ["shop"],
            "bound_service_account_namespaces": ["shop"],
            "token_policies": ["shop"],
            "token_ttl": "24h",
        }
    ],
    "approle_roles": [{"name": "pipeline", "secret_id_ttl": "90m", "token_bound_cidrs": ["10.1.2.3/32"]}],
    "kv2_configs": [{"max_versions": 7, "delete_version_after": "72h"}],
    "kv2_secrets": [{"path": "shop/deep", "data": DATA, "custom_metadata": {"owner": "shop"}}],
    "database_roles": [
        {"name": "shop", "connection_name": "none", "creation_statements": STATEMENTS, "default_ttl": "1h"}
    ],
}


@pytest.fixture(scope="module")
def cli(dev):
    """Return a function that runs ``vault`` and gives the data of its answer."""
    environment = {**os.environ, "VAULT_ADDR": dev.url, "VAULT_TOKEN": dev.token, "VAULT_FORMAT": "json"}

    def run(*argv: str) -> Any:
        command = [vault_binary(), *argv]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        answer = json.loads(done.stdout)
        return answer.get("data", answer)

    return run


def test_the_command_line_reads_what_was_written(call, cli):
    done = call(vault_configuration.main, **WANTED)
    assert done.get("changed"), done
    assert cli("policy", "read", "shop")["policy"] == POLICY
    mounts, methods = cli("secrets", "list"), cli("auth", "list")
    assert mounts["kv/"]["options"] == {"version": "2"} and mounts["kv/"]["config"]["max_lease_ttl"] == 7200
    assert methods["kubernetes/"]["description"] == "Pods"
    role = cli("read", "auth/kubernetes/role/shop")
    assert role["bound_service_account_names"] == ["shop"] and role["token_ttl"] == 86400
    machine = cli("read", "auth/approle/role/pipeline")
    assert machine["secret_id_ttl"] == 5400 and machine["token_bound_cidrs"] == ["10.1.2.3"]
    settings = cli("read", "kv/config")
    assert settings["max_versions"] == 7 and settings["delete_version_after"] == "72h0m0s"
    secret = cli("kv", "get", "-mount=kv", "shop/deep")
    assert secret["data"] == DATA and secret["metadata"]["custom_metadata"] == {"owner": "shop"}
    database = cli("read", "database/roles/shop")
    assert database["creation_statements"] == STATEMENTS and database["default_ttl"] == 3600


def test_the_modules_agree_with_what_the_command_line_writes(call, cli, tmp_path, dev):
    """Objects that the command line made anew, in its own notation, are found as they shall be."""
    call(vault_configuration.main, **WANTED)
    (tmp_path / "policy.hcl").write_text(POLICY)
    (tmp_path / "data.json").write_text(json.dumps(DATA))
    for argv in (
        ("policy", "write", "shop", str(tmp_path / "policy.hcl")),
        ("kv", "put", "-mount=kv", "shop/deep", f"@{tmp_path}/data.json"),
        ("write", "auth/approle/role/pipeline", "secret_id_ttl=1h30m", "token_bound_cidrs=10.1.2.3"),
        ("write", "auth/kubernetes/role/shop", "bound_service_account_names=shop", "token_ttl=1440m"),
        ("write", "kv/config", "max_versions=7", "delete_version_after=4320m"),
    ):
        environment = {**os.environ, "VAULT_ADDR": dev.url, "VAULT_TOKEN": dev.token}
        subprocess.run([vault_binary(), *argv], env=environment, capture_output=True, check=True)
    dev.audit.start()
    assert not call(vault_configuration.main, **WANTED)["changed"] and not dev.audit.writes()


@pytest.fixture(scope="module")
def databases(mariadb, dev) -> dict[str, Any]:
    """Return a connection and a static role, whose user the database has."""
    mariadb.add_user("keeper")
    mariadb.add_user("reports")
    connection = {
        "name": "shop",
        "plugin_name": "mysql-database-plugin",
        "connection_url": mariadb.vault_url,
        "connection_username": "keeper",
        "connection_password": mariadb.first_password,
        "allowed_roles": ["shop", "reports"],
        "max_open_connections": 3,
    }
    static_role = {
        "name": "reports",
        "connection_name": "shop",
        "database_username": "reports",
        "rotation_period": "24h",
        "rotation_statements": ["ALTER USER '{{name}}'@'%' IDENTIFIED BY '{{password}}'"],
    }
    return {"database_connections": [connection], "database_static_roles": [static_role]}


@pytest.fixture
def community(dev, tmp_path) -> Callable[..., dict[str, Any]]:
    """Return ``community(name=(module, parameters), ...)``, which runs modules of community.hashi_vault by a playbook.

    The answers come back by their names.
    """

    def run(**calls: tuple[str, dict[str, Any]]) -> dict[str, Any]:
        tasks: list[dict[str, Any]] = [
            {f"community.hashi_vault.{module}": parameters, "register": name}
            for name, (module, parameters) in calls.items()
        ]
        answers = tmp_path / "answers.json"
        content = "{{ dict(names | zip(names | map('extract', vars))) | to_json }}"
        tasks.append({"ansible.builtin.copy": {"content": content, "dest": str(answers), "mode": "0600"}})
        connection = {"url": dev.url, "auth_method": "token", "token": dev.token}
        play = {
            "hosts": "localhost",
            "connection": "local",
            "gather_facts": False,
            "module_defaults": {f"community.hashi_vault.{module}": connection for module, _options in calls.values()},
            "vars": {"names": list(calls), "ansible_python_interpreter": sys.executable},
            "tasks": tasks,
        }
        (tmp_path / "play.json").write_text(json.dumps([play]))
        (tmp_path / "ansible.cfg").write_text("[defaults]\n")
        environment = {"ANSIBLE_CONFIG": str(tmp_path / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
        environment["ANSIBLE_COLLECTIONS_PATH"] = str(other_collections())
        program = Path(sys.executable).with_name("ansible-playbook")
        command = [str(program), "-i", "localhost,", str(tmp_path / "play.json")]
        done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
        return dict(json.loads(answers.read_text()))

    return run


def test_community_hashi_vault_reads_what_was_written(call, community, databases):
    done = call(vault_configuration.main, **WANTED, **databases)
    assert not done.get("failed"), done

    def read(path: str) -> tuple[str, dict[str, Any]]:
        return "vault_read", {"path": path}

    at_database = {"engine_mount_point": "database"}
    told = community(
        policy=read("sys/policies/acl/shop"),
        policies=("vault_list", {"path": "sys/policies/acl"}),
        mounts=read("sys/mounts"),
        methods=read("sys/auth"),
        pods=read("auth/kubernetes/role/shop"),
        machine=read("auth/approle/role/pipeline"),
        settings=read("kv/config"),
        secret=("vault_kv2_get", {"path": "shop/deep", "engine_mount_point": "kv"}),
        connection=("vault_database_connection_read", {**at_database, "connection_name": "shop"}),
        connections=("vault_database_connections_list", at_database),
        role=("vault_database_role_read", {**at_database, "role_name": "shop"}),
        static_role=("vault_database_static_role_read", {**at_database, "role_name": "reports"}),
    )
    # some of its modules return the whole answer as data, others the data in it
    data = {name: answer["data"].get("data", answer["data"]) for name, answer in told.items() if name != "secret"}
    assert data["policy"]["policy"] == POLICY and "shop" in data["policies"]["keys"]
    assert data["mounts"]["kv/"]["options"] == {"version": "2"}
    assert data["mounts"]["kv/"]["config"]["max_lease_ttl"] == 7200
    assert data["methods"]["kubernetes/"]["description"] == "Pods"
    assert data["pods"]["bound_service_account_names"] == ["shop"] and data["pods"]["token_ttl"] == 86400
    assert data["pods"]["token_policies"] == ["shop"]
    assert data["machine"]["secret_id_ttl"] == 5400 and data["machine"]["token_bound_cidrs"] == ["10.1.2.3"]
    assert data["settings"]["max_versions"] == 7 and data["settings"]["delete_version_after"] == "72h0m0s"
    assert told["secret"]["secret"] == DATA
    assert told["secret"]["metadata"]["custom_metadata"] == {"owner": "shop"}
    wanted = databases["database_connections"][0]
    assert data["connections"]["keys"] == ["shop"] and data["connection"]["allowed_roles"] == wanted["allowed_roles"]
    details = data["connection"]["connection_details"]
    assert details["connection_url"] == wanted["connection_url"] and details["username"] == "keeper"
    assert int(details["max_open_connections"]) == 3 and "password" not in details
    assert data["role"]["creation_statements"] == STATEMENTS and data["role"]["default_ttl"] == 3600
    assert data["static_role"]["username"] == "reports" and data["static_role"]["rotation_period"] == 86400


def test_the_modules_agree_with_what_community_hashi_vault_writes(call, community, databases, dev):
    """Objects that the other collection made anew are found as they shall be, and nothing is written."""
    call(vault_configuration.main, **WANTED, **databases)

    def write(path: str, **data: Any) -> tuple[str, dict[str, Any]]:
        return "vault_write", {"path": path, "data": data}

    done = community(
        policy=write("sys/policies/acl/shop", policy=POLICY),
        pods=write("auth/kubernetes/role/shop", bound_service_account_names="shop", token_ttl="24h"),
        machine=write("auth/approle/role/pipeline", secret_id_ttl="5400s", token_bound_cidrs="10.1.2.3/32"),
        settings=write("kv/config", max_versions=7, delete_version_after="259200s"),
        secret=("vault_kv2_write", {"path": "shop/deep", "data": DATA, "engine_mount_point": "kv"}),
    )
    assert all(answer["changed"] for answer in done.values()), "it says so each time"
    dev.audit.start()
    again = call(vault_configuration.main, **WANTED, **databases)
    assert not again["changed"] and not dev.audit.writes(), again
