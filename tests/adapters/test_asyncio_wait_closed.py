"""`wait_closed` is about what this side has written: whether the peer's kernel has all of it."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from tests.adapters.streams import port_of, run
from tests.pki import Pki
from tests.required import need_tool

import handclasp
from handclasp import aio
from handclasp.adapters.progress import acknowledged_bytes, has_failed, is_readable, queued_bytes
from handclasp.config import ClientConfig, ServerConfig

Client = Callable[[int, threading.Event, ClientConfig, Path], None]
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="the kernel does not tell what has been acknowledged"
)
SECONDS = 20


def handclasp_client(port: int, leave: threading.Event, config: ClientConfig, ca: Path) -> None:
    with handclasp.connect("127.0.0.1", port, config, server_name="localhost") as tls:
        tls.sendall(b"question\n")
        assert tls.recv(100) == b"answer\n"
        leave.wait(SECONDS)


def ssl_client(port: int, leave: threading.Event, config: ClientConfig, ca: Path) -> None:
    context = ssl.create_default_context(cafile=str(ca))
    with (
        socket.create_connection(("127.0.0.1", port)) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as tls,
    ):
        tls.sendall(b"question\n")
        assert tls.recv(100) == b"answer\n"
        leave.wait(SECONDS)


def resetting_client(port: int, leave: threading.Event, config: ClientConfig, ca: Path) -> None:
    plain = socket.create_connection(("127.0.0.1", port))
    tls = handclasp.wrap_client(plain, config, server_name="localhost")
    tls.sendall(b"question\n")
    leave.wait(SECONDS)
    tls.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    socket.close(tls.detach())


def openssl_client(port: int, leave: threading.Event, config: ClientConfig, ca: Path) -> None:
    server = f"127.0.0.1:{port}"
    command = ["openssl", "s_client", "-quiet", "-connect", server, "-CAfile", str(ca)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"question\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"answer\n"
        leave.wait(SECONDS)
        process.kill()


CLIENTS = [handclasp_client, ssl_client, openssl_client]


@pytest.fixture
def ca(pki: Pki, tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    path.write_bytes(pki.ca_pem)
    return path


def all_have_arrived(writer: asyncio.StreamWriter) -> bool:
    return not queued_bytes(writer.get_extra_info("socket"))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(SECONDS):
        while not condition():
            await asyncio.sleep(0.001)


class Visit:
    """One client that asks and leaves when told, and what `wait_closed` raised for it."""

    def __init__(self, client_config: ClientConfig, server_config: ServerConfig, ca: Path) -> None:
        self.client_config = client_config
        self.server_config = server_config
        self.ca = ca
        self.leave = threading.Event()

    def of(self, client: Client, close: Handler) -> BaseException | None:
        """Let the client visit a server that answers, and then does `close`."""
        if client is openssl_client:
            need_tool("openssl")
        outcome: asyncio.Future[BaseException | None]

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            error: BaseException | None = None
            try:
                await reader.readline()
                await close(reader, writer)
                writer.close()
                await writer.wait_closed()
            except OSError as failure:
                error = failure
            finally:
                self.leave.set()
            outcome.set_result(error)

        async def main() -> BaseException | None:
            nonlocal outcome
            outcome = asyncio.get_running_loop().create_future()
            async with await aio.start_server(
                serve, "127.0.0.1", 0, config=self.server_config
            ) as server:
                await asyncio.to_thread(self._call, client, port_of(server))
                return await outcome

        error: BaseException | None = run(main())
        return error

    def _call(self, client: Client, port: int) -> None:
        # The server goes on in the loop of the main thread.
        client(port, self.leave, self.client_config, self.ca)


@pytest.fixture
def visit(client_config: ClientConfig, server_config: ServerConfig, ca: Path) -> Visit:
    return Visit(client_config, server_config, ca)


@pytest.mark.parametrize("client", CLIENTS)
def test_it_returns_where_the_client_ends_after_the_server_has_closed(
    visit: Visit, client: Client
) -> None:
    """A client that leaves with the server's close_notify unread ends by a reset."""

    async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"answer\n")
        await writer.drain()
        writer.close()
        await until(lambda: all_have_arrived(writer))
        visit.leave.set()

    assert visit.of(client, close) is None


@pytest.mark.parametrize("client", CLIENTS)
def test_it_returns_where_the_client_has_ended_before_the_server_closes(
    visit: Visit, client: Client
) -> None:
    """These clients end without close_notify, which is `TruncationError` for those who read."""

    async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"answer\n")
        await until(lambda: all_have_arrived(writer))
        visit.leave.set()
        await until(lambda: writer.is_closing() or reader.at_eof())

    assert visit.of(client, close) is None


def test_it_returns_where_everything_had_arrived_before_a_reset(visit: Visit) -> None:
    async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"answer\n")
        await until(lambda: all_have_arrived(writer))
        visit.leave.set()
        await until(writer.is_closing)
        with pytest.raises(ConnectionResetError):  # Whoever reads hears of it.
            await reader.read()

    assert visit.of(resetting_client, close) is None


@pytest.mark.parametrize("closes_first", [True, False])
def test_it_raises_where_a_reset_destroys_what_was_written(
    visit: Visit, closes_first: bool
) -> None:
    async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(bytes(16 * 1024 * 1024))  # The client reads none of it.
        if closes_first:
            writer.close()
        visit.leave.set()
        if not closes_first:
            await until(writer.is_closing)

    assert isinstance(visit.of(resetting_client, close), ConnectionError)


def test_it_raises_where_something_is_written_after_a_reset(visit: Visit) -> None:
    async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"answer\n")
        await until(lambda: all_have_arrived(writer))
        visit.leave.set()
        sock = writer.get_extra_info("socket")
        while not has_failed(sock):  # The loop must not hear of it first.
            time.sleep(0.001)
        writer.write(b"more\n")

    assert isinstance(visit.of(resetting_client, close), ConnectionError)


def test_the_kernel_tells_what_was_acknowledged_after_a_reset_too() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
    with server:
        before = acknowledged_bytes(server)
        assert before is not None
        server.sendall(bytes(100))
        while queued_bytes(server):
            time.sleep(0.001)
        client.close()  # with unread bytes
        while not is_readable(server):
            time.sleep(0.001)
        with pytest.raises(ConnectionResetError):
            server.recv(1)
        assert acknowledged_bytes(server) == before + 100
    assert acknowledged_bytes(server) is None
    assert acknowledged_bytes(None) is None
