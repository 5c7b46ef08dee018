"""What is wrong with the arguments is told at the call, and the socket stays as it was."""

from __future__ import annotations

import asyncio
import inspect
import socket
import ssl
import struct
import time
from collections.abc import Callable
from typing import Any

import pytest
from tests.adapters.pairs import Aside, plain_pair
from tests.adapters.streams import answer_nothing, run

import handclasp
from handclasp import (
    ClientConfig,
    ConfigurationError,
    PeerAlertError,
    Recorder,
    ServerConfig,
    aio,
    wrap_client,
    wrap_server,
)

Call = Callable[..., Any]


async def _call(function: Call, *args: Any, **settings: Any) -> Any:
    result = function(*args, **settings)
    return await result if inspect.isawaitable(result) else result


async def answer_later() -> Recorder:
    return Recorder()


CLIENTS: dict[str, Call] = {
    "wrap_client": lambda sock, **settings: wrap_client(sock, handshake=False, **settings),
    "open_connection": lambda sock, **settings: aio.open_connection(sock=sock, **settings),
    "create_connection": lambda sock, **settings: aio.create_connection(
        asyncio.Protocol, sock=sock, **settings
    ),
    "open_unix_connection": lambda sock, **settings: aio.open_unix_connection(
        sock=sock, **settings
    ),
    "create_unix_connection": lambda sock, **settings: aio.create_unix_connection(
        asyncio.Protocol, sock=sock, **settings
    ),
}

WRONG_FOR_CLIENTS: dict[str, dict[str, Any]] = {
    "no name": {"server_name": None},
    "a name that is none": {"server_name": "bad name"},
    "a name of bytes": {"server_name": b"localhost"},
    "no config": {"config": "x"},
    "a server's config": {"config": ServerConfig},
    "a context of ssl": {"config": ssl.create_default_context()},
    "early data that is never sent": {"early_data": b"x"},
    "early data that is no bytes": {"early_data": "x"},
    "close_timeout": {"close_timeout": 0},
    "limit": {"limit": 0},
    "ssl": {"ssl": True},
    "server_hostname": {"server_hostname": "localhost"},
    "an unknown word": {"colour": "blue"},
    "a word that asyncio does not know": {"happy": 1},
    "a name that is too long": {"server_name": "x" * 300},
    "a class as a trace": {"trace": Recorder},
    "a maker of traces": {"trace": lambda: Recorder()},
    "no trace": {"trace": 5},
}


@pytest.mark.parametrize("function", CLIENTS)
@pytest.mark.parametrize("wrong", WRONG_FOR_CLIENTS)
def test_a_client_leaves_the_socket_as_it_was(
    server_config: ServerConfig, function: str, wrong: str
) -> None:
    settings = {"server_name": "localhost"} | WRONG_FOR_CLIENTS[wrong]
    if settings.get("config") is ServerConfig:
        settings["config"] = server_config

    async def main() -> None:
        left, right = socket.socketpair()
        with left, right:
            left.settimeout(7)
            with pytest.raises((ConfigurationError, ValueError, TypeError)):
                await _call(CLIENTS[function], left, **settings)
            assert left.fileno() != -1
            left.settimeout(7)
            right.sendall(b"still here")
            assert left.recv(100) == b"still here"
            left.sendall(b"and here")
            assert right.recv(100) == b"and here", "nothing was sent before"

    run(main())


