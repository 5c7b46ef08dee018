"""Certificates for tests, made afresh: a private authority and whatever it should issue.

    pki = Pki()
    config = ServerConfig(credentials=pki.server("localhost"))
    ClientConfig(trust=pki.trust)

Everything is valid around `pki.now`, which is the real time unless a test sets another.
"""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from handclasp.certificates.credentials import Credentials, LocalSigner
from handclasp.certificates.trust import TrustStore

DAY = timedelta(days=1)

KEY_TYPES: dict[str, Callable[[], Any]] = {
    "ecdsa-p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ecdsa-p384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "ecdsa-p521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "secp256k1": lambda: ec.generate_private_key(ec.SECP256K1()),
    "rsa-1024": lambda: rsa.generate_private_key(65537, 1024),
    "rsa-2048": lambda: rsa.generate_private_key(65537, 2048),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "ed448": ed448.Ed448PrivateKey.generate,
    "mldsa44": mldsa.MLDSA44PrivateKey.generate,
    "mldsa65": mldsa.MLDSA65PrivateKey.generate,
    "mldsa87": mldsa.MLDSA87PrivateKey.generate,
}


@functools.cache
def key_of_type(key_type: str, number: int = 0) -> Any:
    """A private key; the same one for the same arguments, as RSA keys are slow to make."""
    return KEY_TYPES[key_type]()


@dataclass(frozen=True)
class Leaf:
    """What to put into an end-entity certificate. The defaults make a good one."""

    names: Sequence[str] = ("localhost",)
    common_name: str | None = None
    purpose: x509.ObjectIdentifier | None = ExtendedKeyUsageOID.SERVER_AUTH
    not_before: datetime | None = None
    not_after: datetime | None = None
    is_authority: bool = False
    digital_signature: bool | None = True


@dataclass(frozen=True)
class Authority:
    """A certificate that issues others; `path` leads from it to just below the root."""

    certificate: x509.Certificate
    key: Any = field(repr=False)
    path: tuple[x509.Certificate, ...] = ()
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def pem(self) -> bytes:
        return pem_of(self.certificate)

    @property
    def trust(self) -> TrustStore:
        return TrustStore.from_certificates([self.certificate])

    def issue(
        self, leaf: Leaf, public_key: Any, extra: x509.ExtensionType | None = None
    ) -> x509.Certificate:
        builder = leaf_builder(leaf, public_key, self.certificate.subject, self.now)
        if extra is not None:
            builder = builder.add_extension(extra, critical=False)
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        return sign(builder.add_extension(identifier, critical=False), self.key)

    def credentials(self, leaf: Leaf, key_type: str = "ecdsa-p256") -> Credentials:
        key = key_of_type(key_type)
        certificate = self.issue(leaf, key.public_key())
        return Credentials.from_signer([certificate, *self.path], LocalSigner(key))

    def server(self, *names: str, key_type: str = "ecdsa-p256") -> Credentials:
        return self.credentials(Leaf(names or ("localhost",)), key_type)

    def client(self, name: str = "a client", key_type: str = "ecdsa-p256") -> Credentials:
        purpose = ExtendedKeyUsageOID.CLIENT_AUTH
        return self.credentials(Leaf((), common_name=name, purpose=purpose), key_type)

    def expired(self, *names: str) -> Credentials:
        before, after = self.now - 9 * DAY, self.now - DAY
        return self.credentials(Leaf(names or ("localhost",), not_before=before, not_after=after))

    def not_yet_valid(self, *names: str) -> Credentials:
        before, after = self.now + DAY, self.now + 9 * DAY
        return self.credentials(Leaf(names or ("localhost",), not_before=before, not_after=after))

    def intermediate(
        self, name: str = "intermediate", key_type: str = "ecdsa-p256", **changes: Any
    ) -> Authority:
        """An authority below this one, with a key of its own."""
        key = key_of_type(key_type, number=len(self.path) + 2)
        certificate = authority_certificate(
            name, key.public_key(), self.certificate.subject, self.key, self.now, **changes
        )
        return replace(self, certificate=certificate, key=key, path=(certificate, *self.path))


