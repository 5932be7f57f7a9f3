# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The application's life in order: first release, work, rotation, release of version 2, rollback (R7, R14 to R17)."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator

import pytest

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

NOTHING = "Nothing to migrate"


@pytest.fixture(scope="module")
def version_1(application):
    return application("1.0.0")


@pytest.fixture(scope="module")
def version_2(application):
    return application("2.0.0")


@pytest.fixture(scope="module")
def served_1(version_1) -> Iterator:
    served = version_1.serve()
    yield served
    served.stop()


@pytest.fixture(scope="module")
def served_2(version_2) -> Iterator:
    served = version_2.serve()
    yield served
    served.stop()


def wait_until(condition: Callable[[], object], seconds: float, log: Callable[[], str] = str) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            pytest.fail(f"not within {seconds} s\n{log()}")
        time.sleep(0.2)


def counts(database) -> dict[str, str]:
    tables = ["bracelets", "features", "sms_gateway"]
    return {table: database.sql(f"select count(*) from laravel_demo.{table}")[0][0] for table in tables}  # noqa: S608


def columns(database) -> set[str]:
    return {row[0] for row in database.sql("show columns from laravel_demo.bracelets")}


class Visitor(threading.Thread):
    """Asks for a page, and registers a bracelet, five times a second; keeps what failed."""

    def __init__(self, served, first_number: int) -> None:
        super().__init__()
        self.served, self.number = served, first_number
        self.requests, self.failures = 0, []
        self.ended = threading.Event()

    def run(self) -> None:
        while not self.ended.wait(0.2):
            self.number += 1
            body = {"number": self.number, "phone": "+491234567"}
            for answer in (self.served.get("/"), self.served.post("/api/bracelets", body)):
                self.requests += 1
                if answer.status not in (200, 201):
                    self.failures.append((answer.status, answer.text[:200]))

    def __enter__(self) -> Visitor:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.join()


# --- first release ---------------------------------------------------------------------------------------------------


def test_without_schema_the_application_is_ready(served_1, version_1):
    """Helm waits for ready pods before its post-install hooks: readiness must not need their result."""
    answer = served_1.get("/healthz")
    assert (answer.status, answer.json["checks"]) == (200, {"database": {"ok": True}, "redis": {"ok": True}})
    assert served_1.probe().returncode == 0
    assert served_1.metrics()['app_dependency_up{dependency="database"}'] == 1
    scheduled = version_1.artisan("schedule:run")
    assert scheduled.returncode == 0
    assert "the schema is not there yet" in scheduled.stderr


def test_first_release_and_its_repetition(version_1, database):
    assert "create_tables" in version_1.migrate("expand")
    version_1.seed()
    assert NOTHING in version_1.migrate("contract")
    first = counts(database)
    assert first == {"bracelets": "21", "features": "2", "sms_gateway": "1"}
    assert NOTHING in version_1.migrate("expand")
    version_1.seed()
    assert NOTHING in version_1.migrate("contract")
    assert counts(database) == first


def test_killed_migration_is_repeated(version_1, database):
    """A migration that ended after its tables and before its note: the next run must succeed."""
    database.sql("delete from laravel_demo.migrations; drop table laravel_demo.statistics")
    assert "create_tables" in version_1.migrate("expand")
    assert database.sql("show index from laravel_demo.bracelets where Key_name = 'number'")


def test_broken_migration_fails(version_1):
    """A failing migration must end with an error code, or the release would go on."""
    broken = version_1.source / "database/migrations/expand/2026_01_11_000000_broken.php"
    broken.write_text(
        "<?php return new class extends Illuminate\\Database\\Migrations\\Migration {"
        "public function up() { Illuminate\\Support\\Facades\\DB::statement('alter table nowhere add x int'); } };"
    )
    try:
        result = version_1.artisan("migrate", "--force", "--path=database/migrations/expand")
    finally:
        broken.unlink()
    assert result.returncode != 0
    assert "nowhere" in result.stderr + result.stdout


# --- work ------------------------------------------------------------------------------------------------------------


