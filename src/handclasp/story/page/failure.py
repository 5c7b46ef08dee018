"""The failure on the page: the cause, the end at fault, and the evidence."""

from __future__ import annotations

from collections.abc import Mapping

from handclasp.story.diagnosis import Diagnosis
from handclasp.story.evidence import Evidence
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

    role: str
    is_local: bool
    after_handshake: bool
    fault: str
    alert: str
    cause: str
    blame: str
    fix: str
    others: tuple[Other, ...]
    evidence: tuple[Shown, ...]


def failure_of(diagnosis: Diagnosis, anchors: Mapping[int, str]) -> Failure:
    """Return the failure for the page; `anchors` names messages by the index of events."""
    told = diagnosis.told
    return Failure(
        role=diagnosis.role,
        is_local=diagnosis.found_by == "local",
        after_handshake=diagnosis.after_handshake,
        fault=diagnosis.fault,
        alert=diagnosis.alert,
        cause=told(diagnosis.cause),
        blame=diagnosis.at_fault,
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
