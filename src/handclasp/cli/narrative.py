"""A handshake told in the terminal: the sequence of its messages, and with -v what is behind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from handclasp.cli.identity import printable
from handclasp.cli.terminal import columns

Command = TypeVar("Command", bound=Callable[..., Any])

_WIDEST = 100


def verbose_option(command: Command) -> Command:
    """-v and -vv, as `verbose`: the level of detail after the diagram."""
    return click.option(
        "--verbose",
        "-v",
        count=True,
        help="Unfold the fields of each message, every choice, key and cost; -vv: the bytes, too.",
    )(command)


def story_text(events: Sequence[Any], detail: int) -> str:
    """Return the diagram of a recording, as wide as the terminal; empty if nothing was sent.

    A peer's text may hold control sequences for the terminal: the diagram has none. It leaves out
    the reason for a failure, which is reported with the advice.
    """
    from handclasp.story.narrate import narrate
    from handclasp.trace.events import BytesRefused, MessageSeen, RecordSeen

    if not any(isinstance(event, MessageSeen | BytesRefused | RecordSeen) for event in events):
        return ""
    story = narrate(events, columns(_WIDEST), detail, failure=False)
    return "\n".join(printable(line, len(line)) for line in story.split("\n"))


def tell_story(events: Sequence[Any], detail: int) -> None:
    """Print the diagram on standard error."""
    if text := story_text(events, detail):
        click.echo(text, err=True)
