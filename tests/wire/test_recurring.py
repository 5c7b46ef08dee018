"""What recurs is read once; what is long, or wrong, each time."""

from __future__ import annotations

import pytest

from handclasp.wire.recurring import recurring


def test_short_values_are_read_once_and_long_ones_each_time() -> None:
    seen: list[bytes] = []

    @recurring
    def read(data: bytes) -> int:
        seen.append(data)
        return len(data)

    short, long = bytes(256), bytes(257)
    assert [read(short), read(bytes(bytearray(256))), read(long), read(long)] == [
        256,
        256,
        257,
        257,
    ]
    assert seen == [short, long, long]


def test_what_cannot_be_read_raises_each_time() -> None:
    @recurring
    def read(data: bytes) -> int:
        raise ValueError(data)

    for _ in range(2):
        with pytest.raises(ValueError):
            read(b"x")


def test_it_does_not_grow_without_end() -> None:
    seen: list[bytes] = []

    @recurring
    def read(data: bytes) -> None:
        seen.append(data)

    for number in range(257):
        read(number.to_bytes(2, "big"))
    read((256).to_bytes(2, "big"))
    assert len(seen) == 257
    read((0).to_bytes(2, "big"))  # The oldest had to go.
    assert len(seen) == 258
