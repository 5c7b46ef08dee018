"""The cost of the relay of `watch`: bytes a second, round trips, and a thousand connections."""

from __future__ import annotations

import hashlib
import random
import re
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.capture.relaying import plain_server
from tests.programs.peers import free_port, wait_for

_MEGABYTES = 512
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
    """Send as many pieces as the first bytes say, or send back what comes after a zero."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    count = int.from_bytes(sock.recv(2), "big")
    for _ in range(count):
        sock.sendall(_PIECE)
    while count == 0 and (data := sock.recv(1 << 16)):
        sock.sendall(data)


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


def throughput(port: int) -> tuple[float, str]:
    """Megabytes a second of a large transfer, and the digest of it."""
    digest, buffer = hashlib.sha256(), bytearray(1 << 18)
    parts: list[bytes] = []
    with _connect(port) as sock:
        began = time.perf_counter()
        sock.sendall(_MEGABYTES.to_bytes(2, "big"))
        size = 0
        while count := sock.recv_into(buffer):
            size += count
            if size <= 1 << 26:
                parts.append(bytes(buffer[:count]))
        took = time.perf_counter() - began
    digest.update(b"".join(parts)[: 1 << 25])
    return size / took / 1e6, f"{size} {digest.hexdigest()}"


def round_trip(port: int) -> float:
    """The median of the microseconds of one byte there and back."""
    times: list[float] = []
    with _connect(port) as sock:
        sock.sendall(b"\0\0")
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
        sock.sendall(b"\0\0" + _PIECE[: 1 << 17])
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
    digests: set[str] = set()
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
                rates = [throughput(port) for _ in range(3)]
                digests |= {digest for _, digest in rates}
                rate = statistics.median(rate for rate, _ in rates)
                lines.append(f"| {name} | {rate:,.0f} | {round_trip(port):,.0f} µs |")
            before, after = memory_of_many(watch, pid)
    same = "the same each time" if len(digests) == 1 else "NOT the same each time"
    told = (
        f"{_MEGABYTES} MiB by the loopback interface; their digest was {same}. With "
        f"{_CONNECTIONS:,} connections at once, each with 128 KiB sent and sent back, `watch` had "
        f"{after / 1024:,.0f} MiB in memory, after {before / 1024:,.0f} MiB without any."
    )
    return "\n".join([*lines, "", *_wrapped(told)]) + "\n"


def _wrapped(text: str) -> list[str]:
    import textwrap

    return textwrap.wrap(text, 100)
