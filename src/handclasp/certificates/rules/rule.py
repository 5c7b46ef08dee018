"""The kinds of rules: each has a name, a section, a check, and the words for its outcome.

A check looks at its target (a leaf, an issuer, a step of a path, or a whole path), and returns its
outcome. It decides nothing else: who runs it makes an error or a `Finding` of that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from enum import Enum, IntEnum, auto
from typing import Any, Generic, NamedTuple, TypeVar

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from handclasp.certificates.evidence import Evidence
from handclasp.certificates.name_constraints import Comparisons
from handclasp.certificates.policy import CertificatePolicy
from handclasp.certificates.seen import Seen
from handclasp.certificates.trust import TrustStore
from handclasp.errors import CertificateError
from handclasp.faults import Fault
from handclasp.values import dataclass, field, replace

Target = TypeVar("Target")


class Rank(IntEnum):
    """The order in which broken rules are reported: that which helps most comes first."""

    DECISION = auto()
    KEY = auto()
    READABLE = auto()
    COST = auto()
    DATES = auto()
    NAMES = auto()
    PATH = auto()
    LEAF = auto()
    COMMON_NAME = auto()
    WILDCARD = auto()
    FORM = auto()
    POLICY = auto()


class Checked(Enum):
    """The part of the decision that refuses a certificate which breaks a rule."""

    FIRST = auto()
    """The rule itself, before a path is built."""
    BY_VERIFIER = auto()
    """The verifier of cryptography, while it builds the path: the rule says it in words."""
    ON_PATH = auto()
    """The rule itself, on the path that was built: the verifier leaves it open."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule and what it says of one certificate.

    See `explain` for an example.

    Attributes:
        rule: its name, for people and programs: "dates", "names", "signature"...
        about: whose certificate.
        held: True, False, or None where it does not apply.
        evidence: the values that it checked.
        section: where it stands.
        fault: what it leads to if it is broken.
        of: the certificate, if there is one to point at.
        is_issuer: whether the fault is one of an authority above the leaf, and not the leaf's own.
        is_excused_in_private: whether the profile "private" does not ask for it.
        ends_path: whether the way up ends here because nobody is known above.
        useless: which of the certificates that were sent besides are none on the way.
        field_name: the field of the certificate that the rule is about.
        rank: its place among the broken rules.
        error: the error that the check raised; it may have advice of its own.
    """

    rule: str
    about: str
    held: bool | None
    evidence: str
    section: str
    fault: Fault
    of: Seen | None = field(default=None, repr=False, compare=False)
    is_issuer: bool = False
    is_excused_in_private: bool = False
    ends_path: bool = False
    useless: str = ""
    field_name: str = field(default="", repr=False, compare=False)
    rank: int = field(default=Rank.PATH, repr=False, compare=False)
    error: CertificateError | None = field(default=None, repr=False, compare=False)


@dataclass(slots=True)
class Context:
    """The input of the rules: the anchors, the names, the time and the strictness.

    Without names it is about a client, or with `any_name` about a server of any name.

    Attributes:
        by_clock: True if `now` is from this machine's clock, and not a time that somebody asked
            for.
        by_record: whether a TLSA record names the leaf, and stands for the path.
        broken_only: whether only broken rules are reported, which is so for the words of a refusal.
        comparisons: of names and constraints, in one walk.
        views: the certificates that were seen, by their DER.
    """

    trust: TrustStore
    names: tuple[str, ...]
    now: datetime
    policy: CertificatePolicy
    any_name: bool = False
    by_clock: bool = True
    by_record: bool = False
    broken_only: bool = False
    comparisons: Comparisons = field(default_factory=Comparisons)
    views: dict[bytes, Seen] = field(default_factory=dict[bytes, Seen])

    def afresh(self, **changes: Any) -> Context:
        """Return a context for another walk, perhaps with other anchors."""
        return replace(self, comparisons=Comparisons(), views={}, **changes)

    def view(self, certificate: x509.Certificate, der: bytes) -> Seen:
        """Return the only view of a certificate, however often it appears."""
        seen = self.views.get(der)
        if seen is None:
            seen = self.views[der] = Seen(certificate, der, self.trust)
        return seen

    @property
    def web(self) -> bool:
        return self.policy.profile == "web"

    @property
    def is_server(self) -> bool:
        return self.any_name or bool(self.names)

    @property
    def role(self) -> str:
        return "server" if self.is_server else "client"

    @property
    def purpose(self) -> x509.ObjectIdentifier:
        oids = ExtendedKeyUsageOID
        return oids.SERVER_AUTH if self.is_server else oids.CLIENT_AUTH


class Problem(NamedTuple):
    """The outcome of a rule that is broken.

    Attributes:
        text: what is wrong, with the values.
        fault, field: in place of those of the rule.
        is_excused_in_private: whether the profile "private" does not ask for it.
        is_issuer: whether it is the issuer's, though the rule is about what it issued.
        error: the error that the check itself raised.
    """

    text: str
    fault: Fault | None = None
    field: str = ""
    is_excused_in_private: bool = False
    is_issuer: bool = False
    error: CertificateError | None = None


class Held(NamedTuple):
    """The outcome of a rule that holds, with its evidence; None if that costs something to word.

    Attributes:
        until: the time up to which it does.
    """

    evidence: str
    until: datetime | None = None


class Excused(NamedTuple):
    """The outcome of a rule that does not apply, and the reason."""

    reason: str


class Unasked(NamedTuple):
    """The outcome of a rule that says nothing here: nobody asks for it."""


UNASKED = Unasked()

Outcome = Problem | Held | Excused | Unasked | None
"""None if the rule holds, and `Rule.evidence` has the words."""


class Step(NamedTuple):
    """A step up a path: the certificates below an issuer, the leaf first, and the issuer.

    `signed` is whether it signed the last of them; None says that nobody has looked.
    """

    below: Sequence[Seen]
    issuer: Seen
    signed: bool | None


class Way(NamedTuple):
    """A path, leaf first, and what came with its leaf."""

    leaf: Seen
    path: Sequence[x509.Certificate]
    evidence: Evidence


def _no_evidence(target: object, context: Context) -> str:
    del target, context
    return ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rule(Generic[Target]):
    """One rule.

    Attributes:
        name: for people and programs.
        section: where it stands.
        check: returns the outcome for a target.
        evidence: returns the values that it checked, where it holds.
        fault: what a certificate that breaks it is refused for.
        field: the field of the certificate that it reads.
        checked: see `Checked`.
        rank: its place among the broken rules.
        is_gate: whether the rules below it, in their part of the list, cannot be checked unless it
            holds.
    """

    name: str
    section: str
    check: Callable[[Target, Context], Outcome]
    evidence: Callable[[Target, Context], str] = _no_evidence
    fault: Fault = Fault.BAD_CERTIFICATE
    field: str = ""
    checked: Checked = Checked.ON_PATH
    rank: Rank = Rank.LEAF
    is_gate: bool = False

    def certificate(self, target: Target) -> Seen:
        """Return the certificate that the rule is about."""
        raise NotImplementedError

    def finding(self, target: Target, context: Context, outcome: Outcome) -> Finding:
        """Return an outcome of the check in words; it must not be `Unasked`."""
        certificate = self.certificate(target)
        about = certificate.about
        if isinstance(outcome, Problem):
            return Finding(
                self.name,
                about,
                False,
                outcome.text,
                self.section,
                outcome.fault or self.fault,
                certificate,
                is_issuer=outcome.is_issuer,
                is_excused_in_private=outcome.is_excused_in_private,
                field_name=outcome.field or self.field,
                rank=self.rank,
                error=outcome.error,
            )
        held: bool | None = True
        if isinstance(outcome, Excused):
            held, evidence = None, outcome.reason
        elif isinstance(outcome, Held):
            evidence = outcome.evidence
        else:
            evidence = self.evidence(target, context)
        return Finding(self.name, about, held, evidence, self.section, self.fault, certificate)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CertificateRule(Rule[Seen]):
    """A rule for one certificate by itself."""

    def certificate(self, target: Seen) -> Seen:
        return target


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LeafRule(CertificateRule):
    """A rule for the leaf.

    Attributes:
        is_for_records: whether it is asked as well of a leaf that a TLSA record names.
    """

    is_for_records: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SentRule(CertificateRule):
    """A rule for everything that was sent besides the leaf, on the path or not."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SignatureRule(Rule[Step]):
    """A rule for the signature of an issuer, which the verifier checks."""

    checked: Checked = Checked.BY_VERIFIER
    rank: Rank = Rank.PATH

    def certificate(self, target: Step) -> Seen:
        return target.below[-1]


