"""A key in either form, in Python and in C: the short ways, and that both forms are one."""

from __future__ import annotations

import gc
import sys
from array import array
from collections.abc import Callable
from typing import Any, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.record.records import keys_of, sealed
from tests.required import need_speedups

from handclasp.crypto.suites import CIPHER_SUITES, Buffer, CipherSuite
from handclasp.errors import ProtocolError
from handclasp.events import DataReceived
from handclasp.faults import Fault
from handclasp.record.protection13 import MAX_INNER_PLAINTEXT, Protection13
from handclasp.record.record_key import SEQUENCE_END, PureRecordKey

Key: TypeAlias = Any

in_both = pytest.mark.parametrize("form", ["Python", "C"])
suites = pytest.mark.parametrize("suite", CIPHER_SUITES.values(), ids=CIPHER_SUITES)


def record_key() -> Any:
    """The class in C; skips the test where it is not built."""
    return need_speedups().RecordKey


def new_key(form: str, suite: CipherSuite | None = None, limit: int = MAX_INNER_PLAINTEXT) -> Key:
    keys = keys_of() if suite is None else keys_of(suite)
    made = PureRecordKey if form == "Python" else record_key()
    return made(keys.suite.aead(keys.key), keys.iv, limit)


@in_both
class TestOpenData:
    """Records of application data, and nothing else."""

    def opened(
        self, form: str, data: Buffer, limit: int = MAX_INNER_PLAINTEXT, records: int = 0
    ) -> tuple[bytes, int]:
        """What was in the front of `data`, and how much of it was used by so many records."""
        key = new_key(form, limit=limit)
        content, used = key.open_data(data)
        assert type(content) is bytes
        assert key.sequence == records  # Nothing else was used up.
        return content, used

    @pytest.mark.parametrize("size", [1, 100, 2**13, 2**14])
    @pytest.mark.parametrize("count", [1, 3])
    def test_whole_records_one_after_the_other(self, form: str, size: int, count: int) -> None:
        contents = [bytes([number + 1]) * size for number in range(count)]
        data = b"".join(sealed(each + b"\x17", number) for number, each in enumerate(contents))
        for kind in (bytes, bytearray, memoryview):
            opened = self.opened(form, kind(data), records=count)
            assert opened == (b"".join(contents), len(data))

    @pytest.mark.parametrize("content", [b"x", b"x\0", b"x\x17"])
    @pytest.mark.parametrize("zeros", [1, 100, 2**14 - 2])
    def test_padding_is_taken_off(self, form: str, content: bytes, zeros: int) -> None:
        first = sealed(content + b"\x17" + bytes(zeros))
        second = sealed(content + b"\x17", 1)
        both = self.opened(form, first + second, records=2)
        assert both == (content + content, len(first + second))

    def test_what_is_not_whole_stays_where_it_is(self, form: str) -> None:
        first, second = sealed(b"a\x17"), sealed(b"b\x17", 1)
        for cut in range(len(second)):
            assert self.opened(form, first + second[:cut], records=1) == (b"a", len(first))
            assert self.opened(form, first[:cut]) == (b"", 0)

    @pytest.mark.parametrize(
        "header", ["16 0303 0011", "15 0303 0012", "17 0203 0011", "17 0303 4112"]
    )
    def test_what_does_not_look_like_data_stays_where_it_is(self, form: str, header: str) -> None:
        first = sealed(b"a\x17")
        other = bytes.fromhex(header) + bytes(0x4112)
        assert self.opened(form, first + other, records=1) == (b"a", len(first))

    @pytest.mark.parametrize(
        "inner",
        [b"\x17", b"", b"abc\x17", b"abc\0", b"\x17\0\0", b"\x01\x00\x15", b"x\0\0", b"\0\0\0"],
    )
    def test_what_is_empty_or_too_long_or_no_data_stays(self, form: str, inner: bytes) -> None:
        first = sealed(b"a\x17")
        data = first + sealed(inner, 1)
        assert self.opened(form, data, limit=3, records=1) == (b"a", len(first))
        assert self.opened(form, sealed(inner), limit=3) == (b"", 0)

    def test_every_byte_is_protected(self, form: str) -> None:
        first = sealed(b"a\x17")
        for at in range(len(sealed(b"some content\x17"))):
            record = bytearray(sealed(b"some content\x17", 1))
            record[at] ^= 1
            opened = self.opened(form, first + bytes(record), records=1)
            assert opened == (b"a", len(first))

    def test_under_another_number_nothing_opens(self, form: str) -> None:
        assert self.opened(form, sealed(b"a\x17", 1)) == (b"", 0)

    def test_it_ends_where_keys_are_to_change(self, form: str) -> None:
        key = new_key(form)
        key.until = 1
        assert key.open_data(sealed(b"a\x17") + sealed(b"b\x17", 1)) == (b"a", 23)
        assert key.open_data(sealed(b"b\x17", 1)) == (b"", 0)

    def test_the_last_number_is_never_used(self, form: str) -> None:
        key = new_key(form)
        key.sequence = SEQUENCE_END - 1
        record = sealed(b"a\x17", SEQUENCE_END - 1)
        assert key.open_data(record) == (b"a", len(record))
        assert key.open_data(sealed(b"a\x17", SEQUENCE_END)) == (b"", 0)


