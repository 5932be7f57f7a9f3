#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Manage the settings of Vault's versioned key-value engine."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vault_kv2_config
short_description: Manage the settings of Vault's versioned key-value engine
version_added: 0.1.0
author:
  - onprem.platform contributors (@onprem-platform)
description:
  - Sets what holds for all secrets of one engine. A secret's own metadata, set by
    M(onprem.platform.vault_kv2_secret), goes before it.
  - Only options that are set are compared, and only they are sent.
  - The settings exist as long as the engine does; there is nothing to delete.
extends_documentation_fragment:
  - onprem.platform.attributes
  - onprem.platform.attributes.reconciling
  - onprem.platform.attributes.vault_group
  - onprem.platform.vault
options:
  engine_mount_point:
    description: Path of the engine.
    type: str
    default: kv
    aliases: [mount_path]
  max_versions:
    description: How many versions of a secret are kept; V(0) means Vault's default of ten.
    type: int
  cas_required:
    description: Whether each write must name the version that it replaces.
    type: bool
  delete_version_after:
    description: Age at which a version is deleted, as seconds or for example V(720h); V(0) means never.
    type: str
"""

EXAMPLES = r"""
- name: Nobody overwrites what he has not read
  onprem.platform.vault_kv2_config:
    url: https://vault.example.org:8200
    token: "{{ vault_token }}"
    cas_required: true
    max_versions: 20
"""

RETURN = r"""
objects:
  description: What happened to the engine.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Path of the engine.
      type: str
      sample: kv
    action:
      description: V(updated) or V(unchanged).
      type: str
      sample: updated
    options:
      description: Options that differed.
      type: list
      elements: str
      sample: [cas_required]
"""

from typing import Any

from ..module_utils._vault import VaultModule, run
from ..module_utils._vault_kv2_config import CONFIG_ARGUMENTS, KIND, plan_config
from ..module_utils._vault_objects import carry_out


def reconcile(module: VaultModule) -> dict[str, Any]:
    """Bring the settings about."""
    return carry_out(module, KIND, [plan_config(module.client(), module.params)])


def main() -> None:
    """Run the module."""
    run(CONFIG_ARGUMENTS, reconcile, required_one_of=[("max_versions", "cas_required", "delete_version_after")])


if __name__ == "__main__":
    main()
