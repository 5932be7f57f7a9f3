# SPDX-FileCopyrightText: 2026 onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dashboard "Application": requests, latency, queue, jobs and autoscaling of applications from the Laravel chart.

Every pod of an application shows the same totals, which lie in its Redis: so ``max`` over pods, never ``sum``.
"""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from . import build as b

APPLICATION = 'namespace=~"$namespace", job=~"$application"'
STATE = 'job="kube-state-metrics", namespace=~"$namespace"'
POD = 'job="kubelet", container!="", namespace=~"$namespace"'


def latency(quantile: float) -> str:
    """Return the expression of a latency quantile by application."""
    rate = f"rate(app_http_request_duration_seconds_bucket{{{APPLICATION}}}[{b.RATE}])"
    return f"histogram_quantile({quantile}, max by (job, le) ({rate}))"


def dashboard() -> Dashboard:
    """Return the dashboard."""
    requests = f"rate(app_http_requests_total{{{APPLICATION}}}[{b.RATE}])"
    return b.build(
        "onprem-application",
        "Application",
        "Requests, latency, queue, jobs and autoscaling of applications that the Laravel chart delivers.",
        [
            (
                "Now",
                [
                    b.alerts("Application.*|Queue.*|Sms.*|High.*|Unconfirmed.*|AutoscalerAtMaximum"),
                    b.number(
                        "Dependencies down",
                        "Backing services that the application does not reach.",
                        "short",
                        b.query(
                            f"count(max by (job, dependency) (app_dependency_up{{{APPLICATION}}}))"
                            f" - sum(max by (job, dependency) (app_dependency_up{{{APPLICATION}}}))"
                        ),
                        thresholds=b.NONE_IS_GOOD,
                    ),
                    b.number(
                        "Jobs waiting",
                        "Jobs in the queue in any state.",
                        "short",
                        b.query(f"max(queue_size{{{APPLICATION}}})"),
                        thresholds=((50, "orange"), (100, "red")),
                    ),
                    b.number(
                        "Failed jobs",
                        "Jobs that have used up their tries and wait for somebody.",
                        "short",
                        b.query(f'max(app_jobs{{{APPLICATION}, state="failed"}})'),
                        thresholds=((1, "orange"),),
                    ),
                    b.number(
                        "Scheduler ran",
                        "Time since the last run of the scheduled command, which is due every minute.",
                        "s",
                        b.query(f"time() - max(app_scheduler_last_run_timestamp_seconds{{{APPLICATION}}})"),
                        thresholds=((180, "orange"), (600, "red")),
                    ),
                    b.number(
                        "SMS balance",
                        "Prepaid balance at the SMS gateway.",
                        "currencyEUR",
                        b.query(f"max(app_sms_gateway_balance_eur{{{APPLICATION}}})"),
                        base="red",
                        thresholds=((500, "green"),),
                    ),
                ],
            ),
            (
                "Requests",
                [
                    b.graph(
                        "Requests",
                        "Answers by status class.",
                        "reqps",
                        b.query(f"max by (job, status) ({requests})", "{{job}} {{status}}"),
                        stacked=True,
                    ),
                    b.graph(
                        "Latency",
                        "Half, 95 and 99 of 100 requests are answered within these times.",
                        "s",
                        b.query(latency(0.5), "{{job}} p50"),
                        b.query(latency(0.95), "{{job}} p95"),
                        b.query(latency(0.99), "{{job}} p99"),
                    ),
                ],
            ),
            (
                "Queue and jobs",
                [
                    b.graph(
                        "Queue",
                        "Jobs in the queue, and those that a worker has taken.",
                        "short",
                        b.query(f"max by (job, queue) (queue_size{{{APPLICATION}}})", "{{job}} {{queue}} size"),
                        b.query(
                            f"max by (job, queue) (queue_reserved_jobs{{{APPLICATION}}})", "{{job}} {{queue}} taken"
                        ),
                        width=8,
                        thresholds=((100, "orange"),),
                    ),
                    b.graph(
                        "Jobs done",
                        "Jobs that workers completed.",
                        "cps",
                        b.query(
                            f'max by (job) (rate(app_jobs{{{APPLICATION}, state="completed"}}[{b.RATE}]))', "{{job}}"
                        ),
                        width=8,
                    ),
                    b.graph(
                        "Jobs by state",
                        "Jobs pending, delayed, taken and failed.",
                        "short",
                        b.query(
                            f'max by (job, state) (app_jobs{{{APPLICATION}, state!="completed"}})', "{{job}} {{state}}"
                        ),
                        width=8,
                    ),
                ],
            ),
            (
                "Pods and autoscaling",
                [
                    b.graph(
                        "Replicas wanted",
                        "Replicas that each autoscaler wants, beside its upper limit.",
                        "short",
                        b.query(
                            f"kube_horizontalpodautoscaler_status_desired_replicas{{{STATE}}}",
                            "{{horizontalpodautoscaler}}",
                        ),
                        b.query(
                            f"kube_horizontalpodautoscaler_spec_max_replicas{{{STATE}}}",
                            "{{horizontalpodautoscaler}} limit",
                        ),
                    ),
                    b.graph(
                        "Replicas missing",
                        "Replicas that are wanted but not available.",
                        "short",
                        b.query(
                            f"kube_deployment_spec_replicas{{{STATE}}}"
                            f" - kube_deployment_status_replicas_available{{{STATE}}}",
                            "{{deployment}}",
                        ),
                        thresholds=b.NONE_IS_GOOD,
                    ),
                    b.graph(
                        "CPU by container",
                        "Processor cores in use.",
                        "short",
                        b.query(
                            f"sum by (container) (rate(container_cpu_usage_seconds_total{{{POD}}}[{b.RATE}]))",
                            "{{container}}",
                        ),
                        stacked=True,
                    ),
                    b.graph(
                        "Memory by container",
                        "Working set, which counts against the limit.",
                        "bytes",
                        b.query(f"sum by (container) (container_memory_working_set_bytes{{{POD}}})", "{{container}}"),
                        stacked=True,
                    ),
                    b.listing(
                        "Versions",
                        "Pods by the version that they run.",
                        "short",
                        f"count by (job, version, php, framework, environment) (app_build_info{{{APPLICATION}}})",
                        ["job", "version", "php", "framework", "environment"],
                        value="Pods",
                        width=24,
                        height=5,
                    ),
                ],
            ),
        ],
        [
            b.variable("application", "Application", "label_values(app_build_info, job)"),
            b.variable("namespace", "Namespace", 'label_values(app_build_info{job=~"$application"}, namespace)'),
        ],
    )
