# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt)
# SPDX-License-Identifier: BSD-2-Clause
#
# Private: may change in any release.
"""What preflight must know of a host, read from files and system calls.

Nothing here changes the host, and nothing needs a program that a minimal installation lacks.
"""

from __future__ import annotations

import base64
import contextlib
import ctypes
import glob
import gzip
import hashlib
import ipaddress
import os
import platform
import re
import socket
import struct
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

from ._host import Host, HostError

_RTM_GETADDR, _NLM_F_DUMP_REQUEST, _NLMSG_DONE, _NLMSG_ERROR = 22, 0x301, 3, 2
_IFA_ADDRESS, _IFA_LOCAL, _SCOPE_UNIVERSE = 1, 2, 0
_LISTEN_STATE = "0A"
_STA_UNSYNC = 0x0040
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", re.DOTALL)
# Interfaces that a cluster network made; their addresses are no sign of a conflict.
CLUSTER_INTERFACES = re.compile(r"^(cilium|lxc|cni\d|flannel|veth|kube-|cali|vxlan|tunl|nodelocaldns)")
_FIREWALLS = ("ufw.service", "firewalld.service", "nftables.service")
_OTHER_DISTRIBUTIONS = {
    "/var/lib/rancher/k3s": "K3s",
    "/var/lib/rancher/rke2": "RKE2",
    "/var/snap/microk8s": "MicroK8s",
    "/var/lib/k0s": "k0s",
    "/var/lib/minikube": "minikube",
    "/run/crio/crio.sock": "CRI-O",
    "/run/docker.sock": "Docker",
}
_REMAINS = (
    "/etc/kubernetes/admin.conf",
    "/etc/kubernetes/kubelet.conf",
    "/etc/kubernetes/manifests/kube-apiserver.yaml",
    "/etc/kubernetes/manifests/etcd.yaml",
    "/etc/kubernetes/pki/ca.crt",
    "/var/lib/etcd/member",
    "/var/lib/kubelet/config.yaml",
)


def operating_system(host: Host) -> dict[str, Any]:
    """Distribution, kernel, processor type and interpreter."""
    release = {}
    for line in (host.read("/etc/os-release") or "").splitlines():
        key, separator, value = line.partition("=")
        if separator:
            release[key] = value.strip().strip("\"'")
    return {
        "distribution": release.get("ID", ""),
        "version": release.get("VERSION_ID", ""),
        "name": release.get("PRETTY_NAME", ""),
        "kernel": os.uname().release,
        "architecture": os.uname().machine,
        "python": platform.python_version(),
        "systemd": os.path.isdir(host.path("/run/systemd/system")),
        "root": os.geteuid() == 0,
    }


def capacity(host: Host, paths: list[str]) -> dict[str, Any]:
    """Processors, memory in bytes, and free space in bytes below each path (of the nearest existing parent)."""
    found = re.search(r"^MemTotal:\s+(\d+) kB", host.read("/proc/meminfo") or "", re.MULTILINE)
    disks = []
    for path in paths:
        place = host.path(path)
        while not os.path.isdir(place):
            place = os.path.dirname(place)
        state = os.statvfs(place)
        disks.append(
            {
                "path": path,
                "device": os.stat(place).st_dev,
                "free": state.f_bavail * state.f_frsize,
                "size": state.f_blocks * state.f_frsize,
            }
        )
    return {
        "processors": len(os.sched_getaffinity(0)),
        "memory": int(found.group(1)) * 1024 if found else 0,
        "disks": disks,
    }


def identity(host: Host) -> dict[str, Any]:
    """What must be different on each machine."""
    return {
        "hostname": socket.gethostname(),
        "machine_id": (host.read("/etc/machine-id") or "").strip(),
        "product_uuid": (host.read("/sys/class/dmi/id/product_uuid") or "").strip().lower(),
    }


def addresses() -> list[dict[str, Any]]:
    """Global addresses by netlink (RTM_GETADDR, rtnetlink(7)): interface, address and prefix length."""
    found = []
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as channel:
        body = struct.pack("=BBBBI", socket.AF_UNSPEC, 0, 0, 0, 0)
        channel.sendall(struct.pack("=IHHII", 16 + len(body), _RTM_GETADDR, _NLM_F_DUMP_REQUEST, 1, 0) + body)
        done = False
        while not done:
            data = channel.recv(65536)
            for kind, message in _netlink_messages(data):
                done = done or kind in (_NLMSG_DONE, _NLMSG_ERROR)
                if kind == 20:  # RTM_NEWADDR
                    entry = _address(message)
                    if entry:
                        found.append(entry)
    return found


def _netlink_messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= 16:
        length, kind = struct.unpack_from("=IH", data)
        yield kind, data[16:length]
        data = data[(length + 3) & ~3 :]


