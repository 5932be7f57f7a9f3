# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Wait for many objects at once by watching them (private).

Each distinct collection is listed and watched once, however many of its objects are waited for. Semantics of watch:
https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ._kube_client import KubeClient
from ._kube_conditions import FAILED, READY, Progress, describe_all, failed, progressing, ready
from ._kube_diagnose import WORKLOADS, Diagnoser
from ._kube_errors import ExpiredError, KubeConnectionError, KubeError, NotFoundError
from ._kube_resources import Resource, Resources, UnknownKindError
from ._kube_status import beyond_help, evaluate, matches
from ._progress import Announce, silent

try:
    import jmespath
except ImportError:
    jmespath = None  # type: ignore[assignment]

Document = dict[str, Any]
Key = tuple[str, str]

_WATCH_SECONDS = 60.0
_DIAGNOSE_SECONDS = 2.0
_FIRST_DIAGNOSIS = 1.0
_KIND_RETRY_SECONDS = 0.5
# However short the timeout is: without one look at the objects, its message would say nothing.
_FIRST_LOOK_SECONDS = 10.0
# A timeout looks for reasons of so many objects: each costs two or three requests. A line of progress names as many.
_EXPLAINED = 3
_SLICE_LABEL = "kubernetes.io/service-name"


@dataclass
class Target:
    """What is waited for: one object by ``name``, or at least ``minimum`` objects by label selectors.

    ``judge`` replaces the usual verdict; ``until`` is ready, exists, deleted, endpoints, condition or expression.
    """

    api_version: str
    kind: str
    name: str = ""
    namespace: str = ""
    label_selectors: tuple[str, ...] = ()
    until: str = "ready"
    condition: dict[str, Any] = field(default_factory=dict)
    expression: str = ""
    minimum: int = 1
    judge: Callable[[Document], Progress] | None = None

    def __str__(self) -> str:
        where = f"{self.namespace}/" if self.namespace else ""
        if self.name:
            return f"{self.kind} {where}{self.name}"
        selector = f" with {','.join(self.label_selectors)}" if self.label_selectors else ""
        return f"{self.kind} objects{' in ' + self.namespace if self.namespace else ''}{selector}"


@dataclass
class Waited:
    """The last verdict about a target; ``seconds`` is the time from the start until it became ready."""

    target: Target
    progress: Progress
    seconds: float = 0.0
    document: Document | None = None

    def as_dict(self) -> dict[str, Any]:
        target = self.target
        return {
            "api_version": target.api_version,
            "kind": target.kind,
            "namespace": target.namespace,
            "name": target.name,
            "ready": self.progress.ready,
            "message": self.progress.message,
            "seconds": round(self.seconds, 3),
        }


class WaitError(KubeError):
    """Waiting ended without success; ``waited`` holds the verdict on every target."""

    def __init__(self, message: str, waited: list[Waited], hint: str = "") -> None:
        super().__init__(message, hint)
        self.waited = waited


class _Collection:
    """The live objects behind one list-and-watch address."""

    def __init__(self, path: str, query: dict[str, str]) -> None:
        self.path = path
        self.query = query
        self.objects: dict[Key, Document] = {}
        self.listed = False


