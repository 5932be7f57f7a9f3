# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A six-node lab of the tests' own, runs of playbooks on it, and what can be asked about its machines.

A lab's name, network and key follow from the path of its directory, ``.build/faults/<name>``, so it meets no other lab
of the checkout, and what a killed test run left is found and removed by the next one. The logs stay there.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
BUNDLE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "onprem-platform/bundle"
PODMAN = ("podman", "--runtime", "/usr/sbin/runc", "--network-backend", "netavark")
NODES = ("cp1", "cp2", "cp3", "w1", "w2", "w3")
# What the platform writes on a host; on a bare machine nobody else writes there.
FINGERPRINT = r"""
import hashlib, json, os, subprocess
found = {}
for top in ("/etc", "/usr/local", "/var/lib/kubelet", "/var/lib/containerd", "/var/lib/etcd", "/var/lib/registry"):
    for directory, names, files in os.walk(top):
        for path in [directory] + [os.path.join(directory, name) for name in files]:
            state = os.lstat(path)
            content = ""
            if os.path.islink(path):
                content = os.readlink(path)
            elif os.path.isfile(path):
                with open(path, "rb") as file:
                    content = hashlib.sha256(file.read()).hexdigest()
            found[path] = [oct(state.st_mode), state.st_uid, state.st_gid, content]
commands = {
    "unit files": ["systemctl", "list-unit-files", "--no-legend", "--no-pager"],
    "services": ["systemctl", "list-units", "--type=service", "--all", "--no-legend", "--no-pager", "--plain"],
    "packages": ["dpkg-query", "--show", "--showformat=${Package} ${Version} ${Status}\n"],
}
for name, command in commands.items():
    lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    # Every login starts and ends these.
    logins = ("session-", "user@", "user-")
    found[name] = sorted(" ".join(line.split()[:4]) for line in lines if not line.startswith(logins))
print(json.dumps(found))
"""


def process_tree(pid: int) -> list[int]:
    """Return a process and all its descendants, whatever process group or session they are in."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, IndexError, ValueError):
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


@dataclass
class Outcome:
    """A run that has ended."""

    code: int
    output: str
    events: list[dict[str, Any]] = field(default_factory=list)

    def recap(self) -> dict[str, dict[str, int]]:
        """Return the counters of each host."""
        lines = re.findall(r"^(\S+) +: (ok=.*)$", self.output, re.MULTILINE)
        return {host: {name: int(n) for name, n in re.findall(r"(\w+)=(\d+)", text)} for host, text in lines}

    def changes(self) -> list[tuple[str, str]]:
        """Return (host, task) of everything that changed."""
        return [(one["host"], one["task"]) for one in self.results() if one["changed"]]

    def results(self) -> Iterator[dict[str, Any]]:
        """Yield the results on hosts."""
        return (one for one in self.events if one["event"] == "result")

    def failures(self) -> list[dict[str, Any]]:
        """Return the results that ended the run."""
        return [one for one in self.results() if one["outcome"] in ("failed", "unreachable")]

    def tail(self) -> str:
        """Return the end of the output, for a failed assertion."""
        return self.output[-6000:]


class Run:
    """A playbook at work."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, events: Path) -> None:
        self.process, self.log, self._events = process, log, events

    def events(self) -> list[dict[str, Any]]:
        """Return what was recorded so far."""
        if not self._events.exists():
            return []
        text = self._events.read_text(encoding="utf-8")
        return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]

    def wait(self, seconds: int = 1500) -> Outcome:
        """Wait for the end; kill the run and raise TimeoutError when it does not come."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise TimeoutError(f"The run did not end within {seconds} s: {self.log}") from None
        return Outcome(code, self.log.read_text(encoding="utf-8", errors="replace"), self.events())

    def until(self, condition: Callable[[], bool], what: str, seconds: int = 900) -> None:
        """Wait until something has come true while the run works; otherwise kill the run and raise AssertionError."""
        deadline = time.monotonic() + seconds
        try:
            while not condition():
                assert self.process.poll() is None, f"The run ended before {what}:\n{self.log.read_text()[-6000:]}"
                assert time.monotonic() < deadline, f"Not within {seconds} s: {what}; log {self.log}"
                time.sleep(0.02)
        except BaseException:
            self.kill()
            raise

    def until_task(self, name: str, seconds: int = 900) -> None:
        """Wait until a task begins."""

        def begun() -> bool:
            return any(one["event"] == "task" and one["task"].endswith(name) for one in self.events())

        self.until(begun, f"task '{name}' began", seconds)

    def kill(self) -> None:
        """SIGKILL for ansible-playbook and all that it started here. Ansible's workers have sessions of their own."""
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGSTOP)  # so that it starts nothing more
            for pid in process_tree(self.process.pid):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
        self.process.wait()


