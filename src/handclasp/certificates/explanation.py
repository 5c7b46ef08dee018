"""The explanation why a certificate is trusted or not: every path that was tried, and every rule.

`explain` asks the decision, and walks the same rules in words, one by one. The verdict is always
that of the decision: where no rule tells the reason, because the walk ends at its bounds or knows
less than the verifier, the decision's own words do; where the walk comes to another end on a chain
that is accepted, it gets the verified path.

A walk alone runs after a refusal, to find the reason that helps most.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Any

from cryptography import x509

from handclasp.certificates.advising import Advised, advised
from handclasp.certificates.dane import matching_anchors, matching_leaf
from handclasp.certificates.describe import pin_of, tlsa_of
from handclasp.certificates.evidence import (
    Evidence,
    chain_of,
    encoded,
    parse,
    read_all_names,
)
from handclasp.certificates.names import MOST_EXTENSIONS, normal_name, subject_of
from handclasp.certificates.path import (
    MOST_SIGNED,
    IssuersLeftOutError,
    direct_path,
    is_signed_by,
)
from handclasp.certificates.policy import CertificatePolicy
from handclasp.certificates.reading import load_certificate
from handclasp.certificates.revocation import check_staple, demands_staple
from handclasp.certificates.rules import (
    Context,
    Finding,
    leaf_findings,
    leaf_key,
    mismatches_unread,
    named_leaf_findings,
    slow_key_findings,
    step_findings,
    wildcard_findings,
)
from handclasp.certificates.seen import Seen
from handclasp.certificates.transparency import valid_timestamps
from handclasp.certificates.trust import TrustStore
from handclasp.certificates.verify import check_what_to_judge_by
from handclasp.errors import CertificateError, ConfigurationError
from handclasp.faults import Fault

if TYPE_CHECKING:
    from handclasp.certificates.decision import VerificationResult

MAX_PATHS = 32
MAX_SIGNATURE_CHECKS = 128
MAX_SIGNED_BYTES = MOST_SIGNED
"""The bound of a walk: a hostile chain can have endlessly many paths. What is signed is written and
digested anew for each check.
"""

_MOST_USELESS = 2
"""Certificates that are named of those that were sent and lead nowhere."""

MAX_PATHS_OF_A_REFUSAL = 8
MAX_CHECKS_OF_A_REFUSAL = 32
MAX_BYTES_OF_A_REFUSAL = 2**15
"""The same for the wording of a refusal, which strangers can ask for; one check is always made."""

MAX_EXTENSIONS_OF_A_REFUSAL = MOST_EXTENSIONS
"""Bytes of extensions that are read for that wording, from the leaf on, unless nothing is found to
be wrong without the others: then an authority signed what is left, and no stranger."""


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
    """The result of `explain`.

    Attributes:
        leaf: the rules of the leaf.
        paths: the ways up that were tried, the best first.
        policy: the requirements of the policy, checked on the best path.
        advised: where a rule is broken, what to change and whose fault it is.
        accepted: whether the chain is accepted: the verdict of the decision.
        fault: the decision's, where the chain is refused.
    """

    leaf: tuple[Finding, ...]
    paths: tuple[PathTried, ...]
    policy: tuple[Finding, ...]
    advised: Advised | None = None
    accepted: bool = False
    fault: Fault | None = None

    @property
    def broken(self) -> tuple[Finding, ...]:
        """The rules that are broken, those first that help most; empty where accepted."""
        on_path = self.paths[0].findings if self.paths else ()
        broken = _broken((*self.leaf, *on_path))
        of_leaf = set(map(id, self.leaf))
        order = sorted(broken, key=lambda finding: _rank(finding, of_leaf))
        found = (*order, *_broken(self.policy))
        if self.fault is None:
            return found
        return tuple(sorted(found, key=lambda finding: finding.fault is not self.fault))

    def to_json(self) -> dict[str, Any]:
        """Return plain values: accepted, fault, reasons, fix, leaf, paths and policy.

        Each rule has: rule, about, verdict ("held", "broken" or "not applicable"), evidence,
        section, and fault where it is broken.
        """
        broken = self.broken
        certificates = {id(each): each for path in self.paths for each in path.certificates}
        subjects = {key: subject_of(each) for key, each in certificates.items()}
        return {
            "accepted": self.accepted,
            "fault": broken[0].fault.name if broken else None,
            "reasons": [finding.evidence for finding in broken],
            "fix": self.advised.fix if self.advised else "",
            "leaf": [_to_json(finding) for finding in self.leaf],
            "paths": [
                {
                    "certificates": [subjects[id(each)] for each in path.certificates],
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
    by_clock: bool = True,
) -> Explanation:
    """Verify a chain, and check every rule on it, whether it is accepted or not.

    Args:
        chain: the certificates, leaf first, as DER or parsed.
        names: the server's name, or several that must all be covered; None for a client.
        trust: the authorities.
        time: the time of the verification, with its time zone. policy: the further requirements;
        the default is that of the configs.
        ocsp_response, sct_list: what came along with the leaf; a `CertificateError` has all three.
        by_clock: whether `time` is what the clock of this machine shows; otherwise that clock is
            neither doubted nor blamed.

    Raises:
        CertificateError: a certificate, or a name in it, cannot be read at all.
        ConfigurationError: a name is none, there are none in `names`, or `time` has no time zone.
    """
    policy = CertificatePolicy() if policy is None else policy
    check_what_to_judge_by(trust, time, policy)
    given: tuple[Any, ...] = () if names is None else (names,)
    if isinstance(names, Iterable) and not isinstance(names, str | bytes):
        given = tuple(names)
        if not given:
            raise ConfigurationError(
                "explain needs at least one name of the server; None alone says that this is a "
                "client's certificate."
            )
    der = chain_of(chain)
    wanted = tuple([normal_name(name) for name in given])
    context = Context(trust, wanted, time, policy, by_clock=by_clock)
    certificates = parse(der)
    evidence = Evidence(der, ocsp_response, sct_list)
    decision = _decision(evidence, context)
    if isinstance(decision, CertificateError) and decision.fault is Fault.BAD_CERTIFICATE:
        read_all_names(certificates, der)
    return walk(certificates, context, evidence, decision)


def _decision(evidence: Evidence, context: Context) -> VerificationResult | CertificateError:
    """Return the decision for all names; the first refusal is final."""
    # Imported late, as a refusal of the decision comes here for its words.
    from handclasp.certificates.decision import decide

    try:
        found = [
            decide(evidence, context.trust, name, context.now, context.policy)
            for name in context.names or (None,)
        ]
    except CertificateError as error:
        return error
    return found[0]


def _with_verdict(
    told: Explanation, decision: VerificationResult | CertificateError | None
) -> Explanation:
    """Return the findings of a walk with the verdict of the decision, if there is one yet."""
    if decision is None:
        return told
    if isinstance(decision, CertificateError):
        fault = decision.fault
        broken = _broken(
            (*told.leaf, *(told.paths[0].findings if told.paths else ()), *told.policy)
        )
        named = any(finding.fault is fault for finding in broken)
        if named and not isinstance(decision.__cause__, IssuersLeftOutError):
            return replace(told, fault=fault)
        about = told.leaf[0].about
        text = decision.detail or fault.sentence
        reason = Finding("decision", about, False, text, "RFC 5280 6", fault)
        return replace(told, leaf=(*told.leaf, reason), fault=fault)
    paths = told.paths
    if not paths and decision.holds is not None:  # The walk failed at something in the chain.
        path = tuple([load_certificate(der) for der in decision.path])
        paths = (PathTried(path, (), reaches_anchor=True),)
    if paths:
        paths = (replace(paths[0], findings=_overruled(paths[0].findings)), *paths[1:])
    leaf, policy = _overruled(told.leaf), _overruled(told.policy)
    return replace(told, leaf=leaf, paths=paths, policy=policy, accepted=True)


def _overruled(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return the findings without refusals of a chain that the decision accepts: the verifier
    decides.
    """
    return tuple(
        [
            replace(each, held=None, evidence=f"{each.evidence}; the decision accepts it")
            if each.held is False
            else each
            for each in findings
        ]
    )


