#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read what a host holds of a kubeadm cluster, and what the cluster knows of its nodes."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kubeadm_info
short_description: Read what a host holds of a kubeadm cluster, and what the cluster knows of its nodes
version_added: 0.1.0
author:
  - onprem.platform contributors (@onprem-platform)
description:
  - Looks at files, unit and certificates of the host, and on a control plane at the API and the etcd members.
  - It does not judge. The filter P(onprem.platform.kubeadm_plan#filter) puts the answers of all hosts together, finds
    each node's state and says what to do.
  - Needs no Python package and no kubeadm on the host; on a bare host everything is empty.
extends_documentation_fragment:
  - onprem.platform.attributes
  - onprem.platform.attributes.info
options:
  node_name:
    description: Name of the node in the cluster.
    type: str
    required: true
  advertise_address:
    description: Address at which this host's own API server listens.
    type: str
    required: true
  bind_port:
    description: Port of this host's own API server.
    type: int
    default: 6443
  control_plane:
    description: Ask the API and etcd as well. Only a control plane holds the credentials.
    type: bool
    default: false
  starting_timeout:
    description:
      - Seconds to wait for the API when the kubelet runs and the API server's manifest is there but nothing answers,
        as after a start of the host.
    type: int
    default: 300
  ready_timeout:
    description:
      - Seconds to wait for this host's own API server while that of another host answers. Under load a server is not
        ready for moments, and the controller would turn to another one for that.
    type: int
    default: 20
  running_timeout:
    description: Seconds to wait for the end of what a killed run started on this host.
    type: int
    default: 600
  kubernetes_directory:
    description: Directory of kubeadm's files.
    type: path
    default: /etc/kubernetes
  kubelet_directory:
    description: Directory of the kubelet.
    type: path
    default: /var/lib/kubelet
  etcd_directory:
    description: Data directory of etcd.
    type: path
    default: /var/lib/etcd
seealso:
  - plugin: onprem.platform.kubeadm_plan
    plugin_type: filter
  - module: onprem.platform.kubeadm_node
"""

EXAMPLES = r"""
- name: Read the state of this control plane
  onprem.platform.kubeadm_info:
    node_name: "{{ inventory_hostname }}"
    advertise_address: 192.0.2.11
    control_plane: true
  register: kubeadm
"""

RETURN = r"""
node_name:
  description: Name of the node.
  returned: always
  type: str
files:
  description: Which files are there.
  returned: always
  type: dict
  contains:
    kubelet_conf: {description: The kubelet's own kubeconfig., type: bool}
    bootstrap_kubelet_conf: {description: What an unfinished join leaves., type: bool}
    kubelet_configuration: {description: The kubelet's configuration., type: bool}
    admin_conf: {description: The administrator's kubeconfig., type: bool}
    super_admin_conf: {description: The kubeconfig that bypasses RBAC., type: bool}
    manifests: {description: Names of kubeadm's static pods., type: list, elements: str}
    etcd_data: {description: Data of an etcd member., type: bool}
static_pods:
  description: For each static pod its C(arguments), and as C(configuration) the checksum of the files it reads.
  returned: always
  type: dict
kubelet_configuration:
  description: The kubelet's configuration (YAML); empty when there is none.
  returned: always
  type: str
ca_certificate:
  description: The cluster's authority as PEM; empty when there is none.
  returned: always
  type: str
ca_fingerprint:
  description: SHA-256 of the authority in hexadecimal; empty when there is none.
  returned: always
  type: str
ca_private_key:
  description: Whether the authority's private key is on this host.
  returned: always
  type: bool
client_certificate:
  description: Common name and end of the kubelet's client certificate; empty when there is none.
  returned: always
  type: dict
kubelet_active:
  description: Whether the kubelet runs.
  returned: always
  type: bool
encryption_sha256:
  description: SHA-256 of the API server's encryption configuration; empty when there is none.
  returned: always
  type: str
waited:
  description:
    - Whether what another run had started on this host had to end first. Answers that other hosts gave meanwhile are
      older than its outcome, so ask all again.
  returned: always
  type: bool
api_local:
  description: Whether the API server of this host itself answered.
  returned: always
  type: bool
cluster_error:
  description: Why the cluster could not be asked.
  returned: always
  type: str
cluster:
  description: What the cluster knows; null when it was not asked or does not answer.
  returned: always
  type: dict
  contains:
    endpoint: {description: The API server that was asked., type: str}
    nodes:
      description: Nodes with name, uid, ready, reason, control_plane, kubelet_version, internal_ip, unschedulable.
      type: list
      elements: dict
    etcd_members: {description: 'Members with id, name, learner, peer_urls, client_urls.', type: list, elements: dict}
    cluster_configuration: {description: kubeadm's ClusterConfiguration (YAML)., type: str}
    kubelet_configuration: {description: KubeletConfiguration (YAML)., type: str}
    kube_proxy_configuration: {description: KubeProxyConfiguration (YAML)., type: str}
    dns: {description: Whether CoreDNS is deployed., type: bool}
    bootstrap_tokens: {description: Secrets of join tokens of this collection., type: list, elements: str}
    certificates_secret: {description: Whether the Secret kubeadm-certs exists., type: bool}
"""

import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils import _kubeadm_state as state
from ..module_utils._kubeadm_api import KubeadmError
from ..module_utils._kubeadm_run import host_lock

ARGUMENTS = {
    "node_name": {"type": "str", "required": True},
    "advertise_address": {"type": "str", "required": True},
    "bind_port": {"type": "int", "default": 6443},
    "control_plane": {"type": "bool", "default": False},
    "starting_timeout": {"type": "int", "default": 300},
    "ready_timeout": {"type": "int", "default": 20},
    "running_timeout": {"type": "int", "default": 600},
    "kubernetes_directory": {"type": "path", "default": "/etc/kubernetes"},
    "kubelet_directory": {"type": "path", "default": "/var/lib/kubelet"},
    "etcd_directory": {"type": "path", "default": "/var/lib/etcd"},
}


def gather(parameters: dict[str, Any]) -> dict[str, Any]:
    """The module's result."""
    facts = state.host_facts(
        parameters["kubernetes_directory"], parameters["kubelet_directory"], parameters["etcd_directory"]
    )
    facts.update(node_name=parameters["node_name"], cluster=None, cluster_error="not asked", api_local=False)
    if not parameters["control_plane"] or not facts["files"]["admin_conf"]:
        return facts
    # A host that just started answers in seconds; to judge it before would look like a lost cluster.
    starting = facts["kubelet_active"] and "kube-apiserver" in facts["files"]["manifests"]
    begin = time.monotonic()
    address = (parameters["kubernetes_directory"], parameters["advertise_address"], parameters["bind_port"])
    while True:
        facts["cluster"], facts["cluster_error"], facts["api_local"] = state.view_or_reason(*address, timeout=10)
        patience = parameters["starting_timeout" if facts["cluster"] is None else "ready_timeout"]
        if facts["api_local"] or not starting or time.monotonic() - begin >= patience:
            return facts
        time.sleep(1)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    try:
        with host_lock(module.params["running_timeout"]) as waited:
            facts = gather(module.params)
    except KubeadmError as error:
        module.fail_json(msg=f"{module.params['node_name']}: {error}")
    module.exit_json(changed=False, waited=waited, **facts)


if __name__ == "__main__":
    main()
