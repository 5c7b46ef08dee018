"""What programs do with sockets, to be done with those of the standard library and with ours.

Each scenario takes the two ends of a connection and gives what it saw. docs/sockets.md names the
scenario that stands behind each of its rows.
"""

from __future__ import annotations

import array
import copy
import errno
import io
import pickle
import random
import select
import selectors
import socket
import ssl
import struct
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from handclasp import WantRead, WantWrite

End = Any
"""A `socket.socket`, an `ssl.SSLSocket` or a `TLSSocket`."""

SCENARIOS: dict[str, Callable[[End, End], object]] = {}
STANDARD: dict[str, str] = {}
"""For each scenario, the kind of socket that it is compared with."""


def scenario(standard: str) -> Callable[[Callable[[End, End], object]], Any]:
    def note(function: Callable[[End, End], object]) -> Callable[[End, End], object]:
        SCENARIOS[function.__name__] = function
        STANDARD[function.__name__] = standard
        return function

    return note


def first_raised(call: Callable[[], object]) -> str:
    """The class of the standard library that programs catch the exception of `call` by."""
    try:
        return f"nothing, but {call()!r}"
    except Exception as error:
        for kind in (
            *(BlockingIOError, TimeoutError, BrokenPipeError, OSError),
            *(NotImplementedError, OverflowError, ValueError, BufferError, TypeError),
        ):
            if isinstance(error, kind):
                return kind.__name__
        return type(error).__name__


