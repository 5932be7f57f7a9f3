#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read signatures and attestations of images from a registry."""

from __future__ import annotations

DOCUMENTATION = r"""
module: image_signature_info
version_added: 0.1.0
short_description: Tell who has signed images, and what is attested about them
author: onprem.platform contributors (@onprem-platform)
description:
  - Reads the signatures and attestations that cosign has put beside images in a registry, as tags
    C(sha256-<digest>.sig) and C(sha256-<digest>.att), and verifies them with public keys.
  - A signature that no key verifies, or that was made for another image, is reported with the reason.
  - Signatures with short-lived certificates of an identity provider are listed, but not verified. Neither are those
    that cosign stores as bundles, which policy-controller cannot verify with a key.
options:
  registry:
    description: Address V(host:port) of the registry.
    type: str
    required: true
  images:
    description: Images as V(repository:tag) or V(repository@sha256:...).
    type: list
    elements: str
    required: true
  public_keys:
    description: Names of signers and their public keys in PEM.
    type: dict
    required: true
  predicates:
    description: Return what is attested as well, which may be long.
    type: bool
    default: false
  ca_cert:
    description: PEM file of the authority that issued the registry's certificate; the system's authorities if unset.
    type: path
  client_cert:
    description: PEM file of a client certificate, for a registry that demands one.
    type: path
  client_key:
    description: PEM file of the key of O(client_cert).
    type: path
  timeout:
    description: Seconds for each request.
    type: int
    default: 60
requirements:
  - urllib3 >= 2 (on the host that executes the module, usually the controller)
  - cryptography
extends_documentation_fragment:
  - onprem.platform.attributes
  - onprem.platform.attributes.info
notes:
  - Whether an attestation satisfies the rule of a policy is for policy-controller to say; its program
    C(policy-tester) of the bundle says so without a cluster.
seealso:
  - module: onprem.platform.cluster_image_policy
"""

EXAMPLES = r"""
- name: Who has signed the image that is about to be released?
  onprem.platform.image_signature_info:
    registry: registry.platform.internal:5000
    ca_cert: /etc/onprem-platform/pki/ca.crt
    images: [laravel-demo:1.0.0]
    public_keys:
      release: "{{ lookup('ansible.builtin.file', 'cosign.pub') }}"
  register: found
  failed_when: "'release' not in found.images[0].signed_by"
"""

RETURN = r"""
images:
  description: Every image asked for, in that order.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: As asked for.
      type: str
      sample: laravel-demo:1.0.0
    digest:
      description: Digest of the manifest; empty when the registry does not have the image.
      type: str
      sample: sha256:7d0ba9a2c1f04ee8a7ff0d5cbd1a1e6ac7fcb66ad8c0bd6d3c3a2fa6ba1e9c01
    signed_by:
      description: Names of the keys of which there is a valid signature.
      type: list
      elements: str
      sample: [release]
    attested:
      description: Types of attestation that one of the keys has signed.
      type: list
      elements: str
      sample: ["https://slsa.dev/provenance/v1", "https://spdx.dev/Document"]
    signatures:
      description: Every signature.
      type: list
      elements: dict
      contains:
        verified_by:
          description: Names of the keys that verify it.
          type: list
          elements: str
          sample: [release]
        reason:
          description: Why none does.
          type: str
          sample: ""
    attestations:
      description: Every attestation.
      type: list
      elements: dict
      contains:
        predicate_type:
          description: What kind of statement it is.
          type: str
          sample: https://spdx.dev/Document
        verified_by:
          description: Names of the keys that verify it.
          type: list
          elements: str
          sample: [release]
        reason:
          description: Why none does.
          type: str
          sample: ""
        predicate:
          description: What is attested, with O(predicates=true).
          type: raw
          sample: {spdxVersion: SPDX-2.3}
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._oci import DIGEST, OciError, Registry, checked_repository, checked_tag
from ..module_utils._signature import PublicKey, SignatureError, read

WORKERS = 4


def split(image: str) -> tuple[str, str]:
    """Return repository and reference (tag or digest) of an image; raises OciError."""
    repository, separator, digest = image.partition("@")
    if separator:
        if not DIGEST.fullmatch(digest):
            raise OciError(f"'{digest}' is no sha256 digest.")
        return checked_repository(repository), digest
    repository, _separator, tag = image.rpartition(":")
    return checked_repository(repository), checked_tag(tag)


def describe(registry: Registry, image: str, keys: list[PublicKey], predicates: bool) -> dict[str, Any]:
    """Return the result's entry of one image; raises OciError."""
    repository, reference = split(image)
    digest = registry.manifest_digest(repository, reference) or ""

    def content(tag: str) -> bytes | None:
        found = registry.manifest(repository, tag)
        return found[1] if found else None

    vouched = read(digest, keys, content, lambda blob: registry.blob(repository, blob)) if digest else None
    signatures, attestations = (vouched.signatures, vouched.attestations) if vouched else ([], [])
    return {
        "name": image,
        "digest": digest,
        "signed_by": sorted({name for item in signatures for name in item.verified_by}),
        "attested": sorted({item.predicate_type for item in attestations if item.verified_by}),
        "signatures": [item.as_dict() for item in signatures],
        "attestations": [item.as_dict(predicates) for item in attestations],
    }


def main() -> None:
    """Entry point of the module."""
    module = AnsibleModule(
        argument_spec={
            "registry": {"type": "str", "required": True},
            "images": {"type": "list", "elements": "str", "required": True},
            "public_keys": {"type": "dict", "required": True, "no_log": False},
            "predicates": {"type": "bool", "default": False},
            "ca_cert": {"type": "path"},
            "client_cert": {"type": "path"},
            "client_key": {"type": "path"},
            "timeout": {"type": "int", "default": 60},
        },
        required_together=[("client_cert", "client_key")],
        supports_check_mode=True,
    )
    params = module.params
    try:
        keys = [PublicKey(name, str(pem)) for name, pem in params["public_keys"].items()]
        for image in params["images"]:
            split(image)
        registry = Registry(
            params["registry"], params["ca_cert"], params["client_cert"], params["client_key"], params["timeout"]
        )
        with ThreadPoolExecutor(WORKERS) as workers:
            images = list(
                workers.map(lambda image: describe(registry, image, keys, params["predicates"]), params["images"])
            )
    except (OciError, SignatureError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, images=images)


if __name__ == "__main__":
    main()
