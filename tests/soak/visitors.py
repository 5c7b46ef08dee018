"""Clients by `ssl`, who behave in every way there is. The good ones must be served, always."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import ssl
import struct
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

_ALERTS = (
    (b"\x17\x03\x03\x00\x13", 5 + 2 + 1 + 16),  # TLS 1.3
    (b"\x15\x03\x03\x00\x1a", 5 + 8 + 2 + 16),  # TLS 1.2 with AES-GCM
    (b"\x15\x03\x03\x00\x12", 5 + 2 + 16),  # TLS 1.2 with ChaCha20-Poly1305
)
"""How an encrypted alert begins, and how long it is."""

_LONGEST_ALERT = 31

PATIENCE = 120.0
"""Seconds that a good client waits; the machine may be busy."""


@dataclass
class Tally:
    """What happened so far."""

    visits: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    transfers: int = 0
    """What good clients have sent and had back, each piece once."""
    moved: int = 0
    lost: int = 0
    """Bytes of transfers: those that came back, and those that did not, though their connection
    ended in order."""


class Visit:
    """One TCP connection with a TLS client on it, all steps by hand."""

    def __init__(self, context: ssl.SSLContext, chance: random.Random) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname="localhost")
        self._loop = asyncio.get_running_loop()
        self._chance = chance
        self.sock = socket.socket()
        self.sock.setblocking(False)
        self.at_a_time = 1 << 20
        self.transfers = self.moved = self.lost = 0

    def note_transfer(self, received: int, sent: int) -> None:
        """Count what has come back; raises where that is not all."""
        self.transfers += 1
        self.moved += min(received, sent)
        if received < sent:
            self.lost += sent - received
            raise ConnectionError(f"the end after {received} of {sent} bytes")

    async def connect(self, port: int) -> None:
        await self._loop.sock_connect(self.sock, ("127.0.0.1", port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    async def flush(self, most: int | None = None) -> None:
        """Send what there is, or its first bytes only."""
        data = self._outgoing.read()[:most]
        for start in range(0, len(data), self.at_a_time):
            await self._loop.sock_sendall(self.sock, data[start : start + self.at_a_time])

    async def fill(self, size: int = 1 << 16) -> None:
        data = await self._loop.sock_recv(self.sock, size)
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    async def handshake(self) -> None:
        while True:
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                await self.flush()
                await self.fill()
            else:
                await self.flush()
                return

    async def write(self, data: bytes) -> None:
        self.tls.write(data)
        await self.flush()

    async def read(self, size: int, *, pause: float = 0.0, piece: int = 1 << 16) -> bytes:
        """Exactly so many bytes."""
        out = bytearray()
        while len(out) < size:
            try:
                data = self.tls.read(min(piece, size - len(out)))
            except ssl.SSLWantReadError:
                if pause:
                    await asyncio.sleep(pause)
                await self.fill(piece)
                continue
            if not data:
                break
            out += data
        self.note_transfer(len(out), size)
        return bytes(out)

    async def close(self) -> None:
        """close_notify both ways."""
        while True:
            try:
                self.tls.unwrap()
            except ssl.SSLWantReadError:
                await self.flush()
                await self.fill()
            else:
                await self.flush()
                return

    def reset(self) -> None:
        """The peer sees RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


Behaviour = Callable[[Visit, random.Random, int], Awaitable[None]]


async def good(visit: Visit, chance: random.Random, port: int) -> None:
    """Talks, is answered, and says goodbye."""
    await visit.connect(port)
    await visit.handshake()
    for _ in range(chance.randrange(3)):
        data = chance.randbytes(1 << chance.randrange(15))
        await visit.write(data)
        if await visit.read(len(data)) != data:
            raise ConnectionError("another answer")
    await visit.close()


async def slow_writer(visit: Visit, chance: random.Random, port: int) -> None:
    """Sends byte by byte, and is served all the same."""
    visit.at_a_time = 1 + chance.randrange(7)
    await good(visit, chance, port)


async def slow_reader(visit: Visit, chance: random.Random, port: int) -> None:
    """Lets much be sent back, and takes its time to read it."""
    await visit.connect(port)
    await visit.handshake()
    data = chance.randbytes(60_000)
    visit.tls.write(data)
    await visit.flush()
    if await visit.read(len(data), pause=0.002, piece=4096) != data:
        raise ConnectionError("another answer")
    await visit.close()


