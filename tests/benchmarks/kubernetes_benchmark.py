# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""k8s_apply and k8s_wait beside kubernetes.core and kubectl, on a real API server.

Applying: the same objects four ways, each three times on a namespace of its own: "cold", "unchanged", and "drift" after
somebody else has changed every fifth. They are ConfigMaps, and every tenth is of a custom kind. kubernetes.core works
in its usual way, by merge patch. Requests are counted in the server's audit log, without those of the server itself.
Waiting: a Deployment whose status becomes ready while the way under test waits; the figure is the time from sending
that status until the process has ended, so it has the end of Ansible or kubectl in it.
Needs the bundle. kubernetes.core comes from the package that requirements/crosscheck.txt locks.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import resource
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / ".build" / "collections"))

from ansible_collections.onprem.platform.tests.integration.k8s.conftest import ApiServer, Authority, find_binary
from ansible_collections.onprem.platform.tests.integration.other_collection import other_collections
from ansible_collections.onprem.platform.tests.integration.ports import free_ports

MODULE_PROCESS = ROOT / "tests" / "integration" / "k8s" / "module_process.py"
READS = ("get", "list", "watch")
STAGES = ("cold", "unchanged", "drift")
DRIFT, CUSTOM = 5, 10
OURS, LOOP, LIST, KUBECTL = "k8s_apply", "kubernetes.core.k8s, loop", "kubernetes.core.k8s, list", "kubectl apply"
WAYS = (OURS, LOOP, LIST, KUBECTL)
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


class Bench:
    """One API server, and commands whose time and requests are measured."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.server = ApiServer(directory, *free_ports(3), Authority(directory))
        self.kubectl = [str(find_binary("kubectl", directory)), f"--kubeconfig={self.server.kubeconfig}"]
        self.environment: dict[str, str] = {}
        self._number = 0

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
        self.server.start_etcd()
        self.server.start_api()
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
        name = f"bench-{self._number}"
        self.server.call("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        return name

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
        with self.server.audit_log.open("rb") as log:
            log.seek(since)
            events = [json.loads(line) for line in log if line.startswith(b"{") and line.endswith(b"}\n")]
        sent = [event for event in events if event["user"]["username"] == "admin"]
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
        if stage == "drift":
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


def table(title: str, results: dict[str, list[Figures]]) -> str:
    """Return medians and spread as Markdown."""
    lines = ["", f"| {title} | seconds | CPU seconds | requests | writes |", "|---|---|---|---|---|"]
    for way, runs in results.items():
        shown = []
        for key in ("seconds", "cpu_seconds"):
            values = [getattr(run, key) for run in runs]
            shown.append(f"{statistics.median(values):.2f} ({min(values):.2f}-{max(values):.2f})")
        for key in ("requests", "writes"):
            shown.append("/".join(str(count) for count in sorted({getattr(run, key) for run in runs})))
        lines.append(f"| {way} | {' | '.join(shown)} |")
    return "\n".join(lines)


def main() -> None:
    """Measure all ways in turn, as often as wanted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--collections", type=Path, help="directory with ansible_collections/kubernetes, in its place")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 10, 50, 200])
    parser.add_argument("--output", type=Path, help="file for all figures as JSON")
    options = parser.parse_args()
    collections = options.collections or other_collections()
    manifest = collections / "ansible_collections" / "kubernetes" / "core" / "MANIFEST.json"
    version = json.loads(manifest.read_text())["collection_info"]["version"]
    print(f"kubernetes.core {version}; {os.cpu_count()} processors, load {os.getloadavg()[0]:.0f} at the start")
    results: dict[str, dict[str, list[Figures]]] = {}
    with tempfile.TemporaryDirectory(prefix="onprem-benchmark-") as directory:
        bench = Bench(Path(directory))
        try:
            bench.begin(collections)
            for number in range(options.runs):
                for count in options.sizes:
                    for way in WAYS:
                        if way == LOOP and count > LONG_LOOP and number > 0:
                            continue
                        for stage, figures in measure_apply(bench, way, count).items():
                            results.setdefault(f"{count} objects, {stage}", {}).setdefault(way, []).append(figures)
                for way in wait_commands(bench, ""):
                    results.setdefault("until the end of waiting", {}).setdefault(way, []).append(
                        measure_wait(bench, way)
                    )
        finally:
            bench.server.stop()
    for title, several in results.items():
        print(table(title, several))
    if options.output:
        data = {
            title: {way: [asdict(run) for run in runs] for way, runs in ways.items()} for title, ways in results.items()
        }
        options.output.write_text(json.dumps(data, indent=2) + "\n")
    for title, several in results.items():
        if title.endswith("unchanged") and any(run.writes for run in several[OURS]):
            raise SystemExit(f"{title}: k8s_apply wrote something.")


if __name__ == "__main__":
    main()
