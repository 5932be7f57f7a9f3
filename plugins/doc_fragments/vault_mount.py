# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that secrets engines and auth methods of Vault share."""

from __future__ import annotations


class ModuleDocFragment:
    """The options of ``module_utils/_vault_mounts.py``."""

    DOCUMENTATION = r"""
options:
  path:
    description: Path of the mount. The default is O(type).
    type: str
  type:
    description:
      - Type of the mount. Required for O(state=present).
      - With O(state=absent), a mount of another type is not removed but an error.
    type: str
  description:
    description: Text for people.
    type: str
  default_lease_ttl:
    description: Default lifetime, as seconds or for example V(1h); V(0) and V(system) inherit the server's.
    type: str
  max_lease_ttl:
    description: Longest lifetime; V(0) and V(system) inherit the server's.
    type: str
  listing_visibility:
    description: Whether the mount is listed for requests without a token.
    type: str
    choices: [hidden, unauth]
  audit_non_hmac_request_keys:
    description: Request keys that audit devices show in clear. An empty list clears them.
    type: list
    elements: str
  audit_non_hmac_response_keys:
    description: Response keys that audit devices show in clear. An empty list clears them.
    type: list
    elements: str
  passthrough_request_headers:
    description: Request headers that are passed to the plugin. An empty list clears them.
    type: list
    elements: str
  allowed_response_headers:
    description: Headers that the plugin may set. An empty list clears them.
    type: list
    elements: str
  options:
    description: Options of the type. Only the given keys are compared.
    type: dict
  local:
    description: Whether the mount is left out of replication. Cannot be changed later.
    type: bool
  seal_wrap:
    description: Whether the seal wraps critical values. Cannot be changed later.
    type: bool
  state:
    description: Whether the mount exists. Removing it removes all it holds.
    type: str
    choices: [present, absent]
    default: present
"""
