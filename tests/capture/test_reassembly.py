"""Handshake messages out of fragments: any split, bounded in memory, linear in work."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.counting import CountingBuffer

from handclasp.capture.reassembly import HandshakeReassembly
from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.iana import AlertDescription, HandshakeType
from handclasp.limits import Limits


def message(message_type: int, size: int) -> bytes:
    return bytes([message_type]) + size.to_bytes(3, "big") + bytes(i % 251 for i in range(size))


def fault_of(call: object, *arguments: object) -> Fault:
    with pytest.raises(ProtocolError) as caught:
        call(*arguments)  # type: ignore[operator]
    return caught.value.fault


def taken(reassembly: HandshakeReassembly) -> list[bytes]:
    found: list[bytes] = []
    while (one := reassembly.next_message()) is not None:
        found.append(one)
    return found


@settings(deadline=None)
@given(
    st.lists(st.builds(message, st.integers(0, 255), st.integers(0, 30)), min_size=1, max_size=6),
    st.data(),
)
def test_any_split_gives_the_same_messages(messages: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(messages)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(stream)))) | {len(stream)})
    reassembly = HandshakeReassembly(Limits())
    found: list[bytes] = []
    start = 0
    for cut in cuts:
        reassembly.add(stream[start:cut])
        found += taken(reassembly)
        start = cut
        complete = b"".join(found)
        assert bool(reassembly) is (len(complete) < cut)
    assert found == messages
    assert not reassembly


def test_every_byte_boundary() -> None:
    stream = message(HandshakeType.CERTIFICATE, 9) + message(HandshakeType.FINISHED, 4)
    for cut in range(len(stream) + 1):
        reassembly = HandshakeReassembly(Limits())
        found: list[bytes] = []
        for part in (stream[:cut], stream[cut:]):
            reassembly.add(part)
            found += taken(reassembly)
        assert b"".join(found) == stream
        assert len(found) == 2


@pytest.mark.parametrize(
    ("message_type", "limits"),
    [
        (HandshakeType.CLIENT_HELLO, Limits(max_hello_bytes=100)),
        (HandshakeType.SERVER_HELLO, Limits(max_hello_bytes=100)),
        (HandshakeType.CERTIFICATE, Limits(max_certificate_bytes=100)),
        (HandshakeType.CERTIFICATE_VERIFY, Limits(max_other_message_bytes=100)),
        (HandshakeType.NEW_SESSION_TICKET, Limits(max_other_message_bytes=100)),
        (99, Limits(max_other_message_bytes=100)),
    ],
)
def test_a_message_is_refused_by_its_header(message_type: int, limits: Limits) -> None:
    fits = HandshakeReassembly(limits)
    fits.add(message(message_type, 100))
    assert fits.next_message() == message(message_type, 100)
    too_large = HandshakeReassembly(limits)
    too_large.add(message(message_type, 101)[:3])
    assert too_large.next_message() is None
    too_large.add(message(message_type, 101)[3:4])
    assert fault_of(too_large.next_message) is Fault.HANDSHAKE_MESSAGE_TOO_LARGE


def test_the_second_message_is_checked_as_the_first() -> None:
    reassembly = HandshakeReassembly(Limits(max_other_message_bytes=10))
    reassembly.add(message(20, 10) + message(20, 11))
    assert reassembly.next_message() == message(20, 10)
    assert fault_of(reassembly.next_message) is Fault.HANDSHAKE_MESSAGE_TOO_LARGE


def test_the_refusal_names_the_message_and_the_limit() -> None:
    reassembly = HandshakeReassembly(Limits(max_certificate_bytes=100))
    reassembly.add(b"\x0b\xff\xff\xff")
    with pytest.raises(ProtocolError, match="Certificate of 16777219 bytes, 100 are accepted"):
        reassembly.next_message()
    assert Fault.HANDSHAKE_MESSAGE_TOO_LARGE.alert == AlertDescription.ILLEGAL_PARAMETER


def test_the_handshake_as_a_whole_has_a_limit() -> None:
    reassembly = HandshakeReassembly(Limits(max_handshake_bytes=50))
    for _ in range(5):
        reassembly.add(message(8, 6))
        assert reassembly.next_message() == message(8, 6)
    assert fault_of(reassembly.add, b"\x08") is Fault.HANDSHAKE_TOO_LARGE


def test_the_limit_of_the_whole_ends_with_the_handshake() -> None:
    reassembly = HandshakeReassembly(Limits(max_handshake_bytes=50))
    reassembly.lift_total_limit()
    for _ in range(100):
        reassembly.add(message(4, 6))
        assert reassembly.next_message() == message(4, 6)
    # Each message by itself stays bounded.
    reassembly.add(b"\x04\xff\xff\xff")
    assert fault_of(reassembly.next_message) is Fault.HANDSHAKE_MESSAGE_TOO_LARGE


def test_one_byte_at_a_time_costs_no_more_than_its_bytes() -> None:
    sizes = (1000, 4000)
    copied: list[int] = []
    for size in sizes:
        reassembly = HandshakeReassembly(Limits())
        buffer = CountingBuffer()
        reassembly._buffer = buffer
        stream = message(HandshakeType.CERTIFICATE, size)
        for at in range(len(stream)):
            assert reassembly.next_message() is None
            reassembly.add(stream[at : at + 1])
        assert reassembly._buffer is buffer
        assert reassembly.next_message() == stream
        copied.append(buffer.copied)
    # A header's three length bytes each time, and the message once: four times the bytes cost
    # four times as much, not sixteen times.
    assert copied[1] <= 4.1 * copied[0]
    assert copied[1] <= 4 * (sizes[1] + 4) + 8
