# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The alert sink, with real clients."""

from __future__ import annotations

import json
import smtplib
import socket
import ssl
import subprocess
import threading
import time
from email.message import EmailMessage

import pytest
import requests

from ansible_collections.onprem.platform.tests.integration.alerts.services import USER, AlertSink, answers, call
from ansible_collections.onprem.platform.tests.integration.vault.services import closing


def trusting(sink: AlertSink) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(sink.authority.path))


def connect(sink: AlertSink, password: str | None = None) -> smtplib.SMTP:
    client = smtplib.SMTP("127.0.0.1", sink.smtp_port, timeout=10)
    client.starttls(context=trusting(sink))
    client.login(sink.username, password or sink.password)
    return client


def make_mail(subject: str = "[FIRING:1] Demo", text: str = "käse", html: str = "") -> EmailMessage:
    mail = EmailMessage()
    mail["Subject"] = subject
    mail["From"] = "alertmanager@example.org"
    mail["To"] = "team@example.org, pager@example.org"
    if text:
        mail.set_content(text)
    if html:
        mail.add_alternative(html, subtype="html") if text else mail.set_content(html, subtype="html")
    return mail


def send(sink: AlertSink, mail: EmailMessage | None = None) -> None:
    with connect(sink) as client:
        client.send_message(mail or make_mail())


def test_a_mail_and_a_webhook_are_kept_and_shown(sink):
    send(sink)
    call(f"{sink.url}/webhook/chat", {"status": "firing"})
    mail, webhook = sink.messages()
    assert mail["kind"] == "mail" and mail["recipients"] == ["team@example.org", "pager@example.org"]
    assert mail["subject"] == "[FIRING:1] Demo" and mail["body"].strip() == "käse"
    assert mail["sender"] == "alertmanager@example.org"
    assert (webhook["kind"], webhook["name"], webhook["json"]) == ("webhook", "chat", {"status": "firing"})
    assert mail["id"] < webhook["id"] and mail["received_at"] <= webhook["received_at"]
    assert len(mail["received_at"]) == len("2026-01-31T12:00:00.000Z") and mail["received_at"].endswith("Z")


def test_only_newer_messages_are_shown_when_asked(sink):
    send(sink)
    time.sleep(0.01)
    send(sink, make_mail("later"))
    first, second = sink.messages()
    assert [message["subject"] for message in sink.messages(second["received_at"])] == ["later"]
    assert len(sink.messages(first["received_at"].replace("Z", "+00:00"))) == 2
    assert sink.messages("2100-01-01T00:00:00+01:00") == []
    for wrong in ("yesterday", "2026-01-31T12:00:00"):
        answer = requests.get(f"{sink.url}/messages", params={"since": wrong}, timeout=10)
        assert answer.status_code == 400 and "RFC 3339" in answer.json()["error"]


def test_mail_needs_tls_and_a_login(sink):
    with smtplib.SMTP("127.0.0.1", sink.smtp_port, timeout=10) as client:
        with pytest.raises(smtplib.SMTPSenderRefused, match="STARTTLS"):
            client.send_message(make_mail())
        assert "auth" not in client.esmtp_features
        client.rset()
        client.starttls(context=trusting(sink))
        with pytest.raises(smtplib.SMTPSenderRefused, match="Authentication required"):
            client.send_message(make_mail())
    for password in ("wrong", sink.password + "x"):
        with pytest.raises(smtplib.SMTPAuthenticationError):
            connect(sink, password)
    with pytest.raises(ssl.SSLCertVerificationError), smtplib.SMTP("127.0.0.1", sink.smtp_port, timeout=10) as client:
        client.starttls(context=ssl.create_default_context())
    assert sink.messages() == []


