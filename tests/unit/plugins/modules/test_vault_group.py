# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all Vault modules have in common."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
import yaml

from ansible_collections.onprem.platform.plugins.modules import (
    vault_auth_method_info,
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
