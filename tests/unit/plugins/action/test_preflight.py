# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller side of preflight: clocks, documented options, and the roles' own documents."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.onprem.platform.plugins.action import host_preflight, preflight_evaluate

ROOT = Path(__file__).resolve().parents[4]


@pytest.mark.parametrize(
    ("epoch", "difference"), [(100.0, 0.0), (101.0, 0.0), (102.0, 0.0), (97.5, -2.5), (104.5, 2.5)]
)
def test_clock_difference_is_only_what_the_call_cannot_explain(epoch: float, difference: float) -> None:
    assert host_preflight.clock_difference(epoch, 100.0, 102.0) == difference


def test_values_are_checked_against_what_roles_document() -> None:
    options = {
        "network_cni": {"type": "str", "choices": ["cilium", "none"], "default": "cilium"},
        "network_port": {"type": "int", "required": True},
        "network_list": {"type": "list", "elements": "dict", "options": {"name": {"type": "str", "required": True}}},
    }
    assert preflight_evaluate.value_errors(options, {}) == []
    assert preflight_evaluate.value_errors(options, {"network_cni": "none", "network_port": "80"}) == []
    assert "must be one of" in preflight_evaluate.value_errors(options, {"network_cni": "foo"})[0]
    assert "network_port" in preflight_evaluate.value_errors(options, {"network_port": "eighty"})[0]
    assert "missing required" in preflight_evaluate.value_errors(options, {"network_list": [{}]})[0]


def test_options_of_all_roles_are_found() -> None:
    options = preflight_evaluate.role_options(preflight_evaluate.ROLES)
    assert {"node_sysctl", "node_ip"} <= set(options["node"])
    assert "platform_pod_cidr" in options["platform"]


def test_every_check_is_documented() -> None:
    text = (ROOT / "docs/preflight.md").read_text()
    assert [name for name in preflight_evaluate.CHECKS if f"`{name}`" not in text] == []
