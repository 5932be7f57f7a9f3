# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each check: nothing on a good site, its own finding when one thing is wrong."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.onprem.platform.plugins.plugin_utils import _preflight as subject
from ansible_collections.onprem.platform.plugins.plugin_utils import _preflight_checks as checks

GIB = 1 << 30


def facts(number: int) -> dict[str, Any]:
    address = f"192.0.2.{number}"
    return {
        "os": {
            "distribution": "debian",
            "version": "12",
            "name": "Debian 12",
            "kernel": "6.1.0-40-amd64",
            "architecture": "x86_64",
            "python": "3.11.2",
            "systemd": True,
            "root": True,
        },
        "capacity": {
            "processors": 4,
            "memory": 8 * GIB,
            "disks": [{"path": "/var/lib/containerd", "device": 1, "free": 50 * GIB, "size": 100 * GIB}],
        },
        "identity": {"hostname": f"n{number}", "machine_id": f"m{number}", "product_uuid": f"u{number}"},
        "network": {
            "addresses": [{"interface": "eth0", "address": address, "prefix": 24}],
            "interfaces": {"eth0": {"mac": f"02:00:00:00:00:0{number}", "mtu": 1500}},
            "routes": [{"destination": "0.0.0.0/0", "interface": "eth0"}],
            "nameservers": ["198.51.100.53"],
            "upstream": [],
        },
        "clock": {"epoch": 1.8e9, "synchronised": True, "controller_difference": 0.0},
        "swap": {"active": [], "sources": []},
        "cgroup": 2,
        "kernel_features": {"CONFIG_VXLAN": "m"},
        "ports": {"used": {"6443/tcp": "kube-apiserver"}, "listening": [], "reachable": ["6443/tcp"], "refused": {}},
        "remains": {"files": [], "authority_sha256": "aa", "cni": [], "other": []},
        "certificates": [{"path": "/etc/kubernetes/pki/a.crt", "days_left": 300.0, "lifetime_days": 365.0}],
        "firewalls": [],
        "address": address,
        "sync_milliseconds": 2.0,
    }


@pytest.fixture
def site(tmp_path: Path) -> subject.Site:
    """Three good hosts and a good bundle."""
    data = b"\0runc"
    (tmp_path / "files").mkdir()
    (tmp_path / "files/runc").write_bytes(data)
    entry = {"kind": "file", "name": "runc", "version": "v1", "path": "files/runc", "artefact": "runc"}
    entry.update(sha256=hashlib.sha256(data).hexdigest(), size=len(data), producer="source")
    (tmp_path / "index.json").write_text(json.dumps({"schema": 1, "platform": "linux/amd64", "entries": [entry]}))
    minimum = {"processors": 2, "memory_gib": 2, "free_gib": {"/var/lib/containerd": 10}}
    settings = {
        "prefixes": ["node", "network"],
        "platform_name": "onprem",
        "platform_domain": "platform.internal",
        "platform_pod_cidr": "10.244.0.0/16",
        "platform_service_cidr": "10.96.0.0/16",
        "platform_dns_service_ip": "10.96.0.10",
        "bundle_directory": str(tmp_path),
        "bundle_verify": "quick",
        "bundle_required": ["file/runc"],
        "minimum": {"control_plane": minimum, "worker": minimum},
        "clock_skew_seconds": 2,
        "certificate_error_days": 7,
        "certificate_warning_days": 21,
        "disk_latency_milliseconds": 10,
    }
    machines = []
    for number in (1, 2, 3):
        machine = subject.Machine(f"n{number}", True, facts(number), variables={"node_sysctl": {}})
        others = [f"n{other}" for other in (1, 2, 3)]
        machine.mesh = [{"host": name, "refused": {}, "offset": 0.001, "path_mtu": 1500} for name in others]
        machines.append(machine)
    known = {"node_sysctl": "node", "network_cni": "network"}
    return subject.Site(machines, settings, ["n1", "n2", "n3"], known)


def found(site: subject.Site, *skip: str) -> set[tuple[str, str, str]]:
    return {(one.host, one.check, one.severity) for one in subject.evaluate(site, skip)}


def test_good_site(site: subject.Site) -> None:
    assert subject.evaluate(site, []) == []
    assert site.not_run == []


def _set(path: str, value: Any) -> Callable[[subject.Site], None]:
    def change(site: subject.Site) -> None:
        place: Any = site.machines[1].facts
        *parents, last = path.split(".")
        for name in parents:
            place = place[int(name)] if isinstance(place, list) else place[name]
        place[last] = value

    return change


def _setting(name: str, value: Any) -> Callable[[subject.Site], None]:
    def change(site: subject.Site) -> None:
        site.settings = {**site.settings, name: value}

    return change


def _mesh(key: str, value: Any) -> Callable[[subject.Site], None]:
    def change(site: subject.Site) -> None:
        for entry in site.machines[1].mesh or []:
            entry[key] = value

    return change


