# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""NetworkPolicies from a description of the allowed paths."""

from __future__ import annotations

DOCUMENTATION = r"""
name: network_policies
short_description: Make NetworkPolicies from a description of the allowed paths
version_added: 0.1.0
author:
  - onprem.platform contributors (@onprem-platform)
description:
  - Returns for each closed namespace a policy that denies everything, and for each peer in it one that allows its
    paths, with the reasons in an annotation.
positional: _input, namespace
options:
  _input:
    description:
      - The description. C(peers) maps names to C(namespace) and C(labels), to C(addresses), or to C(anyone), and maybe
        to ports at which it C(listens) beside those of its paths. C(paths) has entries C(from), C(to) (names or lists
        of names), C(ports) (such as V(443) or V(53/UDP)) and C(reason). C(closed) lists the namespaces.
      - A peer with addresses may have C(comes_from), networks that its packets have their addresses from when they
        reach pods, and C(tries), addresses of its networks that M(onprem.platform.probe_network) connects to.
      - Peers that mean the same may have several names.
    type: dict
    required: true
  namespace:
    description: Only the policies of this namespace, which must be among the closed ones.
    type: str
    default: ""
seealso:
  - plugin: onprem.platform.network_matrix
    plugin_type: filter
"""

EXAMPLES = r"""
- name: The policies of the shop
  ansible.builtin.set_fact:
    policies: "{{ description | onprem.platform.network_policies }}"
  vars:
    description:
      closed: [shop]
      peers:
        web: {namespace: shop, labels: {app.kubernetes.io/component: web}}
        data: {namespace: shop, labels: {app.kubernetes.io/component: data}}
        gateway: {addresses: [203.0.113.7/32], listens: [80]}
      paths:
        - {from: web, to: data, ports: [3306], reason: orders}
        - {from: web, to: gateway, ports: [443], reason: text messages}
"""

RETURN = r"""
_value:
  description: NetworkPolicy objects.
  type: list
  elements: dict
"""

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ..module_utils._network_paths import NetworkPathsError, network


def network_policies(description: Mapping[str, Any], namespace: str = "") -> list[dict[str, Any]]:
    """See DOCUMENTATION."""
    try:
        return network(description["peers"], description["paths"], description["closed"]).policies(namespace)
    except KeyError as error:
        raise AnsibleFilterError(f"network_policies needs peers, paths and closed; {error} is missing") from error
    except NetworkPathsError as error:
        raise AnsibleFilterError(f"network_policies: {error}") from error


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Any]:
        """The filters of this file."""
        return {"network_policies": network_policies}
