# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every variable of the project that is used is defined somewhere, and every one that is defined is used."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, nodes

from ansible_collections.onprem.platform.tests.rules.project import (
    ROLES,
    Unsafe,
    load,
    options,
    task_files,
    tasks,
    tracked,
)

CONDITIONS = ("when", "that", "until", "failed_when", "changed_when")
HEADER = re.compile(r"#jinja2:(.*)")
# A lookup of names by a pattern reads every variable that has such a name.
PATTERN = re.compile(r"""query\('ansible\.builtin\.varnames', '([^']+)'\)""")
# What belongs to the project: settings of roles, and what starts with an underscore.
OURS = re.compile(rf"_{{0,2}}({'|'.join(ROLES)})_\w+")


def names_in(text: str, **delimiters: str) -> set[str]:
    """Return the names that a template reads and does not set itself."""
    tree = Environment(extensions=["jinja2.ext.do", "jinja2.ext.loopcontrols"], **delimiters).parse(text)  # noqa: S701
    read = {node.name for node in tree.find_all(nodes.Name) if node.ctx == "load"}
    return read - {node.name for node in tree.find_all(nodes.Name) if node.ctx != "load"}


def templates(value: Any, condition: bool = False) -> Iterator[str]:
    """Yield each string of a YAML value that Ansible renders; conditions are expressions without braces."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from templates(key)
            yield from templates(item, key in CONDITIONS)
    elif isinstance(value, list):
        for item in value:
            yield from templates(item, condition)
    elif isinstance(value, str) and not isinstance(value, Unsafe):
        if condition:
            yield "{{ (" + value + ") }}"
        elif "{{" in value or "{%" in value:
            yield value


def template_names(path: Path) -> set[str]:
    """Return the names that a template file reads."""
    text = path.read_text(encoding="utf-8")
    header = HEADER.match(text)
    pairs = re.findall(r"(\w+)\s*:\s*'([^']*)'", header.group(1)) if header else []
    return names_in(text[header.end() :] if header else text, **dict(pairs))


def yaml_files() -> list[Path]:
    """Return the YAML files whose strings Ansible renders."""
    return [
        *task_files(),
        *tracked("roles/*/defaults/main.yml", "roles/*/vars/main.yml", "inventories/*.yml", "inventories/**/*.yml"),
    ]


@cache
def used() -> dict[str, str]:
    """Return every name that is read, with the file that reads it."""
    found: dict[str, str] = {}
    for path in yaml_files():
        for text in templates(load(path)):
            found.update(dict.fromkeys(names_in(text), str(path)))
    for path in tracked("roles/*/templates/**"):
        found.update(dict.fromkeys(template_names(path), str(path)))
    return found


@cache
def defined() -> dict[str, str]:
    """Return every name that is defined, with the file that defines it."""
    found: dict[str, str] = {}

    def define(names: Any, path: Path | str) -> None:
        found.update(dict.fromkeys(names, str(path)))

    for role in ROLES:
        define(options(role), f"roles/{role}/meta/argument_specs.yml")
    for path in tracked("roles/*/defaults/main.yml", "roles/*/vars/main.yml", "inventories/*/group_vars/**"):
        define(load(path), path)
    for path in task_files():
        content = load(path)
        for play in content if isinstance(content, list) else []:
            define(play.get("vars", {}) if isinstance(play, dict) else (), path)
        for task in tasks(path):
            define(task.get("vars", {}), path)
            define([task["register"]] if "register" in task else (), path)
            control = task.get("loop_control", {})
            define([control[key] for key in ("loop_var", "index_var") if key in control], path)
            define(task.get("ansible.builtin.set_fact", {}), path)
    return found


@cache
def mentioned() -> set[str]:
    """Return every word that could name a variable: of strings that are rendered, templates and sources."""
    words: set[str] = set()
    for path in yaml_files():
        for text in templates(load(path)):
            words.update(re.findall(r"\w+", text))
            for pattern in PATTERN.findall(text):
                words.update(name for name in defined() if re.search(pattern, name))
    for path in [*tracked("roles/*/templates/**", "plugins/**/*.py"), *tracked("scripts/*.py", "tests/faults/*.py")]:
        words.update(re.findall(r"\w+", path.read_text(encoding="utf-8")))
    return words


def test_what_is_used_is_defined() -> None:
    ours = {name: path for name, path in used().items() if OURS.fullmatch(name)}
    assert {name: path for name, path in ours.items() if name not in defined()} == {}


def test_what_is_defined_is_used() -> None:
    ours = {name: path for name, path in defined().items() if OURS.fullmatch(name)}
    assert {name: path for name, path in ours.items() if name not in mentioned()} == {}
