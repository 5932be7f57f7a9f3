# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The connection layer against a server that misbehaves."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.onprem.platform.plugins.module_utils import _kube_client, _kube_config, _kube_errors
from ansible_collections.onprem.platform.plugins.module_utils._kube_client import APPLY, MERGE_PATCH, KubeClient
from ansible_collections.onprem.platform.plugins.module_utils._kube_config import (
    Connection,
    kubeconfig_secrets,
    load_connection,
)
from ansible_collections.onprem.platform.plugins.module_utils._kube_errors import (
    ConflictError,
    ExpiredError,
    ForbiddenError,
    InvalidError,
    KubeApiError,
    KubeConfigError,
    KubeConnectionError,
    UnauthorizedError,
    error_from_status,
    parse_status,
)
from ansible_collections.onprem.platform.plugins.module_utils._kube_resources import Resources, UnknownKindError
from ansible_collections.onprem.platform.tests.unit.plugins.fake_kube_api import FakeKubeApi, Fault, status

PATH = "/api/v1/namespaces/a/configmaps/one"


@pytest.fixture
def api() -> Iterator[FakeKubeApi]:
    server = FakeKubeApi()
    server.put(PATH, {"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "1"}})
    yield server
    server.close()


def client(api: FakeKubeApi, token: str = "", reload: Any = None, retry: float = 59.0) -> KubeClient:
    pauses: list[float] = []
    made = KubeClient(
        Connection(host=api.url, token=token, retry_timeout=retry, request_timeout=2), reload, pauses.append
    )
    made.pauses = pauses  # type: ignore[attr-defined]
    return made


@pytest.mark.parametrize("code", [429, 500, 502, 503, 504])
def test_server_errors_are_retried(api: FakeKubeApi, code: int) -> None:
    api.faults.append(Fault("GET", PATH, code, status(code, "Busy", "busy"), times=2))
    assert client(api).get(PATH)["data"] == {"a": "1"}
    assert len(api.log) == 3


def test_a_field_that_its_kind_does_not_have_is_not_sent_again(api: FakeKubeApi) -> None:
    """The server answers an apply of one with 500."""
    refusal = "failed to create typed patch object (a/one; /v1, Kind=ConfigMap): .spec: field not declared in schema"
    api.faults.append(Fault("PATCH", PATH, 500, status(500, "", refusal), times=2))
    asked = client(api)
    with pytest.raises(InvalidError, match=r"\.spec: field not declared"):
        asked.request("PATCH", PATH, {"fieldManager": "test"}, {"spec": {}}, APPLY)
    assert (asked.requests, asked.pauses) == (1, [])  # type: ignore[attr-defined]


def test_retry_after_is_honoured(api: FakeKubeApi) -> None:
    api.faults.append(Fault("GET", PATH, 429, status(429, "TooManyRequests", "slow down"), {"Retry-After": "3"}))
    user = client(api)
    user.get(PATH)
    assert user.pauses == [3.0]  # type: ignore[attr-defined]


def test_a_pause_beyond_the_retry_time_ends_it(api: FakeKubeApi) -> None:
    api.faults.append(Fault("GET", PATH, 429, status(429, "TooManyRequests", "slow down"), {"Retry-After": "60"}))
    with pytest.raises(KubeApiError, match="slow down") as caught:
        client(api).get(PATH)
    assert caught.value.as_failure() == {"code": 429, "reason": "TooManyRequests", "message": "slow down"}
    assert len(api.log) == 1


@pytest.mark.parametrize("moment", ["before", "after"])
def test_reset_connections_are_retried_if_harmless(api: FakeKubeApi, moment: str) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}, "data": {"b": "2"}}
    api.faults.append(Fault("PATCH", PATH, reset=moment))
    code, answer = client(api).request("PATCH", PATH, {"fieldManager": "m", "force": True}, body, APPLY)
    assert (code, answer["data"]) == (200, {"a": "1", "b": "2"})
    api.faults.append(Fault("PATCH", PATH, reset=moment))
    client(api).request("PATCH", PATH, None, {"data": {"c": "3"}}, MERGE_PATCH)
    assert api.objects[PATH]["data"]["c"] == "3"


