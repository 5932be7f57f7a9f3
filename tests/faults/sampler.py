# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints each command line that a process of this host has, once, as JSON; and what kubeadm reads from memory.

Runs on machines too, so it needs the standard library alone. Started with the seconds between two looks as argument.
What ``ps -eo args`` prints comes from the same files; reading only those of new processes allows for shorter intervals.
Join token and certificate key exist nowhere else: kubeadm gets them through an inherited memory file.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time

WATCHED = re.compile(rb'"(certificateKey|token)": "([0-9a-f.]{20,})"')


def read(path: str) -> bytes:
    """Return a file's content, nothing when the process has ended meanwhile."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def memory(pid: str) -> dict[str, str]:
    """Return secrets in the memory files of a process."""
    found = {}
    directory = f"/proc/{pid}/fd"
    try:
        descriptors = os.listdir(directory)
    except OSError:
        return found
    for descriptor in descriptors:
        path = os.path.join(directory, descriptor)
        try:
            is_memory = os.readlink(path).startswith("/memfd:")
        except OSError:
            continue
        if is_memory:
            found.update({key.decode(): secret.decode() for key, secret in WATCHED.findall(read(path))})
    return found


def main() -> None:
    """Look until the reader has gone."""
    printed: set[str] = set()
    young: dict[str, float] = {}
    beat = 0.0
    while True:
        now = time.monotonic()
        alive = {name for name in os.listdir("/proc") if name.isdigit()}
        young = {pid: since for pid, since in young.items() if pid in alive}
        for pid in alive:
            # A process has the command line of its parent until it executes its program.
            if now - young.setdefault(pid, now) > 3.0:
                continue
            arguments = read(f"/proc/{pid}/cmdline").replace(b"\0", b" ").strip().decode(errors="replace")
            lines = []
            if arguments and arguments not in printed:
                printed.add(arguments)
                lines.append({"arguments": arguments})
            if arguments.startswith("kubeadm "):
                found = memory(pid)
                if found and str(found) not in printed:
                    printed.add(str(found))
                    lines.append({"kubeadm": found})
            for line in lines:
                print(json.dumps(line))
        if now - beat > 1.0:
            print("{}")
            beat = now
        sys.stdout.flush()
        time.sleep(float(sys.argv[1]))


if __name__ == "__main__":
    main()
