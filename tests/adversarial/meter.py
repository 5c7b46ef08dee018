"""What it costs to take what a peer sent, counted: lines of Python, and comparisons of its values.

Lines alone tell less than they seem to: `name in names` is part of one, however long the tuple is
that it goes through. So the values that come out of a peer's message are counted, too, each time
that one of them is compared with something, or hashed (`counted_values`): by whatever code, also
that of the interpreter itself.
"""

from __future__ import annotations

import gc
import struct
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import CodeType, FrameType, TracebackType
from typing import Any

import pytest

from handclasp import iana
from handclasp.wire import reader

_MODULES = ("handclasp.handshake", "handclasp.wire")


class _Comparisons:
    count = 0


class CountedInt(int):
    """A number that a peer sent."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        _Comparisons.count += 1
        return int.__eq__(self, other)

    def __hash__(self) -> int:
        _Comparisons.count += 1
        return int.__hash__(self)


class CountedStr(str):
    """A name that stands for what a peer sent."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        _Comparisons.count += 1
        return str.__eq__(self, other)

    def __hash__(self) -> int:
        _Comparisons.count += 1
        return str.__hash__(self)


class CountedBytes(bytes):
    """Bytes that a peer sent."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        _Comparisons.count += 1
        return bytes.__eq__(self, other)

    def __hash__(self) -> int:
        _Comparisons.count += 1
        return bytes.__hash__(self)


_UNCOUNTED: frozenset[CodeType] = frozenset(
    method.__code__
    for kind in (CountedInt, CountedStr, CountedBytes)
    for method in (kind.__eq__, kind.__hash__)
)


@dataclass(frozen=True)
class Work:
    """What was counted."""

    lines: int
    comparisons: int


class Meter:
    """Counts what runs inside of its `with` blocks, all together."""

    def __init__(self) -> None:
        self._lines = 0
        self._comparisons = 0
        self._began = 0
        self._before: Any = None

    @property
    def work(self) -> Work:
        return Work(self._lines, self._comparisons)

    def __enter__(self) -> None:
        self._began = _Comparisons.count
        self._before = sys.gettrace()
        sys.settrace(self._enter_frame)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        sys.settrace(self._before)
        self._comparisons += _Comparisons.count - self._began

    def _enter_frame(self, frame: FrameType, event: str, argument: object) -> Any:
        if frame.f_code in _UNCOUNTED:
            return None
        self._lines += 1
        return self._in_frame

    def _in_frame(self, frame: FrameType, event: str, argument: object) -> Any:
        # A loop on one line is a line anew each time round.
        self._lines += 1
        return self._in_frame


class Stopwatch:
    """Processor time instead, where the sizes are the largest: it sees what nothing else does."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._began = 0.0

    def __enter__(self) -> None:
        self._began = time.process_time()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.seconds += time.process_time() - self._began


def counted(value: Any) -> Any:
    """The value as one of a peer's that is counted."""
    match value:
        case bool():
            return value
        case int():
            return CountedInt(value)
        case str():
            return CountedStr(value)
        case bytes():
            return CountedBytes(value)
        case _:
            return value


def _counting(read: Callable[..., Any]) -> Callable[..., Any]:
    def count(*args: Any, **kwds: Any) -> Any:
        return counted(read(*args, **kwds))

    return count


def _counting_pairs(read: Callable[..., Any]) -> Callable[..., Any]:
    def count(*args: Any) -> Iterator[Any]:
        return ((counted(kind), counted(content)) for kind, content in read(*args))

    return count


def _unpack(form: str, data: bytes) -> tuple[Any, ...]:
    return tuple(map(counted, struct.unpack(form, data)))


@pytest.fixture
def counted_values(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever is read from a message, and every name in its place, is counted."""
    with monkeypatch.context() as patch:
        patch.setattr(reader, "unpack", _unpack)
        for method in ("uint8", "uint16", "opaque", "opaque16"):
            read = getattr(reader.Reader, method)
            patch.setattr(reader.Reader, method, _counting(read))
        opaques16 = reader.Reader.opaques16
        patch.setattr(
            reader.Reader, "opaques16", lambda *args: (counted(each) for each in opaques16(*args))
        )
        patch.setattr(reader.Reader, "pairs", _counting_pairs(reader.Reader.pairs))
        for name, table in vars(iana).copy().items():
            if name.endswith("_NAMES") and isinstance(table, dict):
                patch.setattr(iana, name, {key: counted(each) for key, each in table.items()})
        patch.setattr(iana, "_unnamed", _counting(iana._unnamed))  # pyright: ignore[reportPrivateUsage]
        yield
    for each in gc.get_objects():
        # What is kept of what was read must not be counted in other tests.
        if type(each).__name__ == "_lru_cache_wrapper" and each.__module__.startswith(_MODULES):
            each.cache_clear()


def assert_linear(
    measure: Callable[[int], Work], sizes: tuple[int, int, int], *, slack: int = 500
) -> None:
    """Twice as much costs twice as much, whatever the fixed costs are.

    Args:
        measure: what so many entries cost.
        sizes: each twice the one before.
        slack: lines that do not count: a record more, a larger table.
    """
    measure(sizes[0])  # What is imported late, and cached, is imported and cached now.
    works = [measure(size) for size in sizes]
    for what, allowed in (("lines", slack), ("comparisons", 300)):
        one, two, four = [getattr(work, what) for work in works]
        assert four - two <= 2.6 * max(two - one, 0) + allowed, f"{what}: {one:,} {two:,} {four:,}"


def assert_linear_time(measure: Callable[[int], float], largest: int) -> None:
    """The same in processor time, with so much room that only squares are noticed.

    Four times as much may take eight times as long, and 50 milliseconds more.
    """
    measure(largest // 4)
    quarter = min(measure(largest // 4) for _ in range(3))
    whole = min(measure(largest) for _ in range(3))
    assert whole < 8 * quarter + 0.05, f"{quarter:.3f} s for a quarter, {whole:.3f} s for all"
