"""A thread that ends a connection while another one is at any point of its own call."""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from types import FrameType
from typing import Any

import pytest
from tests.adapters.pairs import Aside, plain_pair, tls_pair

from handclasp import ClientConfig, ServerConfig, TLSSocket, wrap_client, wrap_server
from handclasp.adapters import duplex


class Halted:
    """Calls something in a thread, and halts it at the n-th line of the adapter.

    Attributes:
        went_by: whether the call ended before it came to that line.
    """

    def __init__(self, call: Callable[[], object], at: int) -> None:
        self._left = at
        self._here = threading.Event()
        self._go_on = threading.Event()
        self.went_by = True
        self._call = Aside(self._run, call)
        self._here.wait(10)

    def go_on(self) -> Any:
        """Let it run on; gives what it gives."""
        self._go_on.set()
        return self._call.result()

    def _run(self, call: Callable[[], object]) -> object:
        sys.settrace(self._enter)
        try:
            return call()
        finally:
            sys.settrace(None)
            self._here.set()

    def _enter(self, frame: FrameType, event: str, argument: Any) -> Any:
        return self._step if frame.f_code.co_filename == duplex.__file__ else None

    def _step(self, frame: FrameType, event: str, argument: Any) -> Any:
        if event == "line":
            self._left -= 1
            if self._left == 0:
                self.went_by = False
                self._here.set()
                self._go_on.wait(10)
        return self._step


def end_by_both(
    client: TLSSocket, server: TLSSocket, halted: Halted
) -> tuple[socket.socket | None, socket.socket]:
    """What `unwrap` gives on either side, while a `close` of the client is halted."""
    other = Aside(server.unwrap)
    unwrapping = Aside(client.unwrap)
    until = time.monotonic() + 0.05  # It may have to wait for the one that is halted.
    while not unwrapping.done() and time.monotonic() < until:
        time.sleep(0.0005)
    halted.go_on()
    try:
        mine = unwrapping.result()
    except OSError:
        mine = None
    return mine, other.result()


def test_a_socket_that_unwrap_gives_back_is_not_touched_by_a_close_at_whatever_line(
    client_config: ClientConfig, server_config: ServerConfig
) -> None:
    given_back = 0
    for line in count(1):
        with tls_pair(client_config, server_config) as (client, server):
            client.settimeout(None)  # What is given back blocks without end.
            server.settimeout(5)
            halted = Halted(client.close, line)
            mine, theirs = end_by_both(client, server, halted)
            with theirs:
                if mine is not None:
                    given_back += 1
                    with mine:
                        mine.sendall(b"in the clear")
                        assert theirs.recv(100) == b"in the clear", line
        if halted.went_by:
            break
    assert given_back


class Ending(socket.socket):
    """Tells when it is shut down."""

    shut = threading.Event()

    def shutdown(self, how: int) -> None:
        super().shutdown(how)
        self.shut.set()


def test_a_close_lets_a_handshake_go_that_waits_for_its_turn_to_write(
    client_config: ClientConfig, server_config: ServerConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The handshake keeps the read lock then; who has the write lock must not wait for that."""
    monkeypatch.setattr(duplex, "_LEAVE_SECONDS", 20.0)
    confirming = threading.Event()

    def confirm(question: Any) -> bool:
        confirming.set()
        return sock.shut.wait(10)

    config = replace(client_config, confirm_peer=confirm)
    with plain_pair() as (left, right), Ending(fileno=left.detach()) as sock:
        server = Aside(wrap_server, right, server_config)
        client = wrap_client(sock, config, server_name="localhost", handshake=False)
        handshake = Aside(client.do_handshake)
        assert confirming.wait(10)
        began = time.monotonic()
        Aside(client.close).result()
        assert time.monotonic() - began < 10
        with pytest.raises(OSError, match="closed"):
            handshake.result()
        with pytest.raises(OSError):
            server.result()
