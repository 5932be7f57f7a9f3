#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Initialise a Vault cluster once and keep its keys."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vault_init
short_description: Initialise a Vault cluster once and keep its keys
version_added: 0.1.0
author:
  - onprem.platform contributors (@onprem-platform)
description:
  - Asks every server of the cluster first, and initialises the first one only if all answer and none is initialised.
    A raft server that has not joined its cluster yet looks uninitialised; initialising it would make a second
    cluster.
  - The keys exist only in one answer of Vault. O(key_file) is proved writable before the request, and the keys are
    written in one step with mode 0600 and read back.
  - When the cluster is initialised and sealed while the key file holds nothing, the keys of an earlier run are lost.
    The module stops and tells the remedy.
  - Nothing secret is returned unless O(return_keys=true).
extends_documentation_fragment:
  - onprem.platform.attributes
  - onprem.platform.attributes.reconciling
  - onprem.platform.attributes.vault_group
  - onprem.platform.vault
options:
  peers:
    description:
      - Addresses of all servers of the cluster; the first one is initialised. The default is O(url) alone.
      - With O(kubernetes_port_forward), the first label of each host names the pod.
    type: list
    elements: str
  key_file:
    description:
      - Path of the file for keys and root token. Required unless O(return_keys=true).
      - A file that holds keys already is never overwritten.
    type: path
  key_file_required:
    description:
      - Whether a sealed cluster without a key file is an error.
      - Switch it off where the keys were taken away from the key file into custody.
    type: bool
    default: true
  return_keys:
    description: Whether keys and root token are returned. Use C(no_log) on the task then.
    type: bool
    default: false
  secret_shares:
    description: Number of unseal keys.
    type: int
    default: 5
  secret_threshold:
    description: Number of keys that unseal.
    type: int
    default: 3
  recovery_shares:
    description: Number of recovery keys, for servers with auto-unseal. O(secret_shares) is not sent then.
    type: int
  recovery_threshold:
    description: Number of recovery keys that are needed.
    type: int
  pgp_keys:
    description:
      - Public PGP keys, armored or as Base64 of the binary form, one per unseal or recovery key.
      - Each key is encrypted for its holder before it leaves Vault.
    type: list
    elements: str
  root_token_pgp_key:
    description: Public PGP key for the root token.
    type: str
"""

EXAMPLES = r"""
- name: Three servers, keys into a file on the controller
  onprem.platform.vault_init:
    peers:
      - https://vault-0.vault-internal:8200
      - https://vault-1.vault-internal:8200
      - https://vault-2.vault-internal:8200
    ca_cert: /etc/ssl/platform-ca.pem
    key_file: ~/vault/keys.json

- name: One key for each of three holders, encrypted
  onprem.platform.vault_init:
    url: https://vault.example.org:8200
    key_file: ~/vault/keys.json
    secret_shares: 3
    secret_threshold: 2
    pgp_keys:
      - "{{ lookup('ansible.builtin.file', 'alice.asc') }}"
      - "{{ lookup('ansible.builtin.file', 'bob.asc') }}"
      - "{{ lookup('ansible.builtin.file', 'carol.asc') }}"
    root_token_pgp_key: "{{ lookup('ansible.builtin.file', 'alice.asc') }}"
"""

RETURN = r"""
key_file:
  description: Absolute path of the key file.
  returned: when O(key_file) is given
  type: str
  sample: /root/vault/keys.json
encrypted:
  description: Whether the unseal keys were encrypted with PGP.
  returned: when the cluster was initialised by this call
  type: bool
  sample: false
peers:
  description: The servers as they were before the call.
  returned: always
  type: list
  elements: dict
  contains:
    url:
      description: Address.
      type: str
      sample: https://vault-0.vault-internal:8200
    reachable:
      description: Whether it answered.
      type: bool
      sample: true
    initialized:
      description: Whether it was initialised.
      type: bool
      sample: false
    sealed:
      description: Whether it was sealed.
      type: bool
      sample: true
keys_base64:
  description: The unseal or recovery keys.
  returned: with O(return_keys=true), when the cluster was initialised by this call
  type: list
  elements: str
root_token:
  description: The root token.
  returned: with O(return_keys=true), when the cluster was initialised by this call
  type: str
