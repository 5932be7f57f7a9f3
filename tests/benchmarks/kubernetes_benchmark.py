# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""k8s_apply and k8s_wait beside kubernetes.core and kubectl, on a real API server, or on a whole lab (``--lab``).

Applying: the same objects four ways, each three times on a namespace of its own: when nothing is there, when nothing
has changed, and after somebody else has changed every fifth. They are ConfigMaps, and every tenth is of a custom kind.
kubernetes.core works in its usual way, by merge patch. Requests are counted in the server's audit log, without those of
the server itself.
Waiting: a Deployment whose status becomes ready while the way under test waits; the figure is the time from sending
that status until the process has ended, so it has the end of Ansible or kubectl in it. This is not measured on a lab.
A task of ``debug`` shows what a playbook takes before any module begins; "alone" in the tables is without that.
Needs the bundle. kubernetes.core comes from the package that requirements/crosscheck.txt locks.
"""

from __future__ import annotations

import argparse
import base64
import http.client
import json
import os
import resource
import signal
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import page
import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / ".build" / "collections"))

from ansible_collections.onprem.platform.tests.integration.k8s.conftest import ApiServer, Authority, find_binary
from ansible_collections.onprem.platform.tests.integration.other_collection import other_collections
from ansible_collections.onprem.platform.tests.integration.ports import free_ports

MODULE_PROCESS = ROOT / "tests" / "integration" / "k8s" / "module_process.py"
READS = ("get", "list", "watch")
STAGES = _FIRST, UNCHANGED, DRIFTED = "first run", "nothing changed", "every fifth changed"
TAKEN = ("seconds", "cpu_seconds")
DRIFT, CUSTOM = 5, 10
OURS, LOOP, LIST, KUBECTL = "k8s_apply", "kubernetes.core.k8s, loop", "kubernetes.core.k8s, list", "kubectl apply"
START = "debug"
WAYS = (OURS, LOOP, LIST, KUBECTL, START)
READY_AFTER = 6.0
# A loop over more objects than this is measured once: it takes 0.4 s for each.
LONG_LOOP = 50
GROUP = "benchmark.platform.internal"
WIDGETS = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": f"widgets.{GROUP}"},
    "spec": {
        "group": GROUP,
        "scope": "Namespaced",
        "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {"data": {"type": "object", "additionalProperties": {"type": "string"}}},
                    }
                },
            }
        ],
    },
}


@dataclass
class Figures:
    """What one run took, and what reached the server."""

    seconds: float
    cpu_seconds: float
    requests: int = 0
    writes: int = 0


class OwnServer(ApiServer):
    """An API server on loopback with etcd, for the benchmark alone."""

    administrator = "admin"

    def start(self) -> None:
        """Start both."""
        self.start_etcd()
        self.start_api()

    def events(self, since: int) -> list[dict[str, Any]]:
        """Return what the audit log has gained."""
        with self.audit_log.open("rb") as log:
            log.seek(since)
            return _events(log.read())


class Lab:
    """A running lab of six machines: the API server that its kubeconfig names, and the audit log there."""

    AUDIT_LOG = "/var/log/kubernetes/audit/audit.log"

    def __init__(self, lab: Path, directory: Path) -> None:
        self.kubeconfig = lab / "state" / "kubeconfig"
        self._ssh = ["ssh", "-F", str(lab / "ssh_config")]
        config = yaml.safe_load(self.kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        for name in ("client-certificate-data", "client-key-data"):
            descriptor = os.open(directory / name, os.O_CREAT | os.O_WRONLY, 0o600)
            with os.fdopen(descriptor, "wb") as handle:
                handle.write(base64.b64decode(user[name]))
        self._context = ssl.create_default_context(
            cadata=base64.b64decode(cluster["certificate-authority-data"]).decode()
        )
        self._context.load_cert_chain(directory / "client-certificate-data", directory / "client-key-data")
        # urllib knows no other name for a server; the address is in its certificate as well.
        self._url = cluster["server"]
        nodes = json.loads((lab / "lab.json").read_text())["nodes"]
        self._node = next(node["name"] for node in nodes if f"//{node['address']}:" in self._url)
        whoami = self.call("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {})
        self.administrator: str = whoami["status"]["userInfo"]["username"]

    def start(self) -> None:
        """It runs."""

    def stop(self) -> None:
        """It goes on."""

    def call(self, verb: str, path: str, body: Any = None, content_type: str = "application/json") -> Any:
        """Send one request as administrator."""
        data, headers = None if body is None else json.dumps(body).encode(), {"Content-Type": content_type}
        # The URL is the lab's own, https from its kubeconfig.
        request = urllib.request.Request(f"{self._url}{path}", data, headers, method=verb)  # noqa: S310
        with urllib.request.urlopen(request, timeout=60, context=self._context) as response:  # noqa: S310
            return json.load(response)

    def _log(self, *command: str) -> bytes:
        return subprocess.run(
            [*self._ssh, self._node, *command, self.AUDIT_LOG], capture_output=True, check=True
        ).stdout

    def audit_position(self) -> int:
        """Return the size of the audit log."""
        return int(self._log("stat", "--format=%s"))

    def events(self, since: int) -> list[dict[str, Any]]:
        """Return what the audit log has gained."""
        return _events(self._log("tail", f"--bytes=+{since + 1}"))


def _events(content: bytes) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in content.splitlines(True) if line.startswith(b"{") and line.endswith(b"}\n")]
    return [event for event in found if event["stage"] != "RequestReceived"]


class Bench:
    """One API server, and commands whose time and requests are measured."""

    def __init__(self, directory: Path, lab: Path | None = None) -> None:
        self.directory = directory
        self.server: Any = Lab(lab, directory) if lab else OwnServer(directory, *free_ports(3), Authority(directory))
        self.kubectl = [str(find_binary("kubectl", directory)), f"--kubeconfig={self.server.kubeconfig}"]
        self.environment: dict[str, str] = {}
        self._number = 0
        self._namespaces: list[str] = []

    def begin(self, collections: Path) -> None:
        """Start the server and make the custom kind."""
        self.environment = {
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": f"{ROOT}/.build/collections:{collections}",
            "ANSIBLE_CONFIG": str(self.directory / "ansible.cfg"),  # none of anybody's own
            "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
            "K8S_AUTH_KUBECONFIG": str(self.server.kubeconfig),
            "PYTHONPATH": f"{ROOT}/.build/collections",  # for a module that runs without Ansible
        }
        (self.directory / "ansible.cfg").write_text("[defaults]\n")
        self.server.start()
        self.server.call("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", WIDGETS)
        deadline = time.monotonic() + 60
        while not self._serves_widgets():
            if time.monotonic() > deadline:
                raise SystemExit("The API server does not serve the custom kind.")
            time.sleep(0.2)

    def _serves_widgets(self) -> bool:
        try:
            self.server.call("GET", f"/apis/{GROUP}/v1/widgets")
        except OSError:
            return False
        return True

    def namespace(self) -> str:
        """Make a namespace."""
        self._number += 1
        name = f"bench-{os.getpid()}-{self._number}"
        self.server.call("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        self._namespaces.append(name)
        return name

    def end(self) -> None:
        """Leave nothing behind."""
        paths = [f"/api/v1/namespaces/{name}" for name in self._namespaces]
        for path in (*paths, f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.{GROUP}"):
            try:
                self.server.call("DELETE", path)
            except OSError as error:
                print(f"{path} stays: {error}", file=sys.stderr)
        self.server.stop()

    def playbook(self, tasks: list[dict[str, Any]]) -> list[str]:
        """Write a playbook and return the command that runs it."""
        path = self.directory / f"play-{self._number}.json"
        path.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]))
        return [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "localhost,", "-c", "local", str(path)]

    def run(self, command: list[str], text: str = "") -> Figures:
        """Run a command that has to succeed; ``text`` is its standard input."""
        since = self.server.audit_position()
        before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        done = subprocess.run(command, env=self.environment, input=text, capture_output=True, text=True, check=False)
        seconds, after = time.monotonic() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode:
            raise SystemExit(f"{command}: {done.stdout[-3000:]}{done.stderr[-2000:]}")
        sent = [one for one in self.server.events(since) if one["user"]["username"] == self.server.administrator]
        writes = [one for one in sent if one["verb"] not in READS and "dryRun=All" not in one["requestURI"]]
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return Figures(round(seconds, 3), round(cpu, 3), len(sent), len(writes))


def documents(namespace: str, count: int) -> list[dict[str, Any]]:
    """Return ConfigMaps and some objects of a custom kind, which have the same field."""
    kinds = [("v1", "ConfigMap")] * (CUSTOM - 1) + [(f"{GROUP}/v1", "Widget")]
    return [
        {
            "apiVersion": kinds[number % CUSTOM][0],
            "kind": kinds[number % CUSTOM][1],
            "metadata": {"name": f"item-{number}", "namespace": namespace},
            "data": {"value": str(number)},
        }
        for number in range(count)
    ]


def apply_command(bench: Bench, way: str, objects: list[dict[str, Any]]) -> list[str]:
    """Return the command of a way."""
    if way == KUBECTL:
        manifest = bench.directory / f"objects-{bench._number}.json"
        manifest.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
        force = ("--server-side", "--force-conflicts", "--field-manager=bench")
        return [*bench.kubectl, "apply", *force, "--filename", str(manifest)]
    if way == START:
        return bench.playbook([{"ansible.builtin.debug": {"msg": "nothing"}}])
    if way == OURS:
        return bench.playbook([{"onprem.platform.k8s_apply": {"definition": objects, "force_conflicts": True}}])
    if way == LIST:
        return bench.playbook([{"kubernetes.core.k8s": {"definition": objects}}])
    return bench.playbook([{"kubernetes.core.k8s": {"definition": "{{ item }}"}, "loop": objects}])


def measure_apply(bench: Bench, way: str, count: int) -> dict[str, Figures]:
    """Return the figures of the three stages."""
    namespace = bench.namespace()
    command = apply_command(bench, way, documents(namespace, count))
    found = {}
    for stage in STAGES:
        if stage == DRIFTED and way != START:
            for number in range(0, count, DRIFT):
                path = f"/api/v1/namespaces/{namespace}/configmaps/item-{number}?fieldManager=other"
                bench.server.call("PATCH", path, {"data": {"value": "changed"}}, "application/merge-patch+json")
        found[stage] = bench.run(command)
    return found


def deployment() -> dict[str, Any]:
    """Return a Deployment; no controller exists, the benchmark writes its status."""
    labels = {"app": "web"}
    template = {
        "metadata": {"labels": labels},
        "spec": {"containers": [{"name": "web", "image": "registry.test/web:1"}]},
    }
    return {"metadata": {"name": "web"}, "spec": {"selector": {"matchLabels": labels}, "template": template}}


# The figures of each way.
Results = dict[str, list[Figures]]
# One of the ways to wait: a command, and what it reads from its standard input.
Command = tuple[list[str], str]


def wait_commands(bench: Bench, namespace: str) -> dict[str, Callable[[], Command]]:
    """Return the ways to wait for the Deployment."""
    name = {"api_version": "apps/v1", "kind": "Deployment", "namespace": namespace, "name": "web"}
    polled = {
        "kubernetes.core.k8s_info": {**name, "wait": False},
        "register": "found",
        "until": "(found.resources[0].status.availableReplicas | default(0)) | int == 1",
        "retries": 60,
        "delay": 2,
    }
    own_wait = {**name, "wait": True, "wait_timeout": 120, "wait_condition": {"type": "Available", "status": "True"}}
    options = json.dumps({"kubeconfig": str(bench.server.kubeconfig), "objects": [name]})
    waiting = ("--for=condition=Available", "deployment/web", "--timeout=120s")
    return {
        "k8s_wait": lambda: (bench.playbook([{"onprem.platform.k8s_wait": {"objects": [name]}}]), ""),
        "k8s_wait, its process alone": lambda: ([sys.executable, str(MODULE_PROCESS), "k8s_wait"], options),
        "k8s_info until, delay 2 s": lambda: (bench.playbook([polled]), ""),
        "k8s_info wait (sleeps 5 s)": lambda: (bench.playbook([{"kubernetes.core.k8s_info": own_wait}]), ""),
        "kubectl wait": lambda: ([*bench.kubectl, "wait", f"--namespace={namespace}", *waiting], ""),
    }


def measure_wait(bench: Bench, way: str) -> Figures:
    """Return the time from ready to the end of the process, and what was asked of the server."""
    namespace, server = bench.namespace(), bench.server
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    server.call("POST", path, deployment())
    counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), 1)
    ready = {"observedGeneration": 1, "conditions": [{"type": "Available", "status": "True"}], **counts}
    # Connected before, so that the moment of sending is the moment of becoming ready but for the server's own work.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(server.authority.certificate)
    context.load_cert_chain(bench.directory / "admin.crt", bench.directory / "admin.key")
    connection = http.client.HTTPSConnection("127.0.0.1", server.port, context=context, timeout=60)
    connection.connect()
    moment: list[float] = []

    def become_ready() -> None:
        moment.append(time.monotonic())
        body, kind = json.dumps({"status": ready}), {"Content-Type": "application/merge-patch+json"}
        connection.request("PATCH", f"{path}/web/status", body, kind)
        connection.getresponse().read()

    # The way under test has to be at work before: a process that starts late would find everything ready.
    timer = threading.Timer(READY_AFTER, become_ready)
    timer.start()
    figures = bench.run(*wait_commands(bench, namespace)[way]())
    ended = time.monotonic()
    timer.join()
    connection.close()
    if figures.seconds < READY_AFTER:
        raise SystemExit(f"{way} did not wait")
    # The benchmark's own write of the status is the administrator's too.
    return Figures(round(ended - moment[0], 3), figures.cpu_seconds, figures.requests - 1, figures.writes - 1)


def median(runs: list[Figures], key: str = "seconds") -> float:
    """Return the median of a figure."""
    return float(statistics.median(getattr(run, key) for run in runs))


def spread(runs: list[Figures], key: str) -> str:
    """Return the median of a figure, with smallest and largest."""
    values = [getattr(run, key) for run in runs]
    return f"{median(runs, key):.2f} ({min(values):.2f}-{max(values):.2f})"


def counted(runs: list[Figures], key: str) -> str:
    """Return a number, or several if it was not the same each time."""
    return "/".join(str(count) for count in sorted({getattr(run, key) for run in runs}))


def table(title: str, results: Results) -> str:
    """Return everything about one piece of work: medians and spread, and what reached the server."""
    lines = [[title, "seconds", "CPU seconds", "requests", "writes"]]
    for way, runs in results.items():
        lines.append([named(way), *(spread(runs, key) for key in TAKEN)])
        lines[-1] += [counted(runs, key) for key in ("requests", "writes")]
    return page.rows(*lines)


def named(way: str) -> str:
    """Return a way as the tables show it: what is typed is set as code."""
    name, comma, rest = way.partition(", ")
    return f"`{name}`{comma}{rest}"


def by_size(results: dict[str, Results], sizes: list[int]) -> str:
    """Return the medians of the seconds for all numbers of objects, and the writes for the largest."""
    most = max(sizes)
    lines = [["seconds", *(f"{count} object{'s' * (count > 1)}" for count in sizes), f"writes for {most}"]]
    for title in STAGES:
        lines.append([f"**{title}**", *[""] * (len(sizes) + 1)])
        for way in WAYS[:-1]:
            several = {count: results[f"{count} objects, {title}"].get(way) for count in sizes}
            if not any(several.values()):
                continue
            taken = [f"{median(runs):.1f}" if runs else "" for runs in several.values()]
            lines.append([named(way), *taken, counted(runs, "writes") if (runs := several[most]) else ""])
    return page.rows(*lines)


def beside(results: dict[str, Results], sizes: list[int]) -> str:
    """Return how many times as long the others take: the whole playbook, and the task without its start."""
    lines = [["objects", "", "beside", "playbook", "its CPU", "task alone", "its CPU", "`k8s_apply` alone, s"]]
    for count in sizes:
        for title in STAGES:
            found = results[f"{count} objects, {title}"]
            for way in (LOOP, LIST):
                if way not in found:
                    continue
                whole = [median(found[way], key) / median(found[OURS], key) for key in TAKEN]
                own = {
                    one: [median(found[one], key) - median(found[START], key) for key in TAKEN] for one in (OURS, way)
                }
                alone = [taken / best for taken, best in zip(own[way], own[OURS], strict=True)]
                shown = [f"{value:.1f}" for pair in (whole, alone) for value in pair]
                lines.append([str(count), title, named(way), *shown, f"{own[OURS][0]:.2f}"])
    return page.rows(*lines)


def main() -> None:
    """Measure all ways in turn, as often as wanted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--collections", type=Path, help="directory with ansible_collections/kubernetes, in its place")
    parser.add_argument("--lab", type=Path, help="directory of a running lab (.lab), to measure there")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--loops", type=int, default=3, help="runs that have the loop, which takes most of the time")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 10, 50, 200])
    parser.add_argument("--output", type=Path, help="file for all figures as JSON")
    page.add_option(parser)
    options = parser.parse_args()
    conditions = page.conditions()
    collections = options.collections or other_collections()
    manifest = collections / "ansible_collections" / "kubernetes" / "core" / "MANIFEST.json"
    version = json.loads(manifest.read_text())["collection_info"]["version"]
    print(f"kubernetes.core {version}; {os.cpu_count()} processors, load {os.getloadavg()[0]:.0f} at the start")
    results: dict[str, Results] = {}
    waited: Results = {}
    # Whoever stops it keeps a lab without its namespaces.
    signal.signal(signal.SIGTERM, lambda *_signal: sys.exit("stopped"))
    with tempfile.TemporaryDirectory(prefix="onprem-benchmark-") as directory:
        bench = Bench(Path(directory), options.lab.resolve() if options.lab else None)
        try:
            bench.begin(collections)
            for number in range(options.runs):
                for count in options.sizes:
                    for way in WAYS:
                        if way == LOOP and number >= (1 if count > LONG_LOOP else options.loops):
                            continue
                        for stage, figures in measure_apply(bench, way, count).items():
                            print(
                                f"run {number + 1}: {count} objects, {stage}, {way}: {figures.seconds:.2f} s",
                                flush=True,
                            )
                            title = f"{count} objects, {stage}"
                            results.setdefault(title, {}).setdefault(way, []).append(figures)
                # On a lab its own controllers would write the status.
                for way in wait_commands(bench, "") if not options.lab else ():
                    waited.setdefault(way, []).append(measure_wait(bench, way))
        finally:
            bench.end()
    everything = {**results, **({"until the end of waiting": waited} if waited else {})}
    for title, several in everything.items():
        print(f"\n{table(title, several)}")
    shown = [by_size(results, options.sizes), beside(results, options.sizes)]
    print(*shown, sep="\n\n")
    if options.output:
        data = {
            title: {way: list(map(asdict, runs)) for way, runs in ways.items()} for title, ways in everything.items()
        }
        options.output.write_text(json.dumps(data, indent=2) + "\n")
    for title, several in results.items():
        if title.endswith(UNCHANGED) and any(run.writes for run in several[OURS]):
            raise SystemExit(f"{title}: k8s_apply wrote something.")
    if options.publish:
        name = "kubernetes-lab" if options.lab else "kubernetes"
        # On a lab other clients ask too, and nothing waits.
        more = [table(title, found) for title, found in results.items()] if options.lab else [table("waiting", waited)]
        page.publish(name, conditions, *shown, *more)


if __name__ == "__main__":
    main()
