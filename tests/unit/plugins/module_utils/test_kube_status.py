# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What counts as ready, on its way, or failed."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.onprem.platform.plugins.module_utils import _flux_status
from ansible_collections.onprem.platform.plugins.module_utils._kube_conditions import describe, describe_all
from ansible_collections.onprem.platform.plugins.module_utils._kube_status import evaluate, is_instant, matches

GROUPS = {
    "Deployment": "apps/v1",
    "DaemonSet": "apps/v1",
    "StatefulSet": "apps/v1",
    "Job": "batch/v1",
    "CustomResourceDefinition": "apiextensions.k8s.io/v1",
    "APIService": "apiregistration.k8s.io/v1",
    "Widget": "test.internal/v1",
    "Kustomization": "kustomize.toolkit.fluxcd.io/v1",
    "HelmRelease": "helm.toolkit.fluxcd.io/v2",
    "HelmRepository": "source.toolkit.fluxcd.io/v1",
    "OCIRepository": "source.toolkit.fluxcd.io/v1",
    "Alert": "notification.toolkit.fluxcd.io/v1beta3",
}


def thing(kind: str, status: dict[str, Any] | None = None, generation: int = 2, **spec: Any) -> dict[str, Any]:
    document: dict[str, Any] = {
        "apiVersion": GROUPS.get(kind, "v1"),
        "kind": kind,
        "metadata": {"name": "one", "namespace": "a", "generation": generation},
        "spec": spec,
    }
    if status is not None:
        document["status"] = status
    return document


def cond(
    kind: str, status: str = "True", reason: str = "Because", observed: int | None = 2, message: str = "words"
) -> Any:
    item = {"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": "T2"}
    return item if observed is None else {**item, "observedGeneration": observed}


def conditions(*items: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"conditions": list(items), **more}


DONE = {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2}
NODES = {"desiredNumberScheduled": 2, "updatedNumberScheduled": 2, "numberAvailable": 2}


