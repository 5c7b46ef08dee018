"""A replay guard waits as its server does: in a thread of its own, or in the event loop."""

from __future__ import annotations

import asyncio
import re
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
    Fault,
    PeerAlertError,
    ProtocolError,
    ServerConfig,
    SessionStore,
    TicketKeys,
    aio,
    wrap_client,
    wrap_server,
)
from handclasp.adapters.arguments import server_config
from handclasp.adapters.trio import TLSStream, serve_tls
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


class Promising:
    """A guard that cannot be recognised: an ordinary method gives the awaitable."""

    def is_first(self, token: bytes, ticket_created_at: float) -> Any:
        return Asynchronous().is_first(token, ticket_created_at)


def refused_in_a_thread(config: ServerConfig, client: ClientConfig) -> BaseException:
    with plain_pair() as (left, right):
        serving = Aside(wrap_server, right, config)
        with pytest.raises(PeerAlertError, match="internal_error"):
            wrap_client(left, client, server_name="localhost")
        with pytest.raises(ProtocolError) as caught:
            serving.result()
    return caught.value


def refused_on_asyncio(config: ServerConfig, client: ClientConfig) -> BaseException:
    async def main() -> BaseException:
        told: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
        server = await aio.start_server(
            answer_nothing,
            "127.0.0.1",
            0,
            config=config,
            on_handshake_error=lambda error, *_: told.set_result(error),
        )
        async with server:
            with pytest.raises(PeerAlertError, match="internal_error"):
                port = server.sockets[0].getsockname()[1]
                await aio.open_connection("127.0.0.1", port, config=client, server_name="localhost")
            return await asyncio.wait_for(told, 30)

    return asyncio.run(main())


def refused_on_trio(config: ServerConfig, client: ClientConfig) -> BaseException:
    async def main() -> BaseException:
        found: list[BaseException] = []

        async def meet(stream: TLSStream[Any]) -> None:
            try:
                await stream.do_handshake()
            except trio.BrokenResourceError as error:
                found.append(error.__cause__ or error)
            finally:
                await trio.aclose_forcefully(stream)

        left, right = map(trio.SocketStream, map(trio.socket.from_stdlib_socket, pair))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(meet, TLSStream(left, client, server_name="localhost"))
            await meet(TLSStream(right, config))
        (one,) = [each for each in found if not isinstance(each, PeerAlertError)]
        return one

    pair = socket.socketpair()
    return trio.run(main)


REFUSED = {
    "thread": refused_in_a_thread,
    "asyncio": refused_on_asyncio,
    "trio": refused_on_trio,
}


@pytest.mark.parametrize("server", REFUSED)
@pytest.mark.parametrize("name", GUARDS)
def test_so_is_that_of_a_chosen_config_when_it_is_chosen(pki: Pki, name: str, server: str) -> None:
    config = ServerConfig(credentials=pki.server(), max_early_data=99, replay_guard=GUARDS[name]())
    own = ServerConfig(credentials=pki.server(), choose_config=lambda _: config)
    words = ADVICE.get((name, server))
    client = ClientConfig(trust=pki.trust)
    if words is None:
        assert server_config(config, server) is config  # type: ignore[arg-type]
        return
    error = REFUSED[server](own, client)
    assert isinstance(error, ProtocolError)
    assert error.fault is Fault.CALLBACK_FAILED
    assert re.search(
        f"choose_config gave a config that .* here. replay_guard: .*{words}", str(error)
    )
    assert isinstance(error.__cause__, ConfigurationError)


def test_one_that_cannot_be_recognised_is_named_when_it_is_asked(pki: Pki) -> None:
    keys = TicketKeys()
    chosen = ServerConfig(
        credentials=pki.server(), ticket_keys=keys, max_early_data=99, replay_guard=Promising()
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
