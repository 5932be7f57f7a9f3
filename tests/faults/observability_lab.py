# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of metrics, logs and alerts ask of a lab: its servers, receivers of alerts, and lines."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any, TypeVar

import requests

from ansible_collections.onprem.platform.tests.faults.platform_lab import BUNDLE, PlatformLab

NAMESPACE = "observability"
Found = TypeVar("Found")


def now() -> str:
    """Return the time as RFC 3339 with milliseconds; the lab's machines have the clock of this one."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def seconds(moment: str) -> float:
    """Return the seconds since 1970 of an RFC 3339 time; of its fraction, microseconds count."""
    return datetime.fromisoformat(re.sub(r"(\.\d{6})\d*", r"\1", moment)).timestamp()


def eventually(look: Callable[[], Found], what: str, limit: float, interval: float = 2) -> Found:
    """Return what ``look`` finds as soon as it is true; raise AssertionError after ``limit`` seconds.

    A server that does not answer for the moment is looked at again.
    """
    deadline = time.monotonic() + limit
    while True:
        found: Found | None = None
        trouble = ""
        try:
            found = look()
        except (requests.RequestException, AssertionError) as error:
            trouble = f" ({error})"
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {limit} s: {what}{trouble}"
        time.sleep(interval)


class Observability:
    """Metrics, logs and alerts of a lab."""

    def __init__(self, lab: PlatformLab) -> None:
        self.lab = lab

    # --- servers -----------------------------------------------------------------------------------------------------
    def pods(self, name: str) -> list[str]:
        """Return the names of the Ready pods of an application (``app.kubernetes.io/name``)."""
        return sorted(
            pod["metadata"]["name"]
            for pod in self.lab.objects("pods", "-n", NAMESPACE, "-l", f"app.kubernetes.io/name={name}")
            if any(one["type"] == "Ready" and one["status"] == "True" for one in pod["status"].get("conditions", []))
            and "deletionTimestamp" not in pod["metadata"]
        )

    @contextmanager
    def forward(self, pod: str, port: int) -> Iterator[str]:
        """Give the address of a pod's port as long as the block takes."""
        command = [str(BUNDLE / "files/kubectl"), "--kubeconfig", str(self.lab.kubeconfig), "--namespace", NAMESPACE]
        command += ["port-forward", "--address", "127.0.0.1", f"pod/{pod}", f":{port}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            try:
                line = process.stdout.readline() if process.stdout else ""
                found = re.search(r"127\.0\.0\.1:(\d+)", line)
                assert found, f"no way to {pod}: {line}"
                yield f"http://127.0.0.1:{found[1]}"
            finally:
                process.terminate()

    def _ask(self, pod: str, port: int, path: str, **parameters: Any) -> Any:
        with self.forward(pod, port) as address:
            answer = requests.get(address + path, params=parameters, timeout=30)
        answer.raise_for_status()
        return answer.json()

    def metrics(self, query: str, pod: str = "prometheus-platform-0") -> list[dict[str, Any]]:
        """Return the result of a PromQL query at this moment."""
        return list(self._ask(pod, 9090, "/api/v1/query", query=query)["data"]["result"])

    def metrics_between(self, query: str, start: float, end: float, pod: str) -> list[dict[str, Any]]:
        """Return the result of a PromQL query for each 15 s of a time."""
        answer = self._ask(pod, 9090, "/api/v1/query_range", query=query, start=start, end=end, step=15)
        return list(answer["data"]["result"])

    def lines(self, selector: str, start: float, end: float) -> list[str]:
        """Return the lines that Loki has of a time, oldest first; queries stay below Loki's limit of 5000 lines."""
        found: list[tuple[int, str]] = []
        step = 100.0
        with self.forward("loki-0", 3100) as address, requests.Session() as session:
            while start < end:
                until = min(start + step, end)
                window = {"start": int(start * 1e9), "end": int(until * 1e9), "limit": 5000, "direction": "forward"}
                answer = session.get(
                    f"{address}/loki/api/v1/query_range", params={"query": selector, **window}, timeout=30
                )
                answer.raise_for_status()
                streams = answer.json()["data"]["result"]
                part = [(int(moment), line) for stream in streams for moment, line in stream["values"]]
                assert len(part) < 5000, "a shorter step is needed"
                found += part
                start = until
        return [line for _moment, line in sorted(found)]

    # --- alerts ------------------------------------------------------------------------------------------------------
    def gateway(self, *options: str) -> dict[str, Any]:
        """Break or repair the demonstration's SMS gateway, and return its state."""
        command = ("-c", "app", "--", "php", "/srv/app/artisan", "sms:gateway", *options)
        text = self.lab.kubectl("exec", "-n", "laravel-demo", "deployment/laravel-demo-app", *command)
        return dict(json.loads(text))

    def messages(self, since: str) -> list[dict[str, Any]]:
        """Return what the sink has received since an RFC 3339 time."""
        pods = self.pods("alert-sink")
        assert pods, "no sink is ready"
        return list(self._ask(pods[0], 8080, "/messages", since=since))

    def mails(self, since: str, alert: str, status: str) -> list[dict[str, Any]]:
        """Return the mails about an alert that fires (``FIRING``) or does so no more (``RESOLVED``)."""
        start = f"[{status}]"
        return [
            one
            for one in self.messages(since)
            if one["kind"] == "mail" and one["subject"].startswith(start) and f": {alert} on " in one["subject"]
        ]

    def webhooks(self, since: str, name: str, alert: str, status: str) -> list[dict[str, Any]]:
        """Return the messages to a webhook that speak of an alert; ``status`` is ``firing`` or ``resolved``."""
        return [
            one
            for one in self.messages(since)
            if one["kind"] == "webhook"
            and one["name"] == name
            and any(alert == each["labels"]["alertname"] and each["status"] == status for each in one["json"]["alerts"])
        ]

    def firing(self, pod: str = "prometheus-platform-0") -> set[str]:
        """Return the names of the alerts that fire, Watchdog apart."""
        found = self.metrics('ALERTS{alertstate="firing", alertname!="Watchdog"}', pod)
        return {one["metric"]["alertname"] for one in found}
