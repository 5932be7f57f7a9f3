# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Errors of a Vault server, told apart by what an operator has to do about them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

# Paths that need the sudo capability besides the usual one (Vault documentation, "Root-protected API endpoints").
_SUDO_PATHS = (
    "sys/audit",
    "sys/auth",
    "sys/config/auditing",
    "sys/leases/lookup/",
    "sys/leases/revoke-force",
    "sys/leases/revoke-prefix",
    "sys/raw",
    "sys/remount",
    "sys/rotate",
    "sys/seal",
    "sys/step-down",
    "auth/token/accessors",
    "auth/token/revoke-orphan",
)
_CAPABILITY = {"GET": "read", "LIST": "list", "POST": "create or update", "PUT": "create or update"}
LOST_THE_LEAD = "node is not the leader"
_NO_LEADER = (
    "active cluster node not found",
    "no active node",
    "not an active node",
    "raft: no leader",
    LOST_THE_LEAD,
)


class VaultError(Exception):
    """Anything that went wrong with Vault.

    message: one sentence with the cause. hint: what to do. kind: a stable word that playbooks may branch on.
    status: the HTTP status, if there was an answer. path: the API path without ``/v1/``.
    """

    kind = "error"
    retryable = False
    patience = 1.0  # factor for the waits between repetitions

    def __init__(self, message: str, *, hint: str = "", path: str = "", status: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.path = path
        self.status = status

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()

    def result(self) -> dict[str, Any]:
        """Return the keywords for ``fail_json``."""
        failure: dict[str, Any] = {"kind": self.kind, "message": self.message, "hint": self.hint, "path": self.path}
        if self.status is not None:
            failure["status"] = self.status
        return {"msg": str(self), "failure": failure}


class VaultConfigurationError(VaultError):
    """A parameter is missing, contradicts another or cannot be used."""

    kind = "configuration"


class VaultConnectionError(VaultError):
    """No answer came. ``sent`` tells whether the server may have seen the request."""

    kind = "connection"
    retryable = True

    def __init__(self, message: str, *, sent: bool = False, hint: str = "", path: str = "") -> None:
        super().__init__(message, hint=hint, path=path)
        self.sent = sent


class VaultTLSError(VaultError):
    """The server's certificate was not accepted, or ours was not."""

    kind = "tls"


class VaultSealed(VaultError):
    """The server is sealed."""

    kind = "sealed"


class VaultUninitialised(VaultError):
    """The server was never initialised, or has not joined its cluster yet."""

    kind = "uninitialised"


class VaultKeysLost(VaultError):
    """The servers are initialised, but nobody holds the keys of their seal."""

    kind = "keys_lost"


class VaultStandby(VaultError):
    """The server is a standby and no active node answered for it."""

    kind = "standby"
    retryable = True
    patience = 2.5  # an election takes longer than a lost packet


class VaultPermissionDenied(VaultError):
    """The token may not do this. ``capability`` is what the path needs."""

    kind = "permission_denied"

    def __init__(self, message: str, *, capability: str, hint: str = "", path: str = "") -> None:
        super().__init__(message, hint=hint, path=path, status=403)
        self.capability = capability

    def result(self) -> dict[str, Any]:
        result = super().result()
        result["failure"]["capability"] = self.capability
        return result


class VaultTokenRejected(VaultError):
    """The token is unknown to Vault: revoked, expired, or of another cluster."""

    kind = "token_rejected"


class VaultLoginFailed(VaultError):
    """The authentication method refused the credentials."""

    kind = "login_failed"


class VaultMissingMount(VaultError):
    """No secrets engine or auth method is mounted at the path."""

    kind = "missing_mount"


class VaultMissingObject(VaultError):
    """The mount exists, the object does not."""

    kind = "missing_object"


class VaultUnsupported(VaultError):
    """This server does not have the endpoint or the operation."""

    kind = "unsupported"


class VaultInvalidRequest(VaultError):
    """Vault refused the request as wrong (400)."""

    kind = "invalid_request"


class VaultConflict(VaultInvalidRequest):
    """A check-and-set did not match, or the path is taken."""

    kind = "conflict"


class VaultUnavailable(VaultError):
    """The server answers, but not now: rate limit, gateway, upgrade in progress."""

    kind = "unavailable"
    retryable = True


class VaultServerError(VaultError):
    """The server failed (500), or its answer is not what the API promises."""

    kind = "server_error"


def required_capability(method: str, path: str) -> str:
    """Return the capability, in the words of Vault's policies, that a request needs."""
    capability = _CAPABILITY.get(method.upper(), method.lower())
    return f"{capability} and sudo" if path.startswith(_SUDO_PATHS) else capability


def error_from_answer(method: str, path: str, status: int, errors: Sequence[str]) -> VaultError:
    """Return the error that an HTTP status and Vault's list of error texts mean.

    A 403 becomes ``VaultPermissionDenied`` and a 503 ``VaultSealed``; the client looks closer at these two.
    """
    said = "; ".join(" ".join(error.split()) for error in errors)
    lower = said.lower()
    told = f"Vault answered {status} to {method} {path}" + (f": {said}" if said else "")
    where: dict[str, Any] = {"path": path, "status": status}
    if any(words in lower for words in _NO_LEADER) or status in (472, 473):
        return VaultStandby(f"{told}: no active node answers.", hint="Check that a majority is unsealed.", **where)
    if status == 400:
        if "upgrading from non-versioned" in lower or "waiting for the primary" in lower:
            return VaultUnavailable(told, **where)
        if "check-and-set" in lower or "already in use" in lower:
            return VaultConflict(told, **where)
        return VaultInvalidRequest(told, **where)
    if status == 401 or status == 403:
        return VaultPermissionDenied(told, capability=required_capability(method, path), path=path)
    if status == 404:
        if "no handler for route" in lower:
            return VaultMissingMount(
                f"Nothing is mounted at {path}.", hint="Enable the engine or the auth method there first.", **where
            )
        if "unsupported path" in lower:
            return VaultUnsupported(told, hint="This server or this kind of mount has no such endpoint.", **where)
        return VaultMissingObject(f"There is no {path}.", **where)
    if status == 405:
        return VaultUnsupported(told, **where)
    if status == 409:
        return VaultConflict(told, **where)
    if status in (412, 429, 502, 504):
        return VaultUnavailable(told, **where)
    if status == 501:
        return VaultUninitialised("Vault is not initialised.", hint="Run vault_init first.", **where)
    if status == 503:
        if "sealed" in lower or not said:
            return VaultSealed("Vault is sealed.", hint="Run vault_unseal first.", **where)
        return VaultUnavailable(told, **where)
    return VaultServerError(told, **where)
