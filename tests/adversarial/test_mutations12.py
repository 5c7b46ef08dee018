"""TLS 1.2: changed, cut and random bytes: never a success, and never anything but a TLSError."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.end_to_end.pair import Pair
from tests.pki import Pki

from handclasp import ClientAuth, ClientConfig, ProtocolError, ServerConfig, TLSError
from handclasp.wire.records import HEADER_SIZE

BOUNDED = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

PKI = Pki()
OLD = ["TLSv1.2"]
CLIENT = ClientConfig(trust=PKI.trust, credentials=PKI.client(), versions=OLD)
SERVER = ServerConfig(
    credentials=PKI.server(), client_auth=ClientAuth.REQUIRED, trust=PKI.trust, versions=OLD
)
KEY_TRANSPORT = ["TLS_RSA_WITH_AES_128_GCM_SHA256"]
TRANSPORTING_CLIENT = ClientConfig(
    trust=PKI.trust, versions=OLD, allow_rsa_key_transport=True, cipher_suites=KEY_TRANSPORT
)
TRANSPORTING_SERVER = ServerConfig(
    credentials=PKI.server("localhost", key_type="rsa-2048"),
    versions=OLD,
    allow_rsa_key_transport=True,
)
CONFIGS = {
    "ECDHE": (CLIENT, SERVER),
    "key transport": (TRANSPORTING_CLIENT, TRANSPORTING_SERVER),
}

Mutate = Callable[[bytes], bytes]


def run_with(mutate: Mutate, flight: int, kind: str = "ECDHE") -> tuple[Pair, bool]:
    """A conversation in which the flight of this number was changed; and whether it was."""
    pair = Pair(*CONFIGS[kind])
    changed = False
    for number in range(6):
        sender, receiver = pair.client, pair.server
        if number % 2:
            sender, receiver = receiver, sender
        data = sender.take()
        if number == flight and data:
            new = mutate(data)
            changed = matters(data) != matters(new)
            data = new
        receiver.receive(data)
    check_errors(pair)
    return pair, changed


def check_errors(pair: Pair) -> None:
    for end in (pair.client, pair.server):
        assert end.error is None or isinstance(end.error, TLSError)
        assert not (isinstance(end.error, ProtocolError) and end.error.alert == "internal_error")


def matters(stream: bytes) -> bytes:
    """The stream without what nothing protects: the minor version of a plaintext record."""
    out, at = bytearray(stream), 0
    while at + HEADER_SIZE <= len(stream):
        out[at + 2] = 0
        at += HEADER_SIZE + int.from_bytes(stream[at + 3 : at + 5], "big")
    return bytes(out)


@pytest.mark.parametrize("kind", CONFIGS)
def test_nothing_changed(kind: str) -> None:
    pair, changed = run_with(lambda data: data, 0, kind)
    assert pair.established
    assert not changed


@pytest.mark.parametrize("kind", CONFIGS)
@pytest.mark.parametrize("flight", range(4))
@BOUNDED
@given(data=st.data())
def test_one_changed_byte(flight: int, kind: str, data: st.DataObject) -> None:
    place = data.draw(st.floats(0, 1, exclude_max=True))
    bits = data.draw(st.integers(1, 255))

    def flip(flight_bytes: bytes) -> bytes:
        out = bytearray(flight_bytes)
        out[int(place * len(out))] ^= bits
        return bytes(out)

    pair, changed = run_with(flip, flight, kind)
    assert not (changed and pair.established)


@pytest.mark.parametrize("kind", CONFIGS)
@pytest.mark.parametrize("flight", range(4))
@BOUNDED
@given(data=st.data())
def test_bytes_cut_out_or_put_in(flight: int, kind: str, data: st.DataObject) -> None:
    start = data.draw(st.floats(0, 1, exclude_max=True))
    count = data.draw(st.integers(0, 40))
    inserted = data.draw(st.binary(max_size=40))
    seen: list[tuple[bytes, bytes]] = []

    def splice(flight_bytes: bytes) -> bytes:
        at = int(start * len(flight_bytes))
        new = flight_bytes[:at] + inserted + flight_bytes[at + count :]
        seen.append((matters(flight_bytes), matters(new)))
        return new

    pair, _ = run_with(splice, flight, kind)
    if pair.established and seen:
        # All of the flight arrived: at most, bytes wait behind it for their turn.
        ((before, after),) = seen
        assert after.startswith(before)


def test_every_byte_of_the_first_flights() -> None:
    """Not a sample: each byte of both hellos and of all that is sent before there are keys."""
    unchanged = Pair(CLIENT, SERVER)
    hello = len(unchanged.client.take())
    for flight, step in ((0, 1), (1, 3)):
        size = hello
        if flight:
            unchanged = Pair(CLIENT, SERVER)
            unchanged.carry(unchanged.client, unchanged.server)
            size = len(unchanged.server.take())
        for at in range(0, size, step):

            def flip(data: bytes, at: int = at) -> bytes:
                at = min(at, len(data) - 1)  # ECDSA signatures differ in length by some bytes.
                return data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]

            pair, changed = run_with(flip, flight)
            assert not (changed and pair.established), at


def test_records_of_another_conversation() -> None:
    """What one server said means nothing to the client of another."""
    one = Pair(CLIENT, SERVER).run()
    stream = bytes(one.server.sent)
    for start in range(0, len(stream), 97):
        pair = Pair(CLIENT, SERVER)
        pair.carry(pair.client, pair.server)
        pair.client.receive(stream[start:])
        check_errors(pair)
        assert not pair.client.connection.established


@BOUNDED
@given(
    body=st.binary(max_size=300), kind=st.sampled_from([0, 1, 2, 11, 12, 13, 14, 15, 16, 20, 22])
)
def test_random_messages_at_every_pause(body: bytes, kind: int) -> None:
    """In the place of each flight but the first, one message of whatever content."""
    message = bytes([kind]) + len(body).to_bytes(3, "big") + body
    record = b"\x16\x03\x03" + len(message).to_bytes(2, "big") + message
    for flight in range(1, 4):
        pair, _ = run_with(lambda _: record, flight)
        assert not pair.established
