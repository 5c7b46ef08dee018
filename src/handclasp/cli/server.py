"""A TLS server over blocking sockets: a bounded number of threads, one for each connection."""

from __future__ import annotations

import errno
import os
import selectors
import signal
import socket
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Any

from handclasp.cli.captures import CaptureFile, brief_recorder, capturing_recorder
from handclasp.cli.outcome import WrongArguments
from handclasp.cli.patience import STALLED_SECONDS

if TYPE_CHECKING:
    from handclasp import ConnectionInfo, Recorder, ServerConfig, TLSSocket

MAX_CONNECTIONS = 64
"""Connections served at once; others wait in the listening socket's queue."""

IDLE_SECONDS = 60.0
"""The seconds that a client may keep a silent connection."""

_LAST_SECONDS = 2.0
"""The seconds that aborted connections may take to be written into the capture."""

_SOON_SECONDS = 0.3
"""The seconds that a stopping server waits before it reports that it waits."""

_WAKE_SECONDS = 1.0
"""Some systems do not interrupt `accept` for a signal, so it returns now and then."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One connection: who came, and what became of it.

    Attributes:
        host, port: where the client is.
        info: what was agreed upon; None where the handshake failed.
        error: what failed, in the handshake or after it.
        recorder: what was recorded: all of it if that was asked for, else the beginning.
    """

    host: str
    port: int
    info: ConnectionInfo | None = None
    error: OSError | None = None
    recorder: Recorder | None = None


Talk = Callable[["TLSSocket", "tuple[str, int]"], None]
"""Speaks the application's protocol with one client, until it returns or raises `OSError`.

Where it waits for the client to begin something, it calls `receive`.
"""

_current = threading.local()
"""`server`: whose connection this thread serves."""


def receive(tls: TLSSocket, buffer: Any, seconds: float, pause: float = 0.0) -> int:
    """Read what the client begins, into `buffer`; gives how many bytes, and 0 at the end.

    That is also where the server of this thread finishes, and nothing has come so far.

    Args:
        seconds: how long to wait for the client.
        pause: how many seconds of them are left to the client of a server that finishes.

    Raises:
        TimeoutError: nothing has come within the time.
    """
    server: Server | None = getattr(_current, "server", None)
    if server is not None:
        return server.receive(tls, buffer, seconds, pause)
    tls.settimeout(seconds)
    return tls.recv_into(buffer)


def is_finishing() -> bool:
    """Return whether the server of this thread's connection is about to stop."""
    server: Server | None = getattr(_current, "server", None)
    return server is not None and server.finishing


def is_served() -> bool:
    """Return whether this thread serves a connection of a server."""
    return getattr(_current, "server", None) is not None


