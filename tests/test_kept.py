"""A memory that is bounded in bytes."""

from __future__ import annotations

from handclasp.kept import Kept


def test_what_was_kept_first_goes_first() -> None:
    kept: Kept[str, int] = Kept(100)
    for number, key in enumerate("abc"):
        kept.keep(key, number, 40)
    assert [kept.get(key) for key in "abc"] == [None, 1, 2]
    assert kept.size == 80


def test_what_is_larger_than_all_of_it_is_passed_over() -> None:
    kept: Kept[str, int] = Kept(100)
    kept.keep("a", 1, 100)
    kept.keep("b", 2, 101)
    assert (kept.get("a"), kept.get("b"), len(kept)) == (1, None, 1)


def test_what_is_here_already_stays_and_counts_once() -> None:
    kept: Kept[str, int] = Kept(100)
    kept.keep("a", 1, 60)
    kept.keep("a", 2, 60)
    assert (kept.get("a"), kept.size) == (1, 60)
