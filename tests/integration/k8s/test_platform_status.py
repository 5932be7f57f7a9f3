# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""platform_status against a real API server; Vault and Prometheus are not there, and it says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

ApiServer = Any
ModuleRunner = Callable[..., dict[str, Any]]
POD = {"spec": {"containers": [{"name": "web", "image": "registry.test/web:1"}]}}


def put(api_server: ApiServer, path: str, name: str, status: dict[str, Any], **content: Any) -> None:
    """Create an object and write the status that the kubelet would write."""
    api_server.call("POST", path, {"metadata": {"name": name}, **content})
    current = api_server.call("GET", f"{path}/{name}")
    api_server.call("PUT", f"{path}/{name}/status", {**current, "status": status})


def test_status_of_a_cluster(api_server: ApiServer, namespace: str, run: ModuleRunner) -> None:
    put(api_server, "/api/v1/nodes", f"{namespace}-good", {"conditions": [{"type": "Ready", "status": "True"}]})
    silent = {"type": "Ready", "status": "Unknown", "message": "the kubelet is silent"}
    put(api_server, "/api/v1/nodes", f"{namespace}-bad", {"conditions": [silent]})
    pods = f"/api/v1/namespaces/{namespace}/pods"
    waiting = {"name": "web", "state": {"waiting": {"reason": "CrashLoopBackOff"}}, "ready": False, "restartCount": 3}
    entry = {**waiting, "image": "registry.test/web:1", "imageID": ""}
    put(api_server, pods, "crashing", {"phase": "Running", "containerStatuses": [entry]}, **POD)
    put(api_server, pods, "finished", {"phase": "Succeeded"}, **POD)
    # Another test restarts the server, which then refuses custom resources for some seconds (429).
    options = {"prometheus": {"url": "http://127.0.0.1:1"}, "request_timeout": 5, "retry_timeout": 20}
    result = run("platform_status", options)
    for name in ("good", "bad"):
        api_server.call("DELETE", f"/api/v1/nodes/{namespace}-{name}")
    assert not result.get("failed"), result["msg"]
    assert not result["changed"] and not result["healthy"] and not result["writes_seen"]
    parts = {part["part"]: part for part in result["parts"]}
    assert list(parts) == [
        "nodes",
        "flux",
        "vault",
        "application",
        "pods",
        "alerts",
        "targets",
        "certificates",
        "backups",
        "versions",
    ]
    assert parts["nodes"]["details"] == [f"{namespace}-bad: the kubelet is silent"]
    assert f"{namespace}/crashing: CrashLoopBackOff" in parts["pods"]["details"]
    assert not any("finished" in line for line in parts["pods"]["details"])
    assert parts["flux"]["summary"].endswith("objects ready") and parts["flux"]["state"] == "unhealthy"
    assert parts["vault"]["summary"].startswith("0 of 0 unsealed") and parts["vault"]["state"] == "unhealthy"
    assert {name for name in parts if parts[name]["state"] == "unreachable"} >= {"alerts", "targets", "backups"}
    # the handshake with the real server: its certificate is verified, its end is shown
    assert "(Kubernetes API)" in parts["certificates"]["summary"]
    assert not any(line.startswith("Kubernetes API: TLS") for line in parts["certificates"]["details"])
    assert parts["versions"]["summary"].startswith("Kubernetes v1.")
