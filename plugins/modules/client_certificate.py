#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sign a request of the controller with an authority of this host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: client_certificate
short_description: Keep a short-lived client certificate on the controller
version_added: 0.1.0
author:
  - onprem.platform contributors (@onprem-platform)
description:
  - Makes a private key on the controller, has its request signed by an authority whose key is on the managed host, and
    keeps both on the controller, as two files or inside a kubeconfig. The private key never leaves the controller.
  - Nothing happens while the present certificate is as wanted and has O(minimum_minutes) left.
  - This is an action with a module part; the module part only signs.
requirements:
  - cryptography (Python library) on the controller
  - openssl (command) on the host
extends_documentation_fragment:
  - onprem.platform.attributes
attributes:
  check_mode:
    support: full
    details: Says that a certificate would be issued, and writes nothing.
  diff_mode:
    support: none
    details: The files hold credentials.
  idempotent:
    support: full
    details: A certificate that is as wanted and has enough time left is kept.
options:
  common_name:
    description: Common name of the subject, for Kubernetes the user.
    type: str
    required: true
  organizations:
    description: Organizations of the subject, for Kubernetes the groups.
    type: list
    elements: str
    default: []
  validity_minutes:
    description: Lifetime of a new certificate.
    type: int
    default: 480
  minimum_minutes:
    description: A certificate with less time left is replaced.
    type: int
    default: 120
  authority_certificate_path:
    description: Certificate of the signing authority, on the host.
    type: path
    required: true
  authority_private_key_path:
    description: Private key of the signing authority, on the host.
    type: path
    required: true
  certificate_path:
    description: Where the certificate is kept on the controller (PEM, mode 0600).
    type: path
  private_key_path:
    description: Where the private key is kept on the controller (PEM, mode 0600).
    type: path
  kubeconfig_path:
    description: Keep key and certificate inside this kubeconfig on the controller (mode 0600) instead of in two files.
    type: path
  server:
    description: Address of the API server in the kubeconfig.
    type: str
  tls_server_name:
    description: Name by which the API server's certificate is verified.
    type: str
  cluster_name:
    description: Name of the cluster in the kubeconfig.
    type: str
    default: kubernetes
  authority_path:
    description: Keep the authority's certificate on the controller too (PEM, mode 0644).
    type: path
  request:
    description: Request to sign (PEM). Set by the action.
    type: str
seealso:
  - module: onprem.platform.platform_certificate
"""

EXAMPLES = r"""
- name: Keep a certificate for pushing into the registry
  onprem.platform.client_certificate:
    common_name: registry push
    authority_certificate_path: /etc/onprem-platform/pki/ca.crt
    authority_private_key_path: /etc/onprem-platform/pki/ca.key
    certificate_path: "{{ playbook_dir }}/.run/push.crt"
    private_key_path: "{{ playbook_dir }}/.run/push.key"

- name: Keep an administrator's kubeconfig for this run
  onprem.platform.client_certificate:
    common_name: onprem-platform
    organizations: [kubeadm:cluster-admins]
    authority_certificate_path: /etc/kubernetes/pki/ca.crt
    authority_private_key_path: /etc/kubernetes/pki/ca.key
    kubeconfig_path: "{{ playbook_dir }}/.run/kubeconfig"
    server: https://192.0.2.11:6443
    tls_server_name: api.platform.internal
"""

RETURN = r"""
reasons:
  description: Why a certificate was issued; empty when the present one is kept.
  returned: always
  type: list
  elements: str
not_after:
  description: End of the certificate's validity (UTC).
  returned: when there is a certificate
  type: str
"""

import datetime
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils import _certificate as certificate

ARGUMENTS = {
    "common_name": {"type": "str", "required": True},
    "organizations": {"type": "list", "elements": "str", "default": []},
    "validity_minutes": {"type": "int", "default": 480},
    "minimum_minutes": {"type": "int", "default": 120},
    "authority_certificate_path": {"type": "path", "required": True},
    "authority_private_key_path": {"type": "path", "required": True, "no_log": False},
    "certificate_path": {"type": "path"},
    "private_key_path": {"type": "path", "no_log": False},
    "kubeconfig_path": {"type": "path"},
    "server": {"type": "str"},
    "tls_server_name": {"type": "str"},
    "cluster_name": {"type": "str", "default": "kubernetes"},
    "authority_path": {"type": "path"},
    "request": {"type": "str"},
}


def sign(parameters: dict[str, Any]) -> dict[str, Any]:
    """Sign the request; returns certificate and authority as PEM. Raises CertificateError."""
    wanted = certificate.Wanted(
        common_name=parameters["common_name"],
        organizations=tuple(parameters["organizations"]),
        usages=("client",),
        validity=datetime.timedelta(minutes=parameters["validity_minutes"]),
    )
    authority = certificate.read(parameters["authority_certificate_path"])
    with certificate.private_directory("/run/onprem-platform") as directory:
        pem = certificate.issue(
            wanted,
            parameters["request"],
            parameters["authority_certificate_path"],
            parameters["authority_private_key_path"],
            directory,
            certificate.utc_now(),
        )
    issued = certificate.parse(pem)
    if issued.common_name != wanted.common_name or issued.organizations != tuple(sorted(wanted.organizations)):
        raise certificate.CertificateError("the request names another subject than the task")
    return {
        "certificate": pem,
        "authority": authority.pem if authority else "",
        "not_after": issued.public()["not_after"],
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        if not module.params["request"]:
            authority = certificate.read(module.params["authority_certificate_path"])
            module.exit_json(changed=False, authority=authority.pem if authority else "")
        if module.check_mode:
            module.exit_json(changed=True)
        module.exit_json(changed=True, **sign(module.params))
    except certificate.CertificateError as error:
        module.fail_json(msg=f"The client certificate '{module.params['common_name']}' cannot be issued: {error}.")


if __name__ == "__main__":
    main()
