# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt)
# SPDX-License-Identifier: BSD-2-Clause
#
# Private: may change in any release.
"""Prove that the ports between hosts can be reached.

Each host opens temporary listeners on the ports that are free. They end when every peer has said that it is done, and
at the latest after a fixed time. The same exchange compares the clocks, and datagrams that may not be fragmented find
paths that carry less than the interface promises.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import selectors
import signal
import socket
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ._host import wait_until

# Linux, ip(7); the socket module does not name them.
_IP_MTU_DISCOVER, _IP_PMTUDISC_DO = 10, 2
_IPV6_MTU_DISCOVER = 23
_HEADERS = {socket.AF_INET: 28, socket.AF_INET6: 48}
_WORKERS = 32
# Name of the listening process; the kernel keeps 15 characters.
_PROCESS = "onprem-prefligh"
_LINE = 256


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


# --- listening side --------------------------------------------------------------------------------------------------
def open_listeners(address: str, ports: Sequence[str]) -> tuple[dict[str, socket.socket], dict[str, str]]:
    """Bind the ports (``6443/tcp``); return the sockets, and the reason for each port that refused."""
    opened, refused = {}, {}
    for port in ports:
        number, protocol = port.split("/")
        kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
        listener = socket.socket(_family(address), kind)
        try:
            if kind == socket.SOCK_STREAM:  # of datagrams it would let two programs have the same port
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((address, int(number)))
            if kind == socket.SOCK_STREAM:
                listener.listen(64)
        except OSError as error:
            refused[port] = error.strerror or str(error)
            listener.close()
            continue
        listener.setblocking(False)
        opened[port] = listener
    return opened, refused


def end_leftovers() -> None:
    """End the listeners of a run that was interrupted, and wait until they are gone."""
    for place in glob.glob("/proc/[0-9]*/comm"):
        with contextlib.suppress(OSError):
            with open(place, encoding="utf-8", errors="replace") as stream:
                ours = stream.read().strip() == _PROCESS
            if ours:
                os.kill(int(place.split("/")[2]), signal.SIGKILL)
                wait_until(lambda place=place: not os.path.exists(place), 2, 0.02)


def detach(sockets: Sequence[socket.socket], token: str, seconds: int) -> None:
    """Serve the sockets in a process of its own that ends by itself; returns at once."""
    first = os.fork()
    if first:
        os.waitpid(first, 0)
        for listener in sockets:
            listener.close()
        return
    # From here on nothing of the module may run: leave by os._exit only.
    try:
        os.setsid()
        if os.fork():
            os._exit(0)
        signal.alarm(seconds)
        with open("/proc/self/comm", "w", encoding="ascii") as stream:
            stream.write(_PROCESS)
        null = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(null, descriptor)
        keep = {listener.fileno() for listener in sockets}
        for descriptor in range(3, os.sysconf("SC_OPEN_MAX") if os.sysconf("SC_OPEN_MAX") < 65536 else 65536):
            if descriptor not in keep:
                with contextlib.suppress(OSError):
                    os.close(descriptor)
        os.chdir("/")
        serve(sockets, token, seconds)
    finally:
        os._exit(0)


def serve(sockets: Sequence[socket.socket], token: str, seconds: float) -> None:
    """Answer until all peers are done or the time is over."""
    end = time.monotonic() + seconds
    done: dict[str, int] = {}
    with selectors.DefaultSelector() as selector:
        for listener in sockets:
            selector.register(listener, selectors.EVENT_READ)
        # Each peer tells how many there are: those that cannot be reached at all are not waited for.
        while len(done) < max(done.values(), default=1) and time.monotonic() < end:
            for key, _events in selector.select(timeout=0.5):
                ready: Any = key.fileobj
                with contextlib.suppress(OSError):
                    if ready.type == socket.SOCK_DGRAM:
                        data, sender = ready.recvfrom(65536)
                        if data.startswith(token.encode()):
                            ready.sendto(f"{token} {len(data)}\n".encode(), sender)
                    elif ready in sockets:
                        connection, _sender = ready.accept()
                        connection.setblocking(False)
                        selector.register(connection, selectors.EVENT_READ)
                    else:
                        _answer(selector, ready, token, done)


def _answer(selector: selectors.BaseSelector, connection: socket.socket, token: str, done: dict[str, int]) -> None:
    """One line in, one line out, then the connection ends."""
    selector.unregister(connection)
    with connection:
        words = connection.recv(_LINE).decode("ascii", "replace").split()
        if len(words) == 4 and words[1] == token:
            if words[0] == "DONE":
                done[words[2]] = int(words[3])
            connection.sendall(f"HERE {token} {time.time():.6f}\n".encode())


# --- asking side -----------------------------------------------------------------------------------------------------
def probe(targets: Sequence[Mapping[str, Any]], own_name: str, token: str, timeout: float) -> list[dict[str, Any]]:
    """Try every port of every target, all targets at once.

    A target is ``{"host", "address", "listening": [...], "in_use": [...], "mtu": bytes}``: ``listening`` ports must
    answer with the token, ``in_use`` ports belong to services that run already and must accept a connection.
    Returns per target ``{"host", "refused": {port: reason}, "offset": seconds or None, "path_mtu": bytes or None}``.
    """
    with ThreadPoolExecutor(max_workers=_WORKERS) as pool:
        return list(
            pool.map(lambda target: _probe_target(target, f"{token} {own_name} {len(targets)}", timeout), targets)
        )


def _probe_target(target: Mapping[str, Any], greeting: str, timeout: float) -> dict[str, Any]:
    address, token = target["address"], greeting.split()[0]
    refused: dict[str, str] = {}
    offsets: list[tuple[float, float]] = []
    path_mtu = None
    for port in [*target["listening"], *target["in_use"]]:
        number, protocol = port.split("/")
        ours = port in target["listening"]
        try:
            if protocol == "tcp":
                answer = _ask(address, int(number), f"HELLO {greeting}\n" if ours else "", token, timeout)
                if answer:
                    offsets.append(answer)
            elif ours:
                path_mtu = _ask_datagram(address, int(number), token, int(target["mtu"]), timeout)
        except OSError as error:
            refused[port] = (
                "no answer: a packet filter drops it" if _is_timeout(error) else error.strerror or str(error)
            )
    for port in target["listening"]:
        if port.endswith("/tcp"):
            with contextlib.suppress(OSError):
                _ask(address, int(port.split("/")[0]), f"DONE {greeting}\n", token, timeout)
                break
    offset = min(offsets)[1] if offsets else None
    return {"host": target["host"], "refused": refused, "offset": offset, "path_mtu": path_mtu}


def _is_timeout(error: OSError) -> bool:
    # socket.timeout is its own class before Python 3.10.
    return isinstance(error, (TimeoutError, socket.timeout))


def _ask(address: str, port: int, line: str, token: str, timeout: float) -> tuple[float, float] | None:
    """Connect; with a line, also exchange it. Returns (round trip, offset of the peer's clock) in seconds."""
    with socket.create_connection((address, port), timeout=timeout) as connection:
        if not line:
            return None
        before = time.time()
        connection.sendall(line.encode())
        words = connection.recv(_LINE).decode("ascii", "replace").split()
        after = time.time()
    if len(words) != 3 or words[:2] != ["HERE", token]:
        raise ConnectionError("something else answers on this port")
    return after - before, float(words[2]) - (before + after) / 2


def _ask_datagram(address: str, port: int, token: str, mtu: int, timeout: float) -> int:
    """Largest packet size in bytes that gets through unfragmented: ``mtu`` when the path carries it, else 0.

    Raises OSError when not even a small datagram is answered.
    """
    family = _family(address)
    with socket.socket(family, socket.SOCK_DGRAM) as channel:
        channel.settimeout(timeout / 3)
        if family == socket.AF_INET:
            channel.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _IP_PMTUDISC_DO)
        else:
            channel.setsockopt(socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER, _IP_PMTUDISC_DO)
        channel.connect((address, port))
        if not _echo(channel, token, 64):
            raise TimeoutError
        size = mtu - _HEADERS[family]
        return mtu if size <= 64 or _echo(channel, token, size) else 0


def _echo(channel: socket.socket, token: str, size: int) -> bool:
    for _attempt in range(3):
        try:
            channel.send(token.encode().ljust(size, b"."))
            if channel.recv(_LINE).decode("ascii", "replace").split() == [token, str(size)]:
                return True
        except (socket.timeout, TimeoutError):
            continue
        except OSError as error:
            if error.errno != errno.EMSGSIZE:
                raise
            return False
    return False
