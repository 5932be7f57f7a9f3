# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The dashboards that the role carries: generated, valid for Grafana's SDK, complete, readable for Prometheus."""

from __future__ import annotations

import enum
import json
import types
import typing
import warnings
from itertools import combinations
from typing import Any

import promql_parser
import pytest
from dashboards import expressions

with warnings.catch_warnings():
    # The SDK prefers the newer resource format, which older Grafana cannot read from files.
    warnings.simplefilter("ignore", DeprecationWarning)
    from dashboards import build, generate
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.cog.plugins import register_default_plugins
    from grafana_foundation_sdk.models.dashboard import Dashboard

FILES = {path.stem: path for path in expressions.DASHBOARDS.glob("*.json")}
LOADED: dict[str, dict[str, Any]] = {name: json.loads(path.read_text()) for name, path in FILES.items()}
PANELS = [
    pytest.param(panel, id=f"{name}-{panel['title']}")
    for name, dashboard in LOADED.items()
    for panel in dashboard["panels"]
    if panel["type"] != "row"
]
register_default_plugins()


def plain(model: Any) -> Any:
    """Return a model of the SDK as plain data."""
    return json.loads(json.dumps(model, cls=JSONEncoder))


def type_errors(value: Any, wanted: Any, place: str) -> list[str]:
    """Return where a value of the SDK's model differs from the type that the model declares.

    The SDK reads JSON without looking at types, so this is what makes loading a validation.
    """
    origin, arguments = typing.get_origin(wanted), typing.get_args(wanted)
    if wanted is Any or wanted is object:
        return []
    if origin in (typing.Union, types.UnionType):
        found = [type_errors(value, one, place) for one in arguments]
        # The alternative that fits best is the one whose errors lie deepest.
        return [] if [] in found else max(found, key=lambda errors: len(errors[0].partition(":")[0]))
    if origin is typing.Literal:
        return [] if value in arguments else [f"{place}: {value!r} is not one of {arguments}"]
    if origin is list:
        if not isinstance(value, list):
            return [f"{place}: {value!r} is no list"]
        return [
            error
            for number, item in enumerate(value)
            for error in type_errors(item, arguments[0], f"{place}[{number}]")
        ]
    if origin is dict:
        return [] if isinstance(value, dict) else [f"{place}: {value!r} is no mapping"]
    if wanted is types.NoneType:
        return [] if value is None else [f"{place}: {value!r} is not null"]
    if isinstance(wanted, type) and issubclass(wanted, enum.Enum):
        return [] if value in list(wanted) else [f"{place}: {value!r} is no {wanted.__name__}"]
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        return []
    if isinstance(wanted, type):
        if isinstance(value, dict) and hasattr(wanted, "from_json"):  # the SDK leaves some objects as they are
            model = wanted.from_json(value)
            if plain(model) != value:
                return [f"{place}: {wanted.__name__} does not know all of {value!r}"]
            value = model
        if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is int):
            return [f"{place}: {value!r} is no {wanted.__name__}"]
        if hasattr(value, "to_json") and hasattr(type(value), "__annotations__"):
            hints = typing.get_type_hints(type(value))
            return [
                error
                for name, hint in hints.items()
                if hasattr(value, name)
                for error in type_errors(getattr(value, name), hint, f"{place}.{name}")
            ]
    return []


def test_type_check_finds_what_is_wrong() -> None:
    """The check above can fail: at depth, in a list, in an enumeration."""
    good = LOADED["flux"]
    assert type_errors(Dashboard.from_json(good), Dashboard, "") == []
    for path, value in [
        (("title",), 4711),
        (("graphTooltip",), 7),
        (("tags", 0), None),
        (("panels", 7, "transformations", 0, "id"), 1),
        (("panels", 7, "transformations", 0, "unknown"), "x"),
        (("panels", 2, "gridPos", "w"), "wide"),
        (("panels", 2, "targets", 0, "expr"), 1),
        (("panels", 2, "fieldConfig", "defaults", "thresholds", "mode"), "relative"),
        (("templating", "list", 0, "refresh"), 9),
    ]:
        broken = json.loads(json.dumps(good))
        place = broken
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value
        assert len(type_errors(Dashboard.from_json(broken), Dashboard, "")) == 1, path


def test_files_are_what_the_generator_makes() -> None:
    made = generate.rendered()
    assert set(FILES) == set(made)
    for name, text in made.items():
        assert FILES[name].read_text(encoding="utf-8") == text, f"{name}.json is old: run `make dashboards`"


@pytest.mark.parametrize("name", sorted(LOADED))
def test_valid_for_the_sdk(name: str) -> None:
    """The SDK reads the file, finds the types that its model declares, knows every field, and writes the same again."""
    loaded = Dashboard.from_json(LOADED[name])
    assert type_errors(loaded, Dashboard, name) == []
    assert plain(loaded) == LOADED[name]


def test_uids_and_titles_are_unique() -> None:
    for field in ("uid", "title"):
        assert len({dashboard[field] for dashboard in LOADED.values()}) == len(LOADED)


@pytest.mark.parametrize("name", sorted(LOADED))
def test_panels_have_their_own_id_and_place(name: str) -> None:
    panels = LOADED[name]["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, f"{panel['title']} is wider than the page"
    for one, other in combinations(panels, 2):
        a, b = one["gridPos"], other["gridPos"]
        apart = (
            a["x"] + a["w"] <= b["x"]
            or b["x"] + b["w"] <= a["x"]
            or a["y"] + a["h"] <= b["y"]
            or b["y"] + b["h"] <= a["y"]
        )
        assert apart, f"{one['title']} lies on {other['title']}"


@pytest.mark.parametrize("panel", PANELS)
def test_panel_is_complete(panel: dict[str, Any]) -> None:
    assert panel["title"] and len(panel["description"]) > 10 and panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["datasource"]["uid"] in ("prometheus", "loki")
    assert panel["targets"]
    for target in panel["targets"]:
        assert target["datasource"] == panel["datasource"]
    assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


@pytest.mark.parametrize("name", sorted(LOADED))
def test_variables_are_used(name: str) -> None:
    text = json.dumps(LOADED[name]["panels"])
    for variable in LOADED[name]["templating"].get("list", []):
        assert f"${variable['name']}" in text, f"${variable['name']} chooses nothing"


def test_values_shared_with_the_role() -> None:
    """Links and the error budget are written into the files; the role's defaults must say the same."""
    defaults = expressions.defaults()
    assert defaults["observability_runbook_url"] == build.RUNBOOKS
    budget = next(item for item in LOADED["slo"]["templating"]["list"] if item["name"] == "budget")
    assert float(budget["query"]) == defaults["observability_thresholds"]["application_error_budget"]


def test_every_promql_expression_is_one() -> None:
    for item in expressions.all_expressions():
        if item.language == "promql":
            try:
                promql_parser.parse(item.text)
            except ValueError as error:
                pytest.fail(f"{item.key}: {error}\n{item.text}")


@pytest.mark.parametrize("text", ["sum(", "rate(up)", "up{a=b}", "sum by up"])
def test_parser_refuses_what_is_no_promql(text: str) -> None:
    with pytest.raises(ValueError):
        promql_parser.parse(text)
