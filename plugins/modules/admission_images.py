#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin ``admission_images``, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: admission_images
short_description: Make images that a policy has to admit or to refuse
version_added: 0.1.0
description:
  - Makes six images out of one of the bundle that differ from it by a label only, and signs and attests each of them as
    it should be tried. V(complete) and V(next) are like any image of the bundle, V(unsigned) has nothing, V(other-key)
    everything by a key that nobody knows, V(unattested) a signature only, and V(other-content) a bill of materials of
    a version of SPDX that nobody uses.
  - They are kept as image layouts, to be copied to registries with M(onprem.platform.oci_image).
  - What is there, and verified by the key, stays.
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
  image:
    description: Name of the bundle's image that they are made of.
    type: str
    default: toolbox
  images:
    description: Directory to keep them in.
    type: path
    required: true
  key:
    description: The key that the site signs with, as O(onprem.platform.bundle_signature#module:key).
    type: str
    required: true
  public_key:
    description: Path of its public key. The default is beside a key file, with the ending C(.pub).
    type: path
  password:
    description: Password of the key file. Can also be set by E(COSIGN_PASSWORD).
    type: str
  registry:
    description: Name of the registry that the platform pulls from.
    type: str
    required: true
  cosign:
    description: The program. The default is the bundle's.
    type: path
attributes:
  check_mode:
    description: Says whether they would be made.
    support: full
  diff_mode:
    description: Not a matter of text.
    support: none
  idempotent:
    description: Images that are there with the right signatures are left alone.
    support: full
seealso:
  - module: onprem.platform.bundle_signature
  - module: onprem.platform.probe_admission
"""

EXAMPLES = r"""
- name: Make images to try the policy with
  onprem.platform.admission_images:
    directory: ~/.cache/onprem-platform/bundle
    images: ~/.local/state/onprem-platform/onprem/admission-images
    key: ~/.local/state/onprem-platform/onprem/cosign.key
    password: "{{ lookup('ansible.builtin.env', 'COSIGN_PASSWORD') }}"
    registry: registry.platform.internal:5000
"""

RETURN = r"""
images:
  description: Reference by digest of each.
  returned: success
  type: dict
  contains:
    unsigned:
      description: The one without a signature.
      type: str
      sample: registry.platform.internal:5000/admission-test@sha256:0a4d55a8d778e5022fab701977c5d840bbc486d0bb8d5a4e8c1f
tags:
  description: Reference by tag of each.
  returned: success
  type: dict
  sample: {unsigned: "registry.platform.internal:5000/admission-test:unsigned"}
layouts:
  description: The image layouts with the images and with their signatures.
  returned: success
  type: list
  elements: str
  sample: [/srv/admission-images/bundle/images, /srv/admission-images/signatures/oci]
"""
