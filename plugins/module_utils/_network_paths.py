# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Allowed network paths, written once: from them come the NetworkPolicies and what a probe must find (private).

A *peer* is who talks: pods of a namespace by labels, addresses, or anyone. Namespaces that the caller names are closed:
what no path allows there, inwards or outwards, is denied.
API: https://kubernetes.io/docs/concepts/services-networking/network-policies/.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

LABEL = {"app.kubernetes.io/managed-by": "onprem.platform"}
REASONS = "onprem.platform/reasons"
"""Annotation of a policy: why each of its paths is allowed."""
PROBE_NAMESPACE = "onprem-probe-network"
"""Namespace that a probe makes for sources that no description knows; it is not closed."""
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


UNLISTED = Port(4)
"""A port that nothing uses. Each destination is asked there too: a policy without ports would let it through."""


@dataclass(frozen=True)
class Peer:
    """One end of a path: pods (``namespace`` and ``labels``), ``addresses`` (networks) or ``anyone``.

    :ivar listens: ports at which it is probed, beside those of its paths.
    :ivar comes_from: networks that packets of the addresses come from when they reach pods, beside the addresses: what
        a node sends into an overlay has the node's address there.
    :ivar tries: addresses of its networks that a probe connects to; networks of one address need none.
    """

    name: str
    namespace: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    addresses: tuple[str, ...] = ()
    listens: tuple[Port, ...] = ()
    comes_from: tuple[str, ...] = ()
    tries: tuple[str, ...] = ()
    anyone: bool = False

    def rule(self, key: str) -> dict[str, Any]:
        """Return the peer as an entry of ``ingress`` (key ``from``) or ``egress`` (key ``to``) names it."""
        if self.anyone:
            return {}
        if self.addresses:
            networks = [*self.addresses, *(self.comes_from if key == "from" else ())]
            return {key: [{"ipBlock": {"cidr": cidr}} for cidr in networks]}
        namespace = {"matchLabels": {"kubernetes.io/metadata.name": self.namespace}}
        return {key: [{"namespaceSelector": namespace, "podSelector": {"matchLabels": dict(self.labels)}}]}

    def targets(self) -> list[str]:
        """Return the addresses to connect to, of a peer that has addresses."""
        single = [ipaddress.ip_network(cidr) for cidr in self.addresses]
        return [*(str(net.network_address) for net in single if net.num_addresses == 1), *self.tries]

    def covers(self, other: Peer) -> bool:
        """Tell whether all addresses of another peer are among this one's."""
        return bool(other.addresses) and all(
            any(_within(cidr, network) for network in self.addresses) for cidr in other.addresses
        )

    def together_with(self, other: Peer) -> Peer:
        """Return the peer with what another one that means the same knows beside it."""
        return replace(
            self,
            listens=tuple(dict.fromkeys([*self.listens, *other.listens])),
            comes_from=tuple(dict.fromkeys([*self.comes_from, *other.comes_from])),
            tries=tuple(dict.fromkeys([*self.tries, *other.tries])),
        )

    def is_like(self, other: Peer) -> bool:
        """Tell whether it means the same as another peer, whatever they are called."""
        return (self.namespace, self.labels, self.addresses, self.anyone) == (
            other.namespace,
            other.labels,
            other.addresses,
            other.anyone,
        )


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

    def as_dict(self) -> dict[str, Any]:
        """Return the pair as modules and filters show it."""
        return {
            "source": self.source,
            "destination": self.destination,
            "port": self.port.number,
            "protocol": self.port.protocol,
            "allowed": self.allowed,
            "reason": self.reason,
        }


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
    aliases: Mapping[str, str] = field(default_factory=dict)

    def policies(self, namespace: str = "") -> list[dict[str, Any]]:
        """Return the NetworkPolicies: for each closed namespace one that denies all, and one for each peer in it.

        :param namespace: only those of this namespace.
        :raises NetworkPathsError: when that namespace is not closed.
        """
        if namespace and namespace not in self.closed:
            raise NetworkPathsError(f"namespace {namespace} is not closed; closed are {', '.join(self.closed)}")
        wanted = (namespace,) if namespace else self.closed
        documents = [_policy(name, "default-deny", {}, {"policyTypes": ["Ingress", "Egress"]}) for name in wanted]
        for peer in self.peers.values():
            if peer.namespace in wanted:
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
        # One that connects to itself has the path in both directions.
        lines = [f"{path.source} -> {path.destination}:{path.port}: {path.reason}" for path in [*inwards, *outwards]]
        text = "\n".join(dict.fromkeys(lines))
        return [_policy(peer.namespace, f"allow-{peer.name}", dict(peer.labels), spec, text)]

    def _rules(self, key: str, others: Mapping[Path, str]) -> list[dict[str, Any]]:
        """Return one rule for each other end, with all its ports."""
        ports: dict[str, set[Port]] = {}
        for path, other in others.items():
            ports.setdefault(other, set()).add(path.port)
        return [
            {
                **self.peers[other].rule(key),
                "ports": [{"port": port.number, "protocol": port.protocol} for port in sorted(wanted)],
            }
            for other, wanted in ports.items()
        ]

    def sources(self) -> list[Peer]:
        """Return who a probe connects from: all that are restricted, and some that nobody knows.

        These are a stranger in each closed namespace, an outsider in a namespace that is not closed, and nodes.
        """
        found = [peer for peer in self.peers.values() if peer.namespace in self.closed]
        found += [
            peer
            for peer in self.peers.values()
            if peer not in found and (peer.comes_from or (peer.namespace and self._is_source(peer)))
        ]
        stranger = (("app", "stranger"), ("app.kubernetes.io/name", "stranger"))
        found += [Peer(f"stranger-in-{name}", name, stranger) for name in self.closed]
        return [*found, Peer("outsider", PROBE_NAMESPACE, (("app", "outsider"),))]

    def _is_source(self, peer: Peer) -> bool:
        return any(path.source == peer.name for path in self.paths)

    def matrix(self) -> list[Pair]:
        """Return every pair of a source, a destination, and a port that the destination is known for, or unlisted.

        Where both ends are restricted, both are sources, so both ways are asked. Between two ends that are not, there
        is only something to ask where it shows that others are denied what is there.
        """
        pairs = []
        for source in self.sources():
            for destination in self.peers.values():
                if destination.anyone or (destination.addresses and not destination.targets()):
                    continue
                known = sorted({path.port for path in self.paths if path.destination == destination.name})
                if source.namespace not in self.closed and destination.namespace not in self.closed:
                    if source.namespace and not self._is_source(source):
                        reason = f"nothing restricts {source.name}"
                        pairs += [Pair(source.name, destination.name, port, True, reason) for port in known]
                    continue
                for port in sorted({*known, *destination.listens, UNLISTED}):
                    reason = self._reason(source, destination, port)
                    pairs.append(Pair(source.name, destination.name, port, bool(reason), reason))
        return pairs

    def untested(self) -> list[Path]:
        """Return the paths to networks of which no address is known that a probe could connect to."""
        return [
            path
            for path in self.paths
            if self.peers[path.destination].addresses and not self.peers[path.destination].targets()
        ]

    def _reason(self, source: Peer, destination: Peer, port: Port) -> str:
        """Return why a source may reach a port; empty if it may not."""
        for path in self.paths:
            by = self.peers[path.source]
            # What anyone may reach is open on the destination's side only.
            right_source = by.name == source.name or (by.anyone and source.namespace not in self.closed)
            right_destination = path.destination == destination.name or self.peers[path.destination].covers(destination)
            if right_source and right_destination and path.port == port:
                return path.reason
        return ""


