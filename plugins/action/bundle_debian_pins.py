# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Action of ``onprem.platform.bundle_debian_pins``: runs on the controller, where the lock lies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ..plugin_utils._bundle_common import BundleError
from ..plugin_utils._bundle_debian import DebianPackages, configured_mirrors

COLLECTION = Path(__file__).resolve().parents[2]
ARGUMENTS = {"directory": {"type": "path"}, "mirrors": {"type": "dict"}}


class ActionModule(ActionBase):  # type: ignore[misc] # ansible-core has no types
    """Pin the present versions of the bundle's Debian packages."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the action; see the module's documentation for arguments and result."""
        super().run(tmp, task_vars)
        _validation, arguments = self.validate_argument_spec(ARGUMENTS)
        directory = Path(arguments["directory"] or COLLECTION / "roles" / "bundle" / "files" / "debian")
        mirrors = configured_mirrors() if arguments["mirrors"] is None else arguments["mirrors"]
        try:
            # Nothing is downloaded here but package lists, so the cache directory stays unused.
            packages = DebianPackages(directory, directory, mirrors, Display().display)
            before = packages.pinned()
            changes = packages.refresh(write=not self._task.check_mode)
        except BundleError as error:
            raise AnsibleActionFail(str(error)) from error
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
