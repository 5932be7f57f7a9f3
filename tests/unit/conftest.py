# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures that every unit test may use."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args

ModuleRunner = Callable[..., dict[str, Any]]


@pytest.fixture
def run_module(capsys: pytest.CaptureFixture[str]) -> ModuleRunner:
    """Return ``run(main, params, check=False, diff=True)``, which runs a module's ``main`` in this process.

    The answer is the JSON that the module printed: the mapping given to ``exit_json``, or the one given to
    ``fail_json`` with ``failed`` set.
    """

    def run(main: Callable[[], None], params: dict[str, Any], check: bool = False, diff: bool = True) -> dict[str, Any]:
        capsys.readouterr()
        arguments = dict(params, _ansible_check_mode=check, _ansible_diff=diff)
        with patch_module_args(arguments), pytest.raises(SystemExit):
            main()
        output = capsys.readouterr().out
        return dict(json.loads(output.strip().splitlines()[-1]))

    return run
