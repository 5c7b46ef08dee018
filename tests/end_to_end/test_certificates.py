"""What comes along with certificates, or in their place, between two ends of ours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.end_to_end.pair import Pair
from tests.pki import MUST_STAPLE, Authority, Leaf, Pki, key_of_type, key_pem

from handclasp import (
    DEFER,
    CertificatePolicy,
    ChooseCredentials,
    ClientAuth,
    ClientConfig,
    ConfirmPeer,
    Credentials,
    ServerConfig,
    TrustStore,
    VerifyPeer,
)
from handclasp.certificates.verify import VerifiedPeer, verify_server_chain, vouch_for
from handclasp.handshake.tls13 import certificate as certificate13
from handclasp.iana import ExtensionType, HandshakeType
from handclasp.trace.events import MessageSeen
from handclasp.wire import extensions as ext
from handclasp.wire.compression import COMPRESSION_ALGORITHMS
from handclasp.wire.messages import CertificateRequest, ClientHello, read_message

REQUIRED = ClientAuth.REQUIRED
SCTS = b"\0\x06\0\x04abcd"


def leaf_of(credentials: Credentials) -> x509.Certificate:
    return x509.load_der_x509_certificate(credentials.chain_der[0])


def stapled(pki: Authority, credentials: Credentials, **changes: Any) -> Credentials:
    return replace(credentials, staple=Fixed(pki.ocsp_response(leaf_of(credentials), **changes)))


@dataclass(frozen=True)
class Fixed:
    """A source that knows of one response, and asks nothing of it."""

    response: bytes

    def current(self, now: datetime) -> bytes | None:
        return self.response


def hello_of(pair: Pair) -> ClientHello:
    message = read_message(_messages(pair, HandshakeType.CLIENT_HELLO)[0])
    assert isinstance(message, ClientHello)
    return message


def request_of(pair: Pair) -> CertificateRequest:
    message = read_message(_messages(pair, HandshakeType.CERTIFICATE_REQUEST)[0])
    assert isinstance(message, CertificateRequest)
    return message


def _messages(pair: Pair, kind: HandshakeType) -> list[bytes]:
    found = [*pair.client.trace.events, *pair.server.trace.events]
    messages = [event for event in found if isinstance(event, MessageSeen)]
    return [event.raw for event in messages if event.message_type == kind]


def raw_credentials(key_type: str, number: int = 0) -> tuple[Credentials, bytes]:
    """A raw public key's credentials, and the key as the peer must know it."""
    key = key_of_type(key_type, number)
    info = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return Credentials.raw_public_key(key_pem(key)), info


