"""Servers and clients of `handclasp.trio`, over TCP."""

from __future__ import annotations

import logging
import re
import socket
import struct
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing
from tests.adapters.triostreams import over, run, shake_hands, socket_pair
from tests.pki import Leaf, Pki, key_of_type, key_pem, pem_of
from tests.test_readme import example

import handclasp
from handclasp import CertificateError, ClientConfig, Recorder, ServerConfig
from handclasp.adapters import progress, room, trio_duplex
from handclasp.errors import (
    ConfigurationError,
    HandshakeTimeoutError,
    ProtocolError,
    TruncationError,
)
from handclasp.trio import TLSListener, TLSStream, open_tls_stream, serve_tls

MEGABYTE = 1024 * 1024

needs_progress = pytest.mark.skipif(
    sys.platform not in ("linux", "darwin"), reason="this system does not tell what is unsent"
)
DOCUMENT = Path(__file__).parents[2] / "docs" / "trio.md"


async def echo(stream: Any) -> None:
    async for data in stream:
        await stream.send_all(data)


@asynccontextmanager
async def serving(handler: Any, config: ServerConfig, **settings: Any) -> AsyncIterator[int]:
    """A server; gives its port, and ends it with the block."""
    serve = partial(serve_tls, handler, 0, config, host="127.0.0.1", **settings)
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(serve)
        yield listeners[0].socket.getsockname()[1]
        nursery.cancel_scope.cancel()


async def read_all(stream: Any) -> bytes:
    return b"".join([data async for data in stream])


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await trio.sleep(0.005)


def test_a_server_and_its_clients(client_config: ClientConfig, server_config: ServerConfig) -> None:
    traces: list[Recorder] = []

    def make_trace() -> Recorder:
        traces.append(Recorder())
        return traces[-1]

    async def main() -> None:
        async with (
            serving(echo, server_config, make_trace=make_trace) as port,
            trio.open_nursery() as nursery,
        ):
            for _ in range(5):
                nursery.start_soon(talk, port)

    async def talk(port: int) -> None:
        stream = await open_tls_stream("127.0.0.1", port, client_config)
        async with stream:
            data = bytes(range(256)) * 1024
            async with trio.open_nursery() as nursery:
                nursery.start_soon(stream.send_all, data)
                got = bytearray()
                while len(got) < len(data):
                    got += await stream.receive_some()
            assert got == data
            await stream.send_eof()
            assert await stream.receive_some() == b""

    run(main)
    assert len(traces) == 5
    assert all(trace.events for trace in traces)


def test_a_blocking_client(client_config: ClientConfig, server_config: ServerConfig) -> None:
    def talk(port: int) -> bytes:
        with handclasp.connect("127.0.0.1", port, client_config, timeout=10) as tls:
            tls.sendall(b"hello")
            return tls.recv(100)

    async def main() -> bytes:
        async with serving(echo, server_config) as port:
            return await trio.to_thread.run_sync(talk, port)
        raise AssertionError

    assert run(main) == b"hello"


def test_a_client_gets_the_errors_of_this_library(server_config: ServerConfig) -> None:
    async def main() -> None:
        heard: list[BaseException] = []
        settings = {"on_handshake_error": lambda error, stream: heard.append(error)}
        async with serving(echo, server_config, **settings) as port:
            with pytest.raises(CertificateError) as caught:
                await open_tls_stream("127.0.0.1", port, ClientConfig(trust=Pki().trust))
            assert caught.value.fix
            await until(lambda: bool(heard))
            assert "unknown_ca" in str(heard[0])
            async with await trio.open_tcp_stream("127.0.0.1", port) as plain:
                await plain.send_all(b"GET / HTTP/1.0\r\n\r\n")
                await until(lambda: len(heard) == 2)
                assert isinstance(heard[1], ProtocolError)
        with pytest.raises(OSError, match="connect"):
            await open_tls_stream("127.0.0.1", port, ClientConfig(trust=Pki().trust))

    run(main)


def test_a_reset_in_the_handshake(client_config: ClientConfig) -> None:
    async def main() -> None:
        listener = (await trio.open_tcp_listeners(0, host="127.0.0.1"))[0]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(reset, listener)
            host, port = listener.socket.getsockname()
            with pytest.raises(TruncationError):
                await open_tls_stream(host, port, client_config)
        await listener.aclose()

    async def reset(listener: Any) -> None:
        stream = await listener.accept()
        await stream.receive_some(10)
        stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await stream.aclose()

    run(main)


