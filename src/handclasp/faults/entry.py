"""The types of the catalogue's entries: the entry itself, and the end that is to blame."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, NamedTuple

from handclasp.iana import AlertDescription as Alert

Role = Literal["client", "server"]

CHECK_CLOCK = "Check the clock of this machine"
"""The advice, which some texts go on with."""

CLOCK_CONDITION = "unless the clock of this machine is wrong"
CLOCK_IS_BEHIND = "whose clock is likely behind"
"""The beginning of the condition where an authority has signed something of a later time."""


class Blame(StrEnum):
    """The end whose fault it is, as far as one end can know.

    PEER and LOCAL are the two ends, seen from the one that found the fault: the server and the
    client, or the other way round. NETWORK means that something between them interferes. UNCLEAR
    means that the evidence does not point to one of these alone.

    See `TLSError` for an example.
    """

    PEER = "peer"
    LOCAL = "local"
    NETWORK = "network"
    UNCLEAR = "unclear"


class Verdict(NamedTuple):
    """The end to blame, and the condition for that.

    Attributes:
        blame: the likeliest.
        condition: the case in which somebody else is to blame, such as "unless the clock of this
            machine is wrong"; if the blame is unclear, the candidates and the reasons. May be
            empty. It speaks of "this end", "this machine" and "the other end".
    """

    blame: Blame
    condition: str = ""


class ForRole(NamedTuple):
    """The parts of an entry that differ if a client, or a server, found the fault.

    Each field is None where the entry's own holds.

    Attributes:
        verdict: replaces the entry's.
        if_silent: replaces both if the other end had not sent a single byte.
        fix_peer, fix_local: replace the entry's advice for the other end and for this one; an
            empty string if nothing can be done at that end.
        silent_fix_peer, silent_fix_local: replace both if the other end had not sent a single byte,
            as only then it may be no TLS service at all.
    """

    verdict: Verdict | None = None
    if_silent: Verdict | None = None
    fix_peer: str | None = None
    fix_local: str | None = None
    silent_fix_peer: str | None = None
    silent_fix_local: str | None = None


class Entry(NamedTuple):
    """One fault of the catalogue.

    Attributes:
        alert: the alert that the RFC demands.
        section: the section of the RFC with the rule that was broken.
        sentence: what happened, in one sentence for people.
        fix_peer, fix_local: the advice for the other end and for this one; an empty string if
            nothing can be done at that end.
        verdict: the end to blame, if no more is known than the fault itself.
        as_client, as_server: what differs if a client, or a server, found the fault.
        sends_alert: False if no alert can reach the other end, which has ended the transport, or
            does not speak TLS yet.
    """

    alert: Alert
    section: str
    sentence: str
    fix_peer: str = ""
    fix_local: str = ""
    verdict: Verdict = Verdict(Blame.PEER)
    as_client: ForRole = ForRole()
    as_server: ForRole = ForRole()
    sends_alert: bool = True


def advice(fix_peer: str, fix_local: str, *, this_end_first: bool = False) -> str:
    """Return the advice for the two ends as one text; either may be empty."""
    parts = [
        f"On the other end: {fix_peer}" if fix_peer else "",
        f"On this end: {fix_local}" if fix_local else "",
    ]
    return " ".join(filter(None, parts[::-1] if this_end_first else parts))
