"""What trio promises of its own `SSLStream` holds for `handclasp.trio.TLSStream`."""

from __future__ import annotations

import ssl
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
import trio
import trio.testing
from tests.adapters.triostreams import over, run, shake_hands, socket_pair
from tests.pki import Pki
from trio.testing import lockstep_stream_pair, memory_stream_pair

from handclasp import ClientAuth, ClientConfig, Recorder, ServerConfig, StateError, TLSError
from handclasp.errors import (
    ConfigurationError,
    HandshakeTimeoutError,
    PeerAlertError,
    TruncationError,
)
from handclasp.trio import HandshakeNeeded, TLSListener, TLSStream

MEGABYTE = 1024 * 1024


@pytest.fixture(params=["TLSv1.3", "TLSv1.2"])
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def client_of(client_config: ClientConfig, version: str) -> ClientConfig:
    return replace(client_config, versions=[version])


async def fails_with(kind: type[BaseException], call: Awaitable[Any]) -> BaseException:
    """Return what has made a call raise `BrokenResourceError`, which is of this kind."""
    with pytest.raises(trio.BrokenResourceError) as caught:
        await call
    assert isinstance(caught.value.__cause__, kind), repr(caught.value.__cause__)
    return caught.value.__cause__


async def both(*calls: Callable[[], Awaitable[Any]]) -> list[Any]:
    results: list[Any] = [None] * len(calls)

    async def note(at: int) -> None:
        results[at] = await calls[at]()

    async with trio.open_nursery() as nursery:
        for at in range(len(calls)):
            nursery.start_soon(note, at)
    return results


async def read_all(stream: Any) -> bytes:
    return b"".join([data async for data in stream])


# The streams of trio


@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize("https_compatible", [False, True])
def test_a_stream_is_what_trio_calls_one(
    client_of: ClientConfig,
    server_config: ServerConfig,
    version: str,
    begun: bool,
    https_compatible: bool,
) -> None:
    async def make() -> Any:
        settings = {"https_compatible": https_compatible}
        pair = over(memory_stream_pair(), client_of, server_config, **settings)
        return await shake_hands(pair) if begun else pair

    async def make_clogged() -> Any:
        return await shake_hands(over(lockstep_stream_pair(), client_of, server_config))

    check: Any = trio.testing.check_two_way_stream
    if version == "TLSv1.3":
        check = trio.testing.check_half_closeable_stream
    run(lambda: check(make, make_clogged))


def test_a_stream_over_sockets_is_one(client_of: ClientConfig, server_config: ServerConfig) -> None:
    async def make() -> Any:
        return over(await socket_pair(), client_of, server_config)

    run(lambda: trio.testing.check_two_way_stream(make, None))


@pytest.mark.parametrize("ours", ["client", "server"])
def test_it_talks_with_the_stream_of_trio(
    client_of: ClientConfig,
    server_config: ServerConfig,
    ssl_client: ssl.SSLContext,
    ssl_server: ssl.SSLContext,
    ours: str,
) -> None:
    async def main() -> None:
        left, right = memory_stream_pair()
        client: Any
        server: Any
        if ours == "client":
            client = TLSStream(left, client_of, server_name="localhost")
            server = trio.SSLStream(right, ssl_server, server_side=True)
        else:
            client = trio.SSLStream(left, ssl_client, server_hostname="localhost")
            server = TLSStream(right, server_config)

        async def echo() -> None:
            async with server:
                async for data in server:
                    await server.send_all(data)

        async def ask() -> None:
            data = bytes(range(256)) * 4096
            async with trio.open_nursery() as nursery:
                nursery.start_soon(client.send_all, data)
                got = bytearray()
                while len(got) < len(data):
                    got += await client.receive_some()
            assert got == data
            await client.aclose()

        await both(echo, ask)

    run(main)


