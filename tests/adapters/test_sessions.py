"""Sessions and early data over real sockets and under asyncio, and with the ssl module."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import pytest
from tests.pki import Pki

from handclasp import SessionStore, aio
from handclasp.adapters.sockets import TLSSocket, connect, wrap_client, wrap_server
from handclasp.config import ClientConfig, ServerConfig
from handclasp.errors import ConfigurationError
from handclasp.sessions.replay import ReplayFilter

Serve = Callable[[TLSSocket], None]

ALLOWED = 16384


def echo(tls: TLSSocket) -> None:
    while data := tls.recv(65536):
        tls.sendall(data)


class Served:
    """A server in a thread, and what it saw of each client; it serves one after the other."""

    def __init__(self, config: ServerConfig, serve: Serve) -> None:
        self.config = config
        self.early: list[bytes] = []
        self.outcomes: list[tuple[bool, str]] = []
        self._serve = serve
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(30)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def _run(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            sock.settimeout(20)
            with suppress(OSError), wrap_server(sock, self.config) as tls:
                self.early.append(tls.early_data)
                self.outcomes.append((tls.info.resumed, tls.info.early_data_status))
                self._serve(tls)

    def end(self) -> None:
        # `close` alone does not wake the thread that waits in `accept`.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(30)
        assert not self._thread.is_alive()


@contextmanager
def serving(config: ServerConfig, serve: Serve = echo) -> Iterator[Served]:
    served = Served(config, serve)
    try:
        yield served
    finally:
        served.end()


@pytest.fixture
def allowing(pki: Pki) -> ServerConfig:
    """A server that takes early data."""
    return ServerConfig(credentials=pki.server(), max_early_data=ALLOWED)


@pytest.fixture
def early_config(pki: Pki) -> ClientConfig:
    return ClientConfig(trust=pki.trust, sessions=SessionStore(), allow_early_data=True)


def store_of(config: ClientConfig) -> SessionStore:
    assert isinstance(config.sessions, SessionStore)
    return config.sessions


def visit(port: int, config: ClientConfig, **arguments: Any) -> None:
    """A conversation that leaves a session behind."""
    with connect("localhost", port, config, timeout=20, **arguments) as tls:
        tls.sendall(b"ping")
        assert tls.recv(100) == b"ping"


# Sessions over sockets


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_who_comes_back_is_known(pki: Pki, server_config: ServerConfig, version: str) -> None:
    config = ClientConfig(trust=pki.trust, versions=(version,), sessions=SessionStore())
    with serving(server_config) as served:
        visit(served.port, config)
        assert len(store_of(config)) > 0
        for _ in range(3):
            with connect("localhost", served.port, config, timeout=20) as tls:
                assert tls.info.resumed
                assert (tls.early_data, tls.early_data_rejected) == (b"", b"")
                tls.sendall(b"again")
                assert tls.recv(100) == b"again"
    assert [resumed for resumed, _ in served.outcomes] == [False, True, True, True]


def test_each_port_has_its_own_sessions(pki: Pki, server_config: ServerConfig) -> None:
    config = ClientConfig(trust=pki.trust, sessions=SessionStore())
    with serving(server_config) as one, serving(server_config) as other:
        visit(one.port, config)
        visit(other.port, config)
        assert (one.outcomes, other.outcomes) == ([(False, "none")], [(False, "none")])
        for port, resumed in ((other.port, True), (None, False)):
            sock = socket.create_connection(("127.0.0.1", other.port), 20)
            with wrap_client(sock, config, server_name="localhost", port=port) as tls:
                assert tls.info.resumed is resumed


def test_unwrap_takes_the_tickets_and_nothing_else(pki: Pki, server_config: ServerConfig) -> None:
    """Both come right behind the handshake."""
    config = ClientConfig(trust=pki.trust, sessions=SessionStore())

    def back_to_plaintext(tls: TLSSocket) -> None:
        with tls.unwrap() as sock:
            sock.sendall(b"plain again")

    with serving(server_config, back_to_plaintext) as served:
        with connect("localhost", served.port, config, timeout=20).unwrap() as sock:
            assert sock.recv(100) == b"plain again"
        assert len(store_of(config)) == server_config.tickets
        with connect("localhost", served.port, config, timeout=20) as tls:
            assert tls.info.resumed


def test_what_comes_with_the_tickets_is_not_lost(pki: Pki, server_config: ServerConfig) -> None:
    config = ClientConfig(trust=pki.trust, sessions=SessionStore())

    def greet(tls: TLSSocket) -> None:
        tls.sendall(b"welcome")
        assert tls.recv(1) == b""

    with serving(server_config, greet) as served:
        tls = connect("localhost", served.port, config, timeout=20)
        with pytest.raises(ConfigurationError, match="7 bytes unread"):
            tls.unwrap()
        assert tls.recv(100) == b"welcome"
        tls.unwrap().close()
        assert len(store_of(config)) == server_config.tickets
        # Closing without a look at anything does no harm to anybody.
        connect("localhost", served.port, config, timeout=20).close()
        with connect("localhost", served.port, config, timeout=20) as tls:
            assert tls.info.resumed
            assert tls.recv(100) == b"welcome"


def test_sessions_of_the_ssl_module(pki: Pki, ssl_server: ssl.SSLContext) -> None:
    """Its server takes one session of ours after the other, in both versions."""

    def serve(listener: socket.socket) -> None:
        for _ in range(6):
            sock, _ = listener.accept()
            sock.settimeout(20)
            with ssl_server.wrap_socket(sock, server_side=True) as tls:
                while data := tls.recv(100):
                    tls.sendall(data)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        for version in ("TLSv1.2", "TLSv1.3"):
            config = ClientConfig(trust=pki.trust, versions=(version,), sessions=SessionStore())
            resumed: list[bool] = []
            for _ in range(3):
                port = listener.getsockname()[1]
                with connect("localhost", port, config, timeout=20) as tls:
                    resumed.append(tls.info.resumed)
                    tls.sendall(b"ping")
                    assert tls.recv(100) == b"ping"
                    tls.shutdown_write()
                    with suppress(OSError):  # It ends without a close_notify of its own.
                        assert tls.recv(1) == b""
            assert resumed == [False, True, True]
        thread.join(20)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_the_ssl_module_comes_back(
    server_config: ServerConfig, ssl_client: ssl.SSLContext, version: ssl.TLSVersion
) -> None:
    before = ssl_client.maximum_version
    ssl_client.maximum_version = version
    try:
        session: ssl.SSLSession | None = None
        with serving(server_config) as served:
            for _ in range(3):
                sock = socket.create_connection(("127.0.0.1", served.port), 20)
                with ssl_client.wrap_socket(
                    sock, server_hostname="localhost", session=session
                ) as tls:
                    tls.sendall(b"ping")
                    assert tls.recv(100) == b"ping"
                    assert tls.session_reused is (session is not None)
                    session = tls.session
        assert [resumed for resumed, _ in served.outcomes] == [False, True, True]
    finally:
        ssl_client.maximum_version = before


# Early data over sockets


def test_early_data_that_is_accepted(allowing: ServerConfig, early_config: ClientConfig) -> None:
    with serving(allowing) as served:
        visit(served.port, early_config)
        with connect(
            "localhost", served.port, early_config, early_data=b"GET /", timeout=20
        ) as tls:
            assert (tls.info.resumed, tls.info.early_data_status) == (True, "accepted")
            assert tls.early_data_rejected == b""
            tls.sendall(b" HTTP/1.1")
            # What was early is not given again by `recv`: it does not come back from the echo.
            assert tls.recv(100) == b" HTTP/1.1"
    assert served.early == [b"", b"GET /"]
    assert served.outcomes == [(False, "none"), (True, "accepted")]


def test_a_mistake_is_told_before_the_server_hears_of_it(early_config: ClientConfig) -> None:
    """Nobody listens there: an attempt to connect would be the error."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        wrong: Any = "text"
        with pytest.raises(ConfigurationError, match="must be bytes, not str"):
            connect("127.0.0.1", port, early_config, early_data=wrong)
        with pytest.raises(ConfigurationError, match="never sends early data"):
            connect(
                "127.0.0.1", port, replace(early_config, allow_early_data=False), early_data=b"x"
            )


