# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private: may change in any release.
"""The checks of preflight. Each is a function of all hosts together and changes nothing."""

from __future__ import annotations

import difflib
import ipaddress
import json
import re
import statistics
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ..module_utils._preflight_facts import CLUSTER_INTERFACES
from ._bundle_common import BundleError
from ._bundle_index import Index
from ._preflight import WARNING, Finding, Machine, Site, check

_GIB = 1 << 30
_LABEL = re.compile(r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")
# Debian 12 is what the tests run on; the others are written for.
_SYSTEMS = {("debian", "12"): True, ("debian", "13"): False, ("ubuntu", "24.04"): False}
# kube-proxy's nftables mode needs 5.13 (kubernetes.io, "Virtual IPs and Service Proxies").
_KERNEL = (5, 13)
_PYTHON = (3, 9)
# Processes of the platform itself, by port; names as the kernel keeps them (15 characters).
_OWN = {
    "2379/tcp": "etcd",
    "2383/tcp": "haproxy",
    "2380/tcp": "etcd",
    "5000/tcp": "registry",
    "5001/tcp": "registry",
    "6443/tcp": "kube-apiserver",
    "7443/tcp": "haproxy",
    "8472/udp": "kernel",
    "9100/tcp": "node_exporter",
    "9962/tcp": "cilium-agent",
    "9963/tcp": "cilium-operator",
    "10248/tcp": "kubelet",
    "10249/tcp": "kube-proxy",
    "10250/tcp": "kubelet",
    "10256/tcp": "kube-proxy",
    "10257/tcp": "kube-controller",
    "10259/tcp": "kube-scheduler",
}


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text)[:2])


def _facts(site: Site) -> Iterator[tuple[Machine, dict[str, Any]]]:
    for machine in site.machines:
        if machine.facts:
            yield machine, machine.facts


# --- names, variables, bundle: what the controller alone can tell ----------------------------------------------------
@check("reachable")
def reachable(site: Site) -> Iterator[Finding]:
    """Every host answers over SSH and can run the module."""
    for machine in site.machines:
        if not machine.facts:
            message = " ".join(machine.message.split())[:300] or "no answer"
            fix = f"check address, SSH key and that {machine.name} is up: ansible {machine.name} -m ping"
            yield Finding(machine.name, "reachable", message, "an answer over SSH", fix)


@check("names")
def names(site: Site) -> Iterator[Finding]:
    """Host names and the domain follow RFC 1123, and no two hosts are the same node."""
    wanted = "RFC 1123: lower-case letters, digits, '-', at most 63 characters"
    for machine in site.machines:
        if not all(_LABEL.match(part) for part in machine.name.split(".")) or len(machine.name) > 253:
            yield Finding(machine.name, "names", f"host '{machine.name}'", wanted, "rename the host in the inventory")
    nodes = [(machine.name, machine.variables.get("kubernetes_node_name", machine.name)) for machine in site.machines]
    # A value that refers to a role's own defaults is known to that role alone.
    nodes = [(host, node) for host, node in nodes if isinstance(node, str)]
    yield from _duplicates("names", nodes, "node name", "give each host a kubernetes_node_name of its own")
    for variable in ("platform_name", "platform_domain"):
        value = str(site.settings[variable])
        if not all(_LABEL.match(part) for part in value.split(".")):
            yield Finding("", "names", f"{variable} '{value}'", wanted, f"correct {variable}")


@check("control_plane_count")
def control_plane_count(site: Site) -> Iterator[Finding]:
    """An odd number of control planes, as etcd's majority wants."""
    count = len(site.control_planes)
    if count % 2 == 0:
        fix = "add or remove a host in the group control_plane: an even number tolerates no more failures than one less"
        yield Finding("", "control_plane_count", f"{count} control planes", "1, 3 or 5", fix)


@check("variable_names")
def variable_names(site: Site) -> Iterator[Finding]:
    """No variable with a role's prefix that no role knows."""
    # A prefix is the platform's only when the role documents its options.
    roles = set(site.settings["prefixes"]) & set(site.known_variables.values())
    pattern = re.compile(rf"^({'|'.join(sorted(roles)) or 'none'})_")
    for machine in site.machines:
        for name in sorted(machine.variables):
            if pattern.match(name) and name not in site.known_variables:
                near = difflib.get_close_matches(name, site.known_variables, n=1, cutoff=0.6)
                fix = f"did you mean {near[0]}?" if near else "remove it, or rename it if it is your own"
                yield Finding(machine.name, "variable_names", f"variable {name}", "a variable of a role", fix)


