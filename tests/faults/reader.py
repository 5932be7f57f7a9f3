# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody new who does what the pages say: an empty home directory, a fresh clone, and shells to type into."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import pty
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from ansible_collections.onprem.platform.tests.faults.platform_lab import BUNDLE, ROOT, process_tree
from ansible_collections.onprem.platform.tests.rules.commands import ELSEWHERE, NOT_RUN, Command

# How to reach package indexes and downloads from here; nothing else of the one who starts the tests is known.
NETWORK = re.compile(r"PIP_\w+|\w*_proxy|SSL_CERT_\w+|\w+_CA_BUNDLE|GO(PROXY|SUMDB|FLAGS|TOOLCHAIN)", re.IGNORECASE)
FORWARD = re.compile(r"port-forward \S+ (\d+)(?::\d+)?\b.*&$")
# What programs put around words on a terminal.
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
DONE = "--- the command has ended:"
# What a command asks for, and what is answered.
Answers = list[tuple[str, str]]
# Every command that was run, to know in the end what was left out.
followed: set[Command] = set()


def expect(condition: object, message: str) -> None:
    """Raise AssertionError with a message of several lines as it is."""
    if not condition:
        raise AssertionError(message)


def changed(output: str) -> list[int]:
    """Return how much a playbook changed on each host; raise AssertionError when it reached none or failed on one."""
    hosts = re.findall(r"^\S+ +: ok=\d+ +changed=(\d+) +(.*)$", output, re.MULTILINE)
    expect(hosts and all("unreachable=0 " in rest and "failed=0 " in rest for _count, rest in hosts), output[-6000:])
    return [int(count) for count, _rest in hosts]


