# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role vault against three real servers and a real database, with a Kubernetes API that forwards ports to them.

The servers run with the certificate that the role issued. What needs pods is proved by the platform's own scenario.
"""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from ansible_collections.onprem.platform.tests.integration.ports import free_port
from ansible_collections.onprem.platform.tests.integration.vault.services import (
    MariaDB,
    RaftNode,
)
from ansible_collections.onprem.platform.tests.unit.fakes.kubernetes_api import FakeKubernetes
from ansible_collections.onprem.platform.tests.unit.plugins.fake_kube_api import FakeKubeApi

# A dozen runs of a playbook.
pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]

ROOT = Path(__file__).parents[3]
FIRST_PASSWORD = "/api/v1/namespaces/data/secrets/mariadb-first-password"
CONFIGURATION = "/api/v1/namespaces/vault/configmaps/vault-configuration"
TLS = "/api/v1/namespaces/vault/secrets/vault-tls"
CLIENT_SECRET = "https://chat.example.com/a-canary"
PODS = [f"vault-{number}" for number in range(3)]


def client(name: str, **secret: Any) -> dict[str, Any]:
    """One of vault_clients, which may read its own secret."""
    policy = f'path "kv/data/tools/{name}" {{ capabilities = ["read"] }}'
    pods = {"namespace": "tools", "service_account": name, "pod_labels": {"app": name}}
    return {"name": name, **pods, "policy": policy, "secret": f"tools/{name}", **secret}


class Cluster(FakeKubernetes):
    """A Kubernetes API with objects beside port-forward and tokens."""

    def __init__(self) -> None:
        self.api = FakeKubeApi()
        super().__init__()

    def close(self) -> None:
        super().close()
        self.api.close()

    def _handler(self) -> Any:
        cluster = self
        base = super()._handler()

        class Handler(base):  # type: ignore[misc, valid-type]
            def do_GET(self) -> None:
                if "/portforward?" in self.path or "labelSelector=" in self.path:
                    super().do_GET()
                else:
                    cluster.api.handle(self)

            def do_POST(self) -> None:
                if self.path.endswith(("/token", "/tokenreviews")):
                    super().do_POST()
                else:
                    cluster.api.handle(self)

            def do_PATCH(self) -> None:
                cluster.api.handle(self)

            do_DELETE = do_PATCH

        return Handler


class IssuedByRole:
    """The certificate that the role left, in the place of a test authority."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.path = directory / "pki" / "ca.crt"

    def issue(self, *_names: str) -> tuple[Path, Path]:
        return self.directory / "vault" / "tls.crt", self.directory / "vault" / "tls.key"


class Server(RaftNode):
    """One of Vault's servers, with the name that all have in the certificate."""

    join_name = "vault.vault.svc"


