"""Configs are checked when they are built: what cannot be honoured raises."""

from __future__ import annotations

import dataclasses
import os
import re
import stat
from base64 import b64encode
from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.certificates.ocsp_responses import Response
from tests.pki import Leaf, Pki, key_of_type, key_pem, pem_of

from handclasp.certificates.credentials import Credentials
from handclasp.certificates.dane import TlsaRecord
from handclasp.certificates.policy import CertificatePolicy
from handclasp.certificates.staple import OcspStaple
from handclasp.config import ClientAuth, ClientConfig, ServerConfig
from handclasp.crypto.groups import DEFAULT_GROUPS
from handclasp.crypto.signatures import DEFAULT_SIGNATURE_SCHEMES
from handclasp.crypto.suites import CIPHER_SUITES, DEFAULT_CIPHER_SUITES
from handclasp.errors import ConfigurationError
from handclasp.limits import Limits
from handclasp.sessions.psk import PreSharedKey
from handclasp.sessions.replay import ReplayFilter
from handclasp.sessions.store import SessionStore
from handclasp.sessions.ticket_keys import TicketKeys
from handclasp.wire.compression import available_algorithms

pki = Pki()
credentials = pki.server("localhost")

raw_public_key: bytes = (
    key_of_type("ecdsa-p256")
    .public_key()
    .public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
)

Build = Callable[..., Any]


def server_config(**settings: Any) -> ServerConfig:
    return ServerConfig(**({"credentials": credentials} | settings))


roles = pytest.mark.parametrize(
    "build", [ClientConfig, server_config], ids=["ClientConfig", "ServerConfig"]
)


@roles
def test_the_defaults_are_safe(build: Build) -> None:
    config = build()
    assert tuple(config.versions) == ("TLSv1.2", "TLSv1.3")
    assert config.require_extended_master_secret is True
    assert config.allow_rsa_key_transport is False
    assert config.cipher_suites == DEFAULT_CIPHER_SUITES
    assert config.groups == DEFAULT_GROUPS
    assert config.signature_schemes == DEFAULT_SIGNATURE_SCHEMES
    assert config.keylog is None
    assert config.allow_truncation is False
    assert config.limits == Limits()
    assert config.entropy is os.urandom
    assert config.handshake_timeout == 30.0


def test_a_client_verifies_and_sends_todays_shares() -> None:
    config = ClientConfig()
    assert config.verify_peer is True
    assert config.key_shares == ("X25519MLKEM768", "X25519")
    assert config.credential_list == ()


def test_a_server_asks_for_nothing() -> None:
    config = ServerConfig(credentials=credentials)
    assert config.client_auth is ClientAuth.NONE
    assert config.credential_list == (credentials,)
    assert config.hello_retry_cookie is True


@roles
def test_a_config_is_frozen(build: Build) -> None:
    config = build(alpn=["h2"])
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.alpn = ("http/1.1",)
    with pytest.raises((AttributeError, TypeError)):
        config.unknown = 1


@roles
def test_lists_become_tuples_of_their_own(build: Build) -> None:
    alpn = ["h2", "http/1.1"]
    groups = ["X25519"]
    config = build(alpn=alpn, groups=iter(groups))
    alpn.append("later")
    assert config.alpn == ("h2", "http/1.1")
    assert config.groups == ("X25519",)


@roles
def test_the_clock_has_a_time_zone(build: Build) -> None:
    now = build().clock()
    assert now.tzinfo is not None
    assert abs(now - datetime.now(UTC)) < timedelta(minutes=1)


