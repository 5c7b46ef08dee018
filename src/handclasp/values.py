"""Classes that are made of fields: the dataclasses of this library.

`dataclass`, `field`, `fields` and `replace` are those of the module `dataclasses` to type checkers.
To the interpreter they are those below, for two reasons. `dataclasses` writes and compiles the
source of up to six methods for each class, and imports `inspect`: that took 40 % of the time in
which this library was imported. Here classes share their methods, and the code of `__init__` is
compiled once for all classes that have as many fields, and renamed for each (PEP 557 classes are
otherwise alike; `tests/test_values.py` compares them with those of the standard library).

A class made here is a dataclass to everybody else: `dataclasses.fields`, `replace`, `asdict` and
`is_dataclass` take it, and a dataclass may inherit from it. It always has slots.

`@value(frozen=True, slots=True)` is frozen for the type checkers alone, which refuse every
assignment to a field. A frozen object sets each field by a call of `object.__setattr__`, and a
handshake makes some eighty values of six fields each. Objects that users get (configs, events, a
connection's facts) are really frozen.
"""

from __future__ import annotations

import sys
from functools import lru_cache, partial
from operator import attrgetter
from types import CellType, CodeType, FunctionType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from dataclasses import MISSING, dataclass, field, fields, replace
    from dataclasses import dataclass as value

__all__ = ["MISSING", "dataclass", "field", "fields", "replace", "value"]


class _Sentinel:
    __slots__ = ("_shown",)

    def __init__(self, shown: str) -> None:
        self._shown = shown

    def __repr__(self) -> str:
        return self._shown


_MISSING: Any = _Sentinel("<missing>")
_FROM_FACTORY: Any = _Sentinel("<factory>")
"""The default value of an argument whose field has a `default_factory`."""


class _Field:
    """One field of a class; the attributes are those of `dataclasses.Field`.

    Attributes:
        stored: False for an `InitVar`, which only `__post_init__` gets.
        kind: what `__init__` does with it: a key of `_STATEMENTS`, v (passes it to
            `__post_init__`) or - (nothing).
        optional: whether its argument may be left out.
    """

    __slots__ = (
        "compare",
        "default",
        "default_factory",
        "init",
        "kind",
        "kw_only",
        "name",
        "optional",
        "repr",
        "stored",
        "type",
    )

    def __init__(
        self,
        *,
        default: Any = _MISSING,
        default_factory: Any = _MISSING,
        init: bool = True,
        repr: bool = True,  # noqa: A002
        compare: bool = True,
        kw_only: bool = False,
    ) -> None:
        if default is not _MISSING and default_factory is not _MISSING:
            raise ValueError("A field has a default or a default_factory, not both.")
        self.name = self.type = ""
        self.optional = default is not _MISSING or default_factory is not _MISSING
        self.default = default
        self.default_factory = default_factory
        self.init = init
        self.repr = repr
        self.compare = compare
        self.kw_only = kw_only
        self.stored = True
        if default_factory is not _MISSING:
            self.kind = "f" if init else "m"
        else:
            self.kind = "a" if init else "-" if default is _MISSING else "d"


_OPTIONS = {"init": True, "repr": True, "eq": True, "kw_only": False}


def _define(cls: type, *, frozen: bool, hashed: bool, options: dict[str, bool]) -> type:
    """Make the dataclass that `cls` describes.

    Args:
        frozen: refuse assignments.
        hashed: hash by content; objects that can change, and compare by content, have no hash.
        options: `init`, `repr`, `eq` and `kw_only` of the decorator.
    """
    every = _inherited(cls) | _own_fields(cls, kw_only=options["kw_only"])
    found = list(every.values())
    namespace = dict(vars(cls))
    # A class attribute would be in the way of the slot of this name.
    for each in found:
        if each.stored:
            namespace.pop(each.name, None)
    for name in ("__dict__", "__weakref__"):
        namespace.pop(name, None)
    if "__eq__" in namespace and options["eq"] and namespace["__hash__"] is None:
        del namespace["__hash__"]  # The interpreter's, not the author's.
    namespace["__slots__"] = _new_slots(cls, found)
    namespace["__qualname__"] = cls.__qualname__
    namespace["__value_fields__"] = every
    namespace["__value_options__"] = {**options, "frozen": frozen}
    namespace["__dataclass_fields__"] = _LATE_FIELDS
    namespace["__dataclass_params__"] = _LATE_PARAMS
    for name, method in _methods(cls, found, frozen, hashed, options).items():
        namespace.setdefault(name, method)
    made = type(cls)(cls.__name__, cls.__bases__, namespace)
    _mend_super(namespace, made)
    return made


