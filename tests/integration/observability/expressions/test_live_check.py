# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bundle's Prometheus and Loki read every expression, and the live check finds what is wrong with one.

Here nothing is monitored but the servers themselves: this is about syntax, and about the check. That expressions return
series is proved on the lab.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
import yaml
from dashboards import expressions
from dashboards.expressions import Expression
from dashboards.live import check_live

from ansible_collections.onprem.platform.tests.integration.bundled_images import BundledImages, bundle_directory
from ansible_collections.onprem.platform.tests.integration.ports import free_port

Program = Callable[[str], str]
STREAM = {"source": "pod", "namespace": "demo", "app": "demo"}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """Return a function that gives the path of an image's program."""
    images = BundledImages(bundle_directory())
    place = tmp_path_factory.mktemp("images")

    def unpack(name: str) -> str:
        configuration = images.unpack(name, place / name)
        return str(place / name / configuration["Entrypoint"][0].lstrip("/"))

    yield unpack
    shutil.rmtree(place)


@contextmanager
def server(directory: Path, ready: str, *command: str) -> Iterator[None]:
    """Run a server as long as the block takes."""
    log = directory / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd=directory)
    try:
        end = time.monotonic() + 120
        while time.monotonic() < end and process.poll() is None:
            try:
                if requests.get(ready, timeout=5).ok:
                    break
            except requests.ConnectionError:
                pass
            time.sleep(0.2)
        else:
            pytest.fail(f"{command[0]} is not ready: {log.read_text()[-2000:]}")
        yield
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def prometheus(program: Program, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the address of a Prometheus that has loaded all rules and scrapes itself."""
    directory = tmp_path_factory.mktemp("prometheus")
    address = f"127.0.0.1:{free_port()}"
    rules = [item for item in expressions.all_expressions() if item.kind in ("alert", "record")]
    group = {"name": "all", "interval": "1m", "rules": [{item.kind: item.key, "expr": item.text} for item in rules]}
    (directory / "rules.yml").write_text(yaml.safe_dump({"groups": [group]}))
    job = {"job_name": "prometheus", "scrape_interval": "1s", "static_configs": [{"targets": [address]}]}
    (directory / "prometheus.yml").write_text(yaml.safe_dump({"rule_files": ["rules.yml"], "scrape_configs": [job]}))
    command = ("--config.file=prometheus.yml", "--storage.tsdb.path=data", f"--web.listen-address={address}")
    with server(directory, f"http://{address}/-/ready", program("prometheus"), *command):
        yield f"http://{address}"


@pytest.fixture(scope="module")
def loki(program: Program, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the address of a Loki that has one line, with a trace id beside it."""
    directory = tmp_path_factory.mktemp("loki")
    port = free_port()
    configuration = {
        "auth_enabled": False,
        "server": {
            "http_listen_address": "127.0.0.1",
            "http_listen_port": port,
            "grpc_listen_address": "127.0.0.1",
            "grpc_listen_port": free_port(),
        },
        "common": {
            "path_prefix": str(directory / "data"),
            "replication_factor": 1,
            "ring": {"kvstore": {"store": "inmemory"}, "instance_addr": "127.0.0.1"},
            "storage": {
                "filesystem": {
                    "chunks_directory": str(directory / "chunks"),
                    "rules_directory": str(directory / "rules"),
                }
            },
        },
        "frontend": {"address": "127.0.0.1"},
        "schema_config": {
            "configs": [
                {
                    "from": "2026-01-01",
                    "store": "tsdb",
                    "object_store": "filesystem",
                    "schema": "v13",
                    "index": {"prefix": "index_", "period": "24h"},
                }
            ]
        },
        "analytics": {"reporting_enabled": False},
    }
    (directory / "loki.yml").write_text(yaml.safe_dump(configuration))
    url = f"http://127.0.0.1:{port}"
    with server(directory, f"{url}/ready", program("loki"), "-config.file=loki.yml"):
        line = [str(time.time_ns()), json.dumps({"level": "info", "message": "hello"}), {"trace_id": "4711"}]
        answer = requests.post(
            f"{url}/loki/api/v1/push", json={"streams": [{"stream": STREAM, "values": [line]}]}, timeout=10
        )
        assert answer.status_code == 204, answer.text
        yield url


def test_prometheus_and_loki_read_every_expression(prometheus: str, loki: str) -> None:
    result = check_live(prometheus, loki, {}, expressions.all_expressions())
    assert result.checked > 200
    assert [problem for problem in result.failures if "refused" in problem.reason or "loaded" in problem.reason] == []


def test_lines_of_pods_are_found(prometheus: str, loki: str) -> None:
    """Selectors, text and trace id of the dashboard are those that Loki understands."""
    lines = [item for item in expressions.all_expressions() if item.language == "logql" and '"pod"' in item.text]
    assert len(lines) == 5
    failures = check_live(prometheus, loki, {}, lines).failures
    assert [problem for problem in failures if problem.expression in lines] == []


def test_the_check_tells_good_from_bad(prometheus: str, loki: str) -> None:
    """Prometheus' own metrics exist; others are missing, and a wrong expression is refused."""
    time.sleep(3)  # rates need two scrapes

    def verdict(language: str, text: str) -> list[str]:
        item = Expression("test: Panel", "panel", language, text)  # type: ignore[arg-type]
        failures = check_live(prometheus, loki, {}, [item]).failures
        return [problem.reason.partition(":")[0] for problem in failures if problem.expression == item]

    assert verdict("promql", 'sum(rate(prometheus_http_requests_total{job="prometheus"}[5m]))') == []
    assert verdict("promql", 'up{job="prometheus"} or vector(0)') == []
    assert verdict("promql", "sum(nothing_total) or vector(0)") == ['no metric for {__name__="nothing_total"}']
    assert verdict("promql", 'up{job="x"} or vector(0)') == ['no series for {job="x", __name__="up"}']
    assert verdict("promql", "sum by up") == ["refused"]
    assert verdict("logql", '{source="pod"}') == []
    assert verdict("logql", '{source="journal"}') == ["returns nothing"]
    assert verdict("logql", '{source="pod"} | trace_id=~`4711`') == []
    assert verdict("logql", '{source="pod"} | trace_id=~`4712`') == ["returns nothing"]
    assert verdict("logql", "{source=}") == ["refused"]
