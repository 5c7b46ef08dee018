"""Standard input and output as the two ends of a TLS conversation, byte for byte."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from handclasp.errors import ConfigurationError

if TYPE_CHECKING:
    from handclasp import TLSSocket

_CHUNK = 64 * 1024

QUIET_SECONDS = 2.0
"""The seconds of silence in an answer after which `send_and_read` ends its own half."""


@dataclass(slots=True)
class Received:
    """The answer: all of it if it is to be kept, and its size in bytes."""

    size: int = 0
    kept: bytearray = field(default_factory=bytearray, repr=False)


class OutputClosed(Exception):
    """The reader of standard output is gone."""


def converse(tls: TLSSocket) -> None:
    """Send standard input and print what arrives, until the peer closes.

    The end of standard input closes this side's half only: the peer may go on answering. Raises
    `OutputClosed`, and `OSError` as the socket does.
    """
    sender = _Sender(tls)
    sender.start()
    while data := tls.recv(_CHUNK):
        print_bytes(data)
    # A sender that failed because the peer had finished has nothing to tell.


def send_and_read(tls: TLSSocket, data: bytes, *, keep: bool) -> Received:
    """Send `data`, then read until the peer closes.

    A peer that waits for more (an echo, or HTTP that keeps its connections) would never close:
    once its answer pauses for `QUIET_SECONDS`, this side closes its half.

    Args:
        keep: keep what arrives in the result instead of printing it.

    Raises:
        OutputClosed: nobody reads standard output any more.
        OSError: as the socket does.
    """
    received = Received()
    tls.sendall(data)
    asked = True
    while True:
        try:
            chunk = tls.recv(_CHUNK)
        except TimeoutError:
            if not asked:
                raise
            asked = False
            tls.settimeout(None)
            tls.shutdown_write()
            continue
        if not chunk:
            return received
        received.size += len(chunk)
        if keep:
            received.kept += chunk
        else:
            print_bytes(chunk)
        if asked:
            tls.settimeout(QUIET_SECONDS)


def print_bytes(data: bytes) -> None:
    """Write to standard output as it is. Raises `OutputClosed`."""
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        _discard_output()
        raise OutputClosed from None


class _Sender(threading.Thread):
    """Carries standard input to the peer; nobody waits for it, as input may never end."""

    def __init__(self, tls: TLSSocket) -> None:
        super().__init__(daemon=True, name="standard input")
        self._tls = tls

    def run(self) -> None:
        # The reading side tells why a connection ended.
        with suppress(OSError, ConfigurationError):
            while data := _read_input():
                self._tls.sendall(data)
            self._tls.shutdown_write()


def _read_input() -> bytes:
    """Whatever there is on standard input, b"" at its end."""
    # Reading the descriptor holds no lock of the buffered file: a thread that still waits here
    # must not keep the interpreter from ending.
    try:
        descriptor = sys.stdin.fileno()
    except (AttributeError, OSError):
        return sys.stdin.buffer.read(_CHUNK) if sys.stdin is not None else b""
    return os.read(descriptor, _CHUNK)


def _discard_output() -> None:
    """Keep the interpreter from complaining about the broken pipe when it ends."""
    with suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
