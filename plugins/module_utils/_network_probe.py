# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Start probe pods, have each try its connections in one call, and judge what they found (private)."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from ._kube_client import MERGE_PATCH, KubeClient
from ._kube_errors import KubeError, NotFoundError
from ._kube_exec import run_in_pod
from ._network_paths import DROPPED, OPEN, PROBE_NAMESPACE, REFUSED, Network, Pair, Path, Port, Wrong, compare
from ._network_targets import ProbePod, Site, Target, probe_pods, targets

Plan = dict[str, list[Target]]
"""Name of a pod -> what it connects to."""
SCHEDULER = "onprem-probe-network"
"""Marks the pods: they have their node already, so no scheduler looks at them; a label would make them other pods."""
_PODS = {"fieldSelector": f"spec.schedulerName={SCHEDULER}"}
_MARK = {"onprem.platform/probe": "network"}
_OWNER = "probe-network"
_NEVER = "onprem.platform/never-ready"
_CONTAINER = "probe"
_LIFETIME = 600
_WORKERS = 16
_ROUNDS = 3
# One line for each connection: its number, the exit code and the words of the program. It connects and hangs up. A
# lookup at a port other than 53 is just a packet, whose refusal by the system it reports.
_SCRIPT = r"""
try() {
  if [ "$2" = UDP ]; then
    said=$(busybox nslookup -port="$4" -timeout="$wait" -retry=1 "$name" "$3" 2>&1)
  else
    said=$(busybox nc -w "$wait" "$3" "$4" -e /bin/busybox true 2>&1)
  fi
  code=$?
  set -f
  set -- "$1" $code $said
  echo "$*"
}
wait=$1 name=$2
while read -r number protocol address port; do
  [ "$number" = end ] && break
  try "$number" "$protocol" "$address" "$port" &
done
wait
"""
_SLEEP = f"sleep {_LIFETIME}"
_LISTEN = f'for port in "$@"; do busybox nc -ll -p "$port" -e /bin/busybox true & done; sleep {_LIFETIME}'


@dataclass
class Outcome:
    """What a probe has found.

    :ivar untested: paths to networks of which no address to connect to is known.
    :ivar tries: pair -> what each of its targets has shown, as ``via: verdict``.
    :ivar problems: source -> why it could not try.
    """

    matrix: list[Pair]
    untested: list[Path]
    verdicts: dict[tuple[str, str, Port], str] = field(default_factory=dict)
    tries: dict[Pair, list[str]] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    pods: int = 0
    connections: int = 0

    def wrong(self) -> list[Wrong]:
        """Return the pairs with a wrong verdict; what was not tried is wrong."""
        return compare(self.matrix, self.verdicts)

    def as_list(self) -> list[dict[str, Any]]:
        """Return every pair as a module returns it."""
        wrong = {item.pair for item in self.wrong()}
        return [
            {
                **pair.as_dict(),
                "found": self.verdicts.get((pair.source, pair.destination, pair.port))
                or f"not tried: {self.problems.get(pair.source, 'nothing to connect to')}",
                "correct": pair not in wrong,
                "tries": self.tries.get(pair, []),
            }
            for pair in self.matrix
        ]

    def cases(self) -> list[dict[str, str]]:
        """Return every pair as a report takes it."""
        wrong = {item.pair: str(item) for item in self.wrong()}
        found = []
        for pair in self.matrix:
            question = f"-> {pair.destination}:{pair.port} is {f'open: {pair.reason}' if pair.allowed else 'closed'}"
            failure = wrong.get(pair, "")
            if failure:
                known = self.tries.get(pair) or [self.problems.get(pair.source, "nothing to connect to")]
                failure = f"{failure} ({', '.join(known)})"
            found.append({"suite": pair.source, "name": question, "failure": failure})
        for path in self.untested:
            name = f"-> {path.destination}:{path.port} is open: {path.reason}"
            failure = f"not tried: give {path.destination} an address to connect to (tries)"
            found.append({"suite": path.source, "name": name, "failure": failure})
        return found


