# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt)
# SPDX-License-Identifier: BSD-2-Clause
"""Encryption at rest as it really is: what an API server has loaded, and by which key objects are written in etcd.

Private: may change in any release. Only the Python standard library is used, because a node has nothing else. No key
and no content of an object leaves the host; etcd's values are looked at as far as their prefix.
Source: https://kubernetes.io/docs/tasks/administer-cluster/encrypt-data/.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import time
import urllib.parse
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from ._kubeadm_api import ApiError, KubeadmError, KubernetesApi

PLAIN = "identity"
_PREFIX = b"k8s:enc:"
_PAGE = 200
_PASSES = 10
# No answer, too many requests, or a server's own trouble: worth another pass.
_PASSING = (0, 429, 500, 502, 503, 504)
_LOADED = re.compile(
    r"^apiserver_encryption_config_controller_last_config_info\{[^}]*\bhash=\"sha256:([0-9a-f]{64})\"", re.M
)


class Client(Protocol):
    """What is needed of KubernetesApi and Etcd."""

    def raw(self, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
        """Status and body of one request."""

    def request(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """Decoded answer of one request."""


def file_state(path: str) -> tuple[str, float]:
    """SHA-256 and time of the last change (seconds since 1970) of the encryption configuration. Raises KubeadmError."""

    try:
        with open(path, "rb") as stream:
            return hashlib.sha256(stream.read()).hexdigest(), os.fstat(stream.fileno()).st_mtime
    except OSError as error:
        raise KubeadmError(f"{path} cannot be read: {error}; this control plane does not encrypt") from error


def own_server(
    directory: str, address: str, port: int, timeout: float = 10.0, seconds: float = 0.0, pause: float = 2.0
) -> KubernetesApi:
    """This host's own API server, waited for at most ``seconds``, and never another one. Raises ApiError."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            api = KubernetesApi.local(directory, address, port, timeout)
            if api.endpoint.host == address:
                return api
            reason = f"{address} is not ready, only another API server answers"
        except ApiError as error:
            reason = str(error)
        if time.monotonic() >= deadline:
            raise ApiError(reason)
        time.sleep(pause)


def loaded_hash(api: Client) -> str:
    """SHA-256 of the configuration that the API server works with; empty when it does not say (Kubernetes < 1.34)."""
    status, body = api.raw("GET", "/metrics")
    if status != 200:
        raise ApiError(f"the API server shows no measurements: status {status}", status)
    found = _LOADED.search(body.decode(errors="replace"))
    return found.group(1) if found else ""


def wait_until_loaded(connect: Any, wanted: str, seconds: float, pause: float = 2.0) -> str:
    """Wait until the API server is ready and works with the file of SHA-256 ``wanted``; returns what it works with.

    ``connect()`` returns a client of this host's own API server. The server looks at the file once a minute.
    """
    deadline = time.monotonic() + seconds
    found = reason = ""
    while True:
        try:
            api = connect()
            found, reason = loaded_hash(api), ""
            if found == wanted and api.raw("GET", "/readyz")[0] == 200:
                return found
        except ApiError as error:
            reason = str(error)
        if time.monotonic() >= deadline:
            if reason:
                raise ApiError(f"the API server does not answer: {reason}")
            return found
        time.sleep(pause)


def key_of(value: bytes) -> str:
    """``provider/key`` that a value in etcd is encrypted with, or ``identity``."""
    if not value.startswith(_PREFIX):
        return PLAIN
    parts = value[: len(_PREFIX) + 200].split(b":", 5)
    return f"{parts[2].decode(errors='replace')}/{parts[4].decode(errors='replace')}" if len(parts) > 5 else "unknown"


def _range(etcd: Client, prefix: str) -> Iterator[tuple[str, bytes]]:
    """Keys and values below a prefix, page by page."""
    start, end = prefix.encode(), prefix[:-1].encode() + bytes([prefix.encode()[-1] + 1])
    while True:
        answer = etcd.request(
            "POST",
            "/v3/kv/range",
            {
                "key": base64.b64encode(start).decode(),
                "range_end": base64.b64encode(end).decode(),
                "limit": str(_PAGE),
            },
        )
        entries = answer.get("kvs") or []
        for entry in entries:
            yield base64.b64decode(entry["key"]).decode(errors="replace"), base64.b64decode(entry.get("value", ""))
        if not answer.get("more") or not entries:
            return
        start = base64.b64decode(entries[-1]["key"]) + b"\0"


