"""Inputs as trees, so that a change of one keeps its form: lists grow, and lengths stay right.

A `Node` is bytes, or parts. What stands around the parts is its form: nothing, a length as TLS
has it, a tag and a length as DER has it, a signature that is made anew each time, or the brackets
of JSON. `tls` reads a message by its definition, `der`, `json_tree` and `lines` whatever they are
given; what does not follow its definition stays bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from tests.fuzz import material

from handclasp.iana import ExtensionType as Ext
from handclasp.iana import HandshakeType


@dataclass(slots=True)
class Node:
    """A piece of an input.

    Attributes:
        kind: what it is, for people, and to find others of its kind.
        form: what stands around the parts: "", "1" to "3" (bytes of a length), "der" (the tag is
            `data`), "signed" (by the key that `data` names), "array", "object", "member".
        data: the bytes, where there are no parts.
        parts: None where it is bytes.
        many: whether the parts are a list, of which there may be any number.
        fixed: whether the bytes keep their size.
        times: how often it stands there, one after the other.
        numbered: whether its last bytes count those times, or those of what it is in.
    """

    kind: str
    form: str = ""
    data: bytes = b""
    parts: list[Node] | None = field(default=None)
    many: bool = False
    fixed: bool = False
    times: int = 1
    numbered: bool = False

    def copy(self) -> Node:
        parts = None if self.parts is None else [part.copy() for part in self.parts]
        return replace(self, parts=parts)

    def walk(self) -> Iterator[Node]:
        """This one and all below, in their order."""
        waiting = [self]
        while waiting:
            node = waiting.pop()
            yield node
            waiting.extend(reversed(node.parts or ()))

    def named(self, kind: str) -> Node:
        """The first of a kind."""
        return next(node for node in self.walk() if node.kind == kind)


class DoesNotFit(ValueError):
    """Something is longer than the length in front of it can say."""


def render(node: Node, number: int = 0) -> bytes:
    """The bytes of a tree, once. Raises `DoesNotFit`."""
    if node.parts is None:
        return _enclosed(node, _numbered(node, number) if node.numbered else node.data)
    if node.form == "signed":
        return _signed(node, number)
    parts = [said for part in node.parts for said in _each_time(part, number)]
    if node.form in _JSON:
        opens, between, closes = _JSON[node.form]
        return opens + between.join(parts) + closes
    return _enclosed(node, b"".join(parts))


_JSON = {"array": (b"[", b", ", b"]"), "object": (b"{", b", ", b"}"), "member": (b"", b": ", b"")}


def _each_time(part: Node, number: int) -> list[bytes]:
    if part.times > 1 and any(each.numbered for each in part.walk()):
        return [render(part, each) for each in range(part.times)]
    return [render(part, number)] * part.times


def repeated(parts: Iterable[Node]) -> list[Node]:
    """Each as often as it stands there, with its number in it."""
    found: list[Node] = []
    for part in parts:
        if part.times > 1 and any(each.numbered for each in part.walk()):
            found += [_counted(part, number) for number in range(part.times)]
        else:
            found += [part] * part.times
    return found


def _counted(part: Node, number: int) -> Node:
    one = part.copy()
    one.times = 1
    for leaf in one.walk():
        if leaf.numbered and leaf.parts is None:
            leaf.data, leaf.numbered = _numbered(leaf, number), False
    return one


def _numbered(leaf: Node, number: int) -> bytes:
    """The same length where it is binary; digits are added to words."""
    data = leaf.data
    if not leaf.fixed and data.isascii() and data.strip().decode().isprintable():
        text, tail = (data[:-1], data[-1:]) if data[-1:] in b'"|\n ' else (data, b"")
        return text + b"%d" % number + tail
    size = min(len(data), 4 if len(data) > 4 else 2)
    start = int.from_bytes(data[len(data) - size :])
    return data[: len(data) - size] + ((start + number) % (1 << 8 * size)).to_bytes(size)


def _enclosed(node: Node, body: bytes) -> bytes:
    if not node.form:
        return body
    if node.form == "der":
        return node.data[:1] + _der_length(len(body)) + body
    size = int(node.form)
    if len(body) >= 1 << 8 * size:
        raise DoesNotFit(node.kind)
    return len(body).to_bytes(size) + body


# TLS: a definition is how many bytes (int), a list of definitions, or one of the classes below.


@dataclass(frozen=True)
class Vec:
    """A list of `item` behind a length of so many bytes."""

    size: int
    item: Shape
    kind: str = "list"


@dataclass(frozen=True)
class Opaque:
    """Bytes behind a length; `inside` is "der" where they hold DER."""

    size: int
    kind: str = "opaque"
    inside: str = ""


@dataclass(frozen=True)
class Extensions:
    """All the extensions of a message."""


@dataclass(frozen=True)
class Rest:
    """What is left."""


Shape: TypeAlias = "int | Sequence[Shape] | Vec | Opaque | Extensions | Rest"

_NAMES = Vec(2, Opaque(2, "name", "der"), "names")
_EXTENSIONS: dict[int, Shape] = {
    Ext.SERVER_NAME: Vec(2, [1, Opaque(2, "host_name")]),
    Ext.STATUS_REQUEST: [1, Vec(2, Opaque(2)), Opaque(2)],
    Ext.SUPPORTED_GROUPS: Vec(2, 2),
    Ext.EC_POINT_FORMATS: Vec(1, 1),
    Ext.SIGNATURE_ALGORITHMS: Vec(2, 2),
    Ext.SIGNATURE_ALGORITHMS_CERT: Vec(2, 2),
    Ext.APPLICATION_LAYER_PROTOCOL_NEGOTIATION: Vec(2, Opaque(1, "protocol")),
    Ext.SIGNED_CERTIFICATE_TIMESTAMP: Vec(2, Opaque(2, "timestamp")),
    Ext.CLIENT_CERTIFICATE_TYPE: Vec(1, 1),
    Ext.SERVER_CERTIFICATE_TYPE: Vec(1, 1),
    Ext.COMPRESS_CERTIFICATE: Vec(1, 2),
    Ext.SUPPORTED_VERSIONS: Vec(1, 2),
    Ext.COOKIE: Opaque(2),
    Ext.PSK_KEY_EXCHANGE_MODES: Vec(1, 1),
    Ext.CERTIFICATE_AUTHORITIES: _NAMES,
    Ext.KEY_SHARE: Vec(2, [2, Opaque(2, "key_exchange")]),
    Ext.PRE_SHARED_KEY: [Vec(2, [Opaque(2, "identity"), 4]), Vec(2, Opaque(1, "binder"))],
}
_HELLO: list[Shape] = [2, 32, Opaque(1, "session_id")]
_MESSAGES: dict[int, Shape] = {
    HandshakeType.CLIENT_HELLO: [*_HELLO, Vec(2, 2, "cipher_suites"), Vec(1, 1), Extensions()],
    HandshakeType.SERVER_HELLO: [*_HELLO, 2, 1, Extensions()],
    HandshakeType.ENCRYPTED_EXTENSIONS: Extensions(),
    HandshakeType.CERTIFICATE_REQUEST: [Opaque(1), Extensions()],
    HandshakeType.NEW_SESSION_TICKET: [8, Opaque(1), Opaque(2, "ticket"), Extensions()],
}
_CERTIFICATE = Opaque(3, "certificate", "der")
CERTIFICATE13: Shape = [Opaque(1), Vec(3, [_CERTIFICATE, Extensions()], "certificates")]
CERTIFICATE12: Shape = Vec(3, _CERTIFICATE, "certificates")
REQUEST12: Shape = [Vec(1, 1), Vec(2, 2, "schemes"), _NAMES]
STATUS12: Shape = [1, Opaque(3, "OCSPResponse", "der")]


def tls(raw: bytes, shape: Shape | None = None) -> Node:
    """A handshake message, by its definition, or by that of its type."""
    shape = _MESSAGES.get(raw[0], Rest()) if shape is None else shape
    body = Node(f"message {raw[0]}", "3", parts=_all_of(shape, raw[4:]))
    return Node("message", parts=[Node("type", data=raw[:1], fixed=True), body])


def _all_of(shape: Shape, data: bytes) -> list[Node]:
    node, rest = _read(shape, data)
    nodes = [node, Node("rest", data=rest)] if rest else [node]
    # The same extension may be empty in another message, or be of another form.
    signed = any(each.form == "signed" for top in nodes for each in top.walk())
    if signed or b"".join(map(render, nodes)) == data:
        return nodes
    return [Node("bytes", data=data)]


def _read(shape: Shape, data: bytes) -> tuple[Node, bytes]:
    """A node and what follows it."""
    if isinstance(shape, int):
        return Node(f"u{shape}", data=data[:shape], fixed=True), data[shape:]
    if isinstance(shape, Rest):
        return Node("bytes", data=data), b""
    if isinstance(shape, Extensions):
        inside, rest = _behind(2, data)
        return Node("extensions", "2", parts=list(_extensions(inside)), many=True), rest
    if isinstance(shape, Vec):
        inside, rest = _behind(shape.size, data)
        return Node(shape.kind, str(shape.size), parts=_items(shape.item, inside), many=True), rest
    if isinstance(shape, Opaque):
        inside, rest = _behind(shape.size, data)
        parts = der(inside) if shape.inside else None
        return Node(shape.kind, str(shape.size), b"" if parts else inside, parts), rest
    parts = []
    for each in shape:
        node, data = _read(each, data)
        parts.append(node)
    return Node("entry", parts=parts), data


def _behind(size: int, data: bytes) -> tuple[bytes, bytes]:
    end = size + int.from_bytes(data[:size], "big")
    return data[size:end], data[end:]


def _items(shape: Shape, data: bytes) -> list[Node]:
    items = []
    while data:
        node, data = _read(shape, data)
        items.append(node)
    return items


def _extensions(data: bytes) -> Iterator[Node]:
    while data:
        number = int.from_bytes(data[:2], "big")
        kind = Node("extension type", data=data[:2], fixed=True)
        inside, data = _behind(2, data[2:])
        parts = _all_of(_EXTENSIONS.get(number, Rest()), inside)
        name = Ext(number).name.lower() if number in set(Ext) else "unknown"
        yield Node("extension", parts=[kind, Node(name, "2", parts=parts)])


# DER


def der(data: bytes, key: str = "intermediate") -> list[Node] | None:
    """The values that these bytes are, or None where they are none.

    What is signed is signed again when it is rendered, with the key of this name.
    """
    nodes = []
    while data:
        try:
            tag, head, size = data[0], 2, data[1]
            if size & 0x80:
                head += size & 0x7F
                size = int.from_bytes(data[2:head], "big")
        except IndexError:
            return None
        if tag & 0x1F == 0x1F or head + size > len(data):
            return None
        nodes.append(_value(tag, data[head : head + size], key))
        data = data[head + size :]
    return nodes


def _value(tag: int, body: bytes, key: str) -> Node:
    octets = bytes([tag])
    may_hold_more = tag & 0x20 or tag == 0x04
    parts = der(body, key) if may_hold_more and body else None
    if parts is None:
        return Node(f"{tag:#04x}", "", octets + _der_length(len(body)) + body)
    if tag == 0x30 and _looks_signed(parts):
        return Node("signed", "signed", key.encode(), parts)
    return Node(f"{tag:#04x}", "der", octets, parts, many=tag != 0x04)


def _looks_signed(parts: Sequence[Node]) -> bool:
    """SEQUENCE { tbs, AlgorithmIdentifier, BIT STRING, ... }"""
    kinds = [part.kind for part in parts[:3]]
    return kinds == ["0x30", "0x30", "0x03"] and b"\x2a\x86\x48\xce\x3d\x04" in render(parts[1])


def _signed(node: Node, number: int) -> bytes:
    parts = [said for part in node.parts or () for said in _each_time(part, number)]
    if len(parts) < 3:
        raise DoesNotFit("it is not signed any more")
    tbs, algorithm, _, *more = parts
    key = material.authority_key(node.data.decode())
    signature = key.sign(tbs, ec.ECDSA(hashes.SHA256()))
    bits = b"\x03" + _der_length(len(signature) + 1) + b"\0" + signature
    body = b"".join([tbs, algorithm, bits, *more])
    return b"\x30" + _der_length(len(body)) + body


def _der_length(size: int) -> bytes:
    if size < 0x80:
        return bytes([size])
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([0x80 | len(octets)]) + octets


# Text


def json_tree(value: Any, kind: str = "value") -> Node:
    """Any JSON value."""
    if isinstance(value, dict):
        members = [
            Node(name, "member", parts=[_json_leaf(name, "name"), json_tree(inner, name)])
            for name, inner in value.items()
        ]
        return Node(kind, "object", parts=members, many=True)
    if isinstance(value, list):
        return Node(kind, "array", parts=[json_tree(each, kind) for each in value], many=True)
    return _json_leaf(value, kind)


def _json_leaf(value: Any, kind: str) -> Node:
    return Node(kind, data=json.dumps(value).encode())


def lines(text: bytes, kind: str = "line") -> Node:
    """Lines of words."""
    parts = [
        Node(kind, parts=[Node("word", data=word) for word in _words(line)], many=True)
        for line in text.splitlines(keepends=True)
    ]
    return Node("text", parts=parts, many=True)


def _words(line: bytes) -> list[bytes]:
    found = line.replace(b" ", b" \0").replace(b"|", b"|\0").split(b"\0")
    return [word for word in found if word]
