"""The record layer: framing at any boundary, and every way in which records break the rules."""

from __future__ import annotations

import tracemalloc
from array import array
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.counting import CountingBuffer
from tests.record.records import (
    AES_128,
    ALERT,
    APPLICATION_DATA,
    CHANGE_CIPHER_SPEC,
    HANDSHAKE,
    Records,
    keys_of,
    layer,
    plain,
    pull,
    sealed,
    split,
)
from tests.vectors.rfc8448_traces import TRACE_NAMES, load

from handclasp.advice import worded
from handclasp.crypto.secret import Secret
from handclasp.errors import ProtocolError
from handclasp.faults import Blame, Fault
from handclasp.iana import AlertDescription, ContentType
from handclasp.keys.epoch import Epoch
from handclasp.keys.traffic import TrafficKeys
from handclasp.limits import Limits
from handclasp.record.protection13 import Protection13

MAX = 2**14
CCS = plain(CHANGE_CIPHER_SPEC, b"\x01")
FINISHED = b"\x14\0\0\x04abcd"


def fault_of(call: Callable[..., object], *arguments: object) -> Fault:
    with pytest.raises(ProtocolError) as caught:
        call(*arguments)
    return caught.value.fault


# RFC 8448


@pytest.mark.parametrize("sender", ["client", "server"])
@pytest.mark.parametrize("trace_name", [name for name in TRACE_NAMES if name != "resumed_0rtt"])
def test_the_flights_of_rfc_8448_are_read(trace_name: str, sender: str) -> None:
    trace = load(trace_name)
    receiver = layer(is_client=sender == "server")
    receiver.layer.change_cipher_spec_allowed = True
    epoch = Epoch.PLAINTEXT
    for record in trace.records:
        if record.sender != sender:
            continue
        if record.epoch != epoch.value:
            epoch = Epoch(record.epoch)
            keys = trace.traffic_keys[record.sender, record.epoch]
            installed = TrafficKeys(AES_128, Secret(keys.key), Secret(keys.iv))
            receiver.install_read(epoch, installed)
        pulled = pull(receiver, record.encoded)
        if record.content_type == "change_cipher_spec":
            assert pulled == []
        else:
            assert pulled == [(ContentType[record.content_type.upper()], record.payload)]


@pytest.mark.parametrize("sender", ["client", "server"])
@pytest.mark.parametrize("trace_name", [name for name in TRACE_NAMES if name != "resumed_0rtt"])
def test_the_flights_of_rfc_8448_are_written(trace_name: str, sender: str) -> None:
    trace = load(trace_name)
    writer = layer(is_client=sender == "client")
    epoch = Epoch.PLAINTEXT
    for record in trace.records:
        if record.sender != sender:
            continue
        if record.epoch != epoch.value:
            epoch = Epoch(record.epoch)
            keys = trace.traffic_keys[record.sender, record.epoch]
            installed = TrafficKeys(AES_128, Secret(keys.key), Secret(keys.iv))
            writer.install_write(epoch, installed)
        if record.content_type == "handshake":
            writer.send(record.payload)
        elif record.content_type == "application_data":
            writer.send_application_data(record.payload)
        elif record.content_type == "alert":
            writer.send_alert(record.payload)
        else:
            writer.send_change_cipher_spec()
        assert writer.take() == record.encoded


# Framing


@settings(deadline=None)
@given(st.data())
def test_any_split_of_the_stream_gives_the_same_records(data: st.DataObject) -> None:
    contents = data.draw(st.lists(st.binary(min_size=1, max_size=30), min_size=1, max_size=5))
    stream = b"".join(sealed(c + b"\x17", n) for n, c in enumerate(contents))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(stream)))) | {len(stream)})
    records = layer(protected=True)
    pulled: list[tuple[int, bytes]] = []
    start = 0
    for cut in cuts:
        pulled += pull(records, stream[start:cut])
        start = cut
    assert pulled == [(APPLICATION_DATA, content) for content in contents]
    assert not records.unread


def test_every_byte_boundary() -> None:
    stream = sealed(b"first\x17", 0) + sealed(b"second\x17", 1) + sealed(b"third\x15", 2)
    expected = [(APPLICATION_DATA, b"first"), (APPLICATION_DATA, b"second"), (ALERT, b"third")]
    for cut in range(len(stream) + 1):
        records = layer(protected=True)
        assert pull(records, stream[:cut]) + pull(records, stream[cut:]) == expected
    for first in range(0, len(stream), 3):
        for second in range(first, len(stream), 5):
            records = layer(protected=True)
            parts = (stream[:first], stream[first:second], stream[second:])
            pulled = [record for part in parts for record in pull(records, part)]
            assert pulled == expected


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_kind_of_buffer_is_fed(kind: type) -> None:
    assert pull(layer(protected=True), kind(sealed(b"content\x17"))) == [
        (APPLICATION_DATA, b"content")
    ]


def test_a_fed_buffer_is_free_afterwards() -> None:
    records = layer(protected=True)
    buffer = bytearray(sealed(b"content\x17") + sealed(b"more\x17", 1)[:9])
    assert pull(records, buffer) == [(APPLICATION_DATA, b"content")]
    assert len(records.unread) == 9
    buffer[:] = b"x" * 3  # a resize, which fails while the buffer is borrowed
    assert pull(records, sealed(b"more\x17", 1)[9:]) == [(APPLICATION_DATA, b"more")]


