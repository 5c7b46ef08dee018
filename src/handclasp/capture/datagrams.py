"""The names of protocols over UDP that are not read here: DTLS and QUIC.

>>> from handclasp.capture.datagrams import (
...     Exchange, exchanges_in, kind_of, not_read, without_tcp
... )
>>> from handclasp.capture.stream import Address
>>> ends = Address("192.0.2.1", 49152), Address("192.0.2.2", 443)
>>> initial = bytes.fromhex("c3 00000001 08 0102030405060708 00 00 00")
>>> kind_of(initial)
'QUIC version 1'
>>> exchanges = exchanges_in([(*ends, initial)])
>>> exchanges == [Exchange(ends, 1, "QUIC version 1")]
True
>>> not_read(exchanges) in without_tcp(exchanges)
True
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from handclasp.capture.stream import Address
from handclasp.iana import version_name
from handclasp.values import dataclass


@dataclass(slots=True)
class Exchange:
    """The datagrams between two ends; `kind` is empty for other protocols."""

    ends: tuple[Address, Address]
    packets: int = 0
    kind: str = ""


def exchanges_in(datagrams: Iterable[tuple[Address, Address, bytes]]) -> list[Exchange]:
    """Return the exchanges in the order of their first datagrams, named by the first known one."""
    found: dict[frozenset[Address], Exchange] = {}
    for source, target, payload in datagrams:
        exchange = found.setdefault(frozenset((source, target)), Exchange((source, target)))
        exchange.packets += 1
        kind = kind_of(payload)
        # A hello may be more specific, and only the answer has the chosen version.
        if not exchange.kind or (_is_vague(exchange.kind) and kind and not _is_vague(kind)):
            exchange.kind = kind
    return list(found.values())


def without_tcp(exchanges: Sequence[Exchange]) -> str:
    """Return a sentence that a capture has no TCP connection, and what it has instead."""
    told = "There is no TCP connection in this capture."
    if exchanges and not any(exchange.kind for exchange in exchanges):
        return f"{told} It holds UDP datagrams, which are neither DTLS nor QUIC as far as is seen."
    return told + not_read(exchanges)


def not_read(exchanges: Sequence[Exchange]) -> str:
    """Return a sentence about the other protocols in a capture; empty if there are none."""
    kinds = list(dict.fromkeys(exchange.kind for exchange in exchanges if exchange.kind))
    if not kinds:
        return ""
    return f" It holds {', and '.join(kinds)} (over UDP), which is not read here."


def _is_vague(kind: str) -> bool:
    """Return whether a kind lacks the chosen version."""
    return kind == "DTLS" or kind.startswith(_OFFER)


_OFFER = "DTLS, whose client offers"


def kind_of(payload: bytes) -> str:
    """Return the protocol of a datagram, by its first bytes; empty for all others."""
    if len(payload) < _LEAST:
        return ""
    if 20 <= payload[0] <= 26 and payload[1] == 0xFE and payload[2] in (0xFF, 0xFD, 0xFC):
        return _dtls(payload)
    if payload[:3] == b"\x16\x01\x00":
        return "DTLS, in the form of an early OpenSSL"
    if payload[0] & 0xE0 == 0x20 and not payload[0] & 0x10:
        return ""  # Encrypted DTLS 1.3 cannot be distinguished from other protocols.
    if payload[0] & 0xC0 in (0xC0, 0x80):
        return _quic(payload)
    return ""


_LEAST = 13
_HANDSHAKE, _CLIENT_HELLO, _SERVER_HELLO = 22, 1, 2
_SUPPORTED_VERSIONS = b"\x00\x2b"
_DTLS13 = b"\xfe\xfc"


def _dtls(payload: bytes) -> str:
    """Return the version of a hello: as with TLS, an extension indicates DTLS 1.3."""
    if payload[0] != _HANDSHAKE or len(payload) < 27:
        return "DTLS"
    message = payload[13]
    if message not in (_CLIENT_HELLO, _SERVER_HELLO):
        return "DTLS"
    version = version_name(int.from_bytes(payload[25:27], "big"))
    at = payload.find(_SUPPORTED_VERSIONS, 27)
    if at >= 0 and _DTLS13 in payload[at + 4 : at + 4 + 32]:
        version = "DTLSv1.3"
    if message == _CLIENT_HELLO:
        return f"{_OFFER} {version}"
    return version


def _quic(payload: bytes) -> str:
    """Return the version in a long header (RFC 9000 section 17.2, RFC 8999)."""
    version = int.from_bytes(payload[1:5], "big")
    if len(payload) < 7 + payload[5] or payload[5] > _LONGEST_CONNECTION_ID:
        return ""
    if not payload[0] & 0x40 and version:
        return ""
    if version in _QUIC_VERSIONS:
        return _QUIC_VERSIONS[version]
    if version & 0xFFFFFF00 == 0xFF000000:
        return f"QUIC, draft {version & 0xFF}"
    if version & 0x0F0F0F0F == 0x0A0A0A0A:
        return "QUIC of a reserved version, to which the server answers with those that it knows"
    return ""


_LONGEST_CONNECTION_ID = 20
_QUIC_VERSIONS = {
    0: "QUIC: the server names the versions that it knows",
    1: "QUIC version 1",
    0x6B3343CF: "QUIC version 2",
    0x709A50C4: "QUIC version 2 (a draft)",
}
