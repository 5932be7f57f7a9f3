# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The JUnit writer, read back by the parser of the standard library."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.onprem.platform.plugins.filter.junit import FilterModule, junit

CASES = [
    {"suite": "image", "name": "signed", "seconds": 0.25},
    {"suite": "image", "name": "unsigned", "seconds": 0.5, "failure": "admitted <all>\nsecond line \x1b[0m"},
    {"suite": "network", "name": "a & b"},
]


def test_cases_are_grouped_and_counted() -> None:
    root = ElementTree.fromstring(junit(CASES, name="admission"))  # noqa: S314 - made in the same line
    assert root.attrib == {"name": "admission", "tests": "3", "failures": "1", "errors": "0", "time": "0.750"}
    assert [(suite.get("name"), suite.get("tests"), suite.get("failures")) for suite in root] == [
        ("image", "2", "1"),
        ("network", "1", "0"),
    ]
    assert [case.attrib for case in root[1]] == [{"classname": "admission.network", "name": "a & b", "time": "0.000"}]


def test_a_failure_carries_its_text_without_control_characters() -> None:
    failure = ElementTree.fromstring(junit(CASES)).find("testsuite/testcase/failure")  # noqa: S314 - made in the same line
    assert failure is not None
    assert failure.get("message") == "admitted <all>"
    assert failure.text == "admitted <all>\nsecond line \N{REPLACEMENT CHARACTER}[0m"


@pytest.mark.parametrize("cases", [[], [{"suite": "a"}], [{"name": "a"}], ["a"]])
def test_what_is_no_case_is_refused(cases: list[object]) -> None:
    with pytest.raises(AnsibleFilterError, match="junit: "):
        junit(cases)  # type: ignore[arg-type] # wrong types are the test


def test_the_filter_is_named() -> None:
    assert FilterModule().filters() == {"junit": junit}
