# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""site.yml beside a bare script on machines of the same kind, in one run.

Two labs of an own name, one after the other, always destroyed: on the first site.yml stops before `kubeadm init` and
`bare-cluster` makes the cluster; on the second site.yml runs whole, and once more. Nothing is asserted about time; the
second run must change nothing. Needs root and a filled bundle.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import page
import yaml

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / ".build" / "benchmark"
PODMAN = ("podman", "--runtime", "/usr/sbin/runc", "--network-backend", "netavark")
CLUSTER = ("Control plane", "Network", "Nodes", "Network ready")
PREPARED, BARE = "preparation for the bare script", "bare script"
SITE, SECOND = "site.yml", "second run"


class BenchmarkError(Exception):
    """A command failed or a result cannot be compared."""


@dataclass
class Work:
    """What a piece of work took: wall seconds, CPU seconds of the machines and of the controller's processes."""

    seconds: float
    machine_cpu_seconds: float
    controller_cpu_seconds: float
    load_before: float
    phases: list[dict[str, Any]] = field(default_factory=list)


class Machines:
    """Control groups of the lab's containers; version 1 or 2."""

    def __init__(self, facts: dict[str, Any]) -> None:
        paths = [
            output(*PODMAN, "inspect", "--format", "{{.State.CgroupPath}}", node["container"]).strip().lstrip("/")
            for node in facts["nodes"]
        ]
        root = Path("/sys/fs/cgroup")
        self._unified = (root / "cgroup.controllers").exists()
        self._cpu = [root / path if self._unified else root / "cpuacct" / path for path in paths]
        self._memory = [root / path if self._unified else root / "memory" / path for path in paths]

    def cpu_seconds(self) -> float:
        """Seconds of CPU that all machines used since they were made."""
        if self._unified:
            return sum(int(_keyed(path / "cpu.stat")["usage_usec"]) for path in self._cpu) / 1e6
        return sum(int((path / "cpuacct.usage").read_text()) for path in self._cpu) / 1e9

    def memory_bytes(self) -> int:
        """Working set of all machines: what they use without the inactive part of the page cache."""
        if self._unified:
            return sum(
                int((path / "memory.current").read_text()) - int(_keyed(path / "memory.stat")["inactive_file"])
                for path in self._memory
            )
        return sum(
            int((path / "memory.usage_in_bytes").read_text()) - int(_keyed(path / "memory.stat")["total_inactive_file"])
            for path in self._memory
        )


class Samples:
    """CPU seconds of the machines over time, to be read for any moment of the past."""

    def __init__(self, machines: Machines) -> None:
        self._machines = machines
        self._points = [(time.time(), machines.cpu_seconds())]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Samples:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._stop.set()
        self._thread.join()
        self._add()

    def _add(self) -> None:
        self._points.append((time.time(), self._machines.cpu_seconds()))

    def _run(self) -> None:
        while not self._stop.wait(0.25):
            self._add()

    def between(self, start: float, end: float) -> float:
        """CPU seconds used between two moments (seconds since the epoch), to the nearest sample."""
        at = [min(self._points, key=lambda point: abs(point[0] - moment))[1] for moment in (start, end)]
        return round(at[1] - at[0], 1)


class Lab:
    """Machines of this benchmark alone: an own inventory directory gives an own name, network and key."""

    def __init__(self) -> None:
        self.inventory = WORK / "inventories" / "lab"
        self.state = WORK / ".lab"

    @contextlib.contextmanager
    def machines(self) -> Iterator[Machines]:
        """Fresh machines, removed at the end whatever happened."""
        shutil.rmtree(self.inventory, ignore_errors=True)
        shutil.copytree(ROOT / "inventories" / "lab", self.inventory)
        playbook = ROOT / "playbooks" / "lab.yml"
        try:
            self.play("lab", playbook)
            yield Machines(json.loads((self.state / "lab.json").read_text()))
        finally:
            self.play("lab-absent", playbook, "-e", "lab_state=absent")

    def play(self, name: str, playbook: Path, *options: str) -> dict[str, Any]:
        """Run a playbook; its output goes to a log, its phases are returned."""
        phases = WORK / f"phases-{name}.json"
        phases.unlink(missing_ok=True)
        command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(self.inventory)]
        environment = {
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_NOCOLOR": "1",
            "ONPREM_PHASES_OUTPUT": str(phases),
        }
        run(name, [*command, str(playbook), *options], environment)
        return dict(json.loads(phases.read_text()))


def _keyed(path: Path) -> dict[str, str]:
    return dict(line.split(maxsplit=1) for line in path.read_text().splitlines())


def output(*arguments: str) -> str:
    """Return what a command printed."""
    return subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=True).stdout