def test_mistakes_show_before_anything_is_connected(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    async def main() -> None:
        for wrong in (
            partial(open_tls_stream, "127.0.0.1", 1, server_config),  # type: ignore[arg-type]
            partial(open_tls_stream, ("127.0.0.1", 1), client_config),  # type: ignore[arg-type]
            partial(open_tls_stream, "127.0.0.1", 1, client_config, early_data=b"x"),
            partial(serve_tls, echo, 0, client_config),  # type: ignore[arg-type]
            partial(serve_tls, echo, 0, server_config, max_handshakes=0),
            partial(serve_tls, echo, 0, server_config, hello_timeout=0),
            partial(serve_tls, echo, 0, server_config, close_timeout=-1),
            partial(serve_tls, echo, 0, server_config, make_trace=Recorder()),  # type: ignore[arg-type]
        ):
            with pytest.raises(ConfigurationError):
                await wrong()

    run(main)


def test_a_cancelled_client_leaves_nothing_open(client_config: ClientConfig) -> None:
    async def main() -> None:
        listener = (await trio.open_tcp_listeners(0, host="127.0.0.1"))[0]
        host, port = listener.socket.getsockname()
        with trio.move_on_after(0.1):
            await open_tls_stream(host, port, client_config)
        stream = await listener.accept()
        assert await stream.receive_some()  # the hello
        with pytest.raises(trio.BrokenResourceError):
            while True:
                await stream.send_all(b"x")
                await trio.sleep(0.01)
        await stream.aclose()
        await listener.aclose()

    run(main)


# Handlers


@pytest.mark.parametrize("ending", ["returns", "closes", "raises"])
def test_the_end_of_a_handler(
    client_config: ClientConfig, server_config: ServerConfig, ending: str
) -> None:
    async def greet(stream: Any) -> None:
        await stream.send_all(b"hello")
        if ending == "closes":
            await stream.aclose()
        if ending == "raises":
            raise ZeroDivisionError

    async def main() -> None:
        async with serving(greet, server_config) as port:
            stream = await open_tls_stream("127.0.0.1", port, client_config)
            if ending == "raises":
                with pytest.raises(trio.BrokenResourceError):
                    await read_all(stream)
            else:
                assert await read_all(stream) == b"hello"
            await stream.aclose()

    if ending == "raises":
        with pytest.raises(BaseExceptionGroup) as caught:
            run(main)
        assert caught.group_contains(ZeroDivisionError) or ZeroDivisionError in map(
            type, flat(caught.value)
        )
    else:
        run(main)


def flat(group: BaseException) -> list[BaseException]:
    if isinstance(group, BaseExceptionGroup):
        return [one for each in group.exceptions for one in flat(each)]
    return [group]


def test_handlers_in_a_nursery_of_their_own_live_on(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    async def main() -> None:
        async with trio.open_nursery() as handlers:
            async with serving(echo, server_config, handler_nursery=handlers) as port:
                stream = await open_tls_stream("127.0.0.1", port, client_config)
            await stream.send_all(b"still there")
            assert await stream.receive_some() == b"still there"
            await stream.aclose()

    run(main)


def test_a_closed_listener_ends_the_server(server_config: ServerConfig) -> None:
    async def main() -> None:
        with pytest.raises(BaseExceptionGroup) as caught:
            async with trio.open_nursery() as nursery:
                serve = partial(serve_tls, echo, 0, server_config, host="127.0.0.1")
                (listener,) = await nursery.start(serve)
                await trio.testing.wait_all_tasks_blocked()
                await listener.aclose()
        assert {type(each) for each in flat(caught.value)} == {trio.ClosedResourceError}

    run(main)


def test_a_client_that_does_not_read_is_given_up(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    ended: list[str] = []

    async def flood(stream: Any) -> None:
        with trio.move_on_after(0.2):
            await stream.send_all(b"x" * 64 * MEGABYTE)
        ended.append("handler")

    async def main() -> None:
        async with serving(flood, server_config, close_timeout=0.1) as port:
            stream = await open_tls_stream("127.0.0.1", port, client_config)
            await until(lambda: bool(ended))
            with pytest.raises(trio.BrokenResourceError):
                await read_all(stream)
            await stream.aclose()

    run(main)


def test_a_close_goes_on_as_long_as_the_reader_does(
    client_config: ClientConfig, server_config: ServerConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = 20

    def queued_bytes(sock: Any) -> int:
        nonlocal left
        left -= 1
        return left

    monkeypatch.setattr(trio_duplex, "unsent_in_kernel", lambda sock: left)
    monkeypatch.setattr(trio_duplex, "queued_bytes", queued_bytes)

    async def say_hello(stream: Any) -> None:
        await stream.send_all(b"hello")

    async def main() -> None:
        async with serving(say_hello, server_config, close_timeout=0.3) as port:
            stream = await open_tls_stream("127.0.0.1", port, client_config)
            assert await read_all(stream) == b"hello"
            with trio.fail_after(30):
                await until(lambda: left == 1)
            await stream.aclose()

    run(main)


@needs_progress
@pytest.mark.parametrize("is_full", [True, False], ids=["close_notify waits", "data are left"])
def test_giving_up_on_a_peer_that_takes_nothing_is_an_error(
    client_config: ClientConfig, server_config: ServerConfig, is_full: bool
) -> None:
    outcomes: list[trio.BrokenResourceError] = []

    async def pour(stream: Any) -> None:
        sock = stream.transport_stream.socket
        if is_full:
            while progress.is_writable(sock):
                await stream.send_all(bytes(16384))
        else:
            while not progress.unsent_in_kernel(sock):
                await stream.send_all(bytes(16384))
        with pytest.raises(trio.BrokenResourceError) as caught:
            await stream.aclose()
        outcomes.append(caught.value)

    async def main() -> None:
        async with serving(pour, server_config, close_timeout=0.1) as port:
            stream = await open_tls_stream("127.0.0.1", port, client_config)
            await until(lambda: bool(outcomes))
            await trio.aclose_forcefully(stream)

    run(main)
    (error,) = outcomes
    assert isinstance(error.__cause__, TimeoutError)
    assert re.search(r"took nothing for 0.1 seconds, and \d+ encrypted bytes may not", str(error))


def test_giving_up_ends_only_the_connection(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    async def fill(stream: Any) -> None:
        if not await stream.receive_some():
            return
        while progress.is_writable(stream.transport_stream.socket):
            await stream.send_all(bytes(16384))

    async def main() -> None:
        async with serving(fill, server_config, close_timeout=0.1) as port:
            stuck = await open_tls_stream("127.0.0.1", port, client_config)
            await stuck.send_all(b"pour")
            await trio.sleep(0.5)
            async with await open_tls_stream("127.0.0.1", port, client_config) as stream:
                await stream.send_eof()
                assert await stream.receive_some() == b""
            await trio.aclose_forcefully(stuck)

    run(main)


def test_a_stream_without_a_socket_is_given_up(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    async def main() -> None:
        pair = over(trio.testing.memory_stream_pair(), client_config, server_config)
        client, server = await shake_hands(pair)
        client._duplex.close_timeout = 0.1
        left = client.transport_stream.send_stream
        left.send_all_hook = trio.sleep_forever
        with pytest.raises(trio.BrokenResourceError, match="what was written may not have"):
            await client.aclose()
        await trio.aclose_forcefully(server)

    run(main)


def test_a_slow_reader_gets_everything_before_the_close(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    size = 4 * MEGABYTE

    async def main() -> None:
        left, right = await socket_pair()
        client = TLSStream(left, client_config, server_name="localhost")
        server = TLSStream(right, server_config)
        await shake_hands((client, server))
        got = 0

        async def read() -> None:
            nonlocal got
            await trio.sleep(0.2)
            await client.update_keys()  # The kernel would answer it with a reset.
            async for data in client:
                got += len(data)
                await trio.sleep(0.0005)
            await client.aclose()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            await server.send_all(b"x" * size)
            await server.aclose()
        assert got == size

    run(main)


def test_unread_tickets_do_not_destroy_what_was_sent_last(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    async def main() -> None:
        for _ in range(20):
            left, right = await socket_pair()
            client = TLSStream(left, client_config, server_name="localhost")
            server = TLSStream(right, server_config)
            await shake_hands((client, server))
            await client.send_all(b"the last" * 1000)
            await client.aclose()
            await trio.sleep(0.001)
            assert await read_all(server) == b"the last" * 1000
            await server.aclose()

    run(main)


# Under load


async def connect_silently(port: int, number: int) -> list[Any]:
    return [await trio.open_tcp_stream("127.0.0.1", port) for _ in range(number)]


def test_silent_clients_make_room(client_config: ClientConfig, server_config: ServerConfig) -> None:
    async def main() -> None:
        heard: list[Any] = []
        settings: dict[str, Any] = {
            "max_handshakes": 3,
            "on_handshake_error": lambda error, stream: heard.append(error),
        }
        async with serving(echo, server_config, **settings) as port:
            silent = await connect_silently(port, 8)
            with trio.fail_after(30):
                stream = await open_tls_stream("127.0.0.1", port, client_config)
            await stream.send_all(b"x")
            assert await stream.receive_some() == b"x"
            await stream.aclose()
            assert heard
            assert all(isinstance(error, HandshakeTimeoutError) for error in heard)
            assert "others needed its place" in str(heard[0])
            for each in silent:
                await each.aclose()

    run(main)


def test_a_hello_must_come_soon(client_config: ClientConfig, server_config: ServerConfig) -> None:
    async def main() -> None:
        heard: list[Any] = []
        settings: dict[str, Any] = {
            "hello_timeout": 0.1,
            "on_handshake_error": lambda error, stream: heard.append(error),
        }
        async with serving(echo, server_config, **settings) as port:
            (silent,) = await connect_silently(port, 1)
            stream = await open_tls_stream("127.0.0.1", port, client_config)
            await until(lambda: bool(heard))
            assert isinstance(heard[0], HandshakeTimeoutError)
            while await silent.receive_some():
                pass
            await silent.aclose()
            await trio.sleep(0.1)
            await stream.send_all(b"complete ones live on")
            assert await stream.receive_some() == b"complete ones live on"
            await stream.aclose()

    run(main)


def test_a_crowd_is_served_to_the_last(
    client_config: ClientConfig, server_config: ServerConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "SILENT_SECONDS", 5.0)  # Clients and server share a busy loop.

    async def greet(stream: Any) -> None:
        await stream.send_all(b"hello")

    async def talk(port: int) -> None:
        stream = await open_tls_stream("127.0.0.1", port, client_config)
        assert await read_all(stream) == b"hello"
        await stream.aclose()

    async def main() -> None:
        async with (
            serving(greet, server_config, max_handshakes=2, backlog=5) as port,
            trio.open_nursery() as nursery,
        ):
            for _ in range(12):
                nursery.start_soon(talk, port)

    run(main)


def test_a_client_waiting_for_this_side_keeps_its_place(
    client_config: ClientConfig, server_config: ServerConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "SILENT_SECONDS", 5.0)  # Clients and server share a busy loop.
    given: Any = server_config.credentials
    (credentials,) = given

    async def choose(question: Any) -> Any:
        await trio.sleep(1.2)
        return credentials

    async def talk(port: int) -> None:
        stream = await open_tls_stream("127.0.0.1", port, client_config)
        await stream.aclose()

    async def main() -> None:
        heard: list[Any] = []
        config = replace(server_config, credentials=(), choose_credentials=choose)
        settings: dict[str, Any] = {
            "max_handshakes": 2,
            "on_handshake_error": lambda error, stream: heard.append(error),
        }
        async with serving(echo, config, **settings) as port, trio.open_nursery() as nursery:
            for _ in range(4):
                nursery.start_soon(talk, port)
        assert not heard

    run(main)


def test_a_callback_that_fails_harms_no_client(
    client_config: ClientConfig, server_config: ServerConfig, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> Any:
        raise ZeroDivisionError

    traces: Iterator[Callable[..., Any]] = iter([fail, Recorder])

    async def main() -> None:
        settings: dict[str, Any] = {
            "on_handshake_error": fail,
            "make_trace": lambda: next(traces)(),
        }
        async with serving(echo, server_config, **settings) as port:
            for _ in range(2):
                plain = await trio.open_tcp_stream("127.0.0.1", port)
                await plain.send_all(b"not TLS at all")
                await read_all(plain)
                await plain.aclose()

    with caplog.at_level(logging.ERROR, "handclasp"):
        run(main)
    assert "could not begin" in caplog.text
    assert "on_handshake_error failed" in caplog.text


async def note_later(error: Exception, stream: Any) -> None: ...


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"handler": "echo"}, "handler must be a function, not str"),
        ({"on_handshake_error": "log"}, "on_handshake_error must be a callable, not str"),
        ({"on_handshake_error": note_later}, "on_handshake_error must answer at once"),
        ({"make_trace": Recorder()}, "make_trace must be a callable, not Recorder"),
    ],
)
def test_a_server_refuses_what_it_cannot_call(
    server_config: ServerConfig, settings: dict[str, Any], words: str
) -> None:
    async def main() -> None:
        handler = settings.pop("handler", echo)
        with trio.fail_after(30), pytest.raises(ConfigurationError, match=words):
            await serve_tls(handler, 0, server_config, host="127.0.0.1", **settings)

    run(main)


def test_a_listener_refuses_what_makes_no_traces(server_config: ServerConfig) -> None:
    listener: Any = object()
    with pytest.raises(ConfigurationError, match="make_trace must be a callable"):
        TLSListener(listener, server_config, make_trace=Recorder())  # type: ignore[arg-type]


# The examples of docs/trio.md


def names_of(example_with: str, **replaced: str) -> dict[str, Any]:
    """What the one example defines in which these words stand, without running its main."""
    code = example(example_with, DOCUMENT).replace("trio.run(main)", "")
    for old, new in replaced.items():
        code = code.replace(old.removeprefix("_"), new)
    names: dict[str, Any] = {}
    exec(code, names)
    return names


def test_the_examples_of_a_server_and_a_client(
    pki: Pki, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    key = key_of_type("ecdsa-p256")
    (tmp_path / "chain.pem").write_bytes(pem_of(pki.issue(Leaf(), key.public_key())))
    (tmp_path / "key.pem").write_bytes(key_pem(key))
    (tmp_path / "key.pem").chmod(0o600)
    (tmp_path / "ca.pem").write_bytes(pki.ca_pem)
    monkeypatch.chdir(tmp_path)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    server = names_of("serve_tls(echo", _8443=port)
    client = names_of("open_tls_stream(", _8443=port)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server["main"])
            for _ in range(200):
                await trio.sleep(0.01)
                with suppress(OSError):
                    await (await trio.open_tcp_stream("127.0.0.1", int(port))).aclose()
                    break
            for how in (leave_without_a_word, leave_with_a_reset):
                await how(int(port), trusting)
            await client["main"]()
            nursery.cancel_scope.cancel()

    trusting = ClientConfig(trust=pki.trust)
    run(main)
    told = capsys.readouterr().out
    assert "b'hello' TLSv1.3\n" in told
    assert told.count("without close_notify") == 2


def test_the_example_of_handshakes_that_fail(
    server_config: ServerConfig, caplog: pytest.LogCaptureFixture
) -> None:
    callback = names_of("on_handshake_error(")["on_handshake_error"]

    async def main() -> None:
        async with serving(echo, server_config, on_handshake_error=callback) as port:
            with pytest.raises(CertificateError):
                await open_tls_stream("localhost", port)
            await until(lambda: len(caplog.records) == 1)
            plain = await trio.open_tcp_stream("127.0.0.1", port)
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            await plain.aclose()
            await until(lambda: len(caplog.records) == 2)

    with caplog.at_level(logging.INFO, "tls"):
        run(main)
    refused, vanished = [record.getMessage() for record in caplog.records]
    assert re.fullmatch(r"\('127.0.0.1', \d+\): .*unknown_ca.*", refused, re.DOTALL)
    assert vanished.startswith("a client that has gone: ")


async def leave_without_a_word(port: int, config: ClientConfig) -> None:
    """End the transport under TLS, as a program that crashes, or many that speak HTTPS."""
    stream = await open_tls_stream("localhost", port, config)
    await stream.send_all(b"hello")
    assert await stream.receive_some() == b"hello"
    await stream.transport_stream.aclose()


async def leave_with_a_reset(port: int, config: ClientConfig) -> None:
    """Vanish, as a machine that is switched off."""
    stream = await open_tls_stream("localhost", port, config)
    await stream.send_all(b"hello")
    assert await stream.receive_some() == b"hello"
    plain = stream.transport_stream
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await plain.aclose()


def test_the_example_of_a_callback(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    credentials: Any = server_config.credentials

    async def find_credentials(name: str) -> Any:
        await trio.sleep(0)
        assert name == "localhost"
        return credentials[0]

    names = names_of("find_credentials")
    names["find_credentials"] = find_credentials

    async def main() -> None:
        left, right = trio.testing.memory_stream_pair()
        client = TLSStream(left, client_config, server_name="localhost")
        await shake_hands((client, TLSStream(right, names["config"])))

    run(main)


@pytest.mark.parametrize("injected", [b"", b"250 injected\r\n"])
def test_the_example_of_starttls(
    client_config: ClientConfig, server_config: ServerConfig, injected: bytes
) -> None:
    """On both sides: the server reads the command by the same function."""
    names = names_of("async def start_tls")

    async def serve(plain: Any) -> None:
        assert await names["read_line"](plain) == b"STARTTLS\r\n"
        await plain.send_all(b"220 go\r\n" + injected)
        async with TLSStream(plain, server_config) as stream:
            with suppress(trio.BrokenResourceError):
                await echo(stream)

    async def main() -> None:
        left, right = await socket_pair()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve, right)
            if injected:
                with pytest.raises(trio.BrokenResourceError) as caught:
                    await names["start_tls"](left, client_config, "localhost")
                assert "not TLS" in str(caught.value.__cause__)
                await left.aclose()
                nursery.cancel_scope.cancel()
                return
            async with await names["start_tls"](left, client_config, "localhost") as stream:
                await stream.send_all(b"hello")
                assert await stream.receive_some() == b"hello"

    run(main)
