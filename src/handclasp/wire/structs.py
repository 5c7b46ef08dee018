"""Structs of the presentation language as tables: one definition reads and writes (RFC 9846 3).

A `Struct` lists its fields in their order. Well-formed bytes are read in one pass over that table,
without an object or a call for each field. If they are malformed, a `Reader` reads the same table
again, field by field: it finds the error and its place, and a subclass of it records the bytes of
each field.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from struct import Struct as Packed
from typing import Any, Final, NamedTuple, TypeAlias

from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.iana import extension_name
from handclasp.wire.reader import Opener, Reader, Uint16s
from handclasp.wire.writer import uint16s as uint16s_of

Extensions: TypeAlias = Mapping[int, bytes]
"""Extension type -> extension_data, in the order of the message."""

_NUMBER, _OPAQUE, _FIXED, _REST, _UINT16S, _EXTENSIONS, _OPTIONAL, _VECTOR = range(8)

_WRONG: Final = -1
"""The result of a scan, instead of an offset, for malformed bytes."""

_type_and_length = Packed(">HH").unpack_from


class Field(NamedTuple):
    """One field of a struct; made by the functions below.

    Attributes:
        size: the bytes of a number, of a fixed field, or of the length in front.
        minimum, maximum: the bounds of a length, in bytes.
        element: the element of a vector.
    """

    name: str
    code: int
    size: int = 0
    minimum: int = 0
    maximum: int = 0
    element: Struct | None = None


def uint(name: str, size: int) -> Field:
    """Return a number of `size` bytes."""
    return Field(name, _NUMBER, size)


def opaque(name: str, length_size: int, minimum: int = 0, maximum: int | None = None) -> Field:
    """`opaque name<minimum..maximum>`, with a length of `length_size` bytes."""
    most = 256**length_size - 1 if maximum is None else maximum
    return Field(name, _OPAQUE, length_size, minimum, most)


def fixed(name: str, size: int) -> Field:
    """`opaque name[size]`."""
    return Field(name, _FIXED, size)


def rest(name: str) -> Field:
    """Return the rest of the message, whose length is known otherwise."""
    return Field(name, _REST)


def uint16s(name: str) -> Field:
    """`uint16 name<2..2^16-2>`, kept in as few bytes as it came in."""
    return Field(name, _UINT16S)


def extensions(minimum: int = 0) -> Field:
    """`Extension extensions<minimum..2^16-1>` (RFC 8446 section 4.2), each type at most once."""
    return Field("extensions", _EXTENSIONS, minimum=minimum)


def optional_extensions() -> Field:
    """Return the optional extensions at the end of a hello (RFC 5246 section 7.4.1.2)."""
    return Field("extensions", _OPTIONAL)


def vector(name: str, length_size: int, element: Struct, minimum: int = 0) -> Field:
    """`element name<minimum..>`, with a length of `length_size` bytes."""
    return Field(name, _VECTOR, length_size, minimum, 256**length_size - 1, element)


class Struct:
    """The definition of a struct.

    Attributes:
        make: makes its value from those of the fields; a value to write has the fields' names.
        fields: the fields in their order.
    """

    __slots__ = ("fields", "make", "steps")

    def __init__(self, make: Callable[..., Any], *fields: Field) -> None:
        self.make = make
        self.fields = fields
        self.steps = _steps(fields)

    def read(self, data: bytes, path: str, at: int = 0, opener: Opener | None = None) -> list[Any]:
        """Return the values of the fields, which fill `data` from `at` to its end.

        Raises `ProtocolError`: decode_error for malformed data, and illegal_parameter for a
        repeated extension.
        """
        if opener is None:
            values: list[Any] = []
            if scan(self, data, at, len(data), values) == len(data):
                return values
            opener = Reader
        reader = opener(data, path, at)
        values = self.read_with(reader)
        reader.end()
        return values

    def read_with(self, reader: Reader) -> list[Any]:
        """Return the values, read field by field with a reader, which may do more with them."""
        return [_READ[field.code](reader, field) for field in self.fields]


Step: TypeAlias = "tuple[Callable[[bytes, int], tuple[Any, ...]], int, int, range, Struct | None]"
"""One step of a scan: some fields of a size that is known before, and one that is not.

