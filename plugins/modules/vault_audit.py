#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Manage audit devices of Vault."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vault_audit
short_description: Manage audit devices of Vault
version_added: 0.1.0
author:
  - onprem.platform contributors (@onprem-platform)
description:
  - Enables and disables audit devices. The token needs C(sudo) on C(sys/audit/<path>).
  - Vault cannot change an audit device. A device that differs is an error, unless O(replace=true) allows to disable
    it and to enable it anew; the log then has a gap and another hash salt.
  - A device that cannot be written stops Vault. Use two devices, for example one file and one to standard output.
  - OpenBao 2.3.2 and later refuses this API unless its configuration allows it; declare the device there instead.
extends_documentation_fragment:
  - onprem.platform.attributes
  - onprem.platform.attributes.reconciling
  - onprem.platform.attributes.vault_group
  - onprem.platform.vault
options:
  path:
    description: Path of the device. The default is O(type).
    type: str
  type:
    description: Type of the device.
    type: str
    default: file
    choices: [file, socket, syslog]
  description:
    description: Text for people.
    type: str
  options:
    description: Options of the type, such as C(file_path). Only the given keys are compared.
    type: dict
  local:
    description: Whether the device is left out of replication.
    type: bool
  replace:
    description: Whether a device that differs is disabled and enabled anew.
    type: bool
    default: false
  state:
    description: Whether the device exists.
    type: str
    choices: [present, absent]
    default: present
"""

EXAMPLES = r"""
- name: Audit log on standard output of the server
  onprem.platform.vault_audit:
    url: https://vault.example.org:8200
    token: "{{ vault_token }}"
    path: stdout
    type: file
    options:
      file_path: stdout
"""

RETURN = r"""
objects:
  description: What happened to the audit device.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Path of the device.
      type: str
      sample: stdout
    action:
      description: V(created), V(updated), V(deleted) or V(unchanged).
      type: str
      sample: created
    options:
      description: Options that differed.
      type: list
      elements: str
      sample: [options]
"""

from typing import Any

from ..module_utils._vault import VaultModule, run
from ..module_utils._vault_audit import AUDIT_ARGUMENTS, KIND, plan_audit_device
from ..module_utils._vault_objects import carry_out


def reconcile(module: VaultModule) -> dict[str, Any]:
    """Bring the audit device about."""
    return carry_out(module, KIND, [plan_audit_device(module.client(), module.params)])


def main() -> None:
    """Run the module."""
    run(AUDIT_ARGUMENTS, reconcile)


if __name__ == "__main__":
    main()
