#!/usr/bin/python
# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: probe_network
version_added: 0.1.0
short_description: Try who can connect to whom in a cluster
author: onprem.platform contributors (@onprem-platform)
description:
  - Takes the description that the network policies are made of (P(onprem.platform.network_policies#filter)), and tries
    every pair of a source, a destination and a port, those that must be open and those that must not.
  - Sources are pods with the labels, the service account and the node of the real ones, because real images have no
    shell; a stranger in each closed namespace; an outsider in a namespace that is not closed; and nodes, where the
    description has them as sources. Each connects to all its destinations at once.
  - Destinations are real pods (one on the same node and one on another, where there are), the Services in front of
    them, and addresses. Each is also asked at a port that nobody listed. Where no pod runs, a stand-in with its labels
    takes its place.
  - A refusal by the destination itself shows that the network let the packet through. What could not be tried counts as
    wrong.
  - Fails when a verdict is wrong, and returns all of them. The pods are removed in any case, and what a killed run left
    behind is removed by the next one, so only one can run at a time.
options:
  peers:
    description: C(peers) of the description.
    type: dict
    required: true
  paths:
    description: C(paths) of the description.
    type: list
    elements: dict
    required: true
  closed:
    description: C(closed) of the description.
    type: list
    elements: str
    required: true
  image:
    description: Image with busybox, as the cluster can pull it. It runs as no root and with no capability.
    type: str
    required: true
  name:
    description: Name that a lookup asks DNS for.
    type: str
    default: kubernetes.default.svc.cluster.local
  listeners:
    description:
      - Ports at which a pod in the network of a node listens for the time of the probe, by name of the node. So the
        address of a node can stand for one outside of the cluster.
    type: dict
    default: {}
  start_timeout:
    description: Seconds for the pods to start.
    type: int
    default: 60
  connect_timeout:
    description: Seconds after which a connection counts as dropped.
    type: int
    default: 3
extends_documentation_fragment:
  - onprem.platform.kubernetes
  - onprem.platform.attributes
  - onprem.platform.attributes.k8s
  - onprem.platform.attributes.info
attributes:
  check_mode:
    support: full
    details:
      - Nothing is tried in check mode.
notes:
  - The pods never become ready, so they are no endpoints of Services, except of those with C(publishNotReadyAddresses).
  - While it runs, a PodDisruptionBudget whose pods it stands for allows no eviction, because it does not know how many
    there should be.
  - It does not try what a node sends to its own pods, which network policies cannot forbid.
"""

EXAMPLES = r"""
- name: Is the database only open for whom it should be?
  onprem.platform.probe_network:
    closed: [data]
    peers:
      shop: {namespace: default, labels: {app: shop}}
      database: {namespace: data, labels: {app.kubernetes.io/name: mariadb}}
    paths:
      - {from: shop, to: database, ports: [3306], reason: orders}
    image: registry.platform.internal:5000/toolbox:0.1.0
"""

RETURN = r"""
results:
  description: Every pair.
  returned: when something was tried
  type: list
  elements: dict
  contains:
    source: {description: Who connected., type: str, sample: shop}
    destination: {description: To whom., type: str, sample: database}
    port: {description: Port., type: int, sample: 3306}
    protocol: {description: TCP or UDP., type: str, sample: TCP}
    allowed: {description: Whether it must be possible., type: bool, sample: true}
    reason: {description: Why it must., type: str, sample: orders}
    found:
      description: V(open), V(refused) by the destination itself, V(dropped), or why it was not tried.
      type: str
      sample: open
    correct: {description: Whether that is right., type: bool, sample: true}
    tries:
      description: What each destination of the pair has shown.
      type: list
      elements: str
      sample: ["pod data/mariadb-0: open"]
cases:
  description: The same as P(onprem.platform.junit#filter) takes it.
  returned: when something was tried
  type: list
  elements: dict
  contains:
    suite: {description: The source., type: str, sample: shop}
    name: {description: The question., type: str, sample: "-> database:3306/TCP is open: orders"}
    failure: {description: What is wrong; empty if nothing is., type: str, sample: ""}
wrong:
  description: Pairs with a wrong verdict, in words.
  returned: when something was tried
  type: list
  elements: str
  sample: []
untested:
  description: Paths to networks of which no address is known to connect to.
  returned: when something was tried
  type: list
  elements: str
  sample: []
pairs: {description: Number of pairs., returned: when something was tried, type: int, sample: 886}
pods: {description: Number of pods., returned: when something was tried, type: int, sample: 36}
connections: {description: Number of connections tried., returned: when something was tried, type: int, sample: 2290}
seconds: {description: Time from start to end., returned: when something was tried, type: float, sample: 41.2}
requests: {description: Requests sent to the API server., returned: always, type: int, sample: 190}
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
      sample: Kube
    message:
      description: The error's message.
      type: str
      sample: "1 of 886 pairs is wrong"
"""

import signal
import time
from types import FrameType
from typing import Any

from ..module_utils._kube_errors import KubeConfigError, KubeError
from ..module_utils._kube_module import KubeModule
from ..module_utils._network_paths import Network, NetworkPathsError, network
from ..module_utils._network_probe import NetworkProbe, Outcome


def stop(number: int, frame: FrameType | None) -> None:
    """End by an exception, so that the pods are removed."""
    raise KeyboardInterrupt


def described(params: dict[str, Any]) -> Network:
    """Return the network of the options; raises KubeConfigError."""
    try:
        found = network(params["peers"], params["paths"], params["closed"])
    except NetworkPathsError as error:
        raise KubeConfigError(f"the description is wrong: {error}") from error
    for node, ports in params["listeners"].items():
        if not isinstance(ports, list) or not all(isinstance(port, int) and 0 < port < 65536 for port in ports):
            raise KubeConfigError(f"listeners: {node} needs a list of ports")
    return found


def work(module: KubeModule) -> dict[str, Any]:
    """Try all pairs; raises KubeError when one is wrong or the API cannot be asked."""
    params = module.params
    probe = NetworkProbe(
        module.client, params["image"], params["start_timeout"], params["connect_timeout"], params["name"]
    )
    started = time.monotonic()
    outcome = probe.run(described(params), params["listeners"])
    wrong = [str(item) for item in outcome.wrong()]
    untested = [f"{path.source} -> {path.destination}:{path.port}" for path in outcome.untested]
    result = {
        "changed": False,
        "results": outcome.as_list(),
        "cases": outcome.cases(),
        "wrong": wrong,
        "untested": untested,
        "pairs": len(outcome.matrix),
        "pods": outcome.pods,
        "connections": outcome.connections,
        "seconds": round(time.monotonic() - started, 1),
        "requests": module.request_counts()["requests"],
    }
    if wrong or untested:
        module.fail(_error(outcome, wrong, untested), **result)
    return result


def _error(outcome: Outcome, wrong: list[str], untested: list[str]) -> KubeError:
    lines = [*outcome.problems.values(), *wrong][:10]
    if not wrong:
        where = ", ".join(untested)
        return KubeError(f"not tried: {where}", "Give these peers an address to connect to (tries).")
    return KubeError(f"{len(wrong)} of {len(outcome.matrix)} pairs are wrong: {'; '.join(lines)}")


def main() -> None:
    """Entry point of the module."""
    module = KubeModule(
        argument_spec={
            "peers": {"type": "dict", "required": True},
            "paths": {"type": "list", "elements": "dict", "required": True},
            "closed": {"type": "list", "elements": "str", "required": True},
            "image": {"type": "str", "required": True},
            "name": {"type": "str", "default": "kubernetes.default.svc.cluster.local"},
            "listeners": {"type": "dict", "default": {}},
            "start_timeout": {"type": "int", "default": 60},
            "connect_timeout": {"type": "int", "default": 3},
        },
    )
    if module.check_mode:
        module.exit_json(changed=False, skipped=True, requests=0, msg="nothing is tried in check mode")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    module.run(work)


if __name__ == "__main__":
    main()
