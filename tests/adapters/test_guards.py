"""A replay guard waits as its server does: in a thread of its own, or in the event loop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
import trio
from tests.adapters.pairs import Aside, plain_pair
from tests.adapters.streams import answer_nothing
from tests.end_to_end.pair import Pair
from tests.pki import Pki

from handclasp import (
    ClientConfig,
    ConfigurationError,
    ServerConfig,
    SessionStore,
    TicketKeys,
    aio,
    wrap_client,
    wrap_server,
)
from handclasp.adapters.trio import serve_tls
from handclasp.redis import AsyncRedisReplayFilter, RedisReplayFilter

URL = "redis://127.0.0.1:1/0"


class Asynchronous:
    """A guard of an application: it does not say which event loop it is for."""

    async def is_first(self, token: bytes, ticket_created_at: float) -> bool:
        return True


class Plain:
    def is_first(self, token: bytes, ticket_created_at: float) -> bool:
        return True


class OfAThread(Plain):
    waits_in = "thread"


def in_a_thread(sock: socket.socket, config: ServerConfig) -> None:
    wrap_server(sock, config, handshake=False).close()


def on_asyncio(sock: socket.socket, config: ServerConfig) -> None:
    async def main() -> None:
        server = await aio.start_server(answer_nothing, "127.0.0.1", 0, config=config)
        server.close()
        await server.wait_closed()

    asyncio.run(main())


def on_trio(sock: socket.socket, config: ServerConfig) -> None:
    async def handler(stream: Any) -> None:
        del stream

    async def main() -> None:
        with trio.move_on_after(0):
            await serve_tls(handler, 0, config)

    trio.run(main)


SERVERS = {"thread": in_a_thread, "asyncio": on_asyncio, "trio": on_trio}
GUARDS: dict[str, Callable[[], Any]] = {
    "RedisReplayFilter": lambda: RedisReplayFilter(URL),
    "AsyncRedisReplayFilter": lambda: AsyncRedisReplayFilter(URL),
    "Asynchronous": Asynchronous,
    "Plain": Plain,
    "OfAThread": OfAThread,
}
ADVICE = {
    ("RedisReplayFilter", "asyncio"): r"block the event loop.*redis\.AsyncRedisReplayFilter",
    ("RedisReplayFilter", "trio"): r"block the event loop.*trio\.to_thread",
    ("AsyncRedisReplayFilter", "thread"): r"is async: use handclasp\.redis\.RedisReplayFilter",
    ("AsyncRedisReplayFilter", "trio"): r"needs asyncio: use .*trio\.to_thread",
    ("Asynchronous", "thread"): r"cannot wait for Asynchronous",
    ("OfAThread", "asyncio"): r"OfAThread would block",
    ("OfAThread", "trio"): r"OfAThread would block",
}


@pytest.fixture
def sock() -> Iterator[socket.socket]:
    with plain_pair() as (one, _):
        yield one


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("name", GUARDS)
def test_a_guard_that_waits_elsewhere_is_refused(
    pki: Pki, sock: socket.socket, name: str, server: str
) -> None:
    config = ServerConfig(credentials=pki.server(), max_early_data=99, replay_guard=GUARDS[name]())
    words = ADVICE.get((name, server))
    if words is None:
        SERVERS[server](sock, config)
        return
    with pytest.raises(ConfigurationError, match=f"^replay_guard: .*{words}"):
        SERVERS[server](sock, config)


def test_a_guard_of_a_chosen_config_is_named_when_it_is_asked(pki: Pki) -> None:
    """Which config that is, is known only when a client comes."""
    keys = TicketKeys()
    chosen = ServerConfig(
        credentials=pki.server(), ticket_keys=keys, max_early_data=99, replay_guard=Asynchronous()
    )
    server = replace(chosen, replay_guard=None, choose_config=lambda _: chosen)
    client = ClientConfig(trust=pki.trust, sessions=SessionStore(), allow_early_data=True)
    assert Pair(client, chosen).run().established
    with plain_pair() as (left, right):
        serving = Aside(wrap_server, right, server)
        with suppress(OSError):
            wrap_client(left, client, server_name="localhost", early_data=b"x").close()
        with pytest.raises(ConfigurationError, match=r"^replay_guard .*redis\.RedisReplayFilter"):
            serving.result()
