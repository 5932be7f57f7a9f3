# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects are written with the wanted key, once, and a key that is in use is never called unused."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.onprem.platform.plugins.module_utils import _encryption as encryption
from ansible_collections.onprem.platform.plugins.module_utils._kubeadm_api import ApiError, KubeadmError
from ansible_collections.onprem.platform.plugins.modules import encrypted_objects, encryption_key_info

OLD, NEW = "secretbox/key1", "secretbox/key2"


def value(key: str, content: str = "x:y:z") -> bytes:
    if key == encryption.PLAIN:
        return b"k8s\0plain"
    provider, name = key.split("/")
    return f"k8s:enc:{provider}:v1:{name}:{content}".encode()


class Cluster:
    """etcd and an API server in one; a write goes into etcd with the server's first key."""

    def __init__(self, stored: dict[str, bytes], first: str = NEW) -> None:
        self.stored = stored
        self.first = first
        self.puts: list[str] = []
        self.fail: list[ApiError] = []
        self.ignore_writes = False

    def raw(self, _method: str, path: str, _body: Any = None) -> tuple[int, bytes]:
        return (200 if self._place(path) in self.stored else 404), b"{}"

    def _place(self, path: str) -> str:
        for base in ("/api/v1/", "/apis/example.com/v2/"):
            if path.startswith(base):
                parts = path[len(base) :].split("/")
                group = "example.com/" if "example.com" in base else ""
                if parts[0] == "namespaces":
                    return f"/registry/{group}{parts[2]}/{parts[1]}/{parts[3]}"
                return f"/registry/{group}{'/'.join(parts)}"
        return path

    def request(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        if path == "/apis/example.com":
            return {"preferredVersion": {"version": "v2"}}
        if path != "/v3/kv/range":
            place = self._place(path)
            if method == "PUT":
                if self.fail:
                    raise self.fail.pop()
                self.puts.append(place)
                if not self.ignore_writes:
                    self.stored[place] = value(self.first)
            return {"metadata": {"name": place}}
        start, end = (base64.b64decode(body[part]) for part in ("key", "range_end"))
        keys = sorted(key for key in self.stored if start <= key.encode() < end)
        page = keys[: int(body["limit"])]
        entries = [
            {"key": base64.b64encode(key.encode()).decode(), "value": base64.b64encode(self.stored[key]).decode()}
            for key in page
        ]
        return {"kvs": entries, "more": len(keys) > len(page)}


def secret(number: int) -> str:
    return f"/registry/secrets/ns{number % 3}/name{number}"


def ensure(cluster: Cluster, *resources: str, check: bool = False) -> dict[str, Any]:
    storage = encryption.Storage(cluster, cluster, resources or ("secrets",), pause=0)
    return encrypted_objects.ensure(storage, NEW, check)


def test_objects_are_written_once_and_again_nothing_is() -> None:
    cluster = Cluster({secret(number): value(OLD) for number in range(450)})
    cluster.stored[secret(450)] = value(NEW)
    cluster.stored["/registry/configmaps/ns/plain"] = value(encryption.PLAIN)
    checked = ensure(cluster, check=True)
    assert (checked["changed"], checked["rewritten"], cluster.puts) == (True, 450, [])
    assert checked["values_by_key"] == {OLD: 450, NEW: 1}
    done = ensure(cluster)
    assert (done["changed"], done["rewritten"], done["values_by_key"]) == (True, 450, {NEW: 451})
    assert len(cluster.puts) == 450
    again = ensure(cluster)
    assert (again["changed"], again["rewritten"]) == (False, 0)
    assert len(cluster.puts) == 450
    cluster.stored[secret(7)] = value(OLD)
    assert ensure(cluster)["rewritten"] == 1


def test_what_was_stored_in_clear_is_encrypted() -> None:
    cluster = Cluster({secret(1): value(encryption.PLAIN)})
    assert ensure(cluster)["rewritten"] == 1
    assert cluster.stored[secret(1)] == value(NEW)


def test_custom_resources_are_found_below_their_group() -> None:
    cluster = Cluster(
        {"/registry/example.com/things/ns/one": value(OLD), "/registry/example.com/things/two": value(OLD)}
    )
    assert ensure(cluster, "things.example.com")["rewritten"] == 2


def test_a_conflict_is_looked_at_again_and_a_deleted_object_left() -> None:
    cluster = Cluster({secret(1): value(OLD), secret(2): value(OLD)})
    cluster.fail = [ApiError("changed by another", 409), ApiError("away", 0), ApiError("gone", 404)]
    assert ensure(cluster)["rewritten"] == 2


def test_a_refusal_stops() -> None:
    cluster = Cluster({secret(1): value(OLD)})
    cluster.fail = [ApiError("not allowed", 403)]
    with pytest.raises(ApiError, match="not allowed"):
        ensure(cluster)


def test_a_server_that_still_writes_with_the_old_key_is_an_error() -> None:
    with pytest.raises(KubeadmError, match="still not written with secretbox/key2"):
        ensure(Cluster({secret(1): value(OLD)}, first=OLD))


def test_a_key_that_other_objects_need_is_an_error() -> None:
    cluster = Cluster({secret(1): value(NEW), "/registry/configmaps/ns/one": value(OLD)})
    with pytest.raises(KubeadmError, match=r"still has values of other keys: .*secretbox.key1"):
        ensure(cluster)


@pytest.mark.parametrize("resources", [["*.*"], ["Secrets"], ["../secrets"], ["secrets/status"]])
def test_patterns_and_paths_are_refused(run_module: Any, resources: list[str]) -> None:
    answer = run_module(encrypted_objects.main, {"key": NEW, "advertise_address": "192.0.2.11", "resources": resources})
    assert "no single resources" in answer["msg"]


def test_missing_argument(run_module: Any) -> None:
    assert "key" in run_module(encrypted_objects.main, {"advertise_address": "192.0.2.11"})["msg"]


def test_a_host_that_is_no_control_plane_says_so(run_module: Any, tmp_path: Path) -> None:
    parameters = {"advertise_address": "192.0.2.11", "kubernetes_directory": str(tmp_path), "wait_timeout": 0}
    assert "admin.conf is missing" in run_module(encrypted_objects.main, {"key": NEW, **parameters})["msg"]
    parameters["path"] = str(tmp_path / "encryption.yaml")
    assert "does not encrypt" in run_module(encryption_key_info.main, parameters)["msg"]


@pytest.mark.parametrize(
    ("stored", "key"),
    [
        (b"k8s:enc:secretbox:v1:key1:\x00\xff:", "secretbox/key1"),
        (b"k8s:enc:kms:v2:vault:\x00", "kms/vault"),
        (b"k8s\x00\n\x0c\n\x02v1", "identity"),
        (b'{"apiVersion":"x"}', "identity"),
        (b"k8s:enc:broken", "unknown"),
    ],
)
def test_the_key_of_a_value(stored: bytes, key: str) -> None:
    assert encryption.key_of(stored) == key


# --- what a server has loaded -----------------------------------------------------------------------------------------


class Server:
    """An API server that loads a file after some looks."""

    def __init__(self, *loaded: str, ready: int = 200) -> None:
        self.loaded = list(loaded)
        self.ready = ready

    def raw(self, _method: str, path: str, _body: Any = None) -> tuple[int, bytes]:
        if path == "/readyz":
            return self.ready, b"ok"
        now = self.loaded.pop(0) if len(self.loaded) > 1 else self.loaded[0]
        name = "apiserver_encryption_config_controller_last_config_info"
        line = f'{name}{{apiserver_id_hash="sha256:{"a" * 64}",hash="sha256:{now}"}} 1\n' if now else ""
        return 200, f"# TYPE {name} gauge\n{line}other 1\n".encode()

    def request(self, _method: str, _path: str, _body: Any = None) -> dict[str, Any]:
        return {"items": [{"endpoints": [{"addresses": ["192.0.2.12"]}, {"addresses": ["192.0.2.11"]}]}]}


def test_a_server_is_waited_for_until_it_works_with_the_file() -> None:
    one, two = "1" * 64, "2" * 64
    server = Server(one, one, two)
    assert encryption.wait_until_loaded(lambda: server, two, 5, pause=0) == two
    assert encryption.wait_until_loaded(lambda: Server(one), two, 0) == one
    assert encryption.wait_until_loaded(lambda: Server(""), two, 0) == ""


def test_a_server_that_is_not_ready_or_away_is_not_taken_for_loaded() -> None:
    def away() -> Server:
        raise ApiError("refused")

    with pytest.raises(ApiError, match="refused"):
        encryption.wait_until_loaded(away, "1" * 64, 0)
    ticks = iter([away, away, lambda: Server("1" * 64)])

    def ask() -> Server:
        return next(ticks)()

    assert encryption.wait_until_loaded(ask, "1" * 64, 5, pause=0) == "1" * 64


def test_file_and_addresses(tmp_path: Path) -> None:
    path = tmp_path / "encryption.yaml"
    path.write_bytes(b"resources: []\n")
    assert encryption.file_state(str(path))[0] == hashlib.sha256(b"resources: []\n").hexdigest()
    assert encryption.api_addresses(Server("x")) == ["192.0.2.11", "192.0.2.12"]
    assert "secret" not in json.dumps(encryption.file_state(str(path)))
