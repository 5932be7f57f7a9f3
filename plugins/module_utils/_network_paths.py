# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Allowed network paths, written once: from them come the NetworkPolicies and what a probe must find (private).

A *peer* is who talks: pods of a namespace by labels, or addresses. Namespaces that the caller names are closed: what no
path allows there, inwards or outwards, is denied.
API: https://kubernetes.io/docs/concepts/services-networking/network-policies/.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

LABEL = {"app.kubernetes.io/managed-by": "onprem.platform"}
REASONS = "onprem.platform/reasons"
"""Annotation of a policy: why each of its paths is allowed."""
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_PROTOCOLS = ("TCP", "UDP")
OPEN, REFUSED, DROPPED = "open", "refused", "dropped"
"""What a probe finds: a connection, an answer that nobody listens (so the network lets it through), or nothing."""


class NetworkPathsError(Exception):
    """The description of the paths contradicts itself; the text names the entry."""


@dataclass(frozen=True, order=True)
class Port:
    """A port that a destination may be reached at."""

    number: int
    protocol: str = "TCP"

    def __str__(self) -> str:
        return f"{self.number}/{self.protocol}"


@dataclass(frozen=True)
class Peer:
    """One end of a path: pods (``namespace`` and ``labels``) or ``addresses`` (networks).

    :ivar listens: ports at which it is probed, beside those of its paths.
    """

    name: str
    namespace: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    addresses: tuple[str, ...] = ()
    listens: tuple[Port, ...] = ()

    def selector(self) -> list[dict[str, Any]]:
        """Return the peer as ``from`` and ``to`` of a NetworkPolicy name it."""
        if self.addresses:
            return [{"ipBlock": {"cidr": cidr}} for cidr in self.addresses]
        return [
            {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": self.namespace}},
                "podSelector": {"matchLabels": dict(self.labels)},
            }
        ]


@dataclass(frozen=True)
class Path:
    """Pods of ``source`` may reach ``destination`` at a port, for a reason."""

    source: str
    destination: str
    port: Port
    reason: str


@dataclass(frozen=True)
class Pair:
    """One question of the matrix: may the source reach the destination at the port? ``reason`` says why it may."""

    source: str
    destination: str
    port: Port
    allowed: bool
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.source} -> {self.destination}:{self.port}"


@dataclass(frozen=True)
class Wrong:
    """A pair of which a probe found something else; ``found`` is empty when nobody has tried it."""

    pair: Pair
    found: str

    def __str__(self) -> str:
        wanted = "must be open" if self.pair.allowed else "must be dropped"
        return f"{self.pair} {wanted}, but is {self.found or 'not tried'}"


