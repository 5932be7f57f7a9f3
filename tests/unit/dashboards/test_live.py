# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the live check makes of the servers' answers. The servers here answer as they are told."""

from __future__ import annotations

import json
import threading
import urllib.parse
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from dashboards.expressions import Expression
from dashboards.live import Result, check_live

Answers = dict[tuple[str, str], Any]
"""(path, query) -> ``data``, an error's text, or raw bytes; ("alerting", name) -> the query of a loaded rule."""
SERIES = {"resultType": "vector", "result": [{"metric": {}, "value": [0, "1"]}]}
NOTHING: dict[str, Any] = {"resultType": "vector", "result": []}


def selector(metric: str, **matchers: str) -> dict[str, Any]:
    """Return a selector as Prometheus' syntax tree shows it."""
    shown = [{"name": name, "type": "=", "value": value} for name, value in matchers.items()]
    return {
        "type": "vectorSelector",
        "name": metric,
        "matchers": [*shown, {"name": "__name__", "type": "=", "value": metric}],
    }


@pytest.fixture
def servers() -> Iterator[tuple[str, Answers]]:
    """Yield the address of a server and its answers."""
    answers: Answers = {}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self.answer(answers.get((self.path, urllib.parse.parse_qs(body)["query"][0]), NOTHING))

        def do_GET(self) -> None:
            assert self.path == "/api/v1/rules"
            rules = [{"name": name, "type": kind, "query": query} for (kind, name), query in answers.items()]
            self.answer({"groups": [{"rules": [rule for rule in rules if rule["type"] in ("alerting", "recording")]}]})

        def answer(self, answer: Any) -> None:
            failed = isinstance(answer, str)
            content = {"status": "error", "error": answer} if failed else {"status": "success", "data": answer}
            self.send_response(400 if failed else 200)
            self.end_headers()
            self.wfile.write(answer if isinstance(answer, bytes) else json.dumps(content).encode())

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", answers
    server.shutdown()
    server.server_close()


def run(servers: tuple[str, Answers], *items: Expression, **allowed: str) -> Result:
    """Check these expressions; the server has loaded the rules among them."""
    url, answers = servers
    for item in items:
        if item.kind == "alert":
            answers.setdefault(("alerting", item.key), item.text)
    return check_live(url, url, allowed, list(items))


def reasons(result: Result) -> list[str]:
    return [problem.reason for problem in result.failures]


PANEL = Expression("d: P", "panel", "promql", "sum(up)")
ALERT = Expression("Down", "alert", "promql", 'up{job="a"} == 0')


def test_panel_with_series(servers: tuple[str, Answers]) -> None:
    servers[1].update(
        {
            ("/api/v1/query", "sum(up)"): SERIES,
            ("/api/v1/parse_query", "sum(up)"): {"type": "aggregation", "expr": selector("up")},
            ("/api/v1/query", '{__name__="up"}'): SERIES,
        }
    )
    result = run(servers, PANEL)
    assert (result.checked, result.failures, result.allowed) == (1, [], [])


def test_metric_that_does_not_exist(servers: tuple[str, Answers]) -> None:
    servers[1][("/api/v1/parse_query", "sum(up)")] = {"type": "aggregation", "expr": selector("up")}
    assert reasons(run(servers, PANEL)) == ['no metric for {__name__="up"}']
    allowed = run(servers, PANEL, up="Not scraped here.")
    assert allowed.failures == []
    assert [problem.reason for problem in allowed.allowed] == ['no metric for {__name__="up"} (Not scraped here.)']


def test_metric_hidden_behind_or(servers: tuple[str, Answers]) -> None:
    """The expression returns something, and still one of its metrics does not exist."""
    text = "gone or vector(0)"
    servers[1][("/api/v1/query", text)] = SERIES
    servers[1][("/api/v1/parse_query", text)] = {"lhs": selector("gone"), "rhs": {"type": "call", "args": []}}
    assert reasons(run(servers, Expression("d: P", "panel", "promql", text))) == ['no metric for {__name__="gone"}']


