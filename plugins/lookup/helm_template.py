# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Render a Helm chart without a cluster."""

from __future__ import annotations

DOCUMENTATION = r"""
name: helm_template
short_description: Render a Helm chart on the controller
version_added: 0.1.0
description:
  - Runs C(helm template) with the values on its standard input and returns the documents.
  - Nothing is written and no cluster is asked, so it takes no task and never counts as a change.
author:
  - onprem.platform contributors (@onprem-platform)
options:
  _terms:
    description: Charts, each a directory or an archive on the controller.
    required: true
    type: list
    elements: str
  binary_path:
    description: The helm program.
    type: str
    default: helm
  release_name:
    description: Name of the release.
    type: str
    required: true
  release_namespace:
    description: Namespace of the release.
    type: str
    required: true
  release_values:
    description: Values of the release.
    type: dict
    default: {}
  kube_version:
    description: Kubernetes version that the chart's conditions see.
    type: str
  include_crds:
    description: Whether to return the chart's CustomResourceDefinitions as well.
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: Apply a chart without Helm's release objects
  onprem.platform.k8s_apply:
    definition: >-
      {{ lookup('onprem.platform.helm_template', '/srv/charts/cilium-1.20.2.tgz', release_name='cilium',
                release_namespace='kube-system', release_values={'ipam': {'mode': 'kubernetes'}}) }}
"""

RETURN = r"""
_list:
  description: The chart's documents.
  type: list
  elements: dict
"""

from typing import Any

import yaml
from ansible.plugins.lookup import LookupBase

from ..plugin_utils._command import plain, yaml_documents


class LookupModule(LookupBase):  # type: ignore[misc] # ansible-core has no types
    """Lookup ``helm_template``."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[Any]:
        """Return the documents of all charts; one list for one chart, as ``lookup()`` unwraps it."""
        self.set_options(var_options=variables, direct=kwargs)
        rendered = []
        for chart in terms:
            argv = [
                self.get_option("binary_path"),
                "template",
                self.get_option("release_name"),
                chart,
                "--namespace",
                self.get_option("release_namespace"),
                "--values",
                "-",
            ]
            if self.get_option("include_crds"):
                argv.append("--include-crds")
            if self.get_option("kube_version"):
                argv += ["--kube-version", self.get_option("kube_version")]
            rendered.append(yaml_documents(argv, stdin=yaml.safe_dump(plain(self.get_option("release_values")))))
        return rendered
