"""`--trace DIRECTORY`: every handshake leaves a trace, within bounds that hold for strangers."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import ssl
import struct
import subprocess
import sys
import threading
from asyncio.sslproto import SSLProtocol
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.compat.pairs import Files, client_context, server_context
from tests.pki import Pki

from handclasp import ClientConfig, ClientConnection, Recorder, compat
from handclasp.compat import tracing
from handclasp.compat.tracing import traces_in
from handclasp.story.diagnosis import diagnose
from handclasp.trace.events import AlertSeen, Failed, HandshakeResult
from handclasp.trace.recorder import EventRecorder
from handclasp.wire.records import HEADER_SIZE


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(Pki(), tmp_path)


def traced(make: Callable[[str, Files], Any], files: Files) -> tuple[Path, Any]:
    """Return a directory, and a context whose connections leave their traces there."""
    directory, context = files.directory / "traces", make("handclasp", files)
    context.make_trace = traces_in(directory)
    return directory, context


def refuse(context: Any, data: bytes) -> None:
    """Let a stranger send this, and end."""
    incoming = ssl.MemoryBIO()
    server = context.wrap_bio(incoming, ssl.MemoryBIO(), server_side=True)
    incoming.write(data)
    incoming.write_eof()
    with pytest.raises(ssl.SSLError):
        server.do_handshake()


def in_records_of_one_byte(message: bytes) -> bytes:
    return b"".join(b"\x16\x03\x03\0\1" + bytes([each]) for each in message)


def test_a_flood_of_records_makes_no_long_trace(files: Files) -> None:
    """It tells how the connection ended all the same."""
    directory, context = traced(server_context, files)
    refuse(context, in_records_of_one_byte(b"\1\0\xff\0" + bytes(5000)))
    [path] = directory.iterdir()
    assert path.stat().st_size < 500_000
    recorder = EventRecorder.load(path)
    assert len(recorder.events) < 1100
    assert recorder.dropped > 3000
    assert isinstance(recorder.events[-1], Failed)


def test_the_oldest_files_go(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "MOST_FILES", 4)
    directory, context = traced(server_context, files)
    hello = bytes(ClientConnection(ClientConfig(), server_name="a.test").data_to_send())
    for _ in range(6):
        refuse(context, hello)
    names = sorted(path.name for path in directory.iterdir())
    assert [name.split("-")[3] for name in names] == ["00003", "00004", "00005", "00006"]
    size = sum(path.stat().st_size for path in directory.iterdir())
    monkeypatch.setattr(tracing, "MOST_BYTES", size // 2)
    refuse(context, hello[:HEADER_SIZE])
    assert sum(path.stat().st_size for path in directory.iterdir()) <= size // 2


def run_with_traces(files: Files, directory: Path, connections: int) -> set[str]:
    """Make connections fail as in a run of their own, and return the names that are new."""
    before = {path.name for path in directory.iterdir()} if directory.exists() else set()
    context: Any = server_context("handclasp", files)
    context.make_trace = traces_in(directory)
    for _ in range(connections):
        refuse(context, b"GET / HTTP/1.0\r\n\r\n")
    return {path.name for path in directory.iterdir()} - before


def test_a_later_run_overwrites_nothing(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container, the process number is the same in every run."""
    monkeypatch.setattr(os, "getpid", lambda: 1)
    directory = files.directory / "traces"
    first = run_with_traces(files, directory, 2)
    kept = {name: (directory / name).read_bytes() for name in first}
    assert len(run_with_traces(files, directory, 2)) == len(first) == 2
    assert {name: (directory / name).read_bytes() for name in first} == kept


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no forks.")
def test_a_fork_overwrites_nothing(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has ended may leave its number to a grandchild."""
    monkeypatch.setattr(os, "getpid", lambda: 1)
    directory = files.directory / "traces"
    make_trace = traces_in(directory)
    path = make_trace().path
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.write(writing, bytes(make_trace().path))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as told:
        theirs = Path(os.fsdecode(told.read()))
    assert os.waitpid(child, 0)[1] == 0
    assert theirs.parent == path.parent
    ours, theirs_run = path.name.split("-")[:3], theirs.name.split("-")[:3]
    assert ours[1] == theirs_run[1]
    assert ours[2] != theirs_run[2]


def test_the_files_of_earlier_runs_count(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that fails and is started again, for ever, fills no disk; other files stay."""
    monkeypatch.setattr(tracing, "MOST_FILES", 3)
    directory = files.directory / "traces"
    [oldest] = run_with_traces(files, directory, 1)
    os.utime(directory / oldest, (1, 1))
    other = directory / "notes.json"
    other.write_text("{}")
    for _ in range(4):
        assert len(run_with_traces(files, directory, 1)) == 1
    names = {path.name for path in directory.iterdir()}
    assert len(names) == 4
    assert other.name in names
    assert oldest not in names
    size = sum(path.stat().st_size for path in directory.iterdir())
    monkeypatch.setattr(tracing, "MOST_BYTES", size // 2)
    run_with_traces(files, directory, 1)
    assert sum(path.stat().st_size for path in directory.iterdir()) <= size // 2


def explained(error: BaseException) -> str:
    return "\n".join(error.__notes__)


@pytest.mark.parametrize("server_side", [True, False])
def test_a_silent_peer_leaves_a_trace_and_an_explanation(
    files: Files, *, server_side: bool
) -> None:
    """The class and the words of the exception are those of `ssl`."""
    directory, context = traced(server_context if server_side else client_context, files)
    name = None if server_side else "localhost"
    ours, other = socket.socketpair()
    with ours, other:
        ours.settimeout(0.05)
        with pytest.raises(TimeoutError) as caught:
            context.wrap_socket(ours, server_side=server_side, server_hostname=name)
    assert type(caught.value) is TimeoutError
    assert str(caught.value) == "The handshake operation timed out"
    who = "client" if server_side else "server"
    assert "handclasp: The handshake did not complete in time." in explained(caught.value)
    assert f"the {who} had said nothing at all" in explained(caught.value)
    assert f"At fault: the {who}, " in explained(caught.value)
    [path] = directory.iterdir()
    last = EventRecorder.load(path).events[-1]
    assert isinstance(last, Failed)
    assert last.fault == "HANDSHAKE_TIMEOUT"


def test_a_late_handshake_may_go_on(files: Files) -> None:
    """As with `ssl`; its trace then tells of no failure."""
    directory, context = traced(client_context, files)
    ends = socket.socketpair()
    with ends[0], ends[1]:
        ends[0].settimeout(0.05)
        client = context.wrap_socket(
            ends[0], server_hostname="localhost", do_handshake_on_connect=False
        )
        for _ in range(2):
            with pytest.raises(TimeoutError):
                client.do_handshake()
        client.settimeout(20)
        server = server_context("ssl", files)
        serving = threading.Thread(
            target=lambda: server.wrap_socket(ends[1], server_side=True).close()
        )
        serving.start()
        client.do_handshake()
        serving.join()
        client.close()
    [path] = directory.iterdir()
    kinds = [type(event) for event in EventRecorder.load(path).events]
    assert HandshakeResult in kinds
    assert Failed not in kinds


def test_a_reset_leaves_a_trace_and_an_explanation(files: Files) -> None:
    directory, context = traced(client_context, files)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ours = socket.create_connection(listener.getsockname(), 20)
        peer, _ = listener.accept()
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client = context.wrap_socket(
            ours, server_hostname="localhost", do_handshake_on_connect=False
        )

        def reset() -> None:
            peer.recv(5)
            peer.close()

        closing = threading.Thread(target=reset)
        closing.start()
        with client, pytest.raises(ConnectionResetError) as caught:
            client.do_handshake()
        closing.join()
    assert type(caught.value) is ConnectionResetError
    assert "was reset (TCP RST) before the handshake was complete" in explained(caught.value)
    [path] = directory.iterdir()
    last = EventRecorder.load(path).events[-1]
    assert isinstance(last, Failed)
    assert last.fault == "RESET_DURING_HANDSHAKE"


def the_last_event(directory: Path) -> Any:
    [path] = directory.iterdir()
    return EventRecorder.load(path).events[-1]


def assert_given_up(last: Any, *, server_said_nothing: bool) -> None:
    assert isinstance(last, Failed)
    assert (last.fault, last.alert, last.blame) == ("HANDSHAKE_ABANDONED", "", "unclear")
    assert ("the server had said nothing at all" in last.message) == server_said_nothing


@pytest.mark.parametrize("how", ["timeout", "cancel"])
def test_asyncio_gives_up_a_handshake(files: Files, how: str) -> None:
    """It drops its object without a further call."""
    directory, context = traced(client_context, files)

    async def connect(address: tuple[str, int]) -> None:
        connecting = asyncio.open_connection(
            *address,
            ssl=context,
            server_hostname="localhost",
            ssl_handshake_timeout=0.1 if how == "timeout" else None,
        )
        with pytest.raises((ConnectionAbortedError, TimeoutError)):
            await asyncio.wait_for(connecting, 0.1 if how == "cancel" else 20)

    with socket.create_server(("127.0.0.1", 0)) as silent:
        asyncio.run(connect(silent.getsockname()))
    gc.collect()
    assert_given_up(the_last_event(directory), server_said_nothing=True)


@pytest.mark.parametrize(
    ("ends", "fault", "words"),
    [
        ("timeout", "HANDSHAKE_ABANDONED", "the server had said nothing at all"),
        ("close", "CLOSED_DURING_HANDSHAKE", "closed the connection before the handshake was"),
        ("reset", "RESET_DURING_HANDSHAKE", "was reset (TCP RST) before the handshake was"),
    ],
)
def test_an_exception_of_asyncio_itself_is_explained(
    files: Files, ends: str, fault: str, words: str
) -> None:
    """It makes one for its own timeout and for the peer's end, and does not ask its object."""
    directory, context = traced(client_context, files)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(5)
        if ends == "timeout":
            await reader.read()
        elif ends == "reset":
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            await reader.read(60_000)
        writer.close()

    async def connect() -> OSError:
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            with pytest.raises(ConnectionError) as caught:
                await asyncio.open_connection(
                    "127.0.0.1",
                    port,
                    ssl=context,
                    server_hostname="localhost",
                    ssl_handshake_timeout=0.1 if ends == "timeout" else None,
                )
            return caught.value

    with compat.injected():
        error = asyncio.run(connect())
    assert words in explained(error)
    assert "At fault: " in explained(error)
    assert the_last_event(directory).fault == fault


def test_asyncio_is_as_it_was_without_injection(files: Files) -> None:
    wake = vars(SSLProtocol)["_wakeup_waiter"]
    with compat.injected():
        assert vars(SSLProtocol)["_wakeup_waiter"] is not wake
    assert vars(SSLProtocol)["_wakeup_waiter"] is wake
    context = client_context("handclasp", files)
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(
            ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="localhost"
        ).do_handshake()
    assert vars(SSLProtocol)["_wakeup_waiter"] is wake


def test_a_broken_pipe_in_a_handshake_is_no_choice_of_the_program(files: Files) -> None:
    context: Any = client_context("handclasp", files)
    context.make_trace = Recorder
    ours, other = socket.socketpair()
    other.close()
    with ours:
        client = context.wrap_socket(
            ours, server_hostname="localhost", do_handshake_on_connect=False
        )
        with client, pytest.raises(BrokenPipeError) as caught:
            client.do_handshake()
    assert "was reset (TCP RST) before the handshake was" in explained(caught.value)
    assert client.trace.events[-1].fault == "RESET_DURING_HANDSHAKE"


@pytest.mark.parametrize("callback", [None, lambda *_: None])
def test_the_program_closes_in_the_middle(files: Files, callback: Any) -> None:
    """The trace tells so at once, and the story is there afterwards."""
    context: Any = client_context("handclasp", files)
    context.make_trace = Recorder
    context._msg_callback = callback
    ours, other = socket.socketpair()
    with other:
        ours.setblocking(False)
        client = context.wrap_socket(
            ours, server_hostname="localhost", do_handshake_on_connect=False
        )
        with pytest.raises(ssl.SSLWantReadError):
            client.do_handshake()
        client.close()
    assert_given_up(client.trace.events[-1], server_said_nothing=True)
    told = " ".join(client.explain().split())
    assert "gave up before the handshake was complete" in told


@pytest.mark.parametrize("callback", [None, lambda *_: None])
def test_an_object_that_is_dropped_in_the_middle(files: Files, callback: Any) -> None:
    context: Any = client_context("handclasp", files)
    recorder = Recorder()
    context.make_trace = lambda: recorder
    context._msg_callback = callback
    begin(context)
    gc.collect()
    assert_given_up(recorder.events[-1], server_said_nothing=True)


def begin(context: Any) -> Any:
    client = context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return client


def test_a_handshake_that_the_program_s_timeout_ended_is_not_said_to_be_given_up(
    files: Files,
) -> None:
    context: Any = client_context("handclasp", files)
    recorder = Recorder()
    context.make_trace = lambda: recorder
    ours, other = socket.socketpair()
    with ours, other:
        ours.settimeout(0.05)
        with pytest.raises(TimeoutError):
            context.wrap_socket(ours, server_hostname="localhost")
    [last] = [event for event in recorder.events if isinstance(event, Failed)]
    assert last.fault == "HANDSHAKE_TIMEOUT"


@pytest.mark.parametrize("end", ["pass", "threading.Thread(target=run, daemon=True).start()"])
def test_the_interpreter_ends_in_the_middle(files: Files, end: str) -> None:
    source = """
import ssl, threading
def run():
    global client
    context = ssl.create_default_context()
    client = context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="localhost")
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        begun.set()
        waiting.wait()
begun, waiting = threading.Event(), threading.Event()
if "END" == "pass":
    waiting.set()
    run()
else:
    END
    begun.wait()
"""
    directory = files.directory / "traces"
    program = files.write("program.py", source.replace("END", end).encode())
    command = [sys.executable, "-m", "handclasp.compat", "--trace", str(directory), str(program)]
    environment = {**os.environ, "PYTHONPATH": str(Path(compat.__file__).parents[2])}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert_given_up(the_last_event(directory), server_said_nothing=True)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no forks.")
def test_a_fork_does_not_give_up_for_its_parent(files: Files) -> None:
    directory, context = traced(client_context, files)
    client = begin(context)
    child = os.fork()
    if not child:
        del client
        gc.collect()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert not list(directory.iterdir())
    del client
    gc.collect()
    assert_given_up(the_last_event(directory), server_said_nothing=True)


def test_the_collector_may_come_while_a_file_is_noted(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock is held by the very thread that it interrupts."""
    directory, context = traced(client_context, files)
    left = [begin(context)]
    count: Any = tracing._Files._count

    def count_and_collect(self: Any, path: Path) -> None:
        left.clear()
        gc.collect()
        count(self, path)

    monkeypatch.setattr(tracing._Files, "_count", count_and_collect)
    monkeypatch.setattr(tracing, "MOST_FILES", 1)
    begin(context)
    gc.collect()
    assert len(list(directory.iterdir())) == 1


# What became of the alert


def sending_of(directory: Path) -> list[str]:
    """Return what the one trace in a directory says of the alert that was made."""
    [path] = directory.iterdir()
    recorder = Recorder.load(path)
    return [event.sending for event in recorder.events if isinstance(event, AlertSeen)]


def test_an_alert_in_a_memory_bio_is_left_to_the_program(files: Files) -> None:
    """asyncio does not send it, and what the trace says may not depend on that."""
    directory, context = traced(server_context, files)
    refuse(context, b"\x16\x03\x01\0\5\1\0\0\1\0")
    assert sending_of(directory) == ["program"]
    [path] = directory.iterdir()
    story = Recorder.load(path).to_text()
    assert "(7 bytes in 1 record, left to the program)" in story
    assert "asyncio" in story


def test_an_alert_over_a_socket_was_sent(files: Files) -> None:
    directory, context = traced(server_context, files)
    here, there = socket.socketpair()
    with here, there:
        there.sendall(b"\x16\x03\x01\0\5\1\0\0\1\0")
        with pytest.raises(ssl.SSLError):
            context.wrap_socket(here, server_side=True)
        assert there.recv(100)[:1] == b"\x15"
    assert sending_of(directory) == [""]


def test_no_alert_is_sent_to_a_peer_that_speaks_http(files: Files) -> None:
    directory, context = traced(server_context, files)
    here, there = socket.socketpair()
    with here, there:
        there.sendall(b"GET / HTTP/1.0\r\n\r\n")
        with pytest.raises(ssl.SSLError):
            context.wrap_socket(here, server_side=True)
    assert sending_of(directory) == ["unsent"]
    [path] = directory.iterdir()
    recorder = Recorder.load(path)
    assert "The alert was not sent." in recorder.to_text()
    diagnosis = diagnose(recorder.events)
    assert diagnosis is not None
    assert not diagnosis.alert


def test_asyncio_sends_no_alert(files: Files) -> None:
    """What docs/compat.md says of it; where this fails, that may be said more precisely."""
    got: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"\x16\x03\x03\0\4\2\0\0\0")
        got.append((await reader.read()).rpartition(b"\x15\x03\x03")[1])
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        async with server:
            host, port = server.sockets[0].getsockname()
            with pytest.raises(ssl.SSLError):
                await asyncio.open_connection(
                    host, port, ssl=client_context("handclasp", files), server_hostname="localhost"
                )
            while not got:
                await asyncio.sleep(0.01)

    asyncio.run(main())
    assert got == [b""]
