# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run has changed, where it failed, and what to do next."""

from __future__ import annotations

DOCUMENTATION = r"""
name: summary
type: aggregate
short_description: Show what a run has changed, where it failed, and what to do next
version_added: 0.1.0
description:
  - At the end of a run a table shows each task that changed something, with its phase and how many hosts it changed,
    and each task that failed, with its hosts.
  - Below it stand the next steps after the playbooks of this collection. In check mode it says what would be changed.
  - Only names of phases, tasks and hosts are shown, never what a task returned.
author:
  - onprem.platform contributors (@onprem-platform)
options:
  lines:
    description: Tasks that the table shows at most.
    type: int
    default: 30
    env:
      - name: ONPREM_SUMMARY_LINES
    ini:
      - section: callback_onprem_summary
        key: lines
"""

from pathlib import Path
from typing import Any

from ansible import context
from ansible.plugins.callback import CallbackBase

# playbook -> what people do after it.
NEXT = {
    "bundle": ["onprem.platform.preflight: all findings of all hosts in one table, before anything is changed"],
    "lab": ["onprem.platform.site: the platform on these machines"],
    "preflight": ["onprem.platform.site: the platform on these hosts"],
    "site": [
        "onprem.platform.verify: prove by trial what the platform promises",
        "onprem.platform.status: nodes, applications, alerts and certificates on one screen",
    ],
    "reset": ["onprem.platform.preflight: whether the hosts are ready for the next cluster"],
}


class CallbackModule(CallbackBase):  # type: ignore[misc] # ansible-core has no types
    """Callback ``summary``."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "onprem.platform.summary"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._playbook = ""
        self._phase = ""
        # (phase, task) -> hosts, in the order of the run
        self._changed: dict[tuple[str, str], set[str]] = {}
        self._failed: dict[tuple[str, str], set[str]] = {}

    def v2_playbook_on_start(self, playbook: Any) -> None:
        """Remember which playbook runs."""
        self._playbook = Path(str(playbook._file_name)).stem

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """Begin a phase."""
        self._phase = play.get_name().strip()

    def v2_runner_on_ok(self, result: Any) -> None:
        """Note a change."""
        if result.result.get("changed"):
            self._note(self._changed, result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Note a failure that counts."""
        if not ignore_errors:
            self._note(self._failed, result)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """Note a host that did not answer, unless the task goes on without it."""
        if not result.task.ignore_unreachable:
            self._note(self._failed, result)

    def _note(self, where: dict[tuple[str, str], set[str]], result: Any) -> None:
        where.setdefault((self._phase, result.task.get_name().strip()), set()).add(result.host.get_name())

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Print what was changed, what failed, and the next steps."""
        check = bool(context.CLIARGS.get("check"))
        self._display.banner("SUMMARY")
        if not self._changed:
            self._display.display("Nothing would be changed." if check else "Nothing was changed.")
        self._table("would be changed" if check else "changed", self._changed)
        self._table("failed", self._failed)
        for line in self._steps(check):
            self._display.display(f"Next: {line}")

    def _table(self, title: str, found: dict[tuple[str, str], set[str]]) -> None:
        lines = int(self.get_option("lines"))
        for (phase, task), hosts in list(found.items())[:lines]:
            # Who failed is looked for; of a change, the number is enough.
            names = ", ".join(sorted(hosts)) if title == "failed" or len(hosts) == 1 else f"{len(hosts)} hosts"
            self._display.display(f"{title}: {phase}: {task} ({names})")
        if len(found) > lines:
            self._display.display(f"{title}: {len(found) - lines} more tasks")

    def _steps(self, check: bool) -> list[str]:
        if self._failed:
            return ["mend what the message above says, and start the same command again; it goes on where it stopped"]
        if check:
            return ["the same command without --check"] if self._changed else []
        return NEXT.get(self._playbook, [])
