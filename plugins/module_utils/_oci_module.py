# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Arguments that the registry modules share. Private: may change in any release."""

from __future__ import annotations

import os
import socket
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ._oci import Registry

REGISTRY_ARGUMENTS: dict[str, Any] = {
    "registries": {"type": "list", "elements": "str", "required": True},
    "ca_cert": {"type": "path"},
    "client_cert": {"type": "path"},
    "client_key": {"type": "path"},
    "timeout": {"type": "int", "default": 60},
    "plan_without_registry": {"type": "bool", "default": False},
}


class PlannedRegistry(Registry):
    """A registry that an earlier task of the same check run would have made: it has nothing yet."""

    def __init__(self, address: str) -> None:
        self.address = address

    def manifest_digest(self, repository: str, reference: str) -> str | None:
        """Return None: there is no manifest."""
        return None


def registries_of(module: AnsibleModule) -> list[Registry]:
    """Return a client for each address in the module's ``registries``."""
    addresses = module.params["registries"]
    if module.check_mode and module.params["plan_without_registry"] and _missing(module.params):
        module.warn("There is no registry yet: everything is reported as if it had to be pushed.")
        return [PlannedRegistry(address) for address in addresses]
    return [
        Registry(
            address,
            ca_cert=module.params["ca_cert"],
            client_cert=module.params["client_cert"],
            client_key=module.params["client_key"],
            timeout=module.params["timeout"],
        )
        for address in addresses
    ]


def _missing(params: dict[str, Any]) -> bool:
    """Return whether certificates for the registry do not exist, or no replica listens."""
    files = [params[name] for name in ("ca_cert", "client_cert", "client_key") if params[name]]
    return not all(os.path.exists(path) for path in files) or not any(map(_listens, params["registries"]))


def _listens(address: str) -> bool:
    host, _separator, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), 3):
            return True
    except OSError:
        return False
