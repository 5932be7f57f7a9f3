# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real services for the tests of the Vault modules, and ways to call a module."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from ansible_collections.onprem.platform.tests.integration.ports import free_port
from ansible_collections.onprem.platform.tests.integration.vault.services import (
    DevVault,
    MariaDB,
    PostgreSQL,
    RaftNode,
    closing,
)
from ansible_collections.onprem.platform.tests.unit import conftest as unit_conftest
from ansible_collections.onprem.platform.tests.unit.fakes.certificates import Authority
from ansible_collections.onprem.platform.tests.unit.fakes.kubernetes_api import FakeKubernetes

Run = Callable[..., dict[str, Any]]
run_module = unit_conftest.run_module


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("VAULT_ADDR", "VAULT_TOKEN", "VAULT_NAMESPACE", "VAULT_CACERT", "VAULT_SKIP_VERIFY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def dev() -> Iterator[DevVault]:
    """One development server for the tests of a file that need no cluster; what they leave meets no other file."""
    yield from closing(DevVault)


@pytest.fixture
def call(dev: DevVault, run_module: Run) -> Run:
    """Return ``call(main, check=False, **params)``, which runs a module against the development server."""

    def run(main: Callable[[], None], check: bool = False, **params: Any) -> dict[str, Any]:
        return run_module(main, {"url": dev.url, "token": dev.token, **params}, check=check)

    return run


@pytest.fixture
def authority(tmp_path: Any) -> Authority:
    """An authority for the servers of a cluster."""
    return Authority(tmp_path)


@pytest.fixture
def raft(authority: Authority) -> Iterator[list[RaftNode]]:
    """Three servers with TLS and raft storage, not initialised."""
    ports = [free_port() for _number in range(3)]
    yield from closing(*(partial(RaftNode, number, ports, authority) for number in range(3)))


@pytest.fixture
def kubernetes() -> Iterator[FakeKubernetes]:
    """An API server that forwards ports and reviews tokens."""
    yield from closing(FakeKubernetes)


@pytest.fixture(scope="module")
def mariadb() -> Iterator[MariaDB]:
    """A MariaDB server."""
    yield from closing(MariaDB)


@pytest.fixture(scope="module")
def postgresql() -> Iterator[PostgreSQL]:
    """A PostgreSQL server."""
    yield from closing(PostgreSQL)
