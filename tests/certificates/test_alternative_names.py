"""The names by which programs know a peer, of every kind, out of any certificate."""

from __future__ import annotations

import socket
import threading
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

import handclasp
from handclasp import AlternativeNames, ClientAuth, ClientConfig, ServerConfig, alternative_names
from handclasp.certificates.authority import LocalAuthority
from handclasp.errors import ConfigurationError

KEY = ec.generate_private_key(ec.SECP256R1())


def certificate(
    names: list[x509.GeneralName] | None, extension: Any = None, common_name: str = "alice.test"
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(KEY.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
    )
    if names is not None:
        extension = x509.SubjectAlternativeName(names)
    if extension is not None:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(KEY, SHA256())


def test_every_kind_in_its_place_once() -> None:
    found = alternative_names(
        certificate(
            [
                x509.DNSName("Alice.Test."),
                x509.DNSName("alice.test"),
                x509.DNSName("*.example.com"),
                x509.IPAddress(ip_address("127.0.0.1")),
                x509.IPAddress(ip_address("2001:db8::1")),
                x509.UniformResourceIdentifier("spiffe://example.test/alice"),
                x509.RFC822Name("Alice@example.test"),
                x509.DirectoryName(x509.Name([])),
                x509.RegisteredID(x509.ObjectIdentifier("1.2.3")),
            ]
        )
    )
    assert found == AlternativeNames(
        dns=("alice.test", "*.example.com"),
        ip=("127.0.0.1", "2001:db8::1"),
        uri=("spiffe://example.test/alice",),
        email=("Alice@example.test",),
    )


@pytest.mark.parametrize("value", ["", "a\0b", "spiffe://x\n", "a b"])
def test_what_cannot_be_seen_is_no_name(value: str) -> None:
    names: list[x509.GeneralName] = [x509.DNSName(value), x509.UniformResourceIdentifier(value)]
    assert alternative_names(certificate(names)) == AlternativeNames()


def test_a_common_name_never_counts() -> None:
    assert alternative_names(certificate(None)) == AlternativeNames()


@pytest.mark.parametrize("value", [b"", b"\x30\x03\x82\x05x", b"\x30\x02\x9f\x00", bytes(100)])
def test_what_cannot_be_read_has_no_names(value: bytes) -> None:
    broken = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.17"), value)
    assert alternative_names(certificate(None, broken)) == AlternativeNames()
    assert alternative_names(value) == AlternativeNames()


def test_more_than_is_accepted_is_not_read() -> None:
    names: list[x509.GeneralName] = [
        x509.UniformResourceIdentifier(f"spiffe://example.test/{number}") for number in range(2000)
    ]
    assert alternative_names(certificate(names)) == AlternativeNames()
    assert len(alternative_names(certificate(names[:100])).uri) == 100


def test_der_and_parsed_are_the_same_and_others_are_refused() -> None:
    parsed = certificate([x509.DNSName("alice.test")])
    assert alternative_names(parsed.public_bytes(Encoding.DER)).dns == ("alice.test",)
    for wrong in ("PEM", None, bytearray()):
        with pytest.raises(ConfigurationError, match="bytes in DER"):
            alternative_names(wrong)  # type: ignore[arg-type]


def accept(question: handclasp.VerifyPeer) -> handclasp.VerifiedPeer:
    return handclasp.accept_unverified(question.chain_der)


@pytest.mark.parametrize("verified", [True, False])
def test_a_server_names_its_client_if_it_has_verified_it(verified: bool) -> None:
    authority = LocalAuthority.in_memory()
    alice = authority.issue(["alice.test"], purpose="client").credentials()
    config = ServerConfig(
        credentials=authority.credentials(["localhost"]),
        client_auth=ClientAuth.REQUIRED,
        trust=authority.trust if verified else None,
        verify=None if verified else accept,
    )
    here, there = socket.socketpair()
    found: list[AlternativeNames] = []

    def serve() -> None:
        with handclasp.wrap_server(there, config) as tls:
            found.append(tls.info.peer_names)

    server = threading.Thread(target=serve)
    server.start()
    client = ClientConfig(trust=authority.trust, credentials=alice)
    with handclasp.wrap_client(here, client, server_name="localhost") as tls:
        assert tls.recv(1) == b""
        assert tls.info.peer_names.dns == ("localhost",)
    server.join()
    assert found == [AlternativeNames(dns=("alice.test",) if verified else ())]
