# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the observability waits for, as Flux' own controller judges it: for the database once, never again."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.onprem.platform.tests.integration.bundled_images import BundledImages, bundle_directory
from ansible_collections.onprem.platform.tests.integration.k8s.conftest import ApiServer
from ansible_collections.onprem.platform.tests.integration.observability.conftest import (
    Document,
    kubectl,
    render_variants,
    wait,
)
from ansible_collections.onprem.platform.tests.integration.ports import free_port

PLATFORM = "role_path ~ '/../observability/templates/tree/platform/observability.yaml.j2'"
NAMESPACE = "flux-system"
CONDITION = {"type": "Ready", "message": "", "lastTransitionTime": "2026-01-31T12:00:00Z", "observedGeneration": 1}


def test_a_broken_database_holds_up_the_first_start_only(server: ApiServer, tmp_path: Path) -> None:
    text = render_variants(tmp_path, {"tree": {}}, f"{{{{ lookup('ansible.builtin.template', {PLATFORM}) }}}}")["tree"]
    observability = yaml.safe_load(text)
    for controller in ("source", "kustomize"):
        path = bundle_directory() / "manifests" / f"flux-{controller}-controller.yaml"
        definitions = [
            item
            for item in yaml.load_all(path.read_text(), Loader=yaml.CSafeLoader)
            if item["kind"] == "CustomResourceDefinition"
        ]
        kubectl(server, "apply", "--server-side", "-f", "-", documents=definitions)
    kubectl(server, "wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
    kubectl(server, "create", "namespace", NAMESPACE)
    # Suspended: their states are written here.
    others = [dependency["name"] for dependency in observability["spec"]["dependsOn"]]
    assert set(others) == {"observability-operator", "storage", "data"}
    source = {
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "OCIRepository",
        "metadata": {"name": "platform", "namespace": NAMESPACE},
        "spec": {"url": "oci://registry.example.com/platform", "interval": "1h", "suspend": True},
    }
    documents = [
        {**observability, "metadata": {"name": name, "namespace": NAMESPACE}, "spec": {**observability["spec"], **spec}}
        for name, spec in [("observability", {}), *((name, {"suspend": True, "dependsOn": []}) for name in others)]
    ]
    kubectl(server, "apply", "-f", "-", documents=[source, *documents])

    def put(plural: str, name: str, ready: str, **status: Any) -> None:
        group = "source.toolkit.fluxcd.io" if plural == "ocirepositories" else "kustomize.toolkit.fluxcd.io"
        conditions = [{**CONDITION, "status": ready, "reason": "Test"}]
        path = f"/apis/{group}/v1/namespaces/{NAMESPACE}/{plural}/{name}"
        server.patch_status(path, {"observedGeneration": 1, "conditions": conditions, **status})

    revision = "latest@sha256:" + "0" * 64
    # There is nothing: whoever gets as far as to fetch it has no more dependencies.
    artifact = {"url": f"http://127.0.0.1:{free_port()}/x.tar.gz", "path": "x.tar.gz", "revision": revision}
    artifact |= {"digest": "sha256:" + "0" * 64, "lastUpdateTime": "2026-01-31T12:00:00Z"}
    put("ocirepositories", "platform", "True", artifact=artifact)
    for name in others:
        put("kustomizations", name, "True", lastAppliedRevision=revision)
    put("kustomizations", "data", "False", lastAppliedRevision=None)
    image = BundledImages(bundle_directory()).unpack("kustomize-controller", tmp_path / "image")
    command = [
        str(tmp_path / "image") + image["Entrypoint"][-1],
        "--requeue-dependency=1s",
        "--enable-leader-election=false",
    ]
    command += [f"--metrics-addr=127.0.0.1:{free_port()}", f"--health-addr=127.0.0.1:{free_port()}"]
    environment = os.environ | {"KUBECONFIG": str(server.kubeconfig), "RUNTIME_NAMESPACE": NAMESPACE}
    log = tmp_path / "log"

    def ready() -> Document:
        options = ("get", "kustomization", "observability", f"--namespace={NAMESPACE}", "--output=json")
        conditions = json.loads(kubectl(server, *options)).get("status", {}).get("conditions", [])
        return next((dict(item) for item in conditions if item["type"] == "Ready"), {})

    with log.open("w") as output, subprocess.Popen(command, env=environment, stdout=output, stderr=output) as process:
        try:
            wait(lambda: ready().get("reason") == "DependencyNotReady", "it waits", 60)
            assert f"dependency '{NAMESPACE}/data' is not ready" in ready()["message"], ready()
            # It was healthy once, and is not now.
            put("kustomizations", "data", "False", lastAppliedRevision="an-earlier-one")
            wait(lambda: ready().get("reason") in ("Progressing", "ArtifactFailed"), "it goes on", 60)
        finally:
            process.terminate()
    assert "panic" not in log.read_text()
