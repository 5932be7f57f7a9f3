# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action of ``onprem.platform.bundle_debian_pins``: runs on the controller, where the lock lies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.utils.display import Display

from ..plugin_utils._bundle_debian import DebianPackages, configured_mirrors
from ..plugin_utils._controller_action import ControllerAction

COLLECTION = Path(__file__).resolve().parents[2]
ARGUMENTS = {"directory": {"type": "path"}, "mirrors": {"type": "dict"}}


class ActionModule(ControllerAction):
    """Pin the present versions of the bundle's Debian packages."""

    ARGUMENTS = ARGUMENTS

    def work(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return the module's result."""
        directory = Path(arguments["directory"] or COLLECTION / "roles" / "bundle" / "files" / "debian")
        mirrors = configured_mirrors() if arguments["mirrors"] is None else arguments["mirrors"]
        # Nothing is downloaded here but package lists, so the cache directory stays unused.
        packages = DebianPackages(directory, directory, mirrors, Display().display)
        before = packages.pinned()
        changes = packages.refresh(write=not self._task.check_mode)
        return {
            "changed": before != packages.pinned() or bool(changes),
            "changes": [{"package": name, "before": old, "after": new} for name, (old, new) in changes.items()],
            "diff": {
                "before": "".join(f"{name} {old}\n" for name, (old, _new) in changes.items() if old),
                "after": "".join(f"{name} {new}\n" for name, (_old, new) in changes.items() if new),
                "before_header": str(packages.pins_file),
                "after_header": str(packages.pins_file),
            },
        }
