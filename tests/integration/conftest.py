# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which tests stay in one process when several run them (``--dist loadgroup``)."""

from __future__ import annotations

from pathlib import Path

import pytest

# A folder's tests share servers, which start once for each process. These share the machines of a lab of this checkout.
MACHINES = {"lab", "preflight", "run_lock"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of a folder together."""
    root = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(root):
            folder = item.path.relative_to(root).parts[0]
            item.add_marker(pytest.mark.xdist_group("machines" if folder in MACHINES else folder))
