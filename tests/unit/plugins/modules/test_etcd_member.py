# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Removal of members never costs the majority."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.onprem.platform.plugins.module_utils._kubeadm_api import KubeadmError
from ansible_collections.onprem.platform.plugins.modules import etcd_member


class Etcd:
    """A member list; ``at`` gives the member behind an address."""

    def __init__(self, sick: tuple[str, ...] = (), learners: tuple[str, ...] = ()) -> None:
        """Three members, cp1 is asked."""
        self.sick = sick
        self.table = [
            {
                "id": f"{number:x}",
                "name": f"cp{number}",
                "learner": f"cp{number}" in learners,
                "peer_urls": [f"https://192.0.2.{number}:2380"],
                "client_urls": [f"https://192.0.2.{number}:2379"],
            }
            for number in (1, 2, 3)
        ]
        self.address = ""

    def members(self) -> list[dict[str, Any]]:
        """The list."""
        return list(self.table)

    def at(self, address: str) -> Etcd:
        """Another member."""
        other = Etcd(self.sick)
        other.address = address
        return other

    def healthy(self) -> bool:
        """Whether the member at this address works."""
        return f"cp{self.address.rpartition('.')[2]}" not in self.sick

    def request(self, _method: str, _path: str, _body: Any) -> dict[str, Any]:
        """Status of the member that is asked."""
        return {"header": {"member_id": "1"}}

    def remove(self, identifier: str) -> None:
        """Remove."""
        self.table = [member for member in self.table if member["id"] != identifier]


def ensure(etcd: Etcd, *names: str, check: bool = False) -> dict[str, Any]:
    """Run the module's core."""
    return etcd_member.ensure(etcd, list(names), check)  # type: ignore[arg-type]


def test_remove_and_remove_again() -> None:
    etcd = Etcd(sick=("cp3",))
    assert ensure(etcd, "cp3", check=True)["removed"] == ["cp3"]
    assert len(etcd.table) == 3
    done = ensure(etcd, "cp3")
    assert (done["changed"], done["members"]) == (True, ["cp1", "cp2"])
    assert ensure(etcd, "cp3")["changed"] is False


def test_learner_may_go() -> None:
    assert ensure(Etcd(sick=("cp3",), learners=("cp3",)), "cp3")["removed"] == ["cp3"]


@pytest.mark.parametrize(
    ("etcd", "names", "reason"),
    [
        (Etcd(), ["cp1"], "own member"),
        (Etcd(sick=("cp2", "cp3")), ["cp3"], "only 1 of 3 voting members are healthy"),
        (Etcd(sick=("cp2",)), ["cp3"], "of the 2 voting members that would be left only 1"),
    ],
)
def test_refusals(etcd: Etcd, names: list[str], reason: str) -> None:
    with pytest.raises(KubeadmError, match=reason):
        ensure(etcd, *names)
    assert len(etcd.table) == 3
