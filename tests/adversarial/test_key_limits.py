"""Keys that would be used for too long: by a setting, by a version without KeyUpdate, or early.

RFC 9846 section 5.5 bounds the sender. A receiver should not enforce the bound (RFC 9846 section
5.5): it asks for new keys, where the version has them, and takes what comes.
"""

from __future__ import annotations

from typing import Any

import pytest
from tests.end_to_end.pair import End, Pair
from tests.pki import Pki
from tests.record.records import keys_of, layer, pull

from handclasp import (
    ClientConfig,
    ClientConnection,
    ConfigurationError,
    DataReceived,
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
)
from handclasp.crypto.suites import CIPHER_SUITES, CIPHER_SUITES12, CipherSuite
from handclasp.iana import ContentType
from handclasp.keys.epoch import Epoch
from handclasp.record.layer import RESERVED_RECORDS
from handclasp.trace.events import KeysInstalled, RecordSeen

MOST = {"GCM": 2**24.5, "CCM": 2**23.5, "CHACHA20": 2**62}
"""Full records: RFC 9846 section 5.5, RFC 9147 section 4.5.3."""

SUITES = [*CIPHER_SUITES.values(), *CIPHER_SUITES12.values()]
MAX = 2**14


def most(suite: CipherSuite) -> float:
    return next(MOST[cipher] for cipher in MOST if cipher in suite.name)


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)
def test_no_suite_allows_more_than_its_cipher_bears(suite: CipherSuite) -> None:
    assert 0 < suite.record_limit <= most(suite)


@pytest.mark.parametrize("setting", [2**24 + 1, 2**60])
@pytest.mark.parametrize("suite", CIPHER_SUITES.values(), ids=lambda suite: suite.name)
def test_the_smaller_of_both_holds(suite: CipherSuite, setting: int) -> None:
    records = layer(limits=Limits(max_records_per_key=setting))
    records.install_write(Epoch.APPLICATION, keys_of(suite))
    assert records.records_left() == min(setting, suite.record_limit) <= most(suite)
    records.install_read(Epoch.APPLICATION, keys_of(suite))
    records.read_key.sequence = suite.record_limit
    assert records.read_key_exhausted


def test_and_the_documentation_says_so() -> None:
    text = " ".join((Limits.__doc__ or "").split())
    assert "AEAD's own limit (RFC 9846 section 5.5) holds where it is smaller" in text


@pytest.fixture
def large(pki: Pki) -> tuple[ClientConfig, ServerConfig]:
    """Configs that ask for more than any cipher bears."""
    limits = Limits(max_records_per_key=2**60)
    return (
        ClientConfig(trust=pki.trust, sessions=SessionStore(), limits=limits),
        ServerConfig(credentials=pki.server("localhost"), limits=limits),
    )


def record_limit(pair: Pair) -> int:
    info = pair.client.connection.info
    assert info is not None
    return next(each.record_limit for each in SUITES if each.name == info.cipher_suite)


def used_up(pair: Pair, left: int) -> None:
    """As if the client had sent so many records that `left` remain, and the server taken them."""
    sealing: Any = pair.client.connection._records.write_key
    opening: Any = pair.server.connection._records.read_key
    sealing.sequence = opening.sequence = record_limit(pair) - left


def test_keys_change_before_what_the_cipher_bears(large: tuple[ClientConfig, ServerConfig]) -> None:
    pair = Pair(*large).run()
    used_up(pair, RESERVED_RECORDS + 2)
    pair.say(pair.client, bytes(5 * MAX))
    assert pair.server.data == bytes(5 * MAX)
    changes = [
        event
        for event in pair.client.trace.events
        if isinstance(event, KeysInstalled) and event.epoch == "application"
    ]
    assert [event.direction for event in changes].count("sent") == 2


# TLS 1.2 has no KeyUpdate


def tls12(pki: Pki, suite: str, **settings: Any) -> Pair:
    transport = CIPHER_SUITES12[suite].key_exchange == "RSA"
    is_rsa = CIPHER_SUITES12[suite].authentication == "RSA"
    shared: dict[str, Any] = {
        "versions": ["TLSv1.2"],
        "cipher_suites": [suite],
        "allow_rsa_key_transport": transport,
        **settings,
    }
    credentials = pki.server("localhost", key_type="rsa-2048" if is_rsa else "ecdsa-p256")
    client = ClientConfig(trust=pki.trust, **shared)
    return Pair(client, ServerConfig(credentials=credentials, **shared)).run()


