# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading a host, from files of a made-up one and from this one."""

from __future__ import annotations

import datetime
import os
import socket
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ansible_collections.onprem.platform.plugins.module_utils import _preflight_facts as subject
from ansible_collections.onprem.platform.plugins.module_utils._host import Host


def certificate(start: datetime.datetime, end: datetime.datetime) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, start, end)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(str(tmp_path))


def write(host: Host, path: str, text: str) -> None:
    place = Path(host.path(path))
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)


@pytest.mark.parametrize("end_year", [2035, 2060])  # UTCTime and GeneralizedTime
def test_validity_of_certificates(host: Host, end_year: int) -> None:
    start = datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc)
    end = datetime.datetime(end_year, 3, 4, 5, 6, 7, tzinfo=datetime.timezone.utc)
    write(host, "/pki/a.crt", certificate(start, end).decode())
    write(host, "/pki/broken.crt", "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n")
    found = subject.certificates(host, ["/pki/*.crt", "/nothing/*"])
    assert [Path(entry["path"]).name for entry in found] == ["a.crt"]
    assert found[0]["not_after"] == end.isoformat()
    assert found[0]["lifetime_days"] == pytest.approx((end - start).total_seconds() / 86400, abs=0.1)


def test_routes(host: Host) -> None:
    header = "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n"
    default = "eth0 00000000 0100A8C0 0003 0 0 0 00000000 0 0 0\n"
    write(host, "/proc/net/route", f"{header}{default}eth0 0000A8C0 00000000 0001 0 0 0 00FFFFFF 0 0 0\n")
    found = subject.routes(host)
    assert found == [
        {"destination": "0.0.0.0/0", "interface": "eth0"},
        {"destination": "192.168.0.0/24", "interface": "eth0"},
    ]


def test_swap_and_where_it_comes_back_from(host: Host) -> None:
    assert subject.swap(host) == {"active": [], "sources": []}
    write(host, "/proc/swaps", "Filename Type Size Used Priority\n/dev/sda2 partition 1 0 -2\n")
    write(host, "/etc/fstab", "# swap\nUUID=1 none swap sw 0 0\n/dev/sda1 / ext4 defaults 0 1\n")
    write(host, "/etc/systemd/zram-generator.conf", "[zram0]\n")
    found = subject.swap(host)
    assert found == {"active": ["/dev/sda2"], "sources": ["/etc/fstab: UUID=1", "/etc/systemd/zram-generator.conf"]}


def test_kernel_features(host: Host) -> None:
    assert subject.kernel_features(host, ["CONFIG_A"]) == {"CONFIG_A": "unknown"}
    write(host, f"/boot/config-{os.uname().release}", "CONFIG_A=y\nCONFIG_B=m\n# CONFIG_C is not set\n")
    wanted = {"CONFIG_A": "y", "CONFIG_B": "m", "CONFIG_C": "n"}
    assert subject.kernel_features(host, list(wanted)) == wanted


def test_resolver_and_remains(host: Host) -> None:
    write(host, "/etc/resolv.conf", "nameserver 127.0.0.53\noptions edns0\n")
    write(host, "/run/systemd/resolve/resolv.conf", "nameserver 192.0.2.53\n")
    assert subject.resolver(host) == {"nameservers": ["127.0.0.53"], "upstream": ["192.0.2.53"]}
    assert subject.remains(host) == {"files": [], "authority_sha256": "", "cni": [], "other": []}
    now = datetime.datetime.now(datetime.timezone.utc)
    write(host, "/etc/kubernetes/pki/ca.crt", certificate(now, now + datetime.timedelta(days=1)).decode())
    write(host, "/etc/cni/net.d/10-flannel.conflist", "{}")
    write(host, "/var/lib/rancher/k3s/x", "")
    found = subject.remains(host)
    assert found["files"] == ["/etc/kubernetes/pki/ca.crt"]
    assert len(found["authority_sha256"]) == 64
    assert (found["cni"], found["other"]) == (["10-flannel.conflist"], ["K3s"])


def test_this_host() -> None:
    host = Host()
    system = subject.operating_system(host)
    assert system["kernel"] == os.uname().release
    assert system["root"] is (os.geteuid() == 0)
    assert subject.identity(host)["hostname"] == socket.gethostname()
    disks = subject.capacity(host, ["/", "/var/lib/absent/deep"])["disks"]
    assert all(disk["free"] > 0 for disk in disks)
    assert subject.clock()["epoch"] > 1.7e9
    assert subject.cgroup_version(host) in (1, 2)
    for entry in subject.addresses():
        assert entry["interface"] in {name for _index, name in socket.if_nameindex()}
        assert entry["prefix"] > 0


def test_port_in_use_and_its_process() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = f"{listener.getsockname()[1]}/tcp"
        own = Path("/proc/self/comm").read_text().strip()
        assert subject.sockets(Host(), [port, "1/tcp"]) == {port: own}


def test_disk_probe_leaves_nothing(host: Host) -> None:
    found = subject.sync_milliseconds(host, "/var/lib/etcd", 0.05)
    assert found is not None
    assert found > 0
    assert list(Path(host.root).iterdir()) == []
    assert subject.sync_milliseconds(Host("/proc"), "/x", 0.05) is None
