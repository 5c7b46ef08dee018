"""A KeyboardInterrupt in a call of trio's `TLSStream` loses nothing, wherever it comes."""

from __future__ import annotations

import signal
import sys
from collections.abc import Awaitable
from dataclasses import replace
from types import FrameType
from typing import Any

import pytest
import trio
from tests.adapters.triostreams import over, shake_hands
from trio.testing import memory_stream_pair

from handclasp import ClientConfig, ServerConfig

FILES = ("adapters/trio_stream.py", "adapters/trio_duplex.py", "adapters/buffers.py")


class Interrupt:
    """Sends this process SIGINT, as Ctrl+C does, before one line of the adapter."""

    def __init__(self, line: int) -> None:
        self._left = line
        self.sent = False

    def __call__(self, frame: FrameType, event: str, arg: Any) -> Any:
        if self.sent or not frame.f_code.co_filename.endswith(FILES):
            return None
        if event == "line":
            self._left -= 1
            if not self._left:
                self.sent = True
                signal.raise_signal(signal.SIGINT)
        return self

    async def during(self, call: Awaitable[Any]) -> Any:
        """Return what the call gives; None where it is interrupted, in it or right behind it."""
        before, result = sys.gettrace(), None
        sys.settrace(self)
        try:
            result = await call
            if self.sent:
                await trio.sleep_forever()
        except KeyboardInterrupt:
            assert self.sent
        finally:
            sys.settrace(before)
        return result


async def receiving(pair: Any, interrupt: Interrupt) -> None:
    """Every byte is received, those of the interrupted call by the next one."""
    client, server = pair
    for piece in (b"one, ", b"two, ", b"three"):
        await server.send_all(piece)
    got = await interrupt.during(client.receive_some(3)) or b""
    await server.send_all(b".")
    while not got.endswith(b"."):
        got += await client.receive_some(3)
    assert got == b"one, two, three."


async def sending(pair: Any, interrupt: Interrupt) -> None:
    """What is sent arrives whole, or not at all; or else nothing more can be sent."""
    client, server = pair
    await interrupt.during(client.send_all(b"first, "))
    try:
        await client.send_all(b"second.")
    except trio.BrokenResourceError:
        return
    got = b""
    while not got.endswith(b"."):
        got += await server.receive_some()
    assert got in (b"first, second.", b"second.")


@pytest.mark.parametrize("work", [receiving, sending])
def test_at_every_line(client_config: ClientConfig, server_config: ServerConfig, work: Any) -> None:
    async def main(line: int) -> bool:
        interrupt = Interrupt(line)
        with trio.fail_after(10):
            pair = await shake_hands(over(memory_stream_pair(), client_config, server_config))
            await work(pair, interrupt)
        return interrupt.sent

    line = 1
    while trio.run(main, line):
        line += 1
    assert line > 20


def test_a_callback_that_never_waits_is_interrupted(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    async def confirm(question: Any) -> bool:
        signal.raise_signal(signal.SIGINT)
        pytest.fail("it goes on")

    config = replace(client_config, confirm_peer=confirm)

    async def main() -> None:
        client, server = over(memory_stream_pair(), config, server_config)
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def serve() -> None:
                with pytest.raises(trio.BrokenResourceError):
                    await server.receive_some()

            with pytest.raises(KeyboardInterrupt):
                await client.do_handshake()
            await client.aclose()

    trio.run(main)
