"""A reader that annotates reads the same as the one it stands in for, and notes every byte."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.wire import values

from handclasp.errors import ProtocolError
from handclasp.trace.annotate import Noted, opener_into
from handclasp.wire.codecs import write_message
from handclasp.wire.extensions import read_alpn, read_supported_versions, write_alpn
from handclasp.wire.messages import Message, read_message
from handclasp.wire.reader import Reader


def noted(read: Callable[[Reader], object], data: bytes) -> list[Noted]:
    """What reading leaves behind, whether it goes well or not."""
    parts: list[Noted] = []
    with suppress(ProtocolError):
        read(opener_into(parts)(data, "test"))
    return parts


def ranges(parts: list[Noted]) -> list[tuple[str, int, int]]:
    return [(part.name, part.start, part.end) for part in parts]


@given(values.messages)
def test_the_codec_reads_the_same_value_with_it(message: Message) -> None:
    raw = write_message(message)
    assert read_message(raw, opener_into([])) == read_message(raw)


@given(values.messages, st.data())
def test_and_fails_in_the_same_words(message: Message, data: st.DataObject) -> None:
    """Of a message that is cut off, or has a byte changed."""
    raw = bytearray(write_message(message))
    raw[data.draw(st.integers(4, max(4, len(raw) - 1))) : None] = data.draw(st.binary(max_size=3))
    broken = bytes(raw)

    def outcome(**settings: object) -> object:
        try:
            return read_message(broken, **settings)  # type: ignore[arg-type]
        except ProtocolError as error:
            return str(error)

    assert outcome(opener=opener_into([])) == outcome()


def test_numbers_by_name_range_and_value() -> None:
    def read(reader: Reader) -> None:
        reader.uint8("one")
        reader.uint16("two")
        reader.uint24("three")
        reader.uint32("four")

    parts = noted(read, bytes(range(10)))
    assert ranges(parts) == [("one", 0, 1), ("two", 1, 3), ("three", 3, 6), ("four", 6, 10)]
    assert [part.number for part in parts] == [0, 0x0102, 0x030405, 0x06070809]


@pytest.mark.parametrize(("read", "width"), [("opaque8", 1), ("opaque16", 2), ("opaque24", 3)])
def test_a_variable_field_has_its_length_and_its_content(read: str, width: int) -> None:
    data = (2).to_bytes(width, "big") + b"ab"
    (field,) = noted(lambda reader: getattr(reader, read)("field"), data)
    assert (field.name, field.start, field.end) == ("field", 0, width + 2)
    assert ranges(field.parts) == [("length", 0, width), ("content", width, width + 2)]


def test_an_empty_content_is_no_field() -> None:
    (field,) = noted(lambda reader: reader.opaque8("field"), b"\x00")
    assert ranges(field.parts) == [("length", 0, 1)]


@pytest.mark.parametrize(("read", "width"), [("vector8", 1), ("vector16", 2), ("vector24", 3)])
def test_what_is_read_from_a_vector_is_part_of_it(read: str, width: int) -> None:
    def elements(reader: Reader) -> None:
        vector = getattr(reader, read)("vector")
        while vector.more():
            vector.opaque8("element")

    (vector,) = noted(elements, (4).to_bytes(width, "big") + b"\x01a\x01b")
    assert vector.repeats
    assert vector.end == width + 4
    assert ranges(vector.parts) == [
        ("length", 0, width),
        ("element", width, width + 2),
        ("element", width + 2, width + 4),
    ]


@pytest.mark.parametrize(("read", "width"), [("uint16s8", 1), ("uint16s16", 2)])
def test_each_number_of_a_list_is_a_field(read: str, width: int) -> None:
    data = (4).to_bytes(width, "big") + b"\x13\x01\x13\x02"
    (field,) = noted(lambda reader: getattr(reader, read)("suites"), data)
    assert ranges(field.parts) == [
        ("length", 0, width),
        ("suites", width, width + 2),
        ("suites", width + 2, width + 4),
    ]
    assert [part.number for part in field.parts] == [4, 0x1301, 0x1302]


def test_what_was_read_before_a_fault_stays_noted() -> None:
    def read(reader: Reader) -> None:
        vector = reader.vector8("vector")
        vector.uint8("fine")
        vector.uint16("cut off")

    (vector,) = noted(read, b"\x02ab")
    assert ranges(vector.parts) == [("length", 0, 1), ("fine", 1, 2)]
    assert (vector.start, vector.end) == (0, 3)


def test_a_length_that_announces_too_much_stays_noted() -> None:
    (field,) = noted(lambda reader: reader.opaque16("field"), b"\x00\x09abc")
    assert ranges(field.parts) == [("length", 0, 2)]
    assert field.parts[0].number == 9
    assert field.end == 2


def test_a_base_moves_all_ranges() -> None:
    parts: list[Noted] = []
    read_alpn(write_alpn([b"h2"]), opener_into(parts, 100))
    read_supported_versions(b"\x02\x03\x04", opener_into(parts, 200))
    assert ranges(parts) == [("protocol_name_list", 100, 105), ("versions", 200, 203)]
    assert ranges(parts[0].parts[1].parts) == [("length", 102, 103), ("content", 103, 105)]
    assert ranges(parts[1].parts) == [("length", 200, 201), ("versions", 201, 203)]
