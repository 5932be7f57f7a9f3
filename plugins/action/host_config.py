# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Send ``host_config`` to the host, and the files that it asks for."""

from __future__ import annotations

import os
import tempfile
from typing import Any

from ansible import constants as C
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ..plugin_utils._host_config import Call, ConfigurationError, prepare, split_by_size, write_archive

MODULE = "onprem.platform.host_config"


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core ships no types
    """One module call when nothing binary differs; otherwise an upload and a second call."""

    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the module's result with ``uploaded`` added."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        try:
            call = prepare(self._task.args)
        except ConfigurationError as error:
            raise AnsibleActionFail(str(error)) from None
        answer = self._execute_module(module_name=MODULE, module_args=dict(call.arguments), task_vars=task_vars)
        uploaded = {"files": 0, "bytes": 0}
        needed = answer.pop("needed", None)
        if needed and not answer.get("failed"):
            staging = self._upload(call, needed)
            uploaded = {"files": len(needed), "bytes": sum(os.path.getsize(call.sources[name]) for name in needed)}
            arguments = {**call.arguments, **staging}
            answer = self._execute_module(module_name=MODULE, module_args=arguments, task_vars=task_vars)
        result.update(answer)
        if not result.get("failed"):
            result["uploaded"] = uploaded
        return result

    def _upload(self, call: Call, needed: list[str]) -> dict[str, str]:
        """Bring files to a directory on the host, which the module empties.

        It always has the same name, so that what a killed run left behind is replaced and does not pile up.
        """
        directory = self._staging_directory()
        shell = self._connection._shell
        small, large = split_by_size(call, needed)
        for sha256 in large:
            self._connection.put_file(call.sources[sha256], shell.join_path(directory, sha256))
        if not small:
            return {"_staging_directory": directory}
        archive = shell.join_path(directory, "files.tar")
        with tempfile.NamedTemporaryFile(dir=C.DEFAULT_LOCAL_TMP) as local:
            write_archive(call, small, local.name)
            self._connection.put_file(local.name, archive)
        return {"_staging_directory": directory, "_staging_archive": archive}

    def _staging_directory(self) -> str:
        command = 'umask 77 && mkdir -p "$HOME/.ansible/onprem-platform" && cd "$HOME/.ansible/onprem-platform" && pwd'
        answer = self._low_level_execute_command(command, sudoable=False)
        lines = answer["stdout"].strip().splitlines()
        if answer["rc"] != 0 or not lines:
            raise AnsibleActionFail(f"no directory for uploads can be made on the host: {answer['stderr'].strip()}")
        return str(lines[-1])
