# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""k8s modules against a real API server behind a proxy that disturbs: nothing is lost, done twice or told wrongly.

Every object is a Secret, so each case also shows that no message has its value.
"""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.onprem.platform.tests.integration.fault_proxy import Disturbance
from ansible_collections.onprem.platform.tests.integration.k8s.fault_proxy import ApiFaultProxy, refusal

# The fixtures of conftest.py; pytest's importlib mode cannot import that file by name.
ApiServer = Any
ModuleRunner = Callable[..., dict[str, Any]]

CANARY = "canary-5be1-never-shown"
ENCODED = base64.b64encode(CANARY.encode()).decode()
BUSY = refusal(503, "ServiceUnavailable", "the server is stopping")

# name of the object -> what happens to requests for it
DISTURBANCES = {
    "too-many": [
        Disturbance(method=m, status=429, body=refusal(429, "TooManyRequests", "slow")) for m in ("GET", "PATCH")
    ],
    "internal": [
        Disturbance(method=m, status=500, body=refusal(500, "InternalError", "etcd"), times=2) for m in ("GET", "PATCH")
    ],
    "unavailable": [Disturbance(method=m, status=503, body=BUSY, times=2) for m in ("GET", "PATCH")],
    "gateway": [Disturbance(method="PATCH", status=502, body=b"<html>no JSON</html>")],
    "conflict": [
        Disturbance(method="PATCH", status=409, body=refusal(409, "Conflict", "the object has been modified"))
    ],
    "cut-before": [Disturbance(method=m, lose=True) for m in ("GET", "PATCH")],
    "cut-after": [Disturbance(method=m, lose=True, after=True) for m in ("GET", "PATCH")],
    "truncated": [Disturbance(method=m, truncate=True) for m in ("GET", "PATCH")],
    "slow": [Disturbance(method=m, slow=5) for m in ("GET", "PATCH")],
    "error-after": [Disturbance(method="PATCH", truncate=True, times=2)],
}


@pytest.fixture
def proxy(api_server: ApiServer) -> Iterator[ApiFaultProxy]:
    server = ApiFaultProxy(f"https://127.0.0.1:{api_server.port}", api_server.authority.certificate)
    yield server
    server.close()


def account(api_server: ApiServer, namespace: str, name: str, *rules: dict[str, Any]) -> str:
    """Make a service account with these permissions in its namespace, and return a token."""
    core, group = f"/api/v1/namespaces/{namespace}", "rbac.authorization.k8s.io"
    api_server.call("POST", f"{core}/serviceaccounts", {"metadata": {"name": name}})
    rbac = f"/apis/{group}/v1/namespaces/{namespace}"
    api_server.call("POST", f"{rbac}/roles", {"metadata": {"name": name}, "rules": list(rules)})
    binding = {
        "metadata": {"name": name},
        "roleRef": {"apiGroup": group, "kind": "Role", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
    }
    api_server.call("POST", f"{rbac}/rolebindings", binding)
    answer = api_server.call("POST", f"{core}/serviceaccounts/{name}/token", {"spec": {}})
    return str(answer["status"]["token"])


ALL_SECRETS = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["*"]}


@pytest.fixture
def connection(api_server: ApiServer, namespace: str, proxy: ApiFaultProxy) -> dict[str, Any]:
    """Options that lead through the proxy, as somebody who may do everything with Secrets of the namespace."""
    token = account(api_server, namespace, "editor", ALL_SECRETS)
    return {"host": proxy.url, "api_key": token, "retry_timeout": 150, "request_timeout": 4, "kubeconfig": None}


def secret(namespace: str, name: str, **more: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"password": CANARY}, **more}


def results(answer: dict[str, Any]) -> dict[str, str]:
    return {item["name"]: item["result"] for item in answer["objects"]}


def clean(answer: dict[str, Any]) -> dict[str, Any]:
    """Return the answer after a look for the secret in all of it."""
    text = json.dumps(answer)
    assert CANARY not in text and ENCODED not in text
    return answer


def test_every_disturbance_in_one_call(
    run: ModuleRunner, namespace: str, proxy: ApiFaultProxy, connection: dict[str, Any], api_server: ApiServer
) -> None:
    """Create, change, find unchanged and delete, each request of each object disturbed in its own way."""

    def disturb(*methods: str) -> None:
        proxy.disturbances = [
            Disturbance(**{**vars(one), "method": method, "path": f"/secrets/{name}"})
            for name, several in DISTURBANCES.items()
            for one in several
            for method in methods
            if (one.method == "GET") == (method == "GET")
        ]

    names = list(DISTURBANCES)
    for size, expected in (("1", "created"), ("2", "configured")):
        wanted = {**connection, "definition": [secret(namespace, name, immutable=False) for name in names]}
        for document in wanted["definition"]:
            document["metadata"]["labels"] = {"size": size}
        disturb("GET", "PATCH")
        answer = clean(run("k8s_apply", wanted))
        assert not answer.get("failed"), answer["msg"]
        assert [one for one in proxy.disturbances if one.times] == [], "not all of them happened"
        # Where the answer to a write got lost, the server has it all the same, and the object is not written twice.
        assert results(answer) == dict.fromkeys(names, expected)
    versions = {name: api_server.call("GET", f"/api/v1/namespaces/{namespace}/secrets/{name}") for name in names}
    proxy.disturbances = []
    again = clean(run("k8s_apply", wanted))
    assert (again["summary"], again["writes_seen"]) == ({"unchanged": len(names)}, [])
    for name, before in versions.items():
        after = api_server.call("GET", f"/api/v1/namespaces/{namespace}/secrets/{name}")
        assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    disturb("GET", "DELETE")
    gone = clean(run("k8s_apply", {**wanted, "state": "absent", "wait": True, "wait_timeout": 60}))
    assert not gone.get("failed"), gone["msg"]
    assert [one for one in proxy.disturbances if one.times] == [], "not all of them happened"
    assert api_server.call("GET", f"/api/v1/namespaces/{namespace}/secrets")["items"] == []


@pytest.mark.parametrize(
    ("disturbance", "words"),
    [
        (
            Disturbance(method="PATCH", status=500, body=refusal(500, "InternalError", f"cannot store {CANARY}")),
            ("cannot store",),
        ),
        (Disturbance(method="PATCH", status=503, body=BUSY), ("is stopping",)),
        (Disturbance(method="PATCH", status=502, body=b"<html>bad gateway</html>"), ("bad gateway",)),
        (Disturbance(method="PATCH", lose=True), ("could not be reached", "PATCH")),
        (Disturbance(method="PATCH", truncate=True), ("could not be reached", "not complete JSON")),
    ],
)
def test_what_does_not_end_is_a_failure(
    run: ModuleRunner,
    namespace: str,
    proxy: ApiFaultProxy,
    connection: dict[str, Any],
    disturbance: Disturbance,
    words: tuple[str, ...],
) -> None:
    proxy.disturbances = [Disturbance(**{**vars(disturbance), "times": 1000})]
    answer = clean(run("k8s_apply", {**connection, "definition": [secret(namespace, "one")], "retry_timeout": 1}))
    assert answer["failed"] and results(answer) == {"one": "failed"}
    for word in words:
        assert word in answer["msg"]


def test_refusals_name_what_is_missing(
    run: ModuleRunner, namespace: str, proxy: ApiFaultProxy, connection: dict[str, Any], api_server: ApiServer
) -> None:
    """401, 403 for each verb, 409 of another owner, 422 with its field: the server's own answers."""
    wanted = {**connection, "definition": [secret(namespace, "one")]}
    nobody = clean(run("k8s_apply", {**wanted, "api_key": "canary-token.of.nobody"}))
    assert "Unauthorized" in nobody["msg"] and "expired" in nobody["msg"]
    assert "canary-token" not in json.dumps(nobody)
    for number, (verbs, missing) in enumerate(((["list"], "get"), (["get"], "patch"))):
        rule = {"apiGroups": [""], "resources": ["secrets"], "verbs": verbs}
        token = account(api_server, namespace, f"limited-{number}", rule)
        refused = clean(run("k8s_apply", {**wanted, "api_key": token}))
        for word in (missing, "secrets", namespace, f"system:serviceaccount:{namespace}:limited-{number}"):
            assert word in refused["msg"], refused["msg"]
        assert token not in json.dumps(refused)
    assert not clean(run("k8s_apply", wanted)).get("failed")
    path = f"/api/v1/namespaces/{namespace}/secrets/one?fieldManager=somebody-else"
    other = {"data": {"password": base64.b64encode(b"canary-other").decode()}}
    api_server.call("PATCH", path, other, "application/merge-patch+json")
    conflict = clean(run("k8s_apply", wanted))
    assert "somebody-else" in conflict["msg"] and ".data.password" in conflict["msg"]
    invalid = clean(
        run("k8s_apply", {**connection, "definition": [secret(namespace, "two", type="kubernetes.io/tls")]})
    )
    assert "data[tls.crt]" in invalid["msg"]