def directories_of(resource: str) -> list[str]:
    """Where etcd may hold the objects of ``plural`` or ``plural.group``; built-in groups have no part of their own."""
    plural, _dot, group = resource.partition(".")
    return [f"/registry/{plural}/", *([f"/registry/{group}/{plural}/"] if group else [])]


class Storage:
    """The objects of some resources as etcd holds them."""

    def __init__(self, etcd: Client, api: Client, resources: Sequence[str], pause: float = 3.0) -> None:
        self._etcd = etcd
        self._api = api
        self._resources = resources
        self._pause = pause  # seconds between two passes

    def keys_in_use(self) -> dict[str, int]:
        """How many values of the whole of etcd each key has encrypted."""
        counts: Counter[str] = Counter()
        for _key, value in _range(self._etcd, "/registry/"):
            name = key_of(value)
            if name != PLAIN:
                counts[name] += 1
        return dict(counts)

    def written_by(self, resource: str) -> dict[str, str]:
        """Key of each object, by the end of its place in etcd (``namespace/name`` or ``name``)."""
        return {
            key[len(directory) :]: key_of(value)
            for directory in directories_of(resource)
            for key, value in _range(self._etcd, directory)
        }

    def stale(self, wanted: str) -> dict[str, list[str]]:
        """Objects that another key, or none, has written, by resource."""
        found = {}
        for resource in self._resources:
            names = [name for name, key in self.written_by(resource).items() if key != wanted]
            if names:
                found[resource] = sorted(names)
        return found

    def rewrite(self, wanted: str) -> int:
        """Write every object that another key has written once more, unchanged; returns how many. Raises KubeadmError.

        The API server encrypts anew with its first key. An object that somebody else changes meanwhile is encrypted
        anew by that.
        """
        done = 0
        for attempt in range(_PASSES):
            left = self.stale(wanted)
            if not left:
                return done
            time.sleep(self._pause if attempt else 0)
            for resource, names in left.items():
                done += self._rewrite_objects(resource, set(names))
        left = self.stale(wanted)
        if left:
            examples = [f"{resource} {names[0]}" for resource, names in left.items()]
            raise KubeadmError(
                f"objects are still not written with {wanted} after {_PASSES} passes, such as {', '.join(examples)}. "
                "The old key is kept; look at the API servers' messages and run this again."
            )
        return done

    def _rewrite_objects(self, resource: str, names: set[str]) -> int:
        done = 0
        base = self._path_of(resource)
        plural = resource.partition(".")[0]
        for name in sorted(names):
            namespace, slash, single = name.rpartition("/")
            place = f"/namespaces/{_quoted(namespace)}" if slash else ""
            path = f"{base}{place}/{plural}/{_quoted(single)}"
            try:
                self._api.request("PUT", path, self._api.request("GET", path))
                done += 1
            except ApiError as error:
                # Deleted or changed meanwhile: the next pass looks again.
                if error.status not in (404, 409, *_PASSING):
                    raise
        return done

    def _path_of(self, resource: str) -> str:
        _plural, _dot, group = resource.partition(".")
        if not group:
            return "/api/v1"
        version = self._api.request("GET", f"/apis/{_quoted(group)}")["preferredVersion"]["version"]
        return f"/apis/{_quoted(group)}/{version}"


def _quoted(text: str) -> str:
    return urllib.parse.quote(text, safe="")


def api_addresses(api: Client) -> list[str]:
    """Addresses of all API servers that the cluster knows."""
    selector = _quoted("kubernetes.io/service-name=kubernetes")
    path = f"/apis/discovery.k8s.io/v1/namespaces/default/endpointslices?labelSelector={selector}"
    items: list[Mapping[str, Any]] = api.request("GET", path).get("items") or []
    found = {address for item in items for entry in item.get("endpoints") or [] for address in entry["addresses"]}
    return sorted(found)
