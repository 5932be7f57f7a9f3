# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""probe_alert with a real Prometheus, Alertmanager and sink: an alert that arrives and ends, and how it does not."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import requests

from ansible_collections.onprem.platform.plugins.modules import probe_alert
from ansible_collections.onprem.platform.tests.integration.alerts.services import (
    Stack,
    silence,
)
from ansible_collections.onprem.platform.tests.integration.vault.services import wait


@pytest.fixture(scope="module")
def shared() -> Iterator[Stack]:
    made = Stack()
    yield made
    made.close()


@pytest.fixture
def stack(shared: Stack) -> Iterator[Stack]:
    yield shared
    shared.calm()


def now() -> str:
    return datetime.now(timezone.utc).isoformat()


Probe = Callable[..., dict[str, Any]]


@pytest.fixture
def probe(run_module: Any) -> Probe:
    def run(stack: Stack, **options: Any) -> dict[str, Any]:
        params = {
            "alert": "Demo",
            "phase": "fired",
            "prometheus": {"url": stack.prometheus.url},
            "alertmanager": {"url": stack.alertmanager.url},
            "sink": {"url": stack.sink.url},
            "mail_recipients": ["team@example.org"],
            "webhooks": ["chat"],
            "wait_timeout": 60,
            "poll_interval": 0.2,
            **options,
        }
        return dict(run_module(probe_alert.main, {name: value for name, value in params.items() if value is not None}))

    return run


def test_an_alert_arrives_and_ends(stack, probe):
    started = now()
    stack.metrics.value = 0
    fired = probe(stack, started_after=started, labels={"severity": "critical", "job": "demo"})
    assert not fired.get("failed"), fired["msg"]
    assert not fired["changed"]
    at = {step["step"]: step["at"] for step in fired["steps"]}
    assert list(at) == ["pending", "firing", "alertmanager", "mail", "webhook"]
    assert at["pending"] < at["firing"] < at["mail"] and at["firing"] <= at["alertmanager"]
    pending = next(step["seconds"] for step in fired["steps"] if step["step"] == "pending")
    firing = next(step["seconds"] for step in fired["steps"] if step["step"] == "firing")
    assert 1.99 <= firing - pending < 4, "the rule waits for two seconds"
    assert fired["state"]["receivers"] == ["team"]
    messages = {message["kind"]: message for message in fired["messages"]}
    assert sorted(messages) == ["mail", "webhook"]
    assert messages["mail"]["subject"].startswith("[FIRING:1] Demo")

    restored = now()
    stack.metrics.value = 1
    resolved = probe(stack, started_after=restored, phase="resolved")
    assert not resolved.get("failed"), resolved["msg"]
    at = {step["step"]: step["at"] for step in resolved["steps"]}
    assert list(at) == ["inactive", "alertmanager", "mail", "webhook"] and all(at.values())
    assert any(message["subject"].startswith("[RESOLVED] Demo") for message in resolved["messages"])


def test_an_alert_without_delay(stack, probe):
    started = now()
    stack.metrics.value = 2
    assert probe(stack, started_after=started, alert="AtOnce")["missing"] == []


def test_counters_prove_sending(stack, probe):
    started = now()
    stack.metrics.value = 0
    fired = probe(stack, started_after=started, sink=None)
    assert not fired.get("failed"), fired["msg"]
    assert [(step["step"], step["proof"]) for step in fired["steps"][3:]] == [
        ("mail", "counters"),
        ("webhook", "counters"),
    ]
    restored = now()
    stack.metrics.value = 1
    resolved = probe(stack, started_after=restored, phase="resolved", sink=None)
    assert not resolved.get("failed"), resolved["msg"]


def test_an_alert_that_never_fires(stack, probe):
    result = probe(stack, started_after=now(), alert="Never", wait_timeout=3)
    assert result["failed"] and "Rule: demo > 100, for 0 s. Prometheus: inactive" in result["msg"]
    assert result["missing"][0] == "pending"


def test_a_rule_that_is_not_there(stack, probe):
    started = time.monotonic()
    assert "no alerting rule of this name" in probe(stack, started_after=now(), alert="Misspelt")["msg"]
    assert time.monotonic() - started < 5


def test_an_alert_that_was_active_before(stack, probe):
    stack.metrics.value = 0
    wait(lambda: bool(stack.prometheus.query('ALERTS{alertname="Demo",alertstate="firing"}')), "the alert fires")
    result = probe(stack, started_after=now())
    assert result["failed"] and "active before the probe started" in result["msg"]


def test_a_silenced_alert(stack, probe):
    silence(stack.alertmanager, "Demo", (datetime.now(timezone.utc) + timedelta(hours=1)).isoformat())
    started, clock = now(), time.monotonic()
    stack.metrics.value = 0
    try:
        result = probe(stack, started_after=started)
    finally:
        for known in requests.get(f"{stack.alertmanager.url}/api/v2/silences", timeout=5).json():
            requests.delete(f"{stack.alertmanager.url}/api/v2/silence/{known['id']}", timeout=5)
    assert result["failed"] and "by maria" in result["msg"] and "maintenance" in result["msg"]
    assert result["missing"][0] == "alertmanager"
    assert time.monotonic() - clock < 30


def test_an_inhibited_alert(stack, probe):
    """Another alert of the same target inhibits it."""
    alerts = [{"labels": {"alertname": "Inhibits"}}]
    requests.post(f"{stack.alertmanager.url}/api/v2/alerts", json=alerts, timeout=5)
    started = now()
    stack.metrics.value = 0
    result = probe(stack, started_after=started, wait_timeout=8)
    ended = [{**alerts[0], "endsAt": now()}]
    requests.post(f"{stack.alertmanager.url}/api/v2/alerts", json=ended, timeout=5)
    assert result["failed"] and "inhibited by the alerts" in result["msg"]


def test_old_messages_do_not_count(stack, probe):
    started = now()
    stack.metrics.value = 0
    assert probe(stack, started_after=started)["missing"] == []
    result = probe(stack, started_after=now(), phase="resolved", wait_timeout=2)
    assert result["failed"] and "Prometheus: firing since" in result["msg"]
    assert result["messages"] == []


def test_a_mail_server_that_refuses(probe):
    stack = Stack(password="wrong")
    try:
        started = now()
        stack.metrics.value = 0
        result = probe(stack, started_after=started, wait_timeout=20)
        assert result["failed"] and result["missing"] == ["mail to team@example.org"]
        assert "failed requests: email" in result["msg"]
        assert "login refused" in stack.sink.log()
        counted = probe(stack, started_after=started, sink=None, wait_timeout=3)
        assert counted["missing"] == ["mail"]
    finally:
        stack.close()


def test_a_sink_that_is_away(probe):
    stack = Stack()
    try:
        stack.sink.stop()
        started = now()
        stack.metrics.value = 0
        result = probe(stack, started_after=started, wait_timeout=12)
        assert result["failed"] and "last error: sink" in result["msg"]
        assert result["missing"] == ["mail to team@example.org", "webhook to chat"]
        stack.sink.start()
        assert probe(stack, started_after=started, wait_timeout=60)["missing"] == [], "Alertmanager tries again"
    finally:
        stack.close()
