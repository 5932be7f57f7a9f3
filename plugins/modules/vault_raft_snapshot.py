#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Save and restore snapshots of Vault's raft storage."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vault_raft_snapshot
short_description: Save and restore snapshots of Vault's raft storage
version_added: 0.1.0
author:
  - onprem.platform contributors (@onprem-platform)
description:
  - Saves a snapshot of a cluster with raft storage, or restores one.
  - A file gets its name only after the archive was found complete and all checksums and sizes in it right, with mode
    0600. A failed or cut transfer leaves the file of before.
  - A snapshot holds everything encrypted by the cluster's keys. Restoring one needs a Vault with the same unseal
    keys, or O(force=true) and the old unseal keys afterwards.
  - The active server is asked; a standby leads the request there.
extends_documentation_fragment:
  - onprem.platform.attributes
  - onprem.platform.attributes.vault_group
  - onprem.platform.vault
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: Shows index and time of the snapshots, never content.
  idempotent:
    support: partial
    details: Only with O(max_age), and never with O(state=restored).
options:
  path:
    description: The snapshot file, on the host that runs the module.
    type: path
    required: true
  state:
    description:
      - V(saved) writes the file.
      - V(restored) replaces all that Vault holds by the content of the file. Everything since the snapshot is lost,
        tokens and leases too.
    type: str
    choices: [saved, restored]
    default: saved
  max_age:
    description: Keep a good snapshot that is there and younger than this, given as seconds or for example V(12h).
      Without it, each run saves one.
    type: str
  confirm_cluster:
    description:
      - Name or ID of the cluster whose content is lost, as M(onprem.platform.vault_seal_info) tells it. Required for
        O(state=restored), so that no other Vault is overwritten by mistake.
    type: str
  force:
    description:
      - Whether to restore a snapshot of a cluster with other unseal keys. Vault is sealed afterwards and wants those.
      - A server remembers the number of its keys; where the old cluster had another number, restart it first.
    type: bool
    default: false
  wait_timeout:
    description: Seconds to wait for an active or a sealed server after a restore.
    type: int
    default: 60
"""

EXAMPLES = r"""
- name: A snapshot at most twelve hours old
  onprem.platform.vault_raft_snapshot:
    url: https://vault.example.org:8200
    token: "{{ vault_token }}"
    path: ~/vault/vault.snap
    max_age: 12h

- name: Go back to it
  onprem.platform.vault_raft_snapshot:
    url: https://vault.example.org:8200
    token: "{{ vault_token }}"
    path: ~/vault/vault.snap
    state: restored
    confirm_cluster: "{{ cluster_name }}"
"""

RETURN = r"""
snapshot:
  description: The snapshot that was saved, kept or restored. In check mode of O(state=saved), the one that is there.
  returned: when there is one
  type: dict
  contains:
    path:
      description: The file.
      type: str
      sample: /root/vault/vault.snap
    size:
      description: Its size in bytes.
      type: int
      sample: 48231
    sha256:
      description: Its SHA-256 checksum.
      type: str
      sample: 9b2c7b1f4cf1a6f0e0a6a6c1c4b1a8e3f8d9c7b6a5e4d3c2b1a09f8e7d6c5b4a
    state_size:
      description: Bytes of the storage in it.
      type: int
      sample: 118640
    index:
      description: Index of raft at the time of the snapshot.
      type: int
      sample: 3721
    term:
      description: Term of raft at that time.
      type: int
      sample: 4
    saved_at:
      description: When the file was written (RFC 3339, UTC).
      type: str
      sample: "2026-11-21T19:36:31+00:00"
sealed:
  description: Whether Vault is sealed after the restore, as it is after one with other keys.
  returned: with O(state=restored), outside check mode
  type: bool
  sample: false
