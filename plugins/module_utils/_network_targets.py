# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Which pods a probe of the network needs, and what each of them connects to (private).

A source gets a pod that has the labels, the service account and the node of the real one. Destinations are the real
pods, the Services in front of them, and addresses. Where no real pod runs, or where it would not answer (UDP), a
stand-in with its labels is asked: it refuses, which shows that the network lets the packet through.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ._network_paths import PROBE_NAMESPACE, Network, Pair, Peer

_TARGETS_PER_DESTINATION = 2
_DNS = 53
# What controllers and Services of single pods know a pod by, and what changes while it runs.
_NOT_COPIED = re.compile(
    r"(pod-template-hash|controller-revision-hash|pod-template-generation|controller-uid|job-name"
    r"|statefulset\.kubernetes\.io/.*|apps\.kubernetes\.io/.*|batch\.kubernetes\.io/.*|vault-.*)"
)
_CONTROL_PLANE = "node-role.kubernetes.io/control-plane"


@dataclass
class ProbePod:
    """A pod that a probe starts; ``address`` is empty until it runs.

    :ivar peer: who it is.
    :ivar listens: TCP ports at which it answers; those of a listener that stands for something outside.
    """

    name: str
    namespace: str
    peer: str
    node: str
    labels: dict[str, str]
    service_account: str = "default"
    host_network: bool = False
    listens: tuple[int, ...] = ()
    source: bool = True
    address: str = ""

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True)
class Target:
    """One connection of one probe pod; the verdicts of all targets of a pair must agree."""

    pair: Pair
    address: str
    port: int
    via: str


@dataclass
class Site:
    """What runs in the cluster: objects as the API lists them.

    :ivar api_service: (address and port of the Service of the API servers, their own port, their addresses).
    """

    pods: list[dict[str, Any]]
    services: list[dict[str, Any]]
    nodes: list[dict[str, Any]]
    api_service: tuple[str, int, int, frozenset[str]] = ("", 0, 0, frozenset())
    _live: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def live(self, peer: Peer) -> list[dict[str, Any]]:
        """Return the running pods of a peer."""
        if peer.name not in self._live:
            self._live[peer.name] = [
                pod
                for pod in self.like(peer)
                if pod["status"].get("phase") == "Running"
                and pod["status"].get("podIP")
                and not pod["metadata"].get("deletionTimestamp")
            ]
        return self._live[peer.name]

    def like(self, peer: Peer) -> list[dict[str, Any]]:
        """Return all pods of a peer, also those that have ended; the newest first."""
        if not peer.namespace:
            return []
        found = [
            pod
            for pod in self.pods
            if pod["metadata"]["namespace"] == peer.namespace
            and dict(peer.labels).items() <= (pod["metadata"].get("labels") or {}).items()
            and not pod["spec"].get("hostNetwork")
        ]
        return sorted(found, key=lambda pod: str(pod["metadata"].get("creationTimestamp")), reverse=True)

    def node_addresses(self) -> dict[str, tuple[str, bool]]:
        """Return node -> (address, whether it is a control plane), of nodes that are ready."""
        found = {}
        for node in self.nodes:
            ready = any(item["type"] == "Ready" and item["status"] == "True" for item in node["status"]["conditions"])
            address = [item["address"] for item in node["status"]["addresses"] if item["type"] == "InternalIP"]
            if ready and address:
                labels = node["metadata"].get("labels") or {}
                found[node["metadata"]["name"]] = (address[0], _CONTROL_PLANE in labels)
        return found


def probe_pods(
    network: Network, site: Site, namespace: str, run: str, listeners: Mapping[str, Iterable[int]]
) -> list[ProbePod]:
    """Return the pods that a run of the probe needs.

    :param namespace: for those that belong to none of the description's.
    :param run: goes into their names.
    :param listeners: node -> ports at which a pod in the node's network listens.
    """
    nodes = site.node_addresses()
    workers = [name for name, (_address, control_plane) in sorted(nodes.items()) if not control_plane] or sorted(nodes)
    pods: list[ProbePod] = []

    def add(peer: Peer, node: str, **options: Any) -> None:
        where = peer.namespace if peer.namespace not in ("", PROBE_NAMESPACE) else namespace
        pods.append(ProbePod(f"probe-network-{run}-{len(pods)}", where, peer.name, node, **options))

    for peer in network.sources():
        if peer.addresses:
            for node in _two_kinds(peer, nodes):
                add(peer, node, labels={"app": "node"}, host_network=True)
            continue
        live = [pod for pod in site.live(peer) if pod["spec"].get("nodeName") in nodes]
        examples = live or site.like(peer)
        labels = _labels(examples[0]) if examples else dict(peer.labels)
        account = examples[0]["spec"].get("serviceAccountName") or "default" if examples else "default"
        node = live[0]["spec"]["nodeName"] if live else workers[len(pods) % len(workers)]
        add(peer, node, labels=labels, service_account=account)
        if peer.name in network.peers and (not live or _needs_stand_in(network, peer)):
            other = next((name for name in workers if name != node), node)
            add(peer, other, labels=labels, service_account=account, source=False)
    for node, ports in listeners.items():
        outside = Peer("outside", PROBE_NAMESPACE)
        add(outside, node, labels={"app": "outside"}, host_network=True, listens=tuple(ports), source=False)
    return pods