class Shell:
    """A shell that keeps directory, variables and jobs from one command to the next."""

    def __init__(self, directory: Path, environment: Mapping[str, str], *command: str) -> None:
        self._scratch = Path(tempfile.mkdtemp(prefix="shell-"))
        self._number = 0
        self._terminal, self._inside = pty.openpty()
        fcntl.ioctl(self._inside, termios.TIOCSWINSZ, struct.pack("4H", 50, 200, 0, 0))
        os.set_blocking(self._terminal, False)
        self._process = subprocess.Popen(
            command or ("bash", "--noprofile", "--norc"),
            cwd=directory,
            env={**environment, "TERM": "dumb"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=[self._inside],
            start_new_session=True,
        )
        assert self._process.stdin and self._process.stdout
        self._in, self._out = self._process.stdin, self._process.stdout
        os.set_blocking(self._out.fileno(), False)
        # As in a shell that somebody sits at.
        self.run("shopt -s expand_aliases")

    def __enter__(self) -> Shell:
        return self

    def __exit__(self, *_reason: object) -> None:
        """End the shell and what it has started in the background."""
        try:
            self._in.write(b"kill $(jobs -p) 2>/dev/null; wait; exit 0\n")
            self._in.close()
            self._process.wait(30)
        except (OSError, subprocess.TimeoutExpired):
            self._kill()
        os.close(self._terminal)
        os.close(self._inside)
        shutil.rmtree(self._scratch)

    def _kill(self) -> None:
        for pid in reversed(process_tree(self._process.pid)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()

    def run(
        self, text: str, answers: Iterable[tuple[str, str]] = (), seconds: int = 900, codes: Iterable[int] = (0,)
    ) -> str:
        """Type a command and return what it printed; with ``answers`` it sits at a terminal and asks for them."""
        self._number += 1
        script, output = self._scratch / f"{self._number}.sh", self._scratch / f"{self._number}.out"
        script.write_text(text + "\n", encoding="utf-8")
        output.touch()
        waiting = list(answers)
        place = f"<&{self._inside} >&{self._inside} 2>&1" if waiting else f"</dev/null >{output} 2>&1"
        # In two pieces, so that no echo of this line is taken for the end.
        end = f"printf '%s%s %s\\n' '{DONE[:10]}' '{DONE[10:]}' \"$?\""
        self._in.write(f". {script} {place}; {end}\n".encode())
        self._in.flush()
        code, said = self._wait(output, waiting, time.monotonic() + seconds, text)
        expect(code in codes, f"$ {text}\nended with {code} after\n{said[-6000:]}")
        forward = FORWARD.search(text)
        if forward:
            reach(int(forward[1]), f"$ {text}\n{said}")
        return said

    def _wait(self, output: Path, waiting: Answers, deadline: float, text: str) -> tuple[int, str]:
        """Answer questions until the command has ended; return its exit code and what it printed."""
        heard, shown, answered = "", "", 0
        while True:
            piece = read(self._out.fileno())
            expect(piece != b"", f"$ {text}\nended the shell:\n{heard}{shown}")
            heard += (piece or b"").decode(errors="replace")
            ended = re.search(rf"^{DONE} (\d+)$", heard, re.MULTILINE)
            shown += COLOUR.sub("", (read(self._terminal) or b"").decode(errors="replace")).replace("\r\n", "\n")
            if waiting and waiting[0][0] in shown[answered:]:
                question, answer = waiting.pop(0)
                answered = shown.index(question, answered) + len(question)
                os.write(self._terminal, answer.encode() + (b"" if answer.endswith("\x04") else b"\r"))
            if ended:
                return int(ended[1]), shown + output.read_text(encoding="utf-8", errors="replace")
            if time.monotonic() > deadline:
                self._kill()
                raise AssertionError(f"$ {text}\ndid not end in time:\n{shown}{output.read_text()[-6000:]}")
            time.sleep(0.05)


def read(descriptor: int) -> bytes | None:
    """Return all that there is to read now; None if there is nothing yet, and nothing at all at the end."""
    found = b""
    while True:
        try:
            piece = os.read(descriptor, 65536)
        except BlockingIOError:
            return found or None
        if not piece:
            return found
        found += piece


def reach(port: int, what: str) -> None:
    """Wait until a port of this machine is open, as one waits for the line of a port-forward."""
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            expect(time.monotonic() < deadline, f"port {port} does not open: {what}")
            time.sleep(0.1)


class Reader:
    """A person with an empty home directory; ``checkout`` is their clone, or the one whose lab is there already."""

    def __init__(self) -> None:
        self.existing = os.environ.get("ONPREM_TEST_LAB", "")
        name = hashlib.sha256(str(ROOT).encode()).hexdigest()[:6]
        # A fixed place, so that the machines that a killed test left are found and removed.
        self.directory = Path(tempfile.gettempdir()) / f"onprem-platform-reader-{name}"
        self.home = self.directory / "home"
        self.checkout = Path(self.existing).resolve().parent if self.existing else self.directory / "onprem.platform"

    def arrive(self) -> None:
        """Begin in an empty home directory, with nothing but a clone."""
        self.leave()
        self.home.mkdir(parents=True)
        if not self.existing:
            self.clone(self.checkout)

    def leave(self) -> None:
        """Remove all that there is."""
        own = self.directory / "onprem.platform" / ".lab"
        if own.exists():
            remove = [str(Path(sys.executable).with_name("ansible-playbook")), "playbooks/lab.yml"]
            remove += ["-i", "inventories/lab", "-e", json.dumps({"lab_state": "absent", "lab_directory": str(own)})]
            subprocess.run(
                remove, cwd=ROOT, env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}, check=True
            )
        shutil.rmtree(self.directory, ignore_errors=True)

    def clone(self, target: Path) -> None:
        """Clone what is committed here."""
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(target)], check=True)

    def environment(self, home: Path | None = None, network: bool = True) -> dict[str, str]:
        """Return what is known at a login: no virtual environment, no settings; caches are where they always are."""
        own = {str(Path(sys.executable).parent), str(ROOT / ".venv/bin")}
        cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        path = [one for one in os.environ["PATH"].split(os.pathsep) if one not in own]
        known = {"PATH": os.pathsep.join(path), "HOME": str(home or self.home), "USER": "root", "LANG": "C.UTF-8"}
        settings = {name: value for name, value in os.environ.items() if network and NETWORK.fullmatch(name)}
        return {**known, **settings, "XDG_CACHE_HOME": cache, "SHELL": "/bin/bash"}

    def shell(self, directory: Path, tools: bool = False, **environment: str) -> Shell:
        """Open a shell; with the checkout's and the bundle's programs in reach if that is wanted."""
        known = self.environment()
        if tools:
            known["PATH"] = f"{self.checkout / '.venv/bin'}:{BUNDLE / 'files'}:{known['PATH']}"
        return Shell(directory, {**known, **environment})

    def platform_shell(self, **environment: str) -> Shell:
        """Open the shell of the lab, in which guides are followed."""
        return Shell(self.checkout, {**self.environment(), **environment}, "make", "shell")


def filled(text: str, values: Mapping[str, str]) -> str:
    """Return a command with values in place of the words that stand for them."""
    for word, value in values.items():
        text = re.sub(rf"(?<![\w$]){re.escape(word)}(?![A-Za-z0-9]|_\w)", value.replace("\\", r"\\"), text)
    return text


def follow(
    shell: Shell,
    chosen: Iterable[Command],
    values: Mapping[str, str] | None = None,
    answers: Mapping[str, Answers] | None = None,
    codes: Iterable[int] = (0,),
) -> Iterator[tuple[str, str]]:
    """Run commands of a page one after the other, and yield each with what it printed.

    ``values`` stand in place of the page's words for them, and may be filled on the way; ``answers`` belong to the
    command that begins so.
    """
    values = {"INVENTORY": "inventories/lab"} if values is None else values
    for command in chosen:
        if command.text in NOT_RUN or command.text in ELSEWHERE:
            continue
        text = filled(command.text, values)
        given = next((given for start, given in (answers or {}).items() if command.text.startswith(start)), [])
        print(f"$ {text}", flush=True)
        yield command.text, shell.run(text, given, seconds=2400, codes=codes)
        followed.add(command)
