"""Give handclasp to programs that make their contexts themselves.

`inject` changes the real `ssl.SSLContext` in place: it gets the functions of ours, and its
`__new__`. So `from ssl import SSLContext`, subclasses, and `ssl.create_default_context` all make
contexts of handclasp from then on. The name `ssl.SSLContext` is never bound to another class:
`ssl.py` itself calls `super(SSLContext, SSLContext)`, which would then recurse. Contexts that were
made before `inject` keep OpenSSL.

    >>> import ssl
    >>> from handclasp.compat import extract, inject, injected, is_injected
    >>> inject()  # From now on, every new ssl.SSLContext is one of handclasp.
    >>> is_injected()
    True
    >>> extract()
    >>> with injected():
    ...     context = ssl.create_default_context()
"""

from __future__ import annotations

import ssl
from collections.abc import Generator
from contextlib import contextmanager
from threading import Lock
from types import FunctionType, ModuleType
from typing import Any

from handclasp.compat.asyncio_ends import ENDS
from handclasp.compat.context import SSLContext
from handclasp.values import dataclass

_MISSING: Any = object()

_NOT_COPIED = {
    "__module__",
    "__doc__",
    "__dict__",
    "__weakref__",
    "__qualname__",
    "__firstlineno__",
    "__static_attributes__",
    "__annotations__",
}

_lock = Lock()
_replaced: dict[str, Any] = {}


@dataclass(slots=True)
class _Wishes:
    """The wishes for handclasp in this process, of the program and of blocks.

    Attributes:
        of_program: whether `inject` was called, and `extract` not since.
        blocks: how many blocks of `injected` are open, in all threads.
    """

    of_program: bool = False
    blocks: int = 0


_wishes = _Wishes()


def inject() -> None:
    """Make every new `ssl.SSLContext` of this process one of handclasp.

    Where that is so already, it does nothing: not in a second call, and not within a block of
    `injected`, which ends as it began.

    For applications: call it before the libraries make their contexts. A library should pass a
    `handclasp.compat.SSLContext` instead, and leave the choice to the application.
    """
    with _lock:
        if not _wishes.blocks:
            _wishes.of_program = True
        _fulfil()


def extract() -> None:
    """Undo `inject`. Contexts that were made meanwhile keep handclasp as far as they were set up.

    Blocks of `injected` that are open, here or in other threads, keep handclasp until they end.

    Call it when no connection is being made: a context of handclasp that makes a connection
    afterwards makes one of OpenSSL, with the settings that both have.
    """
    with _lock:
        _wishes.of_program = False
        _fulfil()


@contextmanager
def injected() -> Generator[None]:
    """Inject for the length of a `with` block, as tests need it.

    Blocks may be nested, and open in several threads at once: with the last of them, what was so
    before comes back, which is handclasp where `inject` was called before.
    """
    _count_block(1)
    try:
        yield
    finally:
        _count_block(-1)


def _count_block(change: int) -> None:
    with _lock:
        _wishes.blocks += change
        _fulfil()


def _fulfil() -> None:
    """Change `ssl.SSLContext`, or change it back, where that is not as it is wanted."""
    is_wanted = _wishes.of_program or _wishes.blocks > 0
    if is_wanted and not _replaced:
        for name, value in vars(SSLContext).items():
            if name not in _NOT_COPIED:
                _replaced[name] = vars(ssl.SSLContext).get(name, _MISSING)
                setattr(ssl.SSLContext, name, value)
        ENDS.begin()
    elif _replaced and not is_wanted:
        for name, value in _replaced.items():
            if value is _MISSING:
                delattr(ssl.SSLContext, name)
            else:
                setattr(ssl.SSLContext, name, value)
        _replaced.clear()
        ENDS.end()


def is_injected() -> bool:
    """Return whether new contexts of `ssl` are handclasp's."""
    return bool(_replaced)


def look_alike(namespace: dict[str, Any]) -> None:
    """Fill the namespace of a module with the names of `ssl`, and with our `SSLContext`.

    The functions of `ssl` that make contexts are copied, so that they make ours: what
    `create_default_context` sets is then what this interpreter's own one sets.
    """
    for name, value in vars(ssl).items():
        if name.startswith("__") and name != "__doc__":
            continue
        if isinstance(value, FunctionType) and value.__module__ == ssl.__name__:
            value = _copied(value, namespace)
        if not isinstance(value, ModuleType) or name not in namespace:
            namespace[name] = value
    namespace["SSLContext"] = SSLContext
    for alias, name in (
        ("_create_default_https_context", "create_default_context"),
        ("_create_stdlib_context", "_create_unverified_context"),
    ):
        namespace[alias] = namespace[name]


def default_context(**settings: Any) -> SSLContext:
    """Return what `ssl.create_default_context` makes, as a context of handclasp."""
    made: SSLContext = _copied(ssl.create_default_context, _OURS)(**settings)  # type: ignore[arg-type]
    return made


def _copied(function: FunctionType, namespace: dict[str, Any]) -> FunctionType:
    made = FunctionType(
        function.__code__,
        namespace,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    made.__kwdefaults__ = function.__kwdefaults__
    made.__doc__ = function.__doc__
    made.__dict__.update(function.__dict__)
    return made


_OURS: dict[str, Any] = {**vars(ssl), "SSLContext": SSLContext}
"""The globals of a copied function: its `SSLContext` is ours."""
