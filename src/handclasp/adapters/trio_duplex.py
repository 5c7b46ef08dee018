"""A connection and the trio stream below it, for a task that reads and one that writes.

Bytes leave the connection (`data_to_send`) and enter the transport under the send lock only, and
are sealed under it: hence they leave in order, and a task that is cancelled while it waits for the
lock has lost nothing. A cancelled `send_all` of the transport has sent nobody knows how much. No
record may follow a part of another one, so nothing more is sent then. Receiving goes on: the
transport keeps what a cancelled `receive_some` did not return.

A reader does not wait for the transport to take something. If it did, two peers whose transports
are full would wait for each other forever. What it has to send (the answer to a KeyUpdate) leaves
with the next send (RFC 8446 section 4.6.3 allows that), or at once on a socket that has room. The
tickets of a server leave in the same way, since its client may not be reading yet. The alert of a
failed connection is different: there is nothing left to wait for, so a reader sends it, for a
second at most.

A handshake that is cancelled is continued by the next call, in whichever task.

Only the process that made a stream may use it. Parent and child of a fork have the same keys and
count their records on their own, so that records of both would have the same nonces. A copy in
another process sends nothing: it can only be closed, and the other one goes on.
"""

from __future__ import annotations

import math
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from socket import SHUT_WR
from typing import Any, Generic, NoReturn, TypeAlias, TypeVar, TypeVarTuple

import trio

from handclasp.adapters.arguments import DEFAULT_CLOSE_TIMEOUT
from handclasp.adapters.buffers import WRITE_SIZE, Plaintext
from handclasp.adapters.early import EarlyData
from handclasp.adapters.progress import (
    MAX_DRAINED,
    given_up,
    is_readable,
    is_writable,
    queued_bytes,
    unsent_in_kernel,
)
from handclasp.client import ClientConnection
from handclasp.errors import ConfigurationError, PeerAlertError, StateError, TLSError
from handclasp.events import DataReceived, Event, PeerClosed, QuestionAsked
from handclasp.faults import Fault
from handclasp.questions import Question
from handclasp.server import ServerConnection
from handclasp.synchronous import is_coroutine

Connection: TypeAlias = ClientConnection | ServerConnection
StreamT = TypeVar("StreamT", bound=trio.abc.Stream)
Ts = TypeVarTuple("Ts")

_READ_SIZE = 64 * 1024
_ALERT_SECONDS = 1.0
"""Seconds that the alert of a failed connection may take to be sent."""

_FIRST_LOOK_SECONDS = 0.001
_LAST_LOOK_SECONDS = 0.1
"""When to check whether the peer has taken everything: soon at first, then less often."""


