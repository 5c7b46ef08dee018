"""The log of a server: each client whose handshake failed, for the operator.

`ssl` has none. socketserver drops the exception, and asyncio, with uvicorn above it, mentions it in
its debug mode alone. The level is INFO, which no logger has unless somebody sets it: any stranger
can make a handshake fail.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from handclasp.compat.errors import EXPLANATION
from handclasp.errors import TLSError
from handclasp.wording import printable

LOGGER = "handclasp.compat"

_LONGEST = 1000
"""Characters of one line: a peer may have chosen some of them."""


def log_refusal(failure: TLSError, address: object) -> None:
    """Log that the handshake of a client failed. What a handler or a filter raises is dropped.

    Args:
        failure: of the handshake, with its notes.
        address: of the client, as sockets give it; None if it is unknown.
    """
    import logging  # Most processes that use this room are clients.

    logger = logging.getLogger(LOGGER)
    if not logger.isEnabledFor(logging.INFO):
        return
    who = f"The client at {_named(address)}" if address else "A client"
    extra = {"failure": failure, "peer": address}
    with suppress(Exception):  # A log that fails must not end the server's loop.
        logger.info(
            "%s did not complete the handshake: %s: %s",
            who,
            failure.fault_name,
            printable(_told(failure), _LONGEST),
            extra=extra,
        )


def _told(failure: TLSError) -> str:
    """Return what happened, as the first note of the exception says it."""
    notes: list[str] = getattr(failure, "__notes__", [])
    return notes[0].removeprefix(EXPLANATION) if notes else failure.explanation


def _named(address: Any) -> str:
    """Return the address and port of TCP as one word; that of another family as it is."""
    match address:
        case (str() as host, int() as port):
            return f"{host}:{port}"
        case (str() as host, int() as port, int(), int()):
            return f"[{host}]:{port}"
        case _:
            return printable(str(address))