@in_both
class TestOpenOne:
    """One whole record of application data, or nothing."""

    def opened(self, form: str, data: Buffer, limit: int = MAX_INNER_PLAINTEXT) -> bytes | None:
        key = new_key(form, limit=limit)
        content: bytes | None = key.open_one(data)
        assert key.sequence == (content is not None)  # No number is used up in vain.
        return content

    @pytest.mark.parametrize("size", [1, 100, 2**13, 2**14])
    @pytest.mark.parametrize("zeros", [0, 1])
    @pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
    def test_its_content(
        self, form: str, size: int, zeros: int, kind: Callable[[bytes], Buffer]
    ) -> None:
        content = b"c" * (size - zeros)
        opened = self.opened(form, kind(sealed(content + b"\x17" + bytes(zeros))))
        assert opened == (content or None)

    def test_nothing_but_one_whole_record_opens(self, form: str) -> None:
        first, second = sealed(b"a\x17"), sealed(b"b\x17", 1)
        for cut in range(len(first)):
            assert self.opened(form, first[:cut]) is None
        for cut in range(1, len(second) + 1):
            assert self.opened(form, first + second[:cut]) is None

    @pytest.mark.parametrize(
        "inner", [b"\x17", b"", b"abc\x17", b"abc\0", b"\x17\0\0", b"\x01\x00\x15", b"\0\0"]
    )
    def test_what_is_empty_or_too_long_or_no_data(self, form: str, inner: bytes) -> None:
        assert self.opened(form, sealed(inner), limit=3) is None

    def test_every_byte_is_protected(self, form: str) -> None:
        for at in range(len(sealed(b"some\x17"))):
            record = bytearray(sealed(b"some\x17"))
            record[at] ^= 1
            assert self.opened(form, record) is None

    def test_it_ends_where_keys_are_to_change(self, form: str) -> None:
        key = new_key(form)
        key.until = 1
        assert key.open_one(sealed(b"a\x17")) == b"a"
        assert key.open_one(sealed(b"b\x17", 1)) is None


