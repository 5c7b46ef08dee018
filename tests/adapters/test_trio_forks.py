"""Forks under trio: a child closes its copies without a word, and the parent goes on."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import pytest
import trio
import trio.testing
from tests.adapters.test_asyncio_forks import in_child
from tests.adapters.triostreams import over, run, shake_hands, socket_pair

from handclasp import ClientConfig, ServerConfig
from handclasp.trio import TLSStream

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here"),
    pytest.mark.filterwarnings("ignore:This process:DeprecationWarning"),
]

CALLS: dict[str, Callable[[Any], Awaitable[Any]]] = {
    "receive": lambda stream: stream.receive_some(),
    "send": lambda stream: stream.send_all(b"of the child"),
    "end": lambda stream: stream.send_eof(),
    "keys": lambda stream: stream.update_keys(),
    "wait": lambda stream: stream.wait_send_all_might_not_block(),
    "handshake": lambda stream: stream.do_handshake(),
    "unwrap": lambda stream: stream.unwrap(),
}


def step(call: Awaitable[Any]) -> None:
    """Run it up to where it would wait: no loop goes on in this child."""
    coroutine: Any = call
    with suppress(StopIteration):
        coroutine.send(None)


@pytest.mark.parametrize("established", [True, False])
def test_a_child_closes_its_copy_in_a_run_of_its_own(
    client_config: ClientConfig, server_config: ServerConfig, established: bool
) -> None:
    async def begin() -> Any:
        pair = over(await socket_pair(), client_config, server_config)
        return await shake_hands(pair) if established else pair

    async def talk() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.send_all, b"of the parent")
            assert await server.receive_some() == b"of the parent"
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.aclose)
            assert await server.receive_some() == b""
        await server.aclose()

    client, server = run(begin)
    assert in_child(lambda: trio.run(client.aclose)) == 0
    run(talk)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_child_can_use_nothing(
    client_config: ClientConfig,
    server_config: ServerConfig,
    call: Callable[[TLSStream[Any]], Awaitable[Any]],
) -> None:
    async def main() -> None:
        pair = over(await socket_pair(), client_config, server_config)
        client, server = await shake_hands(pair)
        # The tickets leave with it.
        await server.send_all(b"for the parent")

        def use() -> None:
            with pytest.raises(trio.BrokenResourceError, match="only the process that made"):
                step(call(client))

        assert in_child(use) == 0
        with trio.move_on_after(0.02):
            pytest.fail(f"the child has sent {await server.receive_some()!r}")
        assert await client.receive_some() == b"for the parent"
        await client.send_all(b"of the parent")
        assert await server.receive_some() == b"of the parent"
        await client.aclose()
        await server.aclose()

    run(main)


def test_a_call_that_began_before_the_fork_answers_nothing_in_the_child(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    """The peer asks for new keys, and both processes have its message."""

    async def main() -> None:
        pair = over(await socket_pair(), client_config, server_config)
        client, server = await shake_hands(pair)
        transport = client.transport_stream
        receive_some, send_all = transport.receive_some, transport.send_all
        parent, answers = os.getpid(), []
        children: list[int] = []

        async def fork_on_the_way(max_bytes: int | None = None) -> bytes:
            data: bytes = await receive_some(max_bytes)
            children.append(os.fork())
            return data

        async def note(data: bytes) -> None:
            answers.append(data)
            if os.getpid() == parent:
                await send_all(data)

        async def receive() -> None:
            await client._duplex.receive()  # Once, with no loop that goes on in the child.
            if os.getpid() != parent:
                os._exit(len(answers))

        transport.receive_some, transport.send_all = fork_on_the_way, note
        await server.update_keys(request_peer=True)
        try:
            await receive()
        finally:
            if os.getpid() != parent:
                os._exit(100)
        assert [os.waitstatus_to_exitcode(os.waitpid(each, 0)[1]) for each in children] == [0]
        assert len(answers) == 1
        transport.receive_some = receive_some
        await client.send_all(b"of the parent")
        assert await server.receive_some() == b"of the parent"
        await client.aclose()
        await server.aclose()

    run(main)


def test_a_child_that_closes_does_not_stop_a_reader_of_the_parent(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    """The selector is shared: a socket that the child takes out of it is out of the parent's."""

    async def main() -> None:
        pair = over(await socket_pair(), client_config, server_config)
        client, server = await shake_hands(pair)
        async with trio.open_nursery() as nursery:

            async def read() -> None:
                assert await client.receive_some() == b"for the parent"

            nursery.start_soon(read)
            await trio.testing.wait_all_tasks_blocked()
            assert in_child(lambda: step(client.aclose())) == 0
            await server.send_all(b"for the parent")
        await client.aclose()
        await server.aclose()

    run(main)


def test_tls_over_tls_is_closed_without_a_word(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    async def main() -> None:
        below = over(await socket_pair(), client_config, server_config)
        client, server = await shake_hands(
            over(await shake_hands(below), client_config, server_config)
        )
        assert in_child(lambda: step(client.aclose())) == 0
        await client.send_all(b"of the parent")
        assert await server.receive_some() == b"of the parent"
        await client.aclose()
        await server.aclose()

    run(main)
