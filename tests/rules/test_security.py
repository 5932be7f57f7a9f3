# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of ours that no other checker has: no shell, TLS verified everywhere, secrets out of Ansible's output."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from jinja2 import Environment, nodes

from ansible_collections.onprem.platform.tests.rules.project import (
    ROLES,
    ROOT,
    module_of,
    options,
    task_files,
    tasks,
    tracked,
    where,
)
from ansible_collections.onprem.platform.tests.rules.test_variables import templates

# A shell splits and expands what a variable holds; ansible.builtin.command takes a list.
SHELLS = {"ansible.builtin.shell", "ansible.builtin.raw", "ansible.builtin.expect", "ansible.builtin.script"}
# Settings that switch off the verification of certificates, as Ansible, Prometheus, Vault, Flux, curl, ... call them.
UNVERIFIED = re.compile(
    r"(validate_certs|verify_ssl|tls_verify|ssl_verify|verify)\s*[:=]\s*[\"']?(false|no|off|0)\b"
    r"|(insecure_skip_verify|insecureSkipVerify|insecure-skip-tls-verify|tls_skip_verify|tls-skip-verify|VAULT_SKIP_VERIFY"
    r"|skip_verify)[\"']?\s*[:=]\s*[\"']?(true|yes|on|1)\b"
    r"|\bcurl\b[^\n|]*\s(-k|--insecure)\b|\bwget\b[^\n|]*--no-check-certificate|GIT_SSL_NO_VERIFY",
    re.IGNORECASE,
)
# "secret" is not among them: that is what Kubernetes calls an object, and options hold its name.
SECRET_NAME = re.compile(r"(^|_)(password|passphrase|token|private_key|certificate_key|unseal_keys?)$")
# Modules of Ansible that show their arguments or results; modules of the collection mask what is secret themselves.
TALKATIVE = {
    f"ansible.builtin.{name}"
    for name in ("assert", "command", "copy", "debug", "fail", "lineinfile", "set_fact", "slurp", "template", "uri")
}
SECRET_FILE = re.compile(r"\.key\b|encryption\.yaml|password|token")
# Modules of the collection whose result is a secret.
RETURN_SECRETS = {
    "kubeadm_join_credentials": "credentials",
    "k8s_random_secret": "return_values",
    "vault_login": "token",
}
# Parts of secrets that hold none, as the documentation of what makes them says.
OPEN_PARTS = {("__kubernetes_rotation", "summary")}


@pytest.mark.parametrize("path", task_files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_shell(path: Path) -> None:
    assert [where(path, task) for task in tasks(path) if module_of(task) in SHELLS] == []


def test_certificates_are_verified_everywhere() -> None:
    files = tracked(
        "roles/**", "playbooks/**", "inventories/**", "molecule/**", "scripts/**", "Makefile", "ansible.cfg"
    )
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in files
        if path.suffix not in (".md", ".sum", ".json", ".patch")
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1)
        if UNVERIFIED.search(line) and not line.lstrip().startswith(("#", "//"))
    ]
    assert found == []


@pytest.mark.parametrize("role", ROLES)
def test_options_that_hold_a_secret_are_marked(role: str) -> None:
    def unmarked(described: dict[str, Any]) -> list[str]:
        found = []
        for name, option in described.items():
            if SECRET_NAME.search(name) and option.get("type", "str") == "str" and "no_log" not in option:
                found.append(name)
            found += unmarked(option.get("options", {}))
        return found

    assert unmarked(options(role)) == []


OPTIONS = {name for role in ROLES for name, option in options(role).items() if option.get("no_log") is True}


def kept(path: Path) -> set[str]:
    """Return the variables in which tasks of a file keep a secret: those of its tasks with no_log."""
    hidden = [task for task in tasks(path) if task.get("no_log") is True]
    registered = {task["register"] for task in hidden if "register" in task}
    return registered.union(*(task.get("ansible.builtin.set_fact", {}) for task in hidden))


OF_ROLES = OPTIONS.union(*(kept(path) for path in tracked("roles/*/tasks/*.yml")))


def shown_by(node: nodes.Node) -> set[str]:
    """Return the names whose value an expression shows; a length or whether it is there says nothing of what it is."""
    if isinstance(node, nodes.Filter) and node.name == "length":
        return set()
    if isinstance(node, nodes.Test) and node.name in ("defined", "undefined"):
        return set()
    if isinstance(node, nodes.Getattr) and (getattr(node.node, "name", None), node.attr) in OPEN_PARTS:
        return set()
    own = {node.name} if isinstance(node, nodes.Name) else set()
    return own.union(*(shown_by(child) for child in node.iter_child_nodes()))


def tells_a_secret(task: dict[str, Any], secrets: set[str]) -> bool:
    """Whether a task without no_log would show a secret in its arguments or in its result."""
    module = module_of(task)
    arguments = task.get(module) or {}
    short = module.removeprefix("onprem.platform.")
    if short in RETURN_SECRETS and "register" in task:
        return not isinstance(arguments, dict) or arguments.get("state") != "absent"
    if module not in TALKATIVE:
        return False
    if module == "ansible.builtin.slurp":
        return bool(SECRET_FILE.search(str(arguments)))
    return any(shown_by(Environment().parse(text)) & secrets for text in templates(arguments))  # noqa: S701


@pytest.mark.parametrize("path", task_files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_tasks_do_not_show_secrets(path: Path) -> None:
    secrets = OF_ROLES | kept(path)
    shown = [task for task in tasks(path) if task.get("no_log") is not True and tells_a_secret(task, secrets)]
    assert [where(path, task) for task in shown] == []
