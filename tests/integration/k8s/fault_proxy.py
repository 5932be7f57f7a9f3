# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A proxy between a module and a real API server that answers wrongly, or not, when it is told to.

What is not disturbed goes to the server and comes back unchanged, watches as they stream.
"""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import urllib3

from ansible_collections.onprem.platform.tests.integration.fault_proxy import DisturbingServer, reset

HEADERS = ("Authorization", "Content-Type", "Accept", "User-Agent")


def refusal(code: int, reason: str, message: str) -> bytes:
    """Return a Status object as the server would send it."""
    status = {"kind": "Status", "apiVersion": "v1", "status": "Failure"}
    return json.dumps({**status, "code": code, "reason": reason, "message": message}).encode()


class ApiFaultProxy(DisturbingServer):
    """Hands requests over to the API server.

    ``on_request`` is called with method and path of each request before anything else happens.
    """

    def __init__(self, target: str, authority: Path) -> None:
        context = ssl.create_default_context(cafile=str(authority))
        self._pool = urllib3.PoolManager(ssl_context=context, retries=False, maxsize=16)
        self.target = target
        self.on_request: Callable[[str, str], None] = lambda _method, _path: None
        super().__init__(self._handler())

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_arguments: Any) -> None:
                """Keep quiet."""

            def handle_request(self) -> None:
                content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                proxy.seen.append((self.command, self.path))
                proxy.on_request(self.command, self.path)
                disturbance = proxy.disturbance(self.command, self.path)
                if disturbance is None:
                    return self._relay(self._forward(content))
                if not (disturbance.after or disturbance.truncate or disturbance.slow):
                    return reset(self) if disturbance.lose else self._answer(disturbance.status, disturbance.body)
                answer = self._forward(content)
                if disturbance.lose:
                    return reset(self)
                half = len(answer.data) // 2 if disturbance.truncate else None
                time.sleep(disturbance.slow)
                return self._answer(answer.status, answer.data[:half])

            def _forward(self, content: bytes) -> Any:
                headers = {name: self.headers[name] for name in HEADERS if name in self.headers}
                streams = "watch=true" in self.path
                return proxy._pool.request(
                    self.command, proxy.target + self.path, body=content, headers=headers, preload_content=not streams
                )

            def _relay(self, answer: Any) -> None:
                if "watch=true" not in self.path:
                    return self._answer(answer.status, answer.data)
                # In chunks, as the server does: without them a client reads until the end before it sees an event.
                self.send_response(answer.status)
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                try:
                    for part in answer.stream():
                        self.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
                    self.wfile.write(b"0\r\n\r\n")
                except OSError:
                    answer.close()  # the client has seen enough
                    self.close_connection = True
                return None

            def _answer(self, status: int, content: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                if status == 429:
                    self.send_header("Retry-After", "1")
                self.end_headers()
                try:
                    self.wfile.write(content)
                except OSError:
                    self.close_connection = True  # the client has given up a slow answer

            do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = handle_request

        return Handler
