# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build a kustomization without a cluster."""

from __future__ import annotations

DOCUMENTATION = r"""
name: kustomize
short_description: Build a kustomization on the controller
version_added: 0.1.0
description:
  - Writes the kustomization to a private directory, runs C(kubectl kustomize) there and returns the documents.
  - Its resources may be files anywhere on the controller, such as the bundle's manifests.
author:
  - onprem.platform contributors (@onprem-platform)
options:
  _terms:
    description: Kustomizations, each a mapping as C(kustomization.yaml) holds it. Paths must be absolute.
    required: true
    type: list
    elements: dict
  binary_path:
    description: The kubectl program.
    type: str
    default: kubectl
"""

EXAMPLES = r"""
- name: Apply a manifest with another image
  onprem.platform.k8s_apply:
    definition: >-
      {{ lookup('onprem.platform.kustomize',
                {'resources': ['/srv/bundle/manifests/metrics-server.yaml'],
                 'images': [{'name': 'gcr.io/k8s-staging-metrics-server/metrics-server',
                             'newName': 'registry.platform.internal:5000/metrics-server'}]}) }}
"""

RETURN = r"""
_list:
  description: The documents of each kustomization.
  type: list
  elements: dict
"""

import os
import tempfile
from pathlib import Path
from typing import Any

import yaml
from ansible.plugins.lookup import LookupBase

from ..plugin_utils._command import plain, yaml_documents


class LookupModule(LookupBase):  # type: ignore[misc] # ansible-core has no types
    """Lookup ``kustomize``."""

    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[Any]:
        """Return one list of documents for each kustomization."""
        self.set_options(var_options=variables, direct=kwargs)
        return [self._build(plain(term)) for term in terms]

    def _build(self, kustomization: dict[str, Any]) -> list[dict[str, Any]]:
        with tempfile.TemporaryDirectory(prefix="onprem-kustomize-") as directory:
            # kustomize takes paths relative to the kustomization only.
            for key in ("resources", "components"):
                if key in kustomization:
                    kustomization[key] = [os.path.relpath(path, directory) for path in kustomization[key]]
            (Path(directory) / "kustomization.yaml").write_text(yaml.safe_dump(kustomization), encoding="utf-8")
            return yaml_documents(
                [
                    self.get_option("binary_path"),
                    "kustomize",
                    "--load-restrictor",
                    "LoadRestrictionsNone",
                    directory,
                ]
            )
