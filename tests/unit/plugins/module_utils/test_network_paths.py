# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Policies and matrix from one description, judged by a reader of NetworkPolicies that knows nothing of paths."""

from __future__ import annotations

import ipaddress
import random
from typing import Any

import pytest

from ansible_collections.onprem.platform.plugins.module_utils._network_paths import (
    DROPPED,
    OPEN,
    REFUSED,
    UNLISTED,
    Network,
    NetworkPathsError,
    Peer,
    Port,
    compare,
    network,
)

# The paths of requirement R8.
PEERS: dict[str, Any] = {
    **{
        name: {"namespace": "shop", "labels": {"component": name}}
        for name in ("nginx", "app", "scheduler", "worker", "migrator", "seeder")
    },
    "mysql": {"namespace": "data", "labels": {"component": "mysql"}},
    "redis": {"namespace": "data", "labels": {"component": "redis"}},
    "vault": {"namespace": "vault", "labels": {"component": "vault"}},
    "prometheus": {"namespace": "observability", "labels": {"component": "prometheus"}},
    "dns": {"namespace": "kube-system", "labels": {"k8s-app": "kube-dns"}},
    "api": {"addresses": ["192.0.2.11/32", "192.0.2.12/32"]},
    "nodes": {"addresses": ["192.0.2.11/32", "192.0.2.12/32", "192.0.2.21/32"], "comes_from": ["10.244.0.0/16"]},
    "visitors": {"anyone": True},
    "gateway": {"addresses": ["203.0.113.7/32"], "listens": [80]},
}
POD_CLIENTS = ["app", "scheduler", "worker", "migrator", "seeder"]
PATHS: list[dict[str, Any]] = [
    {"from": "nginx", "to": "app", "ports": 9000, "reason": "FastCGI"},
    {"from": ["app", "scheduler", "worker"], "to": ["redis"], "ports": [6379], "reason": "queue and sessions"},
    {"from": POD_CLIENTS, "to": "mysql", "ports": 3306, "reason": "data"},
    {"from": POD_CLIENTS, "to": "vault", "ports": 8200, "reason": "secrets"},
    {"from": "worker", "to": "gateway", "ports": 443, "reason": "text messages"},
    {"from": [*POD_CLIENTS, "nginx", "vault"], "to": "dns", "ports": ["53/UDP", 53], "reason": "names"},
    {"from": "vault", "to": "mysql", "ports": 3306, "reason": "makes users"},
    {"from": "vault", "to": "api", "ports": 6443, "reason": "reviews tokens"},
    {"from": "prometheus", "to": ["app", "nginx"], "ports": 9090, "reason": "metrics"},
    {"from": "prometheus", "to": "nodes", "ports": 10250, "reason": "metrics"},
    {"from": "visitors", "to": "nginx", "ports": 8080, "reason": "pages"},
    {"from": "nodes", "to": "vault", "ports": 8443, "reason": "a webhook"},
]
CLOSED = ["shop", "data", "vault", "observability"]


def permits(documents: list[dict[str, Any]], source: Peer, destination: Peer, port: Port) -> bool:
    """Say what NetworkPolicies mean for one pair, by the rules of the API alone."""
    return _side(documents, source, destination, port, "egress") and _side(
        documents, destination, source, port, "ingress"
    )


def _side(documents: list[dict[str, Any]], pod: Peer, other: Peer, port: Port, direction: str) -> bool:
    if pod.addresses:
        return True
    selecting = [
        document["spec"]
        for document in documents
        if document["metadata"]["namespace"] == pod.namespace
        and (document["spec"]["podSelector"].get("matchLabels") or {}).items() <= dict(pod.labels).items()
        and direction.capitalize() in document["spec"]["policyTypes"]
    ]
    if not selecting:
        return True
    key = "to" if direction == "egress" else "from"
    return any(
        {"port": port.number, "protocol": port.protocol} in rule["ports"]
        and (key not in rule or any(_is(entry, other, key == "from") for entry in rule[key]))
        for spec in selecting
        for rule in spec.get(direction, [])
    )


def _is(entry: dict[str, Any], peer: Peer, inwards: bool) -> bool:
    if "ipBlock" in entry:
        block = ipaddress.ip_network(entry["ipBlock"]["cidr"])
        # What a node sends into an overlay is from there.
        own = peer.comes_from if inwards and peer.comes_from else peer.addresses
        return any(ipaddress.ip_network(cidr).subnet_of(block) for cidr in own)  # type: ignore[arg-type]
    return (
        not peer.addresses
        and entry["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"] == peer.namespace
        and entry["podSelector"]["matchLabels"].items() <= dict(peer.labels).items()
    )


def found(model: Network, documents: list[dict[str, Any]]) -> dict[tuple[str, str, Port], str]:
    sources = {peer.name: peer for peer in model.sources()}
    return {
        (pair.source, pair.destination, pair.port): OPEN
        if permits(documents, sources[pair.source], model.peers[pair.destination], pair.port)
        else DROPPED
        for pair in model.matrix()
    }


