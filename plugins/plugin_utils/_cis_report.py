# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Results of a benchmark and the waivers that explain them. Private: may change in any release."""

from __future__ import annotations

import datetime
import fnmatch
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ..module_utils._cis_result import FAIL, INFO, MANUAL, PASS, WAIVED, WARN, order, result

_WAIVER_KEYS = {"id", "reason", "hosts", "objects", "expires"}


class ReportError(Exception):
    """Waivers or results cannot be used; the text says which and why."""


def checked_waivers(waivers: Any) -> list[dict[str, Any]]:
    """The waivers with their defaults. Raises ReportError."""
    if not isinstance(waivers, list):
        raise ReportError("waivers are a list of entries with id and reason")
    checked = []
    for number, waiver in enumerate(waivers, 1):
        if not isinstance(waiver, Mapping):
            raise ReportError(f"waiver {number} is no mapping")
        unknown = sorted(set(waiver) - _WAIVER_KEYS)
        if unknown:
            raise ReportError(f"waiver {number} has unknown keys: {', '.join(unknown)}")
        if not waiver.get("id") or len(str(waiver.get("reason") or "").strip()) < 10:
            raise ReportError(f"waiver {number} needs an id and a reason in words")
        entry: dict[str, Any] = {"id": str(waiver["id"]), "reason": str(waiver["reason"]).strip(), "expires": ""}
        for key in ("hosts", "objects"):
            value = waiver.get(key) or ["*"]
            if not isinstance(value, list):
                raise ReportError(f"waiver {number}: {key} is a list of names or patterns")
            entry[key] = [str(item) for item in value]
        if waiver.get("expires"):
            try:
                entry["expires"] = datetime.date.fromisoformat(str(waiver["expires"])).isoformat()
            except ValueError as error:
                raise ReportError(f"waiver {number}: expires is a date such as 2027-03-31") from error
        checked.append(entry)
    return checked


def _matches(name: str, patterns: Sequence[str], groups: Mapping[str, Sequence[str]]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) or name in groups.get(pattern, ()) for pattern in patterns)


def apply_waivers(
    results: Sequence[Mapping[str, Any]],
    waivers: Any,
    groups: Mapping[str, Sequence[str]] | None = None,
    today: str = "",
) -> dict[str, Any]:
    """Put results and waivers together; see RETURN of the filter cis_report. Raises ReportError."""
    day = today or datetime.datetime.now(tz=datetime.timezone.utc).date().isoformat()
    entries = checked_waivers(waivers)
    valid = [entry for entry in entries if not entry["expires"] or entry["expires"] >= day]
    used: dict[int, set[str]] = {number: set() for number in range(len(valid))}
    judged = []
    for item in results:
        explained = dict(item, reasons=[])
        if item["status"] in (FAIL, WARN, MANUAL):
            left = list(item["objects"])
            covered = False
            for number, waiver in enumerate(valid):
                if waiver["id"] != item["id"] or not _matches(item["host"], waiver["hosts"], groups or {}):
                    continue
                hits = {
                    pattern
                    for pattern in waiver["objects"]
                    if not item["objects"] or fnmatch.filter(item["objects"], pattern)
                }
                if hits:
                    used[number] |= hits
                    covered = True
                    explained["reasons"].append(waiver["reason"])
                    left = [name for name in left if not _matches(name, waiver["objects"], {})]
            if covered and not left:
                explained["status"] = WAIVED
            explained["objects"] = left or item["objects"]
        judged.append(explained)
    judged.sort(key=lambda item: (order(item["id"]), item["host"]))
    unneeded = [
        {**waiver, "objects": [pattern for pattern in waiver["objects"] if pattern not in used[number]]}
        for number, waiver in enumerate(valid)
        if set(waiver["objects"]) - used[number]
    ]
    expired = [entry for entry in entries if entry not in valid]
    counts = Counter(item["status"] for item in judged)
    return {
        "results": judged,
        "summary": {status: counts[status] for status in (PASS, FAIL, WARN, MANUAL, INFO, WAIVED)},
        "unneeded_waivers": unneeded,
        "expired_waivers": expired,
        "cases": _cases(judged, expired),
        "lines": _lines(judged, unneeded, expired),
    }


def _cases(judged: Sequence[Mapping[str, Any]], expired: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What was executed, as cases of a test report. What only people can judge is no case."""
    cases = [
        {
            "suite": f"{item['id']} {item['title']}",
            "name": item["host"],
            "failure": _failure(item) if item["status"] == FAIL else None,
        }
        for item in judged
        if item["status"] in (PASS, FAIL, WAIVED)
    ]
    return cases + [
        {
            "suite": "waivers",
            "name": f"{entry['id']} until {entry['expires']}",
            "failure": f"expired on {entry['expires']}: solve it or decide anew ({entry['reason']})",
        }
        for entry in expired
    ]


def _failure(item: Mapping[str, Any]) -> str:
    objects = f" ({', '.join(item['objects'])})" if item["objects"] else ""
    return f"{item['found']}{objects}. {item['remedy']}".strip()


def _lines(
    judged: Sequence[Mapping[str, Any]],
    unneeded: Sequence[Mapping[str, Any]],
    expired: Sequence[Mapping[str, Any]],
) -> list[str]:
    """What people should read: everything that is not as wanted or not decided, same findings of hosts together."""
    together: dict[tuple[str, ...], list[str]] = {}
    for item in judged:
        if item["status"] in (FAIL, WARN, MANUAL):
            together.setdefault((item["status"], item["id"], item["title"], _failure(item)), []).append(item["host"])
    lines = [
        f"{status:6} {identifier:8} {title}: {failure} [{', '.join(hosts)}]"
        for (status, identifier, title, failure), hosts in together.items()
    ]
    lines += [
        f"waiver of {entry['id']} is no longer needed ({', '.join(entry['hosts'])}; {', '.join(entry['objects'])})"
        for entry in unneeded
    ]
    return lines + [f"waiver of {entry['id']} expired on {entry['expires']}" for entry in expired]


def kube_bench_results(document: Any, host: str) -> list[dict[str, Any]]:
    """Results from kube-bench's JSON (``kube-bench run --json``).

    Takes the form with ``Controls`` (since 0.6), a list of controls, and a single one. Raises ReportError.
    """
    controls = document.get("Controls", [document]) if isinstance(document, Mapping) else document
    states = {"PASS": PASS, "FAIL": FAIL, "WARN": WARN, "INFO": INFO}
    found = []
    try:
        for control in controls:
            for group in control["tests"]:
                for check in group["results"]:
                    status = states[check["status"]]
                    if status == WARN and check.get("type") == "manual":
                        status = MANUAL
                    text = check.get("reason") or check.get("actual_value") or "kube-bench says no more"
                    words = " ".join(str(text).split())[:300]
                    found.append(
                        result(
                            str(check["test_number"]),
                            str(check["test_desc"]).strip(),
                            host,
                            status,
                            words,
                            " ".join(str(check.get("remediation", "")).split()),
                        )
                    )
    except (KeyError, TypeError) as error:
        raise ReportError(f"this is not the JSON of kube-bench: {error!r}") from error
    if not found:
        raise ReportError("this JSON of kube-bench has no results")
    return found
