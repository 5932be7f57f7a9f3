# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Bring many objects into the described state by server-side apply, or remove them (private).

API: https://kubernetes.io/docs/reference/using-api/server-side-apply/.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby

from ._kube_client import APPLY, KubeClient
from ._kube_compare import UNCHANGED, VALUES, compare
from ._kube_documents import (
    Document,
    Identity,
    crd_kinds,
    identity,
    masked,
    public_diff,
    public_view,
    rank,
    secret_values,
)
from ._kube_errors import InvalidError, KubeError, KubeTimeoutError, NotFoundError
from ._kube_resources import Resource, Resources, UnknownKindError

FIELD_MANAGER = "onprem.platform"
_FLUX_OWNERS = {
    "Kustomization": "kustomize.toolkit.fluxcd.io",
    "HelmRelease": "helm.toolkit.fluxcd.io",
}
_WORKERS = 8
_CRD_SECONDS = 30.0
# Deleting one of these to replace it would destroy data or everything inside.
NEVER_RECREATED = ("CustomResourceDefinition", "Namespace", "PersistentVolume", "PersistentVolumeClaim")


@dataclass
class Outcome:
    """What happened to one object. ``result``: created, configured, unchanged, deleted or failed."""

    identity: Identity
    result: str
    reason: str = ""
    before: Document | None = None
    after: Document | None = None

    @property
    def changed(self) -> bool:
        return self.result in ("created", "configured", "deleted")

    def as_dict(self) -> dict[str, str]:
        return {**self.identity.as_dict(), "result": self.result, "reason": self.reason}

    def diff(self, hidden: list[str]) -> dict[str, str]:
        return public_diff(self.before, self.after, str(self.identity), hidden)


@dataclass
class ApplyOptions:
    """``recreate_kinds`` may be deleted and made anew when a field is immutable; times are seconds."""

    field_manager: str = FIELD_MANAGER
    force_conflicts: bool = False
    allow_flux_owned: bool = False
    recreate_kinds: list[str] = field(default_factory=list)
    propagation_policy: str = "Background"
    check_mode: bool = False
    wait_timeout: float = 120.0
    hidden_fields: list[str] = field(default_factory=list)


