"""TLS 1.2: peers that go on with a session of before as they may not (RFC 5246 7.3, RFC 7627 5.3).

The abbreviated handshake shows no certificate and signs nothing: all that proves the peer is that
it makes the right Finished. So its order is tried here as that of the full one is elsewhere, and
so is who hears what before that proof.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from tests.adversarial.conftest import ClientRefuses, ServerRefuses
from tests.adversarial.encounter import Encounter
from tests.end_to_end.pair import Pair
from tests.pki import Pki

from handclasp import (
    ClientAuth,
    ClientConfig,
    Credentials,
    DataReceived,
    Fault,
    ProtocolError,
    ServerConfig,
)
from handclasp.crypto.secret import Secret
from handclasp.iana import CipherSuiteCode, ContentType, HandshakeType
from handclasp.iana import ExtensionType as Ext
from handclasp.keys.schedule12 import MasterSecret12
from handclasp.sessions.session import Session
from handclasp.testing.deviations import (
    Change,
    changed,
    cut_by,
    longer_by,
    with_extension,
    without_extension,
)
from handclasp.testing.scripted12 import CLOSING, Record, ScriptedClient12, ScriptedServer12
from handclasp.wire import extensions as ext
from handclasp.wire.codecs import AnyMessage, write_message
from handclasp.wire.messages import Finished
from handclasp.wire.messages12 import (
    Certificate12,
    CertificateRequest12,
    CertificateStatus,
    HelloRequest,
    NewSessionTicket12,
    ServerHelloDone,
    ServerKeyExchange,
)

Meet = Callable[..., Encounter]
Refuses = Callable[..., Encounter]
HANDSHAKE = ContentType.HANDSHAKE
OTHER_SUITE = CipherSuiteCode.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384
GUESS = Secret(bytes(48))
"""What somebody has to take who overheard a session's name, and not its secret."""


class OneSession:
    """A store that has a session for everybody, the last one that came."""

    def __init__(self, session: Session | None = None) -> None:
        self.session = session

    def put(self, key: str, session: Session) -> None:
        self.session = session

    def take(self, key: str) -> Session | None:
        return self.session

    def discard(self, key: str, session: Session) -> None:
        pass


@dataclass(frozen=True)
class Known:
    """Both of our ends after they have met, and the session that they have in common."""

    client: ClientConfig
    server: ServerConfig
    session: Session


def known_of(pki: Pki, **both: Any) -> Known:
    store = OneSession()
    client = ClientConfig(trust=pki.trust, sessions=store, credentials=pki.client(), **both)
    server = ServerConfig(
        credentials=pki.server("localhost"),
        versions=["TLSv1.2"],
        client_auth=ClientAuth.REQUIRED,
        trust=pki.trust,
        **both,
    )
    assert Pair(client, server).run().established
    assert store.session is not None
    assert store.session.ticket
    return Known(client, server, store.session)


@pytest.fixture(scope="module")
def known(pki: Pki) -> Known:
    return known_of(pki)


@pytest.fixture(scope="module")
def lenient(pki: Pki) -> Known:
    """Ends that can do without the extended master secret; they had it all the same."""
    return known_of(pki, require_extended_master_secret=False)


class Resuming(ScriptedServer12):
    """A server that goes on with the session, and has `promise` in its hello besides."""

    def __init__(
        self,
        credentials: Credentials,
        *,
        session: Session,
        promise: Sequence[int] = (),
        **script: Any,
    ) -> None:
        self.session = session
        self.promise = promise
        script.setdefault("order", ("server_hello", *CLOSING))
        super().__init__(credentials, suite=session.cipher_suite, closing=(), **script)

    def server_hello(self) -> Any:
        hello = super().server_hello()
        session_id = self.client_hello.legacy_session_id
        extensions = hello.extensions | dict.fromkeys(self.promise, b"")
        return replace(hello, legacy_session_id_echo=session_id, extensions=extensions)

    def after_server_hello(self) -> None:
        go_on(self, self.session.secret)

    def new_session_ticket(self) -> Any:
        return NewSessionTicket12(3600, b"a new ticket")


