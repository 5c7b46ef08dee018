"""TCP segments, constructed around the bytes of a connection's transport.

A TLS library does not see packets. The bytes go into frames that could have carried them: with the
real addresses, ports and times, correct checksums and sequence numbers, a TCP handshake first, and
the recorded end. Nothing is lost, repeated or out of order.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

from handclasp.addresses import unmapped
from handclasp.trace.events import (
    Began,
    TraceEvent,
    TraceFormatError,
    TransportEnded,
    TransportSeen,
    WireSeen,
)
from handclasp.values import dataclass, field


@dataclass(frozen=True, slots=True)
class Frame:
    """One Ethernet frame; `at_ns` and `direction` are those of the event that it carries."""

    at_ns: int
    direction: str
    octets: bytes


def frames_of(events: Sequence[TraceEvent]) -> Iterator[Frame]:
    """Yield all frames of one connection; none if no byte was recorded.

    Raises `TraceFormatError` for invalid addresses and directions.
    """
    first = next((event for event in events if isinstance(event, WireSeen)), None)
    if first is None:
        return
    seen = next((event for event in events if isinstance(event, TransportSeen)), None)
    began = next((event for event in events if isinstance(event, Began)), None)
    # A server may speak first, as before STARTTLS.
    is_client = began.role == "client" if began is not None else first.direction == "sent"
    ends = _Ends.of(seen, is_client=is_client)
    yield from ends.greet(seen.at_ns if seen is not None else first.at_ns)
    for event in events:
        if isinstance(event, WireSeen | TransportEnded) and event.direction not in _OTHER:
            raise TraceFormatError("The trace has a direction that is neither sent nor received.")
        if isinstance(event, WireSeen):
            yield from ends.carry(event)
        elif isinstance(event, TransportEnded):
            yield ends.finish(event)


_FIN, _SYN, _RST, _PSH, _ACK = 0x01, 0x02, 0x04, 0x08, 0x10
_WINDOW = 65535
_HOP_LIMIT = 64
_DO_NOT_FRAGMENT = 0x4000
_TCP = 6
_FIRST_SEQUENCE = {"sent": 0x10000000, "received": 0x20000000}
_OTHER = {"sent": "received", "received": "sent"}
_UNKNOWN = {"client": ("192.0.2.1", 49152), "server": ("192.0.2.2", 443)}
"""The addresses that RFC 5737 reserves for documentation."""


@dataclass(slots=True)
class _End:
    """One end of the connection: its address, and the sequence number of its next byte."""

    address: IPv4Address | IPv6Address
    port: int
    ethernet: bytes
    sequence: int


@dataclass(slots=True)
class _Ends:
    """Both ends, by the direction in which they send."""

    by_direction: dict[str, _End]
    opener: str
    frames: dict[str, int] = field(default_factory=lambda: {"sent": 0, "received": 0})

    @classmethod
    def of(cls, seen: TransportSeen | None, *, is_client: bool) -> _Ends:
        roles = ("client", "server") if is_client else ("server", "client")
        local, peer = (_UNKNOWN[role] for role in roles)
        if seen is not None:
            local = seen.local_address, seen.local_port
            peer = seen.peer_address, seen.peer_port
        ends = {
            direction: _End(
                _address_of(address),
                port & 0xFFFF,
                # Locally administered addresses, which belong to no device.
                bytes([2, 0, 0, 0, 0, number]),
                _FIRST_SEQUENCE[direction],
            )
            for number, (direction, (address, port)) in enumerate(
                (("sent", local), ("received", peer)), 1
            )
        }
        return cls(ends, "sent" if is_client else "received")

    def greet(self, at_ns: int) -> Iterator[Frame]:
        """Yield the handshake of TCP (RFC 9293 section 3.5)."""
        answerer = _OTHER[self.opener]
        yield self._segment(at_ns, self.opener, _SYN)
        yield self._segment(at_ns, answerer, _SYN | _ACK)
        yield self._segment(at_ns, self.opener, _ACK)

    def carry(self, event: WireSeen) -> Iterator[Frame]:
        """Yield the bytes, in as many segments as they need."""
        size = self._most_in_a_segment
        for start in range(0, len(event.raw), size):
            data = event.raw[start : start + size]
            yield self._segment(event.at_ns, event.direction, _PSH | _ACK, data)

    def finish(self, event: TransportEnded) -> Frame:
        """Yield the recorded end."""
        flag = _RST if event.how == "reset" else _FIN
        return self._segment(event.at_ns, event.direction, flag | _ACK)

    @property
    def _most_in_a_segment(self) -> int:
        return 1460 if self.by_direction["sent"].address.version == 4 else 1440

    def _segment(self, at_ns: int, direction: str, flags: int, data: bytes = b"") -> Frame:
        sender, receiver = self.by_direction[direction], self.by_direction[_OTHER[direction]]
        acknowledged = receiver.sequence if flags & _ACK else 0
        options = struct.pack("!BBH", 2, 4, self._most_in_a_segment) if flags & _SYN else b""
        head = struct.pack(
            "!HHIIBBHHH",
            sender.port,
            receiver.port,
            sender.sequence,
            acknowledged,
            (20 + len(options)) << 2,
            flags,
            _WINDOW,
            0,
            0,
        )
        segment = head + options + data
        checksum = _checksum(_pseudo_header(sender, receiver, len(segment)) + segment)
        segment = segment[:16] + checksum.to_bytes(2, "big") + segment[18:]
        takes = len(data) + bool(flags & _SYN) + bool(flags & _FIN)
        sender.sequence = (sender.sequence + takes) & 0xFFFFFFFF
        self.frames[direction] = number = self.frames[direction] + 1
        return Frame(at_ns, direction, _frame(sender, receiver, segment, number & 0xFFFF))


def _frame(sender: _End, receiver: _End, segment: bytes, number: int) -> bytes:
    if sender.address.version == 4:
        kind, packet = 0x0800, _ipv4_header(sender, receiver, len(segment), number) + segment
    else:
        head = struct.pack("!IHBB", 6 << 28, len(segment), _TCP, _HOP_LIMIT)
        addresses = sender.address.packed + receiver.address.packed
        kind, packet = 0x86DD, head + addresses + segment
    return receiver.ethernet + sender.ethernet + kind.to_bytes(2, "big") + packet


def _ipv4_header(sender: _End, receiver: _End, size: int, number: int) -> bytes:
    head = struct.pack(
        "!BBHHHBBH", 0x45, 0, 20 + size, number, _DO_NOT_FRAGMENT, _HOP_LIMIT, _TCP, 0
    )
    head += sender.address.packed + receiver.address.packed
    return head[:10] + _checksum(head).to_bytes(2, "big") + head[12:]


def _pseudo_header(sender: _End, receiver: _End, size: int) -> bytes:
    """Return the pseudo-header, which the checksum of TCP covers (RFC 9293 section 3.1)."""
    addresses = sender.address.packed + receiver.address.packed
    if sender.address.version == 4:
        return addresses + struct.pack("!BBH", 0, _TCP, size)
    return addresses + struct.pack("!IHBB", size, 0, 0, _TCP)


def _checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\x00"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def _address_of(text: str) -> IPv4Address | IPv6Address:
    try:
        address = ip_address(text)
    except ValueError:
        raise TraceFormatError("The trace has an address that is none of IP.") from None
    return unmapped(address)
