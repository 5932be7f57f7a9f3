# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Is an object in the state that its spec asks for? (private)

Rules follow ``kubectl rollout status`` for workloads and the conventions of kstatus for everything else
(https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/kstatus/README.md).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import _flux_status
from ._kube_conditions import (
    FAILED,
    Progress,
    condition,
    describe,
    failed,
    is_current,
    is_true,
    progressing,
    ready,
)

Document = dict[str, Any]


def _number(document: Document, key: str) -> int:
    return int((document.get("status") or {}).get(key) or 0)


def _wanted(document: Document) -> int:
    replicas = (document.get("spec") or {}).get("replicas")
    return 1 if replicas is None else int(replicas)


def _deployment(document: Document) -> Progress:
    stuck = condition(document, "Progressing")
    if stuck.get("reason") == "ProgressDeadlineExceeded":
        return failed(describe(stuck))
    wanted, updated = _wanted(document), _number(document, "updatedReplicas")
    if updated < wanted:
        return progressing(f"{updated} of {wanted} replicas are of the new revision")
    old = _number(document, "replicas") - updated
    if old > 0:
        return progressing(f"{old} replicas of the old revision still run")
    available = _number(document, "availableReplicas")
    return ready() if available >= wanted else progressing(f"{available} of {wanted} replicas are available")


def _daemon_set(document: Document) -> Progress:
    wanted = _number(document, "desiredNumberScheduled")
    if wanted == 0:
        return progressing("no node is chosen yet (desiredNumberScheduled is 0)")
    strategy = ((document.get("spec") or {}).get("updateStrategy") or {}).get("type")
    updated = _number(document, "updatedNumberScheduled")
    if strategy != "OnDelete" and updated < wanted:
        return progressing(f"{updated} of {wanted} pods are of the new revision")
    available = _number(document, "numberAvailable")
    return ready() if available >= wanted else progressing(f"{available} of {wanted} pods are available")


def _stateful_set(document: Document) -> Progress:
    wanted, spec, status = _wanted(document), document.get("spec") or {}, document.get("status") or {}
    running = _number(document, "readyReplicas")
    if running < wanted:
        return progressing(f"{running} of {wanted} pods are ready")
    strategy = spec.get("updateStrategy") or {}
    if strategy.get("type") == "OnDelete":
        return ready()
    partition = int((strategy.get("rollingUpdate") or {}).get("partition") or 0)
    updated = _number(document, "updatedReplicas")
    if updated < wanted - partition:
        return progressing(f"{updated} of {wanted - partition} pods are of the new revision")
    if not partition and status.get("updateRevision") != status.get("currentRevision"):
        return progressing("the new revision is not yet the current one")
    return ready()


def _job(document: Document) -> Progress:
    if is_true(document, "Failed"):
        return failed(describe(condition(document, "Failed")))
    if is_true(document, "Complete"):
        return ready()
    status = document.get("status") or {}
    return progressing(
        f"active {status.get('active', 0)}, succeeded {status.get('succeeded', 0)}, failed {status.get('failed', 0)}"
    )


def _pod(document: Document) -> Progress:
    phase = (document.get("status") or {}).get("phase")
    if phase == "Succeeded":
        return ready()
    if phase == "Failed":
        status = document.get("status") or {}
        return failed(f"phase Failed {status.get('reason', '')}: {status.get('message', '')}".strip(" :"))
    return ready() if is_true(document, "Ready") else progressing(f"phase {phase or 'unknown'}")


def _node(document: Document) -> Progress:
    return ready() if is_true(document, "Ready") else progressing(describe(condition(document, "Ready")))


def _crd(document: Document) -> Progress:
    names = condition(document, "NamesAccepted")
    if names.get("status") == "False":
        return failed(describe(names))
    return ready() if is_true(document, "Established") else progressing("not established yet")


def _api_service(document: Document) -> Progress:
    available = condition(document, "Available")
    return ready() if available.get("status") == "True" else progressing(describe(available))