class Waiter:
    """Lists, watches and judges until all targets are ready, one has failed, or the time is over."""

    def __init__(
        self,
        client: KubeClient,
        resources: Resources,
        diagnoser: Diagnoser,
        announce: Announce = silent,
    ) -> None:
        self._client = client
        self._resources = resources
        self._diagnoser = diagnoser
        self._announce = announce
        self._events: queue.Queue[tuple[_Collection, str, Any]] = queue.Queue()
        self._stop = threading.Event()
        self._collections: dict[tuple[str, str], _Collection] = {}
        self._shared: set[tuple[str, str, str]] = set()

    def look(self, targets: list[Target]) -> list[Waited]:
        """Judge all targets once, without waiting."""
        self._start(targets)
        waited = []
        for target in targets:
            try:
                collection = self._collection(target)
            except UnknownKindError as error:
                waited.append(Waited(target, self._missing_kind(target, error)))
                continue
            if not collection.listed:
                self._replace(collection, self._list(collection)[0])
            progress, document = self._judge(target, collection)
            waited.append(Waited(target, progress, 0.0, document))
        return waited

    def wait(self, targets: list[Target], timeout: float) -> list[Waited]:
        """Wait ``timeout`` seconds at most, but long enough for one look at each object.

        Raises WaitError when a target has failed for good or the time is over.
        """
        self._start(targets)
        start = time.monotonic()
        deadline, first_look = start + timeout, start + max(timeout, _FIRST_LOOK_SECONDS)
        waited = {id(target): Waited(target, progressing("not seen yet")) for target in targets}
        pending = list(targets)
        watched: set[int] = set()
        next_diagnosis = start + _FIRST_DIAGNOSIS
        try:
            while pending:
                unknown = self._watch_new(pending, watched, first_look)
                end = deadline
                for target in list(pending):
                    if id(target) not in watched:
                        continue
                    collection = self._collection(target)
                    if not collection.listed:
                        end = first_look
                        continue
                    entry = waited[id(target)]
                    entry.progress, entry.document = self._judge(target, collection)
                    if entry.progress.state == FAILED:
                        raise self._failure(entry, list(waited.values()))
                    if entry.progress.state == READY:
                        entry.seconds = time.monotonic() - start
                        pending.remove(target)
                for target, error in unknown:
                    waited[id(target)].progress = self._missing_kind(target, error)
                    if waited[id(target)].progress.ready:
                        pending.remove(target)
                now = time.monotonic()
                if not pending:
                    break
                if now >= end:
                    raise self._timeout(timeout, [waited[id(target)] for target in pending], list(waited.values()))
                if now >= next_diagnosis:
                    open_ones = [waited[id(target)] for target in pending]
                    self._diagnose(open_ones, list(waited.values()))
                    self._announce(partial(_still_open, open_ones, len(targets), now - start))
                    next_diagnosis = time.monotonic() + _DIAGNOSE_SECONDS
                    continue
                until = min(end, next_diagnosis, now + _KIND_RETRY_SECONDS if unknown else end)
                self._receive(max(0.0, until - now))
        finally:
            self._stop.set()
        return list(waited.values())

    # --- watching --------------------------------------------------------------------------------------------------
    def _collection(self, target: Target) -> _Collection:
        resource, query, namespace = self._address(target)
        path = resource.collection(namespace)
        key = (path, repr(sorted(query.items())))
        return self._collections.setdefault(key, _Collection(path, query))

    def _address(self, target: Target) -> tuple[Resource, dict[str, str], str]:
        if target.until == "endpoints":
            resource = self._resources.find("discovery.k8s.io/v1", "EndpointSlice")
            return resource, {"labelSelector": f"{_SLICE_LABEL}={target.name}"}, target.namespace
        resource = self._resources.find(target.api_version, target.kind)
        if target.name:
            alone = _place(target) not in self._shared
            return resource, {"fieldSelector": f"metadata.name={target.name}"} if alone else {}, target.namespace
        query = {"labelSelector": ",".join(target.label_selectors)} if target.label_selectors else {}
        return resource, query, target.namespace

    def _start(self, targets: list[Target]) -> None:
        """Forget what was watched; note which collections serve several named objects, to watch those once."""
        self._collections, self._stop, self._events = {}, threading.Event(), queue.Queue()
        named = [_place(target) for target in targets if target.name and target.until != "endpoints"]
        self._shared = {place for place in named if named.count(place) > 1}

    def _watch_new(
        self, pending: list[Target], watched: set[int], deadline: float
    ) -> list[tuple[Target, UnknownKindError]]:
        """Start watching what can be watched; return the targets whose kind is not served (yet)."""
        unknown = []
        for target in pending:
            if id(target) in watched:
                continue
            try:
                before = len(self._collections)
                collection = self._collection(target)
            except UnknownKindError:
                try:
                    self._resources.find(target.api_version, target.kind, refresh=True)
                except UnknownKindError as error:
                    unknown.append((target, error))
                continue
            watched.add(id(target))
            if len(self._collections) > before:
                threading.Thread(target=self._follow, args=(collection, deadline), daemon=True).start()
        return unknown

    def _list(self, collection: _Collection) -> tuple[list[Document], str]:
        answer = self._client.get(collection.path, dict(collection.query))
        kind = str(answer.get("kind", "")).removesuffix("List")
        items = [{"apiVersion": answer.get("apiVersion"), "kind": kind, **item} for item in answer.get("items") or []]
        return items, str((answer.get("metadata") or {}).get("resourceVersion") or "")

    def _follow(self, collection: _Collection, deadline: float) -> None:
        """Thread: list, then watch; list again whenever the stream breaks or its version is too old."""
        while not self._stop.is_set() and time.monotonic() < deadline:
            try:
                items, version = self._list(collection)
                self._events.put((collection, "LIST", items))
                while not self._stop.is_set() and time.monotonic() < deadline:
                    seconds = min(_WATCH_SECONDS, max(1.0, deadline - time.monotonic()))
                    started = time.monotonic()
                    query = {**collection.query, "resourceVersion": version}
                    for event in self._client.watch(collection.path, query, seconds):
                        document = event["object"]
                        version = document["metadata"]["resourceVersion"]
                        if event["type"] != "BOOKMARK":
                            self._events.put((collection, event["type"], document))
                    if time.monotonic() - started < 1.0:
                        # The stream broke at once: the server may be restarting. A new list has its own retries.
                        time.sleep(0.5)
                        break
            except ExpiredError:
                continue
            except (NotFoundError, KubeConnectionError):
                time.sleep(_KIND_RETRY_SECONDS)
            except KubeError as error:
                self._events.put((collection, "ERROR", error))
                return

    def _receive(self, seconds: float) -> None:
        """Take in what has arrived; wait ``seconds`` for the first event."""
        try:
            event = self._events.get(timeout=seconds)
        except queue.Empty:
            return
        while True:
            self._take(*event)
            try:
                event = self._events.get_nowait()
            except queue.Empty:
                return

    def _take(self, collection: _Collection, kind: str, content: Any) -> None:
        if kind == "ERROR":
            raise content
        if kind == "LIST":
            self._replace(collection, content)
            return
        metadata = content["metadata"]
        key = (metadata.get("namespace") or "", metadata["name"])
        if kind == "DELETED":
            collection.objects.pop(key, None)
        else:
            collection.objects[key] = content

    @staticmethod
    def _replace(collection: _Collection, items: list[Document]) -> None:
        collection.objects = {
            (item["metadata"].get("namespace") or "", item["metadata"]["name"]): item for item in items
        }
        collection.listed = True

    # --- judging -----------------------------------------------------------------------------------------------------
    def _judge(self, target: Target, collection: _Collection) -> tuple[Progress, Document | None]:
        objects = list(collection.objects.values())
        if target.until == "endpoints":
            return _endpoints(target, objects), None
        if target.name:
            objects = [item for item in objects if item["metadata"]["name"] == target.name]
        if target.until == "deleted":
            return (ready("absent"), None) if not objects else (_deleting(objects), objects[0])
        if len(objects) < target.minimum:
            found = "it does not exist" if target.name else f"{len(objects)} of {target.minimum} exist"
            return progressing(found), None
        verdicts = [(self._verdict(target, item), item) for item in objects]
        for progress, item in verdicts:
            if progress.state == FAILED:
                return progress, item
        open_ones = [(progress, item) for progress, item in verdicts if not progress.ready]
        if not open_ones:
            return verdicts[0][0], verdicts[0][1]
        progress, item = open_ones[0]
        if target.name:
            return progress, item
        rest = f"{item['metadata']['name']}: {progress.message}"
        return progressing(f"{len(open_ones)} of {len(objects)} are not ready ({rest})"), item

    @staticmethod
    def _verdict(target: Target, document: Document) -> Progress:
        if target.judge:
            return target.judge(document)
        if target.until == "exists":
            return ready()
        if target.until not in ("condition", "expression"):
            return evaluate(document)
        wanted = target.until == "condition"
        progress = matches(document, target.condition) if wanted else _expression(target.expression, document)
        # A Job that has failed never becomes complete.
        return progress if progress.ready else beyond_help(document) or progress

    @staticmethod
    def _missing_kind(target: Target, error: UnknownKindError) -> Progress:
        return ready("its kind is not served") if target.until == "deleted" else progressing(error.message)

    # --- ends --------------------------------------------------------------------------------------------------------
    def _diagnose(self, open_ones: list[Waited], everything: list[Waited]) -> None:
        """Raise WaitError if the pods of an open workload cannot start."""
        for entry in open_ones:
            document = entry.document
            waits_for_pods = entry.target.until in ("ready", "condition", "expression")
            if document is None or document.get("kind") not in WORKLOADS or not waits_for_pods:
                continue
            diagnosis = self._diagnoser.terminal(document)
            if diagnosis:
                entry.progress = failed(str(diagnosis))
                more = self._diagnoser.explain(document, diagnosis)
                raise WaitError(f"{entry.target} cannot become ready: {diagnosis}. {more}".rstrip(" ."), everything)

    def _failure(self, entry: Waited, everything: list[Waited]) -> WaitError:
        message = f"{entry.target} has failed: {entry.progress.message}"
        if entry.document:
            workload = entry.document.get("kind") in WORKLOADS
            diagnosis = self._diagnoser.last_failure(entry.document) if workload else None
            more = self._diagnoser.explain(entry.document, diagnosis)
            message = f"{message}. {more}" if more else message
        return WaitError(message, everything)

    def _timeout(self, timeout: float, open_ones: list[Waited], everything: list[Waited]) -> WaitError:
        lines = []
        for number, entry in enumerate(open_ones):
            line = f"{entry.target}: {entry.progress.message}"
            conditions = describe_all(entry.document or {})
            line = f"{line} [{conditions}]" if conditions and entry.target.name else line
            if entry.document and number < _EXPLAINED:
                obstacle = self._diagnoser.obstacle(entry.document)
                line = f"{line}; {obstacle}" if obstacle else line
            lines.append(line)
        return WaitError(
            f"not ready after {timeout:g} s: " + "; ".join(lines), everything, "Raise wait_timeout, if it is only slow."
        )


