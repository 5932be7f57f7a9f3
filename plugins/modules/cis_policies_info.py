#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge a cluster's objects by section 5 of the CIS Kubernetes benchmark."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cis_policies_info
short_description: Judge a cluster's objects by section 5 of the CIS Kubernetes benchmark
version_added: 0.1.0
author:
  - onprem.platform contributors (@onprem-platform)
description:
  - Reads pods, roles, bindings, service accounts, namespaces, NetworkPolicies and admission webhooks, and judges them
    under the ids of the profile cis-2.0. Secrets are not read.
  - The profile leaves the section to people. What objects show is executed here, and what is not as wanted is C(FAIL)
    with the names of the objects, so that waivers can name them too.
options:
  kubelets_default_seccomp:
    description: Whether every kubelet has C(seccompDefault), so that containers without a profile have the runtime's.
    type: bool
    default: false
extends_documentation_fragment:
  - onprem.platform.kubernetes
  - onprem.platform.attributes
  - onprem.platform.attributes.info
  - onprem.platform.attributes.k8s
seealso:
  - module: onprem.platform.cis_benchmark_info
  - plugin: onprem.platform.cis_report
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Judge the cluster's objects
  onprem.platform.cis_policies_info:
    kubelets_default_seccomp: true
  register: policies
"""

RETURN = r"""
results:
  description: One judgement for each id.
  returned: success
  type: list
  elements: dict
  contains:
    id: {description: Id in the profile., type: str, sample: 5.2.2}
    title: {description: What is wanted., type: str}
    host: {description: Always V(cluster)., type: str}
    status: {description: 'V(PASS), V(FAIL) or V(MANUAL).', type: str}
    found: {description: What was found., type: str}
    remedy: {description: What to do; empty when nothing., type: str}
    objects: {description: The objects that are not as wanted., type: list, elements: str}
workloads:
  description: Workload (C(namespace/name)) of each pod, by the UID that the pod's control group carries.
  returned: success
  type: dict
failure:
  description: Code, reason and message of the error.
  returned: failure
  type: dict
  contains:
    code: {description: The server's status; 0 when there was none., type: int}
    reason: {description: The machine-readable word for the error., type: str}
    message: {description: The error's message., type: str}
"""

from typing import Any

from ..module_utils._cis_policies import Policies, pod_identities
from ..module_utils._kube_module import KubeModule

RBAC = "/apis/rbac.authorization.k8s.io/v1"
PATHS = {
    "pods": "/api/v1/pods",
    "namespaces": "/api/v1/namespaces",
    "serviceaccounts": "/api/v1/serviceaccounts",
    "clusterroles": f"{RBAC}/clusterroles",
    "roles": f"{RBAC}/roles",
    "clusterrolebindings": f"{RBAC}/clusterrolebindings",
    "rolebindings": f"{RBAC}/rolebindings",
    "networkpolicies": "/apis/networking.k8s.io/v1/networkpolicies",
    "validatingwebhookconfigurations": "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
}


def work(module: KubeModule) -> dict[str, Any]:
    """Read and judge; raises KubeError."""
    objects = {name: list(module.client.get(path).get("items") or []) for name, path in PATHS.items()}
    policies = Policies(objects, module.params["kubelets_default_seccomp"])
    return {"changed": False, "results": policies.judge(), "workloads": pod_identities(objects["pods"])}


def main() -> None:
    """Entry point of the module."""
    KubeModule(argument_spec={"kubelets_default_seccomp": {"type": "bool", "default": False}}).run(work)


if __name__ == "__main__":
    main()
