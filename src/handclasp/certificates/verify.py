"""Verify a peer's identity: `decision` decides, and this module makes the proof of it.

The proof is a `VerifiedPeer`. Only this module can make one, and the handshake cannot go on without
it: a missing verification does not type-check, and fails at run time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from handclasp.certificates import key_usage
from handclasp.certificates.credentials import spki_is_pss
from handclasp.certificates.dane import matches_key
from handclasp.certificates.describe import pin_of_info, spki_pin, tlsa_of_info
from handclasp.certificates.evidence import Evidence, chain_of, parse, read_all_names
from handclasp.certificates.key_bounds import MIN_RSA_BITS, raw_key, usable_key
from handclasp.certificates.names import ANY_NAME, normal_name
from handclasp.certificates.policy import CertificatePolicy
from handclasp.certificates.trust import TrustStore
from handclasp.errors import CertificateError, ConfigurationError
from handclasp.faults import Fault
from handclasp.values import dataclass, field

if TYPE_CHECKING:
    from dataclasses import InitVar

    from handclasp.certificates.decision import VerificationResult
else:
    from handclasp.values import InitVar

Purpose = Literal["server", "client"]

_DEFAULT_POLICY = CertificatePolicy()

_MAX_REMEMBERED = 2**14
"""Bytes of evidence that is worth remembering: the peer may pad it with anything."""

_BESIDES = 2**12
"""Bytes that the objects of a remembered chain take besides: the proof, and its key."""

_MADE_HERE = object()


@dataclass(frozen=True, slots=True)
class VerifiedPeer:
    """Proof that a peer was verified. Made only by the functions of this module.

    See `verify_server_chain` for an example.

    Attributes:
        chain_der: the certificates that the peer sent, leaf first, as DER; for a raw public key
            its SubjectPublicKeyInfo alone.
        public_key: the leaf's key, an object of cryptography.
        spki_is_pss: whether the leaf declares its RSA key as id-RSASSA-PSS.
        verified: False if the application chose not to verify.
        path_der: the verified path as DER: the certificates from the leaf to the anchor, or the one
            raw key. Unlike `chain_der`, it contains no unrelated certificates. Empty if a callback
            vouched for the peer, or nobody did.
        certificate_type: "X509" or "RawPublicKey" (RFC 7250).
        may_sign: False if the leaf's keyUsage does not allow its key to sign a handshake, which
            every leaf must (RFC 8446 section 4.4.2.2), even without verification.
        purpose, name: the role and the normal name that were verified; None if they are unknown.
    """

    chain_der: tuple[bytes, ...] = field(repr=False)
    public_key: Any = field(repr=False)
    spki_is_pss: bool
    verified: bool
    path_der: tuple[bytes, ...] = field(default=(), repr=False)
    certificate_type: str = "X509"
    may_sign: bool = True
    purpose: Purpose | None = None
    name: str | None = None
    made_by: InitVar[object] = None

    def __post_init__(self, made_by: object) -> None:
        if made_by is not _MADE_HERE:
            raise ConfigurationError(
                "A VerifiedPeer comes from verify_server_chain, verify_client_chain, "
                "verify_raw_public_key, accept_unverified or vouch_for; it cannot be built."
            )

    def is_for(self, peer_is_server: bool, server_name: str | None, certificate_type: str) -> bool:
        """Return whether this verdict is about a peer of this role and name."""
        role: Purpose = "server" if peer_is_server else "client"
        return (
            self.purpose in (None, role)
            and self.name in (None, server_name)
            and self.certificate_type == certificate_type
        )


def verify_server_chain(
    chain_der: Sequence[bytes],
    trust: TrustStore,
    server_name: str | None,
    now: datetime,
    *,
    policy: CertificatePolicy = _DEFAULT_POLICY,
    ocsp_response: bytes | None = None,
    sct_list: bytes | None = None,
) -> VerifiedPeer:
    """Verify a server's certificates for the name that the client connects to.

    >>> from datetime import UTC, datetime
    >>> chain = Credentials.load("chain.pem", "key.pem").chain_der
    >>> trust = TrustStore.from_pem("ca.pem")
    >>> peer = verify_server_chain(chain, trust, "example.com", datetime.now(UTC))
    >>> isinstance(peer, VerifiedPeer), peer.name, len(peer.path_der)
    (True, 'example.com', 2)

    Args:
        chain_der: the certificates as the server sent them, leaf first.
        server_name: a DNS name (U-labels and a trailing dot are fine) or an IP address. None
            compares no name: any server with a certificate of these authorities is accepted, so
            pass it only where the authority itself stands for one server.
        now: the time of the verification, with its time zone.
        policy: the requirements besides a path to an anchor in `trust`.
        ocsp_response: the DER of the OCSP response that was stapled to the leaf, if any.
        sct_list: the SignedCertificateTimestampList that came with the leaf, if any.

    Raises:
        CertificateError: the chain is refused, for the reason in its fault.
        ConfigurationError: the name is invalid, or `now` has no time zone.
    """
    evidence = _evidence(chain_der, ocsp_response, sct_list)
    check_verification_inputs(trust, now, policy)
    name = ANY_NAME if server_name is None else normal_name(server_name)
    return verify_evidence(evidence, trust, name, now, policy)


def verify_client_chain(
    chain_der: Sequence[bytes],
    trust: TrustStore,
    now: datetime,
    *,
    policy: CertificatePolicy = _DEFAULT_POLICY,
    ocsp_response: bytes | None = None,
) -> VerifiedPeer:
    """Verify a client's certificates. The application reads the client's identity from them.

    >>> from datetime import UTC, datetime
    >>> chain = Credentials.load("client.pem", "client-key.pem").chain_der
    >>> trust = TrustStore.from_pem("ca.pem")
    >>> verify_client_chain(chain, trust, datetime.now(UTC)).verified
    True

    Raises:
        CertificateError: the chain is refused, for the reason in its fault.
        ConfigurationError: `now` has no time zone.
    """
    check_verification_inputs(trust, now, policy)
    return verify_evidence(_evidence(chain_der, ocsp_response), trust, None, now, policy)


def verify_raw_public_key(
    public_key_info: bytes,
    expected: Collection[bytes],
    *,
    purpose: Purpose | None = None,
    policy: CertificatePolicy = _DEFAULT_POLICY,
) -> VerifiedPeer:
    """Accept a peer by its raw public key, if it is one of the `expected` ones (RFC 7250).

    >>> key = Credentials.raw_public_key("key.pem").chain_der[0]
    >>> verify_raw_public_key(key, [key]).certificate_type
    'RawPublicKey'

    Args:
        public_key_info: SubjectPublicKeyInfo as DER, like the `expected` ones.
        policy: its pins and TLSA records apply to keys, and must match. All other requirements
            apply to certificates only: a raw key has no issuer, dates and serial number.

    Raises:
        CertificateError: it is another key, or one that cannot be used.
    """
    public_key, is_pss = raw_key(public_key_info)
    if public_key_info not in expected:
        raise CertificateError(Fault.UNKNOWN_RAW_PUBLIC_KEY, f"its pin is {spki_pin(public_key)}")
    if policy.pins and (pin := pin_of_info(public_key_info)) not in policy.pins:
        raise CertificateError(Fault.PIN_MISMATCH, f"the pin of its key is {pin}")
    if policy.tlsa and not matches_key(policy.tlsa, public_key_info):
        plural = "" if len(policy.tlsa) == 1 else "s"
        record = tlsa_of_info(public_key_info)
        detail = f'{len(policy.tlsa)} record{plural}, and "{record}" would name its key'
        raise CertificateError(Fault.TLSA_MISMATCH, detail)
    return VerifiedPeer(
        (public_key_info,),
        public_key,
        is_pss,
        verified=True,
        path_der=(public_key_info,),
        certificate_type="RawPublicKey",
        purpose=purpose,
        made_by=_MADE_HERE,
    )


def accept_unverified(chain_der: Sequence[bytes], certificate_type: str = "X509") -> VerifiedPeer:
    """Accept the leaf's key without verification: the peer may be anybody (`verified` is False).

    >>> peer = accept_unverified(Credentials.load("chain.pem", "key.pem").chain_der)
    >>> peer.verified, peer.path_der
    (False, ())

    Raises:
        CertificateError: a certificate cannot be read, or the leaf's key cannot be used.
    """
    return _taken(chain_of(chain_der), certificate_type, min_rsa_bits=0, verified=False)


def vouch_for(
    chain_der: Sequence[bytes], certificate_type: str = "X509", *, path_der: Sequence[bytes] = ()
) -> VerifiedPeer:
    """Accept a chain in a `verify` callback by rules of its own, such as a pinned key.

    See `VerifyPeer` for an example.

    Args:
        path_der: the path that these rules verified, as DER, if they found one.

    Raises:
        CertificateError: a certificate cannot be read, or the leaf's key cannot be used.
    """
    return _taken(
        chain_of(chain_der),
        certificate_type,
        min_rsa_bits=MIN_RSA_BITS,
        verified=True,
        path=chain_of(path_der),
    )


def _evidence(
    chain: Sequence[bytes], ocsp_response: bytes | None, sct_list: bytes | None = None
) -> Evidence:
    for each in (ocsp_response, sct_list):
        if each is not None and not isinstance(each, bytes):  # pyright: ignore[reportUnnecessaryIsInstance]
            kind = type(each).__name__
            raise ConfigurationError(f"What came with a certificate must be bytes, not {kind}.")
    return Evidence(chain_of(chain), ocsp_response, sct_list)


def verify_evidence(
    evidence: Evidence,
    trust: TrustStore,
    name: str | None,
    now: datetime,
    policy: CertificatePolicy,
) -> VerifiedPeer:
    """Verify a server, or a client (None).

    Args:
        name: a normal name, or `ANY_NAME` for a server of any name.

    Raises:
        CertificateError: the chain is refused; its fault says why.
        ConfigurationError: `now` has no time zone.
    """
    if now.tzinfo is None:
        check_verification_inputs(trust, now, policy)
    key = (name, evidence, policy.token)
    known: VerifiedPeer | None = trust.remembered.recall(key, now)
    if known is not None:
        return known
    try:
        result = _decide()(evidence, trust, name, now, policy)
    except CertificateError as error:
        error.chain_der = evidence.chain
        error.ocsp_response, error.sct_list = evidence.ocsp_response, evidence.sct_list
        raise
    proof = VerifiedPeer(
        evidence.chain,
        result.public_key,
        result.spki_is_pss,
        verified=True,
        path_der=result.path,
        purpose="client" if name is None else "server",
        name=name or None,
        made_by=_MADE_HERE,
    )
    if result.holds is not None and evidence.size <= _MAX_REMEMBERED:
        trust.remembered.remember(key, proof, *result.holds, size=evidence.size + _BESIDES)
    return proof


def check_verification_inputs(trust: object, now: object, policy: object) -> None:
    """Raise `ConfigurationError` for a wrong kind of store, time or policy."""
    if not isinstance(trust, TrustStore):
        raise ConfigurationError(f"trust must be a TrustStore, not {type(trust).__name__}.")
    if not isinstance(now, datetime) or now.tzinfo is None:
        raise ConfigurationError("The time to verify by must have a time zone: datetime.now(UTC).")
    if not isinstance(policy, CertificatePolicy):
        kind = type(policy).__name__
        raise ConfigurationError(f"policy must be a CertificatePolicy, not {kind}.")


@cache
def _decide() -> Callable[..., VerificationResult]:
    # Imported late, as it needs cryptography.x509, which costs more to import than all the rest.
    from handclasp.certificates.decision import decide

    return decide


def _taken(
    chain: tuple[bytes, ...],
    certificate_type: str,
    *,
    min_rsa_bits: int,
    verified: bool,
    path: tuple[bytes, ...] = (),
) -> VerifiedPeer:
    """Accept a chain with no check but that of the key."""
    may_sign = True
    if certificate_type == "RawPublicKey":
        public_key, is_pss = raw_key(chain[0], min_rsa_bits)
    else:
        leaf, *_ = certificates = parse(chain)
        read_all_names(certificates, chain)
        public_key, is_pss = usable_key(leaf, chain[0], min_rsa_bits), spki_is_pss(leaf)
        may_sign = key_usage.may_sign(leaf)
    return VerifiedPeer(
        chain,
        public_key,
        is_pss,
        verified,
        path,
        certificate_type=certificate_type,
        may_sign=may_sign,
        made_by=_MADE_HERE,
    )