def test_row_is_written_and_read(served_1, database):
    created = served_1.post("/api/bracelets", {"number": 200001, "phone": "+4912345678"})
    assert (created.status, created.json["status"]) == (201, "unconfirmed")
    assert database.sql("select phone from laravel_demo.bracelets where number = 200001") == [["+4912345678"]]
    assert served_1.post("/api/bracelets/200001/confirm", {}).json["status"] == "confirmed"
    shown = served_1.get("/api/bracelets/200001")
    assert (shown.status, shown.json["number"], shown.json["status"]) == (200, 200001, "confirmed")
    assert "12345678" not in shown.text
    assert served_1.get("/api/bracelets/999999").status == 404
    assert served_1.post("/api/bracelets", {"number": 200001, "phone": "+4912345678"}).status == 422
    assert served_1.post("/api/bracelets", {"number": 1, "phone": "no"}).status == 422


def test_page_with_form(served_1):
    page = served_1.get("/")
    assert page.status == 200
    assert "<td>100021</td>" in page.text or "<td>200001</td>" in page.text
    assert served_1.get("/application.css").status == 200
    token = re.search(r'name="_token" value="([^"]+)"', page.text)[1]
    cookies = {"Cookie": "; ".join(cookie.split(";")[0] for cookie in page.headers.get_all("Set-Cookie"))}
    form = {"_token": token, "number": "200002", "phone": "+4912345678"}
    assert served_1.submit("/", {**form, "_token": "wrong"}, cookies).status == 419
    assert served_1.get("/api/bracelets/200002").status == 404
    assert "<td>200002</td>" in served_1.submit("/", form, cookies).text
    assert served_1.get("/api/bracelets/200002").status == 200


def test_what_is_not_served(served_1):
    for path in ("/metrics", "/metrics/", "//metrics", "/index.php/metrics", "/index.php", "/.env", "/artisan"):
        assert served_1.get(path).status == 404, path
    assert served_1.get("/../.env").status == 400
    assert served_1.metrics()


def test_metrics_of_the_alert_table(served_1):
    metrics = served_1.metrics()
    for name in (
        'queue_size{queue="default"}',
        'queue_reserved_jobs{queue="default"}',
        "app_sms_gateway_up",
        "app_sms_gateway_balance_eur",
        "app_system_load1",
        "app_process_resident_memory_bytes",
        'app_bracelets{status="confirmed"}',
        'app_bracelets{status="unconfirmed"}',
        'app_jobs{state="pending"}',
        'app_jobs{state="failed"}',
    ):
        assert name in metrics, name
    assert 10_000_000 < metrics["app_process_resident_memory_bytes"] < 130_023_424
    (build,) = (name for name in metrics if name.startswith("app_build_info"))
    assert re.fullmatch(
        r'app_build_info\{version="1\.0\.0",php="8\.4\.\d+",framework="10\.48\.\d+",environment="testing"\}', build
    )
    assert "app_scheduler_last_run_timestamp_seconds" not in metrics


def requests_counted(metrics: dict[str, float]) -> dict[str, float]:
    """Return the number of requests by class of status."""
    name = "app_http_requests_total"
    return {key.split('"')[1]: value for key, value in metrics.items() if key.startswith(name)}


def test_requests_are_counted(served_1):
    """Each visitor once, by the class of the answer, with its duration; neither probes nor scrapes."""
    before = served_1.metrics()
    assert set(requests_counted(before)) == {"2xx", "3xx", "4xx", "5xx"}
    for path, times in (("/", 3), ("/no-such-page", 2), ("/healthz", 4)):
        for _number in range(times):
            served_1.get(path)

    def counted() -> dict[str, float]:
        after = requests_counted(served_1.metrics())
        return {status: after[status] - count for status, count in requests_counted(before).items()}

    # The count follows the answer.
    wait_until(lambda: sum(counted().values()) >= 5, 5)
    assert counted() == {"2xx": 3, "3xx": 0, "4xx": 2, "5xx": 0}
    metrics = served_1.metrics()
    name = "app_http_request_duration_seconds"
    assert metrics[f"{name}_count"] == metrics[f'{name}_bucket{{le="+Inf"}}'] == sum(requests_counted(metrics).values())
    buckets = [
        metrics[f'{name}_bucket{{le="{bound}"}}'] for bound in ("0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10")
    ]
    assert buckets == sorted(buckets)
    assert 0 < metrics[f"{name}_sum"] - before[f"{name}_sum"] < 60


def test_scheduler(version_1, served_1):
    result = version_1.artisan("schedule:run")
    assert result.returncode == 0, result.stdout + result.stderr
    assert abs(served_1.metrics()["app_scheduler_last_run_timestamp_seconds"] - time.time()) < 60


