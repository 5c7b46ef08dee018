"""The failure on the page: the cause, the end at fault, and the evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from handclasp.advice import at_fault, for_reader, worded
from handclasp.story.diagnosis import Diagnosis, diagnose
from handclasp.story.evidence import Evidence
from handclasp.story.facts import role_of
from handclasp.trace.events import TraceEvent
from handclasp.values import dataclass


@dataclass(frozen=True, slots=True)
class Shown:
    """Bytes that show the cause; `link` names the message that holds them, if there is one.

    `start` and `end` are their offsets in that message; None if they are not part of its fields.
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
    """Another likely cause of an alert."""

    sentence: str
    fix: str


@dataclass(frozen=True, slots=True)
class Failure:
    """The explanation of a failure."""

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
    """Return the failure in a trace, if any; `anchors` names messages by the index of events."""
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
