# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The probe of alerts against services that take their time, lie or fail."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from ansible_collections.onprem.platform.plugins.module_utils._alert_probe import (
    AlertProbe,
    AlertProbeError,
    Expectation,
    masked,
)
from ansible_collections.onprem.platform.plugins.module_utils._http_endpoint import EndpointError
from ansible_collections.onprem.platform.plugins.module_utils._monitoring import (
    format_time,
    includes,
    parse_time,
)

START = datetime(2026, 1, 31, 12, tzinfo=timezone.utc)
LABELS = {"alertname": "SmsGatewayDown", "severity": "critical", "namespace": "shop"}


class World:
    """Prometheus, Alertmanager and sink in one, on a clock of their own. The alert takes its course by default.

    Times are seconds since START; None means never. ``rule`` is False for a rule that does not exist.
    """

    def __init__(self, **changes: Any) -> None:
        self.seconds = 0.0
        self.pending_at: float | None = 10
        self.firing_at: float | None = 130
        self.active_at: float | None = 131
        self.mail_at: float | None = 135
        self.webhook_at: float | None = 136
        self.resolved_at: float | None = None
        self.rule: dict[str, Any] | bool = {"query": "up == 0", "duration": 120, "health": "ok"}
        self.status: dict[str, Any] = {"state": "active", "silencedBy": [], "inhibitedBy": []}
        self.silence_until = 3600.0
        self.errors: dict[float, str] = {}  # from when on which answer fails
        self.counters = True
        self.failures: float | None = None
        self.extra_messages: list[dict[str, Any]] = []
        for name, value in changes.items():
            assert hasattr(self, name), name
            setattr(self, name, value)

    def now(self) -> float:
        return START.timestamp() + self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds

    def _time(self, seconds: float) -> str:
        return format_time(START + timedelta(seconds=seconds))

    def _passed(self, moment: float | None) -> bool:
        return moment is not None and self.seconds >= moment

    def _fail(self, what: str) -> None:
        for since, failing in self.errors.items():
            if failing == what and since <= self.seconds < since + 5:
                raise EndpointError(f"{what} does not answer")

    # Prometheus
    def rules(self, name: str) -> list[Any]:
        return [self.rule] if self.rule else []

    def _alerts(self, labels: dict[str, str]) -> list[dict[str, Any]]:
        if not self._passed(self.pending_at) or self._passed(self.resolved_at) or not includes(LABELS, labels):
            return []
        assert self.pending_at is not None
        state = "firing" if self._passed(self.firing_at) else "pending"
        return [{"labels": LABELS, "state": state, "activeAt": self._time(self.pending_at), "value": "0e+00"}]

    def alertmanagers(self) -> list[str]:
        return ["http://alertmanager:9093/api/v2/alerts"]

    def query(self, expression: str, at: datetime | None = None) -> list[tuple[dict[str, str], float]]:
        if not self.counters:
            return []
        moment = (at - START).total_seconds() if at else self.seconds
        if expression.startswith("sum by (integration) (alertmanager_notification_requests_failed"):
            failed = self.failures is not None and moment >= self.failures
            return [({"integration": "email"}, 3.0 if failed else 0.0)]
        counts = {"email": self.mail_at, "webhook": self.webhook_at}
        return [
            ({"integration": name}, 7.0 + (since is not None and moment >= since)) for name, since in counts.items()
        ]

    # Alertmanager
    def get(self, path: str) -> dict[str, Any]:
        self._fail("alertmanager")
        return {}

    def silence(self, identifier: str) -> dict[str, Any]:
        return {
            "id": identifier,
            "createdBy": "maria",
            "comment": "maintenance",
            "endsAt": self._time(self.silence_until),
        }

    # sink
    def messages(self, since: datetime) -> list[dict[str, Any]]:
        self._fail("sink")
        found = list(self.extra_messages)
        status = "resolved" if self.resolved_at is not None else "firing"
        if self._passed(self.mail_at):
            assert self.mail_at is not None
            found.append(
                {
                    "id": "1",
                    "received_at": self._time(self.mail_at),
                    "kind": "mail",
                    "recipients": ["team@example.org"],
                    "subject": f"[{status.upper()}:1] SmsGatewayDown",
                    "body": "see https://admin:hunter2@chat.example.org/?token=abc",
                }
            )
        if self._passed(self.webhook_at):
            assert self.webhook_at is not None
            alert = {"status": status, "labels": LABELS}
            found.append(
                {
                    "id": "2",
                    "received_at": self._time(self.webhook_at),
                    "kind": "webhook",
                    "name": "chat",
                    "json": {"status": status, "alerts": [alert]},
                }
            )
        return [message for message in found if parse_time(message["received_at"]) >= since]


class AsPrometheus:
    """The world as Prometheus shows it."""

    def __init__(self, world: World) -> None:
        self.rules, self.query, self.alertmanagers = world.rules, world.query, world.alertmanagers
        self._world = world

    def alerts(self, labels: dict[str, str]) -> list[dict[str, Any]]:
        self._world._fail("prometheus")
        return self._world._alerts(labels)