def _two_kinds(peer: Peer, nodes: Mapping[str, tuple[str, bool]]) -> list[str]:
    """Return one control plane and one worker of the nodes that a peer means."""
    chosen: dict[bool, str] = {}
    for name, (address, control_plane) in sorted(nodes.items()):
        if f"{address}/32" in peer.addresses or f"{address}/128" in peer.addresses:
            chosen.setdefault(control_plane, name)
    return list(chosen.values())


def _needs_stand_in(network: Network, peer: Peer) -> bool:
    """Tell whether a program of a peer would not say that a packet has arrived."""
    return any(
        path.destination == peer.name and path.port.protocol == "UDP" and path.port.number != _DNS
        for path in network.paths
    )


def _labels(pod: Mapping[str, Any]) -> dict[str, str]:
    labels = pod["metadata"].get("labels") or {}
    return {key: text for key, text in labels.items() if not _NOT_COPIED.fullmatch(key)}


def targets(network: Network, site: Site, pods: list[ProbePod], matrix: list[Pair]) -> dict[str, list[Target]]:
    """Return name of a probe pod -> what it has to connect to."""
    sources: dict[str, list[ProbePod]] = {}
    for pod in pods:
        if pod.source:
            sources.setdefault(pod.peer, []).append(pod)
    found: dict[str, list[Target]] = {}
    for pair in matrix:
        for pod in sources.get(pair.source, []):
            found.setdefault(pod.name, []).extend(_targets(network, site, pods, pair, pod))
    return found


def _rotated(items: list[Any], number: int) -> list[Any]:
    """Return the items from another one on, so that not all sources ask the same ones."""
    start = number % len(items) if items else 0
    return items[start:] + items[:start]


def _targets(network: Network, site: Site, pods: list[ProbePod], pair: Pair, source: ProbePod) -> list[Target]:
    destination, port = network.peers[pair.destination], pair.port.number
    if destination.addresses:
        addresses = _rotated(destination.targets(), pods.index(source))[:_TARGETS_PER_DESTINATION]
        found = [Target(pair, address, port, address) for address in addresses]
        address, service_port, api_port, members = site.api_service
        if address and port == api_port and pair.port.protocol == "TCP" and members <= set(destination.targets()):
            found.append(Target(pair, address, service_port, "service default/kubernetes"))
        return found
    live = site.live(destination)
    if not live or (pair.port.protocol == "UDP" and port != _DNS):
        stand_ins = [pod for pod in pods if pod.peer == pair.destination and not pod.source and pod.address]
        # A node always reaches the pods that it runs.
        there = [pod for pod in stand_ins if not source.host_network or pod.node != source.node]
        return [Target(pair, pod.address, port, f"stand-in {pod}") for pod in there]
    near = [pod for pod in live if pod["spec"]["nodeName"] == source.node and not source.host_network]
    far = [pod for pod in live if pod["spec"]["nodeName"] != source.node]
    chosen = [*near[:1], *_rotated(far, pods.index(source))][:_TARGETS_PER_DESTINATION]
    found = [
        Target(pair, pod["status"]["podIP"], port, f"pod {pod['metadata']['namespace']}/{pod['metadata']['name']}")
        for pod in chosen
    ]
    if source.host_network:
        return found
    for service in site.services:
        spec = service["spec"]
        selector = spec.get("selector") or {}
        behind = [pod for pod in live if selector.items() <= (pod["metadata"].get("labels") or {}).items()]
        if service["metadata"]["namespace"] != destination.namespace or not selector or not behind:
            continue
        for item in spec.get("ports") or []:
            same = item.get("protocol", "TCP") == pair.port.protocol and _number(item, behind[0]) == port
            if same and spec.get("clusterIP") not in (None, "", "None"):
                via = f"service {destination.namespace}/{service['metadata']['name']}"
                found.append(Target(pair, spec["clusterIP"], item["port"], via))
    return found


def _number(item: Mapping[str, Any], pod: Mapping[str, Any]) -> int:
    """Return the port of a pod that a port of a Service means; 0 when the pod does not name it."""
    target = item.get("targetPort") or item["port"]
    if isinstance(target, int):
        return target
    for container in [*pod["spec"]["containers"], *(pod["spec"].get("initContainers") or [])]:
        for port in container.get("ports") or []:
            if port.get("name") == target:
                return int(port["containerPort"])
    return 0
