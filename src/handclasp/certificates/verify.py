"""The trust decision: is this the peer that it claims to be?

Path building and its rules (RFC 5280 section 6, and the profile of the web) are those of
cryptography.x509.verification, with a few changes stated below at `_policies`. What is added here
are bounds on keys, and the reason where the answer is no (`refusal`).

The answer is a `VerifiedPeer`. Only this module can make one, and the handshake cannot go on
without it: a forgotten verification does not type-check, and fails if it is tried.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import InitVar, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from handclasp.certificates.names import ip_address, normal_name
from handclasp.certificates.refusal import refusal, subject_of
from handclasp.certificates.trust import TrustStore
from handclasp.crypto.signatures import key_kind
from handclasp.errors import CertificateError, ConfigurationError
from handclasp.faults import Fault

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.x509.verification import ExtensionPolicy, Policy

MIN_RSA_BITS = 2048
MAX_RSA_BITS = 8192
"""Verifying takes time that grows with the square of the size, and the peer picks the size."""

_MAX_REMEMBERED = 2**14
"""Bytes of a chain that is worth remembering: the peer may pad it with anything."""

_MADE_HERE = object()


@dataclass(frozen=True, slots=True)
class VerifiedPeer:
    """Proof that a chain was judged. Made only by the functions of this module.

    Attributes:
        chain: the certificates that the peer sent, leaf first, as DER.
        public_key: the leaf's key, an object of cryptography.
        spki_is_pss: whether the leaf declares its RSA key as id-RSASSA-PSS.
        verified: False where the application chose not to verify.
        path: the certificates that convinced, from the leaf to the anchor, as DER; empty where no
            path was built. Unlike `chain`, it holds nothing that merely came along.
    """

    chain: tuple[bytes, ...] = field(repr=False)
    public_key: Any = field(repr=False)
    spki_is_pss: bool
    verified: bool
    path: tuple[bytes, ...] = field(default=(), repr=False)
    made_by: InitVar[object] = None

    def __post_init__(self, made_by: object) -> None:
        if made_by is not _MADE_HERE:
            raise ConfigurationError(
                "A VerifiedPeer comes from verify_server_chain, verify_client_chain, "
                "accept_unverified or vouch_for; it cannot be built."
            )


def verify_server_chain(
    chain: Sequence[bytes], trust: TrustStore, server_name: str, now: datetime
) -> VerifiedPeer:
    """Verify a server's certificates for the name that the client connects to.

    Args:
        chain: DER certificates as the server sent them, leaf first.
        server_name: a DNS name (U-labels and a trailing dot are fine) or an IP address.
        now: the time to judge by, with its time zone.

    Raises:
        CertificateError: the chain does not convince; its fault says why.
        ConfigurationError: the name is none, or `now` has no time zone.
    """
    return _verify(tuple(chain), trust, normal_name(server_name), now)


def verify_client_chain(chain: Sequence[bytes], trust: TrustStore, now: datetime) -> VerifiedPeer:
    """Verify a client's certificates. Who the client is, is for the application to read in them.

    Raises:
        CertificateError: the chain does not convince; its fault says why.
        ConfigurationError: `now` has no time zone.
    """
    return _verify(tuple(chain), trust, None, now)


def accept_unverified(chain: Sequence[bytes]) -> VerifiedPeer:
    """Take the leaf's key as it is: the peer may be anybody (`verified` is False).

    Raises:
        CertificateError: a certificate cannot be read, or the leaf's key cannot be used.
    """
    leaf = _parse(tuple(chain))[0]
    return _proof(tuple(chain), leaf, _usable_key(leaf, min_rsa_bits=0), verified=False)


def vouch_for(chain: Sequence[bytes]) -> VerifiedPeer:
    """For a `verify` callback that judged the chain by rules of its own, such as a pinned key.

    Raises:
        CertificateError: a certificate cannot be read, or the leaf's key cannot be used.
    """
    leaf = _parse(tuple(chain))[0]
    return _proof(tuple(chain), leaf, _usable_key(leaf, MIN_RSA_BITS), verified=True)


def _verify(
    chain: tuple[bytes, ...], trust: TrustStore, name: str | None, now: datetime
) -> VerifiedPeer:
    from cryptography.hazmat.primitives.serialization import Encoding

    if now.tzinfo is None:
        raise ConfigurationError("The time to verify by must have a time zone: datetime.now(UTC).")
    key = (name, chain)
    known: VerifiedPeer | None = trust.remembered.recall(key, now)
    if known is not None:
        return known
    leaf, *others = _parse(chain)
    public_key = _usable_key(leaf, MIN_RSA_BITS)
    for other in others:
        _check_cost(other)
    path = _build_path(leaf, others, trust, name, now)
    path_der = tuple([certificate.public_bytes(Encoding.DER) for certificate in path])
    proof = _proof(chain, leaf, public_key, verified=True, path=path_der)
    not_before = max(certificate.not_valid_before_utc for certificate in path)
    not_after = min(certificate.not_valid_after_utc for certificate in path)
    if sum(map(len, chain)) <= _MAX_REMEMBERED:
        trust.remembered.remember(key, proof, not_before, not_after)
    return proof


def _build_path(
    leaf: x509.Certificate,
    others: list[x509.Certificate],
    trust: TrustStore,
    name: str | None,
    now: datetime,
) -> list[x509.Certificate]:
    """The verifier's own path from the leaf to an anchor."""
    from cryptography.x509.verification import PolicyBuilder

    ca_policy, ee_policy = _policies(trust.anchors, of_client=name is None)
    builder = (
        PolicyBuilder()
        .store(trust.store)
        .time(now)
        .extension_policies(ca_policy=ca_policy, ee_policy=ee_policy)
    )
    try:
        if name is None:
            return builder.build_client_verifier().verify(leaf, others).chain
        return builder.build_server_verifier(_subject(name)).verify(leaf, others)
    except Exception as error:
        # Not only VerificationError: hostile DER shows late, as ValueError, TypeError and others,
        # because cryptography reads keys and extensions only when it needs them.
        raise refusal(leaf, others, trust.anchors, name, now, error) from error


