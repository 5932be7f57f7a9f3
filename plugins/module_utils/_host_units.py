# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt)
# SPDX-License-Identifier: BSD-2-Clause
#
# Private: may change in any release.
"""systemd units: enabled, started, and restarted exactly when they run with old files."""

from __future__ import annotations

import os
import re
from datetime import datetime, timezone
from typing import Any

from ._host import Host, HostError, Record

_UNIT_NAME = re.compile(r"^[A-Za-z0-9@:._\\-]+\.(service|socket|timer|mount|target|path|slice)$")
_PROPERTIES = (
    "Id",
    "LoadState",
    "ActiveState",
    "SubState",
    "UnitFileState",
    "NeedDaemonReload",
    "Type",
    "ExecMainStartTimestamp",
    "ActiveEnterTimestamp",
    "StateChangeTimestamp",
)
_RUNNING = ("active", "reloading", "activating", "refreshing")


def parse_timestamp(text: str) -> float:
    """Seconds since the epoch of systemd's ``us+utc`` format; 0 when the unit never was in that state."""
    if not text or text == "n/a":
        return 0.0
    form = "%a %Y-%m-%d %H:%M:%S.%f %Z" if "." in text else "%a %Y-%m-%d %H:%M:%S %Z"
    return datetime.strptime(text, form).replace(tzinfo=timezone.utc).timestamp()


class Units:
    """The units of one call."""

    def __init__(self, host: Host, items: list[dict[str, Any]]) -> None:
        self.host = host
        self.items = items
        for item in items:
            if not _UNIT_NAME.match(item["name"]):
                raise HostError(f"'{item['name']}' is not the full name of a unit, such as 'containerd.service'")

    def states(self) -> dict[str, dict[str, str]]:
        """Properties of each unit, by one question to the manager."""
        names = [item["name"] for item in self.items]
        argv = ["systemctl", "show", "--timestamp=us+utc", f"--property={','.join(_PROPERTIES)}", "--", *names]
        blocks = self.host.run(argv).stdout.strip().split("\n\n")
        if len(blocks) != len(names):
            raise HostError(f"systemctl show answered for {len(blocks)} units instead of {len(names)}")
        return {
            name: dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
            for name, block in zip(names, blocks)
        }

    def apply(self, record: Record, changed_paths: set[str]) -> None:
        """Reload the manager, enable, start, stop, restart or reload, each only when needed.

        ``changed_paths``: files that this call changed or would change.
        """
        if not self.items:
            return
        states = self.states()
        unit_files = {path for path in changed_paths if path.startswith(("/etc/systemd/system/", "/lib/systemd/"))}
        reload_manager = unit_files or any(state["NeedDaemonReload"] == "yes" for state in states.values())
        if reload_manager:
            record.add("systemd", "daemon-reload", "reload")
            if not self.host.check:
                self.host.run(["systemctl", "daemon-reload"])
                states = self.states()
        self._enable(record, states, unit_files)
        for item in self.items:
            self._run(record, item, states[item["name"]], changed_paths)

    def _enable(self, record: Record, states: dict[str, dict[str, str]], unit_files: set[str]) -> None:
        for item in self.items:
            name, wanted, state = item["name"], item["enabled"], states[item["name"]]
            if wanted is None:
                continue
            found = state["UnitFileState"]
            if found == "masked" and wanted:
                raise HostError(f"{name} is masked by the administrator: 'systemctl unmask {name}' when it is to run")
            pending = self.host.check and state["LoadState"] == "not-found"
            if not pending and state["LoadState"] == "not-found":
                raise HostError(f"{name} does not exist on this host")
            enabled = found in ("enabled", "alias", "static", "indirect", "generated") and not pending
            if enabled == wanted or (not wanted and found in ("static", "indirect", "generated", "masked", "")):
                record.add("unit_enabled", name)
                continue
            action = "enable" if wanted else "disable"
            record.add("unit_enabled", name, action, f"{found or 'absent'}\n", f"{action}d\n")
            if not self.host.check:
                self.host.run(["systemctl", action, "--", name])

    def _run(self, record: Record, item: dict[str, Any], state: dict[str, str], changed_paths: set[str]) -> None:
        name, found = item["name"], state["ActiveState"]
        running = found in _RUNNING
        action = ""
        if item["state"] == "stopped":
            action = "stop" if running else ""
        elif running:
            # Only a service has a main process; a timer has become active at most.
            if self._newer(item["restart_on"], changed_paths, state.get("ExecMainStartTimestamp", ""), state):
                action = "restart"
            elif self._newer(item["reload_on"], changed_paths, state["StateChangeTimestamp"], state):
                action = "reload"
        elif item["state"] == "started":
            action = "start"
        record.add("unit", name, action, f"{found or 'absent'}\n", f"{action}\n")
        if action and not self.host.check:
            self._act(name, action)

    def _newer(self, paths: list[str], changed: set[str], since: str, state: dict[str, str]) -> bool:
        """True when one of the files changed now, or after the unit read them: a killed run is completed so."""
        start = parse_timestamp(since) or parse_timestamp(state["ActiveEnterTimestamp"])
        for path in paths:
            if path in changed:
                return True
            place = self.host.path(path)
            if start and os.path.exists(place) and os.stat(place).st_mtime > start:
                return True
        return False

    def _act(self, name: str, action: str) -> None:
        verb = "reload-or-restart" if action == "reload" else action
        try:
            self.host.run(["systemctl", verb, "--", name])
            if action != "stop":
                answer = self.host.run(["systemctl", "is-failed", "--", name], accept=range(256))
                if answer.stdout.strip() == "failed":
                    raise HostError(f"{name} failed right after it was asked to {action}")
        except HostError as error:
            journal = self.host.run(["journalctl", "--no-pager", "--lines=15", "--output=cat", "-u", name], range(256))
            raise HostError(f"{error}; last lines of its journal:\n{journal.stdout.strip()}") from None