class TestStaples:
    def test_are_asked_for_shown_and_judged(self, pki: Pki) -> None:
        credentials = stapled(pki, pki.credentials(Leaf(extensions=[MUST_STAPLE])))
        assert credentials.staple is not None
        config = ClientConfig(trust=pki.trust, policy=CertificatePolicy(stapled_ocsp="require"))
        pair = Pair(config, ServerConfig(credentials=credentials)).run()
        response = credentials.staple.current(datetime.now(UTC))
        assert pair.client.info.ocsp_response == response is not None
        assert pair.server.info.ocsp_response is None

    def test_are_not_sent_to_who_does_not_ask(self, pki: Pki) -> None:
        server = ServerConfig(credentials=stapled(pki, pki.server()))
        ignoring = CertificatePolicy(stapled_ocsp="ignore")
        for config in (
            ClientConfig(trust=pki.trust, policy=ignoring),
            ClientConfig(verify_peer=False),
        ):
            pair = Pair(config, server).run()
            assert pair.client.info.ocsp_response is None
            assert ExtensionType.STATUS_REQUEST not in hello_of(pair).extensions

    def test_an_outdated_one_stays_at_home(self, pki: Pki) -> None:
        later = pki.now + timedelta(days=8)
        credentials = pki.server()
        credentials = credentials.with_staple(pki.ocsp_response(leaf_of(credentials)))
        assert (
            Pair(ClientConfig(trust=pki.trust), ServerConfig(credentials=credentials))
            .run()
            .client.info.ocsp_response
        )
        server = ServerConfig(credentials=credentials, clock=lambda: later)
        client = ClientConfig(trust=pki.trust, clock=lambda: later)
        assert Pair(client, server).run().client.info.ocsp_response is None

    def test_a_revoked_one_is_refused(self, pki: Pki) -> None:
        server = ServerConfig(credentials=stapled(pki, pki.server(), status="revoked"))
        pair = Pair(ClientConfig(trust=pki.trust), server).run()
        assert pair.client.error is not None
        assert pair.client.error.alert == "certificate_revoked"
        assert pair.server.error is not None
        assert pair.server.error.alert == "certificate_revoked"

    def test_of_a_client_where_the_server_requires_them(self, pki: Pki) -> None:
        policy = CertificatePolicy(stapled_ocsp="require")
        server = ServerConfig(
            credentials=pki.server(), client_auth=REQUIRED, trust=pki.trust, policy=policy
        )
        client = pki.client()
        config = ClientConfig(trust=pki.trust, credentials=stapled(pki, client))
        pair = Pair(config, server).run()
        assert pair.server.info.ocsp_response is not None
        # RFC 8446 4.4.2.1: empty in a CertificateRequest; peers such as Go refuse anything else.
        assert request_of(pair).extensions[ExtensionType.STATUS_REQUEST] == b""
        checking = replace(server, policy=CertificatePolicy())
        pair = Pair(config, checking).run()
        assert pair.server.info.ocsp_response is None
        assert ExtensionType.STATUS_REQUEST not in request_of(pair).extensions
        pair = Pair(replace(config, credentials=client), server).run()
        assert pair.server.error is not None
        assert pair.server.error.fault_name == "OCSP_RESPONSE_MISSING"

    def test_timestamps_come_through(self, pki: Pki) -> None:
        server = ServerConfig(credentials=pki.server().with_timestamps(SCTS))
        pair = Pair(ClientConfig(trust=pki.trust), server).run()
        assert pair.client.info.sct_list == SCTS

    def test_timestamps_are_not_sent_to_who_does_not_ask(self, pki: Pki) -> None:
        server = ServerConfig(credentials=pki.server().with_timestamps(SCTS))
        client = ClientConfig(trust=pki.trust, policy=CertificatePolicy(stapled_ocsp="ignore"))
        assert Pair(client, server).run().client.info.sct_list is None

    def test_the_verifier_gets_what_came_along(self, pki: Pki) -> None:
        asked: list[VerifyPeer] = []

        def verify(question: VerifyPeer) -> VerifiedPeer:
            asked.append(question)
            return vouch_for(question.chain_der)

        credentials = stapled(pki, pki.server()).with_timestamps(SCTS)
        assert credentials.staple is not None
        pair = Pair(ClientConfig(verify=verify), ServerConfig(credentials=credentials)).run()
        assert pair.established
        (question,) = asked
        assert question.ocsp_response == credentials.staple.current(datetime.now(UTC))
        assert question.sct_list == SCTS


class TestAuthorities:
    def test_a_server_names_whom_it_trusts(self, pki: Pki) -> None:
        server = ServerConfig(credentials=pki.server(), client_auth=REQUIRED, trust=pki.trust)
        client = ClientConfig(trust=pki.trust, credentials=pki.client())
        kind = ExtensionType.CERTIFICATE_AUTHORITIES
        data = request_of(Pair(client, server).run()).extensions[kind]
        assert ext.read_certificate_authorities(data) == pki.trust.subjects()
        silent = replace(server, send_authorities=False)
        assert kind not in request_of(Pair(client, silent).run()).extensions

    def test_a_list_too_long_is_left_out(self, pki: Pki) -> None:
        many = [Pki("x" * 60 + str(number)).certificate for number in range(300)]
        trust = TrustStore.from_certificates([pki.certificate, *many])
        server = ServerConfig(credentials=pki.server(), client_auth=REQUIRED, trust=trust)
        client = ClientConfig(trust=pki.trust, credentials=pki.client())
        pair = Pair(client, server).run()
        assert ExtensionType.CERTIFICATE_AUTHORITIES not in request_of(pair).extensions
        assert pair.server.info.peer_verified

    def test_a_client_shows_what_the_server_knows(self, pki: Pki) -> None:
        stranger, known = Pki("another root").client("stranger"), pki.client("known")
        server = ServerConfig(credentials=pki.server(), client_auth=REQUIRED, trust=pki.trust)
        client = ClientConfig(trust=pki.trust, credentials=[stranger, known])
        assert Pair(client, server).run().client.info.local_chain_der == known.chain_der
        # With nothing that fits, the server's answer tells more than silence would.
        pair = Pair(replace(client, credentials=stranger), server).run()
        assert pair.server.error is not None
        assert pair.server.error.fault_name == "CERTIFICATE_UNTRUSTED"

    def test_a_server_shows_what_the_client_knows(self, pki: Pki) -> None:
        other = Pki("another root")
        server = ServerConfig(credentials=[other.server(), pki.server()])
        client = ClientConfig(trust=pki.trust, send_authorities=True)
        assert Pair(client, server).run().client.info.peer_verified
        pair = Pair(replace(client, send_authorities=False), server).run()
        assert pair.client.error is not None

    @pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
    def test_in_both_versions(self, pki: Pki, version: str) -> None:
        """Either side reads what the other names, and goes by it."""
        other = Pki("another root")
        stranger, known = other.client("stranger"), pki.client("known")
        server = ServerConfig(
            credentials=[other.server(), pki.server()], client_auth=REQUIRED, trust=pki.trust
        )
        asked: list[ChooseCredentials] = []

        def choose(question: ChooseCredentials) -> Credentials:
            asked.append(question)
            return known if question.server_name is None else pki.server()

        settings: dict[str, Any] = {"trust": pki.trust, "versions": [version]}
        client = ClientConfig(credentials=[stranger, known], send_authorities=True, **settings)
        pair = Pair(client, server).run()
        assert pair.established
        assert pair.client.info.local_chain_der == known.chain_der
        assert pair.client.info.peer_verified
        # And so can the callbacks of both.
        server = replace(server, credentials=None, choose_credentials=choose)
        client = replace(client, credentials=None, choose_credentials=choose)
        assert Pair(client, server).run().established
        assert [question.authorities for question in asked] == [tuple(pki.trust.subjects())] * 2


