# Copyright: (c) 2026, onprem.platform contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Private: may change in any release.
"""What preflight works with: findings, the facts of all hosts, the registry of checks, and the report."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

ERROR, WARNING = "error", "warning"
_WIDTHS = {"host": 14, "check": 19, "found": 42, "wanted": 30, "how to fix": 48}


@dataclass(frozen=True)
class Finding:
    """One thing that is not as needed. ``host`` is empty for what concerns no single host."""

    host: str
    check: str
    found: str
    wanted: str
    fix: str
    severity: str = ERROR


@dataclass
class Machine:
    """One host: what was read, what it reached, and its variables."""

    name: str
    control_plane: bool
    facts: dict[str, Any] | None = None
    message: str = ""
    mesh: list[dict[str, Any]] | None = None
    variables: dict[str, Any] = field(default_factory=dict)

    @property
    def kubelet(self) -> Mapping[str, Any]:
        """Settings of the kubelet that the inventory gives."""
        value = self.variables.get("kubernetes_kubelet_configuration")
        return value if isinstance(value, Mapping) else {}


@dataclass
class Site:
    """Everything that the checks may look at."""

    machines: list[Machine]
    settings: Mapping[str, Any]
    control_planes: list[str] = field(default_factory=list)
    known_variables: Mapping[str, str] = field(default_factory=dict)
    value_errors: list[tuple[str, str]] = field(default_factory=list)
    not_run: list[tuple[str, str]] = field(default_factory=list)

    def read(self) -> list[Machine]:
        """Machines whose facts were read."""
        return [machine for machine in self.machines if machine.facts]


Check = Callable[[Site], Iterable[Finding]]
CHECKS: dict[str, Check] = {}


def check(name: str) -> Callable[[Check], Check]:
    """Register a check under the name by which a site can skip it."""

    def register(function: Check) -> Check:
        CHECKS[name] = function
        return function

    return register


def evaluate(site: Site, skip: Iterable[str]) -> list[Finding]:
    """Run all checks except ``skip``. A finding that several hosts share is one finding with all their names."""
    skipped = set(skip)
    found: list[Finding] = []
    for name in sorted(skipped - set(CHECKS)):
        wanted = f"one of {', '.join(sorted(CHECKS))}"
        found.append(Finding("", "preflight_skip", name, wanted, "correct preflight_skip in the inventory"))
    for name, function in CHECKS.items():
        if name not in skipped:
            found.extend(function(site))
    return list(_merged(found, [machine.name for machine in site.machines]))


def _merged(found: list[Finding], names: list[str]) -> Iterator[Finding]:
    groups: dict[tuple[str, ...], list[str]] = {}
    for one in found:
        groups.setdefault((one.check, one.found, one.wanted, one.fix, one.severity), []).append(one.host)
    for (identifier, what, wanted, fix, severity), hosts in groups.items():
        host = "all hosts" if len(hosts) > 1 and set(hosts) == set(names) else " ".join(dict.fromkeys(hosts))
        yield Finding(host, identifier, what, wanted, fix, severity)


def table(found: list[Finding]) -> str:
    """Text table, errors first."""
    lines = [_row({name: name.upper() for name in _WIDTHS}), "-" * (sum(_WIDTHS.values()) + 2 * len(_WIDTHS))]
    for severity, title in ((ERROR, "errors"), (WARNING, "warnings")):
        rows = [one for one in found if one.severity == severity]
        if rows:
            lines.append(f"{title}: {len(rows)}")
        for one in rows:
            cells = (one.host or "-", one.check, one.found, one.wanted, one.fix)
            lines.append(_row(dict(zip(_WIDTHS, cells, strict=True))))
    return "\n".join(lines)


def _row(cells: Mapping[str, str]) -> str:
    columns = [textwrap.wrap(cells[name], width) or [""] for name, width in _WIDTHS.items()]
    height = max(len(column) for column in columns)
    rows = []
    for i in range(height):
        parts = [
            (column[i] if i < len(column) else "").ljust(width)
            for column, width in zip(columns, _WIDTHS.values(), strict=True)
        ]
        rows.append("  ".join(parts).rstrip())
    return "\n".join(rows)
