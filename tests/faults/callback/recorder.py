# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes what happened as JSON lines, one for each task that begins and each result on a host. For tests only."""

from __future__ import annotations

DOCUMENTATION = r"""
name: recorder
type: notification
short_description: Record tasks and results as JSON lines
description:
  - Each line is flushed, so that a test can watch a run and act at a certain point of it.
author:
  - onprem.platform contributors (@onprem-platform)
options:
  output:
    description: File that gets the lines.
    type: path
    required: true
    env:
      - name: ONPREM_RECORDER_OUTPUT
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase


def headers(result: Mapping[str, Any]) -> list[str]:
    """Return the names of the files, units and objects that a result's diff shows."""
    diffs = result.get("diff") or []
    found = []
    for diff in [diffs] if isinstance(diffs, Mapping) else diffs:
        name = str(diff.get("after_header") or diff.get("before_header") or "")
        if diff.get("before") != diff.get("after") or "prepared" in diff:
            found.append(name)
    return sorted(found)


class CallbackModule(CallbackBase):  # type: ignore[misc]  # ansible-core ships no types
    """Callback ``recorder``."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "recorder"
    CALLBACK_NEEDS_ENABLED = True

    def _write(self, **event: Any) -> None:
        with Path(self.get_option("output")).open("a", encoding="utf-8") as file:
            file.write(json.dumps(event, default=str) + "\n")

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        """Note that a task begins."""
        self._write(event="task", task=task.get_name())

    def _result(self, outcome: str, result: Any) -> None:
        content = result.result
        self._write(
            event="result",
            outcome=outcome,
            host=result.host.get_name(),
            task=result.task.get_name(),
            changed=bool(content.get("changed")),
            items=headers(content),
            message=str(content.get("msg", "")),
        )

    def v2_runner_on_ok(self, result: Any) -> None:
        """Note a result."""
        self._result("ok", result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Note a failure."""
        self._result("ignored" if ignore_errors else "failed", result)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """Note a host that does not answer."""
        self._result("unreachable", result)
