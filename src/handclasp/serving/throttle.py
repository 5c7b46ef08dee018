"""A bound for lines of a log that strangers can bring about, with a count of the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from handclasp.values import dataclass, field

PER_SECOND = 5.0
BURST = 50
SUMMARY_SECONDS = 10.0

_MOST_KINDS = 100
_MOST_SOURCES = 10_000


@dataclass(slots=True)
class Summary:
    """The lines that were left out.

    Attributes:
        count: how many.
        kinds: how many of each kind.
        sources: the different addresses that they are about, up to a bound.
        seconds: the time during which they would have been written.
    """

    count: int = 0
    kinds: Counter[str] = field(default_factory=Counter[str])
    sources: set[str] = field(default_factory=set[str])
    seconds: float = 0.0


class Throttle:
    """Lets a burst through, and then so many lines a second.

    Args:
        clock: gives seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._left = float(BURST)
        self._at = clock()
        self._summary: Summary | None = None
        self._since = 0.0

    def allows(self, kind: str, source: str) -> bool:
        """Return whether to write a line now; count it otherwise.

        Args:
            kind: the kind of the line, such as the name of a fault.
            source: whom it is about.
        """
        now = self._clock()
        self._left = min(BURST, self._left + (now - self._at) * PER_SECOND)
        self._at = now
        if self._left >= 1:
            self._left -= 1
            return True
        if self._summary is None:
            self._summary, self._since = Summary(), now
        summary = self._summary
        summary.count += 1
        if kind in summary.kinds or len(summary.kinds) < _MOST_KINDS:
            summary.kinds[kind] += 1
        if len(summary.sources) < _MOST_SOURCES:
            summary.sources.add(source)
        return False

    def take_summary(self, *, final: bool = False) -> Summary | None:
        """Return what was left out, some seconds after the first of them; None: nothing yet.

        Args:
            final: whether to return it at once.
        """
        summary = self._summary
        if summary is None:
            return None
        summary.seconds = self._clock() - self._since
        if not final and summary.seconds < SUMMARY_SECONDS:
            return None
        self._summary = None
        return summary
