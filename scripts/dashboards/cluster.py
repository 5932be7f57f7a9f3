# SPDX-FileCopyrightText: 2026 onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dashboard "Cluster": is anything wrong, who uses what, and the cluster's own network and names."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from . import build as b

POD = 'job="kubelet", container!="", namespace=~"$namespace"'
STATE = 'job="kube-state-metrics", namespace=~"$namespace"'


def dashboard() -> Dashboard:
    """Return the dashboard."""
    return b.build(
        "onprem-cluster",
        "Cluster",
        "Start here: what fires, which nodes and pods are in trouble, and who uses the capacity.",
        [
            (
                "Now",
                [
                    b.number(
                        "Nodes not ready",
                        "Nodes whose Ready condition is false or unknown.",
                        "short",
                        b.query('sum(kube_node_status_condition{condition="Ready", status=~"false|unknown"})'),
                        thresholds=b.NONE_IS_GOOD,
                    ),
                    b.number(
                        "Alerts firing",
                        "All alerts but Watchdog, which fires always to show that alerts are delivered.",
                        "short",
                        b.query(
                            'count(ALERTS{alertstate="firing"})'
                            ' - count(ALERTS{alertstate="firing", alertname="Watchdog"})'
                        ),
                        thresholds=b.NONE_IS_GOOD,
                    ),
                    b.number(
                        "Targets down",
                        "Scrape targets that did not answer the last scrape.",
                        "short",
                        b.query("count(up) - sum(up)"),
                        thresholds=b.NONE_IS_GOOD,
                    ),
                    b.number(
                        "Pods not running",
                        "Pods of the chosen namespaces that are pending, failed or unknown.",
                        "short",
                        b.query(f'sum(kube_pod_status_phase{{{STATE}, phase=~"Pending|Failed|Unknown"}})'),
                        thresholds=b.NONE_IS_GOOD,
                    ),
                    b.number(
                        "CPU in use",
                        "Processor time that is not idle, as a share of all nodes.",
                        "percentunit",
                        b.query(f'1 - avg(rate(node_cpu_seconds_total{{mode="idle"}}[{b.RATE}]))'),
                        thresholds=b.SHARE_OF_CAPACITY,
                    ),
                    b.number(
                        "Memory in use",
                        "Memory that the kernel could not give to a new process, as a share of all nodes.",
                        "percentunit",
                        b.query("1 - sum(node_memory_MemAvailable_bytes) / sum(node_memory_MemTotal_bytes)"),
                        thresholds=b.SHARE_OF_CAPACITY,
                    ),
                    b.listing(
                        "Firing alerts",
                        "Every alert that fires now; the name opens its runbook.",
                        "short",
                        'ALERTS{alertstate="firing"}',
                        ["alertname", "severity", "namespace", "node", "pod"],
                        width=24,
                        links={"alertname": f"{b.RUNBOOKS}/${{__value.raw}}.md"},
                    ),
                ],
            ),
            (
                "Workloads",
                [
                    b.graph(
                        "CPU by namespace",
                        "Processor cores that the containers use.",
                        "short",
                        b.query(
                            f"sum by (namespace) (rate(container_cpu_usage_seconds_total{{{POD}}}[{b.RATE}]))",
                            "{{namespace}}",
                        ),
                        stacked=True,
                    ),
                    b.graph(
                        "Memory by namespace",
                        "Working set of the containers: what counts against their limits.",
                        "bytes",
                        b.query(f"sum by (namespace) (container_memory_working_set_bytes{{{POD}}})", "{{namespace}}"),
                        stacked=True,
                    ),
                    b.graph(
                        "Requested share of capacity",
                        "What containers request of what nodes can allot. At 100 % nothing new is scheduled.",
                        "percentunit",
                        b.query(
                            'sum by (resource) (kube_pod_container_resource_requests{resource=~"cpu|memory"}'
                            ' and on (namespace, pod) kube_pod_status_phase{phase=~"Pending|Running"} == 1)'
                            ' / sum by (resource) (kube_node_status_allocatable{resource=~"cpu|memory"})',
                            "{{resource}}",
                        ),
                        thresholds=b.SHARE_OF_CAPACITY,
                    ),
                    b.listing(
                        "Restarts in the last hour",
                        "Containers that started again, most first. A restart that repeats is a crash loop.",
                        "short",
                        f"topk(20, increase(kube_pod_container_status_restarts_total{{{STATE}}}[1h]))",
                        ["namespace", "pod", "container"],
                        value="Restarts",
                        thresholds=((1, "orange"), (3, "red")),
                    ),
                ],
            ),
            (
                "Network and names",
                [
                    b.graph(
                        "DNS requests",
                        "Questions to the cluster's DNS, by response code.",
                        "reqps",
                        b.query(f"sum by (rcode) (rate(coredns_dns_responses_total[{b.RATE}]))", "{{rcode}}"),
                        width=8,
                    ),
                    b.graph(
                        "DNS latency",
                        "99 of 100 questions are answered within this time.",
                        "s",
                        b.query(
                            "histogram_quantile(0.99, sum by (le)"
                            f" (rate(coredns_dns_request_duration_seconds_bucket[{b.RATE}])))",
                            "p99",
                        ),
                        width=8,
                        thresholds=((0.5, "orange"), (1, "red")),
                    ),
                    b.graph(
                        "Packets dropped",
                        "Packets that Cilium dropped, by reason. 'Policy denied' is a NetworkPolicy at work.",
                        "pps",
                        b.query(
                            f"sum by (reason, direction) (rate(cilium_drop_count_total[{b.RATE}]))",
                            "{{reason}} {{direction}}",
                        ),
                        width=8,
                    ),
                ],
            ),
        ],
        [b.variable("namespace", "Namespace", "label_values(kube_namespace_status_phase, namespace)")],
    )
