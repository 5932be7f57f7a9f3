# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt)
# SPDX-License-Identifier: BSD-2-Clause
"""What the lab's machines, network and firewall look like, and the host tools that make them so.

The upper half is pure (names, subnets, arguments, plan); the lower half runs podman and nft.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import ipaddress
import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LABEL = "onprem.platform.lab"
NAME_PATTERN = re.compile(r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?")
HOST_KEY_PATTERN = re.compile(r"^ssh-ed25519 [A-Za-z0-9+/=]+")
LOCK_FILE = "/run/lock/onprem-platform-lab.lock"


class LabError(Exception):
    """Something about the lab cannot be done; the text names cause and remedy."""


@dataclass(frozen=True)
class Settings:
    """What all nodes of one lab share.

    ``name`` prefixes everything that the lab owns. ``open_files`` and ``processes`` are hard limits of a node's init,
    because a container may lack the privilege to raise them.
    """

    name: str
    image: str
    authorized_key: str
    runtime: str
    open_files: int
    processes: int


@dataclass(frozen=True)
class Network:
    """One bridge network: ``subnet`` in CIDR form, ``bridge`` the interface on the host."""

    name: str
    subnet: str
    bridge: str

    def address(self, number: int) -> str:
        """Return the address with host part ``number`` (1 is the gateway)."""
        return str(ipaddress.IPv4Network(self.subnet)[number])

    def hardware_address(self, number: int) -> str:
        """Return a locally administered MAC address that follows from the IPv4 address."""
        return ":".join(f"{byte:02x}" for byte in (0x02, 0x00, *ipaddress.IPv4Network(self.subnet)[number].packed))


@dataclass(frozen=True)
class Plan:
    """Names of the nodes to remove (with their volume), to create, and to start because they were stopped."""

    remove: list[str] = field(default_factory=list)
    create: list[str] = field(default_factory=list)
    start: list[str] = field(default_factory=list)


def plan(state: str, wanted: Sequence[str], found: Mapping[str, bool], recreate: Sequence[str] = ()) -> Plan:
    """Say what has to happen.

    ``found`` maps the name of each existing node to whether it runs. A node outside ``wanted`` is never removed on the
    side, since it may hold a cluster member: that is an error which names the way out.
    """
    if state == "absent":
        return Plan(remove=sorted(found))
    unknown = sorted(set(recreate) - set(wanted))
    if unknown:
        raise LabError(f"cannot recreate {', '.join(unknown)}: the lab has only {', '.join(wanted)}")
    surplus = sorted(set(found) - set(wanted))
    if surplus:
        raise LabError(
            f"the lab already has {', '.join(surplus)}, which the wanted profile ({', '.join(wanted)}) does not have; "
            "remove the lab first (lab_state=absent), or use the profile that it was made with"
        )
    again = [name for name in wanted if name in found and name in recreate]
    return Plan(
        remove=again,
        create=[name for name in wanted if name not in found or name in again],
        start=[name for name in wanted if name in found and not found[name] and name not in again],
    )


def choose_subnet(name: str, pool: str, used: Iterable[str]) -> str:
    """Return a /24 of ``pool`` that overlaps with none of ``used``.

    The first candidate follows from ``name``, so that a lab keeps its addresses when it is made anew.
    """
    candidates = list(ipaddress.IPv4Network(pool).subnets(new_prefix=24))
    taken = [ipaddress.IPv4Network(network, strict=False) for network in used]
    first = int(hashlib.sha256(name.encode()).hexdigest(), 16) % len(candidates)
    for offset in range(len(candidates)):
        candidate = candidates[(first + offset) % len(candidates)]
        if not any(candidate.overlaps(network) for network in taken):
            return str(candidate)
    raise LabError(f"no /24 of {pool} is free on this machine; set lab_subnet_pool to another private range")


def run_arguments(settings: Settings, network: Network, node: str, number: int) -> list[str]:
    """Return the podman arguments (without ``podman`` itself) that start node ``node`` as a machine."""
    container = f"{settings.name}-{node}"
    return [
        "run", "--detach", "--quiet",
        "--name", container,
        "--hostname", node,
        "--label", f"{LABEL}={settings.name}",
        "--label", f"{LABEL}.node={node}",
        # Names and resolver are files of the machine itself, not mounts that a role could not replace.
        "--no-hosts", "--dns", "none",
        # A machine keeps its hardware address over a restart; else neighbours talk to the old one for half a minute.
        "--network", network.name, "--ip", network.address(number), "--mac-address", network.hardware_address(number),
        "--privileged",
        # podman's own systemd mode would mount the host's name=systemd hierarchy into every node (cgroup v1).
        "--systemd=false", "--cgroupns=private", "--env", "container=podman", "--stop-signal", "SIGRTMIN+3",
        "--tmpfs", "/run", "--tmpfs", "/tmp:exec",  # noqa: S108 - a path inside the node
        "--ulimit", f"nofile={settings.open_files}:{settings.open_files}",
        "--ulimit", f"nproc={settings.processes}:{settings.processes}",
        "--pids-limit", "-1",
        "--log-driver", "k8s-file", "--log-opt", "max-size=4mb",
        # Overlay file systems do not stack: what containerd unpacks has to lie on a real one.
        "--volume", f"{container}-var:/var:suid,exec,dev",
        "--env", f"LAB_ADDRESS={network.address(number)}",
        "--env", f"LAB_GATEWAY={network.address(1)}",
        "--env", f"LAB_AUTHORIZED_KEY={settings.authorized_key}",
        settings.image,
    ]  # fmt: skip


def firewall_rules(name: str, bridge: str) -> str:
    """Return the nftables table that closes the lab, in the very words in which nft lists it.

    A verdict of ``reject`` is final whatever other tables accept, so the order against podman's rules is of no matter.
    Only the host itself may open connections to a node, and a node to nobody but the other nodes.
    """
    return f"""table inet {name} {{
\tchain forward {{
\t\ttype filter hook forward priority filter - 10; policy accept;
\t\tiifname "{bridge}" oifname != "{bridge}" reject with icmpx admin-prohibited
\t\tiifname != "{bridge}" oifname "{bridge}" reject with icmpx admin-prohibited
\t}}

\tchain input {{
\t\ttype filter hook input priority filter - 10; policy accept;
\t\tiifname != "{bridge}" accept
\t\tct state established,related accept
\t\tip protocol icmp accept
\t\treject with icmpx admin-prohibited
\t}}
}}
"""


def recipe_digest(directory: Path, *settings: str) -> str:
    """Return 12 hexadecimal digits over names, modes and contents below ``directory``, and over ``settings``."""
    digest = hashlib.sha256("\0".join(settings).encode())
    for path in sorted(directory.rglob("*")):
        if path.is_file():
            executable = bool(path.stat().st_mode & 0o100)
            digest.update(f"\0{path.relative_to(directory)}\0{executable}\0".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:12]


# --- the host's tools -----------------------------------------------------------------------------------------------


def run_tool(*arguments: str, stdin: str | None = None, timeout: float = 600, check: bool = True) -> tuple[int, str]:
    """Run a host tool; return its code and standard output, or raise LabError with its last words."""
    try:
        # Called from several threads at once, one for each node; run_command is not made for that.
        done = subprocess.run(  # pylint: disable=ansible-bad-function
            arguments, input=stdin, capture_output=True, text=True, timeout=timeout, check=False
        )
    except FileNotFoundError as error:
        raise LabError(f"{arguments[0]} is not installed; run the lab play with lab_install_packages=true") from error
    except subprocess.TimeoutExpired as error:
        raise LabError(f"{arguments[0]} did not end within {timeout:.0f} s: {' '.join(arguments[:6])}") from error
    if check and done.returncode != 0:
        words = done.stderr.strip().splitlines()[-3:] or [f"exit code {done.returncode}"]
        raise LabError(f"{' '.join(arguments[:6])}: {' / '.join(words)}")
    return done.returncode, done.stdout


@contextlib.contextmanager
def exclusive(path: str = LOCK_FILE) -> Iterator[None]:
    """Hold the machine-wide lock of all labs, so that two never choose one subnet or build one image at once."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


