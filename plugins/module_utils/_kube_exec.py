# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Run a command in a pod by way of the API server (private: may change in any release).

Protocol ``v4.channel.k8s.io`` over WebSocket: each message begins with the number of its channel, 0 for input, 1 and 2
for output and errors, and 3 for the Status at the end.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from ._kube_config import Connection
from ._kube_errors import KubeConnectionError
from ._kube_portforward import open_channel

try:
    import websocket
except ImportError:
    websocket = None  # type: ignore[assignment] # the name of a module stands for its absence

_INPUT, _OUTPUT, _ERRORS, _STATUS = range(4)


@dataclass(frozen=True)
class Finished:
    """What a command has written, and its exit code (-1 when it could not be started)."""

    output: str
    errors: str
    code: int


def run_in_pod(
    connection: Connection, namespace: str, pod: str, container: str, command: list[str], text: str, timeout: float
) -> Finished:
    """Run a command with *text* as its input and return what it wrote.

    The input is never closed (the protocol has no word for it), so the command must see its end in the text.
    timeout: seconds for everything.
    Raises KubeApiError when the API server refuses, KubeConnectionError when it breaks off or the time is over.
    """
    query = [("container", container), ("stdin", "true"), ("stdout", "true"), ("stderr", "true")]
    query += [("command", word) for word in command]
    path = f"/api/v1/namespaces/{quote(namespace, safe='')}/pods/{quote(pod, safe='')}/exec?{urlencode(query)}"
    deadline = time.monotonic() + timeout
    channel = open_channel(connection, path, timeout)
    received: dict[int, bytes] = {}
    try:
        channel.send_binary(bytes([_INPUT]) + text.encode())
        while True:
            channel.settimeout(max(0.1, deadline - time.monotonic()))
            opcode, message = channel.recv_data(control_frame=True)
            if opcode == websocket.ABNF.OPCODE_CLOSE:
                break
            if opcode == websocket.ABNF.OPCODE_BINARY and message:
                received[message[0]] = received.get(message[0], b"") + message[1:]
    except (websocket.WebSocketException, OSError) as error:
        if _STATUS not in received:
            raise KubeConnectionError(f"the command in pod {namespace}/{pod} did not end: {error}") from error
    finally:
        channel.shutdown()
    if _STATUS not in received:
        raise KubeConnectionError(f"the command in pod {namespace}/{pod} did not end: the connection was closed")
    return Finished(
        received.get(_OUTPUT, b"").decode("utf-8", "replace"),
        received.get(_ERRORS, b"").decode("utf-8", "replace"),
        _exit_code(json.loads(received[_STATUS])),
    )


def _exit_code(status: dict[str, Any]) -> int:
    """Read the Status of a command; a failed one names its exit code among the causes."""
    if status.get("status") == "Success":
        return 0
    causes = (status.get("details") or {}).get("causes") or []
    codes = [cause.get("message") for cause in causes if cause.get("reason") == "ExitCode"]
    return int(codes[0]) if codes else -1
