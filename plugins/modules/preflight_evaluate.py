#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight_evaluate
short_description: Judge all hosts together before anything is changed
version_added: 0.1.0
description:
  - Runs all checks over what M(onprem.platform.host_preflight) read of every host, over the inventory's variables and
    over the bundle, prints everything that was found in one table, writes a report, and fails when there are errors.
  - Runs on the controller; use it with C(run_once).
author:
  - onprem.platform contributors (@onprem-platform)
options:
  hosts:
    description: Names of all hosts.
    type: list
    elements: str
    required: true
  control_planes:
    description: Names of all control planes of the inventory.
    type: list
    elements: str
    required: true
  facts_variable:
    description: Name under which the result of the phase V(gather) was registered on each host.
    type: str
    default: __preflight_facts
  mesh_variable:
    description: Name under which the result of the phase V(mesh) was registered on each host.
    type: str
    default: __preflight_mesh
  settings:
    description: Thresholds and settings to check against, as the role preflight gives them.
    type: dict
    required: true
  skip:
    description: Names of checks to leave out.
    type: list
    elements: str
    default: []
  report:
    description: File on the controller for the report in JSON.
    type: path
extends_documentation_fragment:
  - onprem.platform.attributes
  - onprem.platform.attributes.info
notes:
  - The report is written in check mode too.
"""

EXAMPLES = r"""
- name: Judge all hosts together
  onprem.platform.preflight_evaluate:
    hosts: "{{ ansible_play_hosts_all }}"
    control_planes: "{{ groups['control_plane'] }}"
    settings: "{{ _preflight_settings }}"
    skip: [firewall]
    report: ~/preflight.json
  run_once: true
"""

RETURN = r"""
findings:
  description: What is not as needed. When there are errors, it is in the table and the report only.
  returned: success
  type: list
  elements: dict
  contains:
    host:
      description: Host or hosts, separated by spaces.
      type: str
    check:
      description: Name of the check.
      type: str
    found:
      description: What was found.
      type: str
    wanted:
      description: What is wanted.
      type: str
    fix:
      description: How to get there.
      type: str
    severity:
      description: V(error) or V(warning).
      type: str
not_run:
  description: What could not be checked, and why.
  returned: always
  type: list
  elements: str
report:
  description: Path of the report.
  returned: when it was written
  type: str
"""
