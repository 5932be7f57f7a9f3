# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""From (apiVersion, kind) to an address of the API, with as little discovery as possible (private).

The stable kinds of Kubernetes itself are a table. Other kinds cost one request per call: for their group version, or
for the aggregated document (KEP-3352) when they are of several.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from ._kube_client import KubeClient
from ._kube_errors import KubeError, NotFoundError

# group version -> (namespaced kinds, cluster-scoped kinds)
_STABLE: dict[str, tuple[str, str]] = {
    "v1": (
        "ConfigMap Secret Service ServiceAccount Pod PersistentVolumeClaim Endpoints Event LimitRange "
        "ReplicationController ResourceQuota PodTemplate",
        "Namespace Node PersistentVolume",
    ),
    "apps/v1": ("Deployment DaemonSet StatefulSet ReplicaSet ControllerRevision", ""),
    "batch/v1": ("Job CronJob", ""),
    "autoscaling/v2": ("HorizontalPodAutoscaler", ""),
    "policy/v1": ("PodDisruptionBudget", ""),
    "coordination.k8s.io/v1": ("Lease", ""),
    "discovery.k8s.io/v1": ("EndpointSlice", ""),
    "networking.k8s.io/v1": ("NetworkPolicy Ingress", "IngressClass"),
    "rbac.authorization.k8s.io/v1": ("Role RoleBinding", "ClusterRole ClusterRoleBinding"),
    "storage.k8s.io/v1": ("", "StorageClass CSIDriver VolumeAttachment"),
    "scheduling.k8s.io/v1": ("", "PriorityClass"),
    "node.k8s.io/v1": ("", "RuntimeClass"),
    "certificates.k8s.io/v1": ("", "CertificateSigningRequest"),
    "apiregistration.k8s.io/v1": ("", "APIService"),
    "apiextensions.k8s.io/v1": ("", "CustomResourceDefinition"),
    "admissionregistration.k8s.io/v1": (
        "",
        "ValidatingWebhookConfiguration MutatingWebhookConfiguration ValidatingAdmissionPolicy "
        "ValidatingAdmissionPolicyBinding",
    ),
}
_AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
# From this many unknown group versions on, one aggregated document is cheaper than one request for each.
_AGGREGATE_FROM = 2


@dataclass(frozen=True)
class Resource:
    """One kind as the API serves it. ``status`` tells whether it has a status subresource."""

    api_version: str
    kind: str
    plural: str
    namespaced: bool
    status: bool = True

    @property
    def group(self) -> str:
        return self.api_version.rpartition("/")[0]

    def collection(self, namespace: str | None) -> str:
        """Return the path of all objects, in ``namespace`` or (None) in the whole cluster."""
        prefix = f"/apis/{self.api_version}" if "/" in self.api_version else f"/api/{self.api_version}"
        scope = f"/namespaces/{quote(namespace, safe='')}" if self.namespaced and namespace else ""
        return f"{prefix}{scope}/{self.plural}"

    def path(self, namespace: str | None, name: str) -> str:
        """Return the path of one object."""
        return f"{self.collection(namespace)}/{quote(name, safe='')}"


class UnknownKindError(KubeError):
    """The API server does not serve this kind."""


def _plural(kind: str) -> str:
    word = kind.lower()
    if word == "endpoints":
        return word
    if word.endswith("y"):
        return f"{word[:-1]}ies"
    return f"{word}es" if word.endswith("s") else f"{word}s"


def _stable(api_version: str) -> dict[str, Resource]:
    namespaced, cluster = _STABLE[api_version]
    found = {kind: Resource(api_version, kind, _plural(kind), True) for kind in namespaced.split()}
    found.update({kind: Resource(api_version, kind, _plural(kind), False) for kind in cluster.split()})
    return found


class Resources:
    """Looks kinds up and remembers the answers for the length of one module call."""

    def __init__(self, client: KubeClient) -> None:
        self._client = client
        self._known: dict[str, dict[str, Resource]] = {}
        self._asked: set[str] = set()
        self._complete = False
        self._lock = threading.Lock()

    def prepare(self, kinds: set[tuple[str, str]]) -> None:
        """Ask for all group versions of ``kinds`` at once when there are many."""
        unknown = {version for version, kind in kinds if not self._from_table(version, kind)} - self._asked
        if len(unknown) >= _AGGREGATE_FROM:
            self._load_aggregated()

    def find(self, api_version: str, kind: str, refresh: bool = False) -> Resource:
        """Return the resource; ``refresh`` asks the server again (a CRD may have arrived meanwhile).

        Raises UnknownKindError.
        """
        found = self._from_table(api_version, kind)
        if found:
            return found
        with self._lock:
            known = api_version in self._asked or (self._complete and "/" in api_version)
            if refresh or not known:
                self._asked.add(api_version)
                self._known[api_version] = self._load(api_version)
            resource = self._known.get(api_version, {}).get(kind)
        if resource is None:
            raise UnknownKindError(
                f"the API server does not serve {kind} in {api_version}",
                "Check apiVersion and kind, or install the CustomResourceDefinition first.",
            )
        return resource

    @staticmethod
    def _from_table(api_version: str, kind: str) -> Resource | None:
        return _stable(api_version).get(kind) if api_version in _STABLE else None

    def _load(self, api_version: str) -> dict[str, Resource]:
        prefix = "/apis/" if "/" in api_version else "/api/"
        try:
            answer = self._client.get(prefix + quote(api_version, safe="/"))
        except NotFoundError:
            return {}
        entries = [entry for entry in answer.get("resources") or [] if isinstance(entry, dict)]
        names = {str(entry.get("name")) for entry in entries}
        return {
            entry["kind"]: Resource(
                api_version,
                entry["kind"],
                entry["name"],
                bool(entry.get("namespaced")),
                f"{entry['name']}/status" in names,
            )
            for entry in entries
            if "/" not in str(entry.get("name"))
        }

    def _load_aggregated(self) -> None:
        answer = self._client.get("/apis", accept=_AGGREGATED)
        if answer.get("kind") != "APIGroupDiscoveryList":
            return
        with self._lock:
            self._complete = True
            for group in answer.get("items") or []:
                for version in group.get("versions") or []:
                    api_version = f"{group['metadata']['name']}/{version['version']}"
                    self._asked.add(api_version)
                    self._known[api_version] = {
                        item["responseKind"]["kind"]: _from_aggregated(api_version, item)
                        for item in version.get("resources") or []
                        if item.get("responseKind")
                    }


def _from_aggregated(api_version: str, item: dict[str, Any]) -> Resource:
    return Resource(
        api_version,
        item["responseKind"]["kind"],
        item["resource"],
        item.get("scope") == "Namespaced",
        any(sub.get("subresource") == "status" for sub in item.get("subresources") or []),
    )
