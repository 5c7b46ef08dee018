"""Messages left out, repeated, moved, and every message at every pause (RFC 8446 Appendix A)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.adversarial.conftest import ClientRefuses, ServerRefuses, refused
from tests.adversarial.encounter import Encounter
from tests.pki import Pki

from handclasp import ClientConfig, ClientConnection, Fault, ServerConfig, ServerConnection
from handclasp.iana import ContentType, HandshakeType
from handclasp.iana import ExtensionType as Ext
from handclasp.testing.deviations import followed_by, handshake_message
from handclasp.testing.scripted import SCHEMES, ScriptedClient, ScriptedServer
from handclasp.wire import extensions as ext
from handclasp.wire.messages import (
    Certificate,
    CertificateEntry,
    CertificateRequest,
    CertificateVerify,
    CompressedCertificate,
    EncryptedExtensions,
    EndOfEarlyData,
    Finished,
    KeyUpdate,
    Message,
    NewSessionTicket,
    write_message,
)
from handclasp.wire.records import HEADER_SIZE

Meet = Callable[..., Encounter]
Type = HandshakeType

FLIGHT = ("server_hello", "encrypted_extensions", "certificate", "certificate_verify", "finished")
ASKING_FLIGHT = (*FLIGHT[:2], "certificate_request", *FLIGHT[2:])
CLIENT_FLIGHT = ("certificate", "certificate_verify", "finished")

KEY_UPDATE = write_message(KeyUpdate(False))
TICKET = write_message(NewSessionTicket(3600, 0, b"", b"ticket", {}))


def without(flight: tuple[str, ...], step: str) -> tuple[str, ...]:
    return tuple(name for name in flight if name != step)


def doubled(flight: tuple[str, ...], step: str) -> tuple[str, ...]:
    at = flight.index(step)
    return (*flight[: at + 1], *flight[at:])


def swapped(flight: tuple[str, ...], at: int) -> tuple[str, ...]:
    return (*flight[:at], flight[at + 1], flight[at], *flight[at + 2 :])


# Left out, repeated, moved


@pytest.mark.parametrize("step", FLIGHT[1:-1])
def test_server_leaves_out(client_refuses: ClientRefuses, step: str) -> None:
    client_refuses(Fault.UNEXPECTED_MESSAGE, order=without(FLIGHT, step))


@pytest.mark.parametrize("step", ASKING_FLIGHT[1:-1])
def test_server_repeats(client_refuses: ClientRefuses, step: str) -> None:
    client_refuses(Fault.UNEXPECTED_MESSAGE, order=doubled(ASKING_FLIGHT, step))


@pytest.mark.parametrize("at", range(1, len(ASKING_FLIGHT) - 1))
def test_server_reorders(client_refuses: ClientRefuses, at: int) -> None:
    client_refuses(Fault.UNEXPECTED_MESSAGE, order=swapped(ASKING_FLIGHT, at))


def test_server_finishes_at_once(client_refuses: ClientRefuses) -> None:
    client_refuses(Fault.UNEXPECTED_MESSAGE, order=("server_hello", "finished"))
    order = ("server_hello", "encrypted_extensions", "finished")
    client_refuses(Fault.UNEXPECTED_MESSAGE, order=order)


@pytest.mark.parametrize("step", CLIENT_FLIGHT[:-1])
def test_client_leaves_out(
    pki: Pki, server_refuses: ServerRefuses, asking_config: ServerConfig, step: str
) -> None:
    order = without(CLIENT_FLIGHT, step)
    server_refuses(
        Fault.UNEXPECTED_MESSAGE, config=asking_config, credentials=pki.client(), order=order
    )


@pytest.mark.parametrize("step", CLIENT_FLIGHT[:-1])
def test_client_repeats(
    pki: Pki, server_refuses: ServerRefuses, asking_config: ServerConfig, step: str
) -> None:
    order = doubled(CLIENT_FLIGHT, step)
    server_refuses(
        Fault.UNEXPECTED_MESSAGE, config=asking_config, credentials=pki.client(), order=order
    )


@pytest.mark.parametrize("at", [0, 1])
def test_client_reorders(
    pki: Pki, server_refuses: ServerRefuses, asking_config: ServerConfig, at: int
) -> None:
    order = swapped(CLIENT_FLIGHT, at)
    server_refuses(
        Fault.UNEXPECTED_MESSAGE, config=asking_config, credentials=pki.client(), order=order
    )


def test_client_shows_a_certificate_unasked(pki: Pki, server_refuses: ServerRefuses) -> None:
    server_refuses(Fault.UNEXPECTED_MESSAGE, credentials=pki.client())


# Every message at every pause


def samples(pki: Pki) -> dict[int, bytes]:
    """A well-formed message of each type; types that TLS 1.3 does not have are empty."""
    server = ScriptedServer(pki.server())
    client = ScriptedClient()
    server.client_hello = client.client_hello
    chain = tuple(CertificateEntry(der, {}) for der in pki.server().chain_der)
    algorithms: dict[int, bytes] = {
        Ext.SIGNATURE_ALGORITHMS: ext.write_signature_algorithms(SCHEMES)
    }
    messages: list[Message] = [
        client.client_hello,
        server.server_hello(),
        NewSessionTicket(3600, 0, b"", b"ticket", {}),
        EndOfEarlyData(),
        EncryptedExtensions({}),
        CertificateRequest(b"", algorithms),
        Certificate(b"", chain),
        CompressedCertificate(1, 9, b"no zlib"),
        CertificateVerify(SCHEMES[0], b"signature"),
        Finished(bytes(32)),
        KeyUpdate(False),
    ]
    known = {raw[0]: raw for raw in map(write_message, messages)}
    others = [*HandshakeType, 3, 6, 9, 26, 99, 255]
    return {int(kind): handshake_message(kind, b"") for kind in others} | known


KINDS = sorted({*map(int, HandshakeType), 3, 6, 9, 26, 99, 255})

CLIENT_PAUSES: list[tuple[tuple[str, ...], set[int]]] = [
    ((), {Type.SERVER_HELLO}),
    (ASKING_FLIGHT[:1], {Type.ENCRYPTED_EXTENSIONS}),
    (
        ASKING_FLIGHT[:2],
        {Type.CERTIFICATE_REQUEST, Type.CERTIFICATE, Type.COMPRESSED_CERTIFICATE},
    ),
    (ASKING_FLIGHT[:3], {Type.CERTIFICATE, Type.COMPRESSED_CERTIFICATE}),
    (ASKING_FLIGHT[:4], {Type.CERTIFICATE_VERIFY}),
    (ASKING_FLIGHT[:5], {Type.FINISHED}),
]


def fault_of(kind: int) -> Fault:
    known = kind in {int(known) for known in HandshakeType}
    return Fault.UNEXPECTED_MESSAGE if known else Fault.UNKNOWN_HANDSHAKE_TYPE


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("order", "allowed"), CLIENT_PAUSES)
def test_every_message_at_every_pause_of_a_client(
    pki: Pki, meet_server: Meet, order: tuple[str, ...], allowed: set[int], kind: int
) -> None:
    encounter = meet_server(order=order)
    assert encounter.error is None
    encounter.peer.send_record(ContentType.HANDSHAKE, samples(pki)[kind])
    encounter.run()
    if kind not in allowed:
        refused(encounter, fault_of(kind))
    else:
        # Taken for what it is: where it is refused, then for what is in it.
        error = encounter.error
        assert error is None or error.fault_name not in ("UNEXPECTED_MESSAGE", "INTERNAL_ERROR")
    assert not encounter.connection.established


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != Type.SERVER_HELLO])
def test_every_message_after_a_hello_retry_request(pki: Pki, meet_server: Meet, kind: int) -> None:
    encounter = meet_server(retry="secp256r1", order=())
    encounter.peer.send_record(ContentType.HANDSHAKE, samples(pki)[kind])
    refused(encounter.run(), fault_of(kind))


SERVER_PAUSES: list[tuple[tuple[str, ...], set[int]]] = [
    ((), {Type.CERTIFICATE, Type.COMPRESSED_CERTIFICATE}),
    (CLIENT_FLIGHT[:1], {Type.CERTIFICATE_VERIFY}),
    (CLIENT_FLIGHT[:2], {Type.FINISHED}),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("order", "allowed"), SERVER_PAUSES)
def test_every_message_at_every_pause_of_a_server(
    pki: Pki,
    meet_client: Meet,
    asking_config: ServerConfig,
    order: tuple[str, ...],
    allowed: set[int],
    kind: int,
) -> None:
    encounter = meet_client(config=asking_config, credentials=pki.client(), order=order)
    assert encounter.error is None
    encounter.peer.send_record(ContentType.HANDSHAKE, samples(pki)[kind])
    encounter.run()
    if kind not in allowed:
        refused(encounter, fault_of(kind))
    else:
        error = encounter.error
        assert error is None or error.fault_name not in ("UNEXPECTED_MESSAGE", "INTERNAL_ERROR")
    assert not encounter.connection.established


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != Type.FINISHED])
def test_every_message_instead_of_finished(pki: Pki, meet_client: Meet, kind: int) -> None:
    encounter = meet_client(order=())
    encounter.peer.send_record(ContentType.HANDSHAKE, samples(pki)[kind])
    refused(encounter.run(), fault_of(kind))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != Type.CLIENT_HELLO])
def test_every_message_instead_of_a_client_hello(
    pki: Pki, server_config: ServerConfig, kind: int
) -> None:
    peer = ScriptedClient()
    peer.take()
    peer.send_plaintext(ContentType.HANDSHAKE, samples(pki)[kind])
    refused(Encounter(ServerConnection(server_config), peer), fault_of(kind))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != Type.CLIENT_HELLO])
def test_every_message_instead_of_a_second_hello(
    pki: Pki, server_refuses: ServerRefuses, kind: int
) -> None:
    server_refuses(fault_of(kind), shares=(), second_hello=samples(pki)[kind])


# After the handshake


def fault_after_handshake(kind: int, *, of_server: bool) -> Fault | None:
    if kind == Type.KEY_UPDATE or (kind == Type.NEW_SESSION_TICKET and of_server):
        return None
    if kind in (Type.CLIENT_HELLO, Type.HELLO_REQUEST):
        return Fault.RENEGOTIATION
    if kind == Type.CERTIFICATE_REQUEST and of_server:
        return Fault.POST_HANDSHAKE_AUTHENTICATION
    return fault_of(kind)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("role", ["client", "server"])
def test_every_message_after_the_handshake(
    pki: Pki, meet_client: Meet, meet_server: Meet, role: str, kind: int
) -> None:
    """`role` is that of the peer."""
    encounter = (meet_client if role == "client" else meet_server)()
    assert encounter.connection.established
    encounter.peer.send_record(ContentType.HANDSHAKE, samples(pki)[kind])
    encounter.run()
    fault = fault_after_handshake(kind, of_server=role == "server")
    if fault is None:
        assert encounter.error is None
        assert encounter.connection.established
    else:
        refused(encounter, fault)


# Across a change of keys (RFC 9846 section 5.1)


@pytest.mark.parametrize("tail", [b"\x08", b"\x08\0\0\2\0\0", KEY_UPDATE, TICKET])
def test_bytes_behind_the_server_hello(client_refuses: ClientRefuses, tail: bytes) -> None:
    deviation = followed_by(tail)
    client_refuses(Fault.HANDSHAKE_ACROSS_KEY_CHANGE, server_hello=deviation)
    client_refuses(Fault.HANDSHAKE_ACROSS_KEY_CHANGE, retry="secp256r1", server_hello=deviation)


@pytest.mark.parametrize("tail", [b"\x04", TICKET, KEY_UPDATE])
def test_bytes_behind_the_finished_of_a_server(client_refuses: ClientRefuses, tail: bytes) -> None:
    client_refuses(Fault.HANDSHAKE_ACROSS_KEY_CHANGE, finished=followed_by(tail))


class TailedHello(ScriptedClient):
    """Puts more handshake bytes behind a hello, into the same record and no transcript."""

    tail = b""

    def add_tail(self) -> None:
        record = self.take()
        size = len(record) - HEADER_SIZE + len(self.tail)
        self.send_raw(record[:3] + size.to_bytes(2, "big") + record[HEADER_SIZE:] + self.tail)


@pytest.mark.parametrize("shares", [("X25519",), ()])
@pytest.mark.parametrize("end", [b"\x14", b"\x14\0\0\0", KEY_UPDATE])
def test_bytes_behind_the_client_hello(
    server_refuses: ServerRefuses, end: bytes, shares: tuple[str, ...]
) -> None:
    class Tailed(TailedHello):
        tail = end

        def after_first_hello(self) -> None:
            if shares:
                self.add_tail()

        def after_second_hello(self) -> None:
            self.add_tail()

    server_refuses(Fault.HANDSHAKE_ACROSS_KEY_CHANGE, kind=Tailed, shares=shares)


@pytest.mark.parametrize("tail", [b"\x18", KEY_UPDATE])
def test_bytes_behind_the_finished_of_a_client(server_refuses: ServerRefuses, tail: bytes) -> None:
    server_refuses(Fault.HANDSHAKE_ACROSS_KEY_CHANGE, finished=followed_by(tail))


@pytest.mark.parametrize("role", ["client", "server"])
@pytest.mark.parametrize("tail", [b"\x18", KEY_UPDATE])
def test_bytes_behind_a_key_update(
    meet_client: Meet, meet_server: Meet, role: str, tail: bytes
) -> None:
    encounter = (meet_client if role == "client" else meet_server)()
    encounter.peer.send_record(ContentType.HANDSHAKE, KEY_UPDATE + tail)
    refused(encounter.run(), Fault.HANDSHAKE_ACROSS_KEY_CHANGE)


def test_flight_that_was_not_protected(pki: Pki, client_config: ClientConfig) -> None:
    """EncryptedExtensions as a plaintext record of its own is no better."""

    class Unprotected(ScriptedServer):
        def after_server_hello(self) -> None:
            super().after_server_hello()
            self.send_plaintext(ContentType.HANDSHAKE, write_message(EncryptedExtensions({})))

    connection = ClientConnection(client_config, server_name="localhost")
    encounter = Encounter(connection, Unprotected(pki.server(), order=("server_hello",)))
    refused(encounter, Fault.UNPROTECTED_RECORD)


def test_server_hello_of_the_future(client_refuses: ClientRefuses) -> None:
    """A message type of no TLS in place of the ServerHello."""
    client_refuses(Fault.UNKNOWN_HANDSHAKE_TYPE, server_hello=handshake_message(77, b""))


def test_nothing_but_a_type(meet_server: Meet) -> None:
    """A message in the making is awaited, not judged."""
    encounter = meet_server(order=())
    encounter.peer.send_record(ContentType.HANDSHAKE, b"\2")
    encounter.run()
    assert encounter.error is None