class Returning(ScriptedClient12):
    """A client that shows the ticket, and its own Finished after the server's."""

    def __init__(self, *, session: Session, **script: Any) -> None:
        self.session = session
        extensions: dict[int, bytes] = {
            Ext.SESSION_TICKET: session.ticket,
            Ext.SERVER_NAME: ext.write_server_name("localhost"),
        }
        script.setdefault("order", CLOSING)
        super().__init__(suite=session.cipher_suite, extensions=extensions, **script)

    def first_hello(self) -> Any:
        self.client_hello = replace(super().first_hello(), legacy_session_id=b"i" * 32)
        return self.client_hello

    def receive(self, raw: bytes) -> None:
        super().receive(raw)
        if raw[0] == HandshakeType.SERVER_HELLO:
            go_on(self, self.session.secret)
        elif raw[0] == HandshakeType.FINISHED:
            self.act(self.order)


def go_on(peer: Resuming | Returning, secret: Secret) -> None:
    """The old secret, with the randoms of this connection, makes new keys."""
    peer.master_secret = MasterSecret12(peer.suite12, peer.randoms, secret, extended=True)
    peer.keys = peer.master_secret.key_block()


@pytest.fixture
def meet_server(meet_server: Meet, known: Known) -> Meet:
    def meet(*, config: ClientConfig | None = None, **script: Any) -> Encounter:
        script = {"kind": Resuming, "session": known.session} | script
        store = OneSession(known.session)
        return meet_server(config=replace(config or known.client, sessions=store), **script)

    return meet


@pytest.fixture
def meet_client(meet_client: Meet, known: Known) -> Meet:
    def meet(**script: Any) -> Encounter:
        script = {"kind": Returning, "session": known.session, "config": known.server} | script
        return meet_client(**script)

    return meet


@pytest.fixture(params=["client", "server"])
def refuses(
    request: pytest.FixtureRequest, client_refuses: ClientRefuses, server_refuses: ServerRefuses
) -> Refuses:
    """Either role of ours, in front of a peer that knows the session."""
    return client_refuses if request.param == "client" else server_refuses


def test_good_peers(meet_server: Meet, meet_client: Meet) -> None:
    with_ticket = {
        "promise": [Ext.SESSION_TICKET],
        "order": ("server_hello", "new_session_ticket", *CLOSING),
    }
    for encounter in (meet_server(), meet_server(**with_ticket), meet_client()):
        assert encounter.error is None
        info = encounter.connection.info
        assert info is not None
        assert info.resumed
        assert encounter.peer.established
        encounter.peer.send_data(b"from the peer")
        encounter.run()
        assert encounter.events[-1] == DataReceived(b"from the peer")


# The order

SERVER_ORDERS: list[tuple[tuple[str, ...], Fault]] = [
    (("server_hello", "finished"), Fault.UNEXPECTED_MESSAGE),
    (("server_hello", "finished", "change_cipher_spec"), Fault.UNEXPECTED_MESSAGE),
    (("change_cipher_spec", "server_hello", "finished"), Fault.UNEXPECTED_CHANGE_CIPHER_SPEC),
    (("server_hello", "change_cipher_spec", *CLOSING), Fault.UNEXPECTED_CHANGE_CIPHER_SPEC),
    # A ticket that was not promised, and one under the keys that it should come before.
    (("server_hello", "new_session_ticket", *CLOSING), Fault.UNEXPECTED_MESSAGE),
    (("server_hello", "change_cipher_spec", "new_session_ticket"), Fault.UNEXPECTED_MESSAGE),
    # A full handshake after all, which the hello has ruled out.
    (("server_hello", "certificate"), Fault.UNEXPECTED_MESSAGE),
]


@pytest.mark.parametrize(("order", "fault"), SERVER_ORDERS)
def test_order_of_a_server(
    client_refuses: ClientRefuses, order: tuple[str, ...], fault: Fault
) -> None:
    client_refuses(fault, order=order)


def test_tickets_of_a_server_that_promised_one(client_refuses: ClientRefuses) -> None:
    """RFC 5077 3.3: then it comes, if empty, and it is one."""
    promise = [Ext.SESSION_TICKET]
    client_refuses(Fault.UNEXPECTED_CHANGE_CIPHER_SPEC, promise=promise)
    order = ("server_hello", "new_session_ticket", "new_session_ticket", *CLOSING)
    client_refuses(Fault.UNEXPECTED_MESSAGE, promise=promise, order=order)