def _address(message: bytes) -> dict[str, Any] | None:
    _family, prefix, _flags, scope, index = struct.unpack_from("=BBBBI", message)
    attributes, rest = {}, message[8:]
    while len(rest) >= 4:
        length, kind = struct.unpack_from("=HH", rest)
        attributes[kind] = rest[4:length]
        rest = rest[(length + 3) & ~3 :]
    raw = attributes.get(_IFA_LOCAL) or attributes.get(_IFA_ADDRESS)
    if scope != _SCOPE_UNIVERSE or not raw:
        return None
    name = socket.if_indextoname(index)
    return {"interface": name, "address": str(ipaddress.ip_address(raw)), "prefix": prefix}


def interfaces(host: Host) -> dict[str, dict[str, Any]]:
    """MAC address and MTU of each interface except loopback."""
    found = {}
    for place in glob.glob(host.path("/sys/class/net/*")):
        name = os.path.basename(place)
        if name == "lo" or not os.path.isdir(place):
            continue
        mtu = (host.read(f"/sys/class/net/{name}/mtu") or "0").strip()
        found[name] = {"mac": (host.read(f"/sys/class/net/{name}/address") or "").strip(), "mtu": int(mtu)}
    return found


def routes(host: Host) -> list[dict[str, str]]:
    """IPv4 and IPv6 routes (``/proc/net``) without link-local, multicast and host-local ones."""
    found = []
    for line in (host.read("/proc/net/route") or "").splitlines()[1:]:
        fields = line.split()
        number, mask = (struct.unpack("<I", bytes.fromhex(fields[i]))[0] for i in (1, 7))
        network = ipaddress.ip_network((socket.ntohl(socket.htonl(number)), bin(mask).count("1")))
        found.append({"destination": str(network), "interface": fields[0]})
    for line in (host.read("/proc/net/ipv6_route") or "").splitlines():
        fields = line.split()
        network6 = ipaddress.ip_network((int(fields[0], 16), int(fields[1], 16)))
        if fields[9] != "lo" and not network6.is_link_local and not network6.is_multicast:
            found.append({"destination": str(network6), "interface": fields[9]})
    return found


def clock() -> dict[str, Any]:
    """Seconds since the epoch, and whether the kernel believes that the clock is synchronised (adjtimex(2))."""
    buffer = ctypes.create_string_buffer(512)
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(buffer)
        # struct timex: modes, offset, freq, maxerror, esterror, status (the first as int, padded to a long).
        status = struct.unpack_from("@illlli", buffer.raw)[5]
        synchronised = state >= 0 and not status & _STA_UNSYNC
    except (OSError, AttributeError):
        synchronised = False
    return {"epoch": time.time(), "synchronised": synchronised}


def swap(host: Host) -> dict[str, list[str]]:
    """Active swap, and what would bring it back at the next start."""
    active = [line.split()[0] for line in (host.read("/proc/swaps") or "").splitlines()[1:]]
    sources = []
    for line in (host.read("/etc/fstab") or "").splitlines():
        fields = line.split("#")[0].split()
        if len(fields) > 2 and fields[2] == "swap":
            sources.append(f"/etc/fstab: {fields[0]}")
    for pattern in ("/etc/systemd/system/*.swap", "/run/systemd/generator/*.swap"):
        sources += [place for place in glob.glob(host.path(pattern)) if os.path.realpath(place) != "/dev/null"]
    sources += [
        p for p in ("/etc/default/zramswap", "/etc/systemd/zram-generator.conf") if os.path.exists(host.path(p))
    ]
    return {"active": active, "sources": sources}


def cgroup_version(host: Host) -> int:
    """2 for the unified hierarchy, else 1 (hybrid counts as 1)."""
    return 2 if os.path.exists(host.path("/sys/fs/cgroup/cgroup.controllers")) else 1


def kernel_features(host: Host, symbols: list[str]) -> dict[str, str]:
    """Setting of each kernel option: ``y``, ``m``, ``n``, ``unknown`` when no configuration is kept."""
    text = None
    with contextlib.suppress(OSError), gzip.open(host.path("/proc/config.gz"), "rt") as stream:
        text = stream.read()
    for path in (f"/boot/config-{os.uname().release}", f"/lib/modules/{os.uname().release}/config"):
        text = text or host.read(path)
    if not text:
        return dict.fromkeys(symbols, "unknown")
    settings = dict(re.findall(r"^(CONFIG_\w+)=([ym])$", text, re.MULTILINE))
    return {symbol: settings.get(symbol, "n") for symbol in symbols}


def sockets(host: Host, ports: list[str]) -> dict[str, str]:
    """Name of the process that has each port of the list, such as ``6443/tcp``; free ports are left out."""
    wanted = set(ports)
    inodes = {}
    for protocol in ("tcp", "udp"):
        for table in (protocol, f"{protocol}6"):
            for line in (host.read(f"/proc/net/{table}") or "").splitlines()[1:]:
                fields = line.split()
                port = f"{int(fields[1].rpartition(':')[2], 16)}/{protocol}"
                if port in wanted and (protocol == "udp" or fields[3] == _LISTEN_STATE):
                    inodes[fields[9]] = port
    used = dict.fromkeys(inodes.values(), "kernel" if inodes else "")
    if inodes:
        for inode, process in _owners(host, set(inodes)):
            used[inodes[inode]] = process
    return used