class Rekeyed(Records):
    """Goes over to the next keys with each whole message, as a handshake does."""

    fill = 6

    def _receive_later_message(self, message: bytes) -> None:
        super()._receive_later_message(message)
        self.fill += 1
        self.layer.install_read(Epoch.HANDSHAKE, keys_of(fill=self.fill))


def test_each_record_is_opened_by_the_keys_of_its_turn() -> None:
    records = Rekeyed(cuts=True)
    stream = (
        plain(HANDSHAKE, FINISHED) + sealed(FINISHED + b"\x16") + sealed(FINISHED + b"\x16", 0, 8)
    )
    assert pull(records, stream) == [FINISHED] * 3
    assert not records.unread


def test_one_byte_at_a_time_costs_no_more_than_its_bytes() -> None:
    for size in (1000, 4000):
        records = layer(protected=True)
        stream = sealed(bytes(size) + b"\x17")
        pull(records, stream[:5])
        partial = CountingBuffer(records._unread)
        records._unread = partial
        for at in range(5, len(stream) - 1):
            assert pull(records, stream[at : at + 1]) == []
        assert records._unread is partial
        assert partial.copied == 0
        assert pull(records, stream[-1:]) == [(APPLICATION_DATA, bytes(size))]


def test_nothing_is_set_aside_for_what_has_not_come() -> None:
    records = layer(protected=True)
    tracemalloc.start()
    try:
        for _ in range(20):
            records = layer(protected=True)
            pull(records, b"\x17\x03\x03\x41\x00")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(records.unread) == 5
    assert peak < MAX


def test_memory_is_free_when_all_is_pulled() -> None:
    records = layer(protected=True)
    stream = b"".join(sealed(bytes(MAX) + b"\x17", n) for n in range(8))
    for cut in (0, 40_000, 90_000):
        pull(records, stream[cut : {0: 40_000, 40_000: 90_000}.get(cut, len(stream))])
    assert not records.unread
    assert records._unread.__sizeof__() <= 1000


# Faults in the header


@pytest.mark.parametrize(
    ("start", "fault"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", Fault.PLAINTEXT_HTTP),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", Fault.PLAINTEXT_HTTP),
        (b"\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x10", Fault.SSLV2_HELLO),
        (b"220 mail.example ESMTP\r\n", Fault.NOT_TLS),
        (b"\x16\x02\x00\x00\x05hello", Fault.NOT_TLS),
        (b"\x18\x03\x03\x00\x05hello", Fault.NOT_TLS),
        (b"\x13\x03\x03\x00\x05hello", Fault.NOT_TLS),
    ],
)
def test_what_is_not_tls_is_told_apart(start: bytes, fault: Fault) -> None:
    assert fault_of(pull, layer(is_client=False), start) is fault
    # The same where the bytes come one by one.
    records = layer(is_client=False)
    for at in range(4):
        assert pull(records, start[at : at + 1]) == []
    assert fault_of(pull, records, start[4:5]) in (fault, Fault.NOT_TLS)


@pytest.mark.parametrize(
    ("start", "advised", "blame"),
    [
        (b"CONNECT a:1 HTTP/1.1\r\n\r\n", "out of the client's proxy settings", Blame.PEER),
        (b"PROXY TCP4 10.0.0.1 10.0.0.2 3 443\r\n", "Send no PROXY header", Blame.UNCLEAR),
        (b"\r\n\r\n\0\r\nQUIT\n!\x11\0\x0c", "Send no PROXY header", Blame.UNCLEAR),
        (b"\0\0\0\x08\x04\xd2\x16/", "sslnegotiation=direct", Blame.PEER),
        (b"\0\0\0\x08\x04\xd2\x160", "sslnegotiation=direct", Blame.PEER),
        (b"GET / HTTP/1.1\r\n\r\n", "Use https://", Blame.PEER),
    ],
)
@pytest.mark.parametrize("size", [5, 64])
def test_a_client_that_takes_the_server_for_another_service(
    start: bytes, advised: str, blame: Blame, size: int
) -> None:
    with pytest.raises(ProtocolError) as caught:
        pull(layer(is_client=False), start[:size])
    caught.value.found_by("server")
    assert advised in caught.value.fix
    assert ("Use https:// for" in caught.value.fix) == (start[:3] == b"GET")
    assert caught.value.blame is blame
    # It is no advice for a server that answers like this.
    with pytest.raises(ProtocolError) as caught:
        pull(layer(), start[:size])
    caught.value.found_by("client")
    assert advised not in caught.value.fix


