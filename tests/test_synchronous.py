"""Async functions and awaitables are told apart as `inspect` does it, without importing it."""

from __future__ import annotations

import functools
import inspect
import subprocess
import sys
import time
import types
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from typing import Any

import pytest

from handclasp import ConfigurationError
from handclasp.synchronous import (
    check_clock,
    check_synchronous,
    is_async_function,
    is_awaitable,
)


def plain() -> None: ...


async def later() -> None: ...


async def stream() -> AsyncIterator[int]:
    yield 1


@types.coroutine
def old_coroutine() -> Generator[None, None, None]:
    yield


@functools.wraps(later)
def wrapper() -> None: ...


class Hook:
    async def method(self) -> None: ...

    def plain_method(self) -> None: ...

    async def __call__(self) -> None: ...


class Pending:
    def __await__(self) -> Generator[None, None, None]:
        yield


CALLABLES: list[Any] = [
    plain,
    later,
    stream,
    old_coroutine,
    wrapper,
    lambda: None,
    Hook,
    Hook().method,
    Hook().plain_method,
    Hook.method,
    Hook(),
    functools.partial(later),
    functools.partial(functools.partial(later), 1),
    functools.partial(Hook().method),
    functools.partial(plain),
    functools.lru_cache(maxsize=1)(plain),
    "".join,
    len,
    object.__repr__,
    "".__len__,
    None,
    3,
]


@pytest.mark.parametrize("function", CALLABLES, ids=lambda each: type(each).__name__)
def test_async_functions_are_those_of_inspect(function: Any) -> None:
    expected = inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)
    assert is_async_function(function) is expected


@pytest.mark.skipif(sys.version_info < (3, 12), reason="There are no marks before Python 3.12.")
def test_a_mark_counts() -> None:
    def marked() -> None: ...

    assert is_async_function(vars(inspect)["markcoroutinefunction"](marked))


@pytest.mark.parametrize(
    "make",
    [plain, later, stream, old_coroutine, Pending, object, lambda: (_ for _ in ())],
    ids=["plain", "coroutine", "stream", "old coroutine", "with __await__", "object", "generator"],
)
def test_awaitables_are_those_of_inspect(make: Callable[[], Any]) -> None:
    value = make()
    assert is_awaitable(value) is inspect.isawaitable(value)
    if isinstance(value, types.CoroutineType):
        value.close()


def test_hooks_that_answer_later_are_refused() -> None:
    asynchronous: list[Callable[[], Awaitable[None] | AsyncIterator[int]]] = [later, stream, Hook()]
    for hook in asynchronous:
        with pytest.raises(ConfigurationError, match="clock must answer at once"):
            check_synchronous("clock", hook)
    for fine in (None, 3, plain, len):
        check_synchronous("clock", fine)


def test_ordinary_hooks_are_checked_without_inspect() -> None:
    program = (
        "import sys; from functools import partial; from handclasp.synchronous import *\n"
        "class Hook:\n def is_first(self): pass\n"
        "for hook in (len, lambda: None, partial(lambda: None), Hook().is_first, Hook):\n"
        " check_synchronous('hook', hook)\n"
        "assert is_awaitable((lambda: (yield))()) is False\n"
        "print('inspect' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout.split() == [b"False"]


def test_clocks_are_functions() -> None:
    check_clock(time.time)
    for wrong in (3, "x", None):
        with pytest.raises(ConfigurationError, match="clock must be a function that gives seconds"):
            check_clock(wrong)

    async def later() -> float:
        return 0.0

    with pytest.raises(ConfigurationError, match="clock must answer at once"):
        check_clock(later)