def test_what_is_known(pki: Pki, client_config: ClientConfig, server_config: ServerConfig) -> None:
    client_config = replace(client_config, alpn=["h2"])
    server_config = replace(server_config, alpn=["h2"])

    async def main() -> None:
        recorder = Recorder()
        left, right = memory_stream_pair()
        client = TLSStream(left, client_config, server_name="localhost", trace=recorder)
        server = TLSStream(right, server_config)
        for ask in ("info", "alpn"):
            for kind in (StateError, trio.NeedHandshakeError, HandshakeNeeded):
                with pytest.raises(kind):
                    getattr(client, ask)
        with pytest.raises(HandshakeNeeded):
            client.export_keying_material("label", b"", 16)
        with pytest.raises(HandshakeNeeded):
            client.channel_binding()
        assert "not complete" in repr(client)
        await shake_hands((client, server))
        assert (client.alpn, server.alpn) == ("h2", "h2")
        assert client.info.version == "TLSv1.3"
        assert client.connection.info is client.info
        assert client.failure is None
        assert client.transport_stream is left
        assert "TLSv1.3" in repr(client)
        keys = [each.export_keying_material("label", b"", 16) for each in (client, server)]
        assert keys[0] == keys[1]
        assert client.channel_binding() == server.channel_binding()
        assert recorder.events
        await both(client.aclose, server.aclose)
        assert "closed" in repr(client)

    run(main)


