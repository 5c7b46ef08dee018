"""Hooks that must answer at once, and so cannot be async functions.

A leaf, so that whatever takes a hook can check it when it is given. Where the kind of an answer
shows at the call alone, `handshake.hooks` checks it there.
"""

from __future__ import annotations

import inspect
from typing import Any

from handclasp.errors import ConfigurationError


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
        inspect.iscoroutinefunction(each) or inspect.isasyncgenfunction(each)
        for each in (hook, getattr(type(hook), "__call__", None))  # noqa: B004
    ):
        advice = instead or "Do in a task of your own what takes long, and return its result here."
        raise ConfigurationError(f"{name} must answer at once, and is an async function. {advice}")
