# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Labels and taints: only what is different is written, only what was set before is removed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.onprem.platform.plugins.module_utils._kubeadm_api import KubeadmError
from ansible_collections.onprem.platform.plugins.modules import kubernetes_node


class Api:
    """Nodes of an API server that understands merge patches."""

    def __init__(self) -> None:
        """One node as kubeadm makes it."""
        not_ready = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}
        metadata = {"name": "w1", "resourceVersion": "1", "labels": {"kubernetes.io/hostname": "w1"}}
        self.nodes: dict[str, Any] = {
            "w1": {"metadata": metadata, "spec": {"taints": [not_ready]}, "status": {"conditions": []}}
        }
        self.writes: list[str] = []

    def request(
        self, method: str, path: str, body: Any = None, content_type: str = "", missing_ok: bool = False
    ) -> dict[str, Any]:
        """Answer like the server."""
        name = path.rpartition("/")[2]
        if path == kubernetes_node.NODES:
            return {"items": list(self.nodes.values())}
        if method != "GET":
            self.writes.append(f"{method} {name}")
        if method == "DELETE":
            return dict(self.nodes.pop(name))
        if method == "PATCH":
            assert content_type == "application/merge-patch+json"
            assert body["metadata"].pop("resourceVersion") == self.nodes[name]["metadata"]["resourceVersion"]
            _merge(self.nodes[name], body)
        return dict(self.nodes.get(name, {}))


def _merge(live: dict[str, Any], patch: dict[str, Any]) -> None:
    for key, value in patch.items():
        if value is None:
            live.pop(key, None)
        elif isinstance(value, dict):
            _merge(live.setdefault(key, {}), value)
        else:
            live[key] = value


def apply(api: Api, check: bool = False, state: str = "present", **settings: Any) -> dict[str, Any]:
    """Run the module's core for w1."""
    node = {"name": "w1", "labels": settings.get("labels", {}), "taints": settings.get("taints", [])}
    return kubernetes_node.apply(api, {"nodes": [node], "state": state}, check)  # type: ignore[arg-type]


def test_life_of_labels_and_taints() -> None:
    api = Api()
    assert apply(api)["changed"] is False
    wanted = {"labels": {"rack": 1}, "taints": [{"key": "db", "value": "yes", "effect": "NoSchedule"}]}
    assert apply(api, check=True, **wanted)["changed"] is True
    assert api.writes == []
    assert apply(api, **wanted)["changed_nodes"] == ["w1"]
    assert api.nodes["w1"]["metadata"]["labels"] == {"kubernetes.io/hostname": "w1", "rack": "1"}
    assert [taint["key"] for taint in api.nodes["w1"]["spec"]["taints"]] == ["node.kubernetes.io/not-ready", "db"]
    assert apply(api, **wanted)["changed"] is False
    assert api.writes == ["PATCH w1"]


def test_foreign_labels_and_taints_stay_and_own_ones_go() -> None:
    api = Api()
    apply(api, labels={"rack": "1"}, taints=[{"key": "db", "effect": "NoSchedule"}])
    api.nodes["w1"]["metadata"]["labels"]["other"] = "x"
    api.nodes["w1"]["spec"]["taints"].append({"key": "other", "effect": "NoExecute"})
    assert apply(api)["changed"] is True
    assert api.nodes["w1"]["metadata"]["labels"] == {"kubernetes.io/hostname": "w1", "other": "x"}
    assert [taint["key"] for taint in api.nodes["w1"]["spec"]["taints"]] == ["node.kubernetes.io/not-ready", "other"]
    settings = json.loads(api.nodes["w1"]["metadata"]["annotations"][kubernetes_node.ANNOTATION])
    assert settings == {"labels": [], "taints": []}
    assert apply(api)["changed"] is False


def test_drift_is_corrected() -> None:
    api = Api()
    apply(api, labels={"rack": "1"})
    api.nodes["w1"]["metadata"]["labels"]["rack"] = "2"
    assert apply(api, labels={"rack": "1"})["changed"] is True
    assert api.nodes["w1"]["metadata"]["labels"]["rack"] == "1"


def test_delete_and_delete_again() -> None:
    api = Api()
    assert apply(api, check=True, state="absent")["changed"] is True
    assert apply(api, state="absent")["changed_nodes"] == ["w1"]
    assert apply(api, state="absent")["changed"] is False
    assert api.writes == ["DELETE w1"]


def test_missing_node_is_named() -> None:
    api = Api()
    api.nodes.clear()
    with pytest.raises(KubeadmError, match="node w1 does not exist"):
        apply(api, labels={"a": "b"})


def test_waiting_says_why() -> None:
    api = Api()
    api.nodes["w1"]["status"]["conditions"] = [
        {"type": "Ready", "status": "False", "message": "cni plugin not initialized"}
    ]
    with pytest.raises(KubeadmError, match=r"w1: cni plugin not initialized; w2: it has not registered"):
        kubernetes_node.wait_ready(api, ["w1", "w2"], 0)  # type: ignore[arg-type]
    api.nodes["w1"]["status"]["conditions"][0]["status"] = "True"
    kubernetes_node.wait_ready(api, ["w1"], 0)  # type: ignore[arg-type]
