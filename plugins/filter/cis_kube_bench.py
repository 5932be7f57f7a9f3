# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the JSON of kube-bench."""

from __future__ import annotations

DOCUMENTATION = r"""
name: cis_kube_bench
short_description: Read the JSON of kube-bench
version_added: 0.1.0
author:
  - onprem.platform contributors (@onprem-platform)
description:
  - Turns what C(kube-bench run --json) prints into results for P(onprem.platform.cis_report#filter), so that the same
    waivers hold.
positional: _input
options:
  _input:
    description: The decoded JSON.
    type: raw
    required: true
  host:
    description: Name of the host where kube-bench ran.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Read a result
  ansible.builtin.debug:
    msg: "{{ lookup('ansible.builtin.file', 'cp1.json') | from_json | onprem.platform.cis_kube_bench('cp1') }}"
"""

RETURN = r"""
_value:
  description: One judgement for each id; see RV(onprem.platform.cis_policies_info#module:results).
  type: list
  elements: dict
"""

from typing import Any

from ansible.errors import AnsibleFilterError

from ..plugin_utils._cis_report import ReportError, kube_bench_results


def cis_kube_bench(document: Any, host: str) -> list[dict[str, Any]]:
    """See DOCUMENTATION."""
    try:
        return kube_bench_results(document, host)
    except ReportError as error:
        raise AnsibleFilterError(f"cis_kube_bench: {host}: {error}") from error


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Any]:
        """The filters of this file."""
        return {"cis_kube_bench": cis_kube_bench}
