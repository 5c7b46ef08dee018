"""The ClientHello that is held back for `sni_callback`: read once, in pieces of any size."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from handclasp import ClientConfig, ClientConnection
from handclasp.compat.hello import MOST_HELD, FirstMessage
from handclasp.wire.records import HEADER_SIZE


def first_flight() -> bytes:
    return ClientConnection(ClientConfig(), server_name="held.test").data_to_send()


def in_records_of(size: int, message: bytes) -> bytes:
    pieces = [message[at : at + size] for at in range(0, len(message), size)]
    return b"".join([b"\x16\x03\x01" + len(each).to_bytes(2) + each for each in pieces])


def taken(data: bytes, size: int) -> FirstMessage:
    first = FirstMessage()
    for at in range(0, len(data), size):
        first.add(data[at : at + size])
    return first


@pytest.mark.parametrize("size", [1, 7, 5000])
@pytest.mark.parametrize("record", [1, 100, 5000])
def test_a_hello_in_pieces_is_read(size: int, record: int) -> None:
    flight = in_records_of(record, first_flight()[HEADER_SIZE:])
    first = taken(flight, size)
    assert first.missing == 0
    hello = first.read()
    assert hello is not None
    assert hello.server_name == "held.test"
    assert bytes(first.data) == flight


def test_each_answer_leads_to_the_end() -> None:
    flight, at, first = first_flight(), 0, FirstMessage()
    while size := first.missing:
        first.add(flight[at : at + size])
        at += size
    assert at == len(flight)


def test_what_follows_is_not_kept() -> None:
    flight = first_flight()
    first = taken(flight, len(flight))
    first.add(b"the client's second flight")
    assert bytes(first.data) == flight


@pytest.mark.parametrize(
    "data", [b"GET / HTTP/1.1\r\n", b"\x16\x03\x01\x00\x00", b"\x16\x03\x01\0\1\2"]
)
def test_what_is_no_hello_is_not_waited_for(data: bytes) -> None:
    first = taken(data, len(data))
    assert first.missing == 0
    assert first.read() is None


def test_a_hello_that_is_too_long_is_not_waited_for() -> None:
    first = taken(in_records_of(2**14, b"\1\xff\xff\xff" + bytes(MOST_HELD)), 2**14)
    assert first.missing == 0
    assert first.read() is None


def work_of(data: bytes) -> int:
    """How many calls it takes to read what comes in one byte at a time."""
    calls = 0

    def count(frame: Any, event: str, argument: Any) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        taken(data, 1)
    finally:
        sys.setprofile(None)
    return calls


def test_twice_as_many_records_are_twice_the_work() -> None:
    body = b"\1\0\xff\xff"
    short, long = (work_of(in_records_of(1, body + bytes(size))) for size in (500, 1000))
    assert long < 2.2 * short
