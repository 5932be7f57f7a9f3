# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages that the troubleshooting page quotes are messages that the collection prints."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache

import pytest

from ansible_collections.onprem.platform.tests.rules.project import ROOT, tasks, tracked
from ansible_collections.onprem.platform.tests.rules.test_variables import templates

PAGE = ROOT / "docs/troubleshooting.md"
MESSAGES = re.findall(r"^> (.+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
# What a message has in place of a value.
GAP = "…"


def text_of(node: ast.AST) -> str | None:
    """Return a string literal with a gap for each value; None for what is none. Strings that are added are one."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(part) or GAP for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = text_of(node.left), text_of(node.right)
        return None if left is None and right is None else (left or GAP) + (right or GAP)
    return None


def of_plugins() -> Iterator[str]:
    """Yield the strings of all plugins."""
    for path in tracked("plugins/**/*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (text := text_of(node)) is not None:
                yield text


def of_roles() -> Iterator[str]:
    """Yield the strings of all tasks, with a gap for each template."""
    for path in tracked("roles/*/tasks/*.yml", "playbooks/*.yml"):
        for task in tasks(path):
            yield from (re.sub(r"{{.*?}}|{%.*?%}", GAP, text, flags=re.DOTALL) for text in templates(task))


@cache
def printed() -> list[str]:
    """Return what the collection can print, with single spaces."""
    return [" ".join(text.split()) for text in {*of_plugins(), *of_roles()}]


def is_printed(message: str) -> bool:
    """Whether a text has all pieces of a message, in their order."""
    pieces = [piece.strip() for piece in message.split(GAP) if re.search(r"\w\w", piece)]
    pattern = re.compile(".*".join(re.escape(piece) for piece in pieces))
    return any(pattern.search(text) for text in printed())


@pytest.mark.parametrize("message", MESSAGES)
def test_message_is_printed(message: str) -> None:
    assert is_printed(message)


def test_page_quotes_messages() -> None:
    assert len(MESSAGES) > 30
    assert not is_printed("The cluster runs Kubernetes …, which is not what this role prints.")
