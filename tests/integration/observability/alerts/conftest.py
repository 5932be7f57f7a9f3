# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules and Alertmanager configuration as the role renders them, and the bundle's programs that judge them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.onprem.platform.tests.integration.bundled_images import bundle_directory

ROOT = Path(__file__).parents[4]
ROLE = ROOT / "roles/observability"
RULES = ROLE / "templates/rules"


def render(directory: Path, variants: dict[str, dict[str, Any]], templates: list[Path]) -> dict[str, dict[str, str]]:
    """Render each template with the role's defaults and each variant's variables, by Ansible itself.

    Returns the text by variant and template file name.
    """
    documents = ", ".join(f"'{path.name}': lookup('ansible.builtin.template', '{path}')" for path in templates)
    plays = [
        {
            "hosts": "localhost",
            "gather_facts": False,
            "vars_files": [str(ROOT / "roles/platform/defaults/main.yml"), str(ROLE / "defaults/main.yml")],
            "tasks": [
                {
                    "vars": {**variables, "documents": "{{ {" + documents + "} }}"},
                    "ansible.builtin.copy": {
                        "content": "{{ documents | to_json }}",
                        "dest": str(directory / f"{name}.json"),
                        "mode": "0600",
                    },
                }
            ],
        }
        for name, variables in variants.items()
    ]
    playbook = directory / "render.yml"
    playbook.write_text(json.dumps(plays))
    command = [str(Path(sys.executable).with_name("ansible-playbook")), str(playbook)]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return {name: json.loads((directory / f"{name}.json").read_text()) for name in variants}


def program(name: str) -> str:
    """Return the bundle's program of that name."""
    bundled = bundle_directory() / "files" / name
    if not bundled.exists():
        pytest.fail(f"No {name} at {bundled}: run `make bundle` first.")
    return str(bundled)


@pytest.fixture(scope="session")
def promtool() -> str:
    return program("promtool")


@pytest.fixture(scope="session")
def amtool() -> str:
    return program("amtool")


@pytest.fixture(scope="session")
def rule_texts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the rendered text of each topic with the production thresholds."""
    templates = sorted(RULES.glob("*.yml.j2"))
    rendered = render(tmp_path_factory.mktemp("rules"), {"production": {}}, templates)["production"]
    return {name.removesuffix(".yml.j2"): text for name, text in rendered.items()}


@pytest.fixture(scope="session")
def rules(rule_texts: dict[str, str]) -> dict[str, list[dict[str, Any]]]:
    """Return the rules of each topic."""
    return {
        topic: [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]
        for topic, text in rule_texts.items()
    }


@pytest.fixture(scope="session")
def configurations_in() -> Callable[[Path, dict[str, dict[str, Any]]], dict[str, Path]]:
    """Return a function that writes Alertmanager's configuration for each variant of variables into a directory."""

    def write(directory: Path, variants: dict[str, dict[str, Any]]) -> dict[str, Path]:
        template = ROLE / "templates/alertmanager.yml.j2"
        files = {}
        for name, texts in render(directory, variants, [template]).items():
            files[name] = directory / f"{name}.yml"
            files[name].write_text(texts[template.name])
        return files

    return write
