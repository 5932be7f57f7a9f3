# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt)
# SPDX-License-Identifier: BSD-2-Clause
"""Initialise, join and reset one node with kubeadm; every step is judged by the state that it left."""

from __future__ import annotations

import contextlib
import glob
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from . import _kubeadm_run as runner
from . import _kubeadm_state as state
from ._kubeadm_api import ApiError, Etcd, KubeadmError, KubernetesApi

# What `kubeadm reset` leaves behind (its own messages say so) and what a CNI plugin put there.
RESET_LEFTOVERS = (
    "/etc/cni/net.d/*",
    "/var/lib/cni",
    "/var/lib/kubelet/*",
    "/var/lib/etcd",
    "/etc/kubernetes/platform",
    "/etc/kubernetes/patches",
    "/etc/kubernetes/tmp",
    "/var/log/kubernetes",
    "/run/cilium",
    "/sys/fs/bpf/cilium",
    "/sys/fs/bpf/tc/globals/cilium_*",
    "/run/flannel",
)
RESET_LINKS = ("cilium_vxlan", "cilium_host", "cilium_net", "cni0", "flannel.1", "kube-ipvs0")
RESET_CHAINS = ("CILIUM_", "KUBE-")
RESET_TABLES = (("ip", "kube-proxy"), ("ip6", "kube-proxy"), ("ip", "flannel-ipv4"), ("ip6", "flannel-ipv6"))


@dataclass(frozen=True)
class Target:
    """The node to bring into a cluster.

    ``configuration`` holds kubeadm's documents without secrets; those are added in memory. Times are seconds.
    """

    name: str
    role: str
    configuration: list[dict[str, Any]]
    advertise_address: str
    bind_port: int = 6443
    timeout: int = 600
    token: str = ""
    certificate_key: str = ""
    server: str = ""
    ca_certificate: str = ""
    kubernetes_directory: str = "/etc/kubernetes"
    kubelet_directory: str = "/var/lib/kubelet"
    etcd_directory: str = "/var/lib/etcd"


@dataclass
class Report:
    """What was done."""

    actions: list[str] = field(default_factory=list)
    phases: list[dict[str, Any]] = field(default_factory=list)


def new_token() -> str:
    """A bootstrap token in kubeadm's form, [a-z0-9]{6}.[a-z0-9]{16}; 64 bits of the second part are random."""
    return f"{secrets.token_hex(3)}.{secrets.token_hex(8)}"


def files_of(target: Target) -> dict[str, Any]:
    """Which of kubeadm's files are on this host."""
    return state.files(target.kubernetes_directory, target.kubelet_directory, target.etcd_directory)


def is_complete(target: Target, files: Mapping[str, Any]) -> bool:
    """Whether the files of a finished join are there."""
    if not (files["kubelet_conf"] and files["kubelet_configuration"]) or files["bootstrap_kubelet_conf"]:
        return False
    return target.role == "worker" or set(files["manifests"]) == set(state.STATIC_PODS)


def leftovers(files: Mapping[str, Any]) -> list[str]:
    """Names of what an unfinished run left."""
    return [name for name, there in files.items() if there]


def initialise(target: Target, report: Report) -> None:
    """Run `kubeadm init`, or go on with one that was stopped. Raises KubeadmError."""
    documents = [dict(document) for document in target.configuration]
    for document in documents:
        if document["kind"] == "InitConfiguration":
            # kubeadm makes a token of 24 h unless one is given; this one is deleted below.
            token = {"token": new_token(), "ttl": "10m0s", "description": state.TOKEN_DESCRIPTION}
            document["bootstrapTokens"] = [{**token, "usages": ["authentication"]}]
    _validate(documents)
    arguments = ["init", "--skip-token-print"]
    if leftovers(files_of(target)):
        # Certificates and manifests of the stopped run are used again; preflight would refuse them.
        arguments.append("--skip-phases=preflight")
        report.actions.append("resumed the initialisation")
    else:
        report.actions.append("initialised the cluster")
    done = runner.kubeadm(arguments, documents, target.timeout)
    report.phases += done.phases
    if done.code != 0:
        raise KubeadmError(_failure("kubeadm init", done))
    api = wait_for_api(target, 60)
    for name in state.bootstrap_tokens(api):
        api.request("DELETE", f"{state.KUBE_SYSTEM}/secrets/{name}", missing_ok=True)
    # It bypasses RBAC for ever; `kubeadm init phase kubeconfig super-admin` makes it again when it is needed.
    with contextlib.suppress(FileNotFoundError):
        os.unlink(f"{target.kubernetes_directory}/super-admin.conf")


