#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the action plugin ``secret_scan_info``, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: secret_scan_info
short_description: Search for secrets where none may be
version_added: 0.1.0
description:
  - Searches repositories, directories, layers of images and artifacts of a registry by the rules of gitleaks, and for
    given secrets in plain text, JSON and Base64. Archives (C(.tgz), C(.tar.gz)) are opened.
  - Binary files are searched for given secrets only.
  - What was found is told by place and rule. Its value is in no result, log or message.
author:
  - onprem.platform contributors (@onprem-platform)
requirements:
  - gitleaks 8.28 or later and zstd on the controller; git with O(repository).
options:
  gitleaks:
    description: Path of the program. The bundle has it.
    type: path
    required: true
  configuration:
    description:
      - Rules and allow-list of gitleaks (TOML). The default is the one of the role P(onprem.platform.verify#role),
        whose allow-list has a reason for each entry.
      - Neither comments in what is searched nor ignore files there have an effect.
    type: path
  repository:
    description: Git repository, of which the tracked files and those that would be are searched.
    type: path
  paths:
    description: Files and directories.
    type: list
    elements: path
    default: []
  layout:
    description: Directory of an OCI image layout, such as C(images) of the bundle.
    type: path
  images:
    description: Images of the layout as V(repository:tag); all by default.
    type: list
    elements: str
    default: []
  registry:
    description: Address V(host:port) of the registry that has the O(artifacts).
    type: str
  ca_cert:
    description: PEM file of the authority that issued the registry's certificate; the system's authorities if unset.
    type: path
  artifacts:
    description: Artifacts as V(repository:tag), such as the tree that Flux applies, or charts.
    type: list
    elements: str
    default: []
  canaries:
    description:
      - First plant new, random secrets of several kinds in a repository, an image, an archive, a manifest and a log
        made for that, and tell which of them the search does not find there. Then they are given secrets of the real
        search, so that they are found nowhere else.
    type: bool
    default: false
  given:
    description: Names and values of secrets that must not be anywhere. Each has at least 12 characters.
    type: dict
    default: {}
extends_documentation_fragment:
  - onprem.platform.attributes
  - onprem.platform.attributes.info
"""

EXAMPLES = r"""
- name: Search the application's images
  onprem.platform.secret_scan_info:
    gitleaks: "{{ lookup('onprem.platform.bundle', 'file', 'gitleaks').absolute_path }}"
    layout: "{{ lookup('ansible.builtin.env', 'HOME') }}/.cache/onprem-platform/bundle/images"
    images: [laravel-demo:1.0.0, laravel-demo-nginx:1.0.0]
  register: searched
  failed_when: searched.findings | length > 0

- name: Is a password in the output of a run?
  onprem.platform.secret_scan_info:
    gitleaks: "{{ lookup('onprem.platform.bundle', 'file', 'gitleaks').absolute_path }}"
    paths: [/var/log/ansible/site.log]
    given:
      database password: "{{ database_password }}"
  register: searched
  failed_when: searched.findings | length > 0
"""

RETURN = r"""
findings:
  description: What looks like a secret, or is a given one.
  returned: success
  type: list
  elements: dict
  contains:
    place:
      description: Where it is.
      type: str
      sample: "image laravel-demo:1.0.0: srv/app/config/services.php"
    line:
      description: Line of the file; 0 for a given secret.
      type: int
      sample: 12
    rule:
      description: Rule of gitleaks, or V(given-secret).
      type: str
      sample: private-key
    description:
      description: What the rule looks for, or the name of the given secret.
      type: str
      sample: Identified a Private Key, which may compromise cryptographic security and sensitive data encryption.
files:
  description: Number of files that were searched.
  returned: success
  type: int
  sample: 2310
size:
  description: Their size in bytes.
  returned: success
  type: int
  sample: 184320000
canaries:
  description: How many secrets were planted, each kind in each place, and which were not found.
  returned: success
  type: dict
  sample: {planted: 30, missed: []}
"""
