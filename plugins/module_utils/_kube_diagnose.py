# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Why does a workload not become ready? Looks at the pods of its newest revision (private)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ._kube_client import KubeClient
from ._kube_conditions import describe
from ._kube_errors import KubeError
from ._kube_resources import Resources

Document = dict[str, Any]

WORKLOADS = ("Deployment", "DaemonSet", "StatefulSet", "Job", "Pod")
_TERMINAL = ("ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName")
_EVENTS = 5


@dataclass(frozen=True)
class Diagnosis:
    """A container that cannot start: where it is and what its state says."""

    pod: Document
    container: str
    reason: str
    message: str
    restarts: int

    def __str__(self) -> str:
        name = self.pod["metadata"]["name"]
        text = f"pod {name}, container {self.container}: {self.reason}"
        if self.restarts:
            text += f" after {self.restarts} restarts"
        return f"{text}: {self.message}" if self.message else text


class Diagnoser:
    """Finds containers that keep a workload from becoming ready. Reads only; a missing permission is no error."""

    def __init__(self, client: KubeClient, resources: Resources, crash_loop_restarts: int, log_lines: int) -> None:
        self._client = client
        self._resources = resources
        self._restarts = crash_loop_restarts
        self._log_lines = log_lines

    def terminal(self, workload: Document) -> Diagnosis | None:
        """Return the first container of the newest revision that waiting cannot help."""
        try:
            pods = self._newest_pods(workload)
        except KubeError:
            return None
        # A Job counts its own attempts (backoffLimit), so a looping container is not yet its end.
        loops_count = workload["kind"] != "Job"
        for pod in pods:
            found = self._stuck_container(pod, loops_count)
            if found:
                return found
        return None

    def last_failure(self, workload: Document) -> Diagnosis | None:
        """Return the container that failed last in a workload that has given up."""
        try:
            pods = self._newest_pods(workload)
        except KubeError:
            return None
        for pod in sorted(pods, key=lambda item: str(item["metadata"].get("creationTimestamp")), reverse=True):
            found = self._stuck_container(pod, True) or self._exited_container(pod)
            if found:
                return found
        return None

    def obstacle(self, document: Document) -> str:
        """Return what a workload's first pod that is not ready waits for, and the last events about it."""
        try:
            pods = self._newest_pods(document) if document.get("kind") in WORKLOADS else []
        except KubeError:
            pods = []
        for pod in pods:
            text = _pod_obstacle(pod)
            if text:
                events = self.explain(pod, None)
                return f"pod {pod['metadata']['name']}: {text}" + (f"; {events}" if events else "")
        return self.explain(document, None)

    def explain(self, workload: Document, diagnosis: Diagnosis | None) -> str:
        """Return the last events and, for a crashed container, the end of its log."""
        parts = []
        about = diagnosis.pod if diagnosis else workload
        events = self._events(about)
        if events:
            parts.append("last events: " + " | ".join(events))
        if diagnosis and self._log_lines and diagnosis.reason not in _TERMINAL:
            log = self._log(diagnosis)
            if log:
                parts.append(f"end of the log:\n{log}")
        return "; ".join(parts)

    def _newest_pods(self, workload: Document) -> list[Document]:
        kind, namespace = workload["kind"], workload["metadata"].get("namespace")
        if kind == "Pod":
            return [workload]
        selector = (workload.get("spec") or {}).get("selector") or {}
        if kind not in WORKLOADS or not selector.get("matchLabels"):
            return []
        labels = dict(selector["matchLabels"])
        if kind == "Deployment":
            labels.update(self._newest_hash(workload, labels))
        elif kind == "StatefulSet":
            revision = (workload.get("status") or {}).get("updateRevision")
            if revision:
                labels["controller-revision-hash"] = revision
        elif kind == "DaemonSet":
            labels["pod-template-generation"] = str(
                (workload["metadata"].get("annotations") or {}).get("deprecated.daemonset.template.generation", "1")
            )
        return self._list("v1", "Pod", namespace, labels)

    def _newest_hash(self, deployment: Document, labels: dict[str, str]) -> dict[str, str]:
        """Return the pod-template-hash of the current revision, so that dying pods of an old one do not count."""
        revision_key = "deployment.kubernetes.io/revision"
        revision = (deployment["metadata"].get("annotations") or {}).get(revision_key)
        for item in self._list("apps/v1", "ReplicaSet", deployment["metadata"].get("namespace"), labels):
            metadata = item["metadata"]
            if (metadata.get("annotations") or {}).get(revision_key) == revision:
                found = (metadata.get("labels") or {}).get("pod-template-hash")
                return {"pod-template-hash": found} if found else {}
        return {}

    def _list(self, api_version: str, kind: str, namespace: str | None, labels: dict[str, str]) -> list[Document]:
        path = self._resources.find(api_version, kind).collection(namespace)
        selector = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
        return list(self._client.get(path, {"labelSelector": selector}).get("items") or [])

    @staticmethod
    def _exited_container(pod: Document) -> Diagnosis | None:
        for item in _containers(pod):
            ended = (item.get("state") or {}).get("terminated") or (item.get("lastState") or {}).get("terminated") or {}
            if ended.get("exitCode"):
                message = f"exit code {ended['exitCode']}"
                return Diagnosis({**pod, "kind": "Pod"}, str(item.get("name")), str(ended.get("reason")), message, 0)
        return None

    def _stuck_container(self, pod: Document, loops_count: bool) -> Diagnosis | None:
        for item in _containers(pod):
            waiting = (item.get("state") or {}).get("waiting") or {}
            reason, restarts = waiting.get("reason"), int(item.get("restartCount") or 0)
            looping = loops_count and reason == "CrashLoopBackOff" and restarts >= self._restarts
            if reason in _TERMINAL or looping:
                message = str(waiting.get("message") or "")
                last = ((item.get("lastState") or {}).get("terminated") or {}) if looping else {}
                if last:
                    message = f"exit code {last.get('exitCode')} {last.get('reason', '')}".strip()
                looped = restarts if looping else 0
                return Diagnosis({**pod, "kind": "Pod"}, str(item.get("name")), str(reason), message, looped)
        return None

    def _events(self, about: Document) -> list[str]:
        metadata = about["metadata"]
        path = self._resources.find("v1", "Event").collection(metadata.get("namespace"))
        try:
            found = self._client.get(path, {"fieldSelector": f"involvedObject.uid={metadata.get('uid')}"})
        except KubeError:
            return []
        items = sorted(
            found.get("items") or [], key=lambda item: str(item.get("lastTimestamp") or item.get("eventTime"))
        )
        return [f"{item.get('reason')}: {item.get('message')}" for item in items[-_EVENTS:]]

    def _log(self, diagnosis: Diagnosis) -> str:
        metadata = diagnosis.pod["metadata"]
        path = self._resources.find("v1", "Pod").path(metadata.get("namespace"), metadata["name"]) + "/log"
        for previous in (True, False):
            query = {"container": diagnosis.container, "tailLines": self._log_lines, "previous": previous or None}
            try:
                text = self._client.text(path, query).strip()
            except Exception:  # noqa: S112 - a log that cannot be read must not hide the failure itself
                continue
            if text:
                return text
        return ""


def _pod_obstacle(pod: Document) -> str:
    status = pod.get("status") or {}
    conditions = {item.get("type"): item for item in status.get("conditions") or []}
    if (conditions.get("Ready") or {}).get("status") == "True" or status.get("phase") == "Succeeded":
        return ""
    scheduled = conditions.get("PodScheduled") or {}
    if scheduled.get("status") == "False":
        return describe(scheduled)
    for item in _containers(pod):
        waiting = (item.get("state") or {}).get("waiting") or {}
        if waiting:
            return f"container {item.get('name')}: {waiting.get('reason')} {waiting.get('message') or ''}".rstrip()
    unready = ", ".join(str(item.get("name")) for item in _containers(pod) if not item.get("ready"))
    return f"not ready: {unready}" if unready else f"phase {status.get('phase')}"


def _containers(pod: Document) -> list[dict[str, Any]]:
    status = pod.get("status") or {}
    return [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
