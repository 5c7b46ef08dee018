"""A client that compares the name after the handshake and closes without an alert, as curl does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.cli.conftest import Run, run  # noqa: F401 (a fixture)
from tests.required import need_tool

from handclasp import Recorder
from handclasp.iana import ContentType
from handclasp.story.narrate import narrate
from handclasp.trace.events import RecordSeen

DATA = Path(__file__).parents[1] / "capture" / "data"


@pytest.mark.parametrize(
    ("capture", "says"),
    [("wrong-name-tls12", True), ("tls12-complete-without-data", False), ("expired-tls12", False)],
)
def test_a_client_that_leaves_at_once(
    run: Run,  # noqa: F811
    capture: str,
    *,
    says: bool,
) -> None:
    need_tool("tshark")
    told = " ".join(run("explain", str(DATA / f"{capture}.pcap")).stdout.split())
    assert ("which is not for the name that it asked for" in told) == says


def test_a_client_that_sends_data_has_not_left(run: Run) -> None:  # noqa: F811
    need_tool("tshark")
    result = run("explain", str(DATA / "wrong-name-tls12.pcap"), "--json")
    events = Recorder.from_json(result.stdout).events
    assert "asked for" in narrate(events)
    with_data = [
        replace(each, content_type=ContentType.APPLICATION_DATA)
        if isinstance(each, RecordSeen) and each.content_type == ContentType.ALERT
        else each
        for each in events
    ]
    assert "asked for" not in narrate(with_data)
