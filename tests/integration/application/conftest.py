# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demonstration application, run for real: Debian's PHP, nginx, MariaDB and Valkey in containers.

Every test runs twice: with the source on Debian's packages, and with the images of the bundle. The containers have what
the chart gives its pods: user 10001, read-only root file system, no capabilities, a writable /tmp. They share the
machine's loopback. Needs root, podman with runc, mmdebstrap (once, for the root directory), and `make bundle`.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import secrets
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.onprem.platform.tests.integration.bundled_images import BundledImages, bundle_directory
from ansible_collections.onprem.platform.tests.integration.ports import free_port

REPOSITORY = Path(__file__).parents[3]
IMAGES = REPOSITORY / "roles/bundle/files/images"
CHART_FILES = REPOSITORY / "roles/application/files/charts/laravel/files"
PACKAGES = (
    "php8.4-fpm,php8.4-cli,php8.4-mysql,php-redis,php-laravel-framework,dash,tzdata,"
    "nginx,mariadb-server-core,mariadb-client-core,valkey-server"
)
# The statement of requirement R7, on the application's own schema.
PRIVILEGES = "SELECT, INSERT, UPDATE, DELETE, ALTER, CREATE, DROP, REFERENCES"
USER = 10001
Completed = subprocess.CompletedProcess[str]


def run(*command: str, **options: Any) -> Completed:
    """Run a command and return its result with its output as text."""
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, **options)