def _subject(name: str) -> x509.DNSName | x509.IPAddress:
    from cryptography import x509

    address = ip_address(name)
    return x509.IPAddress(address) if address is not None else x509.DNSName(name)


def _policies(
    anchors: frozenset[x509.Certificate], *, of_client: bool
) -> tuple[ExtensionPolicy, ExtensionPolicy]:
    """The profile of the web for authorities and for leaves, with these changes.

    - A trust anchor may lack keyUsage: `openssl req -x509` leaves it out, and RFC 5280 section
      6.1.1 has the verifier take from an anchor its name and key only.
    - A leaf may be an authority if it is an anchor itself: the self-signed certificate of one
      server that somebody chose to trust.
      Then it may lack authorityKeyIdentifier too (RFC 5280 section 4.2.1.1).
    - A leaf with keyUsage needs digitalSignature (RFC 8446 section 4.4.2.2).
    - A client needs no subjectAltName: many are known by their subject.
    """
    from cryptography import x509
    from cryptography.x509.verification import Criticality, ExtensionPolicy

    def ca_key_usage(_: Policy, certificate: x509.Certificate, usage: x509.KeyUsage | None) -> None:
        if usage is None:
            if certificate not in anchors:
                raise ValueError("an intermediate certificate has no keyUsage")
        elif not usage.key_cert_sign:
            raise ValueError("an issuer's keyUsage does not allow it to sign certificates")

    def leaf_key_usage(
        _: Policy, certificate: x509.Certificate, usage: x509.KeyUsage | None
    ) -> None:
        if usage is None:
            return
        if not usage.digital_signature:
            raise ValueError("keyUsage lacks digitalSignature")
        if usage.key_cert_sign and certificate not in anchors:
            raise ValueError("keyUsage allows the leaf to sign certificates")

    def leaf_basic_constraints(
        _: Policy, certificate: x509.Certificate, constraints: x509.BasicConstraints | None
    ) -> None:
        if constraints is not None and constraints.ca and certificate not in anchors:
            raise ValueError("the leaf is an authority's certificate")

    def leaf_issuer_key(
        _: Policy, certificate: x509.Certificate, identifier: x509.AuthorityKeyIdentifier | None
    ) -> None:
        if identifier is None and certificate not in anchors:
            raise ValueError("the leaf has no authorityKeyIdentifier")

    anything = Criticality.AGNOSTIC
    ca = ExtensionPolicy.webpki_defaults_ca().may_be_present(x509.KeyUsage, anything, ca_key_usage)
    leaf = (
        ExtensionPolicy.webpki_defaults_ee()
        .may_be_present(x509.KeyUsage, anything, leaf_key_usage)
        .may_be_present(x509.BasicConstraints, anything, leaf_basic_constraints)
        .may_be_present(x509.AuthorityKeyIdentifier, Criticality.NON_CRITICAL, leaf_issuer_key)
    )
    if of_client:
        leaf = leaf.may_be_present(x509.SubjectAlternativeName, anything, None)
    return ca, leaf


