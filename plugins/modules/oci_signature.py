#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin ``oci_signature``, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: oci_signature
short_description: Sign what lies in registries, and attest what is in it
version_added: 0.1.0
description:
  - Signs artifacts by their digests with a key of cosign, such as trees and charts that M(onprem.platform.oci_artifact)
    has pushed. Flux and policy-controller verify these signatures with the public key, without internet.
  - With O(attest) it also attests a bill of materials (SPDX 2.3) of each artifact, which lists its files and the images
    that they name, and its provenance (SLSA 1.0).
  - The signature is the tag C(sha256-<digest>.sig) beside the artifact, both attestations are the tag
    C(sha256-<digest>.att). A replica that lacks one gets that of another replica. Only when no replica has one by this
    key, cosign makes it.
  - Runs on the controller only.
author:
  - onprem.platform contributors (@onprem-platform)
requirements:
  - cosign, which the bundle has.
  - The Python package cryptography.
options:
  artifacts:
    description: What is to be signed.
    type: list
    elements: dict
    required: true
    suboptions:
      repository:
        description: Repository in the registry.
        type: str
        required: true
      digest:
        description: Digest of the manifest.
        type: str
        required: true
  registry:
    description: Name of the registry that the platform pulls from; the signed names begin with it.
    type: str
    required: true
  key:
    description:
      - Path of the private key that cosign has made, or address of a key in a key management system, such as
        V(hashivault://release).
    type: str
    required: true
  public_key:
    description: Path of its public key.
    type: path
    required: true
  password:
    description: Password of the key file, needed to sign. Can also be set by E(COSIGN_PASSWORD).
    type: str
  cosign:
    description: The program.
    type: path
    required: true
  attest:
    description:
      - Attest as well. The artifacts must be charts or trees of Flux, as M(onprem.platform.oci_artifact) pushes them.
    type: bool
    default: false
  builder:
    description: Address that the provenance gives for whoever makes the artifacts.
    type: str
    default: https://github.com/onprem-platform/onprem.platform
  source:
    description:
      - Address of the Git repository that the artifacts are made from, for the provenance.
      - The annotations C(org.opencontainers.image.source) and C(org.opencontainers.image.revision) of an artifact, or
        of its C(Chart.yaml), count more than O(source) and O(commit).
    type: str
    default: https://github.com/onprem-platform/onprem.platform
  commit:
    description:
      - Commit of O(source), for the provenance. If empty, and if that is this collection, it is asked of Git, when the
        collection is a clone in which plugins and roles are as committed.
      - A provenance without a commit is made anew when the commit is known. One with another commit stays.
    type: str
    default: ""
extends_documentation_fragment:
  - onprem.platform.registry
attributes:
  check_mode:
    description: Reports what would be signed and attested, and signs nothing.
    support: full
  diff_mode:
    description: Lists what is signed and attested, and where that is brought to.
    support: full
  idempotent:
    description: What the key has signed already is verified and left alone.
    support: full
notes:
  - Signatures of other keys on the same digest are replaced. Verify with both keys while keys change.
  - Other attestations of an artifact are replaced when it is attested.
seealso:
  - module: onprem.platform.bundle_signature
  - module: onprem.platform.image_signature_info
"""

EXAMPLES = r"""
- name: Sign the chart of a release, and attest what is in it
  onprem.platform.oci_signature:
    artifacts:
      - repository: charts/shop
        digest: sha256:7d0ba9a2c1f04ee8a7ff0d5cbd1a1e6ac7fcb66ad8c0bd6d3c3a2fa6ba1e9c01
    registry: registry.platform.internal:5000
    key: hashivault://release
    public_key: release.pub
    cosign: /usr/local/bin/cosign
    attest: true
    builder: https://ci.example.org/shop
    source: https://git.example.org/shop
    commit: 8f7c2d5b0a9e4c3d2b1a0f9e8d7c6b5a49382716
    registries: ["192.0.2.11:5001"]
    ca_cert: /etc/onprem-platform/pki/ca.crt
    client_cert: /run/onprem-platform/push.crt
    client_key: /run/onprem-platform/push.key
"""

RETURN = r"""
artifacts:
  description: Every artifact asked for, in that order.
  returned: success
  type: list
  elements: dict
  contains:
    repository:
      description: Repository of the artifact.
      type: str
      sample: charts/shop
    digest:
      description: What is signed.
      type: str
      sample: sha256:7d0ba9a2c1f04ee8a7ff0d5cbd1a1e6ac7fcb66ad8c0bd6d3c3a2fa6ba1e9c01
    signed:
      description: Whether a signature was, or would be, made.
      type: bool
      sample: true
    attested:
      description: Whether bill of materials and provenance were, or would be, made.
      type: bool
      sample: true
    pushed_to:
      description: Replicas that did not have a signature, or attestations, by this key.
      type: list
      elements: str
      sample: ["192.0.2.11:5001"]
"""
