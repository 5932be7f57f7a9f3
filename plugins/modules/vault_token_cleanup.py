#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Revoke Vault tokens that nobody should have any more."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vault_token_cleanup
short_description: Revoke Vault tokens that nobody should have any more
version_added: 0.1.0
author:
  - onprem.platform contributors (@onprem-platform)
description:
  - Finds tokens by policy, name, origin and age, and revokes them by their accessors, with all tokens that were made by
    them and all leases. No token is ever seen.
  - A token has to meet all conditions that are set. In check mode they are only found, which serves as a report.
  - The token of this module itself is left alone, and so are root tokens, which M(onprem.platform.vault_root_token)
    revokes. Batch tokens have no accessor, so that nobody can find them.
  - Vault removes tokens at the end of their life itself. This module is for those that live too long.
  - Asks once for each living token. Needs C(sudo) and C(list) on C(auth/token/accessors), and C(update) on
    C(auth/token/lookup-accessor) and C(auth/token/revoke-accessor).
extends_documentation_fragment:
  - onprem.platform.attributes
  - onprem.platform.attributes.vault_group
  - onprem.platform.vault
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: Shows accessors, never tokens.
  idempotent:
    support: full
options:
  policies:
    description: Tokens that have one of these policies, themselves or by their entity.
    type: list
    elements: str
  display_names:
    description: Tokens whose display name is like one of these patterns, such as V(token-pipeline-*).
    type: list
    elements: str
  paths:
    description: Tokens that were issued at a path like one of these patterns, such as V(auth/approle/login).
    type: list
    elements: str
  older_than:
    description:
      - Tokens that were issued longer ago, as seconds or for example V(30d), however often they were renewed since.
      - Compared with the clock of the host that runs the module.
    type: str
  keep_accessors:
    description: Accessors of tokens that stay in any case.
    type: list
    elements: str
    default: []
  state:
    description: The tokens do not exist.
    type: str
    choices: [absent]
    default: absent
"""

EXAMPLES = r"""
- name: Nobody works with a token of last month
  onprem.platform.vault_token_cleanup:
    url: https://vault.example.org:8200
    token: "{{ vault_token }}"
    paths: [auth/userpass/login/*, auth/token/create]
    older_than: 30d

- name: The scanner was taken out of service
  onprem.platform.vault_token_cleanup:
    url: https://vault.example.org:8200
    token: "{{ vault_token }}"
    policies: [scanner]
"""

RETURN = r"""
objects:
  description: What happened to each token that was found.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Accessor of the token.
      type: str
      sample: 8Zqm05iujh8IZRHB1x2n7wis
    action:
      description: V(deleted), V(failed) or V(not_attempted).
      type: str
      sample: deleted
    options:
      description: Always empty.
      type: list
      elements: str
      sample: []
    display_name:
      description: Name of the token.
      type: str
      sample: token-pipeline
    path:
      description: Path that issued it.
      type: str
      sample: auth/token/create
    policies:
      description: Policies that it had, itself or by its entity.
      type: list
      elements: str
      sample: [default, pipeline]
    issue_time:
      description: When it was issued (RFC 3339).
      type: str
      sample: "2026-11-21T22:51:41.757856801Z"
    expire_time:
      description: When it would have ended; null for never.
      type: str
      sample: "2026-11-21T23:51:41.757855098Z"
    error:
      description: Why the revocation failed.
      type: str
      returned: on failure
      sample: Permission denied on auth/token/revoke-accessor.
"""

import time
from typing import Any

from ..module_utils._compare import seconds
from ..module_utils._vault import VaultModule, run
from ..module_utils._vault_errors import VaultConfigurationError, VaultTokenRejected
from ..module_utils._vault_objects import carry_out
from ..module_utils._vault_tokens import KIND, Wanted, living_tokens, own_token, plan_revocation, policies_of


def reconcile(module: VaultModule) -> dict[str, Any]:
    """Find the tokens that are meant, and revoke them."""
    params = module.params
    age = None if params["older_than"] is None else seconds(params["older_than"])
    if age is not None and age <= 0:
        raise VaultConfigurationError("older_than must be more than 0 seconds.")
    wanted = Wanted(params["policies"], params["display_names"], params["paths"], age)
    client = module.client()
    own = own_token(client)
    if own is None:
        raise VaultTokenRejected("The login of this module is not valid, or may not look itself up.")
    now = time.time()
    found = [
        token
        for token in living_tokens(client, str(own["accessor"]), *params["keep_accessors"])
        if wanted.includes(token, now) and "root" not in policies_of(token)
    ]
    return carry_out(module, KIND, [plan_revocation(client, token) for token in found])


def main() -> None:
    """Run the module."""
    texts = {"type": "list", "elements": "str"}
    run(
        {
            "policies": texts,
            "display_names": texts,
            "paths": texts,
            "older_than": {"type": "str"},
            "keep_accessors": {**texts, "default": []},
            "state": {"type": "str", "choices": ["absent"], "default": "absent"},
        },
        reconcile,
        required_one_of=[("policies", "display_names", "paths", "older_than")],
    )


if __name__ == "__main__":
    main()
