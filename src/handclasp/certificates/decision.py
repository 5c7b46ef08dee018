"""The trust decision itself, in this order; the first no is final.

1. Every certificate can be read, and no key is too weak or too slow to verify with.
2. A path leads from the leaf to an anchor (`path`, by cryptography.x509.verification). TLSA records
   that the user gave take the anchors' place, or say that this is the leaf (`dane`).
3. The certificates on the path have the form that the profile asks for.
4. The user's policy agrees: pins, revocation, transparency.

All but the second are rules of the one list (`rules.listing`), which the explanation runs as well.
Where the answer is no, the error says why (`refusal`).

This module and those that it goes by import cryptography.x509 at once, so it is imported only when
the first chain is verified.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.x509.verification import VerificationError

from handclasp.certificates.advising import advised
from handclasp.certificates.credentials import spki_is_pss
from handclasp.certificates.dane import matching_leaf
from handclasp.certificates.evidence import Evidence, parse, read_all_names
from handclasp.certificates.names import ANY_NAME
from handclasp.certificates.path import build_path
from handclasp.certificates.policy import CertificatePolicy
from handclasp.certificates.refusal import refusal, refused
from handclasp.certificates.rules import Context, listing
from handclasp.certificates.rules.policy import path_by_record, trust_by_records
from handclasp.certificates.rules.rule import Excused, Held, Problem, Rule, Way
from handclasp.certificates.seen import Seen
from handclasp.certificates.trust import TrustStore
from handclasp.crypto.signatures import key_kind
from handclasp.errors import CertificateError, ConfigurationError
from handclasp.faults import Fault

_MOST_KEPT = 2**14
"""Bytes of a certificate that is worth keeping: the peer may pad it with anything."""

_BESIDES = 600
"""Bytes that the objects of a kept issuer take besides its certificate."""


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


class KnownIssuer(NamedTuple):
    """An issuer that keeps the rules for issuers.

    It recurs from one connection to the next, so it is remembered by the trust store that it led
    to, for the profile and the role that it was checked for.
    """

    der: bytes
    not_before: datetime
    not_after: datetime


def _decide_chain(
    evidence: Evidence,
    trust: TrustStore,
    name: str | None,
    now: datetime,
    policy: CertificatePolicy,
) -> VerificationResult:
    chain, rules = evidence.chain, listing.RULES.decided
    leaf, *others = certificates = parse(chain)
    context = Context(trust, (name,) if name else (), now, policy, any_name=name == ANY_NAME)
    seen = context.view(leaf, chain[0])
    _require(rules.leaf_first, seen, context, chain)
    public_key = seen.key
    is_pss = key_kind(public_key) == "rsa" and spki_is_pss(leaf)
    if policy.tlsa:
        if matching_leaf(policy.tlsa, leaf) is not None:
            read_all_names(certificates, chain)
            _check_named_leaf(evidence, seen, others, context)
            return VerificationResult(public_key, is_pss, chain[:1], None)
        trust = _anchors_by_records(policy, leaf, others)
        context = context.afresh(trust=trust)
        seen = context.view(leaf, chain[0])
    for other, der in zip(others, chain[1:], strict=True):
        if der not in context.views and _known_issuer(der, context) is None:
            _require(rules.sent_first, context.view(other, der), context, chain)
    try:
        names = seen.issuer_name, seen.subject_name
        path = build_path(leaf, others, trust, name, now, policy, chain, names)
    except Exception as error:
        # The verifier's own words are in it, where no rule says more.
        cause = None if isinstance(error, VerificationError) else error
        raise refusal(certificates, context, evidence, error) from cause
    read_all_names(certificates, chain)
    _require(rules.leaf, seen, context, chain)
    ders = {id(other): der for other, der in zip(others, chain[1:], strict=True)}
    issuers = [
        _checked_issuer(each, ders.get(id(each)) or trust.anchor_der(each), context, chain)
        for each in path[1:]
    ]
    ends = _require(rules.way, Way(seen, path, evidence), context, chain)
    not_before = max([leaf.not_valid_before_utc, *[issuer.not_before for issuer in issuers]])
    not_after = min([leaf.not_valid_after_utc, *[issuer.not_after for issuer in issuers], *ends])
    _keep_issuers(issuers, context)
    path_der = (chain[0], *[issuer.der for issuer in issuers])
    return VerificationResult(public_key, is_pss, path_der, (not_before, not_after))


def _require(
    rules: Iterable[Rule[Any]], target: object, context: Context, chain: Sequence[bytes]
) -> list[datetime]:
    """Check the rules until one is broken; return until when the evidence of others is valid.

    Raises:
        CertificateError: one is broken.
    """
    ends: list[datetime] = []
    for rule in rules:
        outcome = rule.check(target, context)
        if isinstance(outcome, Problem):
            if outcome.error is not None:
                raise outcome.error
            broken = [rule.finding(target, context, outcome)]
            raise refused(broken, advised(broken, context, chain))
        if isinstance(outcome, Held) and outcome.until is not None:
            ends.append(outcome.until)
        if rule.is_gate and isinstance(outcome, Excused):
            break
    return ends


def _check_named_leaf(
    evidence: Evidence, seen: Seen, others: Sequence[x509.Certificate], context: Context
) -> None:
    """Check a leaf that a TLSA record of usage 3 names.

    The record stands for the path, the dates and the names (RFC 7671 section 5.1), and for nothing
    else: what TLS asks of the leaf itself (RFC 8446 section 4.4.2.2), and the requirements of the
    policy, still apply.
    """
    rules, context = listing.RULES.decided, context.afresh(by_record=True)
    _require(rules.named_leaf, seen, context, evidence.chain)
    path = path_by_record(seen.certificate, others, context, evidence)
    _require(rules.policy, Way(seen, path, evidence), context, evidence.chain)


def _anchors_by_records(
    policy: CertificatePolicy, leaf: x509.Certificate, others: Sequence[x509.Certificate]
) -> TrustStore:
    found = trust_by_records(policy, leaf, others)
    if isinstance(found, TrustStore):
        return found
    raise found.error or CertificateError(Fault.TLSA_MISMATCH, found.text)


def _kind(der: bytes, context: Context) -> tuple[bytes, str, bool]:
    """Return the key under which an issuer is remembered."""
    return der, context.policy.profile, context.is_server


def _known_issuer(der: bytes, context: Context) -> KnownIssuer | None:
    return context.trust.issuers.get(_kind(der, context))


def _checked_issuer(
    certificate: x509.Certificate, der: bytes, context: Context, chain: Sequence[bytes]
) -> KnownIssuer:
    """Check an issuer on the path, unless it is known; raise what cryptography raises."""
    known = _known_issuer(der, context)
    if known is not None:
        return known
    seen = context.view(certificate, der)
    _require(listing.RULES.decided.issuer, seen, context, chain)
    return KnownIssuer(der, certificate.not_valid_before_utc, certificate.not_valid_after_utc)


def _keep_issuers(issuers: Sequence[KnownIssuer], context: Context) -> None:
    """Remember the issuers of a chain that was accepted."""
    for issuer in issuers:
        if len(issuer.der) <= _MOST_KEPT:
            kind, size = _kind(issuer.der, context), len(issuer.der) + _BESIDES
            context.trust.issuers.keep(kind, issuer, size)
