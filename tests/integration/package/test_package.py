# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The archive is what its users need, twice the same, and works from an empty directory without the repository."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
BIN = Path(sys.executable).parent
# What only those who work on the collection need.
WORKING = {
    "tests",
    "scripts",
    "molecule",
    "Makefile",
    "pyproject.toml",
    "ansible.cfg",
    ".ci",
    ".github",
    ".build",
    ".venv",
    ".lab",
}
NEEDED = {
    "LICENSE",
    "README.md",
    "CHANGELOG.md",
    "REUSE.toml",
    "meta/runtime.yml",
    "meta/execution-environment.yml",
    "meta/ee-requirements.txt",
    "requirements/controller.in",
    "roles/lab/tasks/main.yml",
    "inventories/lab/lab.yml",
}
TASKS = """
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - name: Call a module
      onprem.platform.host_config:
        files: [{path: "{{ target }}", content: written by the installed collection}]
    - name: Call a role
      ansible.builtin.import_role: {name: onprem.platform.platform, tasks_from: settings}
    - name: Say what a default of the role is
      ansible.builtin.debug: {msg: "default {{ platform_domain }}"}
"""


def build(output: Path) -> Path:
    """Build the archive and return it."""
    subprocess.run([sys.executable, str(ROOT / "scripts/package.py"), str(output)], check=True, capture_output=True)
    (archive,) = output.glob("*.tar.gz")
    return archive


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive of this checkout."""
    return build(tmp_path_factory.mktemp("archive"))


class Installed:
    """The collection as a user has it: no repository, an empty configuration, no network, an empty home directory."""

    def __init__(self, directory: Path, archive: Path) -> None:
        self.directory = directory
        self.collections = directory / "collections"
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(directory),
            "LANG": "C.UTF-8",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_COLLECTIONS_PATH": str(self.collections),
            "ANSIBLE_LOCALHOST_WARNING": "0",
        }
        (directory / "ansible.cfg").touch()
        done = self.run(
            "ansible-galaxy",
            "collection",
            "install",
            "--offline",
            "--collections-path",
            str(self.collections),
            str(archive),
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a program of Ansible there."""
        return subprocess.run(
            [str(BIN / program), *arguments],
            cwd=self.directory,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )


@pytest.fixture(scope="module")
def installed(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The archive, installed into an empty directory."""
    return Installed(tmp_path_factory.mktemp("installed"), archive)


def test_archive_has_what_users_need(archive: Path) -> None:
    with tarfile.open(archive) as packed:
        names = {name for name in packed.getnames() if packed.getmember(name).isfile()}
        owners = {(one.uid, one.gid, one.uname, one.gname) for one in packed.getmembers()}
    assert NEEDED - names == set()
    assert {name.split("/")[0] for name in names} & WORKING == set()
    # Nothing of the machine that built it.
    assert owners == {(0, 0, "", "")}
    licences = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))["license"]
    assert {f"LICENSES/{name}.txt" for name in licences} - names == set()


def test_the_same_files_give_the_same_archive(archive: Path, tmp_path: Path) -> None:
    again = build(tmp_path)
    assert hashlib.sha256(again.read_bytes()).hexdigest() == hashlib.sha256(archive.read_bytes()).hexdigest()


def test_a_module_and_a_role_run(installed: Installed) -> None:
    (installed.directory / "play.yml").write_text(TASKS, encoding="utf-8")
    target = installed.directory / "written"
    # Which Python a search finds first depends on who runs the tests.
    settings = {"target": str(target), "ansible_python_interpreter": sys.executable}
    done = installed.run("ansible-playbook", "-i", "localhost,", "play.yml", "-e", json.dumps(settings))
    assert done.returncode == 0, done.stdout + done.stderr
    assert target.read_text(encoding="utf-8") == "written by the installed collection"
    assert "default platform.internal" in done.stdout


def test_playbooks_find_what_they_call(installed: Installed) -> None:
    names = sorted(f"onprem.platform.{path.stem}" for path in (ROOT / "playbooks").glob("*.yml"))
    done = installed.run("ansible-playbook", "-i", "localhost,", "--syntax-check", *names)
    assert done.returncode == 0, done.stdout + done.stderr


def test_preflight_says_what_is_missing(installed: Installed) -> None:
    done = installed.run("ansible-playbook", "-i", "localhost,", "onprem.platform.preflight")
    assert done.returncode != 0
    assert "The group control_plane of the inventory is empty" in done.stdout
    assert "changed=0" in done.stdout


def test_pages_of_all_plugins_can_be_read(installed: Installed) -> None:
    done = installed.run("ansible-doc", "--metadata-dump", "onprem.platform")
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)["all"]
    for kind, directory in (
        ("module", "modules"),
        ("lookup", "lookup"),
        ("filter", "filter"),
        ("callback", "callback"),
    ):
        files = {path.stem for path in (ROOT / "plugins" / directory).glob("[!_]*.py")}
        assert {name.removeprefix("onprem.platform.") for name in found[kind]} == files
    assert {name.removeprefix("onprem.platform.") for name in found["role"]} == {
        path.name for path in (ROOT / "roles").iterdir()
    }


@pytest.mark.long
def test_galaxy_takes_it_without_a_warning(archive: Path, tmp_path: Path) -> None:
    """The check that Galaxy makes of an upload: it reads all documentation, and lints what it has unpacked."""
    (tmp_path / "ansible.cfg").touch()
    settings = {"PATH": f"{BIN}:{os.environ['PATH']}", "ANSIBLE_CONFIG": str(tmp_path / "ansible.cfg")}
    done = subprocess.run(
        [sys.executable, "-m", "galaxy_importer.main", str(archive)],
        cwd=tmp_path,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0 and "Importer processing completed successfully" in said, said[-3000:]
    assert [line for line in said.splitlines() if line.startswith(("WARNING", "ERROR"))] == []
    assert json.loads((tmp_path / "importer_result.json").read_text(encoding="utf-8"))["docs_blob"]["contents"]
