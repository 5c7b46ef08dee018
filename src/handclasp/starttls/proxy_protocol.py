"""The PROXY protocol: the header by which a load balancer names the client that it passes on.

HAProxy's specification, https://www.haproxy.org/download/2.6/doc/proxy-protocol.txt, has version 1,
a line of text, and version 2, which is binary. Either one stands once, before everything else on
the connection. The reader does no input or output, and asks for no byte beyond the header, so that
TLS can begin on the socket right behind it:

>>> from handclasp.starttls.proxy_protocol import HeaderReader
>>> sock, balancer = socket.socketpair()
>>> balancer.sendall(b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\\r\\n" + b"TLS")
>>> reader = HeaderReader()
>>> while reader.needed:
...     reader.receive_data(sock.recv(reader.needed))
>>> reader.header.source
('192.0.2.7', 56324)
>>> sock.recv(100)
b'TLS'
>>> sock.close(), balancer.close()
(None, None)
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from handclasp.values import dataclass

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
"""The first bytes of version 2."""

MAX_LINE_BYTES = 107
"""The longest line of version 1, with its CR LF (section 2.1)."""

MAX_HEADER_BYTES = 4096
"""The longest header of version 2 that is read; the addresses take 232 bytes at most."""

_PREFIX = b"PROXY "
_FIXED_BYTES = 16
"""The part of version 2 that tells how long the rest is (section 2.2)."""
_SHORTEST = len(b"PROXY UNKNOWN\r\n")
_SPACES = 5
_LINE = re.compile(rb"PROXY (TCP[46]) ([0-9a-fA-F:.]+) ([0-9a-fA-F:.]+) (\d{1,5}) (\d{1,5})\r\n")
_UNKNOWN = re.compile(rb"PROXY UNKNOWN(?: [^\r\n]*)?\r\n")
_LOCAL, _PROXY = 0x20, 0x21
"""Version and command."""
_TCP4, _TCP6 = 0x11, 0x21
_BYTES_OF_ADDRESSES = {0x00: 0, _TCP4: 12, _TCP6: 36, 0x31: 216}
"""By the byte of family and protocol: not specified, TCP, and UNIX stream sockets."""
_ADDRESSES = {_TCP4: IPv4Address, _TCP6: IPv6Address}
_MOST_SHOWN = 32

Address = tuple[str, int]


class ProxyHeaderError(ValueError):
    """Bytes that are no header of the PROXY protocol.

    >>> from handclasp.starttls.proxy_protocol import HeaderReader, ProxyHeaderError
    >>> try:
    ...     HeaderReader().receive_data(b"GET / HTTP/1.1")
    ... except ProxyHeaderError as error:
    ...     print(error)
    the first bytes are b'GET / HTTP/1.1'
    """


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """The contents of a header.

    >>> from handclasp.starttls.proxy_protocol import ProxyHeader
    >>> ProxyHeader(1, ("192.0.2.7", 56324), ("198.51.100.1", 443)).source
    ('192.0.2.7', 56324)

    Attributes:
        version: 1 or 2.
        source, destination: the addresses of the client and of the server that it has connected to,
            each with its port; None where the connection is the balancer's own (LOCAL, such as a
            check of health), or the addresses are neither IPv4's nor IPv6's.
    """

    version: int
    source: Address | None = None
    destination: Address | None = None


class HeaderReader:
    """Reads one header, of either version.

    Of version 1, at most `MAX_LINE_BYTES` are read, of version 2 at most `MAX_HEADER_BYTES`. The
    extensions of version 2 (TLVs) are skipped.

    Attributes:
        header: the header; None until it is complete.

    >>> from handclasp.starttls.proxy_protocol import HeaderReader, ProxyHeader
    >>> reader = HeaderReader()
    >>> reader.receive_data(b"PROXY UNKNOWN\\r\\n")
    >>> reader.needed, reader.header == ProxyHeader(version=1)
    (0, True)
    """

    def __init__(self) -> None:
        self._data = b""
        self._needed = _SHORTEST
        self.header: ProxyHeader | None = None

    @property
    def needed(self) -> int:
        """The number of bytes to read next, which all belong to the header; 0: it is complete."""
        return self._needed

    def receive_data(self, data: bytes) -> None:
        """Take bytes of the header, at most as many as are `needed`.

        Raises:
            ProxyHeaderError: they do not belong to a header.
            ValueError: they are more.
        """
        if len(data) > self._needed:
            raise ValueError(f"{len(data)} bytes were given, and {self._needed} are needed")
        self._data += data
        found = self._data
        if found.startswith(SIGNATURE[: len(found)]):
            self._needed = _needed_of_binary(found)
            if not self._needed:
                self.header = _read_binary(found)
        elif found.startswith(_PREFIX[: len(found)]):
            self._needed = _needed_of_line(found)
            if not self._needed:
                self.header = _read_line(found)
        else:
            raise ProxyHeaderError(f"the first bytes are {found[:_MOST_SHOWN]!r}")


# Version 1


def _needed_of_line(found: bytes) -> int:
    """Return how many bytes a line lacks at least."""
    if len(found) < _SHORTEST:
        return _SHORTEST - len(found)
    if found.endswith(b"\r\n"):
        return 0
    if b"\n" in found or b"\r" in found[:-1]:
        raise ProxyHeaderError(f"the line is {found[:_MOST_SHOWN]!r}")
    needed = 1 if found.endswith(b"\r") else 2
    if not found.startswith(b"PROXY UNKNOWN"):
        # Each field has a character at least.
        text = found.removesuffix(b"\r")
        lacking = 2 * max(0, _SPACES - text.count(b" ")) + text.endswith(b" ")
        if b"  " in text or (lacking and text != found):
            raise ProxyHeaderError(f"the line is {found[:_MOST_SHOWN]!r}")
        needed += lacking
    if len(found) + needed > MAX_LINE_BYTES:
        raise ProxyHeaderError(f"the line has more than {MAX_LINE_BYTES} bytes")
    return needed


def _read_line(found: bytes) -> ProxyHeader:
    if _UNKNOWN.fullmatch(found):
        return ProxyHeader(1)
    fields = _LINE.fullmatch(found)
    if fields is None:
        raise ProxyHeaderError(f"the line is {found[:MAX_LINE_BYTES]!r}")
    family, *hosts_and_ports = (each.decode("ascii") for each in fields.groups())
    source, destination, source_port, destination_port = hosts_and_ports
    return ProxyHeader(
        1,
        (_host(source, family), _port(source_port)),
        (_host(destination, family), _port(destination_port)),
    )


def _host(text: str, family: str) -> str:
    try:
        return str(IPv4Address(text) if family == "TCP4" else IPv6Address(text))
    except AddressValueError:
        raise ProxyHeaderError(f"{text!r} is no address of {family}") from None


def _port(text: str) -> int:
    if (text[0] == "0" and text != "0") or int(text) > 65535:
        raise ProxyHeaderError(f"{text!r} is no port")
    return int(text)


# Version 2


def _needed_of_binary(found: bytes) -> int:
    """Return how many bytes a header lacks, once what it is of is known to be supported."""
    if len(found) < _FIXED_BYTES:
        return _FIXED_BYTES - len(found)
    command, family = found[12], found[13]
    size = _FIXED_BYTES + int.from_bytes(found[14:16], "big")
    if command not in (_LOCAL, _PROXY):
        raise ProxyHeaderError(f"version and command are 0x{command:02x}")
    if size > MAX_HEADER_BYTES:
        raise ProxyHeaderError(f"it has {size:,} bytes, and {MAX_HEADER_BYTES:,} are allowed")
    if command == _PROXY:
        if family not in _BYTES_OF_ADDRESSES:
            raise ProxyHeaderError(f"family and protocol are 0x{family:02x}")
        if size < _FIXED_BYTES + _BYTES_OF_ADDRESSES[family]:
            raise ProxyHeaderError(f"its {size} bytes are too few for the addresses")
    return size - len(found)


def _read_binary(found: bytes) -> ProxyHeader:
    command, family = found[12], found[13]
    kind = _ADDRESSES.get(family)
    if command == _LOCAL or kind is None:
        return ProxyHeader(2)
    size = (_BYTES_OF_ADDRESSES[family] - 4) // 2
    hosts, ports = found[_FIXED_BYTES:], found[_FIXED_BYTES + 2 * size :]
    return ProxyHeader(
        2,
        (str(kind(hosts[:size])), int.from_bytes(ports[:2], "big")),
        (str(kind(hosts[size : 2 * size])), int.from_bytes(ports[2:4], "big")),
    )
