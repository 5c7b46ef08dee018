"""The results as a table for the terminal and as the page docs/interop.md."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .matrix import Result
    from .peers.base import Peer


def as_text(results: Sequence[Result], local: Peer) -> str:
    counts = {}
    for result in results:
        counts[result.verdict] = counts.get(result.verdict, 0) + 1
    return ", ".join(f"{count} {verdict}" for verdict, count in counts.items())


def as_page(results: Sequence[Result], local: Peer) -> str:
    return ""