def test_early_data_without_a_session(allowing: ServerConfig, early_config: ClientConfig) -> None:
    with (
        serving(allowing) as served,
        connect("localhost", served.port, early_config, early_data=b"first", timeout=20) as tls,
    ):
        assert (tls.info.resumed, tls.info.early_data_status) == (False, "none")
        assert tls.early_data_rejected == b"first"
        tls.sendall(tls.early_data_rejected)
        assert tls.recv(100) == b"first"
    assert served.early == [b""]


def test_early_data_that_the_server_refuses(
    allowing: ServerConfig, early_config: ClientConfig
) -> None:
    with serving(allowing) as served:
        visit(served.port, early_config)
        # The server remembers its ticket keys, and has been told to take no early data any more.
        served.config = replace(allowing, max_early_data=0)
        with connect("localhost", served.port, early_config, early_data=b"late", timeout=20) as tls:
            assert (tls.info.resumed, tls.info.early_data_status) == (True, "rejected")
            assert tls.early_data_rejected == b"late"
            tls.sendall(b"only this")
            assert tls.recv(100) == b"only this"
    assert served.early == [b"", b""]
    assert served.outcomes[-1] == (True, "rejected")


def test_early_data_after_a_second_hello(
    allowing: ServerConfig, early_config: ClientConfig
) -> None:
    with serving(allowing) as served:
        visit(served.port, early_config)
        served.config = replace(allowing, groups=("secp384r1",))
        with connect("localhost", served.port, early_config, early_data=b"late", timeout=20) as tls:
            assert (tls.info.hello_retry, tls.info.early_data_status) == (True, "rejected")
            assert tls.early_data_rejected == b"late"
            tls.sendall(b"only this")
            assert tls.recv(100) == b"only this"


