"""Raw public keys in both versions and both roles, and the types of both sides apart (RFC 7250)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.end_to_end.pair import Pair
from tests.end_to_end.test_certificates import hello_of, raw_credentials
from tests.pki import Pki

from handclasp import (
    ChooseCredentials,
    ClientAuth,
    ClientConfig,
    ConfigurationError,
    ServerConfig,
    SessionStore,
    VerifyPeer,
)
from handclasp.certificates.verify import vouch_for
from handclasp.iana import ExtensionType
from handclasp.story.narrate import narrate
from handclasp.wire import extensions as ext

RAW, X509 = "RawPublicKey", "X509"
VERSIONS = ["TLSv1.2", "TLSv1.3"]

SERVER, SERVER_KEY = raw_credentials("ecdsa-p256")
OWN, OWN_KEY = raw_credentials("rsa-2048", 5)

CODES = {0: X509, 2: RAW}


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def client_of(version: str, **settings: Any) -> ClientConfig:
    return ClientConfig(versions=[version], **settings)


def server_of(**settings: Any) -> ServerConfig:
    given: dict[str, Any] = {"credentials": SERVER} | settings
    return ServerConfig(**given)


def types_in(pair: Pair, kind: ExtensionType) -> list[str] | None:
    """The list of types in the client's hello."""
    data = hello_of(pair).extensions.get(kind)
    return None if data is None else [CODES[code] for code in ext.read_certificate_types(data)]


@pytest.mark.parametrize("key_type", ["ecdsa-p256", "ecdsa-p384", "rsa-2048", "ed25519"])
def test_of_both_sides(version: str, key_type: str) -> None:
    credentials, key = raw_credentials(key_type, 7)
    server = ServerConfig(
        credentials=credentials, client_auth=ClientAuth.REQUIRED, raw_public_keys=[OWN_KEY]
    )
    client = client_of(version, raw_public_keys=[key], credentials=OWN)
    pair = Pair(client, server).run()
    for end, theirs, ours in ((pair.client, key, OWN_KEY), (pair.server, OWN_KEY, key)):
        info = end.info
        assert info.version == version
        assert (info.peer_certificate_type, info.local_certificate_type) == (RAW, RAW)
        assert (info.peer_chain_der, info.local_chain_der) == ((theirs,), (ours,))
        assert info.peer_verified
        assert (info.peer_chain, info.local_chain) == ((), ())


def test_one_hello_offers_both_versions() -> None:
    assert ClientConfig(raw_public_keys=[SERVER_KEY]).versions == ("TLSv1.2", "TLSv1.3")
    assert server_of().versions == ("TLSv1.2", "TLSv1.3")
    for theirs in VERSIONS:
        client = ClientConfig(raw_public_keys=[SERVER_KEY])
        assert Pair(client, server_of(versions=[theirs])).run().client.info.version == theirs


def test_of_an_rsa_key_that_the_secret_is_encrypted_to() -> None:
    server = ServerConfig(credentials=OWN, allow_rsa_key_transport=True)
    client = client_of(
        "TLSv1.2",
        raw_public_keys=[OWN_KEY],
        cipher_suites=["TLS_RSA_WITH_AES_128_GCM_SHA256"],
        allow_rsa_key_transport=True,
    )
    info = Pair(client, server).run().client.info
    assert (info.group, info.peer_certificate_type, info.peer_verified) == (None, RAW, True)