In this order: what takes the former out of the bytes, and the length of the latter, if it has one;
the bytes that it takes; the code of the latter, or `_NUMBER` where there is none; the lengths that
it may have; and the element of a vector. A scan unpacks a plain tuple faster than a named one.
"""


def _steps(fields: Sequence[Field]) -> tuple[Step, ...]:
    """Join the fields of a struct into as few steps as read them."""
    steps: list[Step] = []
    run = ">"
    for field in fields:
        _, code, size, minimum, maximum, element = field
        if code == _FIXED:
            run += f"{size}s"
        elif code == _NUMBER and size in _PACKED:
            run += _PACKED[size]
        else:
            if code == _UINT16S:
                run, minimum, maximum = run + _PACKED[2], 2, 2**16 - 1
            elif code == _EXTENSIONS:
                run, maximum = run + _PACKED[2], 2**16 - 1
            elif size in _PACKED:
                run += _PACKED[size]
            elif size:
                # `struct` has no numbers of three bytes.
                run, code = run + f"{size}s", _IN_THREE_BYTES[code]
            packed, sizes = Packed(run), range(minimum, maximum + 1)
            steps.append((packed.unpack_from, packed.size, code, sizes, element))
            run = ">"
    if run != ">":
        packed = Packed(run)
        steps.append((packed.unpack_from, packed.size, _NUMBER, range(0), None))
    return tuple(steps)


_PACKED = {1: "B", 2: "H", 4: "I", 8: "Q"}
"""Formats of numbers, by their bytes."""

_NUMBER24, _OPAQUE24, _VECTOR24 = range(_VECTOR + 1, _VECTOR + 4)
_IN_THREE_BYTES = {_NUMBER: _NUMBER24, _OPAQUE: _OPAQUE24, _VECTOR: _VECTOR24}
"""The codes for steps whose number or length has three bytes."""


def scan(struct: Struct, data: bytes, at: int, end: int, values: list[Any]) -> int:
    """Append the values of the fields at `at`; return the offset after them, or `_WRONG`."""
    found: dict[int, bytes]
    for unpack, size, code, sizes, element in struct.steps:
        if at + size > end:
            return _WRONG
        values += unpack(data, at)
        at += size
        if code == _OPAQUE:
            after: int = at + values[-1]
            if after > end or values[-1] not in sizes:
                return _WRONG
            values[-1] = data[at:after]
            at = after
            continue
        if code == _EXTENSIONS:
            after = at + values[-1]
            if after > end or values[-1] not in sizes:
                return _WRONG
            values[-1] = found = {}
            if at < after and not _scan_extensions(data, at, after, found):
                return _WRONG
            at = after
            continue
        if code == _NUMBER:
            continue
        if code == _OPTIONAL:
            found = {}
            values.append(found)
            if at == end:
                continue
            at += 2
            after = at + int.from_bytes(data[at - 2 : at], "big")
            if at > end or after > end or not _scan_extensions(data, at, after, found):
                return _WRONG
            at = after
            continue
        if code == _REST:
            values.append(data[at:end])
            at = end
            continue
        length = values.pop()
        if code >= _NUMBER24:
            length = int.from_bytes(length, "big")
            if code == _NUMBER24:
                values.append(length)
                continue
        after = at + length
        if after > end or length not in sizes:
            return _WRONG
        if code == _OPAQUE24:
            values.append(data[at:after])
        elif code == _UINT16S:
            if length % 2:
                return _WRONG
            values.append(Uint16s(data[at:after]))
        elif element is None or not _scan_vector(data, at, after, element, values):
            return _WRONG
        at = after
    return at


def write_fields(struct: Struct, message: Any) -> bytes:
    """Return the bytes of a value; raise `OverflowError` if it is too long for its length."""
    parts: list[bytes] = []
    for name, code, size, _, _, element in struct.fields:
        value = getattr(message, name)
        if code == _NUMBER:
            parts.append(value.to_bytes(size, "big"))
            continue
        if code in (_EXTENSIONS, _OPTIONAL):
            if value or code == _EXTENSIONS:
                parts.append(write_extensions(value))
            continue
        if code == _UINT16S:
            value, size = uint16s_of(value), 2
        elif code == _VECTOR and element is not None:
            value = b"".join([write_fields(element, each) for each in value])
        if size and code != _FIXED:
            parts.append(len(value).to_bytes(size, "big"))
        parts.append(value)
    return b"".join(parts)


def read_extensions(reader: Reader, minimum: int = 0) -> dict[int, bytes]:
    """`Extension extensions<minimum..2^16-1>` (RFC 8446 section 4.2), each type at most once."""
    content = reader.vector16("extensions", minimum)
    found: dict[int, bytes] = {}
    for extension_type, data in content.pairs("extension_type", "extension_data"):
        if extension_type in found:
            raise ProtocolError(
                Fault.DUPLICATE_EXTENSION, f"{extension_name(extension_type)} in {reader.path}"
            )
        found[extension_type] = data
    return found


def write_extensions(extensions: Extensions) -> bytes:
    """Write the vector of extensions with its length."""
    content = write_entries(extensions)
    return len(content).to_bytes(2, "big") + content


def write_entries(extensions: Extensions) -> bytes:
    """Write extensions one after the other, as they stand in the vector."""
    parts: list[bytes] = []
    for kind, data in extensions.items():
        # The type and the length in one number; a length that does not fit shows in the vector's.
        parts += (kind << 16 | len(data)).to_bytes(4, "big"), data
    return b"".join(parts)


def _scan_extensions(data: bytes, at: int, end: int, found: dict[int, bytes]) -> bool:
    """Put the extensions up to `end` into `found`; return whether they end there, each once."""
    count = 0
    while at + 4 <= end:
        kind, size = _type_and_length(data, at)
        body = at + 4
        at = body + size
        found[kind] = data[body:at]
        count += 1
    # If the last one does not end here, there are too many or too few bytes.
    return at == end and len(found) == count


def _scan_vector(data: bytes, at: int, end: int, element: Struct, values: list[Any]) -> bool:
    """Append a tuple of all elements up to `end`; return whether they end exactly there."""
    elements: list[Any] = []
    while 0 <= at < end:
        parts: list[Any] = []
        at = scan(element, data, at, end, parts)
        if at > 0:
            elements.append(element.make(*parts))
    values.append(tuple(elements))
    return at == end


def _read_number(reader: Reader, field: Field) -> int:
    if field.size == 8:
        return reader.uint32(field.name) << 32 | reader.uint32(field.name)
    return (reader.uint8, reader.uint16, reader.uint24, reader.uint32)[field.size - 1](field.name)


def _read_opaque(reader: Reader, field: Field) -> bytes:
    read = (reader.opaque8, reader.opaque16, reader.opaque24)[field.size - 1]
    return read(field.name, field.minimum, field.maximum)


def _read_extensions(reader: Reader, field: Field) -> dict[int, bytes]:
    if field.code == _OPTIONAL:
        return read_extensions(reader) if reader.more() else {}
    return read_extensions(reader, field.minimum)


def _read_vector(reader: Reader, field: Field) -> tuple[Any, ...]:
    read = (reader.vector8, reader.vector16, reader.vector24)[field.size - 1]
    content = read(field.name, field.minimum)
    elements: list[Any] = []
    while field.element is not None and content.more():
        elements.append(field.element.make(*field.element.read_with(content)))
    return tuple(elements)


_READ: Mapping[int, Callable[[Reader, Field], Any]] = {
    _NUMBER: _read_number,
    _OPAQUE: _read_opaque,
    _FIXED: lambda reader, field: reader.opaque(field.name, field.size),
    _REST: lambda reader, field: reader.rest(field.name),
    _UINT16S: lambda reader, field: reader.packed16(field.name),
    _EXTENSIONS: _read_extensions,
    _OPTIONAL: _read_extensions,
    _VECTOR: _read_vector,
}
