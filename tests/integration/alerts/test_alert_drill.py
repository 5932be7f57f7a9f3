# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The alert drill with real services; only the application, which needs a cluster, is a script that sets a metric."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.onprem.platform.tests.integration.alerts.services import Stack

REPOSITORY = Path(__file__).parents[3]
GATEWAY = """
import json, sys, urllib.request
url, breaks, options = sys.argv[1], sys.argv[2] == 'broken', sys.argv[3:]
for option in options:
    if breaks and option == '--up':
        sys.exit('the pod is gone')
    value = {'--down': b'4', '--up': b'1', '--balance=1': b'5'}.get(option, b'1')
    urllib.request.urlopen(urllib.request.Request(url, value, method='PUT'))
value = float(urllib.request.urlopen(url).read().split()[1])
print(json.dumps({'up': value != 4, 'balance_eur': 1 if value == 5 else 2500}))
"""


class Drill:
    """Runs the role's tasks; ``change`` are extra variables."""

    def __init__(self, stack: Stack, directory: Path) -> None:
        self.stack = stack
        self.directory = directory
        self.result_file = directory / "alert-drill.json"

    def run(self, *arguments: str, broken: bool = False, **change: Any) -> subprocess.CompletedProcess[str]:
        script = self.directory / "gateway.py"
        script.write_text(GATEWAY)
        url = f"http://{self.stack.metrics.target}/metrics"
        variables = {
            "platform_state_directory": str(self.directory),
            "platform_kubeconfig": "/nonexistent",
            "observability_drill_namespace": "shop",
            "observability_drill_sink": True,
            "observability_drill_mail_recipients": ["team@example.org"],
            "observability_drill_webhooks": ["chat"],
            "observability_drill_fired_timeout": 60,
            "observability_drill_resolved_timeout": 60,
            "_observability_drill_gateway": [sys.executable, str(script), url, "broken" if broken else "well"],
            "_observability_prometheus": {"url": self.stack.prometheus.url},
            "_observability_alertmanager": {"url": self.stack.alertmanager.url},
            "_observability_alert_sink": {"url": self.stack.sink.url},
            **change,
        }
        role = {"name": "onprem.platform.observability", "tasks_from": "alert_drill.yml"}
        play = {"hosts": "localhost", "gather_facts": False, "tasks": [{"ansible.builtin.import_role": role}]}
        playbook = self.directory / "playbook.yml"
        playbook.write_text(yaml.safe_dump([play]))
        (self.directory / "variables.json").write_text(json.dumps(variables))
        command = [str(Path(sys.executable).with_name("ansible-playbook")), str(playbook), "--extra-vars"]
        return subprocess.run(
            [*command, f"@{self.directory / 'variables.json'}", *arguments],
            cwd=REPOSITORY,
            env={**os.environ, "ANSIBLE_CONFIG": str(REPOSITORY / "ansible.cfg")},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    @property
    def result(self) -> dict[str, Any]:
        return dict(json.loads(self.result_file.read_text()))


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    made = Stack()
    yield made
    made.close()


@pytest.fixture
def drill(stack: Stack, tmp_path: Path) -> Iterator[Drill]:
    yield Drill(stack, tmp_path)
    stack.calm()


@pytest.mark.parametrize("alert", ["SmsGatewayDown", "SmsBalanceLow"])
def test_a_drill_proves_arrival_and_end(drill: Drill, alert: str) -> None:
    done = drill.run(observability_drill_alert=alert)
    assert done.returncode == 0, done.stdout + done.stderr
    result = drill.result
    assert result["passed"] and result["restored"] and result["alert"] == alert
    assert [phase["phase"] for phase in result["phases"]] == ["fired", "resolved"]
    steps = [step["step"] for phase in result["phases"] for step in phase["steps"]]
    assert steps == [
        "pending",
        "firing",
        "alertmanager",
        "mail",
        "webhook",
        "inactive",
        "alertmanager",
        "mail",
        "webhook",
    ]
    assert all(step["at"] for phase in result["phases"] for step in phase["steps"])
    assert f"Alert {alert}: arrived and was called off; receipt seen by the alert sink; gateway repaired" in done.stdout
    assert "team@example.org" in done.stdout
    assert drill.result_file.stat().st_mode & 0o777 == 0o600
    assert drill.stack.metrics.value == 1


def test_a_drill_without_a_sink_counts(drill: Drill) -> None:
    done = drill.run(observability_drill_sink=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "receipt counted by Alertmanager only" in done.stdout
    assert {step["proof"] for phase in drill.result["phases"] for step in phase["steps"]} >= {"counters"}


def test_a_drill_that_proves_nothing_fails_and_repairs(drill: Drill) -> None:
    done = drill.run(observability_drill_mail_recipients=["nobody@example.org"], observability_drill_fired_timeout=15)
    assert done.returncode == 2
    assert "did not come within 15 s: mail to nobody@example.org" in done.stdout + done.stderr
    assert "NOT PROVED" in done.stdout and "DID NOT COME" in done.stdout
    assert drill.stack.metrics.value == 1
    result = drill.result
    assert not result["passed"] and result["restored"] and len(result["phases"]) == 1


def test_a_gateway_that_cannot_be_repaired_is_said(drill: Drill) -> None:
    done = drill.run(broken=True, observability_drill_repair_attempts=2)
    assert done.returncode == 2 and "NOT REPAIRED" in done.stdout
    again = drill.run()
    assert again.returncode == 2 and "is not well" in again.stdout + again.stderr
    assert drill.stack.metrics.value == 4


@pytest.mark.parametrize("arguments", [("--check",), ("--extra-vars", "observability_drill_alert=Watchdog")])
def test_no_drill_where_it_makes_no_sense(drill: Drill, arguments: tuple[str, ...]) -> None:
    done = drill.run(*arguments)
    assert done.returncode == 2
    assert drill.stack.metrics.value == 1 and not drill.result_file.exists()
