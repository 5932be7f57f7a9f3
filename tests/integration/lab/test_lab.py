# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real lab of its own (three machines), from nothing to nothing. Needs root, podman and runc."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
PODMAN = ("podman", "--runtime", "/usr/sbin/runc", "--network-backend", "netavark")
OUTSIDE = "198.51.100.2"  # RFC 5737; a name space on this host plays the internet

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="machines need root")


def tool(*arguments: str, check: bool = True) -> str:
    """Run a command and return what it printed."""
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=120, check=False)
    assert not check or done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
    return done.stdout if check else done.stdout + done.stderr


class Lab:
    """The test's lab: an inventory directory of its own, and therefore an own name, network and key."""

    def __init__(self, directory: Path) -> None:
        self.inventory = directory / "inventories" / "lab"
        self.state = directory / ".lab"
        shutil.copytree(ROOT / "inventories" / "lab", self.inventory)

    def play(self, *options: str, succeed: bool = True) -> tuple[int, str]:
        """Run lab.yml; return the number of changes and the output."""
        command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(self.inventory)]
        command += [str(ROOT / "playbooks" / "lab.yml"), "-e", "lab_profile=quick", *options]
        environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=600, env=environment, cwd=ROOT, check=False
        )
        assert (done.returncode == 0) is succeed, done.stdout + done.stderr
        return int(re.findall(r"changed=(\d+)", done.stdout)[-1]), done.stdout

    def facts(self) -> dict[str, Any]:
        """Return the state file."""
        return dict(json.loads((self.state / "lab.json").read_text()))

    def ssh(self, node: str, command: str, check: bool = True) -> str:
        """Run a command on a machine as a user would."""
        return tool("ssh", "-F", str(self.state / "ssh_config"), node, command, check=check)

    def connect(self, node: str, address: str, port: int) -> str:
        """Return ``open`` or the error and seconds of a TCP connection made on ``node``."""
        program = (
            "import socket,time\nstart=time.time()\n"
            f"try: socket.create_connection(('{address}',{port}),5); print('open')\n"
            "except OSError as error: print(type(error).__name__, error.errno, int(time.time()-start))\n"
        )
        return self.ssh(node, f'python3 -c "{program}"').strip()

    def ping(self) -> str:
        """Let Ansible reach all machines through the inventory plugin."""
        environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
        command = [str(Path(sys.executable).with_name("ansible")), "-i", str(self.inventory), "kubernetes"]
        command += ["-m", "ansible.builtin.ping"]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=120, env=environment, cwd=ROOT, check=False
        )
        return done.stdout + done.stderr


