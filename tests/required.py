"""Programs of others that a test drives: without them it is skipped, and says why.

Where HANDCLASP_REQUIRE_PEERS is 1, as in CI, what is missing is a failure instead: a skip that
nobody notices proves nothing.
"""

from __future__ import annotations

import os
import shutil
import threading
from importlib import import_module
from typing import Any, NoReturn

import pytest

from handclasp.speedups import load as load_speedups


def need_tool(name: str) -> str:
    """The path of an installed program; skips or fails the test that asks for a missing one.

    In the test's own thread alone: in another one nobody would hear of it, and the test would wait
    for a program that never comes.
    """
    assert threading.current_thread() is threading.main_thread(), f"{name}: ask before the thread"
    path = shutil.which(name)
    if path is None:
        lacking(f"{name} is not installed")
    return path


def need_module(name: str) -> Any:
    """Return an optional package; skips or fails the test module that asks for a missing one."""
    try:
        return import_module(name)
    except ImportError:
        reason = f"{name} is not installed"
        if os.environ.get("HANDCLASP_REQUIRE_PEERS") == "1":
            pytest.fail(f"required: {reason}")
        pytest.skip(reason, allow_module_level=True)


def need_speedups() -> Any:
    """Return the accelerator; skips or fails the test where none was built of this source."""
    module, trouble = load_speedups()
    if module is None:
        lacking(f"the accelerator {trouble or 'is not built'}")
    return module


def need_terminal() -> tuple[int, int]:
    """Open a pseudo-terminal, and return both ends; skips or fails the test where there is none.

    That is so in a container or chroot without devpts.
    """
    try:
        return os.openpty()
    except OSError as error:
        lacking(f"there are no pseudo-terminals, as without devpts: {error}")


def lacking(reason: str) -> NoReturn:
    """This machine cannot run the test: skip it, or fail where everything is required."""
    if os.environ.get("HANDCLASP_REQUIRE_PEERS") == "1":
        pytest.fail(f"required: {reason}")
    pytest.skip(reason)
