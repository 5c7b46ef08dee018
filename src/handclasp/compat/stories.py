"""The story of a handshake out of the trace that a context made for it."""

from __future__ import annotations

from typing import Any

from handclasp.errors import ConfigurationError


def story_of(trace: Any, *, width: int, detail: int) -> str:
    """Return the text of a trace, as `SSLSocket.explain` documents it.

    Raises:
        ConfigurationError: there is no trace, or it is none that has a text.
    """
    tell = getattr(trace, "to_text", None)
    if tell is None:
        raise ConfigurationError(
            "There is no record of this handshake: set context.make_trace = handclasp.Recorder "
            "before the connection is made."
        )
    text: str = tell(width=width, detail=detail)
    return text
