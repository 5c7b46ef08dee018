"""How wide the terminal is that people read on."""

from __future__ import annotations

import shutil

NARROWEST = 60
"""Columns: what is told fits these, and no fewer."""


def columns(widest: int = 80) -> int:
    """The columns to fill: those of the terminal, within bounds; 80 where there is none."""
    return min(max(shutil.get_terminal_size().columns, NARROWEST), widest)
