# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A role's argument specification says what its defaults say."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ansible_collections.onprem.platform.tests.rules.project import ROLES, ROOT, load, options, specification

TEXT = ("str", "path", "raw")


def is_computed(value: Any, option: dict[str, Any]) -> bool:
    """Whether a default is a template of something that is no text: documentation cannot show it as a value."""
    kind = option.get("elements", "str") if option.get("type") == "list" else option.get("type", "str")
    texts = value if isinstance(value, list) else [value]
    return kind not in TEXT and any(isinstance(text, str) and re.search(r"{[{%]", text) for text in texts)


@pytest.mark.parametrize("role", ROLES)
def test_defaults_and_specification_are_equal(role: str) -> None:
    defaults = load(ROOT / "roles" / role / "defaults/main.yml")
    described = options(role)
    computed = {name for name, value in defaults.items() if is_computed(value, described.get(name, {}))}
    said = {name: described.get(name, {}).get("default", "not described") for name in defaults if name not in computed}
    assert said == {name: value for name, value in defaults.items() if name not in computed}
    assert [name for name in computed if "default" not in str(described[name]["description"]).lower()] == []
    # An option without a default is one that somebody must give, or whose absence means something.
    assert [name for name, option in described.items() if "default" in option and name not in defaults] == []


@pytest.mark.parametrize("role", ROLES)
def test_entry_points_are_task_files(role: str) -> None:
    directory = ROOT / "roles" / role / "tasks"
    assert [entry for entry in specification(role) if not (directory / f"{entry}.yml").exists()] == []


@pytest.mark.parametrize("role", ROLES)
def test_settings_bear_the_name_of_their_role(role: str) -> None:
    defaults = load(ROOT / "roles" / role / "defaults/main.yml")
    assert [name for name in defaults if not name.lstrip("_").startswith(f"{role}_") and name != "node_ip"] == []


@pytest.mark.parametrize("role", ROLES)
def test_readme_names_the_entry_points(role: str) -> None:
    text = (ROOT / "roles" / role / "README.md").read_text(encoding="utf-8")
    assert [entry for entry in specification(role) if entry != "main" and f"`{entry}`" not in text] == []
