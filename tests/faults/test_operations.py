# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done to a platform that runs: docs/operations.md is followed on the lab, and the commands of docs/git.md.

The tests run in the order of this file, before those of test_guides.py take the platform away.
"""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from ansible_collections.onprem.platform.tests.faults.observability_lab import eventually
from ansible_collections.onprem.platform.tests.faults.reader import Shell, changed, follow, followed
from ansible_collections.onprem.platform.tests.rules.commands import block_with, commands

pytestmark = pytest.mark.skipif("ONPREM_TEST_LAB" in os.environ, reason="somebody else's lab loses hosts")
PAGE = "docs/operations.md"
INVENTORY = {"inventory": "inventories/lab"}
SSH = 'ssh() { command ssh -F .lab/ssh_config "$@"; }'


def ready(shell: Shell) -> int:
    """Return how many nodes are Ready."""
    return shell.run("kubectl get nodes --no-headers").count(" Ready ")


def job_of(pod: dict[str, Any]) -> tuple[str, str]:
    """Return the name of a pod's job without its number, which is one for all runs of a CronJob, and the number."""
    job = next((one["name"] for one in pod["metadata"].get("ownerReferences", []) if one["kind"] == "Job"), "")
    name, _dash, number = job.rpartition("-")
    return name, number


def calm(shell: Shell) -> bool:
    """Whether every pod is ready or has done its work. What failed is past when a later run of its CronJob has not."""
    pods = json.loads(shell.run("kubectl get pods --all-namespaces --output=json"))["items"]
    done = [job_of(pod) for pod in pods if pod["status"]["phase"] == "Succeeded"]
    for pod in pods:
        conditions = {one["type"]: one["status"] for one in pod["status"].get("conditions", [])}
        name, number = job_of(pod)
        past = pod["status"]["phase"] == "Failed" and any(name == one and number < later for one, later in done if name)
        if not (past or pod["status"]["phase"] == "Succeeded" or conditions.get("Ready") == "True"):
            return False
    return True


def test_git(shell: Shell) -> None:
    """Without a repository of the site these are the runs that open its path, and they find nothing to do."""
    for command, output in follow(shell, commands("docs/git.md"), INVENTORY):
        assert "verify" in command or set(changed(output)) == {0}, output[-6000:]


def test_a_node_is_restarted(shell: Shell) -> None:
    state = "kubectl get node w1 --no-headers"
    shell.run(SSH)
    # The connection may end before its answer comes.
    for command, _output in follow(shell, block_with(PAGE, "kubectl drain w1"), INVENTORY, codes=(0, 255)):
        if "reboot" in command:
            # A machine of the lab stays off, as after a reboot of the host.
            eventually(lambda: "NotReady" in shell.run(state), "the node is away", 180)
            shell.run("ansible-playbook playbooks/lab.yml -i inventories/lab")
            eventually(lambda: "NotReady" not in shell.run(state), "the node is back", 300)
    eventually(lambda: calm(shell), "all pods are ready", 600, 5)


def test_a_volume_is_lost(shell: Shell) -> None:
    """The queue's, which the page says may be lost."""
    values = {"NAMESPACE": "data", "CLAIM": "data-valkey-0", "POD": "valkey-0"}
    said = dict(follow(shell, block_with(PAGE, "kubectl get pv"), values))
    assert "data-mariadb-0" in next(iter(said.values()))
    eventually(lambda: calm(shell), "all pods are ready", 600, 5)


def test_a_host_is_taken_away_and_added(shell: Shell) -> None:
    for command, _output in follow(shell, block_with(PAGE, "kubectl drain w3"), INVENTORY):
        if command == "kubectl delete node w3":
            assert ready(shell) == 5
    added = shell.run("ansible-playbook -i inventories/lab onprem.platform.site", seconds=1800)
    assert changed(added) and ready(shell) == 6
    eventually(lambda: calm(shell), "all pods are ready", 600, 5)


def test_certificates_of_a_control_plane(shell: Shell) -> None:
    """On one of them; the others have the same."""
    chosen = block_with(PAGE, "kubeadm certs check-expiration")
    typed = "\n".join(command.text for command in chosen)
    shell.run(SSH)
    shell.run(f"ssh cp1 bash -es <<'TYPED'\n{typed}\nTYPED")
    followed.update(chosen)
    eventually(lambda: calm(shell), "all pods are ready", 600, 5)


def test_new_images(shell: Shell) -> None:
    """docs/images.md is followed with the same playbook for the packages; here they stay as they are."""
    chosen = block_with(PAGE, "ansible-playbook -i inventory onprem.platform.bundle_pins")
    pins = [one for one in chosen if "bundle_pins" in one.text]
    for command, output in follow(shell, [one for one in chosen if one not in pins], INVENTORY):
        assert "verify" in command or set(changed(output)) == {0}, output[-6000:]
    followed.update(pins)
