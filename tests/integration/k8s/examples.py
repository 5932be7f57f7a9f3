# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the examples of modules' documentation, with the addresses and files of a test in place of theirs."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.onprem.platform.tests.integration.k8s.conftest import REPOSITORY


def examples(module: str, replacements: dict[str, str]) -> list[dict[str, Any]]:
    """Return the tasks of a module's examples; every replacement must be needed."""
    text = importlib.import_module(f"ansible_collections.onprem.platform.plugins.modules.{module}").EXAMPLES
    for old, new in replacements.items():
        assert old in text, f"{old} is in no example of {module}"
        text = text.replace(old, new)
    tasks: list[dict[str, Any]] = yaml.safe_load(text)
    return tasks


def run_examples(
    directory: Path,
    tasks: list[dict[str, Any]],
    kubeconfig: Path | None = None,
    environment: dict[str, str] | None = None,
) -> str:
    """Run tasks by ansible-playbook in the directory; all must succeed. Returns what was printed."""
    play: dict[str, Any] = {"hosts": "localhost", "gather_facts": False, "tasks": tasks}
    if kubeconfig:
        play["module_defaults"] = {"group/onprem.platform.k8s": {"kubeconfig": str(kubeconfig)}}
    playbook = directory / "examples.yml"
    playbook.write_text(yaml.safe_dump([play], sort_keys=False))
    done = subprocess.run(
        [str(Path(sys.executable).with_name("ansible-playbook")), str(playbook)],
        cwd=REPOSITORY,
        env={**os.environ, "ANSIBLE_CONFIG": str(REPOSITORY / "ansible.cfg"), **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert f"ok={len(tasks)}" in done.stdout
    return done.stdout
