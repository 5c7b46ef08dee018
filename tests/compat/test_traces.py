"""`--trace DIRECTORY`: every handshake leaves a trace, within bounds that hold for strangers."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from pathlib import Path
from typing import Any

import pytest
from tests.compat.pairs import Files, client_context, server_context
from tests.pki import Pki

from handclasp import ClientConfig, ClientConnection
from handclasp.compat import tracing
from handclasp.compat.tracing import traces_in
from handclasp.trace.events import Failed, HandshakeResult
from handclasp.trace.recorder import EventRecorder
from handclasp.wire.records import HEADER_SIZE


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(Pki(), tmp_path)


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
    directory = files.directory / "traces"
    context: Any = server_context("handclasp", files)
    context.make_trace = traces_in(directory)
    refuse(context, in_records_of_one_byte(b"\1\0\xff\0" + bytes(5000)))
    [path] = directory.iterdir()
    assert path.stat().st_size < 500_000
    recorder = EventRecorder.load(path)
    assert len(recorder.events) < 1100
    assert recorder.dropped > 3000
    assert isinstance(recorder.events[-1], Failed)


def test_the_oldest_files_go(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "MOST_FILES", 4)
    directory = files.directory / "traces"
    context: Any = server_context("handclasp", files)
    context.make_trace = traces_in(directory)
    hello = bytes(ClientConnection(ClientConfig(), server_name="a.test").data_to_send())
    for _ in range(6):
        refuse(context, hello)
    names = sorted(path.name for path in directory.iterdir())
    assert [name.split("-")[1] for name in names] == ["00003", "00004", "00005", "00006"]
    size = sum(path.stat().st_size for path in directory.iterdir())
    monkeypatch.setattr(tracing, "MOST_BYTES", size // 2)
    refuse(context, hello[:HEADER_SIZE])
    assert sum(path.stat().st_size for path in directory.iterdir()) <= size // 2


def explained(error: BaseException) -> str:
    return "\n".join(error.__notes__)


@pytest.mark.parametrize("server_side", [True, False])
def test_a_silent_peer_leaves_a_trace_and_an_explanation(
    files: Files, *, server_side: bool
) -> None:
    """The class and the words of the exception are those of `ssl`."""
    directory = files.directory / "traces"
    make = server_context if server_side else client_context
    context: Any = make("handclasp", files)
    context.make_trace = traces_in(directory)
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
    directory = files.directory / "traces"
    context: Any = client_context("handclasp", files)
    context.make_trace = traces_in(directory)
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
    directory = files.directory / "traces"
    context: Any = client_context("handclasp", files)
    context.make_trace = traces_in(directory)
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
