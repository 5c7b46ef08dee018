"""The explanation why a certificate is trusted or not: every path that was tried, and every rule.

`explain` asks the decision, and runs all rules of the one list (`rules.listing`), of which the
decision runs those that path building leaves open. The verdict is always that of the decision:
where no rule names the reason, because the walk ends at its bounds or knows less than the verifier,
the decision's own words do; where the walk ends otherwise on a chain that is accepted, it gets the
verified path.

After a refusal by the verifier, the walk alone runs, to find the reason that helps most.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from cryptography import x509

from handclasp.certificates.advising import Advised, advised
from handclasp.certificates.dane import matching_leaf
from handclasp.certificates.evidence import Evidence, chain_of, parse, read_all_names
from handclasp.certificates.names import ANY_NAME, normal_name, subject_of
from handclasp.certificates.path import IssuersLeftOutError
from handclasp.certificates.policy import CertificatePolicy
from handclasp.certificates.reading import load_certificate
from handclasp.certificates.rules import Context, Finding, listing
from handclasp.certificates.rules.policy import TLSA, path_by_record, trust_by_records
from handclasp.certificates.rules.rule import Problem, Rank, Way, findings
from handclasp.certificates.seen import Seen
from handclasp.certificates.trust import TrustStore
from handclasp.certificates.verify import check_verification_inputs
from handclasp.certificates.walk import PathTried, Walk, broken_among
from handclasp.errors import CertificateError, ConfigurationError
from handclasp.faults import Fault
from handclasp.values import dataclass, replace

if TYPE_CHECKING:
    from handclasp.certificates.decision import VerificationResult


@dataclass(frozen=True, slots=True)
class Explanation:
    """The result of `explain`.

    See `explain` for an example.

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
        broken = broken_among((*self.leaf, *on_path, *self.policy))
        found = sorted(broken, key=attrgetter("rank"))
        if self.fault is not None:
            found.sort(key=lambda finding: finding.fault is not self.fault)
        return tuple(found)

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

    The `Explanation` has a `Finding` for each rule, and a `PathTried` for each path.

    >>> from datetime import UTC, datetime
    >>> chain = Credentials.load("chain.pem", "key.pem").chain_der
    >>> trust = TrustStore.from_pem("ca.pem")
    >>> explanation = explain(chain, "example.org", trust, datetime.now(UTC))
    >>> for finding in explanation.broken:
    ...     print(finding.rule, finding.about, finding.evidence)
    names example.com it is for example.com, not for example.org

    Args:
        chain: the certificates, leaf first, as DER or parsed.
        names: the server's name, or several that must all be covered; None for a client.
        trust: the authorities.
        time: the time of the verification, with its time zone.
        policy: the further requirements; the default is that of the configs.
        ocsp_response, sct_list: what came along with the leaf; a `CertificateError` has all three.
        by_clock: whether `time` is what the clock of this machine shows; otherwise that clock is
            neither doubted nor blamed.

    Raises:
        CertificateError: a certificate, or a name in it, cannot be read at all.
        ConfigurationError: a name is none, there are none in `names`, or `time` has no time zone.
    """
    policy = CertificatePolicy() if policy is None else policy
    check_verification_inputs(trust, time, policy)
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
        read_all_names(certificates, der, is_refused=True)
    return explain_parsed(certificates, context, evidence, decision)


def _decision(evidence: Evidence, context: Context) -> VerificationResult | CertificateError:
    """Return the decision for all names; the first refusal is final."""
    # Imported late, as a refusal of the decision comes here for its words.
    from handclasp.certificates.decision import decide

    try:
        found = [
            decide(evidence, context.trust, name, context.now, context.policy)
            for name in context.names or (ANY_NAME if context.any_name else None,)
        ]
    except CertificateError as error:
        return error
    return found[0]


def _with_verdict(
    found: Explanation, decision: VerificationResult | CertificateError | None
) -> Explanation:
    """Return the findings of a walk with the verdict of the decision, if there is one yet."""
    if decision is None:
        return found
    if isinstance(decision, CertificateError):
        fault = decision.fault
        named = any(finding.fault is fault for finding in found.broken)
        if named and not isinstance(decision.__cause__, IssuersLeftOutError):
            return replace(found, fault=fault)
        about = found.leaf[0].about
        text = decision.detail or fault.sentence
        reason = Finding("decision", about, False, text, "RFC 5280 6", fault, rank=Rank.DECISION)
        return replace(found, leaf=(*found.leaf, reason), fault=fault)
    paths = found.paths
    if not paths and decision.holds is not None:  # The walk failed at something in the chain.
        path = tuple([load_certificate(der) for der in decision.path])
        paths = (PathTried(path, (), reaches_anchor=True),)
    if paths:
        paths = (replace(paths[0], findings=_overruled(paths[0].findings)), *paths[1:])
    leaf, policy = _overruled(found.leaf), _overruled(found.policy)
    return replace(found, leaf=leaf, paths=paths, policy=policy, accepted=True)


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


def explain_parsed(
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
        found = _with_verdict(_walked(certificates, context, evidence, decision), decision)
        return _with_advice(found, context, evidence)
    except Exception:
        # Extensions and keys are read here for the first time, and the peer wrote them.
        about = subject_of(certificates[0])
        text = f"{about} or one of its issuers cannot be read in full"
        finding = Finding("form", about, False, text, "RFC 5280 4.1", Fault.BAD_CERTIFICATE)
        found = _with_verdict(Explanation((finding,), (), ()), decision)
        return _with_advice(found, context, evidence)


def _with_advice(found: Explanation, context: Context, evidence: Evidence) -> Explanation:
    broken = found.broken
    if not broken:
        return found
    said = advised(broken, context, evidence.chain)
    # Written out, as `replace` takes longer, and every refusal comes by.
    return Explanation(found.leaf, found.paths, found.policy, said, found.accepted, found.fault)


def _walked(
    certificates: Sequence[x509.Certificate],
    context: Context,
    evidence: Evidence,
    decision: VerificationResult | CertificateError | None,
) -> Explanation:
    rules, (leaf, *others) = listing.RULES, certificates
    if context.policy.tlsa:
        if matching_leaf(context.policy.tlsa, leaf) is not None:
            return _named_leaf(leaf, others, context.afresh(by_record=True), evidence)
        trust = trust_by_records(context.policy, leaf, others)
        if isinstance(trust, Problem):
            seen = Seen(leaf, evidence.chain[0], context.trust)
            own = findings(rules.decided.leaf_first, seen, context)
            records = TLSA.finding(Way(seen, [leaf], evidence), context, trust)
            return Explanation(tuple(own), (), (records,))
        context = context.afresh(trust=trust)
    if decision is None:
        return _refused(certificates, replace(context, broken_only=True), evidence)
    walk = Walk(certificates, evidence, context)
    accepted = () if isinstance(decision, CertificateError) else decision.path
    paths, policy = walk.best_paths(accepted), list[Finding]()
    if paths[0].reaches_anchor:
        way = Way(walk.leaf, paths[0].certificates, evidence)
        policy = findings(rules.policy, way, context)
    return Explanation(walk.leaf_findings(), paths, tuple(policy))


def _named_leaf(
    leaf: x509.Certificate,
    others: Sequence[x509.Certificate],
    context: Context,
    evidence: Evidence,
) -> Explanation:
    """Return the findings for a leaf that a TLSA record names: it has no path."""
    rules, seen = listing.RULES, Seen(leaf, evidence.chain[0], context.trust)
    own = tuple(findings(rules.for_records, seen, context))
    if seen.all_extensions is None:
        return Explanation(own, (), ())
    way = Way(seen, path_by_record(leaf, others, context, evidence), evidence)
    return Explanation(own, (), tuple(findings(rules.policy, way, context)))


def _refused(
    certificates: Sequence[x509.Certificate], context: Context, evidence: Evidence
) -> Explanation:
    """Return the broken rules of a chain without a path, with as little reading as possible."""
    walk = Walk(certificates, evidence, context)
    paths = walk.best_paths()
    found = Explanation(walk.leaf_findings(), paths, ())
    if found.broken or not walk.lacked:
        return found
    mismatches = walk.mismatches()
    if mismatches:
        return replace(found, leaf=(*found.leaf, *mismatches))
    # What was found out without reading all must not be taken for the whole.
    walk = Walk(certificates, evidence, context.afresh(), reads_all=True)
    paths = walk.best_paths()
    return Explanation(walk.leaf_findings(), paths, ())


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
