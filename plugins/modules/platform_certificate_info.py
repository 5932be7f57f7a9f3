#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read certificates of a host and say whether their private keys are there."""

from __future__ import annotations

DOCUMENTATION = r"""
module: platform_certificate_info
short_description: Read certificates of a host and say whether their private keys are there
version_added: 0.1.0
author:
  - onprem.platform contributors (@onprem-platform)
description:
  - Reads any number of certificates in one call.
  - A private key is only compared with its certificate; it is never returned.
requirements:
  - openssl (command) on the host
extends_documentation_fragment:
  - onprem.platform.attributes
  - onprem.platform.attributes.info
options:
  certificates:
    description: The certificates to read.
    type: list
    elements: dict
    required: true
    suboptions:
      certificate_path:
        description: Path of the certificate (PEM).
        type: path
        required: true
      private_key_path:
        description: Path of the private key (PEM) that should belong to it.
        type: path
seealso:
  - module: onprem.platform.platform_certificate
"""

EXAMPLES = r"""
- name: Read the platform CA and the registry's certificate
  onprem.platform.platform_certificate_info:
    certificates:
      - certificate_path: /etc/onprem-platform/pki/ca.crt
        private_key_path: /etc/onprem-platform/pki/ca.key
      - certificate_path: /etc/onprem-platform/registry/tls.crt
  register: certificates
"""

RETURN = r"""
certificates:
  description: One entry per certificate asked for, in the same order.
  returned: always
  type: list
  elements: dict
  contains:
    certificate_path: {description: The path asked for., type: str}
    exists: {description: Whether there is a certificate., type: bool}
    certificate: {description: The certificate as PEM; empty when there is none., type: str}
    private_key: {description: 'V(absent), V(matches) or V(differs); V(unknown) when no path was given.', type: str}
    public_key: {description: Public key as PEM; empty when there is no certificate., type: str}
    fingerprint: {description: SHA-256 of the DER form in hexadecimal., type: str}
    subject: {description: Subject (RFC 2253)., type: str}
    issuer: {description: Issuer (RFC 2253)., type: str}
    common_name: {description: Common name of the subject., type: str}
    dns_names: {description: DNS names., type: list, elements: str}
    ip_addresses: {description: IP addresses., type: list, elements: str}
    usages: {description: V(server) and V(client)., type: list, elements: str}
    authority: {description: Whether it may sign others., type: bool}
    not_before: {description: Start of its validity (UTC)., type: str}
    not_after: {description: End of its validity (UTC)., type: str}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils import _certificate as certificate

ENTRY = {
    "certificate_path": {"type": "path", "required": True},
    "private_key_path": {"type": "path", "no_log": False},
}


def describe(certificate_path: str, private_key_path: str | None) -> dict[str, Any]:
    """One entry of the result."""
    present = certificate.read(certificate_path)
    entry: dict[str, Any] = {
        "certificate_path": certificate_path,
        "exists": present is not None,
        "certificate": present.pem if present else "",
        "public_key": present.public_key if present else "",
        "private_key": "unknown",
    }
    if private_key_path is not None:
        key = certificate.public_key_of(private_key_path)
        entry["private_key"] = "absent" if key is None else "matches" if key == entry["public_key"] else "differs"
    return {**entry, **(present.public() if present else {})}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "certificates": {"type": "list", "elements": "dict", "required": True, "options": ENTRY, "no_log": False}
        },
        supports_check_mode=True,
    )
    try:
        found = [describe(**entry) for entry in module.params["certificates"]]
    except certificate.CertificateError as error:
        module.fail_json(msg=f"A certificate cannot be read: {error}.")
    module.exit_json(changed=False, certificates=found)


if __name__ == "__main__":
    main()