def test_queue_and_gateway(version_1, served_1, containers):
    """Jobs wait, are done by the worker, fail while the gateway is down, and keep the request's trace."""
    assert json.loads(version_1.artisan("sms:gateway", "--balance=600").stdout)["balance_eur"] == 600
    waiting = served_1.metrics()['queue_size{queue="default"}']
    trace = "0af7651916cd43dd8448eb211c80319c"
    assert served_1.get("/healthz", traceparent=f"00-{trace}-b7ad6b7169203331-01").headers["X-Trace-Id"] == trace
    found = served_1.post("/api/bracelets/200001/found", {})
    assert found.status == 202
    assert served_1.metrics()['queue_size{queue="default"}'] == waiting + 1
    worker = version_1.worker()
    wait_until(lambda: served_1.metrics()['queue_size{queue="default"}'] == 0, 20, lambda: containers.logs(worker))
    assert served_1.metrics()["app_sms_gateway_balance_eur"] == pytest.approx(600 - 0.08 * (waiting + 1))
    log = [json.loads(line) for line in containers.logs(worker).splitlines() if '"message sent"' in line]
    assert found.headers["X-Trace-Id"] in {line["trace_id"] for line in log}

    version_1.artisan("sms:gateway", "--down")
    assert served_1.metrics()["app_sms_gateway_up"] == 0
    served_1.post("/api/bracelets/200001/found", {})
    wait_until(lambda: served_1.metrics()['app_jobs{state="delayed"}'] == 1, 20)
    version_1.artisan("sms:gateway", "--up")
    wait_until(lambda: served_1.metrics()['queue_size{queue="default"}'] == 0, 30)
    assert version_1.artisan("sms:gateway", "--up", "--down").returncode == 2
    assert containers.stop(worker) == 0


def test_feature_flag(version_1, served_1):
    """A switch changes the page at once, in the same process (R16)."""
    notice = "Maintenance is planned"
    assert notice not in served_1.get("/").text
    assert "on now" in version_1.artisan("feature:set", "maintenance-notice", "on").stdout
    assert notice in served_1.get("/").text
    assert "on already" in version_1.artisan("feature:set", "maintenance-notice", "on").stdout
    version_1.seed()
    assert notice in served_1.get("/").text
    version_1.artisan("feature:set", "maintenance-notice", "off")
    assert notice not in served_1.get("/").text
    assert version_1.artisan("feature:set", "no-such-flag", "on").returncode == 2


def test_log_is_json(served_1):
    registered = [line for line in served_1.log() if line["message"] == "bracelet registered"]
    assert registered
    for line in registered:
        assert line["level"] == "info"
        assert re.fullmatch("[0-9a-f]{32}", line["trace_id"])
        assert line["version"] == "1.0.0"


# --- failures --------------------------------------------------------------------------------------------------------


def test_health_names_the_part_that_fails(served_1, version_1, redis, containers):
    good = dict(version_1.secret)
    version_1.write_environment(DB_PASSWORD="wrong")
    answer = served_1.get("/healthz")
    assert answer.status == 503
    assert answer.json["checks"] == {"database": {"ok": False, "reason": "access denied"}, "redis": {"ok": True}}
    assert good["DB_USERNAME"] not in answer.text
    probe = served_1.probe()
    assert (probe.returncode, "access denied" in probe.stdout) == (1, True)
    version_1.write_environment(DB_PASSWORD=good["DB_PASSWORD"], REDIS_PASSWORD="wrong")
    assert served_1.get("/healthz").json["checks"]["redis"] == {"ok": False, "reason": "access denied"}
    version_1.write_environment(**good)
    containers.podman("pause", redis[0])
    try:
        answer = served_1.get("/healthz")
        assert answer.json["checks"]["redis"]["reason"] == "unreachable"
        metrics = served_1.metrics()
        assert metrics['app_dependency_up{dependency="redis"}'] == 0
        assert "app_sms_gateway_up" in metrics
        # Nothing is invented for what cannot be read.
        assert not requests_counted(metrics)
        # The count of a request that needs no Redis is lost; its answer is neither lost nor late.
        began = time.monotonic()
        assert served_1.get("/api/bracelets/200001").status == 200
        assert time.monotonic() - began < 1.5
    finally:
        containers.podman("unpause", redis[0])
    assert served_1.get("/healthz").status == 200


