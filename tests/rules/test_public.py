"""The public surface: its hints can be read, and what it hands out can be named."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest
from tests.rules.test_imports import PUBLIC_MODULES

import handclasp
from handclasp import SessionStore

MODULES = (
    "handclasp.aio",
    "handclasp.asgi",
    "handclasp.compat",
    "handclasp.trio",
    "handclasp.metrics",
    "handclasp.redis",
    *(f"handclasp.{name}" for name in PUBLIC_MODULES),
)

SPECIAL = ("__init__", "__call__", "__enter__", "__iter__", "__aenter__", "__aiter__")

INSIDE = {
    # Of classes and functions that the library alone calls.
    "LoopAcceptor",
    "Advised",
    "ConnectionRegistry",
    "DerivedKeyAead",
    "EarlyData",
    "Pump",
    "RevocationList",
    "Seen",
    "Situation",
    "Timestamp",
    "Verdict",
    # Of attributes that no user sets.
    "Derived",
}


def names_of(module: ModuleType) -> list[str]:
    """What a module offers: its `__all__`, or what is defined in it."""
    offered = getattr(module, "__all__", None)
    if offered is not None:
        return list(offered)
    return [
        name
        for name, thing in vars(module).items()
        if not name.startswith("_") and getattr(thing, "__module__", None) == module.__name__
    ]


@cache
def public_things() -> dict[str, Any]:
    """Every public class and function, by the name that it is imported by."""
    found: dict[str, Any] = {}
    for module in (handclasp, *map(import_module, MODULES)):
        for name in names_of(module):
            thing = getattr(module, name)
            if inspect.isclass(thing) or inspect.isfunction(thing):
                found.setdefault(f"{module.__name__}.{name}", thing)
    return found


def members_of(thing: Any) -> Iterator[Callable[..., Any]]:
    """A function, or a class with its methods and properties."""
    yield thing
    if not inspect.isclass(thing):
        return
    for name in dir(thing):
        if name.startswith("_") and name not in SPECIAL:
            continue
        member = inspect.getattr_static(thing, name)
        for each in (member, *(getattr(member, kind, None) for kind in ("fget", "fset"))):
            function = getattr(each, "__func__", getattr(each, "func", each))
            # What is inherited from other packages has hints of theirs.
            if inspect.isfunction(function) and function.__module__.startswith("handclasp"):
                yield function


@pytest.mark.parametrize("name", public_things())
def test_hints_can_be_read(name: str) -> None:
    for member in members_of(public_things()[name]):
        typing.get_type_hints(member)


def classes_in(hint: Any) -> Iterator[type]:
    """The classes that a hint names, in whatever it is made of."""
    if isinstance(hint, type):
        yield hint
    for part in typing.get_args(hint):
        yield from (
            each for one in (part if isinstance(part, list) else [part]) for each in classes_in(one)
        )


def test_what_is_handed_out_can_be_imported() -> None:
    public = {getattr(handclasp, name) for name in handclasp.__all__ if name != "DEFER"}
    for module in (handclasp.aio, handclasp.trio):
        public |= {getattr(module, name) for name in module.__all__}
    handed = {
        kind
        for thing in public
        if inspect.isclass(thing) or inspect.isfunction(thing)
        for member in members_of(thing)
        for hint in typing.get_type_hints(member).values()
        for kind in classes_in(hint)
        # The events of a trace are many, and have a public module of their own.
        if kind.__module__.startswith("handclasp.") and kind.__module__ != "handclasp.trace.events"
    }
    unnamed = {kind.__name__ for kind in handed - public if not kind.__name__.startswith("_")}
    assert unnamed == INSIDE


def test_what_is_needed_later_is_there_and_listed() -> None:
    assert set(handclasp.__all__) <= set(dir(handclasp))
    for name in handclasp.__all__:
        assert getattr(handclasp, name) is not None


def test_a_store_in_a_file_is_a_store(tmp_path: Any) -> None:
    assert isinstance(SessionStore.file(tmp_path / "sessions"), SessionStore)
