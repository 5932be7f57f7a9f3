# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all Vault modules have in common."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
import yaml

from ansible_collections.onprem.platform.plugins.modules import (
    vault_approle_role,
    vault_approle_role_info,
    vault_auth_method,
    vault_auth_method_info,
    vault_database_connection,
    vault_database_info,
    vault_database_role,
    vault_database_static_role,
    vault_kubernetes_role,
    vault_kubernetes_role_info,
    vault_mount,
    vault_mount_info,
    vault_policy,
    vault_policy_info,
)

ROOT = Path(__file__).parents[4]
MODULES = sorted(path.stem for path in (ROOT / "plugins" / "modules").glob("vault_*.py"))


def test_action_group_is_complete():
    groups = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text())["action_groups"]
    assert sorted(groups["vault"]) == MODULES


@pytest.mark.parametrize("name", MODULES)
def test_documentation(name):
    module = importlib.import_module(f"ansible_collections.onprem.platform.plugins.modules.{name}")
    documentation = yaml.safe_load(module.DOCUMENTATION)
    fragments = documentation["extends_documentation_fragment"]
    assert {"onprem.platform.attributes", "onprem.platform.attributes.vault_group", "onprem.platform.vault"} <= {
        *fragments
    }
    assert documentation["module"] == name and yaml.safe_load(module.RETURN)
    assert f"onprem.platform.{name}:" in module.EXAMPLES


def test_info(call, vault):
    call(vault_mount.main, path="kv", type="kv-v2")
    call(vault_policy.main, name="shop", policy="# x")
    vault.forget()
    assert call(vault_mount_info.main)["objects"][0]["options"] == {"version": "2"}
    assert call(vault_mount_info.main, path="other")["objects"] == []
    assert call(vault_auth_method_info.main)["objects"] == []
    assert call(vault_policy_info.main)["names"] == ["default", "root", "shop"]
    assert call(vault_policy_info.main, names=["Shop", "none"])["objects"] == [{"name": "shop", "policy": "# x"}]
    assert not vault.writes


def test_info_about_roles(call, vault):
    for method in ("kubernetes", "approle"):
        call(vault_auth_method.main, type=method)
    assert call(vault_kubernetes_role_info.main)["names"] == []
    call(vault_kubernetes_role.main, name="Shop", bound_service_account_names=["shop"], token_ttl="10m")
    call(vault_approle_role.main, name="pipeline", custom_role_id="pipe")
    vault.forget()
    assert call(vault_kubernetes_role_info.main)["names"] == ["shop"]
    shop = call(vault_kubernetes_role_info.main, names=["SHOP", "none"])
    assert shop["names"] == ["shop"] and shop["objects"][0]["token_ttl"] == 600
    assert call(vault_approle_role_info.main) | {"invocation": 0} == {
        "changed": False,
        "names": ["pipeline"],
        "invocation": 0,
    }
    pipeline = call(vault_approle_role_info.main, names=["pipeline"])["objects"][0]
    assert pipeline["role_id"] == "pipe" and pipeline["bind_secret_id"]
    assert call(vault_approle_role_info.main, auth_path="no")["failure"]["kind"] == "missing_mount"
    assert not vault.writes


def test_info_about_a_database_tells_no_secret(call, vault):
    call(vault_mount.main, type="database")
    empty = call(vault_database_info.main)
    assert empty["connections"] == empty["roles"] == empty["static_roles"] == []
    call(
        vault_database_connection.main,
        name="shop",
        plugin_name="mysql-database-plugin",
        connection_url="{{username}}:{{password}}@tcp(127.0.0.1:3306)/",
        connection_username="vault",
        connection_password="canary-password",
        plugin_secrets={"tls_certificate_key": "canary-key"},
    )
    details = {"connection_url": "root:canary-url@tcp(db)/", "password": "canary-password"}
    vault.state.objects["database/config/byhand"] = {"top": {"plugin_name": "x"}, "details": details}
    statement = ["CREATE USER '{{name}}'"]
    call(vault_database_role.main, name="shop", connection_name="shop", creation_statements=statement)
    static = {"connection_name": "shop", "database_username": "reports", "rotation_period": "1h"}
    call(vault_database_static_role.main, name="reports", **static)
    vault.forget()
    told = call(vault_database_info.main)
    assert [item["name"] for item in told["connections"]] == ["byhand", "shop"]
    byhand, shop = told["connections"]
    assert byhand["connection_url"] == "(hidden)" and shop["connection_url"].startswith("{{username}}:")
    assert shop["details"]["username"] == "vault" and shop["details"]["tls_certificate_key"] == "(hidden)"
    assert told["roles"][0]["creation_statements"] == statement and told["static_roles"][0]["username"] == "reports"
    assert "canary" not in str(told) and not vault.writes
