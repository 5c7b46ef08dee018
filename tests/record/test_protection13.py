"""One key in one direction: the records of RFC 8448 open, and seal to the same bytes."""

from __future__ import annotations

from contextlib import suppress

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
    # Its tag is right, but there is no content type in it (RFC 8446 5.2).
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


class TestOpenData:
    """The short way: records of application data, and nothing else."""

    def opened(self, data: bytes | memoryview, limit: int = 2**14 + 1) -> tuple[list[bytes], int]:
        """What was in the front of `data`, and how much of it was used."""
        into: list[bytes | bytearray | memoryview] = []
        protection = Protection13.of(keys_of())
        protection.limit = limit
        used = protection.open_data(data, into)
        assert protection.sequence == len(into)  # Nothing else was used up.
        return [bytes(each) for each in into], used

    @pytest.mark.parametrize("size", [1, 100, 2**13, 2**14])
    @pytest.mark.parametrize("count", [1, 3])
    def test_whole_records_one_after_the_other(self, size: int, count: int) -> None:
        contents = [bytes([number]) * size for number in range(count)]
        data = b"".join(sealed(each + b"\x17", number) for number, each in enumerate(contents))
        assert self.opened(data) == (contents, len(data))
        assert self.opened(memoryview(data)) == (contents, len(data))

    @pytest.mark.parametrize("size", [1, 2**14])
    def test_one_record_gives_bytes(self, size: int) -> None:
        into: list[bytes | bytearray | memoryview] = []
        Protection13.of(keys_of()).open_data(sealed(bytes(size) + b"\x17"), into)
        assert into == [bytes(size)]
        assert type(into[0]) is bytes

    @pytest.mark.parametrize("content", [b"x", b"x\0", b"x\x17"])
    def test_padding_is_taken_off(self, content: bytes) -> None:
        record = sealed(content + b"\x17\0\0")
        assert self.opened(record) == ([content], len(record))

    def test_what_is_not_whole_stays_where_it_is(self) -> None:
        first, second = sealed(b"a\x17"), sealed(b"b\x17", 1)
        for cut in range(len(second)):
            assert self.opened(first + second[:cut]) == ([b"a"], len(first))
            assert self.opened(first[:cut]) == ([], 0)

    @pytest.mark.parametrize(
        "header", ["16 0303 0011", "15 0303 0012", "17 0203 0011", "17 0303 4101"]
    )
    def test_what_does_not_look_like_data_stays_where_it_is(self, header: str) -> None:
        first = sealed(b"a\x17")
        other = bytes.fromhex(header) + bytes(0x4101)
        assert self.opened(first + other) == ([b"a"], len(first))

    @pytest.mark.parametrize(
        "inner",
        [b"\x17", b"", b"abc\x17", b"abc\0", b"\x17\0\0", b"\x01\x00\x15", b"x\0\0", b"\0\0\0"],
    )
    def test_what_is_empty_or_too_long_or_no_data_stays_where_it_is(self, inner: bytes) -> None:
        first = sealed(b"a\x17")
        assert self.opened(first + sealed(inner, 1), limit=3) == ([b"a"], len(first))
        assert self.opened(sealed(inner), limit=3) == ([], 0)

    def test_a_damaged_record_after_good_ones(self) -> None:
        into: list[bytes | bytearray | memoryview] = []
        data = sealed(b"a\x17") + sealed(b"b\x17", 2)  # Under the wrong sequence number.
        fault = fault_of(Protection13.of(keys_of()).open_data, data, into)
        assert fault is Fault.BAD_RECORD_MAC
        assert into == [b"a"]

    def test_every_byte_is_protected(self) -> None:
        for at in range(len(sealed(b"some content\x17"))):
            record = bytearray(sealed(b"some content\x17"))
            record[at] ^= 1
            with suppress(ProtocolError):
                assert self.opened(bytes(record)) == ([], 0)

    def test_an_exhausted_counter_stays_where_it_is(self) -> None:
        protection = Protection13.of(keys_of())
        protection.sequence = 2**64 - 1
        assert protection.open_data(sealed(b"a\x17"), []) == 0


class TestOpenOne:
    """The short way for a read that is one record of application data, and nothing else."""

    def opened(self, data: bytes | memoryview, limit: int = 2**14 + 1) -> bytes | None:
        protection = Protection13.of(keys_of())
        protection.limit = limit
        content = protection.open_one(data)
        assert protection.sequence == bool(content)  # Nothing else was used up.
        return content

    @pytest.mark.parametrize("size", [1, 100, 2**13, 2**14])
    @pytest.mark.parametrize("padding", [0, 1])
    def test_one_whole_record_gives_bytes(self, size: int, padding: int) -> None:
        content = bytes(size - 1) + b"a"
        record = sealed(content + b"\x17" + bytes(padding))
        for data in (record, memoryview(record)):
            opened = self.opened(data, limit=size + 1 + padding)
            assert opened == content
            assert type(opened) is bytes

    def test_what_is_not_one_record_is_left_alone(self) -> None:
        record = sealed(b"abc\x17")
        for cut in range(len(record)):
            assert self.opened(record[:cut]) is None
        assert self.opened(record + b"\x17") is None
        assert self.opened(record + record) is None

    @pytest.mark.parametrize(
        "header", ["16 0303 0014", "15 0303 0014", "17 0203 0014", "17 0303 0013", "17 0303 0015"]
    )
    def test_what_does_not_look_like_data_is_left_alone(self, header: str) -> None:
        assert self.opened(bytes.fromhex(header) + sealed(b"abc\x17")[5:]) is None

    @pytest.mark.parametrize("inner", [b"\x17", b"", b"abc\x17"])
    def test_a_size_out_of_bounds_is_left_alone(self, inner: bytes) -> None:
        assert self.opened(sealed(inner), limit=3) is None

    @pytest.mark.parametrize("inner", [b"ab\0", b"\x17\0\0", b"\x01\0\x15", b"x\0\0", b"\0\0\0"])
    def test_what_is_empty_or_no_data_gives_nothing(self, inner: bytes) -> None:
        assert self.opened(sealed(inner), limit=3) == b""

    def test_every_byte_is_protected(self) -> None:
        record = sealed(b"some content\x17")
        for at in range(len(record)):
            damaged = bytearray(record)
            damaged[at] ^= 1
            opener = Protection13.of(keys_of())
            if at in (0, 1, 3, 4):  # Another type, version or length: it is not decrypted at all.
                assert opener.open_one(bytes(damaged)) is None
            else:
                assert fault_of(opener.open_one, bytes(damaged)) is Fault.BAD_RECORD_MAC

    def test_an_exhausted_counter_is_left_alone(self) -> None:
        protection = Protection13.of(keys_of())
        protection.sequence = 2**64 - 1
        assert protection.open_one(sealed(b"abc\x17")) is None
