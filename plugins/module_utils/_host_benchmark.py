# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt)
# SPDX-License-Identifier: BSD-2-Clause
"""What a security benchmark looks at on one host: files, running programs, their settings. Reads only.

Private: may change in any release. Only the Python standard library is used, because a node has nothing else. Nothing
is judged here, and no private key or encryption key leaves the host.
"""

from __future__ import annotations

import glob
import grp
import hashlib
import os
import pwd
import re
import stat
from typing import Any

from ._kubeadm_state import static_pods

PROGRAMS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd", "kubelet", "kube-proxy")
# Where each is, as kubeadm and this collection place them; the arguments of running programs add to it.
FILES = (
    "/etc/kubernetes/manifests/*.yaml",
    "/etc/kubernetes/*.conf",
    "/etc/kubernetes/pki",
    "/etc/kubernetes/pki/*",
    "/etc/kubernetes/pki/etcd/*",
    "/etc/cni/net.d/*",
    "/var/lib/cni/networks/*/*",
    "/var/lib/kubelet/config.yaml",
    "/var/lib/kubelet/pki/kubelet-server-current.pem",
    "/etc/systemd/system/kubelet.service",
    "/etc/systemd/system/kubelet.service.d/*.conf",
    "/usr/lib/systemd/system/kubelet.service",
    "/usr/lib/systemd/system/kubelet.service.d/*.conf",
)
# Flags that name a file or directory whose permissions count.
_PATH_FLAGS = ("data-dir", "client-ca-file", "config", "kubeconfig", "encryption-provider-config")
_ENCRYPTION_PROVIDER = re.compile(r"^\s*(?:-\s+)?(aescbc|aesgcm|secretbox|kms|identity)\s*:", re.M)
_POD_UID = re.compile(r"pod([0-9a-f]{8}[-_]?[0-9a-f]{4}[-_]?[0-9a-f]{4}[-_]?[0-9a-f]{4}[-_]?[0-9a-f]{12})")
_CONTAINER = re.compile(r"([0-9a-f]{64})")


