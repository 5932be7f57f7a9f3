# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands that the pages give, as a reader would type them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from ansible_collections.onprem.platform.tests.rules.project import ROOT, tracked

LANGUAGES = ("console", "sh", "bash", "shell")
BLOCK = re.compile(r"^(?P<indent> *)```(?P<language>[^\n]*)\n(?P<text>.*?)^(?P=indent)```", re.MULTILINE | re.DOTALL)
# The README has a table of what one may ask of make.
ROW = re.compile(r"^\| `(?P<target>make [a-z-]+)` \|", re.MULTILINE)
DOCUMENT = re.compile(r"<<-?'?(\w+)'?")
COMMENT = re.compile(r"\s+#\s.*$")

# What is run by something else: the file that does.
ELSEWHERE = {
    "make test": ".ci/run",
    **dict.fromkeys(("make docs", "make unit", "make sanity", "make integration"), "Makefile"),
    "ansible-playbook playbooks/alert_drill.yml -i INVENTORY": "tests/faults/test_alerts.py",
}
# What cannot be run here.
NOT_RUN = {
    "make benchmark": "measures for more than an hour, and its figures are compared by people",
    "make test-long": "is what runs the test of the commands",
    "make quick": "make site with three machines; another lab of its own for five minutes",
    "ansible-galaxy collection install onprem.platform": "needs Galaxy; the archive of this checkout is installed",
    "kubectl --namespace observability port-forward service/grafana 3000": "a bundle from source has no Grafana",
    "vault kv get -field admin-password kv/observability/grafana": "the same",
    "vault kv patch kv/observability/loki s3-access-key-id=... s3-secret-access-key=-": "the lab has no object store",
}


@dataclass(frozen=True)
class Command:
    """A command of a page. ``block`` is the number of its block; ``shown`` are the lines that the page has below it."""

    page: str
    block: int
    text: str
    shown: tuple[str, ...] = ()


def is_open(text: str) -> bool:
    """Whether a command goes on in the next line."""
    return text.endswith("\\") or any(
        not re.search(rf"^{name}$", text, re.MULTILINE) for name in DOCUMENT.findall(text)
    )


def plain(text: str) -> str:
    """Return a command in one line where it is one, without what is said about it."""
    joined = re.sub(r"\\\n\s*", "", text).strip()
    return joined if "\n" in joined else COMMENT.sub("", joined)


def of_block(page: str, number: int, text: str) -> Iterator[Command]:
    """Yield the commands of a block. Where some lines have a prompt, the others are what is printed."""
    lines = text.splitlines()
    prompted = any(line.startswith("$ ") for line in lines)
    found: list[tuple[list[str], list[str]]] = []
    for line in lines:
        if found and is_open("\n".join(found[-1][0])):
            found[-1][0].append(line)
        elif prompted and not line.startswith("$ "):
            if found:
                found[-1][1].append(line)
        elif line.strip() and not line.startswith("#"):
            found.append(([line.removeprefix("$ ")], []))
    for typed, shown in found:
        yield Command(page, number, plain("\n".join(typed)), tuple(shown))


@cache
def commands(page: str) -> list[Command]:
    """Return the commands of a page, which is named by its path in the repository, in their order."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found: list[Command] = []
    for number, match in enumerate(BLOCK.finditer(text)):
        if match["language"] in LANGUAGES:
            found += of_block(page, number, re.sub(rf"^{match['indent']}", "", match["text"], flags=re.MULTILINE))
    return found + [Command(page, -1, row["target"]) for row in ROW.finditer(text)]


def pages() -> list[str]:
    """Return the pages that have commands; a translation has those of its original."""
    names = [str(path.relative_to(ROOT)) for path in tracked("README.md", "CONTRIBUTING.md", "docs/**/*.md")]
    return [name for name in names if not name.endswith(".de.md") and commands(name)]


def block_with(page: str, start: str) -> list[Command]:
    """Return the commands of the block that has a command which begins so."""
    number = next(one.block for one in commands(page) if one.text.startswith(start))
    return [one for one in commands(page) if one.block == number]
