"""Client authentication after the handshake (RFC 8446 section 4.6.2), both ends ours."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from cryptography import x509
from tests.end_to_end.pair import Pair
from tests.end_to_end.test_certificates import raw_credentials
from tests.pki import Pki

from handclasp import (
    DEFER,
    CertificatePolicy,
    ClientAuthenticated,
    ClientConfig,
    ClientConnection,
    ConfigurationError,
    Credentials,
    Fault,
    KeysUpdated,
    Limits,
    PreSharedKey,
    ServerConfig,
    ServerConnection,
    SessionStore,
    StateError,
    TLSError,
)
from handclasp.certificates.verify import vouch_for
from handclasp.iana import HandshakeType
from handclasp.story.narrate import narrate
from handclasp.trace.events import MessageSeen


@pytest.fixture(scope="session")
def own(pki: Pki) -> Credentials:
    return pki.client("alice")


def client_of(pki: Pki, own: Credentials | None = None, **settings: Any) -> ClientConfig:
    return ClientConfig(
        trust=pki.trust, credentials=own, **{"post_handshake_auth": True, **settings}
    )


def server_of(pki: Pki, **settings: Any) -> ServerConfig:
    given = {"client_auth": "optional", "post_handshake_auth": True, "trust": pki.trust}
    return ServerConfig(credentials=pki.server("localhost"), **{**given, **settings})


def request(pair: Pair) -> None:
    server = pair.server.connection
    assert isinstance(server, ServerConnection)
    server.request_client_certificate()


def asked(pair: Pair) -> Pair:
    """The pair after one request and its answer."""
    request(pair)
    return pair.run()


def answers(pair: Pair) -> list[tuple[bytes, ...]]:
    """The chains of the server's events."""
    events = pair.server.events
    return [each.info.peer_chain_der for each in events if isinstance(each, ClientAuthenticated)]


def test_authenticated(pki: Pki, own: Credentials) -> None:
    pair = Pair(client_of(pki, own), server_of(pki)).run()
    assert pair.established
    assert pair.server.info.peer_chain_der == ()
    asked(pair)
    info = pair.server.info
    assert answers(pair) == [own.chain_der]
    assert info.peer_chain_der == own.chain_der
    assert info.peer_verified
    assert info.verified_chain_der[0] == own.chain_der[0]
    assert info.client_signature_scheme in own.schemes
    assert info.client_signature_scheme == pair.client.info.client_signature_scheme
    assert pair.client.info.local_chain_der == own.chain_der
    pair.say(pair.client, b"from the client")
    pair.say(pair.server, b"from the server")
    assert (pair.server.data, pair.client.data) == (b"from the client", b"from the server")


def test_byte_by_byte(pki: Pki, own: Credentials) -> None:
    pair = asked(Pair(client_of(pki, own), server_of(pki), size=1).run())
    assert answers(pair) == [own.chain_der]


@pytest.mark.parametrize("client_auth", ["optional", "required"])
def test_declined(pki: Pki, client_auth: str) -> None:
    pair = asked(Pair(client_of(pki), server_of(pki, client_auth=client_auth)).run())
    if client_auth == "optional":
        assert answers(pair) == [()]
        assert pair.established
        pair.say(pair.client, b"hello")
        assert pair.server.data == b"hello"
        return
    assert answers(pair) == []
    assert pair.server.error is not None
    assert pair.client.error is not None
    assert pair.server.error.fault is Fault.CLIENT_CERTIFICATE_MISSING
    assert "certificate_required" in str(pair.client.error)


def test_a_stranger_is_refused(pki: Pki) -> None:
    pair = asked(Pair(client_of(pki, Pki().client()), server_of(pki)).run())
    assert answers(pair) == []
    assert pair.server.error is not None
    assert pair.server.error.fault is Fault.CERTIFICATE_UNTRUSTED


def test_the_application_has_the_last_word(pki: Pki, own: Credentials) -> None:
    pair = Pair(client_of(pki, own), server_of(pki, confirm_peer=lambda _: False)).run()
    assert pair.established
    asked(pair)
    assert answers(pair) == []
    assert pair.server.error is not None
    assert pair.server.error.fault is Fault.CERTIFICATE_REFUSED


def test_a_server_that_asked_in_the_handshake_may_ask_again(pki: Pki, own: Credentials) -> None:
    other = pki.client("bob")
    shown = iter([own, other, None])
    client = ClientConfig(
        trust=pki.trust, post_handshake_auth=True, choose_credentials=lambda _: next(shown)
    )
    pair = Pair(client, server_of(pki, post_handshake_auth=False)).run()
    assert pair.server.info.peer_chain_der == own.chain_der
    asked(asked(pair))
    # Whoever declines is nobody, whoever it was before.
    assert answers(pair) == [other.chain_der, ()]
    info = pair.server.info
    assert (info.peer_chain_der, info.verified_chain_der, info.peer_verified) == ((), (), False)
    assert pair.client.info.local_chain_der == ()