def _mend_super(namespace: dict[str, Any], made: type) -> None:
    """Let `super()` in the methods of a class mean the class with slots, which replaces it."""
    for method in namespace.values():
        if isinstance(method, FunctionType) and "__class__" in method.__code__.co_freevars:
            cells = dict(zip(method.__code__.co_freevars, method.__closure__ or (), strict=True))
            cells["__class__"].cell_contents = made  # All methods of the class share it.
            return


def _inherited(cls: type) -> dict[str, _Field]:
    found: dict[str, _Field] = {}
    for base in reversed(cls.__mro__[1:]):
        found |= vars(base).get("__value_fields__", {})
    return found


def _own_fields(cls: type, *, kw_only: bool) -> dict[str, _Field]:
    found: dict[str, _Field] = {}
    for name, kind in cls.__annotations__.items():
        # The text of a hint, since the modules of this library do not evaluate theirs.
        if kind.startswith("ClassVar"):
            continue
        given = vars(cls).get(name, _MISSING)
        each = given if isinstance(given, _Field) else _Field(default=given)
        if type(each.default).__hash__ is None:
            raise ValueError(f"{cls.__name__}.{name} needs a default_factory: it can change.")
        each.name, each.type = name, kind
        each.kw_only = each.kw_only or kw_only
        if kind.startswith("InitVar"):
            each.stored, each.kind = False, "v"
        found[name] = each
    return found


def _new_slots(cls: type, found: Sequence[_Field]) -> tuple[str, ...]:
    there: set[str] = set()
    for base in cls.__mro__[1:]:
        slots = vars(base).get("__slots__", ())
        there |= {slots} if isinstance(slots, str) else set(slots)
    return tuple([each.name for each in found if each.stored and each.name not in there])


def _methods(
    cls: type, found: Sequence[_Field], frozen: bool, hashed: bool, options: dict[str, bool]
) -> dict[str, Any]:
    stored = [each for each in found if each.stored]
    methods: dict[str, Any] = {"__replace__": _replace}
    methods["__match_args__"] = tuple([e.name for e in found if e.init and not e.kw_only])
    if options["init"]:
        methods["__init__"] = _init(cls, found, frozen)
    if options["repr"]:
        methods["__repr__"] = _repr([each.name for each in stored if each.repr])
    if options["eq"]:
        methods |= _comparing([each.name for each in stored if each.compare], hashed)
    if frozen:
        methods |= _freezing([each.name for each in stored])
    return methods


def _comparing(names: list[str], hashed: bool) -> dict[str, Any]:
    compared: Callable[[Any], Any] = attrgetter(*names) if names else lambda _: ()
    if len(names) == 1:  # of which attrgetter makes no tuple, and tuples compare otherwise
        alone = compared
        compared = lambda self: (alone(self),)  # noqa: E731

    def equal(self: object, other: object) -> Any:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return compared(self) == compared(other)

    def hash_of(self: object) -> int:
        return hash(compared(self))

    return {"__eq__": equal, "__hash__": hash_of if hashed else None}


def _repr(names: list[str]) -> Callable[[object], str]:
    def show(self: object) -> str:
        shown = ", ".join([f"{name}={getattr(self, name)!r}" for name in names])
        return f"{type(self).__qualname__}({shown})"

    return show