def walk(
    certificates: Sequence[x509.Certificate],
    context: Context,
    evidence: Evidence,
    decision: VerificationResult | CertificateError | None = None,
) -> Explanation:
    """Check every rule on certificates that are already parsed.

    Args:
        decision: None for the words of a refusal, which has no path: then the policy played no
            part, and less is checked. Else the path of a yes is the first.
    """
    try:
        told = _with_verdict(_walked(certificates, context, evidence, decision), decision)
        return _with_advice(told, context, evidence)
    except Exception:
        # Extensions and keys are read here for the first time, and the peer wrote them.
        about = subject_of(certificates[0])
        text = f"{about} or one of its issuers cannot be read in full"
        finding = Finding("form", about, False, text, "RFC 5280 4.1", Fault.BAD_CERTIFICATE)
        told = _with_verdict(Explanation((finding,), (), ()), decision)
        return _with_advice(told, context, evidence)


def _with_advice(told: Explanation, context: Context, evidence: Evidence) -> Explanation:
    broken = told.broken
    if not broken:
        return told
    said = advised(broken, context, evidence.chain)
    # Written out, as `replace` takes longer, and every refusal comes by.
    return Explanation(told.leaf, told.paths, told.policy, said, told.accepted, told.fault)


def _walked(
    certificates: Sequence[x509.Certificate],
    context: Context,
    evidence: Evidence,
    decision: VerificationResult | CertificateError | None,
) -> Explanation:
    leaf, *others = certificates
    if context.policy.tlsa:
        record = matching_leaf(context.policy.tlsa, leaf)
        if record is not None:
            text = f"{record.usage} {record.selector} {record.matching_type} names this very leaf"
            seen = Seen(leaf, evidence.chain[0], context.trust)
            own = tuple(named_leaf_findings(seen, context))
            if seen.all_extensions is None:
                return Explanation(own, (), ())
            findings = (
                _tlsa(leaf, True, f"the record {text}"),
                *_pins([leaf], context),
                *_policy_of_named_leaf(leaf, others, context, evidence),
            )
            return Explanation(own, (), findings)
        anchors = matching_anchors(context.policy.tlsa, others)
        if not anchors:
            text = f'no record names it; "{tlsa_of(leaf)}" would'
            findings = (_tlsa(leaf, False, text),)
            return Explanation(
                (leaf_key(Seen(leaf, evidence.chain[0], context.trust)),), (), findings
            )
        trust = TrustStore.from_certificates(anchors)
        context = context.afresh(trust)
    if decision is None:
        return _refused(certificates, context, evidence)
    walk = _Walk(certificates, evidence.chain, context)
    told = walk.explanation(() if isinstance(decision, CertificateError) else decision.path)
    best = told.paths[0]
    if not best.reaches_anchor:
        return told
    return replace(told, policy=tuple(_policy_findings(best.certificates, context, evidence)))


