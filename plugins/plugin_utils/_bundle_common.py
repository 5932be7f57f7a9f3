# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every part of the bundle engine shares: the error type, hashing, progress reports and running a tool."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

CHUNK = 1 << 20
Report = Callable[[str], None]
"""Receives one line of progress; the action plugin hands it to Ansible's display at once."""


class BundleError(Exception):
    """A bundle cannot be made, or is not what its index says. The message names cause and remedy."""


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file as lower-case hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def read_mapping(path: Path) -> dict[str, Any]:
    """Return a YAML file that holds a mapping; raises BundleError for anything else."""
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise BundleError(f"{path} cannot be read: {error}") from error
    if not isinstance(data, dict):
        raise BundleError(f"{path} is not a mapping.")
    return data


def key_of(inputs: Mapping[str, Any]) -> str:
    """Return the cache key of a recipe: SHA-256 over its inputs as canonical JSON."""
    return hashlib.sha256(json.dumps(inputs, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def tree_digests(directory: Path) -> dict[str, str]:
    """Return relative path -> SHA-256 of every regular file below a directory."""
    return {
        path.relative_to(directory).as_posix(): file_digest(path)
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def human_size(size: float) -> str:
    """Return a size in bytes as text, such as 73.3 MB (powers of ten, as package tools print it)."""
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.2f} GB"


def run_tool(
    arguments: Sequence[str],
    *,
    directory: Path | None = None,
    environment: Mapping[str, str] | None = None,
    progress: Callable[[str], bool] | None = None,
    heartbeat: Callable[[float], None] | None = None,
    interval: float = 15.0,
) -> str:
    """Run a program and return its standard output.

    :param progress: called with every line of standard error as it appears; tells whether the line is only progress,
        which says nothing about an error.
    :param heartbeat: called every ``interval`` seconds with the seconds since the start.
    :raises BundleError: the program is missing or ended with an error; the message carries the end of its output.
    """
    started = time.monotonic()
    try:
        process = subprocess.Popen(
            list(arguments),
            cwd=directory,
            env=None if environment is None else dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
    except FileNotFoundError as error:
        raise BundleError(f"{arguments[0]} was not found ({error}). Install it or put it into PATH.") from error
    tail: list[str] = []
    output: list[str] = []

    def read_errors() -> None:
        for text in process.stderr or ():  # always there: a pipe was asked for
            line = text.rstrip("\n")
            if progress is None or not progress(line):
                tail.append(line)
                del tail[:-40]

    def read_output() -> None:
        output.extend(process.stdout or ())

    readers = [threading.Thread(target=read_errors, daemon=True), threading.Thread(target=read_output, daemon=True)]
    for reader in readers:
        reader.start()
    try:
        while True:
            try:
                process.wait(timeout=interval)
                break
            except subprocess.TimeoutExpired:
                if heartbeat is not None:
                    heartbeat(time.monotonic() - started)
    except BaseException:
        process.kill()
        process.wait()
        raise
    for reader in readers:
        reader.join()
    if process.returncode != 0:
        text = "\n".join(tail) or "".join(output)[-2000:]
        raise BundleError(f"{' '.join(arguments[:3])} ended with status {process.returncode}:\n{text}")
    return "".join(output)


def write_atomically(path: Path, content: str, mode: int = 0o644) -> None:
    """Write a text file so that a reader sees the old or the new content, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("w", encoding="utf-8") as stream:
        stream.write(content)
        os.fchmod(stream.fileno(), mode)
    temporary.replace(path)
