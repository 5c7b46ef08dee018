"""TLS 1.2 between our own ends, and with `ssl` in the same memory."""

from __future__ import annotations

import ssl
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.end_to_end.pair import Pair
from tests.pki import Leaf, Pki, key_of_type, key_pem, pem_of, pss_credentials

from handclasp import (
    ClientAuth,
    ClientConfig,
    ClientConnection,
    ConfigurationError,
    Fault,
    ProtocolError,
    ServerConfig,
    ServerConnection,
)
from handclasp.certificates.credentials import Credentials, LocalSigner
from handclasp.crypto.suites import CIPHER_SUITES12, RSA_KEY_TRANSPORT_SUITES
from handclasp.handshake import offer
from handclasp.iana import ContentType, ExtensionType
from handclasp.keys.schedule12 import RESERVED_LABELS

OLD = {"versions": ["TLSv1.2"]}
WITH_AES_128 = [
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
]
ECDHE = [name for name in CIPHER_SUITES12 if name not in RSA_KEY_TRANSPORT_SUITES]


def pair_of(
    pki: Pki,
    client: dict[str, Any] | None = None,
    server: dict[str, Any] | None = None,
    *,
    key_type: str = "ecdsa-p256",
    size: int | None = None,
) -> Pair:
    settings: dict[str, Any] = {"trust": pki.trust, **(client or {})}
    own: dict[str, Any] = {
        "credentials": pki.server("localhost", key_type=key_type),
        **(server or {}),
    }
    return Pair(ClientConfig(**settings), ServerConfig(**own), size=size).run()


def established(pair: Pair) -> Pair:
    assert pair.established, (pair.client.error, pair.server.error)
    assert pair.client.info.version == pair.server.info.version == "TLSv1.2"
    for sender, receiver in ((pair.client, pair.server), (pair.server, pair.client)):
        for data in (b"x", bytes(100_000)):
            before = len(receiver.data)
            pair.say(sender, data)
            assert receiver.data[before:] == data
    return pair


def fault_of(end: Any) -> Fault:
    assert isinstance(end.error, ProtocolError), end.error
    return end.error.fault


# Which version


@pytest.mark.parametrize("older", ["client", "server"])
def test_one_side_is_older(pki: Pki, older: str) -> None:
    established(pair_of(pki, OLD if older == "client" else {}, OLD if older == "server" else {}))


def test_both_take_the_newest(pki: Pki) -> None:
    pair = pair_of(pki)
    assert pair.client.info.version == "TLSv1.3"


def test_no_version_in_common(pki: Pki) -> None:
    pair = pair_of(pki, {"versions": ["TLSv1.3"]}, OLD)
    assert fault_of(pair.server) is Fault.NO_SHARED_VERSION
    assert "TLSv1.3" in str(pair.server.error)
    pair = pair_of(pki, OLD, {"versions": ["TLSv1.3"]})
    assert fault_of(pair.server) is Fault.NO_SHARED_VERSION


def test_a_fallback_that_was_not_needed(pki: Pki) -> None:
    fallback = {**OLD, "fallback": True}
    assert fault_of(pair_of(pki, fallback).server) is Fault.INAPPROPRIATE_FALLBACK
    established(pair_of(pki, fallback, OLD))


# What is agreed upon


@pytest.mark.parametrize("suite", ECDHE)
def test_every_suite(pki: Pki, suite: str) -> None:
    key_type = "rsa-2048" if CIPHER_SUITES12[suite].authentication == "RSA" else "ecdsa-p256"
    client = {**OLD, "cipher_suites": [suite]}
    pair = established(pair_of(pki, client, key_type=key_type))
    assert pair.client.info.cipher_suite == pair.server.info.cipher_suite == suite
    assert pair.client.info.group == pair.server.info.group == "X25519"


@pytest.mark.parametrize("group", ["X25519", "secp256r1", "secp384r1", "secp521r1", "X448"])
def test_every_group(pki: Pki, group: str) -> None:
    # The curve of the server's key must be among the groups as well (RFC 8422 5.1.1).
    groups = list(dict.fromkeys([group, "secp256r1"]))
    pair = established(pair_of(pki, {**OLD, "groups": groups}, {"prefer_client_order": True}))
    assert pair.client.info.group == pair.server.info.group == group