def test_a_new_password_and_certificate_hold_at_once(sink):
    certificate, key = sink.authority.issue("127.0.0.1", "second")
    (sink.secrets / "tls.crt").write_bytes(certificate.read_bytes())
    (sink.secrets / "tls.key").write_bytes(key.read_bytes())
    (sink.secrets / "password").write_text("renewed")
    with pytest.raises(smtplib.SMTPAuthenticationError):
        connect(sink)
    with connect(sink, "renewed") as client:
        assert isinstance(client.sock, ssl.SSLSocket)
        assert ("DNS", "second") in client.sock.getpeercert()["subjectAltName"]


def test_a_restart_and_a_kill_lose_nothing(sink):
    for number in range(5):
        send(sink, make_mail(str(number)))
    before = sink.messages()
    started = time.monotonic()
    assert sink.stop() == 0
    assert time.monotonic() - started < 5
    assert '"event": "stopped"' in sink.log()
    (sink.data / "000000000099.new").write_text("{half a mess")
    sink.start()
    assert sink.messages() == before
    assert not list(sink.data.glob("*.new"))
    send(sink, make_mail("after"))
    assert sink.messages()[-1]["id"] == "000000000006"


def test_a_stop_waits_for_a_mail_that_is_on_its_way(sink):
    with connect(sink) as client:
        client.mail("alertmanager@example.org")
        client.rcpt("team@example.org")
        stopping = threading.Thread(target=sink.stop)
        stopping.start()
        wait_closed(sink.smtp_port)
        client.data(make_mail("last").as_bytes())
    stopping.join(20)
    sink.start()
    assert [message["subject"] for message in sink.messages()] == ["last"]


def wait_closed(port: int) -> None:
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except ConnectionRefusedError:
            return
        time.sleep(0.02)
    pytest.fail("the sink still takes connections")


@pytest.fixture
def small_sink():
    yield from closing(lambda: AlertSink(maximum_messages=5, maximum_bytes=4000, maximum_message_bytes=2000))


def test_storage_is_bounded_in_number_and_bytes(small_sink):
    for number in range(8):
        call(f"{small_sink.url}/webhook/chat", {"number": number})
    assert [message["json"]["number"] for message in small_sink.messages()] == [3, 4, 5, 6, 7]
    for number in range(8, 11):
        call(f"{small_sink.url}/webhook/chat", {"number": number, "text": "x" * 1500})
    kept = small_sink.messages()
    assert kept[-1]["json"]["number"] == 10 and len(kept) == 2
    state = call(f"{small_sink.url}/healthz")
    stored = list(small_sink.data.glob("*.json"))
    assert state["messages"] == len(stored) == 2 and state["dropped"] == 9
    assert state["bytes"] == sum(path.stat().st_size for path in stored) <= 4000


def test_messages_are_bounded(small_sink):
    with connect(small_sink) as client:
        assert client.esmtp_features["size"] == "2000"
        with pytest.raises(smtplib.SMTPException, match="552"):
            client.send_message(make_mail(text="x" * 3000))
    big = requests.post(f"{small_sink.url}/webhook/chat", data="x" * 3000, timeout=10)
    assert big.status_code == 413
    with connect(small_sink) as client:
        refused = client.sendmail("a@example.org", [f"{number}@example.org" for number in range(60)], "Subject: x\n\n")
    assert len(refused) == 10
    assert [message["kind"] for message in small_sink.messages()] == ["mail"]
    assert len(small_sink.messages()[0]["recipients"]) == 50


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/webhook/chat", 404),
        ("POST", "/messages", 404),
        ("POST", "/webhook/", 404),
        ("POST", "/webhook/../messages", 404),
        ("POST", "/webhook/a%2fb", 404),
        ("POST", "/webhook/UPPER", 404),
        ("POST", "/webhook/" + "a" * 64, 404),
        ("DELETE", "/messages", 501),
    ],
)
def test_other_requests_are_refused(sink, method, path, status):
    request = requests.Request(method, sink.url, data="{}").prepare()
    request.url = sink.url + path
    assert requests.Session().send(request, timeout=10).status_code == status
    assert sink.messages() == []