class NetworkProbe:
    """Tries a matrix in a cluster."""

    def __init__(self, client: KubeClient, image: str, start_timeout: int, connect_timeout: int, name: str) -> None:
        """Take the image (busybox), seconds for pods to start and to connect, and a name that DNS must know."""
        self._client, self._image = client, image
        self._start_timeout, self._connect_timeout, self._name = start_timeout, connect_timeout, name

    def run(self, network: Network, listeners: Mapping[str, Iterable[int]]) -> Outcome:
        """Try all pairs; whatever happens, the pods are removed."""
        outcome = Outcome(network.matrix(), network.untested())
        self.sweep()
        site = self._site()
        run = secrets.token_hex(3)
        namespace = f"{PROBE_NAMESPACE}-{run}"
        pods = probe_pods(network, site, namespace, run, listeners)
        outcome.pods = len(pods)
        workers = ThreadPoolExecutor(_WORKERS)
        try:
            self._make_namespace(namespace)
            made = self._create_all(pods, outcome, workers)
            self._try(made, lambda: targets(network, site, pods, outcome.matrix), outcome, workers)
        finally:
            workers.shutdown(cancel_futures=True)
            self.sweep()
        return outcome

    def sweep(self) -> None:
        """Remove all pods of this and of earlier runs, and what they belong to."""
        pods = self._client.get("/api/v1/pods", _PODS)["items"]
        owners = self._client.get("/api/v1/configmaps", {"fieldSelector": f"metadata.name={_OWNER}"})["items"]
        own = {"labelSelector": ",".join(f"{key}={text}" for key, text in _MARK.items())}
        spaces = self._client.get("/api/v1/namespaces", own)["items"]
        wanted: list[tuple[str, dict[str, str] | None]] = [
            *((f"{path}/pods", _PODS) for path in sorted({_path(item) for item in pods})),
            *((f"{_path(item)}/configmaps/{_OWNER}", None) for item in owners),
            *((f"/api/v1/namespaces/{item['metadata']['name']}", None) for item in spaces if not _is_going(item)),
        ]
        with ThreadPoolExecutor(_WORKERS) as workers:
            list(workers.map(lambda item: self._remove(*item), wanted))

    def _remove(self, path: str, query: dict[str, str] | None) -> None:
        try:
            self._client.request("DELETE", path, query, {"gracePeriodSeconds": 0, "propagationPolicy": "Background"})
        except NotFoundError:
            return

    def _site(self) -> Site:
        slices = self._client.get(
            "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices",
            {"labelSelector": "kubernetes.io/service-name=kubernetes"},
        )
        services = self._client.get("/api/v1/services")["items"]
        members = {address for item in slices["items"] for end in item["endpoints"] for address in end["addresses"]}
        ports = [port["port"] for item in slices["items"] for port in item["ports"]]
        api: tuple[str, int, int, frozenset[str]] = ("", 0, 0, frozenset())
        for service in services:
            if (service["metadata"]["namespace"], service["metadata"]["name"]) == ("default", "kubernetes") and ports:
                spec = service["spec"]
                api = (spec["clusterIP"], spec["ports"][0]["port"], ports[0], frozenset(members))
        nodes = self._client.get("/api/v1/nodes")["items"]
        return Site(self._client.get("/api/v1/pods")["items"], services, nodes, api)

    def _create_all(self, pods: list[ProbePod], outcome: Outcome, workers: ThreadPoolExecutor) -> list[ProbePod]:
        """Create all pods at once and return those that are there; the others are problems of the outcome.

        Who is connected to comes first, because nobody can try everything before.
        """
        ordered = sorted(pods, key=lambda pod: pod.source)
        namespaces = sorted({pod.namespace for pod in pods})
        owners = dict(zip(namespaces, workers.map(self._make_owner, namespaces), strict=True))
        made = list(workers.map(lambda pod: self._create(pod, owners[pod.namespace]), ordered))
        outcome.problems |= {pod.peer: text for pod, text in zip(ordered, made, strict=True) if text}
        return [pod for pod, text in zip(ordered, made, strict=True) if not text]

    def _running(self, pods: list[ProbePod], outcome: Outcome) -> Iterator[ProbePod]:
        """Yield each pod when it runs, with its address; who does not start in time is a problem of the outcome."""
        waiting = {pod.name: pod for pod in pods}
        deadline = time.monotonic() + self._start_timeout
        states: dict[str, str] = {}
        while waiting and time.monotonic() < deadline:
            for item in self._client.get("/api/v1/pods", _PODS)["items"]:
                name, status = item["metadata"]["name"], item["status"]
                states[name] = _state(status)
                if name in waiting and states[name] == "Running" and status.get("podIP"):
                    pod = waiting.pop(name)
                    pod.address = status["podIP"]
                    yield pod
            if waiting:
                time.sleep(0.5)
        for name, pod in waiting.items():
            outcome.problems[pod.peer] = f"pod {pod} did not start on {pod.node}: {states.get(name, 'unknown')}"

    def _make_namespace(self, name: str) -> None:
        """Make the namespace of the outsider and of the pods in the nodes' network."""
        reason = "Pods in the network of nodes, to see what nodes reach; removed after the probe"
        labels = {**_MARK, "pod-security.kubernetes.io/enforce": "privileged"}
        metadata = {"name": name, "labels": labels, "annotations": {"onprem.platform/pod-security-reason": reason}}
        document = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
        self._client.request("POST", "/api/v1/namespaces", None, document)
        account = f"/api/v1/namespaces/{name}/serviceaccounts/default"
        deadline = time.monotonic() + self._start_timeout
        while True:
            # Pods are refused until the controller has made it. It gives no token unasked, as everywhere else.
            try:
                self._client.request("PATCH", account, None, {"automountServiceAccountToken": False}, MERGE_PATCH)
                return
            except NotFoundError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    def _make_owner(self, namespace: str) -> dict[str, Any]:
        """Make what the pods belong to: who has a controller is not taken over by a ReplicaSet.

        Empty when there is no such namespace.
        """
        document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": _OWNER, "namespace": namespace}}
        try:
            made = self._client.request("POST", f"/api/v1/namespaces/{namespace}/configmaps", None, document)[1]
        except NotFoundError:
            return {}
        owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": _OWNER, "controller": True}
        return {**owner, "uid": made["metadata"]["uid"]}

    def _create(self, pod: ProbePod, owner: dict[str, Any]) -> str:
        """Create a pod; return why that was refused."""
        if not owner:
            return f"there is no namespace {pod.namespace}"
        try:
            path = f"/api/v1/namespaces/{pod.namespace}/pods"
            self._client.request("POST", path, None, pod_document(pod, self._image, owner))
        except KubeError as error:
            return f"pod {pod} was refused: {error.message}"
        return ""

    def _try(
        self, pods: list[ProbePod], find: Callable[[], Plan], outcome: Outcome, workers: ThreadPoolExecutor
    ) -> None:
        """Try all targets from each pod as soon as it runs.

        Until all nodes know a new pod, they drop what it may do: such pairs are tried again when all of them run.

        :param find: returns the targets, when everything to connect to runs.
        """
        awaited = {pod.name for pod in pods if not pod.source}
        running: list[ProbePod] = []
        first: list[Future[dict[Target, str]]] = []
        plan: Plan = {}

        def begin() -> Plan:
            known = plan or find()
            first.extend(workers.submit(self._ask, item, known.get(item.name, [])) for item in running[len(first) :])
            return known

        for pod in self._running(pods, outcome):
            awaited.discard(pod.name)
            running += [pod] if pod.source else []
            if not awaited:
                plan = begin()
        plan = begin()
        found = {target: seen for future in first for target, seen in future.result().items()}
        for _round in range(1, _ROUNDS):
            work = [
                (pod, [item for item in plan.get(pod.name, []) if not _settled(item, found.get(item, ""))])
                for pod in running
            ]
            for answers in workers.map(lambda item: self._ask(*item), [item for item in work if item[1]]):
                found |= answers
        outcome.connections = len(found)
        for pod in running:
            for target in plan.get(pod.name, []):
                seen = found.get(target, "") or "not tried"
                outcome.tries.setdefault(target.pair, []).append(f"{target.via}: {seen}")
                key = (target.pair.source, target.pair.destination, target.pair.port)
                outcome.verdicts[key] = _worse(target.pair, outcome.verdicts.get(key), seen)

    def _ask(self, pod: ProbePod, wanted: list[Target]) -> dict[Target, str]:
        """Have one pod try its targets at once, in one call; what fails stays untried."""
        if not wanted:
            return {}
        lines = [f"{number} {item.pair.port.protocol} {item.address} {item.port}" for number, item in enumerate(wanted)]
        command = ["sh", "-c", _SCRIPT, "probe", str(self._connect_timeout), self._name]
        try:
            done = run_in_pod(
                self._client.connection,
                pod.namespace,
                pod.name,
                _CONTAINER,
                command,
                "\n".join([*lines, "end", ""]),
                30 + 4 * self._connect_timeout,
            )
        except KubeError as error:
            return dict.fromkeys(wanted, f"not tried ({error.message})")
        answers = {}
        for line in done.output.splitlines():
            number, code, said = [*line.split(" ", 2), "", ""][:3]
            if number.isdigit() and int(number) < len(wanted):
                item = wanted[int(number)]
                answers[item] = verdict(item.pair.port.protocol, code, said)
        return answers


