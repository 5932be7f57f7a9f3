# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A module in the process of its task gives the result that it gives in a process of its own, by ansible-playbook."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.onprem.platform.tests.integration.k8s.conftest import ApiServer
from ansible_collections.onprem.platform.tests.integration.k8s.examples import REPOSITORY

STARTED = "EXEC /bin/sh"
RESULTS = "results: "


def play(
    directory: Path, tasks: list[dict[str, Any]], python: str = sys.executable, **keywords: Any
) -> tuple[list[dict[str, Any]], str]:
    """Run the tasks with that Python; return their results and what was printed."""
    directory.mkdir(exist_ok=True)
    steps: list[dict[str, Any]] = []
    for task in tasks:
        steps += [
            {**task, "register": "found", "ignore_errors": True},
            {"ansible.builtin.set_fact": {"results": "{{ results | default([]) + [found] }}"}},
        ]
    steps.append({"ansible.builtin.debug": {"msg": RESULTS + "{{ results | to_json }}"}})
    head = {"hosts": "localhost", "connection": "local", "gather_facts": False, **keywords}
    playbook = directory / "playbook.yml"
    playbook.write_text(yaml.safe_dump([{**head, "tasks": steps}], sort_keys=False))
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("ansible-playbook")),
            "-vvv",
            "-e",
            f"ansible_python_interpreter={python}",
            str(playbook),
        ],
        cwd=REPOSITORY,
        env={
            **os.environ,
            "ANSIBLE_CONFIG": str(REPOSITORY / "ansible.cfg"),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    line = next(line for line in done.stdout.splitlines() if f'"msg": "{RESULTS}' in line)
    results: list[dict[str, Any]] = json.loads(json.loads(f"{{{line}}}")["msg"].removeprefix(RESULTS))
    return results, done.stdout


def config_map(namespace: str, **data: str) -> dict[str, Any]:
    """Return a ConfigMap."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "place", "namespace": namespace},
        "data": data,
    }


def tasks_of(namespace: str) -> list[dict[str, Any]]:
    """Return tasks with every kind of result: changed, a diff, nothing to do, failed, refused arguments, a warning."""

    def apply(**options: Any) -> dict[str, Any]:
        return {"onprem.platform.k8s_apply": options}

    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "login", "namespace": namespace},
        "stringData": {"password": "not to be shown"},
    }
    return [
        {**apply(definition=config_map(namespace, where="here")), "check_mode": True, "diff": True},
        apply(definition=config_map(namespace, where="here")),
        apply(definition=config_map(namespace, where="here")),
        {**apply(definition=config_map(namespace, where="there")), "diff": True},
        {**apply(definition=secret), "diff": True},
        {**apply(definition={**secret, "stringData": {"password": "not this one either"}}), "no_log": True},
        apply(definition={**config_map(namespace), "spec": {}}),
        apply(definition=config_map(namespace), no_such_option=True),
        {
            **apply(definition=config_map(namespace), kubeconfig="/nowhere", plan_without_cluster=True),
            "check_mode": True,
        },
        {
            **apply(definition="{{ item }}"),
            "loop": [config_map(namespace, where="here"), config_map(namespace, where="here"), {"kind": "nameless"}],
        },
        {"onprem.platform.k8s_rbac_info": {"subjects": [], "checks": []}},
    ]


@pytest.fixture
def other_python(tmp_path: Path) -> str:
    """A Python in another directory, with the same packages: Ansible has to start it."""
    path = tmp_path / "python"
    path.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    path.chmod(0o755)
    return str(path)


def test_the_result_is_the_same(api_server: ApiServer, other_python: str, tmp_path: Path) -> None:
    environment = {"K8S_AUTH_KUBECONFIG": str(api_server.kubeconfig)}
    found = {}
    for name, python in (("in-one", sys.executable), ("of-its-own", other_python)):
        api_server.call("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        results, output = play(tmp_path / name, tasks_of(name), python, environment=environment)
        assert (STARTED in output) == (python == other_python)
        assert "not to be shown" not in output and "not this one" not in output
        found[name] = json.loads(json.dumps(results).replace(name, "namespace"))
    for one, other in zip(*found.values(), strict=True):
        for result in (one, other):
            result.pop("exception", None)  # where it was raised
        assert one == other
    checked, created, again, changed, secret, hidden, refused, misspelt, planned, loop, _rbac = found["in-one"]
    assert checked["changed"] and created["changed"] and not again["changed"] and changed["changed"]
    assert "where: there" in changed["diff"][0]["after"] and secret["changed"]
    assert hidden["changed"]
    assert refused["failed"] and refused["requests"] == 2 and misspelt["failed"] and "no_such_option" in misspelt["msg"]
    assert [item["changed"] for item in loop["results"]] == [True, False, False] and loop["results"][2]["failed"]
    assert any("no cluster yet" in warning for warning in planned["warnings"])


@pytest.mark.parametrize(
    "keywords",
    [{"async": 60, "poll": 1}, {"become": True, "become_method": "ansible.builtin.su"}],
    ids=["asynchronous", "as another user"],
)
def test_what_needs_a_process_has_one(
    api_server: ApiServer, namespace: str, tmp_path: Path, keywords: dict[str, Any]
) -> None:
    options = {"definition": config_map(namespace, where="here"), "kubeconfig": str(api_server.kubeconfig)}
    results, output = play(tmp_path, [{"onprem.platform.k8s_apply": options, **keywords}])
    assert results[0]["summary"] == {"created": 1} and STARTED in output


def test_delegated_to_the_controller(api_server: ApiServer, namespace: str, tmp_path: Path) -> None:
    """The variables of the delegate then say which Python is meant."""
    options = {"definition": config_map(namespace, where="here"), "kubeconfig": str(api_server.kubeconfig)}
    task = {"onprem.platform.k8s_apply": options, "delegate_to": "localhost"}
    results, output = play(tmp_path, [task])
    assert results[0]["summary"] == {"created": 1} and STARTED not in output
