# SPDX-FileCopyrightText: 2026 onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print the branch coverage that the unit tests left in .build/coverage.json, and fail below a share.

Usage: python scripts/branch_coverage.py PATH_PART PERCENT, such as plugins/module_utils/ 90
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

REPORT = Path(".build/coverage.json")
SHOWN = 10


def main(part: str, wanted: float) -> int:
    """Return the exit code: 1 when fewer percent of the branches ran than wanted."""
    if not REPORT.exists():
        print(f"There is no {REPORT}: run `make unit` first.", file=sys.stderr)
        return 1
    files = json.loads(REPORT.read_text(encoding="utf-8"))["files"]
    found = {name: item["summary"] for name, item in files.items() if part in name}
    branches = sum(item["num_branches"] for item in found.values())
    if not branches:
        print(f"{REPORT} knows no file of {part}", file=sys.stderr)
        return 1
    missing = {name: item["num_branches"] - item["covered_branches"] for name, item in found.items()}
    share = 100 * (1 - sum(missing.values()) / branches)
    for name, count in sorted(missing.items(), key=lambda item: -item[1])[:SHOWN]:
        print(f"{count:4} of {found[name]['num_branches']:4} branches never taken: {name.rpartition(part)[2]}")
    print(f"{share:.1f} % of {branches} branches below {part} are covered; {wanted:g} % are wanted")
    return 0 if share >= wanted else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], float(sys.argv[2])))