class Pki(Authority):
    """A root authority with a key of its own; its leaves chain to it directly."""

    def __init__(
        self, name: str = "test root", key_type: str = "ecdsa-p256", now: datetime | None = None
    ) -> None:
        key, now = KEY_TYPES[key_type](), now or datetime.now(UTC)
        subject = named(name)
        certificate = authority_certificate(name, key.public_key(), subject, key, now)
        super().__init__(certificate, key, (), now)

    @property
    def ca_pem(self) -> bytes:
        return self.pem

    @functools.cached_property
    def _trust(self) -> TrustStore:
        return super().trust

    @property
    def trust(self) -> TrustStore:
        """The same store each time, as an application would keep it."""
        return self._trust

    def intermediate(
        self, name: str = "intermediate", key_type: str = "ecdsa-p256", **changes: Any
    ) -> Authority:
        root = Authority(self.certificate, self.key, (), self.now)
        return root.intermediate(name, key_type, **changes)


def self_signed(
    leaf: Leaf | None = None, key_type: str = "ecdsa-p256", now: datetime | None = None
) -> tuple[x509.Certificate, Any]:
    """A certificate that its own key signed, as `openssl req -x509` makes them, and that key."""
    leaf = leaf or Leaf(common_name="localhost", is_authority=True, purpose=None)
    key = key_of_type(key_type)
    issuer = named(leaf.common_name)
    builder = leaf_builder(leaf, key.public_key(), issuer, now or datetime.now(UTC))
    return sign(builder, key), key


def leaf_builder(
    leaf: Leaf, public_key: Any, issuer: x509.Name, now: datetime
) -> x509.CertificateBuilder:
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(leaf.common_name))
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(leaf.not_before or now - DAY)
        .not_valid_after(leaf.not_after or now + 30 * DAY)
        .add_extension(x509.BasicConstraints(leaf.is_authority, None), critical=True)
    )
    if leaf.names:
        names = x509.SubjectAlternativeName(general_names(leaf.names))
        builder = builder.add_extension(names, critical=leaf.common_name is None)
    if leaf.purpose is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([leaf.purpose]), critical=False)
    if leaf.digital_signature is not None:
        usage = key_usage(digital_signature=leaf.digital_signature, key_encipherment=True)
        builder = builder.add_extension(usage, critical=True)
    return builder


def authority_certificate(
    name: str,
    public_key: Any,
    issuer: x509.Name,
    issuer_key: Any,
    now: datetime,
    *,
    not_before: datetime | None = None,
    not_after: datetime | None = None,
    with_key_usage: bool = True,
    is_authority: bool = True,
) -> x509.Certificate:
    subject_identifier = x509.SubjectKeyIdentifier.from_public_key(public_key)
    issuer_identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before or now - 2 * DAY)
        .not_valid_after(not_after or now + 300 * DAY)
        .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
        .add_extension(subject_identifier, critical=False)
        .add_extension(issuer_identifier, critical=False)
    )
    if with_key_usage:
        usage = key_usage(key_cert_sign=is_authority, crl_sign=is_authority)
        builder = builder.add_extension(usage, critical=True)
    return sign(builder, issuer_key)


def key_usage(
    *,
    digital_signature: bool = False,
    key_encipherment: bool = False,
    key_cert_sign: bool = False,
    crl_sign: bool = False,
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=key_encipherment,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )


def general_names(names: Iterable[str]) -> list[x509.GeneralName]:
    found: list[x509.GeneralName] = []
    for name in names:
        try:
            found.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            found.append(x509.DNSName(name))
    return found


def named(common_name: str | None) -> x509.Name:
    if common_name is None:
        return x509.Name([])
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def sign(builder: x509.CertificateBuilder, key: Any) -> x509.Certificate:
    has_hash = isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey)
    return builder.sign(key, hashes.SHA256() if has_hash else None)


def pem_of(*certificates: x509.Certificate) -> bytes:
    return b"".join(c.public_bytes(serialization.Encoding.PEM) for c in certificates)


def der_of(*certificates: x509.Certificate) -> tuple[bytes, ...]:
    return tuple(c.public_bytes(serialization.Encoding.DER) for c in certificates)


def key_pem(key: Any, password: bytes | None = None) -> bytes:
    encryption: Any = (
        serialization.NoEncryption()
        if password is None
        else serialization.BestAvailableEncryption(password)
    )
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    )
