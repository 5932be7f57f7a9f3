# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the tests that break things on a real platform of six nodes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ansible_collections.onprem.platform.tests.faults.observability_lab import Observability
from ansible_collections.onprem.platform.tests.faults.platform_lab import PlatformLab
from ansible_collections.onprem.platform.tests.faults.reader import Reader, Shell

# Faults that stop a run before it changes anything come first, on the bare machines that the plan's test then uses.
ORDER = (
    "test_leaks",
    "test_bad_input",
    "test_plan_and_secrets",
    "test_kill",
    "test_alerts",
    "test_logs",
    "test_flux",
    "test_policy",
    "test_network",
    "test_documentation",
    "test_runbooks",
    "test_operations",
    "test_guides",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Bring this directory's modules into their order; what belongs to other directories stays before them."""
    here = Path(__file__).parent
    items.sort(key=lambda item: ORDER.index(item.path.stem) + 1 if item.path.parent == here else 0)
    for item in items:
        if item.path.parent == here and item.path.stem != "test_leaks":
            item.add_marker(pytest.mark.long)
            item.add_marker(pytest.mark.timeout(3600))
            item.add_marker(pytest.mark.skipif(os.geteuid() != 0, reason="machines need root"))


@pytest.fixture(scope="session")
def laboratory() -> Iterator[Callable[[str], PlatformLab]]:
    """Give a lab by its name. Only one exists at a time: a new name removes the machines of the one before."""
    made: dict[str, PlatformLab] = {}

    def get(name: str) -> PlatformLab:
        if name not in made:
            for old in list(made):
                made.pop(old).destroy()
            lab = made[name] = PlatformLab(name)
            lab.create()
        return made[name]

    yield get
    for lab in made.values():
        lab.destroy()


# What survives the loss of a server; the rest is the lab's own inventory.
REPLICAS = """---
observability_prometheus_replicas: 2
observability_alertmanager_replicas: 3
"""


@pytest.fixture(scope="session")
def observability(laboratory: Callable[[str], PlatformLab]) -> Observability:
    """A converged platform with more than one of each server that may be there more than once."""
    lab = laboratory("observability")
    (lab.inventory / "group_vars" / "all" / "replicas.yml").write_text(REPLICAS)
    done = lab.play("site")
    assert done.code == 0, done.tail()
    return Observability(lab)


@pytest.fixture(scope="session")
def converged(request: pytest.FixtureRequest) -> Path:
    """The ``.lab`` directory of a lab with a converged platform.

    ``ONPREM_TEST_LAB`` may name one; without it, it is the lab of test_logs.
    """
    existing = os.environ.get("ONPREM_TEST_LAB")
    if existing:
        return Path(existing)
    request.getfixturevalue("observability")
    laboratory: Callable[[str], PlatformLab] = request.getfixturevalue("laboratory")
    return laboratory("observability").state


@pytest.fixture(scope="session")
def reader() -> Iterator[Reader]:
    """Somebody new."""
    one = Reader()
    one.arrive()
    yield one
    one.leave()


@pytest.fixture
def shell(reader: Reader) -> Iterator[Shell]:
    """The shell of the reader's lab; an editor in it writes what lies in ``written``."""
    with reader.platform_shell(EDITOR=f"cp {reader.directory / 'written'}") as opened:
        yield opened
