"""Changed, cut, doubled and random bytes: never a success, and never anything but a TLSError."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.end_to_end.pair import Pair
from tests.pki import Pki

from handclasp import (
    ClientAuth,
    ClientConfig,
    ClientConnection,
    Event,
    HandshakeCompleted,
    ServerConfig,
    ServerConnection,
    TLSError,
)
from handclasp.errors import ProtocolError
from handclasp.wire.records import HEADER_SIZE

BOUNDED = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

PKI = Pki()
CLIENT = ClientConfig(trust=PKI.trust, credentials=PKI.client(), key_shares=["X25519"])
SERVER = ServerConfig(credentials=PKI.server(), client_auth=ClientAuth.REQUIRED, trust=PKI.trust)
RETRYING = ServerConfig(credentials=PKI.server(), groups=["secp256r1"])

Mutate = Callable[[bytes], bytes]


def run_with(mutate: Mutate, flight: int, server: ServerConfig = SERVER) -> tuple[Pair, bool]:
    """A conversation in which the flight of this number was changed; and whether it was."""
    pair = Pair(CLIENT, server)
    changed = False
    for number in range(8):
        sender, receiver = (
            (pair.client, pair.server)
            if number % 2 == 0
            else (
                pair.server,
                pair.client,
            )
        )
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
        if stream[at] != 23:
            out[at + 2] = 0
        at += HEADER_SIZE + int.from_bytes(stream[at + 3 : at + 5], "big")
    return bytes(out)


FLIGHTS = [(0, SERVER), (1, SERVER), (2, SERVER), (0, RETRYING), (1, RETRYING), (2, RETRYING)]


@pytest.mark.parametrize(("flight", "server"), FLIGHTS)
@BOUNDED
@given(data=st.data())
def test_one_changed_byte(flight: int, server: ServerConfig, data: st.DataObject) -> None:
    place = data.draw(st.floats(0, 1, exclude_max=True))
    bit = data.draw(st.integers(1, 255))

    def flip(flight_bytes: bytes) -> bytes:
        out = bytearray(flight_bytes)
        out[int(place * len(out))] ^= bit
        return bytes(out)

    pair, changed = run_with(flip, flight, server)
    assert not (changed and pair.established)


@pytest.mark.parametrize(("flight", "server"), FLIGHTS)
@BOUNDED
@given(data=st.data())
def test_bytes_cut_out_or_put_in(flight: int, server: ServerConfig, data: st.DataObject) -> None:
    start = data.draw(st.floats(0, 1, exclude_max=True))
    count = data.draw(st.integers(0, 40))
    inserted = data.draw(st.binary(max_size=40))

    def splice(flight_bytes: bytes) -> bytes:
        at = int(start * len(flight_bytes))
        return flight_bytes[:at] + inserted + flight_bytes[at + count :]

    original: list[bytes] = []

    def remembered(flight_bytes: bytes) -> bytes:
        original.append(flight_bytes)
        return splice(flight_bytes)

    pair, _ = run_with(remembered, flight, server)
    if pair.established and original:
        # All of the flight arrived: at most, bytes wait behind it for their turn.
        before, after = (without_change_cipher_specs(f) for f in (original[0], splice(original[0])))
        assert after.startswith(before)


def without_change_cipher_specs(stream: bytes) -> bytes:
    out, at = bytearray(), 0
    stream = matters(stream)
    while at < len(stream):
        end = at + HEADER_SIZE + int.from_bytes(stream[at + 3 : at + 5], "big")
        if stream[at] != 20:
            out += stream[at:end]
        at = end
    return bytes(out)


@BOUNDED
@given(first=st.binary(max_size=200))
def test_random_first_bytes(first: bytes) -> None:
    for connection in (
        ServerConnection(SERVER),
        ClientConnection(CLIENT, server_name="localhost"),
    ):
        assert not any(isinstance(event, HandshakeCompleted) for event in taken(connection, first))


def taken(connection: ClientConnection | ServerConnection, data: bytes) -> list[Event]:
    """The events, unless the connection fails as it should."""
    try:
        return connection.receive_data(data)
    except TLSError:
        assert connection.failure is not None
        assert connection.failure.alert != "internal_error"
        return []


@BOUNDED
@given(body=st.binary(max_size=300), kind=st.sampled_from([1, 2, 4, 8, 11, 13, 15, 20, 24]))
def test_random_messages(body: bytes, kind: int) -> None:
    message = bytes([kind]) + len(body).to_bytes(3, "big") + body
    record = b"\x16\x03\x03" + len(message).to_bytes(2, "big") + message
    for connection in (
        ServerConnection(SERVER),
        ClientConnection(CLIENT, server_name="localhost"),
    ):
        with pytest.raises(TLSError) as caught:
            connection.receive_data(record)
        assert caught.value.alert != "internal_error"


def test_every_byte_of_the_first_flights() -> None:
    """Not a sample: each byte of the hello and, by steps, of the server's flight."""
    hello = len(Pair(CLIENT, SERVER).client.take())
    for at in range(hello):
        if at == 2:
            continue  # the minor version of a plaintext record

        def flip(data: bytes, at: int = at) -> bytes:
            return data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]

        pair, changed = run_with(flip, 0)
        assert changed
        assert not pair.established


def test_random_records_in_the_conversation() -> None:
    """Records from one conversation in another one: none is taken."""
    rng = random.Random(8446)
    one = Pair(CLIENT, SERVER).run()
    records = [bytes(one.server.sent), bytes(one.client.sent)]
    for _ in range(50):
        start = rng.randrange(len(records[0]))
        stream = records[0][start : start + rng.randrange(1, 600)]
        pair = Pair(CLIENT, SERVER)
        pair.carry(pair.client, pair.server)
        pair.client.receive(stream)
        check_errors(pair)
        assert not pair.client.connection.established
