"""The end of an answer: it is reported once it has been sent, or with what was cut off.

What the application has handed over may still wait in this process, or in the system for a client
that is slow: the system takes megabytes. All of it is lost where the connection is aborted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from handclasp.adapters.progress import queued_bytes, unsent_bytes, unsent_in_kernel
from handclasp.serving.application import Scope
from handclasp.values import dataclass

_LOOK_SECONDS = 0.05
"""The seconds between checks whether an answer has been sent."""

_END_BYTES = 100
"""The most bytes that follow an answer: a close_notify, encrypted, and the end of the stream."""


@dataclass(slots=True)
class Answer:
    """An answer on its way.

    Attributes:
        scope: of the request; None where its head could not be read.
        began: the loop's time at the head of the request.
        status: 0 before there is one.
        size: bytes of the body that were handed over.
        is_whole: whether nothing more is to come.
    """

    scope: Scope | None
    began: float
    status: int = 0
    size: int = 0
    is_whole: bool = False


class Delivery:
    """The answers of a connection, one after the other.

    Args:
        transport: of the connection.
        report: is called at the end of each answer, and whether it was cut off.
        sent: is called where that is later than the application's end.
    """

    def __init__(
        self,
        transport: Any,
        report: Callable[[Answer, bool], object],
        sent: Callable[[], object],
    ) -> None:
        self._transport = transport
        self._report = report
        self._sent = sent
        self._loop = asyncio.get_running_loop()
        self._answer: Answer | None = None
        """The one that was handed over, and not sent yet."""
        self._timer: asyncio.TimerHandle | None = None
        self._is_lost = False
        self._lost = 0
        """The bytes that were not sent when the connection ended."""

    def end(self, answer: Answer) -> None:
        """Report an answer that was handed over as a whole, now or once it has been sent."""
        answer.is_whole = True
        if self._is_waiting():
            self._answer = answer
            self._timer = self._loop.call_later(_LOOK_SECONDS, self._look)
        else:
            self._report(answer, False)

    def break_off(self, answer: Answer) -> None:
        """Report an answer whose application has ended, unless that has been done."""
        if not answer.is_whole:
            answer.size = max(0, answer.size - self._lost)
            self._report(answer, True)

    def is_under_way(self) -> bool:
        """Return whether the last answer has not been sent yet."""
        if self._answer is not None and not self._is_waiting():
            self._finish(self._answer, is_cut_off=False)
        return self._answer is not None

    def note_abort(self) -> None:
        """Note what is about to be lost, since the connection is to be aborted."""
        if not self._is_lost:
            self._lost = max(self._lost, unsent_bytes(self._transport))

    def lose(self) -> None:
        """End with the connection."""
        self._is_lost = True
        self._lost = max(self._lost, queued_bytes(self._transport.get_extra_info("socket")))
        if self._answer is not None:
            is_cut_off = self._lost > _END_BYTES
            if is_cut_off:
                self._answer.size = max(0, self._answer.size - self._lost)
            self._finish(self._answer, is_cut_off=is_cut_off)

    def _is_waiting(self) -> bool:
        """Return whether the client has to read before all has been sent."""
        sock = self._transport.get_extra_info("socket")
        if self._is_lost or sock is None or sock.fileno() < 0:
            return False
        return self._transport.get_write_buffer_size() > 0 or unsent_in_kernel(sock) > _END_BYTES

    def _look(self) -> None:
        self._timer = None
        if not self.is_under_way():
            self._sent()
        else:
            self._timer = self._loop.call_later(_LOOK_SECONDS, self._look)

    def _finish(self, answer: Answer, *, is_cut_off: bool) -> None:
        self._answer = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._report(answer, is_cut_off)
