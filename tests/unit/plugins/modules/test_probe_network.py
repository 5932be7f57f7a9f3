# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""probe_network: which pods it starts, what they connect to, how it judges, and that nothing stays behind.

The cluster is a model in memory that lets through what a table says; real pods and policies are tried on the lab.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from ansible_collections.onprem.platform.plugins.module_utils import _network_probe
from ansible_collections.onprem.platform.plugins.module_utils._kube_errors import (
    ForbiddenError,
    KubeConnectionError,
    NotFoundError,
)
from ansible_collections.onprem.platform.plugins.module_utils._kube_exec import Finished
from ansible_collections.onprem.platform.plugins.module_utils._network_paths import Network, network
from ansible_collections.onprem.platform.plugins.module_utils._network_probe import (
    NetworkProbe,
    Outcome,
    _state,
    verdict,
)
from ansible_collections.onprem.platform.plugins.modules import probe_network

Runner = Callable[..., dict[str, Any]]
Document = dict[str, Any]

PEERS: dict[str, Any] = {
    "web": {"namespace": "shop", "labels": {"app": "web"}},
    "job": {"namespace": "shop", "labels": {"app": "job"}},
    "data": {"namespace": "data", "labels": {"app": "data"}},
    "dns": {"namespace": "kube-system", "labels": {"k8s-app": "kube-dns"}},
    "api": {"addresses": ["192.0.2.11/32"]},
    "nodes": {"addresses": ["192.0.2.11/32", "192.0.2.21/32", "192.0.2.22/32"], "comes_from": ["10.244.0.0/16"]},
    "outside": {"addresses": ["192.0.2.22/32"], "listens": [80]},
}
PATHS = [
    {"from": ["web", "job"], "to": "data", "ports": [3306], "reason": "orders"},
    {"from": "web", "to": "data", "ports": ["9094/UDP"], "reason": "gossip"},
    {"from": "web", "to": "dns", "ports": ["53/UDP"], "reason": "names"},
    {"from": "job", "to": "api", "ports": [6443], "reason": "objects"},
    {"from": "web", "to": "outside", "ports": [443], "reason": "messages"},
    {"from": "nodes", "to": "data", "ports": [8443], "reason": "webhook"},
]
CLOSED = ["shop", "data"]


