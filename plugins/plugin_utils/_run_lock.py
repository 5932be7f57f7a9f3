# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lease on a host, renewed while a run lives. Private: may change in any release.

Two programs in one file, both of the standard library alone:

* :func:`remote_program` is the text that runs on the host. It takes the lease, renews it for each line that it
  reads, and removes it at the end of its input, which is also what a broken connection looks like.
* This file itself, run as a program on the controller, starts the former by a command that it reads from its
  standard input, prints the outcome as one line of JSON, and writes a line every third of the lease until the
  process that it watches is gone.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

DIRECTORY = "/run/onprem-platform"

_REMOTE = r"""
import fcntl, json, os, sys, time
settings = json.loads(sys.argv[1])
os.makedirs(settings["directory"], mode=0o755, exist_ok=True)
path = os.path.join(settings["directory"], settings["name"] + ".lock.json")
guard = os.open(path + ".guard", os.O_CREAT | os.O_RDWR, 0o600)

def read():
    try:
        with open(path) as file:
            return json.load(file)
    except (OSError, ValueError):
        return None

def write(lease):
    with open(path + ".new", "w") as file:
        json.dump(lease, file)
    os.replace(path + ".new", path)

def say(**answer):
    print(json.dumps(answer), flush=True)

mine = settings["holder"]
fcntl.flock(guard, fcntl.LOCK_EX)
held, now = read(), time.time()
foreign = held and held["run"] != mine["run"]
# A clock that was set back must not make a lease eternal.
live = foreign and 0 <= now - held["renewed"] <= held["lease_seconds"]
if live and not (held["controller"] == mine["controller"] and held["run"] in settings["dead_runs"]):
    say(held_by=held)
    sys.exit(0)
lease = dict(mine, since=now, renewed=now, lease_seconds=settings["lease_seconds"])
if settings["take"]:
    write(lease)
fcntl.flock(guard, fcntl.LOCK_UN)
say(holder=lease, taken_over=held if foreign else None)
if not settings["take"]:
    sys.exit(0)
for line in sys.stdin:
    fcntl.flock(guard, fcntl.LOCK_EX)
    held = read()
    if held is None or held["run"] != mine["run"]:
        sys.exit(1)
    write(dict(lease, renewed=time.time()))
    fcntl.flock(guard, fcntl.LOCK_UN)
fcntl.flock(guard, fcntl.LOCK_EX)
held = read()
if held and held["run"] == mine["run"]:
    os.unlink(path)
"""


def remote_program() -> str:
    """Return the program that runs on the locked host; its only argument is the settings as JSON."""
    return _REMOTE


def process_started(pid: int) -> str | None:
    """Return when a process started (clock ticks since boot, proc(5) field 22), None when there is none.

    With the process id it names a process for good, as ids are used again.
    """
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None


def run_identity(pid: int) -> str:
    """Return a name for the run of the process: ``<pid>-<start>``."""
    return f"{pid}-{process_started(pid)}"


def is_dead(run: str) -> bool:
    """Return whether the process that a run's name stands for is gone from this host."""
    pid, _separator, started = run.partition("-")
    return process_started(int(pid)) != started


def keep(settings: dict[str, Any]) -> None:
    """Hold the lease until the watched process is gone.

    :param settings: ``argv`` (command that starts the remote program), ``run``, ``pid`` and ``lease_seconds``.
    """
    with subprocess.Popen(
        settings["argv"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as remote:
        if remote.stdin is None or remote.stdout is None or remote.stderr is None:
            raise RuntimeError("the remote program has no standard streams")
        # Privilege escalation announces its success on a line of its own.
        line = next((text for text in remote.stdout if text.startswith("{")), "")
        if not line:
            said = remote.stderr.read().strip()[-500:] or "the connection ended"
            # ssh(1): 255 is its own failure, every other code that of the command.
            line = json.dumps({"error": said, "unreachable": remote.wait() == 255})
        print(line.strip(), flush=True)
        if "holder" not in json.loads(line):
            return
        due = 0.0
        while not is_dead(settings["run"]) and remote.poll() is None:
            if time.monotonic() >= due:
                remote.stdin.write("renew\n")
                remote.stdin.flush()
                due = time.monotonic() + settings["lease_seconds"] / 3
            time.sleep(0.5)
        remote.stdin.close()


if __name__ == "__main__":
    keep(json.loads(sys.stdin.readline()))