def _variable(name: str, value: Any) -> Callable[[subject.Site], None]:
    def change(site: subject.Site) -> None:
        site.machines[1].variables[name] = value

    return change


def _unreachable(site: subject.Site) -> None:
    site.machines[1].facts, site.machines[1].message = None, "Connection timed out"


def _renamed(site: subject.Site) -> None:
    site.machines[1].name = "Node_2"
    _set("identity.hostname", "Node_2")(site)


CASES = [
    (_unreachable, "n2", "reachable", "error"),
    (_renamed, "Node_2", "names", "error"),
    (_setting("platform_domain", "Platform"), "", "names", "error"),
    (_variable("kubernetes_node_name", "n1"), "n1 n2", "names", "error"),
    (_variable("node_sysctls", {}), "n2", "variable_names", "error"),
    (_setting("platform_pod_cidr", "10.244.0.1/16"), "", "cidr", "error"),
    (_setting("platform_pod_cidr", "10.96.0.0/12"), "", "cidr", "error"),
    (_setting("platform_dns_service_ip", "10.97.0.10"), "", "cidr", "error"),
    (_setting("platform_pod_cidr", "192.0.0.0/16"), "all hosts", "cidr", "error"),
    (_set("network.nameservers", ["10.96.0.53"]), "n2", "cidr", "error"),
    (_setting("bundle_directory", "/nonexistent"), "", "bundle", "error"),
    (_setting("bundle_required", ["file/kubelet"]), "", "bundle", "error"),
    (_set("os.root", False), "n2", "privileges", "error"),
    (_set("os.version", "11"), "n2", "operating_system", "error"),
    (_set("os.version", "13"), "n2", "operating_system", "warning"),
    (_set("os.architecture", "aarch64"), "n2", "operating_system", "error"),
    (_set("os.systemd", False), "n2", "operating_system", "error"),
    (_set("os.kernel", "5.10.0"), "n2", "kernel", "error"),
    (_set("os.python", "3.8.1"), "n2", "kernel", "error"),
    (_set("kernel_features", {"CONFIG_VXLAN": "n"}), "n2", "kernel_features", "error"),
    (_set("capacity.processors", 1), "n2", "capacity", "error"),
    (_set("capacity.memory", GIB), "n2", "capacity", "error"),
    (_set("capacity.disks.0.free", GIB), "n2", "capacity", "error"),
    (_set("swap.active", ["/dev/sda2"]), "n2", "swap", "error"),
    (_set("swap.sources", ["/etc/fstab: x"]), "n2", "swap", "warning"),
    (_set("cgroup", 1), "n2", "cgroup", "error"),
    (_set("network.nameservers", ["127.0.0.53"]), "n2", "resolver", "error"),
    (_set("network.nameservers", []), "n2", "resolver", "warning"),
    (_set("network.nameservers", ["198.51.100.1"] * 4), "n2", "resolver", "warning"),
    (_set("ports.used", {"6443/tcp": "nginx"}), "n2", "ports", "error"),
    (_set("ports.refused", {"6443/tcp": "Cannot assign requested address"}), "n2", "ports", "error"),
    (_set("remains.other", ["K3s"]), "n2", "remains", "error"),
    (_set("remains.authority_sha256", "bb"), "n2", "remains", "error"),
    (_set("certificates.0.days_left", 3.0), "n2", "certificates", "error"),
    (_set("certificates.0.days_left", 15.0), "n2", "certificates", "warning"),
    (_set("firewalls", ["ufw.service"]), "n2", "firewall", "warning"),
    (_set("sync_milliseconds", 40.0), "n2", "disk_latency", "warning"),
    (_set("identity.hostname", "other"), "n2", "hostname", "warning"),
    (_set("address", "192.0.2.9"), "n2", "ip_address", "error"),
    (_set("clock.controller_difference", -90.0), "n2", "clock", "error"),
    (_set("clock.synchronised", False), "n2", "clock", "warning"),
    (_mesh("offset", 94.0), "n2", "clock", "error"),
    (_mesh("refused", {"2379/tcp": "Connection refused"}), "n2", "mesh", "error"),
    (_mesh("path_mtu", 0), "n2", "mtu", "error"),
    (_set("network.interfaces.eth0.mtu", 1400), "n2", "mtu", "warning"),
]


@pytest.mark.parametrize(("change", "host", "check", "severity"), CASES)
def test_one_fault_is_found_and_can_be_skipped(
    site: subject.Site, change: Callable[[subject.Site], None], host: str, check: str, severity: str
) -> None:
    change(site)
    result = found(site)
    assert result == {(host, check, severity)}
    assert found(site, check) == set()


