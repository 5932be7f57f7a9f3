# SPDX-FileCopyrightText: 2026 onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dashboard "Logs": lines of pods and of the servers' journals, and the way they take to Loki.

Pod, container, node and trace id are structured metadata, not labels: they filter after the stream selector.
"""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from . import build as b

PODS = '{source="pod", namespace=~"$namespace", app=~"$app"}'
JOURNAL = '{source="journal", unit=~"$unit"}'


def dashboard() -> Dashboard:
    """Return the dashboard."""
    return b.build(
        "onprem-logs",
        "Logs",
        "Lines of pods and journals. A request's trace id finds all its lines.",
        [
            (
                "Pods",
                [
                    b.graph(
                        "Lines by application",
                        "Lines that arrive.",
                        "cps",
                        b.log_query(f"sum by (app) (rate({PODS} [$__auto]))", "{{app}}"),
                        stacked=True,
                    ),
                    b.graph(
                        "Lines by level",
                        "Lines by the level that Loki finds in them.",
                        "cps",
                        b.log_query(f"sum by (detected_level) (rate({PODS} [$__auto]))", "{{detected_level}}"),
                        stacked=True,
                    ),
                    b.log_lines(
                        "Lines",
                        "Newest lines that contain the text; a trace id narrows them to one request.",
                        f"{PODS} | trace_id=~`$trace_id` |~ `(?i)$text`",
                    ),
                ],
            ),
            (
                "Servers",
                [
                    b.graph(
                        "Lines by unit",
                        "Lines of the servers' journals.",
                        "cps",
                        b.log_query(f"sum by (unit) (rate({JOURNAL} [$__auto]))", "{{unit}}"),
                        width=24,
                        height=6,
                        stacked=True,
                    ),
                    b.log_lines(
                        "Journal",
                        "Newest lines of the chosen units that contain the text.",
                        f"{JOURNAL} |~ `(?i)$text`",
                        height=10,
                    ),
                ],
            ),
            (
                "The way to Loki",
                [
                    b.alerts("Loki.*|Collector.*"),
                    b.number(
                        "Collectors",
                        "Collectors that answer; one runs on each node.",
                        "short",
                        b.query('sum(up{job="collector"})'),
                        base="red",
                        thresholds=((1, "green"),),
                    ),
                    b.number(
                        "Fullest queue",
                        "Used share of the fullest collector's queue, which keeps lines on disk while Loki is away.",
                        "percentunit",
                        b.query(
                            'max(otelcol_exporter_queue_size{job="collector"}'
                            ' / otelcol_exporter_queue_capacity{job="collector"})'
                        ),
                        thresholds=((0.5, "orange"), (0.8, "red")),
                    ),
                    b.number(
                        "Lines stored",
                        "Lines that Loki accepts.",
                        "cps",
                        b.query(f'sum(rate(loki_distributor_lines_received_total{{job="loki"}}[{b.RATE}]))'),
                    ),
                    b.number(
                        "Streams in memory",
                        "Streams that Loki writes. It rises with the values of labels, not with the lines.",
                        "short",
                        b.query('sum(loki_ingester_memory_streams{job="loki"})'),
                        thresholds=((1000, "orange"), (4000, "red")),
                    ),
                    b.number(
                        "Volume used",
                        "Used share of Loki's volume.",
                        "percentunit",
                        b.query('max(loki_ingester_wal_disk_usage_percent{job="loki"})'),
                        thresholds=b.SHARE_OF_CAPACITY,
                    ),
                    b.graph(
                        "Loki's answers",
                        "Requests to Loki by status code.",
                        "reqps",
                        b.query(
                            "sum by (status_code) (rate(loki_request_duration_seconds_count"
                            f'{{job="loki", route=~"otlp_v1_logs|loki_api_v1_.*"}}[{b.RATE}]))',
                            "{{status_code}}",
                        ),
                        height=6,
                    ),
                    b.graph(
                        "Loki's time to answer",
                        "99 of 100 requests are answered within this time: lines in, and queries.",
                        "s",
                        b.query(
                            "histogram_quantile(0.99, sum by (le, route) (rate(loki_request_duration_seconds_bucket"
                            f'{{job="loki", route=~"otlp_v1_logs|loki_api_v1_.*"}}[{b.RATE}])))',
                            "{{route}}",
                        ),
                        height=6,
                    ),
                ],
            ),
        ],
        [
            b.variable("namespace", "Namespace", 'label_values({source="pod"}, namespace)', of=b.LOKI),
            b.variable("app", "Application", 'label_values({source="pod", namespace=~"$namespace"}, app)', of=b.LOKI),
            b.variable("unit", "Unit", 'label_values({source="journal"}, unit)', of=b.LOKI),
            b.text_field("text", "Text", ""),
            b.text_field("trace_id", "Trace id", ".*"),
        ],
    )
