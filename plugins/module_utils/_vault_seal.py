# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The servers of one cluster and their seals."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ._vault import VaultClient, VaultModule
from ._vault_errors import VaultConfigurationError, VaultConnectionError, VaultError, VaultTLSError

PEERS_ARGUMENT: dict[str, Any] = {"peers": {"type": "list", "elements": "str"}}
_POLL_SECONDS = 0.5


@dataclass
class Peer:
    """One server: its client, and the answer of ``sys/seal-status`` or why there is none."""

    client: VaultClient
    status: dict[str, Any]
    error: VaultError | None = None

    @property
    def url(self) -> str:
        """The server's address."""
        return self.client.url

    @property
    def initialized(self) -> bool:
        """Whether the server is initialised; a raft server is so only after it joined its cluster."""
        return bool(self.status.get("initialized"))

    @property
    def sealed(self) -> bool:
        """Whether the server is sealed."""
        return bool(self.status.get("sealed", True))

    def refresh(self) -> None:
        """Ask the server again."""
        self.status = self.client.request("GET", "sys/seal-status")

    def summary(self) -> dict[str, Any]:
        """Return what results tell about the server; nothing of it is secret."""
        if self.error:
            return {"url": self.url, "reachable": False, "error": str(self.error)}
        seal = {
            "type": "type",
            "n": "shares",
            "t": "threshold",
            "progress": "progress",
            "version": "version",
            "storage_type": "storage_type",
            "cluster_name": "cluster_name",
            "cluster_id": "cluster_id",
            "recovery_seal": "recovery_seal",
            "migration": "migration",
        }
        told = {name: self.status[key] for key, name in seal.items() if self.status.get(key) is not None}
        return {
            "url": self.url,
            "reachable": True,
            "initialized": self.initialized,
            "sealed": self.sealed,
            **told,
        }


def ask_peers(module: VaultModule) -> list[Peer]:
    """Return all servers of ``peers``, or the one of ``url``, each asked for its seal status.

    Raises VaultConfigurationError when an address is given twice; a server that does not answer carries its error.
    """
    urls = module.params["peers"] or [module.params["url"]]
    first = module.client(login=False, url=urls[0])
    clients = [first, *(first.peer(url) for url in urls[1:])]
    if len({client.url for client in clients}) < len(clients):
        raise VaultConfigurationError("peers names the same address twice.")
    peers = []
    for client in clients:
        try:
            peers.append(Peer(client, client.request("GET", "sys/seal-status")))
        except (VaultConnectionError, VaultTLSError) as error:
            peers.append(Peer(client, {}, error))
    return peers


def wait_for(condition: Callable[[], bool], seconds: float) -> bool:
    """Poll a condition until it holds or the time is over, and return whether it holds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= end:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def wait_argument(default: int) -> Mapping[str, Any]:
    """Return the argument for the longest wait in seconds."""
    return {"wait_timeout": {"type": "int", "default": default}}
