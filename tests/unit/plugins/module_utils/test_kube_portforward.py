# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Port-forward to pods, over WebSocket with a server that speaks the real protocol."""

from __future__ import annotations

import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import websocket

from ansible_collections.onprem.platform.plugins.module_utils import _kube_portforward
from ansible_collections.onprem.platform.plugins.module_utils._kube_config import Connection
from ansible_collections.onprem.platform.plugins.module_utils._kube_errors import (
    KubeConfigError,
    KubeConnectionError,
    NotFoundError,
)
from ansible_collections.onprem.platform.plugins.module_utils._kube_portforward import _relay, open_forward
from ansible_collections.onprem.platform.tests.unit.fakes.certificates import Authority
from ansible_collections.onprem.platform.tests.unit.fakes.kubernetes_api import FakeKubernetes

NAME = "api.platform.internal"


@pytest.fixture
def cluster():
    server = FakeKubernetes()
    yield server
    server.close()


@pytest.fixture
def echo():
    """A server that sends everything back, and hangs up after its client has."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                connection, _address = listener.accept()
            except OSError:
                return
            with connection:
                while data := connection.recv(65536):
                    connection.sendall(data)

    threading.Thread(target=serve, daemon=True).start()
    yield listener.getsockname()
    listener.close()


def exchange(forward, data):
    """Send data and return as much as comes back; both ways at once, as TLS does."""
    sender = threading.Thread(target=forward.sendall, args=(data,))
    sender.start()
    received = b""
    while len(received) < len(data):
        part = forward.recv(65536)
        if not part:
            break
        received += part
    sender.join()
    return received


def test_data_in_both_directions(cluster, echo):
    cluster.pods["echo"] = echo
    forward = open_forward(Connection(host=cluster.url, token="t"), "shop", "echo", 7, 10)
    data = bytes(range(256)) * 2000
    assert exchange(forward, b"a") == b"a"
    assert exchange(forward, data) == data
    forward.close()
    assert cluster.forwards == [("shop", "echo", 7)]


def test_over_tls_with_a_client_certificate(cluster, echo, tmp_path):
    """The name in the certificate is checked, and data that TLS has decrypted already is not forgotten."""
    authority = Authority(tmp_path)
    certificate, key = authority.issue(NAME)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(authority.path)
    context.verify_mode = ssl.CERT_REQUIRED
    cluster._server.socket = context.wrap_socket(
        cluster._server.socket, server_side=True, do_handshake_on_connect=False
    )
    cluster._server.handle_error = lambda *_arguments: None
    cluster.pods["echo"] = echo
    client_certificate, client_key = authority.issue("admin")
    host = cluster.url.replace("http://", "https://")
    right = {
        "ca_file": str(authority.path),
        "cert_data": client_certificate.read_bytes(),
        "key_data": client_key.read_bytes(),
        "tls_server_name": NAME,
    }
    forward = open_forward(Connection(host=host, **right), "shop", "echo", 7, 10)
    data = bytes(range(256)) * 2000
    assert exchange(forward, data) == data
    forward.close()
    for wrong in (
        {**right, "tls_server_name": "other"},
        {**right, "tls_server_name": ""},
        {**right, "ca_file": ""},
        {**right, "cert_data": b"", "key_data": b""},
    ):
        with pytest.raises(KubeConnectionError):
            open_forward(Connection(host=host, **wrong), "shop", "echo", 7, 2)
    assert open_forward(Connection(host=host, **{**right, "ca_file": "", "verify": False}), "shop", "echo", 7, 2)


def test_a_pod_that_does_not_listen(cluster):
    cluster.pods["deaf"] = None
    forward = open_forward(Connection(host=cluster.url), "shop", "deaf", 7, 10)
    forward.settimeout(10)
    assert forward.recv(1) == b"", "the end of the socket tells it"


def test_refusals(cluster, echo, monkeypatch):
    with pytest.raises(NotFoundError):
        open_forward(Connection(host=cluster.url), "shop", "gone", 7, 10)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(KubeConnectionError, match="refused"):
            open_forward(Connection(host=closed), "shop", "echo", 7, 10)
    monkeypatch.setattr(_kube_portforward, "websocket", None)
    with pytest.raises(KubeConfigError, match="websocket-client"):
        open_forward(Connection(host=cluster.url), "shop", "echo", 7, 10)


def test_another_server_does_not_get_the_token(cluster, echo):
    cluster.pods["echo"] = echo

    class Redirect(BaseHTTPRequestHandler):
        def log_message(self, *_arguments):
            """Keep quiet."""

        def do_GET(self):
            self.send_response(307)
            self.send_header("Location", f"{cluster.url.replace('http', 'ws', 1)}{self.path}")
            self.end_headers()

    server = HTTPServer(("127.0.0.1", 0), Redirect)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        with pytest.raises(KubeConnectionError):
            open_forward(Connection(host=f"http://127.0.0.1:{server.server_port}", token="t"), "shop", "echo", 7, 10)
        assert not cluster.forwards
    finally:
        server.shutdown()
        server.server_close()


def test_a_proxy_is_used(cluster, echo):
    """The proxy sees a CONNECT to the API server's name, which nobody else can resolve."""
    cluster.pods["echo"] = echo
    seen = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        connection, _address = listener.accept()
        seen.append(connection.recv(4096).split(b"\r\n", 1)[0])
        connection.sendall(b"HTTP/1.1 502 No\r\n\r\n")
        connection.close()

    threading.Thread(target=serve, daemon=True).start()
    proxy = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with pytest.raises(KubeConnectionError):
        open_forward(Connection(host="http://api.invalid:6443", proxy=proxy), "shop", "echo", 7, 10)
    listener.close()
    assert seen == [b"CONNECT api.invalid:6443 HTTP/1.1"]


class Channel:
    """A WebSocket whose messages and faults the test chooses; the other end of ``sock`` wakes it up."""

    def __init__(self, *messages: object) -> None:
        self.sock, self.peer = socket.socketpair()
        self.messages = list(messages)
        self.closed = False
        self.peer.send(b"x")

    def recv_data(self, control_frame: bool) -> tuple[int, bytes]:
        message = self.messages.pop(0)
        if isinstance(message, Exception):
            raise message
        return message

    def shutdown(self) -> None:
        self.closed = True


BINARY, CLOSE, PING = websocket.ABNF.OPCODE_BINARY, websocket.ABNF.OPCODE_CLOSE, websocket.ABNF.OPCODE_PING


@pytest.mark.parametrize(
    "end",
    [(CLOSE, b""), (BINARY, b"\1no listener"), websocket.WebSocketException("broken"), OSError("gone")],
)
def test_every_end_of_a_channel_closes_both_sides(end):
    channel = Channel((BINARY, b"\0\7\0"), (BINARY, b"\1\7\0"), (PING, b""), (BINARY, b""), (BINARY, b"\0data"), end)
    near, far = socket.socketpair()
    _relay(channel, far)
    assert near.recv(100) == b"data"
    assert near.recv(100) == b""
    assert channel.closed


def test_what_tls_has_decrypted_already_is_read_without_waiting(monkeypatch):
    class Decrypted:
        def pending(self) -> int:
            return 5

    channel = Channel((BINARY, b"\0\7\0"), (BINARY, b"\0data"), (CLOSE, b""))
    channel.sock = Decrypted()
    monkeypatch.setattr(_kube_portforward.ssl, "SSLSocket", Decrypted)
    near, far = socket.socketpair()
    _relay(channel, far)
    assert near.recv(100) == b"data"
