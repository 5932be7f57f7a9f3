# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the tests around alerts; they need root for the sink's container, and `make bundle`."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from ansible_collections.onprem.platform.tests.integration.alerts.services import UNPACKED, AlertSink
from ansible_collections.onprem.platform.tests.integration.vault.services import closing
from ansible_collections.onprem.platform.tests.unit import conftest as unit_conftest

run_module = unit_conftest.run_module


@pytest.fixture(scope="session", autouse=True)
def _remove_unpacked_images() -> Iterator[None]:
    yield
    shutil.rmtree(UNPACKED, ignore_errors=True)


@pytest.fixture
def sink() -> Iterator[AlertSink]:
    """Return a sink of this test alone."""
    yield from closing(AlertSink)