def leftovers(name: str) -> list[str]:
    """Return whatever on this host carries ``name``."""
    found = tool(*PODMAN, "ps", "--all", "--format", "{{.Names}}").split()
    found += tool(*PODMAN, "volume", "ls", "--quiet").split()
    found += tool(*PODMAN, "network", "ls", "--format", "{{.Name}}").split()
    found += tool("nft", "list", "tables").split()
    return [item for item in found if name in item]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Make the lab, and remove it whatever happened."""
    made = Lab(tmp_path_factory.mktemp("lab"))
    changes, output = made.play()
    assert changes >= 4
    assert "closed towards the outside" in output
    name = made.facts()["name"]
    # Named like the lab, but not made by it: has to survive.
    decoy = f"{name}-w9-var"
    tool(*PODMAN, "volume", "create", decoy)
    try:
        yield made
    finally:
        made.play("-e", "lab_state=absent")
        left = leftovers(name)
        tool(*PODMAN, "volume", "rm", decoy, check=False)
    assert left == [decoy]
    assert not made.state.exists()
    assert made.play("-e", "lab_state=absent")[0] == 0


@pytest.fixture
def outside(lab: Lab) -> Iterator[str]:
    """Start a web server beyond this host and return its address."""
    space = f"{lab.facts()['name']}-out"
    tool("ip", "netns", "add", space)
    try:
        tool("ip", "link", "add", "labout0", "type", "veth", "peer", "name", "labout1", "netns", space)
        tool("ip", "address", "add", "198.51.100.1/24", "dev", "labout0")
        tool("ip", "link", "set", "labout0", "up")
        for arguments in (["address", "add", f"{OUTSIDE}/24", "dev", "labout1"], ["link", "set", "labout1", "up"]):
            tool("ip", "-n", space, *arguments)
        server = subprocess.Popen(
            ["ip", "netns", "exec", space, sys.executable, "-m", "http.server", "8099", "--bind", OUTSIDE],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=lab.inventory,
        )  # fmt: skip
        try:
            deadline = time.monotonic() + 20
            while True:
                try:
                    http.client.HTTPConnection(OUTSIDE, 8099, timeout=2).request("GET", "/")
                    break
                except OSError:
                    assert time.monotonic() < deadline, "the server beyond the host does not start"
                    time.sleep(0.1)
            yield OUTSIDE
        finally:
            server.terminate()
            server.wait()
    finally:
        tool("ip", "netns", "delete", space)


def test_second_run_changes_nothing(lab: Lab) -> None:
    assert lab.play()[0] == 0
    assert lab.play("--check", "--diff")[0] == 0


def test_inventory_reaches_all_machines(lab: Lab) -> None:
    answer = lab.ping()
    assert answer.count("SUCCESS") == 3, answer
    assert [node["group"] for node in lab.facts()["nodes"]] == ["control_plane", "worker", "worker"]


def test_machines_are_individuals_and_healthy(lab: Lab) -> None:
    seen = {
        lab.ssh(node, "hostname; cat /etc/machine-id /var/lib/dbus/machine-id; systemctl is-system-running")
        for node in ("cp1", "w1", "w2")
    }
    assert len(seen) == 3
    assert len({text.split()[1] for text in seen}) == 3
    for text in seen:
        _hostname, own, dbus, state = text.split()
        assert (own, state) == (dbus, "running")


def test_state_files_are_private(lab: Lab) -> None:
    assert lab.state.stat().st_mode & 0o077 == 0
    assert (lab.state / "id_ed25519").stat().st_mode & 0o177 == 0


def test_nothing_gets_out_and_the_firewall_is_repaired(lab: Lab, outside: str) -> None:
    facts = lab.facts()
    neighbour = facts["nodes"][1]["address"]
    assert lab.connect("cp1", neighbour, 22) == "open"
    assert lab.connect("cp1", outside, 8099) == "OSError 113 0"
    assert lab.connect("cp1", "198.51.100.1", 22) == "OSError 113 0"
    assert lab.connect("cp1", facts["network"]["gateway"], 22) == "OSError 113 0"

    tool("nft", "delete", "table", "inet", facts["name"])
    assert lab.connect("cp1", outside, 8099) == "open"
    assert lab.play()[0] == 1
    assert lab.connect("cp1", outside, 8099) == "OSError 113 0"


def test_a_stopped_machine_is_started_and_has_its_journal(lab: Lab) -> None:
    lab.ssh(
        "w1",
        "echo before the stop | systemd-cat -t labtest;"
        "until journalctl -q -t labtest | grep -q before; do sleep 0.1; done; journalctl --sync",
    )
    tool(*PODMAN, "stop", "--time", "10", lab.facts()["nodes"][1]["container"])
    assert lab.play()[0] == 1
    assert "before the stop" in lab.ssh("w1", "journalctl -q -o cat -t labtest")
    assert "SystemMaxUse=64M" in lab.ssh("w1", "systemd-analyze cat-config systemd/journald.conf")
    assert lab.ping().count("SUCCESS") == 3


def test_a_recreated_machine_is_fresh_and_reached_at_once(lab: Lab) -> None:
    lab.ping()  # leaves a shared SSH connection to the old machine behind
    old = {node["name"]: node["host_key"] for node in lab.facts()["nodes"]}
    lab.ssh("w2", "touch /var/lib/mark")
    lab.play("-e", "lab_recreate=w2")
    new = {node["name"]: node["host_key"] for node in lab.facts()["nodes"]}
    assert [name for name in old if old[name] != new[name]] == ["w2"]
    answer = lab.ping()
    assert answer.count("SUCCESS") == 3, answer
    assert "No such file" in lab.ssh("w2", "ls /var/lib/mark", check=False)


def test_a_smaller_lab_is_refused(lab: Lab) -> None:
    nodes = '{"lab_nodes": [{"name": "cp1", "number": 11, "group": "control_plane"}]}'
    _changes, output = lab.play("-e", nodes, succeed=False)
    assert "already has w1, w2" in output
    assert lab.ping().count("SUCCESS") == 3


def test_a_directory_of_another_name_is_refused(lab: Lab) -> None:
    _changes, output = lab.play("-e", "lab_state=absent", "-e", "lab_directory=/tmp", succeed=False)
    assert 'must be an absolute path whose name ends in ".lab"' in output
