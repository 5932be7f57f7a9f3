# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A proxy between a module and a real Vault that answers wrongly, or not, when it is told to."""

from __future__ import annotations

import time
from http.server import BaseHTTPRequestHandler
from typing import Any

import requests

from ansible_collections.onprem.platform.tests.integration.fault_proxy import DisturbingServer, reset


class FaultProxy(DisturbingServer):
    """Hands requests over to Vault."""

    def __init__(self, target: str, verify: str | bool = True) -> None:
        self.target = target
        self.verify = verify
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
                disturbance = proxy.disturbance(self.command, self.path)
                if disturbance is None:
                    answer = self._forward(content)
                    return self._answer(answer.status_code, answer.content)
                if disturbance.redirect:
                    return self._answer(307, b"", disturbance.redirect + self.path)
                if not (disturbance.after or disturbance.truncate or disturbance.cut or disturbance.slow):
                    return reset(self) if disturbance.lose else self._answer(disturbance.status, disturbance.body)
                answer = self._forward(content)
                if disturbance.lose:
                    return reset(self)
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

            do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_LIST = handle_request

        return Handler