def is_exhausted(pair: Pair, received: bytes) -> None:
    """The client sends nothing more, and the server knows that this was not the end of it."""
    connection: Any = pair.client.connection
    for _ in range(2):
        with pytest.raises(ProtocolError) as caught:
            connection.send_data(b"one too many")
        assert caught.value.fault is Fault.KEY_EXHAUSTED
    assert not connection.established
    pair.run()
    assert pair.server.data == received
    assert isinstance(pair.server.error, PeerAlertError)
    assert pair.server.error.alert == "internal_error"
    write = connection._records.write_key
    assert write.sequence <= write.suite.record_limit


@pytest.mark.parametrize("suite", CIPHER_SUITES12)
def test_a_connection_of_tls12_ends_with_its_keys(pki: Pki, suite: str) -> None:
    pair = tls12(pki, suite)
    used_up(pair, RESERVED_RECORDS + 2)
    pair.say(pair.client, b"the last but one, ")
    pair.say(pair.client, b"the last")
    is_exhausted(pair, b"the last but one, the last")


AES12 = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"


def test_nothing_of_what_does_not_fit_is_sent(pki: Pki) -> None:
    pair = tls12(pki, AES12)
    used_up(pair, RESERVED_RECORDS + 2)
    with pytest.raises(ProtocolError) as caught:
        pair.client.connection.send_data(bytes(2 * MAX + 1))
    assert caught.value.fault is Fault.KEY_EXHAUSTED
    # This side sealed, and TLS 1.2 has no KeyUpdate: there is nothing for the other end to do.
    assert "On the other end" not in caught.value.fix
    assert "allow TLS 1.3" in caught.value.fix
    is_exhausted(pair, b"")


def test_a_setting_ends_a_connection_of_tls12_as_well(pki: Pki) -> None:
    """It is about records of one key, and no setting is ignored."""
    pair = tls12(pki, AES12, limits=Limits(max_records_per_key=10))
    sent = 0
    while pair.client.connection._records.records_left() > RESERVED_RECORDS:
        pair.say(pair.client, b"x")
        sent += 1
    assert sent == 10 - RESERVED_RECORDS - 1  # The first was Finished.
    is_exhausted(pair, b"x" * sent)


def test_the_other_side_may_go_on(pki: Pki) -> None:
    """What a receiver has opened is no reason to end a connection (RFC 9846 section 5.5)."""
    pair = tls12(pki, AES12)
    used_up(pair, 0)
    records = pair.client.connection._records
    records._write_end = 2**40  # A peer that does not count.
    for number in range(3):
        records.out.append(records.writer.seal(ContentType.APPLICATION_DATA, b"%d" % number))
    pair.run()
    assert pair.server.data == b"012"
    assert pair.server.connection.established


def test_alerts_that_a_peer_asks_for_do_not_wear_a_key_out(pki: Pki) -> None:
    """Each HelloRequest is declined by a warning, which is a record as well."""
    pair = tls12(pki, AES12)
    used_up(pair, 3)
    ask_again_and_again(pair, 2)
    assert pair.established
    write: Any = pair.client.connection._records.write_key
    assert write.sequence == write.suite.record_limit - 1
    # The last record is for the alert that tells why.
    ask_again_and_again(pair, 1)
    ended_with_its_key(pair)
    assert write.sequence == write.suite.record_limit
    pair.client.connection.close()
    pair.run()
    assert write.sequence == write.suite.record_limit


def ask_again_and_again(pair: Pair, count: int) -> None:
    for _ in range(count):
        pair.say(pair.server, b"data in between")
        pair.server.connection._records.send(b"\0\0\0\0")
        pair.run()


def ended_with_its_key(pair: Pair) -> None:
    """The client is at the end of its key, and has said so."""
    assert isinstance(pair.client.error, ProtocolError)
    assert pair.client.error.fault is Fault.KEY_EXHAUSTED
    assert isinstance(pair.server.error, PeerAlertError)
    assert pair.server.error.alert == "internal_error"


