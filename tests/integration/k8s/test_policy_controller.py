# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real policy-controller as the webhook of a real API server: what is refused and what is admitted.

Its objects are those that the role policy renders; it runs as a process with the account and the rights of these. The
API server reaches it by a Service of type ExternalName, since there is no pod network. It listens on port 8443, which
it cannot be told to change.
"""

from __future__ import annotations

import base64
import datetime
import os
import re
import socket
import subprocess
import time
import urllib.error
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ansible_collections.onprem.platform.tests.integration.k8s.conftest import ApiServer, find_binary
from ansible_collections.onprem.platform.tests.integration.k8s.examples import examples, run_examples
from ansible_collections.onprem.platform.tests.integration.k8s.keyless import Fulcio
from ansible_collections.onprem.platform.tests.integration.k8s.policy_tree import build, render
from ansible_collections.onprem.platform.tests.integration.k8s.signing import SPDX, Keys, RegistryService

ModuleRunner = Callable[..., dict[str, Any]]
NAMESPACE, PORT = "cosign-system", 8443
INCLUDE = {"policy.sigstore.dev/include": "true"}
CUE = 'predicateType: "https://spdx.dev/Document"\npredicate: spdxVersion: "SPDX-2.3"\n'
WEBHOOKS = "/apis/admissionregistration.k8s.io/v1"


def changed(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document of the manifest as it fits a controller that is a process of this machine."""
    kind = document["kind"]
    if kind == "Service":
        # Resolved by the API server itself, with the port of the webhook's configuration.
        document["spec"] = {"type": "ExternalName", "externalName": "localhost"}
    elif kind in ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"):
        for webhook in document["webhooks"]:
            webhook["clientConfig"]["service"]["port"] = PORT
    elif kind == "CustomResourceDefinition" and "webhook" in document["spec"]["conversion"]:
        document["spec"]["conversion"]["webhook"]["clientConfig"]["service"]["port"] = PORT
    return document


def wait_for_port() -> None:
    """Wait until nobody else of this machine listens at the port."""
    deadline = time.monotonic() + 120
    while True:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("", PORT))
                return
            except OSError:
                if time.monotonic() > deadline:
                    who = subprocess.run(
                        ["ss", "-tanp", f"sport = {PORT}"], capture_output=True, text=True, check=False
                    )
                    pytest.fail(f"Port {PORT} is not free:\n{who.stdout}{who.stderr}")
        time.sleep(0.5)


