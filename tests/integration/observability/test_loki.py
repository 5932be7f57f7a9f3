# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Loki of the bundle with the configurations that the role renders: judged by Loki for every size, and run against a
real S3 server with keys that a real Vault agent renders."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from ansible_collections.onprem.platform.plugins.plugin_utils._bundle_cache import Cache
from ansible_collections.onprem.platform.plugins.plugin_utils._bundle_go import GoBuilder
from ansible_collections.onprem.platform.plugins.plugin_utils._bundle_lock import Component, Program
from ansible_collections.onprem.platform.tests.integration.bundled_images import BundledImages, bundle_directory
from ansible_collections.onprem.platform.tests.integration.observability.conftest import (
    Document,
    render_variants,
)
from ansible_collections.onprem.platform.tests.integration.ports import free_port
from ansible_collections.onprem.platform.tests.integration.vault.services import (
    DevVault,
    Process,
    vault_binary,
    wait,
)
from ansible_collections.onprem.platform.tests.unit.fakes.certificates import Authority

STACK = "role_path ~ '/../observability/templates/tree/observability/stack/"
CONFIGURATION = f"lookup('ansible.builtin.template', {STACK}loki-configuration.yaml.j2')"
AGENT = f"lookup('ansible.builtin.template', {STACK}loki-agent.hcl.j2')"
POLICY = "_observability_vault_loki.policy"
AUTHORITY = "/etc/loki/s3-authority.crt"
BUCKET: Document = {"bucketnames": "logs", "endpoint": "s3.example.com", "region": "site", "s3forcepathstyle": True}
S3: Document = {
    "observability_loki_s3": BUCKET,
    "observability_loki_s3_authority": "of a test",
    "observability_loki_s3_egress": [{"addresses": ["192.0.2.1/32"], "ports": [443]}],
}
LINES = [f"line {number} of the test" for number in range(500)]


