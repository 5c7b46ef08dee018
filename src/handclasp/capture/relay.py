"""A relay of TCP connections that records the beginning of each, byte for byte as it came.

It has no TLS and no keys: client and server talk to each other, and none of the bytes is changed,
held back or added. The end of a direction is passed on as that, and a reset as a reset. What one
end does not read, the other one cannot send (back-pressure): of each connection and direction, the
relay holds one read.

>>> import asyncio
>>> from handclasp.capture.relay import Relay, Relayed
>>> from handclasp.capture.stream import Address
>>> ended: list[Relayed] = []
>>> async def relay_once() -> None:
...     async with Relay(Address("example.com", 443), ended=ended.append) as relay:
...         await asyncio.to_thread(visit, relay.port)
>>> def visit(port: int) -> None:
...     handclasp.connect("127.0.0.1", port, server_name="example.com").close()
>>> asyncio.run(relay_once())
>>> [relayed.stream().starts_of_hello() for relayed in ended]
[(0, 0)]
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import struct
import sys
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from types import TracebackType
from typing import Any, Literal

from handclasp.capture.proxy_head import (
    LONGEST_HEAD,
    ProxyRequest,
    ProxyRequestError,
    read_request,
)
from handclasp.capture.stream import Address, Piece, Stream, StreamEnd
from handclasp.starttls.dialogue import Dialogue
from handclasp.values import dataclass, field, replace

RECORDED_BYTES = 128 * 1024
"""The memory for the record of a connection, of both ends together: a handshake and more."""
MOST_CONNECTIONS = 2000
"""The connections at once; further ones wait in the accept queue."""

_PIECE_BYTES = 192
"""The memory of a piece beside its data: three objects, and a place in a list and in a tuple."""
_JOINED_BYTES = 4096
_CHUNK = 64 * 1024
_CONFIRMATION = b"HTTP/1.1 200 Connection established\r\n\r\n"
_BACKLOG = 1024
_CONNECT_SECONDS = 15.0
_REACH_SECONDS = 45.0
"""For the look-up of a name and all of its addresses."""
_HEAD_SECONDS = 30.0
_WATCH_SECONDS = 0.5
_FULL_SECONDS = 0.1
_POLL_SECONDS = 0.02
_FULL = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.ECONNABORTED)
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER with no time, which makes a close a reset."""
CLIENT, SERVER = 0, 1


@dataclass(frozen=True, slots=True)
class Route:
    """The way to a server.

    Attributes:
        address: what to connect to: the server, or a proxy on the way.
        opening: what is said in the clear before the bytes are relayed, if anything.

    >>> from handclasp.capture.relay import Route
    >>> from handclasp.capture.stream import Address
    >>> from handclasp.starttls import opening
    >>> Route(Address("127.0.0.1", 25), opening("smtp", "example.com")).address.port
    25
    """

    address: Address
    opening: Dialogue | None = None


