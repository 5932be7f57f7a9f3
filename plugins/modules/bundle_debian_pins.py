#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin ``bundle_debian_pins``, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: bundle_debian_pins
short_description: Pin the present versions of the bundle's Debian packages
version_added: 0.1.0
description:
  - Resolves every selection of C(selections.yml) and writes C(pins.yml) beside it with version, path and SHA-256 of
    each package that the selection needs.
  - apt resolves from the package lists of the mirrors, whose signatures it checks. It works in a directory of its own;
    the packages of this machine do not matter and do not change.
  - A task of who maintains the lock. Filling a bundle reads the pins only.
author:
  - onprem.platform contributors (@onprem-platform)
requirements:
  - apt and the package debian-archive-keyring on the controller.
options:
  directory:
    description: Has C(selections.yml). The default is the one of the role P(onprem.platform.bundle#role).
    type: path
  mirrors:
    description:
      - Addresses by archive, V(debian) and V(debian-security); of each list the first counts.
      - By default the mirrors of this machine's apt sources, and U(https://deb.debian.org) for what they lack.
    type: dict
attributes:
  check_mode:
    description: Reports which versions would change, and writes nothing.
    support: full
  diff_mode:
    description: Lists the versions before and after.
    support: full
  idempotent:
    description: Pins that are the present versions stay as they are.
    support: full
"""

EXAMPLES = r"""
- name: Pin the present versions
  onprem.platform.bundle_debian_pins:

- name: Pin what a mirror of the site has
  onprem.platform.bundle_debian_pins:
    directory: "{{ playbook_dir }}/files/debian"
    mirrors:
      debian: [https://deb.debian.org/debian]
      debian-security: [https://deb.debian.org/debian-security]
"""

RETURN = r"""
changes:
  description: Packages whose version is new, other or gone.
  returned: success
  type: list
  elements: dict
  contains:
    package:
      description: Suite and name.
      type: str
      sample: trixie/nginx
    before:
      description: Version before; empty for a new package.
      type: str
      sample: 1.26.3-3+deb13u1
    after:
      description: Version now; empty for a package that is not needed any more.
      type: str
      sample: 1.26.3-3+deb13u2
"""