@pytest.mark.parametrize(
    ("path", "check"),
    [
        ("identity.hostname", "hostname"),
        ("identity.machine_id", "machine_id"),
        ("identity.product_uuid", "product_uuid"),
        ("network.interfaces.eth0.mac", "mac_address"),
        ("network.addresses.0.address", "ip_address"),
    ],
)
def test_duplicates_name_both_hosts(site: subject.Site, path: str, check: str) -> None:
    value: Any = site.machines[0].facts
    for name in path.split("."):
        value = value[int(name)] if isinstance(value, list) else value[name]
    _set(path, value)(site)
    assert ("n1 n2", check, "error") in found(site)


def test_every_check_has_a_case() -> None:
    others = {"control_plane_count", "variable_values", "machine_id", "product_uuid", "mac_address"}
    assert {case[2] for case in CASES} | others == set(subject.CHECKS)
    assert checks.reachable.__doc__


def test_even_number_of_control_planes(site: subject.Site) -> None:
    site.control_planes = ["n1", "n2"]
    assert ("", "control_plane_count", "error") in found(site)


def test_inventory_can_allow_cgroup_1_and_swap(site: subject.Site) -> None:
    _set("cgroup", 1)(site)
    _set("swap.active", ["/dev/sda2"])(site)
    _variable("kubernetes_kubelet_configuration", {"failCgroupV1": False, "failSwapOn": False})(site)
    assert found(site) == set()


def test_unknown_variable_suggests_the_nearest(site: subject.Site) -> None:
    _variable("network_cnj", "cilium")(site)
    assert [one.fix for one in subject.evaluate(site, [])] == ["did you mean network_cni?"]


def test_renewable_certificate_does_not_stop_the_run(site: subject.Site) -> None:
    registry = {"path": "/etc/onprem-platform/pki/registry.crt", "days_left": 1.0, "lifetime_days": 90.0}
    _set("certificates", [registry])(site)
    assert found(site) == {("n2", "certificates", "warning")}


def test_who_renews_a_certificate_is_said(site: subject.Site) -> None:
    ours = {"path": "/etc/onprem-platform/pki/registry.crt", "days_left": 15.0, "lifetime_days": 90.0}
    by_kubeadm = {"path": "/etc/kubernetes/pki/apiserver.crt", "days_left": 15.0, "lifetime_days": 365.0}
    _set("certificates", [ours, by_kubeadm])(site)
    fixes = {one.fix.partition(",")[0]: one.severity for one in subject.evaluate(site, [])}
    assert fixes == {"renewed by the run": "warning", "renew it: kubeadm certs renew all": "warning"}


def test_wrong_checksum_of_the_bundle(site: subject.Site) -> None:
    path = Path(str(site.settings["bundle_directory"])) / "files/runc"
    path.write_bytes(b"\0ruNc")
    message = [one.found for one in subject.evaluate(site, [])]
    assert len(message) == 1
    assert "its sha256 is not" in message[0]


def test_damaged_image_layer(site: subject.Site, tmp_path: Path) -> None:
    blobs = tmp_path / "images/blobs/sha256"
    blobs.mkdir(parents=True)
    layer, config = b"layer", b"{}"
    descriptors = [{"digest": f"sha256:{hashlib.sha256(x).hexdigest()}", "size": len(x)} for x in (layer, config)]
    manifest = json.dumps({"config": descriptors[1], "layers": [descriptors[0]]}).encode()
    for blob in (layer, config, manifest):
        (blobs / hashlib.sha256(blob).hexdigest()).write_bytes(blob)
    digest = f"sha256:{hashlib.sha256(manifest).hexdigest()}"
    index = json.loads((tmp_path / "index.json").read_text())
    image = {"kind": "image", "name": "pause", "version": "3", "repository": "pause", "tag": "3", "digest": digest}
    index["entries"].append({**image, "artefact": "pause", "path": "images"})
    (tmp_path / "index.json").write_text(json.dumps(index))
    assert found(site) == set()
    (blobs / hashlib.sha256(layer).hexdigest()).write_bytes(b"shorter"[:3])
    assert found(site) == {("", "bundle", "error")}


def test_unknown_name_in_skip(site: subject.Site) -> None:
    assert found(site, "mtuu") == {("", "preflight_skip", "error")}


def test_what_could_not_run_is_said(site: subject.Site) -> None:
    site.machines[1].mesh = None
    _set("kernel_features", {"CONFIG_VXLAN": "unknown"})(site)
    assert subject.evaluate(site, []) == []
    assert {host for host, _why in site.not_run} == {"n2"}
    assert len(site.not_run) == 2


def test_table_shows_everything_and_errors_first(site: subject.Site) -> None:
    _set("clock.synchronised", False)(site)
    _set("os.root", False)(site)
    text = subject.table(subject.evaluate(site, []))
    assert text.index("privileges") < text.index("clock")
    assert "errors: 1" in text
    assert all(len(line) <= 165 for line in text.splitlines())