def wait_until(condition: Callable[[], Any], seconds: float, what: str, log: Callable[[], str] = str) -> Any:
    """Return the condition's first true value; fail after that many seconds, with the log."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.1)
    pytest.fail(f"{what}: not within {seconds} s\n{log()}")


@dataclass
class Answer:
    """An HTTP answer, whatever its status."""

    status: int
    text: str
    headers: Message

    @property
    def json(self) -> Any:
        return json.loads(self.text)


def request(url: str, data: Any = None, headers: dict[str, str] | None = None) -> Answer:
    """Send GET, or POST when there is data: a mapping as JSON, bytes as a form. Status 0 is no answer at all."""
    headers = dict(headers or {})
    body = data
    if isinstance(data, dict):
        body, headers["Content-Type"] = json.dumps(data).encode(), "application/json"
    try:
        answer = urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=10)  # noqa: S310
    except urllib.error.HTTPError as error:
        answer = error
    except OSError as error:
        return Answer(0, str(error), Message())
    with answer:
        return Answer(answer.status, answer.read().decode(), answer.headers)


class Containers:
    """Starts containers from one root directory and ends those that it started."""

    def __init__(self, root: Path, prefix: str) -> None:
        self.root = root
        self.prefix = prefix
        self.names: list[str] = []

    def podman(self, *arguments: str, **options: Any) -> Completed:
        return run("podman", "--runtime", "/usr/sbin/runc", *arguments, **options)

    def _run(self, root: Path | None, mounts: dict[str, Path], environment: dict[str, str]) -> list[str]:
        arguments = ["--network", "host", "--read-only", "--read-only-tmpfs=false", "--user", f"{USER}:{USER}"]
        arguments += ["--cap-drop", "all", "--security-opt", "no-new-privileges", "--tmpfs", "/tmp:rw,mode=1777"]
        arguments += ["--ulimit", "nofile=4096:4096", "--ulimit", "nproc=4096:4096"]
        for target, source in mounts.items():
            arguments += ["--volume", f"{source}:{target}"]
        for name, value in environment.items():
            arguments += ["--env", f"{name}={value}"]
        return [*arguments, "--rootfs", str(root or self.root)]

    def once(
        self, *command: str, mounts: dict[str, Path], environment: dict[str, str], root: Path | None = None
    ) -> Completed:
        """Run one command to its end."""
        return self.podman("run", "--rm", *self._run(root, mounts, environment), *command)

    def start(
        self,
        *command: str,
        mounts: dict[str, Path],
        environment: dict[str, str] | None = None,
        root: Path | None = None,
    ) -> str:
        """Start a service and return its name."""
        name = f"{self.prefix}-{len(self.names)}"
        result = self.podman("run", "--detach", "--name", name, *self._run(root, mounts, environment or {}), *command)
        assert result.returncode == 0, result.stderr
        self.names.append(name)
        return name

    def logs(self, name: str) -> str:
        result = self.podman("logs", name)
        return result.stdout + result.stderr

    def stop(self, name: str, signal: str = "TERM") -> int:
        """Send the signal and return the exit code."""
        self.podman("kill", "--signal", signal, name)
        return int(self.podman("wait", name).stdout)

    def close(self) -> None:
        for name in self.names:
            self.podman("rm", "--force", "--time", "5", name)


@dataclass
class Database:
    """MariaDB with an administrator by unix socket and users as Vault makes them."""

    containers: Containers
    name: str
    port: int

    def sql(self, statement: str) -> list[list[str]]:
        """Run a statement as administrator and return rows of text."""
        command = ["exec", "--interactive", self.name, "mariadb", "--socket=/tmp/mysql.sock", "--user=admin"]
        result = self.containers.podman(*command, "--batch", "--skip-column-names", input=statement)
        assert result.returncode == 0, result.stderr
        return [line.split("\t") for line in result.stdout.splitlines()]

    def create_user(self) -> dict[str, str]:
        """Create a user as the database engine does, and return the variables that name it."""
        user, password = f"v-app-{secrets.token_hex(6)}", secrets.token_urlsafe(24)
        self.sql(f"CREATE USER '{user}'@'%' IDENTIFIED BY '{password}'")
        self.sql(f"GRANT {PRIVILEGES} ON laravel_demo.* TO '{user}'@'%'")
        return {"DB_USERNAME": user, "DB_PASSWORD": password}

    def drop_user(self, credentials: dict[str, str]) -> None:
        self.sql(f"DROP USER '{credentials['DB_USERNAME']}'@'%';")


def unpack_image(images: BundledImages, reference: str, place: Path) -> list[str]:
    """Write an image of the application below the place, and return the command that it runs."""
    config = images.unpack(reference, place)
    assert config["StopSignal"] == "SIGQUIT"
    return [*config.get("Entrypoint", []), *config.get("Cmd", [])]


@dataclass
class Application:
    """One version of the application with its environment file, as a pod has them.

    Without image roots, source and configuration files are mounted over the root directory of Debian's packages.
    """

    containers: Containers
    version: str
    source: Path
    environment: dict[str, str]
    secrets_directory: Path
    secret: dict[str, str] = field(default_factory=dict)
    root: Path | None = None
    nginx_root: Path | None = None
    command: list[str] = field(default_factory=lambda: ["/usr/sbin/php-fpm8.4", "--nodaemonize"])
    nginx_command: list[str] = field(default_factory=lambda: ["/usr/sbin/nginx", "-g", "daemon off;"])

    def write_environment(self, **changes: str) -> None:
        """Render the environment file as Vault Agent does: whole, then renamed, readable by the group."""
        self.secret.update(changes)
        temporary = self.secrets_directory / ".env.new"
        temporary.write_text("".join(f'{name}="{value}"\n' for name, value in self.secret.items()))
        temporary.chmod(0o640)
        os.chown(temporary, USER, USER)
        temporary.rename(self.secrets_directory / ".env")

    @property
    def mounts(self) -> dict[str, Path]:
        pod = {"/vault/secrets": self.secrets_directory, "/etc/laravel": CHART_FILES}
        if self.root:
            return pod
        image = IMAGES / "laravel-demo/etc"
        return {
            **pod,
            "/srv/app": self.source,
            "/etc/php/8.4/cli/php.ini": image / "php.ini",
            "/etc/php/8.4/fpm/php.ini": image / "php.ini",
            # In place of the packages' directories, which load everything.
            "/etc/php/8.4/cli/conf.d": self.extensions,
            "/etc/php/8.4/fpm/conf.d": self.extensions,
        }

    @property
    def extensions(self) -> Path:
        place = self.source.parent / "conf.d"
        if not place.exists():
            place.mkdir()
            shutil.copy(IMAGES / "laravel-demo/etc/extensions.ini", place / "10-extensions.ini")
        return place

    def artisan(self, *arguments: str, **environment: str) -> Completed:
        variables = {**self.environment, **environment}
        command = ["php", "/srv/app/artisan", *arguments]
        return self.containers.once(*command, mounts=self.mounts, environment=variables, root=self.root)

    def migrate(self, step: str) -> str:
        """Run the expand or contract migrations as the chart's hook does and return the output."""
        # No Redis is reachable from a migration.
        arguments = ["migrate", "--force", f"--path=database/migrations/{step}"]
        result = self.artisan(*arguments, REDIS_PORT="1", CACHE_DRIVER="array")
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    def seed(self) -> None:
        result = self.artisan("db:seed", "--force", REDIS_PORT="1", CACHE_DRIVER="array")
        assert result.returncode == 0, result.stdout + result.stderr

    def worker(self, *arguments: str) -> str:
        """Start the queue worker under the chart's supervisor and return the container's name."""
        command = ["php", "/etc/laravel/worker.php", "/vault/secrets/.env", "php", "/srv/app/artisan", "queue:work"]
        command += ["--sleep=1", *arguments]
        return self.containers.start(*command, mounts=self.mounts, environment=self.environment, root=self.root)

    def serve(self) -> Served:
        """Start php-fpm and nginx with the image's configuration files; ports are the only difference."""
        fpm_port, http_port, metrics_port = free_port(), free_port(), free_port()
        place = self.secrets_directory.parent / f"etc-{fpm_port}"
        place.mkdir()
        pool = (IMAGES / "laravel-demo/etc/php-fpm.conf").read_text()
        (place / "php-fpm.conf").write_text(pool.replace("0.0.0.0:9000", f"127.0.0.1:{fpm_port}"))
        web = (IMAGES / "laravel-demo-nginx/nginx.conf").read_text()
        web = web.replace("listen 8080", f"listen 127.0.0.1:{http_port}")
        (place / "nginx.conf").write_text(web.replace("listen 9090", f"listen 127.0.0.1:{metrics_port}"))
        (place / "upstream.conf").write_text(f"upstream application {{ server 127.0.0.1:{fpm_port}; }}\n")
        fpm = self.containers.start(
            *self.command,
            mounts={**self.mounts, "/etc/php/8.4/fpm/php-fpm.conf": place / "php-fpm.conf"},
            environment=self.environment,
            root=self.root,
        )
        mounts = {
            "/etc/nginx/nginx.conf": place / "nginx.conf",
            "/etc/nginx/conf.d/upstream.conf": place / "upstream.conf",
        }
        if not self.nginx_root:
            mounts["/srv/app/public"] = self.source / "public"
        nginx = self.containers.start(*self.nginx_command, mounts=mounts, root=self.nginx_root)
        served = Served(self, f"http://127.0.0.1:{http_port}", f"http://127.0.0.1:{metrics_port}", fpm, nginx, fpm_port)
        wait_until(
            lambda: request(f"{served.url}/application.css").status == 200,
            60,
            "nginx answers",
            lambda: self.containers.logs(nginx),
        )
        wait_until(
            lambda: request(f"{served.url}/healthz").status in (200, 503),
            60,
            "php-fpm answers",
            lambda: self.containers.logs(fpm),
        )
        return served


