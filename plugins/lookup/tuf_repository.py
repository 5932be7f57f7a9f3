# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pack a mirror of keys for policy-controller."""

from __future__ import annotations

DOCUMENTATION = r"""
name: tuf_repository
short_description: Pack a mirror of sigstore's keys for a TrustRoot
version_added: 0.1.0
description:
  - Packs a directory with a repository of The Update Framework (its metadata, and the directory of its targets) into
    the form that a TrustRoot of policy-controller takes, so that a cluster without internet has the keys.
  - Equal files give an equal result.
  - The metadata have dates of expiry. The repository is to be mirrored again, and applied, before they come.
author:
  - onprem.platform contributors (@onprem-platform)
options:
  _terms:
    description: Directories on the controller.
    required: true
    type: list
    elements: path
  root:
    description: File of the root of trust that the repository is verified from. It decides who may change keys, so it
      should come from elsewhere than the mirror. The default is C(root.json) in the directory.
    type: path
  targets:
    description: Name of the directory of the targets.
    type: str
    default: targets
"""

EXAMPLES = r"""
- name: Bring the keys of sigstore's public services to a cluster without internet
  onprem.platform.k8s_apply:
    definition:
      apiVersion: policy.sigstore.dev/v1alpha1
      kind: TrustRoot
      metadata: {name: public}
      spec:
        repository: "{{ lookup('onprem.platform.tuf_repository', 'mirror', root='root.json') }}"
"""

RETURN = r"""
_raw:
  description: For each directory C(root), C(mirrorFS) and C(targets) as the API names them.
  type: list
  elements: dict
"""

import base64
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ..module_utils._oci import OciError, archive, directory_files

# The API server refuses larger objects.
LIMIT = 1_000_000


class LookupModule(LookupBase):  # type: ignore[misc] # ansible-core has no types
    """Lookup ``tuf_repository``."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[dict[str, str]]:
        """Return a list with one mapping for each directory."""
        self.set_options(var_options=variables, direct=kwargs)
        targets = self.get_option("targets")
        found = []
        for term in terms:
            directory = Path(term).expanduser()
            root = Path(self.get_option("root") or directory / "root.json")
            try:
                files = directory_files(directory)
                trusted = root.read_bytes()
            except (OSError, OciError) as error:
                raise AnsibleLookupError(f"{directory} is no repository with a root: {error}") from error
            if "timestamp.json" not in files or not any(name.startswith(f"{targets}/") for name in files):
                raise AnsibleLookupError(f"{directory} has no timestamp.json, or no {targets}/: mirror it as a whole.")
            packed = base64.b64encode(archive({f"repository/{name}": content for name, content in files.items()}))
            if len(packed) > LIMIT:
                raise AnsibleLookupError(
                    f"{directory} is too large for a cluster ({len(packed)} of {LIMIT} bytes): "
                    "keep the newest metadata only."
                )
            found.append(
                {"root": base64.b64encode(trusted).decode(), "mirrorFS": packed.decode(), "targets": str(targets)}
            )
        return found
