"""TLS for asyncio: `handclasp.aio.open_connection`, `start_server` and `start_tls`.

A short name for `handclasp.adapters.asyncio`, which holds the code.
"""

from __future__ import annotations

from handclasp.adapters.asyncio import (
    TLSServer,
    TLSTransport,
    create_connection,
    create_server,
    create_unix_connection,
    create_unix_server,
    open_connection,
    open_unix_connection,
    start_server,
    start_tls,
    start_unix_server,
)

__all__ = [
    "open_connection",
    "open_unix_connection",
    "start_server",
    "start_unix_server",
    "start_tls",
    "create_connection",
    "create_unix_connection",
    "create_server",
    "create_unix_server",
    "TLSServer",
    "TLSTransport",
]
