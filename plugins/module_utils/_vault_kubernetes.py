# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""The Kubernetes auth method: its configuration and its roles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ._compare import (
    HIDDEN_NEW,
    Difference,
    Field,
    boolean,
    compare,
    pem,
    pem_set,
    structured,
    unordered,
)
from ._vault import VaultClient
from ._vault_errors import VaultConfigurationError, VaultUnsupported
from ._vault_objects import Plan, plan_absent, plan_present
from ._vault_token_fields import TOKEN_FIELDS, TOKEN_OPTIONS

AUTH_PATH: dict[str, Any] = {"type": "str", "default": "kubernetes", "aliases": ["engine_mount_point"]}
CONFIG_KIND, ROLE_KIND = "kubernetes auth configuration", "kubernetes role"
JWT, ANNOTATIONS = "token_reviewer_jwt", "use_annotations_as_alias_metadata"
AUTH_CONFIG_ARGUMENTS: dict[str, Any] = {
    "auth_path": AUTH_PATH,
    "kubernetes_host": {"type": "str"},
    "kubernetes_ca_cert": {"type": "str"},
    JWT: {"type": "str", "no_log": True},
    "update_jwt": {"type": "str", "choices": ["on_create", "always"], "default": "on_create"},
    "pem_keys": {"type": "list", "elements": "str", "no_log": False},
    "issuer": {"type": "str"},
    "disable_iss_validation": {"type": "bool"},
    "disable_local_ca_jwt": {"type": "bool"},
    ANNOTATIONS: {"type": "bool"},
}
_CONFIG_FIELDS = (
    Field("kubernetes_host"),
    Field("kubernetes_ca_cert", pem),
    Field("pem_keys", pem_set),
    Field("issuer", absent=""),
    Field("disable_iss_validation", boolean, absent=True),
    Field("disable_local_ca_jwt", boolean),
    Field(ANNOTATIONS, boolean),
)


def _compare_jwt(params: Mapping[str, Any], current: Mapping[str, Any] | None, difference: Difference) -> None:
    """Add the reviewer token to the difference where it has to be sent or dropped.

    Raises VaultConfigurationError when a write would drop a stored token that nobody gave.
    """
    wanted = params[JWT]
    stored = current.get(f"{JWT}_set") if current else False
    if wanted is None:
        if difference and current is not None and stored is not False:
            known = "stores" if stored else "does not tell whether it stores"
            raise VaultConfigurationError(
                f"Vault {known} a reviewer token, and changing {', '.join(difference.changed)} would drop it.",
                hint=f"Give {JWT}, or an empty text to drop it.",
            )
        return
    differs = bool(wanted) != bool(stored) if stored is not None else bool(wanted)
    if stored is None and current is not None and params["update_jwt"] == "on_create":
        differs = False
    if differs or (wanted and params["update_jwt"] == "always"):
        difference.changed.append(JWT)
        difference.before[JWT] = "(set)" if stored else "(not set)"
        difference.after[JWT] = HIDDEN_NEW if wanted else "(not set)"


def _check_annotations(params: Mapping[str, Any], stored: Mapping[str, Any], path: str) -> None:
    """Raise VaultUnsupported when annotations are wanted of a server that drops this option without a word."""
    if params[ANNOTATIONS] and ANNOTATIONS not in stored:
        raise VaultUnsupported(
            f"This server does not know {ANNOTATIONS}.", hint="Vault 1.16 and later do; OpenBao does not.", path=path
        )


def plan_auth_config(client: VaultClient, params: Mapping[str, Any]) -> Plan:
    """Return what is to be done about the configuration of one auth method."""
    auth_path = params["auth_path"].strip("/")
    path = f"auth/{auth_path}/config"
    current = client.read(path)
    if current is None and not params["kubernetes_host"]:
        raise VaultConfigurationError("The first configuration needs kubernetes_host.")
    if current is not None:
        _check_annotations(params, current, path)
    difference = compare(_CONFIG_FIELDS, params, current)
    _compare_jwt(params, current, difference)
    body: dict[str, Any] = {}
    for field in _CONFIG_FIELDS:
        value = params[field.name]
        if value is None and current is not None:
            value = current.get(field.name)
        if value is not None:
            body[field.name] = value
    if params[JWT]:
        body[JWT] = params[JWT]

    def write() -> None:
        client.write(path, body)
        if current is None and params[ANNOTATIONS]:
            _check_annotations(params, client.read(path) or {}, path)

    return plan_present(auth_path, current, difference, write)


SELECTOR = "bound_service_account_namespace_selector"
ROLE_OPTIONS: dict[str, Any] = {
    "name": {"type": "str"},
    "bound_service_account_names": {"type": "list", "elements": "str"},
    "bound_service_account_namespaces": {"type": "list", "elements": "str"},
    SELECTOR: {"type": "str"},
    "audience": {"type": "str"},
    "alias_name_source": {"type": "str", "choices": ["serviceaccount_uid", "serviceaccount_name"]},
    **TOKEN_OPTIONS,
}
_ROLE_FIELDS = (
    Field("bound_service_account_names", unordered),
    Field("bound_service_account_namespaces", unordered),
    Field(SELECTOR, structured),
    Field("audience", absent=""),
    Field("alias_name_source", absent="serviceaccount_uid"),
    *TOKEN_FIELDS,
)


def plan_role(client: VaultClient, item: Mapping[str, Any]) -> Plan:
    """Return what is to be done about one role."""
    name = item["name"].lower()
    path = f"auth/{item['auth_path'].strip('/')}/role/{name}"
    current = client.read(path)
    if item["state"] == "absent":
        return plan_absent(name, current, current, lambda: client.delete(path))
    if current is None and not item["bound_service_account_names"]:
        raise VaultConfigurationError(f"role {name}: a new role needs bound_service_account_names.")
    difference = compare(_ROLE_FIELDS, item, current)
    body = dict(difference.body)
    if current and current.get(SELECTOR):
        # some servers drop the selector when an update leaves it out
        body.setdefault(SELECTOR, current[SELECTOR])
    return plan_present(name, current, difference, lambda: client.write(path, body))