class Controller:
    """policy-controller with its objects in the API server."""

    def __init__(self, api: ApiServer, service: RegistryService, tree: Path, directory: Path) -> None:
        self.api, self.service, self.directory = api, service, directory
        self._program = find_binary("policy-controller", directory)
        self._process: subprocess.Popen[bytes] | None = None
        self._kubeconfig = api.user(f"system:serviceaccount:{NAMESPACE}:webhook", ("system:serviceaccounts",))
        self.documents = [changed(item) for item in build(tree / "policy")]

    def start(self) -> None:
        wait_for_port()
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.directory),
            "KUBECONFIG": str(self._kubeconfig),
            "SYSTEM_NAMESPACE": NAMESPACE,
            "CONFIG_LOGGING_NAME": "config-logging",
            "METRICS_DOMAIN": "sigstore.dev/policy",
            "METRICS_PROMETHEUS_PORT": "0",
            "WEBHOOK_NAME": "webhook",
            "SSL_CERT_FILE": str(self.service.authority),
        }
        with open(self.directory / "log", "ab") as log:
            self._process = subprocess.Popen([self._program, "--disable-tuf"], stdout=log, stderr=log, env=environment)

    def wait(self) -> None:
        """Wait until every webhook configuration has what the controller writes into it, and it listens."""
        deadline = time.monotonic() + 60
        while not (self._configured() and self._listens()):
            assert self._process is not None and self._process.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.2)

    def _configured(self) -> bool:
        configurations = [
            item
            for kind in ("mutatingwebhookconfigurations", "validatingwebhookconfigurations")
            for item in self.api.call("GET", f"{WEBHOOKS}/{kind}")["items"]
        ]
        crds = self.api.call("GET", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions")["items"]
        conversions = [
            item["spec"]["conversion"]["webhook"]["clientConfig"]
            for item in crds
            if item["spec"]["group"] == "policy.sigstore.dev" and "webhook" in item["spec"]["conversion"]
        ]
        clients = [webhook["clientConfig"] for item in configurations for webhook in item["webhooks"]]
        return all("caBundle" in client for client in [*clients, *conversions])

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", PORT)) == 0

    def log(self) -> str:
        return (self.directory / "log").read_text(errors="replace")[-3000:]

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def remove(self) -> None:
        """Remove what would be in the way of other tests."""
        for kind in ("mutatingwebhookconfigurations", "validatingwebhookconfigurations"):
            self.api.call("DELETE", f"{WEBHOOKS}/{kind}")
        # In the version that is stored, so that nobody has to convert; nobody is left to finalise either.
        for kind in ("clusterimagepolicies", "trustroots"):
            path = f"/apis/policy.sigstore.dev/v1alpha1/{kind}"
            for item in self._list(path):
                change = {"metadata": {"finalizers": None}}
                self.api.call("PATCH", f"{path}/{item['metadata']['name']}", change, "application/merge-patch+json")
        path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
        definitions = [item for item in self.documents if item["kind"] == "CustomResourceDefinition"]
        for item in definitions:
            self.api.call("DELETE", f"{path}/{item['metadata']['name']}")
        names = {item["metadata"]["name"] for item in definitions}
        deadline = time.monotonic() + 60
        while names & {item["metadata"]["name"] for item in self.api.call("GET", path)["items"]}:
            assert time.monotonic() < deadline, "the definitions are still being deleted"
            time.sleep(0.2)

    def _list(self, path: str) -> list[dict[str, Any]]:
        """Return all objects of a kind, also when the API server has just read a definition anew and says 429."""
        deadline = time.monotonic() + 60
        while True:
            try:
                return list(self.api.call("GET", path)["items"])
            except urllib.error.HTTPError as error:
                if error.code != 429 or time.monotonic() > deadline:
                    raise
            time.sleep(0.2)


@pytest.fixture(scope="module")
def controller(
    api_server: ApiServer,
    registry_service: RegistryService,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Controller]:
    directory = tmp_path_factory.mktemp("policy-controller")
    found = Controller(api_server, registry_service, render(directory), directory)
    labels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
    api_server.call("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE, "labels": labels}})
    manifest = directory / "objects.yaml"
    manifest.write_text(yaml.safe_dump_all(found.documents))
    kubectl = find_binary("kubectl", directory)
    apply = [str(kubectl), f"--kubeconfig={api_server.kubeconfig}", "apply", "--server-side"]
    apply += ["--field-manager=onprem.platform", "-f", str(manifest)]
    done = subprocess.run([*apply, "--validate=strict"], capture_output=True, text=True, check=False)
    # Pod Security and unknown fields are told as warnings.
    assert done.returncode == 0 and "Warning" not in done.stderr, done.stdout + done.stderr
    try:
        found.start()
        found.wait()
        yield found
    finally:
        found.stop()
        found.remove()


@pytest.fixture(scope="module")
def shop(api_server: ApiServer, controller: Controller) -> str:
    """A namespace whose images are verified, with the account that its pods would have."""
    labels = {**INCLUDE, "pod-security.kubernetes.io/enforce": "restricted"}
    api_server.call("POST", "/api/v1/namespaces", {"metadata": {"name": "signed-shop", "labels": labels}})
    account = {"metadata": {"name": "default"}, "automountServiceAccountToken": False}
    api_server.call("POST", "/api/v1/namespaces/signed-shop/serviceaccounts", account)
    return "signed-shop"


@pytest.fixture(scope="module")
def images(
    registry_service: RegistryService, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Keys, Keys, dict[str, str]]:
    """Images that are signed well and badly; name -> digest."""
    directory = tmp_path_factory.mktemp("images")
    good, bad = Keys(directory, "good"), Keys(directory, "bad")
    names = ("complete", "next", "unsigned", "wrong-key", "no-attestation", "other-content")
    digests = {name: registry_service.push_image("web", name, directory) for name in names}
    for name in ("complete", "next", "no-attestation", "other-content"):
        good.sign(registry_service, f"web@{digests[name]}")
    for name in ("complete", "next"):
        good.attest(registry_service, f"web@{digests[name]}", {"spdxVersion": "SPDX-2.3"})
    good.attest(registry_service, f"web@{digests['other-content']}", {"spdxVersion": "SPDX-1.0"})
    bad.sign(registry_service, f"web@{digests['wrong-key']}")
    bad.attest(registry_service, f"web@{digests['wrong-key']}", {"spdxVersion": "SPDX-2.3"})
    return good, bad, digests


def signature(address: str, pem: str, **more: Any) -> dict[str, Any]:
    key = {"name": "release", "key": {"data": pem, "hash_algorithm": "sha256"}}
    return {"name": "signature", "images": [f"{address}/**"], "authorities": [key], **more}


def materials(address: str, pem: str) -> dict[str, Any]:
    attestation = {"name": "sbom", "predicate_type": SPDX, "policy": {"data": CUE}}
    key = {"name": "release", "key": {"data": pem}, "attestations": [attestation]}
    return {"name": "materials", "images": [f"{address}/**"], "authorities": [key]}


@pytest.fixture(scope="module")
def policies(
    api_server: ApiServer,
    controller: Controller,
    images: tuple[Keys, Keys, dict[str, str]],
    registry_service: RegistryService,
) -> list[dict[str, Any]]:
    pem = images[0].pem
    return [signature(registry_service.address, pem), materials(registry_service.address, pem)]


def test_flux_and_the_controller_agree(run: ModuleRunner, controller: Controller) -> None:
    # What the controller writes into its objects is nobody's drift: a second apply changes nothing.
    answer = run("k8s_apply", {"definition": controller.documents})
    assert not answer.get("failed") and not answer["changed"], answer["objects"]
    assert answer["writes_seen"] == []


def keep(run: ModuleRunner, policies: list[dict[str, Any]]) -> None:
    """Have both policies in force, whichever tests ran before."""
    for policy in policies:
        answer = run("cluster_image_policy", {**policy, "force_conflicts": True, "wait": True, "wait_timeout": 60})
        assert not answer.get("failed"), answer["msg"]


def test_policies_are_kept_and_taken_in(
    run: ModuleRunner, policies: list[dict[str, Any]], images: tuple[Keys, Keys, dict[str, str]], controller: Controller
) -> None:
    wait = {"wait": True, "wait_timeout": 30}
    for policy in policies:
        assert run("cluster_image_policy", policy, check=True)["object"]["result"] == "created"
        made = run("cluster_image_policy", {**policy, **wait})
        assert made["changed"] and {"Ready", "KeysInlined"} <= {item["type"] for item in made["conditions"]}, made
        again = run("cluster_image_policy", {**policy, **wait})
        assert not again["changed"] and again["writes_seen"] == [], again
    warning = {**policies[0], "mode": "warn", **wait}
    assert run("cluster_image_policy", warning, check=True)["changed"]
    changed_mode = run("cluster_image_policy", warning)
    assert changed_mode["changed"] and "mode: warn" in changed_mode["diff"][0]["after"]
    # Drift by hand.
    path = "/apis/policy.sigstore.dev/v1beta1/clusterimagepolicies/signature"
    drift = {"spec": {"images": [{"glob": "elsewhere.test/**"}]}}
    controller.api.call("PATCH", path, drift, "application/merge-patch+json")
    mended = run("cluster_image_policy", {**policies[0], "force_conflicts": True, **wait})
    assert mended["changed"] and controller.api.call("GET", path)["spec"]["images"] == [
        {"glob": f"{controller.service.address}/**"}
    ]


def test_what_the_controller_cannot_use_is_said(run: ModuleRunner, policies: list[dict[str, Any]]) -> None:
    refused = run("cluster_image_policy", {**policies[0], "name": "no", "images": ["a["]})
    assert refused["failed"] and "glob" in refused["msg"]
    lost = {"name": "no", "images": ["a.test/**"], "authorities": [{"key": {"secret_ref": {"name": "lost"}}}]}
    failed = run("cluster_image_policy", {**lost, "wait": True, "wait_timeout": 30})
    assert failed["failed"] and "KeysInlined=False" in failed["msg"] and '"lost" not found' in failed["msg"]
    gone = {"name": "no", "state": "absent", "wait": True, "wait_timeout": 30}
    assert run("cluster_image_policy", gone)["changed"]
    assert not run("cluster_image_policy", gone)["changed"]
    stranger = run("cluster_image_policy", {**policies[0], "impersonate_user": "stranger"})
    assert stranger["failed"] and stranger["failure"]["code"] == 0 and "cannot get" in stranger["msg"]


def case(name: str, image: str, message: str = "") -> dict[str, Any]:
    expected = {"expected": "refused", "reason": message} if message else {"expected": "admitted"}
    return {"name": name, "image": image, **expected}


def deployment(image: str) -> dict[str, Any]:
    from ansible_collections.onprem.platform.plugins.module_utils._pod_security import strict_pod

    pod = strict_pod("web", image)
    template = {"metadata": {"labels": pod["metadata"]["labels"]}, "spec": {**pod["spec"], "restartPolicy": "Always"}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {"selector": {"matchLabels": pod["metadata"]["labels"]}, "template": template},
    }


def test_only_what_is_signed_and_attested_is_admitted(
    run: ModuleRunner,
    api_server: ApiServer,
    shop: str,
    policies: list[dict[str, Any]],
    images: tuple[Keys, Keys, dict[str, str]],
    registry_service: RegistryService,
) -> None:
    keep(run, policies)
    _good, _bad, digests = images
    web = f"{registry_service.address}/web"
    running = deployment(f"{web}:complete")
    api_server.call("POST", f"/apis/apps/v1/namespaces/{shop}/deployments", running)
    stored = api_server.call("GET", f"/apis/apps/v1/namespaces/{shop}/deployments/web")
    resolved = f"{web}:complete@{digests['complete']}"
    assert stored["spec"]["template"]["spec"]["containers"][0]["image"] == resolved
    cases = [
        case("signed and attested, by digest", f"{web}@{digests['complete']}"),
        case("signed and attested, by tag", f"{web}:complete"),
        case("unsigned", f"{web}@{digests['unsigned']}", "no signatures found|no matching signatures"),
        case("wrong key", f"{web}:wrong-key", "no matching signatures|invalid signature"),
        case("no attestation", f"{web}:no-attestation", "no matching attestations"),
        case("other content", f"{web}:other-content", "failed evaluating cue policy"),
        case("no policy", "other.invalid/web@sha256:" + "0" * 64, "no matching policies"),
        case("absent tag", f"{web}:absent", "must be an image digest"),
        {"name": "update to signed", "object": deployment(f"{web}:next"), "expected": "admitted"},
        {
            "name": "update to unsigned",
            "object": deployment(f"{web}:unsigned"),
            "expected": "refused",
            "reason": "no signatures found|no matching signatures",
        },
    ]
    image = f"{web}@{digests['complete']}"
    answer = run("probe_admission", {"namespace": shop, "image": image, "cases": cases})
    assert not answer.get("failed"), answer["msg"]
    reasons = {item["name"]: item["reason"] for item in answer["results"]}
    assert reasons["signed and attested, by tag"] == resolved, "the tag is resolved to the digest"
    # Another namespace is none of its business.
    free = run("probe_admission", {"namespace": "default", "controls": [], "cases": [case("free", f"{web}:unsigned")]})
    assert not free.get("failed") and free["results"][0]["reason"] == f"{web}:unsigned"


def test_example_of_probe_admission(
    run: ModuleRunner,
    api_server: ApiServer,
    shop: str,
    policies: list[dict[str, Any]],
    images: tuple[Keys, Keys, dict[str, str]],
    registry_service: RegistryService,
    tmp_path: Path,
) -> None:
    keep(run, policies)
    names = {
        "namespace: default": f"namespace: {shop}",
        "registry.platform.internal:5000/laravel-demo:1.0.0": f"{registry_service.address}/web:complete",
        "registry.platform.internal:5000/unsigned:1.0.0": f"{registry_service.address}/web:unsigned",
    }
    run_examples(tmp_path, examples("probe_admission", names)[1:], api_server.kubeconfig)


def test_identities_of_a_trust_root(
    run: ModuleRunner, api_server: ApiServer, shop: str, registry_service: RegistryService, tmp_path: Path
) -> None:
    authority, issuer = Fulcio(), "https://identities.example.org"
    workflow = "https://git.example.org/acme/shop/.github/workflows/{}.yml@refs/tags/v1.0.0"
    digests = {}
    for name in ("release", "test"):
        digests[name] = registry_service.push_image("keyless", name, tmp_path)
        authority.sign(registry_service, "keyless", digests[name], issuer, workflow.format(name))
    root = {"apiVersion": "policy.sigstore.dev/v1alpha1", "kind": "TrustRoot", "metadata": {"name": "own"}}
    kept = {"definition": {**root, "spec": authority.keys}, "wait": True, "wait_timeout": 60}
    assert run("k8s_apply", {"definition": {**root, "spec": {}}, "wait": True})["failed"], "the webhook looks at it"
    made, again = run("k8s_apply", kept), run("k8s_apply", kept)
    assert made["changed"] and not made.get("failed") and not again["changed"], (made, again["objects"])
    identity = {"issuer": issuer, "subject_reg_exp": f"^{re.escape(workflow.format('release'))}$"}
    keyless = {
        "url": "https://fulcio.example.org",
        "identities": [identity],
        "trust_root_ref": "own",
        "insecure_ignore_sct": True,
    }
    policy = {
        "name": "identities",
        "images": [f"{registry_service.address}/keyless**"],
        "authorities": [{"name": "workflow", "keyless": keyless}],
        "wait": True,
        "wait_timeout": 60,
    }
    for name in ("signature", "materials"):
        run("cluster_image_policy", {"name": name, "state": "absent", "wait": True, "wait_timeout": 30})
    first, second = run("cluster_image_policy", policy), run("cluster_image_policy", policy)
    assert first["changed"] and not first.get("failed") and not second["changed"], (first, second)
    cases = [
        case("the workflow", f"{registry_service.address}/keyless@{digests['release']}"),
        case("another", f"{registry_service.address}/keyless@{digests['test']}", "none of the expected identities"),
    ]
    answer = run("probe_admission", {"namespace": shop, "controls": [], "cases": cases})
    run("cluster_image_policy", {"name": "identities", "state": "absent", "wait": True, "wait_timeout": 30})
    assert not answer.get("failed"), answer["msg"]


def test_registry_down(
    run: ModuleRunner,
    shop: str,
    policies: list[dict[str, Any]],
    images: tuple[Keys, Keys, dict[str, str]],
    registry_service: RegistryService,
) -> None:
    keep(run, policies)
    _good, _bad, digests = images
    web = f"{registry_service.address}/web"
    cases = [
        case("tag", f"{web}:complete", "must be an image digest"),
        case("digest", f"{web}@{digests['complete']}", "connection refused|no matching|signature"),
    ]
    registry_service.stop()
    try:
        answer = run("probe_admission", {"namespace": shop, "controls": [], "cases": cases})
    finally:
        registry_service.start()
    assert not answer.get("failed"), answer["msg"]


# The next leader waits for the lease of the one that was killed.
@pytest.mark.long
def test_controller_down_refuses_and_heals(
    run: ModuleRunner,
    api_server: ApiServer,
    controller: Controller,
    shop: str,
    policies: list[dict[str, Any]],
    images: tuple[Keys, Keys, dict[str, str]],
    registry_service: RegistryService,
) -> None:
    keep(run, policies)
    image = f"{registry_service.address}/web@{images[2]['complete']}"
    ask = {"namespace": shop, "controls": [], "retry_timeout": 1}
    certificate = f"/api/v1/namespaces/{NAMESPACE}/secrets/webhook-certs"
    before = api_server.call("GET", certificate)["data"]
    controller.stop()
    down = run("probe_admission", {**ask, "cases": [case("signed", image, "failed calling webhook")]})
    assert not down.get("failed"), down["msg"]
    # Everything else goes on: other namespaces, and the controller's own.
    for namespace in ("default", NAMESPACE):
        other = run("probe_admission", {**ask, "namespace": namespace, "cases": [case("other", image)]})
        assert not other.get("failed"), other["msg"]
    # What is stopped for long finds an expired or a damaged certificate, and makes a new one.
    broken = {key: base64.b64encode(b"nothing").decode() for key in before}
    api_server.call("PATCH", certificate, {"data": broken}, "application/merge-patch+json")
    controller.start()
    deadline = time.monotonic() + 90
    while True:
        up = run("probe_admission", {**ask, "cases": [case("signed", image)]})
        if not up.get("failed"):
            break
        assert time.monotonic() < deadline, up["msg"] + controller.log()
        assert re.search("failed calling webhook", up["msg"]), up["msg"]
        time.sleep(0.3)
    assert api_server.call("GET", certificate)["data"] not in (before, broken)


def planted_certificate(start: datetime.timedelta, end: datetime.timedelta) -> dict[str, str]:
    """Return the data of the controller's Secret with a certificate of its own authority, valid from and until."""
    now = datetime.datetime.now(datetime.timezone.utc)
    key, service = ec.generate_private_key(ec.SECP256R1()), f"webhook.{NAMESPACE}.svc"
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, service)])
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number(), now + start, now + end)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(service)]), critical=False)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    parts = {"ca-cert.pem": certificate, "server-cert.pem": certificate, "server-key.pem": private}
    return {name: base64.b64encode(content).decode() for name, content in parts.items()}


