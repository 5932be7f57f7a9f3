#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Create, start and remove the machines of one lab with their network and firewall."""

from __future__ import annotations

DOCUMENTATION = r"""
module: lab_nodes
short_description: Create and remove the machines of the lab
version_added: 0.1.0
description:
  - Keeps a set of systemd machines as podman containers, with their volumes, a bridge network of fixed addresses, a
    firewall that lets nothing out of this network, and the kernel settings of the host that such machines need.
  - Touches only what carries the label C(onprem.platform.lab) with the name of this lab.
  - Kernel settings are raised, never lowered, and not put back when the lab is removed, since other labs may need them.
author: onprem.platform contributors (@onprem-platform)
extends_documentation_fragment: [onprem.platform.attributes]
requirements: [podman, runc, netavark, nftables, iproute2]
options:
  name:
    description: Name of the lab. Prefix of all that it owns.
    type: str
    required: true
  state:
    description: Whether the lab exists.
    type: str
    choices: [present, absent]
    default: present
  nodes:
    description: The machines. Required with O(state=present).
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Host name.
        type: str
        required: true
      number:
        description: Host part of the address, 2 to 254.
        type: int
        required: true
  recreate:
    description: Names of machines to remove and make anew.
    type: list
    elements: str
    default: []
  image:
    description: Image of the machines. Required with O(state=present).
    type: str
  authorized_key:
    description: Public SSH key that root of each machine accepts. Required with O(state=present).
    type: str
  runtime:
    description: OCI runtime that podman uses.
    type: path
    default: /usr/sbin/runc
  subnet_pool:
    description: Private range from which the lab takes a free /24.
    type: str
    default: 172.30.0.0/16
  open_files:
    description: Hard limit of open files in a machine.
    type: int
    default: 20000
  processes:
    description: Hard limit of processes of one user in a machine.
    type: int
    default: 8192
  kernel_settings:
    description: Kernel settings of the host with the least value that each must have.
    type: dict
    default: {}
  timeout:
    description: Seconds within which started machines must answer.
    type: int
    default: 60
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: Shows machines, network, firewall and kernel settings before and after.
  idempotent:
    support: full
    details: Except for O(recreate), which makes the named machines anew each time.
"""

EXAMPLES = r"""
- name: Two machines
  onprem.platform.lab_nodes:
    name: onprem-lab-example
    image: "{{ image.image }}"
    authorized_key: "{{ lookup('ansible.builtin.file', '~/.ssh/id_ed25519.pub') }}"
    nodes:
      - {name: cp1, number: 11}
      - {name: w1, number: 21}
    kernel_settings:
      fs.inotify.max_user_instances: 8192
  become: true

- name: No machine any more
  onprem.platform.lab_nodes:
    name: onprem-lab-example
    state: absent
  become: true
"""

RETURN = r"""
network:
  description: The network of the lab; empty when there is none.
  returned: always
  type: dict
  contains:
    name: {description: Name of the podman network., type: str}
    subnet: {description: Range in CIDR form., type: str}
    gateway: {description: Address of the host in it., type: str}
    bridge: {description: Interface on the host. Empty in check mode before it exists., type: str}
nodes:
  description: The machines that exist after the run, in the order of O(nodes).
  returned: always
  type: list
  elements: dict
  contains:
    name: {description: Host name., type: str}
    address: {description: IPv4 address., type: str}
    container: {description: Name of the container., type: str}
    image: {description: Image that it was made from., type: str}
    host_key: {description: Public SSH host key. Empty in check mode before it exists., type: str}
created:
  description: Names of machines made.
  returned: always
  type: list
  elements: str
started:
  description: Names of machines that had stopped and were started.
  returned: always
  type: list
  elements: str
removed:
  description: Names of machines removed.
  returned: always
  type: list
  elements: str
outdated:
  description: Names of machines that were made from another image than the wanted one. They are left as they are.
  returned: always
  type: list
  elements: str
kernel_settings:
  description: Each kernel setting.
  returned: always
  type: list
  elements: dict
  contains:
    name: {description: Name., type: str}
    before: {description: Value found., type: int}
    value: {description: Value now., type: int}
seconds:
  description: Time from the start of the first machine until the last answered.
  returned: always
  type: float
"""

