"""TLS for asyncio streams: `handclasp.aio.open_connection`, `start_server` and `start_tls`.

A short name for `handclasp.adapters.asyncio`, which holds the code.
"""

from __future__ import annotations

from handclasp.adapters.asyncio import (
    TLSServer,
    TLSTransport,
    open_connection,
    start_server,
    start_tls,
)

__all__ = ["open_connection", "start_server", "start_tls", "TLSServer", "TLSTransport"]
