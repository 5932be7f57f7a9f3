# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt)
# SPDX-License-Identifier: BSD-2-Clause
#
# Private: may change in any release.
"""Debian packages from files, without a mirror."""

from __future__ import annotations

import os
from typing import Any

from ._host import Host, HostError, Record, exclusive, file_sha256, write_file
from ._host_files import Staging

# The protocol of dpkg and apt: who holds this lock tells dpkg so by DPKG_FRONTEND_LOCKED.
LOCK_FILE = "/var/lib/dpkg/lock-frontend"
POLICY_FILE = "/usr/sbin/policy-rc.d"
# invoke-rc.d and deb-systemd-invoke ask this file; 101 means "not allowed": no package starts a service of its own
# accord. The mark lets the next run remove the file when this one is killed.
POLICY_MARK = "# onprem.platform: packages do not start services while they are installed"
POLICY_TEXT = f"#!/bin/sh\n{POLICY_MARK}\nexit 101\n"


def distribution(host: Host) -> str:
    """Identifier and version of the operating system, such as ``debian-12`` (os-release(5))."""
    values = {}
    for line in (host.read("/etc/os-release") or "").splitlines():
        key, separator, value = line.partition("=")
        if separator:
            values[key] = value.strip().strip("\"'")
    return f"{values.get('ID', 'unknown')}-{values.get('VERSION_ID', 'unknown')}"


class Packages:
    """The packages of one call."""

    def __init__(self, host: Host, items: list[dict[str, Any]]) -> None:
        self.host = host
        self.items = items
        self._installed: dict[str, str] | None = None

    def installed(self) -> dict[str, str]:
        """Version of each completely installed package of the call."""
        if self._installed is None:
            self._installed = {}
            if self.items:
                names = [item["name"] for item in self.items]
                answer = self.host.run(
                    ["dpkg-query", "--show", "--showformat=${Package}\\t${db:Status-Abbrev}\\t${Version}\\n", *names],
                    accept=(0, 1),
                )
                for line in answer.stdout.splitlines():
                    name, status, version = line.split("\t")
                    if status.strip() == "ii" or status.strip() == "hi":
                        self._installed[name] = version
        return self._installed

    def missing(self) -> list[dict[str, Any]]:
        """Packages that are not installed, or older than wanted. A newer one is left alone."""
        own = distribution(self.host)
        result = []
        for item in self.items:
            found = self.installed().get(item["name"])
            if item["distribution"] not in (None, own):
                # Libraries are named otherwise elsewhere; the distribution's own packages bring theirs.
                if found is None and not item["name"].startswith("lib"):
                    raise HostError(
                        f"package {item['name']} is missing, and the bundle has it for {item['distribution']}, not for "
                        f"{own}: install it from the distribution's mirror"
                    )
                continue
            if found is None or (found != item["version"] and self._older(found, item["version"])):
                result.append(item)
        return result

    def _older(self, found: str, wanted: str) -> bool:
        return self.host.run(["dpkg", "--compare-versions", found, "lt", wanted], accept=(0, 1)).code == 0

    def needed(self) -> list[str]:
        """SHA-256 of the package files that must be uploaded."""
        return [item["sha256"] for item in self.missing()]

    def apply(self, record: Record, staging: Staging | None) -> None:
        """Install what is missing in one go; existing configuration files are kept."""
        self._remove_policy()
        missing = self.missing()
        for item in self.items:
            if item not in missing:
                record.add("package", item["name"])
                continue
            before = self.installed().get(item["name"])
            action = "upgrade" if before else "install"
            record.add("package", item["name"], action, f"{before}\n" if before else "", f"{item['version']}\n")
        if missing and not self.host.check:
            if staging is None:
                raise HostError("the package files were not uploaded")
            self._install(missing, staging)

    def _install(self, missing: list[dict[str, Any]], staging: Staging) -> None:
        files = []
        for item in missing:
            path = staging.file(item["sha256"])
            if file_sha256(path) != item["sha256"]:
                raise HostError(f"package {item['name']} was damaged on its way: renew the bundle")
            # dpkg takes any file name; the name only serves its messages.
            named = os.path.join(os.path.dirname(path), f"{item['name']}.deb")
            os.rename(path, named)
            files.append(named)
        policy = self.host.path(POLICY_FILE)
        environment = {
            "DEBIAN_FRONTEND": "noninteractive",
            "DEBCONF_NONINTERACTIVE_SEEN": "true",
            "DPKG_FRONTEND_LOCKED": "1",
        }
        command = ["dpkg", "--force-confdef", "--force-confold", "--install", *files]
        with exclusive(self.host.path(LOCK_FILE), "the package database"):
            own_policy = not os.path.lexists(policy)
            if own_policy:
                write_file(policy, POLICY_TEXT.encode(), 0o755, 0, 0)
            try:
                self.host.run(command, environment=environment)
            except HostError as error:
                names = ", ".join(item["name"] for item in missing)
                raise HostError(f"packages {names} were not installed: {error}") from None
            finally:
                if own_policy:
                    os.unlink(policy)
        self._installed = None

    def _remove_policy(self) -> None:
        if not self.host.check and POLICY_MARK in (self.host.read(POLICY_FILE) or ""):
            os.unlink(self.host.path(POLICY_FILE))
