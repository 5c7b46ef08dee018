"""The time at which a recorded handshake ended, and whether the clock that shows it can be right.

The clock of a machine without a battery starts in 1970, and some programs write captures without
times. Such a clock does not show whether a certificate had expired.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from handclasp.alerts.situation import Validity, is_impossible
from handclasp.certificates.describe import chain_in_words
from handclasp.iana import HandshakeType
from handclasp.story.recorded import chain_in
from handclasp.trace.events import Began, MessageSeen, TraceEvent

CERTIFICATE_MESSAGES = (HandshakeType.CERTIFICATE, HandshakeType.COMPRESSED_CERTIFICATE)
"""The Certificate messages of TLS 1.2 and 1.3, compressed or not."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def believable_time(events: Sequence[TraceEvent], validity: Validity) -> datetime | None:
    """Return the time of the last event; None if it is unknown, or cannot be right.

    Args:
        events: the recorded events.
        validity: the subjects and times of the certificates whose validity at that time matters.
    """
    now = _time_of_the_end(events)
    return None if now is None or is_impossible(now, validity) else now


def doubt_of_clock(events: Sequence[TraceEvent]) -> str:
    """Return a sentence if the times of a capture cannot be right; an empty one if they may be."""
    now = _time_of_the_end(events)
    if now is None:
        return ""
    validity = [each for one in _validities(events) for each in one if is_impossible(now, (each,))]
    if not validity:
        return ""
    subject, begin, end = validity[0]
    when = (
        f"which is valid from {begin:%Y-%m-%d} on"
        if now < begin
        else f"which expired on {end:%Y-%m-%d}"
    )
    return (
        f"By its times, the capture was taken on {now:%Y-%m-%d}; yet it has the certificate of "
        f"{subject}, {when}. Most likely the clock was wrong, and does not show whether a "
        "certificate had expired."
    )


def _validities(events: Sequence[TraceEvent]) -> list[Validity]:
    """Return the times of the certificates that each end sent first."""
    first: dict[str, MessageSeen] = {}
    for event in events:
        if isinstance(event, MessageSeen) and event.message_type in CERTIFICATE_MESSAGES:
            first.setdefault(event.direction, event)
    return [chain_in_words(chain_in(each.raw, each.epoch)).validity for each in first.values()]


def _time_of_the_end(events: Sequence[TraceEvent]) -> datetime | None:
    """Return the time of the last event; None if the trace does not say when it began."""
    began = next((each.began_at_ns for each in events if isinstance(each, Began)), 0)
    if not began:
        return None
    try:
        return _EPOCH + timedelta(microseconds=(began + events[-1].at_ns) // 1000)
    except OverflowError:
        return None  # A trace can hold any number.
