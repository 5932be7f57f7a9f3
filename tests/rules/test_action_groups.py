# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action groups have every module that takes their connection, and no other."""

from __future__ import annotations

import ast
import re

import pytest
import yaml

from ansible_collections.onprem.platform.plugins.plugin_utils._module_in_process import TRIED
from ansible_collections.onprem.platform.tests.rules.project import ROOT, load

# group -> (documentation fragment of the connection, fragment that says the membership)
GROUPS = {
    "vault": ("onprem.platform.vault", "onprem.platform.attributes.vault_group"),
    "k8s": ("onprem.platform.kubernetes", "onprem.platform.attributes.k8s"),
}


def fragments(module: str) -> list[str]:
    """Return the documentation fragments of a module."""
    tree = ast.parse((ROOT / f"plugins/modules/{module}.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "DOCUMENTATION":
            found = yaml.safe_load(ast.literal_eval(node.value)).get("extends_documentation_fragment", [])
            return [found] if isinstance(found, str) else list(found)
    raise AssertionError(f"{module} has no DOCUMENTATION")


MODULES = {path.stem: fragments(path.stem) for path in sorted((ROOT / "plugins/modules").glob("[!_]*.py"))}


@pytest.mark.parametrize("group", GROUPS)
def test_groups_are_complete(group: str) -> None:
    connection, membership = GROUPS[group]
    members = load(ROOT / "meta/runtime.yml")["action_groups"][group]
    assert members == sorted(name for name, used in MODULES.items() if connection in used)
    assert members == sorted(name for name, used in MODULES.items() if membership in used)


def test_no_other_group() -> None:
    assert set(load(ROOT / "meta/runtime.yml")["action_groups"]) == set(GROUPS)


def test_members_run_in_the_process_of_their_task() -> None:
    """Each has its action, and no module has one that takes no connection."""
    groups = load(ROOT / "meta/runtime.yml")["action_groups"]
    named = "from ..plugin_utils._module_in_process import ActionModule"
    actions = {
        path.stem for path in (ROOT / "plugins/action").glob("*.py") if named in path.read_text(encoding="utf-8")
    }
    assert actions == {member for group in GROUPS for member in groups[group]}


def test_versions_of_ansible_are_those_of_the_tests() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    older = re.search(r"^CORES := (.+)$", makefile, re.MULTILINE)
    locked = (ROOT / "requirements/development.txt").read_text(encoding="utf-8")
    newer = re.findall(r"^ansible-core==(\d+\.\d+)\.", locked, re.MULTILINE)
    assert older and newer
    assert {*older[1].split(), *newer} == set(TRIED)
