#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Manage auth methods of Vault."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vault_auth_method
short_description: Manage auth methods of Vault
version_added: 0.1.0
author:
  - onprem.platform contributors (@onprem-platform)
description:
  - Enables, tunes and disables auth methods.
  - Whether a method exists, and of which type, is taken from the list of auth methods. The tune endpoint answers for
    the longest prefix and with effective instead of configured values.
  - The token needs C(sudo) on C(sys/auth/<path>) to enable or disable a method.
extends_documentation_fragment:
  - onprem.platform.attributes
  - onprem.platform.attributes.reconciling
  - onprem.platform.attributes.vault_group
  - onprem.platform.vault
  - onprem.platform.vault_mount
options:
  token_type:
    description: Kind of the tokens that the method issues where a role does not say.
    type: str
    choices: [default-service, default-batch, service, batch]
"""

EXAMPLES = r"""
- name: Pods log in with their service account
  onprem.platform.vault_auth_method:
    url: https://vault.example.org:8200
    token: "{{ vault_token }}"
    type: kubernetes
    description: Workloads of the cluster

- name: AppRole with short tokens at a path of its own
  onprem.platform.vault_auth_method:
    url: https://vault.example.org:8200
    token: "{{ vault_token }}"
    path: machines
    type: approle
    default_lease_ttl: 10m
    max_lease_ttl: 1h
"""

RETURN = r"""
objects:
  description: What happened to the auth method.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Path of the auth method.
      type: str
      sample: kubernetes
    action:
      description: V(created), V(updated), V(deleted) or V(unchanged).
      type: str
      sample: created
    options:
      description: Options that differed.
      type: list
      elements: str
      sample: [description]
"""

from typing import Any

from ..module_utils._vault import VaultModule, run
from ..module_utils._vault_mounts import AUTH_METHOD_ARGUMENTS, AUTH_METHOD_KIND, plan_auth_method
from ..module_utils._vault_objects import carry_out


def reconcile(module: VaultModule) -> dict[str, Any]:
    """Bring the auth method about."""
    return carry_out(module, AUTH_METHOD_KIND, [plan_auth_method(module.client(), module.params)])


def main() -> None:
    """Run the module."""
    run(AUTH_METHOD_ARGUMENTS, reconcile)


if __name__ == "__main__":
    main()