def _claim(document: Document) -> Progress:
    phase = (document.get("status") or {}).get("phase")
    if phase == "Lost":
        return failed("its volume is lost")
    return ready() if phase == "Bound" else progressing(f"phase {phase or 'unknown'}")


def _namespace(document: Document) -> Progress:
    phase = (document.get("status") or {}).get("phase")
    return ready() if phase == "Active" else progressing(f"phase {phase or 'unknown'}")


def _load_balancer(document: Document) -> Progress:
    if (document.get("spec") or {}).get("type") != "LoadBalancer":
        return ready()
    ingress = ((document.get("status") or {}).get("loadBalancer") or {}).get("ingress")
    return ready() if ingress else progressing("no load balancer address yet")


_RULES: dict[tuple[str, str], Callable[[Document], Progress]] = {
    ("apps", "Deployment"): _deployment,
    ("apps", "DaemonSet"): _daemon_set,
    ("apps", "StatefulSet"): _stateful_set,
    ("batch", "Job"): _job,
    ("", "Pod"): _pod,
    ("", "Node"): _node,
    ("", "PersistentVolumeClaim"): _claim,
    ("", "Namespace"): _namespace,
    ("", "Service"): _load_balancer,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): _crd,
    ("apiregistration.k8s.io", "APIService"): _api_service,
}


# Kinds of Kubernetes itself that are in effect as soon as they exist.
_INSTANT = frozenset(
    (
        "ClusterRole",
        "ClusterRoleBinding",
        "ConfigMap",
        "IngressClass",
        "LimitRange",
        "MutatingWebhookConfiguration",
        "NetworkPolicy",
        "PriorityClass",
        "Role",
        "RoleBinding",
        "RuntimeClass",
        "Secret",
        "ServiceAccount",
        "StorageClass",
        "ValidatingWebhookConfiguration",
    )
)


def is_instant(api_version: str, kind: str) -> bool:
    """Tell whether there is nothing to wait for once such an object exists."""
    group = api_version.rpartition("/")[0]
    return kind in _INSTANT and ("." not in group or group.endswith(".k8s.io"))


def evaluate(document: Document) -> Progress:
    """Judge one live object. An object of an unknown kind is ready unless its conditions say otherwise."""
    if _flux_status.is_flux(document):
        return _flux_status.evaluate(document)
    if (document.get("metadata") or {}).get("deletionTimestamp"):
        return progressing("it is being deleted")
    if not is_current(document):
        return progressing("its controller has not seen the newest change yet")
    group = str(document.get("apiVersion", "")).rpartition("/")[0]
    rule = _RULES.get((group, str(document.get("kind"))))
    return rule(document) if rule else _generic(document)


def beyond_help(document: Document) -> Progress | None:
    """Return the verdict on an object that has failed for good, whatever else is waited for; None if it has not."""
    suspended = _flux_status.is_flux(document) and (document.get("spec") or {}).get("suspend")
    progress = evaluate(document)
    return progress if progress.state == FAILED and not suspended else None


def _generic(document: Document) -> Progress:
    stalled = condition(document, "Stalled")
    if stalled.get("status") == "True" and is_current(document, stalled):
        return failed(describe(stalled))
    if is_true(document, "Reconciling"):
        return progressing(describe(condition(document, "Reconciling")))
    item = condition(document, "Ready")
    if not item:
        return ready()
    if not is_current(document, item):
        return progressing("its Ready condition is of an older change")
    return ready() if item.get("status") == "True" else progressing(describe(item))


def matches(document: Document, wanted: dict[str, Any]) -> Progress:
    """Judge one condition: ``wanted`` has type, status ("True" if unset) and maybe reason."""
    item = condition(document, str(wanted["type"]))
    if not is_current(document, item):
        return progressing(f"{describe(item)} (of an older change)")
    expected = str(wanted.get("status") or "True")
    fits = item.get("status") == expected and wanted.get("reason") in (None, item.get("reason"))
    return ready(describe(item)) if fits else progressing(describe(item))
