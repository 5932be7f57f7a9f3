# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures for the unit tests of modules."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ansible_collections.onprem.platform.tests.unit.fakes.vault_server import ROOT, FakeVault

VaultRunner = Callable[..., dict[str, Any]]


@pytest.fixture
def vault(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeVault]:
    """Return a fake Vault, initialised and unsealed."""
    for name in ("VAULT_ADDR", "VAULT_TOKEN", "VAULT_NAMESPACE", "VAULT_CACERT", "VAULT_SKIP_VERIFY"):
        monkeypatch.delenv(name, raising=False)
    server = FakeVault()
    yield server
    server.close()


@pytest.fixture
def call(vault: FakeVault, run_module: Callable[..., dict[str, Any]]) -> VaultRunner:
    """Return ``call(main, check=False, **params)``, which runs a module against the fake with its root token."""

    def run(main: Callable[[], None], check: bool = False, **params: Any) -> dict[str, Any]:
        return run_module(main, {"url": vault.url, "token": ROOT, "retries": 2, **params}, check=check)

    return run
