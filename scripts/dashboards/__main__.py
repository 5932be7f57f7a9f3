# SPDX-FileCopyrightText: 2026 onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m dashboards generate | list | check`` with ``scripts`` on the Python path."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from . import expressions, live


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="dashboards", description="Grafana's dashboards and what proves them.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("generate", help="write the JSON files of role observability")
    commands.add_parser("list", help="print every expression of dashboards and rules")
    check = commands.add_parser("check", help="run every expression against a live Prometheus and Loki")
    check.add_argument("--prometheus", required=True, metavar="URL")
    check.add_argument("--loki", required=True, metavar="URL")
    check.add_argument(
        "--allow-empty",
        type=Path,
        default=live.ALLOW_EMPTY,
        metavar="FILE",
        help="expressions that may return nothing, with reasons",
    )
    return parser


def main() -> int:
    """Run one command; the exit code is 1 when an expression failed or returned nothing unexpectedly."""
    arguments = _parser().parse_args()
    if arguments.command == "generate":
        from . import generate  # the other commands run without Grafana's SDK

        for name in generate.write():
            print(f"wrote {name}")
        return 0
    if arguments.command == "list":
        for expression in expressions.all_expressions():
            print(f"{expression.key}\t{expression.language}\t{expression.text}")
        return 0
    result = live.check_live(arguments.prometheus, arguments.loki, live.read_allow_empty(arguments.allow_empty))
    print(result.summary())
    return 1 if result.failures else 0


if __name__ == "__main__":
    sys.exit(main())
