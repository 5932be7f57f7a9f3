# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt)
# SPDX-License-Identifier: BSD-2-Clause
#
# Private: may change in any release.
"""Kernel settings, kernel modules, system users, names in /etc/hosts and trusted certificate authorities."""

from __future__ import annotations

import ipaddress
import os
import pwd
import re
from typing import Any

from ._host import Host, HostError, Record, write_file

HOSTS_BEGIN = "# BEGIN {block}"
HOSTS_END = "# END {block}"
ANCHOR_DIRECTORY = "/usr/local/share/ca-certificates"
ANCHOR_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"

_SYSCTL_NAME = re.compile(r"^[a-z0-9_]+(\.[A-Za-z0-9_*/-]+)+$")
_MODULE_NAME = re.compile(r"^[A-Za-z0-9_-]+$")
_HOST_NAME = re.compile(r"^(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$")
_USER_NAME = re.compile(r"^[a-z_][a-z0-9_-]{0,30}$")
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", re.DOTALL)
# A module without parameters leaves no trace below /sys/module when it is built in; these files prove it.
_BUILT_IN_PROOF = {"br_netfilter": "/proc/sys/net/bridge", "nf_conntrack": "/proc/sys/net/netfilter"}


def write_text(host: Host, record: Record, kind: str, path: str, text: str, mode: int = 0o644) -> bool:
    """Bring one text file of root to the wanted content; True when it differed."""
    before = host.read(path)
    if before == text:
        record.add(kind, path)
        return False
    record.add(kind, path, "create" if before is None else "update", before or "", text)
    if not host.check:
        place = host.path(path)
        os.makedirs(os.path.dirname(place), mode=0o755, exist_ok=True)
        write_file(place, text.encode(), mode, 0, 0)
    return True


# --- kernel modules --------------------------------------------------------------------------------------------------
def module_loaded(host: Host, name: str) -> bool:
    """True when the module is loaded or part of the kernel."""
    module = name.replace("-", "_")
    if os.path.isdir(host.path(f"/sys/module/{module}")):
        return True
    if re.search(rf"^{re.escape(module)} ", host.read("/proc/modules") or "", re.MULTILINE):
        return True
    if re.search(rf"^(nodev)?\s+{re.escape(module)}$", host.read("/proc/filesystems") or "", re.MULTILINE):
        return True
    proof = _BUILT_IN_PROOF.get(module)
    if proof and os.path.isdir(host.path(proof)):
        return True
    builtin = host.read(f"/lib/modules/{os.uname().release}/modules.builtin") or ""
    return re.search(rf"/{re.escape(module).replace('_', '[-_]')}\.ko", builtin) is not None


def apply_modules(host: Host, record: Record, names: list[str], optional: list[str], path: str) -> bool:
    """Load kernel modules now and at each start; True when one is (or would be) loaded now.

    A missing module is an error, except when it is listed in ``optional``.
    """
    pending = False
    for name in [*names, *optional]:
        if not _MODULE_NAME.match(name):
            raise HostError(f"'{name}' is not the name of a kernel module")
        if module_loaded(host, name):
            record.add("kernel_module", name)
            continue
        if host.check:
            record.add("kernel_module", name, "load")
            pending = True
            continue
        try:
            host.run(["modprobe", "--", name])
        except HostError as error:
            if name not in optional:
                raise HostError(f"kernel module {name} cannot be loaded ({error}); use a kernel that has it") from None
            record.add("kernel_module", name)
            record.results[-1]["action"] = "not available"
            continue
        record.add("kernel_module", name, "load")
    write_text(host, record, "file", path, "".join(f"{name}\n" for name in [*names, *optional]))
    return pending


# --- sysctl ----------------------------------------------------------------------------------------------------------
def _sysctl_place(host: Host, name: str) -> str:
    # As sysctl(8): the first separator decides; "net.ipv4.conf.eth0/1.x" names an interface with a dot.
    return host.path("/proc/sys/" + name.replace(".", "\0").replace("/", ".").replace("\0", "/"))


def _live(place: str) -> str | None:
    try:
        with open(place, encoding="utf-8") as stream:
            return " ".join(stream.read().split())
    except OSError:
        return None