class Server:
    """Accepts, completes handshakes and lets `talk` go on from there.

    Args:
        listener: from `listen`; the server then owns it.
        report: a function that is called with each finished handshake, in the connection's thread,
            and once more if the connection fails with an alert later.
        on_end: a function that is called when a connection has ended without an error.
        record: makes a recorder for each connection.
        capture: where to add each connection when it has ended.
    """

    def __init__(
        self,
        listener: socket.socket,
        config: ServerConfig,
        talk: Talk,
        report: Callable[[Visit], None],
        *,
        on_end: Callable[[Visit], None] | None = None,
        record: Callable[[], Recorder] | None = None,
        capture: CaptureFile | None = None,
    ) -> None:
        self._listener = listener
        self._config = config
        self._talk = talk
        self._report = report
        self._on_end = on_end
        self._record = record
        self._capture = capture
        self._free = threading.BoundedSemaphore(MAX_CONNECTIONS)
        self._open: dict[socket.socket, threading.Thread] = {}
        self._handshaking: set[socket.socket] = set()
        # Threads that wait for a client wait for the bell, too; it rings when the other end closes.
        self._bell, self._ringer = socket.socketpair()
        self.finishing = False
        self._lock = threading.Lock()
        self._closed = False
        listener.settimeout(_WAKE_SECONDS)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._listener.getsockname()[1])

    def serve_forever(self) -> None:
        """Accept until `close`, which another thread or an interrupt calls."""
        while not self._closed:
            if not self._free.acquire(timeout=_WAKE_SECONDS):
                continue
            try:
                sock, address = self._listener.accept()
            except OSError as error:
                self._free.release()
                if self._closed:
                    return
                if isinstance(error, TimeoutError) or error.errno in _PASSING:
                    continue
                raise
            self._start(sock, (str(address[0]), int(address[1])))

    def finish(self, tell: Callable[[int], None]) -> None:
        """Stop listening, let what has begun come to its end, and wait for that.

        Handshakes are broken off, and connections on which nothing goes on are closed. Answers are
        sent for as long as their clients go on reading. An interrupt ends the waiting.

        Args:
            tell: a function that gets the number of open connections, if waiting takes a moment.
        """
        self._stop()
        deadline = time.monotonic() + _SOON_SECONDS
        with self._lock:
            threads = list(self._open.values())
            for sock in self._handshaking:
                _shut(sock)
        for thread in threads:
            _join(thread, deadline - time.monotonic())
        left = [thread for thread in threads if thread.is_alive()]
        if left:
            tell(len(left))
        for thread in left:
            thread.join()

    def close(self) -> None:
        """Stop listening and end what is open, at once."""
        self._stop()
        with self._lock:
            threads = list(self._open.values())
            for sock in self._open:
                _shut(sock)
        if self._capture is not None:
            deadline = time.monotonic() + _LAST_SECONDS
            for thread in threads:
                _join(thread, deadline - time.monotonic())

    def _stop(self) -> None:
        self._closed = self.finishing = True
        self._listener.close()
        self._ringer.close()
        with self._lock:
            self._put_bell_away()

    def _put_bell_away(self) -> None:
        if self.finishing and not self._open:
            self._bell.close()

    def receive(self, tls: TLSSocket, buffer: Any, seconds: float, pause: float) -> int:
        """See `receive` above, in a thread of this server."""
        from handclasp import WantRead, WantWrite

        deadline = time.monotonic() + seconds
        tls.settimeout(0)
        with _selector() as selector:
            selector.register(tls, selectors.EVENT_READ)
            while True:
                try:
                    return tls.recv_into(buffer)
                except (WantRead, WantWrite):  # There may have been a KeyUpdate, or half a record.
                    if not self._wait(selector, deadline, pause):
                        return 0

    def _wait(self, selector: selectors.BaseSelector, deadline: float, pause: float) -> bool:
        """Wait for data; return False if the server stops."""
        left = deadline - time.monotonic()
        if left > 0 and not self.finishing:
            selector.register(self._bell, selectors.EVENT_READ)
            ready = selector.select(left)
            selector.unregister(self._bell)
            if any(key.fileobj is not self._bell for key, _ in ready):
                return True
            left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the client says nothing")
        return bool(selector.select(min(pause, left)))

    def _start(self, accepted: socket.socket, address: tuple[str, int]) -> None:
        sock = _Accepted(fileno=accepted.detach())
        thread = threading.Thread(target=self._serve, args=(sock, address), daemon=True)
        try:
            with self._lock:  # So that `close` finds it either begun or not at all.
                self._open[sock] = thread
                self._handshaking.add(sock)
                thread.start()
        except RuntimeError:  # No more threads on this machine: this client has bad luck.
            self._forget(sock)

    def _serve(self, sock: socket.socket, address: tuple[str, int]) -> None:
        _current.server = self
        try:
            self._converse(sock, address)
        finally:
            self._forget(sock)

    def _converse(self, sock: socket.socket, address: tuple[str, int]) -> None:
        if self._capture is None:
            recorder = (self._record or brief_recorder)()
            self._converse_recorded(sock, address, recorder)
            return
        recorder = capturing_recorder()
        try:
            self._converse_recorded(sock, address, recorder)
        finally:
            with suppress(OSError):  # The disk is full; clients still come.
                self._capture.add(recorder)

    def _converse_recorded(
        self, sock: socket.socket, address: tuple[str, int], recorder: Recorder
    ) -> None:
        import handclasp

        try:
            sock.settimeout(IDLE_SECONDS)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            tls = handclasp.wrap_server(sock, self._config, trace=recorder)
        except OSError as error:
            self._tell(Visit(*address, error=error, recorder=recorder))
            return
        with self._lock:
            self._handshaking.discard(sock)
        self._tell(Visit(*address, info=tls.info, recorder=recorder))
        try:
            with tls:
                self._talk(tls, address)
                tls.settimeout(STALLED_SECONDS)  # for closing, whatever the talk has set
        except handclasp.PeerAlertError as error:
            self._tell(Visit(*address, info=tls.info, error=error))
            return
        except OSError:
            pass  # Clients come and go as they like, often without a word.
        if self._on_end is not None:
            self._tell(Visit(*address, info=tls.info, recorder=recorder), self._on_end)

    def _tell(self, visit: Visit, report: Callable[[Visit], None] | None = None) -> None:
        if not self._closed:
            # Nobody listens to the report any more, or it cannot be put into words that the output
            # takes (`UnicodeError`); clients still come.
            with suppress(OSError, ValueError):
                (report or self._report)(visit)

    def _forget(self, sock: socket.socket) -> None:
        with self._lock:
            self._open.pop(sock, None)
            self._handshaking.discard(sock)
            self._put_bell_away()
        sock.close()
        self._free.release()