def test_alert_may_return_nothing(servers: tuple[str, Answers]) -> None:
    servers[1][("/api/v1/parse_query", ALERT.text)] = {"lhs": selector("up", job="a")}
    servers[1][("/api/v1/query", '{job="a", __name__="up"}')] = SERIES
    assert reasons(run(servers, ALERT)) == []


def test_alert_whose_matchers_choose_nothing(servers: tuple[str, Answers]) -> None:
    """The metric exists, its series do not: the alert's own entry allows that, the metric's name does not matter."""
    servers[1][("/api/v1/parse_query", ALERT.text)] = {"lhs": selector("up", job="a")}
    servers[1][("/api/v1/query", "up")] = SERIES
    assert reasons(run(servers, ALERT)) == ['no series for {job="a", __name__="up"}']
    assert reasons(run(servers, ALERT, Down="Only when it is down.")) == []


def test_allowing_an_expression_does_not_allow_a_missing_metric(servers: tuple[str, Answers]) -> None:
    servers[1][("/api/v1/parse_query", ALERT.text)] = {"lhs": selector("up", job="a")}
    assert reasons(run(servers, ALERT, Down="Only when it is down.")) == ['no metric for {job="a", __name__="up"}']


def test_rule_that_is_not_loaded(servers: tuple[str, Answers]) -> None:
    result = check_live(servers[0], servers[0], {}, [ALERT])
    assert (result.checked, reasons(result)) == (0, ["Prometheus has not loaded this rule"])


def test_rules_are_checked_as_they_are_loaded(servers: tuple[str, Answers]) -> None:
    """A site's threshold replaces the written one."""
    servers[1][("alerting", "Down")] = "up < 5"
    servers[1][("/api/v1/parse_query", "up < 5")] = {"lhs": selector("gone")}
    assert reasons(run(servers, ALERT)) == ['no metric for {__name__="gone"}']


def test_panel_that_returns_nothing_although_its_metrics_exist(servers: tuple[str, Answers]) -> None:
    servers[1][("/api/v1/parse_query", "sum(up)")] = {"type": "aggregation", "expr": selector("up")}
    servers[1][("/api/v1/query", '{__name__="up"}')] = SERIES
    assert reasons(run(servers, PANEL)) == ["returns nothing"]


def test_refused_expression_is_never_allowed(servers: tuple[str, Answers]) -> None:
    servers[1][("/api/v1/query", "sum(up)")] = "parse error"
    assert reasons(run(servers, PANEL, **{"d: P": "Whatever."})) == ["refused: parse error"]


def test_entry_that_nothing_uses(servers: tuple[str, Answers]) -> None:
    assert reasons(run(servers, gone="Was there once.")) == [
        "stands on the list of what may be empty, but nothing uses it"
    ]


@pytest.mark.parametrize(
    ("text", "path"), [('{a="b"}', "/loki/api/v1/query_range"), ('sum(rate({a="b"}[5m]))', "/loki/api/v1/query")]
)
def test_log_lines_and_log_metrics(servers: tuple[str, Answers], text: str, path: str) -> None:
    item = Expression("d: L", "panel", "logql", text)
    assert reasons(run(servers, item)) == ["returns nothing"]
    servers[1][(path, text)] = {"resultType": "streams", "result": [{"stream": {}, "values": []}]}
    assert reasons(run(servers, item)) == []


def test_answer_that_is_no_json(servers: tuple[str, Answers]) -> None:
    """Loki answers errors with plain text."""
    servers[1][("/loki/api/v1/query", "rate({")] = b"parse error at line 1"
    result = run(servers, Expression("d: L", "panel", "logql", "rate({"))
    assert reasons(result) == ["refused: HTTP 200: parse error at line 1"]


def test_summary_names_every_failure(servers: tuple[str, Answers]) -> None:
    servers[1][("/api/v1/query", "sum(up)")] = "parse error"
    assert run(servers, PANEL).summary().splitlines() == [
        "1 expressions, 1 failures, 0 empty with a reason",
        "FAILED: d: P: refused: parse error",
        "    sum(up)",
    ]
