#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Revoke a Vault root token and prove that it is dead."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vault_root_token
short_description: Revoke a Vault root token and prove that it is dead
version_added: 0.1.0
author:
  - onprem.platform contributors (@onprem-platform)
description:
  - Logs in first as the identity that stays, and looks its token up. Only then the root token is revoked, so that
    nobody is locked out by it.
  - Afterwards the root token is tried; Vault must refuse it.
  - A root token that Vault does not know any more counts as revoked.
  - Other root tokens are looked for with the login that stays, which needs C(sudo) on C(auth/token/accessors).
  - A new root token can be made at any time by a quorum of unseal keys (C(vault operator generate-root)).
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
  root_token:
    description: The root token that shall be dead.
    type: str
  key_file:
    description:
      - Key file of M(onprem.platform.vault_init), in place of O(root_token).
      - The dead token is removed from it. A key file without a root token means that nothing is left to revoke.
    type: path
  without_successor:
    description:
      - Whether the token may be revoked although no other login is given (O(auth_method=none)).
      - Only a quorum of unseal keys gives access again then.
    type: bool
    default: false
  other_root_tokens:
    description:
      - What to do about further root tokens. V(report) returns their accessors, V(revoke) revokes them, V(ignore) does
        not look for them.
    type: str
    choices: [report, revoke, ignore]
    default: ignore
"""

EXAMPLES = r"""
- name: No root token is left after the set-up
  onprem.platform.vault_root_token:
    url: https://vault.example.org:8200
    auth_method: approle
    role_id: "{{ role_id }}"
    secret_id: "{{ secret_id }}"
    key_file: ~/vault/keys.json
    other_root_tokens: revoke
"""

RETURN = r"""
revoked:
  description: Whether the root token was alive before. In check mode, whether it is.
  returned: always
  type: bool
  sample: true
other_root_tokens:
  description: Accessors of further root tokens; with V(revoke) those that were revoked.
  returned: unless O(other_root_tokens=ignore)
  type: list
  elements: str
  sample: []
"""

from typing import Any

from ..module_utils._vault import VaultClient, VaultModule, run
from ..module_utils._vault_errors import (
    VaultConfigurationError,
    VaultError,
    VaultTokenRejected,
)
from ..module_utils._vault_key_file import KeyFile
from ..module_utils._vault_tokens import living_tokens, own_token, policies_of, revoke_token


def successor(module: VaultModule, root_token: str | None) -> VaultClient | None:
    """Return a client of the identity that stays, proved alive.

    Raises VaultError when there is none although one is demanded.
    """
    if module.params["auth_method"] == "none":
        if not module.params["without_successor"]:
            raise VaultConfigurationError(
                "No login is given that stays when the root token is gone.",
                hint="Set auth_method, or without_successor=true to go without.",
            )
        return None
    client = module.client()
    if client.token == root_token:
        raise VaultConfigurationError("The login that stays is the root token itself.", hint="Set auth_method.")
    if not client.auth and own_token(client) is None:
        raise VaultTokenRejected("The login that stays is not valid; the root token was left alive.")
    return client


def revoke(root: VaultClient) -> None:
    """Revoke the client's token and try it once more.

    Raises VaultError when Vault still accepts it.
    """
    root.write("auth/token/revoke-self")
    if own_token(root) is not None:
        raise VaultError("Vault still accepts the root token after it was revoked.")


def reconcile(module: VaultModule) -> dict[str, Any]:
    """Revoke the root token if it lives."""
    params = module.params
    file = KeyFile(params["key_file"]) if params["key_file"] else None
    content = (file.read() or {}) if file else {}
    token = params["root_token"] or content.get("root_token")
    if content.get("root_token_encrypted") and not params["root_token"]:
        raise VaultConfigurationError("The root token in the key file is encrypted.", hint="Give it as root_token.")
    result: dict[str, Any] = {"changed": False, "revoked": False, "diff": []}
    stays = successor(module, token) if token or params["other_root_tokens"] != "ignore" else None
    known = None
    if token:
        module.no_log_values.add(token)
        root = module.client(login=False)
        root.token = token
        known = own_token(root)
        if known and "root" not in (known.get("policies") or []):
            raise VaultConfigurationError("The given token is no root token.")
        if known and not module.check_mode:
            revoke(root)
        if file and content.get("root_token"):
            result["changed"] = True
            if not module.check_mode:
                file.store({key: value for key, value in content.items() if key != "root_token"})
    accessor = str(known["accessor"]) if known else ""
    before = [accessor] if accessor else []
    if params["other_root_tokens"] != "ignore":
        if stays is None:
            raise VaultConfigurationError("Looking for other root tokens needs a login.", hint="Set auth_method.")
        others = [item["accessor"] for item in living_tokens(stays, accessor) if "root" in policies_of(item)]
        result["other_root_tokens"] = others
        if params["other_root_tokens"] == "revoke":
            before += others
            for other in others if not module.check_mode else []:
                revoke_token(stays, other)
    if before:
        header = "accessors of root tokens"
        result["diff"] = [{"before_header": header, "before": before, "after_header": header, "after": []}]
    result["revoked"] = bool(known)
    result["changed"] = result["changed"] or bool(before)
    return result


def main() -> None:
    """Run the module."""
    run(
        {
            "root_token": {"type": "str", "no_log": True},
            "key_file": {"type": "path", "no_log": False},
            "without_successor": {"type": "bool", "default": False},
            "other_root_tokens": {
                "type": "str",
                "choices": ["report", "revoke", "ignore"],
                "default": "ignore",
                "no_log": False,
            },
        },
        reconcile,
        required_one_of=[("root_token", "key_file")],
        mutually_exclusive=[("root_token", "key_file")],
    )


if __name__ == "__main__":
    main()
