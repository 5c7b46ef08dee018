"""A faulty server on a socket: `FaultyServer`, which runs in threads of its own.

>>> from handclasp.testing import FaultyServer, Outcome
>>> with FaultyServer("expired") as server:
...     config = ClientConfig(trust=server.authority.trust)
...     try:
...         handclasp.connect("localhost", server.port, config)
...     except handclasp.TLSError as error:
...         print(error.fault_name)
...     outcome: Outcome = server.outcome()
CERTIFICATE_EXPIRED
>>> outcome.result, outcome.alert
('refused', 'certificate_expired')
"""

from __future__ import annotations

import socket
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from selectors import EVENT_READ, DefaultSelector
from typing import Self, cast

from handclasp.certificates.credentials import Credentials
from handclasp.errors import ConfigurationError
from handclasp.testing.arguments import (
    check_authority,
    check_fault,
    check_function,
    check_listener,
    check_names,
    check_port,
    check_seconds,
)
from handclasp.testing.authority import RootAuthority, pem_of
from handclasp.testing.catalogue import fault_of_server
from handclasp.testing.chains import Chain, server_chains
from handclasp.testing.meeting import Answer, ServerMeeting, meet_well
from handclasp.testing.outcome import Outcome
from handclasp.testing.wire import Wire
from handclasp.values import replace

NAMES = ("localhost", "127.0.0.1", "::1")

MAX_CONNECTIONS = 256
"""Connections at once; others are closed as they come."""

MAX_OUTCOMES = 1000
"""Outcomes that are kept; older ones are dropped."""


_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"
_PAGE = b"The client has no objection to this server.\n"


def http_answer(body: bytes = _PAGE) -> Answer:
    """Return an `answer` for `FaultyServer`: this page, to every whole head of an HTTP request.

    The page has no length: it ends with the connection.

    >>> from handclasp.testing import http_answer
    >>> http_answer(b"hello")(b"GET / HTTP/1.0\\r\\n\\r\\n").splitlines()[-1]
    b'hello'

    Raises:
        ConfigurationError: the page is not bytes.
    """
    if not isinstance(cast("object", body), bytes):
        raise ConfigurationError(f"The page of an answer is bytes, not {type(body).__name__}.")
    return lambda data: _HEAD + body if b"\r\n\r\n" in data else None


