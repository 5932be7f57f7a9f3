# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt)
# SPDX-License-Identifier: BSD-2-Clause
"""Arguments that the registry modules share. Private: may change in any release."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ._oci import Registry

REGISTRY_ARGUMENTS: dict[str, Any] = {
    "registries": {"type": "list", "elements": "str", "required": True},
    "ca_cert": {"type": "path"},
    "client_cert": {"type": "path"},
    "client_key": {"type": "path"},
    "timeout": {"type": "int", "default": 60},
}


def registries_of(module: AnsibleModule) -> list[Registry]:
    """Return a client for each address in the module's ``registries``."""
    return [
        Registry(
            address,
            ca_cert=module.params["ca_cert"],
            client_cert=module.params["client_cert"],
            client_key=module.params["client_key"],
            timeout=module.params["timeout"],
        )
        for address in module.params["registries"]
    ]
