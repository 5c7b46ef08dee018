"""Encrypted Client Hello between both ends (RFC 9849)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest
from tests.end_to_end.ech import (
    CONFIGS,
    KEY,
    OTHER,
    PUBLIC,
    RETRY,
    SECRET,
    ech_client,
    ech_server,
    outer_hellos,
)
from tests.end_to_end.pair import End, Pair
from tests.end_to_end.test_certificates import raw_credentials
from tests.pki import Pki

from handclasp import (
    Blame,
    CertificateError,
    CertificatePolicy,
    ChooseCredentials,
    ClientConfig,
    ClientConnection,
    ConfirmPeer,
    Credentials,
    EarlyDataReceived,
    EchConfig,
    EchConfigList,
    EchKey,
    EchRejectedError,
    Fault,
    PeerAlertError,
    PreSharedKey,
    ProtocolError,
    Recorder,
    ServerConfig,
    SessionStore,
    TrustStore,
    VerifiedPeer,
    VerifyPeer,
    vouch_for,
)
from handclasp.certificates.dane import TlsaRecord
from handclasp.certificates.describe import pin_of, tlsa_of
from handclasp.certificates.reading import certificate_of
from handclasp.iana import ExtensionType as Ext
from handclasp.story.facts import encrypted_hello_in
from handclasp.story.narrate import narrate
from handclasp.trace.pcapng import keylog_lines
from handclasp.wire import extensions as ext
from handclasp.wire.ech import make_ech_config, read_encrypted_client_hello

client = pytest.fixture(ech_client)
server = pytest.fixture(ech_server)


WRITE_RETRY_CONFIGS = "handclasp.handshake.tls13.server.write_ech_config_list"
[USABLE] = OTHER.configs
UNUSABLE = [
    EchConfig(b"\xfe\x0a\0\1x", 0xFE0A),
    make_ech_config(7, 0x6666, b"a key", USABLE.cipher_suites, 64, PUBLIC),
    make_ech_config(7, USABLE.kem, USABLE.public_key, [(9, 9)], 64, PUBLIC),
    make_ech_config(7, USABLE.kem, USABLE.public_key, [(1, 1)], 64, "public_name.test"),
    make_ech_config(7, USABLE.kem, USABLE.public_key, [(1, 1)], 64, PUBLIC, {0x8001: b""}),
]
"""Of another version, KEM and suite, with no DNS name, and with an unknown mandatory extension."""


def rejecting(server: ServerConfig, version: str) -> ServerConfig:
    """The server without the key of the client; in TLS 1.2 there is no ECH at all."""
    return replace(server, ech=[OTHER] if version == "TLSv1.3" else (), versions=[version])


def assert_hidden(pair: Pair) -> None:
    assert SECRET.encode() not in pair.client.sent
    for hello in outer_hellos(pair):
        assert ext.read_server_name(hello.extensions[Ext.SERVER_NAME]) == PUBLIC


def exchange(pair: Pair) -> None:
    """Send data both ways."""
    pair.say(pair.client, b"hello")
    pair.say(pair.server, b"welcome")
    pair.run()
    assert pair.server.data.endswith(b"hello")
    assert pair.client.data == b"welcome"


def assert_accepted(pair: Pair) -> None:
    assert pair.client.info.ech_accepted
    assert pair.server.info.ech_accepted
    assert pair.client.info.server_name == pair.server.info.server_name == SECRET
    assert_hidden(pair)
    exchange(pair)


def rejected(pair: Pair) -> EchRejectedError:
    error = pair.client.error
    assert isinstance(error, EchRejectedError), error
    assert error.alert == "ech_required"
    assert error.public_name == PUBLIC
    assert_hidden(pair)
    assert isinstance(pair.server.error, PeerAlertError)
    assert pair.server.error.alert == "ech_required"
    assert pair.server.data == b""
    assert pair.client.connection.info is None
    return error


def test_accepted(client: ClientConfig, server: ServerConfig) -> None:
    pair = Pair(client, server, SECRET).run()
    assert_accepted(pair)


@pytest.mark.parametrize("kem", ["X25519", "P-256"])
@pytest.mark.parametrize("suite", [(1, 1), (1, 2), (1, 3), (2, 1), (2, 3)])
def test_every_kem_and_suite(
    client: ClientConfig, server: ServerConfig, kem: str, suite: tuple[int, int]
) -> None:
    key = EchKey.generate(PUBLIC, kem=kem)
    [made] = key.configs
    config = make_ech_config(3, made.kem, made.public_key, [(9, 9), suite], 0, PUBLIC)
    key = EchKey(key.private_key, (config,))
    pair = Pair(replace(client, ech=EchConfigList([config])), replace(server, ech=[key]), SECRET)
    assert_accepted(pair.run())


@pytest.mark.parametrize("size", [1, 100])
def test_accepted_in_small_parts(client: ClientConfig, server: ServerConfig, size: int) -> None:
    assert_accepted(Pair(client, server, SECRET, size=size).run())


@pytest.mark.parametrize("cookie", [True, False])
def test_accepted_after_a_retry(client: ClientConfig, server: ServerConfig, cookie: bool) -> None:
    server = replace(server, hello_retry_cookie=cookie, **RETRY)
    pair = Pair(client, server, SECRET).run()
    assert_accepted(pair)
    assert pair.client.info.hello_retry
    first, second = [
        read_encrypted_client_hello(hello.extensions[Ext.ENCRYPTED_CLIENT_HELLO])
        for hello in outer_hellos(pair)
    ]
    assert first is not None
    assert second is not None
    assert (second.config_id, second.cipher_suite) == (first.config_id, first.cipher_suite)
    assert first.enc
    assert second.enc == b""
    assert len(second.payload) == pytest.approx(len(first.payload), abs=64)


@pytest.mark.parametrize("keys", [[KEY], [OTHER], []])
@pytest.mark.parametrize("ech", [CONFIGS, None])
def test_no_cookie_for_a_hello_with_the_extension(
    client: ClientConfig, server: ServerConfig, keys: list[EchKey], ech: EchConfigList | None
) -> None:
    # The clients of OpenSSL 4.0 leave it out of their second outer hello.
    pair = Pair(replace(client, ech=ech), replace(server, ech=keys, **RETRY), SECRET).run()
    assert len(outer_hellos(pair)) == 2
    assert all(Ext.COOKIE not in hello.extensions for hello in outer_hellos(pair))
    assert pair.client.connection.info is not None or rejected(pair)


def test_hellos_without_a_name_and_with_grease_switched_off(pki: Pki, client: ClientConfig) -> None:
    server = ServerConfig(credentials=pki.server("127.0.0.1", PUBLIC), ech=[KEY])
    pair = Pair(replace(client, grease=False), server, "127.0.0.1").run()
    assert pair.client.info.ech_accepted
    assert pair.server.info.server_name is None
    assert ext.read_server_name(outer_hellos(pair)[0].extensions[Ext.SERVER_NAME]) == PUBLIC


def test_names_of_any_length_make_hellos_of_one_size(client: ClientConfig) -> None:
    sizes = set[int]()
    for name in ("a.test", "a-longer-name.of-the-same.server.test", "127.0.0.1"):
        pair = Pair(client, ServerConfig(psks=[PreSharedKey(b"k", b"k" * 31 + b"x")]), name)
        pair.client.take()
        sizes.add(len(pair.client.sent))
    assert len(sizes) == 1


def test_a_name_that_is_longer_than_the_configuration_expects(
    pki: Pki, client: ClientConfig
) -> None:
    """Its maximum_name_length is for the padding alone (RFC 9849 section 4)."""
    key = EchKey.generate(PUBLIC, maximum_name_length=4)
    server = ServerConfig(credentials=pki.server(SECRET, PUBLIC), ech=[key])
    client = replace(client, ech=EchConfigList(key.configs))
    assert_accepted(Pair(client, server, SECRET).run())


@pytest.mark.parametrize("retry", [{}, RETRY])
@pytest.mark.parametrize("versions", [["TLSv1.3"], ["TLSv1.2", "TLSv1.3"]])
def test_another_key_is_rejected_with_the_current_configs(
    client: ClientConfig, server: ServerConfig, retry: dict[str, Any], versions: list[str]
) -> None:
    second = EchKey.generate(PUBLIC, avoid=[KEY, OTHER])
    old = EchKey.generate(PUBLIC, avoid=[KEY, OTHER, second])
    keys = [OTHER, replace(old, send_as_retry=False), second]
    server = replace(server, ech=keys, **retry)
    pair = Pair(replace(client, versions=versions), server, SECRET).run()
    error = rejected(pair)
    assert error.is_authentic
    assert error.retry_configs == EchConfigList([*OTHER.configs, *second.configs])
    assert "Connect once more" in error.fix
    assert_accepted(Pair(replace(client, ech=error.retry_configs), server, SECRET).run())


def test_the_same_id_with_another_key_is_as_an_unknown_id(
    client: ClientConfig, server: ServerConfig
) -> None:
    def answers(number: int) -> list[int]:
        [made] = OTHER.configs
        config = make_ech_config(number, made.kem, made.public_key, made.cipher_suites, 64, PUBLIC)
        key = EchKey(OTHER.private_key, (config,))
        pair = Pair(client, replace(server, ech=[key]), SECRET).run()
        assert rejected(pair).retry_configs == EchConfigList([config])
        return [len(body) for _, body in pair.server.records]

    [used] = KEY.configs
    own, other = answers(used.config_id), answers(used.config_id ^ 1)
    # The signature of ECDSA varies in length.
    assert own == pytest.approx(other, abs=4)


@pytest.mark.parametrize("versions", [["TLSv1.3"], ["TLSv1.2"]])
def test_a_server_without_ech_says_so_by_its_certificate(
    client: ClientConfig, server: ServerConfig, versions: list[str]
) -> None:
    pair = Pair(client, replace(server, ech=(), versions=versions), SECRET).run()
    error = rejected(pair)
    assert error.is_authentic
    assert error.retry_configs is None
    assert "sent no ECH configuration" in error.message


def test_configs_that_nobody_can_use_are_no_retry_configs(
    client: ClientConfig, server: ServerConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(WRITE_RETRY_CONFIGS, lambda _: EchConfigList(UNUSABLE).to_bytes())
    error = rejected(Pair(client, replace(server, ech=[OTHER]), SECRET).run())
    assert error.retry_configs is None
    assert error.is_authentic
    assert f"cannot use: {EchConfigList(UNUSABLE).problems()[0]}" in error.message
    assert "sent no ECH configuration" not in error.message


def test_retry_configs_of_which_one_can_be_used(
    client: ClientConfig, server: ServerConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    configs = EchConfigList([*UNUSABLE, *OTHER.configs])
    server = replace(server, ech=[OTHER])
    with monkeypatch.context() as patch:
        patch.setattr(WRITE_RETRY_CONFIGS, lambda _: configs.to_bytes())
        error = rejected(Pair(client, server, SECRET).run())
        # A client that sent GREASE reads them as well, and has no use for them.
        assert Pair(replace(client, ech=None), server, SECRET).run().established
    assert error.retry_configs == configs
    assert_accepted(Pair(replace(client, ech=error.retry_configs), server, SECRET).run())


@pytest.mark.parametrize("versions", [["TLSv1.3"], ["TLSv1.2"]])
def test_a_server_that_is_not_the_public_name_says_nothing_that_counts(
    pki: Pki, client: ClientConfig, versions: list[str]
) -> None:
    keys = [OTHER] if versions == ["TLSv1.3"] else []
    server = ServerConfig(credentials=pki.server(SECRET), ech=keys, versions=versions)
    pair = Pair(client, server, SECRET).run()
    error = pair.client.error
    assert isinstance(error, CertificateError)
    assert error.fault is Fault.CERTIFICATE_NAME_MISMATCH
    assert not hasattr(error, "retry_configs")
    assert error.public_name == PUBLIC
    assert error.place == (0, "subjectAltName")
    assert error.chain_der
    # What is advised concerns the public name, and not the one that the program asked for.
    assert f"does not prove to be {PUBLIC}" in error.message
    assert f"covers the public name {PUBLIC}" in error.fix
    assert SECRET not in error.fix
    assert "server_name" not in error.fix
    assert "Do not connect without ECH" in error.fix
    assert error.blame is Blame.UNCLEAR
    assert_hidden(pair)


def test_a_server_of_another_authority_does_not_prove_to_be_the_public_name(
    client: ClientConfig, server: ServerConfig
) -> None:
    client = replace(client, trust=Pki().trust)
    error = Pair(client, replace(server, ech=[OTHER]), SECRET).run().client.error
    assert isinstance(error, CertificateError)
    assert error.fault is Fault.CERTIFICATE_UNTRUSTED
    assert f"does not prove to be {PUBLIC}" in error.message
    assert "trust" in error.fix
    # An accepted hello is verified for its own name, as always.
    error = Pair(client, server, SECRET).run().client.error
    assert isinstance(error, CertificateError)
    assert error.public_name == ""
    assert PUBLIC not in error.message.partition("(")[0]


def test_without_verification_nothing_that_the_server_says_counts(
    pki: Pki, server: ServerConfig
) -> None:
    client = ClientConfig(verify_peer=False, ech=CONFIGS)
    error = rejected(Pair(client, replace(server, ech=[OTHER]), SECRET).run())
    assert not error.is_authentic
    assert error.retry_configs is None
    assert "nobody verified" in error.message


@pytest.mark.parametrize("trusts", [False, True])
def test_a_raw_key_that_the_client_knows_does_not_prove_the_public_name(
    pki: Pki, trusts: bool
) -> None:
    """It may be the key of any server that the program knows (RFC 9849 section 6.1.7)."""
    mallory, key = raw_credentials("ecdsa-p256", 3)
    client = ClientConfig(raw_public_keys=[key], ech=CONFIGS, trust=pki.trust if trusts else None)
    pair = Pair(client, ServerConfig(credentials=mallory, ech=[OTHER]), SECRET).run()
    assert isinstance(pair.client.error, PeerAlertError)
    assert pair.client.error.alert == "unsupported_certificate"
    assert_hidden(pair)
    # The same key proves the hidden name, which the client has it for.
    assert_accepted(Pair(client, ServerConfig(credentials=mallory, ech=[KEY]), SECRET).run())


def test_a_client_that_takes_raw_keys_alone_believes_no_certificate(server: ServerConfig) -> None:
    _, key = raw_credentials("ecdsa-p256", 3)
    client = ClientConfig(raw_public_keys=[key], ech=CONFIGS)
    for version in ("TLSv1.3", "TLSv1.2"):
        error = rejected(Pair(client, rejecting(server, version), SECRET).run())
        assert not error.is_authentic
        assert error.retry_configs is None
        assert "raw public key does not prove a name" in error.fix


def test_a_client_of_raw_keys_and_certificates_gets_the_current_configs(pki: Pki) -> None:
    own, key = raw_credentials("ecdsa-p256", 3)
    client = ClientConfig(raw_public_keys=[key], trust=pki.trust, ech=CONFIGS)
    server = ServerConfig(credentials=[own, pki.server(PUBLIC)], ech=[OTHER])
    error = rejected(Pair(client, server, SECRET).run())
    assert error.is_authentic
    pair = Pair(replace(client, ech=error.retry_configs), server, SECRET).run()
    assert_accepted(pair)
    assert pair.client.info.peer_certificate_type == "RawPublicKey"


def policy_for(credentials: Credentials, kind: str) -> CertificatePolicy:
    leaf = certificate_of(credentials.chain_der[0])
    if kind == "pins":
        return CertificatePolicy(pins=[pin_of(leaf)])
    return CertificatePolicy(tlsa=[TlsaRecord.parse(tlsa_of(leaf))])


@pytest.mark.parametrize("version", ["TLSv1.3", "TLSv1.2"])
@pytest.mark.parametrize("kind", ["pins", "tlsa"])
def test_what_names_the_hidden_servers_key_is_not_asked_of_the_public_name(
    pki: Pki, client: ClientConfig, kind: str, version: str
) -> None:
    hidden, public = pki.server(SECRET), pki.server(PUBLIC, key_type="ecdsa-p384")
    server = ServerConfig(credentials=[hidden, public], ech=[KEY])
    client = replace(client, policy=policy_for(hidden, kind))
    assert_accepted(Pair(client, server, SECRET).run())
    error = rejected(Pair(client, rejecting(server, version), SECRET).run())
    assert error.is_authentic
    # It is asked of the hidden name, as always.
    client = replace(client, policy=policy_for(public, kind))
    refused = Pair(client, server, SECRET).run().client.error
    assert isinstance(refused, CertificateError)
    assert refused.fault in {Fault.PIN_MISMATCH, Fault.TLSA_MISMATCH}


def test_a_tlsa_record_does_not_prove_the_public_name(client: ClientConfig) -> None:
    mallory = Pki().server(PUBLIC)
    client = replace(client, policy=policy_for(mallory, "tlsa"))
    error = Pair(client, ServerConfig(credentials=mallory, ech=[OTHER]), SECRET).run().client.error
    assert isinstance(error, CertificateError)
    assert error.fault is Fault.CERTIFICATE_UNTRUSTED
    assert f"does not prove to be {PUBLIC}" in error.message


def test_the_public_name_is_verified_where_there_is_no_other_name(
    pki: Pki, server: ServerConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TrustStore, "system", lambda: pki.trust)
    client = ClientConfig(psks=[PreSharedKey(b"k", b"k" * 31 + b"x")], ech=CONFIGS)
    assert rejected(Pair(client, replace(server, ech=[OTHER]), None).run()).is_authentic


@pytest.mark.parametrize("version", ["TLSv1.3", "TLSv1.2"])
def test_verify_is_asked_about_the_public_name_of_a_server_that_rejects(
    server: ServerConfig, version: str
) -> None:
    asked: list[str | None] = []

    def verify(question: VerifyPeer) -> VerifiedPeer:
        asked.append(question.server_name)
        return vouch_for(question.chain_der)

    client = ClientConfig(verify=verify, ech=CONFIGS)
    error = rejected(Pair(client, rejecting(server, version), SECRET).run())
    assert asked == [PUBLIC]
    assert error.is_authentic


@pytest.mark.parametrize("change", [{}, {"ech": None}, {"ech": None, "grease_ech": False}])
def test_verify_is_asked_about_the_name_that_was_meant(
    server: ServerConfig, change: dict[str, Any]
) -> None:
    """Whether the inner hello was accepted, or there is none; a resumed session asks again."""
    asked: list[str | None] = []

    def verify(question: VerifyPeer) -> VerifiedPeer:
        asked.append(question.server_name)
        return vouch_for(question.chain_der)

    client = replace(ClientConfig(verify=verify, sessions=SessionStore(), ech=CONFIGS), **change)
    for is_resumed in (False, True):
        assert Pair(client, server, SECRET).run().client.info.resumed is is_resumed
    assert asked
    assert set(asked) == {SECRET}


@pytest.mark.parametrize("change", [{}, RETRY])
def test_verify_is_asked_about_the_public_name_after_refused_early_data(
    server: ServerConfig, change: dict[str, Any]
) -> None:
    asked: list[str | None] = []

    def verify(question: VerifyPeer) -> VerifiedPeer:
        asked.append(question.server_name)
        return vouch_for(question.chain_der)

    client = ClientConfig(
        verify=verify,
        ech=CONFIGS,
        sessions=SessionStore(),
        allow_early_data=True,
        early_data_before_callbacks=True,
    )
    server = replace(server, max_early_data=1000)
    assert_accepted(Pair(client, server, SECRET).run())
    assert asked == [SECRET]
    pair = Pair(client, replace(server, ech=[OTHER], **change), SECRET)
    pair.client.connection.send_early_data(b"at once")  # type: ignore[union-attr]
    asked.clear()
    error = rejected(pair.run())
    assert asked == [PUBLIC]
    assert error.is_authentic
    assert not pair.server.saw(EarlyDataReceived)


def test_confirm_peer_is_not_asked_about_a_server_that_rejects(
    client: ClientConfig, server: ServerConfig
) -> None:
    asked: list[object] = []

    def confirm(question: ConfirmPeer) -> bool:
        asked.append(question.server_name)
        return True

    client = replace(client, confirm_peer=confirm)
    rejected(Pair(client, replace(server, ech=[OTHER]), SECRET).run())
    assert asked == []
    assert_accepted(Pair(client, server, SECRET).run())
    assert asked == [SECRET]


@pytest.mark.parametrize("version", ["TLSv1.3", "TLSv1.2"])
@pytest.mark.parametrize("is_asked", [True, False])
def test_a_server_that_rejects_gets_no_client_certificate(
    pki: Pki, client: ClientConfig, server: ServerConfig, version: str, is_asked: bool
) -> None:
    """Nor is the program asked for one, which might tell its user about the wrong server."""
    asked: list[ChooseCredentials] = []
    credentials = pki.client("a client")

    def choose(question: ChooseCredentials) -> Credentials:
        asked.append(question)
        return credentials

    server = replace(server, client_auth="optional", trust=pki.trust)
    own = {"choose_credentials": choose} if is_asked else {"credentials": credentials}
    client = replace(client, **cast(Any, own))
    for config in (client, replace(client, ech=None)):
        pair = Pair(config, server, SECRET).run()
        assert pair.client.info.ech_accepted is (config is client)
        assert pair.server.info.peer_chain_der
    assert len(asked) == 2 * is_asked
    asked.clear()
    required = replace(server, client_auth="required")
    for each in (server, required):
        pair = Pair(client, rejecting(each, version), SECRET).run()
        assert asked == []
        if each is server:
            rejected(pair)
            assert pair.server.info.peer_chain_der == ()
        else:
            assert pair.server.error is not None
            assert pair.server.error.fault in (
                Fault.CLIENT_CERTIFICATE_MISSING,
                Fault.CLIENT_CERTIFICATE_MISSING12,
            )


def test_resumption_and_early_data(client: ClientConfig, server: ServerConfig) -> None:
    sessions = SessionStore()
    server = replace(server, max_early_data=1000)
    client = replace(client, sessions=sessions, allow_early_data=True)
    assert_accepted(Pair(client, server, SECRET).run())
    pair = Pair(client, server, SECRET)
    pair.client.connection.send_early_data(b"at once")  # type: ignore[union-attr]
    pair.run()
    assert pair.client.info.resumed
    assert pair.client.info.early_data_status == "accepted"
    assert pair.server.saw(EarlyDataReceived)
    [hello] = outer_hellos(pair)
    assert Ext.EARLY_DATA in hello.extensions
    assert list(hello.extensions)[-1] == Ext.PRE_SHARED_KEY
    assert_accepted(pair)


@pytest.mark.parametrize("is_resumed", [True, False])
def test_early_data_that_a_server_refuses_with_the_inner_hello_accepted(
    pki: Pki, client: ClientConfig, server: ServerConfig, is_resumed: bool
) -> None:
    client = replace(client, sessions=SessionStore(), allow_early_data=True)
    assert_accepted(Pair(client, replace(server, max_early_data=1000), SECRET).run())
    # Another server has other keys for tickets.
    refusing = server if is_resumed else replace(ech_server(pki), max_early_data=1000)
    pair = Pair(client, refusing, SECRET)
    pair.client.connection.send_early_data(b"at once")  # type: ignore[union-attr]
    pair.run()
    for info in (pair.client.info, pair.server.info):
        assert info.resumed is is_resumed
        assert info.early_data_status == "rejected"
    assert not pair.server.saw(EarlyDataReceived)
    assert pair.server.data == b""
    assert_accepted(pair)


@pytest.mark.parametrize("change", [{"ech": [OTHER]}, {"ech": [OTHER], **RETRY}])
def test_early_data_of_a_rejected_hello_go_nowhere(
    client: ClientConfig, server: ServerConfig, change: dict[str, Any]
) -> None:
    client = replace(client, sessions=SessionStore(), allow_early_data=True)
    server = replace(server, max_early_data=1000)
    assert_accepted(Pair(client, server, SECRET).run())
    pair = Pair(client, replace(server, **change), SECRET)
    pair.client.connection.send_early_data(b"at once")  # type: ignore[union-attr]
    error = rejected(pair.run())
    assert not pair.server.saw(EarlyDataReceived)
    # The session is still there for the next attempt.
    pair = Pair(replace(client, ech=error.retry_configs), replace(server, **change), SECRET).run()
    assert pair.client.info.resumed
    assert_accepted(pair)


def test_the_outer_hello_names_no_session(
    pki: Pki, client: ClientConfig, server: ServerConfig
) -> None:
    client = replace(client, sessions=SessionStore())
    assert_accepted(Pair(client, server, SECRET).run())
    pair = Pair(client, server, SECRET)
    session = pair.client.connection._sessions.session  # type: ignore[union-attr]
    assert session is not None
    pair.run()
    outer = ext.read_offered_psks(outer_hellos(pair)[0].extensions[Ext.PRE_SHARED_KEY])
    assert session.ticket not in pair.client.sent
    assert [len(each.identity) for each in outer.identities] == [len(session.ticket)]
    assert pair.client.info.resumed


@pytest.mark.parametrize("change", [{}, RETRY])
def test_external_keys_stay_inside(
    pki: Pki, client: ClientConfig, server: ServerConfig, change: dict[str, Any]
) -> None:
    key = PreSharedKey(b"an identity that tells", b"k" * 31 + b"x")
    client, server = replace(client, psks=[key]), replace(server, psks=[key], **change)
    pair = Pair(client, server, SECRET).run()
    assert_accepted(pair)
    assert pair.client.info.psk_identity == key.identity
    assert key.identity not in pair.client.sent
    error = rejected(Pair(client, replace(server, ech=[OTHER]), SECRET).run())
    assert error.retry_configs is not None


@pytest.mark.parametrize("is_first", [True, False])
def test_two_keys_with_one_config_id(
    client: ClientConfig, server: ServerConfig, is_first: bool
) -> None:
    """RFC 9849 section 7.1: a server tries all that the config_id fits."""
    [used], [made] = KEY.configs, OTHER.configs
    same = make_ech_config(
        used.config_id, made.kem, made.public_key, made.cipher_suites, 64, PUBLIC
    )
    twin = EchKey(OTHER.private_key, (same,))
    keys = [KEY, twin] if is_first else [twin, KEY]
    server = replace(server, ech=keys)
    for config in (used, same):
        pair = Pair(replace(client, ech=EchConfigList([config])), server, SECRET).run()
        assert_accepted(pair)
    pair = Pair(client, replace(server, **RETRY), SECRET).run()
    assert_accepted(pair)


def test_trial_decryption(client: ClientConfig, server: ServerConfig) -> None:
    # The configuration itself is part of the encryption: only the number in the hello is another.
    [made] = KEY.configs
    client = replace(client, ech=EchConfigList([replace(made, config_id=made.config_id ^ 1)]))
    server = replace(server, ech=[OTHER, KEY])
    rejected(Pair(client, server, SECRET).run())
    assert_accepted(Pair(client, replace(server, ech_trial_decryption=True), SECRET).run())


def test_a_config_for_the_inner_name(client: ClientConfig, server: ServerConfig) -> None:
    names: list[str | None] = []
    other = replace(server, alpn=["h2"], ech=())

    def choose(question: Any) -> ServerConfig:
        names.append(question.server_name)
        return other

    server = replace(server, choose_config=choose)
    pair = Pair(replace(client, alpn=["h2"]), server, SECRET).run()
    assert_accepted(pair)
    assert names == [SECRET]
    assert pair.client.info.alpn == "h2"
    # A client with another key gets the configurations of the config that was listening.
    server = replace(server, ech=[OTHER])
    error = rejected(Pair(replace(client, alpn=["h2"]), server, SECRET).run())
    assert error.retry_configs == EchConfigList(OTHER.configs)
    assert names == [SECRET, PUBLIC]


@pytest.mark.parametrize("change", [{}, RETRY, {"versions": ["TLSv1.2"], "ech": ()}])
def test_grease_is_ignored_by_all(pki: Pki, server: ServerConfig, change: dict[str, Any]) -> None:
    pair = Pair(ClientConfig(trust=pki.trust), replace(server, **change), SECRET).run()
    assert not pair.client.info.ech_accepted
    assert not pair.server.info.ech_accepted
    datas = [hello.extensions[Ext.ENCRYPTED_CLIENT_HELLO] for hello in outer_hellos(pair)]
    assert len(set(datas)) == 1
    exchange(pair)


@pytest.mark.parametrize(
    ("change", "is_sent"),
    [
        ({}, True),
        ({"grease": False}, False),
        ({"grease_ech": False}, False),
        ({"versions": ["TLSv1.2"]}, False),
        ({"versions": ["TLSv1.3"]}, True),
    ],
)
def test_when_grease_is_sent(
    pki: Pki, server: ServerConfig, change: dict[str, Any], is_sent: bool
) -> None:
    pair = Pair(ClientConfig(trust=pki.trust, **change), server, SECRET).run()
    assert all(
        (Ext.ENCRYPTED_CLIENT_HELLO in each.extensions) == is_sent for each in outer_hellos(pair)
    )
    exchange(pair)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"versions": ["TLSv1.3"]},
        {"alpn": ["h2"], "record_size_limit": 1000},
        {"psks": [PreSharedKey(b"an identity", b"k" * 31 + b"x")]},
        {"cipher_suites": ["TLS_AES_128_GCM_SHA256"]},
    ],
)
def test_grease_is_as_long_as_the_real_thing(
    pki: Pki, server: ServerConfig, change: dict[str, Any]
) -> None:
    def extension(config: ClientConfig, name: str) -> tuple[int, int, int]:
        pair = Pair(config, server, name)
        pair.client.take()
        data = outer_hellos(pair)[0].extensions[Ext.ENCRYPTED_CLIENT_HELLO]
        found = read_encrypted_client_hello(data)
        assert found is not None
        return len(found.enc), len(found.payload), found.cipher_suite[0]

    grease = ClientConfig(trust=pki.trust, sessions=SessionStore(), **change)
    for name in ("a.test", "x" * 60 + "." + "y" * 60 + ".test", "127.0.0.1"):
        assert extension(grease, name) == extension(replace(grease, ech=CONFIGS), name)


def test_key_logs_have_the_inner_hello(client: ClientConfig, server: ServerConfig) -> None:
    lines: dict[str, list[str]] = {"client": [], "server": []}
    client = replace(client, keylog=lines["client"].append)
    server = replace(server, keylog=lines["server"].append, **RETRY)
    pair = Pair(client, server, SECRET).run()
    assert_accepted(pair)
    assert sorted(lines["client"]) == sorted(lines["server"])
    outer = outer_hellos(pair)[0].random.hex()
    by_label = {label: (random, value) for label, random, value in map(str.split, lines["client"])}
    assert by_label["ECH_CONFIG"] == (outer, KEY.configs[0].raw.hex())
    assert by_label["ECH_SECRET"][0] == outer
    inner = {random for label, (random, _) in by_label.items() if not label.startswith("ECH_")}
    assert len(inner) == 1
    assert outer not in inner


def test_key_logs_of_a_rejected_hello_go_by_the_outer_one(
    client: ClientConfig, server: ServerConfig
) -> None:
    lines: list[str] = []
    pair = Pair(replace(client, keylog=lines.append), replace(server, ech=[OTHER]), SECRET).run()
    rejected(pair)
    assert {line.split()[1] for line in lines} == {outer_hellos(pair)[0].random.hex()}


@pytest.mark.parametrize("is_rejected", [False, True])
def test_key_logs_have_early_data_under_the_hello_that_counts(
    client: ClientConfig, server: ServerConfig, is_rejected: bool
) -> None:
    """RFC 9850 section 2.1; the client learns which one it is after it has sent them."""
    lines: list[str] = []
    client = replace(client, sessions=SessionStore(), allow_early_data=True)
    server = replace(server, max_early_data=1000)
    assert_accepted(Pair(client, server, SECRET).run())
    taking = replace(server, ech=[OTHER]) if is_rejected else server
    pair, trace = Pair(client, taking, SECRET), Recorder(record_secrets=True)
    logging = replace(client, keylog=lines.append)
    pair.client = End(ClientConnection(logging, server_name=SECRET, trace=trace), trace)
    pair.client.connection.send_early_data(b"at once")  # type: ignore[union-attr]
    pair.run()
    outer = outer_hellos(pair)[0].random.hex()
    early = [line.split() for line in lines if line.startswith("CLIENT_EARLY_TRAFFIC_SECRET")]
    assert len({value for _, _, value in early}) == 1
    randoms = [random for _, random, _ in early]
    assert (outer in randoms) is is_rejected
    assert len(randoms) == 1 + is_rejected
    # A capture is written when that is known.
    told = [line.split() for line in keylog_lines(trace.events)]
    written = [random for label, random, _ in told if label == "CLIENT_EARLY_TRAFFIC_SECRET"]
    assert written == randoms[-1:]


def test_what_is_told_of_a_rejection(client: ClientConfig, server: ServerConfig) -> None:
    pair = Pair(client, replace(server, ech=[OTHER]), SECRET).run()
    error = rejected(pair)
    assert error.fault is Fault.ECH_REJECTED
    assert isinstance(error, ProtocolError)
    assert narrate(pair.client.trace.events)
    assert encrypted_hello_in(pair.client.trace.events) == "rejected"
    # For a server, what it cannot open may be GREASE. A client knows what it sends.
    assert encrypted_hello_in(pair.server.trace.events) == "rejected"
    pair = Pair(replace(client, ech=None), server, SECRET).run()
    assert encrypted_hello_in(pair.client.trace.events) is None
    assert encrypted_hello_in(pair.server.trace.events) == "unknown"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ClientConfig(ech=cast(Any, b"config")), "EchConfigList.from_bytes"),
        (lambda: ClientConfig(ech=CONFIGS, versions=["TLSv1.2"]), "requires TLS 1.3"),
        (
            lambda: ClientConfig(ech=EchConfigList([EchConfig(b"\xfe\x0a\0\0", 0xFE0A)])),
            "its version is 0xfe0a",
        ),
    ],
)
def test_configs_of_clients_that_make_no_sense(make: Callable[[], object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ech": KEY}, "ech must be a list"),
        ({"ech": [CONFIGS]}, "a list of EchKey"),
        ({"ech": [KEY], "versions": ["TLSv1.2"]}, "requires TLS 1.3"),
        ({"ech": [replace(KEY, send_as_retry=False)]}, "send_as_retry"),
        ({"ech_trial_decryption": True, "ech": ()}, "needs keys"),
    ],
)
def test_configs_of_servers_that_make_no_sense(
    server: ServerConfig, change: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        replace(server, **change)
