"""`--trace DIRECTORY`: what strangers can make it write is bounded."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
from tests.compat.pairs import Files, server_context
from tests.pki import Pki

from handclasp import ClientConfig, ClientConnection
from handclasp.compat import tracing
from handclasp.compat.tracing import traces_in
from handclasp.trace.events import Failed
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
