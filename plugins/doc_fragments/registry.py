# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of the modules that write to container registries."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation fragment ``onprem.platform.registry``."""

    DOCUMENTATION = r"""
options:
  registries:
    description:
      - Addresses V(host:port) of the registry's replicas. All get the same content.
      - Blobs and manifests go to every replica before any tag moves.
    type: list
    elements: str
    required: true
  ca_cert:
    description: PEM file of the authority that issued the registries' certificates; the system's authorities if unset.
    type: path
  client_cert:
    description: PEM file of the client certificate that allows pushing.
    type: path
  client_key:
    description: PEM file of the key of O(client_cert).
    type: path
  timeout:
    description: Seconds for each request.
    type: int
    default: 60
  plan_without_registry:
    description:
      - In check mode, report everything as to be pushed when a certificate file does not exist or no replica listens,
        instead of failing. For check runs of playbooks that make the registry first.
    type: bool
    default: false
requirements:
  - urllib3 >= 2 (on the host that executes the module, usually the controller)
"""
