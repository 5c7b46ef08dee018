"""One likely cause of an alert, as a fault of the catalogue seen from the other end."""

from __future__ import annotations

from collections.abc import Sequence

from handclasp.advice import without_settings
from handclasp.faults import Blame, Fault, Verdict, advice
from handclasp.iana import offered_names
from handclasp.values import value


@value(frozen=True, slots=True)
class Cause:
    """One fault that the peer may have found.

    See `PeerAlertError` for an example.

    Attributes:
        fault: its name in the catalogue, as the peer would see it.
        sentence: its meaning in this situation, with the evidence for it.
        blame: the end to blame, seen from this side.
        fix_local, fix_peer: the advice for this end and for the other; empty if nothing is known
            to help.
        condition: the case in which somebody else is to blame, as in `faults.Verdict`.
        topic: for an alert about a ClientHello, the part that it would be about, such as "the
            groups".
        stands_out: whether the ClientHello offers less of that than is usual.
        is_named: whether the explanation of the alert names it as one of several and explains none
            of them, so for all of `PeerAlertError.others` or for none.
    """

    fault: str
    sentence: str
    blame: Blame
    fix_local: str
    fix_peer: str
    condition: str = ""
    topic: str = ""
    stands_out: bool = False
    is_named: bool = False

    @property
    def fix(self) -> str:
        """The advice for both ends."""
        this_end_first = self.blame is not Blame.PEER
        return advice(self.fix_peer, self.fix_local, this_end_first=this_end_first)


_SEEN_FROM_HERE = {Blame.PEER: Blame.LOCAL, Blame.LOCAL: Blame.PEER}

SETTINGS_DIFFER = Fault.NO_SHARED_GROUP.verdict()


def unusual_server(what: str) -> Verdict:
    """Return the verdict if a hello has the usual values of a kind, such as "groups"."""
    return Verdict(
        Blame.PEER,
        f"since the hello has the {what} that are recommended today, unless the server is for "
        "special clients only",
    )


def offers_nothing_usual(blame: Blame, what: str) -> Verdict:
    """Return the verdict if a client offers no usual value of a kind, such as "groups".

    What it offers may be well known, as P-521 is.
    """
    return Verdict(
        blame,
        f"which offers none of the {what} that nearly every server supports, unless that is "
        "intended",
    )


def make_cause(
    fault: Fault,
    sentence: str,
    fix_local: str | None = None,
    fix_peer: str | None = None,
    verdict: Verdict | None = None,
) -> Cause:
    """Return a cause for a fault that the peer found, with its advice and blame by default."""
    if verdict is None:
        blame, condition = fault.verdict()
        # The catalogue speaks from the other end; only a condition that suits both ends is kept.
        verdict = Verdict(
            _SEEN_FROM_HERE.get(blame, blame), condition if blame not in _SEEN_FROM_HERE else ""
        )
    return Cause(
        fault.name,
        sentence,
        verdict.blame,
        fault.value.fix_peer if fix_local is None else fix_local,
        without_settings(fault.value.fix_local) if fix_peer is None else fix_peer,
        verdict.condition,
    )


def listed_names(names: Sequence[str], most: int = 4) -> str:
    return offered_names(names, most) if names else "none"


def alternatives(names: Sequence[str]) -> str:
    """Return "a, b or c"; empty if there are none."""
    *others, last = names or [""]
    return f"{', '.join(others)} or {last}" if others else last
