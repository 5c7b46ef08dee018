"""The dataclasses of this library are alike those of the standard library, but for the import."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
import typing
from collections.abc import Callable
from dataclasses import InitVar
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from handclasp import ClientConfig, PeerClosed, ServerConfig, VerifiedPeer
from handclasp.certificates.policy import CertificatePolicy
from handclasp.info import ConnectionInfo
from handclasp.limits import Limits
from handclasp.values import MISSING, dataclass, field, fields, replace

Define = Callable[..., Any]


def build(dataclass: Define, field: Define) -> dict[str, Any]:
    """Build the same classes by the decorators of one of the two."""

    @dataclass(slots=True)
    class Changing:
        a: int
        b: list[int] = field(default_factory=list[int])
        c: str = field(default="c", repr=False)
        shared: ClassVar[int] = 3

    @dataclass(frozen=True, slots=True)
    class Frozen:
        a: int
        b: bytes = field(default=b"b", repr=False, compare=False)

        def doubled(self) -> int:
            return self.a * 2

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Named(Frozen):
        more: tuple[int, ...] = ()
        made: dict[str, int] = field(default_factory=dict[str, int], compare=False)
        computed: int = field(default=7, init=False)

    @dataclass(frozen=True, slots=True, kw_only=True, eq=False)
    class Parent:
        name: str
        rank: int = 1

    @dataclass(frozen=True, slots=True, eq=False, kw_only=True)
    class Child(Parent):
        rank: int = 2

    @dataclass(frozen=True, slots=True)
    class Checked:
        a: int
        late: int = field(init=False, repr=False)
        seed: InitVar[int] = 5

        def __post_init__(self, seed: int) -> None:
            object.__setattr__(self, "late", self.a + seed)

    @dataclass(frozen=True, slots=True, repr=False, init=False)
    class Own:
        a: int

        def __init__(self, a: int) -> None:
            object.__setattr__(self, "a", a)

        def __repr__(self) -> str:
            return "mine"

        def __eq__(self, other: object) -> bool:
            return True

    @dataclass(slots=True, eq=False)
    class Same:
        a: int = 0

    @dataclass(frozen=True, slots=True)
    class Empty:
        pass

    return {name: each for name, each in locals().items() if inspect.isclass(each)}


OURS = build(dataclass, field)
THEIRS = build(dataclasses.dataclass, dataclasses.field)
ARGUMENTS: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "Changing": ((1,), {"b": [2]}),
    "Frozen": ((1, b"x"), {}),
    "Named": ((1,), {"more": (1, 2)}),
    "Parent": ((), {"name": "n"}),
    "Child": ((), {"name": "n"}),
    "Checked": ((1, 9), {}),
    "Own": ((1,), {}),
    "Same": ((), {}),
    "Empty": ((), {}),
}
both = pytest.mark.parametrize("name", ARGUMENTS)


def made(classes: dict[str, Any], name: str) -> Any:
    positional, named = ARGUMENTS[name]
    return classes[name](*positional, **named)


@both
def test_signature_and_hints_are_equal(name: str) -> None:
    ours, theirs = OURS[name], THEIRS[name]
    assert str(inspect.signature(ours)) == str(inspect.signature(theirs))
    hints = [repr(typing.get_type_hints(each.__init__)) for each in (ours, theirs)]
    assert hints[0] == hints[1]
    assert ours.__init__.__qualname__ == theirs.__init__.__qualname__
    assert ours.__match_args__ == theirs.__match_args__
    assert ours.__slots__ == theirs.__slots__
    assert ours.__qualname__ == theirs.__qualname__


@both
def test_objects_look_and_compare_alike(name: str) -> None:
    ours, theirs = made(OURS, name), made(THEIRS, name)
    assert repr(ours) == repr(theirs)
    assert (ours == made(OURS, name)) is (theirs == made(THEIRS, name))
    assert ours != theirs or name == "Own"
    assert (type(ours).__hash__ is None) is (type(theirs).__hash__ is None)
    if type(ours).__hash__ is not None:
        assert (hash(ours) == hash(made(OURS, name))) is (hash(theirs) == hash(made(THEIRS, name)))


@both
def test_dataclasses_reads_them_alike(name: str) -> None:
    ours, theirs = OURS[name], THEIRS[name]
    assert list(map(described, dataclasses.fields(ours))) == list(
        map(described, dataclasses.fields(theirs))
    )
    assert repr(ours.__dataclass_params__) == repr(theirs.__dataclass_params__)
    assert dataclasses.is_dataclass(ours)
    assert dataclasses.asdict(made(OURS, name)) == dataclasses.asdict(made(THEIRS, name))


@both
def test_our_fields_are_theirs(name: str) -> None:
    assert [(each.name, each.type, each.init, each.repr) for each in fields(OURS[name])] == [
        (each.name, each.type, each.init, each.repr) for each in dataclasses.fields(THEIRS[name])
    ]


def described(each: Any) -> tuple[object, ...]:
    names = ("name", "type", "default", "default_factory", "init", "repr", "compare", "kw_only")
    return tuple(getattr(each, name) for name in names)


@both
def test_copies_are_alike(name: str) -> None:
    ours, theirs = made(OURS, name), made(THEIRS, name)
    for way in (copy.copy, copy.deepcopy, dataclasses.replace, replace):
        if way is replace:
            copied = replace(ours), dataclasses.replace(theirs)
        else:
            copied = way(ours), way(theirs)
        assert [repr(each) for each in copied] == [repr(ours), repr(theirs)]


@both
def test_the_same_arguments_are_refused(name: str) -> None:
    for positional, named in (((), {}), ((1, 2, 3, 4, 5), {}), ((1,), {"name": 1, "odd": 2})):
        said: list[str] = []
        for classes in (OURS, THEIRS):
            try:
                said.append(repr(classes[name](*positional, **named)))
            except TypeError as error:
                said.append(str(error))
        assert said[0] == said[1]


def test_the_frozen_do_not_change() -> None:
    for classes in (OURS, THEIRS):
        frozen = made(classes, "Frozen")
        with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'a'"):
            frozen.a = 2
        with pytest.raises(dataclasses.FrozenInstanceError, match="cannot delete field 'a'"):
            del frozen.a
        assert frozen.a == 1
    with pytest.raises(AttributeError):
        made(OURS, "Frozen").other = 2


def test_each_object_has_its_own_default() -> None:
    assert OURS["Changing"](1).b is not OURS["Changing"](1).b


def test_a_method_may_call_super() -> None:
    @dataclass(frozen=True, slots=True)
    class Number:
        a: int

        def doubled(self) -> int:
            return self.a * 2

    @dataclass(frozen=True, slots=True)
    class Tenfold(Number):
        def doubled(self) -> int:
            return super().doubled() * 10

    assert Tenfold(2).doubled() == 40


@pytest.mark.parametrize(
    "body",
    [
        {"__annotations__": {"a": "int", "b": "int"}, "a": 1},
        {"__annotations__": {"a": "list[int]"}, "a": []},
    ],
)
def test_wrong_classes_are_refused(body: dict[str, Any]) -> None:
    kinds: tuple[Define, ...] = (dataclass, dataclasses.dataclass)
    for define in kinds:
        with pytest.raises((TypeError, ValueError)):
            define(slots=True)(type("Wrong", (), {**body, "__module__": __name__}))


def test_slots_are_said_and_options_known() -> None:
    define: Define = dataclass
    for options in ({"slots": False}, {"slots": True, "order": True}):
        with pytest.raises(TypeError, match="slots"):
            define(**options)
    if not TYPE_CHECKING:
        with pytest.raises(ValueError, match="not both"):
            field(default=1, default_factory=int)


class TestDerived:
    """An application may derive a dataclass of the standard library from ours."""

    @dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
    class MyConfig(ClientConfig):
        """A config with a field of its own."""

        tenant: str
        labels: list[str] = dataclasses.field(default_factory=list)

    def test_every_field_is_known(self) -> None:
        config = self.MyConfig(tenant="a", alpn=["h2"])
        assert [each.name for each in fields(config)][-2:] == ["tenant", "labels"]
        assert fields(config)[-2].default is MISSING
        assert replace(config, alpn=()).tenant == dataclasses.replace(config).tenant == "a"
        assert copy.copy(config).alpn == ("h2",)
        assert "tenant='a'" in repr(config)


@pytest.mark.parametrize("kind", [ClientConfig, ServerConfig, CertificatePolicy, Limits])
def test_public_ones_have_a_signature(kind: Any) -> None:
    parameters = inspect.signature(kind).parameters
    assert list(parameters) == [each.name for each in dataclasses.fields(kind) if each.init]
    assert all(each.kind is each.KEYWORD_ONLY for each in parameters.values()) or kind is Limits


def test_a_config_is_matched_pickled_and_kept() -> None:
    limits = Limits()
    assert pickle.loads(pickle.dumps(limits)) == limits
    assert pickle.loads(pickle.dumps(PeerClosed())) == PeerClosed()
    assert ConnectionInfo.__match_args__
    assert "made_by" not in {each.name for each in dataclasses.fields(VerifiedPeer)}


@pytest.mark.parametrize("maker", [dataclass, dataclasses.dataclass])
def test_one_field_compares_as_several_do(maker: Define) -> None:
    class Plain:
        number: float

    Single: Any = maker(slots=True)(Plain)  # noqa: N806 (a class)
    nan = float("nan")
    assert Single(nan) == Single(nan)  # the same object, as in a tuple
    assert Single(1.0) != Single(2.0)
