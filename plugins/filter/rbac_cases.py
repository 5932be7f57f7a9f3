# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Access rights of a cluster as test cases."""

from __future__ import annotations

DOCUMENTATION = r"""
name: rbac_cases
short_description: Judge who may do what in a cluster
version_added: 0.1.0
author:
  - onprem.platform contributors (@onprem-platform)
description:
  - Returns test cases. Each subject and resource of a review gives one, each snapshot, each account named C(default),
    each role with a wildcard or with C(bind), C(escalate) or C(impersonate), and each workload that mounts a token.
positional: _input
options:
  _input:
    description: What M(onprem.platform.k8s_rbac_info) returns when it gathers everything.
    type: dict
    required: true
  snapshots:
    description: The right contents of the snapshots by file name, see P(onprem.platform.rbac_snapshots#filter).
    type: dict
    required: true
  powerful_roles:
    description:
      - The roles that may be powerful, each with C(role), the C(subjects) that may have it, and the C(reason).
    type: list
    elements: dict
    default: []
  tokens:
    description: The C(workloads) of each C(service_account) that may mount its token, and the C(reason).
    type: list
    elements: dict
    default: []
  foreign_namespaces:
    description: Namespaces whose account C(default) belongs to somebody else, so that it may have its token mounted.
    type: list
    elements: str
    default: []
seealso:
  - plugin: onprem.platform.junit
    plugin_type: filter
"""

EXAMPLES = r"""
- name: What is wrong?
  ansible.builtin.debug:
    msg: "{{ access | onprem.platform.rbac_cases(snapshots={}) | selectattr('failure') }}"
  vars:
    access:
      reviews: []
      service_accounts: []
      users_and_groups: []
      powerful_roles:
        - {role: ClusterRole everything, powers: [wildcard verb], subjects: [User mallory]}
"""

RETURN = r"""
_value:
  description: The cases, as P(onprem.platform.junit#filter) takes them.
  type: list
  elements: dict
  contains:
    suite: {description: What is judged., type: str}
    name: {description: About whom., type: str}
    failure: {description: What is wrong; none if nothing is., type: str}
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ..plugin_utils._access_cases import AccessError, cases


def rbac_cases(
    info: Mapping[str, Any],
    snapshots: Mapping[str, str],
    powerful_roles: list[dict[str, Any]] | None = None,
    tokens: list[dict[str, Any]] | None = None,
    foreign_namespaces: list[str] | None = None,
) -> list[dict[str, Any]]:
    """See DOCUMENTATION."""
    try:
        return cases(info, snapshots, powerful_roles or [], tokens or [], foreign_namespaces or [])
    except AccessError as error:
        raise AnsibleFilterError(f"rbac_cases: {error}") from error


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"rbac_cases": rbac_cases}
