# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Links of the project's pages lead to files and headings that exist."""

from __future__ import annotations

import os
import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from ansible_collections.onprem.platform.tests.rules.project import ROOT, tracked

PAGES = tracked("*.md", "docs/**/*.md", "roles/*/README.md", ".github/**/*.md")
CODE = re.compile(r"^( *)(```|~~~).*?^\1\2|`[^`\n]+`", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(<?([^)\s>]+)>?\)")
HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)
NAMED = re.compile(r"<a (?:id|name)=\"([^\"]+)\"")
# Made by `make docs` only.
GENERATED = "reference/"


@cache
def anchors(page: Path) -> set[str]:
    """Return the anchors of a page as GitHub and Sphinx make them from headings."""
    text = page.read_text(encoding="utf-8")
    used: Counter[str] = Counter()
    found = set(NAMED.findall(text))
    for heading in HEADING.findall(re.sub(r"^( *)(```|~~~).*?^\1\2", "", text, flags=re.MULTILINE | re.DOTALL)):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        found.add(slug if not used[slug] else f"{slug}-{used[slug]}")
        used[slug] += 1
    return found


def leads_somewhere(target: Path, anchor: str) -> bool:
    """Whether a file of the repository has that anchor."""
    if not target.is_relative_to(ROOT) or not target.is_file():
        return False
    return not anchor or target.suffix != ".md" or anchor in anchors(target)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for link in LINK.findall(CODE.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        name, anchor = (*link.split("#", 1), "")[:2]
        target = Path(os.path.normpath(page.parent / name)) if name else page
        if not target.is_relative_to(ROOT / GENERATED) and not leads_somewhere(target, anchor):
            broken.append(link)
    assert broken == []


def test_runbooks_are_listed() -> None:
    listed = (ROOT / "docs/runbooks/README.md").read_text(encoding="utf-8")
    assert [page.name for page in tracked("docs/runbooks/[!R]*.md") if f"]({page.name})" not in listed] == []


def test_a_broken_link_is_noticed() -> None:
    assert leads_somewhere(ROOT / "docs/bundle.md", "where-artefacts-come-from")
    assert not leads_somewhere(ROOT / "docs/bundle.md", "no-such-heading")
    assert not leads_somewhere(ROOT / "docs/no_such_page.md", "")


@pytest.mark.parametrize("page", tracked("README*.md"), ids=lambda page: page.name)
def test_what_is_said_to_work_has_a_proof(page: Path) -> None:
    """The last column of the table of features leads to a file, except in the row of what is not there."""
    rows = re.findall(r"^\| [^|]+ \| ([^|]+) \| ([^|]*)\|$", page.read_text(encoding="utf-8"), re.MULTILINE)
    features = [proof for state, proof in rows[1:] if state not in ("not yet", "noch nicht")]
    assert len(features) > 20
    assert [proof for proof in features if not LINK.search(proof)] == []


# A path of a test, and the function in it.
TEST = re.compile(r"`(tests/[\w/]+(?:\.py)?)(?:::(\w+))?`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_tests_that_prove_something_exist(page: Path) -> None:
    missing = []
    for name, function in TEST.findall(page.read_text(encoding="utf-8")):
        path = ROOT / name
        if not path.exists() or (function and f"def {function}(" not in path.read_text(encoding="utf-8")):
            missing.append(f"{name}::{function}")
    assert missing == []
