# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put results of a benchmark and the waivers together."""

from __future__ import annotations

DOCUMENTATION = r"""
name: cis_report
short_description: Put results of a benchmark and the waivers together
version_added: 0.1.0
author:
  - onprem.platform contributors (@onprem-platform)
description:
  - Results that a waiver explains become C(WAIVED), with its reason. Waivers that explain nothing, and those that have
    expired, are named. An expired waiver explains nothing, and is a failed case.
positional: _input
options:
  _input:
    description: Results of P(onprem.platform.cis_hosts#filter), M(onprem.platform.cis_policies_info) and others.
    type: list
    elements: dict
    required: true
  waivers:
    description:
      - Entries with C(id), C(reason), and optionally C(hosts) (names, patterns or groups), C(objects) (names or
        patterns of single objects) and C(expires) (the last day, such as V(2027-03-31)).
    type: list
    elements: dict
    required: true
  groups:
    description: The inventory's groups, so that waivers can name them.
    type: dict
    default: {}
  today:
    description: The day that counts, such as V(2026-12-01). The default is today, by UTC.
    type: str
    default: ''
"""

EXAMPLES = r"""
- name: Judge, and say what is left
  ansible.builtin.debug:
    msg: "{{ (results | onprem.platform.cis_report(waivers, groups)).lines }}"
"""

RETURN = r"""
_value:
  description: The report.
  type: dict
  contains:
    results: {description: 'The results, with the reasons of their waivers.', type: list, elements: dict}
    summary: {description: How many results have each status., type: dict}
    cases: {description: Cases for P(onprem.platform.junit#filter)., type: list, elements: dict}
    lines: {description: What people should read., type: list, elements: str}
    unneeded_waivers: {description: Waivers that explain nothing., type: list, elements: dict}
    expired_waivers: {description: Waivers whose day is over., type: list, elements: dict}
"""

from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ..plugin_utils._cis_report import ReportError, apply_waivers


def cis_report(
    results: list[dict[str, Any]],
    waivers: list[dict[str, Any]],
    groups: Mapping[str, list[str]] | None = None,
    today: str = "",
) -> dict[str, Any]:
    """See DOCUMENTATION."""
    if not results:
        raise AnsibleFilterError("cis_report: no results; what was not executed is no success")
    try:
        return apply_waivers(results, waivers, groups, today)
    except (ReportError, KeyError, TypeError) as error:
        raise AnsibleFilterError(f"cis_report: {error}") from error


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Any]:
        """The filters of this file."""
        return {"cis_report": cis_report}
