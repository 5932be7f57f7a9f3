# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the tests are shared out among the processes of pytest-xdist (``-n 2 --dist loadgroup``)."""

from __future__ import annotations

from pathlib import Path

import pytest

DIRECTORY = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of a file in one process, which starts their servers once.

    A file that needs something that exists once per machine names its group itself: pytest.mark.xdist_group("lab").
    """
    for item in items:
        if not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group(str(item.path.relative_to(DIRECTORY))))