def _parse(chain: tuple[bytes, ...]) -> list[x509.Certificate]:
    from cryptography import x509

    if not chain:
        raise CertificateError(Fault.BAD_CERTIFICATE, "the chain is empty")
    certificates: list[x509.Certificate] = []
    for number, der in enumerate(chain, 1):
        try:
            certificate = x509.load_der_x509_certificate(der)
            _ = (certificate.version, certificate.subject, certificate.issuer)
        except Exception as error:
            # Whatever a parser raises on a peer's bytes means the same.
            detail = f"certificate {number} of {len(chain)} is not readable DER"
            raise CertificateError(Fault.BAD_CERTIFICATE, detail) from error
        certificates.append(certificate)
    return certificates


def _usable_key(leaf: x509.Certificate, min_rsa_bits: int) -> Any:
    """The leaf's key, if TLS 1.3 can use it (RFC 8446 section 4.4.2.2) and it is safe to."""
    try:
        public_key: Any = leaf.public_key()
    except Exception as error:
        detail = f"the key of {subject_of(leaf)} cannot be read"
        raise CertificateError(Fault.UNSUPPORTED_CERTIFICATE, detail) from error
    kind = key_kind(public_key)
    if kind == "rsa":
        bits = public_key.key_size
        if not min_rsa_bits <= bits <= MAX_RSA_BITS:
            detail = f"{subject_of(leaf)} has an RSA key of {bits} bits"
            raise CertificateError(Fault.UNSUPPORTED_CERTIFICATE, detail)
    elif kind not in _LEAF_KEYS:
        named = kind or type(public_key).__name__
        detail = f"{subject_of(leaf)} has a key of the kind {named}"
        raise CertificateError(Fault.UNSUPPORTED_CERTIFICATE, detail)
    return public_key


_LEAF_KEYS = frozenset(
    ("secp256r1", "secp384r1", "secp521r1", "ed25519", "ed448", "mldsa44", "mldsa65", "mldsa87")
)


def _check_cost(certificate: x509.Certificate) -> None:
    """Refuse what would be slow to verify with, whether or not the path needs it."""
    try:
        public_key: Any = certificate.public_key()
    except Exception:
        return  # Nothing can be verified with this key; the path may do without it.
    if key_kind(public_key) == "rsa" and public_key.key_size > MAX_RSA_BITS:
        detail = f"{subject_of(certificate)} has an RSA key of {public_key.key_size} bits"
        raise CertificateError(Fault.UNSUPPORTED_CERTIFICATE, detail)


def _proof(
    chain: tuple[bytes, ...],
    leaf: x509.Certificate,
    public_key: Any,
    *,
    verified: bool,
    path: tuple[bytes, ...] = (),
) -> VerifiedPeer:
    from handclasp.certificates.credentials import spki_is_pss

    return VerifiedPeer(chain, public_key, spki_is_pss(leaf), verified, path, _MADE_HERE)
