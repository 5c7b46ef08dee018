"""TLS for asyncio: `handclasp.aio.open_connection`, `start_server` and `start_tls`.

A short name for `handclasp.adapters.asyncio`, which holds the code.

>>> async def main():
...     reader, writer = await aio.open_connection("example.com", 443)
...     writer.write(b"hello")
...     print(await reader.readexactly(5))
...     writer.close()
...     await writer.wait_closed()
>>> asyncio.run(main())
b'hello'

A plain connection is upgraded by `start_tls`, which returns a new pair:

>>> async def main():
...     reader, writer = await asyncio.open_connection("example.com", 443)
...     reader, writer = await aio.start_tls(reader, writer, server_name="example.com")
...     print(writer.get_extra_info("handclasp").version)
...     writer.close()
...     await writer.wait_closed()
>>> asyncio.run(main())
TLSv1.3
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
