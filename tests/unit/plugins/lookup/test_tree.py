# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lookup that renders directories, run by Ansible itself because templates need its engine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[4]


def tree(tmp_path: Path, directories: list[Path], **variables: Any) -> dict[str, str]:
    """Return what a play gets from the lookup."""
    playbook, output = tmp_path / "play.yml", tmp_path / "out.json"
    content = "{{ lookup('onprem.platform.tree', *directories) | to_json }}"
    task = {"ansible.builtin.copy": {"dest": str(output), "content": content, "mode": "0600"}}
    variables["directories"] = [str(directory) for directory in directories]
    playbook.write_text(json.dumps([{"hosts": "localhost", "gather_facts": False, "vars": variables, "tasks": [task]}]))
    command = [str(Path(sys.executable).with_name("ansible-playbook")), str(playbook)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    files: dict[str, str] = json.loads(output.read_text())
    return files


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
    assert tree(tmp_path, [first, second], name="onprem") == {
        "app/a.yaml": "kept: {{ not_rendered }}\n",
        "app/b.yaml": "name: onprem\n",
        "app/d.yaml": "",
    }


def test_a_template_leaves_the_variables_of_the_next_one_alone(tmp_path: Path) -> None:
    directory = tmp_path / "tree"
    directory.mkdir()
    (directory / "a.j2").write_text(
        "{% set name = 'other' %}{{ ports.append(3) }}{{ owner.update({'name': name}) }}{{ template_path | basename }}"
    )
    (directory / "b.j2").write_text("{{ name }} {{ ports }} {{ owner.name }} {{ template_path | basename }}")
    files = tree(tmp_path, [directory], name="onprem", ports=[1, 2], owner={"name": "{{ name }}"})
    assert files == {"a": "a.j2", "b": "onprem [1, 2] onprem b.j2"}
