# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Alertmanager's configuration for many settings of the role, judged and routed by amtool."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

MAIL = {"smarthost": "mail.example.org:587", "from": "alerts@example.org", "to": ["a@example.org", "b@example.org"]}
NIGHTS = {"times": [{"start_time": "22:00", "end_time": "24:00"}, {"start_time": "00:00", "end_time": "06:00"}]}
WEEKENDS = {"weekdays": ["saturday", "sunday"]}
WEBHOOKS = {f"observability_{name}_webhook_enabled": True for name in ("chat", "pager", "dead_man")}
VARIANTS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "mail": {"observability_mail": MAIL},
    "mail-login": {
        "observability_mail": {**MAIL, "tls": "implicit", "username": "alerts", "ca_file": "/etc/alertmanager/ca.crt"}
    },
    "mail-plain": {"observability_mail": {**MAIL, "tls": "none"}},
    "webhooks": {**WEBHOOKS, "observability_webhook_ca_file": "/etc/alertmanager/ca.crt"},
    "slack": {"observability_chat_webhook_enabled": True, "observability_chat_webhook_format": "slack"},
    "everything": {
        **WEBHOOKS,
        "observability_mail": MAIL,
        "observability_quiet_hours": [NIGHTS, WEEKENDS],
        "observability_quiet_hours_location": "Europe/Berlin",
    },
}
# Labels of an alert, and the receivers that the variants "everything" and "nothing" give it to.
ROUTES = [
    ({"alertname": "Watchdog", "severity": "none"}, ["dead-man"], ["nobody"]),
    ({"alertname": "NodeDown", "severity": "critical", "node": "n1"}, ["pager", "critical"], ["critical"]),
    ({"alertname": "QueueBacklogHigh", "severity": "warning", "namespace": "laravel-demo"}, ["warning"], ["warning"]),
    ({"alertname": "Unsorted"}, ["warning"], ["warning"]),
    ({"alertname": "Unsorted", "severity": "info"}, ["warning"], ["warning"]),
]


def amtool_run(amtool: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([amtool, *arguments], capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture(scope="module")
def files(
    tmp_path_factory: pytest.TempPathFactory, configurations_in: Callable[..., dict[str, Path]]
) -> dict[str, Path]:
    return configurations_in(tmp_path_factory.mktemp("configurations"), VARIANTS)


@pytest.fixture(scope="module")
def documents(files: dict[str, Path]) -> dict[str, Any]:
    return {name: yaml.safe_load(path.read_text()) for name, path in files.items()}


def receiver(document: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = [entry for entry in document["receivers"] if entry["name"] == name]
    return found


@pytest.mark.parametrize("variant", VARIANTS)
def test_configuration_is_accepted(amtool, files, variant):
    done = amtool_run(amtool, "check-config", str(files[variant]))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS" in done.stdout


@pytest.mark.parametrize(
    ("right", "wrong", "cause"),
    [
        ("receiver: critical", "receiver: nowhere", "nowhere"),
        ("group_wait: 10s", "group_wait: soon", "soon"),
        ("smtp_smarthost: ", "smtp_smarthots: ", "smtp_smarthots"),
        ("quiet-hours]", "silent-hours]", "silent-hours"),
        ('severity="critical"', 'severity~"critical"', "severity~"),
    ],
)
def test_wrong_configuration_is_refused_with_the_cause(amtool, files, tmp_path, right, wrong, cause):
    text = files["everything"].read_text()
    assert right in text
    broken = tmp_path / "broken.yml"
    broken.write_text(text.replace(right, wrong, 1))
    done = amtool_run(amtool, "check-config", str(broken))
    assert done.returncode != 0
    assert cause in done.stdout + done.stderr


@pytest.mark.parametrize(("labels", "everything", "nothing"), ROUTES)
def test_routes(amtool, files, labels, everything, nothing):
    for variant, receivers in (("everything", everything), ("nothing", nothing)):
        arguments = [f"{name}={value}" for name, value in labels.items()]
        command = ["config", "routes", "test", f"--config.file={files[variant]}"]
        done = amtool_run(amtool, *command, f"--verify.receivers={','.join(receivers)}", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr


def test_no_secret_is_written(files):
    """Addresses and passwords are files that Vault Agent writes."""
    text = files["everything"].read_text() + files["mail-login"].read_text() + files["slack"].read_text()
    for name in ("mail-password", "chat-webhook-url", "pager-webhook-url", "dead-man-webhook-url"):
        assert f"_file: /vault/secrets/{name}\n" in text
    assert "password:" not in text
    assert " url:" not in text


def test_mail_settings(documents):
    assert "smtp_smarthost" not in documents["nothing"]["global"]
    assert documents["mail"]["global"]["smtp_require_tls"] is True
    assert documents["mail"]["global"]["smtp_force_implicit_tls"] is False
    assert "smtp_auth_username" not in documents["mail"]["global"]
    assert documents["mail-plain"]["global"]["smtp_require_tls"] is False
    login = documents["mail-login"]["global"]
    assert login["smtp_force_implicit_tls"] is True
    assert login["smtp_tls_config"] == {"ca_file": "/etc/alertmanager/ca.crt"}
    for severity in ("critical", "warning"):
        (mail,) = receiver(documents["mail"], severity)["email_configs"]
        assert (mail["to"], mail["send_resolved"]) == ("a@example.org, b@example.org", True)
        assert "runbook_url" in mail["text"] and "runbook_url" in mail["html"]


def test_only_warnings_are_held_back_in_quiet_hours(documents):
    document = documents["everything"]
    muted = [route["receiver"] for route in document["route"]["routes"] if "mute_time_intervals" in route]
    assert muted == ["warning"]
    assert "mute_time_intervals" not in document["route"]
    (interval,) = document["time_intervals"]
    assert [entry["location"] for entry in interval["time_intervals"]] == ["Europe/Berlin"] * 2
    assert "time_intervals" not in documents["nothing"]


def test_the_pager_waits(documents):
    (pager,) = [route for route in documents["everything"]["route"]["routes"] if route["receiver"] == "pager"]
    assert (pager["group_wait"], pager["group_by"], pager["continue"]) == ("900s", ["..."], True)


def test_the_dead_man_is_told_often_enough(documents):
    (route,) = [route for route in documents["everything"]["route"]["routes"] if route["receiver"] == "dead-man"]
    assert route["repeat_interval"] == "2m"
    assert int(route["group_interval"].removesuffix("s")) * 2 <= 120
    (webhook,) = receiver(documents["everything"], "dead-man")["webhook_configs"]
    assert webhook["send_resolved"] is False
