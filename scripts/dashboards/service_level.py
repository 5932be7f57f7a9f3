# SPDX-FileCopyrightText: 2026 onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dashboard "SLO": how well applications keep what they promise, from the recording rules of ``application.yml``."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from . import build as b

APPLICATION = 'namespace=~"$namespace", job=~"$application"'
WINDOWS = ("5m", "1h", "6h", "1d", "3d")


def _failed(window: str) -> str:
    """Return the share of requests that failed within a window."""
    total = f"increase(app_http_requests_total{{{APPLICATION}}}[{window}])"
    failed = f'increase(app_http_requests_total{{{APPLICATION}, status="5xx"}}[{window}])'
    return f"max by (job) ({failed}) / sum by (job) (max by (job, status) ({total}))"


def dashboard() -> Dashboard:
    """Return the dashboard."""
    burns = [
        b.query(f"application:request_errors:ratio_rate{window}{{{APPLICATION}}} / $budget", f"{{{{job}}}} {window}")
        for window in WINDOWS
    ]
    slow = f"rate(app_http_request_duration_seconds_bucket{{{APPLICATION}}}[{b.RATE}])"
    return b.build(
        "onprem-slo",
        "SLO",
        "How well applications keep what they promise: availability, error budget, burn rate, latency.",
        [
            (
                "Objective",
                [
                    b.alerts("ApplicationErrorBudgetBurn|ApplicationSlow"),
                    b.number(
                        "Availability",
                        "Share of requests of the chosen time that were not answered with a server error.",
                        "percentunit",
                        b.query(f"1 - ({_failed('$__range')})", "{{job}}"),
                        width=5,
                        base="red",
                        thresholds=((0.99, "orange"), (0.999, "green")),
                        decimals=3,
                    ),
                    b.number(
                        "Error budget left",
                        "What of the 30 days' error budget is not used up. Below zero the objective is missed.",
                        "percentunit",
                        b.query(f"1 - ({_failed('30d')}) / $budget", "{{job}}"),
                        width=5,
                        base="red",
                        thresholds=((0, "orange"), (0.25, "green")),
                    ),
                    b.number(
                        "Latency",
                        "95 of 100 requests are answered within this time.",
                        "s",
                        b.query(f"histogram_quantile(0.95, max by (job, le) ({slow}))", "{{job}}"),
                        width=5,
                        thresholds=((0.5, "orange"), (1, "red")),
                    ),
                    b.number(
                        "Requests",
                        "Requests now.",
                        "reqps",
                        b.query(f"application:requests:rate5m{{{APPLICATION}}}", "{{job}}"),
                        width=5,
                    ),
                ],
            ),
            (
                "Burn",
                [
                    b.graph(
                        "Burn rate",
                        "How many times too fast the error budget is used up. 1 uses it up in exactly 30 days. Alerts"
                        " compare a long window with a short one: 14.4 and 6 wake somebody, 3 and 1 can wait.",
                        "short",
                        *burns,
                        width=24,
                        height=10,
                        thresholds=((1, "orange"), (6, "red")),
                    ),
                ],
            ),
        ],
        [
            b.variable("application", "Application", "label_values(app_http_requests_total, job)"),
            b.variable(
                "namespace", "Namespace", 'label_values(app_http_requests_total{job=~"$application"}, namespace)'
            ),
            b.text_field("budget", "Error budget (share of requests)", "0.001"),
        ],
    )
