# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lookup of entries of the bundle."""

from __future__ import annotations

DOCUMENTATION = r"""
name: bundle
short_description: Entry of the bundle by kind and name
version_added: 0.1.0
description:
  - Returns what the bundle has under one or more names, as its index says, with the place it is found at.
author:
  - onprem.platform contributors (@onprem-platform)
options:
  _terms:
    description:
      - The kind (V(file), V(image), V(chart), V(manifest) or V(package)), then one or more names.
      - A kind alone returns all entries of the kind.
    type: list
    elements: str
    required: true
  bundle_directory:
    description: The bundle directory on the controller.
    type: str
    required: true
    vars:
      - name: platform_bundle_directory
  registry:
    description: Host and port of the registry that images are named by, for C(reference).
    type: str
    vars:
      - name: platform_registry
  version:
    description: Version, for an image that the bundle has in several.
    type: str
  missing_ok:
    description:
      - Give an empty mapping for a name that the bundle does not have, instead of failing.
      - For artefacts that the lock calls optional, such as the image of Grafana.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Show the reference of an image
  ansible.builtin.debug:
    msg: "{{ lookup('onprem.platform.bundle', 'image', 'coredns').reference }}"

- name: Copy a program
  ansible.builtin.copy:
    src: "{{ lookup('onprem.platform.bundle', 'file', 'kubectl').absolute_path }}"
    dest: /usr/local/bin/kubectl
    mode: "0755"

- name: Do something only where the bundle has an optional image
  ansible.builtin.debug:
    msg: "{{ __grafana.reference }}"
  vars:
    __grafana: "{{ lookup('onprem.platform.bundle', 'image', 'grafana', missing_ok=true) }}"
  when: __grafana | length > 0
"""

RETURN = r"""
_raw:
  description: One entry of the index for each name; an empty mapping for an absent one with O(missing_ok=true).
  type: list
  elements: dict
  contains:
    kind:
      description: As asked for.
      type: str
      sample: image
    name:
      description: Name.
      type: str
      sample: coredns
    version:
      description: Version.
      type: str
      sample: v1.14.3
    sha256:
      description: Checksum of the file. Not for images.
      type: str
      sample: 04dba0a915dd6edf8f1806bd1b615a40048fea8ace5a1fcb181b234adcb9fcb2
    digest:
      description: Digest of the manifest. Only for images.
      type: str
      sample: sha256:04dba0a915dd6edf8f1806bd1b615a40048fea8ace5a1fcb181b234adcb9fcb2
    absolute_path:
      description: The file on the controller; for images the layout directory.
      type: str
      sample: /srv/onprem-platform/bundle/files/kubectl
    reference:
      description: The image by registry, repository, tag and digest. Only for images, and when O(registry) is known.
      type: str
      sample: >-
        registry.example:5000/coredns:v1.14.3@sha256:04dba0a915dd6edf8f1806bd1b615a40048fea8ace5a1fcb181b234adcb9fcb2
    image:
      description: The image by registry, repository and digest, without the tag.
      type: str
      sample: >-
        registry.example:5000/coredns@sha256:04dba0a915dd6edf8f1806bd1b615a40048fea8ace5a1fcb181b234adcb9fcb2
"""

import os
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ..plugin_utils._bundle_common import BundleError
from ..plugin_utils._bundle_index import DIRECTORIES, Entry, Index, MissingEntryError


class LookupModule(LookupBase):  # type: ignore[misc] # ansible-core has no types
    """Entries of the bundle."""

    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[Entry]:
        """Return one entry for each name.

        :raises AnsibleLookupError: unknown kind or name, or no bundle.
        """
        self.set_options(var_options=variables, direct=kwargs)
        if not terms or terms[0] not in DIRECTORIES:
            raise AnsibleLookupError(f"The first term must be a kind: {', '.join(DIRECTORIES)}.")
        kind, names = str(terms[0]), [str(name) for name in terms[1:]]
        directory = Path(os.path.expanduser(self._templar.template(self.get_option("bundle_directory"))))
        registry, version = self.get_option("registry"), self.get_option("version")
        try:
            index = Index(directory)
            if names:
                entries = [_find(index, kind, name, version, self.get_option("missing_ok")) for name in names]
            else:
                entries = [entry for entry in index.entries if entry["kind"] == kind]
        except BundleError as error:
            raise AnsibleLookupError(str(error)) from error
        return [_located(index, entry, registry and self._templar.template(registry)) for entry in entries]


def _find(index: Index, kind: str, name: str, version: str | None, missing_ok: bool) -> Entry:
    try:
        return index.find(kind, name, version)
    except MissingEntryError:
        if missing_ok:
            return {}
        raise


def _located(index: Index, entry: Entry, registry: str | None) -> Entry:
    if not entry:
        return {}
    located = {**entry, "absolute_path": str(index.path(entry).resolve())}
    if entry["kind"] == "image" and registry:
        name = f"{registry}/{entry['repository']}"
        located |= {"image": f"{name}@{entry['digest']}", "reference": f"{name}:{entry['tag']}@{entry['digest']}"}
    return located