@dataclass
class Served:
    """A running version: php-fpm behind nginx."""

    application: Application
    url: str
    metrics_url: str
    fpm: str
    nginx: str
    fpm_port: int

    def get(self, path: str, **headers: str) -> Answer:
        return request(self.url + path, headers=headers)

    def post(self, path: str, data: Any) -> Answer:
        return request(self.url + path, data)

    def submit(self, path: str, form: dict[str, str], headers: dict[str, str]) -> Answer:
        """Send a form as a browser does, and return the page that it leads to."""
        return request(self.url + path, urllib.parse.urlencode(form).encode(), headers)

    def metrics(self) -> dict[str, float]:
        """Return the samples of /metrics by name with labels."""
        answer = request(f"{self.metrics_url}/metrics")
        assert answer.status == 200, answer.text
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        lines = [line for line in answer.text.splitlines() if not line.startswith("#")]
        pattern = re.compile(r"^([a-z][a-z0-9_]*(?:\{.*\})?) (\S+)$")
        matches = [pattern.match(line) for line in lines]
        assert all(matches), lines
        return {match[1]: float(match[2]) for match in matches if match}

    def log(self) -> list[dict[str, Any]]:
        """Return the application's log lines; php-fpm's own start with a bracket."""
        lines = self.application.containers.logs(self.fpm).splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def probe(self) -> Completed:
        """Ask php-fpm as the chart's readiness probe does, in the same container."""
        script = [
            "php",
            "/etc/laravel/probe.php",
            f"127.0.0.1:{self.fpm_port}",
            "/srv/app/public/index.php",
            "/healthz",
        ]
        return self.application.containers.podman("exec", self.fpm, *script)

    def stop(self) -> None:
        self.application.containers.stop(self.nginx, "QUIT")
        self.application.containers.stop(self.fpm, "QUIT")


