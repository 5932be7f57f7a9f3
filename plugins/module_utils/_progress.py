# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Say how far long work has come, while the module still works (private).

Ansible shows what a module returns, and nothing before. The callback ``onprem.platform.progress`` listens on a socket
of the controller and names it in the environment, so only modules that run there, as the same user, are heard. Where
nobody listens, nothing is said and nothing fails.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.parameters import remove_values

ENVIRONMENT = "ONPREM_PLATFORM_PROGRESS"
INTERVAL = 10.0
"""Seconds between two lines of one module: short work says nothing."""
LONGEST = 2000
"""Bytes of a line that are sent at most."""

Announce = Callable[[Callable[[], str]], None]
"""Takes a function that makes the line; it is called only when a line is due."""


def silent(line: Callable[[], str]) -> None:
    """Say nothing, where nobody has asked for it."""


def announcer(module: AnsibleModule) -> Announce:
    """Return what says a line every ten seconds; the values of options with ``no_log`` are struck out."""
    address = os.environ.get(ENVIRONMENT)
    due = time.monotonic() + INTERVAL
    last = ""

    def announce(line: Callable[[], str]) -> None:
        nonlocal due, last
        if not address or module.no_log or time.monotonic() < due:
            return
        due = time.monotonic() + INTERVAL
        text = str(remove_values(line(), module.no_log_values))
        if text != last:
            last = text
            _send(address, text)

    return announce


def _send(address: str, text: str) -> None:
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            sender.sendto(text.encode()[:LONGEST], address)
    except OSError:
        # The run has ended, or its callback is slower than we are: neither is a reason to stop working.
        pass
