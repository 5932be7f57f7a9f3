# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The standard library's way to the API: verified TLS with client certificates, and what a control plane is asked."""

from __future__ import annotations

import base64
import json
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.onprem.platform.plugins.module_utils import _certificate as certificate
from ansible_collections.onprem.platform.plugins.module_utils import _kubeadm_api as api
from ansible_collections.onprem.platform.plugins.module_utils import _kubeadm_state as state
from ansible_collections.onprem.platform.plugins.modules import kubeadm_join_credentials as credentials

NAME = "api.platform.internal"


class Pki:
    """An authority and what it signed."""

    def __init__(self, directory: Path) -> None:
        """Make the authority."""
        self.directory = directory
        directory.mkdir()
        wanted = certificate.Wanted(common_name="ca", validity=certificate.BACKDATE * 100, authority=True)
        self._issue("ca", wanted, None)

    def _issue(self, name: str, wanted: certificate.Wanted, authority: str | None) -> None:
        key = str(self.directory / f"{name}.key")
        certificate.create_key(key, "ecdsa-p256")
        signer = str(self.directory / "ca.key")
        with certificate.private_directory(str(self.directory)) as private:
            request = certificate.create_request(wanted, key, private)
            pem = certificate.issue(wanted, request, authority, signer, private, certificate.utc_now())
        certificate.write(str(self.directory / f"{name}.crt"), pem, 0o644)

    def issue(self, name: str, *usages: str) -> tuple[str, str]:
        """Certificate and key (PEM) for a name."""
        wanted = certificate.Wanted(
            common_name=name, dns_names=(NAME,), usages=usages, validity=certificate.BACKDATE * 10
        )
        self._issue(name, wanted, str(self.directory / "ca.crt"))
        return self.text(f"{name}.crt"), self.text(f"{name}.key")

    def text(self, name: str) -> str:
        """A file."""
        return (self.directory / name).read_text(encoding="ascii")


class Server:
    """An API server that keeps objects by path and knows who asks."""

    def __init__(self, pki: Pki) -> None:
        """Listen on an address of this host with a certificate for the API's name only."""
        self.objects: dict[str, dict[str, Any]] = {"/api/v1/namespaces/kube-system": {}}
        self.writes: list[str] = []
        self.users: set[str] = set()
        self.refused: set[str] = set()
        self.ready = True
        pki.issue("server", "server")
        server = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                user = dict(pair[0] for pair in self.connection.getpeercert()["subject"])["commonName"]  # type: ignore[attr-defined]
                server.users.add(user)
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, answer = server.handle(self.command, self.path.split("?")[0], body, user)
                data = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_DELETE = _answer

            def log_message(self, *_arguments: Any) -> None:
                """Stay silent."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(str(pki.directory / "server.crt"), str(pki.directory / "server.key"))
        context.load_verify_locations(str(pki.directory / "ca.crt"))
        context.verify_mode = ssl.CERT_REQUIRED
        self._http.socket = context.wrap_socket(self._http.socket, server_side=True)
        self.port = self._http.server_address[1]
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def handle(self, method: str, path: str, body: bytes, user: str) -> tuple[int, dict[str, Any]]:
        """One request."""
        if path == "/readyz":
            return (200, {}) if self.ready else (500, {"message": "not ready"})
        if user in self.refused:
            return 403, {"message": f"{user} is forbidden"}
        if method != "GET":
            self.writes.append(f"{method} {path}")
        if method == "POST":
            item = json.loads(body)
            values = item.pop("stringData", {})
            item["data"] = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
            self.objects[f"{path}/{item['metadata']['name']}"] = item
            return 201, item
        if path.endswith("/secrets"):
            return 200, {"items": [item for key, item in self.objects.items() if key.startswith(f"{path}/bootstrap")]}
        if path not in self.objects:
            return 404, {"message": f"{path} not found"}
        return 200, self.objects.pop(path) if method == "DELETE" else self.objects[path]

    def close(self) -> None:
        """Stop."""
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    """Return an authority."""
    return Pki(tmp_path / "pki")


@pytest.fixture
def server(pki: Pki) -> Iterator[Server]:
    """Return a running API server."""
    running = Server(pki)
    yield running
    running.close()


def kubeconfig(pki: Pki, path: Path, user: str, server: str) -> None:
    """Write a kubeconfig in kubeadm's form."""
    pem, key = pki.issue(user, "client")
    ca = base64.b64encode(pki.text("ca.crt").encode()).decode()
    path.write_text(
        "apiVersion: v1\nclusters:\n- cluster:\n"
        f"    certificate-authority-data: {ca}\n    server: {server}\n  name: kubernetes\n"
        "contexts:\n- context:\n    cluster: kubernetes\n    user: admin\n  name: admin@kubernetes\n"
        "current-context: admin@kubernetes\nkind: Config\nusers:\n- name: admin\n  user:\n"
        f"    client-certificate-data: {base64.b64encode(pem.encode()).decode()}\n"
        f"    client-key-data: {base64.b64encode(key.encode()).decode()}\n",
        encoding="ascii",
    )


