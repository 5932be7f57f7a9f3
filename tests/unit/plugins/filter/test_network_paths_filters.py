# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filters of network paths, by the examples of their documentation, and their errors."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleFilterError

from ansible_collections.onprem.platform.plugins.filter import network_matrix, network_policies


def description(module: ModuleType) -> dict[str, Any]:
    return dict(yaml.safe_load(module.EXAMPLES)[0]["vars"]["description"])


def test_examples() -> None:
    policies = network_policies.FilterModule().filters()["network_policies"](description(network_policies))
    assert [item["metadata"]["name"] for item in policies] == ["default-deny", "allow-web", "allow-data"]
    pairs = network_matrix.FilterModule().filters()["network_matrix"](description(network_matrix))
    asked = {(pair["source"], pair["destination"], pair["port"], pair["protocol"]): pair for pair in pairs}
    assert len(asked) == len(pairs)
    assert asked["web", "data", 3306, "TCP"] == {
        "source": "web",
        "destination": "data",
        "port": 3306,
        "protocol": "TCP",
        "allowed": True,
        "reason": "orders",
    }
    assert [pair for pair in pairs if pair["allowed"]] == [asked["web", "data", 3306, "TCP"]]
    assert asked["stranger-in-shop", "data", 3306, "TCP"]["reason"] == ""


def test_the_policies_of_one_namespace() -> None:
    make = network_policies.FilterModule().filters()["network_policies"]
    assert make(description(network_policies), "shop") == make(description(network_policies))
    with pytest.raises(AnsibleFilterError, match="namespace other is not closed"):
        make(description(network_policies), "other")


@pytest.mark.parametrize("filters", [network_matrix.network_matrix, network_policies.network_policies])
def test_errors(filters: Any) -> None:
    with pytest.raises(AnsibleFilterError, match="'paths' is missing"):
        filters({"peers": {}, "closed": []})
    with pytest.raises(AnsibleFilterError, match="nobody is no peer"):
        filters({"peers": {}, "closed": [], "paths": [{"from": "nobody", "to": "x", "ports": 1, "reason": "r"}]})
