# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ports of loopback for the servers that tests start, safe for several test processes at once."""

from __future__ import annotations

import os
import random
import socket
from pathlib import Path

FIRST = 10_000
_given: set[int] = set()


def free_ports(count: int) -> list[int]:
    """Return ports of 127.0.0.1 that nobody uses now, each once per process.

    They lie below the ports that the kernel gives to clients, which could otherwise take one before its server starts,
    and among those that no other worker of this run of pytest-xdist takes.
    """
    last = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    candidates = [port for port in range(FIRST + worker, last, workers) if port not in _given]
    random.shuffle(candidates)
    found: list[int] = []
    for port in candidates:
        if len(found) == count:
            break
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
    assert len(found) == count, f"fewer than {count} ports are free between {FIRST} and {last}"
    _given.update(found)
    return found


def free_port() -> int:
    """Return one such port."""
    return free_ports(1)[0]
