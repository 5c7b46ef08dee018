"""Where the time went: from the first event to where the handshake was done."""

from __future__ import annotations

from tests.recorded import Recorded

from handclasp.story.page.costs import WIDTH
from handclasp.story.page.timeline import timeline_of
from handclasp.trace.events import (
    HandshakeResult,
    QuestionAnswered,
)


def test_the_timeline_ends_where_the_handshake_does(with_secrets: Recorded) -> None:
    events = with_secrets.client.events
    timeline = timeline_of(events)
    assert timeline is not None
    settled = next(event for event in events if isinstance(event, HandshakeResult))
    assert timeline.total_ns == settled.at_ns - events[0].at_ns
    asked = [event for event in events if isinstance(event, QuestionAnswered)]
    assert [bar.elapsed_ns for bar in timeline.bars] == [event.elapsed_ns for event in asked]
    for track in timeline.tracks:
        assert track.count == len(track.ticks)
        assert all(0 <= tick.x <= WIDTH for tick in track.ticks)


def test_no_records_no_timeline() -> None:
    assert timeline_of([]) is None