def test_a_session_allows_so_much(allowing: ServerConfig, early_config: ClientConfig) -> None:
    data = bytes(range(256)) * 100
    with serving(allowing) as served:
        visit(served.port, early_config)
        with connect("localhost", served.port, early_config, early_data=data, timeout=20) as tls:
            assert tls.info.early_data_status == "accepted"
            assert tls.early_data_rejected == data[ALLOWED:]
        served.config = replace(allowing, max_early_data=0)
        with connect("localhost", served.port, early_config, early_data=data, timeout=20) as tls:
            assert tls.early_data_rejected == data
    assert served.early == [b"", data[:ALLOWED], b""]


@pytest.mark.parametrize("accepted", [True, False])
def test_early_data_that_no_buffer_holds(
    pki: Pki, early_config: ClientConfig, accepted: bool
) -> None:
    """Neither end may wait for the other to read."""
    size = 8 * 1024 * 1024
    # A server that refuses passes over no more than it can expect from a ticket of its own.
    data = bytes(size if accepted else ALLOWED)
    config = ServerConfig(credentials=pki.server(), max_early_data=len(data))
    with serving(config) as served:
        visit(served.port, early_config)
        if not accepted:
            served.config = replace(config, max_early_data=0)
        with connect("localhost", served.port, early_config, early_data=data, timeout=20) as tls:
            assert tls.info.early_data_status == ("accepted" if accepted else "rejected")
            assert tls.early_data_rejected == (b"" if accepted else data)
            tls.sendall(b"ping")
            assert tls.recv(100) == b"ping"
    assert served.early[-1] == (data if accepted else b"")


