#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Log in to Vault and return a token."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vault_login
short_description: Log in to Vault and return a token
version_added: 0.1.0
author:
  - onprem.platform contributors (@onprem-platform)
description:
  - Logs in once, so that the following modules can share one token through C(module_defaults).
  - Use C(no_log) on the task, because the result holds the token.
  - A login changes nothing that is managed, so the module never reports a change, and it logs in in check mode too.
extends_documentation_fragment:
  - onprem.platform.attributes
  - onprem.platform.attributes.vault_group
  - onprem.platform.vault
attributes:
  check_mode:
    support: full
    details: Logs in as well, because the following tasks need the token to read.
  diff_mode:
    support: N/A
    details: Nothing that is managed changes.
  idempotent:
    support: N/A
    details: Each run issues a token.
"""

EXAMPLES = r"""
- name: Log in with a service account token of ten minutes
  onprem.platform.vault_login:
    url: https://vault-0.vault-internal:8200
    ca_cert: /etc/ssl/platform-ca.pem
    kubernetes_port_forward:
      namespace: vault
    auth_method: kubernetes
    role: ansible
    kubernetes_token_request:
      namespace: vault
      service_account: ansible
  register: vault_session
  no_log: true

- name: Use the token
  onprem.platform.vault_policy:
    url: https://vault-0.vault-internal:8200
    ca_cert: /etc/ssl/platform-ca.pem
    kubernetes_port_forward:
      namespace: vault
    token: "{{ vault_session.login.token }}"
    name: reader
    policy: path "kv/data/*" { capabilities = ["read"] }
"""

RETURN = r"""
login:
  description: The token and what it may do.
  returned: always
  type: dict
  contains:
    token:
      description: The token.
      type: str
      sample: hvs.CAESI...
    accessor:
      description: Its accessor, which can be shown and used to revoke it.
      type: str
      sample: 0Cq4UZxYpQ7LKXT9p1kzK5CZ
    policies:
      description: Its policies.
      type: list
      elements: str
      sample: [ansible, default]
    lease_duration:
      description: Seconds until it expires; 0 means never.
      type: int
      sample: 600
    renewable:
      description: Whether it can be renewed.
      type: bool
      sample: true
"""

from typing import Any

from ..module_utils._vault import VaultModule, run
from ..module_utils._vault_errors import VaultConfigurationError


def reconcile(module: VaultModule) -> dict[str, Any]:
    """Log in and describe the token."""
    if module.params["auth_method"] == "none":
        raise VaultConfigurationError("auth_method=none is no login.")
    client = module.client()
    auth = client.auth
    if not auth:
        looked_up = client.read("auth/token/lookup-self") or {}
        auth = {**looked_up, "lease_duration": looked_up.get("ttl"), "accessor": looked_up.get("accessor")}
    login = {
        "token": client.token,
        "accessor": auth.get("accessor") or "",
        "policies": auth.get("policies") or [],
        "lease_duration": auth.get("lease_duration") or 0,
        "renewable": bool(auth.get("renewable")),
    }
    return {"changed": False, "login": login}


def main() -> None:
    """Run the module."""
    run({}, reconcile)


if __name__ == "__main__":
    main()