class AsAlertmanager:
    """The world as Alertmanager shows it."""

    def __init__(self, world: World) -> None:
        self.get, self.silence = world.get, world.silence
        self._world = world

    def alerts(self, labels: dict[str, str]) -> list[dict[str, Any]]:
        world = self._world
        if not world._passed(world.active_at) or not world._alerts(labels):
            return []
        assert world.firing_at is not None
        return [{"startsAt": world._time(world.firing_at), "receivers": [{"name": "team"}], "status": world.status}]


Follow = Callable[..., dict[str, Any]]


def follow(
    world: World,
    phase: str = "fired",
    *,
    sink: bool = True,
    started_after: float = 0,
    timeout: float = 300,
    labels: dict[str, str] | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """Run the probe in a world and return its report."""
    expectation = Expectation(
        "SmsGatewayDown",
        labels or {"namespace": "shop"},
        changes.get("mail", ("team@example.org",)),
        changes.get("webhooks", ("chat",)),
        START + timedelta(seconds=started_after),
        re.compile(r"(?i)\bfiring\b"),
        re.compile(r"(?i)\bresolved\b"),
    )
    world.seconds = max(world.seconds, started_after)
    probe = AlertProbe(
        AsPrometheus(world),  # type: ignore[arg-type]
        AsAlertmanager(world),  # type: ignore[arg-type]
        world if sink else None,  # type: ignore[arg-type]
        expectation,
        phase,
        world.now,
        world.sleep,
    )
    return probe.wait(timeout, 1)


def failure(world: World, *arguments: Any, **options: Any) -> AlertProbeError:
    """Run the probe where it must fail."""
    with pytest.raises(AlertProbeError) as caught:
        follow(world, *arguments, **options)
    return caught.value


def test_an_alert_that_takes_its_course():
    report = follow(World())
    assert [(step["step"], step["receiver"], step["proof"], step["seconds"]) for step in report["steps"]] == [
        ("pending", "", "prometheus", 10),
        ("firing", "", "prometheus", 130),
        ("alertmanager", "", "alertmanager", 131),
        ("mail", "team@example.org", "sink", 135),
        ("webhook", "chat", "sink", 136),
    ]
    assert report["steps"][0]["at"] == "2026-01-31T12:00:10.000Z"
    assert report["missing"] == []
    assert report["state"]["receivers"] == ["team"]
    mail, webhook = report["messages"]
    assert mail["subject"] == "[FIRING:1] SmsGatewayDown" and webhook["receiver"] == "chat"
    assert "hunter2" not in mail["content"] and "token=***" in mail["content"]


def test_an_alert_that_ends():
    world = World(resolved_at=200, mail_at=505, webhook_at=506)
    report = follow(world, "resolved", started_after=150, timeout=600)
    assert [(step["step"], step["seconds"]) for step in report["steps"]] == [
        ("inactive", 50),
        ("alertmanager", 50),
        ("mail", 355),
        ("webhook", 356),
    ]


def test_a_rule_that_does_not_exist_is_no_reason_to_wait():
    world = World(rule=False)
    assert "no alerting rule" in failure(world).message
    assert world.seconds == 0


def test_an_alert_that_never_fires():
    error = failure(World(pending_at=None))
    assert "did not come within 300 s: pending, firing, alertmanager, mail to team@example.org" in error.message
    assert "Rule: up == 0, for 120 s. Prometheus: inactive" in error.message
    assert error.report["missing"][0] == "pending" and error.report["steps"][0]["at"] == ""


def test_a_rule_that_fails():
    rule = {"query": "up == 0", "duration": 0, "health": "err", "lastError": "many-to-many matching"}
    assert "Rule: fails: many-to-many matching" in failure(World(pending_at=None, rule=rule)).message


def test_an_alert_that_stays_pending():
    error = failure(World(firing_at=None))
    assert "pending since 2026-01-31T12:00:10.000Z" in error.message
    assert error.report["missing"][0] == "firing"


def test_an_alert_that_was_there_before():
    world = World(pending_at=10)
    error = failure(world, started_after=20)
    assert "active before the probe started, since 2026-01-31T12:00:10.000Z" in error.message
    assert world.seconds == 20


def test_labels_tell_alerts_apart():
    assert "inactive" in failure(World(), labels={"namespace": "other"}).message


def test_alertmanager_that_does_not_hear_of_it():
    error = failure(World(active_at=None))
    assert "not known there; Prometheus sends to http://alertmanager:9093" in error.message


def test_a_silence_that_outlasts_the_probe_ends_it():
    world = World(status={"state": "suppressed", "silencedBy": ["a1"], "inhibitedBy": []})
    error = failure(world)
    assert "silenced until 2026-01-31T13:00:00.000Z by maria (a1: maintenance)" in error.message
    assert world.seconds < 140


def test_a_silence_that_ends_in_time_is_waited_for():
    world = World(
        status={"state": "suppressed", "silencedBy": ["a1"], "inhibitedBy": []},
        silence_until=150,
        mail_at=None,
        webhook_at=None,
    )
    error = failure(world)
    assert error.report["missing"] == ["alertmanager", "mail to team@example.org", "webhook to chat"]
    assert world.seconds == 300


def test_an_inhibited_alert():
    world = World(
        status={"state": "suppressed", "silencedBy": [], "inhibitedBy": ["f00"]}, mail_at=None, webhook_at=None
    )
    assert "inhibited by the alerts f00" in failure(world).message


def test_a_muted_alert():
    world = World(status={"state": "active", "silencedBy": [], "inhibitedBy": [], "mutedBy": ["night"]}, mail_at=None)
    assert "muted by the time intervals night" in failure(world).message


def test_a_mail_that_cannot_be_sent():
    error = failure(World(mail_at=None, failures=140))
    assert "mail to team@example.org" in error.message and "webhook" not in error.report["missing"]
    assert "failed requests: email 3" in error.message


@pytest.mark.parametrize(
    "change",
    [
        {"received_at": "2026-01-31T11:59:59.999Z"},
        {"recipients": ["someone@example.org"]},
        {"subject": "[RESOLVED] SmsGatewayDown"},
        {"subject": "[FIRING:1] Other", "body": "another alert"},
        {"kind": "webhook", "name": "chat", "json": {"alerts": [{"status": "firing", "labels": {}}]}},
        {"kind": "webhook", "name": "chat", "json": ["no", "alerts"]},
        {"kind": "webhook", "name": "chat", "body": "no JSON"},
        {"kind": "webhook", "name": "pager", "json": {"alerts": [{"status": "firing", "labels": LABELS}]}},
        {"kind": "webhook", "name": "chat", "json": {"alerts": [{"status": "resolved", "labels": LABELS}]}},
    ],
)
def test_messages_that_do_not_count(change):
    message = {
        "id": "9",
        "received_at": "2026-01-31T12:01:00.000Z",
        "kind": "mail",
        "recipients": ["team@example.org"],
        "subject": "[FIRING:1] SmsGatewayDown",
        "body": "",
        **change,
    }
    error = failure(World(mail_at=None, webhook_at=None, extra_messages=[message]))
    assert error.report["missing"] == ["mail to team@example.org", "webhook to chat"]
    assert error.report["messages"] == []


def test_services_that_are_away_for_a_while():
    world = World(errors={20.0: "prometheus", 131.0: "sink"})
    report = follow(world)
    assert report["missing"] == [] and report["state"]["unreachable"] == ""


def test_a_sink_that_stays_away():
    error = failure(World(errors={float(second): "sink" for second in range(0, 300, 5)} | {300.0: "sink"}))
    assert "last error: sink does not answer" in error.message


def test_a_service_that_is_away_at_the_beginning():
    with pytest.raises(EndpointError, match="alertmanager does not answer"):
        follow(World(errors={0.0: "alertmanager"}))


def test_counters_prove_sending_where_there_is_no_sink():
    report = follow(World(), sink=False)
    assert [(step["step"], step["receiver"], step["proof"], step["seconds"]) for step in report["steps"][3:]] == [
        ("mail", "", "counters", 135),
        ("webhook", "", "counters", 136),
    ]


def test_counters_that_do_not_grow():
    error = failure(World(mail_at=None), sink=False)
    assert error.report["missing"] == ["mail"]


def test_counters_that_began_after_the_start_prove_nothing_yet():
    world = World(counters=False)
    assert failure(world, sink=False).report["missing"] == ["mail", "webhook"]


def test_a_phase_without_receivers():
    report = follow(World(), mail=(), webhooks=())
    assert [step["step"] for step in report["steps"]] == ["pending", "firing", "alertmanager"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00.000Z"),
        ("2026-01-31T13:00:00.123456789+01:00", "2026-01-31T12:00:00.123Z"),
        ("2026-01-31T12:00:00.5Z", "2026-01-31T12:00:00.500Z"),
    ],
)
def test_times(text, expected):
    assert format_time(parse_time(text)) == expected


@pytest.mark.parametrize("text", ["", "yesterday", "2026-01-31T12:00:00", "2026-01-31"])
def test_times_that_are_none(text):
    with pytest.raises(ValueError):
        parse_time(text)


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("https://user:geheim@host/x", "geheim"),
        ('{"api_key": "geheim"}', "geheim"),
        ("password=geheim&x=1", "geheim"),
        ("Authorization: Bearer geheim", "geheim"),
    ],
)
def test_masks(text, secret):
    assert secret not in masked(text) and "***" in masked(text)


def test_long_messages_are_cut():
    assert len(masked("x" * 5000)) == 2001