def test_several_requests_are_outstanding(pki: Pki, own: Credentials) -> None:
    limits = Limits(max_certificate_requests=3)
    pair = Pair(client_of(pki, own), server_of(pki, limits=limits)).run()
    for _ in range(3):
        request(pair)
    with pytest.raises(StateError, match="3 requests"):
        request(pair)
    pair.run()
    assert answers(pair) == [own.chain_der] * 3
    assert answers(asked(pair)) == [own.chain_der] * 4


def test_between_data_and_new_keys(pki: Pki, own: Credentials) -> None:
    pair = Pair(client_of(pki, own), server_of(pki)).run()
    client, server = pair.client, pair.server
    server.connection.send_data(b"one, ")
    request(pair)
    server.connection.update_keys(request_peer=True)
    server.connection.send_data(b"two")
    client.connection.send_data(b"three, ")
    client.connection.update_keys(request_peer=True)
    client.connection.send_data(b"four")
    pair.run()
    assert answers(pair) == [own.chain_der]
    assert (client.data, server.data) == (b"one, two", b"three, four")
    assert client.saw(KeysUpdated) >= 1
    assert server.saw(KeysUpdated) >= 1
    # Each Finished is under the key of its time, whichever number that has.
    for _ in range(3):
        client.connection.update_keys(request_peer=False)
        asked(pair)
    assert answers(pair) == [own.chain_der] * 4


def test_the_messages_of_an_answer_are_never_apart(pki: Pki, own: Credentials) -> None:
    """The client's signer takes its time, while data and new keys leave."""
    signed: list[bytes] = []

    class Signer:
        schemes = own.schemes

        def sign(self, scheme: str, data: bytes) -> Any:
            signed.append(own.signer.sign(scheme, data))  # type: ignore[arg-type]
            return DEFER

    elsewhere = Credentials.from_signer(own.chain_der, Signer())
    pair = asked(Pair(client_of(pki, elsewhere), server_of(pki)).run())
    pair.client.connection.send_data(b"meanwhile")
    pair.client.connection.update_keys(request_peer=True)
    pair.run()
    assert pair.server.data == b"meanwhile"
    assert answers(pair) == []
    # What the server sends waits for the answer, and is not lost.
    pair.server.connection.send_data(b"waiting")
    pair.run()
    assert pair.client.data == b""
    pair.client.answer(signed.pop())
    pair.run()
    assert answers(pair) == [own.chain_der]
    assert pair.client.data == b"waiting"
    seen = [each.message_type for each in pair.client.trace.events if isinstance(each, MessageSeen)]
    at = seen.index(HandshakeType.CERTIFICATE_VERIFY, seen.index(HandshakeType.KEY_UPDATE))
    assert seen[at - 1 : at + 2] == [
        HandshakeType.CERTIFICATE,
        HandshakeType.CERTIFICATE_VERIFY,
        HandshakeType.FINISHED,
    ]


def test_what_follows_an_answer_waits_for_the_verifier(pki: Pki, own: Credentials) -> None:
    server = server_of(pki, verify=lambda _: DEFER, trust=None)
    pair = Pair(client_of(pki, own), server).run()
    request(pair)
    pair.carry(pair.server, pair.client)
    pair.client.connection.send_data(b"as alice")
    pair.run()
    assert (answers(pair), pair.server.data) == ([], b"")
    pair.server.answer(vouch_for(own.chain_der))
    assert answers(pair) == [own.chain_der]
    assert pair.server.data == b"as alice"


def test_closed_meanwhile(pki: Pki, own: Credentials) -> None:
    config = client_of(pki, None, choose_credentials=lambda _: DEFER)
    pair = asked(Pair(config, server_of(pki)).run())
    pair.client.connection.close()
    pair.client.answer(own)
    pair.run()
    # Nothing follows close_notify.
    assert answers(pair) == []
    assert pair.server.error is None
    assert pair.client.error is None


def test_a_request_after_the_client_has_closed(pki: Pki, own: Credentials) -> None:
    pair = Pair(client_of(pki, own), server_of(pki)).run()
    pair.client.connection.close()
    request(pair)
    pair.say(pair.server, b"still heard")
    assert pair.client.data == b"still heard"
    assert pair.client.error is None
    assert pair.server.error is None


def test_a_key_that_is_nearly_exhausted_is_changed_first(pki: Pki, own: Credentials) -> None:
    limits = Limits(max_records_per_key=8)
    pair = Pair(client_of(pki, own, limits=limits), server_of(pki, limits=limits)).run()
    for index in range(20):
        asked(pair)
        assert len(answers(pair)) == index + 1


