# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""host_config on a host whose file system is a temporary directory."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import os
import stat
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.onprem.platform.plugins.module_utils import _host, _host_packages
from ansible_collections.onprem.platform.plugins.modules import host_config

OWN = {"owner": str(os.geteuid()), "group": str(os.getegid())}
SECRET = "canary-e4a1c1d8"
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nTUlJQg==\n-----END CERTIFICATE-----\n"


class Machine:
    """A root directory, the commands that were run, and answers for them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.commands: list[list[str]] = []
        self.installed: dict[str, str] = {}
        self.units: dict[str, dict[str, str]] = {}
        self.without_process: set[str] = set()

    def write(self, path: str, text: str) -> None:
        place = self.root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)

    def read(self, path: str) -> str:
        return (self.root / path.lstrip("/")).read_text()

    def answer(self, argv: list[str]) -> tuple[int, str]:
        """What the commands of a Debian host would say, and their effect on this machine."""
        self.commands.append(argv)
        if argv[0] == "dpkg-query":
            lines = [f"{name}\tii \t{version}" for name, version in self.installed.items() if name in argv]
            return 1, "\n".join(lines)
        if argv[:2] == ["dpkg", "--compare-versions"]:
            return (0 if argv[2] < argv[4] else 1), ""
        if argv[0] == "dpkg":
            assert (self.root / "usr/sbin/policy-rc.d").exists(), "services must not be started by packages"
            self.installed.update({Path(file).stem: "2.0" for file in argv if file.endswith(".deb")})
        if argv[0] == "update-ca-certificates":
            self.write("/etc/ssl/certs/ca-certificates.crt", CERTIFICATE)
        if argv[:2] == ["systemctl", "show"]:
            names = argv[argv.index("--") + 1 :]
            blocks = ["\n".join(f"{key}={value}" for key, value in self.unit(name).items()) for name in names]
            return 0, "\n\n".join(blocks)
        if argv[0] == "systemctl":
            self.control(argv)
        return 0, ""

    def unit(self, name: str) -> dict[str, str]:
        absent = {
            "LoadState": "not-found",
            "ActiveState": "inactive",
            "UnitFileState": "",
            "NeedDaemonReload": "no",
            "ExecMainStartTimestamp": "n/a",
            "ActiveEnterTimestamp": "n/a",
            "StateChangeTimestamp": "n/a",
        }
        if (self.root / f"etc/systemd/system/{name}").exists():
            absent["LoadState"] = "loaded"
        shown = {"Id": name, **absent, **self.units.get(name, {})}
        return {key: shown[key] for key in shown if key != "ExecMainStartTimestamp" or name not in self.without_process}

    def control(self, argv: list[str]) -> None:
        for name in argv[3:]:
            state = self.units.setdefault(name, {})
            if argv[1] in ("enable", "disable"):
                state["UnitFileState"] = f"{argv[1]}d"
            if argv[1] in ("start", "restart"):
                state.update(ActiveState="active", ExecMainStartTimestamp="Fri 2100-01-01 00:00:00.000001 UTC")
            if argv[1] == "stop":
                state["ActiveState"] = "inactive"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """The host of the test; the module acts on it instead of on this computer."""
    machine = Machine(tmp_path / "root")
    machine.root.mkdir()
    machine.write("/var/lib/dpkg/lock-frontend", "")
    (machine.root / "run").mkdir()
    machine.write("/etc/os-release", 'ID=debian\nVERSION_ID="12"\n')

    def run(self: _host.Host, argv: list[str], accept: Any = (0,), environment: Any = None) -> _host.CommandResult:
        code, output = machine.answer(list(argv))
        assert code in accept
        return _host.CommandResult(code, output, "")

    monkeypatch.setattr(_host.Host, "run", run)
    monkeypatch.setattr(host_config, "Host", functools.partial(_host.Host, str(machine.root)))
    # Ownership of root cannot be given by an unprivileged test run.
    for name in ("fchown", "chown"):
        original = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, _o=original, **k: _o(*a, **k) if os.geteuid() == 0 else None)
    return machine


Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(run_module: Run, machine: Machine) -> Run:
    return functools.partial(run_module, host_config.main)


def changed(result: dict[str, Any]) -> dict[str, str]:
    assert not result.get("failed"), result
    return {item["name"]: item["action"] for item in result["results"] if item["changed"]}


def test_missing_argument(run: Run) -> None:
    assert "path" in run({"files": [{"content": "x"}]})["msg"]
    assert "give 'content' or 'src'" in run({"files": [{"path": "/etc/x"}]})["msg"]


@pytest.mark.parametrize("path", ["etc/x", "/etc/../x", "/etc//x", "/etc/x/", "/"])
def test_refuses_unclear_paths(run: Run, path: str) -> None:
    assert "not a usable path" in run({"files": [{"path": path, "content": "x"}]})["msg"]


def test_file_life(run: Run, machine: Machine) -> None:
    wanted = {"files": [{"path": "/etc/example/a.conf", "content": "one\n", "mode": "0640", **OWN}]}
    assert changed(run(wanted, check=True)) == {"/etc/example/a.conf": "create"}
    assert not (machine.root / "etc/example").exists()
    result = run(wanted)
    assert changed(result) == {"/etc/example/a.conf": "create"}
    assert result["diff"][0]["after"] == "one\n"
    place = machine.root / "etc/example/a.conf"
    assert stat.S_IMODE(place.stat().st_mode) == 0o640
    assert changed(run(wanted)) == {}
    wanted["files"][0]["content"] = "two\n"
    result = run(wanted, check=True)
    assert changed(result) == {"/etc/example/a.conf": "update"}
    assert (result["diff"][0]["before"], result["diff"][0]["after"]) == ("one\n", "two\n")
    assert place.read_text() == "one\n"
    run(wanted)
    assert changed(run(wanted)) == {}
    place.chmod(0o666)
    assert changed(run(wanted)) == {"/etc/example/a.conf": "attributes"}
    assert stat.S_IMODE(place.stat().st_mode) == 0o640
    remove = {"absent": ["/etc/example/a.conf"]}
    assert changed(run(remove, check=True)) == {"/etc/example/a.conf": "remove"}
    assert place.exists()
    assert changed(run(remove)) == {"/etc/example/a.conf": "remove"}
    assert changed(run(remove)) == {}


def test_kept_file_is_written_once(run: Run, machine: Machine) -> None:
    wanted = {"files": [{"path": "/etc/first.conf", "content": "first\n", "replace": False, **OWN}]}
    assert changed(run(wanted)) == {"/etc/first.conf": "create"}
    machine.write("/etc/first.conf", "of somebody else\n")
    assert changed(run(wanted)) == {}
    assert machine.read("/etc/first.conf") == "of somebody else\n"


def test_link_at_the_target_is_replaced_and_not_followed(run: Run, machine: Machine) -> None:
    machine.write("/etc/victim", "untouched")
    (machine.root / "etc/a").symlink_to("victim")
    assert changed(run({"files": [{"path": "/etc/a", "content": "new", **OWN}]})) == {"/etc/a": "update"}
    assert machine.read("/etc/victim") == "untouched"
    assert not (machine.root / "etc/a").is_symlink()


def test_leftover_of_a_killed_run_is_no_obstacle(run: Run, machine: Machine) -> None:
    machine.write("/etc/.a.onprem-platform", "half of")
    run({"files": [{"path": "/etc/a", "content": "whole", **OWN}]})
    assert machine.read("/etc/a") == "whole"
    assert not (machine.root / "etc/.a.onprem-platform").exists()


def test_sensitive_content_stays_out_of_the_result(run: Run, machine: Machine) -> None:
    machine.write("/etc/key", f"old {SECRET}")
    payload = base64.b64encode(zlib.compress(json.dumps({"files:/etc/key": f"new {SECRET}"}).encode())).decode()
    result = run({"files": [{"path": "/etc/key", "mode": "0600", "sensitive": True, **OWN}], "_payload": payload})
    assert changed(result) == {"/etc/key": "update"}
    assert machine.read("/etc/key") == f"new {SECRET}"
    text = json.dumps(result)
    assert SECRET not in text
    assert payload not in text


def test_binary_is_asked_for_then_placed(run: Run, machine: Machine, tmp_path: Path) -> None:
    data = b"\0binary" * 1000
    sha256 = hashlib.sha256(data).hexdigest()
    item = {"path": "/usr/local/bin/tool", "src": "/x", "sha256": sha256, "size": len(data), "mode": "0755", **OWN}
    assert changed(run({"files": [item]}, check=True)) == {"/usr/local/bin/tool": "create"}
    first = run({"files": [item]})
    assert first["needed"] == [sha256]
    assert first["changed"] is False
    staging = tmp_path / "staging"
    staging.mkdir()
    (staging / sha256).write_bytes(b"something else")
    wrong = run({"files": [item], "_staging_directory": str(staging)})
    assert "renew the bundle" in wrong["msg"]
    assert not (machine.root / "usr/local/bin/tool").exists()
    assert not staging.exists(), "uploads do not pile up"
    staging.mkdir()
    (staging / sha256).write_bytes(data)
    result = run({"files": [item], "_staging_directory": str(staging)})
    assert changed(result) == {"/usr/local/bin/tool": "create"}
    assert sha256 in result["diff"][0]["after"]
    assert (machine.root / "usr/local/bin/tool").read_bytes() == data
    again = run({"files": [item]})
    assert "needed" not in again
    assert changed(again) == {}


def test_directories_and_links(run: Run, machine: Machine) -> None:
    wanted = {
        "directories": [{"path": "/var/lib/a/b", "mode": "0700", **OWN}],
        "links": [{"path": "/etc/current", "target": "../var/lib/a"}],
    }
    assert changed(run(wanted, check=True)) == {"/var/lib/a/b": "create", "/etc/current": "create"}
    assert changed(run(wanted)) == {"/var/lib/a/b": "create", "/etc/current": "create"}
    assert stat.S_IMODE((machine.root / "var/lib/a/b").stat().st_mode) == 0o700
    assert changed(run(wanted)) == {}
    wanted["links"][0]["target"] = "elsewhere"
    assert changed(run(wanted)) == {"/etc/current": "update"}
    assert os.readlink(machine.root / "etc/current") == "elsewhere"


@pytest.mark.parametrize("path", ["/etc", "/usr", "/data"])
def test_absent_refuses_directories_of_the_system(run: Run, path: str) -> None:
    assert "is not removed" in run({"absent": [path]})["msg"]


def test_hosts_entries_keep_the_rest(run: Run, machine: Machine) -> None:
    machine.write("/etc/hosts", "127.0.0.1 localhost\n")
    wanted = {"hosts_entries": [{"address": "192.0.2.1", "names": ["a.example", "a"]}]}
    assert changed(run(wanted, check=True)) == {"onprem.platform": "create"}
    run(wanted)
    assert machine.read("/etc/hosts").startswith(
        "127.0.0.1 localhost\n# BEGIN onprem.platform\n192.0.2.1 a.example a\n"
    )
    assert changed(run(wanted)) == {}
    wanted["hosts_entries"][0]["address"] = "192.0.2.2"
    assert changed(run(wanted)) == {"onprem.platform": "update"}
    assert machine.read("/etc/hosts").count("BEGIN") == 1
    assert "192.0.2.1" not in machine.read("/etc/hosts")


@pytest.mark.parametrize("entry", [{"address": "1.2.3", "names": ["a"]}, {"address": "192.0.2.1", "names": ["a b\nc"]}])
def test_hosts_entries_are_checked(run: Run, entry: dict[str, Any]) -> None:
    assert "hosts entry" in run({"hosts_entries": [entry]})["msg"]


def test_sysctl(run: Run, machine: Machine) -> None:
    machine.write("/proc/sys/net/ipv4/ip_forward", "0\n")
    machine.write("/proc/sys/net/ipv4/conf/eth0.1/rp_filter", "2\n")
    wanted: dict[str, Any] = {
        "sysctl": {"net.ipv4.ip_forward": 1, "net.ipv4.conf.eth0/1.rp_filter": 2, "net.absent.key": "5"}
    }
    assert "net.absent.key does not exist" in run(wanted)["msg"]
    wanted["sysctl_optional"] = ["net.absent.key"]
    machine.write("/proc/sys/net/ipv4/ip_forward", "0\n")
    result = run(wanted)
    assert changed(result) == {"net.ipv4.ip_forward": "set", "/etc/sysctl.d/90-onprem-platform.conf": "create"}
    assert machine.read("/proc/sys/net/ipv4/ip_forward") == "1"
    assert "-net.absent.key = 5\n" in machine.read("/etc/sysctl.d/90-onprem-platform.conf")
    assert {item["name"] for item in result["results"] if item["action"] == "not available"} == {"net.absent.key"}
    assert changed(run(wanted)) == {}
    machine.write("/proc/sys/net/ipv4/ip_forward", "0\n")
    assert changed(run(wanted, check=True)) == {"net.ipv4.ip_forward": "set"}


def test_kernel_modules(run: Run, machine: Machine) -> None:
    machine.write("/proc/filesystems", "nodev\tsysfs\nnodev\toverlay\n")
    wanted = {"kernel_modules": ["overlay"], "kernel_modules_optional": ["br_netfilter"]}
    assert changed(run(wanted))["br_netfilter"] == "load"
    assert [command for command in machine.commands if command[0] == "modprobe"] == [["modprobe", "--", "br_netfilter"]]
    assert machine.read("/etc/modules-load.d/onprem-platform.conf") == "overlay\nbr_netfilter\n"
    (machine.root / "sys/module/br_netfilter").mkdir(parents=True)
    assert changed(run(wanted)) == {}


def test_packages(run: Run, machine: Machine, tmp_path: Path) -> None:
    data = b"!<arch>\n"
    sha256 = hashlib.sha256(data).hexdigest()
    item = {"name": "tool", "version": "2.0", "src": "/x", "sha256": sha256, "size": 8, "distribution": "debian-12"}
    assert changed(run({"packages": [item]}, check=True)) == {"tool": "install"}
    assert run({"packages": [item]})["needed"] == [sha256]
    machine.write("/usr/sbin/policy-rc.d", _host_packages.POLICY_TEXT)  # left by a run that was killed
    staging = tmp_path / "staging"
    staging.mkdir()
    (staging / sha256).write_bytes(data)
    result = run({"packages": [item], "_staging_directory": str(staging)})
    assert changed(result) == {"tool": "install"}
    assert not (machine.root / "usr/sbin/policy-rc.d").exists()
    assert changed(run({"packages": [item]})) == {}
    machine.installed["tool"] = "3.0"
    assert changed(run({"packages": [item]})) == {}
    machine.installed["tool"] = "1.0"
    assert run({"packages": [item]})["needed"] == [sha256]


def test_packages_of_another_distribution(run: Run, machine: Machine) -> None:
    item = {"name": "tool", "version": "2.0", "src": "/x", "sha256": "0" * 64, "size": 8, "distribution": "debian-13"}
    assert "install it from the distribution's mirror" in run({"packages": [item]})["msg"]
    machine.installed["tool"] = "1.0"
    assert changed(run({"packages": [item]})) == {}


def test_trust_anchor_is_completed_after_a_kill(run: Run, machine: Machine) -> None:
    wanted = {"trust_anchors": [{"name": "platform", "content": CERTIFICATE}]}
    assert "/etc/ssl/certs/ca-certificates.crt" in changed(run(wanted, check=True))
    run(wanted)
    assert ["update-ca-certificates"] in machine.commands
    assert changed(run(wanted)) == {}
    (machine.root / "etc/ssl/certs/ca-certificates.crt").unlink()
    assert changed(run(wanted)) == {"/etc/ssl/certs/ca-certificates.crt": "update"}


def test_unit_life(run: Run, machine: Machine) -> None:
    unit = "/etc/systemd/system/tool.service"
    wanted: dict[str, Any] = {
        "files": [{"path": unit, "content": "[Service]\n", **OWN}],
        "units": [{"name": "tool.service", "enabled": True, "state": "started", "restart_on": [unit, "/etc/tool"]}],
    }
    predicted = changed(run(wanted, check=True))
    assert predicted["tool.service"] == "start"
    assert not [command for command in machine.commands if command[1] in ("start", "enable")]
    assert changed(run(wanted))["tool.service"] == "start"
    verbs = [command[1] for command in machine.commands if command[0] == "systemctl"]
    assert verbs.index("daemon-reload") < verbs.index("enable") < verbs.index("start")
    assert changed(run(wanted)) == {}
    wanted["files"][0]["content"] = "[Service]\nNice=1\n"
    assert changed(run(wanted))["tool.service"] == "restart"
    assert changed(run(wanted)) == {}
    # Killed after writing the file, before the restart: the unit is older than its file.
    machine.write("/etc/tool", "new")
    machine.units["tool.service"]["ExecMainStartTimestamp"] = "Sat 2000-01-01 00:00:00.000001 UTC"
    assert changed(run(wanted)) == {"tool.service": "restart"}
    assert changed(run(wanted)) == {}
    stop = {"units": [{"name": "tool.service", "enabled": False, "state": "stopped"}]}
    assert changed(run(stop)) == {"tool.service": "stop"}
    assert changed(run(stop)) == {}


def test_a_unit_without_a_process_is_restarted_too(run: Run, machine: Machine) -> None:
    """systemctl shows no ExecMainStartTimestamp of a timer."""
    machine.write("/etc/systemd/system/tool.timer", "[Timer]\n")
    machine.without_process.add("tool.timer")
    timer = {"name": "tool.timer", "enabled": True, "state": "started", "restart_on": ["/etc/tool"]}
    assert changed(run({"units": [timer]}))["tool.timer"] == "start"
    assert changed(run({"units": [timer]})) == {}
    machine.write("/etc/tool", "new")
    machine.units["tool.timer"]["ActiveEnterTimestamp"] = "Sat 2000-01-01 00:00:00.000001 UTC"
    assert changed(run({"units": [timer]})) == {"tool.timer": "restart"}


def test_masked_unit_is_refused(run: Run, machine: Machine) -> None:
    machine.units["tool.service"] = {"UnitFileState": "masked", "LoadState": "masked"}
    assert "masked" in run({"units": [{"name": "tool.service", "enabled": True}]})["msg"]


def test_refused_permission_is_one_message(run: Run, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: Any, **_kwargs: Any) -> int:
        raise PermissionError(13, "Permission denied", "/etc/a")

    monkeypatch.setattr(os, "open", refuse)
    assert "Permission denied" in run({"files": [{"path": "/etc/a", "content": "x", **OWN}]})["msg"]


def test_waits_for_a_module_that_still_runs(machine: Machine) -> None:
    path = str(machine.root / "run/lock")
    with _host.exclusive(path, "this"):
        child = os.fork()
        if not child:
            try:
                with _host.exclusive(path, "this", 0.3):
                    os._exit(1)
            except _host.HostError:
                os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    with _host.exclusive(path, "this", 0.3):
        pass
