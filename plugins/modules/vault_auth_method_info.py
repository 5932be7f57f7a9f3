#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""List auth methods of Vault."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vault_auth_method_info
short_description: List auth methods of Vault
version_added: 0.1.0
author:
  - onprem.platform contributors (@onprem-platform)
description:
  - Returns the configured auth methods, as M(onprem.platform.vault_auth_method) compares them.
extends_documentation_fragment:
  - onprem.platform.attributes
  - onprem.platform.attributes.info
  - onprem.platform.attributes.vault_group
  - onprem.platform.vault
options:
  path:
    description: Return only the one at this path.
    type: str
"""

EXAMPLES = r"""
- name: What is mounted
  onprem.platform.vault_auth_method_info:
    url: https://vault.example.org:8200
    token: "{{ vault_token }}"
  register: mounted
"""

RETURN = r"""
objects:
  description: The auth methods; empty when O(path) names none.
  returned: always
  type: list
  elements: dict
  contains:
    path:
      description: Path without a trailing slash.
      type: str
      sample: kubernetes
    type:
      description: Type.
      type: str
      sample: kubernetes
    description:
      description: Text for people.
      type: str
      sample: ""
    accessor:
      description: Accessor.
      type: str
      sample: kubernetes_1a2b3c4d
    local:
      description: Whether it is left out of replication.
      type: bool
      sample: false
    seal_wrap:
      description: Whether the seal wraps critical values.
      type: bool
      sample: false
    options:
      description: Options of the type.
      type: dict
      sample: {}
    config:
      description: Configured settings; a lifetime of 0 inherits the server's.
      type: dict
      sample: {default_lease_ttl: 0, max_lease_ttl: 3600}
"""

from typing import Any

from ..module_utils._vault import VaultModule, run
from ..module_utils._vault_mounts import list_mounts


def reconcile(module: VaultModule) -> dict[str, Any]:
    """Read the list."""
    return {"changed": False, "objects": list_mounts(module.client(), "sys/auth", module.params["path"])}


def main() -> None:
    """Run the module."""
    run({"path": {"type": "str"}}, reconcile)


if __name__ == "__main__":
    main()
