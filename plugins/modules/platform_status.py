#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: platform_status
version_added: 0.1.0
short_description: Say how the platform is
author: onprem.platform contributors (@onprem-platform)
description:
  - Reads nodes, Flux objects, Vault's seal, applications, pods, alerts, targets, certificates, backups and versions at
    the same time, and shows them as one table.
  - A part that cannot be read is shown as unreachable and does not keep the others from being shown.
options:
  parts:
    description: What to look at.
    type: list
    elements: str
    choices: [nodes, flux, vault, application, pods, alerts, targets, certificates, backups, versions]
    default: [nodes, flux, vault, application, pods, alerts, targets, certificates, backups, versions]
  require_healthy:
    description: Whether the task fails when a part is not healthy or unreachable.
    type: bool
    default: false
  vault_namespace:
    description: Namespace of Vault's pods.
    type: str
    default: vault
  vault_selector:
    description: Labels of Vault's pods.
    type: str
    default: app.kubernetes.io/name=vault
  vault_port:
    description: Port of Vault's pods.
    type: int
    default: 8200
  vault_server_name:
    description: Name in the certificate of Vault's servers.
    type: str
    default: vault.vault.svc
  vault_ca_cert:
    description: File with the authority of Vault's certificate. The default are the system's.
    type: path
  application_selector:
    description: Labels of the pods that answer C(/healthz) of an application; one is asked per namespace.
    type: str
    default: app.kubernetes.io/component=nginx
  application_port:
    description: Port of these pods.
    type: int
    default: 8080
  certificate_days:
    description: A certificate that ends within this many days is not healthy.
    type: int
    default: 14
extends_documentation_fragment:
  - onprem.platform.kubernetes
  - onprem.platform.endpoint
  - onprem.platform.attributes
  - onprem.platform.attributes.info
  - onprem.platform.attributes.k8s
seealso:
  - module: onprem.platform.flux_info
  - module: onprem.platform.vault_seal_info
"""

EXAMPLES = r"""
- name: Look at the platform
  onprem.platform.platform_status:
    prometheus:
      url: http://prometheus:9090
      kubernetes_port_forward: {namespace: observability, selector: app.kubernetes.io/name=prometheus}
    request_timeout: 10
    retry_timeout: 5
  register: status

- name: Show the table
  ansible.builtin.debug:
    msg: "{{ status.table }}"
"""

RETURN = r"""
healthy:
  description: Whether every part is healthy.
  returned: always, unless the options are wrong
  type: bool
  sample: true
parts:
  description: The parts, in the order in which they were asked for.
  returned: as RV(healthy)
  type: list
  elements: dict
  contains:
    part:
      description: Name of the part.
      type: str
      sample: nodes
    state:
      description: V(healthy), V(unhealthy) or V(unreachable).
      type: str
      sample: healthy
    summary:
      description: The part in a few words.
      type: str
      sample: 6 of 6 ready
    details:
      description: One line for each thing that is wrong.
      type: list
      elements: str
      sample: []
table:
  description: The parts as lines of text. C(!) marks what is not healthy, C(?) what is unreachable.
  returned: as RV(healthy)
  type: list
  elements: str
  sample: ["  nodes  6 of 6 ready"]
failure:
  description: Code, reason and message of the error.
  returned: failure
  type: dict
  contains:
    code:
      description: Always 0.
      type: int
      sample: 0
    reason:
      description: The machine-readable word for the error.
      type: str
      sample: Unhealthy
    message:
      description: The error's message.
      type: str
      sample: "Not healthy: alerts, vault"
"""

from typing import Any

from ..module_utils._http_endpoint import ENDPOINT_OPTIONS
from ..module_utils._kube_errors import KubeError
from ..module_utils._kube_module import KubeModule
from ..module_utils._monitoring import Prometheus
from ..module_utils._platform_status import HEALTHY, PARTS, StatusReader, Wanted, table

ARGUMENTS: dict[str, Any] = {
    "parts": {"type": "list", "elements": "str", "choices": list(PARTS), "default": list(PARTS)},
    "require_healthy": {"type": "bool", "default": False},
    "prometheus": {"type": "dict", "options": ENDPOINT_OPTIONS, "required": True},
    "vault_namespace": {"type": "str", "default": "vault"},
    "vault_selector": {"type": "str", "default": "app.kubernetes.io/name=vault"},
    "vault_port": {"type": "int", "default": 8200},
    "vault_server_name": {"type": "str", "default": "vault.vault.svc"},
    "vault_ca_cert": {"type": "path"},
    "application_selector": {"type": "str", "default": "app.kubernetes.io/component=nginx"},
    "application_port": {"type": "int", "default": 8080},
    "certificate_days": {"type": "int", "default": 14},
}


class UnhealthyError(KubeError):
    """A part is not healthy, and the user wants to hear of that by a failure."""


def work(module: KubeModule) -> dict[str, Any]:
    """Read all parts; raises KubeError for options that cannot be used."""
    params = module.params
    client = module.client
    wanted = Wanted(
        vault={name: params[f"vault_{name}"] for name in ("namespace", "selector", "port", "server_name", "ca_cert")},
        application_selector=params["application_selector"],
        application_port=params["application_port"],
        certificate_days=params["certificate_days"],
        timeout=params["request_timeout"],
    )
    prometheus = Prometheus("prometheus", params["prometheus"], lambda: client, params["request_timeout"])
    parts = StatusReader(client, prometheus, wanted).read(tuple(params["parts"]))
    troubled = [part.name for part in parts if part.state != HEALTHY]
    result = {"healthy": not troubled, "parts": [part.as_dict() for part in parts], "table": table(parts)}
    if troubled and params["require_healthy"]:
        message = "\n".join([f"Not healthy: {', '.join(troubled)}", *table(parts)])
        module.fail(UnhealthyError(message), **result)
    return {"changed": False, **result}


def main() -> None:
    """Entry point of the module."""
    KubeModule(argument_spec=ARGUMENTS).run(work)


if __name__ == "__main__":
    main()