@pytest.fixture
def directory(tmp_path: Path, pki: Pki, server: Server) -> Path:
    """Return /etc/kubernetes of a control plane."""
    found = tmp_path / "kubernetes"
    found.mkdir()
    kubeconfig(pki, found / "admin.conf", "admin", f"https://{NAME}:{server.port}")
    return found


def connect(directory: Path, server: Server) -> api.KubernetesApi:
    """Connect as on the control plane."""
    return api.KubernetesApi.local(str(directory), "127.0.0.1", server.port, timeout=5)


def test_own_server_is_asked_by_address_and_verified_by_name(directory: Path, server: Server) -> None:
    client = connect(directory, server)
    assert client.endpoint == api.Endpoint("127.0.0.1", server.port, NAME)
    assert server.users == {"admin"}


def test_server_with_another_name_is_refused(directory: Path, pki: Pki, server: Server) -> None:
    kubeconfig(pki, directory / "admin.conf2", "other", f"https://localhost:{server.port}")
    (directory / "admin.conf2").replace(directory / "admin.conf")
    with pytest.raises(api.ApiError, match="certificate verify failed"):
        connect(directory, server)
    assert "other" not in server.users


def test_before_the_binding_exists_super_admin_is_asked(directory: Path, pki: Pki, server: Server) -> None:
    kubeconfig(pki, directory / "super-admin.conf", "super", f"https://{NAME}:{server.port}")
    server.refused.add("admin")
    assert connect(directory, server).endpoint.host == "127.0.0.1"
    assert server.users == {"admin", "super"}


def test_every_reason_is_named(directory: Path, server: Server, tmp_path: Path) -> None:
    server.ready = False
    with pytest.raises(api.ApiError, match=r"127\.0\.0\.1:\d+ is not ready.*super-admin\.conf is missing"):
        connect(directory, server)
    view, reason, local = state.view_or_reason(str(tmp_path / "nowhere"), "127.0.0.1", 1, 1)
    assert (view, local) == (None, False)
    assert reason == "admin.conf is missing; super-admin.conf is missing"


def test_errors_carry_the_servers_words(directory: Path, server: Server) -> None:
    client = connect(directory, server)
    assert client.request("GET", "/api/v1/nodes/w9", missing_ok=True) == {}
    with pytest.raises(
        api.ApiError, match="GET /api/v1/nodes/w9 failed with status 404: /api/v1/nodes/w9 not found"
    ) as e:
        client.request("GET", "/api/v1/nodes/w9")
    assert e.value.status == 404


def test_credentials_exist_between_minting_and_revoking_only(directory: Path, server: Server) -> None:
    client = connect(directory, server)
    foreign = {"metadata": {"name": "bootstrap-token-ffffff"}, "stringData": {"description": "somebody else's"}}
    client.request("POST", credentials.SECRETS, foreign)
    first = credentials.mint(client, {"token_minutes": 30, "control_planes": False})
    assert first["certificate_key"] == ""
    identifier, secret = first["token"].split(".")
    assert (len(identifier), len(secret)) == (6, 16)
    assert state.bootstrap_tokens(client) == [f"bootstrap-token-{identifier}"]
    client.request("POST", credentials.SECRETS, {"metadata": {"name": "kubeadm-certs"}})
    names = [f"bootstrap-token-{identifier}", "kubeadm-certs"]
    before = list(server.writes)
    assert credentials.revoke(client, check_mode=True) == names
    assert server.writes == before
    assert credentials.revoke(client, check_mode=False) == names
    assert credentials.revoke(client, check_mode=False) == []
    assert [path for path in server.objects if "secrets" in path] == [f"{credentials.SECRETS}/bootstrap-token-ffffff"]


def test_host_facts_of_a_bare_and_of_a_joined_host(tmp_path: Path, pki: Pki, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    directories = [str(tmp_path / name) for name in ("etc", "kubelet", "etcd")]
    bare = state.host_facts(*directories)
    assert not any(bare["files"].values())
    assert (bare["ca_fingerprint"], bare["static_pods"]) == ("", {})
    monkeypatch.undo()
    manifests = tmp_path / "etc" / "manifests"
    manifests.mkdir(parents=True)
    (tmp_path / "etcd" / "member").mkdir(parents=True)
    (tmp_path / "etc" / "pki").mkdir()
    (tmp_path / "etc" / "pki" / "ca.crt").write_text(pki.text("ca.crt"), encoding="ascii")
    kubeconfig(pki, tmp_path / "etc" / "kubelet.conf", "node", f"https://{NAME}:7443")
    (manifests / "kube-apiserver.yaml").write_text(
        "metadata:\n  annotations:\n    onprem.platform/configuration: 0a1b\nspec:\n  containers:\n  - command:\n"
        "    - kube-apiserver\n    - --profiling=false\n    - --tls-cipher-suites=A,B\n",
        encoding="ascii",
    )
    facts = state.host_facts(*directories)
    assert facts["files"]["manifests"] == ["kube-apiserver"]
    assert facts["files"]["etcd_data"] is True
    assert facts["static_pods"]["kube-apiserver"] == {
        "arguments": {"profiling": "false", "tls-cipher-suites": "A,B"},
        "configuration": "0a1b",
    }
    assert facts["ca_fingerprint"] == certificate.parse(pki.text("ca.crt")).fingerprint
    assert facts["client_certificate"]["common_name"] == "node"
