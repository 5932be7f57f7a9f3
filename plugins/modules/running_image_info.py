#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell which images run in the pods of a cluster."""

from __future__ import annotations

DOCUMENTATION = r"""
module: running_image_info
version_added: 0.1.0
short_description: Tell which images run in the pods of a cluster
author: onprem.platform contributors (@onprem-platform)
description:
  - Lists the images of all pods by the digests that the kubelets report, whatever the pods ask for. It is one request.
  - Pods that have ended run nothing and are left out. Init containers of other pods count, even after their end.
options:
  exclude_namespaces:
    description: Namespaces whose pods are left out, as patterns such as V(tenant-*).
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - onprem.platform.kubernetes
  - onprem.platform.attributes
  - onprem.platform.attributes.k8s
  - onprem.platform.attributes.info
seealso:
  - module: onprem.platform.image_chain_info
  - module: onprem.platform.image_vulnerability_info
"""

EXAMPLES = r"""
- name: What runs on the platform?
  onprem.platform.running_image_info:
    exclude_namespaces: [tenant-*]
  register: running
"""

RETURN = r"""
images:
  description: Every image that runs, ordered by digest.
  returned: success
  type: list
  elements: dict
  contains:
    digest:
      description: Digest that the kubelet reports; empty when it reports none.
      type: str
      sample: sha256:7d0ba9a2c1f04ee8a7ff0d5cbd1a1e6ac7fcb66ad8c0bd6d3c3a2fa6ba1e9c01
    names:
      description: How pods name it.
      type: list
      elements: str
      sample: ["registry.platform.internal:5000/shop:1.0.0"]
    containers:
      description: Where it runs, as namespace, pod and container.
      type: list
      elements: str
      sample: [shop/shop-7d9f-abcde/web]
failure:
  description: Code, reason and message of the error.
  returned: failure
  type: dict
"""

from fnmatch import fnmatchcase
from typing import Any

from ..module_utils._kube_module import KubeModule
from ..module_utils._pod_containers import containers


def work(module: KubeModule) -> dict[str, Any]:
    """Read all pods; raises KubeError."""
    found: dict[str, dict[str, set[str]]] = {}
    for pod in module.client.get("/api/v1/pods").get("items") or []:
        namespace = pod["metadata"]["namespace"]
        excluded = any(fnmatchcase(namespace, pattern) for pattern in module.params["exclude_namespaces"])
        if excluded or (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
            continue
        for container in containers(pod):
            # Without it the container has not been made yet.
            if container.image_id:
                image = found.setdefault(container.running_digest, {"names": set(), "containers": set()})
                image["names"].add(container.image)
                image["containers"].add(f"{namespace}/{container.pod}/{container.name}")
    images = [
        {"digest": digest, "names": sorted(image["names"]), "containers": sorted(image["containers"])}
        for digest, image in sorted(found.items())
    ]
    return {"changed": False, "images": images}


def main() -> None:
    """Entry point of the module."""
    KubeModule(argument_spec={"exclude_namespaces": {"type": "list", "elements": "str", "default": []}}).run(work)


if __name__ == "__main__":
    main()