@pytest.mark.parametrize("function", ["wrap_client", "open_connection", "open_unix_connection"])
def test_what_a_client_finds_out_late_leaves_the_socket_as_it_was(
    client_config: ClientConfig, function: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as a system without authorities, or a trace that fails."""

    class Trace(Recorder):
        def began(self, *_: Any) -> None:
            raise ZeroDivisionError

    async def main() -> None:
        left, right = socket.socketpair()
        with left, right:
            with pytest.raises((ZeroDivisionError, AttributeError)):
                await _call(
                    CLIENTS[function],
                    left,
                    config=client_config,
                    server_name="localhost",
                    trace=Trace(),
                )
            left.sendall(b"still here")
            assert right.recv(100) == b"still here"

    run(main())


OF_SERVERS: dict[str, Call] = {
    "start_server": lambda sock, **settings: aio.start_server(
        answer_nothing, sock=sock, **settings
    ),
    "create_server": lambda sock, **settings: aio.create_server(
        asyncio.Protocol, sock=sock, **settings
    ),
    "start_unix_server": lambda sock, **settings: aio.start_unix_server(
        answer_nothing, sock=sock, **settings
    ),
    "create_unix_server": lambda sock, **settings: aio.create_unix_server(
        asyncio.Protocol, sock=sock, **settings
    ),
}


@pytest.mark.parametrize("function", [*CLIENTS, *OF_SERVERS, "wrap_server"])
@pytest.mark.parametrize("kind", ["TLSSocket", "SSLSocket"])
def test_a_socket_that_speaks_tls_itself_is_refused(
    client_config: ClientConfig, server_config: ServerConfig, kind: str, function: str
) -> None:
    """Data that it has decrypted already would wake nobody, and TLS on top is TLS inside TLS."""
    call = CLIENTS.get(function)

    async def main() -> None:
        left, right = socket.socketpair()
        if kind == "SSLSocket":
            context = ssl.create_default_context()
            tls: Any = context.wrap_socket(
                left, do_handshake_on_connect=False, server_hostname="localhost"
            )
        else:
            tls = wrap_client(left, client_config, server_name="localhost", handshake=False)
        with tls, right:
            with pytest.raises(ConfigurationError, match=f"this {kind} speaks TLS already"):
                if call is not None:
                    await _call(call, tls, config=client_config, server_name="localhost")
                else:
                    wrap = OF_SERVERS.get(function, wrap_server)
                    await _call(wrap, tls, config=server_config)
            assert tls.fileno() != -1

    run(main())


@pytest.mark.parametrize("function", [*CLIENTS, *OF_SERVERS, "wrap_server"])
def test_what_is_no_socket_is_refused_as_that(
    client_config: ClientConfig, server_config: ServerConfig, function: str
) -> None:
    call = CLIENTS.get(function)

    async def main() -> None:
        for wrong in (("localhost", 443), "localhost", 5):
            with pytest.raises(ConfigurationError, match="A socket is needed, not") as caught:
                if call is not None:
                    await _call(call, wrong, config=client_config, server_name="localhost")
                else:
                    await _call(OF_SERVERS.get(function, wrap_server), wrong, config=server_config)
            named = "a tuple" if isinstance(wrong, tuple) else repr(wrong)
            assert f"A socket is needed, not {named}." in str(caught.value)
            assert ("host and port" in str(caught.value)) == (wrong != 5)
            assert "inside TLS" not in str(caught.value)

    run(main())


WRONG_FOR_UPGRADES: dict[str, tuple[str, dict[str, Any], str]] = {
    "a server's server_name": ("server", {"server_name": "x"}, "server_name and port are for"),
    "a server's port": ("server", {"port": 25}, "server_name and port are for clients"),
    "a client's go_ahead": ("client", {"go_ahead": b"x"}, "go_ahead and received are for servers"),
    "a client's received": ("client", {"received": b"x"}, "go_ahead and received are for servers"),
    "go_ahead of text": ("server", {"go_ahead": "220 go"}, "go_ahead must be bytes, not str"),
    "received of text": ("server", {"received": "x"}, "received must be bytes, not str"),
    "go_ahead with received": ("server", {"go_ahead": b"x", "received": b"y"}, "before go_ahead"),
    "the order": ("swapped", {}, "in this order, .* not StreamWriter and StreamReader"),
    "no reader": ("no reader", {}, "not StreamWriter and ServerConfig"),
    "no limit": ("server", {"limit": 0}, "[Ll]imit"),
    "no close_timeout": ("server", {"close_timeout": -1}, "close_timeout must be a positive"),
}


NO_FACTORIES: list[tuple[Any, str]] = [
    (asyncio.Protocol(), "protocol_factory must be a callable, not Protocol: a class"),
    (None, "protocol_factory must be a callable, not NoneType"),
    (answer_later, "protocol_factory must answer at once, and is an async function"),
]


@pytest.mark.parametrize(("factory", "words"), NO_FACTORIES, ids=["object", "none", "async"])
def test_what_makes_no_protocols_is_refused_at_the_call(
    client_config: ClientConfig, server_config: ServerConfig, factory: Any, words: str
) -> None:
    async def main() -> None:
        left, right = socket.socketpair()
        with left, right, socket.socket(socket.AF_UNIX) as unbound:
            client = {"sock": left, "config": client_config, "server_name": "localhost"}
            server = {"sock": unbound, "config": server_config}
            calls: list[tuple[Call, dict[str, Any]]] = [
                (aio.create_connection, client),
                (aio.create_unix_connection, client),
                (aio.create_server, server),
                (aio.create_unix_server, server),
            ]
            for call, settings in calls:
                with pytest.raises(ConfigurationError) as caught:
                    await call(factory, **settings)
                assert words in str(caught.value)
            for serve in (aio.start_server, aio.start_unix_server):
                with pytest.raises(ConfigurationError, match="client_connected_cb must be"):
                    await serve("echo", **server)  # type: ignore[arg-type]
            right.sendall(b"still here")
            assert left.recv(100) == b"still here"

    run(main())


@pytest.mark.parametrize("wrong", WRONG_FOR_UPGRADES)
def test_start_tls_refuses_at_the_call_and_leaves_the_connection_as_it_was(
    client_config: ClientConfig, server_config: ServerConfig, wrong: str
) -> None:
    kind, settings, words = WRONG_FOR_UPGRADES[wrong]

    async def main() -> None:
        left, right = socket.socketpair()
        with right:
            reader, writer = await asyncio.open_connection(sock=left)
            arguments: dict[str, tuple[Any, ...]] = {
                "server": (reader, writer, server_config),
                "client": (reader, writer, client_config),
                "swapped": (writer, reader, server_config),
                "no reader": (writer, server_config),
            }
            with pytest.raises(ValueError, match=words):
                await asyncio.wait_for(aio.start_tls(*arguments[kind], **settings), 5)
            right.sendall(b"still plain")
            assert await reader.readexactly(11) == b"still plain"
            writer.close()
            await writer.wait_closed()

    run(main())


@pytest.mark.parametrize(
    ("trace", "words"),
    [
        (Recorder, "trace must be an object, not a class: trace=Recorder()"),
        (lambda: Recorder(), "not function: it has no record_secrets"),
        (5, "not int: it has no record_secrets"),
    ],
    ids=["class", "function", "number"],
)
def test_what_is_no_trace_is_refused_at_the_call(
    client_config: ClientConfig, server_config: ServerConfig, trace: Any, words: str
) -> None:
    async def main() -> None:
        left, right = socket.socketpair()
        with left, right:
            for client in CLIENTS.values():
                with pytest.raises(ConfigurationError) as caught:
                    await _call(
                        client, left, config=client_config, server_name="localhost", trace=trace
                    )
                assert words in str(caught.value)
            with pytest.raises(ConfigurationError, match="trace must be"):
                wrap_server(left, server_config, trace=trace)
            with pytest.raises(ConfigurationError, match="trace must be"):
                # Port 1 is never asked: nobody listens there.
                handclasp.connect("127.0.0.1", 1, client_config, trace=trace)
            reader, writer = await asyncio.open_connection(sock=left)
            with pytest.raises(ConfigurationError, match="trace must be"):
                await aio.start_tls(reader, writer, server_config, trace=trace)
            writer.close()

    run(main())


def test_a_server_has_a_trace_for_each_connection(server_config: ServerConfig) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"trace": Recorder()}, "trace is about one connection, and a server has many"),
        ({"trace": Recorder}, "say make_trace=Recorder"),
        ({"make_trace": Recorder()}, "make_trace must be a callable, not Recorder"),
        ({"make_trace": answer_later}, "make_trace must answer at once"),
    ]

    async def main() -> None:
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            for settings, words in wrong:
                for serve in SERVERS.values():
                    with pytest.raises(ConfigurationError) as caught:
                        await serve(sock, config=server_config, **settings)
                    assert words in str(caught.value)

    run(main())


SERVERS: dict[str, Call] = {
    "start_server": lambda sock, **settings: aio.start_server(
        answer_nothing, sock=sock, **settings
    ),
    "create_server": lambda sock, **settings: aio.create_server(
        asyncio.Protocol, sock=sock, **settings
    ),
}

WRONG_FOR_SERVERS: dict[str, dict[str, Any]] = {
    "no config": {"config": None},
    "a client's config": {"config": ClientConfig},
    "a context of ssl": {"config": ssl.create_default_context()},
    "close_timeout": {"close_timeout": 0},
    "hello_timeout": {"hello_timeout": 0},
    "max_handshakes": {"max_handshakes": 0},
    "backlog": {"backlog": "many"},
    "ssl": {"ssl": True},
    "ssl_handshake_timeout": {"ssl_handshake_timeout": 3},
    "host": {"host": "127.0.0.1"},
    "reuse_port": {"reuse_port": True},
    "an unknown word": {"colour": "blue"},
    "one trace for all": {"trace": Recorder()},
    "one trace where they are made": {"make_trace": Recorder()},
    "a trace that comes later": {"make_trace": answer_later},
    "an error callback that is none": {"on_handshake_error": "log"},
    "an error callback that comes later": {"on_handshake_error": answer_later},
}


@pytest.mark.parametrize("function", SERVERS)
@pytest.mark.parametrize("wrong", WRONG_FOR_SERVERS)
def test_a_server_leaves_the_socket_as_it_was(
    client_config: ClientConfig, server_config: ServerConfig, function: str, wrong: str
) -> None:
    settings = {"config": server_config} | WRONG_FOR_SERVERS[wrong]
    if settings["config"] is ClientConfig:
        settings["config"] = client_config

    async def main() -> None:
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            with pytest.raises((ConfigurationError, TypeError)):
                await SERVERS[function](sock, **settings)
            assert sock.fileno() != -1
            sock.listen()

    run(main())


@pytest.mark.parametrize("function", SERVERS)
@pytest.mark.parametrize("name", ["trace", "make_trace"])
def test_a_server_takes_no_recorder_for_all_its_clients(
    server_config: ServerConfig, function: str, name: str
) -> None:
    """It would reset every one of them."""

    async def main() -> None:
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            with pytest.raises(ConfigurationError, match="make_trace=Recorder"):
                await SERVERS[function](sock, config=server_config, **{name: Recorder()})

    run(main())


@pytest.mark.parametrize("function", SERVERS)
def test_a_server_refuses_a_connected_socket(server_config: ServerConfig, function: str) -> None:
    async def main() -> None:
        with plain_pair() as (left, _):
            with pytest.raises(ConfigurationError, match="connected"):
                await SERVERS[function](left, config=server_config)
            assert left.fileno() != -1
        left, right = socket.socketpair()
        with left, right:
            with pytest.raises(ConfigurationError, match="connected"):
                await aio.start_unix_server(answer_nothing, sock=left, config=server_config)
            assert left.fileno() != -1

    run(main())


# Sockets without a peer


def _unconnected(kind: str) -> socket.socket:
    if kind == "listening":
        return socket.create_server(("127.0.0.1", 0))
    sock = socket.socket(socket.AF_UNIX) if "UNIX" in kind else socket.socket()
    if kind == "bound":
        sock.bind(("127.0.0.1", 0))
    return sock


@pytest.mark.parametrize("timeout", [None, 5, 0])
@pytest.mark.parametrize("function", [*CLIENTS, "wrap_server"])
@pytest.mark.parametrize("kind", ["listening", "new", "bound", "new, of UNIX"])
def test_a_socket_without_a_peer_is_refused_and_stays_as_it_was(
    client_config: ClientConfig,
    server_config: ServerConfig,
    kind: str,
    function: str,
    timeout: float | None,
) -> None:
    what = "listens: wrap what accept" if kind == "listening" else "not connected"

    async def main() -> None:
        with _unconnected(kind) as sock:
            sock.settimeout(timeout)
            of_another_family = "unix" in function and "UNIX" not in kind
            with pytest.raises(ConfigurationError, match="UNIX" if of_another_family else what):
                if function == "wrap_server":
                    wrap_server(sock, server_config, handshake=False)
                else:
                    settings = {"config": client_config, "server_name": "localhost"}
                    await _call(CLIENTS[function], sock, **settings)
            assert sock.fileno() != -1
            assert sock.gettimeout() == timeout
            if kind == "listening":
                with socket.create_connection(sock.getsockname()):
                    sock.settimeout(5)
                    sock.accept()[0].close()

    run(main())


def test_a_client_that_has_gone_again_is_an_error_of_the_connection(
    server_config: ServerConfig,
) -> None:
    """An accept loop catches `OSError`: nobody must be able to end it by a reset."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        accepted, _ = listener.accept()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        time.sleep(0.05)
        with pytest.raises(OSError):
            accepted.getpeername()
        with pytest.raises(OSError) as error:
            wrap_server(accepted, server_config)
        assert not isinstance(error.value, ConfigurationError)
        assert accepted.fileno() == -1


def test_a_socket_that_is_still_connecting_is_taken(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    with socket.socket() as listener, socket.socket() as sock:
        listener.bind(("127.0.0.1", 0))
        sock.setblocking(False)
        sock.connect_ex(listener.getsockname())  # refused, which only a later call tells
        with (
            wrap_client(sock, client_config, server_name="localhost", handshake=False) as tls,
            pytest.raises(ConnectionRefusedError),
        ):
            tls.settimeout(5)
            tls.do_handshake()


# Words


def test_connect_tells_of_an_address_in_one_piece(client_config: ClientConfig) -> None:
    connect: Any = handclasp.connect
    with pytest.raises(ConfigurationError, match="two arguments"):
        connect(("localhost", 1), client_config)
    with pytest.raises(ConfigurationError, match="port is missing"):
        connect("localhost", client_config)
    with pytest.raises(ConfigurationError, match="neither a DNS name"):
        connect("localhost", 1, client_config, server_name="bad name")

    async def main() -> None:
        with pytest.raises(ConfigurationError, match="two arguments"):
            await aio.open_connection(("localhost", 1), config=client_config)  # type: ignore[arg-type]

    run(main())


@pytest.mark.parametrize(
    ("word", "instead"),
    [
        ("ssl", "config="),
        ("server_hostname", "server_name="),
        ("ssl_handshake_timeout", "handshake_timeout"),
        ("ssl_shutdown_timeout", "close_timeout="),
    ],
)
def test_words_of_asyncio_are_answered_with_ours(word: str, instead: str) -> None:
    async def main() -> None:
        wrong: dict[str, Any] = {word: 3}
        calls: list[Any] = [
            aio.open_connection("localhost", 1, **wrong),
            aio.open_unix_connection("/nowhere", server_name="x", **wrong),
            aio.start_server(answer_nothing, "127.0.0.1", 0, **wrong),
            aio.start_unix_server(answer_nothing, "/nowhere", **wrong),
            aio.create_unix_server(asyncio.Protocol, "/nowhere", **wrong),
        ]
        for call in calls:
            with pytest.raises(ConfigurationError) as error:
                await call
            assert str(error.value).startswith(f"{word} is for the ssl module")
            assert instead in str(error.value)

    run(main())


def test_a_wrong_config_is_shown(server_config: ServerConfig, client_config: ClientConfig) -> None:
    context: Any = ssl.create_default_context()
    with plain_pair() as (left, _):
        with pytest.raises(ConfigurationError, match=r"ClientConfig, not <ssl\.SSLContext.*fields"):
            wrap_client(left, context, server_name="localhost")
        with pytest.raises(
            ConfigurationError, match="ServerConfig with credentials, not a ClientC"
        ):
            wrap_server(left, client_config)  # type: ignore[arg-type]

    async def main() -> None:
        with pytest.raises(ConfigurationError, match="ServerConfig with credentials, not None"):
            await aio.start_server(answer_nothing, "127.0.0.1", 0)
        left, right = socket.socketpair()
        with right:
            reader, writer = await asyncio.open_connection(sock=left)
            neither: list[Any] = [context, "x"]
            for wrong in neither:
                with pytest.raises(ConfigurationError, match="ClientConfig or a ServerConfig"):
                    await aio.start_tls(reader, writer, wrong, server_name="localhost")
            writer.write(b"still here")
            assert right.recv(100) == b"still here"
            writer.close()
            await writer.wait_closed()

    run(main())


def test_a_unix_client_without_a_name_is_told_of_that_first(tmp_path: Any) -> None:
    async def main() -> None:
        with pytest.raises(ConfigurationError, match="server_name"):
            await aio.open_unix_connection(tmp_path / "nobody listens")

    run(main())


# The wrapped socket


def test_nothing_leaves_by_the_wrapped_socket(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    with plain_pair() as (left, right):
        file = left.makefile("wb", buffering=0)
        server = Aside(wrap_server, right, server_config)
        with wrap_client(left, client_config, server_name="localhost") as tls, server.result() as w:
            for sock in (left, right):
                with pytest.raises(OSError, match="Bad file"):
                    sock.sendall(b"PASS secret\r\n")
            with pytest.raises(OSError):
                file.write(b"PASS secret\r\n")
            file.close()
            left.close()
            tls.sendall(b"in private")
            assert w.recv(100) == b"in private"


def test_nor_after_a_handshake_that_failed(client_config: ClientConfig) -> None:
    with plain_pair() as (left, right):
        right.sendall(b"\x15\x03\x03\x00\x02\x02\x28")  # handshake_failure
        with pytest.raises(PeerAlertError):
            wrap_client(left, client_config, server_name="localhost")
        with pytest.raises(OSError, match="Bad file"):
            left.sendall(b"PASS secret\r\n")


def test_a_default_timeout_does_not_change_that_of_the_wrapped_socket(
    client_config: ClientConfig,
) -> None:
    with plain_pair() as (left, _):
        left.settimeout(None)
        socket.setdefaulttimeout(3)
        try:
            with wrap_client(left, client_config, server_name="localhost", handshake=False) as tls:
                assert tls.gettimeout() is None
        finally:
            socket.setdefaulttimeout(None)


class Own(socket.socket):
    """A socket with a way of its own to send."""


def test_a_socket_of_another_class_is_used_itself(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    with plain_pair() as (left, right), Own(fileno=left.detach()) as own:
        own.settimeout(20)
        server = Aside(wrap_server, right, server_config)
        tls = wrap_client(own, client_config, server_name="localhost")
        assert tls.fileno() == own.fileno() != -1
        ending = Aside(server.result().unwrap)
        assert tls.unwrap() is own
        ending.result().close()


def test_a_socket_pair_is_wrapped(client_config: ClientConfig, server_config: ServerConfig) -> None:
    left, right = socket.socketpair()
    server = Aside(wrap_server, right, server_config)
    with wrap_client(left, client_config, server_name="localhost") as tls, server.result() as other:
        assert (tls.family, left.fileno(), right.fileno()) == (left.family, -1, -1)
        tls.sendall(b"hello")
        assert other.recv(10) == b"hello"
