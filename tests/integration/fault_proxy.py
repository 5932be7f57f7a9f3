# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the proxies that answer wrongly on purpose have in common."""

from __future__ import annotations

import socket
import struct
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Disturbance:
    """What happens to requests.

    method and path: which ones. status and body: an answer that the server does not give. lose: cut the connection with
    a reset. truncate: send the half of the real body. cut: the same, but promise all of it and hang up. slow: seconds
    before the real body. redirect: where to send the client instead. after: let the server execute the request first.
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


class DisturbingServer:
    """Listens on loopback; ``disturbances`` are tried in their order. ``seen`` lists what came in."""

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        self.disturbances: list[Disturbance] = []
        self.seen: list[tuple[str, str]] = []
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()

    def disturbance(self, method: str, path: str) -> Disturbance | None:
        """Return what is to happen to a request, and count it."""
        with self._lock:
            for disturbance in self.disturbances:
                if disturbance.times > 0 and disturbance.method == method and disturbance.path in path:
                    disturbance.times -= 1
                    return disturbance
        return None


def reset(handler: BaseHTTPRequestHandler) -> None:
    """Cut a connection with a reset."""
    handler.close_connection = True
    linger = struct.pack("ii", 1, 0)  # close() then sends RST in place of FIN
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    handler.connection.close()