def with_a_client_of_tls12(pki: Pki) -> Pair:
    """Only the client has a setting."""
    client = ClientConfig(
        trust=pki.trust, versions=["TLSv1.2"], limits=Limits(max_records_per_key=MOST_RECORDS)
    )
    return Pair(client, ServerConfig(credentials=pki.server("localhost"))).run()


def test_nor_past_a_setting(pki: Pki) -> None:
    pair = with_a_client_of_tls12(pki)
    # One is sealed for Finished, and one is left for the alert.
    ask_again_and_again(pair, MOST_RECORDS - 2)
    assert pair.established
    ask_again_and_again(pair, 1)
    ended_with_its_key(pair)
    assert sealed_under_one_key(pair.client) == MOST_RECORDS


def test_a_close_always_has_its_record(pki: Pki) -> None:
    pair = with_a_client_of_tls12(pki)
    ask_again_and_again(pair, MOST_RECORDS - 2)
    pair.client.connection.close()
    pair.run()
    assert pair.server.saw(PeerClosed)


def test_nor_does_an_alert() -> None:
    """Whatever went before it."""
    records = layer(limits=Limits(max_records_per_key=8))
    records.install_write(Epoch.APPLICATION, keys_of(SUITES[0]))
    for _ in range(8):
        records.send_alert(b"\1\0")
    with pytest.raises(ProtocolError) as caught:
        records.send_alert(b"\1\0")
    assert caught.value.fault is Fault.KEY_EXHAUSTED


@pytest.mark.parametrize("at_a_time", [1, 2])
@pytest.mark.parametrize("received_as", [bytes, bytearray])
@pytest.mark.parametrize("traced", [False, True])
def test_a_receiver_asks_for_new_keys(
    pki: Pki, at_a_time: int, received_as: type[bytes | bytearray], traced: bool
) -> None:
    """Of a peer that does not count, whether records come one by one or not, and only once."""
    config = ClientConfig(trust=pki.trust, limits=Limits(max_records_per_key=16))
    trace = Recorder() if traced else None
    client = ClientConnection(config, server_name="localhost", trace=trace)
    server = ServerConnection(ServerConfig(credentials=pki.server("localhost"), tickets=0))
    server.receive_data(client.data_to_send())
    client.receive_data(server.data_to_send())
    server.receive_data(client.data_to_send())
    client.receive_data(server.data_to_send())
    asked_after = []
    for number in range(0, 20, at_a_time):
        for _ in range(at_a_time):
            server.send_data(b"x")
        received = received_as(server.data_to_send())
        assert client.receive_data(received) == [DataReceived(b"x" * at_a_time)]
        if client.wants_to_send:
            asked_after.append(number + at_a_time)
            request = client.data_to_send()
    assert asked_after == [16]
    assert server.receive_data(request) == [KeysUpdated()]


# What cannot change its key in TLS 1.3


def test_early_data_do_not_wear_their_key_out(pki: Pki) -> None:
    """Each call is a record, and nothing updates this key (RFC 9846 section 5.5)."""
    client = ClientConfig(
        trust=pki.trust,
        sessions=SessionStore(),
        allow_early_data=True,
        limits=Limits(max_records_per_key=16),
    )
    server = ServerConfig(credentials=pki.server("localhost"), max_early_data=2**32 - 1)
    Pair(client, server).run()
    pair = Pair(client, server)
    connection: Any = pair.client.connection
    sent = 0
    while connection.early_data_limit:
        connection.send_early_data(b"x")
        sent += 1
    assert sent == 16 - RESERVED_RECORDS
    with pytest.raises(ConfigurationError, match="wait for the handshake"):
        connection.send_early_data(b"x")
    pair.run()
    assert pair.established
    assert pair.server.info.early_data_status == "accepted"


