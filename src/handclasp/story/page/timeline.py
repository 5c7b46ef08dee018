"""The use of time: when records were sent and received, and how long the questions took.

Python computes the layout; the template `timeline.svg` draws it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from handclasp.trace.events import (
    HandshakeResult,
    KeysInstalled,
    QuestionAnswered,
    RecordSeen,
    TraceEvent,
)
from handclasp.values import dataclass

WIDTH = 380
"""In the units of the picture."""


_QUESTIONS = {
    "Sign": "signing, with the private key",
    "VerifyPeer": "verifying the certificates",
    "ChooseConfig": "choosing the settings",
    "ChooseCredentials": "choosing a certificate",
    "ConfirmPeer": "asking the application",
    "FindPsk": "looking up an earlier key",
    "FindEchKeys": "looking up the keys for encrypted hellos",
}


class Bar(NamedTuple):
    """An operation: its start and end, in the units of the picture."""

    label: str
    elapsed_ns: int
    x: float
    width: float
    y: int


class Tick(NamedTuple):
    """A record: its place, its height, and whether it was encrypted."""

    x: float
    height: int
    sealed: bool


@dataclass(frozen=True, slots=True)
class Track:
    """The records of one direction, and the moments at which new keys took effect."""

    direction: str
    y: int
    count: int
    size: int
    ticks: tuple[Tick, ...]
    keys: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Timeline:
    """The records over time, and the duration of each question."""

    height: int
    total_ns: int
    bars: tuple[Bar, ...]
    tracks: tuple[Track, ...]


class _Scale(NamedTuple):
    begin: int
    end: int

    def __call__(self, at_ns: int) -> float:
        return round((at_ns - self.begin) * WIDTH / max(self.end - self.begin, 1), 1)


def timeline_of(events: Sequence[TraceEvent]) -> Timeline | None:
    """Return the picture; None without events."""
    if not any(isinstance(event, RecordSeen) for event in events):
        return None
    scale = _scale(events)
    bars: list[Bar] = []
    y = 16
    for event in events:
        if isinstance(event, QuestionAnswered) and event.at_ns <= scale.end:
            start = scale(event.at_ns - event.elapsed_ns)
            width = max(round(scale(event.at_ns) - start, 1), 1.5)
            label = _QUESTIONS.get(event.question, event.question)
            bars.append(Bar(label, event.elapsed_ns, start, width, y))
            y += 38
    tracks: list[Track] = []
    for direction in ("sent", "received"):
        tracks.append(_track(events, direction, scale, y))
        y += 44
    return Timeline(y, scale.end - scale.begin, tuple(bars), tuple(tracks))


def _scale(events: Sequence[TraceEvent]) -> _Scale:
    """Return the time from the first event to the end of the handshake, or the last event."""
    settled = next((event.at_ns for event in events if isinstance(event, HandshakeResult)), None)
    return _Scale(events[0].at_ns, settled if settled is not None else events[-1].at_ns)


def _track(events: Sequence[TraceEvent], direction: str, scale: _Scale, y: int) -> Track:
    seen = [
        event
        for event in events
        if isinstance(event, RecordSeen)
        and event.direction == direction
        and event.at_ns <= scale.end
    ]
    ticks = tuple(
        Tick(
            min(scale(event.at_ns), WIDTH - 2),
            min(4 + event.size // 100, 16),
            event.epoch != "plaintext",
        )
        for event in seen
    )
    keys = tuple(
        scale(event.at_ns)
        for event in events
        if isinstance(event, KeysInstalled)
        and event.direction == direction
        and event.at_ns <= scale.end
    )
    return Track(direction, y, len(seen), sum(event.size for event in seen), ticks, keys)