def _of_authority(finding: Finding) -> Finding:
    """Return a finding with the name of its authority, as a chain has several."""
    if finding.held is not False:
        return finding  # Only broken rules are reported, and there may be thousands that hold.
    evidence = finding.evidence
    if finding.about not in evidence:
        evidence = f"of the authority {finding.about}: {evidence}"
    return replace(finding, evidence=evidence, is_issuer=True)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class IssuerRule(CertificateRule):
    """A rule for an issuer on the path, whatever stands below it.

    Where the decision checks it, an issuer is remembered as one that keeps it, by the trust store,
    the profile and the role: the check must depend on nothing else.
    """

    rank: Rank = Rank.PATH

    def finding(self, target: Seen, context: Context, outcome: Outcome) -> Finding:
        """Return the words, which name the authority."""
        return _of_authority(super().finding(target, context, outcome))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StepRule(Rule[Step]):
    """A rule for an issuer that depends on what stands below it; the verifier checks it."""

    checked: Checked = Checked.BY_VERIFIER
    rank: Rank = Rank.PATH

    def certificate(self, target: Step) -> Seen:
        return target.issuer

    def finding(self, target: Step, context: Context, outcome: Outcome) -> Finding:
        """Return the words, which name the authority."""
        return _of_authority(super().finding(target, context, outcome))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WayRule(Rule[Way]):
    """A rule for a path that leads to an anchor."""

    def certificate(self, target: Way) -> Seen:
        return target.leaf


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PolicyRule(WayRule):
    """A rule that the user's policy adds for such a path."""

    rank: Rank = Rank.POLICY


def findings(rules: Iterable[Rule[Any]], target: object, context: Context) -> list[Finding]:
    """Check all rules of one kind, and return what is to be reported of them."""
    found: list[Finding] = []
    for rule in rules:
        outcome = rule.check(target, context)
        if is_reported(outcome, context):
            found.append(rule.finding(target, context, outcome))
        if rule.is_gate and isinstance(outcome, Problem | Excused):
            break
    return found


def is_reported(outcome: Outcome, context: Context) -> bool:
    """Return whether an outcome makes a finding."""
    if outcome.__class__ is Problem:
        return True
    return not context.broken_only and outcome is not UNASKED
