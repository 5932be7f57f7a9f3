# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands of the pages are run by a test; those that are not say why, and all of them at least parse."""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

from ansible_collections.onprem.platform.tests.rules.commands import (
    BLOCK,
    ELSEWHERE,
    LANGUAGES,
    NOT_RUN,
    commands,
    is_open,
    of_block,
    pages,
)
from ansible_collections.onprem.platform.tests.rules.project import ROOT, load, tasks, tracked

FOLLOWED = "".join(path.read_text(encoding="utf-8") for path in tracked("tests/faults/test_*.py"))
ALL = {command.text for page in pages() for command in commands(page)}
PROGRAMS = r"(?:\$ |(?:ansible\S*|amtool|cosign|curl|git|kubectl|make|pip|python3?|ssh|vault) [\w./-])"


@cache
def tags() -> set[str]:
    """Return the tags of all playbooks."""
    found: set[str] = set()
    for path in tracked("playbooks/*.yml"):
        for item in [*load(path), *tasks(path)]:
            found.update(item.get("tags", []))
    return found


@pytest.mark.parametrize("page", pages())
def test_page_is_followed(page: str) -> None:
    """The test that follows the pages runs all commands of those that it names, or fails at its end."""
    open_ones = [one.text for one in commands(page) if one.text not in ELSEWHERE and one.text not in NOT_RUN]
    whole = '"docs/runbooks/"' if page.startswith("docs/runbooks/") else f'"{page}"'
    assert not open_ones or whole in FOLLOWED


def test_exceptions_are_commands_of_pages() -> None:
    assert sorted({*ELSEWHERE, *NOT_RUN} - ALL) == []
    assert set(ELSEWHERE) & set(NOT_RUN) == set()


@pytest.mark.parametrize("command", ELSEWHERE)
def test_what_is_run_elsewhere_is(command: str) -> None:
    text = (ROOT / ELSEWHERE[command]).read_text(encoding="utf-8")
    if ELSEWHERE[command] == "Makefile":
        # A stage of the gate, or of the long tests.
        assert command.removeprefix("make ") in " ".join(re.findall(r"@scripts/gate (.*)", text)).split()
    else:
        name = re.search(r"playbooks/(\w+)\.yml", command)
        assert (name[1] if name else command.rpartition(" ")[2].partition("-")[0]) in text


@pytest.mark.parametrize("page", pages())
def test_commands_parse(page: str) -> None:
    """Words in capitals and in angle brackets stand for something."""
    text = "\n".join(re.sub(r"<(\w+)>", r"\1", command.text) for command in commands(page))
    bash = shutil.which("bash") or "bash"
    done = subprocess.run([bash, "-n"], input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    named = {tag for group in re.findall(r"--tags[ =]([\w,-]+)", text) for tag in group.split(",")}
    assert named - tags() == set()


@pytest.mark.parametrize("page", tracked("*.md", "docs/**/*.md"), ids=lambda page: str(page.relative_to(ROOT)))
def test_blocks_of_commands_say_so(page: Path) -> None:
    """Otherwise nobody finds them: neither the reader of this test nor a highlighter."""
    hidden = [
        match["text"].splitlines()[0]
        for match in BLOCK.finditer(page.read_text(encoding="utf-8"))
        if match["language"] not in LANGUAGES and re.match(rf" *{PROGRAMS}", match["text"])
    ]
    assert hidden == []


def test_what_a_reader_would_type() -> None:
    text = "# said before\n$ one --flag   # said of it\nprinted\n$ two \\\n  more\n$ three <<END\nbody # kept\nEND\n"
    found = list(of_block("page", 0, text))
    assert [one.text for one in found] == ["one --flag", "two more", "three <<END\nbody # kept\nEND"]
    assert [one.shown for one in found] == [("printed",), (), ()]
    assert [one.text for one in of_block("page", 0, "one\n\n# said\ntwo '#3'\n")] == ["one", "two '#3'"]
    assert is_open("cat <<'A'\nA B") and not is_open("cat <<'A'\nA")