def exactly(end: End, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = end.recv(size - len(data))
        assert piece
        data += piece
    return data


# Reading


@scenario("socket")
def recv(a: End, b: End) -> object:
    b.sendall(b"abcdefghij")
    return [a.recv(0), exactly(a, 3), a.recv(100), first_raised(lambda: a.recv(-1))]


@scenario("socket")
def recv_types(a: End, b: End) -> object:
    a.settimeout(0.05)
    return [first_raised(partial(a.recv, size)) for size in ("1", 1.5, None, -1, True)]


@scenario("ssl")
def recv_default(a: End, b: End) -> object:
    b.sendall(bytes(2000))
    return len(a.recv())


@scenario("ssl")
def flags(a: End, b: End) -> object:
    peek = socket.MSG_PEEK
    return [
        first_raised(lambda: a.recv(1, peek)),
        first_raised(lambda: a.recv_into(bytearray(1), 1, peek)),
        first_raised(lambda: a.send(b"x", peek)),
        first_raised(lambda: a.sendall(b"x", peek)),
    ]


@scenario("socket")
def recv_flags(a: End, b: End) -> object:
    b.sendall(b"xy")
    return first_raised(lambda: a.recv(2, socket.MSG_PEEK))


@scenario("socket")
def recv_into(a: End, b: End) -> object:
    b.sendall(b"abcdefghij")
    buffer = bytearray(8)
    words = array.array("H", [0, 0])
    return [
        a.recv_into(buffer, 2),
        a.recv_into(memoryview(buffer)[2:], 3),
        a.recv_into(words),
        a.recv_into(buffer[5:0]),
        bytes(buffer),
        words.tobytes(),
    ]


@scenario("socket")
def recv_into_refuses(a: End, b: End) -> object:
    """At once, and not when the data has come; nothing is lost by it."""
    buffer = bytearray(4)
    refusals = [
        first_raised(lambda: a.recv_into(b"constant")),
        first_raised(lambda: a.recv_into(memoryview(b"constant"))),
        first_raised(lambda: a.recv_into(memoryview(buffer)[::2])),
        first_raised(lambda: a.recv_into(buffer, -1)),
        first_raised(lambda: a.recv_into(buffer, 5)),
        first_raised(lambda: a.recv_into("text")),
    ]
    a.settimeout(0.05)
    try:
        a.recv_into(buffer)
    except TimeoutError:
        buffer += b"a buffer that is free again"
    a.settimeout(20)
    b.sendall(b"whole")
    return [*refusals, exactly(a, 5)]


@scenario("ssl")
def recv_into_none(a: End, b: End) -> object:
    b.sendall(b"abc")
    return a.recv_into(bytearray(3), None)


@scenario("ssl")
def pending(a: End, b: End) -> object:
    b.sendall(b"abcdefghij")
    return [a.pending(), exactly(a, 4), a.pending(), exactly(a, 6), a.pending()]


@scenario("ssl")
def datagrams(a: End, b: End) -> object:
    """Messages, ancillary data and addresses mean nothing in a TLS stream."""
    address = ("127.0.0.1", 9)
    calls: list[Callable[[], object]] = [
        lambda: a.recvfrom(1),
        lambda: a.recvfrom_into(bytearray(1)),
        lambda: a.recvmsg(1),
        lambda: a.recvmsg_into([bytearray(1)]),
        lambda: a.sendmsg([b"x"]),
        lambda: a.sendto(b"x", address),
    ]
    return {first_raised(call) for call in calls}


# Writing


@scenario("socket")
def send(a: End, b: End) -> object:
    sent = [a.send(b"abc"), a.send(b""), a.send(bytearray(b"de")), a.send(array.array("H", [1]))]
    return [sent, exactly(b, 7)]


@scenario("socket")
def sendall(a: End, b: End) -> object:
    for data in (b"abc", b"", bytearray(b"de"), memoryview(b"fg"), array.array("H")):
        a.sendall(data)
    return exactly(b, 7)


@scenario("socket")
def send_types(a: End, b: End) -> object:
    return [
        first_raised(partial(call, data))
        for call in (a.send, a.sendall)
        for data in ("text", 5, None, memoryview(b"abcd")[::2])
    ]


@scenario("socket")
def sendfile(a: End, b: End) -> object:
    with tempfile.TemporaryFile() as file:
        file.write(bytes(range(250)))
        file.seek(0)
        sent = [a.sendfile(file, 10, 5), file.tell(), a.sendfile(file, 240), file.tell()]
        sent += [a.sendfile(file, 1000), a.sendfile(file, count=7)]
    return [sent, exactly(b, 15)]


@scenario("ssl")
def sendfile_from_memory(a: End, b: End) -> object:
    file = io.BytesIO(b"0123456789" * 1000)
    sent = [a.sendfile(file, offset=3), file.tell()]
    return [sent, exactly(b, 9997)[:3]]


class OnlyRead:
    """A file without a position."""

    def __init__(self, data: bytes) -> None:
        self.read = io.BytesIO(data).read


@scenario("socket")
def sendfile_of_a_reader(a: End, b: End) -> object:
    file: Any = OnlyRead(b"0123456789")
    return [a.sendfile(file), a.sendfile(file), exactly(b, 10)]


@scenario("socket")
def sendfile_refuses(a: End, b: End) -> object:
    with tempfile.TemporaryFile("w+") as text, tempfile.TemporaryFile() as file:
        file.write(b"x")
        file.flush()
        refusals = [
            first_raised(lambda: a.sendfile(text)),
            first_raised(lambda: a.sendfile(file, 0, 0)),
            first_raised(lambda: a.sendfile(file, 0, -1)),
            first_raised(lambda: a.sendfile(file, 0, "1")),
        ]
        a.setblocking(False)
        return [*refusals, first_raised(lambda: a.sendfile(file))]


# Time


def waiting_calls(end: End) -> list[Callable[[], object]]:
    return [lambda: end.recv(1), lambda: end.recv_into(bytearray(1))]


@scenario("socket")
def timeouts(a: End, b: End) -> object:
    a.settimeout(0.05)
    seen = []
    for call in waiting_calls(a):
        began = time.monotonic()
        try:
            call()
        except TimeoutError as error:
            seen.append((error.args, error.errno, str(error)))
        assert 0.04 < time.monotonic() - began < 2
    return seen


@scenario("socket")
def timeout_while_writing(a: End, b: End) -> object:
    a.settimeout(0.1)
    return first_raised(lambda: [a.sendall(bytes(1_000_000)) for _ in range(100)])


@scenario("socket")
def settimeout(a: End, b: End) -> object:
    seen: list[object] = []
    for value in (
        *(1, 1.5, 0.0, -0.0, True, None, 1e9, 2**31, 2**33),
        *(-1, -0.001, float("inf"), float("-inf"), float("nan"), 10**30, "1", b"1", 1j, [1]),
    ):
        try:
            a.settimeout(value)
            seen.append((a.gettimeout(), a.timeout, type(a.gettimeout()).__name__, a.getblocking()))
        except Exception as error:
            seen.append(type(error).__name__)
    return seen


@scenario("socket")
def setblocking(a: End, b: End) -> object:
    seen = []
    for value in (True, False, 1, 0):
        a.setblocking(value)
        seen.append((a.getblocking(), a.gettimeout(), a.timeout))
    return seen


@scenario("socket")
def non_blocking(a: End, b: End) -> object:
    """`BlockingIOError`, with the number that the operating system has for it."""
    a.setblocking(False)
    seen = []
    for call in waiting_calls(a):
        try:
            call()
        except BlockingIOError as error:
            seen.append(error.errno == errno.EAGAIN)
    b.sendall(b"x")
    select.select([a], [], [], 10)
    return [seen, a.recv(1), first_raised(lambda: fill(a))]


def fill(end: End) -> None:
    for _ in range(100_000):
        end.send(bytes(100_000))


@scenario("ssl")
def want_errors(a: End, b: End) -> object:
    a.setblocking(False)
    kinds = set()
    for call in (lambda: a.recv(1), lambda: fill(a)):
        try:
            call()
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError) as error:
            kinds.add("BlockingIOError" if isinstance(error, BlockingIOError) else "SSLError")
    return kinds