class FaultyServer:
    """A server that misbehaves in one named way, and notes how each client takes it.

    It listens at once on 127.0.0.1 and a free port, and serves in threads until `close`, which
    ends all connections and waits for the threads. Without a fault it is a good server.

    See `handclasp.testing.server` for an example.

    Args:
        fault: a name of `SERVER_FAULTS`, "alert:NAME", or None.
        authority: the issuer of its certificate, for clients to trust; a new one if None.
        credentials: a certificate and its key instead, for faults of the protocol.
        names: the DNS names and IP addresses in its certificate.
        host: the address to listen on.
        port: the port; 0 takes a free one.
        listener: a listening socket instead of `host` and `port`, which the server then closes.
        answer: returns what a client gets that has no objection; `http_answer()` if None.
        seconds: the time for one connection.
        report: is called with each outcome, in the connection's thread. What it raises is in the
            `trouble` of the outcome, and so is what `answer` raises.

    Raises:
        ConfigurationError: there is no such fault, `credentials` are given for a fault of the
            certificate, or another argument cannot be used.
        OSError: the port cannot be used.

    Attributes:
        fault: its entry in the catalogue; None for a good server.
        outcomes: the outcomes of the last 1,000 connections that have ended.
    """

    def __init__(
        self,
        fault: str | None = None,
        *,
        authority: RootAuthority | None = None,
        credentials: Credentials | None = None,
        names: Sequence[str] = NAMES,
        host: str = "127.0.0.1",
        port: int = 0,
        listener: socket.socket | None = None,
        answer: Answer | None = None,
        seconds: float = 30.0,
        report: Callable[[Outcome], None] | None = None,
    ) -> None:
        if fault is not None:
            check_fault(fault)
        check_seconds(seconds)
        check_port(port, 0)
        check_names(names)
        check_authority(authority)
        check_listener(listener)
        check_function("answer", answer)
        check_function("report", report)
        self.fault = fault_of_server(fault) if fault is not None else None
        if credentials is not None and self.fault is not None and self.fault.kind == "certificate":
            raise ConfigurationError(f"The fault {fault} makes a certificate of its own.")
        self.authority = authority if authority is not None else RootAuthority("handclasp testing")
        if credentials is not None:
            self._chains: tuple[Chain, ...] = (Chain(credentials),)
        else:
            self._chains = server_chains(fault or "", self.authority, names)
        self.outcomes: deque[Outcome] = deque(maxlen=MAX_OUTCOMES)
        self._unread: deque[Outcome] = deque(maxlen=MAX_OUTCOMES)
        self._answer = answer if answer is not None else http_answer()
        self._seconds, self._report = seconds, report
        self._stopping = threading.Event()
        self._changed = threading.Condition()
        self._open: dict[threading.Thread, socket.socket] = {}
        self._listener = listener or socket.create_server((host, port))
        self._listener.setblocking(False)
        self._bell, self._ringer = socket.socketpair()
        name = f"handclasp testing {fault or 'server'}"
        self._acceptor = threading.Thread(target=self._accept, name=name, daemon=True)
        self._acceptor.start()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._listener.getsockname()[1])

    @property
    def url(self) -> str:
        """Its URL, with the name localhost."""
        return f"https://localhost:{self.port}/"

    @property
    def crl_pem(self) -> bytes:
        """The revocation list of the authority, as PEM; a revoked certificate is in it."""
        return pem_of(self.authority.crl([each.leaf for each in self._chains if each.revoked]))

    def outcome(self, seconds: float = 10.0) -> Outcome:
        """Return the outcome of the next connection, each once and the oldest first.

        Raises:
            TimeoutError: no other connection has ended after these seconds.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._unread, seconds):
                raise TimeoutError(f"No connection has ended within {seconds:g} seconds.")
            return self._unread.popleft()

    def close(self) -> None:
        """Stop listening, end every connection, and wait for the threads. It may be repeated."""
        self._stopping.set()
        with suppress(OSError):
            self._ringer.send(b"x")
        self._acceptor.join()
        with self._changed:
            threads = dict(self._open)
        for sock in threads.values():
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()
        for each in (self._listener, self._bell, self._ringer):
            each.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _accept(self) -> None:
        with DefaultSelector() as ready:
            ready.register(self._listener, EVENT_READ)
            ready.register(self._bell, EVENT_READ)
            while not self._stopping.is_set():
                ready.select()
                self._accept_one()

    def _accept_one(self) -> None:
        try:
            sock, address = self._listener.accept()
        except OSError:  # The bell has rung, or the client has left already.
            return
        shown = f"{address[0]}:{address[1]}" if isinstance(address, tuple) else ""
        thread = threading.Thread(target=self._serve, args=(sock, shown), daemon=True)
        with self._changed:
            has_room = len(self._open) < MAX_CONNECTIONS
            if has_room:
                self._open[thread] = sock
        if has_room:
            thread.start()
        else:
            sock.close()

    def _serve(self, sock: socket.socket, address: str) -> None:
        try:
            with sock:
                outcome = self._meet(sock)
            outcome = replace(outcome, address=address)
            if self._report is not None:
                try:
                    self._report(outcome)
                except Exception as error:  # The outcome has to be kept, whatever it raises.
                    raised = f"report raised {type(error).__name__}: {error}"
                    outcome = replace(outcome, trouble=outcome.trouble or raised)
            with self._changed:
                self.outcomes.append(outcome)
                self._unread.append(outcome)
                self._changed.notify_all()
        finally:
            with self._changed:
                del self._open[threading.current_thread()]

    def _meet(self, sock: socket.socket) -> Outcome:
        if self.fault is None:
            shown = [each.credentials for each in self._chains]
            return meet_well(sock, shown, self._answer, self._seconds)
        wire = Wire(sock, self._seconds, self._stopping)
        return ServerMeeting(self.fault, self._chains, wire, self._answer).outcome()
