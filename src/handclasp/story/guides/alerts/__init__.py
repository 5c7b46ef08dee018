"""The pages of alerts that the peer sent: `handclasp fault PEER_HANDSHAKE_FAILURE`.

An error knows the situation in which an alert arrived. The files beside this one say what holds
for every one of its kind: its causes, the likeliest first, and what to do at which end. Each begins
with the names of its alerts, and with the faults that the sender may have found. The meaning of
an alert comes from `handclasp.alerts`, as it does in errors.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files

from handclasp.advice import with_condition
from handclasp.alerts import explain_alert
from handclasp.faults import Fault
from handclasp.iana import AlertDescription, alert_name
from handclasp.story.guides import BLAMED

UNKNOWN_ALERT = "PEER_UNKNOWN_ALERT"
"""The name that `handclasp.metrics` gives to all alerts that are not registered."""

PEER_ALERTS = {
    f"PEER_{alert.name}": alert.value
    for alert in AlertDescription
    if alert is not AlertDescription.CLOSE_NOTIFY  # It ends a connection without an error.
}
"""The registered alerts with which a peer ends a connection, by `PeerAlertError.fault_name`."""

_REGISTERED = frozenset(AlertDescription)

_UNREGISTERED = """\
## Likely causes

- The other end speaks a private or a newer form of the protocol, or has a defect.
- Something on the way changed the bytes, or the other end does not speak TLS.

## On this end

- Check the host and port, and connect on another way, such as another network.

## On the other end

- Look into its log: nothing else has the reason.
"""


def alert_number(fault_name: str) -> int | None:
    """Return the number of the alert that a `PeerAlertError.fault_name` stands for, if it is one.

    >>> from handclasp.story.guides.alerts import alert_number
    >>> alert_number("PEER_HANDSHAKE_FAILURE"), alert_number("PEER_ALERT_200")
    (40, 200)
    """
    if (number := PEER_ALERTS.get(fault_name)) is not None:
        return number
    found = re.fullmatch(r"PEER_ALERT_([0-9]{1,3})", fault_name)
    number = int(found[1]) if found is not None else 256
    return number if number in PEER_ALERTS.values() or _is_unregistered(number) else None


def alert_page(number: int) -> str:
    """Return the page of an alert that the peer sent, in Markdown.

    >>> from handclasp.story.guides.alerts import alert_page
    >>> print(alert_page(116).partition("## Likely causes")[0])
    # PEER_CERTIFICATE_REQUIRED
    <BLANKLINE>
    The server requires a client certificate, and none was sent.
    <BLANKLINE>
    - Alert: certificate_required (116), from the other end
    - At fault: unclear: the alert does not say
    - To change: Give this side a certificate and key from a CA that the server trusts.
    <BLANKLINE>
    <BLANKLINE>
    """
    name = alert_name(number)
    told = f"number {number}, which is not registered" if _is_unregistered(number) else name
    guide, faults = _guides().get(number, (_UNREGISTERED, ()))
    title = f"PEER_{name.upper().replace(' ', '_')}"
    known = f"{told} ({number})" if told == name else told
    return "\n".join([*_head(title, number, known), "", guide.rstrip(), "", *_found(faults)])


def unknown_alert_page() -> str:
    """Return the page of `UNKNOWN_ALERT`, in Markdown.

    >>> from handclasp.story.guides.alerts import unknown_alert_page
    >>> "not registered" in unknown_alert_page()
    True
    """
    known = "any that is not registered"
    return "\n".join([*_head(UNKNOWN_ALERT, 255, known), "", _UNREGISTERED])


def _is_unregistered(number: int) -> bool:
    return number <= 255 and number not in _REGISTERED


def _head(title: str, number: int, known: str) -> Iterator[str]:
    explained = explain_alert(number)
    blame, condition = explained.verdict
    yield f"# {title}\n\n{explained.sentence}\n"
    yield f"- Alert: {known}, from the other end"
    yield f"- At fault: {with_condition(BLAMED[blame], condition)}"
    if explained.fix:
        yield f"- To change: {explained.fix}"


def _found(faults: tuple[Fault, ...]) -> Iterator[str]:
    """Yield the faults for which peers send an alert."""
    if not faults:
        return
    yield "## What the other end may have found\n"
    yield (
        "These faults are worded as the end sees them that found one: its peer is this end. "
        "`handclasp fault NAME` has the settings of OpenSSL, nginx, Go, Java and Python.\n"
    )
    yield from (f"- {fault.name}: {fault.sentence}" for fault in faults)
    yield ""


@cache
def _guides() -> dict[int, tuple[str, tuple[Fault, ...]]]:
    """Return the guide that each registered alert is in, and its faults."""
    found: dict[int, tuple[str, tuple[Fault, ...]]] = {}
    for file in files(__name__).iterdir():
        if file.name.endswith(".md"):
            head, _, body = file.read_text("utf-8").removeprefix("Alerts: ").partition("\n\n")
            alerts, _, faults = head.partition("\nFaults: ")
            named = tuple([Fault[name.strip()] for name in faults.split(",")])
            found |= {
                PEER_ALERTS[f"PEER_{name.strip()}"]: (body, named) for name in alerts.split(",")
            }
    return found