"""

from pathlib import Path
from typing import Any

from ..module_utils._compare import seconds
from ..module_utils._vault import VaultClient, VaultModule, run
from ..module_utils._vault_errors import VaultConfigurationError, VaultError, VaultSealed, VaultUnavailable
from ..module_utils._vault_seal import wait_argument, wait_for
from ..module_utils._vault_snapshot import (
    Snapshot,
    VaultBrokenSnapshot,
    restore_snapshot,
    save_snapshot,
    verify_snapshot,
)


def stored_snapshot(path: Path) -> Snapshot | None:
    """Return the snapshot that is there, or None when there is none or a broken one."""
    try:
        return verify_snapshot(path) if path.exists() else None
    except VaultBrokenSnapshot:
        return None


def describe(snapshot: Snapshot | None) -> Any:
    """Return a side of the difference."""
    return {"index": snapshot.index, "saved_at": snapshot.saved_at} if snapshot else ""


def save(module: VaultModule, path: Path) -> dict[str, Any]:
    """Save a snapshot unless the one that is there is young enough."""
    wanted = module.params["max_age"]
    max_age = None if wanted is None else seconds(wanted)
    before = after = stored_snapshot(path)
    if max_age is not None and before and before.age() < max_age:
        return {"changed": False, "diff": [], "snapshot": before.result()}
    client = module.client()
    if not module.check_mode:
        after = save_snapshot(client, path)
    shown = "(a new snapshot)" if module.check_mode else describe(after)
    diff = {"before_header": str(path), "before": describe(before), "after_header": str(path), "after": shown}
    return {"changed": True, "diff": [diff], **({"snapshot": after.result()} if after else {})}


class Restored:
    """Whether a server has taken its new content and works again, or waits for its keys."""

    def __init__(self, client: VaultClient) -> None:
        self._client = client
        self.sealed = False

    def __call__(self) -> bool:
        """Ask; a server that does not answer is not ready."""
        try:
            self.sealed = bool(self._client.request("GET", "sys/seal-status").get("sealed"))
            leader = {} if self.sealed else self._client.request("GET", "sys/leader")
        except VaultError:
            return False
        return self.sealed or bool(leader.get("leader_address")) or not leader.get("ha_enabled", True)


def restore(module: VaultModule, path: Path) -> dict[str, Any]:
    """Restore a snapshot into the cluster that was named."""
    snapshot = verify_snapshot(path)
    client = module.client()
    status = client.request("GET", "sys/seal-status")
    if status.get("sealed"):
        raise VaultSealed(f"Vault at {client.url} is sealed.", hint="Run vault_unseal first.", status=503)
    names = [str(status.get(key) or "") for key in ("cluster_name", "cluster_id")]
    if module.params["confirm_cluster"] not in names:
        raise VaultConfigurationError(
            f"confirm_cluster is {module.params['confirm_cluster']!r}, but this is the cluster {' or '.join(names)}.",
            hint="A restore replaces all it holds. Name the cluster if that is meant.",
        )
    header = f"cluster {names[0]}"
    diff = {"before_header": header, "before": "", "after_header": header, "after": {"restored": describe(snapshot)}}
    result: dict[str, Any] = {"changed": True, "diff": [diff], "snapshot": snapshot.result()}
    if module.check_mode:
        return result
    restore_snapshot(client, path, force=module.params["force"])
    ready = Restored(client)
    if not wait_for(ready, module.params["wait_timeout"]):
        raise VaultUnavailable("The snapshot was restored, but no server became active since.")
    return {**result, "sealed": ready.sealed}


def reconcile(module: VaultModule) -> dict[str, Any]:
    """Save or restore."""
    path = Path(module.params["path"]).absolute()
    return save(module, path) if module.params["state"] == "saved" else restore(module, path)


def main() -> None:
    """Run the module."""
    run(
        {
            "path": {"type": "path", "required": True},
            "state": {"type": "str", "choices": ["saved", "restored"], "default": "saved"},
            "max_age": {"type": "str"},
            "confirm_cluster": {"type": "str"},
            "force": {"type": "bool", "default": False},
            **wait_argument(60),
        },
        reconcile,
        required_if=[("state", "restored", ["confirm_cluster"])],
    )


if __name__ == "__main__":
    main()
