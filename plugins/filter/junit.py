# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test results as JUnit XML."""

from __future__ import annotations

DOCUMENTATION = r"""
name: junit
short_description: Write test results as JUnit XML
version_added: 0.1.0
author:
  - onprem.platform contributors (@onprem-platform)
description:
  - Turns a list of executed cases into the XML that continuous integration servers read.
  - A case that could not be executed has to be in the list as a failure. An empty list is an error, since a report
    without cases would look like success.
positional: _input
options:
  _input:
    description: The cases, each with C(suite), C(name), and optionally C(seconds) and C(failure) (why it failed).
    type: list
    elements: dict
    required: true
  name:
    description: Name of the whole report.
    type: str
    default: onprem.platform
"""

EXAMPLES = r"""
- name: Keep the results for continuous integration
  ansible.builtin.copy:
    content: "{{ cases | onprem.platform.junit(name='admission') }}"
    dest: admission.xml
    mode: "0644"
  vars:
    cases:
      - {suite: image, name: signed image is admitted, seconds: 0.4}
      - {suite: image, name: unsigned image is refused, failure: it was admitted}
"""

RETURN = r"""
_value:
  description: The document.
  type: str
"""

import re
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

from ansible.errors import AnsibleFilterError

# XML 1.0 has no way to write other control characters, and output of programs may have them.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def _text(value: Any) -> str:
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", str(value))


def junit(cases: list[dict[str, Any]], name: str = "onprem.platform") -> str:
    """Return *cases* (dicts with suite, name, seconds, failure) as one ``testsuites`` document.

    Raises AnsibleFilterError when there is no case, or one lacks its name or suite.
    """
    if not cases:
        raise AnsibleFilterError("junit: no cases; what was not executed is no success")
    suites: dict[str, list[dict[str, Any]]] = {}
    for case in cases:
        if not isinstance(case, dict) or not case.get("suite") or not case.get("name"):
            raise AnsibleFilterError(f"junit: a case is a dictionary with suite and name, not {case!r}")
        suites.setdefault(str(case["suite"]), []).append(case)
    root = ElementTree.Element("testsuites", _totals(cases, name))
    for suite, members in suites.items():
        element = ElementTree.SubElement(root, "testsuite", _totals(members, suite))
        for case in members:
            attributes = {
                "classname": f"{_text(name)}.{_text(suite)}",
                "name": _text(case["name"]),
                "time": f"{float(case.get('seconds') or 0):.3f}",
            }
            child = ElementTree.SubElement(element, "testcase", attributes)
            if case.get("failure"):
                message = _text(case["failure"])
                ElementTree.SubElement(child, "failure", {"message": message.splitlines()[0]}).text = message
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _totals(cases: list[dict[str, Any]], name: str) -> dict[str, str]:
    return {
        "name": _text(name),
        "tests": str(len(cases)),
        "failures": str(sum(1 for case in cases if case.get("failure"))),
        "errors": "0",
        "time": f"{sum(float(case.get('seconds') or 0) for case in cases):.3f}",
    }


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"junit": junit}
