"""Headers of the PROXY protocol: read to the byte, in any pieces, or refused within bounds."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handclasp.starttls.proxy_protocol import (
    MAX_HEADER_BYTES,
    MAX_LINE_BYTES,
    SIGNATURE,
    HeaderReader,
    ProxyHeader,
    ProxyHeaderError,
)

LOCAL, PROXY = 0x20, 0x21
NONE, TCP4, TCP6, UNIX = 0x00, 0x11, 0x21, 0x31

pairs = st.one_of(
    st.tuples(st.ip_addresses(v=4), st.ip_addresses(v=4)),
    st.tuples(st.ip_addresses(v=6), st.ip_addresses(v=6)),
)
ports = st.integers(0, 65535)
pieces = st.lists(st.integers(1, 20), min_size=1, max_size=5)


def binary(command: int, family: int, body: bytes) -> bytes:
    """A header of version 2."""
    return SIGNATURE + bytes([command, family]) + len(body).to_bytes(2, "big") + body


def read(data: bytes, sizes: list[int] | None = None) -> tuple[ProxyHeader | None, bytes]:
    """The header, and what the reader has left of the bytes, which come in pieces."""
    reader, turn = HeaderReader(), 0
    while reader.needed and data:
        size = min(reader.needed, sizes[turn % len(sizes)] if sizes else reader.needed)
        reader.receive_data(data[:size])
        data, turn = data[size:], turn + 1
    return reader.header, data


def line_of(source: object, destination: object, source_port: int, port: int) -> bytes:
    family = "TCP4" if isinstance(source, IPv4Address) else "TCP6"
    return f"PROXY {family} {source} {destination} {source_port} {port}\r\n".encode()


@given(st.data(), ports, ports, pieces, st.binary(max_size=40))
def test_lines(data: st.DataObject, first: int, second: int, sizes: list[int], tls: bytes) -> None:
    source, destination = data.draw(pairs)
    header = ProxyHeader(1, (str(source), first), (str(destination), second))
    assert read(line_of(source, destination, first, second) + tls, sizes) == (header, tls)


@given(st.data(), ports, ports, pieces, st.binary(max_size=300), st.binary(max_size=40))
def test_binary_headers(
    data: st.DataObject, first: int, second: int, sizes: list[int], more: bytes, tls: bytes
) -> None:
    source, destination = data.draw(pairs)
    body = source.packed + destination.packed
    body += first.to_bytes(2, "big") + second.to_bytes(2, "big") + more
    header = ProxyHeader(2, (str(source), first), (str(destination), second))
    sent = binary(PROXY, TCP4 if source.version == 4 else TCP6, body)
    assert read(sent + tls, sizes) == (header, tls)


@given(st.binary(max_size=200), pieces)
def test_anything_is_read_or_refused_within_bounds(data: bytes, sizes: list[int]) -> None:
    for start in (b"", b"PROXY ", b"PROXY TCP4 ", b"PROXY UNKNOWN", SIGNATURE, SIGNATURE + b"\x21"):
        reader, sent = HeaderReader(), start + data
        try:
            while reader.needed and sent:
                assert reader.needed <= MAX_HEADER_BYTES
                size = min(reader.needed, sizes[0])
                reader.receive_data(sent[:size])
                sent = sent[size:]
        except ProxyHeaderError:
            continue
        assert (reader.header is None) is bool(reader.needed)


@pytest.mark.parametrize(
    "sent",
    [
        b"PROXY UNKNOWN\r\n",
        b"PROXY UNKNOWN whatever this may be\r\n",
        b"PROXY UNKNOWN " + b"x" * (MAX_LINE_BYTES - 16) + b"\r\n",
        binary(LOCAL, NONE, b""),
        binary(LOCAL, TCP4, b"ignored"),
        binary(LOCAL, 0xFF, bytes(MAX_HEADER_BYTES - 16)),
        binary(PROXY, NONE, b""),
        binary(PROXY, UNIX, bytes(216)),
    ],
)
def test_headers_that_name_no_address(sent: bytes) -> None:
    header, rest = read(sent + b"TLS")
    assert header is not None
    assert (header.source, header.destination, rest) == (None, None, b"TLS")


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01",
        b"GET / HTTP/1.1\r\n\r\n",
        b"proxy TCP4 1.2.3.4 1.2.3.4 1 1\r\n",
        b"PROXY  TCP4 1.2.3.4 1.2.3.4 1 1\r\n",
        b"PROXY UDP4 1.2.3.4 1.2.3.4 1 1\r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n      ",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 1 1 1\r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 1 01\r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 1 -1\r\n",
        b"PROXY TCP4 01.2.3.4 1.2.3.4 1 1\r\n",
        b"PROXY TCP4 ::1 ::1 1 1\r\n      ",
        b"PROXY TCP6 1.2.3.4 1.2.3.4 1 1\r\n",
        b"PROXY TCP6 fe80::1%eth0 ::1 1 1\r\n",
        b"PROXY TCP4 1.2.3.4 1.2.3.4 1 1\n\r\n",
        b"PROXY TCP4 1.2.3.4\r\n1.2.3.4 1 1\r\n",
        b"PROXY UNKNOWN\rx\r\n",
        b"PROXY TCP4 1.2.3.4\r",
        b"PROXY TCP4  1.2.3.4 ",
        b"PROXY UNKNOWNx\r\n",
        b"PROXY " + b"x" * MAX_LINE_BYTES,
        b"PROXY UNKNOWN " + b"x" * (MAX_LINE_BYTES - 15) + b"\r\n",
        SIGNATURE[:-1] + b"x" + bytes(4),
        binary(0x11, TCP4, bytes(12)),
        binary(0x22, TCP4, bytes(12)),
        binary(PROXY, 0x12, bytes(12)),
        binary(PROXY, TCP4, bytes(11)),
        binary(PROXY, TCP6, bytes(35)),
        binary(PROXY, UNIX, bytes(215)),
        binary(LOCAL, NONE, bytes(MAX_HEADER_BYTES - 15)),
    ],
)
def test_what_is_refused(sent: bytes) -> None:
    with pytest.raises(ProxyHeaderError) as caught:
        read(sent)
    assert len(str(caught.value)) < 500


def test_a_longest_line_is_read() -> None:
    address = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
    line = f"PROXY TCP6 {address} {address} 65535 65535\r\n".encode()
    header, _ = read(line)
    assert header is not None
    assert header.source == (str(IPv6Address(address)), 65535)


def test_a_byte_too_many_is_no_part_of_a_header() -> None:
    reader = HeaderReader()
    with pytest.raises(ValueError, match="16 bytes were given, and 15 are needed"):
        reader.receive_data(b"PROXY UNKNOWN\r\nT")


@pytest.mark.parametrize("end", [b"\x14\r", b"x\r", b" \r", b"  x", b"\r\n"])
@pytest.mark.parametrize("size", range(85, 100))
@pytest.mark.parametrize("filling", [b"x", b" ", b" x"])
def test_a_line_is_refused_however_it_is_cut(end: bytes, size: int, filling: bytes) -> None:
    """A line without its fields cannot become one, whether a piece ends before its end or in it."""
    sent, outcomes = b"PROXY " + (filling * size)[:size] + end, list[str]()
    for piece in (1, 3, 200):
        reader, left = HeaderReader(), sent
        try:
            while reader.needed and left:
                taken = min(reader.needed, piece)
                reader.receive_data(left[:taken])
                left = left[taken:]
        except ProxyHeaderError:
            outcomes.append("refused")
        else:
            outcomes.append("incomplete")
    assert len(set(outcomes)) == 1