@pytest.mark.parametrize("size", [64, 512])
def test_in_small_records(pki: Pki, own: Credentials, size: int) -> None:
    client = client_of(pki, own, record_size_limit=size)
    pair = asked(Pair(client, server_of(pki, record_size_limit=size)).run())
    assert answers(pair) == [own.chain_der]


def test_with_a_retry_and_early_data_in_the_transcript(pki: Pki, own: Credentials) -> None:
    pair = asked(Pair(client_of(pki, own), server_of(pki, groups=["secp256r1"])).run())
    assert pair.server.info.hello_retry
    assert answers(pair) == [own.chain_der]

    client = client_of(pki, own, sessions=SessionStore(), allow_early_data=True)
    server = server_of(pki, max_early_data=1000)
    Pair(client, server).run()
    pair = Pair(client, server)
    assert isinstance(pair.client.connection, ClientConnection)
    pair.client.connection.send_early_data(b"early")
    pair.run()
    assert pair.server.info.early_data_status == "accepted"
    assert answers(asked(pair)) == [own.chain_der]


def test_with_a_staple(pki: Pki) -> None:
    own, policy = pki.client("stapled"), CertificatePolicy(stapled_ocsp="require")
    pair = asked(Pair(client_of(pki, own), server_of(pki, policy=policy)).run())
    assert pair.server.error is not None
    assert pair.server.error.fault is Fault.OCSP_RESPONSE_MISSING
    response = pki.ocsp_response(x509.load_der_x509_certificate(own.chain_der[0]))
    pair = Pair(client_of(pki, own.with_staple(response)), server_of(pki, policy=policy)).run()
    asked(pair)
    assert answers(pair) == [own.chain_der]
    assert pair.server.info.ocsp_response == response


# Whoever cannot be asked


@pytest.mark.parametrize(
    ("client", "server", "error"),
    [
        ({"post_handshake_auth": False}, {}, StateError),
        ({"versions": ["TLSv1.2"], "post_handshake_auth": False}, {}, StateError),
        (
            {},
            {"client_auth": "none", "post_handshake_auth": False, "trust": None},
            ConfigurationError,
        ),
    ],
)
def test_whoever_cannot_be_asked(
    pki: Pki, client: dict[str, Any], server: dict[str, Any], error: type[Exception]
) -> None:
    pair = Pair(client_of(pki, **client), server_of(pki, **server))
    with pytest.raises(StateError):
        request(pair)
    pair.run()
    with pytest.raises(error):
        request(pair)
    # The refusal costs nothing: the connection goes on.
    pair.say(pair.server, b"hello")
    assert pair.client.data == b"hello"


def test_a_client_with_an_external_key_is_not_asked(pki: Pki) -> None:
    key = PreSharedKey(b"sensor 7", b"k" * 32)
    pair = Pair(client_of(pki, psks=[key]), server_of(pki, psks=[key])).run()
    assert pair.server.info.psk_identity == b"sensor 7"
    with pytest.raises(StateError, match="external"):
        request(pair)


def test_raw_keys_are_agreed_upon_in_the_handshake(pki: Pki) -> None:
    raw, key = raw_credentials("ecdsa-p256", 7)
    client = client_of(pki, raw)
    pair = Pair(client, server_of(pki, trust=None, raw_public_keys=[key])).run()
    with pytest.raises(ConfigurationError, match="raw public keys"):
        request(pair)
    server = server_of(pki, trust=None, raw_public_keys=[key], post_handshake_auth=False)
    pair = Pair(client, server).run()
    assert pair.server.info.peer_certificate_type == "RawPublicKey"
    assert answers(asked(pair)) == [raw.chain_der]
    # Without an agreement it is X.509, of which this client has none.
    assert answers(asked(Pair(client, server_of(pki)).run())) == [()]


def test_after_the_end(pki: Pki) -> None:
    pair = Pair(client_of(pki), server_of(pki, client_auth="required")).run()
    pair.server.connection.close()
    with pytest.raises(StateError, match="closed"):
        request(pair)
    pair = asked(Pair(client_of(pki), server_of(pki, client_auth="required")).run())
    with pytest.raises(TLSError):
        request(pair)


@pytest.mark.parametrize("role", ["client", "server"])
def test_tls12_alone_cannot_honour_it(pki: Pki, role: str) -> None:
    with pytest.raises(ConfigurationError, match=r"TLS 1\.3"):
        (client_of if role == "client" else server_of)(pki, versions=["TLSv1.2"])


def test_a_server_needs_somebody_to_trust(pki: Pki) -> None:
    with pytest.raises(ConfigurationError, match="client_auth"):
        server_of(pki, client_auth="none", trust=None)