class TestRawPublicKeys:
    def test_of_a_server(self) -> None:
        credentials, info = raw_credentials("ecdsa-p256")
        server = ServerConfig(credentials=credentials)
        pair = Pair(ClientConfig(raw_public_keys=[info]), server).run()
        seen = pair.client.info
        assert (seen.peer_certificate_type, seen.peer_verified) == ("RawPublicKey", True)
        assert (seen.peer_chain_der, seen.verified_chain_der) == ((info,), (info,))
        assert (seen.peer_chain, seen.verified_chain) == ((), ())
        assert pair.server.info.local_certificate_type == "RawPublicKey"

    @pytest.mark.parametrize("key_type", ["rsa-2048", "ed25519", "mldsa44"])
    def test_of_both(self, key_type: str) -> None:
        credentials, server_key = raw_credentials("ecdsa-p256")
        own, client_key = raw_credentials(key_type, 5)
        server = ServerConfig(
            credentials=credentials, client_auth=REQUIRED, raw_public_keys=[client_key]
        )
        client = ClientConfig(raw_public_keys=[server_key], credentials=own)
        pair = Pair(client, server).run()
        assert pair.server.info.peer_chain_der == (client_key,)
        assert pair.server.info.peer_certificate_type == "RawPublicKey"
        assert pair.client.info.local_certificate_type == "RawPublicKey"

    def test_of_a_client_beside_certificates(self, pki: Pki) -> None:
        own, key = raw_credentials("ecdsa-p256", 6)
        server = ServerConfig(
            credentials=pki.server(),
            client_auth=REQUIRED,
            raw_public_keys=[key],
            trust=pki.trust,
        )
        for credentials, kind in ((own, "RawPublicKey"), (pki.client(), "X509")):
            client = ClientConfig(trust=pki.trust, credentials=credentials)
            info = Pair(client, server).run().server.info
            assert (info.peer_certificate_type, info.peer_verified) == (kind, True)

    def test_or_a_certificate_as_the_client_likes(self, pki: Pki) -> None:
        credentials, key = raw_credentials("ecdsa-p256")
        server = ServerConfig(credentials=[pki.server(), credentials])
        for client, kind in (
            (ClientConfig(trust=pki.trust), "X509"),
            (ClientConfig(raw_public_keys=[key]), "RawPublicKey"),
            (ClientConfig(raw_public_keys=[key], trust=pki.trust), "X509"),
        ):
            assert Pair(client, server).run().client.info.peer_certificate_type == kind

    def test_no_type_in_common(self, pki: Pki) -> None:
        credentials, key = raw_credentials("ecdsa-p256")
        for client, server in (
            (ClientConfig(trust=pki.trust), ServerConfig(credentials=credentials)),
            (ClientConfig(raw_public_keys=[key]), ServerConfig(credentials=pki.server())),
        ):
            error = Pair(client, server).run().server.error
            assert error is not None
            assert error.fault_name == "NO_SHARED_CERTIFICATE_TYPE"
            assert error.alert == "unsupported_certificate"

    def test_an_optional_one_is_not_asked_of_who_has_none(self, pki: Pki) -> None:
        _, key = raw_credentials("ecdsa-p256", 6)
        server = ServerConfig(
            credentials=pki.server(), client_auth=ClientAuth.OPTIONAL, raw_public_keys=[key]
        )
        pair = Pair(ClientConfig(trust=pki.trust, credentials=pki.client()), server).run()
        assert pair.server.info.peer_chain_der == ()
        assert not _messages(pair, HandshakeType.CERTIFICATE_REQUEST)

    def test_a_callback_cannot_show_another_type_than_agreed(self, pki: Pki) -> None:
        raw, _ = raw_credentials("ecdsa-p256")
        server = ServerConfig(choose_credentials=lambda _: raw)
        error = Pair(ClientConfig(trust=pki.trust), server).run().server.error
        assert error is not None
        assert error.fault_name == "NO_SHARED_CERTIFICATE_TYPE"
        server = ServerConfig(
            credentials=pki.server(), client_auth=ClientAuth.OPTIONAL, trust=pki.trust
        )
        client = ClientConfig(trust=pki.trust, choose_credentials=lambda _: raw)
        pair = Pair(client, server).run()
        assert pair.established
        assert pair.server.info.peer_chain_der == ()

    def test_no_authorities_are_named_for_them(self, pki: Pki) -> None:
        own, key = raw_credentials("ecdsa-p256", 6)
        server = ServerConfig(
            credentials=pki.server(), client_auth=REQUIRED, raw_public_keys=[key], trust=pki.trust
        )
        request = request_of(Pair(ClientConfig(trust=pki.trust, credentials=own), server).run())
        assert ExtensionType.CERTIFICATE_AUTHORITIES not in request.extensions