class TrioDuplex(Generic[StreamT]):
    """The lower half of a `TLSStream`.

    Attributes:
        connection: the sans-IO connection.
        transport: the stream below.
        early: the 0-RTT data of this connection.
        established: whether the handshake is complete, and its last flight has left.
        closed: whether this side has closed the stream, or given the transport back.
        peer_closed: whether the peer has said that it sends nothing more.
        write_broken: whether nothing more can be sent, as a record was sent in part.
        receiving: whether a task waits for the transport.
        answered_at: when this side has first sent something; a server does so after the hello.
        answering: whether an answer of the application is awaited.
        close_timeout: seconds without progress after which closing is given up; None: no limit.
    """

    def __init__(
        self,
        transport: StreamT,
        connection: Connection,
        early: EarlyData,
        handshake_timeout: float | None,
    ) -> None:
        self.transport = transport
        self.connection = connection
        self.early = early
        self.plaintext = Plaintext()
        self.established = False
        self.closed = False
        self.peer_closed = False
        self.write_broken = False
        self._why_broken: BaseException | None = None
        self.receiving = False
        self.answered_at: float | None = None
        self.answering = False
        self.close_timeout: float | None = DEFAULT_CLOSE_TIMEOUT
        self._timeout = math.inf if handshake_timeout is None else handshake_timeout
        self._deadline: float | None = None
        self._question: Question[Any] | None = None
        self._process = os.getpid()
        self._handshake_lock = trio.Lock()
        self._send_lock = trio.StrictFIFOLock()
        self._alert_sent = False

    def check_open(self) -> None:
        """Raise `ClosedResourceError` if this side has closed the stream.

        Raises `BrokenResourceError` in a process that has only a copy of it.
        """
        if self.closed:
            raise trio.ClosedResourceError("this TLS stream is closed")
        if self.is_forked:
            raise _forked()

    @property
    def is_forked(self) -> bool:
        """Whether this is a copy in a child process."""
        return self._process != os.getpid()

    def check_failure(self) -> None:
        """Raise `BrokenResourceError` if the connection has failed."""
        failure = self.connection.failure
        if failure is not None:
            raise broken(failure)

    # The handshake

    async def handshake(self) -> None:
        """Complete the handshake, if it is not complete yet. Only one task does so at a time."""
        async with self._handshake_lock:
            self.check_open()
            if self.established:
                return
            self.check_writable()
            if self._deadline is None:
                self._deadline = trio.current_time() + self._timeout
            with trio.move_on_at(self._deadline) as scope:
                try:
                    await self._exchange()
                except trio.BrokenResourceError as error:
                    if self.connection.failure is None:
                        await self._note_reset(error)
                    raise
            if scope.cancelled_caught:
                self._drop_question()
                await self.fail(self.connection.abort(Fault.HANDSHAKE_TIMEOUT))

    @property
    def has_begun(self) -> bool:
        """Whether a task completes the handshake, or has tried to."""
        return self._deadline is not None

    async def _exchange(self) -> None:
        connection = self.connection
        await self._send_flight()
        while connection.info is None:
            if self._question is not None:
                await self._answer(self._question)
            else:
                await self.receive()
            self.check_failure()
            if connection.info is None and self.peer_closed:
                await self.fail(connection.abort(Fault.CLOSED_DURING_HANDSHAKE))
            if connection.info is None or not self._ends_with_tickets():
                await self._send_flight()
        self.established = True
        await self.send_what_is_owed()

    def _ends_with_tickets(self) -> bool:
        """Return whether all that is left to send are tickets, for which no client waits."""
        info = self.connection.info
        is_server = isinstance(self.connection, ServerConnection)
        return is_server and info is not None and info.version == "TLSv1.3"

    async def _send_flight(self) -> None:
        if not self.connection.wants_to_send:
            return
        self.answered_at = trio.current_time()
        async with self._send_lock:
            await self._transmit()

    async def _answer(self, question: Question[Any]) -> None:
        """Await what the application's callback has returned, and go on with it."""
        if question.pending is None:
            error = ConfigurationError(
                "DEFER is for those who drive a connection themselves; under trio a callback is "
                "an async function or returns an awaitable."
            )
            await self._refuse(question, error)
        self.answering = True
        try:
            value = await _unprotected(question.pending)
        except Exception as error:
            self._question = None
            await self._drive(self.connection.refuse, question, error)
        except BaseException as error:
            # It cannot be awaited again. Where the time is over, that is the reason to give.
            is_late = self._deadline is not None and trio.current_time() >= self._deadline
            if self.established or not is_late:
                self._question = None
                with suppress(TLSError):
                    self._note(self.connection.refuse(question, error))
            raise
        else:
            self._question = None
            try:
                await self._drive(self.connection.answer, question, value)
            except ConfigurationError as error:
                await self._refuse(question, error)
        finally:
            self.answering = False

    async def _refuse(self, question: Question[Any], error: ConfigurationError) -> NoReturn:
        """Fail the handshake because of an answer that nobody can use, and raise the reason."""
        self._question = None
        with suppress(TLSError):
            self.connection.refuse(question, error)
        await self._send_alert()
        raise error

    def _drop_question(self) -> None:
        question, self._question = self._question, None
        if question is not None and is_coroutine(question.pending):
            question.pending.close()

    # Reading

    async def receive(self, max_bytes: int | None = None) -> None:
        """Receive from the transport once, and let the connection see it."""
        self.receiving = True
        try:
            data = await self.transport.receive_some(max_bytes)
        except trio.BrokenResourceError as error:
            await self._note_reset(error)
            return
        finally:
            self.receiving = False
        if data:
            await self._drive(self.connection.receive_data, data)
        else:
            await self._drive(self.connection.receive_eof)
            self.peer_closed = True
        if self.established:
            while self._question is not None:
                await self._answer(self._question)
            await self.send_what_is_owed()

    async def _note_reset(self, reset: trio.BrokenResourceError) -> None:
        try:
            self._note(self.connection.receive_eof(reset=True))
        except TLSError as error:
            error.__cause__ = reset
            raise broken(error) from error
        self.peer_closed = True

    async def _drive(self, step: Callable[[*Ts], list[Event]], *args: *Ts) -> None:
        """Take one step of the connection, and note its events. A failure is sent to the peer.

        Where events came before a failure, the next step or `check_failure` raises it.
        """
        try:
            self._note(step(*args))
        except TLSError as error:
            await self.fail(error)
        if self.connection.failure is not None:
            await self._send_alert()

    def _note(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, DataReceived):
                self.plaintext.add(event.data)
            elif isinstance(event, PeerClosed):
                self.peer_closed = True
            elif isinstance(event, QuestionAsked):
                self._question = event.question
            else:
                self.early.note(event)

    async def fail(self, error: TLSError) -> NoReturn:
        """Send the alert, and raise `BrokenResourceError` because of this error."""
        await self._send_alert()
        raise broken(error) from error

    async def _send_alert(self) -> None:
        """Send the alert of a failed connection, unless the transport is full or a sender stuck."""
        if not self._alert_sent:
            with trio.move_on_after(_ALERT_SECONDS):
                async with self._send_lock:
                    await self._transmit_alert()

    # Writing

    async def send(self, octets: bytes | memoryview) -> None:
        """Send application data."""
        send_data = self.connection.send_data
        async with self._send_lock:
            if len(octets) <= WRITE_SIZE:
                await self._send_queued(send_data, octets)
            else:
                with memoryview(octets) as view:
                    for start in range(0, len(view), WRITE_SIZE):
                        with view[start : start + WRITE_SIZE] as piece:
                            await self._send_queued(send_data, piece)
            while self.connection.wants_to_send:  # A reader has left it meanwhile.
                await self._transmit()

    async def send_by(self, queue: Callable[[*Ts], object], *args: *Ts) -> None:
        """Let the connection queue something, and send it."""
        async with self._send_lock:
            await self._send_queued(queue, *args)

    async def wait_writable(self) -> None:
        """Wait until the transport has room."""
        async with self._send_lock:
            await self.transport.wait_send_all_might_not_block()

    def check_writable(self) -> None:
        """Raise where nothing more can be sent."""
        self.check_open()
        if self.connection.failure is None and self.connection.closed:
            raise trio.ClosedResourceError("this side has sent close_notify")
        self.check_failure()
        if self.write_broken:
            raise trio.BrokenResourceError(
                "nothing more can be sent: an earlier call was cancelled, or failed, while it sent"
            ) from self._why_broken

    async def _send_queued(self, queue: Callable[[*Ts], object], *args: *Ts) -> None:
        self.check_writable()
        try:
            queue(*args)
        except TLSError as error:
            await self._transmit_alert()
            raise broken(error) from error
        await self._transmit()

    async def _transmit_alert(self) -> None:
        self._alert_sent = True
        gone = (trio.BrokenResourceError, trio.ClosedResourceError, trio.BusyResourceError)
        with trio.move_on_after(_ALERT_SECONDS), suppress(*gone):
            await self._transmit()

    async def _transmit(self) -> None:
        """Send what the connection has queued; under the send lock."""
        if self.write_broken:
            return
        if self.is_forked:  # A call that began before the fork.
            self.write_broken = True
            self._why_broken = _forked()
            raise self._why_broken
        data = self.connection.data_to_send()
        if not data:
            return
        try:
            await self.transport.send_all(data)
        except BaseException as error:
            self.write_broken = True
            self._why_broken = _reason(error)
            if isinstance(error, trio.BrokenResourceError):
                await self._raise_what_the_peer_said(error)
            raise

    async def _raise_what_the_peer_said(self, error: trio.BrokenResourceError) -> None:
        """Raise the alert that the peer sent before it left, if any: it says more than `error`."""
        sock = socket_of(self.transport)
        if sock is None or self.receiving:
            return
        connection = self.connection
        with suppress(OSError, ValueError):
            while connection.failure is None and not self.peer_closed and is_readable(sock):
                data = await sock.recv(_READ_SIZE)
                if not data:
                    break
                with suppress(TLSError):
                    self._note(connection.receive_data(data))
        if isinstance(connection.failure, PeerAlertError):
            raise broken(connection.failure) from error

    async def send_what_is_owed(self) -> None:
        """Send what a reader has to send, if that needs no waiting."""
        sock = socket_of(self.transport)
        if sock is None or self._send_lock.locked() or not self.connection.wants_to_send:
            return
        with suppress(OSError, ValueError, trio.BrokenResourceError, trio.BusyResourceError):
            if is_writable(sock):
                with trio.CancelScope(shield=True):  # It waits for nothing.
                    async with self._send_lock:
                        await self._transmit()

    # The end

    async def say_goodbye(self) -> bool:
        """Send close_notify, and what is queued before it; return whether it has been sent.

        A sender at work is not waited for, as the peer may never read: its record would be cut in
        two by anything else.

        Raises:
            TimeoutError: the peer took nothing for `close_timeout` seconds.
        """
        self._drop_question()
        if self.write_broken or self._send_lock.locked() or self.connection.failure is not None:
            return False
        try:
            async with self._send_lock:
                self.connection.close()
                await self._transmit_in_time()
        except (TLSError, trio.BrokenResourceError, trio.BusyResourceError):
            return False  # The peer is gone: there is nobody to tell.
        return True

    async def _transmit_in_time(self) -> None:
        """Send what is queued, as long as the peer takes something within `close_timeout`.

        Only a socket tells what the peer takes. Elsewhere the time is that of the whole, which is
        little: close_notify, and what a reader had to send.
        """
        sock = socket_of(self.transport)
        if sock is not None:
            await self._wait_for_room(sock)
        timeout = math.inf if self.close_timeout is None else self.close_timeout
        with trio.move_on_after(timeout) as scope:
            await self._transmit()
        if scope.cancelled_caught:
            raise given_up(queued_bytes(sock) or None, timeout)

    async def _wait_for_room(self, sock: Any) -> None:
        """Wait until a socket takes data, as long as the peer takes some."""
        progress = _Progress(self.close_timeout)
        while not is_writable(sock):
            progress.check(queued_bytes(sock))
            with trio.move_on_after(progress.pause()):
                await trio.lowlevel.wait_writable(sock)

    async def linger(self) -> None:
        """Let the peer take what the kernel holds back, for as long as it goes on reading.

        The kernel answers what is unread, or comes after the close, with a reset, and forgets what
        it had yet to send. TLS has the peer send by itself: answers to KeyUpdates, tickets.

        Raises:
            TimeoutError: the peer took nothing for `close_timeout` seconds.
        """
        sock = socket_of(self.transport)
        if sock is None or self.receiving:
            return
        try:
            if unsent_in_kernel(sock):
                sock.shutdown(SHUT_WR)
                await self._wait_until_taken(sock)
            await _drain(sock)
        except TimeoutError:
            raise
        except (OSError, ValueError, trio.BusyResourceError):
            return

    async def _wait_until_taken(self, sock: Any) -> None:
        progress = _Progress(self.close_timeout)
        while (size := queued_bytes(sock)) > 1:  # The end counts as a byte.
            progress.check(size)
            if not await _drain(sock):
                return
            with trio.move_on_after(progress.pause()):
                await trio.lowlevel.wait_readable(sock)

    async def close_copy(self) -> None:
        """Close what a child process has of the transport, and leave the parent's as it is.

        The descriptor is closed without a word to trio: the selector may be shared by both
        processes, and would no longer watch the parent's socket.
        """
        self.closed = True
        sock = socket_of(self.transport)
        if sock is None:
            await trio.aclose_forcefully(self.transport)
            return
        if sock.fileno() >= 0:
            os.close(sock.detach())
        await trio.lowlevel.checkpoint()

    async def close_transport(self, *, forcefully: bool) -> None:
        """Close the transport, without waiting where that is asked for."""
        self._drop_question()
        try:
            # A server that has not begun does not know what came, so that it has nothing to tell.
            if self.has_begun or isinstance(self.connection, ClientConnection):
                self.connection.note_abandonment()
        finally:
            if forcefully:
                await trio.aclose_forcefully(self.transport)
            else:
                await self.transport.aclose()


