# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inventory of the machines that the lab role made."""

from __future__ import annotations

DOCUMENTATION = r"""
name: lab
short_description: Machines of the lab
version_added: 0.1.0
description:
  - Reads the machines of the lab from the file that the role P(onprem.platform.lab#role) wrote.
  - The groups are C(control_plane) and C(worker), both children of C(kubernetes). Without a lab they are empty.
  - Sets C(lab_directory) for all hosts, and C(ansible_host) for each machine.
author: onprem.platform contributors (@onprem-platform)
options:
  plugin:
    description: The name of this plugin.
    type: str
    required: true
    choices: [onprem.platform.lab]
  directory:
    description: State directory of the lab, relative to the inventory file.
    type: str
    default: ../../.lab
"""

EXAMPLES = r"""
# inventories/lab/lab.yml
plugin: onprem.platform.lab
directory: ../../.lab
"""

import json
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin


class InventoryModule(BaseInventoryPlugin):  # type: ignore[misc]
    """Turns ``lab.json`` into hosts and groups."""

    NAME = "onprem.platform.lab"

    def verify_file(self, path: str) -> bool:
        """Accept YAML files; the ``plugin`` key in them decides."""
        return bool(super().verify_file(path)) and path.endswith((".yml", ".yaml"))

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        """Add the machines; raise AnsibleParserError when the state file is unreadable."""
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        directory = (Path(path).resolve().parent / self.get_option("directory")).resolve()
        inventory.set_variable("all", "lab_directory", str(directory))
        for group in ("kubernetes", "control_plane", "worker"):
            inventory.add_group(group)
        for group in ("control_plane", "worker"):
            inventory.add_child("kubernetes", group)
        state = directory / "lab.json"
        if not state.exists():
            self.display.vv(f"{state} does not exist: no lab, no machines")
            return
        try:
            nodes = json.loads(state.read_text(encoding="utf-8"))["nodes"]
            for node in nodes:
                inventory.add_host(node["name"], group=node["group"])
                inventory.set_variable(node["name"], "ansible_host", node["address"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise AnsibleParserError(f"{state} is no state file of the lab ({error}); run playbooks/lab.yml") from error