def run(name: str, command: list[str], environment: dict[str, str] | None = None) -> None:
    """Run a command with its output in a log. Raises BenchmarkError."""
    log = WORK / f"{name}.log"
    print(f"==> {name}", flush=True)
    with log.open("w", encoding="utf-8") as stream:
        done = subprocess.run(
            command, stdout=stream, stderr=subprocess.STDOUT, env=environment, cwd=ROOT, timeout=1800, check=False
        )
    if done.returncode:
        end = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-30:])
        raise BenchmarkError(f"{name} failed with code {done.returncode}; {log} ends with:\n{end}")


@contextlib.contextmanager
def measured(machines: Machines, found: dict[str, Work], name: str) -> Iterator[Samples]:
    """Put what the block took into ``found`` under ``name``."""
    load = os.getloadavg()[0]
    children = _children_cpu()
    start, cpu = time.monotonic(), machines.cpu_seconds()
    with Samples(machines) as samples:
        yield samples
    found[name] = Work(
        round(time.monotonic() - start, 1),
        round(machines.cpu_seconds() - cpu, 1),
        round(_children_cpu() - children, 1),
        round(load, 1),
    )


def _children_cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def with_cpu(phases: list[dict[str, Any]], samples: Samples) -> list[dict[str, Any]]:
    """Add to each phase the CPU seconds that the machines used in it."""
    return [
        {**phase, "machine_cpu_seconds": samples.between(phase["started"], phase["started"] + phase["seconds"])}
        for phase in phases
    ]


def part_of_site(name: str, until: str) -> Path:
    """Write a playbook with the plays of site.yml before the play ``until``, and return its path."""
    plays = yaml.safe_load((ROOT / "playbooks" / "site.yml").read_text(encoding="utf-8"))
    names = [play["name"] for play in plays]
    if until not in names:
        raise BenchmarkError(f"site.yml has no play {until}; it has: {', '.join(names)}")
    plays = plays[: names.index(until)]
    for play in plays:
        if "ansible.builtin.import_playbook" in play:
            play["ansible.builtin.import_playbook"] = str(ROOT / "playbooks" / play["ansible.builtin.import_playbook"])
    path = WORK / f"{name}.yml"
    path.write_text(yaml.safe_dump(plays, sort_keys=False), encoding="utf-8")
    return path


