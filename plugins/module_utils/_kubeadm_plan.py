# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt)
# SPDX-License-Identifier: BSD-2-Clause
"""Judge the answers of all hosts together: each node's state, what to do, and where a cluster begins.

Pure functions over the results of the module kubeadm_info; nothing is read or written here.

States: absent, joined, joined-notready, partial, ghost, foreign, drifted.
Actions: none, init, resume-init, join, reset-join, wait, reconfigure, stop.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

Facts = Mapping[str, Any]
MANIFESTS = frozenset(("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"))
DOCUMENTS = ("cluster_configuration", "kubelet_configuration", "kube_proxy_configuration")
# A cluster keeps these for life; another value means that it is another cluster, or wrong variables.
FIXED = ("clusterName", "controlPlaneEndpoint", "networking")
SECTIONS = {
    "kube-apiserver": "apiServer",
    "kube-controller-manager": "controllerManager",
    "kube-scheduler": "scheduler",
}
ACTIONS = {
    "absent": "join",
    "ghost": "join",
    "partial": "reset-join",
    "foreign": "reset-join",
    "joined-notready": "wait",
    "drifted": "reconfigure",
}
_DURATION = re.compile(r"^(?:\d+(?:\.\d+)?(?:h|ms|m|s))+$")
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s)")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


@dataclass
class Node:
    """The judgement of one host."""

    host: str
    name: str
    role: str
    state: str
    action: str
    reasons: list[str] = field(default_factory=list)


@dataclass
class Plan:
    """The judgement of all hosts; lists hold inventory host names unless they say otherwise.

    ``view_host`` is the control plane whose answers were used, ``first`` where commands for the whole cluster run
    (the same, or the host to initialise). ``remove_members`` and ``remove_nodes`` are node names.
    """

    exists: bool = False
    first: str = ""
    view_host: str = ""
    ca_certificate: str = ""
    ca_host: str = ""
    stale_credentials: bool = False
    nodes: dict[str, Node] = field(default_factory=dict)
    join: list[str] = field(default_factory=list)
    join_control_planes: list[str] = field(default_factory=list)
    join_workers: list[str] = field(default_factory=list)
    reset: list[str] = field(default_factory=list)
    remove_members: list[str] = field(default_factory=list)
    remove_nodes: list[str] = field(default_factory=list)
    reconfigure: list[str] = field(default_factory=list)
    unmanaged: list[str] = field(default_factory=list)
    differences: dict[str, list[str]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    summary: list[str] = field(default_factory=list)

    def result(self) -> dict[str, Any]:
        """Plain data for Ansible."""
        return asdict(self)


def seconds(text: str) -> float | None:
    """Seconds of a Go duration such as 1m30s; None when the text is none."""
    if not _DURATION.match(text):
        return None
    return sum(float(number) * _SECONDS[unit] for number, unit in _DURATION_PART.findall(text))


def differences(desired: Any, live: Any, path: str = "") -> list[str]:
    """Where the live value lacks what is desired; the server's own additions do not count.

    Lists must be equal, except lists of name/value arguments, whose order has no meaning. Go durations are compared by
    length: kubeadm writes 5m0s for 5m.
    """
    if isinstance(desired, Mapping):
        if not isinstance(live, Mapping):
            return [f"{path}: missing"] if desired else []
        found: list[str] = []
        for key, value in desired.items():
            found += differences(value, live.get(key), f"{path}.{key}" if path else str(key))
        return found
    if isinstance(desired, list) and isinstance(live, list) and desired and isinstance(desired[0], Mapping):
        return differences(_by_name(desired), _by_name(live), path) + (
            [f"{path}: has more entries"] if len(live) > len(desired) else []
        )
    if desired == live or (not desired and not live):
        return []
    if isinstance(desired, str) and isinstance(live, str):
        length = seconds(desired)
        if length is not None and length == seconds(live):
            return []
    return [f"{path}: {live!r} instead of {desired!r}"]


def _by_name(entries: Iterable[Any]) -> dict[str, Any]:
    return {f"[{entry.get('name', position)}]": entry for position, entry in enumerate(entries)}


def evaluate(facts: Facts, name: str, role: str, view: Facts | None, ca_fingerprint: str) -> tuple[str, list[str]]:
    """State of one node and the observations that led to it; without a view the cluster knows nothing."""
    files = facts["files"]
    node = next((item for item in (view or {}).get("nodes", []) if item["name"] == name), None)
    member = next((item for item in (view or {}).get("etcd_members", []) if item["name"] == name), None)
    manifests = set(files["manifests"])
    has_files = bool(
        files["kubelet_conf"] or files["bootstrap_kubelet_conf"] or files["kubelet_configuration"] or manifests
    ) or bool(files["etcd_data"])
    if ca_fingerprint and facts["ca_fingerprint"] and facts["ca_fingerprint"] != ca_fingerprint and has_files:
        return "foreign", [f"its authority is {facts['ca_fingerprint'][:12]}, the cluster's is {ca_fingerprint[:12]}"]
    known = [text for text, there in (("a Node object", node), ("an etcd member", member)) if there]
    if not has_files:
        return ("ghost", [f"the cluster has {' and '.join(known)}, the host is empty"]) if known else ("absent", [])
    missing = []
    if not (files["kubelet_conf"] and files["kubelet_configuration"]):
        missing.append("the kubelet's files are incomplete")
    if role == "control_plane":
        if manifests < MANIFESTS:
            missing.append(f"manifests are missing: {', '.join(sorted(MANIFESTS - manifests))}")
        if member is None:
            missing.append("it is no etcd member")
        elif member["learner"]:
            missing.append("its etcd member is still a learner")
        if node is not None and not node["control_plane"]:
            missing.append("its Node lacks the control-plane label")
    if node is None:
        missing.append("there is no Node object")
    if node is None or missing:
        return "partial", missing
    if not node["ready"]:
        return "joined-notready", [node["reason"]]
    return "joined", []


def _initialised(view: Facts) -> list[str]:
    """What `kubeadm init` has not finished although the API answers; kubeadm makes these last."""
    parts = {
        "kubeadm-config": view["cluster_configuration"],
        "kubelet-config": view["kubelet_configuration"],
        "kube-proxy": view["kube_proxy_configuration"],
        "CoreDNS": view["dns"],
    }
    return [name for name, there in parts.items() if not there]


def make_plan(
    facts: Mapping[str, Facts],
    control_planes: list[str],
    workers: list[str],
    desired: Mapping[str, Any] | None = None,
    allow_reset_foreign: bool = False,
) -> Plan:
    """Judge every host.

    ``facts`` are results of kubeadm_info by inventory host name; ``desired`` and the view's configurations are decoded
    documents under the names cluster_configuration, kubelet_configuration, kube_proxy_configuration.
    """
    plan = Plan()
    answering = [host for host in control_planes if host in facts and facts[host]["cluster"]]
    answering.sort(key=lambda host: not facts[host]["api_local"])
    views = {facts[host]["ca_fingerprint"] for host in answering}
    if len(views) > 1:
        plan.errors.append(
            "Control planes answer for different clusters: "
            + ", ".join(f"{host} (authority {facts[host]['ca_fingerprint'][:12]})" for host in answering)
            + ". Take the hosts of the other cluster out of the inventory, or reset them."
        )
        return plan
    if answering:
        _plan_existing(plan, facts, control_planes, workers, answering[0], desired or {}, allow_reset_foreign)
    else:
        _plan_new(plan, facts, control_planes, workers, allow_reset_foreign)
    _collect(plan)
    return plan


def _plan_new(
    plan: Plan, facts: Mapping[str, Facts], control_planes: list[str], workers: list[str], allow_reset_foreign: bool
) -> None:
    silent = [host for host in control_planes if host not in facts]
    if silent:
        plan.errors.append(
            f"No API server answers, and {', '.join(silent)} cannot be asked whether the cluster's data is there. "
            "Make every control plane reachable before a cluster is initialised."
        )
        return
    with_data = [host for host in control_planes if facts[host]["files"]["etcd_data"]]
    if with_data:
        # A second `kubeadm init` beside living data is the worst failure of all.
        details = "; ".join(f"{host}: {facts[host]['cluster_error']}" for host in with_data)
        plan.errors.append(
            f"etcd data is on {', '.join(with_data)}, but no API server answers ({details}). A cluster is not "
            "initialised over data. Bring the API back (journalctl -u kubelet on these hosts), or if the data is worth "
            f"nothing run reset.yml --limit {','.join(with_data)} -e reset_confirmed=true, then run again."
        )
        return
    started = [host for host in control_planes if facts[host]["ca_private_key"] or facts[host]["files"]["manifests"]]
    plan.first = (started or control_planes)[0]
    plan.ca_certificate = facts[plan.first]["ca_certificate"]
    plan.ca_host = plan.first if facts[plan.first]["ca_private_key"] else ""
    for host, role in _roles(control_planes, workers):
        if host not in facts:
            continue
        name = str(facts[host]["node_name"])
        state, reasons = evaluate(facts[host], name, role, None, facts[plan.first]["ca_fingerprint"])
        if host == plan.first:
            action = "init" if state == "absent" else "resume-init"
            reasons = [*reasons, "an earlier initialisation stopped"] if action == "resume-init" else []
        else:
            action = "join" if state == "absent" else "reset-join"
        plan.nodes[host] = Node(host, name, role, state, action, reasons)
        _refuse_foreign(plan, plan.nodes[host], allow_reset_foreign)


def _plan_existing(
    plan: Plan,
    facts: Mapping[str, Facts],
    control_planes: list[str],
    workers: list[str],
    view_host: str,
    desired: Mapping[str, Any],
    allow_reset_foreign: bool,
) -> None:
    view: Facts = facts[view_host]["cluster"]
    plan.exists = True
    plan.first = plan.view_host = plan.ca_host = view_host
    plan.ca_certificate = facts[view_host]["ca_certificate"]
    plan.stale_credentials = bool(view["bootstrap_tokens"] or view["certificates_secret"])
    authority = facts[view_host]["ca_fingerprint"]
    members = {member["name"] for member in view["etcd_members"]}
    nodes = {node["name"]: node for node in view["nodes"]}
    unfinished = _initialised(view)
    names = set()
    _compare_documents(plan, view, desired)
    for host, role in _roles(control_planes, workers):
        if host not in facts:
            continue
        name = str(facts[host]["node_name"])
        names.add(name)
        state, reasons = evaluate(facts[host], name, role, view, authority)
        if role == "worker" and (name in members or nodes.get(name, {}).get("control_plane")):
            plan.errors.append(
                f"{host} is a worker in the inventory but a control plane in the cluster. Remove it from the cluster "
                "first (remove_node), then join it as a worker."
            )
        action = ACTIONS.get(state, "none")
        if host == view_host and (unfinished or (state == "partial" and len(members) <= 1)):
            # The only control plane, its own API server answers: kubeadm goes on where it stopped.
            state, action = "partial", "resume-init"
            reasons = [*reasons, f"an earlier initialisation stopped before: {', '.join(unfinished) or 'its end'}"]
        drift = _drift(facts[host], role, desired) if state == "joined" else []
        if state == "joined" and host == view_host:
            drift = [text for found in plan.differences.values() for text in found] + drift
        if drift:
            state, action, reasons = "drifted", "reconfigure", list(dict.fromkeys(drift))
        plan.nodes[host] = Node(host, name, role, state, action, reasons)
        _refuse_foreign(plan, plan.nodes[host], allow_reset_foreign)
        if action in ("join", "reset-join"):
            plan.remove_members += [name] if name in members else []
            plan.remove_nodes += [name] if name in nodes else []
    declared = names | {host for host in (*control_planes, *workers) if host not in facts}
    plan.unmanaged = sorted((set(nodes) | {name for name in members if name}) - declared)
    _check_quorum(plan, view)


def _compare_documents(plan: Plan, view: Facts, desired: Mapping[str, Any]) -> None:
    """What the cluster's own record of its configuration lacks; a version is no setting that may be reconfigured."""
    for key in DOCUMENTS:
        live, wanted = view.get(key) or {}, dict(desired.get(key) or {})
        version = wanted.pop("kubernetesVersion", None)
        if version and live.get("kubernetesVersion") not in (None, version):
            plan.errors.append(
                f"The cluster runs Kubernetes {live['kubernetesVersion']}, wanted is {version}. This role does not "
                "change the version of a running cluster: upgrade it, or set kubernetes_version to what it runs."
            )
        fixed = {name: wanted.pop(name) for name in FIXED if name in wanted} if live else {}
        if found := differences(fixed, live):
            plan.errors.append(
                f"The cluster that answers on {plan.view_host} is not the one that is wanted: {'; '.join(found)}. "
                "This cannot be changed in a running cluster: correct the variables, take the host out of the "
                "inventory, or reset it."
            )
        if found := differences(wanted, live):
            plan.differences[key] = found