def test_a_post_is_not_repeated_after_a_reset(api: FakeKubeApi) -> None:
    api.faults.append(Fault("POST", "/api/v1/namespaces", reset="after"))
    with pytest.raises(KubeConnectionError, match="could not be reached"):
        client(api).request("POST", "/api/v1/namespaces", None, {})
    assert len(api.log) == 1


def test_truncated_and_slow_answers(api: FakeKubeApi) -> None:
    api.faults += [Fault("GET", PATH, truncate=True), Fault("GET", PATH, 200, '{"half": ')]
    assert client(api).get(PATH)["data"] == {"a": "1"}
    api.faults.append(Fault("GET", PATH, delay=2.5))
    slow = client(api, retry=10)
    assert slow.get(PATH)["data"] == {"a": "1"}
    api.faults.append(Fault("GET", PATH, 200, "[1]"))
    assert slow.get(PATH) == {"value": [1]}
    slow.close()


def test_nobody_listens() -> None:
    nobody = KubeClient(Connection(host="http://127.0.0.1:9", retry_timeout=0))
    with pytest.raises(KubeConnectionError) as caught:
        nobody.request("POST", "/x", None, {})
    assert caught.value.as_failure()["reason"] == "KubeConnection"


def test_a_renewed_token_is_picked_up_once(api: FakeKubeApi) -> None:
    api.tokens = {"new"}
    fresh = Connection(host=api.url, token="new")
    assert client(api, "old", lambda: fresh).get(PATH)["data"]
    api.tokens = {"newer"}
    with pytest.raises(UnauthorizedError):
        client(api, "old", lambda: fresh).get(PATH)
    with pytest.raises(UnauthorizedError):
        client(api, "new", lambda: fresh).get(PATH)
    with pytest.raises(UnauthorizedError) as caught:
        client(api, "old").get(PATH)
    assert "expired" in caught.value.hint


def test_a_renewed_certificate_makes_new_connections(api: FakeKubeApi, tmp_path: Path) -> None:
    certificate = tmp_path / "client.crt"
    loaded: list[Connection] = []

    def load() -> Connection:
        loaded.append(Connection(host=api.url, cert_file=str(certificate), key_file=str(tmp_path / "none")))
        return loaded[-1]

    certificate.write_text("old")
    user = KubeClient(load(), load, lambda _seconds: None)
    expired = status(401, "Unauthorized", "Unauthorized")
    api.faults.append(Fault("GET", PATH, 401, expired))
    with pytest.raises(UnauthorizedError):
        user.get(PATH)
    api.faults.append(Fault("GET", PATH, 401, expired))
    certificate.write_text("new")
    assert user.get(PATH)["data"] == {"a": "1"}
    assert user.connection is loaded[-1]
    # A request that was refused with the old credentials finds the new ones in place already.
    assert user._refresh(loaded[0])
    assert len(loaded) == 3


def test_plain_conflicts_are_retried_ownership_conflicts_are_not(api: FakeKubeApi) -> None:
    api.faults.append(Fault("PATCH", PATH, 409, status(409, "Conflict", "the object has been modified"), times=2))
    client(api).request("PATCH", PATH, None, {"data": {}}, MERGE_PATCH)
    assert len(api.log) == 3
    api.faults.append(Fault("PATCH", PATH, 409, status(409, "Conflict", "modified"), times=9))
    with pytest.raises(ConflictError):
        client(api).request("PATCH", PATH, None, {"data": {}}, MERGE_PATCH)
    assert len(api.log) == 8
    api.faults.clear()
    api.put(PATH, {"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "1"}}, manager="kubectl-edit")
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}, "data": {"a": "2"}}
    with pytest.raises(ConflictError, match=r"\.data\.a is owned by kubectl-edit") as caught:
        client(api).request("PATCH", PATH, {"fieldManager": "m"}, body, APPLY)
    assert "force_conflicts" in caught.value.hint
    assert len(api.log) == 9


