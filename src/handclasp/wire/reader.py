"""The one bounds-checked reader, which reads every byte of a peer's messages.

Each read names its field, as the RFC does. The name is used in error messages; a subclass may
record each field's range.

A handshake reads some hundred fields, so the common methods do not call each other, although that
would be shorter.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from struct import unpack
from typing import Protocol, overload

from handclasp.errors import ProtocolError
from handclasp.faults import Fault


class Uint16s(Sequence[int]):
    """A list of two-byte values in its wire format, with two bytes for each.

    A tuple takes eight bytes for each, and most numbers are also objects of 28 bytes. It is equal
    to a tuple of the same numbers.
    """

    __slots__ = ("packed",)

    def __init__(self, packed: bytes) -> None:
        self.packed = packed

    def __len__(self) -> int:
        return len(self.packed) // 2

    @overload
    def __getitem__(self, index: int) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[int, ...]: ...
    def __getitem__(self, index: int | slice) -> int | tuple[int, ...]:
        return self._unpacked()[index]

    def __iter__(self) -> Iterator[int]:
        return iter(self._unpacked())

    def __contains__(self, number: object) -> bool:
        return number in self._unpacked()

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Uint16s):
            return self.packed == other.packed
        return self._unpacked() == other

    def __hash__(self) -> int:
        return hash(self._unpacked())

    def __repr__(self) -> str:
        return repr(self._unpacked())

    def _unpacked(self) -> tuple[int, ...]:
        return unpack(f">{len(self.packed) // 2}H", self.packed)


class Reader:
    """Reads a byte string from front to back.

    Every method raises `ProtocolError` (decode_error) if there are too few bytes, or a length is
    out of its bounds (RFC 9846 section 3.4).
    """

    __slots__ = ("_at", "_data", "_end", "_path")

    def __init__(self, data: bytes, path: str, at: int = 0, end: int | None = None) -> None:
        self._data = data
        self._path = path
        self._at = at
        self._end = len(data) if end is None else end

    @property
    def path(self) -> str:
        """The path of the current field, for error messages."""
        return self._path

    def more(self) -> bool:
        """Return whether bytes are left."""
        return self._at < self._end

    def end(self) -> None:
        """Require that nothing is left: trailing bytes are always an error."""
        if self._at != self._end:
            raise self.fault("end", f"{self._end - self._at} bytes too many")

    def uint8(self, field: str) -> int:
        at = self._advance(field, 1)
        return self._data[at]

    def uint16(self, field: str) -> int:
        at = self._at
        after = at + 2
        if after > self._end:
            raise self._cut_short(field, 2)
        self._at = after
        data = self._data
        return data[at] << 8 | data[at + 1]

    def uint24(self, field: str) -> int:
        at = self._advance(field, 3)
        return int.from_bytes(self._data[at : at + 3], "big")

    def uint32(self, field: str) -> int:
        at = self._advance(field, 4)
        return int.from_bytes(self._data[at : at + 4], "big")

    def opaque(self, field: str, size: int) -> bytes:
        """Read a field of fixed size, in bytes."""
        at = self._at
        after = at + size
        if after > self._end:
            raise self._cut_short(field, size)
        self._at = after
        return self._data[at:after]

    def rest(self, field: str) -> bytes:
        """Read a field that takes all remaining bytes."""
        return self.opaque(field, self._end - self._at)

    def opaque8(self, field: str, minimum: int = 0, maximum: int = 0xFF) -> bytes:
        """`opaque field<minimum..maximum>` with a length of one byte."""
        return self.opaque(field, self._length(field, self.uint8(field), minimum, maximum))

    def opaque16(self, field: str, minimum: int = 0, maximum: int = 0xFFFF) -> bytes:
        """`opaque field<minimum..maximum>` with a length of two bytes."""
        at = self._at + 2
        if at > self._end:
            raise self._cut_short(field, 2)
        data = self._data
        size = data[at - 2] << 8 | data[at - 1]
        if not minimum <= size <= maximum:
            raise self._bad_length(field, size, minimum, maximum)
        self._at = at
        after = at + size
        if after > self._end:
            raise self._cut_short(field, size)
        self._at = after
        return data[at:after]

    def opaque24(self, field: str, minimum: int = 0, maximum: int = 0xFFFFFF) -> bytes:
        """`opaque field<minimum..maximum>` with a length of three bytes."""
        return self.opaque(field, self._length(field, self.uint24(field), minimum, maximum))

    def vector8(self, field: str, minimum: int = 0) -> Reader:
        """Read a vector with a length of one byte; return its reader."""
        return self._vector(field, self._length(field, self.uint8(field), minimum, 0xFF))

    def vector16(self, field: str, minimum: int = 0) -> Reader:
        """Read a vector with a length of two bytes; return its reader."""
        return self._vector(field, self._length(field, self.uint16(field), minimum, 0xFFFF))

    def vector24(self, field: str, minimum: int = 0) -> Reader:
        """Read a vector with a length of three bytes; return its reader."""
        return self._vector(field, self._length(field, self.uint24(field), minimum, 0xFFFFFF))

    def uint16s8(self, field: str) -> tuple[int, ...]:
        """Read a non-empty vector of uint16 whose length takes one byte."""
        return self._uint16s(field, self._length(field, self.uint8(field), 2, 0xFE))

    def uint16s16(self, field: str) -> tuple[int, ...]:
        """Read a non-empty vector of uint16 whose length takes two bytes."""
        return self._uint16s(field, self._length(field, self.uint16(field), 2, 0xFFFE))

    def packed16(self, field: str) -> Uint16s:
        """Read the same as `uint16s16`, in its wire format."""
        return Uint16s(self._packed(field, self._length(field, self.uint16(field), 2, 0xFFFE)))

    def pairs(self, kind: str, content: str) -> Iterator[tuple[int, bytes]]:
        """Read all remaining bytes as pairs of a uint16 and an `opaque content<0..2^16-1>`."""
        data, at, end = self._data, self._at, self._end
        while at < end:
            body = at + 4
            after = body + (data[at + 2] << 8 | data[at + 3]) if body <= end else body
            if after > end:
                self._at = at
                yield self.uint16(kind), self.opaque16(content)  # One of these raises the error.
                return
            yield data[at] << 8 | data[at + 1], data[body:after]
            at = after
        self._at = at

    def opaques16(self, field: str, minimum: int = 0) -> Iterator[bytes]:
        """Read all remaining bytes as a sequence of `opaque field<minimum..2^16-1>`."""
        data, at, end = self._data, self._at, self._end
        while at < end:
            body = at + 2
            size = data[at] << 8 | data[at + 1] if body <= end else 0
            after = body + size
            if after > end or size < minimum:
                self._at = at
                yield self.opaque16(field, minimum)  # This raises the error.
                return
            yield data[body:after]
            at = after
        self._at = at

    def struct(self, field: str) -> AbstractContextManager[None]:
        """Have the fields that are read meanwhile belong to a struct, which has no length."""
        return nullcontext()

    def fault(self, field: str, detail: str) -> ProtocolError:
        """Return the error for a malformed `field`."""
        return ProtocolError(Fault.DECODE_ERROR, f"{self._path}.{field}: {detail}")

    def _uint16s(self, field: str, size: int) -> tuple[int, ...]:
        return unpack(f">{size // 2}H", self._packed(field, size))

    def _packed(self, field: str, size: int) -> bytes:
        if size % 2:
            raise self.fault(field, "a list of two-byte values has an odd length")
        return self.opaque(field, size)

    def _vector(self, field: str, size: int) -> Reader:
        at = self._advance(field, size)
        return type(self)(self._data, f"{self._path}.{field}", at, at + size)

    def _length(self, field: str, length: int, minimum: int, maximum: int) -> int:
        if not minimum <= length <= maximum:
            raise self._bad_length(field, length, minimum, maximum)
        return length

    def _advance(self, field: str, size: int) -> int:
        at = self._at
        after = at + size
        if after > self._end:
            raise self._cut_short(field, size)
        self._at = after
        return at

    def _bad_length(self, field: str, length: int, minimum: int, maximum: int) -> ProtocolError:
        return self.fault(field, f"{length} bytes where {minimum} to {maximum} are allowed")

    def _cut_short(self, field: str, size: int) -> ProtocolError:
        return self.fault(field, f"{size} bytes announced, {self._end - self._at} are there")


class Opener(Protocol):
    """The function that makes the reader for some bytes: `Reader` itself, or a subclass."""

    def __call__(self, data: bytes, path: str, at: int = 0) -> Reader: ...
