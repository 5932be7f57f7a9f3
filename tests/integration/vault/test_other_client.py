# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modules wrote is read back with Vault's own command line, and is what was asked for."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

import pytest

from ansible_collections.onprem.platform.plugins.modules import vault_configuration
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