def test_an_expired_token_is_read_anew(
    run: ModuleRunner, namespace: str, proxy: ApiFaultProxy, connection: dict[str, Any], tmp_path: Path
) -> None:
    token_file = tmp_path / "token"
    token_file.write_text("expired")
    config = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}],
        "clusters": [{"name": "c", "cluster": {"server": proxy.url}}],
        "users": [{"name": "c", "user": {"tokenFile": str(token_file)}}],
    }
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    proxy.on_request = lambda _method, _path: token_file.write_text(connection["api_key"]) and None
    answer = clean(run("k8s_apply", {"definition": [secret(namespace, "one")]}, kubeconfig=str(path)))
    assert results(answer) == {"one": "created"}
    assert connection["api_key"] not in json.dumps(answer)


@pytest.mark.parametrize(
    "disturbance",
    [
        Disturbance(method="GET", path="watch=true", status=410, body=refusal(410, "Expired", "too old")),
        Disturbance(
            method="GET",
            path="watch=true",
            status=200,
            body=b'{"type": "ERROR", "object": ' + refusal(410, "Expired", "too old resource version") + b"}\n",
        ),
        Disturbance(method="GET", path="watch=true", status=503, body=BUSY),
        Disturbance(method="GET", path="watch=true", lose=True),
        Disturbance(method="GET", path="watch=true", status=200, body=b'{"type": "ADDED", "obj'),
    ],
    ids=["410", "410 as an event", "503", "reset", "truncated"],
)
def test_broken_watches(
    run: ModuleRunner,
    namespace: str,
    proxy: ApiFaultProxy,
    connection: dict[str, Any],
    api_server: ApiServer,
    disturbance: Disturbance,
) -> None:
    """The first watch breaks; the object comes when the second one runs."""
    proxy.disturbances = [Disturbance(**vars(disturbance))]
    target = {"api_version": "v1", "kind": "Secret", "namespace": namespace, "name": "late", "until": "exists"}
    answers: list[dict[str, Any]] = []
    wanted = {**connection, "objects": [target], "wait_timeout": 120}
    worker = threading.Thread(target=lambda: answers.append(run("k8s_wait", wanted)))
    worker.start()
    deadline = time.monotonic() + 100
    while sum("watch=true" in path for _method, path in proxy.seen) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    api_server.call("POST", f"/api/v1/namespaces/{namespace}/secrets", {"metadata": {"name": "late"}})
    worker.join(130)
    assert answers[0]["objects"][0]["ready"], answers[0]
