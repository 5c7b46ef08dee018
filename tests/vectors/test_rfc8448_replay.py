"""The handshakes of RFC 8448, played by our client and by our server, byte for byte.

Each side is a real connection. What the RFC's endpoints chose differently is put in at a seam:
the client's hellos (they offer groups and extensions that ours does not), the server's
EncryptedExtensions and CertificateRequest (they hold other extensions), private keys and randoms
(by `entropy`), and signatures (RSASSA-PSS and ECDSA are randomised, and some keys are not
published; ours are checked before they are sent, so they are right over our transcript), and the
tickets, whose insides are their server's own. All else is the engine's: messages, transcript,
secrets, binders, Finished, records and their boundaries, alerts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.vectors.rfc8448_traces import Role, Trace, load

import handclasp.client
from handclasp import (
    ClientAuth,
    ClientConfig,
    ClientConnection,
    Credentials,
    DataReceived,
    EarlyDataReceived,
    Event,
    HandshakeCompleted,
    PeerClosed,
    Recorder,
    ServerConfig,
    ServerConnection,
    Session,
    SessionStore,
    VerifiedPeer,
    VerifyPeer,
)
from handclasp.certificates.verify import accept_unverified
from handclasp.crypto.groups import GROUPS, PrivateShare
from handclasp.crypto.secret import Secret
from handclasp.crypto.suites import CIPHER_SUITES
from handclasp.handshake.client import client_handshake
from handclasp.handshake.client_sessions import ClientSessions
from handclasp.handshake.offer import ClientOffer
from handclasp.handshake.tls13 import client_retry
from handclasp.handshake.tls13 import resumption as resumption13
from handclasp.handshake.tls13 import server as server13
from handclasp.handshake.tls13.psk import psk_of_session, with_psks
from handclasp.iana import group_name
from handclasp.keys.schedule13 import ResumptionSecret
from handclasp.keys.transcript import Transcript
from handclasp.sessions.replay import ReplayFilter
from handclasp.sessions.session import milliseconds
from handclasp.sessions.tickets import SessionState
from handclasp.trace.events import SecretDerived
from handclasp.wire.codecs import write_message
from handclasp.wire.extensions import read_max_early_data_size, read_offered_psks
from handclasp.wire.messages import Certificate, ClientHello, NewSessionTicket, read_message

NAMES = ("simple_1rtt", "hello_retry_request", "client_authentication", "compatibility_mode")

GROUP_NAMES = {"x25519": "X25519", "secp256r1": "secp256r1"}

SECRETS = {
    "CLIENT_HANDSHAKE_TRAFFIC_SECRET": "client_handshake_traffic_secret",
    "SERVER_HANDSHAKE_TRAFFIC_SECRET": "server_handshake_traffic_secret",
    "CLIENT_TRAFFIC_SECRET_0": "client_application_traffic_secret_0",
    "SERVER_TRAFFIC_SECRET_0": "server_application_traffic_secret_0",
    "EXPORTER_SECRET": "exporter_master_secret",
}
"""The labels of RFC 9850, and the names in the traces."""


@pytest.fixture(params=NAMES)
def trace(request: pytest.FixtureRequest) -> Trace:
    return load(request.param)


def test_client(trace: Trace, monkeypatch: pytest.MonkeyPatch) -> None:
    connection, notes = client_of(trace, monkeypatch)
    events = play(connection, trace, "client")
    check_outcome(connection, events, trace, "client")
    assert secrets_of(notes) == {label: trace.secrets[name] for label, name in SECRETS.items()}


def test_server(trace: Trace, monkeypatch: pytest.MonkeyPatch) -> None:
    connection, notes = server_of(trace, monkeypatch)
    events = play(connection, trace, "server")
    check_outcome(connection, events, trace, "server")
    assert secrets_of(notes) == {label: trace.secrets[name] for label, name in SECRETS.items()}


@pytest.mark.parametrize("role", ["client", "server"])
def test_a_changed_record_is_noticed(
    trace: Trace, monkeypatch: pytest.MonkeyPatch, role: Role
) -> None:
    """The replay itself can fail: one wrong bit of the other side ends it."""
    make = client_of if role == "client" else server_of
    connection, _ = make(trace, monkeypatch)
    last = max(
        i for i, r in enumerate(trace.records) if r.sender != role and r.epoch == "handshake"
    )
    record = trace.records[last]
    broken = replace(record, encoded=record.encoded[:-1] + bytes([record.encoded[-1] ^ 1]))
    records = (*trace.records[:last], broken, *trace.records[last + 1 :])
    with pytest.raises(OSError, match="did not decrypt"):
        play(connection, replace(trace, records=records), role)


# Playing


def play(connection: Any, trace: Trace, role: Role) -> list[Event]:
    """Walk through the records of the trace: feed the other side's, compare our own."""
    events: list[Event] = []
    sent = b""
    for record in trace.records:
        if record.sender != role:
            events += connection.receive_data(record.encoded)
            continue
        if record.content_type == "application_data" and record.epoch == "early":
            connection.send_early_data(record.payload)
        elif record.content_type == "application_data":
            connection.send_data(record.payload)
        elif record.content_type == "alert":
            connection.close()
        elif record.content_type == "handshake" and record.epoch == "application":
            # NewSessionTicket: ours would be another, so it is put in; its protection is ours.
            connection._records.send(record.payload)
        sent += bytes(connection.data_to_send())
        assert sent[: len(record.encoded)] == record.encoded, record.name
        sent = sent[len(record.encoded) :]
    assert sent == b""
    return events