def test_policies_mean_what_the_matrix_expects() -> None:
    model = network(PEERS, PATHS, CLOSED)
    matrix = model.matrix()
    assert len(matrix) == len({(pair.source, pair.destination, pair.port) for pair in matrix})
    assert compare(matrix, found(model, model.policies())) == []
    # Port 80 outside is asked and denied, port 443 is for the worker only.
    outside = {(pair.source, str(pair.port)): pair.allowed for pair in matrix if pair.destination == "gateway"}
    assert outside["worker", "443/TCP"] and not outside["worker", "80/TCP"] and not outside["app", "443/TCP"]
    # Who is not restricted shows that it is there, not that something listens where nobody may go.
    assert outside["outsider", "443/TCP"] and ("outsider", "80/TCP") not in outside
    # Strangers reach nothing; what anyone may reach is open to whom nothing restricts, and to nobody else.
    assert not any(pair.allowed for pair in matrix if pair.source.startswith("stranger-in-"))
    assert {pair.source for pair in matrix if pair.destination == "nginx" and pair.allowed} == {
        "prometheus",
        "outsider",
        "nodes",
    }
    assert {pair.destination for pair in matrix if pair.source == "nodes" and pair.allowed} == {"nginx", "vault"}
    # Each destination is asked at a port that nobody listed.
    assert {pair.destination for pair in matrix if pair.port == UNLISTED} == {*PEERS} - {"visitors"}


def test_a_wrong_policy_is_found() -> None:
    model = network(PEERS, PATHS, CLOSED)
    hole = {
        "metadata": {"namespace": "data", "name": "debug"},
        "spec": {
            "podSelector": {},
            "policyTypes": ["Ingress"],
            "ingress": [
                {"from": model.peers["nginx"].rule("from")["from"], "ports": [{"port": 3306, "protocol": "TCP"}]}
            ],
        },
    }
    way_out = {
        "metadata": {"namespace": "shop", "name": "debug"},
        "spec": {
            "podSelector": {"matchLabels": {"component": "nginx"}},
            "policyTypes": ["Egress"],
            "egress": [{"to": model.peers["mysql"].rule("to")["to"], "ports": [{"port": 3306, "protocol": "TCP"}]}],
        },
    }
    # A hole on one side only changes nothing: the other side still denies.
    assert compare(model.matrix(), found(model, [*model.policies(), hole])) == []
    wrong = compare(model.matrix(), found(model, [*model.policies(), hole, way_out]))
    assert [str(item) for item in wrong] == ["nginx -> mysql:3306/TCP must be dropped, but is open"]
    missing = [document for document in model.policies() if document["metadata"]["name"] != "allow-redis"]
    assert {item.pair.destination for item in compare(model.matrix(), found(model, missing))} == {"redis"}


def test_what_a_probe_finds_is_judged_strictly() -> None:
    model = network(PEERS, PATHS, CLOSED)
    seen = found(model, model.policies())
    seen["nginx", "mysql", Port(3306)] = REFUSED
    seen["nginx", "app", Port(9000)] = REFUSED
    del seen["app", "mysql", Port(3306)]
    assert [str(item) for item in compare(model.matrix(), seen)] == [
        "nginx -> mysql:3306/TCP must be dropped, but is refused",
        "app -> mysql:3306/TCP must be open, but is not tried",
    ]


