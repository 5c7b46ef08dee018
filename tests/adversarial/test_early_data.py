"""Early data that our server does not accept, or that do not end as they must (RFC 8446)."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.adversarial.conftest import refused
from tests.adversarial.encounter import Encounter
from tests.end_to_end.pair import Pair
from tests.pki import Pki

from handclasp import (
    ClientConfig,
    Fault,
    HandshakeCompleted,
    ProtocolError,
    ServerConfig,
    SessionStore,
)
from handclasp.iana import ContentType
from handclasp.iana import ExtensionType as Ext
from handclasp.record.layer import RecordLayer
from handclasp.testing.scripted import ScriptedClient
from handclasp.wire.messages import Message

Meet = Callable[..., Encounter]
EARLY_DATA = {Ext.EARLY_DATA: b""}


class EarlyClient(ScriptedClient):
    """Sends records under keys that the server does not have, right behind its first hello."""

    sizes: tuple[int, ...] = (100, 2**14, 18)

    def after_first_hello(self) -> None:
        for size in self.sizes:
            body = os.urandom(size)
            self.send_raw(b"\x17\x03\x03" + size.to_bytes(2, "big") + body)


@pytest.mark.parametrize("shares", [("X25519",), ()])
def test_early_data_is_passed_over(meet_client: Meet, shares: tuple[str, ...]) -> None:
    encounter = meet_client(kind=EarlyClient, extensions=EARLY_DATA, shares=shares)
    assert encounter.error is None
    assert encounter.connection.established
    assert encounter.connection.info is not None
    assert encounter.connection.info.early_data_status == "rejected"
    assert encounter.connection.info.hello_retry is not bool(shares)
    encounter.peer.send_data(b"real data")
    encounter.run()
    assert [type(event).__name__ for event in encounter.events[1:]] == ["DataReceived"]


@pytest.mark.parametrize("shares", [("X25519",), ()])
def test_early_data_without_end(meet_client: Meet, shares: tuple[str, ...]) -> None:
    class Endless(EarlyClient):
        sizes = (2**14,) * 5

    encounter = meet_client(kind=Endless, extensions=EARLY_DATA, shares=shares, second_hello=None)
    refused(encounter, Fault.BAD_RECORD_MAC)


def test_early_data_of_nothing_costs_as_well(meet_client: Meet) -> None:
    class Empty(EarlyClient):
        sizes = (0,) * (2**16 // 5 + 2)

    encounter = meet_client(kind=Empty, extensions=EARLY_DATA, shares=(), second_hello=None)
    refused(encounter, Fault.BAD_RECORD_MAC)


@pytest.mark.parametrize("size", [0, 1, 16])
def test_early_data_too_short_to_be_a_record(meet_client: Meet, size: int) -> None:
    """It is passed over like any other that cannot be opened."""

    class Short(EarlyClient):
        sizes = (size, 100)

    encounter = meet_client(kind=Short, extensions=EARLY_DATA)
    assert encounter.error is None
    assert encounter.connection.established


def test_early_data_inside_of_a_message(meet_client: Meet) -> None:
    """Nothing may stand between the parts of a message, and dropped records neither."""

    class Inside(ScriptedClient):
        def second_hello(self) -> Message:
            hello = super().second_hello()
            self.send_plaintext(ContentType.HANDSHAKE, b"\x01\0")
            self.send_raw(b"\x17\x03\x03\0\x20" + bytes(32))
            return hello

    encounter = meet_client(kind=Inside, extensions=EARLY_DATA, shares=())
    refused(encounter, Fault.INTERLEAVED_RECORD)


def test_early_data_that_was_not_announced(meet_client: Meet) -> None:
    encounter = meet_client(kind=EarlyClient)
    refused(encounter, Fault.BAD_RECORD_MAC)
    encounter = meet_client(kind=EarlyClient, shares=(), second_hello=None)
    refused(encounter, Fault.APPLICATION_DATA_TOO_EARLY)


def test_garbage_after_the_second_flight_began(meet_client: Meet) -> None:
    """Once a record was opened, nothing is passed over any more."""
    encounter = meet_client(extensions=EARLY_DATA)
    assert encounter.connection.established
    encounter.peer.send_raw(b"\x17\x03\x03\0\x20" + bytes(32))
    refused(encounter.run(), Fault.BAD_RECORD_MAC)


def test_garbage_in_the_middle_of_the_second_flight(meet_client: Meet) -> None:
    class Interrupted(ScriptedClient):
        def finished(self) -> Message:
            finished = super().finished()
            self.send_record(ContentType.HANDSHAKE, b"\x14")
            self.send_raw(b"\x17\x03\x03\0\x20" + bytes(32))
            return finished

    refused(meet_client(kind=Interrupted, extensions=EARLY_DATA), Fault.BAD_RECORD_MAC)


# Early data that are accepted, and how they end (RFC 8446 section 4.5)

END, FINISHED = b"\x05\0\0\0", 20
Send = Callable[[bytes], None]


def left_out(send: Send, records: RecordLayer, message: bytes) -> None:
    if message != END:
        send(message)


def twice_in_one_record(send: Send, records: RecordLayer, message: bytes) -> None:
    send(message)
    if message == END:
        send(message)


def with_something_behind(send: Send, records: RecordLayer, message: bytes) -> None:
    send(message)
    if message == END:
        send(b"\x14\0\0\x20")


def something_else(send: Send, records: RecordLayer, message: bytes) -> None:
    send(b"\x18\0\0\1\0" if message == END else message)


def not_empty(send: Send, records: RecordLayer, message: bytes) -> None:
    send(b"\x05\0\0\1\0" if message == END else message)


def data_behind(send: Send, records: RecordLayer, message: bytes) -> None:
    send(message)
    if message == END:
        records.send_application_data(memoryview(b"more"))


def although_they_were_refused(send: Send, records: RecordLayer, message: bytes) -> None:
    if message[0] == FINISHED:
        send(END)
    send(message)


@pytest.mark.parametrize(
    ("deviation", "allowed", "fault"),
    [
        (left_out, 100, Fault.BAD_RECORD_MAC),
        (twice_in_one_record, 100, Fault.HANDSHAKE_ACROSS_KEY_CHANGE),
        (with_something_behind, 100, Fault.HANDSHAKE_ACROSS_KEY_CHANGE),
        (something_else, 100, Fault.UNEXPECTED_MESSAGE),
        (not_empty, 100, Fault.DECODE_ERROR),
        (data_behind, 100, Fault.BAD_RECORD_MAC),
        (although_they_were_refused, 0, Fault.UNEXPECTED_MESSAGE),
    ],
)
def test_the_end_of_early_data(
    monkeypatch: pytest.MonkeyPatch,
    pki: Pki,
    deviation: Callable[[Send, RecordLayer, bytes], None],
    allowed: int,
    fault: Fault,
) -> None:
    client = ClientConfig(trust=pki.trust, sessions=SessionStore(), allow_early_data=True)
    server = ServerConfig(credentials=pki.server("localhost"), max_early_data=100)
    Pair(client, server).run()
    pair = Pair(client, replace(server, max_early_data=allowed))
    hostile: Any = pair.client.connection
    hostile.send_early_data(b"early")
    records: RecordLayer = hostile._records
    send = records.send

    def deviate(message: bytes) -> None:
        deviation(send, records, message)

    monkeypatch.setattr(records, "send", deviate)
    pair.run()
    assert isinstance(pair.server.error, ProtocolError)
    assert pair.server.error.fault is fault
    assert not any(isinstance(event, HandshakeCompleted) for event in pair.server.events)
