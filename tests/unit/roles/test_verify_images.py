# Copyright: (c) 2026, onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cases that the topics ``images`` and ``secrets`` make of their modules' results: what is found has to fail."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from jinja2.nativetypes import NativeEnvironment

TASKS = Path(__file__).resolve().parents[3] / "roles/verify/tasks"
FINDING = {
    "image": "app:1",
    "id": "CVE-2026-0001",
    "package": "libssl3t64",
    "installed": "1",
    "fixed": "2",
    "severity": "high",
    "source": "debian-tracker",
    "accepted": "",
}
NOTHING: dict[str, Any] = {"findings": [], "unused_acceptances": [], "unused_reports": []}


def cases(topic: str, **variables: Any) -> dict[str, str | None]:
    """Render a topic's cases; return suite and name -> failure."""
    tasks = yaml.safe_load((TASKS / f"{topic}.yml").read_text(encoding="utf-8"))
    template = next(task["vars"]["verify_cases"] for task in tasks if "vars" in task)
    rendered = NativeEnvironment().from_string(template).render(**variables)
    return {f"{case['suite']}: {case['name']}": case["failure"] for case in rendered}


RUNNING = {"digest": "sha256:a", "names": ["r/app:1"], "containers": ["shop/web-1/web"]}


def images(
    result: dict[str, Any],
    vulnerabilities: Any = "unknown",
    allowed: bool = True,
    running: tuple[dict[str, Any], ...] = (RUNNING,),
) -> dict[str, str | None]:
    judged = {"name": "app:1", "digest": "sha256:a", "config_digest": "sha256:b", "vulnerabilities": vulnerabilities}
    return cases(
        "images",
        __verify_vulnerabilities={**NOTHING, "images": [judged], **result},
        __verify_running={"images": list(running)},
        verify_image_severities=["high", "unknown"],
        verify_image_unknown_allowed=allowed,
    )


def test_an_image_without_findings_passes() -> None:
    assert images({}) == {
        "findings: app:1 has no unaccepted finding": None,
        "running: 1 images run": None,
        "running: sha256:a is judged here": None,
    }


def test_what_runs_has_to_be_judged() -> None:
    other = {**RUNNING, "digest": "sha256:c", "names": ["other/app:1"]}
    nameless = {**RUNNING, "digest": ""}
    found = images({}, running=(RUNNING, {**RUNNING, "digest": "sha256:b"}, other, nameless))
    assert found["running: sha256:a is judged here"] is found["running: sha256:b is judged here"] is None
    failure = "other/app:1 runs in shop/web-1/web, and is none of the images above"
    assert found["running: sha256:c is judged here"] == failure
    assert found["running: an image without digest is judged here"]
    assert images({}, running=())["running: 0 images run"] == "there was nothing to compare"


def test_what_nobody_knows_fails_where_it_has_to_be_known() -> None:
    assert "unknown" in str(images({}, allowed=False)["knowledge: the vulnerabilities of app:1 are known"])
    assert images({}, 0, allowed=False)["knowledge: the vulnerabilities of app:1 are known"] is None


def test_findings_fail_unless_they_are_accepted_or_of_another_severity() -> None:
    name = "findings: app:1 has no unaccepted finding"
    assert images({"findings": [FINDING]})[name] == "CVE-2026-0001 libssl3t64 1 (high, fixed in 2)\n"
    assert "no fix" in str(images({"findings": [{**FINDING, "fixed": "", "severity": "unknown"}]})[name])
    assert images({"findings": [{**FINDING, "accepted": "reason"}]})[name] is None
    assert images({"findings": [{**FINDING, "severity": "low"}]})[name] is None
    assert images({"findings": [{**FINDING, "image": "other:1"}]})[name] is None


def test_acceptances_and_reports_of_nothing_fail() -> None:
    found = images({"unused_acceptances": [{"id": "CVE-1", "expires": "2026-01-01"}], "unused_reports": ["/a.json"]})
    assert "2026-01-01" in str(found["accepted: CVE-1 is still accepted"])
    assert found["reports: /a.json"]


def secrets(missed: list[str], findings: list[dict[str, Any]]) -> list[str]:
    result = {"canaries": {"planted": 30, "missed": missed}, "files": 5, "findings": findings}
    return [name for name, failure in cases("secrets", __verify_secrets=result).items() if failure]


def test_found_secrets_and_missed_canaries_fail() -> None:
    finding = {"place": "image app:1: etc/key", "line": 3, "rule": "private-key", "description": "a key"}
    assert secrets([], []) == []
    assert secrets(["private key in run.log by private-key"], []) == ["canaries: 30 planted secrets are found"]
    assert secrets([], [finding]) == ["search: no secret in 5 files", "search: image app:1: etc/key:3"]
