"""Servers behind a load balancer: the PROXY protocol names the client, or nobody is served."""

from __future__ import annotations

import asyncio
import socket
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from tests.adapters.streams import close, echo, run, serving
from tests.adapters.test_accepting import either_loop
from tests.required import lacking, need_tool

from handclasp import Recorder, aio
from handclasp.adapters.room import share_of
from handclasp.config import ClientConfig, ServerConfig
from handclasp.errors import ConfigurationError
from handclasp.faults import Fault
from handclasp.starttls.proxy_protocol import SIGNATURE

__all__ = ["either_loop"]

HEADER = b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n"
BINARY = SIGNATURE + b"\x21\x21\x00\x24" + bytes(15) + b"\x01" + bytes(15) + b"\x02\x10\x00\x01\xbb"
LOCAL = SIGNATURE + b"\x20\x00\x00\x00"


async def open_through(
    port: int, config: ClientConfig, header: bytes, **kwds: Any
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A client behind a balancer that sends this header."""
    sock = socket.create_connection(("127.0.0.1", port))
    sock.sendall(header)
    sock.setblocking(False)
    return await aio.open_connection(sock=sock, server_name="localhost", config=config, **kwds)


@pytest.mark.usefixtures("either_loop")
@pytest.mark.parametrize(
    ("header", "expected"),
    [(HEADER, ("192.0.2.7", 56324)), (BINARY, ("::1", 4096, 0, 0)), (LOCAL, None)],
)
def test_the_client_is_the_one_that_the_header_names(
    client_config: ClientConfig, server_config: ServerConfig, header: bytes, expected: Any
) -> None:
    seen: list[Any] = []
    recorders: list[Recorder] = []

    async def told(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(writer.get_extra_info("peername"))
        await echo(reader, writer)

    def make_trace() -> Recorder:
        recorders.append(Recorder())
        return recorders[-1]

    async def main() -> None:
        async with serving(
            told, server_config, proxy_protocol="127.0.0.0/8", make_trace=make_trace
        ) as port:
            reader, writer = await open_through(port, client_config, header)
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"hello"
            own = writer.get_extra_info("sockname")
            assert seen == [expected or own]
            assert own[0] in repr(recorders[0].events) or expected is not None
            await close(writer)

    run(main())
    if expected is not None:
        assert repr(expected[0]) in repr(recorders[0].events)


@pytest.mark.usefixtures("either_loop")
@pytest.mark.parametrize(
    ("first", "why"),
    [
        (
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(20),
            "the first bytes are b'\\x16",
        ),
        (b"GET / HTTP/1.1\r\n\r\n", "the first bytes are b'GET /"),
        (HEADER.replace(b"443", b"x"), "the line is b'PROXY TCP4"),
        (HEADER[:20], "none came within 0.2 seconds"),
        (b"", "none came within 0.2 seconds"),
    ],
)
def test_without_a_header_nobody_is_served(
    server_config: ServerConfig, first: bytes, why: str
) -> None:
    errors: list[Any] = []

    async def main() -> None:
        async with serving(
            echo,
            server_config,
            proxy_protocol=True,
            hello_timeout=0.2,
            on_handshake_error=lambda error, transport: errors.append(
                (error, transport.get_extra_info("peername"), transport.get_extra_info("x", 1))
            ),
        ) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            own = writer.get_extra_info("sockname")
            writer.write(first)
            said = b""
            with suppress(OSError):
                said = await asyncio.wait_for(reader.read(), 5)
            assert said == b""
            writer.close()
            ((error, peername, other),) = errors
            assert (error.fault, peername, other) == (Fault.PROXY_HEADER, own, 1)
            assert why in str(error)
            assert (error.alert, error.blame) == ("", "unclear")

    run(main())


def test_a_header_is_read_in_any_pieces(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    async def main() -> None:
        async with serving(echo, server_config, proxy_protocol=True) as port:
            for header in (HEADER, BINARY):
                sock = socket.create_connection(("127.0.0.1", port))
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for at in range(len(header)):
                    sock.sendall(header[at : at + 1])
                    await asyncio.sleep(0.001)
                sock.setblocking(False)
                reader, writer = await aio.open_connection(
                    sock=sock, server_name="localhost", config=client_config
                )
                writer.write(b"hello")
                assert await reader.readexactly(5) == b"hello"
                await close(writer)

    run(main())


def test_a_check_of_health_is_no_failure(server_config: ServerConfig) -> None:
    errors: list[Any] = []

    async def main() -> None:
        async with serving(
            echo,
            server_config,
            proxy_protocol=True,
            on_handshake_error=lambda error, transport: errors.append(error),
        ) as port:
            socket.create_connection(("127.0.0.1", port)).close()
            await asyncio.sleep(0.05)
            with socket.create_connection(("127.0.0.1", port)) as sock:
                sock.sendall(HEADER[:9])
            while not errors:
                await asyncio.sleep(0.01)

    run(main())
    (error,) = errors
    assert "the connection ended within it" in str(error)


@pytest.mark.usefixtures("either_loop")
@pytest.mark.parametrize("reset", [False, True])
def test_a_check_of_health_may_send_a_header(server_config: ServerConfig, reset: bool) -> None:
    """haproxy's do. Who comes from elsewhere and says nothing is a client that has failed."""
    seen: list[Any] = []
    own = HEADER.replace(b"192.0.2.7", b"127.0.0.1")

    async def main() -> None:
        async with serving(
            echo,
            server_config,
            proxy_protocol=True,
            on_handshake_error=lambda error, transport: seen.append(
                transport.get_extra_info("peername")
            ),
        ) as port:
            for header in (LOCAL, own, b"PROXY UNKNOWN\r\n", HEADER):
                with socket.create_connection(("127.0.0.1", port)) as sock:
                    sock.sendall(header)
                    await asyncio.sleep(0.05)  # It is read before it is reset.
                    if reset:
                        linger = struct.pack("ii", 1, 0)
                        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            while not seen:
                await asyncio.sleep(0.01)

    run(main())
    assert seen == [("192.0.2.7", 56324)]


def test_the_balancer_itself_may_be_slow_to_begin(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    async def main() -> None:
        async with serving(
            echo, server_config, proxy_protocol=True, hello_timeout=0.2, max_handshakes=2
        ) as port:
            silent = socket.create_connection(("127.0.0.1", port))
            silent.sendall(LOCAL)
            reader, writer = await open_through(port, client_config, LOCAL)
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"hello"
            await close(writer)
            silent.setblocking(False)
            loop = asyncio.get_running_loop()
            # It gets to TLS, and an alert.
            assert (await asyncio.wait_for(loop.sock_recv(silent, 100), 5))[:1] == b"\x15"
            silent.close()

    run(main())


def test_only_the_balancers_may_connect(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    errors: list[Any] = []

    async def main() -> None:
        async with serving(
            echo,
            server_config,
            proxy_protocol=["192.0.2.0/24", "2001:db8::/32"],
            on_handshake_error=lambda error, transport: errors.append(error),
        ) as port:
            # By its address: uvloop leaves a socket that was given unclosed if it is reset by then.
            with pytest.raises(OSError):
                await aio.open_connection(
                    "127.0.0.1", port, server_name="localhost", config=client_config
                )

    run(main())
    assert [error.fault for error in errors] == [Fault.PROXY_HEADER]
    assert "the address is none of the balancers'" in str(errors[0])


@pytest.mark.parametrize("given", ["here", "10.0.0.1/8", [], [1.5], 7, None])
def test_what_is_no_network_is_refused(server_config: ServerConfig, given: Any) -> None:
    async def main() -> None:
        with pytest.raises(ConfigurationError, match="proxy_protocol"):
            await aio.start_server(echo, "127.0.0.1", 0, config=server_config, proxy_protocol=given)

    run(main())


def test_shares_are_those_of_the_clients(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    """One client with many connections does not lock out another behind the same balancer."""

    async def main() -> None:
        async with serving(
            echo, server_config, proxy_protocol=True, max_handshakes=2, hello_timeout=None
        ) as port:
            idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(40)]
            for each in idle:
                each.sendall(HEADER)
            await asyncio.sleep(0.2)
            other = HEADER.replace(b"192.0.2.7", b"192.0.2.8")
            reader, writer = await open_through(port, client_config, other)
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"hello"
            await close(writer)
            for each in idle:
                each.close()

    run(main())
    assert share_of(("192.0.2.7", 1)) != share_of(("192.0.2.8", 1))


def test_connections_that_send_no_header_are_bounded(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    """The oldest of them makes room, so that those of balancers are read."""

    async def main() -> None:
        async with serving(
            echo, server_config, proxy_protocol=True, max_handshakes=4, hello_timeout=None
        ) as port:
            idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]
            reader, writer = await open_through(port, client_config, HEADER)
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"hello"
            closed = 0
            for each in idle:
                each.settimeout(0.01)
                with suppress(TimeoutError):
                    closed += each.recv(1) == b""
                each.close()
            assert 16 <= closed <= 17
            await close(writer)

    run(main())


def test_a_server_that_ends_waits_for_no_header(server_config: ServerConfig) -> None:
    async def main() -> None:
        server = await aio.start_server(
            echo, "127.0.0.1", 0, config=server_config, proxy_protocol=True
        )
        port = server.sockets[0].getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as sock:
            await asyncio.sleep(0.05)
            server.close()
            await server.wait_closed()
            sock.settimeout(5)
            assert sock.recv(1) == b""

    run(main())


HAPROXY = """
defaults
    mode tcp
    timeout connect 5s
    timeout client 5s
    timeout server 5s
frontend front
    bind 127.0.0.1:{front}
    default_backend back
backend back
    server one 127.0.0.1:{back} {send} check inter 100ms
"""

NGINX = """
load_module {module};
daemon off;
master_process off;
pid {where}/nginx.pid;
error_log /dev/null;
events {{}}
stream {{
    server {{
        listen 127.0.0.1:{front};
        proxy_pass 127.0.0.1:{back};
        proxy_protocol on;
    }}
}}
"""


@contextmanager
def balancer(where: Path, back: int, send: str) -> Iterator[int]:
    """haproxy, or nginx, in front of a port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        front = free.getsockname()[1]
    path = where / "balancer.conf"
    if send == "nginx":
        module = Path("/usr/lib/nginx/modules/ngx_stream_module.so")
        if not module.exists():
            lacking("nginx's module for streams is not installed")
        command = [need_tool("nginx"), "-p", str(where), "-c", str(path)]
        path.write_text(NGINX.format(module=module, where=where, front=front, back=back))
    else:
        command = [need_tool("haproxy"), "-db", "-f", str(path)]
        path.write_text(HAPROXY.format(front=front, back=back, send=send))
    popen = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        yield front
    finally:
        popen.kill()
        popen.wait(30)


@pytest.mark.interop
@pytest.mark.fast
@pytest.mark.parametrize("send", ["nginx", "send-proxy", "send-proxy-v2", "send-proxy-v2-ssl-cn"])
def test_behind_a_balancer(
    client_config: ClientConfig, server_config: ServerConfig, tmp_path: Path, send: str
) -> None:
    errors: list[Any] = []

    async def tell(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(repr(writer.get_extra_info("peername")).encode())
        await writer.drain()

    async def main() -> None:
        async with serving(
            tell,
            server_config,
            proxy_protocol="127.0.0.1",
            on_handshake_error=lambda error, transport: errors.append(error),
        ) as port:
            with balancer(tmp_path, port, send) as front:
                for _ in range(500):
                    with suppress(OSError):
                        reader, writer = await aio.open_connection(
                            "localhost", front, config=client_config, local_addr=("127.0.0.5", 0)
                        )
                        break
                    await asyncio.sleep(0.02)
                assert await reader.read() == repr(writer.get_extra_info("sockname")).encode()
                await close(writer)
                await asyncio.sleep(0.5)  # Several checks of health.

    run(main())
    assert errors == []