import ipaddress
import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._lab import (
    NAME_PATTERN,
    LabError,
    Network,
    Plan,
    Podman,
    Settings,
    choose_subnet,
    each,
    exclusive,
    firewall_current,
    firewall_rules,
    firewall_write,
    host_key,
    kernel_raise,
    kernel_settings,
    plan,
    wait_for_ssh,
)

SPEC: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "nodes": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {"name": {"type": "str", "required": True}, "number": {"type": "int", "required": True}},
    },
    "recreate": {"type": "list", "elements": "str", "default": []},
    "image": {"type": "str"},
    "authorized_key": {"type": "str", "no_log": False},
    "runtime": {"type": "path", "default": "/usr/sbin/runc"},
    "subnet_pool": {"type": "str", "default": "172.30.0.0/16"},
    "open_files": {"type": "int", "default": 20000},
    "processes": {"type": "int", "default": 8192},
    "kernel_settings": {"type": "dict", "default": {}},
    "timeout": {"type": "int", "default": 60},
}


class Lab:
    """One run of the module: what was found, what is wanted, and the way between them."""

    def __init__(self, parameters: dict[str, Any], check: bool) -> None:
        self.wanted = parameters["state"] == "present"
        self.parameters, self.check = parameters, check
        self.numbers = {node["name"]: node["number"] for node in parameters["nodes"]} if self.wanted else {}
        self.minimum = (
            {name: int(value) for name, value in parameters["kernel_settings"].items()} if self.wanted else {}
        )
        self._validate()
        self.podman = Podman(parameters["name"], parameters["runtime"])

    def _validate(self) -> None:
        for name in (self.parameters["name"], *self.numbers):
            if not NAME_PATTERN.fullmatch(name):
                raise LabError(f"{name!r} is no name of lower-case letters, digits and inner hyphens (up to 40)")
        if len(self.numbers) != len(self.parameters["nodes"]) and self.wanted:
            raise LabError("two nodes have the same name")
        if len(set(self.numbers.values())) != len(self.numbers):
            raise LabError("two nodes have the same number")
        if not all(2 <= number <= 254 for number in self.numbers.values()):
            raise LabError("the number of a node is its address in the subnet: 2 to 254")

    def run(self) -> dict[str, Any]:
        """Bring the lab to the wanted state (or, in check mode, say what that would take) and describe it."""
        name = self.parameters["name"]
        found = self.podman.containers()
        steps = plan(
            self.parameters["state"],
            list(self.numbers),
            {node: bool(item["State"]["Running"]) for node, item in found.items()},
            self.parameters["recreate"],
        )
        network, rules, kernel = self.podman.network(), firewall_current(name), kernel_settings(self.minimum)
        before = self._describe(found, network, rules, kernel)
        started = time.monotonic()
        if not self.check:
            network = self._apply(steps, network, rules, kernel)
        elif self.wanted and network is None:
            subnet = choose_subnet(name, self.parameters["subnet_pool"], self.podman.used_subnets())
            network = Network(name, subnet, "")
        elif not self.wanted:
            network = None
        seconds = round(time.monotonic() - started, 1) if steps.create or steps.start else 0.0

        left: dict[str, Any] = {} if self.check else self.podman.containers()
        if self.check:
            left = {node: item for node, item in found.items() if node not in steps.remove}
            left |= dict.fromkeys([*steps.create, *steps.start])
        rules_after = firewall_rules(name, network.bridge) if network else ""
        raised = {key: max(value, self.minimum[key]) for key, value in kernel.items()}
        after = self._describe(left, network, rules_after, raised)
        return {
            "changed": before != after or bool(steps.remove),
            "diff": {"before": before, "after": after},
            "network": _network_facts(network),
            "nodes": [self._node_facts(node, left[node], network) for node in self.numbers if network],
            "created": steps.create,
            "started": steps.start,
            "removed": steps.remove,
            "outdated": [
                node for node, item in left.items() if item and item["ImageName"] != self.parameters["image"]
            ] if self.wanted else [],
            "kernel_settings": [{"name": key, "before": kernel[key], "value": raised[key]} for key in kernel],
            "seconds": seconds,
        }  # fmt: skip

    def _apply(self, steps: Plan, network: Network | None, rules: str, kernel: dict[str, int]) -> Network | None:
        name, podman = self.parameters["name"], self.podman
        podman.remove_nodes(steps.remove)
        if not self.wanted:
            leftover = podman.volumes()
            if leftover:
                podman.run("volume", "rm", *leftover)
            if network is not None:
                podman.run("network", "rm", name)
            if rules:
                firewall_write(name, "")
            return None
        for key, value in kernel.items():
            if value < self.minimum[key]:
                kernel_raise(key, self.minimum[key])
        if network is None:
            podman.create_network(choose_subnet(name, self.parameters["subnet_pool"], podman.used_subnets()))
            network = podman.network()
            if network is None:
                raise LabError(f"podman does not know the network {name} that it has just created; run the play again")
        # Before the first machine runs, so that there is no moment in which one reaches the outside.
        wanted_rules = firewall_rules(name, network.bridge)
        if rules != wanted_rules:
            firewall_write(name, wanted_rules)
        settings = Settings(
            name, *(self.parameters[key] for key in ("image", "authorized_key", "runtime", "open_files", "processes"))
        )
        bridge = network
        each(lambda node: podman.create_node(settings, bridge, node, self.numbers[node]), steps.create)
        if steps.start:
            podman.run("start", *(f"{name}-{node}" for node in steps.start))
        fresh = [*steps.create, *steps.start]
        wait_for_ssh([network.address(self.numbers[node]) for node in fresh], self.parameters["timeout"])
        each(self._wait_for_boot, fresh)
        return network

    def _wait_for_boot(self, node: str) -> None:
        container = f"{self.parameters['name']}-{node}"
        command = ("exec", container, "systemctl")
        _code, state = self.podman.run(
            *command, "is-system-running", "--wait", timeout=self.parameters["timeout"], check=False
        )
        if state.strip() != "running":
            _code, failed = self.podman.run(*command, "list-units", "--failed", "--plain", "--no-legend", check=False)
            units = ", ".join(line.split()[0] for line in failed.splitlines() if line.split())
            raise LabError(f"{node} did not start cleanly ({state.strip()}; failed units: {units or 'none'})")

    def _describe(
        self, containers: dict[str, Any], network: Network | None, rules: str, kernel: dict[str, int]
    ) -> dict[str, Any]:
        return {
            "machines": {
                node: "stopped" if item and not item["State"]["Running"] else "running"
                for node, item in sorted(containers.items())
            },
            "subnet": network.subnet if network else "",
            "firewall": rules,
            "kernel_settings": kernel,
        }

    def _node_facts(self, node: str, item: dict[str, Any] | None, network: Network) -> dict[str, Any]:
        name = self.parameters["name"]
        return {
            "name": node,
            "address": network.address(self.numbers[node]),
            "container": f"{name}-{node}",
            "image": item["ImageName"] if item else self.parameters["image"],
            "host_key": host_key(item["State"]["Pid"]) if item else "",
        }


def _network_facts(network: Network | None) -> dict[str, str]:
    if network is None:
        return {}
    gateway = str(ipaddress.IPv4Network(network.subnet)[1])
    return {"name": network.name, "subnet": network.subnet, "gateway": gateway, "bridge": network.bridge}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec=SPEC,
        required_if=[("state", "present", ["nodes", "image", "authorized_key"])],
        supports_check_mode=True,
    )
    try:
        lab = Lab(module.params, module.check_mode)
        with exclusive():
            result = lab.run()
    except LabError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