def _still_open(open_ones: list[Waited], number: int, seconds: float) -> str:
    """Return one line: how many targets are open after so many seconds, and what the first of them wait for."""
    first = "; ".join(f"{entry.target}: {entry.progress.message}" for entry in open_ones[:_EXPLAINED])
    rest = f"; {len(open_ones) - _EXPLAINED} more" if len(open_ones) > _EXPLAINED else ""
    return f"{seconds:.0f} s: {number - len(open_ones)} of {number} ready; {first}{rest}"


def _place(target: Target) -> tuple[str, str, str]:
    return target.api_version, target.kind, target.namespace


def _deleting(objects: list[Document]) -> Progress:
    metadata = objects[0]["metadata"]
    finalizers = ", ".join(metadata.get("finalizers") or [])
    if metadata.get("deletionTimestamp") and finalizers:
        return progressing(f"deletion waits for finalizers: {finalizers}")
    return progressing("being deleted" if metadata.get("deletionTimestamp") else "still there, nobody deletes it")


def _endpoints(target: Target, slices: list[Document]) -> Progress:
    """Count the distinct ready addresses of a Service (EndpointSlice API)."""
    addresses = {
        address
        for item in slices
        for endpoint in item.get("endpoints") or []
        if (endpoint.get("conditions") or {}).get("ready", True)
        for address in endpoint.get("addresses") or []
    }
    text = f"{len(addresses)} of {target.minimum} endpoints are ready"
    return ready(text) if len(addresses) >= target.minimum else progressing(text)


def _expression(expression: str, document: Document) -> Progress:
    try:
        value = jmespath.search(expression, document)
    except jmespath.exceptions.JMESPathTypeError as error:
        # A function got a field that the object does not have yet.
        return progressing(f"{expression}: {error}")
    return ready() if value else progressing(f"{expression} is {value!r}")


def check_expression(expression: str) -> str:
    """Return what is wrong with a JMESPath expression, or an empty string."""
    if jmespath is None:
        return "the Python package 'jmespath' is missing on the controller"
    try:
        # On an empty object, since functions are looked up only then; that they get nothing there proves no mistake.
        jmespath.search(expression, {})
    except jmespath.exceptions.JMESPathTypeError:
        return ""
    except jmespath.exceptions.JMESPathError as error:
        return f"expression {expression!r} is not valid JMESPath: {error}"
    return ""
