# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Control planes of one run take turns; a turn ends with its process, however that ends."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from pathlib import Path

from ansible_collections.onprem.platform.plugins.action.kubeadm_node import turn


def _hold(path: str, journal: str, seconds: float) -> None:
    with turn(path):
        with open(journal, "a", encoding="ascii") as stream:
            stream.write("in\n")
        time.sleep(seconds)
        with open(journal, "a", encoding="ascii") as stream:
            stream.write("out\n")


def test_turns_do_not_overlap(tmp_path: Path) -> None:
    path, journal = str(tmp_path / "lock"), tmp_path / "journal"
    processes = [multiprocessing.Process(target=_hold, args=(path, str(journal), 0.3)) for _number in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert journal.read_text(encoding="ascii").split() == ["in", "out"] * 3


def test_turn_of_a_killed_process_ends(tmp_path: Path) -> None:
    path, journal = str(tmp_path / "lock"), tmp_path / "journal"
    process = multiprocessing.Process(target=_hold, args=(path, str(journal), 600))
    process.start()
    while not journal.exists():
        time.sleep(0.05)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join(60)
    with turn(path):
        pass
