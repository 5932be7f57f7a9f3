#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look up leases of Vault."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vault_lease_info
short_description: Look up leases of Vault
version_added: 0.1.0
author:
  - onprem.platform contributors (@onprem-platform)
description:
  - Returns what Vault knows about leases, or the names of all leases below a path.
extends_documentation_fragment:
  - onprem.platform.attributes
  - onprem.platform.attributes.info
  - onprem.platform.attributes.vault_group
  - onprem.platform.vault
options:
  lease_ids:
    description: Names of the leases.
    type: list
    elements: str
    aliases: [lease_id]
  prefix:
    description: Path whose leases are listed, such as V(database/creds). Needs C(sudo) on C(sys/leases/lookup/).
    type: str
"""

EXAMPLES = r"""
- name: Who has credentials of the database
  onprem.platform.vault_lease_info:
    url: https://vault.example.org:8200
    token: "{{ vault_token }}"
    prefix: database/creds
"""

RETURN = r"""
lease_ids:
  description: Names of the leases below O(prefix), or of those asked for that exist.
  returned: always
  type: list
  elements: str
  sample: [database/creds/shop/2f6a614c-4aa2-7b19-24b9-ad944a8d4de6]
objects:
  description: The leases that were asked for and exist.
  returned: with O(lease_ids)
  type: list
  elements: dict
  contains:
    id:
      description: Name.
      type: str
      sample: database/creds/shop/2f6a614c-4aa2-7b19-24b9-ad944a8d4de6
    issue_time:
      description: When it was issued (RFC 3339).
      type: str
      sample: "2026-11-21T09:48:00.123456789Z"
    expire_time:
      description: When it ends; null for one that does not.
      type: str
      sample: "2026-11-21T10:48:00.123456789Z"
    last_renewal:
      description: When it was renewed last; null if never.
      type: str
      sample: null
    renewable:
      description: Whether it can be renewed.
      type: bool
      sample: true
    ttl:
      description: Seconds until it ends.
      type: int
      sample: 3540
"""

from typing import Any

from ..module_utils._vault import VaultModule, run
from ..module_utils._vault_lease import list_leases, look_up


def reconcile(module: VaultModule) -> dict[str, Any]:
    """Look up or list."""
    client = module.client()
    if module.params["prefix"] is not None:
        return {"changed": False, "lease_ids": list_leases(client, module.params["prefix"])}
    objects = [found for name in module.params["lease_ids"] if (found := look_up(client, name)) is not None]
    return {"changed": False, "lease_ids": [found["id"] for found in objects], "objects": objects}


def main() -> None:
    """Run the module."""
    run(
        {"lease_ids": {"type": "list", "elements": "str", "aliases": ["lease_id"]}, "prefix": {"type": "str"}},
        reconcile,
        required_one_of=[("lease_ids", "prefix")],
        mutually_exclusive=[("lease_ids", "prefix")],
    )


if __name__ == "__main__":
    main()
