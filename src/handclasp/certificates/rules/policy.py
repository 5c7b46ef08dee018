"""The rules that the user's policy adds: TLSA records, pins, revocation and transparency."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial

from cryptography import x509

from handclasp.certificates.dane import (
    DANE_TA,
    matching_anchors,
    matching_leaf,
)
from handclasp.certificates.describe import pin_of, tlsa_of
from handclasp.certificates.evidence import Evidence
from handclasp.certificates.names import subject_of
from handclasp.certificates.path import direct_path
from handclasp.certificates.policy import CertificatePolicy
from handclasp.certificates.revocation import check_staple, demands_staple
from handclasp.certificates.rules.rule import (
    UNASKED,
    Checked,
    Context,
    Excused,
    Held,
    Outcome,
    PolicyRule,
    Problem,
    Way,
)
from handclasp.certificates.transparency import valid_timestamps
from handclasp.certificates.trust import TrustStore
from handclasp.errors import CertificateError
from handclasp.faults import Fault, advice


def trust_by_records(
    policy: CertificatePolicy, leaf: x509.Certificate, others: Sequence[x509.Certificate]
) -> TrustStore | Problem:
    """Return the authorities of TLSA records, which replace the trust store (RFC 7671 5.2)."""
    anchors = matching_anchors(policy.tlsa, others)
    if anchors:
        return TrustStore.from_certificates(anchors)
    count = len(policy.tlsa)
    plural = "" if count == 1 else "s"
    detail = f'{count} record{plural}, and "{tlsa_of(leaf)}" would name {subject_of(leaf)}'
    error = CertificateError(Fault.TLSA_MISMATCH, detail)
    if all(record.usage == DANE_TA for record in policy.tlsa):
        error = CertificateError(
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
    return Problem(detail, error=error)


def _records(way: Way, context: Context) -> Outcome:
    records = context.policy.tlsa
    if not records:
        return UNASKED
    record = matching_leaf(records, way.path[0]) if context.by_record else None
    if record is not None:
        numbers = f"{record.usage} {record.selector} {record.matching_type}"
        return Held(f"the record {numbers} names this very leaf")
    return Held(f"a record names the authority {subject_of(way.path[-1])}")


TLSA = PolicyRule(
    name="TLSA",
    section="RFC 7671 5",
    fault=Fault.TLSA_MISMATCH,
    checked=Checked.FIRST,
    check=_records,
)


def _pins(way: Way, context: Context) -> Outcome:
    pins = context.policy.pins
    if not pins:
        return UNASKED
    # Where a record names the leaf, its issuer need not be trusted.
    path = way.path[:1] if context.by_record else way.path
    matching = next((each for each in path if pin_of(each) in pins), None)
    if matching is None:
        return Problem(f"the pin of its key is {pin_of(path[0])}")
    return Held(subject_of(matching))


PINS = PolicyRule(
    name="pins",
    section="RFC 7469 2.6",
    fault=Fault.PIN_MISMATCH,
    check=_pins,
)


def _evidence_of_others(check: Callable[[], datetime | None]) -> Outcome:
    """Return the outcome of a check that returns until when the evidence is valid."""
    try:
        until = check()
    except CertificateError as error:
        return _problem_of(error)
    text = f"good until {until:%Y-%m-%d %H:%M} UTC" if until is not None else "none covers it"
    return Held(text, until)


def _problem_of(error: CertificateError) -> Problem:
    fault = error.fault
    return Problem(error.detail or fault.sentence, fault, error=error)


def _staple(way: Way, context: Context) -> Outcome:
    response = way.evidence.ocsp_response
    if response is None or context.policy.stapled_ocsp == "ignore":
        return UNASKED
    return _evidence_of_others(lambda: check_staple(response, way.path, context.now))


STAPLE = PolicyRule(
    name="OCSP staple",
    section="RFC 6960 3.2",
    fault=Fault.REVOCATION_UNKNOWN,
    check=_staple,
)


def _staple_missing(way: Way, context: Context) -> Outcome:
    mode = context.policy.stapled_ocsp
    if way.evidence.ocsp_response is not None or mode == "ignore":
        return UNASKED
    is_demanded = (
        context.is_server
        and way.leaf.entry(x509.TLSFeature) is not None
        and demands_staple(way.leaf.certificate)
    )
    if mode != "require" and not is_demanded:
        return _NONE_NEEDED
    if is_demanded:
        demand = "its own TLS feature extension demands one (must-staple)"
        return Problem(f"{way.leaf.about} came without one, and {demand}", field=STAPLE_FIELD)
    return Problem(f"{way.leaf.about} came without one, and this end requires one")


STAPLE_FIELD = "tlsfeature"
"""The extension by which a certificate itself demands a stapled response (RFC 7633)."""

_NONE_NEEDED = Excused("none was stapled")

STAPLE_MISSING = PolicyRule(
    name="OCSP staple",
    section="RFC 7633 4.2.3",
    fault=Fault.OCSP_RESPONSE_MISSING,
    check=_staple_missing,
)


def _lists(way: Way, context: Context) -> Outcome:
    crls, profile = context.policy.crls, context.policy.profile
    if crls is None:
        return UNASKED
    check = crls.check_named_leaf if context.by_record else crls.check
    return _evidence_of_others(partial(check, way.path, context.now, profile=profile))


CRLS = PolicyRule(
    name="CRL",
    section="RFC 5280 6.3",
    fault=Fault.REVOCATION_UNKNOWN,
    check=_lists,
)


def _timestamps(way: Way, context: Context) -> Outcome:
    policy, evidence = context.policy, way.evidence
    if not policy.ct_logs or not context.is_server:
        return UNASKED
    try:
        valid = valid_timestamps(
            way.path, evidence.sct_list, evidence.ocsp_response, policy.ct_logs, context.now
        )
    except CertificateError as error:
        return _problem_of(error)
    text = f"{len(valid)} of {policy.required_timestamps} that are required"
    return Held(text) if len(valid) >= policy.required_timestamps else Problem(text)


TIMESTAMPS = PolicyRule(
    name="timestamps",
    section="RFC 6962 3",
    fault=Fault.TIMESTAMPS_MISSING,
    check=_timestamps,
)


def path_by_record(
    leaf: x509.Certificate,
    others: Sequence[x509.Certificate],
    context: Context,
    evidence: Evidence,
) -> Sequence[x509.Certificate]:
    """Return the path of a leaf that a TLSA record names: it alone, or with its issuer.

    The issuer determines the accepted signers of others' evidence, and need not be trusted.
    """
    policy = context.policy
    asks = policy.crls is not None or policy.ct_logs or evidence.ocsp_response is not None
    return direct_path(leaf, others, context.trust) if asks else [leaf]
