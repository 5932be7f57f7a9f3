# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock on a real machine of the lab: refused while held, gone after a kill, taken over when stale."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PLAYBOOK = """
- name: Lock
  hosts: cp1
  become: true
  gather_facts: false
  tasks:
    - name: Take
      onprem.platform.run_lock:
        name: test
    - name: Work
      ansible.builtin.command: sleep {seconds}
      delegate_to: localhost
      changed_when: false
"""
LEASE = "/run/onprem-platform/test.lock.json"


@pytest.fixture(scope="module", autouse=True)
def _machines() -> None:
    """Have the machines of this checkout's lab."""
    playbook = str(Path(sys.executable).with_name("ansible-playbook"))
    subprocess.run([playbook, "-i", "inventories/lab", "playbooks/lab.yml"], cwd=ROOT, check=True)


def command(directory: Path, seconds: int) -> list[str]:
    """Return the command of a run that holds the lock for some seconds."""
    playbook = directory / f"lock-{seconds}.yml"
    playbook.write_text(PLAYBOOK.format(seconds=seconds))
    return [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "inventories/lab", str(playbook)]


def on_node(text: str) -> subprocess.CompletedProcess[str]:
    """Run a command on the node."""
    return subprocess.run(
        ["ssh", "-F", str(ROOT / ".lab" / "ssh_config"), "cp1", text], capture_output=True, text=True, check=False
    )


def wait_for_lease(present: bool) -> None:
    """Wait at most 20 seconds until the lease is there, or gone."""
    for _attempt in range(100):
        if (on_node(f"test -e {LEASE}").returncode == 0) is present:
            return
        time.sleep(0.2)
    pytest.fail(f"The lease is {'missing' if present else 'still there'} after 20 seconds.")


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A run that holds the lock."""
    process = subprocess.Popen(
        command(tmp_path, 60), cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    wait_for_lease(True)
    yield process
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    wait_for_lease(False)


def run(directory: Path) -> subprocess.CompletedProcess[str]:
    """Run with the lock for no time."""
    return subprocess.run(command(directory, 0), cwd=ROOT, capture_output=True, text=True, check=False)


def test_second_run_stops_and_names_the_holder(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    result = run(tmp_path)
    assert result.returncode != 0
    assert "Another run holds the lock 'test'" in result.stdout
    assert f"process {holder.pid}" in result.stdout


def test_killed_run_leaves_no_lock(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    os.killpg(holder.pid, signal.SIGKILL)
    holder.wait()
    wait_for_lease(False)
    result = run(tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr


def test_lease_that_nobody_renews_ends(tmp_path: Path) -> None:
    stale = {
        "who": "ada@elsewhere", "controller": "other", "pid": 1, "run": "1-1", "lease_seconds": 30,
        "since": time.time() - 100, "renewed": time.time() - 40,
    }  # fmt: skip
    on_node(f"mkdir -p /run/onprem-platform; echo '{json.dumps(stale)}' > {LEASE}")
    result = run(tmp_path)
    assert result.returncode == 0, result.stdout
    wait_for_lease(False)


def test_fresh_lease_of_a_dead_run_is_taken_over_by_its_controller_only(tmp_path: Path) -> None:
    machine = Path("/etc/machine-id").read_text().strip()
    now = time.time()
    lease = {"who": "ada@here", "pid": 1, "run": "999999-1", "lease_seconds": 30, "since": now, "renewed": now}
    for controller, code in (("other", 2), (machine, 0)):
        on_node(f"mkdir -p /run/onprem-platform; echo '{json.dumps({**lease, 'controller': controller})}' > {LEASE}")
        assert run(tmp_path).returncode == code
    wait_for_lease(False)
