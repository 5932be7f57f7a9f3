# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The chart's Vault Agent configuration with a real Vault: quoting, one user per pod, rotation under load (R7).

There is no Kubernetes here, so the auth path is a JWT method: it takes the same request as the Kubernetes method.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import shutil
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from ansible_collections.onprem.platform.tests.integration.ports import free_port

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

CHART = Path(__file__).parents[3] / "roles/application/files/charts/laravel"
BUNDLE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "onprem-platform/bundle/files"
USER = 10001
AWKWARD = "a\"b\\c$d'e#f g=${APP_NAME}"


def encoded(content: bytes) -> bytes:
    """Return the content as JSON Web Tokens write it (RFC 7515, section 2)."""
    return base64.urlsafe_b64encode(content).rstrip(b"=")


class Vault:
    """A development server with TLS, and its programs."""

    def __init__(self, directory: Path, port: int) -> None:
        self.program = os.environ.get("ONPREM_VAULT_BINARY", str(BUNDLE / "vault"))
        if not Path(self.program).exists():
            pytest.fail(f"There is no {self.program}: run `make bundle` first.")
        self.address = f"https://127.0.0.1:{port}"
        self.token = secrets.token_hex(16)
        tls = directory / "tls"
        tls.mkdir()
        arguments = ["-dev", "-dev-tls", f"-dev-tls-cert-dir={tls}", f"-dev-listen-address=127.0.0.1:{port}"]
        environment = {"PATH": os.environ["PATH"], "HOME": str(directory), "VAULT_DEV_ROOT_TOKEN_ID": self.token}
        self.log = (directory / "vault.log").open("w")
        self.process = subprocess.Popen(
            [self.program, "server", *arguments], env=environment, stdout=self.log, stderr=subprocess.STDOUT
        )
        self.authority = tls / "vault-ca.pem"
        end = time.monotonic() + 60
        while not (self.authority.exists() and self.call("GET", "sys/health", quiet=True)):
            assert time.monotonic() < end, (directory / "vault.log").read_text()
            time.sleep(0.2)

    def call(self, method: str, path: str, body: Any = None, quiet: bool = False) -> Any:
        """Send a request as root and return the answer's JSON, or nothing."""
        request = urllib.request.Request(f"{self.address}/v1/{path}", method=method)  # noqa: S310
        request.add_header("X-Vault-Token", self.token)
        data = None if body is None else json.dumps(body).encode()
        context = ssl.create_default_context(cafile=str(self.authority))
        try:
            with urllib.request.urlopen(request, data, timeout=10, context=context) as answer:  # noqa: S310
                return json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as error:
            if error.code == 404 or quiet:
                return {}
            raise AssertionError(f"{method} {path}: {error.code} {error.read().decode()}") from error
        except OSError:
            if quiet:
                return {}
            raise

    def leases(self, role: str) -> list[str]:
        return list(self.call("LIST", f"sys/leases/lookup/database/creds/{role}").get("data", {}).get("keys", []))

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(20)
        self.log.close()


@pytest.fixture(scope="module")
def vault(database, redis, tmp_path_factory) -> Iterator[Vault]:
    """Start Vault with what the role `vault` makes for an application; leases of long-running pods last a minute."""
    server = Vault(tmp_path_factory.mktemp("vault"), free_port())
    password = secrets.token_hex(16)
    database.sql(f"CREATE USER 'vault'@'%' IDENTIFIED BY '{password}'")
    database.sql("GRANT ALL ON *.* TO 'vault'@'%' WITH GRANT OPTION")
    server.call("POST", "sys/mounts/kv", {"type": "kv", "options": {"version": "2"}})
    server.call("POST", "sys/mounts/database", {"type": "database"})
    end = time.monotonic() + 20
    secret = {"APP_KEY": "base64:" + "QUJD" * 10 + "QUI=", "AWKWARD": AWKWARD, "REDIS_PASSWORD": redis[2]}
    while not server.call("POST", "kv/data/shop", {"data": secret}, quiet=True):
        assert time.monotonic() < end, "the key-value engine is not upgraded"
        time.sleep(0.2)
    server.call(
        "POST",
        "database/config/mariadb",
        {
            "plugin_name": "mysql-database-plugin",
            "connection_url": "{{username}}:{{password}}@tcp(127.0.0.1:" + str(database.port) + ")/",
            "username": "vault",
            "password": password,
            "allowed_roles": ["shop", "shop-job"],
        },
    )
    rows = "SELECT, INSERT, UPDATE, DELETE"
    for role, privileges, ttl, longest in (
        ("shop", rows, "40s", "60s"),
        ("shop-job", f"{rows}, ALTER, CREATE, DROP, INDEX, REFERENCES", "10m", "10m"),
    ):
        create = [
            "CREATE USER '{{name}}'@'%' IDENTIFIED BY '{{password}}'",
            f"GRANT {privileges} ON laravel_demo.* TO '{{{{name}}}}'@'%'",
        ]
        body = {"db_name": "mariadb", "creation_statements": create, "default_ttl": ttl, "max_ttl": longest}
        server.call("POST", f"database/roles/{role}", body)
        policy = 'path "kv/data/shop" { capabilities = ["read"] }\n'
        policy += f'path "database/creds/{role}" {{ capabilities = ["read"] }}\n'
        server.call("PUT", f"sys/policies/acl/{role}", {"policy": policy})
    yield server
    server.close()