class Platform:
    """The role's inventory and variables, and a way to run its tasks files."""

    def __init__(self, directory: Path, cluster: Cluster, mariadb: MariaDB) -> None:
        self.directory, self.cluster, self.mariadb = directory, cluster, mariadb
        self.hosts = directory / "etc"
        self.keys = directory / "state" / "vault-keys.json"
        self.nodes: list[Server] = []
        self.output = ""
        python = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        inventory = {"kubernetes": {"children": {"control_plane": {"hosts": {"cp1": python}}}}}
        (directory / "inventory.json").write_text(json.dumps({"all": {"children": inventory}}))
        ports = [free_port() for _pod in PODS]
        self.ports = ports
        variables = {
            "platform_directory": str(self.hosts),
            "platform_state_directory": str(directory / "state"),
            "platform_ca_certificate_file": str(self.hosts / "pki" / "ca.crt"),
            "platform_kubeconfig": str(directory / "kubeconfig"),
            "vault_kubernetes_host": cluster.url,
            "vault_audience": "",
            "vault_secret_shares": 3,
            "vault_secret_threshold": 2,
            "vault_timeout": 30,
            "vault_applications": [
                {"name": "shop", "namespace": "shop", "database": "app", "random_keys": ["APP_KEY"]}
            ],
            "vault_clients": [
                client("watch", data={"url": CLIENT_SECRET}),
                client("guard", random_keys=["password"]),
            ],
            "vault_database_port": mariadb.port,
            "_vault_database_host": "127.0.0.1",
            "_vault_disable_local_ca_jwt": True,
            "_vault_audit_log": str(directory / "audit.log"),
        }
        (directory / "variables.json").write_text(json.dumps(variables))

    def play(self, *arguments: str, tasks_from: str = "main", authority: bool = False) -> dict[str, int]:
        """Run one tasks file and return the recap of localhost; what was printed is kept in ``output``."""
        tasks: list[dict[str, Any]] = []
        if authority:
            options = {"authority": True, "common_name": "platform CA"}
            options |= {"certificate_path": f"{self.hosts}/pki/ca.crt", "private_key_path": f"{self.hosts}/pki/ca.key"}
            tasks.append({"onprem.platform.platform_certificate": options, "delegate_to": "cp1"})
        role = {"name": "onprem.platform.vault", "tasks_from": tasks_from}
        tasks.append({"ansible.builtin.import_role": role})
        play = [{"hosts": "localhost", "gather_facts": False, "tasks": tasks}]
        (self.directory / "play.yml").write_text(json.dumps(play))
        command = [str(Path(sys.executable).with_name("ansible-playbook")), str(self.directory / "play.yml")]
        command += ["-i", str(self.directory / "inventory.json"), "-e", f"@{self.directory}/variables.json"]
        command += ["-e", "ansible_become=false", "--diff", "-vvv", *arguments]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        self.output = done.stdout + done.stderr
        found = re.search(r"^localhost +: (.*)$", self.output, re.MULTILINE)
        assert found, self.output[-4000:]
        recap = {name: int(number) for name, number in re.findall(r"(\w+)=(\d+)", found[1])}
        return {**recap, "returncode": done.returncode}

    def converged(self, *arguments: str, **options: Any) -> dict[str, int]:
        """Run and expect success."""
        recap = self.play(*arguments, **options)
        assert recap["returncode"] == 0, self.output[-6000:]
        return recap

    def start(self) -> None:
        """Let the pods run."""
        for number, name in enumerate(PODS):
            self.nodes.append(Server(number, self.ports, IssuedByRole(self.hosts)))  # type: ignore[arg-type]
            self.cluster.pods[name] = ("127.0.0.1", self.ports[number])
            status = {"phase": "Running", "containerStatuses": [{"name": "vault", "started": True}]}
            pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "vault", "name": name}}
            self.cluster.api.put(f"/api/v1/namespaces/vault/pods/{name}", {**pod, "status": status})
        database = {
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "metadata": {"namespace": "data", "name": "mariadb", "generation": 1},
            "spec": {"replicas": 1, "updateStrategy": {"type": "RollingUpdate"}},
            "status": {
                "observedGeneration": 1,
                "replicas": 1,
                "readyReplicas": 1,
                "updatedReplicas": 1,
                "availableReplicas": 1,
                "currentRevision": "a",
                "updateRevision": "a",
            },
        }
        self.cluster.api.put("/apis/apps/v1/namespaces/data/statefulsets/mariadb", database)
        claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim"}
        self.cluster.api.put("/api/v1/namespaces/data/persistentvolumeclaims/data-mariadb-0", claim)

    def log_in(self, role: str, namespace: str, account: str) -> requests.Response:
        """Log in as a pod does."""
        token = self.cluster.issue(namespace, account)
        return self.nodes[0].request("POST", "auth/kubernetes/login", {"role": role, "jwt": token})


@pytest.fixture
def platform(tmp_path: Path, mariadb: MariaDB) -> Iterator[Platform]:
    """A cluster without pods."""
    cluster = Cluster()
    cluster.kubeconfig(tmp_path)
    cluster.issue("vault", "onprem-platform-admin")
    platform = Platform(tmp_path, cluster, mariadb)
    yield platform
    for node in platform.nodes:
        node.close()
    cluster.close()


def value(document: dict[str, Any], key: str) -> str:
    return base64.b64decode(document["data"][key]).decode()


