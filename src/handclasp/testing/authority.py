"""A private authority in memory, which issues certificates of any form, good and bad.

>>> from handclasp.testing import Authority, Leaf, RootAuthority
>>> root = RootAuthority()
>>> isinstance(root.intermediate(), Authority)
True
>>> server = ServerConfig(credentials=root.server("localhost"))
>>> client = ClientConfig(trust=root.trust)
>>> late = root.expired("localhost")
>>> root.credentials(Leaf(["localhost", "127.0.0.1"])).names
('localhost', '127.0.0.1')

Everything is valid around the authority's `now`, which is the real time unless another is given.
An authority also answers about its certificates: `ocsp_response`, `crl`. Fields that a `Leaf` does
not have go into its `extensions`.
"""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from handclasp.certificates.client_names import MAX_COMMON_NAME, client_name
from handclasp.certificates.credentials import Credentials, LocalSigner
from handclasp.certificates.trust import TrustStore
from handclasp.values import dataclass, field

DAY = timedelta(days=1)

MUST_STAPLE = x509.TLSFeature([x509.TLSFeatureType.status_request])
"""The extension by which a certificate demands a stapled OCSP response (RFC 7633)."""

AnyExtension = x509.ExtensionType | x509.Extension[Any]
"""An extension of a certificate; not critical unless it is an `Extension` that says so."""

OcspStatus = Literal["good", "revoked", "unknown"]

KEY_TYPES: dict[str, Callable[[], Any]] = {
    "ecdsa-p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ecdsa-p384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "ecdsa-p521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "secp256k1": lambda: ec.generate_private_key(ec.SECP256K1()),
    "rsa-1024": lambda: rsa.generate_private_key(65537, 1024),  # noqa: S505 (for clients to refuse)
    "rsa-2048": lambda: rsa.generate_private_key(65537, 2048),
    "rsa-exponent-3": lambda: rsa.generate_private_key(3, 2048),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "ed448": ed448.Ed448PrivateKey.generate,
    "mldsa44": mldsa.MLDSA44PrivateKey.generate,
    "mldsa65": mldsa.MLDSA65PrivateKey.generate,
    "mldsa87": mldsa.MLDSA87PrivateKey.generate,
}


@functools.cache
def key_of_type(key_type: str, number: int = 0) -> Any:
    """Return a private key; the same one for the same arguments, as RSA keys are slow to make.

    Args:
        key_type: one of `KEY_TYPES`.
        number: tells keys of one type apart.
    """
    return KEY_TYPES[key_type]()


@dataclass(frozen=True, slots=True)
class Leaf:
    """The content of an end-entity certificate. The defaults make a good one for a server.

    See `handclasp.testing.authority` for an example.

    Attributes:
        names: subjectAltName: DNS names and IP addresses as text, other kinds as `GeneralName`;
            empty leaves the extension out.
        purpose: extended key usage, one or several; None leaves it out.
        digital_signature: the bit in keyUsage; None leaves the extension out.
        basic_constraints, authority_identifier: whether the extension is there at all.
        extensions: further ones; they replace what the other fields say.
    """

    names: Sequence[str | x509.GeneralName] = ("localhost",)
    common_name: str | None = None
    purpose: x509.ObjectIdentifier | Sequence[x509.ObjectIdentifier] | None = (
        ExtendedKeyUsageOID.SERVER_AUTH
    )
    not_before: datetime | None = None
    not_after: datetime | None = None
    is_authority: bool = False
    digital_signature: bool | None = True
    basic_constraints: bool = True
    authority_identifier: bool = True
    serial_number: int | None = None
    extensions: Sequence[AnyExtension] = ()


def client_leaf(name: str) -> Leaf:
    """Return the content of a client's certificate.

    The name is its common name, and in subjectAltName as well if it is a DNS name of several parts,
    an address, a URI or an e-mail address.
    """
    called = client_name(name)
    names = () if called is None else (called,)
    common_name = name if called is None or len(name) <= MAX_COMMON_NAME else None
    return Leaf(names, common_name=common_name, purpose=ExtendedKeyUsageOID.CLIENT_AUTH)


