# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lookup of bundle entries, run by Ansible itself because options and templates need its engine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[4]
DIGEST = "sha256:" + "a" * 64


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Return a bundle directory with one program and one image in two versions."""
    entries: list[dict[str, Any]] = [
        {"kind": "file", "name": "kubectl", "version": "v1", "path": "files/kubectl", "artefact": "file/kubectl"}
    ]
    for version in ("1.0", "2.0"):
        image = {"repository": "demo", "tag": version, "digest": DIGEST, "path": "images"}
        entries.append({"kind": "image", "name": "demo", "version": version, "artefact": f"demo:{version}", **image})
    index = {"schema": 1, "platform": "linux/amd64", "entries": entries}
    (tmp_path / "index.json").write_text(json.dumps(index), encoding="utf-8")
    return tmp_path


def look(directory: Path, expressions: dict[str, str], **variables: str) -> dict[str, Any]:
    """Let Ansible evaluate some expressions; an expression that fails gives its message."""
    tasks = []
    for name, expression in expressions.items():
        fact = {"ansible.builtin.set_fact": {name: "{{ " + expression + " }}"}}
        failed = {"ansible.builtin.set_fact": {name: "{{ ansible_failed_result.msg }}"}}
        tasks.append({"block": [fact], "rescue": [failed]})
    content = (
        "{{ " + str({name: f"@{name}@" for name in expressions}).replace("'@", "").replace("@'", "") + " | to_json }}"
    )
    tasks.append({"ansible.builtin.copy": {"dest": str(directory / "out.json"), "content": content, "mode": "0600"}})
    play = [{"hosts": "localhost", "gather_facts": False, "vars": variables, "tasks": tasks}]
    (directory / "play.yml").write_text(json.dumps(play), encoding="utf-8")
    command = [str(Path(sys.executable).with_name("ansible-playbook")), str(directory / "play.yml")]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return dict(json.loads((directory / "out.json").read_text(encoding="utf-8")))


def test_entries_places_and_errors(directory: Path) -> None:
    lookup = "lookup('onprem.platform.bundle', "
    found = look(
        directory,
        {
            "program": lookup + "'file', 'kubectl')",
            "image": lookup + "'image', 'demo', version='2.0')",
            "images": "query('onprem.platform.bundle', 'image')",
            "elsewhere": lookup
            + f"'image', 'demo', version='1.0', bundle_directory='{directory}', registry='r:1').image",
            "absent": lookup + "'file', 'helm')",
            "optional": lookup + "'image', 'grafana', missing_ok=true)",
            "optional_there": lookup + "'file', 'kubectl', missing_ok=true).version",
            "optional_ambiguous": lookup + "'image', 'demo', missing_ok=true)",
            "optional_among": "query('onprem.platform.bundle', 'file', 'helm', 'kubectl', missing_ok=true)",
            "ambiguous": lookup + "'image', 'demo')",
            "unknown": lookup + "'program', 'kubectl')",
        },
        platform_bundle_directory=str(directory),
        platform_registry="r.example:5000",
    )
    assert found["program"]["absolute_path"] == str(directory / "files" / "kubectl")
    assert "reference" not in found["program"]
    assert found["image"]["reference"] == f"r.example:5000/demo:2.0@{DIGEST}"
    assert found["image"]["image"] == f"r.example:5000/demo@{DIGEST}"
    assert [entry["version"] for entry in found["images"]] == ["1.0", "2.0"]
    assert found["elsewhere"] == f"r:1/demo@{DIGEST}"
    assert "has no file helm. Fill it with onprem.platform.bundle" in found["absent"]
    assert (found["optional"], found["optional_there"]) == ({}, "v1")
    assert "several versions (1.0, 2.0): name one" in found["optional_ambiguous"]
    assert [entry.get("name") for entry in found["optional_among"]] == [None, "kubectl"]
    assert "several versions (1.0, 2.0): name one" in found["ambiguous"]
    assert "The first term must be a kind: file, chart, manifest, package, image." in found["unknown"]
