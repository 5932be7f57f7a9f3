# SPDX-FileCopyrightText: 2026 onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every PromQL and LogQL expression of the dashboards and of the rules, ready to be executed.

Dashboards are read from the role's JSON files, rules are rendered from the role's templates with its defaults, or with
the values that the caller gives. Grafana's variables become what they are when everything is chosen.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import jinja2
import yaml
from ansible.plugins.filter.core import FilterModule

REPOSITORY = Path(__file__).resolve().parents[2]
ROLE = REPOSITORY / "roles" / "observability"
DASHBOARDS = ROLE / "files" / "dashboards"
RULES = ROLE / "templates" / "rules"
RELEASES = REPOSITORY / "roles" / "application" / "files" / "releases"

Language = Literal["promql", "logql"]
Kind = Literal["panel", "variable", "alert", "record"]

# What Grafana would fill in. "All" of a choice is ``.+``, as the dashboards set it.
INTERVALS = {"__rate_interval": "5m", "__interval": "1m", "__auto": "5m", "__range": "1h"}
ALL = ".+"
_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)(?::\w+)?\})")
_LABEL_VALUES = re.compile(r"label_values\((.+),\s*\w+\)", re.DOTALL)


@dataclass(frozen=True)
class Expression:
    """One expression. ``key`` names it for people: ``<dashboard uid>: <panel>``, or the name of the alert or record."""

    key: str
    kind: Kind
    language: Language
    text: str


def _substitute(text: str, values: Mapping[str, str]) -> str:
    """Replace Grafana's variables.

    :raises ValueError: the text uses a variable that the dashboard does not define
    """

    def value(match: re.Match[str]) -> str:
        name = match.group(1) or match.group(2)
        if name not in values:
            raise ValueError(f"${name} is no variable of this dashboard: {text}")
        return values[name]

    return _VARIABLE.sub(value, text)


def _language(source: Mapping[str, str]) -> Language:
    return {"prometheus": "promql", "loki": "logql"}[source["uid"]]  # type: ignore[return-value]


def of_dashboard(dashboard: Mapping[str, Any]) -> Iterator[Expression]:
    """Yield the expressions of one dashboard's JSON: of its variables, then of its panels."""
    variables = dashboard["templating"].get("list", [])
    values = dict(INTERVALS)
    for variable in variables:
        values[variable["name"]] = variable["query"] if variable["type"] == "textbox" else ALL
    uid = dashboard["uid"]
    for variable in variables:
        if variable["type"] == "query":
            match = _LABEL_VALUES.fullmatch(variable["query"])
            if match is None:
                raise ValueError(f"{uid}: {variable['query']} is no label_values(selector, label)")
            text = _substitute(match.group(1), values)
            yield Expression(f"{uid}: ${variable['name']}", "variable", _language(variable["datasource"]), text)
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            text = _substitute(target["expr"], values)
            yield Expression(f"{uid}: {panel['title']}", "panel", _language(target["datasource"]), text)


def defaults() -> dict[str, Any]:
    """Return the defaults of the roles ``platform`` and ``observability``."""
    values: dict[str, Any] = {}
    for role in (REPOSITORY / "roles" / "platform", ROLE):
        values.update(yaml.safe_load((role / "defaults" / "main.yml").read_text(encoding="utf-8")) or {})
    return values


def render(template: Path, values: Mapping[str, Any]) -> str:
    """Render a template of the role as Ansible does; its first line tells Ansible the delimiters."""
    environment = jinja2.Environment(
        block_start_string="[%",
        block_end_string="%]",
        variable_start_string="[[",
        variable_end_string="]]",
        trim_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - YAML, not HTML
    )
    environment.filters.update(FilterModule().filters())
    source = template.read_text(encoding="utf-8")
    if source.startswith("#jinja2:"):
        source = source.partition("\n")[2]
    return environment.from_string(source).render(values)


def of_rules(groups: list[Mapping[str, Any]]) -> Iterator[Expression]:
    """Yield the expressions of rule groups as Prometheus reads them."""
    for group in groups:
        for rule in group["rules"]:
            kind: Kind = "alert" if "alert" in rule else "record"
            yield Expression(rule[kind], kind, "promql", rule["expr"])


def of_release(release: Mapping[str, Any]) -> Iterator[Expression]:
    """Yield the expressions of an application's rules; the chart replaces ``[[name]]`` by that threshold."""
    rules = release.get("prometheusRule", {})
    thresholds = rules.get("thresholds", {})
    for item in of_rules(rules.get("groups", [])):
        yield replace(item, text=re.sub(r"\[\[(\w+)\]\]", lambda match: str(thresholds[match.group(1)]), item.text))


def all_expressions(values: Mapping[str, Any] | None = None) -> list[Expression]:
    """Return every expression once: of dashboards, of the platform's rules, of the rules that applications bring.

    ``values`` replaces the roles' defaults for the platform's rules.
    """
    found: list[Expression] = []
    for path in sorted(DASHBOARDS.glob("*.json")):
        found.extend(of_dashboard(json.loads(path.read_text(encoding="utf-8"))))
    for path in sorted(RULES.glob("*.yml.j2")):
        document = yaml.safe_load(render(path, {**defaults(), **(values or {})}))
        found.extend(of_rules(document["groups"]))
    for path in sorted(RELEASES.glob("*.yml")):
        found.extend(of_release(yaml.safe_load(path.read_text(encoding="utf-8"))))
    return list(dict.fromkeys(found))
