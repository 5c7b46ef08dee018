"""What recurs is read once; what is long, or wrong, or of a failed handshake, each time."""

from __future__ import annotations

import pytest

from handclasp.wire.memoize import MOST_BYTES, Reading, new_memo


class Reader:
    """A pure function that notes what it was asked."""

    def __init__(self) -> None:
        self.seen: list[bytes] = []

    def __call__(self, data: bytes) -> int:
        self.seen.append(data)
        return len(data)


def test_short_values_are_read_once_and_long_ones_each_time() -> None:
    memo, read = new_memo(), Reader()
    short, long = bytes(256), bytes(257)
    for _ in range(2):
        reading = Reading(memo)
        assert [reading.read(read, data) for data in (short, long)] == [256, 257]
        reading.accepted()
    assert read.seen == [short, long, long]


def test_what_was_read_in_a_handshake_that_failed_is_not_kept() -> None:
    memo, read = new_memo(), Reader()
    for _ in range(2):
        Reading(memo).read(read, b"x")
        Reading(memo).note((read, b"y"), 1, size=10)
    assert read.seen == [b"x"] * 2
    assert len(memo) == 0


def test_what_is_noted_is_known_once_the_handshake_is_complete() -> None:
    memo, key = new_memo(), (len, b"x")
    reading = Reading(memo)
    reading.note(key, "value", size=10)
    assert Reading(memo).known(key) is None
    reading.accepted()
    assert Reading(memo).known(key) == "value"
    assert memo.size > 10


def test_what_cannot_be_read_raises_each_time() -> None:
    def read(data: object) -> int:
        raise ValueError(data)

    reading = Reading(new_memo())
    for _ in range(2):
        with pytest.raises(ValueError):
            reading.read(read, b"x")
        reading.accepted()


def test_functions_do_not_take_each_other_s_values() -> None:
    memo = new_memo()
    reading = Reading(memo)
    assert reading.read(bytes.hex, b"ab") == "6162"
    reading.accepted()
    assert reading.read(bytes.upper, b"ab") == b"AB"


def test_it_does_not_grow_without_end() -> None:
    memo, read = new_memo(), Reader()
    for number in range(1_000):
        reading = Reading(memo)
        reading.read(read, number.to_bytes(2, "big") + bytes(200))
        reading.note((read, (number,)), number, size=20_000)
        reading.accepted()
        assert memo.size <= MOST_BYTES
    assert len(memo) < 100
