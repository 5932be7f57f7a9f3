# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What pages name exists: targets of make, playbooks, plugins, roles, and variables that a command sets."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ansible_collections.onprem.platform.tests.rules.project import ROLES, ROOT, load, options, tracked

PAGES = tracked("*.md", "docs/**/*.md", "roles/*/README.md", ".github/**/*.md")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
# Targets that stand in the file, and those that it makes of lists: lint-ruff, lint-rule-variables.
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", MAKEFILE, re.MULTILINE))
RULES = [path.stem.removeprefix("test_").replace("_", "-") for path in tracked("tests/rules/test_*.py")]
TARGETS |= {f"lint-rule-{name}" for name in RULES}
PLAYBOOKS = {path.stem for path in tracked("playbooks/*.yml")}
GROUPS = set(load(ROOT / "meta/runtime.yml")["action_groups"])
PLUGINS = {path.stem for path in tracked("plugins/*/[!_]*.py")} | set(ROLES) | PLAYBOOKS | GROUPS
VARIABLES = {name for role in ROLES for name in options(role)}
VARIABLES |= set(
    re.findall(r"\b([a-z]\w+)\b", " ".join(path.read_text(encoding="utf-8") for path in tracked("playbooks/*.yml")))
)
CODE = re.compile(r"^ *```\w*\n(.*?)^ *```|`([^`\n]+)`", re.MULTILINE | re.DOTALL)


def code(page: Path) -> str:
    """Return what a page sets as code."""
    return "\n".join(block or span for block, span in CODE.findall(page.read_text(encoding="utf-8")))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_names_exists(page: Path) -> None:
    text = code(page)
    targets = {word for line in re.findall(r"^make ([a-z -]+)", text, re.MULTILINE) for word in line.split()}
    assert targets - TARGETS == set()
    assert set(re.findall(r"\bplaybooks/(\w+)\.yml", text)) - PLAYBOOKS == set()
    assert set(re.findall(r"\bonprem\.platform\.([a-z]\w+)", text)) - PLUGINS == set()
    assert set(re.findall(r" -e '?([a-z]\w+)=", text)) - VARIABLES == set()


def test_figures_have_their_place() -> None:
    """Every place is filled by a benchmark, and was filled."""
    benchmarks = " ".join(path.read_text(encoding="utf-8") for path in tracked("tests/benchmarks/*.py"))
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    places = dict(re.findall(r"<!-- figures: ([a-z-]+) -->\n(.*?)<!-- end of figures: \1 -->", text, re.DOTALL))
    assert set(places) == set(re.findall(r"<!-- (?:end of )?figures: (\S+) -->", text))
    assert [name for name in places if f'"{name}"' not in benchmarks] == []
    assert [name for name, figures in places.items() if not re.search(r"\|.*\d", figures)] == []
