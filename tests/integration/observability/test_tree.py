# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role observability renders, judged by the programs that will read it: kubectl, an API server, promtool,
amtool, Loki, the collector, and Pod Security. No cluster is needed."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.onprem.platform.tests.integration.bundled_images import BundledImages, bundle_directory
from ansible_collections.onprem.platform.tests.integration.k8s.conftest import ApiServer
from ansible_collections.onprem.platform.tests.integration.observability.conftest import Document, kubectl, play


def namespace(name: str, level: str) -> Document:
    labels = {f"pod-security.kubernetes.io/{mode}": level for mode in ("enforce", "warn")}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def test_an_api_server_takes_every_object(server: ApiServer, documents: list[Document]) -> None:
    definitions = [document for document in documents if document["kind"] == "CustomResourceDefinition"]
    spaces = [namespace("observability", "restricted"), namespace("observability-agents", "privileged")]
    kubectl(server, "apply", "--server-side", "-f", "-", documents=definitions + spaces)
    kubectl(server, "wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
    others = [document for document in documents if document not in definitions]
    output = kubectl(
        server, "apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-", documents=others
    )
    # Pod Security and unknown fields are told as warnings.
    assert "Warning" not in output, output
    assert output.count("serverside-applied") == len(others)


def test_the_pods_that_the_operator_makes_are_restricted(documents: list[Document]) -> None:
    for document in documents:
        if document["kind"] in ("Prometheus", "Alertmanager"):
            spec = document["spec"]
            assert spec["securityContext"]["runAsNonRoot"]
            assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
            for container in spec["initContainers"]:
                assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
                assert container["securityContext"]["readOnlyRootFilesystem"]


def test_only_images_of_the_bundle_are_named(documents: list[Document]) -> None:
    def images(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            if isinstance(value.get("image"), str):
                yield value["image"]
            for item in value.values():
                yield from images(item)
        elif isinstance(value, list):
            for item in value:
                yield from images(item)

    found = set(images([document for document in documents if document["kind"] != "CustomResourceDefinition"]))
    assert found
    assert all(image.startswith("registry.platform.internal:5000/") and "@sha256:" in image for image in found), found


def test_no_secret_is_in_the_tree(documents: list[Document]) -> None:
    secrets = {document["metadata"]["name"] for document in documents if document["kind"] == "Secret"}
    assert secrets == {"alertmanager-configuration", "prometheus-scrape-configs"}


@pytest.mark.parametrize(
    ("settings", "tool_says"),
    [
        pytest.param(
            {"observability_alert_group_wait_seconds": {"critical": "soon", "warning": 120}},
            "not a valid duration",
            id="routes",
        ),
        pytest.param({"observability_threshold_overrides": {"node_load_per_core": "1 +"}}, "parse error", id="rules"),
        pytest.param(
            {"observability_prometheus_storage_size": "10Gi"}, "would be full before anything is deleted", id="sizes"
        ),
        pytest.param(
            {"observability_additional_scrape_configs": [{"job_nam": "x"}]}, "field job_nam not found", id="scrapes"
        ),
    ],
)
def test_a_wrong_configuration_stops_the_run(tmp_path: Path, settings: dict[str, Any], tool_says: str) -> None:
    result = play(tmp_path, **settings)
    assert result.returncode != 0
    assert tool_says in result.stdout, result.stdout + result.stderr
    assert "Nothing was pushed" in result.stdout
    assert not (tmp_path / "tree.json").exists()


def test_the_collector_takes_its_configuration(lab: Path, tmp_path: Path) -> None:
    image = BundledImages(bundle_directory()).unpack("opentelemetry-collector", tmp_path, root=True)
    configuration = yaml.safe_load((lab / "observability/agents/collector-configuration.yaml").read_text())
    # A directory of this machine; the program looks whether it is there.
    state = tmp_path / "state"
    state.mkdir()
    storage = configuration["extensions"]["file_storage"]
    storage["directory"] = storage["compaction"]["directory"] = str(state)
    (tmp_path / "collector.yaml").write_text(yaml.safe_dump(configuration))
    command = [str(tmp_path) + image["Entrypoint"][0], "validate", f"--config={tmp_path / 'collector.yaml'}"]
    result = subprocess.run(command, env={"NODE_NAME": "w1"}, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
