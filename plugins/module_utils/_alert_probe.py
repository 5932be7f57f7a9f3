# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Follow one alert from Prometheus through Alertmanager to its receivers, and back (private)."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from ._http_endpoint import EndpointError
from ._kube_errors import KubeError
from ._monitoring import Alertmanager, Labels, Prometheus, Sink, format_time, includes, parse_time

# Requests, not notifications: Alertmanager counts a notification when it begins to try, its failure when it gives up.
_FAILED = "sum by (integration) (alertmanager_notification_requests_failed_total)"
_SENT = f"sum by (integration) (alertmanager_notification_requests_total) - {_FAILED}"
_INTEGRATION = {"mail": "email", "webhook": "webhook"}
_SECRETS = (
    (re.compile(r"(://)[^/\s@\"]+@"), r"\1***@"),
    (re.compile(r"(?i)\b(\w*(?:token|password|secret|api_?key)\w*\"?\s*[=:]\s*\"?)[^\s\"&,;]+"), r"\1***"),
    (re.compile(r"(?i)\b((?:bearer|basic)\s+)\S+"), r"\1***"),
)
_EXCERPT = 2000


class AlertProbeError(KubeError):
    """The alert did not take a step, or cannot take it. ``report`` is what was seen until then."""

    def __init__(self, message: str, report: dict[str, Any], hint: str = "") -> None:
        super().__init__(message, hint)
        self.report = report


@dataclass(frozen=True)
class Expectation:
    """Which alert is followed, and who is to hear of it.

    labels: of the alert, its name apart. mail: addresses. webhooks: names at the sink.
    started_after: nothing counts that is older. fired, resolved: what a mail's subject has then.
    """

    alert: str
    labels: Labels
    mail: tuple[str, ...]
    webhooks: tuple[str, ...]
    started_after: datetime
    fired: re.Pattern[str]
    resolved: re.Pattern[str]

    @property
    def all_labels(self) -> Labels:
        """The labels with the alert's name."""
        return {**self.labels, "alertname": self.alert}


@dataclass
class Step:
    """Something that has to happen. ``at`` is None until it has; ``proof`` says who knows."""

    name: str
    proof: str
    receiver: str = ""
    at: datetime | None = None

    @property
    def title(self) -> str:
        """The name, with the receiver where there is one."""
        return f"{self.name} to {self.receiver}" if self.receiver else self.name

    def happened(self, at: datetime) -> None:
        """Note the earliest time that is known."""
        self.at = min(at, self.at) if self.at else at

    def as_dict(self, start: datetime) -> dict[str, Any]:
        """Return the step for a module's result; seconds count from the start."""
        return {
            "step": self.name,
            "receiver": self.receiver,
            "proof": self.proof,
            "at": format_time(self.at) if self.at else "",
            "seconds": round((self.at - start).total_seconds(), 3) if self.at else None,
        }


@dataclass
class State:
    """The last that was seen, for the result and for error messages."""

    rule: str = "unknown"
    prometheus: str = "inactive"
    alertmanager: str = "not known there"
    receivers: list[str] = field(default_factory=list)
    request_errors: list[str] = field(default_factory=list)
    unreachable: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the state for a module's result."""
        return dict(vars(self))

    def sentence(self) -> str:
        """Return the state as text."""
        parts = [f"Rule: {self.rule}", f"Prometheus: {self.prometheus}", f"Alertmanager: {self.alertmanager}"]
        if self.request_errors:
            parts.append(f"failed requests: {', '.join(self.request_errors)}")
        if self.unreachable:
            parts.append(f"last error: {self.unreachable}")
        return ". ".join(parts)


