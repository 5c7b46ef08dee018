"""How a server takes connections: so many handshakes at once, whoever comes and says nothing."""

from __future__ import annotations

import asyncio
import errno
import gc
import selectors
import socket
import struct
import sys
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from typing import Any, TypeVarTuple

import pytest
from tests.adapters.streams import close, descriptors_left, echo, open_local, port_of, run, serving
from tests.pki import Pki

from handclasp import aio
from handclasp.adapters import accepting, room
from handclasp.adapters.accepting import Acceptor
from handclasp.client import ClientConnection
from handclasp.config import ClientConfig, ServerConfig
from handclasp.errors import ConfigurationError, HandshakeTimeoutError

if sys.platform != "win32":
    import resource


Given = TypeVarTuple("Given")


class ProactorLike(asyncio.SelectorEventLoop):
    """A loop that tells nobody when a socket is readable, like that of Windows."""

    def add_reader(self, fd: Any, callback: Callable[[*Given], Any], *args: *Given) -> None:
        raise NotImplementedError


@pytest.fixture(params=[asyncio.SelectorEventLoop, ProactorLike])
def either_loop(request: pytest.FixtureRequest) -> Iterator[None]:
    """The loop that `run` makes is of either kind."""

    class Policy(asyncio.DefaultEventLoopPolicy):
        _loop_factory = request.param

    asyncio.set_event_loop_policy(Policy())
    yield
    asyncio.set_event_loop_policy(None)


@contextmanager
def silent(port: int, number: int) -> Iterator[list[socket.socket]]:
    """So many clients that connect and say nothing."""
    found = []
    try:
        for _ in range(number):
            sock = socket.socket()
            found.append(sock)
            sock.setblocking(False)
            with suppress(BlockingIOError):
                sock.connect(("127.0.0.1", port))
        yield found
    finally:
        for sock in found:
            sock.close()


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.005)


async def echo_and_close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await echo(reader, writer)
    await close(writer)


async def say_hello(port: int, config: ClientConfig) -> None:
    reader, writer = await open_local(port, config)
    writer.write(b"hello")
    assert await reader.readexactly(5) == b"hello"
    await close(writer)


