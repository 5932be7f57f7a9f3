# SPDX-FileCopyrightText: 2026 onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dashboard "Flux": what is delivered, what is not, and how the controllers fare.

``gotk_resource_info`` comes from kube-state-metrics' custom resource state, the rest from the controllers.
"""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from . import build as b

RESOURCE = 'kind=~"$kind", exported_namespace=~"$namespace"'


def dashboard() -> Dashboard:
    """Return the dashboard."""
    return b.build(
        "onprem-flux",
        "Flux",
        "Sources, Kustomizations and Helm releases, and the controllers that deliver them.",
        [
            (
                "Now",
                [
                    b.alerts("Flux.*"),
                    b.number(
                        "Resources",
                        "Flux' resources of the chosen kinds.",
                        "short",
                        b.query(f"count(gotk_resource_info{{{RESOURCE}}})"),
                    ),
                    b.number(
                        "Not ready",
                        "Resources whose Ready condition is not true.",
                        "short",
                        b.query(
                            f"count(gotk_resource_info{{{RESOURCE}}})"
                            f' - count(gotk_resource_info{{{RESOURCE}, ready="True"}})'
                        ),
                        thresholds=b.NONE_IS_GOOD,
                    ),
                    b.number(
                        "Suspended",
                        "Resources that Flux does not reconcile because somebody suspended them.",
                        "short",
                        b.query(
                            f"count(gotk_resource_info{{{RESOURCE}}})"
                            f' - count(gotk_resource_info{{{RESOURCE}, suspended!="true"}})'
                        ),
                        thresholds=((1, "orange"),),
                    ),
                    b.number(
                        "Controllers up",
                        "Controllers that answer: source, kustomize, helm.",
                        "short",
                        b.query('sum(up{job="flux"})'),
                        base="red",
                        thresholds=((3, "green"),),
                    ),
                    b.number(
                        "Waiting",
                        "Resources in the controllers' queues.",
                        "short",
                        b.query('sum(workqueue_depth{job="flux"})'),
                        thresholds=((10, "orange"),),
                    ),
                    b.listing(
                        "Resources in detail",
                        "Every resource with the revision it is at.",
                        "short",
                        f"gotk_resource_info{{{RESOURCE}}}",
                        ["kind", "exported_namespace", "name", "ready", "suspended", "revision", "source_name"],
                        width=24,
                        height=10,
                    ),
                ],
            ),
            (
                "Controllers",
                [
                    b.graph(
                        "Reconciliation time",
                        "99 of 100 reconciliations end within this time.",
                        "s",
                        b.query(
                            "histogram_quantile(0.99, sum by (le, kind)"
                            f' (rate(gotk_reconcile_duration_seconds_bucket{{job="flux", kind=~"$kind"}}[{b.RATE}])))',
                            "{{kind}}",
                        ),
                        width=8,
                    ),
                    b.graph(
                        "Failed reconciliations",
                        "Reconciliations that ended with an error and are tried again.",
                        "cps",
                        b.query(
                            "sum by (controller)"
                            f' (rate(controller_runtime_reconcile_errors_total{{job="flux"}}[{b.RATE}]))',
                            "{{controller}}",
                        ),
                        width=8,
                    ),
                    b.graph(
                        "Memory",
                        "Resident memory of each controller.",
                        "bytes",
                        b.query('process_resident_memory_bytes{job="flux"}', "{{pod}}"),
                        width=8,
                    ),
                ],
            ),
        ],
        [
            b.variable("kind", "Kind", "label_values(gotk_resource_info, kind)"),
            b.variable("namespace", "Namespace", "label_values(gotk_resource_info, exported_namespace)"),
        ],
    )
