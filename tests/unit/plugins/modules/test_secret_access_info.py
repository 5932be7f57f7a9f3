# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who read a Secret, by lines in the form that an API server wrote."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.onprem.platform.plugins.filter.secret_access_table import secret_access_table
from ansible_collections.onprem.platform.plugins.modules import secret_access_info

ModuleRunner = Callable[..., dict[str, Any]]


def event(number: int, time: str = "10:00:00.000001", **change: Any) -> dict[str, Any]:
    """An event as kube-apiserver 1.36 writes it."""
    base: dict[str, Any] = {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "Metadata",
        "auditID": f"id-{number}",
        "stage": "ResponseComplete",
        "requestURI": "/api/v1/namespaces/shop/secrets/database",
        "verb": "get",
        "user": {"username": "jane", "groups": ["system:authenticated"]},
        "sourceIPs": ["192.0.2.1"],
        "userAgent": "kubectl/v1.36.3 (linux/amd64)",
        "objectRef": {"resource": "secrets", "namespace": "shop", "name": "database", "apiVersion": "v1"},
        "responseStatus": {"metadata": {}, "code": 200},
        "requestReceivedTimestamp": f"2026-11-21T{time}Z",
        "stageTimestamp": f"2026-11-21T{time}Z",
    }
    return {**base, **change}


def reference(**fields: str) -> dict[str, str]:
    return {"resource": "secrets", "apiVersion": "v1", **fields}


def write(path: Path, *events: Any) -> None:
    lines = [item if isinstance(item, str) else json.dumps(item, separators=(",", ":")) for item in events]
    data = ("\n".join(lines) + "\n").encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


def ask(run_module: ModuleRunner, path: Path, **more: Any) -> dict[str, Any]:
    return run_module(secret_access_info.main, {"namespace": "shop", "name": "database", "path": str(path), **more})


def test_missing_argument(run_module: ModuleRunner) -> None:
    assert "namespace" in run_module(secret_access_info.main, {"name": "x"})["msg"]


@pytest.mark.parametrize(
    ("option", "value"),
    [("namespace", "../shop"), ("name", "Data/base"), ("name", ""), ("since", "yesterday")],
)
def test_wrong_input_is_refused(run_module: ModuleRunner, tmp_path: Path, option: str, value: str) -> None:
    answer = ask(run_module, tmp_path / "audit.log", **{option: value})
    assert answer["failed"]
    assert option in answer["msg"]


def test_a_host_without_log_is_an_error(run_module: ModuleRunner, tmp_path: Path) -> None:
    answer = ask(run_module, tmp_path / "audit.log")
    assert "no API server" in answer["msg"]


def test_reads_are_grouped_and_others_left_out(run_module: ModuleRunner, tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    write(
        log,
        event(1, stage="RequestReceived"),
        event(1),
        event(2, time="11:00:00.000001"),
        event(3, objectRef=reference(namespace="shop", name="other")),
        event(4, objectRef=reference(namespace="bank", name="database")),
        event(5, objectRef={"resource": "configmaps", "namespace": "shop", "name": "database"}),
        event(6, verb="create", objectRef=reference(namespace="shop")),
        '{"objectRef":{"resource":"secrets"',
    )
    answer = ask(run_module, log)
    assert answer["changed"] is False
    assert answer["unreadable"] == 1
    assert len(answer["accesses"]) == 1
    access = answer["accesses"][0]
    assert (access["user"], access["verb"], access["scope"], access["requests"]) == ("jane", "get", "name", 2)
    assert (access["first"], access["last"]) == ("2026-11-21T10:00:00.000001Z", "2026-11-21T11:00:00.000001Z")
    assert access["content_logged"] is False


def test_lists_and_watches_hand_it_out_too(run_module: ModuleRunner, tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    write(
        log,
        event(1, verb="list", objectRef=reference(namespace="shop")),
        event(2, verb="watch", objectRef=reference(), stage="ResponseStarted"),
        event(2, verb="watch", objectRef=reference()),
        event(3, verb="list", objectRef=reference(namespace="bank")),
    )
    accesses = ask(run_module, log)["accesses"]
    assert sorted((item["verb"], item["scope"], item["requests"]) for item in accesses) == [
        ("list", "namespace", 1),
        ("watch", "cluster", 1),
    ]


def test_refusals_impersonation_and_content_are_told(run_module: ModuleRunner, tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    write(
        log,
        event(1, responseStatus={"code": 403}),
        event(2, impersonatedUser={"username": "admin"}),
        event(3, level="RequestResponse", responseObject={"data": {"password": "bm90IGxvZ2dlZA=="}}),
    )
    answer = ask(run_module, log, markers=["bm90IGxvZ2dlZA=="])
    assert [item["allowed"] for item in answer["accesses"] if item["code"] == 403] == [False]
    assert [item["impersonated"] for item in answer["accesses"] if item["impersonated"]] == ["admin"]
    assert [item["content_logged"] for item in answer["accesses"]].count(True) == 1
    assert answer["markers_found"] == 1
    assert "bm90IGxvZ2dlZA" not in json.dumps(answer["accesses"])


def test_rotated_files_are_read_until_they_are_too_old(run_module: ModuleRunner, tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    write(log, event(1, time="12:00:00.000001"))
    write(tmp_path / "audit-2026-11-21T11-30-00.000.log", event(2, time="11:00:00.000001"))
    write(tmp_path / "audit-2026-11-21T10-30-00.000.log.gz", event(3, time="10:00:00.000001"))
    write(tmp_path / "audit-2026-11-21T09-30-00.000.log", event(4, time="09:00:00.000001"))
    assert ask(run_module, log)["accesses"][0]["requests"] == 4
    answer = ask(run_module, log, since="2026-11-21T11:00:00Z")
    assert answer["accesses"][0]["requests"] == 2
    # The file before the given time was looked into, the one before that was not.
    assert answer["lines"] == 3


def test_a_damaged_file_is_an_error(run_module: ModuleRunner, tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    write(log, event(1))
    (tmp_path / "audit-2026-11-21T10-30-00.000.log.gz").write_bytes(b"\x1f\x8b broken")
    assert "cannot be read" in ask(run_module, log)["msg"]


def test_answers_of_several_servers_are_one_table(run_module: ModuleRunner, tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    write(log, event(1), event(2, responseStatus={"code": 403}, impersonatedUser={"username": "admin"}))
    answer = ask(run_module, log)
    lines = secret_access_table({"cp1": answer, "cp2": answer})
    assert lines[0].split()[:3] == ["last", "requests", "who"]
    assert any("admin (by jane)" in line and "403 refused" in line for line in lines)
    assert "cp1, cp2" in lines[-1]
    rows = secret_access_table({"cp1": answer, "cp2": answer}, rows=True)
    assert [(row["requests"], row["hosts"]) for row in rows["accesses"]] == [(2, ["cp1", "cp2"])] * 2
    with pytest.raises(AnsibleFilterError):
        secret_access_table({"cp1": {}})
