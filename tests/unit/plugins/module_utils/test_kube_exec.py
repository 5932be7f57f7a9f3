# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands in pods: how the messages of the protocol become output and an exit code."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import websocket

from ansible_collections.onprem.platform.plugins.module_utils import _kube_exec
from ansible_collections.onprem.platform.plugins.module_utils._kube_config import Connection
from ansible_collections.onprem.platform.plugins.module_utils._kube_errors import KubeConnectionError
from ansible_collections.onprem.platform.plugins.module_utils._kube_exec import Finished, run_in_pod

BINARY, CLOSE, PING = websocket.ABNF.OPCODE_BINARY, websocket.ABNF.OPCODE_CLOSE, websocket.ABNF.OPCODE_PING
SUCCESS = (BINARY, b"\x03" + json.dumps({"status": "Success"}).encode())


class Channel:
    """What the API server sends, and what it got."""

    def __init__(self, messages: list[tuple[int, bytes] | Exception]) -> None:
        self.messages, self.sent, self.is_shut = messages, b"", False

    def send_binary(self, data: bytes) -> None:
        self.sent += data

    def settimeout(self, _seconds: float) -> None:
        pass

    def recv_data(self, control_frame: bool = False) -> tuple[int, bytes]:
        message = self.messages.pop(0)
        if isinstance(message, Exception):
            raise message
        return message

    def shutdown(self) -> None:
        self.is_shut = True


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Finished, Channel, str]]:
    def call(*messages: tuple[int, bytes] | Exception) -> tuple[Finished, Channel, str]:
        channel, paths = Channel(list(messages)), []

        def opened(_connection: Connection, path: str, _timeout: float | None) -> Any:
            paths.append(path)
            return channel

        monkeypatch.setattr(_kube_exec, "open_channel", opened)
        done = run_in_pod(Connection("https://api.test"), "shop", "web-0", "app", ["sh", "-c", "a & b"], "in\n", 5)
        assert channel.is_shut
        return done, channel, paths[0]

    return call


def test_output_and_input(run: Callable[..., tuple[Finished, Channel, str]]) -> None:
    done, channel, path = run(
        (BINARY, b"\x01"),
        (PING, b""),
        (BINARY, b"\x01one "),
        (BINARY, b"\x02no"),
        (BINARY, b"\x01two"),
        SUCCESS,
        (CLOSE, b""),
    )
    assert done == Finished("one two", "no", 0)
    assert channel.sent == b"\x00in\n"
    assert path == (
        "/api/v1/namespaces/shop/pods/web-0/exec?container=app&stdin=true&stdout=true&stderr=true"
        "&command=sh&command=-c&command=a+%26+b"
    )


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ({"status": "Failure", "details": {"causes": [{"reason": "ExitCode", "message": "3"}]}}, 3),
        ({"status": "Failure", "message": "no such file"}, -1),
    ],
)
def test_exit_codes(run: Callable[..., tuple[Finished, Channel, str]], status: dict[str, Any], code: int) -> None:
    assert run((BINARY, b"\x03" + json.dumps(status).encode()), (CLOSE, b""))[0].code == code


def test_what_comes_after_the_end_is_no_matter(run: Callable[..., tuple[Finished, Channel, str]]) -> None:
    assert run(SUCCESS, websocket.WebSocketConnectionClosedException("gone"))[0].code == 0


@pytest.mark.parametrize("last", [(CLOSE, b""), OSError("broken"), websocket.WebSocketTimeoutException("late")])
def test_a_command_without_an_end_is_an_error(
    run: Callable[..., tuple[Finished, Channel, str]], last: tuple[int, bytes] | Exception
) -> None:
    with pytest.raises(KubeConnectionError, match="shop/web-0 did not end"):
        run((BINARY, b"\x01half"), last)