@dataclass(frozen=True)
class Network:
    """Peers, paths between them, and the namespaces that are closed."""

    peers: Mapping[str, Peer]
    paths: tuple[Path, ...]
    closed: tuple[str, ...]

    def policies(self) -> list[dict[str, Any]]:
        """Return the NetworkPolicies of the closed namespaces: one that denies all in each, one for each peer."""
        documents = [
            _policy(namespace, "default-deny", {}, {"policyTypes": ["Ingress", "Egress"]}) for namespace in self.closed
        ]
        for peer in self.peers.values():
            if peer.namespace in self.closed:
                documents += self._peer_policy(peer)
        return documents

    def _peer_policy(self, peer: Peer) -> list[dict[str, Any]]:
        inwards = [path for path in self.paths if path.destination == peer.name]
        outwards = [path for path in self.paths if path.source == peer.name]
        if not inwards and not outwards:
            return []
        spec: dict[str, Any] = {"policyTypes": ["Ingress", "Egress"]}
        if inwards:
            spec["ingress"] = self._rules("from", {path: path.source for path in inwards})
        if outwards:
            spec["egress"] = self._rules("to", {path: path.destination for path in outwards})
        lines = [f"{path.source} -> {path.destination}:{path.port}: {path.reason}" for path in [*inwards, *outwards]]
        return [_policy(peer.namespace, f"allow-{peer.name}", dict(peer.labels), spec, "\n".join(lines))]

    def _rules(self, key: str, others: Mapping[Path, str]) -> list[dict[str, Any]]:
        """Return one rule for each other end, with all its ports."""
        ports: dict[str, set[Port]] = {}
        for path, other in others.items():
            ports.setdefault(other, set()).add(path.port)
        return [
            {
                key: self.peers[other].selector(),
                "ports": [{"port": port.number, "protocol": port.protocol} for port in sorted(wanted)],
            }
            for other, wanted in ports.items()
        ]

    def matrix(self) -> list[Pair]:
        """Return every pair of a source in a closed namespace, a destination, and a port that it is known for.

        A destination is known for the ports of all paths to it and those at which it listens; both ways are asked, as
        both ends are sources where both are in closed namespaces.
        """
        allowed = {(path.source, path.destination, path.port): path.reason for path in self.paths}
        pairs = []
        for source in self.peers.values():
            if source.namespace not in self.closed:
                continue
            for destination in self.peers.values():
                ports = {path.port for path in self.paths if path.destination == destination.name}
                for port in sorted(ports | set(destination.listens)):
                    reason = allowed.get((source.name, destination.name, port))
                    pairs.append(Pair(source.name, destination.name, port, reason is not None, reason or ""))
        return pairs


def compare(matrix: Iterable[Pair], found: Mapping[tuple[str, str, Port], str]) -> list[Wrong]:
    """Return the pairs of which the probe found something else than the matrix says.

    :param found: (source, destination, port) -> :data:`OPEN`, :data:`REFUSED` or :data:`DROPPED`. A refusal by the
        destination's own system shows that the network lets the packet through, so it is wrong for a denied pair, and
        for an allowed one as well: nobody listens where somebody should.
    """
    wrong = []
    for pair in matrix:
        verdict = found.get((pair.source, pair.destination, pair.port), "")
        if verdict != (OPEN if pair.allowed else DROPPED):
            wrong.append(Wrong(pair, verdict))
    return wrong


def network(peers: Mapping[str, Any], paths: Iterable[Mapping[str, Any]], closed: Iterable[str]) -> Network:
    """Return the network that a description means.

    :param peers: name -> ``{namespace, labels}`` or ``{addresses}``, and maybe ``listens`` (ports).
    :param paths: ``{from, to, ports, reason}``; ``from`` and ``to`` are names or lists of them, a port is a number or
        text such as ``53/UDP``.
    :param closed: namespaces in which all else is denied.
    :raises NetworkPathsError: with the entry that is wrong.
    """
    known = {name: _peer(name, value) for name, value in peers.items()}
    _check_distinct(list(known.values()))
    namespaces = tuple(dict.fromkeys(closed))
    found: dict[tuple[str, str, Port], Path] = {}
    for number, entry in enumerate(paths):
        for path in _paths(f"path {number}", entry, known):
            if known[path.source].namespace not in namespaces and known[path.destination].namespace not in namespaces:
                raise NetworkPathsError(f"path {number}: neither {path.source} nor {path.destination} is closed")
            key = (path.source, path.destination, path.port)
            if key in found:
                raise NetworkPathsError(
                    f"path {number}: {path.source} -> {path.destination}:{path.port} is there twice"
                )
            found[key] = path
    for name in namespaces:
        _check_name(f"namespace {name}", name)
    return Network(known, tuple(found.values()), namespaces)


