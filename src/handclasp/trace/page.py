"""A recorded handshake as one HTML page, which needs nothing else and works from a disk.

First what came of it, then everything that was said, byte by byte, and then the seven steps of a
handshake, each with what this one had to do with it. All of a peer's text goes through `markup`,
which escapes it; the page's policy lets nothing run but its own script (`page_assets`).
"""

from __future__ import annotations

from collections.abc import Sequence

from handclasp.trace.events import Failed, Settled, TraceEvent
from handclasp.trace.facts import Facts, facts_of
from handclasp.trace.markup import Markup, markup, tag
from handclasp.trace.page_assets import SCRIPT, STYLE, content_security_policy
from handclasp.trace.page_messages import conversation
from handclasp.trace.page_steps import Describe, seven_steps, table


def page_of(events: Sequence[TraceEvent], title: str, describe: Describe | None = None) -> str:
    """The page.

    Args:
        events: what a recorder noted.
        title: what to call it, such as the host's name.
        describe: what to say of a certificate, given as DER; without it only sizes are told. See
            `handclasp.certificates.describe`.
    """
    facts = facts_of(events)
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=content_security_policy()),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", title),
        tag("link", rel="icon", href=_ICON),
        tag("style", Markup(STYLE)),
    )
    main = tag(
        "main",
        tag("h1", title),
        tag("p", _LEAD, class_="lead"),
        _outcome(events, facts),
        tag("h2", "Everything that was said"),
        tag("p", _HOW_TO_READ),
        conversation(events, facts),
        tag("div", seven_steps(events, facts, describe), class_="steps"),
        _footer(events),
    )
    body = tag("body", main, tag("script", Markup(SCRIPT)))
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}\n"


def _outcome(events: Sequence[TraceEvent], facts: Facts) -> Markup:
    failed = next((event for event in events if isinstance(event, Failed)), None)
    cards: list[Markup] = []
    if failed is not None:
        cards.append(_failure(failed, after=facts.info is not None))
    if facts.info is not None:
        cards.append(_agreement(facts))
    elif failed is None:
        cards.append(
            tag(
                "section",
                tag("h2", "The handshake was not completed"),
                tag("p", "The trace ends before both sides were done, and says of no failure."),
                class_="card",
            )
        )
    return markup(cards)


def _failure(failed: Failed, *, after: bool) -> Markup:
    who = "This side gave up" if failed.origin == "local" else "The other side gave up"
    when = "after the handshake" if after else "during the handshake"
    return tag(
        "section",
        tag("h2", f"{who} {when}"),
        tag("p", tag("b", failed.message)),
        tag("p", failed.explanation) if failed.explanation not in failed.message else None,
        tag("p", tag("b", "To change: "), failed.fix) if failed.fix else None,
        table((("fault", failed.fault), ("alert", failed.alert or "none"))),
        class_="card bad",
        id="failure",
    )


def _agreement(facts: Facts) -> Markup:
    info = facts.info
    if info is None:
        return markup()
    trips = {1: "one round trip", 2: "two round trips"}.get(
        facts.round_trips, f"{facts.round_trips} round trips"
    )
    took = f"{facts.handshake_ns / 1e6:.1f} ms, {trips}" if facts.handshake_ns is not None else ""
    rows = (
        ("version", info.version),
        ("cipher suite", info.cipher_suite),
        ("key exchange", info.group or "none that both had a part in"),
        ("signature", info.signature_scheme or "none"),
        ("protocol inside", info.alpn or "none agreed upon"),
        ("asked for", info.server_name or "no name"),
        ("resumed", "yes: the server knew the client again" if info.resumed else "no"),
        ("early data", info.early_data if info.early_data != "none" else ""),
        ("took", took),
        (
            "on the wire",
            f"{facts.handshake_sent:,} bytes sent and {facts.handshake_received:,} received "
            f"by the {facts.role}, which recorded this",
        ),
    )
    shown = tuple(row for row in rows if row[1])
    return tag("section", tag("h2", "What the two agreed upon"), table(shown), class_="card")


def _footer(events: Sequence[TraceEvent]) -> Markup:
    settled = any(isinstance(event, Settled) for event in events)
    told = "Recorded by handclasp, which ran this handshake and read every byte of it."
    more = " The times are those of the side that recorded." if settled else ""
    return tag("footer", told, more)


_LEAD = (
    "Two computers that never met agree on a secret, in public. This is one such handshake, as "
    "the library that ran it saw it."
)
_HOW_TO_READ = (
    "Open a message to see its fields beside its bytes. Point at a field and its bytes light up, "
    "or the other way round; with the keyboard, the arrow keys do the same. The number at the "
    "right leads to the step that a message belongs to."
)
_ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E"
    "%3Crect x='2' y='7' width='12' height='8' rx='2' fill='%230b7a5c'/%3E"
    "%3Cpath d='M5 7V5a3 3 0 0 1 6 0v2' fill='none' stroke='%230b7a5c' stroke-width='2'/%3E"
    "%3C/svg%3E"
)
