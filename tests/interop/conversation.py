"""The conversation itself, said once for every stack that Python can hold by the hand.

The client sends the payload, the server sends back what it read; with `style` "http" the same
travels as POST requests and their responses on one kept-alive connection.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal, Protocol


class Channel(Protocol):
    """An established TLS connection, as far as a conversation needs it."""

    def send_all(self, data: bytes) -> None: ...

    def receive(self, limit: int) -> bytes:
        """At least one byte, or b"" when the peer has ended its side."""
        ...

    def update_keys(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Terms:
    """What both ends agreed to say before they met."""

    payload: bytes
    rounds: int = 1
    style: Literal["raw", "http"] = "raw"
    update_keys: bool = False  # this end sends a KeyUpdate in the middle of every round but one


def converse_as_client(channel: Channel, terms: Terms) -> list[str]:
    """Returns the SHA-256 of what came back, a round each."""
    received = []
    for index in range(terms.rounds):
        if terms.style == "http":
            size = len(terms.payload)
            channel.send_all(
                b"POST /echo HTTP/1.1\r\nHost: localhost\r\n"
                b"Content-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n" % size
            )
        _send_payload(channel, terms.payload, terms, index)
        already = b""
        if terms.style == "http":
            head, already = _read_head(channel)
            _check_response(head, len(terms.payload))
        received.append(_digest(_read_exactly(channel, len(terms.payload), already)))
    return received


def converse_as_server(channel: Channel, terms: Terms) -> list[str]:
    """Returns the SHA-256 of what came in, a round each. Sends back what came, not the payload."""
    received = []
    for index in range(terms.rounds):
        size, already = len(terms.payload), b""
        if terms.style == "http":
            head, already = _read_head(channel)
            fields = _fields(head)
            size = int(fields["content-length"])
            if fields.get("expect", "").lower() == "100-continue":
                channel.send_all(b"HTTP/1.1 100 Continue\r\n\r\n")
        data = _read_exactly(channel, size, already)
        received.append(_digest(data))
        if terms.style == "http":
            channel.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(data))
        _send_payload(channel, data, terms, index)
    return received


def _send_payload(channel: Channel, data: bytes, terms: Terms, index: int) -> None:
    if not terms.update_keys or index == 0:
        channel.send_all(data)
        return
    middle = len(data) // 2
    channel.send_all(data[:middle])
    channel.update_keys()
    channel.send_all(data[middle:])


def _read_exactly(channel: Channel, size: int, already: bytes) -> bytes:
    data = bytearray(already)
    while len(data) < size:
        chunk = channel.receive(min(1 << 16, size - len(data)))
        if not chunk:
            raise EOFError(f"the peer ended after {len(data)} of {size} bytes")
        data += chunk
    return bytes(data)


def _read_head(channel: Channel) -> tuple[bytes, bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = channel.receive(1 << 14)
        if not chunk:
            raise EOFError(f"the peer ended within an HTTP head: {data[:200]!r}")
        data += chunk
    head, _, rest = data.partition(b"\r\n\r\n")
    return head, rest


def _fields(head: bytes) -> dict[str, str]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    pairs = (line.partition(":") for line in lines)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _check_response(head: bytes, size: int) -> None:
    if not head.startswith(b"HTTP/1.1 200"):
        raise ValueError(f"unexpected response: {head[:300]!r}")
    length = _fields(head).get("content-length")
    if length != str(size):
        raise ValueError(f"response of {length} bytes to a request of {size}")


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
