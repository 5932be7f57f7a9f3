# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One way through site.yml, broken by SIGKILL again and again: each repetition goes on, and the last one is done.

The tests depend on each other and run in the order of this file. Logs: ``.build/faults/kill/logs``.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest

from ansible_collections.onprem.platform.tests.faults.platform_lab import NODES, Outcome, PlatformLab, Run

INSTALL = "Bring the node's programs, settings and units to the wanted state"
INITIALISE = "Initialise the first control plane, and fetch images on hosts that join later"
JOIN = "Join, control planes in turn and workers beside them"
INITIALISE_VAULT = "Initialise Vault, keys into the key file"
UNSEAL_VAULT = "Unseal every server"


@pytest.fixture(scope="module")
def lab(laboratory: Callable[[str], PlatformLab]) -> PlatformLab:
    """Six bare machines."""
    return laboratory("kill")


def finished(run: Run, task: str) -> list[str]:
    """Return the hosts on which a task has ended."""
    return [
        one["host"]
        for one in run.events()
        if one["event"] == "result" and one["task"].endswith(task) and one["outcome"] == "ok"
    ]


def begun(run: Run, task: str) -> bool:
    """Return whether a task has begun; of an unknown name nothing ever begins or ends."""
    return any(one["event"] == "task" and one["task"].endswith(task) for one in run.events())


def volumes(lab: PlatformLab) -> dict[str, str]:
    """Return the identities of Vault's volumes."""
    claims = lab.objects("persistentvolumeclaims", "-n", "vault")
    return {one["metadata"]["name"]: one["metadata"]["uid"] for one in claims}


def credentials(lab: PlatformLab) -> list[str]:
    """Return the names of Secrets by which a node could join."""
    names = [one["metadata"]["name"] for one in lab.objects("secrets", "-n", "kube-system")]
    return [name for name in names if name.startswith("bootstrap-token-") or name == "kubeadm-certs"]


def assert_same_volumes_deleted_none(before: dict[str, str], after: dict[str, str]) -> None:
    """Expect that no volume was touched."""
    assert before and after == before


def test_killed_while_containerd_is_installed(lab: PlatformLab) -> None:
    run = lab.start("site")
    run.until_task(INSTALL)
    installed = lab.when("cp1", "[ -e /usr/local/bin/containerd ]")
    run.until(installed, "containerd was on cp1")
    run.kill()
    assert len(finished(run, INSTALL)) < len(NODES), "killed too late"


def test_killed_during_kubeadm_init(lab: PlatformLab) -> None:
    """What the killed run started on cp1 goes on there; the next run waits for its end and judges then."""
    initialising = lab.when("cp1", "ps -C kubeadm -o args= | grep -q ' *kubeadm init '")
    run = lab.start("site")
    run.until(initialising, "kubeadm init ran on cp1")
    run.kill()
    task = "Initialise the first control plane, and fetch images on hosts that join later"
    assert "cp1" not in finished(run, task)


def test_killed_during_the_join_of_the_second_control_plane(lab: PlatformLab) -> None:
    joining = lab.when("cp2", "ps -C kubeadm -o args= | grep -q ' *kubeadm join '")
    run = lab.start("site")
    run.until(joining, "kubeadm join ran on cp2")
    run.kill()
    assert begun(run, JOIN) and "cp2" not in finished(run, JOIN), "killed too late"
    assert credentials(lab), "a killed run cannot revoke what it minted: the next one has to"


def test_killed_before_vault_was_asked_for_keys(lab: PlatformLab) -> None:
    run = lab.start("site")
    run.until_task(INITIALISE_VAULT)
    run.kill()
    assert credentials(lab) == [], "the repeated run revoked what the killed one left"
    assert lab.vault_status()["initialized"] is False, "killed too late"
    assert not lab.key_file.exists()