"""

import base64
import binascii
import signal
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from ..module_utils._vault import VaultModule, run
from ..module_utils._vault_errors import VaultConfigurationError, VaultError, VaultKeysLost
from ..module_utils._vault_key_file import KeyFile
from ..module_utils._vault_seal import PEERS_ARGUMENT, Peer, ask_peers

LOST = (
    "The keys were lost between Vault's answer and the file: that run was killed, or another one initialised it. "
    "Without them the data cannot be read. If nothing of value is stored yet, delete the storage of all servers and "
    "run again; if the keys are kept elsewhere, put the key file back or set key_file_required=false."
)


def binary_key(text: str) -> str:
    """Return a PGP public key as Base64 of its binary form, which is what Vault takes.

    Raises VaultConfigurationError when it is neither armored nor Base64.
    """
    lines = text.strip().splitlines()
    if lines and lines[0].startswith("-----BEGIN PGP PUBLIC KEY BLOCK"):
        end = next((number for number, line in enumerate(lines) if line.startswith("-----END")), len(lines))
        start = next((number for number in range(1, end) if not lines[number].strip()), 0) + 1
        lines = [line for line in lines[start:end] if not line.startswith("=")]
    joined = "".join(line.strip() for line in lines)
    try:
        decoded = base64.b64decode(joined, validate=True)
    except binascii.Error as error:
        raise VaultConfigurationError("A PGP key is neither armored nor Base64.") from error
    if not decoded or not decoded[0] & 0x80:
        raise VaultConfigurationError("A PGP key does not begin like an OpenPGP packet (RFC 4880, 4.2).")
    return joined


def request_body(params: Mapping[str, Any], seal_type: str) -> dict[str, Any]:
    """Return the body of the request, with shares for the kind of seal that the server has.

    Raises VaultConfigurationError when numbers and keys do not fit together.
    """
    shamir = seal_type == "shamir"
    prefix = "secret" if shamir else "recovery"
    shares = params[f"{prefix}_shares"]
    threshold = params[f"{prefix}_threshold"]
    if not shamir and not (shares and threshold):
        raise VaultConfigurationError(
            f"The servers unseal themselves ({seal_type}).", hint="Set recovery_shares and recovery_threshold."
        )
    if not 1 <= threshold <= shares or (shares > 1 and threshold == 1):
        raise VaultConfigurationError(f"{threshold} of {shares} keys is no valid threshold.")
    body: dict[str, Any] = {f"{prefix}_shares": shares, f"{prefix}_threshold": threshold}
    keys = [binary_key(key) for key in params["pgp_keys"] or []]
    if keys and len(keys) != shares:
        raise VaultConfigurationError(f"There are {len(keys)} PGP keys for {shares} shares.")
    if keys:
        body["pgp_keys" if shamir else "recovery_pgp_keys"] = keys
    if params["root_token_pgp_key"]:
        body["root_token_pgp_key"] = binary_key(params["root_token_pgp_key"])
    return body


def refuse_unsafe(peers: list[Peer], file: KeyFile | None, stored: Mapping[str, Any] | None, required: bool) -> bool:
    """Return whether the cluster has to be initialised.

    Raises VaultError when that cannot be known, when keys are lost, or when keys of another cluster are in the way.
    """
    initialized = [peer for peer in peers if peer.initialized]
    if initialized:
        if file and stored is None and required and all(peer.sealed for peer in initialized):
            names = ", ".join(peer.url for peer in initialized)
            raise VaultKeysLost(f"{names} is initialised and sealed, but {file.path} holds no keys.", hint=LOST)
        return False
    silent = [peer for peer in peers if peer.error]
    if silent:
        told = " ".join(str(peer.error) for peer in silent)
        raise VaultError(
            f"Not all servers answer, and a silent one may be initialised already. {told}",
            hint="Initialising another would make a second cluster. Start all of them first.",
        )
    if stored is not None and file:
        raise VaultConfigurationError(
            f"{file.path} holds keys already, but no server is initialised.",
            hint="They belong to an earlier cluster. Move the file away.",
        )
    return True


def initialise(peer: Peer, body: dict[str, Any], file: KeyFile | None) -> dict[str, Any]:
    """Send the request once and keep the answer. Signals wait until the keys are safe."""
    held = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, held)
    try:
        answer = peer.client.request("PUT", "sys/init", body=body, repeatable=False)
        keys = {
            "schema": 1,
            "initialized_at": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "url": peer.url,
            "encrypted": bool(body.get("pgp_keys") or body.get("recovery_pgp_keys")),
            "root_token_encrypted": "root_token_pgp_key" in body,
            "recovery": "recovery_shares" in body,
            "shares": body.get("secret_shares") or body.get("recovery_shares"),
            "threshold": body.get("secret_threshold") or body.get("recovery_threshold"),
            "keys_base64": answer.get("recovery_keys_base64") or answer["keys_base64"],
            "root_token": answer["root_token"],
        }
        if file:
            file.store(keys)
        return keys
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def reconcile(module: VaultModule) -> dict[str, Any]:
    """Initialise the cluster if no server is."""
    params = module.params
    if not params["key_file"] and not params["return_keys"]:
        raise VaultConfigurationError(
            "key_file is missing.", hint="Or set return_keys=true and keep the keys yourself."
        )
    file = KeyFile(params["key_file"]) if params["key_file"] else None
    stored = file.read() if file else None
    peers = ask_peers(module)
    result: dict[str, Any] = {"changed": False, "peers": [peer.summary() for peer in peers], "diff": []}
    if file:
        result["key_file"] = str(file.path)
    if not refuse_unsafe(peers, file, stored, params["key_file_required"]):
        return result
    first = peers[0]
    body = request_body(params, str(first.status.get("type") or "shamir"))
    header = f"cluster at {first.url}"
    result.update(
        changed=True,
        diff=[
            {
                "before_header": header,
                "before": {"initialized": False},
                "after_header": header,
                "after": {"initialized": True},
            }
        ],
    )
    if module.check_mode:
        return result
    if file:
        file.prepare()
    try:
        keys = initialise(first, body, file)
    finally:
        if file:
            file.discard()
    result["encrypted"] = keys["encrypted"]
    if params["return_keys"]:
        result.update(keys_base64=keys["keys_base64"], root_token=keys["root_token"])
    return result


def main() -> None:
    """Run the module."""
    run(
        {
            **PEERS_ARGUMENT,
            "key_file": {"type": "path", "no_log": False},
            "key_file_required": {"type": "bool", "default": True, "no_log": False},
            "return_keys": {"type": "bool", "default": False, "no_log": False},
            "secret_shares": {"type": "int", "default": 5, "no_log": False},
            "secret_threshold": {"type": "int", "default": 3, "no_log": False},
            "recovery_shares": {"type": "int"},
            "recovery_threshold": {"type": "int"},
            "pgp_keys": {"type": "list", "elements": "str", "no_log": False},
            "root_token_pgp_key": {"type": "str", "no_log": False},
        },
        reconcile,
    )


if __name__ == "__main__":
    main()
