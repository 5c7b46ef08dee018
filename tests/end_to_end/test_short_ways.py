"""Data on connections that nobody traces, where a read or a write takes the most direct way.

It is written out in `Connection`, and calls the accelerator where that is built: both are tried,
and reads by `open_data` first, as adapters do.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.end_to_end.pair import Pair, split_records
from tests.required import need_speedups

from handclasp import (
    ClientConfig,
    Connection,
    DataReceived,
    Event,
    Fault,
    KeysUpdated,
    Limits,
    PeerAlertError,
    PeerClosed,
    ProtocolError,
    Recorder,
    ServerConfig,
    ServerConnection,
    SessionStore,
    StateError,
)
from handclasp.wire.records import MAX_CIPHERTEXT

NewPair = Callable[..., Pair]
receive_data = Connection.receive_data
VERSIONS = pytest.mark.parametrize("version", ["TLSv1.3", "TLSv1.2"])


def receive_as_adapters(connection: Connection[Any], data: bytes) -> list[Event]:
    """By `open_data`; what it does not take is for `receive_data`."""
    content = connection.open_data(data)
    if content is None:
        return receive_data(connection, data)
    assert content
    assert connection.failure is None
    return [DataReceived(content)]


@pytest.fixture(params=["Python", "C", "C, as adapters read"])
def new_pair(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    client_config: ClientConfig,
    server_config: ServerConfig,
) -> NewPair:
    """Makes a pair without traces, which has said something in both directions."""
    if request.param != "Python":
        need_speedups()
        if os.environ.get("HANDCLASP_PURE"):
            pytest.skip("pure Python was asked for")
    monkeypatch.setattr("handclasp.connection.ACCELERATED", request.param != "Python")
    if request.param == "C, as adapters read":
        monkeypatch.setattr(Connection, "receive_data", receive_as_adapters)

    def make(
        version: str = "TLSv1.3",
        client: Limits = client_config.limits,
        server: Limits | None = None,
    ) -> Pair:
        pair = Pair(
            replace(client_config, versions=[version], limits=client, sessions=SessionStore()),
            replace(server_config, versions=[version], limits=server or server_config.limits),
            traced=False,
        )
        pair.run()
        for _ in range(2):
            pair.say(pair.client, b"ping")
            pair.say(pair.server, b"pong")
        assert pair.established
        for end in (pair.client, pair.server):
            end.events.clear()
            end.sent.clear()
        return pair

    return make


def test_they_are_taken(new_pair: NewPair) -> None:
    for connection in (new_pair().client.connection, new_pair().server.connection):
        assert connection._records.data_key is connection._records.write_key is not None
        assert connection._data_key is connection._records.read_key is not None


@VERSIONS
@pytest.mark.parametrize("size", [1, 100, 2**13, 2**14 - 1, 2**14, 2**14 + 1, 2**15, 1_000_003])
def test_any_size(new_pair: NewPair, version: str, size: int) -> None:
    pair, data = new_pair(version), os.urandom(size)
    for sender, receiver in ((pair.client, pair.server), (pair.server, pair.client)):
        pair.say(sender, data)
        assert receiver.events == [DataReceived(data)]
        assert len(split_records(bytes(sender.sent))) == -(-size // 2**14)


@VERSIONS
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_buffer(new_pair: NewPair, version: str, kind: Callable[[bytes], bytes]) -> None:
    pair = new_pair(version)
    for size in (0, 5, 20_000):
        data = os.urandom(size)
        pair.client.connection.send_data(kind(data))
        events = pair.server.connection.receive_data(kind(pair.client.take()))
        assert events == ([DataReceived(data)] if size else [])
        assert all(type(event.data) is bytes for event in events if isinstance(event, DataReceived))


@VERSIONS
def test_many_writes_before_one_read(new_pair: NewPair, version: str) -> None:
    pair = new_pair(version)
    for number in range(64):
        pair.client.connection.send_data(b"%d," % number)
    pair.run()
    assert pair.server.events == [DataReceived(b"".join(b"%d," % number for number in range(64)))]


@pytest.mark.parametrize("size", [1, 7, 23, 60, 1000])
def test_reads_that_end_anywhere(new_pair: NewPair, size: int) -> None:
    pair = new_pair()
    pair.size = size
    for number in range(20):
        pair.client.connection.send_data(b"%d," % number * 10)
    pair.run()
    assert pair.server.data == b"".join(b"%d," % number * 10 for number in range(20))


@pytest.mark.parametrize("role", ["client", "server"])
def test_keys_change_before_their_limit(new_pair: NewPair, role: str) -> None:
    limits = Limits(max_records_per_key=16)
    pair = new_pair(client=limits, server=limits)
    ours, theirs = pair.client, pair.server
    if role == "server":
        ours, theirs = theirs, ours
    for number in range(200):
        pair.say(ours, b"%d," % number)
        write = ours.connection._records.write_key
        assert write is not None
        assert write.sequence <= 16 - 2  # What is left is for a KeyUpdate and an alert.
    assert theirs.data == b"".join(b"%d," % number for number in range(200))
    assert theirs.saw(KeysUpdated) >= 200 // 16


def test_the_peer_is_asked_for_new_keys(new_pair: NewPair) -> None:
    """Once for each key, and wherever its last record stands in a read."""
    pair = new_pair(server=Limits(max_records_per_key=16))
    for number in range(100):
        pair.client.connection.send_data(b"a record")
        if number % 3:
            pair.run()
    pair.run()
    assert pair.server.data == b"a record" * 100
    assert 4 <= pair.client.saw(KeysUpdated) <= 8


def test_tls12_ends_with_its_key(new_pair: NewPair) -> None:
    pair = new_pair("TLSv1.2", client=Limits(max_records_per_key=16))
    with pytest.raises(ProtocolError) as caught:
        for _ in range(16):
            pair.say(pair.client, b"a record")
    assert caught.value.fault is Fault.KEY_EXHAUSTED
    write = pair.client.connection._records.write_key
    assert write is not None
    assert write.sequence <= 16


def test_an_answer_goes_before_the_data(new_pair: NewPair) -> None:
    pair = new_pair()
    for _ in range(3):
        pair.client.connection.update_keys(request_peer=True)
        pair.carry(pair.client, pair.server)
        pair.server.connection.send_data(b"after it")
        pair.run()
        assert pair.client.events[-2:] == [KeysUpdated(), DataReceived(b"after it")]
        pair.say(pair.client, b"and back")
        assert pair.server.data.endswith(b"and back")


def test_tickets_go_before_the_data(new_pair: NewPair) -> None:
    pair = new_pair()
    assert pair.server.connection._records.data_key is not None
    assert isinstance(pair.server.connection, ServerConnection)
    assert pair.server.connection.send_tickets(1) == 1
    pair.server.connection.send_data(b"after it")
    first, second = split_records(pair.server.take())
    assert len(first[1]) > len(second[1])


def test_nothing_is_sent_before_the_handshake_is_complete(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    """Also where this side has the keys already, as a server that waits for Finished."""
    pair = Pair(client_config, server_config, traced=False)
    pair.carry(pair.client, pair.server)
    server = pair.server.connection
    assert server._records.write_key is not None
    flight = pair.server.take()
    for data in (b"too early", bytes(20_000)):
        with pytest.raises(StateError, match="not complete"):
            server.send_data(data)
    assert server.data_to_send() == b""
    pair.client.receive(flight)
    pair.run()
    assert pair.established
    assert pair.client.data == b""


@VERSIONS
def test_nothing_is_sent_after_close(new_pair: NewPair, version: str) -> None:
    pair = new_pair(version)
    pair.client.connection.close()
    pair.run()
    with pytest.raises(StateError, match="closed"):
        pair.client.connection.send_data(b"too late")
    assert pair.client.take() == b""
    pair.say(pair.server, b"here is more")
    assert pair.server.events == [PeerClosed()]
    assert pair.client.events == [DataReceived(b"here is more")]


@VERSIONS
def test_nothing_is_sent_after_a_failure(new_pair: NewPair, version: str) -> None:
    pair = new_pair(version)
    pair.server.receive(b"\x17\x03\x03\0\x40" + bytes(64))
    assert pair.server.error is not None
    with pytest.raises(ProtocolError) as caught:
        pair.server.connection.send_data(b"too late")
    assert caught.value.fault is Fault.BAD_RECORD_MAC
    pair.run()
    assert isinstance(pair.client.error, PeerAlertError)
    assert pair.client.data == b""


@pytest.mark.parametrize("good", [0, 1, 3])
@pytest.mark.parametrize("change", ["last", "first", "type", "cut"])
def test_a_record_that_does_not_open(new_pair: NewPair, good: int, change: str) -> None:
    """The data before it are there, then comes the error, and nothing of what follows."""
    pair = new_pair()
    for number in range(good):
        pair.client.connection.send_data(b"%d," % number)
    begins = pair.client.take()
    pair.client.connection.send_data(b"damaged")
    record = bytearray(pair.client.take())
    pair.client.connection.send_data(b"behind it")
    if change == "cut":
        del record[-5:]  # The next record's header takes the place of these bytes.
    else:
        record[{"last": -1, "first": 5, "type": 0}[change]] ^= 1
    connection = pair.server.connection
    stream = begins + bytes(record) + pair.client.take()
    events: list[Event] = []
    if good:
        events = connection.receive_data(stream)
        assert events == [DataReceived(b"".join(b"%d," % number for number in range(good)))]
    with pytest.raises(ProtocolError) as caught:
        connection.receive_data(stream)
    assert caught.value.fault is (
        Fault.UNPROTECTED_RECORD if change == "type" else Fault.BAD_RECORD_MAC
    )
    assert connection.data_to_send()[0] == 23


def test_a_record_comes_once(new_pair: NewPair) -> None:
    pair = new_pair()
    pair.client.connection.send_data(b"once")
    record = pair.client.take()
    assert pair.server.connection.receive_data(record) == [DataReceived(b"once")]
    with pytest.raises(ProtocolError) as caught:
        pair.server.connection.receive_data(record)
    assert caught.value.fault is Fault.BAD_RECORD_MAC


def test_a_record_that_is_too_long(new_pair: NewPair) -> None:
    pair = new_pair()
    with pytest.raises(ProtocolError) as caught:
        pair.server.connection.receive_data(
            b"\x17\x03\x03" + (MAX_CIPHERTEXT + 1).to_bytes(2, "big")
        )
    assert caught.value.fault is Fault.RECORD_OVERFLOW


def test_one_record_of_data_opens_without_an_event(new_pair: NewPair) -> None:
    pair = new_pair()
    client, server = pair.client.connection, pair.server.connection
    client.send_data(b"one")
    record = bytes(client.data_to_send())
    assert server.open_data(record[:-1]) is None
    assert server.open_data(record + record) is None
    assert server.open_data(bytearray(record)) == b"one"
    assert server.receive_data(client.seal_data(b"two")) == [DataReceived(b"two")]


@VERSIONS
def test_what_is_not_data_is_left_for_receive_data(new_pair: NewPair, version: str) -> None:
    pair = new_pair(version)
    client, server = pair.client.connection, pair.server.connection
    if version == "TLSv1.3":
        client.update_keys(request_peer=True)
        record = client.data_to_send()
        assert server.open_data(record) is None
        assert server.receive_data(record) == [KeysUpdated()]
        # The answer to it leaves before the data.
        assert client.receive_data(server.seal_data(b"after it")) == [
            KeysUpdated(),
            DataReceived(b"after it"),
        ]
    client.send_data(b"last")
    client.close()
    stream = client.data_to_send()
    assert server.open_data(stream) is None
    assert server.receive_data(stream) == [DataReceived(b"last"), PeerClosed()]
    assert server.open_data(stream) is None
    with pytest.raises(StateError, match="closed"):
        client.seal_data(b"too late")


@VERSIONS
@pytest.mark.parametrize("size", [0, 1, 100, 2**14, 2**14 + 1, 100_000])
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_data_are_sealed_in_one_call(
    new_pair: NewPair, version: str, size: int, kind: Callable[[bytes], bytes]
) -> None:
    pair, data = new_pair(version), os.urandom(size)
    client, server = pair.client.connection, pair.server.connection
    client.send_data(b"queued before, ")
    assert server.receive_data(client.seal_data(kind(data))) == [
        DataReceived(b"queued before, " + data)
    ]
    sealed = client.seal_data(kind(data))
    assert client.data_to_send() == b""
    assert server.receive_data(sealed) == ([DataReceived(data)] if size else [])


@VERSIONS
def test_a_seal_ends_with_its_key(new_pair: NewPair, version: str) -> None:
    limits = Limits(max_records_per_key=16)
    pair = new_pair(version, client=limits)
    client, server = pair.client.connection, pair.server.connection
    if version == "TLSv1.2":
        with pytest.raises(ProtocolError) as caught:
            for _ in range(16):
                server.receive_data(client.seal_data(b"a record"))
        assert caught.value.fault is Fault.KEY_EXHAUSTED
        return
    for number in range(100):
        events = server.receive_data(client.seal_data(b"%d," % number))
        assert events[-1] == DataReceived(b"%d," % number)
    assert client.failure is server.failure is None


def test_a_trace_has_what_is_sealed_in_one_call(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    pair = Pair(client_config, server_config).run()
    recorder = pair.client.connection.trace
    assert isinstance(recorder, Recorder)
    before = len(recorder.events)
    pair.server.receive(bytes(pair.client.connection.seal_data(b"seen")))
    assert pair.server.data == b"seen"
    assert len(recorder.events) > before
