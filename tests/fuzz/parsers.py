"""Targets: everything that reads bytes which a peer, or a file, may have made up.

Besides not raising anything but its own errors, a parser must give back what it read, must not
care how its input was cut into pieces, and must agree with the annotating reader of traces.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

from tests.fuzz import material
from tests.fuzz.conversation import every_message, recorded
from tests.fuzz.target import Choices, Target
from tests.record.records import Records

from handclasp import Fault, ProtocolError, Recorder, TLSError
from handclasp.errors import ConfigurationError
from handclasp.iana import ContentType
from handclasp.sessions import tickets
from handclasp.sessions.session import Session
from handclasp.sessions.ticket_keys import TicketKeys
from handclasp.sessions.tickets import open_ticket, seal_ticket
from handclasp.starttls.proxy_protocol import (
    MAX_HEADER_BYTES,
    SIGNATURE,
    HeaderReader,
    ProxyHeaderError,
)
from handclasp.story.fields import fields_of
from handclasp.story.narrate import narrate
from handclasp.trace.annotate import Noted, opener_into
from handclasp.trace.events import TraceFormatError
from handclasp.wire import extensions as ext
from handclasp.wire.codecs import MESSAGE_TYPES, read_as, read_message12, write_message
from handclasp.wire.compression import DecompressionError, available_algorithms, compress
from handclasp.wire.compression import decompress as decompress_certificate
from handclasp.wire.messages import ClientHello, ServerHello, read_message
from handclasp.wire.messages12 import read_ecdh_point, read_encrypted_secret
from handclasp.wire.records import write_plaintext

KINDS = tuple(MESSAGE_TYPES)
EXTENSIONS: tuple[tuple[str, Callable[..., Any]], ...] = tuple(
    (name, reader)
    for name, reader in sorted(vars(ext).items())
    if name.startswith("read_") and name != "read_extensions"
)
NAMED = ("read_empty", "read_certificate_types", "read_selected_certificate_type")
"""Readers that are told whose extension it is."""


# Messages


def message(data: bytes) -> None:
    """The first byte chooses the definition; what was read must write back to itself."""
    choice, body = data[:1], data[1:]
    if not choice:
        return
    number = choice[0] % (len(KINDS) + 2)
    if number < len(KINDS):
        kind = KINDS[number]
        raw = _framed(MESSAGE_TYPES[kind], body)
        reads: Callable[..., Any] = lambda *opener: read_as(kind, raw, *opener)  # noqa: E731
    else:
        raw = _framed(body[0] if body else 0, body[1:])
        read = read_message if number == len(KINDS) else read_message12
        reads = lambda *opener: read(raw, *opener)  # noqa: E731
    value = _both_ways(reads)
    if value is not None and _with_extensions(value, write_message(value)) != raw:
        raise AssertionError("a message was read that does not write back to itself")
    for epoch in ("plaintext", "handshake", "application"):
        fields_of(raw, epoch)


def message_seeds() -> Iterable[bytes]:
    for raw in every_message():
        yield bytes([len(KINDS)]) + raw[:1] + raw[4:]
        yield bytes([len(KINDS) + 1]) + raw[:1] + raw[4:]
        for number, kind in enumerate(KINDS):
            if MESSAGE_TYPES[kind] == raw[0]:
                yield bytes([number]) + raw[4:]


# Extensions


def extension(data: bytes) -> None:
    """The first byte chooses whose definition the rest is held against."""
    if not data:
        return
    number = data[0] % (len(EXTENSIONS) + 2)
    body = data[1:]
    if number >= len(EXTENSIONS):
        inner = (read_ecdh_point, read_encrypted_secret)[number - len(EXTENSIONS)]
        _both_ways(lambda *opener: inner(body, *opener))
        return
    name, reader = EXTENSIONS[number]
    arguments = ("server_certificate_type",) if name in NAMED else ()
    _both_ways(lambda *opener: reader(body, *arguments, *opener))


def extension_seeds() -> Iterable[bytes]:
    bodies = set[bytes]()
    for raw in every_message():
        try:
            value: Any = read_message(raw)
        except ProtocolError:
            continue
        bodies.update(getattr(value, "extensions", {}).values())
    for number in range(len(EXTENSIONS) + 2):
        for body in sorted(bodies):
            yield bytes([number]) + body


# Records


def records(data: bytes) -> None:
    """A stream of plaintext records means the same, however the transport cuts it."""
    choices = Choices(data)
    sizes = [choices.byte() or 1 for _ in range(4)]
    stream = choices.rest()
    whole = _read_stream(stream, [len(stream) or 1])
    if _read_stream(stream, sizes) != whole:
        raise AssertionError("it depends on how the stream was cut")
    if _read_stream(stream, [1]) != whole:
        raise AssertionError("byte by byte it is something else")


def record_seeds() -> Iterable[bytes]:
    for raw in every_message():
        yield b"\1\2\3\4" + write_plaintext(ContentType.HANDSHAKE, raw[:16000])
        half = len(raw) // 2
        yield b"\x07\xff\x01\x40" + b"".join(
            write_plaintext(ContentType.HANDSHAKE, piece) for piece in (raw[:half], raw[half:])
        )
    yield b"\1\1\1\1\x15\3\3\0\2\2\x28"
    yield b"\1\1\1\1\x14\3\3\0\1\1"


def _read_stream(stream: bytes, sizes: list[int]) -> list[object]:
    records = Records(cuts=True)
    seen = records.seen
    at = turn = 0
    try:
        while at < len(stream):
            size = sizes[turn % len(sizes)]
            records.receive(stream[at : at + size])
            at, turn = at + size, turn + 1
    except ProtocolError as error:
        # What is no TLS is told by its first bytes, of which more or fewer may be there.
        early = (Fault.NOT_TLS, Fault.PLAINTEXT_HTTP, Fault.SSLV2_HELLO)
        seen.append("no TLS" if error.fault in early else error.fault)
    return seen


# Headers of the PROXY protocol


def proxy_header(data: bytes) -> None:
    """However it is cut, the same header is found, within its bound and not a byte beyond it."""
    choices = Choices(data)
    size = choices.byte() or 1
    stream = choices.rest()
    if _read_header(stream, size) != _read_header(stream, len(stream) or 1):
        raise AssertionError("it depends on how the stream was cut")


def _read_header(stream: bytes, size: int) -> tuple[object, bytes]:
    reader, left = HeaderReader(), stream
    try:
        while reader.needed and left:
            piece = left[: min(size, reader.needed)]
            reader.receive_data(piece)
            left = left[len(piece) :]
            if len(stream) - len(left) > MAX_HEADER_BYTES:
                raise AssertionError("the bound does not hold")
    except ProxyHeaderError:
        return "refused", b""
    if not left and reader.needed:
        return "incomplete", b""
    return reader.header, left


def proxy_header_seeds() -> Iterable[bytes]:
    lines = (
        b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443",
        b"PROXY TCP6 2001:db8::7 2001:db8::1 56324 443",
        b"PROXY UNKNOWN",
        b"PROXY UNKNOWN and more",
    )
    for line in lines:
        yield b"\xff" + line + b"\r\n\x16\x03\x01"
    for command, family, size in (
        (0x20, 0, 0),
        (0x21, 0x11, 12),
        (0x21, 0x21, 40),
        (0x21, 0x31, 216),
    ):
        yield b"\xff" + SIGNATURE + bytes([command, family, 0, size]) + bytes(size + 3)


# Compressed certificates


def compression(data: bytes) -> None:
    """Never more than was announced, whatever it would become."""
    choices = Choices(data)
    names = available_algorithms()
    name, length = names[choices.byte() % len(names)], choices.number()
    try:
        content = decompress_certificate(name, choices.rest(), length)
    except DecompressionError:
        return
    if len(content) != length:
        raise AssertionError("another length than announced")


def compression_seeds() -> Iterable[bytes]:
    for number, name in enumerate(available_algorithms()):
        for content in (b"", b"a", bytes(60000), b"".join(material.server().chain_der)):
            yield bytes([number]) + len(content).to_bytes(2, "big") + compress(name, content)


# Tickets and sessions

_TICKET_KEYS = TicketKeys()
_TICKET_HEADER = tickets._VERSION.to_bytes(1, "big")


def ticket(data: bytes) -> None:
    """Tickets of any form, and such as hold any state under the right key."""
    keys = _TICKET_KEYS.keys()
    open_ticket(data, keys)
    header = _TICKET_HEADER + keys[0].key_id + bytes(32)
    sealed = keys[0].aead.encrypt(bytes(32), data, header)
    state = open_ticket(header + sealed, keys)
    if state is None:
        return
    again = seal_ticket(state, keys, bytes)
    if again is None or open_ticket(again, keys) != state:
        raise AssertionError("a state that does not seal and open to itself")


def ticket_seeds() -> Iterable[bytes]:
    keys = _TICKET_KEYS.keys()
    yield from recorded().tickets
    for state in recorded().states:
        whole = seal_ticket(state, keys, bytes)
        assert whole is not None
        yield keys[0].aead.decrypt(whole[9:41], whole[41:], whole[:41])


def session(data: bytes) -> None:
    """What a file of sessions holds."""
    try:
        given = json.loads(data)
    except (ValueError, RecursionError):
        return
    if not isinstance(given, dict):
        return
    try:
        kept = Session.from_json(given)
    except ConfigurationError:
        return
    kept.is_current(0)
    kept.age_at(0)
    if Session.from_json(json.loads(json.dumps(kept.to_json()))) != kept:
        raise AssertionError("a session that is not stored as it is")


def session_seeds() -> Iterable[bytes]:
    for kept in recorded().sessions:
        yield json.dumps(kept.to_json()).encode()


# Traces


def trace(data: bytes) -> None:
    """A trace that someone sends in: told as text and as a page, or refused."""
    try:
        loaded = Recorder.from_json(data)
    except TraceFormatError:
        return
    narrate(loaded.events)
    loaded.to_html("localhost")
    if Recorder.from_json(loaded.to_json()).events != loaded.events:
        raise AssertionError("a trace that is not stored as it is")


def trace_seeds() -> Iterable[bytes]:
    for kept in recorded().traces:
        yield kept.to_json().encode()
        # Short ones, too, which mutate faster.
        document = json.loads(kept.to_json())
        for event in document["events"][:12]:
            yield json.dumps(document | {"events": [event]}).encode()


# Inside


def _both_ways(read: Callable[..., Any]) -> Any:
    """The value, which the annotating reader must find as well; None where it is refused."""
    noted: list[Noted] = []
    try:
        value = read()
    except ProtocolError as error:
        try:
            read(opener_into(noted))
        except ProtocolError as same:
            if same.fault is error.fault:
                return None
        raise AssertionError("the annotating reader judges otherwise") from error
    except TLSError as error:
        raise AssertionError("a parser raises protocol errors only") from error
    if read(opener_into(noted)) != value:
        raise AssertionError("the annotating reader reads another value")
    return value


def _with_extensions(value: object, raw: bytes) -> bytes:
    """A hello of TLS 1.2 may leave out the empty list of extensions (RFC 5246 section 7.4.1.4).

    It is written without the list, and may have been read with it.
    """
    given: bytes = getattr(value, "raw", raw)
    if isinstance(value, ClientHello | ServerHello) and not value.extensions:
        with_list = _framed(raw[0], raw[4:] + b"\0\0")
        return with_list if len(given) == len(with_list) else raw
    return raw


def _framed(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + len(body).to_bytes(3, "big") + body


@cache
def targets() -> tuple[Target, ...]:
    return (
        Target("message", message, message_seeds),
        Target("extension", extension, extension_seeds),
        Target("records", records, record_seeds),
        Target("proxy_header", proxy_header, proxy_header_seeds),
        Target("compression", compression, compression_seeds),
        Target("ticket", ticket, ticket_seeds),
        Target("session", session, session_seeds),
        Target("trace", trace, trace_seeds),
    )
