# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lookup that renders directories, run by Ansible itself because templates need its engine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[4]


def test_templates_are_rendered_and_later_directories_win(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for directory in (first / "app", second / "app"):
        directory.mkdir(parents=True)
    (first / "app" / "a.yaml").write_text("kept: {{ not_rendered }}\n")
    (first / "app" / "b.yaml").write_text("first\n")
    (second / "app" / "b.yaml.j2").write_text("name: {{ name }}\n")
    (second / "app" / "c.yaml.j2").write_text("{# a comment #}\n{% if name == 'other' %}\nkind: List\n{% endif %}\n")
    (second / "app" / "d.yaml").write_text("")
    (first / "app" / "e.yaml").write_text("taken away\n")
    (second / "app" / "e.yaml.j2").write_text("{# the site does without #}\n")
    playbook = tmp_path / "play.yml"
    task = {
        "ansible.builtin.copy": {
            "dest": str(tmp_path / "out.json"),
            "content": "{{ lookup('onprem.platform.tree', *directories) | to_json }}",
            "mode": "0600",
        }
    }
    variables = {"name": "onprem", "directories": [str(first), str(second)]}
    playbook.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "vars": variables, "tasks": [task]}]))
    command = [str(Path(sys.executable).with_name("ansible-playbook")), str(playbook)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert json.loads((tmp_path / "out.json").read_text()) == {
        "app/a.yaml": "kept: {{ not_rendered }}\n",
        "app/b.yaml": "name: onprem\n",
        "app/d.yaml": "",
    }
