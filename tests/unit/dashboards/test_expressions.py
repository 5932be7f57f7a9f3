# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How expressions are read out of dashboards and rules. None of it needs Grafana's SDK."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from dashboards import expressions
from dashboards.expressions import Expression
from dashboards.live import read_allow_empty

DASHBOARD: dict[str, Any] = {
    "uid": "test",
    "templating": {
        "list": [
            {
                "name": "node",
                "type": "query",
                "query": 'label_values(up{job="a", node=~".+"}, node)',
                "datasource": {"uid": "prometheus"},
            },
            {"name": "text", "type": "textbox", "query": "x|y"},
        ]
    },
    "panels": [
        {"type": "row", "title": "Row"},
        {
            "title": "Rate",
            "targets": [
                {"expr": 'rate(up{node=~"$node"}[$__rate_interval])', "datasource": {"uid": "prometheus"}},
                {"expr": '{node=~"${node:regex}"} |~ `$text`', "datasource": {"uid": "loki"}},
            ],
        },
    ],
}


def test_variables_become_everything() -> None:
    assert list(expressions.of_dashboard(DASHBOARD)) == [
        Expression("test: $node", "variable", "promql", 'up{job="a", node=~".+"}'),
        Expression("test: Rate", "panel", "promql", 'rate(up{node=~".+"}[5m])'),
        Expression("test: Rate", "panel", "logql", '{node=~".+"} |~ `x|y`'),
    ]


def test_unknown_variable_is_an_error() -> None:
    dashboard = json.loads(json.dumps(DASHBOARD).replace("$__rate_interval", "$window"))
    with pytest.raises(ValueError, match=r"\$window is no variable of this dashboard"):
        list(expressions.of_dashboard(dashboard))


def test_unknown_form_of_variable_is_an_error() -> None:
    dashboard = json.loads(json.dumps(DASHBOARD).replace("label_values(", "query_result("))
    with pytest.raises(ValueError, match=r"is no label_values\(selector, label\)"):
        list(expressions.of_dashboard(dashboard))


def test_rules_have_the_name_of_alert_or_record() -> None:
    groups = [{"name": "g", "rules": [{"alert": "Down", "expr": "up == 0"}, {"record": "a:b", "expr": "sum(up)"}]}]
    assert list(expressions.of_rules(groups)) == [
        Expression("Down", "alert", "promql", "up == 0"),
        Expression("a:b", "record", "promql", "sum(up)"),
    ]


def test_thresholds_of_a_release_are_filled_in() -> None:
    rules = [{"alert": "Long", "expr": "queue_size > [[queue_size]]"}]
    release = {"prometheusRule": {"thresholds": {"queue_size": 100}, "groups": [{"name": "g", "rules": rules}]}}
    assert [item.text for item in expressions.of_release(release)] == ["queue_size > 100"]
    assert list(expressions.of_release({})) == []


def test_every_dashboard_and_rule_file_is_read() -> None:
    found = expressions.all_expressions()
    uids = {json.loads(path.read_text())["uid"] for path in expressions.DASHBOARDS.glob("*.json")}
    assert len(uids) == 9
    assert uids == {item.key.partition(":")[0] for item in found if item.kind == "panel"}
    templates = list(expressions.RULES.glob("*.yml.j2"))
    templates += list(expressions.RELEASES.glob("*.yml"))
    alerts = {name for path in templates for name in re.findall(r"- alert: (\w+)", path.read_text())}
    assert alerts == {item.key for item in found if item.kind == "alert"}
    # `$1` is label_replace's own.
    assert not [item for item in found if re.search(r"\$[a-z_{]|\[\[|\[%", item.text)]


def test_the_rules_of_the_demonstration_are_read() -> None:
    """Requirement R15 names these."""
    names = {item.key for item in expressions.all_expressions() if item.kind == "alert"}
    assert names >= {
        "QueueBacklogHigh",
        "QueueStuckReserved",
        "SmsGatewayDown",
        "SmsBalanceLow",
        "HighLoad",
        "HighMemoryUsage",
        "UnconfirmedBraceletsHighRatio",
    }


def test_values_replace_the_defaults_in_rules() -> None:
    changed = {"observability_threshold_overrides": {"node_load_per_core": 4711}}
    load = [item.text for item in expressions.all_expressions(changed) if item.key == "NodeLoadHigh"]
    assert load and load[0].endswith("> 4711")


def test_the_list_of_empty_expressions_is_sound() -> None:
    found = expressions.all_expressions()
    texts = "\n".join(item.text for item in found)
    keys = {item.key for item in found}
    for key, reason in read_allow_empty().items():
        assert key in keys or re.search(rf"\b{re.escape(key)}\b", texts), f"nothing uses {key}"
        assert isinstance(reason, str) and reason.endswith("."), f"{key} has no reason"
