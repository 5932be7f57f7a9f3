# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signatures: those that this collection makes are read by cosign, and those of cosign by this collection."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.onprem.platform.plugins.module_utils._oci import (
    HELM_CONFIG,
    HELM_CONTENT,
    archive,
    artifact,
    push,
)
from ansible_collections.onprem.platform.plugins.module_utils._signature import PROVENANCE, PublicKey, tag_of
from ansible_collections.onprem.platform.plugins.plugin_utils._bundle_common import BundleError
from ansible_collections.onprem.platform.plugins.plugin_utils._bundle_index import Index
from ansible_collections.onprem.platform.plugins.plugin_utils._cosign import Cosign
from ansible_collections.onprem.platform.tests.integration.bundled_images import bundle_directory
from ansible_collections.onprem.platform.tests.integration.k8s.conftest import REPOSITORY
from ansible_collections.onprem.platform.tests.integration.k8s.examples import examples, run_examples
from ansible_collections.onprem.platform.tests.integration.k8s.signing import (
    PASSWORD,
    SPDX,
    Keys,
    RegistryService,
    cosign,
    judge,
    policy,
    program,
    small_bundle,
)
from ansible_collections.onprem.platform.tests.integration.ports import free_port

ModuleRunner = Callable[..., dict[str, Any]]
GO_IMAGE, DEBIAN_IMAGE = "kube-state-metrics", "valkey"
CHARTS = [entry["path"] for entry in Index(bundle_directory()).entries if entry["kind"] == "chart"]


