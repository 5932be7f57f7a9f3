#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read ACL policies of Vault."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vault_policy_info
short_description: Read ACL policies of Vault
version_added: 0.1.0
author:
  - onprem.platform contributors (@onprem-platform)
description:
  - Returns the names of all policies, or names and texts of those that are asked for.
extends_documentation_fragment:
  - onprem.platform.attributes
  - onprem.platform.attributes.info
  - onprem.platform.attributes.vault_group
  - onprem.platform.vault
options:
  names:
    description: Policies whose texts are wanted. Without it, all names are listed.
    type: list
    elements: str
"""

EXAMPLES = r"""
- name: All names
  onprem.platform.vault_policy_info:
    url: https://vault.example.org:8200
    token: "{{ vault_token }}"

- name: Two texts
  onprem.platform.vault_policy_info:
    url: https://vault.example.org:8200
    token: "{{ vault_token }}"
    names: [default, shop]
"""

RETURN = r"""
names:
  description: Names of all policies, or of those asked for that exist.
  returned: always
  type: list
  elements: str
  sample: [default, root, shop]
objects:
  description: The policies that were asked for and exist.
  returned: with O(names)
  type: list
  elements: dict
  contains:
    name:
      description: Name.
      type: str
      sample: shop
    policy:
      description: Text.
      type: str
      sample: path "kv/data/shop" { capabilities = ["read"] }
"""

from typing import Any

from ..module_utils._vault import VaultModule, run
from ..module_utils._vault_listing import list_or_read


def reconcile(module: VaultModule) -> dict[str, Any]:
    """Read the policies."""
    result = list_or_read(module.client(), "sys/policies/acl", module.params["names"])
    if "objects" in result:  # some servers tell more than the text
        result["objects"] = [{key: policy[key] for key in ("name", "policy")} for policy in result["objects"]]
    return result


def main() -> None:
    """Run the module."""
    run({"names": {"type": "list", "elements": "str"}}, reconcile)


if __name__ == "__main__":
    main()
