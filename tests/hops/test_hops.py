"""The bars: what a handshake may run, and how long a ClientHello's way may be."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.hops.counts import Meeting, bytecodes, calls_of, frames, members_looked_up
from tests.hops.way import hops_of_a_client_hello, turns_back

from handclasp.speedups import ACCELERATED

BARS = {
    "full": (400, 15_900),
    "resumed": (427, 16_850),
    "hybrid": (414, 16_150),
    "TLS 1.2 full": (760, 21_840),
    "TLS 1.2 resumed": (500, 17_550),
}
"""Frames and bytecodes of both ends: lower them when they get fewer."""

if not ACCELERATED:
    # HMAC is Python, then: TLS 1.3 has one frame for each secret that is expanded.
    BARS |= {"full": (432, 18_480), "resumed": (465, 19_830), "hybrid": (446, 18_740)}


@pytest.mark.parametrize("scenario", BARS)
def test_a_handshake_runs_so_much_python(scenario: str) -> None:
    meeting = Meeting(scenario)
    assert (frames(meeting) <= BARS[scenario][0], bytecodes(meeting) <= BARS[scenario][1]) == (
        True,
        True,
    )


@pytest.mark.parametrize("scenario", ["full", "resumed"])
def test_members_of_enums_are_not_looked_up_again_and_again(scenario: str) -> None:
    # Each look-up in the class takes twenty times as long as one of a variable.
    assert members_looked_up(Meeting(scenario)).total() <= 12


def test_the_way_of_a_client_hello_is_short() -> None:
    hops = hops_of_a_client_hello()
    assert len(hops) <= 12
    assert len({hop.file for hop in hops}) <= 5
    assert turns_back(hops) == 0


def ech_calls(meeting: Meeting) -> set[str]:
    """The functions of Encrypted Client Hello that one handshake calls."""
    return {
        name
        for file, name in calls_of(meeting.run)
        if "ech" in Path(file).name or Path(file).name == "hpke.py" or "_ech" in name
    }


def test_ech_that_is_not_in_use_runs_nothing() -> None:
    without, grease = Meeting("without GREASE ECH"), Meeting("full")
    assert ech_calls(without) == set()
    # A client that knows no configuration sends random bytes, and a server without keys reads them.
    assert ech_calls(grease) == {
        *("_grease_ech", "open_client_hello", "_read", "read_encrypted_client_hello")
    }
    assert frames(grease) - frames(without) <= 6
    assert bytecodes(grease) - bytecodes(without) <= 350
