"""Async functions and awaitables, and hooks that must answer at once and so cannot be either.

A leaf, so that whatever takes a hook can check it when it is given. Where the kind of an answer
shows at the call alone, `handshake.hooks` checks it there.

`inspect` takes as long to import as thirty modules of this library, so it is asked only about
callables that are rare.
"""

from __future__ import annotations

from collections.abc import Awaitable
from functools import partial
from types import (
    BuiltinFunctionType,
    CoroutineType,
    FunctionType,
    GeneratorType,
    MethodType,
    MethodWrapperType,
    WrapperDescriptorType,
)
from typing import TYPE_CHECKING, Any

from handclasp.errors import ConfigurationError, shown

if TYPE_CHECKING:
    from typing import TypeGuard

_CO_COROUTINE = 0x80
_CO_ITERABLE_COROUTINE = 0x100
_CO_ASYNC_GENERATOR = 0x200
_NEVER_ASYNC = (BuiltinFunctionType, MethodWrapperType, WrapperDescriptorType, type, type(None))


def is_coroutine(value: object) -> TypeGuard[CoroutineType[Any, Any, Any]]:
    """Return whether a value comes from a call of an async function, and can be closed."""
    return isinstance(value, CoroutineType)


def is_awaitable(value: object) -> TypeGuard[Awaitable[Any]]:
    """Return whether `await` takes a value, as `inspect.isawaitable` does."""
    if isinstance(value, GeneratorType):  # One of `types.coroutine`.
        return bool(value.gi_code.co_flags & _CO_ITERABLE_COROUTINE)
    return isinstance(value, CoroutineType | Awaitable)


def is_async_function(function: object) -> bool:
    """Return whether a call gives a coroutine or an async generator, as `inspect` says it."""
    while isinstance(function, partial):
        function = function.func
    if isinstance(function, _NEVER_ASYNC):
        return False
    plain = function.__func__ if isinstance(function, MethodType) else function
    if type(plain) is FunctionType and not vars(plain):  # Which may hold a mark, or a wrapper's.
        return bool(plain.__code__.co_flags & (_CO_COROUTINE | _CO_ASYNC_GENERATOR))
    import inspect

    return inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)


def check_synchronous(name: str, hook: Any, instead: str = "") -> None:
    """Refuse a hook that is an async function, where nothing waits for its answer.

    Args:
        name: the name of the hook in the error.
        instead: a sentence of advice, if not the usual one.

    Raises:
        ConfigurationError: it is a coroutine function or an async generator, or an object whose
            `__call__` is.
    """
    if hook is None or not callable(hook):
        return
    if any(
        is_async_function(each)
        for each in (hook, getattr(type(hook), "__call__", None))  # noqa: B004
    ):
        advice = instead or "Do in a task of your own what takes long, and return its result here."
        raise ConfigurationError(f"{name} must answer at once, and is an async function. {advice}")


def check_clock(clock: object, gives: str = "seconds since 1970") -> None:
    """Refuse a clock that cannot be read: nothing asks it before a peer is there.

    Args:
        gives: what it gives, in the error.

    Raises:
        ConfigurationError: it cannot be called, or is an async function.
    """
    if not callable(clock):
        raise ConfigurationError(
            f"clock must be a function that gives {gives}, not {shown(clock)}."
        )
    check_synchronous("clock", clock)
