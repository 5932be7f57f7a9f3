#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read everything that preflight must know of a host, and prove the paths between hosts."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_preflight
short_description: Read what preflight must know of a host, in one call
version_added: 0.1.0
description:
  - With O(phase=gather), reads the host, and opens temporary listeners on the ports that are free.
  - With O(phase=mesh), connects to the listeners and services of the other hosts, compares the clocks and sends packets
    of full size.
  - The listeners are a process that ends when all peers are done, and at the latest after O(listen_seconds).
  - Changes nothing on the host. What was found is judged by M(onprem.platform.preflight_evaluate).
author:
  - onprem.platform contributors (@onprem-platform)
options:
  phase:
    description: What to do.
    type: str
    choices: [gather, mesh]
    default: gather
  address:
    description: Address of this host that the others use; with O(phase=gather) listeners are bound to it.
    type: str
    required: true
  ports:
    description: Ports that the platform needs on this host, such as V(6443/tcp).
    type: list
    elements: str
    default: []
  local_ports:
    description: Ports that are used on the loopback interface only; they must be free, but are not tried by others.
    type: list
    elements: str
    default: []
  token:
    description: Any word that is the same for all hosts of a run. Made from the run itself when not given.
    type: str
  listen_seconds:
    description: Longest life of the listeners. With V(0) nothing listens.
    type: int
    default: 0
  paths:
    description: Directories whose free space matters.
    type: list
    elements: str
    default: [/, /var/lib/containerd, /var/lib/kubelet, /var/lib/etcd, /usr/local/bin]
  kernel_features:
    description: Kernel options to look up, such as V(CONFIG_OVERLAY_FS).
    type: list
    elements: str
    default: []
  certificates:
    description: Patterns of certificate files whose end of validity is read.
    type: list
    elements: str
    default: []
  disk_probe_seconds:
    description:
      - How long to measure synchronised writes to a nameless file below C(/var/lib/etcd). V(0) does not write.
      - Where etcd has data already, nothing is measured.
    type: float
    default: 0
  name:
    description: Name of this host for O(phase=mesh).
    type: str
    default: ''
  hosts:
    description: Names of all hosts, for O(phase=mesh). Their facts are taken from O(facts_variable).
    type: list
    elements: str
    default: []
  facts_variable:
    description: Name under which the result of O(phase=gather) was registered.
    type: str
    default: __preflight_facts
  timeout:
    description: Seconds for each connection of O(phase=mesh).
    type: float
    default: 3
  _targets:
    description: Set by the action plugin; what is known of each host of O(hosts).
    type: list
    elements: dict
    default: []
extends_documentation_fragment:
  - onprem.platform.attributes
  - onprem.platform.attributes.info
"""

EXAMPLES = r"""
- name: Read the host
  onprem.platform.host_preflight:
    address: "{{ ansible_host | default('127.0.0.1') }}"
    ports: [10250/tcp, 8472/udp]
    local_ports: [7443/tcp]
  register: __preflight_facts
"""

RETURN = r"""
facts:
  description: What was read, with O(phase=gather).
  returned: O(phase=gather)
  type: dict
  contains:
    os:
      description: Distribution, kernel, processor type, Python, systemd, root.
      type: dict
    capacity:
      description: Processors, memory and free space in bytes.
      type: dict
    identity:
      description: Host name, machine id and product UUID.
      type: dict
    network:
      description: Addresses, interfaces, routes and nameservers.
      type: dict
    clock:
      description: Seconds since the epoch, synchronised or not, and the difference to the controller in seconds.
      type: dict
    ports:
      description: Ports in use with their process, ports listening for the mesh, ports that could not be opened.
      type: dict
    remains:
      description: Traces of a cluster.
      type: dict
mesh:
  description: Per peer the refused ports, the clock's offset in seconds and the size of packet that got through.
  returned: O(phase=mesh)
  type: list
  elements: dict
  contains:
    host:
      description: Name of the peer.
      type: str
    refused:
      description: Reason per port.
      type: dict
    offset:
      description: How far the peer's clock is ahead, in seconds.
      type: float
    path_mtu:
      description: Size that was carried, 0 when the full size was not; empty when it could not be tried.
      type: int
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils import _preflight_facts as facts
from ..module_utils._host import Host
from ..module_utils._preflight_mesh import detach, end_leftovers, open_listeners, probe


def gather(host: Host, parameters: dict[str, Any]) -> dict[str, Any]:
    """Read the host and leave the listeners behind."""
    now = facts.clock()
    ports, local = parameters["ports"], parameters["local_ports"]
    end_leftovers()
    used = facts.sockets(host, [*ports, *local])
    listening: list[str] = []
    refused: dict[str, str] = {}
    if parameters["listen_seconds"]:
        opened, refused = open_listeners(parameters["address"], [port for port in ports if port not in used])
        if opened:
            detach(list(opened.values()), parameters["token"], parameters["listen_seconds"])
        listening = list(opened)
    network = {"addresses": facts.addresses(), "interfaces": facts.interfaces(host), "routes": facts.routes(host)}
    found = {
        "os": facts.operating_system(host),
        "capacity": facts.capacity(host, parameters["paths"]),
        "identity": facts.identity(host),
        "network": {**network, **facts.resolver(host)},
        "clock": now,
        "swap": facts.swap(host),
        "cgroup": facts.cgroup_version(host),
        "kernel_features": facts.kernel_features(host, parameters["kernel_features"]),
        "ports": {
            "used": used,
            "listening": listening,
            "reachable": [port for port in ports if port in used and port.endswith("/tcp")],
            "refused": refused,
        },
        "remains": facts.remains(host),
        "certificates": facts.certificates(host, parameters["certificates"]),
        "firewalls": facts.firewalls(host),
        "address": parameters["address"],
    }
    # Where etcd runs already, a probe would only disturb it.
    if parameters["disk_probe_seconds"] and "/var/lib/etcd/member" not in found["remains"]["files"]:
        found["sync_milliseconds"] = facts.sync_milliseconds(host, "/var/lib/etcd", parameters["disk_probe_seconds"])
    return found


def argument_spec() -> dict[str, Any]:
    """Options as documented, and the targets that the action plugin fills in."""
    names = {"type": "list", "elements": "str", "default": []}
    return {
        "phase": {"type": "str", "choices": ["gather", "mesh"], "default": "gather"},
        "address": {"type": "str", "required": True},
        "ports": names,
        "local_ports": names,
        # Not a secret: it only tells the listeners of this run from other programs.
        "token": {"type": "str", "no_log": False},
        "listen_seconds": {"type": "int", "default": 0},
        "paths": {
            **names,
            "default": ["/", "/var/lib/containerd", "/var/lib/kubelet", "/var/lib/etcd", "/usr/local/bin"],
        },
        "kernel_features": names,
        "certificates": names,
        "disk_probe_seconds": {"type": "float", "default": 0},
        "name": {"type": "str", "default": ""},
        "hosts": names,
        "facts_variable": {"type": "str", "default": "__preflight_facts"},
        "timeout": {"type": "float", "default": 3},
        "_targets": {"type": "list", "elements": "dict", "default": []},
    }


def main() -> None:
    """Entry point."""
    module = AnsibleModule(argument_spec=argument_spec(), supports_check_mode=True)
    parameters = module.params
    if parameters["phase"] == "mesh":
        found = probe(parameters["_targets"], parameters["name"], parameters["token"], parameters["timeout"])
        module.exit_json(changed=False, mesh=found)
    module.exit_json(changed=False, facts=gather(Host(), parameters))


if __name__ == "__main__":
    main()
