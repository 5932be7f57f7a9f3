# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt)
# SPDX-License-Identifier: BSD-2-Clause
"""Run kubeadm with a configuration that exists only in memory."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ._kubeadm_api import KubeadmError, memory_file

LOCK_FILE = "/run/onprem-platform/kubeadm.lock"
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_PHASE = re.compile(r"^\[([a-z0-9-]+)\]")


@dataclass
class Run:
    """One finished command: its output, its return code and the seconds that each phase took."""

    code: int
    output: list[str]
    seconds: float
    phases: list[dict[str, Any]] = field(default_factory=list)

    def last_lines(self, count: int = 12) -> str:
        """The end of the output, for an error message."""
        return "\n".join(self.output[-count:])


# Descriptors that every command inherits: a command that outlives this process keeps the host's lock.
_inherited: list[int] = []


@contextlib.contextmanager
def host_lock(timeout: float, path: str = LOCK_FILE) -> Iterator[bool]:
    """Hold the lock that says: kubeadm works on this host. Yields whether somebody else held it first.

    When a run is killed on the controller, what it started on the host goes on. The next run waits here for its end
    instead of judging a half-made state. The kernel frees the lock with its last holder. Raises KubeadmError.
    """
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    deadline = time.monotonic() + timeout
    waited = False
    with open(path, "a", encoding="ascii") as stream:
        while True:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise KubeadmError(
                        f"kubeadm, started by another run, still works on this host after {timeout:.0f} s. "
                        "Look at it with: ps -C kubeadm -f"
                    ) from None
                waited = True
                time.sleep(0.5)
        _inherited.append(stream.fileno())
        try:
            yield waited
        finally:
            _inherited.remove(stream.fileno())


def documents_text(documents: Sequence[Mapping[str, Any]]) -> str:
    """kubeadm's multi-document form; JSON is YAML, so nodes need no YAML library."""
    return "---\n".join(f"{json.dumps(document, indent=1)}\n" for document in documents)


def discovery_kubeconfig(server: str, ca_certificate: str) -> str:
    """A discovery file: an unnamed cluster with its authority, no user and no current context.

    kubeadm refuses a named cluster without a context. With the authority in the file nobody waits for the signature
    of cluster-info, which comes up to 15 s after a cluster's first start.
    """
    import base64

    authority = base64.b64encode(ca_certificate.encode()).decode()
    cluster = {"server": server, "certificate-authority-data": authority}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "", "cluster": cluster}],
            "contexts": [],
            "users": [],
            "current-context": "",
        }
    )


def run(arguments: Sequence[str], timeout: float, descriptors: Sequence[int] = ()) -> Run:
    """Run a command, note when each phase begins; kill it after ``timeout`` seconds (return code -9)."""
    started = time.monotonic()
    try:
        # run_command reports nothing before the end; here each line marks the time of its phase.
        process = subprocess.Popen(  # pylint: disable=ansible-bad-function
            list(arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            pass_fds=(*descriptors, *_inherited),
        )
    except FileNotFoundError as error:
        raise KubeadmError(f"{arguments[0]} is not installed on this host") from error
    timer = threading.Timer(timeout, process.kill)
    timer.start()
    output: list[str] = []
    starts: list[tuple[str, float]] = []
    try:
        for line in process.stdout or ():  # always there: a pipe was asked for
            output.append(_COLOUR.sub("", line.rstrip()))
            found = _PHASE.match(line)
            if found and (not starts or starts[-1][0] != found.group(1)):
                starts.append((found.group(1), time.monotonic()))
        code = process.wait()
    finally:
        timer.cancel()
    ended = time.monotonic()
    ends = [start for _name, start in starts[1:]] + [ended]
    phases = [
        {"name": name, "seconds": round(end - start, 1)}
        for (name, start), end in zip(starts, ends)
        if end - start >= 0.1
    ]
    return Run(code, output, round(ended - started, 1), phases)


def kubeadm(
    arguments: Sequence[str],
    documents: Sequence[Mapping[str, Any]],
    timeout: float,
    discovery: str = "",
) -> Run:
    """Run kubeadm with ``documents`` as its configuration.

    Tokens and keys are in it, so it is neither a file on a disk nor an argument: kubeadm reads an inherited descriptor.
    ``discovery`` is the content of the discovery file of a JoinConfiguration.
    """
    with contextlib.ExitStack() as stack:
        descriptors = []
        edited = [dict(document) for document in documents]
        if discovery:
            descriptor, _path = stack.enter_context(memory_file(discovery))
            descriptors.append(descriptor)
            for document in edited:
                if document["kind"] == "JoinConfiguration":
                    file = {"kubeConfigPath": f"/dev/fd/{descriptor}"}
                    document["discovery"] = {**document.get("discovery", {}), "file": file}
        descriptor, _path = stack.enter_context(memory_file(documents_text(edited)))
        descriptors.append(descriptor)
        return run(["kubeadm", *arguments, "--config", f"/dev/fd/{descriptor}"], timeout, descriptors)


def kubelet_lines(count: int = 15) -> str:
    """The kubelet's last messages, for the error of a failed command."""
    try:
        # Called by functions that know no module; a missing journalctl must not hide the error to report.
        done = subprocess.run(  # pylint: disable=ansible-bad-function
            ["journalctl", "--unit", "kubelet", "--lines", str(count), "--no-pager", "--output", "cat"],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=30,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()
