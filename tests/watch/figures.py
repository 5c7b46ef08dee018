"""The cost of the relay of `watch`: bytes a second, round trips, and a thousand connections."""

from __future__ import annotations

import hashlib
import random
import re
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.capture.relaying import plain_server, reset
from tests.programs.peers import free_port, wait_for

_MEGABYTES = 512
_COMPARED = 1024
_TRIPS = 2000
_CONNECTIONS = 1000
_PIECE = random.Random(20).randbytes(1 << 20)

PLAIN_RELAY = """
import asyncio, sys
async def pump(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.write_eof()
async def serve(reader, writer):
    there, back = await asyncio.open_connection("127.0.0.1", int(sys.argv[2]))
    await asyncio.gather(pump(reader, back), pump(there, writer))
    back.close()
    writer.close()
async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()
asyncio.run(main())
"""
"""A relay of asyncio's streams, which records nothing."""


def serve(sock: socket.socket) -> None:
    """Do what the first two bytes say: send so many pieces, send back what comes, tell the digest
    of what comes up to its end, or wait for a reset.
    """
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    first = sock.recv(2)
    if first == _DIGEST:
        sock.sendall(_digest_of(sock).encode())
    elif first == _RESET:
        with suppress(ConnectionResetError):
            sock.recv(1)
            return
        _resets.set()
    elif first == _ECHO:
        while data := sock.recv(1 << 16):
            sock.sendall(data)
    else:
        for _ in range(int.from_bytes(first, "big")):
            sock.sendall(_PIECE)


_ECHO, _DIGEST, _RESET = b"\0\0", b"\xff\xfe", b"\xff\xff"
_resets = threading.Event()


def _digest_of(sock: socket.socket) -> str:
    """The size and the digest of all that comes."""
    digest, buffer, size = hashlib.sha256(), bytearray(1 << 18), 0
    while count := sock.recv_into(buffer):
        digest.update(memoryview(buffer)[:count])
        size += count
    return f"{size} {digest.hexdigest()}"


@contextmanager
def child(*command: str, port: int) -> Iterator[int]:
    """A relay in a process of its own, once it listens; yields its process."""
    with subprocess.Popen(
        [sys.executable, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            wait_for(port)
            yield process.pid
        finally:
            process.terminate()


def _connect(port: int) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), 60)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def throughput(port: int) -> float:
    """Megabytes a second of a large transfer."""
    buffer, size = bytearray(1 << 18), 0
    with _connect(port) as sock:
        began = time.perf_counter()
        sock.sendall(_MEGABYTES.to_bytes(2, "big"))
        while count := sock.recv_into(buffer):
            size += count
        return size / (time.perf_counter() - began) / 1e6


def digests(port: int) -> set[str]:
    """The size and digest of a GiB from the server, and of one to it, which a half-close ends."""
    with _connect(port) as sock:
        sock.sendall(_COMPARED.to_bytes(2, "big"))
        down = _digest_of(sock)
    with _connect(port) as sock:
        sock.sendall(_DIGEST)
        for _ in range(_COMPARED):
            sock.sendall(_PIECE)
        sock.shutdown(socket.SHUT_WR)
        up = b""
        while data := sock.recv(1000):
            up += data
    return {down, up.decode()}


def keeps_reset(port: int) -> bool:
    """Whether a reset of the client reaches the server as that."""
    _resets.clear()
    sock = _connect(port)
    sock.sendall(_RESET)
    time.sleep(0.2)  # so that the server waits for more
    reset(sock)
    return _resets.wait(10)


def round_trip(port: int) -> float:
    """The median of the microseconds of one byte there and back."""
    times: list[float] = []
    with _connect(port) as sock:
        sock.sendall(_ECHO)
        for _ in range(_TRIPS):
            began = time.perf_counter()
            sock.sendall(b"x")
            sock.recv(1)
            times.append(time.perf_counter() - began)
    return statistics.median(times) * 1e6


def memory_of_many(port: int, pid: int) -> tuple[int, int]:
    """The resident memory in KiB before, and with a thousand connections that were recorded."""
    before = _resident(pid)
    socks = [_connect(port) for _ in range(_CONNECTIONS)]
    for sock in socks:
        sock.sendall(_ECHO + _PIECE[: 1 << 17])
    for sock in socks:
        left = 1 << 17
        while left:
            left -= len(sock.recv(left))
    after = _resident(pid)
    for sock in socks:
        sock.close()
    return before, after


def _resident(pid: int) -> int:
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) if found is not None else 0


def figures() -> str:
    """The second table, with a sentence about what was compared."""
    lines = ["| through | MB/s | one byte there and back |", "|---|---|---|"]
    expected = f"{_COMPARED << 20} {_digest_of_pieces()}"
    with plain_server(serve) as target:
        plain, watch = free_port(), free_port()
        with (
            child("-c", PLAIN_RELAY, str(plain), str(target), port=plain),
            child(
                *("-m", "handclasp", "watch", f"127.0.0.1:{target}", "--listen", str(watch)),
                port=watch,
            ) as pid,
        ):
            places = {"nothing": target, "a relay of asyncio's streams": plain, "`watch`": watch}
            for name, port in places.items():
                rate = statistics.median(throughput(port) for _ in range(3))
                lines.append(f"| {name} | {rate:,.0f} | {round_trip(port):,.0f} µs |")
            is_same = digests(watch) == {expected}
            is_reset = keeps_reset(target) and keeps_reset(watch)
            before, after = memory_of_many(watch, pid)
    same = "is that of what was sent" if is_same else "is NOT that of what was sent"
    kept = "arrives as a reset" if is_reset else "does NOT arrive as a reset"
    told = (
        f"{_MEGABYTES} MiB by the loopback interface, the median of three. The digest of "
        f"{_COMPARED} MiB each way by `watch` {same}; the end of the client's half leaves the "
        f"other one open, and a reset {kept}. With {_CONNECTIONS:,} connections at once, each "
        f"with 128 KiB sent and sent back, `watch` had {after / 1024:,.0f} MiB in memory, after "
        f"{before / 1024:,.0f} MiB without any."
    )
    return "\n".join([*lines, "", *_wrapped(told)]) + "\n"


def _digest_of_pieces() -> str:
    digest = hashlib.sha256()
    for _ in range(_COMPARED):
        digest.update(_PIECE)
    return digest.hexdigest()


def _wrapped(text: str) -> list[str]:
    import textwrap

    return textwrap.wrap(text, 100)
