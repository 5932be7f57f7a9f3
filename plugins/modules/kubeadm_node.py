#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Initialise a cluster on a host, join the host to one, or take kubeadm off it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kubeadm_node
short_description: Initialise a cluster on a host, join the host to one, or take kubeadm off it
version_added: 0.1.0
author:
  - onprem.platform contributors (@onprem-platform)
description:
  - Runs C(kubeadm init), C(kubeadm join) or C(kubeadm reset) and judges the outcome by the state that is left, because
    a failed command may have joined the node and a successful one may not.
  - Tokens and keys reach kubeadm through memory; no file and no process argument holds them.
  - Control planes of one run join one after the other, workers all at once. The next control plane begins when etcd has
    promoted the member before, every member is healthy and the new API server is ready.
  - A failed join is repeated once after a reset. The error shows the end of kubeadm's and the kubelet's messages.
extends_documentation_fragment:
  - onprem.platform.attributes
attributes:
  check_mode:
    support: full
    details: Says what would be done.
  diff_mode:
    support: full
    details: Shows the node's state before and after.
  idempotent:
    support: full
    details: A node whose files are complete is left alone, unless O(reset_first=true).
options:
  state:
    description:
      - Whether the host is part of a cluster.
      - V(prepared) only fetches O(images). Hosts that join later do so while another one is initialised.
    type: str
    choices: [present, prepared, absent]
    default: present
  role:
    description: V(init) makes the cluster on this host; the others join one.
    type: str
    choices: [init, control_plane, worker]
    default: worker
  node_name:
    description: Name of the node.
    type: str
    required: true
  advertise_address:
    description: Address of this node's API server and etcd member.
    type: str
    required: true
  bind_port:
    description: Port of this node's API server.
    type: int
    default: 6443
  configuration:
    description:
      - kubeadm's documents (C(kubeadm.k8s.io/v1beta4)) without tokens, keys and discovery, which this module adds.
      - Needed with O(state=present).
    type: list
    elements: dict
    default: []
  images:
    description:
      - Images that the container runtime fetches with O(state=prepared), as C(registry/repository:tag) or
        C(registry/repository@digest). What it has already is not fetched again.
    type: list
    elements: str
    default: []
  token:
    description: Bootstrap token. Needed to join.
    type: str
  certificate_key:
    description: Key of the Secret C(kubeadm-certs). Needed to join as control plane.
    type: str
  server:
    description: Address of the API for discovery, such as V(https://api.platform.internal:7443). Needed to join.
    type: str
  ca_certificate:
    description: The cluster's authority (PEM). Needed to join.
    type: str
  resume:
    description: Go on with an initialisation that was stopped. Used with O(role=init).
    type: bool
    default: false
  reset_first:
    description: Reset the host before it joins, because an earlier join was not finished.
    type: bool
    default: false
  reconfigure:
    description:
      - Bring a joined node to the changed O(configuration), the documents of an initialisation - static pods of a
        control plane, one control plane at a time, and the kubelet.
      - Arguments of etcd and names in existing certificates are not changed.
    type: bool
    default: false
  upload:
    description: With O(reconfigure=true), also renew the cluster's own record and kube-proxy. Once per cluster, first.
    type: bool
    default: false
  whole_cluster:
    description:
      - With O(state=absent), all control planes are reset in this run, so etcd members need not be removed.
      - Without it a control plane takes its member out of etcd first.
    type: bool
    default: false
  timeout:
    description: Seconds that each kubeadm command may take.
    type: int
    default: 600
seealso:
  - module: onprem.platform.kubeadm_info
  - module: onprem.platform.kubeadm_join_credentials
"""

EXAMPLES = r"""
- name: Make a cluster
  onprem.platform.kubeadm_node:
    role: init
    node_name: cp1
    advertise_address: 192.0.2.11
    configuration:
      - apiVersion: kubeadm.k8s.io/v1beta4
        kind: InitConfiguration
        localAPIEndpoint: {advertiseAddress: 192.0.2.11, bindPort: 6443}
        nodeRegistration: {name: cp1, criSocket: unix:///run/containerd/containerd.sock}
      - apiVersion: kubeadm.k8s.io/v1beta4
        kind: ClusterConfiguration
        kubernetesVersion: v1.36.3
        controlPlaneEndpoint: api.platform.internal:7443

- name: Join a worker
  onprem.platform.kubeadm_node:
    role: worker
    node_name: w1
    advertise_address: 192.0.2.21
    token: "{{ credentials.token }}"
    server: https://api.platform.internal:7443
    ca_certificate: "{{ plan.ca_certificate }}"
    configuration:
      - apiVersion: kubeadm.k8s.io/v1beta4
        kind: JoinConfiguration
        nodeRegistration: {name: w1, criSocket: unix:///run/containerd/containerd.sock}

- name: Fetch images before the node joins
  onprem.platform.kubeadm_node:
    state: prepared
    node_name: w2
    advertise_address: 192.0.2.22
    images: ["registry.platform.internal:5000/kube-proxy:v1.36.3"]

- name: Take kubeadm and its remains off the host
  onprem.platform.kubeadm_node:
    state: absent
    node_name: w1
    advertise_address: 192.0.2.21
"""

RETURN = r"""
actions:
  description: What was done, or would be done.
  returned: always
  type: list
  elements: str
phases:
  description: kubeadm's phases with their seconds.
  returned: when kubeadm ran
  type: list
  elements: dict
  contains:
    name: {description: Name of the phase as kubeadm prints it., type: str}
    seconds: {description: How long it took., type: float}
"""

import contextlib
import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils import _container_images as container_images
from ..module_utils import _kubeadm_node as node
from ..module_utils._kubeadm_api import KubeadmError
from ..module_utils._kubeadm_run import host_lock

ARGUMENTS = {
    "state": {"type": "str", "choices": ["present", "prepared", "absent"], "default": "present"},
    "role": {"type": "str", "choices": ["init", "control_plane", "worker"], "default": "worker"},
    "node_name": {"type": "str", "required": True},
    "advertise_address": {"type": "str", "required": True},
    "bind_port": {"type": "int", "default": 6443},
    "configuration": {"type": "list", "elements": "dict", "default": []},
    "images": {"type": "list", "elements": "str", "default": []},
    "token": {"type": "str", "no_log": True},
    "certificate_key": {"type": "str", "no_log": True},
    "server": {"type": "str"},
    "ca_certificate": {"type": "str"},
    "resume": {"type": "bool", "default": False},
    "reset_first": {"type": "bool", "default": False},
    "reconfigure": {"type": "bool", "default": False},
    "upload": {"type": "bool", "default": False},
    "whole_cluster": {"type": "bool", "default": False},
    "timeout": {"type": "int", "default": 600},
}


def target_of(parameters: dict[str, Any]) -> node.Target:
    """The node that the parameters describe."""
    role = "control_plane" if parameters["role"] == "init" else parameters["role"]
    return node.Target(
        name=parameters["node_name"],
        role=role,
        configuration=parameters["configuration"],
        advertise_address=parameters["advertise_address"],
        bind_port=parameters["bind_port"],
        timeout=parameters["timeout"],
        token=parameters["token"] or "",
        certificate_key=parameters["certificate_key"] or "",
        server=parameters["server"] or "",
        ca_certificate=parameters["ca_certificate"] or "",
    )


def prepare(parameters: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Fetch the images that the host lacks; returns the module's result. Raises KubeadmError."""
    missing = container_images.missing(parameters["images"])
    started = time.monotonic()
    if not check_mode:
        container_images.fetch(missing, parameters["timeout"])
    return {
        "changed": bool(missing),
        "actions": [f"fetch {image}" if check_mode else f"fetched {image}" for image in missing],
        "phases": [{"name": "images", "seconds": round(time.monotonic() - started, 1)}],
        "diff": {"before": "", "after": "".join(f"{image}\n" for image in missing)},
    }


def ensure(parameters: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Bring the host to the wanted state; returns the module's result. Raises KubeadmError."""
    if parameters["state"] == "prepared":
        return prepare(parameters, check_mode)
    target = target_of(parameters)
    report = node.Report()
    if parameters["state"] == "absent":
        remains = node.something_to_remove(target)
        if remains and check_mode:
            report.actions.append("reset the host")
        elif remains:
            node.remove(target, report, parameters["whole_cluster"])
        before = "\n".join(remains)
    else:
        files = node.files_of(target)
        before = "joined" if node.is_complete(target, files) else ", ".join(node.leftovers(files)) or "absent"
        done = before == "joined" and not parameters["reset_first"] and not parameters["resume"]
        if parameters["reconfigure"] and done:
            if check_mode:
                report.actions.append("renew the configuration")
            else:
                node.reconfigure(target, report, parameters["upload"])
        elif not done and check_mode:
            report.actions.append(
                f"kubeadm {'init' if parameters['role'] == 'init' else 'join'} ({parameters['role']})"
            )
        elif not done and parameters["role"] == "init":
            node.initialise(target, report)
        elif not done:
            node.join(target, report, parameters["reset_first"])
    changed = bool(report.actions)
    after = before if not changed else "" if parameters["state"] == "absent" else "joined"
    return {
        "changed": changed,
        "actions": report.actions,
        "phases": report.phases,
        "diff": {"before": f"{before}\n", "after": f"{after}\n"},
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    parameters = module.params
    if parameters["state"] == "present":
        needed = ["configuration"]
        joins = parameters["role"] != "init" and not module.check_mode and not parameters["reconfigure"]
        if joins:
            needed += ["token", "server", "ca_certificate"]
        if joins and parameters["role"] == "control_plane":
            needed.append("certificate_key")
        missing = [name for name in needed if not parameters[name]]
        if missing:
            module.fail_json(msg=f"role={parameters['role']} needs: {', '.join(missing)}")
    try:
        with contextlib.nullcontext() if module.check_mode else host_lock(parameters["timeout"]):
            result = ensure(parameters, module.check_mode)
    except KubeadmError as error:
        module.fail_json(msg=f"{parameters['node_name']}: {error}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
