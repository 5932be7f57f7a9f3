#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Configure Vault's Kubernetes auth method."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vault_kubernetes_auth_config
short_description: Configure Vault's Kubernetes auth method
version_added: 0.1.0
author:
  - onprem.platform contributors (@onprem-platform)
description:
  - Sets how a Kubernetes auth method reaches the API server that reviews tokens.
  - Vault replaces the whole configuration with each write. This module therefore sends every field, with the stored
    value where an option is not set. The reviewer token is the exception, because Vault never returns it; a change
    that would drop a stored one is refused unless O(token_reviewer_jwt) is given.
  - Vault has no way to remove the configuration but to disable the auth method.
extends_documentation_fragment:
  - onprem.platform.attributes
  - onprem.platform.attributes.vault_group
  - onprem.platform.vault
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: The reviewer token is shown as hidden.
  idempotent:
    support: partial
    details: Not with O(update_jwt=always), because a stored reviewer token cannot be compared.
options:
  auth_path:
    description: Path of the auth method.
    type: str
    default: kubernetes
    aliases: [engine_mount_point]
  kubernetes_host:
    description: Address of the API server. Required for the first configuration.
    type: str
  kubernetes_ca_cert:
    description:
      - PEM text of the API server's authority.
      - An empty text lets Vault use the one of its own pod.
    type: str
  token_reviewer_jwt:
    description:
      - Service account token for the TokenReview API.
      - Leave it out where Vault runs in the cluster; Vault then uses the token of its own pod, which Kubernetes renews.
      - An empty text drops a stored one.
    type: str
  update_jwt:
    description:
      - When a given O(token_reviewer_jwt) is sent to a configuration that has one.
      - V(on_create) sends it only if none is stored, or along with another change.
    type: str
    choices: [on_create, always]
    default: on_create
  pem_keys:
    description: Public keys or certificates that verify service account tokens without the TokenReview API.
    type: list
    elements: str
  issuer:
    description: Issuer of the tokens. Without effect while O(disable_iss_validation) is on.
    type: str
  disable_iss_validation:
    description: Whether the issuer is left unchecked. The API server checks it itself.
    type: bool
  disable_local_ca_jwt:
    description: Whether Vault leaves the certificate and the token of its own pod unused.
    type: bool
  use_annotations_as_alias_metadata:
    description: Whether annotations of the service account become metadata of the alias. Vault 1.16 and later.
    type: bool
"""

EXAMPLES = r"""
- name: Vault runs in the cluster whose tokens it reviews
  onprem.platform.vault_kubernetes_auth_config:
    url: https://vault.example.org:8200
    token: "{{ vault_token }}"
    kubernetes_host: https://kubernetes.default.svc:443

- name: Vault reviews tokens of a cluster elsewhere
  onprem.platform.vault_kubernetes_auth_config:
    url: https://vault.example.org:8200
    token: "{{ vault_token }}"
    auth_path: kubernetes-elsewhere
    kubernetes_host: https://api.example.org:6443
    kubernetes_ca_cert: "{{ cluster_authority }}"
    token_reviewer_jwt: "{{ reviewer_token }}"
    disable_local_ca_jwt: true
"""

RETURN = r"""
objects:
  description: What happened to the configuration.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Path of the auth method.
      type: str
      sample: kubernetes
    action:
      description: V(created), V(updated) or V(unchanged).
      type: str
      sample: updated
    options:
      description: Options that differed.
      type: list
      elements: str
      sample: [kubernetes_host]
"""

from typing import Any

from ..module_utils._vault import VaultModule, run
from ..module_utils._vault_kubernetes import AUTH_CONFIG_ARGUMENTS, CONFIG_KIND, plan_auth_config
from ..module_utils._vault_objects import carry_out


def reconcile(module: VaultModule) -> dict[str, Any]:
    """Bring the configuration about."""
    return carry_out(module, CONFIG_KIND, [plan_auth_config(module.client(), module.params)])


def main() -> None:
    """Run the module."""
    run(AUTH_CONFIG_ARGUMENTS, reconcile)


if __name__ == "__main__":
    main()
