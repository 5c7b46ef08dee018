"""A connection and its blocking socket, for a thread that reads and one that writes.

How it works. The plain socket is switched to non-blocking and every wait is a poll of our own, so
that one thread may read while another writes and neither ever blocks inside the kernel with a
lock in its hand. Three locks, always taken in this order:

- the read lock: one thread at a time reads from the transport and takes plaintext;
- the write lock: bytes leave the connection (`data_to_send`) and enter the socket under it only,
  hence in order. A writer keeps it while it waits for the peer to read;
- the state lock: around each call into the connection, never kept while waiting.

What a reader has to send (the answer to a KeyUpdate, an alert) it sends without blocking: if the
socket is full or a writer is at work, the bytes stay queued for whoever comes next. A reader that
waited for its answer to leave would stop reading, and two such peers would wait for each other
forever.
"""

from __future__ import annotations

import errno
import inspect
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn, TypeAlias

from handclasp.adapters.buffers import READ_BUFFERS, READ_SIZE, Plaintext
from handclasp.adapters.early import EarlyData
from handclasp.adapters.polling import wait
from handclasp.connection import ClientConnection, ServerConnection
from handclasp.errors import ConfigurationError, TLSError
from handclasp.events import DataReceived, Event, PeerClosed, QuestionAsked
from handclasp.faults import Fault

Connection: TypeAlias = ClientConnection | ServerConnection

WRITE_SIZE = 128 * 1024
"""Plaintext bytes sealed at once: what `write` needs beyond the caller's own data."""

_MAX_DRAINED = 256 * 1024
"""Bytes thrown away before a close, so that the kernel does not answer them with a reset."""