@roles
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"versions": ["TLSv1.1"]}, "versions: 'TLSv1.1' is not one of TLSv1.2, TLSv1.3"),
        ({"versions": []}, "versions must not be empty"),
        ({"cipher_suites": ["TLS_NULL"]}, "cipher_suites: 'TLS_NULL' is not one of TLS_AES"),
        ({"cipher_suites": []}, "cipher_suites must not be empty"),
        ({"groups": ["x25519"]}, "groups: 'x25519' is not one of"),
        ({"groups": []}, "groups must not be empty"),
        ({"signature_schemes": ["rsa_pkcs1_sha1"]}, "signature_schemes: 'rsa_pkcs1_sha1'"),
        ({"signature_schemes": []}, "signature_schemes must not be empty"),
        ({"groups": ["X25519", "X25519"]}, "groups contains a duplicate"),
        ({"alpn": ["h2", "h2"]}, "alpn contains a duplicate"),
        ({"alpn": "h2"}, "alpn must be a list of names, not one string"),
        ({"groups": "X25519"}, "groups must be a list of names, not one string"),
        ({"alpn": [""]}, "1 to 255 bytes"),
        ({"alpn": ["a" * 256]}, "1 to 255 bytes"),
        ({"alpn": ["hé"]}, "not ASCII"),
        ({"record_size_limit": 63}, "from 64 to 16385"),
        ({"record_size_limit": 16386}, "from 64 to 16385"),
        ({"record_padding": -1}, "from 0 to 16384"),
        ({"record_padding": 16385}, "from 0 to 16384"),
        ({"record_padding": 1.5}, "record_padding"),
        ({"record_padding": "16"}, "record_padding"),
        ({"alpn": [b"h2"]}, "alpn"),
        ({"handshake_timeout": 0}, "positive number"),
        ({"handshake_timeout": float("nan")}, "positive number"),
        ({"handshake_timeout": -1.0}, "positive number"),
    ],
)
def test_what_cannot_be_honoured_raises(
    build: Build, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        build(**settings)


@roles
@pytest.mark.parametrize(
    "settings",
    [
        {"record_size_limit": 64},
        {"record_size_limit": 16385},
        {"record_padding": 16384},
        {"record_padding": lambda size: 0},
        {"handshake_timeout": None},
        {"alpn": ["a" * 255]},
        {"cipher_suites": list(CIPHER_SUITES)},
    ],
)
def test_what_is_at_the_edge_is_taken(build: Build, settings: dict[str, Any]) -> None:
    build(**settings)


# Key shares (RFC 8446 section 4.2.8)


@pytest.mark.parametrize(
    ("groups", "shares"),
    [
        (["X25519MLKEM768", "X25519", "secp256r1"], ("X25519MLKEM768", "X25519")),
        (["X25519", "secp256r1"], ("X25519",)),
        (["secp256r1", "X25519"], ("X25519",)),
        (["secp384r1", "secp256r1"], ("secp384r1",)),
    ],
)
def test_shares_follow_the_groups(groups: list[str], shares: tuple[str, ...]) -> None:
    assert ClientConfig(groups=groups).key_shares == shares


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"key_shares": []}, "key_shares must not be empty"),
        ({"key_shares": "X25519"}, "must be a list"),
        ({"key_shares": ["X25519", "X25519"]}, "duplicate"),
        ({"groups": ["X25519"], "key_shares": ["X448"]}, "key_shares: 'X448' is not one of X25519"),
        (
            {"groups": ["X25519", "X448"], "key_shares": ["X448", "X25519"]},
            "keep the order of groups",
        ),
    ],
)
def test_shares_that_no_server_must_take(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        ClientConfig(**settings)


def test_shares_may_be_chosen() -> None:
    config = ClientConfig(
        groups=["X25519", "X448", "secp256r1"], key_shares=["X25519", "secp256r1"]
    )
    assert config.key_shares == ("X25519", "secp256r1")


# Credentials and trust


def test_credentials_come_alone_or_in_a_list() -> None:
    other = pki.server("other")
    for given, expected in (
        (credentials, (credentials,)),
        ([credentials, other], (credentials, other)),
        ((other,), (other,)),
    ):
        assert ServerConfig(credentials=given).credential_list == expected
        assert ClientConfig(credentials=given).credential_list == expected


def test_a_server_needs_credentials() -> None:
    with pytest.raises(ConfigurationError, match="needs credentials"):
        ServerConfig()
    with pytest.raises(ConfigurationError, match="needs credentials"):
        ServerConfig(credentials=[])
    ServerConfig(choose_credentials=lambda question: credentials)


def test_asking_for_client_certificates_needs_trust() -> None:
    for client_auth in (ClientAuth.OPTIONAL, ClientAuth.REQUIRED):
        with pytest.raises(ConfigurationError, match="needs a trust store"):
            server_config(client_auth=client_auth)
        server_config(client_auth=client_auth, trust=pki.trust)
        server_config(client_auth=client_auth, verify=lambda question: None)


@pytest.mark.parametrize("client_auth", ClientAuth)
def test_client_auth_by_its_name_means_the_same_or_raises(client_auth: ClientAuth) -> None:
    # A name that is taken but not understood would let clients in without a certificate.
    trust = None if client_auth is ClientAuth.NONE else pki.trust
    try:
        config = server_config(client_auth=client_auth.value, trust=trust)
    except ConfigurationError as error:
        assert "client_auth" in str(error)  # noqa: PT017
    else:
        assert config.client_auth is client_auth


def test_trust_for_certificates_that_nobody_asks_for() -> None:
    with pytest.raises(ConfigurationError, match="client_auth is not set"):
        server_config(trust=pki.trust)


def test_verification_is_replaced_or_switched_off_but_not_both() -> None:
    ClientConfig(verify_peer=False)
    ClientConfig(verify=lambda question: None)
    with pytest.raises(ConfigurationError, match="verifies nothing"):
        ClientConfig(verify_peer=False, verify=lambda question: None)


# The key log


@roles
def test_a_key_log_is_opened_with_the_config(build: Build, tmp_path: Path) -> None:
    path = tmp_path / "keys.log"
    config = build(keylog=path)
    config.keylog("LABEL 00 11")
    assert path.read_text() == "LABEL 00 11\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(ConfigurationError, match="Cannot write the key log"):
        build(keylog=tmp_path / "missing" / "keys.log")


@roles
def test_the_environment_opens_no_key_log(
    build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys.log"))
    assert build().keylog is None
    assert list(tmp_path.iterdir()) == []


@roles
def test_a_config_is_told_apart_from_its_entropy(build: Build) -> None:
    def entropy(size: int) -> bytes:
        return bytes(size)

    assert "entropy" not in repr(build(entropy=entropy))


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"trust": "ca.pem"}, r"TrustStore\.from_pem\('ca.pem'\)"),
        ({"verify": False}, "verify_peer=False"),
        ({"verify_peer": None}, "must be True or False"),
        ({"limits": 5}, "must be Limits, not int"),
        ({"clock": 3}, "clock must be a callable"),
        ({"handshake_timeout": "5"}, "number of seconds or None"),
        ({"keylog": True}, "keylog must be a path"),
        ({"credentials": ["chain.pem"]}, "must be Credentials, not str"),
    ],
)
def test_values_of_another_kind_raise(setting: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        ClientConfig(**setting)


NEITHER = object()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"replay_guard": True, "max_early_data": 9}, r"RedisReplayFilter.*not bool.*is_first"),
        ({"replay_guard": NEITHER, "max_early_data": 9}, "is_first"),
        (
            {"replay_guard": ReplayFilter, "max_early_data": 9},
            r"not a class: replay_guard=ReplayFilter\(\) or",
        ),
        ({"replay_guard": ReplayFilter()}, "needs max_early_data"),
        ({"max_early_data": 2**32}, "0 for none, up to 4294967295"),
        ({"session_memory": 2**24 + 1}, "0 for none, up to 16777216"),
        ({"session_memory_bytes": 2**40 + 1}, "from [0-9]+ to 1099511627776"),
        ({"ticket_keys": b"x" * 32}, r"TicketKeys\(\), not bytes: it has no keys\(\)"),
        ({"ticket_keys": TicketKeys}, r"not a class: ticket_keys=TicketKeys\(\)"),
        ({"credentials": "chain.pem"}, r"not str: Credentials\.load"),
        ({"credentials": ["chain.pem"]}, r"not str: Credentials\.load"),
        ({"credentials": 3}, "not int"),
        ({"credentials": Credentials}, "not the class Credentials"),
    ],
)
def test_objects_of_another_kind_raise_on_a_server(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        server_config(**settings)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"sessions": SessionStore}, r"not a class: sessions=SessionStore\(\)"),
        ({"sessions": "s.json"}, r"SessionStore\.file\('s\.json'\)"),
        ({"sessions": Path("s.json")}, r"SessionStore\.file\('s\.json'\)"),
        ({"sessions": {}}, r"SessionStore\(\), not dict: it has no put\(\)"),
        ({"trust": Path("ca.pem")}, r"TrustStore\.from_pem\('ca\.pem'\)"),
        ({"trust": "ca.pem"}, r"TrustStore\.from_pem\('ca\.pem'\)"),
        (
            {"credentials": credentials, "choose_credentials": lambda _: credentials},
            "credentials would have no effect",
        ),
    ],
)
def test_objects_of_another_kind_raise_on_a_client(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        ClientConfig(**settings)


def test_a_copy_without_early_data_needs_no_guard() -> None:
    """The guard of the first config was chosen for it, and by nobody."""
    config = server_config(max_early_data=9)
    assert config.replay_guard is not None
    copy = dataclasses.replace(config, max_early_data=0)
    assert copy.replay_guard is None
    assert dataclasses.replace(copy, max_early_data=9).replay_guard is config.replay_guard


def test_a_staple_that_is_outdated(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It would not be sent, and nobody would hear why."""
    leaf = pki.issue(Leaf(), key_of_type("ecdsa-p256").public_key())
    der = Response().about(leaf, pki)
    own = Credentials.from_pem(pem_of(leaf), key_pem(key_of_type("ecdsa-p256")))
    later = pki.now + timedelta(days=3)
    path = tmp_path / "staple.der"
    path.write_bytes(der)
    for good in (der, path):
        server_config(credentials=own.with_staple(good), clock=lambda: pki.now)
        assert not caplog.records
    server_config(credentials=own.with_staple(der), clock=lambda: later)
    stapled = own.with_staple(path)
    server_config(credentials=stapled, clock=lambda: later)
    assert [record.name for record in caplog.records] == ["handclasp"] * 2
    for record in caplog.records:
        assert re.search(r"outdated since .* UTC.*renew it", record.getMessage())
    assert str(path) in caplog.records[1].getMessage()
    assert isinstance(stapled.staple, OcspStaple)
    assert stapled.staple.last_error is not None


def test_repr_shows_what_differs_from_the_defaults() -> None:
    assert repr(ClientConfig()) == "ClientConfig()"
    assert repr(ClientConfig(alpn=["h2"], grease=False)) == (
        "ClientConfig(alpn=('h2',), grease=False)"
    )


class TestVerification:
    def test_the_default_policy_is_that_of_the_web(self) -> None:
        assert ClientConfig().policy == CertificatePolicy()
        assert ClientConfig().policy.profile == "web"

    @pytest.mark.parametrize(
        "ignored",
        [
            {"policy": CertificatePolicy(profile="private")},
            {"raw_public_keys": [raw_public_key]},
            {"confirm_peer": lambda question: True},
        ],
        ids=lambda settings: next(iter(settings)),
    )
    def test_what_nothing_would_look_at_is_refused(self, ignored: dict[str, Any]) -> None:
        (name,) = ignored
        for config in (
            lambda: ClientConfig(verify_peer=False, **ignored),
            lambda: ClientConfig(verify=lambda question: None, **ignored),
            lambda: server_config(**ignored),
        ):
            with pytest.raises(ConfigurationError, match=f"so {name} would have no effect"):
                config()

    def test_raw_public_keys_are_kept_as_der(self) -> None:
        pem = (
            b"-----BEGIN PUBLIC KEY-----\n" + b64encode(raw_public_key) + b"\n"
            b"-----END PUBLIC KEY-----\n"
        )
        assert ClientConfig(raw_public_keys=[pem]).raw_public_keys == (raw_public_key,)

    @pytest.mark.parametrize("keys", [raw_public_key, "key.pem"], ids=["bytes", "a path"])
    def test_raw_public_keys_are_a_list(self, keys: Any) -> None:
        with pytest.raises(ConfigurationError, match="must be a list of keys"):
            ClientConfig(raw_public_keys=keys)

    def test_certificates_beside_raw_keys_take_a_trust_store(self) -> None:
        assert ClientConfig().accepts_certificates
        assert not ClientConfig(raw_public_keys=[raw_public_key]).accepts_certificates
        assert ClientConfig(raw_public_keys=[raw_public_key], trust=pki.trust).accepts_certificates

    def test_raw_public_keys_are_enough_for_client_authentication(self) -> None:
        server_config(client_auth="required", raw_public_keys=[raw_public_key])

    def test_a_policy_must_be_one(self) -> None:
        with pytest.raises(ConfigurationError, match="policy must be a CertificatePolicy, not str"):
            ClientConfig(policy="private")  # type: ignore[arg-type]

    def test_tlsa_records_are_about_servers(self) -> None:
        policy = CertificatePolicy(tlsa=[TlsaRecord(3, 1, 1, bytes(32))])
        ClientConfig(policy=policy)
        with pytest.raises(ConfigurationError, match="apply to servers, not clients"):
            server_config(client_auth="required", trust=pki.trust, policy=policy)

    def test_authorities_can_be_told_only_where_they_are_chosen(self) -> None:
        with pytest.raises(ConfigurationError, match="send_authorities needs a trust store"):
            ClientConfig(send_authorities=True)
        assert ClientConfig(send_authorities=True, trust=pki.trust).send_authorities


class TestCompression:
    def test_everything_that_is_installed_is_the_default(self) -> None:
        assert ClientConfig().certificate_compression == available_algorithms()
        assert "zlib" in available_algorithms()
        assert "certificate_compression" not in repr(ClientConfig())

    def test_it_can_be_switched_off(self) -> None:
        assert ClientConfig(certificate_compression=()).certificate_compression == ()

    def test_unknown_and_uninstalled_algorithms(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(ConfigurationError, match="'gzip' is not one of brotli, zstd, zlib"):
            ClientConfig(certificate_compression=["gzip"])
        monkeypatch.setattr("handclasp.config.certificates.available_algorithms", lambda: ("zlib",))
        with pytest.raises(ConfigurationError, match="'brotli' needs a package"):
            ClientConfig(certificate_compression=["brotli"])


# Versions and what they need


@roles
def test_lists_are_narrowed_to_the_versions(build: Build) -> None:
    old, new = build(versions=["TLSv1.2"]), build(versions=["TLSv1.3"])
    both = build(versions=["TLSv1.3", "TLSv1.2"])
    assert both.versions == ("TLSv1.2", "TLSv1.3")
    for name in ("cipher_suites", "signature_schemes"):
        assert set(getattr(old, name)) < set(getattr(both, name))
        assert set(getattr(old, name)) | set(getattr(new, name)) == set(getattr(both, name))
    assert set(old.groups) < set(new.groups) == set(both.groups)
    assert not any("MLKEM" in group for group in old.groups)
    # A copy for another version is not held to what was narrowed for the first.
    assert dataclasses.replace(old, versions=("TLSv1.3",)).cipher_suites == new.cipher_suites


@roles
@pytest.mark.parametrize(
    "settings",
    [
        {"cipher_suites": ["TLS_AES_128_GCM_SHA256"]},
        {"groups": ["X25519MLKEM768"]},
        {"signature_schemes": ["mldsa44"]},
        {"record_padding": 64},
    ],
)
def test_settings_of_tls13_leave_tls13(build: Build, settings: dict[str, Any]) -> None:
    assert build(**settings).versions == ("TLSv1.3",)
    with pytest.raises(ConfigurationError, match=r"TLSv1\.2"):
        build(**settings, versions=["TLSv1.2"])
    with pytest.raises(ConfigurationError, match=r"TLSv1\.2"):
        build(**settings, versions=["TLSv1.3", "TLSv1.2"], grease=False)


@roles
@pytest.mark.parametrize(
    "settings",
    [
        {"cipher_suites": ["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"]},
        {"signature_schemes": ["rsa_pkcs1_sha256"]},
    ],
)
def test_settings_of_tls12_leave_tls12(build: Build, settings: dict[str, Any]) -> None:
    assert build(**settings).versions == ("TLSv1.2",)
    with pytest.raises(ConfigurationError, match=r"TLSv1\.3"):
        build(**settings, versions=["TLSv1.3"])


@roles
def test_what_no_version_can_use_raises(build: Build) -> None:
    with pytest.raises(ConfigurationError, match="No TLS version"):
        build(cipher_suites=["TLS_AES_128_GCM_SHA256"], signature_schemes=["rsa_pkcs1_sha256"])
    with pytest.raises(ConfigurationError, match="X25519MLKEM768"):
        build(versions=["TLSv1.2"], groups=["X25519", "X25519MLKEM768"])


@roles
def test_key_transport_goes_by_its_name(build: Build) -> None:
    rsa = "TLS_RSA_WITH_AES_128_GCM_SHA256"
    assert not [name for name in build().cipher_suites if name.startswith("TLS_RSA")]
    allowed = build(allow_rsa_key_transport=True)
    assert [name for name in allowed.cipher_suites if name.startswith("TLS_RSA")] == list(
        allowed.cipher_suites[-2:]
    )
    only = build(allow_rsa_key_transport=True, cipher_suites=[rsa])
    assert only.cipher_suites == (rsa,)
    with pytest.raises(ConfigurationError, match="forward secrecy"):
        build(cipher_suites=[rsa])
    with pytest.raises(ConfigurationError, match=r"TLS 1\.2"):
        build(allow_rsa_key_transport=True, versions=["TLSv1.3"])


def test_a_fallback_names_older_versions() -> None:
    assert ClientConfig(versions=["TLSv1.2"], fallback=True).fallback
    with pytest.raises(ConfigurationError, match="newer versions"):
        ClientConfig(fallback=True)


def test_shares_are_of_tls13() -> None:
    assert ClientConfig(versions=["TLSv1.2"]).key_shares is None
    copy = dataclasses.replace(ClientConfig(), versions=["TLSv1.2"])
    assert copy == ClientConfig(versions=["TLSv1.2"], clock=copy.clock)
    with pytest.raises(ConfigurationError, match="key_shares"):
        ClientConfig(versions=["TLSv1.2"], key_shares=["X25519"])


@roles
def test_only_what_was_set_is_shown(build: Build) -> None:
    text = repr(build(versions=["TLSv1.2"]))
    assert "versions=('TLSv1.2',)" in text
    assert "cipher_suites" not in text


class Unlike:
    """Of no kind that anything asks for."""


WRONG_KINDS: dict[str, Any] = {
    "a number": 10**30,
    "a fraction": -1.5,
    "bytes": b"bytes",
    "text": "\udcff",
    "a list of numbers": [5],
    "a list of lists": [[]],
    "a list of nothing": [None],
    "a mapping": {"a": 1},
    "an object": Unlike(),
}


@pytest.mark.parametrize("kind", WRONG_KINDS)
@pytest.mark.parametrize(
    ("config", "name"),
    [
        pytest.param(config, field.name, id=f"{config.__name__}.{field.name}")
        for config in (ClientConfig, ServerConfig)
        for field in fields(config)
        if field.init
    ],
)
def test_a_wrong_kind_of_value(config: Any, name: str, kind: str) -> None:
    """In every field alike: an error of ours when the config is built, or it can be honoured."""
    value = WRONG_KINDS[kind]
    given = {"credentials": pki.server()} if config is ServerConfig else {}
    if (name, kind) in FITTING:
        return
    with pytest.raises(ConfigurationError):
        config(**(given | {name: value}))


FITTING = {
    ("handshake_timeout", "a number"),
    ("keylog", "text"),
    ("session_context", "bytes"),
    ("ticket_keys", "a mapping"),
}
"""The kind that is asked for, or an object with the methods that are asked for."""


def test_a_clock_that_gives_no_time() -> None:
    with pytest.raises(ConfigurationError, match="clock must return a datetime"):
        server_config(clock=lambda: 0)


def test_ticket_keys_without_tickets_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="ticket_keys needs tickets"):
        server_config(tickets=0, ticket_keys=TicketKeys())
    # Those that a config made for itself are nobody's choice.
    assert dataclasses.replace(server_config(), tickets=0).ticket_keys is None
    given = server_config(ticket_keys=TicketKeys())
    with pytest.raises(ConfigurationError, match="ticket_keys needs tickets"):
        dataclasses.replace(given, tickets=0)


KEYS_ALONE: dict[str, Any] = {"credentials": None, "psks": [PreSharedKey(b"name", b"k" * 32)]}
TLS12: dict[str, Any] = {"versions": ["TLSv1.2"]}
TLS13: dict[str, Any] = {"versions": ["TLSv1.3"]}


@pytest.mark.parametrize("keys", [KEYS_ALONE, {"credentials": None, "find_psk": lambda _: None}])
@pytest.mark.parametrize(
    "setting",
    [
        {"tickets": 5},
        {"ticket_lifetime": 60},
        {"ticket_keys": TicketKeys()},
        {"session_context": b"this one"},
        {"session_memory": 5},
        {"session_memory_bytes": 2**20},
        {"max_early_data": 1},
        {"max_early_data": 1, "replay_guard": ReplayFilter()},
        {"client_auth": "required", "trust": Pki().trust},
        {"client_auth": "optional", "trust": Pki().trust},
    ],
    ids=" and ".join,
)
def test_what_has_no_effect_at_a_server_of_keys_alone(
    keys: dict[str, Any], setting: dict[str, Any]
) -> None:
    with pytest.raises(ConfigurationError, match="credentials"):
        ServerConfig(**keys, **setting)
    assert ServerConfig(**keys, tickets=0).ticket_keys is None
    assert ServerConfig(**keys).ticket_keys is None
    given = keys | {"choose_credentials": lambda _: None} | setting
    given.pop("credentials")
    assert ServerConfig(**given).tickets


def test_a_server_of_keys_alone_has_no_names_to_be_strict_about() -> None:
    """It would refuse every client that names a server."""
    with pytest.raises(ConfigurationError, match="without credentials that is every name"):
        ServerConfig(**KEYS_ALONE, strict_server_name=True)
    strict = server_config(strict_server_name=True)
    with pytest.raises(ConfigurationError, match=r"replace: strict_server_name=False\)"):
        dataclasses.replace(strict, **KEYS_ALONE)


def test_a_server_of_keys_alone_may_ask_for_certificates_afterwards() -> None:
    asks: dict[str, Any] = {
        "client_auth": "required",
        "trust": Pki().trust,
        "post_handshake_auth": True,
    }
    assert ServerConfig(**KEYS_ALONE, **asks).post_handshake_auth


@pytest.mark.parametrize(
    ("others", "setting"),
    [
        (TLS12, {"find_psk": lambda _: None}),
        (TLS12, {"allow_psk_ke": True}),
        (TLS12, {"certificate_compression": ["zlib"]}),
        (TLS13, {"require_extended_master_secret": False}),
        (TLS13, {"session_memory": 5}),
        (TLS13, {"session_memory_bytes": 2**20}),
        ({"tickets": 0}, {"allow_psk_ke": True}),
        ({"tickets": 0}, {"ticket_lifetime": 60}),
        ({"tickets": 0}, {"session_context": b"this one"}),
        ({"tickets": 0}, {"session_memory": 5}),
        ({"session_memory": 0}, {"session_memory_bytes": 2**20}),
    ],
    ids=" and ".join,
)
def test_a_setting_of_a_server_that_others_leave_without_effect(
    others: dict[str, Any], setting: dict[str, Any]
) -> None:
    if setting.get("certificate_compression") == list(available_algorithms()):
        pytest.skip("this is the default where nothing else is installed")
    with pytest.raises(ConfigurationError, match=f"so {next(iter(setting))} would have no effect"):
        server_config(**others, **setting)
    assert server_config(**others)
    assert server_config(**setting)
    if others != {"session_memory": 0}:
        copied = dataclasses.replace(server_config(), **others)
        assert copied.tickets == others.get("tickets", 2)


@pytest.mark.parametrize(
    ("others", "setting"),
    [
        (TLS12, {"allow_psk_ke": True, "sessions": SessionStore()}),
        (TLS13, {"require_extended_master_secret": False}),
        ({}, {"allow_psk_ke": True}),
    ],
    ids=" and ".join,
)
def test_a_setting_of_a_client_that_others_leave_without_effect(
    others: dict[str, Any], setting: dict[str, Any]
) -> None:
    with pytest.raises(ConfigurationError, match=f"so {next(iter(setting))} would have no effect"):
        ClientConfig(**others, **setting)


def test_trust_that_asks_nobody_tells_how_to_ask() -> None:
    pki = Pki()
    with pytest.raises(ConfigurationError, match='leave it out, or set client_auth="required"'):
        ServerConfig(credentials=pki.server(), trust=pki.trust)


def all_of_a_server() -> ServerConfig:
    pki = Pki()
    return ServerConfig(
        credentials=pki.server(),
        psks=[PreSharedKey(b"known", b"k" * 32)],
        find_psk=lambda _: None,
        allow_psk_ke=True,
        client_auth="optional",
        post_handshake_auth=True,
        trust=pki.trust,
        policy=CertificatePolicy(profile="private"),
        confirm_peer=lambda _: True,
        confirm_early_data=True,
        max_early_data=99,
        replay_guard=ReplayFilter(),
        ticket_lifetime=60,
        session_context=b"this one",
        session_memory=5,
        certificate_compression=(),
        require_extended_master_secret=False,
    )


def all_of_a_client() -> ClientConfig:
    pki = Pki()
    return ClientConfig(
        trust=pki.trust,
        policy=CertificatePolicy(max_intermediates=2),
        raw_public_keys=[raw_public_key],
        server_certificate_types=["X509", "RawPublicKey"],
        confirm_peer=lambda _: True,
        sessions=SessionStore(),
        allow_early_data=True,
        early_data_before_callbacks=True,
        psks=[PreSharedKey(b"known", b"k" * 32)],
        allow_psk_ke=True,
        key_shares=["X25519"],
        post_handshake_auth=True,
        require_extended_master_secret=False,
    )


@pytest.mark.parametrize(
    ("make", "change", "without_effect"),
    [
        (
            all_of_a_server,
            TLS12,
            "psks, find_psk, allow_psk_ke, post_handshake_auth, max_early_data, "
            "confirm_early_data and replay_guard",
        ),
        (all_of_a_server, TLS13, "require_extended_master_secret and session_memory"),
        (
            all_of_a_server,
            {"tickets": 0},
            "ticket_lifetime, session_context, session_memory, max_early_data, confirm_early_data "
            "and replay_guard",
        ),
        (all_of_a_server, {"client_auth": "none"}, "trust, policy and confirm_peer"),
        (
            all_of_a_client,
            TLS12,
            "psks, allow_psk_ke, post_handshake_auth, key_shares, allow_early_data and "
            "early_data_before_callbacks",
        ),
        (
            lambda: server_config(alpn=["h2"], allow_alpn_mismatch=True),
            {"alpn": ()},
            "allow_alpn_mismatch",
        ),
        (
            all_of_a_client,
            {"verify_peer": False},
            "trust, policy, raw_public_keys and confirm_peer",
        ),
    ],
)
def test_a_narrowed_copy_names_all_that_must_be_turned_off_in_the_same_call(
    make: Callable[[], Any], change: dict[str, Any], without_effect: str
) -> None:
    config = make()
    with pytest.raises(ConfigurationError) as caught:
        dataclasses.replace(config, **change)
    told = str(caught.value)
    assert f"so {without_effect} would have no effect" in told
    found = re.search(r"\(in dataclasses\.replace: (.*)\)\.$", told)
    assert found
    off = eval(f"dict({found[1]})", {"CertificatePolicy": CertificatePolicy})
    assert list(off) == re.split(", | and ", without_effect)
    if change == {"client_auth": "none"}:
        off |= {"post_handshake_auth": False, "confirm_early_data": False}
    if change == {"verify_peer": False}:
        off |= {"server_certificate_types": None, "early_data_before_callbacks": False}
    assert dataclasses.replace(config, **change, **off)


@pytest.mark.parametrize(
    ("setting", "given", "meant"),
    [
        ("groups", "P-256", "secp256r1"),
        ("groups", "prime256v1", "secp256r1"),
        ("groups", "x25519", "X25519"),
        ("cipher_suites", "ECDHE-RSA-AES128-GCM-SHA256", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"),
        (
            "cipher_suites",
            "ECDHE-ECDSA-CHACHA20-POLY1305",
            "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        ),
        ("groups", "sect571r1", ""),
    ],
)
def test_a_name_as_other_programs_spell_it(setting: str, given: str, meant: str) -> None:
    settings: dict[str, Any] = {setting: [given]}
    with pytest.raises(ConfigurationError) as caught:
        ClientConfig(**settings)
    told = str(caught.value)
    assert told.endswith(f" Did you mean {meant}?" if meant else ".")