OTHERS: list[AnyMessage] = [
    HelloRequest(),
    Certificate12(()),
    CertificateStatus(b"an OCSP response"),
    ServerKeyExchange(0x1D, bytes(32), 0x0403, b"signature"),
    CertificateRequest12(b"\x40", (0x0403,), ()),
    ServerHelloDone(),
    NewSessionTicket12(1, b"a ticket"),
]


@pytest.mark.parametrize("message", OTHERS)
@pytest.mark.parametrize("order", [("server_hello",), ("server_hello", "change_cipher_spec")])
def test_every_other_message_of_a_server(
    client_refuses: ClientRefuses, order: tuple[str, ...], message: AnyMessage
) -> None:
    """Before the keys, and under them in place of Finished."""
    record = Record(HANDSHAKE, write_message(message))
    client_refuses(Fault.UNEXPECTED_MESSAGE, order=(*order, "finished"), finished=record)


CLIENT_ORDERS: list[tuple[tuple[str, ...], Fault]] = [
    (("finished",), Fault.UNEXPECTED_MESSAGE),
    (("certificate", *CLOSING), Fault.UNEXPECTED_MESSAGE),
    (("change_cipher_spec", "certificate"), Fault.UNEXPECTED_MESSAGE),
    (("change_cipher_spec", *CLOSING), Fault.UNEXPECTED_CHANGE_CIPHER_SPEC),
    (("first_hello",), Fault.UNEXPECTED_MESSAGE),
    (("change_cipher_spec", "first_hello"), Fault.UNEXPECTED_MESSAGE),
]


@pytest.mark.parametrize(("order", "fault"), CLIENT_ORDERS)
def test_order_of_a_client(
    server_refuses: ServerRefuses, order: tuple[str, ...], fault: Fault
) -> None:
    server_refuses(fault, order=order)


# The only proof


@pytest.mark.parametrize("at", range(12))
def test_every_byte_of_finished_counts(refuses: Refuses, at: int) -> None:
    def one_bit_wrong(message: Finished) -> Finished:
        data = bytearray(message.verify_data)
        data[at] ^= 1
        return Finished(bytes(data))

    refuses(Fault.BAD_FINISHED, finished=one_bit_wrong)


def test_finished_of_the_other_side(
    client_refuses: ClientRefuses, server_refuses: ServerRefuses
) -> None:
    class MirrorServer(Resuming):
        def finished(self) -> Any:
            return Finished(self.verify_data("client"))

    class MirrorClient(Returning):
        def finished(self) -> Any:
            return Finished(self.verify_data("server"))

    client_refuses(Fault.BAD_FINISHED, kind=MirrorServer)
    server_refuses(Fault.BAD_FINISHED, kind=MirrorClient)


class Overhearing(Returning):
    """Knows the ticket, and not the secret: it can read nothing, and goes on all the same."""

    def _next_record(self) -> tuple[int, bytes] | None:
        if self._read is None:
            return super()._next_record()
        if self._write is None:
            self.act(self.order)
        return None


@pytest.mark.parametrize("role", ["client", "server"])
def test_somebody_who_overheard_the_name(
    known: Known, meet_client: Meet, meet_server: Meet, role: str
) -> None:
    """Ticket and id go in the open: anybody can send them, and has no Finished to go with them.

    The application must not hear of a peer that may not be there.
    """
    asked: list[object] = []

    def confirm(question: object) -> bool:
        asked.append(question)
        return True

    guess: dict[str, Any] = {"session": replace(known.session, secret=GUESS)}
    if role == "server":
        encounter = meet_server(config=replace(known.client, confirm_peer=confirm), **guess)
    else:
        config = replace(known.server, confirm_peer=confirm)
        encounter = meet_client(config=config, kind=Overhearing, **guess)
    assert isinstance(encounter.error, ProtocolError)
    assert encounter.error.fault is Fault.BAD_RECORD_MAC
    assert asked == []


