"""One table, two ways to read by it: in one pass, and field by field with a reader."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.wire import values

from handclasp.errors import ProtocolError
from handclasp.wire.messages import (
    STRUCTS,
    Certificate,
    CertificateEntry,
    ClientHello,
    Message,
    read_message,
    write_message,
)
from handclasp.wire.reader import Opener, Reader, Uint16s
from handclasp.wire.structs import scan


def outcome(raw: bytes, opener: Opener | None) -> Any:
    """The message, or what its reader says is wrong with it."""
    try:
        return read_message(raw, opener)
    except ProtocolError as error:
        return error.fault, str(error)


@settings(deadline=None, max_examples=300)
@given(values.messages, st.data())
def test_both_ways_read_the_same_and_find_the_same(message: Message, data: st.DataObject) -> None:
    raw = bytearray(write_message(message))
    for _ in range(data.draw(st.integers(0, 3))):
        at = data.draw(st.integers(4, len(raw)))
        how = data.draw(st.sampled_from(["change", "insert", "cut"]))
        if how == "insert" or at == len(raw):
            raw[at:at] = data.draw(st.binary(min_size=1, max_size=3))
        elif how == "change":
            raw[at] = data.draw(st.sampled_from([0, 1, 2, raw[at] ^ 1, 255]))
        else:
            del raw[at : at + data.draw(st.integers(1, 3))]
    assert outcome(bytes(raw), None) == outcome(bytes(raw), Reader)


@settings(deadline=None)
@given(values.messages)
def test_what_is_well_formed_is_read_in_one_pass(message: Message) -> None:
    struct = STRUCTS.get(type(message))
    if struct is not None:
        raw = write_message(message)
        read: list[Any] = []
        assert scan(struct, raw, 4, len(raw), read) == len(raw)
        assert struct.make(*read) == message


def test_lists_of_numbers_stay_in_the_bytes_in_which_they_came() -> None:
    hello = ClientHello(0x0303, bytes(32), b"", (0x1301, 0x1302), b"\0", {})
    for opener in (None, Reader):
        read = read_message(write_message(hello), opener)
        assert isinstance(read, ClientHello)
        assert isinstance(read.cipher_suites, Uint16s)


def test_a_part_ends_inside_of_its_vector() -> None:
    """An entry's extensions must not reach into what comes behind the list."""
    raw = bytearray(write_message(Certificate(b"", (CertificateEntry(b"x", {1: b"yy"}),))))
    raw[-3] += 1
    raw += b"\0"
    assert outcome(bytes(raw), None) == outcome(bytes(raw), Reader)
    assert not isinstance(outcome(bytes(raw), None), Certificate)