def masked(text: str) -> str:
    """Return the beginning of a text without what looks like credentials."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text if len(text) <= _EXCERPT else f"{text[:_EXCERPT]}…"


class AlertProbe:
    """Watches one alert through one phase, ``fired`` or ``resolved``."""

    def __init__(
        self,
        prometheus: Prometheus,
        alertmanager: Alertmanager,
        sink: Sink | None,
        expectation: Expectation,
        phase: str,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.prometheus = prometheus
        self.alertmanager = alertmanager
        self.sink = sink
        self.expectation = expectation
        self.phase = phase
        self.state = State()
        self.messages: dict[str, dict[str, Any]] = {}
        self._now = now
        self._sleep = sleep
        self._sent_before: dict[str, float] | None = None
        self._failed_before: dict[str, float] | None = None
        names = ("pending", "firing", "alertmanager") if phase == "fired" else ("inactive", "alertmanager")
        self.steps = [Step(name, "alertmanager" if name == "alertmanager" else "prometheus") for name in names]
        self._by_name = {step.name: step for step in self.steps}
        for kind, receivers in (("mail", expectation.mail), ("webhook", expectation.webhooks)):
            if sink:
                self.steps += [Step(kind, "sink", receiver) for receiver in receivers]
            elif receivers:
                self.steps.append(Step(kind, "counters"))

    def _clock(self) -> datetime:
        return datetime.fromtimestamp(self._now(), timezone.utc)

    def report(self) -> dict[str, Any]:
        """Return what was seen, for a module's result."""
        start = self.expectation.started_after
        return {
            "alert": {"name": self.expectation.alert, "labels": self.expectation.labels},
            "phase": self.phase,
            "started_after": format_time(start),
            "steps": [step.as_dict(start) for step in self.steps],
            "missing": [step.title for step in self.steps if step.at is None],
            "state": self.state.as_dict(),
            "messages": list(self.messages.values()),
        }

    def _error(self, message: str, hint: str = "") -> AlertProbeError:
        return AlertProbeError(f"Alert {self.expectation.alert}: {message.rstrip('.')}", self.report(), hint)

    def wait(self, timeout: float, interval: float) -> dict[str, Any]:
        """Poll until every step was taken and return the report.

        timeout, interval: seconds. Raises AlertProbeError when a step did not come in time or cannot come any more,
        EndpointError when a service does not answer at the beginning.
        """
        deadline = self._now() + timeout
        self._check_rule()
        self.alertmanager.get("/api/v2/status")
        while True:
            try:
                if self.phase == "fired":
                    self._look_for_firing(deadline)
                else:
                    self._look_for_resolution()
                self._look_for_messages()
                self.state.unreachable = ""
            except EndpointError as error:
                self.state.unreachable = error.message  # a pod that is replaced answers again
            missing = [step.title for step in self.steps if step.at is None]
            if not missing:
                return self.report()
            left = deadline - self._now()
            if left <= 0:
                raise self._error(
                    f"these steps of phase '{self.phase}' did not come within {timeout:g} s: {', '.join(missing)}. "
                    f"{self.state.sentence()}."
                )
            self._sleep(min(interval, left))

    def _check_rule(self) -> None:
        """Read the rule; raises AlertProbeError when there is none."""
        rules = self.prometheus.rules(self.expectation.alert)
        if not rules:
            raise self._error(
                "Prometheus has no alerting rule of this name.",
                "Check the PrometheusRule objects and the labels that select them.",
            )
        broken = [rule["lastError"] for rule in rules if rule.get("health") == "err"]
        self.state.rule = (
            f"fails: {broken[0]}" if broken else f"{rules[0]['query']}, for {float(rules[0].get('duration') or 0):g} s"
        )

    def _look_for_firing(self, deadline: float) -> None:
        start = self.expectation.started_after
        alerts = self.prometheus.alerts(self.expectation.all_labels)
        fresh = [alert for alert in alerts if parse_time(alert["activeAt"]) >= start]
        if alerts and not fresh:
            since = min(alert["activeAt"] for alert in alerts)
            self.state.prometheus = f"{alerts[0]['state']} since {since}"
            raise self._error(
                f"it was active before the probe started, since {since}, so nothing new will be sent.",
                "Remove its cause first, or give labels that tell the alert apart.",
            )
        if not fresh:
            self.state.prometheus = "inactive"
            self._check_rule()
            return
        first = min(fresh, key=lambda alert: str(alert["activeAt"]))
        self.state.prometheus = f"{first['state']} since {first['activeAt']}, value {first.get('value', '')}"
        self._by_name["pending"].happened(parse_time(first["activeAt"]))
        if any(alert["state"] == "firing" for alert in fresh):
            self._by_name["firing"].happened(self._clock())
            self._look_at_alertmanager(deadline)

    def _look_at_alertmanager(self, deadline: float) -> None:
        """Note that Alertmanager has the alert; raises AlertProbeError when a silence outlasts the probe."""
        alerts = [
            alert
            for alert in self.alertmanager.alerts(self.expectation.all_labels)
            if parse_time(alert["startsAt"]) >= self.expectation.started_after
        ]
        if not alerts:
            receivers = self.prometheus.alertmanagers()
            self.state.alertmanager = f"not known there; Prometheus sends to {', '.join(receivers) or 'nobody'}"
            return
        self._by_name["firing"].happened(min(parse_time(alert["startsAt"]) for alert in alerts))
        self.state.receivers = sorted({receiver["name"] for alert in alerts for receiver in alert["receivers"]})
        active = [alert for alert in alerts if alert["status"]["state"] == "active"]
        if active:
            self.state.alertmanager = f"active, for {', '.join(self.state.receivers)}"
            if muted := active[0]["status"].get("mutedBy"):
                self.state.alertmanager += f", muted by the time intervals {', '.join(muted)}"
            self._by_name["alertmanager"].happened(self._clock())
            return
        status = alerts[0]["status"]
        self.state.alertmanager = str(status["state"])
        if status.get("inhibitedBy"):
            self.state.alertmanager = f"inhibited by the alerts {', '.join(status['inhibitedBy'])}"
        elif status.get("silencedBy"):
            silences = [self.alertmanager.silence(identifier) for identifier in status["silencedBy"]]
            last = max(silences, key=lambda silence: str(silence["endsAt"]))
            self.state.alertmanager = (
                f"silenced until {last['endsAt']} by {last['createdBy']} ({last['id']}: {last['comment']})"
            )
            if parse_time(last["endsAt"]).timestamp() > deadline:
                raise self._error(
                    f"it is {self.state.alertmanager}, so nobody hears of it.", "Expire the silence, and try again."
                )

    def _look_for_resolution(self) -> None:
        alerts = self.prometheus.alerts(self.expectation.all_labels)
        if alerts:
            self.state.prometheus = f"{alerts[0]['state']} since {alerts[0]['activeAt']}"
            return
        self.state.prometheus = "inactive"
        self._by_name["inactive"].happened(self._clock())
        known = self.alertmanager.alerts(self.expectation.all_labels)
        if known:
            self.state.alertmanager = f"{known[0]['status']['state']} since {known[0]['startsAt']}"
            return
        self.state.alertmanager = "resolved"
        self._by_name["alertmanager"].happened(self._clock())

    def _look_for_messages(self) -> None:
        if self._by_name["firing" if self.phase == "fired" else "inactive"].at is None:
            return  # nothing is sent before
        outstanding = [step for step in self.steps if step.proof in ("sink", "counters") and step.at is None]
        if not outstanding:
            return
        if self.sink is None:
            grown = self._grown()
            for step in outstanding:
                if _INTEGRATION[step.name] in grown:
                    step.happened(self._clock())
            self._count_failures()
            return
        for message in self.sink.messages(self.expectation.started_after):
            for step in outstanding:
                if self._is_meant(step, message):
                    step.happened(parse_time(message["received_at"]))
                    self.messages.setdefault(message["id"], self._shown(message, step))
        if any(step.at is None for step in outstanding):
            self._count_failures()

    def _is_meant(self, step: Step, message: dict[str, Any]) -> bool:
        """Whether a message of the sink takes the step."""
        expected = self.expectation
        if message["kind"] != step.name:
            return False
        if step.name == "mail":
            subject = str(message["subject"])
            pattern = expected.fired if self.phase == "fired" else expected.resolved
            named = expected.alert in subject or expected.alert in str(message["body"])
            return step.receiver in message["recipients"] and named and bool(pattern.search(subject))
        content = message.get("json")
        if message["name"] != step.receiver or not isinstance(content, dict):
            return False
        status = "firing" if self.phase == "fired" else "resolved"
        return any(
            alert.get("status") == status and includes(alert.get("labels") or {}, expected.all_labels)
            for alert in content.get("alerts") or []
        )

    def _shown(self, message: dict[str, Any], step: Step) -> dict[str, Any]:
        """Return a message for the result."""
        text = str(message["body"]) if step.name == "mail" else json.dumps(message["json"])
        return {
            "id": message["id"],
            "kind": message["kind"],
            "receiver": step.receiver,
            "received_at": message["received_at"],
            "subject": masked(str(message.get("subject", ""))),
            "content": masked(text),
        }

    def _grown(self) -> set[str]:
        """Return the integrations that have sent something since the alert fired, or since its cause was removed.

        Prometheus adds up all replicas of Alertmanager. Where it knew no counter at that moment, the first value that
        it has is the base.
        """
        sent = self._counters(_SENT)
        if self._sent_before is None:
            moment = self._by_name["firing"].at if self.phase == "fired" else self.expectation.started_after
            self._sent_before = {**sent, **self._counters(_SENT, moment)}
        grown = {name for name, count in sent.items() if count > self._sent_before.setdefault(name, count)}
        for name, count in sent.items():
            self._sent_before[name] = min(count, self._sent_before[name])  # after a restart it counts from 0
        return grown

    def _count_failures(self) -> None:
        """Note the requests that failed since the start."""
        failed = self._counters(_FAILED)
        if self._failed_before is None:
            self._failed_before = self._counters(_FAILED, self.expectation.started_after) or failed
        new = {name: count - self._failed_before.get(name, 0) for name, count in failed.items()}
        self.state.request_errors = [f"{name} {count:g}" for name, count in sorted(new.items()) if count > 0]

    def _counters(self, expression: str, at: datetime | None = None) -> dict[str, float]:
        return {labels["integration"]: value for labels, value in self.prometheus.query(expression, at)}
