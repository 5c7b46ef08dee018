"""The interface of tracing: the calls on a trace, if there is one, at a few choke points.

It imports nothing, so that the record layer and the handshakes can name the type without importing
the recorder. Without a trace, each choke point costs one `is not None`.

>>> from handclasp.trace.hooks import check_trace
>>> check_trace(Recorder())
>>> check_trace(print)
Traceback (most recent call last):
    ...
handclasp.errors.ConfigurationError: trace must be a Recorder, ...
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from handclasp.errors import ConfigurationError, TLSError
from handclasp.info import ConnectionInfo

Direction = Literal["sent", "received"]
Address = tuple[str, int]
"""An IP address as text, and a TCP port."""


INNER_CLIENT_HELLO, OUTER_CLIENT_HELLO = "inner ClientHello", "outer ClientHello"
"""The choices in a decision about "ech": which of both hellos counts (RFC 9849 section 7)."""


class Trace(Protocol):
    """The methods of a recorder. Each one is documented with its event, in `events`.

    A trace gets secrets only if its `record_secrets` is True.

    See `Recorder` for an example.
    """

    @property
    def record_secrets(self) -> bool:
        """Whether the trace gets secrets, and the content of application data."""
        ...

    @property
    def record_wire(self) -> bool:
        """Whether `wire` is called."""
        ...

    def transport(self, local: Address, peer: Address) -> None: ...
    def transport_ended(self, direction: Direction, how: Literal["end", "reset"]) -> None: ...
    def wire(self, direction: Direction, data: bytes) -> None: ...

    def now(self) -> int:
        """Return the time of the trace's own clock in nanoseconds, to measure operations."""
        ...

    def began(self, role: str, server_name: str | None) -> None: ...
    def message(self, direction: Direction, epoch: str, message_type: int, raw: bytes) -> None: ...
    def inner_hello(
        self, direction: Direction, raw: bytes, outer_extensions: Sequence[int]
    ) -> None:
        """Record the ClientHello inside of the last one (RFC 9849)."""
        ...

    def record(
        self,
        direction: Direction,
        epoch: str,
        content_type: int,
        size: int,
        content_size: int | None = None,
        work_ns: int = 0,
        wire: bytes = b"",
        content: bytes = b"",
    ) -> None:
        """Record a record; `content` is empty for application data unless the trace records
        secrets.
        """
        ...

    def bytes_refused(self, data: bytes) -> None: ...
    def keys_installed(self, direction: Direction, epoch: str, cipher_suite: str) -> None: ...
    def decision(
        self,
        what: str,
        offered: Sequence[str],
        acceptable: Sequence[str],
        chosen: str | None,
        why: str,
        refused: Sequence[tuple[str, str]] = (),
    ) -> None:
        """Record a choice; `refused` has reasons that do not follow from the two lists."""
        ...

    def key_step(
        self,
        operation: str,
        output: str,
        inputs: tuple[str, ...],
        label: str,
        context: bytes,
        size: int,
        value: bytes = b"",
    ) -> None:
        """Record a step of the key schedule; `value` is empty unless the trace records secrets."""
        ...

    def work(self, operation: str, algorithm: str, elapsed_ns: int) -> None: ...
    def secret(self, label: str, value: bytes) -> None: ...
    def alert(self, direction: Direction, level: int, description: int) -> None: ...
    def question_asked(self, kind: str) -> None: ...
    def question_answered(self, kind: str) -> None: ...
    def settled(self, info: ConnectionInfo) -> None: ...
    def failed(self, error: TLSError) -> None: ...


_METHODS = tuple(name for name in vars(Trace) if not name.startswith("_"))


def check_trace(trace: object) -> None:
    """Raise `ConfigurationError` for an object that is not a trace."""
    if trace is None:
        return
    if isinstance(trace, type):
        raise ConfigurationError(f"trace must be an object, not a class: trace={trace.__name__}().")
    missing = next((name for name in _METHODS if not hasattr(trace, name)), None)
    if missing is not None:
        raise ConfigurationError(
            f"trace must be a Recorder, or an object with its methods, not {type(trace).__name__}: "
            f"it has no {missing}."
        )
