"""Pairs of TLS streams for the tests of the trio adapter."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import trio
import trio.testing

from handclasp.config import ClientConfig, ServerConfig
from handclasp.trio import TLSStream

Pair = tuple[Any, Any]


def run(work: Callable[[], Awaitable[Any]]) -> Any:
    """Run it to its end, which must come within 30 seconds."""

    async def main() -> Any:
        with trio.fail_after(30):
            return await work()

    return trio.run(main, strict_exception_groups=True)


def over(
    transports: Pair, client_config: ClientConfig, server_config: ServerConfig, **settings: Any
) -> Pair:
    """A client and a server on the two ends, with no handshake begun."""
    left, right = transports
    client = TLSStream(left, client_config, server_name="localhost", **settings)
    return client, TLSStream(right, server_config, **settings)


async def shake_hands(pair: Pair) -> Pair:
    async with trio.open_nursery() as nursery:
        for stream in pair:
            nursery.start_soon(stream.do_handshake)
    return pair


async def socket_pair() -> Pair:
    """Two ends of a TCP connection, as trio's streams."""
    listener = (await trio.open_tcp_listeners(0, host="127.0.0.1"))[0]
    async with listener:
        host, port = listener.socket.getsockname()
        left = await trio.open_tcp_stream(host, port)
        return left, await listener.accept()
