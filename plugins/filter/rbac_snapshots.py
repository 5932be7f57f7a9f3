# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What everybody may do in a cluster, as files for a repository."""

from __future__ import annotations

DOCUMENTATION = r"""
name: rbac_snapshots
short_description: Write what everybody may do in a cluster as files
version_added: 0.1.0
author:
  - onprem.platform contributors (@onprem-platform)
description:
  - Returns one YAML text for each service account, with its bindings and everything that they allow, and one for the
    users and groups.
  - Left out are the accounts of Kubernetes' own controllers, whose bindings the API server itself keeps, and the
    accounts named C(default), which have to have no rights at all.
positional: _input
options:
  _input:
    description:
      - What M(onprem.platform.k8s_rbac_info) returns when it gathers C(service_accounts) and C(users_and_groups).
    type: dict
    required: true
seealso:
  - plugin: onprem.platform.rbac_cases
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Show what the application may do
  ansible.builtin.debug:
    msg: "{{ (access | onprem.platform.rbac_snapshots)['shop_web.yml'] }}"
  vars:
    access:
      service_accounts:
        - namespace: shop
          name: web
          built_in: false
          bindings: [RoleBinding shop/web -> Role shop/web]
          permissions: {cluster: {}, namespaces: {shop: {pods: [get, list]}}}
      users_and_groups: []
"""

RETURN = r"""
_value:
  description: File name, C(NAMESPACE_NAME.yml) or C(users_and_groups.yml), to text.
  type: dict
"""

from collections.abc import Callable
from typing import Any

from ..plugin_utils._access_cases import snapshots


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"rbac_snapshots": snapshots}
