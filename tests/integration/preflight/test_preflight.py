# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Preflight on real machines: a good site passes; every fault is one line of the table, and no machine is changed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]

pytestmark = [pytest.mark.long, pytest.mark.skipif(os.geteuid() != 0, reason="machines need root")]


class Lab:
    """Three machines of this test's own."""

    def __init__(self, directory: Path) -> None:
        self.inventory = directory / "inventories/lab"
        self.state = directory / ".lab"
        self.report = directory / "preflight.json"
        shutil.copytree(ROOT / "inventories/lab", self.inventory)

    def play(self, playbook: str, *options: str, extra: dict[str, Any] | None = None) -> tuple[int, str]:
        """Run a playbook; return its exit code and what it printed."""
        command = [str(Path(sys.executable).with_name("ansible-playbook")), str(ROOT / f"playbooks/{playbook}.yml")]
        command += ["-i", str(self.inventory), "-e", json.dumps(extra or {}), *options]
        environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=900, env=environment, cwd=ROOT, check=False
        )
        return done.returncode, done.stdout + done.stderr

    def preflight(self, *options: str, **extra: Any) -> tuple[int, str, set[tuple[str, str]]]:
        """Run preflight; return exit code, output, and (check, host) of its errors."""
        self.report.unlink(missing_ok=True)
        settings = {"preflight_skip": ["product_uuid", "bundle"], "preflight_report": str(self.report), **extra}
        code, output = self.play("preflight", *options, extra=settings)
        findings = json.loads(self.report.read_text())["findings"]
        return code, output, {(one["check"], one["host"]) for one in findings if one["severity"] == "error"}

    def ssh(self, node: str, command: str) -> str:
        """Run a command on a machine."""
        argv = ["ssh", "-F", str(self.state / "ssh_config"), node, command]
        return subprocess.run(argv, capture_output=True, text=True, timeout=120, check=True).stdout

    def address(self, node: str) -> str:
        """Address of a machine."""
        return self.ssh(node, "hostname -I").split()[0]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The machines, from nothing to nothing."""
    lab = Lab(tmp_path_factory.mktemp("preflight"))
    try:
        code, output = lab.play("lab", extra={"lab_profile": "quick"})
        assert code == 0, output
        yield lab
    finally:
        lab.play("lab", extra={"lab_profile": "quick", "lab_state": "absent"})


def written_since(lab: Lab, node: str) -> str:
    """Files that were written after the marker, except what any login and any running system writes."""
    return lab.ssh(node, "find /etc /usr /opt /root /var/lib /home -xdev -type f -newer /run/marker")


def test_good_site_passes_in_check_mode_too(lab: Lab) -> None:
    for options in ([], ["--check"]):
        code, output, errors = lab.preflight(*options)
        assert (code, errors) == (0, set()), output
        assert json.loads(lab.report.read_text())["not_run"] == []
    for node in ("cp1", "w1", "w2"):
        # No listener stays: only the SSH server has a socket.
        listening = lab.ssh(node, "grep -h ' 0A ' /proc/net/tcp | awk '{print $2}'").split()
        assert [socket for socket in listening if not socket.endswith(":0016")] == []


def test_faults_of_hosts_and_inventory_are_all_in_one_table(lab: Lab) -> None:
    ghost = lab.inventory / "ghost.yml"
    ghost.write_text("worker:\n  hosts:\n    ghost:\n      ansible_host: 192.0.2.99\n      ansible_ssh_timeout: 3\n")
    lab.ssh("w2", f"echo {lab.ssh('w1', 'cat /etc/machine-id').strip()} > /etc/machine-id")
    lab.ssh("w1", f"ip route add unreachable {lab.address('w2')}/32")
    lab.ssh("cp1", "setsid python3 -m http.server 6443 >/dev/null 2>&1 </dev/null & sleep 1")
    for node in ("cp1", "w1", "w2"):
        lab.ssh(node, "touch /run/marker")
    code, output, errors = lab.preflight(
        node_sysctls={}, preflight_bundle_verify="quick", network_cni="none", platform_pod_cidr="172.30.0.0/16"
    )
    assert code != 0
    checks = {name for name, _host in errors}
    assert checks == {"reachable", "machine_id", "mesh", "ports", "variable_names", "cidr"}, output
    assert ("machine_id", "w1 w2") in errors
    assert ("reachable", "ghost") in errors
    assert "did you mean node_sysctl?" in output
    assert "nothing was changed" in output
    assert all(written_since(lab, node) == "" for node in ("cp1", "w1", "w2"))
    ghost.unlink()
    lab.ssh("w1", f"ip route del unreachable {lab.address('w2')}/32")


def test_even_number_of_control_planes(lab: Lab) -> None:
    more = lab.inventory / "more.yml"
    more.write_text("control_plane:\n  hosts:\n    w1:\n")
    code, output, errors = lab.preflight(preflight_skip=["product_uuid", "bundle", "machine_id", "ports", "mesh"])
    more.unlink()
    assert code != 0
    assert ("control_plane_count", "") in errors, output


def test_wrong_value_and_wrong_checksum(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files/runc").write_bytes(b"damaged")
    entry = {"kind": "file", "name": "runc", "version": "v1", "path": "files/runc", "artefact": "runc"}
    entry.update(sha256="0" * 64, size=7, producer="source")
    (tmp_path / "index.json").write_text(json.dumps({"schema": 1, "platform": "linux/amd64", "entries": [entry]}))
    code, output, errors = lab.preflight(
        preflight_skip=["product_uuid", "machine_id", "ports", "mesh"],
        platform_bundle_directory=str(tmp_path),
        network_cni="weave",
    )
    assert code != 0
    assert errors == {("variable_values", "all hosts"), ("bundle", "")}, output
    assert "must be one of" in output.replace("\n", " ")