class TestCompression:
    @pytest.mark.parametrize("name", COMPRESSION_ALGORITHMS)
    def test_in_each_algorithm(self, pki: Pki, name: str) -> None:
        client = ClientConfig(
            trust=pki.trust, certificate_compression=[name], credentials=pki.client()
        )
        server = ServerConfig(credentials=pki.server(), client_auth=REQUIRED, trust=pki.trust)
        pair = Pair(client, server).run()
        assert pair.client.info.certificate_compression == name
        assert pair.server.info.certificate_compression == name
        assert pair.client.info.peer_chain_der == pair.server.info.local_chain_der

    def test_the_sender_chooses(self, pki: Pki) -> None:
        client = ClientConfig(trust=pki.trust, certificate_compression=["zlib", "zstd"])
        server = ServerConfig(
            credentials=pki.server(), certificate_compression=["brotli", "zstd", "zlib"]
        )
        assert Pair(client, server).run().client.info.certificate_compression == "zstd"

    def test_off_on_either_side(self, pki: Pki) -> None:
        for client, server in (((), None), (None, ())):
            pair = Pair(
                ClientConfig(trust=pki.trust, certificate_compression=client),
                ServerConfig(credentials=pki.server(), certificate_compression=server),
            ).run()
            assert pair.client.info.certificate_compression is None

    def test_not_where_it_would_be_larger(self, pki: Pki) -> None:
        credentials, key = raw_credentials("ecdsa-p256")
        pair = Pair(
            ClientConfig(raw_public_keys=[key]), ServerConfig(credentials=credentials)
        ).run()
        assert pair.client.info.certificate_compression is None

    def test_once_for_each_of_many_names(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A client that goes through names and algorithms makes the server compress only once."""
        packed: list[bytes] = []

        def compress(name: str, data: bytes) -> bytes:
            packed.append(data)
            return b""

        monkeypatch.setattr(certificate13, "compress", compress)
        messages = [b"\x0b\0\0\x02" + number.to_bytes(2, "big") for number in range(500)]
        for _ in range(3):
            for message in messages:
                certificate13._smaller("zlib", message)
        certificate13._smaller.cache_clear()
        assert len(packed) == len(messages)

    def test_a_new_staple_is_compressed_anew(self, pki: Pki) -> None:
        credentials = pki.server()
        for status in ("good", "revoked"):
            shown = stapled(pki, credentials, status=status)
            pair = Pair(ClientConfig(trust=pki.trust), ServerConfig(credentials=shown)).run()
            assert (pair.client.error is None) is (status == "good")


class TestConfirming:
    def configs(
        self, pki: Pki, of_server: bool, confirm: Callable[[ConfirmPeer], Any]
    ) -> tuple[ClientConfig, ServerConfig]:
        """Client and server, one of which has the callback."""
        client = ClientConfig(trust=pki.trust, credentials=pki.client("Jane"))
        server = ServerConfig(credentials=pki.server(), client_auth=REQUIRED, trust=pki.trust)
        if of_server:
            return client, replace(server, confirm_peer=confirm)
        return replace(client, confirm_peer=confirm), server

    @pytest.mark.parametrize("of_server", [False, True])
    def test_it_sees_a_peer_that_was_verified(self, pki: Pki, of_server: bool) -> None:
        asked: list[ConfirmPeer] = []

        def confirm(question: ConfirmPeer) -> bool:
            asked.append(question)
            return True

        pair = Pair(*self.configs(pki, of_server, confirm)).run()
        assert pair.client.info.peer_verified
        (question,) = asked
        assert question.peer.verified
        assert question.peer_is_server is not of_server
        assert question.server_name == (None if of_server else "localhost")

    @pytest.mark.parametrize("of_server", [False, True])
    @pytest.mark.parametrize(
        ("answer", "fault"),
        [(False, "CERTIFICATE_REFUSED"), (None, "CALLBACK_FAILED"), (1, "CALLBACK_FAILED")],
    )
    def test_anything_but_true_refuses(
        self, pki: Pki, of_server: bool, answer: object, fault: str
    ) -> None:
        pair = Pair(*self.configs(pki, of_server, lambda _: answer)).run()
        error = (pair.server if of_server else pair.client).error
        assert error is not None
        assert error.fault_name == fault

    @pytest.mark.parametrize("of_server", [False, True])
    def test_an_exception_refuses(self, pki: Pki, of_server: bool) -> None:
        def confirm(_: ConfirmPeer) -> bool:
            raise LookupError("no such customer")

        pair = Pair(*self.configs(pki, of_server, confirm)).run()
        error = (pair.server if of_server else pair.client).error
        assert error is not None
        assert error.fault_name == "CERTIFICATE_REFUSED"
        assert isinstance(error.__cause__, LookupError)

    def test_it_may_take_its_time(self, pki: Pki) -> None:
        for answer in (True, False):
            pair = Pair(*self.configs(pki, False, lambda _: DEFER)).run()
            assert pair.client.connection.info is None
            pair.client.answer(answer)
            pair.run()
            assert pair.client.connection.established is answer

    def test_it_is_not_asked_about_who_was_refused(self, pki: Pki) -> None:
        def confirm(_: ConfirmPeer) -> bool:
            pytest.fail("asked")

        client, _ = self.configs(pki, False, confirm)
        pair = Pair(client, ServerConfig(credentials=pki.expired())).run()
        assert pair.client.error is not None
        assert pair.client.error.fault_name == "CERTIFICATE_EXPIRED"


def test_a_verdict_for_another_name_is_refused(pki: Pki) -> None:
    credentials = pki.server("localhost", "other.example")
    verdicts = {
        "another name": lambda q: verify_server_chain(
            q.chain_der, pki.trust, "other.example", datetime.now(UTC)
        ),
        "another chain": lambda _: vouch_for(pki.server().chain_der),
        "another type": lambda _: vouch_for([raw_credentials("ecdsa-p256")[1]], "RawPublicKey"),
    }
    for verdict in verdicts.values():
        config = ClientConfig(verify=verdict)
        error = Pair(config, ServerConfig(credentials=credentials)).run().client.error
        assert error is not None
        assert error.fault_name == "CALLBACK_FAILED"


def test_watched_credentials_are_looked_at_for_each_handshake(pki: Pki, tmp_path: Any) -> None:
    from tests.pki import pem_of

    key = key_of_type("ecdsa-p256")
    chain_file, key_file = tmp_path / "chain.pem", tmp_path / "key.pem"
    key_file.write_bytes(key_pem(key))
    chain_file.write_bytes(pem_of(pki.issue(Leaf(), key.public_key())))
    now = [0.0]
    watched = Credentials.auto_reload(chain_file, key_file, clock=lambda: now[0])
    config = ServerConfig(credentials=watched)
    first = Pair(ClientConfig(trust=pki.trust), config).run().client.info.peer_chain_der
    chain_file.write_bytes(pem_of(pki.issue(Leaf(), key.public_key())))
    now[0] += 10
    second = Pair(ClientConfig(trust=pki.trust), config).run().client.info.peer_chain_der
    assert first != second