def play(directory: Path, tasks: list[dict[str, Any]], fails: bool = False) -> list[dict[str, Any]]:
    """Run tasks by ansible-playbook on the controller and return their results."""
    playbook = directory / "playbook.yml"
    play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}
    playbook.write_text(yaml.safe_dump([play], sort_keys=False), encoding="utf-8")
    done = subprocess.run(
        [str(Path(sys.executable).with_name("ansible-playbook")), str(playbook)],
        cwd=REPOSITORY,
        env={
            **os.environ,
            "ANSIBLE_CONFIG": str(REPOSITORY / "ansible.cfg"),
            "ANSIBLE_STDOUT_CALLBACK": "ansible.builtin.default",
            "ANSIBLE_CALLBACKS_ENABLED": "ansible.builtin.default",
            "ANSIBLE_CALLBACK_RESULT_FORMAT": "json",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert PASSWORD not in done.stdout + done.stderr
    assert (done.returncode != 0) == fails, done.stdout + done.stderr
    return [{"output": done.stdout}]


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Sign a bundle: in check mode, then really, again, and again after something was damaged or removed."""
    directory = tmp_path_factory.mktemp("signed")
    bundle = small_bundle(directory / "bundle", GO_IMAGE, DEBIAN_IMAGE)
    password = directory / "password"
    password.write_text(PASSWORD)
    password.chmod(0o600)
    arguments = {
        "directory": str(bundle),
        "signatures": str(directory / "signatures"),
        "key": str(directory / "cosign.key"),
        "password": f"{{{{ lookup('ansible.builtin.file', '{password}') }}}}",
        "create_key": True,
        "registry": "registry.platform.internal:5000",
        "commit": "0" * 40,
        "cosign": program("cosign"),
    }
    layout = directory / "signatures" / "oci"
    chart, kept = bundle / CHARTS[0], directory / "kept.tgz"
    sign = {"onprem.platform.bundle_signature": arguments, "diff": True}

    def step(name: str, **more: Any) -> list[dict[str, Any]]:
        target = str(directory / f"{name}.json")
        return [
            {**sign, **more, "register": "result"},
            {
                "ansible.builtin.copy": {"content": "{{ result | to_json }}", "dest": target, "mode": "0600"},
                "check_mode": False,
            },
        ]

    new_key = str(directory / "new.key")
    one = {"onprem.platform.bundle_signature": {**arguments, "names": [DEBIAN_IMAGE]}}
    other = {"onprem.platform.bundle_signature": {**arguments, "names": [DEBIAN_IMAGE], "key": new_key}}
    damaged = f"{layout}/index.json"
    tasks = [
        *step("check", check_mode=True),
        *step("first"),
        *step("again"),
        # All that is known of one image.
        {"ansible.builtin.replace": {"path": damaged, "regexp": "valkey:sha256-([0-9a-f]+).sig", "replace": "x:a"}},
        *step("repaired"),
        {"ansible.builtin.lineinfile": {"path": f"{bundle}/index.json", "line": " "}},
        *step("index"),
        {"ansible.builtin.file": {"path": f"{layout.parent}/{CHARTS[0]}.provenance.intoto.json", "state": "absent"}},
        {"ansible.builtin.copy": {"content": "", "dest": f"{layout.parent}/charts/gone-1.0.0.tgz.sig", "mode": "0600"}},
        *step("chart"),
        {"ansible.builtin.copy": {"src": str(chart), "dest": str(kept), "mode": "0600"}},
        {"ansible.builtin.copy": {"content": "changed", "dest": str(chart), "mode": "0600"}},
        *step("changed_check", ignore_errors=True, check_mode=True),
        *step("changed", ignore_errors=True),
        {"ansible.builtin.copy": {"src": str(kept), "dest": str(chart), "mode": "0600"}},
        # Another key, for one image only: each signature costs a start of cosign.
        *step("key", **other),
        *step(
            "password",
            ignore_errors=True,
            **{
                "onprem.platform.bundle_signature": {
                    **arguments,
                    "key": new_key,
                    "public_key": str(directory / "none.pub"),
                    "password": "wrong",
                }
            },
        ),
        # The first key again, for the tests that follow.
        *step("back", **one),
    ]
    play(directory, tasks)
    names = {path.stem: path for path in directory.glob("*.json")}
    return {"directory": directory, **{name: json.loads(path.read_text()) for name, path in names.items()}}


def added(answer: dict[str, Any]) -> dict[str, list[str]]:
    return {item["name"].split(":")[0]: item["added"] for item in answer["signed"] if item["added"]}


EVERYTHING = ["signature", "bill of materials", "provenance"]
WHOLE = {
    GO_IMAGE: EVERYTHING,
    DEBIAN_IMAGE: EVERYTHING,
    **dict.fromkeys(CHARTS, EVERYTHING),
    "index.json": ["signature"],
    "bundle": ["bill of materials"],
}


def test_signing_is_truthful(signed: dict[str, Any]) -> None:
    assert signed["check"]["changed"] and added(signed["check"]) == WHOLE and signed["check"]["public_key"] == ""
    assert signed["first"]["changed"] and added(signed["first"]) == WHOLE
    digests = {item["name"]: item["digest"] for item in signed["first"]["signed"]}
    assert f"valkey:8.1 {digests['valkey:8.1']}" in signed["first"]["diff"]["after"]
    assert signed["again"]["changed"] is False and added(signed["again"]) == {}
    assert signed["again"]["public_key"] == signed["first"]["public_key"] != ""
    assert added(signed["repaired"]) == {DEBIAN_IMAGE: ["signature"]}
    assert added(signed["index"]) == {"index.json": ["signature"], "bundle": ["bill of materials"]}
    assert added(signed["chart"]) == {CHARTS[0]: ["provenance"]}
    assert not (signed["directory"] / "signatures/charts/gone-1.0.0.tgz.sig").exists()
    # Another key makes all anew.
    assert (
        added(signed["key"]) == {DEBIAN_IMAGE: EVERYTHING}
        and signed["key"]["public_key"] != signed["first"]["public_key"]
    )
    assert signed["password"]["failed"] and "cosign cannot use the key" in signed["password"]["msg"]
    key = signed["directory"] / "cosign.key"
    assert key.stat().st_mode & 0o777 == 0o600 and "ENCRYPTED" in key.read_text()


def test_every_chart_is_signed_and_attested(signed: dict[str, Any], tmp_path: Path) -> None:
    directory = signed["directory"]
    assert CHARTS, "the bundle has charts"
    verify = (f"--key={directory}/cosign.pub", "--insecure-ignore-tlog=true")
    changed = tmp_path / "changed.tgz"
    changed.write_bytes((directory / "bundle" / CHARTS[0]).read_bytes() + b"\0")
    for path in CHARTS:
        chart, made = str(directory / "bundle" / path), directory / "signatures" / path
        cosign("verify-blob", *verify, f"--signature={made}.sig", chart)
        for kind, name in ((SPDX, "spdx"), (PROVENANCE, "provenance")):
            options = (*verify, "--new-bundle-format=false", f"--type={kind}")
            signature = f"--signature={made}.{name}.intoto.json"
            assert "Verified OK" in cosign("verify-blob-attestation", *options, signature, chart)
    cosign("verify-blob", *verify, f"--signature={made}.sig", str(changed), fails=True)
    cosign("verify-blob-attestation", *options, signature, str(changed), fails=True)
    # Nobody signs what the bundle was not made with, nor finds it in order.
    for name in ("changed_check", "changed"):
        assert signed[name]["failed"] and "is not what the bundle's index says" in signed[name]["msg"]


def test_statements_say_what_is_in_a_chart(signed: dict[str, Any]) -> None:
    directory = signed["directory"]
    entry = next(item for item in Index(directory / "bundle").entries if item["name"] == "cilium")
    stated = {}
    for name in ("spdx", "provenance"):
        envelope = json.loads((directory / "signatures" / f"{entry['path']}.{name}.intoto.json").read_text())
        stated[name] = json.loads(base64.b64decode(envelope["payload"]))
        assert stated[name]["subject"] == [{"name": entry["path"], "digest": {"sha256": entry["sha256"]}}]
    document = stated["spdx"]["predicate"]
    with tarfile.open(directory / "bundle" / entry["path"]) as archive:
        assert [item["fileName"] for item in document["files"]] == sorted(
            f"./{name.name}" for name in archive if name.isfile()
        )
        values = yaml.safe_load(archive.extractfile("cilium/values.yaml"))  # type: ignore[arg-type]
    packages = {item["name"]: item for item in document["packages"]}
    assert (
        packages["cilium"]["filesAnalyzed"] and packages["cilium"]["checksums"][0]["checksumValue"] == entry["sha256"]
    )
    image = packages[values["image"]["repository"]]
    assert image["versionInfo"] == (values["image"]["digest"] or values["image"]["tag"])
    identifiers = [item["SPDXID"] for item in (*document["packages"], *document["files"])]
    assert len(identifiers) == len(set(identifiers))
    assert {item["relatedSpdxElement"] for item in document["relationships"]} == set(identifiers)
    materials = stated["provenance"]["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert {"gitCommit": "0" * 40} in [item["digest"] for item in materials]
    module = next(item for item in materials if item.get("uri", "").startswith("pkg:golang/github.com/cilium/cilium@v"))
    assert len(module["digest"]["dirHash1"]) == 64


@pytest.fixture(scope="module")
def pushed(signed: dict[str, Any], registry_service: RegistryService) -> dict[str, str]:
    """Copy images and signatures to the registry as roles do; return name -> digest."""
    directory = signed["directory"]
    push = {"registries": [registry_service.address], "ca_cert": str(registry_service.authority)}
    tasks: list[dict[str, Any]] = [
        {"onprem.platform.oci_image": {**push, "layout": f"{directory}/bundle/images"}},
        {"onprem.platform.oci_image": {**push, "layout": f"{directory}/signatures/oci"}, "register": "first"},
        {"onprem.platform.oci_image": {**push, "layout": f"{directory}/signatures/oci"}, "register": "again"},
        {"ansible.builtin.assert": {"that": ["first is changed", "again is not changed"]}},
    ]
    play(directory, tasks)
    return {item["name"]: item["digest"] for item in signed["first"]["signed"] if ":" in item["name"]}


def test_cosign_verifies_what_was_signed_here(
    signed: dict[str, Any], pushed: dict[str, str], registry_service: RegistryService
) -> None:
    directory, address, authority = signed["directory"], registry_service.address, registry_service.authority
    verify = (f"--key={directory}/cosign.pub", "--insecure-ignore-tlog=true", "--new-bundle-format=false")
    for name, digest in pushed.items():
        image = f"{address}/{name.partition(':')[0]}@{digest}"
        assert digest in cosign("verify", *verify, image, authority=authority)
        for kind in (SPDX, PROVENANCE):
            answer = cosign("verify-attestation", *verify, f"--type={kind}", image, authority=authority)
            assert "payloadType" in answer
    other = (f"--key={directory}/new.pub", *verify[1:])
    cosign("verify", *other, image, authority=authority, fails=True)
    for name in ("bundle/index.json", "signatures/bundle.spdx.json"):
        signature = directory / "signatures" / f"{Path(name).name}.sig"
        cosign("verify-blob", *verify[:2], f"--signature={signature}", f"{directory}/{name}")


def test_statements_say_what_is_in_the_images(
    signed: dict[str, Any], pushed: dict[str, str], registry_service: RegistryService, run: ModuleRunner
) -> None:
    answer = info(run, registry_service, list(pushed), {"site": signed["first"]["public_key"]}, predicates=True)
    for image in answer["images"]:
        assert image["signed_by"] == ["site"] and image["attested"] == sorted([PROVENANCE, SPDX])
    predicates = {
        image["name"].partition(":")[0]: {item["predicate_type"]: item["predicate"] for item in image["attestations"]}
        for image in answer["images"]
    }
    go, debian = predicates[GO_IMAGE][SPDX], predicates[DEBIAN_IMAGE][SPDX]
    assert {"k8s.io/kube-state-metrics/v2", "k8s.io/client-go", "stdlib"} <= {item["name"] for item in go["packages"]}
    assert {"libc6", "valkey-server"} <= {item["name"] for item in debian["packages"]}
    for document in (go, debian):
        identifiers = [item["SPDXID"] for item in document["packages"]]
        assert len(identifiers) == len(set(identifiers))
        ends = {item["relatedSpdxElement"] for item in document["relationships"]}
        assert ends == set(identifiers), "every package is related"
        assert all(item["externalRefs"][0]["referenceLocator"].startswith("pkg:") for item in document["packages"])
    materials = predicates[DEBIAN_IMAGE][PROVENANCE]["buildDefinition"]["resolvedDependencies"]
    assert {"gitCommit": "0" * 40} in [item["digest"] for item in materials]
    packages = [item for item in materials if item.get("uri", "").startswith("pkg:deb/debian/")]
    assert len(packages) > 5 and all(len(item["digest"]["sha256"]) == 64 for item in packages)
    bundle = json.loads((signed["directory"] / "signatures" / "bundle.spdx.json").read_text())
    assert {item["name"] for item in bundle["packages"]} >= {GO_IMAGE, DEBIAN_IMAGE, "cilium"}


def info(
    run: ModuleRunner, service: RegistryService, images: list[str], keys: dict[str, str], **more: Any
) -> dict[str, Any]:
    params = {"registry": service.address, "ca_cert": str(service.authority), "images": images, "public_keys": keys}
    return run("image_signature_info", {**params, **more}, plain=True)


@pytest.fixture(scope="module")
def pipeline(
    registry_service: RegistryService, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Keys, Keys, dict[str, str]]:
    """Images that a pipeline has signed with cosign itself, well and badly; name -> digest."""
    directory = tmp_path_factory.mktemp("pipeline")
    good, bad = Keys(directory, "good"), Keys(directory, "bad")
    names = ("complete", "unsigned", "wrong-key", "no-attestation", "other-content")
    digests = {name: registry_service.push_image("app", name, directory) for name in names}
    for name in ("complete", "no-attestation", "other-content"):
        good.sign(registry_service, f"app@{digests[name]}")
    bad.sign(registry_service, f"app@{digests['wrong-key']}")
    good.attest(registry_service, f"app@{digests['complete']}", {"spdxVersion": "SPDX-2.3"})
    good.attest(registry_service, f"app@{digests['other-content']}", {"spdxVersion": "SPDX-1.0"})
    bad.attest(registry_service, f"app@{digests['wrong-key']}", {"spdxVersion": "SPDX-2.3"})
    return good, bad, digests


def test_signatures_of_cosign_are_read(
    pipeline: tuple[Keys, Keys, dict[str, str]], registry_service: RegistryService, run: ModuleRunner
) -> None:
    good, bad, digests = pipeline
    images = [*(f"app:{name}" for name in digests), f"app@{digests['complete']}", "app:absent"]
    answer = info(run, registry_service, images, {"release": good.pem})
    found = {item["name"].partition(":")[2]: item for item in answer["images"] if "@" not in item["name"]}
    assert [item["name"] for item in answer["images"]] == images and not answer["changed"]
    assert found["complete"]["signed_by"] == ["release"] and found["complete"]["attested"] == [SPDX]
    assert "predicate" not in found["complete"]["attestations"][0]
    assert answer["images"][-2] == {**found["complete"], "name": f"app@{digests['complete']}"}
    assert found["no-attestation"]["signed_by"] == ["release"] and found["no-attestation"]["attested"] == []
    assert found["unsigned"]["digest"] and found["unsigned"]["signatures"] == []
    assert found["wrong-key"]["signed_by"] == found["wrong-key"]["attested"] == []
    assert found["wrong-key"]["signatures"][0]["reason"] == "no key that is known here has signed it"
    assert found["absent"]["digest"] == ""
    both = info(run, registry_service, ["app:wrong-key"], {"release": good.pem, "other": bad.pem}, predicates=True)
    assert both["images"][0]["signed_by"] == ["other"]
    assert both["images"][0]["attestations"][0]["predicate"] == {"spdxVersion": "SPDX-2.3"}


def test_a_signature_moved_to_another_image_is_worth_nothing(
    pipeline: tuple[Keys, Keys, dict[str, str]], registry_service: RegistryService, run: ModuleRunner, tmp_path: Path
) -> None:
    good, _bad, digests = pipeline
    victim = registry_service.push_image("app", "victim", tmp_path)
    for suffix in ("sig", "att"):
        _digest, content = registry_service.client.manifest("app", tag_of(digests["complete"], suffix))  # type: ignore[misc]
        put(registry_service, tag_of(victim, suffix), content)
    image = info(run, registry_service, ["app:victim"], {"release": good.pem})["images"][0]
    assert image["signed_by"] == image["attested"] == []
    assert f"it is for {digests['complete']}, not for this image" in image["signatures"][0]["reason"]


def put(service: RegistryService, tag: str, content: bytes) -> None:
    from ansible_collections.onprem.platform.plugins.module_utils._oci import Manifest

    service.client.push_manifest("app", tag, Manifest(content, "application/vnd.oci.image.manifest.v1+json"))


def test_wrong_arguments(registry_service: RegistryService, run: ModuleRunner) -> None:
    assert "no public key in PEM" in info(run, registry_service, ["app:1"], {"release": "text"})["msg"]
    assert "is no sha256 digest" in info(run, registry_service, ["app@sha256:1"], {})["msg"]


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A Vault with the transit engine; yields what cosign finds it by."""
    address = f"127.0.0.1:{free_port()}"
    environment = {
        **os.environ,
        "HOME": str(tmp_path),
        "VAULT_ADDR": f"http://{address}",
        "VAULT_TOKEN": "root-of-test",
    }
    options = ["-dev-root-token-id=root-of-test", f"-dev-listen-address={address}", "-dev-no-store-token"]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [program("vault"), "server", "-dev", *options], env=environment, stdout=log, stderr=log
        )
    try:
        enable = [program("vault"), "secrets", "enable", "transit"]
        deadline = time.monotonic() + 30
        while subprocess.run(enable, env=environment, capture_output=True, check=False).returncode:
            assert time.monotonic() < deadline and process.poll() is None, (tmp_path / "log").read_text()
            time.sleep(0.3)
        yield environment
    finally:
        process.kill()
        process.wait()


def test_key_in_vault(vault: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("VAULT_ADDR", "VAULT_TOKEN"):
        monkeypatch.setenv(name, vault[name])
    key = Cosign(Path(program("cosign")), "hashivault://release", tmp_path / "release.pub")
    with pytest.raises(BundleError, match="cosign cannot use the key hashivault://release"):
        key.fetch_public_key()
    pem = key.create()
    assert key.public_key() == pem and key.fetch_public_key() == pem
    assert PublicKey("vault", pem).verifies(key.sign(b"content"), b"content")
    assert not PublicKey("vault", pem).verifies(key.sign(b"other"), b"content")


def test_policy_controller_judges_them(
    signed: dict[str, Any],
    pushed: dict[str, str],
    pipeline: tuple[Keys, Keys, dict[str, str]],
    registry_service: RegistryService,
    tmp_path: Path,
) -> None:
    good, _bad, digests = pipeline
    path = tmp_path / "policy.yaml"
    path.write_text(yaml.safe_dump(policy(registry_service.address, good.pem)))
    verdicts = {name: judge(registry_service, path, f"app@{digest}") for name, digest in digests.items()}
    assert {name for name, (admitted, _text) in verdicts.items() if admitted} == {"complete"}, verdicts
    assert "failed evaluating cue policy" in verdicts["other-content"][1]
    path.write_text(yaml.safe_dump(policy(registry_service.address, signed["first"]["public_key"])))
    for name, digest in pushed.items():
        assert judge(registry_service, path, f"{name.partition(':')[0]}@{digest}")[0], "what this collection has signed"


def test_examples(registry_service: RegistryService, tmp_path: Path) -> None:
    bundle = small_bundle(tmp_path / "bundle", GO_IMAGE)
    (tmp_path / "bundle" / "files").mkdir()
    (tmp_path / "bundle" / "files" / "cosign").symlink_to(program("cosign"))
    # The registry of the test asks for no certificate, so any will do.
    certificate, key = registry_service.certificate, registry_service.key
    access = {
        "/etc/onprem-platform/pki/ca.crt": str(registry_service.authority),
        "/run/onprem-platform/push.crt": str(certificate),
        "/run/onprem-platform/push.key": str(key),
    }
    state = str(tmp_path / "state")
    sign = examples(
        "bundle_signature",
        {
            "~/.cache/onprem-platform/bundle": str(bundle),
            "~/.local/state/onprem-platform/onprem": state,
            '["192.0.2.11:5001", "192.0.2.12:5001", "192.0.2.13:5001"]': f'["{registry_service.address}"]',
            **access,
        },
    )
    image = Index(bundle).find("image", GO_IMAGE)
    name = f"{image['repository']}:{image['tag']}"
    copy = {"layout": str(bundle / "images"), "registries": [registry_service.address]}
    copied = {"onprem.platform.oci_image": {**copy, "ca_cert": str(registry_service.authority)}}
    look = examples(
        "image_signature_info",
        {
            "registry.platform.internal:5000": registry_service.address,
            "laravel-demo:1.0.0": name,
            "'cosign.pub'": f"'{state}/cosign.pub'",
            "/etc/onprem-platform/pki/ca.crt": str(registry_service.authority),
        },
    )
    chart = archive({"shop/Chart.yaml": (b"{name: shop, version: 1.0.0}", 0o644)})
    release = artifact({"name": "shop", "version": "1.0.0"}, HELM_CONFIG, chart, HELM_CONTENT)
    push([registry_service.client], [("charts/shop", "1.0.0", release)])
    one = examples(
        "oci_signature",
        {
            "sha256:7d0ba9a2c1f04ee8a7ff0d5cbd1a1e6ac7fcb66ad8c0bd6d3c3a2fa6ba1e9c01": release.digest,
            "hashivault://release": f"{state}/cosign.key",
            "release.pub": f"{state}/cosign.pub",
            "/usr/local/bin/cosign": program("cosign"),
            "192.0.2.11:5001": registry_service.address,
            **access,
        },
    )
    run_examples(tmp_path, [*sign, copied, *look, *one], environment={"COSIGN_PASSWORD": PASSWORD})