def apply_sysctl(
    host: Host, record: Record, wanted: dict[str, str], optional: list[str], path: str, modules_pending: bool
) -> None:
    """Write the settings to one file and bring the running kernel to them.

    A key that this kernel lacks, or whose value it refuses, is an error unless it is listed in ``optional``.
    In a check run, a key of a module that would first be loaded is taken as settable.
    """
    lines = []
    for name, raw in sorted(wanted.items()):
        if not _SYSCTL_NAME.match(name) or ".." in name:
            raise HostError(f"'{name}' is not the name of a kernel setting")
        value = " ".join(str(raw).split())
        lines.append(f"{'-' if name in optional else ''}{name} = {value}\n")
        place = _sysctl_place(host, name)
        found = _live(place)
        if found == value:
            record.add("sysctl", name)
        elif found is None and host.check and modules_pending:
            record.add("sysctl", name, "set", "", f"{value}\n")
        elif found is None or not _set_live(host, place, value, found):
            if name not in optional:
                why = "does not exist in this kernel" if found is None else f"stays at {found}: the kernel refuses"
                raise HostError(f"kernel setting {name} {why}; list it in sysctl_optional to go on without it")
            record.add("sysctl", name)
            record.results[-1]["action"] = "not available"
        else:
            record.add("sysctl", name, "set", f"{found}\n", f"{value}\n")
    write_text(host, record, "file", path, "".join(lines))


def _set_live(host: Host, place: str, value: str, found: str) -> bool:
    """Write a value to the running kernel; False when it is refused or does not stay."""
    if host.check:
        return os.access(place, os.W_OK)
    try:
        with open(place, "w", encoding="utf-8") as stream:
            stream.write(value)
    except OSError:
        return False
    return _live(place) == value


# --- /etc/hosts ------------------------------------------------------------------------------------------------------
def apply_hosts_entries(host: Host, record: Record, entries: list[dict[str, Any]], block: str) -> None:
    """Keep one marked block of /etc/hosts; everything outside of it stays as it is."""
    lines = []
    for entry in entries:
        try:
            address = str(ipaddress.ip_address(entry["address"]))
        except ValueError:
            raise HostError(f"hosts entry: '{entry['address']}' is not an IP address") from None
        for name in entry["names"]:
            if not _HOST_NAME.match(name):
                raise HostError(f"hosts entry: '{name}' is not a host name (RFC 1123: lower case, digits, '-', '.')")
        lines.append(f"{address} {' '.join(entry['names'])}\n")
    before = host.read("/etc/hosts") or ""
    begin, end = HOSTS_BEGIN.format(block=block), HOSTS_END.format(block=block)
    pattern = re.compile(rf"^{re.escape(begin)}\n.*?^{re.escape(end)}\n?", re.MULTILINE | re.DOTALL)
    rest = pattern.sub("", before)
    text = f"{begin}\n{''.join(lines)}{end}\n"
    found = pattern.search(before)
    if found and found.group(0) == text and len(pattern.findall(before)) == 1:
        record.add("hosts_entries", block)
        return
    after = (rest if not rest or rest.endswith("\n") else f"{rest}\n") + text
    record.add("hosts_entries", block, "update" if found else "create", before, after)
    if not host.check:
        write_file(host.path("/etc/hosts"), after.encode(), 0o644, 0, 0)


# --- users -----------------------------------------------------------------------------------------------------------
def apply_users(host: Host, record: Record, users: list[dict[str, Any]]) -> None:
    """Create system users, each with a group of its own name, without a password and without a login shell."""
    for user in users:
        name, home = user["name"], user["home"]
        if not _USER_NAME.match(name):
            raise HostError(f"'{name}' is not a user name")
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            record.add("user", name, "create", "", f"home {home}\n")
            if not host.check:
                options = ["--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin"]
                host.run(["useradd", *options, "--home-dir", home, "--", name])
            continue
        if found.pw_dir == home:
            record.add("user", name)
            continue
        record.add("user", name, "update", f"home {found.pw_dir}\n", f"home {home}\n")
        if not host.check:
            host.run(["usermod", "--home", home, "--", name])


# --- trusted certificate authorities ---------------------------------------------------------------------------------
def _bodies(pem: str) -> list[str]:
    return ["".join(body.split()) for body in _PEM.findall(pem)]


def apply_trust_anchors(host: Host, record: Record, anchors: list[dict[str, Any]]) -> None:
    """Add certificate authorities to the host's trust store (Debian and Ubuntu: update-ca-certificates)."""
    stale = False
    for anchor in anchors:
        if not re.match(r"^[a-z0-9][a-z0-9.-]*$", anchor["name"]):
            raise HostError(f"trust anchor '{anchor['name']}': use lower-case letters, digits, '.' and '-'")
        bodies = _bodies(anchor["content"])
        # A check run before the first real one has no authority yet; that the file would be written is still said.
        planned = host.check and not bodies
        if len(bodies) != 1 and not planned:
            raise HostError(f"trust anchor {anchor['name']} holds {len(bodies)} certificates; exactly one is wanted")
        changed = write_text(
            host, record, "trust_anchor", f"{ANCHOR_DIRECTORY}/{anchor['name']}.crt", anchor["content"]
        )
        # Asked of the store itself, so that a run killed before the update is completed by the next one.
        stale = stale or changed or planned or bodies[0] not in _bodies(host.read(ANCHOR_BUNDLE) or "")
    if stale:
        record.add("trust_store", ANCHOR_BUNDLE, "update")
        if not host.check:
            host.run(["update-ca-certificates"])