@in_both
class TestSealMany:
    """One buffer of many records."""

    @suites
    @pytest.mark.parametrize("size", [0, 1, 99, 100, 101, 250, 1000])
    def test_it_is_the_records_one_by_one(self, form: str, suite: CipherSuite, size: int) -> None:
        content = bytes(number % 251 for number in range(size))
        key, single = new_key(form, suite), Protection13.of(keys_of(suite))
        at_once = key.seal_many(22, memoryview(content), 100)
        pieces = [content[at : at + 100] for at in range(0, size, 100)]
        assert at_once == b"".join(single.seal(22, piece) for piece in pieces)
        assert key.sequence == single.sequence == len(pieces)

    def test_a_key_ends_before_its_counter_wraps(self, form: str) -> None:
        key = new_key(form)
        key.sequence = SEQUENCE_END - 2
        with pytest.raises(ProtocolError) as caught:
            key.seal_many(23, bytes(30), 10)
        assert caught.value.fault is Fault.KEY_EXHAUSTED
        assert key.sequence == SEQUENCE_END - 2
        assert len(key.seal_many(23, bytes(20), 10)) == 2 * (10 + 22)


class TestInC:
    """What only the form in C has: in Python, the connection does it without a call."""

    @pytest.mark.parametrize("size", [1, 100, 2**13, 2**14])
    def test_data_are_sealed_as_by_any_record(self, size: int) -> None:
        key, protection, into = new_key("C"), Protection13.of(keys_of()), [b"before"]
        for number in range(3):
            assert key.seal_data(bytes(size), into) is True
            assert into.pop() == protection.seal(23, bytes(size))
            assert key.sequence == protection.sequence == number + 1
        assert into == [b"before"]

    def test_data_of_any_buffer_are_sealed(self) -> None:
        key, protection, into = new_key("C"), Protection13.of(keys_of()), list[bytes]()
        words = array("I", b"abcd" * 5)
        for data in (bytearray(words), memoryview(bytes(words)), memoryview(words), words):
            assert key.seal_data(data, into) is True
            assert into.pop() == protection.seal(23, bytes(words))

    @pytest.mark.parametrize(
        "data", [b"", b"abcd", bytearray(), bytearray(b"abcd"), memoryview(b"abcd")[::2], "a", 1]
    )
    def test_other_data_take_the_long_way(self, data: Any) -> None:
        key, into = new_key("C", limit=3), [b"before"]
        assert key.seal_data(data, into) is False
        assert (into, key.sequence) == ([b"before"], 0)

    def test_where_keys_are_to_change_is_the_long_way(self) -> None:
        key, into = new_key("C"), [b"before"]
        key.sequence = key.until = 5
        assert key.seal_data(b"a", into) is False
        assert (into, key.sequence) == ([b"before"], 5)

    @pytest.mark.parametrize("size", [1, 100, 2**13, 2**14])
    @pytest.mark.parametrize("padding", [0, 1])
    def test_one_record_gives_its_event(self, size: int, padding: int) -> None:
        content = bytes(size - 1) + b"a"
        key = new_key("C", limit=size + 1 + padding)
        events = key.open_event(sealed(content + b"\x17" + bytes(padding)), DataReceived)
        assert events == [DataReceived(content)]
        assert key.sequence == 1

    @pytest.mark.parametrize(
        "kind", [bytearray, memoryview, lambda data: memoryview(b"." + data)[1:]]
    )
    def test_one_record_of_any_buffer_gives_its_event(self, kind: Callable[[bytes], Any]) -> None:
        events = new_key("C").open_event(kind(sealed(b"abc\x17")), DataReceived)
        assert events == [DataReceived(b"abc")]
        assert type(events[0].data) is bytes

    def test_what_is_not_one_record_gives_none(self) -> None:
        record = sealed(b"abc\x17")
        others: list[Any] = [record[:cut] for cut in range(len(record))]
        others += [record + b"\x17", record + record, bytearray(record)[:-1], None, "text"]
        others += [memoryview(record)[1:], memoryview(record)[::2]]
        others += [
            sealed(inner) for inner in (b"\x17", b"", b"ab\x15", b"abc\0", b"\x17\0", b"\0\0")
        ]
        key = new_key("C")
        for other in others:
            assert key.open_event(other, DataReceived) is None
        assert key.sequence == 0

    def test_only_a_plain_class_is_an_event(self) -> None:
        key = new_key("C")
        for event_type in (int, dict, "DataReceived", None):
            with pytest.raises(TypeError):
                key.open_event(sealed(b"abc\x17"), event_type)
        with pytest.raises(AttributeError):
            key.open_event(sealed(b"abc\x17"), object)

    def test_a_key_that_was_not_initialized_does_nothing(self) -> None:
        key = record_key().__new__(record_key())
        assert key.seal_data(b"a", []) is False
        key.limit = key.until = 100
        calls: list[Callable[[], Any]] = [
            lambda: key.seal_data(b"a", []),
            lambda: key.seal_many(23, b"a", 10),
            lambda: key.open_data(sealed(b"a\x17")),
            lambda: key.open_event(sealed(b"a\x17"), DataReceived),
        ]
        for call in calls:
            with pytest.raises(ValueError, match="initialized"):
                call()

    def test_wrong_arguments(self) -> None:
        keys = keys_of()
        key, aead = new_key("C"), keys.suite.aead(keys.key)
        wrong: list[tuple[type[Exception], Callable[[], Any]]] = [
            (ValueError, lambda: record_key()(aead, bytes(11), 1)),
            (AttributeError, lambda: record_key()(object(), bytes(12), 1)),
            (TypeError, lambda: record_key()(aead)),
            (ValueError, lambda: key.__init__(aead, bytes(12), 1)),
            (OverflowError, lambda: key.seal_many(256, b"a", 10)),
            (ValueError, lambda: key.seal_many(23, b"a", 0)),
            (OverflowError, lambda: key.seal_many(23, b"a", 2**16)),
            (TypeError, lambda: key.seal_many(23, "a", 10)),
            (TypeError, lambda: key.seal_data(b"a")),
            (TypeError, lambda: key.seal_data(b"a", ())),
            (TypeError, lambda: key.open_data(None)),
            (BufferError, lambda: key.open_data(memoryview(bytes(100))[::2])),
        ]
        for error, call in wrong:
            with pytest.raises(error):
                call()
        assert key.sequence == 0


