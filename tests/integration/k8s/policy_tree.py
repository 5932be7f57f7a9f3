# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tree that the role policy renders."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.onprem.platform.tests.integration.bundled_images import bundle_directory

REPOSITORY = Path(__file__).resolve().parents[3]
INVENTORY = """
control_plane: {hosts: {cp1: {ansible_host: 192.0.2.11}, cp2: {ansible_host: 192.0.2.12}}}
kubernetes: {children: {control_plane: {}}}
"""
# The roles are loaded for their settings; none of their tasks runs.
PLAYBOOK = """
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - {when: false, import_role: {name: onprem.platform.gitops}}
    - {when: false, import_role: {name: onprem.platform.policy}}
    - {when: false, import_role: {name: onprem.platform.observability}}
    - ansible.builtin.copy:
        content: "{{ lookup('onprem.platform.tree', repository ~ '/roles/policy/templates/tree') | to_json }}"
        dest: "{{ output }}"
        mode: "0600"
"""


def render(directory: Path, **settings: Any) -> Path:
    """Render the tree with some settings and return its directory."""
    (directory / "inventory.yml").write_text(INVENTORY)
    (directory / "playbook.yml").write_text(PLAYBOOK)
    (directory / "ca.crt").write_text("-----BEGIN CERTIFICATE-----\nof a test\n-----END CERTIFICATE-----\n")
    own = {
        "output": str(directory / "tree.json"),
        "repository": str(REPOSITORY),
        "platform_bundle_directory": str(bundle_directory()),
        "platform_state_directory": str(directory),
    }
    argv = [sys.executable, "-m", "ansible", "playbook", "-i", str(directory / "inventory.yml")]
    done = subprocess.run(
        [*argv, str(directory / "playbook.yml"), "-e", json.dumps(own | settings)],
        env={
            **os.environ,
            "ANSIBLE_CONFIG": str(REPOSITORY / "ansible.cfg"),
            "ANSIBLE_CALLBACKS_ENABLED": "ansible.builtin.default",
        },
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for name, text in json.loads((directory / "tree.json").read_text()).items():
        path = directory / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return directory / "tree"


def build(directory: Path) -> list[dict[str, Any]]:
    """Return the documents of a kustomization, as Flux builds them."""
    kubectl = bundle_directory() / "files" / "kubectl"
    done = subprocess.run([kubectl, "kustomize", directory], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]