@dataclass(slots=True, eq=False)
class Authority:
    """A certificate that issues others. `RootAuthority` makes one, and `intermediate` one below it.

    See `handclasp.testing.authority` for an example.

    Attributes:
        path: the certificates from this one to just below the root; empty for a root.
        now: the time around which everything is valid.
    """

    certificate: x509.Certificate
    key: Any = field(repr=False)
    path: tuple[x509.Certificate, ...] = ()
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def pem(self) -> bytes:
        """The certificate as PEM, for clients to trust."""
        return pem_of(self.certificate)

    @property
    def trust(self) -> TrustStore:
        """A store that trusts this authority alone."""
        return TrustStore.from_certificates([self.certificate])

    def issue(
        self, leaf: Leaf, public_key: Any, extra: x509.ExtensionType | None = None
    ) -> x509.Certificate:
        """Return the certificate that `leaf` describes, for `public_key`."""
        builder = leaf_builder(leaf, public_key, self.certificate.subject, self.now)
        if extra is not None:
            builder = builder.add_extension(extra, critical=False)
        if leaf.authority_identifier:
            identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
            builder = builder.add_extension(identifier, critical=False)
        return sign(builder, self.key)

    def credentials(self, leaf: Leaf, key_type: str = "ecdsa-p256") -> Credentials:
        """Return a certificate with its path and its key, as credentials for a config."""
        key = key_of_type(key_type)
        certificate = self.issue(leaf, key.public_key())
        return Credentials.from_signer([certificate, *self.path], LocalSigner(key))

    def server(self, *names: str, key_type: str = "ecdsa-p256") -> Credentials:
        """Return the credentials of a server with these names (default: localhost)."""
        return self.credentials(Leaf(names or ("localhost",)), key_type)

    def client(self, name: str = "a client", key_type: str = "ecdsa-p256") -> Credentials:
        """Return the credentials of a client: see `TlsAuthority.client_files` for its names."""
        return self.credentials(client_leaf(name), key_type)

    def expired(self, *names: str) -> Credentials:
        """Return the credentials of a server whose certificate expired a day ago."""
        before, after = self.now - 9 * DAY, self.now - DAY
        return self.credentials(Leaf(names or ("localhost",), not_before=before, not_after=after))

    def not_yet_valid(self, *names: str) -> Credentials:
        """Return the credentials of a server whose certificate is valid from tomorrow on."""
        before, after = self.now + DAY, self.now + 9 * DAY
        return self.credentials(Leaf(names or ("localhost",), not_before=before, not_after=after))

    def intermediate(
        self, name: str = "intermediate", key_type: str = "ecdsa-p256", **changes: Any
    ) -> Authority:
        """Return an authority below this one, made by `authority_certificate` with `changes`."""
        key = key_of_type(key_type, number=len(self.path) + 2)
        certificate = authority_certificate(
            name, key.public_key(), self.certificate.subject, self.key, self.now, **changes
        )
        return Authority(certificate, key, (certificate, *self.path), self.now)

    def ocsp_responder(self, leaf: Leaf | None = None, key_type: str = "ecdsa-p256") -> Authority:
        """Return a delegated signer of OCSP responses (RFC 6960 section 4.2.2.2)."""
        leaf = leaf or Leaf((), common_name="responder", purpose=ExtendedKeyUsageOID.OCSP_SIGNING)
        key = key_of_type(key_type, number=90)
        return Authority(self.issue(leaf, key.public_key()), key, (), self.now)

    def ocsp_response(
        self,
        leaf: x509.Certificate,
        status: OcspStatus = "good",
        *,
        this_update: datetime | None = None,
        next_update: datetime | Literal["none"] | None = None,
        responder: Authority | None = None,
        algorithm: hashes.HashAlgorithm | None = None,
        extensions: Sequence[AnyExtension] = (),
    ) -> bytes:
        """Return an OCSP response for a leaf of this authority, as DER.

        It is valid from an hour ago for a week, unless other times are given.

        Args:
            next_update: "none" leaves it out.
            responder: signs in the authority's place, with its certificate in the response.
            algorithm: the hash in the certificate's identifier; SHA-1 as everywhere.
        """
        this_update = this_update or self.now - timedelta(hours=1)
        signer = responder or self
        builder = ocsp.OCSPResponseBuilder().add_response(
            cert=leaf,
            issuer=self.certificate,
            algorithm=algorithm or hashes.SHA1(),  # noqa: S303 (it identifies, and signs nothing)
            cert_status=ocsp.OCSPCertStatus[status.upper()],
            this_update=this_update,
            next_update=None if next_update == "none" else next_update or this_update + 7 * DAY,
            revocation_time=this_update - DAY if status == "revoked" else None,
            revocation_reason=None,
        )
        builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, signer.certificate)
        if responder is not None:
            builder = builder.certificates([responder.certificate])
        for value, is_critical in map(_with_mark, extensions):
            builder = builder.add_extension(value, is_critical)
        response = builder.sign(signer.key, hash_for(signer.key))
        return response.public_bytes(serialization.Encoding.DER)

    def crl(
        self,
        revoked: Iterable[x509.Certificate | int] = (),
        *,
        last_update: datetime | None = None,
        next_update: datetime | None = None,
        number: int | None = 1,
        extensions: Sequence[AnyExtension] = (),
    ) -> x509.CertificateRevocationList:
        """Return the list of revoked certificates, which are given or named by serial number."""
        last_update = last_update or self.now - timedelta(hours=1)
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(last_update)
            .next_update(next_update or last_update + 7 * DAY)
            .add_extension(identifier, critical=False)
        )
        if number is not None:
            builder = builder.add_extension(x509.CRLNumber(number), critical=False)
        for value, is_critical in map(_with_mark, extensions):
            builder = builder.add_extension(value, is_critical)
        for each in revoked:
            serial = each if isinstance(each, int) else each.serial_number
            entry = x509.RevokedCertificateBuilder().serial_number(serial)
            entry = entry.revocation_date(last_update - timedelta(hours=1))
            builder = builder.add_revoked_certificate(entry.build())
        return builder.sign(self.key, hash_for(self.key))