def verdict(protocol: str, code: str, said: str) -> str:
    """Return what the exit code and the words of one try mean."""
    if "refused" in said:
        return REFUSED
    if "timed out" in said:
        return DROPPED
    if code == "0" or (protocol == "UDP" and "can't find" in said):
        return OPEN
    return f"neither open nor dropped ({said or code})"


def _settled(target: Target, seen: str) -> bool:
    """Tell whether a target need not be tried again."""
    return bool(seen) and not seen.startswith("not tried") and (not target.pair.allowed or seen in (OPEN, REFUSED))


def _worse(pair: Pair, one: str | None, other: str) -> str:
    """Return of two verdicts of a pair the one that is not as it should be."""
    good = (OPEN, REFUSED) if pair.allowed else (DROPPED,)
    return other if one is None or one in good else one


def _path(item: Mapping[str, Any]) -> str:
    return f"/api/v1/namespaces/{item['metadata']['namespace']}"


def _is_going(item: Mapping[str, Any]) -> bool:
    return bool(item["metadata"].get("deletionTimestamp"))


def _state(status: Mapping[str, Any]) -> str:
    """Return the phase of a pod, or why its container waits or has ended."""
    for item in status.get("containerStatuses") or []:
        state = item.get("state") or {}
        found = state.get("waiting") or state.get("terminated")
        if found:
            return f"{found.get('reason', '')} {found.get('message', '')}".strip()
    return " ".join(str(status.get(key)) for key in ("phase", "reason", "message") if status.get(key))


