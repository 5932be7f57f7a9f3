# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a module prints and how it ends; the rest is in tests/integration/k8s/test_module_in_process.py."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.module_utils import basic
from ansible.plugins.connection.local import Connection as LocalConnection

from ansible_collections.onprem.platform.plugins.plugin_utils import _module_in_process
from ansible_collections.onprem.platform.plugins.plugin_utils._module_in_process import ActionModule, run_module


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any]], None]:
    """Return what puts a module in the place of ``a.b.c``."""
    monkeypatch.setattr(basic, "_ANSIBLE_ARGS", None)
    monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", None)

    def put(main: Callable[[], Any]) -> None:
        monkeypatch.setitem(sys.modules, "ansible_collections.a.b.plugins.modules.c", SimpleNamespace(main=main))

    return put


def test_arguments_result_and_exit(module: Callable[..., None]) -> None:
    def main() -> None:
        own = basic.AnsibleModule({"name": {"type": "str"}})
        print("for the standard error", file=sys.stderr)
        own.exit_json(changed=True, name=own.params["name"])

    module(main)
    code, output, errors = run_module("a.b.c", {"name": "shop", "_ansible_tmpdir": "/nowhere"})
    assert (code, json.loads(output)["name"], errors) == (0, "shop", "for the standard error\n")


@pytest.mark.parametrize(("status", "code"), [(None, 0), (0, 0), (3, 3), ("text", 1)])
def test_exit_codes(module: Callable[..., None], status: Any, code: int) -> None:
    def main() -> None:
        sys.exit(status)

    module(main)
    assert run_module("a.b.c", {})[0] == code


def test_a_fault_is_raised(module: Callable[..., None]) -> None:
    def main() -> None:
        raise ValueError("a fault of the module")

    module(main)
    with pytest.raises(ValueError, match="a fault of the module"):
        run_module("a.b.c", {})


def runs_in_process(python: str) -> bool:
    """Whether a module of a local task runs in its process if this Python is asked for."""
    action, connection = ActionModule.__new__(ActionModule), LocalConnection.__new__(LocalConnection)
    connection.become = None
    action._task = SimpleNamespace(delegate_to=None, async_val=0)
    action._templar = SimpleNamespace(template=lambda value: value)
    action._connection = connection
    return action._same_place({"ansible_python_interpreter": python})


def test_any_name_of_the_same_python(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for directory in ("one", "other"):
        (tmp_path / directory).mkdir()
        (tmp_path / directory / "python3.13").symlink_to(sys.executable)
        (tmp_path / directory / "python3").symlink_to("python3.13")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "one" / "python3.13"))
    assert runs_in_process(str(tmp_path / "one" / "python3"))
    assert runs_in_process("auto_silent")
    # The same program, but another environment with packages of its own.
    assert not runs_in_process(str(tmp_path / "other" / "python3"))
    assert not runs_in_process("/nowhere/python3")


def test_a_version_of_ansible_that_was_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    for version, known in (("2.19.0", True), ("2.21.5", True), ("2.2.0", False), ("2.22.0.dev0", False)):
        monkeypatch.setattr(_module_in_process, "ansible_version", version)
        assert runs_in_process(sys.executable) == known