class RootAuthority(Authority):
    """A root authority with a key of its own; its leaves chain to it directly.

    See `handclasp.testing.authority` for an example.
    """

    def __init__(
        self,
        name: str = "test root",
        key_type: str = "ecdsa-p256",
        now: datetime | None = None,
        **changes: Any,
    ) -> None:
        key, now = KEY_TYPES[key_type](), now or datetime.now(UTC)
        subject = named(name)
        certificate = authority_certificate(name, key.public_key(), subject, key, now, **changes)
        super().__init__(certificate, key, (), now)

    @functools.cached_property
    def _trust(self) -> TrustStore:
        return super().trust

    @property
    def trust(self) -> TrustStore:
        """The same store each time, as an application would keep it."""
        return self._trust


def self_signed(
    leaf: Leaf | None = None, key_type: str = "ecdsa-p256", now: datetime | None = None
) -> tuple[x509.Certificate, Any]:
    """Return a certificate that its own key signed, as `openssl req -x509` does, and the key."""
    leaf = leaf or Leaf(common_name="localhost", is_authority=True, purpose=None)
    key = key_of_type(key_type)
    issuer = named(leaf.common_name)
    builder = leaf_builder(leaf, key.public_key(), issuer, now or datetime.now(UTC))
    return sign(builder, key), key


def leaf_builder(
    leaf: Leaf, public_key: Any, issuer: x509.Name, now: datetime
) -> x509.CertificateBuilder:
    """Return a builder of the certificate that `leaf` describes, which is ready to be signed."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(leaf.common_name))
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(leaf.serial_number or x509.random_serial_number())
        .not_valid_before(leaf.not_before or now - DAY)
        .not_valid_after(leaf.not_after or now + 30 * DAY)
    )
    if leaf.basic_constraints:
        constraints = x509.BasicConstraints(leaf.is_authority, None)
        builder = builder.add_extension(constraints, critical=True)
    extensions = [_with_mark(each) for each in leaf.extensions]
    given = {type(value) for value, _ in extensions}  # They replace what the other fields say.
    if leaf.names and x509.SubjectAlternativeName not in given:
        names = x509.SubjectAlternativeName(general_names(leaf.names))
        builder = builder.add_extension(names, critical=leaf.common_name is None)
    if leaf.purpose is not None and x509.ExtendedKeyUsage not in given:
        builder = builder.add_extension(purposes(leaf.purpose), critical=False)
    if leaf.digital_signature is not None:
        usage = key_usage(digital_signature=leaf.digital_signature, key_encipherment=True)
        builder = builder.add_extension(usage, critical=True)
    for value, is_critical in extensions:
        builder = builder.add_extension(value, is_critical)
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
    path_length: int | None = None,
    extensions: Sequence[AnyExtension] = (),
) -> x509.Certificate:
    """Return an authority's certificate, with name constraints and the like in `extensions`."""
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
        .add_extension(x509.BasicConstraints(is_authority, path_length), critical=True)
        .add_extension(subject_identifier, critical=False)
        .add_extension(issuer_identifier, critical=False)
    )
    if with_key_usage:
        usage = key_usage(key_cert_sign=is_authority, crl_sign=is_authority)
        builder = builder.add_extension(usage, critical=True)
    for value, is_critical in map(_with_mark, extensions):
        builder = builder.add_extension(value, is_critical)
    return sign(builder, issuer_key)


