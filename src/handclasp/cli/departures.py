"""Clients that leave right after a handshake: what `watch` says of them.

Some programs, such as curl, check the name in the server's certificate only after the handshake,
and leave by close_notify if it is another one: there is no failure to be seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from handclasp.advice import at_fault, for_reader, named_blame, with_ends_named, worded
from handclasp.cli.report import Line, fixes_of

if TYPE_CHECKING:
    from handclasp.capture.watching import Sighting
    from handclasp.certificates import Explanation
    from handclasp.trace.events import TraceEvent

_AT_ONCE_NS = 1_000_000


def left_without_data(sighting: Sighting) -> bool:
    """Return whether the client left after a handshake that both ends completed, and had sent no
    data.
    """
    if not sighting.is_final or sighting.has_failed:
        return False
    if sighting.client_has_sent_data or sighting.stream.trouble:
        return False
    if sighting.outcome == "complete":
        return True
    # Without keys, the records of TLS 1.2 show their type, and those of TLS 1.3 do not.
    events = sighting.observation.events if sighting.observation is not None else ()
    return sighting.outcome == "seems_complete" and not _is_tls13(events)


def departure_note(events: Sequence[TraceEvent], refused: Explanation | None) -> str:
    """Return a note on a client that left without data.

    Args:
        refused: the verdict of this library on the server's certificate, if it would refuse it.
    """
    left = (
        f"The client left {_time(events)} its handshake, without data, and without an alert that "
        "gives a reason."
    )
    if refused is None:
        return (
            f"{left} Perhaps it refused the server's certificate only then, by authorities or "
            "rules of its own, as curl and programs with GnuTLS do."
        )
    return (
        f"{left} This library would refuse the server's certificate: {refused.broken[0].evidence}. "
        "Perhaps the client refused it for that. A program that only tries whether the server "
        "answers leaves like this, too."
    )


def suspicion_lines(refused: Explanation | None) -> Iterator[Line]:
    """Return the end to blame and the advice, if the client refused the server for that reason."""
    if refused is None or refused.advised is None:
        return
    blame, condition = refused.advised.verdict
    yield "at fault", f"if so: {at_fault(blame, condition, 'client')}"
    for fix in fixes_of(refused.advised.fix):
        yield "to change", for_reader(worded(fix, "reader"), "client")


def suspicion_json(refused: Explanation | None) -> dict[str, Any] | None:
    """Return the same for programs."""
    if refused is None or refused.advised is None:
        return None
    fault = refused.broken[0].fault
    blame, condition = refused.advised.verdict
    return {
        "fault": fault.name,
        "cause": refused.broken[0].evidence,
        "blame": named_blame(blame, "client"),
        "condition": with_ends_named(condition, "client"),
        "fix": for_reader(worded(refused.advised.fix, "reader"), "client"),
    }


def _time(events: Sequence[TraceEvent]) -> str:
    """Return when the client left, as words before "its handshake"."""
    from handclasp.story.facts import role_of
    from handclasp.trace.events import AlertSeen, HandshakeResult, TransportEnded

    by_client = "sent" if role_of(events) == "client" else "received"
    done = [each.at_ns for each in events if isinstance(each, HandshakeResult)]
    left = [
        each.at_ns
        for each in events
        if isinstance(each, AlertSeen | TransportEnded) and each.direction == by_client
    ]
    if not done or not left:
        return "after"
    time_ns = left[0] - done[0]
    return "right after" if time_ns < _AT_ONCE_NS else f"{time_ns / 1e6:,.0f} ms after"


def _is_tls13(events: Sequence[TraceEvent]) -> bool:
    from handclasp.story.facts import facts_of

    return (facts_of(events).version or "TLSv1.3").startswith("TLSv1.3")
