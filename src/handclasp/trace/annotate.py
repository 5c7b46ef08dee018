"""A reader that records the bytes of each field while the library's own codec reads.

There is no second parser: every read of `wire` names its field, and this reader records its range.
The value that the codec returns is discarded.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager

from handclasp.values import dataclass, field
from handclasp.wire.reader import Opener, Reader, Uint16s


@dataclass(slots=True)
class Noted:
    """One field: the bytes from `start` up to `end`, and its parts.

    Attributes:
        name: the RFC's name; "length" for the length in front of a vector.
        number: the value of a field that is a number.
        repeats: whether the parts are the elements of one vector, whose structs are alike.
    """

    name: str
    start: int
    end: int
    number: int | None = None
    repeats: bool = False
    parts: list[Noted] = field(default_factory=list["Noted"])


def opener_into(parts: list[Noted], base: int = 0) -> Opener:
    """Return a function that opens readers, which record their fields in `parts`.

    Args:
        base: the offset of the bytes in the whole message.
    """

    def opener(data: bytes, path: str, at: int = 0) -> Reader:
        return _AnnotatingReader(data, path, at, into=parts, base=base)

    return opener


class _AnnotatingReader(Reader):
    __slots__ = ("_base", "_into", "_within")

    def __init__(
        self,
        data: bytes,
        path: str,
        at: int = 0,
        end: int | None = None,
        *,
        into: list[Noted],
        base: int,
    ) -> None:
        super().__init__(data, path, at, end)
        self._into = into
        self._base = base
        self._within = False
        """Whether a vector is being read, whose first number is its length."""

    def uint8(self, field: str) -> int:
        return self._number(field, super().uint8)

    def uint16(self, field: str) -> int:
        return self._number(field, super().uint16)

    def uint24(self, field: str) -> int:
        return self._number(field, super().uint24)

    def uint32(self, field: str) -> int:
        return self._number(field, super().uint32)

    def opaque(self, field: str, size: int) -> bytes:
        start = self._at
        data = super().opaque(field, size)
        if data:
            self._note("content" if self._within else field, start)
        return data

    def opaque8(self, field: str, minimum: int = 0, maximum: int = 0xFF) -> bytes:
        with self._compound(field):
            return super().opaque8(field, minimum, maximum)

    def opaque16(self, field: str, minimum: int = 0, maximum: int = 0xFFFF) -> bytes:
        # The base reads both parts in one go.
        with self._compound(field):
            return self.opaque(field, self._length(field, self.uint16(field), minimum, maximum))

    def opaque24(self, field: str, minimum: int = 0, maximum: int = 0xFFFFFF) -> bytes:
        with self._compound(field):
            return super().opaque24(field, minimum, maximum)

    def vector8(self, field: str, minimum: int = 0) -> Reader:
        with self._compound(field, repeats=True):
            return super().vector8(field, minimum)

    def vector16(self, field: str, minimum: int = 0) -> Reader:
        with self._compound(field, repeats=True):
            return super().vector16(field, minimum)

    def vector24(self, field: str, minimum: int = 0) -> Reader:
        with self._compound(field, repeats=True):
            return super().vector24(field, minimum)

    def struct(self, field: str) -> AbstractContextManager[None]:
        return self._compound(field, has_length=False)

    def pairs(self, kind: str, content: str) -> Iterator[tuple[int, bytes]]:
        # The base reads each pair in one go.
        while self.more():
            yield self.uint16(kind), self.opaque16(content)

    def opaques16(self, field: str, minimum: int = 0) -> Iterator[bytes]:
        # The base reads each in one go.
        while self.more():
            yield self.opaque16(field, minimum)

    def uint16s8(self, field: str) -> tuple[int, ...]:
        with self._compound(field):
            return super().uint16s8(field)

    def uint16s16(self, field: str) -> tuple[int, ...]:
        with self._compound(field):
            return super().uint16s16(field)

    def packed16(self, field: str) -> Uint16s:
        with self._compound(field):
            return super().packed16(field)

    def _packed(self, field: str, size: int) -> bytes:
        # The base class reads the list at once; each of its numbers is a field of its own.
        start = self._at + self._base
        noted = len(self._into)
        packed = super()._packed(field, size)
        del self._into[noted:]
        self._into += [
            Noted(field, start + 2 * index, start + 2 * index + 2, value)
            for index, value in enumerate(Uint16s(packed))
        ]
        return packed

    def _vector(self, field: str, size: int) -> Reader:
        at = self._advance(field, size)
        path = f"{self.path}.{field}"
        return _AnnotatingReader(self._data, path, at, at + size, into=self._into, base=self._base)

    def _number(self, field: str, read: Callable[[str], int]) -> int:
        start = self._at
        value = read(field)
        self._note("length" if self._within else field, start, value)
        return value

    def _note(self, name: str, start: int, number: int | None = None) -> None:
        self._into.append(Noted(name, start + self._base, self._at + self._base, number))

    @contextmanager
    def _compound(
        self, name: str, *, repeats: bool = False, has_length: bool = True
    ) -> Generator[None]:
        """Record the fields read meanwhile as parts of one field, even if reading fails."""
        outer, within = self._into, self._within
        noted = Noted(name, self._at + self._base, self._at + self._base, repeats=repeats)
        outer.append(noted)
        self._into, self._within = noted.parts, has_length
        try:
            yield
        finally:
            self._into, self._within = outer, within
            noted.end = self._at + self._base
