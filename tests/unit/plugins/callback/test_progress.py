# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines of progress, from a module of a real run of ansible-playbook to its output."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
PLAYBOOK = """
- hosts: localhost
  gather_facts: false
  tasks:
    - slow: {secret: hunter2-canary}
      no_log: "{{ hidden | default(false) }}"
"""
# Says a line at once and another one, and the second one again: only what is new is said.
MODULE = """#!/usr/bin/python
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.onprem.platform.plugins.module_utils import _progress
_progress.INTERVAL = 0
module = AnsibleModule(argument_spec={"secret": {"no_log": True}})
announce = _progress.announcer(module)
for number in (1, 2, 2):
    announce(lambda: f"{number} of 2; the password is {module.params['secret']}\\x1b[2J")
module.exit_json()
"""


def run(directory: Path, callbacks: str, *options: str) -> str:
    """Run the playbook and return its output."""
    (directory / "ansible.cfg").touch()
    (directory / "library").mkdir(exist_ok=True)
    (directory / "library" / "slow.py").write_text(MODULE, encoding="utf-8")
    (directory / "slow.yml").write_text(PLAYBOOK, encoding="utf-8")
    program = str(Path(sys.executable).with_name("ansible-playbook"))
    interpreter = f"ansible_python_interpreter={sys.executable}"
    done = subprocess.run(
        [program, "-i", "localhost,", "-c", "local", "-e", interpreter, *options, "slow.yml"],
        env={
            **os.environ,
            "ANSIBLE_CONFIG": str(directory / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".build/collections"),
            "ANSIBLE_CALLBACKS_ENABLED": callbacks,
            "ANSIBLE_NOCOLOR": "1",
            "TMPDIR": str(directory),
        },
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "hunter2" not in done.stdout + done.stderr
    return done.stdout


def test_lines_are_shown_below_their_task(tmp_path: Path) -> None:
    output = run(tmp_path, "onprem.platform.progress")
    lines = re.findall(r"^  \.\.\. (.*)$", output.partition("TASK [slow]")[2], re.MULTILINE)
    stars = "*" * 8
    assert lines == [f"{number} of 2; the password is {stars} [2J" for number in (1, 2)]
    assert not list(tmp_path.glob("onprem-platform-*"))


@pytest.mark.parametrize(
    ("callbacks", "options"), [("onprem.platform.progress", ("-e", "hidden=true")), ("ansible.builtin.default", ())]
)
def test_nothing_is_shown_where_it_is_hidden_or_nobody_listens(
    tmp_path: Path, callbacks: str, options: tuple[str, ...]
) -> None:
    assert "  ... " not in run(tmp_path, callbacks, *options)
