"""Values compare and hash by their content; that nobody changes them is for the type checkers."""

from __future__ import annotations

from dataclasses import field, replace

import pytest

from handclasp.values import value


@value(frozen=True, slots=True)
class Point:
    x: int
    y: int
    seen: bytes = field(default=b"", compare=False, repr=False)


def test_equal_values_are_one_key() -> None:
    assert Point(1, 2, b"a") == Point(1, 2, b"b") != Point(2, 1)
    assert len({Point(1, 2, b"a"), Point(1, 2, b"b"), Point(2, 1)}) == 2
    assert replace(Point(1, 2), y=3) == Point(1, 3)


def test_no_field_is_added() -> None:
    with pytest.raises(AttributeError):
        Point(1, 2).z = 3  # type: ignore[attr-defined]


def test_it_says_what_it_is() -> None:
    """Whoever reads `@value(...)` reads the options that the type checkers see."""
    for options in ({"frozen": False, "slots": True}, {"frozen": True, "slots": False}):
        with pytest.raises(TypeError, match="frozen"):
            value(**options)
