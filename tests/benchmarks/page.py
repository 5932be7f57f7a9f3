# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts the figures of a benchmark into the page of the documentation that shows them, between two comments."""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "docs"
FIGURES = "<!-- figures: {name} -->\n{text}<!-- end of figures: {name} -->"


def add_option(parser: argparse.ArgumentParser) -> None:
    """Let somebody ask for the figures in the documentation."""
    parser.add_argument("--publish", action="store_true", help="write the figures into the page that shows them")


def conditions() -> str:
    """Return when, of what and where is measured; to be asked before the work begins."""
    commit = _git("rev-parse", "--short=7", "HEAD")
    # Figures of other benchmarks may have been written before.
    if _git("status", "--porcelain", "--", ":!docs"):
        commit += " with changes"
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    return (
        f"*{today}, commit {commit}: {os.cpu_count()} processors, {memory:.0f} GiB of memory, Python "
        f"{platform.python_version()}, ansible-core {version('ansible-core')}, load average {os.getloadavg()[0]:.1f} "
        "at the start.*"
    )


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def find(name: str) -> tuple[Path, re.Pattern[str]]:
    """Return the page that has the place of that name, and what matches there. Raises SystemExit unless one has."""
    place = re.compile(FIGURES.format(name=re.escape(name), text=".*?"), re.DOTALL)
    found = [page for page in sorted(PAGES.glob("*.md")) if place.search(page.read_text(encoding="utf-8"))]
    if len(found) != 1:
        raise SystemExit(f"Figures '{name}' have a place on {[page.name for page in found]}, not on one page of docs/.")
    return found[0], place


def publish(name: str, *blocks: str) -> None:
    """Replace what stands between the comments of that name by these blocks of Markdown."""
    page, place = find(name)
    text = FIGURES.format(name=name, text="".join(f"\n{block.strip()}\n" for block in blocks) + "\n")
    page.write_text(place.sub(lambda _match: text, page.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"written into {page.relative_to(ROOT)}")


def rows(*cells: list[str]) -> str:
    """Return a table in Markdown; the first row is its head."""
    lines = [f"| {' | '.join(row)} |" for row in cells]
    lines.insert(1, "|" + " --- |" * len(cells[0]))
    return "\n".join(lines)