def test_two_tasks_do_not_do_the_same(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    sending = {
        "send": lambda stream: stream.send_all(b"x"),
        "wait": lambda stream: stream.wait_send_all_might_not_block(),
        "end": lambda stream: stream.send_eof(),
        "new keys": lambda stream: stream.update_keys(),
        "unwrap": lambda stream: stream.unwrap(),
    }
    receiving = {
        "receive": lambda stream: stream.receive_some(1),
        "unwrap": lambda stream: stream.unwrap(),
    }

    async def check(busy: Any, other: Any) -> None:
        pair = over(lockstep_stream_pair(), client_config, server_config)
        client, _ = await shake_hands(pair)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(busy, client)
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(trio.BusyResourceError):
                await other(client)
            nursery.cancel_scope.cancel()

    async def main() -> None:
        for other in sending.values():
            await check(sending["send"], other)
        for other in receiving.values():
            await check(receiving["receive"], other)

    run(main)


def test_every_call_is_a_checkpoint(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    async def main() -> None:
        client, server = over(memory_stream_pair(), client_config, server_config)
        await shake_hands((client, server))
        with trio.testing.assert_checkpoints():
            await client.do_handshake()
        for data in (b"", b"xxx"):
            with trio.testing.assert_checkpoints():
                await client.send_all(data)
        with trio.testing.assert_checkpoints():
            await client.wait_send_all_might_not_block()
        with trio.testing.assert_checkpoints():
            await server.receive_some(1)
        with trio.testing.assert_checkpoints():  # What is there already
            await server.receive_some(1)
        with trio.testing.assert_checkpoints():
            await client.update_keys()
        with trio.testing.assert_checkpoints():
            await client.send_eof()
        assert await server.receive_some() == b"x"
        with trio.testing.assert_checkpoints():
            assert await server.receive_some() == b""
        with trio.testing.assert_checkpoints():
            await client.aclose()
        with trio.testing.assert_checkpoints():
            await client.aclose()

    run(main)


@pytest.mark.parametrize("wrong", ["text", None, 7])
def test_only_bytes_are_sent(
    client_config: ClientConfig, server_config: ServerConfig, wrong: Any
) -> None:
    async def main() -> None:
        client, server = over(memory_stream_pair(), client_config, server_config)
        await shake_hands((client, server))
        with pytest.raises(TypeError):
            await client.send_all(wrong)
        await client.send_all(memoryview(b"abcd")[::2].tobytes())
        assert await server.receive_some() == b"ac"

    run(main)


# The end


def test_tls_is_taken_off(client_of: ClientConfig, server_config: ServerConfig) -> None:
    async def main() -> None:
        left, right = memory_stream_pair()
        client, server = over((left, right), client_of, server_config)
        await shake_hands((client, server))

        async def begin() -> None:
            await client.send_all(b"the last in private")
            transport, trailing = await client.unwrap()
            assert (transport, trailing) == (left, b"")
            await transport.send_all(b"in the clear")

        async def follow() -> None:
            assert await server.receive_some() == b"the last in private"
            assert await server.receive_some() == b""
            transport, trailing = await server.unwrap()
            assert transport is right
            assert trailing + (await transport.receive_some()) == b"in the clear"

        await both(begin, follow)
        for stream in (client, server):
            for call in (stream.receive_some, stream.do_handshake, stream.unwrap):
                with pytest.raises(trio.ClosedResourceError):
                    await call()
            await stream.aclose()  # which is no affair of the transport's any more
        await left.send_all(b"still")
        assert await right.receive_some() == b"still"

    run(main)


def test_tls_is_not_taken_off_over_data(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    async def main() -> None:
        client, server = over(memory_stream_pair(), client_config, server_config)
        await shake_hands((client, server))
        await server.send_all(b"unread")
        with pytest.raises(StateError, match="unread"):
            await client.unwrap()
        assert await client.receive_some() == b"unread"

    run(main)


def test_one_side_ends_and_the_other_goes_on(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    async def main() -> None:
        client, server = over(memory_stream_pair(), client_config, server_config)
        await shake_hands((client, server))
        await client.send_all(b"request")
        await client.send_eof()
        assert await read_all(server) == b"request"
        await server.send_all(b"response")
        await server.aclose()
        assert await read_all(client) == b"response"

    run(main)


def test_tls12_cannot_end_one_direction(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    async def main() -> None:
        config = replace(client_config, versions=["TLSv1.2"])
        client, server = over(memory_stream_pair(), config, server_config)
        await shake_hands((client, server))
        with pytest.raises(StateError, match="aclose"):
            await client.send_eof()
        with pytest.raises(StateError):
            await client.update_keys()
        await client.send_all(b"goes on")
        assert await server.receive_some() == b"goes on"

    run(main)


@pytest.mark.parametrize("https_compatible", [False, True])
def test_an_end_without_close_notify(
    client_of: ClientConfig, server_config: ServerConfig, https_compatible: bool
) -> None:
    async def main() -> None:
        pair = over(
            memory_stream_pair(), client_of, server_config, https_compatible=https_compatible
        )
        client, server = await shake_hands(pair)
        await client.send_all(b"all of it?")
        await client.transport_stream.send_eof()
        assert await server.receive_some() == b"all of it?"
        if https_compatible:
            assert await server.receive_some() == b""
            assert await server.receive_some() == b""
            await server.send_all(b"an answer")
            assert await client.receive_some() == b"an answer"
        else:
            for _ in range(2):
                await fails_with(TruncationError, server.receive_some())
            await fails_with(TruncationError, server.send_all(b"more"))
            assert isinstance(server.failure, TruncationError)

    run(main)


@pytest.mark.parametrize("https_compatible", [False, True])
def test_an_end_in_the_middle_of_a_record(
    client_config: ClientConfig, server_config: ServerConfig, https_compatible: bool
) -> None:
    async def main() -> None:
        pair = over(
            memory_stream_pair(), client_config, server_config, https_compatible=https_compatible
        )
        client, server = await shake_hands(pair)
        client.connection.send_data(b"cut off")
        await client.transport_stream.send_all(client.connection.data_to_send()[:-1])
        await client.transport_stream.send_eof()
        await fails_with(TruncationError, server.receive_some())

    run(main)


def test_an_end_before_the_handshake(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    async def main() -> None:
        for https_compatible in (False, True):
            left, right = memory_stream_pair()
            server = TLSStream(right, server_config, https_compatible=https_compatible)
            await left.aclose()
            if https_compatible:
                assert await server.receive_some() == b""
            else:
                await fails_with(TruncationError, server.receive_some())
            await fails_with(TruncationError, server.send_all(b"x"))
            await server.aclose()

    run(main)


def test_https_says_no_goodbye(client_config: ClientConfig, server_config: ServerConfig) -> None:
    async def main() -> None:
        left, right = memory_stream_pair()
        client = TLSStream(left, client_config, server_name="localhost", https_compatible=True)
        server = TLSStream(right, server_config)
        await shake_hands((client, server))
        await client.aclose()
        await fails_with(TruncationError, server.receive_some())
        # A server's clients resume whichever way it takes their ends.
        assert client.connection.config is not client_config
        again = TLSStream(
            memory_stream_pair()[0], client_config, server_name="b", https_compatible=True
        )
        assert again.connection.config is client.connection.config

    run(main)


def test_the_transport_is_closed_once(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    async def main() -> None:
        client, server = await shake_hands(over(memory_stream_pair(), client_config, server_config))
        closed = []
        transport = client.transport_stream
        transport.send_stream.close_hook = lambda: closed.append("closed")
        await client.aclose()
        await client.aclose()
        assert closed == ["closed"]
        with pytest.raises(trio.ClosedResourceError):
            await transport.send_all(b"x")
        await server.aclose()

    run(main)


def test_a_handshake_that_fails_while_it_closes(server_config: ServerConfig) -> None:
    async def main() -> None:
        left, right = memory_stream_pair()
        client = TLSStream(left, ClientConfig(trust=Pki().trust), server_name="localhost")
        server = TLSStream(right, server_config)

        async def fail() -> None:
            await fails_with(TLSError, client.aclose())

        async def refused() -> None:
            error = await fails_with(PeerAlertError, server.do_handshake())
            assert "unknown_ca" in str(error)

        await both(fail, refused)
        with pytest.raises(trio.ClosedResourceError):
            await left.receive_some()

    run(main)


def test_a_close_does_not_wait_for_a_stuck_sender(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    async def main() -> None:
        client, server = await shake_hands(
            over(lockstep_stream_pair(), client_config, server_config)
        )

        async def send() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await client.send_all(b"nobody reads it")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            await trio.testing.wait_all_tasks_blocked()
            await client.aclose()
        with pytest.raises(trio.BrokenResourceError):
            await read_all(server)

    run(main)


def test_a_send_that_fails_on_the_way(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    async def main() -> None:
        client, _ = await shake_hands(over(memory_stream_pair(), client_config, server_config))

        async def fail() -> None:
            raise KeyError

        client.transport_stream.send_stream.send_all_hook = fail
        with pytest.raises(KeyError):
            await client.send_all(b"x" * 10)
        client.transport_stream.send_stream.send_all_hook = None
        with pytest.raises(trio.BrokenResourceError, match="earlier"):
            await client.send_all(b"x" * 10)
        await client.aclose()

    run(main)


@pytest.mark.parametrize("side", ["send", "receive"])
def test_a_handshake_whose_transport_fails(
    client_config: ClientConfig, server_config: ServerConfig, side: str
) -> None:
    async def main() -> None:
        client, _ = over(memory_stream_pair(), client_config, server_config)

        async def fail() -> None:
            raise KeyError

        stream = client.transport_stream
        setattr(
            getattr(stream, f"{side}_stream"),
            f"{side}_{'all' if side == 'send' else 'some'}_hook",
            fail,
        )
        with pytest.raises(KeyError):
            await client.do_handshake()
        if side == "send":
            for _ in range(2):
                with pytest.raises(trio.BrokenResourceError):
                    await client.do_handshake()
        await client.aclose()
        with pytest.raises(trio.ClosedResourceError):
            await stream.send_all(b"x")

    run(main)


def test_tls_over_tls(client_config: ClientConfig, server_config: ServerConfig) -> None:
    async def main() -> None:
        pair = over(
            over(memory_stream_pair(), client_config, server_config), client_config, server_config
        )

        async def greet() -> None:
            await pair[0].send_all(b"hello")
            await pair[0].aclose()

        async def hear() -> None:
            assert await read_all(pair[1]) == b"hello"
            await pair[1].aclose()

        await both(greet, hear)

    run(main)


def test_a_listener_whose_trace_cannot_be_made_closes_the_connection(
    server_config: ServerConfig,
) -> None:
    def fail() -> Any:
        raise ZeroDivisionError

    async def main() -> None:
        (plain,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        async with TLSListener(plain, server_config, make_trace=fail) as listener:
            address = plain.socket.getsockname()
            async with await trio.open_tcp_stream(*address) as client:
                with pytest.raises(ZeroDivisionError):
                    await listener.accept()
                assert await client.receive_some() == b""

    run(main)


def test_a_listener(client_config: ClientConfig, server_config: ServerConfig) -> None:
    async def main() -> None:
        plain = (await trio.open_tcp_listeners(0, host="127.0.0.1"))[0]
        traces: list[Recorder] = []

        def make_trace() -> Recorder:
            traces.append(Recorder())
            return traces[-1]

        listener = TLSListener(plain, server_config, make_trace=make_trace)
        assert listener.transport_listener is plain
        transport = await trio.open_tcp_stream(*plain.socket.getsockname())
        client = TLSStream(transport, client_config, server_name="localhost")
        server = await listener.accept()
        await shake_hands((client, server))
        await both(client.aclose, server.aclose)
        await listener.aclose()
        assert traces[0].events
        with pytest.raises(trio.ClosedResourceError):
            await plain.accept()

    run(main)


# Cancellation


async def cancelled_after(ticks: int, call: Callable[[], Awaitable[Any]]) -> Any:
    """Make a call, and cancel it after so many turns of trio; None if it was."""
    result = None
    async with trio.open_nursery() as nursery:

        async def cancel() -> None:
            for _ in range(ticks):
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()

        nursery.start_soon(cancel)
        result = await call()
        nursery.cancel_scope.cancel()
    return result


@pytest.mark.parametrize("ticks", range(14))
@pytest.mark.parametrize("transports", [memory_stream_pair, lockstep_stream_pair])
def test_a_cancelled_handshake_goes_on_or_is_over(
    client_of: ClientConfig, server_config: ServerConfig, transports: Any, ticks: int
) -> None:
    async def main() -> None:
        client, server = over(transports(), client_of, server_config)

        async def try_it() -> None:
            await cancelled_after(ticks, client.do_handshake)
            try:
                await client.send_all(b"x")
            except trio.BrokenResourceError:
                assert client._duplex.write_broken
            else:
                assert client.info.peer_verified
            await client.aclose()

        async def serve() -> None:
            try:
                assert await read_all(server) in (b"x", b"")
            except trio.BrokenResourceError:
                assert client._duplex.write_broken
            await server.aclose()

        await both(try_it, serve)

    run(main)


def test_a_cancelled_handshake_is_not_waited_for_when_it_closes(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    """The peer is silent."""

    async def main() -> None:
        for side in (0, 1):
            stream = over(memory_stream_pair(), client_config, server_config)[side]
            with trio.move_on_after(0.01) as scope:
                await stream.do_handshake()
            assert scope.cancelled_caught
            began = trio.current_time()
            await stream.aclose()
            assert trio.current_time() - began < 1

    run(main)


@pytest.mark.parametrize("ticks", range(6))
def test_a_cancelled_receive_loses_nothing(
    client_of: ClientConfig, server_config: ServerConfig, ticks: int
) -> None:
    async def main() -> None:
        client, server = over(memory_stream_pair(), client_of, server_config)
        await shake_hands((client, server))
        got = bytearray()

        async def send() -> None:
            for at in range(100):
                await client.send_all(b"%02d" % at)
                await trio.lowlevel.checkpoint()
            await client.aclose()

        async def receive() -> None:
            for turn in count():
                data = await cancelled_after(ticks + turn % 3, lambda: server.receive_some(3))
                if data == b"":
                    return
                got.extend(data or b"")
                await trio.lowlevel.checkpoint()

        await both(send, receive)
        assert got == b"".join(b"%02d" % at for at in range(100))

    run(main)


@pytest.mark.parametrize("ticks", range(6))
def test_a_cancelled_send_sends_all_or_nothing_more(
    client_config: ClientConfig, server_config: ServerConfig, ticks: int
) -> None:
    async def main() -> None:
        client, server = await shake_hands(
            over(lockstep_stream_pair(), client_config, server_config)
        )
        await cancelled_after(ticks, lambda: client.send_all(b"x" * MEGABYTE))
        if not client._duplex.write_broken:
            await both(lambda: client.send_all(b"y"), lambda: one(server, b"y"))
        else:
            for _ in range(2):
                with pytest.raises(trio.BrokenResourceError) as caught:
                    await client.send_all(b"y")
                assert isinstance(caught.value.__cause__, StateError)
                assert "was cancelled" in str(caught.value.__cause__)
            assert client.failure is None
            # The other direction goes on.
            await both(lambda: server.send_all(b"z"), lambda: one(client, b"z"))
        await trio.aclose_forcefully(client)
        await trio.aclose_forcefully(server)

    async def one(stream: Any, data: bytes) -> None:
        assert await stream.receive_some() == data

    run(main)


def test_another_task_takes_a_cancelled_handshake_over(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    async def main() -> None:
        client, server = over(memory_stream_pair(), client_config, server_config)
        async with trio.open_nursery() as nursery:
            scope = trio.CancelScope()

            async def first() -> None:
                with scope:
                    await client.receive_some()

            nursery.start_soon(first)
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(client.send_all, b"hello")
            await trio.testing.wait_all_tasks_blocked()
            scope.cancel()
            assert await server.receive_some() == b"hello"

    run(main)


# Callbacks


def test_callbacks_are_awaited(pki: Pki, server_config: ServerConfig) -> None:
    asked: list[str] = []
    credentials: Any = server_config.credentials

    async def choose(question: Any) -> Any:
        await trio.sleep(0.001)
        asked.append(type(question).__name__)
        return credentials[0]

    async def main() -> None:
        config = replace(server_config, credentials=(), choose_credentials=choose)
        client, server = over(
            memory_stream_pair(), ClientConfig(trust=pki.trust, confirm_peer=confirm), config
        )
        await shake_hands((client, server))
        await client.send_all(b"x")
        assert await server.receive_some() == b"x"

    async def confirm(question: Any) -> bool:
        await trio.sleep(0.001)
        asked.append(type(question).__name__)
        return True

    run(main)
    assert asked == ["ChooseCredentials", "ConfirmPeer"]


@pytest.mark.parametrize("answer", ["raises", "nonsense", "DEFER"])
def test_a_callback_that_does_not_answer(
    client_config: ClientConfig, server_config: ServerConfig, answer: str
) -> None:
    async def choose(question: Any) -> Any:
        await trio.sleep(0)
        if answer == "raises":
            raise LookupError("no key")
        return 7

    def defer(question: Any) -> Any:
        from handclasp import DEFER

        return DEFER

    async def main() -> None:
        callback: Any = defer if answer == "DEFER" else choose
        config = replace(server_config, credentials=(), choose_credentials=callback)
        client, server = over(memory_stream_pair(), client_config, config)

        async def refused() -> None:
            await fails_with(PeerAlertError, client.do_handshake())

        async def refuse() -> None:
            with pytest.raises((trio.BrokenResourceError, ConfigurationError)) as caught:
                await server.do_handshake()
            assert (answer == "DEFER") is ("DEFER" in str(caught.value))
            with pytest.raises(trio.BrokenResourceError):
                await server.receive_some()

        await both(refused, refuse)

    run(main)


def test_a_callback_that_is_cancelled_fails_the_handshake(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    async def choose(question: Any) -> Any:
        await trio.sleep_forever()

    async def main() -> None:
        config = replace(server_config, credentials=(), choose_credentials=choose)
        client, server = over(memory_stream_pair(), client_config, config)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.do_handshake)
            with trio.move_on_after(0.05):
                await client.do_handshake()
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        for _ in range(2):
            await fails_with(TLSError, server.do_handshake())
        await server.aclose()
        await fails_with(TruncationError, client.do_handshake())

    run(main)


@pytest.mark.parametrize("where", ["peer", "callback"])
def test_a_handshake_has_its_time(
    client_config: ClientConfig, server_config: ServerConfig, where: str
) -> None:
    async def choose(question: Any) -> Any:
        await trio.sleep_forever()

    async def main() -> None:
        config = replace(
            server_config, credentials=(), choose_credentials=choose, handshake_timeout=0.05
        )
        client, server = over(memory_stream_pair(), client_config, config)
        async with trio.open_nursery() as nursery:
            if where == "callback":
                nursery.start_soon(fails_with, PeerAlertError, client.do_handshake())
            await fails_with(HandshakeTimeoutError, server.do_handshake())
            await server.aclose()

    run(main)


# Alerts, keys, early data


def test_a_refused_client_learns_why(
    pki: Pki, client_config: ClientConfig, server_config: ServerConfig
) -> None:
    async def main() -> None:
        config = replace(server_config, client_auth=ClientAuth.REQUIRED, trust=pki.trust)
        for transports in (memory_stream_pair(), await socket_pair()):
            client, server = over(transports, client_config, config)

            async def refuse(server: Any = server) -> None:
                await fails_with(TLSError, server.receive_some())
                await server.aclose()

            async def refused(client: Any = client) -> None:
                error = await fails_with(PeerAlertError, read_all(client))
                assert "certificate_required" in str(error)
                assert client.failure is not None
                assert client.failure.explanation
                await client.aclose()

            await both(refuse, refused)

    run(main)


def test_new_keys_on_both_sides_while_both_send(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    async def main() -> None:
        pair = await shake_hands(over(lockstep_stream_pair(), client_config, server_config))
        data = bytes(range(256)) * 512

        async def send(stream: Any) -> None:
            for _ in range(10):
                await stream.update_keys()
                await stream.send_all(data)
            await stream.send_eof()

        async def receive(stream: Any) -> None:
            assert await read_all(stream) == data * 10

        calls: list[Any] = []
        for stream in pair:
            calls += [lambda it=stream: send(it), lambda it=stream: receive(it)]
        await both(*calls)

    run(main)


def test_a_reader_answers_for_new_keys_without_waiting(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    async def main() -> None:
        # Nobody reads the answers, which would fill any transport.
        client, server = await shake_hands(
            over(lockstep_stream_pair(), client_config, server_config)
        )

        async def ask() -> None:
            for at in range(50):
                await client.update_keys()
                await client.send_all(b"%02d" % at)
            await client.send_eof()

        async def read() -> None:
            assert await read_all(server) == b"".join(b"%02d" % at for at in range(50))

        await both(ask, read)
        # Over a socket, the answer leaves at once.
        client, server = await shake_hands(over(await socket_pair(), client_config, server_config))
        await client.update_keys()
        await client.send_all(b"x")
        assert await server.receive_some() == b"x"
        assert not server.connection.wants_to_send
        await both(client.aclose, server.aclose)

    run(main)


def test_early_data(client_config: ClientConfig, server_config: ServerConfig) -> None:
    from handclasp import SessionStore

    client_config = replace(client_config, sessions=SessionStore(), allow_early_data=True)
    server_config = replace(server_config, max_early_data=1000)

    async def visit(request: bytes) -> Any:
        left, right = memory_stream_pair()
        client = TLSStream(
            left, client_config, server_name="localhost", port=443, early_data=request
        )
        server = TLSStream(right, server_config)
        await shake_hands((client, server))
        await server.send_all(b"answer")  # The tickets leave with it.
        assert await client.receive_some() == b"answer"
        await both(client.aclose, server.aclose)
        return server.early_data, client.early_data_rejected

    async def main() -> None:
        assert await visit(b"first") == (b"", b"first")
        assert await visit(b"second") == (b"second", b"")
        assert await visit(b"x" * 1001) == (b"x" * 1000, b"x")

    run(main)


def test_what_cannot_be_honoured(client_config: ClientConfig, server_config: ServerConfig) -> None:
    left, _ = memory_stream_pair()
    for wrong in ({"server_name": "a"}, {"port": 1}, {"early_data": b"x"}):
        with pytest.raises(ConfigurationError, match="clients"):
            TLSStream(left, server_config, **wrong)
    with pytest.raises(ConfigurationError, match="ClientConfig"):
        TLSStream(left, ssl.create_default_context())  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError):
        TLSListener(left, client_config)  # type: ignore[arg-type]


# What it imports


def test_asyncio_is_not_imported() -> None:
    program = "import sys, handclasp.trio; print('asyncio' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr


def test_a_missing_trio_is_named_with_its_remedy() -> None:
    program = "import sys; sys.modules['trio'] = None; import handclasp; handclasp.trio"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "ImportError: handclasp.trio needs trio: pip install 'handclasp[trio]'" in done.stderr


def test_a_transport_that_cannot_send_is_the_reason_of_every_later_call(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    async def main() -> None:
        left, right = memory_stream_pair()
        client, server = await shake_hands(over((left, right), client_config, server_config))
        reset = ConnectionResetError("by the peer")

        async def fail() -> None:
            raise trio.BrokenResourceError("the transport has failed") from reset

        left.send_stream.send_all_hook = fail
        for _ in range(3):
            with pytest.raises(trio.BrokenResourceError) as caught:
                await client.send_all(b"y")
            assert caught.value.__cause__ is reset
        await trio.aclose_forcefully(client)
        await trio.aclose_forcefully(server)

    run(main)