def test_tickets_do_not_wear_a_key_out(large: tuple[ClientConfig, ServerConfig]) -> None:
    """They are no data, but the key is changed for them all the same."""
    pair = Pair(*large).run()
    server: Any = pair.server.connection
    write, reads = server._records.write_key, pair.client.connection._records.read_key
    assert reads is not None
    write.sequence = reads.sequence = record_limit(pair) - RESERVED_RECORDS - 2
    for _ in range(5):
        assert server.send_tickets(1) == 1
        pair.run()
    assert pair.established
    assert pair.client.saw(KeysUpdated) == 1
    assert write.sequence <= record_limit(pair)


MOST_RECORDS = 16
TICKETS = Limits(max_records_per_key=MOST_RECORDS)


def with_tickets(pki: Pki, limits: Limits = TICKETS, **settings: Any) -> Pair:
    client = ClientConfig(
        trust=pki.trust,
        sessions=SessionStore(),
        limits=Limits(max_messages_without_data=10**4),
        **settings,
    )
    server = ServerConfig(
        credentials=pki.server("localhost"), limits=limits, alpn=settings.get("alpn", ())
    )
    return Pair(client, server).run()


def sealed_under_one_key(end: End) -> int:
    """The most records that this side sealed under a key."""
    most = current = 0
    for event in end.trace.events:
        if isinstance(event, KeysInstalled) and event.direction == "sent":
            current = 0
        elif isinstance(event, RecordSeen) and event.direction == "sent":
            current += event.epoch != "plaintext"
        most = max(most, current)
    return most


@pytest.mark.parametrize("at_a_time", [1, 3, 200])
@pytest.mark.parametrize("data", [b"", b"data"])
def test_tickets_keep_to_the_setting(pki: Pki, at_a_time: int, data: bytes) -> None:
    """However many are queued before anything is sent, and whatever is sent behind them."""
    pair = with_tickets(pki, record_size_limit=512)
    server: Any = pair.server.connection
    for _ in range(200 // at_a_time):
        assert server.send_tickets(at_a_time) == at_a_time
        server.send_data(data)
        pair.run()
    assert pair.established
    assert pair.client.saw(KeysUpdated)
    assert sealed_under_one_key(pair.server) <= MOST_RECORDS


@pytest.mark.parametrize(("most", "fit"), [(8, 0), (12, 1)])
def test_a_ticket_that_no_key_bears_is_not_sent(pki: Pki, most: int, fit: int) -> None:
    """A client that takes 64 bytes in a record cannot break a connection by it, either."""
    pair = with_tickets(pki, Limits(max_records_per_key=64), record_size_limit=64, alpn=["x" * 200])
    server: Any = pair.server.connection
    server._records._most_records = most
    server.update_keys(request_peer=False)
    for _ in range(3):
        assert server.send_tickets(1) == fit
        server.send_data(b"data")
        pair.run()
    assert pair.established
    assert pair.client.data == 3 * b"data"
    assert sealed_under_one_key(pair.server) <= 64


def test_a_handshake_keeps_to_the_setting(pki: Pki) -> None:
    """Nothing updates its keys, so it ends where the client takes too little at a time."""
    # The long name makes the flight longer than eight records, whatever size the signature has.
    limits, alpn = Limits(max_records_per_key=8), ["a" * 60]
    pair = with_tickets(pki, limits, record_size_limit=64, alpn=alpn)
    assert isinstance(pair.server.error, ProtocolError)
    assert pair.server.error.fault is Fault.KEY_EXHAUSTED
    assert sealed_under_one_key(pair.server) <= 8


def test_answers_to_key_updates_keep_to_the_setting(pki: Pki) -> None:
    pair = with_tickets(pki)
    for _ in range(100):
        pair.client.connection.update_keys()
        pair.say(pair.client, b"x")
    assert pair.established
    assert sealed_under_one_key(pair.server) <= MOST_RECORDS


def test_refused_early_data_are_so_many_guesses_and_no_more() -> None:
    """Whatever a server allows for, each record that does not open is a guess at a tag."""
    records = layer(protected=True)
    for allowed in (2**16, 2**24, 2**33):
        records.skip_early_data(allowed)
        budget = records.layer._early_data
        assert budget is not None
        before = budget.left
        pull(records, b"\x17\3\3\0\x20" + bytes(32))
        assert allowed // (before - budget.left) <= 2**20
