# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The archive in an environment that has nothing else, and Python packages as an index has them: what users have."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.onprem.platform.tests.faults.platform_lab import BUNDLE, ROOT


class Installed:
    """An empty home directory with a virtual environment and the collection."""

    def __init__(self, home: Path, inventory: Path) -> None:
        self.home, self.inventory = home, inventory
        self.environment = {
            "PATH": f"{home / 'venv/bin'}:{os.environ['PATH']}",
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "ANSIBLE_NOCOLOR": "1",
            # pip's index may be one of the site
            **{
                name: value
                for name, value in os.environ.items()
                if name.startswith(("PIP_", "SSL_CERT", "HTTPS_PROXY"))
            },
        }

    def run(self, program: str, *arguments: str) -> str:
        """Run a program of the environment, which must succeed, and return what it printed."""
        done = subprocess.run(
            [str(self.home / "venv/bin" / program), *arguments],
            cwd=self.home,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=1200,
            check=False,
        )
        assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
        return done.stdout

    def play(self, playbook: str, *options: str) -> str:
        """Run a playbook of the installed collection on the lab."""
        bundle = f"platform_bundle_directory={BUNDLE}"
        return self.run(
            "ansible-playbook", f"onprem.platform.{playbook}", "-i", str(self.inventory), "-e", bundle, *options
        )


@pytest.fixture(scope="module")
def installed(converged: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The collection as the archive has it."""
    home = tmp_path_factory.mktemp("home")
    subprocess.run([sys.executable, str(ROOT / "scripts/package.py"), str(home)], check=True, capture_output=True)
    subprocess.run([sys.executable, "-m", "venv", str(home / "venv")], check=True, capture_output=True)
    made = Installed(home, converged.parent / "inventories/lab")
    made.run("pip", "install", "--quiet", "--requirement", str(ROOT / "requirements/controller.in"))
    (archive,) = home.glob("*.tar.gz")
    made.run("ansible-galaxy", "collection", "install", "--offline", str(archive))
    return made


def test_preflight_has_no_findings(installed: Installed) -> None:
    assert "changed=0" in installed.play("preflight")


def test_a_plan_of_the_platform_that_is_there_is_empty(installed: Installed) -> None:
    output = installed.play("site", "--check", "--diff")
    recap = output.partition("PLAY RECAP")[2].partition("\n\n")[0]
    assert recap.count("changed=0 ") == recap.count("changed=") > 0, output[-6000:]
