# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that a reader takes in at once: a module is thin, because its work lives in module_utils."""

from __future__ import annotations

import ast

from ansible_collections.onprem.platform.tests.rules.project import ROOT

MODULE_LINES = 200
TASK_LINES = 120


def code_lines(text: str) -> int:
    """Count the lines of a module that hold code: not comments, empty lines, docstrings or Ansible's documentation."""
    words: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        documentation = isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id in ("DOCUMENTATION", "EXAMPLES", "RETURN")
            for target in node.targets
        )
        docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if documentation or docstring:
            words.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    lines = enumerate(text.splitlines(), start=1)
    return sum(
        bool(line.strip()) and not line.lstrip().startswith("#") for number, line in lines if number not in words
    )


def test_modules_are_thin() -> None:
    sizes = {
        path.stem: code_lines(path.read_text(encoding="utf-8")) for path in (ROOT / "plugins/modules").glob("*.py")
    }
    assert len(sizes) > 50
    assert {name: lines for name, lines in sizes.items() if lines > MODULE_LINES} == {}


def test_task_files_are_short() -> None:
    sizes = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in (ROOT / "roles").glob("*/tasks/*.yml")
    }
    assert len(sizes) > 40
    assert {name: lines for name, lines in sizes.items() if lines > TASK_LINES} == {}
