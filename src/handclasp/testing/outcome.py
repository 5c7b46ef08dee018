"""The outcome of one connection with a faulty peer, as the faulty peer saw it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from handclasp.iana import AlertDescription, alert_name
from handclasp.values import dataclass

Result = Literal["accepted", "refused", "left", "waited", "inapplicable", "not-tls"]

MAX_DATA = 1 << 16
"""Bytes of application data that are kept of a connection."""

SENTENCES: dict[str, str] = {
    "accepted": "accepted it",
    "refused": "refused it with the alert {alert}",
    "left": "left without an alert",
    "waited": "was still there when the time was up",
    "inapplicable": "gave no occasion for it",
    "not-tls": "does not speak TLS",
}

_NO_REFUSAL = (
    AlertDescription.CLOSE_NOTIFY,
    AlertDescription.USER_CANCELED,
    AlertDescription.NO_RENEGOTIATION_RESERVED,
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The reaction of the program under test to a fault.

    See `handclasp.testing.server` for an example.

    Attributes:
        fault: the name of the fault; empty for a good server.
        result: "accepted" (it sent application data, and had no objection), "refused" (it sent a
            fatal alert), "left" (it closed the connection, during the handshake or after it,
            without an alert or a request), "waited" (it was still there when the time was up),
            "inapplicable" (it offered nothing in which the fault exists, or asked for no
            certificate), or "not-tls".
        alert: the name of its first fatal alert; empty if it sent none. Where it declined a
            renegotiation and went on ("accepted"), "no_renegotiation", which is a warning.
        data: the application data that it sent, of which at most 64 KiB are kept.
        address: its address and port, as text.
        trouble: the exception of the faulty peer, if it could not follow; empty otherwise.
    """

    fault: str
    result: Result
    alert: str = ""
    data: bytes = b""
    address: str = ""
    trouble: str = ""

    def __str__(self) -> str:
        sentence = SENTENCES[self.result]
        if self.result == "accepted" and self.alert:
            sentence = "declined it with the alert {alert} and went on"
        reaction = sentence.format(alert=self.alert)
        return f"{self.address} {reaction}" if self.address else reaction


def declines(alerts: Iterable[tuple[int, int]]) -> bool:
    """Return whether a renegotiation is declined in one of these alerts (RFC 5246 7.2.2)."""
    return any(number == AlertDescription.NO_RENEGOTIATION_RESERVED for _, number in alerts)


def refusal_in(alerts: Iterable[tuple[int, int]]) -> str:
    """Return the name of the first alert that refuses something; empty if there is none."""
    found = (alert_name(number) for _, number in alerts if number not in _NO_REFUSAL)
    return next(found, "")
