# SPDX-FileCopyrightText: 2026 onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dashboard "Control plane and etcd": API servers and etcd members.

Scheduler and controller manager listen on the loopback address only and are not scraped.
"""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from . import build as b

API = 'job="apiserver"'
ETCD = 'job="etcd", node=~"$node"'


def dashboard() -> Dashboard:
    """Return the dashboard."""
    return b.build(
        "onprem-control-plane",
        "Control plane and etcd",
        "API servers and etcd members. Scheduler and controller manager listen on loopback and are not scraped.",
        [
            (
                "Now",
                [
                    b.alerts("Etcd.*|ApiServer.*|AggregatedApi.*"),
                    b.number(
                        "API servers up",
                        "API servers that answer.",
                        "short",
                        b.query(f"sum(up{{{API}}})"),
                        base="red",
                        thresholds=((2, "orange"), (3, "green")),
                    ),
                    b.number(
                        "API errors",
                        "Share of requests that an API server answered with a 5xx code.",
                        "percentunit",
                        b.query(
                            f'1 - sum(rate(apiserver_request_total{{{API}, code!~"5.."}}[{b.RATE}]))'
                            f" / sum(rate(apiserver_request_total{{{API}}}[{b.RATE}]))"
                        ),
                        thresholds=((0.01, "orange"), (0.05, "red")),
                        decimals=2,
                    ),
                    b.number(
                        "etcd members with leader",
                        "Members that know a leader. Without one nothing can be written.",
                        "short",
                        b.query(f"sum(etcd_server_has_leader{{{ETCD}}})"),
                        base="red",
                        thresholds=((2, "orange"), (3, "green")),
                    ),
                    b.number(
                        "etcd space used",
                        "Largest member's database as a share of its quota. At the quota etcd refuses writes.",
                        "percentunit",
                        b.query(
                            f"max(etcd_mvcc_db_total_size_in_bytes{{{ETCD}}}"
                            f" / etcd_server_quota_backend_bytes{{{ETCD}}})"
                        ),
                        thresholds=b.SHARE_OF_CAPACITY,
                    ),
                    b.number(
                        "Kubelet certificate",
                        "Time until the first kubelet's client certificate expires; kubelets renew theirs in time.",
                        "s",
                        b.query('min(kubelet_certificate_manager_client_ttl_seconds{job="kubelet"})'),
                        base="red",
                        thresholds=((14 * 86400, "orange"), (45 * 86400, "green")),
                    ),
                ],
            ),
            (
                "API servers",
                [
                    b.graph(
                        "Requests",
                        "Requests by response code.",
                        "reqps",
                        b.query(f"sum by (code) (rate(apiserver_request_total{{{API}}}[{b.RATE}]))", "{{code}}"),
                        stacked=True,
                    ),
                    b.graph(
                        "Latency",
                        "99 of 100 requests are answered within this time; watches and long streams left out.",
                        "s",
                        b.query(
                            "histogram_quantile(0.99, sum by (le, verb)"
                            " (rate(apiserver_request_sli_duration_seconds_bucket"
                            f'{{{API}, verb!~"WATCH|WATCHLIST|CONNECT",'
                            f' subresource!~"proxy|attach|log|exec|portforward"}}[{b.RATE}])))',
                            "{{verb}}",
                        ),
                        thresholds=((1, "orange"), (5, "red")),
                    ),
                    b.graph(
                        "Requests in flight",
                        "Requests that are being served.",
                        "short",
                        b.query(
                            f"sum by (instance, request_kind) (apiserver_current_inflight_requests{{{API}}})",
                            "{{instance}} {{request_kind}}",
                        ),
                    ),
                    b.listing(
                        "Objects stored",
                        "The ten resources with most objects. One that grows without end is a leak.",
                        "short",
                        f"topk(10, max by (group, resource) (apiserver_resource_objects{{{API}}}))",
                        ["group", "resource"],
                        value="Objects",
                    ),
                ],
            ),
            (
                "etcd",
                [
                    b.graph(
                        "Write to disk",
                        "99 of 100 log writes reach the disk within this time. Above 10 ms the disk is too slow.",
                        "s",
                        b.query(
                            "histogram_quantile(0.99, sum by (le, node)"
                            f" (rate(etcd_disk_wal_fsync_duration_seconds_bucket{{{ETCD}}}[{b.RATE}])))",
                            "{{node}}",
                        ),
                        thresholds=((0.01, "orange"), (0.5, "red")),
                    ),
                    b.graph(
                        "Commit",
                        "99 of 100 commits of the database end within this time. Above 25 ms the disk is too slow.",
                        "s",
                        b.query(
                            "histogram_quantile(0.99, sum by (le, node)"
                            f" (rate(etcd_disk_backend_commit_duration_seconds_bucket{{{ETCD}}}[{b.RATE}])))",
                            "{{node}}",
                        ),
                        thresholds=((0.025, "orange"), (0.25, "red")),
                    ),
                    b.graph(
                        "Round trip between members",
                        "99 of 100 messages to another member return within this time.",
                        "s",
                        b.query(
                            "histogram_quantile(0.99, sum by (le, node)"
                            f" (rate(etcd_network_peer_round_trip_time_seconds_bucket{{{ETCD}}}[{b.RATE}])))",
                            "{{node}}",
                        ),
                        thresholds=((0.1, "orange"),),
                    ),
                    b.graph(
                        "Leader changes and failed proposals",
                        "Both stay at zero in a calm cluster.",
                        "short",
                        b.query(
                            f"sum by (node) (increase(etcd_server_leader_changes_seen_total{{{ETCD}}}[1h]))",
                            "{{node}} leader changes per hour",
                        ),
                        b.query(
                            f"sum by (node) (increase(etcd_server_proposals_failed_total{{{ETCD}}}[1h]))",
                            "{{node}} failed proposals per hour",
                        ),
                        thresholds=((3, "orange"),),
                    ),
                    b.graph(
                        "Database size",
                        "Size on disk, and what of it is in use; defragmentation frees the difference.",
                        "bytes",
                        b.query(f"etcd_mvcc_db_total_size_in_bytes{{{ETCD}}}", "{{node}} on disk"),
                        b.query(f"etcd_mvcc_db_total_size_in_use_in_bytes{{{ETCD}}}", "{{node}} in use"),
                        width=24,
                    ),
                ],
            ),
        ],
        [b.variable("node", "etcd member", 'label_values(up{job="etcd"}, node)')],
    )
