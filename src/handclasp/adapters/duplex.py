"""A connection and its socket, for a thread that reads and one that writes.

The plain socket is switched to non-blocking and every wait is a poll of our own, so that one thread
may read while another writes. Four locks, always taken in this order:

- the handshake lock: one thread at a time completes the handshake;
- the read lock: one thread at a time reads from the transport and takes plaintext;
- the write lock: bytes leave the connection (`data_to_send`) and enter the socket under it only,
  hence in order. A writer keeps it while it waits for the peer to read;
- the state lock: around each call into the connection, never kept while waiting.

A reader keeps the read lock while it waits for data. Writers never need it: nobody takes the read
lock before the handshake is complete without the handshake lock, so a writer that waits for the
handshake waits for that alone. Waiting for a lock counts towards the timeout of the call.

What a reader has to send (the answer to a KeyUpdate, an alert) it sends without blocking: if the
socket is full or a writer is at work, the bytes stay queued for the next caller. A reader that
waited for its answer to leave would stop reading, and two such peers would wait for each other
forever.

Interrupts. An exception from a signal handler can come between any two steps of a call. While a
call waits, nothing is lost by that. Anywhere else bytes may have been taken from the transport,
from the plaintext or from the connection and not have arrived where they belong, so that direction
of the stream fails for good. The locks are reentrant for the same reason: whatever an interrupted
call has left locked, `_release_all` can release without knowing how far the call had come. Flags
refuse the calls that a signal handler or a callback makes while the same thread is inside the same
direction.

Forks. Both processes have a copy of the connection with the same keys. The first call of a process
after a fork claims the connection for it, and so does the end of a call that began before, in the
process that made it. A process that has made none closes its copy without a word to the peer, which
still talks with the other process.
"""

from __future__ import annotations

import errno
import math
import os
import socket
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple, NoReturn, TypeAlias, TypeVar

from handclasp.adapters.buffers import READ_BUFFERS, READ_SIZE, WRITE_SIZE, Plaintext
from handclasp.adapters.early import EarlyData
from handclasp.adapters.forks import FORKS
from handclasp.adapters.polling import AT_ONCE, acquire, deadline_after, wait
from handclasp.adapters.progress import (
    MAX_DRAINED,
    linger_seconds,
    queued_bytes,
    shorten_linger,
    unsent_in_kernel,
)
from handclasp.client import ClientConnection
from handclasp.errors import (
    ConfigurationError,
    SentAfterClose,
    StateError,
    TLSError,
    TruncationError,
    WantRead,
    WantWrite,
)
from handclasp.events import DataReceived, Event, PeerClosed, QuestionAsked
from handclasp.faults import Fault
from handclasp.questions import CheckReplay
from handclasp.server import ServerConnection
from handclasp.synchronous import is_coroutine

Connection: TypeAlias = ClientConnection | ServerConnection
Amount = TypeVar("Amount", int, memoryview)
Argument = TypeVar("Argument")
Result = TypeVar("Result")

CLOSE_SECONDS = 30.0
"""Seconds that `release` waits for the peer to take data, if the socket has no timeout."""

_TURN_SECONDS = 0.1
"""Seconds that an end of the connection waits for a call that may be about to leave the write lock.
"""

_FIRST_LOOK_SECONDS = 0.001
"""When to look first whether the peer has read on, where a close waits for it; then ever later."""

_LEAVE_SECONDS = 1.0
"""Seconds that a close waits for other threads to leave the socket, after it has woken them."""

_NOT_READY = -1


class _Patience(NamedTuple):
    """For how long an end of the connection waits for the peer.

    Attributes:
        seconds: while the peer takes nothing; 0 does not wait at all.
        end: the point of `time.monotonic` at which it is over in any case.
        resets: whether nothing is to reach the peer afterwards but a reset.
    """

    seconds: float
    end: float = math.inf
    resets: bool = False

    def until(self, last: float) -> float:
        """Return when it is over, if the peer takes nothing after `last`."""
        return min(last + self.seconds, self.end)


_NO_PATIENCE = _Patience(0)


