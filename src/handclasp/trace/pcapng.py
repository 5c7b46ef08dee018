"""A recorded connection as a capture file: pcapng blocks, with the secrets that decrypt it.

A pcapng file is a sequence of blocks, each with its type and length (draft-ietf-opsawg-pcapng): a
section header, an interface, then packets. The secrets are in a block of their own before the
packets that they decrypt, in the form of SSLKEYLOGFILE (RFC 9850). `framing` makes the packets.

>>> from handclasp.trace.pcapng import (
...     capture_header, capture_of, connection_blocks, keylog_lines
... )
>>> recorder = Recorder(record_secrets=True, record_wire=True)
>>> handclasp.connect("example.com", 443, trace=recorder).close()
>>> capture = capture_of(recorder.events, recorder.began_at_ns)
>>> capture == capture_header() + connection_blocks(recorder.events, recorder.began_at_ns)
True
>>> [line.split()[0] for line in keylog_lines(recorder.events)][0]
'CLIENT_HANDSHAKE_TRAFFIC_SECRET'
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from handclasp.iana import HandshakeType
from handclasp.trace.events import (
    DecisionTaken,
    InnerHello,
    MessageSeen,
    SecretDerived,
    TraceEvent,
)
from handclasp.trace.framing import Frame, frames_of
from handclasp.trace.hooks import INNER_CLIENT_HELLO

SECRETS_BLOCK = 0x0000000A
TLS_SECRETS = 0x544C534B
"""The secrets are lines of an SSLKEYLOGFILE."""

KEYLOG_LABELS = frozenset(
    (
        "CLIENT_RANDOM",
        "CLIENT_EARLY_TRAFFIC_SECRET",
        "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
        "SERVER_HANDSHAKE_TRAFFIC_SECRET",
        "CLIENT_TRAFFIC_SECRET_0",
        "SERVER_TRAFFIC_SECRET_0",
        "EXPORTER_SECRET",
        "ECH_SECRET",
        "ECH_CONFIG",
    )
)


def capture_of(events: Sequence[TraceEvent], began_at_ns: int) -> bytes:
    """Return the whole file for one connection.

    Args:
        events: those of a recorder with `record_wire`.
        began_at_ns: the time of its creation, in nanoseconds since 1970 (UTC).
    """
    return capture_header() + connection_blocks(events, began_at_ns)


def capture_header() -> bytes:
    """Return the beginning of a file, before any number of `connection_blocks`."""
    about = _option(_COMMENT, b"What a TLS library recorded; the lower layers are made up.")
    about += _option(_USER_APPLICATION, b"handclasp")
    section = _BYTE_ORDER.to_bytes(4, "little") + b"\x01\x00\x00\x00" + b"\xff" * 8
    interface = _ETHERNET.to_bytes(2, "little") + bytes(2) + bytes(4)
    options = _option(_INTERFACE_NAME, b"handclasp") + _option(_TIME_RESOLUTION, b"\x09")
    return _block(_SECTION, section + about + _END) + _block(_INTERFACE, interface + options + _END)


def connection_blocks(events: Sequence[TraceEvent], began_at_ns: int) -> bytes:
    """Return the secrets of one connection, if they were recorded, and its packets."""
    lines = "".join(f"{line}\n" for line in keylog_lines(events)).encode("ascii")
    blocks = [_secrets(lines)] if lines else []
    blocks += [_packet(frame, began_at_ns) for frame in frames_of(events)]
    return b"".join(blocks)


def keylog_lines(events: Iterable[TraceEvent]) -> Iterator[str]:
    """Yield the secrets as lines of an SSLKEYLOGFILE (RFC 9850 section 2); none without a hello.

    Those of Encrypted Client Hello go by the random of the outer hello, and the others by that of
    the hello that counts. Where the server did not say which, early data go by the inner one.
    """
    events = list(events)
    chosen = (e.chosen for e in events if isinstance(e, DecisionTaken) and e.what == "ech")
    taken = next(chosen, None)
    outer = inner = ""
    for event in events:
        if isinstance(event, MessageSeen) and event.message_type == HandshakeType.CLIENT_HELLO:
            # After the header and legacy_version; a second hello has the same (RFC 8446 4.1.2).
            outer = outer or event.raw[6:38].hex()
        elif isinstance(event, InnerHello):
            inner = inner or event.raw[6:38].hex()
        elif isinstance(event, SecretDerived) and event.label in KEYLOG_LABELS and outer:
            is_undecided = taken is None and event.label == "CLIENT_EARLY_TRAFFIC_SECRET"
            is_of_inner = taken == INNER_CLIENT_HELLO or is_undecided
            if event.label in ("ECH_SECRET", "ECH_CONFIG") or not is_of_inner:
                random = outer
            else:
                random = inner or outer
            yield f"{event.label} {random} {event.value.hex()}"


_SECTION = 0x0A0D0D0A
_INTERFACE = 0x00000001
_ENHANCED_PACKET = 0x00000006
_BYTE_ORDER = 0x1A2B3C4D
_ETHERNET = 1

_END = bytes(4)
_COMMENT = 1
_INTERFACE_NAME = 2
_PACKET_FLAGS = 2
_USER_APPLICATION = 4
_TIME_RESOLUTION = 9
_INBOUND, _OUTBOUND = 1, 2


def _secrets(lines: bytes) -> bytes:
    head = TLS_SECRETS.to_bytes(4, "little") + len(lines).to_bytes(4, "little")
    return _block(SECRETS_BLOCK, head + _padded(lines))


def _packet(frame: Frame, began_at_ns: int) -> bytes:
    moment = (began_at_ns + frame.at_ns) & 0xFFFFFFFFFFFFFFFF
    size = len(frame.octets).to_bytes(4, "little")
    head = bytes(4) + (moment >> 32).to_bytes(4, "little")
    head += (moment & 0xFFFFFFFF).to_bytes(4, "little") + size + size
    direction = (_OUTBOUND if frame.direction == "sent" else _INBOUND).to_bytes(4, "little")
    options = _option(_PACKET_FLAGS, direction) + _END
    return _block(_ENHANCED_PACKET, head + _padded(frame.octets) + options)


def _block(kind: int, body: bytes) -> bytes:
    length = (len(body) + 12).to_bytes(4, "little")
    return kind.to_bytes(4, "little") + length + body + length


def _option(code: int, value: bytes) -> bytes:
    return code.to_bytes(2, "little") + len(value).to_bytes(2, "little") + _padded(value)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
