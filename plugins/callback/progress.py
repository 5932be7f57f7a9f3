# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a long task is doing, while it still works."""

from __future__ import annotations

DOCUMENTATION = r"""
name: progress
type: aggregate
short_description: Show what a long task is doing, while it still works
version_added: 0.1.0
description:
  - Modules of this collection that run on the controller and push images or wait for objects of Kubernetes or Flux say
    every ten seconds how far they are, and what is still open with its present condition. This callback shows it.
  - They send it to a socket in a directory that only the present user may enter. Tasks with C(no_log) send nothing.
author:
  - onprem.platform contributors (@onprem-platform)
"""

import atexit
import contextlib
import os
import shutil
import socket
import tempfile
import threading
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.plugins.callback import CallbackBase

from ..module_utils._progress import ENVIRONMENT, LONGEST


class CallbackModule(CallbackBase):  # type: ignore[misc] # ansible-core has no types
    """Callback ``progress``."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "onprem.platform.progress"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._receiver: socket.socket | None = None

    def v2_playbook_on_start(self, playbook: Any) -> None:
        """Listen; what is started from now on inherits the address."""
        directory = tempfile.mkdtemp(prefix="onprem-platform-")
        # Called in this process alone: Ansible's workers end without it.
        atexit.register(shutil.rmtree, directory, ignore_errors=True)
        address = str(Path(directory) / "progress")
        self._receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._receiver.bind(address)
        os.environ[ENVIRONMENT] = address
        threading.Thread(target=self._listen, args=(self._receiver,), daemon=True).start()

    def _listen(self, receiver: socket.socket) -> None:
        while text := receiver.recv(LONGEST).decode(errors="replace"):
            # What a controller of Kubernetes wrote must not move the cursor.
            line = "".join(character if character.isprintable() else " " for character in text)
            self._display.display(f"  ... {line}", color=constants.COLOR_VERBOSE)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Stop listening, so that nothing is written below the recap."""
        address = os.environ.pop(ENVIRONMENT, None)
        if self._receiver and address:
            # A listener that has failed must not keep the run from ending.
            with contextlib.suppress(OSError):
                self._receiver.sendto(b"", socket.MSG_DONTWAIT, address)
