"""The end of a connection that the server closes: clients that do not close cost no descriptor."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from handclasp.adapters.progress import unsent_bytes

if TYPE_CHECKING:
    from handclasp.adapters.pump import TLSTransport

CLOSE_SECONDS = 2.0
"""The seconds that a client which has everything may take to close, too. It may still send a body
that nobody reads, and an abort could overtake the answer.
"""


def close_soon(transport: TLSTransport, seconds: float = CLOSE_SECONDS) -> None:
    """Close a connection, and abort it if the client has everything and does not close.

    Args:
        transport: of the connection.
        seconds: how long the client may take.
    """
    transport.close()
    asyncio.get_running_loop().call_later(seconds, _abort_if_taken, transport, seconds)


def _abort_if_taken(transport: TLSTransport, seconds: float) -> None:
    sock = transport.get_extra_info("socket")
    if sock is None or sock.fileno() < 0:  # It is gone.
        return
    # The end of the stream counts as a byte.
    if unsent_bytes(transport) <= 1:
        transport.abort()
    else:  # For a client that takes nothing, the close has a time of its own.
        asyncio.get_running_loop().call_later(seconds, _abort_if_taken, transport, seconds)
