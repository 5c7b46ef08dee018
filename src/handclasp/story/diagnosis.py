"""The reason why a recorded handshake failed: the cause, its evidence, and the end at fault.

`diagnose` needs only the events, so it works for live connections, stored traces and captures of
other programs. A fault that the library found is in the trace as `Failed`; an alert of the peer is
explained by what this side had offered and shown.

>>> from handclasp.story.diagnosis import Diagnosis, diagnose
>>> recorder = Recorder()
>>> try:
...     handclasp.connect("example.com", 443, server_name="example.org", trace=recorder)
... except TLSError:
...     diagnosis: Diagnosis | None = diagnose(recorder.events)
>>> print(diagnosis.fault, diagnosis.blame)
CERTIFICATE_NAME_MISMATCH peer
"""

from __future__ import annotations

from collections.abc import Sequence

from handclasp.advice import at_fault, for_reader, worded
from handclasp.alerts import Cause
from handclasp.alerts.situation import (
    ENABLE_NEWER,
    ENABLE_TLS12,
    OBSOLETE,
    newer_versions,
    obsolete_choice,
)
from handclasp.errors import PeerAlertError
from handclasp.faults import Blame, Fault, Verdict, fault_named
from handclasp.story.evidence import Evidence, alert_number, evidence_of
from handclasp.story.facts import role_of
from handclasp.story.situation import situation_of
from handclasp.trace.events import AlertSeen, Failed, HandshakeResult, TraceEvent
from handclasp.values import dataclass


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The explanation of one failure, seen from the side that recorded it.

    Attributes:
        role: that side, "client" or "server".
        fault: its name in the catalogue, or "PEER_" and the alert that was received.
        alert: the alert that was made or received; empty where there was none, or it was not sent.
        found_by: the side that ended the handshake, "local" or "peer".
        cause: what happened, in a sentence or two.
        blame: the end at fault, as far as that can be known.
        condition: the case in which another end is at fault, or, if it is unclear, the candidates
            and the reasons.
        fix: the advice for either end.
        others: the other likely causes, if an alert has several.
        evidence: the bytes that show it.
        after_handshake: whether the handshake had been complete.
    """

    role: str
    fault: str
    alert: str
    found_by: str
    cause: str
    blame: Blame
    condition: str
    fix: str
    others: tuple[Cause, ...]
    evidence: tuple[Evidence, ...]
    after_handshake: bool

    def told(self, text: str) -> str:
        """Return one of its sentences for a reader who is neither of the ends."""
        return for_reader(worded(text, "reader"), self.role)

    @property
    def at_fault(self) -> str:
        """The end at fault and the condition, for a reader who is neither of the ends."""
        return self.told(at_fault(self.blame, self.condition, self.role))


def diagnose(events: Sequence[TraceEvent]) -> Diagnosis | None:
    """Return the explanation of the failure in `events`; None if nothing failed."""
    failed = next((event for event in events if isinstance(event, Failed)), None)
    if failed is None:
        return None
    settled = any(isinstance(event, HandshakeResult) for event in events)
    situation = situation_of(events)
    evidence = tuple(evidence_of(events, failed, situation))
    role = role_of(events)
    if failed.origin == "peer":
        number = alert_number(events)
        error = PeerAlertError(number, situation)
        return Diagnosis(
            role=role,
            fault=failed.fault,
            alert=failed.alert,
            found_by="peer",
            cause=error.explanation,
            blame=error.blame,
            condition=error.condition,
            fix=error.fix,
            others=error.others,
            evidence=evidence,
            after_handshake=settled,
        )
    blame, condition = _verdict(failed, situation.role)
    return Diagnosis(
        role=role,
        fault=failed.fault,
        alert=failed.alert if _was_sent(failed.fault, events) else "",
        found_by="local",
        cause=failed.message,
        blame=blame,
        condition=condition,
        fix=failed.fix,
        others=(),
        evidence=evidence,
        after_handshake=settled,
    )


def obsolete_version(events: Sequence[TraceEvent]) -> str:
    """Return a remark on a server that chose an obsolete version, for any reader; else empty.

    >>> from handclasp.story.diagnosis import obsolete_version
    >>> recorder = Recorder()
    >>> handclasp.connect("example.com", 443, trace=recorder).close()
    >>> obsolete_version(recorder.events)
    ''
    """
    situation = situation_of(events)
    version = situation.version
    if version not in OBSOLETE:
        return ""
    obsolete = obsolete_choice(version)
    if newer := newer_versions(situation):
        offers = f"although the client offers {' and '.join(newer)}"
        return f"{obsolete}, {offers}. On the server: {ENABLE_NEWER}"
    if situation.versions:
        return f"{obsolete}: the client offers nothing newer. On the client: {ENABLE_TLS12}"
    return f"{obsolete}."


def _was_sent(fault: str, events: Sequence[TraceEvent]) -> bool:
    """Return whether an alert was sent, or left to the program to send.

    Traces of earlier versions name one for every fault.
    """
    if any(isinstance(event, AlertSeen) and event.sending == "unsent" for event in events):
        return False
    known = fault_named(fault)
    return known is None or known.sends_alert


def _verdict(failed: Failed, role: str) -> Verdict:
    """Return the recorded verdict; traces of earlier versions have no blame, or an unknown one."""
    try:
        if failed.blame:
            return Verdict(Blame(failed.blame), failed.condition)
        return Fault[failed.fault].verdict("server" if role == "server" else "client")
    except (KeyError, ValueError):
        return Verdict(Blame.UNCLEAR)