def _peer(name: str, value: Any) -> Peer:
    where = f"peer {name}"
    _check_name(where, name)
    _known(where, value, {"namespace", "labels", "addresses", "listens"})
    labels, addresses = value.get("labels") or {}, value.get("addresses") or []
    if bool(addresses) == bool(value.get("namespace")):
        raise NetworkPathsError(f"{where} needs either a namespace or addresses")
    if addresses:
        if labels:
            raise NetworkPathsError(f"{where}: addresses have no labels")
        for cidr in addresses:
            try:
                ipaddress.ip_network(cidr)
            except ValueError as error:
                raise NetworkPathsError(f"{where}: {error}") from error
    else:
        _check_name(f"{where}: namespace", value["namespace"])
        if not labels:
            # A selector without labels takes every pod of the namespace, also those that come later.
            raise NetworkPathsError(f"{where} needs labels: without, every pod of {value['namespace']} would be it")
    return Peer(
        name,
        str(value.get("namespace") or ""),
        tuple(sorted((str(key), str(text)) for key, text in labels.items())),
        tuple(str(cidr) for cidr in addresses),
        tuple(_port(where, port) for port in value.get("listens") or []),
    )


def _check_distinct(peers: list[Peer]) -> None:
    """Refuse peers that could be the same pod or address: its paths would be those of both."""
    for number, one in enumerate(peers):
        for other in peers[number + 1 :]:
            if one.addresses and other.addresses:
                same = any(_overlap(left, right) for left in one.addresses for right in other.addresses)
            else:
                labels = dict(other.labels)
                same = one.namespace == other.namespace and all(
                    labels.get(key, text) == text for key, text in one.labels
                )
            if same:
                raise NetworkPathsError(f"peers {one.name} and {other.name} can be the same: tell them apart by labels")


def _overlap(one: str, other: str) -> bool:
    left, right = ipaddress.ip_network(one), ipaddress.ip_network(other)
    return left.version == right.version and left.overlaps(right)


def _paths(where: str, entry: Any, peers: Mapping[str, Peer]) -> list[Path]:
    _known(where, entry, {"from", "to", "ports", "reason"})
    missing = [key for key in ("from", "to", "ports", "reason") if not entry.get(key)]
    if missing:
        raise NetworkPathsError(f"{where}: {', '.join(missing)} is missing")
    sources, destinations = _names(where, entry["from"], peers), _names(where, entry["to"], peers)
    ports = entry["ports"] if isinstance(entry["ports"], list) else [entry["ports"]]
    return [
        Path(source, destination, _port(where, port), str(entry["reason"]))
        for source in sources
        for destination in destinations
        for port in ports
    ]


def _names(where: str, value: Any, peers: Mapping[str, Peer]) -> list[str]:
    names = value if isinstance(value, list) else [value]
    unknown = sorted({str(name) for name in names} - set(peers))
    if unknown:
        raise NetworkPathsError(f"{where}: {', '.join(unknown)} is no peer")
    return [str(name) for name in names]


def _port(where: str, value: Any) -> Port:
    number, _separator, protocol = str(value).partition("/")
    if not number.isdigit() or not 0 < int(number) < 65536 or (protocol or "TCP") not in _PROTOCOLS:
        raise NetworkPathsError(f"{where}: {value!r} is no port; write 443 or 53/UDP")
    return Port(int(number), protocol or "TCP")


def _check_name(where: str, name: Any) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise NetworkPathsError(f"{where}: {name!r} is no name of RFC 1123 (lower-case letters, digits and '-')")


def _known(where: str, value: Any, keys: set[str]) -> None:
    if not isinstance(value, Mapping):
        raise NetworkPathsError(f"{where} is no mapping")
    unknown = sorted(set(value) - keys)
    if unknown:
        raise NetworkPathsError(f"{where}: unknown key {', '.join(unknown)}; known are {', '.join(sorted(keys))}")


def _policy(
    namespace: str, name: str, labels: dict[str, str], spec: dict[str, Any], reasons: str = ""
) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name, "namespace": namespace, "labels": dict(LABEL)}
    if reasons:
        metadata["annotations"] = {REASONS: reasons}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata,
        "spec": {"podSelector": {"matchLabels": labels} if labels else {}, **spec},
    }
