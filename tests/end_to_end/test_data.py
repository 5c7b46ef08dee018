"""The life after the handshake: data, new keys, limits, closing; and a transport cut anywhere."""

from __future__ import annotations

import errno
import hashlib
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.end_to_end.pair import End, Pair, split_records
from tests.pki import Pki

from handclasp import (
    ClientAuth,
    ClientConfig,
    ConfigurationError,
    DataReceived,
    Fault,
    HandshakeCompleted,
    KeysUpdated,
    Limits,
    PeerAlertError,
    PeerClosed,
    ProtocolError,
    ServerConfig,
    TruncationError,
)
from handclasp.iana import HandshakeType
from handclasp.keys.schedule12 import RESERVED_LABELS
from handclasp.trace.events import KeysInstalled, KeyStep, MessageSeen, SecretDerived

_FULL = r"The key log keys could not be written \(No space left on device\)"


@pytest.fixture
def pair(client_config: ClientConfig, server_config: ServerConfig) -> Pair:
    pair = Pair(client_config, server_config).run()
    assert pair.established
    return pair


def updates_sent(end: End) -> int:
    return sum(
        isinstance(event, MessageSeen)
        and event.direction == "sent"
        and event.message_type == HandshakeType.KEY_UPDATE
        for event in end.trace.events
    )


# Data


@pytest.mark.parametrize("size", [0, 1, 2**14 - 1, 2**14, 2**14 + 1, 3 * 2**14, 1_000_003])
def test_any_size(pair: Pair, size: int) -> None:
    data = os.urandom(size)
    pair.say(pair.client, data)
    pair.say(pair.server, data[::-1])
    assert pair.server.data == data
    assert pair.client.data == data[::-1]


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_buffer(pair: Pair, kind: Any) -> None:
    buffer = bytearray(b"some data" * 5000)
    given = kind(buffer)
    pair.client.connection.send_data(given)
    if kind is not bytes:
        buffer[:] = bytes(len(buffer))  # what was queued does not change any more
    pair.run()
    assert pair.server.data == b"some data" * 5000


def test_buffer_of_wider_items(pair: Pair) -> None:
    words = memoryview(bytes(range(200))).cast("I")
    pair.client.connection.send_data(words)
    pair.run()
    assert pair.server.data == bytes(range(200))


def test_one_event_for_one_read(pair: Pair) -> None:
    for piece in (b"a", b"b" * 20_000, b"c"):
        pair.client.connection.send_data(piece)
    events = pair.server.connection.receive_data(pair.client.take())
    assert events == [DataReceived(b"a" + b"b" * 20_000 + b"c")]


def test_received_buffer_is_not_kept(pair: Pair) -> None:
    pair.client.connection.send_data(b"x" * 1000)
    record = bytearray(pair.client.take())
    half = len(record) // 2
    first, second = record[:half], record[half:]
    assert pair.server.connection.receive_data(memoryview(first)) == []
    first[:] = bytes(len(first))
    assert pair.server.connection.receive_data(second) == [DataReceived(b"x" * 1000)]
    first.clear()  # a memoryview still held would forbid this


# KeyUpdate


@pytest.mark.parametrize("request_peer", [True, False])
@pytest.mark.parametrize("role", ["client", "server"])
def test_key_update(pair: Pair, role: str, request_peer: bool) -> None:
    ours = pair.client if role == "client" else pair.server
    theirs = pair.server if role == "client" else pair.client
    for number in range(3):
        ours.connection.update_keys(request_peer)
        pair.say(ours, b"under new keys %d" % number)
        pair.say(theirs, b"back %d" % number)
    assert theirs.data == b"".join(b"under new keys %d" % n for n in range(3))
    assert ours.data == b"back 0back 1back 2"
    assert theirs.saw(KeysUpdated) == 3
    assert ours.saw(KeysUpdated) == (3 if request_peer else 0)


