# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a network with the allowed paths must look like from within."""

from __future__ import annotations

DOCUMENTATION = r"""
name: network_matrix
short_description: Tell which connections must and must not be possible
version_added: 0.1.0
author:
  - onprem.platform contributors (@onprem-platform)
description:
  - Returns every pair of a peer in a closed namespace and a destination, for each port that the destination is known
    for, with the verdict that a probe must find.
positional: _input
options:
  _input:
    description: The description, as P(onprem.platform.network_policies#filter) takes it.
    type: dict
    required: true
seealso:
  - plugin: onprem.platform.network_policies
    plugin_type: filter
"""

EXAMPLES = r"""
- name: How many connections must be refused?
  ansible.builtin.debug:
    msg: "{{ description | onprem.platform.network_matrix | rejectattr('allowed') | length }}"
  vars:
    description:
      closed: [shop]
      peers:
        web: {namespace: shop, labels: {app.kubernetes.io/component: web}}
        data: {namespace: shop, labels: {app.kubernetes.io/component: data}}
      paths:
        - {from: web, to: data, ports: [3306], reason: orders}
"""

RETURN = r"""
_value:
  description: The pairs.
  type: list
  elements: dict
  contains:
    source: {description: Name of the peer that connects., type: str}
    destination: {description: Name of the peer that is connected to., type: str}
    port: {description: Port number., type: int}
    protocol: {description: TCP or UDP., type: str}
    allowed: {description: Whether the connection must be possible., type: bool}
    reason: {description: Why it must; empty otherwise., type: str}
"""

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ..module_utils._network_paths import NetworkPathsError, network


def network_matrix(description: Mapping[str, Any]) -> list[dict[str, Any]]:
    """See DOCUMENTATION."""
    try:
        pairs = network(description["peers"], description["paths"], description["closed"]).matrix()
    except KeyError as error:
        raise AnsibleFilterError(f"network_matrix needs peers, paths and closed; {error} is missing") from error
    except NetworkPathsError as error:
        raise AnsibleFilterError(f"network_matrix: {error}") from error
    return [pair.as_dict() for pair in pairs]


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Any]:
        """The filters of this file."""
        return {"network_matrix": network_matrix}
