# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Ask admission about objects by dry runs, and judge its verdicts (private).

API: https://kubernetes.io/docs/reference/using-api/api-concepts/#dry-run.
"""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from ._kube_apply import FIELD_MANAGER
from ._kube_client import APPLY, KubeClient
from ._kube_documents import load_documents
from ._kube_errors import ConflictError, ForbiddenError, InvalidError, KubeApiError, KubeConfigError, NotFoundError
from ._kube_resources import Resources
from ._pod_security import CONTROLS, strict_pod, twin

ADMITTED, REFUSED, OTHER = "admitted", "refused", "other"
_WORKERS = 8
_REFUSALS = (ForbiddenError, InvalidError, ConflictError)
# 500 InternalError: the webhook that should decide does not answer, and its failure policy refuses.
_NO_WEBHOOK = "failed calling webhook"


@dataclass(frozen=True)
class Case:
    """An object and what admission must say about it.

    :ivar reason: regular expression for the refusal; any refusal will do when it is empty.
    :ivar may_exist: whether it is to be tried as an update when there is such an object.
    """

    name: str
    document: dict[str, Any]
    expected: str
    reason: str = ""
    may_exist: bool = False

    @classmethod
    def of(cls, option: dict[str, Any]) -> Case:
        """Return the case of a module option; raises KubeConfigError."""
        name, reason = option["name"], option["reason"] or ""
        try:
            re.compile(reason)
        except re.error as error:
            raise KubeConfigError(f"case {name}: reason is no regular expression: {error}") from error
        if reason and option["expected"] == ADMITTED:
            raise KubeConfigError(f"case {name}: what is admitted has no reason")
        if option["image"]:
            readable = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:50] or "case"
            document = strict_pod(f"probe-{readable}", option["image"])
        else:
            document = option["object"]
        return cls(name, load_documents(document, None)[0], option["expected"], reason, bool(option["object"]))


@dataclass(frozen=True)
class Verdict:
    """What admission said to a case; ``reason`` is its refusal, or the images of an admitted pod."""

    case: Case
    verdict: str
    reason: str

    @property
    def correct(self) -> bool:
        """Tell whether it is what it should be."""
        return self.verdict == self.case.expected

    def __str__(self) -> str:
        twin_name = "" if self.case.expected == REFUSED else " (twin)"
        return f"{self.case.name}{twin_name} is {self.verdict} instead of {self.case.expected}: {self.reason}"

    def as_dict(self) -> dict[str, Any]:
        """Return the verdict as a module returns it."""
        return {
            "name": self.case.name,
            "twin": "negative" if self.case.expected == REFUSED else "positive",
            "verdict": self.verdict,
            "correct": self.correct,
            "reason": self.reason,
        }


def cases_of(controls: list[str] | None, image: str) -> list[Case]:
    """Return negative and positive twin of some controls of ``restricted``, of all when None."""
    known = [control.name for control in CONTROLS]
    unknown = sorted(set(controls or []) - set(known))
    if unknown:
        raise KubeConfigError(f"there is no control {', '.join(unknown)}", f"Controls are {', '.join(known)}.")
    found = []
    for control in CONTROLS:
        if controls is None or control.name in controls:
            words = rf"violates PodSecurity .*{re.escape(control.words)}"
            found.append(Case(control.name, twin(control, True, image), REFUSED, words))
            found.append(Case(control.name, twin(control, False, image), ADMITTED))
    return found


class AdmissionProbe:
    """Sends cases, several at once."""

    def __init__(self, client: KubeClient, resources: Resources, namespace: str) -> None:
        self._client, self._resources, self._namespace = client, resources, namespace

    def run(self, cases: list[Case]) -> list[Verdict]:
        """Return the verdicts in the order of the cases.

        Raises KubeError when the question itself fails: no such namespace, no permission, no connection.
        """
        self._client.get(f"/api/v1/namespaces/{self._namespace}")
        self._resources.prepare({(case.document["apiVersion"], case.document["kind"]) for case in cases})
        with ThreadPoolExecutor(_WORKERS) as workers:
            return list(workers.map(self._ask, cases))

    def _ask(self, case: Case) -> Verdict:
        document = {**case.document, "metadata": {**case.document["metadata"]}}
        resource = self._resources.find(document["apiVersion"], document["kind"])
        namespace = self._namespace if resource.namespaced else None
        if namespace:
            document["metadata"]["namespace"] = namespace
        name = document["metadata"]["name"]
        try:
            if case.may_exist and self._exists(resource.path(namespace, name)):
                query = {"dryRun": "All", "fieldManager": f"{FIELD_MANAGER}.probe", "force": True}
                answer = self._client.request("PATCH", resource.path(namespace, name), query, document, APPLY)[1]
            else:
                answer = self._client.request("POST", resource.collection(namespace), {"dryRun": "All"}, document)[1]
        except KubeApiError as error:
            return self._refusal(case, error)
        return Verdict(case, ADMITTED, ", ".join(_images(answer)))

    def _exists(self, path: str) -> bool:
        try:
            self._client.get(path)
        except NotFoundError:
            return False
        return True

    @staticmethod
    def _refusal(case: Case, error: KubeApiError) -> Verdict:
        if isinstance(error, ForbiddenError) and re.search(r" cannot (create|patch|update) resource ", error.message):
            # The user may not even ask: that says nothing about admission.
            raise error
        if not isinstance(error, _REFUSALS) and _NO_WEBHOOK not in error.message:
            raise error
        right = re.search(case.reason, error.message) is not None
        return Verdict(case, REFUSED if right or case.expected == ADMITTED else OTHER, error.message)


def _images(document: dict[str, Any]) -> list[str]:
    """Return the images of a pod or of a workload's template, as admission has left them."""
    spec = document.get("spec") or {}
    while "containers" not in spec and ("template" in spec or "jobTemplate" in spec):
        inner = spec.get("template") or spec.get("jobTemplate") or {}
        spec = inner.get("spec") or {}
    containers = [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]
    return [str(item.get("image", "")) for item in containers]