@pytest.mark.parametrize(
    ("key_type", "scheme"),
    [
        ("ecdsa-p256", "ecdsa_secp256r1_sha256"),
        ("ecdsa-p384", "ecdsa_secp384r1_sha384"),
        ("ecdsa-p521", "ecdsa_secp521r1_sha512"),
        ("ed25519", "ed25519"),
        ("ed448", "ed448"),
        ("rsa-2048", "rsa_pss_rsae_sha256"),
        ("rsa-2048", "rsa_pkcs1_sha256"),
        ("rsa-2048", "rsa_pkcs1_sha512"),
    ],
)
def test_every_key(pki: Pki, key_type: str, scheme: str) -> None:
    client = {**OLD, "signature_schemes": [scheme]}
    pair = established(pair_of(pki, client, key_type=key_type))
    assert pair.client.info.signature_scheme == pair.server.info.signature_scheme == scheme


def test_a_curve_that_the_client_does_not_know(pki: Pki) -> None:
    pair = pair_of(pki, {**OLD, "groups": ["X25519"]}, key_type="ecdsa-p384")
    assert fault_of(pair.server) is Fault.NO_SHARED_SIGNATURE_SCHEME


def test_keys_that_tls12_does_not_know(pki: Pki) -> None:
    pair = pair_of(pki, OLD, key_type="mldsa44")
    assert fault_of(pair.server) is Fault.NO_SHARED_SIGNATURE_SCHEME


def test_the_certificate_that_goes_with_the_suites(pki: Pki) -> None:
    both = [pki.server("localhost"), pki.server("localhost", key_type="rsa-2048")]
    for suite in ECDHE:
        client = {**OLD, "cipher_suites": [suite]}
        pair = established(pair_of(pki, client, {"credentials": both}))
        assert pair.client.info.cipher_suite == suite