def test_counts_and_queries(api: FakeKubeApi) -> None:
    user = client(api)
    user.get(PATH, {"a": True, "b": None, "c": ""})
    user.request("PATCH", PATH, {"dryRun": "All"}, {}, MERGE_PATCH)
    user.request("PATCH", PATH, None, {}, MERGE_PATCH)
    assert (user.requests, user.writes) == (3, 1)
    assert api.log[0][1] == f"{PATH}?a=true"


def test_watch_ends_quietly_or_with_its_error(api: FakeKubeApi) -> None:
    collection = PATH.rpartition("/")[0]
    user = client(api)
    api.faults.append(Fault("EVENT", collection))
    events = list(user.watch(collection, {"resourceVersion": "0"}, 2))
    assert [event["type"] for event in events] == ["BOOKMARK"]
    api.faults.append(Fault("EVENT", collection, 410))
    with pytest.raises(ExpiredError):
        list(user.watch(collection, {"resourceVersion": "0"}, 2))
    api.faults.append(Fault("GET", collection, 403, status(403, "Forbidden", 'User "u" cannot watch')))
    with pytest.raises(ForbiddenError):
        list(user.watch(collection, {"resourceVersion": "0"}, 2))
    api.faults.append(Fault("GET", collection, reset="before"))
    assert list(user.watch(collection, {"resourceVersion": "0"}, 2)) == []
    api.texts["/log"] = "a line"
    assert user.text("/log") == "a line"
    with pytest.raises(KubeApiError):
        user.text("/nothing")


def test_impersonation_and_proxy(api: FakeKubeApi) -> None:
    params = {"host": api.url, "impersonate_user": "me", "impersonate_groups": ["a", "b"], "proxy": api.url}
    connection = load_connection(params)
    assert connection.headers == [("Impersonate-User", "me"), ("Impersonate-Group", "a"), ("Impersonate-Group", "b")]
    assert KubeClient(connection).get(PATH)["data"] == {"a": "1"}
    assert api.log[0][1].startswith("http://")


def test_missing_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_kube_client, "urllib3", None)
    with pytest.raises(KubeConfigError, match="urllib3"):
        KubeClient(Connection(host="http://x"))
    monkeypatch.setattr(_kube_config, "yaml", None)
    with pytest.raises(KubeConfigError, match="PyYAML"):
        load_connection({})


@pytest.mark.parametrize(
    ("code", "body", "expected", "words"),
    [
        (403, status(403, "Forbidden", 'User "u" cannot get resource'), ForbiddenError, ["cannot get", ""]),
        (403, status(403, "Forbidden", "violates PodSecurity"), ForbiddenError, ["PodSecurity"]),
        (403, {}, ForbiddenError, ["GET", "/x"]),
        (
            422,
            status(422, "Invalid", "bad", kind="Pod", causes=[{"field": "spec.a", "message": "no"}]),
            InvalidError,
            ["spec.a: no"],
        ),
        (422, status(422, "Invalid", "bad", causes=[{"message": "no"}]), InvalidError, ["(object): no"]),
        (418, {}, KubeApiError, ["418", "/x"]),
        (409, status(409, "AlreadyExists", "exists"), ConflictError, ["exists"]),
        (
            409,
            status(409, "Conflict", "", causes=[{"reason": "FieldManagerConflict", "message": "odd", "field": ".a"}]),
            ConflictError,
            [".a is owned by odd"],
        ),
    ],
)
def test_typed_errors(code: int, body: dict[str, Any], expected: type[KubeApiError], words: list[str]) -> None:
    error = error_from_status(code, body, "GET", "/x")
    assert error.__class__ is expected
    for word in words:
        assert word in error.message


def test_bodies_that_are_no_status() -> None:
    assert parse_status(b"<html>\nno") == {"message": "<html>"}
    assert parse_status(b"") == {}
    assert parse_status(b"[1]") == {}
    assert _kube_errors.KubeError("a", "b").as_failure() == {"code": 0, "reason": "Kube", "message": "a"}


