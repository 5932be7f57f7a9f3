# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A proxy between a module and a real Vault that answers wrongly, or not, when it is told to."""

from __future__ import annotations

import socket
import struct
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import requests


@dataclass
class Disturbance:
    """What happens to requests.

    method and path: which ones. status and body: an answer that Vault does not give. lose: cut the connection with a
    reset. truncate: send the half of the real body. cut: the same, but promise all of it and hang up. slow: seconds
    before the real body. redirect: where to send the client instead. after: let Vault execute the request first.
    times: how often.
    """

    method: str = "POST"
    path: str = ""
    status: int = 0
    body: bytes = b""
    lose: bool = False
    truncate: bool = False
    cut: bool = False
    slow: float = 0
    redirect: str = ""
    after: bool = False
    times: int = 1


class FaultProxy:
    """Hands requests over to Vault; ``disturbances`` are tried in their order. ``seen`` lists what came in."""

    def __init__(self, target: str, verify: str | bool = True) -> None:
        self.target = target
        self.verify = verify
        self.disturbances: list[Disturbance] = []
        self.seen: list[tuple[str, str]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()

    def _disturbance(self, method: str, path: str) -> Disturbance | None:
        for disturbance in self.disturbances:
            if disturbance.times > 0 and disturbance.method == method and disturbance.path in path:
                disturbance.times -= 1
                return disturbance
        return None

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_arguments: Any) -> None:
                """Keep quiet."""

            def handle_request(self) -> None:
                content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                proxy.seen.append((self.command, self.path))
                disturbance = proxy._disturbance(self.command, self.path)
                if disturbance is None:
                    answer = self._forward(content)
                    return self._answer(answer.status_code, answer.content)
                if disturbance.redirect:
                    return self._answer(307, b"", disturbance.redirect + self.path)
                if not (disturbance.after or disturbance.truncate or disturbance.cut or disturbance.slow):
                    return self._reset() if disturbance.lose else self._answer(disturbance.status, disturbance.body)
                answer = self._forward(content)
                if disturbance.lose:
                    return self._reset()
                if disturbance.status:
                    return self._answer(disturbance.status, disturbance.body)
                content = answer.content
                half = len(content) // 2 if disturbance.truncate or disturbance.cut else None
                promised = len(content) if disturbance.cut else None
                return self._answer(answer.status_code, content[:half], pause=disturbance.slow, promised=promised)

            def _forward(self, content: bytes) -> requests.Response:
                headers = {name: value for name, value in self.headers.items() if name.startswith(("X-", "Content-T"))}
                return requests.request(
                    self.command,
                    proxy.target + self.path,
                    headers=headers,
                    data=content,
                    timeout=30,
                    verify=proxy.verify,
                )

            def _answer(
                self, status: int, content: bytes, location: str = "", pause: float = 0, promised: int | None = None
            ) -> None:
                self.close_connection = self.close_connection or promised is not None
                if not content:
                    time.sleep(pause)
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content) if promised is None else promised))
                if location:
                    self.send_header("Location", location)
                self.end_headers()
                if content:
                    time.sleep(pause)
                self.wfile.write(content)

            def _reset(self) -> None:
                self.close_connection = True
                linger = struct.pack("ii", 1, 0)  # close() then sends RST in place of FIN
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                self.connection.close()

            do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_LIST = handle_request

        return Handler
