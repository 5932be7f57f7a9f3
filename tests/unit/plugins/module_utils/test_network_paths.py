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
        and any(_is(entry, other) for entry in rule[key])
        for spec in selecting
        for rule in spec.get(direction, [])
    )


def _is(entry: dict[str, Any], peer: Peer) -> bool:
    if "ipBlock" in entry:
        block = ipaddress.ip_network(entry["ipBlock"]["cidr"])
        return any(ipaddress.ip_network(cidr).subnet_of(block) for cidr in peer.addresses)  # type: ignore[arg-type]
    return (
        not peer.addresses
        and entry["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"] == peer.namespace
        and entry["podSelector"]["matchLabels"].items() <= dict(peer.labels).items()
    )


def found(model: Network, documents: list[dict[str, Any]]) -> dict[tuple[str, str, Port], str]:
    return {
        (pair.source, pair.destination, pair.port): OPEN
        if permits(documents, model.peers[pair.source], model.peers[pair.destination], pair.port)
        else DROPPED
        for pair in model.matrix()
    }


def test_policies_mean_what_the_matrix_expects() -> None:
    model = network(PEERS, PATHS, CLOSED)
    matrix = model.matrix()
    assert len(matrix) == 110 and sum(pair.allowed for pair in matrix) == 33
    assert compare(matrix, found(model, model.policies())) == []
    # Port 80 outside is asked and denied, port 443 is for the worker only.
    outside = {(pair.source, str(pair.port)): pair.allowed for pair in matrix if pair.destination == "gateway"}
    assert outside["worker", "443/TCP"] and not outside["worker", "80/TCP"] and not outside["app", "443/TCP"]


def test_a_wrong_policy_is_found() -> None:
    model = network(PEERS, PATHS, CLOSED)
    hole = {
        "metadata": {"namespace": "data", "name": "debug"},
        "spec": {
            "podSelector": {},
            "policyTypes": ["Ingress"],
            "ingress": [{"from": model.peers["nginx"].selector(), "ports": [{"port": 3306, "protocol": "TCP"}]}],
        },
    }
    way_out = {
        "metadata": {"namespace": "shop", "name": "debug"},
        "spec": {
            "podSelector": {"matchLabels": {"component": "nginx"}},
            "policyTypes": ["Egress"],
            "egress": [{"to": model.peers["mysql"].selector(), "ports": [{"port": 3306, "protocol": "TCP"}]}],
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
        "nginx -> app:9000/TCP must be open, but is refused",
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
        ({"a": {"addresses": ["192.0.2.1"], "labels": {"a": "b"}}}, [], "have no labels"),
        ({"a": {"addresses": ["192.0.2.0/24"]}, "b": {"addresses": ["192.0.2.7/32"]}}, [], "can be the same"),
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