def bundle_directory() -> Path:
    """Where the roles look for the bundle, too."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "onprem-platform" / "bundle"


def measure_bare(lab: Lab, found: dict[str, Work]) -> None:
    """Hosts, registry and images by site.yml, the cluster by the script."""
    steps = WORK / "bare"
    with lab.machines() as machines:
        with measured(machines, found, PREPARED) as samples:
            result = lab.play("prepare", part_of_site("prepare", CLUSTER[0]))
        found[PREPARED].phases = with_cpu(result["phases"], samples)
        with measured(machines, found, BARE):
            script = str(Path(__file__).with_name("bare-cluster"))
            run("bare-cluster", [script, str(lab.state), str(bundle_directory()), str(steps)])
    for line in (steps / "steps.tsv").read_text().splitlines():
        name, seconds = line.split("\t")
        found[BARE].phases.append({"phase": name, "until": float(seconds)})


def measure_site(lab: Lab, found: dict[str, Work], until: str | None) -> int:
    """Run site.yml whole, twice; return the bytes of memory that the machines use afterwards."""
    playbook = part_of_site("site", until) if until else ROOT / "playbooks" / "site.yml"
    with lab.machines() as machines:
        for name in (SITE, SECOND):
            with measured(machines, found, name) as samples:
                result = lab.play(name.replace(" ", "-"), playbook)
            found[name].phases = with_cpu(result["phases"], samples)
        memory = machines.memory_bytes()
    if changed := {phase["phase"]: phase["changed"] for phase in found[SECOND].phases if phase["changed"]}:
        raise BenchmarkError(f"The second run of site.yml changed something: {changed}; see {WORK / 'second-run.log'}")
    return memory


def cluster_part(phases: list[dict[str, Any]], key: str) -> float:
    """Sum over the phases from the first control plane to the working network."""
    return round(sum(phase[key] for phase in phases if phase["phase"] in CLUSTER), 1)


def versions() -> dict[str, str]:
    """What was compared."""
    entries = json.loads((bundle_directory() / "index.json").read_text())["entries"]
    wanted = ("kubeadm", "containerd", "etcd", "cilium")
    found = {entry["name"]: str(entry["version"]) for entry in entries if entry["name"] in wanted}
    found["ansible-core"] = (
        output(str(Path(sys.executable).with_name("ansible")), "--version").split("]")[0].split()[-1]
    )
    return {"kernel": os.uname().release, **found}


def report(found: dict[str, Work], memory: int) -> dict[str, Any]:
    """Everything as plain data."""
    ratios: dict[str, float] = {}
    if BARE in found and SITE in found:
        site, bare = found[SITE], found[BARE]
        ratios["Seconds of the cluster"] = round(cluster_part(site.phases, "seconds") / bare.seconds, 2)
        ratios["CPU seconds of the cluster"] = round(
            cluster_part(site.phases, "machine_cpu_seconds") / bare.machine_cpu_seconds, 2
        )
    return {
        "measured": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "machine": {
            "processors": os.cpu_count(),
            "memory_bytes": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        },
        "versions": versions(),
        "work": {name: asdict(work) for name, work in found.items()},
        "lab_memory_bytes": memory,
        "ratios": ratios,
    }


def tables(found: dict[str, Work], memory: int, ratios: dict[str, float]) -> tuple[str, str]:
    """The figures as Markdown: phase by phase, and of the whole."""
    runs = [found.get(name) for name in (PREPARED, SITE, SECOND)]
    order = {phase["phase"]: None for work in runs if work for phase in work.phases}
    by_name = [{phase["phase"]: phase for phase in work.phases} if work else {} for work in runs]
    head = ["", "bare script, s", "CPU-s", "site.yml, s", "CPU-s", "host tasks", "second run, s", "CPU-s"]
    lines = [head]

    def cells(phases: list[dict[str, Any]]) -> list[str]:
        prepared, first, second = phases
        return [
            _number(prepared.get("seconds")), _number(prepared.get("machine_cpu_seconds")),
            _number(first.get("seconds")), _number(first.get("machine_cpu_seconds")), str(first.get("tasks", "")),
            _number(second.get("seconds")), _number(second.get("machine_cpu_seconds")),
        ]  # fmt: skip

    for name in order:
        lines.append([name, *cells([phases.get(name, {}) for phases in by_name])])
        if name == CLUSTER[-1]:
            sums = [
                {key: cluster_part(work.phases, key) for key in ("seconds", "machine_cpu_seconds")} if work else {}
                for work in runs
            ]
            bare = found.get(BARE)
            sums[0] = {"seconds": bare.seconds, "machine_cpu_seconds": bare.machine_cpu_seconds} if bare else {}
            lines.append([f"*cluster: {CLUSTER[0]} .. {CLUSTER[-1]}*", *cells(sums)])
    totals = [
        {"seconds": work.seconds, "machine_cpu_seconds": work.machine_cpu_seconds} if work else {} for work in runs
    ]
    totals[0] = {}
    if runs[1]:
        totals[1]["tasks"] = sum(phase["tasks"] for phase in runs[1].phases)
    lines.append(["**whole run**", *cells(totals)])
    whole = [["", "seconds", "CPU-s of the machines", "CPU-s of the controller", "load average before"]]
    whole += [
        [name, *map(_number, (work.seconds, work.machine_cpu_seconds, work.controller_cpu_seconds, work.load_before))]
        for name, work in found.items()
    ]
    said = [f"{name}, site.yml by the bare script: {value:.2f}." for name, value in ratios.items()]
    if memory:
        said.append(f"The machines hold {memory / 2**30:.1f} GiB of memory after the second run.")
    return page.rows(*lines), "\n\n".join([page.rows(*whole), " ".join(said)])


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description="site.yml beside a bare script, measured in one run")
    parser.add_argument("--only", choices=["bare", "site"], help="one side alone, for development")
    parser.add_argument("--until", metavar="PLAY", help="stop site.yml before this play, for development")
    parser.add_argument("--output", type=Path, default=ROOT / ".build" / "benchmark.json")
    page.add_option(parser)
    options = parser.parse_args()
    if options.publish and (options.only or options.until):
        sys.exit("A part of the figures cannot be published.")
    if os.geteuid() != 0:
        sys.exit("The lab's machines are containers with own networks: run this as root.")
    if not (bundle_directory() / "index.json").exists():
        sys.exit(f"There is no bundle in {bundle_directory()}. Fill it first: make bundle")
    # The machines are removed at the end of this process, also when it is asked to end early.
    signal.signal(signal.SIGTERM, lambda *_arguments: sys.exit("The benchmark was stopped."))
    WORK.mkdir(parents=True, exist_ok=True)
    found: dict[str, Work] = {}
    memory, conditions = 0, page.conditions()
    lab = Lab()
    try:
        if options.only != "site":
            measure_bare(lab, found)
        if options.only != "bare":
            memory = measure_site(lab, found, options.until)
    except BenchmarkError as error:
        sys.exit(str(error))
    result = report(found, memory)
    options.output.write_text(f"{json.dumps(result, indent=2)}\n", encoding="utf-8")
    shown = tables(found, memory, result["ratios"])
    print("\n\n".join(shown))
    if options.publish:
        page.publish("site", conditions, *shown)


if __name__ == "__main__":
    main()