def pod_document(pod: ProbePod, image: str, owner: Mapping[str, Any]) -> dict[str, Any]:
    """Return the pod: as restricted as any, never an endpoint, and gone after a while whatever happens."""
    command = ["sh", "-c", _LISTEN, "probe", *map(str, pod.listens)] if pod.listens else ["sh", "-c", _SLEEP]
    user = {"runAsUser": 0} if pod.listens else {"runAsUser": 65532, "runAsNonRoot": True}
    capabilities: dict[str, Any] = {"drop": ["ALL"]}
    if pod.listens:
        capabilities["add"] = ["NET_BIND_SERVICE"]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": pod.name,
            "namespace": pod.namespace,
            "labels": pod.labels,
            "annotations": {"onprem.platform/probe": f"stands for {pod.peer}"},
            "ownerReferences": [dict(owner)],
        },
        "spec": {
            "schedulerName": SCHEDULER,
            "nodeName": pod.node,
            "serviceAccountName": pod.service_account,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "hostNetwork": pod.host_network,
            "dnsPolicy": "Default",
            # A busy node can fail to start a container in time; the kubelet tries again.
            "restartPolicy": "OnFailure",
            "activeDeadlineSeconds": _LIFETIME,
            "terminationGracePeriodSeconds": 0,
            "readinessGates": [{"conditionType": _NEVER}],
            "securityContext": {**user, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [
                {
                    "name": _CONTAINER,
                    "image": image,
                    "command": command,
                    "resources": {"requests": {"cpu": "1m", "memory": "16Mi"}, "limits": {"memory": "128Mi"}},
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "readOnlyRootFilesystem": True,
                        "capabilities": capabilities,
                    },
                }
            ],
        },
    }
