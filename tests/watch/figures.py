"""The cost of the relay of `watch`: bytes a second, round trips, and a thousand connections."""

from __future__ import annotations

import hashlib
import random
import re
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.capture.relaying import plain_server, reset
from tests.cli.conftest import heed_interrupts
from tests.programs.certificates import write_certificates
from tests.programs.peers import free_port, wait_for

_MEGABYTES = 512
_COMPARED = 1024
_TRIPS = 2000
_CONNECTIONS = 1000
_EACH = 1 << 17
"""The bytes that each of them sends, and gets back."""
_WAIT_SECONDS = 60
_LONGEST_SECONDS = 300
"""How long a server waits for a client that opens all of its connections before it uses them."""
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
    server = await asyncio.start_server(
        serve, "127.0.0.1", int(sys.argv[1]), backlog=1024
    )
    await server.serve_forever()
asyncio.run(main())
"""
"""A relay of asyncio's streams, which records nothing.

Its backlog is that of `watch`: with the usual one, clients would wait to try again.
"""


def serve(sock: socket.socket) -> None:
    """Do what the first two bytes say: send so many pieces, send back what comes, tell the digest
    of what comes up to its end, or wait for a reset.
    """
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.settimeout(_LONGEST_SECONDS)
    first = sock.recv(2)
    if first == _DIGEST:
        sock.sendall(_digest_of(sock).encode())
    elif first == _RESET:
        with suppress(ConnectionResetError):
            sock.recv(1)
            return
        _resets.set()
    elif first == _ECHO:
        with suppress(ConnectionError):  # The relay is ended while it is open.
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


@dataclass(frozen=True)
class Through:
    """A relay in a process of its own.

    Attributes:
        told: what it has said of itself so far.
    """

    port: int
    process: subprocess.Popen[bytes]
    told: Callable[[], str]

    def authority(self) -> str:
        """Return the file of the authority that intercepts, once it is announced."""
        until = time.monotonic() + _WAIT_SECONDS
        while time.monotonic() < until:
            if found := re.search(r"trust (\S+), the authority", self.told()):
                return found[1]
            time.sleep(0.02)
        raise TimeoutError("no authority was announced")


@contextmanager
def child(*command: str, output: IO[bytes] | None = None) -> Iterator[Through]:
    """A relay that listens; {port} in its command is the port. It is ended after the block."""
    port = free_port()
    filled = [each.replace("{port}", str(port)) for each in command]
    with tempfile.TemporaryFile() as errors:

        def told() -> str:
            errors.seek(0)
            return errors.read().decode()

        with subprocess.Popen(
            [sys.executable, *filled],
            stdout=output or subprocess.DEVNULL,
            stderr=errors,
            preexec_fn=heed_interrupts,
        ) as process:
            try:
                wait_for(port)
                yield Through(port, process, told)
            finally:
                process.terminate()


def watching(target: str, *options: str) -> list[str]:
    """The command of a relay to a server, for `child`."""
    return ["-m", "handclasp", "watch", target, "--listen", "{port}", *options]


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


@dataclass
class Many:
    """What a thousand connections at once cost.

    Attributes:
        seconds: until each has got back what it sent.
        before, after: the resident memory in KiB without any, and with all of them.
        lost: those that did not get back all.
        left: those that were still open after Ctrl-C had ended the relay.
    """

    seconds: float
    before: int
    after: int
    lost: int = 0
    left: int = 0


def many(through: Through, wrapped: Callable[[socket.socket], socket.socket]) -> Many:
    """Open a thousand connections, use them all at once, and end the relay by Ctrl-C."""
    before, began = _resident(through.process.pid), time.perf_counter()
    socks = [wrapped(_connect(through.port)) for _ in range(_CONNECTIONS)]
    for sock in socks:
        sock.sendall(_ECHO + _PIECE[:_EACH])
    lost = sum(_received(sock) != _PIECE[:_EACH] for sock in socks)
    seconds = time.perf_counter() - began
    cost = Many(seconds, before, _resident(through.process.pid), lost)
    through.process.send_signal(signal.SIGINT)
    through.process.wait(_WAIT_SECONDS)
    for sock in socks:
        with suppress(ConnectionError, ssl.SSLError):
            cost.left += sock.recv(1) != b""
        sock.close()
    return cost


def _received(sock: socket.socket) -> bytes:
    """What comes, up to what each connection has sent."""
    data = bytearray()
    with suppress(ConnectionError, ssl.SSLError):
        while len(data) < _EACH and (more := sock.recv(_EACH - len(data))):
            data += more
    return bytes(data)


def _resident(pid: int) -> int:
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) if found is not None else 0


_PLAIN = "a relay of asyncio's streams"


def figures() -> str:
    """The further tables, with sentences about what was compared."""
    expected = f"{_COMPARED << 20} {_digest_of_pieces()}"
    lines = ["| through | MB/s | one byte there and back |", "|---|---|---|"]
    with plain_server(serve) as target:
        address = f"127.0.0.1:{target}"
        with (
            child("-c", PLAIN_RELAY, "{port}", str(target)) as plain,
            child(*watching(address)) as watch,
        ):
            places = {"nothing": target, _PLAIN: plain.port, "`watch`": watch.port}
            for name, port in places.items():
                rate = statistics.median(throughput(port) for _ in range(3))
                lines.append(f"| {name} | {rate:,.0f} | {round_trip(port):,.0f} µs |")
            is_same = digests(watch.port) == {expected}
            is_reset = keeps_reset(target) and keeps_reset(watch.port)
            costs = {
                _PLAIN: many(plain, lambda sock: sock),
                "`watch`": many(watch, lambda sock: sock),
            }
    costs.update(_many_over_tls())
    same = "is that of what was sent" if is_same else "is NOT that of what was sent"
    kept = "arrives as a reset" if is_reset else "does NOT arrive as a reset"
    compared = (
        f"{_MEGABYTES} MiB by the loopback interface, the median of three. The digest of "
        f"{_COMPARED} MiB each way by `watch` {same}; the end of the client's half leaves the "
        f"other one open, and a reset {kept}."
    )
    return "\n".join([*lines, "", *_wrapped(compared), "", *_table_of_many(costs)]) + "\n"


def _many_over_tls() -> dict[str, Many]:
    """The same with TLS of the two ends: through a plain relay, and with --intercept."""
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory)
        write_certificates(home)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(home / "server-chain.pem", home / "server-key.pem")

        def serve_tls(sock: socket.socket) -> None:
            with suppress(OSError), context.wrap_socket(sock, server_side=True) as tls:
                serve(tls)

        ca = str(home / "ca.pem")
        with plain_server(serve_tls) as target:
            with child("-c", PLAIN_RELAY, "{port}", str(target)) as plain:
                by_plain = many(plain, _tls_client(ca))
            command = watching(f"localhost:{target}", "--intercept", "--ca", ca)
            with child(*command) as intercept:
                by_intercept = many(intercept, _tls_client(intercept.authority()))
    return {f"{_PLAIN}, with TLS": by_plain, "`watch --intercept`": by_intercept}


def _tls_client(ca: str) -> Callable[[socket.socket], socket.socket]:
    context = ssl.create_default_context(cafile=ca)
    return lambda sock: context.wrap_socket(sock, server_hostname="localhost")


def _table_of_many(costs: dict[str, Many]) -> list[str]:
    head = f"{_CONNECTIONS:,} connections through"
    lines = [f"| {head} | seconds | MiB before | MiB with all | lost | left after Ctrl-C |"]
    lines.append("|---|---|---|---|---|---|")
    for name, cost in costs.items():
        sizes = f"{cost.before / 1024:,.0f} | {cost.after / 1024:,.0f}"
        lines.append(f"| {name} | {cost.seconds:.1f} | {sizes} | {cost.lost} | {cost.left} |")
    told = (
        f"All are open at once, and each sends {_EACH >> 10} KiB and gets them back. The seconds "
        "are from the first connection to the last byte, with client and server on the same "
        "machine; the memory is that of the relay. Every relay has a backlog of 1,024, so that no "
        "client has to try again. With --intercept, each connection has two handshakes in this "
        "process, and its data is decrypted and encrypted again."
    )
    return [*lines, "", *_wrapped(told)]


def _digest_of_pieces() -> str:
    digest = hashlib.sha256()
    for _ in range(_COMPARED):
        digest.update(_PIECE)
    return digest.hexdigest()


def _wrapped(text: str) -> list[str]:
    import textwrap

    return textwrap.wrap(text, 100)