@pytest.mark.parametrize("start", [b"PROXY TCP4 10.0", b"\r\n\r\n\0\r\nQUIT\n!\x11\0"])
def test_a_header_that_nobody_expects_is_told_with_the_option_for_it(start: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        pull(layer(is_client=False), start)
    caught.value.found_by("server")
    told = worded(caught.value.fix, "serve")
    assert "let this server expect it (--proxy-protocol-from NETWORKS)." in told
    assert "received" not in told


def test_the_first_line_is_shown_as_evidence() -> None:
    with pytest.raises(ProtocolError, match=r"HTTP/1\.1 400 Bad Request"):
        pull(layer(), b"HTTP/1.1 400 Bad Request\r\nServer: a\r\n\r\n")
    records = layer()
    pull(records, b"HTT")
    with pytest.raises(ProtocolError, match=r"HTTP/1\.1 400"):
        pull(records, b"P/1.1 400 Bad Request\r\n")


@pytest.mark.parametrize(
    ("header", "fault"),
    [
        (b"\x18\x03\x03\0\1a", Fault.UNEXPECTED_RECORD_TYPE),
        (b"\x16\x02\0\0\1a", Fault.NOT_A_TLS_RECORD),
        (b"GET / HTTP", Fault.NOT_A_TLS_RECORD),
    ],
)
def test_after_the_first_record_it_was_tls(header: bytes, fault: Fault) -> None:
    records = layer()
    pull(records, plain(HANDSHAKE, FINISHED))
    assert fault_of(pull, records, header) is fault


@pytest.mark.parametrize(
    "version", [b"\x03\x00", b"\x03\x01", b"\x03\x03", b"\x03\x04", b"\x03\xff"]
)
def test_the_record_version_says_nothing(version: bytes) -> None:
    # RFC 9846 5.1: "MUST be ignored for all purposes".
    assert pull(layer(), plain(HANDSHAKE, FINISHED, version)) == [(HANDSHAKE, FINISHED)]


@pytest.mark.parametrize("content_type", [ALERT, HANDSHAKE, CHANGE_CIPHER_SPEC])
def test_a_plaintext_record_has_at_most_16384_bytes(content_type: int) -> None:
    header = bytes([content_type]) + b"\x03\x03"
    assert pull(layer(), header + (MAX).to_bytes(2, "big")) == []
    over = header + (MAX + 1).to_bytes(2, "big")
    assert fault_of(pull, layer(), over) is Fault.RECORD_OVERFLOW


def test_a_protected_record_has_at_most_16640_bytes() -> None:
    header = b"\x17\x03\x03"
    for protected in (False, True):
        assert pull(layer(protected=protected), header + (MAX + 256).to_bytes(2, "big")) == []
        over = header + (MAX + 257).to_bytes(2, "big")
        assert fault_of(pull, layer(protected=protected), over) is Fault.RECORD_OVERFLOW


def test_an_inner_plaintext_has_at_most_16385_bytes() -> None:
    full = sealed(bytes(MAX) + b"\x17")
    assert pull(layer(protected=True), full) == [(APPLICATION_DATA, bytes(MAX))]
    padded = sealed(b"a\x17" + bytes(MAX - 1))
    assert pull(layer(protected=True), padded) == [(APPLICATION_DATA, b"a")]
    for inner in (bytes(MAX + 1) + b"\x17", b"a\x17" + bytes(MAX)):
        assert fault_of(pull, layer(protected=True), sealed(inner)) is Fault.RECORD_OVERFLOW


def test_the_agreed_record_size_limit_counts_the_type() -> None:
    records = layer(protected=True)
    records.limit_read(64)
    assert pull(records, sealed(bytes(63) + b"\x17")) == [(APPLICATION_DATA, bytes(63))]
    assert fault_of(pull, records, sealed(bytes(64) + b"\x17", 1)) is Fault.RECORD_OVERFLOW
    assert Fault.RECORD_OVERFLOW.alert == AlertDescription.RECORD_OVERFLOW


# Faults in the content


@pytest.mark.parametrize("content_type", [ALERT, HANDSHAKE])
def test_records_other_than_data_are_not_empty(content_type: int) -> None:
    assert fault_of(pull, layer(), plain(content_type, b"")) is Fault.EMPTY_RECORD
    protected = sealed(bytes([content_type]))
    assert fault_of(pull, layer(protected=True), protected) is Fault.EMPTY_RECORD
    padded = sealed(bytes([content_type]) + bytes(20))
    assert fault_of(pull, layer(protected=True), padded) is Fault.EMPTY_RECORD


@pytest.mark.parametrize("content_type", [0, 1, CHANGE_CIPHER_SPEC, 24, 255])
def test_an_empty_record_of_another_type(content_type: int) -> None:
    inner = bytes([content_type]) if content_type else b"\0"
    wanted = Fault.EMPTY_RECORD if content_type else Fault.NO_INNER_CONTENT_TYPE
    assert fault_of(pull, layer(protected=True), sealed(inner)) is wanted


def test_records_of_padding_alone() -> None:
    assert fault_of(pull, layer(protected=True), sealed(bytes(9))) is Fault.NO_INNER_CONTENT_TYPE


def test_a_record_that_does_not_decrypt() -> None:
    damaged = bytearray(sealed(b"content\x17"))
    damaged[-1] ^= 1
    assert fault_of(pull, layer(protected=True), bytes(damaged)) is Fault.BAD_RECORD_MAC
    for size in range(17):
        short = plain(APPLICATION_DATA, bytes(size))
        assert fault_of(pull, layer(protected=True), short) is Fault.BAD_RECORD_MAC


def test_replayed_and_reordered_records_do_not_open() -> None:
    records = layer(protected=True)
    pull(records, sealed(b"a\x17"))
    assert fault_of(pull, records, sealed(b"a\x17")) is Fault.BAD_RECORD_MAC
    assert fault_of(pull, layer(protected=True), sealed(b"a\x17", 1)) is Fault.BAD_RECORD_MAC


@pytest.mark.parametrize("content_type", [ALERT, HANDSHAKE])
def test_after_the_keys_nothing_is_plaintext(content_type: int) -> None:
    record = plain(content_type, b"ab")
    assert fault_of(pull, layer(protected=True), record) is Fault.UNPROTECTED_RECORD


def test_a_peer_without_keys_may_say_so_in_plaintext() -> None:
    records = layer()
    records.install_read(Epoch.HANDSHAKE, keys_of())
    assert pull(records, plain(ALERT, b"\x02\x28")) == [(ALERT, b"\x02\x28")]
    assert fault_of(pull, records, plain(HANDSHAKE, b"ab")) is Fault.UNPROTECTED_RECORD
    # Once it has used its keys, it has them.
    pull(records, sealed(FINISHED + b"\x16"))
    assert fault_of(pull, records, plain(ALERT, b"\x02\x28")) is Fault.UNPROTECTED_RECORD


def test_data_before_there_are_keys() -> None:
    record = plain(APPLICATION_DATA, bytes(40))
    assert fault_of(pull, layer(), record) is Fault.APPLICATION_DATA_TOO_EARLY


# change_cipher_spec


def test_a_change_cipher_spec_in_its_time_is_dropped() -> None:
    records = layer()
    assert pull(records, CCS + plain(HANDSHAKE, FINISHED)) == [(HANDSHAKE, FINISHED)]
    records.install_read(Epoch.HANDSHAKE, keys_of())
    assert pull(records, CCS + sealed(b"ab\x16")) == [(HANDSHAKE, b"ab")]


@pytest.mark.parametrize("content", [b"", b"\0", b"\x02", b"\x01\x01"])
def test_a_change_cipher_spec_is_one_byte_of_one(content: bytes) -> None:
    record = plain(CHANGE_CIPHER_SPEC, content)
    assert fault_of(pull, layer(), record) is Fault.UNEXPECTED_CHANGE_CIPHER_SPEC


def test_a_change_cipher_spec_out_of_its_time() -> None:
    # A server has seen no ClientHello yet; later, the handshake is complete.
    server = layer(is_client=False)
    assert fault_of(pull, server, CCS) is Fault.UNEXPECTED_CHANGE_CIPHER_SPEC
    settled = layer(protected=True)
    settled.establish()
    assert fault_of(pull, settled, CCS) is Fault.UNEXPECTED_CHANGE_CIPHER_SPEC


@pytest.mark.parametrize("content_type", [CHANGE_CIPHER_SPEC, 24, 255])
def test_nothing_else_is_protected(content_type: int) -> None:
    record = sealed(bytes([1, content_type]))
    assert fault_of(pull, layer(protected=True), record) is Fault.UNEXPECTED_RECORD_TYPE


# Handshake messages and records


@pytest.mark.parametrize("other", [plain(ALERT, b"\x01\x00"), CCS], ids=["alert", "ccs"])
def test_nothing_comes_between_the_parts_of_a_message(other: bytes) -> None:
    records = layer(cuts=True)
    assert pull(records, plain(HANDSHAKE, FINISHED[:5])) == []
    assert records.in_a_message
    assert fault_of(pull, records, other) is Fault.INTERLEAVED_RECORD


@pytest.mark.parametrize("inner", [b"data\x17", b"\x17", b"\x01\x00\x15", b"\x01\x14", b"?\xff"])
def test_nothing_comes_between_the_parts_of_a_protected_message(inner: bytes) -> None:
    records = layer(protected=True, cuts=True)
    assert pull(records, sealed(FINISHED[:5] + b"\x16")) == []
    assert fault_of(pull, records, sealed(inner, 1)) is Fault.INTERLEAVED_RECORD


def test_messages_are_split_and_joined_over_records() -> None:
    records = layer(protected=True, cuts=True)
    stream = FINISHED * 3
    messages: list[bytes] = []
    for sequence, start in enumerate(range(0, len(stream), 5)):
        messages += pull(records, sealed(stream[start : start + 5] + b"\x16", sequence))
    assert messages == [FINISHED] * 3


HELLO = b"\x01\x00\x00\x28" + bytes(range(40))
CRUMBS = [plain(HANDSHAKE, HELLO[at : at + 1]) for at in range(len(HELLO))]


def read_in_parts(stream: bytes, size: int, limits: Limits | None = None) -> list[object]:
    """All messages and other records, and the fault at the end, if there is one."""
    records = layer(limits=limits, cuts=True)
    try:
        for at in range(0, len(stream), size):
            records.receive(stream[at : at + size])
    except ProtocolError as error:
        return [*records.seen, error.fault]
    return records.seen


@pytest.mark.parametrize(
    ("behind", "then"),
    [
        (b"", []),
        (b"".join(CRUMBS[20:]), [HELLO]),
        (b"".join(CRUMBS[20:] + CRUMBS), [HELLO, HELLO]),
        (plain(HANDSHAKE, HELLO[20:] + HELLO + HELLO[:9]), [HELLO, HELLO]),
        (plain(HANDSHAKE, HELLO[20:]) + plain(ALERT, b"\1\0"), [HELLO, (ALERT, b"\1\0")]),
        (plain(ALERT, b"\1\0"), [Fault.INTERLEAVED_RECORD]),
        (CCS, [Fault.INTERLEAVED_RECORD]),
        (plain(APPLICATION_DATA, b"a"), [Fault.APPLICATION_DATA_TOO_EARLY]),
        (plain(HANDSHAKE, b""), [Fault.EMPTY_RECORD]),
        (plain(HANDSHAKE, b"a", b"\4\3"), [Fault.NOT_A_TLS_RECORD]),
        (plain(HANDSHAKE, bytes(16385)), [Fault.RECORD_OVERFLOW]),
        (plain(HANDSHAKE, bytes(5000)), [Fault.HANDSHAKE_TOO_LARGE]),
        (plain(HANDSHAKE, HELLO[20:])[:-1], []),
        (plain(HANDSHAKE, b"")[:3], []),
    ],
)
def test_crumbs_of_a_message_mean_the_same_in_any_parts(behind: bytes, then: list[object]) -> None:
    """In one part they are taken together; byte by byte, each by itself."""
    stream = b"".join(CRUMBS[:20]) + behind
    for size in (len(stream), 1, 6, 7, 50):
        assert read_in_parts(stream, size, Limits(max_handshake_bytes=4096)) == then


def test_a_message_that_looks_like_records() -> None:
    message = b"\x01\x00\x00\x30" + plain(HANDSHAKE, b"a") * 8
    stream = plain(HANDSHAKE, message[:10]) + plain(HANDSHAKE, message[10:])
    behind_the_second_header = 20
    assert read_in_parts(stream, behind_the_second_header) == [message]


def test_no_crumbs_in_the_clear_end_a_protected_message() -> None:
    records = layer(protected=True, cuts=True)
    assert pull(records, sealed(FINISHED[:5] + b"\x16")) == []
    assert fault_of(pull, records, plain(HANDSHAKE, FINISHED[5:])) is Fault.UNPROTECTED_RECORD
    records, stream = layer(protected=True, cuts=True), sealed(FINISHED[:5] + b"\x16")
    stream += plain(HANDSHAKE, FINISHED[5:])
    assert fault_of(pull, records, stream) is Fault.UNPROTECTED_RECORD


def test_crumbs_of_the_next_message_wait_for_their_turn() -> None:
    records = Rekeyed(cuts=True)
    assert fault_of(records.receive, b"".join(CRUMBS * 2)) is Fault.UNPROTECTED_RECORD
    assert records.seen == [HELLO]


@pytest.mark.parametrize("extra", [b"\x14", FINISHED])
def test_no_handshake_bytes_stand_before_a_change_of_keys(extra: bytes) -> None:
    records = Rekeyed(cuts=True)
    refused = fault_of(records.receive, plain(HANDSHAKE, FINISHED + extra))
    assert refused is Fault.HANDSHAKE_ACROSS_KEY_CHANGE
    assert records.seen == [FINISHED]


@pytest.mark.parametrize(
    ("extra", "fault"),
    [(FINISHED, Fault.UNEXPECTED_MESSAGE), (FINISHED[:5], Fault.INTERLEAVED_RECORD)],
)
def test_nothing_stands_behind_a_flight(extra: bytes, fault: Fault) -> None:
    class Answering(Records):
        def _receive_later_message(self, message: bytes) -> None:
            self.layer.end_flight()

    Answering(cuts=True).receive(plain(HANDSHAKE, FINISHED))
    assert fault_of(Answering(cuts=True).receive, plain(HANDSHAKE, FINISHED + extra)) is fault


# Records without progress


def test_empty_data_is_dropped_so_often() -> None:
    records = layer(protected=True, limits=Limits(max_records_without_progress=5))
    records.establish()
    for sequence in range(5):
        assert pull(records, sealed(b"\x17", sequence)) == []
    again = sealed(b"\x17", 5)
    assert fault_of(pull, records, again) is Fault.TOO_MANY_RECORDS_WITHOUT_PROGRESS


def test_padding_does_not_make_empty_data_progress() -> None:
    records = layer(protected=True, limits=Limits(max_records_without_progress=1))
    records.establish()
    assert pull(records, sealed(b"\x17" + bytes(100))) == []
    again = sealed(b"\x17" + bytes(100), 1)
    assert fault_of(pull, records, again) is Fault.TOO_MANY_RECORDS_WITHOUT_PROGRESS


def test_change_cipher_specs_are_dropped_so_often() -> None:
    records = layer(limits=Limits(max_records_without_progress=5))
    assert pull(records, CCS * 5) == []
    assert fault_of(pull, records, CCS) is Fault.TOO_MANY_RECORDS_WITHOUT_PROGRESS


def test_progress_starts_the_count_again() -> None:
    records = layer(protected=True, limits=Limits(max_records_without_progress=2))
    records.establish()
    for sequence in range(0, 30, 3):
        stream = sealed(b"\x17", sequence) + sealed(b"\x17", sequence + 1)
        assert pull(records, stream + sealed(b"a\x17", sequence + 2)) == [(APPLICATION_DATA, b"a")]


# Early data that is not accepted (RFC 8446 section 4.2.10)


def early(size: int) -> bytes:
    """A record under a key that the receiver does not have."""
    return sealed(bytes(size - 17) + b"\x17", 0, fill=99)


def test_early_data_is_passed_over_until_a_record_opens() -> None:
    records = layer(is_client=False)
    records.install_read(Epoch.HANDSHAKE, keys_of())
    records.skip_early_data(1000)
    assert pull(records, early(200) + early(300)) == []
    assert pull(records, sealed(FINISHED + b"\x16")) == [(HANDSHAKE, FINISHED)]
    # From here on a record that does not open is an error again.
    assert fault_of(pull, records, early(100)) is Fault.BAD_RECORD_MAC


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 18, 100])
def test_early_data_of_any_size_moves_no_sequence_number(size: int) -> None:
    records = layer(is_client=False)
    records.install_read(Epoch.HANDSHAKE, keys_of())
    records.skip_early_data(1000)
    assert pull(records, plain(APPLICATION_DATA, bytes(size)) * 3) == []
    assert records.records_opened == 0
    assert pull(records, sealed(FINISHED + b"\x16")) == [(HANDSHAKE, FINISHED)]


