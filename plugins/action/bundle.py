# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action of ``onprem.platform.bundle``: runs on the controller, so that its progress is shown while it works."""

from __future__ import annotations

import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ansible.utils.display import Display

from ..plugin_utils._bundle import PRODUCERS, Bundle, Result
from ..plugin_utils._bundle_cache import Cache
from ..plugin_utils._bundle_common import BundleError, human_size
from ..plugin_utils._bundle_lock import load_lock
from ..plugin_utils._bundle_upstream import Upstream
from ..plugin_utils._controller_action import ControllerAction

display = Display()
COLLECTION = Path(__file__).resolve().parents[2]
ARGUMENTS = {
    "additions": {"type": "list", "elements": "path", "default": []},
    "directory": {"type": "path", "required": True},
    "cache_directory": {"type": "path"},
    "lock": {"type": "path"},
    "names": {"type": "list", "elements": "str", "default": []},
    "pins": {"type": "path"},
    "producer": {"type": "str", "choices": list(PRODUCERS), "default": "auto"},
    "state": {"type": "str", "choices": ["present", "verified"], "default": "present"},
    "trust_on_first_use": {"type": "bool", "default": False},
}


class ActionModule(ControllerAction):
    """Fill or verify a bundle directory."""

    ARGUMENTS = ARGUMENTS

    def work(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return the module's result."""
        if arguments["trust_on_first_use"] and not arguments["pins"]:
            raise BundleError("trust_on_first_use needs pins: the file that the accepted checksums are added to.")
        started = time.monotonic()
        result = self._verify(arguments) if arguments["state"] == "verified" else self._fill(arguments)
        result["seconds"] = round(time.monotonic() - started, 1)
        return result

    def _bundle(self, arguments: dict[str, Any]) -> Bundle:
        cache = Cache(Path(arguments["cache_directory"] or default_cache_directory()))
        shipped = COLLECTION / "roles" / "bundle" / "files" / "lock.yml"
        lock = load_lock(Path(arguments["lock"] or shipped), arguments["additions"])
        upstream = Upstream(cache, display.display, arguments["trust_on_first_use"])
        pins = Path(arguments["pins"]) if arguments["pins"] else None
        directory = Path(arguments["directory"])
        return Bundle(directory, lock, cache, upstream, arguments["producer"], display.display, pins)

    def _fill(self, arguments: dict[str, Any]) -> dict[str, Any]:
        bundle = self._bundle(arguments)
        outcome = (bundle.preview if self._task.check_mode else bundle.fill)(arguments["names"])
        results, obsolete = outcome.results, outcome.obsolete
        if not (outcome.changed and self._task.check_mode):
            _show_notices(results)
        before = "".join(f"{_line(result)}\n" for result in results if result.action == "present")
        before += "".join(f"{identity}\n" for identity in obsolete)
        after = "".join(f"{_line(result)}\n" for result in results if result.action != "left_out")
        return {
            "changed": outcome.changed,
            "directory": arguments["directory"],
            "compiled": outcome.compiled,
            "entries": [asdict(result) for result in results],
            "obsolete": obsolete,
            "diff": {"before": before, "after": after, "before_header": "bundle", "after_header": "bundle"},
            "msg": _summary(results, bool(self._task.check_mode)),
        }

    def _verify(self, arguments: dict[str, Any]) -> dict[str, Any]:
        problems = self._bundle(arguments).verify()
        if problems:
            raise BundleError(
                f"The bundle {arguments['directory']} is not what its index and the lock say:\n  "
                + "\n  ".join(problems)
                + "\nMake it again with state: present; damaged files are replaced from the cache or made anew."
            )
        return {
            "changed": False,
            "directory": arguments["directory"],
            "compiled": [],
            "entries": [],
            "obsolete": [],
            "msg": "Every checksum is right.",
        }


def default_cache_directory() -> Path:
    """Return the user's cache directory for artefacts (XDG base directory specification)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "onprem-platform"


def _line(result: Result) -> str:
    return f"{result.kind} {result.name} {result.version} ({result.producer})"


def _summary(results: list[Result], check_mode: bool) -> str:
    made = [result for result in results if result.pending]
    left_out = [result for result in results if result.action == "left_out"]
    verb = "to make" if check_mode else "made"
    total = human_size(sum(result.size for result in results))
    text = f"{len(results) - len(left_out)} artefacts, {total}, {len(made)} {verb}."
    return " ".join([text, *(f"{_left_out(result)}." for result in left_out)])


def _left_out(result: Result) -> str:
    return f"Left out: {result.kind} {result.name} {result.version}: {result.reason}"


def _show_notices(results: list[Result]) -> None:
    """Show what a user must know: what is left out, binding licences, and what is not as upstream publishes it."""
    for result in results:
        if result.action == "left_out":
            display.display(_left_out(result))
        elif result.notice:
            display.display(f"licence of {result.name} {result.version}: {result.licence}. {result.notice}")
    differing: dict[tuple[str, ...], list[str]] = {}
    for result in results:
        if result.differs_from_upstream:
            differing.setdefault(tuple(result.differs_from_upstream), []).append(f"{result.kind} {result.name}")
    for texts, names in differing.items():
        display.display(f"{', '.join(names)} differs from upstream: {'; '.join(texts)}")