class Applier:
    """Applies or deletes documents through one client."""

    def __init__(
        self,
        client: KubeClient,
        resources: Resources,
        options: ApplyOptions,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._resources = resources
        self._options = options
        self._sleep = sleep
        self._fresh_kinds: set[tuple[str, str]] = set()
        self._fresh_namespaces: set[str] = set()

    def apply(self, documents: list[Document], more_kinds: tuple[tuple[str, str], ...] = ()) -> list[Outcome]:
        """Apply all documents, phase by phase; several at once. A failure is an outcome, no exception.

        ``more_kinds`` (apiVersion, kind) are asked for together with those of the documents.
        """
        brought = {pair for document in documents for pair in crd_kinds(document)}
        self._resources.prepare({*((doc["apiVersion"], doc["kind"]) for doc in documents), *more_kinds} - brought)
        outcomes: list[Outcome] = []
        ordered = sorted(documents, key=rank)
        with ThreadPoolExecutor(_WORKERS) as workers:
            for _rank, phase in groupby(ordered, key=rank):
                done = list(workers.map(self._apply_guarded, phase))
                outcomes += done
                self._after_phase(done, documents)
        return outcomes

    def delete(self, documents: list[Document], wait: bool) -> list[Outcome]:
        """Delete all objects in reverse order; with ``wait`` each phase ends when its objects are gone."""
        self._resources.prepare({(document["apiVersion"], document["kind"]) for document in documents})
        outcomes: list[Outcome] = []
        ordered = sorted(documents, key=rank, reverse=True)
        with ThreadPoolExecutor(_WORKERS) as workers:
            for _rank, phase in groupby(ordered, key=rank):
                done = list(workers.map(self._delete_guarded, phase))
                if wait and not self._options.check_mode:
                    done = list(workers.map(self._await_gone, done))
                outcomes += done
        return outcomes

    # --- one object ----------------------------------------------------------------------------------------------
    def _apply_guarded(self, document: Document) -> Outcome:
        try:
            return self._apply(document)
        except KubeError as error:
            return self._failed(document, error)

    def _delete_guarded(self, document: Document) -> Outcome:
        try:
            return self._delete(document)
        except KubeError as error:
            return self._failed(document, error)

    def _failed(self, document: Document, error: KubeError) -> Outcome:
        # A validation message may quote the value.
        message = masked(error.message, secret_values([document], self._options.hidden_fields))
        reason = f"{message}. {error.hint}" if error.hint else message
        return Outcome(identity(document), "failed", reason)

    def _resource(self, document: Document) -> Resource:
        return self._resources.find(document["apiVersion"], document["kind"])

    @staticmethod
    def _placed(document: Document, resource: Resource) -> Document:
        """Return the document as it is sent: namespace as the scope demands, no status where that is a subresource."""
        sent = {key: value for key, value in document.items() if key != "status" or not resource.status}
        metadata = dict(document["metadata"])
        if resource.namespaced:
            metadata.setdefault("namespace", "default")
        else:
            metadata.pop("namespace", None)
        sent["metadata"] = metadata
        return sent

    def _apply(self, document: Document) -> Outcome:
        options = self._options
        try:
            resource = self._resource(document)
        except UnknownKindError as error:
            if options.check_mode:
                return Outcome(identity(document), "created", error.message, None, document)
            raise
        sent = self._placed(document, resource)
        target = identity(sent)
        path = resource.path(target.namespace, target.name)
        live = self._read(path)
        if live is None:
            return self._create(sent, path)
        self._refuse_flux_owned(live, target)
        verdict = compare(sent, live, options.field_manager)
        if verdict == UNCHANGED:
            return Outcome(target, "unchanged", "", live, live)
        try:
            if options.check_mode or verdict == VALUES:
                planned = self._patch(path, sent, dry_run=True)
                if options.check_mode or _same(live, planned):
                    return self._compared(target, live, planned)
            applied = self._patch(path, sent)
        except InvalidError as error:
            if target.kind not in options.recreate_kinds or "immutable" not in error.message:
                raise
            return self._recreate(sent, path, live)
        return self._compared(target, live, applied)

    def _read(self, path: str) -> Document | None:
        try:
            return self._client.get(path)
        except NotFoundError:
            return None

    def _patch(self, path: str, document: Document, dry_run: bool = False) -> Document:
        query = {
            "fieldManager": self._options.field_manager,
            "force": self._options.force_conflicts or None,
            "dryRun": "All" if dry_run else None,
            "fieldValidation": "Strict",
        }
        return self._client.request("PATCH", path, query, document, APPLY)[1]

    def _create(self, document: Document, path: str) -> Outcome:
        target = identity(document)
        if not self._options.check_mode:
            self._patch_fresh(document, path)
            return Outcome(target, "created", "", None, document)
        if target.namespace in self._fresh_namespaces:
            return Outcome(target, "created", "its namespace would be created too", None, document)
        try:
            self._patch(path, document, dry_run=True)
        except NotFoundError as error:
            return Outcome(target, "created", error.message, None, document)
        return Outcome(target, "created", "", None, document)

    def _patch_fresh(self, document: Document, path: str) -> Document:
        """Create; a kind that this call has just brought may need a moment until its path answers."""
        deadline = time.monotonic() + _CRD_SECONDS
        while True:
            try:
                return self._patch(path, document)
            except NotFoundError as error:
                fresh = (document["apiVersion"], document["kind"]) in self._fresh_kinds
                if not fresh or error.names_object or time.monotonic() > deadline:
                    raise
            self._sleep(0.1)

    def _compared(self, target: Identity, live: Document, applied: Document) -> Outcome:
        if _same(live, applied):
            return Outcome(target, "unchanged", "", live, live)
        only_ownership = public_view(live) == public_view(applied) and not _secret_differs(live, applied)
        reason = "field ownership only" if only_ownership else ""
        return Outcome(target, "configured", reason, live, applied)

    def _recreate(self, document: Document, path: str, live: Document) -> Outcome:
        target = identity(document)
        if target.kind in NEVER_RECREATED:
            raise KubeError(f"{target} cannot be recreated: everything in it would be lost")
        if not self._options.check_mode:
            self._request_deletion(path, live)
            self._gone(target, path)
            self._patch(path, document)
        return Outcome(target, "configured", "recreated, because a changed field is immutable", live, document)

    def _refuse_flux_owned(self, live: Document, target: Identity) -> None:
        labels = (live.get("metadata") or {}).get("labels") or {}
        if self._options.allow_flux_owned:
            return
        for kind, prefix in _FLUX_OWNERS.items():
            if f"{prefix}/name" in labels:
                owner = f"{labels.get(f'{prefix}/namespace', '')}/{labels[f'{prefix}/name']}".lstrip("/")
                raise KubeError(
                    f"{target} is managed by the Flux {kind} {owner}",
                    "Change it there: Flux would undo what is applied here. allow_flux_owned overrides this.",
                )

    # --- deletion --------------------------------------------------------------------------------------------------
    def _delete(self, document: Document) -> Outcome:
        try:
            resource = self._resource(document)
        except UnknownKindError:
            return Outcome(identity(document), "unchanged", "its kind is not served")
        sent = self._placed(document, resource)
        target = identity(sent)
        path = resource.path(target.namespace, target.name)
        live = self._read(path)
        if live is None:
            return Outcome(target, "unchanged", "absent")
        self._refuse_flux_owned(live, target)
        if live["metadata"].get("deletionTimestamp"):
            return Outcome(target, "unchanged", "already being deleted", live, live)
        self._request_deletion(path, live)
        return Outcome(target, "deleted", "", live, None)

    def _request_deletion(self, path: str, live: Document) -> None:
        dry_run = ["All"] if self._options.check_mode else None
        body = {
            # The server ignores the query once there is a body; the query is for whoever reads the audit log.
            "dryRun": dry_run,
            "kind": "DeleteOptions",
            "apiVersion": "v1",
            "propagationPolicy": self._options.propagation_policy,
            # Only this object, not one of the same name that somebody makes in between.
            "preconditions": {"uid": live["metadata"]["uid"]},
        }
        query = {"dryRun": "All" if dry_run else None}
        try:
            self._client.request("DELETE", path, query, body)
        except NotFoundError:
            return

    def _await_gone(self, outcome: Outcome) -> Outcome:
        waiting = outcome.result == "deleted" or outcome.reason == "already being deleted"
        if not waiting:
            return outcome
        target = outcome.identity
        resource = self._resources.find(target.api_version, target.kind)
        try:
            self._gone(target, resource.path(target.namespace, target.name))
        except KubeError as error:
            return Outcome(target, "failed", error.message, outcome.before)
        return outcome

    def _gone(self, target: Identity, path: str) -> None:
        deadline = time.monotonic() + self._options.wait_timeout
        pause = 0.05
        while True:
            live = self._read(path)
            if live is None:
                return
            if time.monotonic() > deadline:
                finalizers = ", ".join(live["metadata"].get("finalizers") or []) or "none"
                conditions = "; ".join(
                    f"{item.get('type')}: {item.get('message')}"
                    for item in (live.get("status") or {}).get("conditions") or []
                    if item.get("status") == "True"
                )
                raise KubeTimeoutError(
                    f"{target} is still being deleted after {self._options.wait_timeout:g} s "
                    f"(finalizers: {finalizers}{'; ' + conditions if conditions else ''})"
                )
            self._sleep(pause)
            pause = min(1.0, pause * 1.5)

    # --- between phases ----------------------------------------------------------------------------------------------
    def _after_phase(self, done: list[Outcome], documents: list[Document]) -> None:
        for outcome in done:
            if outcome.identity.kind == "Namespace" and outcome.result == "created" and self._options.check_mode:
                self._fresh_namespaces.add(outcome.identity.name)
        changed = {
            outcome.identity.name
            for outcome in done
            if outcome.identity.kind == "CustomResourceDefinition" and outcome.changed
        }
        if not changed or self._options.check_mode:
            return
        used = {(document["apiVersion"], document["kind"]) for document in documents}
        for document in documents:
            if document["kind"] == "CustomResourceDefinition" and document["metadata"]["name"] in changed:
                brought = crd_kinds(document)
                self._fresh_kinds |= brought
                self._await_crd(document, sorted(brought & used))

    def _await_crd(self, document: Document, used: list[tuple[str, str]]) -> None:
        """Wait until a new CRD is established and the kinds that this call uses are served.

        Running out of time is no error here: the objects of that kind report what is wrong.
        """
        deadline = time.monotonic() + _CRD_SECONDS
        path = self._resource(document).path("", document["metadata"]["name"])
        pause = 0.02
        while time.monotonic() < deadline:
            live = self._read(path) or {}
            conditions = (live.get("status") or {}).get("conditions") or []
            if any(item.get("type") == "Established" and item.get("status") == "True" for item in conditions):
                break
            self._sleep(pause)
            pause = min(0.5, pause * 1.5)
        for api_version, kind in used:
            while time.monotonic() < deadline:
                try:
                    self._resources.find(api_version, kind, refresh=True)
                    break
                except UnknownKindError:
                    self._sleep(0.1)


def _same(live: Document, applied: Document) -> bool:
    """True if the server kept the stored object: a real apply then keeps its resource version as well."""
    return _stored_view(live) == _stored_view(applied)


def _stored_view(document: Document) -> Document:
    metadata = dict(document.get("metadata") or {})
    metadata.pop("resourceVersion", None)
    # The time of an entry moves on in a dry run even if nothing else does.
    metadata["managedFields"] = sorted(
        (
            {key: value for key, value in entry.items() if key != "time"}
            for entry in metadata.get("managedFields") or []
        ),
        key=repr,
    )
    return {**document, "metadata": metadata}


def _secret_differs(live: Document, applied: Document) -> bool:
    return live.get("kind") == "Secret" and live.get("data") != applied.get("data")
