"""The rules for keys: strong enough, of a kind that is supported, and not slow to verify with."""

from __future__ import annotations

from handclasp.certificates.describe import key_type_of
from handclasp.certificates.key_bounds import MIN_RSA_BITS, cost_problem, leaf_key_problem
from handclasp.certificates.rules.rule import (
    UNASKED,
    Checked,
    Context,
    IssuerRule,
    LeafRule,
    Outcome,
    Problem,
    Rank,
    SentRule,
)
from handclasp.certificates.seen import Seen
from handclasp.crypto.signatures import key_kind
from handclasp.faults import Fault

_SECTION = "RFC 8446 4.4.2.2"
_FIELD = "subjectPublicKeyInfo"


def _key_text(certificate: Seen, context: Context) -> str:
    size = getattr(certificate.key, "key_size", None)
    return key_type_of(certificate.certificate) + (f", {size} bits" if size else "")


def _unreadable(certificate: Seen) -> str:
    return f"the key of {certificate.about} cannot be read"


def _leaf_key(leaf: Seen, context: Context) -> Outcome:
    """Check that TLS 1.3 can use the leaf's key, and that it is strong enough."""
    if leaf.key is None:
        return Problem(_unreadable(leaf))
    problem = leaf_key_problem(leaf.certificate, leaf.der, leaf.key)
    return Problem(f"{leaf.about} has {problem}") if problem else None


LEAF_KEY = LeafRule(
    name="key",
    section=_SECTION,
    fault=Fault.UNSUPPORTED_CERTIFICATE,
    field=_FIELD,
    checked=Checked.FIRST,
    rank=Rank.KEY,
    is_for_records=True,
    check=_leaf_key,
    evidence=_key_text,
)


def _cost(other: Seen, context: Context) -> Outcome:
    """Check that a key is not slow to verify with, even if it is not needed."""
    # Nothing can be verified with a key that cannot be read; the path may do without it.
    problem = cost_problem(other.key) if other.key is not None else ""
    return Problem(f"{other.about} has {problem}") if problem else UNASKED


COST = SentRule(
    name="cost of keys",
    section=_SECTION,
    fault=Fault.UNSUPPORTED_CERTIFICATE,
    field=_FIELD,
    checked=Checked.FIRST,
    rank=Rank.COST,
    check=_cost,
)


def _issuer_key(issuer: Seen, context: Context) -> Outcome:
    key = issuer.key
    if key is None:
        return Problem(_unreadable(issuer), Fault.BAD_CERTIFICATE)
    problem = cost_problem(key)
    # The verifier counts whole bytes, so that a few bits less than 2048 pass.
    if not problem and key_kind(key) == "rsa" and key.key_size < MIN_RSA_BITS - 8:
        problem = f"an RSA key of {key.key_size} bits"
    return Problem(f"{issuer.about} has {problem}") if problem else None


ISSUER_KEY = IssuerRule(
    name="key",
    section=_SECTION,
    fault=Fault.UNSUPPORTED_CERTIFICATE,
    field=_FIELD,
    checked=Checked.BY_VERIFIER,
    check=_issuer_key,
    evidence=_key_text,
)
