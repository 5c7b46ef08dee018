"""TLS for trio: `handclasp.trio.open_tls_stream`, `serve_tls` and `TLSStream`.

A short name for `handclasp.adapters.trio`, which holds the code. It needs the extra
`handclasp[trio]`.

>>> import trio
>>> from functools import partial
>>> from handclasp.trio import open_tls_stream, serve_tls
>>> async def echo(stream):
...     await stream.send_all(await stream.receive_some())
>>> async def main():
...     config = ServerConfig(credentials=Credentials.load("chain.pem", "key.pem"))
...     async with trio.open_nursery() as nursery:
...         serve = partial(serve_tls, echo, 0, config, host="127.0.0.1")
...         [listener] = await nursery.start(serve)
...         port = listener.socket.getsockname()[1]
...         name = "example.com"
...         async with await open_tls_stream("127.0.0.1", port, server_name=name) as stream:
...             await stream.send_all(b"hello")
...             print(await stream.receive_some())
...         nursery.cancel_scope.cancel()
>>> trio.run(main)
b'hello'
"""

from __future__ import annotations

from handclasp.adapters.trio import (
    HandshakeNeeded,
    TLSListener,
    TLSStream,
    open_tls_stream,
    serve_tls,
)

__all__ = ["open_tls_stream", "serve_tls", "TLSStream", "TLSListener", "HandshakeNeeded"]
