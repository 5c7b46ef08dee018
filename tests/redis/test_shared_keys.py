"""Entries, and who seals with which key when: without Redis, and without a clock."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handclasp.errors import ConfigurationError
from handclasp.redis.shared_keys import (
    SharedKey,
    Wrapping,
    is_over,
    make_key,
    next_start,
    read_entry,
    view_at,
    write_entry,
)

HOUR = 3_600_000
WRAPPING = Wrapping(bytes(range(32)))
FORMS = pytest.mark.parametrize("wrapping", [None, WRAPPING], ids=["plain", "wrapped"])


def key_at(seals_from: int, rotation: int = HOUR, lifetime: int = HOUR) -> SharedKey:
    return make_key(seals_from, rotation, lifetime)


@FORMS
def test_entries_come_back(wrapping: Wrapping | None) -> None:
    key = key_at(1_700_000_000_123)
    value = write_entry(key, wrapping)
    assert value.isascii()
    assert read_entry(key.name, value, wrapping) == key
    assert key.ticket_key.seals_from == 1_700_000_000.123
    assert key.ticket_key.opens_until == 1_700_000_000.123 + 7200


def test_what_is_wrapped_does_not_show_the_key() -> None:
    key = key_at(0)
    assert key.ticket_key.key.hex() in write_entry(key, None)
    assert key.ticket_key.key.hex() not in write_entry(key, WRAPPING)
    assert write_entry(key, WRAPPING) != write_entry(key, WRAPPING)


@FORMS
def test_only_the_own_kind_of_entry_counts(wrapping: Wrapping | None) -> None:
    key = key_at(0)
    for other in (None, WRAPPING, Wrapping(os.urandom(32))):
        if other is not wrapping:
            assert read_entry(key.name, write_entry(key, other), wrapping) is None


def test_every_bit_of_what_is_wrapped_is_authenticated() -> None:
    key = key_at(1_700_000_000_000)
    value = bytes.fromhex(write_entry(key, WRAPPING))
    for at in range(8 * len(value)):
        changed = bytearray(value)
        changed[at // 8] ^= 1 << at % 8
        assert read_entry(key.name, changed.hex(), WRAPPING) is None
    assert read_entry(os.urandom(8).hex(), value.hex(), WRAPPING) is None


@FORMS
def test_broken_entries_are_none(wrapping: Wrapping | None) -> None:
    key = key_at(0)
    value = write_entry(key, wrapping)
    for name in (None, "", "zz", key.name[2:], key.name + "00"):
        assert read_entry(name, value, wrapping) is None
    for broken in (None, "", "zz", value[:-2], value + "00", "03" + value[2:], "{}", "0" * 9999):
        assert read_entry(key.name, broken, wrapping) is None
        assert not is_over(broken, 2**63) or broken in (value[:-2], value + "00")


@FORMS
@pytest.mark.parametrize("times", [(5, 5, 9), (9, 5, 10), (0, 9, 5), (0, 1, 2**53)])
def test_times_without_sense_are_none(
    wrapping: Wrapping | None, times: tuple[int, int, int]
) -> None:
    broken = SharedKey(key_at(0).ticket_key, *times)
    assert read_entry(broken.name, write_entry(broken, wrapping), wrapping) is None


@given(st.text(), st.text(alphabet="0123456789abcdef"))
def test_nothing_in_redis_raises(name: str, value: str) -> None:
    for wrapping in (None, WRAPPING):
        read_entry(name, value, wrapping)
        read_entry("00" * 8, value, wrapping)
    is_over(value, 0)


@FORMS
def test_everybody_sees_what_is_over(wrapping: Wrapping | None) -> None:
    value = write_entry(key_at(0), wrapping)
    assert not is_over(value, 2 * HOUR - 1)
    assert is_over(value, 2 * HOUR)


@pytest.mark.parametrize("key", [b"", bytes(16), bytes(33), "0" * 32])
def test_wrapping_keys_have_32_bytes(key: bytes) -> None:
    with pytest.raises(ConfigurationError, match="32 random bytes"):
        Wrapping(key)


# Rotation


def start(keys: list[SharedKey], now: int) -> int | None:
    return next_start(keys, now, soon=now + 10_000, ahead=now + HOUR // 2)


def test_the_first_key_seals_at_once() -> None:
    assert start([], 123) == 123


def test_the_next_key_is_made_half_a_rotation_ahead() -> None:
    keys = [key_at(0)]
    assert start(keys, HOUR // 2 - 1) is None
    assert start(keys, HOUR // 2) == HOUR
    keys.append(key_at(HOUR))
    assert start(keys, HOUR // 2) is None
    assert start(keys, HOUR) is None


def test_a_late_key_gives_servers_time_to_hear_of_it() -> None:
    keys = [key_at(0)]
    assert start(keys, HOUR - 3_000) == HOUR + 7_000
    keys.append(key_at(HOUR + 7_000))
    # The gap between the two is not filled by yet another one, nor ever again.
    for now in range(HOUR - 3_000, HOUR + 20_000, 500):
        assert start(keys, now) is None


def test_where_nobody_seals_a_key_begins_at_once() -> None:
    assert start([key_at(0)], HOUR) == HOUR
    # Somebody's clock was wrong: this key helps nobody for a day.
    assert start([key_at(24 * HOUR)], 0) == 0


@given(
    st.lists(st.integers(0, 10 * HOUR), max_size=8),
    st.integers(0, 10 * HOUR),
    st.integers(4, HOUR),
)
def test_one_more_key_is_always_enough(starts: list[int], now: int, rotation: int) -> None:
    keys = [key_at(each, rotation) for each in starts]
    soon, ahead = now + rotation // 4, now + rotation // 2
    for _ in range(len(starts) + 3):
        fresh = next_start(keys, now, soon=soon, ahead=ahead)
        if fresh is None:
            break
        assert fresh == now or soon <= fresh <= ahead
        assert not any(key.seals_at(fresh) for key in keys)
        keys.append(key_at(fresh, rotation))
    assert next_start(keys, now, soon=soon, ahead=ahead) is None
    assert any(key.seals_at(soon) for key in keys)


def test_the_key_that_seals_stands_first() -> None:
    old, now_sealing, coming = key_at(0), key_at(HOUR), key_at(2 * HOUR)
    known = (coming, old, now_sealing)
    view = view_at(known, HOUR + 5)
    assert view.sealing is now_sealing
    assert list(view.keys) == [key.ticket_key for key in (now_sealing, coming, old)]
    assert (view.since, view.until) == (HOUR + 5, 2 * HOUR)
    later = view_at(known, 2 * HOUR)
    assert list(later.keys) == [key.ticket_key for key in (coming, now_sealing)]
    assert later.keys


def test_of_two_keys_that_seal_all_servers_take_the_same() -> None:
    keys = [key_at(0), key_at(0)]
    assert view_at(tuple(keys), 5).sealing is view_at(tuple(reversed(keys)), 5).sealing


def test_where_none_seals_the_others_still_open() -> None:
    key = key_at(0)
    view = view_at((key,), HOUR)
    assert view.sealing is None
    assert not view.keys
    assert list(view.keys) == [key.ticket_key]
    assert list(view_at((key,), 2 * HOUR).keys) == []


def test_of_two_that_seal_the_one_that_has_sealed_longest_does() -> None:
    """A newer one is of a server that found Redis empty; not all servers have heard of it yet."""
    old, new = key_at(0), key_at(HOUR // 2)
    for known in ((old, new), (new, old)):
        view = view_at(known, HOUR // 2 + 1)
        assert view.sealing is old
        assert list(view.keys) == [old.ticket_key, new.ticket_key]
        assert view_at(known, HOUR).sealing is new