class _Aead:
    """An AEAD with bad manners, which only a test has."""

    def __init__(self, manners: Callable[..., Any]) -> None:
        self.manners = manners
        self.kept: list[Any] = []

    def encrypt_into(self, *given: Any) -> Any:
        self.kept += given
        return self.manners(*given)

    decrypt_into = encrypt_into


class TestMemory:
    """Whatever an AEAD does with what it is given, no memory is read or written that is not its."""

    def test_what_an_aead_keeps_stays_as_it_is(self) -> None:
        aead = _Aead(lambda nonce, data, header, into: len(memoryview(into)))
        key = record_key()(aead, bytes(12), 100)
        records = [bytes(key.seal_many(23, bytes([number]) * 20, 10)) for number in range(20)]
        nonces = [bytes(each) for each in aead.kept[::4]]
        assert nonces == [number.to_bytes(12, "big") for number in range(40)]
        contents = [bytes(each) for each in aead.kept[1::4]]
        assert contents[1::2] == [bytes([number]) * 10 + b"\x17" for number in range(20)]
        headers = [bytes(each) for each in aead.kept[2::4]]
        assert headers == [b"\x17\x03\x03\0\x1b"] * 40
        assert [bytes(each) for each in aead.kept[3::8]] == [each[5:32] for each in records]
        for read in aead.kept[1::4] + aead.kept[2::4]:
            assert memoryview(read).readonly

    def test_what_is_not_written_is_not_sent(self) -> None:
        for answer in (0, 26, 28, -1, 2**70, None):
            aead = _Aead(lambda *_, answer=answer: answer)
            key = record_key()(aead, bytes(12), 100)
            with pytest.raises((ValueError, TypeError, OverflowError)):
                key.seal_data(bytes(10), [])
            assert key.sequence == 1  # Its nonce may have been used.
            assert key.open_data(sealed(b"abc\x17")) == (b"", 0)

    def test_a_buffer_that_changes_meanwhile(self) -> None:
        """What was ten small records is a large one, for which there is no room."""
        small, large = bytes([23, 3, 3, 0, 18]) + bytes(18), bytes([23, 3, 3, 0, 200]) + bytes(200)
        data = bytearray(small * 10)

        def replaced(nonce: Any, body: Any, header: Any, into: Any) -> int:
            size = len(memoryview(into))
            memoryview(into)[:] = b"a" * (size - 1) + b"\x17"
            data[23 : 23 + len(large)] = large
            return size

        key = record_key()(_Aead(replaced), bytes(12), 2**14)
        assert key.open_data(data) == (b"a", 23)

    def test_a_buffer_cannot_shrink_meanwhile(self) -> None:
        """Nor afterwards, as long as the AEAD has a part of it."""
        data = bytearray(sealed(b"abc\x17"))
        aead = _Aead(lambda *_: data.clear())
        key = record_key()(aead, bytes(12), 2**14)
        assert key.open_data(data) == (b"", 0)
        assert all(memoryview(read).readonly for read in aead.kept[1:3])
        with pytest.raises(BufferError):
            data.clear()
        aead.kept.clear()
        data.clear()

    def test_contents_end_as_bytes_do(self) -> None:
        # `int` reads up to the NUL behind them, where a content type stood.
        content, _ = new_key("C").open_data(sealed(b"12\x17"))
        assert int(content) == 12

    def test_an_interrupt_is_not_swallowed(self) -> None:
        def interrupted(*_: Any) -> None:
            raise KeyboardInterrupt

        key = record_key()(_Aead(interrupted), bytes(12), 100)
        with pytest.raises(KeyboardInterrupt):
            key.open_data(sealed(b"abc\x17"))
        with pytest.raises(KeyboardInterrupt):
            key.open_event(sealed(b"abc\x17"), DataReceived)
        assert key.sequence == 0

    def test_a_key_within_a_call_of_its_own(self) -> None:
        """Each call has a number of its own, and what is in use by one is not used by another."""
        inside: list[bytes] = []

        def again(nonce: Any, data: Any, header: Any, into: Any) -> int:
            if len(inside) < 3:
                inside.append(b"")
                inside[-1] = key.seal_many(23, bytes(5), 5)
            return len(memoryview(into))

        aead = _Aead(again)
        key = record_key()(aead, bytes(12), 100)
        key.seal_many(23, bytes(5), 5)
        assert key.sequence == 4
        assert sorted(bytes(each)[-1] for each in aead.kept[::4]) == [0, 1, 2, 3]