@pytest.mark.parametrize("role", ["client", "server"])
def test_the_last_word(
    known: Known, client_refuses: ClientRefuses, server_refuses: ServerRefuses, role: str
) -> None:
    """It is asked once the proof is there, and counts."""
    settings: dict[str, Any] = {"confirm_peer": lambda _: False}
    if role == "client":
        client_refuses(Fault.CERTIFICATE_REFUSED, config=replace(known.client, **settings))
    else:
        server_refuses(Fault.CERTIFICATE_REFUSED, config=replace(known.server, **settings))


# What is agreed upon

SERVER_HELLOS: list[tuple[Change, Fault]] = [
    (without_extension(Ext.EXTENDED_MASTER_SECRET), Fault.EXTENDED_MASTER_SECRET_MISSING),
    (without_extension(Ext.RENEGOTIATION_INFO), Fault.SECURE_RENEGOTIATION_MISSING),
    (changed(cipher_suite=int(OTHER_SUITE)), Fault.UNOFFERED_CIPHER_SUITE),
    (changed(legacy_compression_method=1), Fault.COMPRESSION_CHOSEN),
    (with_extension(Ext.SESSION_TICKET, b"x"), Fault.DECODE_ERROR),
]


@pytest.mark.parametrize(("deviation", "fault"), SERVER_HELLOS)
def test_hello_of_a_server(client_refuses: ClientRefuses, deviation: Change, fault: Fault) -> None:
    client_refuses(fault, server_hello=deviation)


def test_extended_master_secret_lost_on_the_way(
    known: Known, lenient: Known, client_refuses: ClientRefuses, server_refuses: ServerRefuses
) -> None:
    """RFC 7627 5.3: what the session had, it has; both sides "MUST abort"."""
    fault = Fault.EXTENDED_MASTER_SECRET_MISSING
    client = replace(lenient.client, credentials=known.client.credentials)
    client_refuses(fault, config=client, extended=False)
    server_refuses(fault, config=lenient.server, session=lenient.session, extended=False)


def test_hello_without_the_suite_of_the_session(meet_client: Meet) -> None:
    """The session cannot go on; another begins, with a certificate."""
    deviation: Change = changed(cipher_suites=(OTHER_SUITE,))
    encounter = meet_client(first_hello=deviation, order=())
    assert encounter.error is None
    assert isinstance(encounter.peer, Returning)
    assert encounter.peer.server_chain


# Tickets without a session id (RFC 5077 section 3.4)


class Nameless(Returning):
    """The client sends no session id, and sees by the next message that it is resumed."""

    def first_hello(self) -> Any:
        self.client_hello = replace(super().first_hello(), legacy_session_id=b"")
        return self.client_hello


def test_a_ticket_without_a_session_id_is_resumed(meet_client: Meet) -> None:
    encounter = meet_client(kind=Nameless)
    assert encounter.error is None
    info = encounter.connection.info
    assert info is not None
    assert info.resumed
    assert info.peer_chain_der
    assert encounter.peer.established
    encounter.peer.send_data(b"from the peer")
    encounter.run()
    assert encounter.events[-1] == DataReceived(b"from the peer")


def test_a_foreign_ticket_without_a_session_id(meet_client: Meet, known: Known) -> None:
    """It means a full handshake, as with an id."""
    foreign = replace(known.session, ticket=bytes(200))
    encounter = meet_client(kind=Nameless, session=foreign, order=())
    assert encounter.error is None
    assert encounter.connection.info is None
    assert encounter.peer.server_chain  # type: ignore[attr-defined]


@pytest.mark.parametrize("order", [("finished",), ("change_cipher_spec",), ("certificate",)])
def test_without_a_session_id_finished_still_counts(
    meet_client: Meet, order: tuple[str, ...]
) -> None:
    class Wrong(Nameless):
        def finished(self) -> Any:
            return Finished(bytes(12))

    encounter = meet_client(kind=Wrong, order=(*order, "finished"))
    assert encounter.error is not None
    assert not encounter.connection.established


# Finished in the abbreviated handshake


@pytest.mark.parametrize("deviation", [cut_by(1), cut_by(12), longer_by(b"\0")])
def test_finished_of_another_length(refuses: Refuses, deviation: Change) -> None:
    refuses(Fault.DECODE_ERROR, finished=deviation)
