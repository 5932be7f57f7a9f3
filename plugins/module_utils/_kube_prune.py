# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Which objects of a set are no longer described? (private)

A set is what carries the same labels and was applied by the same field manager, within a list of kinds that the user
gives. Labels alone would not do: controllers copy them to objects of their own, an EndpointSlice for example.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from ._kube_client import KubeClient
from ._kube_compare import applied_by
from ._kube_documents import Document, identity
from ._kube_errors import KubeConfigError
from ._kube_resources import Resource, Resources, UnknownKindError

_WORKERS = 8


@dataclass(frozen=True)
class PruneScope:
    """``kinds`` are (apiVersion, kind); ``namespaces`` are looked into beside those of the documents."""

    labels: dict[str, str]
    kinds: tuple[tuple[str, str], ...]
    namespaces: tuple[str, ...] = ()

    @classmethod
    def from_option(cls, option: dict[str, Any], documents: list[Document]) -> PruneScope:
        """Read the option ``prune``.

        Raises KubeConfigError for an empty label set, and for documents that could never be pruned themselves.
        """
        labels = {key: str(value) for key, value in option["labels"].items()}
        if not labels:
            raise KubeConfigError("prune needs at least one label", "Without it, it would take every object.")
        kinds = tuple((item["api_version"], item["kind"]) for item in option["kinds"])
        for document in documents:
            own = document["metadata"].get("labels") or {}
            lacking = [key for key, value in labels.items() if str(own.get(key)) != value]
            if lacking and (document["apiVersion"], document["kind"]) in kinds:
                raise KubeConfigError(
                    f"{identity(document)} lacks the labels that prune goes by: {', '.join(lacking)}",
                    "Give them to every document of the kinds in prune.",
                )
        return cls(labels, kinds, tuple(option["namespaces"]))


def surplus(
    client: KubeClient, resources: Resources, scope: PruneScope, documents: list[Document], manager: str
) -> list[Document]:
    """Return the objects of the set that no document describes.

    One list per kind and namespace, several at once. Raises KubeError when one of them is refused.
    """
    described: set[tuple[str, str, str, str]] = set()
    namespaces = set(scope.namespaces)
    for document in documents:
        try:
            resource = resources.find(document["apiVersion"], document["kind"])
        except UnknownKindError:
            continue  # a check run for a kind that is not there yet
        namespace = (document["metadata"].get("namespace") or "default") if resource.namespaced else ""
        described.add((resource.group, resource.kind, namespace, document["metadata"]["name"]))
        namespaces |= {namespace} if namespace else set()
    places: list[tuple[Resource, str | None]] = []
    for api_version, kind in scope.kinds:
        try:
            resource = resources.find(api_version, kind)
        except UnknownKindError:
            continue
        places += [(resource, space) for space in sorted(namespaces)] if resource.namespaced else [(resource, None)]
    query = {"labelSelector": ",".join(f"{key}={value}" for key, value in sorted(scope.labels.items()))}

    def members(place: tuple[Resource, str | None]) -> list[Document]:
        resource, namespace = place
        items = client.get(resource.collection(namespace), query).get("items") or []
        return [{"apiVersion": resource.api_version, "kind": resource.kind, **item} for item in items]

    with ThreadPoolExecutor(_WORKERS) as workers:
        found = [item for items in workers.map(members, places) for item in items]
    return [
        item
        for item in found
        if applied_by(item, manager)
        and (
            item["apiVersion"].rpartition("/")[0],
            item["kind"],
            item["metadata"].get("namespace") or "",
            item["metadata"]["name"],
        )
        not in described
    ]
