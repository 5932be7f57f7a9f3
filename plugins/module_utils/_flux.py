# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Reconcile Flux objects and know for certain when that is done (private).

Annotations: https://fluxcd.io/flux/components/helm/helmreleases/#triggering-a-reconcile. They are written with the
field manager that Flux documents; under another one the controllers would remove them again.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import Any

from ._flux_status import evaluate_at, revisions
from ._kube_client import MERGE_PATCH, KubeClient
from ._kube_conditions import Progress, condition, describe, progressing, ready
from ._kube_errors import KubeError, NotFoundError
from ._kube_resources import Resources
from ._kube_wait import Target, Waiter, WaitError

API_VERSIONS = {
    "OCIRepository": "source.toolkit.fluxcd.io/v1",
    "GitRepository": "source.toolkit.fluxcd.io/v1",
    "HelmRepository": "source.toolkit.fluxcd.io/v1",
    "HelmChart": "source.toolkit.fluxcd.io/v1",
    "Bucket": "source.toolkit.fluxcd.io/v1",
    "Kustomization": "kustomize.toolkit.fluxcd.io/v1",
    "HelmRelease": "helm.toolkit.fluxcd.io/v2",
}
REQUESTED_AT = "reconcile.fluxcd.io/requestedAt"
_RESET_AT = "reconcile.fluxcd.io/resetAt"
_FORCE_AT = "reconcile.fluxcd.io/forceAt"
_FIELD_MANAGER = "flux-client-side-apply"
_GRACE_SECONDS = 10.0

Document = dict[str, Any]