def test_early_data_has_a_budget() -> None:
    for records in (layer(is_client=False), layer(is_client=False)):
        records.skip_early_data(500)
        assert pull(records, early(200) + early(200)) == []
        assert fault_of(pull, records, early(200)) is Fault.BAD_RECORD_MAC
    records = layer(is_client=False)
    records.install_read(Epoch.HANDSHAKE, keys_of())
    records.skip_early_data(500)
    assert pull(records, early(200) + early(200)) == []
    assert fault_of(pull, records, early(200)) is Fault.BAD_RECORD_MAC


def test_empty_early_data_spends_the_budget_too() -> None:
    records = layer(is_client=False)
    records.skip_early_data(50)
    empty = plain(APPLICATION_DATA, b"")
    assert pull(records, empty * 9) == []
    assert fault_of(pull, records, empty) is Fault.BAD_RECORD_MAC


def test_early_data_before_the_second_hello_is_passed_over() -> None:
    records = layer(is_client=False)
    records.skip_early_data(1000)
    assert pull(records, early(200) + plain(HANDSHAKE, FINISHED)) == [(HANDSHAKE, FINISHED)]
    records.skip_early_data(0)
    assert fault_of(pull, records, early(200)) is Fault.APPLICATION_DATA_TOO_EARLY


def test_the_end_of_the_handshake_ends_the_skipping() -> None:
    records = layer(is_client=False, protected=True)
    records.skip_early_data(1000)
    records.establish()
    assert fault_of(pull, records, early(200)) is Fault.BAD_RECORD_MAC


