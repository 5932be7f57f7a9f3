# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The listeners and the probe, over real sockets of the loopback interface."""

from __future__ import annotations

import os
import socket
import threading
import time
from typing import Any

import pytest

from ansible_collections.onprem.platform.plugins.module_utils import _preflight_mesh as subject

ADDRESS = "127.0.0.1"


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _number in range(count)]
    for one in sockets:
        one.bind((ADDRESS, 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def target(listening: list[str], in_use: list[str] | None = None) -> dict[str, Any]:
    return {"host": "peer", "address": ADDRESS, "listening": listening, "in_use": in_use or [], "mtu": 1500}


@pytest.fixture
def listening() -> list[str]:
    tcp, udp = free_ports(2)
    return [f"{tcp}/tcp", f"{udp}/udp"]


def test_listeners_answer_and_end_when_all_are_done(listening: list[str]) -> None:
    opened, refused = subject.open_listeners(ADDRESS, listening)
    assert refused == {}
    thread = threading.Thread(target=subject.serve, args=(list(opened.values()), "word", 20))
    thread.start()
    found = subject.probe([target(listening)], "me", "word", 2)
    assert found[0]["refused"] == {}
    assert abs(found[0]["offset"]) < 0.5
    assert found[0]["path_mtu"] == 1500
    thread.join(timeout=5)
    assert not thread.is_alive()
    for one in opened.values():
        one.close()


def test_listeners_end_by_themselves(listening: list[str]) -> None:
    opened, _refused = subject.open_listeners(ADDRESS, listening)
    start = time.monotonic()
    subject.serve(list(opened.values()), "word", 0.6)
    assert 0.5 < time.monotonic() - start < 3
    for one in opened.values():
        one.close()


def test_detached_process_ends_and_frees_its_ports(listening: list[str]) -> None:
    opened, _refused = subject.open_listeners(ADDRESS, listening)
    before = os.getpid()
    subject.detach(list(opened.values()), "word", 20)
    assert os.getpid() == before
    assert subject.probe([target(listening)], "me", "word", 2)[0]["refused"] == {}
    deadline = time.monotonic() + 5
    refused = {"": ""}
    while refused and time.monotonic() < deadline:
        again, refused = subject.open_listeners(ADDRESS, listening)
        for one in again.values():
            one.close()
    assert refused == {}


def test_peers_are_waited_for(listening: list[str]) -> None:
    opened, _refused = subject.open_listeners(ADDRESS, listening)
    thread = threading.Thread(target=subject.serve, args=(list(opened.values()), "word", 20))
    thread.start()
    two = [target(listening), {**target([]), "host": "other"}]
    subject.probe(two, "me", "word", 2)
    time.sleep(0.7)
    assert thread.is_alive()
    subject.probe(two, "second", "word", 2)
    thread.join(timeout=5)
    assert not thread.is_alive()
    for one in opened.values():
        one.close()


def test_refused_and_foreign_ports_are_named() -> None:
    closed, foreign = free_ports(2)
    with socket.socket() as listener:
        listener.bind((ADDRESS, foreign))
        listener.listen()

        def greet() -> None:
            connection, _address = listener.accept()
            connection.recv(64)
            connection.sendall(b"SSH-2.0\n")
            connection.close()

        thread = threading.Thread(target=greet)
        thread.start()
        found = subject.probe([target([f"{closed}/tcp", f"{foreign}/tcp"])], "me", "word", 2)[0]["refused"]
        thread.join(timeout=5)
    assert found == {f"{closed}/tcp": "Connection refused", f"{foreign}/tcp": "something else answers on this port"}


def test_services_in_use_only_have_to_accept() -> None:
    with socket.socket() as listener:
        listener.bind((ADDRESS, 0))
        listener.listen()
        port = f"{listener.getsockname()[1]}/tcp"
        found = subject.probe([target([], [port])], "me", "word", 2)[0]
    assert found == {"host": "peer", "refused": {}, "offset": None, "path_mtu": None}


def test_port_that_is_taken_is_reported() -> None:
    with socket.socket() as listener:
        listener.bind((ADDRESS, 0))
        listener.listen()
        port = f"{listener.getsockname()[1]}/tcp"
        opened, refused = subject.open_listeners(ADDRESS, [port])
    assert opened == {}
    assert refused == {port: "Address already in use"}


def test_listeners_of_an_interrupted_run_are_ended(listening: list[str]) -> None:
    opened, _refused = subject.open_listeners(ADDRESS, listening)
    subject.detach(list(opened.values()), "word", 30)
    assert set(subject.open_listeners(ADDRESS, listening)[1]) == set(listening)
    deadline = time.monotonic() + 5
    refused = {"": ""}
    while refused and time.monotonic() < deadline:
        subject.end_leftovers()
        again, refused = subject.open_listeners(ADDRESS, listening)
        for one in again.values():
            one.close()
    assert refused == {}
