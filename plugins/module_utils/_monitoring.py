# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What is read from Prometheus, Alertmanager and an alert sink (private).

APIs: https://prometheus.io/docs/prometheus/latest/querying/api/ and Alertmanager's api/v2/openapi.yaml.
"""

from __future__ import annotations

import json
import re
from datetime import datetime, timezone
from typing import Any
from urllib.parse import quote

from ._http_endpoint import Endpoint, EndpointError

Labels = dict[str, str]
_FRACTION = re.compile(r"\.(\d+)")


def parse_time(text: str) -> datetime:
    """Return an RFC 3339 time in UTC, with at most microseconds. Raises ValueError for other texts."""
    text = _FRACTION.sub(lambda match: f".{match[1][:6]:0<6}", text.strip(), count=1)
    time = datetime.fromisoformat(text[:-1] + "+00:00" if text[-1:] in ("Z", "z") else text)
    if time.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone")
    return time.astimezone(timezone.utc)


def format_time(time: datetime) -> str:
    """Return the time as RFC 3339 in UTC with milliseconds."""
    return time.astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def includes(labels: Labels, wanted: Labels) -> bool:
    """Whether the labels have all the wanted ones."""
    return all(labels.get(name) == value for name, value in wanted.items())


class Prometheus(Endpoint):
    """Prometheus' HTTP API."""

    def _data(self, path: str, query: dict[str, Any] | None = None) -> Any:
        return self.get(path, query)["data"]

    def query(self, expression: str, at: datetime | None = None) -> list[tuple[Labels, float]]:
        """Return labels and value of each series of an instant query, now or at a time."""
        query = {"query": expression, "time": at.timestamp() if at else None}
        return [(item["metric"], float(item["value"][1])) for item in self._data("/api/v1/query", query)["result"]]

    def alerts(self, labels: Labels) -> list[dict[str, Any]]:
        """Return the pending and firing alerts with these labels: labels, state, activeAt, value."""
        return [alert for alert in self._data("/api/v1/alerts")["alerts"] if includes(alert["labels"], labels)]

    def rules(self, name: str) -> list[dict[str, Any]]:
        """Return the alerting rules of a name: duration (seconds), query, health, lastError."""
        groups = self._data("/api/v1/rules", {"type": "alert"})["groups"]
        return [rule for group in groups for rule in group["rules"] if rule["name"] == name]

    def alertmanagers(self) -> list[str]:
        """Return the URLs of the Alertmanagers that Prometheus sends to."""
        return [entry["url"] for entry in self._data("/api/v1/alertmanagers")["activeAlertmanagers"]]


class Alertmanager(Endpoint):
    """Alertmanager's HTTP API, version 2."""

    def alerts(self, labels: Labels) -> list[dict[str, Any]]:
        """Return the unresolved alerts with these labels, also silenced and inhibited ones."""
        filters = "&".join(f"filter={quoted}" for quoted in map(_matcher, labels.items()))
        found: list[dict[str, Any]] = self.get(f"/api/v2/alerts?{filters}")
        return found

    def silence(self, identifier: str) -> dict[str, Any]:
        """Return one silence: createdBy, comment, endsAt."""
        found: dict[str, Any] = self.get(f"/api/v2/silence/{identifier}")
        return found


def _matcher(label: tuple[str, str]) -> str:
    """Return a matcher for a query string; its value is quoted as Go quotes, which JSON does too."""
    name, value = label
    return quote(f"{name}={json.dumps(value)}", safe="")


class Sink(Endpoint):
    """An alert sink: what mails and webhooks arrived."""

    def messages(self, since: datetime) -> list[dict[str, Any]]:
        """Return the messages received at that time or later, oldest first."""
        found = self.get("/messages", {"since": format_time(since)})
        if not isinstance(found, list):
            raise EndpointError(f"{self.name} ({self.url}) is no alert sink: /messages is no list")
        return found
