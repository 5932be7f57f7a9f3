# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing is reported of a platform that is well, what is wrong arrives, and neither needs all servers alive.

Two Prometheus and three Alertmanagers on six machines. The tests run in the order of this file: the first ones watch
the platform as ``site.yml`` left it. Logs: ``.build/faults/observability/logs``.
"""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from dashboards.live import check_live, read_allow_empty

from ansible_collections.onprem.platform.tests.faults.observability_lab import (
    NAMESPACE,
    Observability,
    eventually,
    now,
    seconds,
)

QUIET_SECONDS = 15 * 60
SETTLE_SECONDS = 60
SCRAPE_SECONDS = 30
GROUP_INTERVAL_SECONDS = 300
ESCALATION_SECONDS = 120
PROMETHEUS = ("prometheus-platform-0", "prometheus-platform-1")
ALERTMANAGERS = ("alertmanager-platform-0", "alertmanager-platform-1", "alertmanager-platform-2")


def test_fifteen_minutes_without_a_false_alarm(observability: Observability) -> None:
    """What six nodes on one machine do to each other counts in, and so does what still settles after the run.

    Only servers that have just started have a minute until they evaluate for the first time and scrape what is new.
    """
    started, since = time.time(), now()
    settled = started + SETTLE_SECONDS
    time.sleep(QUIET_SECONDS)
    ended = started + QUIET_SECONDS
    for pod in PROMETHEUS:
        firing = observability.metrics_between('ALERTS{alertstate="firing"}', started, ended, pod)
        fired = {one["metric"]["alertname"]: one["metric"] for one in firing}
        assert set(fired) == {"Watchdog"}, fired
        (watchdog,) = observability.metrics_between('ALERTS{alertname="Watchdog"}', settled, ended, pod)
        assert len(watchdog["values"]) == (QUIET_SECONDS - SETTLE_SECONDS) // 15 + 1, "Watchdog fired all the time"
        down = observability.metrics_between("up == 0", settled, ended, pod)
        assert [one["metric"] for one in down] == []
    told = observability.messages(since)
    assert {one.get("name", one["kind"]) for one in told} == {"dead-man"}, "nobody else was told anything"


def test_every_expression_of_dashboards_and_rules_finds_something(observability: Observability) -> None:
    with observability.forward(PROMETHEUS[0], 9090) as prometheus, observability.forward("loki-0", 3100) as loki:
        result = check_live(prometheus, loki, read_allow_empty())
    print(result.summary())
    assert result.checked > 200
    assert not result.failures, result.summary()


def test_drill_reaches_mail_chat_and_after_a_while_the_pager(observability: Observability) -> None:
    lab = observability.lab
    done = lab.play("alert_drill", extra={"observability_drill_webhooks": ["chat", "pager"]})
    assert done.code == 0, done.tail()
    result = json.loads((lab.state / "state" / "alert-drill.json").read_text())
    assert result["passed"] and result["restored"]
    fired, resolved = (
        {(one["step"], one["receiver"]): one["at"] for one in phase["steps"]} for phase in result["phases"]
    )
    assert all(fired.values()) and all(resolved.values())
    held_back = seconds(fired["webhook", "pager"]) - seconds(fired["webhook", "chat"])
    assert held_back > ESCALATION_SECONDS / 2, "the pager is for what nobody has mended or silenced meanwhile"
    assert ("webhook", "pager") in resolved and ("mail", "operators@platform.internal") in resolved


def test_metrics_go_on_while_a_prometheus_is_killed(observability: Observability) -> None:
    lab = observability.lab
    killed, since = time.time(), now()
    lab.kubectl("delete", "pod", PROMETHEUS[0], "-n", NAMESPACE, "--force", "--grace-period=0", "--wait=false")
    eventually(lambda: observability.pods("prometheus") == list(PROMETHEUS), "both are ready again", 300)

    def scraped() -> bool:
        found = observability.metrics('timestamp(up{job="etcd"})')
        return len(found) == 3 and all(float(one["value"][1]) > killed + 3 * SCRAPE_SECONDS for one in found)

    eventually(scraped, "the killed one scrapes as before", 180)
    window = int(time.time() - killed) + 4 * SCRAPE_SECONDS
    samples: dict[str, list[float]] = {}
    for pod in PROMETHEUS:
        for series in observability.metrics(f'up{{job=~"etcd|kubelet|node-exporter"}}[{window}s]', pod):
            key = json.dumps(series["metric"], sort_keys=True)
            samples.setdefault(key, []).extend(float(moment) for moment, _value in series["values"])
    assert len(samples) > 15
    gaps = {
        key: max(b - a for a, b in zip(sorted(times), sorted(times)[1:], strict=False))
        for key, times in samples.items()
    }
    assert max(gaps.values()) <= 2 * SCRAPE_SECONDS, gaps
    assert all(min(times) < killed < max(times) for times in samples.values())
    # The other one watched and told all the while, and what the killed one had stored is still there.
    beats = [seconds(one["received_at"]) for one in observability.messages(since) if one.get("name") == "dead-man"]
    assert beats and max(b - a for a, b in zip([killed, *beats], beats, strict=False)) < 300
    before = observability.metrics(f'count_over_time(up{{job="prometheus"}}[{window}s] offset {window}s)')
    assert before, "its own past was lost"


@pytest.fixture
def broken_gateway(observability: Observability) -> Any:
    """The demonstration's gateway is well again afterwards, whatever happened."""
    balance = observability.gateway()["balance_eur"]
    yield observability.gateway
    observability.gateway("--up", f"--balance={balance}")


def test_no_alert_is_lost_or_told_twice_when_alertmanagers_are_killed(
    observability: Observability, broken_gateway: Any
) -> None:
    """All three are killed one after the other, while one alert fires and another one begins to."""
    lab, since = observability.lab, now()
    first, second = "SmsGatewayDown", "SmsBalanceLow"
    balance = broken_gateway("--down")["balance_eur"]
    eventually(lambda: observability.mails(since, first, "FIRING"), "the mail about the first alert", 600)
    broken_gateway("--balance=1")
    for pod in ALERTMANAGERS:
        lab.kubectl("delete", "pod", pod, "-n", NAMESPACE, "--force", "--grace-period=0", "--wait=false")
        eventually(lambda: observability.pods("alertmanager") == list(ALERTMANAGERS), f"{pod} is back", 300)
    eventually(lambda: observability.mails(since, second, "FIRING"), "the mail about the second alert", 900)
    eventually(lambda: observability.webhooks(since, "pager", first, "firing"), "the pager's message", 600)
    # Long enough for whoever has forgotten what it sent to send it again.
    time.sleep(GROUP_INTERVAL_SECONDS + 60)
    assert len(observability.mails(since, first, "FIRING")) == 1
    assert len(observability.mails(since, second, "FIRING")) == 1
    assert len(observability.webhooks(since, "pager", first, "firing")) == 1
    broken_gateway("--up", f"--balance={balance}")
    eventually(lambda: observability.mails(since, first, "RESOLVED"), "the first alert is called off", 900)
    eventually(lambda: observability.mails(since, second, "RESOLVED"), "the second alert is called off", 900)
    time.sleep(SCRAPE_SECONDS)
    assert len(observability.mails(since, first, "RESOLVED")) == 1
    assert len(observability.mails(since, second, "RESOLVED")) == 1