def check_outcome(connection: Any, events: list[Event], trace: Trace, role: Role) -> None:
    assert isinstance(events[0], HandshakeCompleted)
    assert events[-1] == PeerClosed()
    data = [r.payload for r in trace.records if r.content_type == "application_data"]
    assert [e.data for e in events if isinstance(e, DataReceived)] == data[:1]
    info = events[0].info
    assert info.cipher_suite == trace.cipher_suite
    assert info.group == GROUP_NAMES[trace.key_shares["server_key_share"].group]
    assert info.hello_retry is (trace.name == "hello_retry_request")
    assert info.signature_scheme == trace.signatures["server"].scheme
    assert info.server_name == "server"
    assert (info.client_signature_scheme is not None) is ("client" in trace.signatures)
    peer = "server" if role == "client" else "client"
    assert info.peer_chain_der == chain_of(trace, peer)
    assert info.local_chain_der == chain_of(trace, role)
    assert connection.closed
    assert connection.peer_closed


def secrets_of(notes: Recorder) -> dict[str, bytes]:
    return {event.label: event.value for event in notes.events if isinstance(event, SecretDerived)}


# Our client


def client_of(trace: Trace, monkeypatch: pytest.MonkeyPatch) -> tuple[ClientConnection, Recorder]:
    first = offer_of(trace, "client_hello", "client_key_share")

    def with_offer_of_trace(
        hs: Any, config: ClientConfig, server_name: str | None, client_sessions: object
    ) -> Any:
        assert server_name == first.server_name
        assert client_sessions is None
        return client_handshake(hs, config, None, offer=first)

    monkeypatch.setattr(handclasp.client, "client_handshake", with_offer_of_trace)
    monkeypatch.setattr(client_retry, "offer_after_retry", second_offer(trace))
    credentials = credentials_of(trace, "client") if "client" in trace.signatures else None
    config = ClientConfig(
        verify=take_unverified,
        credentials=credentials,
        middlebox_compatibility=trace.name == "compatibility_mode",
        record_size_limit=2**14 + 1,
        entropy=no_entropy,
    )
    notes = Recorder(record_secrets=True)
    return ClientConnection(config, server_name="server", trace=notes), notes


def second_offer(trace: Trace) -> Callable[..., ClientOffer]:
    def offer(
        _: Any, __: Any, ___: Any, group: str | None, cookie: bytes | None, *_rest: object
    ) -> ClientOffer:
        second = offer_of(trace, "second_client_hello", "client_second_key_share")
        assert group is not None
        assert set(second.shares) == {group}
        assert cookie is not None
        assert second.hello.extensions[44] == len(cookie).to_bytes(2, "big") + cookie
        return replace(second, retried=True)

    return offer


def offer_of(trace: Trace, hello_name: str, share_name: str) -> ClientOffer:
    hello = read_message(trace.messages[hello_name].encoded)
    assert isinstance(hello, ClientHello)
    key = trace.key_shares[share_name]
    share = private_share(GROUP_NAMES[key.group], key.private_key)
    assert share.share == key.public_key
    return ClientOffer(hello, {GROUP_NAMES[key.group]: share}, "server")


def private_share(group: str, private_key: bytes) -> PrivateShare:
    return GROUPS[group].exchange.generate(lambda _: private_key)


# Our server


