"""The costs of public-key and symmetric cryptography in this connection, as a plot.

The scale is logarithmic, since the two differ by so much. `costs.svg` draws it.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor, log10
from typing import NamedTuple

from handclasp.trace.events import RecordSeen, TraceEvent, WorkDone
from handclasp.values import dataclass

WIDTH = 380
"""In the units of the plot."""

_ROW = 34
_TOP = 14

_WORK = {
    "key_generation": "making a key pair",
    "key_agreement": "agreeing on the secret",
    "sign": "signing",
    "verify_signature": "checking the signature",
    "verify_chain": "verifying the certificates",
    "encrypt": "encrypting the secret",
    "decrypt": "decrypting the secret",
}


class Bar(NamedTuple):
    """One operation, and the length of its bar."""

    label: str
    elapsed_ns: int
    y: int
    width: float
    public: bool


class Line(NamedTuple):
    """A line of the grid, and its time."""

    x: float
    label: str


@dataclass(frozen=True, slots=True)
class Costs:
    """The plot, and its sums.

    Attributes:
        public_ns: the time of all public-key operations on the side that recorded.
        symmetric_ns: the time of sealing and opening all records.
        records, content: the number of these records, and the bytes in them.
    """

    height: int
    bars: tuple[Bar, ...]
    grid: tuple[Line, ...]
    public_ns: int
    symmetric_ns: int
    records: int
    content: int

    @property
    def times(self) -> int:
        """The number of records that could have been sealed or opened in the time of the public-key
        part.
        """
        return round(self.public_ns * self.records / max(self.symmetric_ns, 1))


def costs_of(events: Sequence[TraceEvent]) -> Costs | None:
    """Return the costs; None if either part was not measured."""
    work = [event for event in events if isinstance(event, WorkDone) and event.elapsed_ns > 0]
    records = [
        event
        for event in events
        if isinstance(event, RecordSeen) and event.epoch != "plaintext" and event.work_ns > 0
    ]
    if not work or not records:
        return None
    symmetric_ns = sum(event.work_ns for event in records)
    content = sum(event.content_size or 0 for event in records)
    plural = "record" if len(records) == 1 else "records"
    rows = [
        (f"{_WORK.get(event.operation, event.operation)}: {event.algorithm}", event.elapsed_ns)
        for event in work
    ]
    last = (f"sealing and opening {len(records):,} {plural}, {content:,} bytes", symmetric_ns)
    lowest = floor(log10(min(elapsed for _, elapsed in (*rows, last))))
    highest = max(ceil(log10(max(elapsed for _, elapsed in (*rows, last)))), lowest + 1)
    unit = WIDTH / (highest - lowest)
    bars = tuple(
        Bar(label, elapsed, _TOP + _ROW * index, _reach(elapsed, lowest, unit), index < len(rows))
        for index, (label, elapsed) in enumerate((*rows, last))
    )
    grid = tuple(
        Line(round((power - lowest) * unit, 1), _power_of_ten(power))
        for power in range(lowest, highest + 1)
    )
    public_ns = sum(event.elapsed_ns for event in work)
    height = _TOP + _ROW * len(bars) + 12
    return Costs(height, bars, grid, public_ns, symmetric_ns, len(records), content)


def _power_of_ten(power: int) -> str:
    """Return a power of ten in nanoseconds, in a suitable unit."""
    unit = min(power // 3, 3)
    return f"{10 ** (power - 3 * unit):,} {('ns', 'µs', 'ms', 's')[unit]}"


def _reach(elapsed: int, lowest: int, unit: float) -> float:
    return max(round((log10(elapsed) - lowest) * unit, 1), 1.5)