def _freezing(names: list[str]) -> dict[str, Any]:
    """Return the methods of frozen objects; pickles of them hold the fields in their order."""

    def set_field(self: object, name: str, value: object) -> None:
        _refuse("assign to", name)

    def delete_field(self: object, name: str) -> None:
        _refuse("delete", name)

    def get_state(self: object) -> list[Any]:
        return [getattr(self, name) for name in names]

    def set_state(self: object, state: Iterable[Any]) -> None:
        for name, each in zip(names, state, strict=True):
            object.__setattr__(self, name, each)

    return {
        "__setattr__": set_field,
        "__delattr__": delete_field,
        "__getstate__": get_state,
        "__setstate__": set_state,
    }


def _refuse(doing: str, name: str) -> None:
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot {doing} field {name!r}")


def _init(cls: type, found: Sequence[_Field], frozen: bool) -> FunctionType:
    """Return `__init__`, from the code that all classes with fields of this kind share."""
    positional = [each for each in found if each.init and not each.kw_only]
    optional = [each.optional for each in positional]
    if optional != sorted(optional):
        raise TypeError(f"A field of {cls.__name__} without a default follows one with a default.")
    arguments = positional + [each for each in found if each.init and each.kw_only]
    found = arguments + [each for each in found if not each.init]
    code = _code("".join([each.kind for each in found]), frozen, hasattr(cls, "__post_init__"))
    names = {f"f{at}": each.name for at, each in enumerate(found)}
    renamed = code.replace(
        co_argcount=1 + len(positional),
        co_kwonlyargcount=len(arguments) - len(positional),
        co_varnames=("self", *[each.name for each in arguments]),
        co_names=tuple([names.get(name, name) for name in code.co_names]),
        co_consts=tuple([names.get(each, each) for each in code.co_consts]),
        co_qualname=f"{cls.__qualname__}.__init__",
    )
    free: dict[str, Any] = {"new": _FROM_FACTORY, "set_field": object.__setattr__}
    defaults: dict[str, Any] = {}
    for at, each in enumerate(found):
        if each.kind in "fmd":
            free[f"given{at}"] = each.default if each.kind == "d" else each.default_factory
        if each.init and each.optional:
            defaults[each.name] = _FROM_FACTORY if each.kind == "f" else each.default
    closure = tuple([CellType(free[name]) for name in code.co_freevars])
    of_positions = tuple([defaults.pop(each.name) for each in positional if each.optional])
    module = vars(sys.modules[cls.__module__])
    init = FunctionType(renamed, module, "__init__", of_positions, closure)
    init.__kwdefaults__ = defaults or None
    init.__annotations__ = {each.name: each.type for each in arguments} | {"return": None}
    return init


_STATEMENTS = {
    "a": "{name}",
    "f": "given{at}() if {name} is new else {name}",
    "m": "given{at}()",
    "d": "given{at}",
}


@lru_cache(maxsize=256)
def _code(kinds: str, frozen: bool, has_post_init: bool) -> CodeType:
    """Return the code of `__init__` for fields of these kinds, under the names f0, f1...

    Its arguments are all positional here, and its free variables are `new`, `set_field`, and
    `given0` for the default or factory of the field f0.
    """
    form = "set_field(self, '{name}', {value})" if frozen else "self.{name} = {value}"
    body = [
        form.format(name=f"f{at}", value=_STATEMENTS[kind].format(name=f"f{at}", at=at))
        for at, kind in enumerate(kinds)
        if kind in _STATEMENTS
    ]
    if has_post_init:
        passed = ", ".join([f"f{at}" for at, kind in enumerate(kinds) if kind == "v"])
        body.append(f"self.__post_init__({passed})")
    arguments = ", ".join(["self", *[f"f{at}" for at, kind in enumerate(kinds) if kind in "afv"]])
    free = [f"given{at}" for at, kind in enumerate(kinds) if kind in "fmd"]
    free += ["set_field"] * frozen + ["new"] * ("f" in kinds)
    source = [f"def outer({', '.join(free)}):", f" def __init__({arguments}):"]
    source += [f"  {line}" for line in body or ["pass"]]
    scope: dict[str, Any] = {}
    exec("\n".join([*source, " return __init__"]), scope)  # noqa: S102
    code: CodeType = scope["outer"](*free).__code__
    return code


