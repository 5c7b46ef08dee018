"""The story of a handshake out of the trace that a context made for it."""

from __future__ import annotations

from typing import Any

from handclasp.errors import ConfigurationError, StateError

_ASK = "set context.make_trace = handclasp.Recorder before the handshake begins"

HOW_TO_TRACE = f"For the story of the whole handshake, {_ASK}."


def story_of(trace: Any, *, width: int, detail: int) -> str:
    """Return the text of a trace, as `SSLSocket.explain` documents it.

    Raises:
        ConfigurationError: there is no trace, or it is none that has a text.
    """
    if trace is None:
        raise ConfigurationError(f"There is no record of this handshake: {_ASK}.")
    tell = getattr(trace, "to_text", None)
    if tell is None:
        kind = type(trace).__name__
        raise ConfigurationError(f"The trace, of type {kind}, tells no story: {_ASK}.")
    text: str = tell(width=width, detail=detail)
    return text


def not_begun(*, is_traced: bool) -> StateError:
    """Return the error for the story of a handshake that has not begun.

    Args:
        is_traced: whether the context makes traces.
    """
    first = "call" if is_traced else f"{_ASK}, and call"
    return StateError(f"The handshake has not begun: {first} do_handshake().")
