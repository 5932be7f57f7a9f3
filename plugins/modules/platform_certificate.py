#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep a private key and its certificate on a host as wanted."""

from __future__ import annotations

DOCUMENTATION = r"""
module: platform_certificate
short_description: Keep a private key and its certificate on a host as wanted
version_added: 0.1.0
author:
  - onprem.platform contributors (@onprem-platform)
description:
  - Reads the certificate that is there, compares its names, usages, issuer, key and remaining time with what is
    wanted, and issues a new one only when they differ or less than a third of the lifetime is left.
  - The certificate is signed by an authority whose key is on the same host, or by itself (O(authority=true)).
  - Files are replaced in one step; a key that still fits is kept.
requirements:
  - openssl (command) on the host
extends_documentation_fragment:
  - onprem.platform.attributes
attributes:
  check_mode:
    support: full
    details: Says what would be issued and why, and writes nothing.
  diff_mode:
    support: full
    details: Shows names, usages and times; never a key.
  idempotent:
    support: full
    details: Nothing is written while the certificate is as wanted and young enough.
options:
  certificate_path:
    description: Where the certificate is (PEM, mode 0644).
    type: path
    required: true
  private_key_path:
    description: Where the private key is (PEM, PKCS 8, mode 0600).
    type: path
    required: true
  common_name:
    description: Common name of the subject.
    type: str
    required: true
  organizations:
    description: Organizations of the subject.
    type: list
    elements: str
    default: []
  dns_names:
    description: DNS names that the certificate is valid for.
    type: list
    elements: str
    default: []
  ip_addresses:
    description: IP addresses that the certificate is valid for.
    type: list
    elements: str
    default: []
  usages:
    description: What the key may be used for. Ignored for an authority.
    type: list
    elements: str
    choices: [server, client]
    default: [server]
  validity_hours:
    description: Lifetime of a new certificate; never beyond the end of its authority.
    type: int
    default: 8760
  algorithm:
    description: Kind of a new private key.
    type: str
    choices: [ecdsa-p256, ecdsa-p384]
    default: ecdsa-p256
  authority:
    description: Make a self-signed authority instead of a certificate signed by one.
    type: bool
    default: false
  authority_certificate_path:
    description: Certificate of the signing authority. Required unless O(authority=true).
    type: path
  authority_private_key_path:
    description: Private key of the signing authority. Required unless O(authority=true).
    type: path
  owner:
    description: User that owns both files. A new file belongs to root when this is not set.
    type: str
  group:
    description: Group of both files.
    type: str
seealso:
  - module: onprem.platform.platform_certificate_info
  - module: onprem.platform.client_certificate
"""

EXAMPLES = r"""
- name: Make a certificate authority
  onprem.platform.platform_certificate:
    authority: true
    common_name: onprem platform CA
    certificate_path: /etc/onprem-platform/pki/ca.crt
    private_key_path: /etc/onprem-platform/pki/ca.key
    validity_hours: 87600

- name: Issue the registry's server certificate
  onprem.platform.platform_certificate:
    common_name: registry.platform.internal
    dns_names: [registry.platform.internal]
    ip_addresses: [192.0.2.11]
    certificate_path: /etc/onprem-platform/registry/tls.crt
    private_key_path: /etc/onprem-platform/registry/tls.key
    authority_certificate_path: /etc/onprem-platform/pki/ca.crt
    authority_private_key_path: /etc/onprem-platform/pki/ca.key
  register: registry_certificate
"""

