# SPDX-FileCopyrightText: 2026 onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all dashboards share: panels, variables, and the frame of a dashboard.

A panel cannot be made without title, description, unit and data source. Its id is a checksum of its title, so that a
link to a panel stays valid when other panels come or go.
"""

from __future__ import annotations

import string
import zlib
from collections.abc import Sequence
from typing import TypeVar

from grafana_foundation_sdk.builders import common as common_builders
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.builders import logs, loki, prometheus, stat, table, timeseries
from grafana_foundation_sdk.models import common, dashboard
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

PROMETHEUS = common.DataSourceRef(type_val="prometheus", uid="prometheus")
LOKI = common.DataSourceRef(type_val="loki", uid="loki")
TAG = "onprem-platform"
RUNBOOKS = "https://github.com/onprem-platform/onprem.platform/blob/main/docs/runbooks"
# Four scrapes or more, whatever the zoom: Grafana derives it from the scrape interval of the data source.
RATE = "$__rate_interval"

Target = prometheus.Dataquery | loki.Dataquery
Panel = timeseries.Panel | stat.Panel | table.Panel | logs.Panel
AnyPanel = TypeVar("AnyPanel", timeseries.Panel, stat.Panel, table.Panel, logs.Panel)
Steps = Sequence[tuple[float, str]]
"""Thresholds: from this value on, this colour. Below the first one all is green."""

NONE_IS_GOOD: Steps = ((1, "red"),)
SHARE_OF_CAPACITY: Steps = ((0.8, "orange"), (0.9, "red"))


def query(expression: str, legend: str = "", *, instant: bool = False) -> prometheus.Dataquery:
    """Return a PromQL query; ``instant`` asks for the newest value only."""
    target = prometheus.Dataquery().expr(expression).legend_format(legend).datasource(PROMETHEUS)
    return target.instant() if instant else target.range()


def log_query(expression: str, legend: str = "") -> loki.Dataquery:
    """Return a LogQL query over the dashboard's time range."""
    return loki.Dataquery().expr(expression).legend_format(legend).query_type("range").datasource(LOKI)


def _thresholds(steps: Steps, base: str = "green") -> builders.ThresholdsConfig:
    return (
        builders.ThresholdsConfig()
        .mode(dashboard.ThresholdsMode.ABSOLUTE)
        .steps(
            [
                dashboard.Threshold(value=None, color=base),
                *(dashboard.Threshold(value=value, color=color) for value, color in steps),
            ]
        )
    )


def _frame(
    panel: AnyPanel, title: str, description: str, unit: str, targets: Sequence[Target], width: int, height: int
) -> AnyPanel:
    """Set what every panel has; all targets must ask the same data source."""
    panel.title(title).description(description).unit(unit).span(width).height(height)
    panel.id(zlib.crc32(title.encode()) % 2**31)
    panel.datasource(LOKI if isinstance(targets[0], loki.Dataquery) else PROMETHEUS)
    for letter, target in zip(string.ascii_uppercase, targets):
        panel.with_target(target.ref_id(letter))
    return panel


def graph(
    title: str,
    description: str,
    unit: str,
    *targets: Target,
    width: int = 12,
    height: int = 8,
    thresholds: Steps = (),
    maximum: float | None = None,
    stacked: bool = False,
) -> timeseries.Panel:
    """Return a graph over time from zero upwards; thresholds are drawn as lines."""
    panel = _frame(timeseries.Panel(), title, description, unit, targets, width, height)
    panel.min(0).line_width(1).fill_opacity(30 if stacked else 8).show_points(common.VisibilityMode.NEVER)
    panel.legend(
        common_builders.VizLegendOptions()
        .display_mode(common.LegendDisplayMode.LIST)
        .placement(common.LegendPlacement.BOTTOM)
        .show_legend(True)
        .calcs([])
    )
    panel.tooltip(
        common_builders.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING)
    )
    if maximum is not None:
        panel.max(maximum)
    if stacked:
        panel.stacking(common_builders.StackingConfig().mode(common.StackingMode.NORMAL).group("A"))
    if thresholds:
        panel.thresholds(_thresholds(thresholds))
        panel.thresholds_style(
            common_builders.GraphThresholdsStyleConfig().mode(common.GraphThresholdsStyleMode.DASHED)
        )
    return panel


def number(
    title: str,
    description: str,
    unit: str,
    target: Target,
    *,
    width: int = 4,
    thresholds: Steps = (),
    base: str = "green",
    decimals: int | None = None,
) -> stat.Panel:
    """Return one number, coloured by its thresholds; ``base`` is the colour below the first of them."""
    panel = _frame(stat.Panel(), title, description, unit, (target,), width, 4)
    panel.thresholds(_thresholds(thresholds, base)).graph_mode(common.BigValueGraphMode.AREA)
    panel.color_mode(common.BigValueColorMode.VALUE)
    panel.reduce_options(common_builders.ReduceDataOptions().calcs(["lastNotNull"]).fields("").values(False))
    if decimals is not None:
        panel.decimals(decimals)
    return panel


