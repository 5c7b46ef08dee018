"""TLS 1.2: messages left out, repeated and moved, each one at every pause, and the record that
says when the keys begin (RFC 5246 sections 7.1 and 7.3).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from cryptography import x509
from tests.adversarial.conftest import ClientRefuses, ServerRefuses, refused
from tests.adversarial.encounter import Encounter
from tests.pki import Pki

from handclasp import ClientConfig, Credentials, Fault, ServerConfig, ServerConnection
from handclasp.iana import ContentType, HandshakeType
from handclasp.iana import ExtensionType as Ext
from handclasp.testing.deviations import Change, handshake_message
from handclasp.testing.scripted import SCHEMES, ScriptedClient, ScriptedServer
from handclasp.testing.scripted12 import (
    CHANGE_CIPHER_SPEC,
    CLOSING,
    KEY_TRANSPORT_SUITE,
    Record,
    ScriptedClient12,
    ScriptedServer12,
)
from handclasp.wire import extensions as ext
from handclasp.wire.codecs import AnyMessage, write_message
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
    NewSessionTicket,
)
from handclasp.wire.messages12 import (
    Certificate12,
    CertificateRequest12,
    CertificateStatus,
    ClientKeyExchange,
    HelloRequest,
    ServerHelloDone,
    ServerKeyExchange,
    write_ecdh_point,
)

Meet = Callable[..., Encounter]
Type = HandshakeType
HANDSHAKE = ContentType.HANDSHAKE
DATA = ContentType.APPLICATION_DATA
KEY_UPDATE = write_message(KeyUpdate(False))

FLIGHT = ScriptedServer12.order
CLIENT_FLIGHT = tuple(ScriptedClient12.order)


@pytest.fixture
def meet_server(meet_server: Meet) -> Meet:
    return partial(meet_server, kind=ScriptedServer12)


@pytest.fixture
def meet_client(meet_client: Meet) -> Meet:
    return partial(meet_client, kind=ScriptedClient12)


@pytest.fixture
def full_server(pki: Pki) -> dict[str, Any]:
    """The script of a server that sends all there is: a staple, and it asks for a certificate."""
    credentials = pki.server("localhost")
    return {
        "credentials": credentials,
        "staple": staple_of(pki, credentials),
        "ask_for_certificate": True,
    }


@pytest.fixture
def full_client(pki: Pki, asking_config: ServerConfig) -> dict[str, Any]:
    """The script of a client with a certificate, and a server that asks for it."""
    return {"credentials": pki.client(), "config": asking_config}


def staple_of(pki: Pki, credentials: Credentials) -> bytes:
    return pki.ocsp_response(x509.load_der_x509_certificate(credentials.chain_der[0]))


def without(flight: tuple[str, ...], step: str) -> tuple[str, ...]:
    return tuple(name for name in flight if name != step)


def swapped(flight: tuple[str, ...], at: int) -> tuple[str, ...]:
    return (*flight[:at], flight[at + 1], flight[at], *flight[at + 2 :])


def again(message: AnyMessage) -> list[AnyMessage | Record]:
    """The message twice; the second is in no transcript, so that both sides have the same keys."""
    return [message, Record(HANDSHAKE, write_message(message))]


# Left out, repeated, moved: a server


@pytest.mark.parametrize("step", ["certificate", "server_key_exchange"])
def test_server_leaves_out(
    client_refuses: ClientRefuses, full_server: dict[str, Any], step: str
) -> None:
    client_refuses(Fault.UNEXPECTED_MESSAGE, order=without(FLIGHT, step), **full_server)


@pytest.mark.parametrize("step", FLIGHT)
def test_server_repeats(
    client_refuses: ClientRefuses, full_server: dict[str, Any], step: str
) -> None:
    client_refuses(Fault.UNEXPECTED_MESSAGE, **full_server, **{step: again})


@pytest.mark.parametrize("at", range(len(FLIGHT) - 2))
def test_server_reorders(
    client_refuses: ClientRefuses, full_server: dict[str, Any], at: int
) -> None:
    client_refuses(Fault.UNEXPECTED_MESSAGE, order=swapped(FLIGHT, at), **full_server)


def test_request_after_server_hello_done(client_refuses: ClientRefuses) -> None:
    request = write_message(CertificateRequest12(b"\x40", SCHEMES, ()))
    done: Change = lambda message: [message, Record(HANDSHAKE, request)]  # noqa: E731
    client_refuses(Fault.UNEXPECTED_MESSAGE, server_hello_done=done)


def test_server_never_says_that_it_is_done(client_refuses: ClientRefuses) -> None:
    order = (*without(FLIGHT[:-1], "certificate_status"), *CLOSING)
    client_refuses(Fault.UNEXPECTED_CHANGE_CIPHER_SPEC, order=order, ask_for_certificate=True)


def test_server_finishes_at_once(client_refuses: ClientRefuses) -> None:
    client_refuses(Fault.UNEXPECTED_MESSAGE, order=("server_hello", "finished"))
    client_refuses(Fault.UNEXPECTED_MESSAGE, order=("server_hello", "server_hello_done"))
    client_refuses(Fault.UNEXPECTED_CHANGE_CIPHER_SPEC, order=("server_hello", *CLOSING))


def test_key_exchange_that_key_transport_does_not_have(
    pki: Pki, client_refuses: ClientRefuses
) -> None:
    """RFC 5246 7.4.3: "It is not legal to send the ServerKeyExchange message" there (cf. FREAK)."""
    client_refuses(
        Fault.UNEXPECTED_MESSAGE,
        config=ClientConfig(trust=pki.trust, allow_rsa_key_transport=True),
        credentials=pki.server("localhost", key_type="rsa-2048"),
        suite=KEY_TRANSPORT_SUITE,
        order=("server_hello", "certificate", "server_key_exchange", "server_hello_done"),
    )


# Left out, repeated, moved: a client

CLIENT_LEAVES_OUT = [
    ("certificate", Fault.UNEXPECTED_MESSAGE),
    ("client_key_exchange", Fault.UNEXPECTED_MESSAGE),
    ("certificate_verify", Fault.UNEXPECTED_CHANGE_CIPHER_SPEC),
    ("change_cipher_spec", Fault.UNEXPECTED_MESSAGE),
]


@pytest.mark.parametrize(("step", "fault"), CLIENT_LEAVES_OUT)
def test_client_leaves_out(
    server_refuses: ServerRefuses, full_client: dict[str, Any], step: str, fault: Fault
) -> None:
    server_refuses(fault, order=without(CLIENT_FLIGHT, step), **full_client)


@pytest.mark.parametrize("step", CLIENT_FLIGHT[:3])
def test_client_repeats(
    server_refuses: ServerRefuses, full_client: dict[str, Any], step: str
) -> None:
    server_refuses(Fault.UNEXPECTED_MESSAGE, **full_client, **{step: again})


def test_client_says_hello_twice(server_refuses: ServerRefuses) -> None:
    server_refuses(Fault.UNEXPECTED_MESSAGE, first_hello=again)


CLIENT_REORDERS = [
    (0, Fault.UNEXPECTED_MESSAGE),
    (1, Fault.UNEXPECTED_MESSAGE),
    (2, Fault.UNEXPECTED_CHANGE_CIPHER_SPEC),
    (3, Fault.UNEXPECTED_MESSAGE),
]


@pytest.mark.parametrize(("at", "fault"), CLIENT_REORDERS)
def test_client_reorders(
    server_refuses: ServerRefuses, full_client: dict[str, Any], at: int, fault: Fault
) -> None:
    server_refuses(fault, order=swapped(CLIENT_FLIGHT, at), **full_client)


def test_client_shows_a_certificate_unasked(pki: Pki, server_refuses: ServerRefuses) -> None:
    server_refuses(Fault.UNEXPECTED_MESSAGE, credentials=pki.client())


def test_client_finishes_at_once(server_refuses: ServerRefuses) -> None:
    server_refuses(Fault.UNEXPECTED_MESSAGE, order=("finished",))
    server_refuses(Fault.UNEXPECTED_CHANGE_CIPHER_SPEC, order=CLOSING)


# Every message at every pause

FORM_OF_TLS13 = [kind + 1000 for kind in (Type.CERTIFICATE, Type.CERTIFICATE_REQUEST)]
"""Types that have one form in TLS 1.2 and another in TLS 1.3, which is tried, too."""

KINDS = [*sorted({*map(int, HandshakeType), 3, 6, 9, 21, 23, 67, 255}), *FORM_OF_TLS13]


def samples(pki: Pki) -> dict[int, bytes]:
    """A well-formed message of each type; types that neither version has are empty."""
    older, newer = ScriptedServer12(pki.server()), ScriptedServer(pki.server())
    client, newest = ScriptedClient12(), ScriptedClient()
    older.client_hello = client.client_hello
    newer.client_hello = newest.client_hello
    chain = pki.server().chain_der
    algorithms: dict[int, bytes] = {
        Ext.SIGNATURE_ALGORITHMS: ext.write_signature_algorithms(SCHEMES)
    }
    messages: list[AnyMessage] = [
        HelloRequest(),
        client.client_hello,
        older.server_hello(),
        NewSessionTicket(3600, 0, b"", b"ticket", {}),
        EndOfEarlyData(),
        EncryptedExtensions({}),
        Certificate12(chain),
        CertificateRequest12(b"\x40", SCHEMES, ()),
        CertificateStatus(b"an OCSP response"),
        CompressedCertificate(1, 9, b"no zlib"),
        ServerKeyExchange(0x1D, bytes(range(32)), SCHEMES[0], b"signature"),
        ServerHelloDone(),
        CertificateVerify(SCHEMES[0], b"signature"),
        ClientKeyExchange(write_ecdh_point(bytes(range(32)))),
        Finished(bytes(12)),
        KeyUpdate(False),
    ]
    forms: list[AnyMessage] = [
        Certificate(b"", tuple(CertificateEntry(der, {}) for der in chain)),
        CertificateRequest(b"", algorithms),
    ]
    known = {raw[0]: raw for raw in map(write_message, messages)}
    others = {kind: handshake_message(kind, b"") for kind in KINDS if kind < 1000}
    return others | known | {raw[0] + 1000: raw for raw in map(write_message, forms)}


def check_pause(encounter: Encounter, raw: bytes, allowed: set[int]) -> None:
    """Only the messages that the RFC has here are taken."""
    assert encounter.error is None
    assert not encounter.connection.established
    if raw[0] in allowed:
        encounter.peer.send(raw)  # into the transcript, too
    else:
        encounter.peer.send_record(HANDSHAKE, raw)
    encounter.run()
    if raw[0] in allowed:
        # Taken for what it is: where it is refused, then for what is in it.
        error = encounter.error
        assert error is None or error.fault_name not in ("UNEXPECTED_MESSAGE", "INTERNAL_ERROR")
    else:
        assert encounter.error is not None
        assert encounter.error.fault_name in ("UNEXPECTED_MESSAGE", "UNKNOWN_HANDSHAKE_TYPE")
        refused(encounter, Fault[encounter.error.fault_name])
    assert not encounter.connection.established


CLIENT_PAUSES: list[tuple[tuple[str, ...], set[int]]] = [
    ((), {Type.SERVER_HELLO}),
    (FLIGHT[:1], {Type.CERTIFICATE}),
    (FLIGHT[:2], {Type.CERTIFICATE_STATUS, Type.SERVER_KEY_EXCHANGE}),
    (FLIGHT[:3], {Type.SERVER_KEY_EXCHANGE}),
    (FLIGHT[:4], {Type.CERTIFICATE_REQUEST, Type.SERVER_HELLO_DONE}),
    (FLIGHT[:5], {Type.SERVER_HELLO_DONE}),
    (FLIGHT, set()),  # change_cipher_spec, and no message
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("order", "allowed"), CLIENT_PAUSES)
def test_every_message_at_every_pause_of_a_client(
    pki: Pki,
    meet_server: Meet,
    full_server: dict[str, Any],
    order: tuple[str, ...],
    allowed: set[int],
    kind: int,
) -> None:
    """RFC 5246 7.4 would have HelloRequest ignored here; refusing it keeps one way through."""
    encounter = meet_server(order=order, closing=(), **full_server)
    check_pause(encounter, samples(pki)[kind], allowed)


@pytest.mark.parametrize("kind", KINDS)
def test_every_message_instead_of_finished_of_a_server(
    pki: Pki, meet_server: Meet, kind: int
) -> None:
    encounter = meet_server(closing=CLOSING[:1])
    check_pause(encounter, samples(pki)[kind], {Type.FINISHED})


@pytest.mark.parametrize("kind", KINDS)
def test_every_message_where_no_status_was_promised(pki: Pki, meet_server: Meet, kind: int) -> None:
    encounter = meet_server(order=FLIGHT[:2])
    check_pause(encounter, samples(pki)[kind], {Type.SERVER_KEY_EXCHANGE})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("promised", [False, True])
def test_every_message_with_key_transport(
    pki: Pki, meet_server: Meet, kind: int, promised: bool
) -> None:
    credentials = pki.server("localhost", key_type="rsa-2048")
    allowed: set[int] = {Type.CERTIFICATE_REQUEST, Type.SERVER_HELLO_DONE}
    encounter = meet_server(
        config=ClientConfig(trust=pki.trust, allow_rsa_key_transport=True),
        credentials=credentials,
        staple=staple_of(pki, credentials) if promised else None,
        suite=KEY_TRANSPORT_SUITE,
        order=FLIGHT[:2],
        closing=(),
    )
    if promised:
        allowed.add(Type.CERTIFICATE_STATUS)
    check_pause(encounter, samples(pki)[kind], allowed)


SERVER_PAUSES: list[tuple[tuple[str, ...], set[int]]] = [
    ((), {Type.CERTIFICATE}),
    (CLIENT_FLIGHT[:1], {Type.CLIENT_KEY_EXCHANGE}),
    (CLIENT_FLIGHT[:2], {Type.CERTIFICATE_VERIFY}),
    (CLIENT_FLIGHT[:3], set()),  # change_cipher_spec, and no message
    (CLIENT_FLIGHT[:4], {Type.FINISHED}),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("order", "allowed"), SERVER_PAUSES)
def test_every_message_at_every_pause_of_a_server(
    pki: Pki,
    meet_client: Meet,
    full_client: dict[str, Any],
    order: tuple[str, ...],
    allowed: set[int],
    kind: int,
) -> None:
    check_pause(meet_client(order=order, **full_client), samples(pki)[kind], allowed)


SHORT_PAUSES: list[tuple[tuple[str, ...], set[int]]] = [
    ((), {Type.CLIENT_KEY_EXCHANGE}),
    (("client_key_exchange",), set()),
    (("client_key_exchange", "change_cipher_spec"), {Type.FINISHED}),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("order", "allowed"), SHORT_PAUSES)
def test_every_message_at_every_pause_of_a_server_that_does_not_ask(
    pki: Pki, meet_client: Meet, order: tuple[str, ...], allowed: set[int], kind: int
) -> None:
    check_pause(meet_client(order=order), samples(pki)[kind], allowed)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("role", ["client", "server"])
def test_every_message_after_the_handshake(
    pki: Pki, meet_client: Meet, meet_server: Meet, role: str, kind: int
) -> None:
    """`role` is that of the peer; what asks for a renegotiation is answered, and nothing else."""
    encounter = (meet_client if role == "client" else meet_server)()
    assert encounter.connection.established
    encounter.peer.send_record(HANDSHAKE, samples(pki)[kind])
    encounter.run()
    if kind == (Type.CLIENT_HELLO if role == "client" else Type.HELLO_REQUEST):
        assert encounter.connection.established
        return
    assert encounter.error is not None
    assert encounter.error.fault_name in ("UNEXPECTED_MESSAGE", "UNKNOWN_HANDSHAKE_TYPE")
    refused(encounter, Fault[encounter.error.fault_name])


# change_cipher_spec


@pytest.fixture(params=["client", "server"])
def refuses(
    request: pytest.FixtureRequest, client_refuses: ClientRefuses, server_refuses: ServerRefuses
) -> ClientRefuses:
    """Either role of ours. The peer has no certificate if it is a client."""
    return client_refuses if request.param == "client" else server_refuses


@pytest.fixture(params=["client", "server"])
def meet(request: pytest.FixtureRequest, meet_client: Meet, meet_server: Meet) -> Meet:
    return meet_client if request.param == "client" else meet_server


def with_change_cipher_spec(message: AnyMessage) -> list[AnyMessage | Record]:
    return [message, CHANGE_CIPHER_SPEC]


@pytest.mark.parametrize("step", FLIGHT[:-1])
def test_early_keys_of_a_server(
    client_refuses: ClientRefuses, full_server: dict[str, Any], step: str
) -> None:
    """CVE-2014-0224: before there is a secret, keys would come from an empty one."""
    fault = Fault.UNEXPECTED_CHANGE_CIPHER_SPEC
    client_refuses(fault, **full_server, **{step: with_change_cipher_spec})


@pytest.mark.parametrize("step", ["first_hello", *CLIENT_FLIGHT[:2]])
def test_early_keys_of_a_client(
    server_refuses: ServerRefuses, full_client: dict[str, Any], step: str
) -> None:
    fault = Fault.UNEXPECTED_CHANGE_CIPHER_SPEC
    server_refuses(fault, **full_client, **{step: with_change_cipher_spec})


def test_before_the_server_hello(client_refuses: ClientRefuses) -> None:
    """TLS 1.3 has one there that means nothing; in TLS 1.2 it has no place."""
    hello: Change = lambda message: [CHANGE_CIPHER_SPEC, message]  # noqa: E731
    client_refuses(Fault.UNEXPECTED_CHANGE_CIPHER_SPEC, server_hello=hello)


def test_before_the_client_hello(server_refuses: ServerRefuses) -> None:
    hello: Change = lambda message: [CHANGE_CIPHER_SPEC, message]  # noqa: E731
    server_refuses(Fault.UNEXPECTED_CHANGE_CIPHER_SPEC, first_hello=hello)


def test_finished_without_it_in_plaintext(
    client_refuses: ClientRefuses, server_refuses: ServerRefuses
) -> None:
    """The Finished is right, and nothing was encrypted (the "SMACK" attacks of 2015)."""
    client_refuses(Fault.UNEXPECTED_MESSAGE, closing=("finished",))
    server_refuses(Fault.UNEXPECTED_MESSAGE, order=("client_key_exchange", "finished"))


def test_finished_without_it_under_the_keys(refuses: ClientRefuses) -> None:
    # Read as plaintext, the explicit nonce of zeros is a HelloRequest.
    refuses(Fault.UNEXPECTED_MESSAGE, change_cipher_spec=None)


def test_plaintext_finished_after_it(
    client_refuses: ClientRefuses, server_refuses: ServerRefuses
) -> None:
    class PlainServer(ScriptedServer12):
        def after_change_cipher_spec(self) -> None:
            pass

    class PlainClient(ScriptedClient12):
        def after_change_cipher_spec(self) -> None:
            pass

    client_refuses(Fault.BAD_RECORD_MAC, kind=PlainServer)
    server_refuses(Fault.BAD_RECORD_MAC, kind=PlainClient)


def test_twice_in_plaintext(refuses: ClientRefuses) -> None:
    """The second one is not under the keys that the first announced."""
    both = [CHANGE_CIPHER_SPEC, CHANGE_CIPHER_SPEC]
    refuses(Fault.BAD_RECORD_MAC, change_cipher_spec=both)


def test_twice_under_the_keys(client_refuses: ClientRefuses, server_refuses: ServerRefuses) -> None:
    fault, twice = Fault.UNEXPECTED_CHANGE_CIPHER_SPEC, (CLOSING[0], *CLOSING)
    client_refuses(fault, closing=twice)
    server_refuses(fault, order=("client_key_exchange", *twice))


@pytest.mark.parametrize("content", [b"", b"\0", b"\2", b"\1\1", b"\x01\0"])
def test_other_content(refuses: ClientRefuses, content: bytes) -> None:
    record = Record(ContentType.CHANGE_CIPHER_SPEC, content)
    refuses(Fault.UNEXPECTED_CHANGE_CIPHER_SPEC, change_cipher_spec=record)


@pytest.mark.parametrize("step", ["certificate", "server_key_exchange", "server_hello_done"])
@pytest.mark.parametrize("size", [1, 3])
def test_inside_of_a_message_of_a_server(
    client_refuses: ClientRefuses, step: str, size: int
) -> None:
    client_refuses(Fault.INTERLEAVED_RECORD, **{step: partial(split_by_it, size=size)})


@pytest.mark.parametrize("size", [1, 5, 20])
def test_inside_of_a_message_of_a_client(server_refuses: ServerRefuses, size: int) -> None:
    deviation = partial(split_by_it, size=size)
    server_refuses(Fault.INTERLEAVED_RECORD, client_key_exchange=deviation)


def split_by_it(message: AnyMessage, size: int) -> list[Record]:
    raw = write_message(message)
    return [Record(HANDSHAKE, raw[:size]), CHANGE_CIPHER_SPEC, Record(HANDSHAKE, raw[size:])]


@pytest.mark.parametrize("start", [b"\x14", b"\x14\0\0\x0c" + bytes(6)])
def test_finished_that_begins_before_it(refuses: ClientRefuses, start: bytes) -> None:
    """Part of the message would be plaintext, and part of it under the keys."""
    deviation = [Record(HANDSHAKE, start), CHANGE_CIPHER_SPEC]
    refuses(Fault.INTERLEAVED_RECORD, change_cipher_spec=deviation)


def test_after_finished(meet: Meet) -> None:
    encounter = meet()
    assert encounter.connection.established
    encounter.peer.send(CHANGE_CIPHER_SPEC)  # type: ignore[arg-type]
    refused(encounter.run(), Fault.UNEXPECTED_CHANGE_CIPHER_SPEC)


def test_after_finished_in_plaintext(meet: Meet) -> None:
    encounter = meet()
    encounter.peer.send_plaintext(ContentType.CHANGE_CIPHER_SPEC, b"\1")
    refused(encounter.run(), Fault.BAD_RECORD_MAC)


def test_bytes_behind_server_hello_done(client_refuses: ClientRefuses) -> None:
    """A whole message there is one too many, and part of one stands before the keys."""

    class Tailed(ScriptedServer12):
        tail = b""

        def server_hello_done(self) -> Any:
            # The tail is in no transcript, as no client gets so far as to read it.
            raw = write_message(super().server_hello_done())
            self.transcript.add(raw)
            return Record(HANDSHAKE, raw + self.tail)

    class Whole(Tailed):
        tail = write_message(Finished(bytes(12)))

    class Part(Tailed):
        tail = b"\x14\0"

    client_refuses(Fault.UNEXPECTED_MESSAGE, kind=Whole)
    client_refuses(Fault.INTERLEAVED_RECORD, kind=Part)


@pytest.mark.parametrize(
    "tail", [b"\x14", handshake_message(99, b""), write_message(KeyUpdate(False))]
)
def test_bytes_behind_the_client_key_exchange(server_refuses: ServerRefuses, tail: bytes) -> None:
    fault = Fault.INTERLEAVED_RECORD if len(tail) < 4 else Fault.UNEXPECTED_MESSAGE
    server_refuses(fault, client_key_exchange=lambda message: write_message(message) + tail)


# Application data before Finished


def test_data_in_plaintext(refuses: ClientRefuses) -> None:
    refuses(
        Fault.APPLICATION_DATA_TOO_EARLY, change_cipher_spec=[Record(DATA, b"early")], finished=None
    )


@pytest.mark.parametrize("step", FLIGHT)
def test_data_in_the_flight_of_a_server(
    client_refuses: ClientRefuses, full_server: dict[str, Any], step: str
) -> None:
    fault = Fault.APPLICATION_DATA_TOO_EARLY
    early: Change = lambda message: [message, Record(DATA, b"early")]  # noqa: E731
    client_refuses(fault, **full_server, **{step: early})


@pytest.mark.parametrize("content", [b"early", b""])
def test_data_under_the_keys(refuses: ClientRefuses, content: bytes) -> None:
    """RFC 5246 7.4.9: data may follow once Finished came and was right, and not before."""
    deviation = [Record(DATA, content)]
    refuses(Fault.APPLICATION_DATA_TOO_EARLY, finished=deviation)


def test_data_never_reaches_the_application(meet_server: Meet) -> None:
    encounter = meet_server(closing=CLOSING[:1])
    encounter.peer.send_data(b"forged")
    encounter.run()
    assert encounter.events == []


def test_data_before_any_hello(server_config: ServerConfig) -> None:
    peer = ScriptedClient12(first_hello=Record(DATA, b"early"))
    encounter = Encounter(ServerConnection(server_config), peer)
    refused(encounter, Fault.APPLICATION_DATA_TOO_EARLY)
