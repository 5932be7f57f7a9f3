# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What oci_signature signs is verified by the real source-controller, without internet; what it did not sign is not.

What it attests is verified by cosign and by policy-controller's own program.
"""

from __future__ import annotations

import base64
import hashlib
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

from ansible_collections.onprem.platform.plugins.module_utils._signature import PROVENANCE, tag_of
from ansible_collections.onprem.platform.tests.integration.k8s.conftest import REPOSITORY, ApiServer, find_binary
from ansible_collections.onprem.platform.tests.integration.k8s.signing import (
    PASSWORD,
    SPDX,
    Keys,
    RegistryService,
    cosign,
    judge,
    policy,
    program,
)
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
        task["onprem.platform.oci_signature"]["attest"] = True
        play(tmp_path, registry_service, task)
        task["onprem.platform.oci_signature"].update(both)
        copied, again = play(tmp_path, registry_service, task, task)
        assert copied["artifacts"][0] == {
            "repository": "tree",
            "digest": pushed["digest"],
            "signed": False,
            "attested": False,
            "pushed_to": [second.address],
        }
        assert copied["changed"] and not again["changed"]
        assert copied["diff"]["after"] == f"tree@{pushed['digest']}: copied to {second.address}\n"
        for suffix in ("sig", "att"):
            tag = tag_of(pushed["digest"], suffix)
            kept = registry_service.client.manifest("tree", tag)
            assert kept is not None and second.client.manifest("tree", tag) == kept
    finally:
        second.stop()


IMAGE, OTHER_IMAGE, COMMIT = "sha256:" + "a" * 64, "sha256:" + "b" * 64, "c" * 40
REVISION = "org.opencontainers.image.revision"


def attested(service: RegistryService, key: Keys, image: str) -> dict[str, Any]:
    """Return what cosign verifies about an artifact: type -> predicate."""
    predicates = {}
    for kind in (SPDX, PROVENANCE):
        options = (f"--key={key.public}", "--insecure-ignore-tlog=true", "--new-bundle-format=false", f"--type={kind}")
        printed = cosign("verify-attestation", *options, f"{service.address}/{image}", authority=service.authority)
        envelope = json.loads(next(line for line in printed.splitlines() if line.startswith("{")))
        predicates[kind] = json.loads(base64.b64decode(envelope["payload"]))["predicate"]
    return predicates


def test_charts_and_trees_are_attested(
    registry_service: RegistryService, keys: tuple[Keys, Keys], tmp_path: Path
) -> None:
    site, other = keys
    files = {
        "Chart.yaml": f'name: shop\nversion: 0.0.0\nannotations: {{"{REVISION}": "main@sha1:{COMMIT}"}}',
        "values.yaml": f"images: {{web: {{repository: shop/web, digest: '{IMAGE}'}}}}",
        "templates/web.yaml": "image: {{ .Values.images.web }}",
    }
    for name, text in files.items():
        path = tmp_path / "shop" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    release = {"type": "helm", "path": str(tmp_path / "shop"), "repository": "charts/shop", "chart_version": "1.0.0"}
    tree = artifact("attested", f"image: {registry_service.address}/team/web:1@{OTHER_IMAGE}")
    release, tree = play(
        tmp_path, registry_service, {"onprem.platform.oci_artifact": {**release, "app_version": "7"}}, tree
    )
    both = [{"repository": item["repository"], "digest": item["digest"]} for item in (release, tree)]
    task = signature("", site)
    values = task["onprem.platform.oci_signature"]
    values |= {
        "artifacts": both,
        "attest": True,
        "builder": "https://ci.example.org",
        "source": "https://git.example.org",
    }
    known = {"onprem.platform.oci_signature": {**values, "commit": "d" * 40}}
    check, first, again, named, last = play(
        tmp_path, registry_service, {**task, "check_mode": True}, task, task, known, known
    )
    done = [(item["signed"], item["attested"], item["pushed_to"]) for item in first["artifacts"]]
    assert done == [(True, True, [registry_service.address])] * 2 and first["changed"]
    assert check["artifacts"] == first["artifacts"] and check["diff"] == first["diff"] and check["changed"]
    assert (
        f"charts/shop@{both[0]['digest']}: signed and attested to {registry_service.address}\n"
        in first["diff"]["after"]
    )
    assert not again["changed"] and again["diff"]["after"] == ""
    # The tree's commit is known now; the chart has named its own before.
    assert [(item["signed"], item["attested"]) for item in named["artifacts"]] == [(False, False), (False, True)]
    assert named["changed"] and not last["changed"]

    chart_image, tree_image = (f"{item['repository']}@{item['digest']}" for item in both)
    chart, manifests = (attested(registry_service, site, image) for image in (chart_image, tree_image))
    packages = chart[SPDX]["packages"]
    assert [(item["name"], item["versionInfo"]) for item in packages] == [
        (f"{registry_service.address}/charts/shop", "1.0.0"),
        ("shop/web", IMAGE),
    ]
    assert [item["fileName"] for item in chart[SPDX]["files"]] == [
        "./shop/Chart.yaml",
        "./shop/templates/web.yaml",
        "./shop/values.yaml",
    ]
    digests = {item["fileName"]: item["checksums"][1]["checksumValue"] for item in chart[SPDX]["files"]}
    assert digests["./shop/templates/web.yaml"] == hashlib.sha256(files["templates/web.yaml"].encode()).hexdigest()
    build = chart[PROVENANCE]["buildDefinition"]
    assert build["externalParameters"] == {
        "repository": f"{registry_service.address}/charts/shop",
        "name": "shop",
        "version": "1.0.0",
        "appVersion": "7",
    }
    assert [item["digest"] for item in build["resolvedDependencies"]] == [{"gitCommit": COMMIT}, {"sha256": "a" * 64}]
    materials = manifests[PROVENANCE]["buildDefinition"]["resolvedDependencies"]
    assert materials[0] == {"uri": "git+https://git.example.org", "digest": {"gitCommit": "d" * 40}}
    assert materials[1]["digest"] == {"sha256": "b" * 64}
    assert manifests[PROVENANCE]["runDetails"]["builder"] == {"id": "https://ci.example.org"}
    # By this key and for this artifact only.
    path = tmp_path / "policy.yaml"
    for key, admitted in ((site, True), (other, False)):
        path.write_text(yaml.safe_dump(policy(registry_service.address, key.pem)))
        assert judge(registry_service, path, chart_image)[0] is admitted


def test_what_cannot_be_attested(registry_service: RegistryService, keys: tuple[Keys, Keys], tmp_path: Path) -> None:
    site, _other = keys
    image = registry_service.push_image("tree", "image", tmp_path)
    absent, other = (signature(digest, site, ignore_errors=True) for digest in (IMAGE, image))
    for task in (absent, other):
        task["onprem.platform.oci_signature"]["attest"] = True
    answers = play(tmp_path, registry_service, absent, other)
    assert answers[0]["failed"] and f"No replica has tree@{IMAGE}" in answers[0]["msg"]
    assert answers[1]["failed"] and "is neither a chart nor a tree of Flux" in answers[1]["msg"]
    assert registry_service.client.manifest("tree", tag_of(image, "sig")) is None
