#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell whether this control plane's API server works with its encryption configuration."""

from __future__ import annotations

DOCUMENTATION = r"""
module: encryption_key_info
short_description: Tell whether this control plane's API server works with its encryption configuration
version_added: 0.1.0
author:
  - onprem.platform contributors (@onprem-platform)
description:
  - Compares the checksum of the file with the one that the API server of this host says it has loaded
    (C(apiserver_encryption_config_controller_last_config_info), Kubernetes 1.34 and later), and can wait until both
    are equal and the server is ready.
  - With C(--encryption-provider-config-automatic-reload=true) a server looks at the file once a minute, so it needs no
    restart.
  - Keys are not read into the result.
extends_documentation_fragment:
  - onprem.platform.attributes
  - onprem.platform.attributes.info
options:
  advertise_address:
    description: Address at which this host's own API server listens.
    type: str
    required: true
  bind_port:
    description: Port of this host's own API server.
    type: int
    default: 6443
  path:
    description: The API server's encryption configuration.
    type: path
    default: /etc/kubernetes/platform/encryption.yaml
  wait_timeout:
    description: Seconds to wait until the API server works with the file, and fail otherwise; V(0) only looks.
    type: int
    default: 0
  kubernetes_directory:
    description: Directory of kubeadm's files.
    type: path
    default: /etc/kubernetes
seealso:
  - module: onprem.platform.encrypted_objects
"""

EXAMPLES = r"""
- name: Wait until the API server works with the file
  onprem.platform.encryption_key_info:
    advertise_address: 192.0.2.11
    wait_timeout: 180
"""

RETURN = r"""
sha256:
  description: SHA-256 of the file.
  returned: success
  type: str
modified:
  description: Time of the file's last change, seconds since 1970.
  returned: success
  type: float
loaded_sha256:
  description: SHA-256 of what the API server works with; empty when it does not say.
  returned: success
  type: str
loaded:
  description: Whether both are equal.
  returned: success
  type: bool
api_addresses:
  description: Addresses of all API servers that the cluster knows.
  returned: success
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils import _encryption as encryption
from ..module_utils._kubeadm_api import KubeadmError, KubernetesApi


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "advertise_address": {"type": "str", "required": True},
            "bind_port": {"type": "int", "default": 6443},
            "path": {"type": "path", "default": "/etc/kubernetes/platform/encryption.yaml"},
            "wait_timeout": {"type": "int", "default": 0},
            "kubernetes_directory": {"type": "path", "default": "/etc/kubernetes"},
        },
        supports_check_mode=True,
    )
    given = module.params
    place = (given["kubernetes_directory"], given["advertise_address"], given["bind_port"])

    def connect() -> KubernetesApi:
        return encryption.own_server(*place)

    try:
        wanted, modified = encryption.file_state(given["path"])
        found = encryption.wait_until_loaded(connect, wanted, given["wait_timeout"])
        if given["wait_timeout"] and found != wanted:
            raise KubeadmError(
                f"the API server of {given['advertise_address']} has not loaded {given['path']} in "
                f"{given['wait_timeout']} s. It has to run with --encryption-provider-config={given['path']} and "
                "--encryption-provider-config-automatic-reload=true, and be of Kubernetes 1.34 or later; its messages "
                "say why a file is refused. Nothing is lost: every server still has the keys that it needs."
            )
        addresses = encryption.api_addresses(encryption.own_server(*place, seconds=given["wait_timeout"]))
    except KubeadmError as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=False,
        sha256=wanted,
        modified=modified,
        loaded_sha256=found,
        loaded=found == wanted,
        api_addresses=addresses,
    )


if __name__ == "__main__":
    main()