def test_key_updates_that_cross(pair: Pair) -> None:
    pair.client.connection.update_keys()
    pair.server.connection.update_keys()
    to_server, to_client = pair.client.take(), pair.server.take()
    pair.server.receive(to_server)
    pair.client.receive(to_client)
    pair.run()
    for end in (pair.client, pair.server):
        assert end.saw(KeysUpdated) == 2
        assert updates_sent(end) == 2
    pair.say(pair.client, b"still")
    pair.say(pair.server, b"here")
    assert (pair.server.data, pair.client.data) == (b"still", b"here")


def test_many_requests_cost_one_answer(pair: Pair) -> None:
    for _ in range(20):
        pair.client.connection.update_keys()
    pair.run()
    assert pair.server.saw(KeysUpdated) == 20
    assert updates_sent(pair.server) == 1
    assert pair.established


def test_an_answer_goes_before_the_data(pair: Pair) -> None:
    pair.client.connection.update_keys()
    pair.server.receive(pair.client.take())
    pair.server.connection.send_data(b"after the answer")
    events = pair.client.connection.receive_data(pair.server.take())
    assert events == [KeysUpdated(), DataReceived(b"after the answer")]


def test_no_answer_after_close(pair: Pair) -> None:
    pair.server.connection.close()
    pair.client.connection.update_keys()
    pair.run()
    assert updates_sent(pair.server) == 0
    assert pair.client.error is None


def test_an_owed_answer_goes_before_close(pair: Pair) -> None:
    pair.client.connection.update_keys()
    pair.server.receive(pair.client.take())
    pair.server.connection.close()
    events = pair.client.connection.receive_data(pair.server.take())
    assert events == [KeysUpdated(), PeerClosed()]


@pytest.mark.parametrize("role", ["client", "server"])
def test_keys_change_before_their_limit(
    client_config: ClientConfig, server_config: ServerConfig, role: str
) -> None:
    """Megabytes in one call and in many, with keys that last for 16 records."""
    limits = Limits(max_records_per_key=16)
    pair = Pair(replace(client_config, limits=limits), replace(server_config, limits=limits)).run()
    ours = pair.client if role == "client" else pair.server
    theirs = pair.server if role == "client" else pair.client
    data = os.urandom(3_000_000)
    pair.say(ours, data)
    for start in range(0, 300_000, 10_000):
        pair.say(ours, data[start : start + 10_000])
    assert theirs.error is None
    assert theirs.data == data + data[:300_000]
    records_needed = 3_000_000 // 2**14 + 30
    assert updates_sent(ours) >= records_needed // 16
    assert theirs.saw(KeysUpdated) == updates_sent(ours)


