"""Records that are none, too long, empty, unprotected or in the wrong place (section 5)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.adversarial.conftest import refused
from tests.adversarial.encounter import Encounter
from tests.pki import Pki

from handclasp import (
    ClientConfig,
    ClientConnection,
    Fault,
    Limits,
    PeerAlertError,
    ServerConfig,
    ServerConnection,
    TruncationError,
)
from handclasp.iana import AlertDescription, ContentType, HandshakeType
from handclasp.testing.deviations import handshake_message
from handclasp.testing.scripted import ScriptedClient, ScriptedServer
from handclasp.wire.messages import KeyUpdate, write_message

Meet = Callable[..., Encounter]

CCS = ContentType.CHANGE_CIPHER_SPEC
ALERT = ContentType.ALERT
HANDSHAKE = ContentType.HANDSHAKE
DATA = ContentType.APPLICATION_DATA


@pytest.fixture(params=["client", "server"])
def meet(request: pytest.FixtureRequest, meet_client: Meet, meet_server: Meet) -> Meet:
    """A good peer of either role, after a good handshake."""
    return meet_client if request.param == "client" else meet_server


@pytest.fixture(params=["client", "server"])
def meet_unfinished(request: pytest.FixtureRequest, meet_client: Meet, meet_server: Meet) -> Meet:
    """A peer of either role that has handshake keys and does not go on."""
    if request.param == "client":
        return lambda **script: meet_client(order=(), **script)
    return lambda **script: meet_server(order=("server_hello",), **script)


@pytest.fixture(params=["client", "server"])
def start(request: pytest.FixtureRequest, pki: Pki) -> Callable[..., Encounter]:
    """The first bytes of a peer of either role."""

    def of_client(first: bytes, limits: Limits | None = None) -> Encounter:
        peer = ScriptedClient()
        peer.take()
        peer.send_raw(first)
        config = ServerConfig(credentials=pki.server(), limits=limits or Limits())
        return Encounter(ServerConnection(config), peer)

    def of_server(first: bytes, limits: Limits | None = None) -> Encounter:
        config = ClientConfig(trust=pki.trust, limits=limits or Limits())
        peer = ScriptedServer(pki.server(), order=())
        peer.send_raw(first)
        return Encounter(ClientConnection(config, server_name="localhost"), peer)

    return of_client if request.param == "client" else of_server


# What is not TLS


@pytest.mark.parametrize(
    ("first", "fault"),
    [
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", Fault.PLAINTEXT_HTTP),
        (b"POST /x HTTP/1.1\r\n", Fault.PLAINTEXT_HTTP),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Fault.PLAINTEXT_HTTP),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", Fault.PLAINTEXT_HTTP),
        (b"SSH-2.0-OpenSSH_9.6\r\n", Fault.NOT_TLS),
        (b"220 mail.example ESMTP\r\n", Fault.NOT_TLS),
        (b"EHLO example\r\n", Fault.NOT_TLS),
        (bytes(8), Fault.NOT_TLS),
        (b"\x16\x02\0\0\x05", Fault.NOT_TLS),
        (b"\x18\x03\x03\0\x03abc", Fault.NOT_TLS),  # heartbeat
        (bytes.fromhex("802e0100020015000000100100800300800700c0"), Fault.SSLV2_HELLO),
        (bytes.fromhex("803e0103010015000000200000390000380000"), Fault.SSLV2_HELLO),
    ],
)
def test_first_bytes(start: Callable[..., Encounter], first: bytes, fault: Fault) -> None:
    refused(start(first), fault)


def test_other_protocol_in_small_pieces(server_config: ServerConfig) -> None:
    connection = ServerConnection(server_config)
    for byte in b"GET ":
        assert connection.receive_data(bytes([byte])) == []
    with pytest.raises(Exception, match="plain HTTP"):
        connection.receive_data(b"/")


def test_other_record_type_later(meet: Meet) -> None:
    encounter = meet()
    encounter.peer.send_raw(b"\x18\x03\x03\0\x03abc")
    refused(encounter.run(), Fault.UNEXPECTED_RECORD_TYPE)


def test_other_record_type_inside(meet: Meet, meet_unfinished: Meet) -> None:
    for encounter in (meet(), meet_unfinished()):
        for_type = CCS if encounter.connection.established else 24
        encounter.peer.send_record(for_type, b"\1")
        refused(encounter.run(), Fault.UNEXPECTED_RECORD_TYPE)


# Sizes


def test_plaintext_record_too_long(start: Callable[..., Encounter]) -> None:
    refused(start(b"\x16\x03\x03\x40\x01" + bytes(2**14 + 1)), Fault.RECORD_OVERFLOW)


def test_announced_length_is_enough(start: Callable[..., Encounter]) -> None:
    """Nothing is awaited or kept of a record that announces too much."""
    refused(start(b"\x16\x03\x01\xff\xff"), Fault.RECORD_OVERFLOW)
    refused(start(b"\x17\x03\x03\x41\x01"), Fault.RECORD_OVERFLOW)


def test_protected_record_too_long(meet: Meet) -> None:
    encounter = meet()
    encounter.peer.send_raw(b"\x17\x03\x03\x41\x01" + bytes(2**14 + 257))
    refused(encounter.run(), Fault.RECORD_OVERFLOW)


def test_content_too_long_inside(meet: Meet) -> None:
    encounter = meet()
    encounter.peer.send_data(bytes(2**14 + 1))
    refused(encounter.run(), Fault.RECORD_OVERFLOW)


def test_padding_too_long_inside(meet: Meet) -> None:
    encounter = meet()
    encounter.peer.send_data(bytes(2**14), padding=1)
    refused(encounter.run(), Fault.RECORD_OVERFLOW)


def test_longest_record(meet: Meet) -> None:
    encounter = meet()
    encounter.peer.send_data(bytes(2**14))
    encounter.peer.send_data(b"x", padding=2**14 - 1)
    assert encounter.run().error is None


def test_record_over_the_agreed_limit(pki: Pki, meet_client: Meet) -> None:
    config = ServerConfig(credentials=pki.server(), record_size_limit=100)
    for size, wrong in ((99, False), (100, True)):
        encounter = meet_client(config=config, extensions={28: b"\x40\x01"})
        encounter.peer.send_data(bytes(size))
        encounter.run()
        assert (encounter.error is not None) is wrong
        if wrong:
            refused(encounter, Fault.RECORD_OVERFLOW)


@pytest.mark.parametrize("size", [0, 1, 15, 16])
def test_protected_record_too_short(meet: Meet, size: int) -> None:
    encounter = meet()
    encounter.peer.send_raw(b"\x17\x03\x03\0" + bytes([size]) + bytes(size))
    refused(encounter.run(), Fault.BAD_RECORD_MAC)


@pytest.mark.parametrize("limits", [Limits(max_hello_bytes=1000), Limits(max_hello_bytes=1001)])
def test_message_too_large(start: Callable[..., Encounter], limits: Limits) -> None:
    for kind in (HandshakeType.CLIENT_HELLO, HandshakeType.SERVER_HELLO):
        message = handshake_message(kind, bytes(1002))[:100]
        record = b"\x16\x03\x03" + len(message).to_bytes(2, "big") + message
        refused(start(record, limits), Fault.HANDSHAKE_MESSAGE_TOO_LARGE)


@pytest.mark.parametrize("header", [b"\x0b\xff\xff\xff", b"\x08\x01\0\1", b"\x14\xff\0\0"])
def test_message_announces_too_much(start: Callable[..., Encounter], header: bytes) -> None:
    refused(start(b"\x16\x03\x03\0\4" + header), Fault.HANDSHAKE_MESSAGE_TOO_LARGE)


def test_certificate_too_large(pki: Pki, meet_server: Meet) -> None:
    config = ClientConfig(trust=pki.trust, limits=Limits(max_certificate_bytes=100))
    refused(meet_server(config=config), Fault.HANDSHAKE_MESSAGE_TOO_LARGE)


def test_handshake_too_large(pki: Pki, meet_server: Meet) -> None:
    config = ClientConfig(trust=pki.trust, limits=Limits(max_handshake_bytes=700))
    refused(meet_server(config=config), Fault.HANDSHAKE_TOO_LARGE)


# Protection


def test_changed_record(meet: Meet) -> None:
    for at in (3, 4, 5, -1):
        encounter = meet()
        encounter.peer.send_data(bytes(20))
        record = bytearray(encounter.peer.take())
        record[at] ^= 1 if at != 3 else 0
        record[4] ^= 0 if at != 3 else 1
        encounter.peer.send_raw(bytes(record) + bytes(1))
        encounter.run()
        refused(encounter, Fault.BAD_RECORD_MAC)


def test_record_twice(meet: Meet) -> None:
    encounter = meet()
    encounter.peer.send_data(b"once")
    record = encounter.peer.take()
    encounter.peer.send_raw(record + record)
    refused(encounter.run(), Fault.BAD_RECORD_MAC)


def test_record_left_out(meet: Meet) -> None:
    encounter = meet()
    encounter.peer.send_data(b"lost")
    encounter.peer.take()
    encounter.peer.send_data(b"found")
    refused(encounter.run(), Fault.BAD_RECORD_MAC)


def test_nothing_but_padding(meet: Meet) -> None:
    for padding in (0, 100):
        encounter = meet()
        encounter.peer.send_record(0, b"", padding)
        refused(encounter.run(), Fault.NO_INNER_CONTENT_TYPE)


@pytest.mark.parametrize("kind", [HANDSHAKE, ALERT])
def test_plaintext_after_the_handshake(meet: Meet, kind: ContentType) -> None:
    encounter = meet()
    content = b"\2\x28" if kind == ALERT else write_message(KeyUpdate(False))
    encounter.peer.send_plaintext(kind, content)
    refused(encounter.run(), Fault.UNPROTECTED_RECORD)


def test_plaintext_handshake_after_the_keys(meet_unfinished: Meet) -> None:
    encounter = meet_unfinished()
    encounter.peer.send_plaintext(HANDSHAKE, handshake_message(HandshakeType.FINISHED, bytes(32)))
    refused(encounter.run(), Fault.UNPROTECTED_RECORD)


def test_plaintext_alert_once_protected_records_came(
    pki: Pki, meet_server: Meet, meet_client: Meet, asking_config: ServerConfig
) -> None:
    encounters = (
        meet_server(order=("server_hello", "encrypted_extensions")),
        meet_client(config=asking_config, credentials=pki.client(), order=("certificate",)),
    )
    for encounter in encounters:
        encounter.peer.send_plaintext(ALERT, b"\2\x28")
        refused(encounter.run(), Fault.UNPROTECTED_RECORD)


def test_plaintext_alert_before_any_protected_record(meet_unfinished: Meet) -> None:
    """A peer that could not follow has no keys to say so with."""
    encounter = meet_unfinished()
    encounter.peer.send_plaintext(ALERT, b"\2\x28")
    encounter.run()
    assert isinstance(encounter.error, PeerAlertError)
    assert encounter.error.alert == "handshake_failure"
    assert encounter.peer.alerts == []


# Application data too early


def test_data_before_finished(meet_unfinished: Meet) -> None:
    encounter = meet_unfinished()
    encounter.peer.send_data(b"too early")
    refused(encounter.run(), Fault.APPLICATION_DATA_TOO_EARLY)


def test_data_before_any_keys(start: Callable[..., Encounter]) -> None:
    refused(start(b"\x17\x03\x03\0\x20" + bytes(32)), Fault.APPLICATION_DATA_TOO_EARLY)


def test_data_never_reaches_the_application(meet_server: Meet) -> None:
    """Not even where all of it came in one piece, Finished and all."""
    encounter = meet_server(order=("server_hello", "encrypted_extensions"))
    encounter.peer.send_data(b"forged")
    encounter.run()
    assert encounter.events == []


# Empty records


@pytest.mark.parametrize("kind", [HANDSHAKE, ALERT])
def test_empty_record(meet: Meet, meet_unfinished: Meet, kind: ContentType) -> None:
    for encounter in (meet(), meet_unfinished()):
        encounter.peer.send_record(kind, b"")
        refused(encounter.run(), Fault.EMPTY_RECORD)


def test_empty_data_before_finished(meet_unfinished: Meet) -> None:
    encounter = meet_unfinished()
    encounter.peer.send_record(DATA, b"")
    refused(encounter.run(), Fault.APPLICATION_DATA_TOO_EARLY)


def test_empty_plaintext_record(start: Callable[..., Encounter]) -> None:
    refused(start(b"\x16\x03\x03\0\0"), Fault.EMPTY_RECORD)
    refused(start(b"\x15\x03\x03\0\0"), Fault.EMPTY_RECORD)


# Interleaving


@pytest.mark.parametrize(("kind", "content"), [(ALERT, b"\1\0"), (DATA, b"x"), (DATA, b"")])
def test_record_inside_of_a_message(meet: Meet, kind: ContentType, content: bytes) -> None:
    encounter = meet()
    encounter.peer.send_record(HANDSHAKE, write_message(KeyUpdate(False))[:3])
    encounter.peer.send_record(kind, content)
    refused(encounter.run(), Fault.INTERLEAVED_RECORD)


def test_change_cipher_spec_inside_of_a_message(
    pki: Pki, client_config: ClientConfig, server_config: ServerConfig
) -> None:
    client = ClientConnection(client_config, server_name="localhost")
    refused(_half_hello(client, ScriptedServer(pki.server(), order=())), Fault.INTERLEAVED_RECORD)
    server = ServerConnection(server_config)
    encounter = Encounter(server, ScriptedClient(shares=(), order=(), second_hello=None))
    refused(_half_hello(server, encounter.peer), Fault.INTERLEAVED_RECORD)


def _half_hello(connection: ClientConnection | ServerConnection, peer: object) -> Encounter:
    assert isinstance(peer, ScriptedClient | ScriptedServer)
    kind = 2 if isinstance(peer, ScriptedServer) else 1
    encounter = Encounter(connection, peer)
    peer.send_plaintext(HANDSHAKE, handshake_message(kind, bytes(100))[:50])
    peer.send_plaintext(CCS, b"\1")
    return encounter.run()


# change_cipher_spec


@pytest.mark.parametrize("content", [b"\0", b"\2", b"\1\1", b""])
def test_change_cipher_spec_of_other_content(meet_unfinished: Meet, content: bytes) -> None:
    encounter = meet_unfinished()
    encounter.peer.send_plaintext(CCS, content)
    refused(encounter.run(), Fault.UNEXPECTED_CHANGE_CIPHER_SPEC)


def test_change_cipher_spec_after_the_handshake(meet: Meet) -> None:
    encounter = meet()
    encounter.peer.send_plaintext(CCS, b"\1")
    refused(encounter.run(), Fault.UNEXPECTED_CHANGE_CIPHER_SPEC)


def test_change_cipher_spec_before_the_client_hello(server_config: ServerConfig) -> None:
    peer = ScriptedClient()
    hello = peer.take()
    peer.send_plaintext(CCS, b"\1")
    peer.send_raw(hello)
    encounter = Encounter(ServerConnection(server_config), peer)
    refused(encounter, Fault.UNEXPECTED_CHANGE_CIPHER_SPEC)


def test_change_cipher_spec_before_the_server_hello(meet_server: Meet) -> None:
    """RFC 9846 section 5: at any time after the first ClientHello was sent."""

    class Early(ScriptedServer):
        def server_hello(self) -> object:  # type: ignore[override]
            self.send_plaintext(CCS, b"\1")
            return super().server_hello()

    assert meet_server(kind=Early).error is None


def test_protected_change_cipher_spec(meet_unfinished: Meet) -> None:
    encounter = meet_unfinished()
    encounter.peer.send_record(CCS, b"\1")
    refused(encounter.run(), Fault.UNEXPECTED_RECORD_TYPE)


# Alerts


@pytest.mark.parametrize("content", [b"\2", b"\2\x28\2", b"\2\x28\2\x28"])
def test_alert_of_another_size(meet: Meet, content: bytes) -> None:
    encounter = meet()
    encounter.peer.send_record(ALERT, content)
    refused(encounter.run(), Fault.DECODE_ERROR)


@pytest.mark.parametrize("level", [0, 1, 2, 255])
@pytest.mark.parametrize("alert", [10, 40, 80, 100, 112, 255])
def test_every_other_alert_ends_it(meet: Meet, level: int, alert: int) -> None:
    """RFC 9846 section 6: the level says nothing; unknown alerts are errors."""
    encounter = meet()
    encounter.peer.send_alert(level, alert)
    encounter.run()
    assert isinstance(encounter.error, PeerAlertError)
    assert encounter.error.alert_number == alert
    assert encounter.peer.alerts == []
    assert not encounter.connection.established


def test_close_notify_in_the_handshake(meet_unfinished: Meet) -> None:
    encounter = meet_unfinished()
    encounter.peer.send_alert(1, AlertDescription.CLOSE_NOTIFY)
    encounter.run()
    assert isinstance(encounter.error, TruncationError)
    assert encounter.error.fault is Fault.CLOSED_DURING_HANDSHAKE
    assert encounter.peer.alerts == []


def test_end_of_the_transport_at_every_pause(pki: Pki, meet_server: Meet) -> None:
    order = ScriptedServer.order
    for count in range(len(order)):
        encounter = meet_server(order=order[:count])
        with pytest.raises(TruncationError) as caught:
            encounter.connection.receive_eof()
        assert caught.value.fault is Fault.CLOSED_DURING_HANDSHAKE
        assert encounter.connection.data_to_send() == b""