@pytest.mark.parametrize("seed", range(40))
def test_any_description(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - repeatable
    peers: dict[str, Any] = {
        f"pod-{number}": {
            "namespace": f"n-{chance.randrange(4)}",
            "labels": {"number": str(number)},
            "listens": [8080] if chance.random() < 0.5 else [],
        }
        for number in range(8)
    }
    peers |= {f"host-{number}": {"addresses": [f"192.0.2.{number}/32"]} for number in range(3)}
    closed = [f"n-{number}" for number in range(3)]
    paths = {}
    for _number in range(25):
        source, destination = chance.choice(list(peers)), chance.choice(list(peers))
        port = chance.choice([80, 443, "53/UDP"])
        if {peers[source].get("namespace"), peers[destination].get("namespace")} & set(closed):
            paths[source, destination, port] = {"from": source, "to": destination, "ports": port, "reason": "r"}
    model = network(peers, paths.values(), closed)
    assert compare(model.matrix(), found(model, model.policies())) == []


def test_documents() -> None:
    model = network(PEERS, PATHS, CLOSED)
    documents = model.policies()
    assert documents == network(PEERS, PATHS, CLOSED).policies()
    names = [(item["metadata"]["namespace"], item["metadata"]["name"]) for item in documents]
    assert len(set(names)) == len(names) and {space for space, _name in names} == set(CLOSED)
    assert [name for _space, name in names].count("default-deny") == len(CLOSED)
    redis = next(item for item in documents if item["metadata"]["name"] == "allow-redis")
    assert "worker -> redis:6379/TCP: queue and sessions" in redis["metadata"]["annotations"]["onprem.platform/reasons"]
    assert "egress" not in redis["spec"] and len(redis["spec"]["ingress"]) == 3


def one(**changes: Any) -> dict[str, Any]:
    return {"from": "nginx", "to": "app", "ports": 9000, "reason": "r", **changes}


@pytest.mark.parametrize(
    ("peers", "paths", "message"),
    [
        ({"A": {"namespace": "n", "labels": {"a": "b"}}}, [], "is no name"),
        ({"a": {"namespace": "n"}}, [], "needs labels"),
        ({"a": {}}, [], "either a namespace or addresses"),
        ({"a": {"namespace": "n", "addresses": ["192.0.2.0/24"]}}, [], "either a namespace or addresses"),
        ({"a": {"addresses": ["192.0.2.1/24"]}}, [], "host bits"),
        ({"a": {"addresses": ["192.0.2.1"], "labels": {"a": "b"}}}, [], "only pods have labels"),
        ({"a": {"namespace": "n", "labels": {"a": "b"}, "tries": ["192.0.2.1"]}}, [], "only a peer with addresses"),
        ({"a": {"anyone": True, "addresses": ["192.0.2.1"]}}, [], "either a namespace or addresses"),
        (PEERS, [one(to="visitors")], "anyone can only be a source"),
        (PEERS, [one(ports=4)], "port 4/TCP is kept"),
        (
            {"a": {"namespace": "n", "labels": {"x": "1"}}, "b": {"namespace": "n", "labels": {"y": "1"}}},
            [],
            "can be the same",
        ),
        ({"a": {"namespace": "n", "labels": {"x": "1"}, "colour": "red"}}, [], "unknown key colour"),
        ({"a": "n"}, [], "is no mapping"),
        (PEERS, [one(reason="")], "path 0: reason is missing"),
        (PEERS, [one(to="nobody")], "path 0: nobody is no peer"),
        (PEERS, [one(ports="9000/SCTP")], "is no port"),
        (PEERS, [one(ports=70000)], "is no port"),
        (PEERS, [one(), one(ports=[80, 9000])], "path 1: nginx -> app:9000/TCP is there twice"),
        (PEERS, [one(**{"from": "dns", "to": "api"})], "neither dns nor api is closed"),
    ],
)
def test_wrong_descriptions(peers: dict[str, Any], paths: list[Any], message: str) -> None:
    with pytest.raises(NetworkPathsError, match=message):
        network(peers, paths, CLOSED)


def test_the_policies_of_one_namespace() -> None:
    model = network(PEERS, PATHS, CLOSED)
    assert {item["metadata"]["namespace"] for item in model.policies("data")} == {"data"}
    assert len(model.policies()) == sum(len(model.policies(namespace)) for namespace in CLOSED)
    with pytest.raises(NetworkPathsError, match="namespace default is not closed"):
        model.policies("default")


def test_peers_that_mean_the_same_have_the_shortest_name() -> None:
    peers = {**PEERS, "the-database": PEERS["mysql"], "gateway-of-the-site": {**PEERS["gateway"], "listens": [25]}}
    path = {"from": "nginx", "to": "the-database", "ports": 3307, "reason": "more"}
    model = network(peers, [*PATHS, path], CLOSED)
    assert model.aliases == {"the-database": "mysql", "gateway-of-the-site": "gateway"}
    assert "the-database" not in model.peers and Port(25) in model.peers["gateway"].listens
    assert [item.source for item in model.paths if item.port.number == 3307 and item.destination == "mysql"] == [
        "nginx"
    ]
    with pytest.raises(NetworkPathsError, match="nginx -> app:9000/TCP is there twice"):
        network({**PEERS, "front": PEERS["nginx"]}, [*PATHS, one(**{"from": "front"})], CLOSED)


def test_a_range_allows_each_of_its_addresses_and_needs_one_to_try() -> None:
    peers = {**PEERS, "world": {"addresses": ["0.0.0.0/0"]}}
    path = {"from": "app", "to": "world", "ports": 443, "reason": "mail"}
    model = network(peers, [*PATHS, path], CLOSED)
    assert ("app", "gateway", True) in {
        (pair.source, pair.destination, pair.allowed) for pair in model.matrix() if pair.port == Port(443)
    }
    assert [str(item.port) for item in model.untested()] == ["443/TCP"]
    assert not any(pair.destination == "world" for pair in model.matrix())
    tried = network({**peers, "world": {"addresses": ["0.0.0.0/0"], "tries": ["198.51.100.1"]}}, [*PATHS, path], CLOSED)
    assert not tried.untested() and any(pair.destination == "world" for pair in tried.matrix())