def server_of(trace: Trace, monkeypatch: pytest.MonkeyPatch) -> tuple[ServerConnection, Recorder]:
    own_extensions = server13._encrypted_extensions

    def encrypted_extensions(*arguments: Any, **settings: Any) -> dict[int, bytes]:
        ours = own_extensions(*arguments, **settings)
        theirs = extensions_of(trace, "encrypted_extensions")
        # The RFC's server tells its groups, too, and in its own order; what we answer, it does.
        assert theirs.items() >= ours.items()
        return theirs

    monkeypatch.setattr(server13, "_encrypted_extensions", encrypted_extensions)
    asks = "certificate_request" in trace.messages
    if asks:
        request = extensions_of(trace, "certificate_request")
        monkeypatch.setattr(server13, "certificate_request_extensions", lambda *_: request)
    key = trace.key_shares["server_key_share"]
    config = ServerConfig(
        credentials=credentials_of(trace, "server"),
        client_auth=ClientAuth.REQUIRED if asks else ClientAuth.NONE,
        verify=take_unverified if asks else None,
        groups=[GROUP_NAMES[key.group]],
        tickets=0,
        entropy=Entropy(entropy_of_server(trace)),
    )
    notes = Recorder(record_secrets=True)
    return ServerConnection(config, trace=notes), notes


def entropy_of_server(trace: Trace) -> Iterable[bytes]:
    """What our server draws, in its order: a cookie, a private key, a random."""
    if "hello_retry_request" in trace.messages:
        request = extensions_of(trace, "hello_retry_request")
        yield request[44][2:]
    yield trace.key_shares["server_key_share"].private_key
    yield trace.messages["server_hello"].encoded[6:38]


class Entropy:
    """Gives what was recorded instead of randomness, and nothing beyond."""

    def __init__(self, values: Iterable[bytes]) -> None:
        self._values = iter(values)

    def __call__(self, size: int) -> bytes:
        return next(self._values)


def no_entropy(size: int) -> bytes:
    raise AssertionError(f"{size} random bytes were asked for, and everything is in the offer")


# What the trace holds


class RecordedSigner:
    """Gives the signature of the trace. The engine checks it before it is sent."""

    def __init__(self, scheme: str, signature: bytes) -> None:
        self.schemes = (scheme,)
        self._signature = signature

    def sign(self, scheme: str, data: bytes) -> bytes:
        return self._signature


def credentials_of(trace: Trace, role: Role) -> Credentials:
    recorded = trace.signatures[role]
    signer = RecordedSigner(recorded.scheme, recorded.signature)
    return Credentials.from_signer(chain_of(trace, role), signer)


def chain_of(trace: Trace, role: str) -> tuple[bytes, ...]:
    if f"{role}_certificate" not in trace.messages:
        return ()
    message = read_message(trace.messages[f"{role}_certificate"].encoded)
    assert isinstance(message, Certificate)
    return tuple(entry.cert_data for entry in message.certificate_list)


def extensions_of(trace: Trace, message: str) -> dict[int, bytes]:
    value: Any = read_message(trace.messages[message].encoded)
    return dict(value.extensions)


def take_unverified(question: VerifyPeer) -> VerifiedPeer:
    """The certificates are of 2016, RSA of 1024 bits and self-signed: for the replay only."""
    return accept_unverified(question.chain_der)


# The resumed handshake of section 4, with 0-RTT data


@pytest.fixture
def resumed() -> Trace:
    return load("resumed_0rtt")


@pytest.fixture
def session(resumed: Trace) -> Session:
    """What our client would have kept of the ticket of section 3."""
    first = load("simple_1rtt")
    ticket = read_message(first.messages["new_session_ticket"].encoded)
    assert isinstance(ticket, NewSessionTicket)
    suite = CIPHER_SUITES[first.cipher_suite]
    resumption = ResumptionSecret(suite, Secret(first.secrets["resumption_master_secret"]))
    return Session(
        version="TLSv1.3",
        cipher_suite=suite.name,
        secret=resumption.psk(ticket.ticket_nonce),
        ticket=ticket.ticket,
        authenticated_at=0,
        received_at=0,
        lifetime=ticket.ticket_lifetime,
        age_add=ticket.ticket_age_add,
        max_early_data=read_max_early_data_size(ticket.extensions[42]),
        server_name="server",
    )


def age_in(trace: Trace, session: Session) -> int:
    """Milliseconds since the ticket came, as the client of the trace says."""
    offered = read_offered_psks(client_hello_of(trace).extensions[41])
    return (offered.identities[0].obfuscated_ticket_age - session.age_add) % 2**32


