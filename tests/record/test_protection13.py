"""One key in one direction: the records of RFC 8448 open, and seal to the same bytes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.record.records import AES_128, keys_of, sealed
from tests.vectors.rfc8448_traces import TRACE_NAMES, Record, Trace, load

from handclasp.crypto.secret import Secret
from handclasp.crypto.suites import CIPHER_SUITES
from handclasp.errors import ProtocolError
from handclasp.faults import Fault
from handclasp.iana import AlertDescription, ContentType
from handclasp.keys.traffic import TrafficKeys
from handclasp.record.protection13 import Protection13, split_inner_plaintext

PROTECTED = [
    (trace, record)
    for trace in map(load, TRACE_NAMES)
    for record in trace.records
    if record.epoch != "plaintext"
]
rfc_8448 = pytest.mark.parametrize(
    ("trace", "record"), PROTECTED, ids=[f"{t.name}-{r.name}" for t, r in PROTECTED]
)


def protection_for(trace: Trace, record: Record) -> Protection13:
    keys = trace.traffic_keys[record.sender, record.epoch]
    made = Protection13.of(TrafficKeys(AES_128, Secret(keys.key), Secret(keys.iv)))
    made.sequence = record.sequence_number
    return made


def fault_of(call: object, *arguments: object) -> Fault:
    with pytest.raises(ProtocolError) as caught:
        call(*arguments)  # type: ignore[operator]
    return caught.value.fault


@rfc_8448
def test_the_records_of_rfc_8448_open(trace: Trace, record: Record) -> None:
    protection = protection_for(trace, record)
    inner = protection.open(record.encoded[:5], record.encoded[5:])
    content_type, content = split_inner_plaintext(inner, 2**14 + 1)
    assert ContentType(content_type).name.lower() == record.content_type
    assert content == record.payload
    assert protection.sequence == record.sequence_number + 1


@rfc_8448
def test_the_records_of_rfc_8448_seal_to_the_same_bytes(trace: Trace, record: Record) -> None:
    kind = ContentType[record.content_type.upper()]
    assert protection_for(trace, record).seal(kind, record.payload) == record.encoded
    many = protection_for(trace, record).seal_many(kind, memoryview(record.payload), 2**14)
    assert many == record.encoded


@rfc_8448
def test_under_another_number_or_key_they_do_not_open(trace: Trace, record: Record) -> None:
    late = protection_for(trace, record)
    late.sequence += 1
    other = Protection13.of(keys_of(fill=9))
    for protection in (late, other):
        opened = fault_of(protection.open, record.encoded[:5], record.encoded[5:])
        assert opened is Fault.BAD_RECORD_MAC


@pytest.mark.parametrize("suite", CIPHER_SUITES.values(), ids=CIPHER_SUITES)
@settings(max_examples=20, deadline=None)
@given(
    content=st.binary(max_size=300),
    padding=st.integers(0, 300),
    content_type=st.sampled_from(ContentType),
)
def test_what_is_sealed_opens(
    suite: object, content: bytes, padding: int, content_type: ContentType
) -> None:
    keys = keys_of(suite)  # type: ignore[arg-type]
    record = Protection13.of(keys).seal(content_type, content, padding)
    assert record[:3] == b"\x17\x03\x03"
    assert int.from_bytes(record[3:5], "big") == len(record) - 5
    assert len(record) == 5 + len(content) + 1 + padding + 16
    inner = Protection13.of(keys).open(record[:5], record[5:])
    assert inner == content + bytes([content_type]) + bytes(padding)
    assert split_inner_plaintext(inner, len(inner)) == (content_type, content)


@pytest.mark.parametrize("suite", CIPHER_SUITES.values(), ids=CIPHER_SUITES)
@pytest.mark.parametrize("size", [1, 99, 100, 101, 250, 1000])
def test_many_records_in_place_are_the_records_one_by_one(suite: object, size: int) -> None:
    keys = keys_of(suite)  # type: ignore[arg-type]
    content = bytes(i % 256 for i in range(size))
    many, single = Protection13.of(keys), Protection13.of(keys)
    at_once = many.seal_many(ContentType.APPLICATION_DATA, memoryview(content), 100)
    one_by_one = b"".join(
        single.seal(ContentType.APPLICATION_DATA, content[at : at + 100])
        for at in range(0, size, 100)
    )
    assert at_once == one_by_one
    assert many.sequence == single.sequence == -(-size // 100)


def test_the_nonce_is_the_iv_xored_with_the_number() -> None:
    protection = Protection13.of(keys_of())
    for sequence in (0, 1, 255, 256, 2**32, 2**64 - 2):
        protection.sequence = sequence
        assert protection.seal(23, b"content") == sealed(b"content\x17", sequence)


@pytest.mark.parametrize("size", range(17))
def test_nothing_so_short_can_be_a_record(size: int) -> None:
    protection = Protection13.of(keys_of())
    header = b"\x17\x03\x03" + size.to_bytes(2, "big")
    assert fault_of(protection.open, header, bytes(size)) is Fault.BAD_RECORD_MAC


def test_an_empty_inner_plaintext_is_too_short() -> None:
    # Its tag is right, but there is no content type in it (RFC 9846 5.2).
    record = sealed(b"")
    assert len(record) == 21
    opened = fault_of(Protection13.of(keys_of()).open, record[:5], record[5:])
    assert opened is Fault.BAD_RECORD_MAC


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 255))
def test_every_byte_of_a_record_is_protected(at: int, flip: int) -> None:
    record = bytearray(Protection13.of(keys_of()).seal(23, b"some content", 3))
    record[at % len(record)] ^= flip
    opened = fault_of(Protection13.of(keys_of()).open, bytes(record[:5]), bytes(record[5:]))
    assert opened is Fault.BAD_RECORD_MAC


def test_the_alert_says_no_more_than_bad_record_mac() -> None:
    with pytest.raises(ProtocolError) as short:
        Protection13.of(keys_of()).open(b"\x17\x03\x03\0\1", b"a")
    with pytest.raises(ProtocolError) as wrong:
        Protection13.of(keys_of()).open(b"\x17\x03\x03\0\x20", bytes(32))
    assert short.value.alert == wrong.value.alert == "bad_record_mac"
    assert wrong.value.__cause__ is None
    assert wrong.value.__suppress_context__


def test_a_key_ends_before_its_counter_wraps() -> None:
    protection = Protection13.of(keys_of())
    protection.sequence = 2**64 - 2
    record = protection.seal(23, b"the last")
    assert fault_of(protection.seal, 23, b"one too many") is Fault.KEY_EXHAUSTED
    assert protection.sequence == 2**64 - 1
    reader = Protection13.of(keys_of())
    reader.sequence = 2**64 - 2
    assert reader.open(record[:5], record[5:]) == b"the last\x17"
    assert fault_of(reader.open, record[:5], record[5:]) is Fault.KEY_EXHAUSTED
    many = Protection13.of(keys_of())
    many.sequence = 2**64 - 3
    content = memoryview(bytes(30))
    assert fault_of(many.seal_many, 23, content, 10) is Fault.KEY_EXHAUSTED


@pytest.mark.parametrize("zeros", [1, 2, 100, 2**14 + 1])
def test_nothing_but_padding_has_no_type(zeros: int) -> None:
    assert fault_of(split_inner_plaintext, bytes(zeros), 2**14 + 1) is Fault.NO_INNER_CONTENT_TYPE


@pytest.mark.parametrize("limit", [64, 100, 2**14 + 1])
def test_the_inner_plaintext_has_a_limit(limit: int) -> None:
    content_and_type = bytes(limit - 1) + b"\x17"
    assert split_inner_plaintext(content_and_type, limit) == (23, bytes(limit - 1))
    padded = b"a\x17" + bytes(limit - 2)
    assert split_inner_plaintext(padded, limit) == (23, b"a")
    for too_long in (b"\0" + content_and_type, padded + b"\0", bytes(limit + 1)):
        assert fault_of(split_inner_plaintext, too_long, limit) is Fault.RECORD_OVERFLOW


def test_zeros_of_the_content_stay() -> None:
    assert split_inner_plaintext(b"a\0\0\x17\0\0\0", 100) == (23, b"a\0\0")


def test_the_alerts_are_those_of_section_5() -> None:
    assert Fault.RECORD_OVERFLOW.alert == AlertDescription.RECORD_OVERFLOW
    assert Fault.NO_INNER_CONTENT_TYPE.alert == AlertDescription.UNEXPECTED_MESSAGE
    assert Fault.BAD_RECORD_MAC.alert == AlertDescription.BAD_RECORD_MAC


def test_a_record_is_opened_where_it_stands() -> None:
    reader, record = Protection13.of(keys_of()), sealed(b"content\x16\0\0")
    stream = b"before" + record + b"behind"
    assert reader.open_record(stream, 6, 6 + len(record)) == (22, b"content")
    assert reader.sequence == 1
    for inner in (b"a\x17", b"a\x16\0\0", b"\0\0", b"\x15", bytes(200)):
        record = sealed(inner)
        try:
            expected: object = split_inner_plaintext(inner, 100)
        except ProtocolError as error:
            expected = error.fault
        opener = Protection13.of(keys_of())
        opener.limit = 100
        try:
            found: object = opener.open_record(memoryview(record), 0, len(record))
        except ProtocolError as error:
            found = error.fault
        assert found == expected


def test_a_record_that_does_not_open_has_no_number() -> None:
    reader = Protection13.of(keys_of())
    assert fault_of(reader.open_record, sealed(b"a\x17", 1), 0, 23) is Fault.BAD_RECORD_MAC
    assert reader.sequence == 0
