# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Seconds and tasks of each phase of a run."""

from __future__ import annotations

DOCUMENTATION = r"""
name: phases
type: aggregate
short_description: Show how long each phase of a run took
version_added: 0.1.0
description:
  - A phase is a play. At the end of the run a table shows its seconds, its host tasks and how many of them changed
    something.
  - The JSON also has the moment at which each phase started, in seconds since the epoch.
author:
  - onprem.platform contributors (@onprem-platform)
options:
  output:
    description: File that also gets the table, as JSON.
    type: path
    env:
      - name: ONPREM_PHASES_OUTPUT
    ini:
      - section: callback_onprem_phases
        key: output
"""

import json
import time
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase


class CallbackModule(CallbackBase):  # type: ignore[misc] # ansible-core has no types
    """Callback ``phases``."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "onprem.platform.phases"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._phases: list[dict[str, Any]] = []
        self._started = 0.0

    def _end_phase(self) -> None:
        if self._phases:
            self._phases[-1]["seconds"] = round(self._phases[-1]["seconds"] + time.monotonic() - self._started, 1)

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """Begin a phase. A serial play starts once for each batch of hosts and is one phase."""
        self._end_phase()
        name = play.get_name().strip()
        if not self._phases or self._phases[-1]["phase"] != name:
            started = round(time.time(), 1)
            self._phases.append({"phase": name, "started": started, "seconds": 0.0, "tasks": 0, "changed": 0})
        self._started = time.monotonic()

    def v2_runner_on_ok(self, result: Any) -> None:
        """Count a task on a host."""
        self._count(changed=bool(result.result.get("changed")))

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Count a task on a host that failed."""
        self._count(changed=False)

    def _count(self, changed: bool) -> None:
        if self._phases:
            self._phases[-1]["tasks"] += 1
            self._phases[-1]["changed"] += changed

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Print the table."""
        self._end_phase()
        width = max([len(phase["phase"]) for phase in self._phases] + [5])
        self._display.banner("PHASES")
        self._display.display(f"{'phase':<{width}}  seconds  host tasks  changed")
        total = {
            "phase": "total",
            **{key: sum(phase[key] for phase in self._phases) for key in ("seconds", "tasks", "changed")},
        }
        for phase in [*self._phases, total]:
            self._display.display(
                f"{phase['phase']:<{width}}  {phase['seconds']:7.1f}  {phase['tasks']:10}  {phase['changed']:7}"
            )
        output = self.get_option("output")
        if output:
            Path(output).write_text(json.dumps({"phases": self._phases, "total": total}, indent=2), encoding="utf-8")
