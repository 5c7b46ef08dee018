"""TLS for Python: the handshake between a client and a server, readable, fast and visible.

Start with `connect` for a client over a socket, `wrap_server` for a server, `handclasp.aio` for
asyncio, and `ClientConnection` or `ServerConnection` to bring your own transport.
"""

from __future__ import annotations

__version__ = "0.1.0.dev0"
