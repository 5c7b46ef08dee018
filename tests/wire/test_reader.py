"""The reader never looks past its end, and names the field where something is wrong."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.wire import writer
from handclasp.wire.reader import Reader

READS: dict[str, Callable[[Reader], Any]] = {
    "uint8": lambda reader: reader.uint8("f"),
    "uint16": lambda reader: reader.uint16("f"),
    "uint24": lambda reader: reader.uint24("f"),
    "uint32": lambda reader: reader.uint32("f"),
    "opaque": lambda reader: reader.opaque("f", 3),
    "opaque8": lambda reader: reader.opaque8("f", 1, 40),
    "opaque16": lambda reader: reader.opaque16("f", 1, 300),
    "opaque24": lambda reader: reader.opaque24("f", 1, 300),
    "vector8": lambda reader: reader.vector8("f", 1),
    "vector16": lambda reader: reader.vector16("f", 1),
    "vector24": lambda reader: reader.vector24("f", 1),
    "pairs": lambda reader: list(reader.pairs("f", "g")),
    "uint16s8": lambda reader: reader.uint16s8("f"),
    "uint16s16": lambda reader: reader.uint16s16("f"),
    "end": lambda reader: reader.end(),
}


def _pairs(reader: Reader) -> list[tuple[int, bytes]]:
    return list(reader.pairs("kind", "content"))


def refused(call: Callable[[], object]) -> ProtocolError:
    with pytest.raises(ProtocolError) as caught:
        call()
    assert caught.value.fault is Fault.DECODE_ERROR
    return caught.value


@pytest.mark.parametrize(
    ("name", "size", "value"), [("uint8", 1, 0xA1), ("uint16", 2, 0xA1B2), ("uint24", 3, 0xA1B2C3)]
)
def test_integers_are_big_endian(name: str, size: int, value: int) -> None:
    data = value.to_bytes(size, "big")
    reader = Reader(data, "m")
    assert getattr(reader, name)("f") == value
    assert not reader.more()
    for short in range(size):
        refused(partial(getattr(Reader(data[:short], "m"), name), "f"))


def test_uint32() -> None:
    assert Reader(b"\xff\xfe\xfd\xfc", "m").uint32("f") == 0xFFFEFDFC
    refused(lambda: Reader(b"\xff\xfe\xfd", "m").uint32("f"))


@pytest.mark.parametrize(("read", "write"), [("opaque8", 1), ("opaque16", 2), ("opaque24", 3)])
@pytest.mark.parametrize("size", [0, 1, 2, 254, 255])
def test_an_opaque_field_is_as_long_as_it_says(read: str, write: int, size: int) -> None:
    content = bytes(range(size % 256)) if size < 256 else bytes(size)
    data = len(content).to_bytes(write, "big") + content
    reader = Reader(data + b"z", "m")
    assert getattr(reader, read)("f") == content
    assert reader.opaque("rest", 1) == b"z"
    assert getattr(writer, read)(content) == data
    if size:
        refused(lambda: getattr(Reader(data[:-1], "m"), read)("f"))


@pytest.mark.parametrize(("read", "width"), [("opaque8", 1), ("opaque16", 2), ("opaque24", 3)])
def test_bounds_of_an_opaque_field_are_inclusive(read: str, width: int) -> None:
    for size in range(8):
        data = size.to_bytes(width, "big") + bytes(size)
        attempt = partial(getattr(Reader(data, "m"), read), "f", 2, 5)
        if 2 <= size <= 5:
            assert attempt() == bytes(size)
        else:
            assert "2 to 5" in str(refused(attempt))


@pytest.mark.parametrize(("read", "width"), [("vector8", 1), ("vector16", 2), ("vector24", 3)])
def test_a_vector_ends_where_its_length_says(read: str, width: int) -> None:
    data = (2).to_bytes(width, "big") + b"abX"
    reader = Reader(data, "outer")
    vector = getattr(reader, read)("inner", 2)
    assert vector.path == "outer.inner"
    assert vector.opaque("f", 2) == b"ab"
    assert not vector.more()
    # The byte after the vector is there, but it is not the vector's.
    refused(lambda: vector.uint8("f"))
    assert reader.more()
    assert reader.uint8("f") == ord("X")
    reader.end()
    refused(lambda: getattr(Reader(data, "outer"), read)("inner", 3))


@pytest.mark.parametrize(("read", "width"), [("uint16s8", 1), ("uint16s16", 2)])
def test_lists_of_two_byte_values(read: str, width: int) -> None:
    values = (0, 1, 0x0102, 0xFFFF)
    body = writer.uint16s(values)
    data = len(body).to_bytes(width, "big") + body
    assert getattr(Reader(data, "m"), read)("f") == values
    odd = (3).to_bytes(width, "big") + b"abc"
    assert "odd" in str(refused(lambda: getattr(Reader(odd, "m"), read)("f")))
    empty = bytes(width)
    refused(lambda: getattr(Reader(empty, "m"), read)("f"))


def test_pairs_take_all_that_is_left() -> None:
    reader = Reader(b"\x09\0\x01\0\0\xff\xfe\0\x02ab", "m", 1)
    assert list(reader.pairs("kind", "content")) == [(1, b""), (0xFFFE, b"ab")]
    reader.end()
    assert list(reader.pairs("kind", "content")) == []


@pytest.mark.parametrize(
    ("data", "field"),
    [(b"\0", "kind"), (b"\0\x01\0", "content"), (b"\0\x01\0\x02a", "content")],
    ids=["kind", "length", "content"],
)
def test_the_pair_that_is_cut_short_is_named(data: bytes, field: str) -> None:
    whole = b"\0\x02\0\x01z" + data
    for reader in (Reader(whole, "m"), Reader(whole + b"more", "m", 0, len(whole))):
        error = refused(partial(_pairs, reader))
        assert error.detail.startswith(f"m.{field}: ")


def test_trailing_bytes_are_refused() -> None:
    reader = Reader(b"abc", "m")
    reader.uint8("f")
    assert "2 bytes too many" in str(refused(reader.end))


def test_the_error_names_the_field() -> None:
    error = refused(lambda: Reader(b"\x05ab", "ClientHello").opaque8("legacy_session_id"))
    assert error.detail.startswith("ClientHello.legacy_session_id: ")


def test_a_reader_of_a_part_stays_inside_it() -> None:
    reader = Reader(b"abcdef", "m", 2, 4)
    assert reader.opaque("f", 2) == b"cd"
    reader.end()
    refused(lambda: reader.uint8("f"))


def test_a_subclass_reads_vectors_by_itself() -> None:
    class Annotating(Reader):
        __slots__ = ()

    assert type(Annotating(b"\x01a", "m").vector8("f")) is Annotating


@settings(deadline=None)
@given(data=st.binary(max_size=64), reads=st.lists(st.sampled_from(sorted(READS)), max_size=8))
def test_whatever_is_read_nothing_but_decode_error_is_raised(data: bytes, reads: list[str]) -> None:
    reader = Reader(data, "m")
    found = Fault.DECODE_ERROR
    for name in reads:
        try:
            result = READS[name](reader)
        except ProtocolError as error:
            found = error.fault
            break
        if isinstance(result, Reader):
            reader = result
    assert found is Fault.DECODE_ERROR


@pytest.mark.parametrize(("write", "most"), [("opaque8", 0xFF), ("opaque16", 0xFFFF)])
def test_what_does_not_fit_its_length_is_not_written(write: str, most: int) -> None:
    assert len(getattr(writer, write)(bytes(most))) > most
    with pytest.raises(OverflowError):
        getattr(writer, write)(bytes(most + 1))
