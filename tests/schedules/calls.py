"""The calls on a socket that `TLSSocket` and `ssl.SSLSocket` have in common."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from tests.schedules.schedule import LARGE, Call, Schedule


def _recv(schedule: Schedule, tls: Any, size: int) -> None:
    while data := tls.recv(size):
        schedule.note(read=len(data))


def _recv_into(schedule: Schedule, tls: Any, size: int) -> None:
    buffer = bytearray(size)
    while count := tls.recv_into(buffer):
        schedule.note(read=count)


def _read_file(schedule: Schedule, tls: Any, size: int) -> None:
    with tls.makefile("rb", buffering=0) as file:
        while data := file.read(size):
            schedule.note(read=len(data))


def _sendall(schedule: Schedule, tls: Any, size: int) -> None:
    for _ in range(3):
        schedule.note(written=size)
        tls.sendall(LARGE[:size])


def _send(schedule: Schedule, tls: Any, size: int) -> None:
    for _ in range(3):
        schedule.note(written=tls.send(LARGE[:size]))


def _write_file(schedule: Schedule, tls: Any, size: int) -> None:
    with tls.makefile("wb", buffering=1000) as file:
        schedule.note(written=size)
        file.write(LARGE[:size])


READERS: dict[str, Call] = {"recv": _recv, "recv_into": _recv_into, "makefile.read": _read_file}

OTHERS: dict[str, Call] = {
    "do_handshake": lambda schedule, tls, size: tls.do_handshake(),
    "send": _send,
    "sendall": _sendall,
    "makefile.write": _write_file,
}

ENDINGS: dict[str, Call] = {
    "close": lambda schedule, tls, size: tls.close(),
    "SHUT_WR": lambda schedule, tls, size: tls.shutdown(socket.SHUT_WR),
    "SHUT_RDWR": lambda schedule, tls, size: tls.shutdown(socket.SHUT_RDWR),
}


def unwrapping(has_data: Callable[[Exception], bool]) -> Call:
    """Return a call of `unwrap`, which reads what stands before the end.

    Args:
        has_data: whether `unwrap` has raised this because there are data to be read.
    """

    def unwrap(schedule: Schedule, tls: Any, size: int) -> None:
        while True:
            try:
                schedule.given_back.append(tls.unwrap())
                return
            except Exception as error:
                if not has_data(error):
                    raise
                tls.recv(1_000_000)

    return unwrap
