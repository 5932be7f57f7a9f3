# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module probe_alert: options, ways to the services, and what they may answer."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from ansible_collections.onprem.platform.plugins.modules import probe_alert
from ansible_collections.onprem.platform.tests.unit.fakes.certificates import Authority
from ansible_collections.onprem.platform.tests.unit.fakes.kubernetes_api import FakeKubernetes

LABELS = {"alertname": "SmsGatewayDown", "severity": "critical"}
ACTIVE_AT = "2026-01-31T12:00:30.123456789Z"


class Services:
    """Answers all paths of the three services from a mapping; an answer is JSON, or bytes as they are."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers
        self.queries: list[tuple[str, dict[str, list[str]]]] = []
        services = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_arguments: Any) -> None:
                """Keep quiet."""

            def do_GET(self) -> None:
                address = urlsplit(self.path)
                services.queries.append((address.path, parse_qs(address.query)))
                answer = services.answers.get(address.path)
                data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(404 if answer is None else 200)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def services() -> Iterator[Services]:
    mail = {"id": "1", "received_at": "2026-01-31T12:00:40.000Z", "kind": "mail", "recipients": ["team@example.org"]}
    rule = {"name": "SmsGatewayDown", "query": "up == 0", "duration": 0, "health": "ok"}
    alert = {"labels": LABELS, "state": "firing", "activeAt": ACTIVE_AT, "value": "1e+00"}
    known = {"startsAt": ACTIVE_AT, "receivers": [{"name": "team"}], "status": {"state": "active"}}
    fake = Services(
        {
            "/api/v1/rules": {"data": {"groups": [{"rules": [rule]}]}},
            "/api/v1/alerts": {"data": {"alerts": [alert]}},
            "/api/v1/query": {"data": {"result": []}},
            "/api/v1/alertmanagers": {"data": {"activeAlertmanagers": []}},
            "/api/v2/status": {},
            "/api/v2/alerts": [known],
            "/messages": [{**mail, "subject": "[FIRING:1] SmsGatewayDown", "body": ""}],
        }
    )
    yield fake
    fake.close()


def options(port: int, **changes: Any) -> dict[str, Any]:
    endpoint = {"url": f"http://127.0.0.1:{port}"}
    return {
        "alert": "SmsGatewayDown",
        "labels": {"severity": "critical"},
        "phase": "fired",
        "started_after": "2026-01-31T12:00:00Z",
        "prometheus": endpoint,
        "alertmanager": endpoint,
        "sink": endpoint,
        "mail_recipients": ["team@example.org"],
        "wait_timeout": 5,
        "poll_interval": 0.05,
        **changes,
    }


@pytest.mark.parametrize("check", [False, True])
def test_follows_an_alert(run_module, services, check):
    result = run_module(probe_alert.main, options(services.port), check=check)
    assert not result.get("failed"), result
    assert not result["changed"] and result["missing"] == []
    assert [step["step"] for step in result["steps"]] == ["pending", "firing", "alertmanager", "mail"]
    assert result["steps"][0]["at"] == "2026-01-31T12:00:30.123Z"
    filters = next(query["filter"] for path, query in services.queries if path == "/api/v2/alerts")
    assert filters == ['severity="critical"', 'alertname="SmsGatewayDown"']
    assert ("/messages", {"since": ["2026-01-31T12:00:00.000Z"]}) in services.queries


def test_says_what_did_not_come(run_module, services):
    services.answers["/messages"] = []
    result = run_module(probe_alert.main, options(services.port, wait_timeout=1))
    assert result["failed"] and "mail to team@example.org" in result["msg"]
    assert result["missing"] == ["mail to team@example.org"]
    assert result["failure"]["reason"] == "AlertProbe"
    assert result["state"]["alertmanager"] == "active, for team"


def test_reaches_pods_by_the_api_server(run_module, services, tmp_path):
    cluster = FakeKubernetes()
    cluster.pods.update({"platform-0": ("127.0.0.1", services.port), "platform-1": ("127.0.0.1", services.port)})
    cluster.ready.add("platform-1")
    forward = {"namespace": "observability", "selector": "app=x"}
    endpoint = {"url": "http://prometheus:9090", "kubernetes_port_forward": forward}
    named = {"url": "http://sink", "kubernetes_port_forward": {"namespace": "a", "pod": "platform-0", "port": 8080}}
    changes = {"prometheus": endpoint, "alertmanager": endpoint, "sink": named}
    result = run_module(probe_alert.main, options(services.port, kubeconfig=cluster.kubeconfig(tmp_path), **changes))
    cluster.pods.clear()
    gone = run_module(probe_alert.main, options(services.port, kubeconfig=cluster.kubeconfig(tmp_path), **changes))
    cluster.close()
    assert not result.get("failed"), result
    assert ("observability", "platform-1", 9090) in cluster.forwards and ("a", "platform-0", 8080) in cluster.forwards
    assert gone["failed"] and "No running pod in observability has the labels app=x" in gone["msg"]


def test_verifies_certificates(run_module, services, tmp_path):
    import ssl

    authority = Authority(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("prometheus", "127.0.0.1"))
    services.server.socket = context.wrap_socket(services.server.socket, server_side=True)
    url = f"https://127.0.0.1:{services.port}"
    trusted, unknown = {"url": url, "ca_cert": str(authority.path)}, {"url": url}
    good = {"prometheus": trusted, "alertmanager": trusted, "sink": trusted}
    assert not run_module(probe_alert.main, options(0, **good)).get("failed")
    assert (
        "CERTIFICATE_VERIFY_FAILED"
        in run_module(probe_alert.main, options(0, **{**good, "prometheus": unknown}))["msg"]
    )
    off = {"url": url, "validate_certs": False}
    assert not run_module(probe_alert.main, options(0, **{**good, "prometheus": off})).get("failed")
    missing = {"url": url, "ca_cert": "/nonexistent"}
    assert "cannot be read" in run_module(probe_alert.main, options(0, **{**good, "prometheus": missing}))["msg"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"alert": None}, "missing required arguments: alert"),
        ({"phase": "later"}, "value of phase must be one of"),
        ({"started_after": "yesterday"}, "no RFC 3339 time"),
        ({"mail_subject_fired": "("}, "no regular expression"),
        ({"poll_interval": 0}, "poll_interval"),
        ({"prometheus": {"url": "ftp://x"}}, "no address of a service"),
        ({"prometheus": {"url": "http://user:geheim@x"}}, "no address of a service"),
        ({"prometheus": {"url": "http://x", "kubernetes_port_forward": {"namespace": "a"}}}, "one of the following"),
    ],
)
def test_options_that_are_wrong(run_module, services, changes, message):
    params = {name: value for name, value in options(services.port, **changes).items() if value is not None}
    result = run_module(probe_alert.main, params)
    assert result["failed"] and message in result["msg"]
    assert "geheim" not in result["msg"]


@pytest.mark.parametrize(
    ("answer", "message"),
    [(None, "answers 404 to /api/v1/rules"), (b"<html>", "answers 200 to /api/v1/rules: <html>")],
)
def test_answers_that_make_no_sense(run_module, services, answer, message):
    services.answers["/api/v1/rules"] = answer
    assert message in run_module(probe_alert.main, options(services.port))["msg"]


def test_a_sink_that_is_none(run_module, services):
    services.answers["/messages"] = {"no": "list"}
    assert "is no alert sink" in run_module(probe_alert.main, options(services.port, wait_timeout=1))["msg"]


def test_nobody_listens(run_module, services):
    result = run_module(probe_alert.main, options(services.port, prometheus={"url": "http://127.0.0.1:1"}))
    assert result["failed"] and "prometheus (http://127.0.0.1:1) does not answer" in result["msg"]