# --- rotation (R7) ---------------------------------------------------------------------------------------------------


def test_rotated_credentials_are_picked_up(served_1, version_1, database, containers):
    worker = version_1.worker()
    wait_until(lambda: served_1.metrics()['queue_size{queue="default"}'] == 0, 20, lambda: containers.logs(worker))
    old = {name: version_1.secret[name] for name in ("DB_USERNAME", "DB_PASSWORD")}
    with Visitor(served_1, 300000) as visitor:
        time.sleep(1)
        version_1.write_environment(**database.create_user())
        database.drop_user(old)
        time.sleep(2)
    assert visitor.requests > 10
    assert visitor.failures == []
    # The worker had a connection of the old user: only a new process logs in with the new one.
    wait_until(lambda: "the worker ends after its current job" in containers.logs(worker), 10)
    wait_until(lambda: old["DB_USERNAME"] not in {row[1] for row in database.sql("show processlist")}, 20)
    served_1.post("/api/bracelets/200001/found", {})
    wait_until(lambda: served_1.metrics()['queue_size{queue="default"}'] == 0, 20)
    assert served_1.metrics()['app_jobs{state="failed"}'] == 0
    assert containers.podman("inspect", "--format", "{{.State.Running}}", worker).stdout.strip() == "true"
    assert containers.stop(worker) == 0


def test_worker_failure_is_not_hidden(version_1, containers):
    """The supervisor restarts a worker that ended well; a failing one ends the container."""
    worker = version_1.worker("--no-such-option")
    assert int(containers.podman("wait", worker).stdout) == 1


# --- version 2 and back (R14, R17) -----------------------------------------------------------------------------------


def test_release_of_version_2_under_load(served_1, version_1, version_2, database, served_2):
    """Expand, seed and contract while version 1 serves and writes; its rows are kept and get the new column."""
    before = int(counts(database)["bracelets"])
    with Visitor(served_1, 400000) as visitor:
        assert "add_check_digit" in version_2.migrate("expand")
        assert served_2.get("/").status == 200
        version_2.seed()
        time.sleep(1)
        assert {"check_digit", "legacy_code"} <= columns(database)
        # Between back-fill and the end of version 1, rows without the digit are written; version 2 reads them all.
        missing = database.sql("select number from laravel_demo.bracelets where check_digit is null limit 1")
        assert missing
        assert isinstance(served_2.get(f"/api/bracelets/{missing[0][0]}").json["check_digit"], int)
        assert "drop_legacy_code" in version_2.migrate("contract")
        time.sleep(1)
    assert visitor.failures == []
    assert "legacy_code" not in columns(database)
    assert int(counts(database)["bracelets"]) == before + visitor.requests // 2
    version_2.seed()
    assert database.sql("select count(*) from laravel_demo.bracelets where check_digit is null") == [["0"]]


def test_repetition_of_version_2(version_2, database):
    rows = counts(database)
    assert NOTHING in version_2.migrate("expand")
    version_2.seed()
    assert NOTHING in version_2.migrate("contract")
    assert counts(database) == rows


def test_version_2_serves(served_2):
    assert served_2.post("/api/bracelets", {"number": 799273987, "phone": "+4912345678"}).status == 201
    answer = served_2.get("/api/bracelets/799273987")
    digits = [int(digit) for digit in reversed(f"799273987{answer.json['check_digit']}")]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[1::2]]
    assert (sum(digits[::2]) + sum(doubled)) % 10 == 0
    assert answer.headers["X-Application-Version"] == "2.0.0"
    assert "Check digit" in served_2.get("/").text
    assert any('version="2.0.0"' in name for name in served_2.metrics())


def test_rollback_by_one_version(served_1, version_1, database):
    """Version 1 works on the schema that version 2 has expanded and contracted, and its hooks change nothing."""
    with Visitor(served_1, 500000) as visitor:
        assert NOTHING in version_1.migrate("expand")
        version_1.seed()
        assert NOTHING in version_1.migrate("contract")
        time.sleep(1)
    assert visitor.failures == []
    assert "check_digit" in columns(database)
    assert served_1.get("/").status == 200


def test_no_secret_in_the_logs(served_1, served_2, version_1, containers):
    for name in containers.names:
        log = containers.logs(name)
        for key in ("APP_KEY", "DB_PASSWORD", "REDIS_PASSWORD"):
            assert version_1.secret[key] not in log