@scenario("ssl")
def non_blocking_echo(a: End, b: End) -> object:
    """One thread, one selector, both ends: as the documentation of `ssl` has it."""
    reads, writes = (ssl.SSLWantReadError, WantRead), (ssl.SSLWantWriteError, WantWrite)
    data = bytes(range(256)) * 4000
    received = bytearray()
    sent = 0
    for end in (a, b):
        end.setblocking(False)
    with selectors.DefaultSelector() as selector:
        selector.register(a, selectors.EVENT_WRITE)
        selector.register(b, selectors.EVENT_READ)
        while len(received) < len(data):
            for key, _ in selector.select(10):
                try:
                    ready: Any = key.fileobj
                    if ready is a:
                        if sent < len(data):
                            sent += a.send(data[sent : sent + 100_000])
                        else:
                            selector.unregister(a)
                        continue
                    received += b.recv(70_000)
                    while b.pending():
                        received += b.recv(70_000)
                except reads:
                    selector.modify(key.fileobj, selectors.EVENT_READ)
                except writes:
                    selector.modify(key.fileobj, selectors.EVENT_WRITE)
    return [sent, received == data]


# The end


@scenario("socket")
def half_close(a: End, b: End) -> object:
    a.sendall(b"question")
    a.shutdown(socket.SHUT_WR)
    heard = [exactly(b, 8), b.recv(1), b.recv(1)]
    b.sendall(b"answer")
    late = [first_raised(lambda: a.sendall(b"more")), first_raised(lambda: a.send(b"x"))]
    return [heard, exactly(a, 6), late]


@scenario("socket")
def shutdown_both(a: End, b: End) -> object:
    a.sendall(b"x")
    a.shutdown(socket.SHUT_RDWR)
    return [a.recv(1), exactly(b, 1), b.recv(1)]


@scenario("socket")
def shutdown_reading(a: End, b: End) -> object:
    return first_raised(lambda: a.shutdown(socket.SHUT_RD))


@scenario("socket")
def shutdown_unknown(a: End, b: End) -> object:
    return first_raised(lambda: a.shutdown(17))


@scenario("socket")
def close(a: End, b: End) -> object:
    a.sendall(b"last words")
    a.close()
    a.close()
    seen = [exactly(b, 10), b.recv(1)]
    calls: list[Callable[[], object]] = [
        lambda: a.recv(1),
        lambda: a.recv_into(bytearray(1)),
        lambda: a.sendall(b"x"),
        lambda: a.getpeername(),
        lambda: a.getsockname(),
        lambda: a.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE),
        lambda: a.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        lambda: a.settimeout(1),
        lambda: a.shutdown(socket.SHUT_WR),
    ]
    for call in calls:
        try:
            seen.append(call())
        except OSError as error:
            seen.append(error.errno == errno.EBADF)
    return [*seen, a.fileno(), a.detach()]


@scenario("ssl")
def close_without_a_word(a: End, b: End) -> object:
    """`ssl` sends no close_notify, and takes none for granted either; here it is part of it."""
    b.close()
    return first_raised(lambda: a.recv(1))


@scenario("socket")
def close_with_a_reset(a: End, b: End) -> object:
    b.sendall(b"data")
    time.sleep(0.02)
    plain = socket.socket(fileno=b.detach())
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    plain.close()
    time.sleep(0.02)
    return [exactly(a, 4), first_raised(lambda: a.recv(1))]