def test_in_tls12_the_certificate_is_asked_for_in_the_handshake(pki: Pki, own: Credentials) -> None:
    client = client_of(pki, own, versions=["TLSv1.2"], post_handshake_auth=False)
    pair = Pair(client, server_of(pki)).run()
    assert pair.server.info.peer_chain_der == own.chain_der


# Sessions


def test_a_ticket_of_before_tells_of_nobody(pki: Pki, own: Credentials) -> None:
    client, server = client_of(pki, own, sessions=SessionStore()), server_of(pki)
    asked(Pair(client, server).run())
    again = Pair(client, server).run()
    assert again.server.info.resumed
    assert again.server.info.peer_chain_der == ()


def send_tickets(pair: Pair) -> None:
    assert isinstance(pair.server.connection, ServerConnection)
    assert pair.server.connection.send_tickets(1) == 1
    pair.run()


def test_a_ticket_of_after_tells_of_the_client(pki: Pki, own: Credentials) -> None:
    asked_again: list[object] = []

    def confirm(question: object) -> bool:
        asked_again.append(question)
        return True

    client = client_of(pki, own, sessions=SessionStore())
    server = server_of(pki, confirm_peer=confirm)
    send_tickets(asked(Pair(client, server).run()))
    again = Pair(client, server).run()
    assert again.server.info.resumed
    assert again.server.info.peer_chain_der == own.chain_der
    assert again.client.info.local_chain_der == own.chain_der
    assert len(asked_again) == 2


def test_whoever_declines_takes_no_identity_along(pki: Pki, own: Credentials) -> None:
    shown = iter([own, None])
    client = ClientConfig(
        trust=pki.trust,
        post_handshake_auth=True,
        sessions=SessionStore(),
        choose_credentials=lambda _: next(shown, None),
    )
    server = server_of(pki)
    pair = asked(asked(Pair(client, server).run()))
    send_tickets(pair)
    again = Pair(client, server).run()
    assert again.server.info.peer_chain_der == ()


@pytest.mark.parametrize("later", ["bob", None])
def test_a_session_of_one_client_is_not_offered_by_another(
    pki: Pki, own: Credentials, later: str | None
) -> None:
    """The callback answers alice, and in the next connection somebody else."""
    others = {"bob": pki.client("bob"), None: None}
    now: list[Credentials | None] = [own]
    client = ClientConfig(
        trust=pki.trust,
        post_handshake_auth=True,
        sessions=SessionStore(),
        choose_credentials=lambda _: now[0],
    )
    server = server_of(pki)
    send_tickets(asked(Pair(client, server).run()))
    now[0] = others[later]
    again = Pair(client, server).run()
    assert again.server.info.peer_chain_der == ()


def test_two_identities_in_one_connection_leave_no_session_of_either(
    pki: Pki, own: Credentials
) -> None:
    other = pki.client("bob")
    now = [own]
    client = ClientConfig(
        trust=pki.trust,
        post_handshake_auth=True,
        sessions=SessionStore(),
        choose_credentials=lambda _: now[0],
    )
    server = server_of(pki)
    pair = asked(Pair(client, server).run())
    # A ticket for alice is on its way while bob is shown.
    assert isinstance(pair.server.connection, ServerConnection)
    request(pair)
    now[0] = other
    pair.carry(pair.server, pair.client)
    pair.server.connection.send_tickets(1)
    pair.run()
    assert answers(pair) == [own.chain_der, other.chain_der]
    for _ in range(4):
        again = Pair(client, server).run()
        assert again.server.info.peer_chain_der == ()


def test_a_server_that_asks_in_the_handshake_takes_no_session_of_one_that_asks_later(
    pki: Pki, own: Credentials
) -> None:
    """Otherwise a client without a certificate would resume where one is required."""
    later = server_of(pki, client_auth="required")
    at_once = replace(later, post_handshake_auth=False)
    assert later.ticket_keys is at_once.ticket_keys
    client = ClientConfig(trust=pki.trust, sessions=SessionStore(), credentials=own)
    assert Pair(client, later).run().established
    pair = Pair(client, at_once).run()
    assert pair.established
    assert not pair.server.info.resumed
    assert pair.server.info.peer_chain_der == own.chain_der


# The story


@pytest.mark.parametrize("role", ["client", "server"])
def test_the_story_tells_of_it(pki: Pki, own: Credentials, role: str) -> None:
    pair = asked(Pair(client_of(pki, own), server_of(pki)).run())
    end = pair.client if role == "client" else pair.server
    text = " ".join(narrate(end.trace.events).replace("|", " ").split())
    assert "Now that the handshake is complete, the server asks who the client is" in text
    assert "its signature over the handshake, this request and the certificate" in text
    assert "The client seals the handshake, the request and its answer" in text