class TestRefused:
    def test_another_key(self, version: str) -> None:
        pair = Pair(client_of(version, raw_public_keys=[OWN_KEY]), server_of()).run()
        assert pair.client.error is not None
        assert pair.client.error.fault_name == "UNKNOWN_RAW_PUBLIC_KEY"

    def test_another_key_of_a_client(self, version: str) -> None:
        server = server_of(client_auth=ClientAuth.REQUIRED, raw_public_keys=[SERVER_KEY])
        client = client_of(version, raw_public_keys=[SERVER_KEY], credentials=OWN)
        pair = Pair(client, server).run()
        assert pair.server.error is not None
        assert pair.server.error.fault_name == "UNKNOWN_RAW_PUBLIC_KEY"

    @pytest.mark.parametrize("auth", ["optional", "required"])
    def test_a_client_whose_types_this_side_does_not_take(
        self, pki: Pki, version: str, auth: str
    ) -> None:
        """RFC 7250 section 4.2: no type in common terminates, also where it is optional."""
        server = ServerConfig(
            credentials=pki.server(), client_auth=ClientAuth(auth), trust=pki.trust
        )
        pair = Pair(client_of(version, trust=pki.trust, credentials=OWN), server).run()
        assert pair.server.error is not None
        assert pair.server.error.fault_name == "NO_SHARED_CERTIFICATE_TYPE"
        assert pair.server.error.alert == "unsupported_certificate"

    def test_types_that_are_not_known_here(self, pki: Pki, version: str) -> None:
        server = ServerConfig(credentials=pki.server(), versions=[version])
        pair = Pair(client_of(version, raw_public_keys=[SERVER_KEY]), server).run()
        assert pair.server.error is not None
        assert pair.server.error.fault_name == "NO_SHARED_CERTIFICATE_TYPE"

    def test_a_client_that_is_not_asked_may_have_any(self, pki: Pki, version: str) -> None:
        client = client_of(version, trust=pki.trust, credentials=OWN)
        assert Pair(client, ServerConfig(credentials=pki.server())).run().established


class TestOrder:
    @pytest.mark.parametrize("order", [(RAW, X509), (X509, RAW), (X509,), (RAW,)])
    def test_of_the_hello_is_that_of_the_config(
        self, pki: Pki, version: str, order: tuple[str, ...]
    ) -> None:
        trust = pki.trust if X509 in order else None
        keys = [SERVER_KEY] if RAW in order else []
        client = client_of(
            version, raw_public_keys=keys, trust=trust, server_certificate_types=order
        )
        pair = Pair(client, ServerConfig(credentials=[pki.server(), SERVER])).run()
        sent = types_in(pair, ExtensionType.SERVER_CERTIFICATE_TYPE)
        assert sent == (None if order == (X509,) else list(order))
        assert types_in(pair, ExtensionType.CLIENT_CERTIFICATE_TYPE) is None

    @pytest.mark.parametrize("order", [(RAW, X509), (X509, RAW)])
    def test_of_a_client_that_holds_neither(
        self, pki: Pki, version: str, order: tuple[str, ...]
    ) -> None:
        asked: list[tuple[str, ...]] = []

        def choose(question: ChooseCredentials) -> None:
            asked.append(question.certificate_types)

        client = client_of(
            version,
            trust=pki.trust,
            client_certificate_types=order,
            choose_credentials=choose,
            sessions=SessionStore(),
        )
        server = ServerConfig(
            credentials=pki.server(),
            client_auth=ClientAuth.OPTIONAL,
            trust=pki.trust,
            raw_public_keys=[OWN_KEY],
        )
        pair = Pair(client, server).run()
        assert types_in(pair, ExtensionType.CLIENT_CERTIFICATE_TYPE) == list(order)
        assert types_in(pair, ExtensionType.SERVER_CERTIFICATE_TYPE) is None
        assert asked == [(order[0],)]
        assert pair.server.info.peer_chain_der == ()
        # What it shows is nothing, and so of no type of its own: now, and when it comes back.
        again = Pair(client, server).run()
        assert (pair.client.info.resumed, again.client.info.resumed) == (False, True)
        for info in (pair.client.info, again.client.info):
            assert (info.local_chain_der, info.local_certificate_type) == ((), X509)

    @pytest.mark.parametrize("own", [(RAW, X509), (X509, RAW)])
    @pytest.mark.parametrize("theirs", [(RAW, X509), (X509, RAW)])
    @pytest.mark.parametrize("prefers_client", [False, True])
    def test_of_what_a_server_shows(
        self,
        pki: Pki,
        version: str,
        own: tuple[str, ...],
        theirs: tuple[str, ...],
        prefers_client: bool,
    ) -> None:
        server = ServerConfig(
            credentials=[pki.server(), SERVER],
            server_certificate_types=own,
            prefer_client_order=prefers_client,
        )
        client = client_of(
            version,
            trust=pki.trust,
            raw_public_keys=[SERVER_KEY],
            server_certificate_types=theirs,
        )
        info = Pair(client, server).run().client.info
        assert info.peer_certificate_type == (theirs if prefers_client else own)[0]

    @pytest.mark.parametrize("own", [None, (RAW, X509), (X509, RAW)])
    @pytest.mark.parametrize("theirs", [(RAW, X509), (X509, RAW)])
    @pytest.mark.parametrize("prefers_client", [False, True])
    def test_of_what_a_client_shows(
        self,
        pki: Pki,
        version: str,
        own: tuple[str, ...] | None,
        theirs: tuple[str, ...],
        prefers_client: bool,
    ) -> None:
        server = ServerConfig(
            credentials=pki.server(),
            client_auth=ClientAuth.REQUIRED,
            trust=pki.trust,
            raw_public_keys=[OWN_KEY],
            client_certificate_types=own,
            prefer_client_order=prefers_client,
        )
        client = client_of(
            version,
            trust=pki.trust,
            credentials=[pki.client(), OWN],
            client_certificate_types=theirs,
        )
        info = Pair(client, server).run().server.info
        assert info.peer_certificate_type == (theirs if prefers_client or not own else own)[0]
        assert info.peer_verified


