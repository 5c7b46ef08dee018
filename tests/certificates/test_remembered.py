"""The memory of verified chains: bounded, and never past the dates."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from handclasp.certificates.remembered import CAPACITY, MOST_BYTES, RememberedChains

FROM = datetime(2026, 1, 1, tzinfo=UTC)
TO = datetime(2026, 2, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def test_recalls_within_the_dates_only() -> None:
    memory: RememberedChains[str] = RememberedChains()
    memory.remember("key", "proof", FROM, TO)
    for now, expected in (
        (FROM - SECOND, None),
        (FROM, "proof"),
        (TO, "proof"),
        (TO + SECOND, None),
        (FROM, "proof"),
    ):
        assert memory.recall("key", now) == expected
    assert memory.recall("other", FROM) is None


def test_forgets_what_was_used_least_recently() -> None:
    memory: RememberedChains[int] = RememberedChains(capacity=2)
    memory.remember("a", 1, FROM, TO)
    memory.remember("b", 2, FROM, TO)
    assert memory.recall("a", FROM) == 1
    memory.remember("c", 3, FROM, TO)
    assert [memory.recall(key, FROM) for key in "abc"] == [1, None, 3]


def test_is_bounded() -> None:
    memory: RememberedChains[int] = RememberedChains()
    for number in range(2 * CAPACITY):
        memory.remember(number, number, FROM, TO)
    assert len(memory) == CAPACITY == 256


def test_is_bounded_in_bytes() -> None:
    memory: RememberedChains[int] = RememberedChains()
    for number in range(CAPACITY):
        memory.remember(number, number, FROM, TO, size=MOST_BYTES // 4)
        memory.remember(number, number, FROM, TO, size=MOST_BYTES // 4)
    assert [memory.recall(number, FROM) for number in range(CAPACITY)][-5:] == [
        None,
        *range(CAPACITY - 4, CAPACITY),
    ]
    assert len(memory) == 4


def test_the_newest_entry_for_a_key_counts() -> None:
    memory: RememberedChains[int] = RememberedChains()
    memory.remember("a", 1, FROM, TO)
    memory.remember("a", 2, FROM, TO)
    assert memory.recall("a", FROM) == 2
    assert len(memory) == 1
