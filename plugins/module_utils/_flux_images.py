# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Do the pods run the images that a Flux object has brought? (private)

The last step of a reconciliation: a revision that was applied is not yet one that runs. The workloads are those of the
object's inventory, https://fluxcd.io/flux/components/kustomize/kustomizations/#inventory.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from ._kube_client import KubeClient
from ._kube_conditions import Progress, is_current, ready
from ._kube_resources import Resources
from ._kube_status import evaluate
from ._kube_wait import Target, Waiter, WaitError
from ._pod_containers import containers

Document = dict[str, Any]

_GROUP = "apps"
_KINDS = ("Deployment", "DaemonSet", "StatefulSet")
_PAUSE = 1.0
IMAGE_ARGUMENTS: dict[str, dict[str, Any]] = {"verify_images": {"type": "bool", "default": True}}


@dataclass
class _Image:
    """The image of one container of a workload's template. ``wrong`` maps pods to the other digest that they run."""

    workload: Document
    container: str
    reference: str
    running: set[str] = field(default_factory=set)
    wrong: dict[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        metadata = self.workload["metadata"]
        return {
            "kind": self.workload["kind"],
            "namespace": metadata["namespace"],
            "name": metadata["name"],
            "container": self.container,
            "image": self.reference,
            "running": sorted(self.running),
        }

    def complaints(self) -> list[str]:
        metadata, wanted = self.workload["metadata"], self.reference.rpartition("@")[2]
        where = f"{self.workload['kind']} {metadata['namespace']}/{metadata['name']}"
        return [
            f"{where}: pod {pod}, container {self.container} runs {digest} instead of {wanted}"
            for pod, digest in sorted(self.wrong.items())
        ]


def workloads_of(document: Document) -> list[Target]:
    """Return the workloads in the inventory of a Kustomization or HelmRelease, as targets for the waiter.

    None for an object that Flux applies to another cluster: this API server knows nothing of its pods.
    """
    if (document.get("spec") or {}).get("kubeConfig"):
        return []
    targets = []
    for entry in ((document.get("status") or {}).get("inventory") or {}).get("entries") or []:
        # <namespace>_<name>_<group>_<kind>; the names of workloads hold no underscore.
        parts = str(entry.get("id")).split("_")
        if len(parts) == 4 and parts[2] == _GROUP and parts[3] in _KINDS:
            targets.append(Target(f"{_GROUP}/{entry['v']}", parts[3], parts[1], parts[0], judge=_rolled_out))
    return targets


def prove_images(
    client: KubeClient, resources: Resources, waiter: Waiter, document: Document, timeout: float
) -> list[dict[str, Any]]:
    """Wait until the workloads of a Flux object are rolled out and their pods run the digests of their templates.

    Returns each container's image with the digests that run. An image that is named without a digest is reported only,
    and so are workloads whose old pods may stay (``OnDelete``, a partition). Raises WaitError.
    """
    targets = workloads_of(document)
    if not targets:
        return []
    deadline = time.monotonic() + max(1.0, timeout)
    while True:
        waited = waiter.wait(targets, max(1.0, deadline - time.monotonic()))
        found = [image for entry in waited if entry.document for image in _images(client, resources, entry.document)]
        complaints = [text for image in found for text in image.complaints()]
        if not complaints:
            return [image.as_dict() for image in found]
        if time.monotonic() + _PAUSE > deadline:
            raise WaitError(
                f"not every pod runs the image of its workload after {timeout:.0f} s: {'; '.join(complaints)}",
                waited,
                "Look who changes the pods' images, or who keeps the old pods.",
            )
        time.sleep(_PAUSE)


def _rolled_out(document: Document) -> Progress:
    status = document.get("status") or {}
    looked = bool(status.get("observedGeneration")) and is_current(document)
    if document.get("kind") == "DaemonSet" and looked and not status.get("desiredNumberScheduled"):
        # For k8s_wait that is not enough; here, where no pod is wanted, none can run anything else.
        return ready("no node is chosen")
    return evaluate(document)


def _images(client: KubeClient, resources: Resources, workload: Document) -> list[_Image]:
    template = workload["spec"]["template"]["spec"]
    found = {
        item["name"]: _Image(workload, item["name"], item["image"])
        for section in ("initContainers", "containers")
        for item in template.get(section) or []
    }
    labels = (workload["spec"].get("selector") or {}).get("matchLabels") or {}
    query = {"labelSelector": ",".join(f"{key}={value}" for key, value in sorted(labels.items()))}
    pods = client.get(resources.find("v1", "Pod").collection(workload["metadata"]["namespace"]), query)
    demanded = _replaces_all(workload)
    for pod in pods.get("items") or []:
        if pod["metadata"].get("deletionTimestamp") or not _belongs(pod, workload):
            continue
        for container in containers(pod):
            image, digest = found.get(container.name), container.running_digest
            # Without a digest it has not started yet; containers beside those of the template were injected.
            if image is None or not digest:
                continue
            image.running.add(digest)
            wanted = image.reference.rpartition("@")[2] if "@" in image.reference else ""
            if wanted and wanted != digest and demanded:
                image.wrong[container.pod] = digest
    return list(found.values())


def _belongs(pod: Document, workload: Document) -> bool:
    """Tell whether a workload's controller has made a pod; labels alone may be those of others too."""
    metadata = pod["metadata"]
    for owner in metadata.get("ownerReferences") or []:
        if owner.get("controller"):
            if workload["kind"] != "Deployment":
                return bool(owner.get("uid") == workload["metadata"]["uid"])
            # A Deployment's pods belong to its ReplicaSets, which have its name and the hash of the template.
            made = (metadata.get("labels") or {}).get("pod-template-hash")
            return bool(made) and owner.get("name") == f"{workload['metadata']['name']}-{made}"
    return False


def _replaces_all(workload: Document) -> bool:
    """Tell whether a rollout replaces every pod."""
    strategy = workload["spec"].get("updateStrategy") or {}
    return strategy.get("type") != "OnDelete" and not (strategy.get("rollingUpdate") or {}).get("partition")