class Podman:
    """The podman calls of one lab. Everything made carries the lab's name as label, and nothing else is looked at."""

    def __init__(self, name: str, runtime: str) -> None:
        self.name = name
        # The backend is named, because podman's guess depends on what was installed when it first ran.
        self.command = ("podman", "--runtime", runtime, "--network-backend", "netavark")

    def run(self, *arguments: str, timeout: float = 600, check: bool = True) -> tuple[int, str]:
        """Run one podman command."""
        return run_tool(*self.command, *arguments, timeout=timeout, check=check)

    def containers(self) -> dict[str, dict[str, Any]]:
        """Return what ``podman container inspect`` says of each node, by node name."""
        _code, names = self.run("ps", "--all", "--quiet", "--no-trunc", "--filter", f"label={LABEL}={self.name}")
        if not names.split():
            return {}
        _code, text = self.run("container", "inspect", *names.split())
        return {item["Config"]["Labels"][f"{LABEL}.node"]: item for item in json.loads(text)}

    def volumes(self) -> list[str]:
        """Return the names of the lab's volumes."""
        _code, names = self.run("volume", "ls", "--quiet", "--filter", f"label={LABEL}={self.name}")
        return sorted(names.split())

    def network(self) -> Network | None:
        """Return the lab's network, or None."""
        code, text = self.run("network", "inspect", self.name, check=False)
        if code != 0:
            return None
        found = json.loads(text)[0]
        if found.get("labels", {}).get(LABEL) != self.name:
            raise LabError(f"a podman network {self.name} exists that no lab made; remove it or set lab_name")
        return Network(self.name, found["subnets"][0]["subnet"], found["network_interface"])

    def used_subnets(self) -> list[str]:
        """Return the IPv4 networks that podman's networks and the host's routes use."""
        _code, names = self.run("network", "ls", "--quiet")
        _code, text = self.run("network", "inspect", *names.split())
        used = [subnet["subnet"] for network in json.loads(text) for subnet in network.get("subnets") or []]
        _code, routes = run_tool("ip", "-json", "-4", "route", "show", "table", "all", "type", "unicast")
        used += [route["dst"] for route in json.loads(routes or "[]") if route["dst"] != "default"]
        return [subnet for subnet in used if ":" not in subnet]

    def create_network(self, subnet: str) -> None:
        """Create the lab's network."""
        gateway = str(ipaddress.IPv4Network(subnet)[1])
        self.run(
            "network", "create", "--disable-dns", "--subnet", subnet, "--gateway", gateway, "--opt", "mtu=1500",
            "--label", f"{LABEL}={self.name}", self.name,
        )  # fmt: skip

    def create_node(self, settings: Settings, network: Network, node: str, number: int) -> None:
        """Create the volume and start the container of one node."""
        volume = f"{self.name}-{node}-var"
        if volume not in self.volumes():
            self.run("volume", "create", "--label", f"{LABEL}={self.name}", volume)
        self.run(*run_arguments(settings, network, node, number))

    def remove_nodes(self, nodes: Sequence[str]) -> None:
        """Power the nodes off hard and remove them with their volumes."""
        if nodes:
            self.run("rm", "--force", "--time", "0", *(f"{self.name}-{node}" for node in nodes))
        ours = set(self.volumes()) & {f"{self.name}-{node}-var" for node in nodes}
        if ours:
            self.run("volume", "rm", *sorted(ours))