def _everything(number: int) -> None:
    """Each call once, also those that fail."""
    key, into = new_key("C"), list[Any]()
    key.sequence = number
    record = sealed(bytes(number % 2000) + b"a\x17", number)
    key.seal_data(bytes(1 + number % 2000), into)
    key.seal_many(23, memoryview(bytes(5000)), 1000)
    for data in (record, record[:-1] + b"x", record + record, bytearray(record), b"", record[:9]):
        key.sequence = number
        key.open_data(data)
        key.sequence = number
        key.open_event(data, DataReceived)
    wrong: list[Callable[[], Any]] = [
        lambda: key.seal_data(b"a", None),
        lambda: key.seal_many(23, "a", 1),
        lambda: key.seal_many(23, bytes(2**16), 2**16),
        lambda: key.open_data(None),
        lambda: key.open_event(record, int),
        lambda: key.__init__(None, None, None),
    ]
    for call in wrong:
        with pytest.raises((TypeError, ValueError, OverflowError)):
            call()
    key.sequence = SEQUENCE_END
    with pytest.raises(ProtocolError):
        key.seal_many(23, b"a", 1)


class TestLeaks:
    """Every reference that is taken is given back."""

    def test_of_any_call(self) -> None:
        shared = (None, True, False, DataReceived, int, record_key())
        for number in range(300):
            _everything(number)
        gc.collect()
        before = sys.getallocatedblocks(), [sys.getrefcount(each) for each in shared]
        for number in range(300, 1300):
            _everything(number)
        gc.collect()
        blocks, counts = sys.getallocatedblocks(), [sys.getrefcount(each) for each in shared]
        # A leak of one reference or object in any of the calls would be a thousand.
        assert blocks - before[0] < 500
        # From 3.12 on some of these are immortal: their counts say nothing, and do not change.
        assert all(abs(a - b) < 500 for a, b in zip(counts, before[1], strict=True))

    @pytest.mark.long
    def test_of_a_million_records(self) -> None:
        seals, opens, into = new_key("C"), new_key("C"), list[bytes]()
        data = bytes(100)
        blocks: list[int] = []
        for count in (1000, 1_000_000):
            for _ in range(count):
                seals.seal_data(data, into)
                (event,) = opens.open_event(into.pop(), DataReceived)
            assert event.data == data
            blocks.append(sys.getallocatedblocks())
        assert opens.sequence == 1_001_000
        assert abs(blocks[1] - blocks[0]) < 100
        assert sys.getrefcount(data) < 10