def _refused(
    certificates: Sequence[x509.Certificate], context: Context, evidence: Evidence
) -> Explanation:
    """Return the findings for a chain without a path, with as little reading as possible."""
    walk = _Walk(certificates, evidence.chain, context, is_refused=True)
    told = walk.explanation()
    if told.broken or not walk.lacked:
        return told
    mismatches = mismatches_unread(walk.leaf, context)
    if mismatches:
        return replace(told, leaf=(*told.leaf, *mismatches))
    # What was found out without reading all must not be taken for the whole.
    afresh = context.afresh(context.trust)
    walk = _Walk(certificates, evidence.chain, afresh, is_refused=True, reads_all=True)
    return walk.explanation()


class _Walk:
    """Looks for ways up, within bounds."""

    def __init__(
        self,
        certificates: Sequence[x509.Certificate],
        chain: Sequence[bytes],
        context: Context,
        *,
        is_refused: bool = False,
        reads_all: bool = False,
    ) -> None:
        self._context = context
        self._is_bounded = is_refused and not reads_all
        self._extensions_left = MAX_EXTENSIONS_OF_A_REFUSAL
        self._seen: dict[bytes, Seen] = {}
        self.leaf, *self.others = map(self._see, certificates, chain)
        self._by_subject: dict[bytes, list[Seen]] = {}
        for other in dict.fromkeys(self.others):
            self._by_subject.setdefault(other.subject_name, []).append(other)
        self._signed: dict[tuple[Seen, bytes], bool | None] = {}
        self._issuers_of: dict[Seen, list[Seen]] = {}
        self._max_paths = MAX_PATHS_OF_A_REFUSAL if is_refused else MAX_PATHS
        self._checks_left = MAX_CHECKS_OF_A_REFUSAL if is_refused else MAX_SIGNATURE_CHECKS
        self._bytes_left = MAX_BYTES_OF_A_REFUSAL if is_refused else MAX_SIGNED_BYTES

    @property
    def lacked(self) -> bool:
        """Whether something was asked for that was left unread."""
        return any(each.lacked for each in self._seen.values())

    def explanation(self, convinced: Sequence[bytes] = ()) -> Explanation:
        """Return the explanation without the policy. The path that was accepted comes first."""
        paths = sorted(self.paths(), key=_quality)
        if convinced:
            paths = self._with_first(convinced, paths)
        findings = (*leaf_findings(self.leaf, self._context), *slow_key_findings(self.others))
        return Explanation(findings, tuple(paths), ())

    def paths(self) -> list[PathTried]:
        """Return the paths upward; there is at least one, which may end at once."""
        return list(islice(self._extended((self.leaf,), ()), self._max_paths))

    def _with_first(self, ders: Sequence[bytes], paths: Sequence[PathTried]) -> list[PathTried]:
        path = tuple([self._seen.get(der) or self._see(load_certificate(der), der) for der in ders])
        certificates = tuple([each.certificate for each in path])
        known = [each for each in paths if each.certificates == certificates]
        others = [each for each in paths if each.certificates != certificates]
        if not known or not known[0].held:
            findings: list[Finding] = []
            for number, (below, issuer) in enumerate(pairwise(path), 1):
                # The verifier checked the signatures, even if the walk did not come so far.
                self._context.of_signatures.pop((below, issuer), None)
                findings += step_findings(path[:number], issuer, self._context, signed=True)
            findings += wildcard_findings(path[0], path[-1], self._context)
            known = [_tried(path, tuple(findings), True)]
        return [known[0], *others][:MAX_PATHS]

    def _see(self, certificate: x509.Certificate, der: bytes) -> Seen:
        """Return the only view of a certificate, however often it appears."""
        seen = self._seen.get(der)
        if seen is None:
            seen = self._seen[der] = Seen(certificate, der, self._context.trust)
            if self._is_bounded and not seen.is_anchor:
                seen.bounded = True
                seen.unread = seen.extensions_size > self._extensions_left
                if not seen.unread:
                    self._extensions_left -= seen.extensions_size
        return seen

    def _extended(
        self, path: tuple[Seen, ...], findings: tuple[Finding, ...]
    ) -> Iterator[PathTried]:
        current = path[-1]
        if current.is_anchor:
            more = tuple(wildcard_findings(path[0], current, self._context))
            yield _tried(path, (*findings, *more), True)
            return
        issuers = [each for each in self._issuers(current) if each not in path]
        if not issuers:
            yield _tried(path, (*findings, self._no_issuer(path)), False)
        most = self._context.policy.max_intermediates
        for issuer in issuers:
            if len(path) > most and not issuer.is_anchor:
                evidence = f"more than {most} certificates lead from the leaf to an authority"
                yield _tried(path, (*findings, _no_anchor(current, evidence)), False)
                continue
            signed = self._is_signed(current, issuer)
            steps = step_findings(path, issuer, self._context, signed=signed)
            yield from self._extended((*path, issuer), (*findings, *steps))

    def _issuers(self, certificate: Seen) -> list[Seen]:
        found = self._issuers_of.get(certificate)
        if found is None:
            found = self._issuers_of[certificate] = self._sorted_issuers(certificate)
        return found

    def _sorted_issuers(self, certificate: Seen) -> list[Seen]:
        name = certificate.issuer_name
        trusted = self._context.trust.by_subject.get(name, ())
        anchors = [self._see(each, encoded(each)) for each in trusted]
        candidates = dict.fromkeys([*anchors, *self._by_subject.get(name, ())])
        matching = [candidate for candidate in candidates if candidate is not certificate]
        # In the verifier's order: those whose key is named, then those without an identifier.
        likely = sorted(matching, key=lambda issuer: _unlikeliness(certificate, issuer))
        # Those that signed it before those that only have the name.
        return sorted(likely, key=lambda issuer: not self._is_signed(certificate, issuer))

    def _is_signed(self, certificate: Seen, issuer: Seen) -> bool | None:
        """Return whether a signature holds; None after too many signature checks.

        All that is asked of an issuer of the right name is its key, and several may have the same.
        """
        key = certificate, issuer.key_info
        if key not in self._signed:
            left = self._checks_left > 0 and self._bytes_left > 0
            self._checks_left -= 1
            if self._signed:  # The first is always made, and must not be all that is made.
                self._bytes_left -= len(certificate.der)
            self._signed[key] = (
                is_signed_by(certificate.certificate, issuer.certificate) if left else None
            )
        return self._signed[key]

    def _no_issuer(self, path: tuple[Seen, ...]) -> Finding:
        certificate = path[-1]
        about, is_issuer = certificate.about, len(path) > 1
        if certificate.is_self_issued:
            evidence = f"{about} is self-signed and not among the trusted authorities"
            return _no_anchor(certificate, evidence, is_issuer=is_issuer, ends_path=True)
        issuer = certificate.issuer or "(no name)"
        others = list(islice((each for each in self.others if each not in path), _MOST_USELESS))
        useless = " and ".join(dict.fromkeys([each.about for each in others]))
        if useless:
            sent = f"and it was not sent: what was sent besides, {useless}, did not issue it"
        else:
            missing = "it was not sent" if self.others else "no intermediate certificate was sent"
            sent = f"and {missing}"
        evidence = f"the issuer of {about}, {issuer}, is not trusted here, {sent}"
        return _no_anchor(
            certificate, evidence, is_issuer=is_issuer, ends_path=True, useless=useless
        )