@pytest.fixture(scope="module")
def tokens(vault) -> Any:
    """Return a function that writes a service account's token, as the kubelet does."""
    key = rsa.generate_private_key(65537, 2048)
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    vault.call("POST", "sys/auth/kubernetes", {"type": "jwt"})
    vault.call("POST", "auth/kubernetes/config", {"jwt_validation_pubkeys": [public.decode()]})
    for role, accounts in (("shop", ["shop"]), ("shop-job", ["shop-hook", "shop-scheduler"])):
        subjects = [f"system:serviceaccount:shop:{account}" for account in accounts]
        body = {"role_type": "jwt", "user_claim": "sub", "bound_audiences": ["vault"], "token_policies": [role]}
        body |= {"bound_claims": {"sub": subjects}, "token_ttl": "24h" if role == "shop" else "10m"}
        vault.call("POST", f"auth/kubernetes/role/{role}", body)

    def write(place: Path, account: str) -> None:
        now = int(time.time())
        claims = {"sub": f"system:serviceaccount:shop:{account}", "aud": ["vault"], "iat": now, "exp": now + 3600}
        parts = [encoded(json.dumps(part).encode()) for part in ({"alg": "RS256"}, claims)]
        signature = key.sign(b".".join(parts), padding.PKCS1v15(), hashes.SHA256())
        token = b".".join([*parts, encoded(signature)]).decode()
        place.mkdir(exist_ok=True)
        (place / "token").write_text(token)
        (place / "token").chmod(0o644)

    return write


@pytest.fixture(scope="module")
def configurations(vault) -> dict[str, dict[str, str]]:
    """Return the agent configurations that the chart renders, by ConfigMap and file."""
    digest = "sha256:" + "0" * 64
    values = {
        "registry": "registry.example.org",
        "images": {name: {"repository": name, "digest": digest} for name in ("app", "nginx", "agent")},
        "vault": {
            "address": vault.address,
            "role": "shop",
            "jobRole": "shop-job",
            "keyValue": "kv/data/shop",
            "database": "database/creds/shop",
            "jobDatabase": "database/creds/shop-job",
        },
    }
    helm = BUNDLE / "helm"
    command = [str(helm) if helm.exists() else "helm", "template", "shop", str(CHART), "--kube-version", "1.36.3"]
    rendered = subprocess.run(
        [*command, "--values", "-"], input=json.dumps(values), capture_output=True, text=True, check=True, timeout=60
    )
    documents = [document for document in yaml.safe_load_all(rendered.stdout) if document]
    return {d["metadata"]["name"]: d["data"] for d in documents if d["kind"] == "ConfigMap"}


class Pod:
    """The memory volumes of one pod and the agent's containers in it."""

    def __init__(self, containers, vault, tokens, configuration: dict[str, str], account: str, place: Path) -> None:
        self.containers, self.place = containers, place
        place.chmod(0o755)
        for parent in place.parents[:2]:
            parent.chmod(0o755)
        for name in ("secrets", "configuration", "authority", "root"):
            (place / name).mkdir()
        os.chown(place / "secrets", USER, USER)
        for name, text in configuration.items():
            (place / "configuration" / name).write_text(text)
        shutil.copy(vault.authority, place / "authority/ca.crt")
        (place / "authority/ca.crt").chmod(0o644)
        (place / "root/bin").mkdir()
        shutil.copy(vault.program, place / "root/bin/vault")
        tokens(place / "token", account)

    @property
    def mounts(self) -> dict[str, Path]:
        return {
            "/vault/secrets": self.place / "secrets",
            "/etc/vault-agent": self.place / "configuration",
            "/etc/platform-ca": self.place / "authority",
            "/var/run/secrets/vault": self.place / "token",
        }

    def once(self) -> subprocess.CompletedProcess[str]:
        command = ["vault", "agent", "-config=/etc/vault-agent/once.hcl"]
        return self.containers.once(*command, mounts=self.mounts, environment={}, root=self.place / "root")

    def sidecar(self) -> str:
        command = ["vault", "agent", "-config=/etc/vault-agent/agent.hcl"]
        return str(self.containers.start(*command, mounts=self.mounts, root=self.place / "root"))

    @property
    def file(self) -> Path:
        return self.place / "secrets/.env"

    def variables(self) -> dict[str, str]:
        """Return the file as phpdotenv reads it."""
        script = (
            "require '/usr/share/php/Illuminate/autoload.php';"
            "echo json_encode(Dotenv\\Dotenv::parse(file_get_contents('/vault/secrets/.env')));"
        )
        result = self.containers.once("php", "-r", script, mounts={"/vault/secrets": self.file.parent}, environment={})
        assert result.returncode == 0, result.stdout + result.stderr
        return dict(json.loads(result.stdout))


