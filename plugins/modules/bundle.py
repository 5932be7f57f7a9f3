#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin ``bundle``, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: bundle
short_description: Fill or verify the bundle of all artefacts of the platform
version_added: 0.1.0
description:
  - Fills one directory on the controller with every program, container image, chart, manifest and package that the
    lock file names. Afterwards the platform is installed without any other source.
  - What is there and as the lock says stays. Everything else comes from a cache, from upstream (checked against the
    pinned checksum), or is built from published sources.
  - Runs on the controller only and shows its progress while it works.
author:
  - onprem.platform contributors (@onprem-platform)
requirements:
  - The Python package requests, for downloads.
  - Go 1.26.6 or later, gcc, libc6-dev and libseccomp-dev, when something is built from source.
options:
  directory:
    description: The bundle directory.
    type: path
    required: true
  cache_directory:
    description:
      - Cache of finished artefacts, shared by all bundles of a user.
      - The default is C(onprem-platform) below E(XDG_CACHE_HOME), or below C(~/.cache).
    type: path
  lock:
    description: The lock file. The default is the one of the role P(onprem.platform.bundle#role).
    type: path
  additions:
    description:
      - Files of the site with artefacts beside those of O(lock), in the same format, without components and packages.
      - They are downloaded, never built, so they have C(upstream) and no C(source).
    type: list
    elements: path
    default: []
  names:
    description:
      - Only these artefacts, by name or V(kind/name); all others stay as they are. Without it, all of them.
      - What the lock calls optional is left out when it can be neither built nor downloaded. Named here, it fails then.
    type: list
    elements: str
    default: []
  pins:
    description:
      - YAML file that maps download addresses and image references to SHA-256 checksums.
      - It completes the lock, which has no checksum for what was never downloaded from upstream by its authors.
    type: path
  producer:
    description:
      - Where artefacts come from.
      - V(source) builds everything that has a recipe.
      - V(upstream) downloads everything that upstream publishes. Without a checksum this is refused.
      - V(auto) downloads what has a checksum and whose server answers, and builds the rest. A finished artefact of
        either producer stays.
    type: str
    choices: [auto, source, upstream]
    default: auto
  state:
    description:
      - V(present) makes what is missing or different.
      - V(verified) reads every byte and compares it with the index, offline, and changes nothing.
    type: str
    choices: [present, verified]
    default: present
  trust_on_first_use:
    description:
      - Accept upstream files that have no checksum, and add the checksum of what arrived to O(pins).
      - The first download is then trusted as far as TLS goes; review the pins before you keep them.
    type: bool
    default: false
attributes:
  check_mode:
    description: Reports what would be made and how, and makes nothing.
    support: full
  diff_mode:
    description: Lists the artefacts before and after.
    support: full
  idempotent:
    description: A complete bundle is left alone.
    support: full
notes:
  - Two runs may use the same bundle or cache at once; the second waits for the first.
  - A killed run is continued by the next one.
"""

EXAMPLES = r"""
- name: Fill the bundle
  onprem.platform.bundle:
    directory: ~/.cache/onprem-platform/bundle

- name: Take everything from upstream, with checksums that the site has reviewed
  onprem.platform.bundle:
    directory: /srv/onprem-platform/bundle
    producer: upstream
    pins: "{{ inventory_dir }}/bundle-pins.yml"

- name: Check every byte of a bundle that was carried to this site
  onprem.platform.bundle:
    directory: /srv/onprem-platform/bundle
    state: verified
"""

RETURN = r"""
directory:
  description: The bundle directory.
  returned: success
  type: str
  sample: /srv/onprem-platform/bundle
entries:
  description: Every artefact asked for, in the order of making. Empty with O(state=verified).
  returned: success
  type: list
  elements: dict
  contains:
    kind:
      description: One of C(file), C(image), C(chart), C(manifest) and C(package).
      type: str
      sample: file
    name:
      description: Name in the lock.
      type: str
      sample: kubelet
    version:
      description: Version in the lock.
      type: str
      sample: v1.36.3
    licence:
      description: SPDX identifier.
      type: str
      sample: Apache-2.0
    producer:
      description: C(source) or C(upstream).
      type: str
      sample: source
    action:
      description:
        - C(present) when nothing was to do, C(cache) when it was taken from the cache, C(left_out) when the lock
          calls it optional and it can be neither built nor downloaded, C(build) or C(download) otherwise.
      type: str
      sample: build
    reason:
      description: Why it is left out; empty for all others.
      type: str
      sample: ""
    notice:
      description: What the licence asks of a user.
      type: str
      sample: ""
    differs_from_upstream:
      description: How the artefact differs from what upstream publishes. Always empty for downloads.
      type: list
      elements: str
      sample: []
    size:
      description: Bytes, 0 when it is not known yet.
      type: int
      sample: 84426914
    seconds:
      description: What making it took in this run.
      type: float
      sample: 0.1
compiled:
  description: Programs that were compiled, or would be; this needs compilers, time and disk.
  returned: success
  type: list
  elements: str
  sample: [kubeadm]
obsolete:
  description: Artefacts that are removed from the bundle, because the lock has them no longer or they are left out.
  returned: success
  type: list
  elements: str
  sample: [file/old-tool]
seconds:
  description: Duration of the whole call.
  returned: success
  type: float
  sample: 0.4
"""
