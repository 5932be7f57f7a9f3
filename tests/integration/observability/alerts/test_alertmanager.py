# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Alertmanager with the role's configuration and short times: who gets what, when, and who does not."""

from __future__ import annotations

import json
import shutil
import signal
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.onprem.platform.tests.integration.bundled_images import BundledImages, bundle_directory
from ansible_collections.onprem.platform.tests.integration.ports import free_port
from ansible_collections.onprem.platform.tests.unit.fakes.certificates import Authority

from .receivers import Inbox, MailServer, Webhooks

# Seconds; long enough for a busy machine to silence and resolve alerts before.
ESCALATION = 10
SETTINGS: dict[str, Any] = {
    "observability_chat_webhook_enabled": True,
    "observability_pager_webhook_enabled": True,
    "observability_dead_man_webhook_enabled": True,
    "observability_escalation_minutes": ESCALATION / 60,
    "observability_alert_group_wait_seconds": {"critical": 0, "warning": 1},
    "observability_alert_group_interval_seconds": 1,
}
ALWAYS = {"times": [{"start_time": "00:00", "end_time": "24:00"}]}
USER, PASSWORD = "alerts", "mail-canary-4711"


def stamp(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


class Alertmanager:
    """The process, its API, and what its receivers got."""

    def __init__(self, program: str, directory: Path, configuration: Path, inbox: Inbox) -> None:
        self.inbox = inbox
        self.configuration = directory / "alertmanager.yml"
        shutil.copy(configuration, self.configuration)
        self.port = free_port()
        self.log = directory / "alertmanager.log"
        command = [program, f"--config.file={self.configuration}", f"--storage.path={directory / 'data'}"]
        command += [f"--web.listen-address=127.0.0.1:{self.port}", "--cluster.listen-address="]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        self.wait(lambda: self.call("/-/ready")[0] == 200, 30, "Alertmanager is ready")

    def call(self, path: str, document: Any = None, method: str | None = None) -> tuple[int, str]:
        """Return status and text of an answer; 0 is no answer."""
        data = None if document is None else json.dumps(document).encode()
        headers = {"Content-Type": "application/json"}
        url = f"http://127.0.0.1:{self.port}{path}"
        request = urllib.request.Request(url, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)

    def wait(self, condition: Callable[[], Any], seconds: float, what: str) -> Any:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if value := condition():
                return value
            time.sleep(0.05)
        pytest.fail(f"{what}: not within {seconds} s\n{self.log.read_text()[-3000:]}")

    def post(self, alert: str, severity: str, firing: bool = True, **labels: str) -> float:
        """Send an alert as Prometheus does, firing or resolved now, and return the time."""
        return self.post_all([{"alertname": alert, "severity": severity, **labels}], firing)

    def post_all(self, alerts: list[dict[str, str]], firing: bool = True) -> float:
        """Send alerts with these labels in one call, and return the time."""
        now = datetime.now(timezone.utc)
        documents = [
            {
                "labels": {"cluster": "onprem", **labels},
                "annotations": {
                    "summary": f"Summary of {labels['alertname']}",
                    "description": "What is wrong.",
                    "runbook_url": f"https://runbooks.example.org/{labels['alertname']}.md",
                },
                "startsAt": stamp(now if firing else now - timedelta(seconds=30)),
                "endsAt": stamp(now + timedelta(minutes=5) if firing else now),
            }
            for labels in alerts
        ]
        began = time.monotonic()
        status, text = self.call("/api/v2/alerts", documents)
        assert status == 200, text
        return began

    def silence(self, alert: str) -> None:
        now = datetime.now(timezone.utc)
        document = {
            "matchers": [{"name": "alertname", "value": alert, "isRegex": False, "isEqual": True}],
            "startsAt": stamp(now),
            "endsAt": stamp(now + timedelta(hours=1)),
            "createdBy": "test",
            "comment": "test",
        }
        status, text = self.call("/api/v2/silences", document)
        assert status == 200, text

    def received(self, alert: str, receiver: str, status: str = "firing", seconds: float = 10) -> float:
        """Wait for the message and return when it came."""
        found = self.wait(lambda: self.inbox.about(alert, receiver, status), seconds, f"{status} {alert} by {receiver}")
        return found[0].time

    def reload(self, configuration: Path) -> tuple[int, str]:
        shutil.copy(configuration, self.configuration)
        return self.call("/-/reload", method="POST")

    def close(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)


@pytest.fixture(scope="module")
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture(scope="module")
def variants(
    tmp_path_factory: pytest.TempPathFactory,
    configurations_in: Callable[..., dict[str, Path]],
    inbox: Inbox,
) -> Iterator[dict[str, Path]]:
    """Start the receivers, write their secrets as Vault Agent does, and return the configurations."""
    place = tmp_path_factory.mktemp("alertmanager")
    authority = Authority(place)
    certificate, key = authority.issue("127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    webhooks, mail = Webhooks(inbox), MailServer(inbox, context, USER, PASSWORD)
    secrets = place / "secrets"
    secrets.mkdir()
    (secrets / "mail-password").write_text(PASSWORD)
    for name in ("chat", "pager", "dead-man"):
        (secrets / f"{name}-webhook-url").write_text(f"http://127.0.0.1:{webhooks.port}/{name}")
    settings = {
        **SETTINGS,
        "observability_receiver_secrets_directory": str(secrets),
        "observability_mail": {
            "smarthost": f"127.0.0.1:{mail.port}",
            "from": "alerts@example.org",
            "to": ["a@example.org", "b@example.org"],
            "tls": "starttls",
            "username": USER,
            "ca_file": str(authority.path),
        },
    }
    yield configurations_in(place, {"day": settings, "quiet": {**settings, "observability_quiet_hours": [ALWAYS]}})
    mail.close()
    webhooks.close()


@pytest.fixture(scope="module")
def alertmanager(
    variants: dict[str, Path], inbox: Inbox, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Alertmanager]:
    place, root = tmp_path_factory.mktemp("process"), tmp_path_factory.mktemp("image")
    image = BundledImages(bundle_directory()).unpack("alertmanager", root)
    started = Alertmanager(str(root) + image["Entrypoint"][0], place, variants["day"], inbox)
    yield started
    started.close()


def test_critical_alert_goes_to_mail_and_chat_at_once_and_to_the_pager_later(alertmanager, inbox):
    began = alertmanager.post("EtcdMemberDown", "critical", node="c1")
    assert alertmanager.received("EtcdMemberDown", "mail") - began < 5
    assert alertmanager.received("EtcdMemberDown", "chat") - began < 5
    paged = alertmanager.received("EtcdMemberDown", "pager", seconds=ESCALATION + 5) - began
    assert ESCALATION - 0.5 < paged < ESCALATION + 5
    alertmanager.post("EtcdMemberDown", "critical", firing=False, node="c1")
    for receiver in ("mail", "chat", "pager"):
        alertmanager.received("EtcdMemberDown", receiver, "resolved", seconds=15)
    for receiver in ("mail", "chat", "pager"):
        assert len(inbox.about("EtcdMemberDown", receiver)) == 1
    (mail,) = inbox.about("EtcdMemberDown", "mail")
    assert mail.subject == "[FIRING] critical: EtcdMemberDown on onprem"
    assert mail.content["To"] == "a@example.org, b@example.org"
    assert "https://runbooks.example.org/EtcdMemberDown.md" in mail.part("plain")
    assert '<a href="https://runbooks.example.org/EtcdMemberDown.md">' in mail.part("html")
    assert "node=c1" in mail.part("plain")
    (resolved,) = inbox.about("EtcdMemberDown", "mail", "resolved")
    assert resolved.subject == "[RESOLVED] critical: EtcdMemberDown on onprem"
    assert "resolved 20" in resolved.part("plain")


def test_what_is_silenced_resolved_or_a_warning_is_not_escalated(alertmanager, inbox):
    alertmanager.post("ApiServerErrors", "critical")
    alertmanager.post("VaultSealed", "critical", pod="vault-1")
    alertmanager.post("QueueBacklogHigh", "warning")
    began = alertmanager.post("FluxStalled", "critical", name="escalates")
    for alert in ("ApiServerErrors", "VaultSealed", "QueueBacklogHigh"):
        alertmanager.received(alert, "mail")
        alertmanager.received(alert, "chat")
    alertmanager.silence("ApiServerErrors")
    alertmanager.post("VaultSealed", "critical", firing=False, pod="vault-1")
    alertmanager.received("VaultSealed", "mail", "resolved", seconds=15)
    # The positive twin: what nobody has touched is paged.
    assert alertmanager.received("FluxStalled", "pager", seconds=ESCALATION + 5) > began
    time.sleep(3)
    for alert in ("ApiServerErrors", "VaultSealed", "QueueBacklogHigh"):
        for status in ("firing", "resolved"):
            assert not inbox.about(alert, "pager", status), alert


def test_watchdog_goes_to_the_dead_man_receiver_only(alertmanager, inbox):
    alertmanager.post("Watchdog", "none")
    alertmanager.received("Watchdog", "dead-man")
    time.sleep(2)
    assert {message.receiver for message in inbox.messages if message.receiver == "dead-man"} == {"dead-man"}
    for receiver in ("mail", "chat", "pager"):
        assert not inbox.about("Watchdog", receiver)
    sent = [alert for message in inbox.messages if message.receiver == "dead-man" for alert in message.alerts]
    assert {alert["labels"]["alertname"] for alert in sent} == {"Watchdog"}


def test_a_node_that_is_down_silences_its_pods(alertmanager, inbox):
    alertmanager.post("NodeDown", "critical", node="n1")
    alertmanager.received("NodeDown", "chat")
    alertmanager.post("PodNotReady", "warning", node="n1", namespace="shop", pod="on-the-dead-node")
    alertmanager.post("EtcdNoLeader", "critical", node="n1")
    alertmanager.post("PodNotReady", "warning", node="n2", namespace="other", pod="elsewhere")
    alertmanager.post("DnsErrors", "warning")
    alertmanager.received("PodNotReady", "chat")
    alertmanager.received("DnsErrors", "chat")
    time.sleep(3)
    pods = {alert["labels"]["pod"] for message in inbox.about("PodNotReady", "chat") for alert in message.alerts}
    assert pods == {"elsewhere"}
    assert not inbox.about("EtcdNoLeader", "chat")


def test_critical_silences_the_warning_about_the_same_thing(alertmanager, inbox):
    alertmanager.post("CertificateExpires", "critical", node="n3", path="/a")
    alertmanager.received("CertificateExpires", "chat")
    alertmanager.post("CertificateExpires", "warning", node="n3", path="/a", namespace="held-back")
    alertmanager.post("CertificateExpires", "warning", node="n3", path="/a")
    alertmanager.post("CertificateExpires", "warning", node="n3", path="/b")

    def warned() -> set[str]:
        found = [alert for message in inbox.about("CertificateExpires", "chat") for alert in message.alerts]
        return {alert["labels"]["path"] for alert in found if alert["labels"]["severity"] == "warning"}

    alertmanager.wait(warned, 5, "the other file's warning")
    time.sleep(2)
    said = [
        alert["labels"]
        for message in inbox.about("CertificateExpires", "chat")
        for alert in message.alerts
        if alert["labels"]["severity"] == "warning"
    ]
    # The one with another namespace is another thing; the one with equal labels is held back.
    assert {(labels["path"], labels.get("namespace", "")) for labels in said} == {("/b", ""), ("/a", "held-back")}


def test_one_message_for_many_alerts_of_a_group(alertmanager, inbox):
    labels = {"alertname": "JobFailed", "severity": "warning", "namespace": "batch"}
    alertmanager.post_all([{**labels, "job_name": f"job-{number}"} for number in range(20)])
    alertmanager.received("JobFailed", "mail")
    time.sleep(3)
    (message,) = inbox.about("JobFailed", "mail")
    assert message.part("plain").count("FIRING JobFailed") == 20


def test_warnings_wait_in_quiet_hours_and_criticals_do_not(alertmanager, inbox, variants):
    status, text = alertmanager.reload(variants["quiet"])
    assert status == 200, text
    alertmanager.post("EtcdDiskSlow", "warning", node="q1")
    alertmanager.post("EtcdDatabaseFull", "critical", node="q2")
    alertmanager.received("EtcdDatabaseFull", "mail")
    time.sleep(4)
    assert not inbox.about("EtcdDiskSlow", "mail")
    assert not inbox.about("EtcdDiskSlow", "chat")
    status, text = alertmanager.reload(variants["day"])
    assert status == 200, text
    alertmanager.received("EtcdDiskSlow", "mail", seconds=10)


def test_a_bad_configuration_does_not_replace_a_good_one(alertmanager, variants, tmp_path):
    broken = tmp_path / "broken.yml"
    broken.write_text(variants["day"].read_text().replace("receiver: critical", "receiver: nowhere"))
    status, text = alertmanager.reload(broken)
    assert status == 500
    assert "nowhere" in text
    alertmanager.post("EtcdQuorumLost", "critical")
    alertmanager.received("EtcdQuorumLost", "mail")
    assert alertmanager.reload(variants["day"])[0] == 200


def test_the_password_is_nowhere(alertmanager, variants):
    status, text = alertmanager.call("/api/v2/status")
    assert status == 200
    for place in (text, alertmanager.log.read_text(), variants["day"].read_text()):
        assert PASSWORD not in place
