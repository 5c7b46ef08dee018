"""Targets: certificates and what vouches for them, from a peer or out of a file.

A chain is judged and explained; both must come to the same verdict. Files are read for
credentials, trust, revocation lists and transparency logs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from tests.fuzz import material
from tests.fuzz.target import Choices, Target
from tests.pki import key_pem, pem_of

from handclasp import CertificateError, Credentials, TrustStore
from handclasp.certificates.crl import RevocationLists
from handclasp.certificates.dane import TlsaRecord
from handclasp.certificates.describe import describe
from handclasp.certificates.explanation import explain
from handclasp.certificates.ocsp import check_staple, describe_staple
from handclasp.certificates.policy import CertificatePolicy
from handclasp.certificates.raw_keys import public_key_info
from handclasp.certificates.transparency import CtLog, timestamps_of
from handclasp.certificates.verify import (
    accept_unverified,
    verify_client_chain,
    verify_raw_public_key,
    verify_server_chain,
)
from handclasp.errors import ConfigurationError

_NAMES = ("localhost", "127.0.0.1", "::1", "www.example.com", "xn--bcher-kva.example")
_STRICT = CertificatePolicy(stapled_ocsp="require")


def chain(data: bytes) -> None:
    """A chain from a peer: judged, explained and described."""
    choices = Choices(data)
    flags = choices.byte()
    name = _NAMES[choices.byte() % len(_NAMES)]
    certificates = [choices.take(choices.number()) for _ in range(1 + flags % 3)]
    staple = choices.take(choices.number()) or None
    timestamps = choices.rest() or None
    trust = _trust()
    policy = _STRICT if flags & 8 else CertificatePolicy()
    accepted = accepts(
        lambda: verify_server_chain(
            certificates,
            trust,
            name,
            material.NOW,
            policy=policy,
            ocsp_response=staple,
            sct_list=timestamps,
        )
    )
    try:
        explanation = explain(
            certificates,
            name,
            trust,
            material.NOW,
            policy=policy,
            ocsp_response=staple,
            sct_list=timestamps,
        )
    except CertificateError:
        if accepted:
            raise AssertionError("accepted, and yet no explanation") from None
    else:
        explanation.to_json()
        if explanation.accepted is not accepted:
            raise AssertionError("the explanation has another verdict than the decision")
        if accepted is bool(explanation.broken):
            raise AssertionError("the explanation's reasons are not those of its verdict")
    accepts(lambda: verify_client_chain(certificates, trust, material.NOW, ocsp_response=staple))
    accepts(lambda: accept_unverified(certificates))
    accepts(lambda: verify_raw_public_key(certificates[0], [certificates[0]]))


def chain_seeds() -> Iterable[bytes]:
    server, client = material.server(), material.client()
    leaf = x509.load_der_x509_certificate(server.chain_der[0])
    staple = material.staple_for(leaf)
    stapled = material.must_staple()
    for number, certificates in enumerate(
        (server.chain_der, client.chain_der, (_der(stapled), server.chain_der[1]))
    ):
        for flags in (1, 2, 9, 0):
            used = [*certificates, _der(material.authority().certificate)][: 1 + flags % 3]
            body = b"".join(_long(each) for each in used)
            yield bytes([flags, 0]) + body + _long(staple if number == 0 else b"")
            yield bytes([flags, 1]) + body + _long(material.staple_for(stapled)) + b"\0\4\0\2ab"


def staple(data: bytes) -> None:
    """A stapled OCSP response."""
    path = _path()
    describe_staple(data)
    accepts(lambda: check_staple(data, path, material.NOW))


def staple_seeds() -> Iterable[bytes]:
    leaf = _path()[0]
    issuer = material.intermediate()
    yield material.staple_for(leaf)
    for status in ("revoked", "unknown"):
        yield issuer.ocsp_response(leaf, status)
    yield issuer.ocsp_response(leaf, responder=issuer.ocsp_responder())


def described(data: bytes) -> None:
    """A certificate, told to people."""
    try:
        certificate = x509.load_der_x509_certificate(data)
    except (ValueError, TypeError, x509.InvalidVersion):
        return
    try:
        describe(certificate)
        timestamps_of(certificate, data[-64:])
    except CertificateError:
        return


def described_seeds() -> Iterable[bytes]:
    for certificates in (material.server().chain_der, material.client().chain_der):
        yield from certificates
    yield _der(material.authority().certificate)
    yield _der(material.must_staple())


def files(data: bytes) -> None:
    """A file that somebody configured: its form is at fault, or it can be used."""
    number, content = data[:1], data[1:]
    readers: Sequence[Callable[[bytes], Any]] = (
        TrustStore.from_pem,
        TrustStore.from_der,
        lambda given: Credentials.from_pem(given, given),
        lambda given: Credentials.from_pem(_server_pem(), given),
        lambda given: Credentials.raw_public_key(given),
        lambda given: Credentials.from_pkcs12(given),
        public_key_info,
        RevocationLists.from_bytes,
        CtLog.from_log_list,
        CtLog.from_public_key,
        TlsaRecord.from_wire,
        lambda given: TlsaRecord.parse(given.decode("latin-1")),
    )
    if not number:
        return
    try:
        readers[number[0] % len(readers)](content)
    except ConfigurationError:
        return


def file_seeds() -> Iterable[bytes]:
    server = _server_pem()
    own_key = material.key("server")
    spki = own_key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    revoked = material.intermediate().crl([7])
    contents = [
        server,
        material.server().chain_der[0],
        key_pem(own_key),
        server + key_pem(own_key),
        key_pem(own_key, b"secret"),
        spki,
        revoked.public_bytes(serialization.Encoding.PEM),
        revoked.public_bytes(serialization.Encoding.DER),
        b'{"operators": [{"name": "a", "logs": [{"key": "MFkw", "log_id": "a", "state": {}}]}]}',
        b"\3\1\1" + bytes(32),
        b"3 1 1 " + b"0" * 64,
    ]
    for number in range(12):
        for content in contents:
            yield bytes([number]) + content


# Inside


def accepts(judge: Callable[[], object]) -> bool:
    try:
        judge()
    except CertificateError:
        return False
    return True


@cache
def _trust() -> TrustStore:
    return material.authority().trust


@cache
def _path() -> tuple[x509.Certificate, ...]:
    chain = [x509.load_der_x509_certificate(der) for der in material.server().chain_der]
    return (*chain, material.authority().certificate)


@cache
def _server_pem() -> bytes:
    return pem_of(*[x509.load_der_x509_certificate(der) for der in material.server().chain_der])


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


def _long(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data


@cache
def targets() -> tuple[Target, ...]:
    return (
        Target("chain", chain, chain_seeds, weight=2),
        Target("staple", staple, staple_seeds),
        Target("described", described, described_seeds),
        Target("files", files, file_seeds),
    )
