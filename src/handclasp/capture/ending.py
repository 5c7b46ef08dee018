"""The end of a conversation: the end that gave up, and the failure as the other one sees it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from handclasp.capture.conversation import CLIENT, OTHER, SERVER, Conversation
from handclasp.capture.preamble import is_proxy_header, refusal_of_tls
from handclasp.errors import HandshakeTimeoutError, PeerAlertError, ProtocolError, TruncationError
from handclasp.faults import Blame, Fault, Role, Verdict, advice
from handclasp.iana import AlertDescription, alert_name
from handclasp.story.situation import situation_of
from handclasp.trace.events import AlertSeen, BytesRefused, Failed, TraceEvent
from handclasp.values import replace
from handclasp.wire.records import refused_start

_SOON_GIVEN_UP = Verdict(
    Blame.UNCLEAR, "the other end, if it was to answer sooner; this end, if it was to wait longer"
)
_STALLED = (
    "the server, if it had not sent its whole flight, which cannot be seen without the keys; else "
    "the client, which did not answer it"
)
_ALREADY_SPOKE = (
    "the server, unless it had said something before the capture began, as one that does not use "
    "TLS may have"
)
_UNTIMED = (
    "the times in the capture jump, so it is not known whether the end that left had waited for "
    "the other one"
)
_UNACKNOWLEDGED = "unacknowledged"
_LONG_WAIT = 1_000_000_000
"""The nanoseconds after which an end that leaves counts as having waited for the other."""
_SHORT_WAIT = 100_000_000
"""The same if it says that it cancels: an end that does so at once has not waited."""


def heed_warning(talk: Conversation) -> None:
    """Treat a warning as fatal if the handshake did not continue after it."""
    sides = [side.seen for side in talk.sides.values()]
    may_have_gone_on = all(each.is_done for each in sides) or not all(
        each.is_whole for each in sides
    )
    if talk.gave_up is None and talk.warned is not None and not may_have_gone_on:
        role, alert, said = talk.warned
        if len(talk.said) == said and talk.first_end is not None:
            talk.gave_up, talk.alert = role, alert


def ending_of(talk: Conversation) -> tuple[str, str] | None:
    """Return the end that closed the transport before the handshake can have been complete, and
    how.

    None if there is none, or if missing bytes could have completed it.
    """
    client, server = (talk.sides[role].seen for role in (CLIENT, SERVER))
    is_open = talk.first_end is None or (client.is_done and server.is_done)
    if is_open or not (client.is_whole and server.is_whole) or talk.first_end is None:
        return None
    if client.is_obscure and not client.is_done:
        return None
    at_ns, role, how = talk.first_end
    waited = at_ns - max(side.spoke_at for side in talk.sides.values())
    least = _SHORT_WAIT if how == "canceled" else _LONG_WAIT
    has_waited = waited >= least and not talk.stream.clock_jumps
    if has_waited and role == CLIENT and not talk.stream.acknowledged[talk.client]:
        return SERVER, _UNACKNOWLEDGED
    if has_waited and role != talk.next_to_speak:
        # The other end did not continue.
        return talk.next_to_speak, f"{waited / 1e9:.1f} s"
    for each in talk.sides.values():
        if each.is_hidden_alert and not each.seen.is_done and not each.is_at_end:
            return each.role, how
    return role, how


def heed_end(talk: Conversation, ending: tuple[str, str] | None) -> None:
    """Treat an alert as the consequence of an end that came before it, if that is what it is."""
    is_done = all(side.seen.is_done for side in talk.sides.values())
    if talk.is_at_end and (is_done or (ending and talk.gave_up == OTHER[ending[0]])):
        talk.gave_up = talk.alert = None


def _may_have_stalled(talk: Conversation) -> bool:
    """Return whether a client that left had waited, possibly for the rest of a flight.

    Without the keys, only the size of the bytes of a server of TLS 1.3 suggests that they include
    its Finished.
    """
    if talk.first_end is None:
        return False
    waited = talk.first_end[0] - max(side.spoke_at for side in talk.sides.values())
    return talk.is_tls13 and waited >= _LONG_WAIT and not talk.sides[SERVER].seen.finished


def viewer_of(talk: Conversation, ending: tuple[str, str] | None) -> Role:
    """Return the end from whose side the trace is written: the one that needs the explanation.

    An alert about bytes that are not TLS is only their consequence.
    """
    gave_up = talk.stranger or talk.gave_up or (ending[0] if ending is not None else None)
    return OTHER[gave_up] if gave_up is not None else "client"


def failure_of(
    talk: Conversation, ending: tuple[str, str] | None, events: Sequence[TraceEvent]
) -> Iterator[TraceEvent]:
    """Return the failure, if there was one, as the viewer would have recorded it."""
    client, server = talk.sides[CLIENT], talk.sides[SERVER]
    is_proxied = is_proxy_header(bytes(client.skipped)) and not server.skipped
    is_unanswered = talk.viewer == CLIENT and talk.answer is None
    for failed in _failure_of(talk, ending, events):
        yield _after_proxy_header(failed) if is_proxied and is_unanswered else failed


def _after_proxy_header(failed: Failed) -> Failed:
    """Return the failure of a client that began with a PROXY header, and got no ServerHello."""
    return replace(
        failed,
        message=f"{failed.message} Before its hello the client had sent the header of the PROXY "
        "protocol: perhaps the server does not expect it on this port.",
        blame=Blame.UNCLEAR.value,
        condition="the settings of the two ends do not fit together, unless the server does expect "
        "that header",
        fix=advice(
            "If the header is meant to come, expect it on this port (in nginx: listen ... ssl "
            "proxy_protocol).",
            "If it is not, send none (in HAProxy, leave out send-proxy). Check that the port is "
            "one for TLS.",
        ),
    )


def _failure_of(
    talk: Conversation, ending: tuple[str, str] | None, events: Sequence[TraceEvent]
) -> Iterator[Failed]:
    """Return the failure, without regard to a PROXY header."""
    refused = next((event for event in events if isinstance(event, BytesRefused)), None)
    if refused is not None:
        from_client = (refused.direction == "sent") == (talk.viewer == CLIENT)
        failed = _found(talk, refused_start(refused.data, from_client=from_client), events)
        refusal = refusal_of_tls(bytes(talk.sides[SERVER].skipped))
        if refusal and talk.stranger == SERVER and talk.sides[CLIENT].skipped:
            yield _not_let_into_tls(failed, refusal)
        else:
            yield failed
    elif talk.alert is not None:
        yield _told_by_peer(talk.at, talk.alert, events)
    elif ending is not None and ending[1] == "canceled":
        yield _told_by_peer(talk.at, AlertDescription.USER_CANCELED, events)
    elif ending is not None and ending[1] == _UNACKNOWLEDGED:
        detail = "TCP never acknowledged anything that the client said"
        failed = _found(talk, HandshakeTimeoutError(Fault.HANDSHAKE_TIMEOUT, detail), events)
        condition = "which lost what was sent, unless the other host is gone"
        yield replace(failed, blame=Blame.NETWORK.value, condition=condition)
    elif ending is not None and ending[1] not in ("end", "reset"):
        yield _found(talk, _gave_up_waiting(talk, ending[1]), events)
    elif ending is not None:
        is_reset = ending[1] == "reset"
        fault = Fault.RESET_DURING_HANDSHAKE if is_reset else Fault.CLOSED_DURING_HANDSHAKE
        left = talk.sides[ending[0]]
        if left.is_hidden_alert and not left.is_at_end:
            yield _refused_unseen(talk, ending[0], fault, events)
        elif ending[0] == CLIENT and _may_have_stalled(talk):
            failed = _found(talk, TruncationError(fault), events)
            yield replace(failed, blame=Blame.UNCLEAR.value, condition=_STALLED)
        elif ending[0] == SERVER and not (talk.stream.begins or talk.sides[SERVER].spoke):
            failed = _found(talk, TruncationError(fault), events)
            yield replace(failed, blame=Blame.UNCLEAR.value, condition=_ALREADY_SPOKE)
        elif talk.stream.clock_jumps and ending[0] != talk.next_to_speak:
            failed = _found(talk, TruncationError(fault), events)
            yield replace(failed, blame=Blame.UNCLEAR.value, condition=_UNTIMED)
        else:
            yield _found(talk, TruncationError(fault), events)


def _not_let_into_tls(failed: Failed, refusal: str) -> Failed:
    """Return the failure of a client that began with TLS although the server had said no."""
    return replace(
        failed,
        message=f"{failed.message} Before that, in the clear, the server had refused to begin TLS: "
        f"{refusal}.",
        blame=Blame.PEER.value,
        condition="which refused to begin TLS, unless it is not meant to offer it",
        fix=advice("See in its log why it refuses to begin TLS.", "Do not begin TLS after that."),
    )


def _refused_unseen(
    talk: Conversation, role: str, fault: Fault, events: Sequence[TraceEvent]
) -> Failed:
    """Return the failure of an end that gave up with an encrypted alert."""
    detail = f"the last record of the {role} is closed and probably an alert"
    failed = _found(talk, TruncationError(fault, detail), events)
    condition = (
        f"the {role} gave up, and its reason is probably in its last record, an alert that "
        "cannot be read without the keys"
    )
    return replace(failed, blame=Blame.UNCLEAR.value, condition=condition)


def _gave_up_waiting(talk: Conversation, how_long: str) -> HandshakeTimeoutError:
    """Return the failure of a viewer that waited for the other end in vain."""
    other = OTHER[talk.viewer]
    more = " more" if talk.sides[other].spoke else ""
    detail = f"the {talk.viewer} gave up after {how_long}; the {other} had said nothing{more}"
    verdict = _SOON_GIVEN_UP if float(how_long.split()[0]) < 1 else None
    return HandshakeTimeoutError(Fault.HANDSHAKE_TIMEOUT, detail, verdict=verdict)


def _found(talk: Conversation, error: ProtocolError, events: Sequence[TraceEvent]) -> Failed:
    """Return the fault that the viewer found, with the alert that it sent, if any."""
    other = talk.sides[OTHER[talk.viewer]]
    nothing_came, is_large = not (other.spoke or other.buffer), situation_of(events).hello_is_large
    error.found_by(talk.viewer, nothing_came=nothing_came, hello_is_large=is_large)
    sent = [
        each.description
        for each in events
        if isinstance(each, AlertSeen) and each.direction == "sent"
    ]
    alert = alert_name(sent[-1]) if sent else ""
    return replace(Failed.of(talk.at, error), origin="local", alert=alert)


def _told_by_peer(at_ns: int, alert: int, events: Sequence[TraceEvent]) -> Failed:
    return Failed.of(at_ns, PeerAlertError(alert, situation_of(events)))