def test_a_callback_shows_a_raw_key(pki: Pki, version: str) -> None:
    asked: list[tuple[str, ...]] = []

    def choose(question: Any) -> Any:
        asked.append(question.certificate_types)
        return OWN

    server = server_of(client_auth=ClientAuth.REQUIRED, raw_public_keys=[OWN_KEY])
    client = client_of(
        version,
        raw_public_keys=[SERVER_KEY],
        choose_credentials=choose,
        client_certificate_types=[RAW],
    )
    info = Pair(client, server).run().server.info
    assert (info.peer_certificate_type, info.peer_chain_der) == (RAW, (OWN_KEY,))
    assert asked == [(RAW,)]


def test_a_callback_judges_a_raw_key(version: str) -> None:
    def verify(question: VerifyPeer) -> Any:
        assert question.certificate_type == RAW
        return vouch_for(question.chain_der, question.certificate_type)

    settings: dict[str, Any] = {"verify": verify}
    server = server_of(client_auth=ClientAuth.REQUIRED, client_certificate_types=[RAW], **settings)
    client = client_of(version, credentials=OWN, server_certificate_types=[RAW], **settings)
    pair = Pair(client, server, None).run()
    assert pair.client.info.peer_certificate_type == RAW
    assert pair.server.info.peer_certificate_type == RAW


def test_a_raw_key_that_nobody_verifies(version: str) -> None:
    client = client_of(version, verify_peer=False, server_certificate_types=[RAW])
    info = Pair(client, server_of(), None).run().client.info
    assert (info.peer_certificate_type, info.peer_verified) == (RAW, False)


class TestResumed:
    def test_both_sides_are_known_again(self, version: str) -> None:
        server = server_of(client_auth=ClientAuth.REQUIRED, raw_public_keys=[OWN_KEY])
        client = client_of(
            version, raw_public_keys=[SERVER_KEY], credentials=OWN, sessions=SessionStore()
        )
        Pair(client, server).run()
        pair = Pair(client, server).run()
        for end, theirs in ((pair.client, SERVER_KEY), (pair.server, OWN_KEY)):
            assert end.info.resumed
            assert (end.info.peer_certificate_type, end.info.peer_chain_der) == (RAW, (theirs,))
            assert end.info.peer_verified
        assert pair.client.info.local_certificate_type == RAW
        assert pair.client.info.local_chain_der == (OWN_KEY,)
        assert (pair.client.info.local_chain, pair.server.info.peer_chain) == ((), ())

    def test_by_a_session_id(self) -> None:
        server = server_of(
            client_auth=ClientAuth.REQUIRED, raw_public_keys=[OWN_KEY], ticket_keys=NoKeys()
        )
        client = client_of(
            "TLSv1.2", raw_public_keys=[SERVER_KEY], credentials=OWN, sessions=SessionStore()
        )
        Pair(client, server).run()
        assert Pair(client, server).run().server.info.peer_certificate_type == RAW

    def test_a_key_that_is_not_expected_any_more_is_not(self, version: str) -> None:
        first = server_of(client_auth=ClientAuth.REQUIRED, raw_public_keys=[OWN_KEY, SERVER_KEY])
        then = replace(first, raw_public_keys=[SERVER_KEY])
        client = client_of(
            version, raw_public_keys=[SERVER_KEY], credentials=OWN, sessions=SessionStore()
        )
        Pair(client, first).run()
        pair = Pair(client, then).run()
        assert pair.server.error is not None
        assert pair.server.error.fault_name == "UNKNOWN_RAW_PUBLIC_KEY"

    def test_a_client_does_not_come_back_to_what_it_takes_no_more(
        self, pki: Pki, version: str
    ) -> None:
        store = SessionStore()
        client = client_of(version, raw_public_keys=[SERVER_KEY], sessions=store)
        server = ServerConfig(credentials=[pki.server(), SERVER])
        Pair(client, server).run()
        other = client_of(version, trust=pki.trust, sessions=store)
        info = Pair(other, server).run().client.info
        assert (info.resumed, info.peer_certificate_type) == (False, X509)


