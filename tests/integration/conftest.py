# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which tests stay in one process when several run them (``pytest -n 2``)."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

FOLDER = PurePosixPath("tests/integration")
# A folder's tests share servers, which start once for each process. These share the machines of a lab of this checkout.
MACHINES = {"lab", "preflight", "run_lock"}


class FolderScheduling(LoadScopeScheduling):  # type: ignore[misc] # pytest-xdist has no types for this
    """Gives a whole folder to a process. Groups by a mark (``xdist_group``) are lost with pytest 9.2."""

    def _split_scope(self, nodeid: str) -> str:
        path = PurePosixPath(nodeid.partition("::")[0])
        folder = path.relative_to(FOLDER).parts[0] if path.is_relative_to(FOLDER) else str(path)
        return "machines" if folder in MACHINES else folder


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> FolderScheduling:
    """Hook of pytest-xdist."""
    return FolderScheduling(config, log)
