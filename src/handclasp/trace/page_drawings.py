"""The pictures on the page: how the keys come from one another, and where the time went.

Plain SVG in the page's colours, narrow enough for a telephone.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from handclasp.trace.events import (
    KeysInstalled,
    QuestionAnswered,
    RecordSeen,
    Settled,
    TraceEvent,
)
from handclasp.trace.markup import Markup, tag

_WIDTH = 380


class Branch(NamedTuple):
    """A secret that a stage gives: its label in the RFC and in a key log, and what it is for."""

    label: str
    logged: str
    purpose: str


class Stage(NamedTuple):
    """A stage of the key schedule: what goes in, what it is called, and what it gives."""

    ingredient: str
    name: str
    branches: tuple[Branch, ...]


STAGES13 = (
    Stage(
        "a pre-shared key, or zeros",
        "Early Secret",
        (
            Branch("c e traffic", "CLIENT_EARLY_TRAFFIC_SECRET", "the client's early data"),
            Branch("e exp master", "EARLY_EXPORTER_SECRET", "keys for applications, early"),
        ),
    ),
    Stage(
        "the secret of the key exchange",
        "Handshake Secret",
        (
            Branch("c hs traffic", "CLIENT_HANDSHAKE_TRAFFIC_SECRET", "the client's handshake"),
            Branch("s hs traffic", "SERVER_HANDSHAKE_TRAFFIC_SECRET", "the server's handshake"),
        ),
    ),
    Stage(
        "zeros",
        "Master Secret",
        (
            Branch("c ap traffic", "CLIENT_TRAFFIC_SECRET_0", "what the client says"),
            Branch("s ap traffic", "SERVER_TRAFFIC_SECRET_0", "what the server says"),
            Branch("exp master", "EXPORTER_SECRET", "keys for applications"),
            Branch("res master", "RESUMPTION_SECRET", "tickets to come back with"),
        ),
    ),
)
"""RFC 8446 section 7.1."""

STAGES12 = (
    Stage("the secret of the key exchange", "premaster secret", ()),
    Stage(
        "both hellos, or all that was said",
        "master secret",
        (
            Branch("key expansion", "", "the keys of both directions"),
            Branch("client finished", "", "the client's Finished"),
            Branch("server finished", "", "the server's Finished"),
        ),
    ),
)
"""RFC 5246 section 8.1, RFC 7627 section 4."""


def schedule(stages: Sequence[Stage], known: Collection[str]) -> Markup:
    """The stages from top to bottom, and to the right what each gives.

    Args:
        known: the labels of the secrets whose values the page shows.
    """
    parts: list[Markup] = []
    y = 4
    for number, stage in enumerate(stages):
        parts += _text(8, y + 14, stage.ingredient, "in")
        parts.append(_line(62, y + 22, 62, y + 36, arrow=True))
        y += 38
        height = max(44, 34 * len(stage.branches))
        parts += _stage(stage, y, height, is_extracted=number > 0 or len(stages) == 3)
        for index, branch in enumerate(stage.branches):
            parts += _branch(branch, y + 34 * index, known=branch.logged in known)
        if number + 1 < len(stages):
            parts.append(_line(118, y + 44, 118, y + height + 52, arrow=True))
        y += height + 14
    names = ", then ".join(stage.name for stage in stages)
    return tag(
        "svg",
        tag("title", f"The key schedule: {names}"),
        tag("g", parts),
        viewBox=f"0 0 {_WIDTH} {y}",
        role="img",
        class_="schedule",
    )


def _stage(stage: Stage, y: int, height: int, *, is_extracted: bool) -> list[Markup]:
    how = "HKDF-Extract" if is_extracted else "by key exchange"
    if stage.name == "master secret":
        how = "PRF"
    lines = [
        tag("rect", x=2, y=y, width=146, height=44, rx=8, class_="stage"),
        *_text(12, y + 19, stage.name, "strong"),
        *_text(12, y + 35, how, "in"),
    ]
    for index in range(len(stage.branches)):
        at = y + 16 + 34 * index
        lines.append(_line(160, at, 176, at, arrow=True))
    if stage.branches:
        last = y + 16 + 34 * (len(stage.branches) - 1)
        lines += [_line(148, y + 16, 160, y + 16), _line(160, y + 16, 160, last)]
    return lines if height else []


def _branch(branch: Branch, y: int, *, known: bool) -> list[Markup]:
    box = tag("rect", x=180, y=y, width=198, height=30, rx=6, class_="known" if known else "leaf")
    drawn = [box, *_text(188, y + 13, branch.label, "mono"), *_text(188, y + 25, branch.purpose)]
    if known:
        return [tag("a", drawn, href=f"#{branch.logged}")]
    return drawn


def _text(x: int, y: int, text: str, kind: str = "in") -> list[Markup]:
    return [tag("text", text, x=x, y=y, class_=kind)]


def _line(x1: int, y1: int, x2: int, y2: int, *, arrow: bool = False) -> Markup:
    head = ""
    if arrow:
        head = "m-3 -4 3 4 3 -4" if x1 == x2 else "m-4 -3 4 3 -4 3"
    return tag("path", d=f"M{x1} {y1}L{x2} {y2}{head}", class_="wire")


class _Bar(NamedTuple):
    label: str
    start_ns: int
    elapsed_ns: int


_QUESTIONS = {
    "Sign": "signing, with the private key",
    "VerifyPeer": "judging the certificates",
    "ChooseCredentials": "choosing a certificate",
    "ConfirmPeer": "asking the application",
    "FindPsk": "looking up a key from earlier",
}


def timeline(events: Sequence[TraceEvent]) -> Markup | None:
    """When the records passed, and how long each question took; None without any question."""
    bars = [
        _Bar(
            _QUESTIONS.get(event.question, event.question),
            event.at_ns - event.elapsed_ns,
            event.elapsed_ns,
        )
        for event in events
        if isinstance(event, QuestionAnswered)
    ]
    if not bars:
        return None
    begin, end = _limits(events)
    scale = _WIDTH / max(end - begin, 1)
    parts: list[Markup] = []
    y = 16
    for bar in bars:
        x = round((bar.start_ns - begin) * scale, 1)
        width = max(round(bar.elapsed_ns * scale, 1), 1.5)
        parts += [
            *_text(0, y, f"{bar.label}: {bar.elapsed_ns / 1e6:.2f} ms"),
            tag("rect", x=0, y=y + 6, width=_WIDTH, height=10, rx=2, class_="track"),
            tag("rect", x=f"{x}", y=y + 6, width=f"{width}", height=10, rx=2, class_="bar"),
        ]
        y += 38
    for direction in ("sent", "received"):
        parts += _ticks(events, direction, (begin, end), y)
        y += 44
    return tag(
        "svg",
        tag("title", "When the records passed, and how long the work between them took"),
        tag("g", parts),
        *_text(0, y, "0 ms"),
        tag("text", f"{(end - begin) / 1e6:.1f} ms", x=_WIDTH, y=y, class_="in end"),
        viewBox=f"0 0 {_WIDTH} {y + 6}",
        role="img",
        class_="timeline",
    )


def _limits(events: Sequence[TraceEvent]) -> tuple[int, int]:
    """From the first event to where the handshake was done, or the last event."""
    settled = next((event.at_ns for event in events if isinstance(event, Settled)), None)
    return events[0].at_ns, settled if settled is not None else events[-1].at_ns


def _ticks(
    events: Sequence[TraceEvent], direction: str, limits: tuple[int, int], y: int
) -> list[Markup]:
    begin, end = limits
    seen = [
        event
        for event in events
        if isinstance(event, RecordSeen) and event.direction == direction and event.at_ns <= end
    ]
    size = sum(event.size for event in seen)
    plural = "" if len(seen) == 1 else "s"
    scale = _WIDTH / max(end - begin, 1)
    keys = [
        event.at_ns
        for event in events
        if isinstance(event, KeysInstalled) and event.direction == direction and event.at_ns <= end
    ]
    drawn = [
        *_text(0, y, f"{direction}: {len(seen)} record{plural}, {size:,} bytes"),
        tag("rect", x=0, y=y + 6, width=_WIDTH, height=16, rx=2, class_="track"),
    ]
    for event in seen:
        x = round((event.at_ns - begin) * scale, 1)
        height = min(4 + event.size // 100, 16)
        kind = "tick" if event.epoch == "plaintext" else "tick sealed"
        drawn.append(
            tag(
                "rect",
                x=f"{min(x, _WIDTH - 2)}",
                y=y + 22 - height,
                width=2,
                height=height,
                class_=kind,
            )
        )
    drawn += [
        tag("circle", cx=f"{round((at - begin) * scale, 1)}", cy=y + 26, r=2, class_="key")
        for at in keys
    ]
    return drawn