@dataclass(slots=True, eq=False)
class Relayed:
    """One connection through the relay, and the recorded beginning of its bytes.

    See `handclasp.capture.relay` for an example.

    Attributes:
        number: counts from 1.
        limit: the bytes of memory that its record may take.
        target: the server, as it was asked for; None if the request could not be read.
        ends: the addresses of client and server; that of the server is its port 0 before it is
            reached.
        refusal: why there is no connection to the server; None if there is one.
        cut: why the relay itself ended the connection, in a sentence; empty if it did not.
        leg: where a program in between answers in place of the server, the half that this is:
            "client", with that program as the server, or "server", with it as the client. Empty for
            a connection from end to end.
        blocked: why the handshake of the program in between with the server has failed, so that it
            has refused the client; in both halves.
        relayed_bytes: the bytes of the client and of the server, recorded or not.
    """

    number: int
    began_ns: int
    limit: int
    target: Address | None
    ends: tuple[Address, Address]
    refusal: Exception | None = None
    cut: str = ""
    leg: Literal["", "client", "server"] = ""
    blocked: Exception | None = None
    relayed_bytes: list[int] = field(default_factory=lambda: [0, 0])
    _pieces: list[Piece] = field(default_factory=list[Piece], repr=False)
    _endings: list[StreamEnd] = field(default_factory=list[StreamEnd])
    _recorded: int = 0
    _clock: Callable[[], int] = time.monotonic_ns
    _started: int = field(default_factory=time.monotonic_ns)
    _moved: float = field(default_factory=time.monotonic)

    @property
    def is_two_way(self) -> bool:
        """Whether both ends have sent anything."""
        return all(self.relayed_bytes)

    @property
    def is_torn(self) -> bool:
        """Whether it ended by a reset, of either end or of the relay."""
        return bool(self.cut) or any(each.how == "reset" for each in self._endings)

    @property
    def recorded(self) -> int:
        """The bytes that were recorded."""
        return self._recorded

    @property
    def unrecorded(self) -> int:
        """The bytes that were relayed, and not recorded."""
        return sum(self.relayed_bytes) - self._recorded

    def stream(self) -> Stream:
        """Return the recorded bytes, as `observe` takes them."""
        trouble = self.cut
        if self.unrecorded:
            trouble = f"{self.unrecorded:,} bytes after these were relayed, and not recorded."
        return Stream(
            self.number,
            self.ends,
            tuple(self._pieces),
            # How a connection ends that was not recorded up to there shows nothing.
            () if self.unrecorded else tuple(self._endings),
            trouble=trouble,
        )

    @property
    def idle_seconds(self) -> float:
        """The seconds since bytes were last taken from one end, or by the other one."""
        return time.monotonic() - self._moved

    def moved(self) -> None:
        """Note that bytes have moved now."""
        self._moved = time.monotonic()

    def note(self, sender: int, data: bytes) -> None:
        """Record bytes, as long as there is room and none were left out."""
        is_complete = not self.unrecorded
        self.relayed_bytes[sender] += len(data)
        if not is_complete:
            return
        taken = self._recorded + len(self._pieces) * _PIECE_BYTES
        if self._is_joined(sender):
            last = self._pieces.pop()
            kept = data[: max(0, self.limit - taken)]
            self._pieces.append(replace(last, data=last.data + kept))
        else:
            kept = data[: max(0, self.limit - taken - _PIECE_BYTES)]
            if kept:
                self._pieces.append(Piece(self._now(), sender, kept))
        self._recorded += len(kept)

    def _is_joined(self, sender: int) -> bool:
        """Return whether the next bytes are recorded as a part of the last piece.

        Each read has its own time until a quarter of the memory is taken by the objects. After
        that, small reads of one end are joined, so that the record of a handshake in single bytes
        is whole, too.
        """
        if len(self._pieces) * _PIECE_BYTES <= self.limit // 4:
            return False
        last = self._pieces[-1]
        return last.sender == sender and len(last.data) < _JOINED_BYTES

    def end(self, sender: int, how: str) -> None:
        """Record the end of one direction, once."""
        if all(each.sender != sender for each in self._endings):
            self._endings.append(StreamEnd(self._now(), sender, how))

    def _now(self) -> int:
        # A wall clock may be set back, and would change the order.
        return self.began_ns + self._clock() - self._started


class _Torn(Exception):
    """One of the two ends is gone, without an end of its bytes."""


