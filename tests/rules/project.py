# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The project's files as the rules look at them."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir() if path.is_dir())
BLOCKS = ("block", "rescue", "always")
PLAY_TASKS = ("pre_tasks", "tasks", "post_tasks", "handlers")


class Unsafe(str):
    """A string with the tag ``!unsafe``, which Ansible does not render."""


class Loader(yaml.SafeLoader):
    """Knows Ansible's tags."""


Loader.add_constructor("!unsafe", lambda loader, node: Unsafe(node.value))


def tracked(*patterns: str) -> list[Path]:
    """Return the files that Git knows or would add, by patterns in which ``*`` is one level and ``**`` is any."""
    argv = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--"]
    argv += [f":(glob){pattern}" for pattern in patterns]
    names = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return sorted({ROOT / name for name in names if (ROOT / name).is_file()})


def load(path: Path) -> Any:
    """Return what a YAML file holds; an absent or empty file is an empty mapping."""
    return parse(path.read_text(encoding="utf-8")) if path.exists() else {}


def parse(text: str) -> Any:
    """Return what a text in YAML says; nothing is an empty mapping."""
    return yaml.load(text, Loader) or {}  # noqa: S506 - it is a safe one


def specification(role: str) -> dict[str, dict[str, Any]]:
    """Return the entry points of a role's argument specification."""
    return dict(load(ROOT / "roles" / role / "meta/argument_specs.yml")["argument_specs"])


def options(role: str) -> dict[str, dict[str, Any]]:
    """Return the options of all entry points of a role."""
    return {name: option for entry in specification(role).values() for name, option in entry.get("options", {}).items()}


def task_files() -> list[Path]:
    """Return every file with tasks or plays."""
    return tracked("roles/*/tasks/*.yml", "roles/*/handlers/*.yml", "playbooks/*.yml", "molecule/*/*.yml")


def tasks(content: Any) -> Iterator[dict[str, Any]]:
    """Yield the tasks of a file, or of what a file holds, those inside of plays and blocks too."""

    def walk(items: Any) -> Iterator[dict[str, Any]]:
        for item in items if isinstance(items, list) else []:
            if not isinstance(item, dict):
                continue
            inner = [key for key in (*BLOCKS, *PLAY_TASKS) if isinstance(item.get(key), list)]
            for key in inner:
                yield from walk(item[key])
            if not inner and "hosts" not in item:
                yield item

    yield from walk(load(content) if isinstance(content, Path) else content)


def module_of(task: dict[str, Any]) -> str:
    """Return the module that a task calls, by its full name."""
    return next((key for key in task if re.fullmatch(r"\w+\.\w+\.\w+", key)), "")


def where(path: Path, task: dict[str, Any]) -> str:
    """Say which task of which file."""
    return f"{path.relative_to(ROOT)}: {task.get('name', module_of(task))}"