class BenchmarkHost:
    """One host; ``root`` other than ``/`` is for tests."""

    def __init__(self, root: str = "/") -> None:
        self.root = root

    def path(self, absolute: str) -> str:
        """Place of an absolute path below ``root``."""
        return absolute if self.root == "/" else os.path.join(self.root, absolute.lstrip("/"))

    def text(self, absolute: str) -> str:
        """Content of a file; empty when there is none, or the process it belonged to has ended."""
        try:
            with open(self.path(absolute), encoding="utf-8", errors="replace") as stream:
                return stream.read()
        except OSError:
            return ""

    def file(self, absolute: str) -> dict[str, Any] | None:
        """Mode (four octal digits), owner, group and kind of a file; None when there is none."""
        try:
            found = os.stat(self.path(absolute))
        except OSError:
            return None
        return {
            "mode": f"{stat.S_IMODE(found.st_mode):04o}",
            "owner": _name(pwd.getpwuid, found.st_uid),
            "group": _name(grp.getgrgid, found.st_gid),
            "directory": stat.S_ISDIR(found.st_mode),
        }

    def files(self, patterns: tuple[str, ...], more: list[str]) -> dict[str, dict[str, Any]]:
        """All files that the patterns match, and the further ones that exist, by path."""
        skip = 0 if self.root == "/" else len(self.root.rstrip("/"))
        paths = {found[skip:] for pattern in patterns for found in glob.glob(self.path(pattern))}
        states = {path: self.file(path) for path in sorted(paths | set(more))}
        return {path: state for path, state in states.items() if state is not None}

    def _processes(self) -> list[tuple[int, list[str]]]:
        found = []
        for name in os.listdir(self.path("/proc")):
            if name.isdigit():
                arguments = self.text(f"/proc/{name}/cmdline").split("\0")
                if arguments[0]:
                    found.append((int(name), arguments[:-1] if arguments[-1] == "" else arguments))
        return sorted(found)

    def programs(self) -> dict[str, dict[str, Any]]:
        """Process id and arguments of each known program; of static pods that do not run, those of their manifests."""
        found: dict[str, dict[str, Any]] = {}
        for pid, argv in self._processes():
            name = os.path.basename(argv[0])
            # A pod may carry an etcd or a kubelet of its own; those of the node came first and have arguments.
            if name in PROGRAMS and name not in found and len(argv) > 1:
                found[name] = {"pid": pid, "arguments": arguments_of(argv[1:])}
        for name, pod in static_pods(self.path("/etc/kubernetes")).items():
            # The kubelet starts it again in a moment, with these.
            found.setdefault(name, {"pid": 0, "arguments": pod["arguments"]})
        return found

    def containers(self) -> list[dict[str, Any]]:
        """The first process of every container of a pod, with what the kernel enforces on it.

        See proc(5): ``Seccomp`` 0 is none, 2 a filter. ``Seccomp_filters`` counts them; those that the host itself
        runs under do not count. An empty label means that the kernel has no AppArmor.
        """
        inherited = int(_status(self.text("/proc/1/status")).get("Seccomp_filters", 0))
        found: dict[str, dict[str, Any]] = {}
        for pid, argv in self._processes():
            groups = self.text(f"/proc/{pid}/cgroup")
            uid, container = _POD_UID.search(groups), None
            if uid:
                identifiers = _CONTAINER.findall(groups)
                container = identifiers[-1] if identifiers else None
            # runc itself, for the moment before it becomes the container's program.
            starting = os.path.basename(argv[0]).startswith("runc")
            if not uid or not container or container in found or starting:
                continue
            status = _status(self.text(f"/proc/{pid}/status"))
            if not status:
                continue
            filters = int(status.get("Seccomp_filters", 0)) - inherited
            found[container] = {
                "pod": uid.group(1).replace("_", "-"),
                "container": container[:12],
                "command": os.path.basename(argv[0]),
                "seccomp": status.get("Seccomp") == "2" and ("Seccomp_filters" not in status or filters > 0),
                "apparmor": self.text(f"/proc/{pid}/attr/current").strip().strip("\0"),
            }
        return list(found.values())

    def apparmor(self) -> bool:
        """Whether the kernel enforces AppArmor."""
        return self.text("/sys/module/apparmor/parameters/enabled").strip() == "Y"

    def facts(self) -> dict[str, Any]:
        """Everything; see RETURN of cis_benchmark_info for the shape."""
        programs = self.programs()
        flags = [flag for program in programs.values() for flag in program["arguments"].items()]
        named = [value for flag, value in flags if flag in _PATH_FLAGS and value.startswith("/")]
        server = programs.get("kube-apiserver", {}).get("arguments", {})
        kubelet = programs.get("kubelet", {}).get("arguments", {})
        proxy = programs.get("kube-proxy", {})
        proxy_file = proxy.get("arguments", {}).get("config", "")
        return {
            "files": self.files(FILES, named),
            "programs": {name: program["arguments"] for name, program in programs.items()},
            "kubelet_configuration": self.text(kubelet.get("config", "/var/lib/kubelet/config.yaml")),
            "kube_proxy_configuration": self.text(f"/proc/{proxy['pid']}/root{proxy_file}") if proxy_file else "",
            "audit_policy": self.text(server["audit-policy-file"]) if "audit-policy-file" in server else "",
            "authentication_configuration": (
                self.text(server["authentication-config"]) if "authentication-config" in server else ""
            ),
            "encryption_providers": _ENCRYPTION_PROVIDER.findall(
                self.text(server.get("encryption-provider-config", "/etc/kubernetes/platform/encryption.yaml"))
            ),
            "authorities": {
                name: hashlib.sha256(text.encode()).hexdigest()
                for name, text in (
                    ("kubernetes", self.text("/etc/kubernetes/pki/ca.crt")),
                    ("etcd", self.text("/etc/kubernetes/pki/etcd/ca.crt")),
                )
                if text
            },
            "apparmor": self.apparmor(),
            "containers": self.containers(),
        }


def arguments_of(argv: list[str]) -> dict[str, str]:
    """Flags without their dashes and the values, from the forms ``--flag=value``, ``--flag value`` and ``--flag``."""
    found: dict[str, str] = {}
    flag = ""
    for item in argv:
        if item.startswith("-") and len(item) > 1:
            flag, separator, value = item.lstrip("-").partition("=")
            found[flag] = value if separator else "true"
            if separator:
                flag = ""
        elif flag:
            found[flag], flag = item, ""
    return found


def _name(look_up: Any, number: int) -> str:
    try:
        return str(look_up(number)[0])
    except KeyError:
        return str(number)


def _status(text: str) -> dict[str, str]:
    """The fields of ``/proc/<pid>/status``."""
    pairs = (line.partition(":") for line in text.splitlines())
    return {name: value.strip() for name, separator, value in pairs if separator}