@pytest.mark.parametrize(
    ("document", "state"),
    [
        (thing("Deployment", DONE, replicas=2), "ready"),
        (thing("Deployment", {**DONE, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}), "ready"),
        (thing("Deployment", {"observedGeneration": 2}, replicas=0), "ready"),
        (thing("Deployment", {**DONE, "observedGeneration": 1}, replicas=2), "progressing"),
        (thing("Deployment", {**DONE, "updatedReplicas": 1}, replicas=2), "progressing"),
        (thing("Deployment", {**DONE, "replicas": 3}, replicas=2), "progressing"),
        (thing("Deployment", {**DONE, "availableReplicas": 1}, replicas=2), "progressing"),
        (thing("Deployment", conditions(cond("Progressing", "False", "ProgressDeadlineExceeded"))), "failed"),
        (thing("DaemonSet", {}), "progressing"),
        (thing("DaemonSet", NODES), "ready"),
        (thing("DaemonSet", {**NODES, "updatedNumberScheduled": 1}), "progressing"),
        (thing("DaemonSet", {**NODES, "updatedNumberScheduled": 1}, updateStrategy={"type": "OnDelete"}), "ready"),
        (thing("DaemonSet", {**NODES, "numberAvailable": 1}), "progressing"),
        (thing("StatefulSet", {**DONE, "updateRevision": "b", "currentRevision": "b"}, replicas=2), "ready"),
        (thing("StatefulSet", {**DONE, "updateRevision": "b", "currentRevision": "a"}, replicas=2), "progressing"),
        (
            thing("StatefulSet", {**DONE, "updatedReplicas": 0}, replicas=2, updateStrategy={"type": "OnDelete"}),
            "ready",
        ),
        (thing("StatefulSet", {**DONE, "readyReplicas": 1}, replicas=2), "progressing"),
        (thing("StatefulSet", {**DONE, "updatedReplicas": 1}, replicas=2), "progressing"),
        (
            thing(
                "StatefulSet",
                {**DONE, "updatedReplicas": 1, "updateRevision": "b", "currentRevision": "a"},
                replicas=2,
                updateStrategy={"rollingUpdate": {"partition": 1}},
            ),
            "ready",
        ),
        (thing("Job", conditions(cond("Complete"))), "ready"),
        (thing("Job", conditions(cond("Failed"))), "failed"),
        (thing("Job", {"active": 1}), "progressing"),
        (thing("Pod", {"phase": "Running", **conditions(cond("Ready", observed=None))}), "ready"),
        (thing("Pod", {"phase": "Pending"}), "progressing"),
        (thing("Pod", {"phase": "Succeeded"}), "ready"),
        (thing("Pod", {"phase": "Failed", "reason": "Evicted"}), "failed"),
        (thing("Node", conditions(cond("Ready", observed=None))), "ready"),
        (thing("Node", conditions(cond("Ready", "Unknown", observed=None))), "progressing"),
        (thing("CustomResourceDefinition", conditions(cond("Established"))), "ready"),
        (thing("CustomResourceDefinition", {}), "progressing"),
        (thing("CustomResourceDefinition", conditions(cond("NamesAccepted", "False"))), "failed"),
        (thing("APIService", conditions(cond("Available"))), "ready"),
        (thing("APIService", conditions(cond("Available", "False"))), "progressing"),
        (thing("PersistentVolumeClaim", {"phase": "Bound"}), "ready"),
        (thing("PersistentVolumeClaim", {"phase": "Pending"}), "progressing"),
        (thing("PersistentVolumeClaim", {"phase": "Lost"}), "failed"),
        (thing("Namespace", {"phase": "Active"}), "ready"),
        (thing("Namespace", {"phase": "Terminating"}), "progressing"),
        (thing("Service", {}), "ready"),
        (thing("Service", {}, type="LoadBalancer"), "progressing"),
        (thing("Service", {"loadBalancer": {"ingress": [{"ip": "1"}]}}, type="LoadBalancer"), "ready"),
        (thing("Widget"), "ready"),
        (thing("Widget", {"observedGeneration": 1}), "progressing"),
        (thing("Widget", conditions(cond("Ready"))), "ready"),
        (thing("Widget", conditions(cond("Ready", observed=1))), "progressing"),
        (thing("Widget", conditions(cond("Ready", "False"))), "progressing"),
        (thing("Widget", conditions(cond("Stalled"))), "failed"),
        (thing("Widget", conditions(cond("Stalled", observed=1), cond("Ready"))), "ready"),
        (thing("Widget", conditions(cond("Reconciling"), cond("Ready"))), "progressing"),
        # Flux
        (thing("Kustomization"), "progressing"),
        (thing("Kustomization", conditions(cond("Ready"))), "ready"),
        (thing("Kustomization", conditions(cond("Ready", observed=1))), "progressing"),
        (thing("Kustomization", conditions(cond("Ready"), cond("Reconciling"))), "progressing"),
        (thing("Kustomization", conditions(cond("Ready", "False"), cond("Reconciling"))), "progressing"),
        (thing("Kustomization", conditions(cond("Ready", "Unknown"))), "progressing"),
        (thing("Kustomization", conditions(cond("Ready", "False"))), "failed"),
        (thing("Kustomization", conditions(cond("Ready")), suspend=True), "failed"),
        (thing("Kustomization", conditions(cond("Stalled"))), "failed"),
        (thing("Kustomization", conditions(cond("Stalled", observed=1), cond("Ready"))), "ready"),
        (
            thing("HelmRelease", conditions(cond("Ready", "False"), cond("Remediated", reason="RollbackSucceeded"))),
            "failed",
        ),
        (thing("HelmRelease", conditions(cond("Ready"), cond("Drifted", "False"))), "ready"),
        (
            thing(
                "HelmRelease",
                conditions(cond("Ready", "False"), cond("Reconciling"), cond("Remediated", reason="RollbackSucceeded")),
            ),
            "progressing",
        ),
        # As helm-controller leaves a release with a retry to come: an interval later.
        *(
            (
                thing(
                    "HelmRelease",
                    conditions(
                        cond("Ready", "False", "RollbackSucceeded"),
                        cond("Reconciling", reason="ProgressingWithRetry"),
                        cond("Remediated", reason="RollbackSucceeded", observed=observed),
                    ),
                ),
                state,
            )
            for observed, state in ((2, "failed"), (1, "progressing"))
        ),
        # As kustomize-controller leaves them, without Reconciling.
        (thing("Kustomization", conditions(cond("Ready", "False", "DependencyNotReady"))), "progressing"),
        (thing("Kustomization", conditions(cond("Ready", "False", "ArtifactFailed"))), "progressing"),
        # The conditions are there, the rest of the status follows.
        (thing("OCIRepository", conditions(cond("Ready"))), "progressing"),
        (thing("OCIRepository", conditions(cond("Ready"), artifact={"revision": "a"})), "ready"),
        (thing("Kustomization", conditions(cond("Ready"), observedGeneration=-1)), "progressing"),
        (thing("HelmRepository", type="oci"), "ready"),
        (thing("HelmRepository"), "progressing"),
        (thing("Alert"), "ready"),
    ],
)
def test_states(document: dict[str, Any], state: str) -> None:
    progress = evaluate(document)
    assert progress.state == state, progress.message


