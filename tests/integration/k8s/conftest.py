# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real API server with etcd on loopback, from the binaries of the bundle; TLS and client certificates of its own CA.

There is no controller manager, scheduler or kubelet: tests that need a controller's word write it into the status
themselves. Requests are counted from the server's audit log.
"""

from __future__ import annotations

import base64
import datetime
import ipaddress
import json
import os
import shutil
import ssl
import subprocess
import sys
import tarfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ansible_collections.onprem.platform.tests.integration.bundled_images import bundle_directory
from ansible_collections.onprem.platform.tests.integration.k8s.signing import RegistryService
from ansible_collections.onprem.platform.tests.integration.ports import free_ports
from ansible_collections.onprem.platform.tests.unit.fakes import certificates

REPOSITORY = Path(__file__).resolve().parents[3]
SERVER_NAME = "api.test.internal"
ModuleRunner = Callable[..., dict[str, Any]]


def find_binary(name: str, directory: Path) -> Path:
    """Return a program of the bundle: a file, or the one in the image of that name (copied to ``directory``)."""
    bundle = bundle_directory()
    if (bundle / "files" / name).exists():
        return bundle / "files" / name
    copied = directory / name
    if not copied.exists():
        blobs = bundle / "images" / "blobs"

        def blob(descriptor: dict[str, Any]) -> Path:
            return blobs / descriptor["digest"].replace(":", "/")

        index = json.loads((bundle / "images" / "index.json").read_text())
        reference = "org.opencontainers.image.ref.name"
        image = next(item for item in index["manifests"] if item["annotations"][reference].startswith(f"{name}:"))
        for layer in json.loads(blob(image).read_text())["layers"]:
            with subprocess.Popen(["zstd", "-dcq", str(blob(layer))], stdout=subprocess.PIPE) as unpacked:
                with tarfile.open(fileobj=unpacked.stdout, mode="r|") as archive:
                    for member in archive:
                        if member.isfile() and Path(member.name).name == name:
                            with archive.extractfile(member) as source, copied.open("wb") as target:  # type: ignore[union-attr]
                                shutil.copyfileobj(source, target)
                unpacked.communicate()  # what follows the end of the archive
        copied.chmod(0o755)
    return copied


SIGNS_CERTIFICATES = x509.KeyUsage(
    key_cert_sign=True,
    crl_sign=True,
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    encipher_only=False,
    decipher_only=False,
)


class Authority:
    """A certificate authority for one test session."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test-ca")])
        self._certificate = (
            self._builder(self._name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(SIGNS_CERTIFICATES, critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.certificate = self._write("ca.crt", self._certificate.public_bytes(serialization.Encoding.PEM))

    def _builder(self, subject: x509.Name, public_key: Any) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.timezone.utc)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(minutes=5))
            .not_valid_after(now + datetime.timedelta(days=1))
            # Clients that verify strictly (RFC 5280, section 4.2.1), such as requests on Python 3.13, want both.
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )

    def _write(self, name: str, content: bytes) -> Path:
        path = self.directory / name
        path.write_bytes(content)
        path.chmod(0o600)
        return path

    def issue(self, name: str, groups: tuple[str, ...] = (), server: bool = False) -> tuple[Path, Path]:
        """Return (certificate, key) for a user with groups, or for the server."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name(
            [
                *(x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups),
                x509.NameAttribute(NameOID.COMMON_NAME, name),
            ]
        )
        usage = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
        builder = self._builder(subject, key.public_key()).add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        if server:
            names = [x509.DNSName(SERVER_NAME), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return (
            self._write(f"{name}.crt", certificate.public_bytes(serialization.Encoding.PEM)),
            self._write(f"{name}.key", pem),
        )


@dataclass
class ApiServer:
    """A running API server. ``kubeconfig`` is the administrator's."""

    directory: Path
    port: int
    etcd_port: int
    etcd_peer_port: int
    authority: Authority
    kubeconfig: Path = field(init=False)
    _processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.kubeconfig = self.user("admin", ("system:masters",))

    @property
    def audit_log(self) -> Path:
        return self.directory / "audit.log"

    def user(self, name: str, groups: tuple[str, ...] = ()) -> Path:
        """Write and return a kubeconfig for a user."""
        certificate, key = self.authority.issue(name, groups)

        def inline(path: Path) -> str:
            return base64.b64encode(path.read_bytes()).decode()

        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": name}}],
            "clusters": [
                {
                    "name": "test",
                    "cluster": {
                        "server": f"https://127.0.0.1:{self.port}",
                        "tls-server-name": SERVER_NAME,
                        "certificate-authority-data": inline(self.authority.certificate),
                    },
                }
            ],
            "users": [
                {"name": name, "user": {"client-certificate-data": inline(certificate), "client-key-data": inline(key)}}
            ],
        }
        path = self.directory / f"{name}.kubeconfig"
        path.write_text(yaml.safe_dump(config))
        path.chmod(0o600)
        return path

    def _run(self, name: str, *arguments: str) -> None:
        with open(self.directory / f"{name}.log", "ab") as log:
            process = subprocess.Popen(
                [str(find_binary(name, self.directory)), *arguments], stdout=log, stderr=log, cwd=self.directory
            )
        self._processes.append(process)

    def start_etcd(self) -> None:
        """Start etcd without fsync: the tests do not outlive it."""
        client, peer = f"http://127.0.0.1:{self.etcd_port}", f"http://127.0.0.1:{self.etcd_peer_port}"
        self._run(
            "etcd",
            f"--data-dir={self.directory / 'etcd'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",
        )

    def start_api(self) -> None:
        """Start the API server and wait until it is ready."""
        certificate, key = self.directory / "server.crt", self.directory / "server.key"
        signing_key = self.directory / "service-accounts.key"
        policy = self.directory / "audit-policy.yaml"
        if not certificate.exists():
            self.authority.issue("server", server=True)
            pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
            )
            signing_key.write_bytes(pem)
            policy.write_text(
                yaml.safe_dump(
                    {
                        "apiVersion": "audit.k8s.io/v1",
                        "kind": "Policy",
                        "omitStages": ["RequestReceived"],
                        "rules": [{"level": "Metadata"}],
                    }
                )
            )
        self._run(
            "kube-apiserver",
            f"--etcd-servers=http://127.0.0.1:{self.etcd_port}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--secure-port={self.port}",
            f"--tls-cert-file={certificate}",
            f"--tls-private-key-file={key}",
            f"--client-ca-file={self.authority.certificate}",
            f"--service-account-issuer=https://{SERVER_NAME}",
            f"--service-account-key-file={signing_key}",
            f"--service-account-signing-key-file={signing_key}",
            "--service-cluster-ip-range=10.96.0.0/16",
            "--authorization-mode=RBAC",
            "--allow-privileged=true",
            "--disable-admission-plugins=ServiceAccount",
            f"--audit-log-path={self.audit_log}",
            f"--audit-policy-file={policy}",
            "--audit-log-mode=blocking",
            "--v=0",
        )
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline:
            if self._processes[-1].poll() is not None:
                break
            try:
                if self.call("GET", "/readyz", raw=True) == b"ok":
                    return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.2)
        raise RuntimeError((self.directory / "kube-apiserver.log").read_text()[-3000:])

    def stop_api(self) -> None:
        """Kill the API server only (its pid is ours)."""
        process = self._processes.pop()
        process.kill()
        process.wait()

    def stop(self) -> None:
        """Stop both processes."""
        for process in reversed(self._processes):
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.clear()

    def call(
        self, verb: str, path: str, body: Any = None, content_type: str = "application/json", raw: bool = False
    ) -> Any:
        """Send one request as administrator, without the code under test."""
        context = ssl.create_default_context(cafile=str(self.authority.certificate))
        context.load_cert_chain(self.directory / "admin.crt", self.directory / "admin.key")
        request = urllib.request.Request(
            f"https://127.0.0.1:{self.port}{path}",
            data=None if body is None else json.dumps(body).encode(),
            method=verb,
            headers={"Content-Type": content_type, "Accept": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10, context=context) as response:  # noqa: S310
            data = response.read()
        return data if raw else json.loads(data)

    def patch_status(self, path: str, status: dict[str, Any]) -> Any:
        """Play the controller: write an object's status."""
        return self.call("PATCH", f"{path}/status", {"status": status}, "application/merge-patch+json")

    def audit(self, since: int) -> list[dict[str, Any]]:
        """Return the audit events after byte ``since`` of the log that the code under test caused."""
        with open(self.audit_log, "rb") as handle:
            # The size may have been taken while another client's event was half written: that one began before.
            handle.seek(max(since - 1, 0))
            if since and handle.read(1) != b"\n":
                handle.readline()
            events = [json.loads(line) for line in handle if line.endswith(b"\n")]
        return [event for event in events if event.get("userAgent") == "onprem.platform"]

    def audit_position(self) -> int:
        return self.audit_log.stat().st_size


@pytest.fixture(scope="session")
def api_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """A running API server for the whole session."""
    directory = tmp_path_factory.mktemp("k8s")
    server = ApiServer(directory, *free_ports(3), Authority(directory))
    try:
        server.start_etcd()
        server.start_api()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def bundle() -> Path:
    """The bundle directory."""
    return bundle_directory()


@pytest.fixture(scope="session")
def flux_definitions(api_server: ApiServer, bundle: Path) -> None:
    """Install the definitions of the bundle's Flux manifests."""
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    names = []
    for manifest in sorted((bundle / "manifests").glob("flux-*.yaml")):
        for document in yaml.load_all(manifest.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            if document and document["kind"] == "CustomResourceDefinition":
                names.append(api_server.call("POST", path, document)["metadata"]["name"])
    assert len(names) >= 6
    deadline = time.monotonic() + 30
    for name in names:
        while True:
            conditions = api_server.call("GET", f"{path}/{name}").get("status", {}).get("conditions", [])
            if ("Established", "True") in [(item["type"], item["status"]) for item in conditions]:
                break
            assert time.monotonic() < deadline
            time.sleep(0.1)


@pytest.fixture(scope="session")
def kubectl(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Path of the bundle's kubectl."""
    return str(find_binary("kubectl", tmp_path_factory.mktemp("kubectl")))


_counter = iter(range(1, 10_000))


@pytest.fixture
def namespace(api_server: ApiServer) -> str:
    """A fresh namespace (never deleted: there is no namespace controller)."""
    name = f"test-{next(_counter)}"
    api_server.call("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    return name


@pytest.fixture
def run(api_server: ApiServer, tmp_path: Path) -> ModuleRunner:
    """Return ``run(module, params, check=False, diff=True)``: runs a module as Ansible does, in its own process.

    The answer holds ``writes_seen`` as well: the audited requests of this run that were neither reads nor dry runs.
    """

    def call(
        module: str,
        params: dict[str, Any],
        check: bool = False,
        diff: bool = True,
        kubeconfig: Any = None,
        plain: bool = False,
    ) -> dict[str, Any]:
        arguments = {
            # A plain module knows no API server.
            **({} if plain else {"kubeconfig": kubeconfig or str(api_server.kubeconfig)}),
            **params,
            "_ansible_check_mode": check,
            "_ansible_diff": diff,
            "_ansible_inject_invocation": True,
            "_ansible_remote_tmp": str(tmp_path),
        }
        since = api_server.audit_position()
        done = subprocess.run(
            [sys.executable, str(Path(__file__).with_name("module_process.py")), module],
            input=json.dumps(arguments),
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY / ".build" / "collections")},
        )
        assert done.stdout.strip(), done.stderr
        result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
        events = api_server.audit(since)
        result["writes_seen"] = [
            f"{event['verb']} {event['requestURI']}"
            for event in events
            if event["verb"] not in ("get", "list", "watch") and "dryRun=All" not in event["requestURI"]
        ]
        # A watch is logged when it ends, maybe after the process that began it.
        result["requests_seen"] = sum(event["verb"] != "watch" for event in events)
        result["stderr"] = done.stderr
        return result

    return call


@pytest.fixture(scope="session")
def registry_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryService]:
    """The bundle's registry on loopback, with TLS."""
    directory = tmp_path_factory.mktemp("registry")
    authority = certificates.Authority(directory)
    service = RegistryService(directory, *authority.issue("127.0.0.1"), authority.path)
    try:
        service.start()
        yield service
    finally:
        service.stop()
