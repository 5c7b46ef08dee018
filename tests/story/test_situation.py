"""What is known of this side's certificate where a capture does not show it."""

from __future__ import annotations

import pytest

from handclasp.story.situation import situation_of
from handclasp.trace.events import AlertSeen, Observed

NOT_SEEN = Observed(0, "failed", "It failed.", ("200 bytes are not in the capture.",))


@pytest.mark.parametrize(
    ("alert", "told"), [(48, "shown"), (45, "shown"), (116, "withheld"), (40, "unasked")]
)
def test_the_alert_of_the_other_end_tells_what_a_capture_lacks(alert: int, told: str) -> None:
    assert situation_of([AlertSeen(0, "received", 2, alert), NOT_SEEN]).certificate == told


def test_an_end_that_recorded_itself_knows_what_it_sent() -> None:
    assert situation_of([AlertSeen(0, "received", 2, 48)]).certificate == "unasked"
