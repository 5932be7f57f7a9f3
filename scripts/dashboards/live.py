# SPDX-FileCopyrightText: 2026 onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Execute every expression against a live Prometheus and Loki.

An expression of a panel, a variable or a recording rule must return something. An alert's expression returns nothing as
long as all is well, so each of its selectors must: Prometheus itself takes the expression apart
(``/api/v1/parse_query``). The same is asked of the other expressions, because ``or`` can hide a metric that nobody has.

Rules are taken as Prometheus has loaded them, with the thresholds of the site. One that it has not loaded is a failure.

What may be empty is listed in a YAML file with its reason. A key is either

* the name of a metric that need not exist at all, or
* the key of an expression (alert, record, or ``<dashboard uid>: <panel>``): its metrics must exist, but the series that
  its label matchers choose need not.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
import yaml

from .expressions import Expression, all_expressions

ALLOW_EMPTY = Path(__file__).with_name("allow_empty.yml")
TIMEOUT_SECONDS = 30
LOG_WINDOW_SECONDS = 3600


@dataclass(frozen=True)
class Problem:
    """An expression that failed or returned nothing, and what was wrong."""

    expression: Expression
    reason: str

    def __str__(self) -> str:
        return f"{self.expression.key}: {self.reason}\n    {self.expression.text}"


@dataclass
class Result:
    """What ``check_live`` found. ``allowed`` holds what was empty and may be, with the reason from the list."""

    checked: int = 0
    failures: list[Problem] = field(default_factory=list)
    allowed: list[Problem] = field(default_factory=list)

    def summary(self) -> str:
        """Return a report for people."""
        lines = [f"{self.checked} expressions, {len(self.failures)} failures, {len(self.allowed)} empty with a reason"]
        lines += [f"  empty: {problem}" for problem in self.allowed]
        lines += [f"FAILED: {problem}" for problem in self.failures]
        return "\n".join(lines)


class QueryRefused(Exception):
    """The server refused an expression; the message is the server's."""


@dataclass(frozen=True)
class Selector:
    """One selector of a PromQL expression: its text, and the name of its metric (empty when a matcher gives it)."""

    text: str
    metric: str


class Server:
    """HTTP API of Prometheus or Loki."""

    def __init__(self, url: str, prefix: str, session: requests.Session) -> None:
        self._base = url.rstrip("/") + prefix
        self._session = session

    def get(self, path: str, **parameters: Any) -> Any:
        """Return the ``data`` of an answer; parameters go into the body, where long expressions have room.

        :raises QueryRefused: the server answered with an error
        :raises requests.ConnectionError: the server cannot be reached
        """
        method = "POST" if parameters else "GET"
        answer = self._session.request(method, f"{self._base}/{path}", data=parameters, timeout=TIMEOUT_SECONDS)
        try:
            body = answer.json()
        except ValueError:
            raise QueryRefused(f"HTTP {answer.status_code}: {answer.text.strip()[:300]}") from None
        if body.get("status") != "success":
            raise QueryRefused(str(body.get("error", body)))
        return body["data"]


def read_allow_empty(path: Path = ALLOW_EMPTY) -> dict[str, str]:
    """Return the list of what may be empty: key -> reason."""
    return yaml.safe_load(path.read_text(encoding="utf-8")) or {}


def _selectors(node: Any) -> Iterator[Selector]:
    """Yield the selectors of Prometheus' syntax tree."""
    if isinstance(node, list):
        for child in node:
            yield from _selectors(child)
    if not isinstance(node, dict):
        return
    if node.get("type") in ("vectorSelector", "matrixSelector"):
        matchers = [f"{item['name']}{item['type']}{json.dumps(item['value'])}" for item in node["matchers"]]
        yield Selector("{" + ", ".join(matchers) + "}", node["name"])
    for child in node.values():
        yield from _selectors(child)