@pytest.mark.parametrize("case_name", ["expired", "not yet valid"])
def test_certificate_of_another_time(
    run: ModuleRunner,
    api_server: ApiServer,
    controller: Controller,
    shop: str,
    policies: list[dict[str, Any]],
    images: tuple[Keys, Keys, dict[str, str]],
    registry_service: RegistryService,
    case_name: str,
) -> None:
    keep(run, policies)
    day = datetime.timedelta(days=1)
    planted = planted_certificate(*((-3 * day, -day) if case_name == "expired" else (day, 3 * day)))
    certificate = f"/api/v1/namespaces/{NAMESPACE}/secrets/webhook-certs"
    signed = case("signed", f"{registry_service.address}/web@{images[2]['complete']}")
    ask = {"namespace": shop, "controls": [], "retry_timeout": 1, "cases": [signed]}

    def until(holds: Callable[[dict[str, Any]], bool]) -> None:
        deadline = time.monotonic() + 60
        while not holds(answer := run("probe_admission", ask)):
            assert time.monotonic() < deadline, answer["msg"] + controller.log()
            time.sleep(0.3)

    api_server.call("PATCH", certificate, {"data": planted}, "application/merge-patch+json")
    if case_name == "not yet valid":
        # The controller looks at the end of a certificate only. Nobody is admitted unseen, and the reason is said ...
        until(lambda answer: "certificate has expired or is not yet valid" in answer.get("msg", ""))
        # ... and what docs/signatures.md says helps.
        api_server.call("PATCH", certificate, {"data": None}, "application/merge-patch+json")
    # Whatever has expired is made anew without anybody's help.
    until(lambda answer: not answer.get("failed"))
    assert api_server.call("GET", certificate)["data"]["server-cert.pem"] != planted["server-cert.pem"]
