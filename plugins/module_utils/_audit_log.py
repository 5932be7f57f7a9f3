# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt)
# SPDX-License-Identifier: BSD-2-Clause
"""Who touched a Secret, by the API server's audit log. Private: may change in any release.

The log has one JSON event per line (https://kubernetes.io/docs/reference/config-api/apiserver-audit.v1/). Files are
read line by line, and only lines that can matter are decoded, so a gigabyte costs little memory and seconds.
"""

from __future__ import annotations

import glob
import gzip
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_SECRETS = b'"resource":"secrets"'
# An event of a request that is only announced says nothing of its outcome.
_ANNOUNCED = "RequestReceived"


class AuditLogError(Exception):
    """The log cannot be read; the text names cause and remedy."""


def log_files(path: str) -> list[str]:
    """The log and the files that rotation put aside (``audit-<time>.log``, also compressed), newest first."""
    stem, extension = os.path.splitext(path)
    rotated = glob.glob(f"{glob.escape(stem)}-*{extension}") + glob.glob(f"{glob.escape(stem)}-*{extension}.gz")
    found = [name for name in (path, *sorted(rotated, reverse=True)) if os.path.isfile(name)]
    if not found:
        raise AuditLogError(
            f"{path} is not there: this host has no API server, or it writes its audit log elsewhere (--audit-log-path)"
        )
    return found


def _lines(name: str) -> Iterator[bytes]:
    if name.endswith(".gz"):
        with gzip.open(name, "rb") as packed:
            yield from packed
    else:
        with open(name, "rb") as stream:
            yield from stream


def scope_of(event: Mapping[str, Any], namespace: str, name: str) -> str:
    """How an event concerns a Secret: ``name``, ``namespace`` or ``cluster``; empty when it does not.

    A list or watch of a namespace, or of the cluster, hands out every Secret in it.
    """
    reference = event.get("objectRef") or {}
    if reference.get("resource") != "secrets" or reference.get("apiGroup"):
        return ""
    if reference.get("namespace", "") not in ("", namespace):
        return ""
    if reference.get("name"):
        return "name" if reference["name"] == name and reference.get("namespace") == namespace else ""
    # A new object has its name in the body, which is not logged.
    if event.get("verb") == "create":
        return ""
    return "namespace" if reference.get("namespace") else "cluster"


class SecretAccess:
    """Collects who touched one Secret."""

    def __init__(self, namespace: str, name: str, since: str = "", markers: Sequence[str] = ()) -> None:
        self.namespace = namespace
        self.name = name
        # Without the Z, so that it is before the fractions of its own second too.
        self.since = since.rstrip("Z")
        self.markers = [marker.encode() for marker in markers]
        self.markers_found = 0
        self.lines = 0
        self.unreadable = 0
        self.oldest = ""
        self._accesses: dict[tuple[str, ...], dict[str, Any]] = {}
        self._seen: set[str] = set()

    def read(self, names: Sequence[str]) -> None:
        """Read files, newest first; ends at the first one that is older than ``since`` throughout."""
        for name in names:
            newest = ""
            try:
                for line in _lines(name):
                    newest = self._line(line) or newest
            except FileNotFoundError:
                continue  # rotation removed it meanwhile
            except (OSError, EOFError) as error:
                raise AuditLogError(f"{name} cannot be read: {error}") from error
            if self.since and newest and newest < self.since:
                break

    def _line(self, line: bytes) -> str:
        """Take in one line; returns its time when it was decoded."""
        self.lines += 1
        if any(marker in line for marker in self.markers):
            self.markers_found += 1
        if _SECRETS not in line:
            return ""
        try:
            event = json.loads(line)
        except ValueError:
            self.unreadable += 1  # the API server is writing it just now
            return ""
        time = str(event.get("requestReceivedTimestamp", ""))
        self.oldest = min(filter(None, (self.oldest, time)), default="")
        scope = scope_of(event, self.namespace, self.name)
        if scope and event.get("stage") != _ANNOUNCED and time >= self.since:
            self._take(event, scope, time)
        return time

    def _take(self, event: Mapping[str, Any], scope: str, time: str) -> None:
        user = event.get("user") or {}
        code = int((event.get("responseStatus") or {}).get("code") or 0)
        access = {
            "user": str(user.get("username", "")),
            "impersonated": str((event.get("impersonatedUser") or {}).get("username", "")),
            "verb": str(event.get("verb", "")),
            "scope": scope,
            "allowed": code < 400,
            "code": code,
            "agent": str(event.get("userAgent", "")),
            "addresses": ", ".join(event.get("sourceIPs") or []),
        }
        known = self._accesses.setdefault(
            tuple(str(value) for value in access.values()),
            {**access, "requests": 0, "first": time, "last": time, "content_logged": False},
        )
        known["content_logged"] |= "requestObject" in event or "responseObject" in event
        known["first"], known["last"] = min(known["first"], time), max(known["last"], time)
        # A watch has several events with one id.
        identifier = str(event.get("auditID", ""))
        if identifier not in self._seen:
            self._seen.add(identifier)
            known["requests"] += 1

    def result(self) -> dict[str, Any]:
        """See RETURN of secret_access_info."""
        return {
            "accesses": sorted(self._accesses.values(), key=lambda access: access["last"]),
            "oldest": self.oldest,
            "lines": self.lines,
            "unreadable": self.unreadable,
            "markers_found": self.markers_found,
        }
