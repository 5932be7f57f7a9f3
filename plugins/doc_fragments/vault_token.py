# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of the tokens that roles of Vault's auth methods issue."""

from __future__ import annotations


class ModuleDocFragment:
    """The options of ``module_utils/_vault_token_fields.py``."""

    DOCUMENTATION = r"""
options:
  token_policies:
    description: Policies of the tokens.
    type: list
    elements: str
  token_ttl:
    description: Lifetime of the tokens, as seconds or for example V(1h).
    type: str
  token_max_ttl:
    description: Longest lifetime after renewals.
    type: str
  token_explicit_max_ttl:
    description: Longest lifetime that no setting can prolong.
    type: str
  token_period:
    description: Period of periodic tokens.
    type: str
  token_num_uses:
    description: How often a token may be used; V(0) means without limit.
    type: int
  token_type:
    description: Kind of the tokens.
    type: str
    choices: [default, service, batch, default-service, default-batch]
  token_bound_cidrs:
    description: Addresses that may use the tokens.
    type: list
    elements: str
  token_no_default_policy:
    description: Whether the tokens go without the policy V(default).
    type: bool
"""
