# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge hosts by sections 1 to 4 of the CIS Kubernetes benchmark."""

from __future__ import annotations

DOCUMENTATION = r"""
name: cis_hosts
short_description: Judge hosts by sections 1 to 4 of the CIS Kubernetes benchmark
version_added: 0.1.0
author:
  - onprem.platform contributors (@onprem-platform)
description:
  - Judges the results of M(onprem.platform.cis_benchmark_info) of all hosts under the ids of the profile cis-2.0.
  - Sections 1 to 3 are judged on control planes, section 4 on every host.
  - Beside the profile, C(running.seccomp) and C(running.apparmor) say what the kernel enforces on running containers.
  - As in the profile, a finding under an id that the profile calls manual is C(WARN), under another one C(FAIL).
positional: _input
options:
  _input:
    description: Results of M(onprem.platform.cis_benchmark_info) by inventory host name.
    type: dict
    required: true
  control_planes:
    description: Inventory names of the control planes.
    type: list
    elements: str
    required: true
  workloads:
    description: Workload of each pod by its UID, as M(onprem.platform.cis_policies_info) returns it.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Judge the hosts
  ansible.builtin.debug:
    msg: "{{ facts | onprem.platform.cis_hosts(groups['control_plane'], policies.workloads) }}"
"""

RETURN = r"""
_value:
  description: One judgement for each id and host; see RV(onprem.platform.cis_policies_info#module:results).
  type: list
  elements: dict
"""

from collections.abc import Mapping
from typing import Any

import yaml
from ansible.errors import AnsibleFilterError

from ..plugin_utils._cis_hosts import Host, running_results


def cis_hosts(
    facts: Mapping[str, Mapping[str, Any]], control_planes: list[str], workloads: Mapping[str, str] | None = None
) -> list[dict[str, Any]]:
    """See DOCUMENTATION."""
    if not facts:
        raise AnsibleFilterError("cis_hosts: no hosts; what was not executed is no success")
    try:
        results = [item for host, found in facts.items() for item in Host(host, found, host in control_planes).judge()]
        return results + running_results(facts, workloads or {})
    except (KeyError, TypeError, yaml.YAMLError) as error:
        raise AnsibleFilterError(f"cis_hosts needs results of cis_benchmark_info by host name: {error!r}") from error


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Any]:
        """The filters of this file."""
        return {"cis_hosts": cis_hosts}
