# Copyright: (c) 2026, onprem.platform contributors
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt)
# SPDX-License-Identifier: BSD-2-Clause
"""The form of one judgement of the benchmark. Private: may change in any release.

Ids are those of the profile cis-2.0 (CIS Kubernetes Benchmark 2.0, made for Kubernetes 1.34 and 1.35).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

PASS = "PASS"  # executed and as wanted
FAIL = "FAIL"  # executed and not as wanted
WARN = "WARN"  # executed, not as wanted, and the profile leaves the decision to people
MANUAL = "MANUAL"  # not executed: only people can judge it
INFO = "INFO"  # does not apply here
WAIVED = "WAIVED"  # FAIL, WARN or MANUAL with a reason that the waivers give


def result(
    identifier: str,
    title: str,
    host: str,
    status: str,
    found: str,
    remedy: str = "",
    objects: Sequence[str] = (),
) -> dict[str, Any]:
    """One judgement. ``objects`` are the single things that are not as wanted, such as ``namespace/workload``."""
    return {
        "id": identifier,
        "title": title,
        "host": host,
        "status": status,
        "found": found,
        "remedy": "" if status in (PASS, INFO) else remedy,
        "objects": sorted(set(objects)),
    }


def order(identifier: str) -> tuple[tuple[int, int | str], ...]:
    """Sort key: 1.2.10 comes after 1.2.9, and words after numbers."""
    return tuple((0, int(part)) if part.isdigit() else (1, part) for part in identifier.split("."))
