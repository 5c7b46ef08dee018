"""WebSocket clients and servers."""

from __future__ import annotations

import asyncio
import ssl

from tests.programs.case import Case, Unproven, in_thread
from tests.programs.peers import HOST, Loop
from tests.programs.registry import Program

_MESSAGE = "a message, " * 9000


def _echo_port(case: Case, context: ssl.SSLContext) -> int:
    """Start an echo server of `websockets` under asyncio, and return its port."""
    from websockets.asyncio.server import ServerConnection, serve

    async def echo(connection: ServerConnection) -> None:
        async for message in connection:
            await connection.send(message)

    async def start() -> int:
        server = await serve(echo, "127.0.0.1", 0, ssl=context)
        return int(next(iter(server.sockets)).getsockname()[1])

    return int(Loop().call(start()))


def _same(message: object) -> None:
    if message != _MESSAGE:
        raise Unproven("another message came back")


def with_websockets_sync(case: Case) -> None:
    from websockets.sync.client import connect

    right, wrong = case.contexts()
    uri = f"wss://{HOST}:{_echo_port(case, case.server_context())}/"
    with connect(uri, ssl=right) as connection:
        connection.send(_MESSAGE)
        _same(connection.recv())
    case.refused(lambda: connect(uri, ssl=wrong), ssl.SSLCertVerificationError)


def with_websockets_asyncio(case: Case) -> None:
    from websockets.asyncio.client import connect

    right, wrong = case.contexts()
    uri = f"wss://{HOST}:{_echo_port(case, case.server_context())}/"

    async def talk(context: ssl.SSLContext) -> None:
        async with connect(uri, ssl=context) as connection:
            await connection.send(_MESSAGE)
            _same(await connection.recv())

    asyncio.run(talk(right))
    case.refused(lambda: asyncio.run(talk(wrong)), ssl.SSLCertVerificationError)


def with_websockets_legacy(case: Case) -> None:
    import warnings

    warnings.simplefilter("ignore", DeprecationWarning)
    from websockets.legacy.client import connect

    right, wrong = case.contexts()
    uri = f"wss://{HOST}:{_echo_port(case, case.server_context())}/"

    async def talk(context: ssl.SSLContext) -> None:
        async with connect(uri, ssl=context) as connection:
            await connection.send(_MESSAGE)
            _same(await connection.recv())

    asyncio.run(talk(right))
    case.refused(lambda: asyncio.run(talk(wrong)), ssl.SSLCertVerificationError)


def with_websockets_server(case: Case) -> None:
    from websockets.sync.client import connect

    uri = f"wss://{HOST}:{_echo_port(case, case.server_program_context())}/"

    def talk(context: ssl.SSLContext) -> None:
        with connect(uri, ssl=context) as connection:
            connection.send(_MESSAGE)
            _same(connection.recv())

    talk(case.client_context())
    case.refused_as_stranger(lambda: talk(case.client_context(stranger=True)))


def with_websockets_threads(case: Case) -> None:
    from websockets.sync.client import connect
    from websockets.sync.server import ServerConnection, serve

    def echo(connection: ServerConnection) -> None:
        for message in connection:
            connection.send(message)

    server = serve(echo, "127.0.0.1", 0, ssl=case.server_program_context())
    in_thread(server.serve_forever)
    uri = f"wss://{HOST}:{server.socket.getsockname()[1]}/"

    def talk(context: ssl.SSLContext) -> None:
        with connect(uri, ssl=context) as connection:
            connection.send(_MESSAGE)
            _same(connection.recv())

    talk(case.client_context())
    case.refused_as_stranger(lambda: talk(case.client_context(stranger=True)))


def with_websocket_client(case: Case) -> None:
    import websocket

    uri = f"wss://{HOST}:{_echo_port(case, case.server_context())}/"

    def options(ca: str) -> dict[str, object]:
        return {"ca_certs": ca} if case.is_injected else {"context": case.context(ca)}

    def talk(ca: str) -> None:
        connection = websocket.create_connection(uri, sslopt=options(ca), timeout=20)
        connection.send(_MESSAGE)
        _same(connection.recv())
        connection.close()

    talk(case.ca)
    case.refused(lambda: talk(case.wrong_ca), ssl.SSLCertVerificationError)


_SERVER, _CLIENT = "server of websockets", "client of websockets"

PROGRAMS = [
    Program("websockets, threads", with_websockets_sync, ("websockets",), _SERVER),
    Program("websockets, asyncio", with_websockets_asyncio, ("websockets",), _SERVER),
    Program("websockets, legacy", with_websockets_legacy, ("websockets",), _SERVER),
    Program("websockets, server", with_websockets_server, ("websockets",), _CLIENT, is_server=True),
    Program(
        "websockets, server with threads",
        with_websockets_threads,
        ("websockets",),
        _CLIENT,
        is_server=True,
    ),
    Program("websocket-client", with_websocket_client, ("websocket-client",), _SERVER),
]
