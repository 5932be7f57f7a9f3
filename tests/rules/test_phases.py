# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each phase of site.yml can be run alone by its tag."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ansible_collections.onprem.platform.tests.rules.project import ROLES, ROOT, load, tasks

PLAYS: list[dict[str, Any]] = load(ROOT / "playbooks/site.yml")
INCLUDES = ("ansible.builtin.import_tasks", "ansible.builtin.include_tasks")
ROLE_CALLS = ("ansible.builtin.import_role", "ansible.builtin.include_role")
KEPT = re.compile(r"\b__[a-z]\w+")


def phases() -> dict[str, list[dict[str, Any]]]:
    """Return the plays of each tag."""
    found: dict[str, list[dict[str, Any]]] = {}
    for play in PLAYS:
        for tag in play["tags"]:
            found.setdefault(tag, []).append(play)
    return found


def role_files(role: str, tasks_from: str = "main") -> set[Path]:
    """Return a tasks file of a role, and the files that it calls."""
    name = role.removeprefix("onprem.platform.")
    todo, found = [ROOT / "roles" / name / "tasks" / f"{tasks_from.removesuffix('.yml')}.yml"], set()
    while todo:
        path = todo.pop()
        if path in found or not path.exists():
            continue
        found.add(path)
        for task in tasks(path):
            todo += [path.parent / str(task[key]) for key in INCLUDES if isinstance(task.get(key), str)]
            for key in ROLE_CALLS:
                if key in task and "{{" not in task[key]["name"]:
                    found |= role_files(task[key]["name"], task[key].get("tasks_from", "main"))
    return found


def files(play: dict[str, Any]) -> set[Path]:
    """Return the tasks files of a play."""
    calls = [(one["role"], "main") for one in play.get("roles", [])]
    for task in play.get("tasks", []):
        calls += [(task[key]["name"], task[key].get("tasks_from", "main")) for key in ROLE_CALLS if key in task]
    return {path for call in calls for path in role_files(*call)}


def test_phases_are_roles_and_described() -> None:
    assert set(phases()) - {"always", "never", "signatures"} <= set(ROLES)
    guide = (ROOT / "docs/cluster.md").read_text(encoding="utf-8")
    assert [tag for tag in phases() if tag not in ("always", "never") and f"`{tag}`" not in guide] == []


def test_nothing_runs_twice_or_never() -> None:
    """One tag for each play; only who renews the access to the cluster has those of all who need it."""
    several = [play for play in PLAYS if len(play["tags"]) != 1]
    assert [play["name"] for play in several] == ["Access"]
    assert several[0]["tags"][0] == "never"
    on_controller = {
        tag
        for tag, plays in phases().items()
        if tag not in ("always", "never", "signatures", "registry")
        and any(play.get("hosts") == "localhost" for play in plays)
    }
    assert set(several[0]["tags"][1:]) == on_controller


def test_a_phase_reads_only_what_it_kept_itself() -> None:
    missing = {}
    for tag, plays in phases().items():
        if tag in ("always", "never"):
            continue
        paths = {path for play in plays for path in files(play)}
        made: set[str] = set()
        for path in paths:
            for task in tasks(path):
                made.update([task["register"]] if "register" in task else [])
                made.update(task.get("ansible.builtin.set_fact", {}), task.get("vars", {}))
                made.update([task["loop_control"]["loop_var"]] if "loop_var" in task.get("loop_control", {}) else [])
        read = {
            name
            for path in paths
            for name in KEPT.findall(re.sub(r"^ *#.*", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE))
        }
        missing[tag] = sorted(read - made)
    assert {tag: names for tag, names in missing.items() if names} == {}
