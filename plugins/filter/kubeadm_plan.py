# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge the state of all nodes of a kubeadm cluster together."""

from __future__ import annotations

DOCUMENTATION = r"""
name: kubeadm_plan
short_description: Judge the state of all nodes of a kubeadm cluster together
version_added: 0.1.0
author:
  - onprem.platform contributors (@onprem-platform)
description:
  - Puts the results of M(onprem.platform.kubeadm_info) of all hosts together and says for each node its state, what to
    do and why, and where a cluster begins.
  - States are V(absent), V(joined), V(joined-notready), V(partial), V(ghost), V(foreign) and V(drifted).
  - Actions are V(none), V(init), V(resume-init), V(join), V(reset-join), V(wait), V(reconfigure) and V(stop).
  - The first control plane is one whose API answers. Only when no API answers and no host holds etcd data, one is
    chosen to be initialised. Whatever must not go on is listed in RV(_value.errors).
positional: _input
options:
  _input:
    description: Results of M(onprem.platform.kubeadm_info) by inventory host name.
    type: dict
    required: true
  control_planes:
    description: Inventory names of the control planes, in order.
    type: list
    elements: str
    required: true
  workers:
    description: Inventory names of the workers.
    type: list
    elements: str
    default: []
  desired:
    description:
      - Wanted documents under the names C(cluster_configuration), C(kubelet_configuration) and
        C(kube_proxy_configuration), and C(configuration), the checksum of the files that the API server reads at its
        start. A node that differs is V(drifted).
    type: dict
    default: {}
  allow_reset_foreign:
    description: Plan to wipe hosts that belong to another cluster instead of stopping.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Decide what each node needs
  ansible.builtin.set_fact:
    kubeadm_plan: >-
      {{ kubeadm_facts
         | onprem.platform.kubeadm_plan(control_planes=groups['control_plane'], workers=groups['worker']) }}
"""

RETURN = r"""
_value:
  description: The plan.
  type: dict
  contains:
    exists: {description: Whether a cluster answers., type: bool}
    first: {description: Host where commands for the whole cluster run., type: str}
    view_host: {description: Host whose answers were used; empty when no API answers., type: str}
    ca_certificate: {description: Authority of the cluster (PEM); empty when there is none yet., type: str}
    ca_host: {description: Host that holds the authority's key; empty when there is none yet., type: str}
    stale_credentials: {description: Whether join credentials of a run that was killed are left., type: bool}
    nodes: {description: 'By host: host, name, role, state, action, reasons.', type: dict}
    join: {description: Hosts to join., type: list, elements: str}
    join_control_planes: {description: Control planes to join., type: list, elements: str}
    join_workers: {description: Workers to join., type: list, elements: str}
    reset: {description: Hosts to reset before., type: list, elements: str}
    remove_members: {description: Names of etcd members to remove before., type: list, elements: str}
    remove_nodes: {description: Names of Node objects to delete before., type: list, elements: str}
    reconfigure: {description: Joined hosts whose configuration differs., type: list, elements: str}
    unmanaged: {description: Nodes and members that the inventory does not know., type: list, elements: str}
    differences: {description: 'By document: where it differs.', type: dict}
    errors: {description: What must be solved first., type: list, elements: str}
    summary: {description: One line per node., type: list, elements: str}
"""

from collections.abc import Mapping
from typing import Any

import yaml
from ansible.errors import AnsibleFilterError

from ..module_utils._kubeadm_plan import make_plan

DOCUMENTS = ("cluster_configuration", "kubelet_configuration", "kube_proxy_configuration")


def _decoded(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Facts of one host with the cluster's documents decoded."""
    facts = {**facts, "kubelet_configuration": yaml.safe_load(facts.get("kubelet_configuration") or "") or {}}
    if not facts.get("cluster"):
        return facts
    documents = {name: yaml.safe_load(facts["cluster"][name]) or {} for name in DOCUMENTS}
    return {**facts, "cluster": {**facts["cluster"], **documents}}


def kubeadm_plan(
    facts: Mapping[str, Mapping[str, Any]],
    control_planes: list[str],
    workers: list[str] | None = None,
    desired: Mapping[str, Any] | None = None,
    allow_reset_foreign: bool = False,
) -> dict[str, Any]:
    """See DOCUMENTATION."""
    try:
        decoded = {host: _decoded(found) for host, found in facts.items()}
        return make_plan(decoded, list(control_planes), list(workers or []), desired, allow_reset_foreign).result()
    except (KeyError, TypeError, yaml.YAMLError) as error:
        raise AnsibleFilterError(f"kubeadm_plan needs the results of kubeadm_info by host name: {error!r}") from error


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Any]:
        """The filters of this file."""
        return {"kubeadm_plan": kubeadm_plan}
