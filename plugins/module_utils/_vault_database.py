# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Connections of the database secrets engine: reading them, checking their addresses, and their rotation mark."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ._compare import HIDDEN
from ._vault import VaultClient
from ._vault_errors import VaultConfigurationError

# Vault does not tell whether a root password was ever rotated. It keeps unknown connection details untouched, so the
# time of the rotation is kept in the connection itself and disappears with it.
ROTATED_AT = "onprem_platform_root_rotated_at"
ENGINE_MOUNT_POINT: dict[str, Any] = {"type": "str", "default": "database", "aliases": ["mount_path"]}

_USERNAME, _PASSWORD = "{{username}}", "{{password}}"
_SPACED = re.compile(r"\{\{\s+(?:username|password)|(?:username|password)\s+\}\}")
_URL_CREDENTIALS = re.compile(r"^(?:[a-zA-Z][\w+.-]*://)?(?P<user>[^:/@\s]*):(?P<password>.*)@")
_KEYWORD_PASSWORD = re.compile(r"\bpassword=(?!\{\{password\}\})", re.IGNORECASE)

# Details that tell no secret. What else a plugin keeps there is hidden, because Vault returns all but two names.
_PUBLIC_DETAILS = (
    "username",
    "username_template",
    "max_open_connections",
    "max_idle_connections",
    "max_connection_lifetime",
    "password_authentication",
    "auth_type",
    "disable_escaping",
    "tls_ca",
    "tls_server_name",
    "tls_skip_verify",
)


def check_connection_url(url: str, username: str | None) -> None:
    """Raise VaultConfigurationError when the address holds credentials, or cannot take those that Vault fills in."""
    hint = "Write {{username}} and {{password}} in it, marked !unsafe in YAML."
    if _SPACED.search(url):
        raise VaultConfigurationError("connection_url: Vault knows {{username}} and {{password}} without spaces only.")
    credentials = _URL_CREDENTIALS.match(url)
    literal = (credentials and credentials["password"] != _PASSWORD) or _KEYWORD_PASSWORD.search(url)
    if literal:
        raise VaultConfigurationError("connection_url holds a password of its own.", hint=hint)
    if username and not (_USERNAME in url and _PASSWORD in url):
        raise VaultConfigurationError("connection_url has no place for the credentials.", hint=hint)


def read_connection(client: VaultClient, mount: str, name: str) -> dict[str, Any] | None:
    """Return a connection with its details on one level, or None."""
    current = client.read(f"{mount}/config/{name}")
    if current is None:
        return None
    details = current.get("connection_details") or {}
    return {**{key: value for key, value in current.items() if key != "connection_details"}, **details}


def public_connection(name: str, connection: Mapping[str, Any]) -> dict[str, Any]:
    """Return what may be told about a connection: no password, not even one that somebody wrote into its address."""
    details = dict(connection.get("connection_details") or {})
    url = str(details.pop("connection_url", ""))
    rotated_at = str(details.pop(ROTATED_AT, ""))
    try:
        check_connection_url(url, None)
    except VaultConfigurationError:
        url = HIDDEN
    return {
        "name": name,
        "plugin_name": connection.get("plugin_name"),
        "plugin_version": connection.get("plugin_version") or "",
        "allowed_roles": connection.get("allowed_roles") or [],
        "connection_url": url,
        "root_rotation_statements": connection.get("root_credentials_rotate_statements") or [],
        "password_policy": connection.get("password_policy") or "",
        "root_rotated_at": rotated_at,
        "details": {key: value if key in _PUBLIC_DETAILS else HIDDEN for key, value in details.items()},
    }