def test_no_suite_for_the_certificate(pki: Pki) -> None:
    client = {**OLD, "cipher_suites": ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"]}
    pair = pair_of(pki, client)
    assert fault_of(pair.server) is Fault.NO_SHARED_CIPHER_SUITE
    assert "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256" in str(pair.server.error)


def test_only_suites_that_the_certificate_can_do_are_advised(pki: Pki) -> None:
    strong = "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"
    pair = pair_of(pki, {**OLD, "cipher_suites": [strong]}, {"cipher_suites": WITH_AES_128})
    assert fault_of(pair.server) is Fault.NO_SHARED_CIPHER_SUITE
    error = pair.server.error
    assert error is not None
    told = f"{error} {error.fix}"
    assert "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256" in told
    assert strong in error.fix
    assert "TLS_ECDHE_RSA" not in told


def test_no_suite_is_to_be_allowed_that_the_certificate_cannot_do(pki: Pki) -> None:
    client = {**OLD, "cipher_suites": ["TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"]}
    pair = pair_of(pki, client, {"cipher_suites": WITH_AES_128})
    assert fault_of(pair.server) is Fault.NO_SHARED_CIPHER_SUITE
    error = pair.server.error
    assert error is not None
    assert "Allow one of those" not in error.fix


def test_no_group_in_common(pki: Pki) -> None:
    pair = pair_of(pki, {**OLD, "groups": ["X25519"]}, {"groups": ["secp256r1"]})
    assert fault_of(pair.server) is Fault.NO_SHARED_GROUP


def test_names_and_protocols(pki: Pki) -> None:
    pair = established(pair_of(pki, {**OLD, "alpn": ["h2", "x"]}, {"alpn": ["y", "x"]}))
    assert pair.client.info.alpn == pair.server.info.alpn == "x"
    assert pair.server.info.server_name == "localhost"
    pair = pair_of(pki, {**OLD, "alpn": ["h2"]}, {"alpn": ["y"]})
    assert fault_of(pair.server) is Fault.NO_SHARED_APPLICATION_PROTOCOL


def test_one_byte_at_a_time(pki: Pki) -> None:
    server = {"client_auth": ClientAuth.REQUIRED, "trust": pki.trust}
    pair = pair_of(pki, {**OLD, "credentials": pki.client()}, server, size=1)
    assert pair.established


@pytest.mark.parametrize("limit", [64, 1000])
def test_record_size_limit(pki: Pki, limit: int) -> None:
    pair = established(pair_of(pki, {**OLD, "record_size_limit": limit}))
    data = [body for kind, body in pair.server.records if kind == ContentType.APPLICATION_DATA]
    assert max(map(len, data)) == limit + 8 + 16
    client = {**OLD, "record_size_limit": 16385}
    pair = established(pair_of(pki, client, {"record_size_limit": limit}))
    data = [body for kind, body in pair.client.records if kind == ContentType.APPLICATION_DATA]
    assert max(map(len, data)) == limit + 8 + 16


def test_staple_and_timestamps(pki: Pki) -> None:
    key = key_of_type("ecdsa-p256")
    leaf = pki.issue(Leaf(("localhost",)), key.public_key())
    response = pki.ocsp_response(leaf)
    credentials = Credentials.from_signer([leaf], LocalSigner(key))
    credentials = credentials.with_staple(response).with_timestamps([b"a timestamp"])
    pair = established(pair_of(pki, OLD, {"credentials": credentials}))
    assert pair.client.info.ocsp_response == response
    assert pair.client.info.sct_list == credentials.sct_list


def test_a_revoked_server(pki: Pki) -> None:
    key = key_of_type("ecdsa-p256")
    leaf = pki.issue(Leaf(("localhost",)), key.public_key())

    class Stapled:
        def current(self, _: object) -> bytes:
            return pki.ocsp_response(leaf, "revoked")

    credentials = replace(Credentials.from_signer([leaf], LocalSigner(key)), staple=Stapled())
    pair = pair_of(pki, OLD, {"credentials": credentials})
    assert fault_of(pair.client) is Fault.CERTIFICATE_REVOKED


# Client certificates


@pytest.mark.parametrize("key_type", ["ecdsa-p256", "ecdsa-p384", "rsa-2048", "ed25519"])
def test_client_certificate(pki: Pki, key_type: str) -> None:
    server = {"client_auth": ClientAuth.REQUIRED, "trust": pki.trust}
    credentials = pki.client("somebody", key_type=key_type)
    pair = established(pair_of(pki, {**OLD, "credentials": credentials}, server))
    assert pair.server.info.peer_verified
    assert pair.server.info.peer_chain_der == credentials.chain_der
    schemes = pair.server.info.client_signature_scheme, pair.client.info.client_signature_scheme
    assert schemes == (credentials.schemes[0],) * 2


def test_client_without_certificate(pki: Pki) -> None:
    asking: dict[str, Any] = {"trust": pki.trust, "client_auth": ClientAuth.OPTIONAL}
    pair = established(pair_of(pki, OLD, asking))
    assert pair.server.info.peer_chain_der == ()
    asking["client_auth"] = ClientAuth.REQUIRED
    pair = pair_of(pki, OLD, asking)
    assert fault_of(pair.server) is Fault.CLIENT_CERTIFICATE_MISSING12
    assert pair.client.error is not None
    assert pair.client.error.alert == "handshake_failure"


def test_client_of_a_stranger(pki: Pki) -> None:
    server = {"client_auth": ClientAuth.REQUIRED, "trust": pki.trust}
    pair = pair_of(pki, {**OLD, "credentials": Pki().client()}, server)
    assert fault_of(pair.server) is Fault.CERTIFICATE_UNTRUSTED


@pytest.mark.parametrize("side", ["client", "server"])
def test_the_last_word(pki: Pki, side: str) -> None:
    refuses = {"confirm_peer": lambda _: False}
    client: dict[str, Any] = {**OLD, "credentials": pki.client()}
    server: dict[str, Any] = {"client_auth": ClientAuth.REQUIRED, "trust": pki.trust}
    (client if side == "client" else server).update(refuses)
    pair = pair_of(pki, client, server)
    assert fault_of(getattr(pair, side)) is Fault.CERTIFICATE_REFUSED


def test_server_of_a_stranger(pki: Pki) -> None:
    pair = pair_of(pki, {**OLD, "trust": Pki().trust})
    assert fault_of(pair.client) is Fault.CERTIFICATE_UNTRUSTED
    assert pair_of(pki, {**OLD, "trust": None, "verify_peer": False}).established


# Keys for the application


def test_both_export_the_same(pki: Pki) -> None:
    pair = established(pair_of(pki, OLD))
    one, two = pair.client.connection, pair.server.connection
    for label, context, length in (("EXPERIMENTAL a", None, 32), ("EXPERIMENTAL a", b"", 99)):
        key = one.export_keying_material(label, context, length)
        assert key == two.export_keying_material(label, context, length)
        assert len(key) == length
    for kind in ("tls-exporter", "tls-unique", "tls-server-end-point"):
        assert one.channel_binding(kind) == two.channel_binding(kind)
    assert len(one.channel_binding("tls-unique")) == 12


@pytest.mark.parametrize("label", sorted(RESERVED_LABELS))
def test_labels_of_the_handshake_itself(pki: Pki, label: str) -> None:
    pair = established(pair_of(pki, OLD))
    with pytest.raises(ConfigurationError, match="TLS itself"):
        pair.client.connection.export_keying_material(label, None, 32)


def test_no_keys_without_the_extended_master_secret(
    pki: Pki, monkeypatch: pytest.MonkeyPatch
) -> None:
    offered = dict(offer._EXTENSIONS_OF_TLS12)
    del offered[ExtensionType.EXTENDED_MASTER_SECRET]
    monkeypatch.setattr(offer, "_EXTENSIONS_OF_TLS12", offered)
    assert fault_of(pair_of(pki, OLD).server) is Fault.EXTENDED_MASTER_SECRET_MISSING
    lenient = {**OLD, "require_extended_master_secret": False}
    assert fault_of(pair_of(pki, OLD, lenient).client) is Fault.EXTENDED_MASTER_SECRET_MISSING
    pair = established(pair_of(pki, lenient, lenient))
    for end in (pair.client, pair.server):
        for kind in ("tls-unique", "tls-exporter"):
            with pytest.raises(ConfigurationError, match="extended master secret"):
                end.connection.channel_binding(kind)
        with pytest.raises(ConfigurationError, match="extended master secret"):
            end.connection.export_keying_material("EXPERIMENTAL", None, 32)
        assert end.connection.channel_binding("tls-server-end-point")


def test_tls_unique_is_not_of_tls13(pki: Pki) -> None:
    pair = pair_of(pki)
    with pytest.raises(ConfigurationError, match=r"TLS 1\.3"):
        pair.client.connection.channel_binding("tls-unique")


def test_keys_do_not_change(pki: Pki) -> None:
    pair = established(pair_of(pki, OLD))
    with pytest.raises(ConfigurationError, match="open a new one"):
        pair.client.connection.update_keys()
    established(pair)


def test_the_key_log(pki: Pki) -> None:
    lines: list[str] = []
    established(pair_of(pki, {**OLD, "keylog": lines.append}, {"keylog": lines.append}))
    assert len(lines) == 2
    assert lines[0] == lines[1]
    label, random, secret = lines[0].split()
    assert (label, len(random), len(secret)) == ("CLIENT_RANDOM", 64, 96)


# RSA key transport


def test_key_transport_is_off(pki: Pki) -> None:
    allowed = {**OLD, "allow_rsa_key_transport": True}
    only = {**allowed, "cipher_suites": [RSA_KEY_TRANSPORT_SUITES[0]]}
    pair = pair_of(pki, only, key_type="rsa-2048")
    assert fault_of(pair.server) is Fault.NO_SHARED_CIPHER_SUITE
    # Allowed by both, it still comes last.
    pair = established(pair_of(pki, allowed, allowed, key_type="rsa-2048"))
    assert pair.client.info.cipher_suite == "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"


@pytest.mark.parametrize("suite", RSA_KEY_TRANSPORT_SUITES)
def test_key_transport(pki: Pki, suite: str) -> None:
    allowed = {**OLD, "allow_rsa_key_transport": True}
    client = {**allowed, "cipher_suites": [suite]}
    pair = established(pair_of(pki, client, allowed, key_type="rsa-2048"))
    for end in (pair.client, pair.server):
        assert end.info.cipher_suite == suite
        assert end.info.group is None
        assert end.info.signature_scheme is None
    assert pair.client.info.peer_verified


def test_key_transport_needs_an_rsa_key(pki: Pki) -> None:
    allowed = {**OLD, "allow_rsa_key_transport": True}
    client = {**allowed, "cipher_suites": list(RSA_KEY_TRANSPORT_SUITES)}
    assert fault_of(pair_of(pki, client, allowed).server) is Fault.NO_SHARED_CIPHER_SUITE
    # One that is for signatures alone will not do either.
    client |= {"trust": None, "verify_peer": False}
    server = {**allowed, "credentials": pss_credentials(pki)}
    assert fault_of(pair_of(pki, client, server).server) is Fault.NO_SHARED_SIGNATURE_SCHEME


# `ssl` on the other side


@pytest.fixture(scope="module")
def files(pki: Pki, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    directory = tmp_path_factory.mktemp("pki")
    key = key_of_type("ecdsa-p256")
    certificate = pki.issue(Leaf(("localhost",)), key.public_key())
    made = {"chain": pem_of(certificate), "key": key_pem(key), "ca": pki.pem}
    for name, content in made.items():
        (directory / name).write_bytes(content)
    return {name: directory / name for name in made}


def run_with(
    ours: ClientConnection | ServerConnection, theirs: ssl.SSLObject, bios: list[ssl.MemoryBIO]
) -> None:
    incoming, outgoing = bios
    for _ in range(10):
        incoming.write(bytes(ours.data_to_send()))
        with suppress(ssl.SSLWantReadError):
            theirs.do_handshake()
        if data := outgoing.read():
            ours.receive_data(data)


def test_our_client_and_ssl(pki: Pki, files: dict[str, Path]) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(files["chain"], files["key"])
    bios = [ssl.MemoryBIO(), ssl.MemoryBIO()]
    theirs = context.wrap_bio(bios[0], bios[1], server_side=True)
    ours = ClientConnection(ClientConfig(trust=pki.trust), server_name="localhost")
    run_with(ours, theirs, bios)
    check_talk(ours, theirs, bios)


def test_our_server_and_ssl(files: dict[str, Path]) -> None:
    context = ssl.create_default_context(cafile=str(files["ca"]))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    bios = [ssl.MemoryBIO(), ssl.MemoryBIO()]
    theirs = context.wrap_bio(bios[0], bios[1], server_hostname="localhost")
    ours = ServerConnection(
        ServerConfig(credentials=Credentials.load(files["chain"], files["key"]))
    )
    with pytest.raises(ssl.SSLWantReadError):
        theirs.do_handshake()
    ours.receive_data(bios[1].read())
    run_with(ours, theirs, bios)
    check_talk(ours, theirs, bios)


def check_talk(
    ours: ClientConnection | ServerConnection, theirs: ssl.SSLObject, bios: list[ssl.MemoryBIO]
) -> None:
    incoming, outgoing = bios
    assert ours.established
    assert theirs.version() == "TLSv1.2"
    # Two stacks that agree on this hold the same secret and saw the same handshake.
    assert ours.channel_binding("tls-unique") == theirs.get_channel_binding("tls-unique")
    ours.send_data(b"hello")
    incoming.write(bytes(ours.data_to_send()))
    assert theirs.read() == b"hello"
    theirs.write(b"and back" * 5000)
    (event,) = ours.receive_data(outgoing.read())
    assert event.data == b"and back" * 5000  # type: ignore[union-attr]
