"""What a call costs, counted: the same on every machine, however busy it is.

What C does for Python is not seen: a scan of a tuple counts as nothing, or as one. Where that
matters, `tests.adversarial.meter` counts the comparisons of what a peer sent.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class CountingBuffer(bytearray):
    """A buffer that counts the bytes that are sliced out of it."""

    copied = 0

    def __getitem__(self, key):  # type: ignore[no-untyped-def]
        got = super().__getitem__(key)
        if isinstance(key, slice):
            self.copied += len(got)
        return got


@contextmanager
def without_collections() -> Iterator[None]:
    """Keep the garbage of other tests out of a count: to collect it may run their finalizers."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@contextmanager
def _watched(
    trace: Callable[..., Any] | None, profile: Callable[..., Any] | None = None
) -> Iterator[None]:
    """Trace what runs meanwhile, and then go on as before (with coverage, for example)."""
    before = sys.gettrace(), sys.getprofile()
    with without_collections():
        if profile is not None:
            sys.setprofile(profile)
        sys.settrace(trace)
        try:
            yield
        finally:
            sys.settrace(before[0])
            sys.setprofile(before[1])


def bytecodes_of(call: Callable[[], object]) -> int:
    """How many bytecodes of Python a call runs, those in comprehensions included."""
    count = 0

    def note(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal count
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        count += event == "opcode"
        return note

    with _watched(note):
        call()
    return count


def events_of(call: Callable[[], object]) -> int:
    """How much Python runs in a call: every call, line and return counts as one."""
    count = 0

    def note(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal count
        count += 1
        return note

    with _watched(note):
        call()
    return count


def work_of(call: Callable[[], object]) -> int:
    """The same, and one for each call of what is not Python."""
    count = 0

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal count
        count += 1
        return trace

    def profile(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event == "c_call"

    with _watched(trace, profile):
        call()
    return count
