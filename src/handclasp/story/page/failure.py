"""What the page says of a failure: the cause, whose fault it is, and the bytes that show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from handclasp.advice import at_fault, for_reader, worded
from handclasp.story.diagnosis import Diagnosis, Evidence, diagnose
from handclasp.story.facts import role_of
from handclasp.trace.events import TraceEvent


@dataclass(frozen=True, slots=True)
class Shown:
    """Bytes that show the cause; `link` names the message that they stand in, if there is one.

    `start` and `end` are where in that message; None where they are no part of its fields.
    """

    what: str
    says: str
    hex: str
    more: int
    section: str
    link: str
    start: int | None
    end: int | None


@dataclass(frozen=True, slots=True)
class Other:
    """Something else that may be behind an alert."""

    sentence: str
    fix: str


@dataclass(frozen=True, slots=True)
class Failure:
    """The story of a failure."""

    is_local: bool
    after_handshake: bool
    fault: str
    alert: str
    cause: str
    blame: str
    fix: str
    others: tuple[Other, ...]
    evidence: tuple[Shown, ...]


def failure_of(events: Sequence[TraceEvent], anchors: Mapping[int, str]) -> Failure | None:
    """The failure in a trace, if there was one; `anchors` names messages by index of event."""
    diagnosis = diagnose(events)
    if diagnosis is None:
        return None
    role = role_of(events)

    def told(text: str) -> str:
        return for_reader(worded(text, "reader"), role)

    return Failure(
        is_local=diagnosis.found_by == "local",
        after_handshake=diagnosis.after_handshake,
        fault=diagnosis.fault,
        alert=diagnosis.alert,
        cause=told(diagnosis.cause),
        blame=told(at_fault(diagnosis.blame, diagnosis.condition, role)),
        fix=told(diagnosis.fix),
        others=tuple(Other(told(each.sentence), told(each.fix)) for each in diagnosis.others),
        evidence=_evidence(diagnosis, anchors),
    )


def _evidence(diagnosis: Diagnosis, anchors: Mapping[int, str]) -> tuple[Shown, ...]:
    return tuple(_shown(each, anchors.get(each.at, "")) for each in diagnosis.evidence)


def _shown(evidence: Evidence, link: str) -> Shown:
    start = evidence.start
    return Shown(
        what=evidence.what,
        says=evidence.says,
        hex=evidence.octets.hex(" "),
        more=evidence.size - len(evidence.octets),
        section=evidence.section,
        link=link,
        start=start,
        end=start + evidence.size if start is not None else None,
    )