def join(target: Target, report: Report, reset_first: bool) -> None:
    """Join as worker or control plane; once more after a reset when the first attempt fails. Raises KubeadmError."""
    documents = [dict(document) for document in target.configuration]
    for document in documents:
        if document["kind"] == "JoinConfiguration":
            document["discovery"] = {**document.get("discovery", {}), "tlsBootstrapToken": target.token}
            if target.role == "control_plane":
                document["controlPlane"] = {**document["controlPlane"], "certificateKey": target.certificate_key}
    discovery = runner.discovery_kubeconfig(target.server, target.ca_certificate)
    failure = ""
    for attempt in (1, 2):
        if reset_first or attempt == 2:
            reset(target, report)
        done = runner.kubeadm(["join"], documents, target.timeout, discovery)
        report.phases += done.phases
        # The command can fail after the node joined, and succeed before it works: the state decides.
        if is_complete(target, files_of(target)):
            if target.role == "control_plane":
                wait_for_member(target, target.timeout)
            report.actions.append(f"joined as {target.role.replace('_', ' ')}" + (" in the second try" * (attempt - 1)))
            return
        failure = _failure("kubeadm join", done)
    raise KubeadmError(failure)


def reconfigure(target: Target, report: Report, upload: bool) -> None:
    """Bring a joined node to a changed configuration. Raises KubeadmError.

    With ``upload`` the cluster's record is renewed first; kubelets read theirs from it. On a control plane the static
    pods are written anew and awaited, so that the next control plane begins when this one serves again.
    """
    documents = target.configuration
    if upload:
        _validate(documents)
        _phase(["init", "phase", "upload-config", "all"], documents, target)
        _phase(["init", "phase", "addon", "kube-proxy"], documents, target)
        api = wait_for_api(target, 60)
        # Pods read their configuration at their start only.
        now = {"onprem.platform/restarted": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
        patch = {"spec": {"template": {"metadata": {"annotations": now}}}}
        path = "/apis/apps/v1/namespaces/kube-system/daemonsets/kube-proxy"
        api.request("PATCH", path, patch, "application/strategic-merge-patch+json")
        report.actions.append("renewed the cluster's configuration")
    if target.role == "control_plane":
        _phase(["init", "phase", "control-plane", "all"], documents, target)
        wait_for_static_pods(target, target.timeout)
        report.actions.append("renewed the static pods")
    done = runner.run(["kubeadm", "upgrade", "node", "phase", "kubelet-config"], 120)
    if done.code != 0:
        raise KubeadmError(_failure("kubeadm upgrade node phase kubelet-config", done))
    restarted = runner.run(["systemctl", "restart", "kubelet"], 120)
    if restarted.code != 0:
        raise KubeadmError(_failure("systemctl restart kubelet", restarted))
    report.actions.append("renewed the kubelet's configuration")


def wait_for_static_pods(target: Target, timeout: float) -> None:
    """Until the pods of this control plane run with the arguments of their manifests and are ready."""
    deadline = time.monotonic() + timeout
    reason = ""
    while time.monotonic() < deadline:
        time.sleep(0.5)
        try:
            api = KubernetesApi.local(target.kubernetes_directory, target.advertise_address, target.bind_port)
            if api.endpoint.host != target.advertise_address:
                reason = "its API server does not answer"
                continue
            waiting = [name for name in state.STATIC_PODS if not _renewed(api, target, name)]
        except ApiError as error:
            reason = str(error)
            continue
        if not waiting:
            return
        reason = f"{', '.join(waiting)} not ready with the new configuration"
    raise KubeadmError(f"{target.name} did not come back after its configuration changed: {reason}")


def _renewed(api: KubernetesApi, target: Target, name: str) -> bool:
    pod = api.request("GET", f"/api/v1/namespaces/kube-system/pods/{name}-{target.name}", missing_ok=True)
    if not pod:
        return False
    manifest = state.static_pods(target.kubernetes_directory)[name]
    command = pod["spec"]["containers"][0]["command"]
    running = dict(item[2:].split("=", 1) for item in command if item.startswith("--") and "=" in item)
    annotation = pod["metadata"].get("annotations", {}).get(state.CONFIGURATION_ANNOTATION, "")
    ready = any(
        item["type"] == "Ready" and item["status"] == "True" for item in pod.get("status", {}).get("conditions", [])
    )
    return ready and running == manifest["arguments"] and annotation == manifest["configuration"]


def _phase(arguments: list[str], documents: list[dict[str, Any]], target: Target) -> None:
    done = runner.kubeadm(arguments, documents, target.timeout)
    if done.code != 0:
        raise KubeadmError(_failure(f"kubeadm {' '.join(arguments)}", done))


def reset(target: Target, report: Report, whole_cluster: bool = False) -> None:
    """Remove everything that kubeadm put on this host; its own etcd member first, unless all members go."""
    skipped = ["--skip-phases=remove-etcd-member"] if whole_cluster else []
    done = runner.run(["kubeadm", "reset", "--force", *skipped], 180)
    if done.code != 0:
        raise KubeadmError(_failure("kubeadm reset", done))
    _unmount(target.kubelet_directory)
    for pattern in ("manifests/*.yaml", "*.conf"):
        for path in glob.glob(f"{target.kubernetes_directory}/{pattern}"):
            os.unlink(path)
    shutil.rmtree(target.etcd_directory, ignore_errors=True)
    report.actions.append("reset the host")


def remove(target: Target, report: Report, whole_cluster: bool) -> None:
    """Reset and clear what reset and the CNI plugin leave: files, links, packet filter tables."""
    if shutil.which("kubeadm"):
        reset(target, report, whole_cluster)
    else:
        report.actions.append("cleared the host, which has no kubeadm")
    for pattern in RESET_LEFTOVERS:
        for path in glob.glob(pattern):
            if os.path.isdir(path) and not os.path.islink(path):
                _unmount(path)  # Cilium keeps a cgroup2 mount below its directory
                shutil.rmtree(path)
            else:
                os.unlink(path)
    shutil.rmtree(f"{target.kubernetes_directory}/pki", ignore_errors=True)
    for link in RESET_LINKS:
        if os.path.exists(f"/sys/class/net/{link}"):
            _tool("ip", "link", "delete", link)
    for family, table in RESET_TABLES:
        with contextlib.suppress(FileNotFoundError):
            _tool("nft", "delete", "table", family, table)
    for command in ("iptables", "ip6tables"):
        _drop_chains(command)


def something_to_remove(target: Target) -> list[str]:
    """What `remove` would clear; empty on a host that was never part of a cluster."""
    found = leftovers(files_of(target))
    found += [path for pattern in RESET_LEFTOVERS for path in glob.glob(pattern)]
    found += [name for name in ("pki/ca.crt", "pki/ca.key") if os.path.exists(f"{target.kubernetes_directory}/{name}")]
    return found + [link for link in RESET_LINKS if os.path.exists(f"/sys/class/net/{link}")]


def wait_for_api(target: Target, timeout: float) -> KubernetesApi:
    """This host's own API server, once it is ready and knows the administrators. Raises KubeadmError."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            api = KubernetesApi.local(target.kubernetes_directory, target.advertise_address, target.bind_port)
            if api.endpoint.host == target.advertise_address:
                return api
            reason = "only the shared endpoint answers"
        except ApiError as error:
            reason = str(error)
        if time.monotonic() >= deadline:
            raise KubeadmError(f"the API server of {target.name} is not ready: {reason}\n{runner.kubelet_lines()}")
        time.sleep(0.5)


def wait_for_member(target: Target, timeout: float) -> None:
    """Until this host's etcd member votes, every member is healthy and the own API server is ready.

    The next control plane may join only then: etcd admits one learner at a time, and a member that cannot follow yet
    counts against the majority.
    """
    deadline = time.monotonic() + timeout
    etcd = Etcd.local(f"{target.kubernetes_directory}/pki")
    while True:
        reason = _member_problem(etcd, target.name)
        if not reason:
            break
        if time.monotonic() >= deadline:
            raise KubeadmError(f"etcd on {target.name} did not become a healthy voting member: {reason}")
        time.sleep(0.5)
    wait_for_api(target, max(deadline - time.monotonic(), 30))


def _member_problem(etcd: Etcd, name: str) -> str:
    try:
        members = etcd.members()
    except ApiError as error:
        return str(error)
    own = next((member for member in members if member["name"] == name), None)
    if own is None:
        return "it is not in the member list"
    learners = [member["name"] or member["id"] for member in members if member["learner"]]
    if learners:
        return f"{', '.join(learners)} still learns"
    sick = [member["name"] or member["id"] for member in members if not _healthy(etcd, member)]
    return f"{', '.join(sick)} is not healthy" if sick else ""


def _healthy(etcd: Etcd, member: Mapping[str, Any]) -> bool:
    hosts = [url.split("://")[1].rsplit(":", 1)[0] for url in member["client_urls"]]
    return any(etcd.at(host.strip("[]")).healthy() for host in hosts)


def _validate(documents: list[dict[str, Any]]) -> None:
    done = runner.kubeadm(["config", "validate"], documents, 60)
    if done.code != 0:
        raise KubeadmError(f"kubeadm refuses its configuration:\n{done.last_lines()}")


def _failure(what: str, done: runner.Run) -> str:
    reason = f"was stopped after {done.seconds:.0f} s" if done.code < 0 else f"failed with code {done.code}"
    kubelet = runner.kubelet_lines()
    tail = f"\nLast messages of the kubelet:\n{kubelet}" if kubelet else ""
    return f"{what} {reason}:\n{done.last_lines()}{tail}"


def _tool(*arguments: str, text: str = "") -> str:
    """Run a tool that clears the host, at most 30 seconds, and return its output; what it finds missing is no error."""
    # The functions here know no module; run_command has no time limit.
    return subprocess.run(  # pylint: disable=ansible-bad-function
        arguments, input=text, capture_output=True, text=True, errors="replace", check=False, timeout=30
    ).stdout


def _drop_chains(command: str) -> None:
    """Take the chains of the CNI plugin and of the kubelet out of the packet filter; all other rules stay."""
    if shutil.which(f"{command}-save") is None:
        return
    lines = _tool(f"{command}-save").splitlines()
    kept = [line for line in lines if not any(prefix in line for prefix in RESET_CHAINS)]
    if len(kept) < len(lines):
        _tool(f"{command}-restore", text="\n".join([*kept, ""]))


def _unmount(directory: str) -> None:
    """Release the mounts below a directory, deepest first."""
    with open("/proc/self/mounts", encoding="utf-8") as stream:
        points = [line.split()[1].encode().decode("unicode_escape") for line in stream]
    for point in sorted((path for path in points if path.startswith(f"{directory}/")), reverse=True):
        _tool("umount", "--lazy", point)
