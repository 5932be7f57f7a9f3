# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module probe_json against a small HTTP server."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from ansible_collections.onprem.platform.plugins.modules import probe_json

Run = Callable[..., dict[str, Any]]


class Service:
    """Gives one answer after the other, the last one for ever; an answer is a status and JSON, or bytes as they are."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, Any]] = []
        self.asked: list[str] = []
        service = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_arguments: Any) -> None:
                """Keep quiet."""

            def do_GET(self) -> None:
                service.asked.append(self.path)
                status, answer = service.answers.pop(0) if len(service.answers) > 1 else service.answers[0]
                data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def service() -> Iterator[Service]:
    running = Service()
    yield running
    running.server.shutdown()
    running.server.server_close()


def options(service: Service, **changes: Any) -> dict[str, Any]:
    given = {"endpoint": {"url": service.url}, "path": "/state", "expression": "up == `3`", "wait_timeout": 5}
    return {**given, "poll_interval": 0.01, **changes}


def test_asks_until_the_expression_is_true(run_module: Run, service: Service) -> None:
    service.answers = [(503, b"starting"), (200, {"up": 1}), (200, b"no json"), (200, {"up": 3})]
    result = run_module(probe_json.main, options(service, query={"state": "active", "not": None}))
    assert result["changed"] is False
    assert result["answer"] == {"up": 3}
    assert service.asked == ["/state?state=active"] * 4


def test_a_check_run_does_the_same(run_module: Run, service: Service) -> None:
    service.answers = [(200, {"up": 3})]
    assert run_module(probe_json.main, options(service), check=True)["answer"] == {"up": 3}


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((200, {"up": 2}), "did not say what was expected. It had to fulfil"),
        ((500, b"broken"), "answers 500 to /state: broken"),
    ],
)
def test_says_what_it_got_instead(run_module: Run, service: Service, answer: tuple[int, Any], said: str) -> None:
    service.answers = [answer]
    result = run_module(probe_json.main, options(service, wait_timeout=0))
    assert result["failed"]
    assert said in result["msg"]
    assert len(service.asked) == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"expression": "up =="}, "expression is no JMESPath"),
        ({"path": "state"}, "path begin with '/'"),
        ({"poll_interval": 0}, "poll_interval must be more than 0"),
        ({"endpoint": {"url": "ftp://somewhere"}}, "is no address of a service"),
    ],
)
def test_refuses_wrong_options(run_module: Run, service: Service, changes: dict[str, Any], said: str) -> None:
    result = run_module(probe_json.main, options(service, **changes))
    assert result["failed"]
    assert said in result["msg"]
    assert service.asked == []
