"""Captures of what was recorded: whole, well-formed, and with the secrets only if asked for.

The files are read back here by the pcapng draft and RFCs 791, 8200 and 9293, with no code of the
writer's; that Wireshark agrees is in tests/capture.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address

import pytest
from tests.pki import Pki
from tests.recorded import shuttle

from handclasp import (
    ClientConfig,
    ClientConnection,
    ConfigurationError,
    Recorder,
    ServerConfig,
    ServerConnection,
    TLSError,
)
from handclasp.trace.events import TraceFormatError, WireSeen
from handclasp.trace.pcapng import keylog_lines

FIN, SYN, RST, ACK = 1, 2, 4, 16
BEGAN = 1_800_000_000_123_456_789
CLIENT, SERVER = ("10.0.0.7", 50000), ("10.9.8.7", 8443)


@dataclass(frozen=True)
class Segment:
    at_ns: int
    inbound: bool
    source: tuple[str, int]
    target: tuple[str, int]
    sequence: int
    acknowledged: int
    flags: int
    data: bytes


def blocks_of(capture: bytes) -> Iterator[tuple[int, bytes]]:
    while capture:
        kind, length = struct.unpack("<II", capture[:8])
        assert length % 4 == 0
        assert capture[length - 4 : length] == capture[4:8]
        yield kind, capture[8 : length - 4]
        capture = capture[length:]


def sums_up(data: bytes) -> bool:
    """Whether the Internet checksum inside is right: then all words add up to ones."""
    words = struct.iter_unpack("!H", data + bytes(len(data) % 2))
    total: int = sum(word for (word,) in words)
    return total % 0xFFFF == 0


def segment_of(block: bytes) -> Segment:
    interface, high, low, captured, original = struct.unpack("<5I", block[:20])
    assert (interface, captured) == (0, original)
    frame, options = block[20 : 20 + captured], block[20 + captured + -captured % 4 :]
    assert options[:4] == struct.pack("<HH", 2, 4)
    packet = frame[14:]
    if frame[12:14] == b"\x08\x00":
        assert packet[0] == 0x45
        assert sums_up(packet[:20])
        assert struct.unpack("!H", packet[2:4])[0] == len(packet)
        addresses, tcp, protocol = packet[12:20], packet[20:], packet[9]
    else:
        assert frame[12:14] == b"\x86\xdd"
        assert struct.unpack("!H", packet[4:6])[0] == len(packet) - 40
        addresses, tcp, protocol = packet[8:40], packet[40:], packet[6]
    assert protocol == 6
    assert sums_up(addresses + struct.pack("!HH", protocol, len(tcp)) + tcp)
    half = len(addresses) // 2
    ports = struct.unpack("!HH", tcp[:4])
    return Segment(
        at_ns=high << 32 | low,
        inbound=options[4] == 1,
        source=(str(ip_address(addresses[:half])), ports[0]),
        target=(str(ip_address(addresses[half:])), ports[1]),
        sequence=struct.unpack("!I", tcp[4:8])[0],
        acknowledged=struct.unpack("!I", tcp[8:12])[0],
        flags=tcp[13],
        data=tcp[(tcp[12] >> 4) * 4 :],
    )


def segments_of(capture: bytes) -> list[Segment]:
    return [segment_of(block) for kind, block in blocks_of(capture) if kind == 6]


def secrets_of(capture: bytes) -> list[str]:
    (block,) = [block for kind, block in blocks_of(capture) if kind == 10]
    assert block[:4] == b"KSLT"
    return block[8 : 8 + int.from_bytes(block[4:8], "little")].decode("ascii").splitlines()


def said(segments: list[Segment], source: tuple[str, int]) -> bytes:
    """The bytes that one end sent, each segment where the one before ended."""
    mine = [segment for segment in segments if segment.source == source]
    at = mine[0].sequence
    for segment in mine:
        assert segment.sequence == at
        at += len(segment.data) + bool(segment.flags & SYN) + bool(segment.flags & FIN)
    return b"".join(segment.data for segment in mine)


def wire_of(recorder: Recorder, direction: str) -> bytes:
    events = (event for event in recorder.events if isinstance(event, WireSeen))
    return b"".join(event.raw for event in events if event.direction == direction)


def recorder() -> Recorder:
    return Recorder(record_secrets=True, record_wire=True, wall_clock=lambda: BEGAN)


@dataclass(frozen=True)
class Both:
    client: Recorder
    server: Recorder


@pytest.fixture
def both(pki: Pki) -> Both:
    """A conversation with a large answer, recorded at both ends, each with its addresses."""
    both = Both(recorder(), recorder())
    both.client.transport(CLIENT, SERVER)
    both.server.transport(SERVER, CLIENT)
    client = ClientConnection(
        ClientConfig(trust=pki.trust), server_name="localhost", trace=both.client
    )
    server = ServerConnection(ServerConfig(credentials=pki.server()), trace=both.server)
    shuttle(client, server)
    server.send_data(b"x" * 70_000)
    shuttle(client, server)
    server.close()
    shuttle(client, server)
    client.receive_eof()
    return both


@pytest.mark.parametrize("end", ["client", "server"])
def test_all_bytes_stand_where_they_belong(both: Both, end: str) -> None:
    mine: Recorder = getattr(both, end)
    segments = segments_of(mine.to_pcapng())
    ours, theirs = (CLIENT, SERVER) if end == "client" else (SERVER, CLIENT)
    assert said(segments, ours) == wire_of(mine, "sent")
    assert said(segments, theirs) == wire_of(mine, "received")
    assert len(wire_of(both.server, "sent")) > 70_000
    assert wire_of(both.server, "sent") == wire_of(both.client, "received")
    assert all(segment.inbound == (segment.source == theirs) for segment in segments)
    assert all(segment.at_ns >= BEGAN for segment in segments)


def test_it_opens_as_tcp_does(both: Both) -> None:
    first, second, third, *others = segments_of(both.server.to_pcapng())
    assert [(s.source, s.flags) for s in (first, second, third)] == [
        (CLIENT, SYN),
        (SERVER, SYN | ACK),
        (CLIENT, ACK),
    ]
    assert second.acknowledged == first.sequence + 1
    assert third.acknowledged == second.sequence + 1
    assert all(other.flags & ACK and not other.flags & SYN for other in others)


def test_the_client_opens_even_if_the_server_speaks_first() -> None:
    made = recorder()
    made.began("client", None)
    made.transport(CLIENT, SERVER)
    made.wire("received", b"220 ready\r\n")
    first = segments_of(made.to_pcapng())[0]
    assert (first.flags, first.source) == (SYN, CLIENT)


def test_what_was_read_is_acknowledged(both: Both) -> None:
    next_of: dict[tuple[str, int], int] = {}
    for segment in segments_of(both.client.to_pcapng()):
        if segment.flags & ACK:
            assert segment.acknowledged == next_of[segment.target]
        size = len(segment.data) + bool(segment.flags & (SYN | FIN))
        next_of[segment.source] = segment.sequence + size


def test_the_end_of_the_transport_is_a_fin(both: Both) -> None:
    last = segments_of(both.client.to_pcapng())[-1]
    assert (last.source, last.flags) == (SERVER, FIN | ACK)
    assert not any(segment.flags & FIN for segment in segments_of(both.server.to_pcapng()))


def test_a_reset_is_a_reset() -> None:
    trace = recorder()
    trace.wire("sent", b"hello")
    trace.transport_ended("received", "reset")
    last = segments_of(trace.to_pcapng())[-1]
    assert last.flags & RST
    assert last.inbound


def test_the_secrets_stand_before_the_packets(both: Both) -> None:
    capture = both.client.to_pcapng()
    kinds = [kind for kind, _ in blocks_of(capture)]
    assert kinds[:3] == [0x0A0D0D0A, 1, 10]
    assert set(kinds[3:]) == {6}
    lines = secrets_of(capture)
    assert lines == list(keylog_lines(both.client.events))
    assert [line.split()[0] for line in lines] == [
        "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
        "SERVER_HANDSHAKE_TRAFFIC_SECRET",
        "CLIENT_TRAFFIC_SECRET_0",
        "SERVER_TRAFFIC_SECRET_0",
        "EXPORTER_SECRET",
    ]
    assert lines == secrets_of(both.server.to_pcapng())


def test_the_secrets_are_those_of_the_key_log(pki: Pki) -> None:
    logged: list[str] = []
    trace = recorder()
    config = ClientConfig(trust=pki.trust, keylog=logged.append)
    client = ClientConnection(config, server_name="localhost", trace=trace)
    shuttle(client, ServerConnection(ServerConfig(credentials=pki.server())))
    assert secrets_of(trace.to_pcapng()) == logged


def test_without_secrets_there_are_none(pki: Pki) -> None:
    trace = Recorder(record_wire=True)
    client = ClientConnection(ClientConfig(trust=pki.trust), server_name="localhost", trace=trace)
    shuttle(client, ServerConnection(ServerConfig(credentials=pki.server())))
    assert {kind for kind, _ in blocks_of(trace.to_pcapng())} == {0x0A0D0D0A, 1, 6}


def test_without_the_wire_there_is_no_capture(pki: Pki) -> None:
    trace = Recorder(record_secrets=True)
    ClientConnection(ClientConfig(trust=pki.trust), server_name="localhost", trace=trace)
    assert not [event for event in trace.events if isinstance(event, WireSeen)]
    with pytest.raises(ConfigurationError, match="record_wire"):
        trace.to_pcapng()


def test_what_is_no_tls_is_kept_too(pki: Pki) -> None:
    trace = recorder()
    server = ServerConnection(ServerConfig(credentials=pki.server()), trace=trace)
    with pytest.raises(TLSError):
        server.receive_data(b"GET / HTTP/1.1\r\n\r\n")
    assert said(segments_of(trace.to_pcapng()), ("192.0.2.1", 49152)) == b"GET / HTTP/1.1\r\n\r\n"


@pytest.mark.parametrize(
    ("local", "peer", "shown"),
    [
        (("::1", 1), ("fe80::1%eth0", 2), ("::1", "fe80::1%eth0")),
        (("::ffff:10.0.0.1", 1), ("::ffff:10.0.0.2", 2), ("10.0.0.1", "10.0.0.2")),
    ],
)
def test_addresses_of_version_6(
    local: tuple[str, int], peer: tuple[str, int], shown: tuple[str, str]
) -> None:
    trace = recorder()
    trace.transport(local, peer)
    trace.wire("sent", b"x" * 3001)
    segments = segments_of(trace.to_pcapng())
    assert segments[0].source == (shown[0], 1)
    assert segments[0].target == (shown[1].partition("%")[0], 2)
    assert len(said(segments, (shown[0], 1))) == 3001


def test_nothing_recorded_is_an_empty_capture() -> None:
    assert [kind for kind, _ in blocks_of(recorder().to_pcapng())] == [0x0A0D0D0A, 1]


def test_a_limit_cuts_the_tail_and_leaves_no_gap() -> None:
    trace = Recorder(record_wire=True, wire_limit=10)
    for piece in (b"12345678", b"9abc", b"d"):
        trace.wire("sent", piece)
    assert wire_of(trace, "sent") == b"12345678"
    assert trace.dropped == 2


def test_it_survives_json(both: Both) -> None:
    again = Recorder.from_json(both.client.to_json())
    assert again.to_pcapng() == both.client.to_pcapng()


@pytest.mark.parametrize("address", ["", "nowhere", "10.0.0.256"])
def test_an_address_that_is_none(address: str) -> None:
    trace = recorder()
    trace.transport((address, 1), ("10.0.0.1", 70_000))
    trace.wire("sent", b"x")
    with pytest.raises(TraceFormatError):
        trace.to_pcapng()
