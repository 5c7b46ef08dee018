"""How wide the terminal is that people read on."""

from __future__ import annotations

import os
import shutil
import textwrap
from typing import IO, Any

NARROWEST = 60
"""Columns: what is told fits these, and no fewer."""

_WIDEST = 1000
_BELOW_A_LABEL = 6


def columns(widest: int = 80) -> int:
    """The columns to fill: those of the terminal, within bounds; 80 where there is none."""
    return min(max(shutil.get_terminal_size().columns, NARROWEST), widest)


def terminal_width(stream: IO[Any]) -> int:
    """The columns of the terminal behind a stream, which standard output need not be."""
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
    """The lines of a text. Words are kept whole, be they wider than a line: they may be copied.

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
    """The lines of a text beside a label, and the margin of all but the first.

    Where a word does not fit there, the text begins below the label instead: the first line is
    empty then, and the margin small.
    """
    longest = max(map(len, text.split()), default=0)
    if longest <= width - margin:
        return margin, wrapped(text, width - margin) or [""]
    return _BELOW_A_LABEL, ["", *wrapped(text, width - _BELOW_A_LABEL)]
