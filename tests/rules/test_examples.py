# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""YAML examples of pages: tasks have options that the modules know, and variables that roles know."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.onprem.platform.tests.rules.project import ROLES, ROOT, Loader, options, tasks, tracked

PAGES = tracked("*.md", "docs/**/*.md")
BLOCK = re.compile(r"^( *)```yaml\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
PREFIX = "onprem.platform."
VARIABLES = {name for role in ROLES for name in options(role)}
OF_ROLES = re.compile(rf"(?:{'|'.join(ROLES)})_\w+")


@cache
def documented() -> dict[str, dict[str, Any]]:
    """Return the options of all modules, with those of doc fragments."""
    command = [Path(sys.executable).with_name("ansible-doc"), "--json", "--type", "module"]
    names = [f"{PREFIX}{path.stem}" for path in tracked("plugins/modules/[!_]*.py")]
    done = subprocess.run([*command, *names], cwd=ROOT, capture_output=True, text=True, check=True)
    return {name: entry["doc"].get("options", {}) for name, entry in json.loads(done.stdout).items()}


def examples(page: Path) -> Iterator[Any]:
    """Yield what the YAML examples of a page say; one that is no YAML raises an error."""
    for indent, text in BLOCK.findall(page.read_text(encoding="utf-8")):
        yield from yaml.load_all(re.sub(rf"^{indent}", "", text, flags=re.MULTILINE), Loader)


def wrong(given: Any, known: dict[str, Any], where: str) -> list[str]:
    """Compare what an example gives with the documented options; what a template makes is not looked at."""
    if isinstance(given, list):
        return [fault for item in given for fault in wrong(item, known, where)]
    if not isinstance(given, dict):
        return []
    names = {alias: name for name, option in known.items() for alias in [name, *option.get("aliases", [])]}
    found = [f"{where}: no option {name}" for name in given if name not in names]
    present = {names[name] for name in given if name in names}
    found += [f"{where}: {n} is required" for n, o in known.items() if o.get("required") and n not in present]
    for name, value in given.items():
        option = known.get(names.get(name, ""), {})
        if option.get("choices") and not isinstance(value, (list, dict)) and "{{" not in str(value):
            found += [] if value in option["choices"] else [f"{where}: {value!r} is no choice of {name}"]
        if option.get("suboptions"):
            found += wrong(value, option["suboptions"], f"{where}.{name}")
    return found


def variables(content: Any) -> Iterator[str]:
    """Yield the names of roles' variables that an example sets; what a module is given is looked at as its options."""
    if isinstance(content, list):
        for item in content:
            yield from variables(item)
    elif isinstance(content, dict):
        yield from (key for key in content if OF_ROLES.fullmatch(str(key)))
        for key, value in content.items():
            yield from variables(value if "." not in str(key) else [])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_examples_name_what_exists(page: Path) -> None:
    found = []
    for content in examples(page):
        found += [f"no variable {name}" for name in variables(content) if name not in VARIABLES]
        plays = [item for item in content if isinstance(item, dict)] if isinstance(content, list) else []
        defaults = {name: given for play in plays for name, given in play.get("module_defaults", {}).items()}
        for task in tasks(content):
            for name in (key for key in task if key in documented()):
                given = {**defaults.get(name, {}), **task[name]}
                found += wrong(given, documented()[name], str(task.get("name", name)))
    assert found == []


def test_a_wrong_example_is_noticed() -> None:
    known = documented()[f"{PREFIX}flux_kustomization"]
    task: dict[str, Any] = {"name": "shop", "source_ref": {"kind": "GitRepository", "name": "shop"}}
    assert wrong(task, known, "t") == []
    assert wrong(
        {"source_ref": {"kind": "GitRepository", "ref": "x"}, "state": "there", "sourceRef": {}}, known, "t"
    ) == [
        "t: no option sourceRef",
        "t: name is required",
        "t.source_ref: no option ref",
        "t.source_ref: name is required",
        "t: 'there' is no choice of state",
    ]
    assert list(variables([{"vars": {"gitops_interval": "1m"}}, {"tasks": [{"vars": {"vault_colour": 1}}]}])) == [
        "gitops_interval",
        "vault_colour",
    ]
