# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Sockets to pods by way of the API server; no port listens on this machine (private: may change in any release).

Protocol ``v4.channel.k8s.io`` over WebSocket: each message begins with the number of its channel, 0 for data and 1 for
errors, and the first message of each channel holds the port's number. The package ``kubernetes`` can do this too, but
its generated models cost half a second of processor time per start.
"""

from __future__ import annotations

import select
import socket
import ssl
import threading
from typing import Any
from urllib.parse import quote, urlsplit

from ._kube_config import Connection
from ._kube_errors import KubeConfigError, KubeConnectionError, error_from_status, parse_status

try:
    import websocket
except ImportError:
    websocket = None  # type: ignore[assignment] # the name of a module stands for its absence

_DATA = 0
_CHUNK = 65536


def open_channel(connection: Connection, path: str, timeout: float | None) -> Any:
    """Return a WebSocket to a path of the API server, of the protocol above; errors are those of open_forward."""
    if websocket is None:
        raise KubeConfigError("the Python package 'websocket-client' is missing", "pip install websocket-client")
    headers = [f"{name}: {value}" for name, value in connection.headers]
    if connection.token:
        headers.append(f"Authorization: Bearer {connection.token}")
    options: dict[str, Any] = {"http_no_proxy": ["*"]}
    if connection.proxy:
        proxy = urlsplit(connection.proxy)
        options = {"http_proxy_host": proxy.hostname, "http_proxy_port": proxy.port, "proxy_type": "http"}
    if connection.host.startswith("https://"):
        host = connection.tls_server_name or urlsplit(connection.host).hostname
        options["sslopt"] = {"context": connection.ssl_context(), "server_hostname": host}
    try:
        return websocket.create_connection(
            f"ws{connection.host.removeprefix('http')}{path}",
            timeout=timeout,
            header=headers,
            subprotocols=["v4.channel.k8s.io"],
            redirect_limit=0,  # another server must not get the token
            **options,
        )
    except websocket.WebSocketBadStatusException as error:
        raise error_from_status(error.status_code, parse_status(error.resp_body or b""), "GET", path) from error
    except (websocket.WebSocketException, OSError) as error:
        raise KubeConnectionError(f"{connection.host} could not be reached: {error}") from error


def open_forward(connection: Connection, namespace: str, pod: str, port: int, timeout: float | None) -> socket.socket:
    """Return a socket that is connected to the port of a pod.

    timeout: seconds for the connection, and for each message once it has begun.
    Raises KubeApiError when the API server refuses, KubeConnectionError when it cannot be reached.
    """
    path = f"/api/v1/namespaces/{quote(namespace, safe='')}/pods/{quote(pod, safe='')}/portforward?ports={port}"
    channel = open_channel(connection, path, timeout)
    near, far = socket.socketpair()
    threading.Thread(target=_relay, args=(channel, far), name=f"port-forward to {pod}", daemon=True).start()
    return near


def _relay(channel: Any, far: socket.socket) -> None:
    """Carry data in both directions until one end hangs up or fails; the other end then sees that too."""
    greeted: set[int] = set()
    try:
        while True:
            if isinstance(channel.sock, ssl.SSLSocket) and channel.sock.pending():
                readable: list[Any] = [channel.sock]  # decrypted already, so that select would not tell
            else:
                readable = select.select([channel.sock, far], [], [])[0]
            if channel.sock in readable:
                opcode, message = channel.recv_data(control_frame=True)
                if opcode == websocket.ABNF.OPCODE_CLOSE:
                    return
                if opcode == websocket.ABNF.OPCODE_BINARY and message:
                    if message[0] not in greeted:
                        greeted.add(message[0])
                    elif message[0] == _DATA:
                        far.sendall(message[1:])
                    else:
                        return  # nothing listens in the pod
            if far in readable:
                data = far.recv(_CHUNK)
                if not data:
                    return
                channel.send_binary(bytes([_DATA]) + data)
    except (websocket.WebSocketException, OSError):
        return
    finally:
        far.close()
        channel.shutdown()
