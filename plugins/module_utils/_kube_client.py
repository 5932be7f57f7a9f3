# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""One kept-open HTTP pool to one API server, raw JSON in and out (private: may change in any release).

Request and error semantics: https://kubernetes.io/docs/reference/using-api/api-concepts/.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from ._kube_config import Connection
from ._kube_errors import (
    ConflictError,
    InvalidError,
    KubeApiError,
    KubeConfigError,
    KubeConnectionError,
    UnauthorizedError,
    error_from_status,
    parse_status,
)

try:
    import urllib3
    from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, SSLError
except ImportError:
    urllib3 = None

APPLY = "application/apply-patch+yaml"
MERGE_PATCH = "application/merge-patch+json"
JSON = "application/json"
# Safe to repeat when the answer was lost: an apply sends the same whole intent, a deletion the same end state.
_REPEATABLE_TYPES = (APPLY, MERGE_PATCH)
_RETRY_CODES = (429, 500, 502, 503, 504)
_CONFLICT_ATTEMPTS = 5
_MAX_PAUSE = 5.0
_CONNECT_TIMEOUT = 5.0
_POOL_SIZE = 8


def format_query(query: dict[str, Any] | None) -> str:
    """Encode query parameters; booleans become ``true`` and ``false``, empty values are dropped."""
    if not query:
        return ""
    pairs = [
        (key, str(value).lower() if isinstance(value, bool) else value)
        for key, value in query.items()
        if value not in (None, "")
    ]
    return f"?{urlencode(pairs)}" if pairs else ""