@scenario("socket")
def shutdown_without_room(a: End, b: End) -> object:
    _fill(a)
    a.settimeout(10)
    woken: list[object] = []
    reader = threading.Thread(target=lambda: woken.append(first_raised(lambda: a.recv(10))))
    reader.start()
    time.sleep(0.05)
    seen = [_seconds(lambda: a.shutdown(socket.SHUT_RDWR)) < 2]
    reader.join(2)
    return [*seen, woken, first_raised(lambda: a.send(b"x"))]


@scenario("socket")
def close_without_room(a: End, b: End) -> object:
    _fill(a)
    a.settimeout(10)
    a.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    seen = [_seconds(a.close) < 2]
    return [*seen, first_raised(lambda: [b.recv(65536) for _ in range(10_000)])]


@scenario("socket")
def close_that_lingers(a: End, b: End) -> object:
    _fill(a, to_the_brim=False)
    a.settimeout(10)
    a.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 1))
    return 0.9 < _seconds(a.close) < 3


def _fill(end: End, *, to_the_brim: bool = True) -> None:
    """Send until the peer, who does not read, leaves no room, or little."""
    end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
    while select.select([], [end], [], 0.3)[1]:
        end.sendall(bytes(1000))
    if to_the_brim:
        end.setblocking(False)
        first_raised(lambda: [end.send(bytes(100)) for _ in range(1_000_000)])


def _seconds(call: Callable[[], object]) -> float:
    began = time.monotonic()
    call()
    return time.monotonic() - began


@scenario("socket")
def context_manager(a: End, b: End) -> object:
    with a as entered:
        same = entered is a
        a.sendall(b"x")
    return [same, a.fileno(), exactly(b, 1), b.recv(1)]


@scenario("socket")
def detach(a: End, b: End) -> object:
    before = a.fileno()
    descriptor = a.detach()
    with socket.socket(fileno=descriptor) as plain:
        seen = [descriptor == before, a.fileno(), a.detach()]
        return [*seen, plain.getpeername() == b.getsockname()]


@scenario("ssl")
def unwrap(a: End, b: End) -> object:
    plain: list[socket.socket] = []
    other = threading.Thread(target=lambda: plain.append(b.unwrap()))
    other.start()
    mine = a.unwrap()
    other.join(10)
    with mine, plain[0]:
        mine.sendall(b"in the clear")
        return exactly(plain[0], 12)


# What else sockets have


@scenario("socket")
def makefile(a: End, b: End) -> object:
    with a.makefile("rwb") as file, b.makefile("rw", encoding="utf-8", newline="\n") as text:
        file.write(b"line\n")
        file.flush()
        text.write(text.readline().upper() + "two\n")
        text.flush()
        lines = [file.readline(), file.readline()]
    with a.makefile("r") as text:
        return [lines, text.name == a.fileno(), text.buffer.raw.mode, text.fileno() == a.fileno()]


@scenario("socket")
def makefile_modes(a: End, b: End) -> object:
    seen: list[object] = []
    for mode, options in (
        *(("r", {}), ("w", {}), ("rw", {}), ("rb", {}), ("wb", {}), ("rwb", {}), ("b", {})),
        *(("rb", {"buffering": 0}), ("wb", {"buffering": 0}), ("rb", {"buffering": 7})),
        *(("r", {"errors": "replace", "encoding": "ascii", "newline": "\r\n"}),),
        *(("a", {}), ("x", {}), ("r", {"buffering": 0})),
    ):
        try:
            with a.makefile(mode, **options) as file:
                raw: Any = file if isinstance(file, io.RawIOBase) else None
                seen.append((file.readable(), file.writable(), file.seekable(), raw is not None))
                if raw is not None:
                    seen.append((raw.name == a.fileno(), raw.mode))
        except Exception as error:
            seen.append(type(error).__name__)
    return seen


@scenario("socket")
def makefile_keeps_open(a: End, b: End) -> object:
    file = a.makefile("rb")
    a.close()
    b.sendall(b"a line\n")
    seen = [file.readline(), a.fileno() != -1]
    file.close()
    return [*seen, a.fileno(), file.closed]


@scenario("socket")
def makefile_timeout(a: End, b: End) -> object:
    a.settimeout(0.05)
    with a.makefile("rb") as file:
        return [first_raised(file.readline), first_raised(file.readline)]