@dataclass(frozen=True)
class FluxObject:
    """Which Flux object is meant."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"

    def target(self, judge: Any) -> Target:
        """Return the target for the waiter, judged by ``judge``."""
        return Target(API_VERSIONS[self.kind], self.kind, self.name, self.namespace, judge=judge)


class SuspendedError(KubeError):
    """The object is suspended, so a reconciliation would never happen."""


def source_of(document: Document) -> FluxObject | None:
    """Return the source that a Kustomization or HelmRelease takes its content from; None for sources themselves."""
    spec, namespace = document.get("spec") or {}, document["metadata"].get("namespace", "")
    if document.get("kind") == "Kustomization":
        reference = spec.get("sourceRef") or {}
    elif document.get("kind") == "HelmRelease":
        reference = spec.get("chartRef") or ((spec.get("chart") or {}).get("spec") or {}).get("sourceRef") or {}
    else:
        return None
    if reference.get("kind") not in API_VERSIONS:
        return None
    return FluxObject(reference["kind"], reference.get("namespace") or namespace, reference["name"])


class Reconciler:
    """Triggers reconciliations and waits for their real end."""

    def __init__(self, client: KubeClient, resources: Resources, waiter: Waiter) -> None:
        self._client = client
        self._resources = resources
        self._waiter = waiter

    def path(self, item: FluxObject) -> str:
        """Return the API path of an object; raises UnknownKindError when Flux is not installed."""
        return self._resources.find(API_VERSIONS[item.kind], item.kind).path(item.namespace, item.name)

    def read(self, item: FluxObject, grace: float = 0.0) -> Document:
        """Read an object, waiting ``grace`` seconds for it to appear; raises NotFoundError."""
        deadline = time.monotonic() + grace
        while True:
            try:
                return self._client.get(self.path(item))
            except NotFoundError:
                if time.monotonic() >= deadline:
                    raise
            time.sleep(0.5)

    def reconcile(
        self,
        item: FluxObject,
        timeout: float,
        with_source: bool = True,
        expected: str = "",
        reset: bool = False,
        force: bool = False,
    ) -> Document:
        """Reconcile ``item``, its source first, and return the object when that has succeeded.

        ``expected`` is the revision that the source must have fetched (for a source: itself). Raises SuspendedError,
        NotFoundError, or WaitError with the reason that Flux gives.
        """
        deadline = time.monotonic() + timeout
        document = self.read(item, min(_GRACE_SECONDS, timeout))
        source = source_of(document) if with_source else None
        _refuse_suspended(item, document)
        if source and not _is_static(self.read(source)):
            # Without this, the reconciliation of the old revision would count as success.
            fetched = self._one(source, deadline, expected if item.kind == "Kustomization" else "", False, False)
            expected = _proof(item, source, fetched) or expected
        return self._one(item, deadline, expected, reset, force)

    def _one(self, item: FluxObject, deadline: float, expected: str, reset: bool, force: bool) -> Document:
        _refuse_suspended(item, self.read(item))
        for attempt in (1, 2):
            token = self._request(item, reset, force)
            try:
                return self.wait(item, deadline - time.monotonic(), expected, token)
            except WaitError:
                # A lost status update leaves a finished release at Ready=Unknown for ever (helm-controller#1409).
                if attempt == 2 or not self._looks_forgotten(item):
                    raise
            deadline = time.monotonic() + 30.0
        raise AssertionError("unreachable")

    def wait(self, item: FluxObject, timeout: float, expected: str = "", token: str = "") -> Document:
        """Wait until an object is ready (at a revision; having handled the request ``token``) and return it."""

        def judge(document: Document) -> Progress:
            if token and (document.get("status") or {}).get("lastHandledReconcileAt") != token:
                return progressing("the request has not been handled yet")
            return evaluate_at(document, expected)

        waited = self._waiter.wait([item.target(judge)], max(1.0, timeout))
        return waited[0].document or {}

    def suspend(self, item: FluxObject, suspended: bool, dry_run: bool = False) -> Document:
        """Set or remove ``spec.suspend`` and return the object as the server keeps it then."""
        # Removed, not set to false: false would stay ours and stand in the way of whoever describes the object.
        body = {"spec": {"suspend": True if suspended else None}}
        query = {"fieldManager": _FIELD_MANAGER, "dryRun": "All" if dry_run else None}
        return self._client.request("PATCH", self.path(item), query, body, MERGE_PATCH)[1]

    def settle(self, item: FluxObject, timeout: float) -> Document:
        """Wait until no reconciliation of a suspended object is on its way any more, and return the object."""

        def judge(document: Document) -> Progress:
            running = condition(document, "Reconciling")
            # Between two tries nothing runs, and the condition stays for as long as the object is suspended.
            busy = running.get("status") == "True" and running.get("reason") != "ProgressingWithRetry"
            return progressing(describe(running)) if busy else ready()

        waited = self._waiter.wait([item.target(judge)], max(1.0, timeout))
        return waited[0].document or {}

    def _request(self, item: FluxObject, reset: bool, force: bool) -> str:
        token = f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())}-{secrets.token_hex(6)}"
        annotations = {REQUESTED_AT: token}
        if reset:
            annotations[_RESET_AT] = token
        if force:
            annotations[_FORCE_AT] = token
        body = {"metadata": {"annotations": annotations}}
        self._client.request("PATCH", self.path(item), {"fieldManager": _FIELD_MANAGER}, body, MERGE_PATCH)
        return token

    def _looks_forgotten(self, item: FluxObject) -> bool:
        if item.kind != "HelmRelease":
            return False
        document = self.read(item)
        newest = ((document.get("status") or {}).get("history") or [{}])[0]
        return condition(document, "Ready").get("status") == "Unknown" and newest.get("status") == "deployed"


def _proof(item: FluxObject, source: FluxObject, fetched: Document) -> str:
    """Return the revision of ``item`` that proves that it used what its source has fetched; empty if none does."""
    found = revisions(fetched)
    if item.kind == "Kustomization":
        return found[0] if found else ""
    # A release of an OCI artifact records the digest; one of a Helm repository names only the chart's version.
    return found[0].rpartition("@")[2] if found and source.kind == "OCIRepository" else ""


def _is_static(document: Document) -> bool:
    """A HelmRepository of type oci is only an address: nothing reconciles it."""
    return document.get("kind") == "HelmRepository" and (document.get("spec") or {}).get("type") == "oci"


def _refuse_suspended(item: FluxObject, document: Document) -> None:
    if (document.get("spec") or {}).get("suspend"):
        raise SuspendedError(f"{item} is suspended", "Set suspend to false first.")