def critical(value: x509.ExtensionType) -> x509.Extension[Any]:
    """Return an extension that must be understood, for the `extensions` of a certificate."""
    return x509.Extension(value.oid, True, value)


def name_constraints(
    permitted: Iterable[str] = (), excluded: Iterable[str] = ()
) -> x509.Extension[Any]:
    """Return the DNS names, and networks as text, that an authority may or may not issue for."""
    trees = [[_subtree(text) for text in texts] or None for texts in (permitted, excluded)]
    return critical(x509.NameConstraints(*trees))


def purposes(
    given: x509.ObjectIdentifier | Sequence[x509.ObjectIdentifier],
) -> x509.ExtendedKeyUsage:
    """Return an extended key usage of one purpose or several."""
    return x509.ExtendedKeyUsage([given] if isinstance(given, x509.ObjectIdentifier) else given)


def key_usage(
    *,
    digital_signature: bool = False,
    key_encipherment: bool = False,
    key_cert_sign: bool = False,
    crl_sign: bool = False,
) -> x509.KeyUsage:
    """Return a key usage with these bits."""
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


def general_names(names: Iterable[str | x509.GeneralName]) -> list[x509.GeneralName]:
    """Return addresses and DNS names as names of a certificate."""
    found: list[x509.GeneralName] = []
    for name in names:
        if isinstance(name, x509.GeneralName):
            found.append(name)
            continue
        try:
            found.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            found.append(x509.DNSName(name))
    return found


def named(common_name: str | None) -> x509.Name:
    """Return a name with this common name, or an empty one."""
    if common_name is None:
        return x509.Name([])
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def sign(builder: x509.CertificateBuilder, key: Any) -> x509.Certificate:
    """Return the certificate, signed with the hash that fits the key."""
    return builder.sign(key, hash_for(key))


def hash_for(key: Any) -> hashes.SHA256 | None:
    """Return the hash to sign with; None for EdDSA and ML-DSA, which have their own."""
    has_hash = isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey)
    return hashes.SHA256() if has_hash else None


def signed_with_sha1(certificate: x509.Certificate, key: rsa.RSAPrivateKey) -> x509.Certificate:
    """Return the certificate under an RSA issuer's signature with SHA-1, for clients to refuse.

    Args:
        certificate: one that the issuer signed with SHA-256.
        key: the issuer's.
    """
    with_sha256, with_sha1 = (
        bytes.fromhex("2a864886f70d01010b"),
        bytes.fromhex("2a864886f70d010105"),
    )
    body = certificate.tbs_certificate_bytes.replace(with_sha256, with_sha1, 1)
    (whole,) = der_of(certificate)
    # Both signatures are as long as the issuer's modulus, so all lengths stay as they are.
    head = whole[: whole.index(certificate.tbs_certificate_bytes)]
    algorithm = whole[len(head) + len(body) : -len(certificate.signature)]
    signature = key.sign(body, padding.PKCS1v15(), hashes.SHA1())  # noqa: S303
    der = head + body + algorithm.replace(with_sha256, with_sha1) + signature
    return x509.load_der_x509_certificate(der)


def _with_mark(given: AnyExtension) -> tuple[x509.ExtensionType, bool]:
    if isinstance(given, x509.Extension):
        return given.value, given.critical
    return given, False


def _subtree(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_network(text))
    except ValueError:
        return x509.DNSName(text)


def pem_of(*certificates: x509.Certificate | x509.CertificateRevocationList) -> bytes:
    """Return certificates and lists as one text in PEM."""
    return b"".join(c.public_bytes(serialization.Encoding.PEM) for c in certificates)


def der_of(*certificates: x509.Certificate) -> tuple[bytes, ...]:
    """Return certificates as DER."""
    return tuple(c.public_bytes(serialization.Encoding.DER) for c in certificates)


def key_pem(key: Any, password: bytes | None = None) -> bytes:
    """Return a private key as PKCS #8 in PEM, encrypted if a password is given."""
    encryption: Any = (
        serialization.NoEncryption()
        if password is None
        else serialization.BestAvailableEncryption(password)
    )
    pem: bytes = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    )
    return pem