def _drift(facts: Facts, role: str, desired: Mapping[str, Any]) -> list[str]:
    """Where the host's own files differ: kubelet, and on a control plane the static pods."""
    found = []
    if desired.get("kubelet_configuration") and facts.get("kubelet_configuration"):
        found += differences(desired["kubelet_configuration"], facts["kubelet_configuration"])
    if role != "control_plane":
        return found
    pods = facts.get("static_pods", {})
    configuration = desired.get("cluster_configuration") or {}
    for pod, section in SECTIONS.items():
        for argument in (configuration.get(section) or {}).get("extraArgs") or []:
            live = pods.get(pod, {}).get("arguments", {}).get(argument["name"])
            if live != argument["value"]:
                found.append(f"{pod} --{argument['name']}: {live!r} instead of {argument['value']!r}")
    live = pods.get("kube-apiserver", {}).get("configuration")
    if desired.get("configuration") and live != desired["configuration"]:
        found.append("kube-apiserver has read older files")
    return found


def _check_quorum(plan: Plan, view: Facts) -> None:
    """Members that are removed must not take the majority with them."""
    voters = [member["name"] for member in view["etcd_members"] if not member["learner"]]
    left = [name for name in voters if name not in plan.remove_members]
    if voters and len(left) < len(voters) // 2 + 1 and len(left) < len(voters):
        plan.errors.append(
            f"{', '.join(plan.remove_members)} would be removed from etcd, and of {len(voters)} voting members only "
            f"{len(left)} would be left. Repair them one after the other with --limit, or restore a snapshot."
        )


def _refuse_foreign(plan: Plan, node: Node, allow_reset_foreign: bool) -> None:
    if node.state == "foreign" and not allow_reset_foreign:
        node.action = "stop"
        plan.errors.append(
            f"{node.host} belongs to another cluster: {'; '.join(node.reasons)}. "
            "Set kubernetes_allow_reset_foreign=true to wipe it, or take it out of the inventory."
        )


def _roles(control_planes: list[str], workers: list[str]) -> list[tuple[str, str]]:
    return [(host, "control_plane") for host in control_planes] + [(host, "worker") for host in workers]


def _collect(plan: Plan) -> None:
    for host, node in plan.nodes.items():
        if node.action in ("join", "reset-join"):
            plan.join.append(host)
            (plan.join_control_planes if node.role == "control_plane" else plan.join_workers).append(host)
        if node.action == "reset-join":
            plan.reset.append(host)
        if node.action == "reconfigure":
            plan.reconfigure.append(host)
        detail = f" ({'; '.join(node.reasons)})" if node.reasons else ""
        plan.summary.append(f"{host}: {node.state} -> {node.action}{detail}")
