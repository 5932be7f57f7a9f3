# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The judgement of all hosts together, against a model of a cluster that tests bring into every state."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from ansible_collections.onprem.platform.plugins.filter.kubeadm_plan import kubeadm_plan
from ansible_collections.onprem.platform.plugins.module_utils._kubeadm_plan import differences, make_plan, seconds

MANIFESTS = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"]
CONTROL_PLANES, WORKERS = ["cp1", "cp2", "cp3"], ["w1", "w2"]


class Cluster:
    """Hosts and API of a cluster; every method is something that happens to it."""

    def __init__(self) -> None:
        """Bare hosts."""
        self.hosts = {host: self._bare(host) for host in CONTROL_PLANES + WORKERS}
        self.view: dict[str, Any] | None = None

    @staticmethod
    def _bare(host: str) -> dict[str, Any]:
        files = {
            "kubelet_conf": False,
            "bootstrap_kubelet_conf": False,
            "kubelet_configuration": False,
            "admin_conf": False,
            "super_admin_conf": False,
            "manifests": [],
            "etcd_data": False,
        }
        return {
            "node_name": host,
            "files": files,
            "ca_certificate": "",
            "ca_fingerprint": "",
            "ca_private_key": False,
            "api_local": False,
            "static_pods": {},
            "kubelet_configuration": {},
            "cluster": None,
            "cluster_error": "not asked",
        }

    def install(self, host: str) -> None:
        """Files of a finished init or join, nothing in the API."""
        facts = self.hosts[host]
        facts["files"].update(kubelet_conf=True, kubelet_configuration=True)
        facts.update(ca_certificate="PEM", ca_fingerprint="aa" * 32, kubelet_configuration={"podPidsLimit": 100})
        if host in CONTROL_PLANES:
            facts["files"].update(admin_conf=True, manifests=list(MANIFESTS), etcd_data=True)
            pods = {name: {"arguments": {"profiling": "false"}, "configuration": ""} for name in MANIFESTS}
            pods["kube-apiserver"]["configuration"] = "0123"
            facts.update(ca_private_key=True, static_pods=pods)

    def join(self, host: str, ready: bool = True) -> None:
        """A finished init or join."""
        self.install(host)
        if self.view is None:
            self.view = {
                "nodes": [],
                "etcd_members": [],
                "cluster_configuration": {"clusterName": "onprem"},
                "kubelet_configuration": {"cgroupDriver": "systemd"},
                "kube_proxy_configuration": {"mode": "nftables"},
                "dns": True,
                "bootstrap_tokens": [],
                "certificates_secret": False,
            }
        control_plane = host in CONTROL_PLANES
        reason = "" if ready else "cni plugin not initialized"
        self.view["nodes"].append({"name": host, "ready": ready, "reason": reason, "control_plane": control_plane})
        if control_plane:
            self.view["etcd_members"].append({"name": host, "learner": False})

    def empty(self, host: str) -> None:
        """The host is replaced by a bare one; the API still knows it."""
        self.hosts[host] = self._bare(host)

    def node(self, host: str) -> dict[str, Any]:
        """The Node object of a host."""
        assert self.view is not None
        return next(item for item in self.view["nodes"] if item["name"] == host)

    def plan(self, **options: Any) -> Any:
        """Judge; control planes with complete files see the API."""
        facts = copy.deepcopy(self.hosts)
        for host in CONTROL_PLANES:
            if self.view is not None and facts[host]["files"]["admin_conf"]:
                facts[host].update(cluster=copy.deepcopy(self.view), api_local=True)
        return make_plan(facts, CONTROL_PLANES, WORKERS, **options)


@pytest.fixture
def running() -> Cluster:
    """Return a cluster where everything is joined and Ready."""
    cluster = Cluster()
    for host in CONTROL_PLANES + WORKERS:
        cluster.join(host)
    return cluster


def states(plan: Any) -> dict[str, tuple[str, str]]:
    """State and action by host."""
    return {host: (node.state, node.action) for host, node in plan.nodes.items()}


def test_bare_hosts_are_initialised_from_the_first_in_the_inventory() -> None:
    plan = Cluster().plan()
    assert states(plan)["cp1"] == ("absent", "init")
    assert states(plan)["cp2"] == ("absent", "join")
    assert (plan.first, plan.exists, plan.errors) == ("cp1", False, [])
    assert plan.join_control_planes == ["cp2", "cp3"]
    assert plan.join_workers == WORKERS


def test_running_cluster_needs_nothing(running: Cluster) -> None:
    plan = running.plan()
    assert set(states(plan).values()) == {("joined", "none")}
    assert (plan.join, plan.errors, plan.stale_credentials) == ([], [], False)


def test_not_ready_is_waited_for_with_its_cause(running: Cluster) -> None:
    running.node("w1").update(ready=False, reason="cni plugin not initialized")
    node = running.plan().nodes["w1"]
    assert (node.state, node.action, node.reasons) == ("joined-notready", "wait", ["cni plugin not initialized"])


