"""The walk of the explanation: the ways up from a leaf that are tried, and every rule on them.

It looks for paths by itself, within bounds: the verifier does not tell which it tried. Nothing here
decides.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice, pairwise

from cryptography import x509

from handclasp.certificates.evidence import Evidence, encoded
from handclasp.certificates.names import MOST_EXTENSIONS
from handclasp.certificates.path import MOST_SIGNED, is_signed_by
from handclasp.certificates.reading import load_certificate
from handclasp.certificates.rules import Context, Finding, listing
from handclasp.certificates.rules.names import NAMES
from handclasp.certificates.rules.rule import (
    Excused,
    Problem,
    Rank,
    Step,
    StepRule,
    Way,
    findings,
    is_reported,
)
from handclasp.certificates.seen import Seen
from handclasp.faults import Fault
from handclasp.values import dataclass

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

    See `explain` for an example.

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
        return self.reaches_anchor and not broken_among(self.findings)


def broken_among(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return the findings of rules that are broken."""
    return tuple([finding for finding in findings if finding.held is False])


class Walk:
    """Looks for ways up, within bounds."""

    def __init__(
        self,
        certificates: Sequence[x509.Certificate],
        evidence: Evidence,
        context: Context,
        *,
        reads_all: bool = False,
    ) -> None:
        """Begin a walk, which has narrower bounds if only broken rules are reported."""
        is_refused = context.broken_only
        self._context = context
        self._evidence = evidence
        self._is_bounded = is_refused and not reads_all
        self._extensions_left = MAX_EXTENSIONS_OF_A_REFUSAL
        self._seen: dict[bytes, Seen] = {}
        self.leaf, *self.others = map(self._see, certificates, evidence.chain)
        self._by_subject: dict[bytes, list[Seen]] = {}
        for other in dict.fromkeys(self.others):
            self._by_subject.setdefault(other.subject_name, []).append(other)
        self._signed: dict[tuple[Seen, bytes], bool | None] = {}
        self._issuers_of: dict[Seen, list[Seen]] = {}
        self._of_signatures: dict[tuple[Seen, Seen], list[Finding]] = {}
        self._of_issuers: dict[Seen, list[Finding | StepRule]] = {}
        self._max_paths = MAX_PATHS_OF_A_REFUSAL if is_refused else MAX_PATHS
        self._checks_left = MAX_CHECKS_OF_A_REFUSAL if is_refused else MAX_SIGNATURE_CHECKS
        self._bytes_left = MAX_BYTES_OF_A_REFUSAL if is_refused else MAX_SIGNED_BYTES

    @property
    def lacked(self) -> bool:
        """Whether something was asked for that was left unread."""
        return any(each.lacked for each in self._seen.values())

    def leaf_findings(self) -> tuple[Finding, ...]:
        """Return the findings that hold on every path: of the leaf, and of all that was sent."""
        rules, context = listing.RULES, self._context
        found = findings(rules.leaf, self.leaf, context)
        for other in self.others:
            found += findings(rules.sent, other, context)
        return tuple(found)

    def best_paths(self, accepted: Sequence[bytes] = ()) -> tuple[PathTried, ...]:
        """Return the paths, the best first; before all others comes the one that was accepted."""
        paths = sorted(self.paths(), key=_quality)
        return tuple(self._with_first(accepted, paths) if accepted else paths)

    def mismatches(self) -> tuple[Finding, ...]:
        """Return a finding for each name that a leaf with unread extensions does not cover.

        It may have twenty thousand names, so they are compared as bytes.
        """
        if self.leaf.names_unread is None:
            return ()
        found = findings([NAMES], self.leaf, self._context)
        return broken_among(found)

    def paths(self) -> list[PathTried]:
        """Return the paths upward; there is at least one, which may end at once."""
        return list(islice(self._extended((self.leaf,), ()), self._max_paths))

    def _with_first(self, ders: Sequence[bytes], paths: Sequence[PathTried]) -> list[PathTried]:
        path = tuple([self._seen.get(der) or self._see(load_certificate(der), der) for der in ders])
        certificates = tuple([each.certificate for each in path])
        known = [each for each in paths if each.certificates == certificates]
        others = [each for each in paths if each.certificates != certificates]
        if not known or not known[0].held:
            found: list[Finding] = []
            for number, (below, issuer) in enumerate(pairwise(path), 1):
                # The verifier checked the signatures, even if the walk did not come so far.
                self._of_signatures.pop((below, issuer), None)
                found += self._of_step(Step(path[:number], issuer, True))
            found += self._of_way(path)
            known = [_tried(path, tuple(found), True)]
        return [known[0], *others][:MAX_PATHS]

    def _see(self, certificate: x509.Certificate, der: bytes) -> Seen:
        """Return the only view of a certificate, however often it appears."""
        seen = self._seen.get(der)
        if seen is None:
            seen = self._seen[der] = self._context.view(certificate, der)
            if self._is_bounded and not seen.is_anchor:
                seen.bounded = True
                if seen.extensions_size > self._extensions_left:
                    seen.unread = True
                else:
                    self._extensions_left -= seen.extensions_size
        return seen

    def _extended(self, path: tuple[Seen, ...], found: tuple[Finding, ...]) -> Iterator[PathTried]:
        current = path[-1]
        if current.is_anchor:
            yield _tried(path, (*found, *self._of_way(path)), True)
            return
        issuers = [each for each in self._issuers(current) if each not in path]
        if not issuers:
            yield _tried(path, (*found, self._no_issuer(path)), False)
        most = self._context.policy.max_intermediates
        for issuer in issuers:
            if len(path) > most and not issuer.is_anchor:
                evidence = f"more than {most} certificates lead from the leaf to an authority"
                yield _tried(path, (*found, _no_anchor(current, evidence)), False)
                continue
            step = Step(path, issuer, self._is_signed(current, issuer))
            yield from self._extended((*path, issuer), (*found, *self._of_step(step)))

    def _of_way(self, path: Sequence[Seen]) -> list[Finding]:
        certificates = [each.certificate for each in path]
        way = Way(path[0], certificates, self._evidence)
        return findings(listing.RULES.way, way, self._context)

    def _of_step(self, step: Step) -> Iterator[Finding]:
        """Return the findings for an issuer and its signature; each rule is asked once, if the
        certificates below do not matter.
        """
        context, pair = self._context, (step.below[-1], step.issuer)
        of_signature = self._of_signatures.get(pair)
        if of_signature is None:
            of_signature = findings(listing.RULES.signature, step, context)
            self._of_signatures[pair] = of_signature
        yield from of_signature
        of_issuer = self._of_issuers.get(step.issuer)
        if of_issuer is None:
            of_issuer = self._of_issuers[step.issuer] = self._of_issuer(step.issuer)
        for each in of_issuer:
            if isinstance(each, Finding):
                yield each
                continue
            outcome = each.check(step, context)
            if is_reported(outcome, context):
                yield each.finding(step, context, outcome)

    def _of_issuer(self, issuer: Seen) -> list[Finding | StepRule]:
        """Return the findings for an issuer by itself, and between them the rules for a step."""
        found: list[Finding | StepRule] = []
        for rule in listing.RULES.issuer:
            if isinstance(rule, StepRule):
                found.append(rule)
                continue
            outcome = rule.check(issuer, self._context)
            if is_reported(outcome, self._context):
                found.append(rule.finding(issuer, self._context, outcome))
            if rule.is_gate and isinstance(outcome, Problem | Excused):
                break
        return found

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

    def _signs_itself(self, certificate: Seen) -> bool | None:
        """Return whether a certificate is self-signed; None after too many signature checks.

        Issuer and subject of one name do not show it (RFC 5280 section 3.2), and identifiers of
        different keys disprove it.
        """
        if not certificate.is_self_issued or _unlikeliness(certificate, certificate) == _OF_OTHER:
            return False
        return self._is_signed(certificate, certificate)

    def _no_issuer(self, path: tuple[Seen, ...]) -> Finding:
        certificate = path[-1]
        about, is_issuer = certificate.about, len(path) > 1
        signs_itself = certificate.signs_itself = self._signs_itself(certificate)
        if signs_itself is not False:
            is_so = "self-signed" if signs_itself else "its own issuer by name"
            evidence = f"{about} is {is_so} and not among the trusted authorities"
            return _no_anchor(certificate, evidence, is_issuer=is_issuer, ends_path=True)
        issuer = certificate.issuer or "(no name)"
        others = list(islice((each for each in self.others if each not in path), _MOST_USELESS))
        useless = " and ".join(dict.fromkeys([each.about for each in others]))
        if useless:
            sent = f"and it was not sent: what was sent besides, {useless}, did not issue it"
        else:
            missing = "it was not sent" if self.others else "no intermediate certificate was sent"
            sent = f"and {missing}"
        named = (
            f"another certificate of the name {issuer}" if certificate.is_self_issued else issuer
        )
        evidence = f"the issuer of {about}, {named}, is not trusted here, {sent}"
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
        field_name="issuer",
    )


_OF_OTHER = 2
"""The unlikeliness of an issuer whose key has another identifier than the one that is named."""


def _unlikeliness(certificate: Seen, issuer: Seen) -> int:
    wanted = certificate.extension(x509.AuthorityKeyIdentifier)
    own = issuer.extension(x509.SubjectKeyIdentifier)
    if wanted is None or wanted.key_identifier is None or own is None:
        return 1
    return 0 if wanted.key_identifier == own.digest else _OF_OTHER


def _quality(path: PathTried) -> tuple[int, bool, int, int]:
    """Return the sort key of a path by its defects: the path that came closest is explained first.

    Of several without a fault, it is the first that was found, as with the verifier. That one
    does not know the rules of the profile yet.
    """
    broken = [each for each in broken_among(path.findings) if each.rank <= Rank.LEAF]
    unsigned = sum(finding.rule == "signature" for finding in broken)
    length = -len(path.certificates) if broken else 0
    return unsigned, not path.reaches_anchor, len(broken), length