def test_a_webhook_without_json_is_kept_as_text(sink):
    requests.post(f"{sink.url}/webhook/chat", data=b"no \xff JSON", timeout=10)
    requests.post(f"{sink.url}/webhook/chat", data=b"[" * 100_000, timeout=10)
    first, second = sink.messages()
    assert first["body"] == "no \ufffd JSON" and "json" not in first
    assert second["body"] == "[" * 100_000


def test_a_request_without_length_is_refused(sink):
    with socket.create_connection(("127.0.0.1", sink.http_port), 10) as client:
        client.sendall(b"POST /webhook/chat HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
        assert b" 411 " in client.recv(1000)


@pytest.mark.parametrize(
    ("raw", "subject", "body"),
    [
        (b"Subject: =?utf-8?q?k=C3=A4se?=\r\n\r\ntext", "käse", "text"),
        (b"\r\nno header at all", "", "no header at all"),
        (b'Content-Type: text/plain; charset="nobody-knows"\r\n\r\nt\xe4xt', "", "t\ufffdxt"),
        (b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x--", "", ""),
        (b"Content-Type: text/html\r\n\r\n<b>bold</b>", "", "<b>bold</b>"),
    ],
)
def test_mails_of_all_kinds(sink, raw, subject, body):
    with connect(sink) as client:
        client.sendmail("a@example.org", ["b@example.org"], raw)
    (mail,) = sink.messages()
    assert mail["subject"] == subject and mail["body"].strip() == body


def test_text_is_preferred_to_html(sink):
    send(sink, make_mail(text="plain", html="<b>bold</b>"))
    assert sink.messages()[0]["body"].strip() == "plain"


def test_connections_are_bounded(sink):
    idle = [socket.create_connection(("127.0.0.1", sink.smtp_port), 10) for _number in range(32)]
    assert all(connection.recv(100).startswith(b"220 ") for connection in idle)
    with socket.create_connection(("127.0.0.1", sink.smtp_port), 10) as excess:
        data = b"".join(iter(lambda: excess.recv(100), b""))
    assert b"250" not in data
    for connection in idle:
        connection.close()
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            send(sink)
            break
        except (smtplib.SMTPException, OSError):
            time.sleep(0.1)
    assert len(sink.messages()) == 1
    hanging = [socket.create_connection(("127.0.0.1", sink.http_port), 10) for _number in range(32)]
    time.sleep(0.3)
    assert not answers(f"{sink.url}/healthz")
    for connection in hanging:
        connection.close()


def test_a_full_disk_is_told_to_the_sender():
    made = AlertSink()
    try:
        made.stop()
        options = f"size=64k,uid={USER},gid={USER}"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(made.data)], check=True)
        made.start()
        content = json.dumps({"text": "x" * 20_000})
        codes = [
            requests.post(f"{made.url}/webhook/chat", data=content, timeout=10).status_code for _number in range(5)
        ]
        assert codes[0] == 200 and codes[-1] == 507
        with connect(made) as client, pytest.raises(smtplib.SMTPDataError) as refused:
            client.send_message(make_mail(text="x" * 20_000))
        assert refused.value.smtp_code == 452
        assert len(made.messages()) == codes.count(200)
        assert '"event": "mail refused"' in made.log()
    finally:
        made.stop()
        subprocess.run(["umount", str(made.data)], check=True)
        made.close()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"key": None}, "belong together"),
        ({"certificate": None, "key": None}, "must not cross the network in clear"),
        ({"certificate": "/nonexistent"}, "No such file"),
        ({"password_file": "/dev/null"}, "password file is empty"),
    ],
)
def test_options_that_are_wrong_end_it(sink, change, message):
    sink.stop()
    sink.options = change
    done = subprocess.run(sink.command(), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0 and message in done.stderr


def test_nothing_secret_is_logged(sink):
    send(sink, make_mail(subject="canary-subject", text="canary-body"))
    call(f"{sink.url}/webhook/chat", {"text": "canary-json"})
    assert sink.stop() == 0
    log = sink.log()
    for line in log.splitlines():
        json.loads(line)
    assert "mail stored" in log and "canary" not in log
