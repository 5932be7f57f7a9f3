# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connection, login and error layer of the Vault modules, with injected faults."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ansible_collections.onprem.platform.plugins.module_utils import _kube_portforward, _vault, _vault_errors
from ansible_collections.onprem.platform.tests.unit.fakes.certificates import Authority
from ansible_collections.onprem.platform.tests.unit.fakes.kubernetes_api import FakeKubernetes
from ansible_collections.onprem.platform.tests.unit.fakes.vault_server import ROOT, FakeVault, Fault

NAME = "vault-0.vault-internal"


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    for name in ("VAULT_ADDR", "VAULT_TOKEN", "VAULT_NAMESPACE", "VAULT_CACERT", "VAULT_SKIP_VERIFY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(_vault.time, "sleep", lambda _seconds: None)


@pytest.fixture
def vault():
    server = FakeVault()
    yield server
    server.close()


def parameters(**given):
    defaults = {name: option.get("default") for name, option in _vault.CONNECTION_ARGUMENTS.items()}
    return {**defaults, "token": ROOT, "retries": 2, "timeout": 5, **given}


@pytest.fixture
def client(vault, tmp_path):
    opened = _vault.open_client(parameters(url=vault.url), str(tmp_path))
    opened.authenticate()
    return opened


def answer(status, *errors, **fault):
    return Fault(status=status, body=json.dumps({"errors": list(errors)}).encode(), **fault)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (answer(400, "bad"), "invalid_request"),
        (answer(400, "check-and-set parameter did not match"), "conflict"),
        (answer(404), "missing_object"),
        (answer(404, "no handler for route x"), "missing_mount"),
        (answer(404, "1 error occurred: unsupported path"), "unsupported"),
        (answer(405, "unsupported operation"), "unsupported"),
        (answer(409, "path is already in use"), "conflict"),
        (answer(500, "boom"), "server_error"),
        (answer(501), "uninitialised"),
    ],
)
def test_errors_that_are_final(client, vault, fault, kind):
    fault.path = "sys/policies"
    vault.faults.append(fault)
    with pytest.raises(_vault_errors.VaultError) as caught:
        client.request("GET", "sys/policies/acl/default")
    assert caught.value.kind == kind and caught.value.path == "sys/policies/acl/default"
    assert caught.value.result()["failure"]["status"] == fault.status
    assert len(vault.requests) == 1


@pytest.mark.parametrize(
    "fault",
    [
        answer(412, "required index state not present"),
        answer(429, "rate limit quota exceeded"),
        answer(472),
        answer(473),
        answer(500, "local node not active but active cluster node not found"),
        answer(500, "failed to persist: node is not the leader"),
        answer(502),
        answer(503, "something else"),
        answer(400, "Upgrading from non-versioned to versioned data"),
        Fault(),
        Fault(after=True),
    ],
)
def test_what_passes_by_is_repeated(client, vault, fault):
    fault.path, fault.times = "sys/policies", 2
    vault.faults.append(fault)
    assert client.read("sys/policies/acl/default")["name"] == "default"
    assert [path for _method, path in vault.requests].count("sys/policies/acl/default") == 3


def test_what_does_not_pass_by_is_told(client, vault):
    vault.faults.append(answer(473, path="sys/policies", times=9))
    with pytest.raises(_vault_errors.VaultStandby, match="no active node"):
        client.read("sys/policies/acl/default")
    assert len(vault.requests) == 3


def test_a_lost_answer_is_repeated_only_where_that_is_harmless(client, vault):
    vault.faults.append(Fault(path="rotate-root", after=True, times=9))
    with pytest.raises(_vault_errors.VaultConnectionError) as caught:
        client.write("database/rotate-root/x", repeatable=False)
    assert caught.value.sent and len(vault.requests) == 1
    vault.faults[:] = [answer(500, "node is not the leader", path="rotate-root", times=9)]
    with pytest.raises(_vault_errors.VaultStandby):
        client.write("database/rotate-root/x", repeatable=False)
    assert len(vault.requests) == 2


