# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a module prints and how it ends; the rest is in tests/integration/k8s/test_module_in_process.py."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.module_utils import basic

from ansible_collections.onprem.platform.plugins.plugin_utils._module_in_process import run_module


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
