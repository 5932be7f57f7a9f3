# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a module in the process of its own task, where that does the same in less time (private).

Ansible packs a module with all that it imports into an archive, then starts a shell and another Python for it. On the
controller that takes longer than most requests to an API. Ansible forks a process for every task as it is, so what a
module leaves behind in it (locale, imports) ends with the task. Only the items of a loop share one.

Every module of the action groups ``k8s`` and ``vault`` has an action of its own name for this, and no redirect to a
common one: Ansible finds the defaults of a group by the name of the action.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.errors import AnsibleActionFail
from ansible.module_utils import basic
from ansible.plugins.action.normal import ActionModule as NormalAction
from ansible.plugins.connection.local import Connection as LocalConnection
from ansible.plugins.loader import module_loader
from ansible.release import __version__ as ansible_version

TRIED = ("2.19", "2.20", "2.21")
"""Versions of ansible-core that this has been tried with: it uses what Ansible keeps for itself. With others modules
run as all do, so what only these have is imported where it is used."""
_PROFILE = "legacy"
"""How arguments and results are written as JSON: that of every module which names no other."""


class ActionModule(NormalAction):  # type: ignore[misc] # ansible-core has no types
    """What Ansible does for every module, but on the controller, as its user, without a process of its own."""

    _in_process = False
    _module_name = ""
    _module_args: dict[str, Any]

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the module and return its result."""
        self._in_process = self._same_place(task_vars or {})
        return dict(super().run(tmp, task_vars))

    def _same_place(self, task_vars: dict[str, Any]) -> bool:
        """True if the module would run here anyway, as this user, with this Python, and while the task waits for it."""
        if self._task.delegate_to:
            task_vars = task_vars["ansible_delegated_vars"][self._task.delegate_to]
        python = self._templar.template(constants.config.get_config_value("INTERPRETER_PYTHON", variables=task_vars))
        return (
            isinstance(self._connection, LocalConnection)
            and self._connection.become is None
            and not self._task.async_val
            and not constants.DEFAULT_KEEP_REMOTE_FILES
            and ansible_version.startswith(tuple(f"{version}." for version in TRIED))
            and (str(python).startswith("auto") or _is_this_python(Path(str(python))))
        )

    # --- the steps of _execute_module that are done in another way -------------------------------------------------
    def _configure_module(self, module_name: str, module_args: dict[str, Any], task_vars: Any) -> tuple[Any, str]:
        if not self._in_process:
            configured: tuple[Any, str] = super()._configure_module(module_name, module_args, task_vars)
            return configured
        found = module_loader.find_plugin_with_context(module_name, collection_list=self._task.collections)
        if not found.resolved:
            raise AnsibleActionFail(f"there is no module {module_name}")
        self._module_name, self._module_args = found.resolved_fqcn, module_args
        from ansible.executor.module_common import _BuiltModule

        shebang = f"#!{sys.executable}"
        built = _BuiltModule(b_module_data=b"", module_style="new", shebang=shebang, serialization_profile=_PROFILE)
        return built, found.plugin_resolved_path

    def _is_pipelining_enabled(self, module_style: str, wrap_async: bool = False) -> bool:
        # No files are sent.
        return self._in_process or super()._is_pipelining_enabled(module_style, wrap_async)

    def _low_level_execute_command(self, *args: Any, **options: Any) -> dict[str, Any]:
        if not self._in_process:
            done: dict[str, Any] = super()._low_level_execute_command(*args, **options)
            return done
        environment: dict[str, Any] = {}
        self._compute_environment_string(environment)
        before = dict(os.environ)
        os.environ.update({name: str(value) for name, value in environment.items()})
        try:
            with tempfile.TemporaryDirectory(dir=constants.DEFAULT_LOCAL_TMP) as directory:
                arguments = {**self._module_args, "_ansible_tmpdir": directory}
                code, output, errors = run_module(self._module_name, arguments)
        finally:
            os.environ.clear()
            os.environ.update(before)
        return {
            "rc": code,
            "stdout": output,
            "stdout_lines": output.splitlines(),
            "stderr": errors,
            "stderr_lines": errors.splitlines(),
        }


def _is_this_python(python: Path) -> bool:
    """True for Ansible's own Python by any of its names (``bin/python``, ``bin/python3``) in the same environment."""
    own = Path(sys.executable)
    return python.parent == own.parent and python.resolve() == own.resolve()


def run_module(name: str, arguments: dict[str, Any]) -> tuple[int, str, str]:
    """Run the module of this full name (``onprem.platform.k8s_apply``); return (exit code, stdout, stderr).

    What the module does not catch is raised, as from any action.
    """
    from ansible.module_utils.common.json import Direction, get_module_encoder

    namespace, collection, module_name = name.split(".", 2)
    # The names that ansible.module_utils.testing sets for unit tests; a module's own process reads them from its frame.
    encoder = get_module_encoder(_PROFILE, Direction.CONTROLLER_TO_MODULE)
    basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": arguments}, cls=encoder).encode()
    basic._ANSIBLE_PROFILE = _PROFILE
    output, errors = io.StringIO(), io.StringIO()
    code = 0
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        module = importlib.import_module(f"ansible_collections.{namespace}.{collection}.plugins.modules.{module_name}")
        try:
            module.main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
    return code, output.getvalue(), errors.getvalue()
