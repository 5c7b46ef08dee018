"""The width of the terminal."""

from __future__ import annotations

import os
import shutil
import textwrap
from typing import IO, Any

NARROWEST = 60
"""The smallest number of columns that the output fits."""

_WIDEST = 1000
_BELOW_A_LABEL = 6


def columns(widest: int = 80) -> int:
    """Return the columns to fill: those of the terminal, within bounds; 80 without a terminal."""
    return min(max(shutil.get_terminal_size().columns, NARROWEST), widest)


def terminal_width(stream: IO[Any]) -> int:
    """Return the columns of the terminal of a stream, which may differ from standard output."""
    if os.environ.get("COLUMNS", "").isdecimal():
        return columns(_WIDEST)
    try:
        found = os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):
        return columns(_WIDEST)
    return max(found, NARROWEST) if found else columns(_WIDEST)


def wrapped(
    text: str, width: int | None = None, *, initial: str = "", below: str = ""
) -> list[str]:
    """Return the lines of a text. Words are never split, even if too wide, so that they can be
    copied.

    Args:
        width: columns; those of the terminal, unless it is given.
        initial, below: what stands before the first line, and before the others.
    """
    return textwrap.wrap(
        text,
        columns() if width is None else width,
        initial_indent=initial,
        subsequent_indent=below,
        break_long_words=False,
        break_on_hyphens=False,
    )


def beside(margin: int, text: str, width: int) -> tuple[int, list[str]]:
    """Return the lines of a text beside a label, and the margin of all but the first.

    Where a word does not fit there, the text begins below the label instead: the first line is
    empty then, and the margin small.
    """
    longest = max(map(len, text.split()), default=0)
    if longest <= width - margin:
        return margin, wrapped(text, width - margin) or [""]
    return _BELOW_A_LABEL, ["", *wrapped(text, width - _BELOW_A_LABEL)]