class Duplex:
    """The lower half of a `TLSSocket`. Several readers or several writers take turns.

    Attributes:
        connection: calls that change its state are made under `state_lock`.
        early: the 0-RTT data of this connection.
        sock: the plain socket, which does not block.
        timeout: seconds for each operation; None for no timeout, 0 for non-blocking.
        take_bytes, take_into: the methods of `Plaintext`, for `read`.
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
        self._plaintext = Plaintext()
        self.take_bytes, self.take_into = self._plaintext.take, self._plaintext.take_into
        self._unsent: deque[bytes | bytearray | memoryview] = deque()
        self._sealed = 0
        """Bytes of a `send` or `sendall` that were sealed before it raised `WantWrite`."""
        self._sealed_last = (0, 0)
        """Of these, how many were sealed together last, and their checksum."""
        self._flush_wanted = False
        self._peer_closed = False
        self._shut = False
        self._read_failure: OSError | ConfigurationError | None = None
        self._write_failure: BaseException | None = None
        self._handshake_timeout = handshake_timeout
        self._handshake_deadline: float | None = None
        self._has_begun = self._established = False
        self._ready_for = _NOT_READY
        """`FORKS.count` where a call may go ahead at once."""
        self._forks = FORKS.count
        self._pid = os.getpid()
        self._ends: list[object] = []
        """Each call that closes the socket or gives it away adds one; the first one does so."""
        self._make_locks()
        sock.setblocking(False)

    def _make_locks(self) -> None:
        self.state_lock = threading.RLock()
        self._handshake_lock = threading.RLock()
        self._read_lock = threading.RLock()
        self._write_lock = threading.RLock()
        self._handshaking = self._reading = self._writing = False

    def handshake(self) -> None:
        """Complete the handshake, if it is not complete yet."""
        if self._ready_for != FORKS.count:
            self._get_ready(self._deadline())

    def read(self, take: Callable[[Amount], Result], amount: Amount) -> Result:
        """Return `take(amount)` once there is plaintext, or the end of it.

        Args:
            take: what takes plaintext, which is `take_bytes` or `take_into`.
        """
        deadline = None if self.timeout is None else deadline_after(self.timeout)
        if self._ready_for != FORKS.count:
            self._get_ready(deadline)
        entered = taking = False
        try:
            if not self._read_lock.acquire(False):
                self._wait_for_turn(self._read_lock, deadline, WantRead)
            if self._reading:
                raise _called_inside_itself()
            entered = self._reading = True
            if amount and not self._plaintext.size:
                if self.closed:
                    self.check_open()
                while not self._plaintext.size and not self._peer_closed:
                    self._receive(deadline)
            taking = True
            result = take(amount)
            if self._forks != FORKS.count:
                self._note_use()
            self._reading = False
            self._read_lock.release()
            return result
        except BaseException as error:
            if taking:
                # The caller will never see what was taken.
                self._fail_reading(error)
            self._leave_reading(entered)
            raise

    @property
    def pending(self) -> int:
        """Bytes that can be read without the transport."""
        return self._plaintext.size

    def write(self, send: Callable[[Argument, float | None], Result], argument: Argument) -> Result:
        """Return `send(argument, deadline)`, in a writer's turn.

        Args:
            send: `seal_all` or `seal_first`.
        """
        deadline = None if self.timeout is None else deadline_after(self.timeout)
        if self._ready_for != FORKS.count:
            self._get_ready(deadline)
        entered = False
        try:
            if not self._write_lock.acquire(False):
                self._wait_for_turn(self._write_lock, deadline, WantWrite)
            if self._writing:
                raise _called_inside_itself()
            entered = self._writing = True
            result = send(argument, deadline)
            if self._forks != FORKS.count:
                self._note_use()
            self._writing = False
            self._write_lock.release()
        except BaseException as error:
            self._leave_writing(entered, error)
            self._raise_for_caller(error)
        if self._flush_wanted:
            self._flush()
        return result

    def seal_all(self, octets: bytes | memoryview, deadline: float | None) -> None:
        """Send all of `octets`; for `write`."""
        if self._unsent or self._sealed or len(octets) > WRITE_SIZE:
            self._seal_pieces(octets, deadline)
        elif octets:
            try:
                self._seal_and_push(octets, deadline)
            except WantWrite:
                self._sealed = len(octets)
                raise

    def seal_first(self, octets: bytes | memoryview, deadline: float | None) -> int:
        """Send the first bytes of `octets`, up to `WRITE_SIZE`; gives how many. For `write`."""
        size = self._resume(octets, deadline)
        if not size and octets:
            with memoryview(octets)[:WRITE_SIZE] as first:
                size = self._sealed = len(first)
                self._seal_and_push(first, deadline)
            self._sealed = 0
        return size

    def seal_piece(self, octets: bytes, deadline: float | None) -> bool:
        """Send all of `octets`, once everything before has left; for `write`.

        Returns whether they have left. Where a socket that does not block took none or a part, the
        rest leaves with the next calls: this one is not to be made again.
        """
        if self._unsent:
            self._push_all(deadline)
        if octets:
            self._resume(b"", deadline)  # Refuses to come between the two halves of a `send`.
            try:
                self._seal_and_push(octets, deadline)
            except WantWrite:
                return False
        return True

    def send_by(self, queue: Callable[[Connection], None], *, later: bool = False) -> None:
        """Let the connection queue something, and send it.

        Args:
            later: a socket that does not block may leave it for the next call to send.
        """
        self.write(self._send_soon if later else self._send_queued, queue)

    def _send_soon(self, queue: Callable[[Connection], None], deadline: float | None) -> None:
        with suppress(WantWrite):
            self._send_queued(queue, deadline)

    def _send_queued(self, queue: Callable[[Connection], None], deadline: float | None) -> None:
        self._check_writable()
        with self.state_lock:
            queue(self.connection)
        self._collect()
        self._push_all(deadline)

    def shut_down(self) -> None:
        """End both halves: close_notify if that needs no waiting, then the end of the transport."""
        self.check_open()
        if self._forks != FORKS.count:
            self._claim()
        try:
            self._say_goodbye(_NO_PATIENCE)
        except BaseException:
            self._release_what_is_left()
            raise
        finally:
            self._shut = True
            self.sock.shutdown(socket.SHUT_RDWR)

    def end(self) -> socket.socket:
        """Wait for the peer's close_notify, and give the plain socket back."""
        deadline = self._deadline()
        try:
            self.send_by(_close)
        except (BrokenPipeError, ConnectionResetError):
            # The peer is gone; if it has said before that it had finished, nothing is missing.
            if not self._peer_closed:
                raise
        end = object()
        entered = False
        try:
            if not self._read_lock.acquire(False):
                acquire(self._read_lock, deadline, WantRead)
            self.check_open()
            if self._reading:
                raise _called_inside_itself()
            entered = self._reading = True
            self._wait_for_end(deadline)
            if not self._note_closed(end):
                self.check_open()
            self.sock.settimeout(self.timeout)
            self._note_use()
            self._reading = False
            self._read_lock.release()
            return self.sock
        except BaseException:
            self._leave_reading(entered)
            if self._ends[:1] == [end]:  # The caller will never see the socket.
                self.sock.close()
            raise

    def _wait_for_end(self, deadline: float | None) -> None:
        """Wait for the peer's close_notify, and read nothing of what follows it."""
        while not self._plaintext and not self._peer_closed:
            self._receive(deadline, self.connection.missing_bytes)
        if self._plaintext:
            raise StateError(
                f"unwrap() with {len(self._plaintext)} bytes unread, or more: "
                'recv() until b"" before ending TLS.'
            )
        self.check_open()

    def detach(self) -> int:
        """Give the file descriptor away, without a word to the peer; -1 where it is closed."""
        if self.closed:
            return -1
        shared = self._is_shared()
        if not self._note_closed(object()):
            return -1
        if not shared:  # Else the other process's copy would block, too.
            self.sock.settimeout(self.timeout)
        return self.sock.detach()

    def release(self, *, notify: bool) -> None:
        """Close the socket, with close_notify if wanted and possible.

        Waits for the peer as long as it goes on reading, or as SO_LINGER says. Raises
        `TimeoutError` where it does not, and not even the kernel takes everything; the socket is
        closed then as well. A socket that does not block waits for nothing, and loses without an
        error what the kernel does not take.
        """
        if self.closed:
            return
        end = object()
        try:
            if self._note_closed(end):
                self._end_and_close(notify=notify)
        except BaseException:
            self._release_what_is_left()
            raise
        finally:
            # Whatever an interrupt has left out: nobody can ask for it again.
            if self._ends[:1] == [end]:
                self.sock.close()

    def _end_and_close(self, *, notify: bool) -> None:
        shared = self._is_shared()
        patience = self._patience() if notify and not shared else _NO_PATIENCE
        try:
            if notify and not shared:
                said = self._say_goodbye(patience)
                if said and not patience.resets:
                    self._linger(patience)
        finally:
            if shared:
                self.sock.close()
            else:
                if patience.seconds and patience.end < math.inf:
                    shorten_linger(self.sock, patience.end - time.monotonic())
                try:
                    if not notify:
                        self._note_abandonment()
                finally:
                    self._close_socket()

    def _note_abandonment(self) -> None:
        """End the trace of a handshake that was interrupted, and not by the transport."""
        if self._has_begun and self._read_failure is None and self._write_failure is None:
            self.connection.note_abandonment()

    def check_open(self) -> None:
        """Raise `OSError` if the socket is closed."""
        if self.closed:
            raise OSError(errno.EBADF, "The TLS socket is closed.")

    # Turns

    def _deadline(self) -> float | None:
        return None if self.timeout is None else deadline_after(self.timeout)

    def _get_ready(self, deadline: float | None) -> None:
        """Check everything that a call needs before it may go ahead, apart from its turn."""
        self.check_open()
        if self._forks != FORKS.count:
            self._claim()
        if not self._established:
            try:
                self._complete_handshake(deadline)
            except TLSError as error:
                # The way through the engine explains nothing.
                raise error.with_traceback(None) from error.__cause__
        self._ready_for = self._forks
        if self.closed:  # Another thread may have closed it just now.
            self._ready_for = _NOT_READY

    def _is_shared(self) -> bool:
        """Return whether another process may be the one that continues: see "Forks" above."""
        if self._forks == FORKS.count:
            return False
        # A call that began before the fork goes on in the process that made it.
        in_use = self._handshaking or self._reading or self._writing
        return not (in_use and os.getpid() == self._pid)

    def _claim(self) -> None:
        """Mark this process as the one that continues after a fork."""
        self._forks = FORKS.count
        if os.getpid() == self._pid:
            return
        self._pid = os.getpid()
        interrupted = self._handshaking or self._reading or self._writing
        self._make_locks()  # Threads that held them do not exist here.
        if interrupted:
            error = OSError(errno.EBADF, "Another thread was using this socket at the fork.")
            self._read_failure = error
            self._fail_writing(error)

    def _note_use(self) -> None:
        """Mark this process as the one that continues, if it forked during the call."""
        if self._forks != FORKS.count and os.getpid() == self._pid:
            self._forks = FORKS.count

    def _wait_for_turn(
        self, lock: threading.RLock, deadline: float | None, want: Callable[[], OSError]
    ) -> None:
        acquire(lock, deadline, want)
        self.check_open()

    def _leave_reading(self, entered: bool) -> None:
        self._note_use()
        if entered:
            if self._read_lock.acquire(blocking=False):
                self._reading = False
                _release_all(self._read_lock)
            _release_all(self.state_lock)
        else:
            with suppress(RuntimeError):  # Its turn had not come.
                self._read_lock.release()
        if self._flush_wanted:
            self._flush()

    def _leave_writing(self, entered: bool, error: BaseException) -> None:
        self._note_use()
        if entered:
            if self._write_lock.acquire(blocking=False):
                self._writing = False
                if not isinstance(error, (StateError, TLSError, WantWrite)):
                    # A record may be half sent, or sealed and lost.
                    self._fail_writing(error)
                _release_all(self._write_lock)
            _release_all(self.state_lock)
        else:
            with suppress(RuntimeError):
                self._write_lock.release()
        if self._flush_wanted or isinstance(error, TLSError):  # for the alert
            self._flush()

    def _raise_for_caller(self, error: BaseException) -> NoReturn:
        """Raise what a caller of `write` should see of `error`."""
        if self.closed and isinstance(error, (ConnectionError, StateError)):
            # Another thread has closed the socket meanwhile.
            raise OSError(errno.EBADF, "The TLS socket is closed.") from error
        if isinstance(error, (BrokenPipeError, ConnectionResetError)):
            self._raise_what_the_peer_said(error)
        if isinstance(error, StateError) and self.connection.closed:
            raise SentAfterClose(str(error)) from error
        raise error

    # The handshake, under the handshake lock and then the read lock

    def _complete_handshake(self, deadline: float | None) -> None:
        entered = False
        try:
            if not self._handshake_lock.acquire(False):
                acquire(self._handshake_lock, deadline, WantRead)
            self.check_open()
            if self._handshaking:
                raise _called_inside_itself()
            entered = self._handshaking = True
            if not self._established:
                with _Turn(self, self._read_lock, deadline, WantRead):
                    self._handshake(deadline)
            self._note_use()
            self._handshaking = False
            self._handshake_lock.release()
        except BaseException:
            self._leave_handshake(entered)
            raise

    def _release_what_is_left(self) -> None:
        """Release the locks of an interrupted end, and not those of a call around it."""
        _release_all(self.state_lock)
        in_use = {self._read_lock: self._reading or self._handshaking}
        in_use[self._write_lock] = self._writing
        for lock, by_a_call in in_use.items():
            if lock.acquire(blocking=False):  # Else it is another thread's.
                lock.release() if by_a_call else _release_all(lock)

    def _leave_handshake(self, entered: bool) -> None:
        self._note_use()
        if entered:
            for lock in (self._write_lock, self._read_lock, self.state_lock):
                _release_all(lock)
            if self._handshake_lock.acquire(blocking=False):
                self._handshaking = False
                _release_all(self._handshake_lock)
        else:
            with suppress(RuntimeError):  # Its turn had not come.
                self._handshake_lock.release()

    def _handshake(self, deadline: float | None) -> None:
        self._has_begun = True
        limit = self._handshake_deadline
        if limit is None and self._handshake_timeout is not None:
            limit = self._handshake_deadline = time.monotonic() + self._handshake_timeout
        deadline = (
            limit if deadline is None else deadline if limit is None else min(limit, deadline)
        )
        try:
            self._flush()
            self._check_sent()
            while self.connection.info is None:
                self._receive(deadline)
                self._check_progress()
            with _Turn(self, self._write_lock, deadline, WantWrite):
                self._send_last_flight(deadline)
            self._established = True
        except TLSError as error:
            self._raise_what_sending_met(error)
            raise
        except BlockingIOError:
            if limit is not None and time.monotonic() >= limit:
                self._time_out()
            raise
        except TimeoutError:
            self._time_out()
        except (BrokenPipeError, ConnectionResetError) as error:
            self._raise_what_the_peer_said(error)
        finally:
            if self._flush_wanted:
                self._flush()

    def _send_last_flight(self, deadline: float | None) -> None:
        try:
            self._collect()
            self._push_all(deadline)
        except OSError:
            raise
        except BaseException as error:  # An interrupt: bytes may be lost.
            self._fail_writing(error)
            raise

    def _check_sent(self) -> None:
        """Raise where an interrupt has lost a flight, to which no answer will ever come."""
        if self._write_failure is not None and not isinstance(self._write_failure, OSError):
            self._check_writable()

    def _raise_what_sending_met(self, error: TLSError) -> None:
        """Raise why nothing could be sent, where reading has only found the end.

        The system tells once that, say, nobody was there to connect to; after that, a socket is
        at its end. A peer that has gone is different: it may have said why.
        """
        failure = self._write_failure
        if not isinstance(error, TruncationError) or not isinstance(failure, OSError):
            return
        if not isinstance(failure, (BrokenPipeError, ConnectionResetError)):
            raise failure.with_traceback(None) from error

    def _time_out(self) -> NoReturn:
        with self.state_lock:
            error = self.connection.abort(Fault.HANDSHAKE_TIMEOUT)
        self._read_failure = error
        self._flush()
        raise error from None

    def _check_progress(self) -> None:
        if self._peer_closed and self.connection.info is None:
            with self.state_lock:
                raise self.connection.abort(Fault.CLOSED_DURING_HANDSHAKE)

    # Reading, under the read lock

    def _receive(self, deadline: float | None, size: int = READ_SIZE) -> None:
        """Read from the transport once, waiting for it, and let the connection see it."""
        if self._read_failure is not None:
            raise self._read_failure.with_traceback(None)
        while True:
            buffer = READ_BUFFERS.take()
            try:
                count = self.sock.recv_into(buffer, size)
                if self.closed:  # in another thread, which ends a wait like this one
                    self.check_open()
                with self.state_lock:
                    content = self.connection.open_data(buffer[:count])
                if content is not None:
                    self._plaintext.add(content)
                    if self._unsent:
                        self._flush()
                    return
                with buffer[:count] as data:
                    self._process(data)
                return
            except BlockingIOError:
                pass
            except BaseException as error:
                self._note_read_error(error)
                raise
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
        with self.state_lock:
            events = connection.receive_data(data) if data else connection.receive_eof()
            owes = connection.wants_to_send
        self._read_failure = connection.failure
        if not data:
            self._peer_closed = True
        for event in events:
            if type(event) is DataReceived:
                self._plaintext.add(event.data)
            else:
                self._note(event)
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
        """Refuse a question that nobody answers directly: a blocking socket cannot wait for it."""
        question = event.question
        if is_coroutine(question.pending):
            question.pending.close()
        what = "DEFER" if question.pending is None else "an awaitable"
        name = type(question).__name__
        asked, advice = f"The callback for {name}", "Answer at once"
        if isinstance(question, CheckReplay):
            asked, advice = "replay_guard", "Use handclasp.redis.RedisReplayFilter"
        error = ConfigurationError(
            f"{asked} answered with {what}, but a blocking socket cannot wait for that. {advice}, "
            "or use handclasp.aio or the connection."
        )
        self._read_failure = error
        with self.state_lock, suppress(TLSError):
            self.connection.refuse(question, error)
        self._flush()
        raise error

    def _note_read_error(self, error: BaseException) -> None:
        """Note that reading failed while bytes were on their way: nothing more is read."""
        if self._read_failure is not None or self.closed:
            return
        if isinstance(error, ConnectionResetError) and self.connection.info is None:
            self._explain_reset(error)
        if isinstance(error, TLSError) or (isinstance(error, OSError) and error.errno is not None):
            self._read_failure = error
            self._flush()
        else:
            self._fail_reading(error)

    def _explain_reset(self, reset: ConnectionResetError) -> None:
        # Many servers reset where they should send an alert; the catalogue explains it better.
        try:
            with self.state_lock:
                self.connection.receive_eof(reset=True)
        except TLSError as error:
            self._read_failure = error
            raise error from reset

    def _fail_reading(self, interrupt: BaseException) -> None:
        """Fail all further reading: an interrupt may have lost bytes, and the stream must not have
        gaps. Any exception may be one, as signal handlers choose theirs.
        """
        self._plaintext.clear()
        with self.state_lock:
            self._read_failure = self.connection.abort(Fault.INTERRUPTED, type(interrupt).__name__)
        self._flush_wanted = True

    def _wait_for_input(self, deadline: float | None) -> None:
        """Wait until there is something to read, and meanwhile send what a reader owes."""
        # Where a writer is at work, it sends that as well.
        writable = bool(self._unsent) and not self._writing
        if deadline == AT_ONCE and writable and not self._established:
            raise WantWrite
        wait(self.sock, readable=True, writable=writable, deadline=deadline)
        if writable:
            self._flush()

    # Writing, under the write lock

    def _seal_pieces(self, octets: bytes | memoryview, deadline: float | None) -> None:
        start = self._resume(octets, deadline)
        with memoryview(octets) as view:
            for at in range(start, len(view), WRITE_SIZE):
                with view[at : at + WRITE_SIZE] as piece:
                    self._sealed = at + len(piece)
                    self._seal_and_push(piece, deadline)
        self._sealed = 0

    def _resume(self, octets: bytes | memoryview, deadline: float | None) -> int:
        """Return how many bytes of `octets` an interrupted call has already sealed, after sending
        them.

        0 but for a call that is made again after `WantWrite`.
        """
        if self._sealed:
            self._check_same(octets)
        if self._unsent:
            self._push_all(deadline)
        size, self._sealed = self._sealed, 0
        return size

    def _check_same(self, octets: bytes | memoryview) -> None:
        """Raise where a call that raised `WantWrite` is made again with something else.

        What has been sealed goes out whatever is given now, which may be longer.
        """
        size, checksum = self._sealed_last
        with memoryview(octets)[self._sealed - size : self._sealed] as again:
            if len(again) != size or zlib.crc32(again) != checksum:
                raise StateError(
                    "The call that raised WantWrite must be made again with the same data: "
                    f"{self._sealed} bytes of it are on their way, and cannot be exchanged or "
                    f"dropped. These are others ({len(octets)} bytes)."
                )

    def _seal_and_push(self, octets: bytes | memoryview, deadline: float | None) -> None:
        if self._write_failure is not None:
            self._check_writable()
        try:
            with self.state_lock:
                data = self.connection.seal_data(octets)
        except (StateError, TLSError):
            self._sealed = 0
            raise
        try:
            count = self.sock.send(data)  # Nothing is before it: `_push`, with one call less.
            if count == len(data):
                return
            self._unsent.append(memoryview(data)[count:])
        except BlockingIOError:
            self._unsent.append(data)
        try:
            self._push_all(deadline)
        except WantWrite:
            self._sealed_last = len(octets), zlib.crc32(octets)
            raise

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

        A caller that wants a flush says so first and tries for the lock then; a thread that
        releases the lock checks afterwards for such requests. Hence no request is lost in between.
        """
        self._flush_wanted = True
        try:
            while self._flush_wanted and not self._writing and self._write_lock.acquire(False):
                self._writing = True
                self._flush_wanted = False
                # What a full transport cannot take stays in the connection, where a flood of
                # KeyUpdates costs one answer and not one each.
                try:
                    if self._push():
                        self._collect()
                        self._push()
                except OSError as error:
                    self._fail_writing(error)
                self._writing = False
                self._write_lock.release()
        except BaseException as error:
            self._flush_wanted = False
            self._leave_writing(True, error)
            raise

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
        while not self._push():
            wait(self.sock, readable=False, writable=True, deadline=deadline)
            self.check_open()

    def _push_patiently(self, patience: _Patience) -> bool:
        """Send everything, for as long as the peer goes on reading; returns whether all is sent.

        Without patience, what needs waiting is lost.

        Nobody here reads any more once the socket is to be closed, and a peer that waits for that
        would not read either: what it sends is thrown away.
        """
        if self._push():
            return True
        if not patience.seconds:
            return False
        left, last = self._left(), time.monotonic()
        readable = self.closed
        while not self._push():
            now = time.monotonic()
            if (size := self._left()) < left:
                left, last = size, now
            if now >= patience.until(last):
                done = "nothing" if patience.end == math.inf else "too little"
                raise TimeoutError(
                    f"timed out: the last {_size(self._unsent)} bytes could not be sent, as the "
                    f"peer has read {done} for {patience.seconds:g} s. It sees the connection cut "
                    "off."
                )
            # The kernel calls a socket writable only when a third of its buffer is free.
            with suppress(TimeoutError):
                until = min(now + _TURN_SECONDS, patience.until(last))
                wait(self.sock, readable=readable, writable=True, deadline=until)
            if readable and self._read_lock.acquire(blocking=False):
                readable = self._drain()
                self._read_lock.release()
        return True

    def _patience(self) -> _Patience:
        """Return how long a close waits for the peer, in seconds."""
        seconds = CLOSE_SECONDS if self.timeout is None else self.timeout
        linger = linger_seconds(self.sock)
        if linger == 0:
            return _Patience(0, resets=True)
        if linger is None or not seconds:
            return _Patience(seconds)
        return _Patience(linger, time.monotonic() + linger)

    def _left(self) -> int:
        """Return how many bytes the peer has not taken, here and in the kernel (as far as it
        tells).
        """
        return _size(self._unsent) + queued_bytes(self.sock)

    def _fail_writing(self, error: BaseException) -> None:
        if self._write_failure is None:
            self._write_failure = error
        self._unsent.clear()
        self._sealed = 0

    def _raise_what_the_peer_said(self, error: OSError) -> NoReturn:
        """Raise the alert that the peer sent before it left, if any: it says more than `error`."""
        if self._read_lock.acquire(blocking=False):
            try:
                while not self._reading and not self._plaintext and not self._peer_closed:
                    self._receive(time.monotonic())
            except TLSError as reason:
                raise reason from error
            except OSError:
                pass
            finally:
                self._read_lock.release()
        raise error

    # The end

    def _note_closed(self, end: object) -> bool:
        """Refuse every further call; return whether `end` is the first to end the connection.

        Only that call may close or detach the socket, and no other call may use it: it may block
        again by then, or be another's.
        """
        self._ends.append(end)
        self.closed = True
        self._ready_for = _NOT_READY
        return self._ends[0] is end

    def _say_goodbye(self, patience: _Patience) -> bool:
        """Send close_notify, and what is queued before it, unless a writer is at work.

        Such a writer may wait for the peer; its record would be cut in two by anything else.
        Returns whether it was sent. Raises `TimeoutError` where patience ends before.
        """
        failed = self.connection.failure is not None or self._write_failure is not None
        if not self._established or failed:
            return False
        if not self._write_lock.acquire(timeout=_TURN_SECONDS):
            return False
        try:
            if not self._writing:  # Else this is a signal handler, and its own thread writes.
                with self.state_lock:
                    self.connection.close()
                self._collect()
                return self._push_patiently(patience)
        except (TLSError, BrokenPipeError, ConnectionResetError):
            pass  # The connection has failed, or the peer is gone: there is nobody to tell.
        finally:
            self._write_lock.release()
        return False

    def _linger(self, patience: _Patience) -> None:
        """Let the peer take what the kernel holds back, for as long as it goes on reading.

        The kernel answers what comes after the close with a reset, and forgets what it had yet to
        send. TLS has the peer send by itself: answers to KeyUpdates, tickets. Where the peer takes
        nothing any more, the rest is left to the kernel.
        """
        with suppress(OSError):
            if not unsent_in_kernel(self.sock):
                return
            # It may only be waiting for more (RFC 896).
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if unsent_in_kernel(self.sock):
                self.sock.shutdown(socket.SHUT_WR)
                self._wait_until_taken(patience)

    def _wait_until_taken(self, patience: _Patience) -> None:
        pause, left, last = _FIRST_LOOK_SECONDS, -1, time.monotonic()
        while (size := queued_bytes(self.sock)) > 1:  # The end counts as a byte.
            now = time.monotonic()
            if size != left:
                left, last = size, now
            if now >= patience.until(last):
                return
            mine = self._read_lock.acquire(blocking=False)
            try:  # Another thread that reads does so until something comes.
                with suppress(TimeoutError):
                    until = min(now + pause, patience.until(last))
                    wait(self.sock, readable=mine, writable=False, deadline=until)
                if mine and not self._drain():
                    return
            finally:
                if mine:
                    self._read_lock.release()
            pause = min(2 * pause, _TURN_SECONDS)

    def _close_socket(self) -> None:
        locks = (self._read_lock, self._write_lock)
        held = [lock for lock in locks if lock.acquire(False)]
        try:
            with suppress(OSError):
                if len(held) == len(locks):
                    self._drain()
                else:
                    # Others would go on waiting on a descriptor that is gone, or is another
                    # file's by then.
                    self.sock.shutdown(socket.SHUT_RDWR)
            if len(held) < len(locks):
                # In their order: the holder of the read lock may be waiting for the write lock.
                while held:
                    held.pop().release()
                until = time.monotonic() + _LEAVE_SECONDS
                held += [
                    lock
                    for lock in locks
                    if lock.acquire(timeout=max(0.0, until - time.monotonic()))
                ]
        finally:
            self.sock.close()
            for lock in held:
                lock.release()

    def _drain(self) -> bool:
        """Throw away what has arrived already, such as tickets that nobody read.

        Where unread bytes are left at the close, the kernel resets the connection, and the
        reset may overtake what this side sent last. Returns whether more may come.
        """
        buffer = READ_BUFFERS.take()
        try:
            drained = 0
            while drained < MAX_DRAINED and (count := self.sock.recv_into(buffer)):
                drained += count
            return drained >= MAX_DRAINED
        except BlockingIOError:
            return True
        except OSError:
            return False
        finally:
            READ_BUFFERS.give_back(buffer)


class _Turn:
    """Holds a lock, for which it waits until the deadline, for a socket that is open."""

    __slots__ = ("_deadline", "_duplex", "_lock", "_want")

    def __init__(
        self,
        duplex: Duplex,
        lock: threading.RLock,
        deadline: float | None,
        want: Callable[[], OSError],
    ) -> None:
        self._duplex = duplex
        self._lock = lock
        self._deadline = deadline
        self._want = want

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            acquire(self._lock, self._deadline, self._want)
        if self._duplex.closed:
            self._lock.release()
            self._duplex.check_open()

    def __exit__(self, *exc: object) -> None:
        with suppress(RuntimeError):  # `_release_all` may have come before.
            self._lock.release()


def _close(connection: Connection) -> None:
    connection.close()


def _size(chunks: deque[bytes | bytearray | memoryview]) -> int:
    return sum(len(chunk) for chunk in chunks)


def _release_all(lock: threading.RLock) -> None:
    """Release a lock as often as this thread has acquired it; never that of another thread."""
    with suppress(RuntimeError):
        while True:
            lock.release()


def _called_inside_itself() -> StateError:
    return StateError(
        "A callback or a signal handler has called a TLSSocket that this very thread is inside of."
    )
