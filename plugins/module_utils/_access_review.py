# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Ask the API server whether somebody may do something, for many questions at once (private).

API: https://kubernetes.io/docs/reference/kubernetes-api/authorization-resources/subject-access-review-v1/.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from ._kube_client import KubeClient
from ._kube_rbac import Subject, split_resource

_PATH = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
_WORKERS = 8


@dataclass(frozen=True)
class Question:
    """May a subject do this? ``namespace`` is empty for all namespaces and for objects that are in none."""

    subject: Subject
    verb: str
    resource: str
    namespace: str
    name: str
    url: str
    expected: bool | None

    def body(self) -> dict[str, Any]:
        """Return the SubjectAccessReview."""
        spec: dict[str, Any] = {"user": self.subject.user, "groups": list(self.subject.groups)}
        if self.url:
            spec["nonResourceAttributes"] = {"path": self.url, "verb": self.verb}
        else:
            resource, group, subresource = split_resource(self.resource)
            spec["resourceAttributes"] = {
                "verb": self.verb,
                "group": group,
                "resource": resource,
                "subresource": subresource,
                "namespace": self.namespace,
                "name": self.name,
            }
        return {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}


def questions(review: dict[str, Any], subjects: list[Subject]) -> Iterator[Question]:
    """Yield each combination of a module's ``reviews`` entry; raises KubeConfigError."""
    for subject in subjects:
        for permission in review["permissions"]:
            for verb in permission["verbs"]:
                for url in permission["non_resource_urls"] or []:
                    yield Question(subject, verb, "", "", "", url, review["expected"])
                for resource in permission["resources"] or []:
                    split_resource(resource)
                    for namespace in review["namespaces"]:
                        for name in permission["names"] or [""]:
                            yield Question(subject, verb, resource, namespace, name, "", review["expected"])


def ask(client: KubeClient, asked: list[Question]) -> list[dict[str, Any]]:
    """Return the answers in the order of the questions; raises KubeError."""

    def answer(question: Question) -> dict[str, Any]:
        status = client.request("POST", _PATH, body=question.body())[1].get("status") or {}
        allowed = bool(status.get("allowed"))
        reason = str(status.get("reason") or "")
        error = str(status.get("evaluationError") or "")
        return {
            "subject": str(question.subject),
            "verb": question.verb,
            "resource": question.resource,
            "namespace": question.namespace,
            "name": question.name,
            "non_resource_url": question.url,
            "allowed": allowed,
            "correct": question.expected is None or allowed == question.expected,
            "reason": "; ".join(filter(None, (reason, error))),
        }

    with ThreadPoolExecutor(_WORKERS) as workers:
        return list(workers.map(answer, asked))
