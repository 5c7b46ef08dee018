"""What a peer may cost, counted: events of the interpreter, bytes of memory, keys and questions."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import pytest
from tests.counting import events_of
from tests.pki import Pki

from handclasp import (
    Fault,
    FindPsk,
    Limits,
    PreSharedKey,
    ProtocolError,
    ServerConfig,
    ServerConnection,
)
from handclasp.iana import ContentType
from handclasp.iana import ExtensionType as Ext
from handclasp.testing.scripted import ScriptedClient
from handclasp.wire import extensions as ext
from handclasp.wire.records import HEADER_SIZE, write_plaintext

EVENTS_PER_RECORD = 10
"""Calls, lines and returns of Python for a record in the clear with one byte of a message."""

EVENTS_PER_READ = 140
"""The same for a read of one byte, whatever the records are."""

TIMES_AS_MUCH = 80
"""What a byte may cost in the smallest records, against one in the largest.

Most of the latter is the answer to the hello. It took 2,714 events when this was 40, then 1,550, or
1,240 where earlier tests of the same process have left more to remember (61 times), and a fifth
less with HMAC in C (76 times). What a byte costs in the smallest records is the same, and
`EVENTS_PER_RECORD` bounds it by itself.
"""

ALLOWANCE = 65_536
"""Bytes of memory besides what was received: the issue of this library's own limits."""


def hello_of(size: int) -> bytes:
    """A good ClientHello of about so many bytes, without records."""
    client = ScriptedClient(extensions={Ext.PADDING: bytes(size - 400)})
    return b"".join(_contents(client.take()))


def _contents(stream: bytes) -> Iterator[bytes]:
    while stream:
        end = HEADER_SIZE + int.from_bytes(stream[3:HEADER_SIZE], "big")
        yield stream[HEADER_SIZE:end]
        stream = stream[end:]


def in_records_of(size: int, raw: bytes) -> bytes:
    pieces = [raw[start : start + size] for start in range(0, len(raw), size)]
    return b"".join(write_plaintext(ContentType.HANDSHAKE, piece) for piece in pieces)


def cost_of(config: ServerConfig, size: int) -> int:
    """Of reading a hello of so many bytes in records of one byte each."""
    raw = hello_of(size)
    # The last byte makes it whole; what follows then is the price of a handshake.
    stream = in_records_of(1, raw[:-1])
    server = ServerConnection(config)
    return events_of(lambda: server.receive_data(stream))


def test_tiny_records_cost_so_much_per_byte(server_config: ServerConfig) -> None:
    cost_of(server_config, 500)  # What is imported late, and cached, is imported and cached now.
    small, large = cost_of(server_config, 2_000), cost_of(server_config, 8_000)
    assert large < 4.4 * small
    assert large < EVENTS_PER_RECORD * 8_000


def test_tiny_records_cost_not_many_times_as_much_as_large_ones(
    server_config: ServerConfig,
) -> None:
    """The answer to the hello is among the costs of both."""

    def cost_per_byte(raw: bytes, size: int) -> float:
        stream = in_records_of(size, raw)
        server = ServerConnection(server_config)
        return events_of(lambda: server.receive_data(stream)) / len(stream)

    cost_per_byte(hello_of(500), 16_384)
    raw = hello_of(65_000)
    assert cost_per_byte(raw, 1) < TIMES_AS_MUCH * cost_per_byte(raw, 16_384)


@pytest.mark.parametrize("record", [1, 16_384])
def test_tiny_reads_cost_so_much_per_byte(server_config: ServerConfig, record: int) -> None:
    def cost(size: int) -> int:
        stream = in_records_of(record, hello_of(size)[:-1])
        server = ServerConnection(server_config)
        events = events_of(
            lambda: [server.receive_data(stream[at : at + 1]) for at in range(len(stream))]
        )
        assert events < EVENTS_PER_READ * len(stream)
        return events

    cost(500)
    assert cost(8_000) < 4.4 * cost(2_000)


@pytest.mark.parametrize("record", [1, 100, 16_384])
@pytest.mark.parametrize("read", [1, 997, 65_536])
def test_memory_is_what_came_and_a_little_more(
    server_config: ServerConfig, record: int, read: int
) -> None:
    """While a message is incomplete; it was announced as large as it may be."""
    size = 4_000 if read == 1 or record == 1 else 65_000
    announced = b"\1" + Limits().max_hello_bytes.to_bytes(3, "big")
    stream = in_records_of(record, announced + bytes(size))
    ServerConnection(server_config)  # What is made once is made before.
    pieces = [stream[at : at + read] for at in range(0, len(stream), read)]
    tracemalloc.start()
    try:
        server = ServerConnection(server_config)
        start = tracemalloc.get_traced_memory()[0]
        received = 0
        for piece in pieces:
            server.receive_data(piece)
            received += len(piece)
            held = tracemalloc.get_traced_memory()[0] - start
            assert held <= received + ALLOWANCE
    finally:
        tracemalloc.stop()


def test_an_announcement_costs_nothing(server_config: ServerConfig) -> None:
    tracemalloc.start()
    try:
        server = ServerConnection(server_config)
        start = tracemalloc.get_traced_memory()[0]
        with pytest.raises(ProtocolError) as caught:
            server.receive_data(b"\x16\x03\x01\0\4" + b"\1\xff\xff\xff")
        peak = tracemalloc.get_traced_memory()[1] - start
    finally:
        tracemalloc.stop()
    assert caught.value.fault is Fault.HANDSHAKE_MESSAGE_TOO_LARGE
    assert peak < ALLOWANCE


def test_so_many_identities_are_looked_at() -> None:
    asked: list[bytes] = []

    def find(question: FindPsk) -> PreSharedKey | None:
        asked.append(question.identity)
        return None

    identities = tuple([ext.PskIdentity(b"%d" % number, 0) for number in range(50)])
    offered = ext.OfferedPsks(identities, (bytes(32),) * 50)
    client = ScriptedClient(
        extensions={
            Ext.PSK_KEY_EXCHANGE_MODES: ext.write_psk_key_exchange_modes(b"\1"),
            Ext.PRE_SHARED_KEY: ext.write_offered_psks(offered),
        }
    )
    server = ServerConnection(ServerConfig(find_psk=find))
    with pytest.raises(ProtocolError) as caught:
        server.receive_data(client.take())
    assert caught.value.fault is Fault.UNKNOWN_PSK_IDENTITY
    assert 0 < len(asked) <= 8


BAD_HELLOS: dict[str, dict[int, bytes]] = {
    "a share that is not listed": {Ext.SUPPORTED_GROUPS: ext.write_supported_groups([0x18])},
    "no shared scheme": {Ext.SIGNATURE_ALGORITHMS: ext.write_signature_algorithms([0x0201])},
    "an extension cut off": {Ext.SERVER_NAME: b"\0"},
    "no shared protocol": {
        Ext.APPLICATION_LAYER_PROTOCOL_NEGOTIATION: ext.write_alpn([b"another"])
    },
}


@pytest.mark.parametrize("name", BAD_HELLOS)
def test_a_bad_hello_costs_no_key(pki: Pki, name: str) -> None:
    """No random byte is drawn and no key is touched before the hello is read and agreed upon."""
    drawn: list[int] = []

    def entropy(size: int) -> bytes:
        drawn.append(size)
        return bytes(range(size))

    config = ServerConfig(credentials=pki.server("localhost"), alpn=["h2"], entropy=entropy)
    server = ServerConnection(config)
    with pytest.raises(ProtocolError):
        server.receive_data(ScriptedClient(extensions=BAD_HELLOS[name]).take())
    assert drawn == []
