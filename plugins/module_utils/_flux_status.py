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
# Ready=False for one of these is not the end, although kustomize-controller sets no Reconciling beside it.
_TRIED_AGAIN = ("DependencyNotReady", "ArtifactFailed", "SourceNotReady")
_SOURCES = ("OCIRepository", "GitRepository", "HelmRepository", "HelmChart", "Bucket")
_ROLLED_BACK = ("RollbackSucceeded", "UninstallSucceeded")


def is_flux(document: dict[str, Any]) -> bool:
    """Tell whether this is an object of Flux."""
    return str(document.get("apiVersion", "")).partition("/")[0].endswith(GROUP_SUFFIX)


def evaluate(document: dict[str, Any]) -> Progress:
    """Judge one object by its conditions.

    Ready counts only with its own observedGeneration equal to the object's generation and without Reconciling. False
    together with Reconciling (a retry is due), or because something else is not ready, is still on its way. A release
    that remediation rolled back or removed has failed, although its pods may be healthy.

    The controllers write conditions first and the rest of the status a moment later: a True counts when that is there.
    """
    metadata = document.get("metadata") or {}
    if (document.get("spec") or {}).get("suspend"):
        return failed("it is suspended: nothing will be reconciled until spec.suspend is removed")
    if metadata.get("deletionTimestamp"):
        return progressing("it is being deleted")
    stalled, current = condition(document, "Stalled"), condition(document, "Ready")
    generation = metadata.get("generation")
    remediated = condition(document, "Remediated")
    undone = remediated.get("status") == "True" and remediated.get("reason") in _ROLLED_BACK
    if stalled.get("status") == "True" and stalled.get("observedGeneration", generation) == generation:
        text = describe(stalled)
        return failed(f"{_rolled_back(document, remediated)}; {text}" if undone else _with_history(document, text))
    if not current and not (document.get("status") or {}).get("conditions") and _has_no_status(document):
        return ready("this kind reports no status")
    if not current or current.get("observedGeneration", generation) != generation:
        return progressing("the newest change has not been handled yet")
    reconciling = condition(document, "Reconciling")
    # The next try after a rollback is due an interval later: this revision has failed, whatever becomes of that one.
    waits = reconciling.get("reason") == "ProgressingWithRetry" and remediated.get("observedGeneration") == generation
    if undone and (waits or reconciling.get("status") != "True"):
        return failed(_rolled_back(document, remediated))
    if is_true(document, "Reconciling"):
        return progressing(describe(current))
    if current.get("status") == "True":
        complete = _is_complete(document)
        return ready(str(current.get("message", ""))) if complete else progressing("its status is not complete yet")
    if current.get("status") == "Unknown" or current.get("reason") in _TRIED_AGAIN:
        return progressing(describe(current))
    return failed(_with_history(document, describe(current)))


def _is_complete(document: dict[str, Any]) -> bool:
    """Tell whether the status beside the conditions is of this generation, and a source has its artifact."""
    status, generation = document.get("status") or {}, (document.get("metadata") or {}).get("generation")
    if status.get("observedGeneration", generation) != generation:
        return False
    return document.get("kind") not in _SOURCES or bool(status.get("artifact"))


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
    released = condition(document, "Released")
    reason = describe(released) if released.get("status") == "False" else ""
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


def revisions(document: dict[str, Any]) -> list[str]:
    """Return every name of the revision that an object has fetched, applied or released last, the best one first."""
    status = document.get("status") or {}
    kind = document.get("kind")
    if kind == "HelmRelease":
        newest = (status.get("history") or [{}])[0]
        found = [newest.get("chartVersion"), newest.get("ociDigest")]
        if newest.get("status") == "deployed" and newest.get("chartVersion"):
            found.append(status.get("lastAttemptedRevision"))
    elif kind == "Kustomization":
        found = [status.get("lastAppliedRevision")]
    else:
        found = [(status.get("artifact") or {}).get("revision"), (status.get("artifact") or {}).get("digest")]
    return [str(item) for item in found if item]


def has_revision(document: dict[str, Any], expected: str) -> bool:
    """Tell whether an object has arrived at a revision.

    ``expected`` is the whole revision (``1.0.0@sha256:...``, ``main@sha1:...``) or its tag, branch, digest or commit.
    """
    return any(
        text == expected
        or text.startswith((f"{expected}@", f"{expected}+"))
        or text.endswith((f"@{expected}", f":{expected}"))
        for text in revisions(document)
    )


def evaluate_at(document: dict[str, Any], expected: str) -> Progress:
    """Judge an object that must also have arrived at a revision (an empty one means any).

    Of a release, the newest entry of its history has to be the deployed one.
    """
    progress = evaluate(document)
    newest = ((document.get("status") or {}).get("history") or [{}])[0]
    if progress.ready and document.get("kind") == "HelmRelease" and newest.get("status", "deployed") != "deployed":
        return progressing(f"ready, but its newest release is {newest['status']}")
    if progress.ready and expected and not has_revision(document, expected):
        at = ", ".join(revisions(document)) or "none"
        return progressing(f"ready, but at revision {at} instead of {expected}")
    return progress


def summary(document: dict[str, Any]) -> dict[str, Any]:
    """Return what a person wants to know about an object."""
    metadata, spec = document["metadata"], document.get("spec") or {}
    status = document.get("status") or {}
    progress = evaluate(document)
    return {
        "kind": document.get("kind", ""),
        "namespace": metadata.get("namespace", ""),
        "name": metadata["name"],
        "ready": progress.ready,
        "state": progress.state,
        "message": progress.message,
        "suspended": bool(spec.get("suspend")),
        "revision": (revisions(document) or [""])[0],
        "conditions": list(status.get("conditions") or []),
    }