def test_the_peer_is_asked_for_new_keys(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    """The sender has no limit of its own; the receiver asks, and once for each key."""
    pair = Pair(client_config, replace(server_config, limits=Limits(max_records_per_key=16))).run()
    for _ in range(100):
        pair.say(pair.client, b"a record")
    assert pair.server.data == b"a record" * 100
    installed = [
        event
        for event in pair.client.trace.events
        if isinstance(event, KeysInstalled)
        and event.direction == "sent"
        and event.epoch == "application"
    ]
    assert 4 <= len(installed) <= 8
    assert pair.client.saw(KeysUpdated) == len(installed) - 1


# Exporters and bindings


def test_exporters(pair: Pair, client_config: ClientConfig, server_config: ServerConfig) -> None:
    client, server = pair.client.connection, pair.server.connection
    seen = set()
    for label, context, length in (
        ("EXPORTER-one", b"", 32),
        ("EXPORTER-one", b"context", 32),
        ("EXPORTER-two", b"", 32),
        ("EXPORTER-two", b"", 255 * 32),
        ("x", b"", 1),
    ):
        secret = client.export_keying_material(label, context, length)
        assert secret == server.export_keying_material(label, context, length)
        assert len(secret) == length
        seen.add(secret)
    assert len(seen) == 5
    none = client.export_keying_material("EXPORTER-one", None, 32)
    assert none == client.export_keying_material("EXPORTER-one", b"", 32)
    other = Pair(client_config, server_config).run().client.connection
    assert other.export_keying_material("EXPORTER-one", None, 32) != none
    pair.client.connection.update_keys()
    pair.run()
    assert client.export_keying_material("EXPORTER-one", None, 32) == none


@pytest.mark.parametrize(
    ("label", "length"), [("", 1), ("x" * 250, 1), ("naïve", 1), ("x", 0), ("x", 255 * 48 + 1)]
)
def test_exporters_that_are_none(pair: Pair, label: str, length: int) -> None:
    with pytest.raises(ConfigurationError):
        pair.client.connection.export_keying_material(label, None, length)


@pytest.mark.parametrize("label", sorted(RESERVED_LABELS))
def test_labels_of_the_older_handshake(pair: Pair, label: str) -> None:
    """A program that could not use one in TLS 1.2 hears of it before it meets such a peer."""
    with pytest.raises(ConfigurationError, match="TLS itself"):
        pair.client.connection.export_keying_material(label, None, 32)


def test_channel_bindings(pair: Pair) -> None:
    client, server = pair.client.connection, pair.server.connection
    assert client.channel_binding() == server.channel_binding("tls-exporter")
    assert len(client.channel_binding()) == 32
    leaf = hashlib.sha256(pair.server.info.local_chain_der[0]).digest()
    assert client.channel_binding("tls-server-end-point") == leaf
    assert server.channel_binding("tls-server-end-point") == leaf
    with pytest.raises(ConfigurationError, match="use 'tls-exporter'"):
        client.channel_binding("tls-unique")
    with pytest.raises(ConfigurationError, match=r"'exporter' is not .* which are 'tls-exporter'"):
        client.channel_binding("exporter")


def test_channel_binding_without_a_hash(client_config: ClientConfig, pki: Pki) -> None:
    """RFC 5929 section 4.1 says nothing for signatures that have no hash of their own."""
    root = Pki(key_type="mldsa44")
    pair = Pair(
        ClientConfig(verify_peer=False), ServerConfig(credentials=root.server("localhost"))
    ).run()
    assert pair.established
    with pytest.raises(ConfigurationError, match="tls-exporter"):
        pair.client.connection.channel_binding("tls-server-end-point")


# Closing


def test_half_close(pair: Pair) -> None:
    pair.client.connection.send_data(b"that is all")
    pair.client.connection.close()
    pair.client.connection.close()
    pair.run()
    assert pair.server.events[-2:] == [DataReceived(b"that is all"), PeerClosed()]
    assert pair.server.connection.peer_closed
    assert pair.client.connection.closed
    pair.say(pair.server, b"here is more")
    assert pair.client.data == b"here is more"
    with pytest.raises(ConfigurationError, match="closed"):
        pair.client.connection.send_data(b"too late")
    with pytest.raises(ConfigurationError, match="closed"):
        pair.client.connection.update_keys()
    pair.server.connection.close()
    pair.run()
    assert pair.client.saw(PeerClosed) == 1
    assert pair.client.connection.receive_eof() == []


def test_data_after_close_notify_is_dropped(pair: Pair) -> None:
    pair.client.connection.close()
    stream = pair.client.take() + b"\x17\x03\x03\0\x20" + bytes(32)
    events = pair.server.connection.receive_data(stream)
    assert events == [PeerClosed()]
    assert pair.server.connection.receive_data(b"and whatever comes after") == []
    assert pair.server.connection.failure is None
    assert pair.server.connection.established


@pytest.mark.parametrize("allow", [False, True])
def test_truncation(client_config: ClientConfig, server_config: ServerConfig, allow: bool) -> None:
    pair = Pair(client_config, replace(server_config, allow_truncation=allow)).run()
    pair.say(pair.client, b"part of it")
    pair.server.receive_eof()
    if allow:
        assert pair.server.events[-1] == PeerClosed()
        assert pair.server.error is None
    else:
        assert isinstance(pair.server.error, TruncationError)
        assert pair.server.error.fault is Fault.TRUNCATED
        assert pair.server.take() == b""
        with pytest.raises(TruncationError):
            pair.server.connection.receive_eof()


def test_a_cut_record_is_no_end(client_config: ClientConfig, server_config: ServerConfig) -> None:
    """Not even where truncation is allowed: here it is certain that something is missing."""
    pair = Pair(client_config, replace(server_config, allow_truncation=True)).run()
    pair.client.connection.send_data(b"part of it")
    pair.server.receive(pair.client.take()[:-1])
    pair.server.receive_eof()
    assert isinstance(pair.server.error, TruncationError)


def test_close_before_the_handshake_is_complete(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    pair = Pair(client_config, server_config)
    pair.carry(pair.client, pair.server)
    pair.client.connection.close()
    pair.run()
    # The alert user_canceled says so, and close_notify follows it.
    assert isinstance(pair.server.error, PeerAlertError)
    assert pair.server.error.alert == "user_canceled"
    assert pair.client.events == []
    with pytest.raises(ConfigurationError):
        pair.client.connection.send_data(b"never")


# Padding and limits


@pytest.mark.parametrize(
    ("policy", "size", "expected"),
    [
        (0, 10, 10),
        (100, 10, 100),
        (100, 100, 100),
        (100, 101, 200),
        (2**14, 1, 2**14),
        (lambda size: 7, 10, 17),
        (lambda size: 10**9, 10, 2**14),
        (lambda size: -5, 10, 10),
    ],
)
def test_padding(
    client_config: ClientConfig, server_config: ServerConfig, policy: Any, size: int, expected: int
) -> None:
    pair = Pair(replace(client_config, record_padding=policy), server_config).run()
    pair.client.connection.send_data(b"x" * size)
    data = pair.client.take()
    ((kind, body),) = split_records(data)
    assert kind == 23
    assert len(body) == expected + 1 + 16
    pair.server.receive(data)
    assert pair.server.data == b"x" * size


def test_padding_of_a_large_piece(client_config: ClientConfig, server_config: ServerConfig) -> None:
    pair = Pair(replace(client_config, record_padding=1000), server_config).run()
    data = os.urandom(100_000)
    pair.say(pair.client, data)
    assert pair.server.data == data
    assert {(len(b) - 17) % 1000 for k, b in pair.client.records[-7:]} <= {0, 2**14 % 1000}


def test_padding_policy_that_fails(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    calls: list[int] = []

    def policy(size: int) -> int:
        calls.append(size)
        if size == 666:
            raise LookupError("no policy for this")
        return 0

    pair = Pair(replace(client_config, record_padding=policy), server_config).run()
    with pytest.raises(ProtocolError) as caught:
        pair.client.connection.send_data(bytes(666))
    assert caught.value.fault is Fault.CALLBACK_FAILED
    assert isinstance(caught.value.__cause__, LookupError)
    pair.run()
    assert pair.server.error is not None
    assert pair.server.error.alert == "internal_error"
    assert calls


@pytest.mark.parametrize("doing", ["close", "failing", "updating", "answering", "asking"])
def test_padding_policy_that_fails_at_the_worst_time(
    client_config: ClientConfig, server_config: ServerConfig, doing: str
) -> None:
    """Alerts and KeyUpdates are padded as well: a failure there must end the connection, too."""
    armed = False

    def policy(size: int) -> int:
        if armed and size < 6:
            raise LookupError("no policy for this")
        return 0

    limits = Limits(max_records_per_key=8 if doing == "asking" else None)
    client = replace(client_config, record_padding=policy, limits=limits)
    pair = Pair(client, server_config).run()
    connection = pair.client.connection
    if doing == "answering":
        pair.server.connection.update_keys()
        pair.client.receive(pair.server.take())
    armed = True
    if doing == "failing":
        pair.client.receive(b"\x17\x03\x03\0\x20" + bytes(32))
        assert pair.client.error is not None
        assert pair.client.error.fault_name == "BAD_RECORD_MAC"
    elif doing == "asking":
        pair.server.connection.send_data(bytes(9 * 2**14))
        pair.client.receive(pair.server.take())
        assert pair.client.data == bytes(9 * 2**14)
        assert pair.client.error is not None
        assert pair.client.error.fault_name == "CALLBACK_FAILED"
    elif doing == "close":
        connection.close()
        pair.run()
        assert pair.server.saw(PeerClosed) == 1
        return
    else:
        with pytest.raises(ProtocolError) as caught:
            connection.update_keys() if doing == "updating" else connection.close()
        assert caught.value.fault is Fault.CALLBACK_FAILED
    assert connection.failure is not None
    pair.run()
    assert pair.server.error is not None, "the alert did not arrive"


@pytest.mark.parametrize(
    ("client_limit", "server_limit"), [(64, None), (64, 64), (1000, 512), (16385, 100), (None, 64)]
)
def test_record_size_limit(
    client_config: ClientConfig,
    server_config: ServerConfig,
    client_limit: int | None,
    server_limit: int | None,
) -> None:
    """RFC 8449: the limit counts content, padding and type; without an offer there is none."""
    client = replace(client_config, record_size_limit=client_limit, record_padding=50)
    server = replace(server_config, record_size_limit=server_limit)
    pair = Pair(client, server).run()
    data = os.urandom(20_000)
    pair.say(pair.client, data)
    pair.say(pair.server, data)
    assert pair.client.data == pair.server.data == data
    to_server = max(len(body) - 16 for kind, body in pair.client.records if kind == 23)
    to_client = max(len(body) - 16 for kind, body in pair.server.records if kind == 23)
    negotiated = client_limit is not None
    assert to_client <= (client_limit if client_limit is not None else 2**14 + 1)
    assert to_server <= ((server_limit or 16385) if negotiated else 2**14 + 1)
    if negotiated and server_limit == 64:
        assert to_server == 64


# Key log


def test_keylog_lines(client_config: ClientConfig, server_config: ServerConfig) -> None:
    lines: tuple[list[str], list[str]] = ([], [])
    pair = Pair(
        replace(client_config, keylog=lines[0].append),
        replace(server_config, keylog=lines[1].append),
    ).run()
    assert pair.established
    assert lines[0] == lines[1]
    labels, randoms, secrets = zip(*(line.split(" ") for line in lines[0]), strict=True)
    assert labels == (
        "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
        "SERVER_HANDSHAKE_TRAFFIC_SECRET",
        "CLIENT_TRAFFIC_SECRET_0",
        "SERVER_TRAFFIC_SECRET_0",
        "EXPORTER_SECRET",
    )
    assert set(randoms) == {bytes(pair.client.sent[11:43]).hex()}
    assert len(set(secrets)) == 5


def test_keylog_file(
    tmp_path: Path, client_config: ClientConfig, server_config: ServerConfig
) -> None:
    path = tmp_path / "keys"
    assert Pair(replace(client_config, keylog=path), server_config).run().established
    assert len(path.read_text().splitlines()) == 5
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("raised", "fault", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "keys"), Fault.KEY_LOG_FAILED, _FULL),
        (
            OSError("the collector is down"),
            Fault.KEY_LOG_FAILED,
            "key log could.*collector is down",
        ),
        (OSError(), Fault.KEY_LOG_FAILED, r"written \(OSError\)"),
        (KeyError("line"), Fault.CALLBACK_FAILED, "keylog failed with KeyError"),
    ],
)
def test_keylog_that_fails(
    client_config: ClientConfig,
    server_config: ServerConfig,
    raised: Exception,
    fault: Fault,
    words: str,
) -> None:
    def keylog(line: str) -> None:
        raise raised

    pair = Pair(replace(client_config, keylog=keylog), server_config).run()
    assert isinstance(pair.client.error, ProtocolError)
    assert pair.client.error.fault is fault
    assert re.search(words, str(pair.client.error))
    assert pair.client.error.__cause__ is raised
    assert pair.server.error is not None
    assert pair.server.error.alert == "internal_error"