def test_early_data_leave_with_the_first_flight(
    allowing: ServerConfig, early_config: ClientConfig
) -> None:
    with serving(allowing) as served:
        visit(served.port, early_config)
        sock = socket.create_connection(("127.0.0.1", served.port), 20)
        with wrap_client(
            sock,
            early_config,
            server_name="localhost",
            port=served.port,
            handshake=False,
            early_data=b"early",
        ) as tls:
            tls.sendall(b"later")  # completes the handshake
            assert tls.recv(100) == b"later"
            assert tls.info.early_data_status == "accepted"
    assert served.early[-1] == b"early"


def test_the_same_flight_twice_is_no_early_data(pki: Pki, early_config: ClientConfig) -> None:
    """Somebody who recorded the first flight sends it again: the server must not act upon it."""
    recorded: list[bytes] = []
    answers: list[bool] = []

    class Watched(ReplayFilter):
        def is_first(self, token: bytes, ticket_created_at: float) -> bool:
            answers.append(super().is_first(token, ticket_created_at))
            return answers[-1]

    config = ServerConfig(credentials=pki.server(), max_early_data=ALLOWED, replay_guard=Watched())

    class Recording(socket.socket):
        def send(self, data: Any, flags: int = 0, /) -> int:
            recorded.append(bytes(data))
            return super().send(data, flags)

    with serving(config) as served:
        visit(served.port, early_config)
        sock = Recording(socket.AF_INET, socket.SOCK_STREAM)
        sock.settimeout(20)
        sock.connect(("127.0.0.1", served.port))
        arguments: dict[str, Any] = {"server_name": "localhost", "port": served.port}
        with wrap_client(sock, early_config, early_data=b"pay", **arguments) as tls:
            assert tls.info.early_data_status == "accepted"
            first_flight = recorded[0]
        with socket.create_connection(("127.0.0.1", served.port), 20) as replay:
            replay.sendall(first_flight)
            assert replay.recv(65536)
        visit(served.port, early_config)
    assert answers[:2] == [True, False]
    assert served.early == [b"", b"pay", b""]


@pytest.mark.parametrize("sessions", [True, False])
def test_settings_that_do_not_go_together(pki: Pki, sessions: bool) -> None:
    config = ClientConfig(trust=pki.trust, sessions=SessionStore() if sessions else None)
    left, right = socket.socketpair()
    with left, right:
        with pytest.raises(ConfigurationError, match=r"allow_early_data=True\)"):
            wrap_client(left, config, server_name="localhost", early_data=b"x")
        assert left.gettimeout() is None  # as it was
        config = ClientConfig(trust=pki.trust, sessions=SessionStore(), allow_early_data=True)
        text: Any = "text"
        with pytest.raises(ConfigurationError, match="must be bytes, not str"):
            wrap_client(left, config, server_name="localhost", early_data=text)
        wrap_client(left, config, server_name="localhost", early_data=b"", handshake=False).close()


# asyncio