class PlatformLab:
    """The lab and the platform on it."""

    def __init__(self, name: str) -> None:
        self.directory = ROOT / ".build" / "faults" / name
        self.inventory = self.directory / "inventories" / "lab"
        self.state = self.directory / ".lab"
        self.kubeconfig = self.state / "state" / "kubeconfig"
        self.key_file = self.state / "state" / "vault-keys.json"
        self.logs = self.directory / "logs"
        self._number = 0

    # --- machines --------------------------------------------------------------------------------------------------
    def create(self) -> None:
        """Make six bare machines, in the place of any that a killed test run left."""
        if self.state.exists():
            self.destroy()
        shutil.rmtree(self.directory, ignore_errors=True)
        shutil.copytree(ROOT / "inventories" / "lab", self.inventory)
        self.logs.mkdir()
        done = self.play("lab")
        assert done.code == 0, done.tail()

    def destroy(self) -> None:
        """Remove the machines; the logs stay."""
        self.logs.mkdir(parents=True, exist_ok=True)
        done = self.play("lab", "-e", "lab_state=absent")
        assert done.code == 0, done.tail()

    def command(self, node: str, *arguments: str) -> list[str]:
        """Return the command that runs a command on a machine."""
        return ["ssh", "-F", str(self.state / "ssh_config"), node, *arguments]

    def ssh(self, node: str, text: str, program: str = "", check: bool = True) -> str:
        """Run a shell command on a machine, ``program`` on its standard input, and return what it prints."""
        done = subprocess.run(
            self.command(node, text), input=program, capture_output=True, text=True, timeout=300, check=False
        )
        assert not check or done.returncode == 0, f"{node}: {text}: {done.stdout}{done.stderr}"
        return done.stdout

    def restart(self, node: str) -> None:
        """Turn a machine off and on again; it is given ten seconds to end its services."""
        machines = json.loads((self.state / "lab.json").read_text())["nodes"]
        name = next(one["container"] for one in machines if one["name"] == node)
        subprocess.run([*PODMAN, "restart", "--time", "10", name], check=True, capture_output=True, timeout=120)

    def fingerprint(self) -> dict[str, dict[str, Any]]:
        """Return files, packages and units of each machine."""
        return {node: json.loads(self.ssh(node, "python3 -", FINGERPRINT)) for node in NODES}

    def when(self, node: str, condition: str, seconds: int = 900) -> Callable[[], bool]:
        """Watch a machine for a shell condition, closely and without a connection for each look."""
        text = f"timeout {seconds} sh -c {shlex.quote(f'until {condition}; do sleep 0.02; done')}"
        watcher = subprocess.Popen(self.command(node, text), stdin=subprocess.DEVNULL)

        def come() -> bool:
            code = watcher.poll()
            assert code in (None, 0), f"{node}: '{condition}' did not come true within {seconds} s"
            return code == 0

        return come

    # --- playbooks -------------------------------------------------------------------------------------------------
    def start(self, playbook: str, *options: str, extra: Mapping[str, Any] | None = None, core: str = "") -> Run:
        """Start a playbook with the environment of ``scripts/site``, and a recorder.

        ``core`` is the version of ansible-core, if not that of the tests: one of ``CORES`` in the Makefile.
        """
        self._number += 1
        log = self.logs / f"{self._number:02}-{playbook}.log"
        events = log.with_suffix(".jsonl")
        programs = ROOT / f".build/core-{core}/bin" if core else Path(sys.executable).parent
        command = [str(programs / "ansible-playbook"), str(ROOT / f"playbooks/{playbook}.yml")]
        command += ["-i", str(self.inventory), *options]
        if extra:
            command += ["-e", json.dumps(extra)]
        environment = {
            **os.environ,
            "PATH": f"{programs}:{os.environ['PATH']}",
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_CALLBACK_PLUGINS": str(HERE / "callback"),
            "ANSIBLE_CALLBACKS_ENABLED": "onprem.platform.phases,recorder",
            # Arguments in every result, as ansible-core before 2.21 has them: they, too, must hold no secret.
            "ANSIBLE_INJECT_INVOCATION": "1",
            "ONPREM_PHASES_OUTPUT": str(log.with_suffix(".phases.json")),
            "ONPREM_RECORDER_OUTPUT": str(events),
        }
        with log.open("wb") as output:
            process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True,
            )  # fmt: skip
        return Run(process, log, events)

    def play(self, playbook: str, *options: str, extra: Mapping[str, Any] | None = None, core: str = "") -> Outcome:
        """Run a playbook to its end."""
        return self.start(playbook, *options, extra=extra, core=core).wait()

    # --- cluster ---------------------------------------------------------------------------------------------------
    def run_kubectl(self, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
        """Run kubectl with the run's kubeconfig, ``text`` on its standard input, whatever comes of it."""
        command = [str(BUNDLE / "files/kubectl"), "--kubeconfig", str(self.kubeconfig), *arguments]
        return subprocess.run(command, input=text, capture_output=True, text=True, timeout=120, check=False)

    def kubectl(self, *arguments: str, check: bool = True, text: str = "") -> str:
        """Run kubectl likewise and return what it prints; ``check`` makes a failure an AssertionError."""
        done = self.run_kubectl(*arguments, text=text)
        assert not check or done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    def objects(self, *arguments: str) -> list[dict[str, Any]]:
        """Return the items of ``kubectl get``."""
        return list(json.loads(self.kubectl("get", *arguments, "-o", "json"))["items"])

    def vault_status(self, pod: str = "vault-0") -> dict[str, Any]:
        """Return what a server says about itself; it answers sealed or not."""
        settings = ("-format=json", "-address=https://127.0.0.1:8200", "-ca-cert=/vault/tls/ca.crt")
        command = ("-c", "vault", "--", "/bin/vault", "status", *settings)
        text = self.kubectl("exec", "-n", "vault", pod, *command, check=False)
        return dict(json.loads(text))

    def voters(self) -> list[str]:
        """Return the names of etcd's voting members."""
        text = self.ssh(
            "cp1",
            "etcdctl --cacert /etc/kubernetes/pki/etcd/ca.crt --cert /etc/kubernetes/pki/etcd/server.crt"
            " --key /etc/kubernetes/pki/etcd/server.key member list -w json",
        )
        return sorted(one["name"] for one in json.loads(text)["members"] if not one.get("isLearner"))

    def unready(self) -> list[str]:
        """Return the nodes that are missing or not Ready."""
        ready = set()
        for node in self.objects("nodes"):
            conditions = {one["type"]: one["status"] for one in node["status"]["conditions"]}
            if conditions.get("Ready") == "True":
                ready.add(node["metadata"]["name"])
        return sorted(set(NODES) - ready)
