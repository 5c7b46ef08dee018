"""Values compare and hash by their content; that nobody changes them is for the type checkers."""

from __future__ import annotations

import pytest

from handclasp.values import field, replace, value


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


@value(frozen=True, slots=True)
class MessageContext(Point):
    name: str = ""


@value(frozen=True, slots=True)
class Nothing:
    pass


@value(frozen=True, slots=True, repr=False, eq=False)
class Own:
    x: int

    def __repr__(self) -> str:
        return "my own"


def test_all_fields_count_and_the_class_does() -> None:
    assert (
        MessageContext(1, 2, name="a")
        == MessageContext(1, 2, name="a")
        != MessageContext(1, 2, name="b")
    )
    assert MessageContext(1, 2) != Point(1, 2)
    pair: object = (1, 2)
    assert Point(1, 2) != pair
    assert Nothing() == Nothing()
    assert hash(Nothing()) == hash(Nothing())
    assert Own(1) != Own(1)


def test_what_it_shows() -> None:
    assert repr(MessageContext(1, 2, b"secret", "a")) == "MessageContext(x=1, y=2, name='a')"
    assert repr(Nothing()) == "Nothing()"
    assert repr(Own(1)) == "my own"


def test_a_method_of_its_own_stays() -> None:
    @value(frozen=True, slots=True)
    class Folded:
        name: str

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Folded) and self.name.lower() == other.name.lower()

        def __hash__(self) -> int:
            return hash(self.name.lower())

        def __repr__(self) -> str:
            return self.name

    assert Folded("A") == Folded("a")
    assert len({Folded("A"), Folded("a")}) == 1
    assert repr(Folded("A")) == "A"