@pytest.mark.usefixtures("either_loop")
@pytest.mark.parametrize("words", [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01"])
def test_who_sends_no_hello_makes_room_for_others(
    client_config: ClientConfig, server_config: ServerConfig, words: bytes
) -> None:
    errors: list[Exception] = []

    async def main() -> None:
        async with serving(
            echo,
            replace(server_config, handshake_timeout=60),
            max_handshakes=4,
            hello_timeout=None,
            on_handshake_error=lambda error, _transport: errors.append(error),
        ) as port:
            with silent(port, 8) as peers:
                await asyncio.sleep(0.05)
                for peer in peers:
                    with suppress(OSError):  # some have had to go already
                        peer.send(words)
                for _ in range(3):
                    await say_hello(port, client_config)
                assert len(errors) >= 5  # four of the eight, and one for each who is served
                assert {type(error) for error in errors} == {HandshakeTimeoutError}
                assert "others needed its place" in str(errors[0])

    run(main())


@pytest.mark.usefixtures("either_loop")
def test_who_says_hello_and_no_more_makes_room_for_others(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    async def main() -> None:
        async with serving(
            echo, replace(server_config, handshake_timeout=60), max_handshakes=2
        ) as port:
            with silent(port, 2) as peers:
                await asyncio.sleep(0.05)
                for peer in peers:
                    client = ClientConnection(client_config, server_name="localhost")
                    peer.send(bytes(client.data_to_send()))
                await asyncio.sleep(0.1)
                await say_hello(port, client_config)

    run(main())


@pytest.mark.long
def test_one_address_that_connects_without_end_keeps_nobody_waiting(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    """Some hundred sockets of 127.9.0.1 connect again whenever they are dropped."""
    stop = threading.Event()

    def crowd(port: int) -> None:
        with selectors.DefaultSelector() as selector:
            for _ in range(200):
                selector.register(connect_from("127.9.0.1", port), selectors.EVENT_READ)
            while not stop.is_set():
                for key, _ in selector.select(0.05):
                    sock: Any = key.fileobj
                    selector.unregister(sock)
                    sock.close()
                    selector.register(connect_from("127.9.0.1", port), selectors.EVENT_READ)
            for key in list(selector.get_map().values()):
                key.fileobj.close()  # type: ignore[union-attr]

    async def main() -> None:
        async with serving(echo, server_config, max_handshakes=16, backlog=1000) as port:
            crowding = asyncio.ensure_future(asyncio.to_thread(crowd, port))
            await asyncio.sleep(0.2)
            for _ in range(5):
                await asyncio.wait_for(say_hello(port, client_config), 5)
            stop.set()
            await crowding

    run(main())


def test_a_line_of_one_address_keeps_nobody_else_waiting(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    """Each of four addresses stalls in the one place that it has, and one more has none for 20."""
    errors: list[Exception] = []

    async def main() -> None:
        hello = bytes(ClientConnection(client_config, server_name="localhost").data_to_send())
        server = await aio.start_server(
            echo_and_close,
            "127.0.0.1",
            0,
            config=replace(server_config, handshake_timeout=60),
            max_handshakes=4,
            on_handshake_error=lambda error, _transport: errors.append(error),
        )
        port = port_of(server)
        with ExitStack() as stack:

            def stall(host: str) -> None:
                sock = stack.enter_context(connect_from(host, port))
                sock.setblocking(True)
                sock.send(hello)

            for number in range(4):
                stall(f"127.9.{number}.1")
            await until(lambda: server.handshakes_in_progress == 4)
            await asyncio.sleep(room.SLOW_SECONDS + 0.1)
            stall("127.9.4.1")
            await until(lambda: len(errors) == 1)
            for _ in range(20):
                stall("127.9.4.1")
            await asyncio.sleep(0.05)
            await say_hello(port, client_config)
            assert len(errors) <= 5
            server.close()
            await server.wait_closed()

    run(main())


@pytest.mark.usefixtures("either_loop")
def test_of_one_address_that_wastes_its_places_only_so_many_wait(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    hello = bytes(ClientConnection(client_config, server_name="localhost").data_to_send())

    async def main() -> None:
        async with serving(
            echo_and_close, replace(server_config, handshake_timeout=60), max_handshakes=1
        ) as port:
            with ExitStack() as stack:
                peers = [stack.enter_context(connect_from("127.9.0.1", port)) for _ in range(60)]
                for peer in peers:
                    peer.setblocking(True)
                    peer.send(hello)

                def closed() -> int:
                    return sum(map(_is_over, peers))

                await asyncio.wait_for(until(lambda: closed() >= 60 - 2 - 16), 15)
                await asyncio.wait_for(say_hello(port, client_config), 15)

    run(main())


def _is_over(peer: socket.socket) -> bool:
    """Whether the server has closed the connection: it sends its flight to those it serves."""
    try:
        return peer.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


@pytest.mark.usefixtures("either_loop")
def test_a_server_that_is_closed_because_somebody_made_room(
    server_config: ServerConfig,
) -> None:
    async def main() -> None:
        server = await aio.start_server(
            echo,
            "127.0.0.1",
            0,
            config=server_config,
            max_handshakes=2,
            on_handshake_error=lambda *_: server.close(),
        )
        with silent(port_of(server), 9):
            await server.wait_closed()
        assert server.handshakes_in_progress == 0

    run(main())


def connect_from(host: str, port: int) -> socket.socket:
    sock = socket.socket()
    sock.setblocking(False)
    sock.bind((host, 0))
    with suppress(BlockingIOError):
        sock.connect(("127.0.0.1", port))
    return sock


def test_a_hello_must_come_soon(server_config: ServerConfig) -> None:
    errors: list[Exception] = []

    async def main() -> None:
        async with serving(
            echo,
            server_config,
            hello_timeout=0.1,
            close_timeout=0.1,
            on_handshake_error=lambda error, _transport: errors.append(error),
        ) as port:
            with silent(port, 2) as (_, dribbling):
                await asyncio.sleep(0.05)
                dribbling.send(b"\x16")
                await until(lambda: len(errors) == 2)
        assert {type(error) for error in errors} == {HandshakeTimeoutError}

    run(main())


def test_after_the_hello_there_is_as_much_time_as_the_handshake_may_take(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    errors: list[Exception] = []

    async def main() -> None:
        async with serving(
            echo,
            replace(server_config, handshake_timeout=0.4),
            hello_timeout=0.1,
            close_timeout=0.1,
            on_handshake_error=lambda error, _transport: errors.append(error),
        ) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            client = ClientConnection(client_config, server_name="localhost")
            writer.write(bytes(client.data_to_send()))
            await asyncio.sleep(0.25)
            assert not errors
            await until(lambda: bool(errors))
            assert await reader.read()
            await close(writer)

    run(main())


@pytest.mark.usefixtures("either_loop")
@pytest.mark.parametrize(("number", "slow"), [(3, 0.05), (50, 0.5)])
def test_a_server_that_is_slow_itself_turns_nobody_away(
    pki: Pki, client_config: ClientConfig, monkeypatch: pytest.MonkeyPatch, number: int, slow: float
) -> None:
    monkeypatch.setattr(room, "SLOW_SECONDS", slow)
    credentials = pki.server("localhost", "127.0.0.1")
    hold = asyncio.Event()

    async def choose(question: Any) -> Any:
        await hold.wait()
        return credentials

    async def main() -> None:
        config = ServerConfig(choose_credentials=choose)
        async with serving(echo, config, max_handshakes=1) as port:
            visits = [asyncio.ensure_future(say_hello(port, client_config)) for _ in range(number)]
            await asyncio.sleep(slow + 0.25)
            hold.set()
            await asyncio.gather(*visits)

    run(main())


@pytest.mark.long
def test_thousands_who_say_nothing_cost_no_more_than_a_few(server_config: ServerConfig) -> None:
    async def main() -> None:
        server = await aio.start_server(
            echo, "127.0.0.1", 0, config=server_config, max_handshakes=20, backlog=4000
        )
        most = 0
        asyncio.get_running_loop().set_debug(False)  # which remembers where everything was made
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        with silent(port_of(server), 3000):
            here, _ = tracemalloc.get_traced_memory()
            for _ in range(50):
                await asyncio.sleep(0.002)
                most = max(most, server.handshakes_in_progress)
            gc.collect()
            after, _ = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert before < here
            assert most == 20
            assert after - here < 20 * 64 * 1024
            server.close()
            await server.wait_closed()

    run(main())


@pytest.mark.usefixtures("either_loop")
def test_complete_connections_do_not_count(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    async def main() -> None:
        async with serving(echo, server_config, max_handshakes=1) as port:
            pairs = [await open_local(port, client_config) for _ in range(3)]
            for reader, writer in pairs:
                writer.write(b"hello")
                assert await reader.readexactly(5) == b"hello"
                await close(writer)

    run(main())


@pytest.mark.usefixtures("either_loop")
def test_a_crowd_is_served_to_the_last(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    async def main() -> None:
        async with serving(echo, server_config, max_handshakes=2, backlog=5) as port:
            await asyncio.gather(*(say_hello(port, client_config) for _ in range(12)))

    run(main())


@pytest.mark.parametrize("words", [b"", b"GET / HTTP/1.1\r\n\r\n"])
def test_a_handshake_that_fails_makes_room(
    client_config: ClientConfig, server_config: ServerConfig, words: bytes
) -> None:
    async def main() -> None:
        async with serving(echo, server_config, max_handshakes=1) as port:
            for _ in range(3):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(words)
                writer.write_eof()
                await reader.read()
                await close(writer)
            await say_hello(port, client_config)

    run(main())


def test_who_has_gone_in_the_queue_still_has_a_name(server_config: ServerConfig) -> None:
    peers: list[Any] = []

    async def main() -> None:
        async with serving(
            echo,
            server_config,
            max_handshakes=1,
            on_handshake_error=lambda _, transport: peers.append(
                transport.get_extra_info("peername")
            ),
        ) as port:
            with silent(port, 1):
                await asyncio.sleep(0.05)
                with socket.create_connection(("127.0.0.1", port)) as sock:
                    name = sock.getsockname()
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            await until(lambda: len(peers) == 2)
        assert peers[1] == name

    run(main())


@pytest.mark.usefixtures("either_loop")
def test_closing_while_some_wait(server_config: ServerConfig) -> None:
    async def main() -> None:
        server = await aio.start_server(
            echo, "127.0.0.1", 0, config=server_config, max_handshakes=2
        )
        (listener,) = server.sockets
        with silent(port_of(server), 5):
            await until(lambda: server.handshakes_in_progress == 2)
            server.close()
            server.close()
            await server.wait_closed()
            assert server.handshakes_in_progress == 0
            assert not server.sockets
            assert listener.fileno() == -1

    run(main())


def test_a_server_that_never_served(server_config: ServerConfig) -> None:
    async def main() -> None:
        server = await aio.start_server(
            echo, "127.0.0.1", 0, config=server_config, start_serving=False
        )
        assert not server.is_serving()
        server.close()
        with pytest.raises(RuntimeError, match="is closed"):
            await server.start_serving()
        assert not server.is_serving()
        await server.wait_closed()

    run(main())


@pytest.mark.usefixtures("either_loop")
@pytest.mark.parametrize("backlog", [-1, 0, 1])
def test_a_backlog_of_next_to_nothing_is_served(
    client_config: ClientConfig, server_config: ServerConfig, backlog: int
) -> None:
    async def main() -> None:
        async with serving(echo, server_config, backlog=backlog) as port:
            for _ in range(2):
                await say_hello(port, client_config)

    run(main())


def test_a_server_that_was_closed_does_not_serve_forever(server_config: ServerConfig) -> None:
    async def main() -> None:
        server = await aio.start_server(echo, "127.0.0.1", 0, config=server_config)
        server.close()
        with pytest.raises(RuntimeError, match="is closed"):
            await server.serve_forever()

    run(main())


def test_a_server_that_cannot_listen_does_not_seem_to_serve(server_config: ServerConfig) -> None:
    async def main() -> None:
        with socket.socket() as first:
            first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            server = await aio.start_server(
                echo, "127.0.0.1", port, config=server_config, start_serving=False
            )
            first.listen()
            for _ in range(2):
                with pytest.raises(OSError, match="in use"):
                    await server.start_serving()
                assert not server.is_serving()
        await server.start_serving()
        assert server.is_serving()
        server.close()

    run(main())


def test_a_socket_that_cannot_listen_is_closed(server_config: ServerConfig) -> None:
    async def main() -> None:
        with socket.socket() as first:
            sock = socket.socket()
            for each in (first, sock):
                each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                each.bind(first.getsockname() if each is sock else ("127.0.0.1", 0))
            first.listen()
            with pytest.raises(OSError, match="in use"):
                await aio.start_server(echo, sock=sock, config=server_config)
            assert sock.fileno() == -1

    run(main())


@pytest.mark.usefixtures("either_loop")
@pytest.mark.parametrize("begun", [True, False])
def test_handshakes_whose_tasks_are_cancelled_end_and_make_room(
    server_config: ServerConfig, begun: bool
) -> None:
    """As when somebody cancels all tasks of the loop."""

    async def main() -> None:
        before = asyncio.all_tasks()
        async with await aio.start_server(
            echo, "127.0.0.1", 0, config=server_config, max_handshakes=1
        ) as server:
            with silent(port_of(server), 1) as (peer,):
                listening = asyncio.all_tasks() - before
                if begun:
                    await until(lambda: server.handshakes_in_progress == 1)
                else:
                    await until(lambda: bool(asyncio.all_tasks() - before - listening))
                for task in asyncio.all_tasks() - before - listening:
                    task.cancel()
                peer.setblocking(True)
                peer.settimeout(10)
                assert await asyncio.to_thread(_ending, peer) in (b"", None)
                assert server.handshakes_in_progress == 0
            with silent(port_of(server), 1):
                await until(lambda: server.handshakes_in_progress == 1)
                server.close()
                await server.wait_closed()

    run(main())


def _ending(peer: socket.socket) -> bytes | None:
    """What comes last; None for a reset."""
    try:
        return peer.recv(100)
    except ConnectionResetError:
        return None


class Listener(socket.socket):
    """Has no descriptors left at first."""

    refusals = 1

    def accept(self) -> tuple[socket.socket, Any]:
        if self.refusals:
            self.refusals -= 1
            raise OSError(errno.EMFILE, "Too many open files")
        return super().accept()


@pytest.mark.usefixtures("either_loop")
def test_a_lack_of_descriptors_passes(
    client_config: ClientConfig, server_config: ServerConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accepting, "_RETRY_SECONDS", 0.05)
    told: list[dict[str, Any]] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, context: told.append(context))
        listener = Listener()
        listener.bind(("127.0.0.1", 0))
        async with await aio.start_server(
            echo_and_close, sock=listener, config=server_config, start_serving=False
        ) as server:
            await server.start_serving()
            await server.start_serving()
            await say_hello(port_of(server), client_config)

    run(main())
    assert [context["exception"].errno for context in told] == [errno.EMFILE]


async def say_hello_on(sock: socket.socket, config: ClientConfig) -> None:
    reader, writer = await aio.open_connection(sock=sock, config=config, server_name="localhost")
    writer.write(b"hello")
    assert await reader.readexactly(5) == b"hello"
    await close(writer)


@pytest.mark.skipif(sys.platform == "win32", reason="no limit of descriptors")
@pytest.mark.usefixtures("either_loop")
@pytest.mark.parametrize("places", [4, 512])
def test_a_crowd_that_takes_the_last_descriptor_keeps_nobody_else_waiting(
    client_config: ClientConfig,
    server_config: ServerConfig,
    places: int,
) -> None:
    """The crowd is before the others in the kernel's queue, and has time until the test fails."""
    told: list[Any] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: told.append(context["exception"]))
        server = await aio.start_server(
            echo_and_close,
            "127.0.0.1",
            0,
            config=replace(server_config, handshake_timeout=60),
            max_handshakes=places,
            hello_timeout=None,
            start_serving=False,
        )
        with ExitStack() as stack:
            server.sockets[0].listen(200)
            port = port_of(server)
            for _ in range(100):
                stack.enter_context(connect_from("127.9.0.1", port))
            visitors = [
                stack.enter_context(connect_from(f"127.9.1.{number}", port)) for number in range(5)
            ]
            stack.enter_context(descriptors_left(12))
            await server.start_serving()
            visits = [say_hello_on(visitor, client_config) for visitor in visitors]
            await asyncio.wait_for(asyncio.gather(*visits), 10)
            server.close()
            await server.wait_closed()

    run(main())
    assert {error.errno for error in told} == {errno.EMFILE}


@pytest.mark.skipif(sys.platform == "win32", reason="no limit of descriptors")
@pytest.mark.usefixtures("either_loop")
def test_a_server_that_is_closed_because_a_descriptor_was_needed(
    server_config: ServerConfig,
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, _context: None)
        server = await aio.start_server(
            echo,
            "127.0.0.1",
            0,
            config=server_config,
            on_handshake_error=lambda *_: server.close(),
        )
        with silent(port_of(server), 9), descriptors_left(3):
            await server.wait_closed()
        assert server.handshakes_in_progress == 0

    run(main())


@pytest.mark.skipif(sys.platform == "win32", reason="no limit of descriptors")
@pytest.mark.usefixtures("either_loop")
def test_without_descriptors_nobody_is_turned_away_who_wastes_nothing(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, _context: None)
        async with await aio.start_server(
            echo_and_close, "127.0.0.1", 0, config=server_config
        ) as server:
            with ExitStack() as stack:
                visitors = [
                    stack.enter_context(connect_from("127.9.0.1", port_of(server)))
                    for _ in range(10)
                ]
                stack.enter_context(descriptors_left(2))
                await asyncio.gather(*(say_hello_on(sock, client_config) for sock in visitors))

    run(main())


@pytest.mark.skipif(sys.platform == "win32", reason="no limit of descriptors")
@pytest.mark.parametrize(
    ("descriptors", "places", "length"),
    [(20_000, 512, 4096), (20_000, 10, 80), (4096, 512, 512), (1024, 512, 16), (1024, 100, 156)],
)
def test_places_and_line_take_no_more_than_a_quarter_of_the_descriptors(
    monkeypatch: pytest.MonkeyPatch, descriptors: int, places: int, length: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _what: (descriptors, descriptors))
    assert accepting._length_of_line(places) == length


@pytest.mark.parametrize("number", [0, -1, 1.5, True, None])
def test_so_many_as_there_can_be(server_config: ServerConfig, number: Any) -> None:
    async def main() -> None:
        with pytest.raises(ConfigurationError, match="max_handshakes"):
            await aio.start_server(
                echo, "127.0.0.1", 0, config=server_config, max_handshakes=number
            )

    run(main())


class Still(Acceptor):
    """An acceptor of two places, whose connections say nothing; it notes who begins."""

    class Loop:
        now = 0.0

        def time(self) -> float:
            self.now += 1
            return self.now

        def call_later(self, delay: float, callback: Callable[[], object]) -> Any:
            return self

        def cancel(self) -> None: ...

        def call_soon(self, callback: Callable[[], object]) -> Any:
            return self

        def add_reader(self, fd: Any, callback: Callable[[], object], /) -> None: ...

        def remove_reader(self, fd: Any, /) -> None: ...

    class Client:
        def __init__(self, sock: socket.socket) -> None:
            self.sock = sock

        def is_idle(self) -> bool:
            return True

        def seconds_waited_for(self) -> float:
            return 60.0

        def drop(self, why: str) -> None:
            self.sock.close()

    def __init__(self) -> None:
        super().__init__((), 100, 2, self.Loop())
        self.begun: list[str] = []

    def _begin(self, sock: socket.socket, address: Any) -> None:
        self.begun.append(address[0])
        self._room.enter(self.Client(sock), address)

    def _report(self, message: str, error: Exception) -> None: ...

    def come(self, *hosts: str) -> None:
        for host in hosts:
            here, there = socket.socketpair()
            there.close()
            self._offer(here, (host, 1))

    def serve(self) -> list[str]:
        """One turn. Returns who has begun in it."""
        self.begun.clear()
        self._serve_line()
        return list(self.begun)

    def blame(self, *hosts: str) -> None:
        """Each of them has wasted a place."""
        for host in hosts:
            client = self.Client(socket.socket())
            self._room.enter(client, (host, 1))
            self._expel(client)


@pytest.fixture
def acceptor() -> Iterator[Still]:
    """One whose places are taken, by clients that can be replaced."""
    acceptor = Still()
    acceptor.come("10.9.0.1", "10.9.0.2")
    yield acceptor
    acceptor.close()
    for client in list(acceptor._room._share_of):
        client.drop("the end")  # type: ignore[attr-defined]


CROWD = [f"10.0.0.{number}" for number in range(9)]


def test_a_crowd_of_addresses_comes_after_those_that_have_wasted_nothing(acceptor: Still) -> None:
    """All of them hold no place, and the crowd has waited for longer."""
    acceptor.blame(*CROWD)
    acceptor.come(*CROWD, "10.1.0.1")
    assert acceptor.serve()[0] == "10.1.0.1"


def test_an_address_that_has_wasted_places_gets_one_of_eight(acceptor: Still) -> None:
    """There may be honest clients behind it, as behind one that translates addresses."""
    acceptor.blame("10.2.0.1")
    acceptor.come("10.2.0.1")
    acceptor.come(*(f"10.1.0.{number}" for number in range(12)))
    begun: list[str] = []
    while len(begun) < 8:
        begun += acceptor.serve()
    assert 0 < begun.index("10.2.0.1") < 8


def test_who_has_sent_no_hello_in_time_has_wasted_a_place(acceptor: Still) -> None:
    acceptor.come("10.1.0.1")
    first, second = list(acceptor._room._share_of)
    acceptor._leave(first, completed=False, silent=True)
    acceptor._leave(second, completed=False)
    assert acceptor._room.is_stalling("10.9.0.1")
    assert not acceptor._room.is_stalling("10.9.0.2")
    for client in (first, second):
        client.drop("the end")  # type: ignore[attr-defined]
