# SPDX-FileCopyrightText: 2026 onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dashboard "Vault": servers, raft storage, requests, tokens and leases, audit.

Only the active server shows its metrics to a token. Whether the others are unsealed is what their readiness says.
Vault measures durations in milliseconds, as sums and counts: the panels show averages.
"""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from . import build as b

VAULT = 'job="vault"'
SERVERS = 'job="kube-state-metrics", namespace="vault", pod=~"vault-[0-9]+"'


def _average(metric: str) -> str:
    """Return the average of a summary over the last minutes, in its own unit."""
    return f"sum(rate({metric}_sum{{{VAULT}}}[{b.RATE}])) / sum(rate({metric}_count{{{VAULT}}}[{b.RATE}]))"


def dashboard() -> Dashboard:
    """Return the dashboard."""
    return b.build(
        "onprem-vault",
        "Vault",
        "Servers, storage, requests, tokens, leases and audit. The figures are those of the active server.",
        [
            (
                "Now",
                [
                    b.alerts("Vault.*"),
                    b.number(
                        "Servers ready",
                        "Servers that run and are unsealed.",
                        "short",
                        b.query(f'sum(kube_pod_status_ready{{{SERVERS}, condition="true"}})'),
                        base="red",
                        thresholds=((2, "orange"), (3, "green")),
                    ),
                    b.number(
                        "Active servers",
                        "One server answers; the others wait.",
                        "short",
                        b.query(f"sum(vault_core_active{{{VAULT}}})"),
                        base="red",
                        thresholds=((1, "green"), (2, "red")),
                    ),
                    b.number(
                        "Failures it can bear",
                        "Servers that may fail before raft loses its majority.",
                        "short",
                        b.query(f"min(vault_autopilot_failure_tolerance{{{VAULT}}})"),
                        base="red",
                        thresholds=((1, "green"),),
                    ),
                    b.number(
                        "Leases",
                        "Leases that Vault keeps. A steady rise means that something logs in instead of renewing.",
                        "short",
                        b.query(f"max(vault_expire_num_leases{{{VAULT}}})"),
                    ),
                    b.number(
                        "Leases it cannot revoke",
                        "Their credentials may still work although they ended.",
                        "short",
                        b.query(f"max(vault_expire_num_irrevocable_leases{{{VAULT}}})"),
                        thresholds=b.NONE_IS_GOOD,
                    ),
                ],
            ),
            (
                "Requests",
                [
                    b.graph(
                        "Answers",
                        "Answers by status class.",
                        "reqps",
                        b.query(
                            f"sum by (type) (rate(vault_core_response_status_code{{{VAULT}}}[{b.RATE}]))", "{{type}}"
                        ),
                        stacked=True,
                    ),
                    b.graph(
                        "Time to answer",
                        "Average time of requests and of logins.",
                        "ms",
                        b.query(_average("vault_core_handle_request"), "requests"),
                        b.query(_average("vault_core_handle_login_request"), "logins"),
                        thresholds=((500, "orange"),),
                    ),
                    b.graph(
                        "Tokens made",
                        "New tokens by auth method. Each login makes one.",
                        "cps",
                        b.query(
                            f"sum by (auth_method) (rate(vault_token_creation{{{VAULT}}}[{b.RATE}]))",
                            "{{auth_method}}",
                        ),
                    ),
                    b.graph(
                        "Credentials made",
                        "Leases by secrets engine: for the database engine, each is a new database user.",
                        "cps",
                        b.query(
                            f"sum by (mount_point) (rate(vault_secret_lease_creation{{{VAULT}}}[{b.RATE}]))",
                            "{{mount_point}}",
                        ),
                    ),
                ],
            ),
            (
                "Storage and audit",
                [
                    b.graph(
                        "Raft commit",
                        "Average time until a majority has stored a write.",
                        "ms",
                        b.query(_average("vault_raft_commitTime"), "commit"),
                        width=8,
                        thresholds=((100, "orange"),),
                    ),
                    b.graph(
                        "Audit log",
                        "Entries that could not be written. Vault refuses what it cannot record.",
                        "short",
                        b.query(f"sum(increase(vault_audit_log_request_failure{{{VAULT}}}[1h]))", "requests per hour"),
                        b.query(f"sum(increase(vault_audit_log_response_failure{{{VAULT}}}[1h]))", "answers per hour"),
                        width=8,
                        thresholds=b.NONE_IS_GOOD,
                    ),
                    b.graph(
                        "Memory",
                        "Working set of each server, active or not.",
                        "bytes",
                        b.query(
                            'sum by (pod) (container_memory_working_set_bytes{job="kubelet", namespace="vault",'
                            ' container!="", pod=~"vault-[0-9]+"})',
                            "{{pod}}",
                        ),
                        width=8,
                    ),
                ],
            ),
        ],
    )
