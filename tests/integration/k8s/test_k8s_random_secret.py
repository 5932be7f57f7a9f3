# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""k8s_random_secret against a real API server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible_collections.onprem.platform.tests.integration.k8s.examples import examples, run_examples

# The fixtures of conftest.py; pytest's importlib mode cannot import that file by name.
ApiServer = Any
ModuleRunner = Callable[..., dict[str, Any]]


def test_life_of_a_secret(run: ModuleRunner, namespace: str, api_server: ApiServer) -> None:
    wanted = {"name": "login", "namespace": namespace}
    path = f"/api/v1/namespaces/{namespace}/secrets/login"
    planned = run("k8s_random_secret", wanted, check=True)
    assert (planned["changed"], planned["exists"], planned["writes_seen"]) == (True, False, [])
    made = run("k8s_random_secret", wanted)
    assert (made["changed"], made["generated"], len(made["writes_seen"])) == (True, ["password"], 1)
    first = api_server.call("GET", path)["data"]
    again = run("k8s_random_secret", wanted)
    assert (again["changed"], again["generated"], again["writes_seen"]) == (False, [], [])
    more = run("k8s_random_secret", {**wanted, "keys": ["password", "user"]})
    assert more["generated"] == ["user"]
    assert api_server.call("GET", path)["data"]["password"] == first["password"]
    for answer in (made, again, more):
        assert first["password"] not in str(answer)
    refused = run("k8s_random_secret", wanted, kubeconfig=str(api_server.user("nobody-makes-secrets")))
    for word in ("nobody-makes-secrets", "get", "secrets", namespace):
        assert word in refused["msg"]


def test_examples(namespace: str, api_server: ApiServer, tmp_path: Path) -> None:
    """The example of the documentation, before and after its volume exists."""
    tasks = examples("k8s_random_secret", {"namespace: default": f"namespace: {namespace}"})
    core = f"/api/v1/namespaces/{namespace}"
    run_examples(tmp_path, tasks, api_server.kubeconfig)
    made = api_server.call("GET", f"{core}/secrets")["items"]
    assert [item["metadata"]["name"] for item in made] == ["mariadb-first-password"]
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    api_server.call("POST", f"{core}/persistentvolumeclaims", {"metadata": {"name": "data-mariadb-0"}, "spec": claim})
    api_server.call("DELETE", f"{core}/secrets/mariadb-first-password")
    run_examples(tmp_path, tasks, api_server.kubeconfig)
    assert api_server.call("GET", f"{core}/secrets")["items"] == []
