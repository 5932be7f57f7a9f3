#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Revoke leases of Vault."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vault_lease
short_description: Revoke leases of Vault
version_added: 0.1.0
author:
  - onprem.platform contributors (@onprem-platform)
description:
  - Revokes leases by name, or all below a path, and waits until it is done. For database credentials that means that
    the users are gone.
  - A lease that Vault does not know any more counts as revoked.
extends_documentation_fragment:
  - onprem.platform.attributes
  - onprem.platform.attributes.reconciling
  - onprem.platform.attributes.vault_group
  - onprem.platform.vault
options:
  lease_ids:
    description: Names of the leases.
    type: list
    elements: str
    aliases: [lease_id]
  prefix:
    description:
      - Path whose leases are all revoked, such as V(database/creds/shop).
      - Needs C(sudo) on C(sys/leases/lookup/) and C(sys/leases/revoke-prefix/).
    type: str
  force:
    description:
      - Forget leases of O(prefix) even when their revocation fails. What they gave access to may live on then.
      - A last resort for a database that is gone for ever.
    type: bool
    default: false
  state:
    description: The leases do not exist.
    type: str
    choices: [absent]
    default: absent
"""

EXAMPLES = r"""
- name: Nobody uses the shop's database any more
  onprem.platform.vault_lease:
    url: https://vault.example.org:8200
    token: "{{ vault_token }}"
    prefix: database/creds/shop

- name: One set of credentials became known
  onprem.platform.vault_lease:
    url: https://vault.example.org:8200
    token: "{{ vault_token }}"
    lease_ids: database/creds/shop/2f6a614c-4aa2-7b19-24b9-ad944a8d4de6
"""

RETURN = r"""
objects:
  description: What happened to each lease, or to the path.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name of the lease, or the path.
      type: str
      sample: database/creds/shop
    action:
      description: V(deleted), V(unchanged), V(failed) or V(not_attempted).
      type: str
      sample: deleted
    options:
      description: Always empty.
      type: list
      elements: str
      sample: []
    leases:
      description: Names of the leases below the path.
      type: list
      elements: str
      returned: with O(prefix)
      sample: [database/creds/shop/2f6a614c-4aa2-7b19-24b9-ad944a8d4de6]
    error:
      description: Why the revocation failed.
      type: str
      returned: on failure
      sample: Permission denied on sys/leases/revoke.
"""

from typing import Any

from ..module_utils._vault import VaultModule, run
from ..module_utils._vault_errors import VaultConfigurationError
from ..module_utils._vault_lease import KIND, plan_lease, plan_prefix
from ..module_utils._vault_objects import carry_out


def reconcile(module: VaultModule) -> dict[str, Any]:
    """Revoke what is there."""
    prefix, lease_ids = module.params["prefix"], module.params["lease_ids"]
    if module.params["force"] and prefix is None:
        raise VaultConfigurationError("force=true needs prefix.")
    client = module.client()
    if prefix is not None:
        return carry_out(module, KIND, [plan_prefix(client, prefix, force=module.params["force"])])
    return carry_out(module, KIND, [plan_lease(client, lease_id) for lease_id in dict.fromkeys(lease_ids)])


def main() -> None:
    """Run the module."""
    run(
        {
            "lease_ids": {"type": "list", "elements": "str", "aliases": ["lease_id"]},
            "prefix": {"type": "str"},
            "force": {"type": "bool", "default": False},
            "state": {"type": "str", "choices": ["absent"], "default": "absent"},
        },
        reconcile,
        required_one_of=[("lease_ids", "prefix")],
        mutually_exclusive=[("lease_ids", "prefix")],
    )


if __name__ == "__main__":
    main()