def pod(namespace: str, name: str, node: str, address: str, labels: Document, **spec: Any) -> Document:
    return {
        "metadata": {
            "namespace": namespace,
            "name": name,
            "labels": labels,
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {
            "nodeName": node,
            "containers": [{"name": "c", "ports": [{"name": "sql", "containerPort": 3306}]}],
            **spec,
        },
        "status": {"phase": "Running", "podIP": address},
    }


def node(name: str, address: str, **labels: str) -> Document:
    return {
        "metadata": {"name": name, "labels": labels},
        "status": {
            "conditions": [{"type": "Ready", "status": "True"}],
            "addresses": [{"type": "InternalIP", "address": address}],
        },
    }


class Cluster:
    """Answers as the API server would, and as pods would that a network lets through what ``model`` allows."""

    connection = None

    def __init__(self, model: Network) -> None:
        self.model = model
        self.reached = {(pair.source, pair.destination, pair.port) for pair in model.matrix() if pair.allowed}
        self.pods: dict[str, Document] = {}
        self.made: dict[str, Document] = {}
        self.removed: list[str] = []
        self.accounts = 0
        self.late = ""
        self.stuck = ""
        self.refused = ""
        self.slow: dict[str, int] = {}
        self.asked: list[tuple[str, int]] = []
        self.lines: list[str] = []
        labels = {"app": "data", "controller-revision-hash": "1", "statefulset.kubernetes.io/pod-name": "data-0"}
        self.workload = [
            pod(
                "shop",
                "web-1",
                "w1",
                "10.244.1.1",
                {"app": "web", "tier": "front", "pod-template-hash": "5"},
                serviceAccountName="web",
            ),
            pod("data", "data-0", "w1", "10.244.1.2", labels),
            pod("data", "data-1", "w2", "10.244.2.2", {**labels, "controller-revision-hash": "2"}),
            pod("kube-system", "coredns", "w2", "10.244.2.3", {"k8s-app": "kube-dns"}),
        ]
        self.nodes = [
            node("cp1", "192.0.2.11", **{"node-role.kubernetes.io/control-plane": ""}),
            node("w1", "192.0.2.21"),
            node("w2", "192.0.2.22"),
        ]

    def get(self, path: str, query: Document | None = None) -> Document:
        items: dict[str, list[Document]] = {
            "/api/v1/nodes": self.nodes,
            "/api/v1/services": [
                {
                    "metadata": {"namespace": "data", "name": "data"},
                    "spec": {
                        "clusterIP": "10.96.0.5",
                        "selector": {"app": "data"},
                        "ports": [{"port": 33060, "targetPort": "sql"}],
                    },
                },
                {
                    "metadata": {"namespace": "default", "name": "kubernetes"},
                    "spec": {"clusterIP": "10.96.0.1", "ports": [{"port": 443}]},
                },
            ],
        }
        if path == "/api/v1/pods":
            if self.asked:
                self.late = ""
            pending = [name for name in self.pods if self.late and self.peer_of(name) == self.late]
            shown = {
                name: {**item, "status": {"phase": "Pending"}} for name, item in self.pods.items() if name in pending
            }
            return {"items": list({**self.pods, **shown}.values()) if query else self.workload}
        if path.endswith("/endpointslices"):
            return {"items": [{"endpoints": [{"addresses": ["192.0.2.11"]}], "ports": [{"port": 6443}]}]}
        if path in ("/api/v1/configmaps", "/api/v1/namespaces"):
            kind = path.rpartition("/")[2]
            return {"items": [item for name, item in self.made.items() if name.startswith(kind)]}
        return {"items": items[path]}

    def request(
        self, verb: str, path: str, query: Any = None, body: Any = None, _content_type: str = ""
    ) -> tuple[int, Document]:
        name = path.rpartition("/")[2]
        if verb == "PATCH":
            self.accounts += 1
            if self.accounts == 1:
                raise NotFoundError(404, "NotFound", "not yet", {})
            assert path.endswith("/serviceaccounts/default") and body == {"automountServiceAccountToken": False}
            return 200, {}
        if verb == "DELETE" and name == "pods":
            assert query == {"fieldSelector": "spec.schedulerName=onprem-probe-network"}
            namespace = path.split("/")[-2]
            gone = [item for item, made in self.pods.items() if made["metadata"]["namespace"] == namespace]
            self.removed += [f"{path}/{item}" for item in gone if self.pods.pop(item)]
            return 200, {}
        if verb == "DELETE":
            self.removed.append(path)
            found = self.pods.pop(name, None) or self.made.pop(f"{path.split('/')[-2]}/{path}", None)
            if not found:
                raise NotFoundError(404, "NotFound", "gone", {})
            return 200, {}
        if name == "pods":
            return 201, self._start(body)
        key = f"{name}/{path}/{body['metadata']['name']}"
        body["metadata"]["uid"] = "uid"
        self.made[key] = body
        return 201, body

    def _start(self, body: Document) -> Document:
        peer = body["metadata"]["annotations"]["onprem.platform/probe"].removeprefix("stands for ")
        if peer == self.refused:
            raise ForbiddenError(403, "Forbidden", "quota", {})
        status: Document = {"phase": "Running", "podIP": f"10.244.9.{len(self.pods) + 1}"}
        if peer == self.stuck:
            waiting = {"reason": "ImagePullBackOff", "message": "no such image"}
            status = {"phase": "Pending", "containerStatuses": [{"state": {"waiting": waiting}}]}
        self.pods[body["metadata"]["name"]] = {**body, "status": status}
        return body

    def run_in_pod(
        self,
        _connection: Any,
        _namespace: str,
        name: str,
        _container: str,
        command: list[str],
        text: str,
        _timeout: float,
    ) -> Finished:
        assert command[:2] == ["sh", "-c"] and text.endswith("\nend\n")
        source = self.peer_of(name)
        lines = []
        for line in text.splitlines()[:-1]:
            number, protocol, address, port = line.split()
            self.asked.append((source, int(port)))
            tried = f"{source} {address} {port}"
            self.lines.append(tried)
            destinations = self.destinations(address, int(port))
            there = any(
                (source, peer, item) in self.reached
                for peer, real in destinations
                for item in {pair.port for pair in self.model.matrix()}
                if (item.number, item.protocol) == (real, protocol)
            )
            if self.lines.count(tried) <= self.slow.get(tried, 0):
                there = False
            said = "" if there else ("nc: timed out" if protocol == "TCP" else ";; connection timed out; no servers")
            if there and address.startswith("10.244.9."):
                said = "nc: can't connect: Connection refused"
            lines.append(f"{number} {0 if there and not said else 1} {said}")
        return Finished("\n".join([*reversed(lines), ""]), "", 0)

    def peer_of(self, name: str) -> str:
        return str(self.pods[name]["metadata"]["annotations"]["onprem.platform/probe"]).removeprefix("stands for ")

    def destinations(self, address: str, port: int) -> list[tuple[str, int]]:
        """Return the peers behind an address, with the port there."""
        if address == "10.96.0.5":
            return [("data", 3306)]
        if address == "10.96.0.1":
            return [("api", 6443)]
        for item in [*self.workload, *self.pods.values()]:
            if item["status"].get("podIP") == address:
                labels = item["metadata"]["labels"]
                return [
                    (name, port)
                    for name, peer in PEERS.items()
                    if (peer.get("labels") or {"": ""}).items() <= labels.items()
                ]
        return [(name, port) for name, peer in PEERS.items() if f"{address}/32" in peer.get("addresses", [])]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    model = Cluster(network(PEERS, PATHS, CLOSED))
    monkeypatch.setattr(_network_probe, "run_in_pod", model.run_in_pod)
    return model


def probe(cluster: Cluster, **listeners: list[int]) -> Outcome:
    outcome = NetworkProbe(cluster, "toolbox", 1, 3, "kubernetes").run(cluster.model, listeners)  # type: ignore[arg-type]
    assert not cluster.pods and not cluster.made
    return outcome


def test_a_network_as_described(cluster: Cluster) -> None:
    started: dict[str, list[Document]] = {}
    start = cluster._start

    def noted(body: Document) -> Document:
        made = start(body)
        started.setdefault(cluster.peer_of(body["metadata"]["name"]), []).append(body)
        return made

    cluster._start = noted  # type: ignore[method-assign]
    outcome = probe(cluster, w2=[443, 80])
    assert outcome.wrong() == [] and outcome.problems == {}
    assert all(item["correct"] and item["tries"] for item in outcome.as_list())
    assert {case["failure"] for case in outcome.cases()} == {""}
    # The real one's labels without those of its controller, its service account and its node.
    web = started["web"][0]
    assert web["metadata"]["labels"] == {"app": "web", "tier": "front"}
    assert (web["spec"]["serviceAccountName"], web["spec"]["nodeName"]) == ("web", "w1")
    assert web["metadata"]["ownerReferences"][0]["controller"] and web["spec"]["readinessGates"]
    assert started["data"][0]["metadata"]["labels"] == {"app": "data"}
    # Who does not run has a stand-in to connect to, and so has who is sent UDP.
    assert {name: len(items) for name, items in started.items()} == {
        "web": 1,
        "job": 2,
        "data": 2,
        "nodes": 2,
        "stranger-in-shop": 1,
        "stranger-in-data": 1,
        "outsider": 1,
        "outside": 1,
    }
    assert sorted(item["spec"]["nodeName"] for item in started["nodes"]) == ["cp1", "w1"]
    assert all(item["spec"]["hostNetwork"] for item in started["nodes"])
    assert started["outside"][0]["spec"]["nodeName"] == "w2"
    for item in [item for items in started.values() for item in items]:
        context = item["spec"]["containers"][0]["securityContext"]
        assert item["spec"]["hostNetwork"] or item["spec"]["securityContext"]["runAsNonRoot"]
        assert context["capabilities"]["drop"] == ["ALL"] and not context["allowPrivilegeEscalation"]
    assert ("web", 33060) in cluster.asked and ("job", 443) in cluster.asked


def test_what_each_pair_was_asked(cluster: Cluster) -> None:
    tries = {str(pair): seen for pair, seen in probe(cluster).tries.items()}
    assert sorted(tries["web -> data:3306/TCP"]) == [
        "pod data/data-0: open",
        "pod data/data-1: open",
        "service data/data: open",
    ]
    assert tries["job -> api:6443/TCP"] == ["192.0.2.11: open", "service default/kubernetes: open"]
    assert [re.sub("[0-9a-f]{6}-[0-9]+", "N", text) for text in tries["web -> data:9094/UDP"]] == [
        "stand-in data/probe-network-N: refused"
    ]
    # From a node, nothing on the same node: it always reaches those.
    assert set(tries["nodes -> data:8443/TCP"]) == {"pod data/data-0: open", "pod data/data-1: open"}
    assert len(tries["nodes -> data:8443/TCP"]) == 3


def test_wrong_policies_are_found(cluster: Cluster) -> None:
    pairs = {str(pair): (pair.source, pair.destination, pair.port) for pair in cluster.model.matrix()}
    cluster.reached.add(pairs["stranger-in-shop -> data:3306/TCP"])
    cluster.reached.add(pairs["web -> data:4/TCP"])
    cluster.reached.remove(pairs["job -> api:6443/TCP"])
    outcome = probe(cluster)
    assert sorted(map(str, outcome.wrong())) == [
        "job -> api:6443/TCP must be open, but is dropped",
        "stranger-in-shop -> data:3306/TCP must be dropped, but is open",
        "web -> data:4/TCP must be dropped, but is open",
    ]
    assert [case["suite"] for case in outcome.cases() if case["failure"]] == ["web", "job", "stranger-in-shop"]


def test_what_a_new_pod_may_do_is_tried_again_but_not_for_ever(cluster: Cluster) -> None:
    cluster.slow = {"web 10.244.1.2 3306": 2, "job 192.0.2.11 6443": 3}
    wrong = probe(cluster).wrong()
    assert list(map(str, wrong)) == ["job -> api:6443/TCP must be open, but is dropped"]
    assert (cluster.lines.count("web 10.244.1.2 3306"), cluster.lines.count("job 192.0.2.11 6443")) == (3, 3)
    # What must not be possible is tried once.
    assert cluster.lines.count("web 10.244.1.2 4") == 1


def test_who_runs_tries_before_all_others_do(cluster: Cluster) -> None:
    """The late one starts only when another has been asked."""
    cluster.late = "stranger-in-data"
    outcome = probe(cluster)
    assert outcome.wrong() == [] and outcome.problems == {}


def test_a_container_that_ended_is_named() -> None:
    ended = {"terminated": {"reason": "StartError", "message": "context deadline exceeded"}}
    assert (
        _state({"phase": "Failed", "containerStatuses": [{"state": ended}]}) == "StartError context deadline exceeded"
    )


@pytest.mark.parametrize("fault", ["stuck", "refused"])
def test_who_does_not_start_has_tried_nothing(cluster: Cluster, fault: str) -> None:
    setattr(cluster, fault, "web")
    outcome = probe(cluster)
    wrong = outcome.wrong()
    assert wrong and {item.pair.source for item in wrong} == {"web"} and {item.found for item in wrong} == {""}
    assert ("ImagePullBackOff" if fault == "stuck" else "quota") in outcome.problems["web"]
    assert all(outcome.problems["web"] in case["failure"] for case in outcome.cases() if case["suite"] == "web")


def test_a_command_that_breaks_off_has_tried_nothing(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: Any) -> Finished:
        if cluster.peer_of(arguments[2]) == "job":
            raise KubeConnectionError("broken")
        return cluster.run_in_pod(*arguments)

    monkeypatch.setattr(_network_probe, "run_in_pod", broken)
    wrong = probe(cluster).wrong()
    assert {item.pair.source for item in wrong} == {"job"} and {item.found for item in wrong} == {"not tried (broken)"}


def test_the_pods_go_after_an_error_and_those_of_a_killed_run_before_the_next(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_arguments: Any) -> Finished:
        raise KeyboardInterrupt

    monkeypatch.setattr(_network_probe, "run_in_pod", killed)
    with pytest.raises(KeyboardInterrupt):
        probe(cluster)
    assert not cluster.pods and not cluster.made
    cluster.pods["left"] = {"metadata": {"namespace": "shop", "name": "left"}}
    monkeypatch.setattr(_network_probe, "run_in_pod", cluster.run_in_pod)
    probe(cluster)
    assert "/api/v1/namespaces/shop/pods/left" in cluster.removed


@pytest.mark.parametrize(
    ("protocol", "code", "said", "meaning"),
    [
        ("TCP", "0", "", "open"),
        ("TCP", "1", "nc: timed out", "dropped"),
        ("TCP", "1", "nc: can't connect to remote host (10.0.0.1): Connection refused", "refused"),
        ("TCP", "1", "nc: can't connect to remote host (10.0.0.1): No route to host", "neither open nor dropped"),
        ("UDP", "0", "Server: 10.96.0.10 Name: kubernetes Address: 10.96.0.1", "open"),
        ("UDP", "1", "** server can't find kubernetes: NXDOMAIN", "open"),
        ("UDP", "1", ";; connection timed out; no servers could be reached", "dropped"),
        ("UDP", "1", "nslookup: write to '10.0.0.1': Connection refused ;; connection timed out", "refused"),
        ("TCP", "127", "sh: busybox: not found", "neither open nor dropped"),
    ],
)
def test_words_of_busybox(protocol: str, code: str, said: str, meaning: str) -> None:
    assert verdict(protocol, code, said).startswith(meaning)


# --- the module ------------------------------------------------------------------------------------------------------


@pytest.fixture
def call(run_module: Runner, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Runner:
    monkeypatch.setattr(probe_network, "NetworkProbe", lambda _client, *rest: NetworkProbe(cluster, *rest))  # type: ignore[arg-type]

    def run(check: bool = False, **params: Any) -> dict[str, Any]:
        options = {"host": "https://api.test", "image": "toolbox", "start_timeout": 1}
        description = {"peers": PEERS, "paths": PATHS, "closed": CLOSED}
        return run_module(probe_network.main, {**options, **description, **params}, check=check)

    return run


def test_result(call: Runner) -> None:
    answer = call()
    assert not answer["changed"] and answer["wrong"] == [] and answer["pairs"] == len(answer["results"]) > 60
    assert answer["connections"] > answer["pairs"] / 2 and answer["pods"] == 10
    documented = yaml.safe_load(probe_network.RETURN)
    assert set(answer["results"][0]) == set(documented["results"]["contains"])
    assert set(answer["cases"][0]) == set(documented["cases"]["contains"])


def test_wrong_verdicts_fail(call: Runner, cluster: Cluster) -> None:
    cluster.reached.clear()
    answer = call()
    assert answer["failed"] and re.match(rf"\d+ of {answer['pairs']} pairs are wrong: ", answer["msg"])
    assert len(answer["wrong"]) == sum(1 for case in answer["cases"] if case["failure"])


def test_a_range_without_an_address_to_try_fails(call: Runner) -> None:
    peers = {**PEERS, "mail": {"addresses": ["198.51.100.0/24"]}}
    answer = call(peers=peers, paths=[*PATHS, {"from": "job", "to": "mail", "ports": [25], "reason": "mail"}])
    assert answer["failed"] and answer["wrong"] == [] and answer["untested"] == ["job -> mail:25/TCP"]
    assert answer["cases"][-1]["failure"].startswith("not tried: give mail an address")


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"paths": [{"from": "web", "to": "nobody", "ports": 1, "reason": "r"}]}, "nobody is no peer"),
        ({"listeners": {"w1": "80"}}, "w1 needs a list of ports"),
        ({"listeners": {"w1": [0]}}, "w1 needs a list of ports"),
    ],
)
def test_wrong_options(call: Runner, cluster: Cluster, params: dict[str, Any], message: str) -> None:
    answer = call(**params)
    assert answer["failed"] and message in answer["msg"] and not cluster.removed


def test_check_mode_tries_nothing(call: Runner, cluster: Cluster) -> None:
    answer = call(check=True)
    assert answer["skipped"] and "cases" not in answer and not cluster.asked