def test_deletion_is_never_ready() -> None:
    for kind in ("Widget", "Kustomization"):
        document = thing(kind, conditions(cond("Ready")))
        document["metadata"]["deletionTimestamp"] = "T"
        assert evaluate(document).state == "progressing"


def test_rolled_back_release_tells_the_story() -> None:
    status = conditions(
        cond("Ready", "False", "RollbackSucceeded"),
        cond("Remediated", reason="RollbackSucceeded", message="rolled back to v1"),
        cond("Released", "False", "UpgradeFailed", message="hook failed"),
        history=[
            {"version": 3, "status": "deployed"},
            {"version": 2, "status": "failed", "chartVersion": "2.0.0", "lastDeployed": "T1"},
        ],
    )
    message = evaluate(thing("HelmRelease", status)).message
    for word in ("2.0.0", "rolled back to v1", "deployed T1, recovered T2", "hook failed"):
        assert word in message
    status["conditions"][1]["status"] = "False"
    assert "release version 2" in evaluate(thing("HelmRelease", status)).message
    status["history"] = []
    status["conditions"][1]["status"] = "True"
    del status["conditions"][2]
    assert evaluate(thing("HelmRelease", status)).message.startswith("revision ? failed")


def test_revisions() -> None:
    source = thing(
        "OCIRepository", conditions(cond("Ready"), artifact={"revision": "latest@sha256:ab", "digest": "sha256:cd"})
    )
    for expected in ("latest", "latest@sha256:ab", "sha256:ab", "ab", "sha256:cd", ""):
        assert _flux_status.evaluate_at(source, expected).ready
    assert "instead of b" in _flux_status.evaluate_at(source, "b").message
    release = thing("HelmRelease", conditions(cond("Ready"), lastAttemptedRevision="1.0.0+ab"))
    assert _flux_status.revisions(release) == []
    release["status"]["history"] = [{"chartVersion": "1.0.0", "ociDigest": "sha256:ab", "status": "deployed"}]
    assert _flux_status.revisions(release) == ["1.0.0", "sha256:ab", "1.0.0+ab"]
    assert _flux_status.evaluate_at(release, "1.0.0").ready
    release["status"]["history"][0]["status"] = "superseded"
    assert "its newest release is superseded" in _flux_status.evaluate_at(release, "1.0.0").message
    applied = thing("Kustomization", conditions(cond("Ready"), lastAppliedRevision="main@sha1:abc"))
    assert _flux_status.has_revision(applied, "abc")
    assert _flux_status.summary(applied)["revision"] == "main@sha1:abc"
    assert _flux_status.summary(thing("Kustomization"))["revision"] == ""


def test_condition_matching() -> None:
    document = thing("Widget", conditions(cond("Ready"), cond("Old", observed=1)))
    assert matches(document, {"type": "Ready"}).ready
    assert matches(document, {"type": "Ready", "reason": "Because"}).ready
    assert not matches(document, {"type": "Ready", "reason": "Other"}).ready
    assert not matches(document, {"type": "Ready", "status": "False"}).ready
    assert "older change" in matches(document, {"type": "Old"}).message
    assert "no such condition" in matches(document, {"type": "None"}).message
    assert describe({"type": "A", "status": "True"}) == "A=True"
    assert describe_all(document) == "Ready=True Because: words; Old=True Because: words"


def test_kinds_that_need_no_waiting() -> None:
    assert is_instant("v1", "ConfigMap")
    assert is_instant("rbac.authorization.k8s.io/v1", "Role")
    assert not is_instant("test.internal/v1", "Role")
    assert not is_instant("apps/v1", "Deployment")
