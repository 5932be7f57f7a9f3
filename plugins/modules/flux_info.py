#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: flux_info
version_added: 0.1.0
short_description: Read the state of Flux objects
author: onprem.platform contributors (@onprem-platform)
description:
  - Reads sources, Kustomizations and HelmReleases and says of each whether Flux has reconciled its newest generation.
options:
  kinds:
    description: Kinds to read. A kind that the cluster does not serve has no objects.
    type: list
    elements: str
    choices: [OCIRepository, GitRepository, HelmRepository, HelmChart, Bucket, Kustomization, HelmRelease]
    default: [OCIRepository, GitRepository, HelmRepository, HelmChart, Bucket, Kustomization, HelmRelease]
  namespace:
    description: Namespace; without it, the whole cluster.
    type: str
  name:
    description: Name; without it, all objects.
    type: str
  label_selectors:
    description: Label selectors that the objects fit.
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - onprem.platform.kubernetes
  - onprem.platform.attributes
  - onprem.platform.attributes.info
  - onprem.platform.attributes.k8s
seealso:
  - module: onprem.platform.flux_reconcile
"""

EXAMPLES = r"""
- name: All Flux objects
  onprem.platform.flux_info:
  register: flux

- name: Those that are not ready
  ansible.builtin.debug:
    msg: "{{ flux.objects | rejectattr('ready') | map(attribute='message') | list }}"
"""

RETURN = r"""
objects:
  description: The objects, by kind, namespace and name.
  returned: success
  type: list
  elements: dict
  contains:
    kind:
      description: The object's kind.
      type: str
      sample: HelmRelease
    namespace:
      description: The object's namespace.
      type: str
      sample: shop
    name:
      description: The object's name.
      type: str
      sample: web
    ready:
      description: Whether Flux has reconciled the newest generation with success.
      type: bool
      sample: true
    state:
      description: One of V(ready), V(progressing), V(failed).
      type: str
      sample: ready
    message:
      description: What Flux says about the state.
      type: str
      sample: Helm upgrade succeeded
    suspended:
      description: Whether the object is suspended.
      type: bool
      sample: false
    revision:
      description: The revision fetched, applied or released last.
      type: str
      sample: 1.0.0
    conditions:
      description: The object's conditions.
      type: list
      elements: dict
      sample: []
ready:
  description: Whether all objects are ready, apart from suspended ones.
  returned: success
  type: bool
  sample: true
requests:
  description: Requests sent to the API server.
  returned: always
  type: int
  sample: 4
writes:
  description: Requests among them that could change something.
  returned: always
  type: int
  sample: 0
failure:
  description: Code, reason and message of the error.
  returned: failure
  type: dict
  contains:
    code:
      description: HTTP status, 0 if no answer was involved.
      type: int
      sample: 0
    reason:
      description: The machine-readable word for the error.
      type: str
      sample: Wait
    message:
      description: The error's message.
      type: str
      sample: "Kustomization flux-system/platform has failed"
"""

from typing import Any

from ..module_utils._flux import API_VERSIONS
from ..module_utils._flux_status import summary
from ..module_utils._kube_module import KubeModule
from ..module_utils._kube_resources import Resources, UnknownKindError


def work(module: KubeModule) -> dict[str, Any]:
    """List each kind once; raises KubeError."""
    params = module.params
    resources = Resources(module.client)
    query = {
        "fieldSelector": f"metadata.name={params['name']}" if params["name"] else "",
        "labelSelector": ",".join(params["label_selectors"]),
    }
    found = []
    for kind in params["kinds"]:
        try:
            path = resources.find(API_VERSIONS[kind], kind).collection(params["namespace"])
        except UnknownKindError:
            continue
        items = module.client.get(path, query).get("items") or []
        found += [summary({"apiVersion": API_VERSIONS[kind], "kind": kind, **item}) for item in items]
    ready = all(item["ready"] or item["suspended"] for item in found)
    return {"changed": False, "objects": found, "ready": ready, **module.request_counts()}


def main() -> None:
    """Entry point of the module."""
    kinds = list(API_VERSIONS)
    KubeModule(
        argument_spec={
            "kinds": {"type": "list", "elements": "str", "choices": kinds, "default": kinds},
            "namespace": {"type": "str"},
            "name": {"type": "str"},
            "label_selectors": {"type": "list", "elements": "str", "default": []},
        }
    ).run(work)


if __name__ == "__main__":
    main()
