"""What the page says of a failure: the cause, whose fault it is, and the bytes that show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from handclasp.faults import Blame
from handclasp.trace.diagnosis import Diagnosis, Evidence, diagnose
from handclasp.trace.events import TraceEvent

_BLAME: Mapping[Blame, str] = {
    Blame.LOCAL: "this side",
    Blame.PEER: "the other side",
    Blame.EITHER: "neither by itself: the two do not fit together, and changing one is enough",
    Blame.NETWORK: "something between the two",
}


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
    return Failure(
        is_local=diagnosis.found_by == "local",
        after_handshake=diagnosis.after_handshake,
        fault=diagnosis.fault,
        alert=diagnosis.alert,
        cause=diagnosis.cause,
        blame=_BLAME[diagnosis.blame],
        fix=diagnosis.fix,
        others=tuple(Other(cause.sentence, cause.fix) for cause in diagnosis.others),
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