class _Check:
    """The check of one pair of servers."""

    def __init__(self, prometheus: Server, loki: Server, allow_empty: Mapping[str, str]) -> None:
        self._prometheus = prometheus
        self._loki = loki
        self._allow_empty = allow_empty
        self.result = Result()

    def _series(self, query: str) -> int:
        """Return how many series a PromQL expression returns; a scalar counts as one."""
        data = self._prometheus.get("query", query=query)
        return 1 if data["resultType"] in ("scalar", "string") else len(data["result"])

    def _empty(self, expression: Expression, what: str, key: str) -> None:
        if key in self._allow_empty:
            self.result.allowed.append(Problem(expression, f"{what} ({self._allow_empty[key]})"))
        else:
            self.result.failures.append(Problem(expression, what))

    def promql(self, expression: Expression) -> None:
        """Check one PromQL expression."""
        returned = self._series(expression.text)
        incomplete = False
        tree = self._prometheus.get("parse_query", query=expression.text)
        for selector in dict.fromkeys(_selectors(tree)):
            if self._series(selector.text):
                continue
            incomplete = True
            if selector.metric and not self._series(selector.metric):
                self._empty(expression, f"no metric for {selector.text}", selector.metric)
            else:
                self._empty(expression, f"no series for {selector.text}", expression.key)
        # An empty selector explains an empty result; it was judged above.
        if not returned and expression.kind != "alert" and not incomplete:
            self._empty(expression, "returns nothing", expression.key)

    def logql(self, expression: Expression) -> None:
        """Check one LogQL expression: the lines or the series of the last hour."""
        path = "query_range" if expression.text.startswith("{") else "query"
        extra = {"since": f"{LOG_WINDOW_SECONDS}s", "limit": 1} if path == "query_range" else {}
        if not self._loki.get(path, query=expression.text, **extra)["result"]:
            self._empty(expression, "returns nothing", expression.key)

    def loaded_rules(self) -> list[Expression]:
        """Return the rules that Prometheus evaluates."""
        groups = self._prometheus.get("rules")["groups"]
        return [
            Expression(rule["name"], "alert" if rule["type"] == "alerting" else "record", "promql", rule["query"])
            for rule in itertools.chain.from_iterable(group["rules"] for group in groups)
        ]

    def run(self, expressions: list[Expression]) -> Result:
        """Check all expressions."""
        loaded = self.loaded_rules()
        names = {rule.key for rule in loaded}
        written = {rule.key: rule for rule in expressions if rule.kind in ("alert", "record")}
        self.result.failures += [
            Problem(rule, "Prometheus has not loaded this rule") for key, rule in written.items() if key not in names
        ]
        expressions = [item for item in expressions if item.key not in written] + list(dict.fromkeys(loaded))
        known = {expression.key for expression in expressions}
        texts = "\n".join(expression.text for expression in expressions)
        for key in self._allow_empty:
            if key not in known and key not in texts:
                stale = Expression(key, "record", "promql", "")
                self.result.failures.append(
                    Problem(stale, "stands on the list of what may be empty, but nothing uses it")
                )
        for expression in expressions:
            self.result.checked += 1
            try:
                self.promql(expression) if expression.language == "promql" else self.logql(expression)
            except QueryRefused as error:
                self.result.failures.append(Problem(expression, f"refused: {error}"))
        return self.result


def check_live(
    prometheus_url: str,
    loki_url: str,
    allow_empty: Mapping[str, str],
    expressions: list[Expression] | None = None,
    session: requests.Session | None = None,
) -> Result:
    """Execute every expression of dashboards and rules, or those given; rules as Prometheus has loaded them.

    ``session`` may carry TLS settings or tokens. Rates need samples of five minutes: servers should have run longer.

    :raises requests.ConnectionError: a server cannot be reached
    """
    session = session or requests.Session()
    prometheus = Server(prometheus_url, "/api/v1", session)
    loki = Server(loki_url, "/loki/api/v1", session)
    return _Check(prometheus, loki, allow_empty).run(all_expressions() if expressions is None else expressions)
