# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The few endpoints of a Kubernetes API server that lead to Vault: pods, port-forward, TokenRequest, TokenReview.

The port-forward speaks the real WebSocket protocol, so the client library's own code runs against it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import socket
import struct
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3
_BINARY, _CLOSE = 2, 8


class _Server(ThreadingHTTPServer):
    """Prints what went wrong in it, but not that a client went away, as one does that refuses a certificate."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class FakeKubernetes:
    """The server. ``pods`` maps names to the address behind their port, ``None`` for a pod that does not listen."""

    def __init__(self) -> None:
        self.pods: dict[str, tuple[str, int] | None] = {}
        self.ready: set[str] = set()
        self.tokens: dict[str, str] = {}
        self.forwards: list[tuple[str, str, int]] = []
        self.token_requests: list[dict[str, Any]] = []
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self) -> None:
        """Stop the server."""
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        """The server's address."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def issue(self, namespace: str, name: str) -> str:
        """Make a service account known and return its token, which bears no valid signature."""
        user = f"system:serviceaccount:{namespace}:{name}"
        now = int(time.time())
        claims = {
            "iss": "https://kubernetes.default.svc",
            "sub": user,
            "aud": ["https://kubernetes.default.svc"],
            "iat": now,
            "nbf": now,
            "exp": now + 3600,
            "kubernetes.io": {"namespace": namespace, "serviceaccount": {"name": name, "uid": f"uid-of-{name}"}},
        }
        parts = [json.dumps(part).encode() for part in ({"alg": "RS256", "kid": "fake", "typ": "JWT"}, claims)]
        token = ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in [*parts, b"signature"])
        self.tokens[f"{namespace}/{name}"] = token
        return token

    def review(self, token: str, audiences: tuple[str, ...] = ()) -> dict[str, Any]:
        """Return the status of a TokenReview."""
        for account, known in self.tokens.items():
            if known == token:
                namespace, name = account.split("/")
                user = {"username": f"system:serviceaccount:{namespace}:{name}", "uid": f"uid-of-{name}"}
                return {"authenticated": True, "user": user, "audiences": audiences}
        return {"authenticated": False, "error": "the token is unknown"}

    def kubeconfig(self, directory: Path) -> str:
        """Write a kubeconfig file and return its path."""
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "fake",
            "clusters": [{"name": "fake", "cluster": {"server": self.url}}],
            "users": [{"name": "fake", "user": {"token": "t"}}],
            "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "fake"}}],
        }
        path = directory / "kubeconfig"
        path.write_text(json.dumps(content))
        return str(path)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_arguments: Any) -> None:
                """Keep quiet."""

            def do_GET(self) -> None:
                match = re.match(r"/api/v1/namespaces/([^/]+)/pods/([^/]+)/portforward\?ports=(\d+)$", self.path)
                if match:
                    return self._forward(match[1], match[2], int(match[3]))
                items = [
                    {
                        "metadata": {"name": name},
                        "status": {
                            "phase": "Running" if target else "Pending",
                            "conditions": [{"type": "Ready", "status": str(name in fake.ready)}],
                        },
                    }
                    for name, target in fake.pods.items()
                ]
                return self._json(200, {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items})

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if self.path == "/apis/authentication.k8s.io/v1/tokenreviews":
                    return self._json(201, {**body, "status": fake.review(**body["spec"])})
                match = re.match(r"/api/v1/namespaces/([^/]+)/serviceaccounts/([^/]+)/token$", self.path)
                token = fake.tokens.get(f"{match[1]}/{match[2]}") if match else None
                if token is None:
                    return self._json(404, {"kind": "Status", "reason": "NotFound", "code": 404})
                fake.token_requests.append(body)
                answer = {"token": token, "expirationTimestamp": "2030-01-01T00:00:00Z"}
                return self._json(201, {"kind": "TokenRequest", "spec": {"audiences": ["x"]}, "status": answer})

            def _json(self, status: int, body: dict[str, Any]) -> None:
                content = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def _forward(self, namespace: str, pod: str, port: int) -> None:
                target = fake.pods.get(pod)
                if pod not in fake.pods:
                    return self._json(404, {"kind": "Status", "reason": "NotFound", "code": 404})
                fake.forwards.append((namespace, pod, port))
                accept = hashlib.sha1((self.headers["Sec-WebSocket-Key"] + _GUID).encode()).digest()  # noqa: S324
                self.send_response(101)
                self.send_header("Upgrade", "websocket")
                self.send_header("Connection", "Upgrade")
                self.send_header("Sec-WebSocket-Accept", base64.b64encode(accept).decode())
                self.send_header("Sec-WebSocket-Protocol", self.headers["Sec-WebSocket-Protocol"].split(",")[0])
                self.end_headers()
                self.wfile.flush()
                for channel in (0, 1):
                    self._frame(struct.pack("<BH", channel, port))
                if target is None:
                    return self._frame(b"\x01" + b"connection refused")
                with socket.create_connection(target) as upstream:
                    threading.Thread(target=self._to_client, args=(upstream,), daemon=True).start()
                    self._from_client(upstream)
                self.close_connection = True
                return None

            def _frame(self, data: bytes, opcode: int = _BINARY) -> None:
                size = bytes([len(data)]) if len(data) < 126 else b"\x7e" + struct.pack(">H", len(data))
                self.wfile.write(bytes([0x80 | opcode]) + size + data)
                self.wfile.flush()

            def _to_client(self, upstream: socket.socket) -> None:
                try:
                    while data := upstream.recv(16384):
                        self._frame(b"\x00" + data)
                    self._frame(b"", _CLOSE)
                except (OSError, ValueError):
                    pass

            def _from_client(self, upstream: socket.socket) -> None:
                while head := self.rfile.read(2):
                    size = head[1] & 0x7F
                    if size >= 126:
                        size = int.from_bytes(self.rfile.read(2 if size == 126 else 8), "big")
                    mask = self.rfile.read(4)
                    data = bytes(byte ^ mask[i % 4] for i, byte in enumerate(self.rfile.read(size)))
                    if head[0] & 0x0F == _CLOSE:
                        break
                    if data and data[0] == 0:
                        upstream.sendall(data[1:])

        return Handler
