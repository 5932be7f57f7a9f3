# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""HTTP to pods by way of the API server: which pod, and urllib3 pools over forwarded sockets (private)."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from ._kube_client import KubeClient
from ._kube_errors import KubeError

try:
    from urllib3.connection import HTTPConnection, HTTPSConnection
    from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
    from urllib3.exceptions import NewConnectionError
except ImportError:  # KubeClient says what is missing
    HTTPConnection = HTTPSConnection = HTTPConnectionPool = HTTPSConnectionPool = object  # type: ignore[misc, assignment]

# (host, port, seconds or None) -> a connected socket
OpenSocket = Callable[[str, int, Any], socket.socket]


def select_pod(client: KubeClient, namespace: str, selector: str) -> str:
    """Return the name of a running pod with these labels, ready ones first. Raises KubeError when there is none."""
    path = f"/api/v1/namespaces/{quote(namespace, safe='')}/pods"
    try:
        pods = client.get(path, {"labelSelector": selector}).get("items") or []
    except KubeError as error:
        raise KubeError(f"Pods with labels {selector} cannot be listed: {error}", error.hint) from error
    running = [
        pod for pod in pods if pod["status"].get("phase") == "Running" and not pod["metadata"].get("deletionTimestamp")
    ]
    if not running:
        phases = ", ".join(f"{pod['metadata']['name']} {pod['status'].get('phase')}" for pod in pods)
        raise KubeError(f"No running pod in {namespace} has the labels {selector}: {phases or 'no pod at all'}")

    def rank(pod: dict[str, Any]) -> tuple[bool, str]:
        conditions = pod["status"].get("conditions") or []
        ready = any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)
        return not ready, pod["metadata"]["name"]

    return str(min(running, key=rank)["metadata"]["name"])


def forwarding_pools(open_socket: OpenSocket, failure: type[Exception]) -> dict[str, type]:
    """Return connection pools whose connections run over these sockets. TLS stays urllib3's own.

    failure: what open_socket raises; urllib3 sees it as a failed connection.
    """

    def new_connection(connection: Any) -> Any:
        try:
            return open_socket(connection.host, connection.port, connection.timeout)
        except failure as error:
            raise NewConnectionError(connection, str(error)) from error

    class ForwardedHTTPConnection(HTTPConnection):  # type: ignore[misc]
        def _new_conn(self) -> Any:
            return new_connection(self)

    class ForwardedHTTPSConnection(HTTPSConnection):  # type: ignore[misc]
        def _new_conn(self) -> Any:
            return new_connection(self)

    class ForwardedHTTPPool(HTTPConnectionPool):  # type: ignore[misc]
        ConnectionCls = ForwardedHTTPConnection

    class ForwardedHTTPSPool(HTTPSConnectionPool):  # type: ignore[misc]
        ConnectionCls = ForwardedHTTPSConnection

    return {"http": ForwardedHTTPPool, "https": ForwardedHTTPSPool}