RETURN = r"""
certificate:
  description: The certificate, PEM. Absent in check mode when one would be issued.
  returned: when the host has it
  type: str
reasons:
  description: Why a certificate was issued; empty when the present one does.
  returned: always
  type: list
  elements: str
details:
  description: What the certificate says.
  returned: when the host has it
  type: dict
  contains:
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

import datetime
import os
import shutil
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils import _certificate as certificate

ARGUMENTS = {
    "certificate_path": {"type": "path", "required": True},
    "private_key_path": {"type": "path", "required": True, "no_log": False},
    "common_name": {"type": "str", "required": True},
    "organizations": {"type": "list", "elements": "str", "default": []},
    "dns_names": {"type": "list", "elements": "str", "default": []},
    "ip_addresses": {"type": "list", "elements": "str", "default": []},
    "usages": {"type": "list", "elements": "str", "choices": ["server", "client"], "default": ["server"]},
    "validity_hours": {"type": "int", "default": 8760},
    "algorithm": {"type": "str", "choices": ["ecdsa-p256", "ecdsa-p384"], "default": "ecdsa-p256"},
    "authority": {"type": "bool", "default": False},
    "authority_certificate_path": {"type": "path"},
    "authority_private_key_path": {"type": "path", "no_log": False},
    "owner": {"type": "str"},
    "group": {"type": "str"},
}


def wanted_of(parameters: dict[str, Any]) -> certificate.Wanted:
    """The certificate that the module's parameters describe, checked."""
    wanted = certificate.Wanted(
        common_name=parameters["common_name"],
        organizations=tuple(parameters["organizations"]),
        dns_names=tuple(parameters["dns_names"]),
        ip_addresses=tuple(parameters["ip_addresses"]),
        usages=tuple(parameters["usages"]),
        validity=datetime.timedelta(hours=parameters["validity_hours"]),
        authority=parameters["authority"],
    )
    wanted.validate()
    return wanted


def ensure(parameters: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Bring both files to the wanted state; returns the module's result. Raises CertificateError."""
    wanted = wanted_of(parameters)
    certificate_path, key_path = parameters["certificate_path"], parameters["private_key_path"]
    present = certificate.read(certificate_path)
    authority_path = certificate_path if wanted.authority else parameters["authority_certificate_path"]
    # In a check run of a fresh host the authority itself is still only planned.
    signed = (
        present is not None
        and os.path.exists(authority_path)
        and certificate.signed_by(certificate_path, authority_path)
    )
    now = certificate.utc_now()
    comparison = certificate.compare(wanted, present, certificate.public_key_of(key_path), signed, now)
    after = None if comparison.reasons else present
    if comparison.reasons and not check_mode:
        with certificate.private_directory(os.path.dirname(key_path)) as directory:
            key = key_path
            if comparison.new_key:
                key = os.path.join(directory, "key.pem")
                certificate.create_key(key, parameters["algorithm"])
            pem = certificate.issue(
                wanted,
                certificate.create_request(wanted, key, directory),
                None if wanted.authority else authority_path,
                key if wanted.authority else parameters["authority_private_key_path"],
                directory,
                now,
            )
            if comparison.new_key:
                os.replace(key, key_path)
            os.makedirs(os.path.dirname(certificate_path), mode=0o755, exist_ok=True)
            certificate.write(certificate_path, pem, 0o644)
        after = certificate.parse(pem)
    result: dict[str, Any] = {"changed": bool(comparison.reasons), "reasons": comparison.reasons}
    if after is not None:
        result.update(certificate=after.pem, details=after.public())
    result["diff"] = {
        "before": _view(present.public() if present else None),
        "after": _view(after.public() if after else {"common_name": wanted.common_name, "issued": "now"}),
    }
    return result


def _view(details: dict[str, Any] | None) -> str:
    return "".join(f"{key}: {value}\n" for key, value in sorted((details or {}).items()))


def ensure_ownership(module: AnsibleModule, changed: bool) -> bool:
    """Owner, group and modes of both files; true when something was or would be changed."""
    for path, mode in ((module.params["private_key_path"], "0600"), (module.params["certificate_path"], "0644")):
        if not os.path.exists(path):
            continue
        if module.check_mode and module.params["owner"] and not _known_user(module.params["owner"]):
            return True
        arguments = {"path": path, "mode": mode, "owner": module.params["owner"], "group": module.params["group"]}
        arguments.update(dict.fromkeys(("seuser", "serole", "setype", "secontext", "attributes", "selevel")))
        changed = module.set_fs_attributes_if_different(arguments, changed)
    return changed


def _known_user(name: str) -> bool:
    import pwd

    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        supports_check_mode=True,
        required_if=[("authority", False, ("authority_certificate_path", "authority_private_key_path"))],
    )
    if shutil.which("openssl") is None:
        module.fail_json(msg="The openssl command is missing on this host: install the package openssl.")
    try:
        result = ensure(module.params, module.check_mode)
        result["changed"] = ensure_ownership(module, result["changed"])
    except certificate.CertificateError as error:
        module.fail_json(msg=f"Certificate {module.params['certificate_path']}: {error}.")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
