"""An explanation of the decision on a certificate, for people: what held, what did not, and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from handclasp.advice import FrontEnd, worded
from handclasp.cli.terminal import beside, columns, wrapped

if TYPE_CHECKING:
    from handclasp.certificates import Explanation
    from handclasp.certificates.rules import Finding

_MARKS = {True: "ok", False: "NO", None: "-"}
_EVIDENCE_AT = 27


def explanation_text(explanation: Explanation, front_end: FrontEnd = "connect") -> str:
    """Every rule in a line or two, then the verdict, the cause and what to change there."""
    return "\n".join(_lines(explanation, front_end))


def explanation_json(explanation: Explanation, front_end: FrontEnd = "connect") -> dict[str, Any]:
    """Return the explanation for programs."""
    values = explanation.to_json()
    return {**values, "fix": worded(values["fix"], front_end)}


def _lines(explanation: Explanation, front_end: FrontEnd) -> Iterator[str]:
    if explanation.leaf:
        yield f"The certificate: {explanation.leaf[0].about}"
        yield from _rules(explanation.leaf)
    for number, path in enumerate(explanation.paths, 1):
        which = "The path" if len(explanation.paths) == 1 else f"Path {number}"
        end = "to a trusted authority" if path.reaches_anchor else "to nobody who is trusted"
        yield ""
        yield f"{which}: {_plural(len(path.certificates), 'certificate')}, {end}"
        about = ""
        for finding in path.findings:
            if finding.about != about:
                about = finding.about
                yield ""
                yield from wrapped(about, initial="  ", below="    ")
            yield from _rules([finding])
    if explanation.policy:
        yield ""
        yield "The policy"
        yield from _rules(explanation.policy)
    yield ""
    yield from _verdict(explanation, front_end)


def _rules(findings: Sequence[Finding]) -> Iterator[str]:
    for finding in findings:
        head = f"  {_MARKS[finding.held]:3} {finding.rule}"
        evidence = _with_option(finding.evidence)
        text = f"{evidence} ({finding.section})" if finding.section else evidence
        margin, (first, *more) = beside(_EVIDENCE_AT, text, columns())
        yield f"{head.ljust(_EVIDENCE_AT)}{first}".rstrip()
        for rest in more:
            yield " " * margin + rest


def _verdict(explanation: Explanation, front_end: FrontEnd) -> Iterator[str]:
    if explanation.accepted:
        yield "Trusted: every rule held."
        return
    broken = explanation.broken
    yield from wrapped(f"Not trusted: {_with_option(broken[0].evidence)}.")
    yield from wrapped(broken[0].fault.sentence)
    fix = worded(explanation.advised.fix, front_end) if explanation.advised else ""
    yield from wrapped(fix)


def _with_option(evidence: str) -> str:
    """Name --at, which is the only way to verify a certificate at another time than the clock's."""
    return evidence.replace("the time asked for is", "the time asked for (--at) is")


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