def client_hello_of(trace: Trace) -> ClientHello:
    hello = read_message(trace.messages["client_hello"].encoded)
    assert isinstance(hello, ClientHello)
    return hello


def test_the_binder(resumed: Trace, session: Session) -> None:
    hello = client_hello_of(resumed)
    psk = psk_of_session(session, age_in(resumed, session))
    without = replace(
        hello, extensions={k: data for k, data in hello.extensions.items() if k != 41}
    )
    assert write_message(with_psks(without, [psk], Transcript())) == hello.raw


def test_client_resumes(resumed: Trace, session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    offer = replace(
        offer_of(resumed, "client_hello", "client_key_share"),
        session=session,
        psks=(psk_of_session(session, age_in(resumed, session)),),
        early_data=True,
    )
    monkeypatch.setattr(
        handclasp.client,
        "client_handshake",
        lambda hs, config, *_: client_handshake(hs, config, None, offer=offer),
    )
    found = ClientSessions(SessionStore(), "key", session)
    monkeypatch.setattr(handclasp.client, "find_sessions", lambda *_: found)
    config = ClientConfig(
        verify=take_unverified,
        middlebox_compatibility=False,
        record_size_limit=2**14 + 1,
        entropy=no_entropy,
    )
    notes = Recorder(record_secrets=True)
    connection = ClientConnection(config, server_name="server", trace=notes)
    check_resumed(play(connection, resumed, "client"), resumed, "client")
    check_secrets(notes, resumed)


def test_server_resumes(resumed: Trace, session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    own_extensions = server13._encrypted_extensions

    def encrypted_extensions(*arguments: Any, **settings: Any) -> dict[int, bytes]:
        ours = own_extensions(*arguments, **settings)
        theirs = extensions_of(resumed, "encrypted_extensions")
        assert theirs.items() >= ours.items()
        assert theirs.pop(42) == b""
        return theirs

    monkeypatch.setattr(server13, "_encrypted_extensions", encrypted_extensions)
    monkeypatch.setattr(server13, "_ticket_issuer", lambda *_: None)
    issued = datetime(2018, 1, 1, tzinfo=UTC)
    age = timedelta(milliseconds=age_in(resumed, session))
    config = ServerConfig(
        credentials=credentials_of(load("simple_1rtt"), "server"),
        groups=["X25519"],
        max_early_data=session.max_early_data,
        replay_guard=ReplayFilter(clock=lambda: 0.0),
        clock=lambda: issued + age,
        entropy=Entropy(entropy_of_server(resumed)),
    )
    state = SessionState(
        version=0x0304,
        cipher_suite=0x1301,
        secret=session.secret,
        authenticated_at=milliseconds(issued),
        created_at=milliseconds(issued),
        lifetime=session.lifetime,
        age_add=session.age_add,
        max_early_data=session.max_early_data,
        server_name="server",
        alpn="",
        binding=config.derived.binding,
    )
    opened = {session.ticket: state}
    monkeypatch.setattr(resumption13, "open_ticket", lambda ticket, _: opened[ticket])
    notes = Recorder(record_secrets=True)
    connection = ServerConnection(config, trace=notes)
    check_resumed(play(connection, resumed, "server"), resumed, "server")
    check_secrets(notes, resumed)


def check_resumed(events: list[Event], trace: Trace, role: Role) -> None:
    completed = next(event for event in events if isinstance(event, HandshakeCompleted))
    assert completed.info.resumed
    assert completed.info.early_data_status == "accepted"
    early = next(r.payload for r in trace.records if r.epoch == "early")
    if role == "server":
        assert events[0] == EarlyDataReceived(early)
    data = [r for r in trace.records if r.content_type == "application_data"]
    received = [r.payload for r in data if r.sender != role and r.epoch == "application"]
    assert [event.data for event in events if isinstance(event, DataReceived)] == received
    assert events[-1] == PeerClosed()


def check_secrets(notes: Recorder, trace: Trace) -> None:
    names = {**SECRETS, "CLIENT_EARLY_TRAFFIC_SECRET": "client_early_traffic_secret"}
    assert secrets_of(notes) == {label: trace.secrets[name] for label, name in names.items()}


def test_names_of_groups() -> None:
    assert [group_name(code) for code in (0x1D, 0x17)] == list(GROUP_NAMES.values())
