# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server on loopback that plays upstream: files and a registry, with the faults that a test asks for."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class FakeUpstream:
    """Content and faults of the server.

    :ivar content: path -> bytes.
    :ivar types: path -> media type.
    :ivar failures: path -> statuses that the next requests get; ``0`` closes the connection, ``-n`` sends n bytes only.
    :ivar token: when set, manifests and blobs demand it as a bearer token from ``/token``.
    :ivar requests: ``GET path [range]`` of every GET; ``heads`` counts the HEAD requests.
    """

    def __init__(self) -> None:
        self.content: dict[str, bytes] = {}
        self.types: dict[str, str] = {}
        self.failures: dict[str, list[int]] = {}
        self.token = ""
        self.requests: list[str] = []
        self.base = ""
        self.heads = 0

    @property
    def counts(self) -> Counter[str]:
        """Requests by path."""
        return Counter(request.split()[1] for request in self.requests)

    def publish(self, path: str, content: bytes) -> str:
        """Offer a file and return its SHA-256."""
        self.content[path] = content
        return hashlib.sha256(content).hexdigest()

    def publish_image(self, repository: str, tag: str, layers: list[bytes], architectures: tuple[str, ...] = ()) -> str:
        """Offer an image, or an index of images for some architectures, and return the digest of the top."""
        if architectures:
            entries = []
            for architecture in architectures:
                digest = self.publish_image(repository, f"{tag}-{architecture}", [*layers, architecture.encode()])
                platform = {"os": "linux", "architecture": architecture}
                entries.append({"digest": digest, "platform": platform})
            media_type = "application/vnd.oci.image.index.v1+json"
            top: dict[str, Any] = {"schemaVersion": 2, "mediaType": media_type, "manifests": entries}
        else:
            media_type = "application/vnd.oci.image.manifest.v1+json"
            parts = [self._blob(repository, content) for content in (b"{}", *layers)]
            top = {"schemaVersion": 2, "mediaType": media_type, "config": parts[0], "layers": parts[1:]}
        content = json.dumps(top).encode()
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        for name in (tag, digest):
            self.content[f"/v2/{repository}/manifests/{name}"] = content
            self.types[f"/v2/{repository}/manifests/{name}"] = media_type
        return digest

    def _blob(self, repository: str, content: bytes) -> dict[str, Any]:
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        self.content[f"/v2/{repository}/blobs/{digest}"] = content
        return {"mediaType": "application/octet-stream", "digest": digest, "size": len(content)}


class _Handler(BaseHTTPRequestHandler):
    upstream: FakeUpstream
    protocol_version = "HTTP/1.1"

    def log_message(self, *_arguments: Any) -> None:
        """Stay silent."""

    def do_HEAD(self) -> None:
        """Say that somebody is there."""
        self.upstream.heads += 1
        self._answer(404, b"")

    def do_GET(self) -> None:
        """Serve content, ranges, tokens and faults."""
        upstream, path = self.upstream, self.path.partition("?")[0]
        wanted = self.headers.get("Range", "")
        upstream.requests.append(f"GET {path} {wanted}".strip())
        failures = upstream.failures.get(path, [])
        failure = failures.pop(0) if failures else None
        if failure == 0:
            self.close_connection = True
            return
        if failure is not None and failure > 0:
            self._answer(failure, b"fault")
            return
        if path == "/token":
            self._answer(200, json.dumps({"token": upstream.token}).encode())
            return
        if (
            upstream.token
            and path.startswith("/v2/")
            and self.headers.get("Authorization") != f"Bearer {upstream.token}"
        ):
            challenge = f'Bearer realm="{upstream.base}/token",service="fake",scope="repository:x:pull"'
            self._answer(401, b"", {"WWW-Authenticate": challenge})
            return
        content = upstream.content.get(path)
        if content is None:
            self._answer(404, b"")
            return
        status, start = 200, 0
        if wanted.startswith("bytes="):
            start = int(wanted.removeprefix("bytes=").partition("-")[0])
            status = 206 if start < len(content) else 416
        body = content[start:] if status != 416 else b""
        self._answer(status, body, {"Content-Type": upstream.types.get(path, "application/octet-stream")}, failure)

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None, cut: int | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body if cut is None else body[:-cut])
        if cut is not None:
            self.close_connection = True


@contextmanager
def serve(upstream: FakeUpstream) -> Iterator[str]:
    """Run the server on a free port of loopback and yield its address."""
    handler = type("Handler", (_Handler,), {"upstream": upstream})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    upstream.base = f"http://127.0.0.1:{server.server_port}"
    try:
        yield upstream.base
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