class Duplex:
    """What is under a `TLSSocket`. Several readers or several writers take turns.

    Attributes:
        connection: calls that change its state are made under `state_lock`.
        early: the 0-RTT data of this connection.
        sock: the plain socket, which does not block.
        timeout: seconds for each operation; None: without end.
        closed: whether the socket has been closed, or given back.
    """

    def __init__(
        self,
        sock: socket.socket,
        connection: Connection,
        handshake_timeout: float | None,
        early: EarlyData,
    ) -> None:
        self.connection = connection
        self.early = early
        self.sock = sock
        self.timeout = sock.gettimeout()
        self.closed = False
        self.state_lock = threading.Lock()
        self._handshake_timeout = handshake_timeout
        self._read_lock = threading.Lock()
        self._write_lock = threading.Lock()
        self._plaintext = Plaintext()
        self._unsent: deque[bytes | bytearray | memoryview] = deque()
        self._flush_wanted = False
        self._peer_closed = False
        self._shut = False
        self._read_failure: OSError | ConfigurationError | None = None
        self._write_failure: BaseException | None = None
        sock.setblocking(False)

    def handshake(self) -> None:
        """Complete the handshake, if it is not complete yet."""
        if self.connection.info is None:
            with self._read_lock:
                self._handshake()

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; b"" once the peer has closed."""
        with self._read_lock:
            if size:
                self._fill()
            return self._plaintext.take(size)

    def read_into(self, target: memoryview) -> int:
        """Read as many bytes into `target` as fit; gives how many there were."""
        with self._read_lock:
            if target:
                self._fill()
            return self._plaintext.take_into(target)

    @property
    def pending(self) -> int:
        """Bytes that can be read without the transport."""
        return self._plaintext.size

    def write(self, octets: bytes | memoryview) -> None:
        """Send all of `octets`."""
        self.check_open()
        if self.connection.info is None:
            self.handshake()
        if not octets:
            return
        deadline = self._deadline()
        try:
            with self._write_lock:
                if len(octets) <= WRITE_SIZE:
                    self._seal_and_push(octets, deadline)
                else:
                    self._seal_and_push_pieces(octets, deadline)
        except (BrokenPipeError, ConnectionResetError) as error:
            self._raise_what_the_peer_said(error)
        except TLSError:
            self._flush_wanted = True  # for the alert
            raise
        finally:
            if self._flush_wanted:
                self._flush()

    def send_by(self, queue: Callable[[Connection], None]) -> None:
        """Let the connection queue something and send it."""
        self.check_open()
        self.handshake()
        try:
            with self._write_lock:
                self._check_writable()
                with self.state_lock:
                    queue(self.connection)
                self._collect()
                self._push_all(self._deadline())
        except TLSError:
            self._flush_wanted = True  # for the alert
            raise
        finally:
            if self._flush_wanted:
                self._flush()

    def shut_down(self) -> None:
        """Shut down the transport, both ways."""
        self._shut = True
        self.sock.shutdown(socket.SHUT_RDWR)

    def end(self) -> socket.socket:
        """Wait for the peer's close_notify, and give the plain socket back."""
        deadline = self._deadline()
        self.send_by(lambda connection: connection.close())
        with self._read_lock:
            while not self._plaintext and not self._peer_closed:
                self._receive(deadline, size=1)
            if self._plaintext:
                raise ConfigurationError(
                    f"unwrap() with {len(self._plaintext)} bytes unread, or more: "
                    'recv() until b"" before ending TLS.'
                )
            self.check_open()
            self.closed = True
        self.sock.settimeout(self.timeout)
        return self.sock

    def release(self, *, notify: bool) -> None:
        """Close the socket, with close_notify if wanted and possible."""
        if self.closed:
            return
        if notify and self._can_notify():
            with self.state_lock, suppress(ConfigurationError, TLSError):
                self.connection.close()
            self._flush()
        self.closed = True
        with suppress(OSError):
            if self._read_lock.locked() or self._write_lock.locked():
                # Somebody waits in another thread, and would do so on a descriptor that is gone.
                self.sock.shutdown(socket.SHUT_RDWR)
            else:
                self._drain()
        self.sock.close()

    def check_open(self) -> None:
        """Raises `OSError` once the socket is closed."""
        if self.closed:
            raise OSError(errno.EBADF, "The TLS socket is closed.")

    # The handshake, under the read lock

    def _handshake(self) -> None:
        if self.connection.info is not None:
            return
        timeouts = [t for t in (self.timeout, self._handshake_timeout) if t is not None]
        deadline = time.monotonic() + min(timeouts) if timeouts else None
        try:
            self._flush()
            while self.connection.info is None:
                self._receive(deadline)
                self._check_progress()
            with self._write_lock:
                self._collect()
                self._push_all(deadline)
        except TLSError:
            raise
        except TimeoutError:
            with self.state_lock:
                error = self.connection.abort(Fault.HANDSHAKE_TIMEOUT)
            self._read_failure = error
            self._flush()
            raise error from None
        finally:
            if self._flush_wanted:
                self._flush()

    def _check_progress(self) -> None:
        if self._peer_closed and self.connection.info is None:
            with self.state_lock:
                raise self.connection.abort(Fault.CLOSED_DURING_HANDSHAKE)

    # Reading, under the read lock

    def _fill(self) -> None:
        """Wait until there is plaintext or the end of it."""
        self.check_open()
        if self._plaintext.size:
            return
        if self.connection.info is None:
            self._handshake()
        deadline = self._deadline()
        while not self._plaintext.size and not self._peer_closed:
            self._receive(deadline)

    def _receive(self, deadline: float | None, size: int = READ_SIZE) -> None:
        """Read from the transport once, waiting for it, and let the connection see it."""
        if self._read_failure is not None:
            raise self._read_failure.with_traceback(None)
        while True:
            buffer = READ_BUFFERS.take()
            try:
                self.check_open()
                count = self.sock.recv_into(buffer, size)
                self.check_open()  # `close` in another thread ends a wait like this one
                with buffer[:count] as data:
                    self._process(data)
                return
            except BlockingIOError:
                pass
            except ConnectionResetError as reset:
                self._note_reset(reset)
                return
            finally:
                READ_BUFFERS.give_back(buffer)
            self._wait_for_input(deadline)

    def _process(self, data: memoryview) -> None:
        """Give the connection what arrived (nothing: the end) and send what it has to say."""
        if not data and self._shut:
            # This side shut the transport down: that is no truncation by the peer.
            self._peer_closed = True
            return
        connection = self.connection
        try:
            with self.state_lock:
                events = connection.receive_data(data) if data else connection.receive_eof()
                owes = connection.wants_to_send
            self._read_failure = connection.failure
            if not data:
                self._peer_closed = True
            for event in events:
                if isinstance(event, DataReceived):
                    self._plaintext.add(event.data)
                else:
                    self._note(event)
        except TLSError as error:
            self._read_failure = error
            self._flush()
            raise
        except BaseException:
            # An interrupt may have taken plaintext along: the stream must not go on without it.
            if self._read_failure is None:
                with self.state_lock:
                    self._read_failure = connection.abort(Fault.INTERNAL_ERROR)
            raise
        if owes or self._unsent:
            self._flush()

    def _note(self, event: Event) -> None:
        if isinstance(event, PeerClosed):
            self._peer_closed = True
        elif isinstance(event, QuestionAsked):
            self._refuse_question(event)
        else:
            self.early.note(event)

    def _refuse_question(self, event: QuestionAsked) -> NoReturn:
        """A blocking socket has nobody who could answer later."""
        question = event.question
        if inspect.iscoroutine(question.pending):
            question.pending.close()
        what = "DEFER" if question.pending is None else "an awaitable"
        error = ConfigurationError(
            f"The callback for {type(question).__name__} answered with {what}, but a blocking "
            "socket cannot wait for that. Answer at once, or use handclasp.aio or the connection."
        )
        self._read_failure = error
        with self.state_lock, suppress(TLSError):
            self.connection.refuse(question, error)
        self._flush()
        raise error

    def _note_reset(self, reset: ConnectionResetError) -> None:
        if self.connection.info is not None:
            self._read_failure = reset
            raise reset
        # Many servers reset where they should send an alert; the catalogue explains it better.
        try:
            with self.state_lock:
                self.connection.receive_eof(reset=True)
        except TLSError as error:
            self._read_failure = error
            raise error from reset
        self._read_failure = reset
        raise reset

    def _wait_for_input(self, deadline: float | None) -> None:
        """Wait until there is something to read, and meanwhile send what a reader owes."""
        writable = False
        if self._unsent and self._write_lock.acquire(blocking=False):
            # No writer is at work who would send this.
            writable = bool(self._unsent)
            self._write_lock.release()
        wait(self.sock, readable=True, writable=writable, deadline=deadline)
        if writable:
            self._flush()

    # Writing, under the write lock

    def _seal_and_push(self, octets: bytes | memoryview, deadline: float | None) -> None:
        self._check_writable()
        connection = self.connection
        with self.state_lock:
            connection.send_data(octets)
            data = connection.data_to_send()
        self._unsent.append(data)
        self._push_all(deadline)

    def _seal_and_push_pieces(self, octets: bytes | memoryview, deadline: float | None) -> None:
        with memoryview(octets) as view:
            for start in range(0, len(view), WRITE_SIZE):
                with view[start : start + WRITE_SIZE] as piece:
                    self._seal_and_push(piece, deadline)

    def _check_writable(self) -> None:
        failure = self.connection.failure
        if failure is not None:
            raise failure.with_traceback(None)
        if self._write_failure is not None:
            raise BrokenPipeError(
                errno.EPIPE, "Nothing more can be sent: an earlier send did not end well."
            ) from self._write_failure

    def _flush(self) -> None:
        """Send what is queued as far as that needs no waiting. Never raises, never blocks.

        Whoever wants a flush says so first and tries for the lock then; whoever lets go of the
        lock looks afterwards whether somebody said so. Hence no wish is lost between the two.
        """
        self._flush_wanted = True
        while self._flush_wanted and self._write_lock.acquire(blocking=False):
            try:
                self._flush_wanted = False
                # What a full transport cannot take stays in the connection, where a flood of
                # KeyUpdates costs one answer and not one each.
                if self._push():
                    self._collect()
                    self._push()
            except OSError as error:
                self._fail_writing(error)
            finally:
                self._write_lock.release()

    def _collect(self) -> None:
        """Take what the connection has queued."""
        with self.state_lock:
            data = self.connection.data_to_send()
        if data and self._write_failure is None:
            self._unsent.append(data)

    def _push(self) -> bool:
        """Send until nothing is left (True) or the transport is full."""
        unsent = self._unsent
        while unsent:
            first = unsent[0]
            try:
                count = self.sock.send(first)
            except BlockingIOError:
                return False
            if count < len(first):
                unsent[0] = memoryview(first)[count:]
            else:
                unsent.popleft()
        return True

    def _push_all(self, deadline: float | None) -> None:
        """Send everything, waiting for the peer to read."""
        try:
            while not self._push():
                wait(self.sock, readable=False, writable=True, deadline=deadline)
        except BaseException as error:
            # A record may be half sent, and a KeyboardInterrupt leaves it so as well.
            self._fail_writing(error)
            raise

    def _fail_writing(self, error: BaseException) -> None:
        self._write_failure = error
        self._unsent.clear()

    def _raise_what_the_peer_said(self, error: OSError) -> NoReturn:
        """The peer is gone: if it sent an alert before, that tells more than `error` does."""
        if self._read_lock.acquire(blocking=False):
            try:
                while not self._plaintext and not self._peer_closed:
                    self._receive(time.monotonic())
            except TLSError as reason:
                raise reason from error
            except OSError:
                pass
            finally:
                self._read_lock.release()
        raise error

    # The end

    def _deadline(self) -> float | None:
        return None if self.timeout is None else time.monotonic() + self.timeout

    def _can_notify(self) -> bool:
        connection = self.connection
        return connection.established and connection.failure is None and self._write_failure is None

    def _drain(self) -> None:
        """Throw away what has arrived already, such as tickets that nobody read.

        Where unread bytes are left at the close, the kernel resets the connection, and the
        reset may overtake what this side sent last.
        """
        buffer = READ_BUFFERS.take()
        try:
            drained = 0
            while drained < _MAX_DRAINED and (count := self.sock.recv_into(buffer)):
                drained += count
        finally:
            READ_BUFFERS.give_back(buffer)