@check("variable_values")
def variable_values(site: Site) -> Iterator[Finding]:
    """Values have the type and are among the choices that the roles document."""
    for host, message in site.value_errors:
        yield Finding(host, "variable_values", message, "a value as documented", "correct it in the inventory")


@check("cidr")
def cidr(site: Site) -> Iterator[Finding]:
    """Pod, service and host networks do not overlap."""
    networks: dict[str, Any] = {}
    for variable in ("platform_pod_cidr", "platform_service_cidr"):
        try:
            networks[variable] = ipaddress.ip_network(str(site.settings[variable]))
        except ValueError as error:
            yield Finding("", "cidr", f"{variable}: {error}", "a network such as 10.244.0.0/16", f"correct {variable}")
    if len(networks) < 2:
        return
    pods, services = networks["platform_pod_cidr"], networks["platform_service_cidr"]
    if pods.version == services.version and pods.overlaps(services):
        fix = "choose platform_pod_cidr and platform_service_cidr that do not overlap"
        yield Finding("", "cidr", f"pods {pods} overlap services {services}", "separate networks", fix)
    dns = str(site.settings["platform_dns_service_ip"])
    if not _inside(dns, services):
        fix = "choose platform_dns_service_ip inside of platform_service_cidr"
        yield Finding("", "cidr", f"platform_dns_service_ip {dns}", f"an address of {services}", fix)
    if pods.version == 4 and len(site.machines) > 2 ** max(0, 24 - pods.prefixlen):
        fix = "choose a larger platform_pod_cidr: each node takes a /24"
        yield Finding("", "cidr", f"pods {pods} for {len(site.machines)} nodes", "a /24 for each node", fix)
    for machine, facts in _facts(site):
        for what, network in _host_networks(facts):
            for variable, cluster in networks.items():
                if network.version == cluster.version and network.overlaps(cluster):
                    fix = f"choose another {variable}, or another network for the hosts"
                    yield Finding(
                        machine.name, "cidr", f"{what} {network} overlaps {variable} {cluster}", "no overlap", fix
                    )


def _inside(address: str, network: Any) -> bool:
    try:
        return ipaddress.ip_address(address) in network
    except ValueError:
        return False


