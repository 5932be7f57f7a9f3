# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Translated pages have the commands, examples and tables of their originals."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ansible_collections.onprem.platform.tests.rules.project import ROOT, tracked

TRANSLATIONS = tracked("*.de.md", "docs/**/*.de.md")


def shape(page: Path) -> dict[str, list[str]]:
    """Return what does not depend on the language; comments in examples do."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^```\w*\n.*?^```", text, re.MULTILINE | re.DOTALL)
    return {
        "code": [re.sub(r"\s*#.*", "", block) for block in blocks],
        "headings": re.findall(r"^#+", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE),
        "first column of commands": re.findall(r"^\| (`[^`]+`) \|", text, re.MULTILINE),
        "rows": re.findall(r"^\|", text, re.MULTILINE),
    }


@pytest.mark.parametrize("page", TRANSLATIONS, ids=lambda page: str(page.relative_to(ROOT)))
def test_translation_follows_its_original(page: Path) -> None:
    original = page.with_name(page.name.replace(".de.md", ".md"))
    assert shape(page) == shape(original)


def test_there_are_translations() -> None:
    assert len(TRANSLATIONS) == 2
