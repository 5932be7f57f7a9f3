# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory plugin reads what the role wrote."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible.errors import AnsibleParserError
from ansible.inventory.data import InventoryData
from ansible.parsing.dataloader import DataLoader

from ansible_collections.onprem.platform.plugins.inventory.lab import InventoryModule


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Return an inventory file whose state directory is ``tmp_path/.lab``."""
    file = tmp_path / "inventories" / "lab" / "lab.yml"
    file.parent.mkdir(parents=True)
    file.write_text("plugin: onprem.platform.lab\ndirectory: ../../.lab\n")
    return file


def read(source: Path) -> InventoryData:
    """Parse ``source``."""
    plugin = InventoryModule()
    # Reading options is Ansible's own work; the integration test goes all the way.
    plugin._read_config_data = lambda path: {}  # type: ignore[method-assign]
    plugin.get_option = lambda option: "../../.lab"  # type: ignore[method-assign]
    inventory = InventoryData()
    plugin.parse(inventory, DataLoader(), str(source))
    inventory.reconcile_inventory()
    return inventory


def test_without_a_lab_the_groups_are_empty(source: Path, tmp_path: Path) -> None:
    inventory = read(source)
    assert not inventory.hosts
    assert {group.name for group in inventory.groups["kubernetes"].child_groups} == {"control_plane", "worker"}
    assert inventory.groups["all"].vars["lab_directory"] == str(tmp_path / ".lab")


def test_machines_come_with_group_and_address(source: Path, tmp_path: Path) -> None:
    nodes = [
        {"name": "cp1", "group": "control_plane", "address": "172.30.7.11"},
        {"name": "w1", "group": "worker", "address": "172.30.7.21"},
    ]
    (tmp_path / ".lab").mkdir()
    (tmp_path / ".lab" / "lab.json").write_text(json.dumps({"nodes": nodes}))
    inventory = read(source)
    assert [host.name for host in inventory.groups["kubernetes"].get_hosts()] == ["cp1", "w1"]
    assert [host.name for host in inventory.groups["worker"].get_hosts()] == ["w1"]
    assert inventory.hosts["cp1"].vars["ansible_host"] == "172.30.7.11"


@pytest.mark.parametrize("content", ["", "{}", '{"nodes": [{}]}', '{"nodes": 1}'])
def test_a_damaged_state_file_is_one_clear_message(source: Path, tmp_path: Path, content: str) -> None:
    (tmp_path / ".lab").mkdir()
    (tmp_path / ".lab" / "lab.json").write_text(content)
    with pytest.raises(AnsibleParserError, match="is no state file of the lab"):
        read(source)
