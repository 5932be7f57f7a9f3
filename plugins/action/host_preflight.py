# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Add to ``host_preflight`` what only the controller knows: its own clock, and the facts of the other hosts."""

from __future__ import annotations

import os
import socket
import time
from typing import Any

from ansible.plugins.action import ActionBase

MODULE = "onprem.platform.host_preflight"


def clock_difference(epoch: float, before: float, after: float) -> float:
    """Seconds that a host is ahead (negative: behind), as far as the duration of the call allows to say.

    The host read its clock somewhere between ``before`` and ``after``; inside of that span the difference counts as 0.
    """
    if epoch < before:
        return epoch - before
    return max(0.0, epoch - after)


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core ships no types
    """Run the module on the host."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the module's result, with the clock's difference to the controller added to the facts."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = {key: value for key, value in self._task.args.items() if not key.startswith("_")}
        # Workers of one run have one parent; that is all the listeners need to know each other's peers by.
        arguments.setdefault("token", f"{socket.gethostname()}-{os.getppid()}")
        if arguments.get("phase") == "mesh":
            arguments["_targets"] = self._targets(arguments, task_vars or {})
        before = time.time()
        result.update(self._execute_module(module_name=MODULE, module_args=arguments, task_vars=task_vars))
        if "facts" in result:
            clock = result["facts"]["clock"]
            clock["controller_difference"] = clock_difference(clock["epoch"], before, time.time())
        return result

    @staticmethod
    def _targets(arguments: dict[str, Any], task_vars: dict[str, Any]) -> list[dict[str, Any]]:
        variable = arguments.get("facts_variable") or "__preflight_facts"
        targets = []
        for name in arguments.get("hosts") or []:
            facts = (task_vars["hostvars"][name].get(variable) or {}).get("facts")
            if facts:
                own = next(
                    (a["interface"] for a in facts["network"]["addresses"] if a["address"] == facts["address"]), None
                )
                targets.append(
                    {
                        "host": name,
                        "address": facts["address"],
                        "listening": facts["ports"]["listening"],
                        "in_use": facts["ports"]["reachable"],
                        "mtu": facts["network"]["interfaces"].get(own, {}).get("mtu", 1500),
                    }
                )
        return targets