@scenario("socket")
def makefile_without_blocking(a: End, b: End) -> object:
    a.setblocking(False)
    with a.makefile("rwb", buffering=0) as file, a.makefile("rb") as buffered:
        seen = [file.read(5), buffered.read(5)]
        b.sendall(b"here")
        select.select([a], [], [], 10)
        seen.append(file.read(5))
        written = file.write(b"abc")
        for _ in range(100_000):
            if written is None:
                break
            written = file.write(bytes(100_000))
        return [*seen, written]


@scenario("socket")
def makefile_writes_without_blocking(a: End, b: End) -> object:
    """What does not fit is told by `characters_written`; from there the program goes on."""
    data = random.Random(1).randbytes(3_000_000)
    seen = []
    a.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 100_000)
    b.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 100_000)
    a.setblocking(False)
    for mode, buffering in (("wb", -1), ("rwb", -1), ("wb", 1500), ("wb", 100_000), ("wb", 0)):
        received = bytearray()
        reader = threading.Thread(target=_receive_late, args=(b, received, len(data)))
        reader.start()
        file = a.makefile(mode, buffering=buffering)
        stopped = at = 0
        while at < len(data):
            # Not what did not fit before, but more of the stream, or less.
            some = data[at : at + (300_000, 100, 70_000)[stopped % 3]]
            try:
                count = file.write(some)
            except BlockingIOError as error:
                count = error.characters_written or None
            at += count or 0
            if count is None:
                stopped += 1
                select.select([], [a], [], 10)
        _until_it_fits(a, file.flush)
        reader.join(20)
        file.close()
        assert stopped, "everything fitted"
        seen.append((mode, buffering, received == data))
    return seen


@scenario("socket")
def makefile_drops_without_blocking(a: End, b: End) -> object:
    """A program that gives up what did not fit, closes the file and says something else."""
    data = random.Random(2).randbytes(30_000_000)
    received = bytearray()
    a.setblocking(False)
    file = a.makefile("wb")
    at = 0
    try:
        while True:
            at += file.write(data[at : at + 300_000])
    except BlockingIOError as error:
        at += error.characters_written
    reader = threading.Thread(target=_receive_late, args=(b, received, at + 22))
    reader.start()
    for some in (b"something else", memoryview(b", more")):
        while some:
            try:
                some = some[file.write(some) :]
            except BlockingIOError as error:
                some = some[error.characters_written :]
                select.select([], [a], [], 10)
    _until_it_fits(a, file.flush)
    file.close()
    seen = [file.closed, a.send(b"!!")]
    reader.join(20)
    return [*seen, received == data[:at] + b"something else, more!!"]


@scenario("socket")
def makefile_closes_without_blocking(a: End, b: End) -> object:
    """`close` tells what does not fit, and closes the file; the socket goes on."""
    a.setblocking(False)
    file = a.makefile("wb")
    first_raised(lambda: [file.write(bytes(300_000)) for _ in range(1000)])
    seen = [first_raised(file.flush), first_raised(file.close), file.closed]
    received = bytearray()
    reader = threading.Thread(target=_receive_until_end, args=(b, received))
    reader.start()
    _until_it_fits(a, lambda: a.send(b"on it goes"))
    _until_it_fits(a, lambda: a.shutdown(socket.SHUT_WR))
    reader.join(20)
    return [*seen, received[-10:], received.count(0) == len(received) - 10]


def _until_it_fits(end: End, call: Callable[[], object]) -> None:
    while True:
        try:
            call()
            return
        except BlockingIOError:
            select.select([], [end], [], 10)


def _receive_late(end: End, received: bytearray, size: int) -> None:
    time.sleep(0.05)
    while len(received) < size:
        received += end.recv(size - len(received))


def _receive_until_end(end: End, received: bytearray) -> None:
    while data := end.recv(65536):
        received += data


@scenario("socket")
def reset_after_data(a: End, b: End) -> object:
    _send_and_reset(b)
    return [a.recv(3), a.recv(100), first_raised(lambda: a.recv(1))]


@scenario("socket")
def makefile_reset(a: End, b: End) -> object:
    _send_and_reset(b)
    with a.makefile("rb") as file:
        return [file.readline(), first_raised(file.readline)]


@scenario("socket")
def makefile_reset_unbuffered(a: End, b: End) -> object:
    _send_and_reset(b)
    with a.makefile("rb", buffering=0) as file:
        return [file.readline(), file.read(100), first_raised(lambda: file.read(100))]