def start_and_kill_when_the_keys_are_written(lab: PlatformLab) -> None:
    """Run until Vault's answer is in the file, and not further."""
    run = lab.start("site")
    run.until(lambda: lab.key_file.exists() and lab.key_file.stat().st_size > 0, "the keys were written")
    run.kill()
    assert finished(run, UNSEAL_VAULT) == [], "killed too late"
    assert lab.vault_status()["initialized"] is True
    assert lab.vault_status()["sealed"] is True
    assert len(json.loads(lab.key_file.read_text())["keys_base64"]) == 5


def test_killed_after_the_keys_were_written(lab: PlatformLab) -> None:
    start_and_kill_when_the_keys_are_written(lab)


def test_keys_that_never_reached_the_file_stop_the_run_with_the_remedy(lab: PlatformLab) -> None:
    """Killed between Vault's answer and the file: the cluster is initialised and sealed, and the file empty."""
    before = volumes(lab)
    lab.key_file.write_text("")
    done = lab.play("site", extra={"vault_recreate_when_keys_lost": False})
    assert done.code != 0
    message = done.failures()[-1]["message"]
    assert "is initialised and sealed, but" in message and "holds no keys" in message
    assert "vault_recreate_when_keys_lost=true" in message and "put the key file back" in message
    assert_same_volumes_deleted_none(before, volumes(lab))
    assert lab.key_file.read_text() == ""


def test_lost_keys_may_cost_the_data_where_allowed(lab: PlatformLab) -> None:
    """The role starts Vault again with fresh volumes; killed once more as soon as the new keys are written."""
    before = volumes(lab)
    start_and_kill_when_the_keys_are_written(lab)
    after = volumes(lab)
    assert set(after) == set(before) and not set(after.values()) & set(before.values())


@pytest.fixture(scope="module")
def converged(lab: PlatformLab) -> Outcome:
    """The run that nobody kills."""
    return lab.play("site")


def test_repeated_run_converges(converged: Outcome, lab: PlatformLab) -> None:
    assert converged.code == 0, converged.tail()
    assert lab.unready() == []
    assert lab.voters() == ["cp1", "cp2", "cp3"]
    assert lab.vault_status()["sealed"] is False


def test_nothing_of_the_killed_runs_remains(converged: Outcome, lab: PlatformLab) -> None:
    assert credentials(lab) == []
    for node in NODES:
        deadline = time.monotonic() + 30
        # The keeper of the last run's lease sees the run's end within a second.
        while lab.ssh(node, "ls /run/onprem-platform/*.lock.json 2>/dev/null", check=False):
            assert time.monotonic() < deadline, f"{node} still has a lease"
            time.sleep(0.5)
        assert lab.ssh(node, "ps -C kubeadm -o args= || true") == ""
        # Free for whoever comes next: the file stays, the lock on it does not.
        lab.ssh(
            node,
            "test ! -e /run/onprem-platform/kubeadm.lock || flock --nonblock /run/onprem-platform/kubeadm.lock true",
        )
        assert lab.ssh(node, "ls -A ~/.ansible/onprem-platform 2>/dev/null", check=False) == ""
    assert sorted(path.name for path in lab.key_file.parent.glob(".vault-keys.json.*")) == []


def test_second_run_changes_nothing(converged: Outcome, lab: PlatformLab) -> None:
    done = lab.play("site")
    assert done.code == 0, done.tail()
    assert done.changes() == []


def test_reset_cluster_comes_up_again(converged: Outcome, lab: PlatformLab) -> None:
    """`reset.yml` takes the cluster off, Cilium's mounts and links included, and stands in no later run's way."""
    keys = lab.key_file.read_text()
    done = lab.play("reset", extra={"reset_confirmed": True})
    assert done.code == 0, done.tail()
    for node in NODES:
        left = "find /etc/kubernetes/manifests /var/lib/etcd /run/cilium -mindepth 1 2>/dev/null"
        assert lab.ssh(node, left, check=False) == ""
        assert lab.ssh(node, "ip -oneline link | grep cilium", check=False) == ""
    aside = list(lab.key_file.parent.glob(f"{lab.key_file.name}.*"))
    assert [path.read_text() for path in aside] == [keys]
    again = lab.play("site")
    assert again.code == 0, again.tail()
    assert lab.unready() == []
    assert lab.vault_status()["sealed"] is False