def test_files_without_node_are_partial(running: Cluster) -> None:
    assert running.view is not None
    running.view["nodes"] = [item for item in running.view["nodes"] if item["name"] != "w2"]
    plan = running.plan()
    assert states(plan)["w2"] == ("partial", "reset-join")
    assert (plan.reset, plan.remove_nodes) == (["w2"], [])


def test_learner_is_partial_and_forgotten(running: Cluster) -> None:
    assert running.view is not None
    running.view["etcd_members"][2]["learner"] = True
    plan = running.plan()
    assert states(plan)["cp3"] == ("partial", "reset-join")
    assert (plan.remove_members, plan.remove_nodes, plan.errors) == (["cp3"], ["cp3"], [])


def test_unfinished_join_is_partial(running: Cluster) -> None:
    running.hosts["w1"]["files"].update(kubelet_conf=False, bootstrap_kubelet_conf=True)
    assert states(running.plan())["w1"] == ("partial", "reset-join")


def test_empty_host_that_the_cluster_knows_is_a_ghost(running: Cluster) -> None:
    running.empty("cp2")
    plan = running.plan()
    assert states(plan)["cp2"] == ("ghost", "join")
    assert (plan.first, plan.remove_members, plan.remove_nodes, plan.errors) == ("cp1", ["cp2"], ["cp2"], [])


def test_first_control_plane_is_one_that_answers(running: Cluster) -> None:
    running.empty("cp1")
    plan = running.plan()
    assert (plan.exists, plan.first, states(plan)["cp1"]) == (True, "cp2", ("ghost", "join"))


def test_two_ghosts_at_once_would_lose_the_majority(running: Cluster) -> None:
    running.empty("cp1")
    running.empty("cp2")
    plan = running.plan()
    assert len(plan.errors) == 1
    assert "only 1 would be left" in plan.errors[0]


def test_foreign_host_stops_unless_it_may_be_wiped(running: Cluster) -> None:
    running.hosts["w1"]["ca_fingerprint"] = "bb" * 32
    plan = running.plan()
    assert states(plan)["w1"] == ("foreign", "stop")
    assert "w1 belongs to another cluster" in plan.errors[0]
    allowed = running.plan(allow_reset_foreign=True)
    assert (states(allowed)["w1"], allowed.errors) == (("foreign", "reset-join"), [])


def test_changed_configuration_is_drift(running: Cluster) -> None:
    plan = running.plan(desired={"cluster_configuration": {"imageRepository": "other"}})
    assert states(plan)["cp1"] == ("drifted", "reconfigure")
    assert states(plan)["w1"] == ("joined", "none")
    assert plan.nodes["cp1"].reasons == ["imageRepository: None instead of 'other'"]
    assert states(plan)["cp2"] == ("joined", "none")
    kubelet = running.plan(desired={"kubelet_configuration": {"podPidsLimit": 4096}})
    assert kubelet.reconfigure == CONTROL_PLANES + WORKERS
    assert states(kubelet)["w1"] == ("drifted", "reconfigure")


def test_each_control_plane_is_judged_by_its_own_static_pods(running: Cluster) -> None:
    running.hosts["cp2"]["static_pods"]["kube-scheduler"]["arguments"] = {}
    running.hosts["cp3"]["static_pods"]["kube-apiserver"]["configuration"] = "4567"
    arguments = [{"name": "profiling", "value": "false"}]
    desired = {"cluster_configuration": {"scheduler": {"extraArgs": arguments}}, "configuration": "0123"}
    assert running.view is not None
    running.view["cluster_configuration"] = dict(desired["cluster_configuration"])
    plan = running.plan(desired=desired)
    assert plan.reconfigure == ["cp2", "cp3"]
    assert plan.nodes["cp2"].reasons == ["kube-scheduler --profiling: None instead of 'false'"]
    assert plan.nodes["cp3"].reasons == ["kube-apiserver has read older files"]


@pytest.mark.parametrize("key", ["clusterName", "controlPlaneEndpoint"])
def test_another_cluster_is_not_adopted(running: Cluster, key: str) -> None:
    plan = running.plan(desired={"cluster_configuration": {key: "other"}})
    assert "answers on cp1 is not the one that is wanted" in plan.errors[0]
    assert plan.reconfigure == []


def test_version_is_no_setting(running: Cluster) -> None:
    assert running.view is not None
    running.view["cluster_configuration"]["kubernetesVersion"] = "v1.36.2"
    plan = running.plan(desired={"cluster_configuration": {"kubernetesVersion": "v1.36.3"}})
    assert "The cluster runs Kubernetes v1.36.2, wanted is v1.36.3" in plan.errors[0]


def test_data_without_api_is_never_initialised_over() -> None:
    cluster = Cluster()
    for host in CONTROL_PLANES:
        cluster.install(host)
    plan = cluster.plan()
    assert "A cluster is not initialised over data" in plan.errors[0]
    assert (plan.nodes, plan.first) == ({}, "")