class Relay:
    """Relays connections to one server, or as an HTTP proxy, until it is closed.

    See `handclasp.capture.relay` for an example.

    Args:
        target: the server; None for a proxy, which connects to the servers that clients ask for.
        ended: called once a connection has ended; the next one may take its place when the
            coroutine that it returns, if any, is done.
        two_way: called when both ends of a connection have sent something.
        limit: the bytes of memory for the record of each connection.
        host, port: the address to listen at; port 0 takes a free one.
        route: returns the way to a server; without it, that is the server itself.
        most: the connections at once.
        idle: the seconds after which a connection on which nothing moves is reset; None for no
            bound, as there are programs that wait for hours.
    """

    def __init__(
        self,
        target: Address | None = None,
        *,
        ended: Callable[[Relayed], Coroutine[Any, Any, None] | None],
        two_way: Callable[[Relayed], None] | None = None,
        limit: int = RECORDED_BYTES,
        host: str = "127.0.0.1",
        port: int = 0,
        route: Callable[[Address], Route] = Route,
        most: int = MOST_CONNECTIONS,
        idle: float | None = None,
    ) -> None:
        self._target = target
        self._ended = ended
        self._two_way = two_way
        self._limit = limit
        self._route = route
        self._idle = idle
        self._slots = asyncio.Semaphore(most)
        self._count = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._reports: set[asyncio.Task[None]] = set()
        self._listener = socket.create_server((host, port), backlog=_BACKLOG)
        self._listener.setblocking(False)
        self._accepting: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """The port that it listens at."""
        return int(self._listener.getsockname()[1])

    async def __aenter__(self) -> Relay:
        self._accepting = asyncio.create_task(self._accept())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self, patience: float = 0.0) -> None:
        """Accept no more, give open connections some seconds to end, then reset them.

        Each is reported as ended before this returns.
        """
        if self._accepting is not None:
            self._accepting.cancel()
            await asyncio.wait([self._accepting])
            self._accepting = None
            await self._accept_those_that_wait()
        self._listener.close()
        await asyncio.sleep(0)  # A task that is cancelled before it begins closes nothing.
        if self._tasks and patience:
            await asyncio.wait(self._tasks, timeout=patience)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._reports:  # They are not cancelled with the connections.
            await asyncio.wait(self._reports)

    def give_up_reports(self) -> None:
        """Cancel the reports that are under way, for which `close` waits: their reader may have
        stopped reading.
        """
        for report in self._reports:
            report.cancel()

    async def _accept(self) -> None:
        while True:
            await self._accept_those_that_wait()
            if self._slots.locked():
                async with self._slots:
                    continue
            await _until_readable(self._listener)

    async def _accept_those_that_wait(self) -> None:
        """Accept the connections that wait, up to the number that may be open at once."""
        while not self._slots.locked():
            try:
                sock, address = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno not in _FULL:
                    raise
                await asyncio.sleep(_FULL_SECONDS)
                return
            await self._slots.acquire()  # It is free, so that nothing can come between.
            self._begin(sock, address)

    def _begin(self, sock: socket.socket, address: Any) -> None:
        self._count += 1
        task = asyncio.create_task(self._serve(self._count, sock, Address(*address[:2])))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, number: int, client: socket.socket, address: Address) -> None:
        ends = address, self._target or Address("", 0)
        relayed = Relayed(number, time.time_ns(), self._limit, self._target, ends)
        try:
            try:
                await self._connect_and_relay(relayed, client)
            except (OSError, ProxyRequestError) as error:
                relayed.refusal = error
            finally:
                client.close()
                await self.report(relayed)
        finally:
            self._slots.release()

    async def report(self, relayed: Relayed) -> None:
        """Report that a connection has ended; a relay that is closed reports what was open."""
        if (report := self._ended(relayed)) is not None:
            reporting = asyncio.create_task(report)
            self._reports.add(reporting)
            reporting.add_done_callback(self._reports.discard)
            await asyncio.shield(reporting)

    async def _connect_and_relay(self, relayed: Relayed, client: socket.socket) -> None:
        """Relay one connection; raise `OSError` if there is none to the server."""
        _prepare(client)
        request: ProxyRequest | None = None
        if self._target is None:
            request = await self._request(client)
            relayed.target = Address(request.host, request.port)
        reaching = asyncio.timeout(_REACH_SECONDS)
        try:
            async with reaching:
                server = await self._reach(relayed)
        except OSError as found:
            error = _no_answer_in(_REACH_SECONDS) if reaching.expired() else found
            if request is not None:
                await _answer(client, "502 Bad Gateway", str(error))
            else:
                _make_reset(client)
            raise error from None
        try:
            if request is not None and request.is_tunnel and not await _confirm(client):
                _make_reset(server)
                return
            await self.carry(relayed, client, server, request.first if request else b"")
        except BaseException:
            self.tear(client, server)
            raise
        finally:
            server.close()

    async def _request(self, client: socket.socket) -> ProxyRequest:
        """Read a client's request to the proxy; answer one that cannot be served, and raise."""
        loop = asyncio.get_running_loop()
        data = bytearray()
        try:
            async with asyncio.timeout(_HEAD_SECONDS):
                while True:
                    more = await loop.sock_recv(client, _CHUNK)
                    if not more:
                        raise ProxyRequestError("the client closed the connection to the proxy")
                    searched = max(0, len(data) - 3)
                    data += more
                    # What was searched before is not searched again, so that single bytes cost no
                    # more than one read.
                    is_whole = data.find(b"\r\n\r\n", searched) >= 0 or len(data) >= LONGEST_HEAD
                    if (is_whole or not searched) and (request := read_request(bytes(data))):
                        return request
        except TimeoutError:
            await _answer(client, "408 Request Timeout", "no request came")
            raise ProxyRequestError(f"no request came in {_HEAD_SECONDS:g} s") from None
        except ProxyRequestError as error:
            await _answer(client, error.status, str(error))
            raise

    async def _reach(self, relayed: Relayed) -> socket.socket:
        """Connect to the server, or to what stands before it, and say what is to be said."""
        route = self._route(relayed.target or Address("", 0))
        server = await _connected(route.address)
        try:
            _prepare(server)
            relayed.ends = relayed.ends[0], Address(*server.getpeername()[:2])
            if route.opening is not None:
                await _hold(server, route.opening)
        except BaseException:
            server.close()
            raise
        return server

    async def carry(
        self, relayed: Relayed, client: socket.socket, server: socket.socket, first: bytes
    ) -> None:
        """Relay until both directions have ended, or one end is torn down.

        A subclass may put something in between. `first` is what has come of the client's bytes.
        """
        relayed.moved()  # Its time begins once both ends are there.
        pumps = [
            asyncio.create_task(self._pump(relayed, CLIENT, client, server, first)),
            asyncio.create_task(self._pump(relayed, SERVER, server, client)),
        ]
        watch = asyncio.create_task(_torn_down(relayed, (client, server), self._idle))
        # It fails with the first pump that does, and the other one goes on until it is cancelled.
        both = asyncio.gather(*pumps)
        everything: list[asyncio.Future[Any]] = [*pumps, watch, both]
        try:
            await asyncio.wait(everything[2:], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in everything:
                each.cancel()
            results = await asyncio.gather(*everything, return_exceptions=True)
        if any(isinstance(each, _Torn) for each in results):
            self.tear(client, server)

    async def first_sent(
        self, relayed: Relayed, client: socket.socket, server: socket.socket
    ) -> tuple[int, bytes] | None:
        """Wait for the first byte of either end, which stays to be read; return who sent it.

        An end in place of a byte is b"". None if an end was reset, or nothing came for as long as
        the relay waits: both are then reset.
        """
        relayed.moved()
        sender, sockets = CLIENT, (client, server)
        torn = asyncio.create_task(_torn_down(relayed, sockets, self._idle))
        try:
            while not torn.done():
                for sender, sock in enumerate(sockets):
                    with suppress(BlockingIOError):
                        return sender, sock.recv(1, socket.MSG_PEEK)
                readable = [asyncio.create_task(_until_readable(sock)) for sock in sockets]
                try:
                    await asyncio.wait([torn, *readable], return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for each in readable:
                        each.cancel()
                    await asyncio.wait(readable)
        except OSError:
            relayed.end(sender, "reset")
        finally:
            torn.cancel()
            await asyncio.wait([torn])
        self.tear(client, server)
        return None

    @staticmethod
    def tear(client: socket.socket, server: socket.socket) -> None:
        """Let the close of both ends be a reset."""
        _make_reset(client)
        _make_reset(server)

    async def _pump(
        self,
        relayed: Relayed,
        sender: int,
        source: socket.socket,
        sink: socket.socket,
        data: bytes = b"",
    ) -> None:
        loop = asyncio.get_running_loop()
        is_first = True
        while True:
            try:
                data = data or await loop.sock_recv(source, _CHUNK)
            except OSError:
                relayed.end(sender, "reset")
                raise _Torn from None
            if not data:
                break
            relayed.moved()
            relayed.note(sender, data)
            if is_first and relayed.is_two_way and self._two_way is not None:
                self._two_way(relayed)
            is_first = False
            try:
                await loop.sock_sendall(sink, data)
            except OSError:
                relayed.end(1 - sender, "reset")
                raise _Torn from None
            relayed.moved()
            data = b""
        relayed.end(sender, "end")
        with suppress(OSError):  # It is gone already, which its own direction shows.
            sink.shutdown(socket.SHUT_WR)


async def _confirm(client: socket.socket) -> bool:
    """Answer a client that asked for a tunnel; return whether it is still there."""
    try:
        await asyncio.get_running_loop().sock_sendall(client, _CONFIRMATION)
    except OSError:
        _make_reset(client)
        return False
    return True


async def _until_readable(listener: socket.socket) -> None:
    """Wait for a connection, without accepting it: `sock_accept` loses it if it is cancelled."""
    loop = asyncio.get_running_loop()
    ready = loop.create_future()

    def note() -> None:
        if not ready.done():
            ready.set_result(None)

    try:
        loop.add_reader(listener, note)
    except NotImplementedError:  # On Windows.
        await asyncio.sleep(_POLL_SECONDS)
        return
    try:
        await ready
    finally:
        loop.remove_reader(listener)


async def _torn_down(
    relayed: Relayed, sockets: tuple[socket.socket, socket.socket], idle: float | None
) -> None:
    """Wait for the reset of an end whose bytes had ended before, which no read shows, or until
    nothing has moved for so many seconds.
    """
    waiting = [0, 0]
    while True:
        await asyncio.sleep(_WATCH_SECONDS)
        if idle is not None and (now := [*map(_untaken, sockets)]) != waiting:
            waiting = now
            relayed.moved()
        if idle is not None and relayed.idle_seconds > idle:
            relayed.cut = f"Nothing moved for {idle:g} s, so that the relay reset both ends."
            raise _Torn
        for sender, sock in enumerate(sockets):
            if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                relayed.end(sender, "reset")
                raise _Torn


def _untaken(sock: socket.socket) -> int:
    """Return the bytes that were sent, and that the other end has not acknowledged; 0 where the
    system does not tell.
    """
    try:
        import fcntl
        import termios

        told = fcntl.ioctl(sock, termios.TIOCOUTQ, bytes(4))
    except (ImportError, OSError):
        return 0
    return int.from_bytes(told, sys.byteorder)


async def _connected(address: Address) -> socket.socket:
    """Connect to the first address of a host that answers; raise `OSError`."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except UnicodeError:
        raise socket.gaierror(socket.EAI_NONAME, "this is not a host name") from None
    failure: OSError | None = None
    for family, kind, protocol, _, where in found:
        sock = socket.socket(family, kind, protocol)
        sock.setblocking(False)
        connecting = asyncio.timeout(_CONNECT_SECONDS)
        try:
            async with connecting:
                await loop.sock_connect(sock, where)
        except OSError as error:
            sock.close()
            failure = failure or (
                _no_answer_in(_CONNECT_SECONDS) if connecting.expired() else _in_words(error)
            )
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise failure or socket.gaierror(socket.EAI_NONAME, "the name has no address")


def _in_words(error: OSError) -> OSError:
    """Return what the system says: asyncio's own text is "Connect call failed" and an address."""
    if error.errno is None or error.errno <= 0:
        return error
    return OSError(error.errno, os.strerror(error.errno))


def _no_answer_in(seconds: float) -> OSError:
    return TimeoutError(errno.ETIMEDOUT, f"there was no answer in {seconds:g} s")


async def _hold(sock: socket.socket, dialogue: Dialogue) -> None:
    """Hold a dialogue up to the first byte of TLS; raise `OSError`."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            while True:
                await loop.sock_sendall(sock, dialogue.data_to_send())
                if dialogue.is_over:
                    return
                dialogue.receive_data(await loop.sock_recv(sock, _CHUNK))
    except TimeoutError:
        raise dialogue.time_out(_CONNECT_SECONDS) from None


async def _answer(client: socket.socket, status: str, why: str) -> None:
    """Answer a client that asked the proxy for something, and close; it may be gone."""
    body = f"handclasp watch: {why}\n".encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\n"
    head += f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    with suppress(OSError):
        await asyncio.get_running_loop().sock_sendall(client, head.encode() + body)
        client.shutdown(socket.SHUT_WR)


def _prepare(sock: socket.socket) -> None:
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _make_reset(sock: socket.socket) -> None:
    """Let the close of a socket reset its connection."""
    with suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
