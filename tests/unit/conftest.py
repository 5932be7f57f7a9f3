# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures that every unit test may use."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from ansible.module_utils.common.parameters import PASS_VARS
from ansible.module_utils.testing import patch_module_args

ModuleRunner = Callable[..., dict[str, Any]]
# Without it ansible-core 2.21 leaves the arguments out of a result, which those before always show.
INVOCATION = {"_ansible_inject_invocation": True} if "inject_invocation" in PASS_VARS else {}


@pytest.fixture
def run_module(capsys: pytest.CaptureFixture[str]) -> ModuleRunner:
    """Return ``run(main, params, check=False, diff=True)``, which runs a module's ``main`` in this process.

    The answer is the JSON that the module printed: the mapping given to ``exit_json``, or the one given to
    ``fail_json`` with ``failed`` set; both with the arguments as ``invocation``, so that a secret among them is found.
    """

    def run(main: Callable[[], None], params: dict[str, Any], check: bool = False, diff: bool = True) -> dict[str, Any]:
        capsys.readouterr()
        arguments = {**INVOCATION, **params, "_ansible_check_mode": check, "_ansible_diff": diff}
        with patch_module_args(arguments), pytest.raises(SystemExit):
            main()
        output = capsys.readouterr().out
        return dict(json.loads(output.strip().splitlines()[-1]))

    return run
