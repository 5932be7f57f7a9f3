# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""oci_artifact and the bundle's registry; helm of the bundle reads what was pushed as a chart."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.onprem.platform.tests.integration.k8s.examples import examples, run_examples
from ansible_collections.onprem.platform.tests.integration.k8s.signing import RegistryService, program

ModuleRunner = Callable[..., dict[str, Any]]


@pytest.fixture
def push(run: ModuleRunner, registry_service: RegistryService) -> ModuleRunner:
    """Return ``push(check=False, **params)``."""
    connection = {"registries": [registry_service.address], "ca_cert": str(registry_service.authority)}

    def call(check: bool = False, **params: Any) -> dict[str, Any]:
        return run("oci_artifact", {**connection, **params}, check=check, plain=True)

    return call


@pytest.fixture
def sealed_registry(registry_service: RegistryService, tmp_path: Path) -> Iterator[RegistryService]:
    """The same storage behind a registry that takes nothing."""
    service = registry_service.read_only(tmp_path)
    try:
        service.start()
        yield service
    finally:
        service.stop()


def chart(directory: Path) -> Path:
    """Make a chart."""
    (directory / "templates").mkdir(parents=True)
    (directory / "Chart.yaml").write_text("apiVersion: v2\nname: shop\nversion: 0.0.0\n")
    (directory / "values.yaml").write_text("image: {tag: none, digest: none}\n")
    template = "kind: ConfigMap\nmetadata: {name: shop}\ndata: {digest: {{ .Values.image.digest }}}\n"
    (directory / "templates" / "settings.yaml").write_text(template)
    return directory


def test_life_of_an_artifact(push: ModuleRunner, registry_service: RegistryService, tmp_path: Path) -> None:
    assert "files" in push(repository="life/tree", tag="main")["msg"]
    assert "tag" in push(repository="life/tree", files={"a.yaml": "a: 1"})["msg"]
    wanted: dict[str, Any] = {"repository": "life/tree", "tag": "main", "files": {"a.yaml": "a: 1", "b/c.yaml": "c: 1"}}
    planned = push(check=True, **wanted)
    assert planned["changed"] and registry_service.client.tags("life/tree") == []
    made = push(**wanted)
    assert (made["digest"], made["diff"], made["moved_from"]) == (planned["digest"], planned["diff"], [])
    assert registry_service.client.manifest_digest("life/tree", "main") == made["digest"]
    assert not push(**wanted)["changed"]
    # The same content has the same digest, wherever and whenever it was written.
    for name, text in wanted["files"].items():
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        os.utime(path, (1, 1))
    from_directory = push(repository="life/tree", tag="main", path=str(tmp_path / "tree"))
    assert (from_directory["changed"], from_directory["digest"]) == (False, made["digest"])
    moved = push(**{**wanted, "files": {"a.yaml": "a: 2"}})
    assert (moved["changed"], moved["moved_from"]) == (True, [made["digest"]])
    assert registry_service.client.manifest_digest("life/tree", "main") == moved["digest"]
    # And back: the content is there already, only the tag is written.
    again = push(**wanted)
    assert again["moved_from"] == [moved["digest"]]
    assert registry_service.client.manifest_digest("life/tree", "main") == made["digest"]


def test_a_registry_that_takes_nothing(push: ModuleRunner, sealed_registry: RegistryService) -> None:
    wanted = {"repository": "sealed/tree", "tag": "main", "files": {"a.yaml": "a: 1"}}
    refused = push(**wanted, registries=[sealed_registry.address])
    assert refused["failed"] and "405" in refused["msg"] and sealed_registry.address in refused["msg"]
    push(**wanted)
    assert not push(**wanted, registries=[sealed_registry.address])["changed"], "nothing to push, so no refusal"
    unknown = push(**wanted, ca_cert="/etc/ssl/certs/ca-certificates.crt")
    assert unknown["failed"] and "certificate verify failed" in unknown["msg"]


def test_helm_reads_the_chart(push: ModuleRunner, registry_service: RegistryService, tmp_path: Path) -> None:
    values = {"image": {"digest": "sha256:1"}}
    wanted = {"type": "helm", "repository": "charts/shop", "path": str(chart(tmp_path / "chart"))}
    pushed = push(**wanted, chart_version="1.2.3", app_version="4.5.6", chart_values=values)
    assert pushed["tag"] == "1.2.3"
    address = f"oci://{registry_service.address}/charts/shop"
    command = [program("helm"), "template", address, "--version=1.2.3", f"--ca-file={registry_service.authority}"]
    home = {**os.environ, "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=home)
    assert done.returncode == 0, done.stderr
    assert yaml.safe_load(done.stdout)["data"] == {"digest": "sha256:1"}
    assert "its version" in push(**wanted, chart_version="1.2.3", tag="latest")["msg"]
    changed = push(**wanted, chart_version="1.2.3", app_version="4.5.6", chart_values={"image": {"digest": "sha256:2"}})
    assert changed["moved_from"] == [pushed["digest"]]


def test_examples(registry_service: RegistryService, tmp_path: Path) -> None:
    (tmp_path / "files" / "tree").mkdir(parents=True)
    (tmp_path / "files" / "tree" / "example.yml").write_text("kind: ConfigMap\n")
    chart(tmp_path / "files" / "chart")
    replacements = {
        "192.0.2.11:5001": registry_service.address,
        "/etc/onprem-platform/pki/ca.crt": str(registry_service.authority),
        "/run/onprem-platform/push.crt": str(registry_service.certificate),
        "/run/onprem-platform/push.key": str(registry_service.key),
        # Other tests push to these.
        "platform/tree": "examples/tree",
        "charts/shop": "examples/shop",
    }
    run_examples(tmp_path, examples("oci_artifact", replacements))
    assert registry_service.client.tags("examples/tree") == ["main"]
    assert registry_service.client.tags("examples/shop")[-1] == "2.0.0"
