"""Connections that ended without an answer: those that were lost, and those that are refusals.

Most servers refuse with an alert. Some close or reset the connection instead, or say nothing, and
so does a network that loses a connection. These are told apart here:
nothing counts as refused because one connection was lost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from handclasp.config import ClientConfig
from handclasp.scan.answer import Answer
from handclasp.scan.hello import Hello
from handclasp.scan.report import Report
from handclasp.scan.steps import Probe, Shaken, ask, shake

IMPOSSIBLE = 0x0A0A
"""A value of GREASE (RFC 8701), which no server accepts, as a suite, a group or a scheme."""


def choice(
    report: Report,
    what: str,
    control: Hello | None,
    make: Callable[[Sequence[int]], Hello],
    left: Sequence[int],
    *,
    whole_flight: bool = False,
) -> Probe[Answer]:
    """Send the hello that `make` returns for a list; return the answer to it.

    If the connection is lost twice, this asks whether the server refuses in that way: it does if it
    answers a list of nothing but `IMPOSSIBLE` likewise, and still accepts `control`. Otherwise the
    report says that `what` is not known in full.

    Args:
        control: a hello that the server accepted; None if none is known.
    """
    answer = yield from ask(make(left), whole_flight=whole_flight)
    if not answer.is_lost:
        return answer
    if answer.evidence or control is None:
        refuses_so = False
    else:
        refused = yield from ask(make((IMPOSSIBLE,)), whole_flight=whole_flight)
        refuses_so = is_alike(answer, refused) and (yield from ask(control)).accepted
    if not refuses_so:
        report.lose(f"{what}, in full: {answer.said()}.")
    return answer


def is_alike(one: Answer, other: Answer) -> bool:
    """Return whether two connections were lost in the same way, without any byte of an answer."""
    return not (one.evidence or other.evidence) and one.ending == other.ending


def refuses_version(answer: Answer, hello: Hello, control: Hello) -> Probe[bool]:
    """Return whether a version that was answered by a lost connection is refused.

    It was lost twice then. It counts as refused if a hello of another version is accepted at the
    same time, and the connection is then lost in the same way twice more.
    """
    if answer.evidence or not (yield from ask(control)).accepted:
        return False
    return is_alike(answer, (yield from ask(hello)))


def settle_loss(lost: Shaken, control: ClientConfig, config: ClientConfig) -> Probe[None]:
    """Find out whether a handshake whose connection was lost twice was refused in this way.

    It counts as refused (`Shaken.refused`) if a handshake with `control` succeeds meanwhile, and
    that with `config` is lost in the same way once more.
    """
    if lost.messages or (yield from shake(control)).info is None:
        return
    again = yield from shake(config)
    lost.refused = again.is_lost and not again.messages and again.error == lost.error