# Sending


def opened(stream: bytes, fill: int = 7) -> list[tuple[int, bytes, int]]:
    """Type, content and padding of each protected record."""
    reader = Protection13.of(keys_of(fill=fill))
    found: list[tuple[int, bytes, int]] = []
    for record in split(stream):
        inner = reader.open(record[:5], record[5:])
        content = inner.rstrip(b"\0")
        found.append((content[-1], content[:-1], len(inner) - len(content)))
    return found


def test_only_the_first_record_of_a_client_says_tls_10() -> None:
    records = layer(is_client=True)
    records.send(b"hello")
    assert records.take() == b"\x16\x03\x01\x00\x05hello"
    records.send(b"hello")
    assert records.take() == b"\x16\x03\x03\x00\x05hello"
    server = layer(is_client=False)
    server.send(b"hello")
    assert server.take() == b"\x16\x03\x03\x00\x05hello"


def test_handshake_messages_of_one_epoch_share_records() -> None:
    records = layer(is_client=False)
    records.send(b"a" * 10)
    records.send(b"b" * 10)
    records.send_change_cipher_spec()
    records.install_write(Epoch.HANDSHAKE, keys_of())
    records.send(b"c" * MAX)
    records.send(b"d" * 10)
    stream = bytes(records.take())
    first, second, third, fourth = split(stream)
    assert first == plain(HANDSHAKE, b"a" * 10 + b"b" * 10)
    assert second == CCS
    assert opened(third + fourth) == [(HANDSHAKE, b"c" * MAX, 0), (HANDSHAKE, b"d" * 10, 0)]
    assert records.take() == b""


