# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt)
# SPDX-License-Identifier: BSD-2-Clause
"""The Kubernetes API and etcd as seen from a control plane, with the standard library alone.

Nodes carry no Python packages. Credentials are those that kubeadm leaves on a control plane; client keys are handed to
OpenSSL through anonymous memory, so no copy of them reaches a file system.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import re
import socket
import ssl
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

JSON = "application/json"


class KubeadmError(Exception):
    """A kubeadm, API or etcd operation failed; the text names cause and remedy."""


class ApiError(KubeadmError):
    """The server answered with an error. ``status`` is the HTTP status, 0 when there was no answer."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Endpoint:
    """Where to connect and by which name the server's certificate is verified."""

    host: str
    port: int
    server_name: str = ""


@contextlib.contextmanager
def memory_file(content: str | bytes, name: str = "onprem-platform") -> Iterator[tuple[int, str]]:
    """Yield (descriptor, path) of a file that exists only in memory and only while the block runs.

    The path works in this process; a child process needs the descriptor passed on and C(/dev/fd/<descriptor>).
    """
    descriptor = os.memfd_create(name, 0)
    try:
        data = content.encode() if isinstance(content, str) else content
        os.write(descriptor, data)
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor, f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def client_context(authority: str, certificate: str, private_key: str) -> ssl.SSLContext:
    """TLS 1.2 or later, server verified by ``authority``, client certificate from memory (all PEM)."""
    context = ssl.create_default_context(cadata=authority)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    with memory_file(f"{certificate.strip()}\n{private_key.strip()}\n") as (_descriptor, path):
        context.load_cert_chain(path)
    return context


class _Connection(http.client.HTTPSConnection):
    """HTTPS to an address, verified by another name: what `tls-server-name` does in a kubeconfig."""

    def __init__(self, endpoint: Endpoint, context: ssl.SSLContext, timeout: float) -> None:
        super().__init__(endpoint.host, endpoint.port, context=context, timeout=timeout)
        self._endpoint = endpoint
        self._tls = context

    def connect(self) -> None:
        """Open the connection; the name in the certificate is checked by the context."""
        plain = socket.create_connection((self._endpoint.host, self._endpoint.port), self.timeout)
        try:
            self.sock = self._tls.wrap_socket(plain, server_hostname=self._endpoint.server_name or self._endpoint.host)
        except BaseException:
            plain.close()
            raise


class JsonClient:
    """JSON over verified HTTPS; one connection per request, because the callers make a handful."""

    def __init__(self, endpoint: Endpoint, context: ssl.SSLContext, timeout: float = 10.0) -> None:
        self.endpoint = endpoint
        self.timeout = timeout
        self._context = context

    def raw(
        self, method: str, path: str, body: Any = None, content_type: str = "application/json"
    ) -> tuple[int, bytes]:
        """Send one request; returns status and body. Raises ApiError when there is no answer."""
        connection = _Connection(self.endpoint, self._context, self.timeout)
        data = None if body is None else json.dumps(body).encode()
        headers = {"Accept": "application/json", **({"Content-Type": content_type} if data is not None else {})}
        try:
            connection.request(method, path, data, headers)
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException) as error:
            address = f"{self.endpoint.host}:{self.endpoint.port}"
            raise ApiError(f"{address} does not answer: {error}") from error
        finally:
            connection.close()

    def request(
        self, method: str, path: str, body: Any = None, content_type: str = JSON, missing_ok: bool = False
    ) -> dict[str, Any]:
        """Send one request and decode the answer; an empty dictionary for 404 with ``missing_ok``."""
        status, data = self.raw(method, path, body, content_type)
        if status == 404 and missing_ok:
            return {}
        try:
            answer = json.loads(data) if data else {}
        except ValueError:
            answer = {"message": data[:200].decode(errors="replace")}
        if status >= 300:
            detail = answer.get("message") or answer.get("error") or "no message"
            raise ApiError(f"{method} {path.split('?')[0]} failed with status {status}: {detail}", status)
        return answer if isinstance(answer, dict) else {"items": answer}


@dataclass(frozen=True)
class Kubeconfig:
    """The parts of a kubeconfig that kubeadm wrote; PEM texts."""

    authority: str
    server: str
    certificate: str = ""
    private_key: str = ""

    @property
    def endpoint(self) -> Endpoint:
        """The server's address, verified by its own name."""
        parsed = urllib.parse.urlsplit(self.server)
        return Endpoint(parsed.hostname or "", parsed.port or 443)