def _host_networks(facts: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Networks that a host uses outside of a cluster."""
    seen = set()
    network = facts["network"]
    for entry in network["addresses"]:
        if not CLUSTER_INTERFACES.match(entry["interface"]):
            own = ipaddress.ip_interface(f"{entry['address']}/{entry['prefix']}").network
            seen.add(own)
            yield f"network of {entry['interface']}", own
    for entry in network["routes"]:
        route = ipaddress.ip_network(entry["destination"])
        if route.prefixlen and route not in seen and not CLUSTER_INTERFACES.match(entry["interface"]):
            yield f"route by {entry['interface']}", route
    for server in network["nameservers"] + network["upstream"]:
        try:
            yield "nameserver", ipaddress.ip_network(server.split("%")[0])
        except ValueError:
            continue


@check("bundle")
def bundle(site: Site) -> Iterator[Finding]:
    """The bundle has what the roles need, undamaged."""
    directory = Path(str(site.settings["bundle_directory"])).expanduser()
    fix = "fill the bundle again: ansible-playbook onprem.platform.bundle"
    if not (directory / "index.json").is_file():
        yield Finding("", "bundle", f"no {directory}/index.json", "a complete bundle", fix)
        return
    try:
        index = Index(directory)
    except BundleError as error:
        yield Finding("", "bundle", str(error), "a readable index", fix)
        return
    have = {(entry["kind"], entry["name"]) for entry in index.entries}
    required = [tuple(wanted.split("/")) for wanted in site.settings["bundle_required"]]
    missing = [f"{kind} {name}" for kind, name in required if (kind, name) not in have]
    if missing:
        yield Finding("", "bundle", f"without {', '.join(missing)}", "a complete bundle", fix)
    for problem in index.problems() if site.settings["bundle_verify"] == "full" else _quick_problems(index):
        yield Finding("", "bundle", problem, "the content that the index names", fix)


def _quick_problems(index: Index) -> Iterator[str]:
    """Files that were touched since their checksum was taken are read again; of images, size and presence of blobs."""
    images = []
    for entry in index.entries:
        if entry["kind"] == "image":
            images.append(entry)
        elif not index.path(entry).is_file():
            yield f"{index.path(entry)}: missing"
        elif not index.intact(entry):
            yield f"{index.path(entry)}: its sha256 is not {entry['sha256']}"
    blobs = index.directory / "images" / "blobs" / "sha256"
    for entry in images:
        try:
            manifest = json.loads((blobs / entry["digest"].removeprefix("sha256:")).read_bytes())
            for part in [manifest["config"], *manifest["layers"]]:
                if (blobs / part["digest"].removeprefix("sha256:")).stat().st_size != part["size"]:
                    raise ValueError(f"blob {part['digest']} has another size")
        except (OSError, ValueError, KeyError) as error:
            yield f"image {entry['name']} {entry['version']}: {error}"


# --- each host by itself ---------------------------------------------------------------------------------------------
@check("privileges")
def privileges(site: Site) -> Iterator[Finding]:
    """The module ran as root."""
    for machine, facts in _facts(site):
        if not facts["os"]["root"]:
            fix = "connect as root, or set ansible_become: true and allow sudo for the user"
            yield Finding(machine.name, "privileges", "not root", "root, directly or through sudo", fix)


@check("operating_system")
def operating_system(site: Site) -> Iterator[Finding]:
    """A distribution that the roles are written for, with systemd, on the bundle's architecture."""
    for machine, facts in _facts(site):
        system = facts["os"]
        tested = _SYSTEMS.get((system["distribution"], system["version"]))
        if tested is None:
            fix = "install one of these, or skip this check at your own risk"
            yield Finding(
                machine.name, "operating_system", system["name"] or "unknown", "Debian 12, Debian 13, Ubuntu 24.04", fix
            )
        elif not tested:
            fix = "none needed; try it on one host first"
            yield Finding(machine.name, "operating_system", system["name"], "Debian 12, the tested one", fix, WARNING)
        if system["architecture"] != "x86_64":
            fix = "use amd64 machines: the bundle has programs for these only"
            yield Finding(machine.name, "operating_system", system["architecture"], "x86_64", fix)
        if not system["systemd"]:
            yield Finding(machine.name, "operating_system", "no systemd", "systemd", "boot the host with systemd")


@check("kernel")
def kernel(site: Site) -> Iterator[Finding]:
    """Kernel and Python are new enough."""
    for machine, facts in _facts(site):
        for what, found, wanted in (
            ("kernel", facts["os"]["kernel"], _KERNEL),
            ("Python", facts["os"]["python"], _PYTHON),
        ):
            if _version(found) < wanted:
                need = f"{what} {wanted[0]}.{wanted[1]} or newer"
                yield Finding(machine.name, "kernel", f"{what} {found}", need, "upgrade the operating system")


@check("kernel_features")
def kernel_features(site: Site) -> Iterator[Finding]:
    """The kernel has what container runtime and pod network need."""
    for machine, facts in _facts(site):
        settings = facts["kernel_features"]
        missing = sorted(name for name, value in settings.items() if value == "n")
        if missing:
            yield Finding(
                machine.name, "kernel_features", f"without {', '.join(missing)}", "y or m", "use a kernel that has them"
            )
        elif "unknown" in settings.values():
            site.not_run.append((machine.name, "kernel_features: the kernel's configuration is not readable"))


@check("capacity")
def capacity(site: Site) -> Iterator[Finding]:
    """Processors, memory and disk."""
    for machine, facts in _facts(site):
        wanted = site.settings["minimum"]["control_plane" if machine.control_plane else "worker"]
        found = facts["capacity"]
        if found["processors"] < wanted["processors"]:
            need = f"at least {wanted['processors']}"
            yield Finding(machine.name, "capacity", f"{found['processors']} processors", need, "give the host more")
        if found["memory"] < wanted["memory_gib"] * _GIB:
            memory = f"{found['memory'] / _GIB:.1f} GiB memory"
            yield Finding(
                machine.name, "capacity", memory, f"at least {wanted['memory_gib']} GiB", "give the host more"
            )
        for disk in found["disks"]:
            need_gib = wanted["free_gib"].get(disk["path"])
            if need_gib and disk["free"] < need_gib * _GIB:
                free = f"{disk['free'] / _GIB:.1f} GiB free for {disk['path']}"
                yield Finding(machine.name, "capacity", free, f"at least {need_gib} GiB", "free or add disk space")


@check("swap")
def swap(site: Site) -> Iterator[Finding]:
    """No swap, and none that comes back at the next start."""
    for machine, facts in _facts(site):
        if machine.kubelet.get("failSwapOn") is False:
            continue
        active, sources = facts["swap"]["active"], facts["swap"]["sources"]
        origin = f" (from {', '.join(sources)})" if sources else ""
        if active:
            fix = f"swapoff --all, and remove its source{origin}"
            yield Finding(machine.name, "swap", f"active: {', '.join(active)}", "no swap", fix)
        elif sources:
            yield Finding(machine.name, "swap", f"off, but comes back{origin}", "no swap", "remove its source", WARNING)


@check("cgroup")
def cgroup(site: Site) -> Iterator[Finding]:
    """cgroup version 2, or a kubelet that is told to accept version 1."""
    for machine, facts in _facts(site):
        if facts["cgroup"] == 1 and machine.kubelet.get("failCgroupV1") is not False:
            fix = "boot with cgroup v2, or set failCgroupV1: false in kubernetes_kubelet_configuration"
            yield Finding(machine.name, "cgroup", "cgroup version 1", "cgroup version 2", fix)


@check("resolver")
def resolver(site: Site) -> Iterator[Finding]:
    """The nameservers for the cluster are not the host's own stub, and not more than three."""
    for machine, facts in _facts(site):
        if machine.variables.get("node_resolv_conf_nameservers"):
            continue
        servers, upstream = facts["network"]["nameservers"], facts["network"]["upstream"]
        fix = "set node_resolv_conf_nameservers to the real nameservers"
        local = [server for server in servers if server.startswith("127.") or server == "::1"]
        if local and not upstream:
            wanted = "an address that pods can reach, or the name service would ask itself"
            yield Finding(machine.name, "resolver", f"nameserver {', '.join(local)}", wanted, fix)
        elif not servers and not upstream:
            yield Finding(machine.name, "resolver", "no nameserver", "one to three nameservers", fix, WARNING)
        if len(upstream or servers) > 3:
            count = f"{len(upstream or servers)} nameservers"
            yield Finding(machine.name, "resolver", count, "at most three; the C library ignores more", fix, WARNING)


@check("ports")
def ports(site: Site) -> Iterator[Finding]:
    """The platform's ports are free, or used by the platform itself."""
    for machine, facts in _facts(site):
        for port, process in sorted(facts["ports"]["used"].items()):
            if process != _OWN.get(port):
                wanted = f"free, or {_OWN.get(port, 'nothing')}"
                fix = f"stop {process}, or give it another port: ss -lnp 'sport = {port.split('/')[0]}'"
                yield Finding(machine.name, "ports", f"{port} is used by {process}", wanted, fix)
        for port, reason in sorted(facts["ports"]["refused"].items()):
            fix = f"make {facts['address']} an address of the host (node_ip), and the port free"
            yield Finding(machine.name, "ports", f"{port} cannot be opened: {reason}", "a port that opens", fix)


@check("remains")
def remains(site: Site) -> Iterator[Finding]:
    """No host belongs to another cluster."""
    machines = site.read()
    authorities = [machine.facts["remains"]["authority_sha256"] for machine in machines if machine.facts]
    known = [fingerprint for fingerprint in authorities if fingerprint]
    control = [
        machine.facts["remains"]["authority_sha256"]
        for machine in machines
        if machine.facts and machine.control_plane and machine.facts["remains"]["authority_sha256"]
    ]
    own = statistics.mode(control or known) if known else ""
    for machine, facts in _facts(site):
        found = facts["remains"]
        if found["other"]:
            fix = "uninstall it, or use a fresh machine"
            yield Finding(machine.name, "remains", f"{', '.join(found['other'])} is installed", "a bare host", fix)
        if found["authority_sha256"] and found["authority_sha256"] != own:
            what = f"belongs to another cluster (authority {found['authority_sha256'][:12]})"
            fix = f"if it may be wiped: ansible-playbook onprem.platform.reset --limit {machine.name}"
            yield Finding(machine.name, "remains", what, f"none, or authority {own[:12]}", fix)


@check("certificates")
def certificates(site: Site) -> Iterator[Finding]:
    """Certificates that exist are valid for a while."""
    limit, warn = site.settings["certificate_error_days"], site.settings["certificate_warning_days"]
    for machine, facts in _facts(site):
        for found in facts["certificates"]:
            # Short-lived ones are renewed by their owners in time; a quarter of the lifetime must be left.
            if found["days_left"] < min(warn, found["lifetime_days"] / 4):
                what = f"{found['path']}: {found['days_left']} days left"
                # What the platform renews by itself must not keep the run from doing so. Nobody renews kubeadm's.
                by_kubeadm = found["path"].startswith("/etc/kubernetes/")
                fatal = by_kubeadm and found["days_left"] < limit
                wanted = f"at least {limit if fatal else warn} days"
                fix = (
                    "renew it: kubeadm certs renew all, then restart the control plane (docs/operations.md)"
                    if by_kubeadm
                    else "renewed by the run"
                )
                yield Finding(machine.name, "certificates", what, wanted, fix, "error" if fatal else WARNING)


@check("firewall")
def firewall(site: Site) -> Iterator[Finding]:
    """A firewall service that is active must know the platform's ports."""
    for machine, facts in _facts(site):
        if facts["firewalls"]:
            fix = "allow the ports of docs/preflight.md, or disable it; the check 'mesh' shows what is blocked now"
            active = f"{', '.join(facts['firewalls'])} active"
            yield Finding(machine.name, "firewall", active, "none, or rules for the ports", fix, WARNING)


@check("disk_latency")
def disk_latency(site: Site) -> Iterator[Finding]:
    """etcd's disk answers quickly."""
    limit = site.settings["disk_latency_milliseconds"]
    for machine, facts in _facts(site):
        found = facts.get("sync_milliseconds")
        if found is not None and found > limit:
            fix = "put /var/lib/etcd on a faster disk: slow writes cost etcd its leader"
            what = f"99th percentile of a synchronised write: {found} ms"
            yield Finding(machine.name, "disk_latency", what, f"at most {limit} ms", fix, WARNING)


# --- hosts against each other ----------------------------------------------------------------------------------------
def _duplicates(name: str, values: Iterable[tuple[str, str]], what: str, fix: str) -> Iterator[Finding]:
    owners: dict[str, list[str]] = {}
    for host, value in values:
        if value and host not in owners.setdefault(value, []):
            owners[value].append(host)
    for value, hosts in owners.items():
        for host in hosts if len(hosts) > 1 else []:
            yield Finding(host, name, f"{what} {value} on {', '.join(hosts)}", "different on each host", fix)


@check("hostname")
def hostname(site: Site) -> Iterator[Finding]:
    """Each host has a name of its own, the one of the inventory."""
    values = [(machine.name, facts["identity"]["hostname"]) for machine, facts in _facts(site)]
    yield from _duplicates("hostname", values, "host name", "hostnamectl set-hostname NAME, one for each host")
    for name, found in values:
        if found not in (name, name.split(".")[0]):
            fix = f"hostnamectl set-hostname {name}"
            yield Finding(name, "hostname", f"host name {found}", f"{name}, as in the inventory", fix, WARNING)


@check("machine_id")
def machine_id(site: Site) -> Iterator[Finding]:
    """No two hosts are clones with the same machine id."""
    values = [(machine.name, facts["identity"]["machine_id"]) for machine, facts in _facts(site)]
    fix = "rm /etc/machine-id /var/lib/dbus/machine-id; systemd-machine-id-setup; reboot"
    yield from _duplicates("machine_id", values, "machine id", fix)


@check("product_uuid")
def product_uuid(site: Site) -> Iterator[Finding]:
    """No two hosts have the same product UUID."""
    values = [(machine.name, facts["identity"]["product_uuid"]) for machine, facts in _facts(site)]
    yield from _duplicates("product_uuid", values, "product UUID", "give the virtual machine a UUID of its own")


@check("mac_address")
def mac_address(site: Site) -> Iterator[Finding]:
    """No two hosts have the same MAC address."""
    values = [
        (machine.name, interface["mac"])
        for machine, facts in _facts(site)
        for name, interface in facts["network"]["interfaces"].items()
        if not CLUSTER_INTERFACES.match(name) and interface["mac"] not in ("", "00:00:00:00:00:00")
        if any(entry["interface"] == name for entry in facts["network"]["addresses"])
    ]
    yield from _duplicates("mac_address", values, "MAC address", "give the network card an address of its own")


@check("ip_address")
def ip_address(site: Site) -> Iterator[Finding]:
    """No two hosts have the same address, and each has the one by which the others reach it."""
    values = [
        (machine.name, entry["address"])
        for machine, facts in _facts(site)
        for entry in facts["network"]["addresses"]
        if not CLUSTER_INTERFACES.match(entry["interface"])
    ]
    yield from _duplicates("ip_address", values, "address", "give each host an address of its own")
    for machine, facts in _facts(site):
        if facts["address"] not in [entry["address"] for entry in facts["network"]["addresses"]]:
            own = ", ".join(entry["address"] for entry in facts["network"]["addresses"])
            fix = "set node_ip to the host's address in the cluster's network"
            yield Finding(machine.name, "ip_address", f"node_ip {facts['address']}", f"one of {own}", fix)


@check("clock")
def clock(site: Site) -> Iterator[Finding]:
    """The clocks agree, with each other and with the controller, and are kept so."""
    limit = site.settings["clock_skew_seconds"]
    fix = "set up time synchronisation on all hosts (chrony or systemd-timesyncd)"
    for machine, facts in _facts(site):
        ahead = [-entry["offset"] for entry in machine.mesh or [] if entry["offset"] is not None]
        skew = statistics.median(ahead) if ahead else 0.0
        difference = facts["clock"].get("controller_difference", 0.0)
        for value, reference in ((skew, "the other hosts"), (difference, "the controller")):
            if abs(value) > limit:
                direction = "ahead of" if value > 0 else "behind"
                what = f"{abs(value):.1f} s {direction} {reference}"
                yield Finding(machine.name, "clock", what, f"at most {limit} s", fix)
        if not facts["clock"]["synchronised"]:
            yield Finding(machine.name, "clock", "not synchronised", "synchronised by NTP", fix, WARNING)


@check("mesh")
def mesh(site: Site) -> Iterator[Finding]:
    """Every host reaches the platform's ports of every other."""
    firewalls = {machine.name: machine.facts["firewalls"] for machine in site.read() if machine.facts}
    for machine in site.read():
        if machine.mesh is None:
            site.not_run.append((machine.name, f"mesh: {machine.message or 'not tried'}"))
            continue
        for entry in machine.mesh:
            if entry["refused"]:
                what = "; ".join(f"{port} {reason}" for port, reason in sorted(entry["refused"].items()))
                active = ", ".join(firewalls.get(entry["host"], []))
                cause = f" ({active} is active there)" if active else ""
                fix = f"open the ports of {entry['host']} for the other hosts{cause}"
                yield Finding(machine.name, "mesh", f"to {entry['host']}: {what}", "a connection", fix)


@check("mtu")
def mtu(site: Site) -> Iterator[Finding]:
    """Packets of full size get through."""
    sizes = {}
    for machine, facts in _facts(site):
        own = next((a["interface"] for a in facts["network"]["addresses"] if a["address"] == facts["address"]), "")
        if own in facts["network"]["interfaces"]:
            sizes[machine.name] = facts["network"]["interfaces"][own]["mtu"]
        for entry in machine.mesh or []:
            if entry["path_mtu"] == 0:
                fix = "lower the interface's MTU to what the path carries, or let routers answer 'too big'"
                what = f"packets of full size do not reach {entry['host']}"
                yield Finding(machine.name, "mtu", what, "a path that carries the interface's MTU", fix)
    usual = statistics.mode(sizes.values()) if sizes else 0
    for name, size in sizes.items():
        if size != usual:
            yield Finding(name, "mtu", f"MTU {size}", f"{usual}, as the others", "use one MTU on all hosts", WARNING)