def test_a_refused_connection_was_never_sent(tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        opened = _vault.open_client(parameters(url=url), str(tmp_path))
        with pytest.raises(_vault_errors.VaultConnectionError) as caught:
            opened.write("x", repeatable=False)
    assert not caught.value.sent and "refused" in str(caught.value).lower()


def test_sealed_and_uninitialised_are_told_apart(client, vault):
    vault.state.sealed = True
    with pytest.raises(_vault_errors.VaultSealed, match="Run vault_unseal"):
        client.read("sys/mounts")
    vault.state.initialized = False
    with pytest.raises(_vault_errors.VaultUninitialised, match="Run vault_init"):
        client.read("sys/mounts")


def test_broken_answers(client, vault):
    vault.faults.append(Fault(status=200, body=b'{"data": ', path="sys/policies"))
    with pytest.raises(_vault_errors.VaultServerError, match="no valid JSON"):
        client.read("sys/policies/acl/default")
    truncated = Fault(status=200, body=b'{"data": {}}', path="sys/policies", headers={"Content-Length": "99"})
    vault.faults.append(truncated)
    assert client.read("sys/policies/acl/default")["name"] == "default"
    vault.faults.append(Fault(status=500, body=b"<html>", path="sys/policies"))
    with pytest.raises(_vault_errors.VaultServerError, match="<html>"):
        client.read("sys/policies/acl/default")
    vault.faults.append(Fault(status=200, body=b'{"data": [1]}', path="sys/policies"))
    with pytest.raises(_vault_errors.VaultServerError, match="no data"):
        client.read("sys/policies/acl/default")


def test_a_redirect_keeps_method_body_and_token(client, vault):
    leader = FakeVault()
    try:
        there = {"Location": f"{leader.url}/v1/sys/policies/acl/a"}
        vault.faults.append(Fault(status=307, path="acl/a", headers=there))
        client.write("sys/policies/acl/a", {"policy": "# x"})
        assert leader.state.policies["a"] == "# x" and "a" not in vault.state.policies
    finally:
        leader.close()


def test_permission_and_token_are_told_apart(client, vault):
    vault.denied.append("sys/auth")
    client.token = vault.issue("hvs.limited", "default")
    with pytest.raises(_vault_errors.VaultPermissionDenied) as caught:
        client.write("sys/auth/kubernetes", {})
    assert caught.value.capability == "create or update and sudo" and "the token has: deny" in str(caught.value)
    vault.denied.append("sys/capabilities-self")  # no default policy
    with pytest.raises(_vault_errors.VaultPermissionDenied, match="the request needs read and sudo"):
        client.read("sys/auth")
    plain = answer(403, "permission denied", path="sys/", times=2)
    bad = answer(403, "bad token", path="lookup-self")
    vault.faults += [plain, bad]
    with pytest.raises(_vault_errors.VaultTokenRejected):
        client.read("sys/auth")
    client.token = "hvs.dead"
    with pytest.raises(_vault_errors.VaultTokenRejected, match="does not know the token"):
        client.read("sys/auth")
    client.token = None
    with pytest.raises(_vault_errors.VaultTokenRejected, match="no token"):
        client.read("sys/auth")


def test_addresses(tmp_path):
    for url in ("vault:8200", "ftp://vault", "https://", "https://u:p@vault", "https://vault/v1", "https://vault:x"):
        with pytest.raises(_vault_errors.VaultConfigurationError):
            _vault.open_client(parameters(url=url), str(tmp_path))
    with pytest.raises(_vault_errors.VaultConfigurationError, match="VAULT_ADDR"):
        _vault.open_client(parameters(), str(tmp_path))
    assert _vault.open_client(parameters(url="https://vault:8200/"), str(tmp_path)).url == "https://vault:8200"


def test_proxies_and_namespace(vault, tmp_path):
    """The fake stands for the proxy: it receives the absolute address."""
    opened = _vault.open_client(parameters(url="http://vault.invalid:1", proxies=vault.url), str(tmp_path))
    assert opened._session.proxies == {"http": vault.url, "https": vault.url}
    named = _vault.open_client(parameters(url=vault.url, namespace="team"), str(tmp_path))
    assert named._adapter.namespace == "team"


# ------------------------------------------------------------------------------------------------------------- TLS
class _Hello(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_arguments):
        """Keep quiet."""

    def do_GET(self):
        content = json.dumps({"data": {"path": self.path, "filler": "x" * 70000}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


@pytest.fixture
def tls_server(authority):
    certificate, key = authority.issue(NAME)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Hello)
    server.daemon_threads = True
    # the handshake belongs into the connection's own thread: a client that gives up must not stop the server
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.handle_error = lambda *_arguments: None
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_tls_server_name(tls_server, authority, tmp_path):
    url = f"https://127.0.0.1:{tls_server.server_port}"
    right = {"url": url, "tls_server_name": NAME}
    for ca_cert in (str(authority.path), authority.path.read_text()):
        opened = _vault.open_client(parameters(**right, ca_cert=ca_cert), str(tmp_path))
        assert opened.read("hello")["path"] == "/v1/hello"
    for wrong in (
        {"url": url, "ca_cert": str(authority.path)},
        {"url": url, "ca_cert": str(authority.path), "tls_server_name": "other"},
        {"url": url, "tls_server_name": NAME},
    ):
        with pytest.raises(_vault_errors.VaultTLSError):
            _vault.open_client(parameters(**wrong), str(tmp_path)).read("hello")
    assert _vault.open_client(parameters(url=url, validate_certs=False), str(tmp_path)).read("hello")
    with pytest.raises(_vault_errors.VaultConfigurationError, match="does not exist"):
        _vault.open_client(parameters(url=url, ca_cert="/nonexistent"), str(tmp_path))


def test_environment_can_switch_verification_off_but_a_parameter_wins(tls_server, tmp_path, monkeypatch):
    url = f"https://127.0.0.1:{tls_server.server_port}"
    monkeypatch.setenv("VAULT_SKIP_VERIFY", "true")
    assert _vault.open_client(parameters(url=url), str(tmp_path)).read("hello")
    with pytest.raises(_vault_errors.VaultTLSError):
        _vault.open_client(parameters(url=url, validate_certs=True), str(tmp_path)).read("hello")


# ---------------------------------------------------------------------------------------------------- port-forward
@pytest.fixture
def cluster():
    server = FakeKubernetes()
    yield server
    server.close()


def forwarded(cluster, tmp_path, **given):
    forward = {"namespace": "vault", "kubeconfig": cluster.kubeconfig(tmp_path), **given.pop("forward", {})}
    return _vault.open_client(parameters(kubernetes_port_forward=forward, **given), str(tmp_path))


def test_forward_verifies_the_name_in_the_address(cluster, tls_server, authority, tmp_path, capfd):
    cluster.pods["vault-0"] = tls_server.server_address
    opened = forwarded(cluster, tmp_path, url=f"https://{NAME}:8200", ca_cert=str(authority.path))
    for _number in range(20):
        assert len(opened.read("hello")["filler"]) == 70000
    assert cluster.forwards == [("vault", "vault-0", 8200)]

    cluster.pods["vault-1"] = tls_server.server_address
    peer = opened.peer("https://vault-1.vault-internal:8200")
    with pytest.raises(_vault_errors.VaultTLSError):
        peer.read("hello")
    named = forwarded(cluster, tmp_path, url="https://vault-1:8200", ca_cert=str(authority.path), tls_server_name=NAME)
    assert named.read("hello") and cluster.forwards[-1] == ("vault", "vault-1", 8200)
    assert "Traceback" not in capfd.readouterr().err


def test_forward_to_a_selected_pod_and_port(cluster, vault, tmp_path):
    target = ("127.0.0.1", int(vault.url.rsplit(":", 1)[1]))
    cluster.pods.update({"vault-0": target, "vault-1": target, "vault-2": None})
    cluster.ready.add("vault-1")
    forward = {"selector": "app=vault", "port": 8201}
    opened = forwarded(cluster, tmp_path, url="http://vault:8200", forward=forward)
    opened.authenticate()
    assert opened.read("sys/policies/acl/default")
    assert cluster.forwards == [("vault", "vault-1", 8201)]
    cluster.pods.update({"vault-0": None, "vault-1": None})
    with pytest.raises(_vault_errors.VaultConnectionError, match=r"app=vault: vault-0 Pending"):
        forwarded(cluster, tmp_path, url="http://vault:8200", retries=0, forward=forward).read("x")


def test_forward_that_fails(cluster, tmp_path):
    with pytest.raises(_vault_errors.VaultConnectionError, match="pod vault/gone") as caught:
        forwarded(cluster, tmp_path, url="http://gone:8200", retries=0).read("x")
    assert not caught.value.sent
    cluster.pods["deaf"] = None
    with pytest.raises(_vault_errors.VaultConnectionError):
        forwarded(cluster, tmp_path, url="http://deaf:8200", retries=0, timeout=2).read("x")
    with pytest.raises(_vault_errors.VaultConfigurationError, match="kubeconfig"):
        broken = {"kubeconfig": "/nonexistent"}
        forwarded(cluster, tmp_path, url="http://a:8200", retries=0, forward=broken).read("x")


def test_forward_without_library_or_server(cluster, vault, tmp_path, monkeypatch):
    cluster.pods["named"] = ("127.0.0.1", int(vault.url.rsplit(":", 1)[1]))
    opened = forwarded(cluster, tmp_path, url="http://vault:8200", forward={"pod": "named"})
    opened.authenticate()
    assert opened.read("sys/policies/acl/default") and cluster.forwards == [("vault", "named", 8200)]
    monkeypatch.setattr(_kube_portforward, "websocket", None)
    with pytest.raises(_vault_errors.VaultConfigurationError, match="websocket-client"):
        forwarded(cluster, tmp_path, url="http://named:8200", retries=0).read("x")
    selected = forwarded(cluster, tmp_path, url="http://vault:8200", retries=0, forward={"selector": "app=vault"})
    cluster.close()
    with pytest.raises(_vault_errors.VaultConnectionError, match="app=vault cannot be listed"):
        selected.read("x")


def test_service_account_token_for_the_login(cluster, vault, tmp_path):
    cluster.tokens["vault/ansible"] = "jwt-1"
    vault.state.auth["kubernetes/"] = {}
    vault.state.logins[("auth/kubernetes/login", "jwt-1")] = vault.issue("hvs.admin", "admin")
    request = {
        "kubeconfig": cluster.kubeconfig(tmp_path),
        "context": None,
        "namespace": "vault",
        "service_account": "ansible",
        "audiences": ["vault"],
        "expiration_seconds": 600,
    }
    given = parameters(
        url=vault.url, auth_method="kubernetes", role="ansible", kubernetes_token_request=request, token_validate=True
    )
    opened = _vault.open_client(given, str(tmp_path))
    opened.authenticate()
    assert opened.token == "hvs.admin"
    assert cluster.token_requests == [{"spec": {"expirationSeconds": 600, "audiences": ["vault"]}}]
    request["service_account"] = "nobody"
    with pytest.raises(_vault_errors.VaultLoginFailed, match="vault/nobody"):
        _vault.open_client(given, str(tmp_path)).authenticate()
    cluster.close()
    with pytest.raises(_vault_errors.VaultConnectionError):
        _vault.open_client(given, str(tmp_path)).authenticate()


def test_the_library_is_named_when_it_is_missing(monkeypatch, run_module):
    monkeypatch.setattr(_vault, "HVAC_IMPORT_ERROR", "ImportError: hvac")
    result = run_module(lambda: _vault.run({}, lambda _module: {}), {})
    assert result["failed"] and "hvac" in result["msg"]


def test_rate_limits_and_odd_503(client, vault):
    """503 while the server is unsealed passes by; a seal that comes with an error of its own does not hide it."""
    vault.faults.append(answer(503, "Vault is sealed", path="sys/policies"))
    assert client.read("sys/policies/acl/default")
    vault.faults += [answer(503, "Vault is sealed", path="sys/policies"), answer(500, "x", path="seal-status")]
    with pytest.raises(_vault_errors.VaultSealed):
        client.read("sys/policies/acl/default")


def test_an_answer_that_is_no_object(client, vault):
    vault.faults.append(Fault(status=200, body=b"[1]", path="sys/policies"))
    assert client.request("GET", "sys/policies/acl/default") == {"data": [1]}


def test_a_parameter_beats_its_environment_variables_in_their_order(run_module, monkeypatch):
    """The names are those of community.hashi_vault, before those of Vault's own tools."""
    values = {"int": ("7", 7, 9), "bool": ("true", True, False)}
    choices = {"auth_method": ("approle", "userpass")}
    seen: dict[str, object] = {}

    def tell(module):
        seen.update(module.params)
        return {"changed": False}

    options = {name: option for name, option in _vault.CONNECTION_ARGUMENTS.items() if "fallback" in option}
    assert len(options) > 15
    for name, option in options.items():
        text, first, given = values.get(option["type"], (f"/1-{name}", f"/1-{name}", f"/2-{name}"))
        if name in choices:
            text, given = choices[name]
            first = text
        variables = option["fallback"][1]
        assert variables[0].startswith("ANSIBLE_HASHI_VAULT_") or name == "tls_server_name"
        for variable in variables:
            monkeypatch.setenv(variable, text)
            run_module(lambda: _vault.run({}, tell), {})
            assert seen[name] == first, variable
            run_module(lambda: _vault.run({}, tell), {name: given})
            assert seen[name] == given, variable
            if variable is not variables[0]:
                monkeypatch.setenv(variables[0], "8" if option["type"] == "int" else "/0-first")
                run_module(lambda: _vault.run({}, tell), {})
                assert seen[name] == "/0-first", variable
                monkeypatch.delenv(variables[0])
            monkeypatch.delenv(variable)
