# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tree that the role observability renders, and an API server to judge it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.onprem.platform.tests.integration.bundled_images import bundle_directory
from ansible_collections.onprem.platform.tests.integration.k8s.conftest import ApiServer, Authority
from ansible_collections.onprem.platform.tests.integration.ports import free_ports

REPOSITORY = Path(__file__).resolve().parents[3]
DIRECTORIES = ["metrics-server", "observability-operator", "observability", "alert-sink"]
GRAFANA = "registry.platform.internal:5000/grafana@sha256:" + "0" * 64

INVENTORY = """
control_plane: {hosts: {cp1: {ansible_host: 192.0.2.11}, cp2: {ansible_host: 192.0.2.12}}}
worker: {hosts: {w1: {ansible_host: 192.0.2.21}}}
kubernetes: {children: {control_plane: {}, worker: {}}}
"""
# The roles are loaded for their settings, as site.yml does; none of their tasks runs.
ROLES = """
- {when: false, import_role: {name: onprem.platform.vault, tasks_from: bootstrap.yml}}
- {when: false, import_role: {name: onprem.platform.application, tasks_from: release.yml}}
- {when: false, import_role: {name: onprem.platform.storage}}
- {when: false, import_role: {name: onprem.platform.policy, tasks_from: bootstrap.yml}}
- {when: false, import_role: {name: onprem.platform.gitops}}
- {when: false, import_role: {name: onprem.platform.observability, tasks_from: settings.yml}}
"""
CHECK = "- {import_role: {name: onprem.platform.observability, tasks_from: check.yml}}"
TREE = "{{ lookup('onprem.platform.tree', *gitops_tree_directories) | to_json }}"

Render = Callable[..., Path]
Document = dict[str, Any]


def play(directory: Path, **settings: Any) -> subprocess.CompletedProcess[str]:
    """Have settings checked; the tree that is rendered with them is then in ``tree.json`` of the directory."""
    return run_tasks(directory, [*yaml.safe_load(CHECK), write_task(directory / "tree.json", TREE)], settings)


def write_task(path: Path, content: str) -> Document:
    """A task that writes what a template gives."""
    return {"ansible.builtin.copy": {"content": content, "dest": str(path), "mode": "0600"}}


def run_tasks(directory: Path, tasks: list[Document], settings: Document) -> subprocess.CompletedProcess[str]:
    """Run tasks with the settings of all roles at hand."""
    (directory / "inventory.yml").write_text(INVENTORY)
    playbook = {"hosts": "localhost", "connection": "local", "gather_facts": False}
    playbook["vars"] = {"role_path": str(REPOSITORY / "roles/gitops")}
    (directory / "playbook.yml").write_text(json.dumps([playbook | {"tasks": yaml.safe_load(ROLES) + tasks}]))
    (directory / "ca.crt").write_text("-----BEGIN CERTIFICATE-----\nof a test\n-----END CERTIFICATE-----\n")
    own = {
        "platform_bundle_directory": str(bundle_directory()),
        "platform_state_directory": str(directory),
    }
    argv = [sys.executable, "-m", "ansible", "playbook", "-i", str(directory / "inventory.yml")]
    return subprocess.run(
        [*argv, str(directory / "playbook.yml"), "-e", json.dumps(own | settings)],
        env=os.environ
        | {"ANSIBLE_CONFIG": str(REPOSITORY / "ansible.cfg"), "ANSIBLE_CALLBACKS_ENABLED": "ansible.builtin.default"},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def render(tmp_path_factory: pytest.TempPathFactory) -> Render:
    """Render the tree with some settings and return its directory."""

    def rendered(**settings: Any) -> Path:
        directory = tmp_path_factory.mktemp("tree")
        result = play(directory, **settings)
        assert result.returncode == 0, result.stdout + result.stderr
        return write_tree(json.loads((directory / "tree.json").read_text()), directory / "tree")

    return rendered


def write_tree(files: dict[str, str], target: Path) -> Path:
    """Write the files of a rendered tree."""
    for name, text in files.items():
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return target


def render_variants(directory: Path, variants: dict[str, Document], content: str) -> dict[str, Any]:
    """Return what a template gives with each variant's settings, by one run of Ansible."""
    tasks: list[Document] = [
        {
            "ansible.builtin.set_fact": {"rendered": "{{ rendered | default({}) | combine({name: content}) }}"},
            "vars": {**settings, "name": name, "content": content},
        }
        for name, settings in variants.items()
    ]
    result = run_tasks(directory, [*tasks, write_task(directory / "rendered.json", "{{ rendered | to_json }}")], {})
    assert result.returncode == 0, result.stdout + result.stderr
    return dict(json.loads((directory / "rendered.json").read_text()))


LAB = yaml.safe_load((REPOSITORY / "inventories/lab/group_vars/all/observability.yml").read_text())


@pytest.fixture(scope="module")
def lab(render: Render) -> Path:
    """The lab's tree, with Grafana."""
    return render(**LAB, observability_grafana_image=GRAFANA)


def build(directory: Path, definitions: bool = True) -> list[Document]:
    """The documents of one kustomization, as Flux builds them; those that define kinds take long to read."""
    kubectl = bundle_directory() / "files" / "kubectl"
    text = subprocess.run([kubectl, "kustomize", directory], capture_output=True, text=True, check=True).stdout
    if not definitions:
        documents = text.split("\n---\n")
        text = "\n---\n".join(item for item in documents if "\nkind: CustomResourceDefinition\n" not in item)
    # YAML 1.1 gives "=" a meaning of its own, which these definitions do not have in mind.
    loader = type("Loader", (yaml.CSafeLoader,), {})
    loader.add_constructor("tag:yaml.org,2002:value", lambda self, node: node.value)
    return [document for document in yaml.load_all(text, Loader=loader) if document]


@pytest.fixture(scope="module")
def documents(lab: Path) -> list[Document]:
    """All documents of the lab's tree."""
    return [document for name in DIRECTORIES for document in build(lab / name)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """An API server with the operator's definitions and the namespaces of the stack."""
    directory = tmp_path_factory.mktemp("api")
    running = ApiServer(directory, *free_ports(3), Authority(directory))
    try:
        running.start_etcd()
        running.start_api()
        yield running
    finally:
        running.stop()


def kubectl(server: ApiServer, *arguments: str, documents: list[Document] | None = None) -> str:
    """Run kubectl as administrator; what the server refuses fails the test."""
    result = subprocess.run(
        [bundle_directory() / "files" / "kubectl", f"--kubeconfig={server.kubeconfig}", *arguments],
        input=None if documents is None else json.dumps({"apiVersion": "v1", "kind": "List", "items": documents}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout + result.stderr


def wait(condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
    """Poll until the condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what} within {seconds} s"
        time.sleep(0.2)