def compare(matrix: Iterable[Pair], found: Mapping[tuple[str, str, Port], str]) -> list[Wrong]:
    """Return the pairs of which the probe found something else than the matrix says.

    :param found: (source, destination, port) -> :data:`OPEN`, :data:`REFUSED`, :data:`DROPPED` or other words. A
        refusal by the destination's own system shows that the network lets the packet through: right for an allowed
        pair, wrong for a denied one.
    """
    wrong = []
    for pair in matrix:
        verdict = found.get((pair.source, pair.destination, pair.port), "")
        if verdict not in ((OPEN, REFUSED) if pair.allowed else (DROPPED,)):
            wrong.append(Wrong(pair, verdict))
    return wrong


def network(peers: Mapping[str, Any], paths: Iterable[Mapping[str, Any]], closed: Iterable[str]) -> Network:
    """Return the network that a description means.

    :param peers: name -> ``{namespace, labels}``, ``{addresses}`` (maybe with ``comes_from`` and ``tries``) or
        ``{anyone: true}``, and maybe ``listens`` (ports). Peers that mean the same become the one with the
        shortest name.
    :param paths: ``{from, to, ports, reason}``; ``from`` and ``to`` are names or lists of them, a port is a number or
        text such as ``53/UDP``.
    :param closed: namespaces in which all else is denied.
    :raises NetworkPathsError: with the entry that is wrong.
    """
    given = {name: _peer(name, value) for name, value in peers.items()}
    aliases = _aliases(list(given.values()))
    known = {name: peer for name, peer in given.items() if name not in aliases}
    for alias, name in aliases.items():
        known[name] = known[name].together_with(given[alias])
    _check_distinct(list(known.values()))
    namespaces = tuple(dict.fromkeys(closed))
    for name in namespaces:
        _check_name(f"namespace {name}", name)
    found: dict[tuple[str, str, Port], Path] = {}
    for number, entry in enumerate(paths):
        where = f"path {number}"
        for given_path in _paths(where, entry, given):
            path = replace(
                given_path,
                source=aliases.get(given_path.source, given_path.source),
                destination=aliases.get(given_path.destination, given_path.destination),
            )
            _check_path(where, path, known, namespaces)
            key = (path.source, path.destination, path.port)
            if key in found:
                raise NetworkPathsError(f"{where}: {path.source} -> {path.destination}:{path.port} is there twice")
            found[key] = path
    return Network(known, tuple(found.values()), namespaces, aliases)