# --- kubeconfig ----------------------------------------------------------------------------------------------------
def write_kubeconfig(directory: Path, name: str = "config", **user: Any) -> Path:
    config = {
        "current-context": name,
        "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": "team"}}],
        "clusters": [{"name": name, "cluster": {"server": "https://x:6443/", "certificate-authority": "ca.crt"}}],
        "users": [{"name": name, "user": user}],
    }
    path = directory / name
    path.write_text(yaml.safe_dump(config))
    return path


def test_kubeconfig_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_kubeconfig(tmp_path, token="t", **{"client-certificate": "me.crt", "client-key": "me.key"})
    monkeypatch.setenv("KUBECONFIG", str(path))
    connection = load_connection({})
    assert connection.host == "https://x:6443"
    assert connection.token == "t"
    assert connection.ca_file == str(tmp_path / "ca.crt")
    assert (connection.cert_file, connection.key_file) == (str(tmp_path / "me.crt"), str(tmp_path / "me.key"))
    assert connection.namespace == "team"
    assert "token" not in repr(connection)
    changed = load_connection(
        {
            "kubeconfig": str(path),
            "host": "https://y/",
            "api_key": "k",
            "ca_cert": "/ca",
            "client_cert": "/c",
            "client_key": "/k",
            "validate_certs": False,
            "tls_server_name": "api",
            "proxy": "http://p",
        }
    )
    assert (changed.host, changed.token, changed.ca_file) == ("https://y", "k", "/ca")
    assert (changed.cert_file, changed.key_file, changed.verify) == ("/c", "/k", False)
    assert (changed.tls_server_name, changed.proxy) == ("api", "http://p")


def test_several_kubeconfigs_and_token_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from-file\n")
    first = write_kubeconfig(tmp_path, "first", tokenFile="token")
    second = write_kubeconfig(tmp_path, "second", token="s")
    joined = f"{first}:{second}:{tmp_path / 'missing'}"
    assert load_connection({"kubeconfig": joined}).token == "from-file"
    assert load_connection({"kubeconfig": joined, "context": "second"}).token == "s"


def test_broken_kubeconfigs(tmp_path: Path) -> None:
    def fails(kubeconfig: Any, word: str, **more: Any) -> None:
        with pytest.raises(KubeConfigError, match=word):
            load_connection({"kubeconfig": kubeconfig, **more})

    fails(str(tmp_path / "none"), "does not exist")
    fails(f"{tmp_path}/none:{tmp_path}/none2", "none of the kubeconfig files")
    bad = tmp_path / "bad"
    bad.write_text("a: [")
    fails(str(bad), "cannot be read")
    bad.write_text("- 1")
    fails(str(bad), "not a mapping")
    fails({"clusters": []}, "no current-context")
    fails({"current-context": "a", "contexts": []}, "known: none")
    good = yaml.safe_load(write_kubeconfig(tmp_path).read_text())
    fails(good, "known: config", context="other")
    good["users"][0]["user"]["client-key-data"] = "%%%"
    fails(good, "not valid base64")
    with pytest.raises(KubeConfigError, match="no http"):
        load_connection({"host": "x:6443"})


def test_cluster_without_user(tmp_path: Path) -> None:
    config = yaml.safe_load(write_kubeconfig(tmp_path).read_text())
    del config["contexts"][0]["context"]["user"]
    del config["clusters"][0]["cluster"]["certificate-authority"]
    assert load_connection({"kubeconfig": config}).token == ""


def test_credential_plugin(tmp_path: Path) -> None:
    plugin = tmp_path / "plugin"
    plugin.write_text(
        "#!/bin/sh\n"
        'echo \'{"kind": "ExecCredential", "apiVersion": "client.authentication.k8s.io/v1",'
        ' "status": {"token": "from-plugin"}}\'\n'
    )
    plugin.chmod(0o755)
    version = "client.authentication.k8s.io/v1"
    path = write_kubeconfig(tmp_path, exec={"apiVersion": version, "command": str(plugin), "interactiveMode": "Never"})
    config = yaml.safe_load(path.read_text())
    del config["clusters"][0]["cluster"]["certificate-authority"]
    assert load_connection({"kubeconfig": config}).token == "from-plugin"
    plugin.write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(KubeConfigError, match="no credentials"):
        load_connection({"kubeconfig": config})