def test_what_was_queued_goes_out_under_the_old_keys() -> None:
    records = layer()
    records.install_write(Epoch.APPLICATION, keys_of())
    records.send(FINISHED)
    records.install_write(Epoch.APPLICATION, keys_of(fill=8))
    records.send_application_data(b"data")
    first, second = split(bytes(records.take()))
    assert opened(first) == [(HANDSHAKE, FINISHED, 0)]
    assert opened(second, fill=8) == [(APPLICATION_DATA, b"data", 0)]


def test_data_and_alerts_keep_their_place_behind_the_handshake() -> None:
    records = layer()
    records.install_write(Epoch.APPLICATION, keys_of())
    records.send(FINISHED)
    records.send_application_data(b"data")
    records.send(FINISHED)
    records.send_alert(b"\x01\x00")
    kinds = [kind for kind, _, _ in opened(bytes(records.take()))]
    assert kinds == [HANDSHAKE, APPLICATION_DATA, HANDSHAKE, ALERT]


@pytest.mark.parametrize(
    "size", [1, MAX - 1, MAX, MAX + 1, 2 * MAX, 2 * MAX + 1, 3 * MAX, 5 * MAX + 17]
)
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_data_of_any_size(size: int, kind: type) -> None:
    content = bytes(i % 253 for i in range(size))
    records = layer(protected=True)
    records.send_application_data(kind(content))
    found = opened(bytes(records.take()))
    assert b"".join(part for _, part, _ in found) == content
    assert [len(part) for _, part, _ in found[:-1]] == [MAX] * (-(-size // MAX) - 1)
    assert {(k, padding) for k, _, padding in found} == {(APPLICATION_DATA, 0)}


def test_a_lone_record_is_handed_over_without_a_copy() -> None:
    records = layer(protected=True)
    for size in (3 * MAX, 5):
        records.send_application_data(bytes(size))
        (queued,) = records.out
        assert records.take() is queued


@pytest.mark.parametrize("limit", [64, 100, 1000, MAX, MAX + 1])
@pytest.mark.parametrize("size", [63, 64, 200, 5000, 40_000])
def test_records_keep_to_the_peers_limit(limit: int, size: int) -> None:
    records = layer(protected=True)
    records.limit_write(limit)
    assert records.write_limit == min(MAX, limit - 1)
    records.send_application_data(bytes(size))
    records.send(FINISHED * 30)
    stream = bytes(records.take())
    for record in split(stream):
        # The limit is on the inner plaintext: content, type and padding (RFC 8449 4).
        assert len(record) - 5 - 16 <= limit
    found = opened(stream)
    assert sum(len(part) for kind, part, _ in found if kind == APPLICATION_DATA) == size
    handshake = b"".join(part for kind, part, _ in found if kind == HANDSHAKE)
    assert handshake == FINISHED * 30


def test_plaintext_records_do_not_follow_the_peers_limit() -> None:
    # RFC 8449 4: "unprotected messages are not subject to this limit".
    records = layer()
    records.limit_write(64)
    records.send(bytes(1000))
    assert len(split(bytes(records.take()))) == 1


@pytest.mark.parametrize("multiple", [1, 16, 100, 512, MAX])
@settings(max_examples=10, deadline=None)
@given(size=st.integers(1, 3 * MAX))
def test_padding_to_a_multiple(multiple: int, size: int) -> None:
    records = layer(protected=True, padding=multiple)
    records.send_application_data(bytes([1]) * size)
    found = opened(bytes(records.take()))
    assert sum(len(part) for _, part, _ in found) == size
    for _, part, padding in found:
        assert padding < multiple
        assert (len(part) + padding) % multiple == 0 or len(part) + padding == MAX


@pytest.mark.parametrize(
    ("policy", "size", "expected"),
    [
        (lambda size: 10, 5, 10),
        (lambda size: 0, 5, 0),
        (lambda size: -5, 5, 0),
        (lambda size: 10**9, 5, MAX - 5),
        (lambda size: 2 * size, 50, 100),
        (lambda size: 7.9, 5, 7),
        (lambda size: True, 5, 1),
    ],
)
def test_a_padding_policy(policy: Callable[[int], int], size: int, expected: int) -> None:
    records = layer(protected=True, padding=policy)
    records.send_application_data(b"a" * size)
    assert opened(bytes(records.take())) == [(APPLICATION_DATA, b"a" * size, expected)]


def test_padding_stays_within_the_peers_limit() -> None:
    records = layer(protected=True, padding=lambda size: 10**6)
    records.limit_write(100)
    records.send_application_data(b"a" * 250)
    assert [(len(part), padding) for _, part, padding in opened(bytes(records.take()))] == [
        (99, 0),
        (99, 0),
        (52, 47),
    ]


def failing(size: int) -> int:
    raise ZeroDivisionError(size)


@pytest.mark.parametrize("policy", [failing, lambda size: None, lambda size: "x"])
def test_a_policy_that_fails(policy: Callable[[int], int]) -> None:
    records = layer(protected=True, padding=policy)
    assert fault_of(records.send_application_data, b"data") is Fault.CALLBACK_FAILED
    # The alert still goes out, without padding.
    records.send_alert(b"\x02\x50")
    assert opened(bytes(records.take())) == [(ALERT, b"\x02\x50", 0)]


def test_plaintext_is_not_padded() -> None:
    records = layer(padding=100)
    records.send(b"hello")
    assert records.take() == b"\x16\x03\x01\x00\x05hello"


# The life of a key


def test_the_records_left_to_a_key() -> None:
    records = layer(limits=Limits(max_records_per_key=10))
    assert records.records_left() == 0
    records.install_write(Epoch.APPLICATION, keys_of())
    assert records.records_left() == 10
    records.send_application_data(bytes(3 * MAX))
    assert records.records_left() == 7
    records.install_write(Epoch.APPLICATION, keys_of(fill=8))
    assert records.records_left() == 10
    unlimited = layer(protected=True)
    assert unlimited.records_left() == AES_128.record_limit


def test_the_records_opened_by_a_key() -> None:
    records = layer()
    assert records.records_opened == 0
    records.install_read(Epoch.APPLICATION, keys_of())
    pull(records, sealed(b"a\x17", 0) + sealed(b"b\x17", 1))
    assert records.records_opened == 2
    records.install_read(Epoch.APPLICATION, keys_of(fill=8))
    assert records.records_opened == 0


def test_no_key_seals_beyond_its_counter() -> None:
    records = layer(protected=True)
    assert records.write_key is not None
    records.write_key.sequence = 2**64 - 1
    assert fault_of(records.send_application_data, b"a") is Fault.KEY_EXHAUSTED
    assert fault_of(records.send_application_data, bytes(3 * MAX)) is Fault.KEY_EXHAUSTED


# Whatever comes


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=120), st.booleans(), st.integers(0, 2), st.integers(1, 120))
def test_random_bytes_raise_protocol_errors_only(
    data: bytes, is_client: bool, state: int, step: int
) -> None:
    records = layer(is_client=is_client)
    if state:
        records.install_read(Epoch.HANDSHAKE, keys_of())
    if state == 2:
        records.skip_early_data(300)
    feed_all(records, data, step)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.builds(
            plain, st.sampled_from([20, 21, 22, 23]), st.binary(max_size=40) | st.just(b"\x01")
        )
        | st.builds(sealed, st.binary(max_size=30), st.integers(0, 3)),
        max_size=8,
    ),
    st.integers(0, 2),
    st.integers(1, 200),
)
def test_records_in_any_order_raise_protocol_errors_only(
    stream: list[bytes], state: int, step: int
) -> None:
    records = layer(limits=Limits(max_handshake_bytes=200))
    if state:
        records.install_read(Epoch.HANDSHAKE, keys_of())
    if state == 2:
        records.skip_early_data(300)
    feed_all(records, b"".join(stream), step)


