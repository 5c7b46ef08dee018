"""Certificates, keys, a clock and chance for the fuzzer: the same in every turn.

A finding must show itself again, so nothing here follows the real time or real entropy; Ed25519
signs the same content in the same way each time.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import ExtendedKeyUsageOID
from tests.pki import DAY, MUST_STAPLE, Authority, Leaf, authority_certificate, named

from handclasp import Credentials
from handclasp.certificates.credentials import LocalSigner

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def now() -> datetime:
    return NOW


class Chance:
    """Entropy that is none: the same bytes after each `start`."""

    def __init__(self) -> None:
        self._count = 0

    def start(self, number: int = 0) -> None:
        self._count = number << 32

    def __call__(self, size: int) -> bytes:
        self._count += 1
        return hashlib.shake_128(self._count.to_bytes(8, "big")).digest(size)


def key(name: str) -> Ed25519PrivateKey:
    """The private key of this name."""
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())


def authority_key(name: str) -> ec.EllipticCurvePrivateKey:
    """The same for those who issue; their signatures differ from run to run."""
    number = int.from_bytes(hashlib.sha256(name.encode()).digest(), "big")
    return ec.derive_private_key(number, ec.SECP256R1())


@cache
def authority() -> Authority:
    """A root, valid around `NOW`."""
    own = authority_key("root")
    certificate = authority_certificate("root", own.public_key(), named("root"), own, NOW)
    return Authority(certificate, own, (), NOW)


@cache
def intermediate() -> Authority:
    """An authority below the root."""
    own, root = authority_key("intermediate"), authority()
    certificate = authority_certificate(
        "intermediate", own.public_key(), root.certificate.subject, root.key, NOW
    )
    return Authority(certificate, own, (certificate,), NOW)


@cache
def server() -> Credentials:
    """A server's chain of two certificates, with a staple."""
    credentials = server_without_staple()
    return credentials.with_staple(
        staple_for(x509.load_der_x509_certificate(credentials.chain_der[0]))
    )


@cache
def server_without_staple() -> Credentials:
    issuer, own = intermediate(), key("server")
    leaf = Leaf(("localhost", "127.0.0.1"), serial_number=7, not_after=NOW + 60 * DAY)
    certificate = issuer.issue(leaf, own.public_key())
    return Credentials.from_signer([certificate, *issuer.path], LocalSigner(own))


@cache
def client() -> Credentials:
    """A client's chain of two certificates."""
    issuer, own = intermediate(), key("client")
    leaf = Leaf(
        (),
        common_name="a client",
        purpose=ExtendedKeyUsageOID.CLIENT_AUTH,
        serial_number=8,
        not_after=NOW + 60 * DAY,
    )
    certificate = issuer.issue(leaf, own.public_key())
    return Credentials.from_signer([certificate, *issuer.path], LocalSigner(own))


def must_staple() -> x509.Certificate:
    leaf = Leaf(extensions=[MUST_STAPLE], serial_number=9)
    return intermediate().issue(leaf, key("server").public_key())


def staple_for(certificate: x509.Certificate) -> bytes:
    """An OCSP response that vouches for it."""
    return intermediate().ocsp_response(certificate, this_update=NOW - timedelta(hours=1))