def _tried(path: Sequence[Seen], findings: tuple[Finding, ...], reaches_anchor: bool) -> PathTried:
    return PathTried(tuple([each.certificate for each in path]), findings, reaches_anchor)


def _no_anchor(
    certificate: Seen,
    evidence: str,
    *,
    is_issuer: bool = False,
    ends_path: bool = False,
    useless: str = "",
) -> Finding:
    return Finding(
        "anchor",
        certificate.about,
        False,
        evidence,
        "RFC 5280 6.1",
        Fault.CERTIFICATE_UNTRUSTED,
        certificate,
        is_issuer=is_issuer,
        ends_path=ends_path,
        useless=useless,
    )


def _unlikeliness(certificate: Seen, issuer: Seen) -> int:
    wanted = certificate.extension(x509.AuthorityKeyIdentifier)
    own = issuer.extension(x509.SubjectKeyIdentifier)
    if wanted is None or wanted.key_identifier is None or own is None:
        return 1
    return 0 if wanted.key_identifier == own.digest else 2


def _quality(path: PathTried) -> tuple[int, bool, int, int]:
    """Return the sort key of a path by its defects: the path that came closest is explained first.

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
    policy, leaf = context.policy, path[0]
    if policy.tlsa:
        yield _tlsa(leaf, True, f"a record names the authority {subject_of(path[-1])}")
    yield from _pins(path, context)
    crls = policy.crls
    check = partial(crls.check, profile=policy.profile) if crls is not None else None
    yield from _of_others(path, context, evidence, check)


def _policy_of_named_leaf(
    leaf: x509.Certificate,
    others: Sequence[x509.Certificate],
    context: Context,
    evidence: Evidence,
) -> Iterator[Finding]:
    """Return the findings of the policy if a TLSA record replaces the path."""
    crls, profile = context.policy.crls, context.policy.profile
    check = partial(crls.check_named_leaf, profile=profile) if crls is not None else None
    path = direct_path(leaf, others, context.trust)
    yield from _of_others(path, context, evidence, check)


def _of_others(
    path: Sequence[x509.Certificate],
    context: Context,
    evidence: Evidence,
    crls: Callable[[Sequence[x509.Certificate], datetime], datetime | None] | None,
) -> Iterator[Finding]:
    """Yield the findings from others' evidence of a leaf: OCSP responses, CRLs and logs."""
    policy, leaf, now = context.policy, path[0], context.now
    if policy.stapled_ocsp != "ignore":
        yield _staple(path, context, evidence)
    if crls is not None:
        yield _checked("CRL", leaf, "RFC 5280 6.3", lambda: crls(path, now))
    if policy.ct_logs and context.is_server:
        yield _timestamps(path, context, evidence)


