"""The trust decision itself, in this order; the first no is final.

1. Every certificate can be read, and no key is too weak or too slow to verify with (`key_bounds`).
2. A path leads from the leaf to an anchor (`path`, by cryptography.x509.verification). TLSA records
   that the user gave take the anchors' place, or say that this is the leaf (`dane`).
3. The certificates on the path have the form that the profile asks for (`profile`).
4. The user's policy agrees: pins, revocation, transparency (`policy`).

Where the answer is no, the error says why (`refusal`).

This module and those that it goes by import cryptography.x509 at once, so it is imported only when
the first chain is verified.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from cryptography import x509

from handclasp.certificates import profile
from handclasp.certificates.credentials import spki_is_pss
from handclasp.certificates.dane import DANE_TA, matching_anchors, matching_leaf
from handclasp.certificates.describe import pin_of, tlsa_of
from handclasp.certificates.evidence import Evidence, encoded, parse, read_all_names
from handclasp.certificates.key_bounds import usable_key
from handclasp.certificates.names import ANY_NAME, subject_of
from handclasp.certificates.path import build_path, direct_path
from handclasp.certificates.policy import CertificatePolicy
from handclasp.certificates.refusal import refusal
from handclasp.certificates.revocation import check_staple, demands_staple
from handclasp.certificates.rules import Context
from handclasp.certificates.transparency import valid_timestamps
from handclasp.certificates.trust import TrustStore
from handclasp.crypto.signatures import key_kind
from handclasp.errors import CertificateError, ConfigurationError
from handclasp.faults import Fault, advice


class VerificationResult(NamedTuple):
    """A yes.

    Attributes:
        public_key: the leaf's key; `spki_is_pss` says whether it is declared as id-RSASSA-PSS.
        path: the verified certificates, leaf first, as DER.
        holds: from when to when it holds; None where it must not be kept.
    """

    public_key: Any
    spki_is_pss: bool
    path: tuple[bytes, ...]
    holds: tuple[datetime, datetime] | None


def decide(
    evidence: Evidence,
    trust: TrustStore,
    name: str | None,
    now: datetime,
    policy: CertificatePolicy,
) -> VerificationResult:
    """Verify a server by the normal `name` or by none (`ANY_NAME`), or a client (None).

    Raises:
        CertificateError: no; its fault says why.
    """
    try:
        return _decide_chain(evidence, trust, name, now, policy)
    except (CertificateError, ConfigurationError):
        raise
    except Exception as error:
        # cryptography reads fields late, and the peer wrote them: what cannot be read is refused.
        detail = "a field of a certificate cannot be read"
        raise CertificateError(Fault.BAD_CERTIFICATE, detail) from error


def _decide_chain(
    evidence: Evidence,
    trust: TrustStore,
    name: str | None,
    now: datetime,
    policy: CertificatePolicy,
) -> VerificationResult:
    chain = evidence.chain
    leaf, *others = certificates = parse(chain)
    public_key = usable_key(leaf, chain[0])
    is_pss = key_kind(public_key) == "rsa" and spki_is_pss(leaf)
    if policy.tlsa:
        if matching_leaf(policy.tlsa, leaf) is not None:
            read_all_names(certificates, chain)
            _check_named_leaf(evidence, leaf, others, trust, name, now, policy)
            return VerificationResult(public_key, is_pss, chain[:1], None)
        trust = _anchors_by_records(policy, leaf, others)
    _check_costs(others, chain[1:], trust)
    try:
        path = build_path(leaf, others, trust, name, now, policy, chain)
    except Exception as error:
        names = (name,) if name else ()
        context = Context(trust, names, now, policy, any_name=name == ANY_NAME)
        raise refusal(certificates, context, evidence, error) from error
    read_all_names(certificates, chain)
    extensions = _readable_extensions(leaf)
    ders = {id(other): der for other, der in zip(others, chain[1:], strict=True)}
    issuers = [
        profile.authority(each, ders.get(id(each)) or encoded(each), trust) for each in path[1:]
    ]
    profile.check_leaf(path, extensions, policy, is_client=name is None)
    if name:
        profile.check_server_names(path, chain[0], name, trust, policy)
    profile.check_issuers(path, issuers, trust, policy)
    must_staple = name is not None and x509.TLSFeature in extensions and demands_staple(leaf)
    ends = _check_policy(evidence, path, name, now, policy, must_staple=must_staple)
    not_before = max([leaf.not_valid_before_utc, *[issuer.not_before for issuer in issuers]])
    not_after = min([leaf.not_valid_after_utc, *[issuer.not_after for issuer in issuers], *ends])
    profile.keep_authorities(issuers, trust)
    path_der = (chain[0], *[issuer.der for issuer in issuers])
    return VerificationResult(public_key, is_pss, path_der, (not_before, not_after))


def _check_named_leaf(
    evidence: Evidence,
    leaf: x509.Certificate,
    others: Sequence[x509.Certificate],
    trust: TrustStore,
    name: str | None,
    now: datetime,
    policy: CertificatePolicy,
) -> None:
    """Check a leaf that a TLSA record of usage 3 names.

    The record stands for the path, the dates and the names (RFC 7671 section 5.1), and for nothing
    else: what TLS asks of the leaf itself (RFC 8446 section 4.4.2.2), and the requirements of the
    policy, still apply. Its issuer determines the accepted signers of evidence, and need not be
    trusted.
    """
    extensions = _readable_extensions(leaf)
    profile.check_key_usage(extensions)
    must_staple = name is not None and x509.TLSFeature in extensions and demands_staple(leaf)
    asks_others = policy.crls is not None or policy.ct_logs or evidence.ocsp_response is not None
    path = direct_path(leaf, others, trust) if asks_others else [leaf]
    if policy.pins:
        _check_pins([leaf], policy)
    _check_staple(evidence, path, now, policy, must_staple=must_staple)
    if policy.crls is not None:
        policy.crls.check_named_leaf(path, now, profile=policy.profile)
    if policy.ct_logs and name is not None:
        _check_timestamps(evidence, path, now, policy)


def _anchors_by_records(
    policy: CertificatePolicy, leaf: x509.Certificate, others: Sequence[x509.Certificate]
) -> TrustStore:
    """Return the authorities of TLSA records, which replace the trust store (RFC 7671 5.2)."""
    anchors = matching_anchors(policy.tlsa, others)
    if not anchors:
        count = len(policy.tlsa)
        plural = "" if count == 1 else "s"
        detail = f'{count} record{plural}, and "{tlsa_of(leaf)}" would name {subject_of(leaf)}'
        if all(record.usage == DANE_TA for record in policy.tlsa):
            raise CertificateError(
                Fault.TLSA_MISMATCH,
                detail,
                sentence="The server did not send the authority that a TLSA record names: it must "
                f"be in its chain. ({detail})",
                fix=advice(
                    "Send the authority's certificate with the chain, or publish records for the "
                    "one in use.",
                    Fault.TLSA_MISMATCH.value.fix_local,
                ),
            )
        raise CertificateError(Fault.TLSA_MISMATCH, detail)
    return TrustStore.from_certificates(anchors)


def _readable_extensions(leaf: x509.Certificate) -> profile.Extensions:
    """Return the leaf's extensions; the verifier skips those that it does not need, the rules do
    not.
    """
    try:
        return profile.extensions_of(leaf)
    except Exception as error:
        detail = f"the extensions of {subject_of(leaf)} cannot be read"
        raise CertificateError(Fault.BAD_CERTIFICATE, detail) from error


def _check_costs(
    others: Sequence[x509.Certificate], ders: Sequence[bytes], trust: TrustStore
) -> None:
    """Refuse an issuer with a key that is slow to verify with, even if it is not needed."""
    for certificate, der in zip(others, ders, strict=True):
        if profile.known_authority(der, trust) is None:
            cost = profile.cost_of(certificate)
            if cost:
                detail = f"{subject_of(certificate)} has {cost}"
                raise CertificateError(Fault.UNSUPPORTED_CERTIFICATE, detail)


def _check_policy(
    evidence: Evidence,
    path: Sequence[x509.Certificate],
    name: str | None,
    now: datetime,
    policy: CertificatePolicy,
    *,
    must_staple: bool,
) -> list[datetime]:
    """Check the requirements of the policy; return until when the evidence of others is valid."""
    ends: list[datetime] = []
    if policy.pins:
        _check_pins(path, policy)
    if (end := _check_staple(evidence, path, now, policy, must_staple=must_staple)) is not None:
        ends.append(end)
    crls, profile = policy.crls, policy.profile
    if crls is not None and (end := crls.check(path, now, profile=profile)) is not None:
        ends.append(end)
    if policy.ct_logs and name is not None:
        _check_timestamps(evidence, path, now, policy)
    return ends


def _check_staple(
    evidence: Evidence,
    path: Sequence[x509.Certificate],
    now: datetime,
    policy: CertificatePolicy,
    *,
    must_staple: bool,
) -> datetime | None:
    if policy.stapled_ocsp == "ignore":
        return None
    if evidence.ocsp_response is not None:
        return check_staple(evidence.ocsp_response, path, now)
    if must_staple or policy.stapled_ocsp == "require":
        raise CertificateError(Fault.OCSP_RESPONSE_MISSING, subject_of(path[0]))
    return None


def _check_timestamps(
    evidence: Evidence, path: Sequence[x509.Certificate], now: datetime, policy: CertificatePolicy
) -> None:
    found = valid_timestamps(path, evidence.sct_list, evidence.ocsp_response, policy.ct_logs, now)
    if len(found) < policy.required_timestamps:
        detail = f"{len(found)} of {policy.required_timestamps} that are required"
        raise CertificateError(Fault.TIMESTAMPS_MISSING, detail)


def _check_pins(path: Sequence[x509.Certificate], policy: CertificatePolicy) -> None:
    if policy.pins and not any(pin_of(certificate) in policy.pins for certificate in path):
        raise CertificateError(Fault.PIN_MISMATCH, f"the pin of its key is {pin_of(path[0])}")
