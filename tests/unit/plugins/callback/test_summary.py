# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The summary of real runs of ansible-playbook."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.onprem.platform.plugins.callback.summary import NEXT

ROOT = Path(__file__).parents[4]
PLAYBOOK = """
- name: First
  hosts: localhost
  gather_facts: false
  tasks:
    - name: Write a file
      ansible.builtin.copy: {dest: "{{ playbook_dir }}/written", content: secret-content, mode: "0600"}
- name: Second
  hosts: localhost
  gather_facts: false
  tasks:
    - name: Fail without harm
      ansible.builtin.fail: {}
      ignore_errors: true
    - name: Fail
      ansible.builtin.fail: {msg: broken}
      when: broken | default(false) | bool
"""


def run(directory: Path, *options: str) -> list[str]:
    """Run the playbook as ``site.yml`` and return the lines of the summary."""
    (directory / "ansible.cfg").touch()
    (directory / "site.yml").write_text(PLAYBOOK, encoding="utf-8")
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("ansible-playbook")),
            "-i",
            "localhost,",
            "-c",
            "local",
            "-e",
            f"ansible_python_interpreter={sys.executable}",
            *options,
            "site.yml",
        ],
        env={
            **os.environ,
            "ANSIBLE_CONFIG": str(directory / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".build/collections"),
            "ANSIBLE_CALLBACKS_ENABLED": "onprem.platform.summary",
            "ANSIBLE_NOCOLOR": "1",
        },
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )
    _before, banner, rest = done.stdout.partition("SUMMARY ")
    assert banner, done.stdout + done.stderr
    assert "secret-content" not in rest
    return [line for line in rest.splitlines()[1:] if line]


VERIFY = "Next: onprem.platform.verify: prove by trial what the platform promises"
STATUS = "Next: onprem.platform.status: nodes, applications, alerts and certificates on one screen"


def test_summary(tmp_path: Path) -> None:
    assert run(tmp_path, "--check") == [
        "would be changed: First: Write a file (localhost)",
        "Next: the same command without --check",
    ]
    assert run(tmp_path) == ["changed: First: Write a file (localhost)", VERIFY, STATUS]
    assert run(tmp_path) == ["Nothing was changed.", VERIFY, STATUS]
    assert run(tmp_path, "-e", "broken=true") == [
        "Nothing was changed.",
        "failed: Second: Fail (localhost)",
        "Next: mend what the message above says, and start the same command again; it goes on where it stopped",
    ]


@pytest.mark.parametrize("playbook", ["bundle", "lab", "preflight", "site", "reset", "verify", "status"])
def test_next_steps_are_playbooks_that_exist(playbook: str) -> None:
    assert (ROOT / f"playbooks/{playbook}.yml").exists()
    for line in NEXT.get(playbook, []):
        assert (ROOT / "playbooks" / f"{line.split(':')[0].removeprefix('onprem.platform.')}.yml").exists()