def _owners(host: Host, inodes: set[str]) -> Iterator[tuple[str, str]]:
    for place in glob.glob(host.path("/proc/[0-9]*/fd/*")):
        with contextlib.suppress(OSError):
            target = os.readlink(place)
            if target.startswith("socket:[") and target[8:-1] in inodes:
                with open(os.path.join(os.path.dirname(place), "../comm"), encoding="utf-8") as stream:
                    yield target[8:-1], stream.read().strip()


def resolver(host: Host) -> dict[str, list[str]]:
    """Nameservers of ``/etc/resolv.conf`` and those behind systemd-resolved."""

    def servers(path: str) -> list[str]:
        return re.findall(r"^nameserver\s+(\S+)", host.read(path) or "", re.MULTILINE)

    return {"nameservers": servers("/etc/resolv.conf"), "upstream": servers("/run/systemd/resolve/resolv.conf")}


def remains(host: Host) -> dict[str, Any]:
    """Traces of a cluster: files of kubeadm, the authority's fingerprint, other Kubernetes distributions."""
    authority = host.read("/etc/kubernetes/pki/ca.crt")
    body = _PEM.search(authority or "")
    fingerprint = hashlib.sha256(base64.b64decode(body.group(1))).hexdigest() if body else ""
    return {
        "files": [path for path in _REMAINS if os.path.exists(host.path(path))],
        "authority_sha256": fingerprint,
        "cni": sorted(os.path.basename(place) for place in glob.glob(host.path("/etc/cni/net.d/*.conf*"))),
        "other": sorted(name for path, name in _OTHER_DISTRIBUTIONS.items() if os.path.exists(host.path(path))),
    }


def certificates(host: Host, patterns: list[str]) -> list[dict[str, Any]]:
    """Validity of the first certificate of each file."""
    found = []
    for place in sorted({place for pattern in patterns for place in glob.glob(host.path(pattern))}):
        with contextlib.suppress(OSError, ValueError, IndexError):
            with open(place, encoding="utf-8", errors="replace") as stream:
                body = _PEM.search(stream.read())
            if body:
                start, end = validity(base64.b64decode(body.group(1)))
                left = (end - datetime.now(timezone.utc)).total_seconds() / 86400
                found.append(
                    {
                        "path": place,
                        "not_after": end.isoformat(),
                        "days_left": round(left, 1),
                        "lifetime_days": round((end - start).total_seconds() / 86400, 1),
                    }
                )
    return found


def validity(der: bytes) -> tuple[datetime, datetime]:
    """``notBefore`` and ``notAfter`` of a certificate in DER (RFC 5280 section 4.1).

    Raises ValueError or IndexError when it is none.
    """
    certificate, _end = _der_value(der, 0)
    fields, _end = _der_value(certificate, 0)
    position = 0
    if fields[0] == 0xA0:  # [0] version
        _content, position = _der_value(fields, position)
    for _field in ("serialNumber", "signature", "issuer"):
        _content, position = _der_value(fields, position)
    period, _end = _der_value(fields, position)
    start, second = _der_value(period, 0)
    end, _rest = _der_value(period, second)
    return _time(start.decode("ascii")), _time(end.decode("ascii"))


def _time(text: str) -> datetime:
    if len(text) == 13:  # UTCTime: years 1950 to 2049
        text = ("20" if int(text[:2]) < 50 else "19") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=timezone.utc)


def _der_value(data: bytes, position: int) -> tuple[bytes, int]:
    """Content of the element at ``position`` and the position after it."""
    length, start = data[position + 1], position + 2
    if length & 0x80:
        count = length & 0x7F
        length, start = int.from_bytes(data[start : start + count], "big"), start + count
    if start + length > len(data):
        raise ValueError("truncated DER element")
    return data[start : start + length], start + length


def firewalls(host: Host) -> list[str]:
    """Firewall services that are active."""
    try:
        answer = host.run(["systemctl", "is-active", *_FIREWALLS], accept=range(256)).stdout.split()
    except HostError:
        return []
    return [name for name, state in zip(_FIREWALLS, answer) if state == "active"]


def sync_milliseconds(host: Host, path: str, seconds: float) -> float | None:
    """99th percentile of the time that a synchronised write of 8 KiB takes, on the file system of ``path``.

    None when nothing can be written there. The file is removed again.
    """
    directory = host.path(path)
    while not os.path.isdir(directory):
        directory = os.path.dirname(directory)
    samples = []
    try:
        with tempfile.TemporaryFile(dir=directory) as stream:
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                start = time.monotonic()
                os.write(stream.fileno(), b"\0" * 8192)
                os.fdatasync(stream.fileno())
                samples.append((time.monotonic() - start) * 1000)
    except OSError:
        return None
    return round(sorted(samples)[int(len(samples) * 0.99)], 2) if samples else None
