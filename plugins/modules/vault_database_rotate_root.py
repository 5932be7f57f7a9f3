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

from typing import Any

from ..module_utils._vault import VaultModule, run
from ..module_utils._vault_database_connection import ROTATION_ARGUMENTS, ROTATION_KIND, plan_rotation
from ..module_utils._vault_objects import carry_out


def reconcile(module: VaultModule) -> dict[str, Any]:
    """Rotate the password if it is due."""
    result = carry_out(module, ROTATION_KIND, [plan_rotation(module.client(), module.params)])
    return {**result, "rotated_at": result["objects"][0].pop("rotated_at")}


def main() -> None:
    """Run the module."""
    run(ROTATION_ARGUMENTS, reconcile)


if __name__ == "__main__":
    main()