@pytest.fixture(scope="session")
def root_directory() -> Path:
    """Return a directory with the programs, made once per package selection."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "onprem-platform" / "tests"
    cache.mkdir(parents=True, exist_ok=True)
    root = cache / f"laravel-{hashlib.sha256(PACKAGES.encode()).hexdigest()[:12]}"
    with (cache / "laravel.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not root.exists():
            unfinished = root.with_suffix(".new")
            shutil.rmtree(unfinished, ignore_errors=True)
            command = ["nice", "-n", "10", "mmdebstrap", "--variant=minbase", f"--include={PACKAGES}"]
            command += ["--aptopt=APT::Install-Recommends false", "trixie", str(unfinished)]
            subprocess.run([*command, "http://deb.debian.org/debian"], check=True, timeout=600)
            for mount in ("srv/app/public", "vault/secrets", "data", "etc/laravel", "etc/nginx/conf.d"):
                (unfinished / mount).mkdir(parents=True, exist_ok=True)
            (unfinished / "etc/nginx/conf.d/upstream.conf").touch()
            unfinished.rename(root)
    return root


@pytest.fixture(scope="module")
def containers(root_directory: Path) -> Iterator[Containers]:
    started = Containers(root_directory, f"laravel-test-{secrets.token_hex(3)}")
    yield started
    started.close()


@pytest.fixture(scope="module")
def database(containers: Containers, tmp_path_factory: pytest.TempPathFactory) -> Database:
    """Start MariaDB with an empty schema."""
    data = tmp_path_factory.mktemp("mariadb")
    os.chown(data, USER, USER)
    for directory in (data, *data.parents[:2]):
        directory.chmod(0o755)
    mounts = {"/data": data}
    made = containers.once(
        "mariadb-install-db", "--no-defaults", "--datadir=/data", "--skip-test-db", mounts=mounts, environment={},
    )  # fmt: skip
    assert made.returncode == 0, made.stdout + made.stderr
    port = free_port()
    start = data / "start.sql"
    start.write_text(
        "CREATE DATABASE laravel_demo CHARACTER SET utf8mb4;\n"
        "CREATE USER admin@localhost IDENTIFIED BY '';\n"
        "GRANT ALL ON *.* TO admin@localhost WITH GRANT OPTION;\n"
        "DROP USER IF EXISTS ''@localhost;\n"
    )
    start.chmod(0o644)
    name = containers.start(
        "mariadbd", "--no-defaults", "--datadir=/data", "--bind-address=127.0.0.1", f"--port={port}",
        "--socket=/tmp/mysql.sock", "--pid-file=/tmp/mysql.pid", "--innodb-buffer-pool-size=32M", "--skip-name-resolve",
        "--init-file=/data/start.sql", mounts=mounts,
    )  # fmt: skip
    server = Database(containers, name, port)
    ping = ["exec", name, "mariadb", "--socket=/tmp/mysql.sock", "--user=admin", "--execute=select 1"]

    def answers() -> bool:
        return containers.podman(*ping).returncode == 0

    wait_until(answers, 120, "MariaDB answers", lambda: containers.logs(name))
    return server


@pytest.fixture(scope="module")
def redis(containers: Containers) -> tuple[str, int, str]:
    """Start Valkey and return container, port and password."""
    port, password = free_port(), secrets.token_hex(16)
    arguments = ["--port", str(port), "--bind", "127.0.0.1", "--requirepass", password, "--dir", "/tmp", "--save", ""]
    return containers.start("valkey-server", *arguments, mounts={}), port, password


@pytest.fixture(scope="module", params=["source", "image"])
def application(
    request: pytest.FixtureRequest,
    containers: Containers,
    database: Database,
    redis: tuple[str, int, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str], Application]:
    """Return a function that gives a version: its source with the version's files over it, or the bundle's images."""
    database.sql("DROP DATABASE laravel_demo; CREATE DATABASE laravel_demo CHARACTER SET utf8mb4")

    def assemble(version: str) -> Application:
        place = tmp_path_factory.mktemp(f"application-{version}")
        for directory in (place, *place.parents[:2]):
            directory.chmod(0o755)
        secrets_directory = place / "secrets"
        secrets_directory.mkdir()
        environment = {
            "APP_ENV": "testing",
            "DB_HOST": "127.0.0.1",
            "DB_PORT": str(database.port),
            "REDIS_PORT": str(redis[1]),
            "REDIS_PREFIX": f"{request.param}:",
        }
        if request.param == "image":
            images, root, nginx_root = BundledImages(bundle_directory()), place / "root", place / "nginx-root"
            made = Application(
                containers,
                version,
                root / "srv/app",
                environment,
                secrets_directory,
                root=root,
                nginx_root=nginx_root,
                command=unpack_image(images, f"laravel-demo:{version}", root),
                nginx_command=unpack_image(images, f"laravel-demo-nginx:{version}", nginx_root),
            )
        else:
            source = place / "app"
            shutil.copytree(IMAGES / "laravel-demo/app", source)
            overlay = IMAGES / "laravel-demo/versions" / version
            if overlay.is_dir():
                shutil.copytree(overlay, source, dirs_exist_ok=True)
            (source / ".env").symlink_to("/vault/secrets/.env")
            made = Application(containers, version, source, environment, secrets_directory)
        key = "base64:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
        made.write_environment(APP_KEY=key, REDIS_PASSWORD=redis[2], **database.create_user())
        return made

    return assemble