def test_from_empty_volumes_to_credentials(platform: Platform) -> None:
    api = platform.cluster.api

    # A check run before there is a cluster, and one before there are pods, complete and change nothing.
    (platform.directory / "kubeconfig").rename(platform.directory / "later")
    recap = platform.converged("--check", authority=True)
    assert recap["changed"] >= 3 and not platform.hosts.exists()
    (platform.directory / "later").rename(platform.directory / "kubeconfig")

    platform.converged(tasks_from="bootstrap", authority=True)
    first_password = value(api.objects[FIRST_PASSWORD], "password")
    private_key = value(api.objects[TLS], "tls.key")
    assert "PRIVATE KEY" in private_key and first_password not in platform.output
    assert private_key.splitlines()[1] not in platform.output
    assert platform.converged(tasks_from="bootstrap", authority=True)["changed"] == 0
    platform.mariadb.sql(f"ALTER USER 'vault'@'%' IDENTIFIED BY '{first_password}'")
    platform.converged("--check")
    assert not platform.keys.exists()

    platform.start()
    checked = platform.converged("--check")
    assert checked["changed"] >= 1 and not platform.keys.exists(), "a check run initialises nothing"
    assert FIRST_PASSWORD in api.objects

    platform.converged()
    printed = platform.output
    stored = json.loads(platform.keys.read_text())
    assert "root_token" not in stored and len(stored["keys_base64"]) == 3
    assert platform.keys.stat().st_mode & 0o777 == 0o600
    assert FIRST_PASSWORD not in api.objects and not platform.mariadb.login("vault", first_password)
    facts = api.objects[CONFIGURATION]["data"]
    assert facts["address"] == "https://vault.vault.svc:8200" and "BEGIN CERTIFICATE" in facts["ca.crt"]

    session = platform.log_in("shop", "shop", "shop").json()["auth"]
    assert session["lease_duration"] == 24 * 3600 and set(session["policies"]) == {"default", "shop"}
    token = session["client_token"]
    app_key = platform.nodes[0].request("GET", "kv/data/shop", token=token).json()["data"]["data"]["APP_KEY"]
    assert len(base64.b64decode(app_key.removeprefix("base64:"))) == 32
    lease = platform.nodes[0].request("GET", "database/creds/shop", token=token).json()
    assert lease["lease_duration"] == 3600
    user, password = lease["data"]["username"], lease["data"]["password"]
    assert platform.mariadb.login(user, password, "INSERT INTO app.t VALUES (1)")
    assert not platform.mariadb.login(user, password, "CREATE TABLE app.u (i INT)"), "no DDL for pods"
    assert not platform.mariadb.login(user, password, "SELECT * FROM mysql.user"), "nothing outside its schema"
    assert platform.nodes[0].request("GET", "database/creds/shop-job", token=token).status_code == 403
    assert platform.log_in("shop", "shop", "shop-scheduler").status_code == 403

    job = platform.log_in("shop-job", "shop", "shop-hook").json()["auth"]
    assert job["lease_duration"] == 600
    lease = platform.nodes[0].request("GET", "database/creds/shop-job", token=job["client_token"]).json()
    migrator, secret = lease["data"]["username"], lease["data"]["password"]
    assert lease["lease_duration"] == 600
    assert platform.mariadb.login(migrator, secret, "CREATE TABLE app.u (i INT); DROP TABLE app.u")
    platform.nodes[0].request("POST", "auth/token/revoke-self", token=job["client_token"])
    assert not platform.mariadb.login(migrator, secret), "the database user ends with the token"

    secrets = {}
    for name in ("watch", "guard"):
        session = platform.log_in(name, "tools", name).json()["auth"]
        assert session["lease_duration"] == 3600 and set(session["policies"]) == {"default", name}
        answer = platform.nodes[0].request("GET", f"kv/data/tools/{name}", token=session["client_token"])
        secrets |= answer.json()["data"]["data"]
    assert secrets["url"] == CLIENT_SECRET and len(secrets["password"]) == 40
    assert platform.log_in("watch", "tools", "guard").status_code == 403

    canaries = [
        secrets["password"],
        CLIENT_SECRET,
        first_password,
        app_key,
        password,
        *stored["keys_base64"],
        private_key.splitlines()[1],
        "hvs.",
    ]
    assert not [canary for canary in canaries if canary in printed]

    # The second run writes nothing, and neither does a check run.
    writes = len(api.writes)
    assert platform.converged()["changed"] == 0, platform.output[-6000:]
    assert platform.converged("--check")["changed"] == 0
    assert len(api.writes) == writes
    again = platform.log_in("shop", "shop", "shop").json()["auth"]["client_token"]
    kept = platform.nodes[0].request("GET", "kv/data/shop", token=again).json()["data"]
    assert kept["data"]["APP_KEY"] == app_key and kept["metadata"]["version"] == 1

    # A key that only people know: a run says when it is missing, and adds nothing itself.
    required = [client("watch", data={"url": CLIENT_SECRET}, required_keys=["url", "token"])]
    options = ("-e", json.dumps({"vault_clients": required}))
    assert platform.play(*options)["returncode"] != 0
    assert "kv/tools/watch lacks token." in platform.output and CLIENT_SECRET not in platform.output
    administrator = platform.log_in("platform-admin", "vault", "onprem-platform-admin").json()["auth"]["client_token"]
    data = {"url": CLIENT_SECRET, "token": "a-canary"}
    assert platform.nodes[0].request("POST", "kv/data/tools/watch", {"data": data}, token=administrator).ok
    assert platform.converged(*options)["changed"] == 0
    assert "a-canary" not in platform.output

    # After a power loss a check run says what it would do; the tasks file of the unseal play does it.
    for node in platform.nodes:
        node.restart()
    assert platform.converged("--check")["changed"] == 1
    assert platform.converged(tasks_from="unseal")["changed"] == 1
    assert platform.converged()["changed"] == 0


def test_lost_keys_stop_the_run(platform: Platform) -> None:
    """The run was killed between Vault's answer and the key file."""
    platform.converged(tasks_from="bootstrap", authority=True)
    platform.start()
    platform.nodes[0].request("PUT", "sys/init", {"secret_shares": 3, "secret_threshold": 2})
    recap = platform.play()
    assert recap["returncode"] != 0 and "vault_recreate_when_keys_lost=true" in platform.output
    assert "DELETE" not in {verb for verb, _path in platform.cluster.api.writes}