@pytest.fixture
def make_pod(containers, vault, tokens, configurations, tmp_path_factory) -> Any:
    def make(name: str, account: str) -> Pod:
        place = tmp_path_factory.mktemp("pod")
        return Pod(containers, vault, tokens, configurations[name], account, place)

    return make


def test_a_job_gets_its_file_once(make_pod, vault):
    pod = make_pod("shop-hook", "shop-hook")
    result = pod.once()
    assert result.returncode == 0, result.stdout + result.stderr
    assert oct(pod.file.stat().st_mode & 0o777) == "0o640"
    variables = pod.variables()
    assert variables["AWKWARD"] == AWKWARD
    assert set(variables) == {"APP_KEY", "AWKWARD", "REDIS_PASSWORD", "DB_USERNAME", "DB_PASSWORD"}
    assert len(vault.leases("shop-job")) == 1
    assert variables["DB_PASSWORD"] not in result.stdout + result.stderr


def test_a_job_must_not_use_the_other_role(make_pod):
    """The twin of the test above: the service account of long-running pods has no job role."""
    pod = make_pod("shop-hook", "shop")
    file = pod.place / "configuration/once.hcl"
    # Without this the agent goes on trying, as it should while Vault is away.
    file.write_text(file.read_text().replace("max_backoff = ", "exit_on_err = true\n    max_backoff = "))
    result = pod.once()
    assert result.returncode != 0
    assert not pod.file.exists()


def test_a_pod_waits_for_its_file_and_has_one_user(make_pod, vault, containers):
    before = len(vault.leases("shop"))
    pod = make_pod("shop-agent", "shop")
    mounts = {"/vault/secrets": pod.place / "secrets", "/etc/laravel": CHART / "files"}
    wait = ["php", "/etc/laravel/wait.php", "/vault/secrets/.env"]
    early = containers.once(*wait, "1", mounts=mounts, environment={})
    assert early.returncode == 1
    assert "is not there after 1 s" in early.stderr
    agent = pod.sidecar()
    assert containers.once(*wait, "60", mounts=mounts, environment={}).returncode == 0, containers.logs(agent)
    assert pod.variables()["AWKWARD"] == AWKWARD
    assert len(vault.leases("shop")) == before + 1
    assert containers.stop(agent) == 0


def test_rotation_loses_no_request(make_pod, vault, application, database):
    """New credentials before the old ones end; no failed request, and no restart of php-fpm."""
    version = application("1.0.0")
    # The tables belong to the job role, as with the chart's hooks.
    job = make_pod("shop-hook", "shop-hook")
    assert job.once().returncode == 0
    version.write_environment(**{name: job.variables()[name] for name in ("DB_USERNAME", "DB_PASSWORD")})
    version.migrate("expand")
    version.seed()

    pod = make_pod("shop-agent", "shop")
    agent = pod.sidecar()
    end = time.monotonic() + 60
    while not pod.file.exists():
        assert time.monotonic() < end, pod.containers.logs(agent)
        time.sleep(0.2)
    first = pod.variables()
    version.secrets_directory = pod.file.parent
    served = version.serve()
    assert served.get("/").status == 200

    failures: list[tuple[int, str]] = []
    answered = 0
    ended = threading.Event()

    def visit() -> None:
        nonlocal answered
        while not ended.wait(0.2):
            answer = served.get("/")
            answered += 1
            if answer.status != 200:
                failures.append((answer.status, answer.text[:200]))

    visitor = threading.Thread(target=visit)
    visitor.start()
    try:
        end = time.monotonic() + 180
        while first["DB_USERNAME"] in pod.file.read_text():
            assert time.monotonic() < end, f"no rotation:\n{pod.containers.logs(agent)}"
            time.sleep(0.5)
        end = time.monotonic() + 60
        while [first["DB_USERNAME"]] in database.sql("select user from mysql.user"):
            assert time.monotonic() < end, "the old user is still there"
            time.sleep(0.5)
        time.sleep(2)
    finally:
        ended.set()
        visitor.join()
    errors = [line for line in served.log() if line["level"] == "error"]
    assert failures == [], f"{errors}\n{pod.containers.logs(agent)}"
    assert answered > 10
    second = pod.variables()
    assert second["DB_USERNAME"] != first["DB_USERNAME"]
    assert second["AWKWARD"] == AWKWARD
    assert pod.containers.podman("inspect", "--format", "{{.RestartCount}}", served.fpm).stdout.strip() == "0"
    served.stop()
    assert pod.containers.stop(agent) == 0
