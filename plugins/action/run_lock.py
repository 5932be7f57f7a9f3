# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep two runs from changing the same hosts at once."""

from __future__ import annotations

import getpass
import json
import os
import re
import shlex
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

from ..plugin_utils import _run_lock


class ActionModule(ActionBase):  # type: ignore[misc] # ansible-core has no types
    """Action ``run_lock``."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Take the lease, or fail and name its holder."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validation, arguments = self.validate_argument_spec(
            {"name": {"type": "str", "default": "site"}, "lease_seconds": {"type": "int", "default": 30}}
        )
        if not re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", arguments["name"]):
            raise AnsibleActionFail(
                f"'{arguments['name']}' is no name for a lock: use lower-case letters, digits and -."
            )
        if not hasattr(self._connection, "_build_command"):
            raise AnsibleActionFail("run_lock needs the ssh connection plugin.")
        main_process = os.getppid()
        run = _run_lock.run_identity(main_process)
        controller = Path("/etc/machine-id").read_text(encoding="utf-8").strip() or socket.gethostname()
        settings = {
            "directory": _run_lock.DIRECTORY,
            "name": arguments["name"],
            "lease_seconds": arguments["lease_seconds"],
            "holder": {
                "who": f"{getpass.getuser()}@{socket.gethostname()}",
                "controller": controller,
                "pid": main_process,
                "run": run,
            },
            "dead_runs": [],
            "take": not self._task.check_mode,
        }
        answer = self._ask(settings, run)
        held = answer.get("held_by")
        if held and held["controller"] == controller and _run_lock.is_dead(held["run"]):
            settings["dead_runs"] = [held["run"]]
            answer = self._ask(settings, run)
            held = answer.get("held_by")
        if held:
            since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(held["since"]))
            result.update(
                failed=True,
                holder=held,
                msg=(
                    f"Another run holds the lock '{arguments['name']}': {held['who']}, process {held['pid']}, "
                    f"since {since}, last renewed {held['renewed'] - held['since']:.0f} s later. Wait, or end it: "
                    f"its lease then ends within {held['lease_seconds']} s. Nothing was changed."
                ),
            )
            return result
        if answer.get("unreachable"):
            raise AnsibleConnectionFailure(f"The lock '{arguments['name']}' could not be taken: {answer['error']}")
        if "holder" not in answer:
            raise AnsibleActionFail(f"The lock '{arguments['name']}' could not be taken: {answer.get('error')}")
        result.update(changed=False, holder=answer["holder"])
        return result

    def _ask(self, settings: dict[str, Any], run: str) -> dict[str, Any]:
        """Start the process that holds the lease and return what it says first."""
        remote = shlex.join(["python3", "-c", _run_lock.remote_program(), json.dumps(settings)])
        if self._connection.become:
            remote = self._connection.become.build_become_command(remote, self._connection._shell)
        argv = self._connection._build_command(
            self._connection.get_option("ssh_executable"), "ssh", self._connection.host, remote
        )
        keeper = subprocess.Popen(
            [sys.executable, _run_lock.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        if keeper.stdin is None or keeper.stdout is None:
            raise AnsibleActionFail("The process that holds the lock has no standard streams.")
        order = {
            "argv": [os.fsdecode(part) for part in argv],
            "run": run,
            "lease_seconds": settings["lease_seconds"],
        }
        keeper.stdin.write(json.dumps(order).encode() + b"\n")
        keeper.stdin.close()
        line = keeper.stdout.readline()
        return dict(json.loads(line)) if line else {"error": "the process that holds the lock ended"}