@trio.lowlevel.disable_ki_protection
async def _unprotected(pending: Awaitable[Any]) -> Any:
    """Await what an application has returned, which a KeyboardInterrupt may end."""
    return await pending


class _Progress:
    """Watches that the peer takes what is sent.

    Args:
        timeout: seconds that may pass without; None: no limit.
    """

    def __init__(self, timeout: float | None) -> None:
        self._timeout = timeout
        self._left = -1
        self._moved_at = trio.current_time()
        self._pause = _FIRST_LOOK_SECONDS

    def check(self, left: int) -> None:
        """Note how much the peer has not taken; raise `TimeoutError` if that stays for too long."""
        now = trio.current_time()
        if left != self._left:
            self._left, self._moved_at = left, now
        elif self._timeout is not None and now >= self._moved_at + self._timeout:
            raise given_up(left or None, self._timeout)

    def pause(self) -> float:
        """Return the seconds until the next look."""
        pause, self._pause = self._pause, min(2 * self._pause, _LAST_LOOK_SECONDS)
        return pause


async def _drain(sock: Any) -> bool:
    """Throw away what has arrived; return whether more may come."""
    drained = 0
    while drained < MAX_DRAINED and is_readable(sock):
        data = await sock.recv(_READ_SIZE)
        if not data:
            return False
        drained += len(data)
    return True


def socket_of(transport: trio.abc.Stream) -> Any:
    """Return the socket of a stream that is one and nothing else; None for other streams."""
    return transport.socket if isinstance(transport, trio.SocketStream) else None


def _reason(error: BaseException) -> BaseException:
    """Return the reason for which nothing more can be sent, given how sending ended.

    It is without a traceback, which would keep what the sender had on its stack.
    """
    if isinstance(error, (trio.BrokenResourceError, trio.ClosedResourceError)):
        return (error.__cause__ or error).with_traceback(None)
    return StateError(
        "An earlier call was cancelled, or interrupted, while it sent. A part of a record may be "
        "with the peer, and another record cannot follow it. To give up a slow peer, close the "
        "stream."
    )


def _forked() -> trio.BrokenResourceError:
    return trio.BrokenResourceError("only the process that made this TLS stream can use it")


def broken(error: TLSError) -> trio.BrokenResourceError:
    """Return what trio raises for a connection that has failed, with the reason as its cause."""
    found = trio.BrokenResourceError(str(error))
    found.__cause__ = error.with_traceback(None)
    return found