class _Accepted(socket.socket):
    """A client's socket, which can be shut down while TLS is spoken over it.

    A plain one would belong to the `TLSSocket` alone, and could not be.
    """


def _join(thread: threading.Thread, seconds: float) -> None:
    """Wait for a thread, unless an interrupt came while it was about to start."""
    with suppress(RuntimeError):
        thread.join(max(0.0, seconds))


def _selector() -> selectors.BaseSelector:
    """One that needs no descriptor of its own."""
    kind = getattr(selectors, "PollSelector", selectors.SelectSelector)
    selector: selectors.BaseSelector = kind()
    return selector


def _shut(sock: socket.socket) -> None:
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


def listen(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """Return a listening socket; raise `WrongArguments` if that fails.

    Args:
        shared: let several sockets listen on this port, among which the system divides the clients.
    """
    try:
        found = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICSERV
        )
    except (socket.gaierror, UnicodeError):
        raise WrongArguments(f"--host {host}: this machine has no such address.") from None
    family, kind, protocol, _, address = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":  # Elsewhere it would let two servers share the port.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(address)
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise WrongArguments(_why_not(error, host, port)) from None
    return listener


@contextmanager
def stopping_on_signals() -> Generator[None]:
    """Let SIGTERM, as well as Ctrl-C, raise `KeyboardInterrupt` in the main thread.

    A shell starts background jobs with SIGINT ignored, but a server should still end on it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {
        number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def url_of(host: str, port: int) -> str:
    """Return the URL of a server that listens on `host`."""
    if host in ("", "0.0.0.0", "::", "127.0.0.1", "::1"):  # noqa: S104 (compared, not bound)
        host = "localhost"
    return f"https://[{host}]:{port}/" if ":" in host else f"https://{host}:{port}/"


def _why_not(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} of {host} is in use already: choose another one with --port."
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"Port {port} may not be used by this user: choose one from 1024 on with --port."
    if error.errno == errno.EADDRNOTAVAIL:
        return f"--host {host}: this machine has no such address."
    return f"Cannot listen on {host} port {port}: {error.strerror or error}."


_PASSING = (errno.ECONNABORTED, errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
"""Errors of `accept` that a server survives."""
