# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The servers that store Vault's data together by raft, and taking one of them out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ._vault import VaultClient
from ._vault_errors import VaultConfigurationError, VaultServerError
from ._vault_objects import Plan, plan_absent

PEER_KIND = "raft peer"
PEER_ARGUMENTS: dict[str, Any] = {
    "name": {"type": "str", "required": True, "aliases": ["node_id", "server_id"]},
    "force": {"type": "bool", "default": False},
    "state": {"type": "str", "choices": ["absent"], "default": "absent"},
}
_CONFIGURATION, _HEALTH = "sys/storage/raft/configuration", "sys/storage/raft/autopilot/state"


def read_peers(client: VaultClient) -> list[dict[str, Any]]:
    """Return the servers of the cluster, sorted by name.

    Raises VaultUnsupported when the storage is not raft.
    """
    configuration = (client.read(_CONFIGURATION) or {}).get("config") or {}
    peers = configuration.get("servers")
    if not peers:
        raise VaultServerError(f"{_CONFIGURATION} names no servers.", path=_CONFIGURATION)
    keys = {"node_id": "name", "address": "address", "leader": "leader", "voter": "voter"}
    return sorted(
        ({name: peer.get(key) for key, name in keys.items()} for peer in peers), key=lambda peer: peer["name"]
    )


def read_health(client: VaultClient) -> dict[str, Any]:
    """Return what the leader knows about the health of the servers: healthy, failure_tolerance and servers by name."""
    return client.read(_HEALTH) or {}


def _check_removal(name: str, peers: Sequence[Mapping[str, Any]], health: Mapping[str, Any]) -> None:
    """Raise VaultConfigurationError when the cluster would lose its leader or its majority."""
    if any(peer["leader"] for peer in peers if peer["name"] == name):
        raise VaultConfigurationError(
            f"{name} is the leader.", hint="Let it step down first (sys/step-down), or set force=true."
        )
    voters = [peer["name"] for peer in peers if peer["voter"] and peer["name"] != name]
    servers = health.get("servers") or {}
    alive = [voter for voter in voters if (servers.get(voter) or {}).get("healthy")]
    if len(alive) * 2 <= len(voters):
        raise VaultConfigurationError(
            f"Without {name}, only {len(alive)} of {len(voters)} voters are healthy, which is no majority.",
            hint="Mend the others first, or set force=true.",
        )


def plan_removal(client: VaultClient, params: Mapping[str, Any]) -> Plan:
    """Return what is to be done to take a server out of the cluster."""
    name = params["name"]
    peers = read_peers(client)
    current = next((peer for peer in peers if peer["name"] == name), None)
    if current is not None:
        if len(peers) == 1:
            raise VaultConfigurationError(f"{name} is the only server of the cluster.")
        if not params["force"]:
            _check_removal(name, peers, read_health(client))
    body = {"server_id": name}
    return plan_absent(name, current, current, lambda: client.write("sys/storage/raft/remove-peer", body))