class KubeClient:
    """Sends requests, repeats those that may be repeated, and turns refusals into typed errors.

    ``requests`` and ``writes`` count what was sent; a dry run is no write. Safe to use from several threads.
    """

    def __init__(
        self,
        connection: Connection,
        reload: Callable[[], Connection] | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if urllib3 is None:
            raise KubeConfigError("the Python package 'urllib3' is missing on the controller", "pip install kubernetes")
        self.connection = connection
        self.requests = 0
        self.writes = 0
        self._reload = reload
        self._sleep = sleep
        self._lock = threading.Lock()
        self._pool = self._make_pool()
        self._credentials = _credentials(connection)

    def _make_pool(self) -> Any:
        connection = self.connection
        options: dict[str, Any] = {
            "num_pools": 2,
            "maxsize": _POOL_SIZE,
            "retries": False,
            "timeout": urllib3.Timeout(connect=_CONNECT_TIMEOUT, read=connection.request_timeout),
        }
        if connection.host.startswith("https://"):
            options["ssl_context"] = connection.ssl_context()
            if connection.tls_server_name:
                options["server_hostname"] = options["assert_hostname"] = connection.tls_server_name
            if not connection.verify:
                options["cert_reqs"] = "CERT_NONE"
                options["assert_hostname"] = False
                urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        if connection.proxy:
            return urllib3.ProxyManager(connection.proxy, **options)
        return urllib3.PoolManager(**options)

    def _headers(self, content_type: str = "", accept: str = JSON) -> Any:
        headers = urllib3.HTTPHeaderDict({"Accept": accept, "User-Agent": "onprem.platform"})
        if content_type:
            headers["Content-Type"] = content_type
        if self.connection.token:
            headers["Authorization"] = f"Bearer {self.connection.token}"
        for name, value in self.connection.headers:
            headers.add(name, value)
        return headers

    def request(
        self,
        verb: str,
        path: str,
        query: dict[str, Any] | None = None,
        body: Any = None,
        content_type: str = "",
        accept: str = JSON,
    ) -> tuple[int, dict[str, Any]]:
        """Send one request and return (HTTP status, parsed JSON).

        Raises KubeApiError subclasses for refusals and KubeConnectionError when the server stays unreachable for
        ``retry_timeout`` seconds. Requests that change something are repeated only if repeating is harmless.
        """
        payload = None if body is None else json.dumps(body, separators=(",", ":")).encode()
        content_type = content_type or (JSON if payload is not None else "")
        repeatable = verb in ("GET", "DELETE") or content_type in _REPEATABLE_TYPES
        deadline = time.monotonic() + self.connection.retry_timeout
        attempt = conflicts = 0
        refreshed = False
        while True:
            attempt += 1
            retry_after = 0.0
            used = self.connection
            try:
                code, data, headers = self._send(verb, path, query, payload, content_type, accept)
                if code < 400:
                    return code, _parse(data, verb, path)
                failure: Exception = error_from_status(code, parse_status(data), verb, path)
                retry_after = _seconds(headers.get("Retry-After"))
                if isinstance(failure, UnauthorizedError) and not refreshed and self._refresh(used):
                    refreshed = True
                    continue
                if isinstance(failure, ConflictError) and not failure.conflicts and repeatable:
                    conflicts += 1
                    retry = conflicts < _CONFLICT_ATTEMPTS
                else:
                    transient = code in _RETRY_CODES and not isinstance(failure, InvalidError)
                    retry = transient and (repeatable or code == 429)
            except SSLError as error:
                raise KubeConnectionError(
                    f"TLS to {self.connection.host} failed: {error}", "Check ca_cert and tls_server_name."
                ) from error
            except (HTTPError, _TruncatedError) as error:
                unsent = isinstance(error, (NewConnectionError, ConnectTimeoutError))
                failure, retry = error, repeatable or unsent
            pause = max(retry_after, min(_MAX_PAUSE, 0.05 * 2**attempt) * random.uniform(0.8, 1.2))  # noqa: S311
            if not retry or time.monotonic() + pause > deadline:
                if isinstance(failure, KubeApiError):
                    raise failure
                raise KubeConnectionError(
                    f"{self.connection.host} could not be reached ({verb} {path}): {failure}",
                    "Check the address, the network and that the API server runs.",
                ) from failure
            self._sleep(pause)

    def _send(
        self, verb: str, path: str, query: dict[str, Any] | None, payload: bytes | None, content_type: str, accept: str
    ) -> tuple[int, bytes, Any]:
        with self._lock:
            self.requests += 1
            if verb != "GET" and not (query or {}).get("dryRun"):
                self.writes += 1
        response = self._pool.request(
            verb,
            f"{self.connection.host}{path}{format_query(query)}",
            body=payload,
            headers=self._headers(content_type, accept),
        )
        return response.status, response.data, response.headers

    def _refresh(self, refused: Connection) -> bool:
        """Load the credentials anew (somebody may have renewed them); False if they are still those ``refused``."""
        if self._reload is None:
            return False
        with self._lock:
            if self.connection is not refused:
                return True  # another thread was faster
            fresh = self._reload()
            if _credentials(fresh) == self._credentials:
                return False
            fresh.retry_timeout = refused.retry_timeout
            pool, self.connection = self._pool, fresh
            self._pool, self._credentials = self._make_pool(), _credentials(fresh)
            pool.clear()
        return True

    def get(self, path: str, query: dict[str, Any] | None = None, accept: str = JSON) -> dict[str, Any]:
        """GET one path and return its JSON."""
        return self.request("GET", path, query, accept=accept)[1]

    def text(self, path: str, query: dict[str, Any] | None = None) -> str:
        """GET a path that answers with plain text (pod logs), once."""
        code, data, _headers = self._send("GET", path, query, None, "", "*/*")
        if code >= 400:
            raise error_from_status(code, parse_status(data), "GET", path)
        return data.decode("utf-8", "replace")

    def watch(self, path: str, query: dict[str, Any], seconds: float) -> Iterator[dict[str, Any]]:
        """Yield watch events (``{"type": ..., "object": ...}``) until the server or ``seconds`` ends the stream.

        A broken stream, and one that an overloaded or stopping server refuses, just ends: the caller lists again, which
        has its own retries. Raises the typed error of an ERROR event (410 above all).
        """
        query = {**query, "watch": True, "allowWatchBookmarks": True, "timeoutSeconds": max(1, int(seconds))}
        with self._lock:
            self.requests += 1
        used = self.connection
        try:
            response = self._pool.request(
                "GET",
                f"{used.host}{path}{format_query(query)}",
                headers=self._headers(),
                preload_content=False,
                timeout=urllib3.Timeout(connect=_CONNECT_TIMEOUT, read=seconds + 5),
            )
        except HTTPError:
            return
        if response.status >= 400:
            failure = error_from_status(response.status, parse_status(response.data), "GET", path)
            if response.status in _RETRY_CODES or (isinstance(failure, UnauthorizedError) and self._refresh(used)):
                return
            raise failure
        buffer = b""
        try:
            for chunk in response.stream(65536):
                *lines, buffer = (buffer + chunk).split(b"\n")
                for line in filter(None, lines):
                    event = json.loads(line)
                    if event.get("type") == "ERROR":
                        status = event.get("object") or {}
                        raise error_from_status(int(status.get("code") or 500), status, "GET", path)
                    yield event
        except (HTTPError, ValueError):
            return
        finally:
            response.close()

    def close(self) -> None:
        """Close all kept-open connections."""
        self._pool.clear()


class _TruncatedError(Exception):
    """The answer ended early or is no JSON."""


def _parse(data: bytes, verb: str, path: str) -> dict[str, Any]:
    try:
        parsed = json.loads(data) if data else {}
    except ValueError as error:
        raise _TruncatedError(f"the answer to {verb} {path} is not complete JSON") from error
    return parsed if isinstance(parsed, dict) else {"value": parsed}


def _credentials(connection: Connection) -> tuple[Any, ...]:
    """Return what identifies the user, with the content of certificate files."""
    files = []
    for path in (connection.cert_file, connection.key_file):
        try:
            files.append(Path(path).read_bytes() if path else b"")
        except OSError:
            files.append(b"")
    return connection.token, connection.cert_data, connection.key_data, *files


def _seconds(value: str | None) -> float:
    """Read a Retry-After header; the API server always sends whole seconds."""
    return float(value) if value and value.isdigit() else 0.0
