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
    """-v and -vv, as `verbose`: how much of what is behind the story is told."""
    return click.option(
        "--verbose",
        "-v",
        count=True,
        help="Unfold the fields of each message, every choice, key and cost; -vv: the bytes, too.",
    )(command)


def story_text(events: Sequence[Any], detail: int) -> str:
    """The story of what a recorder noted, as wide as the terminal; empty where nothing was said.

    What others said may hold anything, and a terminal obeys some of it: none of that is in it. How
    a failure came about is left to whoever tells what to change.
    """
    from handclasp.story.narrate import narrate
    from handclasp.trace.events import BytesRefused, MessageSeen

    if not any(isinstance(event, MessageSeen | BytesRefused) for event in events):
        return ""
    story = narrate(events, columns(_WIDEST), detail, failure=False)
    return "\n".join(printable(line, len(line)) for line in story.split("\n"))


def tell_story(events: Sequence[Any], detail: int) -> None:
    """The same on standard error."""
    if text := story_text(events, detail):
        click.echo(text, err=True)
