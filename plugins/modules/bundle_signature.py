#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin ``bundle_signature``, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: bundle_signature
short_description: Sign the images and charts of a bundle and attest what is in them
version_added: 0.1.0
description:
  - Signs every image and every chart of a bundle with a key of cosign, and attests a bill of materials (SPDX 2.3) and
    the provenance (SLSA 1.0) of each. The bundle's index is signed as well, and a bill of materials of the whole
    bundle.
  - The bill of materials of an image is read from its layers, the Debian packages and the modules of Go programs; that
    of a chart lists its files and the images that its values name.
  - A chart that is not what the bundle's index says is not signed; the module fails.
  - The signatures are kept in a directory beside the bundle. Its image layout C(oci) is copied to registries with
    M(onprem.platform.oci_image), so that all replicas have the same ones. No registry and no network is needed to
    sign, and no private key where the platform is installed.
  - What is there and verified by the key stays.
  - Runs on the controller only.
author:
  - onprem.platform contributors (@onprem-platform)
requirements:
  - cosign, which the bundle has, and zstd.
  - The Python package cryptography.
options:
  directory:
    description: The bundle directory.
    type: path
    required: true
  signatures:
    description: Directory of the signatures.
    type: path
    required: true
  key:
    description:
      - Path of the private key that cosign has made, or address of a key in a key management system, such as
        V(hashivault://release) for Vault's transit engine. Its settings are those of cosign's environment, for
        example E(VAULT_ADDR) and E(VAULT_TOKEN).
    type: str
    required: true
  public_key:
    description:
      - Path of the public key. It is asked of O(key) and written when it does not exist.
      - The default is beside a key file, with the ending C(.pub). Required for a key management system.
    type: path
  password:
    description: Password of the key file. Can also be set by E(COSIGN_PASSWORD).
    type: str
  create_key:
    description: Make the key pair when there is no public key and no private key. A key is never overwritten.
    type: bool
    default: false
  registry:
    description: Name of the registry that the platform pulls from; the names of signed images begin with it.
    type: str
    required: true
  names:
    description: Only these images, by name or V(repository:tag). Without it all, charts and the index.
    type: list
    elements: str
    default: []
  builder:
    description: Address that the provenance gives for whoever makes the bundle.
    type: str
    default: https://github.com/onprem-platform/onprem.platform
  commit:
    description:
      - Commit of this collection, for the provenance. If empty, it is asked of Git, when the collection is a clone in
        which everything that makes images is as committed.
      - A provenance without a commit is made anew when the commit is known. One with another commit stays.
    type: str
    default: ""
  cosign:
    description: The program. The default is the bundle's.
    type: path
  lock:
    description: The lock file. The default is the one of the role P(onprem.platform.bundle#role).
    type: path
  additions:
    description: Files of the site that the bundle was made with beside O(lock); see M(onprem.platform.bundle).
    type: list
    elements: path
    default: []
attributes:
  check_mode:
    description: Reports what would be signed, and signs nothing.
    support: full
  diff_mode:
    description: Lists what is added to which image, chart or file.
    support: full
  idempotent:
    description: What the key has signed already is verified and left alone.
    support: full
notes:
  - With another key all images are signed anew; policies must trust the new key before the old signatures are gone
    from the registry.
seealso:
  - module: onprem.platform.image_signature_info
  - module: onprem.platform.cluster_image_policy
"""

EXAMPLES = r"""
- name: Sign the bundle with a key of the site
  onprem.platform.bundle_signature:
    directory: ~/.cache/onprem-platform/bundle
    signatures: ~/.local/state/onprem-platform/onprem/signatures
    key: ~/.local/state/onprem-platform/onprem/cosign.key
    password: "{{ lookup('ansible.builtin.env', 'COSIGN_PASSWORD') }}"
    create_key: true
    registry: registry.platform.internal:5000

- name: Bring the signatures to where the images are
  onprem.platform.oci_image:
    layout: ~/.local/state/onprem-platform/onprem/signatures/oci
    registries: ["192.0.2.11:5001", "192.0.2.12:5001", "192.0.2.13:5001"]
    ca_cert: /etc/onprem-platform/pki/ca.crt
    client_cert: /run/onprem-platform/push.crt
    client_key: /run/onprem-platform/push.key
"""

RETURN = r"""
signed:
  description: Every image asked for; without O(names) also charts, index and bill of materials of the bundle.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Repository and tag of an image, path of a chart, C(index.json) or C(bundle).
      type: str
      sample: coredns:v1.14.3
    digest:
      description: What is signed.
      type: str
      sample: sha256:7d0ba9a2c1f04ee8a7ff0d5cbd1a1e6ac7fcb66ad8c0bd6d3c3a2fa6ba1e9c01
    added:
      description: What was made, of C(signature), C(bill of materials) and C(provenance).
      type: list
      elements: str
      sample: [signature, bill of materials, provenance]
signatures:
  description: The directory of the signatures.
  returned: success
  type: str
  sample: /root/.local/state/onprem-platform/onprem/signatures
public_key:
  description: The public key in PEM, for policies; empty in check mode when there is no key yet.
  returned: success
  type: str
  sample: "-----BEGIN PUBLIC KEY-----..."
seconds:
  description: Duration of the whole call.
  returned: success
  type: float
  sample: 4.2
"""