def firewall_current(name: str) -> str:
    """Return the lab's nftables table as nft lists it, or an empty string."""
    code, text = run_tool("nft", "list", "table", "inet", name, check=False)
    return text if code == 0 else ""


def firewall_write(name: str, rules: str) -> None:
    """Replace the lab's table by ``rules`` in one transaction; empty rules delete it."""
    run_tool("nft", "-f", "-", stdin=f"table inet {name} {{}}\ndelete table inet {name}\n{rules}")


def kernel_settings(minimum: Mapping[str, int]) -> dict[str, int]:
    """Return the present value of each kernel setting in ``minimum``; one that this kernel lacks is left out."""
    found = {}
    for name in minimum:
        path = Path("/proc/sys", *name.split("."))
        if path.exists():
            found[name] = int(path.read_text(encoding="ascii"))
    return found


def kernel_raise(name: str, value: int) -> None:
    """Write one kernel setting."""
    Path("/proc/sys", *name.split(".")).write_text(f"{value}\n", encoding="ascii")


def wait_for_ssh(addresses: Sequence[str], timeout: float) -> None:
    """Return when an SSH server greets at each address; raise LabError after ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    waiting = list(addresses)
    while waiting:
        waiting = [address for address in waiting if not _greets(address)]
        if waiting and time.monotonic() > deadline:
            raise LabError(f"no SSH server answers at {', '.join(waiting)} within {timeout:.0f} s; see podman logs")
        if waiting:
            time.sleep(0.05)


def _greets(address: str) -> bool:
    try:
        with socket.create_connection((address, 22), timeout=1) as connection:
            return connection.recv(8).startswith(b"SSH-2.0")
    except OSError:
        return False


def host_key(pid: int) -> str:
    """Return the public SSH host key of the machine whose init process is ``pid``.

    It is read past the network, so it is worth trusting; its form is checked, as a node decides what its files hold.
    """
    path = Path(f"/proc/{pid}/root/etc/ssh/ssh_host_ed25519_key.pub")
    try:
        match = HOST_KEY_PATTERN.match(path.read_text(encoding="ascii"))
    except (OSError, UnicodeDecodeError) as error:
        raise LabError(f"cannot read the SSH host key of process {pid}: {error}") from error
    if match is None:
        raise LabError(f"{path} holds no ed25519 key; recreate the node (lab_recreate)")
    return match.group(0)


def each(function: Callable[[str], None], items: Sequence[str]) -> None:
    """Call ``function`` with each item, all at once; the first error is raised when all have ended."""
    with ThreadPoolExecutor(max_workers=max(1, len(items))) as pool:
        list(pool.map(function, items))