class _Late:
    """The notes that `dataclasses` keeps in a class, made when somebody asks for them.

    It is an attribute of each class; the first access replaces it there.
    """

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, instance: object, owner: type) -> Any:
        made_for = next(kind for kind in owner.__mro__ if vars(kind).get(self._name) is self)
        stand_in = _standard(made_for)
        for name in ("__dataclass_fields__", "__dataclass_params__"):
            type.__setattr__(made_for, name, getattr(stand_in, name))
        return getattr(stand_in, self._name)


_LATE_FIELDS = _Late("__dataclass_fields__")
_LATE_PARAMS = _Late("__dataclass_params__")


def _standard(cls: Any) -> type:
    """Make a dataclass of the standard library with the same fields."""
    import dataclasses

    annotations: dict[str, Any] = {}
    namespace: dict[str, Any] = {"__annotations__": annotations, "__module__": cls.__module__}
    for name, each in cls.__value_fields__.items():
        annotations[name] = each.type if each.stored else dataclasses.InitVar[Any]
        chosen = {key: getattr(each, key) for key in ("init", "repr", "compare", "kw_only")}
        for key in ("default", "default_factory"):
            if getattr(each, key) is not _MISSING:
                chosen[key] = getattr(each, key)
        namespace[name] = dataclasses.field(**chosen)
    return dataclasses.dataclass(**cls.__value_options__)(type(cls.__name__, (), namespace))


def _fields(of: Any) -> tuple[_Field, ...]:
    cls = of if isinstance(of, type) else type(of)
    for kind in cls.__mro__:
        if "__value_fields__" in vars(kind):
            return tuple([e for e in vars(kind)["__value_fields__"].values() if e.stored])
        if "__dataclass_fields__" in vars(kind):
            return _standard_fields(kind)
    raise TypeError(f"{cls.__name__} has no fields.")


def _standard_fields(cls: Any) -> tuple[_Field, ...]:
    """Return the fields of a dataclass that an application derived from one of ours."""
    import dataclasses

    found: list[_Field] = []
    for each in dataclasses.fields(cls):
        chosen = {key: getattr(each, key) for key in ("init", "repr", "compare", "kw_only")}
        for key in ("default", "default_factory"):
            if getattr(each, key) is not dataclasses.MISSING:
                chosen[key] = getattr(each, key)
        found.append(_Field(**chosen))
        found[-1].name, found[-1].type = each.name, str(each.type)
    return tuple(found)


def _replace(of: Any, /, **changes: Any) -> Any:
    cls = of.__class__
    own: dict[str, _Field] | None = cls.__dict__.get("__value_fields__")
    for each in _fields(cls) if own is None else own.values():
        name = each.name
        if not each.init:
            if name in changes:
                raise ValueError(f"The field {name} is no argument, and cannot be replaced.")
        elif name not in changes and each.stored:
            changes[name] = getattr(of, name)
    return cls(**changes)


if not TYPE_CHECKING:
    MISSING, field, fields, replace = _MISSING, _Field, _fields, _replace

    class InitVar:
        """An argument that `__post_init__` gets, and no field. It stands in hints alone."""

        def __class_getitem__(cls, kind: Any) -> Any:
            return kind

    def dataclass(*, slots, frozen=False, **options):
        """Return a decorator like `dataclasses.dataclass`; slots must be asked for."""
        if not slots or not options.keys() <= _OPTIONS.keys():
            raise TypeError(
                "A dataclass has slots here, and no options but init, repr, eq, kw_only."
            )
        return partial(_define, frozen=frozen, hashed=frozen, options=_OPTIONS | options)

    def value(*, frozen, slots, **options):
        """Return a decorator like `dataclass`, for classes that only type checkers see frozen."""
        if not (frozen and slots):
            raise TypeError("A value is frozen, and has slots.")
        return partial(_define, frozen=False, hashed=True, options=_OPTIONS | options)
