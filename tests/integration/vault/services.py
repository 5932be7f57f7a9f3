# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real Vault, MariaDB and PostgreSQL servers for the tests, each with its own data directory on loopback."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import requests

from ansible_collections.onprem.platform.tests.integration.ports import free_port
from ansible_collections.onprem.platform.tests.unit.fakes.certificates import Authority

READS = ("read", "list")
TEMPLATE = "{{username}}:{{password}}"


def wait(condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
    """Poll until the condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what} within {seconds} s"
        time.sleep(0.1)


def vault_binary() -> str:
    """Return the path of the bundle's Vault."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser()
    path = Path(os.environ.get("ONPREM_VAULT_BINARY", cache / "onprem-platform/bundle/files/vault"))
    assert path.exists(), f"{path} is missing; `make bundle` makes it"
    return str(path)


class Process:
    """A server process with a directory of its own."""

    started: list[Process] = []
    stop_signal = signal.SIGTERM

    def __init__(self, name: str) -> None:
        self.started.append(self)
        self.directory = Path(tempfile.mkdtemp(prefix=f"onprem-{name}-"))
        self.process: subprocess.Popen[bytes] | None = None

    def spawn(self, *argv: str, user: str | None = None, **environment: str) -> None:
        """Start the server, as another user where one is given and this one may."""
        options: dict[str, Any] = {}
        if user and os.geteuid() == 0:
            account = pwd.getpwnam(user)
            os.chown(self.directory, account.pw_uid, account.pw_gid)
            options = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        log = open(self.directory / "server.log", "ab")  # noqa: SIM115 - the child owns it
        self.process = subprocess.Popen(
            argv,
            stdout=log,
            stderr=log,
            cwd=self.directory,
            env={"PATH": os.environ["PATH"], "HOME": str(self.directory), **environment},
            **options,
        )
        log.close()

    def kill(self, number: int = signal.SIGKILL) -> None:
        """End the server."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(30)

    def require_life(self) -> None:
        """Fail with the server's log when it has ended."""
        assert self.process and self.process.poll() is None, self.log()

    def close(self) -> None:
        """End the server and remove its directory."""
        self.kill(self.stop_signal)
        self.started.remove(self)
        shutil.rmtree(self.directory, ignore_errors=True)

    def log(self) -> str:
        """Return what the server wrote."""
        return (self.directory / "server.log").read_text(errors="replace")


class AuditLog:
    """The requests that a Vault server executed, from its own audit log."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset = 0

    def text(self) -> str:
        """Return the whole log."""
        return self.path.read_text() if self.path.exists() else ""

    def start(self) -> None:
        """Start counting anew."""
        self._offset = len(self.text())

    def entries(self) -> list[dict[str, Any]]:
        """Return the requests since start, those about the token itself and logins apart."""
        lines = [json.loads(line) for line in self.text()[self._offset :].splitlines()]
        harmless = ("sys/capabilities-self", "auth/token/lookup-accessor", "sys/leases/lookup")
        return [
            line["request"]
            for line in lines
            if line["type"] == "request"
            and line["request"]["path"] not in harmless
            and "/login" not in line["request"]["path"]
        ]

    def writes(self) -> list[tuple[str, str]]:
        """Return operation and path of every request since start that may change something."""
        return [(entry["operation"], entry["path"]) for entry in self.entries() if entry["operation"] not in READS]


class DevVault(Process):
    """A development server with an audit log: unsealed, in memory, without TLS."""

    token = "root-of-the-development-server"

    def __init__(self) -> None:
        super().__init__("vault-dev")
        self.url = f"http://127.0.0.1:{free_port()}"
        self.spawn(
            vault_binary(),
            "server",
            "-dev",
            "-dev-no-store-token",
            f"-dev-root-token-id={self.token}",
            f"-dev-listen-address={self.url.removeprefix('http://')}",
        )
        wait(self._answers, "the development server answers")
        self.audit = AuditLog(self.directory / "audit.log")
        self.request("PUT", "sys/audit/test", {"type": "file", "options": {"file_path": str(self.audit.path)}})

    def _answers(self) -> bool:
        self.require_life()
        try:
            return requests.get(f"{self.url}/v1/sys/health", timeout=1).status_code == 200
        except requests.RequestException:
            return False

    def request(self, method: str, path: str, body: Any = None, token: str | None = None, **options: Any) -> Any:
        """Send a request by another way than the modules, and return the JSON of the answer."""
        headers = {"X-Vault-Token": token or self.token, **options.pop("headers", {})}
        answer = requests.request(method, f"{self.url}/v1/{path}", json=body, headers=headers, timeout=30)
        assert options.get("ok", True) == answer.ok, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else {}


class RaftNode(Process):
    """One server of a cluster with TLS and raft storage. ``join_name`` is in the certificates of all."""

    join_name = "vault.internal"

    def __init__(self, number: int, ports: list[int], authority: Authority) -> None:
        super().__init__(f"vault-{number}")
        self.name = f"vault-{number}.vault-internal"
        self.port = ports[number]
        self.url = f"https://127.0.0.1:{self.port}"
        certificate, key = authority.issue(self.name, "127.0.0.1", self.join_name)
        joins = [
            {
                "leader_api_addr": f"https://127.0.0.1:{port}",
                "leader_ca_cert_file": str(authority.path),
                "leader_tls_servername": self.join_name,
            }
            for port in ports
            if port != self.port
        ]
        (self.directory / "data").mkdir()
        self.configuration = {
            "disable_mlock": True,
            "api_addr": self.url,
            "cluster_addr": f"https://127.0.0.1:{free_port()}",
            "listener": {
                "tcp": {
                    "address": f"127.0.0.1:{self.port}",
                    "cluster_address": "",
                    "tls_cert_file": str(certificate),
                    "tls_key_file": str(key),
                }
            },
            "storage": {
                "raft": {
                    "path": str(self.directory / "data"),
                    "node_id": f"vault-{number}",
                    "performance_multiplier": 1,
                    **({"retry_join": joins} if joins else {}),
                }
            },
        }
        address = self.configuration["cluster_addr"].removeprefix("https://")
        self.configuration["listener"]["tcp"]["cluster_address"] = address
        self.authority = authority
        self.start()

    def start(self) -> None:
        """Start the server."""
        path = self.directory / "vault.json"
        path.write_text(json.dumps(self.configuration))
        self.spawn(vault_binary(), "server", f"-config={path}")
        wait(self._answers, f"{self.name} answers")

    def restart(self) -> None:
        """Kill the server and start it again, as after a power loss."""
        self.kill()
        self.start()

    def wipe(self) -> None:
        """Delete what the stopped server stored."""
        shutil.rmtree(self.directory / "data")
        (self.directory / "data").mkdir()

    def _answers(self) -> bool:
        self.require_life()
        try:
            requests.get(f"{self.url}/v1/sys/seal-status", timeout=1, verify=str(self.authority.path))
        except requests.RequestException:
            return False
        return True

    def request(self, method: str, path: str, body: Any = None, token: str = "") -> requests.Response:
        """Send a request by another way than the modules."""
        return requests.request(
            method,
            f"{self.url}/v1/{path}",
            json=body,
            headers={"X-Vault-Token": token} if token else {},
            timeout=30,
            verify=str(self.authority.path),
        )


# MariaDB refuses to run as root, and the package with the server alone makes no account for it.
ACCOUNT = "nobody"


class MariaDB(Process):
    """A MariaDB server with a user for Vault."""

    first_password = "canary-first-mariadb"

    def __init__(self) -> None:
        super().__init__("mariadb")
        self.port = free_port()
        self.vault_url = f"{TEMPLATE}@tcp(127.0.0.1:{self.port})/"
        self.socket = self.directory / "socket"
        if os.geteuid() == 0:
            shutil.chown(self.directory, ACCOUNT)
        install = ["mariadb-install-db", "--no-defaults", f"--datadir={self.directory}/data"]
        install += ["--auth-root-authentication-method=normal", "--skip-test-db"]
        install += [f"--user={ACCOUNT}"] * (os.geteuid() == 0)
        subprocess.run(install, check=True, capture_output=True)
        self.spawn(
            "/usr/sbin/mariadbd",
            "--no-defaults",
            f"--datadir={self.directory}/data",
            f"--socket={self.socket}",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            "--skip-name-resolve",
            "--innodb-buffer-pool-size=16M",
            user=ACCOUNT,
        )
        wait(self.socket.exists, "MariaDB listens")
        self.sql(
            "DELETE FROM mysql.global_priv WHERE User=''; FLUSH PRIVILEGES;"
            "CREATE DATABASE app; CREATE TABLE app.t (i INT)"
        )
        self.add_user("vault")

    def add_user(self, name: str) -> None:
        """Add an administrative user with the first password."""
        self.sql(
            f"CREATE USER '{name}'@'%' IDENTIFIED BY '{self.first_password}';"
            f"GRANT ALL ON *.* TO '{name}'@'%' WITH GRANT OPTION"
        )

    def sql(self, statement: str) -> str:
        """Execute statements as the administrator."""
        argv = ["mariadb", "--no-defaults", f"--socket={self.socket}", "--user=root", "-N", "-e", statement]
        return subprocess.run(argv, check=True, capture_output=True, text=True).stdout

    def login(self, user: str, password: str, statement: str = "SELECT 1") -> bool:
        """Whether the user can log in by TCP and execute the statement."""
        argv = [
            "mariadb",
            "--no-defaults",
            "--host=127.0.0.1",
            f"--port={self.port}",
            f"--user={user}",
            "-e",
            statement,
        ]
        done = subprocess.run(argv, capture_output=True, env={**os.environ, "MYSQL_PWD": password}, check=False)
        return done.returncode == 0


class PostgreSQL(Process):
    """A PostgreSQL server with a role for Vault."""

    first_password = "canary-first-postgresql"
    stop_signal = signal.SIGINT  # does not wait for Vault to hang up

    def __init__(self) -> None:
        super().__init__("postgresql")
        self.port = free_port()
        self.vault_url = f"postgresql://{TEMPLATE}@127.0.0.1:{self.port}/postgres"
        programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
        assert programs, "PostgreSQL is not installed"
        if os.geteuid() == 0:
            shutil.chown(self.directory, "postgres", "postgres")
        data = f"{self.directory}/data"
        initdb = [str(programs[-1] / "initdb"), "-D", data, "-U", "admin", "--auth-local=trust", "-E", "UTF8"]
        switch = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] * (os.geteuid() == 0)
        initdb += ["--auth-host=scram-sha-256", "--no-sync"]
        subprocess.run([*switch, *initdb], check=True, capture_output=True, cwd=self.directory)
        self.spawn(
            str(programs[-1] / "postgres"),
            "-D",
            data,
            f"-p{self.port}",
            "-clisten_addresses=127.0.0.1",
            f"-cunix_socket_directories={self.directory}",
            "-cfsync=off",
            user="postgres",
        )
        wait((self.directory / f".s.PGSQL.{self.port}").exists, "PostgreSQL listens")
        wait(lambda: self._psql("SELECT 1", check=False).returncode == 0, "PostgreSQL answers")
        self.add_user("vault")

    def add_user(self, name: str) -> None:
        """Add an administrative role with the first password."""
        self._psql(f"CREATE ROLE {name} LOGIN CREATEROLE PASSWORD '{self.first_password}'")

    def _psql(self, statement: str, check: bool = True) -> subprocess.CompletedProcess[bytes]:
        argv = [
            "psql",
            "-h",
            str(self.directory),
            "-p",
            str(self.port),
            "-U",
            "admin",
            "-d",
            "postgres",
            "-c",
            statement,
        ]
        return subprocess.run(argv, check=check, capture_output=True)

    def login(self, user: str, password: str) -> bool:
        """Whether the user can log in by TCP."""
        argv = ["psql", "-h", "127.0.0.1", "-p", str(self.port), "-U", user, "-d", "postgres", "-c", "SELECT 1"]
        environment = {**os.environ, "PGPASSWORD": password}
        return subprocess.run(argv, capture_output=True, env=environment, check=False).returncode == 0


def closing(*factories: Callable[[], Any]) -> Iterator[Any]:
    """Start services, yield one alone or several as a list, and close them, also those of a failed start."""
    with ExitStack() as stack:
        services = []
        for factory in factories:
            try:
                service = factory()
            except BaseException:
                for process in list(Process.started):
                    process.close()
                raise
            stack.callback(service.close)
            services.append(service)
        yield services[0] if len(services) == 1 else services
