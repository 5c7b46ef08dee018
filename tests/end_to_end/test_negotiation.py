"""What two good ends agree upon: suites, groups, schemes, names, protocols."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID
from tests.end_to_end.pair import Pair
from tests.pki import Leaf, Pki, pss_credentials

from handclasp import (
    ClientAuth,
    ClientConfig,
    ConfigurationError,
    Credentials,
    Fault,
    PeerAlertError,
    ProtocolError,
    ServerConfig,
)
from handclasp.crypto.groups import DEFAULT_KEY_SHARES, GROUPS
from handclasp.crypto.signatures import SIGNATURE_SCHEMES
from handclasp.crypto.suites import CIPHER_SUITES
from handclasp.iana import GREASE_VALUES, ContentType, HandshakeType
from handclasp.iana import ExtensionType as Ext
from handclasp.trace.events import MessageSeen, RecordSeen
from handclasp.wire import extensions as ext
from handclasp.wire.messages import ClientHello, ServerHello, read_message

MESSAGES = b"ping", b"pong" * 10_000


def talk(pair: Pair) -> None:
    """Data both ways, so that the keys are right as well."""
    assert pair.established, (pair.client.error, pair.server.error)
    pair.say(pair.client, MESSAGES[0])
    pair.say(pair.server, MESSAGES[1])
    assert pair.server.data == MESSAGES[0]
    assert pair.client.data == MESSAGES[1]


def same(pair: Pair, *fields: str) -> None:
    for field in fields:
        assert getattr(pair.client.info, field) == getattr(pair.server.info, field)


def refused(pair: Pair, fault: Fault, *, by_server: bool = True) -> None:
    """One side refuses with this fault; the other learns it as the alert."""
    finder, told = (pair.server, pair.client) if by_server else (pair.client, pair.server)
    assert isinstance(finder.error, ProtocolError), finder.error
    assert finder.error.fault is fault
    assert isinstance(told.error, PeerAlertError), told.error
    assert told.error.alert_number == fault.alert
    assert told.error.origin == "peer"


def hellos(pair: Pair) -> list[ClientHello]:
    return [
        message
        for event in pair.client.trace.events
        if isinstance(event, MessageSeen) and event.message_type == HandshakeType.CLIENT_HELLO
        if isinstance(message := read_message(event.raw), ClientHello)
    ]


# Suites and groups


@pytest.mark.parametrize("suite", CIPHER_SUITES)
def test_every_suite(client_config: ClientConfig, server_config: ServerConfig, suite: str) -> None:
    pair = Pair(
        replace(client_config, cipher_suites=[suite]),
        replace(server_config, cipher_suites=list(CIPHER_SUITES)),
    ).run()
    talk(pair)
    assert pair.client.info.cipher_suite == suite
    same(pair, "cipher_suite", "group", "signature_scheme", "version", "server_name")


@pytest.mark.parametrize("group", GROUPS)
def test_every_group(client_config: ClientConfig, server_config: ServerConfig, group: str) -> None:
    client = replace(client_config, groups=[group])
    pair = Pair(client, server_config).run()
    talk(pair)
    assert pair.client.info.group == pair.server.info.group == group
    assert not pair.client.info.hello_retry


@pytest.mark.parametrize("prefer_client", [False, True])
def test_whose_order(
    client_config: ClientConfig, server_config: ServerConfig, prefer_client: bool
) -> None:
    suites = list(CIPHER_SUITES)[:3]
    client = replace(
        client_config,
        cipher_suites=suites,
        groups=["X25519", "secp256r1"],
        key_shares=["X25519", "secp256r1"],
    )
    server = replace(
        server_config,
        cipher_suites=suites[::-1],
        groups=["secp256r1", "X25519"],
        prefer_client_order=prefer_client,
    )
    pair = Pair(client, server).run()
    talk(pair)
    assert pair.client.info.cipher_suite == suites[0 if prefer_client else -1]
    assert pair.client.info.group == ("X25519" if prefer_client else "secp256r1")


def test_a_share_at_once_beats_a_better_group(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    client = replace(client_config, groups=["X448", "X25519"], key_shares=["X25519"])
    pair = Pair(client, replace(server_config, groups=["X448", "X25519"])).run()
    talk(pair)
    assert pair.client.info.group == "X25519"
    assert not pair.server.info.hello_retry


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"cipher_suites": ["TLS_AES_128_CCM_SHA256"]}, Fault.NO_SHARED_CIPHER_SUITE),
        ({"groups": ["X448"]}, Fault.NO_SHARED_GROUP),
        ({"signature_schemes": ["ed448"]}, Fault.NO_SHARED_SIGNATURE_SCHEME),
    ],
)
def test_nothing_shared(
    client_config: ClientConfig, server_config: ServerConfig, changes: Any, fault: Fault
) -> None:
    client = replace(client_config, **changes)
    pair = Pair(client, replace(server_config, groups=["X25519"])).run()
    refused(pair, fault)
    assert "offered:" in str(pair.server.error)


# HelloRetryRequest


@pytest.mark.parametrize("cookie", [True, False])
@pytest.mark.parametrize("compatible", [True, False])
@pytest.mark.parametrize("group", ["secp384r1", "SecP384r1MLKEM1024"])
def test_hello_retry(
    client_config: ClientConfig,
    server_config: ServerConfig,
    cookie: bool,
    compatible: bool,
    group: str,
) -> None:
    # A hello with encrypted_client_hello gets no cookie: test_ech.py.
    client = replace(client_config, middlebox_compatibility=compatible, grease_ech=False)
    server = replace(server_config, groups=[group], hello_retry_cookie=cookie)
    pair = Pair(client, server).run()
    talk(pair)
    assert pair.client.info.hello_retry
    assert pair.server.info.hello_retry
    assert pair.client.info.group == group
    first, second = hellos(pair)
    assert (Ext.COOKIE in second.extensions) is cookie
    assert Ext.COOKIE not in first.extensions
    assert first.random == second.random
    assert first.legacy_session_id == second.legacy_session_id
    for end in (pair.client, pair.server):
        assert count_change_cipher_specs(end) == (1 if compatible else 0)


@pytest.mark.parametrize("compatible", [True, False])
def test_middlebox_compatibility(
    client_config: ClientConfig, server_config: ServerConfig, compatible: bool
) -> None:
    pair = Pair(replace(client_config, middlebox_compatibility=compatible), server_config).run()
    talk(pair)
    assert len(hellos(pair)[0].legacy_session_id) == (32 if compatible else 0)
    for end in (pair.client, pair.server):
        assert count_change_cipher_specs(end) == (1 if compatible else 0)


def count_change_cipher_specs(end: Any) -> int:
    return sum(
        isinstance(event, RecordSeen)
        and event.direction == "sent"
        and event.content_type == ContentType.CHANGE_CIPHER_SPEC
        for event in end.trace.events
    )


# GREASE


def test_grease_in_every_place(client_config: ClientConfig, server_config: ServerConfig) -> None:
    pair = Pair(client_config, server_config).run()
    talk(pair)
    hello = hellos(pair)[0]
    shares = ext.read_key_share_client_hello(hello.extensions[Ext.KEY_SHARE])
    assert hello.cipher_suites[0] in GREASE_VALUES
    assert next(iter(hello.extensions)) in GREASE_VALUES
    assert ext.read_supported_groups(hello.extensions[Ext.SUPPORTED_GROUPS])[0] in GREASE_VALUES
    assert ext.read_supported_versions(hello.extensions[Ext.SUPPORTED_VERSIONS])[0] in GREASE_VALUES
    assert shares[0].group in GREASE_VALUES
    assert len(shares) == 1 + len(DEFAULT_KEY_SHARES)


def test_no_grease(client_config: ClientConfig, server_config: ServerConfig) -> None:
    pair = Pair(replace(client_config, grease=False), server_config).run()
    talk(pair)
    hello = hellos(pair)[0]
    numbers = {
        *hello.cipher_suites,
        *hello.extensions,
        *ext.read_supported_groups(hello.extensions[Ext.SUPPORTED_GROUPS]),
        *ext.read_supported_versions(hello.extensions[Ext.SUPPORTED_VERSIONS]),
    }
    assert not numbers & GREASE_VALUES


def test_hellos_differ(client_config: ClientConfig, server_config: ServerConfig) -> None:
    one, two = (hellos(Pair(client_config, server_config))[0] for _ in range(2))
    assert one.random != two.random
    assert one.legacy_session_id != two.legacy_session_id
    assert one.extensions[Ext.KEY_SHARE] != two.extensions[Ext.KEY_SHARE]


@pytest.mark.parametrize("chosen", DEFAULT_KEY_SHARES)
def test_the_share_alone_is_that_in_the_hybrid(
    client_config: ClientConfig, server_config: ServerConfig, chosen: str
) -> None:
    """RFC 9954 section 3.2 allows it, and no other share is ever sent twice."""
    pairs = [Pair(client_config, replace(server_config, groups=[chosen])).run() for _ in range(2)]
    talk(pairs[0])
    assert pairs[0].client.info.group == chosen
    sent = []
    for pair in pairs:
        written = hellos(pair)[0].extensions[Ext.KEY_SHARE]
        shares = {
            each.group: each.key_exchange for each in ext.read_key_share_client_hello(written)
        }
        alone = shares[GROUPS["X25519"].code]
        assert shares[GROUPS["X25519MLKEM768"].code][-32:] == alone
        sent.append(alone)
    assert sent[0] != sent[1]


# Signature schemes

SCHEMES_BY_KEY = {
    "ecdsa-p256": ["ecdsa_secp256r1_sha256"],
    "ecdsa-p384": ["ecdsa_secp384r1_sha384"],
    "ecdsa-p521": ["ecdsa_secp521r1_sha512"],
    "rsa-2048": ["rsa_pss_rsae_sha256", "rsa_pss_rsae_sha384", "rsa_pss_rsae_sha512"],
    "ed25519": ["ed25519"],
    "ed448": ["ed448"],
    "mldsa44": ["mldsa44"],
    "mldsa65": ["mldsa65"],
    "mldsa87": ["mldsa87"],
}


@pytest.mark.parametrize(
    ("key_type", "scheme"), [(key, name) for key, names in SCHEMES_BY_KEY.items() for name in names]
)
def test_every_signature_scheme(pki: Pki, key_type: str, scheme: str) -> None:
    """In both directions: the leaf of the server, and that of the client, verified."""
    client = ClientConfig(
        trust=pki.trust,
        signature_schemes=[scheme],
        credentials=pki.client(key_type=key_type),
    )
    server = ServerConfig(
        credentials=pki.server("localhost", key_type=key_type),
        signature_schemes=[scheme],
        client_auth=ClientAuth.REQUIRED,
        trust=pki.trust,
    )
    pair = Pair(client, server).run()
    talk(pair)
    assert pair.client.info.signature_scheme == scheme
    assert pair.client.info.client_signature_scheme == scheme
    assert pair.client.info.peer_verified
    assert pair.server.info.peer_verified
    same(pair, "signature_scheme", "client_signature_scheme")


@pytest.mark.parametrize("scheme", [name for name in SIGNATURE_SCHEMES if "pss_pss" in name])
def test_keys_for_pss_alone(pki: Pki, scheme: str) -> None:
    """verify_peer is off: the path verifier takes no leaf whose key is id-RSASSA-PSS."""
    credentials = pss_credentials(pki)
    client = ClientConfig(verify_peer=False, signature_schemes=[scheme])
    pair = Pair(client, ServerConfig(credentials=credentials)).run()
    talk(pair)
    assert pair.client.info.signature_scheme == scheme
    assert not pair.client.info.peer_verified
    rsae = replace(client, signature_schemes=["rsa_pss_rsae_sha256"])
    refused(
        Pair(rsae, ServerConfig(credentials=credentials)).run(), Fault.NO_SHARED_SIGNATURE_SCHEME
    )


# Credentials


@pytest.fixture(scope="module")
def several(pki: Pki) -> ServerConfig:
    return ServerConfig(
        credentials=[
            pki.server("one.example", "*.wild.example"),
            pki.server("two.example", key_type="ed25519"),
            pki.server("two.example", key_type="rsa-2048"),
        ]
    )


@pytest.mark.parametrize(
    ("name", "number", "scheme"),
    [
        ("one.example", 0, "ecdsa_secp256r1_sha256"),
        ("ONE.example", 0, "ecdsa_secp256r1_sha256"),
        ("any.wild.example", 0, "ecdsa_secp256r1_sha256"),
        ("two.example", 1, "ed25519"),
    ],
)
def test_credentials_by_name(
    client_config: ClientConfig, several: ServerConfig, name: str, number: int, scheme: str
) -> None:
    pair = Pair(client_config, several, name).run()
    talk(pair)
    assert pair.client.info.signature_scheme == scheme
    assert pair.client.info.peer_chain_der == several.credential_list[number].chain_der
    assert pair.server.info.local_chain_der == several.credential_list[number].chain_der
    assert pair.server.info.server_name == name.lower()


def test_credentials_by_scheme(client_config: ClientConfig, several: ServerConfig) -> None:
    client = replace(client_config, signature_schemes=["rsa_pss_rsae_sha256"])
    pair = Pair(client, several, "two.example").run()
    talk(pair)
    assert pair.client.info.peer_chain_der == several.credential_list[2].chain_der


def test_without_a_match_the_first(several: ServerConfig) -> None:
    client = ClientConfig(verify_peer=False)
    for name in ("three.example", "127.0.0.1", None):
        pair = Pair(client, several, name).run()
        talk(pair)
        assert pair.client.info.peer_chain_der == several.credential_list[0].chain_der


def test_strict_server_name(client_config: ClientConfig, several: ServerConfig) -> None:
    strict = replace(several, strict_server_name=True)
    refused(Pair(client_config, strict, "three.example").run(), Fault.UNRECOGNIZED_NAME)
    talk(Pair(client_config, strict, "two.example").run())
    talk(Pair(ClientConfig(verify_peer=False), strict, None).run())


def test_strict_server_name_is_about_names(
    client_config: ClientConfig, several: ServerConfig
) -> None:
    """The name is served, only not in a scheme that this client knows."""
    strict = replace(several, strict_server_name=True, credentials=several.credential_list[:1])
    client = replace(client_config, signature_schemes=["ed25519"])
    refused(Pair(client, strict, "one.example").run(), Fault.NO_SHARED_SIGNATURE_SCHEME)


def test_no_name_for_addresses(pki: Pki, client_config: ClientConfig) -> None:
    """RFC 6066 section 3: literal addresses are not permitted; the certificate must hold them."""
    for address in ("127.0.0.1", "::1"):
        server = ServerConfig(credentials=pki.server(address))
        pair = Pair(client_config, server, address).run()
        talk(pair)
        assert Ext.SERVER_NAME not in hellos(pair)[0].extensions
        assert pair.server.info.server_name is None


# ALPN


@pytest.mark.parametrize(
    ("offered", "spoken", "chosen"),
    [
        (["h2", "http/1.1"], ["http/1.1", "h2"], "http/1.1"),
        (["h2", "http/1.1"], ["h2"], "h2"),
        ([], ["h2"], None),
        (["h2"], [], None),
        ([], [], None),
    ],
)
def test_alpn(
    client_config: ClientConfig,
    server_config: ServerConfig,
    offered: list[str],
    spoken: list[str],
    chosen: str | None,
) -> None:
    pair = Pair(replace(client_config, alpn=offered), replace(server_config, alpn=spoken)).run()
    talk(pair)
    assert pair.client.info.alpn == pair.server.info.alpn == chosen


def test_alpn_without_overlap(client_config: ClientConfig, server_config: ServerConfig) -> None:
    pair = Pair(replace(client_config, alpn=["h2"]), replace(server_config, alpn=["ftp"])).run()
    refused(pair, Fault.NO_SHARED_APPLICATION_PROTOCOL)


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
@pytest.mark.parametrize(("offered", "chosen"), [(["h2"], None), (["h2", "ftp"], "ftp")])
def test_alpn_that_need_not_overlap(
    client_config: ClientConfig,
    server_config: ServerConfig,
    version: str,
    offered: list[str],
    chosen: str | None,
) -> None:
    lenient = replace(server_config, alpn=["ftp"], allow_alpn_mismatch=True, versions=[version])
    pair = Pair(replace(client_config, alpn=offered), lenient).run()
    talk(pair)
    assert pair.client.info.alpn == pair.server.info.alpn == chosen


# Client certificates


@pytest.mark.parametrize("auth", list(ClientAuth))
@pytest.mark.parametrize("has_one", [True, False])
def test_client_auth(
    pki: Pki, client_config: ClientConfig, server_config: ServerConfig, auth: Any, has_one: bool
) -> None:
    credentials = pki.client("somebody") if has_one else None
    trust = None if auth is ClientAuth.NONE else pki.trust
    pair = Pair(
        replace(client_config, credentials=credentials),
        replace(server_config, client_auth=auth, trust=trust),
    ).run()
    if auth is ClientAuth.REQUIRED and not has_one:
        assert pair.server.error is not None
        assert pair.server.error.fault_name == "CLIENT_CERTIFICATE_MISSING"
        assert isinstance(pair.client.error, PeerAlertError)
        assert pair.client.error.alert == "certificate_required"
        return
    talk(pair)
    shown = has_one and auth is not ClientAuth.NONE
    chain = credentials.chain_der if shown and credentials is not None else ()
    assert pair.server.info.peer_chain_der == pair.client.info.local_chain_der == chain
    assert pair.server.info.peer_verified is shown
    if shown:
        assert pair.server.info.peer_chain[0].subject.rfc4514_string() == "CN=somebody"
        assert pair.client.info.local_chain == pair.server.info.peer_chain


def test_client_without_a_fitting_scheme_goes_without(
    pki: Pki, client_config: ClientConfig, server_config: ServerConfig
) -> None:
    server = replace(
        server_config,
        client_auth=ClientAuth.OPTIONAL,
        trust=pki.trust,
        signature_schemes=["ecdsa_secp256r1_sha256"],
    )
    rsa, ecdsa = pki.client(key_type="rsa-2048"), pki.client()
    pair = Pair(replace(client_config, credentials=[rsa]), server).run()
    talk(pair)
    assert pair.server.info.peer_chain_der == ()
    pair = Pair(replace(client_config, credentials=[rsa, ecdsa]), server).run()
    talk(pair)
    assert pair.server.info.peer_chain_der == ecdsa.chain_der


# Certificates that do not convince


@pytest.mark.parametrize(
    ("problem", "fault"),
    [
        ("expired", Fault.CERTIFICATE_EXPIRED),
        ("not_yet_valid", Fault.CERTIFICATE_NOT_YET_VALID),
        ("wrong_name", Fault.CERTIFICATE_NAME_MISMATCH),
        ("untrusted", Fault.CERTIFICATE_UNTRUSTED),
        ("wrong_purpose", Fault.CERTIFICATE_WRONG_PURPOSE),
        ("no_intermediate", Fault.CERTIFICATE_UNTRUSTED),
    ],
)
def test_certificate_that_does_not_convince(
    pki: Pki, client_config: ClientConfig, problem: str, fault: Fault
) -> None:
    below = pki.intermediate()
    wrong: dict[str, Callable[[], Credentials]] = {
        "expired": pki.expired,
        "not_yet_valid": pki.not_yet_valid,
        "wrong_name": lambda: pki.server("example.org"),
        "untrusted": lambda: Pki("a stranger").server(),
        "wrong_purpose": lambda: pki.credentials(Leaf(purpose=ExtendedKeyUsageOID.CLIENT_AUTH)),
        "no_intermediate": lambda: replace(below, path=()).server(),
    }
    server = ServerConfig(credentials=wrong[problem]())
    refused(Pair(client_config, server).run(), fault, by_server=False)
    # The same certificate is taken by whoever asked not to be told.
    talk(Pair(ClientConfig(verify_peer=False), server).run())


def test_chain_over_an_intermediate(pki: Pki, client_config: ClientConfig) -> None:
    server = ServerConfig(credentials=pki.intermediate().server())
    pair = Pair(client_config, server).run()
    talk(pair)
    assert len(pair.client.info.peer_chain) == 2


# Configs


def test_client_needs_a_name(client_config: ClientConfig, server_config: ServerConfig) -> None:
    with pytest.raises(ConfigurationError, match="server_name"):
        Pair(client_config, server_config, None)
    with pytest.raises(ConfigurationError):
        Pair(client_config, server_config, "no name at all")


def test_hello_of_the_server_is_well_formed(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    pair = Pair(client_config, server_config).run()
    sent = [e for e in pair.server.trace.events if isinstance(e, MessageSeen)]
    hello = next(read_message(e.raw) for e in sent if e.message_type == HandshakeType.SERVER_HELLO)
    assert isinstance(hello, ServerHello)
    assert set(hello.extensions) == {Ext.KEY_SHARE, Ext.SUPPORTED_VERSIONS}
    assert hello.random[-8:-1] != b"DOWNGRD"
