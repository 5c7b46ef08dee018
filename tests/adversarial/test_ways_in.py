"""The fast ways in and the traced one agree: the same bytes mean the same, however they are cut.

A connection without a trace opens records of application data by ways of its own. Here two
connections have the same keys and get the same bytes, and only one of them tells a `Recorder`.
Both must give the same events, send the same bytes and fail alike.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import pytest
from tests.pki import Pki

from handclasp import (
    ClientConfig,
    ClientConnection,
    Limits,
    Recorder,
    ServerConfig,
    ServerConnection,
    TLSError,
)
from handclasp.iana import AlertDescription, ContentType, ExtensionType
from handclasp.testing.deviations import with_extension
from handclasp.testing.scripted import ScriptedClient, ScriptedServer
from handclasp.trace.hooks import Trace
from handclasp.wire import extensions as ext
from handclasp.wire.messages import KeyUpdate, NewSessionTicket, write_message

pytestmark = pytest.mark.long

Peer: TypeAlias = ScriptedServer | ScriptedClient
Connection: TypeAlias = ClientConnection | ServerConnection
Twins: TypeAlias = Callable[[int | None], tuple[Peer, Connection, Connection]]

DATA, HANDSHAKE, ALERT = ContentType.APPLICATION_DATA, ContentType.HANDSHAKE, ContentType.ALERT
LIMITS = Limits(max_records_without_progress=4, max_messages_without_data=4)
SIZES = (1, 2, 1199, 1200, 2**13 - 17, 2**13 - 16, 2**13, 2**14 - 1, 2**14)
TICKET = write_message(NewSessionTicket(3600, 1, b"n", b"a ticket", {}))
CUTS = (1, 5, 22, 300, 5000, 40_000, 200_000)
KINDS = 60
ROUNDS = 150


@pytest.fixture(params=["client", "server"])
def twins(request: pytest.FixtureRequest, pki: Pki) -> Twins:
    """A peer after its handshake with two connections of the other role, one of them traced."""

    def clients(limit: int | None) -> tuple[Peer, Connection, Connection]:
        config = ClientConfig(
            trust=pki.trust, groups=["X25519"], limits=LIMITS, record_size_limit=limit
        )
        script: dict[str, Any] = {}
        if limit is not None:
            script = {"encrypted_extensions": with_extension(*_limit(limit))}
        return _meet(
            ScriptedServer(pki.server("localhost"), **script),
            lambda trace: ClientConnection(
                replace(config, entropy=_entropy()), server_name="localhost", trace=trace
            ),
        )

    def servers(limit: int | None) -> tuple[Peer, Connection, Connection]:
        config = ServerConfig(
            credentials=pki.server("localhost", key_type="ed25519"),
            limits=LIMITS,
            record_size_limit=limit,
        )
        extensions = {} if limit is None else dict([_limit(2**14 + 1)])
        return _meet(
            ScriptedClient(extensions=extensions),
            lambda trace: ServerConnection(replace(config, entropy=_entropy()), trace=trace),
        )

    return clients if request.param == "client" else servers


@pytest.mark.parametrize("limit", [None, 1200])
def test_both_ways_agree(twins: Twins, limit: int | None) -> None:
    for seed in range(ROUNDS):
        chance = random.Random(seed)
        peer, fast, traced = twins(limit)
        kinds: Sequence[int] = range(KINDS)
        if chance.random() < 0.3:
            kinds = (0, chance.choice(kinds))  # a flood, with data in between or not
        for _ in range(chance.randrange(1, 20)):
            _send(peer, chance.choice(kinds), chance)
        for piece in _cut(peer.take(), chance):
            outcome = _outcome(fast, piece)
            assert outcome == _outcome(traced, piece), f"seed {seed}"
            assert fast.unread_after_close == traced.unread_after_close, f"seed {seed}"


def _meet(
    peer: Peer, make: Callable[[Trace | None], Connection]
) -> tuple[Peer, Connection, Connection]:
    fast, traced = make(None), make(Recorder())
    while True:
        sent = bytes(fast.data_to_send())
        assert sent == bytes(traced.data_to_send())
        peer.feed(sent)
        received = peer.take()
        if not received:
            break
        for connection in (fast, traced):
            connection.receive_data(received)
    assert fast.established
    assert traced.established
    return peer, fast, traced


def _entropy() -> Callable[[int], bytes]:
    return random.Random(0).randbytes


def _limit(size: int) -> tuple[int, bytes]:
    return ExtensionType.RECORD_SIZE_LIMIT, ext.write_record_size_limit(size)


def _send(peer: Peer, kind: int, chance: random.Random) -> None:
    """Most kinds are what a peer may send."""
    size = chance.choice(SIZES) if chance.random() < 0.3 else chance.randrange(1, 1199)
    if kind < 30:
        peer.send_data(chance.randbytes(size))
    elif kind < 36:
        peer.send_data(chance.randbytes(chance.randrange(20)), padding=chance.choice([1, 9, 250]))
    elif kind < 41:
        peer.send_data(b"")
    elif kind < 47:
        peer.update_keys(write_message(KeyUpdate(chance.random() < 0.5)))
    elif kind < 49:
        peer.send_record(HANDSHAKE, TICKET)
    elif kind < 51:
        at = chance.randrange(len(TICKET))
        peer.send_record(HANDSHAKE, TICKET[:at])
        if chance.random() < 0.3:
            peer.send_data(b"in between")
        peer.send_record(HANDSHAKE, TICKET[at:])
    elif kind < 53:
        peer.send_alert(1, AlertDescription.USER_CANCELED)
    else:
        _SELDOM[kind - 53](peer, chance)


def _tampered(peer: Peer, chance: random.Random) -> None:
    before = peer.take()
    peer.send_data(b"a record that is not as it was sent")
    record = bytearray(peer.take())
    record[chance.randrange(len(record))] ^= 1 << chance.randrange(8)
    peer.send_raw(before + bytes(record))


_SELDOM: tuple[Callable[[Any, random.Random], None], ...] = (
    _tampered,
    lambda peer, chance: peer.send_raw(chance.randbytes(chance.randrange(1, 40))),
    lambda peer, chance: peer.send_raw(b"\x17\x03\x03\x00" + bytes([chance.randrange(18)])),
    lambda peer, chance: peer.send_plaintext(chance.choice([DATA, HANDSHAKE, ALERT]), b"\x01\x00"),
    lambda peer, chance: peer.send_record(
        chance.choice([0, 20, 21, 22, 23, 24]), b"", padding=chance.randrange(3)
    ),
    lambda peer, chance: peer.send_alert(
        chance.randrange(1, 3), chance.choice(list(AlertDescription))
    ),
    lambda peer, chance: peer.send_data(bytes(2**14), padding=chance.randrange(3)),
)


def _cut(stream: bytes, chance: random.Random) -> Iterator[bytes | memoryview]:
    """Pieces of any size, or of so many records each, as far as they are some."""
    whole = chance.choice([0, 0, 1, 2])
    longest = chance.choice(CUTS)
    at = 0
    while at < len(stream):
        end = at
        for _ in range(whole):
            end += 5 + int.from_bytes(stream[end + 3 : end + 5], "big")
        end = end if whole else at + chance.randrange(1, longest + 1)
        piece = stream[at:end]
        yield piece if chance.random() < 0.5 else memoryview(bytearray(piece))
        at += len(piece)


def _outcome(connection: Connection, piece: bytes | memoryview) -> tuple[object, ...]:
    """What a connection makes of it: events, an exception, what it then sends, how it stands."""
    events: object = None
    raised = None
    try:
        events = connection.receive_data(piece)
    except TLSError as error:
        raised = str(error)
    failure = connection.failure
    state = (connection.established, connection.peer_closed, failure and str(failure))
    return events, raised, state, connection.wants_to_send, bytes(connection.data_to_send())