def read_kubeconfig(path: str) -> Kubeconfig | None:
    """Read a kubeconfig in the form that kubeadm writes (one cluster, one user); None when the file is missing.

    Certificates given as paths (kubelet.conf points at the rotated client certificate) are followed.
    """
    try:
        with open(path, encoding="utf-8") as stream:
            text = stream.read()
    except FileNotFoundError:
        return None
    values = dict(re.findall(r"^\s*(?:- )?([a-z-]+): *\"?([^\"\n]*?)\"?\s*$", text, re.M))

    def pem(name: str) -> str:
        if values.get(f"{name}-data"):
            return base64.b64decode(values[f"{name}-data"]).decode()
        if values.get(name):
            with contextlib.suppress(OSError), open(values[name], encoding="ascii") as stream:
                return stream.read()
        return ""

    return Kubeconfig(
        authority=pem("certificate-authority"),
        server=values.get("server", ""),
        certificate=pem("client-certificate"),
        private_key=pem("client-key"),
    )


class KubernetesApi(JsonClient):
    """The Kubernetes API with the administrator's credentials of a control plane."""

    @classmethod
    def local(cls, kubernetes_directory: str, address: str, port: int, timeout: float = 10.0) -> KubernetesApi:
        """Connect to this host's API server, or to the shared endpoint when this host's does not answer.

        `super-admin.conf` is the second choice: before `kubeadm init` has bound the administrators' group, only it is
        authorised. Raises ApiError with the reason why no server can be asked.
        """
        reasons = []
        for name in ("admin.conf", "super-admin.conf"):
            found = read_kubeconfig(f"{kubernetes_directory}/{name}")
            if found is None:
                reasons.append(f"{name} is missing")
                continue
            context = client_context(found.authority, found.certificate, found.private_key)
            shared = found.endpoint
            for endpoint in (Endpoint(address, port, shared.host), shared):
                client = cls(endpoint, context, timeout)
                try:
                    status, _body = client.raw("GET", "/readyz")
                    if status == 200:
                        client.request("GET", "/api/v1/namespaces/kube-system")
                        return client
                    reasons.append(f"{endpoint.host}:{endpoint.port} is not ready")
                except ApiError as error:
                    reasons.append(str(error))
        raise ApiError("; ".join(dict.fromkeys(reasons)))


class Etcd(JsonClient):
    """etcd's JSON gateway (`/v3/...`, on by default) with the health check certificate that kubeadm makes."""

    @classmethod
    def local(cls, pki_directory: str, timeout: float = 10.0, address: str = "127.0.0.1") -> Etcd:
        """Connect to the member on this host."""
        texts = []
        for name in ("ca.crt", "healthcheck-client.crt", "healthcheck-client.key"):
            try:
                with open(f"{pki_directory}/etcd/{name}", encoding="ascii") as stream:
                    texts.append(stream.read())
            except FileNotFoundError as error:
                raise KubeadmError(f"{error.filename} is missing: this host is no control plane with etcd") from error
        return cls(Endpoint(address, 2379), client_context(*texts), timeout)

    def members(self) -> list[dict[str, Any]]:
        """All members: name (empty before it started), id, learner, peer_urls, client_urls."""
        answer = self.request("POST", "/v3/cluster/member/list", {"linearizable": True})
        return [
            {
                "id": f"{int(member['ID']):x}",
                "name": member.get("name", ""),
                "learner": bool(member.get("isLearner", False)),
                "peer_urls": list(member.get("peerURLs", [])),
                "client_urls": list(member.get("clientURLs", [])),
            }
            for member in answer.get("members", [])
        ]

    def remove(self, identifier: str) -> None:
        """Remove a member by its hexadecimal id."""
        self.request("POST", "/v3/cluster/member/remove", {"ID": str(int(identifier, 16))})

    def healthy(self) -> bool:
        """Whether this member serves linearizable requests (a leader exists, no alarm)."""
        try:
            status, body = self.raw("GET", "/health")
            return status == 200 and json.loads(body).get("health") == "true"
        except (ApiError, ValueError):
            return False

    def at(self, address: str) -> Etcd:
        """The same credentials at another member."""
        return Etcd(Endpoint(address, 2379), self._context, self.timeout)