def test_a_key_log_that_fails_repeats_no_secret(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    lines: list[str] = []

    def keylog(line: str) -> None:
        lines.append(line)
        raise OSError(f"cannot write {line}")

    pair = Pair(replace(client_config, keylog=keylog), server_config).run()
    assert isinstance(pair.client.error, ProtocolError)
    assert pair.client.error.fault is Fault.KEY_LOG_FAILED
    assert lines[0].split()[-1] not in str(pair.client.error)


def test_nothing_secret_is_recorded_unasked(pair: Pair) -> None:
    assert not any(isinstance(event, SecretDerived) for event in pair.client.trace.events)
    steps = [event for event in pair.client.trace.events if isinstance(event, KeyStep)]
    assert steps
    assert not any(step.value for step in steps)


# The transport and the records may cut anywhere


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 64, 1000])
def test_transport_in_pieces(pki: Pki, client_config: ClientConfig, size: int) -> None:
    server = ServerConfig(
        credentials=pki.server("localhost"),
        groups=["secp256r1"],
        client_auth=ClientAuth.REQUIRED,
        trust=pki.trust,
    )
    client = replace(client_config, credentials=pki.client())
    pair = Pair(client, server, size=size).run()
    assert pair.established
    assert pair.client.info.hello_retry
    pair.client.connection.update_keys()
    pair.say(pair.client, b"x" * 2000)
    pair.client.connection.close()
    pair.run()
    assert pair.server.data == b"x" * 2000
    assert pair.server.saw(PeerClosed) == 1


