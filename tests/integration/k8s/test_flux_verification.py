# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What oci_signature signs is verified by the real source-controller, without internet; what it did not sign is not."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.onprem.platform.plugins.module_utils._signature import tag_of
from ansible_collections.onprem.platform.tests.integration.k8s.conftest import REPOSITORY, ApiServer, find_binary
from ansible_collections.onprem.platform.tests.integration.k8s.signing import PASSWORD, Keys, RegistryService, program
from ansible_collections.onprem.platform.tests.integration.ports import free_port

ModuleRunner = Callable[..., dict[str, Any]]
NAMESPACE = "flux-verification"
SOURCES = f"/apis/source.toolkit.fluxcd.io/v1/namespaces/{NAMESPACE}/ocirepositories"


@pytest.fixture(scope="module")
def source_controller(
    api_server: ApiServer,
    flux_definitions: None,
    registry_service: RegistryService,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Path]:
    """The bundle's source-controller as a process; yields its log."""
    directory = tmp_path_factory.mktemp("source-controller")
    (directory / "storage").mkdir()
    api_server.call("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    storage = f"127.0.0.1:{free_port()}"
    command = [
        str(find_binary("source-controller", directory)),
        f"--storage-path={directory / 'storage'}",
        f"--storage-addr={storage}",
        f"--storage-adv-addr={storage}",
        f"--metrics-addr=127.0.0.1:{free_port()}",
        f"--health-addr=127.0.0.1:{free_port()}",
        "--watch-all-namespaces=false",
        "--log-level=info",
    ]
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(directory),
        "KUBECONFIG": str(api_server.kubeconfig),
        "RUNTIME_NAMESPACE": NAMESPACE,
        "SSL_CERT_FILE": str(registry_service.authority),
    }
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=directory)
    try:
        yield directory / "log"
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Keys, Keys]:
    directory = tmp_path_factory.mktemp("keys")
    return Keys(directory, "site"), Keys(directory, "other")


