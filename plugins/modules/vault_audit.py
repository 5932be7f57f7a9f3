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
  - onprem.platform.attributes.vault_group
  - onprem.platform.vault
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
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

from ..module_utils._compare import Difference, Field, boolean, compare, string_map, text
from ..module_utils._vault import VaultClient, VaultModule, run
from ..module_utils._vault_errors import VaultConfigurationError, VaultError, VaultInvalidRequest
from ..module_utils._vault_objects import Plan, carry_out, plan_absent, plan_present

FIELDS = (Field("type"), Field("description", text), Field("local", boolean))


def enable(client: VaultClient, path: str, body: dict[str, Any], *, replace: bool) -> None:
    """Enable the device, after disabling the one that is there."""
    if replace:
        client.delete(path)
    try:
        client.write(path, body)
    except VaultInvalidRequest as error:
        if "audit" in error.message and "api" in error.message.lower() and "allow" in error.message.lower():
            raise VaultError(
                error.message, hint="Declare the audit device in the server's configuration.", path=path
            ) from error
        raise


def _given(params: dict[str, Any]) -> dict[str, Any]:
    return {field.name: params[field.name] for field in FIELDS if params[field.name] is not None}


def plan(client: VaultClient, params: dict[str, Any]) -> Plan:
    """Return what is to be done about the device."""
    name = (params["path"] or params["type"]).strip("/")
    path = f"sys/audit/{name}"
    current = (client.read("sys/audit") or {}).get(f"{name}/")
    if params["state"] == "absent":
        return plan_absent(name, current, current, lambda: client.delete(path))
    wanted = string_map(params["options"])
    difference: Difference = compare(FIELDS, params, current)
    stored = string_map(current.get("options")) if current else None
    options = compare([Field(key) for key in wanted], wanted, stored)
    difference.before.update(options.before)
    difference.after.update(options.after)
    difference.changed += ["options"] * bool(options)
    if current and difference and not params["replace"]:
        raise VaultConfigurationError(
            f"The audit device {name} differs in {', '.join(difference.changed)}, and Vault cannot change a device.",
            hint="Set replace=true to disable and enable it, which leaves a gap in the log.",
        )
    body = {**{field.name: current.get(field.name) for field in FIELDS if current}, **_given(params)}
    body["options"] = {**(stored or {}), **wanted}
    replace = current is not None
    return plan_present(name, current, difference, lambda: enable(client, path, body, replace=replace))


def reconcile(module: VaultModule) -> dict[str, Any]:
    """Bring the audit device about."""
    return carry_out(module, "audit device", [plan(module.client(), module.params)])


def main() -> None:
    """Run the module."""
    run(
        {
            "path": {"type": "str"},
            "type": {"type": "str", "default": "file", "choices": ["file", "socket", "syslog"]},
            "description": {"type": "str"},
            "options": {"type": "dict"},
            "local": {"type": "bool"},
            "replace": {"type": "bool", "default": False},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
        reconcile,
    )


if __name__ == "__main__":
    main()
