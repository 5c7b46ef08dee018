"""The state of Redis as a server knows it: since when it cannot be used, and why."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from threading import Lock

from handclasp.redis.clients import Place
from handclasp.redis.troubles import FleetError, explain


class Watch:
    """Notes outages, and calls `on_error` once for each.

    Args:
        clock: seconds since 1970.
        on_error: gets the error, in the thread that found it.
        place: where Redis is.

    Attributes:
        looked: whether Redis was asked at all.
        outage: since when it cannot be used, and why, by the latest attempt; None if it can be.
        history: the last outage that is over, in words.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        on_error: Callable[[FleetError], object] | None,
        place: Place,
    ) -> None:
        self._clock = clock
        self._on_error = on_error
        self._place = place
        self._lock = Lock()
        self.looked = False
        self.outage: tuple[float, FleetError] | None = None
        self.history = ""

    @property
    def in_touch(self) -> bool:
        """Whether the last exchange with Redis went well."""
        return self.looked and self.outage is None

    def begin_anew(self) -> None:
        """Replace the lock, which a thread of the parent process may have held."""
        self._lock = Lock()

    def note_success(self) -> None:
        """Note that Redis can be used."""
        with self._lock:
            if self.outage is not None:
                since, until = moment(self.outage[0]), moment(self._clock())
                self.history = f" It was away from {since} to {until}."
            self.looked, self.outage = True, None

    def note_failure(self, error: Exception) -> None:
        """Note that it cannot, and report it if that is new."""
        trouble = explain(error, self._place.speaks_tls)
        with self._lock:
            is_new = self.outage is None
            since = self._clock() if self.outage is None else self.outage[0]
            self.looked, self.outage = True, (since, trouble)
        if is_new:
            self.report(trouble)

    def report(self, trouble: FleetError) -> None:
        """Call `on_error`, whose own errors end no thread."""
        if self._on_error is not None:
            with suppress(Exception):
                self._on_error(FleetError(trouble.reason, trouble.kind, self._place.address))

    def outage_text(self) -> str:
        """Return the beginning of a sentence about the outage, up to its consequences."""
        if self.outage is None:
            return f"{self._place} has not answered yet"
        since, trouble = self.outage
        return f"{self._place} cannot be used since {moment(since)} ({trouble.cause})"


def moment(seconds: float) -> str:
    """Return a time since 1970 for people, in UTC."""
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(" ", "seconds")
    except (OverflowError, ValueError, OSError):
        return "a time far away"
