# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attributes that modules declare: a module states only its own support and details."""

from __future__ import annotations


class ModuleDocFragment:
    """Descriptions of the attributes, and what members of an action group share."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying the target.
  diff_mode:
    description: Will return details on what has changed (or would change in C(check_mode)), when in diff mode.
  idempotent:
    description: When run twice in a row outside check mode with the same arguments, the second run reports no change.
"""

    RECONCILING = r"""
options: {}
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
"""

    INFO = r"""
options: {}
attributes:
  check_mode:
    support: full
    details: The module only reads.
  diff_mode:
    support: N/A
    details: The module only reads.
  idempotent:
    support: full
    details: The module only reads.
"""

    # not VAULT: Ansible would take attributes.vault for the fragment file vault.py
    VAULT_GROUP = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/onprem.platform.vault) in C(module_defaults) to set the connection of all these modules.
    support: full
    membership:
      - onprem.platform.vault
"""

    K8S = r"""
options: {}
attributes:
  action_group:
    description: Use C(group/onprem.platform.k8s) in C(module_defaults) to set the connection of all these modules.
    support: full
    membership:
      - onprem.platform.k8s
"""
