# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What the conditions of a Flux object mean (private).

Condition types and their use: https://fluxcd.io/flux/components/kustomize/kustomizations/#kustomization-status and
https://fluxcd.io/flux/components/helm/helmreleases/#helmrelease-status.
"""

from __future__ import annotations

from typing import Any

from ._kube_conditions import Progress, condition, describe, failed, is_true, progressing, ready

GROUP_SUFFIX = ".toolkit.fluxcd.io"
_ROLLED_BACK = ("RollbackSucceeded", "UninstallSucceeded")


def is_flux(document: dict[str, Any]) -> bool:
    """Tell whether this is an object of Flux."""
    return str(document.get("apiVersion", "")).partition("/")[0].endswith(GROUP_SUFFIX)


def evaluate(document: dict[str, Any]) -> Progress:
    """Judge one object by its conditions.

    Ready counts only with its own observedGeneration equal to the object's generation and without Reconciling. False
    together with Reconciling (a dependency is missing, a retry is due) is still on its way. A release that remediation
    rolled back or removed has failed, although its pods may be healthy.
    """
    metadata = document.get("metadata") or {}
    if (document.get("spec") or {}).get("suspend"):
        return failed("it is suspended: nothing will be reconciled until spec.suspend is removed")
    if metadata.get("deletionTimestamp"):
        return progressing("it is being deleted")
    stalled, current = condition(document, "Stalled"), condition(document, "Ready")
    generation = metadata.get("generation")
    if stalled.get("status") == "True" and stalled.get("observedGeneration", generation) == generation:
        return failed(_with_history(document, describe(stalled)))
    if not current and not (document.get("status") or {}).get("conditions") and _has_no_status(document):
        return ready("this kind reports no status")
    if not current or current.get("observedGeneration", generation) != generation:
        return progressing("the newest change has not been handled yet")
    if is_true(document, "Reconciling"):
        return progressing(describe(current))
    remediated = condition(document, "Remediated")
    if remediated.get("status") == "True" and remediated.get("reason") in _ROLLED_BACK:
        return failed(_rolled_back(document, remediated))
    if current.get("status") == "True":
        return ready(str(current.get("message", "")))
    if current.get("status") == "Unknown":
        return progressing(describe(current))
    return failed(_with_history(document, describe(current)))


def _has_no_status(document: dict[str, Any]) -> bool:
    """Static HelmRepository objects of type oci, and Alert and Provider before v1, never get a status."""
    kind, spec = document.get("kind"), document.get("spec") or {}
    return kind in ("Alert", "Provider") or (kind == "HelmRepository" and spec.get("type") == "oci")


def failed_release(document: dict[str, Any]) -> dict[str, Any]:
    """Return the newest failed entry of a HelmRelease's history, or an empty mapping."""
    for entry in (document.get("status") or {}).get("history") or []:
        if entry.get("status") == "failed":
            return dict(entry)
    return {}


def _rolled_back(document: dict[str, Any], remediated: dict[str, Any]) -> str:
    entry = failed_release(document)
    attempted = (document.get("status") or {}).get("lastAttemptedRevision") or entry.get("chartVersion") or "?"
    reason = describe(condition(document, "Released")) if condition(document, "Released") else ""
    text = f"revision {attempted} failed and was undone ({remediated.get('reason')}: {remediated.get('message')})"
    started, recovered = entry.get("lastDeployed"), remediated.get("lastTransitionTime")
    if started and recovered:
        text += f"; deployed {started}, recovered {recovered}"
    return f"{text}; {reason}" if reason else text


def _with_history(document: dict[str, Any], text: str) -> str:
    entry = failed_release(document)
    if not entry:
        return text
    return f"{text} (release version {entry.get('version')}, chart {entry.get('chartVersion')}: {entry.get('status')})"
