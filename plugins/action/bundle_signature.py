# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action of ``onprem.platform.bundle_signature``: runs on the controller, where the bundle and the key are."""

from __future__ import annotations

import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ansible.utils.display import Display

from ..plugin_utils._bundle_common import BundleError, file_digest, run_tool
from ..plugin_utils._bundle_lock import load_lock
from ..plugin_utils._bundle_signature import BundleSignatures, Origin, Signed
from ..plugin_utils._controller_action import ControllerAction
from ..plugin_utils._cosign import Cosign

display = Display()
COLLECTION = Path(__file__).resolve().parents[2]
# What is signed, and with which key.
KEY_ARGUMENTS = {
    "directory": {"type": "path", "required": True},
    "key": {"type": "str", "required": True, "no_log": False},
    "public_key": {"type": "path"},
    "password": {"type": "str", "no_log": True},
    "registry": {"type": "str", "required": True},
    "cosign": {"type": "path"},
}
ARGUMENTS = {
    **KEY_ARGUMENTS,
    "signatures": {"type": "path", "required": True},
    "create_key": {"type": "bool", "default": False, "no_log": False},
    "names": {"type": "list", "elements": "str", "default": []},
    "builder": {"type": "str", "default": "https://github.com/onprem-platform/onprem.platform"},
    "commit": {"type": "str", "default": ""},
    "lock": {"type": "path"},
    "additions": {"type": "list", "elements": "path", "default": []},
}


class ActionModule(ControllerAction):
    """Sign a bundle."""

    ARGUMENTS = ARGUMENTS

    def work(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return the module's result."""
        started = time.monotonic()
        result = self._sign(arguments)
        result["seconds"] = round(time.monotonic() - started, 1)
        return result

    def _sign(self, arguments: dict[str, Any]) -> dict[str, Any]:
        cosign = cosign_of(arguments)
        lock = Path(arguments["lock"] or COLLECTION / "roles" / "bundle" / "files" / "lock.yml")
        origin = Origin(
            arguments["builder"],
            arguments["commit"] or commit_of(COLLECTION, "plugins", "roles/bundle"),
            file_digest(lock),
        )
        signatures = BundleSignatures(
            Path(arguments["directory"]),
            load_lock(lock, arguments["additions"]),
            Path(arguments["signatures"]),
            cosign,
            arguments["registry"],
            origin,
            display.display,
        )
        created = cosign.public_key() is None
        if self._task.check_mode:
            signed = signatures.compare(arguments["names"])
        else:
            signed = signatures.fill(arguments["create_key"], arguments["names"])
        added = [item for item in signed if item.added]
        return {
            "changed": bool(added) or created,
            "signed": [asdict(item) for item in signed],
            "signatures": arguments["signatures"],
            "public_key": cosign.public_key() or "",
            "diff": {
                "before": "",
                "after": "".join(_line(item) for item in added),
                "before_header": "signatures",
                "after_header": "signatures",
            },
            "msg": f"{len(signed)} looked at, {len(added)} {'to sign' if self._task.check_mode else 'signed'}.",
        }


def cosign_of(arguments: dict[str, Any]) -> Cosign:
    """Return the program with the key that the arguments name."""
    key = arguments["key"]
    managed = "://" in key
    if managed and not arguments["public_key"]:
        raise BundleError(f"public_key is missing: the file that the public key of {key} is kept in.")
    path = key if managed else os.path.expanduser(key)
    return Cosign(
        Path(arguments["cosign"] or Path(arguments["directory"]) / "files" / "cosign"),
        path,
        Path(arguments["public_key"] or f"{path.removesuffix('.key')}.pub"),
        # The variable that cosign itself reads.
        arguments["password"] if arguments["password"] is not None else os.environ.get("COSIGN_PASSWORD", ""),
    )


def commit_of(collection: Path, *paths: str) -> str:
    """Return the commit of the collection; empty unless it is a clone in which the paths are as committed."""
    command = ["git", "-C", str(collection)]
    try:
        if Path(run_tool([*command, "rev-parse", "--show-toplevel"]).strip()).resolve() != collection:
            # Installed below somebody else's repository.
            return ""
        if run_tool([*command, "status", "--porcelain", "--", *paths]).strip():
            return ""
        return run_tool([*command, "rev-parse", "HEAD"]).strip()
    except BundleError:
        return ""


def _line(item: Signed) -> str:
    return f"{item.name} {item.digest}: {', '.join(item.added)}\n"
