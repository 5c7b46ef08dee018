"""Documents of which a program writes a part."""

from __future__ import annotations

import re
from pathlib import Path


def write_part(page: Path, program: str, text: str) -> None:
    """Write what stands in a document between the two comments with a program's name."""
    start, end = f"<!-- {program} begins -->\n", f"<!-- {program} ends -->\n"
    pattern = re.compile(re.escape(start) + ".*?" + re.escape(end), re.DOTALL)
    page.write_text(pattern.sub(lambda _: start + text + end, page.read_text()))