def _aliases(peers: list[Peer]) -> dict[str, str]:
    """Return name -> shortest name, of peers that mean the same: several parts of a description may know them."""
    found: dict[str, str] = {}
    for peer in peers:
        shortest = min((other.name for other in peers if other.is_like(peer)), key=len)
        if shortest != peer.name:
            found[peer.name] = shortest
    return found


def _check_path(where: str, path: Path, peers: Mapping[str, Peer], closed: tuple[str, ...]) -> None:
    source, destination = peers[path.source], peers[path.destination]
    if destination.anyone:
        raise NetworkPathsError(f"{where}: anyone can only be a source")
    if path.port == UNLISTED:
        raise NetworkPathsError(f"{where}: port {UNLISTED} is kept for asking whether more is open than is listed")
    if source.namespace not in closed and destination.namespace not in closed:
        raise NetworkPathsError(f"{where}: neither {path.source} nor {path.destination} is closed")


def _peer(name: str, value: Any) -> Peer:
    where = f"peer {name}"
    _check_name(where, name)
    _known(where, value, {"namespace", "labels", "addresses", "listens", "comes_from", "tries", "anyone"})
    labels, addresses = value.get("labels") or {}, value.get("addresses") or []
    if sum(map(bool, (addresses, value.get("namespace"), value.get("anyone")))) != 1:
        raise NetworkPathsError(f"{where} needs either a namespace or addresses, or is anyone")
    if not addresses and (value.get("comes_from") or value.get("tries")):
        raise NetworkPathsError(f"{where}: only a peer with addresses has comes_from or tries")
    if not value.get("namespace"):
        if labels:
            raise NetworkPathsError(f"{where}: only pods have labels")
        for cidr in [*addresses, *(value.get("comes_from") or []), *(value.get("tries") or [])]:
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
        tuple(str(cidr) for cidr in value.get("comes_from") or []),
        tuple(str(address) for address in value.get("tries") or []),
        bool(value.get("anyone")),
    )


def _check_distinct(peers: list[Peer]) -> None:
    """Refuse peers of which a pod could be both: its paths would be those of both."""
    pods = [peer for peer in peers if peer.namespace]
    for number, one in enumerate(pods):
        for other in pods[number + 1 :]:
            labels = dict(other.labels)
            if one.namespace == other.namespace and all(labels.get(key, text) == text for key, text in one.labels):
                raise NetworkPathsError(f"peers {one.name} and {other.name} can be the same: tell them apart by labels")


def _within(one: str, other: str) -> bool:
    left, right = ipaddress.ip_network(one), ipaddress.ip_network(other)
    return (
        left.version == right.version
        and int(right.network_address) <= int(left.network_address)
        and int(left.broadcast_address) <= int(right.broadcast_address)
    )


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
