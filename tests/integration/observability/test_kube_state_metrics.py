# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Flux' objects as kube-state-metrics shows them, with the platform's configuration and a real API server."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.onprem.platform.tests.integration.bundled_images import BundledImages, bundle_directory
from ansible_collections.onprem.platform.tests.integration.k8s.conftest import ApiServer
from ansible_collections.onprem.platform.tests.integration.observability.conftest import build, kubectl, wait
from ansible_collections.onprem.platform.tests.integration.ports import free_port

CONTROLLERS = ["source", "kustomize", "helm"]


@pytest.fixture
def metrics(server: ApiServer, lab: Path, tmp_path: Path) -> Iterator[Callable[[], str]]:
    """What the program shows; it runs as in the platform, with the rights that its role gives."""
    stack = build(lab / "observability")
    roles = {item["metadata"]["name"]: item for item in stack if item["kind"] == "ClusterRole"}
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "kube-state-metrics"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "kube-state-metrics"},
        "subjects": [{"kind": "User", "name": "kube-state-metrics"}],
    }
    kubectl(server, "apply", "-f", "-", documents=[roles["kube-state-metrics"], binding])
    deployments = {item["metadata"]["name"]: item for item in stack if item["kind"] == "Deployment"}
    container = deployments["kube-state-metrics"]["spec"]["template"]["spec"]["containers"][0]
    (configuration,) = (item for item in stack if item["metadata"]["name"].startswith("kube-state-metrics-"))
    (tmp_path / "custom-resources.yaml").write_text(configuration["data"]["custom-resources.yaml"])
    image = BundledImages(bundle_directory()).unpack("kube-state-metrics", tmp_path)
    port, telemetry = free_port(), free_port()
    arguments = [argument.replace("/etc/kube-state-metrics", str(tmp_path)) for argument in container["args"]]
    command = [str(tmp_path) + image["Entrypoint"][0], *arguments, f"--kubeconfig={server.user('kube-state-metrics')}"]
    command += [f"--port={port}", "--host=127.0.0.1", f"--telemetry-port={telemetry}", "--telemetry-host=127.0.0.1"]
    with (tmp_path / "log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:

        def read() -> str:
            assert process.poll() is None, (tmp_path / "log").read_text()[-3000:]
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
                    return str(answer.read().decode())
            except OSError:
                return ""

        yield read
        process.terminate()
    assert "forbidden" not in (tmp_path / "log").read_text()


def test_states_of_flux_objects(server: ApiServer, metrics: Callable[[], str]) -> None:
    for controller in CONTROLLERS:
        text = (bundle_directory() / "manifests" / f"flux-{controller}-controller.yaml").read_text()
        definitions = [item for item in yaml.safe_load_all(text) if item["kind"] == "CustomResourceDefinition"]
        kubectl(server, "apply", "--server-side", "-f", "-", documents=definitions)
    kubectl(server, "wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
    condition = {"lastTransitionTime": "2026-01-31T12:00:00Z", "message": "", "observedGeneration": 1}

    def put(kind: str, group: str, plural: str, spec: dict[str, Any], status: dict[str, Any]) -> None:
        metadata = {"name": "example", "namespace": "default"}
        document = {"apiVersion": group, "kind": kind, "metadata": metadata, "spec": spec}
        kubectl(server, "apply", "-f", "-", documents=[document])
        server.patch_status(f"/apis/{group}/namespaces/default/{plural}/example", status)

    source = {"kind": "OCIRepository", "name": "platform"}
    ready = [{"type": "Ready", "status": "False", "reason": "HealthCheckFailed", **condition}]
    put(
        "Kustomization",
        "kustomize.toolkit.fluxcd.io/v1",
        "kustomizations",
        {"interval": "1m", "prune": True, "suspend": True, "sourceRef": source},
        {"conditions": ready, "lastAppliedRevision": "latest@sha256:abc"},
    )
    put(
        "HelmRelease",
        "helm.toolkit.fluxcd.io/v2",
        "helmreleases",
        {"interval": "1m", "chartRef": {"kind": "OCIRepository", "name": "shop"}},
        {"conditions": [{"type": "Stalled", "status": "True", "reason": "RetriesExceeded", **condition}]},
    )

    def lines(*parts: str) -> list[str]:
        return [line for line in metrics().splitlines() if all(part in line for part in parts)]

    wait(lambda: bool(lines("gotk_resource_info{", 'kind="Kustomization"')), "Kustomization", 60)
    wait(lambda: bool(lines("gotk_resource_condition{", 'kind="HelmRelease"')), "HelmRelease", 60)
    (info,) = lines("gotk_resource_info{", 'kind="Kustomization"')
    for label in (
        'exported_namespace="default"',
        'name="example"',
        'ready="False"',
        'suspended="true"',
        'revision="latest@sha256:abc"',
        'source_name="platform"',
    ):
        assert label in info, json.dumps(info)
    assert info.endswith(" 1")
    (stalled,) = lines("gotk_resource_condition{", 'kind="HelmRelease"')
    assert all(label in stalled for label in ('type="Stalled"', 'status="True"', 'reason="RetriesExceeded"'))
    assert lines("kube_namespace_created{")
    assert not lines("kube_secret_") and not lines("kube_configmap_")
