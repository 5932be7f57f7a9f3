# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wrong input on six bare machines: one clear message with cause and remedy, and no machine is changed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.onprem.platform.tests.faults.platform_lab import BUNDLE, ROOT, Outcome, PlatformLab


@pytest.fixture(scope="module")
def lab(laboratory: Callable[[str], PlatformLab]) -> PlatformLab:
    """Six bare machines, which the plan's test uses afterwards."""
    return laboratory("plan")


@pytest.fixture(scope="module")
def bare(lab: PlatformLab) -> dict[str, dict[str, Any]]:
    """The machines as they were before any of these tests."""
    return lab.fingerprint()


def refused(lab: PlatformLab, bare: dict[str, Any], *options: str, **extra: Any) -> str:
    """Run site.yml, expect that it fails once without a change, and return its message."""
    done = lab.play("site", *options, extra=extra)
    assert_refused(lab, bare, done)
    return done.failures()[0]["message"]


def assert_refused(lab: PlatformLab, bare: dict[str, Any], done: Outcome) -> None:
    """Expect exactly one failure, no change, and machines as before."""
    assert done.code != 0, done.tail()
    assert len(done.failures()) == 1, [(one["host"], one["message"]) for one in done.failures()]
    assert "Traceback" not in done.output
    assert done.changes() == []
    assert lab.fingerprint() == bare


def add(lab: PlatformLab, name: str, content: dict[str, Any]) -> Path:
    """Add a file to the inventory. Groups of all files are merged; of variables, the last file's hold."""
    path = lab.inventory / f"{name}.yml"
    path.write_text(json.dumps(content))
    return path


def test_duplicate_node_name(lab: PlatformLab, bare: dict[str, Any]) -> None:
    file = add(lab, "zz", {"worker": {"hosts": {"w2": {"kubernetes_node_name": "w1"}}}})
    try:
        message = refused(lab, bare)
    finally:
        file.unlink()
    assert "w1 w2: node name w1" in message and "kubernetes_node_name" in message


def test_duplicate_host_name(lab: PlatformLab, bare: dict[str, Any]) -> None:
    lab.ssh("w2", "hostname w1")
    try:
        message = refused(lab, bare)
    finally:
        lab.ssh("w2", "hostname w2")
    assert "w1 w2: host name w1" in message and "hostnamectl set-hostname" in message


def test_even_number_of_control_planes(lab: PlatformLab, bare: dict[str, Any]) -> None:
    state = lab.state / "lab.json"
    good = state.read_text()
    facts = json.loads(good)
    next(node for node in facts["nodes"] if node["name"] == "cp3")["group"] = "worker"
    state.write_text(json.dumps(facts))
    try:
        message = refused(lab, bare)
    finally:
        state.write_text(good)
    assert "2 control planes" in message and "1, 3 or 5" in message and "add or remove a host" in message


def test_no_control_plane(lab: PlatformLab, bare: dict[str, Any]) -> None:
    state = lab.state / "lab.json"
    good = state.read_text()
    facts = json.loads(good)
    for node in facts["nodes"]:
        node["group"] = "worker"
    state.write_text(json.dumps(facts))
    try:
        message = refused(lab, bare)
    finally:
        state.write_text(good)
    assert "group control_plane" in message and "inventory" in message


def test_no_machine_at_all(lab: PlatformLab, bare: dict[str, Any]) -> None:
    """The inventory of a lab that was not made, or a wrong path after -i."""
    state = lab.state / "lab.json"
    aside = state.with_suffix(".aside")
    state.rename(aside)
    try:
        done = lab.play("site")
    finally:
        aside.rename(state)
    assert_refused(lab, bare, done)
    assert "group control_plane" in done.failures()[0]["message"]


@pytest.mark.parametrize(
    ("variable", "network", "words"),
    [
        ("platform_pod_cidr", "10.96.0.0/12", ("pods 10.96.0.0/12 overlap services 10.96.0.0/16", "do not overlap")),
        ("platform_pod_cidr", "172.30.0.0/16", ("overlaps platform_pod_cidr", "choose another platform_pod_cidr")),
    ],
)
def test_overlapping_networks(
    lab: PlatformLab, bare: dict[str, Any], variable: str, network: str, words: tuple[str, ...]
) -> None:
    message = refused(lab, bare, **{variable: network})
    assert all(word in message for word in words), message


def free_address(lab: PlatformLab) -> str:
    """Return an address of the lab's network at which nobody answers."""
    first = json.loads((lab.state / "lab.json").read_text())["nodes"][0]["address"]
    return f"{first.rpartition('.')[0]}.99"


@pytest.mark.parametrize(("host", "group"), [("ghost", "worker"), ("cp2", "control_plane")])
def test_unreachable_host(lab: PlatformLab, bare: dict[str, Any], host: str, group: str) -> None:
    """The lock of a control plane is asked for first; it leaves this message to preflight."""
    variables = {"ansible_host": free_address(lab), "ansible_ssh_timeout": 3}
    file = add(lab, "zz", {group: {"hosts": {host: variables}}})
    try:
        done = lab.play("site")
    finally:
        file.unlink()
    failed = [one for one in done.failures() if one["outcome"] == "failed"]
    assert done.code != 0 and len(failed) == 1, done.tail()
    assert f"{host}:" in failed[0]["message"] and "check address, SSH key" in failed[0]["message"]
    assert "Traceback" not in done.output
    assert done.changes() == [] and lab.fingerprint() == bare


@pytest.fixture
def damaged_bundle(tmp_path: Path) -> Path:
    """The bundle with one flipped byte in the container runtime; everything else is the real one."""
    for entry in BUNDLE.iterdir():
        if entry.name == "files":
            (tmp_path / "files").mkdir()
            for file in entry.iterdir():
                (tmp_path / "files" / file.name).symlink_to(file)
        elif entry.is_dir():
            (tmp_path / entry.name).symlink_to(entry)
        else:
            shutil.copy2(entry, tmp_path / entry.name)
    target = tmp_path / "files" / "runc"
    content = bytearray(target.read_bytes())
    content[len(content) // 2] ^= 1
    target.unlink()
    target.write_bytes(content)
    return tmp_path


def test_wrong_checksum_in_the_bundle(lab: PlatformLab, bare: dict[str, Any], damaged_bundle: Path) -> None:
    message = refused(lab, bare, platform_bundle_directory=str(damaged_bundle))
    assert "files/runc: its sha256 is not" in message and "fill the bundle again" in message


def test_unknown_value(lab: PlatformLab, bare: dict[str, Any]) -> None:
    message = refused(lab, bare, network_cni="ciliun")
    assert (
        "network_cni must be one of: cilium, none, got: ciliun" in message and "correct it in the inventory" in message
    )


def test_unknown_variable(lab: PlatformLab, bare: dict[str, Any]) -> None:
    message = refused(lab, bare, node_sysctls={})
    assert "variable node_sysctls" in message and "did you mean node_sysctl?" in message


def test_repository_is_used_as_it_is() -> None:
    """The tests above run the playbooks of this checkout, not an installed collection."""
    assert (ROOT / ".build/collections/ansible_collections/onprem/platform").resolve() == ROOT
