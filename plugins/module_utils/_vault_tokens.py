# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Tokens by their accessors: finding those that should not live, and revoking them without seeing them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from ._vault import VaultClient
from ._vault_errors import VaultInvalidRequest, VaultMissingObject, VaultPermissionDenied, VaultTokenRejected
from ._vault_objects import Plan, plan_absent

KIND = "token"
_SHOWN = ("display_name", "path", "policies", "issue_time", "expire_time")


@dataclass(frozen=True)
class Wanted:
    """Which tokens are meant; None is no condition, and all conditions have to hold.

    policies: the token has one of them. display_names and paths: patterns, of which one matches the token's name or the
    path that issued it. older_than: seconds since it was issued.
    """

    policies: Sequence[str] | None = None
    display_names: Sequence[str] | None = None
    paths: Sequence[str] | None = None
    older_than: int | None = None

    def includes(self, token: Mapping[str, Any], now: float) -> bool:
        """Whether a token, as Vault describes it, is meant at this time (seconds since 1970)."""
        named = ((self.display_names, "display_name"), (self.paths, "path"))
        return (
            (self.policies is None or bool(policies_of(token) & set(self.policies)))
            and all(
                patterns is None or any(fnmatchcase(token.get(key) or "", pattern) for pattern in patterns)
                for patterns, key in named
            )
            and (self.older_than is None or now - token["creation_time"] > self.older_than)
        )


def policies_of(token: Mapping[str, Any]) -> set[str]:
    """Return the policies that a token has itself or by its entity."""
    return {*(token.get("policies") or []), *(token.get("identity_policies") or [])}


def own_token(client: VaultClient) -> dict[str, Any] | None:
    """Return what Vault knows about the client's token, or None when it is dead."""
    try:
        return client.read("auth/token/lookup-self")
    except (VaultTokenRejected, VaultPermissionDenied):
        return None


def living_tokens(client: VaultClient, *except_accessors: str) -> Iterator[dict[str, Any]]:
    """Ask for all tokens that have an accessor, besides some; batch tokens have none.

    Raises VaultPermissionDenied when the client may not list or look up.
    """
    for accessor in client.request("LIST", "auth/token/accessors")["data"]["keys"]:
        if accessor in except_accessors:
            continue
        try:
            answer = client.write("auth/token/lookup-accessor", {"accessor": accessor})
        except VaultMissingObject:
            continue
        except VaultInvalidRequest as error:
            if "invalid accessor" not in error.message:
                raise
            continue  # it expired in between
        yield answer["data"]


def revoke_token(client: VaultClient, accessor: str) -> None:
    """Revoke a token and its children; one that is gone already is no error."""
    client.write("auth/token/revoke-accessor", {"accessor": accessor})


def plan_revocation(client: VaultClient, token: Mapping[str, Any]) -> Plan:
    """Return what is to be done to revoke a living token."""
    accessor = str(token["accessor"])
    shown = {key: token.get(key) for key in _SHOWN} | {"policies": sorted(policies_of(token))}
    plan = plan_absent(accessor, token, shown, lambda: revoke_token(client, accessor))
    plan.result = shown
    return plan
