# SPDX-FileCopyrightText: 2026 onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dashboard "Policy": what the cluster refuses, and how long the decision takes.

It shows what the API servers and Cilium measure by themselves: Pod Security, admission, authorisation, NetworkPolicy.
The row about webhooks shows those of policy-controller, and of others that a site installs.
"""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from . import build as b

API = 'job="apiserver"'
AGENT = 'job="cilium-agent", node=~"$node"'


def dashboard() -> Dashboard:
    """Return the dashboard."""
    enforced = f'pod_security_evaluations_total{{{API}, mode="enforce"'
    controllers = f"apiserver_admission_controller_admission_duration_seconds_bucket{{{API}}}[{b.RATE}]"
    webhooks = f"apiserver_admission_webhook_admission_duration_seconds_bucket{{{API}}}[{b.RATE}]"
    return b.build(
        "onprem-policy",
        "Policy",
        "What Pod Security, admission, authorisation and network policies refuse, and what that costs.",
        [
            (
                "Pod Security",
                [
                    b.number(
                        "Pods refused today",
                        "Pods that Pod Security refused within 24 hours.",
                        "short",
                        b.query(
                            f'sum(increase({enforced}}}[24h])) - sum(increase({enforced}, decision!="deny"}}[24h]))'
                        ),
                        width=6,
                        thresholds=((1, "orange"),),
                        decimals=0,
                    ),
                    b.number(
                        "Exempt requests",
                        "Requests that an exemption let through within 24 hours. The platform configures none.",
                        "short",
                        b.query(f"sum(increase(pod_security_exemptions_total{{{API}}}[24h]))"),
                        width=6,
                        thresholds=b.NONE_IS_GOOD,
                        decimals=0,
                    ),
                    b.graph(
                        "Evaluations",
                        "Decisions on pods by the level of their namespace.",
                        "cps",
                        b.query(
                            f"sum by (policy_level, decision) (rate({enforced}}}[{b.RATE}]))",
                            "{{policy_level}} {{decision}}",
                        ),
                    ),
                ],
            ),
            (
                "Admission and authorisation",
                [
                    b.graph(
                        "Admission time",
                        "99 of 100 decisions of the five slowest admission plugins are taken within this time.",
                        "s",
                        b.query(
                            f"topk(5, histogram_quantile(0.99, sum by (le, name) (rate({controllers}))))", "{{name}}"
                        ),
                        width=8,
                    ),
                    b.graph(
                        "Refused by admission",
                        "Requests per hour that an admission plugin refused.",
                        "short",
                        b.query(
                            "sum by (name) (increase(apiserver_admission_controller_admission_duration_seconds_count"
                            f'{{{API}, rejected="true"}}[1h]))',
                            "{{name}}",
                        ),
                        width=8,
                    ),
                    b.graph(
                        "Authorisation",
                        "Decisions on who may do what. 'no-opinion' means that no rule allows it: refused.",
                        "reqps",
                        b.query(
                            f"sum by (result) (rate(authorization_attempts_total{{{API}}}[{b.RATE}]))", "{{result}}"
                        ),
                        width=8,
                    ),
                ],
            ),
            (
                "Admission webhooks",
                [
                    b.graph(
                        "Webhook time",
                        "99 of 100 answers of a webhook come within this time.",
                        "s",
                        b.query(f"histogram_quantile(0.99, sum by (le, name) (rate({webhooks})))", "{{name}}"),
                        thresholds=((1, "orange"), (5, "red")),
                    ),
                    b.graph(
                        "Refused by webhooks",
                        "Requests per hour that a webhook refused or failed to judge. Empty while there was none.",
                        "short",
                        b.query(
                            "sum by (name, error_type)"
                            f" (increase(apiserver_admission_webhook_rejection_count{{{API}}}[1h]))",
                            "{{name}} {{error_type}}",
                        ),
                    ),
                ],
            ),
            (
                "Network policies",
                [
                    b.graph(
                        "Packets refused",
                        "Packets that no policy allows, by node and direction.",
                        "pps",
                        b.query(
                            "sum by (node, direction)"
                            f' (rate(cilium_drop_count_total{{{AGENT}, reason="Policy denied"}}[{b.RATE}]))',
                            "{{node}} {{direction}}",
                        ),
                        width=8,
                    ),
                    b.graph(
                        "Enforcement",
                        "Endpoints by the directions that policies restrict. 'none' is open.",
                        "short",
                        b.query(
                            f"sum by (enforcement) (cilium_policy_endpoint_enforcement_status{{{AGENT}}})",
                            "{{enforcement}}",
                        ),
                        width=8,
                        stacked=True,
                    ),
                    b.listing(
                        "Policies by namespace",
                        "NetworkPolicies. A namespace that is missing has none, so all its traffic is allowed.",
                        "short",
                        'sort_desc(count by (namespace) (kube_networkpolicy_created{job="kube-state-metrics"}))',
                        ["namespace"],
                        value="Policies",
                        width=8,
                    ),
                ],
            ),
        ],
        [b.variable("node", "Node", 'label_values(up{job="cilium-agent"}, node)')],
    )