def listing(
    title: str,
    description: str,
    unit: str,
    expression: str,
    columns: Sequence[str],
    *,
    value: str = "Value",
    width: int = 12,
    height: int = 8,
    thresholds: Steps = (),
    links: dict[str, str] | None = None,
) -> table.Panel:
    """Return a table of the newest values: these labels as columns, then the value under the heading ``value``.

    ``links`` maps a column to the address that a click on its cell opens.
    """
    target = query(expression, instant=True).format(PromQueryFormat.TABLE)
    panel = _frame(table.Panel(), title, description, unit, (target,), width, height)
    panel.with_transformation(
        dashboard.DataTransformerConfig(
            id_val="filterFieldsByName", options={"include": {"names": [*columns, "Value"]}}
        )
    )
    order = {name: position for position, name in enumerate([*columns, "Value"])}
    panel.with_transformation(
        dashboard.DataTransformerConfig(
            id_val="organize", options={"indexByName": order, "renameByName": {"Value": value}, "excludeByName": {}}
        )
    )
    if thresholds:
        panel.thresholds(_thresholds(thresholds))
    for column, url in (links or {}).items():
        link = {"title": column, "url": url, "targetBlank": True}
        panel.override_by_name(column, [dashboard.DynamicConfigValue(id_val="links", value=[link])])
    return panel


def log_lines(title: str, description: str, expression: str, *, height: int = 14) -> logs.Panel:
    """Return the newest log lines of a LogQL selection."""
    panel = _frame(logs.Panel(), title, description, "short", (log_query(expression),), 24, height)
    panel.show_time(True).wrap_log_message(True).enable_log_details(True).show_labels(False)
    panel.sort_order(common.LogsSortOrder.DESCENDING).dedup_strategy(common.LogsDedupStrategy.NONE)
    return panel


def alerts(pattern: str, *, width: int = 4) -> stat.Panel:
    """Return the number of alerts now firing whose name matches ``pattern``."""
    return number(
        "Alerts firing",
        "Alerts about what this dashboard shows. The Cluster dashboard lists them with their runbooks.",
        "short",
        # Watchdog fires always: it makes the count 0 instead of nothing, and its absence shows as no data.
        query(
            f'count(ALERTS{{alertstate="firing", alertname=~"Watchdog|{pattern}"}})'
            ' - count(ALERTS{alertstate="firing", alertname="Watchdog"})'
        ),
        width=width,
        thresholds=NONE_IS_GOOD,
    )


def variable(
    name: str, label: str, source: str, *, of: common.DataSourceRef = PROMETHEUS, many: bool = True
) -> builders.QueryVariable:
    """Return a choice among a label's values; ``source`` is Grafana's ``label_values(selector, label)``.

    "All" becomes ``.+``: Loki demands it, and a label that is missing shows as an empty panel.
    """
    everything: list[str] | str = ["$__all"] if many else "$__all"
    return (
        builders.QueryVariable(name)
        .label(label)
        .datasource(of)
        .query(source)
        .definition(source)
        .refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(dashboard.VariableSort.ALPHABETICAL_ASC)
        .include_all(True)
        .all_value(".+")
        .multi(many)
        .current(dashboard.VariableOption(selected=True, text=["All"] if many else "All", value=everything))
    )


def text_field(name: str, label: str, default: str) -> builders.TextBoxVariable:
    """Return a field for free text."""
    chosen = dashboard.VariableOption(selected=True, text=default, value=default)
    return builders.TextBoxVariable(name).label(label).default_value(default).current(chosen).options([chosen])


def build(
    uid: str,
    title: str,
    description: str,
    rows: Sequence[tuple[str, Sequence[Panel]]],
    variables: Sequence[builders.QueryVariable | builders.TextBoxVariable] = (),
) -> dashboard.Dashboard:
    """Return a dashboard of titled rows, with links to the other dashboards and to the runbooks."""
    made = (
        builders.Dashboard(title)
        .uid(uid)
        .description(description)
        .tags([TAG])
        .timezone("browser")
        .time("now-3h", "now")
        .refresh("1m")
        .readonly()
        .tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
        .link(
            builders.DashboardLink("Dashboards")
            .type(dashboard.DashboardLinkType.DASHBOARDS)
            .tags([TAG])
            .as_dropdown(True)
            .keep_time(True)
        )
        .link(
            builders.DashboardLink("Runbooks")
            .type(dashboard.DashboardLinkType.LINK)
            .url(RUNBOOKS)
            .icon("doc")
            .tooltip("What to do when an alert fires")
            .target_blank(True)
        )
    )
    for item in variables:
        made.with_variable(item)
    for heading, panels in rows:
        made.with_row(builders.Row(heading).id(zlib.crc32(f"row {heading}".encode()) % 2**31))
        for panel in panels:
            made.with_panel(panel)
    return made.annotations([]).build()
