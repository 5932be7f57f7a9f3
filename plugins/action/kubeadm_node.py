# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run kubeadm_node; control planes of one run take turns."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from typing import Any

from ansible import constants
from ansible.plugins.action import ActionBase


@contextlib.contextmanager
def turn(path: str) -> Iterator[None]:
    """Wait until no other process of this run holds the file; the kernel frees it when a process dies."""
    with open(path, "a", encoding="ascii") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible ships no types
    """One task covers all joining hosts, so workers join beside the control planes; only the latter wait here."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the module, a control plane only when it is its turn."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        alone = self._task.args.get("role") == "control_plane" and not self._task.check_mode
        # The directory belongs to this run of Ansible and is shared by its workers.
        path = os.path.join(constants.DEFAULT_LOCAL_TMP, "kubeadm-control-plane.lock")
        with turn(path) if alone else contextlib.nullcontext():
            return {**result, **self._execute_module("onprem.platform.kubeadm_node", task_vars=task_vars)}
