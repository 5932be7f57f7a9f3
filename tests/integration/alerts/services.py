# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bundle's Prometheus, Alertmanager and alert sink on loopback, each with a directory of its own.

ONPREM_PROMETHEUS_BINARY and ONPREM_ALERTMANAGER_BINARY name other programs, ONPREM_ALERT_SINK_PYTHON a Python that has
aiosmtpd and runs the source. Without them the images of the bundle are unpacked.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import requests
import yaml

from ansible_collections.onprem.platform.tests.integration.bundled_images import BundledImages, bundle_directory
from ansible_collections.onprem.platform.tests.integration.ports import free_port
from ansible_collections.onprem.platform.tests.integration.vault.services import Process, wait
from ansible_collections.onprem.platform.tests.unit.fakes.certificates import Authority

REPOSITORY = Path(__file__).parents[3]
SINK_SOURCE = REPOSITORY / "roles/bundle/files/images/alert-sink/alert_sink.py"
USER = 10001
# the conftest removes it at the end of the session
UNPACKED = Path(tempfile.gettempdir()) / f"onprem-alerts-{os.getpid()}"


@functools.cache
def unpacked(image: str) -> tuple[Path, dict[str, Any]]:
    """Return the root directory and the configuration of an image of the bundle."""
    place = UNPACKED / image
    place.mkdir(parents=True)
    return place, BundledImages(bundle_directory()).unpack(image, place)


def program(image: str, variable: str) -> str:
    """Return the path of the static program that an image runs."""
    if variable in os.environ:
        return os.environ[variable]
    root, config = unpacked(image)
    return str(root / config["Entrypoint"][0].lstrip("/"))


def call(url: str, body: Any = None) -> Any:
    """GET, or POST JSON, and return the JSON of the answer; the answer must be good."""
    answer = requests.request("GET" if body is None else "POST", url, json=body, timeout=10)
    assert answer.ok, f"{url}: {answer.status_code} {answer.text}"
    return answer.json() if answer.content else None


def answers(url: str) -> bool:
    """Whether a service says that it is ready."""
    try:
        return requests.get(url, timeout=1).status_code == 200
    except requests.RequestException:
        return False


def is_ready(process: Process, url: str) -> bool:
    """Whether a server that lives says that it is ready."""
    process.require_life()
    return answers(f"{url}/-/ready")