async def early_server(config: ServerConfig, seen: list[Any]) -> Any:
    """An echo that notes what it knows as soon as there is a connection."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        info = writer.get_extra_info("handclasp")
        seen.append((info.early_data_status, writer.get_extra_info("early_data")))
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()
        await writer.wait_closed()

    return await aio.start_server(serve, "127.0.0.1", 0, config=config)


async def visit_async(port: int | str, config: ClientConfig, **kwds: Any) -> tuple[Any, ...]:
    """Whether it was resumed, what became of early data, and what was left of them."""
    reader, writer = await aio.open_connection("localhost", port, config=config, **kwds)
    info = writer.get_extra_info("handclasp")
    rejected = writer.get_extra_info("early_data_rejected")
    writer.write(b"ping")
    assert await reader.readexactly(4) == b"ping"
    assert writer.get_extra_info("early_data") == b""
    writer.close()
    await writer.wait_closed()
    return (info.resumed, info.early_data_status, rejected)


def test_asyncio_knows_sessions_and_early_data(
    allowing: ServerConfig, early_config: ClientConfig
) -> None:
    seen: list[Any] = []

    async def main() -> None:
        async with await early_server(allowing, seen) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            told = [
                await visit_async(port, early_config, early_data=b"one"),
                await visit_async(port, early_config, early_data=b"two"),
                # A port may be text, as for asyncio itself.
                await visit_async(str(port), early_config, early_data=b"x" * (ALLOWED + 1)),
                await visit_async(port, early_config),
            ]
        assert told == [
            (False, "none", b"one"),
            (True, "accepted", b""),
            (True, "accepted", b"x"),
            (True, "accepted", b""),
        ]

    asyncio.run(asyncio.wait_for(main(), 30))
    assert seen == [
        ("none", b""),
        ("accepted", b"two"),
        ("accepted", b"x" * ALLOWED),
        ("accepted", b""),
    ]


def test_asyncio_tells_of_a_refusal_at_once(
    allowing: ServerConfig, early_config: ClientConfig
) -> None:
    seen: list[Any] = []

    async def main() -> None:
        async with await early_server(allowing, seen) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            await visit_async(port, early_config)
        refusing = replace(allowing, max_early_data=0)
        async with await aio.start_server(
            lambda reader, writer: None, "127.0.0.1", port, config=refusing
        ):
            reader, writer = await aio.open_connection(
                "localhost", port, config=early_config, early_data=b"refused"
            )
            assert writer.get_extra_info("handclasp").early_data_status == "rejected"
            assert writer.get_extra_info("early_data_rejected") == b"refused"
            writer.transport.abort()
            del reader

    asyncio.run(asyncio.wait_for(main(), 30))


def test_asyncio_waits_for_answers_with_early_data_in_hand(
    pki: Pki, allowing: ServerConfig, early_config: ClientConfig
) -> None:
    """The replay guard is asked while the early data are on their way."""
    seen: list[Any] = []

    class FarAway:
        async def is_first(self, token: bytes, ticket_created_at: float) -> bool:
            await asyncio.sleep(0.05)
            return True

    config = ServerConfig(credentials=pki.server(), max_early_data=ALLOWED, replay_guard=FarAway())

    async def main() -> None:
        async with await early_server(config, seen) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            await visit_async(port, early_config)
            told = await visit_async(port, early_config, early_data=b"asked")
        assert told == (True, "accepted", b"")

    asyncio.run(asyncio.wait_for(main(), 30))
    assert seen[-1] == ("accepted", b"asked")


def test_asyncio_start_tls_keeps_the_sessions_of_each_port(
    pki: Pki, server_config: ServerConfig
) -> None:
    config = ClientConfig(trust=pki.trust, sessions=SessionStore())

    async def once(port: int, named: int | None) -> bool:
        plain = await asyncio.open_connection("127.0.0.1", port)
        reader, writer = await aio.start_tls(*plain, config, server_name="localhost", port=named)
        resumed: bool = writer.get_extra_info("handclasp").resumed
        writer.write(b"ping")
        assert await reader.readexactly(4) == b"ping"
        writer.close()
        await writer.wait_closed()
        return resumed

    async def main() -> None:
        async with await early_server(server_config, []) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            assert [await once(port, named) for named in (port, port, None)] == [
                False, True, False,
            ]  # fmt: skip

    asyncio.run(asyncio.wait_for(main(), 30))


def test_asyncio_refuses_early_data_that_cannot_be(pki: Pki) -> None:
    async def main() -> None:
        config = ClientConfig(trust=pki.trust)
        with pytest.raises(ConfigurationError, match="never sends early data"):
            await aio.open_connection("localhost", 1, config=config, early_data=b"x")

    asyncio.run(main())


def test_a_service_by_its_name(pki: Pki) -> None:
    """Its sessions are those of its port, as the address tells."""
    from handclasp.adapters.asyncio import _port_number

    class Plain:
        def __init__(self, address: object) -> None:
            self.address = address

        def get_extra_info(self, name: str) -> object:
            return {"peername": self.address}[name]

    plain: Any = Plain(("127.0.0.1", 443))
    path: Any = Plain("/run/service")
    assert _port_number("https", path) is None
    assert [_port_number(port, plain) for port in (None, 8443, "8443", "https")] == [
        None, 8443, 8443, 443,
    ]  # fmt: skip
