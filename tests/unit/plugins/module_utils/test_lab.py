# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The pure parts of the lab: names, subnets, arguments, plan, firewall, recipe."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.onprem.platform.plugins.module_utils import _lab as lab

SETTINGS = lab.Settings("onprem-lab-0a1b2c", "localhost/node:1", "ssh-ed25519 AAAA lab", "/usr/sbin/runc", 20000, 8192)
NETWORK = lab.Network("onprem-lab-0a1b2c", "172.30.7.0/24", "podman3")


def test_plan_creates_what_is_missing_and_starts_what_has_stopped() -> None:
    steps = lab.plan("present", ["cp1", "w1", "w2"], {"cp1": True, "w1": False})
    assert steps == lab.Plan(remove=[], create=["w2"], start=["w1"])


def test_plan_of_a_complete_lab_is_empty() -> None:
    assert lab.plan("present", ["cp1", "w1"], {"w1": True, "cp1": True}) == lab.Plan()


def test_plan_makes_named_machines_anew() -> None:
    steps = lab.plan("present", ["cp1", "w1", "w2"], {"cp1": True, "w1": False}, recreate=["w1", "w2"])
    assert steps == lab.Plan(remove=["w1"], create=["w1", "w2"], start=[])


def test_plan_refuses_to_recreate_an_unknown_machine() -> None:
    with pytest.raises(lab.LabError, match=r"cannot recreate w9: the lab has only cp1"):
        lab.plan("present", ["cp1"], {}, recreate=["w9"])


def test_plan_never_removes_machines_on_the_side() -> None:
    with pytest.raises(lab.LabError, match=r"already has cp2, cp3, .*lab_state=absent"):
        lab.plan("present", ["cp1"], {"cp1": True, "cp3": True, "cp2": True})


def test_plan_of_removal_takes_all_machines() -> None:
    assert lab.plan("absent", [], {"w1": False, "cp1": True}).remove == ["cp1", "w1"]
    assert lab.plan("absent", [], {}) == lab.Plan()


def test_subnet_follows_from_the_name() -> None:
    chosen = lab.choose_subnet("onprem-lab-aaaaaa", "172.30.0.0/16", [])
    assert chosen == lab.choose_subnet("onprem-lab-aaaaaa", "172.30.0.0/16", ["10.88.0.0/16", "192.0.2.0/24"])
    assert chosen != lab.choose_subnet("onprem-lab-bbbbbb", "172.30.0.0/16", [])


def test_subnet_in_use_is_passed_over() -> None:
    first = lab.choose_subnet("onprem-lab-aaaaaa", "172.30.0.0/22", [])
    second = lab.choose_subnet("onprem-lab-aaaaaa", "172.30.0.0/22", [first])
    third = lab.choose_subnet("onprem-lab-aaaaaa", "172.30.0.0/22", [first, second.replace("0/24", "128/25")])
    assert len({first, second, third}) == 3


def test_no_subnet_free_names_the_remedy() -> None:
    with pytest.raises(lab.LabError, match="lab_subnet_pool"):
        lab.choose_subnet("onprem-lab-aaaaaa", "172.30.0.0/16", ["172.16.0.0/12"])


def test_addresses_follow_from_the_number() -> None:
    assert (NETWORK.address(1), NETWORK.address(11)) == ("172.30.7.1", "172.30.7.11")


def test_run_arguments_make_a_machine() -> None:
    arguments = lab.run_arguments(SETTINGS, NETWORK, "cp1", 11)
    text = " ".join(arguments)
    for expected in (
        "--name onprem-lab-0a1b2c-cp1 --hostname cp1 --label onprem.platform.lab=onprem-lab-0a1b2c",
        "--network onprem-lab-0a1b2c --ip 172.30.7.11 --mac-address 02:00:ac:1e:07:0b",
        "--privileged --systemd=false --cgroupns=private --env container=podman --stop-signal SIGRTMIN+3",
        "--ulimit nofile=20000:20000 --ulimit nproc=8192:8192",
        "--volume onprem-lab-0a1b2c-cp1-var:/var:suid,exec,dev",
        "--tmpfs /run",
        "--no-hosts",
    ):
        assert expected in text
    assert arguments[0] == "run"
    assert arguments[-1] == "localhost/node:1"
    assert "LAB_AUTHORIZED_KEY=ssh-ed25519 AAAA lab" in arguments


def test_firewall_closes_both_ways_and_keeps_the_host_in_control() -> None:
    rules = lab.firewall_rules("onprem-lab-0a1b2c", "podman3")
    assert rules.startswith("table inet onprem-lab-0a1b2c {\n")
    assert 'iifname "podman3" oifname != "podman3" reject' in rules
    assert 'iifname != "podman3" oifname "podman3" reject' in rules
    lines = [line.strip() for line in rules.partition("chain input")[2].splitlines()]
    assert lines.index("ct state established,related accept") < lines.index("reject with icmpx admin-prohibited")


def test_recipe_digest_sees_content_mode_name_and_settings(tmp_path: Path) -> None:
    script = tmp_path / "customize"
    script.write_text("one")
    script.chmod(0o644)
    seen = {lab.recipe_digest(tmp_path, "bookworm")}
    assert lab.recipe_digest(tmp_path, "bookworm") in seen
    seen.add(lab.recipe_digest(tmp_path, "trixie"))
    script.write_text("two")
    seen.add(lab.recipe_digest(tmp_path, "bookworm"))
    script.chmod(0o755)
    seen.add(lab.recipe_digest(tmp_path, "bookworm"))
    script.rename(tmp_path / "other")
    seen.add(lab.recipe_digest(tmp_path, "bookworm"))
    assert len(seen) == 5
    assert all(len(digest) == 12 for digest in seen)


@pytest.mark.parametrize("name", ["", "Lab", "-lab", "lab-", "lab_1", "a/b", "1lab", "x" * 41, "lab\n"])
def test_names_that_tools_would_not_take_are_refused(name: str) -> None:
    assert lab.NAME_PATTERN.fullmatch(name) is None


def test_a_missing_tool_is_one_clear_message() -> None:
    with pytest.raises(lab.LabError, match="no-such-tool is not installed"):
        lab.run_tool("no-such-tool")


def test_a_failing_tool_is_quoted() -> None:
    with pytest.raises(lab.LabError, match="No such file"):
        lab.run_tool("ls", "/no/such/directory")


def test_kernel_settings_that_a_kernel_lacks_are_left_out() -> None:
    found = lab.kernel_settings({"kernel.pid_max": 1, "kernel.no_such_setting": 1})
    assert list(found) == ["kernel.pid_max"]


@pytest.mark.parametrize("content", ["", "ssh-rsa AAAA", "root:x:0:0"])
def test_a_host_key_of_another_form_is_refused(content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "key.pub"
    file.write_text(content)
    monkeypatch.setattr(lab, "Path", lambda _path: file)
    with pytest.raises(lab.LabError, match="holds no ed25519 key"):
        lab.host_key(1)
