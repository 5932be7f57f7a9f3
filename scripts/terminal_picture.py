# SPDX-FileCopyrightText: 2026 onprem.platform contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Draw what a command has printed as a picture of a terminal (SVG), for the documentation.

Usage: COMMAND | python scripts/terminal_picture.py TITLE FILE
Colours of the command are kept; the picture loads nothing from elsewhere.
"""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

WIDTH = 110
# rich names a font of a public site; whoever reads the documentation may have no network.
_FOREIGN_FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
HEADER = """<!-- SPDX-FileCopyrightText: 2026 onprem.platform contributors
     SPDX-License-Identifier: GPL-3.0-or-later -->
"""


def picture(text: str, title: str) -> str:
    """Return the SVG of a terminal with the text; the same text gives the same picture."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(Text.from_ansi(text.rstrip("\n")), soft_wrap=False)
    svg = console.export_svg(title=title, unique_id="terminal")
    return HEADER + "\n".join(line.rstrip() for line in _FOREIGN_FONTS.sub("", svg).splitlines()).lstrip() + "\n"


def main() -> int:
    """Read the text from standard input and write the picture."""
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    text = sys.stdin.read()
    if not text.strip():
        print("nothing was printed, so there is nothing to draw", file=sys.stderr)
        return 1
    Path(sys.argv[2]).write_text(picture(text, sys.argv[1]), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