@pytest.fixture(scope="module")
def loki(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Loki's program."""
    directory = tmp_path_factory.mktemp("loki")
    return str(directory) + BundledImages(bundle_directory()).unpack("loki", directory)["Entrypoint"][0]


def test_loki_takes_its_configuration_in_every_size(loki: str, tmp_path: Path) -> None:
    profiles = [{"observability_profile": name} for name in ("small", "medium", "large")]
    variants = {
        f"{profile['observability_profile']}-{name}": {**profile, **settings}
        for profile in profiles
        for name, settings in (("volume", {}), ("s3", S3))
    }
    for name, text in render_variants(tmp_path, variants, f"{{{{ {CONFIGURATION} }}}}").items():
        path = tmp_path / f"{name}.yaml"
        path.write_text(text)
        command = [loki, "-verify-config", f"-config.file={path}"]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        assert result.returncode == 0, (name, result.stderr)
        assert ("s3" in yaml.safe_load(text)["schema_config"]["configs"][0]["object_store"]) == name.endswith("s3")


# --- S3 ---------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def versitygw() -> str:
    """A gateway that speaks S3 over a directory, built from its published module; minutes where it was never built."""
    version = "v1.8.0"
    program = Program(
        "versitygw", prints=version, package="github.com/versity/versitygw/cmd/versitygw", arguments=("--version",)
    )
    component = Component(
        name="versitygw",
        module="github.com/versity/versitygw",
        version=version,
        licence="Apache-2.0",
        ldflags=("-s -w", f"-X main.Version={version}"),
        programs={"versitygw": program},
    )
    # Beside the cache of the bundle, whose lock a build of the bundle may hold for long.
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "onprem-platform" / "tests"
    builder = GoBuilder.create(Cache(cache), Path(__file__).parent / "sources", print)
    built = builder.build(component, [program])["versitygw"]
    builder.forget_compiled()
    return str(built.content)


class Gateway(Process):
    """An S3 server with one bucket, one key and TLS."""

    key, secret = "loki-of-the-platform", "canary-secret-of-the-bucket"

    def __init__(self, program: str, authority: Authority) -> None:
        super().__init__("s3")
        self.endpoint = f"127.0.0.1:{free_port()}"
        self.objects = self.directory / "data" / str(BUCKET["bucketnames"])
        self.objects.mkdir(parents=True)
        (self.directory / "metadata").mkdir()
        certificate, key = authority.issue("s3", "127.0.0.1")
        self.command = [program, "--port", self.endpoint, "--region", str(BUCKET["region"])]
        self.command += ["--cert", str(certificate), "--key", str(key), "posix"]
        self.command += ["--sidecar", str(self.directory / "metadata"), str(self.directory / "data")]
        self.authority = authority
        self.start(self.secret)

    def start(self, secret: str) -> None:
        """Start with a secret for the key, in place of the one before."""
        self.kill()
        self.spawn(*self.command, ROOT_ACCESS_KEY_ID=self.key, ROOT_SECRET_ACCESS_KEY=secret)
        wait(self._answers, "the S3 server answers")

    def _answers(self) -> bool:
        self.require_life()
        try:
            # Nobody without a key is let in.
            return (
                requests.get(f"https://{self.endpoint}", timeout=5, verify=str(self.authority.path)).status_code == 403
            )
        except requests.RequestException:
            return False

    def names(self) -> list[str]:
        """The objects of the bucket."""
        return sorted(str(path.relative_to(self.objects)) for path in self.objects.rglob("*") if path.is_file())

    def has_chunks(self) -> bool:
        """Whether there are logs in it; "fake" is Loki's name for the only tenant."""
        return any(name.startswith("fake/") for name in self.names())


class Loki(Process):
    """Loki with the role's configuration; paths, ports and the bucket's server are those of this machine."""

    def __init__(self, program: str, configuration: str, gateway: Gateway, credentials: Path) -> None:
        super().__init__("loki")
        self.program, self.credentials = program, credentials
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        text = configuration.replace("/var/loki", str(self.directory / "data")).replace(
            AUTHORITY, str(gateway.authority.path)
        )
        settings = yaml.safe_load(text)
        assert settings["storage_config"]["aws"]["http_config"]["ca_file"] == str(gateway.authority.path)
        settings["storage_config"]["aws"]["endpoint"] = gateway.endpoint
        settings["server"] |= {
            "http_listen_address": "127.0.0.1",
            "http_listen_port": port,
            "grpc_listen_port": free_port(),
        }
        (self.directory / "loki.yaml").write_text(yaml.safe_dump(settings))

    def launch(self) -> None:
        """Start, as the pod does."""
        self.spawn(
            self.program,
            f"-config.file={self.directory / 'loki.yaml'}",
            AWS_SHARED_CREDENTIALS_FILE=str(self.credentials),
            AWS_EC2_METADATA_DISABLED="true",
        )

    def start(self) -> None:
        """Start and wait until it is ready."""
        self.launch()
        wait(self._ready, "Loki is ready")

    def ended(self) -> bool:
        """Whether it has given up."""
        assert self.process
        return self.process.poll() is not None

    def _ready(self) -> bool:
        self.require_life()
        try:
            return requests.get(f"{self.url}/ready", timeout=5).status_code == 200
        except requests.RequestException:
            return False

    def push(self) -> None:
        """Send the lines, with the labels that the collector sets."""
        now = time.time_ns()
        values = [[str(now + number), line, {"trace_id": f"{number:032x}"}] for number, line in enumerate(LINES)]
        stream = {
            "stream": {"cluster": "onprem", "namespace": "shop", "app": "shop", "source": "pod"},
            "values": values,
        }
        answer = requests.post(f"{self.url}/loki/api/v1/push", json={"streams": [stream]}, timeout=30)
        assert answer.status_code == 204, answer.text

    def flush(self) -> None:
        """Have everything written to the bucket."""
        assert requests.post(f"{self.url}/flush", timeout=60).status_code == 204

    def lines(self, query: str) -> list[str]:
        """What Loki finds."""
        options: dict[str, Any] = {"query": query, "limit": 5000, "since": "1h"}
        answer = requests.get(f"{self.url}/loki/api/v1/query_range", params=options, timeout=60)
        assert answer.status_code == 200, answer.text
        return sorted(value[1] for stream in answer.json()["data"]["result"] for value in stream["values"])

    def lose_everything(self) -> None:
        """End it as Kubernetes does, and give it an empty volume."""
        self.kill(signal.SIGTERM)
        shutil.rmtree(self.directory / "data")
        self.start()


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the role renders for a bucket."""
    directory = tmp_path_factory.mktemp("rendered")
    content = f"{{{{ {{'configuration': {CONFIGURATION}, 'agent': {AGENT}, 'policy': {POLICY}}} }}}}"
    return dict(render_variants(directory, {"s3": S3}, content)["s3"])


@pytest.fixture
def gateway(versitygw: str, tmp_path: Path) -> Iterator[Gateway]:
    server = Gateway(versitygw, Authority(tmp_path))
    yield server
    server.close()


@pytest.fixture
def vault() -> Iterator[DevVault]:
    server = DevVault()
    server.request("POST", "sys/mounts/kv", {"type": "kv", "options": {"version": "2"}})
    yield server
    server.close()


def agent(vault: DevVault, rendered: dict[str, str], directory: Path, secret: str) -> Path:
    """Let a Vault agent render the bucket's keys with the role's template and policy, and return the file."""
    keys = {"s3-access-key-id": Gateway.key, "s3-secret-access-key": secret}
    vault.request("POST", "kv/data/observability/loki", {"data": keys})
    vault.request("PUT", "sys/policies/acl/observability-loki", {"policy": rendered["policy"]})
    token = vault.request("POST", "auth/token/create", {"policies": ["observability-loki"]})
    directory.mkdir()
    (directory / "token").write_text(token["auth"]["client_token"])
    # The login of a pod needs a cluster; everything else is the role's.
    template = rendered["agent"][rendered["agent"].index("template {") :].replace("/vault/secrets", str(directory))
    method = f'method {{ type = "token_file" config = {{ token_file_path = "{directory}/token" }} }}'
    (directory / "agent.hcl").write_text(
        f'exit_after_auth = true\nvault {{ address = "{vault.url}" }}\nauto_auth {{ {method} }}\n{template}'
    )
    command = [vault_binary(), "agent", f"-config={directory / 'agent.hcl'}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    credentials = directory / "s3-credentials"
    assert credentials.stat().st_mode & 0o777 == 0o400
    return credentials


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_logs_outlive_the_volume_in_a_bucket(
    loki: str, rendered: dict[str, str], gateway: Gateway, vault: DevVault, tmp_path: Path
) -> None:
    credentials = agent(vault, rendered, tmp_path / "agent", Gateway.secret)
    server = Loki(loki, rendered["configuration"], gateway, credentials)
    try:
        server.start()
        server.push()
        server.flush()
        wait(gateway.has_chunks, "chunks are in the bucket")
        assert server.lines('{namespace="shop"}') == sorted(LINES)
        server.lose_everything()
        assert any(name.startswith("index/") for name in gateway.names()), gateway.names()
        wait(lambda: len(server.lines('{namespace="shop"}')) == len(LINES), "all lines are found again", 120)
        assert server.lines(f'{{namespace="shop"}} | trace_id="{7:032x}"') == [LINES[7]]
        text = (server.directory / "loki.yaml").read_text() + server.log()
        assert Gateway.secret not in text
    finally:
        server.close()


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_wrong_keys_are_told_and_lose_nothing(
    loki: str, rendered: dict[str, str], gateway: Gateway, vault: DevVault, tmp_path: Path
) -> None:
    server = Loki(loki, rendered["configuration"], gateway, agent(vault, rendered, tmp_path / "wrong", "mistyped"))
    try:
        server.launch()
        wait(server.ended, "Loki ends")
        assert "api error SignatureDoesNotMatch" in server.log()
        server.credentials = agent(vault, rendered, tmp_path / "right", Gateway.secret)
        server.start()
        # The key's secret is changed at the bucket's server: what comes is taken nevertheless.
        gateway.start("renewed")
        (server.directory / "server.log").write_text("")
        server.push()
        server.flush()
        wait(lambda: "api error SignatureDoesNotMatch" in server.log(), "Loki says that the bucket refuses it")
        assert not gateway.has_chunks()
        metrics = requests.get(f"{server.url}/metrics", timeout=10).text.splitlines()
        (failures,) = (line for line in metrics if line.startswith("loki_ingester_chunks_flush_failures_total"))
        assert float(failures.split()[1]) > 0, "what the alert looks at"
        # It is in Loki's log on the volume, and goes to the bucket when a new start finds the new secret.
        server.kill()
        server.credentials = agent(vault, rendered, tmp_path / "renewed", "renewed")
        server.start()
        server.flush()
        wait(gateway.has_chunks, "chunks are in the bucket")
        assert server.lines('{namespace="shop"}') == sorted(LINES)
    finally:
        server.close()
