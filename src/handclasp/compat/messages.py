"""`SSLContext._msg_callback`, the hook of `ssl` for debugging, called by a trace."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from handclasp.errors import ProtocolError
from handclasp.iana import TLS12, TLS13, ContentType, ExtensionType, HandshakeType
from handclasp.trace.hooks import Trace
from handclasp.wire.messages import ServerHello, read_message
from handclasp.wire.records import HEADER_SIZE

_HEADER = 0x100
_CHANGE_CIPHER_SPEC = 0x101
"""The numbers that OpenSSL gives to what has none: a record's header, and that message."""

_DIRECTIONS = {"sent": "write", "received": "read"}

MessageCallback = Callable[[Any, str, int, int, int, bytes], object]
"""The callback in the C part of a context: connection, direction, version, types, and content."""


class MessageTrace:
    """A trace that calls `_msg_callback`, and passes everything on to another one, if there is one.

    Attributes:
        error: the first exception of the callback, which is raised when the operation is over.
    """

    def __init__(
        self, callback: MessageCallback, owner: Callable[[], object], trace: Trace | None
    ) -> None:
        self._callback = callback
        self._owner = owner
        self._trace = trace
        self._version = TLS12
        self.error: BaseException | None = None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return _ignore if self._trace is None else getattr(self._trace, name)

    @property
    def record_secrets(self) -> bool:
        """Whether the other trace gets secrets; the callback never does."""
        return self._trace is not None and self._trace.record_secrets

    @property
    def record_wire(self) -> bool:
        """Whether the other trace gets all bytes of the transport."""
        return self._trace is not None and self._trace.record_wire

    def now(self) -> int:
        """Return the time of the trace's clock in nanoseconds."""
        return time.perf_counter_ns() if self._trace is None else self._trace.now()

    def message(self, direction: str, epoch: str, message_type: int, raw: bytes) -> None:
        """Tell of a handshake message."""
        if self._trace is not None:
            self._trace.message(direction, epoch, message_type, raw)  # type: ignore[arg-type]
        if message_type == HandshakeType.SERVER_HELLO:
            self._version = _version_in(raw)
        self._tell(direction, ContentType.HANDSHAKE, message_type, raw)

    def record(
        self, direction: str, epoch: str, content_type: int, size: int, *rest: Any, **named: Any
    ) -> None:
        """Tell of a record's header, and of the only message that is a record by itself."""
        if self._trace is not None:
            self._trace.record(direction, epoch, content_type, size, *rest, **named)  # type: ignore[arg-type]
        wire = rest[2] if len(rest) > 2 else named.get("wire", b"")
        if wire:
            self._tell(direction, _HEADER, wire[0], bytes(wire[:HEADER_SIZE]))
        # OpenSSL tells of its own only.
        if content_type == ContentType.CHANGE_CIPHER_SPEC and direction == "sent":
            self._tell(direction, content_type, _CHANGE_CIPHER_SPEC, b"\x01")

    def alert(self, direction: str, level: int, description: int) -> None:
        """Tell of an alert."""
        if self._trace is not None:
            self._trace.alert(direction, level, description)  # type: ignore[arg-type]
        self._tell(direction, ContentType.ALERT, description, bytes([level, description]))

    def _tell(self, direction: str, content_type: int, kind: int, data: bytes) -> None:
        owner = self._owner()
        if owner is None or self.error is not None:
            return
        try:
            way = _DIRECTIONS[direction]
            self._callback(owner, way, self._version, int(content_type), int(kind), bytes(data))
        except BaseException as error:
            self.error = error


def _ignore(*_: object, **__: object) -> None:
    """Take what nobody wants to know."""


def _version_in(raw: bytes) -> int:
    """Return the version that a ServerHello chooses; TLS 1.2 for one that cannot be read."""
    try:
        hello = read_message(raw)
    except ProtocolError:
        return TLS12
    is_tls13 = (
        isinstance(hello, ServerHello) and ExtensionType.SUPPORTED_VERSIONS in hello.extensions
    )
    return TLS13 if is_tls13 else TLS12
