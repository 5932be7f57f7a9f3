# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requirement R6 where no cluster is needed: the repository, and the bundle's charts, manifests and images.

Needs a bundle that has the file ``gitleaks`` (``make bundle``).
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.onprem.platform.plugins.action import secret_scan_info as action
from ansible_collections.onprem.platform.plugins.action.bundle import default_cache_directory
from ansible_collections.onprem.platform.plugins.plugin_utils._secret_canaries import make_canaries, missed
from ansible_collections.onprem.platform.plugins.plugin_utils._secret_scan import Gitleaks

ROOT = Path(__file__).resolve().parents[3]
BUNDLE = Path(os.environ.get("ONPREM_BUNDLE_DIRECTORY", default_cache_directory() / "bundle"))
PROGRAM = Path(os.environ.get("ONPREM_GITLEAKS", BUNDLE / "files/gitleaks"))


def scan(**arguments: Any) -> dict[str, Any]:
    """Run the module's engine with its defaults."""
    defaults: dict[str, Any] = {key: option.get("default") for key, option in action.ARGUMENTS.items()}
    return action.scan({**defaults, "gitleaks": str(PROGRAM), **arguments})


def test_the_repository_charts_and_manifests_have_no_secret() -> None:
    found = scan(repository=str(ROOT), paths=[str(BUNDLE / "charts"), str(BUNDLE / "manifests")], canaries=True)
    assert found["canaries"]["planted"] == 30 and found["canaries"]["missed"] == []
    assert found["findings"] == []


@pytest.mark.long
def test_the_images_have_no_secret() -> None:
    found = scan(layout=str(BUNDLE / "images"))
    assert found["findings"] == [] and found["files"] > 1000


def test_every_planted_secret_looks_like_one(tmp_path: Path) -> None:
    """Random text can have a word in it that gitleaks takes for the sign of an example; a canary never has."""
    sets = 300
    for number in range(sets):
        text = "\n".join(canary.text for canary in make_canaries().values())
        (tmp_path / f"{number}.txt").write_text(text, encoding="utf-8")
    findings = scan(paths=[str(tmp_path)])["findings"]
    seen = {(finding["place"], finding["rule"]) for finding in findings}
    assert Counter(rule for _place, rule in seen) == {canary.rule: sets for canary in make_canaries().values()}


def test_a_search_that_sees_less_is_noticed(tmp_path: Path) -> None:
    """Without our own rules some canaries are missed, and a comment that allows a line does not hide it."""
    rules = tmp_path / "rules.toml"
    rules.write_text("[extend]\nuseDefault = true\n")
    (tmp_path / "work").mkdir()
    _planted, lacking = missed(tmp_path / "work", Gitleaks(PROGRAM, rules), make_canaries())
    assert {line.partition(" in ")[0] for line in lacking} >= {"application key"}
    (tmp_path / "source.py").write_text(make_canaries()["GitHub token"].text + "  # gitleaks:allow\n")
    (tmp_path / ".gitleaksignore").write_text("source.py:github-pat:1\n")
    [finding] = scan(paths=[str(tmp_path / "source.py")])["findings"]
    assert (finding["rule"], finding["line"]) == ("github-pat", 1)
    assert make_canaries()["GitHub token"].text[:4] not in str(finding)
