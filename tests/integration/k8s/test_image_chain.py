# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The chain from a commit to a running image, with a real registry, repository and API server, and with gaps in it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ansible_collections.onprem.platform.plugins.module_utils._oci import (
    MEDIA_TYPE_INDEX,
    MEDIA_TYPE_MANIFEST,
    Manifest,
    canonical_json,
    push,
)
from ansible_collections.onprem.platform.plugins.module_utils._signature import (
    PROVENANCE,
    attestation_manifest,
    encoded,
    payload,
    signature_manifest,
    statement,
    tag_of,
)
from ansible_collections.onprem.platform.tests.integration.k8s.conftest import ApiServer
from ansible_collections.onprem.platform.tests.integration.k8s.examples import examples, run_examples
from ansible_collections.onprem.platform.tests.integration.k8s.signing import SPDX, Keys, RegistryService

ModuleRunner = Callable[..., dict[str, Any]]
BUILDER = "https://ci.example.org/shop"
VERSION = "org.opencontainers.image.version"
OTHER = "sha256:" + "0" * 64


def git(directory: Path, *arguments: str) -> str:
    person = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.org"}
    person |= {name.replace("AUTHOR", "COMMITTER"): value for name, value in person.items()}
    command = ["git", "-C", str(directory), "-c", "init.defaultBranch=main", *arguments]
    done = subprocess.run(
        command, env={**os.environ, **person, "HOME": str(directory)}, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def provenance(commit: str) -> dict[str, Any]:
    material = {"uri": "git+https://git.example.org/shop@refs/tags/v1", "digest": {"gitCommit": commit}}
    return {
        "buildDefinition": {
            "buildType": "https://ci.example.org/type",
            "externalParameters": {},
            "resolvedDependencies": [material],
        },
        "runDetails": {"builder": {"id": BUILDER}},
    }


@dataclass
class Site:
    """A registry with images, and the repository that they come from."""

    service: RegistryService
    directory: Path
    keys: dict[str, str]
    repository: Path
    commits: tuple[str, str]
    digests: dict[str, str]
    key: ec.EllipticCurvePrivateKey

    @property
    def name(self) -> str:
        return f"{self.service.address}/shop"

    def add(self, tag: str, commit: str = "", signed: bool = True) -> str:
        """Push an image that a pipeline signs with a plain key."""
        digest = self.service.push_image("shop", tag, self.directory, **{VERSION: tag})
        self.digests[tag] = digest
        if signed:
            content = payload(self.name, digest)
            self.push(tag_of(digest, "sig"), signature_manifest(content, self._sign(content)))
        bodies = [(SPDX, {"spdxVersion": "SPDX-2.3"}), (PROVENANCE, provenance(commit or self.commits[0]))]
        made = [statement(self.name, digest, kind, predicate) for kind, predicate in bodies]
        self.push(tag_of(digest, "att"), attestation_manifest([(body, self._sign(encoded(body))) for body in made]))
        return digest

    def push(self, tag: str, manifest: Manifest) -> None:
        push([self.service.client], [("shop", tag, manifest)])

    def copy(self, source: str, target: str) -> None:
        found = self.service.client.manifest("shop", source)
        assert found is not None
        self.service.client.push_manifest("shop", target, Manifest(found[1], MEDIA_TYPE_MANIFEST))

    def _sign(self, content: bytes) -> bytes:
        return self.key.sign(content, ec.ECDSA(hashes.SHA256()))


@pytest.fixture(scope="module")
def site(registry_service: RegistryService, tmp_path_factory: pytest.TempPathFactory) -> Site:
    directory = tmp_path_factory.mktemp("chain")
    repository = directory / "repository"
    repository.mkdir()
    git(repository, "init", "--quiet")
    commits = []
    for number in range(2):
        git(repository, "commit", "--quiet", "--allow-empty", f"--message={number}")
        commits.append(git(repository, "rev-parse", "HEAD"))
    git(repository, "tag", "v1", commits[0])
    pipeline, release = ec.generate_private_key(ec.SECP256R1()), Keys(directory, "release")
    pem = pipeline.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    keys = {"release": release.pem, "pipeline": pem.decode()}
    found = Site(registry_service, directory, keys, repository, (commits[0], commits[1]), {}, pipeline)
    # As a pipeline does it with cosign itself.
    digest = registry_service.push_image("shop", "1.0.0", directory, **{VERSION: "1.0.0"})
    found.digests["1.0.0"] = digest
    release.sign(registry_service, f"shop@{digest}")
    release.attest(registry_service, f"shop@{digest}", {"spdxVersion": "SPDX-2.3"})
    release.attest(registry_service, f"shop@{digest}", provenance(commits[0]), PROVENANCE)
    return found


def run_pod(api: ApiServer, namespace: str, name: str, **images: tuple[str, str]) -> None:
    """Make a pod whose containers (name=(image, imageID)) run; ``init`` and ``sidecar`` are what they are called."""
    kinds: dict[str, list[dict[str, Any]]] = {"initContainers": [], "containers": []}
    statuses: dict[str, list[dict[str, Any]]] = {"initContainerStatuses": [], "containerStatuses": []}
    for container, (image, image_id) in images.items():
        early = container in ("init", "sidecar")
        restart = {"restartPolicy": "Always"} if container == "sidecar" else {}
        kinds["initContainers" if early else "containers"].append({"name": container, "image": image, **restart})
        status = {"name": container, "image": image, "imageID": image_id, "ready": True, "restartCount": 0}
        statuses["initContainerStatuses" if early else "containerStatuses"].append(status)
    path = f"/api/v1/namespaces/{namespace}/pods"
    api.call("POST", path, {"metadata": {"name": name, "labels": {"app": name}}, "spec": kinds})
    api.patch_status(f"{path}/{name}", {"phase": "Running", **statuses})


@pytest.fixture
def audit(run: ModuleRunner, site: Site, namespace: str) -> Callable[..., dict[str, Any]]:
    def call(**params: Any) -> dict[str, Any]:
        own = {
            "namespace": namespace,
            "public_keys": site.keys,
            "registry_ca_cert": str(site.service.authority),
            "repository": str(site.repository),
        }
        answer = run("image_chain_info", {**own, **params})
        assert answer["writes_seen"] == []
        return answer

    return call


def states(answer: dict[str, Any], container: str = "web") -> dict[str, str]:
    """Return link -> reason of all links of a container that do not hold."""
    links = next(item["links"] for item in answer["chains"] if item["container"] == container)
    return {item["link"]: item["reason"] for item in links if item["state"] != "ok"}


def test_a_whole_chain(api_server: ApiServer, site: Site, namespace: str, audit: Callable[..., dict[str, Any]]) -> None:
    digest = site.digests["1.0.0"]
    good = (f"{site.name}:1.0.0@{digest}", f"docker.io/other/name@{digest}")
    by_digest = (f"{site.name}@{digest}", f"{site.name}@{digest}")
    run_pod(api_server, namespace, "shop", init=by_digest, sidecar=good, web=good)
    answer = audit(builders=[BUILDER], require_whole=True)
    assert answer["whole"] and not answer["changed"] and not answer.get("failed"), answer
    assert [item["kind"] for item in answer["chains"]] == ["init", "sidecar", "container"]
    values = {item["link"]: item["value"] for item in answer["chains"][2]["links"]}
    assert values == {
        "commit": site.commits[0],
        "tag": "v1 1.0.0",
        "build": f"{BUILDER} (1 materials)",
        "digest": digest,
        "signature": "release",
        "attestation": f"{PROVENANCE}, {SPDX}",
        "running": digest,
    }
    assert len(answer["table"]) == 4 and answer["table"][0].split()[:3] == ["POD", "CONTAINER", "COMMIT"]
    assert audit(pod="shop")["chains"] == answer["chains"] == audit(label_selector="app=shop")["chains"]


def test_an_index(api_server: ApiServer, site: Site, namespace: str, audit: Callable[..., dict[str, Any]]) -> None:
    child = site.digests["1.0.0"]
    manifest = site.service.client.manifest("shop", child)
    assert manifest is not None
    entry = {
        "mediaType": MEDIA_TYPE_MANIFEST,
        "digest": child,
        "size": len(manifest[1]),
        "platform": {"architecture": "amd64", "os": "linux"},
    }
    index = Manifest(
        canonical_json({"schemaVersion": 2, "mediaType": MEDIA_TYPE_INDEX, "manifests": [entry]}), MEDIA_TYPE_INDEX
    )
    site.push("index", index)
    content = payload(site.name, index.digest)
    site.push(tag_of(index.digest, "sig"), signature_manifest(content, site._sign(content)))
    image = f"{site.name}:index@{index.digest}"
    run_pod(api_server, namespace, "one", web=(image, f"{site.name}@{index.digest}"))
    run_pod(api_server, namespace, "two", web=(image, f"{site.name}@{child}"))
    run_pod(api_server, namespace, "other", web=(image, f"{site.name}@{OTHER}"))
    for pod in ("one", "two"):
        # The attestations of a manifest are none of the index.
        assert set(states(audit(pod=pod))) == {"commit", "build", "attestation"}
    assert states(audit(pod="other"))["running"] == f"the pod asks for {index.digest}"


def test_planted_gaps(api_server: ApiServer, site: Site, namespace: str, audit: Callable[..., dict[str, Any]]) -> None:
    site.add("good")
    site.add("unsigned", signed=False)
    site.add("elsewhere", commit="f" * 40)
    site.add("untagged", commit=site.commits[1])
    moved, after = site.add("moved"), site.service.push_image("shop", "after", site.directory)
    site.copy(after, "moved")
    bare = site.service.push_image("shop", "bare", site.directory, **{VERSION: "bare"})
    site.digests["bare"] = bare
    for suffix in ("sig", "att"):
        site.copy(tag_of(moved, suffix), tag_of(bare, suffix))
    for tag, digest in site.digests.items():
        image = f"{site.name}@{digest}"
        run_pod(api_server, namespace, tag, web=(image, image))
    good = f"{site.name}@{site.digests['good']}"
    run_pod(api_server, namespace, "by-tag", web=(f"{site.name}:good", good))
    run_pod(api_server, namespace, "other-running", web=(good, f"{site.name}@{moved}"))
    run_pod(api_server, namespace, "starting", web=(good, ""))
    run_pod(api_server, namespace, "absent", web=(f"{site.name}@{OTHER}", f"{site.name}@{OTHER}"))
    answer = audit()
    assert not answer["whole"] and not answer.get("failed")
    gaps = {item["pod"]: states({"chains": [item]}) for item in answer["chains"]}
    assert gaps["good"] == gaps["1.0.0"] == {}
    assert gaps["unsigned"] == {"signature": "it is not signed"}
    assert gaps["elsewhere"] == {
        "commit": "the repository does not have this commit",
        "tag": f"no tag v1 of the repository points to {'f' * 40}",
    }
    assert gaps["untagged"] == {"tag": f"no tag v1 of the repository points to {site.commits[1]}"}
    assert gaps["moved"] == {"tag": f"the tag is at {after} now"}
    assert gaps["by-tag"] == {"digest": "the pod's image is named by a tag alone, which may move"}
    assert gaps["other-running"] == {"running": f"the pod asks for {site.digests['good']}"}
    assert gaps["starting"] == {"running": "the container has not started"}
    assert set(gaps["absent"]) == {"commit", "tag", "build", "digest", "signature", "attestation"}
    # The attestations of another image.
    assert set(gaps["bare"]) == {"commit", "build", "signature", "attestation"}
    assert f"it is for {moved}, not for this image" in gaps["bare"]["attestation"]
    failed = audit(pod="unsigned", require_whole=True)
    assert failed["failed"] and "1 gaps in 1 of 1 chains" in failed["msg"] and "it is not signed" in failed["msg"]
    # What a site allows is shown with its reason.
    allowance = {"images": [f"{site.name}@*"], "links": ["signature"], "reason": "mirrored"}
    allowed = audit(pod="unsigned", allowances=[allowance], require_whole=True)
    assert allowed["whole"] and states(allowed) == {"signature": "it is not signed; allowed: mirrored"}
    assert not audit(pod="bare", allowances=[allowance])["whole"]
    # Keys and builders that do not count.
    assert set(states(audit(pod="good", public_keys={"release": site.keys["release"]}))) == {
        "commit",
        "build",
        "signature",
        "attestation",
    }
    assert set(states(audit(pod="good", builders=["https://ci.example.org/other"]))) == {"build"}
    assert states(audit(pod="elsewhere", repository=None)) == {}


def test_what_cannot_be_looked_at(
    api_server: ApiServer, site: Site, namespace: str, audit: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    assert "has no such pod" in audit()["msg"]
    image = f"registry.invalid:5000/shop@{OTHER}"
    run_pod(api_server, namespace, "web", web=(image, image))
    closed = audit(registries={"registry.invalid:5000": "127.0.0.1:1"})
    assert set(states(closed)) == {"commit", "tag", "build", "digest", "signature", "attestation"}
    assert "127.0.0.1:1 did not answer" in states(closed)["signature"]
    assert "is no Git repository" in audit(repository=str(tmp_path))["msg"]
    assert "no public key in PEM" in audit(public_keys={"a": "text"})["msg"]
    refused = audit(kubeconfig=str(api_server.user("nobody")))
    assert refused["failed"] and refused["failure"]["code"] == 403


def test_examples(api_server: ApiServer, site: Site, namespace: str, tmp_path: Path) -> None:
    digest = site.digests["1.0.0"]
    image = f"registry.platform.internal:5000/shop@{digest}"
    run_pod(api_server, namespace, "shop", web=(image, image))
    public_key = tmp_path / "cosign.pub"
    public_key.write_text(site.keys["release"])
    tasks = examples(
        "image_chain_info",
        {
            "namespace: shop": f"namespace: {namespace}",
            "'cosign.pub'": f"'{public_key}'",
            "192.0.2.11:5000": site.service.address,
            "/etc/onprem-platform/pki/ca.crt": str(site.service.authority),
        },
    )
    printed = run_examples(tmp_path, tasks, api_server.kubeconfig)
    assert f"{site.commits[0][:12]}" in printed and "! " not in printed