class NoKeys:
    """Ticket keys of a server that has none: sessions go by their ids."""

    def keys(self) -> list[Any]:
        return []


class TestConfigs:
    @pytest.mark.parametrize(
        ("settings", "words"),
        [
            ({"server_certificate_types": "X509"}, "must be a list of names"),
            ({"server_certificate_types": []}, "must not be empty"),
            ({"server_certificate_types": ["OpenPGP"]}, "is not one of X509, RawPublicKey"),
            ({"server_certificate_types": [X509, X509]}, "contains a duplicate"),
            ({"server_certificate_types": [RAW]}, "no keys to accept are given"),
            (
                {"server_certificate_types": [X509], "raw_public_keys": [SERVER_KEY]},
                "so raw_public_keys would have no effect",
            ),
            (
                {"client_certificate_types": [X509], "credentials": OWN},
                "leaves out RawPublicKey, but credentials of that type are given",
            ),
        ],
    )
    def test_what_a_client_cannot_honour(self, settings: dict[str, Any], words: str) -> None:
        with pytest.raises(ConfigurationError, match=words):
            ClientConfig(**settings)

    @pytest.mark.parametrize(
        ("settings", "words"),
        [
            ({"server_certificate_types": [X509]}, "but credentials of that type are given"),
            (
                {"server_certificate_types": [RAW, X509]},
                "but no credentials of that type are given",
            ),
            ({"client_certificate_types": [X509]}, "would have no effect"),
            (
                {"client_certificate_types": [RAW], "client_auth": "required"},
                "no keys to accept are given",
            ),
            (
                {
                    "client_certificate_types": [RAW, X509],
                    "client_auth": "required",
                    "raw_public_keys": [OWN_KEY],
                },
                "needs a trust store",
            ),
        ],
    )
    def test_what_a_server_cannot_honour(self, settings: dict[str, Any], words: str) -> None:
        with pytest.raises(ConfigurationError, match=words):
            server_of(**settings)

    def test_copies_follow_what_they_are_given(self, pki: Pki) -> None:
        config = ClientConfig(raw_public_keys=[SERVER_KEY])
        assert config.peer_certificate_types == (RAW,)
        assert replace(config, raw_public_keys=[]).peer_certificate_types == (X509,)
        assert replace(config, credentials=OWN).own_certificate_types == (RAW,)
        named = replace(config, server_certificate_types=[X509, RAW])
        assert named.peer_certificate_types == (X509, RAW)


def test_the_story_does_not_speak_of_certificates(version: str) -> None:
    server = server_of(client_auth=ClientAuth.REQUIRED, raw_public_keys=[OWN_KEY])
    client = client_of(version, raw_public_keys=[SERVER_KEY], credentials=OWN)
    pair = Pair(client, server).run()
    for end in (pair.client, pair.server):
        told = " ".join(narrate(end.trace.events).split())
        assert "shows a raw public key, without a certificate" in told
        assert "1 certificate with its name" not in told
