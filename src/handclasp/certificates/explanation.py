"""Why a certificate is trusted or not: every path that was tried, and every rule.

`explain` walks the same rules as the decision, one by one and in words, and never decides
anything. It runs for people, and after a refusal, to find the reason that helps most.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cryptography import x509

from handclasp.certificates.dane import matching_anchors, matching_leaf
from handclasp.certificates.describe import pin_of
from handclasp.certificates.evidence import Evidence, encoded, parse
from handclasp.certificates.names import normal_name, shown, subject_of
from handclasp.certificates.policy import CertificatePolicy
from handclasp.certificates.revocation import check_staple, demands_staple
from handclasp.certificates.rules import (
    Context,
    Finding,
    leaf_findings,
    leaf_key,
    slow_key_findings,
    step_findings,
    wildcard_findings,
)
from handclasp.certificates.transparency import valid_timestamps
from handclasp.certificates.trust import TrustStore
from handclasp.errors import CertificateError, ConfigurationError
from handclasp.faults import Fault

MAX_PATHS = 32
MAX_SIGNATURE_CHECKS = 128
"""How far a walk goes: a hostile chain can have endlessly many paths."""


@dataclass(frozen=True, slots=True)
class PathTried:
    """One way up from the leaf.

    Attributes:
        certificates: leaf first; the last is an anchor if `reaches_anchor`.
        findings: the rules of its steps.
    """

    certificates: tuple[x509.Certificate, ...]
    findings: tuple[Finding, ...]
    reaches_anchor: bool

    @property
    def held(self) -> bool:
        """Whether it reaches an anchor and no rule is broken on the way."""
        return self.reaches_anchor and not _broken(self.findings)


@dataclass(frozen=True, slots=True)
class Explanation:
    """What `explain` found.

    Attributes:
        leaf: the rules of the leaf.
        paths: the ways up that were tried, the best first.
        policy: what the policy adds, judged on the best path.
    """

    leaf: tuple[Finding, ...]
    paths: tuple[PathTried, ...]
    policy: tuple[Finding, ...]

    @property
    def accepted(self) -> bool:
        """Whether every rule is held on the best path."""
        held = not self.paths or self.paths[0].held
        return held and not _broken((*self.leaf, *self.policy))

    @property
    def broken(self) -> tuple[Finding, ...]:
        """The rules that are broken, those first that help most; empty where accepted."""
        on_path = self.paths[0].findings if self.paths else ()
        broken = _broken((*self.leaf, *on_path))
        order = sorted(broken, key=lambda finding: _rank(finding, self.leaf))
        return (*order, *_broken(self.policy))

    def to_json(self) -> dict[str, Any]:
        """Plain values: accepted, fault, reasons, fix, leaf, paths and policy.

        Each rule has: rule, about, verdict ("held", "broken" or "not applicable"), evidence,
        section, and fault where it is broken.
        """
        broken = self.broken
        return {
            "accepted": self.accepted,
            "fault": broken[0].fault.name if broken else None,
            "reasons": [finding.evidence for finding in broken],
            "fix": broken[0].fault.fix if broken else "",
            "leaf": [_to_json(finding) for finding in self.leaf],
            "paths": [
                {
                    "certificates": [subject_of(each) for each in path.certificates],
                    "reaches_anchor": path.reaches_anchor,
                    "held": path.held,
                    "rules": [_to_json(finding) for finding in path.findings],
                }
                for path in self.paths
            ],
            "policy": [_to_json(finding) for finding in self.policy],
        }


def explain(
    chain: Sequence[bytes | x509.Certificate],
    names: str | Sequence[str] | None,
    trust: TrustStore,
    time: datetime,
    *,
    policy: CertificatePolicy | None = None,
    ocsp_response: bytes | None = None,
    sct_list: bytes | None = None,
) -> Explanation:
    """Walk every rule of the decision on a chain, whether it would be accepted or not.

    Args:
        chain: the certificates, leaf first, as DER or parsed.
        names: the server's name, or several that must all be covered; None for a client.
        trust: the authorities.
        time: the time to judge by, with its time zone.
        policy: what is asked besides; the default is that of the configs.
        ocsp_response, sct_list: what came along with the leaf; a `CertificateError` has all three.

    Raises:
        CertificateError: a certificate cannot be read at all.
        ConfigurationError: a name is none, or `time` has no time zone.
    """
    if time.tzinfo is None:
        raise ConfigurationError("The time to judge by must have a time zone: datetime.now(UTC).")
    given = (names,) if isinstance(names, str) else tuple(names or ())
    der = tuple([each if isinstance(each, bytes) else encoded(each) for each in chain])
    wanted = tuple([normal_name(name) for name in given])
    context = Context(trust, wanted, time, policy or CertificatePolicy())
    return walk(parse(der), context, Evidence(der, ocsp_response, sct_list))


def walk(
    certificates: Sequence[x509.Certificate], context: Context, evidence: Evidence
) -> Explanation:
    """The same on what is parsed already."""
    try:
        return _walked(certificates, context, evidence)
    except Exception:
        # Extensions and keys are read here for the first time, and the peer wrote them.
        about = subject_of(certificates[0])
        text = f"{about} or one of its issuers cannot be read in full"
        fault = Fault.BAD_CERTIFICATE
        return Explanation((Finding("form", about, False, text, "RFC 5280 4.1", fault),), (), ())


def _walked(
    certificates: Sequence[x509.Certificate], context: Context, evidence: Evidence
) -> Explanation:
    leaf, *others = certificates
    if context.policy.tlsa:
        record = matching_leaf(context.policy.tlsa, leaf)
        if record is not None:
            text = f"{record.usage} {record.selector} {record.matching_type} names this very leaf"
            findings = (_tlsa(leaf, True, f"the record {text}"), *_pins([leaf], context))
            return Explanation((leaf_key(leaf),), (), findings)
        anchors = matching_anchors(context.policy.tlsa, others)
        if not anchors:
            findings = (_tlsa(leaf, False, f"no record names {pin_of(leaf)}"),)
            return Explanation((leaf_key(leaf),), (), findings)
        trust = TrustStore.from_certificates(anchors)
        context = Context(trust, context.names, context.now, context.policy)
    paths = sorted(_Walk(others, context).paths_from(leaf), key=_quality)
    best = paths[0]
    policy: tuple[Finding, ...] = ()
    if best.reaches_anchor:
        policy = tuple(_policy_findings(best.certificates, context, evidence))
    findings = (*leaf_findings(leaf, context), *slow_key_findings(others))
    return Explanation(findings, tuple(paths), policy)


class _Walk:
    """Looks for ways up, within bounds."""

    def __init__(self, others: Sequence[x509.Certificate], context: Context) -> None:
        self._context = context
        self._others = tuple(dict.fromkeys(others))
        self._by_subject: dict[x509.Name, list[x509.Certificate]] = {}
        for candidate in dict.fromkeys([*context.trust.anchors, *self._others]):
            self._by_subject.setdefault(candidate.subject, []).append(candidate)
        self._signed: dict[tuple[bytes, bytes], bool | None] = {}
        self._checks_left = MAX_SIGNATURE_CHECKS

    def paths_from(self, leaf: x509.Certificate) -> list[PathTried]:
        """The ways up, of which there is at least one, if only to say that it ends at once."""
        found: list[PathTried] = []
        for path in self._extended((leaf,), ()):
            found.append(path)
            if len(found) >= MAX_PATHS:
                break
        return found

    def _extended(
        self, path: tuple[x509.Certificate, ...], findings: tuple[Finding, ...]
    ) -> Iterator[PathTried]:
        current, anchors = path[-1], self._context.trust.anchors
        if current in anchors:
            more = tuple(wildcard_findings(path[0], current, self._context))
            yield PathTried(path, (*findings, *more), True)
            return
        issuers = [each for each in self._issuers(current) if each not in path]
        if not issuers:
            yield PathTried(path, (*findings, self._no_issuer(current)), False)
        most = self._context.policy.max_intermediates
        for issuer in issuers:
            if len(path) > most and issuer not in anchors:
                evidence = f"more than {most} certificates lead from the leaf to an authority"
                yield PathTried(path, (*findings, _no_anchor(current, evidence)), False)
                continue
            signed = self._is_signed(current, issuer)
            steps = step_findings(path, issuer, self._context, signed=signed)
            yield from self._extended((*path, issuer), (*findings, *steps))

    def _issuers(self, certificate: x509.Certificate) -> list[x509.Certificate]:
        candidates = self._by_subject.get(certificate.issuer, ())
        matching = [candidate for candidate in candidates if candidate != certificate]
        # In the verifier's order: those whose key is named, then those without an identifier.
        likely = sorted(matching, key=lambda issuer: _unlikeliness(certificate, issuer))
        # Those that signed it before those that only have the name.
        return sorted(likely, key=lambda issuer: not self._is_signed(certificate, issuer))

    def _is_signed(self, certificate: x509.Certificate, issuer: x509.Certificate) -> bool | None:
        """None where so many signatures were checked that this one is not."""
        key = (encoded(certificate), encoded(issuer))
        if key not in self._signed:
            self._checks_left -= 1
            left = self._checks_left >= 0
            self._signed[key] = _is_signed(certificate, issuer) if left else None
        return self._signed[key]

    def _no_issuer(self, certificate: x509.Certificate) -> Finding:
        about = subject_of(certificate)
        if certificate.subject == certificate.issuer:
            evidence = f"{about} is self-signed and not among the trusted authorities"
            return _no_anchor(certificate, evidence)
        issuer = shown(certificate.issuer.rfc4514_string() or "(no name)")
        sent = "nor was it sent" if self._others else "no intermediate certificate was sent"
        evidence = f"the issuer of {about}, {issuer}, is not trusted here, and {sent}"
        return _no_anchor(certificate, evidence)


def _no_anchor(certificate: x509.Certificate, evidence: str) -> Finding:
    fault = Fault.CERTIFICATE_UNTRUSTED
    return Finding("anchor", subject_of(certificate), False, evidence, "RFC 5280 6.1", fault)


def _unlikeliness(certificate: x509.Certificate, issuer: x509.Certificate) -> int:
    wanted = _identifier(certificate, x509.AuthorityKeyIdentifier, "key_identifier")
    own = _identifier(issuer, x509.SubjectKeyIdentifier, "digest")
    if wanted is None or own is None:
        return 1
    return 0 if wanted == own else 2


def _identifier(certificate: x509.Certificate, kind: type[Any], attribute: str) -> Any:
    try:
        return getattr(certificate.extensions.get_extension_for_class(kind).value, attribute)
    except Exception:
        return None  # It is missing, or the extensions cannot be read, which is told elsewhere.


def _is_signed(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except Exception:
        return False
    return True


def _quality(path: PathTried) -> tuple[int, bool, int, int]:
    """Paths by what they lack: the first to tell about is the one that came closest.

    Of several without a fault, it is the first that was found, as with the verifier. That one
    does not know the rules of the profile yet.
    """
    broken = [each for each in _broken(path.findings) if each.rule not in _AFTER_THE_PATH]
    unsigned = sum(finding.rule == "signature" for finding in broken)
    length = -len(path.certificates) if broken else 0
    return unsigned, not path.reaches_anchor, len(broken), length


def _policy_findings(
    path: Sequence[x509.Certificate], context: Context, evidence: Evidence
) -> Iterator[Finding]:
    policy, leaf, now = context.policy, path[0], context.now
    if policy.tlsa:
        yield _tlsa(leaf, True, f"a record names the authority {subject_of(path[-1])}")
    yield from _pins(path, context)
    if policy.stapled_ocsp != "ignore":
        yield _staple(path, context, evidence)
    if policy.crls is not None:
        lists = policy.crls
        yield _checked("CRL", leaf, "RFC 5280 6.3", lambda: lists.check(path, now))
    if policy.ct_logs and context.names:
        yield _timestamps(path, context, evidence)


def _timestamps(path: Sequence[x509.Certificate], context: Context, evidence: Evidence) -> Finding:
    policy, about = context.policy, subject_of(path[0])
    rule, section, fault = "timestamps", "RFC 6962 3", Fault.TIMESTAMPS_MISSING
    try:
        valid = valid_timestamps(
            path, evidence.sct_list, evidence.ocsp_response, policy.ct_logs, context.now
        )
    except CertificateError as error:
        text = error.detail or error.fault_member.sentence
        return Finding(rule, about, False, text, section, error.fault_member)
    text = f"{len(valid)} of {policy.required_timestamps} that are required"
    return Finding(rule, about, len(valid) >= policy.required_timestamps, text, section, fault)


def _tlsa(leaf: x509.Certificate, held: bool, evidence: str) -> Finding:
    fault = Fault.TLSA_MISMATCH
    return Finding("TLSA", subject_of(leaf), held, evidence, "RFC 7671 5", fault)


def _pins(path: Sequence[x509.Certificate], context: Context) -> Iterator[Finding]:
    if context.policy.pins:
        matching = [subject_of(each) for each in path if pin_of(each) in context.policy.pins]
        evidence = matching[0] if matching else f"the pin of its key is {pin_of(path[0])}"
        about, fault = subject_of(path[0]), Fault.PIN_MISMATCH
        yield Finding("pins", about, bool(matching), evidence, "RFC 7469 2.6", fault)


def _staple(path: Sequence[x509.Certificate], context: Context, evidence: Evidence) -> Finding:
    leaf, response = path[0], evidence.ocsp_response
    if response is not None:
        return _checked(
            "OCSP staple", leaf, "RFC 6960 3.2", lambda: check_staple(response, path, context.now)
        )
    demanded = context.policy.stapled_ocsp == "require" or (
        bool(context.names) and demands_staple(leaf)
    )
    about, fault = subject_of(leaf), Fault.OCSP_RESPONSE_MISSING
    held, text = (False, f"{about} came without one") if demanded else (None, "none was stapled")
    return Finding("OCSP staple", about, held, text, "RFC 7633 4.2.3", fault)


def _checked(
    rule: str, leaf: x509.Certificate, section: str, check: Callable[[], datetime | None]
) -> Finding:
    about = subject_of(leaf)
    try:
        until = check()
    except CertificateError as error:
        text = error.detail or error.fault_member.sentence
        return Finding(rule, about, False, text, section, error.fault_member)
    text = f"good until {until:%Y-%m-%d %H:%M} UTC" if until is not None else "none covers it"
    return Finding(rule, about, True, text, section, Fault.REVOCATION_UNKNOWN)


def _broken(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    return tuple([finding for finding in findings if finding.held is False])


_TOLD_FIRST = ("key", "readable", "cost of keys", "dates", "names")
_ON_THE_WAY = len(_TOLD_FIRST)
_REST_OF_LEAF = _ON_THE_WAY + 1
_AFTER_THE_PATH = {"common name": 1, "wildcard": 2, "issuer readable": 3, "identifiers": 3}
"""The rules of the profile, which the decision asks about in this order once it has a path."""


def _rank(finding: Finding, leaf: Sequence[Finding]) -> int:
    """The leaf's key, dates and names, then the way up, then the rest of the leaf."""
    if finding.rule in _AFTER_THE_PATH:
        return _REST_OF_LEAF + _AFTER_THE_PATH[finding.rule]
    if finding not in leaf:
        return _ON_THE_WAY
    return _TOLD_FIRST.index(finding.rule) if finding.rule in _TOLD_FIRST else _REST_OF_LEAF


def _to_json(finding: Finding) -> Mapping[str, str | None]:
    verdict = {True: "held", False: "broken", None: "not applicable"}[finding.held]
    return {
        "rule": finding.rule,
        "about": finding.about,
        "verdict": verdict,
        "evidence": finding.evidence,
        "section": finding.section,
        "fault": finding.fault.name if finding.held is False else None,
    }
