# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small Kubernetes API with state, served over HTTP on loopback, into which faults can be put.

It knows server-side apply (maps are merged field by field, lists are one value), dry runs, conflicts between field
managers, deletion with finalisers, lists and watches. The real server is the judge in tests/integration/k8s.
"""

from __future__ import annotations

import copy
import json
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Document = dict[str, Any]


@dataclass
class Fault:
    """Answers the next ``times`` requests that fit: with a status, or by breaking the connection."""

    verb: str
    path: str
    code: int = 0
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    reset: str = ""
    """"before" or "after" the request has had its effect."""
    truncate: bool = False
    delay: float = 0.0
    times: int = 1


def status(code: int, reason: str, message: str, **details: Any) -> Document:
    """Return a Status object."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "code": code,
        "reason": reason,
        "message": message,
        "details": details,
    }


class FakeKubeApi:
    """The server; ``objects`` maps paths to objects, ``log`` lists (verb, path with query) of all requests."""

    def __init__(self) -> None:
        self.objects: dict[str, Document] = {}
        self.discovery: dict[str, list[Document]] = {}
        self.aggregated: Document | None = None
        self.texts: dict[str, str] = {}
        self.log: list[tuple[str, str]] = []
        self.faults: list[Fault] = []
        self.tokens: set[str] | None = None
        self.history: list[tuple[int, str, str, Document]] = []
        self.version = 100
        self.changed = threading.Condition()
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (name of the base class)
                """Keep quiet."""

            def handle_request(self) -> None:
                api.handle(self)

            do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = handle_request

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def writes(self) -> list[tuple[str, str]]:
        return [(verb, path) for verb, path in self.log if verb != "GET" and "dryRun=All" not in path]

    def put(self, path: str, document: Document, manager: str = "") -> Document:
        """Store an object as somebody else would."""
        with self.changed:
            event = "MODIFIED" if path in self.objects else "ADDED"
            self.version += 1
            stored = copy.deepcopy(document)
            metadata = stored.setdefault("metadata", {})
            metadata.setdefault("name", path.rpartition("/")[2])
            metadata.setdefault("uid", f"uid-{self.version}")
            metadata["resourceVersion"] = str(self.version)
            if manager:
                tree = _tree(
                    {key: value for key, value in document.items() if key not in ("apiVersion", "kind", "metadata")}
                )
                entry = {
                    "manager": manager,
                    "operation": "Update",
                    "apiVersion": document.get("apiVersion"),
                    "fieldsV1": tree,
                }
                metadata["managedFields"] = [entry]
            self.objects[path] = stored
            self._note(event, path, stored)
        return stored

    def remove(self, path: str) -> None:
        with self.changed:
            self.version += 1
            self._note("DELETED", path, self.objects.pop(path))

    def _note(self, event: str, path: str, document: Document) -> None:
        self.history.append((self.version, event, path, copy.deepcopy(document)))
        self.changed.notify_all()

    # --- requests ------------------------------------------------------------------------------------------------
    def handle(self, request: BaseHTTPRequestHandler) -> None:
        length = int(request.headers.get("Content-Length") or 0)
        body = json.loads(request.rfile.read(length)) if length else None
        verb, parts = request.command, urlsplit(request.path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        self.log.append((verb, request.path))
        fault = self._fault(verb, request.path)
        if fault and fault.delay:
            time.sleep(fault.delay)
        if fault and fault.reset == "before":
            _reset(request)
            return
        if fault and fault.code:
            _answer(request, fault.code, fault.body, fault.headers)
            return
        if self.tokens is not None and request.headers.get("Authorization", "")[7:] not in self.tokens:
            _answer(request, 401, status(401, "Unauthorized", "Unauthorized"))
            return
        if query.get("watch"):
            self._watch(request, parts.path, query)
            return
        code, answer = self._do(verb, parts.path, query, body, request.headers.get("Content-Type", ""))
        if fault and fault.reset == "after":
            _reset(request)
        else:
            _answer(request, code, answer, truncate=bool(fault and fault.truncate))

    def _fault(self, verb: str, path: str) -> Fault | None:
        for fault in self.faults:
            if fault.times and fault.verb in (verb, "*") and fault.path in path:
                fault.times -= 1
                return fault
        return None

    def _do(self, verb: str, path: str, query: dict[str, str], body: Any, content_type: str) -> tuple[int, Any]:
        if path in self.texts:
            return 200, self.texts[path]
        if verb == "GET" and path == "/apis" and self.aggregated:
            return 200, self.aggregated
        if verb == "GET" and path in self.discovery:
            return 200, {"kind": "APIResourceList", "resources": self.discovery[path]}
        if verb == "GET" and path in self.objects:
            return 200, self.objects[path]
        if verb == "GET" and self._is_collection(path):
            items = [item for key, item in self._inside(path) if _selected(item, query)]
            return 200, {
                "kind": "XList",
                "apiVersion": "v1",
                "metadata": {"resourceVersion": str(self.version)},
                "items": items,
            }
        if verb == "PATCH" and "apply-patch" in content_type:
            return self._apply(path, query, body)
        if verb == "PATCH" and path in self.objects:
            merged = _merged(self.objects[path], body)
            return 200, merged if query.get("dryRun") else self.put(path, merged)
        if verb == "POST" and self._is_collection(path):
            key = f"{path}/{body['metadata']['name']}"
            if key in self.objects:
                return 409, status(409, "AlreadyExists", "the object already exists")
            return 201, body if query.get("dryRun") else self.put(key, body)
        if verb == "DELETE" and path in self.objects:
            live = self.objects[path]
            if (body or {}).get("dryRun"):
                return 200, live
            if live["metadata"].get("finalizers"):
                live["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
                self.put(path, live)
            else:
                self.remove(path)
            return 200, status(200, "", "")
        name = path.rpartition("/")[2]
        known = any(path.startswith(prefix) for prefix in ("/api/", "/apis/")) and path.count("/") > 3
        return 404, status(404, "NotFound", f'objects "{name}" not found', name=name if known else "")

    def _is_collection(self, path: str) -> bool:
        last = path.rpartition("/")[2]
        return last.endswith("s") and not last.endswith("ss") and path.count("/") >= 3

    def _inside(self, path: str) -> list[tuple[str, Document]]:
        """Objects of a collection, in one namespace or (for a path without one) in all."""
        prefix, _slash, plural = path.rpartition("/")
        return [
            (key, item)
            for key, item in sorted(self.objects.items())
            if key.startswith(prefix) and key.rpartition("/")[0].endswith(f"/{plural}")
        ]

    def _apply(self, path: str, query: dict[str, str], body: Document) -> tuple[int, Any]:
        manager, live = query["fieldManager"], self.objects.get(path)
        content = {key: value for key, value in body.items() if key not in ("apiVersion", "kind")}
        metadata = {key: value for key, value in content.pop("metadata").items() if key not in ("name", "namespace")}
        if metadata:
            content["metadata"] = metadata
        tree = _tree(content)
        entry = {"manager": manager, "operation": "Apply", "apiVersion": body["apiVersion"], "fieldsV1": tree}
        if live is None:
            made = copy.deepcopy(body)
            made["metadata"]["managedFields"] = [entry]
            return 201, made if query.get("dryRun") else self.put(path, made)
        result = copy.deepcopy(live)
        entries = result["metadata"].get("managedFields") or []
        conflicts = []
        for other in entries:
            if other["manager"] != manager:
                conflicts += [(key, other["manager"]) for key in _differing(content, live, other["fieldsV1"], "")]
        if conflicts and query.get("force") != "true":
            causes = [
                {"reason": "FieldManagerConflict", "message": f'conflict with "{owner}" using v1', "field": key}
                for key, owner in conflicts
            ]
            return 409, status(409, "Conflict", "Apply failed with 1 conflict", causes=causes)
        mine = next((item["fieldsV1"] for item in entries if item["manager"] == manager), {})
        _prune(result, mine, tree)
        result = _merged(result, content)
        result["metadata"]["managedFields"] = [item for item in entries if item["manager"] != manager] + [entry]
        if result == live:
            return 200, live
        return 200, result if query.get("dryRun") else self.put(path, result)

    def _watch(self, request: BaseHTTPRequestHandler, path: str, query: dict[str, str]) -> None:
        request.send_response(200)
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        seen = int(query["resourceVersion"])
        deadline = time.monotonic() + float(query["timeoutSeconds"])

        def send(event: Document) -> None:
            data = json.dumps(event).encode() + b"\n"
            request.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
            request.wfile.flush()

        send({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": str(seen)}}})
        prefix, _slash, plural = path.rpartition("/")
        while time.monotonic() < deadline:
            fault = self._fault("EVENT", path)
            if fault:
                if fault.code:
                    send({"type": "ERROR", "object": status(fault.code, "Expired", "too old resource version")})
                break
            with self.changed:
                for version, event, key, document in list(self.history):
                    inside = key.startswith(prefix) and key.rpartition("/")[0].endswith(f"/{plural}")
                    if version > seen and inside and _selected(document, query):
                        seen = version
                        send({"type": event, "object": document})
                self.changed.wait(0.05)
        request.wfile.write(b"0\r\n\r\n")


def _answer(
    request: BaseHTTPRequestHandler, code: int, body: Any, headers: dict[str, str] | None = None, truncate: bool = False
) -> None:
    data = body.encode() if isinstance(body, str) else b"" if body is None else json.dumps(body).encode()
    request.send_response(code)
    for name, value in (headers or {}).items():
        request.send_header(name, value)
    request.send_header("Content-Length", str(len(data)))
    request.end_headers()
    if truncate:
        request.wfile.write(data[: len(data) // 2])
        request.wfile.flush()
        _reset(request)
    else:
        request.wfile.write(data)


def _reset(request: BaseHTTPRequestHandler) -> None:
    """Close with RST, so that the client sees a connection reset."""
    request.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    request.close_connection = True
    request.connection.close()


def _tree(value: Any) -> Document:
    """Return fieldsV1 of a value; lists are atomic."""
    if not isinstance(value, dict):
        return {}
    return {f"f:{key}": _tree(item) for key, item in value.items() if item is not None}


def _merged(base: Document, change: Document) -> Document:
    result = copy.deepcopy(base)
    for key, value in change.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = _merged(result[key], value)
        else:
            result[key] = copy.deepcopy(value)
    return result


def _prune(node: Document, mine: Document, wanted: Document) -> None:
    for key, children in mine.items():
        name = key[2:]
        if key not in wanted:
            node.pop(name, None)
        elif children and isinstance(node.get(name), dict):
            _prune(node[name], children, wanted[key])


def _differing(content: Any, live: Any, owned: Document, path: str) -> list[str]:
    found = []
    for key, children in owned.items():
        name = key[2:]
        if isinstance(content, dict) and name in content:
            if children:
                found += _differing(content[name], (live or {}).get(name), children, f"{path}.{name}")
            elif content[name] != (live or {}).get(name):
                found.append(f"{path}.{name}")
    return found


def _selected(document: Document, query: dict[str, str]) -> bool:
    labels = document["metadata"].get("labels") or {}
    for part in filter(None, query.get("labelSelector", "").split(",")):
        key, _equals, value = part.partition("=")
        if labels.get(key) != value:
            return False
    fields = query.get("fieldSelector", "")
    if fields.startswith("metadata.name="):
        return document["metadata"]["name"] == fields.partition("=")[2]
    if fields.startswith("involvedObject.uid="):
        return (document.get("involvedObject") or {}).get("uid") == fields.partition("=")[2]
    return True
