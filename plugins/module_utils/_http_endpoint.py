# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""HTTP services that answer with JSON, reached by their URL or by a port-forward of the API server (private)."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from ._kube_client import KubeClient, format_query
from ._kube_errors import KubeConfigError, KubeError
from ._kube_pools import forwarding_pools, select_pod

try:
    import urllib3
    from urllib3.exceptions import HTTPError
except ImportError:  # KubeClient says what is missing
    urllib3 = None

FORWARD_OPTIONS: dict[str, Any] = {
    "namespace": {"type": "str", "required": True},
    "pod": {"type": "str"},
    "selector": {"type": "str"},
    "port": {"type": "int"},
}
ENDPOINT_OPTIONS: dict[str, Any] = {
    "url": {"type": "str", "required": True},
    "ca_cert": {"type": "path"},
    "validate_certs": {"type": "bool", "default": True},
    "kubernetes_port_forward": {
        "type": "dict",
        "options": FORWARD_OPTIONS,
        "required_one_of": [("pod", "selector")],
        "mutually_exclusive": [("pod", "selector")],
    },
}


class EndpointError(KubeError):
    """A service did not answer, or not with what was asked for. ``status`` is the HTTP status, 0 without an answer."""

    def __init__(self, message: str, status: int = 0, hint: str = "") -> None:
        super().__init__(message, hint)
        self.status = status


def check_url(url: str) -> str:
    """Return the URL without a trailing slash; raises KubeConfigError for one that is not plain http(s)."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise KubeConfigError(f"{parts.hostname or url!r} is no address of a service", "Write http://host:9090.")
    return url.rstrip("/")


class Endpoint:
    """One service. ``options`` are ENDPOINT_OPTIONS; ``client`` makes the client for port-forwards on first use.

    Connections are kept open. After a failed request the pod is selected anew, so that its successor is found.
    """

    def __init__(self, name: str, options: dict[str, Any], client: Callable[[], KubeClient], timeout: float) -> None:
        self.name = name
        self.url = check_url(options["url"])
        self._options = options
        self._client = client
        self._timeout = timeout
        self._pod = ""
        self._pool: Any = None

    def _open_socket(self, host: str, port: int, timeout: Any) -> socket.socket:
        from ._kube_portforward import open_forward  # imports a WebSocket library, which a URL does not need

        forward = self._options["kubernetes_port_forward"]
        client = self._client()
        if not self._pod:
            self._pod = forward["pod"] or select_pod(client, forward["namespace"], forward["selector"])
        port = forward["port"] or port
        opened = open_forward(client.connection, forward["namespace"], self._pod, port, self._timeout)
        opened.settimeout(self._timeout)
        return opened

    def _make_pool(self) -> Any:
        options: dict[str, Any] = {"retries": False, "timeout": urllib3.Timeout(self._timeout)}
        if self.url.startswith("https://"):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            try:
                if not self._options["validate_certs"]:
                    context.check_hostname = False
                    context.verify_mode = ssl.CERT_NONE
                elif self._options["ca_cert"]:
                    context.load_verify_locations(self._options["ca_cert"])
                else:
                    context.load_default_certs()
            except OSError as error:
                raise KubeConfigError(f"ca_cert of {self.name} cannot be read: {error}") from error
            options["ssl_context"] = context
        pool = urllib3.PoolManager(**options)
        if self._options["kubernetes_port_forward"]:
            pool.pool_classes_by_scheme = forwarding_pools(self._open_socket, KubeError)
        return pool

    def get(self, path: str, query: dict[str, Any] | None = None) -> Any:
        """GET a path and return the parsed JSON. Raises EndpointError."""
        if urllib3 is None:
            raise KubeConfigError("the Python package 'urllib3' is missing on the controller", "pip install kubernetes")
        if self._pool is None:
            self._pool = self._make_pool()
        try:
            answer = self._pool.request("GET", f"{self.url}{path}{format_query(query)}", redirect=False)
        except HTTPError as error:
            self._pool.clear()
            self._pod = ""
            raise EndpointError(f"{self.name} ({self.url}) does not answer: {error}") from error
        try:
            content = json.loads(answer.data)
        except ValueError:
            content = None
        if answer.status != 200 or content is None:
            detail = answer.data[:300].decode(errors="replace").strip()
            raise EndpointError(f"{self.name} answers {answer.status} to {path}: {detail}", answer.status)
        return content