def play(directory: Path, service: RegistryService, *tasks: dict[str, Any]) -> list[dict[str, Any]]:
    """Run tasks by ansible-playbook on the controller and return their results."""
    shared = {"registries": [service.address], "ca_cert": str(service.authority)}
    names = [f"result_{number}" for number in range(len(tasks))]
    steps = [{**task, "register": name} for task, name in zip(tasks, names, strict=True)]
    keep = {"content": "{{ [" + ", ".join(names) + "] | to_json }}", "dest": str(directory / "results.json")}
    book = {
        "hosts": "localhost",
        "gather_facts": False,
        "module_defaults": {
            "onprem.platform.oci_artifact": shared,
            "onprem.platform.oci_signature": {**shared, "registry": service.address, "cosign": program("cosign")},
        },
        "tasks": [*steps, {"ansible.builtin.copy": {**keep, "mode": "0600"}, "check_mode": False}],
    }
    (directory / "playbook.yml").write_text(yaml.safe_dump([book]))
    done = subprocess.run(
        [str(Path(sys.executable).with_name("ansible-playbook")), str(directory / "playbook.yml")],
        cwd=REPOSITORY,
        env={**os.environ, "ANSIBLE_CONFIG": str(REPOSITORY / "ansible.cfg"), "COSIGN_PASSWORD": PASSWORD},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    answers: list[dict[str, Any]] = json.loads((directory / "results.json").read_text())
    return answers


def artifact(tag: str, content: str = "") -> dict[str, Any]:
    files = {"object.yaml": content or tag}
    return {"onprem.platform.oci_artifact": {"files": files, "repository": "tree", "tag": tag}}


def signature(digest: str, key: Keys, **more: Any) -> dict[str, Any]:
    values = {"artifacts": [{"repository": "tree", "digest": digest}], "key": str(key.private)}
    return {"onprem.platform.oci_signature": {**values, "public_key": str(key.public)}, **more}


def wait(api: ApiServer, path: str, log: Path, ready: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while True:
        live: dict[str, Any] = api.call("GET", path)
        if ready(live):
            return live
        assert time.monotonic() < deadline, f"{live.get('status')}\n{log.read_text()[-3000:]}"
        time.sleep(0.2)


def verified(live: dict[str, Any]) -> str:
    """Return what the controller says about the signature of what is asked for now; nothing before it has looked."""
    for item in (live.get("status") or {}).get("conditions", []):
        if item["type"] == "SourceVerified" and item["observedGeneration"] == live["metadata"]["generation"]:
            return str(item["status"])
    return ""


def test_flux_takes_only_what_is_signed(
    api_server: ApiServer,
    source_controller: Path,
    registry_service: RegistryService,
    keys: tuple[Keys, Keys],
    tmp_path: Path,
) -> None:
    site, other = keys
    first, unsigned, foreign = play(tmp_path, registry_service, artifact("v1"), artifact("v2"), artifact("v3"))
    answers = play(
        tmp_path,
        registry_service,
        signature(first["digest"], site, check_mode=True),
        signature(first["digest"], site),
        signature(first["digest"], site),
        signature(foreign["digest"], other),
    )
    assert [answer["changed"] for answer in answers] == [True, True, False, True]
    assert answers[1]["artifacts"][0]["signed"] and answers[1]["artifacts"][0]["pushed_to"] == [
        registry_service.address
    ]
    assert first["digest"] in answers[1]["diff"]["after"] and answers[2]["diff"]["after"] == ""
    secret = {"metadata": {"name": "key"}, "data": {"cosign.pub": base64.b64encode(site.public.read_bytes()).decode()}}
    api_server.call("POST", f"/api/v1/namespaces/{NAMESPACE}/secrets", secret)
    path = f"{SOURCES}/tree"
    spec = {
        "url": f"oci://{registry_service.address}/tree",
        "interval": "1m",
        "ref": {"digest": first["digest"]},
        "verify": {"provider": "cosign", "secretRef": {"name": "key"}},
    }
    kind = {"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "OCIRepository"}
    api_server.call("POST", SOURCES, {**kind, "metadata": {"name": "tree"}, "spec": spec})

    def taken(live: dict[str, Any]) -> bool:
        return verified(live) == "True" and "artifact" in live["status"]

    good = wait(api_server, path, source_controller, taken)
    kept = good["status"]["artifact"]["revision"]
    assert first["digest"] in kept
    for bad in (unsigned, foreign):
        change = {"spec": {"ref": {"digest": bad["digest"]}}}
        api_server.call("PATCH", path, change, "application/merge-patch+json")
        live = wait(api_server, path, source_controller, lambda live: verified(live) == "False")
        message = next(item["message"] for item in live["status"]["conditions"] if item["type"] == "SourceVerified")
        assert "no matching signatures were found" in message and bad["digest"] in message
        # What runs stays: the artifact that everything is applied from is the one that was verified.
        assert live["status"]["artifact"]["revision"] == kept
    # Signed after all, it is taken.
    play(tmp_path, registry_service, signature(foreign["digest"], site))
    ask = {"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": "now"}}}
    api_server.call("PATCH", path, ask, "application/merge-patch+json")
    live = wait(api_server, path, source_controller, lambda live: verified(live) == "True")
    assert foreign["digest"] in live["status"]["artifact"]["revision"]


def test_a_replica_gets_the_signature_of_the_other(
    registry_service: RegistryService, keys: tuple[Keys, Keys], tmp_path: Path
) -> None:
    site, _other = keys
    second = RegistryService(
        tmp_path,
        registry_service.certificate,
        registry_service.key,
        registry_service.authority,
    )
    second.start()
    try:
        both = {"registries": [registry_service.address, second.address]}
        (pushed,) = play(tmp_path, registry_service, artifact("replicated"))
        task = signature(pushed["digest"], site)
        play(tmp_path, registry_service, task)
        task["onprem.platform.oci_signature"].update(both)
        copied, again = play(tmp_path, registry_service, task, task)
        assert copied["artifacts"][0] == {
            "repository": "tree",
            "digest": pushed["digest"],
            "signed": False,
            "pushed_to": [second.address],
        }
        assert copied["changed"] and not again["changed"]
        tag = tag_of(pushed["digest"], "sig")
        assert second.client.manifest("tree", tag) == registry_service.client.manifest("tree", tag)
    finally:
        second.stop()
