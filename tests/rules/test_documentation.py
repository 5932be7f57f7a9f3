# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""YAML inside of plugins is as clean as YAML in files, and examples are tasks as the project writes them."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from yamllint import linter
from yamllint.config import YamlLintConfig

from ansible_collections.onprem.platform.tests.rules.project import ROOT, module_of, parse, tasks, tracked

CONFIG = YamlLintConfig(file=str(ROOT / ".yamllint"))
KINDS = ("modules", "lookup", "filter", "inventory", "callback", "action", "doc_fragments")
PLUGINS = tracked(*(f"plugins/{kind}/*.py" for kind in KINDS))


def documents(path: Path) -> dict[str, str]:
    """Return the YAML texts of a plugin by their names."""
    names = ("DOCUMENTATION", "EXAMPLES", "RETURN")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if path.parent.name == "doc_fragments":
        body = next(node for node in tree.body if isinstance(node, ast.ClassDef)).body
        names = tuple(node.targets[0].id for node in body if isinstance(node, ast.Assign))  # type: ignore[attr-defined]
    else:
        body = tree.body
    return {
        node.targets[0].id: ast.literal_eval(node.value).lstrip("\n")
        for node in body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id in names
    }


@pytest.mark.parametrize("path", PLUGINS, ids=lambda path: str(path.relative_to(ROOT)))
def test_yaml_of_plugins_is_clean(path: Path) -> None:
    assert [
        f"{name}, line {problem.line}: {problem.desc} ({problem.rule})"
        for name, text in documents(path).items()
        for problem in linter.run(text, CONFIG)
    ] == []


@pytest.mark.parametrize("path", tracked("plugins/modules/[!_]*.py"), ids=lambda path: path.stem)
def test_examples_call_the_module_by_its_full_name(path: Path) -> None:
    text = documents(path)["EXAMPLES"]
    assert [task for task in tasks(parse(text)) if not task.get("name") or not module_of(task)] == []
    assert f"onprem.platform.{path.stem}" in text