async def half_closer(visit: Visit, chance: random.Random, port: int) -> None:
    """Says that it sends nothing more, and reads on."""
    await visit.connect(port)
    await visit.handshake()
    data = chance.randbytes(10_000)
    visit.tls.write(data)
    with contextlib.suppress(ssl.SSLWantReadError):
        visit.tls.unwrap()
    await visit.flush()
    visit.sock.shutdown(socket.SHUT_WR)
    await _see_the_end(visit, len(data), lambda: 1 << 16)


async def slow_closer(visit: Visit, chance: random.Random, port: int) -> None:
    """Ends its half after a lot, and reads slowly, so that the server closes with much unsent."""
    visit.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 14)
    await visit.connect(port)
    await visit.handshake()
    data = chance.randbytes(chance.randrange(100_000, 600_000))
    visit.tls.write(data)
    with contextlib.suppress(ssl.SSLWantReadError):
        visit.tls.unwrap()
    sending = asyncio.ensure_future(visit.flush())
    try:
        pause = chance.random() * 0.004
        await _see_the_end(visit, len(data), lambda: chance.randrange(1, 1 << 15), pause)
        await sending
    finally:
        sending.cancel()


async def _see_the_end(
    visit: Visit, sent: int, size: Callable[[], int], pause: float = 0.0
) -> None:
    """See that all comes back, and then close_notify.

    OpenSSL gives no data any more after its own close_notify. So it is the records that count.
    """
    loop = asyncio.get_running_loop()
    received, tail = 0, b""
    while more := await loop.sock_recv(visit.sock, size()):
        received += len(more)
        tail = (tail + more)[-_LONGEST_ALERT:]
        if pause:
            await asyncio.sleep(pause)
    visit.note_transfer(received, sent)
    if not any(tail.startswith(header, len(tail) - length) for header, length in _ALERTS):
        visit.lost += 1  # at least
        raise ConnectionError(f"no close_notify after {received} bytes of records")


async def resets(visit: Visit, chance: random.Random, port: int) -> None:
    """Goes away with RST at any stage."""
    await _to_any_stage(visit, chance, port)
    visit.reset()


async def leaves(visit: Visit, chance: random.Random, port: int) -> None:
    """Goes away with FIN at any stage, without a word."""
    await _to_any_stage(visit, chance, port)


async def babbler(visit: Visit, chance: random.Random, port: int) -> None:
    """Speaks no TLS, or a little of it."""
    await visit.connect(port)
    start = chance.choice((b"", b"\x16\x03\x01", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x03\0\x80"))
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(visit.sock, start + chance.randbytes(chance.randrange(400)))
    visit.sock.shutdown(socket.SHUT_WR)
    while await loop.sock_recv(visit.sock, 1 << 16):
        pass


async def _to_any_stage(visit: Visit, chance: random.Random, port: int) -> None:
    stage = chance.randrange(6)
    await visit.connect(port)
    if stage == 0:
        return
    try:
        visit.tls.do_handshake()
    except ssl.SSLWantReadError:
        await visit.flush(chance.randrange(300) if stage == 1 else None)
    if stage in (1, 2):
        return
    await visit.fill(chance.choice((1, 100, 1 << 16)))
    if stage == 3:
        return
    await visit.handshake()
    if stage == 4:
        return
    visit.tls.write(chance.randbytes(50_000))
    await visit.flush(chance.randrange(50_000))


GOOD: dict[str, Behaviour] = {
    "good": good,
    "slow writer": slow_writer,
    "slow reader": slow_reader,
    "half closer": half_closer,
    "slow closer": slow_closer,
}
BAD: dict[str, Behaviour] = {"resets": resets, "leaves": leaves, "babbler": babbler}
WEIGHTS = {
    "good": 57,
    "slow writer": 2,
    "slow reader": 3,
    "half closer": 5,
    "slow closer": 3,
    "resets": 15,
    "leaves": 10,
    "babbler": 5,
}


async def visit_as(
    name: str, context: ssl.SSLContext, chance: random.Random, port: int, tally: Tally
) -> None:
    """One connection of this behaviour; a good one that fails is noted."""
    visit = Visit(context, chance)
    try:
        act = (GOOD | BAD)[name](visit, chance, port)
        await asyncio.wait_for(act, PATIENCE)
    except (TimeoutError, OSError) as error:
        if name in GOOD:
            tally.failures.append(f"{name}: {type(error).__name__}: {error}")
    finally:
        visit.sock.close()
        tally.visits[name] += 1
        if name in GOOD:
            tally.transfers += visit.transfers
            tally.moved += visit.moved
            tally.lost += visit.lost