def feed_all(records: Records, data: bytes, step: int) -> None:
    try:
        for at in range(0, len(data), step):
            records.receive(data[at : at + step])
    except ProtocolError:
        return
    assert len(records.unread) <= len(data)


# TLS 1.2


class Records12(Records):
    """Of TLS 1.2: sees change_cipher_spec, too."""

    def __init__(self) -> None:
        super().__init__(cuts=True)
        self.layer.use_tls12()

    def _receive_change_cipher_spec(self) -> None:
        self.seen.append(CHANGE_CIPHER_SPEC)


def test_a_change_cipher_spec_of_tls12_is_given_out() -> None:
    assert pull(Records12(), CCS) == [CHANGE_CIPHER_SPEC]


@pytest.mark.parametrize("content", [b"", b"\x02", b"\x01\x01"])
def test_a_change_cipher_spec_of_tls12_has_one_form(content: bytes) -> None:
    record = b"\x14\x03\x03" + len(content).to_bytes(2, "big") + content
    assert fault_of(pull, Records12(), record) is Fault.UNEXPECTED_CHANGE_CIPHER_SPEC


def test_what_was_dropped_before_the_version_was_known() -> None:
    records = layer()
    assert pull(records, CCS) == []
    assert fault_of(records.use_tls12) is Fault.UNEXPECTED_CHANGE_CIPHER_SPEC


