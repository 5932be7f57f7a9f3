# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The matrix of the network finds a path that nobody described, and one that somebody has cut."""

from __future__ import annotations

import json
from typing import Any

from ansible_collections.onprem.platform.tests.faults.observability_lab import Observability
from ansible_collections.onprem.platform.tests.faults.platform_lab import PlatformLab

APPLICATION, DATA = "laravel-demo", "data"
NGINX = {"app.kubernetes.io/component": "nginx"}
VALKEY = {"app.kubernetes.io/name": "valkey"}
PORTS = [{"port": 6379, "protocol": "TCP"}]


def planted(namespace: str, labels: dict[str, str], direction: str, rule: dict[str, Any]) -> dict[str, Any]:
    """Return a policy that allows more than is described."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "planted", "namespace": namespace},
        "spec": {"podSelector": {"matchLabels": labels}, "policyTypes": [direction.capitalize()], direction: [rule]},
    }


def peer(namespace: str, labels: dict[str, str]) -> list[dict[str, Any]]:
    """Return some pods of a namespace as a peer of a rule."""
    name = {"kubernetes.io/metadata.name": namespace}
    return [{"namespaceSelector": {"matchLabels": name}, "podSelector": {"matchLabels": labels}}]


def matrix(lab: PlatformLab) -> tuple[int, list[dict[str, Any]], int]:
    """Try the whole matrix; return the exit code, the cases that failed, and how many there are."""
    done = lab.play("verify", "--tags", "network")
    report = json.loads((lab.state / "state" / "report" / "network.json").read_text())
    print(f"{len(report['cases'])} pairs in {report['details']['seconds']} s")
    return done.code, [case for case in report["cases"] if case.get("failure")], len(report["cases"])


def test_a_planted_path_is_found(observability: Observability) -> None:
    lab = observability.lab
    code, wrong, pairs = matrix(lab)
    assert (code, wrong) == (0, []) and pairs >= 150
    policies = [
        planted(APPLICATION, NGINX, "egress", {"to": peer(DATA, VALKEY), "ports": PORTS}),
        planted(DATA, VALKEY, "ingress", {"from": peer(APPLICATION, NGINX), "ports": PORTS}),
    ]
    lab.kubectl("apply", "-f", "-", text=json.dumps({"apiVersion": "v1", "kind": "List", "items": policies}))
    try:
        code, wrong, _pairs = matrix(lab)
    finally:
        lab.kubectl("delete", "networkpolicy", "planted", "-n", APPLICATION)
        lab.kubectl("delete", "networkpolicy", "planted", "-n", DATA)
    assert code != 0 and wrong
    assert all("nginx" in str(case) and "valkey" in str(case) and "6379" in str(case) for case in wrong), wrong