def test_transport_cut_at_every_byte(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    """Each flight in two pieces, at every place."""
    pair = Pair(client_config, server_config)
    flight = len(pair.client.take())
    pair = Pair(client_config, server_config)
    pair.carry(pair.client, pair.server)
    answer = len(pair.server.take())
    for cut in range(1, max(flight, answer), 17):
        pair = Pair(client_config, server_config)
        for sender, receiver in ((pair.client, pair.server), (pair.server, pair.client)) * 2:
            data = sender.take()
            receiver.receive(data[:cut])
            receiver.receive(data[cut:])
        assert pair.established


def test_everything_in_one_piece(client_config: ClientConfig, server_config: ServerConfig) -> None:
    """Finished, data, KeyUpdate, data and close_notify in one read, after the handshake's end."""
    pair = Pair(client_config, server_config)
    pair.carry(pair.client, pair.server)
    pair.carry(pair.server, pair.client)
    client = pair.client.connection
    client.send_data(b"one")
    client.update_keys(request_peer=False)
    client.send_data(b"two")
    client.close()
    events = pair.server.connection.receive_data(pair.client.take())
    kinds = [type(event) for event in events]
    assert kinds == [HandshakeCompleted, KeysUpdated, DataReceived, PeerClosed]
    assert events[2] == DataReceived(b"onetwo")


def test_handshake_messages_cut_at_every_byte(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    """The client's hello in two records, at every place (RFC 9846 section 5.1)."""
    size = len(Pair(client_config, server_config).client.take()) - 5
    for cut in range(1, size):
        pair = Pair(replace(client_config, key_shares=["X25519"]), server_config)
        hello = pair.client.take()[5:]
        if cut >= len(hello):
            break
        for part in (hello[:cut], hello[cut:]):
            pair.server.receive(b"\x16\x03\x01" + len(part).to_bytes(2, "big") + part)
        pair.run()
        assert pair.established


@pytest.mark.parametrize("limit", [64, 65, 66, 100, 200])
def test_server_flight_in_small_records(
    client_config: ClientConfig, server_config: ServerConfig, limit: int
) -> None:
    """record_size_limit makes the server cut its protected flight in other places each time."""
    pair = Pair(replace(client_config, record_size_limit=limit), server_config).run()
    assert pair.established
    flight = [body for kind, body in pair.server.records if kind == 23]
    assert len(flight) >= 3
    assert max(len(body) - 16 for body in flight) <= limit