def _timestamps(path: Sequence[x509.Certificate], context: Context, evidence: Evidence) -> Finding:
    policy, about = context.policy, subject_of(path[0])
    rule, section, fault = "timestamps", "RFC 6962 3", Fault.TIMESTAMPS_MISSING
    try:
        valid = valid_timestamps(
            path, evidence.sct_list, evidence.ocsp_response, policy.ct_logs, context.now
        )
    except CertificateError as error:
        text = error.detail or error.fault.sentence
        return Finding(rule, about, False, text, section, error.fault)
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
        context.is_server and demands_staple(leaf)
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
        text = error.detail or error.fault.sentence
        return Finding(rule, about, False, text, section, error.fault)
    text = f"good until {until:%Y-%m-%d %H:%M} UTC" if until is not None else "none covers it"
    return Finding(rule, about, True, text, section, Fault.REVOCATION_UNKNOWN)


def _broken(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    return tuple([finding for finding in findings if finding.held is False])


_TOLD_FIRST = ("decision", "key", "readable", "cost of keys", "dates", "names")
_ON_THE_WAY = len(_TOLD_FIRST)
_REST_OF_LEAF = _ON_THE_WAY + 1
_AFTER_THE_PATH = {"common name": 1, "wildcard": 2, "issuer readable": 3, "identifiers": 3}
"""The rules of the profile, which the decision asks about in this order once it has a path."""


def _rank(finding: Finding, of_leaf: Collection[int]) -> int:
    """Return the sort key of a finding: the leaf's key, dates and names, the path, the rest of the
    leaf.
    """
    if finding.rule in _AFTER_THE_PATH:
        return _REST_OF_LEAF + _AFTER_THE_PATH[finding.rule]
    if id(finding) not in of_leaf:
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
