#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rotate the password that Vault uses at a database."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vault_database_rotate_root
short_description: Rotate the password that Vault uses at a database
version_added: 0.1.0
author:
  - onprem.platform contributors (@onprem-platform)
description:
  - Lets Vault choose a new password for the user of a database connection. Afterwards only Vault knows it.
  - Vault does not tell whether that happened. The time of the rotation is therefore kept among the connection's
    details, where plugins ignore it. A connection without that mark is rotated, one with it only after O(max_age) or
    with O(force=true).
  - A run that is killed between rotation and mark rotates once more when repeated, which does no harm.
extends_documentation_fragment:
  - onprem.platform.attributes
  - onprem.platform.attributes.vault_group
  - onprem.platform.vault
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: Shows the times of the rotations.
  idempotent:
    support: partial
    details: Not with O(force=true).
options:
  name:
    description: Name of the connection.
    type: str
    required: true
    aliases: [connection_name]
  engine_mount_point:
    description: Path of the database secrets engine.
    type: str
    default: database
    aliases: [mount_path]
  max_age:
    description:
      - Age of the last rotation after which to rotate again, as seconds or for example V(720h).
      - Without it, a connection is rotated once.
    type: str
  force:
    description: Rotate now, whatever the age.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Only Vault knows the password from now on
  onprem.platform.vault_database_rotate_root:
    url: https://vault.example.org:8200
    token: "{{ vault_token }}"
    name: shop-mariadb

- name: A new one every thirty days
  onprem.platform.vault_database_rotate_root:
    url: https://vault.example.org:8200
    token: "{{ vault_token }}"
    name: shop-mariadb
    max_age: 30d
"""

RETURN = r"""
rotated_at:
  description: Time of the last rotation by this module (RFC 3339, UTC); in check mode before the call.
  returned: always
  type: str
  sample: "2026-11-21T09:48:00Z"
objects:
  description: What happened to the connection.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name of the connection.
      type: str
      sample: shop-mariadb
    action:
      description: V(updated) or V(unchanged).
      type: str
      sample: updated
    options:
      description: Options that differed.
      type: list
      elements: str
      sample: [rotated_at]
"""

from datetime import datetime, timedelta, timezone
from typing import Any

from ..module_utils._compare import seconds
from ..module_utils._vault import VaultClient, VaultModule, run
from ..module_utils._vault_database import ROTATED_AT, read_connection
from ..module_utils._vault_errors import VaultConfigurationError, VaultError, VaultMissingObject
from ..module_utils._vault_objects import UPDATED, Plan, carry_out

TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


def is_due(mark: str, max_age: str | None, now: datetime) -> bool:
    """Whether the password has to be rotated, from the mark of the last rotation."""
    try:
        last = datetime.strptime(mark, TIME_FORMAT).replace(tzinfo=timezone.utc)
    except ValueError:
        return True
    return max_age is not None and now - last >= timedelta(seconds=seconds(max_age))


def rotate(client: VaultClient, mount: str, name: str, now: str) -> None:
    """Rotate, then leave the mark."""
    try:
        client.write(f"{mount}/rotate-root/{name}", repeatable=False)
    except VaultError as error:
        if "no username" in error.message:
            raise VaultConfigurationError(f"The connection {name} has no username to rotate.") from error
        raise
    client.write(f"{mount}/config/{name}", {ROTATED_AT: now, "verify_connection": True})


def reconcile(module: VaultModule) -> dict[str, Any]:
    """Rotate the password if it is due."""
    params = module.params
    name, mount = params["name"], params["engine_mount_point"].strip("/")
    client = module.client()
    current = read_connection(client, mount, name)
    if current is None:
        raise VaultMissingObject(f"There is no database connection {name} at {mount}/.", path=f"{mount}/config/{name}")
    if not current.get("username"):
        raise VaultConfigurationError(f"The connection {name} has no username to rotate.")
    mark = str(current.get(ROTATED_AT) or "")
    now = datetime.now(timezone.utc)
    plan = Plan(name)
    if params["force"] or is_due(mark, params["max_age"], now):
        text = now.strftime(TIME_FORMAT)
        plan = Plan(
            name,
            UPDATED,
            lambda: rotate(client, mount, name, text),
            {"rotated_at": mark},
            {"rotated_at": text},
            ["rotated_at"],
        )
        mark = mark if module.check_mode else text
    return {**carry_out(module, "root password of database connection", [plan]), "rotated_at": mark}


def main() -> None:
    """Run the module."""
    run(
        {
            "name": {"type": "str", "required": True, "aliases": ["connection_name"]},
            "engine_mount_point": {"type": "str", "default": "database", "aliases": ["mount_path"]},
            "max_age": {"type": "str"},
            "force": {"type": "bool", "default": False},
        },
        reconcile,
    )


if __name__ == "__main__":
    main()
