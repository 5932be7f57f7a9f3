# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The frame of actions that work on the controller, where bundle, keys and repository lie (private)."""

from __future__ import annotations

from typing import Any, ClassVar

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ..module_utils._oci import OciError
from ..module_utils._signature import SignatureError
from ._bundle_common import BundleError


class ControllerAction(ActionBase):  # type: ignore[misc] # ansible-core has no types
    """Checks the arguments, works without a connection, and turns the errors of this collection into a failed task."""

    TRANSFERS_FILES = False
    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False

    ARGUMENTS: ClassVar[dict[str, Any]]
    """The argument spec, as of a module."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the action; see the module's documentation for arguments and result."""
        super().run(tmp, task_vars)
        _validation, arguments = self.validate_argument_spec(self.ARGUMENTS)
        try:
            return self.work(arguments)
        except (BundleError, OciError, SignatureError, OSError) as error:
            raise AnsibleActionFail(str(error)) from error

    def work(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return the task's result; raises BundleError, OciError, SignatureError or OSError."""
        raise NotImplementedError