def _send_and_reset(end: End) -> None:
    end.sendall(b"one\ntw")
    time.sleep(0.05)
    with socket.socket(fileno=end.detach()) as plain:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    time.sleep(0.05)


@scenario("socket")
def makefile_closed(a: End, b: End) -> object:
    file = a.makefile("rwb", buffering=0)
    file.close()
    file.close()
    return [
        first_raised(file.readable),
        first_raised(file.writable),
        first_raised(file.seekable),
        first_raised(file.fileno),
        first_raised(lambda: file.read(1)),
        file.name,
        file.closed,
        a.fileno() != -1,
    ]


@scenario("socket")
def makefile_after_close(a: End, b: End) -> object:
    a.close()
    return first_raised(lambda: a.makefile("rb") and None)


@scenario("socket")
def addresses(a: End, b: End) -> object:
    return [a.getsockname() == b.getpeername(), a.getpeername() == b.getsockname()]


@scenario("socket")
def attributes(a: End, b: End) -> object:
    return [a.family, a.type, a.proto, a.fileno() > 2, type(a.fileno()).__name__]


@scenario("socket")
def options(a: End, b: End) -> object:
    level, option = socket.SOL_SOCKET, socket.SO_KEEPALIVE
    before = a.getsockopt(level, option)
    a.setsockopt(level, option, 1)
    a.setsockopt(level, socket.SO_LINGER, struct.pack("ii", 0, 0))
    packed = a.getsockopt(level, option, 4)
    wrong = first_raised(lambda: a.setsockopt(9999, 1, 1))
    return [before, struct.unpack("i", packed)[0] > 0, wrong]


@scenario("socket")
def inheritable(a: End, b: End) -> object:
    seen = [a.get_inheritable()]
    a.set_inheritable(True)
    seen.append(a.get_inheritable())
    a.set_inheritable(False)
    return [*seen, a.get_inheritable()]


@scenario("socket")
def copying(a: End, b: End) -> object:
    ways: list[Callable[[End], object]] = [copy.copy, copy.deepcopy, pickle.dumps]
    return [first_raised(partial(way, a)) for way in ways]


@scenario("ssl")
def dup(a: End, b: End) -> object:
    return first_raised(a.dup)


@scenario("ssl")
def selecting(a: End, b: End) -> object:
    b.sendall(b"xyz")
    seen = [bool(select.select([a], [], [], 10)[0]), exactly(a, 1)]
    return [*seen, bool(select.select([a], [], [], 0)[0]), a.pending()]


@scenario("ssl")
def handshake_again(a: End, b: End) -> object:
    return a.do_handshake()


@scenario("ssl")
def handshake_block(a: End, b: End) -> object:
    return first_raised(lambda: a.do_handshake(True))


@scenario("ssl")
def close_without_blocking(a: End, b: End) -> object:
    """A server throws out a client that does not read."""
    a.setblocking(False)
    with suppress(BlockingIOError, ssl.SSLWantWriteError):
        fill(a)
    return [a.close(), a.fileno()]


@scenario("ssl")
def about_the_handshake(a: End, b: End) -> object:
    """The same facts by the names of `ssl`, or from `info`."""
    if hasattr(a, "info"):
        info = a.info
        cipher, certificate = info.cipher_suite, info.peer_chain_der[0]
        facts = [info.version, info.alpn, info.server_name, info.resumed]
    else:
        cipher, certificate = a.cipher()[0], a.getpeercert(True)
        facts = [a.version(), a.selected_alpn_protocol(), a.server_hostname, a.session_reused]
    return [*facts, cipher[:8], b"localhost" in certificate]


@scenario("ssl")
def methods_of_ssl(a: End, b: End) -> object:
    names = (
        *("read", "write", "cipher", "shared_ciphers", "compression", "version", "getpeercert"),
        *("selected_alpn_protocol", "selected_npn_protocol", "get_channel_binding", "context"),
        *("server_side", "server_hostname", "session", "session_reused"),
        *("verify_client_post_handshake",),
    )
    return {hasattr(a, name) for name in names}


@scenario("socket")
def listening(a: End, b: End) -> object:
    """A `TLSSocket` is made of a socket that is connected."""
    return {hasattr(a, name) for name in ("accept", "bind", "listen", "connect", "connect_ex")}