def test_a_change_cipher_spec_inside_a_message() -> None:
    stream = b"\x16\x03\x03\x00\x02\x0b\x00" + CCS
    assert fault_of(pull, Records12(), stream) is Fault.INTERLEAVED_RECORD


def test_limits_of_tls12_count_no_type() -> None:
    records = Records12()
    records.limit_write(100)
    assert records.write_limit == 100


# Data


@pytest.mark.parametrize("size", [3, 2**13, 2**14])
def test_a_buffer_of_other_items_than_bytes_is_read_as_bytes(size: int) -> None:
    stream = b"".join([sealed(bytes(size) + b"\x17", number) for number in range(8)])
    records, end = layer(protected=True), len(stream) // 4 * 4 - 4
    assert (
        pull(records, memoryview(array("I", stream[:end]))) == [(APPLICATION_DATA, bytes(size))] * 7
    )
    assert pull(records, stream[end:]) == [(APPLICATION_DATA, bytes(size))]


def test_what_waits_is_not_overtaken() -> None:
    records = layer(protected=True)
    first, second = sealed(b"a\x17"), sealed(b"b\x17", 1)
    assert pull(records, first[:9]) == []
    assert pull(records, first[9:] + second) == [(APPLICATION_DATA, b"a"), (APPLICATION_DATA, b"b")]
    assert pull(records, sealed(b"c\x17", 2)) == [(APPLICATION_DATA, b"c")]


def test_an_exhausted_key_for_reading_is_known() -> None:
    records = layer(protected=True, limits=Limits(max_records_per_key=8))
    for number in range(8):
        assert not records.read_key_exhausted
        assert pull(records, sealed(b"x\x17", number)) == [(APPLICATION_DATA, b"x")]
    assert records.read_key_exhausted