class Metrics:
    """A target with one gauge, ``demo``, which a test sets."""

    def __init__(self) -> None:
        self.value = 1.0
        metrics = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_arguments: Any) -> None:
                """Keep quiet."""

            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.end_headers()
                self.wfile.write(f"demo {metrics.value}\n".encode())

            def do_PUT(self) -> None:
                metrics.value = float(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(204)
                self.end_headers()

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.target = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop the server."""
        self.server.shutdown()
        self.server.server_close()


class AlertSink(Process):
    """The alert sink with STARTTLS and a login, as its image runs it: another user, nothing writable but its data."""

    username, password = "alertmanager", "canary-of-the-sink"

    def __init__(self, **options: Any) -> None:
        super().__init__("alert-sink")
        self.options = options
        self.authority = Authority(self.directory)
        certificate, key = self.authority.issue("alert-sink", "127.0.0.1")
        self.secrets, self.data = self.directory / "secrets", self.directory / "data"
        for directory in (self.secrets, self.data):
            directory.mkdir()
        for source, name in ((certificate, "tls.crt"), (key, "tls.key")):
            shutil.copy(source, self.secrets / name)
        (self.secrets / "password").write_text(self.password + "\n")
        for path in (self.data, self.secrets, *self.secrets.iterdir()):
            os.chown(path, USER, USER)
        self.directory.chmod(0o755)
        self.smtp_port, self.http_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.http_port}"
        self.name = ""
        self.start()

    def arguments(self, data: Path, secrets: Path) -> list[str]:
        """Return the command line."""
        options = {
            "directory": data,
            "address": "127.0.0.1",
            "smtp_port": self.smtp_port,
            "http_port": self.http_port,
            "certificate": secrets / "tls.crt",
            "key": secrets / "tls.key",
            "username": self.username,
            "password_file": secrets / "password",
            **self.options,
        }
        return [f"--{name.replace('_', '-')}={value}" for name, value in options.items() if value is not None]

    def command(self) -> list[str]:
        """Return the command that runs the sink."""
        if python := os.environ.get("ONPREM_ALERT_SINK_PYTHON"):
            return [python, str(SINK_SOURCE), *self.arguments(self.data, self.secrets)]
        root, config = unpacked("alert-sink")
        self.name = f"onprem-alert-sink-{self.http_port}"
        command = ["podman", "--runtime", "/usr/sbin/runc", "run", "--rm", "--name", self.name, "--network", "host"]
        command += ["--read-only", "--read-only-tmpfs=false", "--user", f"{USER}:{USER}", "--cap-drop", "all"]
        command += ["--security-opt", "no-new-privileges", "--ulimit", "nofile=4096:4096"]
        command += ["--ulimit", "nproc=4096:4096"]
        command += ["--volume", f"{self.data}:/data", "--volume", f"{self.secrets}:/secrets:ro", "--rootfs", str(root)]
        return [*command, *config["Entrypoint"], *self.arguments(Path("/data"), Path("/secrets"))]

    def start(self) -> None:
        """Start the sink on what it has stored."""
        self.spawn(*self.command())
        wait(self._answers, "the sink answers")

    def _answers(self) -> bool:
        self.require_life()
        return answers(f"{self.url}/healthz")

    def stop(self) -> int:
        """End the sink as Kubernetes does, and return its exit code."""
        if self.name:
            subprocess.run(["podman", "kill", "--signal", "TERM", self.name], check=True, capture_output=True)
            assert self.process
            return self.process.wait(30)
        self.kill(signal.SIGTERM)
        assert self.process
        return self.process.returncode

    def close(self) -> None:
        """End the sink and remove its directory."""
        if self.name:
            subprocess.run(["podman", "rm", "--force", "--time", "5", self.name], check=False, capture_output=True)
        super().close()

    def messages(self, since: str = "1970-01-01T00:00:00Z") -> list[dict[str, Any]]:
        """Return what it has."""
        return list(requests.get(f"{self.url}/messages", params={"since": since}, timeout=10).json())


class AlertManager(Process):
    """One Alertmanager that tells the sink by mail and webhook, at once."""

    def __init__(self, sink: AlertSink, password: str = AlertSink.password) -> None:
        super().__init__("alertmanager")
        self.url = f"http://127.0.0.1:{free_port()}"
        (self.directory / "password").write_text(password)
        mail = {
            "to": "team@example.org",
            "from": "alertmanager@example.org",
            "smarthost": f"127.0.0.1:{sink.smtp_port}",
            "auth_username": sink.username,
            "auth_password_file": str(self.directory / "password"),
            "tls_config": {"ca_file": str(sink.authority.path)},
            "send_resolved": True,
        }
        configuration = {
            "route": {
                "receiver": "team",
                "group_by": ["alertname"],
                "group_wait": "1s",
                "group_interval": "1s",
                "repeat_interval": "1h",
            },
            "receivers": [
                {
                    "name": "team",
                    "email_configs": [mail],
                    "webhook_configs": [{"url": f"{sink.url}/webhook/chat", "send_resolved": True}],
                }
            ],
            "inhibit_rules": [
                {"source_matchers": ["alertname=Inhibits"], "target_matchers": ["alertname=Demo"], "equal": []}
            ],
        }
        path = self.directory / "alertmanager.yml"
        path.write_text(yaml.safe_dump(configuration))
        self.spawn(
            program("alertmanager", "ONPREM_ALERTMANAGER_BINARY"),
            f"--config.file={path}",
            f"--storage.path={self.directory}/data",
            f"--web.listen-address={self.url.removeprefix('http://')}",
            "--cluster.listen-address=",
        )
        wait(lambda: is_ready(self, self.url), "Alertmanager answers")


class PrometheusServer(Process):
    """One Prometheus that scrapes each second, with the alert ``Demo`` for ``demo == 0`` over two seconds."""

    def __init__(self, metrics: Metrics, alertmanager: AlertManager) -> None:
        super().__init__("prometheus")
        self.url = f"http://127.0.0.1:{free_port()}"
        rules = [
            {"alert": "Demo", "expr": "demo == 0", "for": "2s", "labels": {"severity": "critical"}},
            {"alert": "Never", "expr": "demo > 100"},
            {"alert": "Inhibits", "expr": "demo < 0"},
            {"alert": "AtOnce", "expr": "demo == 2"},
            {"alert": "SmsGatewayDown", "expr": "demo == 4", "for": "2s", "labels": {"namespace": "shop"}},
            {"alert": "SmsBalanceLow", "expr": "demo == 5", "labels": {"namespace": "shop"}},
        ]
        (self.directory / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "demo", "rules": rules}]}))
        targets = {
            "demo": metrics.target,
            "alertmanager": alertmanager.url.removeprefix("http://"),
        }
        configuration = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(self.directory / "rules.yml")],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": [targets["alertmanager"]]}]}]},
            "scrape_configs": [
                {"job_name": name, "static_configs": [{"targets": [target]}]} for name, target in targets.items()
            ],
        }
        path = self.directory / "prometheus.yml"
        path.write_text(yaml.safe_dump(configuration))
        self.spawn(
            program("prometheus", "ONPREM_PROMETHEUS_BINARY"),
            f"--config.file={path}",
            f"--storage.tsdb.path={self.directory}/data",
            f"--web.listen-address={self.url.removeprefix('http://')}",
        )
        wait(lambda: is_ready(self, self.url), "Prometheus answers")
        # counters that the probe takes as its base
        wait(lambda: bool(self.query("alertmanager_notifications_total")), "Prometheus knows Alertmanager's counters")

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the result of an instant query."""
        answer = requests.get(f"{self.url}/api/v1/query", params={"query": expression}, timeout=10)
        return list(answer.json()["data"]["result"])

    def value(self, expression: str) -> float:
        """Return the value of an expression with one series; 0 without."""
        result = self.query(expression)
        return float(result[0]["value"][1]) if result else 0.0


def silence(alertmanager: AlertManager, alert: str, until: str) -> None:
    """Silence an alert."""
    body = {
        "matchers": [{"name": "alertname", "value": alert, "isRegex": False, "isEqual": True}],
        "startsAt": "2020-01-01T00:00:00Z",
        "endsAt": until,
        "createdBy": "maria",
        "comment": "maintenance",
    }
    assert json.loads(requests.post(f"{alertmanager.url}/api/v2/silences", json=body, timeout=10).text)["silenceID"]


class Stack:
    """All services, and the metric that the alerts look at."""

    def __init__(self, **alertmanager: Any) -> None:
        self.metrics = Metrics()
        try:
            self.sink = AlertSink()
            self.alertmanager = AlertManager(self.sink, **alertmanager)
            self.prometheus = PrometheusServer(self.metrics, self.alertmanager)
        except BaseException:
            for process in list(Process.started):
                process.close()
            raise

    def close(self) -> None:
        for service in (self.prometheus, self.alertmanager, self.sink, self.metrics):
            service.close()

    def calm(self) -> None:
        """Wait until no alert is left, and all that was said about them is counted."""
        self.metrics.value = 1
        wait(lambda: not requests.get(f"{self.alertmanager.url}/api/v2/alerts", timeout=5).json(), "calm", 90)
        wait(lambda: self.prometheus.value("sum(ALERTS)") == 0, "calm")
        sent = "sum(alertmanager_notification_requests_total) - sum(alertmanager_notification_requests_failed_total)"
        wait(lambda: self.prometheus.value(sent) == len(self.sink.messages()), "all is counted")