def test_silent_control_plane_may_hold_the_data() -> None:
    cluster = Cluster()
    del cluster.hosts["cp3"]
    plan = make_plan(cluster.hosts, CONTROL_PLANES, WORKERS)
    assert "cp3 cannot be asked" in plan.errors[0]


def test_stopped_initialisation_without_data_is_resumed() -> None:
    cluster = Cluster()
    cluster.hosts["cp2"]["files"].update(manifests=list(MANIFESTS), kubelet_conf=True, kubelet_configuration=True)
    cluster.hosts["cp2"].update(ca_private_key=True, ca_certificate="PEM", ca_fingerprint="aa" * 32)
    plan = cluster.plan()
    assert (plan.first, states(plan)["cp2"], states(plan)["cp1"]) == (
        "cp2",
        ("partial", "resume-init"),
        ("absent", "join"),
    )


def test_stopped_initialisation_with_api_is_resumed() -> None:
    cluster = Cluster()
    cluster.join("cp1")
    assert cluster.view is not None
    cluster.view.update(kube_proxy_configuration={}, dns=False)
    cluster.node("cp1")["control_plane"] = False
    plan = cluster.plan()
    assert (plan.exists, states(plan)["cp1"]) == (True, ("partial", "resume-init"))
    assert "kube-proxy, CoreDNS" in plan.nodes["cp1"].reasons[-1]
    assert plan.errors == []


def test_two_clusters_are_refused(running: Cluster) -> None:
    other = Cluster()
    other.join("cp3")
    other.hosts["cp3"]["ca_fingerprint"] = "cc" * 32
    facts = copy.deepcopy(running.hosts)
    facts["cp3"] = other.hosts["cp3"]
    for host, view in (("cp1", running.view), ("cp3", other.view)):
        facts[host].update(cluster=view, api_local=True)
    plan = make_plan(facts, CONTROL_PLANES, WORKERS)
    assert "answer for different clusters" in plan.errors[0]


def test_control_plane_declared_as_worker_is_refused(running: Cluster) -> None:
    assert running.view is not None
    running.view["etcd_members"].append({"name": "w1", "learner": False})
    assert "w1 is a worker in the inventory" in running.plan().errors[0]


def test_left_credentials_and_unknown_nodes_are_reported(running: Cluster) -> None:
    assert running.view is not None
    running.view["bootstrap_tokens"] = ["bootstrap-token-abcdef"]
    running.view["nodes"].append({"name": "w9", "ready": True, "reason": "", "control_plane": False})
    plan = running.plan()
    assert (plan.stale_credentials, plan.unmanaged) == (True, ["w9"])


@pytest.mark.parametrize(("text", "length"), [("5m0s", 300), ("5m", 300), ("1h30m", 5400), ("500ms", 0.5), ("5", None)])
def test_durations(text: str, length: float | None) -> None:
    assert seconds(text) == length


@pytest.mark.parametrize(
    ("desired", "live", "found"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, []),
        ({"a": {"b": "5m"}}, {"a": {"b": "5m0s"}}, []),
        ({"a": {"b": "5m"}}, {"a": {"b": "6m0s"}}, ["a.b: '6m0s' instead of '5m'"]),
        ({"a": False}, {}, []),
        ({"a": True}, {}, ["a: None instead of True"]),
        ({"l": [1, 2]}, {"l": [2, 1]}, ["l: [2, 1] instead of [1, 2]"]),
        (
            {"args": [{"name": "x", "value": "1"}, {"name": "y", "value": "2"}]},
            {"args": [{"name": "y", "value": "2"}, {"name": "x", "value": "1"}]},
            [],
        ),
        (
            {"args": [{"name": "x", "value": "1"}]},
            {"args": [{"name": "x", "value": "2"}]},
            ["args.[x].value: '2' instead of '1'"],
        ),
        (
            {"args": [{"name": "x", "value": "1"}]},
            {"args": [{"name": "x", "value": "1"}, {"name": "z", "value": "1"}]},
            ["args: has more entries"],
        ),
        ({"a": {}}, {}, []),
        ({"a": {"b": 1}}, {}, ["a: missing"]),
    ],
)
def test_differences(desired: Any, live: Any, found: list[str]) -> None:
    assert differences(desired, live) == found


def test_filter_decodes_the_documents(running: Cluster) -> None:
    facts = copy.deepcopy(running.hosts)
    for found in facts.values():
        found["kubelet_configuration"] = "podPidsLimit: 100\n"
    assert running.view is not None
    facts["cp1"].update(
        api_local=True,
        cluster={
            **running.view,
            "cluster_configuration": "clusterName: onprem\n",
            "kubelet_configuration": "cgroupDriver: systemd\n",
            "kube_proxy_configuration": "mode: nftables\n",
        },
    )
    plan = kubeadm_plan(facts, CONTROL_PLANES, WORKERS, {"cluster_configuration": {"clusterName": "onprem"}})
    assert plan["nodes"]["w1"]["state"] == "joined"
    assert plan["summary"][0] == "cp1: joined -> none"