def test_secrets_of_an_inline_kubeconfig() -> None:
    config = {
        "users": [{"user": {"token": "t1", "client-key-data": "k1", "client-certificate-data": "public"}}],
        "a": 1,
    }
    assert kubeconfig_secrets(config) == {"t1", "k1"}
    assert kubeconfig_secrets("/path") == set()


def test_tls_contexts(tmp_path: Path) -> None:
    assert Connection(host="https://x").ssl_context().verify_mode == ssl.CERT_REQUIRED
    open_context = Connection(host="https://x", verify=False).ssl_context()
    assert open_context.verify_mode == ssl.CERT_NONE
    with pytest.raises(KubeConfigError, match="CA certificate"):
        Connection(host="https://x", ca_data="nonsense").ssl_context()
    with pytest.raises(KubeConfigError, match="client certificate"):
        Connection(host="https://x", verify=False, cert_file=str(tmp_path / "no")).ssl_context()
    with pytest.raises(KubeConfigError, match="client certificate"):
        Connection(host="https://x", verify=False, cert_data=base64.b64encode(b"no"), key_data=b"no").ssl_context()
    assert KubeClient(Connection(host="https://x", verify=False, tls_server_name="y")).requests == 0


# --- discovery -----------------------------------------------------------------------------------------------------
def group(name: str, kind: str, plural: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name},
        "versions": [
            {
                "version": "v1",
                "resources": [
                    {
                        "resource": plural,
                        "scope": "Namespaced",
                        "responseKind": {"kind": kind},
                        "subresources": [{"subresource": "status"}],
                    },
                    {"resource": "odd"},
                ],
            }
        ],
    }


def test_known_kinds_need_no_request(api: FakeKubeApi) -> None:
    resources = Resources(client(api))
    for version, kind, path in (
        ("v1", "Endpoints", "/api/v1/namespaces/a/endpoints/x"),
        ("v1", "Namespace", "/api/v1/namespaces/x"),
        ("networking.k8s.io/v1", "NetworkPolicy", "/apis/networking.k8s.io/v1/namespaces/a/networkpolicies/x"),
        ("storage.k8s.io/v1", "StorageClass", "/apis/storage.k8s.io/v1/storageclasses/x"),
    ):
        assert resources.find(version, kind).path("a", "x") == path
    assert resources.find("v1", "Pod").collection(None) == "/api/v1/pods"
    assert resources.find("apps/v1", "Deployment").group == "apps"
    assert resources.find("v1", "Pod").path("a", "x/../y").endswith("/x%2F..%2Fy")
    assert api.log == []


def test_unknown_group_is_asked_once(api: FakeKubeApi) -> None:
    entries = [
        {"kind": "Widget", "name": "widgets", "namespaced": True},
        {"kind": "Widget", "name": "widgets/status", "namespaced": True},
        {"kind": "Plain", "name": "plains", "namespaced": False},
    ]
    resources = Resources(client(api))
    with pytest.raises(UnknownKindError):
        resources.find("test/v1", "Widget")
    with pytest.raises(UnknownKindError):
        resources.find("test/v1", "Widget")
    assert len(api.log) == 1
    api.discovery["/apis/test/v1"] = entries
    assert resources.find("test/v1", "Widget", refresh=True).status
    assert not resources.find("test/v1", "Plain").status
    assert len(api.log) == 2


def test_many_unknown_groups_cost_one_request(api: FakeKubeApi) -> None:
    kinds = {(f"g{number}.test/v1", "Thing") for number in range(5)}
    api.aggregated = {
        "kind": "APIGroupDiscoveryList",
        "items": [group(f"g{number}.test", "Thing", "things") for number in range(5)],
    }
    resources = Resources(client(api))
    resources.prepare(kinds)
    assert [resources.find(version, kind).plural for version, kind in kinds] == ["things"] * 5
    assert len(api.log) == 1
    api.aggregated = {"kind": "APIGroupList"}
    older = Resources(client(api))
    older.prepare(kinds)
    with pytest.raises(UnknownKindError):
        older.find("g1.test/v1", "Thing")