# Streams of records, good and bad, as both forms see them


@st.composite
def streams(draw: st.DrawFn) -> tuple[bytes, int, int]:
    """Bytes that are mostly records, the first number, and the limit."""
    limit = draw(st.sampled_from([3, 64, 300, MAX_INNER_PLAINTEXT]))
    first = number = draw(st.sampled_from([0, 1, 255, 2**32 - 1, 2**63, SEQUENCE_END - 2]))
    parts: list[bytes] = []
    for _ in range(draw(st.integers(0, 6))):
        content = draw(st.binary(max_size=400))
        kind = draw(st.sampled_from([b"\x17", b"\x17", b"\x17", b"\x16", b"\x15", b"\0", b""]))
        padding = bytes(draw(st.sampled_from([0, 0, 0, 1, 40])))
        record = bytearray(sealed(content + kind + padding, number % 2**64))
        if draw(st.integers(0, 9)) == 0:
            record[draw(st.integers(0, len(record) - 1))] ^= draw(st.integers(1, 255))
        if draw(st.integers(0, 9)) == 0:
            del record[draw(st.integers(0, len(record))) :]
        parts.append(bytes(record))
        number += draw(st.integers(0, 9)) != 0
    return b"".join(parts), first, limit


@settings(max_examples=300, deadline=None)
@given(streams(), st.sampled_from([bytes, bytearray, memoryview]), st.integers(0, 8))
def test_both_forms_open_the_same(
    stream: tuple[bytes, int, int], kind: Callable[[bytes], Buffer], most: int
) -> None:
    data, first, limit = stream
    results = []
    for form in ("Python", "C"):
        key = new_key(form, limit=limit)
        key.sequence = first
        key.until = min(first + most, SEQUENCE_END)
        results.append((key.open_data(kind(data)), key.sequence))
    assert results[0] == results[1]


@suites
@settings(max_examples=30, deadline=None)
@given(
    content=st.binary(max_size=2000),
    content_type=st.integers(0, 255),
    size=st.integers(1, 700),
    first=st.sampled_from([0, 1, 255, 2**32 - 1, 2**63, SEQUENCE_END - 2]),
)
def test_both_forms_seal_the_same(
    suite: CipherSuite, content: bytes, content_type: int, size: int, first: int
) -> None:
    results: list[object] = []
    for form in ("Python", "C"):
        key = new_key(form, suite)
        key.sequence = first
        try:
            result: object = bytes(key.seal_many(content_type, content, size))
        except ProtocolError as error:
            result = error.fault
        results.append((result, key.sequence))
    assert results[0] == results[1]
